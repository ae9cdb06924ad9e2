//! What came under which source and id, of every fact that stands: so it is kept small.
//!
//! Nearly every id stands for one fact. The others, rows of one id, have a table of their own. What
//! is corrected is not in it: nothing is compared with it again, and a source that gives all its
//! events one id costs no more than another. A twin is meant by the number of the event that made
//! it.

use std::collections::BTreeSet;
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

/// Where a fact lies. Those of one twin stand in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spot {
    /// The number of its twin.
    pub(crate) twin: u32,
    /// Its position among the facts of the twin.
    pub(crate) fact: u32,
}

/// The facts of each key that stand, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    first: HashMap<IdempotencyKey, Spot, BuildHasherDefault<Front>>,
    more: HashMap<IdempotencyKey, BTreeSet<Spot>, BuildHasherDefault<Front>>,
}

impl Seen {
    /// Remembers one more fact of a key, and forgets the one that it corrects.
    pub(crate) fn push(&mut self, key: IdempotencyKey, spot: Spot, corrected: Option<Spot>) {
        let mut first = match self.first.entry(key) {
            Entry::Occupied(first) => first,
            Entry::Vacant(free) => {
                free.insert(spot);
                return;
            }
        };
        let mut all = self.more.remove(&key).unwrap_or_default();
        all.extend([*first.get(), spot]);
        corrected.map(|old| all.remove(&old));
        // At least the new one stands.
        all.pop_first().map(|least| first.insert(least));
        if !all.is_empty() {
            self.more.insert(key, all);
        }
    }

    /// Forgets a twin: what is left is as if its facts had never come.
    pub(crate) fn forget(&mut self, twin: u32) {
        let of_twin = |spot: &Spot| spot.twin == twin;
        self.more.retain(|_, all| {
            all.retain(|spot| !of_twin(spot));
            !all.is_empty()
        });
        let more = &mut self.more;
        self.first.retain(|key, first| {
            if !of_twin(first) {
                return true;
            }
            let Entry::Occupied(mut rest) = more.entry(*key) else { return false };
            let next = rest.get_mut().pop_first();
            if rest.get().is_empty() {
                rest.remove();
            }
            next.map(|spot| *first = spot).is_some()
        });
    }

    /// Every key with its facts, in no order of the keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = (IdempotencyKey, Vec<Spot>)> {
        let more = |key| self.more.get(key).into_iter().flatten();
        self.first.iter().map(move |(key, first)| {
            (*key, std::iter::once(first).chain(more(key)).copied().collect())
        })
    }

    /// The facts of a key that are about the twin of that number. More than one batch can have of
    /// one twin never stand, since each of the next batch corrects one of them.
    pub(crate) fn of(&self, key: IdempotencyKey, twin: u32) -> impl Iterator<Item = Spot> {
        let first = self.first.get(&key);
        // Only a key with a first fact can have more.
        let more = first.and_then(|_| self.more.get(&key));
        let range = Spot { twin, fact: 0 }..=Spot { twin, fact: u32::MAX };
        let more = more.into_iter().flat_map(move |more| more.range(range.clone()));
        first.filter(|spot| spot.twin == twin).into_iter().chain(more).copied()
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
        fn facts_of_a_key_that_stand_come_in_order(
            pushed in proptest::collection::vec((0u8..2, 0u8..2, 0u32..3, 0usize..4), 0..60),
        ) {
            let mut seen = Seen::default();
            let mut lists: BTreeMap<(u8, u8), Vec<Spot>> = BTreeMap::new();
            let key = |(front, back): (u8, u8)| {
                let mut digest = [0; 32];
                (digest[0], digest[15]) = (front, back);
                IdempotencyKey::of(&digest)
            };
            for (fact, (front, back, twin, corrects)) in (0u32..).zip(pushed) {
                let (pair, spot) = ((front, back), Spot { twin, fact });
                let list = lists.entry(pair).or_default();
                // One of those that stand, or none.
                let old = (corrects < list.len()).then(|| list.remove(corrects));
                seen.push(key(pair), spot, old);
                list.push(spot);
            }
            for pair in (0..2).flat_map(|a| (0..2).map(move |b| (a, b))) {
                let list = lists.remove(&pair).unwrap_or_default();
                for twin in 0..3 {
                    let of: Vec<Spot> = seen.of(key(pair), twin).collect();
                    let expect = list.iter().filter(|spot| spot.twin == twin).copied();
                    prop_assert_eq!(of, expect.collect::<Vec<_>>());
                }
                let known = seen.all().find(|(one, _)| *one == key(pair));
                prop_assert_eq!(known.map_or(0, |(_, all)| all.len()), list.len());
            }
        }
    }
}
