//! Signed documents between two nodes: the provider sends its agreement document, the consumer
//! sends agreement and receipts back with its own signature on the same payloads.
//!
//! One route takes them all, one envelope a request or a list of agreements and receipts. What is
//! sent is a row of the outbox, written in the frame that gives the reason for it: a stop loses
//! nothing, and a repeat changes nothing.
//! We sign only what we have checked ourselves: an agreement that says what was negotiated, a
//! receipt whose page is verified and stored in the same frame.

use crate::agreements::Agreement;
use crate::as_of;
use crate::ask::Answer;
use crate::countersignatures as signed;
use crate::deletions;
use crate::egress::Egress;
use crate::erasures;
use crate::fold::Fold;
use crate::incidents;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::{self, Paper};
use crate::receipts;
use crate::repin::{self, Reason};
use crate::retention;
use crate::strangers::Away;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Arc;
use twinpact_dsp::Role;
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime, codes};
use twinpact_proof::containment::{CONTAINMENT_ANSWER_TYPE, CONTAINMENT_TYPE};
use twinpact_proof::deletion::{DELETION_TYPE, ERASURE_TYPE};
use twinpact_proof::documents::{AGREEMENT_TYPE, Agreement as Document, RECEIPT_TYPE, Receipt};
use twinpact_proof::dsse::Signature;
use twinpact_proof::record::RecordKey;
use twinpact_proof::{Bundle, Envelope, Json, PublicKey, Record, to_hex};
use twinpact_store::Store;

/// How many agreements and receipts may come together.
pub(crate) const MAX_TOGETHER: usize = 128;

/// Takes a signed document of a partner, or agreements and receipts that come together: all of
/// them or none.
pub(crate) async fn receive(node: &Node, peer: &PeerIdentity, body: &[u8]) -> Answer {
    let did = peer.did.as_str();
    let envelopes = match read(body) {
        Ok(envelopes) => Arc::<[Envelope]>::from(envelopes),
        Err(problem) => return Answer::unrecorded(problem.into()),
    };
    // Each is as much as a request; one was counted at the door. As there, what is beyond the rate
    // is counted, and leaves nothing else.
    let now = node.clocks.wall();
    if let Err(problem) = node.rates.more_requests(did, envelopes.len() - 1, now) {
        node.strangers.count(Away::PartnerRate, now);
        return Answer::recorded(problem.into());
    }
    let seen = repin::fingerprint(node, did).await.unwrap_or_default();
    let mut taken = take(node, did, &envelopes).await;
    // It may be signed by a key of a newer record.
    if taken.as_ref().is_err_and(|problem| problem.code == codes::DOCUMENT_REFUSED)
        && repin::look(node, did, Reason::Signature, &seen).await
    {
        taken = take(node, did, &envelopes).await;
    }
    match taken {
        Ok(changed) => {
            let taken = Egress::Protocol { status: 200, message: None };
            if changed { Answer::recorded(taken) } else { Answer::unrecorded(taken) }
        }
        Err(problem) => Answer::unrecorded(problem.into()),
    }
}

/// The envelopes of a body: it is one, or a list of some.
fn read(body: &[u8]) -> Result<Vec<Envelope>, Problem> {
    let malformed = |why: &str| Problem::new(codes::INPUT_MALFORMED, why);
    let json = Json::parse(body);
    let listed = match &json {
        Ok(Json::Array(listed)) => listed.as_slice(),
        Ok(one) => std::slice::from_ref(one),
        Err(_) => &[],
    };
    if listed.len() > MAX_TOGETHER {
        return Err(malformed(&format!("at most {MAX_TOGETHER} documents come together")));
    }
    let envelopes: Option<Vec<Envelope>> = listed.iter().map(Envelope::read).collect();
    let none = "the body is no DSSE envelope of canonical JSON, and no list of them";
    let envelopes = envelopes.filter(|all| !all.is_empty()).ok_or_else(|| malformed(none))?;
    let mut about = HashSet::new();
    for one in envelopes.iter().filter(|_| envelopes.len() > 1) {
        if ![AGREEMENT_TYPE, RECEIPT_TYPE].contains(&one.payload_type.as_str()) {
            return Err(malformed("only agreements and receipts come together"));
        }
        // Of each agreement and each delivery there is one document, and each is looked at as if it
        // were the only one.
        let document = one.document();
        let says = |name: &str| document.as_ref()?.get(name).map(Json::canonical);
        if !about.insert((one.payload_type.clone(), says("agreement"), says("index"))) {
            return Err(malformed("of one agreement or delivery there are two documents"));
        }
    }
    Ok(envelopes)
}

