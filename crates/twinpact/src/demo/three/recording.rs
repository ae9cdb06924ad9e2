//! The recordings of the operator, fed as they come in: each row when it is complete, and not
//! before.

use std::path::Path;
use twinpact_edge::batch::{IngestBatch, MAX_BATCH_OBSERVATIONS};
use twinpact_edge::{Map, Observation, Reading, Rows};
use twinpact_model::problem::Problem;
use twinpact_model::{Schedule, Timestamp};

/// A row is a mean over ten minutes from its time on: nobody has it before they are over.
const COMPLETE_S: i64 = 600;

/// What is still to come.
pub(crate) struct Recording {
    map: Map,
    /// In the order of their times; the last one comes first.
    rows: Vec<Observation>,
}

/// What has come in by a time.
pub(crate) struct Fed {
    /// Bodies for `POST /ingest`.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// How many rows these are.
    pub(crate) rows: u64,
    /// How many of them are of the hours that are shown.
    pub(crate) shown: u64,
}

impl Recording {
    /// The whole file.
    pub(crate) fn read(file: &Path, map: &str) -> Result<Recording, Problem> {
        let map = Map::parse(map)?;
        let mut rows = Vec::new();
        for reading in Rows::open(file, &map, |_| ())? {
            match reading? {
                Reading::Observation(row) => rows.push(row),
                // `ingest` reports them; what is shipped has none.
                Reading::Refused(_) => {}
            }
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.phen_start));
        Ok(Recording { map, rows })
    }

    /// How many rows are still to come.
    pub(crate) fn remaining(&self) -> usize {
        self.rows.len()
    }

    /// The times of the first and of the last row that are still to come.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.rows.last()?.phen_start, self.rows.first()?.phen_start))
    }

    /// What is complete at that time and has not come in before.
    pub(crate) fn until(&mut self, now: Timestamp, shown: &Schedule) -> Fed {
        let waits = |row: &Observation| row.phen_start.plus_seconds(COMPLETE_S) > now;
        let from = self.rows.iter().rposition(waits).map_or(0, |last| last + 1);
        let mut came = self.rows.split_off(from);
        came.reverse();
        let rows = came.len() as u64;
        let is_shown = |row: &&Observation| shown.contains(row.phen_start);
        let shown = came.iter().filter(is_shown).count() as u64;
        let body = |rows: &[Observation]| {
            let (source, model) = (self.map.source.clone(), self.map.model.clone());
            IngestBatch::new(source, model, rows.to_vec()).to_body()
        };
        let bodies = came.chunks(MAX_BATCH_OBSERVATIONS).map(body).collect();
        Fed { bodies, rows, shown }
    }
}

/// The moments at which the clocks are set: when it opens, an hour later, then every two hours, and
/// when it closes.
pub(crate) fn moments(hours: &Schedule, (first, last): (Timestamp, Timestamp)) -> Vec<Timestamp> {
    const HOUR_S: i64 = 3_600;
    let (mut moments, mut at) = (Vec::new(), first);
    while at <= last {
        let change = hours.next_change(at).unwrap_or(last.plus_seconds(1));
        if hours.contains(at) {
            moments.push(at);
            let mut next = at.plus_seconds(HOUR_S);
            while next < change && next <= last {
                moments.push(next);
                next = next.plus_seconds(2 * HOUR_S);
            }
            moments.push(change);
        }
        at = change;
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::moments;
    use twinpact_model::{Schedule, Timestamp};

    #[test]
    fn clocks_are_set_while_it_is_open() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let hours = Schedule::parse("Mo-Fr 07:00-11:00 [Europe/Paris]").unwrap();
        let span = (at("2015-05-01T00:00:00+02:00"), at("2015-05-04T08:30:00+02:00"));
        let set = moments(&hours, span);
        let expect = ["01T07", "01T08", "01T10", "01T11", "04T07", "04T08", "04T11"];
        let expect = expect.map(|hour| at(&format!("2015-05-{hour}:00:00+02:00")));
        assert_eq!(set, expect);
    }
}
