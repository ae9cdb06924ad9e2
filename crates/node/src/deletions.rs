//! Deletion receipts, those that we send and those that partners send us; which of our deliveries
//! are still to be deleted, and whose time is over.
//!
//! What we sign is kept, since it is sent until it is taken. Of a delivery of ours a deletion is
//! owed once its consumer has countersigned the receipt: by that it says that it has the rows.

use crate::documents::{refused, signed_by, unknown, with};
use crate::fold::Fold;
use crate::incidents::between;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use std::collections::{BTreeMap, BTreeSet};
use twinpact_dsp::Role;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_policy::MAX_SKEW_S;
use twinpact_proof::deletion::{Deletion, Reason};
use twinpact_proof::{Digest, Envelope, Json, to_hex};
use twinpact_store::forest::TreeNo;

/// A deletion receipt on record.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What it says.
    pub document: Deletion,
    /// It, signed.
    pub envelope: Envelope,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// Its index in the tree of events.
    pub event: u64,
}

/// A delivery of ours.
#[derive(Debug, Clone, Copy)]
struct Given {
    leaf: Digest,
    /// When it was made, by our policy clock.
    at: Timestamp,
    delete_by: Option<Timestamp>,
}

/// A delivery of ours by its ledger and its index there.
type Place = (TreeNo, u64);

/// All deletion receipts by the hex of their fingerprint, and what is owed.
#[derive(Debug, Clone, Default)]
pub struct Deletions {
    kept: BTreeMap<String, Kept>,
    /// That of each delivery whose time had come, by its leaf.
    of: BTreeMap<Digest, String>,
    given: BTreeMap<Place, Given>,
    places: BTreeMap<Digest, Place>,
    /// Deliveries of ours that are to be deleted, by when.
    owed: BTreeSet<(Timestamp, Place)>,
}

impl Deletions {
    /// The deletion receipt with that fingerprint, in hex.
    #[must_use]
    pub fn get(&self, fingerprint: &str) -> Option<&Kept> {
        self.kept.get(fingerprint)
    }

    /// That of the delivery with that leaf, when its copy was deleted in time or late.
    #[must_use]
    pub fn of(&self, leaf: &Digest) -> Option<(&str, &Kept)> {
        let name = self.of.get(leaf)?;
        Some((name, self.kept.get(name)?))
    }

    /// Of how many deliveries of ours there is such a receipt, and of how many to us.
    #[must_use]
    pub fn counted(&self) -> (u64, u64) {
        let given = self.of.keys().filter(|leaf| self.places.contains_key(*leaf)).count() as u64;
        (given, self.of.len() as u64 - given)
    }

    /// When the next delivery is to be deleted, at that time or later, of which no deletion receipt
    /// has come.
    #[must_use]
    pub fn next_owed(&self, from: Timestamp) -> Option<Timestamp> {
        self.owed.range((from, (0, 0))..).next().map(|(by, _)| *by)
    }

    /// The ledgers with a delivery that was to be deleted before that time and is not, with when.
    pub fn overdue(&self, before: Timestamp) -> impl Iterator<Item = (TreeNo, Timestamp)> {
        let late = self.owed.iter().take_while(move |(by, _)| *by < before);
        late.map(|(by, (ledger, _))| (*ledger, *by))
    }

    /// Whether, once these deliveries are deleted, nothing of a ledger is overdue.
    fn settles(&self, ledger: TreeNo, leaves: &[Digest], before: Timestamp) -> bool {
        let late = self.owed.iter().take_while(|(by, _)| *by < before);
        let mut of_ledger = late.filter(|(_, place)| place.0 == ledger);
        of_ledger.all(|(_, place)| self.given.get(place).is_some_and(|g| leaves.contains(&g.leaf)))
    }

    /// Takes an event into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry, event: u64) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::DeletionReceipt => self.take(entry, event).ok_or_else(unreadable),
            _ => Ok(()),
        }
    }

    fn take(&mut self, entry: &Entry, event: u64) -> Option<()> {
        let json = Json::parse(entry.get("document")?.as_bytes()).ok()?;
        let envelope = Envelope::from_json(&json)?;
        let document = Deletion::from_envelope(&envelope).ok()?;
        let name = to_hex(&envelope.fingerprint());
        if document.reason == Reason::Retention {
            for leaf in &document.receipts {
                self.of.insert(*leaf, name.clone());
                let place = self.places.get(leaf);
                let given =
                    place.and_then(|place| Some((self.given.get(place)?.delete_by?, *place)));
                given.map(|owed| self.owed.remove(&owed));
            }
        }
        let recorded = entry.when.recorded;
        self.kept.insert(name, Kept { document, envelope, recorded, event });
        Some(())
    }

    /// A delivery of ours, as its ledger has it.
    pub(crate) fn delivered(&mut self, place: Place, leaf: Digest, entry: &Entry) {
        let at = entry.when.phen_start.unwrap_or(entry.when.recorded);
        self.given.insert(place, Given { leaf, at, delete_by: entry.when.valid });
        self.places.insert(leaf, place);
    }

    /// The consumer has countersigned its receipt: it has the rows.
    pub(crate) fn countersigned(&mut self, place: Place) {
        let Some(given) = self.given.get(&place) else { return };
        if let (Some(by), false) = (given.delete_by, self.of.contains_key(&given.leaf)) {
            self.owed.insert((by, place));
        }
    }
}

