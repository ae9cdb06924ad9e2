//! One spelling for the policy inside an offer or agreement: the one that the protocol's schemas
//! want. Its meaning is not touched; reading it is the crate `contract`'s business.
//!
//! What changes, and only that: the spelling of names and IRIs ([`crate::terms`]); rule and
//! constraint lists are arrays; a right operand of one text or object stands alone, one of one
//! number or boolean stands in an array (the schema has no bare numbers); `{"@value": x}` without
//! language or type is `x`; arrays directly inside arrays are joined; `null` is absence. These are
//! the changes that a JSON-LD processor may make, so a policy that went through one comes out the
//! same.

use crate::rejected::Rejected;
use crate::terms::{self, is_nothing};
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
        let value = member(&name, value)?;
        if out.insert(name.clone(), value).is_some() {
            return Err(Rejected::malformed(format!("{name} stands twice, in two spellings")));
        }
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
        return Ok(match values.as_slice() {
            [Value::String(_) | Value::Object(_)] => scalar(values),
            _ => Value::Array(values),
        });
    }
    Ok(scalar(values))
}

/// The items, arrays inside arrays and `@list` joined.
fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Object(members) if members.len() == 1 => match members.get("@list") {
            Some(list) => flat(list),
            None => vec![value],
        },
        Value::Null => Vec::new(),
        other => vec![other],
    }
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
    match (members.get("@id").or_else(|| members.get("@value")), members.len()) {
        (Some(Value::String(text)), 1) => Ok(Value::String(spell(text))),
        _ => normalise(members).map(Value::Object),
    }
}

/// A literal, an IRI object, or a node.
fn operand(value: &Value) -> Result<Value, Rejected> {
    let Value::Object(members) = value else { return Ok(value.clone()) };
    if let Some(literal) = members.get("@value") {
        let datatype = members.get("@type").filter(|t| !is_nothing(t));
        let text_type = |t: &Value| t.as_str().map(terms::odrl) == Some(XSD_STRING.to_owned());
        let plain = datatype.is_none_or(text_type);
        if plain && members.keys().all(|key| key == "@value" || key == "@type") {
            return Ok(literal.clone());
        }
        let mut typed = members.clone();
        if let Some(datatype) = datatype {
            typed.insert("@type".to_owned(), word(datatype, terms::odrl));
        }
        typed.sort_keys();
        return Ok(Value::Object(typed));
    }
    match (members.get("@id"), members.len()) {
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
            (json!(5), json!([5])),
            (json!([true]), json!([true])),
            (json!([]), json!([])),
        ] {
            check(with(right), with(expect));
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for bad in [
            json!({"permission": [], "odrl:permission": []}),
            json!({"permission": [{"action": "use", "odrl:action": "use"}]}),
            json!({"permission": [{"@context": {}, "action": "use"}]}),
        ] {
            assert!(normalise(bad.as_object().unwrap()).is_err(), "{bad}");
        }
    }
}
