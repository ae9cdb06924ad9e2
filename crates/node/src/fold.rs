//! The state of a node: a fold over its log. Deleting everything but the log changes nothing here.

use crate::organisation::Organisation;
use twinpact_model::problem::Problem;
use twinpact_store::Committed;
use twinpact_store::forest::EVENTS;
use twinpact_twin::Twins;

/// What the log says, taken together.
pub struct Fold {
    /// Models and twins.
    pub twins: Twins,
    /// Our own organisation record.
    pub organisation: Organisation,
    first_recorded: Option<i64>,
    last_recorded: i64,
}

impl Fold {
    /// The state of an empty log; ids at sources are remembered under this key.
    #[must_use]
    pub fn new(idempotency_key: [u8; 32]) -> Fold {
        Fold {
            twins: Twins::new(idempotency_key),
            organisation: Organisation::default(),
            first_recorded: None,
            last_recorded: 0,
        }
    }

    /// Takes an entry into the state: the same at commit and at replay.
    ///
    /// # Errors
    /// `internal` when the log contradicts itself.
    pub fn apply(&mut self, logged: &Committed) -> Result<(), Problem> {
        let recorded = logged.entry.when.recorded.micros();
        self.first_recorded.get_or_insert(recorded);
        self.last_recorded = self.last_recorded.max(recorded);
        if logged.tree == EVENTS {
            self.twins.apply(&logged.entry, logged.index)?;
            self.organisation.apply(&logged.entry)?;
        }
        Ok(())
    }

    /// The smallest `recorded`, in microseconds since 1970.
    #[must_use]
    pub fn first_recorded(&self) -> Option<i64> {
        self.first_recorded
    }

    /// The largest `recorded` so far, in microseconds since 1970.
    #[must_use]
    pub fn last_recorded(&self) -> i64 {
        self.last_recorded
    }
}
