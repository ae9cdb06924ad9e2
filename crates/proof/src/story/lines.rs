//! The sentences of a story, for people.

use super::tell::Links;
use super::{Event, Story, Told};
use crate::containment::{Containment, ContainmentAnswer};
use crate::deletion::Deletion;
use crate::digest::to_hex;
use crate::documents::{Clock, Receipt};
use crate::fields::shown;
use crate::verdict::utc;

/// How many digits of a digest stand in a sentence.
const DIGITS: usize = 12;

pub(super) fn story(story: &Story) -> Vec<String> {
    let links = Links::of(story);
    story.events.iter().map(|event| line(event, &links)).collect()
}

fn line(event: &Event, links: &Links<'_>) -> String {
    let (by, to) = event.parties();
    let driven = if event.clock() == Clock::Driven { ", driven clock" } else { "" };
    let what = match &event.told {
        Told::Agreed(one) => {
            let (view, id) = (shown(&one.target), front(&to_hex(&one.agreement)));
            format!("{by} agreed to show {view} to {to}: agreement {id}")
        }
        Told::Decided(one) => format!("{by}, asked by {to}: {}", shown(&one.sentence)),
        Told::Delivered(one) => delivered(one, links.deleted(&event.id, one)),
        Told::Asked(one) => asked(one, links.missing(one).len()),
        Told::Answered(one) => answered(one, links.asked(one)),
        Told::Deleted(one) => deleted(one, links),
    };
    format!("{} {what} [{}{driven}]", utc(event.at()), event.level)
}

fn delivered(one: &Receipt, deleted: Option<i64>) -> String {
    let (by, to, rows, bytes) = (&one.issuer, &one.audience, one.count, one.bytes);
    let (view, agreement) = (shown(&one.view), front(&to_hex(&one.agreement)));
    let until = match (one.delete_by, deleted) {
        (_, Some(at)) => format!(", deleted {}", utc(at)),
        (Some(by), None) => format!(", to be deleted by {}", utc(by)),
        (None, None) => String::new(),
    };
    format!("{to} read {rows} rows ({bytes} bytes) of {view} of {by}, agreement {agreement}{until}")
}

fn asked(one: &Containment, missing: usize) -> String {
    let (by, to) = (&one.issuer, &one.audience);
    let (measure, reason) = (shown(&one.measure), shown(&one.reason));
    let (twins, rests) = (one.twins.len(), one.evidence.len());
    let missing = match missing {
        0 => String::new(),
        n => format!(", {n} of them not proven here"),
    };
    let incident = shown(&one.incident);
    format!(
        "{by} asked {to} because of {incident}: {measure}, {twins} twins, because {reason}; on \
         {rests} deliveries{missing}"
    )
}

fn answered(one: &ContainmentAnswer, asked: Option<&Containment>) -> String {
    let (by, to, answer) = (&one.issuer, &one.audience, one.answer.name());
    let person = shown(&one.by);
    let person = if one.automatic { format!("a program for {person}") } else { person };
    let began = one.began.map_or(String::new(), |began| format!(", it began {}", utc(began)));
    let note = match one.note.as_str() {
        "" => String::new(),
        note => format!(": {}", shown(note)),
    };
    let asked = match asked {
        Some(_) => "",
        None => ", of which it is not proven here that it was asked",
    };
    let containment = front(&to_hex(&one.containment));
    format!(
        "{by} answered {to}: {answer}, by {person}, containment {containment}{began}{note}{asked}"
    )
}

fn deleted(one: &Deletion, links: &Links<'_>) -> String {
    let (by, to, all) = (&one.issuer, &one.audience, one.receipts.len());
    let (known, late) = (links.known(one).len(), links.late(one).len());
    let known = match (known, late) {
        (0, _) => "none of them is proven here".to_owned(),
        (known, 0) => format!("{known} are proven here, all in time"),
        (known, late) => format!("{known} are proven here, {late} too late"),
    };
    format!("{by} deleted its copies of {all} deliveries of {to}; {known}")
}

fn front(hex: &str) -> String {
    hex.chars().take(DIGITS).collect()
}
