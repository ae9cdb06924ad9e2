//! A consumer that means ill and has all that a partner has: it bargains for more than is offered,
//! jumps over states, speaks for the other side, of others' processes and twice. Each attempt is
//! refused with a code, agrees to nothing and moves nothing. Bodies that are no message are in
//! `door`, tokens and assertions in the tests of `gateway` (`forged`).

use crate::door::refused_offer;
use crate::liveness::{requested, started};
use crate::operator::{CALLBACK, Operator, contract_request, message, peer, transfer_request};
use serde_json::{Value, json};
use twinpact_model::Did;
use twinpact_node::{open, partners, prove};

/// The same offer but for one thing.
fn changed(offer: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut other = offer.clone();
    change(&mut other);
    assert_ne!(&other, offer, "nothing was changed");
    other
}

fn constraints(offer: &mut Value) -> &mut Vec<Value> {
    offer["permission"][0]["constraint"].as_array_mut().unwrap()
}

fn right_of(offer: &mut Value, left: &str, value: Value) {
    let ends = |one: &&mut Value| one["leftOperand"].as_str().unwrap().ends_with(left);
    constraints(offer).iter_mut().find(ends).unwrap()["rightOperand"] = value;
}

#[tokio::test]
async fn nobody_is_given_more_than_is_offered() {
    let operator = Operator::open().await;
    let good = operator.offer().await;
    let region = |name: &str| json!(format!("https://w3id.org/twinpact/region/{name}"));
    let purpose = json!("https://w3id.org/twinpact/purpose/Benchmarking");
    let all_week = json!("Mo-Su 00:00-24:00 [Europe/Paris]");
    let more: Vec<(&str, Value)> = vec![
        ("another purpose", changed(&good, |o| right_of(o, "purpose", purpose.clone()))),
        ("another place", changed(&good, |o| right_of(o, "spatial", region("US")))),
        ("more hours", changed(&good, |o| right_of(o, "localSchedule", all_week.clone()))),
        ("no constraint", changed(&good, |o| constraints(o).clear())),
        ("one constraint fewer", changed(&good, |o| drop(constraints(o).pop()))),
        (
            "another permission",
            changed(&good, |o| {
                let mut permission = o["permission"][0].clone();
                permission["constraint"] = json!([]);
                o["permission"].as_array_mut().unwrap().push(permission);
            }),
        ),
        ("no permission", changed(&good, |o| o["permission"] = json!([]))),
        ("no obligation", changed(&good, |o| o["obligation"] = json!([]))),
        ("another dataset", changed(&good, |o| o["target"] = json!("urn:twinpact:other"))),
        ("another assigner", changed(&good, |o| o["assigner"] = json!("did:web:other.example"))),
        ("another assignee", changed(&good, |o| o["assignee"] = json!("did:web:other.example"))),
        ("another offer", changed(&good, |o| o["@id"] = json!("urn:twinpact:offer:none"))),
    ];
    for (n, (what, offer)) in more.iter().enumerate() {
        let code = refused_offer(&operator, &format!("urn:c:{n}"), offer).await;
        assert!(!code.is_empty(), "{what}: {code}");
    }
    // And the one that is offered is agreed to after all of these.
    let request = contract_request("urn:c:good", CALLBACK, &good).to_string();
    let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    operator.parts.stop();
}

fn pids(pid: &str) -> Value {
    json!({ "providerPid": pid, "consumerPid": "urn:c:1" })
}

/// A message of that process with these members more.
fn of(pid: &str, kind: &str, more: Value) -> String {
    let mut members = pids(pid);
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message(kind, members).to_string()
}

