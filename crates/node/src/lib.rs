//! Floor 5: a node. Read the spines first: [`record`] (what comes in), [`answer`] (what goes out),
//! [`negotiate`] (the protocol), each a short list of calls.
//!
//! There is no shared state but the log ([`partition`]) and what is folded from it ([`fold`]). A
//! [`Node`] is a bundle of handles; no logic lives in it.

pub mod agreements;
pub mod answer;
pub mod api;
mod as_of;
pub mod ask;
pub mod assertion;
mod bargain;
pub mod behind;
mod channel;
pub mod check;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod contracts;
pub mod copies;
pub mod countersignatures;
pub mod deadlines;
pub mod decisions;
pub mod deletions;
pub mod digest;
pub mod doctor;
mod documents;
pub mod door;
pub mod egress;
pub mod erasures;
pub mod events;
pub mod fold;
pub mod graph;
pub mod heard;
mod identity_disk;
pub mod ids;
pub mod incidents;
mod invitation;
pub mod invitations;
pub mod join;
pub mod keys;
pub mod lanes;
mod link_copies;
pub mod links;
pub mod metrics;
pub mod negotiate;
pub mod open;
pub mod organisation;
pub mod outbound;
pub mod outbox;
pub mod own_reads;
mod pages;
pub mod partition;
pub mod partners;
pub mod processes;
pub mod prove;
pub mod rates;
pub mod read;
pub mod ready;
pub mod receipts;
pub mod record;
pub mod removal;
pub mod repin;
pub mod restore;
pub mod retention;
pub mod secrets;
pub mod settings;
pub mod strangers;
pub mod stream;
pub mod streams;
pub mod tokens;
pub mod trace;

pub use clock::{Clocks, PolicyClock};
pub use config::Config;
pub use invitation::MAX_INVITATION_BYTES;
pub use open::{Node, NodeParts};
pub use twinpact_store::Cut;
