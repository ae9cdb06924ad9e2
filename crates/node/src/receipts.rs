//! Receipts of what we delivered, and of what was delivered to us. One of ours is a function of the
//! log (the ledger entry, the decision, the tick and our key), so it is not stored: it is made when
//! it is sent, and made again when somebody asks for it, with what its consumer has countersigned.

use crate::agreements::Agreement;
use crate::api::ReceiptLine;
use crate::as_of::{begun, known};
use crate::copies::Copy;
use crate::decisions::MAX_LIST;
use crate::documents;
use crate::fold::Fold;
use crate::open::Node;
use crate::prove;
use serde_json::Value;
use twinpact_dsp::Role;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, codes};
use twinpact_proof::build::{self, Papers};
use twinpact_proof::bundle::{Bundle, Exactness};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::{Clock, Receipt};
use twinpact_proof::{Digest, Envelope, Trust, to_hex, verify};
use twinpact_store::forest::TreeNo;
use twinpact_store::{Committed, Store};

/// The level of a receipt of a node that is behind its own anchor, and so can prove nothing; and of
/// one for somebody who has no DID, which is no document that anybody reads.
const UNPROVEN: &str = "unproven";

/// How many receipts that we signed are remembered at least.
pub(crate) const KEPT: usize = 4_096;

/// The identity of an agreement in hex, and an index in its ledger.
pub(crate) type Delivered = (String, u64);

/// The fingerprint of a receipt, and the time of its tick in microseconds since 1970.
pub(crate) type Signed = (Digest, i64);

/// What a delivery left in the log.
pub(crate) struct Delivery {
    pub(crate) entry: Committed,
    pub(crate) ledger: TreeNo,
    pub(crate) agreement: Envelope,
    pub(crate) decision: Envelope,
    /// All but origin and tick, which come with the proof.
    pub(crate) receipt: Receipt,
}

/// The bundle of a delivery under that tick.
pub(crate) fn bundle(
    node: &Node,
    fold: &Fold,
    store: &Store,
    delivery: Delivery,
    tick: u64,
) -> Result<Bundle, Problem> {
    fold.behind.check(store.forest())?;
    let Delivery { entry, ledger, agreement, decision, receipt } = delivery;
    let place = prove::witnessed(fold, store.forest(), node, ledger, &entry, (tick, tick))?;
    let receipt = under(fold, receipt, tick)?;
    let envelope = fold.organisation.current()?.1.clone();
    let papers = Papers {
        agreement,
        decision: Some(decision),
        receipt: Some(receipt.sign(node.signer().key())),
        audience: None,
    };
    let paths = ["@who", "@when", "@why", "delivery", "items"];
    let opened = build::open(&prove::commitment(&entry)?, &paths);
    Ok(build::delivery(opened, Exactness::Exact, place, envelope, papers, None))
}

/// The bundle of a receipt, by the front of its name: of a delivery that we received, or of one of
/// ours with what the partner has countersigned.
///
/// # Errors
/// `receipt.unknown`; `receipt.unproven` for one of ours to somebody who has no DID; `store.*`.
pub fn export(node: &Node, name: &str) -> Result<String, Problem> {
    node.partition.read(|fold, store| match find(fold, store, name)? {
        Found::Copy(copy) => Ok(copy.proof.clone()),
        Found::Given(agreement, index) => {
            no_audience(agreement).map_or(Ok(()), Err)?;
            given(node, fold, store, agreement, index, None)
        }
    })?
}

/// Why there is no document that proves what was delivered under this agreement, if there is none.
fn no_audience(agreement: &Agreement) -> Option<Problem> {
    let audience = agreement.wire.assignee.as_str();
    Did::new(audience).is_err().then(|| {
        let why = format!("a receipt is for a DID, and {audience} is none");
        Problem::new(codes::RECEIPT_UNPROVEN, why)
            .hint("the decision that it was delivered under is proven: twinpact decision export")
    })
}

/// The bundle that proves the deletion receipt of a delivery: an event of this node's log, with the
/// signed document in it.
///
/// # Errors
/// `receipt.unknown`, also when there is no deletion receipt; `anchor.behind`; `store.*`.
pub async fn deletion(node: &Node, name: &str) -> Result<Bundle, Problem> {
    let event = node.partition.read(|fold, store| {
        let leaf = match find(fold, store, name)? {
            Found::Copy(copy) => Bundle::parse(copy.proof.as_bytes()).ok().map(|b| b.entry.leaf),
            Found::Given(agreement, index) => {
                agreement.ledger.and_then(|ledger| store.forest().leaf(ledger, index))
            }
        };
        let kept = leaf.and_then(|leaf| Some(fold.deletions.of(&leaf)?.1.event));
        kept.ok_or_else(|| {
            let why = format!("there is no deletion receipt of {name:?}");
            Problem::new(codes::RECEIPT_UNKNOWN, why)
        })
    })??;
    prove::fact(node, event, &[]).await
}

