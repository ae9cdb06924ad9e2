//! Every invariant of a directory, looked at offline and without changing anything in it.
//!
//! Reading the log already checks heads, frames, sequence, keys, that every entry opens and opens
//! its commitment, states at the start of segments, ticks, and that twins have no gaps; what fails
//! there is a refusal. What remains is what only the whole can show: it is listed, all of it.

use crate::agreements::{self, Agreement};
use crate::copies::Copy;
use crate::digest;
use crate::fold::Fold;
use crate::open::{self, Node};
use crate::organisation;
use crate::receipts;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use twinpact_dsp::Role;
use twinpact_identity::files::IdentityFiles;
use twinpact_model::codes;
use twinpact_model::entry::Kind;
use twinpact_model::problem::Problem;
use twinpact_proof::anchor::{anchor_leaf, head_leaf};
use twinpact_proof::documents::{self, Decision, Receipt};
use twinpact_proof::tree::root_from_inclusion;
use twinpact_proof::{Bundle, Envelope, Json, Level, Trust, to_hex, verify};
use twinpact_store::forest::{DECISIONS, EVENTS, LOCAL, Proof};
use twinpact_store::{Committed, Cut, Replayed, Store};

/// The most findings that are listed; all are counted.
pub const MAX_FINDINGS: usize = 100;

/// What a directory holds, and what is wrong with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The organisation.
    pub organisation: String,
    /// How much there is of what.
    pub counts: Counts,
    /// The anchor as it would be signed now.
    pub anchor: Anchor,
    /// [`digest::state`] in hex.
    pub state: String,
    /// That the directory is an older copy of itself, when it has been shown to be: nothing in it
    /// is wrong, and nothing can be proven with it before a successor log is opened.
    pub behind: Option<String>,
    /// What is torn at the end of the log; the next start cuts it.
    pub torn: Option<Torn>,
    /// How many findings there are.
    pub wrong: u64,
    /// The first [`MAX_FINDINGS`] of them.
    pub findings: Vec<String>,
}

/// How much there is of what.
#[derive(Debug, Default, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Entries of the log.
    pub entries: u64,
    /// Of these, those of the tree of events.
    pub events: u64,
    /// Those of the tree of decisions.
    pub decisions: u64,
    /// Those of the ledgers.
    pub deliveries: u64,
    /// Those that are in no tree.
    pub local: u64,
    /// Trees.
    pub trees: u64,
    /// Those of all trees and of none that were destroyed with their key.
    pub destroyed: u64,
    /// Twins.
    pub twins: u64,
    /// Facts about them.
    pub facts: u64,
    /// Agreements.
    pub agreements: u64,
    /// Receipts of ours that were made again.
    pub receipts: u64,
    /// Copies from partners.
    pub copies: u64,
}

/// The anchor.
#[derive(Debug, Default, Serialize)]
pub struct Anchor {
    /// The origin of its checkpoints.
    pub origin: String,
    /// How many ticks there were.
    pub size: u64,
    /// The root over them in hex; empty before the first.
    pub root: String,
}

/// A torn tail.
#[derive(Debug, Serialize)]
pub struct Torn {
    /// The segment.
    pub segment: u64,
    /// From where.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Report {
    /// The first finding as a problem, else that the node is behind; `None` when there is nothing.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let damaged = self.findings.first().map(|finding| {
            Problem::new(codes::STORE_DAMAGED, finding.clone())
                .hint("nothing was changed; restore the directory from a copy")
        });
        damaged.or_else(|| {
            let behind = self.behind.as_ref()?;
            let problem = Problem::new(codes::ANCHOR_BEHIND, behind.clone());
            Some(problem.hint("open a successor log: twinpact restore --successor --dir DIR"))
        })
    }
}

