//! What a loss is, as its owner writes it down.

use crate::milli::Milli;
use serde::{Deserialize, Serialize};
use twinpact_model::problem::Problem;
use twinpact_model::time::parse_duration;
use twinpact_model::{Direction, Predicate, SmolStr, codes};

/// The most rows that a rule may ask for.
pub const MAX_RULE_ROWS: usize = 144;
/// The most steps of its walk.
pub const MAX_HOPS: usize = 8;
/// The most measures that it asks for.
pub const MAX_MEASURES: usize = 8;
/// The longest time that a rule may look over, in seconds: a week.
const MAX_WITHIN_S: u64 = 7 * 86_400;

/// A rule as it stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// What the finding is called.
    pub name: SmolStr,
    /// The column of the view that drives the other: the wind speed of a turbine.
    pub drive: SmolStr,
    /// The column that follows: its power.
    pub output: SmolStr,
    /// The width of a bin of the curve, in the unit of the drive.
    pub bin: f64,
    /// How many rows near a level the curve needs before it says what is to be expected there.
    pub learn: usize,
    /// Rows with less drive are not judged.
    pub drive_from: f64,
    /// Neither are rows at which the siblings, or its own curve, give less than this.
    pub expect_from: f64,
    /// A row is a loss when the twin gives at most this share of both; between 0 and 1.
    pub share: f64,
    /// So many losses are a finding,
    pub rows: usize,
    /// when they lie within this time (ISO 8601 duration).
    pub within: String,
    /// The same twin is not found again before it has had no loss for this time, and has given
    /// once what it should.
    pub again_after: String,
    /// Over which links it is traced from the twin that was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub walk: Vec<Hop>,
    /// What the owners are asked to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contain: Vec<Measure>,
}

/// One step of a walk: over every link of one kind, from every twin that the step before came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// The kind of link.
    pub via: Predicate,
    /// The way that it leads, or back.
    pub direction: Direction,
}

/// What the owners of some of the twins are asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Those that were come to by these steps of the walk; 0 is the twin that was found.
    pub reached: Vec<usize>,
    /// What is to be done with them.
    pub measure: String,
    /// Why. It goes to every owner as it stands here, so it is to say nothing that another owner
    /// has shown.
    pub reason: String,
}

/// A rule that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(crate) name: SmolStr,
    pub(crate) drive: SmolStr,
    pub(crate) output: SmolStr,
    pub(crate) bin: Milli,
    pub(crate) learn: usize,
    pub(crate) drive_from: Milli,
    pub(crate) expect_from: Milli,
    pub(crate) permille: i64,
    pub(crate) rows: usize,
    pub(crate) within_s: i64,
    pub(crate) again_s: i64,
}

impl Rule {
    /// The rule of that file.
    ///
    /// # Errors
    /// `rule.invalid` with the key that cannot be so.
    pub fn new(file: &RuleFile) -> Result<Rule, Problem> {
        let number = |key: &str, value: f64, least: i64| {
            Milli::of(value)
                .filter(|number| number.0 >= least)
                .ok_or_else(|| refused(key, "is too small, or no number that can be counted with"))
        };
        let seconds = |key: &str, text: &str| match parse_duration(text) {
            Ok(seconds @ 1..=MAX_WITHIN_S) => Ok(i64::try_from(seconds).unwrap_or(i64::MAX)),
            _ => Err(refused(key, "is no duration between PT1S and P7D")),
        };
        let among = |key: &str, count: usize| match count {
            1..=MAX_RULE_ROWS => Ok(count),
            _ => Err(refused(key, &format!("is not between 1 and {MAX_RULE_ROWS}"))),
        };
        if file.drive == file.output {
            return Err(refused("output", "is the column that drives it"));
        }
        pursued(file)?;
        let share = number("share", file.share, 0)?;
        if share.0 >= 1_000 {
            return Err(refused("share", "is not below 1"));
        }
        Ok(Rule {
            name: file.name.clone(),
            drive: file.drive.clone(),
            output: file.output.clone(),
            bin: number("bin", file.bin, 1)?,
            learn: among("learn", file.learn)?,
            drive_from: number("drive_from", file.drive_from, i64::MIN)?,
            expect_from: number("expect_from", file.expect_from, 1)?,
            permille: share.0,
            rows: among("rows", file.rows)?,
            within_s: seconds("within", &file.within)?,
            again_s: seconds("again_after", &file.again_after)?,
        })
    }

