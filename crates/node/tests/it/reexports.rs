//! The same file again, with changes: what of it is new, known or a correction, over whole files.
//!
//! Files go the way of `twinpact ingest` (read, grouped by key, decided batch by batch, applied),
//! without a log, so that two years take seconds.

use flate2::read::GzDecoder;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use twinpact_edge::{Grouper, Map, Reading, Rows, model_file};
use twinpact_model::Timestamp;
use twinpact_twin::{Collision, Meetings, Observation, Report, Source, Twins};

const MAP: &str = include_str!("../../../../examples/wind/wind-turbine.map.toml");
const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");
/// Twelve rows: the hour from 03:00 to 03:50 twice, with different values.
const HOUR: &str = include_str!("../../../edge/tests/data/repeated-hour.csv");

/// Twins into which files are fed.
#[derive(Clone)]
struct Farm {
    map: Map,
    twins: Twins,
    events: u64,
}

/// What became of a file.
#[derive(Debug, Default, PartialEq)]
struct Fed {
    /// Rows that are no observation.
    unread: u64,
    report: Report,
    colliding: Vec<Collision>,
}

/// New, duplicate, corrected, refused, and how many instants collide.
fn counts(new: u64, duplicate: u64, corrected: u64, refused: u64) -> Report {
    Report { new, duplicate, corrected, refused }
}

impl Farm {
    fn new() -> Farm {
        let map = Map::parse(MAP).unwrap();
        let mut farm = Farm { map, twins: Twins::new([1; 32]), events: 0 };
        let model = model_file::parse(MODEL).unwrap();
        let put = farm.twins.put_model(&model, "local").unwrap().unwrap();
        farm.apply(vec![put]);
        farm
    }

    fn apply(&mut self, events: Vec<twinpact_model::Entry>) {
        for mut event in events {
            event.when.recorded = self.now();
            self.twins.apply(&event, self.events).unwrap();
            self.events += 1;
        }
    }

    /// When the next event is recorded.
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_500_000_000 + i64::try_from(self.events).unwrap())
    }

    fn feed(&mut self, csv: &str) -> Fed {
        self.feed_by(csv, 1_000)
    }

    /// In batches of so many rows.
    fn feed_by(&mut self, csv: &str, batch_rows: usize) -> Fed {
        let mut fed = Fed::default();
        let mut grouper = Grouper::new(batch_rows);
        for reading in Rows::new(csv.as_bytes(), &self.map, |_| ()).unwrap() {
            match reading.unwrap() {
                Reading::Observation(row) => grouper.push(&row).unwrap(),
                Reading::Refused(_) => fed.unread += 1,
            }
        }
        let grouped = grouper.finish().unwrap();
        assert_eq!(grouped.refused, []);
        for batch in grouped.batches {
            let observation = |row: twinpact_edge::Observation| Observation {
                id: row.id,
                twin: row.twin.to_string().into(),
                phen_start: row.phen_start,
                values: row.values,
            };
            let rows: Vec<Observation> = batch.unwrap().into_iter().map(observation).collect();
            let (source, model) = (self.map.source.clone(), self.map.model.clone());
            let source = Source { source: source.as_str(), model: &model, actor: "local" };
            let meetings = Meetings::of(&rows);
            let outcome = self.twins.observe(&source, rows).unwrap();
            let more = outcome.report();
            fed.report = counts(
                fed.report.new + more.new,
                fed.report.duplicate + more.duplicate,
                fed.report.corrected + more.corrected,
                fed.report.refused + more.refused,
            );
            fed.colliding.extend(meetings.collisions(&outcome.rows));
            self.apply(outcome.events);
        }
        fed
    }

    /// The file must change nothing.
    fn unchanged_by(&mut self, csv: &str, rows: u64) {
        let before = self.events;
        assert_eq!(self.feed(csv).report, counts(0, rows, 0, 0));
        assert_eq!(self.events, before);
    }
}

/// The rows of a file that has a header.
fn lines(csv: &str) -> Vec<&str> {
    csv.lines().skip(1).collect()
}

/// A file of these rows.
fn file(header: &str, rows: &[&str]) -> String {
    let header = header.lines().next().unwrap();
    std::iter::once(header).chain(rows.iter().copied()).map(|row| format!("{row}\n")).collect()
}

fn reversed<'a>(rows: &[&'a str]) -> Vec<&'a str> {
    rows.iter().rev().copied().collect()
}

