//! No process waits unseen: a partner that falls silent is asked and given up, what it did not take
//! is sent again, a start message survives a stop, a token is refreshed and the old one retires.

use crate::operator::{CALLBACK, Operator, contract_request, message, transfer_request};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};
use twinpact_dsp::negotiation::State;
use twinpact_dsp::{Message, negotiation, transfer};
use twinpact_model::codes;
use twinpact_model::{Timestamp, WallTime};
use twinpact_node::door::{Asked, Door};
use twinpact_node::egress::Egress;
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, Outbound, Pending, Reply};
use twinpact_node::{PolicyClock, assertion, deadlines, open, outbox};

const MONDAY: &str = "2015-07-27T10:00:00+02:00";

/// What the maker answers, one after the other; then nothing at all.
#[derive(Clone, Default)]
struct Maker {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Call>>>,
    called: Arc<Notify>,
}

impl Maker {
    fn answers(&self, status: u16, body: Value) {
        self.answers.lock().unwrap().push_back((status, body));
    }

    /// The method and the end of the path of each call so far.
    fn calls(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let line = |call: &Call| {
            let path = call.url.strip_prefix(CALLBACK).unwrap();
            let leaf = path.split("urn:c:1").nth(1).unwrap();
            format!("{} {leaf}", call.method)
        };
        asked.iter().map(line).collect()
    }

    fn last_body(&self) -> Value {
        serde_json::from_slice(&self.asked.lock().unwrap().last().unwrap().body).unwrap()
    }
}

impl Outbound for Maker {
    fn call(&self, call: Call) -> Pending<'_> {
        self.asked.lock().unwrap().push(call);
        self.called.notify_one();
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some((status, body)) => Ok(Reply { status, body: body.to_string().into_bytes() }),
                None => std::future::pending().await,
            }
        })
    }
}

/// The jobs of a node that runs, without its listeners.
struct Jobs {
    stop: watch::Sender<bool>,
    sender: tokio::task::JoinHandle<()>,
}

impl Jobs {
    fn start(operator: &Operator, maker: &Maker) -> Jobs {
        let node = operator.parts.node.clone();
        assert!(node.outbound.set(Arc::new(maker.clone())).is_ok());
        let (stop, stopped) = watch::channel(false);
        Jobs { stop, sender: tokio::spawn(outbox::run(node, stopped)) }
    }

    async fn stop(self, operator: Operator) {
        self.stop.send(true).unwrap();
        self.sender.await.unwrap();
        operator.parts.stop();
    }
}

/// Waits for commits until the state is as wanted.
async fn until(operator: &Operator, wanted: impl Fn(&Fold) -> bool) {
    let mut changes = operator.parts.node.partition.changes();
    loop {
        changes.borrow_and_update();
        if operator.parts.node.partition.read(|fold, _| wanted(fold)).unwrap() {
            return;
        }
        changes.changed().await.unwrap();
    }
}

fn negotiation_of(fold: &Fold) -> &negotiation::Negotiation {
    fold.processes.negotiations.values().next().unwrap()
}

fn transfer_of(fold: &Fold) -> &transfer::Transfer {
    fold.processes.transfers.values().next().unwrap()
}

/// A negotiation that the maker opens with what is offered; the operator agrees at once.
async fn requested(operator: &Operator) -> String {
    let request = contract_request("urn:c:1", CALLBACK, &operator.offer().await).to_string();
    let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["providerPid"].as_str().unwrap().to_owned()
}

fn later(operator: &Operator, days: i64) -> WallTime {
    WallTime(operator.parts.node.clocks.wall().0.plus_seconds(days * 86_400 + 1))
}

fn status(pid: &str, state: &str) -> Value {
    let members = json!({"providerPid": pid, "consumerPid": "urn:c:1", "state": state});
    message("ContractNegotiation", members)
}

