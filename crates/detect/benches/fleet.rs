//! What a detector costs, and what it finds in two years: `cargo bench -p twinpact-detect`.
//!
//! Without the shared data the excerpt of the examples is read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

#[path = "../tests/it/recording.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod recording;

use recording::{episodes, found, good_wind, permitted, read};
use std::path::Path;
use std::time::Instant;
use twinpact_detect::{Finding, Sample};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let whole = root.join("../shared/data/wind/la-haute-borne-2014-2015.csv.gz");
    let file = match whole.is_file() {
        true => whole,
        false => root.join("examples/wind/la-haute-borne-2015-05-to-07.csv.gz"),
    };
    let all = read(&file);
    println!("{}", file.display());
    for (name, samples) in [("permitted", permitted(&all)), ("all", all.clone())] {
        let start = Instant::now();
        let findings = found(&samples);
        let cost = start.elapsed().as_nanos() / samples.len().max(1) as u128;
        let real = findings.iter().filter(|f| is_real(&all, f)).count();
        let episodes = episodes(&all);
        let hit = episodes.iter().filter(|e| {
            let until = e.last.plus_seconds(10_800);
            findings.iter().any(|f| f.twin == e.twin && (e.first..=until).contains(&f.at()))
        });
        println!(
            "{name}: {} rows, {cost} ns a row; {} findings, {real} of them real; {} of {} \
             standstills found",
            samples.len(),
            findings.len(),
            hit.count(),
            episodes.len()
        );
    }
}

fn is_real(all: &[Sample], finding: &Finding) -> bool {
    let near = |row: &Sample| (row.at.seconds() - finding.at().seconds()).abs() <= 10_800;
    let lost = good_wind(all).into_iter().filter(|(row, median)| {
        row.twin == finding.twin && near(row) && row.output.to_f64() <= 0.5 * median
    });
    lost.count() >= 3
}
