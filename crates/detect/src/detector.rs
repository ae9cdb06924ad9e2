//! Rows in, findings out.
//!
//! Twins are compared with their siblings at one instant, so the rows of an instant are kept until
//! a later one is seen or the caller says that no more will come. Of a twin and an instant the row
//! that came last counts. One that comes after its instant was judged teaches and finds nothing; it
//! is counted.

use crate::curve::Curve;
use crate::milli::{Milli, median};
use crate::rule::Rule;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};

/// The most twins of one fleet.
pub const MAX_TWINS: usize = 1_000;
/// A twin is compared with this many siblings at least.
const LEAST_SIBLINGS: usize = 2;

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
    /// From when on nothing of it may be known any more; `None` when it may be for ever.
    pub keep_until: Option<Timestamp>,
}

/// A row at which a twin gave too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A twin that gave too little for so long that its owner should look. It has times and no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The twin.
    pub twin: String,
    /// The first row at which it gave too little since it last gave what it should; the first of
    /// `rows` when that is earlier.
    pub since: Timestamp,
    /// The rows that make it a finding, the oldest first.
    pub rows: Vec<Timestamp>,
}

impl Finding {
    /// The time of the row that made it.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.rows.last().copied().unwrap_or_default()
    }
}

/// What a detector has judged: times, and no value of any row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The last instant that was judged.
    pub until: Option<Timestamp>,
    /// When each twin that gave too little lately did so, the oldest first.
    pub losses: BTreeMap<String, VecDeque<Timestamp>>,
    /// Until when each twin that was found is not found again.
    pub quiet: BTreeMap<String, Timestamp>,
    /// Twins that gave too little, and have not given what they should since.
    pub losing: BTreeMap<String, Losing>,
}

/// That a twin gives too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losing {
    /// The first row that says so.
    pub since: Timestamp,
    /// Whether it was found.
    pub found: bool,
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

/// What is known of a twin.
#[derive(Debug, Clone, Default)]
struct Known {
    /// What it gives.
    curve: Curve,
    /// From when on no row of it may be known any more; `None` when some may be for ever.
    until: Option<Timestamp>,
}

/// Learns, compares, finds.
#[derive(Debug, Clone)]
pub struct Detector {
    rule: Rule,
    twins: BTreeMap<String, Known>,
    judged: Judged,
    /// Up to which instant rows were judged in a life before this one: they teach, and find
    /// nothing.
    known: Option<Timestamp>,
    /// The last instant of this life.
    last: Option<Timestamp>,
    /// Rows of instants that are not judged yet, by their twins.
    waiting: BTreeMap<Timestamp, BTreeMap<String, Sample>>,
    late: u64,
}

impl Detector {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(rule: Rule) -> Detector {
        Detector {
            rule,
            twins: BTreeMap::new(),
            judged: Judged::default(),
            known: None,
            last: None,
            waiting: BTreeMap::new(),
            late: 0,
        }
    }

    /// One that goes on behind what was judged before. What it had learned it learns anew: give it
    /// the rows again that are still held.
    ///
    /// # Errors
    /// `rule.learned` when that passes a bound.
    pub fn resume(rule: Rule, judged: Judged) -> Result<Detector, Problem> {
        let Judged { losses, quiet, losing, .. } = &judged;
        let twins = [losses.len(), quiet.len(), losing.len()];
        let few = |losses: &VecDeque<Timestamp>| losses.len() <= rule.rows;
        match twins.iter().all(|count| *count <= MAX_TWINS) && losses.values().all(few) {
            true => Ok(Detector { known: judged.until, judged, ..Detector::new(rule) }),
            false => Err(Problem::new(codes::RULE_LEARNED, "what was judged passes a bound")),
        }
    }

    /// What it has judged by now. Rows of instants that are not judged yet are not in it.
    #[must_use]
    pub fn judged(&self) -> &Judged {
        &self.judged
    }

    /// Up to which instant it has judged or learned in this life.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Whether it has not yet learned again up to where it had judged.
    #[must_use]
    pub fn learns_again(&self) -> bool {
        self.known > self.last
    }

    /// What it has learned of a twin; `None` when that is nothing.
    #[must_use]
    pub fn curve(&self, twin: &str) -> Option<&Curve> {
        self.twins.get(twin).map(|known| &known.curve).filter(|curve| !curve.is_empty())
    }

    /// The twins of which it was given a row that may still be known.
    pub fn twins(&self) -> impl Iterator<Item = &str> {
        self.twins.keys().map(String::as_str)
    }

    /// How many rows came after their instant was judged.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Forgets what may not be known any more at that time.
    pub fn forget(&mut self, now: Timestamp) {
        self.twins.retain(|_, known| {
            known.curve.forget(now);
            known.until.is_none_or(|until| until > now)
        });
        let kept = |sample: &Sample| sample.keep_until.is_none_or(|until| until > now);
        self.waiting.retain(|_, rows| {
            rows.retain(|_, sample| kept(sample));
            !rows.is_empty()
        });
    }

