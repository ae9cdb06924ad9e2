//! Our halves of links between a twin of ours and one of another organisation: decided, folded,
//! asked for.
//!
//! Each owner states its own half and nobody else's: our half says what we say, and what the other
//! owner says is in its own log. So a half is kept by the twin of ours that it is at, and it closes
//! no cycle here: what lies beyond the other end only its owner knows.

use crate::fold::{Twins, contradiction};
use crate::links::{FIRST, Standing};
use std::collections::BTreeMap;
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::link::Predicate;
use twinpact_model::link_row::Direction;
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;

/// The most halves at one twin.
pub const MAX_HALVES: usize = 4_096;

/// A link to a twin of another organisation, as we say it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Half {
    /// Our twin.
    pub own: String,
    /// What one end is to the other.
    pub predicate: Predicate,
    /// Which end our twin is.
    pub direction: Direction,
    /// The other twin.
    pub other: String,
    /// Whose that is.
    pub owner: String,
}

/// A half that stands, with the event that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfSet {
    /// The half.
    pub half: Half,
    /// The index of the event in the tree of events.
    pub index: u64,
    /// When we recorded it.
    pub recorded: Timestamp,
}

/// All halves of an organisation, those that were retracted included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Halves {
    by_own: BTreeMap<Half, Vec<Standing>>,
}

impl Halves {
    /// Those that stood at that time, in order.
    pub(crate) fn all(&self, by: Timestamp) -> impl Iterator<Item = HalfSet> {
        self.by_own.iter().filter_map(move |(half, standing)| stood(half, standing, by))
    }

    /// Those of them at a twin of ours.
    pub(crate) fn of(&self, own: &str, by: Timestamp) -> impl Iterator<Item = HalfSet> {
        let own = own.to_owned();
        let first = Half {
            own: own.clone(),
            predicate: FIRST,
            direction: Direction::Out,
            other: String::new(),
            owner: String::new(),
        };
        let at = self.by_own.range(first..).take_while(move |(half, _)| half.own == own);
        at.filter_map(move |(half, standing)| stood(half, standing, by))
    }

    /// Forgets those at a twin of ours, as if none had been.
    pub(crate) fn forget(&mut self, own: &str) {
        self.by_own.retain(|half, _| half.own != own);
    }

    fn stands(&self, half: &Half) -> bool {
        let last = self.by_own.get(half).and_then(|standing| standing.last());
        last.is_some_and(|standing| standing.retracted.is_none())
    }
}

/// A half with the event that set it, if it stood at that time.
fn stood(half: &Half, standing: &[Standing], by: Timestamp) -> Option<HalfSet> {
    let found = standing.iter().find(|standing| standing.stood(by))?;
    Some(HalfSet { half: half.clone(), index: found.index, recorded: found.set })
}

impl Twins {
    /// The event by which a half is set or retracted; `None` when it is so already.
    ///
    /// # Errors
    /// `twin.unknown` when our end is none of our twins; `link.owner` when the other end is one;
    /// `input.too_large` when our twin has [`MAX_HALVES`].
    pub fn link_half(&self, half: &Half, set: bool, actor: &str) -> Result<Option<Entry>, Problem> {
        let node = self.node(&half.own)?;
        if self.links.halves.stands(half) == set {
            return Ok(None);
        }
        if set && self.nodes.contains_key(&half.other) {
            let why = format!("{} is a twin of ours, not of {}", half.other, half.owner);
            return Err(Problem::new(codes::LINK_OWNER, why).hint("leave --owner out"));
        }
        let many = self.links.halves.of(&half.own, crate::as_of::now()).count();
        if set && many >= MAX_HALVES {
            let why = format!(
                "{} has {MAX_HALVES} links to twins of others, which is the most",
                half.own
            );
            return Err(Problem::new(codes::INPUT_TOO_LARGE, why)
                .hint("retract one with: twinpact link retract FROM PREDICATE TO --owner DID"));
        }
        Ok(Some(entry(half, set, node.seq + 1, actor)))
    }

    /// Takes an event about a half into the state.
    ///
    /// # Errors
    /// `internal` when it contradicts the state.
    pub(crate) fn apply_half(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        let half = read(entry).ok_or_else(|| contradiction("half a link cannot be read"))?;
        self.count(entry)?;
        let (set, recorded) = (entry.who.kind == Kind::LinkSet, entry.when.recorded);
        if self.links.halves.stands(&half) == set {
            return Err(contradiction("half a link was set or retracted twice"));
        }
        let standing = self.links.halves.by_own.entry(half).or_default();
        match (set, standing.last_mut()) {
            (false, Some(last)) => last.retracted = Some(recorded),
            _ => standing.push(Standing { index, set: recorded, retracted: None }),
        }
        Ok(())
    }
}

fn read(entry: &Entry) -> Option<Half> {
    let (direction, other) = match (entry.get("to"), entry.get("from")) {
        (Some(to), None) => (Direction::Out, to),
        (None, Some(from)) => (Direction::In, from),
        _ => return None,
    };
    Some(Half {
        own: entry.who.twin.to_string(),
        predicate: Predicate::parse(entry.get("predicate")?).ok()?,
        direction,
        other: other.to_owned(),
        owner: entry.get("owner")?.to_owned(),
    })
}

fn entry(half: &Half, set: bool, twin_seq: u64, actor: &str) -> Entry {
    let end = match half.direction {
        Direction::Out => "to",
        Direction::In => "from",
    };
    Entry {
        who: Who {
            kind: if set { Kind::LinkSet } else { Kind::LinkRetracted },
            twin: half.own.as_str().into(),
            twin_seq,
            actor: actor.into(),
        },
        when: When::default(),
        why: Why::default(),
        what: vec![
            Attribute::new("predicate", "anyURI", half.predicate.iri()),
            Attribute::new(end, "anyURI", half.other.as_str()),
            Attribute::new("owner", "anyURI", half.owner.as_str()),
        ],
    }
}
