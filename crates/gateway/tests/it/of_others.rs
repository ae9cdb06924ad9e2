//! A partner that speaks of what is between two others: whatever message it sends of a process of
//! theirs, it is told the same as of one that does not exist, and nothing moves. And one of the two
//! that speaks for the other.

use crate::connectors::PRESUMED;
use crate::edc_like::{self, Peer, agreed_with, message, node_presuming, policy, provider};
use crate::pair::{MAKER, OPERATOR, Pair, pin, start, until, way_out};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use tempfile::TempDir;
use twinpact_dsp::message::{
    ContractAgreement, ContractOffer, ContractRequest, DataAddress, Event, NegotiationEvent,
    Notice, Pids, Signal, Thread, TransferRequest, TransferStart,
};
use twinpact_dsp::negotiation::{Negotiation, State};
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message, Role};
use twinpact_gateway::Running;
use twinpact_model::Did;
use twinpact_node::api::{Fetch, Negotiate, WhyShown};
use twinpact_node::fold::Fold;
use twinpact_node::messages::MESSAGES_PATH;
use twinpact_node::outbound::{Call, Outbound as _, Reply};
use twinpact_node::{Node, consumer, fetching, ids, open, why};
use twinpact_testkit::{free_port, readable};

const OTHER: &str = "did:web:other.example";
const SECRET: &str = "token-that-is-nobodys";

/// Two partners with processes in the middle of their lives, and a third that both know.
struct Three {
    pair: Pair,
    other: Running,
}

impl Three {
    async fn met() -> Three {
        let (pair, agreement, hold) = Pair::holding().await;
        pair.pull(&agreement).await.unwrap();
        let path = pair.path("other");
        open::init(&path, &Did::new(OTHER).unwrap(), "Test").unwrap();
        let both = [&pair.operator, &pair.maker].map(|to| format!("https://{}", addressed(to)));
        let config = format!(
            "organisation = \"{OTHER}\"\nname = \"Test\"\n\n[federation]\n\
             listen = \"127.0.0.1:{}\"\nallow_private = {both:?}\n",
            free_port()
        );
        std::fs::write(path.join("twinpact.toml"), config).unwrap();
        let other = start(&path).await;
        for node in [pair.operator(), pair.maker()] {
            pin(node, &other.parts.node).await;
            pin(&other.parts.node, node).await;
        }
        // A second agreement stays where it is: its verification is never answered.
        hold.store(true, Ordering::SeqCst);
        let maker = pair.maker().clone();
        let asked = Negotiate { partner: OPERATOR.to_owned(), dataset: None, another: true };
        let negotiating = tokio::spawn(async move { consumer::negotiate(&maker, &asked).await });
        until(pair.maker(), |fold| in_state(fold, State::Verified).is_some()).await;
        until(pair.operator(), |fold| {
            let agreed = in_state(fold, State::Agreed);
            agreed.is_some_and(|n| n.post.unacknowledged.is_none())
                && fold.processes.outbox.is_empty()
        })
        .await;
        negotiating.abort();
        Three { pair, other }
    }

    /// Both nodes of the pair.
    fn sides(&self) -> [&Running; 2] {
        [&self.pair.operator, &self.pair.maker]
    }

    /// Where they have had their files.
    async fn stop(self) -> TempDir {
        let Three { pair: Pair { place, operator, maker }, other } = self;
        for node in [other, maker, operator] {
            node.stop().await;
        }
        place
    }
}

fn addressed(to: &Running) -> SocketAddr {
    to.federation.unwrap()
}

fn in_state(fold: &Fold, state: State) -> Option<&Negotiation> {
    fold.processes.negotiations.values().find(|one| one.state == state)
}

/// A request of that node to the door of another, and what comes back.
async fn ask(from: &Node, to: &Running, method: &'static str, path: &str, body: Vec<u8>) -> Reply {
    let base = format!("https://{}", addressed(to));
    let call = Call {
        trust_domain: to.parts.node.identity.current().root.trust_domain().clone(),
        url: format!("{base}{path}"),
        pinned: vec![base],
        method,
        headers: Vec::new(),
        body,
        max_bytes: MAX_MESSAGE_BYTES,
    };
    way_out(from).call(call).await.unwrap()
}