    /// Takes rows, in any order, and judges every instant before the latest.
    ///
    /// # Errors
    /// `input.too_large` when there are more twins than a fleet may have; the rows before that are
    /// taken.
    pub fn take(
        &mut self,
        samples: impl IntoIterator<Item = Sample>,
    ) -> Result<Vec<Finding>, Problem> {
        for sample in samples {
            if self.last.is_some_and(|last| sample.at <= last) {
                self.late += 1;
                continue;
            }
            if self.twins.len() >= MAX_TWINS && !self.twins.contains_key(&sample.twin) {
                let why = format!("a fleet has {MAX_TWINS} twins at most");
                return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
            }
            let until = sample.keep_until;
            let first = || Known { until, ..Known::default() };
            let known = self.twins.entry(sample.twin.clone()).or_insert_with(first);
            // None is later than any time.
            known.until = known.until.zip(until).map(|(one, other)| one.max(other));
            self.waiting.entry(sample.at).or_default().insert(sample.twin.clone(), sample);
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
            let (at, rows) = first.remove_entry();
            findings.extend(self.judge(at, &rows));
            self.last = Some(at);
            self.judged.until = self.judged.until.max(self.last);
        }
        self.drop_old();
        findings
    }

    /// What can weigh no more is not kept: no row of later is beside it.
    fn drop_old(&mut self) {
        let Some(until) = self.judged.until else { return };
        let from = until.plus_seconds(-self.rule.within_s);
        self.judged.losses.retain(|_, losses| {
            losses.retain(|at| *at >= from);
            !losses.is_empty()
        });
        self.judged.quiet.retain(|_, quiet| *quiet >= until);
        // Of twins that are gone for ever the oldest go first.
        let Judged { losses, quiet, losing, .. } = &mut self.judged;
        trim(losing, |losing| losing.since);
        trim(quiet, |until| *until);
        trim(losses, |losses| losses.back().copied().unwrap_or_default());
    }

    /// The rows of one instant, each beside those of the other twins.
    fn judge(&mut self, at: Timestamp, rows: &BTreeMap<String, Sample>) -> Vec<Finding> {
        let again = self.known.is_some_and(|known| at <= known);
        let mut findings = Vec::new();
        for sample in rows.values() {
            let others = rows.values().filter(|other| other.twin != sample.twin);
            let others = others.map(|other| other.output).collect();
            let Some(Known { curve, .. }) = self.twins.get_mut(&sample.twin) else { continue };
            match compare(&self.rule, sample, others, curve) {
                usual @ (Compared::Usual | Compared::Good) => {
                    let bin = self.rule.bin_of(sample.drive);
                    curve.learn(bin, sample.output, sample.keep_until);
                    if usual == Compared::Good && !again {
                        self.judged.losing.remove(&sample.twin);
                    }
                }
                // What may be a fault must not become what is expected.
                Compared::Behind => {}
                Compared::Loss(_) if again => {}
                Compared::Loss(_) => findings.extend(self.loss(&sample.twin, at)),
            }
        }
        findings
    }

    fn loss(&mut self, twin: &str, at: Timestamp) -> Option<Finding> {
        let (rule, judged) = (&self.rule, &mut self.judged);
        let losses = judged.losses.entry(twin.to_owned()).or_default();
        losses.push_back(at);
        let from = at.plus_seconds(-rule.within_s);
        while losses.len() > rule.rows || losses.front().is_some_and(|first| *first < from) {
            losses.pop_front();
        }
        let new = Losing { since: at, found: false };
        let losing = judged.losing.entry(twin.to_owned()).or_insert(new);
        let lately = judged.quiet.get(twin).is_some_and(|until| at <= *until);
        // Nor is it another one when nobody could look in between.
        let quiet = lately || losing.found;
        if quiet || losses.len() >= rule.rows {
            // As long as it goes on it is one and the same.
            judged.quiet.insert(twin.to_owned(), at.plus_seconds(rule.again_s));
            losing.found = true;
        }
        let since = losses.front().map_or(losing.since, |first| losing.since.min(*first));
        let rows = losses.iter().copied().collect();
        (!quiet && losses.len() >= rule.rows).then(|| Finding {
            twin: twin.to_owned(),
            since,
            rows,
        })
    }
}

/// No more twins than a fleet has: the oldest go.
fn trim<V>(of: &mut BTreeMap<String, V>, age: impl Fn(&V) -> Timestamp) {
    while of.len() > MAX_TWINS {
        let oldest = of.iter().min_by_key(|(_, value)| age(value)).map(|(twin, _)| twin.clone());
        let Some(oldest) = oldest else { return };
        of.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
