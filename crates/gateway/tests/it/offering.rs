//! What a provider offers on its own account to a connector of others: one that accepts it, one
//! that asks for something else instead, and one that wants none of it.

use crate::edc_like::{Heard, Peer, Script, message, node, rewritten, say, until};
use crate::outside::{Schemas, shared};
use crate::pair::{self, VIEW};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use twinpact_contract::{Order, compare, odrl};
use twinpact_dsp::exchange::Whose;
use twinpact_dsp::negotiation::{Negotiation, State};
use twinpact_gateway::Running;
use twinpact_node::api::OfferAsked;
use twinpact_node::fold::Fold;
use twinpact_node::negotiations::offer;
use twinpact_node::{Node, agreements};
use twinpact_testkit::free_port;

/// The id that the consumer has given the process.
const CONSUMER: &str = "urn:uuid:edc-5";

/// What the consumer answers an offer with, by how many came before: where that goes, and itself.
pub(crate) type Answers = fn(&Value, usize) -> Option<(&'static str, Value)>;

/// Our node, which has something to offer, and the connector that it offers it to.
pub(crate) struct Offered {
    pub(crate) running: Running,
    pub(crate) _place: TempDir,
    pub(crate) peer: Peer,
    pub(crate) pid: String,
}

impl Offered {
    /// To one that is so, unless it takes an offer with another status.
    pub(crate) async fn open(answers: Answers, when: When, status: u16) -> Offered {
        let port = free_port();
        let (running, place) = node(port).await;
        pair::fill(&running.parts.node).await;
        let door = running.parts.node.connectors.endpoint().unwrap().to_owned();
        let peer = Peer::open(port, consumer(door, answers, when, status)).await;
        let shown = offer(&running.parts.node, &wanted()).await.unwrap();
        assert_eq!((&*shown.line.role, &*shown.line.partner), ("provider", "edc"));
        Offered { running, _place: place, peer, pid: shown.line.pid }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.running.parts.node
    }

    /// As it is in the end, when nothing waits to be sent any more.
    pub(crate) async fn ends(&self) -> Negotiation {
        until(&self.running, |fold| {
            let one = &fold.processes.negotiations[&self.pid];
            let over = one.state.is_final() && fold.processes.outbox.is_empty();
            over.then(|| one.clone())
        })
        .await
    }

    /// Waits until our last message is known to have arrived.
    pub(crate) async fn is_taken(&self) {
        let taken = |fold: &Fold| fold.processes.unacknowledged(&self.pid).is_none();
        until(&self.running, |fold| taken(fold).then_some(())).await;
    }

    /// The consumer says something; what it is answered with.
    pub(crate) async fn told(&self, leaf: &str, message: &Value) -> (u16, Value) {
        say(&below(self.node().connectors.endpoint().unwrap(), &self.pid, leaf), message).await
    }

    /// The one agreement holds, on terms that stand so to the contract's, and the consumer has it.
    pub(crate) async fn holds(&self, order: Order) {
        let over = self.ends().await;
        assert_eq!(over.state, State::Finalized, "{:?}", over.ended);
        let all = agreements::list(self.node(), None).unwrap();
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((&*one.role, &*one.partner, &*one.target), ("provider", "edc", VIEW));
        let sent = self.peer.bodies("POST agreement");
        let agreed = &sent.last().unwrap()["agreement"];
        assert_eq!((&agreed["@id"], &agreed["target"]), (&json!(one.at_id), &json!(VIEW)));
        let contract = self.node().partition.read(|fold, _| {
            let contract = fold.contracts.iter().next().unwrap();
            contract.terms().clone()
        });
        let agreed = odrl::read(&Value::clone(&over.agreement.unwrap().policy)).unwrap().terms;
        let compared = compare(&agreed, &contract.unwrap(), &self.node().vocabulary);
        assert_eq!(compared.order, order, "{:?}", compared.differences);
        assert_eq!(self.peer.bodies("POST events").pop().unwrap()["eventType"], "FINALIZED");
    }

    /// Whatever the consumer has heard is a message of the protocol.
    fn is_valid(&self) {
        let Some(shared) = shared("the protocol's schemas") else { return };
        let schemas = Schemas::load(&shared);
        for Heard { body, .. } in self.peer.heard.borrow().iter() {
            let schema = schemas.of(body["@type"].as_str().unwrap());
            let errors: Vec<String> = schema.iter_errors(body).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{body:#}\n{errors:#?}");
        }
    }
}

/// When the consumer says what it says to an offer: before it has answered, as the EDC family
/// does, or when the test has it say so.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum When {
    Early,
    Late,
}

/// Our view, on the terms of its contract.
fn wanted() -> OfferAsked {
    OfferAsked { partner: "edc".to_owned(), dataset: VIEW.to_owned(), policy: None }
}

fn below(door: &str, pid: &str, leaf: &str) -> String {
    format!("{door}/negotiations/{pid}/{leaf}")
}

fn consumer(door: String, answers: Answers, when: When, status: u16) -> Script {
    Arc::new(move |heard| {
        let pid = heard.body["providerPid"].as_str().unwrap_or_default().to_owned();
        let is_first = heard.body.get("consumerPid").is_none();
        let says = match heard.what.as_str() {
            "POST offers" if when == When::Early => answers(&heard.body, heard.before),
            "POST agreement" => Some(verifies(&heard.body)),
            _ => None,
        };
        let answer = match (heard.what.as_str(), is_first) {
            ("POST offers", true) if status < 300 => {
                let mut members = pids(&heard.body);
                members["state"] = "OFFERED".into();
                (status, message("ContractNegotiation", members))
            }
            ("POST offers", true) => (status, Value::Null),
            _ => (200, Value::Null),
        };
        let door = door.clone();
        Box::pin(async move {
            if let Some((leaf, message)) = says {
                let (status, said) = say(&below(&door, &pid, leaf), &message).await;
                assert_eq!(status, 200, "{said}");
            }
            answer
        })
    })
}

/// The ids of the process that a message of ours belongs to.
fn pids(ours: &Value) -> Value {
    json!({ "providerPid": ours["providerPid"], "consumerPid": CONSUMER })
}

fn verifies(ours: &Value) -> (&'static str, Value) {
    let kind = "ContractAgreementVerificationMessage";
    ("agreement/verification", message(kind, pids(ours)))
}

pub(crate) fn accepts(ours: &Value) -> (&'static str, Value) {
    let mut members = pids(ours);
    members["eventType"] = "ACCEPTED".into();
    ("events", message("ContractNegotiationEventMessage", members))
}

fn ends(ours: &Value) -> (&'static str, Value) {
    let mut members = pids(ours);
    members["code"] = "NO".into();
    members["reason"] = json!(["we want none of it"]);
    ("termination", message("ContractNegotiationTerminationMessage", members))
}

/// It asks for what was offered, as its processor writes it, with that change.
pub(crate) fn counters(ours: &Value, change: fn(&mut Value)) -> (&'static str, Value) {
    let mut members = pids(ours);
    members["offer"] = rewritten(&ours["offer"]);
    change(&mut members["offer"]);
    ("request", message("ContractRequestMessage", members))
}

/// One bound more.
pub(crate) fn less(offer: &mut Value) {
    let bound = json!({ "leftOperand": "dateTime", "operator": "lt",
        "rightOperand": { "@value": "2030-01-01T00:00:00Z", "@type": "xsd:dateTime" } });
    offer["permission"][0]["constraint"].as_array_mut().unwrap().push(bound);
}

/// No bound at all.
fn more(offer: &mut Value) {
    offer["permission"][0]["constraint"] = json!([]);
    offer.as_object_mut().unwrap().remove("obligation");
}

/// What is offered is the offer of our catalogue, and what follows is agreed once.
#[tokio::test]
async fn a_connector_that_accepts_what_it_is_offered() {
    for when in [When::Early, When::Late] {
        let offered = Offered::open(|ours, _| Some(accepts(ours)), when, 201).await;
        let [ours] = &offered.peer.hears("POST offers", 1).await[..] else { panic!() };
        let door = offered.node().connectors.endpoint().unwrap();
        assert_eq!((&ours["providerPid"], ours.get("consumerPid")), (&json!(offered.pid), None));
        assert_eq!(ours["callbackAddress"], door);
        let asked = message("CatalogRequestMessage", json!({}));
        let (_, catalog) = say(&format!("{door}/catalog/request"), &asked).await;
        let mut ours_there = catalog["dataset"][0]["hasPolicy"][0].clone();
        ours_there["target"] = VIEW.into();
        assert_eq!(ours["offer"], ours_there);
        if when == When::Late {
            offered.is_taken().await;
            let (leaf, accepted) = accepts(ours);
            let (status, said) = offered.told(leaf, &accepted).await;
            assert_eq!(status, 200, "{said}");
        }
        offered.holds(Order::Equal).await;
        offered.is_valid();
        assert_eq!(offered.peer.bodies("POST offers").len(), 1);
        offered.running.stop().await;
    }
}

/// What lies within the contract is agreed. Who asks for more is offered the contract once more,
/// and who asks for more again gets nothing.
#[tokio::test]
async fn a_connector_that_asks_for_something_else_than_it_is_offered() {
    let check = async |answers: Answers, offers: usize, order: Option<Order>| {
        let offered = Offered::open(answers, When::Early, 201).await;
        match order {
            Some(order) => offered.holds(order).await,
            None => {
                let over = offered.ends().await;
                let ended = over.ended.unwrap();
                assert_eq!((over.state, ended.by), (State::Terminated, Whose::Ours), "{ended:?}");
                let sent = offered.peer.bodies("POST termination");
                assert_eq!((sent.len(), &sent[0]["reason"]), (1, &json!(ended.reason)));
                assert!(agreements::list(offered.node(), None).unwrap().is_empty());
            }
        }
        let sent = offered.peer.bodies("POST offers");
        assert_eq!(sent.len(), offers);
        for again in &sent[1..] {
            assert_eq!(
                (&again["consumerPid"], &again["offer"]),
                (&json!(CONSUMER), &sent[0]["offer"])
            );
        }
        offered.is_valid();
        offered.running.stop().await;
    };
    check(|ours, _| Some(counters(ours, |_| ())), 1, Some(Order::Equal)).await;
    check(|ours, _| Some(counters(ours, less)), 1, Some(Order::Narrower)).await;
    let settles: Answers = |ours, before| match before {
        0 => Some(counters(ours, more)),
        _ => Some(accepts(ours)),
    };
    check(settles, 2, Some(Order::Equal)).await;
    let yields: Answers = |ours, before| match before {
        0 => Some(counters(ours, more)),
        _ => Some(counters(ours, less)),
    };
    check(yields, 2, Some(Order::Narrower)).await;
    check(|ours, _| Some(counters(ours, more)), 2, None).await;
    let unknown: Answers =
        |ours, _| Some(counters(ours, |offer| offer["@id"] = "urn:other".into()));
    check(unknown, 1, None).await;
    let elsewhere: Answers =
        |ours, _| Some(counters(ours, |offer| offer["target"] = "urn:other".into()));
    check(elsewhere, 1, None).await;
}

/// It says so, in the protocol or by a status that is for good: that is the end, and the same may
/// be offered to it again.
#[tokio::test]
async fn a_connector_that_wants_none_of_what_it_is_offered() {
    for (when, status) in
        [(When::Early, 201), (When::Late, 201), (When::Late, 400), (When::Late, 405)]
    {
        let offered = Offered::open(|ours, _| Some(ends(ours)), when, status).await;
        let sent = offered.peer.hears("POST offers", 1).await;
        if (when, status) == (When::Late, 201) {
            offered.is_taken().await;
            let (leaf, message) = ends(&sent[0]);
            for _ in 0..2 {
                let (status, said) = offered.told(leaf, &message).await;
                assert_eq!(status, 200, "{said}");
            }
        }
        let over = offered.ends().await;
        let ended = over.ended.unwrap();
        assert_eq!(over.state, State::Terminated, "{status}");
        match status {
            201 => {
                assert_eq!((ended.by, ended.code.as_deref()), (Whose::Peers, Some("NO")));
                assert_eq!(ended.reason, ["we want none of it"]);
            }
            _ => assert!(ended.reason[0].contains(&status.to_string()), "{ended:?}"),
        }
        // What it does not know it is not told the end of.
        assert!(offered.peer.bodies("POST termination").is_empty());
        assert!(agreements::list(offered.node(), None).unwrap().is_empty());
        let again = offer(offered.node(), &wanted()).await.unwrap();
        assert_ne!(again.line.pid, offered.pid);
        offered.peer.hears("POST offers", 2).await;
        offered.is_valid();
        offered.running.stop().await;
    }
}
