//! Receipts of ours that were signed lately: one that comes back with the partner's signature is
//! known by its fingerprint, and need not be made again from the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_proof::Digest;

/// How many are remembered at least; at most it is twice as many. Any other is made again.
const KEPT: usize = 4_096;

/// The identity of an agreement in hex, and an index in its ledger.
type Name = (String, u64);

/// The fingerprint of a receipt, and the time of its tick in microseconds since 1970.
type Made = (Digest, i64);

/// Receipts of deliveries of ours. Two generations: the older one is forgotten when the newer is
/// full.
#[derive(Debug, Default)]
pub struct Given(Mutex<[HashMap<Name, Made>; 2]>);

impl Given {
    /// Remembers a receipt that was signed.
    pub(crate) fn add(&self, agreement: String, index: u64, made: Made) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [newer, older] = &mut *kept;
        if newer.len() >= KEPT {
            *older = std::mem::take(newer);
        }
        newer.insert((agreement, index), made);
    }

    /// What was signed of that delivery, when it is still known.
    pub(crate) fn get(&self, agreement: &str, index: u64) -> Option<Made> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (agreement.to_owned(), index);
        kept.iter().find_map(|made| made.get(&name)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, KEPT};

    #[test]
    fn the_last_ones_are_known() {
        let given = Given::default();
        for index in 0..3 * KEPT as u64 {
            given.add("a".to_owned(), index, ([0; 32], 1));
            assert_eq!(given.get("a", index), Some(([0; 32], 1)));
        }
        let known = |index| given.get("a", index).is_some();
        assert!(known(3 * KEPT as u64 - 1) && known(2 * KEPT as u64) && !known(0));
        assert_eq!(given.get("b", 3 * KEPT as u64 - 1), None);
    }
}
