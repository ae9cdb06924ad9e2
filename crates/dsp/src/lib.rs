//! Floor 3: the Dataspace Protocol 2025-1 as values and functions, without I/O.
//!
//! A message is read ([`message::Message::parse_bytes`]), a machine takes its step
//! ([`negotiation::step`], [`transfer::step`]), and the caller logs the next state together with
//! the effects before it answers. Time comes in as a parameter, identifiers are drawn by the
//! caller, policies stay JSON whose meaning is the crate `contract`'s business. Messages are
//! processed as plain typed JSON; what a JSON-LD processor does to the spelling is undone from our
//! own term table ([`terms`]), and nothing is ever fetched. A message whose sender defines names of
//! its own is first rewritten by its own contexts (modules `contexts`, `expansion`).

/// A name of the protocol in full. All that depends on its version stands here.
macro_rules! dspace {
    ($name:literal) => {
        concat!("https://w3id.org/dspace/2025/1/", $name)
    };
}

mod bytes;
pub mod catalog;
mod contexts;
pub mod delivery;
pub mod exchange;
mod expansion;
mod fingerprint;
pub mod message;
pub mod negotiation;
pub mod policy_form;
pub mod rejected;
pub mod route;
mod scopes;
pub mod terms;
pub mod transfer;

pub use bytes::{MAX_CATALOG_BYTES, MAX_DEPTH, MAX_MESSAGE_BYTES};
pub use contexts::{MAX_CONTEXT_TERMS, MAX_CONTEXTS, MAX_TERM_BYTES};
pub use exchange::{Effect, Expect, Outgoing, Record, Role, Whose};
pub use expansion::MAX_NAMES_BYTES;
pub use message::Message;
pub use rejected::{Rejected, Status, Subject};

/// The version of the protocol that this crate speaks.
pub const VERSION: &str = "2025-1";
/// The one context of every message that we send.
pub const CONTEXT: &str = dspace!("context.jsonld");
