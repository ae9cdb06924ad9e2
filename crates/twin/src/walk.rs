//! A walk over links across owners: which twin is asked about next, and what the answers make.
//!
//! Whoever asks is in no hurry and no loop: each twin is asked about once, level by level, in an
//! order that follows from the answers alone. What is said is taken as said by its owner and by
//! nobody else, so a partner can add ends to a walk and never lengthen it beyond its bounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use twinpact_model::link::Predicate;
use twinpact_model::link_row::{Direction, LinkRow, OtherOwner};
use twinpact_model::time::Timestamp;

/// A twin, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The owner; `None` when a contract does not show it.
    pub owner: Option<String>,
    /// The twin.
    pub twin: String,
}

/// Where a walk goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Along links of these predicates; empty for all.
    pub via: Vec<Predicate>,
    /// Only the way that links lead, or only back; `None` for both ways.
    pub direction: Option<Direction>,
    /// Over so many links, one after another.
    pub depth: usize,
    /// The most twins that are met.
    pub twins: usize,
}

/// That an owner says that a link stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Who says it.
    pub by: String,
    /// When it recorded that.
    pub recorded: Timestamp,
    /// The event of ours, when we say it.
    pub event: Option<u64>,
    /// The receipt of the delivery, when a partner says it.
    pub receipt: Option<String>,
}

/// Who stands behind a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Both ends are of one owner, who says it.
    Own,
    /// The owners of both ends say it.
    Confirmed,
    /// One of two owners was heard.
    OneSided,
}

impl Status {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::Own => "own",
            Status::Confirmed => "confirmed",
            Status::OneSided => "one-sided",
        }
    }
}

/// A link that was walked over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The part, the dependent, the derived, the contained.
    pub from: Place,
    /// What it is to the other.
    pub predicate: Predicate,
    /// The other.
    pub to: Place,
    /// After how many links from the start it was met; those of the start have 1.
    pub depth: usize,
    /// Who says so, each owner once for each view that it was said in.
    pub said: Vec<Said>,
}

impl Edge {
    /// Who stands behind it.
    #[must_use]
    pub fn status(&self) -> Status {
        let says =
            |place: &Place| self.said.iter().any(|said| Some(&said.by) == place.owner.as_ref());
        match () {
            () if self.from.owner == self.to.owner => Status::Own,
            () if says(&self.from) && says(&self.to) => Status::Confirmed,
            () => Status::OneSided,
        }
    }
}

type Key = (Place, Predicate, Place);

/// A walk under way.
#[derive(Debug, Clone)]
pub struct Walk {
    route: Route,
    /// The twins that were met, with their distance from the start.
    met: BTreeMap<Place, usize>,
    ahead: VecDeque<Place>,
    /// All that was said, walked over or not: the other half of a link may be heard first.
    heard: BTreeMap<Key, BTreeSet<Said>>,
    walked: BTreeMap<Key, usize>,
    cut: bool,
}

impl Walk {
    /// A walk from that twin.
    #[must_use]
    pub fn new(start: Place, route: Route) -> Walk {
        Walk {
            route,
            met: BTreeMap::from([(start.clone(), 0)]),
            ahead: VecDeque::from([start]),
            heard: BTreeMap::new(),
            walked: BTreeMap::new(),
            cut: false,
        }
    }

    /// The twin whose links are asked for next. Those at the end of the walk are not asked about.
    pub fn ask(&mut self) -> Option<Place> {
        while let Some(place) = self.ahead.pop_front() {
            if self.distance(&place) < self.route.depth {
                return Some(place);
            }
        }
        None
    }

    /// Takes what an owner says of its twin. Rows about another one are left out.
    pub fn learn(&mut self, place: &Place, answer: impl IntoIterator<Item = (LinkRow, Said)>) {
        let depth = self.distance(place) + 1;
        for (row, said) in answer {
            if row.twin != place.twin || Some(&said.by) != place.owner.as_ref() {
                continue;
            }
            let owner = match row.owner {
                OtherOwner::Provider => Some(said.by.clone()),
                OtherOwner::Known(owner) => Some(owner),
                OtherOwner::NotShown => None,
            };
            let other = Place { owner, twin: row.other };
            let key = match row.direction {
                Direction::Out => (place.clone(), row.predicate, other.clone()),
                Direction::In => (other.clone(), row.predicate, place.clone()),
            };
            let along = self.route.via.is_empty() || self.route.via.contains(&row.predicate);
            if along && self.route.direction.is_none_or(|way| way == row.direction) {
                self.walked.entry(key.clone()).or_insert(depth);
                self.meet(other, depth);
            }
            self.heard.entry(key).or_default().insert(said);
        }
    }

    fn meet(&mut self, place: Place, depth: usize) {
        if self.met.contains_key(&place) {
            return;
        }
        if self.met.len() >= self.route.twins {
            self.cut = true;
            return;
        }
        self.met.insert(place.clone(), depth);
        self.ahead.push_back(place);
    }

    fn distance(&self, place: &Place) -> usize {
        self.met.get(place).copied().unwrap_or(self.route.depth)
    }

    /// Whether more twins were named than a walk may meet: then some are not gone on from.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// How many twins were met.
    #[must_use]
    pub fn met(&self) -> usize {
        self.met.len()
    }

    /// The links that were walked over: by distance, then by their ends.
    #[must_use]
    pub fn edges(mut self) -> Vec<Edge> {
        let heard = &mut self.heard;
        let edge = |(key, depth): (Key, usize)| {
            let said = heard.remove(&key).unwrap_or_default().into_iter().collect();
            let (from, predicate, to) = key;
            Edge { from, predicate, to, depth, said }
        };
        let mut edges: Vec<Edge> = self.walked.into_iter().map(edge).collect();
        edges.sort_by_key(|edge| edge.depth);
        edges
    }
}

#[cfg(test)]
mod tests;
