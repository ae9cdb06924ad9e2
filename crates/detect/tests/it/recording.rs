//! "ENGIE, La Haute Borne wind farm" (examples/wind/ATTRIBUTION.md): the rows of all turbines, and
//! what became of each turbine when one looks at all of them afterwards.

use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use twinpact_detect::{Detector, Finding, Milli, Rule, RuleFile, Sample};
use twinpact_model::{Schedule, Timestamp};

/// The rule of the example, which knows nothing of the recording, as it is written.
pub(crate) fn rule_file() -> RuleFile {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wind/power-loss.rule.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// That rule, ready to be used.
pub(crate) fn rule() -> Rule {
    Rule::new(&rule_file()).unwrap()
}

/// The rows of a recording, as they stand in it.
pub(crate) fn read(path: &Path) -> Vec<Sample> {
    let file = File::open(path).unwrap();
    let mut rows = csv::Reader::from_reader(MultiGzDecoder::new(file));
    let header = rows.headers().unwrap().clone();
    let [twin, at, drive, output] = ["Wind_turbine_name", "Date_time", "Ws_avg", "P_avg"]
        .map(|name| header.iter().position(|column| column == name).unwrap());
    let sample = |row: csv::StringRecord| {
        Some(Sample {
            twin: row[twin].to_owned(),
            at: Timestamp::parse(&row[at]).unwrap(),
            drive: Milli::parse(&row[drive])?,
            output: Milli::parse(&row[output])?,
            keep_until: None,
        })
    };
    rows.records().filter_map(|row| sample(row.unwrap())).collect()
}

/// By when copies of rows are to be deleted, in seconds: the 14 days of the contract.
const COPIES_S: i64 = 14 * 86_400;

/// The rows that the contract of the example shows: weekdays, 07:00 to 19:00 in Paris, for 14 days.
pub(crate) fn permitted(samples: &[Sample]) -> Vec<Sample> {
    let open = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
    let shown = samples.iter().filter(|sample| open.contains(sample.at));
    let copied = shown.map(|sample| Sample {
        keep_until: Some(sample.at.plus_seconds(COPIES_S)),
        ..sample.clone()
    });
    copied.collect()
}

/// What is found when the rows come hour by hour, by time.
pub(crate) fn found(samples: &[Sample]) -> Vec<Finding> {
    let mut samples = samples.to_vec();
    samples.sort_by_key(|sample| sample.at);
    let mut detector = Detector::new(rule());
    let mut findings = Vec::new();
    for hour in samples.chunk_by(|a, b| a.at.seconds() / 3_600 == b.at.seconds() / 3_600) {
        detector.forget(hour[0].at);
        findings.extend(detector.take(hour.iter().cloned()).unwrap());
    }
    findings.extend(detector.close());
    assert_eq!(detector.late(), 0);
    findings
}

/// The median power of the siblings at each row of a turbine in good wind: at least 5.5 m/s for
/// itself, and at least 150 kW for them. Computed apart from the detector.
pub(crate) fn good_wind(samples: &[Sample]) -> Vec<(&Sample, f64)> {
    let mut instants = BTreeMap::<Timestamp, Vec<&Sample>>::new();
    samples.iter().for_each(|sample| instants.entry(sample.at).or_default().push(sample));
    let mut good = Vec::new();
    for rows in instants.values() {
        for row in rows {
            let others = rows.iter().filter(|other| other.twin != row.twin);
            let mut others: Vec<f64> = others.map(|other| other.output.to_f64()).collect();
            others.sort_by(f64::total_cmp);
            let half = others.len() / 2;
            let median = match others.len() {
                0 => continue,
                n if n % 2 == 0 => (others[half - 1] + others[half]) / 2.0,
                _ => others[half],
            };
            if row.drive.to_f64() >= 5.5 && median >= 150.0 {
                good.push((*row, median));
            }
        }
    }
    good
}

/// A time in which a turbine stood still: its loss rows, of which the labels are made.
#[derive(Debug)]
pub(crate) struct Episode {
    pub(crate) twin: String,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) rows: usize,
}

/// The episodes of a recording by the rule of its labels: rows in good wind at 5 % of the siblings'
/// median or less, less than three hours apart, at least twelve.
pub(crate) fn episodes(samples: &[Sample]) -> Vec<Episode> {
    let mut by_twin = BTreeMap::<&str, Vec<Timestamp>>::new();
    for (row, median) in good_wind(samples) {
        if row.output.to_f64() <= 0.05 * median {
            by_twin.entry(&row.twin).or_default().push(row.at);
        }
    }
    let mut all = Vec::new();
    for (twin, mut times) in by_twin {
        times.sort_unstable();
        let ends = times.chunk_by(|a, b| b.seconds() - a.seconds() < 3 * 3_600);
        all.extend(ends.filter(|rows| rows.len() >= 12).map(|rows| Episode {
            twin: twin.to_owned(),
            first: rows[0],
            last: rows[rows.len() - 1],
            rows: rows.len(),
        }));
    }
    all.sort_by_key(|episode| episode.first);
    all
}
