//! Which of two terms allows more: a preorder, with a sentence for each difference.
//!
//! One is narrower when each of its permissions lies within one permission of the other, each
//! prohibition of the other lies within one of its own, and copies are not kept longer. That is
//! sound and not complete: where only several rules together cover one, the answer is
//! "incomparable". Constraints are compared over everything that a vocabulary knows and one name
//! that it does not. Conditions that nobody here can decide are compared by their values. One that
//! can only limit makes a rule narrower; a clause, that may give as well as take, makes it neither
//! narrower nor wider. Nor does a duty that cannot be decided.

use crate::catenax::Undecided;
use crate::situation::Situation;
use crate::terms::{Constraint, Duty, Rule, Terms, TimeTest};
use crate::text;
use crate::vocabulary::Vocabulary;
use std::collections::BTreeSet;
use twinpact_model::{Schedule, Timestamp};

/// How the first terms stand to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Both allow the same.
    Equal,
    /// The first allow less.
    Narrower,
    /// The first allow more.
    Wider,
    /// Each allows something that the other does not, as far as we can tell.
    Incomparable,
}

/// The order of two terms and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How the first stand to the second.
    pub order: Order,
    /// One sentence for each difference; none when they are equal.
    pub differences: Vec<String>,
}

/// Compares two terms.
#[must_use]
pub fn compare(first: &Terms, second: &Terms, vocabulary: &Vocabulary) -> Comparison {
    if first == second {
        // Most are: what is agreed to is what was offered.
        return Comparison { order: Order::Equal, differences: Vec::new() };
    }
    let mut differences = BTreeSet::new();
    let more = beyond(first, second, vocabulary, Side::First, &mut differences);
    let less = beyond(second, first, vocabulary, Side::Second, &mut differences);
    let order = match (more, less) {
        (false, false) => Order::Equal,
        (false, true) => Order::Narrower,
        (true, false) => Order::Wider,
        (true, true) => Order::Incomparable,
    };
    Comparison { order, differences: differences.into_iter().collect() }
}

/// Which of the two goes beyond the other.
#[derive(Clone, Copy)]
enum Side {
    First,
    Second,
}

impl Side {
    /// "the first … the second" in that order, whichever of them goes beyond the other.
    fn pair(self, wide: &str, narrow: &str) -> (String, String) {
        match self {
            Side::First => (wide.to_owned(), narrow.to_owned()),
            Side::Second => (narrow.to_owned(), wide.to_owned()),
        }
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Side::First => ("the first", "the second"),
            Side::Second => ("the second", "the first"),
        }
    }
}

