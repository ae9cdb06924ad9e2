//! How many connections one place in the network holds at a door at which nobody has a name before
//! it has asked for something: so that one stranger does not keep all others out. Many of them
//! still can.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The most connections from one address; of IPv6, from one network of 64 bits, which is what one
/// customer is given (RFC 6177).
pub const MAX_CONNECTIONS_PER_SOURCE: usize = 64;

/// Who holds any.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<HashMap<IpAddr, usize>>);

impl Sources {
    /// One more from that address; nothing when it holds as many as it may. It is held until what
    /// this returned is dropped.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Source> {
        let from = network(from);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(from).or_default();
        if *count >= MAX_CONNECTIONS_PER_SOURCE {
            return None;
        }
        *count += 1;
        Some(Source { all: Arc::clone(self), from })
    }
}

/// A connection that is held.
pub(crate) struct Source {
    all: Arc<Sources>,
    from: IpAddr,
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut held = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.from);
            }
        }
    }
}

/// What counts as one address.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(from) => {
            let [a, b, c, d, ..] = from.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        from @ IpAddr::V4(_) => from,
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_CONNECTIONS_PER_SOURCE, Sources};
    use std::sync::Arc;

    #[test]
    fn each_source_has_its_share_and_gives_it_back() {
        let sources = Arc::new(Sources::default());
        let enter = |from: &str| sources.enter(from.parse().unwrap());
        for (first, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
        ] {
            let mut held: Vec<_> =
                (0..MAX_CONNECTIONS_PER_SOURCE).map(|_| enter(first).unwrap()).collect();
            assert!(enter(first).is_none() && enter(same).is_none(), "{first}");
            assert!(enter(other).is_some(), "{other}");
            held.pop();
            assert!(enter(same).is_some());
        }
        assert!(sources.0.lock().unwrap().is_empty());
    }
}
