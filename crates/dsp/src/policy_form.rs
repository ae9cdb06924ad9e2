//! One spelling for the policy inside an offer or agreement: the one that the protocol's schemas
//! want. Its meaning is not touched; reading it is the crate `contract`'s business.
//!
//! What changes, and only that: the spelling of names and IRIs ([`crate::terms`]); rule and
//! constraint lists are arrays; a right operand of one text or object stands alone, one of one
//! fraction or boolean stands in an array (the schema has neither alone); `{"@value": x}` without
//! language or type is `x`; arrays directly inside arrays are joined; `null` is absence. These are
//! the changes that a JSON-LD processor may make, so a policy that went through one comes out the
//! same.
//!
//! Connectors of the Eclipse family change more, and that is undone here as well: a whole number in
//! a right operand is its digits as text, and a list or an IRI that they have turned into a text is
//! read back. What cannot be undone is that they drop `profile` and the types of literals. Neither
//! is part of what an agreement is identified by (crate `contract`): a profile that we would have
//! to know refuses the policy there, and a literal is read by the operand that it belongs to.

use crate::bytes;
use crate::message::MAX_POLICY_BYTES;
use crate::rejected::Rejected;
use crate::terms::{self, is_nothing};
use serde_json::map::Entry;
use serde_json::{Map, Value};

/// Members whose values are rules, duties or constraints.
const NODES: [&str; 10] = [
    "permission",
    "prohibition",
    "obligation",
    "duty",
    "constraint",
    "and",
    "or",
    "xone",
    "andSequence",
    "hasPolicy",
];
/// Members whose values are names of the vocabulary.
const WORDS: [&str; 3] = ["action", "operator", "leftOperand"];
/// Members whose values are identifiers, opaque to us.
const REFERENCES: [&str; 4] = ["target", "assigner", "assignee", "profile"];

/// The policy object in its one spelling.
///
/// # Errors
/// `dsp.malformed` when one member stands there under two spellings, or a context is hidden inside.
pub fn normalise(policy: &Map<String, Value>) -> Result<Map<String, Value>, Rejected> {
    let mut out = Map::new();
    for (key, value) in policy {
        if key == "@context" {
            return Err(Rejected::malformed("@context stands inside a policy"));
        }
        let name = if key.starts_with('@') { key.clone() } else { terms::odrl(key) };
        if value.is_null() {
            continue;
        }
        if name == "@value" {
            plain_literal(value)?;
        }
        let value = member(&name, value)?;
        match out.entry(name) {
            Entry::Vacant(free) => free.insert(value),
            Entry::Occupied(taken) => {
                let why = format!("{} stands twice, in two spellings", taken.key());
                return Err(Rejected::malformed(why));
            }
        };
    }
    Ok(out)
}

fn member(name: &str, value: &Value) -> Result<Value, Rejected> {
    if name == "@id" {
        return Ok(word(value, terms::full));
    }
    let items = flat(value);
    if name == "@type" {
        return Ok(scalar(items.into_iter().map(|v| word(v, terms::vocabulary)).collect()));
    }
    if NODES.contains(&name) {
        return items.into_iter().map(node).collect::<Result<Vec<_>, _>>().map(Value::Array);
    }
    if WORDS.contains(&name) {
        let words = items.into_iter().map(|v| reference(v, terms::odrl));
        return words.collect::<Result<Vec<_>, _>>().map(scalar);
    }
    if REFERENCES.contains(&name) {
        let ids = items.into_iter().map(|v| reference(v, str::to_owned));
        return ids.collect::<Result<Vec<_>, _>>().map(scalar);
    }
    let values = items.into_iter().map(operand).collect::<Result<Vec<_>, _>>()?;
    if name == "rightOperand" {
        return right_operand(values);
    }
    Ok(scalar(values))
}

/// The values of a right operand, as they were before another connector wrote them.
fn right_operand(mut values: Vec<Value>) -> Result<Value, Rejected> {
    let original = match values.as_slice() {
        [Value::String(text)] => read_back(text),
        _ => None,
    };
    if let Some(original) = original {
        values = flat(&original).into_iter().map(operand).collect::<Result<Vec<_>, _>>()?;
    }
    for value in &mut values {
        if value.is_i64() || value.is_u64() {
            *value = Value::String(value.to_string());
        }
    }
    Ok(match values.as_slice() {
        [Value::String(_) | Value::Object(_)] => scalar(values),
        _ => Value::Array(values),
    })
}

