//! The JSON of a story, and what its events say of each other: whether the deliveries that a
//! containment rests on are there, whether what is answered was asked, and what became of copies.

use super::{Event, Story, Told};
use crate::containment::{Containment, ContainmentAnswer, Evidence, Seen};
use crate::deletion::{Deletion, Reason};
use crate::digest::{Digest, to_hex};
use crate::documents::Receipt;
use crate::fields::{hex_json, time_json, uint_json};
use crate::json::Json;
use std::collections::BTreeMap;

/// What the events of a story say of each other.
pub(super) struct Links<'s> {
    deliveries: BTreeMap<Digest, &'s Receipt>,
    deletions: Vec<&'s Deletion>,
    asked: BTreeMap<Digest, &'s Containment>,
}

impl<'s> Links<'s> {
    pub(super) fn of(story: &'s Story) -> Links<'s> {
        let (deliveries, deletions) = (BTreeMap::new(), Vec::new());
        let mut links = Links { deliveries, deletions, asked: BTreeMap::new() };
        for event in &story.events {
            match &event.told {
                Told::Delivered(one) => {
                    links.deliveries.insert(event.id, one);
                }
                Told::Deleted(one) => links.deletions.push(one),
                Told::Asked(one) => {
                    links.asked.insert(event.id, one);
                }
                Told::Agreed(_) | Told::Decided(_) | Told::Answered(_) => {}
            }
        }
        links
    }

    /// The leaves of the deliveries that a containment rests on and that are not in the story.
    pub(super) fn missing(&self, one: &Containment) -> Vec<Digest> {
        let there = |evidence: &&Evidence| {
            let found = self.deliveries.get(&evidence.leaf).filter(|r| r.index == evidence.index);
            found.is_some_and(|r| {
                (r.agreement, &r.issuer, &r.audience) == (one.agreement, &one.audience, &one.issuer)
            })
        };
        one.evidence.iter().filter(|one| !there(one)).map(|one| one.leaf).collect()
    }

    /// The containment that an answer answers, when it was asked of who answers.
    pub(super) fn asked(&self, one: &ContainmentAnswer) -> Option<&'s Containment> {
        let asked = self.asked.get(&one.containment).copied();
        asked.filter(|asked| (&asked.audience, &asked.issuer) == (&one.issuer, &one.audience))
    }

    /// The deliveries of the story whose copies this says are gone.
    pub(super) fn known(&self, one: &Deletion) -> Vec<(Digest, &'s Receipt)> {
        let of = |leaf: &Digest| {
            let receipt = self.deliveries.get(leaf)?;
            is_of(one, receipt).then_some((*leaf, *receipt))
        };
        one.receipts.iter().filter_map(of).collect()
    }

    /// Those of them that were deleted later than they were to be.
    pub(super) fn late(&self, one: &Deletion) -> Vec<Digest> {
        let late = |(leaf, receipt): (Digest, &Receipt)| {
            receipt.delete_by.is_some_and(|by| by < one.deleted).then_some(leaf)
        };
        self.known(one).into_iter().filter_map(late).collect()
    }

    /// When the copies of a delivery were deleted because their time had come.
    pub(super) fn deleted(&self, leaf: &Digest, receipt: &Receipt) -> Option<i64> {
        let is_it = |one: &&&Deletion| {
            one.reason == Reason::Retention && is_of(one, receipt) && one.receipts.contains(leaf)
        };
        self.deletions.iter().filter(is_it).map(|one| one.deleted).min()
    }
}

/// Whether a deletion is by who had that delivery, for who made it.
fn is_of(one: &Deletion, receipt: &Receipt) -> bool {
    (&one.issuer, &one.audience, one.agreement)
        == (&receipt.audience, &receipt.issuer, receipt.agreement)
}

pub(super) fn story(story: &Story) -> Json {
    let links = Links::of(story);
    let unused = story.unused.iter().map(|one| {
        Json::object([
            ("file", Json::text(&one.file)),
            ("code", Json::text(one.code)),
            ("link", one.link.map_or(Json::Null, |link| Json::text(link.name()))),
        ])
    });
    let pairs = |pairs: &[(String, String)], name: &'static str| {
        let pair = |(file, other): &(String, String)| {
            Json::object([("file", Json::text(file)), (name, Json::text(other))])
        };
        Json::Array(pairs.iter().map(pair).collect())
    };
    Json::object([
        ("holds", Json::Bool(story.unused.is_empty())),
        ("story", Json::Array(story.events.iter().map(|one| event(one, &links)).collect())),
        ("unused", Json::Array(unused.collect())),
        ("others", pairs(&story.others, "kind")),
        ("repeated", pairs(&story.repeated, "same")),
        ("forked", Json::Array(story.forked.iter().map(forked).collect())),
    ])
}

