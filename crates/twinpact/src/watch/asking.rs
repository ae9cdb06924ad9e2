//! Whom a finding concerns, and what each is asked: the incident as it is opened.
//!
//! An owner is asked about its own twins, on the evidence of its own deliveries, in the words of
//! the rule, and about no twin to which the way may not be told. The story of it stays in our own
//! log for ever, so it has nothing that a partner has shown: the receipts of what was shown, of
//! which `incident report` draws the walk as long as the copies are there, and what we say
//! ourselves.

use super::Under;
use super::state::Found;
use super::trace::{At, Traced};
use crate::output::internal;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use twinpact_detect::{Measure, RuleFile};
use twinpact_model::Iri;
use twinpact_model::problem::Problem;
use twinpact_node::api::{Contain, EdgeLine, OpenIncident, PlaceLine, SeenAt};
use twinpact_node::incidents::{MAX_ASKED, MAX_STORY_BYTES};
use twinpact_proof::containment::MAX_EVIDENCE;

/// The most links, and receipts of links, that a story tells; of more it says how many.
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

/// Twins that nobody is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NotAsked {
    /// Their owner, when that is shown.
    pub(crate) owner: Option<String>,
    /// How many.
    pub(crate) twins: usize,
    /// Why.
    pub(crate) why: Why,
}

/// Why an owner is not asked about some twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// It is not shown whose it is, it has shown us nothing of it, or there are too many.
    NobodyToAsk,
    /// Whoever has shown the way to it has not permitted that another is told.
    MayNotTell,
}

/// Twins, and the receipts of deliveries in which links of them were told.
type Told = (BTreeSet<String>, BTreeSet<String>);

