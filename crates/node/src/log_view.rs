//! Our log for our own people: where it stands, how far its witnesses are, what was seen of
//! partners' logs, and proofs of it.

use crate::api::{
    AlertLine, AlertShown, CheckpointLine, ConsistencyShown, InclusionShown, LogShown, SeenLine,
    WitnessLine,
};
use crate::cosignatures::{self, Lag};
use crate::divergence::Alert;
use crate::fold::Fold;
use crate::open::Node;
use crate::organisation;
use crate::witness;
use std::time::Duration;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::note::{Checkpoint, Note};
use twinpact_proof::to_hex;
use twinpact_proof::vkey::{Signs, VerifierKey};
use twinpact_store::Forest;

/// How long a question for what comes next waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// How it stands, once there were more frames and ticks than that, or after 20 seconds.
///
/// # Errors
/// `store.stopped`.
pub async fn show(node: &Node, after: Option<u64>) -> Result<LogShown, Problem> {
    let mut changes = node.partition.changes();
    if let Some(after) = after {
        let more = changes.wait_for(|frames| *frames > after);
        // Late, or the node is stopping: what is so now is an answer too.
        let _ = tokio::time::timeout(PATIENCE, more).await;
    }
    let frames = *changes.borrow_and_update();
    let lags = cosignatures::lags(node, node.clocks.wall())?;
    node.partition.read(|fold, store| {
        let forest = store.forest();
        let own = checkpoint(node, forest, forest.ticks()).unwrap_or_else(|_| Checkpoint {
            origin: String::new(),
            size: 0,
            root: twinpact_proof::tree::empty_root(),
        });
        let time = i64::try_from(forest.last_time()).unwrap_or(i64::MAX);
        Ok(LogShown {
            frames,
            own: line(&own),
            ticked: (time > 0).then(|| Timestamp::from_micros(time)),
            witness_key: witness_key(node, forest)?,
            witnesses: lags.into_iter().map(witness_line).collect(),
            partners: fold.partners.iter().map(|p| seen(fold, &p.record)).collect(),
            alerts: fold.divergences.iter().map(alert_line).collect(),
        })
    })?
}

fn witness_key(node: &Node, forest: &Forest) -> Result<String, Problem> {
    let missing = || Problem::new(codes::INTERNAL, "the log has not opened its trees");
    let key = forest.witness_key().ok_or_else(missing)?.public();
    let name = witness::name(node, forest)?;
    Ok(VerifierKey { name, signs: Signs::Cosignatures, key }.text())
}

fn line(checkpoint: &Checkpoint) -> CheckpointLine {
    let Checkpoint { origin, size, root } = checkpoint;
    CheckpointLine { origin: origin.clone(), size: *size, root: to_hex(root) }
}

fn witness_line(lag: Lag) -> WitnessLine {
    let time = |last: &cosignatures::Cosignature| {
        i64::try_from(last.time).ok().map(Timestamp::from_seconds)
    };
    WitnessLine {
        size: lag.last.as_ref().map_or(0, |last| last.size),
        cosigned: lag.last.as_ref().and_then(time),
        witness: lag.witness,
        key: lag.name,
        lag_ticks: lag.ticks,
        lag_seconds: lag.seconds,
        failed: lag.failed.map(|(code, _)| code.name.to_owned()),
    }
}

fn seen(fold: &Fold, record: &twinpact_proof::Record) -> SeenLine {
    let origin = &record.origin;
    let pinned = fold
        .copies
        .anchor(origin)
        .map(|seen| line(&Checkpoint { origin: origin.clone(), size: seen.size, root: seen.root }));
    let cosigned = fold.witnessing.get(origin).map(|last| line(&last.checkpoint));
    SeenLine { partner: record.did.clone(), pinned, cosigned }
}

fn alert_line(alert: &Alert) -> AlertLine {
    let size = |note: &String| Note::parse(note).map_or(0, |note| note.checkpoint.size);
    AlertLine {
        id: alert.id.clone(),
        partner: alert.partner.clone(),
        origin: alert.origin.clone(),
        grade: alert.grade.name().to_owned(),
        sizes: alert.notes.each_ref().map(size),
        source: alert.source.clone(),
        recorded: alert.recorded,
    }
}

/// An alert with both notes, and the evidence.
///
/// # Errors
/// `log.alert`; `store.stopped`.
pub fn alert(node: &Node, id: &str) -> Result<AlertShown, Problem> {
    node.partition.read(|fold, _| {
        let alert = fold.divergences.get(id)?;
        Ok(AlertShown {
            alert: alert_line(alert),
            notes: alert.notes.clone(),
            evidence: alert.evidence().map(|fork| fork.to_text()),
        })
    })?
}

/// Our checkpoint of that size.
fn checkpoint(node: &Node, forest: &Forest, size: u64) -> Result<Checkpoint, Problem> {
    let none =
        || Problem::new(codes::LOG_SIZE, format!("the log has no checkpoint of size {size}"));
    let origin = organisation::origin(&node.config.organisation, forest)?;
    let tick = size.checked_sub(1).ok_or_else(none)?;
    forest.checkpoint(&origin, tick).ok_or_else(none)
}

/// A tick under our checkpoint of that size, or of the newest.
///
/// # Errors
/// `log.size`; `anchor.behind`; `store.stopped`.
pub fn inclusion(node: &Node, tick: u64, size: Option<u64>) -> Result<InclusionShown, Problem> {
    node.partition.read(|fold, store| {
        let forest = store.forest();
        fold.behind.check(forest)?;
        let size = size.unwrap_or_else(|| forest.ticks());
        let shown = checkpoint(node, forest, size)?;
        let none =
            || Problem::new(codes::LOG_SIZE, format!("tick {tick} is not below size {size}"));
        let (time, slots, heads) = forest.anchor_leaf(tick).ok_or_else(none)?;
        let path = forest.anchor_inclusion(tick, size).ok_or_else(none)?;
        Ok(InclusionShown {
            checkpoint: shown.sign(node.signer().key()),
            tick,
            time,
            slots,
            heads: to_hex(&heads),
            path: path.iter().map(|hash| to_hex(hash)).collect(),
        })
    })?
}

/// That our checkpoint of `new` leaves, or the newest, continues that of `old`.
///
/// # Errors
/// `log.size`; `anchor.behind`; `store.stopped`.
pub fn consistency(node: &Node, old: u64, new: Option<u64>) -> Result<ConsistencyShown, Problem> {
    node.partition.read(|fold, store| {
        let forest = store.forest();
        fold.behind.check(forest)?;
        let new = new.unwrap_or_else(|| forest.ticks());
        let none = || Problem::new(codes::LOG_SIZE, format!("size {old} is not up to size {new}"));
        let hashes = forest.anchor_consistency(old, new).ok_or_else(none)?;
        let signed =
            |size| checkpoint(node, forest, size).map(|shown| shown.sign(node.signer().key()));
        Ok(ConsistencyShown {
            old: signed(old)?,
            new: signed(new)?,
            hashes: hashes.iter().map(|hash| to_hex(hash)).collect(),
        })
    })?
}
