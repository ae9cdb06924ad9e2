//! Ports are bound before anything is answered or written: a node that cannot have one of its ports
//! has done nothing yet.

use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// An address that was bound and is not served yet. Who connects now waits.
pub struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Binds an address.
///
/// # Errors
/// `config.port` when it cannot be bound.
pub async fn bind(address: SocketAddr) -> Result<Bound, Problem> {
    let refuse = |error: io::Error| {
        Problem::new(codes::CONFIG_PORT, format!("{address} cannot be bound: {error}"))
            .hint("choose another port in twinpact.toml, or 0 for any free one")
    };
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    Ok(Bound { listener, address })
}
