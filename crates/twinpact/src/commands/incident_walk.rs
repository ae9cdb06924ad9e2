//! The walk over organisations in the picture of an incident: what we say ourselves stands in its
//! story and in our links, what partners have told is in copies, as long as they may be kept.

use super::copies::{self, read_path};
use super::incident_rows::{Drawn, ReadFor, is_no};
use crate::output::count;
use crate::report::Hop as Line;
use crate::watch::trace::{At, Traced, ask, is_gone};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use twinpact_detect::Hop;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Direction, LinkRow, OtherOwner, Predicate, Timestamp, codes};
use twinpact_node::api::{CopyRead, EdgeLine, PlaceLine, ReceiptLine, SaidLine};

/// How the owner of a twin is called when it is not shown.
const NOT_SHOWN: &str = "not shown";
/// The level of what we say ourselves: it is an event of our own log.
const OWN: &str = "own";

/// The walk, and what the reader has to know of it.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) hops: Vec<Line>,
    pub(super) notices: Vec<String>,
    /// The copies that it is drawn from.
    pub(super) drawn: Drawn,
}

/// A link as a story tells it.
#[derive(Deserialize)]
struct Told {
    from: [String; 2],
    predicate: Predicate,
    to: [String; 2],
}

/// What the story of an incident tells of the walk; one that somebody else has written may tell
/// nothing of it.
#[derive(Default, Deserialize)]
struct Story {
    #[serde(default)]
    links: Vec<Told>,
    /// Receipts of deliveries.
    #[serde(default)]
    shown_by: Vec<String>,
    /// How many of both it has no room for.
    #[serde(default)]
    left_out: u64,
}

/// What can be drawn of the walk of an incident, from where it was seen over the steps of its rule;
/// all links that are told when one of the two is not known. `by` is who has opened it, and when we
/// recorded that.
///
/// # Errors
/// What the node refuses but reads of copies: those are notices.
pub(super) async fn walk(
    client: &AdminClient,
    by: (&str, Timestamp),
    (start, hops): (Option<At>, &[Hop]),
    story: &Value,
    asked: ReadFor<'_>,
) -> Result<Walk, Problem> {
    let story: Story = serde_json::from_value(story.clone()).unwrap_or_default();
    let knows_start = start.is_some();
    let mut links = Traced::along(start.unwrap_or_default(), hops);
    story.links.into_iter().for_each(|told| links.link(own(told, by.0)));
    let mut read = Reading { left_out: story.left_out, ..Reading::default() };
    for receipt in &story.shown_by {
        read.take(client, receipt, asked, &mut links).await?;
    }
    let places: Vec<usize> = match knows_start && !hops.is_empty() {
        true => {
            go_on(client, by, &mut links, asked).await?;
            links.over(|_| true).links.into_iter().collect()
        }
        false => (0..links.links.len()).collect(),
    };
    let hops = places.into_iter().filter_map(|at| links.links.get(at)).map(line).collect();
    Ok(Walk { hops, notices: read.notices(), drawn: read.drawn })
}

/// Adds what we said ourselves, when the incident was opened, of those of our twins to which what
/// is told leads.
async fn go_on(
    client: &AdminClient,
    (us, opened): (&str, Timestamp),
    links: &mut Traced,
    asked: ReadFor<'_>,
) -> Result<(), Problem> {
    for (step, hop) in links.hops.clone().iter().enumerate() {
        let reached = links.over(|_| true).reached;
        let here: BTreeSet<At> = reached.into_iter().nth(step).unwrap_or_default();
        for at in here.iter().filter(|at| at.1.as_deref() == Some(us)) {
            match ask(client, hop, at, (asked.purpose, asked.place)).await {
                Ok(walked) => {
                    let then = |said: &SaidLine| said.recorded <= opened;
                    let known = walked.edges.into_iter().filter(|e| e.said.iter().any(then));
                    known.for_each(|edge| links.link(edge));
                }
                Err(problem) if is_gone(&problem) => {}
                Err(problem) => return Err(problem),
            }
        }
    }
    Ok(())
}

