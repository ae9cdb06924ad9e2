//! How much one twin gives at each level of what drives it, learned from its own rows (the method
//! of bins, IEC 61400-12-1 §9.2, with medians: a standstill must not drag its bin down).

use crate::milli::{Milli, median};
use std::collections::{BTreeMap, VecDeque};
use twinpact_model::Timestamp;

/// The most bins of one curve; what drives a twin beyond them teaches nothing.
pub const MAX_BINS: usize = 256;
/// How many values a bin remembers; the oldest goes first, so that a curve follows its twin.
pub const MAX_BIN_VALUES: usize = 64;

/// A value, and from when on it may not be known any more.
type Value = (Milli, Option<Timestamp>);

/// The values that were seen, by bin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curve {
    bins: BTreeMap<i64, VecDeque<Value>>,
}

impl Curve {
    /// Takes in what the twin gave at that level, to be forgotten at that time.
    pub(crate) fn learn(&mut self, bin: i64, output: Milli, until: Option<Timestamp>) {
        if self.bins.len() >= MAX_BINS && !self.bins.contains_key(&bin) {
            return;
        }
        let values = self.bins.entry(bin).or_default();
        if values.len() >= MAX_BIN_VALUES {
            values.pop_front();
        }
        values.push_back((output, until));
    }

    /// The median of the bin and its two neighbours, when they hold at least so many values.
    #[must_use]
    pub fn at(&self, bin: i64, least: usize) -> Option<Milli> {
        let near = self.bins.range(bin.saturating_sub(1)..=bin.saturating_add(1));
        let values: Vec<Milli> = near.flat_map(|(_, values)| values).map(|value| value.0).collect();
        (values.len() >= least.max(1)).then(|| median(values)).flatten()
    }

    /// Each bin with the median of its own values, in order.
    pub fn medians(&self) -> impl Iterator<Item = (i64, Milli)> {
        let one = |(bin, values): (&i64, &VecDeque<Value>)| {
            median(values.iter().map(|value| value.0).collect()).map(|median| (*bin, median))
        };
        self.bins.iter().filter_map(one)
    }

    /// Forgets what may not be known any more at that time.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.bins.retain(|_, values| {
            values.retain(|(_, until)| until.is_none_or(|until| until > now));
            !values.is_empty()
        });
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Curve, MAX_BIN_VALUES, MAX_BINS, Milli};
    use twinpact_model::Timestamp;

    #[test]
    fn a_bin_and_its_neighbours_say_what_is_to_be_expected() {
        let mut curve = Curve::default();
        for (bin, output) in [(10, 100), (11, 300), (11, 200), (13, 900)] {
            curve.learn(bin, Milli(output), None);
        }
        for (bin, least, expect) in [
            (10, 3, Some(200)),
            (10, 4, None),
            (11, 0, Some(200)),
            (12, 3, Some(300)),
            (14, 1, Some(900)),
            (15, 0, None),
            (i64::MIN, 0, None),
            (i64::MAX, 0, None),
        ] {
            assert_eq!(curve.at(bin, least), expect.map(Milli), "{bin} {least}");
        }
        let medians: Vec<_> = curve.medians().map(|(bin, median)| (bin, median.0)).collect();
        assert_eq!(medians, [(10, 100), (11, 250), (13, 900)]);
    }

    #[test]
    fn a_curve_has_a_bound() {
        let mut curve = Curve::default();
        (0..=MAX_BINS as i64).for_each(|bin| curve.learn(bin, Milli(bin), None));
        assert_eq!(curve.medians().count(), MAX_BINS);
        (0..=MAX_BIN_VALUES as i64).for_each(|n| curve.learn(0, Milli(1_000 + n), None));
        let values = curve.bins.get(&0).unwrap();
        let ends = (values.len(), values.front().copied());
        assert_eq!(ends, (MAX_BIN_VALUES, Some((Milli(1_001), None))));
    }

    #[test]
    fn what_may_not_be_known_any_more_is_forgotten() {
        let mut curve = Curve::default();
        for (bin, output, until) in [(1, 10, Some(5)), (1, 20, Some(6)), (2, 30, Some(5))] {
            curve.learn(bin, Milli(output), until.map(Timestamp::from_seconds));
        }
        let mut check = |now: i64, expect: &[(i64, i64)]| {
            curve.forget(Timestamp::from_seconds(now));
            let known: Vec<_> = curve.medians().map(|(bin, value)| (bin, value.0)).collect();
            assert_eq!((known.as_slice(), curve.is_empty()), (expect, expect.is_empty()));
        };
        check(4, &[(1, 15), (2, 30)]);
        check(5, &[(1, 20)]);
        check(6, &[]);
        // What nobody wants back stays.
        curve.learn(1, Milli(10), None);
        curve.forget(Timestamp::from_micros(i64::MAX));
        assert!(!curve.is_empty());
    }
}
