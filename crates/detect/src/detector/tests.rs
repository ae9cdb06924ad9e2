//! What is found and what is not, row by row.

use super::{Detector, Finding, Judged, Losing, MAX_TWINS, Sample};
use crate::milli::{Milli, median};
use crate::rule::tests::file;
use crate::rule::{Rule, RuleFile};
use proptest::prelude::*;
use std::collections::BTreeSet;
use twinpact_model::Timestamp;

/// Ten minutes.
const STEP: i64 = 600;

fn sample(twin: &str, step: i64, drive: i64, output: i64) -> Sample {
    Sample {
        twin: twin.to_owned(),
        at: Timestamp::from_seconds(step * STEP),
        drive: Milli(drive * 1_000),
        output: Milli(output * 1_000),
        keep_until: None,
    }
}

/// Three turbines in one wind; `given` is what the first one gives at each step after four of
/// learning.
fn fleet(given: &[(i64, i64)]) -> Vec<Sample> {
    let mut all = Vec::new();
    for (step, (wind, power)) in (0..).zip([(8, 600); 4].iter().chain(given)) {
        all.push(sample("a", step, *wind, *power));
        all.extend(["b", "c"].map(|twin| sample(twin, step, 8, 600)));
    }
    all
}

fn found(rule: &RuleFile, samples: Vec<Sample>) -> Vec<Finding> {
    let mut detector = Detector::new(Rule::new(rule).unwrap());
    let mut findings = detector.take(samples).unwrap();
    findings.extend(detector.close());
    findings
}

#[test]
fn a_loss_is_a_row_far_below_siblings_and_curve() {
    // At which steps, counted from the end of learning, a finding is made.
    let check = |given: &[(i64, i64)], expect: &[i64]| {
        let findings = found(&file(), fleet(given));
        let steps: Vec<i64> = findings.iter().map(|f| f.at().seconds() / STEP - 4).collect();
        assert_eq!(steps, expect, "{given:?}");
        assert!(findings.iter().all(|f| f.twin == "a" && f.rows.len() == 3));
    };
    check(&[(8, 0); 2], &[]);
    check(&[(8, 0); 3], &[2]);
    check(&[(8, 300); 3], &[2]);
    check(&[(8, 301); 3], &[]);
    // It stands in too little wind for a judgement.
    check(&[(5, 0); 9], &[]);
    // In a wind of which it has learned nothing.
    check(&[(12, 0); 9], &[]);
    // Now and then: three within two hours, or not.
    let (bad, good) = ((8, 0), (8, 600));
    check(&[bad, good, good, bad, good, good, bad], &[6]);
    let seldom: Vec<_> =
        [bad].into_iter().chain([good; 6]).cycle().take(30).collect::<Vec<(i64, i64)>>();
    check(&seldom, &[]);
    // One that goes on is one; after six hours without loss it is another.
    check(&[bad; 100], &[2]);
    let pause = |n: usize| [vec![bad; 3], vec![good; n], vec![bad; 3]].concat();
    check(&pause(30), &[2]);
    check(&pause(36), &[2, 41]);
    // Whoever could not look, or had no wind, has not seen it end.
    let calm = |n: usize| [vec![bad; 3], vec![(3, 0); n], vec![bad; 3]].concat();
    check(&calm(200), &[2]);
    check(&[calm(200), vec![good; 36], vec![bad; 3]].concat(), &[2, 244]);
}

#[test]
fn siblings_must_give_what_they_should() {
    // All stand still: that is the wind, or the grid.
    let mut all = fleet(&[]);
    for step in 4..9 {
        all.extend(["a", "b", "c"].map(|twin| sample(twin, step, 8, 0)));
    }
    assert_eq!(found(&file(), all), []);
    // With one sibling there is nobody to compare with.
    let two: Vec<Sample> = fleet(&[(8, 0); 9]).into_iter().filter(|s| s.twin != "c").collect();
    assert_eq!(found(&file(), two), []);
}

