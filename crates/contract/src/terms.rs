//! The normal form of ODRL terms, "onf/1": one form for one spelling-free meaning.
//!
//! Rules are sorted by their canonical text and stand once; one-element arrays are scalars; names
//! are full IRIs; durations are seconds; times are RFC 3339 in UTC; schedules are seven lists of
//! half-open minute intervals and an IANA zone; a condition that nobody here can decide
//! ([`crate::catenax`]) stands with its operand, its operator and its sorted values. It removes
//! spelling, not logic: two constraints of one rule both stay. Later operands add to it without
//! changing what old agreements hash to.

use crate::catenax::{CATENAX, Undecided};
use std::collections::{BTreeMap, BTreeSet};
use twinpact_model::time::format_duration;
use twinpact_model::{Problem, Schedule, Timestamp, codes};
use twinpact_proof::digest::{Digest, sha256};
use twinpact_proof::json::Json;

/// The ODRL vocabulary (ODRL Vocabulary 2.2).
pub const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
/// Our own left operand: a weekly schedule in local time.
pub const LOCAL_SCHEDULE: &str = "https://w3id.org/twinpact/odrl/localSchedule";
/// The most permissions, and the most prohibitions, of one policy.
pub const MAX_RULES: usize = 16;
/// The most constraints of one rule: each operand of the Catena-X profile once, and more of ours.
pub const MAX_CONSTRAINTS: usize = 32;
/// The longest period of a duty, in seconds: ten thousand years, as for every duration.
pub const MAX_PERIOD_S: u64 = 315_576_000_000;
/// The most values of one right operand.
pub const MAX_VALUES: usize = 64;

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// `odrl:use`: read the view and work with it.
    Use,
    /// `access` of the Catena-X profile: see that there is an offer. Nothing here asks for it.
    Access,
}

impl Action {
    /// The full IRI.
    #[must_use]
    pub fn iri(self) -> String {
        match self {
            Action::Use => format!("{ODRL}use"),
            Action::Access => format!("{CATENAX}access"),
        }
    }

    /// The verb: `use` or `access`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Action::Use => "use",
            Action::Access => "access",
        }
    }
}

/// How a purpose is compared with a set of purposes. A kind of a purpose counts as that purpose,
/// except for `Eq`. `isA` is written as `AnyOf` of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PurposeTest {
    /// One of them or a kind of one.
    AnyOf,
    /// All of them at once.
    AllOf,
    /// None of them and no kind of one.
    NoneOf,
    /// Exactly that one.
    Eq,
}

/// How a place is compared with a set of regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceTest {
    /// Within one of them: `isPartOf` one, or `isAnyOf` several.
    Within,
    /// Exactly that one.
    Exactly,
}

/// How the policy clock is compared with an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeTest {
    /// Before it.
    Lt,
    /// Not after it.
    Lteq,
    /// After it.
    Gt,
    /// Not before it.
    Gteq,
    /// At that microsecond.
    Eq,
}

impl TimeTest {
    /// The ODRL operator.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TimeTest::Lt => "lt",
            TimeTest::Lteq => "lteq",
            TimeTest::Gt => "gt",
            TimeTest::Gteq => "gteq",
            TimeTest::Eq => "eq",
        }
    }
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// What it is used for.
    Purpose {
        /// How it is compared.
        test: PurposeTest,
        /// Full IRIs; sorted, each once, at least one.
        purposes: Vec<String>,
    },
    /// Where it is used.
    Place {
        /// How it is compared.
        test: PlaceTest,
        /// Full IRIs; sorted, each once, at least one.
        regions: Vec<String>,
    },
    /// At which hours of the week it is used.
    Schedule(Schedule),
    /// From when or until when it is used.
    Time {
        /// How it is compared.
        test: TimeTest,
        /// The instant.
        at: Timestamp,
    },
    /// A condition that is known and that nobody here can decide.
    Undecided(Undecided),
}

