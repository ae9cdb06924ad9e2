//! Who may hold how many connections at the federation door, and for how long.
//!
//! Partners and strangers do not share places, so that no number of strangers keeps a partner out;
//! no partner takes the places of the others either. Nobody waits for a place: the accept queue is
//! one for all, and a stranger at its front would hold up everybody behind it. Before the handshake
//! is over nobody can tell a partner from a stranger, so there the oldest makes room for the
//! newest: a partner shakes hands in a moment, and who only holds on is the oldest soon.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use twinpact_model::Did;
use twinpact_node::strangers::Away;

/// The most connections of all partners together.
pub const MAX_CONNECTIONS: usize = 512;
/// The most connections of one partner.
pub const MAX_CONNECTIONS_PER_PARTNER: usize = 64;
/// The most connections in their handshake.
pub const MAX_HANDSHAKES: usize = 128;
/// The most connections of callers without a certificate; those of partners that are told that they
/// have too many are among them.
pub const MAX_NAMELESS: usize = 64;
/// How long a handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the connection of a caller without a certificate may last. It is for one request.
pub const NAMELESS: Duration = Duration::from_secs(10);
/// How long it may take until an answer has been taken over, from the moment at which the peer
/// first took no more of it. Our own calls wait 30 s for a whole answer: this cuts off none.
pub const WRITE: Duration = Duration::from_secs(45);

/// The bounds of a listener. Tests use small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// [`MAX_HANDSHAKES`].
    pub handshakes: usize,
    /// [`MAX_NAMELESS`].
    pub nameless: usize,
    /// [`MAX_CONNECTIONS`].
    pub partners: usize,
    /// [`MAX_CONNECTIONS_PER_PARTNER`].
    pub per_partner: usize,
    /// [`HANDSHAKE`].
    pub handshake_time: Duration,
    /// [`NAMELESS`].
    pub nameless_time: Duration,
    /// [`WRITE`].
    pub write_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            handshakes: MAX_HANDSHAKES,
            nameless: MAX_NAMELESS,
            partners: MAX_CONNECTIONS,
            per_partner: MAX_CONNECTIONS_PER_PARTNER,
            handshake_time: HANDSHAKE,
            nameless_time: NAMELESS,
            write_time: WRITE,
        }
    }
}

/// Connections in their handshake, oldest first.
pub(crate) struct Handshakes {
    most: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
}

impl Handshakes {
    pub(crate) fn new(bounds: &Bounds) -> Handshakes {
        Handshakes { most: bounds.handshakes, waiting: VecDeque::new() }
    }

    /// Takes a place for one more. When there is none the oldest loses its own, and is told by what
    /// this returned for it. The place is held until that is dropped.
    pub(crate) fn enter(&mut self) -> oneshot::Receiver<()> {
        self.waiting.retain(|one| !one.is_closed());
        if self.waiting.len() >= self.most
            && let Some(oldest) = self.waiting.pop_front()
        {
            // It may have finished in this very moment: then it has left by itself.
            let _ = oldest.send(());
        }
        let (make_room, told) = oneshot::channel();
        self.waiting.push_back(make_room);
        told
    }
}

/// The places behind the handshake.
pub(crate) struct Places {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    nameless: usize,
    partners: usize,
    /// Of the partners that hold any.
    by_partner: HashMap<Did, usize>,
}

impl Places {
    pub(crate) fn new(bounds: Bounds) -> Arc<Places> {
        Arc::new(Places { bounds, taken: Mutex::default() })
    }

    /// A place for a caller without a certificate.
    pub(crate) fn nameless(self: &Arc<Self>) -> Result<Place, Away> {
        let mut taken = self.taken();
        if taken.nameless >= self.bounds.nameless {
            return Err(Away::NamelessFull);
        }
        taken.nameless += 1;
        Ok(Place { places: Arc::clone(self), partner: None })
    }

    /// A place for that partner.
    pub(crate) fn partner(self: &Arc<Self>, did: &Did) -> Result<Place, Away> {
        let mut taken = self.taken();
        let own = taken.by_partner.get(did).copied().unwrap_or(0);
        if own >= self.bounds.per_partner {
            return Err(Away::PartnerFull);
        }
        if taken.partners >= self.bounds.partners {
            return Err(Away::PartnersFull);
        }
        taken.partners += 1;
        taken.by_partner.insert(did.clone(), own + 1);
        Ok(Place { places: Arc::clone(self), partner: Some(did.clone()) })
    }

    /// How many connections of partners and of callers without a certificate there are.
    pub(crate) fn open(&self) -> (usize, usize) {
        let taken = self.taken();
        (taken.partners, taken.nameless)
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place, free again when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    /// Whose it is; `None` when its holder has no name.
    partner: Option<Did>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(did) = &self.partner else {
            taken.nameless = taken.nameless.saturating_sub(1);
            return;
        };
        taken.partners = taken.partners.saturating_sub(1);
        match taken.by_partner.get_mut(did) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.by_partner.remove(did);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Handshakes, Places};
    use twinpact_model::Did;
    use twinpact_node::strangers::Away;

    fn did(name: &str) -> Did {
        Did::new(format!("did:web:{name}.example")).unwrap()
    }

    #[test]
    fn strangers_and_partners_have_places_of_their_own() {
        let bounds = Bounds { nameless: 1, partners: 3, per_partner: 2, ..Bounds::default() };
        let places = Places::new(bounds);
        let stranger = places.nameless().unwrap();
        assert_eq!(places.nameless().err(), Some(Away::NamelessFull));
        let first = places.partner(&did("a")).unwrap();
        let _second = places.partner(&did("a")).unwrap();
        assert_eq!(places.partner(&did("a")).err(), Some(Away::PartnerFull));
        let _other = places.partner(&did("b")).unwrap();
        assert_eq!(places.partner(&did("b")).err(), Some(Away::PartnersFull));
        // A place that is left is free for whom it was for.
        drop(first);
        assert_eq!(places.nameless().err(), Some(Away::NamelessFull));
        let _third = places.partner(&did("a")).unwrap();
        drop(stranger);
        assert!(places.nameless().is_ok());
    }

    #[test]
    fn nothing_is_kept_of_a_partner_that_is_gone() {
        let places = Places::new(Bounds::default());
        let held: Vec<_> = (0..3).map(|_| places.partner(&did("a")).unwrap()).collect();
        assert_eq!(places.taken().by_partner[&did("a")], 3);
        drop(held);
        assert!(places.taken().by_partner.is_empty());
        assert_eq!(places.taken().partners, 0);
    }

    #[test]
    fn the_oldest_handshake_makes_room() {
        let mut handshakes = Handshakes::new(&Bounds { handshakes: 2, ..Bounds::default() });
        let mut first = handshakes.enter();
        let second = handshakes.enter();
        assert!(first.try_recv().is_err());
        // Who has finished holds no place, so nobody has to go.
        drop(second);
        let mut third = handshakes.enter();
        assert!(first.try_recv().is_err());
        let mut fourth = handshakes.enter();
        assert!(first.try_recv().is_ok());
        assert!(third.try_recv().is_err() && fourth.try_recv().is_err());
    }
}