#[test]
fn a_fault_does_not_teach() {
    // Before the curve says anything: three rows of standstill are not what is expected.
    let mut all = Vec::new();
    for step in 0..40 {
        let stands = (0..9).contains(&step) || step >= 30;
        all.push(sample("a", step, 8, if stands { 0 } else { 600 }));
        all.extend(["b", "c"].map(|twin| sample(twin, step, 8, 600)));
    }
    let mut detector = Detector::new(Rule::new(&file()).unwrap());
    let mut findings = detector.take(all).unwrap();
    findings.extend(detector.close());
    assert_eq!(findings.len(), 1);
    assert_eq!(findings.first().map(|f| f.at().seconds() / STEP), Some(32));
    let learned: Vec<_> = detector.curve("a").unwrap().medians().map(|one| one.1.0).collect();
    assert_eq!(learned, [600_000]);
}

#[test]
fn a_row_that_comes_twice_is_one() {
    let twice = |given: &[(i64, i64)]| {
        let all = fleet(given);
        let findings = found(&file(), all.iter().chain(&all).cloned().collect());
        findings.iter().map(|f| f.at().seconds() / STEP - 4).collect::<Vec<_>>()
    };
    assert_eq!(twice(&[(8, 0); 2]), Vec::<i64>::new());
    assert_eq!(twice(&[(8, 0); 3]), [2]);
    // What corrects a row counts instead of it, when its instant was not judged yet.
    let mut all = fleet(&[(8, 0); 3]);
    all.push(sample("a", 6, 8, 600));
    assert_eq!(found(&file(), all), []);
}

#[test]
fn what_is_to_be_forgotten_is() {
    let mut detector = Detector::new(Rule::new(&file()).unwrap());
    let until =
        |s: Sample, until: i64| Sample { keep_until: Some(Timestamp::from_seconds(until)), ..s };
    let rows = fleet(&[]).into_iter().map(|s| match s.twin.as_str() {
        "a" => until(s, 9_000),
        "b" => until(s, 9_001),
        _ => s,
    });
    detector.take(rows.collect::<Vec<_>>()).unwrap();
    let mut check = |now: i64, twins: &[&str]| {
        detector.forget(Timestamp::from_seconds(now));
        assert_eq!(detector.twins().collect::<Vec<_>>(), twins, "{now}");
        for twin in ["a", "b", "c"] {
            assert_eq!(detector.curve(twin).is_some(), twins.contains(&twin), "{now} {twin}");
        }
    };
    check(8_999, &["a", "b", "c"]);
    check(9_000, &["b", "c"]);
    check(9_001, &["c"]);
    check(i64::MAX / 1_000_000, &["c"]);
    // A row that waits is forgotten with the rest.
    assert_eq!(detector.close(), []);
}

#[test]
fn a_late_row_changes_nothing() {
    let mut detector = Detector::new(Rule::new(&file()).unwrap());
    detector.take(fleet(&[(8, 0); 2])).unwrap();
    let before = (detector.judged().clone(), detector.curve("a").cloned());
    detector.take([sample("a", 0, 8, 0)]).unwrap();
    assert_eq!(detector.late(), 1);
    assert_eq!((detector.judged().clone(), detector.curve("a").cloned()), before);
}

