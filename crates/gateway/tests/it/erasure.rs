//! A twin that is erased: here, and at the partner that has copies of it.

use crate::countersigning::send;
use crate::pair::{MAKER, OPERATOR, Pair, ROWS, TUESDAY, until};
use serde_json::json;
use std::collections::BTreeMap;
use twinpact_edge::batch::{IngestBatch, IngestReport};
use twinpact_gateway::Running;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_node::api::{EraseAsked, ErasureLine};
use twinpact_node::fold::Fold;
use twinpact_node::{
    Node, PolicyClock, agreements, check, decisions, erasures, open, prove, read, receipts, record,
    retention,
};
use twinpact_proof::deletion::{Deletion, Erasure, Reason};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::Clock;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Level, Trust, verify};
use twinpact_testkit::readable;

const TWIN: &str = "urn:turbine:b";
/// A value of that twin, and of no other.
const CANARY: &str = "7.123456789";
/// In seconds.
const HOUR: i64 = 3_600;
/// A value of the other twin.
const STAYS: &str = "514.24";

async fn ingest(node: &Node) -> IngestReport {
    let time = Timestamp::from_seconds(TUESDAY + 30).to_string();
    let values = BTreeMap::from([("power", CANARY)]);
    let row = json!({ "id": "b", "twin": TWIN, "time": time, "values": values });
    let body = json!({
        "source": "urn:source:test", "model": "wind-turbine@1", "observations": [row],
    });
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    record::record(node, batch, "local").await.unwrap()
}

async fn erase(node: &Node, dry_run: bool, confirmed: bool) -> Result<ErasureLine, Problem> {
    let (twin, basis) = (TWIN.to_owned(), "the lessor asked for it".to_owned());
    erasures::erase(node, EraseAsked { twin, basis, dry_run, confirmed }).await
}

/// Two, the operator with two turbines, both of which the maker has pulled.
async fn pulled() -> (Pair, String) {
    let (pair, agreement) = Pair::concluded().await;
    assert_eq!(ingest(pair.operator()).await.new, 1);
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS + 1);
    (pair, agreement)
}

fn code<T>(result: Result<T, Problem>) -> Option<&'static str> {
    result.err().map(|problem| problem.code.name)
}

