//! Places for streams: how many partners may have open, that none goes on when the node stops, and
//! how many events were built and not yet taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The most streams of all partners together. Each holds a connection of its own, and at most one
/// event in memory.
pub const MAX_STREAMS: usize = 256;
/// The most streams of one partner.
pub const MAX_STREAMS_PER_PARTNER: usize = 32;

/// The streams that are open.
#[derive(Debug)]
pub struct Streams {
    most: usize,
    most_of_one: usize,
    by_partner: Mutex<HashMap<String, usize>>,
    closing: watch::Sender<bool>,
    held: AtomicUsize,
}

impl Default for Streams {
    fn default() -> Self {
        Streams::within(MAX_STREAMS, MAX_STREAMS_PER_PARTNER)
    }
}

impl Streams {
    /// None yet, and never more than so many, and so many of one partner.
    #[must_use]
    pub fn within(most: usize, most_of_one: usize) -> Streams {
        Streams {
            most,
            most_of_one,
            by_partner: Mutex::default(),
            closing: watch::Sender::new(false),
            held: AtomicUsize::new(0),
        }
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.taken().values().sum()
    }

    /// How many events were built and not yet taken by their readers: never more than streams are
    /// open.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Ends all streams: the node stops.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// It says so when all streams are to end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// A place for one more.
    ///
    /// # Errors
    /// `stream.too_many`.
    pub(crate) fn enter(self: &Arc<Self>, partner: &str) -> Result<Seat, Problem> {
        let mut taken = self.taken();
        let (own, all) = (taken.get(partner).copied().unwrap_or(0), taken.values().sum::<usize>());
        let full = |why: String| Err(Problem::new(codes::STREAM_TOO_MANY, why));
        if own >= self.most_of_one {
            return full(format!("a partner may have {} streams open", self.most_of_one));
        }
        if all >= self.most {
            return full(format!("all partners together may have {} streams open", self.most));
        }
        taken.insert(partner.to_owned(), own + 1);
        Ok(Seat { streams: Arc::clone(self), partner: partner.to_owned(), holds: false })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.by_partner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one stream, free again when it is dropped.
pub(crate) struct Seat {
    streams: Arc<Streams>,
    partner: String,
    holds: bool,
}

impl Seat {
    /// An event was built, or the last one was taken.
    pub(crate) fn holds(&mut self, one: bool) {
        match (self.holds, one) {
            (false, true) => drop(self.streams.held.fetch_add(1, Ordering::SeqCst)),
            (true, false) => drop(self.streams.held.fetch_sub(1, Ordering::SeqCst)),
            _ => {}
        }
        self.holds = one;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.holds(false);
        let mut taken = self.streams.taken();
        match taken.get_mut(&self.partner) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.partner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Streams;
    use std::sync::Arc;

    #[test]
    fn a_partner_takes_no_places_of_the_others() {
        let streams = Arc::new(Streams::within(3, 2));
        let refused = |partner: &str| streams.enter(partner).err().map(|p| p.message);
        let mut first = streams.enter("a").unwrap();
        let _second = streams.enter("a").unwrap();
        assert!(refused("a").unwrap().starts_with("a partner may have 2"));
        let _other = streams.enter("b").unwrap();
        assert!(refused("b").unwrap().starts_with("all partners together may have 3"));
        first.holds(true);
        first.holds(true);
        assert_eq!((streams.open(), streams.held()), (3, 1));
        drop(first);
        assert_eq!((streams.open(), streams.held()), (2, 0));
        assert!(streams.enter("b").is_ok());
        assert_eq!(streams.open(), 2);
    }
}