/// A permission or a prohibition: an action, and the conditions that must all hold for it to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What may be done or not. A list of actions in ODRL is one rule for each.
    pub action: Action,
    /// The conditions; none means always.
    pub constraints: Vec<Constraint>,
}

/// What the assignee must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Delete every copy so many seconds after it was received at the latest.
    Delete {
        /// The seconds.
        within_s: u64,
    },
}

/// Terms in normal form. The fields are private so that there is no other form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    permissions: Vec<Rule>,
    prohibitions: Vec<Rule>,
    obligations: Vec<Duty>,
    undecided_duties: Vec<Rule>,
}

impl Terms {
    /// The normal form of these rules. Of several duties to delete the strictest stays.
    ///
    /// # Errors
    /// `contract.term_shape` when there is neither a permission nor a prohibition, a set of values
    /// is empty, `Eq` or `Exactly` has several values, or one of the bounds [`MAX_RULES`],
    /// [`MAX_CONSTRAINTS`], [`MAX_VALUES`], [`MAX_PERIOD_S`] is passed.
    pub fn new(
        permissions: Vec<Rule>,
        prohibitions: Vec<Rule>,
        obligations: Vec<Duty>,
    ) -> Result<Self, Problem> {
        if permissions.is_empty() && prohibitions.is_empty() {
            return Err(shape("the terms have neither a permission nor a prohibition".to_owned()));
        }
        let strictest = obligations.into_iter().min();
        if let Some(Duty::Delete { within_s }) = strictest
            && within_s > MAX_PERIOD_S
        {
            return Err(shape(format!("a period longer than {MAX_PERIOD_S} seconds")));
        }
        Ok(Terms {
            permissions: normal_rules(permissions)?,
            prohibitions: normal_rules(prohibitions)?,
            obligations: strictest.into_iter().collect(),
            undecided_duties: Vec::new(),
        })
    }

    /// The same with duties whose conditions nobody here can decide.
    ///
    /// # Errors
    /// `contract.term_shape` beyond one of the bounds, or when a condition is missing or is one
    /// that can be decided: such a duty is none of ours.
    pub fn with_undecided_duties(mut self, duties: Vec<Rule>) -> Result<Self, Problem> {
        let undecided = |c: &Constraint| matches!(c, Constraint::Undecided(_));
        for duty in &duties {
            if duty.constraints.is_empty() || !duty.constraints.iter().all(undecided) {
                return Err(shape("a duty to use has conditions of a profile alone".to_owned()));
            }
        }
        self.undecided_duties = normal_rules(duties)?;
        Ok(self)
    }

    /// What is allowed; any one of them is enough.
    #[must_use]
    pub fn permissions(&self) -> &[Rule] {
        &self.permissions
    }

    /// What is forbidden, whatever is allowed.
    #[must_use]
    pub fn prohibitions(&self) -> &[Rule] {
        &self.prohibitions
    }

    /// What must be done.
    #[must_use]
    pub fn obligations(&self) -> &[Duty] {
        &self.obligations
    }

    /// What must be done and nobody here can tell whether it is.
    #[must_use]
    pub fn undecided_duties(&self) -> &[Rule] {
        &self.undecided_duties
    }

    /// All conditions that nobody here can decide.
    pub fn undecided(&self) -> impl Iterator<Item = &Undecided> {
        let rules = [&self.permissions, &self.prohibitions, &self.undecided_duties];
        rules.into_iter().flatten().flat_map(Rule::undecided)
    }

    /// Whether they permit no use at all as long as nobody can decide what is undecided.
    #[must_use]
    pub fn permits_nothing_yet(&self) -> bool {
        let open = |rule: &Rule| rule.undecided().next().is_some();
        let whole = |rule: &Rule| open(rule) && rule.undecided().count() == rule.constraints.len();
        let use_of = |rule: &&Rule| rule.action == Action::Use;
        !self.undecided_duties.is_empty()
            || self.permissions.iter().filter(use_of).all(open)
            || self.prohibitions.iter().any(whole)
    }

