//! Erasure of a twin: here, and at every partner that has copies of it.
//!
//! One frame holds the event that destroys the twin's key and, for each agreement under which rows
//! of it were delivered, a signed duty for the partner, with the row of the outbox that sends it. A
//! partner's node destroys its rows of that twin and answers with a deletion receipt, in one frame
//! too. No document and no record names the twin: it is known by digests to who knew it before.

use crate::api::{EraseAsked, ErasureLine, HolderLine};
use crate::deletions;
use crate::documents::{refused, signed_by, unknown, with};
use crate::fold::Fold;
use crate::ids;
use crate::incidents::{between, clock};
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::{self, Paper, local};
use crate::retention;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_dsp::Role;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Row, Timestamp, codes};
use twinpact_proof::deletion::{Deletion, Erasure, MAX_DELETED, Reason};
use twinpact_proof::digest::from_hex;
use twinpact_proof::{Digest, Envelope, Json, to_hex};
use twinpact_store::forest::TreeNo;
use twinpact_store::{Store, Subject, destroy};

/// The most duties of one partner, which are for ever: each delivery that is stored is held against
/// all of them.
pub const MAX_DUTIES: usize = 1_000;

/// A delivery by its ledger and its index there.
type Place = (TreeNo, u64);
/// What stands for a twin in what is kept of deliveries: the front of its pseudonym.
type Front = [u8; 16];

/// A duty to erase, of ours or of a partner's.
#[derive(Debug, Clone)]
struct Duty {
    document: Erasure,
    envelope: Envelope,
    /// What stands for the twin here; empty for a partner's.
    subject: String,
    /// The fingerprint of the deletion receipt that answers it.
    answer: Option<String>,
}

/// Duties by the hex of their fingerprint, and who has rows of what.
#[derive(Debug, Clone, Default)]
pub struct Erasures {
    duties: BTreeMap<String, Duty>,
    /// Duties of ours that are not answered yet, by when the twin was erased.
    owed: BTreeSet<(Timestamp, String)>,
    delivered: BTreeMap<Front, BTreeSet<Place>>,
}

impl Erasures {
    /// Takes an entry into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        let taken = match entry.who.kind {
            Kind::ErasureDuty => self.take_duty(entry),
            Kind::DeliveredTwins => self.take_delivered(entry),
            Kind::DeletionReceipt => self.take_answer(entry),
            _ => Some(()),
        };
        taken.ok_or_else(|| Problem::new(codes::INTERNAL, "a logged erasure cannot be read"))
    }

    fn take_duty(&mut self, entry: &Entry) -> Option<()> {
        let envelope = envelope_of(entry)?;
        let document = Erasure::from_envelope(&envelope).ok()?;
        let subject = entry.get("subject")?.to_owned();
        let name = to_hex(&envelope.fingerprint());
        if !subject.is_empty() {
            self.owed.insert((Timestamp::from_micros(document.erased), name.clone()));
        }
        self.duties.insert(name, Duty { document, envelope, subject, answer: None });
        Some(())
    }

    fn take_delivered(&mut self, entry: &Entry) -> Option<()> {
        let place = (entry.get("ledger")?.parse().ok()?, entry.get("index")?.parse().ok()?);
        for front in entry.get("twins")?.split(',').filter(|text| !text.is_empty()) {
            self.delivered.entry(from_hex(front)?).or_default().insert(place);
        }
        Some(())
    }

    fn take_answer(&mut self, entry: &Entry) -> Option<()> {
        let envelope = envelope_of(entry)?;
        let document = Deletion::from_envelope(&envelope).ok()?;
        if let Reason::Duty(duty) = document.reason {
            let name = to_hex(&duty);
            let duty = self.duties.get_mut(&name)?;
            duty.answer = Some(to_hex(&envelope.fingerprint()));
            self.owed.remove(&(Timestamp::from_micros(duty.document.erased), name));
        }
        Some(())
    }

    /// The duty of that fingerprint, in hex, with its signature.
    pub(crate) fn envelope(&self, fingerprint: &str) -> Option<&Envelope> {
        self.duties.get(fingerprint).map(|duty| &duty.envelope)
    }

    /// When the first of the duties was given, at that time or later, that are not answered.
    #[must_use]
    pub fn next_owed(&self, from: Timestamp) -> Option<Timestamp> {
        self.owed.range((from, String::new())..).next().map(|(given, _)| *given)
    }

    /// The agreements of which a duty that was given before that time is not answered, with when.
    pub(crate) fn overdue(
        &self,
        before: Timestamp,
    ) -> impl Iterator<Item = (&Digest, &str, Timestamp)> {
        let late = self.owed.iter().take_while(move |(given, _)| *given < before);
        late.filter_map(|(given, name)| {
            let duty = self.duties.get(name)?;
            Some((&duty.document.agreement, name.as_str(), *given))
        })
    }

    /// Whether, once that duty is answered, none of an agreement is overdue.
    pub(crate) fn settles(
        &self,
        agreement: &Digest,
        answered: Option<&Digest>,
        before: Timestamp,
    ) -> bool {
        let answered = answered.map(|duty| to_hex(duty));
        let mut late = self.overdue(before).filter(|(of, ..)| *of == agreement);
        late.all(|(_, name, _)| Some(name) == answered.as_deref())
    }

    /// Whether we hold as many duties of a partner as we take.
    fn is_full(&self, partner: &str) -> bool {
        let of_partner = self.duties.values().filter(|duty| duty.document.issuer == partner);
        of_partner.count() >= MAX_DUTIES
    }

    /// Whether a partner has asked us to have no rows of that twin of its.
    pub(crate) fn forbids(&self, partner: &str, twin: &str) -> bool {
        let of_partner = self.duties.values().filter(|duty| duty.document.issuer == partner);
        of_partner.into_iter().any(|duty| duty.document.names(twin))
    }

    /// That a partner's deletion receipt answers a duty of ours, for the first time, and names no
    /// delivery that the duty does not.
    pub(crate) fn is_answered(&self, answer: &Deletion, duty: &Digest) -> Result<(), Problem> {
        let ours = self.duties.get(&to_hex(duty)).filter(|duty| {
            let asked = &duty.document;
            asked.audience == answer.issuer && asked.agreement == answer.agreement
        });
        let ours = ours.ok_or_else(|| refused("it answers no duty of ours"))?;
        if ours.answer.is_some() {
            return Err(refused("that duty was answered before"));
        }
        let asked = &ours.document.receipts;
        match answer.receipts.iter().all(|leaf| asked.binary_search(leaf).is_ok()) {
            true => Ok(()),
            false => Err(refused("it names a delivery that the duty does not")),
        }
    }
}

