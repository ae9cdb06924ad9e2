//! ODRL policies in the JSON form of the Dataspace Protocol 2025-1, read and written.
//!
//! The names stand in our own table (ODRL Vocabulary 2.2 for what we can decide, and our own
//! `localSchedule`). Bare, `odrl:`-prefixed and full names mean the same; ours are written in full
//! or with `twinpact:`. Scalars and one-element arrays, `{"@id"}`, `{"@value"}`, `{"@list"}` and
//! `{"@set"}` are read alike, because a peer's JSON-LD processor may have made either of the other.
//! Any other name or shape refuses the policy. So does a `profile` other than that of
//! [`crate::catenax`]: one that we do not know could make more of a rule than it says (ODRL
//! Information Model 2.2 §2.1). The names of the one that we know say themselves that they are of
//! it. Hence it is read and written, and is no part of the normal form; that some connectors drop
//! it changes no identity.

use crate::catenax::SetTest;
pub use crate::odrl_read::{MAX_NESTING, Refused, Step, read, read_at};
use crate::terms::{Action, agreement_id};
use crate::terms::{
    Constraint, Duty, LOCAL_SCHEDULE, ODRL, PlaceTest, PurposeTest, Rule, Terms, TimeTest,
};
use serde_json::{Map, Value, json};
use twinpact_model::time::format_duration;
use twinpact_model::{Problem, Timestamp, codes};
use twinpact_proof::digest::Digest;

/// The JSON-LD context of the Dataspace Protocol 2025-1.
pub const DSPACE_CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// The JSON-LD context of ODRL 2.2.
pub const ODRL_CONTEXT: &str = "http://www.w3.org/ns/odrl.jsonld";
/// Our namespace.
pub const TWINPACT: &str = "https://w3id.org/twinpact/";

/// What kind of policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An offer: what its assigner would agree to.
    Offer,
    /// An agreement between an assigner and an assignee.
    Agreement,
    /// A set of rules (`odrl:Set`), or a policy that does not say what it is.
    Set,
}

/// A policy as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What it is.
    pub kind: Kind,
    /// Its `@id`.
    pub at_id: Option<String>,
    /// What it is about: the IRI of a view.
    pub target: Option<String>,
    /// Who grants.
    pub assigner: Option<String>,
    /// Who is granted.
    pub assignee: Option<String>,
    /// When it was agreed; kept to the microsecond.
    pub timestamp: Option<Timestamp>,
    /// The rules in normal form.
    pub terms: Terms,
}

impl Policy {
    /// The identity of this agreement (docs/format.md).
    ///
    /// # Errors
    /// `contract.odrl` when it is not an agreement or lacks `@id`, target, assigner or assignee.
    pub fn agreement_id(&self) -> Result<Digest, Problem> {
        let parts = (&self.at_id, &self.target, &self.assigner, &self.assignee);
        match (self.kind, parts) {
            (Kind::Agreement, (Some(id), Some(target), Some(assigner), Some(assignee))) => {
                Ok(agreement_id(id, target, assigner, assignee, self.timestamp, &self.terms))
            }
            _ => Err(Problem::new(
                codes::CONTRACT_ODRL,
                "not an agreement with @id, target, assigner and assignee",
            )),
        }
    }
}

impl Terms {
    /// The arrays `permission`, `prohibition` and `obligation` for publishing: full IRIs and the
    /// operators of the DSP schema, and the `profile` when there are terms of one. An empty array
    /// is left out, as the schema wants it.
    #[must_use]
    pub fn to_odrl(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let mut put = |name: &str, items: Vec<Value>| {
            if !items.is_empty() {
                out.insert(name.to_owned(), Value::Array(items));
            }
        };
        put("permission", self.permissions().iter().map(rule_odrl).collect());
        put("prohibition", self.prohibitions().iter().map(rule_odrl).collect());
        let duties = self.obligations().iter().map(|d| duty_odrl(*d));
        put("obligation", duties.chain(self.undecided_duties().iter().map(rule_odrl)).collect());
        let profiles: Vec<&str> = self.profiles().into_iter().collect();
        match profiles.as_slice() {
            [] => {}
            [one] => drop(out.insert("profile".to_owned(), json!(one))),
            several => drop(out.insert("profile".to_owned(), json!(several))),
        }
        out
    }

    /// An offer of these terms with that `@id`, as it stands in a catalogue (without a target).
    #[must_use]
    pub fn to_offer(&self, at_id: &str) -> Value {
        let mut offer = Map::new();
        offer.insert("@type".to_owned(), json!("Offer"));
        offer.insert("@id".to_owned(), json!(at_id));
        offer.extend(self.to_odrl());
        Value::Object(offer)
    }
}

fn rule_odrl(rule: &Rule) -> Value {
    let action = match rule.action {
        Action::Use => "use".to_owned(),
        Action::Access => rule.action.iri(),
    };
    let constraints: Vec<Value> = rule.constraints.iter().map(constraint_odrl).collect();
    match constraints.is_empty() {
        true => json!({ "action": action }),
        false => json!({ "action": action, "constraint": constraints }),
    }
}

fn duty_odrl(duty: Duty) -> Value {
    match duty {
        Duty::Delete { within_s } => json!({
            "action": format!("{ODRL}delete"),
            "constraint": [{
                "leftOperand": format!("{ODRL}delayPeriod"),
                "operator": "lteq",
                "rightOperand": format_duration(within_s),
            }],
        }),
    }
}

fn constraint_odrl(constraint: &Constraint) -> Value {
    let (left, operator, right) = match constraint {
        Constraint::Purpose { test, purposes } => {
            let (operator, right) = match test {
                PurposeTest::AnyOf => ("isAnyOf", json!(purposes)),
                PurposeTest::AllOf => ("isAllOf", json!(purposes)),
                PurposeTest::NoneOf => ("isNoneOf", json!(purposes)),
                PurposeTest::Eq => ("eq", json!(purposes.first())),
            };
            (format!("{ODRL}purpose"), operator, right)
        }
        Constraint::Place { test, regions } => {
            let (operator, right) = match (test, regions.as_slice()) {
                (PlaceTest::Within, [one]) => ("isPartOf", json!(one)),
                (PlaceTest::Within, several) => ("isAnyOf", json!(several)),
                (PlaceTest::Exactly, _) => ("eq", json!(regions.first())),
            };
            (format!("{ODRL}spatial"), operator, right)
        }
        Constraint::Schedule(schedule) => {
            (LOCAL_SCHEDULE.to_owned(), "isPartOf", json!(schedule.to_string()))
        }
        Constraint::Time { test, at } => time_odrl(*test, *at),
        Constraint::Undecided(term) => {
            let right = match term.test() {
                SetTest::Eq => json!(term.values().first()),
                _ => json!(term.values()),
            };
            (term.iri(), term.test().name(), right)
        }
    };
    json!({ "leftOperand": left, "operator": operator, "rightOperand": right })
}

fn time_odrl(test: TimeTest, at: Timestamp) -> (String, &'static str, Value) {
    (format!("{ODRL}dateTime"), test.name(), json!(at.to_string()))
}
