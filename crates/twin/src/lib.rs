//! Floor 1: the twin engine. Commands become events ([`Twins::put_model`], [`Twins::observe`],
//! [`Twins::link`]),
//! events fold into state ([`Twins::apply`]), state answers questions ([`Twins::as_of`],
//! [`Twins::view`]).
//!
//! The fold depends on events and model versions only: never on contracts, clocks or configuration.
//! Deciding changes nothing; only what is durable is applied.

mod as_of;
mod collide;
mod decide;
mod erase;
mod fold;
mod gaps;
mod halves;
mod link_rows;
mod links;
mod read;
mod recorded;
mod seen;
mod values;
mod walk;

pub use as_of::{AsOf, TwinAsOf};
pub use collide::{Collision, Meetings};
pub use decide::{Observation, Outcome, Report, RowOutcome, Source};
pub use erase::{Erased, MAX_BASIS_BYTES};
pub use fold::{Fact, Heads, Node, Twins};
pub use halves::{Half, HalfSet, MAX_HALVES};
pub use links::{Link, LinkChange, LinkOutcome, LinkSet, MAX_LINKS, MAX_PASSED_LINKS, MAX_WHOLES};
pub use read::{HistoryRow, Page};
pub use recorded::Recorded;
pub use values::Values;
pub use walk::{Edge, Place, Route, Said, Status, Walk};
