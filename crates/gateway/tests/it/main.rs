//! Two organisations that talk over loopback, and those who should not get through.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

mod federation;
mod outgoing;
mod parties;
