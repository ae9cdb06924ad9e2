//! What one decision costs, with its explanation, its sentence and the core of its record.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "the world of the tests")]

// The test's own world is the bench's, so that both speak of the same request.
#[path = "../tests/it/world.rs"]
#[allow(dead_code, reason = "the tests change more of it")]
mod world;

use divan::{Bencher, black_box};
use twinpact_policy::Vocabulary;
use world::{World, at, terms};

fn main() {
    divan::main();
}

/// Friday noon: permitted. Sunday: refused, with a search for the next opening.
#[divan::bench(args = ["2015-07-24T12:00:00+02:00", "2015-07-26T12:10:00+02:00"])]
fn decide(bencher: Bencher<'_, '_>, now: &str) {
    let vocabulary = Vocabulary::standard();
    let mut world = World::new(terms("wind").unwrap());
    world.now = at(now);
    bencher.bench(|| black_box(&world).decide(black_box(&vocabulary)));
}

/// The vocabulary is made once for a node, not once for a decision.
#[divan::bench]
fn standard_vocabulary() -> Vocabulary {
    Vocabulary::standard()
}
