//! The binary as a user has it: every test runs real commands on a directory of its own.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod canaries;
mod cloud_events;
mod commands;
mod contract_new;
mod doctor;
mod double;
mod erasure;
mod evidence;
mod export;
mod federation;
mod follow;
mod golden;
mod guess;
mod kill;
mod log;
mod mend;
mod mortal;
mod negotiation;
#[path = "../../../dsp/tests/it/outside.rs"]
#[allow(dead_code, reason = "its JSON-LD processor is for the tests of the messages alone")]
mod outside;
mod own_demo;
mod reads;
mod remains;
mod restarts;
mod scenarios;
mod secrets;
mod start;
mod story;
mod three;
mod tree;
mod trio;
mod twins;
mod witness;
mod world;
