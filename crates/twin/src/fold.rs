//! State of all twins: a fold over the events.
//!
//! Each attribute has two heads. `recorded` is the value we learned last, `phenomenon` the one that
//! was true last; they differ exactly when data arrives late.

use crate::erase::Erased;
use crate::gaps::Gaps;
use crate::links::Links;
use crate::seen::{IdempotencyKey, Seen, Spot};
use crate::values::Values;
use std::collections::BTreeMap;
use twinpact_model::codes;
use twinpact_model::entry::{Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::type_model::{ModelRef, TypeModel};
use twinpact_proof::digest::Digest;
use twinpact_proof::mac::MacKey;

/// The values of one twin that were true together, as they were recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its index in the tree of events.
    pub index: u64,
    /// When we learned it.
    pub recorded: Timestamp,
    /// From when it was true in the world; `recorded` when the source did not say.
    pub phen_start: Timestamp,
    /// Lexical forms by the number of their attribute in [`Node::attributes`].
    pub values: Values,
    /// The index of the event that corrects it.
    pub corrected_by: Option<u64>,
    /// The index of the event that it corrects.
    pub corrects: Option<u64>,
}

/// The positions in [`Node::facts`] of an attribute's two heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// The fact that was recorded last.
    pub recorded: usize,
    /// The fact that was true last.
    pub phenomenon: usize,
}

/// One twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The index of the event that made it: no other twin has that number, also when some were
    /// erased.
    pub(crate) number: u32,
    /// The model that it was made with.
    pub model: ModelRef,
    /// When we learned of it.
    pub created: Timestamp,
    /// The index of the event that made it.
    pub created_index: u64,
    /// How many entries there are about it.
    pub seq: u64,
    /// How many values were recorded about it, corrections among them.
    pub recorded: u64,
    /// The names of its attributes, numbered by their first appearance.
    pub attributes: Vec<String>,
    /// Everything that was recorded about it, in order.
    pub facts: Vec<Fact>,
    /// Per attribute, its heads.
    pub heads: Vec<Option<Heads>>,
    /// The positions of the facts that were corrected.
    corrected: Gaps,
}

/// All models and twins of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twins {
    pub(crate) idempotency_key: MacKey,
    pub(crate) models: BTreeMap<ModelRef, ModelEntry>,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// Per source and id: the facts under it that stand.
    pub(crate) seen: Seen,
    pub(crate) links: Links,
    /// The twins that were erased, by what stands for them.
    pub(crate) erased: BTreeMap<Digest, Erased>,
    /// How many entries could not be read. No part of the state: it is none before a restart.
    pub(crate) gone: u64,
}

/// A model with the event that put it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelEntry {
    pub(crate) model: TypeModel,
    pub(crate) index: u64,
    pub(crate) recorded: Timestamp,
}

impl Eq for ModelEntry {}

impl Twins {
    /// No twins yet; ids at sources are remembered under this key.
    #[must_use]
    pub fn new(idempotency_key: [u8; 32]) -> Twins {
        Twins {
            idempotency_key: MacKey::new(&idempotency_key),
            models: BTreeMap::new(),
            nodes: BTreeMap::new(),
            seen: Seen::default(),
            links: Links::default(),
            erased: BTreeMap::new(),
            gone: 0,
        }
    }

