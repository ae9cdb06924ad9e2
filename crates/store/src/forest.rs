//! The Merkle trees over the log, and the anchor over their heads. Values in memory, no I/O.
//!
//! Tree number `n` (from 1) has slot `n − 1`, which is never reused. A tick appends one anchor
//! leaf, which is a function of the log up to that frame and of the anchor key, and of nothing
//! else.

use crate::frame::{Opens, Tick, TreeState};
use crate::log::Place;
use crate::successor::Successor;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::SecretKey;
use twinpact_proof::anchor::{self, Head, TreeId};
use twinpact_proof::digest::Digest;
use twinpact_proof::note::Checkpoint;
use twinpact_proof::successor::{LogId, Predecessor, anchor_key};
use twinpact_proof::tree::Tree;
use twinpact_proof::witness_record::witness_seed;

/// The number of a tree in this log.
pub type TreeNo = u32;

/// Local records, which are in no tree.
pub const LOCAL: TreeNo = 0;
/// The tree of events.
pub const EVENTS: TreeNo = 1;
/// The tree of decisions.
pub const DECISIONS: TreeNo = 2;
/// The number under which the state of the anchor stands in a state frame.
pub const ANCHOR: TreeNo = u32::MAX;

/// Of how many ticks the tree over all slots is kept. It is hashed anew for any other.
const KEPT_SLOTS: usize = 4;

/// One tree.
#[derive(Debug, Default)]
struct Growing {
    id: TreeId,
    tree: Tree,
    /// (tick, size) for each tick at which the size was another than before.
    sizes: Vec<(u64, u64)>,
    /// The last of them, and the head then: most trees do not grow in most ticks, and each tick
    /// asks all of them.
    last: Option<(u64, Head)>,
    /// Where each entry lies: the number of its frame and its position there.
    places: Vec<(u32, u32)>,
}

impl Growing {
    /// The head as it stands.
    fn head(&self) -> Option<Head> {
        let size = self.tree.size();
        Some(Head { tree: self.id, size, root: self.tree.root_at(size)? })
    }

    fn head_at(&self, tick: u64) -> Option<Head> {
        if let Some((_, head)) = self.last.filter(|(at, _)| *at <= tick) {
            return Some(head);
        }
        let until = self.sizes.partition_point(|(at, _)| *at <= tick);
        let (_, size) = *self.sizes.get(until.checked_sub(1)?)?;
        Some(Head { tree: self.id, size, root: self.tree.root_at(size)? })
    }
}

/// One anchor leaf.
#[derive(Debug, Clone, Copy)]
struct AnchorLeaf {
    time: u64,
    slots: u64,
    heads: Digest,
}

/// All trees and the anchor.
#[derive(Default)]
pub struct Forest {
    node_key: [u8; 32],
    /// That of the node for a first log, else made from it.
    anchor_key: [u8; 32],
    successor: Option<Successor>,
    trees: Vec<Growing>,
    /// Those that were opened or have grown since the last tick.
    touched: BTreeSet<TreeNo>,
    /// The trees over all slots at the last ticks, which are proven by most; the newest last.
    slots: VecDeque<(u64, Tree)>,
    /// The frames that entries of trees lie in, so that an entry needs no more than a number.
    frames: Vec<Place>,
    anchor: Tree,
    leaves: Vec<AnchorLeaf>,
}

/// All that shows an entry under a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The tree and its head at the tick.
    pub head: Head,
    /// The position in the tree.
    pub index: u64,
    /// From the leaf to the head's root.
    pub tree_path: Vec<Digest>,
    /// The head's fixed slot.
    pub slot: u64,
    /// The number of slots.
    pub slots: u64,
    /// The blinding of the head.
    pub blind: [u8; 16],
    /// From the head to the root over all heads.
    pub head_path: Vec<Digest>,
    /// The root over all heads.
    pub heads: Digest,
    /// The tick.
    pub tick: u64,
    /// The tick's time in microseconds since 1970.
    pub time: u64,
    /// From the anchor leaf to the checkpoint's root.
    pub anchor_path: Vec<Digest>,
    /// The checkpoint's size.
    pub anchor_size: u64,
    /// The checkpoint's root.
    pub anchor_root: Digest,
}

