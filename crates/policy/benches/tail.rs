//! Mean and 99th percentile of one decision over 100,000, which the bench `decide` does not show.
//! `cargo bench -p twinpact-policy --bench tail`
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a bench")]
#![allow(clippy::indexing_slicing, missing_docs, reason = "the world of the tests")]

#[path = "../tests/it/world.rs"]
#[allow(dead_code, reason = "the tests change more of it")]
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};
use twinpact_policy::Vocabulary;
use world::{World, at, terms};

const DECISIONS: usize = 100_000;

fn main() {
    println!("{DECISIONS} decisions each\n");
    println!("{:<44} {:>10} {:>10}", "", "mean µs", "p99 µs");
    measure("permitted, Friday noon", "2015-07-24T12:00:00+02:00");
    measure("refused, Sunday, with the next opening", "2015-07-26T12:10:00+02:00");
}

fn measure(name: &str, now: &str) {
    let vocabulary = Vocabulary::standard();
    let mut world = World::new(terms("wind").unwrap());
    world.now = at(now);
    let mut times: Vec<Duration> = (0..DECISIONS)
        .map(|_| {
            let start = Instant::now();
            black_box(black_box(&world).decide(black_box(&vocabulary)));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let mean = micros(times.iter().sum()) / DECISIONS as f64;
    println!("{name:<44} {mean:>10.2} {:>10.2}", micros(times[DECISIONS * 99 / 100 - 1]));
}
