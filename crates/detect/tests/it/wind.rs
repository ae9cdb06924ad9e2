//! Three months of four turbines, seen through the contract of the example.

use crate::recording::{Episode, episodes, found, good_wind, permitted, read, rule, rule_file};
use std::path::{Path, PathBuf};
use twinpact_detect::{Detector, Finding, Sample, losses_until};
use twinpact_model::Timestamp;

/// Hours in seconds.
const HOURS: i64 = 3_600;

fn excerpt() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/wind/la-haute-borne-2015-05-to-07.csv.gz")
}

/// How many rows within three hours of a finding are real losses, by all of the recording.
fn real_rows(all: &[Sample], finding: &Finding) -> usize {
    let near = |row: &Sample| (row.at.seconds() - finding.at().seconds()).abs() <= 3 * HOURS;
    let rows = good_wind(all).into_iter().filter(|(row, _)| row.twin == finding.twin && near(row));
    rows.filter(|(row, median)| row.output.to_f64() <= 0.5 * median).count()
}

fn finds(finding: &Finding, episode: &Episode) -> bool {
    let (from, until) = (episode.first, episode.last.plus_seconds(3 * HOURS));
    finding.twin == episode.twin && (from..=until).contains(&finding.at())
}

#[test]
fn what_is_found_is_real_and_what_is_real_is_found() {
    let all = read(&excerpt());
    let findings = found(&permitted(&all));
    assert!(!findings.is_empty());
    for finding in &findings {
        let rows = real_rows(&all, finding);
        println!("{} {} real rows: {rows}", finding.twin, finding.at());
        assert!(rows >= 3, "a false alarm: {finding:?}");
    }
    let episodes = episodes(&all);
    assert_eq!(episodes.len(), 7);
    let missed: Vec<_> =
        episodes.iter().filter(|e| !findings.iter().any(|f| finds(f, e))).collect();
    let told: Vec<_> = missed.iter().map(|e| (e.twin.as_str(), e.first)).collect();
    let may = Timestamp::parse("2015-05-05T04:50:00Z").unwrap();
    assert_eq!(told, [("R80736", may)]);
    let (seen, known) = seen_and_known(&all, missed[0]);
    println!(
        "of {seen} rows in good wind, {known} in a wind of which its curve had learned enough"
    );
    let least = rule_file().rows;
    assert!(known < least && least <= seen, "{known} of {seen}");
}

/// How many of an episode's losses the contract shows, and for how many of these the twin's curve
/// had enough rows of such wind when the episode began.
fn seen_and_known(all: &[Sample], episode: &Episode) -> (usize, usize) {
    let mut shown = permitted(all);
    shown.sort_by_key(|sample| sample.at);
    let before = shown.iter().filter(|sample| sample.at < episode.first).cloned();
    let mut detector = Detector::new(rule());
    detector.take(before).unwrap();
    detector.close();
    let curve = detector.curve(&episode.twin).unwrap();
    let span = episode.first..=episode.last;
    let during = |row: &Sample| row.twin == episode.twin && span.contains(&row.at);
    let good: Vec<_> = good_wind(&shown)
        .into_iter()
        .filter(|(row, median)| during(row) && row.output.to_f64() <= 0.5 * median)
        .collect();
    let rule = rule_file();
    let bin = |row: &Sample| (row.drive.to_f64() / rule.bin).floor() as i64;
    let is_known = |row: &Sample| curve.at(bin(row), rule.learn).is_some();
    (good.len(), good.iter().filter(|(row, _)| is_known(row)).count())
}

#[test]
fn the_stop_of_july_is_found_on_monday_morning() {
    let findings = found(&permitted(&read(&excerpt())));
    let stop = Timestamp::parse("2015-07-26T04:00:00+02:00").unwrap();
    let first = findings.iter().find(|f| f.twin == "R80711" && f.at() > stop).unwrap();
    let nine = Timestamp::parse("2015-07-27T09:00:00+02:00").unwrap();
    assert!(first.at() < nine, "{}", first.at());
    // Who may look at weekends too sees it on Sunday.
    let wider = found(&read(&excerpt()));
    let first = wider.iter().find(|f| f.twin == "R80711" && f.at() > stop).unwrap();
    let sunday = Timestamp::parse("2015-07-26T14:00:00+02:00").unwrap();
    assert!(first.at() < sunday, "{}", first.at());
}

/// The labels that came with the data are those that its rule gives.
#[test]
fn the_labels_are_made_by_their_rule() {
    let labels = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/wind/standstills-2015-05-to-07.csv");
    let Ok(text) = std::fs::read_to_string(&labels) else {
        println!("skipped: no {}", labels.display());
        return;
    };
    let told =
        text.lines().skip(1).map(|line| line.split(',').take(4).collect::<Vec<_>>().join(","));
    let made = episodes(&read(&excerpt()));
    let mut made: Vec<String> =
        made.iter().map(|e| format!("{},{},{},{}", e.twin, e.first, e.last, e.rows)).collect();
    let mut told: Vec<String> = told.collect();
    made.sort();
    told.sort();
    assert_eq!(made, told);
}

/// Who sees every row says since when: at the first row of the stop in good wind, as the labels do.
#[test]
fn the_owner_knows_when_a_stop_began() {
    let all = read(&excerpt());
    for finding in found(&permitted(&all)) {
        let losses = losses_until(&rule(), &all, &finding.twin, finding.at()).unwrap();
        let began = losses.first().unwrap().at;
        assert!(began <= finding.since, "{finding:?}");
        let of = |episode: &&Episode| finds(&finding, episode) && episode.first <= finding.at();
        for episode in episodes(&all).iter().filter(of) {
            println!("{} label {} began {began}", finding.twin, episode.first);
            assert!(began <= episode.first, "{episode:?} {began}");
        }
    }
    let monday = Timestamp::parse("2015-07-27T05:20:00Z").unwrap();
    let losses = losses_until(&rule(), &all, "R80711", monday).unwrap();
    let noon = Timestamp::parse("2015-07-26T12:10:00+02:00").unwrap();
    assert_eq!(losses.first().map(|dip| dip.at), Some(noon));
}

/// Where nothing is held back, the owner says the same time as who has found it: the policy costs
/// nothing.
#[test]
fn with_nothing_held_back_both_say_the_same() {
    let all = read(&excerpt());
    for finding in found(&all) {
        let losses = losses_until(&rule(), &all, &finding.twin, finding.at()).unwrap();
        assert_eq!(losses.first().map(|dip| dip.at), Some(finding.since), "{finding:?}");
    }
}