impl Forest {
    /// An empty forest under that anchor key.
    #[must_use]
    pub fn new(anchor_key: [u8; 32]) -> Forest {
        Forest { node_key: anchor_key, anchor_key, ..Forest::default() }
    }

    /// Opens a successor log: the trees stay as they are, the anchor begins again with the leaf
    /// that says what came before, and no tick of it covers anything yet.
    ///
    /// # Errors
    /// `store.damaged` when it comes after no log.
    pub fn succeed(&mut self, successor: Successor) -> Result<(), Problem> {
        let last = successor.predecessors.last();
        let first = last.ok_or_else(|| inconsistent("a successor comes after no log"))?.leaf();
        self.anchor_key = anchor_key(&self.node_key, &successor.log);
        self.anchor = Tree::default();
        self.anchor.append(first);
        // In the place of tick 0, which has no heads: nothing is ever proven by it.
        self.leaves = vec![AnchorLeaf { time: 0, slots: 0, heads: first }];
        for grown in &mut self.trees {
            grown.sizes.clear();
            grown.last = None;
        }
        self.touched = (1..self.next_tree()).collect();
        self.slots.clear();
        self.successor = Some(successor);
        Ok(())
    }

    /// The id of a successor log; none of a first one.
    #[must_use]
    pub fn log_id(&self) -> Option<LogId> {
        self.successor.as_ref().map(|successor| successor.log)
    }

    /// The logs before this one, the newest last.
    #[must_use]
    pub fn predecessors(&self) -> &[Predecessor] {
        self.successor.as_ref().map_or(&[], |successor| &successor.predecessors)
    }

    /// How many trees there are.
    #[must_use]
    pub fn trees(&self) -> u64 {
        self.trees.len() as u64
    }

    /// How many entries the ledgers of all agreements have together.
    #[must_use]
    pub fn ledger_entries(&self) -> u64 {
        self.trees.iter().skip(DECISIONS as usize).map(|ledger| ledger.tree.size()).sum()
    }

    /// Opens a tree. Numbers come in order.
    ///
    /// # Errors
    /// `store.damaged` when a number was left out.
    pub fn open(&mut self, opens: Opens) -> Result<(), Problem> {
        if opens.tree != self.next_tree() {
            return Err(inconsistent("a tree was opened out of order"));
        }
        self.trees.push(Growing { id: opens.id, ..Growing::default() });
        self.touched.insert(opens.tree);
        Ok(())
    }

    /// The number that the next tree will have.
    #[must_use]
    pub fn next_tree(&self) -> TreeNo {
        u32::try_from(self.trees.len()).unwrap_or(u32::MAX - 2) + 1
    }

    /// Appends an entry and gives its index and leaf.
    ///
    /// # Errors
    /// `store.damaged` when there is no such tree.
    pub fn append(
        &mut self,
        tree: TreeNo,
        pc: &Digest,
        place: (Place, u32),
    ) -> Result<(u64, Digest), Problem> {
        let (place, at) = place;
        if self.frames.last() != Some(&place) {
            self.frames.push(place);
        }
        let frame = u32::try_from(self.frames.len() - 1);
        let frame = frame.map_err(|_| inconsistent("there are more than 2^32 frames"))?;
        let grown = self.tree_mut(tree)?;
        let index = grown.tree.size();
        let leaf = anchor::entry_leaf(&grown.id, index, pc);
        grown.tree.append(leaf);
        grown.places.push((frame, at));
        self.touched.insert(tree);
        Ok((index, leaf))
    }

    /// Makes an anchor leaf over all heads as they stand.
    ///
    /// # Errors
    /// `store.damaged` when a tick was left out.
    pub fn tick(&mut self, tick: Tick) -> Result<(), Problem> {
        self.tick_with(tick, self.next_slots())
    }

