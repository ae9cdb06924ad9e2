//! A wall clock that is set forward and back by an hour and by a year: what was recorded stays in
//! order and is there, tokens and assertions are judged by the clock of that moment, a negotiation
//! is asked about and not lost, certificates follow, and once the clock is right again everything
//! goes on. A policy clock that is set alone changes decisions, and nothing that is on record.

use crate::liveness::{MONDAY, fresh_token, present, requested, signed, started};
use crate::operator::Operator;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use twinpact_dsp::exchange::FAR_S;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_identity::tls::{Clock, system_clock};
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_node::{
    NodeParts, PolicyClock, check, deadlines, doctor, keys, open, partners, prove, record,
};
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Level, Trust, verify};
use twinpact_store::forest::{DECISIONS, EVENTS};
use twinpact_store::vfs::RealDisk;

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 86_400;
const JUMPS: [i64; 4] = [HOUR, -HOUR, YEAR, -YEAR];

/// By a clock that was set back, whoever signs now does so in the future.
const NOT_YET: &str = "is signed in the future";

const MODEL: &str = r#"
model = "pump"
version = 1
[[attribute]]
name = "flow"
datatype = "double"
"#;

/// A clock that is wrong by so many seconds.
#[derive(Clone, Default)]
struct Wrong(Arc<AtomicI64>);

impl Wrong {
    fn by(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let (right, wrong) = (system_clock(), self.0.clone());
        Arc::new(move || WallTime(right().0.plus_seconds(wrong.load(Ordering::SeqCst))))
    }
}

async fn opened(path: &Path, wrong: &Wrong) -> NodeParts {
    let disk = Arc::new(RealDisk);
    open::open_by(disk, path, PolicyClock::System, wrong.clock()).await.unwrap()
}

/// A new node that runs by that clock, in the directory `node` of the place.
async fn made(wrong: &Wrong) -> (tempfile::TempDir, NodeParts) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("node");
    open::init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
    let parts = opened(&path, wrong).await;
    (place, parts)
}

async fn ingest(parts: &NodeParts, id: usize) {
    let observation = json!({
        "id": id.to_string(), "twin": "urn:pump:1", "time": "2026-01-05T10:00:00Z",
        "values": {"flow": format!("{id}.5")},
    });
    let body = json!({"source": "urn:s", "model": "pump@1", "observations": [observation]});
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!(record::record(&parts.node, batch, "x").await.unwrap().new, 1);
}

#[tokio::test]
async fn what_is_recorded_stays_in_order_wherever_the_clock_is_set() {
    for jump in JUMPS {
        let wrong = Wrong::default();
        let (place, parts) = made(&wrong).await;
        let path = place.path().join("node");
        record::apply_model(&parts.node, model_file::parse(MODEL).unwrap(), "x").await.unwrap();
        ingest(&parts, 0).await;
        // While it runs, before a tick, over a restart, and right again.
        wrong.by(jump);
        ingest(&parts, 1).await;
        prove::fact(&parts.node, 0, &[]).await.unwrap();
        parts.stop();
        let parts = opened(&path, &wrong).await;
        ingest(&parts, 2).await;
        wrong.by(0);
        ingest(&parts, 3).await;
        parts.stop();
        let parts = opened(&path, &wrong).await;
        ingest(&parts, 4).await;
        prove::fact(&parts.node, 0, &[]).await.unwrap();
        let recorded = parts.node.partition.read(|_, store| {
            let size = store.forest().size(EVENTS);
            let at = |index| store.entry(EVENTS, index).unwrap().entry.when.recorded;
            (0..size).map(at).collect::<Vec<Timestamp>>()
        });
        assert!(recorded.unwrap().windows(2).all(|pair| pair[0] < pair[1]), "{jump}");
        let policy = parts.node.clocks.policy().0;
        assert!((policy.micros() - system_clock()().0.micros()).abs() < 60_000_000, "{jump}");
        parts.stop();
        let report = check::check(&path, &mut |_, _, _| {}).unwrap();
        assert_eq!((report.counts.facts, report.wrong), (5, 0), "{jump}: {:?}", report.findings);
    }
}

