//! Rows in, findings out.
//!
//! Twins are compared with their siblings at one instant, so the rows of an instant are kept until
//! a later one is seen or the caller says that no more will come. A row that comes after its
//! instant was judged teaches and finds nothing; it is counted.

use crate::curve::Curve;
use crate::milli::{Milli, median};
use crate::rule::Rule;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};

/// The most twins of one fleet.
pub const MAX_TWINS: usize = 1_000;
/// A twin is compared with this many siblings at least.
const LEAST_SIBLINGS: usize = 2;
/// The most rows of one instant that are compared; a fleet whose hour occurs twice has two a twin.
const MAX_INSTANT: usize = 4 * MAX_TWINS;

/// What one row of a view says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The twin.
    pub twin: String,
    /// When it was so.
    pub at: Timestamp,
    /// What drove it.
    pub drive: Milli,
    /// What it gave.
    pub output: Milli,
}

/// A row at which a twin gave too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dip {
    /// When.
    pub at: Timestamp,
    /// What drove it.
    pub drive: Milli,
    /// What it gave.
    pub output: Milli,
    /// What its curve gives at that level.
    pub expected: Milli,
    /// What its siblings gave: their median.
    pub siblings: Milli,
}

/// A twin that gave too little for so long that its owner should look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The twin.
    pub twin: String,
    /// The rows that say so, the oldest first.
    pub dips: Vec<Dip>,
}

impl Finding {
    /// The time of the row that made it.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.dips.last().map(|dip| dip.at).unwrap_or_default()
    }
}

/// What a detector has learned, to go on from later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// What each twin gives.
    pub curves: BTreeMap<String, Curve>,
    /// The last losses of each twin that had any lately, the oldest first.
    pub dips: BTreeMap<String, VecDeque<Dip>>,
    /// Until when each twin that was found is not found again.
    pub quiet: BTreeMap<String, Timestamp>,
    /// Twins that were found, and have not given what they should since.
    #[serde(default)]
    pub losing: BTreeSet<String>,
    /// The last instant that was judged.
    pub judged: Option<Timestamp>,
}

/// A row beside its siblings and its curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Nothing is known against it.
    Usual,
    /// It gives what it should beside its siblings, in which that can be judged.
    Good,
    /// It gives too little beside its siblings, and its curve does not say what it should give, or
    /// says as little.
    Behind,
    /// It gives too little beside both.
    Loss(Dip),
}

/// Compares a row with what its siblings gave at that instant, and with what was learned of it.
#[must_use]
pub fn compare(rule: &Rule, sample: &Sample, others: Vec<Milli>, curve: &Curve) -> Compared {
    let judged = |should: &Milli| sample.drive >= rule.drive_from && *should >= rule.expect_from;
    let too_little =
        |should: &Milli| judged(should) && sample.output <= should.share(rule.permille);
    let siblings = (others.len() >= LEAST_SIBLINGS).then(|| median(others)).flatten();
    let Some(siblings) = siblings.filter(judged) else { return Compared::Usual };
    if !too_little(&siblings) {
        return Compared::Good;
    }
    let expected = curve.at(rule.bin_of(sample.drive), rule.learn);
    let Some(expected) = expected.filter(too_little) else { return Compared::Behind };
    let Sample { at, drive, output, .. } = *sample;
    Compared::Loss(Dip { at, drive, output, expected, siblings })
}

/// Learns, compares, finds.
#[derive(Debug, Clone)]
pub struct Detector {
    rule: Rule,
    learned: Learned,
    /// Rows of instants that are not judged yet.
    waiting: BTreeMap<Timestamp, Vec<Sample>>,
    late: u64,
}

impl Detector {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(rule: Rule) -> Detector {
        Detector { rule, learned: Learned::default(), waiting: BTreeMap::new(), late: 0 }
    }

    /// One that goes on with what was learned before.
    ///
    /// # Errors
    /// `rule.learned` when that passes a bound.
    pub fn resume(rule: Rule, learned: Learned) -> Result<Detector, Problem> {
        let Learned { curves, dips, quiet, losing, .. } = &learned;
        let twins = [curves.len(), dips.len(), quiet.len(), losing.len()];
        let few = |dips: &VecDeque<Dip>| dips.len() <= rule.rows;
        let bounded = twins.iter().all(|count| *count <= MAX_TWINS)
            && learned.curves.values().all(Curve::is_bounded)
            && learned.dips.values().all(few);
        match bounded {
            true => Ok(Detector { learned, ..Detector::new(rule) }),
            false => Err(Problem::new(codes::RULE_LEARNED, "what was learned passes a bound")),
        }
    }

