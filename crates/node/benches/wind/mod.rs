//! The wind farm: two years where the shared data lies beside the checkout, else the excerpt.

use std::path::{Path, PathBuf};
use twinpact_edge::batch::{IngestBatch, MAX_BATCH_OBSERVATIONS};
use twinpact_edge::csv::Observation;
use twinpact_edge::group::{Batches, Grouper};
use twinpact_edge::{Map, Reading, Rows, model_file};
use twinpact_model::TypeModel;

/// The file that is measured with.
pub(crate) fn file() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let shared = std::env::var("TWINPACT_SHARED").unwrap_or(beside);
    let whole = Path::new(&shared).join("data/wind/la-haute-borne-2014-2015.csv.gz");
    if whole.exists() { whole } else { example("la-haute-borne-2015-05-to-07.csv.gz") }
}

/// How many rows the file has, and its batches, as the command makes them.
pub(crate) fn read(file: &Path, map: &Map) -> (usize, Batches) {
    let mut grouper = Grouper::new(MAX_BATCH_OBSERVATIONS);
    let mut rows = 0;
    for reading in Rows::open(file, map, |_| ()).unwrap() {
        rows += 1;
        match reading.unwrap() {
            Reading::Observation(row) => grouper.push(&row).unwrap(),
            // Rows of a turbine that said nothing; there are some hundred.
            Reading::Refused(row) => assert_eq!(row.code.name, "ingest.row", "{}", row.reason),
        }
    }
    (rows, grouper.finish().unwrap().batches)
}

/// The body of `POST /ingest` with these rows.
pub(crate) fn body(map: &Map, rows: Vec<Observation>) -> Vec<u8> {
    IngestBatch::new(map.source.clone(), map.model.clone(), rows).to_body()
}

/// The turbine model of the examples: seven attributes.
pub(crate) fn model() -> TypeModel {
    model_file::parse(&text("wind-turbine.toml")).unwrap()
}

/// How the file's columns become values of the model.
pub(crate) fn map() -> Map {
    Map::parse(&text("wind-turbine.map.toml")).unwrap()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(example(name)).unwrap()
}

fn example(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/wind")).join(name)
}
