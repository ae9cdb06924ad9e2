//! Links of our own twins, to each other and to twins of partners: set, retracted and listed.

use crate::api::{AcrossLine, LinkAsked, LinkChanged, LinkLine, LinkList};
use crate::as_of::begun;
use crate::fold::Fold;
use crate::link_copies::Heard;
use crate::open::Node;
use crate::partition::NewEntry;
use twinpact_edge::batch::{IngestLink, LinkReport, Refused};
use twinpact_model::link::Predicate;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Direction, Entry, Iri, Timestamp, codes};
use twinpact_twin::{Half, HalfSet, Link, LinkChange, LinkOutcome, LinkSet};

/// The most links of one list.
pub const MAX_LINK_LINES: usize = 10_000;

/// Sets a link or retracts it. What is so already changes nothing.
///
/// # Errors
/// `link.predicate`; `twin.unknown` when an end is none of our twins; `link.cycle`;
/// `partner.unknown` and `link.owner` when one end is said to be somebody else's and that cannot
/// be; `input.too_large` when the twin has as many links as it may have.
pub async fn change(
    node: &Node,
    asked: LinkAsked,
    set: bool,
    actor: &str,
) -> Result<LinkChanged, Problem> {
    let predicate = Predicate::parse(&asked.predicate)?;
    if let Some(owner) = asked.owner.clone() {
        return across(node, (asked, predicate, owner), set, actor).await;
    }
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

/// The same for a link to or from a twin of a partner.
async fn across(
    node: &Node,
    (asked, predicate, owner): (LinkAsked, Predicate, Did),
    set: bool,
    actor: &str,
) -> Result<LinkChanged, Problem> {
    let (own, actor) = (node.config.organisation.clone(), actor.to_owned());
    let turn = node.partition.turn(move |turn| {
        let fold = turn.fold();
        if owner == own {
            let why = format!("{owner} is this organisation");
            return Err(Problem::new(codes::LINK_OWNER, why).hint("leave --owner out"));
        }
        if set {
            fold.partners.get(owner.as_str())?;
        }
        let half = |own: &Iri, direction: Direction, other: &Iri| Half {
            own: own.to_string(),
            predicate,
            direction,
            other: other.to_string(),
            owner: owner.to_string(),
        };
        let out = half(&asked.from, Direction::Out, &asked.to);
        let back = half(&asked.to, Direction::In, &asked.from);
        let event = changed_half(fold, [out, back], set, &actor)?;
        let Some(event) = event else { return Ok(false) };
        turn.log(vec![NewEntry::event(event)]).map(|_| true)
    });
    Ok(LinkChanged { changed: turn.await? })
}

/// Which end is ours is known from the twins; a half that stands is retracted even when a twin of
/// ours has come since by the name of theirs.
fn changed_half(
    fold: &Fold,
    [out, back]: [Half; 2],
    set: bool,
    actor: &str,
) -> Result<Option<Entry>, Problem> {
    if fold.twins.node(&out.own).is_err() {
        return fold.twins.link_half(&back, set, actor);
    }
    match fold.twins.link_half(&out, set, actor)? {
        None if !set && fold.twins.node(&back.own).is_ok() => {
            fold.twins.link_half(&back, set, actor)
        }
        event => Ok(event),
    }
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

/// The links of one twin in both directions, those to twins of partners last, or all;
/// [`MAX_LINK_LINES`] at most.
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
        let (known, heard) = (fold.twins.as_of(as_of), Heard::by(node, fold, as_of));
        let across = |set| half_line(set, &heard);
        match twin {
            Some(twin) => {
                let halves = known.halves_of(twin)?.map(across);
                Ok(first(known.links_of(twin)?.map(line).chain(halves)))
            }
            None => Ok(first(known.links().map(line).chain(known.halves().map(across)))),
        }
    })?
}

fn first(mut links: impl Iterator<Item = LinkLine>) -> LinkList {
    let shown: Vec<LinkLine> = links.by_ref().take(MAX_LINK_LINES).collect();
    LinkList { total: shown.len() + links.count(), links: shown }
}

fn line(set: LinkSet) -> LinkLine {
    let Link { from, predicate, to } = set.link;
    LinkLine { from, predicate, to, recorded: set.recorded, event: set.index, across: None }
}

fn half_line(set: HalfSet, heard: &Heard) -> LinkLine {
    let (status, receipt) = heard.of(&set.half);
    let Half { own, predicate, direction, other, owner } = set.half;
    let (from, to, end) = match direction {
        Direction::Out => (own, other, "to"),
        Direction::In => (other, own, "from"),
    };
    let across = AcrossLine {
        end: end.to_owned(),
        owner,
        status: status.name().to_owned(),
        receipt: receipt.map(str::to_owned),
    };
    let (recorded, event) = (set.recorded, set.index);
    LinkLine { from, predicate, to, recorded, event, across: Some(across) }
}
