//! What an Eclipse connector makes of policies is undone when they are read: each Catena-X sample
//! is the same before and after, and its own messages are read whole.

use crate::outside::{json_files, shared};
use crate::rewriting::rewritten;
use crate::samples;
use serde_json::{Map, Value, json};
use std::path::Path;
use twinpact_dsp::Message;
use twinpact_dsp::message::Access;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The policy as our reader has it when it comes in an agreement.
fn form(policy: &Map<String, Value>) -> Value {
    let context = json!(["https://w3id.org/dspace/2025/1/context.jsonld"]);
    form_by(&context, policy)
}

/// The same in a message with that context.
fn form_by(context: &Value, policy: &Map<String, Value>) -> Value {
    let mut message = samples::contract_agreement(None).to_json();
    message["@context"] = context.clone();
    let agreement = message["agreement"].as_object_mut().unwrap();
    agreement.retain(|key, _| !["permission", "prohibition", "obligation"].contains(&&**key));
    for (key, value) in policy.iter().filter(|(key, _)| !key.starts_with('@')) {
        agreement.insert(key.clone(), value.clone());
    }
    match Message::parse(&message) {
        Ok(Message::ContractAgreement(m)) => Value::clone(&m.agreement.policy),
        other => panic!("{other:?} of {message:#}"),
    }
}

/// The policy as a node sends it: the names of the Catena-X contexts in full.
fn in_full(value: &Value, terms: &Map<String, Value>, prefix: &str) -> Value {
    let full = |name: &str| match name.strip_prefix("cx-policy:") {
        Some(local) => format!("{prefix}{local}"),
        None if terms.contains_key(name) => format!("{prefix}{name}"),
        None => name.to_owned(),
    };
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| match (key.as_str(), value.as_str()) {
                    ("leftOperand" | "action" | "profile", Some(text)) => {
                        (key.clone(), json!(full(text)))
                    }
                    _ => (key.clone(), in_full(value, terms, prefix)),
                })
                .collect(),
        ),
        Value::Array(items) => items.iter().map(|item| in_full(item, terms, prefix)).collect(),
        other => other.clone(),
    }
}

/// Before and after are one form, but for the profile, which it drops.
fn check(policy: &Map<String, Value>, what: &dyn std::fmt::Debug) {
    let mut before = form(policy);
    let profile = before.as_object_mut().unwrap().shift_remove("profile");
    assert_eq!(profile.is_some(), policy.contains_key("profile"));
    let sent = rewritten(policy);
    let after = form(&sent);
    assert_eq!(after, before, "{what:?} {sent:#?}");
    // And once more, since a second such connector may stand in the way.
    assert_eq!(form(&rewritten(&sent)), before, "{what:?}");
    assert_eq!(form(&rewritten(before.as_object().unwrap())), before, "{what:?}");
}

#[test]
fn catena_x_policies_are_the_same_before_and_after() {
    let Some(shared) = shared("the Catena-X policies") else { return };
    let folder = shared.join("suites/catenax-odrl");
    let context = read(&folder.join("schema/context/context.jsonld"));
    let terms = context["@context"].as_object().unwrap();
    let prefix = terms["cx-policy"].as_str().unwrap();
    let mut checked = 0;
    for path in json_files(&folder.join("schema/samples"), ".json") {
        let sample = read(&path);
        let policy = match sample.get("leftOperand") {
            Some(_) => json!({"permission": [{"action": "use", "constraint": [
                {"and": [sample, {"leftOperand": "urn:x", "operator": "eq", "rightOperand": 7}]}
            ]}]}),
            None => sample,
        };
        let full = in_full(&policy, terms, prefix);
        check(full.as_object().unwrap(), &path);
        // With their context written out beside the protocol's the bare names mean the same.
        let context = json!([terms, "https://w3id.org/dspace/2025/1/context.jsonld"]);
        let bare = form_by(&context, policy.as_object().unwrap());
        assert_eq!(bare, form(full.as_object().unwrap()), "{path:?}");
        checked += 1;
    }
    let example = folder.join("example_usage_policy.json");
    let policy = in_full(&read(&example), terms, "https://w3id.org/catenax/policy/");
    check(policy.as_object().unwrap(), &example);
    assert!(checked >= 33, "{checked}");
}

