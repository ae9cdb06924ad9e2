//! Our own organisation record: signed, logged, and issued anew when what it says has changed.

use crate::as_of::{begun, known};
use crate::behind;
use crate::fold::Fold;
use crate::keys::OVERLAP_SECONDS;
use crate::open::Node;
use crate::partition::NewEntry;
use crate::processes;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, codes};
use twinpact_proof::dsse::Envelope;
use twinpact_proof::json::Json;
use twinpact_proof::record::{NamedTree, Record, RecordKey};
use twinpact_proof::to_hex;
use twinpact_store::Store;
use twinpact_store::forest::{DECISIONS, EVENTS, Forest, TreeNo};

/// The record as the log has it.
#[derive(Debug, Clone, Default)]
pub struct Organisation {
    current: Option<(Record, Envelope)>,
    /// Every record, with when it was recorded and the index of its event.
    past: Vec<(Timestamp, u64)>,
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
    pub fn apply(&mut self, entry: &Entry, index: u64) -> Result<(), Problem> {
        if entry.who.kind != Kind::OrganisationRecord {
            return Ok(());
        }
        let bad = || Problem::new(codes::INTERNAL, "a logged organisation record is not one");
        let envelope = logged_record(entry).ok_or_else(bad)?;
        let record = Record::from_envelope(&envelope).map_err(|_| bad())?;
        self.current = Some((record, envelope));
        self.past.push((entry.when.recorded, index));
        Ok(())
    }

    /// The record that stood at a time, read from the log, or that stands now.
    ///
    /// # Errors
    /// `asof.early` when none was issued by then; `store.*`.
    pub(crate) fn by(
        &self,
        store: &Store,
        as_of: Option<Timestamp>,
    ) -> Result<(Record, Envelope), Problem> {
        let Some(time) = as_of else { return self.current().cloned() };
        let then = self.past.iter().rev().find(|(recorded, _)| known(*recorded, as_of));
        let (_, index) = then.ok_or_else(|| {
            let why = format!("we had issued no record of our organisation by {time}");
            Problem::new(codes::ASOF_EARLY, why)
        })?;
        let bad = || Problem::new(codes::INTERNAL, "a logged organisation record is not one");
        let envelope = logged_record(&store.entry(EVENTS, *index)?.entry).ok_or_else(bad)?;
        let record = Record::from_envelope(&envelope).map_err(|_| bad())?;
        Ok((record, envelope))
    }
}

/// The signed record in an event, of ours or of a partner's.
pub(crate) fn logged_record(entry: &Entry) -> Option<Envelope> {
    Envelope::read(&Json::parse(entry.get("record")?.as_bytes()).ok()?)
}

/// Our own record's envelope, as it stood at a time or stands now.
///
/// # Errors
/// `asof.early`, `store.*`.
pub fn show(node: &Node, as_of: Option<Timestamp>) -> Result<Envelope, Problem> {
    node.partition.read(|fold, store| {
        begun(fold, as_of)?;
        fold.organisation.by(store, as_of).map(|(_, envelope)| envelope)
    })?
}

/// The origin of the log of an organisation: `<host>/twinpact/<log id>`.
///
/// # Errors
/// `internal` when the log has no tree of events.
pub fn origin(did: &Did, forest: &Forest) -> Result<String, Problem> {
    Ok(format!("{}/twinpact/{}", host(did), log_id(forest)?))
}

