//! Whom a finding concerns, and what each is asked: the incident as it is opened.
//!
//! An owner is asked about its own twins, on the evidence of its own deliveries, in the words of
//! the rule. What was walked over stays in the story, in our own log; no value of a row stands in
//! either.

use super::Under;
use super::state::Found;
use super::trace::{At, Traced};
use crate::output::internal;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use twinpact_detect::{Measure, RuleFile};
use twinpact_model::Iri;
use twinpact_model::problem::Problem;
use twinpact_node::api::{Contain, EdgeLine, OpenIncident, SeenAt};
use twinpact_node::incidents::MAX_ASKED;
use twinpact_proof::containment::MAX_EVIDENCE;

/// The most links, and places where a trace ended, that a story tells; of more it says how many.
pub(crate) const MAX_TOLD: usize = 100;

/// A finding with what is known of it.
pub(super) struct Asking<'a> {
    pub(super) file: &'a RuleFile,
    pub(super) under: &'a Under,
    pub(super) found: &'a Found,
    pub(super) traced: &'a Traced,
    /// The twins that the stream has shown.
    pub(super) shown: &'a BTreeSet<String>,
}

/// Whom nobody can be asked for, and how many twins that leaves.
#[derive(Debug, PartialEq, Eq)]
struct NotAsked {
    owner: Option<String>,
    twins: usize,
}

