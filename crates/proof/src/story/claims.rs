//! What one bundle claims: it is verified, and so is the document in it.

use super::{Decided, Key, Told};
use crate::broken::{Broken, Link};
use crate::bundle::{Bundle, ClaimKind};
use crate::containment::{
    CONTAINMENT_ANSWER_TYPE, CONTAINMENT_TYPE, Containment, ContainmentAnswer,
};
use crate::deletion::{DELETION_TYPE, Deletion};
use crate::digest::{Digest, from_hex, sha256};
use crate::documents::{
    AGREEMENT_TYPE, Agreement, Clock, DECISION_TYPE, Decision, RECEIPT_TYPE, Receipt,
};
use crate::dsse::Envelope;
use crate::fields::{Malformed, shown};
use crate::fork::Seen;
use crate::json::Json;
use crate::keys::PublicKey;
use crate::trust::Trust;
use crate::verdict::Level;
use crate::verify::verify;

/// The kind of the event by which an organisation has an agreement on record.
pub(super) const CONCLUDED: &str = "AgreementConcluded";
const BROKEN: &str = "proof.broken";
const UNANCHORED: &str = "proof.unanchored";
const TOO_LOW: &str = "proof.level";

/// What a bundle says.
#[derive(Debug)]
pub(super) enum Claim {
    /// Something happened.
    Event(Box<Claimed>),
    /// An organisation has this agreement on record.
    Noted { agreement: Digest, by: String },
    /// Something else, of that kind.
    Other(String),
}

/// Something that happened, as one bundle has it.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) key: Key,
    pub(super) told: Told,
    pub(super) id: Digest,
    pub(super) level: Level,
    /// In whose log it stands.
    pub(super) by: String,
}

/// Why a bundle says nothing.
pub(super) struct No {
    pub(super) code: &'static str,
    pub(super) link: Option<Link>,
    pub(super) why: String,
}

impl From<Broken> for No {
    fn from(broken: Broken) -> No {
        No { code: BROKEN, link: Some(broken.link), why: broken.sentence }
    }
}

impl From<Malformed> for No {
    fn from(why: Malformed) -> No {
        No::from(Link::Document.broken(why.0))
    }
}

/// What the bundle in these bytes says, and what it shows of its log.
pub(super) fn read(bytes: &[u8], trust: &Trust, required: Level) -> Result<(Vec<Claim>, Seen), No> {
    let verdict = verify(bytes, Some(trust))?;
    let (level, by) = (verdict.level, verdict.issuer);
    if level == Level::Unanchored {
        let why = format!("{by} is nobody whom you named");
        return Err(No { code: UNANCHORED, link: None, why });
    }
    if level < required {
        let why = format!("it is {level}, and {required} is required");
        return Err(No { code: TOO_LOW, link: None, why });
    }
    let bundle = Bundle::parse(bytes)?;
    match bundle.claim.kind {
        ClaimKind::Delivery => Ok((delivery(&bundle, level, &by)?, verdict.seen)),
        ClaimKind::Fact => Ok((vec![fact(&bundle, trust, level, by)?], verdict.seen)),
    }
}

/// A delivery says what was delivered, under which agreement and by which decision. Its documents
/// are verified with it.
fn delivery(bundle: &Bundle, level: Level, by: &str) -> Result<Vec<Claim>, No> {
    let event = |(told, key, id): (Told, Key, Digest), level: Level| {
        Claim::Event(Box::new(Claimed { key, told, id, level, by: by.to_owned() }))
    };
    let mut claims = Vec::new();
    if let Some(envelope) = &bundle.agreement {
        // Witnesses have seen the delivery; what the two have signed is countersigned.
        claims.push(event(told(envelope)?, level.min(Level::Countersigned)));
    }
    // A decision is signed by one alone. Of one that is not of our form only the digest counts.
    if let Some(decision) = bundle.decision.as_ref().and_then(|envelope| told(envelope).ok()) {
        let level = if level == Level::Witnessed { level } else { Level::Signed };
        claims.push(event(decision, level));
    }
    match &bundle.receipt {
        Some(envelope) => claims.push(event(told(envelope)?, level)),
        None => claims.push(Claim::Other("Delivery".to_owned())),
    }
    Ok(claims)
}

