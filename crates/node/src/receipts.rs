//! Receipts of what we delivered. A receipt is a function of the log (the ledger entry, the
//! decision, the tick and our key), so it is not stored: it is made when it is sent, and made again
//! when somebody asks for it.

use crate::fold::Fold;
use crate::open::Node;
use crate::prove;
use serde_json::Value;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::build::{self, Papers};
use twinpact_proof::bundle::{Bundle, Exactness};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::{Clock, Receipt};
use twinpact_proof::{Envelope, to_hex};
use twinpact_store::forest::TreeNo;
use twinpact_store::{Committed, Store};

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
    let Delivery { entry, ledger, agreement, decision, mut receipt } = delivery;
    let place = prove::place(store.forest(), node, ledger, &entry, tick)?;
    let (record, envelope) = fold.organisation.current()?;
    receipt.origin.clone_from(&record.origin);
    receipt.tick = tick;
    let papers = Papers {
        agreement,
        decision: Some(decision),
        receipt: Some(receipt.sign(node.signer().key())),
        audience: None,
    };
    let paths = ["@who", "@when", "@why", "delivery", "items"];
    let opened = build::open(&prove::commitment(&entry)?, &paths);
    Ok(build::delivery(opened, Exactness::Exact, place, envelope.clone(), papers, None))
}

/// The bundle of a delivery of ours, by the front of its ledger entry's leaf.
///
/// # Errors
/// `receipt.unknown`; `store.*`.
pub fn again(node: &Node, name: &str) -> Result<String, Problem> {
    node.partition.read(|fold, store| {
        let (delivery, tick) = find(fold, store, name)?;
        let bytes = bundle(node, fold, store, delivery, tick)?.to_bytes();
        String::from_utf8(bytes).map_err(|_| contradiction())
    })?
}

fn find(fold: &Fold, store: &Store, name: &str) -> Result<(Delivery, u64), Problem> {
    let forest = store.forest();
    let named = |ledger: TreeNo, index: u64| {
        forest.leaf(ledger, index).is_some_and(|leaf| to_hex(&leaf).starts_with(name))
    };
    for agreement in fold.agreements.iter().filter(|_| name.len() >= 8) {
        let (Some(ledger), Some(document)) = (agreement.ledger, &agreement.document) else {
            continue;
        };
        let Some(index) = (0..forest.size(ledger)).find(|index| named(ledger, *index)) else {
            continue;
        };
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
        return Ok((Delivery { entry, ledger, agreement, decision, receipt }, tick));
    }
    Err(Problem::new(codes::RECEIPT_UNKNOWN, format!("there is no receipt {name:?}")))
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