/// The bundle of the delivery of ours at that index of an agreement's ledger.
///
/// # Errors
/// `agreement.unknown`; `anchor.behind`; `store.*`.
pub(crate) fn again(node: &Node, agreement: &str, index: u64) -> Result<String, Problem> {
    node.partition.read(|fold, store| {
        given(node, fold, store, fold.agreements.get(agreement)?, index, None)
    })?
}

/// One receipt, as it was known at a time or is now, verified against our partners of then and
/// ourselves.
///
/// # Errors
/// `receipt.unknown`, also when it is of later; `asof.early`; `store.*`.
pub fn show(node: &Node, name: &str, as_of: Option<Timestamp>) -> Result<ReceiptLine, Problem> {
    let (made, trust) = node.partition.read(|fold, store| {
        begun(fold, as_of)?;
        let made = match find(fold, store, name)? {
            Found::Copy(copy) => {
                since(copy.recorded, name, as_of)?;
                Made::Proof(copy.proof.clone())
            }
            Found::Given(agreement, index) => {
                since(recorded(store, agreement, index)?, name, as_of)?;
                proven_if_possible(node, fold, store, agreement, index, as_of)?
            }
        };
        Ok::<_, Problem>((made, trust_by(fold, store, as_of)?))
    })??;
    let mut line = made.line(node, &trust)?;
    wait(node, std::slice::from_mut(&mut line), as_of)?;
    Ok(line)
}

/// Refuses what was recorded after the time that is asked for.
fn since(recorded: Timestamp, name: &str, as_of: Option<Timestamp>) -> Result<(), Problem> {
    match as_of {
        Some(time) if !known(recorded, as_of) => {
            let why = format!("there was no receipt {name:?} by {time}");
            Err(Problem::new(codes::RECEIPT_UNKNOWN, why)
                .hint("list those of then with: twinpact receipt list --as-of TIME"))
        }
        _ => Ok(()),
    }
}

/// When the delivery at that index of an agreement's ledger was recorded.
fn recorded(store: &Store, agreement: &Agreement, index: u64) -> Result<Timestamp, Problem> {
    let ledger = agreement.ledger.ok_or_else(contradiction)?;
    Ok(store.entry(ledger, index)?.entry.when.recorded)
}

/// Whom receipts are verified against: the partners of then, and ourselves by the record of now,
/// which has all our keys. A proof of ours is made anew, whatever time it is asked for.
fn trust_by(fold: &Fold, store: &Store, as_of: Option<Timestamp>) -> Result<Trust, Problem> {
    let partners = fold.partners.trust_by(store, as_of)?;
    prove::with_own(partners, &fold.organisation.current()?.1)
}

/// Says in these lines which copies were deleted, and what waits to be sent now; what waited at
/// another time is not kept.
fn wait(node: &Node, lines: &mut [ReceiptLine], as_of: Option<Timestamp>) -> Result<(), Problem> {
    node.partition.read(|fold, _| {
        let waiting = fold.processes.waiting_receipts();
        for line in lines {
            let deletion = from_hex(&line.id).and_then(|leaf| Some(fold.deletions.of(&leaf)?.1));
            let deletion = deletion.filter(|deletion| known(deletion.recorded, as_of));
            line.deleted = deletion.map(|kept| Timestamp::from_micros(kept.document.deleted));
            if as_of.is_none() {
                line.waits = waiting.get(line.id.as_str()).copied();
            }
        }
    })
}

/// A delivery of ours on its way to a line.
enum Made {
    /// With its proof.
    Proof(String),
    /// Without, since the node is behind its own anchor and signs nothing, or the receipt is for
    /// somebody who has no DID.
    Line(Box<ReceiptLine>),
}

impl Made {
    fn line(self, node: &Node, trust: &Trust) -> Result<ReceiptLine, Problem> {
        match self {
            Made::Proof(proof) => line(node, &proof, trust),
            Made::Line(line) => Ok(*line),
        }
    }
}

