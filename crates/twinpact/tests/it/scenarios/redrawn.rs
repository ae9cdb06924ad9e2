//! A provider that draws its agreement up anew while the double is at its script, which the kit
//! has no scenario of: the double goes on with the second, wherever it stood.

use super::Connector;
use super::bodies::{KIT, typed};
use super::http::{PATIENCE, Server, ask};
use serde_json::{Value, json};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

const PID: &str = "provider-1";
const ASKED: &str = "/negotiations/provider-1";

/// A script that wants the dataset `parts`, with that list of decisions, if there is one.
fn script(agreed: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\npeer = \"{KIT}\"\norganisation = \"did:web:connector.example\"\n\
         pause_ms = 300\n[[wanted]]\nid = \"parts\"\n{agreed}"
    )
}

/// What is sent of an agreement of that number.
fn agreement(number: u32, consumer: &Value) -> Value {
    let agreement = json!({
        "@id": format!("urn:agreement:{number}"), "@type": "Agreement", "target": "parts",
        "assigner": KIT, "assignee": "did:web:connector.example",
        "timestamp": format!("2026-11-30T08:00:0{number}Z"),
        "permission": [{ "action": "use" }],
    });
    let members = json!({ "@id": format!("urn:message:{number}"), "providerPid": PID,
        "consumerPid": consumer, "agreement": agreement });
    typed("ContractAgreementMessage", members)
}

/// `verified`: whether the second comes after the verification of the first.
fn check(agreed: &str, verified: bool, verifications: usize) {
    let connector = Connector::start(&script(agreed));
    let (calls, came) = channel();
    let known = Arc::new(Mutex::new(Value::Null));
    let server = Server::start(move |call| {
        let call = call.unwrap();
        let state = |state: &str, consumer: &Value| {
            let members = json!({ "providerPid": PID, "consumerPid": consumer, "state": state });
            Some(typed("ContractNegotiation", members))
        };
        let mut consumer = known.lock().unwrap();
        if call.body["consumerPid"].is_string() {
            *consumer = call.body["consumerPid"].clone();
        }
        match call.path.as_str() {
            // Asked where it stands: it has lost that the first was verified.
            ASKED => (200, state("AGREED", &consumer)),
            path => {
                let opens = path == "/negotiations/request";
                calls.send(call).unwrap();
                if opens { (201, state("REQUESTED", &consumer)) } else { (200, None) }
            }
        }
    });
    let next = || came.recv_timeout(PATIENCE).unwrap();
    let address = format!("http://{}", server.address);
    let what = json!({ "providerId": KIT, "connectorAddress": address, "datasetId": "parts",
        "offerId": "urn:offer:1" });
    ask(&connector.addresses.negotiations, Some(&what)).unwrap();
    let pid = next().body["consumerPid"].clone();
    let process = format!("{}/negotiations/{}", connector.addresses.dsp, pid.as_str().unwrap());
    let say = |leaf: &str, body: &Value| {
        assert_eq!(ask(&format!("{process}/{leaf}"), Some(body)).unwrap().status, 200, "{body}");
    };
    say("agreement", &agreement(1, &pid));
    let mut heard = 0;
    let mut hear = || {
        assert!(next().path.ends_with("/agreement/verification"));
        heard += 1;
    };
    if verified {
        hear();
    }
    say("agreement", &agreement(2, &pid));
    hear();
    let end = json!({ "@id": "urn:message:9", "providerPid": PID, "consumerPid": pid,
        "eventType": "FINALIZED" });
    say("events", &typed("ContractNegotiationEventMessage", end));
    let state = ask(&process, None).unwrap().body.unwrap();
    assert_eq!((heard, &state["state"]), (verifications, &json!("FINALIZED")), "{agreed}");
    connector.stop();
}

#[test]
fn the_double_goes_on_with_an_agreement_that_is_drawn_up_anew() {
    check("", true, 2);
    check("agreed = [\"verify\"]\n", true, 2);
    // The second comes during the pause before the first is verified.
    check("agreed = [\"pause, verify\"]\n", false, 1);
}
