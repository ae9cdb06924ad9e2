//! What connectors of the EDC family say again under a new `@id`, and what we say again to them:
//! copies that come late are known, and none is sent of what was overtaken.

use crate::edc_forgets::{Asked, SECOND, agrees, finalizes, first, second};
use crate::edc_like::{Heard, Peer, Script, message, node, until};
use crate::of_others::known;
use crate::offering::{Answers, Offered, When, accepts, counters, less};
use serde_json::{Value, json};
use std::sync::Arc;
use twinpact_dsp::exchange::PEER_PATIENCE_S;
use twinpact_dsp::negotiation::State;
use twinpact_model::WallTime;
use twinpact_node::negotiations::{Wish, decide};
use twinpact_node::{deadlines, ids};
use twinpact_testkit::free_port;

fn copied(message: &Value) -> Value {
    let mut copy = message.clone();
    copy["@id"] = ids::urn().unwrap().into();
    copy
}

/// The agreement that holds comes once more under a new `@id` after the end.
#[tokio::test]
async fn a_late_copy_of_the_agreement_that_holds() {
    let asked = Asked::plainly().await;
    let sent = [first(), second()].map(|agreement| agrees(&asked.pid, &agreement));
    for message in &sent {
        asked.says("agreement", message).await;
        asked.verified().await;
    }
    asked.says("events", &finalizes(&asked.pid)).await;
    asked.holds(SECOND).await;
    for message in &sent {
        let before = known(asked.node(), &asked.pid);
        let (status, said) = asked.told("agreement", &copied(message)).await;
        assert_eq!(status, 200, "{said}");
        assert_eq!(known(asked.node(), &asked.pid), before);
    }
    asked.running.stop().await;
}

/// An acceptance comes once more under a new `@id`: when we have agreed, and after the end.
#[tokio::test]
async fn a_late_copy_of_an_acceptance() {
    comes_twice(|ours, _| Some(accepts(ours)), accepts).await;
}

/// What a connector answered, or says first, comes twice under new ids, and is known.
async fn comes_twice(answers: Answers, says: fn(&Value) -> (&'static str, Value)) {
    let offered = Offered::open(answers, When::Late, 201).await;
    let sent = offered.peer.hears("POST offers", 1).await;
    offered.is_taken().await;
    let (leaf, said) = says(&sent[0]);
    for message in [said.clone(), copied(&said)] {
        let (status, answer) = offered.told(leaf, &message).await;
        assert_eq!(status, 200, "{answer}");
        offered.ends().await;
    }
    offered.running.stop().await;
}

/// A counter-offer comes once more under a new `@id` after we have agreed to it.
#[tokio::test]
async fn a_late_copy_of_a_counter_offer() {
    comes_twice(|_, _| None, |ours| counters(ours, less)).await;
}

/// It has forgotten our verification, and our node has stopped before it was sent again. Asked
/// where it stands, it says so: it has agreed, and no more.
#[tokio::test]
async fn a_provider_that_says_that_it_has_no_verification() {
    let asked = Asked::open(|usual, _| {
        Arc::new(move |heard: Heard| {
            if !heard.what.starts_with("GET urn:") {
                return usual(heard);
            }
            let own = OWN.get().cloned().unwrap();
            let members = json!({ "providerPid": "urn:uuid:edc-2", "consumerPid": own,
                "state": "AGREED" });
            Box::pin(async move { (200, message("ContractNegotiation", members)) })
        })
    })
    .await;
    OWN.set(asked.pid.clone()).unwrap();
    asked.says("agreement", &agrees(&asked.pid, &first())).await;
    asked.verified().await;
    let asked = asked.started_again().await;
    let before = asked.peer.bodies("POST verification").len();
    let since = asked.verified().await.since;
    let late = WallTime(since.0.plus_seconds(PEER_PATIENCE_S + 1));
    assert_eq!(deadlines::fire(asked.node(), late).await.unwrap(), 1);
    asked.peer.hears("GET urn:uuid:edc-2", 1).await;
    asked.verified().await;
    let sent = asked.peer.hears("POST verification", before + 1).await;
    // Another message: this one may know the first by its `@id`, and not have its step.
    let (mut first, mut last) = (sent[0].clone(), sent[before].clone());
    assert_ne!(first["@id"].take(), last["@id"].take());
    assert_eq!(first, last);
    asked.running.stop().await;
}

static OWN: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// What has been overtaken is not sent again, though the process stands where it stood.
#[tokio::test]
async fn what_goes_again_is_the_last_that_we_said() {
    let port = free_port();
    let (running, _place) = node(port).await;
    let script: Script = Arc::new(|_| Box::pin(async { (200, Value::Null) }));
    let peer = Peer::open(port, script).await;
    let ours = &running.parts.node;
    let door = ours.connectors.endpoint().unwrap();
    let offers = |more: Value| {
        // Less than we ask for, so that it waits for a person.
        let bound = json!({ "leftOperand": "purpose", "operator": "isAnyOf",
            "rightOperand": ["urn:zero"] });
        let offer = json!({ "@id": "urn:offer", "@type": "Offer", "target": "asset-1",
            "permission": [{ "action": "use", "constraint": [bound] }] });
        let mut members = json!({ "providerPid": "urn:uuid:edc-2", "offer": offer });
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message("ContractOfferMessage", members)
    };
    let callback = format!("http://127.0.0.1:{port}/dsp/2025-1");
    let opens = offers(json!({ "callbackAddress": callback }));
    let url = format!("{door}/negotiations/offers");
    let (status, opened) = crate::edc_like::say(&url, &opens).await;
    assert_eq!(status, 201, "{opened}");
    let pid = opened["consumerPid"].as_str().unwrap();
    let asks = |purpose: &str| {
        let bound = json!({ "leftOperand": "purpose", "operator": "isAnyOf",
            "rightOperand": [purpose] });
        Wish::Counter(Some(json!({ "permission": [{ "action": "use", "constraint": [bound] }] })))
    };
    decide(ours, pid, asks("urn:one")).await.unwrap();
    let taken = async |state: State| {
        until(&running, |fold| {
            let one = &fold.processes.negotiations[pid];
            (one.state == state && one.post.unacknowledged.is_none()).then_some(())
        })
        .await;
    };
    taken(State::Requested).await;
    let again = offers(json!({ "consumerPid": pid }));
    let url = format!("{door}/negotiations/{pid}/offers");
    let (status, said) = crate::edc_like::say(&url, &again).await;
    assert_eq!(status, 200, "{said}");
    decide(ours, pid, asks("urn:two")).await.unwrap();
    taken(State::Requested).await;
    // The second of both, and what goes again after a quarter of a second and two more.
    let last = |heard: &[Heard]| {
        let two = heard.iter().filter(|one| one.body.to_string().contains("urn:two")).count();
        two == 3
    };
    let mut heard = peer.heard.subscribe();
    heard.wait_for(|heard| last(heard)).await.unwrap();
    let all = peer.bodies("POST request");
    let second = all.iter().position(|body| body.to_string().contains("urn:two")).unwrap();
    let late: Vec<&Value> =
        all[second..].iter().filter(|body| body.to_string().contains("urn:one")).collect();
    assert!(late.is_empty(), "{late:#?}");
    running.stop().await;
}
