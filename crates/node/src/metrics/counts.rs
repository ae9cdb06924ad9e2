//! Counters by label, and a histogram of durations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A counter for each value of a label that there was.
pub struct Counts<L>(Mutex<BTreeMap<L, u64>>);

impl<L> Default for Counts<L> {
    fn default() -> Self {
        Counts(Mutex::default())
    }
}

impl<L: Ord + Copy> Counts<L> {
    /// Counts so many more.
    pub fn add(&self, label: L, more: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(label).or_default();
        *count = count.saturating_add(more);
    }

    /// All of them.
    #[must_use]
    pub fn read(&self) -> Vec<(L, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(label, count)| (*label, *count)).collect()
    }
}

/// The upper bounds of the buckets, in microseconds: from a disk that only remembers to one that
/// fails.
const BOUNDS: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

/// Durations by size.
#[derive(Default)]
pub struct Histogram {
    /// Those up to each bound and beyond the one before it.
    within: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound);
        let bucket = bucket.and_then(|at| self.within.get(at)).unwrap_or(&self.beyond);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The bounds in microseconds, each with how many there were up to it; then how many there were
    /// of all, and their sum in microseconds.
    #[must_use]
    pub fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut so_far = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bound, within) in BOUNDS.iter().zip(&self.within) {
            so_far += within.load(Ordering::Relaxed);
            buckets.push((*bound, so_far));
        }
        let all = so_far + self.beyond.load(Ordering::Relaxed);
        (buckets, all, self.micros.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, Histogram};
    use std::time::Duration;

    #[test]
    fn a_duration_counts_in_every_bucket_that_it_fits() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 5_000_000, 5_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (buckets, all, sum) = histogram.read();
        assert_eq!((all, sum), (5, 10_000_202));
        assert_eq!(buckets.first(), Some(&(100, 2)));
        assert_eq!(buckets.get(1), Some(&(250, 3)));
        assert_eq!(buckets.last(), Some(&(5_000_000, 4)));
        assert!(BOUNDS.is_sorted() && buckets.is_sorted());
    }
}
