//! Purpose and place, asserted by a consumer: signed with its document key, for one audience and
//! one agreement, good for minutes, used once.

use crate::open::Node;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_contract::vocabulary::place_iri;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime, codes};
use twinpact_policy::{Assertion, Assurance, MAX_ASSERTION_S};
use twinpact_proof::{Digest, Envelope, Json, PublicKey, sha256, text64};

const PAYLOAD_TYPE: &str = "application/vnd.twinpact.assertion+json";
const TYPE: &str = "twinpact-assertion/1";
/// How long an assertion of ours is good, in seconds.
const SECONDS: i64 = 120;
/// The longest header that is read.
const MAX_BYTES: usize = 8192;
/// The most assertions that are remembered; each is forgotten when it has run out.
const MAX_REMEMBERED: usize = 100_000;

/// Signs an assertion for the header `Twinpact-Assertion`.
///
/// # Errors
/// `internal` without randomness.
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
    let envelope = Envelope::sign(PAYLOAD_TYPE, &document, node.signer().key());
    Ok(text64::encode(envelope.to_json().canonical().as_bytes()))
}

/// Reads an assertion and holds its signature against these keys of the caller.
///
/// # Errors
/// `policy.assertion` when it is none, or none of these keys signed it.
pub fn read(header: &str, keys: &[PublicKey]) -> Result<Assertion, Problem> {
    let bad = |why: &str| Problem::new(codes::POLICY_ASSERTION, format!("the assertion {why}"));
    if header.len() > MAX_BYTES {
        return Err(bad("is too long"));
    }
    let bytes = text64::decode(header).ok_or_else(|| bad("is not base64"))?;
    let envelope = Json::parse(&bytes)
        .ok()
        .and_then(|json| Envelope::from_json(&json))
        .filter(|envelope| envelope.payload_type == PAYLOAD_TYPE)
        .ok_or_else(|| bad("is no signed assertion"))?;
    if !envelope.signed_only_by(keys) {
        return Err(bad("is not signed by a key of the caller's record"));
    }
    let document = envelope.document().ok_or_else(|| bad("cannot be read"))?;
    parse(&document, sha256(&envelope.payload)).ok_or_else(|| bad("is not of its form"))
}

fn parse(document: &Json, digest: [u8; 32]) -> Option<Assertion> {
    let Json::Object(members) = document else { return None };
    let text = |name: &str| document.get(name)?.as_text().map(str::to_owned);
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

/// Assertions that were used, until they run out: none is taken twice.
#[derive(Debug)]
pub struct Used {
    used: Mutex<HashMap<Digest, WallTime>>,
    /// Those from before are refused: what was used then is forgotten.
    started: WallTime,
}

impl Used {
    /// Nothing was used yet by a node that started at that time.
    #[must_use]
    pub fn since(started: WallTime) -> Used {
        Used { used: Mutex::default(), started }
    }

    /// Marks an assertion as used.
    ///
    /// # Errors
    /// `policy.assertion` when it was used before, or too many are remembered.
    pub fn take(&self, assertion: &Assertion, now: WallTime) -> Result<(), Problem> {
        let bad = |why: &str| Problem::new(codes::POLICY_ASSERTION, why);
        let longest = assertion.issued.0.plus_seconds(MAX_ASSERTION_S);
        if assertion.issued < self.started {
            return Err(bad("the assertion is from before this node started: sign a fresh one"));
        }
        if assertion.expires <= now || assertion.expires.0 > longest {
            return Err(bad("the assertion has run out, or is good for too long"));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MAX_REMEMBERED {
            used.retain(|_, expires| *expires > now);
        }
        if used.len() >= MAX_REMEMBERED {
            return Err(bad("too many assertions at once"));
        }
        let key = sha256(format!("{} {}", assertion.issuer, assertion.jti).as_bytes());
        match used.insert(key, assertion.expires) {
            None => Ok(()),
            Some(_) => Err(bad("the assertion was used before")),
        }
    }
}
