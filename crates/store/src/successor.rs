//! The part of a frame that opens a successor log in the same directory: its id, and every log that
//! it comes after (docs/format.md, "Successor").

use crate::bytes::{Put, Take};
use twinpact_proof::fields::MAX_TEXT_BYTES;
use twinpact_proof::successor::{LogId, MAX_PREDECESSORS, MAX_REASON_BYTES, Predecessor};

/// The most bytes of it in a frame: log id, a number, and of each predecessor origin, size, root
/// and reason.
pub(crate) const SUCCESSOR_BYTES: usize =
    8 + 4 + MAX_PREDECESSORS * (4 + MAX_TEXT_BYTES + 8 + 32 + 4 + MAX_REASON_BYTES);

/// A log that comes after others in the same directory. The trees stay; the anchor begins again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its random id.
    pub log: LogId,
    /// The logs before it, the newest last; at least one.
    pub predecessors: Vec<Predecessor>,
}

impl Successor {
    pub(crate) fn encode(&self, put: &mut Put) {
        put.raw(&self.log);
        put.u32(u32::try_from(self.predecessors.len()).unwrap_or(u32::MAX));
        for one in &self.predecessors {
            put.block(one.origin.as_bytes());
            put.u64(one.size);
            put.raw(&one.root);
            put.block(one.reason.as_bytes());
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Option<Successor> {
        let (log, count) = (take.array()?, take.u32()?);
        let text = |take: &mut Take<'_>, max: usize| {
            let bytes = take.block().filter(|bytes| bytes.len() <= max)?;
            String::from_utf8(bytes.to_vec()).ok()
        };
        let mut predecessors = Vec::new();
        for _ in 0..count {
            predecessors.push(Predecessor {
                origin: text(take, MAX_TEXT_BYTES)?,
                size: take.u64()?,
                root: take.array()?,
                reason: text(take, MAX_REASON_BYTES)?,
            });
        }
        (1..=MAX_PREDECESSORS)
            .contains(&predecessors.len())
            .then_some(Successor { log, predecessors })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        MAX_PREDECESSORS, MAX_REASON_BYTES, MAX_TEXT_BYTES, Predecessor, Put, SUCCESSOR_BYTES,
        Successor, Take,
    };
    use crate::directory::{CONFIG_FILE, Directory};
    use crate::forest::EVENTS;
    use crate::log::without_room;
    use crate::vfs::RealDisk;
    use crate::{Draft, Store, Subject};
    use std::path::Path;
    use std::sync::Arc;
    use twinpact_model::entry::{Entry, Kind, When, Who, Why};
    use twinpact_model::{Did, Timestamp};
    use twinpact_proof::anchor::{anchor_leaf, head_leaf};
    use twinpact_proof::tree::root_from_inclusion;

    const ORIGIN: &str = "operator.example/twinpact/1";

    fn did() -> Did {
        Did::new("did:web:operator.example").unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_000)
    }

    fn create(path: &Path) -> Store {
        let directory = Directory::create(Arc::new(RealDisk), path).unwrap();
        std::fs::write(path.join(CONFIG_FILE), "").unwrap();
        Store::create(directory, &did(), now()).unwrap()
    }

    /// The store, how many entries it replayed, and whether a torn tail was cut.
    fn reopen(path: &Path) -> (Store, usize, bool) {
        let directory = Directory::open(Arc::new(RealDisk), path).unwrap();
        let mut entries = 0;
        let (store, cut) = Store::open(directory, &did(), |_, _| {
            entries += 1;
            Ok(())
        })
        .unwrap();
        (store, entries, cut.is_some())
    }

    fn append(store: &mut Store, tick: bool) {
        let who = Who::no_twin(Kind::ModelPut, "local");
        let (when, why) = (When::default(), Why::default());
        let draft = Draft {
            tree: EVENTS,
            subject: Subject::Node,
            class: "control".into(),
            day: 3,
            entry: Entry { who, when, why, what: Vec::new() },
            items: None,
        };
        store.stage(vec![draft]).unwrap();
        store.commit(tick.then(now), now()).unwrap();
    }

    /// What a log was when it was given up.
    fn last(store: &Store) -> Predecessor {
        let ticks = store.forest().ticks();
        let root = store.forest().checkpoint(ORIGIN, ticks - 1).unwrap().root;
        Predecessor { origin: ORIGIN.into(), size: ticks, root, reason: "restored".into() }
    }

    /// Every entry of the tree of events is proven at the latest tick, and none at tick 0.
    fn check_proofs(store: &Store) {
        let forest = store.forest();
        let tick = forest.ticks() - 1;
        for index in 0..forest.size(EVENTS) {
            let proof = forest.prove(EVENTS, index, tick).unwrap();
            let leaf = forest.leaf(EVENTS, index).unwrap();
            let root = root_from_inclusion(&leaf, index, proof.head.size, &proof.tree_path);
            assert_eq!(root, Some(proof.head.root));
            let head = head_leaf(tick, proof.slot, &proof.head, &proof.blind);
            let heads = root_from_inclusion(&head, proof.slot, proof.slots, &proof.head_path);
            assert_eq!(heads, Some(proof.heads));
            let leaf = anchor_leaf(tick, proof.time, proof.slots, &proof.heads);
            let root = root_from_inclusion(&leaf, tick, proof.anchor_size, &proof.anchor_path);
            assert_eq!(root, Some(proof.anchor_root));
            assert!(forest.prove(EVENTS, index, 0).is_none());
        }
    }

