//! Lanes for what must be done one at a time: one lane for each partner, or for each transfer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Lanes by name. There are as many as there are partners, or transfers that are open.
#[derive(Debug, Default)]
pub struct Lanes {
    by_name: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Lanes {
    /// The lane of that name: whoever holds it is alone in it.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(name.to_owned()).or_default().clone()
    }

    /// Forgets a lane that nobody will ask for again.
    pub fn forget(&self, name: &str) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
