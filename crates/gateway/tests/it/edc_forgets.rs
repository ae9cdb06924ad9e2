//! Connectors of the EDC family that forget: that they have sent an agreement, so that they draw it
//! up anew under another id, and what they have taken from us, so that they wait for it.

use crate::edc_like::{
    Peer, Script, agreement, bodies, message, node, policy, provider, say, until,
};
use crate::of_others::known;
use crate::pair::{self, VIEW};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use twinpact_dsp::negotiation::{Negotiation, State};
use twinpact_gateway::Running;
use twinpact_node::api::{Fetch, Negotiate};
use twinpact_node::{Node, agreements, consumer, contracts, fetching, ids, why};
use twinpact_testkit::free_port;

const FIRST: &str = "urn:uuid:first";
pub(crate) const SECOND: &str = "urn:uuid:second";
/// The id that the provider has given the process.
const PROVIDER: &str = "urn:uuid:edc-2";

/// What we negotiate with a provider that says what the test has it say.
pub(crate) struct Asked {
    pub(crate) running: Running,
    pub(crate) place: TempDir,
    pub(crate) peer: Peer,
    pub(crate) pid: String,
}

impl Asked {
    /// With a provider of whose usual answers that makes others; it is told of our door.
    pub(crate) async fn open(answers: impl FnOnce(Script, String) -> Script) -> Asked {
        let port = free_port();
        let (running, place) = node(port).await;
        let door = running.parts.node.connectors.endpoint().unwrap().to_owned();
        let peer = Peer::open(port, answers(quiet(port), door)).await;
        let ours = running.parts.node.clone();
        let wanted = Negotiate {
            partner: "edc".to_owned(),
            dataset: Some("asset-1".to_owned()),
            another: false,
        };
        let negotiating = tokio::spawn(async move { consumer::negotiate(&ours, &wanted).await });
        let pid = until(&running, |fold| {
            let one = fold.processes.negotiations.values().next()?;
            one.party.peer_pid.as_ref().map(|_| one.party.own_pid.clone())
        })
        .await;
        // The node goes on without who waits for the end, and who waits would keep it open.
        negotiating.abort();
        negotiating.await.unwrap_err();
        Asked { running, place, peer, pid }
    }

    /// With one that takes whatever we send.
    pub(crate) async fn plainly() -> Asked {
        Asked::open(|usual, _| usual).await
    }

    pub(crate) fn node(&self) -> &Node {
        &self.running.parts.node
    }

    /// The answer to a message of the provider.
    pub(crate) async fn told(&self, leaf: &str, message: &Value) -> (u16, Value) {
        let door = self.node().connectors.endpoint().unwrap();
        say(&below(door, &self.pid, leaf), message).await
    }

    /// The provider says something that we take.
    pub(crate) async fn says(&self, leaf: &str, message: &Value) {
        let (status, said) = self.told(leaf, message).await;
        assert_eq!(status, 200, "{said}");
    }

    /// As we know it once we have verified, and our verification was taken.
    pub(crate) async fn verified(&self) -> Negotiation {
        self.comes_to(State::Verified).await
    }

    pub(crate) async fn comes_to(&self, state: State) -> Negotiation {
        until(&self.running, |fold| {
            let one = &fold.processes.negotiations[&self.pid];
            let taken = one.post.unacknowledged.is_none() && fold.processes.outbox.is_empty();
            (one.state == state && taken).then(|| one.clone())
        })
        .await
    }

    /// How many verifications we have sent.
    pub(crate) fn verifications(&self) -> usize {
        distinct(&self.peer.bodies("POST verification"))
    }

    /// There is one agreement, and it has that id.
    pub(crate) async fn holds(&self, id: &str) {
        self.comes_to(State::Finalized).await;
        let all = agreements::list(self.node(), None).unwrap();
        let lines: Vec<_> = all.iter().map(|one| (one.at_id.as_str(), &*one.state)).collect();
        assert_eq!(lines, [(id, "active")]);
    }

