//! Merkle trees (RFC 6962 §2.1, RFC 9162 §2.1): append-only, with inclusion and consistency proofs.
//!
//! [`Tree`] keeps the hash of every full subtree, 64 bytes a leaf, so that the root and any proof
//! of any earlier size cost a logarithm. The verifying half takes values only.

use crate::digest::{Digest, sha256, sha256_parts};

/// The most hashes that a path may have: a tree has fewer than 2^63 leaves.
pub const MAX_PATH: usize = 63;

/// The hash of a leaf: SHA-256 over `0x00` and its bytes.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    sha256_parts(&[&[0], bytes])
}

/// The hash of an inner node: SHA-256 over `0x01`, left and right.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256_parts(&[&[1], left, right])
}

/// The root of the empty tree.
#[must_use]
pub fn empty_root() -> Digest {
    sha256(b"")
}

/// An append-only tree over leaf hashes.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// `levels[l][i]` is the root of leaves `i·2^l .. (i+1)·2^l`.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// An empty tree with memory for so many leaves.
    pub(crate) fn with_room(leaves: u64) -> Tree {
        let rooms = (0..64).map(|level| leaves >> level).take_while(|count| *count > 0);
        let row = |count| Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        Tree { levels: rooms.map(row).collect() }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Adds a leaf hash at the end.
    pub fn append(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(hash);
            if row.len() % 2 == 1 {
                return;
            }
            let Some([left, right]) = row.last_chunk::<2>() else { return };
            hash = node_hash(left, right);
        }
    }

    /// The hash of the leaf at that position.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<Digest> {
        self.full(0, index)
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root_at(self.size()).unwrap_or_else(empty_root)
    }

    /// The root over the first `size` leaves; `None` when there are fewer.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        match size {
            0 => Some(empty_root()),
            n if n <= self.size() => self.range(0, n),
            _ => None,
        }
    }

    /// The roots of the full subtrees that make up the tree, largest first.
    #[must_use]
    pub fn frontier(&self) -> Vec<Digest> {
        let size = self.size();
        (0..64)
            .rev()
            .filter(|level| size >> level & 1 == 1)
            .filter_map(|level| self.full(level, (size >> level) - 1))
            .collect()
    }

    /// The path that shows leaf `index` under the root of the first `size` leaves.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Digest>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut start, mut length, mut path) = (0, size, Vec::new());
        while length > 1 {
            let left = split(length);
            if index - start < left {
                path.push(self.range(start + left, length - left)?);
                length = left;
            } else {
                path.push(self.range(start, left)?);
                start += left;
                length -= left;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the first `old` leaves of the first `new` are what they were (RFC 6962
    /// §2.1.2).
    #[must_use]
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Digest>> {
        if old > new || new > self.size() {
            return None;
        }
        let mut proof = Vec::new();
        if old > 0 && old < new {
            self.subproof(old, 0, new, true, &mut proof)?;
        }
        Some(proof)
    }

    fn subproof(
        &self,
        old: u64,
        start: u64,
        length: u64,
        whole: bool,
        proof: &mut Vec<Digest>,
    ) -> Option<()> {
        if old == length {
            if !whole {
                proof.push(self.range(start, length)?);
            }
            return Some(());
        }
        let left = split(length);
        if old <= left {
            self.subproof(old, start, left, whole, proof)?;
            proof.push(self.range(start + left, length - left)?);
        } else {
            self.subproof(old - left, start + left, length - left, false, proof)?;
            proof.push(self.range(start, left)?);
        }
        Some(())
    }

    /// The root over `length` leaves from `start`, which is a multiple of the largest power of two
    /// below `length`.
    fn range(&self, start: u64, length: u64) -> Option<Digest> {
        if length.is_power_of_two() && start.is_multiple_of(length) {
            return self.full(length.trailing_zeros(), start / length);
        }
        let left = split(length);
        Some(node_hash(&self.range(start, left)?, &self.range(start + left, length - left)?))
    }

    fn full(&self, level: u32, index: u64) -> Option<Digest> {
        self.levels.get(level as usize)?.get(usize::try_from(index).ok()?).copied()
    }
}

/// The largest power of two below `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (63 - length.saturating_sub(1).max(1).leading_zeros())
}

/// The root that this path makes of the leaf at `index` of `size`; `None` when the path does not
/// have the length that it must have.
#[must_use]
pub fn root_from_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
) -> Option<Digest> {
    if index >= size || path.len() > MAX_PATH {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Whether `proof` shows that the tree of `new` leaves with `new_root` begins with the `old` leaves
/// under `old_root` (RFC 9162 §2.1.4.2).
#[must_use]
pub fn consistent(
    old: u64,
    old_root: &Digest,
    new: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> bool {
    if old == new {
        return old_root == new_root && proof.is_empty();
    }
    if old == 0 {
        return *old_root == empty_root() && proof.is_empty();
    }
    old < new && proof.len() <= 2 * MAX_PATH && walk(old, old_root, new, new_root, proof).is_some()
}

fn walk(old: u64, old_root: &Digest, new: u64, new_root: &Digest, proof: &[Digest]) -> Option<()> {
    let (mut node, mut last) = (old - 1, new - 1);
    while node % 2 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let mut rest = proof.iter();
    let first = if old.is_power_of_two() { old_root } else { rest.next()? };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return None;
        }
        if node % 2 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0 && old_hash == *old_root && new_hash == *new_root).then_some(())
}

#[cfg(test)]
mod tests {
    use super::{Tree, consistent, empty_root, leaf_hash, node_hash, root_from_inclusion};
    use crate::digest::{Digest, to_hex};

    fn tree(n: u64) -> Tree {
        let mut tree = Tree::default();
        (0..n).for_each(|i| tree.append(leaf_hash(&i.to_be_bytes())));
        tree
    }

    /// RFC 6962 §2.1, word for word, as the second opinion.
    fn slow_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&slow_root(&leaves[..k]), &slow_root(&leaves[k..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        let full = tree(70);
        let leaves: Vec<Digest> = (0..70).map(|i| full.leaf(i).unwrap()).collect();
        for n in 0..=70usize {
            assert_eq!(full.root_at(n as u64), Some(slow_root(&leaves[..n])), "{n}");
        }
        assert_eq!(full.root_at(71), None);
    }

    #[test]
    fn the_vector_of_the_certificate_transparency_tests() {
        let mut tree = Tree::default();
        for leaf in [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ] {
            let bytes: Vec<u8> = (0..leaf.len() / 2)
                .map(|i| u8::from_str_radix(&leaf[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            tree.append(leaf_hash(&bytes));
        }
        assert_eq!(
            to_hex(&tree.root()),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    #[test]
    fn every_inclusion_holds_and_no_other() {
        let full = tree(40);
        for size in 1..=40 {
            let root = full.root_at(size).unwrap();
            for index in 0..size {
                let path = full.inclusion(index, size).unwrap();
                let leaf = full.leaf(index).unwrap();
                assert_eq!(root_from_inclusion(&leaf, index, size, &path), Some(root));
                let mut longer = path.clone();
                longer.push([0; 32]);
                assert_ne!(root_from_inclusion(&leaf, index, size, &longer), Some(root));
                if let Some((_, shorter)) = path.split_last() {
                    assert_ne!(root_from_inclusion(&leaf, index, size, shorter), Some(root));
                }
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(root_from_inclusion(&leaf, other, size, &path), Some(root));
                }
            }
            assert_eq!(full.inclusion(size, size), None);
        }
    }

    #[test]
    fn every_consistency_holds_and_no_other() {
        let full = tree(40);
        for new in 0..=40 {
            let new_root = full.root_at(new).unwrap();
            for old in 0..=new {
                let old_root = full.root_at(old).unwrap();
                let proof = full.consistency(old, new).unwrap();
                assert!(consistent(old, &old_root, new, &new_root, &proof), "{old} {new}");
                assert!(!consistent(old, &[9; 32], new, &new_root, &proof), "{old} {new}");
                if old > 0 {
                    assert!(!consistent(old, &old_root, new, &[9; 32], &proof), "{old} {new}");
                }
                let mut longer = proof.clone();
                longer.push([0; 32]);
                assert!(!consistent(old, &old_root, new, &new_root, &longer), "{old} {new}");
            }
        }
        assert_eq!(full.consistency(5, 41), None);
    }

    #[test]
    fn the_frontier_makes_the_root() {
        for n in 1..70 {
            let tree = tree(n);
            let frontier = tree.frontier();
            let (last, rest) = frontier.split_last().unwrap();
            let root = rest.iter().rev().fold(*last, |acc, left| node_hash(left, &acc));
            assert_eq!(root, tree.root(), "{n}");
        }
    }
}