fn envelope_of(entry: &Entry) -> Option<Envelope> {
    Envelope::from_json(&Json::parse(entry.get("document")?.as_bytes()).ok()?)
}

fn front(fold: &Fold, twin: &str) -> Front {
    fold.twins.pseudonym(twin).first_chunk().copied().unwrap_or_default()
}

/// The record of the twins of which a delivery of ours has rows: who has to erase them is known by
/// it. It names none.
pub(crate) fn delivered(fold: &Fold, peer: &str, (ledger, index): Place, rows: &[Row]) -> NewEntry {
    let twins: BTreeSet<&str> = rows.iter().map(|row| row.twin.as_str()).collect();
    let twins: Vec<String> = twins.into_iter().map(|twin| to_hex(&front(fold, twin))).collect();
    let what = vec![
        Attribute::new("ledger", "integer", ledger.to_string()),
        Attribute::new("index", "integer", index.to_string()),
        Attribute::new("twins", "text", twins.join(",")),
    ];
    local(Kind::DeliveredTwins, peer, what)
}

/// Who has rows of a twin under which agreement: the leaves of the deliveries, in order. What was
/// deleted because its time had come is not there any more.
fn holders(fold: &Fold, store: &Store, twin: &str) -> Vec<(String, String, Vec<Digest>)> {
    let mut all: BTreeMap<TreeNo, BTreeSet<Digest>> = BTreeMap::new();
    for (ledger, index) in fold.erasures.delivered.get(&front(fold, twin)).into_iter().flatten() {
        let leaf = store.forest().leaf(*ledger, *index);
        let there = leaf.filter(|leaf| fold.deletions.of(leaf).is_none());
        all.entry(*ledger).or_default().extend(there);
    }
    let known = fold.agreements.iter().filter_map(|known| {
        let leaves = all.remove(&known.ledger?).filter(|leaves| !leaves.is_empty())?;
        Some((known.peer.clone(), to_hex(&known.id), leaves.into_iter().collect()))
    });
    known.collect()
}

/// Erases a twin, or says what would be erased and whom it touches.
///
/// # Errors
/// `twin.unknown`, `twin.erased`, `input.malformed` without a basis; `erasure.unconfirmed` when it
/// is neither a dry run nor confirmed; what the log refuses.
pub async fn erase(node: &Node, asked: EraseAsked) -> Result<ErasureLine, Problem> {
    let EraseAsked { twin, basis, dry_run, confirmed } = asked;
    let planned = node.partition.read(|fold, store| planned(fold, store, &twin, &basis))??;
    if dry_run {
        return Ok(planned);
    }
    if !confirmed {
        let why = format!("{} entries about {twin} would be destroyed for ever", planned.entries);
        return Err(Problem::new(codes::ERASURE_UNCONFIRMED, why)
            .hint("look first with --dry-run; then say --yes"));
    }
    let (ours, name) = (node.clone(), twin.clone());
    let turn = node.partition.turn(move |turn| {
        let entries = erasing(&ours, &turn, &name, &basis)?;
        turn.log(entries).map(|_| ())
    });
    turn.await?;
    show(node, &twin)
}

