//! Which members a message needs, the bounds of its lists and bytes, and messages that are none.
//! What is said of each member in turn is in `bad_members`.

use crate::samples::all;
use serde_json::{Value, json};
use twinpact_dsp::message::{MAX_DATASETS, MAX_ITEMS, MAX_NESTING, MAX_PROPERTIES, MAX_REASONS};
use twinpact_dsp::{MAX_DEPTH, MAX_MESSAGE_BYTES, Message, Status};

/// Members that may be absent.
const OPTIONAL: [&str; 22] = [
    "@id",
    "code",
    "reason",
    "filter",
    "dataAddress",
    "endpoint",
    "endpointProperties",
    "dct:title",
    "dct:description",
    "service",
    "dataset",
    "catalog",
    "endpointDescription",
    "serviceId",
    "identifierType",
    "auth",
    "profile",
    "assigner",
    "assignee",
    "permission",
    "prohibition",
    "obligation",
];

/// Every place in a message, as JSON pointers, policies not entered.
fn places(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                let rules = ["permission", "prohibition", "obligation"].contains(&key.as_str());
                out.push(place.clone());
                if !rules && !key.starts_with("@context") {
                    places(inner, place, out);
                }
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                places(inner, format!("{at}/{i}"), out);
            }
        }
        _ => {}
    }
}

fn remove(message: &Value, place: &str) -> Value {
    let mut out = message.clone();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    out.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(&key);
    out
}

/// An error message may be about a process that is not known to its sender.
fn may_miss(message: &Message, key: &str, place: &str) -> bool {
    let inner = place.matches('/').count() > 1;
    let error = message.name().ends_with("Error") && key.ends_with("Pid");
    let target = key == "target" && message.name() == "ContractRequestMessage";
    let timestamp = key == "timestamp";
    let participant = key == "participantId" && inner;
    let inner_type = key == "@type" && inner;
    // Of a nested catalogue.
    let distribution = key == "distribution" && message.name() == "Catalog";
    let id =
        key == "@id" && !inner && !matches!(message, Message::Catalog(_) | Message::Dataset(_));
    let optional = key != "@id" && OPTIONAL.contains(&key);
    let told = place.contains("conformsTo");
    told || error
        || target
        || timestamp
        || participant
        || inner_type
        || distribution
        || id
        || optional
}

#[test]
fn a_missing_member_is_named() {
    let mut refused = 0;
    for message in all() {
        let json = message.to_json();
        let mut found = Vec::new();
        places(&json, String::new(), &mut found);
        for place in found {
            let key = place.rsplit('/').next().unwrap();
            let key = key.replace("~1", "/");
            let parent = json.pointer(place.rsplit_once('/').unwrap().0).unwrap();
            if !parent.is_object() {
                continue;
            }
            let got = Message::parse(&remove(&json, &place));
            if may_miss(&message, &key, &place) {
                continue;
            }
            let error = got.expect_err(&format!("{} without {place}", message.name()));
            assert_eq!(error.status, Status::BadRequest);
            assert_eq!(error.code.name, "dsp.malformed");
            assert!(!error.reason.is_empty());
            refused += 1;
        }
    }
    assert!(refused > 150, "{refused}");
}

#[test]
fn lists_and_depth_have_bounds() {
    let context = json!(["https://w3id.org/dspace/2025/1/context.jsonld"]);
    let pids = json!({"@context": context, "providerPid": "p", "consumerPid": "c"});
    let check = |mut message: Value, kind: &str, ok: bool| {
        message["@type"] = json!(kind);
        let got = Message::parse(&message);
        assert_eq!(got.is_ok(), ok, "{kind}: {:?}", got.err());
    };
    for (n, ok) in [(MAX_REASONS, true), (MAX_REASONS + 1, false)] {
        let mut message = pids.clone();
        message["reason"] = json!(vec!["x"; n]);
        check(message, "TransferTerminationMessage", ok);
    }
    for (n, ok) in [(MAX_PROPERTIES, true), (MAX_PROPERTIES + 1, false)] {
        let mut message = pids.clone();
        let property = json!({"@type": "EndpointProperty", "name": "n", "value": "v"});
        message["dataAddress"] =
            json!({"endpointType": "t", "endpointProperties": vec![property; n]});
        check(message, "TransferStartMessage", ok);
    }
    let distribution = json!({"format": "f", "accessService": "s"});
    let policy = json!({"@id": "o", "permission": [{"action": "use"}]});
    let dataset = json!({"@id": "d", "hasPolicy": policy, "distribution": distribution});
    let catalog = json!({"@context": context, "@id": "c", "participantId": "p"});
    for (n, ok) in [(MAX_DATASETS, true), (MAX_DATASETS + 1, false)] {
        let mut message = catalog.clone();
        message["dataset"] = json!(vec![dataset.clone(); n]);
        check(message, "Catalog", ok);
    }
    for (n, ok) in [(MAX_ITEMS, true), (MAX_ITEMS + 1, false)] {
        let mut message = dataset.clone();
        message["@context"] = context.clone();
        message["distribution"] = json!(vec![distribution.clone(); n]);
        check(message, "Dataset", ok);
    }
    for (n, ok) in [(MAX_NESTING, true), (MAX_NESTING + 1, false)] {
        let nested =
            (1..n).fold(json!({"@id": "c"}), |inner, _| json!({"@id": "c", "catalog": [inner]}));
        let mut message = nested;
        message["@context"] = context.clone();
        message["participantId"] = json!("p");
        check(message, "Catalog", ok);
    }
    let deep = (0..MAX_DEPTH).fold(json!("x"), |inner, _| json!([inner]));
    let mut message = catalog.clone();
    message["x"] = deep;
    check(message, "Catalog", false);
}

