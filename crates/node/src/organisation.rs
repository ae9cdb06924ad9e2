//! Our own organisation record: signed, logged, and issued anew when what it says has changed.

use crate::fold::Fold;
use crate::open::Node;
use crate::partition::NewEntry;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_proof::dsse::Envelope;
use twinpact_proof::json::Json;
use twinpact_proof::record::{NamedTree, Record, RecordKey};
use twinpact_proof::to_hex;
use twinpact_store::forest::{DECISIONS, EVENTS, Forest, TreeNo};

/// The record as the log has it.
#[derive(Debug, Clone, Default)]
pub struct Organisation {
    current: Option<(Record, Envelope)>,
}

impl Organisation {
    /// The record that stands, with its envelope.
    ///
    /// # Errors
    /// `internal` before the first start has issued one.
    pub fn current(&self) -> Result<&(Record, Envelope), Problem> {
        self.current
            .as_ref()
            .ok_or_else(|| Problem::new(codes::INTERNAL, "no organisation record was issued"))
    }

    /// Takes an event into the state.
    ///
    /// # Errors
    /// `internal` when a logged record is not one.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        if entry.who.kind != Kind::OrganisationRecord {
            return Ok(());
        }
        let bad = || Problem::new(codes::INTERNAL, "a logged organisation record is not one");
        let envelope = entry
            .get("record")
            .and_then(|text| Json::parse(text.as_bytes()).ok())
            .and_then(|json| Envelope::from_json(&json))
            .ok_or_else(bad)?;
        let record = Record::from_envelope(&envelope).map_err(|_| bad())?;
        self.current = Some((record, envelope));
        Ok(())
    }
}

/// The origin of the log of an organisation: `<host>/twinpact/<log id>`. The log id is the front of
/// the random id of its tree of events, so that it needs no place of its own.
///
/// # Errors
/// `internal` when the log has no tree of events.
pub fn origin(did: &Did, forest: &Forest) -> Result<String, Problem> {
    let tree = tree_id(forest, EVENTS)?;
    let id = to_hex(tree.first_chunk::<8>().map_or(&[][..], |front| front));
    Ok(format!("{}/twinpact/{id}", host(did)))
}

/// The host that a DID names.
#[must_use]
pub fn host(did: &Did) -> String {
    did.web_host().unwrap_or_else(|| did.as_str().replace(':', "."))
}

fn tree_id(forest: &Forest, tree: TreeNo) -> Result<[u8; 16], Problem> {
    let missing = || Problem::new(codes::INTERNAL, "the log has not opened its trees");
    forest.id(tree).ok_or_else(missing)
}

/// Issues the record when there is none or it says something else than is so now, with the base URL
/// at which partners reach us.
///
/// # Errors
/// `internal` when the record breaks a rule of its own; what the log refuses.
pub async fn issue(node: &Node, dsp: String) -> Result<(), Problem> {
    let now = node.clocks.wall().0.micros();
    let (known, wanted) = node.partition.read(|fold, store| {
        let known = fold.organisation.current.as_ref().map(|(record, _)| record.clone());
        let wanted = wanted(node, fold, store.forest(), dsp, now);
        (known, wanted)
    })?;
    let wanted = wanted?;
    if known.is_some_and(|record| Record { issued: now, ..record } == wanted) {
        return Ok(());
    }
    let envelope = wanted
        .sign(node.signer().key())
        .map_err(|e| Problem::new(codes::INTERNAL, format!("the organisation record: {e}")))?;
    let entry = entry(node, &envelope);
    node.partition.turn(move |turn| turn.log(vec![NewEntry::event(entry)]).map(|_| ())).await
}

fn wanted(
    node: &Node,
    fold: &Fold,
    forest: &Forest,
    dsp: String,
    now: i64,
) -> Result<Record, Problem> {
    let key = node.signer().public();
    let known = fold.organisation.current.as_ref();
    let mut keys = known.map(|(record, _)| record.keys.clone()).unwrap_or_default();
    if !keys.iter().any(|k| k.key == key) {
        // From before the first checkpoint can have been made.
        let from = fold.first_recorded().unwrap_or(now).min(now);
        keys.push(RecordKey { key, from: from - 60_000_000, until: None });
    }
    let named = |name: &str, tree: TreeNo| {
        let slot = u64::from(tree - 1);
        tree_id(forest, tree).map(|tree| NamedTree { name: name.to_owned(), slot, tree })
    };
    Ok(Record {
        did: node.config.organisation.to_string(),
        name: node.config.name.clone(),
        trust_domain: node.identity.root.trust_domain().as_str().to_owned(),
        dsp,
        root_certificate: node.identity.root.der().to_vec(),
        keys,
        origin: origin(&node.config.organisation, forest)?,
        slots: vec![named("events", EVENTS)?, named("decisions", DECISIONS)?],
        issued: now,
    })
}

fn entry(node: &Node, envelope: &Envelope) -> Entry {
    Entry {
        who: Who {
            kind: Kind::OrganisationRecord,
            twin: String::new(),
            twin_seq: 0,
            actor: node.config.organisation.to_string(),
        },
        when: When::default(),
        why: Why::default(),
        what: vec![Attribute::new("record", "json", envelope.to_json().canonical())],
    }
}
