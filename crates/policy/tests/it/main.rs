//! Decisions against a golden table, laws, and the door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code, helpers included"
)]

mod door;
mod golden;
mod laws;
mod undecided;
mod world;
