//! The wind farm in `examples/wind/`: its map, its model and every one of its rows.

use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use twinpact_edge::{Grouper, Map, Reading, Rows, model_file};
use twinpact_model::TypeModel;

const EXCERPT: &str = "la-haute-borne-2015-05-to-07.csv.gz";

fn example(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wind")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(example(name)).unwrap()
}

fn map_and_model() -> (Map, TypeModel) {
    let map = Map::parse(&text("wind-turbine.map.toml")).unwrap();
    let model = model_file::parse(&text("wind-turbine.toml")).unwrap();
    map.check_model(&model).unwrap();
    (map, model)
}

/// The whole of 2014 and 2015, where the shared data lies beside the checkout.
fn whole() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let shared = std::env::var("TWINPACT_SHARED").unwrap_or(beside);
    let file = Path::new(&shared).join("data/wind/la-haute-borne-2014-2015.csv.gz");
    if !file.exists() {
        println!("skipped: no shared data ({})", file.display());
        return None;
    }
    Some(file)
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    per_twin: BTreeMap<String, usize>,
    values: usize,
    /// Reasons of refusal, with how many rows each.
    refused: BTreeMap<String, usize>,
    batches: usize,
    /// Keys that more than one row has.
    shared_keys: usize,
}

fn ingest(path: &Path) -> Counts {
    let (map, model) = map_and_model();
    let mut counts = Counts::default();
    let mut grouper = Grouper::new(1_000);
    for reading in Rows::open(path, &map, |_| ()).unwrap() {
        match reading.unwrap() {
            Reading::Observation(row) => {
                for (attribute, lexical) in &row.values {
                    model.check_value(attribute, lexical).unwrap();
                }
                counts.values += row.values.len();
                *counts.per_twin.entry(row.twin.to_string()).or_default() += 1;
                grouper.push(&row).unwrap();
            }
            Reading::Refused(row) => {
                *counts.refused.entry(format!("{} {}", row.code.name, row.reason)).or_default() +=
                    1;
            }
        }
    }
    let grouped = grouper.finish().unwrap();
    assert_eq!(grouped.refused, []);
    for batch in grouped.batches {
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        batch.unwrap().into_iter().for_each(|row| *rows.entry(row.id).or_default() += 1);
        counts.shared_keys += rows.values().filter(|n| **n > 1).count();
        counts.batches += 1;
    }
    counts
}

fn per_twin(counts: [usize; 4]) -> BTreeMap<String, usize> {
    let names = ["R80711", "R80721", "R80736", "R80790"].map(|n| format!("urn:turbine:{n}"));
    names.into_iter().zip(counts).collect()
}

fn without_value(rows: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([("ingest.row no column of the map has a value".to_owned(), rows)])
}

#[test]
fn the_excerpt_is_what_it_says() {
    assert!(std::fs::metadata(example(EXCERPT)).unwrap().len() < 1_100_000);
    // 92 days of 144 rows for each of four turbines, 52,992 in all; a row has all values or none.
    let expect = Counts {
        per_twin: per_twin([13_033, 13_039, 13_021, 13_031]),
        values: 52_992 * 7 - 6_076,
        refused: without_value(868),
        batches: 53,
        shared_keys: 0,
    };
    assert_eq!(ingest(&example(EXCERPT)), expect);
}

#[test]
fn the_excerpt_is_cut_from_the_whole() {
    let Some(whole) = whole() else { return };
    let unpack = |path: PathBuf| {
        let mut text = String::new();
        GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    };
    let whole = unpack(whole);
    let months = [",2015-05-", ",2015-06-", ",2015-07-"];
    let cut = |(i, line): &(usize, &str)| *i == 0 || months.iter().any(|m| line.contains(m));
    let lines: Vec<&str> = whole.lines().enumerate().filter(cut).map(|(_, line)| line).collect();
    let excerpt = unpack(example(EXCERPT));
    assert!(excerpt.lines().eq(lines), "the excerpt differs from the whole");
}

#[test]
fn the_whole_fits_too() {
    let Some(whole) = whole() else { return };
    let expect = Counts {
        per_twin: per_twin([104_645, 103_911, 104_685, 104_670]),
        values: 420_480 * 7 - 17_983,
        refused: without_value(2_569),
        batches: 418,
        // The hour that each spring repeats under one label: 6 instants, 2 years, 4 turbines.
        shared_keys: 48,
    };
    assert_eq!(ingest(&whole), expect);
}
