//! Floor 0: the values that every other crate speaks.
//!
//! Nothing here reads a clock, draws randomness or touches a file: a value comes in, a value
//! goes out. Start with [`entry`] (what the log holds) and [`problem`] (how anything is refused).

pub mod codes;
pub mod disk;
pub mod entry;
pub mod iri;
pub mod leb128;
pub mod link;
pub mod link_row;
pub mod problem;
pub mod schedule;
pub mod suggest;
pub mod time;
pub mod type_model;
pub mod view;

pub use entry::{Attribute, Entry, Kind, What, When, Who, Why};
pub use iri::{Did, Iri};
pub use link::Predicate;
pub use link_row::{Direction, LinkRow, OtherOwner, ShownLinks};
pub use problem::{Class, Code, Fault, Problem};
pub use schedule::Schedule;
pub use smol_str::SmolStr;
pub use time::{PolicyTime, Timestamp, WallTime};
pub use type_model::{AttributeModel, Datatype, Merge, ModelRef, TypeModel};
pub use view::{Column, Cursor, PageBounds, Row, Selection, View};
