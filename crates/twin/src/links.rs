//! Links between twins of one organisation: decided, folded, asked for. Those across organisations
//! are in [`crate::halves`].
//!
//! A link is stored once, from the part to the whole; the way back is an index. It may be set,
//! retracted and set again, and each time is kept, so that what stood at any moment is known.

use crate::as_of::now;
use crate::fold::{Twins, contradiction};
use crate::halves::Halves;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::link::Predicate;
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;

/// The most links that lead from one twin.
pub const MAX_LINKS: usize = 256;
/// The most twins that are passed when a link is checked for closing a cycle.
pub const MAX_WHOLES: usize = 10_000;
/// The most links that are looked at when all changes of a batch are checked for cycles.
pub const MAX_PASSED_LINKS: usize = 100_000;

/// What is linked to what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The twin that the link is about: the part, the dependent, the derived, the contained.
    pub from: String,
    /// What it is to the other.
    pub predicate: Predicate,
    /// The other.
    pub to: String,
}

/// A change of the links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkChange {
    /// The link.
    pub link: Link,
    /// Whether it is set; else it is retracted.
    pub set: bool,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutcome {
    /// It was not so before.
    Changed,
    /// It was so already.
    Known,
    /// It was refused.
    Refused(Problem),
}

/// A link that stands, with the event that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSet {
    /// The link.
    pub link: Link,
    /// The index of the event in the tree of events.
    pub index: u64,
    /// When we learned it.
    pub recorded: Timestamp,
}

/// From one event until another, a link stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) index: u64,
    pub(crate) set: Timestamp,
    pub(crate) retracted: Option<Timestamp>,
}

impl Standing {
    /// Whether it stood at that time.
    pub(crate) fn stood(&self, by: Timestamp) -> bool {
        self.set <= by && self.retracted.is_none_or(|end| end > by)
    }
}

/// All links of an organisation, those that were retracted included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Links {
    by_from: BTreeMap<Link, Vec<Standing>>,
    /// (to, predicate, from): the way back.
    by_to: BTreeSet<(String, Predicate, String)>,
    /// Our halves of links to twins of others.
    pub(crate) halves: Halves,
}

impl Links {
    /// The link with the event that set it, if it stood at that time.
    fn standing(&self, link: &Link, by: Timestamp) -> Option<LinkSet> {
        let standing = self.by_from.get(link)?.iter().find(|standing| standing.stood(by))?;
        Some(LinkSet { link: link.clone(), index: standing.index, recorded: standing.set })
    }

    /// Those that stood at that time, in order.
    pub(crate) fn all(&self, by: Timestamp) -> impl Iterator<Item = LinkSet> {
        self.by_from.keys().filter_map(move |link| self.standing(link, by))
    }

    /// Those of them that lead from a twin.
    pub(crate) fn from(&self, twin: String, by: Timestamp) -> impl Iterator<Item = LinkSet> {
        let first = Link { from: twin.clone(), predicate: FIRST, to: String::new() };
        let links = self.by_from.range(first..).map(|(link, _)| link);
        links.take_while(move |l| l.from == twin).filter_map(move |l| self.standing(l, by))
    }

    /// Those of them that lead to a twin.
    pub(crate) fn to(&self, twin: String, by: Timestamp) -> impl Iterator<Item = LinkSet> {
        let ends = self.by_to.range((twin.clone(), FIRST, String::new())..);
        ends.take_while(move |(to, _, _)| *to == twin).filter_map(move |(to, predicate, from)| {
            let link = Link { from: from.clone(), predicate: *predicate, to: to.clone() };
            self.standing(&link, by)
        })
    }