/// Whether they changed anything; a repeat does not.
async fn take(node: &Node, did: &str, envelopes: &Arc<[Envelope]>) -> Result<bool, Problem> {
    let mut made = Vec::with_capacity(envelopes.len());
    for envelope in envelopes.iter() {
        made.push(beside(node, did, envelope).await?);
        tokio::task::yield_now().await;
    }
    if made.iter().all(|made| matches!(made, Beside::Known)) {
        return Ok(false);
    }
    let (ours, did, all) = (node.clone(), did.to_owned(), Arc::clone(envelopes));
    let deletes = envelopes.iter().any(|one| one.payload_type == DELETION_TYPE);
    let turn = node.partition.turn(move |turn| {
        let (mut entries, mut with_record) = (Vec::new(), HashSet::new());
        for (made, envelope) in made.iter().zip(all.iter()) {
            let new = taken(&ours, &turn, &did, made, envelope, &mut with_record)?;
            entries.extend(new);
        }
        let changes = !entries.is_empty();
        if changes {
            turn.log(entries)?;
        }
        Ok(changes)
    });
    let changed = turn.await?;
    if changed && deletes {
        // It may have been what a suspended agreement waited for. What cannot be told now is told
        // by the timer.
        let _ = retention::align(node).await;
    }
    Ok(changed)
}

/// What is known of a document before its turn.
enum Beside {
    /// There is nothing that could be made before.
    Nothing,
    /// The receipt of ours that it countersigns.
    Receipt(Box<Made>),
    /// It is on record.
    Known,
}

/// What can be made beside the writer, and only for whom it is worth it.
async fn beside(node: &Node, did: &str, envelope: &Envelope) -> Result<Beside, Problem> {
    if [AGREEMENT_TYPE, RECEIPT_TYPE].contains(&envelope.payload_type.as_str()) {
        let keys = node.partition.read_between(|fold, _| keys_of_both(fold, did)).await?;
        // Of those that hold it is remembered that they do: nobody waits while it is found out.
        let _ = keys.map(|keys| envelope.signers(&keys));
    }
    match envelope.payload_type.as_str() {
        AGREEMENT_TYPE | CONTAINMENT_TYPE | CONTAINMENT_ANSWER_TYPE => Ok(Beside::Nothing),
        DELETION_TYPE | ERASURE_TYPE => Ok(Beside::Nothing),
        RECEIPT_TYPE => {
            let made = node
                .partition
                .read_between(|fold, store| receipt_made(node, fold, store, did, envelope));
            let made = made.await??;
            Ok(made.map_or(Beside::Known, |made| Beside::Receipt(Box::new(made))))
        }
        _ => Err(refused("it is of no type that we know")),
    }
}

/// The entries that take a document, and under which agreements the partner's record is among those
/// of this turn.
fn taken(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    made: &Beside,
    envelope: &Envelope,
    with_record: &mut HashSet<String>,
) -> Result<Vec<NewEntry>, Problem> {
    match (made, envelope.payload_type.as_str()) {
        (Beside::Known, _) => Ok(Vec::new()),
        (Beside::Receipt(made), _) => receipt(turn.fold(), did, made, envelope, with_record),
        (_, CONTAINMENT_TYPE) => incidents::asked_by_partner(node, turn, did, envelope),
        (_, CONTAINMENT_ANSWER_TYPE) => incidents::answered_by_partner(node, turn, did, envelope),
        (_, DELETION_TYPE) => deletions::taken(node, turn, did, envelope),
        (_, ERASURE_TYPE) => erasures::asked(node, turn, did, envelope),
        (_, _) => agreement(node, turn, did, envelope, with_record),
    }
}

/// An agreement document: the provider's own, which we countersign, or ours, countersigned.
fn agreement(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    envelope: &Envelope,
    with_record: &mut HashSet<String>,
) -> Result<Vec<NewEntry>, Problem> {
    let document = Document::from_envelope(envelope).map_err(|why| refused(&why.to_string()))?;
    let (fold, id) = (turn.fold(), to_hex(&document.agreement));
    let known = with(fold, did, &id)?;
    let both = match known.role {
        Role::Consumer => {
            countersigned(node, fold, known, envelope).map_err(|why| refused(&why))?
        }
        Role::Provider => {
            let ours = known.document.as_ref().ok_or_else(unknown)?;
            same_document(ours, envelope)?;
            let signature = theirs(fold, did, envelope, document.concluded)?;
            with_signature(ours, &signature)
        }
    };
    if fold.countersignatures.agreement(&id).is_some() {
        return Ok(Vec::new());
    }
    let sends_back = known.role == Role::Consumer;
    Ok(match sends_back {
        true => countersigning(did, &id, &both),
        false => {
            let record = changed_record(fold, did, &id)?.filter(|_| with_record.insert(id.clone()));
            vec![signed::of_agreement(did, &id, &both, record)]
        }
    })
}

