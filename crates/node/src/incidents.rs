//! Incidents: what was found in the data of one organisation, traced to a part of another, and
//! contained by those who own the twins.
//!
//! Whoever finds it asks each owner with a signed [`Containment`] that rests on deliveries of that
//! owner and names nothing of anybody else's. A person there answers, and the answer is signed too.
//! Both are events of both logs, so each step can be proven by either. They travel as signed
//! documents ([`crate::documents`]): written in the frame of their reason, sent until taken.

mod shown;

use crate::agreements;
use crate::api::{Contain, IncidentLine, OpenIncident, Respond};
use crate::documents::{refused, signed_by, unknown, with};
use crate::fold::Fold;
use crate::ids;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::{self, Paper};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use twinpact_dsp::Role;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::containment::{
    Answer, Containment, ContainmentAnswer, Evidence, MAX_EVIDENCE, MAX_MEASURE_BYTES, Seen,
};
use twinpact_proof::documents::{Clock, Receipt};
use twinpact_proof::{Bundle, Envelope, Json, to_hex};
use twinpact_store::Store;

pub(crate) use shown::latest;
pub use shown::{list, show};

/// How long a command waits for partners to take what it sends; the node goes on trying after it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many organisations are asked because of one incident.
pub const MAX_ASKED: usize = 64;
/// The most bytes of what is kept of how an incident was found.
pub const MAX_STORY_BYTES: usize = 65_536;
/// The most bytes of what a finding is called.
pub const MAX_KEY_BYTES: usize = 128;
/// How many containments of one partner may wait for an answer of ours.
pub const MAX_UNANSWERED: usize = 100;

/// A signed document with when and where it was recorded.
#[derive(Debug, Clone)]
struct Signed<T> {
    document: T,
    envelope: Envelope,
    recorded: Timestamp,
    /// Its index in the tree of events.
    event: u64,
}

/// A containment and what was answered.
#[derive(Debug, Clone)]
struct Known {
    asked: Signed<Containment>,
    answers: Vec<Signed<ContainmentAnswer>>,
}

impl Known {
    fn answer(&self) -> Option<Answer> {
        self.answers.last().map(|last| last.document.answer)
    }
}

/// How an incident of ours was found.
#[derive(Debug, Clone)]
struct Opened {
    name: String,
    story: String,
    key: Option<String>,
    recorded: Timestamp,
    event: u64,
}

/// Incidents by their name, containments by the hex of their fingerprint.
#[derive(Debug, Clone, Default)]
pub struct Incidents {
    opened: BTreeMap<String, Opened>,
    containments: BTreeMap<String, Known>,
}

impl Incidents {
    /// Takes an event into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry, event: u64) -> Result<(), Problem> {
        let taken = match entry.who.kind {
            Kind::IncidentOpened => self.take_opened(entry, event),
            Kind::ContainmentAsked => self.take_asked(entry, event),
            Kind::ContainmentAnswered => self.take_answered(entry, event),
            _ => Some(()),
        };
        taken.ok_or_else(|| Problem::new(codes::INTERNAL, "a logged incident cannot be read"))
    }

    fn take_opened(&mut self, entry: &Entry, event: u64) -> Option<()> {
        let text = |name: &str| entry.get(name).map(str::to_owned);
        let (name, story, recorded) = (text("name")?, text("story")?, entry.when.recorded);
        let opened = Opened { name, story, key: text("key"), recorded, event };
        self.opened.insert(text("incident")?, opened);
        Some(())
    }

    fn take_asked(&mut self, entry: &Entry, event: u64) -> Option<()> {
        let envelope = envelope(entry)?;
        let document = Containment::from_envelope(&envelope).ok()?;
        let (id, recorded) = (to_hex(&envelope.fingerprint()), entry.when.recorded);
        let asked = Signed { document, envelope, recorded, event };
        self.containments.insert(id, Known { asked, answers: Vec::new() });
        Some(())
    }

    fn take_answered(&mut self, entry: &Entry, event: u64) -> Option<()> {
        let envelope = envelope(entry)?;
        let document = ContainmentAnswer::from_envelope(&envelope).ok()?;
        let known = self.containments.get_mut(&to_hex(&document.containment))?;
        let recorded = entry.when.recorded;
        known.answers.push(Signed { document, envelope, recorded, event });
        Some(())
    }

    /// The containment of that fingerprint or unique front of it.
    fn get(&self, name: &str) -> Result<(&str, &Known), Problem> {
        let fits = self.containments.range(name.to_owned()..);
        let mut fits = fits.take_while(|(id, _)| name.len() >= 8 && id.starts_with(name));
        match (fits.next(), fits.next()) {
            (Some((id, known)), None) => Ok((id, known)),
            _ => Err(Problem::new(
                codes::INCIDENT_UNKNOWN,
                format!("there is no containment {name:?}"),
            )
            .hint("list them with: twinpact incident list")),
        }
    }

    /// The incident that was opened for the finding of that name.
    fn of_key(&self, key: &str) -> Option<&str> {
        let mut opened = self.opened.iter();
        let of = opened.find(|(_, one)| one.key.as_deref() == Some(key));
        of.map(|(incident, _)| incident.as_str())
    }

    /// Whether we have opened it or were asked about it.
    #[must_use]
    pub fn knows(&self, incident: &str) -> bool {
        let mut asked = self.containments.values().map(|known| &known.asked.document.incident);
        self.opened.contains_key(incident) || asked.any(|id| id == incident)
    }

    /// How many containments of this partner wait for an answer of ours.
    fn unanswered(&self, peer: &str) -> usize {
        let waits =
            |known: &&Known| known.asked.document.issuer == peer && known.answers.is_empty();
        self.containments.values().filter(waits).count()
    }

    /// The signed containment of that fingerprint.
    pub(crate) fn containment(&self, id: &str) -> Option<&Envelope> {
        self.containments.get(id).map(|known| &known.asked.envelope)
    }

    /// The answer of that kind to it.
    pub(crate) fn answered(&self, id: &str, answer: &str) -> Option<&Envelope> {
        let answers = self.containments.get(id)?.answers.iter();
        let mut named = answers.filter(|one| one.document.answer.name() == answer);
        named.next().map(|one| &one.envelope)
    }
}

