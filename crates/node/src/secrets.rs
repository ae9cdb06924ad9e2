//! What is kept in memory only, because it may hold a token or a key: messages on their way out
//! that bring an address, and the data addresses that came in. Nothing of it reaches the log, a
//! metric or an error.

use crate::lanes::Lanes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_dsp::Message;
use twinpact_dsp::message::DataAddress;
use twinpact_model::WallTime;

/// How long a start message is sent as it is; then its token, which lives ten minutes, is renewed.
const FRESH_SECONDS: i64 = 300;

/// The secrets of a running node.
#[derive(Default)]
pub struct Secrets {
    messages: Mutex<HashMap<String, (Message, WallTime)>>,
    addresses: Mutex<HashMap<String, (DataAddress, WallTime)>>,
    /// One for each transfer of ours: who is in it may refresh its token.
    pub refreshing: Lanes,
}

impl Secrets {
    /// Keeps a message that the outbox row does not hold.
    pub fn keep_message(&self, message: &Message, now: WallTime) {
        let holds = match message {
            Message::TransferStart(_) => true,
            Message::TransferRequest(request) => request.data_address.is_some(),
            _ => false,
        };
        if let (true, Some(id)) = (holds, message.id()) {
            lock(&self.messages).insert(id.to_owned(), (message.clone(), now));
        }
    }

    /// The start message with that `@id`, as long as it waits and its token is fresh.
    #[must_use]
    pub fn message(&self, id: &str, now: WallTime) -> Option<Message> {
        let messages = lock(&self.messages);
        let (message, since) = messages.get(id)?;
        (now.0 < since.0.plus_seconds(FRESH_SECONDS)).then(|| message.clone())
    }

    /// The message with that `@id` as it was written, when it is one that is kept.
    #[must_use]
    pub fn written(&self, id: &str) -> Option<Message> {
        lock(&self.messages).get(id).map(|(message, _)| message.clone())
    }

    /// Forgets a message that was delivered.
    pub fn forget_message(&self, id: &str) {
        lock(&self.messages).remove(id);
    }

    /// Keeps where data of a transfer are fetched, or are sent to by us, since then.
    pub fn keep_address(&self, pid: &str, address: DataAddress, since: WallTime) {
        lock(&self.addresses).insert(pid.to_owned(), (address, since));
    }

    /// Forgets the data address of a transfer that is of no use any more.
    pub fn forget_address(&self, pid: &str) {
        lock(&self.addresses).remove(pid);
        self.refreshing.forget(pid);
    }

    /// Forgets a token that was refused, unless another one has come since.
    pub fn forget_token(&self, pid: &str, token: &str) {
        lock(&self.addresses).retain(|known, (address, _)| {
            known != pid || address.property("authorization") != Some(token)
        });
    }

    /// Forgets the data addresses of all other transfers.
    pub fn keep_addresses(&self, open: impl Fn(&str) -> bool) {
        let known: Vec<String> = lock(&self.addresses).keys().cloned().collect();
        known.iter().filter(|pid| !open(pid)).for_each(|pid| self.forget_address(pid));
    }

    /// Where data of a transfer are fetched or sent to, and since when we know.
    #[must_use]
    pub fn address(&self, pid: &str) -> Option<(DataAddress, WallTime)> {
        lock(&self.addresses).get(pid).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