/// What an Eclipse connector made a text of: a list of two and more values or IRIs, or one IRI.
///
/// A text is only taken for one when it is, to the byte, what such a connector prints: JSON without
/// a space, `[{"@value":…},…]` or `{"@id":"…"}`, each object with that one member. Any other text,
/// however alike, stays a text. The few texts that are of this form and were meant as they stand
/// cannot be told apart; no operand that this program decides has such a value, as each of them
/// takes an IRI, a time, a duration or a schedule, so that no meaning is lost that could be had.
fn read_back(text: &str) -> Option<Value> {
    if !text.starts_with("[{\"@") && !text.starts_with("{\"@id\":") {
        return None;
    }
    let value = bytes::read(text.as_bytes(), MAX_POLICY_BYTES).ok()?;
    let known = match &value {
        Value::Array(items) => items.len() > 1 && items.iter().all(is_plain_item),
        one => one.get("@id").is_some() && is_plain_item(one),
    };
    let printed = value.to_string();
    (known && printed == text).then_some(value)
}

/// `{"@value": …}` or `{"@id": …}` and nothing more.
fn is_plain_item(item: &Value) -> bool {
    let Some(members) = item.as_object().filter(|members| members.len() == 1) else {
        return false;
    };
    match (members.get("@value"), members.get("@id")) {
        (Some(value), None) => value.is_string() || value.is_number() || value.is_boolean(),
        (None, Some(iri)) => iri.is_string(),
        _ => false,
    }
}

/// The items, arrays inside arrays and `@list` joined.
fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Object(members) if said(members) == 1 => match members.get("@list") {
            Some(list) => flat(list),
            None => vec![value],
        },
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

/// How many members say something.
fn said(members: &Map<String, Value>) -> usize {
    members.values().filter(|value| !value.is_null()).count()
}

fn scalar(mut values: Vec<Value>) -> Value {
    match values.pop() {
        Some(one) if values.is_empty() => one,
        Some(last) => {
            values.push(last);
            Value::Array(values)
        }
        None => Value::Array(values),
    }
}

fn node(value: &Value) -> Result<Value, Rejected> {
    match value {
        Value::Object(members) => normalise(members).map(Value::Object),
        other => Ok(other.clone()),
    }
}

fn word(value: &Value, spell: impl Fn(&str) -> String) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| Value::String(spell(text)))
}

/// A name or identifier: `"x"`, `{"@id": "x"}`, `{"@value": "x"}`, or an object that says more.
fn reference(value: &Value, spell: impl Fn(&str) -> String) -> Result<Value, Rejected> {
    let Value::Object(members) = value else { return Ok(word(value, spell)) };
    let name = ["@id", "@value"].into_iter().find_map(|key| members.get(key)?.as_str());
    match (name, said(members)) {
        (Some(text), 1) => Ok(Value::String(spell(text))),
        _ => normalise(members).map(Value::Object),
    }
}

/// A literal is a text, a number or a boolean (JSON-LD 1.1 §9.5).
fn plain_literal(value: &Value) -> Result<(), Rejected> {
    if value.is_string() || value.is_number() || value.is_boolean() {
        return Ok(());
    }
    Err(Rejected::malformed("@value is neither a text, a number nor a boolean"))
}

/// A literal, an IRI object, or a node.
fn operand(value: &Value) -> Result<Value, Rejected> {
    let Value::Object(members) = value else { return Ok(value.clone()) };
    if let Some(literal) = members.get("@value") {
        plain_literal(literal)?;
        let datatype = members.get("@type").filter(|t| !is_nothing(t));
        let mut typed = members.clone();
        typed.retain(|key, value| !value.is_null() && (key != "@type" || datatype.is_some()));
        let text_type = |t: &Value| t.as_str().map(terms::odrl) == Some(XSD_STRING.to_owned());
        if datatype.is_none_or(text_type) && typed.len() == 1 + usize::from(datatype.is_some()) {
            return Ok(literal.clone());
        }
        if let Some(datatype) = datatype {
            typed.insert("@type".to_owned(), word(datatype, terms::odrl));
        }
        typed.sort_keys();
        return Ok(Value::Object(typed));
    }
    match (members.get("@id"), said(members)) {
        (Some(Value::String(iri)), 1) => {
            let iri = Value::String(terms::full(iri));
            Ok(Value::Object(Map::from_iter([("@id".to_owned(), iri)])))
        }
        _ => normalise(members).map(Value::Object),
    }
}

const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

#[cfg(test)]
mod tests {
    use super::normalise;
    use serde_json::{Value, json};

    fn check(input: Value, expect: Value) {
        let got = normalise(input.as_object().unwrap()).map(Value::Object);
        assert_eq!(got.as_ref(), Ok(&expect), "{input}");
        let again = normalise(expect.as_object().unwrap()).map(Value::Object);
        assert_eq!(again, got, "the normal form is its own normal form");
    }

