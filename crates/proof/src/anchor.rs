//! The anchor: one leaf a tick over the blinded heads of all trees, each in its fixed slot.
//!
//! The slot makes a second head of one tree impossible to hide; the blinding, fresh for each tick,
//! keeps a partner from seeing in its path whether its neighbour was active (docs/format.md).

use crate::cbor::Writer;
use crate::digest::Digest;
use crate::mac::MacKey;
use crate::tree::{Tree, leaf_hash};

/// The fewest slots of an anchor leaf.
pub const MIN_SLOTS: u64 = 64;
/// The most slots of an anchor leaf, 2^24: a bound for what is hashed and how long a path is.
pub const MAX_SLOTS: u64 = 1 << 24;

/// The random id of a tree.
pub type TreeId = [u8; 16];

/// The slot of the tree of events.
pub const SLOT_EVENTS: u64 = 0;
/// The slot of the tree of decisions.
pub const SLOT_DECISIONS: u64 = 1;
/// The first slot of a ledger.
pub const FIRST_LEDGER_SLOT: u64 = 2;

/// The head of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The tree.
    pub tree: TreeId,
    /// How many leaves it has.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// The leaf of an entry: all that is public of it.
#[must_use]
pub fn entry_leaf(tree: &TreeId, index: u64, pc: &Digest) -> Digest {
    leaf_hash(&Writer::array(4).text("twinpact-e/1").bytes(tree).uint(index).bytes(pc).done())
}

/// HMAC-SHA-256 under the anchor key over `[slot, tick]`: what stands in an unused slot, and whose
/// first 16 bytes blind a used one.
#[must_use]
pub fn blinding(anchor_key: &[u8; 32], slot: u64, tick: u64) -> Digest {
    MacKey::new(anchor_key).mac(Writer::array(2).uint(slot).uint(tick).written())
}

/// The first 16 bytes of a blinding.
#[must_use]
pub fn blind(blinding: &Digest) -> [u8; 16] {
    blinding.first_chunk::<16>().copied().unwrap_or_default()
}

/// The hash of a used slot.
#[must_use]
pub fn head_leaf(tick: u64, slot: u64, head: &Head, blind: &[u8; 16]) -> Digest {
    leaf_hash(head_of(head_begun(tick), slot, head, blind).written())
}

/// What the bytes of all heads of a tick begin with.
fn head_begun(tick: u64) -> Writer {
    Writer::array(7).text("twinpact-h/1").uint(tick)
}

fn head_of(begun: Writer, slot: u64, head: &Head, blind: &[u8; 16]) -> Writer {
    begun.uint(slot).bytes(&head.tree).uint(head.size).bytes(&head.root).bytes(blind)
}

/// The anchor leaf of a tick; `time` is in microseconds since 1970.
#[must_use]
pub fn anchor_leaf(tick: u64, time: u64, slots: u64, heads: &Digest) -> Digest {
    let bytes =
        Writer::array(5).text("twinpact-a/1").uint(tick).uint(time).uint(slots).bytes(heads).done();
    leaf_hash(&bytes)
}

/// The tree over all slots at one tick, from the head in each slot, if any is there.
#[must_use]
pub fn slots_tree(
    anchor_key: &[u8; 32],
    tick: u64,
    heads: impl ExactSizeIterator<Item = Option<Head>>,
) -> Tree {
    let count = slot_count(heads.len() as u64);
    let (mut tree, anchor_key) = (Tree::with_room(count), MacKey::new(anchor_key));
    // There are many slots, and all are hashed: in the same memory.
    let (mut place, mut bytes) = (Writer::with_room(32), head_begun(tick));
    let begun = bytes.written().len();
    for (slot, head) in (0..count).zip(heads.chain(std::iter::repeat(None))) {
        place = place.restart(2).uint(slot).uint(tick);
        let blinding = anchor_key.mac(place.written());
        tree.append(match head {
            Some(head) => {
                bytes = head_of(bytes.back_to(begun), slot, &head, &blind(&blinding));
                leaf_hash(bytes.written())
            }
            None => blinding,
        });
    }
    tree
}

/// How many slots an anchor leaf has when so many are used: the next power of two, at least
/// [`MIN_SLOTS`].
#[must_use]
pub fn slot_count(used: u64) -> u64 {
    used.max(MIN_SLOTS).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::{Head, anchor_leaf, blind, blinding, head_leaf, slot_count, slots_tree};
    use crate::tree::root_from_inclusion;

    #[test]
    fn a_head_is_found_in_its_slot_only() {
        let key = [5; 32];
        let head = Head { tree: [1; 16], size: 3, root: [2; 32] };
        let tree = slots_tree(&key, 9, [Some(head), None, Some(head)].into_iter());
        assert_eq!(tree.size(), 64);
        let path = tree.inclusion(2, 64).unwrap();
        let blinding = blinding(&key, 2, 9);
        let leaf = head_leaf(9, 2, &head, &blind(&blinding));
        assert_eq!(root_from_inclusion(&leaf, 2, 64, &path), Some(tree.root()));
        // The same head cannot be shown at another slot or another tick.
        let leaf = head_leaf(9, 0, &head, &blind(&blinding));
        assert_ne!(root_from_inclusion(&leaf, 2, 64, &path), Some(tree.root()));
        assert_ne!(
            tree.root(),
            slots_tree(&key, 10, [Some(head), None, Some(head)].into_iter()).root()
        );
    }

    #[test]
    fn slots_grow_by_doubling() {
        for (used, count) in [(0, 64), (64, 64), (65, 128), (1000, 1024)] {
            assert_eq!(slot_count(used), count);
        }
        assert_ne!(anchor_leaf(0, 0, 64, &[0; 32]), anchor_leaf(0, 0, 128, &[0; 32]));
    }
}
