//! The proof crate from outside: a small world of two organisations whose bundles are verified,
//! forged, flipped and cut.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code, helpers included"
)]

mod countersignature;
mod flips;
mod forgeries;
mod forks;
mod independent;
mod levels;
mod matrix;
mod pins;
mod second;
mod story;
mod succession;
mod vectors;
mod world;