/// By the text of all columns from that one on, then of those before it.
fn sorted_from<'a>(rows: &[&'a str], column: usize) -> Vec<&'a str> {
    let mut rows = rows.to_vec();
    rows.sort_by_cached_key(|row| {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells.rotate_left(column);
        cells.join(",")
    });
    rows
}

/// The same rows in another order change nothing; then a row more is new, and another value is a
/// correction.
fn reexports(farm: &mut Farm, header: &str, rows: &[&str], taken: u64) {
    let all = |rows: &[&str]| file(header, rows);
    farm.unchanged_by(&all(&reversed(&sorted_from(rows, 0))), taken);
    let mut changed = sorted_from(rows, 3);
    farm.unchanged_by(&all(&changed), taken);
    let place = rows.len() / 3;
    let other = changed[place].replacen(",-", ",-3", 1);
    assert_ne!(other, changed[place]);
    let later = rows[rows.len() - 1].replacen("201", "202", 1);
    changed[place] = &other;
    changed.insert(place / 2, &later);
    let report = farm.feed(&all(&changed)).report;
    assert_eq!(report, counts(1, taken - 1, 1, 0));
}

#[test]
fn the_hour_that_stands_twice_is_kept_twice_and_reported() {
    let mut farm = Farm::new();
    let fed = farm.feed(HOUR);
    assert_eq!((fed.unread, fed.report), (0, counts(12, 0, 0, 0)));
    let places: Vec<(String, u64)> =
        fed.colliding.iter().map(|c| (c.phen_start.to_string(), c.rows)).collect();
    let expect = (0..6).map(|ten| (format!("2014-03-30T01:{ten}0:00Z"), 2));
    assert_eq!(places, expect.collect::<Vec<_>>());
    assert_eq!(farm.twins.history("urn:turbine:T1", None, None, 100).unwrap().total, 12);
    assert_eq!(farm.feed(HOUR).colliding.len(), 6, "said each time");
    farm.unchanged_by(HOUR, 12);
    farm.unchanged_by(&file(HOUR, &reversed(&lines(HOUR))), 12);
    reexports(&mut farm, HOUR, &lines(HOUR), 12);
}

#[test]
fn of_two_overlapping_files_only_the_new_is_new() {
    let rows = lines(HOUR);
    // The rows of a key stand six apart: these parts cut through keys.
    for (first, second, new) in [(0..8, 4..12, 4), (0..12, 3..5, 0), (6..12, 0..12, 6)] {
        let mut farm = Farm::new();
        let (a, b) = (file(HOUR, &rows[first.clone()]), file(HOUR, &rows[second.clone()]));
        farm.feed(&a);
        let known = second.len() as u64 - new;
        let report = farm.feed(&b).report;
        // A row whose key is known with another value, and only once, corrects it.
        let alone = second.clone().filter(|n| {
            let twin = (n + 6) % 12;
            !first.contains(n) && first.contains(&twin) && !second.contains(&twin)
        });
        let corrected = alone.count() as u64;
        assert_eq!(report, counts(new - corrected, known, corrected, 0), "{first:?} {second:?}");
        farm.unchanged_by(&b, second.len() as u64);
    }
}

/// The whole of 2014 and 2015, where the shared data lies beside the checkout.
fn two_years() -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let shared = std::env::var("TWINPACT_SHARED").unwrap_or(beside);
    let path = Path::new(&shared).join("data/wind/la-haute-borne-2014-2015.csv.gz");
    let Ok(packed) = File::open(&path) else {
        println!("skipped: no shared data ({})", path.display());
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    Some(text)
}