    /// The names of the profiles that its conditions belong to, sorted.
    #[must_use]
    pub fn profiles(&self) -> BTreeSet<&'static str> {
        self.undecided().map(Undecided::profile).collect()
    }

    /// The canonical value, onf/1.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = Vec::new();
        let mut put = |name: &'static str, items: Vec<Json>| {
            members.extend(scalar_or_array(items).map(|value| (name, value)));
        };
        put("permission", self.permissions.iter().map(Rule::to_json).collect());
        put("prohibition", self.prohibitions.iter().map(Rule::to_json).collect());
        let duties = self.obligations.iter().map(|duty| duty.to_json());
        let undecided = self.undecided_duties.iter().map(Rule::to_json);
        put("obligation", sorted(duties.chain(undecided).collect(), Json::canonical));
        Json::object(members)
    }

    /// SHA-256 of the canonical text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(self.to_json().canonical().as_bytes())
    }
}

impl Rule {
    /// Its conditions that nobody here can decide.
    pub fn undecided(&self) -> impl Iterator<Item = &Undecided> {
        self.constraints.iter().filter_map(|constraint| match constraint {
            Constraint::Undecided(undecided) => Some(undecided),
            _ => None,
        })
    }

    fn to_json(&self) -> Json {
        let constraints = self.constraints.iter().map(Constraint::to_json).collect();
        let constraints = scalar_or_array(constraints).map(|value| ("constraint", value));
        let action = ("action", Json::text(self.action.iri()));
        Json::object(std::iter::once(action).chain(constraints))
    }
}

impl Duty {
    /// The duty in words: `delete within P14D`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Duty::Delete { within_s } => format!("delete within {}", format_duration(within_s)),
        }
    }

    fn to_json(self) -> Json {
        match self {
            Duty::Delete { within_s } => Json::object([
                ("action", Json::text(format!("{ODRL}delete"))),
                ("within_s", Json::Int(i64::try_from(within_s).unwrap_or(i64::MAX))),
            ]),
        }
    }
}

impl Constraint {
    /// Left operand, operator and right operand of onf/1.
    pub(crate) fn to_json(&self) -> Json {
        let odrl = |name: &str| format!("{ODRL}{name}");
        let (left, op, right) = match self {
            Constraint::Purpose { test, purposes } => {
                let op = match test {
                    PurposeTest::AnyOf => "isAnyOf",
                    PurposeTest::AllOf => "isAllOf",
                    PurposeTest::NoneOf => "isNoneOf",
                    PurposeTest::Eq => "eq",
                };
                (odrl("purpose"), op, scalar_or_array(purposes.iter().map(Json::text).collect()))
            }
            Constraint::Place { test, regions } => {
                let op = match test {
                    PlaceTest::Within => "isPartOf",
                    PlaceTest::Exactly => "eq",
                };
                (odrl("spatial"), op, scalar_or_array(regions.iter().map(Json::text).collect()))
            }
            Constraint::Schedule(schedule) => {
                (LOCAL_SCHEDULE.to_owned(), "isPartOf", Some(schedule_json(schedule)))
            }
            Constraint::Time { test, at } => {
                (odrl("dateTime"), test.name(), Some(Json::text(at.to_string())))
            }
            Constraint::Undecided(term) => {
                let values = term.values().iter().map(Json::text).collect();
                (term.iri(), term.test().name(), scalar_or_array(values))
            }
        };
        Json::object([
            ("left", Json::text(left)),
            ("op", Json::text(odrl(op))),
            ("right", right.unwrap_or(Json::Null)),
        ])
    }
}

