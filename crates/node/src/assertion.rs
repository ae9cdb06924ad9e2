//! Purpose and place, asserted by a consumer: signed with its document key, for one audience and
//! one agreement, good for minutes, used once.

use crate::open::Node;
use twinpact_contract::vocabulary::place_iri;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_policy::{Assertion, AssertionFault, Assurance};
use twinpact_proof::{Envelope, Json, PublicKey, sha256, text64};

const PAYLOAD_TYPE: &str = "application/vnd.twinpact.assertion+json";
const TYPE: &str = "twinpact-assertion/1";
/// How long an assertion of ours is good, in seconds.
const SECONDS: i64 = 120;
/// The longest header that is read.
const MAX_BYTES: usize = 8192;
/// The longest text in an assertion, in bytes: it comes to stand in records and sentences.
const MAX_WORD_BYTES: usize = 512;

/// Signs an assertion for the header `Twinpact-Assertion`.
///
/// # Errors
/// `anchor.behind`; `internal` without randomness.
pub fn sign(
    node: &Node,
    audience: &str,
    agreement: &str,
    purpose: &str,
    place: &str,
) -> Result<String, Problem> {
    sign_for(node, (audience, agreement), (purpose, place), SECONDS)
}

/// The same, good for so many seconds, of which the longest is
/// [`MAX_ASSERTION_S`](twinpact_policy::MAX_ASSERTION_S).
///
/// # Errors
/// As [`sign`].
pub(crate) fn sign_for(
    node: &Node,
    (audience, agreement): (&str, &str),
    (purpose, place): (&str, &str),
    seconds: i64,
) -> Result<String, Problem> {
    let now = node.clocks.wall().0;
    let document = Json::object([
        ("type", Json::text(TYPE)),
        ("issuer", Json::text(node.config.organisation.as_str())),
        ("audience", Json::text(audience)),
        ("agreement", Json::text(agreement)),
        ("jti", Json::text(crate::ids::urn()?)),
        ("purpose", Json::text(purpose)),
        ("place", Json::text(place_iri(place))),
        ("assurance", Json::text(Assurance::Declared.name())),
        ("issued", Json::Int(now.micros())),
        ("expires", Json::Int(now.plus_seconds(seconds).micros())),
    ]);
    let envelope = node.partition.read(|fold, store| {
        fold.behind.check(store.forest())?;
        Ok::<_, Problem>(Envelope::sign(PAYLOAD_TYPE, &document, node.signer().key()))
    })??;
    Ok(text64::encode(envelope.to_json().canonical().as_bytes()))
}

/// Reads an assertion and holds its signature against these keys of the caller.
///
/// # Errors
/// Why it does not count.
pub fn read(header: &str, keys: &[PublicKey]) -> Result<Assertion, AssertionFault> {
    if header.len() > MAX_BYTES {
        return Err(AssertionFault::Size);
    }
    let bytes = text64::decode(header).ok_or(AssertionFault::Encoding)?;
    let envelope = Json::parse(&bytes)
        .ok()
        .and_then(|json| Envelope::from_json(&json))
        .ok_or(AssertionFault::Envelope)?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(AssertionFault::Type);
    }
    if !envelope.signed_only_by(keys) {
        return Err(AssertionFault::Signature);
    }
    let document = envelope.document().ok_or(AssertionFault::Payload)?;
    parse(&document, sha256(&envelope.payload))
}

fn parse(document: &Json, digest: [u8; 32]) -> Result<Assertion, AssertionFault> {
    let known = document.get("type").and_then(Json::as_text) == Some(TYPE);
    if !known {
        return Err(AssertionFault::Version);
    }
    let assurance = match document.get("assurance").and_then(Json::as_text) {
        Some("declared") => Assurance::Declared,
        // Nothing here checks a credential or an attestation yet: what is not checked is declared.
        Some("credential" | "attested") => Assurance::Declared,
        Some(_) => return Err(AssertionFault::Assurance),
        None => return Err(AssertionFault::Members),
    };
    members(document, digest, assurance).ok_or(AssertionFault::Members)
}

fn members(document: &Json, digest: [u8; 32], assurance: Assurance) -> Option<Assertion> {
    let Json::Object(members) = document else { return None };
    let text = |name: &str| {
        let text = document.get(name)?.as_text()?;
        (text.len() <= MAX_WORD_BYTES).then(|| text.to_owned())
    };
    let time = |name: &str| {
        document.get(name)?.as_int().map(|micros| WallTime(Timestamp::from_micros(micros)))
    };
    if members.len() != 10 {
        return None;
    }
    Some(Assertion {
        jti: text("jti")?,
        digest,
        issuer: Did::new(text("issuer")?).ok()?.to_string(),
        audience: text("audience")?,
        agreement: text("agreement")?,
        purpose: text("purpose")?,
        place: text("place")?,
        assurance,
        issued: time("issued")?,
        expires: time("expires")?,
    })
}
