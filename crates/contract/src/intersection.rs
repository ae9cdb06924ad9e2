//! What two terms have in common: who is asked for more than it grants offers that instead.
//!
//! The result lies within both ([`crate::compare()`]): its permissions are those of the one under
//! the conditions of the other as well, it has the prohibitions of both, and copies are kept no
//! longer than either says. Nothing stands in it that says nothing: no condition beside one that
//! implies it, no permission within another or within a prohibition, and none with a condition that
//! never holds, alone or beside one other on the same operand. What only three conditions or
//! several prohibitions together rule out is not looked for, nor is what several operands do.

use crate::compare::{clauses, implies, lies_within, names, range, trivial};
use crate::situation::{Situation, Truth};
use crate::terms::{Action, Constraint, Duty, Rule, Terms};
use crate::vocabulary::Vocabulary;
use twinpact_model::{Schedule, Timestamp};

/// The terms that allow what both allow and demand what either demands. `None` when there is no use
/// in common, since nobody negotiates to see an offer alone; when a clause or a duty that nobody
/// here can decide stands in one of them alone, since nobody can say who would gain by it; and
/// beyond the bounds of [`Terms::new`].
#[must_use]
pub fn intersection(first: &Terms, second: &Terms, vocabulary: &Vocabulary) -> Option<Terms> {
    if first.undecided_duties() != second.undecided_duties() {
        return None;
    }
    let forbidden = first.prohibitions().iter().chain(second.prohibitions()).cloned();
    let prohibitions = widest(forbidden, vocabulary);
    let pairs =
        first.permissions().iter().flat_map(|a| second.permissions().iter().map(move |b| (a, b)));
    let mut permissions = widest(pairs.filter_map(|(a, b)| both(a, b, vocabulary)), vocabulary);
    permissions.retain(|rule| !prohibitions.iter().any(|none| covers(none, rule, vocabulary)));
    if !permissions.iter().any(|rule| rule.action == Action::Use) {
        return None;
    }
    let duties: Vec<Duty> =
        first.obligations().iter().chain(second.obligations()).copied().collect();
    let terms = Terms::new(permissions, prohibitions, duties).ok()?;
    terms.with_undecided_duties(first.undecided_duties().to_vec()).ok()
}

/// The rules without those that lie within another of them.
fn widest(rules: impl Iterator<Item = Rule>, v: &Vocabulary) -> Vec<Rule> {
    let mut kept: Vec<Rule> = Vec::new();
    for rule in rules {
        if !kept.iter().any(|whole| lies_within(&rule, whole, v)) {
            kept.retain(|known| !lies_within(known, &rule, v));
            kept.push(rule);
        }
    }
    kept
}

/// Whether the prohibition applies wherever the permission does. One without conditions does,
/// whatever clauses the permission has.
fn covers(prohibition: &Rule, permission: &Rule, v: &Vocabulary) -> bool {
    let always = prohibition.constraints.iter().all(trivial);
    (always && prohibition.action == permission.action) || lies_within(permission, prohibition, v)
}

/// The rule that applies where both do; `None` when they never do.
fn both(a: &Rule, b: &Rule, v: &Vocabulary) -> Option<Rule> {
    let known = |one: &Rule, other: &Rule| {
        clauses(one).all(|c| clauses(other).any(|d| c.implies(d) && d.implies(c)))
    };
    if a.action != b.action || !known(a, b) || !known(b, a) {
        return None;
    }
    let mut kept: Vec<Constraint> = Vec::new();
    for new in a.constraints.iter().chain(&b.constraints).filter(|c| !trivial(c)) {
        if exclude(new, new, v) || kept.iter().any(|c| exclude(c, new, v)) {
            return None;
        }
        if !kept.iter().any(|c| implies(c, new, v)) {
            kept.retain(|c| !implies(new, c, v));
            kept.push(new.clone());
        }
    }
    Some(Rule { action: a.action, constraints: kept })
}

/// Whether two conditions never hold at once, for any name that the vocabulary or they know. One
/// that never holds excludes itself.
fn exclude(c: &Constraint, d: &Constraint, v: &Vocabulary) -> bool {
    // Neither a purpose nor a place is a matter of time.
    let now = Timestamp::default();
    let never = |asked: &Situation<'_>| c.holds(asked, v).min(d.holds(asked, v)) != Truth::True;
    match (c, d) {
        (Constraint::Purpose { purposes: a, .. }, Constraint::Purpose { purposes: b, .. }) => {
            let asked = |name| Situation { purpose: Some(name), place: None, now };
            names(a, b, v.purposes()).all(|name| never(&asked(name)))
        }
        (Constraint::Place { regions: a, .. }, Constraint::Place { regions: b, .. }) => {
            let asked = |name| Situation { purpose: None, place: Some(name), now };
            names(a, b, v.regions()).all(|name| never(&asked(name)))
        }
        (Constraint::Time { test: t, at }, Constraint::Time { test: u, at: other }) => {
            let ((from, to), (other_from, other_to)) = (range(*t, *at), range(*u, *other));
            from.max(other_from) > to.min(other_to)
        }
        (Constraint::Schedule(a), Constraint::Schedule(b)) => a.zone() == b.zone() && apart(a, b),
        (Constraint::Undecided(c), Constraint::Undecided(d)) => c.excludes(d),
        _ => false,
    }
}

/// Whether no minute is in both, in one and the same zone.
fn apart(a: &Schedule, b: &Schedule) -> bool {
    a.days().iter().zip(b.days()).all(|(ours, theirs)| {
        ours.iter().all(|(from, to)| theirs.iter().all(|(f, t)| to <= f || t <= from))
    })
}