#[test]
fn two_years_come_again_in_every_order() {
    let Some(text) = two_years() else { return };
    let rows = lines(&text);
    assert_eq!(rows.len(), 420_480);
    let mut farm = Farm::new();
    let part = |rows: &[&str]| file(&text, rows);
    let first = farm.feed(&part(&rows[..250_000]));
    let second = farm.feed(&part(&reversed(&rows[200_000..])));
    // Nothing is lost: a row is recorded, known, or says nothing at all.
    let unread = |rows: &[&str]| rows.iter().filter(|r| r.ends_with(",,,,,,,")).count() as u64;
    assert_eq!((first.unread, second.unread), (unread(&rows[..250_000]), unread(&rows[200_000..])));
    let both = 50_000 - unread(&rows[200_000..250_000]);
    let taken = 420_480 - unread(&rows);
    assert_eq!(taken, 417_911);
    assert_eq!(first.report, counts(250_000 - first.unread, 0, 0, 0));
    assert_eq!(second.report, counts(taken - first.report.new, both, 0, 0));
    let fed = farm.feed(&part(&rows));
    assert_eq!(fed.report, counts(0, taken, 0, 0));
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for Collision { phen_start, rows, .. } in &fed.colliding {
        assert_eq!(*rows, 2);
        *days.entry(phen_start.to_string()[..13].to_owned()).or_default() += 1;
    }
    let hours = ["2014-03-30T01", "2015-03-29T01"].map(|hour| (hour.to_owned(), 24));
    assert_eq!(days, BTreeMap::from(hours));
    reexports(&mut farm, &text, &rows, taken);
}

/// Rows of few keys, so that most have several.
fn any_rows() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((0u8..4, 0u8..4), 0..14)
}

fn csv(rows: &[(u8, u8)]) -> String {
    let row = |(key, value): &(u8, u8)| format!("T{},2014-01-01T00:00:0{key}Z,{value}", key % 2);
    let rows: Vec<String> = rows.iter().map(row).collect();
    let header = "Wind_turbine_name,Date_time,P_avg,Ba_avg,Ws_avg,Va_avg,Ot_avg,Ya_avg,Wa_avg";
    let rows: Vec<String> = rows.iter().map(|row| format!("{row},,,,,,")).collect();
    file(header, &rows.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The values that stand, by key; sorted.
fn standing(farm: &Farm) -> BTreeMap<u8, Vec<u8>> {
    let mut found: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (twin, _) in farm.twins.nodes() {
        let rows = farm.twins.history(twin, None, None, 1_000).unwrap().rows;
        for row in rows.into_iter().filter(|row| row.corrected_by.is_none()) {
            let key = u8::try_from(row.phen_start.seconds() % 10).unwrap();
            found.entry(key).or_default().push(row.values[0].1.parse().unwrap());
        }
    }
    found.values_mut().for_each(|values| values.sort_unstable());
    found
}

fn of_key(rows: &[(u8, u8)], key: u8) -> Vec<u8> {
    let mut values: Vec<u8> = rows.iter().filter(|(k, _)| *k == key).map(|(_, v)| *v).collect();
    values.sort_unstable();
    values
}

/// Whether one multiset holds another; both are sorted.
fn holds(all: &[u8], some: &[u8]) -> bool {
    let mut all = all.iter();
    some.iter().all(|wanted| all.any(|value| value == wanted))
}

proptest! {
    /// Whatever the order of a file and the size of its batches, it changes nothing when it comes
    /// again.
    #[test]
    fn any_order_of_a_file_changes_nothing(
        before in any_rows(),
        rows in any_rows(),
        (shuffled, batch) in any_rows().prop_flat_map(|r| (Just(r).prop_shuffle(), 14usize..20)),
        turns in 0usize..14,
    ) {
        let mut farm = Farm::new();
        farm.feed(&csv(&before));
        for rows in [&rows, &shuffled] {
            farm.feed(&csv(rows));
            let events = farm.events;
            let mut again = rows.clone();
            again.reverse();
            let turns = turns.min(again.len());
            again.rotate_left(turns);
            let report = farm.feed_by(&csv(&again), batch).report;
            prop_assert_eq!(report, counts(0, rows.len() as u64, 0, 0));
            prop_assert_eq!(farm.events, events);
        }
    }

    /// After two files the second stands whole. What the first has beyond it stands too, but for
    /// the values that the second one corrects; of each key as many rows stand as the file with
    /// more of them has.
    #[test]
    fn two_files_are_united(first in any_rows(), second in any_rows()) {
        let mut farm = Farm::new();
        farm.feed(&csv(&first));
        farm.feed(&csv(&second));
        let standing = standing(&farm);
        for key in 0..4 {
            let (one, two) = (of_key(&first, key), of_key(&second, key));
            let now = standing.get(&key).cloned().unwrap_or_default();
            prop_assert_eq!(now.len(), one.len().max(two.len()));
            prop_assert!(holds(&now, &two), "{:?} {:?} {:?}", one, two, now);
            if holds(&one, &two) {
                prop_assert_eq!(now, one);
            }
        }
    }
}
