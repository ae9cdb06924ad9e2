//! What is counted of each contract: how long its answers take, how they go, and how fresh they
//! are. A contract stands under the name that its operator gave it, all its versions together; the
//! first [`MAX_NAMED`] that are asked for have series of their own.

use super::counts::{Counts, Histogram};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use twinpact_model::Code;
use twinpact_policy::PERMIT;

/// The most contracts with series of their own; what is beyond is counted together.
pub const MAX_NAMED: usize = 100;
/// The label of what is beyond. No contract has that name: a name begins with a letter.
const OTHER: &str = "_other";

/// How a request for data, or for the next part of a stream, went.
#[derive(Debug, Clone, Copy)]
pub enum Went {
    /// Rows were delivered: their bytes, and the age of the newest in microseconds of data time.
    Delivered {
        /// The bytes.
        bytes: u64,
        /// The age.
        age: Option<i64>,
    },
    /// A decision refused it.
    Refused(Code),
    /// It met no decision, or could not be answered.
    Failed(Code),
}

/// The series of one contract.
#[derive(Default)]
pub(super) struct Series {
    pub(super) took: Histogram,
    pub(super) decisions: Counts<&'static str>,
    pub(super) errors: Counts<&'static str>,
    bytes: AtomicU64,
    age: Mutex<Option<i64>>,
}

impl Series {
    fn note(&self, took: Duration, went: Went) {
        self.took.observe(took);
        match went {
            Went::Delivered { bytes, age } => {
                self.decisions.add(PERMIT, 1);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                if age.is_some() {
                    *self.age.lock().unwrap_or_else(PoisonError::into_inner) = age;
                }
            }
            Went::Refused(code) => {
                self.decisions.add(code.name, 1);
                self.errors.add(code.class.name(), 1);
            }
            Went::Failed(code) => self.errors.add(code.class.name(), 1),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn age(&self) -> Option<i64> {
        *self.age.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The series of all contracts by their name.
#[derive(Default)]
pub struct ByContract(Mutex<BTreeMap<String, Arc<Series>>>);

impl ByContract {
    /// A request under a contract of that name was answered after that time.
    pub fn note(&self, contract: &str, took: Duration, went: Went) {
        self.of(contract).note(took, went);
    }

    fn of(&self, contract: &str) -> Arc<Series> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(contract) {
            return Arc::clone(known);
        }
        let name = if all.len() < MAX_NAMED { contract } else { OTHER };
        Arc::clone(all.entry(name.to_owned()).or_default())
    }

    pub(super) fn read(&self) -> Vec<(String, Arc<Series>)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, series)| (name.clone(), Arc::clone(series))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{ByContract, MAX_NAMED, OTHER, Went};
    use std::time::Duration;
    use twinpact_model::codes;

    #[test]
    fn so_many_have_their_own_series_and_the_rest_one() {
        let contracts = ByContract::default();
        let went = Went::Delivered { bytes: 7, age: None };
        for number in 0..MAX_NAMED + 3 {
            for _ in 0..2 {
                contracts.note(&format!("c{number}"), Duration::ZERO, went);
            }
        }
        let all = contracts.read();
        assert_eq!(all.len(), MAX_NAMED + 1);
        let bytes: Vec<u64> = all.iter().map(|(_, series)| series.bytes()).collect();
        assert_eq!(bytes.iter().sum::<u64>(), 7 * 2 * (MAX_NAMED as u64 + 3));
        let other = all.iter().find(|(name, _)| name == OTHER).unwrap();
        assert_eq!(other.1.bytes(), 7 * 2 * 3);
    }

    #[test]
    fn each_answer_counts_where_it_belongs() {
        let contracts = ByContract::default();
        for went in [
            Went::Delivered { bytes: 7, age: Some(5) },
            // Without a row it says nothing of freshness.
            Went::Delivered { bytes: 0, age: None },
            Went::Refused(codes::POLICY_PURPOSE),
            Went::Failed(codes::EXCHANGE_TOO_MANY),
        ] {
            contracts.note("a", Duration::from_millis(1), went);
        }
        let (name, series) = contracts.read().remove(0);
        assert_eq!((name.as_str(), series.bytes(), series.age()), ("a", 7, Some(5)));
        assert_eq!(series.took.read().1, 4);
        assert_eq!(series.decisions.read(), [("policy.permit", 2), ("policy.purpose", 1)]);
        assert_eq!(series.errors.read(), [("denied", 1), ("too-many", 1)]);
    }
}
