//! Since when a twin has lost: for its owner, who sees more rows than whoever has found it.

use crate::curve::Curve;
use crate::detector::{Compared, Detector, Dip, Sample, compare};
use crate::milli::Milli;
use crate::rule::Rule;
use std::collections::BTreeMap;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;

/// The losses of a twin that are one and the same with the last one up to a time, the oldest first,
/// as the detector sees it too: another one begins after so long without a loss that the rule would
/// find it again, if the twin gave once in that time what it should. A calm, a night, or hours
/// without rows are no end. Each row is compared with what all rows up to then have taught; empty
/// when no loss is one and the same with that time.
///
/// # Errors
/// `input.too_large` when there are more twins, or rows of one instant, than a fleet may have.
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
    let mut instants: BTreeMap<Timestamp, Vec<&Sample>> = BTreeMap::new();
    known().for_each(|sample| instants.entry(sample.at).or_default().push(sample));
    let mut losses: Vec<Dip> = Vec::new();
    let mut gave = false;
    // From the last one back, until nothing was lost for so long that it was another one.
    for (at, rows) in instants.into_iter().rev() {
        let oldest = losses.last().map_or(until, |dip| dip.at);
        if gave && at.plus_seconds(rule.again_s) < oldest {
            break;
        }
        match judged(rule, &rows, twin, curve) {
            Compared::Loss(dip) => {
                losses.push(dip);
                gave = false;
            }
            Compared::Good => gave = true,
            Compared::Usual | Compared::Behind => {}
        }
    }
    losses.reverse();
    Ok(losses)
}

/// What a twin was at one instant. Of two rows a loss says more than any other, and a good one more
/// than one that says nothing.
fn judged(rule: &Rule, rows: &[&Sample], twin: &str, curve: &Curve) -> Compared {
    let others: Vec<Milli> =
        rows.iter().filter(|row| row.twin != twin).map(|row| row.output).collect();
    let own = rows.iter().filter(|row| row.twin == twin);
    let all = own.map(|row| compare(rule, row, others.clone(), curve));
    let weight = |one: &Compared| match one {
        Compared::Loss(_) => 2,
        Compared::Good => 1,
        Compared::Usual | Compared::Behind => 0,
    };
    all.max_by_key(weight).unwrap_or(Compared::Usual)
}

#[cfg(test)]
mod tests {
    use super::losses_until;
    use crate::detector::{Detector, Finding, Sample};
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

    #[test]
    fn one_loss_goes_back_to_where_nothing_was_lost_for_long() {
        let check = |still: &[usize], until: usize, expect: &[usize]| {
            let does = |step| if still.contains(&step) { Does::Stands } else { Does::Gives };
            let steps: Vec<Does> = (0..120).map(does).collect();
            assert_eq!(losses(&steps, until), expect, "{still:?} {until}");
        };
        check(&[50, 51, 52], 52, &[50, 51, 52]);
        // What comes later is not known yet.
        check(&[50, 51, 52, 53], 52, &[50, 51, 52]);
        // Six hours without are the end of it: 36 steps.
        check(&[14, 50, 51], 51, &[14, 50, 51]);
        check(&[13, 50, 51], 51, &[50, 51]);
        check(&[13], 51, &[]);
        check(&[], 51, &[]);
    }

    #[test]
    fn what_cannot_be_judged_ends_no_loss() {
        use Does::{Calm, Gives, Silent, Stands};
        let check = |between: &[(Does, usize)], one: bool| {
            let all = [&[(Gives, 10), (Stands, 1)], between, &[(Stands, 3)]].concat();
            let steps: Vec<Does> =
                all.into_iter().flat_map(|(does, count)| vec![does; count]).collect();
            let (until, last) = (steps.len() - 1, steps.len() - 3);
            let mut expect: Vec<usize> = (last..=until).collect();
            if one {
                expect.insert(0, 10);
            }
            assert_eq!(losses(&steps, until), expect, "{between:?}");
        };
        check(&[(Calm, 100)], true);
        check(&[(Silent, 100)], true);
        check(&[(Calm, 50), (Silent, 50)], true);
        // Whoever gave once what it should was well, whenever that was,
        check(&[(Calm, 50), (Gives, 1), (Silent, 50)], false);
        check(&[(Gives, 1), (Calm, 36)], false);
        check(&[(Calm, 36), (Gives, 1)], false);
        // if it had no loss for more than six hours.
        check(&[(Calm, 20), (Gives, 1), (Calm, 14)], true);
        check(&[(Calm, 20), (Gives, 1), (Calm, 15)], false);
    }

    proptest! {
        /// The law: where a loss begins for its owner, a detector that needs one row would find it.
        #[test]
        fn a_loss_begins_where_the_detector_would_find_it(
            runs in vec((0..4_usize, 1..60_usize), 1..12)
        ) {
            let all = [Does::Gives, Does::Stands, Does::Calm, Does::Silent];
            // What it gives is known before anything is lost.
            let mut steps = vec![Does::Gives; 10];
            let mut ends = Vec::new();
            for (does, count) in runs {
                steps.extend(vec![all[does]; count]);
                ends.extend((all[does] == Does::Stands).then(|| at(steps.len() - 1)));
            }
            let rule = Rule::new(&RuleFile { rows: 1, ..file() }).unwrap();
            let samples = fleet(&steps);
            let mut detector = Detector::new(rule.clone());
            let mut found = detector.take(samples.clone()).unwrap();
            found.extend(detector.close());
            for end in ends {
                let losses = losses_until(&rule, &samples, "a", end).unwrap();
                let began = found.iter().map(Finding::at).filter(|at| *at <= end).max();
                prop_assert_eq!(losses.first().map(|dip| dip.at), began);
            }
        }
    }
}
