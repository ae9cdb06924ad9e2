//! A walk over links across organisations: our own links from the state, those of a partner's twin
//! from the partner, each under the agreement that we have with it.
//!
//! Nobody is asked on our behalf by somebody else: every hop is a delivery to us, decided, logged
//! and receipted by the one who is asked. Where we may not ask, or get no answer, the walk ends
//! with the reason and goes on elsewhere. [`twinpact_twin::Walk`] says who is asked next.

use crate::api::{EdgeLine, EndLine, PlaceLine, Pull, SaidLine, WalkAsked, Walked};
use crate::consumer;
use crate::found;
use crate::link_copies;
use crate::open::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use twinpact_dsp::Role;
use twinpact_model::link_row::is_links_view;
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, LinkRow, Predicate, codes};
use twinpact_policy::State;
use twinpact_proof::to_hex;
use twinpact_twin::{Edge, Place, Route, Said, Walk};

/// The most links, one after another, that a walk goes over.
pub const MAX_WALK_DEPTH: usize = 16;
/// The most twins that a walk meets.
pub const MAX_WALK_TWINS: usize = 1_000;
/// The most requests to partners of one walk.
pub const MAX_WALK_REQUESTS: usize = 200;
/// After that time no further request of a walk is begun.
pub const MAX_WALK_TIME: Duration = Duration::from_secs(60);

/// Over how many links a walk goes when nothing is said.
const DEPTH: usize = 4;

/// Walks from a twin of ours or of a partner.
///
/// # Errors
/// `link.predicate`; `input.too_large` when it is to go over more than [`MAX_WALK_DEPTH`] links;
/// `twin.unknown` when it starts at a twin of ours that is not there. What partners refuse is no
/// error: it is among the ends.
pub async fn walk(node: &Node, asked: &WalkAsked) -> Result<Walked, Problem> {
    let depth = asked.depth.unwrap_or(DEPTH);
    if depth > MAX_WALK_DEPTH {
        let why = format!("a walk goes over at most {MAX_WALK_DEPTH} links");
        return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
    }
    let us = node.config.organisation.as_str();
    let owner = asked.owner.as_ref().map_or(us, |owner| owner.as_str());
    let start = Place { owner: Some(owner.to_owned()), twin: asked.twin.to_string() };
    if owner == us {
        node.partition.read(|fold, _| fold.twins.node(&start.twin).map(|_| ()))??;
    }
    let via: Result<_, _> = asked.via.iter().map(|name| Predicate::parse(name)).collect();
    let route = Route { via: via?, direction: asked.direction, depth, twins: MAX_WALK_TWINS };
    let mut walk = Walk::new(start, route);
    let mut walker = Walker::new(node, asked);
    while let Some(place) = walk.ask() {
        let answer = walker.hear(&place).await?;
        walk.learn(&place, answer);
        if walker.cut.is_some() {
            break;
        }
    }
    Ok(walker.done(walk))
}

/// What a partner says of one twin.
type Answer = Vec<(LinkRow, Said)>;

/// A walk and what it has cost so far.
struct Walker<'n> {
    node: &'n Node,
    asked: &'n WalkAsked,
    until: Instant,
    requests: usize,
    cut: Option<&'static str>,
    ends: Vec<EndLine>,
    /// The level of each receipt.
    levels: BTreeMap<String, &'static str>,
    /// Agreements that gave no answer: what is wrong with one twin is wrong with the next.
    failed: BTreeMap<String, Problem>,
    /// What owners without an agreement about links offer.
    missing: BTreeMap<String, Problem>,
}