/// How far a check is: what it is at, how much of it is done, and of how much, when that is known.
pub type Progress<'a> = &'a mut dyn FnMut(&'static str, u64, Option<u64>);

/// Checks the directory of a node that is not running.
///
/// # Errors
/// `store.locked` while it runs; what refuses to open the directory. What opens and is wrong all
/// the same is in the report.
pub fn check(path: &Path, progress: Progress<'_>) -> Result<Report, Problem> {
    let mut walk = Walk::default();
    let (node, cut) = open::inspect(path, |fold, entry| {
        walk.entry(fold, entry);
        progress("entries", walk.counts.entries, None);
    })
    .map_err(offline)?;
    if let Err(problem) = IdentityFiles::new(path.join("identity")).check_root_key() {
        walk.wrong(format!("identity/root.key: {}", problem.message));
    }
    node.partition.read(|fold, store| {
        walk.trees(store);
        walk.organisation(&node, fold, store);
        fold.agreements.iter().for_each(|agreement| walk.agreement(fold, store, agreement));
        walk.counts.twins = fold.twins.nodes().count() as u64;
        walk.counts.facts = fold.twins.nodes().map(|(_, twin)| twin.facts.len() as u64).sum();
    })?;
    walk.receipts(&node, progress)?;
    walk.copies(&node, progress)?;
    progress("state", 0, None);
    node.partition.read(|fold, store| walk.report(&node, fold, store, cut))?
}

/// A check needs the directory for itself.
fn offline(problem: Problem) -> Problem {
    match problem.code == codes::STORE_LOCKED {
        true => problem.hint("a check is offline: stop the node first"),
        false => problem,
    }
}

/// What was seen so far.
#[derive(Default)]
struct Walk {
    counts: Counts,
    recorded: Option<i64>,
    behind: Option<String>,
    /// What was pinned of each partner when it was removed: its deliveries stay, as evidence.
    removed: Vec<Trust>,
    wrong: u64,
    findings: Vec<String>,
}

impl Walk {
    fn wrong(&mut self, finding: String) {
        self.wrong += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// An entry, and the state before it.
    fn entry(&mut self, fold: Option<&Fold>, entry: &Replayed) {
        let (tree, entry) = match entry {
            Replayed::Open(entry) => (entry.tree, Some(entry)),
            Replayed::Gone(gone) => (gone.tree, None),
        };
        let counts = &mut self.counts;
        counts.entries += 1;
        counts.destroyed += u64::from(entry.is_none());
        *match tree {
            LOCAL => &mut counts.local,
            EVENTS => &mut counts.events,
            DECISIONS => &mut counts.decisions,
            _ => &mut counts.deliveries,
        } += 1;
        if let Some(entry) = entry {
            self.readable(fold, entry);
        }
    }

    /// What an entry says, and the state before it.
    fn readable(&mut self, fold: Option<&Fold>, entry: &Committed) {
        let recorded = entry.entry.when.recorded.micros();
        if self.recorded.replace(recorded).is_some_and(|before| before >= recorded) {
            self.wrong(format!("{} was not recorded after the one before it", name(entry)));
        }
        if entry.tree == EVENTS
            && entry.entry.who.kind == Kind::PartnerRemoved
            && let Some(did) = entry.entry.get("organisation")
            && let Some(pin) = fold.and_then(|fold| fold.partners.trust().organisation(did))
        {
            let organisations = vec![pin.clone()];
            self.removed.push(Trust { organisations, ..Trust::default() });
        }
        if entry.tree == DECISIONS
            && let Some(record) = entry.entry.get("record")
            && !fold.is_some_and(|fold| is_our_decision(fold, record))
        {
            self.wrong(format!("{} is no decision that this node has signed", name(entry)));
        }
    }

    /// The newest entry of each tree, proven up to the anchor.
    fn trees(&mut self, store: &Store) {
        let forest = store.forest();
        self.counts.trees = u64::from(forest.next_tree() - 1);
        let Some(tick) = forest.ticks().checked_sub(1) else { return };
        for tree in 1..forest.next_tree() {
            let covered = forest.head_at(tree, tick).map_or(0, |head| head.size);
            let Some(index) = covered.checked_sub(1) else { continue };
            let leaf = forest.leaf(tree, index).unwrap_or_default();
            let proven = forest.prove(tree, index, tick).is_some_and(|p| holds(&p, &leaf));
            let read = match store.entry(tree, index) {
                Ok(entry) => entry.leaf == leaf,
                Err(problem) => problem.code == codes::TWIN_ERASED,
            };
            if !proven || !read {
                self.wrong(format!("entry {index} of tree {tree} is not under the anchor"));
            }
        }
    }

    /// Our record says who and where we are.
    fn organisation(&mut self, node: &Node, fold: &Fold, store: &Store) {
        let (forest, did) = (store.forest(), &node.config.organisation);
        let Ok((record, _)) = fold.organisation.current() else { return };
        if record.did != did.as_str() {
            self.wrong(format!("the organisation record is of {}, not of {did}", record.did));
        }
        let origin = organisation::origin(did, forest).unwrap_or_default();
        if record.origin != origin {
            self.wrong(format!("the organisation record names {}, not {origin}", record.origin));
        }
        for (name, tree) in [("events", EVENTS), ("decisions", DECISIONS)] {
            if record.named(name).map(|named| named.tree) != forest.id(tree) {
                self.wrong(format!("the organisation record names another tree of {name}"));
            }
        }
    }

    /// An agreement is what its identity says, and what we signed.
    fn agreement(&mut self, fold: &Fold, store: &Store, agreement: &Agreement) {
        self.counts.agreements += 1;
        let at_id = &agreement.wire.id;
        if agreements::identity(&agreement.wire).map(|(id, _)| id).ok() != Some(agreement.id) {
            self.wrong(format!("agreement {at_id} is not the one of its identity"));
        }
        if agreement.role != Role::Provider {
            return;
        }
        let signed = agreement.document.as_ref().filter(|envelope| is_ours(fold, envelope));
        let document = signed.and_then(|e| documents::Agreement::from_envelope(e).ok());
        let ledger = agreement.ledger.map(|tree| (u64::from(tree) - 1, store.forest().id(tree)));
        let holds = document.is_some_and(|document| {
            document.agreement == agreement.id
                && ledger == Some((document.slot, Some(document.tree)))
        });
        if !holds {
            self.wrong(format!("agreement {at_id} is not the document that this node has signed"));
        }
    }

    /// Every receipt of ours can be made again, and holds; a node that is behind makes none.
    fn receipts(&mut self, node: &Node, progress: Progress<'_>) -> Result<(), Problem> {
        let ledgers = node.partition.read(|fold, store| {
            self.behind = fold.behind.check(store.forest()).err().map(|problem| problem.message);
            let ledgers = fold.agreements.iter().filter_map(|one| Some((one.id, one.ledger?)));
            ledgers
                .map(|(id, ledger)| (to_hex(&id), store.forest().covered(ledger)))
                .collect::<Vec<_>>()
        })?;
        if self.behind.is_some() {
            return Ok(());
        }
        let total = ledgers.iter().map(|(_, size)| size).sum();
        let all = ledgers.iter().flat_map(|(id, size)| (0..*size).map(move |index| (id, index)));
        for (done, (agreement, index)) in (1..).zip(all) {
            let made = receipts::again(node, agreement, index);
            let why = match made.map(|bundle| verify(bundle.as_bytes(), None)) {
                Ok(Ok(_)) => None,
                Ok(Err(why)) => Some(why.sentence),
                Err(why) => Some(why.message),
            };
            match why {
                None => self.counts.receipts += 1,
                Some(why) => self.wrong(format!("receipt {index} of {agreement}: {why}")),
            }
            progress("receipts", done, Some(total));
        }
        Ok(())
    }

    /// Every copy is what its receipt says, by the partners that are pinned, or were until they
    /// were removed.
    fn copies(&mut self, node: &Node, progress: Progress<'_>) -> Result<(), Problem> {
        node.partition.read(|fold, _| {
            let total = fold.copies.iter().count() as u64;
            for (name, copy) in fold.copies.iter() {
                self.counts.copies += 1;
                let pinned = std::iter::once(fold.partners.trust()).chain(&self.removed);
                if let Err(why) = is_signed(copy, pinned).and_then(|()| copy_holds(copy)) {
                    self.wrong(format!("copy {name}: {why}"));
                }
                progress("copies", self.counts.copies, Some(total));
            }
        })
    }

    fn report(
        self,
        node: &Node,
        fold: &Fold,
        store: &Store,
        cut: Option<Cut>,
    ) -> Result<Report, Problem> {
        let forest = store.forest();
        let origin = organisation::origin(&node.config.organisation, forest)?;
        let last = forest.ticks().checked_sub(1);
        let checkpoint = last.and_then(|tick| forest.checkpoint(&origin, tick));
        Ok(Report {
            organisation: node.config.organisation.to_string(),
            counts: self.counts,
            anchor: Anchor {
                size: forest.ticks(),
                root: checkpoint.map(|made| to_hex(&made.root)).unwrap_or_default(),
                origin,
            },
            state: to_hex(&digest::state(fold, forest)),
            behind: self.behind,
            torn: cut.map(|Cut { segment, offset, bytes }| Torn { segment, offset, bytes }),
            wrong: self.wrong,
            findings: self.findings,
        })
    }
}

fn name(entry: &Committed) -> String {
    match entry.tree {
        LOCAL => format!("entry {} of the log", entry.index),
        tree => format!("entry {} of tree {tree}", entry.index),
    }
}

/// Whether a key of our record has signed it, and nobody else.
fn is_ours(fold: &Fold, envelope: &Envelope) -> bool {
    let record = fold.organisation.current();
    record.is_ok_and(|(record, _)| envelope.signed_only_by(&record.all_keys()))
}

fn is_our_decision(fold: &Fold, text: &str) -> bool {
    let json = Json::parse(text.as_bytes()).ok();
    let envelope = json.as_ref().and_then(Envelope::from_json);
    envelope.is_some_and(|envelope| {
        is_ours(fold, &envelope) && Decision::from_envelope(&envelope).is_ok()
    })
}

/// Whether the leaf is under the root of the anchor.
fn holds(proof: &Proof, leaf: &[u8; 32]) -> bool {
    let root = root_from_inclusion(leaf, proof.index, proof.head.size, &proof.tree_path);
    let head = head_leaf(proof.tick, proof.slot, &proof.head, &proof.blind);
    let heads = root_from_inclusion(&head, proof.slot, proof.slots, &proof.head_path);
    let anchor = anchor_leaf(proof.tick, proof.time, proof.slots, &proof.heads);
    let top = root_from_inclusion(&anchor, proof.tick, proof.anchor_size, &proof.anchor_path);
    root == Some(proof.head.root) && heads == Some(proof.heads) && top == Some(proof.anchor_root)
}

/// Why the proof of a copy holds by none of these; what the first says.
fn is_signed<'t>(copy: &Copy, pinned: impl Iterator<Item = &'t Trust>) -> Result<(), String> {
    let by = |trust| match verify(copy.proof.as_bytes(), Some(trust)) {
        Ok(verdict) if verdict.level >= Level::Signed => Ok(()),
        Ok(_) => Err("its proof is signed by nobody who is or was pinned".to_owned()),
        Err(broken) => Err(broken.sentence),
    };
    let mut first = Ok(());
    for said in pinned.map(by) {
        if said.is_ok() {
            return said;
        }
        first = first.and(said);
    }
    first
}

/// Why the rows of a copy are not what its receipt says.
fn copy_holds(copy: &Copy) -> Result<(), String> {
    let bundle = Bundle::parse(copy.proof.as_bytes()).map_err(|broken| broken.sentence)?;
    let receipt = bundle.receipt.as_ref().and_then(|e| Receipt::from_envelope(e).ok());
    let receipt = receipt.ok_or("it has no receipt")?;
    if copy.deleted.is_some() || copy.erased {
        return Ok(());
    }
    let (mut count, mut bytes) = (0, 0);
    for part in &copy.parts {
        let rows: Vec<Value> =
            serde_json::from_str(&part.rows).map_err(|_| "its rows are no rows")?;
        count += rows.len() as u64;
        bytes += rows.iter().map(|row| row.to_string().len() as u64).sum::<u64>();
    }
    match (count, bytes) == (receipt.count, receipt.bytes) {
        true => Ok(()),
        false => Err(format!("it has {count} rows of {bytes} bytes, its receipt says otherwise")),
    }
}