    /// What the finding is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns that it reads: the one that drives, and the one that follows.
    #[must_use]
    pub fn columns(&self) -> (&str, &str) {
        (&self.drive, &self.output)
    }

    /// The bin of a level.
    pub(crate) fn bin_of(&self, drive: Milli) -> i64 {
        drive.0.div_euclid(self.bin.0)
    }

    /// The level at the middle of a bin.
    #[must_use]
    pub fn level(&self, bin: i64) -> Milli {
        Milli(bin.saturating_mul(self.bin.0).saturating_add(self.bin.0 / 2))
    }
}

/// That what follows a finding can be done.
fn pursued(file: &RuleFile) -> Result<(), Problem> {
    if file.walk.len() > MAX_HOPS {
        return Err(refused("walk", &format!("has more than {MAX_HOPS} steps")));
    }
    if file.contain.len() > MAX_MEASURES {
        return Err(refused("contain", &format!("asks for more than {MAX_MEASURES} things")));
    }
    let reaches = |one: &Measure| {
        !one.reached.is_empty() && one.reached.iter().all(|step| *step <= file.walk.len())
    };
    match file.contain.iter().all(reaches) {
        true => Ok(()),
        false => Err(refused("reached", "names no step, or one that the walk does not have")),
    }
}

fn refused(key: &str, why: &str) -> Problem {
    Problem::new(codes::RULE_INVALID, format!("{key} of the rule {why}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Hop, MAX_HOPS, MAX_MEASURES, MAX_RULE_ROWS, Measure, Rule, RuleFile};
    use twinpact_model::{Direction, Predicate};

    pub(crate) fn file() -> RuleFile {
        RuleFile {
            name: "power-loss".into(),
            drive: "wind_speed".into(),
            output: "power".into(),
            bin: 0.5,
            learn: 3,
            drive_from: 5.5,
            expect_from: 150.0,
            share: 0.5,
            rows: 3,
            within: "PT2H".to_owned(),
            again_after: "PT6H".to_owned(),
            walk: Vec::new(),
            contain: Vec::new(),
        }
    }

    #[test]
    fn each_key_has_its_bounds() {
        assert!(Rule::new(&file()).is_ok());
        let check = |change: &dyn Fn(&mut RuleFile), expect: Option<&str>| {
            let mut file = file();
            change(&mut file);
            let got = Rule::new(&file).err();
            let key = got.as_ref().map(|p| p.message.split(' ').next().unwrap_or_default());
            assert_eq!(key, expect, "{got:?}");
            assert!(got.is_none_or(|problem| problem.code.name == "rule.invalid"));
        };
        check(&|f| f.output = f.drive.clone(), Some("output"));
        check(&|f| f.bin = 0.0, Some("bin"));
        check(&|f| f.bin = f64::NAN, Some("bin"));
        check(&|f| f.learn = 0, Some("learn"));
        check(&|f| f.drive_from = f64::INFINITY, Some("drive_from"));
        check(&|f| f.drive_from = -40.0, None);
        check(&|f| f.expect_from = 0.0, Some("expect_from"));
        check(&|f| f.share = 1.0, Some("share"));
        check(&|f| f.share = -0.1, Some("share"));
        check(&|f| f.share = 0.0, None);
        check(&|f| f.rows = MAX_RULE_ROWS, None);
        check(&|f| f.rows = MAX_RULE_ROWS + 1, Some("rows"));
        check(&|f| f.within = "P7D".to_owned(), None);
        check(&|f| f.within = "P8D".to_owned(), Some("within"));
        check(&|f| f.within = "PT0S".to_owned(), Some("within"));
        check(&|f| f.again_after = "soon".to_owned(), Some("again_after"));
        let hop = || Hop { via: Predicate::PartOf, direction: Direction::In };
        check(&|f| f.walk = vec![hop(); MAX_HOPS], None);
        check(&|f| f.walk = vec![hop(); MAX_HOPS + 1], Some("walk"));
        let ask = |reached: &[usize]| Measure {
            reached: reached.to_vec(),
            measure: "look".to_owned(),
            reason: "it may fail".to_owned(),
        };
        check(&|f| f.contain = vec![ask(&[0]); MAX_MEASURES], None);
        check(&|f| f.contain = vec![ask(&[0]); MAX_MEASURES + 1], Some("contain"));
        check(&|f| f.contain = vec![ask(&[])], Some("reached"));
        check(&|f| f.contain = vec![ask(&[0, 1])], Some("reached"));
        check(&|f| (f.walk, f.contain) = (vec![hop()], vec![ask(&[0, 1])]), None);
    }
}