/// Where a message goes below the process, and itself. Without one the state is asked for.
pub(crate) type Row = (&'static str, Option<Message>);

/// Every message that names a negotiation.
fn of_negotiation(known: &Negotiation, pids: &Pids) -> Vec<Row> {
    let to = |pid: &String| Thread::Continues { pid: pid.clone() };
    let request = ContractRequest {
        id: None,
        consumer_pid: pids.consumer.clone(),
        thread: to(&pids.provider),
        offer: known.offer.clone(),
    };
    let offer = ContractOffer {
        id: None,
        provider_pid: pids.provider.clone(),
        thread: to(&pids.consumer),
        offer: known.offer.clone(),
    };
    let agreement = ContractAgreement {
        id: None,
        pids: pids.clone(),
        agreement: known.agreement.clone().unwrap(),
    };
    let event =
        |event| Message::NegotiationEvent(NegotiationEvent { id: None, pids: pids.clone(), event });
    vec![
        ("", None),
        ("/request", Some(Message::ContractRequest(request))),
        ("/offers", Some(Message::ContractOffer(offer))),
        ("/agreement", Some(Message::ContractAgreement(agreement))),
        ("/agreement/verification", Some(Message::AgreementVerification(signal(pids)))),
        ("/events", Some(event(Event::Accepted))),
        ("/events", Some(event(Event::Finalized))),
        ("/termination", Some(Message::NegotiationTermination(notice(pids)))),
    ]
}

/// Every message that names a transfer.
fn of_transfer(pids: &Pids) -> Vec<Row> {
    let address = DataAddress {
        endpoint_type: "https://w3id.org/idsa/v4.1/HTTP".to_owned(),
        endpoint: Some("https://other.example/data".to_owned()),
        properties: vec![("authorization".to_owned(), SECRET.to_owned())],
    };
    let start = TransferStart { id: None, pids: pids.clone(), data_address: Some(address) };
    let bare = TransferStart { data_address: None, ..start.clone() };
    vec![
        ("", None),
        ("/start", Some(Message::TransferStart(start))),
        ("/start", Some(Message::TransferStart(bare))),
        ("/completion", Some(Message::TransferCompletion(signal(pids)))),
        ("/suspension", Some(Message::TransferSuspension(notice(pids)))),
        ("/termination", Some(Message::TransferTermination(notice(pids)))),
    ]
}

fn signal(pids: &Pids) -> Signal {
    Signal { id: None, pids: pids.clone() }
}

fn notice(pids: &Pids) -> Notice {
    let reason = vec![format!("{SECRET} said so")];
    Notice { id: None, pids: pids.clone(), code: Some("x".to_owned()), reason }
}

/// What a node knows of its processes, and the story of that one.
pub(crate) fn known(node: &Node, pid: &str) -> (String, WhyShown) {
    let read = |fold: &Fold| format!("{:?}", fold.processes);
    (node.partition.read(|fold, _| read(fold)).unwrap(), why::why(node, pid).unwrap())
}

/// A process of a node, and every message that names it.
pub(crate) struct Process {
    pub(crate) pid: String,
    pub(crate) kind: &'static str,
    /// What is said of one that cannot be.
    pub(crate) error: &'static str,
    pub(crate) rows: Vec<Row>,
}

pub(crate) fn processes(node: &Node) -> Vec<Process> {
    let read = |fold: &Fold| {
        let negotiations = fold.processes.negotiations.values().map(|one| Process {
            pid: one.party.own_pid.clone(),
            kind: "negotiations",
            error: "ContractNegotiationError",
            rows: of_negotiation(one, &one.party.pids()),
        });
        let transfers = fold.processes.transfers.values().map(|one| Process {
            pid: one.party.own_pid.clone(),
            kind: "transfers",
            error: "TransferError",
            rows: of_transfer(&one.party.pids()),
        });
        negotiations.chain(transfers).collect()
    };
    node.partition.read(|fold, _| read(fold)).unwrap()
}

/// The body of a request, and its method: a state is asked for without one.
pub(crate) fn written(message: Option<&Message>) -> (&'static str, String) {
    message.map_or(("GET", String::new()), |message| ("POST", message.to_json().to_string()))
}

/// What comes back of a request, which is the same when it comes together with others.
async fn told(from: &Node, to: &Running, path: &str, asked: (&'static str, &str)) -> (u16, String) {
    let (method, body) = asked;
    let alone = ask(from, to, method, path, body.as_bytes().to_vec()).await;
    let text = String::from_utf8(alone.body).unwrap();
    if method == "POST" {
        let list = format!("[{{\"path\":\"{path}\",\"message\":{body}}}]");
        let together = ask(from, to, "POST", MESSAGES_PATH, list.into_bytes()).await;
        let together: Value = serde_json::from_slice(&together.body).unwrap();
        let same: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(together, json!([{ "status": alone.status, "body": same }]), "{path}");
    }
    (alone.status, text)
}

/// The third asks of that process, and is told what it is told of one that does not exist.
async fn check(world: &Three, to: &Running, process: &Process, (leaf, message): &Row) {
    let (other, node) = (&world.other.parts.node, &to.parts.node);
    let Process { pid, kind, error, .. } = process;
    let (method, body) = written(message.as_ref());
    let what = format!("{method} {kind} {leaf} of {}: {body}", node.config.organisation);
    let before = known(node, pid);
    let (status, text) =
        told(other, to, &format!("/dsp/{kind}/{pid}{leaf}"), (method, &body)).await;
    let said: Value = serde_json::from_str(&text).unwrap();
    let (named, code) = (said["@type"].as_str(), said["code"].as_str());
    assert_eq!((status, named, code), (404, Some(*error), Some("dsp.unknown")), "{what}");
    let nobodys = ids::urn().unwrap();
    let path = format!("/dsp/{kind}/{nobodys}{leaf}");
    let unknown = told(other, to, &path, (method, &body.replace(pid, &nobodys))).await;
    assert_eq!((status, text.replace(pid, &nobodys)), unknown, "{what}");
    assert_eq!(known(node, pid), before, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_between_two_is_not_there_for_a_third() {
    let world = Three::met().await;
    let mut paths = Vec::new();
    for to in world.sides() {
        for process in processes(&to.parts.node) {
            for row in &process.rows {
                check(&world, to, &process, row).await;
                let path = format!("/dsp/{}/{}{}", process.kind, process.pid, row.0);
                paths.push((to.parts.node.config.organisation.to_string(), path));
            }
        }
    }
    assert_eq!(paths.len(), 2 * (2 * 8 + 6), "two negotiations and a transfer on each side");
    let place = world.stop().await;
    // What it has asked for is on record, and nothing of what it said.
    for (name, did) in [("operator", OPERATOR), ("maker", MAKER)] {
        let log = readable(&place.path().join(name), did).unwrap();
        assert!(!log.contains(SECRET), "{name}");
        let asked = |path: &str| log.lines().any(|l| l.contains(path) && l.contains(OTHER));
        let mut all = paths.iter().filter(|(of, _)| of == did);
        assert!(all.all(|(_, path)| asked(path)), "{name}");
    }
}

/// The third asks for data under an agreement between the two, and of one that does not exist: the
/// same, and nothing is opened for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_of_others_is_not_there_for_a_third() {
    let world = Three::met().await;
    let (other, operator) = (&world.other.parts.node, &world.pair.operator);
    let of_theirs = operator
        .parts
        .node
        .partition
        .read(|fold, _| fold.agreements.iter().next().unwrap().wire.id.clone());
    let transfers = || operator.parts.node.partition.read(|fold, _| fold.processes.transfers.len());
    let (before, mut said) = (transfers().unwrap(), Vec::new());
    let callback = format!("https://{}/dsp", addressed(&world.other));
    for (n, agreement) in [of_theirs.unwrap(), "urn:agreement:none".to_owned()].iter().enumerate() {
        let request = Message::TransferRequest(TransferRequest {
            id: None,
            consumer_pid: format!("urn:uuid:other-{n}"),
            agreement_id: agreement.clone(),
            format: "HttpData-PULL".to_owned(),
            data_address: None,
            callback: callback.clone(),
        });
        let (method, body) = written(Some(&request));
        let (status, text) = told(other, operator, "/dsp/transfers/request", (method, &body)).await;
        said.push(text.replace(&format!("other-{n}"), "other"));
        assert_eq!(status, 400, "{text}");
    }
    assert!(said[0] == said[1] && said[0].contains("agreement.unknown"), "{said:#?}");
    assert_eq!(transfers().unwrap(), before);
    world.stop().await;
}

/// A process is of one kind: at the endpoints of the other it is not there, for its own parties.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_no_negotiation_and_a_negotiation_no_transfer() {
    let world = Three::met().await;
    let [operator, maker] = world.sides();
    for Process { pid, kind, .. } in processes(&operator.parts.node) {
        let (elsewhere, error, end) = match kind {
            "transfers" => (
                "negotiations",
                "ContractNegotiationError",
                "ContractNegotiationTerminationMessage",
            ),
            _ => ("transfers", "TransferError", "TransferTerminationMessage"),
        };
        let before = known(&operator.parts.node, &pid);
        let asked = |path: String, body: String, method| async move {
            let (status, text) = told(&maker.parts.node, operator, &path, (method, &body)).await;
            let said: Value = serde_json::from_str(&text).unwrap();
            (status, said["@type"].clone(), said["code"].clone())
        };
        let got = asked(format!("/dsp/{elsewhere}/{pid}"), String::new(), "GET").await;
        assert_eq!(got, (404, json!(error), json!("dsp.unknown")), "{kind}");
        let pids = json!({ "providerPid": pid, "consumerPid": "urn:uuid:c" });
        let mut message = json!({ "@type": end,
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"] });
        message.as_object_mut().unwrap().extend(pids.as_object().unwrap().clone());
        let path = format!("/dsp/{elsewhere}/{pid}/termination");
        let got = asked(path, message.to_string(), "POST").await;
        assert_eq!(got, (404, json!(error), json!("dsp.unknown")), "{kind}");
        let right = asked(format!("/dsp/{kind}/{pid}"), String::new(), "GET").await;
        assert_eq!(right.0, 200, "{kind}");
        assert_eq!(known(&operator.parts.node, &pid), before);
    }
    world.stop().await;
}

/// Whose that message alone is to send; nobody's when both may.
fn speaks(message: &Message) -> Option<Role> {
    match message {
        Message::ContractRequest(_) | Message::AgreementVerification(_) => Some(Role::Consumer),
        Message::ContractOffer(_) | Message::ContractAgreement(_) => Some(Role::Provider),
        Message::NegotiationEvent(event) => Some(match event.event {
            Event::Accepted => Role::Consumer,
            Event::Finalized => Role::Provider,
        }),
        // One that was suspended is resumed by either side; where data are, the provider says.
        Message::TransferStart(start) => start.data_address.as_ref().map(|_| Role::Provider),
        _ => None,
    }
}

/// Each sends the other what the other alone may say of their own process.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_the_other_side_of_its_own_process() {
    let world = Three::met().await;
    let [operator, maker] = world.sides();
    let mut checked = 0;
    for (from, to, role) in [(maker, operator, Role::Provider), (operator, maker, Role::Consumer)] {
        let node = &to.parts.node;
        for Process { pid, kind, error, rows } in processes(node) {
            let before = known(node, &pid);
            for (leaf, message) in rows {
                let Some(message) = message.filter(|one| speaks(one) == Some(role)) else {
                    continue;
                };
                let (method, body) = written(Some(&message));
                let path = format!("/dsp/{kind}/{pid}{leaf}");
                let (status, text) = told(&from.parts.node, to, &path, (method, &body)).await;
                let said: Value = serde_json::from_str(&text).unwrap();
                let got = (status, said["@type"].as_str(), said["code"].as_str());
                assert_eq!(got, (400, Some(error), Some("dsp.transition")), "{body}: {said}");
                assert_eq!(known(node, &pid), before, "{body}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, (2 * 3 + 1) + 2 * 3);
    world.stop().await;
}

/// A connector that the configuration knows as well asks of what is between us and the other.
#[tokio::test]
async fn what_is_between_us_and_an_edc_is_not_there_for_another() {
    let (port, third) = (free_port(), free_port());
    let other = format!(
        "{PRESUMED}\n[[connectors.peers]]\nid = \"third\"\n\
         endpoint = \"http://127.0.0.1:{third}/dsp\"\n"
    );
    let (running, _place) = node_presuming(port, &other).await;
    let node = &running.parts.node;
    let _peer = Peer::open(port, provider(port, policy())).await;
    let wanted = Fetch { agreement: agreed_with(&running).await.id, push: false };
    fetching::fetch(node, &wanted).await.unwrap_err();
    fetching::fetch(node, &wanted).await.unwrap();
    let who = json!({ "clientId": "third", "region": "eu" }).to_string();
    let root = node.connectors.endpoint().unwrap();
    let (status, catalog) = edc_like::ask(
        "POST",
        &format!("{root}/catalog/request"),
        &who,
        message("CatalogRequestMessage", json!({})).to_string(),
    )
    .await;
    assert_eq!(status, 200, "it is known: {catalog}");
    let all = processes(node);
    assert_eq!(all.len(), 3, "a negotiation, and two transfers");
    for Process { pid, kind, error, rows } in all {
        let before = known(node, &pid);
        for (leaf, sent) in rows {
            let (method, body) = written(sent.as_ref());
            let url = format!("{root}/{kind}/{pid}{leaf}");
            let (status, said) = edc_like::ask(method, &url, &who, body.clone()).await;
            let got = (status, said["@type"].as_str(), said["code"].as_str());
            assert_eq!(got, (404, Some(error), Some("dsp.unknown")), "{url} {body}: {said}");
            let nobodys = ids::urn().unwrap();
            let theirs = |text: &str| text.replace(&pid, &nobodys);
            let unknown = edc_like::ask(method, &theirs(&url), &who, theirs(&body)).await;
            assert_eq!((status, theirs(&said.to_string())), (unknown.0, unknown.1.to_string()));
            assert_eq!(known(node, &pid), before, "{url} {body}");
        }
    }
    running.stop().await;
}
