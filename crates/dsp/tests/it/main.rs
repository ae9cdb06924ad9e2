//! Tests across modules and against the outside: schemas, examples, a foreign JSON-LD processor,
//! and two machines over a bad network.
#![cfg(test)]

mod bad_input;
mod bad_members;
mod contexts;
mod edc;
mod negotiation_table;
mod network;
mod oracle;
mod outside;
mod rewriting;
mod samples;
mod schemas;
mod transfer_table;