#[tokio::test]
async fn a_token_is_judged_by_the_clock_of_that_moment() {
    for (jump, code, says) in [
        (HOUR, "policy.token.expired", "good until"),
        (YEAR, "policy.token.expired", "good until"),
        (-HOUR, "policy.assertion.early", NOT_YET),
        (-YEAR, "policy.assertion.early", NOT_YET),
    ] {
        let wrong = Wrong::default();
        let operator = Operator::by(wrong.clock()).await;
        let node = &operator.parts.node;
        let signer = open::open(&operator.place.path().join("maker"), PolicyClock::System).await;
        let signer = signer.unwrap();
        let pid = started(&operator).await;
        node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
        let token = fresh_token(node, &operator, &pid).await;
        // Between its issue and its use.
        wrong.by(jump);
        let said = present(&operator, &pid, &token, signed(&operator, &signer)).await;
        assert_eq!(said.0, code, "{jump}: {}", said.1);
        assert!(said.1.contains(says), "{jump}: {}", said.1);
        wrong.by(0);
        let said = present(&operator, &pid, &token, signed(&operator, &signer)).await;
        assert_eq!(said.0, "", "{jump}: right again: {}", said.1);
        signer.stop();
        operator.parts.stop();
    }
}

/// The denial of the first token stands when the second one is denied: it is not recorded again.
#[tokio::test]
async fn a_denial_that_stands_speaks_of_the_token_that_was_shown() {
    let wrong = Wrong::default();
    let operator = Operator::by(wrong.clock()).await;
    let node = &operator.parts.node;
    let signer = open::open(&operator.place.path().join("maker"), PolicyClock::System).await;
    let signer = signer.unwrap();
    let pid = started(&operator).await;
    node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
    let mut said = Vec::new();
    for hours in [0, 1] {
        wrong.by(hours * HOUR);
        let token = fresh_token(node, &operator, &pid).await;
        wrong.by((hours + 1) * HOUR);
        said.push(present(&operator, &pid, &token, signed(&operator, &signer)).await);
    }
    let entries = node.partition.read(|_, store| store.forest().size(DECISIONS)).unwrap();
    assert!(said.iter().all(|(code, _)| code == "policy.token.expired"), "{said:?}");
    assert_ne!(said[0].1, said[1].1, "they ran out an hour apart");
    assert_eq!(entries, 3, "one denial, met twice");
    signer.stop();
    operator.parts.stop();
}

#[tokio::test]
async fn a_negotiation_outlives_a_clock_that_was_set() {
    for jump in JUMPS {
        let wrong = Wrong::default();
        let operator = Operator::by(wrong.clock()).await;
        let node = &operator.parts.node;
        let pid = requested(&operator).await;
        wrong.by(jump);
        // What is a year late, or has a deadline in a year, is asked about, once each time that the
        // clock is set; nobody gives up by the clock alone.
        let due = usize::from(jump.abs() == YEAR);
        assert_eq!(deadlines::fire(node, node.clocks.wall()).await.unwrap(), due, "{jump}");
        assert_eq!(deadlines::fire(node, node.clocks.wall()).await.unwrap(), 0, "{jump}");
        wrong.by(0);
        assert_eq!(deadlines::fire(node, node.clocks.wall()).await.unwrap(), due, "{jump}");
        assert_eq!(deadlines::fire(node, node.clocks.wall()).await.unwrap(), 0, "{jump}");
        let next = node.partition.read(|fold, _| fold.processes.next_deadline()).unwrap().unwrap();
        assert!(next.0 < node.clocks.wall().0.plus_seconds(FAR_S), "{jump}: {next:?}");
        let members = json!({"providerPid": pid, "consumerPid": "urn:c:1"});
        let kind = "ContractAgreementVerificationMessage";
        let verified = crate::operator::message(kind, members).to_string();
        let path = format!("/negotiations/{pid}/agreement/verification");
        let answer = operator.ask("POST", &path, verified.as_bytes()).await;
        assert_eq!(answer.status, 200, "{jump}: {answer:?}");
        let agreements = node.partition.read(|fold, _| fold.agreements.iter().count());
        assert_eq!(agreements.unwrap(), 1, "{jump}");
        operator.parts.stop();
    }
}

#[tokio::test]
async fn a_certificate_follows_the_clock_there_and_back() {
    // A year ahead the issuing authority has run out: then there is nothing to present.
    for (jump, presents) in [(HOUR, true), (-HOUR, true), (YEAR + HOUR, false), (-YEAR, true)] {
        let wrong = Wrong::default();
        let (_place, parts) = made(&wrong).await;
        let node = &parts.node;
        assert!(!open::renew_after_jump(node).await.unwrap(), "{jump}: not before it is set");
        for (seconds, presents) in [(jump, presents), (0, true)] {
            wrong.by(seconds);
            assert!(!node.presented.is_good(node.clocks.wall(), 0), "{jump}");
            assert!(open::renew_after_jump(node).await.unwrap(), "{jump}");
            assert_eq!(node.presented.is_good(node.clocks.wall(), 0), presents, "{jump}");
            assert!(!open::renew_after_jump(node).await.unwrap(), "{jump}: once is enough");
        }
        parts.stop();
    }
}