#[tokio::test]
async fn no_state_is_jumped_over_and_nobody_speaks_for_the_other_side() {
    let operator = Operator::open().await;
    let pid = requested(&operator).await;
    let offer = operator.offer().await;
    let event =
        |name: &str| of(&pid, "ContractNegotiationEventMessage", json!({ "eventType": name }));
    let verification = "ContractAgreementVerificationMessage";
    let counter = json!({ "offer": offer });
    let other_pid =
        message(verification, json!({ "providerPid": pid, "consumerPid": "urn:c:another" }));
    for (what, path, body, status, code) in [
        ("to accept what was not offered", "events", event("ACCEPTED"), 400, "dsp.transition"),
        (
            "to finalize in the provider's place",
            "events",
            event("FINALIZED"),
            400,
            "dsp.transition",
        ),
        (
            "to counter when it is agreed",
            "request",
            of(&pid, "ContractRequestMessage", counter.clone()),
            400,
            "dsp.transition",
        ),
        ("under another name", "agreement/verification", other_pid.to_string(), 404, "dsp.unknown"),
        (
            "the provider's offer",
            "offers",
            of(&pid, "ContractOfferMessage", counter.clone()),
            400,
            "dsp.transition",
        ),
        (
            "a message of another endpoint",
            "events",
            of(&pid, verification, json!({})),
            400,
            "dsp.malformed",
        ),
    ] {
        let path = format!("/negotiations/{pid}/{path}");
        operator.refuses(&path, body.as_bytes(), status, code).await;
        let agreements =
            operator.parts.node.partition.read(|fold, _| fold.agreements.iter().count());
        assert_eq!(agreements.unwrap(), 0, "{what}");
    }
    // The same request again is the same negotiation; another one under its id is refused.
    let request = contract_request("urn:c:1", CALLBACK, &offer).to_string();
    let again = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    assert_eq!((again.status, again.body["providerPid"].as_str()), (201, Some(pid.as_str())));
    let other = changed(&offer, |o| o["@id"] = json!("urn:twinpact:offer:none"));
    let other = contract_request("urn:c:1", CALLBACK, &other).to_string();
    operator.refuses("/negotiations/request", other.as_bytes(), 400, "dsp.conflict").await;
    operator.parts.stop();
}

#[tokio::test]
async fn a_transfer_is_under_an_agreement_of_the_caller_and_moved_by_whose_turn_it_is() {
    let operator = Operator::open().await;
    let request = |agreement: &str, format: &str| {
        let mut request = transfer_request("urn:t:1", CALLBACK, format);
        request["agreementId"] = agreement.into();
        request.to_string()
    };
    let body = request("urn:agreement:none", "HttpData-PULL");
    operator.refuses("/transfers/request", body.as_bytes(), 400, "agreement.unknown").await;
    let opened = operator.parts.node.partition.read(|fold, _| fold.processes.transfers.len());
    assert_eq!(opened.unwrap(), 0);
    let pid = started(&operator).await;
    for (path, kind, more, status, code) in [
        ("start", "TransferStartMessage", json!({}), 400, "dsp.transition"),
        ("suspension", "TransferStartMessage", json!({}), 400, "dsp.malformed"),
    ] {
        let path = format!("/transfers/{pid}/{path}");
        operator.refuses(&path, of(&pid, kind, more).as_bytes(), status, code).await;
    }
    operator.parts.stop();
}

#[tokio::test]
async fn others_processes_are_not_there() {
    let mut operator = Operator::open().await;
    let negotiation = requested(&operator).await;
    let transfer = {
        let second = Operator::open().await;
        let pid = started(&second).await;
        second.parts.stop();
        pid
    };
    // Another partner, pinned too, asks from here on.
    let other = Did::new("did:web:other.example").unwrap();
    let path = operator.place.path().join("other");
    open::init(&path, &other, "other").unwrap();
    let parts = open::open(&path, twinpact_node::PolicyClock::System).await.unwrap();
    let record = prove::own_record(&parts.node).unwrap().to_json().canonical();
    parts.stop();
    partners::add(&operator.parts.node, record.as_bytes()).await.unwrap();
    operator.maker = peer(other);
    let verification = of(&negotiation, "ContractAgreementVerificationMessage", json!({}));
    let end = of(&negotiation, "ContractNegotiationTerminationMessage", json!({}));
    for (path, body) in [
        (format!("/negotiations/{negotiation}/agreement/verification"), verification),
        (format!("/negotiations/{negotiation}/termination"), end),
        (
            format!("/transfers/{transfer}/termination"),
            of(&transfer, "TransferTerminationMessage", json!({})),
        ),
    ] {
        operator.refuses(&path, body.as_bytes(), 404, "dsp.unknown").await;
    }
    for path in [format!("/negotiations/{negotiation}"), format!("/transfers/{transfer}")] {
        let answer = operator.ask("GET", &path, b"").await;
        assert_eq!((answer.status, answer.code()), (404, "dsp.unknown"), "{path} {answer:?}");
    }
    operator.parts.stop();
}