fn envelope(entry: &Entry) -> Option<Envelope> {
    Envelope::from_json(&Json::parse(entry.get("document")?.as_bytes()).ok()?)
}

/// Which policy clock a document of ours is written under.
pub(crate) fn clock(node: &Node) -> Clock {
    if node.clocks.is_driven() { Clock::Driven } else { Clock::System }
}

/// Opens an incident and asks the owners, all of them or none. The one that was opened for a
/// finding of the same name is the answer instead.
///
/// # Errors
/// `incident.invalid` when nobody is asked, or a containment cannot be; `agreement.unknown`,
/// `receipt.unknown`, `partner.unknown`.
pub async fn open(node: &Node, asked: OpenIncident) -> Result<IncidentLine, Problem> {
    let story = Value::from(asked.story.clone()).to_string();
    bounded(&asked, &story)?;
    let (ours, incident) = (node.clone(), ids::urn()?);
    let turn = node.partition.turn(move |turn| {
        let known = asked.key.as_deref().and_then(|key| turn.fold().incidents.of_key(key));
        if let Some(known) = known {
            return Ok(known.to_owned());
        }
        let mut what = vec![
            Attribute::new("incident", "text", &incident),
            Attribute::new("name", "text", &asked.name),
            Attribute::new("story", "json", story),
        ];
        what.extend(asked.key.as_deref().map(|key| Attribute::new("key", "text", key)));
        let mut entries = vec![event(Kind::IncidentOpened, "local", what)];
        for contain in &asked.containments {
            let document = containment(&ours, turn.fold(), &incident, contain)?;
            let (peer, envelope) = (document.audience.clone(), document.sign(ours.signer().key()));
            // Read as the other side will read it: what it would refuse is not sent.
            Containment::from_envelope(&envelope).map_err(|why| invalid(&why.to_string()))?;
            let fingerprint = to_hex(&envelope.fingerprint());
            entries.push(document_event(Kind::ContainmentAsked, "local", &envelope));
            let paper = Paper::Containment(fingerprint);
            entries.push(processes::paper_row(&peer, &incident, &paper));
        }
        turn.log(entries).map(|_| incident)
    });
    let incident = turn.await?;
    taken(node, &incident).await
}

/// That what is asked for is within its bounds.
fn bounded(asked: &OpenIncident, story: &str) -> Result<(), Problem> {
    if story.len() > MAX_STORY_BYTES {
        return Err(invalid(&format!("its story is longer than {MAX_STORY_BYTES} bytes")));
    }
    if asked.name.is_empty() || asked.name.len() > MAX_MEASURE_BYTES {
        return Err(invalid(&format!("its name has not 1 to {MAX_MEASURE_BYTES} bytes")));
    }
    if asked.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY_BYTES) {
        return Err(invalid(&format!("its key has not 1 to {MAX_KEY_BYTES} bytes")));
    }
    match asked.containments.len() {
        1..=MAX_ASKED => Ok(()),
        _ => Err(invalid(&format!("it asks nobody, or more than {MAX_ASKED}"))),
    }
}

