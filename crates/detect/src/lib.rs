//! Floor 1: losses in a fleet of like twins, found in the rows that a view shows and in nothing
//! else.
//!
//! A [`Rule`] says which column drives which, and what a loss is. The [`Detector`] learns how much
//! each twin gives ([`curve`]) and names the twin that gives far less than it should while its
//! siblings give what they should. It sees the rows that it is given: no twin of ours, no policy,
//! no clock. Whoever may read a copy can run it, and needs nothing else.

mod began;
pub mod curve;
mod detector;
mod milli;
mod rule;

pub use began::losses_until;
pub use curve::Curve;
pub use detector::{Compared, Detector, Dip, Finding, Judged, Losing, MAX_TWINS, Sample, compare};
pub use milli::{Milli, median};
pub use rule::{Hop, MAX_HOPS, MAX_MEASURES, MAX_RULE_ROWS, Measure, Rule, RuleFile};
