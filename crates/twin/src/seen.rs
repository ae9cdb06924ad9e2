//! What came under which source and id, for every fact there ever was: so it is kept small.
//!
//! Nearly every id stands for one fact. The others, rows of one id and corrections, have a table of
//! their own. A twin is meant by its number, in the order in which twins were made.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use twinpact_proof::digest::Digest;

/// 128 bits that stand for (source, id at the source), under a key of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IdempotencyKey([u8; 16]);

impl IdempotencyKey {
    /// The front of the keyed digest of source and id.
    pub(crate) fn of(digest: &Digest) -> IdempotencyKey {
        IdempotencyKey(digest.first_chunk::<16>().copied().unwrap_or_default())
    }
}

impl Hash for IdempotencyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let front = self.0.first_chunk::<8>().copied().unwrap_or_default();
        state.write_u64(u64::from_le_bytes(front));
    }
}

/// The keys are digests under a secret key: nobody can choose them to collide, so their front is
/// their hash.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Front(u64);

impl Hasher for Front {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, front: u64) {
        self.0 = front;
    }
}

/// Where a fact lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The number of its twin.
    pub(crate) twin: u32,
    /// Its position among the facts of the twin.
    pub(crate) fact: u32,
}

/// The facts of each key, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    first: HashMap<IdempotencyKey, Spot, BuildHasherDefault<Front>>,
    more: HashMap<IdempotencyKey, Vec<Spot>, BuildHasherDefault<Front>>,
}

impl Seen {
    /// Remembers one more fact of a key.
    pub(crate) fn push(&mut self, key: IdempotencyKey, spot: Spot) {
        match self.first.entry(key) {
            Entry::Vacant(free) => {
                free.insert(spot);
            }
            Entry::Occupied(_) => self.more.entry(key).or_default().push(spot),
        }
    }

    /// Every key with its facts, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (IdempotencyKey, Vec<Spot>)> {
        self.first.keys().map(|key| (*key, self.of(key).collect()))
    }

    /// The facts of a key.
    pub(crate) fn of(&self, key: &IdempotencyKey) -> impl Iterator<Item = Spot> {
        let first = self.first.get(key);
        // Only a key with a first fact can have more.
        let more = first.and_then(|_| self.more.get(key)).map_or(&[][..], Vec::as_slice);
        first.into_iter().chain(more).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{IdempotencyKey, Seen, Spot};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// As a table of lists would, also for keys whose fronts are equal.
        #[test]
        fn facts_of_a_key_come_in_order(
            pushed in proptest::collection::vec((0u8..4, 0u8..4), 0..40),
        ) {
            let mut seen = Seen::default();
            let mut lists: BTreeMap<(u8, u8), Vec<Spot>> = BTreeMap::new();
            let key = |(front, back): (u8, u8)| {
                let mut digest = [0; 32];
                (digest[0], digest[15]) = (front, back);
                IdempotencyKey::of(&digest)
            };
            for (fact, pair) in (0u32..).zip(pushed) {
                let spot = Spot { twin: u32::from(pair.0), fact };
                seen.push(key(pair), spot);
                lists.entry(pair).or_default().push(spot);
            }
            for pair in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
                let list = lists.remove(&pair).unwrap_or_default();
                prop_assert_eq!(seen.of(&key(pair)).collect::<Vec<_>>(), list);
            }
        }
    }
}