/// The incident, when what we have to say in it was taken or refused, or after a while: the node
/// goes on trying.
async fn taken(node: &Node, incident: &str) -> Result<IncidentLine, Problem> {
    let mut changes = node.partition.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            let shown = show(node, incident, None)?;
            if shown.containments.iter().all(|one| one.waits.is_none()) {
                return Ok(shown.incident);
            }
            if changes.changed().await.is_err() {
                return Err(Problem::new(codes::STORE_STOPPED, "the node is stopping"));
            }
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(taken) => taken,
        Err(_) => Ok(show(node, incident, None)?.incident),
    }
}

/// The document that asks one owner.
fn containment(
    node: &Node,
    fold: &Fold,
    incident: &str,
    asked: &Contain,
) -> Result<Containment, Problem> {
    let agreement = fold.agreements.get(&asked.agreement)?;
    if agreement.role != Role::Consumer {
        return Err(invalid("an owner is asked under an agreement by which it shows us something"));
    }
    fold.partners.get(&agreement.peer)?;
    let mut twins: Vec<String> = asked.twins.iter().map(ToString::to_string).collect();
    twins.sort_unstable();
    twins.dedup();
    let mut evidence = Vec::with_capacity(asked.receipts.len());
    for name in &asked.receipts {
        let receipt = receipt(&fold.copies.get(name)?.proof);
        let receipt = receipt.filter(|receipt| receipt.agreement == agreement.id);
        let receipt =
            receipt.ok_or_else(|| invalid("a receipt is of a delivery under another agreement"))?;
        evidence.push(Evidence { index: receipt.index, leaf: receipt.leaf });
    }
    evidence.sort_unstable();
    evidence.dedup();
    if evidence.len() > MAX_EVIDENCE {
        return Err(invalid(&format!("it rests on more than {MAX_EVIDENCE} deliveries")));
    }
    Ok(Containment {
        issuer: node.config.organisation.to_string(),
        audience: agreement.peer.clone(),
        incident: incident.to_owned(),
        agreement: agreement.id,
        evidence,
        twins,
        measure: asked.measure.clone(),
        reason: asked.reason.clone(),
        seen: asked.seen.as_ref().map(|seen| Seen {
            twin: seen.twin.to_string(),
            first: seen.first.micros(),
            found: seen.found.micros(),
        }),
        opened: node.clocks.policy().0.micros(),
        clock: clock(node),
    })
}

fn receipt(proof: &str) -> Option<Receipt> {
    let bundle = Bundle::parse(proof.as_bytes()).ok()?;
    Receipt::from_envelope(bundle.receipt.as_ref()?).ok()
}

/// Answers a containment that a partner asks for.
///
/// # Errors
/// `incident.unknown`; `incident.invalid` when it was ours to ask, when that answer cannot follow
/// the one before, or when it is too long.
pub async fn respond(
    node: &Node,
    name: &str,
    answer: Answer,
    asked: Respond,
) -> Result<IncidentLine, Problem> {
    let (ours, name) = (node.clone(), name.to_owned());
    let turn = node.partition.turn(move |turn| {
        let (id, known) = turn.fold().incidents.get(&name)?;
        let document = &known.asked.document;
        if document.audience != ours.config.organisation.as_str() {
            return Err(invalid("the containment is for the partner to answer"));
        }
        if !answer.may_follow(known.answer()) {
            let before = known.answer().map_or("unanswered", Answer::name);
            return Err(invalid(&format!("what is {before} cannot be {}", answer.name())));
        }
        let peer = document.issuer.clone();
        let said = ContainmentAnswer {
            issuer: document.audience.clone(),
            audience: peer.clone(),
            containment: known.asked.envelope.fingerprint(),
            answer,
            by: asked.by,
            automatic: asked.automatic,
            note: asked.note,
            began: asked.began.map(Timestamp::micros),
            at: ours.clocks.policy().0.micros(),
            clock: clock(&ours),
        };
        let envelope = said.sign(ours.signer().key());
        ContainmentAnswer::from_envelope(&envelope).map_err(|why| invalid(&why.to_string()))?;
        let paper = Paper::ContainmentAnswer(id.to_owned(), answer.name().to_owned());
        let incident = document.incident.clone();
        let row = processes::paper_row(&peer, &incident, &paper);
        turn.log(vec![document_event(Kind::ContainmentAnswered, "local", &envelope), row])?;
        Ok(incident)
    });
    let incident = turn.await?;
    taken(node, &incident).await
}