    /// All of it, in an order that follows from the events alone: for a digest over it.
    pub fn ordered(&self) -> impl std::fmt::Debug + '_ {
        let seen: BTreeMap<_, _> = self.seen.all().collect();
        (&self.models, &self.nodes, seen, &self.links, &self.erased)
    }

    /// The model of that version.
    ///
    /// # Errors
    /// `model.unknown` with the versions that there are.
    pub fn model(&self, reference: &ModelRef) -> Result<&TypeModel, Problem> {
        self.models.get(reference).map(|entry| &entry.model).ok_or_else(|| {
            let known: Vec<String> = self.models.keys().map(ToString::to_string).collect();
            let hint = if known.is_empty() {
                "put one with: twinpact model apply FILE.toml".to_owned()
            } else {
                format!("known are {}", known.join(", "))
            };
            Problem::new(codes::MODEL_UNKNOWN, format!("there is no model {reference}")).hint(hint)
        })
    }

    /// All models with the index of the event that put each.
    pub fn models(&self) -> impl Iterator<Item = (&TypeModel, u64)> {
        self.models.values().map(|entry| (&entry.model, entry.index))
    }

    /// All twins by their id.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(id, node)| (id.as_str(), node))
    }

    /// The twin of that id.
    ///
    /// # Errors
    /// `twin.erased`; `twin.unknown`, with the nearest known id.
    pub fn node(&self, id: &str) -> Result<&Node, Problem> {
        if let Some(node) = self.nodes.get(id) {
            return Ok(node);
        }
        self.not_erased(id)?;
        let problem = Problem::new(codes::TWIN_UNKNOWN, format!("there is no twin {id:?}"));
        Err(match twinpact_model::suggest::nearest(id, self.nodes.keys().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean {near}?")),
            None => problem.hint("list them with: twinpact twin list"),
        })
    }

    /// Takes an event of the tree of events into the state; kinds that are not about twins change
    /// nothing.
    ///
    /// # Errors
    /// `internal` when the event contradicts the state, which only a bug or foreign bytes can make.
    pub fn apply(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::ModelPut => self.apply_model(entry, index),
            Kind::NodeCreated => self.apply_node(entry, index),
            Kind::FactsSet | Kind::Correction => self.apply_fact(entry, index),
            Kind::LinkSet | Kind::LinkRetracted => self.apply_link(entry, index),
            Kind::TwinErased => self.apply_erased(entry, index),
            _ => Ok(()),
        }
    }

    fn apply_model(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        let model: TypeModel = entry
            .get("document")
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| contradiction("a model cannot be read"))?;
        let recorded = entry.when.recorded;
        self.models.insert(model.reference(), ModelEntry { model, index, recorded });
        Ok(())
    }

    fn apply_node(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        let number = number_of(index)?;
        let node = Node {
            number,
            model: ModelRef::try_from(entry.why.model.to_string())?,
            created: entry.when.recorded,
            created_index: index,
            seq: entry.who.twin_seq,
            recorded: 0,
            attributes: Vec::new(),
            facts: Vec::new(),
            heads: Vec::new(),
            corrected: Gaps::default(),
        };
        match self.nodes.insert(entry.who.twin.to_string(), node) {
            None => Ok(()),
            Some(_) => Err(contradiction("a twin was made twice")),
        }
    }

    fn apply_fact(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        let node = self.count(entry)?;
        let corrects = corrected_index(&entry.why.cause);
        let twin = node.number;
        let spot = |fact: usize| Ok(Spot { twin, fact: number_of(fact as u64)? });
        let new = spot(node.facts.len())?;
        let old = node.push(
            Fact {
                index,
                recorded: entry.when.recorded,
                phen_start: entry.when.phen_start.unwrap_or(entry.when.recorded),
                values: Values::default(),
                corrected_by: None,
                corrects,
            },
            entry,
        );
        if !entry.why.src.is_empty() {
            let old = old.map(spot).transpose()?;
            self.seen.push(self.idempotency(&entry.why.src), new, old);
        }
        Ok(())
    }

    /// The twin of an entry, which is the next one about it.
    pub(crate) fn count(&mut self, entry: &Entry) -> Result<&mut Node, Problem> {
        let node = self.nodes.get_mut(entry.who.twin.as_str());
        let node = node.ok_or_else(|| contradiction("an entry about a twin that is not there"))?;
        if entry.who.twin_seq != node.seq + 1 {
            return Err(contradiction("an entry about a twin is missing"));
        }
        node.seq += 1;
        Ok(node)
    }

    /// The key of a source and an id, written as one JSON array.
    pub(crate) fn idempotency(&self, src: &str) -> IdempotencyKey {
        IdempotencyKey::of(&self.idempotency_key.mac(src.as_bytes()))
    }
}

impl Node {
    /// The number of an attribute, if any value of it was ever recorded.
    #[must_use]
    pub fn attribute_number(&self, name: &str) -> Option<u16> {
        let at = self.attributes.iter().position(|known| known == name)?;
        u16::try_from(at).ok()
    }

