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
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime};
use twinpact_node::agreements::MAX_AGREEMENTS;
use twinpact_node::door::{Asked, Door, Way};
use twinpact_node::egress::Egress;
use twinpact_node::fold::Fold;
use twinpact_node::messages::MESSAGES_PATH;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending, Reply};
use twinpact_node::partition::{NewEntry, Turn};
use twinpact_node::processes::{DOCUMENTS_PATH, MAX_ENDED, MAX_NEGOTIATIONS, MAX_TRANSFERS};
use twinpact_node::{Node, PolicyClock, assertion, deadlines, open, outbox};
use twinpact_proof::{Envelope, Json};

pub(crate) const MONDAY: &str = "2015-07-27T10:00:00+02:00";

/// What the maker answers, one after the other; then nothing at all.
#[derive(Clone, Default)]
pub(crate) struct Maker {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Call>>>,
    called: Arc<Notify>,
}

impl Maker {
    pub(crate) fn answers(&self, status: u16, body: Value) {
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
    /// It knows whom it talks to.
    fn first(&self, _: FirstCall) -> Pending<'_> {
        Box::pin(async { Err(Problem::new(codes::PEER_UNREACHABLE, "nobody is there")) })
    }

    fn call(&self, call: Call) -> Pending<'_> {
        if call.url.ends_with(DOCUMENTS_PATH) {
            // A signed document is nobody's message.
            return Box::pin(async { Ok(Reply::whole(200, Vec::new())) });
        }
        match call.url.strip_suffix(MESSAGES_PATH) {
            Some(base) => self.each(base, &call),
            None => self.one(call),
        }
    }
}

impl Maker {
    fn one(&self, call: Call) -> Pending<'_> {
        self.asked.lock().unwrap().push(call);
        self.called.notify_one();
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some((status, body)) => Ok(Reply::whole(status, body.to_string().into_bytes())),
                None => std::future::pending().await,
            }
        })
    }

    /// Messages that come together, as if each had come by itself.
    fn each(&self, base: &str, list: &Call) -> Pending<'_> {
        let sent: Vec<Value> = serde_json::from_slice(&list.body).unwrap();
        let calls: Vec<Call> = sent
            .iter()
            .map(|one| Call {
                url: format!("{base}{}", one["path"].as_str().unwrap()),
                body: one["message"].to_string().into_bytes(),
                ..list.clone()
            })
            .collect();
        Box::pin(async move {
            let mut told = Vec::new();
            for call in calls {
                let reply = self.one(call).await?;
                let body: Value = serde_json::from_slice(&reply.body).unwrap();
                told.push(json!({ "status": reply.status, "body": body }));
            }
            Ok(Reply::whole(200, Value::from(told).to_string().into_bytes()))
        })
    }
}

/// The jobs of a node that runs, without its listeners.
pub(crate) struct Jobs {
    stop: watch::Sender<bool>,
    sender: tokio::task::JoinHandle<()>,
}

impl Jobs {
    pub(crate) fn start(operator: &Operator, maker: &Maker) -> Jobs {
        let node = operator.parts.node.clone();
        assert!(node.outbound.set(Arc::new(maker.clone())).is_ok());
        let (stop, stopped) = watch::channel(false);
        Jobs { stop, sender: tokio::spawn(outbox::run(node, stopped)) }
    }

    pub(crate) async fn stop_jobs(self) {
        self.stop.send(true).unwrap();
        self.sender.await.unwrap();
    }

    pub(crate) async fn stop(self, operator: Operator) {
        self.stop_jobs().await;
        operator.parts.stop();
    }
}