    #[test]
    fn a_successor_survives_a_restart_in_any_segment() {
        for bytes in [u64::MAX, 6_000] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = create(dir.path());
            store.close_segments_at(bytes);
            (0..20).for_each(|n| append(&mut store, n % 3 == 0));
            let first = last(&store);
            assert_eq!((store.forest().log_id(), store.forest().predecessors()), (None, &[][..]));
            store.succeed(vec![first.clone()], Vec::new(), now()).unwrap();
            let id = store.forest().log_id().unwrap();
            assert!(store.forest().changed() && store.forest().ticks() == 1);
            let leaf = store.forest().checkpoint("x", 0).unwrap().root;
            assert_eq!(leaf, first.leaf());
            (0..20).for_each(|n| append(&mut store, n % 3 == 0));
            assert_eq!(store.forest().ticks(), 8);
            let state = store.forest().state();
            drop(store);
            let (mut store, entries, cut) = reopen(dir.path());
            assert!(entries == 40 && !cut);
            assert_eq!(store.forest().state(), state);
            assert_eq!(store.forest().log_id(), Some(id));
            assert_eq!(store.forest().predecessors(), std::slice::from_ref(&first));
            append(&mut store, true);
            check_proofs(&store);
            // Once more: another id, and the list is what is given.
            let second = Predecessor { origin: "x".into(), ..last(&store) };
            store.succeed(vec![first, second], Vec::new(), now()).unwrap();
            assert_ne!(store.forest().log_id(), Some(id));
            append(&mut store, true);
            drop(store);
            let (store, entries, _) = reopen(dir.path());
            assert_eq!((entries, store.forest().predecessors().len()), (42, 2));
            check_proofs(&store);
        }
    }

    #[test]
    fn the_slots_of_a_successor_are_blinded_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = create(dir.path());
        (0..3).for_each(|_| append(&mut store, true));
        let before = store.forest().prove(EVENTS, 0, 1).unwrap();
        store.succeed(vec![last(&store)], Vec::new(), now()).unwrap();
        append(&mut store, true);
        let after = store.forest().prove(EVENTS, 0, 1).unwrap();
        assert_ne!(after.blind, before.blind);
        // The neighbour, which is empty at both, looks another each time.
        assert_ne!(after.head_path.first(), before.head_path.first());
    }

    #[test]
    fn a_cut_leaves_the_log_before_or_the_one_after() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = create(dir.path());
        (0..3).for_each(|_| append(&mut store, true));
        let before = store.forest().state();
        let path = dir.path().join("log/0000000001.seg");
        let start = without_room(&path).len();
        store.succeed(vec![last(&store)], Vec::new(), now()).unwrap();
        let after = store.forest().state();
        drop(store);
        let good = without_room(&path);
        for (length, room) in (start..=good.len()).flat_map(|length| [(length, 0), (length, 500)]) {
            std::fs::write(&path, [&good[..length], &vec![0; room]].concat()).unwrap();
            let (store, entries, cut) = reopen(dir.path());
            // A frame of which nothing but its last zeros is missing is whole where there is room.
            let whole = length + room >= good.len() && good[length..].iter().all(|byte| *byte == 0);
            assert_eq!((entries, cut), (3, !whole && length > start), "cut at {length}");
            assert_eq!(store.forest().state(), if whole { after.clone() } else { before.clone() });
        }
    }

    #[test]
    fn a_successor_has_a_frame_of_its_own_and_a_log_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = create(dir.path());
        append(&mut store, true);
        let one = last(&store);
        let code = |store: &mut Store, all: Vec<Predecessor>| {
            store.succeed(all, Vec::new(), now()).err().map(|problem| problem.code.name)
        };
        assert_eq!(code(&mut store, Vec::new()), Some("internal"));
        let opens = store.new_tree().unwrap();
        store.stage_opening(Some(opens), Vec::new()).unwrap();
        assert_eq!(code(&mut store, vec![one.clone()]), Some("internal"));
        store.commit(None, now()).unwrap();
        assert_eq!(code(&mut store, vec![one]), None);
    }

    fn of(count: usize, origin: usize, reason: usize) -> Successor {
        let one = Predecessor {
            origin: "o".repeat(origin),
            size: 7,
            root: [3; 32],
            reason: "r".repeat(reason),
        };
        Successor { log: [9; 8], predecessors: vec![one; count] }
    }

    #[test]
    fn what_is_read_is_what_was_written_within_its_bounds() {
        let check = |successor: Successor, fits: bool| {
            let mut put = Put::default();
            successor.encode(&mut put);
            assert!(!fits || put.0.len() <= SUCCESSOR_BYTES);
            put.raw(b"more");
            let mut take = Take(&put.0);
            let read = Successor::decode(&mut take);
            assert_eq!(read, fits.then_some(successor));
            assert!(!fits || take.0 == b"more");
        };
        check(of(1, 1, 1), true);
        check(of(MAX_PREDECESSORS, MAX_TEXT_BYTES, MAX_REASON_BYTES), true);
        check(of(0, 1, 1), false);
        check(of(MAX_PREDECESSORS + 1, 1, 1), false);
        check(of(1, MAX_TEXT_BYTES + 1, 1), false);
        check(of(1, 1, MAX_REASON_BYTES + 1), false);
    }
}