/// A link that we say ourselves.
fn own(told: Told, us: &str) -> EdgeLine {
    let place = |[twin, owner]: [String; 2]| PlaceLine { owner: Some(owner), twin };
    let said = vec![said(us, None)];
    edge(place(told.from), told.predicate, place(told.to), said)
}

fn edge(from: PlaceLine, predicate: Predicate, to: PlaceLine, said: Vec<SaidLine>) -> EdgeLine {
    EdgeLine { from, predicate, to, depth: 1, status: String::new(), said }
}

/// That somebody says it; of a partner the receipt and its level.
fn said(by: &str, shown: Option<(&str, &str)>) -> SaidLine {
    let (receipt, level) = shown.unzip();
    SaidLine {
        by: by.to_owned(),
        recorded: Timestamp::default(),
        event: None,
        receipt: receipt.map(str::to_owned),
        level: level.map(str::to_owned),
    }
}

/// A link as the picture shows it.
fn line(edge: &EdgeLine) -> Line {
    let place = |end: &PlaceLine| {
        (end.twin.clone(), end.owner.clone().unwrap_or_else(|| NOT_SHOWN.to_owned()))
    };
    let by: BTreeSet<&str> = edge.said.iter().map(|said| said.by.as_str()).collect();
    let mut levels = edge.said.iter().filter_map(|said| said.level.as_deref());
    Line {
        from: place(&edge.from),
        predicate: edge.predicate.name().to_owned(),
        to: place(&edge.to),
        said_by: by.into_iter().collect::<Vec<_>>().join(", "),
        level: levels.next_back().unwrap_or(OWN).to_owned(),
    }
}

/// A row of a copy as a link.
fn link(row: &Value, (partner, receipt, level): (&str, &str, &str)) -> Option<EdgeLine> {
    let cells: Vec<Option<&str>> = row.as_array()?.iter().map(Value::as_str).collect();
    let row = LinkRow::read(&cells).ok()?;
    let owner = match row.owner {
        OtherOwner::Known(owner) => Some(owner),
        OtherOwner::NotShown => None,
        OtherOwner::Provider => Some(partner.to_owned()),
    };
    let near = PlaceLine { owner: Some(partner.to_owned()), twin: row.twin };
    let far = PlaceLine { owner, twin: row.other };
    let (from, to) = match row.direction {
        Direction::Out => (near, far),
        Direction::In => (far, near),
    };
    Some(edge(from, row.predicate, to, vec![said(partner, Some((receipt, level)))]))
}

/// Copies of links.
#[derive(Debug, Default)]
struct Reading {
    drawn: Drawn,
    gone: usize,
    refused: Option<String>,
    left_out: u64,
}

impl Reading {
    async fn take(
        &mut self,
        client: &AdminClient,
        receipt: &str,
        asked: ReadFor<'_>,
        links: &mut Traced,
    ) -> Result<(), Problem> {
        match client.get::<CopyRead>(&read_path(receipt, asked.purpose, asked.place)).await {
            Ok(copy) => {
                let path = format!("/receipts/{}", segment(receipt));
                let of: ReceiptLine = client.get(&path).await?;
                let of = (of.partner.as_str(), receipt, of.level.as_str());
                let told = copy.rows.iter().filter_map(|row| link(row, of));
                told.for_each(|edge| links.link(edge));
                self.drawn.took(copy.copy.delete_by);
                Ok(())
            }
            Err(problem) if problem.code == codes::COPY_DELETED => {
                self.gone += 1;
                Ok(())
            }
            Err(problem) if is_no(&problem) => {
                self.refused.get_or_insert(problem.message);
                Ok(())
            }
            Err(problem) => Err(problem),
        }
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.gone > 0 {
            let copies = copies::so_many(self.gone);
            notices.push(format!(
                "What partners have told of the walk is not all held any more: {copies} of it were \
                 deleted, as the agreements want."
            ));
        }
        if self.left_out > 0 {
            let more = count(self.left_out);
            notices.push(format!("The walk was longer: {more} links or deliveries are left out."));
        }
        if let Some(why) = &self.refused {
            notices.push(format!("What partners have told of the walk was not read: {why}."));
        }
        notices
    }
}