/// The identity of an agreement (docs/format.md): SHA-256 over the canonical JSON of
/// `["twinpact-onf/1", @id, target, assigner, assignee, timestamp, terms]`. The time is written in
/// UTC and to the microsecond at most; an agreement without one has `null` there.
#[must_use]
pub fn agreement_id(
    at_id: &str,
    target: &str,
    assigner: &str,
    assignee: &str,
    timestamp: Option<Timestamp>,
    terms: &Terms,
) -> Digest {
    let json = Json::Array(vec![
        Json::text("twinpact-onf/1"),
        Json::text(at_id),
        Json::text(target),
        Json::text(assigner),
        Json::text(assignee),
        timestamp.map_or(Json::Null, |t| Json::text(t.to_string())),
        terms.to_json(),
    ]);
    sha256(json.canonical().as_bytes())
}

/// Seven lists of `[from, to)` in minutes, Monday first, and the zone.
fn schedule_json(schedule: &Schedule) -> Json {
    let pair = |(from, to): &(u16, u16)| {
        Json::Array(vec![Json::Int(i64::from(*from)), Json::Int(i64::from(*to))])
    };
    let days = schedule.days().iter().map(|day| Json::Array(day.iter().map(pair).collect()));
    Json::object([("days", Json::Array(days.collect())), ("zone", Json::text(schedule.zone()))])
}

/// Nothing, the item itself, or the array of them.
fn scalar_or_array(mut items: Vec<Json>) -> Option<Json> {
    match items.len() {
        0 | 1 => items.pop(),
        _ => Some(Json::Array(items)),
    }
}

fn normal_rules(rules: Vec<Rule>) -> Result<Vec<Rule>, Problem> {
    if rules.len() > MAX_RULES {
        return Err(shape(format!("more than {MAX_RULES} rules of one kind")));
    }
    let rules: Result<Vec<Rule>, Problem> = rules.into_iter().map(normal_rule).collect();
    Ok(sorted(rules?, |rule| rule.to_json().canonical()))
}

fn normal_rule(rule: Rule) -> Result<Rule, Problem> {
    if rule.constraints.len() > MAX_CONSTRAINTS {
        return Err(shape(format!("more than {MAX_CONSTRAINTS} constraints in one rule")));
    }
    let constraints: Result<Vec<Constraint>, Problem> =
        rule.constraints.into_iter().map(normal_constraint).collect();
    let constraints = sorted(constraints?, |c| c.to_json().canonical());
    Ok(Rule { action: rule.action, constraints })
}

fn normal_constraint(constraint: Constraint) -> Result<Constraint, Problem> {
    Ok(match constraint {
        Constraint::Purpose { test, purposes } => {
            let purposes = normal_set(purposes, test == PurposeTest::Eq)?;
            let one = purposes.len() == 1;
            let test = if one && test == PurposeTest::AllOf { PurposeTest::AnyOf } else { test };
            Constraint::Purpose { test, purposes }
        }
        Constraint::Place { test, regions } => {
            let regions = normal_set(regions, test == PlaceTest::Exactly)?;
            Constraint::Place { test, regions }
        }
        other => other,
    })
}

pub(crate) fn normal_set(mut values: Vec<String>, one: bool) -> Result<Vec<String>, Problem> {
    values.sort_unstable();
    values.dedup();
    match values.len() {
        0 => Err(shape("a set of values is empty".to_owned())),
        n if one && n > 1 => Err(shape("\"eq\" takes one value".to_owned())),
        n if n > MAX_VALUES => Err(shape(format!("more than {MAX_VALUES} values in one operand"))),
        _ => Ok(values),
    }
}

/// Sorted by the bytes of their canonical text, each once.
fn sorted<T>(items: Vec<T>, text: impl Fn(&T) -> String) -> Vec<T> {
    let by_text: BTreeMap<String, T> = items.into_iter().map(|item| (text(&item), item)).collect();
    by_text.into_values().collect()
}

fn shape(why: String) -> Problem {
    Problem::new(codes::CONTRACT_TERM_SHAPE, why)
}

