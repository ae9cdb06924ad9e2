//! What is kept in memory only, because it holds a token: start messages on their way out, and the
//! data addresses that came in. Nothing of it reaches the log, a metric or an error.

use crate::assertion::Used;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_dsp::Message;
use twinpact_dsp::message::DataAddress;
use twinpact_model::WallTime;

/// The secrets of a running node.
pub struct Secrets {
    messages: Mutex<HashMap<String, Message>>,
    addresses: Mutex<HashMap<String, (DataAddress, WallTime)>>,
    /// Assertions that were used.
    pub assertions: Used,
}

impl Secrets {
    /// The secrets of a node that started at that time.
    #[must_use]
    pub fn since(started: WallTime) -> Secrets {
        Secrets {
            messages: Mutex::default(),
            addresses: Mutex::default(),
            assertions: Used::since(started),
        }
    }

    /// Keeps a message that the outbox row does not hold.
    pub fn keep_message(&self, message: &Message) {
        if let (Message::TransferStart(_), Some(id)) = (message, message.id()) {
            lock(&self.messages).insert(id.to_owned(), message.clone());
        }
    }

    /// The start message with that `@id`, as long as it waits.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<Message> {
        lock(&self.messages).get(id).cloned()
    }

    /// Forgets a message that was delivered.
    pub fn forget_message(&self, id: &str) {
        lock(&self.messages).remove(id);
    }

    /// Keeps where a transfer of ours pulls from, since then.
    pub fn keep_address(&self, pid: &str, address: DataAddress, since: WallTime) {
        lock(&self.addresses).insert(pid.to_owned(), (address, since));
    }

    /// Forgets a data address that was refused, or whose transfer is over.
    pub fn forget_address(&self, pid: &str) {
        lock(&self.addresses).remove(pid);
    }

    /// Forgets the data addresses of all other transfers.
    pub fn keep_addresses(&self, open: impl Fn(&str) -> bool) {
        let known: Vec<String> = lock(&self.addresses).keys().cloned().collect();
        known.iter().filter(|pid| !open(pid)).for_each(|pid| self.forget_address(pid));
    }

    /// Where a transfer of ours pulls from, and since when we know.
    #[must_use]
    pub fn address(&self, pid: &str) -> Option<(DataAddress, WallTime)> {
        lock(&self.addresses).get(pid).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