impl<'n> Walker<'n> {
    fn new(node: &'n Node, asked: &'n WalkAsked) -> Walker<'n> {
        Walker {
            node,
            asked,
            until: Instant::now() + MAX_WALK_TIME,
            requests: 0,
            cut: None,
            ends: Vec::new(),
            levels: BTreeMap::new(),
            failed: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// What is said of a twin by its owner, as far as we may see it.
    async fn hear(&mut self, place: &Place) -> Result<Answer, Problem> {
        let Some(owner) = place.owner.as_deref() else {
            let why = "the contract does not show whose this twin is";
            self.end(place, Problem::new(codes::LINK_NOT_SHOWN, why));
            return Ok(Vec::new());
        };
        if owner == self.node.config.organisation.as_str() {
            return self.own(place, owner);
        }
        let agreements = match self.agreements(owner)? {
            Ok(agreements) => agreements,
            Err(stranger) => {
                self.end(place, stranger);
                return Ok(Vec::new());
            }
        };
        if agreements.is_empty() {
            let missing = self.missing(owner).await;
            self.end(place, missing);
        }
        let mut answer = Vec::new();
        for agreement in agreements {
            answer.extend(self.ask(place, owner, &agreement).await?);
        }
        Ok(answer)
    }

    fn own(&mut self, place: &Place, owner: &str) -> Result<Answer, Problem> {
        let said = self.node.partition.read(|fold, _| fold.twins.links_said_of(&place.twin))?;
        let said = match said {
            Ok(said) => said,
            // A partner links to a twin of ours that we do not have.
            Err(unknown) => {
                self.end(place, unknown);
                return Ok(Vec::new());
            }
        };
        let said = said.into_iter().map(|(row, index)| {
            let (by, recorded) = (owner.to_owned(), row.recorded);
            (row, Said { by, recorded, event: Some(index), receipt: None })
        });
        Ok(said.collect())
    }

    /// Our agreements with a partner about its links, in order; or that it is none.
    fn agreements(&self, owner: &str) -> Result<Result<Vec<String>, Problem>, Problem> {
        self.node.partition.read(|fold, _| {
            fold.partners.get(owner)?;
            let links = fold.agreements.iter().filter(|agreement| {
                (agreement.role, agreement.state) == (Role::Consumer, State::Active)
                    && agreement.peer == owner
                    && is_links_view(&agreement.wire.target)
            });
            let names: BTreeSet<String> = links.map(|agreement| to_hex(&agreement.id)).collect();
            Ok(names.into_iter().collect())
        })
    }

    /// That no agreement with a partner is about links, and which contract could be agreed on.
    async fn missing(&mut self, owner: &str) -> Problem {
        if let Some(known) = self.missing.get(owner) {
            return known.clone();
        }
        let why = format!("no agreement with {owner} shows us links");
        let missing = Problem::new(codes::LINK_NOT_GRANTED, why);
        let offered = match self.may_ask() {
            true => found::catalog(self.node, owner).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let of_links: Vec<String> =
            offered.into_iter().map(|line| line.id).filter(|id| is_links_view(id)).collect();
        let missing = match of_links.first() {
            Some(one) => missing.hint(format!("twinpact negotiate {owner} --dataset {one}")),
            None => missing.hint(format!("{owner} offers no links view")),
        };
        self.missing.insert(owner.to_owned(), missing.clone());
        missing
    }

    /// Whether one more request may be made; it is counted.
    fn may_ask(&mut self) -> bool {
        self.cut = self.cut.or(match () {
            () if self.requests >= MAX_WALK_REQUESTS => Some("requests"),
            () if Instant::now() >= self.until => Some("time"),
            () => None,
        });
        self.requests += usize::from(self.cut.is_none());
        self.cut.is_none()
    }

    /// What a partner shows of a twin under an agreement: one page, which holds all that a twin may
    /// have; what goes on behind it is left there.
    async fn ask(
        &mut self,
        place: &Place,
        owner: &str,
        agreement: &str,
    ) -> Result<Answer, Problem> {
        if let Some(problem) = self.failed.get(agreement).cloned() {
            self.end(place, problem);
            return Ok(Vec::new());
        }
        if !self.may_ask() {
            return Ok(Vec::new());
        }
        // It was read as an IRI, or is the twin that was asked for.
        let twin = Iri::new(place.twin.as_str())?;
        let page = match consumer::page(self.node, &self.pull(agreement, twin)).await {
            Ok(page) => page,
            Err(problem) => {
                self.failed.insert(agreement.to_owned(), problem.clone());
                self.end(place, problem);
                return Ok(Vec::new());
            }
        };
        if page.next.is_some() {
            let why = "the partner shows more links of this twin than one page holds";
            self.end(place, Problem::new(codes::EXCHANGE_TOO_MANY, why));
        }
        self.levels.insert(page.receipt.clone(), page.level.name());
        let rows = self
            .node
            .partition
            .read(|fold, _| fold.copies.get(&page.receipt).map(link_copies::links))??;
        let said = rows.into_iter().map(|row| {
            let (by, recorded) = (owner.to_owned(), row.recorded);
            let receipt = Some(page.receipt.clone());
            (row, Said { by, recorded, event: None, receipt })
        });
        Ok(said.collect())
    }

    fn pull(&self, agreement: &str, twin: Iri) -> Pull {
        Pull {
            agreement: agreement.to_owned(),
            purpose: self.asked.purpose.clone(),
            place: self.asked.place.clone(),
            since: None,
            until: None,
            twin: Some(twin),
            after: None,
        }
    }

    fn end(&mut self, place: &Place, problem: Problem) {
        self.ends.push(EndLine {
            at: place_line(place),
            code: problem.code.name.to_owned(),
            reason: problem.message,
            hint: problem.hint,
        });
    }

    fn done(self, walk: Walk) -> Walked {
        let cut = self.cut.or(walk.was_cut().then_some("twins"));
        let edges = walk.edges().into_iter().map(|edge| edge_line(edge, &self.levels)).collect();
        Walked { edges, ends: self.ends, requests: self.requests, cut: cut.map(str::to_owned) }
    }
}

fn place_line(place: &Place) -> PlaceLine {
    PlaceLine { owner: place.owner.clone(), twin: place.twin.clone() }
}

fn edge_line(edge: Edge, levels: &BTreeMap<String, &'static str>) -> EdgeLine {
    let status = edge.status().name().to_owned();
    let said = |said: Said| SaidLine {
        level: said.receipt.as_ref().and_then(|r| levels.get(r)).map(|level| (*level).to_owned()),
        by: said.by,
        recorded: said.recorded,
        event: said.event,
        receipt: said.receipt,
    };
    EdgeLine {
        from: place_line(&edge.from),
        predicate: edge.predicate,
        to: place_line(&edge.to),
        depth: edge.depth,
        status,
        said: edge.said.into_iter().map(said).collect(),
    }
}
