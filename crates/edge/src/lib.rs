//! Floor 4: sources. What an organisation measures, on its way to becoming observations.
//!
//! A [`map::Map`] says how the columns of a file become attributes; [`csv::Rows`] reads the file
//! row by row; [`group`] keeps the rows of one key together; [`batch`] is the body that
//! `POST /ingest` takes and answers with. Nothing here knows of the store: a source ends with an
//! [`batch::IngestBatch`], and whether its values fit is decided where they are recorded.

pub mod batch;
pub mod cloud_events;
pub mod csv;
pub mod encoding;
pub mod group;
pub mod guess;
mod input;
pub mod map;
pub mod model_file;
mod number;
mod plan;
mod record;
pub mod refused;
mod template;
pub mod toml_file;
mod when;

pub use batch::{Collision, IngestBatch, IngestLink, IngestObservation, IngestReport, Refused};
pub use csv::{Observation, Reading, RefusedRow, Rows};
pub use group::{Batches, Grouped, Grouper, RefusedKey, group_by_key};
pub use map::Map;
