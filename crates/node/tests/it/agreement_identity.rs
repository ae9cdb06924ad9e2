//! An agreement is the same one after a foreign connector's JSON-LD processor had it: whichever
//! form it comes back in, its identity (docs/format.md) is equal, so both sides sign one thing.

use crate::outside::{json_files, project, shared, through};
use crate::rewriting::rewritten;
use serde_json::{Value, json};
use twinpact_contract::Contract;
use twinpact_dsp::Message;
use twinpact_dsp::message::{Agreement, ContractAgreement, Offer, Pids};
use twinpact_model::Timestamp;
use twinpact_node::agreements::identity;
use twinpact_proof::{Digest, to_hex};

/// The forms that the processor gives: compacted, with full IRIs for names, expanded.
const FORMS: [&str; 3] = ["compact", "full", "expanded"];

fn agreement_of(value: &Value) -> Agreement {
    match Message::parse(value) {
        Ok(Message::ContractAgreement(message)) => message.agreement,
        other => panic!("{other:?} of {value:#}"),
    }
}

fn id_of(value: &Value) -> Digest {
    let wire = agreement_of(value);
    identity(&wire).unwrap_or_else(|problem| panic!("{problem:?} of {value:#}")).0
}

/// The contract of the demo with that in place of one of its lines.
fn contract(was: &str, now: &str) -> Contract {
    let path = project().join("examples/wind/turbine-maintenance.odcs.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(was), "{was}");
    Contract::parse(text.replace(was, now).as_bytes()).unwrap()
}

/// The message by which our own code concludes an agreement on that contract.
fn concluded(contract: &Contract) -> Value {
    let offer = Offer {
        id: "urn:twinpact:offer:1".to_owned(),
        target: Some(contract.view_id()),
        assigner: None,
        assignee: None,
        policy: Value::Object(contract.terms().to_odrl()).into(),
    };
    let (assigner, assignee) = (contract.tenant.as_str(), "did:web:maker.example");
    let at = Timestamp::parse("2026-11-23T10:00:00.123456+01:00").unwrap();
    let agreement = Agreement::of(&offer, "urn:uuid:1", assigner, assignee, at).unwrap();
    let pids = Pids { provider: "urn:uuid:p".to_owned(), consumer: "urn:uuid:c".to_owned() };
    Message::ContractAgreement(ContractAgreement { id: None, pids, agreement }).to_json()
}

/// Agreements on the demo's contract and on some with other terms.
fn ours() -> Vec<Value> {
    let purpose = r#"["https://w3id.org/twinpact/purpose/PredictiveMaintenance"]"#;
    let two = "[\"https://w3id.org/twinpact/purpose/PredictiveMaintenance\", \
               \"https://w3id.org/twinpact/purpose/QualityAssurance\"]";
    let schedule = "leftOperand: https://w3id.org/twinpact/odrl/localSchedule
              operator: isPartOf
              rightOperand: \"Mo-Fr 07:00-19:00 [Europe/Paris]\"";
    let until = "leftOperand: http://www.w3.org/ns/odrl/2/dateTime
              operator: lt
              rightOperand: \"2027-01-01T00:00:00Z\"";
    [
        contract("name: turbine-maintenance", "name: turbine-maintenance"),
        contract("operator: isAnyOf", "operator: isNoneOf"),
        contract(purpose, two),
        contract(
            "operator: isPartOf\n              rightOperand: https",
            "operator: eq\n              rightOperand: https",
        ),
        contract(schedule, until),
        contract("rightOperand: P14D", "rightOperand: PT36H"),
    ]
    .iter()
    .map(concluded)
    .collect()
}

fn check(shared: &std::path::Path, messages: &[Value]) {
    let Some(results) = through(shared, messages) else { return };
    for (message, result) in messages.iter().zip(&results) {
        let before = id_of(message);
        for form in FORMS {
            let after = &result[form];
            assert!(!after.is_null(), "{form}: {result:#}");
            assert_eq!(to_hex(&id_of(after)), to_hex(&before), "{form}: {after:#}");
        }
    }
}

#[test]
fn our_agreements_keep_their_identity_through_a_foreign_processor() {
    let Some(shared) = shared("the JSON-LD oracle") else { return };
    check(&shared, &ours());
}

#[test]
fn a_given_agreement_keeps_its_identity_through_a_foreign_processor() {
    let Some(shared) = shared("the JSON-LD oracle") else { return };
    let path = shared.join("design/examples/agreement-message.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no shared data for: {}", path.display());
        return;
    };
    check(&shared, &[serde_json::from_str(&text).unwrap()]);
}

/// An Eclipse connector makes texts of lists, IRIs and typed literals; the agreement that it sends
/// back is still the one that was offered to it.
#[test]
fn our_agreements_keep_their_identity_through_an_eclipse_connector() {
    let purposes = json!([
        {"@id": "https://w3id.org/twinpact/purpose/QualityAssurance"},
        {"@id": "https://w3id.org/twinpact/purpose/PredictiveMaintenance"},
    ]);
    let period = json!({"@type": "http://www.w3.org/2001/XMLSchema#duration", "@value": "P14D"});
    let mut all = ours();
    for (place, value) in [
        ("/agreement/permission/0/constraint/0/rightOperand", purposes),
        ("/agreement/obligation/0/constraint/0/rightOperand", period),
    ] {
        let mut other = ours().swap_remove(0);
        *other.pointer_mut(place).unwrap() = value;
        all.push(other);
    }
    for message in all {
        let mut sent = message.clone();
        let policy = rewritten(message["agreement"].as_object().unwrap());
        sent["agreement"] = Value::Object(policy);
        assert_ne!(sent, message);
        assert_eq!(to_hex(&id_of(&sent)), to_hex(&id_of(&message)), "{sent:#}");
    }
}

