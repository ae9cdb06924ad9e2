//! Floor 5: a node. Read the spines first: [`record`], each a short list of calls.
//!
//! There is no shared state but the log ([`partition`]) and what is folded from it ([`fold`]). A
//! [`Node`] is a bundle of handles; no logic lives in it.

pub mod api;
pub mod clock;
pub mod config;
pub mod door;
pub mod egress;
pub mod fold;
pub mod open;
pub mod organisation;
pub mod outbound;
pub mod partition;
pub mod prove;
pub mod read;
pub mod record;

pub use clock::{Clocks, PolicyClock};
pub use config::Config;
pub use open::{Node, NodeParts};