    /// Data come under the second agreement, and the first is none.
    async fn fetches_under_the_second(&self) {
        let fetch = async |agreement: &str| {
            let wanted = Fetch { agreement: agreement.to_owned(), push: false };
            fetching::fetch(self.node(), &wanted).await
        };
        assert_eq!(fetch(FIRST).await.unwrap_err().code.name, "agreement.unknown");
        // The first transfer is ended, as the usual provider does.
        fetch(SECOND).await.unwrap_err();
        assert_eq!(fetch(SECOND).await.unwrap().text.as_deref(), Some("{\"rows\":[1,2,3]}"));
        let mut asked = self.peer.bodies("POST request");
        asked.retain(|body| body["@type"] == "TransferRequestMessage");
        let under: Vec<&Value> = asked.iter().map(|body| &body["agreementId"]).collect();
        assert_eq!(under, [SECOND, SECOND]);
    }

    /// The same after a stop of our node.
    pub(crate) async fn started_again(self) -> Asked {
        self.running.stop().await;
        let running = pair::start(&self.place.path().join("node")).await;
        Asked { running, ..self }
    }
}

fn below(door: &str, pid: &str, leaf: &str) -> String {
    format!("{door}/negotiations/{pid}/{leaf}")
}

/// How many messages these are, each counted once however often it went.
fn distinct(sent: &[Value]) -> usize {
    let ids: BTreeSet<&str> = sent.iter().map(|body| body["@id"].as_str().unwrap()).collect();
    ids.len()
}

/// The usual provider, which has not agreed yet when it answers our request.
fn quiet(port: u16) -> Script {
    let usual = provider(port, policy());
    Arc::new(move |heard| {
        if heard.body["@type"] != "ContractRequestMessage" {
            return usual(heard);
        }
        let ours = heard.body["consumerPid"].clone();
        let members = json!({ "providerPid": PROVIDER, "consumerPid": ours, "state": "REQUESTED" });
        Box::pin(async move { (201, message("ContractNegotiation", members)) })
    })
}

pub(crate) fn first() -> Value {
    agreement(FIRST, 3, &policy())
}

/// The same agreement, drawn up anew.
pub(crate) fn second() -> Value {
    agreement(SECOND, 9, &policy())
}

pub(crate) fn agrees(pid: &str, agreement: &Value) -> Value {
    let members = json!({ "providerPid": PROVIDER, "consumerPid": pid, "agreement": agreement });
    message("ContractAgreementMessage", members)
}

pub(crate) fn finalizes(pid: &str) -> Value {
    let members = json!({ "providerPid": PROVIDER, "consumerPid": pid, "eventType": "FINALIZED" });
    message("ContractNegotiationEventMessage", members)
}

/// It has taken our verification of the first agreement when it draws up the second: that is
/// verified too, and it alone holds.
#[tokio::test]
async fn an_edc_that_draws_up_its_agreement_anew_after_we_have_verified() {
    let asked = Asked::plainly().await;
    for (agreement, verifications) in [(first(), 1), (second(), 2)] {
        asked.says("agreement", &agrees(&asked.pid, &agreement)).await;
        asked.verified().await;
        assert_eq!(asked.verifications(), verifications);
    }
    asked.says("events", &finalizes(&asked.pid)).await;
    asked.holds(SECOND).await;
    asked.fetches_under_the_second().await;
    assert_eq!(asked.verifications(), 2);
    asked.running.stop().await;
}

/// Our node stops between the second agreement and its end: when its verification of that was
/// taken, and when it was not.
#[tokio::test]
async fn a_stop_between_an_agreement_that_is_drawn_up_anew_and_its_end() {
    let check = async |is_taken: bool| {
        let (ready, is_ready) = watch::channel(is_taken);
        let asked = Asked::open(|usual, _| early_for_the_second(usual, is_ready)).await;
        asked.says("agreement", &agrees(&asked.pid, &first())).await;
        asked.verified().await;
        asked.says("agreement", &agrees(&asked.pid, &second())).await;
        second_is_heard(&asked.peer).await;
        if is_taken {
            asked.verified().await;
        }
        let asked = asked.started_again().await;
        ready.send_replace(true);
        asked.verified().await;
        asked.says("events", &finalizes(&asked.pid)).await;
        asked.holds(SECOND).await;
        asked.fetches_under_the_second().await;
        assert_eq!(asked.verifications(), 2, "{is_taken}");
        asked.running.stop().await;
    };
    for is_taken in [true, false] {
        check(is_taken).await;
    }
}