#[tokio::test]
async fn a_partner_that_falls_silent_is_asked_and_then_given_up() {
    let (operator, maker) = (Operator::open().await, Maker::default());
    requested(&operator).await;
    maker.answers(200, Value::Null);
    let jobs = Jobs::start(&operator, &maker);
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && negotiation_of(fold).post.unacknowledged.is_none()
    })
    .await;
    // It took the agreement, and then nothing comes for a day.
    let node = &operator.parts.node;
    assert_eq!(deadlines::fire(node, later(&operator, 0)).await.unwrap(), 0, "not yet");
    (0..3).for_each(|_| maker.answers(400, Value::Null));
    maker.answers(200, Value::Null);
    assert_eq!(deadlines::fire(node, later(&operator, 1)).await.unwrap(), 1);
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && negotiation_of(fold).state == State::Terminated
    })
    .await;
    let ended = node.partition.read(|fold, _| negotiation_of(fold).ended.clone()).unwrap();
    assert_eq!(ended.unwrap().code.as_deref(), Some("dsp.undelivered"));
    assert_eq!(maker.calls(), ["POST /agreement", "GET ", "GET ", "GET ", "POST /termination"]);
    assert_eq!(maker.last_body()["code"], "dsp.undelivered");
    assert_eq!(deadlines::fire(node, later(&operator, 100)).await.unwrap(), 0, "it is over");
    jobs.stop(operator).await;
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again_when_the_partner_turns_out_to_wait_for_it() {
    let (operator, maker) = (Operator::open().await, Maker::default());
    let pid = requested(&operator).await;
    maker.answers(400, Value::Null);
    maker.answers(200, status(&pid, "REQUESTED"));
    maker.answers(200, Value::Null);
    let jobs = Jobs::start(&operator, &maker);
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && negotiation_of(fold).post.unacknowledged.is_none()
    })
    .await;
    assert_eq!(maker.calls(), ["POST /agreement", "GET ", "POST /agreement"]);
    let state = operator.parts.node.partition.read(|fold, _| negotiation_of(fold).state);
    assert_eq!(state.unwrap(), State::Agreed);
    jobs.stop(operator).await;
}

#[tokio::test]
async fn nothing_is_sent_any_more_that_nobody_waits_for() {
    let (operator, maker) = (Operator::open().await, Maker::default());
    let pid = requested(&operator).await;
    let members = json!({"providerPid": pid, "consumerPid": "urn:c:1"});
    let end = message("ContractNegotiationTerminationMessage", members).to_string();
    let path = format!("/negotiations/{pid}/termination");
    assert_eq!(operator.ask("POST", &path, end.as_bytes()).await.status, 200);
    let jobs = Jobs::start(&operator, &maker);
    until(&operator, |fold| fold.processes.outbox.is_empty()).await;
    assert!(maker.calls().is_empty(), "{:?}", maker.calls());
    jobs.stop(operator).await;
}

/// An agreement, and a transfer under it that has started; the start message waits to be sent.
async fn started(operator: &Operator) -> String {
    let pid = requested(operator).await;
    let members = json!({"providerPid": pid, "consumerPid": "urn:c:1"});
    let verified = message("ContractAgreementVerificationMessage", members).to_string();
    let path = format!("/negotiations/{pid}/agreement/verification");
    assert_eq!(operator.ask("POST", &path, verified.as_bytes()).await.status, 200);
    let node = &operator.parts.node;
    let agreement = node
        .partition
        .read(|fold, _| fold.agreements.iter().next().unwrap().wire.id.clone())
        .unwrap();
    let mut request = transfer_request("urn:c:1", CALLBACK, "HttpData-PULL");
    request["agreementId"] = agreement.into();
    let body = request.to_string();
    let answer = operator.ask("POST", "/transfers/request", body.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["providerPid"].as_str().unwrap().to_owned()
}

/// Asks for the view; the code of the refusal, or `None` when rows came.
async fn pull(operator: &Operator, maker: &open::NodeParts, pid: &str, token: &str) -> String {
    let node = &operator.parts.node;
    let agreement = node
        .partition
        .read(|fold, _| twinpact_proof::to_hex(&fold.agreements.iter().next().unwrap().id))
        .unwrap();
    let purpose = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
    let signed =
        assertion::sign(&maker.node, "did:web:operator.example", &agreement, purpose, "FR");
    let asked = Asked {
        peer: Some(operator.maker.clone()),
        method: "GET".to_owned(),
        path: format!("/data/{pid}"),
        query: None,
        bearer: Some(token.to_owned()),
        assertion: Some(signed.unwrap()),
        body: Vec::new(),
        fault: None,
    };
    match node.answer(asked).await {
        Egress::Permitted(_) => String::new(),
        Egress::Fault(fault) => fault.document["code"].as_str().unwrap().to_owned(),
        Egress::Protocol { .. } | Egress::Public(_) => panic!("another kind of answer"),
    }
}

fn token_of(start: &Value) -> String {
    let properties = start["dataAddress"]["endpointProperties"].as_array().unwrap();
    let found = properties.iter().find(|p| p["name"] == "authorization").unwrap();
    found["value"].as_str().unwrap().to_owned()
}

/// The operator after a stop, and the maker's node to sign with.
async fn again(operator: Operator) -> (Operator, open::NodeParts) {
    let Operator { parts, maker, schemas, place } = operator;
    parts.stop();
    let parts = open::open(&place.path().join("operator"), PolicyClock::Driven).await.unwrap();
    parts.node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
    let signer = open::open(&place.path().join("maker"), PolicyClock::System).await.unwrap();
    (Operator { parts, maker, schemas, place }, signer)
}

#[tokio::test]
async fn a_start_message_survives_a_stop_with_a_fresh_token() {
    let operator = Operator::open().await;
    let pid = started(&operator).await;
    let (operator, signer) = again(operator).await;
    let maker = Maker::default();
    // The agreement's last message goes first, on a lane of its own.
    maker.answers(200, Value::Null);
    maker.answers(200, Value::Null);
    let jobs = Jobs::start(&operator, &maker);
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && transfer_of(fold).post.unacknowledged.is_none()
    })
    .await;
    let asked = maker.asked.lock().unwrap().clone();
    let start = asked.iter().find(|call| call.url.ends_with("/start")).unwrap();
    let start: Value = serde_json::from_slice(&start.body).unwrap();
    assert_eq!(pull(&operator, &signer, &pid, &token_of(&start)).await, "");
    signer.stop();
    jobs.stop(operator).await;
}

