//! Floor 1: the twin engine. Commands become events ([`Twins::put_model`], [`Twins::observe`]),
//! events fold into state ([`Twins::apply`]), state answers questions ([`Twins::history`],
//! [`Twins::view`]).
//!
//! The fold depends on events and model versions only: never on contracts, clocks or configuration.
//! Deciding changes nothing; only what is durable is applied.

mod collide;
mod decide;
mod fold;
mod read;

pub use collide::{Collision, Meetings};
pub use decide::{Observation, Outcome, Report, RowOutcome, Source};
pub use fold::{Fact, Heads, Node, Twins};
pub use read::{HistoryRow, Page};