/// Waits for commits until the state is as wanted.
pub(crate) async fn until(operator: &Operator, wanted: impl Fn(&Fold) -> bool) {
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

pub(crate) fn transfer_of(fold: &Fold) -> &transfer::Transfer {
    fold.processes.transfers.values().next().unwrap()
}

/// A negotiation that the maker opens with what is offered; the operator agrees at once.
pub(crate) async fn requested(operator: &Operator) -> String {
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

/// The frame of a removal and no more, as if the node had stopped right after it.
async fn removed(operator: &Operator) {
    let who = Who::no_twin(Kind::PartnerRemoved, "local");
    let what = vec![Attribute::new("organisation", "text", "did:web:maker.example")];
    let entry = Entry { who, when: When::default(), why: Why::default(), what };
    let turn = |turn: Turn<'_>| turn.log(vec![NewEntry::event(entry)]).map(|_| ());
    operator.parts.node.partition.turn(turn).await.unwrap();
}

#[tokio::test]
async fn nothing_is_concluded_with_who_was_removed() {
    let (operator, maker) = (Operator::open().await, Maker::default());
    let pid = requested(&operator).await;
    maker.answers(200, Value::Null);
    let jobs = Jobs::start(&operator, &maker);
    // The agreement has arrived, so it is the maker's turn.
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && negotiation_of(fold).post.unacknowledged.is_none()
    })
    .await;
    jobs.stop_jobs().await;
    removed(&operator).await;
    // This message was let in before.
    let members = json!({"providerPid": pid, "consumerPid": "urn:c:1"});
    let verified = message("ContractAgreementVerificationMessage", members).to_string();
    let path = format!("/negotiations/{pid}/agreement/verification");
    operator.refuses(&path, verified.as_bytes(), 400, codes::PARTNER_UNKNOWN.name).await;
    let agreements = |fold: &Fold| fold.agreements.iter().count();
    assert_eq!(operator.parts.node.partition.read(|fold, _| agreements(fold)).unwrap(), 0);
    // It is the other side's turn, so only its deadline ends it.
    let (node, (stop, stopped)) = (operator.parts.node.clone(), watch::channel(false));
    let jobs = Jobs { stop, sender: tokio::spawn(outbox::run(node.clone(), stopped)) };
    assert_eq!(deadlines::fire(&node, later(&operator, 1)).await.unwrap(), 1);
    until(&operator, |fold| negotiation_of(fold).state == State::Terminated).await;
    jobs.stop(operator).await;
}

#[tokio::test]
async fn the_next_start_ends_the_transfers_of_who_was_removed() {
    let operator = Operator::open().await;
    started(&operator).await;
    removed(&operator).await;
    let (stop, stopped) = watch::channel(false);
    let timer = tokio::spawn(deadlines::run(operator.parts.node.clone(), stopped));
    until(&operator, |fold| transfer_of(fold).state == transfer::State::Terminated).await;
    stop.send(true).unwrap();
    timer.await.unwrap();
    operator.parts.stop();
}

