//! Copies that die in time, the receipts of it, and what becomes of an agreement whose partner owes
//! one.

use crate::countersigning::send;
use crate::pair::{MAKER, OPERATOR, Pair, ROWS, start, until, wanted};
use std::path::Path;
use std::sync::Arc;
use twinpact_model::{Timestamp, WallTime};
use twinpact_node::api::{ListCopies, Pulled, ReadCopy, ReceiptLine};
use twinpact_node::fold::Fold;
use twinpact_node::{
    Node, PolicyClock, agreements, check, decisions, open, own_reads, prove, receipts, retention,
};
use twinpact_proof::deletion::{Deletion, Reason};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::Clock;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Envelope, Json, Level, SecretKey, Trust, verify};
use twinpact_testkit::{RealDisk, readable};

/// Monday 27 July 2015, 12:00 in Paris.
const MONDAY: i64 = 1_437_991_200;
const DAY: i64 = 86_400;
/// A value of the operator's rows.
const CANARY: &str = "514.24";

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

async fn drive(node: &Node, second: i64) {
    node.clocks.set_policy(at(second)).unwrap();
    // A transfer that cannot be told yet is told by the node's own timer.
    retention::advance(node).await.unwrap();
}

/// Both driven to Monday, with a pull.
async fn pulled() -> (Pair, String, Pulled) {
    let (pair, agreement) = Pair::driven().await;
    for node in [pair.operator(), pair.maker()] {
        drive(node, MONDAY).await;
    }
    let pulled = pair.pull(&agreement).await.unwrap();
    until(pair.operator(), |fold| fold.deletions.next_owed(at(0)).is_some()).await;
    (pair, agreement, pulled)
}

