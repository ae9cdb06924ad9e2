//! Two organisations that talk over loopback, those who should not get through, and what each door
//! knows.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod admin;
mod as_of;
mod at_a_time;
mod catalogue;
mod catena_x;
mod connectors;
mod containment;
mod countersigning;
mod edc_copies;
mod edc_forgets;
mod edc_like;
mod erasure;
mod federation;
mod following;
mod forged;
mod graph;
mod identities;
mod impostor;
mod joining;
mod kpis;
mod malicious;
mod metrics;
mod negotiating;
mod of_others;
mod offering;
mod openapi;
mod outgoing;
#[path = "../../../dsp/tests/it/outside.rs"]
#[allow(dead_code, reason = "its JSON-LD processor is for the tests of the messages alone")]
mod outside;
mod pages;
mod pair;
mod parties;
mod printed;
mod pushing;
mod rebinding;
mod removal;
mod restored;
mod retention;
mod rotation;
mod routes;
mod running;
mod sent;
mod strangers;
mod streaming;
mod together;
mod transferring;
mod web_door;
