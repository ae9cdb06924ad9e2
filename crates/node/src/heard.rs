//! Partners that have just shown that they are there: what rests until one is back is sent then,
//! and not only when its time has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Who is waited for. There are as many as partners for which something has rested.
#[derive(Debug, Default)]
pub struct Heard(Mutex<HashMap<String, Arc<Notify>>>);

impl Heard {
    /// Wakes all that waits for this partner.
    pub(crate) fn from(&self, did: &str) {
        let waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = waited.get(did) {
            waits.notify_waiters();
        }
    }

    /// Waits until this partner is heard of.
    pub(crate) async fn wait(&self, did: &str) {
        let waits = {
            let mut waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(waited.entry(did.to_owned()).or_default())
        };
        waits.notified().await;
    }
}
