//! What was known at a moment: the state that the events up to then make.
//!
//! Events carry when they were recorded, rising strictly, and the facts of a twin stand in that
//! order: what was known by a time is the front of them. A correction counts from when it was
//! recorded; before, the old value stands. The present is the moment after the last event.

use crate::fold::{Fact, Heads, Node, Twins, advance};
use crate::halves::HalfSet;
use crate::links::LinkSet;
use crate::read::{HistoryRow, Page, history_row, inside};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::type_model::{ModelRef, TypeModel};

/// Later than everything that is recorded.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(i64::MAX)
}

/// The twins as they were known at a moment.
#[derive(Debug, Clone, Copy)]
pub struct AsOf<'a> {
    twins: &'a Twins,
    by: Timestamp,
}

/// One twin as it was known at a moment.
#[derive(Debug, Clone, Copy)]
pub struct TwinAsOf<'a> {
    /// Its IRI.
    pub id: &'a str,
    node: &'a Node,
    /// How many of its facts were recorded by then.
    facts: usize,
}

impl Twins {
    /// What was known by that time, what was recorded at it included; with `None` what is known
    /// now.
    #[must_use]
    pub fn as_of(&self, recorded: Option<Timestamp>) -> AsOf<'_> {
        AsOf { twins: self, by: recorded.unwrap_or_else(now) }
    }
}

impl<'a> AsOf<'a> {
    /// All twins by their id.
    pub fn twins(self) -> impl Iterator<Item = TwinAsOf<'a>> {
        let known = self.twins.nodes().filter(move |(_, node)| node.created <= self.by);
        known.map(move |(id, node)| self.of(id, node))
    }

    /// The twin of that id.
    ///
    /// # Errors
    /// `twin.unknown`, with the nearest known id, or since when it is known.
    pub fn twin(self, id: &'a str) -> Result<TwinAsOf<'a>, Problem> {
        let node = self.twins.node(id)?;
        if node.created > self.by {
            let why = format!("there was no twin {id:?} at {}", self.by);
            return Err(Problem::new(codes::TWIN_UNKNOWN, why)
                .hint(format!("it is known since {}", node.created)));
        }
        Ok(self.of(id, node))
    }

    fn of(self, id: &'a str, node: &'a Node) -> TwinAsOf<'a> {
        TwinAsOf { id, node, facts: node.facts.partition_point(|f| f.recorded <= self.by) }
    }

    /// All model versions.
    pub fn models(self) -> impl Iterator<Item = &'a TypeModel> {
        self.twins.models.values().filter(move |put| put.recorded <= self.by).map(|put| &put.model)
    }

    /// The model of that version.
    ///
    /// # Errors
    /// `model.unknown`.
    pub fn model(self, reference: &ModelRef) -> Result<&'a TypeModel, Problem> {
        self.twins.model(reference)
    }

    /// All links.
    pub fn links(self) -> impl Iterator<Item = LinkSet> {
        self.twins.links.all(self.by)
    }

    /// The links from a twin, then those to it.
    ///
    /// # Errors
    /// `twin.unknown`.
    pub fn links_of(self, twin: &'a str) -> Result<impl Iterator<Item = LinkSet>, Problem> {
        let twin = self.twin(twin)?.id;
        let (links, by) = (&self.twins.links, self.by);
        Ok(links.from(twin.to_owned(), by).chain(links.to(twin.to_owned(), by)))
    }

    /// Our halves of links to twins of others.
    pub fn halves(self) -> impl Iterator<Item = HalfSet> {
        self.twins.links.halves.all(self.by)
    }

    /// Those of them at a twin of ours.
    ///
    /// # Errors
    /// `twin.unknown`.
    pub fn halves_of(self, twin: &'a str) -> Result<impl Iterator<Item = HalfSet>, Problem> {
        let twin = self.twin(twin)?.id;
        Ok(self.twins.links.halves.of(twin, self.by))
    }
}

impl<'a> TwinAsOf<'a> {
    /// The model that it was made with.
    #[must_use]
    pub fn model(self) -> &'a ModelRef {
        &self.node.model
    }

    /// When we learned of it.
    #[must_use]
    pub fn created(self) -> Timestamp {
        self.node.created
    }

    /// Everything that was recorded about it by then, in order.
    #[must_use]
    pub fn facts(self) -> &'a [Fact] {
        self.node.facts.get(..self.facts).unwrap_or_default()
    }

    /// The event that had corrected the fact by then.
    fn corrected_by(self, fact: &Fact) -> Option<u64> {
        let last = self.facts().last().map_or(0, |fact| fact.index);
        fact.corrected_by.filter(|index| *index <= last)
    }

    /// The time of the fact that was true last, as far as was known.
    #[must_use]
    pub fn last(self) -> Option<Timestamp> {
        let standing = self.facts().iter().filter(|f| self.corrected_by(f).is_none());
        standing.map(|fact| fact.phen_start).max()
    }

    /// Every attribute that had a value: its name, the fact that was true last and the one that was
    /// recorded last, each with its value.
    #[must_use]
    pub fn attributes(self) -> Vec<(&'a str, [(&'a Fact, &'a str); 2])> {
        let heads = self.heads();
        let numbered = (0u16..).zip(self.node.attributes.iter().zip(heads));
        let known = numbered.filter_map(|(number, (name, heads))| {
            let value = |position: usize| {
                let fact = self.node.facts.get(position)?;
                Some((fact, self.node.value(fact, number)?))
            };
            let heads = heads?;
            Some((name.as_str(), [value(heads.phenomenon)?, value(heads.recorded)?]))
        });
        known.collect()
    }

    /// The heads; of the present they are kept, of the past they are worked out.
    fn heads(self) -> Vec<Option<Heads>> {
        if self.facts == self.node.facts.len() {
            return self.node.heads.clone();
        }
        let mut heads = vec![None; self.node.attributes.len()];
        for (position, fact) in self.facts().iter().enumerate() {
            if self.corrected_by(fact).is_none() {
                advance(&mut heads, self.facts(), position);
            }
        }
        heads
    }

    /// Its facts that were true from `since` on and before `until`, by that time and then by when
    /// we learned them; at most `limit`, the first ones.
    #[must_use]
    pub fn history(self, since: Option<Timestamp>, until: Option<Timestamp>, limit: usize) -> Page {
        let inside = |f: &&Fact| inside(f.phen_start, since, until);
        let mut facts: Vec<&Fact> = self.facts().iter().filter(inside).collect();
        facts.sort_by_key(|f| (f.phen_start, f.index));
        let row = |fact: &Fact| HistoryRow {
            corrected_by: self.corrected_by(fact),
            ..history_row(self.node, fact)
        };
        Page { total: facts.len(), rows: facts.into_iter().take(limit).map(row).collect() }
    }
}

#[cfg(test)]
mod tests;