/// Whether the wide terms allow anything that the narrow ones do not; says what.
fn beyond(
    wide: &Terms,
    narrow: &Terms,
    vocabulary: &Vocabulary,
    side: Side,
    out: &mut BTreeSet<String>,
) -> bool {
    let (this, other) = side.names();
    let mut found = false;
    for rule in wide.permissions() {
        if !narrow.permissions().iter().any(|whole| lies_within(rule, whole, vocabulary)) {
            found = true;
            match (wide.permissions(), narrow.permissions()) {
                ([_], [whole]) if whole.action == rule.action => {
                    differ(rule, whole, vocabulary, side, out)
                }
                _ => {
                    let (action, rule) = (rule.action.name(), text::rule(rule));
                    out.insert(format!("only {this} allows {action} {rule}"));
                }
            }
        }
    }
    for rule in narrow.prohibitions() {
        if !wide.prohibitions().iter().any(|whole| lies_within(rule, whole, vocabulary)) {
            found = true;
            out.insert(format!("only {other} forbids use {}", text::rule(rule)));
        }
    }
    found |= other_duties(wide, narrow, side, out);
    let kept =
        |terms: &Terms| terms.obligations().iter().map(|Duty::Delete { within_s }| *within_s).min();
    let longer = match (kept(wide), kept(narrow)) {
        (Some(wide), Some(narrow)) => wide > narrow,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    if longer {
        found = true;
        let time = |terms: &Terms| kept(terms).map_or("for ever".to_owned(), text::duration);
        let (a, b) = side.pair(&time(wide), &time(narrow));
        out.insert(format!(
            "copies may be kept {} by the first, {} by the second",
            span(&a),
            span(&b)
        ));
    }
    found
}

/// Whether one has a duty that cannot be decided and the other lacks: who gains is not known.
fn other_duties(wide: &Terms, narrow: &Terms, side: Side, out: &mut BTreeSet<String>) -> bool {
    let (this, other) = side.names();
    for (whose, one, two) in [(this, wide, narrow), (other, narrow, wide)] {
        let lacking = one.undecided_duties().iter().filter(|d| !two.undecided_duties().contains(d));
        out.extend(lacking.map(|duty| format!("only {whose} is {}", text::undecided_duty(duty))));
    }
    wide.undecided_duties() != narrow.undecided_duties()
}

fn span(time: &str) -> String {
    if time == "for ever" { time.to_owned() } else { format!("for {time}") }
}

/// What of one rule is not within the other, operand by operand.
fn differ(rule: &Rule, whole: &Rule, v: &Vocabulary, side: Side, out: &mut BTreeSet<String>) {
    let missing: Vec<&Constraint> = whole
        .constraints
        .iter()
        .filter(|d| !trivial(d) && !rule.constraints.iter().any(|c| implies(c, d, v)))
        .collect();
    for d in &missing {
        let same: Vec<String> =
            rule.constraints.iter().filter(|c| alike(c, d)).map(text::constraint).collect();
        // The other side says that it has it.
        if same.is_empty() && is_clause(d) {
            continue;
        }
        let (_, other) = side.names();
        out.insert(match same.is_empty() {
            true => format!("only {other} sets a limit: {}", text::constraint(d)),
            false => {
                let (a, b) = side.pair(&same.join(", "), &text::constraint(d));
                format!("the first allows {} {a}, the second {b}", rule.action.name())
            }
        });
    }
    let (this, _) = side.names();
    let said = |c: &Undecided| missing.iter().any(|d| names_it(d, c.name()));
    for clause in clauses(rule).filter(|c| !said(c) && !clauses(whole).any(|d| c.implies(d))) {
        out.insert(format!("only {this} says that {}", text::undecided(clause)));
    }
}

/// Whether two conditions are about the same thing.
fn alike(c: &Constraint, d: &Constraint) -> bool {
    match (c, d) {
        (Constraint::Undecided(c), Constraint::Undecided(d)) => c.name() == d.name(),
        _ => text::rank(c) == text::rank(d),
    }
}

fn is_clause(constraint: &Constraint) -> bool {
    matches!(constraint, Constraint::Undecided(term) if !term.limits())
}

fn names_it(constraint: &Constraint, name: &str) -> bool {
    matches!(constraint, Constraint::Undecided(term) if term.name() == name)
}

/// The conditions of a rule that may give as well as take.
pub(crate) fn clauses(rule: &Rule) -> impl Iterator<Item = &Undecided> {
    rule.undecided().filter(|term| !term.limits())
}

/// Whether wherever the rule applies, the other applies too.
pub(crate) fn lies_within(rule: &Rule, whole: &Rule, v: &Vocabulary) -> bool {
    rule.action == whole.action
        && whole
            .constraints
            .iter()
            .all(|d| trivial(d) || rule.constraints.iter().any(|c| implies(c, d, v)))
        && clauses(rule).all(|c| clauses(whole).any(|d| c.implies(d)))
}

/// Whether it always holds.
pub(crate) fn trivial(constraint: &Constraint) -> bool {
    matches!(constraint, Constraint::Schedule(s) if always(s))
}

fn always(schedule: &Schedule) -> bool {
    schedule.days().iter().all(|day| day.as_slice() == [(0, 1440)])
}

/// Whether one condition is never truer than another: true makes true, unknown makes true or
/// unknown.
pub(crate) fn implies(c: &Constraint, d: &Constraint, v: &Vocabulary) -> bool {
    match (c, d) {
        (Constraint::Purpose { purposes: a, .. }, Constraint::Purpose { purposes: b, .. }) => {
            names(a, b, v.purposes()).all(|name| {
                let asked =
                    Situation { purpose: Some(name), place: None, now: Timestamp::default() };
                c.holds(&asked, v) <= d.holds(&asked, v)
            })
        }
        (Constraint::Place { regions: a, .. }, Constraint::Place { regions: b, .. }) => {
            names(a, b, v.regions()).all(|name| {
                let asked =
                    Situation { purpose: None, place: Some(name), now: Timestamp::default() };
                c.holds(&asked, v) <= d.holds(&asked, v)
            })
        }
        (Constraint::Schedule(a), Constraint::Schedule(b)) => {
            always(b) || (a.zone() == b.zone() && covered(a, b))
        }
        (Constraint::Time { test: t, at }, Constraint::Time { test: u, at: bt }) => {
            let ((from, to), (whole_from, whole_to)) = (range(*t, *at), range(*u, *bt));
            from >= whole_from && to <= whole_to
        }
        (Constraint::Undecided(c), Constraint::Undecided(d)) => c.implies(d),
        _ => false,
    }
}

/// Every name that can make a difference: those of both sets, those that the vocabulary knows, and
/// one that nobody knows, which stands for all others.
pub(crate) fn names<'a>(
    a: &'a [String],
    b: &'a [String],
    known: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    a.iter().chain(b).map(String::as_str).chain(known).chain(std::iter::once("urn:twinpact:other"))
}

/// Whether every minute of the one schedule is in the other, in one and the same zone.
fn covered(a: &Schedule, b: &Schedule) -> bool {
    a.days().iter().zip(b.days()).all(|(spans, whole)| {
        spans.iter().all(|(from, to)| whole.iter().any(|(f, t)| f <= from && to <= t))
    })
}

/// The first and the last microsecond at which it holds.
pub(crate) fn range(test: TimeTest, at: Timestamp) -> (i64, i64) {
    let at = at.micros();
    match test {
        TimeTest::Lt => (i64::MIN, at.saturating_sub(1)),
        TimeTest::Lteq => (i64::MIN, at),
        TimeTest::Gt => (at.saturating_add(1), i64::MAX),
        TimeTest::Gteq => (at, i64::MAX),
        TimeTest::Eq => (at, at),
    }
}