/// The delivery at that index of the ledger; what is on record of it when nothing can be proven.
fn proven_if_possible(
    node: &Node,
    fold: &Fold,
    store: &Store,
    agreement: &Agreement,
    index: u64,
    as_of: Option<Timestamp>,
) -> Result<Made, Problem> {
    let why = match (fold.behind.check(store.forest()), no_audience(agreement)) {
        (Err(behind), _) => behind.message,
        (Ok(()), Some(none)) => none.message,
        (Ok(()), None) => {
            return given(node, fold, store, agreement, index, as_of).map(Made::Proof);
        }
    };
    let (delivery, tick) = delivered(fold, store, agreement, index)?.ok_or_else(contradiction)?;
    let time = store.forest().time_of(tick).and_then(|time| i64::try_from(time).ok());
    let time = time.ok_or_else(contradiction)?;
    let said = (UNPROVEN, Some(why));
    Ok(Made::Line(Box::new(described(node, delivery.receipt, time, said))))
}

/// The receipts of what we delivered and of what was delivered to us, as they were known at a time
/// or are now, latest first, at most `limit`. Each is verified.
///
/// # Errors
/// `asof.early`; `store.*`.
pub fn list(
    node: &Node,
    limit: usize,
    as_of: Option<Timestamp>,
) -> Result<Vec<ReceiptLine>, Problem> {
    let limit = limit.min(MAX_LIST);
    let (given, received, trust) = node.partition.read(|fold, store| {
        begun(fold, as_of)?;
        let latest = fold.copies.latest(limit, as_of);
        let received: Vec<String> = latest.into_iter().map(str::to_owned).collect();
        let given = latest_given(fold, store, limit, as_of)?;
        Ok::<_, Problem>((given, received, trust_by(fold, store, as_of)?))
    })??;
    let mut lines = Vec::with_capacity(given.len() + received.len());
    for (agreement, index) in given {
        // One at a time: nobody has to wait for the whole list.
        let made = node.partition.read(|fold, store| {
            proven_if_possible(node, fold, store, fold.agreements.get(&agreement)?, index, as_of)
        })??;
        lines.push(made.line(node, &trust)?);
    }
    for name in received {
        lines.push(line(node, &export(node, &name)?, &trust)?);
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.delivered));
    lines.truncate(limit);
    wait(node, &mut lines, as_of)?;
    Ok(lines)
}

/// Agreement and index of the deliveries that we had made last by a time, or have now.
fn latest_given(
    fold: &Fold,
    store: &Store,
    limit: usize,
    as_of: Option<Timestamp>,
) -> Result<Vec<(String, u64)>, Problem> {
    let forest = store.forest();
    let mut all = Vec::new();
    for agreement in fold.agreements.iter() {
        let Some(ledger) = agreement.ledger else { continue };
        let size = size_by(store, ledger, as_of)?;
        for index in size.saturating_sub(limit as u64)..size {
            all.push((forest.tick_of(ledger, index), to_hex(&agreement.id), index));
        }
    }
    all.sort_by(|a, b| b.cmp(a));
    Ok(all.into_iter().take(limit).map(|(_, agreement, index)| (agreement, index)).collect())
}

/// How many entries of a ledger were under a tick at a time, or are now.
fn size_by(store: &Store, ledger: TreeNo, as_of: Option<Timestamp>) -> Result<u64, Problem> {
    let (mut size, mut end) = (0, store.forest().covered(ledger));
    if as_of.is_none() {
        return Ok(end);
    }
    // They stand in the order in which they were recorded.
    while size < end {
        let middle = size + (end - size) / 2;
        match known(store.entry(ledger, middle)?.entry.when.recorded, as_of) {
            true => size = middle + 1,
            false => end = middle,
        }
    }
    Ok(size)
}

/// The bundle of a delivery of ours at that index of the ledger, made again from the log, with what
/// was countersigned by that time or is now.
fn given(
    node: &Node,
    fold: &Fold,
    store: &Store,
    agreement: &Agreement,
    index: u64,
    as_of: Option<Timestamp>,
) -> Result<String, Problem> {
    let (delivery, tick) = delivered(fold, store, agreement, index)?.ok_or_else(contradiction)?;
    let mut bundle = bundle(node, fold, store, delivery, tick)?;
    documents::add_countersignatures(fold, agreement, index, &mut bundle, as_of)?;
    String::from_utf8(bundle.to_bytes()).map_err(|_| contradiction())
}