#[test]
fn every_shape_of_a_right_operand_is_the_same_before_and_after() {
    for right in [
        json!("a"),
        json!(["a"]),
        json!(["a", "b"]),
        json!(["b", "a", "a \"quoted\" \\ one"]),
        json!("[\"a\",\"b\"]"),
        json!({"@id": "https://a.example/x"}),
        json!([{"@id": "https://a.example/x"}, {"@id": "https://a.example/y"}]),
        json!(5),
        json!([5, 6]),
    ] {
        let policy = json!({"permission": [{"action": "use", "constraint": [
            {"and": [{"leftOperand": "urn:x", "operator": "isAnyOf", "rightOperand": right}]}
        ]}]});
        check(policy.as_object().unwrap(), &right);
    }
}

/// Two policies that differ do not become one.
#[test]
fn different_right_operands_stay_different() {
    let rights = [
        json!("a"),
        json!("b"),
        json!(["a", "b"]),
        json!(["b", "a"]),
        json!("a,b"),
        json!("[a,b]"),
        json!("[\"a\",\"b\"]"),
        json!("[{\"@value\":\"a\"}]"),
        json!("[{\"@value\": \"a\"},{\"@value\":\"b\"}]"),
        json!({"@id": "a:b"}),
        json!("a:b"),
        json!(5),
        json!(50),
        json!({"@value": "5", "@type": "xsd:integer"}),
    ];
    let form = |right: &Value| {
        let policy = json!({"permission": [{"action": "use", "constraint": [
            {"leftOperand": "urn:x", "operator": "isAnyOf", "rightOperand": right}
        ]}]});
        form(policy.as_object().unwrap())
    };
    for (i, one) in rights.iter().enumerate() {
        for other in &rights[..i] {
            assert_ne!(form(one), form(other), "{one} {other}");
        }
    }
}

/// The policies of its own messages are such as the rewriting of these tests leaves them.
#[test]
fn real_policies_of_another_connector_are_as_described() {
    let Some(shared) = shared("captured messages") else { return };
    let folder = shared.join("peers/edc/captures");
    let mut found = 0;
    for (file, place) in [
        ("1-catalog.json", "/response/dataset/0/hasPolicy/0"),
        ("2-contract-request.json", "/request/offer"),
        ("3-agreement.json", "/request/agreement"),
    ] {
        let capture = read(&folder.join(file));
        let policy = capture.pointer(place).unwrap().as_object().unwrap();
        let mut rules = policy.clone();
        rules.retain(|key, _| ["permission", "prohibition", "obligation"].contains(&&**key));
        assert_eq!(rewritten(&rules), rules, "{file}");
        check(&rules, &file);
        found += 1;
    }
    assert_eq!(found, 3);
}

#[test]
fn the_catalogue_of_another_connector_is_read_whole() {
    let Some(shared) = shared("captured messages") else { return };
    let capture = read(&shared.join("peers/edc/captures/1-catalog.json"));
    let Ok(Message::CatalogRequest(request)) = Message::parse(&capture["request"]) else {
        panic!("{capture:#}");
    };
    assert_eq!(request.filter, capture["request"]["filter"].as_array().unwrap().clone());
    let Ok(Message::Catalog(catalog)) = Message::parse(&capture["response"]) else {
        panic!("{capture:#}");
    };
    let base = "http://127.0.0.1:19392/dsp/2025-1";
    assert_eq!(catalog.id, "a18d851f-666a-42fd-aa72-b4d1a83976cb");
    assert_eq!(catalog.participant_id.as_deref(), Some("provider"));
    assert_eq!(catalog.services.len(), 1);
    assert_eq!(catalog.services[0].endpoint_url, base);
    let dataset = catalog.find("asset-1").unwrap();
    let offer = dataset.offers.first().unwrap();
    assert_eq!(offer.id, capture["response"]["dataset"][0]["hasPolicy"][0]["@id"]);
    assert_eq!(
        offer.policy["permission"],
        capture["response"]["dataset"][0]["hasPolicy"][0]["permission"]
    );
    let formats: Vec<&str> = dataset.distributions.iter().map(|d| d.format.as_str()).collect();
    assert_eq!(formats, ["HttpData-PULL", "HttpData-PUSH"]);
    for distribution in &dataset.distributions {
        let Access::Service(service) = &distribution.access else { panic!("{distribution:?}") };
        assert_eq!(service.endpoint_url, base);
        assert_eq!(service.endpoint_description.as_deref(), Some("dspace:connector"));
    }
    // The same with the format spelled as its processor may do, and as an object.
    for format in [json!("HttpData-PULL"), json!({"@id": "HttpData-PULL"})] {
        let mut other = capture["response"].clone();
        let distribution = other["dataset"][0]["distribution"][0].as_object_mut().unwrap();
        distribution.remove("format");
        distribution.insert("dct:format".to_owned(), format);
        assert_eq!(Message::parse(&other), Ok(Message::Catalog(catalog.clone())));
    }
}
