//! Lanes for what must be done one at a time: one lane for each agreement, or for each transfer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many lanes are kept whether anybody is in them or not.
const KEPT: usize = 1_024;

/// Lanes by name. Beyond some there are as many as somebody is in.
#[derive(Debug, Default)]
pub struct Lanes {
    by_name: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Lanes {
    /// The lane of that name: whoever holds it is alone in it.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= KEPT {
            // A lane that only this list holds has nobody in it, and nobody on the way.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        lanes.entry(name.to_owned()).or_default().clone()
    }

    /// Forgets a lane that nobody will ask for again.
    pub fn forget(&self, name: &str) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