fn forked((origin, files): (&String, &[String; 2])) -> Json {
    Json::object([("origin", Json::text(origin)), ("files", Json::texts(files))])
}

fn event(event: &Event, links: &Links<'_>) -> Json {
    let (by, to) = event.parties();
    let (what, members) = members(event, links);
    let common = [
        ("what", Json::text(what)),
        ("id", hex_json(&event.id)),
        ("at", Json::Int(event.at())),
        ("clock", Json::text(event.clock().name())),
        ("by", Json::text(by)),
        ("to", Json::text(to)),
        ("level", Json::text(event.level.name())),
        ("recorded_by", Json::texts(&event.recorded_by)),
        ("files", Json::texts(&event.files)),
    ];
    Json::object(common.into_iter().chain(members))
}

/// What kind of event it is, and what it says beside when, who and how well it is known.
fn members(event: &Event, links: &Links<'_>) -> (&'static str, Vec<(&'static str, Json)>) {
    match &event.told {
        Told::Agreed(one) => {
            ("agreed", vec![("view", Json::text(&one.target)), ("terms", one.terms.clone())])
        }
        Told::Decided(one) => {
            let permit = one.code == super::PERMIT;
            let members = vec![
                ("agreement", hex_json(&one.document.agreement)),
                ("code", Json::text(&one.code)),
                ("sentence", Json::text(&one.sentence)),
            ];
            (if permit { "permitted" } else { "refused" }, members)
        }
        Told::Delivered(one) => ("delivered", delivered(one, links.deleted(&event.id, one))),
        Told::Asked(one) => ("asked", asked(one, &links.missing(one))),
        Told::Answered(one) => ("answered", answered(one, links.asked(one))),
        Told::Deleted(one) => ("deleted", deleted(one, links)),
    }
}

fn delivered(one: &Receipt, deleted: Option<i64>) -> Vec<(&'static str, Json)> {
    vec![
        ("agreement", hex_json(&one.agreement)),
        ("decision", hex_json(&one.decision)),
        ("view", Json::text(&one.view)),
        ("rows", uint_json(one.count)),
        ("bytes", uint_json(one.bytes)),
        ("delete_by", time_json(one.delete_by)),
        ("deleted", time_json(deleted)),
    ]
}

fn asked(one: &Containment, missing: &[Digest]) -> Vec<(&'static str, Json)> {
    let seen = |seen: &Seen| {
        Json::object([
            ("twin", Json::text(&seen.twin)),
            ("first", Json::Int(seen.first)),
            ("found", Json::Int(seen.found)),
        ])
    };
    vec![
        ("incident", Json::text(&one.incident)),
        ("agreement", hex_json(&one.agreement)),
        ("twins", Json::texts(&one.twins)),
        ("measure", Json::text(&one.measure)),
        ("reason", Json::text(&one.reason)),
        ("seen", one.seen.as_ref().map_or(Json::Null, seen)),
        ("evidence", hexes(one.evidence.iter().map(|one| &one.leaf))),
        ("missing", hexes(missing)),
    ]
}

fn answered(one: &ContainmentAnswer, asked: Option<&Containment>) -> Vec<(&'static str, Json)> {
    let incident = asked.map_or(Json::Null, |asked| Json::text(&asked.incident));
    vec![
        ("containment", hex_json(&one.containment)),
        ("incident", incident),
        ("answer", Json::text(one.answer.name())),
        ("person", Json::text(&one.by)),
        ("automatic", Json::Bool(one.automatic)),
        ("note", Json::text(&one.note)),
        ("began", time_json(one.began)),
    ]
}

fn deleted(one: &Deletion, links: &Links<'_>) -> Vec<(&'static str, Json)> {
    let duty = match &one.reason {
        Reason::Retention => Json::Null,
        Reason::Duty(fingerprint) => hex_json(fingerprint),
    };
    let known = links.known(one);
    vec![
        ("agreement", hex_json(&one.agreement)),
        ("deliveries", Json::Int(i64::try_from(one.receipts.len()).unwrap_or(i64::MAX))),
        ("known", hexes(known.iter().map(|(leaf, _)| leaf))),
        ("late", hexes(&links.late(one))),
        ("duty", duty),
    ]
}

fn hexes<'a>(all: impl IntoIterator<Item = &'a Digest>) -> Json {
    Json::texts(all.into_iter().map(|one| to_hex(one)))
}
