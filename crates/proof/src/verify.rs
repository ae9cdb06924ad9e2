//! Verification of a bundle: the whole chain, link by link, in the order of [`Link::ALL`].
//!
//! It needs no server, no clock and no randomness; it trusts only what the reader pinned. It stops
//! at the first link that does not hold. The steps are those of `docs/format.md`, by number.

use crate::broken::{Broken, Link};
use crate::bundle::{Bundle, ClaimKind};
use crate::chain::{self, Delivery, Facts};
use crate::digest::to_hex;
use crate::documents::{Agreement, Decision, Receipt};
use crate::dsse::Envelope;
use crate::fields::shown;
use crate::keys::PublicKey;
use crate::note::{Note, NoteSignature};
use crate::record::Record;
use crate::trust::Trust;
use crate::verdict::{self, Verdict};

/// The organisations of a bundle.
pub(crate) struct Parties {
    pub(crate) issuer: Record,
    /// The audience of a delivery, when its record is there.
    pub(crate) audience: Option<Record>,
}

impl Parties {
    /// The keys of both, past ones included.
    fn keys(&self) -> Vec<PublicKey> {
        let audience = self.audience.iter().flat_map(Record::all_keys);
        self.issuer.all_keys().into_iter().chain(audience).collect()
    }
}

/// A document whose signatures hold, with the keys that made them.
pub(crate) struct Signed<T> {
    pub(crate) document: T,
    pub(crate) signers: Vec<PublicKey>,
}

/// The documents of a delivery.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) agreement: Option<Signed<Agreement>>,
    pub(crate) decision: Option<Signed<Decision>>,
    pub(crate) receipt: Option<Signed<Receipt>>,
}

/// A checkpoint whose log signatures hold.
pub(crate) struct SignedNote {
    pub(crate) note: Note,
    pub(crate) signers: Vec<PublicKey>,
}

/// Verifies the bundle in these bytes against what the reader has pinned, if anything.
///
/// # Errors
/// The first link that does not hold.
pub fn verify(bytes: &[u8], trust: Option<&Trust>) -> Result<Verdict, Broken> {
    verify_bundle(&Bundle::parse(bytes)?, trust)
}

/// The same of a bundle that was read already.
///
/// # Errors
/// As [`verify`].
pub fn verify_bundle(bundle: &Bundle, trust: Option<&Trust>) -> Result<Verdict, Broken> {
    let parties = check_records(bundle)?;
    let facts = chain::check_claim(bundle, chain::check_commitment(bundle)?)?;
    chain::check_entry(bundle)?;
    chain::check_tree(bundle)?;
    chain::check_head(bundle)?;
    let agreement = check_agreement(bundle, &parties, facts.delivery.as_ref())?;
    check_slot(bundle, &parties, agreement.as_ref().map(|signed| &signed.document))?;
    chain::check_anchor(bundle)?;
    check_tick(bundle, &parties)?;
    let note = check_checkpoint(bundle, &parties, trust)?;
    let documents = Documents {
        decision: check_decision(bundle, &parties, &facts, agreement.as_ref())?,
        receipt: check_receipt(bundle, &parties, &facts, agreement.as_ref())?,
        agreement,
    };
    chain::check_items(bundle, &facts)?;
    verdict::judge(bundle, &parties, &facts, &documents, &note, trust)
}

/// `record`: the issuer's record and, for a delivery, the audience's where there is one.
fn check_records(bundle: &Bundle) -> Result<Parties, Broken> {
    let read = |envelope: &Envelope| {
        Record::from_envelope(envelope).map_err(|why| Link::Record.malformed(why))
    };
    let (issuer, audience) = match bundle.records.as_slice() {
        [issuer] => (read(issuer)?, None),
        [issuer, audience] => (read(issuer)?, Some(read(audience)?)),
        _ => return Err(Link::Record.broken("a bundle has one or two organisation records")),
    };
    if audience.as_ref().is_some_and(|audience| audience.did == issuer.did) {
        return Err(Link::Record.broken("both records are of one organisation"));
    }
    if audience.is_some() && bundle.claim.kind == ClaimKind::Fact {
        return Err(Link::Record.broken("a fact has no audience, but there is a second record"));
    }
    Ok(Parties { issuer, audience })
}

/// The keys that signed the document, the issuer's among them; every signature must hold and be by
/// a party.
fn signers(link: Link, envelope: &Envelope, parties: &Parties) -> Result<Vec<PublicKey>, Broken> {
    let Some(signers) = envelope.signers(&parties.keys()) else {
        return Err(link.broken(format!(
            "the {link} has a signature that does not hold or is by no key of the records"
        )));
    };
    let issuer = parties.issuer.all_keys();
    if signers.iter().any(|key| issuer.contains(key)) {
        Ok(signers)
    } else {
        Err(link.broken(format!("the {link} is not signed by {}", parties.issuer.did)))
    }
}