/// A receipt of ours that a partner's is of, to the byte.
struct Made {
    agreement: String,
    index: u64,
    /// That of its tick, in microseconds since 1970.
    time: i64,
}

/// Our receipt of the delivery that this one is of; `None` when we hold its countersignature
/// already. A key of the sender must have signed what was sent: to make a receipt is work.
fn receipt_made(
    node: &Node,
    fold: &Fold,
    store: &Store,
    did: &str,
    envelope: &Envelope,
) -> Result<Option<Made>, Problem> {
    let receipt = Receipt::from_envelope(envelope).map_err(|why| refused(&why.to_string()))?;
    let (id, index) = (to_hex(&receipt.agreement), receipt.index);
    let known = with(fold, did, &id)?;
    signature_by(fold, envelope, &fold.partners.get(did)?.record.all_keys())?;
    // All its signatures hold, so the same one is on the same payload.
    let before = fold.countersignatures.receipt(&id, index);
    if before.is_some_and(|before| envelope.signatures.contains(before)) {
        return Ok(None);
    }
    let time = match node.given.get(&(id.clone(), index)) {
        Some((ours, time)) if ours == envelope.fingerprint() => time,
        Some(_) => return Err(another()),
        None => {
            let made = receipts::made(node, fold, store, known, index)?;
            let (ours, time) = made.ok_or_else(|| refused("it is of no delivery of ours"))?;
            same_document(&ours, envelope)?;
            time
        }
    };
    Ok(Some(Made { agreement: id, index, time }))
}

/// A receipt of ours that its consumer has countersigned.
fn receipt(
    fold: &Fold,
    did: &str,
    made: &Made,
    envelope: &Envelope,
    with_record: &mut HashSet<String>,
) -> Result<Vec<NewEntry>, Problem> {
    let (id, index) = (made.agreement.as_str(), made.index);
    let signature = theirs(fold, did, envelope, made.time)?;
    match fold.countersignatures.receipt(id, index) {
        Some(_) => Ok(Vec::new()),
        None => {
            let record = changed_record(fold, did, id)?;
            let record = record.filter(|_| with_record.insert(id.to_owned()));
            Ok(vec![signed::of_receipt(did, (id, index), &signature, record)])
        }
    }
}

/// The consumer's record, when it is another than was kept beside its last signature.
fn changed_record<'f>(
    fold: &'f Fold,
    did: &str,
    agreement: &str,
) -> Result<Option<&'f Envelope>, Problem> {
    let now = &fold.partners.get(did)?.envelope;
    let kept = fold.countersignatures.record(agreement);
    Ok((kept != Some(now)).then_some(now))
}

/// The agreement of that identity with that partner; of others' it learns nothing.
pub(crate) fn with<'f>(fold: &'f Fold, did: &str, id: &str) -> Result<&'f Agreement, Problem> {
    let known = fold.agreements.get(id).ok();
    known.filter(|known| known.peer == did && to_hex(&known.id) == id).ok_or_else(unknown)
}

/// That what came has the very payload that we signed.
fn same_document(ours: &Envelope, sent: &Envelope) -> Result<(), Problem> {
    match (&sent.payload_type, &sent.payload) == (&ours.payload_type, &ours.payload) {
        true => Ok(()),
        false => Err(another()),
    }
}

fn another() -> Problem {
    refused("it is another document than we signed")
}

/// The partner's signature beside ours, by a key of its pinned record that had not ended at that
/// time, in microseconds since 1970.
fn theirs(fold: &Fold, did: &str, sent: &Envelope, time: i64) -> Result<Signature, Problem> {
    let alive = |key: &&RecordKey| !key.ended_by(time);
    let keys = fold.partners.get(did)?.record.keys.iter().filter(alive);
    signature_by(fold, sent, &keys.map(|key| key.key).collect::<Vec<_>>())
}