fn only(node: &Node) -> ReceiptLine {
    let mut all = receipts::list(node, 10, None).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn rows(node: &Node) -> usize {
    let count = |fold: &Fold| fold.copies.iter().map(|(_, copy)| copy.parts.len()).sum();
    node.partition.read(|fold, _| count(fold)).unwrap()
}

fn state(node: &Node, agreement: &str) -> String {
    agreements::show(node, agreement, None).unwrap().state
}

/// All holds in the directory of a node that was stopped.
fn holds(path: &Path) {
    let report = check::check(path, &mut |_, _, _| ()).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_dies_in_time_and_both_have_the_receipt_of_it() {
    let (pair, agreement, pulled) = pulled().await;
    let due = pulled.delete_by.unwrap();
    assert_eq!(due, at(MONDAY + 14 * DAY));
    drive(pair.maker(), MONDAY + 14 * DAY - 3_601).await;
    assert_eq!((rows(pair.maker()), only(pair.maker()).deleted), (1, None));
    drive(pair.maker(), MONDAY + 14 * DAY).await;
    assert_eq!((rows(pair.maker()), only(pair.maker()).deleted), (0, Some(due)));
    // Here it is not that late yet: the receipt waits until it is.
    drive(pair.operator(), MONDAY + 14 * DAY).await;
    until(pair.operator(), |fold| fold.deletions.next_owed(at(0)).is_none()).await;
    let line = only(pair.operator());
    assert_eq!((line.deleted, line.level.as_str()), (Some(due), "countersigned"));
    assert_eq!(state(pair.operator(), &agreement), "active");
    until(pair.maker(), |fold| fold.processes.outbox.is_empty()).await;
    // Either can prove to a stranger what was said.
    for node in [pair.maker(), pair.operator()] {
        let proof = receipts::deletion(node, &line.id).await.unwrap();
        let mut trust = Trust::default();
        trust.add(&prove::own_record(node).unwrap(), DECIDED).unwrap();
        assert_eq!(verify(&proof.to_bytes(), Some(&trust)).unwrap().level, Level::Signed);
        let said = proof.claim.values.get("document").unwrap();
        let envelope = Envelope::from_json(&Json::parse(said.as_bytes()).unwrap()).unwrap();
        let document = Deletion::from_envelope(&envelope).unwrap();
        assert_eq!(document, receipt(&line, MONDAY + 14 * DAY));
        assert!(envelope.signed_by(&pair.maker().signer().key().public()));
    }
    // The receipt of the delivery still proves it, and the next delivery goes on from it.
    let mut both = Trust::default();
    for node in [pair.maker(), pair.operator()] {
        both.add(&prove::own_record(node).unwrap(), DECIDED).unwrap();
    }
    for node in [pair.maker(), pair.operator()] {
        let bundle = receipts::export(node, &line.id).unwrap();
        assert_eq!(verify(bundle.as_bytes(), Some(&both)).unwrap().level, Level::Countersigned);
    }
    pair.pull(&agreement).await.unwrap();
    assert_eq!(rows(pair.maker()), 1);
    drive(pair.maker(), MONDAY + 28 * DAY).await;
    let (maker, operator) = (pair.path("maker"), pair.path("operator"));
    let kept = keep(pair).await;
    assert!(!readable(&maker, MAKER).unwrap().contains(CANARY));
    assert!(readable(&operator, OPERATOR).unwrap().contains(CANARY));
    for path in [&maker, &operator] {
        holds(path);
    }
    drop(kept);
}

/// How often a node has destroyed keys: the epoch of its key-encryption key.
fn destructions(path: &Path) -> u32 {
    let kek = std::fs::read(path.join("keys/kek")).unwrap();
    u32::from_le_bytes(kek[10..14].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_due_dies_in_one_frame_with_a_receipt_each() {
    let (pair, first, pulled) = pulled().await;
    let second = pair.agreed().await;
    pair.pull(&second).await.unwrap();
    // And one that is due an hour later.
    for node in [pair.operator(), pair.maker()] {
        drive(node, MONDAY + 3_600).await;
    }
    pair.pull(&second).await.unwrap();
    let (maker, operator) = (pair.path("maker"), pair.path("operator"));
    let before = destructions(&maker);
    let due = pulled.delete_by.unwrap();
    drive(pair.maker(), due.seconds()).await;
    assert_eq!((rows(pair.maker()), destructions(&maker)), (1, before + 1));
    drive(pair.operator(), due.seconds()).await;
    until(pair.operator(), |fold| fold.deletions.next_owed(at(0)) == Some(due.plus_seconds(3_600)))
        .await;
    let all = receipts::list(pair.operator(), 10, None).unwrap();
    let of = |agreement: &str, deleted: Option<Timestamp>| {
        let fits = |one: &&ReceiptLine| one.agreement == agreement && one.deleted == deleted;
        all.iter().filter(fits).count()
    };
    assert_eq!((of(&first, Some(due)), of(&second, Some(due)), of(&second, None)), (1, 1, 1));
    let kept = keep(pair).await;
    assert_eq!(destructions(&maker), before + 1);
    for path in [&maker, &operator] {
        holds(path);
    }
    drop(kept);
}

/// Stops both and keeps their directories.
async fn keep(pair: Pair) -> tempfile::TempDir {
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    operator.stop().await;
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_off_deletes_before_it_serves() {
    let (pair, agreement) = Pair::concluded().await;
    let pulled = pair.pull(&agreement).await.unwrap();
    assert_eq!((pulled.rows, rows(pair.maker())), (ROWS, 1));
    let path = pair.path("maker");
    let Pair { place, operator, maker } = pair;
    maker.stop().await;
    assert!(readable(&path, MAKER).unwrap().contains(CANARY));
    let late = pulled.delete_by.unwrap().plus_seconds(1);
    let clock = Arc::new(move || WallTime(late));
    let parts = open::open_by(Arc::new(RealDisk), &path, PolicyClock::System, clock).await;
    // Nothing listens yet.
    let parts = parts.unwrap();
    assert_eq!((rows(&parts.node), only(&parts.node).deleted), (0, Some(late)));
    parts.stop();
    assert!(!readable(&path, MAKER).unwrap().contains(CANARY));
    // A clock that was wrong is no reason to have it back.
    let maker = start(&path).await;
    assert_eq!(only(&maker.parts.node).deleted, Some(late));
    maker.stop().await;
    operator.stop().await;
    drop(place);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_receipt_suspends_and_a_late_one_resumes() {
    let (pair, agreement, pulled) = pulled().await;
    let by = pulled.delete_by.unwrap().seconds();
    drive(pair.operator(), by + DAY).await;
    assert_eq!(state(pair.operator(), &agreement), "active");
    drive(pair.operator(), by + DAY + 1).await;
    assert_eq!(state(pair.operator(), &agreement), "suspended");
    // The maker is told, and what it holds is good for nothing.
    let told = |fold: &Fold| {
        let mut all = fold.processes.transfers.values();
        all.any(|transfer| transfer.state.name() == "SUSPENDED")
    };
    until(pair.maker(), told).await;
    let refused = pair.pull(&agreement).await.unwrap_err();
    assert_eq!(refused.code.name, "exchange.refused", "{refused}");
    // A second look finds nothing more to do.
    let size = |node: &Node| node.partition.read(|_, store| store.log().next_seq()).unwrap();
    let before = size(pair.operator());
    assert!(retention::advance(pair.operator()).await.unwrap());
    assert_eq!(size(pair.operator()), before);
    drive(pair.maker(), by + DAY).await;
    until(pair.operator(), |fold| fold.deletions.next_owed(at(0)).is_none()).await;
    assert_eq!(state(pair.operator(), &agreement), "active");
    let told = |fold: &Fold| {
        let mut all = fold.processes.transfers.values();
        all.all(|transfer| transfer.state.name() == "STARTED")
    };
    until(pair.maker(), told).await;
    pair.pull(&agreement).await.unwrap();
    // As of then it is said as it was then.
    let events = |node: &Node| node.partition.read(|fold, _| fold.last_recorded()).unwrap();
    let now = Timestamp::from_micros(events(pair.operator()));
    let then = agreements::show(pair.operator(), &agreement, Some(now)).unwrap();
    assert_eq!(then.state, "active");
    drop(keep(pair).await);
}

/// A deletion receipt of the maker's about that delivery.
fn receipt(line: &ReceiptLine, deleted: i64) -> Deletion {
    Deletion {
        issuer: MAKER.to_owned(),
        audience: OPERATOR.to_owned(),
        agreement: from_hex(&line.agreement).unwrap(),
        receipts: vec![from_hex(&line.id).unwrap()],
        deleted: deleted * 1_000_000,
        clock: Clock::Driven,
        reason: Reason::Retention,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_takes_no_other_deletion_receipt() {
    let (pair, _, _) = pulled().await;
    let (maker, operator) = (pair.maker(), pair.operator());
    let (line, signer) = (only(operator), maker.signer());
    let good = receipt(&line, MONDAY);
    let size = |node: &Node| node.partition.read(|_, store| store.log().next_seq()).unwrap();
    let check = async |from: &str, envelope: &Envelope, code: &str, said: &str| {
        let before = size(operator);
        let body = envelope.to_json().canonical();
        let (got, why) = send(operator, from, body.as_bytes()).await;
        assert_eq!(got, code, "{why}");
        assert!(why.contains(said), "{said:?} is not in {why:?}");
        let grew = operator.partition.read(|fold, _| fold.deletions.next_owed(at(0)).is_none());
        assert_eq!(grew.unwrap(), code.is_empty(), "{said}");
        // A refusal is on record and nothing else.
        assert!(size(operator) <= before + 3);
    };
    let stranger = SecretKey::new(&[9; 32]);
    check(MAKER, &good.sign(&stranger), "document.refused", "not signed by a key of your").await;
    let mut both = good.sign(signer.key());
    both.add_signature(&stranger);
    check(MAKER, &both, "document.refused", "and by no other").await;
    let forged = Envelope {
        payload: receipt(&line, MONDAY + 1).to_json().canonical().into_bytes().into(),
        ..good.sign(signer.key())
    };
    check(MAKER, &forged, "document.refused", "not signed by a key of your").await;
    let other =
        Deletion { issuer: OPERATOR.to_owned(), audience: MAKER.to_owned(), ..good.clone() };
    check(MAKER, &other.sign(signer.key()), "document.refused", "between others").await;
    for (change, said) in [
        (Deletion { deleted: good.deleted - 1, ..good.clone() }, "before what it deletes"),
        (Deletion { receipts: vec![[7; 32]], ..good.clone() }, "no delivery under that agreement"),
        (Deletion { reason: Reason::Duty([7; 32]), ..good.clone() }, "no duty of ours"),
    ] {
        check(MAKER, &change.sign(signer.key()), "document.refused", said).await;
    }
    let unknown = Deletion { agreement: [7; 32], ..good.clone() };
    check(MAKER, &unknown.sign(signer.key()), "agreement.unknown", "").await;
    // Of a time to come: later, and not never.
    let early = receipt(&line, MONDAY + 61);
    check(MAKER, &early.sign(signer.key()), "document.early", "has not come").await;
    let skewed = receipt(&line, MONDAY + 60);
    check(MAKER, &skewed.sign(signer.key()), "", "").await;
    // Again: the same changes nothing, another one is refused.
    let before = size(operator);
    let body = skewed.sign(signer.key()).to_json().canonical();
    assert_eq!(send(operator, MAKER, body.as_bytes()).await.0, "");
    let body = good.sign(signer.key()).to_json().canonical();
    let (code, why) = send(operator, MAKER, body.as_bytes()).await;
    assert_eq!(code, "document.refused");
    assert!(why.contains("another deletion receipt"), "{why}");
    assert!(size(operator) <= before + 2);
    assert_eq!(only(operator).deleted, Some(at(MONDAY + 60)));
    drop(keep(pair).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_receipt_is_of_the_copy_that_it_names_and_of_no_other() {
    let (pair, first, _) = pulled().await;
    let second = pair.agreed().await;
    pair.pull(&second).await.unwrap();
    let line = |agreement: &str| -> ReceiptLine {
        let lines = receipts::list(pair.operator(), 9, None).unwrap();
        lines.into_iter().find(|line| line.agreement == agreement).unwrap()
    };
    let deleted = || (line(&first).deleted, line(&second).deleted);
    let good = receipt(&line(&second), MONDAY);
    let crossed = Deletion { agreement: from_hex(&first).unwrap(), ..good.clone() };
    let said = async |document: &Deletion| {
        let body = document.sign(pair.maker().signer().key()).to_json().canonical();
        send(pair.operator(), MAKER, body.as_bytes()).await
    };
    let (code, why) = said(&crossed).await;
    assert_eq!((code.as_str(), deleted()), ("document.refused", (None, None)));
    assert!(why.contains("no delivery under that agreement"), "{why}");
    assert_eq!(said(&good).await.0, "");
    assert_eq!(deleted(), (None, Some(at(MONDAY))));
    drop(keep(pair).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_one_hour_die_together() {
    let (pair, agreement, _) = pulled().await;
    let again = twinpact_node::consumer::pull(pair.maker(), &wanted(&agreement)).await.unwrap();
    assert_eq!(again.rows, ROWS);
    // They are sealed under one key, and said in one receipt.
    drive(pair.maker(), MONDAY + 14 * DAY).await;
    drive(pair.operator(), MONDAY + 14 * DAY).await;
    until(pair.operator(), |fold| fold.deletions.next_owed(at(0)).is_none()).await;
    let rows: Vec<_> = receipts::list(pair.operator(), 10, None).unwrap();
    assert_eq!(rows.iter().filter(|line| line.deleted.is_some()).count(), 2);
    drop(keep(pair).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_our_copies_under_their_terms_and_on_record() {
    let (pair, agreement, pulled) = pulled().await;
    let (maker, name) = (pair.maker(), pulled.receipts[0].as_str());
    let wish = wanted(&agreement);
    let read = async |purpose: Option<&str>, place: Option<&str>| {
        let [purpose, place] = [purpose, place].map(|text| text.map(str::to_owned));
        own_reads::show(maker, name, ReadCopy { purpose, place }).await
    };
    let (purpose, place) = (wish.purpose.as_deref(), wish.place.as_deref());
    let shown = read(purpose, place).await.unwrap();
    assert_eq!((shown.rows.len(), shown.copy.rows), (ROWS, ROWS as u64));
    assert!(shown.rows[0].to_string().contains(CANARY));
    let names: Vec<_> = shown.columns.iter().map(|one| (&*one.name, one.unit.as_deref())).collect();
    assert_eq!(names[0], ("power", Some("kW")));
    assert_eq!(shown.rows[0].as_array().map(Vec::len), Some(names.len() + 2));
    // It stands on record, signed, and so does each use of it and each refusal.
    let decided = || decisions::list(maker, 10, None).unwrap();
    assert_eq!((decided().len(), decided()[0].used), (1, 1));
    assert_eq!((decided()[0].id.clone(), decided()[0].caller.as_str()), (shown.decision, MAKER));
    read(purpose, place).await.unwrap();
    assert_eq!((decided().len(), decided()[0].used), (1, 2));
    for (purpose, place, code) in [
        (Some("https://w3id.org/twinpact/purpose/Marketing"), place, "policy.purpose"),
        (purpose, Some("US"), "policy.place"),
        (None, place, "exchange.purpose"),
    ] {
        let refused = read(purpose, place).await.unwrap_err();
        assert_eq!(refused.code.name, code, "{refused}");
    }
    assert_eq!(decided().len(), 3);
    let other = own_reads::show(maker, "00000000", ReadCopy::default()).await;
    assert_eq!(other.unwrap_err().code.name, "exchange.purpose");
    // From its time on it is gone, also before anything was done about it.
    let line = || own_reads::list(maker, &ListCopies::default()).unwrap().remove(0);
    assert_eq!((line().deleted, line().delete_by), (None, pulled.delete_by));
    maker.clocks.set_policy(pulled.delete_by.unwrap()).unwrap();
    assert_eq!(read(purpose, place).await.unwrap_err().code.name, "copy.deleted");
    assert!(retention::advance(maker).await.unwrap());
    assert_eq!(read(purpose, place).await.unwrap_err().code.name, "copy.deleted");
    assert_eq!(line().deleted, pulled.delete_by);
    let path = pair.path("maker");
    let kept = keep(pair).await;
    holds(&path);
    drop(kept);
}
