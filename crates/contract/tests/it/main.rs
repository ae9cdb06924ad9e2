//! The contract crate against its documents, its vectors, its laws and the published schemas.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code, helpers included"
)]

mod agreement;
mod catenax;

mod contract;
mod intersection;
mod laws;
mod links;
mod odrl;
mod schema;
mod vectors;