    #[test]
    fn rules_have_one_spelling() {
        check(
            json!({"odrl:permission": {"http://www.w3.org/ns/odrl/2/action": {"@id": "odrl:use"}}}),
            json!({"permission": [{"action": "use"}]}),
        );
        check(
            json!({"permission": [{
                "action": ["use", "odrl:delete"], "constraint": [], "x": null
            }]}),
            json!({"permission": [{
                "action": ["use", "http://www.w3.org/ns/odrl/2/delete"], "constraint": []
            }]}),
        );
        check(
            json!({"@type": ["odrl:Offer"], "profile": [{"@id": "https://a.example/p"}]}),
            json!({"@type": "Offer", "profile": "https://a.example/p"}),
        );
        check(
            json!({"obligation": [{"action": {"@id": "odrl:delete", "odrl:refinement": [
                {"leftOperand": "odrl:count"}]}}]}),
            json!({"obligation": [{"action": {
                "@id": "http://www.w3.org/ns/odrl/2/delete",
                "http://www.w3.org/ns/odrl/2/refinement":
                    {"leftOperand": "http://www.w3.org/ns/odrl/2/count"}
            }}]}),
        );
    }

    #[test]
    fn right_operands_have_one_form() {
        let with = |right: Value| json!({"constraint": [{"rightOperand": right}]});
        for (right, expect) in [
            (json!(["a"]), json!("a")),
            (json!([["b"], "a"]), json!(["b", "a"])),
            (json!({"@list": ["a", "b"]}), json!(["a", "b"])),
            (json!({"@value": "x"}), json!("x")),
            (json!({"@value": "x", "@type": "xsd:string"}), json!("x")),
            (
                json!({"@value": "5", "@type": "xsd:integer"}),
                json!({"@type": "http://www.w3.org/2001/XMLSchema#integer", "@value": "5"}),
            ),
            (json!({"@value": "x", "@language": "en"}), json!({"@language": "en", "@value": "x"})),
            (json!({"@id": "odrl:x"}), json!({"@id": "http://www.w3.org/ns/odrl/2/x"})),
            (json!(5), json!("5")),
            (json!([-5]), json!("-5")),
            (json!([5, "x"]), json!(["5", "x"])),
            (json!(5.5), json!([5.5])),
            (json!([true]), json!([true])),
            (json!([]), json!([])),
        ] {
            check(with(right), with(expect));
        }
    }

    #[test]
    fn what_another_connector_made_a_text_of_is_read_back() {
        let with = |right: Value| json!({"constraint": [{"rightOperand": right}]});
        for (text, expect) in [
            (r#"[{"@value":"a"},{"@value":"b"}]"#, json!(["a", "b"])),
            (r#"[{"@value":"a, \"b\""},{"@value":5}]"#, json!(["a, \"b\"", "5"])),
            (r#"[{"@id":"odrl:x"},{"@value":true}]"#, json!([{"@id": full("x")}, true])),
            (r#"{"@id":"https://a.example/x"}"#, json!({"@id": "https://a.example/x"})),
        ] {
            for right in [json!(text), json!([text]), json!({"@value": text})] {
                check(with(right), with(expect.clone()));
            }
        }
        // Whatever is not that to the byte is the text that it is.
        for text in [
            r#"[{"@value":"a"}]"#,
            r#"[{"@value":"a"}, {"@value":"b"}]"#,
            r#" [{"@value":"a"},{"@value":"b"}]"#,
            r#"[{"@value":"a"},{"@value":"b"}] "#,
            r#"[{"@value":"a"},{"@value":"b"}]x"#,
            r#"[{"@value":"a"},"b"]"#,
            r#"[{"@value":"a"},{"@value":["b"]}]"#,
            r#"[{"@value":"a"},{"@value":null}]"#,
            r#"[{"@value":"a","@type":"t"},{"@value":"b"}]"#,
            r#"[{"@value":"a","@value":"c"},{"@value":"b"}]"#,
            r#"[{"@value":"\u0061"},{"@value":"b"}]"#,
            r#"[{"@value":"a"},{"@list":[]}]"#,
            r#"[{"@value":"a"},{"@value":1e2}]"#,
            r#"{"@id":5}"#,
            r#"{"@id":"x","@type":"t"}"#,
            r#"{"@value":"x"}"#,
            r#"["a","b"]"#,
            r#"[{"#,
        ] {
            check(with(json!(text)), with(json!(text)));
        }
        // Nor is a text beside another, or one that has a type or a language.
        let list = r#"[{"@value":"a"},{"@value":"b"}]"#;
        check(with(json!([list, "c"])), with(json!([list, "c"])));
        for key in ["@language", "@type"] {
            let typed = json!({key: "urn:x", "@value": list});
            check(with(typed.clone()), with(typed));
        }
        // Other members than the right operand are left alone.
        check(json!({"leftOperand": list}), json!({"leftOperand": list}));
    }

    fn full(name: &str) -> String {
        format!("http://www.w3.org/ns/odrl/2/{name}")
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for bad in [
            json!({"permission": [], "odrl:permission": []}),
            json!({"permission": [{"action": "use", "odrl:action": "use"}]}),
            json!({"permission": [{"@context": {}, "action": "use"}]}),
            json!({"constraint": [{"rightOperand": {"@value": ["a"]}}]}),
            json!({"constraint": [{"rightOperand": {"@value": null}}]}),
        ] {
            assert!(normalise(bad.as_object().unwrap()).is_err(), "{bad}");
        }
    }
}