#[test]
fn a_fleet_has_a_bound() {
    let mut detector = Detector::new(Rule::new(&file()).unwrap());
    let twins = |n: usize| (0..n).map(|twin| sample(&twin.to_string(), 0, 8, 600));
    assert!(detector.take(twins(MAX_TWINS)).is_ok());
    let problem = detector.take(twins(MAX_TWINS + 1)).unwrap_err();
    assert_eq!(problem.code.name, "input.too_large");
    let rule = Rule::new(&file()).unwrap();
    let at = Timestamp::default();
    let check = |change: &dyn Fn(&mut Judged), bounded: bool| {
        let mut judged = Judged::default();
        change(&mut judged);
        let resumed = Detector::resume(rule.clone(), judged).map(|_| ());
        let code = resumed.map_err(|problem| problem.code.name);
        assert_eq!(code, if bounded { Ok(()) } else { Err("rule.learned") });
    };
    let names = |n: usize| (0..n).map(|twin| twin.to_string());
    for (n, bounded) in [(MAX_TWINS, true), (MAX_TWINS + 1, false)] {
        let losing = Losing { since: at, found: false };
        check(&|judged| judged.losing = names(n).map(|twin| (twin, losing)).collect(), bounded);
        check(&|judged| judged.quiet = names(n).map(|twin| (twin, at)).collect(), bounded);
        let losses = |twin: String| (twin, [at].into());
        check(&|judged| judged.losses = names(n).map(losses).collect(), bounded);
    }
    check(&|judged| judged.losses = [("a".to_owned(), [at; 3].into())].into(), true);
    check(&|judged| judged.losses = [("a".to_owned(), [at; 4].into())].into(), false);
}

/// Winds and powers of three turbines over some hours.
fn hours() -> impl Strategy<Value = Vec<Sample>> {
    prop::collection::vec((0i64..3, 0i64..48, 4i64..9, 0i64..700), 1..300).prop_map(|rows| {
        let row = |(twin, step, wind, power)| {
            sample(["a", "b", "c"].get(twin as usize).copied().unwrap_or("a"), step, wind, power)
        };
        // Of those that are of one twin and instant the order counts.
        let mut seen = BTreeSet::new();
        let all = rows.into_iter().map(row);
        all.filter(|one: &Sample| seen.insert((one.twin.clone(), one.at))).collect()
    })
}

proptest! {
    /// Whatever comes, each row of a finding is a loss beside its curve and its siblings.
    #[test]
    fn every_finding_is_what_the_rule_says(samples in hours()) {
        for finding in found(&file(), samples.clone()) {
            prop_assert_eq!(finding.rows.len(), 3);
            let first = finding.rows.first().map(|at| at.seconds()).unwrap_or_default();
            prop_assert!(finding.at().seconds() - first <= 7_200);
            prop_assert!(finding.since.seconds() <= first);
            for at in finding.rows {
                let (own, others): (Vec<_>, Vec<_>) = samples
                    .iter()
                    .filter(|s| s.at == at)
                    .partition(|s| s.twin == finding.twin);
                let siblings = median(others.iter().map(|s| s.output).collect()).unwrap();
                let lost = own.iter().any(|s| s.drive.0 >= 5_500 && 2 * s.output.0 <= siblings.0);
                prop_assert!(lost && siblings.0 >= 150_000);
            }
        }
    }

    /// The order in which rows of one instant come, and where they are cut into batches, changes
    /// nothing; nor does a pause in which what was learned is put away.
    #[test]
    fn order_batches_and_pauses_change_nothing(
        mut samples in hours(),
        cut in 0usize..300,
        seed in any::<u64>(),
    ) {
        let whole = found(&file(), samples.clone());
        samples.sort_by_key(|s| {
            let shuffled = (s.drive.0 as u64 ^ s.output.0 as u64).wrapping_mul(seed | 1);
            (s.at, shuffled)
        });
        let cut = cut.min(samples.len());
        let (first, rest) = samples.split_at(cut);
        let rule = Rule::new(&file()).unwrap();
        let mut detector = Detector::new(rule.clone());
        let mut findings = detector.take(first.to_vec()).unwrap();
        let mut detector = Detector::resume(rule, detector.judged().clone()).unwrap();
        // All that is held is given again, in parts: it teaches, and what was judged finds nothing.
        for part in first.chunks(40).chain([rest]) {
            findings.extend(detector.take(part.iter().cloned()).unwrap());
        }
        findings.extend(detector.close());
        prop_assert_eq!(findings, whole);
        prop_assert_eq!(detector.late(), 0);
    }
}