    /// The tree over all slots at the next tick, with the heads as they stand. It takes long where
    /// there are many trees, and changes nothing.
    #[must_use]
    pub fn next_slots(&self) -> Tree {
        let mut grows = self.touched.iter().map(|number| number.saturating_sub(1)).peekable();
        let heads = self.trees.iter().enumerate().map(|(at, grown)| {
            let as_it_was = match u32::try_from(at).is_ok_and(|at| grows.next_if_eq(&at).is_some())
            {
                true => None,
                false => grown.last.map(|(_, head)| head),
            };
            as_it_was.or_else(|| grown.head())
        });
        anchor::slots_tree(&self.anchor_key, self.ticks(), heads)
    }

    /// The same as [`tick`](Self::tick), with its [slots](Self::next_slots) when nothing has grown
    /// since they were made.
    ///
    /// # Errors
    /// As there.
    pub fn tick_with(&mut self, tick: Tick, slots: Tree) -> Result<(), Problem> {
        if tick.number != self.ticks() {
            return Err(inconsistent("a tick is missing"));
        }
        for touched in std::mem::take(&mut self.touched) {
            let grown = self.tree_mut(touched)?;
            let head =
                grown.head().filter(|now| grown.last.is_none_or(|(_, l)| l.size != now.size));
            if let Some(head) = head {
                grown.sizes.push((tick.number, head.size));
                grown.last = Some((tick.number, head));
            }
        }
        let (count, heads) = (slots.size(), slots.root());
        if self.slots.len() >= KEPT_SLOTS {
            self.slots.pop_front();
        }
        self.slots.push_back((tick.number, slots));
        self.anchor.append(anchor::anchor_leaf(tick.number, tick.time, count, &heads));
        self.leaves.push(AnchorLeaf { time: tick.time, slots: count, heads });
        Ok(())
    }