#[test]
fn bytes_have_a_bound() {
    let message = all().remove(3).to_json().to_string();
    let padded = |n: usize| format!("{message}{}", " ".repeat(n - message.len()));
    assert!(Message::parse_bytes(padded(MAX_MESSAGE_BYTES).as_bytes()).is_ok());
    let error = Message::parse_bytes(padded(MAX_MESSAGE_BYTES + 1).as_bytes()).unwrap_err();
    assert_eq!(error.code.name, "dsp.too_large");
    assert!(Message::parse_catalog_bytes(padded(MAX_MESSAGE_BYTES + 1).as_bytes()).is_ok());
}

#[test]
fn odd_messages_are_refused() {
    let context = "https://w3id.org/dspace/2025/1/context.jsonld";
    let full = "https://w3id.org/dspace/2025/1/CatalogRequestMessage";
    for (message, ok) in [
        (json!({"@context": [context], "@type": "CatalogRequestMessage"}), true),
        (json!({"@context": context, "@type": ["CatalogRequestMessage"]}), true),
        (json!({"@context": ["https://x.example", context], "@type": "dspace:CatalogError"}), true),
        (json!({"@type": full}), true),
        (json!([{"@type": [full]}]), true),
        (json!({"@type": "CatalogRequestMessage"}), false),
        (json!({"@context": [], "@type": "CatalogRequestMessage"}), false),
        (json!({"@context": ["https://x.example"], "@type": "CatalogRequestMessage"}), false),
        (
            json!({"@context": [context, {"offer": "urn:x"}], "@type": "CatalogRequestMessage"}),
            true,
        ),
        (
            json!({"@context": [context, {"odrl": "urn:x"}], "@type": "CatalogRequestMessage"}),
            false,
        ),
        (json!({"@context": [context], "@type": "Nothing"}), false),
        (json!({"@context": [context], "@type": 1}), false),
        (json!({"@context": [context]}), false),
        (json!({"protocolVersions": []}), false),
        (json!([]), false),
        (json!([1, 2]), false),
        (json!("x"), false),
        (json!(null), false),
    ] {
        assert_eq!(Message::parse(&message).is_ok(), ok, "{message}");
    }
    let request = |change: &dyn Fn(&mut Value)| {
        let mut message = crate::samples::contract_request(crate::samples::opens(), None).to_json();
        change(&mut message);
        Message::parse(&message).is_ok()
    };
    assert!(request(&|_| {}));
    assert!(!request(&|m| m["providerPid"] = json!("p")), "both of two that exclude each other");
    assert!(!request(&|m| m["dspace:consumerPid"] = json!("c")), "one member in two spellings");
    assert!(!request(&|m| m["offer"]["@type"] = json!("Agreement")));
    assert!(!request(&|m| {
        let offer = m["offer"].as_object_mut().unwrap();
        offer.retain(|key, _| key != "permission" && key != "prohibition");
    }));
    assert!(!request(&|m| m["offer"]["odrl:target"] = json!("x")));
    for address in ["ftp://x", "https://", "x", "https://a b", "https://a/?q", "https://u@h/", ""] {
        assert!(!request(&|m| m["callbackAddress"] = json!(address)), "{address}");
    }
    for address in ["https://a/x/../y", "https://a/./x", "https://a/%2E%2e/x", "https://a/x/.."] {
        assert!(!request(&|m| m["callbackAddress"] = json!(address)), "{address}");
    }
    assert!(request(&|m| m["callbackAddress"] = json!("https://a.example/...x/.y")));
    assert!(request(&|m| m["callbackAddress"] = json!("http://h:1/x/")));
    for pid in ["", ".", "..", "a\u{0}"] {
        assert!(!request(&|m| m["consumerPid"] = json!(pid)), "{pid:?}");
    }
}