#[cfg(test)]
mod tests {
    use super::{
        Action, Constraint, Duty, MAX_CONSTRAINTS, MAX_PERIOD_S, MAX_RULES, MAX_VALUES, PlaceTest,
        PurposeTest, Rule, Terms, TimeTest,
    };
    use twinpact_model::Timestamp;

    fn purpose(test: PurposeTest, names: &[&str]) -> Constraint {
        Constraint::Purpose { test, purposes: names.iter().map(|n| (*n).to_owned()).collect() }
    }

    fn rule(constraints: Vec<Constraint>) -> Rule {
        Rule { action: Action::Use, constraints }
    }

    fn allow(constraints: Vec<Constraint>) -> Result<Terms, &'static str> {
        Terms::new(vec![rule(constraints)], vec![], vec![]).map_err(|p| p.code.name)
    }

    #[test]
    fn one_meaning_has_one_form() {
        let at = |n| Constraint::Time { test: TimeTest::Lt, at: Timestamp::from_seconds(n) };
        let a =
            allow(vec![at(2), purpose(PurposeTest::AnyOf, &["u:b", "u:a", "u:b"]), at(1), at(2)]);
        let b = allow(vec![purpose(PurposeTest::AnyOf, &["u:a", "u:b"]), at(1), at(2)]);
        assert_eq!(a, b);
        assert_eq!(
            allow(vec![purpose(PurposeTest::AllOf, &["u:a"])]),
            allow(vec![purpose(PurposeTest::AnyOf, &["u:a"])])
        );
        let duties = vec![Duty::Delete { within_s: 9 }, Duty::Delete { within_s: 5 }];
        let terms = Terms::new(vec![rule(vec![]), rule(vec![])], vec![], duties).unwrap();
        assert_eq!(terms.permissions().len(), 1);
        assert_eq!(terms.obligations(), [Duty::Delete { within_s: 5 }]);
    }

    #[test]
    fn shapes_and_bounds() {
        assert!(Terms::new(vec![], vec![], vec![Duty::Delete { within_s: 1 }]).is_err());
        assert!(Terms::new(vec![], vec![rule(vec![])], vec![]).is_ok());
        assert_eq!(allow(vec![purpose(PurposeTest::AnyOf, &[])]), Err("contract.term_shape"));
        assert_eq!(
            allow(vec![purpose(PurposeTest::Eq, &["u:a", "u:b"])]),
            Err("contract.term_shape")
        );
        let regions = vec!["u:a".to_owned(), "u:b".to_owned()];
        assert!(allow(vec![Constraint::Place { test: PlaceTest::Exactly, regions }]).is_err());
        let names = |n: usize| (0..n).map(|i| format!("u:{i}")).collect::<Vec<_>>();
        let of = |n| Constraint::Purpose { test: PurposeTest::AnyOf, purposes: names(n) };
        assert!(allow(vec![of(MAX_VALUES)]).is_ok() && allow(vec![of(MAX_VALUES + 1)]).is_err());
        let times = |n: usize| {
            (0..n)
                .map(|i| Constraint::Time {
                    test: TimeTest::Lt,
                    at: Timestamp::from_seconds(i64::try_from(i).unwrap()),
                })
                .collect::<Vec<_>>()
        };
        assert!(
            allow(times(MAX_CONSTRAINTS)).is_ok() && allow(times(MAX_CONSTRAINTS + 1)).is_err()
        );
        let rules = |n: usize| times(n).into_iter().map(|c| rule(vec![c])).collect::<Vec<_>>();
        assert!(Terms::new(rules(MAX_RULES), vec![], vec![]).is_ok());
        assert!(Terms::new(rules(MAX_RULES + 1), vec![], vec![]).is_err());
        assert!(Terms::new(vec![], rules(MAX_RULES + 1), vec![]).is_err());
        let delete = |within_s| Terms::new(rules(1), vec![], vec![Duty::Delete { within_s }]);
        assert!(delete(MAX_PERIOD_S).is_ok() && delete(MAX_PERIOD_S + 1).is_err());
    }
}
