//! The identity of a running node. It changes while the node runs: a new issuing CA comes, a new
//! document key comes and an old one goes. Who asks gets the identity of this moment.

use crate::files::Identity;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, MutexGuard};

/// An identity that can be replaced; clones share it.
#[derive(Clone)]
pub struct Held(Arc<Inner>);

struct Inner {
    current: RwLock<Arc<Identity>>,
    changing: Mutex<()>,
}

impl Held {
    /// Beginning with that identity.
    #[must_use]
    pub fn new(identity: Identity) -> Held {
        let current = RwLock::new(Arc::new(identity));
        Held(Arc::new(Inner { current, changing: Mutex::default() }))
    }

    /// The identity at this moment.
    #[must_use]
    pub fn current(&self) -> Arc<Identity> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another one in its place.
    pub fn replace(&self, identity: Identity) {
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }

    /// To be held by whoever replaces it by something that depends on what it was, or on the disk.
    pub async fn changing(&self) -> MutexGuard<'_, ()> {
        self.0.changing.lock().await
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().fmt(f)
    }
}