/// The receipt of a delivery of ours as we signed it, and the time of its tick in microseconds
/// since 1970; `None` when there is no such delivery.
///
/// # Errors
/// `store.*`.
pub(crate) fn made(
    node: &Node,
    fold: &Fold,
    store: &Store,
    agreement: &Agreement,
    index: u64,
) -> Result<Option<(Envelope, i64)>, Problem> {
    let Some((delivery, tick)) = delivered(fold, store, agreement, index)? else {
        return Ok(None);
    };
    let time = store.forest().time_of(tick).and_then(|time| i64::try_from(time).ok());
    let time = time.ok_or_else(contradiction)?;
    let receipt = under(fold, delivery.receipt, tick)?;
    Ok(Some((receipt.sign(node.signer().key()), time)))
}

/// A receipt with the log and the tick that it stands under.
fn under(fold: &Fold, mut receipt: Receipt, tick: u64) -> Result<Receipt, Problem> {
    receipt.origin.clone_from(&fold.organisation.current()?.0.origin);
    receipt.tick = tick;
    Ok(receipt)
}

fn line(node: &Node, proof: &str, trust: &Trust) -> Result<ReceiptLine, Problem> {
    let read = Bundle::parse(proof.as_bytes()).map_err(|_| contradiction())?;
    let receipt = read.receipt.as_ref().and_then(|one| Receipt::from_envelope(one).ok());
    let receipt = receipt.ok_or_else(contradiction)?;
    let (level, why) = match verify(proof.as_bytes(), Some(trust)) {
        Ok(verdict) => (verdict.level.name(), verdict.uncountersigned),
        Err(broken) => ("broken", Some(broken.sentence)),
    };
    let time = i64::try_from(read.anchor.time).map_err(|_| contradiction())?;
    Ok(described(node, receipt, time, (level, why)))
}

/// The line of a receipt whose tick was at that time, with the level and why it is no more.
fn described(
    node: &Node,
    receipt: Receipt,
    time: i64,
    (level, why): (&str, Option<String>),
) -> ReceiptLine {
    let given = receipt.issuer == node.config.organisation.as_str();
    let (role, partner) = match given {
        true => (Role::Provider, receipt.audience),
        false => (Role::Consumer, receipt.issuer),
    };
    ReceiptLine {
        id: to_hex(&receipt.leaf),
        role: role.name().to_owned(),
        partner,
        agreement: to_hex(&receipt.agreement),
        decision: to_hex(&receipt.decision),
        view: receipt.view,
        rows: receipt.count,
        bytes: receipt.bytes,
        at: Timestamp::from_micros(receipt.at),
        driven: receipt.clock == Clock::Driven,
        delivered: Timestamp::from_micros(time),
        delete_by: receipt.delete_by.map(Timestamp::from_micros),
        deleted: None,
        level: level.to_owned(),
        why,
        waits: None,
    }
}

/// A receipt by its name.
enum Found<'f> {
    /// Of what was delivered to us.
    Copy(&'f Copy),
    /// Of a delivery of ours: its agreement and the index in its ledger.
    Given(&'f Agreement, u64),
}

/// The one receipt whose name, the leaf of its ledger entry, begins so. A front that fits two of
/// them names none, whichever way they were delivered.
fn find<'f>(fold: &'f Fold, store: &Store, name: &str) -> Result<Found<'f>, Problem> {
    let forest = store.forest();
    let front = Front::read(name);
    let given = fold.agreements.iter().flat_map(|agreement| {
        let ledgers = agreement.ledger.into_iter().zip(std::iter::repeat(agreement));
        ledgers.flat_map(|(ledger, agreement)| {
            (0..forest.covered(ledger)).map(move |index| (ledger, agreement, index))
        })
    });
    let fits = |ledger: TreeNo, index: u64| {
        let leaf = forest.leaf(ledger, index);
        front.as_ref().zip(leaf).is_some_and(|(front, leaf)| front.fits(&leaf))
    };
    let given = given.filter(|(ledger, _, index)| front.is_some() && fits(*ledger, *index));
    let given = given.map(|(_, agreement, index)| Found::Given(agreement, index));
    let copies: Vec<_> = fold.copies.fitting(name).take(2).map(Found::Copy).collect();
    let mut found = copies.into_iter().chain(given);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Problem::new(codes::RECEIPT_UNKNOWN, format!("there is no receipt {name:?}"))
            .hint("list them with: twinpact receipt list")),
    }
}

