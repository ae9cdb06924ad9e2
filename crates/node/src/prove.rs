//! Bundles: one entry with all that shows it to a stranger.

use crate::fold::Fold;
use crate::open::Node;
use crate::organisation;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::build::{self, Place};
use twinpact_proof::bundle::{AnchorProof, Bundle, Exactness, TreeProof};
use twinpact_proof::commit::{Commitment, commit};
use twinpact_proof::trust;
use twinpact_proof::{Envelope, Trust};
use twinpact_store::forest::{EVENTS, Forest, TreeNo};
use twinpact_store::{Committed, payload};

/// The bundle of an event of ours, with these attributes disclosed (all when none is named) and the
/// group `@who` and `@when` always.
///
/// # Errors
/// `twin.event` when there is no such event; `twin.attribute` when it has no such attribute;
/// `store.*`.
pub async fn fact(node: &Node, index: u64, attributes: &[String]) -> Result<Bundle, Problem> {
    fact_of(node, EVENTS, index, attributes).await
}

/// The same of an entry of another tree that our record names.
///
/// # Errors
/// As [`fact`].
pub(crate) async fn fact_of(
    node: &Node,
    tree: TreeNo,
    index: u64,
    attributes: &[String],
) -> Result<Bundle, Problem> {
    let tick = covering_tick(node, tree, index).await?;
    let (entry, place, record) = node.partition.read(|fold, store| {
        fold.behind.check(store.forest())?;
        let entry = store.entry(tree, index)?;
        let first = store.forest().tick_of(tree, index).unwrap_or(tick);
        let place = witnessed(fold, store.forest(), node, tree, &entry, (first, tick))?;
        Ok::<_, Problem>((entry, place, fold.organisation.current()?.1.clone()))
    })??;
    let paths = disclosed(&entry, attributes)?;
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let opened = build::open(&commitment(&entry)?, &paths);
    Ok(build::fact(opened, Exactness::Exact, place, record))
}

/// A tick that covers the entry; it is made when there is none yet.
///
/// # Errors
/// `twin.event` when there is no such entry; `store.*`.
pub async fn covering_tick(node: &Node, tree: TreeNo, index: u64) -> Result<u64, Problem> {
    let (size, tick, ticks) = node.partition.read(|_, store| {
        let forest = store.forest();
        (forest.size(tree), forest.tick_of(tree, index), forest.ticks())
    })?;
    if index >= size {
        return Err(Problem::new(codes::TWIN_EVENT, format!("there is no event {index}"))
            .hint("event numbers stand in: twinpact twin history TWIN"));
    }
    match tick {
        Some(_) => Ok(ticks.saturating_sub(1)),
        None => node.partition.turn_and_prove(|_| Ok(())).await.map(|((), tick)| tick),
    }
}

/// The commitment of an entry, made again from its seed.
///
/// # Errors
/// `internal` when it cannot be, which its check at reading excludes.
pub fn commitment(entry: &Committed) -> Result<Commitment, Problem> {
    let groups = entry.entry.groups();
    commit(&entry.seed, &payload::attrs(&groups, &entry.entry.what))
        .filter(|made| made.pc == entry.pc)
        .ok_or_else(|| Problem::new(codes::INTERNAL, "an entry does not open its commitment"))
}

/// Where an entry stands, up to a checkpoint from the first of these ticks on that most witnesses
/// have cosigned, with their lines; up to that of the second when there is none.
///
/// # Errors
/// `internal` when the tick does not cover the entry.
pub(crate) fn witnessed(
    fold: &Fold,
    forest: &Forest,
    node: &Node,
    tree: TreeNo,
    entry: &Committed,
    (first, otherwise): (u64, u64),
) -> Result<Place, Problem> {
    let origin = organisation::origin(&node.config.organisation, forest)?;
    let best = fold.cosignatures.best(&origin, first.saturating_add(1));
    let tick = best.and_then(|size| size.checked_sub(1)).filter(|tick| *tick < forest.ticks());
    let mut place = place(forest, node, tree, entry, tick.unwrap_or(otherwise))?;
    place.checkpoint.extend(fold.cosignatures.lines(&origin, place.anchor.size));
    Ok(place)
}

/// Where an entry stands, up to the checkpoint signed for that tick.
///
/// # Errors
/// `internal` when the tick does not cover the entry.
pub fn place(
    forest: &Forest,
    node: &Node,
    tree: TreeNo,
    entry: &Committed,
    tick: u64,
) -> Result<Place, Problem> {
    let missing = || Problem::new(codes::INTERNAL, "a tick does not cover an entry");
    let proof = forest.prove(tree, entry.index, tick).ok_or_else(missing)?;
    let origin = organisation::origin(&node.config.organisation, forest)?;
    let checkpoint = forest.checkpoint(&origin, tick).ok_or_else(missing)?;
    let head = build::place_head(
        proof.blind,
        (tick, proof.slot, proof.slots),
        &proof.head,
        proof.head_path,
        proof.heads,
    );
    let leaf = twinpact_proof::anchor::anchor_leaf(tick, proof.time, proof.slots, &proof.heads);
    Ok(Place {
        entry: build::entry(proof.head.tree, entry.index, &entry.pc),
        tree: TreeProof { size: proof.head.size, path: proof.tree_path, root: proof.head.root },
        head,
        anchor: AnchorProof {
            tick,
            time: proof.time,
            leaf,
            path: proof.anchor_path,
            size: proof.anchor_size,
            root: proof.anchor_root,
        },
        checkpoint: checkpoint.sign(node.signer().key()),
    })
}

/// Whom our own proofs are verified against: the pinned partners and ourselves.
///
/// # Errors
/// `internal` when our own record cannot be pinned.
pub fn own_trust(fold: &Fold) -> Result<Trust, Problem> {
    with_own(fold.partners.trust().clone(), &fold.organisation.current()?.1)
}

/// The trust in these partners and in ourselves.
pub(crate) fn with_own(mut trust: Trust, own: &Envelope) -> Result<Trust, Problem> {
    let bad = |_| Problem::new(codes::INTERNAL, "our own record cannot be pinned");
    trust.add(own, trust::DECIDED).map(|_| trust).map_err(bad)
}

/// Our own record's envelope.
///
/// # Errors
/// `store.stopped`.
pub fn own_record(node: &Node) -> Result<Envelope, Problem> {
    node.partition.read(|fold, _| fold.organisation.current().map(|(_, e)| e.clone()))?
}

fn disclosed(entry: &Committed, attributes: &[String]) -> Result<Vec<String>, Problem> {
    let mut paths = vec!["@who".to_owned(), "@when".to_owned()];
    let all = entry.entry.what.iter().map(|a| a.path.to_string());
    if attributes.is_empty() {
        paths.extend(all);
        return Ok(paths);
    }
    let known: Vec<String> = all.collect();
    for attribute in attributes {
        if !known.contains(attribute) {
            return Err(Problem::new(
                codes::TWIN_ATTRIBUTE,
                format!("event {} has no attribute {attribute:?}", entry.index),
            )
            .hint(format!("it has {}", known.join(", "))));
        }
        paths.push(attribute.clone());
    }
    Ok(paths)
}