/// All keys of ours and of a partner.
fn keys_of_both(fold: &Fold, did: &str) -> Result<Vec<PublicKey>, Problem> {
    let (own, theirs) = (&fold.organisation.current()?.0, &fold.partners.get(did)?.record);
    Ok([own.all_keys(), theirs.all_keys()].concat())
}

/// The first signature by one of these keys of a partner, when all that it bears hold and are by
/// these or by ours.
fn signature_by(fold: &Fold, sent: &Envelope, keys: &[PublicKey]) -> Result<Signature, Problem> {
    let mut all = fold.organisation.current()?.0.all_keys();
    all.extend_from_slice(keys);
    let signers = sent.signers(&all).ok_or_else(|| {
        refused("it has a signature that does not hold, or is by no key of ours or of yours")
    })?;
    let mut pairs = sent.signatures.iter().zip(signers);
    let found = pairs.find(|(_, key)| keys.contains(key));
    found
        .map(|(signature, _)| signature.clone())
        .ok_or_else(|| refused("it has no signature of yours"))
}

/// That all signatures of a document hold and are by keys of the sender's pinned record which had
/// not ended by then.
pub(crate) fn signed_by(
    fold: &Fold,
    did: &str,
    sent: &Envelope,
    now: WallTime,
) -> Result<(), Problem> {
    let keys = fold.partners.get(did)?.record.unended_keys(now.0.micros());
    match sent.signed_only_by(&keys) {
        true => Ok(()),
        false => Err(refused("it is not signed by a key of your record, and by no other")),
    }
}

fn with_signature(envelope: &Envelope, signature: &Signature) -> Envelope {
    let mut envelope = envelope.clone();
    envelope.signatures.push(signature.clone());
    envelope
}

/// The provider's agreement document with our signature: the one that we made before, or a new one
/// when the document says what was agreed.
///
/// # Errors
/// Why we do not sign it.
pub(crate) fn countersigned(
    node: &Node,
    fold: &Fold,
    known: &Agreement,
    envelope: &Envelope,
) -> Result<Envelope, String> {
    if let Some(before) = fold.countersignatures.agreement(&to_hex(&known.id)) {
        return match before.payload == envelope.payload {
            true => Ok(before.clone()),
            false => Err("it is another agreement document than we signed before".to_owned()),
        };
    }
    let document = Document::from_envelope(envelope).map_err(|why| why.to_string())?;
    let partner = fold.partners.get(&known.peer).map_err(|problem| problem.message)?;
    let own = fold.organisation.current().map_err(|problem| problem.message)?.0.all_keys();
    let mut both = envelope.clone();
    // Ours stands there already when the provider has it and we went back.
    both.signatures.retain(|signature| !own.iter().any(|key| key.is_named(&signature.key_id)));
    if !both.signed_only_by(&partner.record.all_keys()) {
        return Err("it is not signed by a key of the provider's record".to_owned());
    }
    both.add_signature(node.signer().key());
    match other_word(known, &document) {
        None => Ok(both),
        Some(what) => Err(format!("it says something else than was agreed of {what}")),
    }
}

/// The first thing of which an agreement document says something else than was agreed.
fn other_word(known: &Agreement, document: &Document) -> Option<&'static str> {
    let wire = &known.wire;
    let terms = known.terms().ok().map(|terms| terms.to_json());
    [
        ("the identity", document.agreement == known.id),
        ("the name", document.at_id == wire.id),
        ("the provider", document.issuer == wire.assigner),
        ("the consumer", document.audience == wire.assignee),
        ("the view", document.target == wire.target),
        ("the terms", terms.as_ref() == Some(&document.terms)),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}

/// The record of an agreement document that we countersigned, and the row that sends it back.
pub(crate) fn countersigning(peer: &str, agreement: &str, both: &Envelope) -> Vec<NewEntry> {
    vec![
        signed::of_agreement(peer, agreement, both, None),
        processes::paper_row(peer, agreement, &Paper::Agreement(agreement.to_owned())),
    ]
}

/// The bundle of a delivery to us with our signatures on agreement and receipt, and our record.
///
/// # Errors
/// `internal` when we have no record.
pub(crate) fn countersigned_bundle(
    node: &Node,
    fold: &Fold,
    bundle: &Bundle,
    agreement: &Envelope,
) -> Result<Bundle, Problem> {
    let mut bundle = bundle.clone();
    bundle.agreement = Some(agreement.clone());
    let signer = node.signer();
    let key = signer.key();
    if let Some(receipt) = &mut bundle.receipt
        && !receipt.signed_by(&key.public())
    {
        receipt.add_signature(key);
    }
    bundle.records.truncate(1);
    bundle.records.push(fold.organisation.current()?.1.clone());
    Ok(bundle)
}