    /// What it knows by now. Rows of instants that are not judged yet are not in it: give them
    /// again.
    #[must_use]
    pub fn learned(&self) -> &Learned {
        &self.learned
    }

    /// How many rows came after their instant was judged.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Takes rows, in any order, and judges every instant before the latest.
    ///
    /// # Errors
    /// `input.too_large` when there are more twins, or rows of one instant, than a fleet may have;
    /// the rows before that are taken.
    pub fn take(
        &mut self,
        samples: impl IntoIterator<Item = Sample>,
    ) -> Result<Vec<Finding>, Problem> {
        for sample in samples {
            if self.learned.judged.is_some_and(|judged| sample.at <= judged) {
                self.late += 1;
                continue;
            }
            let twins = &self.learned.curves;
            if twins.len() >= MAX_TWINS && !twins.contains_key(&sample.twin) {
                return Err(too_large(&format!("{MAX_TWINS} twins")));
            }
            self.learned.curves.entry(sample.twin.clone()).or_default();
            let instant = self.waiting.entry(sample.at).or_default();
            if instant.len() >= MAX_INSTANT {
                return Err(too_large(&format!("{MAX_INSTANT} rows of one instant")));
            }
            instant.push(sample);
        }
        let latest = self.waiting.last_key_value().map(|(at, _)| *at);
        Ok(latest.map(|latest| self.judge_before(latest)).unwrap_or_default())
    }

    /// Judges what waits: no more rows of these instants will come.
    pub fn close(&mut self) -> Vec<Finding> {
        let end = Timestamp::from_micros(i64::MAX);
        self.judge_before(end)
    }

    fn judge_before(&mut self, end: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && *first.key() < end
        {
            let (at, mut samples) = first.remove_entry();
            // By value, so that the order in which they came changes nothing.
            samples.sort_by(|a, b| (&a.twin, a.drive, a.output).cmp(&(&b.twin, b.drive, b.output)));
            findings.extend(self.judge(&samples));
            self.learned.judged = Some(at);
        }
        self.forget();
        findings
    }

    /// What can weigh no more is not kept: no row of later is beside it.
    fn forget(&mut self) {
        let Some(judged) = self.learned.judged else { return };
        let from = judged.plus_seconds(-self.rule.within_s);
        self.learned.dips.retain(|_, dips| {
            dips.retain(|dip| dip.at >= from);
            !dips.is_empty()
        });
        self.learned.quiet.retain(|_, until| *until >= judged);
    }

    /// The rows of one instant, each beside those of the other twins.
    fn judge(&mut self, samples: &[Sample]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for sample in samples {
            let others = samples.iter().filter(|other| other.twin != sample.twin);
            let others = others.map(|other| other.output).collect();
            let curve = self.learned.curves.entry(sample.twin.clone()).or_default();
            match compare(&self.rule, sample, others, curve) {
                usual @ (Compared::Usual | Compared::Good) => {
                    curve.learn(self.rule.bin_of(sample.drive), sample.output);
                    if usual == Compared::Good {
                        self.learned.losing.remove(&sample.twin);
                    }
                }
                // What may be a fault must not become what is expected.
                Compared::Behind => {}
                Compared::Loss(dip) => findings.extend(self.loss(&sample.twin, dip)),
            }
        }
        findings
    }

    fn loss(&mut self, twin: &str, dip: Dip) -> Option<Finding> {
        let rule = &self.rule;
        let dips = self.learned.dips.entry(twin.to_owned()).or_default();
        dips.push_back(dip);
        let from = dip.at.plus_seconds(-rule.within_s);
        while dips.len() > rule.rows || dips.front().is_some_and(|first| first.at < from) {
            dips.pop_front();
        }
        let lately = self.learned.quiet.get(twin).is_some_and(|until| dip.at <= *until);
        // Nor is it another one when nobody could look in between.
        let quiet = lately || self.learned.losing.contains(twin);
        if quiet || dips.len() >= rule.rows {
            // As long as it goes on it is one and the same.
            self.learned.quiet.insert(twin.to_owned(), dip.at.plus_seconds(rule.again_s));
            self.learned.losing.insert(twin.to_owned());
        }
        (!quiet && dips.len() >= rule.rows)
            .then(|| Finding { twin: twin.to_owned(), dips: dips.iter().copied().collect() })
    }
}

fn too_large(what: &str) -> Problem {
    Problem::new(codes::INPUT_TOO_LARGE, format!("a fleet has {what} at most"))
}

#[cfg(test)]
mod tests;
