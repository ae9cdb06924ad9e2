//! What we publish validates against the JSON Schemas of the Dataspace Protocol, and what their
//! examples say is read or refused for a reason. The schemas are read from the shared data.

use crate::agreement::{agreement, shared};
use serde_json::{Value, json};
use std::path::Path;
use twinpact_contract::odrl::read;

/// Whether the value fits the schema. Only the keywords that those schemas use; any other fails the
/// test, so that nothing is passed over.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "$id" | "title" | "definitions" | "description" => true,
        "$ref" => {
            let pointer = rule.as_str().unwrap().split_once('#').unwrap().1;
            fits(value, root.pointer(pointer).unwrap(), root)
        }
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            other => panic!("type {other}"),
        },
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "pattern" => !value.as_str().unwrap().is_empty(),
        "required" => {
            rule.as_array().unwrap().iter().all(|k| value.get(k.as_str().unwrap()).is_some())
        }
        "properties" => rule
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, below)| value.get(key).is_none_or(|v| fits(v, below, root))),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|v| fits(v, rule, root))),
        "minItems" => value.as_array().is_none_or(|i| i.len() as u64 >= rule.as_u64().unwrap()),
        "allOf" => rule.as_array().unwrap().iter().all(|s| fits(value, s, root)),
        "anyOf" => rule.as_array().unwrap().iter().any(|s| fits(value, s, root)),
        "oneOf" => rule.as_array().unwrap().iter().filter(|s| fits(value, s, root)).count() == 1,
        "not" => !fits(value, rule, root),
        other => panic!("keyword {other}"),
    })
}

fn load(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn what_we_publish_fits_the_dsp_schema() {
    let Some(shared) = shared() else { return };
    let root = load(&shared.join("suites/dsp/negotiation/contract-schema.json"));
    let part = |name: &str| root.pointer(&format!("/definitions/{name}")).unwrap().clone();
    assert!(fits(&agreement(), &part("Agreement"), &root));
    let hard = json!({
        "permission": [
            {"action": "use", "constraint": [
                {"leftOperand": "spatial", "operator": "isAnyOf",
                 "rightOperand": ["twinpact:region/CH", "twinpact:region/EU"]},
                {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2030-01-01T00:00Z"},
                {"leftOperand": "purpose", "operator": "isNoneOf",
                 "rightOperand": ["twinpact:purpose/Marketing"]},
            ]},
            {"action": "use", "constraint": [
                {"leftOperand": "spatial", "operator": "eq", "rightOperand": "twinpact:region/FR"},
                {"leftOperand": "purpose", "operator": "eq",
                 "rightOperand": "twinpact:purpose/Research"},
            ]},
        ],
        "prohibition": {"action": "use", "constraint": {"leftOperand": "purpose",
            "operator": "isAllOf", "rightOperand": ["urn:x:a", "urn:x:b"]}},
    });
    let samples = crate::catenax::samples(&shared).into_iter().map(|(_, policy)| policy);
    for policy in [agreement(), hard].into_iter().chain(samples) {
        let terms = read(&policy).unwrap().terms;
        let offer = terms.to_offer("urn:x:offer");
        assert!(fits(&offer, &part("Offer"), &root), "{offer}");
        assert_eq!(read(&offer).unwrap().terms, terms);
        // The validator can say no.
        let mut wrong = offer.clone();
        wrong["permission"][0]["constraint"] = json!([{"leftOperand": "x", "operator": "is",
            "rightOperand": "y"}]);
        assert!(!fits(&wrong, &part("Offer"), &root));
    }
}

#[test]
fn the_committed_example_is_the_published_one() {
    let Some(shared) = shared() else { return };
    let message = load(&shared.join("design/examples/agreement-message.json"));
    assert_eq!(message["agreement"], agreement());
}

#[test]
fn the_examples_of_the_protocol() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("suites/dsp/negotiation/example");
    // A date by itself is read; operands that we cannot decide are refused by name.
    let offer = load(&folder.join("contract-offer-message.json"));
    assert!(read(&offer["offer"]).is_ok());
    let full = load(&folder.join("contract-agreement-message-full.json"));
    assert_eq!(read(&full["agreement"]).unwrap_err().code.name, "contract.term_unknown");
}