/// Adds to the bundle of a delivery of ours what its consumer has signed, with the record that
/// lists its keys: the pinned one, or the one that was kept when it is no partner any more. What is
/// by a key of neither is left out, and so is what came after that time.
pub(crate) fn add_countersignatures(
    fold: &Fold,
    known: &Agreement,
    index: u64,
    bundle: &mut Bundle,
    as_of: Option<Timestamp>,
) -> Result<(), Problem> {
    let (id, held) = (to_hex(&known.id), &fold.countersignatures);
    let by = |since: Option<Timestamp>| since.is_some_and(|since| as_of::known(since, as_of));
    if !by(held.agreed(&id)) {
        return Ok(());
    }
    let own = fold.organisation.current()?.0.all_keys();
    let theirs = held.receipt(&id, index).filter(|_| by(held.received(&id, index)));
    let receipt = bundle.receipt.as_ref().zip(theirs);
    let receipt = receipt.map(|(ours, theirs)| with_signature(ours, theirs));
    let pinned = fold.partners.get(&known.peer).ok().map(|partner| &partner.envelope);
    for record in pinned.into_iter().chain(held.record(&id)) {
        let Ok(theirs) = Record::from_envelope(record) else { continue };
        let keys = [own.clone(), theirs.all_keys()].concat();
        let agreement = held.agreement(&id).filter(|both| both.signed_only_by(&keys));
        let Some(agreement) = agreement else { continue };
        bundle.agreement = Some(agreement.clone());
        if let Some(both) = receipt.filter(|both| both.signed_only_by(&keys)) {
            bundle.receipt = Some(both);
        }
        bundle.records.push(record.clone());
        break;
    }
    Ok(())
}

/// What an outbox row sends: one envelope.
///
/// # Errors
/// `agreement.unknown`, `receipt.unknown` when it is not there any more.
pub(crate) fn body(fold: &Fold, paper: &Paper) -> Result<Vec<u8>, Problem> {
    source(fold, paper)?.bytes().ok_or_else(gone)
}

fn gone() -> Problem {
    Problem::new(codes::RECEIPT_UNKNOWN, "a copy has no receipt")
}

/// Where the envelope is that a row sends.
pub(crate) enum Source {
    Itself(Envelope),
    /// In the proof of a copy, as its receipt.
    Proof(String),
}

impl Source {
    /// The envelope as it is sent; to find it in a proof is work for who holds nobody up.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Source::Itself(envelope) => Some(envelope.to_json().canonical().into_bytes()),
            Source::Proof(proof) => receipt_in(proof),
        }
    }
}

/// The envelope that a row sends.
///
/// # Errors
/// As [`body`].
pub(crate) fn source(fold: &Fold, paper: &Paper) -> Result<Source, Problem> {
    let envelope = match paper {
        Paper::Agreement(id) => match fold.countersignatures.agreement(id) {
            Some(both) => Some(both),
            None => {
                let known = fold.agreements.get(id)?;
                Some(known.document.as_ref().ok_or_else(unknown)?)
            }
        },
        Paper::Receipt(name) => return Ok(Source::Proof(fold.copies.get(name)?.proof.clone())),
        Paper::Deletion(_) | Paper::Erasure(_) => erasures::document(fold, paper),
        Paper::Containment(id) => fold.incidents.containment(id),
        Paper::ContainmentAnswer(id, answer) => fold.incidents.answered(id, answer),
    };
    envelope.cloned().map(Source::Itself).ok_or_else(gone)
}

/// The receipt in a proof of ours, as it stands there; the rest was read when it was stored, and is
/// not read again.
fn receipt_in(proof: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Only {
        receipt: Json,
    }
    let (_, bundle) = proof.split_once('\n')?;
    let Only { receipt } = serde_json::from_str(bundle).ok()?;
    Some(Envelope::from_json(&receipt)?.to_json().canonical().into_bytes())
}

pub(crate) fn refused(why: &str) -> Problem {
    Problem::new(codes::DOCUMENT_REFUSED, format!("the document is not taken: {why}"))
}

pub(crate) fn unknown() -> Problem {
    Problem::new(codes::AGREEMENT_UNKNOWN, "there is no such agreement")
}