async fn second_is_heard(peer: &Peer) {
    let mut heard = peer.heard.subscribe();
    let both = heard.wait_for(|heard| distinct(&bodies(heard, "POST verification")) == 2);
    tokio::time::timeout(Duration::from_secs(60), both).await.unwrap().unwrap();
}

/// One to which our second verification comes too early until it is ready.
fn early_for_the_second(usual: Script, ready: watch::Receiver<bool>) -> Script {
    let first = OnceLock::new();
    Arc::new(move |heard| {
        if heard.what != "POST verification" || *ready.borrow() {
            return usual(heard);
        }
        match first.get_or_init(|| heard.body["@id"].clone()) == &heard.body["@id"] {
            true => usual(heard),
            false => Box::pin(async { (409, Value::Null) }),
        }
    })
}

/// Copies that come late, as they were or under a new `@id`, are acknowledged and change nothing.
#[tokio::test]
async fn a_late_copy_of_an_agreement_that_was_drawn_up_anew() {
    let asked = Asked::plainly().await;
    let sent = [first(), second()].map(|agreement| agrees(&asked.pid, &agreement));
    for message in &sent {
        asked.says("agreement", message).await;
        asked.verified().await;
    }
    let check = async |message: &Value| {
        let before = known(asked.node(), &asked.pid);
        asked.says("agreement", message).await;
        assert_eq!(known(asked.node(), &asked.pid), before, "{message}");
    };
    let mut copies = sent.clone().map(|mut copy| {
        copy["@id"] = ids::urn().unwrap().into();
        copy
    });
    // One that has no id is known by what it says.
    let mut bare = sent[0].clone();
    bare.as_object_mut().unwrap().remove("@id");
    for message in sent.iter().chain(&copies).chain([&bare]) {
        check(message).await;
    }
    asked.says("events", &finalizes(&asked.pid)).await;
    asked.holds(SECOND).await;
    copies[0]["@id"] = ids::urn().unwrap().into();
    for message in sent.iter().chain([&copies[0], &bare]) {
        check(message).await;
    }
    assert_eq!(asked.verifications(), 2);
    asked.holds(SECOND).await;
    asked.running.stop().await;
}

/// What says something else than the first is no first that is drawn up anew: it is refused, and
/// the first goes on. So is one that comes when all is over.
#[tokio::test]
async fn another_agreement_does_not_take_the_place_of_the_first() {
    let asked = Asked::plainly().await;
    asked.says("agreement", &agrees(&asked.pid, &first())).await;
    asked.verified().await;
    let check = async |agreement: Value| {
        let before = known(asked.node(), &asked.pid);
        let (status, said) = asked.told("agreement", &agrees(&asked.pid, &agreement)).await;
        let refused = (400, &json!("ContractNegotiationError"), &json!("dsp.transition"));
        assert_eq!((status, &said["@type"], &said["code"]), refused, "{agreement}: {said}");
        assert_eq!(known(asked.node(), &asked.pid), before, "{agreement}");
    };
    let (mut wider, mut narrower) = (policy(), policy());
    wider[0]["constraint"] = json!([]);
    narrower[0]["constraint"][0]["rightOperand"] = json!(["urn:one"]);
    for (member, other) in [
        ("permission", wider),
        ("permission", narrower),
        ("prohibition", policy()),
        ("target", "asset-2".into()),
        ("assigner", "third".into()),
        ("assignee", "third".into()),
    ] {
        for id in [FIRST, SECOND] {
            let mut agreement = agreement(id, 9, &policy());
            agreement[member] = other.clone();
            check(agreement).await;
        }
    }
    asked.says("events", &finalizes(&asked.pid)).await;
    asked.holds(FIRST).await;
    check(second()).await;
    asked.holds(FIRST).await;
    assert_eq!(asked.verifications(), 1);
    asked.running.stop().await;
}