#[tokio::test]
async fn a_refreshed_token_retires_the_old_one_when_it_is_used() {
    let (operator, maker) = (Operator::open().await, Maker::default());
    let pid = started(&operator).await;
    maker.answers(200, Value::Null);
    maker.answers(200, Value::Null);
    let (operator, signer) = again(operator).await;
    let jobs = Jobs::start(&operator, &maker);
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && transfer_of(fold).post.unacknowledged.is_none()
    })
    .await;
    let fresh = async || {
        let asked = Asked {
            peer: Some(operator.maker.clone()),
            method: "POST".to_owned(),
            path: format!("/data/{pid}/token"),
            query: None,
            bearer: None,
            assertion: None,
            body: Vec::new(),
            fault: None,
        };
        let Egress::Protocol { message: Some(message), .. } =
            operator.parts.node.answer(asked).await
        else {
            panic!("no token")
        };
        assert!(matches!(*message, Message::TransferStart(_)));
        token_of(&message.to_json())
    };
    let pull = async |token: &str| pull(&operator, &signer, &pid, token).await;
    let (unused, first) = (fresh().await, fresh().await);
    assert_eq!(pull(&unused).await, "policy.token", "replaced before it was used");
    assert_eq!(pull(&first).await, "");
    let second = fresh().await;
    assert_eq!(pull(&first).await, "", "the answer with the new one may be lost");
    assert_eq!(pull(&second).await, "");
    assert_eq!(pull(&first).await, "policy.token", "retired");
    assert_eq!(pull(&second).await, "");
    signer.stop();
    jobs.stop(operator).await;
}

#[tokio::test]
async fn one_partner_has_only_so_many_negotiations_under_way() {
    let operator = Operator::open().await;
    let offer = operator.offer().await;
    let most = twinpact_node::processes::MAX_NEGOTIATIONS;
    for n in 0..=most {
        let request = contract_request(&format!("urn:c:{n}"), CALLBACK, &offer).to_string();
        let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
        let expect = if n < most { (201, "") } else { (429, codes::EXCHANGE_TOO_MANY.name) };
        assert_eq!((answer.status, answer.code()), expect, "{n}");
    }
    operator.parts.stop();
}

#[tokio::test]
async fn what_a_partner_asks_is_on_record_before_it_is_answered() {
    let operator = Operator::open().await;
    let partition = &operator.parts.node.partition;
    let recorded = || partition.read(|fold, _| fold.last_recorded()).unwrap();
    let catalogue = message("CatalogRequestMessage", json!({})).to_string();
    for (method, path, body, status) in [
        ("POST", "/catalog/request", catalogue.as_bytes(), 200),
        ("POST", "/catalog/request", b"{", 400),
        ("GET", "/negotiations/urn:uuid:1", b"", 404),
        ("GET", "/nothing", b"", 404),
    ] {
        let before = recorded();
        let answer = operator.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(recorded() > before, "{method} {path} left nothing in the log");
    }
    operator.parts.stop();
}