/// The agreement of the demo with the rules of that policy.
fn with_rules(policy: &Value) -> Value {
    let mut message = ours().swap_remove(0);
    let agreement = message["agreement"].as_object_mut().unwrap();
    for key in ["permission", "prohibition", "obligation", "profile"] {
        agreement.shift_remove(key);
        if let Some(rules) = policy.get(key) {
            agreement.insert(key.to_owned(), rules.clone());
        }
    }
    message
}

/// The policies of the Catena-X suite, of single conditions the one that it belongs into.
fn catena_x(shared: &std::path::Path) -> Vec<Value> {
    let files = json_files(&shared.join("suites/catenax-odrl/schema/samples"), ".json");
    let read = |path: &std::path::PathBuf| {
        let sample: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let Some(left) = sample["leftOperand"].as_str() else { return sample };
        let rule = |action: &str| json!([{"action": action, "constraint": [sample]}]);
        let open = json!([{"action": "use"}]);
        match left {
            _ if left.starts_with("DataProvisioningEnd") => {
                json!({"permission": open, "obligation": rule("use")})
            }
            "UsageRestriction" => json!({"permission": open, "prohibition": rule("use")}),
            _ if left.starts_with("BusinessPartner") => json!({"permission": rule("access")}),
            _ => json!({"permission": rule("use")}),
        }
    };
    files.iter().map(read).collect()
}

/// Each Catena-X policy is one agreement: as it is written there, as we send it, and as an Eclipse
/// connector sends either on, once and twice.
#[test]
fn catena_x_agreements_have_one_identity_before_and_after_an_eclipse_connector() {
    let Some(shared) = shared("the Catena-X policies") else { return };
    let mut ids = std::collections::BTreeSet::new();
    let mut full = Vec::new();
    for policy in catena_x(&shared) {
        let given = with_rules(&policy);
        let (before, policy) = identity(&agreement_of(&given)).unwrap();
        let written = with_rules(&Value::Object(policy.to_odrl()));
        for message in [&given, &written] {
            let mut sent = message.clone();
            for _ in 0..2 {
                let policy = rewritten(sent["agreement"].as_object().unwrap());
                sent["agreement"] = Value::Object(policy);
                assert!(sent["agreement"].get("profile").is_none());
                assert_eq!(to_hex(&id_of(&sent)), to_hex(&before), "{sent:#}");
            }
        }
        ids.insert(before);
        full.push(written);
    }
    assert!(ids.len() >= 33, "{} different agreements", ids.len());
    // A JSON-LD processor of another make has what we send.
    check(&shared, &full);
}

/// The prefix of the profile before is that of its own context, which stands in the message.
#[test]
fn a_policy_of_the_profile_before_is_read_by_the_context_that_it_comes_with() {
    let Some(shared) = shared("the Catena-X policies") else { return };
    let path = shared.join("suites/catenax-odrl/example_usage_policy.json");
    let policy: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut message = with_rules(&policy);
    let context = message["@context"].as_array_mut().unwrap();
    context.push(policy["@context"][1].clone());
    let (before, read) = identity(&agreement_of(&message)).unwrap();
    let names: Vec<String> = read.undecided().map(twinpact_contract::Undecided::iri).collect();
    assert_eq!(names.len(), 3);
    assert!(
        names.iter().all(|iri| iri.starts_with("https://w3id.org/catenax/policy/")),
        "{names:?}"
    );
    let written = with_rules(&Value::Object(read.to_odrl()));
    let mut sent = written.clone();
    sent["agreement"] = Value::Object(rewritten(written["agreement"].as_object().unwrap()));
    for message in [written, sent] {
        assert_eq!(to_hex(&id_of(&message)), to_hex(&before), "{message:#}");
    }
}

#[test]
fn every_part_of_an_agreement_counts_in_its_identity() {
    let message = concluded(&contract("name: turbine-maintenance", "name: turbine-maintenance"));
    let mut seen = vec![id_of(&message)];
    for (place, now) in [
        ("/agreement/@id", json!("urn:uuid:2")),
        ("/agreement/target", json!("https://operator.example/id/views/other/1.0.0")),
        ("/agreement/assigner", json!("did:web:other.example")),
        ("/agreement/assignee", json!("did:web:other.example")),
        ("/agreement/timestamp", json!("2026-11-23T09:00:01Z")),
        ("/agreement/permission/0/constraint/0/operator", json!("isNoneOf")),
        ("/agreement/obligation/0/constraint/0/rightOperand", json!("P15D")),
    ] {
        let mut other = message.clone();
        *other.pointer_mut(place).unwrap() = now;
        let id = id_of(&other);
        assert!(!seen.contains(&id), "{place}");
        seen.push(id);
    }
    // The same instant in another spelling is the same; so is a period.
    for (place, now) in [
        ("/agreement/timestamp", "2026-11-23T10:00:00.000+01:00"),
        ("/agreement/obligation/0/constraint/0/rightOperand", "PT336H"),
        ("/agreement/obligation/0/action", "delete"),
    ] {
        let mut same = message.clone();
        *same.pointer_mut(place).unwrap() = json!(now);
        assert_eq!(id_of(&same), seen[0], "{place}");
    }
}