/// What a containment of a partner leaves in the log; nothing when it is known.
///
/// # Errors
/// `document.refused`; `agreement.unknown`.
pub(crate) fn asked_by_partner(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    envelope: &Envelope,
) -> Result<Vec<NewEntry>, Problem> {
    let document = Containment::from_envelope(envelope).map_err(|why| refused(&why.to_string()))?;
    let fold = turn.fold();
    between(node, did, (&document.issuer, &document.audience))?;
    signed_by(fold, did, envelope, node.clocks.wall())?;
    if fold.incidents.containment(&to_hex(&envelope.fingerprint())).is_some() {
        return Ok(Vec::new());
    }
    rests_on_ours(fold, turn.store(), did, &document)?;
    if fold.incidents.unanswered(did) >= MAX_UNANSWERED {
        return Err(refused(&format!("{MAX_UNANSWERED} of yours wait for an answer")));
    }
    Ok(vec![document_event(Kind::ContainmentAsked, did, envelope)])
}

/// That the containment is about what we have shown this partner under that agreement. Of a twin
/// that is not shown, and of one that is not there, it is told the same.
fn rests_on_ours(
    fold: &Fold,
    store: &Store,
    did: &str,
    document: &Containment,
) -> Result<(), Problem> {
    let agreement = with(fold, did, &to_hex(&document.agreement))?;
    let ledger = agreement.ledger.ok_or_else(unknown)?;
    let ours = |one: &Evidence| store.forest().leaf(ledger, one.index) == Some(one.leaf);
    if !document.evidence.iter().all(ours) {
        return Err(refused("it rests on a delivery that is none of ours"));
    }
    let facts = agreements::facts(fold, agreement)?;
    let shown = |twin: &String| {
        let named = facts.selection.twins.is_empty() || facts.selection.twins.contains(twin);
        let known = fold.twins.node(twin).is_ok_and(|node| node.model == facts.selection.model);
        named && known
    };
    let seen = document.seen.iter().map(|seen| &seen.twin);
    match document.twins.iter().chain(seen).all(shown) {
        true => Ok(()),
        false => Err(refused("it names a twin that the agreement does not show")),
    }
}

/// What a partner's answer leaves in the log; nothing when it is known.
///
/// # Errors
/// `document.refused`.
pub(crate) fn answered_by_partner(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    envelope: &Envelope,
) -> Result<Vec<NewEntry>, Problem> {
    let answer =
        ContainmentAnswer::from_envelope(envelope).map_err(|why| refused(&why.to_string()))?;
    let fold = turn.fold();
    between(node, did, (&answer.issuer, &answer.audience))?;
    signed_by(fold, did, envelope, node.clocks.wall())?;
    let known = fold.incidents.containments.get(&to_hex(&answer.containment));
    let known = known.filter(|known| known.asked.document.audience == did);
    let known = known.ok_or_else(|| refused("it answers nothing that we asked of you"))?;
    if known.answers.iter().any(|one| one.envelope.payload == envelope.payload) {
        return Ok(Vec::new());
    }
    match answer.answer.may_follow(known.answer()) {
        true => Ok(vec![document_event(Kind::ContainmentAnswered, did, envelope)]),
        false => Err(refused("that answer cannot follow the one before")),
    }
}

/// That a partner's document is from it to us.
pub(crate) fn between(
    node: &Node,
    did: &str,
    (issuer, audience): (&str, &str),
) -> Result<(), Problem> {
    match (issuer, audience) == (did, node.config.organisation.as_str()) {
        true => Ok(()),
        false => Err(refused("it is between others")),
    }
}

fn document_event(kind: Kind, actor: &str, envelope: &Envelope) -> NewEntry {
    event(kind, actor, vec![Attribute::new("document", "json", envelope.to_json().canonical())])
}

fn event(kind: Kind, actor: &str, what: Vec<Attribute>) -> NewEntry {
    let who = Who::no_twin(kind, actor);
    NewEntry::event(Entry { who, when: When::default(), why: Why::default(), what })
}

fn invalid(why: &str) -> Problem {
    Problem::new(codes::INCIDENT_INVALID, format!("the incident is not taken: {why}"))
}
