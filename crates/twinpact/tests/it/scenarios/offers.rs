//! An offer that nobody has asked for: the kit has no scenario with one. The connector is told to
//! make it, and comes to an agreement with who accepts it.

use super::Connector;
use super::bodies::{KIT, typed};
use super::http::{Call, PATIENCE, Server, ask};
use super::kit::Forms;
use serde_json::{Value, json};
use std::sync::mpsc::channel;

const SCRIPT: &str = "
listen = \"127.0.0.1:0\"
peer = \"TCK_PARTICIPANT\"
organisation = \"did:web:connector.example\"
[[dataset]]
id = \"parts\"
";

const OURS: &str = "kit-offered";

/// What a consumer answers to a call.
fn answer(call: &Call) -> (u16, Option<Value>) {
    match call.path.as_str() {
        "/negotiations/offers" => {
            let opened = json!({ "providerPid": call.body["providerPid"], "consumerPid": OURS,
                "state": "OFFERED" });
            (201, Some(typed("ContractNegotiation", opened)))
        }
        _ => (200, None),
    }
}

#[test]
fn the_double_offers_when_it_is_told_to() {
    let (connector, forms) = (Connector::start(SCRIPT), Forms::load());
    let (calls, came) = channel();
    let server = Server::start(move |call| {
        let call = call.unwrap();
        let answer = answer(&call);
        calls.send(call).unwrap();
        answer
    });
    let next = |path: &str, kind: &str| {
        let call = came.recv_timeout(PATIENCE).unwrap();
        assert_eq!((call.path.as_str(), &call.body["@type"]), (path, &json!(kind)));
        forms.check(kind, &call.body).unwrap();
        call.body
    };
    let told = |dataset: &str| {
        let address = format!("http://{}", server.address);
        let what = json!({ "consumerId": KIT, "connectorAddress": address, "datasetId": dataset });
        ask(&connector.addresses.offers, Some(&what))
    };
    // A problem of RFC 9457, which is nothing of the protocol.
    assert!(told("others").unwrap_err().contains("application/problem+json"));
    let pid = told("parts").unwrap().body.unwrap()["pid"].as_str().unwrap().to_owned();
    let offered = next("/negotiations/offers", "ContractOfferMessage");
    assert_eq!(
        (&offered["providerPid"], &offered["offer"]["target"]),
        (&json!(pid), &json!("parts"))
    );
    assert_eq!(offered["callbackAddress"], json!(connector.addresses.dsp));
    let process = format!("{}/negotiations/{pid}", connector.addresses.dsp);
    let say = |leaf: &str, kind: &str, members: Value| {
        let mut body =
            json!({ "@id": format!("kit:{leaf}"), "providerPid": pid, "consumerPid": OURS });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(
            ask(&format!("{process}/{leaf}"), Some(&typed(kind, body))).unwrap().status,
            200
        );
    };
    say("events", "ContractNegotiationEventMessage", json!({ "eventType": "ACCEPTED" }));
    let at = format!("/negotiations/{OURS}");
    let agreed = next(&format!("{at}/agreement"), "ContractAgreementMessage");
    assert_eq!(agreed["agreement"]["assignee"], KIT);
    say("agreement/verification", "ContractAgreementVerificationMessage", json!({}));
    let end = next(&format!("{at}/events"), "ContractNegotiationEventMessage");
    assert_eq!(end["eventType"], "FINALIZED");
    let state = ask(&process, None).unwrap().body.unwrap();
    assert_eq!(state["state"], "FINALIZED");
    connector.stop();
}