/// The hex of the log id: of a successor the random one that it was opened with, of a first log
/// the front of the random id of its tree of events.
///
/// # Errors
/// `internal` when the log has no tree of events.
pub fn log_id(forest: &Forest) -> Result<String, Problem> {
    let events = tree_id(forest, EVENTS)?;
    let front = events.first_chunk::<8>().copied().unwrap_or_default();
    Ok(to_hex(&forest.log_id().unwrap_or(front)))
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
/// at which partners reach us, and sends it to all partners. A node that is behind its own anchor
/// keeps the record that it has.
///
/// # Errors
/// `internal` when the record breaks a rule of its own; what the log refuses.
pub async fn issue(node: &Node, dsp: String) -> Result<(), Problem> {
    if behind::check(node).is_err_and(|problem| problem.code == codes::ANCHOR_BEHIND) {
        return Ok(());
    }
    issue_with(node, dsp, OVERLAP_SECONDS).await
}

/// The same; keys that a new one replaces end after so many seconds.
///
/// # Errors
/// `anchor.behind`; as [`issue`].
pub(crate) async fn issue_with(node: &Node, dsp: String, overlap: i64) -> Result<(), Problem> {
    let wall = node.clocks.wall().0.micros();
    let envelope = node.partition.read(|fold, store| {
        fold.behind.check(store.forest())?;
        let known = fold.organisation.current.as_ref().map(|(record, _)| record.clone());
        // Later than the last one, whatever became of the clock: partners take no older one.
        let now = known.as_ref().map_or(wall, |record| wall.max(record.issued + 1));
        let wanted = wanted(node, fold, store.forest(), dsp, (now, overlap))?;
        let same = known.is_some_and(|record| Record { issued: now, ..record } == wanted);
        if same { Ok(None) } else { signed(node, &wanted).map(Some) }
    })??;
    let Some(envelope) = envelope else { return Ok(()) };
    let entry = NewEntry::event(entry(node, &envelope));
    let turn = node.partition.turn(move |turn| {
        let partners = turn.fold().partners.iter();
        let rows = partners.map(|partner| processes::record_row(&partner.record.did));
        let entries = std::iter::once(entry).chain(rows).collect();
        turn.log(entries).map(|_| ())
    });
    turn.await
}

/// Signed by every key that we have and that signs at that time: who pinned only one of them has to
/// be able to take it.
fn signed(node: &Node, record: &Record) -> Result<Envelope, Problem> {
    let broken =
        |why: &str| Problem::new(codes::INTERNAL, format!("the organisation record: {why}"));
    let identity = node.identity.current();
    let valid = record.keys_at(record.issued);
    let mut signers = identity.signers().filter(|signer| valid.contains(&signer.public()));
    let first = signers.next().ok_or_else(|| broken("no key of ours signs now"))?;
    let mut envelope = record.sign(first.key()).map_err(|e| broken(&e.to_string()))?;
    signers.for_each(|signer| envelope.add_signature(signer.key()));
    Ok(envelope)
}

/// Issues the record before anything is answered when there is none, or the log has another origin
/// since a successor was opened. A successor has a tick from then on, under which what stood before
/// is proven again.
///
/// # Errors
/// As [`issue`].
pub async fn issue_at_start(node: &Node) -> Result<(), Problem> {
    let (dsp, no_tick) = node.partition.read(|fold, store| {
        let forest = store.forest();
        let origin = origin(&node.config.organisation, forest)?;
        let no_tick = forest.log_id().is_some() && forest.ticks() == 1;
        let dsp = match fold.organisation.current() {
            Ok((record, _)) if record.origin == origin => None,
            Ok((record, _)) => Some(record.dsp.clone()),
            Err(_) => Some(node.config.dsp_url(None)),
        };
        Ok::<_, Problem>((dsp, no_tick))
    })??;
    if let Some(dsp) = dsp {
        issue(node, dsp).await?;
    }
    if no_tick {
        node.partition.turn_and_prove(|_| Ok(())).await?;
    }
    Ok(())
}

fn wanted(
    node: &Node,
    fold: &Fold,
    forest: &Forest,
    dsp: String,
    (now, overlap): (i64, i64),
) -> Result<Record, Problem> {
    let named = |name: &str, tree: TreeNo| {
        let slot = u64::from(tree - 1);
        tree_id(forest, tree).map(|tree| NamedTree { name: name.to_owned(), slot, tree })
    };
    let root = &node.identity.current().root;
    Ok(Record {
        did: node.config.organisation.to_string(),
        name: node.config.name.clone(),
        trust_domain: root.trust_domain().as_str().to_owned(),
        dsp,
        root_certificate: root.der().to_vec(),
        keys: keys(node, fold, now, end(forest, now, overlap)),
        origin: origin(&node.config.organisation, forest)?,
        slots: vec![named("events", EVENTS)?, named("decisions", DECISIONS)?],
        predecessors: forest.predecessors().to_vec(),
        issued: now,
    })
}

/// When a key ends that is replaced now: after the overlap, and after the newest tick. That one may
/// have been made while the clock was ahead, and whoever holds its checkpoint asks whether the key
/// had ended by then.
fn end(forest: &Forest, now: i64, overlap: i64) -> i64 {
    let last = i64::try_from(forest.last_time()).unwrap_or(i64::MAX);
    let end = now.saturating_add(overlap.saturating_mul(1_000_000));
    end.max(last.saturating_add(1))
}

/// The keys of the record: those that it had, and a new one that is on the disk. That one replaces
/// all others, which end then.
fn keys(node: &Node, fold: &Fold, now: i64, end: i64) -> Vec<RecordKey> {
    let known = fold.organisation.current.as_ref();
    let mut keys = known.map(|(record, _)| record.keys.clone()).unwrap_or_default();
    // From before the first checkpoint can have been made, or by the clock of a partner.
    let from = match keys.is_empty() {
        true => fold.first_recorded().unwrap_or(now).min(now),
        false => now,
    } - 60_000_000;
    for signer in node.identity.current().signers() {
        let key = signer.public();
        if !keys.iter().any(|known| known.key == key) {
            let ending = keys.iter_mut().filter(|old| old.until.is_none_or(|until| until > end));
            ending.for_each(|old| old.until = Some(end));
            keys.push(RecordKey { key, from, until: None });
        }
    }
    keys
}

/// The event that a record was issued.
pub(crate) fn entry(node: &Node, envelope: &Envelope) -> Entry {
    Entry {
        who: Who::no_twin(Kind::OrganisationRecord, node.config.organisation.to_string()),
        when: When::default(),
        why: Why::default(),
        what: vec![Attribute::new("record", "json", envelope.to_json().canonical())],
    }
}