/// An agreement, and a transfer under it that has started; the start message waits to be sent.
pub(crate) async fn started(operator: &Operator) -> String {
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

/// A fresh assertion, as the maker signs it.
pub(crate) fn signed(operator: &Operator, maker: &open::NodeParts) -> String {
    let agreement = operator
        .parts
        .node
        .partition
        .read(|fold, _| twinpact_proof::to_hex(&fold.agreements.iter().next().unwrap().id))
        .unwrap();
    let purpose = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
    assertion::sign(&maker.node, "did:web:operator.example", &agreement, purpose, "FR").unwrap()
}

/// Asks for the view; the code of the refusal, or nothing when rows came.
async fn pull(operator: &Operator, maker: &open::NodeParts, pid: &str, token: &str) -> String {
    present(operator, pid, token, signed(operator, maker)).await.0
}

/// The same with that assertion, and the sentence.
pub(crate) async fn present(
    operator: &Operator,
    pid: &str,
    token: &str,
    assertion: String,
) -> (String, String) {
    let node = &operator.parts.node;
    let asked = Asked {
        way: Way::Federation,
        peer: Some(operator.maker.clone()),
        method: "GET".to_owned(),
        path: format!("/data/{pid}"),
        query: None,
        bearer: Some(token.to_owned()),
        assertion: Some(assertion),
        checkpoint: None,
        last_event: None,
        accept_encoding: None,
        if_none_match: None,
        body: Vec::new(),
        fault: None,
    };
    match node.answer(asked).await {
        Egress::Permitted(_) => (String::new(), String::new()),
        Egress::Fault(fault) => {
            let text = |name: &str| fault.document[name].as_str().unwrap().to_owned();
            (text("code"), text("detail"))
        }
        Egress::Protocol { .. }
        | Egress::Together(_)
        | Egress::Public(_)
        | Egress::Stream(_)
        | Egress::Catalog(_)
        | Egress::Schema(_)
        | Egress::Log(_) => panic!("another kind of answer"),
    }
}

fn token_of(start: &Value) -> String {
    let properties = start["dataAddress"]["endpointProperties"].as_array().unwrap();
    let found = properties.iter().find(|p| p["name"] == "authorization").unwrap();
    found["value"].as_str().unwrap().to_owned()
}

/// The operator after a stop, and the maker's node to sign with.
pub(crate) async fn again(operator: Operator) -> (Operator, open::NodeParts) {
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
    let fresh = async || fresh_token(&operator.parts.node, &operator, &pid).await;
    let pull = async |token: &str| pull(&operator, &signer, &pid, token).await;
    let (unused, first) = (fresh().await, fresh().await);
    assert_eq!(pull(&unused).await, "policy.token.retired", "replaced before it was used");
    assert_eq!(pull(&first).await, "");
    let second = fresh().await;
    assert_eq!(pull(&first).await, "", "the answer with the new one may be lost");
    assert_eq!(pull(&second).await, "");
    assert_eq!(pull(&first).await, "policy.token.retired", "retired");
    assert_eq!(pull(&second).await, "");
    // A refusal for another reason is a use as well.
    let third = fresh().await;
    let sunday = Timestamp::parse("2015-07-26T14:10:00+02:00").unwrap();
    operator.parts.node.clocks.set_policy(sunday).unwrap();
    assert_eq!(pull(&third).await, "policy.schedule");
    assert_eq!(pull(&second).await, "policy.token.retired");
    let used = signed(&operator, &signer);
    assert_eq!(present(&operator, &pid, &third, used.clone()).await.0, "policy.schedule");
    signer.stop();
    jobs.stop_jobs().await;
    // The log knows it all after a stop.
    let (operator, signer) = again(operator).await;
    let pull = async |token: &str| super::liveness::pull(&operator, &signer, &pid, token).await;
    assert_eq!(pull(&second).await, "policy.token.retired");
    assert_eq!(pull(&third).await, "");
    let (code, why) = present(&operator, &pid, &third, used).await;
    assert_eq!(code, "policy.assertion.replayed");
    assert!(why.contains("was used before"), "{why}");
    signer.stop();
    operator.parts.stop();
}

pub(crate) async fn fresh_token(node: &Node, operator: &Operator, pid: &str) -> String {
    let asked =
        Asked::posted(Some(operator.maker.clone()), &format!("/data/{pid}/token"), Vec::new());
    let Egress::Protocol { message: Some(message), .. } = node.answer(asked).await else {
        panic!("no token")
    };
    assert!(matches!(*message, Message::TransferStart(_)));
    token_of(&message.to_json())
}

/// A transfer that has started and whose start message arrived, with its token.
async fn running(maker: &Maker) -> (Operator, open::NodeParts, Jobs, String, String) {
    let operator = Operator::open().await;
    let pid = started(&operator).await;
    maker.answers(200, Value::Null);
    maker.answers(200, Value::Null);
    let (operator, signer) = again(operator).await;
    let jobs = Jobs::start(&operator, maker);
    until(&operator, |fold| {
        fold.processes.outbox.is_empty() && transfer_of(fold).post.unacknowledged.is_none()
    })
    .await;
    let token = fresh_token(&operator.parts.node, &operator, &pid).await;
    (operator, signer, jobs, pid, token)
}

#[tokio::test]
async fn nobody_asserts_for_another() {
    let (operator, signer, jobs, pid, token) = running(&Maker::default()).await;
    let ours = twinpact_proof::text64::decode(&signed(&operator, &signer)).unwrap();
    let envelope = Envelope::from_json(&Json::parse(&ours).unwrap()).unwrap();
    let text = String::from_utf8(envelope.payload.to_vec()).unwrap();
    for (from, to, expect) in [
        ("did:web:maker.example", "did:web:maker.example", ""),
        ("did:web:maker.example", "did:web:victim.example", "another party than the caller"),
        ("PredictiveMaintenance", &"x".repeat(600), "does not have the members of its form"),
    ] {
        let document = Json::parse(text.replace(from, to).as_bytes()).unwrap();
        let signer = signer.node.signer();
        let forged = Envelope::sign(&envelope.payload_type, &document, signer.key());
        let header = twinpact_proof::text64::encode(forged.to_json().canonical().as_bytes());
        let (code, why) = present(&operator, &pid, &token, header).await;
        assert_eq!(code.is_empty(), expect.is_empty(), "{to}: {why}");
        assert!(why.contains(expect), "{to}: {why}");
    }
    signer.stop();
    jobs.stop(operator).await;
}

#[tokio::test]
async fn a_suspended_transfer_delivers_nothing_and_an_idle_one_ends() {
    let maker = Maker::default();
    let (operator, signer, jobs, pid, token) = running(&maker).await;
    let pids = json!({"providerPid": pid, "consumerPid": "urn:c:1"});
    let say = async |kind: &str, leaf: &str| {
        let body = message(kind, pids.clone()).to_string();
        let path = format!("/transfers/{pid}/{leaf}");
        assert_eq!(operator.ask("POST", &path, body.as_bytes()).await.status, 200, "{kind}");
    };
    say("TransferSuspensionMessage", "suspension").await;
    assert_eq!(pull(&operator, &signer, &pid, &token).await, "policy.suspended");
    say("TransferStartMessage", "start").await;
    assert_eq!(pull(&operator, &signer, &pid, &token).await, "");
    // Nobody refreshes its token for a day.
    maker.answers(200, Value::Null);
    let node = operator.parts.node.clone();
    assert_eq!(deadlines::fire(&node, later(&operator, 1)).await.unwrap(), 1);
    let state = node.partition.read(|fold, _| transfer_of(fold).clone()).unwrap();
    assert_eq!(state.state, transfer::State::Terminated);
    assert_eq!(state.ended.unwrap().code.as_deref(), Some("dsp.overdue"));
    assert_eq!(pull(&operator, &signer, &pid, &token).await, "route.unknown");
    signer.stop();
    jobs.stop(operator).await;
}

#[tokio::test]
async fn one_partner_has_only_so_many_negotiations_under_way() {
    let operator = Operator::open().await;
    let offer = operator.offer().await;
    for n in 0..=MAX_NEGOTIATIONS {
        let request = contract_request(&format!("urn:c:{n}"), CALLBACK, &offer).to_string();
        let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
        let expect =
            if n < MAX_NEGOTIATIONS { (201, "") } else { (429, codes::EXCHANGE_TOO_MANY.name) };
        assert_eq!((answer.status, answer.code()), expect, "{n}");
    }
    operator.parts.stop();
}

/// A negotiation that ends in an agreement, or the code with which it was ended.
async fn negotiated(operator: &Operator, consumer: &str, offer: &Value) -> Result<(), String> {
    let request = contract_request(consumer, CALLBACK, offer).to_string();
    let answer = operator.ask("POST", "/negotiations/request", request.as_bytes()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let pid = answer.body["providerPid"].as_str().unwrap().to_owned();
    let members = json!({"providerPid": pid, "consumerPid": consumer});
    let verified = message("ContractAgreementVerificationMessage", members).to_string();
    let path = format!("/negotiations/{pid}/agreement/verification");
    if operator.ask("POST", &path, verified.as_bytes()).await.status == 200 {
        return Ok(());
    }
    let read = |fold: &Fold| fold.processes.negotiations[&pid].ended.clone().unwrap().code;
    Err(operator.parts.node.partition.read(|fold, _| read(fold)).unwrap().unwrap())
}

#[tokio::test]
async fn one_partner_has_only_so_many_agreements_and_old_ends_are_forgotten() {
    let (operator, maker) = (Operator::open().await, Maker::default());
    let offer = operator.offer().await;
    let partition = &operator.parts.node.partition;
    let known = || partition.read(|fold, _| fold.processes.negotiations.len()).unwrap();
    for n in 0..MAX_AGREEMENTS {
        assert_eq!(negotiated(&operator, &format!("urn:c:{n}"), &offer).await, Ok(()), "{n}");
        assert_eq!(known(), n + 1);
    }
    let refused = negotiated(&operator, "urn:c:more", &offer).await;
    assert_eq!(refused, Err(codes::EXCHANGE_TOO_MANY.name.to_owned()));
    // The partner was told of no end yet: each has a finalization or a termination to come.
    assert_eq!(known(), MAX_ENDED + 1);
    (0..=MAX_AGREEMENTS).for_each(|_| maker.answers(200, Value::Null));
    let jobs = Jobs::start(&operator, &maker);
    until(&operator, |fold| fold.processes.outbox.is_empty()).await;
    jobs.stop_jobs().await;
    assert_eq!(known(), MAX_ENDED);
    let calls = maker.asked.lock().unwrap().len();
    assert_eq!(calls, MAX_AGREEMENTS + 1, "all were told, the first as well");
    let agreements = partition.read(|fold, _| fold.agreements.iter().count()).unwrap();
    assert_eq!(agreements, MAX_AGREEMENTS, "an agreement outlives its negotiation");
    operator.parts.stop();
}

#[tokio::test]
async fn one_partner_has_only_so_many_transfers_under_way() {
    let operator = Operator::open().await;
    started(&operator).await;
    let wire = |fold: &Fold| fold.agreements.iter().next().unwrap().wire.id.clone();
    let agreement = operator.parts.node.partition.read(|fold, _| wire(fold)).unwrap();
    for n in 2..=MAX_TRANSFERS + 1 {
        let mut request = transfer_request(&format!("urn:c:{n}"), CALLBACK, "HttpData-PULL");
        request["agreementId"] = agreement.clone().into();
        let body = request.to_string();
        let answer = operator.ask("POST", "/transfers/request", body.as_bytes()).await;
        let expect = if n <= MAX_TRANSFERS { 201 } else { 429 };
        assert_eq!(answer.status, expect, "{n}: {answer:?}");
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
