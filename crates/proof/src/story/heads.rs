//! What many bundles show of each log, held against each other: two that contradict one another
//! convict the log, though each holds by itself (`docs/format.md`, Forks).

use crate::anchor::TreeId;
use crate::digest::Digest;
use crate::fork::Seen;
use std::collections::BTreeMap;

/// What was seen of one log, with the file that showed it first.
#[derive(Debug, Default)]
struct Log<'s> {
    roots: BTreeMap<u64, (Digest, &'s str)>,
    leaves: BTreeMap<u64, (Digest, &'s str)>,
    slots: BTreeMap<u64, (TreeId, &'s str)>,
    trees: BTreeMap<TreeId, (u64, &'s str)>,
    tree_roots: BTreeMap<(TreeId, u64), (Digest, &'s str)>,
    sizes: BTreeMap<(TreeId, u64), (u64, &'s str)>,
}

/// The logs that keep two histories, each with the two files that show it.
pub(super) fn forked(seen: &[(String, Seen)]) -> BTreeMap<String, [String; 2]> {
    let mut logs: BTreeMap<&str, Log<'_>> = BTreeMap::new();
    let mut forked: BTreeMap<String, [String; 2]> = BTreeMap::new();
    let mut found = |origin: &str, one: &str, two: &str| {
        forked.entry(origin.to_owned()).or_insert_with(|| [one.to_owned(), two.to_owned()]);
    };
    for (file, seen) in seen {
        if let Some(other) = logs.entry(&seen.origin).or_default().take(file, seen) {
            found(&seen.origin, other, file);
        }
    }
    for (origin, log) in &logs {
        if let Some((one, two)) = log.shrinks() {
            found(origin, one, two);
        }
    }
    forked
}

/// Keeps what is shown first; the file that showed another before, if one did.
fn first<'s, K: Ord, V: PartialEq>(
    map: &mut BTreeMap<K, (V, &'s str)>,
    key: K,
    value: V,
    file: &'s str,
) -> Option<&'s str> {
    match map.get(&key) {
        Some((known, other)) => (*known != value).then_some(*other),
        None => {
            map.insert(key, (value, file));
            None
        }
    }
}

impl<'s> Log<'s> {
    fn take(&mut self, file: &'s str, seen: &Seen) -> Option<&'s str> {
        let (tree, tick, size) = (seen.tree, seen.tick, seen.tree_size);
        [
            first(&mut self.roots, seen.size, seen.root, file),
            first(&mut self.leaves, tick, seen.anchor_leaf, file),
            first(&mut self.slots, seen.slot, tree, file),
            first(&mut self.trees, tree, seen.slot, file),
            first(&mut self.tree_roots, (tree, size), seen.tree_root, file),
            first(&mut self.sizes, (tree, tick), size, file),
        ]
        .into_iter()
        .find_map(|other| other)
    }

    /// A tree that is smaller at a later tick.
    fn shrinks(&self) -> Option<(&'s str, &'s str)> {
        let mut steps = self.sizes.iter().zip(self.sizes.iter().skip(1));
        steps.find_map(|(((tree, _), (before, one)), ((same, _), (after, two)))| {
            (tree == same && after < before).then_some((*one, *two))
        })
    }
}