/// That a document is from the issuer to the audience of this bundle.
fn check_addresses(
    link: Link,
    parties: &Parties,
    issuer: &str,
    audience: &str,
) -> Result<(), Broken> {
    if issuer != parties.issuer.did {
        return Err(link.broken(format!("the {link} is by {issuer}, not {}", parties.issuer.did)));
    }
    match &parties.audience {
        Some(record) if record.did != audience => {
            Err(link.broken(format!("the {link} is for {audience}, not {}", record.did)))
        }
        _ => Ok(()),
    }
}

/// That a document is for whom the agreement is for: also without the audience's record, no two
/// documents of one bundle name two.
fn check_same_audience(
    link: Link,
    agreement: Option<&Signed<Agreement>>,
    audience: &str,
) -> Result<(), Broken> {
    match agreement.map(|signed| signed.document.audience.as_str()) {
        Some(agreed) if agreed != audience => Err(link
            .broken(format!("the {link} is for {audience}, but the agreement is with {agreed}"))),
        _ => Ok(()),
    }
}

/// The envelope that a delivery may have and a fact may not.
fn of_delivery<'a>(
    link: Link,
    envelope: Option<&'a Envelope>,
    delivery: Option<&'a Delivery>,
) -> Result<Option<(&'a Envelope, &'a Delivery)>, Broken> {
    match (envelope, delivery) {
        (Some(_), None) => Err(link.broken(format!("a fact has no {link}, but there is one"))),
        (Some(envelope), Some(delivery)) => Ok(Some((envelope, delivery))),
        (None, _) => Ok(None),
    }
}

/// `agreement`: signed by the issuer, and the one that the delivery was made under. It is opened
/// before the slot is checked, because it names the slot.
fn check_agreement(
    bundle: &Bundle,
    parties: &Parties,
    delivery: Option<&Delivery>,
) -> Result<Option<Signed<Agreement>>, Broken> {
    let link = Link::Agreement;
    let Some((envelope, delivery)) = of_delivery(link, bundle.agreement.as_ref(), delivery)? else {
        return match delivery {
            Some(_) => Err(link.broken("a delivery without its agreement cannot be placed")),
            None => Ok(None),
        };
    };
    let signers = signers(link, envelope, parties)?;
    let document = Agreement::from_envelope(envelope).map_err(|why| link.malformed(why))?;
    check_addresses(link, parties, &document.issuer, &document.audience)?;
    if document.agreement != delivery.agreement {
        return Err(link.broken("this is not the agreement that the delivery was made under"));
    }
    if document.target != delivery.view {
        return Err(link.broken("the agreement is about another view than was delivered"));
    }
    Ok(Some(Signed { document, signers }))
}

/// `slot`: the tree stands in the slot that the agreement or the issuer's record names.
fn check_slot(
    bundle: &Bundle,
    parties: &Parties,
    agreement: Option<&Agreement>,
) -> Result<(), Broken> {
    let (tree, slot) = (bundle.entry.tree, bundle.head.slot);
    match agreement {
        Some(agreement) if (agreement.tree, agreement.slot) == (tree, slot) => Ok(()),
        Some(agreement) => Err(Link::Slot.broken(format!(
            "the ledger is shown in slot {slot}, but the agreement names slot {} and tree {}",
            agreement.slot,
            to_hex(&agreement.tree)
        ))),
        None => {
            let fits = |named: &&crate::record::NamedTree| named.tree == tree && named.slot == slot;
            parties.issuer.slots.iter().find(fits).map(|_| ()).ok_or_else(|| {
                Link::Slot.broken(format!(
                    "the issuer's record does not name the tree {} in slot {slot}",
                    to_hex(&tree)
                ))
            })
        }
    }
}

/// `anchor`: leaf 0 of a successor says what log it comes after, and holds no heads.
fn check_tick(bundle: &Bundle, parties: &Parties) -> Result<(), Broken> {
    if bundle.anchor.tick == 0 && !parties.issuer.predecessors.is_empty() {
        return Err(Link::Anchor.broken("the log comes after another one, so it has no tick 0"));
    }
    Ok(())
}

/// `checkpoint`: the note is the issuer's, signed by its log, over the root of the anchor.
fn check_checkpoint(
    bundle: &Bundle,
    parties: &Parties,
    trust: Option<&Trust>,
) -> Result<SignedNote, Broken> {
    let broken = |why: String| Err(Link::Checkpoint.broken(why));
    let Some(note) = Note::parse(&bundle.checkpoint) else {
        return broken("the checkpoint is not a signed note of three lines".to_owned());
    };
    let (origin, expect) = (&note.checkpoint.origin, &parties.issuer.origin);
    if origin != expect {
        return broken(format!("the checkpoint is of {}, not of {expect}", shown(origin)));
    }
    let mut signers = Vec::new();
    for (i, line) in note.signatures.iter().enumerate() {
        if note.signatures.iter().take(i).any(|other| other == line) {
            return broken("a signature line stands twice".to_owned());
        }
        signers.extend(log_signer(bundle, parties, &note, line)?);
        let witness = trust.iter().flat_map(|t| &t.witnesses);
        let pinned = witness.into_iter().any(|w| note.names_witness(line, &w.name, &w.key.0));
        let ours = parties.keys().iter().any(|key| note.names_key(line, key));
        if ours && !pinned && line.name != *origin {
            return broken(format!("a party signs under the name {}", shown(&line.name)));
        }
    }
    if signers.is_empty() {
        return broken(format!("the checkpoint is not signed by the log {expect}"));
    }
    let (anchor, signed) = (&bundle.anchor, &note.checkpoint);
    if (anchor.size, anchor.root) != (signed.size, signed.root) {
        return Err(Link::Anchor.broken(format!(
            "the anchor proof ends at size {}, but the checkpoint is of size {} or another root",
            anchor.size, signed.size
        )));
    }
    Ok(SignedNote { note, signers })
}