fn planned(fold: &Fold, store: &Store, twin: &str, basis: &str) -> Result<ErasureLine, Problem> {
    let event = fold.twins.erase(twin, basis, "local")?;
    let text = |name: &str| event.get(name).unwrap_or_default().to_owned();
    let holder = |(partner, agreement, leaves): (String, String, Vec<Digest>)| HolderLine {
        partner,
        agreement,
        deliveries: leaves.len() as u64,
        duty: None,
        deleted: None,
        waits: false,
    };
    Ok(ErasureLine {
        subject: text("subject"),
        basis: text("basis"),
        entries: text("entries").parse().unwrap_or_default(),
        erased: None,
        event: None,
        holders: holders(fold, store, twin).into_iter().map(holder).collect(),
    })
}

/// The event that erases a twin, and the duties of all who have rows of it.
fn erasing(
    node: &Node,
    turn: &Turn<'_>,
    twin: &str,
    basis: &str,
) -> Result<Vec<NewEntry>, Problem> {
    let (fold, store) = (turn.fold(), turn.store());
    let mut event = fold.twins.erase(twin, basis, "local")?;
    let subject = event.get("subject").unwrap_or_default().to_owned();
    let key = store.subject_key(&Subject::Twin(twin.into()));
    event.what.push(destroy::attribute(key.as_slice()));
    let mut entries = vec![NewEntry::event(event)];
    for (partner, agreement, leaves) in holders(fold, store, twin) {
        for leaves in leaves.chunks(MAX_DELETED) {
            let salt = ids::random_bytes()?;
            let document = Erasure {
                issuer: node.config.organisation.to_string(),
                audience: partner.clone(),
                agreement: from_hex(&agreement).ok_or_else(unknown)?,
                receipts: leaves.to_vec(),
                salt,
                twin: Erasure::digest_of(&salt, twin),
                erased: node.clocks.policy().0.micros(),
                clock: clock(node),
            };
            let envelope = document.sign(node.signer().key());
            let paper = Paper::Erasure(to_hex(&envelope.fingerprint()));
            entries.push(duty(&partner, &envelope, &subject));
            let lane = format!("erasures {agreement}");
            entries.push(processes::paper_row(&partner, &lane, &paper));
        }
    }
    Ok(entries)
}

fn duty(actor: &str, envelope: &Envelope, subject: &str) -> NewEntry {
    let what = vec![
        Attribute::new("document", "json", envelope.to_json().canonical()),
        Attribute::new("subject", "text", subject),
    ];
    let who = Who::no_twin(Kind::ErasureDuty, actor);
    NewEntry::event(Entry { who, when: When::default(), why: Why::default(), what })
}

/// What a partner's duty leaves in the log: the rows of its twin are destroyed, wherever they came
/// from it, and the answer is on its way. Nothing when it is known.
///
/// # Errors
/// `document.refused`; `agreement.unknown`.
pub(crate) fn asked(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    envelope: &Envelope,
) -> Result<Vec<NewEntry>, Problem> {
    let document = Erasure::from_envelope(envelope).map_err(|why| refused(&why.to_string()))?;
    let (fold, fingerprint) = (turn.fold(), envelope.fingerprint());
    between(node, did, (&document.issuer, &document.audience))?;
    signed_by(fold, did, envelope, node.clocks.wall())?;
    if fold.erasures.duties.contains_key(&to_hex(&fingerprint)) {
        return Ok(Vec::new());
    }
    if fold.erasures.is_full(did) {
        return Err(refused(&format!("{MAX_DUTIES} duties of yours are on record")));
    }
    let id = to_hex(&document.agreement);
    if with(fold, did, &id)?.role != Role::Consumer {
        return Err(refused("we have no copies under that agreement"));
    }
    let (now, clock) = (node.clocks.policy().0, clock(node));
    let mut entries = vec![duty(did, envelope, "")];
    let keys = turn.store().copied_keys(did, |twin| document.names(twin));
    if !keys.is_empty() {
        let of_twin = fold.copies.iter().filter(|(_, copy)| {
            copy.from == did && copy.parts.iter().any(|part| document.names(&part.twin))
        });
        let names: Vec<&str> = of_twin.map(|(name, _)| name).collect();
        let what = vec![
            Attribute::new("salt", "text", to_hex(&document.salt)),
            Attribute::new("twin", "text", to_hex(&document.twin)),
            Attribute::new("receipts", "json", serde_json::Value::from(names).to_string()),
            Attribute::new("clock", "text", clock.name()),
            destroy::attribute(&keys),
        ];
        let mut deleted = local(Kind::CopyDeleted, did, what);
        deleted.entry.when.phen_start = Some(now);
        entries.push(deleted);
    }
    let held = |leaf: &&Digest| {
        let copy = fold.copies.get(&to_hex(*leaf)).ok();
        copy.is_some_and(|copy| copy.from == did && copy.agreement == id)
    };
    let leaves: Vec<Digest> = document.receipts.iter().filter(held).copied().collect();
    let said = (id.as_str(), leaves.as_slice(), Reason::Duty(fingerprint));
    entries.extend(retention::receipt(node, did, said, (now, clock))?);
    Ok(entries)
}

