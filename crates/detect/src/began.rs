//! Since when a twin has lost: for its owner, who sees more rows than whoever has found it.

use crate::curve::Curve;
use crate::detector::{Compared, Detector, Dip, Sample, compare};
use crate::milli::Milli;
use crate::rule::Rule;
use std::collections::BTreeMap;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;

/// The losses of a twin up to a time, the oldest first, since it last gave what it should; those
/// before that too which the rule needs for a finding at that time. A calm, a night, or hours
/// without rows are no end. So whoever sees the same rows as the one who has found it says the same
/// time ([`Finding::since`](crate::Finding::since)). Each row is compared with what all rows up to
/// then have taught.
///
/// # Errors
/// `input.too_large` when there are more twins than a fleet may have.
pub fn losses_until(
    rule: &Rule,
    samples: &[Sample],
    twin: &str,
    until: Timestamp,
) -> Result<Vec<Dip>, Problem> {
    let known = || samples.iter().filter(|sample| sample.at <= until);
    let mut detector = Detector::new(rule.clone());
    let mut in_order: Vec<Sample> = known().cloned().collect();
    in_order.sort_by_key(|sample| sample.at);
    detector.take(in_order)?;
    detector.close();
    // What may be a loss has taught it nothing.
    let unknown = Curve::default();
    let curve = detector.curve(twin).unwrap_or(&unknown);
    // Of a twin and an instant the last row counts, as for the detector.
    let mut instants: BTreeMap<Timestamp, BTreeMap<&str, &Sample>> = BTreeMap::new();
    for sample in known() {
        instants.entry(sample.at).or_default().insert(&sample.twin, sample);
    }
    let mut losses: Vec<Dip> = Vec::new();
    let mut gave = false;
    let from = until.plus_seconds(-rule.within_s);
    for (at, rows) in instants.into_iter().rev() {
        if gave && (losses.len() >= rule.rows || at < from) {
            break;
        }
        match judged(rule, &rows, twin, curve) {
            Compared::Loss(dip) => losses.push(dip),
            Compared::Good => gave = true,
            Compared::Usual | Compared::Behind => {}
        }
    }
    losses.reverse();
    Ok(losses)
}

/// What a twin was at one instant.
fn judged(rule: &Rule, rows: &BTreeMap<&str, &Sample>, twin: &str, curve: &Curve) -> Compared {
    let others = rows.iter().filter(|(other, _)| **other != twin);
    let others: Vec<Milli> = others.map(|(_, row)| row.output).collect();
    rows.get(twin).map_or(Compared::Usual, |row| compare(rule, row, others, curve))
}

#[cfg(test)]
mod tests {
    use super::losses_until;
    use crate::detector::{Detector, Sample};
    use crate::milli::Milli;
    use crate::rule::{Rule, RuleFile, tests::file};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use twinpact_model::Timestamp;

    /// Minutes between two rows.
    const STEP: i64 = 10;

