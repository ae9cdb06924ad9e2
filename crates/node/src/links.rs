//! Links between our own twins: set, retracted and listed.

use crate::api::{LinkAsked, LinkChanged, LinkLine, LinkList};
use crate::as_of::begun;
use crate::open::Node;
use crate::partition::NewEntry;
use twinpact_edge::batch::{IngestLink, LinkReport, Refused};
use twinpact_model::link::Predicate;
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, Timestamp, codes};
use twinpact_twin::{Link, LinkChange, LinkOutcome, LinkSet};

/// The most links of one list.
pub const MAX_LINK_LINES: usize = 10_000;

/// Sets a link or retracts it. What is so already changes nothing.
///
/// # Errors
/// `link.predicate`; `twin.unknown` when an end is none of our twins; `link.cycle`;
/// `input.too_large` when the twin has as many links as it may have.
pub async fn change(
    node: &Node,
    asked: LinkAsked,
    set: bool,
    actor: &str,
) -> Result<LinkChanged, Problem> {
    let predicate = Predicate::parse(&asked.predicate)?;
    let change = link_change(&asked.from, predicate, &asked.to, set);
    let actor = actor.to_owned();
    let turn = node.partition.turn(move |turn| {
        let (events, outcomes) = turn.fold().twins.link(&[change], &[], &actor);
        match outcomes.into_iter().next() {
            Some(LinkOutcome::Refused(problem)) => return Err(problem),
            Some(LinkOutcome::Known) => return Ok(false),
            Some(LinkOutcome::Changed) => {}
            None => return Err(Problem::new(codes::INTERNAL, "a link was not decided")),
        }
        turn.log(events.into_iter().map(NewEntry::event).collect()).map(|_| true)
    });
    Ok(LinkChanged { changed: turn.await? })
}

fn link_change(from: &Iri, predicate: Predicate, to: &Iri, set: bool) -> LinkChange {
    LinkChange { link: Link { from: from.to_string(), predicate, to: to.to_string() }, set }
}

/// The changes that a batch asks for.
pub(crate) fn changes(links: &[IngestLink]) -> Vec<LinkChange> {
    let change =
        |link: &IngestLink| link_change(&link.from, link.predicate, &link.to, !link.retract);
    links.iter().map(change).collect()
}

/// What became of them.
pub(crate) fn report(outcomes: Vec<LinkOutcome>) -> LinkReport {
    let mut report = LinkReport::default();
    for (index, outcome) in (0u64..).zip(outcomes) {
        match outcome {
            LinkOutcome::Changed => report.changed += 1,
            LinkOutcome::Known => report.known += 1,
            LinkOutcome::Refused(problem) => report.refused.push(Refused {
                line: None,
                index: Some(index),
                id: String::new(),
                code: problem.code.name.to_owned(),
                reason: problem.message,
            }),
        }
    }
    report
}

/// The links of one twin in both directions, or all; [`MAX_LINK_LINES`] at most.
///
/// # Errors
/// `twin.unknown`, `asof.early`, `store.stopped`.
pub fn list(
    node: &Node,
    twin: Option<&str>,
    as_of: Option<Timestamp>,
) -> Result<LinkList, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        let known = fold.twins.as_of(as_of);
        match twin {
            Some(twin) => Ok(first(known.links_of(twin)?)),
            None => Ok(first(known.links())),
        }
    })?
}

fn first(mut links: impl Iterator<Item = LinkSet>) -> LinkList {
    let shown: Vec<LinkLine> = links.by_ref().take(MAX_LINK_LINES).map(line).collect();
    LinkList { total: shown.len() + links.count(), links: shown }
}

fn line(set: LinkSet) -> LinkLine {
    let Link { from, predicate, to } = set.link;
    LinkLine { from, predicate, to, recorded: set.recorded, event: set.index }
}