/// The key of the issuer that made this line, when the line is the log's. A key whose time was over
/// at the tick cannot have signed a checkpoint that contains it.
fn log_signer(
    bundle: &Bundle,
    parties: &Parties,
    note: &Note,
    line: &NoteSignature,
) -> Result<Option<PublicKey>, Broken> {
    let time = tick_time(bundle);
    let keys = &parties.issuer.keys;
    if !keys.iter().any(|key| note.names_log_key(line, &key.key)) {
        return Ok(None);
    }
    let signer = keys.iter().find(|key| !key.ended_by(time) && note.signed_by(line, &key.key));
    signer.map(|key| Some(key.key)).ok_or_else(|| {
        Link::Checkpoint
            .broken("the log's signature does not hold, or is by no key of the issuer at that time")
    })
}

/// The time of the tick in microseconds since 1970.
pub(crate) fn tick_time(bundle: &Bundle) -> i64 {
    i64::try_from(bundle.anchor.time).unwrap_or(i64::MAX)
}

/// `decision`: signed by the issuer, and the one that the delivery names.
fn check_decision(
    bundle: &Bundle,
    parties: &Parties,
    facts: &Facts<'_>,
    agreement: Option<&Signed<Agreement>>,
) -> Result<Option<Signed<Decision>>, Broken> {
    let link = Link::Decision;
    let found = of_delivery(link, bundle.decision.as_ref(), facts.delivery.as_ref())?;
    let Some((envelope, delivery)) = found else { return Ok(None) };
    let signers = signers(link, envelope, parties)?;
    let document = Decision::from_envelope(envelope).map_err(|why| link.malformed(why))?;
    check_addresses(link, parties, &document.issuer, &document.audience)?;
    check_same_audience(link, agreement, &document.audience)?;
    if envelope.fingerprint() != delivery.decision {
        return Err(link.broken("this is not the decision that the delivery names"));
    }
    if document.agreement != delivery.agreement {
        return Err(link.broken("the decision is under another agreement"));
    }
    if parties.issuer.named("decisions").is_none_or(|named| named.tree != document.tree) {
        return Err(link.broken("the decision is of another tree than the issuer's decisions"));
    }
    Ok(Some(Signed { document, signers }))
}

/// `receipt`: signed by the issuer, and every word of it is what was proven.
fn check_receipt(
    bundle: &Bundle,
    parties: &Parties,
    facts: &Facts<'_>,
    agreement: Option<&Signed<Agreement>>,
) -> Result<Option<Signed<Receipt>>, Broken> {
    let link = Link::Receipt;
    let found = of_delivery(link, bundle.receipt.as_ref(), facts.delivery.as_ref())?;
    let Some((envelope, delivery)) = found else { return Ok(None) };
    let signers = signers(link, envelope, parties)?;
    let document = Receipt::from_envelope(envelope).map_err(|why| link.malformed(why))?;
    check_addresses(link, parties, &document.issuer, &document.audience)?;
    check_same_audience(link, agreement, &document.audience)?;
    match other_word(bundle, parties, delivery, &document) {
        None => Ok(Some(Signed { document, signers })),
        Some(what) => {
            Err(link.broken(format!("the receipt says something else than is proven of {what}")))
        }
    }
}

/// The first thing of which the receipt says something else than is proven.
fn other_word(
    bundle: &Bundle,
    parties: &Parties,
    delivery: &Delivery,
    receipt: &Receipt,
) -> Option<&'static str> {
    let entry = &bundle.entry;
    [
        ("the agreement", receipt.agreement == delivery.agreement),
        ("the ledger", (receipt.tree, receipt.slot) == (entry.tree, bundle.head.slot)),
        ("the position", receipt.index == entry.index),
        ("the leaf", receipt.leaf == entry.leaf),
        ("the commitment", receipt.pc == bundle.commitment.pc),
        ("the decision", receipt.decision == delivery.decision),
        ("the view", receipt.view == delivery.view),
        ("the number of items", receipt.count == delivery.count),
        ("the number of bytes", receipt.bytes == delivery.bytes),
        ("the log", receipt.origin == parties.issuer.origin),
        ("the tick", receipt.tick <= bundle.anchor.tick),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}
