//! Our messages against the protocol's JSON Schemas, its examples against our reader.

use crate::outside::{FOLDERS, Schemas, json_files, shared};
use crate::samples::{all, rare};
use serde_json::Value;
use std::path::{Path, PathBuf};
use twinpact_dsp::Message;

/// The JSON of a file.
fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn what_we_write_is_valid() {
    let Some(shared) = shared("the protocol's schemas") else { return };
    let schemas = Schemas::load(&shared);
    let mut checked = 0;
    for message in all().into_iter().chain(rare()) {
        // The protocol has no schema for this one.
        if message.name() == "VersionsError" {
            continue;
        }
        let json = message.to_json();
        let errors: Vec<String> =
            schemas.of(message.name()).iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{json:#}\n{errors:#?}");
        checked += 1;
    }
    assert!(checked >= 48, "{checked}");
}

/// The schemas are really applied: a message that breaks one is found out.
#[test]
fn the_schemas_bite() {
    let Some(shared) = shared("the protocol's schemas") else { return };
    let schemas = Schemas::load(&shared);
    let mut broken = 0;
    for message in all() {
        let mut json = message.to_json();
        let Some(object) = json.as_object_mut() else { continue };
        if message.name() == "VersionsError" || object.remove("@type").is_none() {
            continue;
        }
        // The schemas of a catalogue and a dataset on their own do not ask for it.
        if message.name() != "Dataset" {
            assert!(!schemas.of(message.name()).is_valid(&json), "{json:#}");
            broken += 1;
        }
    }
    assert!(broken >= 35, "{broken}");
}

#[test]
fn what_we_write_reads_back() {
    for message in all().into_iter().chain(rare()) {
        let json = message.to_json();
        assert_eq!(Message::parse(&json), Ok(message.clone()), "{json:#}");
        let bytes = json.to_string();
        assert_eq!(Message::parse_bytes(bytes.as_bytes()), Ok(message.clone()));
        assert!(!bytes.contains("null"), "{bytes}");
        let stored: Message =
            serde_json::from_value(serde_json::to_value(&message).unwrap()).unwrap();
        assert_eq!(stored, message);
    }
}

#[test]
fn the_examples_read_back() {
    let Some(shared) = shared("the protocol's examples") else { return };
    let schemas = Schemas::load(&shared);
    let mut files: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|f| json_files(&shared.join("suites/dsp").join(f).join("example"), ".json"))
        .filter(|path| !path.to_string_lossy().ends_with("did-service.json"))
        .collect();
    files.push(shared.join("design/examples/agreement-message.json"));
    assert!(files.len() >= 23, "{}", files.len());
    for path in files {
        let example = read(&path);
        let message = Message::parse(&example).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let ours = message.to_json();
        assert_eq!(Message::parse(&ours), Ok(message.clone()), "{path:?}");
        assert!(schemas.of(message.name()).is_valid(&ours), "{path:?} {ours:#}");
        assert_eq!(trimmed(&ours), trimmed(&example), "{path:?}");
    }
}

/// What we leave out on purpose: empty lists, and an address that an agreement need not carry.
fn trimmed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let agreement = members.get("@type") == Some(&"ContractAgreementMessage".into());
            let kept = members.iter().filter(|(key, value)| {
                let callback = agreement && *key == "callbackAddress";
                !callback && value.as_array().is_none_or(|items| !items.is_empty())
            });
            Value::Object(
                kept.map(|(k, v)| match v.as_array().map(Vec::as_slice) {
                    Some([one]) if k == "rightOperand" => (k.clone(), trimmed(one)),
                    _ => (k.clone(), trimmed(v)),
                })
                .collect(),
            )
        }
        Value::Array(items) => items.iter().map(trimmed).collect(),
        other => other.clone(),
    }
}

#[test]
fn real_messages_of_another_connector_are_read() {
    let Some(shared) = shared("captured messages") else { return };
    let mut read_count = 0;
    for path in json_files(&shared.join("peers/edc/captures"), ".json") {
        let capture = read(&path);
        for side in ["request", "response"] {
            if capture[side].is_object() {
                let message = Message::parse(&capture[side]);
                let message = message.unwrap_or_else(|e| panic!("{path:?} {side}: {e}"));
                assert_eq!(Message::parse(&message.to_json()), Ok(message));
                read_count += 1;
            }
        }
    }
    assert!(read_count >= 9, "{read_count}");
}

/// Our term table against the contexts: every type, state and ODRL term is known, under all three
/// spellings, and nothing else is.
#[test]
fn the_term_table_is_the_context() {
    let Some(shared) = shared("the protocol's contexts") else { return };
    let folder = shared.join("suites/dsp/context");
    let prefixes = ["xsd", "dct", "dcat", "odrl", "dspace"];
    let odrl = read(&folder.join("odrl.jsonld"));
    let odrl = odrl["@context"].as_object().unwrap();
    let expand = |iri: &str| {
        let (prefix, local) = iri.split_once(':').unwrap();
        let dspace = read(&folder.join("dspace.jsonld"));
        format!("{}{local}", dspace["@context"][prefix].as_str().unwrap())
    };
    for (name, term) in odrl.iter().filter(|(name, _)| *name != "odrl") {
        let iri = term.as_str().or_else(|| term["@id"].as_str()).unwrap();
        for spelling in [name.clone(), iri.to_owned(), expand(iri)] {
            let policy = serde_json::json!({spelling.clone(): "urn:x"});
            let normal = twinpact_dsp::policy_form::normalise(policy.as_object().unwrap()).unwrap();
            assert!(normal.contains_key(name), "{spelling} {normal:?}");
        }
    }
    let dspace = read(&folder.join("dspace.jsonld"));
    let dspace = dspace["@context"].as_object().unwrap().clone();
    let terms =
        dspace.iter().filter(|(n, _)| !n.starts_with('@') && !prefixes.contains(&n.as_str()));
    for (name, term) in terms {
        let iri = term.as_str().or_else(|| term["@id"].as_str()).unwrap();
        for spelling in [iri.to_owned(), expand(iri)] {
            let policy = serde_json::json!({"@type": spelling});
            let normal = twinpact_dsp::policy_form::normalise(policy.as_object().unwrap()).unwrap();
            assert_eq!(normal["@type"], name.as_str(), "{spelling}");
        }
    }
}