/// A fact says what the signed document in it says.
fn fact(bundle: &Bundle, trust: &Trust, level: Level, by: String) -> Result<Claim, No> {
    let value = |path: &str| bundle.claim.values.get(path).map(String::as_str);
    let envelope = |path: &str| {
        Json::parse(value(path)?.as_bytes()).ok().and_then(|json| Envelope::from_json(&json))
    };
    let kind = kind(value("@who"));
    let known = |envelope: &Envelope| TYPES.contains(&envelope.payload_type.as_str());
    let Some(envelope) = envelope("document").or_else(|| envelope("record")).filter(known) else {
        let agreement = value("agreement").and_then(from_hex).filter(|_| kind == CONCLUDED);
        return Ok(match agreement {
            Some(agreement) => Claim::Noted { agreement, by },
            None => Claim::Other(kind),
        });
    };
    let (told, key, id) = told(&envelope)?;
    signed(&envelope, &told, trust)?;
    Ok(Claim::Event(Box::new(Claimed { key, told, id, level, by })))
}

/// The kind that a group `@who` says, fit for a terminal; empty when it is withheld.
fn kind(who: Option<&str>) -> String {
    let who = who.and_then(|who| Json::parse(who.as_bytes()).ok());
    let kind = who.as_ref().and_then(|who| who.as_array()?.first()?.as_text());
    shown(kind.unwrap_or_default())
}

/// The types of the documents that tell something.
const TYPES: [&str; 5] =
    [AGREEMENT_TYPE, DECISION_TYPE, CONTAINMENT_TYPE, CONTAINMENT_ANSWER_TYPE, DELETION_TYPE];

/// What a document tells, what makes it one with another, and what it is called.
fn told(envelope: &Envelope) -> Result<(Told, Key, Digest), Malformed> {
    let mut id = envelope.fingerprint();
    let mut key = id;
    let told = match envelope.payload_type.as_str() {
        AGREEMENT_TYPE => {
            let agreement = Agreement::from_envelope(envelope)?;
            id = agreement.agreement;
            Told::Agreed(agreement)
        }
        DECISION_TYPE => Told::Decided(decided(Decision::from_envelope(envelope)?)?),
        CONTAINMENT_TYPE => Told::Asked(Containment::from_envelope(envelope)?),
        CONTAINMENT_ANSWER_TYPE => Told::Answered(ContainmentAnswer::from_envelope(envelope)?),
        DELETION_TYPE => Told::Deleted(Deletion::from_envelope(envelope)?),
        RECEIPT_TYPE => {
            let receipt = Receipt::from_envelope(envelope)?;
            id = receipt.leaf;
            // Its provider makes it again under a later tick; all else stays as it was.
            let same = Receipt { origin: String::new(), tick: 0, ..receipt.clone() };
            key = sha256(same.to_json().canonical().as_bytes());
            Told::Delivered(receipt)
        }
        _ => return Err(Malformed("the document is of another type".to_owned())),
    };
    let key = (told.rank(), key);
    Ok((told, key, id))
}

/// What the record of a decision says.
fn decided(document: Decision) -> Result<Decided, Malformed> {
    let wrong = || Malformed("the record of the decision is not of its form".to_owned());
    let text = |json: Option<&Json>| json.and_then(Json::as_text).map(str::to_owned);
    let record = document.core.get("record").ok_or_else(wrong)?;
    let clock = document.core.get("clock").and_then(Json::as_text);
    let clock = [Clock::System, Clock::Driven].into_iter().find(|one| Some(one.name()) == clock);
    let millis = record.get("policy_ms").and_then(Json::as_int);
    let code = text(record.get("code")).ok_or_else(wrong)?;
    let sentence = text(record.get("sentence")).ok_or_else(wrong)?;
    let at = millis.and_then(|millis| millis.checked_mul(1_000)).ok_or_else(wrong)?;
    Ok(Decided { document, code, sentence, at, clock: clock.ok_or_else(wrong)? })
}

/// Every signature holds and is by a pinned key of one of the two; one is by the issuer.
fn signed(envelope: &Envelope, told: &Told, trust: &Trust) -> Result<(), No> {
    let (issuer, audience) = told.parties();
    let keys = |did: &str| -> Vec<PublicKey> {
        let pin = trust.organisation(did);
        pin.iter().flat_map(|pin| &pin.keys).map(|key| key.key.0).collect()
    };
    let ours = keys(issuer);
    if ours.is_empty() {
        let why = format!("{issuer}, who signed the document in it, is nobody whom you named");
        return Err(No { code: UNANCHORED, link: None, why });
    }
    let all: Vec<PublicKey> = ours.iter().copied().chain(keys(audience)).collect();
    let signers = envelope.signers(&all).unwrap_or_default();
    match signers.iter().any(|key| ours.contains(key)) {
        true => Ok(()),
        false => {
            let why =
                format!("the document in it is not signed by a key of {issuer} that you pinned");
            Err(No::from(Link::Trust.broken(why)))
        }
    }
}