#[tokio::test]
async fn a_key_that_was_changed_a_year_ahead_signs_once_the_clock_is_right() {
    let (wrong, operator) = (Wrong::default(), Operator::by(system_clock()).await);
    let node = &operator.parts.node;
    let signer = opened(&operator.place.path().join("maker"), &wrong).await;
    let pid = started(&operator).await;
    node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
    wrong.by(YEAR);
    let old = signer.node.signer().public();
    keys::rotate(&signer.node, keys::OVERLAP_SECONDS).await.unwrap();
    let record = prove::own_record(&signer.node).unwrap().to_json().canonical();
    partners::add(node, record.as_bytes()).await.unwrap();
    wrong.by(0);
    assert_ne!(signer.node.signer().public(), old);
    let token = fresh_token(node, &operator, &pid).await;
    let said = present(&operator, &pid, &token, signed(&operator, &signer)).await;
    assert_eq!(said.0, "", "{}", said.1);
    signer.stop();
    operator.parts.stop();
}

#[tokio::test]
async fn what_was_proven_a_year_ahead_holds_after_the_key_was_changed() {
    let wrong = Wrong::default();
    let (_place, parts) = made(&wrong).await;
    let mut trust = Trust::default();
    trust.add(&prove::own_record(&parts.node).unwrap(), DECIDED).unwrap();
    wrong.by(YEAR);
    let proof = prove::fact(&parts.node, 0, &[]).await.unwrap().to_bytes();
    wrong.by(0);
    keys::rotate(&parts.node, keys::MIN_OVERLAP_SECONDS).await.unwrap();
    trust.add(&prove::own_record(&parts.node).unwrap(), DECIDED).unwrap();
    assert_eq!(verify(&proof, Some(&trust)).map(|verdict| verdict.level), Ok(Level::Signed));
    parts.stop();
}

/// Where the partner sees a certificate that is over, or not good yet, who asks the doctor at the
/// machine whose clock is wrong learns it.
#[tokio::test]
async fn the_doctor_names_a_clock_that_was_set_back() {
    for (jump, code) in [
        (HOUR, None),
        (YEAR, Some("identity.expired")),
        (-HOUR, Some("clock.behind")),
        (-YEAR, Some("clock.behind")),
    ] {
        let wrong = Wrong::default();
        let (_place, parts) = made(&wrong).await;
        wrong.by(jump);
        let found = doctor::state(&parts.node, parts.node.clocks.wall()).unwrap();
        let alarm = found.iter().find_map(|finding| finding.code.as_deref());
        assert_eq!(alarm, code, "{jump}: {found:?}");
        parts.stop();
    }
}

#[tokio::test]
async fn a_policy_clock_that_is_set_alone_changes_decisions_and_loses_nothing() {
    let monday = Timestamp::parse(MONDAY).unwrap();
    let operator = Operator::by(system_clock()).await;
    let node = &operator.parts.node;
    let maker = operator.place.path().join("maker");
    let signer = open::open(&maker, PolicyClock::System).await.unwrap();
    let pid = started(&operator).await;
    for (jump, code) in [
        (0, ""),
        (HOUR, ""),
        (-HOUR, ""),
        // Out of the hours of use.
        (-4 * HOUR, "policy.schedule"),
        (12 * HOUR, "policy.schedule"),
        // A Tuesday, and a Sunday.
        (YEAR, ""),
        (-YEAR, "policy.schedule"),
        (0, ""),
    ] {
        node.clocks.set_policy(monday.plus_seconds(jump)).unwrap();
        let before = node.partition.read(|fold, _| fold.last_recorded()).unwrap();
        let token = fresh_token(node, &operator, &pid).await;
        let said = present(&operator, &pid, &token, signed(&operator, &signer)).await;
        assert_eq!(said.0, code, "{jump}: {}", said.1);
        let after = node.partition.read(|fold, _| fold.last_recorded()).unwrap();
        assert!(after > before, "{jump}: what was decided is on record, later than the rest");
    }
    let ledger = |node: &twinpact_node::Node| {
        let read = node.partition.read(|fold, store| {
            let ledger = fold.agreements.iter().find_map(|one| one.ledger).unwrap();
            store.forest().size(ledger)
        });
        read.unwrap()
    };
    assert_eq!(ledger(node), 5, "one entry a delivery");
    signer.stop();
    operator.parts.stop();
    let path = operator.place.path().join("operator");
    let parts = open::open(&path, PolicyClock::Driven).await.unwrap();
    assert_eq!(ledger(&parts.node), 5);
    parts.stop();
    std::fs::write(path.join("policy-clock"), "soon\n").unwrap();
    let refused = open::open(&path, PolicyClock::Driven).await.err().unwrap();
    assert_eq!(refused.code.name, "store.damaged", "{refused}");
    assert_eq!(check::check(&path, &mut |_, _, _| {}).unwrap().wrong, 0);
}