    /// What the first of three twins does at one step.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Does {
        /// It gives what the others give.
        Gives,
        /// It gives nothing in a wind in which the others do.
        Stands,
        /// There is no wind.
        Calm,
        /// There is no row of it.
        Silent,
    }

    /// The rows of three twins, of which the first does this, step by step.
    fn fleet(steps: &[Does]) -> Vec<Sample> {
        let row = |twin: &str, step: usize, drive: i64, power: i64| Sample {
            twin: twin.to_owned(),
            at: at(step),
            drive: Milli(drive * 1_000),
            output: Milli(power * 1_000),
            keep_until: None,
        };
        let instant = |(step, does): (usize, &Does)| {
            let (drive, power) = if *does == Does::Calm { (2, 0) } else { (8, 600) };
            let own = match does {
                Does::Silent => None,
                Does::Stands => Some(row("a", step, drive, 0)),
                Does::Gives | Does::Calm => Some(row("a", step, drive, power)),
            };
            let others = ["b", "c"].map(|twin| row(twin, step, drive, power));
            own.into_iter().chain(others)
        };
        steps.iter().enumerate().flat_map(instant).collect()
    }

    fn at(step: usize) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(step).unwrap() * STEP * 60)
    }

    /// The steps of the losses that are one with the last up to a step.
    fn losses(steps: &[Does], until: usize) -> Vec<usize> {
        let rule = Rule::new(&file()).unwrap();
        let mut samples = fleet(steps);
        // In whatever order they come.
        samples.reverse();
        let losses = losses_until(&rule, &samples, "a", at(until)).unwrap();
        let step = |at: Timestamp| usize::try_from(at.seconds() / 60 / STEP).unwrap();
        losses.iter().map(|dip| step(dip.at)).collect()
    }

    use Does::{Calm, Gives, Silent, Stands};

    #[test]
    fn a_loss_goes_back_to_where_the_twin_gave_what_it_should() {
        let check = |parts: &[(Does, usize)], expect: &[usize]| {
            // So that it is known what the twin gives.
            let parts = [&[(Gives, 10)], parts].concat();
            let step = |(does, count): (Does, usize)| vec![does; count];
            let steps: Vec<Does> = parts.into_iter().flat_map(step).collect();
            assert_eq!(losses(&steps, steps.len() - 1), expect, "{steps:?}");
        };
        check(&[(Stands, 3)], &[10, 11, 12]);
        check(&[(Stands, 5)], &[10, 11, 12, 13, 14]);
        // What cannot be judged is no end, however long it lasts.
        check(&[(Stands, 1), (Calm, 100), (Stands, 3)], &[10, 111, 112, 113]);
        check(&[(Stands, 1), (Silent, 100), (Stands, 3)], &[10, 111, 112, 113]);
        check(&[(Stands, 1), (Calm, 1), (Silent, 1), (Stands, 1), (Calm, 1)], &[10, 13]);
        // One good row is, wherever it is.
        check(&[(Stands, 1), (Calm, 50), (Gives, 1), (Silent, 50), (Stands, 3)], &[112, 113, 114]);
        check(&[(Stands, 3), (Gives, 1), (Stands, 3)], &[14, 15, 16]);
        check(&[(Stands, 3), (Gives, 1), (Stands, 4)], &[14, 15, 16, 17]);
        // But the rule needs three rows of the last two hours, which are twelve steps.
        check(&[(Stands, 3), (Gives, 1), (Stands, 2)], &[12, 14, 15]);
        check(&[(Stands, 1), (Gives, 10), (Stands, 2)], &[10, 21, 22]);
        check(&[(Stands, 1), (Gives, 11), (Stands, 2)], &[22, 23]);
        // It has ended, or there was none.
        check(&[(Stands, 3), (Gives, 12)], &[12]);
        check(&[(Stands, 3), (Gives, 13)], &[]);
        check(&[(Gives, 20)], &[]);
    }

    #[test]
    fn what_comes_later_is_not_known_yet() {
        let steps = [vec![Gives; 10], vec![Stands; 4], vec![Gives; 4]].concat();
        for (until, expect) in [(12, 10..13), (13, 10..14)] {
            assert_eq!(losses(&steps, until), expect.collect::<Vec<_>>());
        }
    }

    proptest! {
        /// The law: whoever sees the same rows as the detector says the same time.
        #[test]
        fn the_same_rows_say_the_same_time(
            runs in vec((0..4_usize, 1..20_usize), 1..40),
            rows in 1..6_usize,
        ) {
            let mut steps = vec![Gives; 10];
            for (does, count) in runs {
                steps.extend(vec![[Gives, Stands, Calm, Silent][does]; count]);
            }
            let rule = Rule::new(&RuleFile { rows, ..file() }).unwrap();
            let samples = fleet(&steps);
            let mut detector = Detector::new(rule.clone());
            let mut found = detector.take(samples.clone()).unwrap();
            found.extend(detector.close());
            for finding in found {
                let losses = losses_until(&rule, &samples, "a", finding.at()).unwrap();
                prop_assert_eq!(losses.first().map(|dip| dip.at), Some(finding.since));
            }
        }
    }
}