impl Asking<'_> {
    /// The incident, and who is not asked; it asks nobody when the rule says so, or nobody can be
    /// asked.
    pub(super) fn incident(&self, key: String) -> Result<(OpenIncident, Vec<NotAsked>), Problem> {
        let (mut containments, mut not_asked) = (Vec::new(), Vec::new());
        for measure in &self.file.contain {
            for (owner, twins) in self.concerned(measure, |_| true) {
                if owner.as_ref() == Some(&self.under.us) {
                    continue;
                }
                let told = owner.as_ref().map(|owner| self.told(measure, owner));
                let told = told.unwrap_or_default();
                let hidden = if owner.is_some() { twins.len() - told.len() } else { 0 };
                let asked = match owner.as_deref() {
                    Some(owner) => self.asked_of(measure, owner, told)?,
                    None => Vec::new(),
                };
                let room = MAX_ASKED.saturating_sub(containments.len());
                let asked: Vec<Contain> = asked.into_iter().take(room).collect();
                let of: usize = asked.iter().map(|one| one.twins.len()).sum();
                containments.extend(asked);
                let left = twins.len() - hidden - of;
                let left = [(hidden, Why::MayNotTell), (left, Why::NobodyToAsk)];
                let left = left.into_iter().filter(|(twins, _)| *twins > 0);
                let owner = &owner;
                not_asked.extend(left.map(|(twins, why)| NotAsked {
                    owner: owner.clone(),
                    twins,
                    why,
                }));
            }
        }
        let left = not_asked.iter().map(|one| one.twins).sum();
        let (name, story) = (self.file.name.to_string(), self.story(left)?);
        Ok((OpenIncident { name, story, containments, key: Some(key) }, not_asked))
    }

    /// The twins of a measure to which links lead that may be told, by their owner. A walk that
    /// leads back to the twin that was found has not reached another: that one is meant by step 0
    /// alone.
    fn concerned(
        &self,
        measure: &Measure,
        may_tell: impl Fn(&EdgeLine) -> bool,
    ) -> BTreeMap<Option<String>, BTreeSet<String>> {
        let mut owners: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
        let all = self.traced.over(may_tell).reached;
        let reached = measure.reached.iter().filter_map(|step| all.get(*step));
        let other = |at: &&At| measure.reached.contains(&0) || at.0 != self.found.twin;
        for (twin, owner) in reached.flatten().filter(other) {
            owners.entry(owner.clone()).or_default().insert(twin.clone());
        }
        owners
    }

    /// The twins of an owner to which the way may be told to it.
    fn told(&self, measure: &Measure, owner: &str) -> BTreeSet<String> {
        let may_tell = |edge: &EdgeLine| self.traced.may_tell(edge, owner, &self.under.us);
        self.concerned(measure, may_tell).remove(&Some(owner.to_owned())).unwrap_or_default()
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
        for (agreement, (twins, receipts)) in self.deliveries(owner, &others) {
            let receipts = receipts.into_iter().take(MAX_EVIDENCE).collect();
            asked.push(contain(measure, agreement, twins, receipts, None)?);
        }
        Ok(asked)
    }

    fn seen(&self) -> Result<SeenAt, Problem> {
        let Found { twin, first, found, .. } = self.found;
        Ok(SeenAt { twin: Iri::new(twin.as_str())?, first: *first, found: *found })
    }

    /// Under which agreement links of each of these twins were told by their owner, and in which
    /// deliveries: of several the first.
    fn deliveries(&self, owner: &str, twins: &BTreeSet<String>) -> BTreeMap<&str, Told> {
        let mut told: BTreeMap<&str, Told> = BTreeMap::new();
        for twin in twins {
            let touches =
                |end: &PlaceLine| end.owner.as_deref() == Some(owner) && end.twin == *twin;
            let links = self.traced.links.iter().filter(|e| touches(&e.from) || touches(&e.to));
            let said = links.flat_map(|edge| &edge.said).filter(|said| said.by == owner);
            let receipts: BTreeSet<&String> =
                said.filter_map(|said| said.receipt.as_ref()).collect();
            let of = |receipt: &&String| self.traced.agreements.get(*receipt).map(String::as_str);
            let Some(agreement) = receipts.iter().filter_map(of).min() else { continue };
            let under = receipts.iter().filter(|receipt| of(receipt) == Some(agreement));
            let known = told.entry(agreement).or_default();
            known.0.insert(twin.clone());
            known.1.extend(under.map(|receipt| String::clone(receipt)));
        }
        told
    }

    /// How it was found, for our own people and for the report.
    fn story(&self, not_asked: usize) -> Result<Map<String, Value>, Problem> {
        let rule = serde_json::to_value(self.file);
        let rule = rule.map_err(|e| internal(&format!("a rule: {e}")))?;
        let Traced { links, not_shown, .. } = self.traced;
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        not_shown.iter().for_each(|(_, code)| *codes.entry(code).or_default() += 1);
        let said = links.iter().flat_map(|edge| &edge.said);
        let shown: BTreeSet<&String> = said.filter_map(|said| said.receipt.as_ref()).collect();
        // Of what we say ourselves no more than what one comes to without a partner's word.
        let own = self.traced.over(|edge| edge.said.iter().any(|said| said.by == self.under.us));
        let ours = own.links.iter().filter_map(|at| links.get(*at)).map(own_link);
        let mut story = Map::new();
        story.insert("rule".to_owned(), rule);
        story.insert("agreement".to_owned(), json!(self.under.agreement.id));
        story.insert("not_shown".to_owned(), json!(codes));
        story.insert("not_asked".to_owned(), json!(not_asked));
        let mut room = MAX_STORY_BYTES.saturating_sub(Value::from(story.clone()).to_string().len());
        let mut left = 0;
        let (links, more) = fitting(ours, &mut room);
        story.insert("links".to_owned(), Value::Array(links));
        left += more;
        let (shown, more) = fitting(shown.into_iter().map(|receipt| json!(receipt)), &mut room);
        story.insert("shown_by".to_owned(), Value::Array(shown));
        left += more;
        story.insert("left_out".to_owned(), json!(left));
        Ok(story)
    }
}

/// A link that we say ourselves, in the form in which `incident report` reads it.
fn own_link(edge: &EdgeLine) -> Value {
    json!({
        "from": named(&super::trace::place(&edge.from)),
        "predicate": edge.predicate,
        "to": named(&super::trace::place(&edge.to)),
    })
}

/// The first of them, no more than a story tells, and how many are left out. The names of the
/// members of a story have their room too.
fn fitting(all: impl Iterator<Item = Value>, room: &mut usize) -> (Vec<Value>, usize) {
    const NAMES: usize = 64;
    let (mut told, mut left) = (Vec::new(), 0);
    *room = room.saturating_sub(NAMES);
    for one in all {
        let size = one.to_string().len() + 1;
        if told.len() >= MAX_TOLD || size > *room {
            left += 1;
            continue;
        }
        *room -= size;
        told.push(one);
    }
    (told, left)
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

fn named((twin, owner): &At) -> [&str; 2] {
    [twin, owner.as_deref().unwrap_or("not shown")]
}
