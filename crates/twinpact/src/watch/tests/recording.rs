//! "ENGIE, La Haute Borne wind farm" (examples/wind/ATTRIBUTION.md), as it stands in its file.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use twinpact_model::Timestamp;

/// A row: a turbine, a time, and its values by the names that the operator's model gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) twin: String,
    pub(super) at: Timestamp,
    pub(super) values: Vec<(String, String)>,
}

const COLUMNS: [(&str, &str); 3] =
    [("Ba_avg", "pitch"), ("P_avg", "power"), ("Ws_avg", "wind_speed")];

/// The rows of a time, by time.
pub(super) fn rows(from: Timestamp, until: Timestamp) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/wind/la-haute-borne-2015-05-to-07.csv.gz");
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let place = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let (twin, time) = (place("Wind_turbine_name"), place("Date_time"));
    let columns = COLUMNS.map(|(column, name)| (place(column), name));
    let row = |cells: Vec<&str>| Row {
        twin: format!("urn:turbine:{}", cells[twin]),
        at: Timestamp::parse(cells[time]).unwrap(),
        values: columns
            .iter()
            .filter(|(at, _)| !cells[*at].is_empty())
            .map(|(at, name)| ((*name).to_owned(), cells[*at].to_owned()))
            .collect(),
    };
    let mut rows: Vec<Row> = lines.map(row).filter(|row| (from..until).contains(&row.at)).collect();
    // What has no value is no observation.
    rows.retain(|row| !row.values.is_empty());
    rows.sort_by_key(|row| row.at);
    rows
}
