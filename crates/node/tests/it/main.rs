//! Tests of the node across crates and against the outside.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod agreement_identity;
mod bad_faith;
mod clock_jumps;
mod config_keys;
mod counted;
mod damage;
mod disk;
mod door;
mod erasing;
mod failing;
mod harm;
mod liveness;
mod log_forks;
mod net_world;
mod operator;
#[path = "../../../dsp/tests/it/outside.rs"]
mod outside;
mod partition;
mod pinning;
mod power;
mod reexports;
mod restore;
#[path = "../../../dsp/tests/it/rewriting.rs"]
mod rewriting;
mod simulated_net;
mod streaming;
mod streaming_world;
mod stuck;
mod town;
mod witness_crash;
mod witness_peer;
mod witnessed;
