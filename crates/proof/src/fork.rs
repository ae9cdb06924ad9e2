//! Evidence that a log has shown two histories. Each of two proofs may hold by itself; together
//! they convict the key that signed both.

use crate::anchor::TreeId;
use crate::bundle::Bundle;
use crate::digest::{Digest, to_hex};
use crate::fields::shown;
use crate::note::Note;

/// What a proof shows of a log and of one tree in it; what a reader pins of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The log.
    pub origin: String,
    /// The size of its anchor.
    pub size: u64,
    /// The root of its anchor.
    pub root: Digest,
    /// The tick that the tree is shown at.
    pub tick: u64,
    /// The anchor leaf of that tick.
    pub anchor_leaf: Digest,
    /// The tree.
    pub tree: TreeId,
    /// Its slot.
    pub slot: u64,
    /// Its size.
    pub tree_size: u64,
    /// Its root.
    pub tree_root: Digest,
}

impl Seen {
    /// What this bundle shows; `None` when its checkpoint cannot be read. Verify the bundle first.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Option<Seen> {
        let checkpoint = Note::parse(&bundle.checkpoint)?.checkpoint;
        Some(Seen {
            origin: checkpoint.origin,
            size: checkpoint.size,
            root: checkpoint.root,
            tick: bundle.anchor.tick,
            anchor_leaf: bundle.anchor.leaf,
            tree: bundle.entry.tree,
            slot: bundle.head.slot,
            tree_size: bundle.tree.size,
            tree_root: bundle.tree.root,
        })
    }
}

/// One sentence that says how these two, both verified, contradict each other; `None` when they do
/// not.
#[must_use]
pub fn check_fork(a: &Seen, b: &Seen) -> Option<String> {
    if a.origin != b.origin {
        return None;
    }
    let origin = shown(&a.origin);
    if a.size == b.size && a.root != b.root {
        return Some(format!("the log {origin} has signed two checkpoints of size {}", a.size));
    }
    if a.tick == b.tick && a.anchor_leaf != b.anchor_leaf {
        return Some(format!("the log {origin} has two anchor leaves of tick {}", a.tick));
    }
    if a.tree != b.tree {
        let clash = a.slot == b.slot;
        return clash.then(|| format!("the log {origin} has two trees in slot {}", a.slot));
    }
    let tree = to_hex(&a.tree);
    if a.slot != b.slot {
        return Some(format!("the tree {tree} of {origin} stands in two slots"));
    }
    if a.tree_size == b.tree_size && a.tree_root != b.tree_root {
        let size = a.tree_size;
        return Some(format!("the tree {tree} of {origin} has two roots of size {size}"));
    }
    if a.tick == b.tick && a.tree_size != b.tree_size {
        return Some(format!("the tree {tree} of {origin} has two heads at tick {}", a.tick));
    }
    let later = if a.tick < b.tick { (a, b) } else { (b, a) };
    let shrunk = later.0.tree_size > later.1.tree_size;
    shrunk.then(|| format!("the tree {tree} of {origin} has become smaller between two ticks"))
}

#[cfg(test)]
mod tests {
    use super::{Seen, check_fork};

    fn seen() -> Seen {
        Seen {
            origin: "operator.example/twinpact/1".into(),
            size: 5,
            root: [1; 32],
            tick: 4,
            anchor_leaf: [2; 32],
            tree: [3; 16],
            slot: 2,
            tree_size: 7,
            tree_root: [4; 32],
        }
    }

    #[test]
    fn two_histories_are_told() {
        let check = |change: &dyn Fn(&mut Seen), expect: Option<&str>| {
            let mut other = seen();
            change(&mut other);
            for got in [check_fork(&seen(), &other), check_fork(&other, &seen())] {
                let told = got.as_deref();
                match expect {
                    None => assert_eq!(told, None),
                    Some(words) => assert!(told.is_some_and(|t| t.contains(words)), "{told:?}"),
                }
            }
        };
        check(&|_| {}, None);
        check(&|s| s.root = [9; 32], Some("two checkpoints of size 5"));
        check(&|s| s.anchor_leaf = [9; 32], Some("two anchor leaves of tick 4"));
        check(&|s| s.tree_root = [9; 32], Some("two roots of size 7"));
        check(&|s| s.tree_size = 8, Some("two heads at tick 4"));
        check(&|s| s.slot = 3, Some("two slots"));
        check(&|s| s.tree = [9; 16], Some("two trees in slot 2"));
        let later = |s: &mut Seen| (s.size, s.root, s.tick) = (9, [9; 32], 8);
        check(&|s| later(s), None);
        check(&|s| (later(s), s.tree_size = 6).0, Some("smaller"));
        check(&|s| s.origin = "maker.example/twinpact/1".into(), None);
    }
}