/// It takes our verification and forgets it, and finalizes when it has heard it so often. One may
/// draw up its agreement anew at that: the verification that it hears then is of both.
#[tokio::test]
async fn a_provider_that_forgets_that_we_have_verified() {
    for (hears, anew) in [(1, false), (2, false), (3, false), (2, true)] {
        let script = |usual, door| finalizing(usual, door, hears, anew);
        let asked = Asked::open(script).await;
        asked.says("agreement", &agrees(&asked.pid, &first())).await;
        asked.holds(if anew { SECOND } else { FIRST }).await;
        let sent = asked.peer.bodies("POST verification");
        assert!(sent.windows(2).all(|two| two[0] == two[1]), "{sent:#?}");
        assert_eq!(sent.len(), hears, "{anew}");
        // What went again is in the story; what was noted at once does not go again.
        let story = why::why(asked.node(), &asked.pid).unwrap();
        let again = story.steps.iter().filter(|step| step.text.contains("once more"));
        assert!(again.count() == hears - 1 || anew, "{story:?}");
        asked.running.stop().await;
    }
}

/// One that finalizes when it hears our verification for that time.
fn finalizing(usual: Script, door: String, hears: usize, anew: bool) -> Script {
    Arc::new(move |heard| {
        let pid = heard.body["consumerPid"].as_str().unwrap_or_default();
        let (leaf, message) = match (heard.what.as_str(), heard.before + 1) {
            ("POST verification", time) if time == hears => ("events", finalizes(pid)),
            ("POST verification", 1) if anew => ("agreement", agrees(pid, &second())),
            _ => return usual(heard),
        };
        let url = below(&door, pid, leaf);
        Box::pin(async move {
            let (status, said) = say(&url, &message).await;
            assert_eq!(status, 200, "{said}");
            (200, Value::Null)
        })
    })
}

/// It takes our agreement and forgets it, and verifies when it has heard it so often.
#[tokio::test]
async fn a_consumer_that_forgets_that_we_have_agreed() {
    for hears in [2, 3] {
        let port = free_port();
        let (running, _place) = node(port).await;
        let ours = &running.parts.node;
        pair::fill(ours).await;
        let door = ours.connectors.endpoint().unwrap().to_owned();
        let peer = Peer::open(port, verifying(door.clone(), hears)).await;
        let read = ours.partition.read(|fold, _| {
            let contract = fold.contracts.iter().next().unwrap();
            (contracts::offer_id(contract), contract.terms().to_odrl())
        });
        let (id, terms) = read.unwrap();
        let mut offer = json!({ "@id": id, "@type": "Offer", "target": VIEW });
        offer.as_object_mut().unwrap().extend(terms);
        let request = message(
            "ContractRequestMessage",
            json!({
                "consumerPid": "urn:uuid:edc-1", "offer": offer,
                "callbackAddress": format!("http://127.0.0.1:{port}/dsp/2025-1"),
            }),
        );
        let (status, opened) = say(&format!("{door}/negotiations/request"), &request).await;
        assert_eq!(status, 201, "{opened}");
        let pid = opened["providerPid"].as_str().unwrap();
        until(&running, |fold| {
            let one = &fold.processes.negotiations[pid];
            let over = one.state == State::Finalized && fold.processes.outbox.is_empty();
            over.then_some(())
        })
        .await;
        let sent = peer.bodies("POST agreement");
        assert!(sent.windows(2).all(|two| two[0] == two[1]), "{sent:#?}");
        assert_eq!(sent.len(), hears);
        let all = agreements::list(ours, None).unwrap();
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!(sent[0]["agreement"]["@id"], *one.at_id);
        running.stop().await;
    }
}

/// One that verifies when it hears our agreement for that time.
fn verifying(door: String, hears: usize) -> Script {
    Arc::new(move |heard| {
        if heard.what != "POST agreement" || heard.before + 1 != hears {
            return Box::pin(async { (200, Value::Null) });
        }
        let (provider, consumer) = (&heard.body["providerPid"], &heard.body["consumerPid"]);
        let members = json!({ "providerPid": provider, "consumerPid": consumer });
        let verified = message("ContractAgreementVerificationMessage", members);
        let url = below(&door, provider.as_str().unwrap(), "agreement/verification");
        Box::pin(async move {
            let (status, said) = say(&url, &verified).await;
            assert_eq!(status, 200, "{said}");
            (200, Value::Null)
        })
    })
}