/// The front of a name in hex, as bytes: a name is compared without writing out every leaf.
struct Front {
    bytes: Vec<u8>,
    /// The upper half of one more byte.
    half: Option<u8>,
}

impl Front {
    /// Of eight to 64 digits in lower case; `None` for anything else, which fits no leaf.
    fn read(name: &str) -> Option<Front> {
        let digit =
            |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f').then(|| char::from(*b))?.to_digit(16);
        let digits = name.bytes().map(|b| digit(&b).and_then(|d| u8::try_from(d).ok()));
        let digits: Vec<u8> = digits.collect::<Option<_>>()?;
        if !(8..=64).contains(&digits.len()) {
            return None;
        }
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        Some(Front { bytes, half: rest.first().copied() })
    }

    fn fits(&self, leaf: &[u8]) -> bool {
        let rest = leaf.strip_prefix(self.bytes.as_slice());
        rest.is_some_and(|rest| {
            self.half.is_none_or(|half| rest.first().is_some_and(|b| b >> 4 == half))
        })
    }
}

/// The delivery at that index of an agreement's ledger, and its tick; `None` when there is none.
fn delivered(
    fold: &Fold,
    store: &Store,
    agreement: &Agreement,
    index: u64,
) -> Result<Option<(Delivery, u64)>, Problem> {
    let forest = store.forest();
    let (Some(ledger), Some(document)) = (agreement.ledger, &agreement.document) else {
        return Ok(None);
    };
    // One that is under no tick yet was given to nobody.
    if index >= forest.covered(ledger) {
        return Ok(None);
    }
    let entry = store.entry(ledger, index)?;
    let tick = forest.tick_of(ledger, index).ok_or_else(contradiction)?;
    let tree = forest.id(ledger).ok_or_else(contradiction)?;
    let wire = &agreement.wire;
    let (decision, view, count, bytes) = said(&entry).ok_or_else(contradiction)?;
    let decision = fold.decisions.get(&decision)?;
    let record = decision.envelope(store)?;
    let receipt = Receipt {
        issuer: wire.assigner.clone(),
        audience: wire.assignee.clone(),
        agreement: agreement.id,
        slot: u64::from(ledger - 1),
        tree,
        index,
        leaf: entry.leaf,
        pc: entry.pc,
        decision: decision.id,
        view,
        count,
        bytes,
        at: entry.entry.when.phen_start.ok_or_else(contradiction)?.micros(),
        clock: clock_of(&record),
        delete_by: entry.entry.when.valid.map(|t| t.micros()),
        origin: String::new(),
        tick,
    };
    let (agreement, decision) = (document.clone(), record);
    Ok(Some((Delivery { entry, ledger, agreement, decision, receipt }, tick)))
}

/// Decision, view, count and bytes, as the ledger entry has them.
fn said(entry: &Committed) -> Option<(String, String, u64, u64)> {
    let parts: Vec<Value> = serde_json::from_str(entry.entry.get("delivery")?).ok()?;
    let [_, decision, view, count, bytes] = &parts[..] else { return None };
    from_hex::<32>(decision.as_str()?)?;
    let (decision, view) = (decision.as_str()?.to_owned(), view.as_str()?.to_owned());
    Some((decision, view, count.as_u64()?, bytes.as_u64()?))
}

fn clock_of(decision: &Envelope) -> Clock {
    let document = decision.document();
    let clock = document.as_ref().and_then(|d| d.get("core")?.get("clock")?.as_text());
    if clock == Some("driven") { Clock::Driven } else { Clock::System }
}

fn contradiction() -> Problem {
    Problem::new(codes::INTERNAL, "a delivery contradicts the log")
}

#[cfg(test)]
mod tests {
    use super::Front;

    #[test]
    fn a_front_is_compared_digit_by_digit() {
        let leaf = [0x12, 0x34, 0xab, 0xcd, 0xe5, 0, 0, 0];
        for (name, expect) in [
            ("1234abcd", true),
            ("1234abcde", true),
            ("1234abcde5", true),
            ("1234abcdf", false),
            ("1234abcde6", false),
            ("1234abce", false),
            ("1234abc", false),
            ("1234ABCD", false),
            ("1234abcx", false),
            ("", false),
        ] {
            assert_eq!(Front::read(name).is_some_and(|front| front.fits(&leaf)), expect, "{name}");
        }
        let whole = "1".repeat(64);
        assert!(Front::read(&whole).is_some_and(|front| front.fits(&[0x11; 32])));
        assert!(Front::read(&format!("{whole}1")).is_none());
    }
}
