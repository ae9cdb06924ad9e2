//! What the kit's side says: the JSON of its messages.

use super::scenario::{Message, Role, Scenario};
use serde_json::{Map, Value, json};

/// The one context of every message.
pub(crate) const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// Who we are to the connector under test, whatever we say in `Authorization`.
pub(crate) const KIT: &str = "TCK_PARTICIPANT";
/// In which form data are asked for.
pub(crate) const FORMAT: &str = "HttpData-PULL";

/// What a process is called, by its provider and its consumer.
#[derive(Debug)]
pub(crate) struct Pids<'a> {
    pub(crate) provider: &'a str,
    pub(crate) consumer: &'a str,
}

/// What our side says besides the ids of the process.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    /// The id of the message.
    pub(crate) id: String,
    /// Where we take messages.
    pub(crate) callback: &'a str,
    /// The participant whose connector is under test.
    pub(crate) connector: &'a str,
}

/// A body of the protocol: context and type, and these members.
pub(crate) fn typed(kind: &str, members: Value) -> Value {
    let mut body = Map::new();
    body.insert("@context".to_owned(), json!([CONTEXT]));
    body.insert("@type".to_owned(), kind.into());
    if let Value::Object(members) = members {
        body.extend(members);
    }
    Value::Object(body)
}

/// The state of a process of ours, which is what a first request is answered with.
pub(crate) fn status(row: &Scenario, pids: &Pids<'_>) -> Value {
    let (provider, consumer) = (pids.provider, pids.consumer);
    let members = json!({ "providerPid": provider, "consumerPid": consumer, "state": "REQUESTED" });
    typed(row.status(), members)
}

/// A message of our side.
pub(crate) fn message(row: &Scenario, message: Message, pids: &Pids<'_>, said: &Said<'_>) -> Value {
    let mut body = typed(
        row.kind(message),
        json!({ "@id": said.id, "providerPid": pids.provider, "consumerPid": pids.consumer }),
    );
    let Some(members) = body.as_object_mut() else { return body };
    if message == Message::Request {
        members.remove("providerPid");
        members.insert("callbackAddress".to_owned(), said.callback.into());
    }
    if let Value::Object(more) = content(row, message, said) {
        members.extend(more);
    }
    body
}

/// What a message has besides what all have.
fn content(row: &Scenario, message: Message, said: &Said<'_>) -> Value {
    let transfer = row.folder() == "transfers";
    match message {
        Message::Request if transfer => {
            json!({ "agreementId": row.subject(), "format": FORMAT })
        }
        Message::Request => json!({ "offer": policy("Offer", &row.offer(), row, &[]) }),
        Message::Counter => {
            json!({ "offer": policy("Offer", &row.offer(), row, &[("assignee", KIT)]) })
        }
        Message::Offer => {
            let parties = [("assigner", KIT), ("assignee", said.connector)];
            json!({ "offer": policy("Offer", &row.offer(), row, &parties) })
        }
        Message::Agreement => {
            let id = format!("agreement-{}", row.pid());
            let parties = [
                ("assigner", KIT),
                ("assignee", said.connector),
                ("timestamp", "2026-11-24T15:47:51.123Z"),
            ];
            let agreement = policy("Agreement", &id, row, &parties);
            json!({ "agreement": agreement, "callbackAddress": said.callback })
        }
        Message::Accepted => json!({ "eventType": "ACCEPTED" }),
        Message::Finalized => json!({ "eventType": "FINALIZED" }),
        // Who consumes and resumes says nothing about where the data are.
        Message::Start if row.role() == Role::Consumer => json!({ "dataAddress": {
            "@type": "DataAddress",
            "endpoint": "http://example.com",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        }}),
        Message::Suspension | Message::Termination => json!({ "code": "1" }),
        Message::Start | Message::Verification | Message::Completion => json!({}),
    }
}

/// A policy that allows use, with these members besides.
fn policy(kind: &str, id: &str, row: &Scenario, more: &[(&str, &str)]) -> Value {
    let mut policy = json!({
        "@id": id,
        "@type": kind,
        "target": row.subject(),
        "permission": [{ "action": "use" }],
    });
    for (name, value) in more {
        policy[*name] = (*value).into();
    }
    policy
}
