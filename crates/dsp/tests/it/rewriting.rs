//! What an Eclipse connector (EDC 0.15) does to a policy that passes through it, written from the
//! description of its wire form: everything listed, names of the profile bare, other ODRL names
//! prefixed, foreign ones in full, `profile` gone, and right operands made into texts. The tests of
//! the node include this file too.

use serde_json::{Map, Value, json};

const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
/// Names that its context gives back without a prefix, of those that stand as values here.
const BARE: [&str; 12] = [
    "use", "eq", "neq", "gt", "gteq", "lt", "lteq", "isA", "isPartOf", "isAllOf", "isAnyOf",
    "isNoneOf",
];

/// The members of a policy as such a connector sends them on.
pub(crate) fn rewritten(policy: &Map<String, Value>) -> Map<String, Value> {
    let kept = policy.iter().filter(|(key, _)| *key != "profile");
    kept.map(|(key, value)| (key.clone(), member(key, value))).collect()
}

fn member(key: &str, value: &Value) -> Value {
    match key {
        "permission" | "prohibition" | "obligation" | "duty" | "constraint" | "and" | "or"
        | "xone" => Value::Array(items(value).iter().map(node).collect()),
        "action" | "leftOperand" | "operator" => json!(name(value.as_str().unwrap())),
        "rightOperand" => right(&items(value)),
        _ => value.clone(),
    }
}

fn node(value: &Value) -> Value {
    Value::Object(rewritten(value.as_object().unwrap()))
}

fn items(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn name(text: &str) -> String {
    let local = text.strip_prefix(ODRL).or_else(|| text.strip_prefix("odrl:"));
    match local {
        Some(local) if BARE.contains(&local) => local.to_owned(),
        Some(local) => format!("odrl:{local}"),
        None => text.to_owned(),
    }
}

/// One value is its text, whatever it was; several are the text of their JSON.
fn right(values: &[Value]) -> Value {
    let object = |value: &Value| match value {
        Value::Object(members) => Value::Object(members.clone()),
        plain => json!({ "@value": plain }),
    };
    let text = match values {
        [Value::String(text)] => text.clone(),
        [Value::Object(members)] => match members.get("@value") {
            Some(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            None => Value::Object(members.clone()).to_string(),
        },
        [one] => one.to_string(),
        several => several.iter().map(object).collect::<Value>().to_string(),
    };
    Value::String(text)
}