/// The event of a deletion receipt.
pub(crate) fn record(peer: &str, envelope: &Envelope) -> NewEntry {
    let what = vec![Attribute::new("document", "json", envelope.to_json().canonical())];
    let who = Who::no_twin(Kind::DeletionReceipt, peer);
    NewEntry::event(Entry { who, when: When::default(), why: Why::default(), what })
}

/// What a partner's deletion receipt leaves in the log; nothing when it is known.
///
/// # Errors
/// `document.refused`; `document.early` when it is of a time to come; `agreement.unknown`.
pub(crate) fn taken(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    envelope: &Envelope,
) -> Result<Vec<NewEntry>, Problem> {
    let document = Deletion::from_envelope(envelope).map_err(|why| refused(&why.to_string()))?;
    let fold = turn.fold();
    between(node, did, (&document.issuer, &document.audience))?;
    signed_by(fold, did, envelope, node.clocks.wall())?;
    if fold.deletions.get(&to_hex(&envelope.fingerprint())).is_some() {
        return Ok(Vec::new());
    }
    let known = with(fold, did, &to_hex(&document.agreement))?;
    let ledger = known.ledger.filter(|_| known.role == Role::Provider).ok_or_else(unknown)?;
    let now = node.clocks.policy().0;
    let answered = match &document.reason {
        Reason::Duty(duty) => {
            fold.erasures.is_answered(&document, duty)?;
            Some(duty)
        }
        Reason::Retention => None,
    };
    is_of_ours(&fold.deletions, &document, ledger)?;
    if Timestamp::from_micros(document.deleted) > now.plus_seconds(MAX_SKEW_S) {
        let why = "the deletion receipt is of a time that has not come here";
        return Err(Problem::new(codes::DOCUMENT_EARLY, why).hint("compare the two clocks"));
    }
    let mut entries = vec![record(did, envelope)];
    let before = late_before(node, now);
    // An answer to a duty says nothing of the rest of a copy.
    let leaves = if answered.is_some() { &[] } else { document.receipts.as_slice() };
    if fold.deletions.settles(ledger, leaves, before)
        && fold.erasures.settles(&document.agreement, answered, duty_late_before(node, now))
    {
        entries.extend(crate::agreements::resumed(known, "what was owed has come"));
    }
    Ok(entries)
}

/// That it is about deliveries of this ledger, was not said before, and does not say that anything
/// was deleted before it was delivered.
fn is_of_ours(held: &Deletions, document: &Deletion, ledger: TreeNo) -> Result<(), Problem> {
    for leaf in &document.receipts {
        let place = held.places.get(leaf).filter(|place| place.0 == ledger);
        let given = place.and_then(|place| held.given.get(place));
        let given = given.ok_or_else(|| refused("it is of no delivery under that agreement"))?;
        if given.at > Timestamp::from_micros(document.deleted) {
            return Err(refused("it is dated before what it deletes was delivered"));
        }
        if document.reason == Reason::Retention && held.of.contains_key(leaf) {
            return Err(refused("another deletion receipt was taken for the same delivery"));
        }
    }
    Ok(())
}

/// What was to be deleted before then is overdue by now.
pub(crate) fn late_before(node: &Node, now: Timestamp) -> Timestamp {
    before(now, i64::try_from(node.config.retention.grace_hours).unwrap_or(i64::MAX))
}

/// What was to be erased before then is overdue by now: a duty has to get to its holder first.
pub(crate) fn duty_late_before(node: &Node, now: Timestamp) -> Timestamp {
    late_before(node, now).min(before(now, 1))
}

fn before(now: Timestamp, hours: i64) -> Timestamp {
    now.plus_seconds(hours.saturating_mul(3_600).saturating_neg())
}

/// The signed document of an outbox row.
pub(crate) fn envelope<'f>(fold: &'f Fold, fingerprint: &str) -> Option<&'f Envelope> {
    fold.deletions.get(fingerprint).map(|kept| &kept.envelope)
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged deletion receipt cannot be read")
}