    /// Every twin that a link leads to.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &str> {
        self.by_to.iter().map(|(to, ..)| to.as_str())
    }

    /// Forgets all links from and to a twin, as if none had been.
    pub(crate) fn forget(&mut self, twin: &str) {
        self.by_from.retain(|link, _| link.from != twin && link.to != twin);
        self.by_to.retain(|(to, _, from)| from != twin && to != twin);
        self.halves.forget(twin);
    }

    fn set(&mut self, link: Link, index: u64, recorded: Timestamp) -> Result<(), Problem> {
        if self.standing(&link, now()).is_some() {
            return Err(contradiction("a link was set twice"));
        }
        self.by_to.insert((link.to.clone(), link.predicate, link.from.clone()));
        let standing = Standing { index, set: recorded, retracted: None };
        self.by_from.entry(link).or_default().push(standing);
        Ok(())
    }

    fn retract(&mut self, link: &Link, recorded: Timestamp) -> Result<(), Problem> {
        let last = self.by_from.get_mut(link).and_then(|all| all.last_mut());
        match last.filter(|standing| standing.retracted.is_none()) {
            Some(standing) => standing.retracted = Some(recorded),
            None => return Err(contradiction("a link was retracted that did not stand")),
        }
        Ok(())
    }
}

/// The predicate that sorts first.
pub(crate) const FIRST: Predicate = Predicate::PartOf;

impl Twins {
    /// The events of these changes and what became of each. `before` are events of the same batch
    /// that are not applied yet: a batch may link the twins that it makes.
    #[must_use]
    pub fn link(
        &self,
        changes: &[LinkChange],
        before: &[Entry],
        actor: &str,
    ) -> (Vec<Entry>, Vec<LinkOutcome>) {
        let seqs = before.iter().map(|e| (e.who.twin.to_string(), e.who.twin_seq)).collect();
        let mut pending =
            Pending { twins: self, seqs, changed: BTreeMap::new(), left: MAX_PASSED_LINKS };
        let mut events = Vec::new();
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            outcomes.push(match pending.is_change(change) {
                Err(problem) => LinkOutcome::Refused(problem),
                Ok(false) => LinkOutcome::Known,
                Ok(true) => {
                    events.push(entry(change, pending.take(change), actor));
                    LinkOutcome::Changed
                }
            });
        }
        (events, outcomes)
    }

    /// Takes an event about a link into the state.
    ///
    /// # Errors
    /// `internal` when it contradicts the state.
    pub(crate) fn apply_link(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        if entry.get("owner").is_some() {
            return self.apply_half(entry, index);
        }
        let predicate = entry.get("predicate").and_then(|text| Predicate::parse(text).ok());
        let (Some(predicate), Some(to)) = (predicate, entry.get("to")) else {
            return Err(contradiction("a link cannot be read"));
        };
        let link = Link { from: entry.who.twin.to_string(), predicate, to: to.to_owned() };
        // The event that made the other may be gone, and then an erasure is to come.
        if !self.nodes.contains_key(to) && self.gone == 0 {
            return Err(contradiction("a link without a twin"));
        }
        self.count(entry)?;
        match entry.who.kind {
            Kind::LinkSet => self.links.set(link, index, entry.when.recorded),
            _ => self.links.retract(&link, entry.when.recorded),
        }
    }
}

/// The links while a batch is decided.
struct Pending<'a> {
    twins: &'a Twins,
    /// The last number of each twin that the batch makes or touches.
    seqs: BTreeMap<String, u64>,
    /// What earlier changes of the batch have set or retracted.
    changed: BTreeMap<Link, bool>,
    /// How many links may still be looked at for cycles.
    left: usize,
}

