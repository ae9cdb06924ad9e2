//! The store on a simulated disk.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod failing;
mod power;
mod workload;
