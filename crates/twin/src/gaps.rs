//! Which facts of a twin do not stand any more: positions, kept as runs, so that whoever looks for
//! those that stand passes over many corrected ones at once.

use std::collections::BTreeMap;
use std::iter::once;

/// Runs of positions, each by its first one with the one behind its last; none touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Gaps(BTreeMap<usize, usize>);

impl Gaps {
    /// Adds a position.
    pub(crate) fn add(&mut self, position: usize) {
        let before = self.0.range(..=position).next_back().map(|(first, end)| (*first, *end));
        let (first, end) = match before {
            Some((_, end)) if end > position => return,
            Some((first, end)) if end == position => (first, position + 1),
            _ => (position, position + 1),
        };
        let end = self.0.remove(&end).unwrap_or(end);
        self.0.insert(first, end);
    }

    /// The positions below that length that are in no run, in order.
    pub(crate) fn between(&self, length: usize) -> impl Iterator<Item = usize> {
        let begins = once(0).chain(self.0.values().copied());
        let ends = self.0.keys().copied().chain(once(length));
        begins.zip(ends).flat_map(|(begin, end)| begin..end)
    }
}

#[cfg(test)]
mod tests {
    use super::Gaps;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// As a set of positions would, and never two runs where one is enough.
        #[test]
        fn runs_are_a_set(added in proptest::collection::vec(0usize..30, 0..60)) {
            let (mut gaps, mut set) = (Gaps::default(), BTreeSet::new());
            for position in added {
                gaps.add(position);
                set.insert(position);
                let rest: Vec<usize> = (0..30).filter(|n| !set.contains(n)).collect();
                prop_assert_eq!(gaps.between(30).collect::<Vec<_>>(), rest);
                let starts = set.iter().filter(|n| **n == 0 || !set.contains(&(**n - 1)));
                prop_assert_eq!(gaps.0.len(), starts.count());
            }
        }
    }
}