impl Pending<'_> {
    /// Whether the change changes anything.
    fn is_change(&mut self, change: &LinkChange) -> Result<bool, Problem> {
        let Link { from, predicate, to } = &change.link;
        self.known(from)?;
        self.known(to)?;
        if self.stands(&change.link) == change.set {
            return Ok(false);
        }
        if !change.set {
            return Ok(true);
        }
        if from == to {
            let why = format!("{from} cannot be {predicate} itself");
            return Err(Problem::new(codes::LINK_CYCLE, why));
        }
        if self.from(from).len() >= MAX_LINKS {
            let why = format!("{from} has {MAX_LINKS} links, which is as many as it may have");
            return Err(Problem::new(codes::INPUT_TOO_LARGE, why)
                .hint("retract one with: twinpact link retract FROM PREDICATE TO"));
        }
        if predicate.is_acyclic() {
            let mut left = self.left;
            let found = self.closes_no_cycle(&change.link, &mut left);
            self.left = left;
            found?;
        }
        Ok(true)
    }

    fn known(&self, twin: &str) -> Result<(), Problem> {
        if self.seqs.contains_key(twin) {
            return Ok(());
        }
        self.twins.node(twin).map(|_| ())
    }

    fn stands(&self, link: &Link) -> bool {
        let before = || self.twins.links.standing(link, now()).is_some();
        self.changed.get(link).copied().unwrap_or_else(before)
    }

    /// The links that lead from a twin.
    fn from(&self, twin: &str) -> Vec<Link> {
        let first = Link { from: twin.to_owned(), predicate: FIRST, to: String::new() };
        let before = self.twins.links.from(twin.to_owned(), now()).map(|set| set.link);
        let kept = before.filter(|link| !self.changed.contains_key(link));
        let changed = self.changed.range(first..).take_while(|(link, _)| link.from == twin);
        kept.chain(changed.filter(|(_, set)| **set).map(|(link, _)| link.clone())).collect()
    }

    /// Where links of that predicate lead from a twin, and whether each stands.
    fn next<'s>(
        &'s self,
        twin: &'s str,
        predicate: Predicate,
    ) -> impl Iterator<Item = (&'s str, bool)> {
        let first = Link { from: twin.to_owned(), predicate, to: String::new() };
        let same = move |link: &Link| link.from == twin && link.predicate == predicate;
        let changed = self.changed.range(first.clone()..).take_while(move |(link, _)| same(link));
        let before = self.twins.links.by_from.range(first..).take_while(move |(l, _)| same(l));
        let before = before.filter(|(link, _)| !self.changed.contains_key(link));
        let stands = |all: &[Standing]| all.last().is_some_and(|one| one.retracted.is_none());
        let before = before.map(move |(link, all)| (link.to.as_str(), stands(all)));
        before.chain(changed.map(|(link, set)| (link.to.as_str(), *set)))
    }

    /// From the whole on, the part must not be met. Each link that is looked at is taken from
    /// `left`.
    fn closes_no_cycle<'s>(&'s self, link: &'s Link, left: &mut usize) -> Result<(), Problem> {
        let mut seen = BTreeSet::from([link.to.as_str()]);
        let mut ahead = vec![link.to.as_str()];
        while let Some(twin) = ahead.pop() {
            for (next, stands) in self.next(twin, link.predicate) {
                *left = left.checked_sub(1).ok_or_else(too_long)?;
                if !stands {
                    continue;
                }
                if next == link.from {
                    return Err(cycle(link));
                }
                if seen.len() >= MAX_WHOLES {
                    let why = format!("more than {MAX_WHOLES} twins lie beyond {}", link.to);
                    return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
                }
                if seen.insert(next) {
                    ahead.push(next);
                }
            }
        }
        Ok(())
    }

    /// Takes the change, and gives the number that its event has within the twin.
    fn take(&mut self, change: &LinkChange) -> u64 {
        self.changed.insert(change.link.clone(), change.set);
        let known = self.twins.nodes.get(&change.link.from).map_or(0, |node| node.seq);
        let last = self.seqs.entry(change.link.from.clone()).or_insert(known);
        *last += 1;
        *last
    }
}

fn too_long() -> Problem {
    let why = format!("the batch asks for more than {MAX_PASSED_LINKS} links to be looked at");
    Problem::new(codes::INPUT_TOO_LARGE, why).hint("send fewer links at a time")
}

fn cycle(link: &Link) -> Problem {
    let Link { from, predicate, to } = link;
    let why = format!("{to} is {predicate} {from} already, at once or through others");
    Problem::new(codes::LINK_CYCLE, why)
        .hint(format!("see what leads away from it with: twinpact link list {to}"))
}

fn entry(change: &LinkChange, twin_seq: u64, actor: &str) -> Entry {
    let LinkChange { link, set } = change;
    Entry {
        who: Who {
            kind: if *set { Kind::LinkSet } else { Kind::LinkRetracted },
            twin: link.from.as_str().into(),
            twin_seq,
            actor: actor.into(),
        },
        when: When::default(),
        why: Why::default(),
        what: vec![
            Attribute::new("predicate", "anyURI", link.predicate.iri()),
            Attribute::new("to", "anyURI", link.to.as_str()),
        ],
    }
}

#[cfg(test)]
mod tests;