/// What is made of the other twin after the erasure holds: of a fact, each decision and receipt.
async fn of_the_other(pair: &Pair, trust: &Trust) {
    let operator = pair.operator();
    let holds = |bundle: &[u8]| verify(bundle, Some(trust)).unwrap().level >= Level::Signed;
    assert!(holds(&prove::fact(operator, 4, &[]).await.unwrap().to_bytes()));
    for decision in decisions::list(operator, 9, None).unwrap() {
        assert!(holds(&decisions::export(operator, &decision.id).await.unwrap().to_bytes()));
    }
    for node in [operator, pair.maker()] {
        let all = receipts::list(node, 9, None).unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|one| holds(receipts::export(node, &one.id).unwrap().as_bytes())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_erased_here_and_at_who_has_copies() {
    let (pair, agreement) = pulled().await;
    let operator = pair.operator();
    let before = Timestamp::from_micros(operator.partition.read(|f, _| f.last_recorded()).unwrap());
    let proof = prove::fact(operator, 4, &[]).await.unwrap();
    // Looked at first, and not by accident.
    let planned = erase(operator, true, false).await.unwrap();
    assert_eq!((planned.entries, planned.holders.len(), planned.erased), (2, 1, None));
    assert_eq!(planned.holders[0].partner, MAKER);
    assert_eq!(code(erase(operator, false, false).await), Some("erasure.unconfirmed"));
    assert!(read::twin(operator, TWIN, None).is_ok());
    let erased = erase(operator, false, true).await.unwrap();
    assert!(erased.erased.is_some() && erased.holders.len() == 1);
    // It is erased for whoever asks, as of every time, and does not come back.
    for as_of in [None, Some(before)] {
        assert_eq!(code(read::twin(operator, TWIN, as_of)), Some("twin.erased"));
    }
    assert_eq!(code(erase(operator, false, true).await), Some("twin.erased"));
    assert_eq!(ingest(operator).await.refused[0].code, "twin.erased");
    let twins = read::twins(operator, None).unwrap();
    assert_eq!(twins.iter().map(|twin| twin.id.as_str()).collect::<Vec<_>>(), ["urn:turbine:a"]);
    // The partner deletes, and says so.
    let answered = |fold: &Fold| fold.processes.outbox.is_empty();
    until(pair.maker(), answered).await;
    let told = || erasures::show(operator, TWIN).unwrap();
    until(operator, |_| true).await;
    let mut changes = operator.partition.changes();
    while told().holders[0].waits {
        changes.changed().await.unwrap();
    }
    assert!(told().holders[0].deleted.is_some());
    assert_eq!(erasures::list(operator).unwrap(), [told()]);
    let rows = |fold: &Fold| fold.copies.iter().flat_map(|(_, copy)| copy.parts.clone()).count();
    assert_eq!(pair.maker().partition.read(|fold, _| rows(fold)).unwrap(), 1);
    // What was delivered stays proven, on both sides, and the next pull has the other twin alone.
    for node in [operator, pair.maker()] {
        assert_eq!(receipts::list(node, 9, None).unwrap()[0].level, "countersigned");
    }
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
    let mut trust = Trust::default();
    trust.add(&prove::own_record(operator).unwrap(), DECIDED).unwrap();
    assert_eq!(verify(&proof.to_bytes(), Some(&trust)).unwrap().level, Level::Signed);
    of_the_other(&pair, &trust).await;
    let event = erased.event.unwrap();
    let said = prove::fact(operator, event, &[]).await.unwrap();
    assert_eq!(verify(&said.to_bytes(), Some(&trust)).unwrap().level, Level::Signed);
    assert_eq!(code(prove::fact(operator, event - 1, &[]).await), Some("twin.erased"));
    let state = |node: &Node| {
        node.partition
            .read(|fold, store| twinpact_node::digest::state(fold, store.forest()))
            .unwrap()
    };
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    let parts = operator.parts.node.clone();
    operator.stop().await;
    let live = state(&parts);
    drop(parts);
    for (name, did) in [("operator", OPERATOR), ("maker", MAKER)] {
        let path = place.path().join(name);
        let text = readable(&path, did).unwrap();
        assert!(!text.contains(CANARY) && text.contains(STAYS), "{name}");
        assert!(!text.contains(TWIN), "{name} still has the name");
        let report = check::check(&path, &mut |_, _, _| ()).unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
        assert!(report.counts.destroyed > 0);
        if name == "operator" {
            assert_eq!(report.state, twinpact_proof::to_hex(&live), "the fold is the live state");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_that_is_not_answered_suspends_until_it_is() {
    let (pair, agreement) = Pair::driven().await;
    let time = |node: &Node, second: i64| node.clocks.set_policy(Timestamp::from_seconds(second));
    for node in [pair.operator(), pair.maker()] {
        time(node, TUESDAY + HOUR).unwrap();
    }
    assert_eq!(ingest(pair.operator()).await.new, 1);
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS + 1);
    let path = pair.path("maker");
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    let node = &operator.parts.node;
    erase(node, false, true).await.unwrap();
    let state_at = async |second: i64| {
        time(node, second).unwrap();
        retention::advance(node).await.unwrap();
        agreements::show(node, &agreement, None).unwrap().state
    };
    // By the hours of grace after it was erased.
    assert_eq!(state_at(TUESDAY + 25 * HOUR).await, "active");
    assert_eq!(state_at(TUESDAY + 25 * HOUR + 1).await, "suspended");
    // That it comes at last lets the agreement hold again.
    let maker = open::open(&path, PolicyClock::Driven).await.unwrap();
    let maker = Running::start(maker).await.unwrap();
    time(&maker.parts.node, TUESDAY + 25 * HOUR + 1).unwrap();
    until(node, |fold| fold.erasures.next_owed(Timestamp::default()).is_none()).await;
    assert_eq!(agreements::show(node, &agreement, None).unwrap().state, "active");
    let shown = erasures::show(node, TWIN).unwrap();
    assert!(shown.holders.iter().all(|holder| !holder.waits), "{shown:?}");
    maker.stop().await;
    operator.stop().await;
    drop(place);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_duties_and_answers_change_nothing() {
    let (pair, agreement) = pulled().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let line = receipts::list(operator, 1, None).unwrap().remove(0);
    let duty = Erasure {
        issuer: OPERATOR.to_owned(),
        audience: MAKER.to_owned(),
        agreement: from_hex(&agreement).unwrap(),
        receipts: vec![from_hex(&line.id).unwrap()],
        salt: [7; 32],
        twin: Erasure::digest_of(&[7; 32], TWIN),
        erased: 0,
        clock: Clock::System,
    };
    let parts = |fold: &Fold| fold.copies.iter().map(|(_, copy)| copy.parts.len()).sum::<usize>();
    let of_maker = || maker.partition.read(|fold, _| parts(fold)).unwrap();
    assert_eq!(of_maker(), 2);
    let (ours, theirs) = (operator.signer(), maker.signer());
    for (document, key, expect) in [
        (duty.clone(), theirs.key(), "document.refused"),
        (Erasure { issuer: MAKER.into(), ..duty.clone() }, ours.key(), "document.refused"),
        (Erasure { agreement: [1; 32], ..duty.clone() }, ours.key(), "agreement.unknown"),
    ] {
        let body = document.sign(key).to_json().canonical();
        assert_eq!(send(maker, OPERATOR, body.as_bytes()).await.0, expect);
        assert_eq!(of_maker(), 2);
    }
    erase(operator, false, true).await.unwrap();
    let answer = Deletion {
        issuer: MAKER.to_owned(),
        audience: OPERATOR.to_owned(),
        agreement: from_hex(&agreement).unwrap(),
        receipts: Vec::new(),
        deleted: operator.clocks.policy().0.micros(),
        clock: Clock::System,
        reason: Reason::Duty([9; 32]),
    };
    let body = answer.sign(theirs.key()).to_json().canonical();
    let (code, why) = send(operator, MAKER, body.as_bytes()).await;
    assert_eq!(code, "document.refused");
    assert!(why.contains("no duty of ours"), "{why}");
    let mut changes = operator.partition.changes();
    while erasures::show(operator, TWIN).unwrap().holders[0].waits {
        changes.changed().await.unwrap();
    }
    // A second answer, and one that says more than was asked.
    let held = erasures::show(operator, TWIN).unwrap().holders.remove(0);
    let duty = from_hex(&held.duty.unwrap()).unwrap();
    let again = Deletion { reason: Reason::Duty(duty), ..answer };
    let body = again.sign(theirs.key()).to_json().canonical();
    let (code, why) = send(operator, MAKER, body.as_bytes()).await;
    assert_eq!(code, "document.refused");
    assert!(why.contains("answered before"), "{why}");
    assert_eq!(of_maker(), 1);
    pair.stop().await;
}
