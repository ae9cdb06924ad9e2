//! What two terms have in common: who is asked for more than it grants offers that instead.
//!
//! The result lies within both ([`crate::compare()`]): its permissions are those of the one under
//! the conditions of the other as well, it has the prohibitions of both, and copies are kept no
//! longer than either says. Nothing stands in it that says nothing: no condition beside one that
//! implies it, no permission within another or within a prohibition, and none with a condition that
//! never holds, alone or beside one other on the same operand. What only three conditions or
//! several prohibitions together rule out is not looked for, nor is what several operands do. Two
//! lists of names are written as one where that means the same, and two schedules of one zone.

use crate::compare::{clauses, implies, lies_within, names, range, trivial};
use crate::situation::{Situation, Truth};
use crate::terms::{Action, Constraint, Duty, MAX_VALUES, PlaceTest, PurposeTest, Rule, Terms};
use crate::text::rank;
use crate::vocabulary::Vocabulary;
use std::collections::BTreeSet;
use twinpact_model::{Schedule, Timestamp};

/// The most conditions on one operand, those of both rules, that are joined with each other. It
/// takes a look at all that the vocabulary knows for each two of them, and people write one.
const MAX_JOINED: usize = 3;

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
    let all = a.constraints.iter().chain(&b.constraints).filter(|c| !trivial(c)).cloned();
    Some(Rule { action: a.action, constraints: conjunction(all.collect(), v)? })
}

/// The conditions without those that others imply, and as few as it takes; `None` when they never
/// hold together.
fn conjunction(mut open: Vec<Constraint>, v: &Vocabulary) -> Option<Vec<Constraint>> {
    // In an order of their own, so that it does not matter whose stand first.
    open.sort_by_cached_key(|c| c.to_json().canonical());
    open.dedup();
    let all = open.clone();
    let few = |c: &Constraint| all.iter().filter(|d| rank(c) == rank(d)).count() <= MAX_JOINED;
    let mut kept: Vec<Constraint> = Vec::new();
    while let Some(new) = open.pop() {
        if exclude(&new, &new, v) || kept.iter().any(|c| exclude(c, &new, v)) {
            return None;
        }
        if kept.iter().any(|c| implies(c, &new, v)) {
            continue;
        }
        kept.retain(|c| !implies(&new, c, v));
        let join = |(at, c)| joined(c, &new, v).map(|one| (at, one));
        let found = kept.iter().enumerate().filter(|_| few(&new)).find_map(join);
        match found {
            Some((at, one)) => {
                kept.remove(at);
                open.push(one);
            }
            None => kept.push(new),
        }
    }
    Some(kept)
}

/// Whether two conditions never hold at once, for any name that the vocabulary or they know. One
/// that never holds excludes itself.
fn exclude(c: &Constraint, d: &Constraint, v: &Vocabulary) -> bool {
    match (c, d) {
        (Constraint::Purpose { .. }, Constraint::Purpose { .. })
        | (Constraint::Place { .. }, Constraint::Place { .. }) => {
            questions(c, d, v).all(|asked| together(c, d, &asked, v) != Truth::True)
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

/// One condition that is true, false and unknown where the two are together, if there is one. For
/// names that is tried and not derived, since only the vocabulary knows what lies within what.
fn joined(c: &Constraint, d: &Constraint, v: &Vocabulary) -> Option<Constraint> {
    match (c, d) {
        (Constraint::Schedule(a), Constraint::Schedule(b)) => {
            a.intersection(b).map(Constraint::Schedule)
        }
        (Constraint::Purpose { test, .. }, Constraint::Purpose { test: other, .. }) => {
            let of = |test, purposes| Constraint::Purpose { test, purposes };
            let any = |names| of(PurposeTest::AnyOf, names);
            let all = (test == other).then(|| of(*test, union(names_of(c), names_of(d))));
            let some = any(common(c, d, any, v));
            first_alike(std::iter::once(some).chain(all), c, d, v)
        }
        (Constraint::Place { .. }, Constraint::Place { .. }) => {
            let any = |regions| Constraint::Place { test: PlaceTest::Within, regions };
            first_alike(std::iter::once(any(common(c, d, any, v))), c, d, v)
        }
        _ => None,
    }
}

/// The first that is true, false and unknown where the two are together, and has no more names than
/// a condition may have.
fn first_alike(
    mut tried: impl Iterator<Item = Constraint>,
    c: &Constraint,
    d: &Constraint,
    v: &Vocabulary,
) -> Option<Constraint> {
    let asked: Vec<(Situation<'_>, Truth)> =
        questions(c, d, v).map(|asked| (asked, together(c, d, &asked, v))).collect();
    tried.find(|one| {
        let fits = names_of(one).len() <= MAX_VALUES;
        fits && asked.iter().all(|(asked, truth)| one.holds(asked, v) == *truth)
    })
}

/// Those of their names for which both hold, without what lies within another of them.
fn common(
    c: &Constraint,
    d: &Constraint,
    any: impl Fn(Vec<String>) -> Constraint,
    v: &Vocabulary,
) -> Vec<String> {
    let mut names = union(names_of(c), names_of(d));
    names.retain(|name| together(c, d, &about(name), v) == Truth::True);
    let within = |name: &String, whole: &String| {
        name != whole && any(vec![whole.clone()]).holds(&about(name), v) == Truth::True
    };
    let outer = |name: &&String| !names.iter().any(|whole| within(name, whole));
    names.iter().filter(outer).cloned().collect()
}

/// The names of both, sorted, each once.
fn union(a: &[String], b: &[String]) -> Vec<String> {
    let names: BTreeSet<&String> = a.iter().chain(b).collect();
    names.into_iter().cloned().collect()
}

fn names_of(constraint: &Constraint) -> &[String] {
    match constraint {
        Constraint::Purpose { purposes: names, .. } | Constraint::Place { regions: names, .. } => {
            names
        }
        _ => &[],
    }
}

/// All that can make a difference to two conditions on purposes, or on places; their own names
/// first, at which most differ. One may come twice.
fn questions<'a>(
    c: &'a Constraint,
    d: &'a Constraint,
    v: &'a Vocabulary,
) -> Box<dyn Iterator<Item = Situation<'a>> + 'a> {
    let (a, b) = (names_of(c), names_of(d));
    match c {
        Constraint::Purpose { .. } => Box::new(names(a, b, v.purposes()).map(about)),
        Constraint::Place { .. } => Box::new(names(a, b, v.regions()).map(about)),
        _ => Box::new(std::iter::empty()),
    }
}

/// The name as a purpose and as a place: no condition looks at both, and neither is a matter of
/// time.
fn about(name: &str) -> Situation<'_> {
    Situation { purpose: Some(name), place: Some(name), now: Timestamp::default() }
}

/// Whether both hold.
fn together(c: &Constraint, d: &Constraint, asked: &Situation<'_>, v: &Vocabulary) -> Truth {
    c.holds(asked, v).min(d.holds(asked, v))
}

/// Whether no minute is in both, in one and the same zone.
fn apart(a: &Schedule, b: &Schedule) -> bool {
    a.days().iter().zip(b.days()).all(|(ours, theirs)| {
        ours.iter().all(|(from, to)| theirs.iter().all(|(f, t)| to <= f || t <= from))
    })
}
