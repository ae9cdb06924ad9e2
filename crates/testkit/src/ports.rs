//! Ports for nodes that are stopped and started again under one address.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which systems take the ports of outgoing connections (RFC 6335 §6 begins
/// it at 49152, Linux at 32768): while a node is down, no connection is given its port.
const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port on loopback that nobody has, and that nobody else in this process is given.
///
/// # Panics
/// When all are taken.
#[must_use]
pub fn free_port() -> u16 {
    // Other processes begin elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    let tried = (0..COUNT).find_map(|_| {
        let n = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + n).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    assert!(tried.is_some(), "no port is free");
    tried.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::free_port;
    use std::collections::BTreeSet;

    #[test]
    fn nobody_is_given_a_port_twice() {
        let ports: BTreeSet<u16> = (0..200).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 200);
        assert!(ports.iter().all(|port| (10_000..30_000).contains(port)));
    }
}
