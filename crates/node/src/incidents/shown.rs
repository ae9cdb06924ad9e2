//! Incidents as our own people see them, now or as of a time.

use super::{Known, Opened, Signed};
use crate::api::{AnswerLine, ContainmentLine, IncidentLine, IncidentShown, SeenAt};
use crate::as_of::{begun, known};
use crate::fold::Fold;
use crate::open::Node;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, Timestamp, codes};
use twinpact_proof::containment::{Answer, ContainmentAnswer};
use twinpact_proof::documents::Clock;
use twinpact_proof::to_hex;

/// All incidents that we have opened, or were asked about, by a time or until now; the one that was
/// recorded last comes first.
///
/// # Errors
/// `asof.early`; `store.stopped`.
pub fn list(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<IncidentLine>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        let asked = fold.incidents.containments.values();
        let asked = asked.map(|known| known.asked.document.incident.as_str());
        let all: BTreeSet<&str> =
            fold.incidents.opened.keys().map(String::as_str).chain(asked).collect();
        let lines = all.into_iter().filter_map(|id| line(node, fold, id, as_of));
        let mut lines: Vec<IncidentLine> = lines.map(|shown| shown.incident).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.recorded));
        Ok(lines)
    })?
}

/// One incident with its containments and their answers.
///
/// # Errors
/// `incident.unknown`, also when it was recorded later; `asof.early`; `store.stopped`.
pub fn show(node: &Node, id: &str, as_of: Option<Timestamp>) -> Result<IncidentShown, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        line(node, fold, id, as_of).ok_or_else(|| {
            let by = as_of.map(|time| format!(" by {time}")).unwrap_or_default();
            Problem::new(codes::INCIDENT_UNKNOWN, format!("there is no incident {id:?}{by}"))
                .hint("list them with: twinpact incident list")
        })
    })?
}

/// Those that were recorded last, at most so many; the latest comes first.
pub(crate) fn latest(node: &Node, fold: &Fold, most: usize) -> Vec<IncidentShown> {
    let incidents = &fold.incidents;
    let opened = incidents.opened.iter().map(|(id, one)| (id.as_str(), one.recorded));
    let asked = incidents.containments.values().map(|known| &known.asked);
    let asked = asked.map(|asked| (asked.document.incident.as_str(), asked.recorded));
    let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (id, recorded) in opened.chain(asked) {
        let known = first.entry(id).or_insert(recorded);
        *known = recorded.min(*known);
    }
    let mut all: Vec<_> = first.into_iter().map(|(id, recorded)| (recorded, id)).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let latest = all.into_iter().take(most);
    latest.filter_map(|(_, id)| line(node, fold, id, None)).collect()
}

fn line(node: &Node, fold: &Fold, id: &str, as_of: Option<Timestamp>) -> Option<IncidentShown> {
    let opened = fold.incidents.opened.get(id).filter(|one| known(one.recorded, as_of));
    let of = |(_, one): &(&String, &Known)| {
        one.asked.document.incident == id && known(one.asked.recorded, as_of)
    };
    let containments = fold.incidents.containments.iter().filter(of);
    let containments: Vec<ContainmentLine> =
        containments.map(|(name, one)| containment(node, fold, name, one, as_of)).collect();
    let recorded = opened.map(|one| one.recorded);
    let recorded = recorded.into_iter().chain(containments.iter().map(|one| one.recorded)).min()?;
    let story = opened.map(|one| serde_json::from_str(&one.story).unwrap_or_default());
    let incident = IncidentLine {
        id: id.to_owned(),
        name: opened.map(|one: &Opened| one.name.clone()),
        key: opened.and_then(|one| one.key.clone()),
        recorded,
        event: opened.map(|one| one.event),
        containments: containments.len(),
        states: containments.iter().map(|one| one.state.clone()).collect(),
    };
    Some(IncidentShown { incident, story: story.unwrap_or(Value::Null), containments })
}

fn containment(
    node: &Node,
    fold: &Fold,
    name: &str,
    one: &Known,
    as_of: Option<Timestamp>,
) -> ContainmentLine {
    let document = &one.asked.document;
    let ours = document.issuer == node.config.organisation.as_str();
    let answers = one.answers.iter().filter(|answer| known(answer.recorded, as_of));
    let answers: Vec<AnswerLine> = answers.map(answer_line).collect();
    let not_taken = fold.processes.not_taken(name).filter(|_| as_of.is_none());
    ContainmentLine {
        id: name.to_owned(),
        asked_by: document.issuer.clone(),
        asked_of: document.audience.clone(),
        ours,
        agreement: to_hex(&document.agreement),
        twins: document.twins.clone(),
        measure: document.measure.clone(),
        reason: document.reason.clone(),
        evidence: document.evidence.iter().map(|one| to_hex(&one.leaf)).collect(),
        seen: document.seen.as_ref().and_then(|seen| {
            Some(SeenAt {
                twin: Iri::new(seen.twin.as_str()).ok()?,
                first: Timestamp::from_micros(seen.first),
                found: Timestamp::from_micros(seen.found),
            })
        }),
        opened: Timestamp::from_micros(document.opened),
        driven: document.clock == Clock::Driven,
        recorded: one.asked.recorded,
        event: one.asked.event,
        state: answers.last().map_or("open", |last| last.answer.as_str()).to_owned(),
        waits: fold.processes.containment_waits(name).filter(|_| as_of.is_none()),
        not_taken: not_taken.map(str::to_owned),
        answers,
    }
}

fn answer_line(one: &Signed<ContainmentAnswer>) -> AnswerLine {
    let document = &one.document;
    AnswerLine {
        answer: Answer::name(document.answer).to_owned(),
        by: document.by.clone(),
        automatic: document.automatic,
        note: document.note.clone(),
        began: document.began.map(Timestamp::from_micros),
        at: Timestamp::from_micros(document.at),
        driven: document.clock == Clock::Driven,
        recorded: one.recorded,
        event: one.event,
    }
}
