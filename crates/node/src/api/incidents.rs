//! Incidents and containments in the admin API.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twinpact_model::{Iri, Timestamp};

/// The body of `POST /incidents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIncident {
    /// What it is called: the name of the rule that found it.
    pub name: String,
    /// How it was found, for our own people; no value of a partner belongs in it, because it
    /// outlives every copy.
    pub story: Map<String, Value>,
    /// Whom to ask for what.
    pub containments: Vec<Contain>,
    /// What whoever opens it calls this one finding: of one name there is one incident, however
    /// often it is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Whom to ask for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contain {
    /// The agreement under which the owner of the twins has shown us what it rests on.
    pub agreement: String,
    /// The twins.
    pub twins: Vec<Iri>,
    /// What is to be done with them.
    pub measure: String,
    /// Why.
    pub reason: String,
    /// The receipts of the deliveries that it rests on.
    #[serde(default)]
    pub receipts: Vec<String>,
    /// Where it was seen, when that was at a twin of the owner.
    #[serde(default)]
    pub seen: Option<SeenAt>,
}

/// Where and when something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenAt {
    /// The twin.
    pub twin: Iri,
    /// The time of the first row of it that was shown.
    pub first: Timestamp,
    /// The time of the row by which it was found.
    pub found: Timestamp,
}

/// The body of `POST /containments/{id}/confirm`, `…/refuse` and `…/release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The person who answers.
    pub by: String,
    /// What is said with it.
    #[serde(default)]
    pub note: String,
    /// Whether nobody looked: a program answers.
    #[serde(default)]
    pub automatic: bool,
    /// When it began, by what the owner knows of its twin.
    #[serde(default)]
    pub began: Option<Timestamp>,
}

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentLine {
    /// Its name, the same at all who have to do with it.
    pub id: String,
    /// What it is called; null when a partner has opened it.
    pub name: Option<String>,
    /// What its finding is called by whoever opened it here; null when it has no such name.
    pub key: Option<String>,
    /// When we recorded it.
    pub recorded: Timestamp,
    /// The event that opened it; null when a partner has opened it.
    pub event: Option<u64>,
    /// How many containments of it we know.
    pub containments: usize,
    /// The state of each.
    pub states: Vec<String>,
}

/// An incident with all that we know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentShown {
    /// The incident.
    pub incident: IncidentLine,
    /// How it was found; null when a partner has opened it.
    pub story: Value,
    /// Who was asked for what, and the answers.
    pub containments: Vec<ContainmentLine>,
}

impl IncidentShown {
    /// The containment that says at which twin of who was asked it was seen; of several the one
    /// that was opened first.
    #[must_use]
    pub fn seen(&self) -> Option<(&ContainmentLine, &SeenAt)> {
        let seen = self.containments.iter().filter_map(|one| Some((one, one.seen.as_ref()?)));
        seen.min_by_key(|(one, _)| one.opened)
    }

    /// When it began: what the owner of that twin has said last about it. What others say of their
    /// own twins is no word about this one.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let (asked, _) = self.seen()?;
        asked.answers.iter().rev().find_map(|answer| answer.began)
    }

    /// Whether any of its times, of who asked or of who answered, is of a driven clock.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        let answers = |one: &ContainmentLine| one.answers.iter().any(|answer| answer.driven);
        self.containments.iter().any(|one| one.driven || answers(one))
    }
}

/// A containment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainmentLine {
    /// Its fingerprint.
    pub id: String,
    /// Who asked.
    pub asked_by: String,
    /// Who was asked.
    pub asked_of: String,
    /// Whether it was we who asked.
    pub ours: bool,
    /// The agreement that it was learned under.
    pub agreement: String,
    /// The twins.
    pub twins: Vec<String>,
    /// What is to be done with them.
    pub measure: String,
    /// Why.
    pub reason: String,
    /// The receipts of the deliveries that it rests on.
    pub evidence: Vec<String>,
    /// Where it was seen; null when at no twin of who was asked.
    pub seen: Option<SeenAt>,
    /// When it was asked for, by the policy clock of who asked.
    pub opened: Timestamp,
    /// Whether that clock was driven: then it is no evidence of times.
    pub driven: bool,
    /// When we recorded it.
    pub recorded: Timestamp,
    /// The event: `twinpact proof export EVENT` proves it.
    pub event: u64,
    /// `open`, `confirmed`, `refused` or `released`.
    pub state: String,
    /// Since when something of it waits for the partner to take it; null when nothing does, and as
    /// of another time.
    pub waits: Option<Timestamp>,
    /// Why whom it asks did not take it; null when it did or may yet, and as of another time.
    pub not_taken: Option<String>,
    /// What was answered, the oldest first.
    pub answers: Vec<AnswerLine>,
}