    /// How many ticks there were: the number that the next will have.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.anchor.size()
    }

    /// The time of the last tick in microseconds since 1970: 0 before the first.
    #[must_use]
    pub fn last_time(&self) -> u64 {
        self.leaves.last().map_or(0, |leaf| leaf.time)
    }

    /// The time of that tick in microseconds since 1970; `None` for one that was not.
    #[must_use]
    pub fn time_of(&self, tick: u64) -> Option<u64> {
        self.leaves.get(usize::try_from(tick).ok()?).map(|leaf| leaf.time)
    }

    /// The key with which this log's node cosigns the checkpoints of others, once its trees are
    /// opened.
    #[must_use]
    pub fn witness_key(&self) -> Option<SecretKey> {
        let first = || self.id(EVENTS)?.first_chunk::<8>().copied();
        let log = self.log_id().or_else(first)?;
        Some(SecretKey::new(&witness_seed(&self.node_key, &log)))
    }

    /// Whether anything was appended since the last tick.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.touched.iter().any(|tree| self.size(*tree) != self.covered(*tree))
    }

    /// The tree's id.
    #[must_use]
    pub fn id(&self, tree: TreeNo) -> Option<TreeId> {
        self.tree(tree).map(|grown| grown.id)
    }

    /// The tree's size now.
    #[must_use]
    pub fn size(&self, tree: TreeNo) -> u64 {
        self.tree(tree).map_or(0, |grown| grown.tree.size())
    }

    /// The leaf hash of an entry.
    #[must_use]
    pub fn leaf(&self, tree: TreeNo, index: u64) -> Option<Digest> {
        self.tree(tree)?.tree.leaf(index)
    }

    /// Where an entry lies.
    #[must_use]
    pub fn place(&self, tree: TreeNo, index: u64) -> Option<(Place, u32)> {
        let (frame, at) = *self.tree(tree)?.places.get(usize::try_from(index).ok()?)?;
        Some((*self.frames.get(usize::try_from(frame).ok()?)?, at))
    }

    /// The head of a tree at a tick; `None` before its first entry or for a tick that was not.
    #[must_use]
    pub fn head_at(&self, tree: TreeNo, tick: u64) -> Option<Head> {
        (tick < self.ticks()).then(|| self.tree(tree)?.head_at(tick)).flatten()
    }

    /// How many entries of a tree the last tick covers: those behind them are durable, and no proof
    /// of them can be made yet.
    #[must_use]
    pub fn covered(&self, tree: TreeNo) -> u64 {
        self.tree(tree).and_then(|grown| grown.last).map_or(0, |(_, head)| head.size)
    }

    /// The first tick whose head covers that entry.
    #[must_use]
    pub fn tick_of(&self, tree: TreeNo, index: u64) -> Option<u64> {
        let sizes = &self.tree(tree)?.sizes;
        sizes.get(sizes.partition_point(|(_, size)| *size <= index)).map(|(tick, _)| *tick)
    }

    /// The proof of an entry under the checkpoint made at that tick.
    #[must_use]
    pub fn prove(&self, tree: TreeNo, index: u64, tick: u64) -> Option<Proof> {
        let head = self.head_at(tree, tick)?;
        let leaf = self.leaves.get(usize::try_from(tick).ok()?)?;
        let slot = u64::from(tree.checked_sub(1)?);
        let blinding = anchor::blinding(&self.anchor_key, slot, tick);
        Some(Proof {
            head,
            index,
            tree_path: self.tree(tree)?.tree.inclusion(index, head.size)?,
            slot,
            slots: leaf.slots,
            blind: anchor::blind(&blinding),
            head_path: self.slots_tree(tick).inclusion(slot, leaf.slots)?,
            heads: leaf.heads,
            tick,
            time: leaf.time,
            anchor_path: self.anchor.inclusion(tick, tick + 1)?,
            anchor_size: tick + 1,
            anchor_root: self.anchor.root_at(tick + 1)?,
        })
    }

    /// That a tree at `new` leaves begins with its `old` leaves.
    #[must_use]
    pub fn consistency(&self, tree: TreeNo, old: u64, new: u64) -> Option<Vec<Digest>> {
        self.tree(tree)?.tree.consistency(old, new)
    }

    /// That the anchor at `new` leaves begins with its `old` leaves.
    #[must_use]
    pub fn anchor_consistency(&self, old: u64, new: u64) -> Option<Vec<Digest>> {
        self.anchor.consistency(old, new)
    }

    /// Time, number of slots and root over the heads of that tick; leaf 0 of a successor has none.
    #[must_use]
    pub fn anchor_leaf(&self, tick: u64) -> Option<(u64, u64, Digest)> {
        let leaf = self.leaves.get(usize::try_from(tick).ok()?).filter(|leaf| leaf.slots > 0)?;
        Some((leaf.time, leaf.slots, leaf.heads))
    }

    /// The path from the leaf of that tick to the root of the first `size` leaves.
    #[must_use]
    pub fn anchor_inclusion(&self, tick: u64, size: u64) -> Option<Vec<Digest>> {
        self.anchor.inclusion(tick, size)
    }

    /// The checkpoint made at that tick, to be signed after the frame is durable.
    #[must_use]
    pub fn checkpoint(&self, origin: &str, tick: u64) -> Option<Checkpoint> {
        let size = tick.checked_add(1)?;
        let root = self.anchor.root_at(size)?;
        Some(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// The state of all trees and of the anchor, for the first frame of a segment.
    #[must_use]
    pub fn state(&self) -> Vec<TreeState> {
        let mut states: Vec<TreeState> = (1..)
            .zip(&self.trees)
            .map(|(tree, grown)| TreeState {
                tree,
                id: grown.id,
                size: grown.tree.size(),
                frontier: grown.tree.frontier(),
            })
            .collect();
        let mut id = [0; 16];
        id.iter_mut().zip(self.log_id().unwrap_or_default()).for_each(|(to, from)| *to = from);
        states.push(TreeState {
            tree: ANCHOR,
            id,
            size: self.anchor.size(),
            frontier: self.anchor.frontier(),
        });
        states
    }

    fn slots_tree(&self, tick: u64) -> Cow<'_, Tree> {
        let kept = self.slots.iter().find(|(at, _)| *at == tick);
        kept.map_or_else(|| Cow::Owned(self.hashed_slots(tick)), |(_, tree)| Cow::Borrowed(tree))
    }

    fn hashed_slots(&self, tick: u64) -> Tree {
        let heads = self.trees.iter().map(|grown| grown.head_at(tick));
        anchor::slots_tree(&self.anchor_key, tick, heads)
    }

    fn tree(&self, number: TreeNo) -> Option<&Growing> {
        self.trees.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    fn tree_mut(&mut self, number: TreeNo) -> Result<&mut Growing, Problem> {
        let at = number.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        at.and_then(|at| self.trees.get_mut(at))
            .ok_or_else(|| inconsistent("an entry names a tree that was not opened"))
    }
}

/// The log contradicts itself.
pub(crate) fn inconsistent(why: &str) -> Problem {
    Problem::new(codes::STORE_DAMAGED, format!("the log contradicts itself: {why}"))
        .hint("nothing was changed; restore the directory from a copy")
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, Forest};
    use crate::frame::{Opens, Tick};
    use crate::log::Place;
    use twinpact_proof::anchor::{anchor_leaf, head_leaf};
    use twinpact_proof::tree::root_from_inclusion;

    const HERE: (Place, u32) = (Place { segment: 1, offset: 0 }, 0);

    fn forest() -> Forest {
        let mut forest = Forest::new([7; 32]);
        (1..=3).for_each(|tree| forest.open(Opens { tree, id: [tree as u8; 16] }).unwrap());
        for tick in 0..5u64 {
            for _ in 0..=tick {
                forest.append(EVENTS, &[tick as u8; 32], HERE).unwrap();
            }
            forest.append(3, &[9; 32], HERE).unwrap();
            assert!(forest.changed());
            forest.tick(Tick { number: tick, time: tick * 1000 }).unwrap();
            assert!(!forest.changed());
        }
        forest
    }

    #[test]
    fn every_entry_is_proven_at_every_later_tick() {
        let forest = forest();
        for tree in [EVENTS, 3] {
            for index in 0..forest.size(tree) {
                let first = forest.tick_of(tree, index).unwrap();
                let covers = |tick| forest.head_at(tree, tick).is_some_and(|h| h.size > index);
                assert_eq!((0..forest.ticks()).find(|tick| covers(*tick)), Some(first));
                for tick in first..forest.ticks() {
                    let proof = forest.prove(tree, index, tick).unwrap();
                    let leaf = forest.leaf(tree, index).unwrap();
                    let root = root_from_inclusion(&leaf, index, proof.head.size, &proof.tree_path);
                    assert_eq!(root, Some(proof.head.root));
                    let head = head_leaf(tick, proof.slot, &proof.head, &proof.blind);
                    let heads =
                        root_from_inclusion(&head, proof.slot, proof.slots, &proof.head_path);
                    assert_eq!(heads, Some(proof.heads));
                    let anchor = anchor_leaf(tick, proof.time, proof.slots, &proof.heads);
                    let root =
                        root_from_inclusion(&anchor, tick, proof.anchor_size, &proof.anchor_path);
                    assert_eq!(root, Some(proof.anchor_root));
                }
                assert!(first == 0 || forest.prove(tree, index, first - 1).is_none());
            }
        }
        assert_eq!(forest.head_at(2, 4).map(|h| h.size), Some(0));
        assert!(forest.prove(EVENTS, 0, 5).is_none());
    }

    #[test]
    fn gaps_are_damage() {
        let mut forest = forest();
        assert!(forest.open(Opens { tree: 5, id: [0; 16] }).is_err());
        assert!(forest.append(9, &[0; 32], HERE).is_err());
        assert!(forest.append(0, &[0; 32], HERE).is_err());
        assert!(forest.tick(Tick { number: 7, time: 0 }).is_err());
    }
}
