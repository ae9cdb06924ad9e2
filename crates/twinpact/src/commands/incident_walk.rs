//! The walk over organisations in the picture of an incident: what we say ourselves stands in its
//! story, what partners have told is in copies, as long as they may be kept.

use super::copies::{self, read_path};
use super::incident_rows::{ReadFor, is_no};
use crate::report::Hop;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use twinpact_detect::RuleFile;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Direction, LinkRow, OtherOwner, Predicate, Timestamp, codes};
use twinpact_node::api::{CopyRead, ReceiptLine};

/// How a twin is called of which it is not shown whose it is.
const NOT_SHOWN: &str = "not shown";
/// The level of what we say ourselves.
const OWN: &str = "own";

/// The walk, and what the reader has to know of it.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) hops: Vec<Hop>,
    pub(super) notices: Vec<String>,
}

/// A link as a story tells it.
#[derive(Deserialize)]
struct Told {
    from: [String; 2],
    predicate: Predicate,
    to: [String; 2],
}

/// What the story of an incident tells of the walk; a story that somebody else has written may tell
/// nothing of it.
#[derive(Default, Deserialize)]
struct Story {
    #[serde(default)]
    links: Vec<Told>,
    /// Receipts of deliveries.
    #[serde(default)]
    shown_by: Vec<String>,
}

/// A link: from, predicate, to.
type Key = ([String; 2], &'static str, [String; 2]);

/// Who says that a link stands, and the level of what proves it.
#[derive(Default)]
struct Said {
    by: Vec<String>,
    level: String,
}

/// The links of a walk, in the order in which they were told.
#[derive(Default)]
struct Links {
    order: Vec<Key>,
    said: BTreeMap<Key, Said>,
}

impl Links {
    fn add(&mut self, key: Key, by: &str, level: &str) {
        let said = self.said.entry(key.clone()).or_insert_with(|| {
            self.order.push(key);
            Said::default()
        });
        if !said.by.iter().any(|known| known == by) {
            said.by.push(by.to_owned());
        }
        // What a partner has said is proven, what we say is an event of our own log.
        if said.level.is_empty() || said.level == OWN {
            level.clone_into(&mut said.level);
        }
    }

    fn hops(mut self) -> Vec<Hop> {
        let order = std::mem::take(&mut self.order);
        let hop = |key: Key| {
            let Said { by, level } = self.said.remove(&key)?;
            let ([from, owner], predicate, [to, other]) = key;
            Some(Hop {
                from: (from, owner),
                predicate: predicate.to_owned(),
                to: (to, other),
                said_by: by.join(", "),
                level,
            })
        };
        order.into_iter().filter_map(hop).collect()
    }
}

/// What can be drawn of the walk of an incident.
///
/// # Errors
/// What the node refuses but reads of copies: those are notices.
pub(super) async fn walk(
    client: &AdminClient,
    us: &str,
    story: &Value,
    rule: Option<&RuleFile>,
    asked: ReadFor<'_>,
) -> Result<Walk, Problem> {
    let story: Story = serde_json::from_value(story.clone()).unwrap_or_default();
    let (mut links, mut read) = (Links::default(), Reading::default());
    for Told { from, predicate, to } in story.links {
        links.add((from, predicate.name(), to), us, OWN);
    }
    for receipt in &story.shown_by {
        match client.get::<CopyRead>(&read_path(receipt, asked.purpose, asked.place)).await {
            Ok(copy) => {
                let path = format!("/receipts/{}", segment(receipt));
                let line: ReceiptLine = client.get(&path).await?;
                let walked = |link: &LinkRow| {
                    rule.is_none_or(|rule| rule.walk.iter().any(|hop| hop.via == link.predicate))
                };
                for link in rows(&copy).filter(walked) {
                    links.add(key(&link, &line.partner), &line.partner, &line.level);
                }
                read.took(copy.copy.delete_by);
            }
            Err(problem) if problem.code == codes::COPY_DELETED => read.gone += 1,
            Err(problem) if is_no(&problem) => {
                read.refused.get_or_insert(problem.message);
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Walk { hops: links.hops(), notices: read.notices() })
}

/// The links of a copy.
fn rows(copy: &CopyRead) -> impl Iterator<Item = LinkRow> {
    copy.rows.iter().filter_map(|row| {
        let cells: Vec<Option<&str>> = row.as_array()?.iter().map(Value::as_str).collect();
        LinkRow::read(&cells).ok()
    })
}

fn key(link: &LinkRow, partner: &str) -> Key {
    let other = match &link.owner {
        OtherOwner::Known(owner) => owner.clone(),
        OtherOwner::NotShown => NOT_SHOWN.to_owned(),
        OtherOwner::Provider => partner.to_owned(),
    };
    let near = [link.twin.clone(), partner.to_owned()];
    let far = [link.other.clone(), other];
    match link.direction {
        Direction::Out => (near, link.predicate.name(), far),
        Direction::In => (far, link.predicate.name(), near),
    }
}

/// Copies of links that were read.
#[derive(Debug, Default)]
struct Reading {
    copies: usize,
    until: Option<Timestamp>,
    gone: usize,
    refused: Option<String>,
}

impl Reading {
    fn took(&mut self, until: Option<Timestamp>) {
        self.copies += 1;
        self.until = self.until.into_iter().chain(until).min();
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if let (1.., Some(until)) = (self.copies, self.until) {
            let copies = copies::so_many(self.copies);
            notices.push(format!(
                "The walk is drawn from {copies} of what partners have told of links. Delete this \
                 page by {until}, when the first of them is to be deleted."
            ));
        }
        if self.gone > 0 {
            let copies = copies::so_many(self.gone);
            notices.push(format!(
                "What partners have told of the walk is not all held any more: {copies} of it were \
                 deleted, as the agreements want."
            ));
        }
        if let Some(why) = &self.refused {
            notices.push(format!("What partners have told of the walk was not read: {why}."));
        }
        notices
    }
}