/// An answer to a containment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLine {
    /// `confirmed`, `refused` or `released`.
    pub answer: String,
    /// The person who gave it.
    pub by: String,
    /// Whether nobody looked: a program gave it.
    pub automatic: bool,
    /// What was said with it.
    pub note: String,
    /// When it began, by what the owner of the twin knows; null when that was not said.
    pub began: Option<Timestamp>,
    /// When, by the policy clock of who answered.
    pub at: Timestamp,
    /// Whether that clock was driven: then it is no evidence of times.
    pub driven: bool,
    /// When we recorded it.
    pub recorded: Timestamp,
    /// The event: `twinpact proof export EVENT` proves it.
    pub event: u64,
}

#[cfg(test)]
mod tests {
    use super::{AnswerLine, ContainmentLine, IncidentShown, SeenAt};
    use serde_json::json;
    use twinpact_model::{Iri, Timestamp};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    /// A containment of that name, opened then, seen or not, with answers that say when it began.
    fn asked(id: &str, opened: i64, seen: bool, began: &[Option<i64>]) -> ContainmentLine {
        let twin = Iri::new(format!("urn:twin:{id}")).unwrap();
        let answer = |began: &Option<i64>| AnswerLine {
            answer: "confirmed".to_owned(),
            by: "a test".to_owned(),
            automatic: false,
            note: String::new(),
            began: began.map(at),
            at: at(opened),
            driven: false,
            recorded: at(opened),
            event: 1,
        };
        ContainmentLine {
            id: id.to_owned(),
            asked_by: "did:web:maker.example".to_owned(),
            asked_of: format!("did:web:{id}.example"),
            ours: true,
            agreement: "a".to_owned(),
            twins: vec![twin.to_string()],
            measure: "inspect".to_owned(),
            reason: "it stands still".to_owned(),
            evidence: Vec::new(),
            seen: seen.then(|| SeenAt { twin, first: at(100), found: at(200) }),
            opened: at(opened),
            driven: false,
            recorded: at(opened),
            event: 1,
            state: "confirmed".to_owned(),
            waits: None,
            not_taken: None,
            answers: began.iter().map(answer).collect(),
        }
    }

    fn shown(containments: Vec<ContainmentLine>) -> IncidentShown {
        let incident = json!({
            "id": "i", "name": null, "key": null, "recorded": at(0), "event": null,
            "containments": containments.len(), "states": [],
        });
        let incident = serde_json::from_value(incident).unwrap();
        IncidentShown { incident, story: json!(null), containments }
    }

    #[test]
    fn one_driven_clock_is_enough() {
        let check = |asked_by: bool, answered_by: bool| {
            let mut other = asked("b", 300, false, &[None, Some(1)]);
            (other.driven, other.answers[1].driven) = (asked_by, answered_by);
            let shown = shown(vec![asked("a", 300, true, &[None]), other]);
            assert_eq!(shown.is_driven(), asked_by || answered_by);
        };
        check(false, false);
        check(true, false);
        check(false, true);
    }

    #[test]
    fn it_began_when_the_owner_of_the_twin_that_was_seen_said_last() {
        let check = |containments: Vec<ContainmentLine>, expect: (Option<&str>, Option<i64>)| {
            let shown = shown(containments);
            let seen = shown.seen().map(|(one, _)| one.id.as_str());
            assert_eq!((seen, shown.began()), (expect.0, expect.1.map(at)));
        };
        check(vec![], (None, None));
        check(vec![asked("a", 300, true, &[])], (Some("a"), None));
        check(vec![asked("a", 300, true, &[None])], (Some("a"), None));
        check(vec![asked("a", 300, true, &[Some(50)])], (Some("a"), Some(50)));
        // The last word counts, be it earlier or later; an answer without one takes none back.
        check(vec![asked("a", 300, true, &[Some(50), Some(70)])], (Some("a"), Some(70)));
        check(vec![asked("a", 300, true, &[Some(50), None])], (Some("a"), Some(50)));
        // Whoever was asked about another twin, or about none that was seen, says nothing of it.
        let other = asked("b", 200, false, &[Some(10)]);
        check(vec![other.clone(), asked("a", 300, true, &[])], (Some("a"), None));
        check(vec![asked("a", 300, true, &[Some(50)]), other.clone()], (Some("a"), Some(50)));
        check(vec![other], (None, None));
        // Of two the first that was opened, in whatever order they stand.
        let (first, second) =
            (asked("z", 300, true, &[Some(50)]), asked("a", 301, true, &[Some(20)]));
        check(vec![second.clone(), first.clone()], (Some("z"), Some(50)));
        check(vec![first, second], (Some("z"), Some(50)));
    }
}
