//! Purpose and place, asserted by a consumer: signed with its document key, for one audience and
//! one agreement, good for minutes, used once.

use crate::open::Node;
use twinpact_contract::vocabulary::place_iri;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_policy::{Assertion, Assurance};
use twinpact_proof::{Envelope, Json, PublicKey, sha256, text64};

const PAYLOAD_TYPE: &str = "application/vnd.twinpact.assertion+json";
const TYPE: &str = "twinpact-assertion/1";
/// How long an assertion of ours is good, in seconds.
const SECONDS: i64 = 120;
/// The longest header that is read.
const MAX_BYTES: usize = 8192;
/// The longest text in an assertion, in bytes: it comes to stand in records and sentences.
const MAX_WORD_BYTES: usize = 512;

/// Why an assertion does not count that may be signed by a key of a newer record.
pub(crate) const KEY_UNKNOWN: &str = "is not signed by a key of the caller's record";

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
        ("expires", Json::Int(now.plus_seconds(SECONDS).micros())),
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
/// Why it does not count, as the end of "the assertion …".
pub fn read(header: &str, keys: &[PublicKey]) -> Result<Assertion, &'static str> {
    if header.len() > MAX_BYTES {
        return Err("is too long");
    }
    let bytes = text64::decode(header).ok_or("is not base64")?;
    let envelope = Json::parse(&bytes)
        .ok()
        .and_then(|json| Envelope::from_json(&json))
        .filter(|envelope| envelope.payload_type == PAYLOAD_TYPE)
        .ok_or("is no signed assertion")?;
    if !envelope.signed_only_by(keys) {
        return Err(KEY_UNKNOWN);
    }
    let document = envelope.document().ok_or("cannot be read")?;
    parse(&document, sha256(&envelope.payload)).ok_or("is not of its form")
}

fn parse(document: &Json, digest: [u8; 32]) -> Option<Assertion> {
    let Json::Object(members) = document else { return None };
    let text = |name: &str| {
        let text = document.get(name)?.as_text()?;
        (text.len() <= MAX_WORD_BYTES).then(|| text.to_owned())
    };
    let time = |name: &str| {
        document.get(name)?.as_int().map(|micros| WallTime(Timestamp::from_micros(micros)))
    };
    if members.len() != 10 || text("type")? != TYPE {
        return None;
    }
    let assurance = match text("assurance")?.as_str() {
        "declared" => Assurance::Declared,
        // Nothing here checks a credential or an attestation yet: what is not checked is declared.
        "credential" | "attested" => Assurance::Declared,
        _ => return None,
    };
    Some(Assertion {
        jti: text("jti")?,
        digest,
        issuer: Did::new(text("issuer")?).ok()?,
        audience: text("audience")?,
        agreement: text("agreement")?,
        purpose: text("purpose")?,
        place: text("place")?,
        assurance,
        issued: time("issued")?,
        expires: time("expires")?,
    })
}