impl Asking<'_> {
    /// The incident; it asks nobody when the rule says so, or nobody can be asked.
    pub(super) fn incident(&self, key: String) -> Result<OpenIncident, Problem> {
        let (mut containments, mut not_asked) = (Vec::new(), Vec::new());
        for measure in &self.file.contain {
            for (owner, twins) in self.concerned(measure) {
                let twins_of = twins.len();
                let asked = match owner.as_deref() {
                    Some(owner) if owner == self.under.us => continue,
                    Some(owner) => self.asked_of(measure, owner, twins)?,
                    None => Vec::new(),
                };
                let asked = asked.into_iter().take(MAX_ASKED.saturating_sub(containments.len()));
                let asked: Vec<Contain> = asked.collect();
                let left = twins_of - asked.iter().map(|one| one.twins.len()).sum::<usize>();
                if left > 0 {
                    not_asked.push(NotAsked { owner, twins: left });
                }
                containments.extend(asked);
            }
        }
        let (name, story) = (self.file.name.to_string(), self.story(&not_asked)?);
        Ok(OpenIncident { name, story, containments, key: Some(key) })
    }

    /// The twins of a measure, by their owner. A walk that leads back to the twin that was found
    /// has not reached another: that one is meant by step 0 alone.
    fn concerned(&self, measure: &Measure) -> BTreeMap<Option<String>, BTreeSet<String>> {
        let mut owners: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
        let reached = measure.reached.iter().filter_map(|step| self.traced.reached.get(*step));
        let other = |at: &&At| measure.reached.contains(&0) || at.0 != self.found.twin;
        for (twin, owner) in reached.flatten().filter(other) {
            owners.entry(owner.clone()).or_default().insert(twin.clone());
        }
        owners
    }

    /// What an owner is asked: under the agreement of the stream about the twins that it shows, and
    /// about others under an agreement by which it has shown links of them.
    fn asked_of(
        &self,
        measure: &Measure,
        owner: &str,
        twins: BTreeSet<String>,
    ) -> Result<Vec<Contain>, Problem> {
        let agreement = &self.under.agreement;
        let streams = |twin: &String| agreement.partner == owner && self.shown.contains(twin);
        let (streamed, others): (BTreeSet<_>, BTreeSet<_>) = twins.into_iter().partition(streams);
        let mut asked = Vec::new();
        if !streamed.is_empty() {
            let seen = streamed.contains(&self.found.twin);
            let seen = seen.then(|| self.seen()).transpose()?;
            let receipts = self.found.receipts.iter().take(MAX_EVIDENCE).cloned().collect();
            asked.push(contain(measure, &agreement.id, streamed, receipts, seen)?);
        }
        if let Some((agreement, receipts)) = self.deliveries(owner, &others) {
            asked.push(contain(measure, &agreement, others, receipts, None)?);
        }
        Ok(asked)
    }

    fn seen(&self) -> Result<SeenAt, Problem> {
        let Found { twin, first, found, .. } = self.found;
        Ok(SeenAt { twin: Iri::new(twin.as_str())?, first: *first, found: *found })
    }

    /// The deliveries of links of some of these twins by their owner, under one agreement.
    fn deliveries(&self, owner: &str, twins: &BTreeSet<String>) -> Option<(String, Vec<String>)> {
        let touches = |edge: &&EdgeLine| {
            [&edge.from, &edge.to]
                .iter()
                .any(|end| end.owner.as_deref() == Some(owner) && twins.contains(&end.twin))
        };
        let links = self.traced.links.iter().filter(touches);
        let said = links.flat_map(|edge| &edge.said).filter(|said| said.by == owner);
        let mut by_agreement: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for receipt in said.filter_map(|said| said.receipt.as_ref()) {
            let agreement = self.traced.agreements.get(receipt)?;
            by_agreement.entry(agreement).or_default().insert(receipt);
        }
        let (agreement, receipts) = by_agreement.into_iter().next()?;
        let receipts = receipts.into_iter().take(MAX_EVIDENCE).cloned().collect();
        Some((agreement.clone(), receipts))
    }

    /// How it was found, for our own people and for the report.
    fn story(&self, not_asked: &[NotAsked]) -> Result<Map<String, Value>, Problem> {
        let rule = serde_json::to_value(self.file);
        let rule = rule.map_err(|e| internal(&format!("a rule: {e}")))?;
        let Traced { links, not_shown, .. } = self.traced;
        let walk: Vec<Value> = links.iter().take(MAX_TOLD).map(told).collect();
        let ends = not_shown.iter().take(MAX_TOLD);
        let ends: Vec<Value> =
            ends.map(|(at, code)| json!({ "at": named(at), "code": code })).collect();
        let asked = not_asked.iter().take(MAX_TOLD);
        let asked: Vec<Value> =
            asked.map(|one| json!({ "owner": one.owner, "twins": one.twins })).collect();
        let left = links.len().saturating_sub(MAX_TOLD) + not_shown.len().saturating_sub(MAX_TOLD);
        let mut story = Map::new();
        story.insert("rule".to_owned(), rule);
        story.insert("agreement".to_owned(), json!(self.under.agreement.id));
        story.insert("walk".to_owned(), Value::Array(walk));
        story.insert("not_shown".to_owned(), Value::Array(ends));
        story.insert("not_asked".to_owned(), Value::Array(asked));
        story.insert("left_out".to_owned(), json!(left));
        Ok(story)
    }
}

fn contain(
    measure: &Measure,
    agreement: &str,
    twins: BTreeSet<String>,
    receipts: Vec<String>,
    seen: Option<SeenAt>,
) -> Result<Contain, Problem> {
    let twins: Result<Vec<Iri>, Problem> =
        twins.iter().map(|twin| Iri::new(twin.as_str())).collect();
    Ok(Contain {
        agreement: agreement.to_owned(),
        twins: twins?,
        measure: measure.measure.clone(),
        reason: measure.reason.clone(),
        receipts,
        seen,
    })
}

/// A link in the form in which `incident report` draws it.
fn told(edge: &EdgeLine) -> Value {
    let by: Vec<&str> = edge.said.iter().map(|said| said.by.as_str()).collect();
    // What we say ourselves is an event of our own log.
    let mut levels = edge.said.iter().filter_map(|said| said.level.as_deref());
    json!({
        "from": named(&super::trace::place(&edge.from)),
        "predicate": edge.predicate,
        "to": named(&super::trace::place(&edge.to)),
        "said_by": by.join(", "),
        "level": levels.next_back().unwrap_or("own"),
    })
}

fn named((twin, owner): &At) -> [&str; 2] {
    [twin, owner.as_deref().unwrap_or("not shown")]
}