/// The erasure of a twin, by its name.
///
/// # Errors
/// `twin.unknown` when it was not erased.
pub fn show(node: &Node, twin: &str) -> Result<ErasureLine, Problem> {
    node.partition.read(|fold, _| {
        let subject = fold.twins.pseudonym(twin);
        let erased = fold.twins.erasures().find(|(one, _)| **one == subject);
        erased.map(|(subject, erased)| line(fold, subject, erased)).ok_or_else(|| {
            Problem::new(codes::TWIN_UNKNOWN, format!("{twin:?} was not erased"))
                .hint("list what was erased with: twinpact erasure list")
        })
    })?
}

/// All erasures; none names its twin.
///
/// # Errors
/// `store.stopped`.
pub fn list(node: &Node) -> Result<Vec<ErasureLine>, Problem> {
    node.partition.read(|fold, _| {
        fold.twins.erasures().map(|(subject, erased)| line(fold, subject, erased)).collect()
    })
}

fn line(fold: &Fold, subject: &Digest, erased: &twinpact_twin::Erased) -> ErasureLine {
    let subject = to_hex(subject);
    let duties = fold.erasures.duties.iter().filter(|(_, duty)| duty.subject == subject);
    let holder = |(name, duty): (&String, &Duty)| {
        let answer = duty.answer.as_ref().and_then(|answer| fold.deletions.get(answer));
        HolderLine {
            partner: duty.document.audience.clone(),
            agreement: to_hex(&duty.document.agreement),
            deliveries: duty.document.receipts.len() as u64,
            duty: Some(name.clone()),
            deleted: answer.map(|kept| Timestamp::from_micros(kept.document.deleted)),
            waits: answer.is_none(),
        }
    };
    ErasureLine {
        basis: erased.basis.clone(),
        entries: erased.entries,
        erased: Some(erased.recorded),
        event: Some(erased.index),
        holders: duties.map(holder).collect(),
        subject,
    }
}

/// The signed document of an outbox row that answers a partner, or that duty itself.
pub(crate) fn document<'f>(fold: &'f Fold, paper: &Paper) -> Option<&'f Envelope> {
    match paper {
        Paper::Erasure(duty) => fold.erasures.envelope(duty),
        Paper::Deletion(receipt) => deletions::envelope(fold, receipt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Erasures, MAX_DUTIES, duty};
    use twinpact_proof::SecretKey;
    use twinpact_proof::deletion::Erasure;
    use twinpact_proof::documents::Clock;

    #[test]
    fn duties_of_one_partner_have_a_bound_and_name_their_twin_alone() {
        let (mut erasures, key) = (Erasures::default(), SecretKey::new(&[1; 32]));
        let (us, partner) = ("did:web:maker.example", "did:web:operator.example");
        for number in 0..MAX_DUTIES {
            assert!(!erasures.is_full(partner));
            let document = Erasure {
                issuer: partner.to_owned(),
                audience: us.to_owned(),
                agreement: [1; 32],
                receipts: vec![[2; 32]],
                salt: [3; 32],
                twin: Erasure::digest_of(&[3; 32], &format!("urn:t:{number}")),
                erased: 0,
                clock: Clock::System,
            };
            erasures.apply(&duty(partner, &document.sign(&key), "").entry).unwrap();
        }
        assert!(erasures.is_full(partner) && !erasures.is_full(us));
        for (partner, twin, expect) in [
            (partner, "urn:t:0", true),
            (partner, "urn:t:999", true),
            (partner, "urn:t:1000", false),
            (us, "urn:t:0", false),
        ] {
            assert_eq!(erasures.forbids(partner, twin), expect, "{partner} {twin}");
        }
    }
}
