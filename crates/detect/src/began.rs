//! Since when a twin has lost: for its owner, who sees more rows than whoever has found it.

use crate::curve::Curve;
use crate::detector::{Compared, Detector, Dip, Sample, compare};
use crate::milli::Milli;
use crate::rule::Rule;
use std::collections::BTreeMap;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;

/// The losses of a twin that are one and the same with the last one up to a time, the oldest first:
/// none is further from the next than the time after which the rule would find it again. Each row
/// is compared with what all rows up to then have taught; empty when there is no loss in that time.
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
    // From the last one back, until nothing was lost for so long that it was another one.
    for (at, rows) in instants.into_iter().rev() {
        let oldest = losses.last().map_or(until, |dip| dip.at);
        if at.plus_seconds(rule.again_s) < oldest {
            break;
        }
        losses.extend(loss(rule, &rows, twin, curve));
    }
    losses.reverse();
    Ok(losses)
}

/// The loss of a twin at one instant.
fn loss(rule: &Rule, rows: &[&Sample], twin: &str, curve: &Curve) -> Option<Dip> {
    let own = rows.iter().filter(|row| row.twin == twin);
    let others: Vec<Milli> =
        rows.iter().filter(|row| row.twin != twin).map(|row| row.output).collect();
    let compared = own.map(|row| compare(rule, row, others.clone(), curve));
    compared.into_iter().find_map(|one| match one {
        Compared::Loss(dip) => Some(dip),
        Compared::Usual | Compared::Good | Compared::Behind => None,
    })
}

#[cfg(test)]
mod tests {
    use super::losses_until;
    use crate::detector::Sample;
    use crate::milli::Milli;
    use crate::rule::{Rule, tests::file};
    use twinpact_model::Timestamp;

    /// Minutes between two rows.
    const STEP: i64 = 10;

    /// Three twins in good wind, of which the first gives nothing at these steps.
    fn fleet(steps: i64, still: &[i64]) -> Vec<Sample> {
        let row = |twin: &str, step: i64, power: i64| Sample {
            twin: twin.to_owned(),
            at: Timestamp::from_seconds(step * STEP * 60),
            drive: Milli(8_000),
            output: Milli(power * 1_000),
            keep_until: None,
        };
        let instant = |step: i64| {
            let power = if still.contains(&step) { 0 } else { 600 };
            [row("a", step, power), row("b", step, 600), row("c", step, 600)]
        };
        (0..steps).flat_map(instant).collect()
    }

    #[test]
    fn one_loss_goes_back_to_where_nothing_was_lost_for_long() {
        let rule = Rule::new(&file()).unwrap();
        let steps = |still: &[i64], until: i64| -> Vec<i64> {
            let until = Timestamp::from_seconds(until * STEP * 60);
            let mut samples = fleet(120, still);
            // In whatever order they come.
            samples.reverse();
            let losses = losses_until(&rule, &samples, "a", until).unwrap();
            losses.iter().map(|dip| dip.at.seconds() / 60 / STEP).collect()
        };
        assert_eq!(steps(&[50, 51, 52], 52), [50, 51, 52]);
        // What comes later is not known yet.
        assert_eq!(steps(&[50, 51, 52, 53], 52), [50, 51, 52]);
        // Six hours without are the end of it: 36 steps.
        assert_eq!(steps(&[14, 50, 51], 51), [14, 50, 51]);
        assert_eq!(steps(&[13, 50, 51], 51), [50, 51]);
        assert_eq!(steps(&[13], 51), Vec::<i64>::new());
        assert_eq!(steps(&[], 51), Vec::<i64>::new());
    }
}