    /// The lexical form of an attribute in a fact.
    #[must_use]
    pub fn value<'a>(&self, fact: &'a Fact, attribute: u16) -> Option<&'a str> {
        fact.values.get(attribute)
    }

    /// The positions of the facts that stand, in order.
    pub(crate) fn standing(&self) -> impl Iterator<Item = usize> {
        self.corrected.between(self.facts.len())
    }

    /// Takes one more fact; the position of the one that it corrects.
    fn push(&mut self, mut fact: Fact, entry: &Entry) -> Option<usize> {
        self.recorded += entry.what.len() as u64;
        let mut next = 0;
        let values = entry.what.iter().map(|a| {
            let number = self.number(&a.path, next);
            next = number.saturating_add(1);
            (number, a.lexical.as_str())
        });
        fact.values = Values::pack(values.collect());
        let position = self.facts.len();
        // Facts stand in the order of their events.
        let corrected = fact.corrects;
        let old = corrected.and_then(|i| self.facts.binary_search_by_key(&i, |f| f.index).ok());
        if let Some((at, old)) = old.and_then(|at| Some((at, self.facts.get_mut(at)?))) {
            old.corrected_by = Some(fact.index);
            self.corrected.add(at);
        }
        self.facts.push(fact);
        advance(&mut self.heads, &self.facts, position);
        if let Some(old) = old {
            self.leave(old);
        }
        old
    }

    /// The number of an attribute, given one when it has none. Rows of one source have the same
    /// attributes in the same order, so the next number is a good guess.
    fn number(&mut self, name: &str, guess: u16) -> u16 {
        if self.attributes.get(usize::from(guess)).is_some_and(|known| known == name) {
            return guess;
        }
        if let Some(number) = self.attribute_number(name) {
            return number;
        }
        self.attributes.push(name.to_owned());
        self.heads.push(None);
        u16::try_from(self.attributes.len() - 1).unwrap_or(u16::MAX)
    }

    /// Finds the heads anew that are still at this fact, which does not stand any more. They are
    /// few when many facts are corrected: what corrects the last fact mostly is the last itself.
    fn leave(&mut self, old: usize) {
        let at_old = |heads: &Heads| heads.recorded == old || heads.phenomenon == old;
        let numbers =
            (0u16..).zip(&self.heads).filter(|(_, slot)| slot.as_ref().is_some_and(at_old));
        for number in numbers.map(|(number, _)| number).collect::<Vec<_>>() {
            let heads = self.heads_of(number);
            if let Some(slot) = self.heads.get_mut(usize::from(number)) {
                *slot = heads;
            }
        }
    }

    /// The heads of an attribute among the facts that stand.
    fn heads_of(&self, number: u16) -> Option<Heads> {
        let standing = self.standing().filter_map(|at| Some((at, self.facts.get(at)?)));
        let mut having = standing.filter(|(_, fact)| fact.values.get(number).is_some());
        let (first, fact) = having.next()?;
        let alone = (Heads { recorded: first, phenomenon: first }, fact.phen_start);
        // Of several of one time, the one that was recorded last.
        let (heads, _) = having.fold(alone, |(heads, time), (at, fact)| match () {
            () if fact.phen_start < time => (Heads { recorded: at, ..heads }, time),
            () => (Heads { recorded: at, phenomenon: at }, fact.phen_start),
        });
        Some(heads)
    }
}

/// The fact at that position is recorded last; it is true last unless a head is later.
pub(crate) fn advance(heads: &mut [Option<Heads>], facts: &[Fact], position: usize) {
    let Some(fact) = facts.get(position) else { return };
    for (number, _) in fact.values.iter() {
        let Some(slot) = heads.get_mut(usize::from(number)) else { continue };
        let later = slot.and_then(|heads| facts.get(heads.phenomenon));
        let phenomenon = match (later, *slot) {
            (Some(head), Some(heads)) if head.phen_start > fact.phen_start => heads.phenomenon,
            _ => position,
        };
        *slot = Some(Heads { recorded: position, phenomenon });
    }
}

/// The index in `events:INDEX`, the way a correction names what it corrects.
fn corrected_index(cause: &str) -> Option<u64> {
    cause.strip_prefix("events:")?.parse().ok()
}

/// A number in 32 bits: there is no room in memory for more.
fn number_of(n: u64) -> Result<u32, Problem> {
    u32::try_from(n).map_err(|_| Problem::new(codes::INTERNAL, "more than 2^32 events or facts"))
}

pub(crate) fn contradiction(why: &str) -> Problem {
    Problem::new(codes::INTERNAL, format!("the events contradict themselves: {why}"))
}
