//! Every message of ours through a foreign JSON-LD processor and back: nothing may get lost.
//!
//! The processor is PyLD in `oracles/.venv`, built by `make test`.

use crate::outside::{shared, through};
use crate::samples::{agreement, all};
use serde_json::{Value, json};
use twinpact_dsp::Message;
use twinpact_dsp::message::ContractAgreement;

fn check(messages: &[Message]) {
    let Some(shared) = shared("the JSON-LD oracle") else { return };
    let before: Vec<Value> = messages.iter().map(Message::to_json).collect();
    let Some(results) = through(&shared, &before) else { return };
    for (message, result) in messages.iter().zip(results) {
        for form in ["compact", "full", "expanded"] {
            let (before, after) = (message.to_json(), &result[form]);
            assert_eq!(Message::parse(after), Message::parse(&before), "{form}: {result:#}");
            assert!(Message::parse(after).is_ok(), "{form}: {result:#}");
        }
    }
}

#[test]
fn our_messages_survive_a_foreign_processor() {
    // The version document is plain JSON and knows no context.
    check(&all().into_iter().filter(|m| m.name() != "VersionResponse").collect::<Vec<_>>());
}

#[test]
fn policies_survive_a_foreign_processor() {
    let purpose = "http://www.w3.org/ns/odrl/2/purpose";
    let right = |value: Value| {
        json!({"permission": [{"action": "use", "constraint": [
            {"leftOperand": purpose, "operator": "eq", "rightOperand": value}
        ]}]})
    };
    let policies = [
        right(json!("a")),
        right(json!(["a", "b"])),
        right(json!({"@id": "https://w3id.org/twinpact/purpose/X"})),
        right(json!([{"@id": "https://a.example/x"}, {"@id": "https://a.example/y"}])),
        right(json!({"@type": "http://www.w3.org/2001/XMLSchema#integer", "@value": "5"})),
        right(json!([5])),
        right(json!([true])),
        json!({"permission": [{"action": "use"}, {"action": "use"}]}),
        json!({
            "profile": ["https://a.example/p", "https://a.example/q"],
            "prohibition": [{"action": "http://www.w3.org/ns/odrl/2/sell", "constraint": [
                {"and": [
                    {"leftOperand": purpose, "operator": "neq", "rightOperand": "x"},
                    {"xone": [{"leftOperand": purpose, "operator": "isA", "rightOperand": "y"}]}
                ]}
            ]}],
            "obligation": [{"action": "http://www.w3.org/ns/odrl/2/delete"}]
        }),
    ];
    let message = |policy: Value| {
        let mut agreement = agreement();
        agreement.policy = policy.into();
        let pids = crate::samples::pids();
        Message::ContractAgreement(ContractAgreement { id: None, pids, agreement })
    };
    check(&policies.into_iter().map(message).collect::<Vec<_>>());
}
