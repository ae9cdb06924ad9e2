//! What was found out lately, remembered for a while: it can be found out again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by name. Two generations: what is asked for moves to the newer one, and the older one is
/// forgotten when the newer is full.
#[derive(Debug)]
pub(crate) struct Lately<K, V> {
    /// How many are remembered at least; at most it is twice as many.
    kept: usize,
    generations: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    pub(crate) fn keeping(kept: usize) -> Lately<K, V> {
        let generations = Generations { newer: HashMap::new(), older: HashMap::new() };
        Lately { kept, generations: Mutex::new(generations) }
    }

    pub(crate) fn add(&self, name: K, value: V) {
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        all.add(self.kept, name, value);
    }

    pub(crate) fn get(&self, name: &K) -> Option<V> {
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.newer.get(name) {
            return Some(known.clone());
        }
        let (name, value) = all.older.remove_entry(name)?;
        all.add(self.kept, name, value.clone());
        Some(value)
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn add(&mut self, kept: usize, name: K, value: V) {
        if self.newer.len() >= kept {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Lately;

    #[test]
    fn what_is_used_is_kept_and_the_rest_is_bounded() {
        let lately = Lately::keeping(8);
        for n in 0..100 {
            lately.add(n, n + 1);
            assert_eq!((lately.get(&n), lately.get(&0)), (Some(n + 1), Some(1)));
            let all = lately.generations.lock().unwrap();
            assert!(all.newer.len() + all.older.len() <= 16);
        }
        assert_eq!(lately.get(&1), None);
    }
}
