//! Purpose and place, asserted by a consumer: signed with its document key, for one audience and
//! one agreement, good for minutes, used once.

use crate::open::Node;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_contract::vocabulary::place_iri;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime};
use twinpact_policy::{Assertion, Assurance, MAX_ASSERTION_S};
use twinpact_proof::{Digest, Envelope, Json, PublicKey, sha256, text64};

const PAYLOAD_TYPE: &str = "application/vnd.twinpact.assertion+json";
const TYPE: &str = "twinpact-assertion/1";
/// How long an assertion of ours is good, in seconds.
const SECONDS: i64 = 120;
/// The longest header that is read.
const MAX_BYTES: usize = 8192;
/// The most assertions of one issuer that are remembered; each is forgotten when it has run out.
const MAX_REMEMBERED: usize = 10_000;

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
        return Err("is not signed by a key of the caller's record");
    }
    let document = envelope.document().ok_or("cannot be read")?;
    parse(&document, sha256(&envelope.payload)).ok_or("is not of its form")
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
    /// By issuer; those who are asked about are partners, so there are few.
    used: Mutex<HashMap<String, HashMap<Digest, WallTime>>>,
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
    /// Why it does not count, as the end of "the assertion …".
    pub fn take(&self, assertion: &Assertion, now: WallTime) -> Result<(), &'static str> {
        let longest = assertion.issued.0.plus_seconds(MAX_ASSERTION_S);
        if assertion.issued < self.started {
            return Err("is from before this node started");
        }
        if assertion.expires <= now || assertion.expires.0 > longest {
            return Err("has run out, or is good for too long");
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.entry(assertion.issuer.to_string()).or_default();
        if used.len() >= MAX_REMEMBERED {
            used.retain(|_, expires| *expires > now);
        }
        if used.len() >= MAX_REMEMBERED {
            return Err("is one too many at once");
        }
        match used.insert(sha256(assertion.jti.as_bytes()), assertion.expires) {
            None => Ok(()),
            Some(_) => Err("was used before"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REMEMBERED, Used};
    use twinpact_model::{Did, Timestamp, WallTime};
    use twinpact_policy::{Assertion, Assurance};

    const NOW: i64 = 1_790_000_000;

    fn at(seconds: i64) -> WallTime {
        WallTime(Timestamp::from_seconds(NOW + seconds))
    }

    fn assertion(issuer: &str, jti: &str, issued: i64, expires: i64) -> Assertion {
        Assertion {
            jti: jti.to_owned(),
            digest: [0; 32],
            issuer: Did::new(issuer).unwrap(),
            audience: String::new(),
            agreement: String::new(),
            purpose: String::new(),
            place: String::new(),
            assurance: Assurance::Declared,
            issued: at(issued),
            expires: at(expires),
        }
    }

    #[test]
    fn an_assertion_is_taken_once_and_in_its_time() {
        let used = Used::since(at(0));
        let check = |jti: &str, issued, expires, now, expect: Result<(), &str>| {
            let one = assertion("did:web:a.example", jti, issued, expires);
            assert_eq!(used.take(&one, at(now)), expect, "{jti}");
        };
        check("1", 0, 120, 0, Ok(()));
        check("1", 0, 120, 1, Err("was used before"));
        check("2", -1, 119, 0, Err("is from before this node started"));
        check("3", 0, 120, 120, Err("has run out, or is good for too long"));
        check("4", 0, 600, 0, Ok(()));
        check("5", 0, 601, 0, Err("has run out, or is good for too long"));
        let other = assertion("did:web:b.example", "1", 0, 120);
        assert_eq!(used.take(&other, at(0)), Ok(()), "each issuer has its own");
    }

    #[test]
    fn one_partner_cannot_take_the_places_of_another() {
        let used = Used::since(at(0));
        for n in 0..MAX_REMEMBERED {
            let one = assertion("did:web:a.example", &n.to_string(), 0, 120);
            assert_eq!(used.take(&one, at(0)), Ok(()));
        }
        let more =
            |issuer: &str, now| used.take(&assertion(issuer, "more", now, now + 120), at(now));
        assert_eq!(more("did:web:a.example", 0), Err("is one too many at once"));
        assert_eq!(more("did:web:b.example", 0), Ok(()));
        assert_eq!(more("did:web:a.example", 120), Ok(()), "the others have run out");
    }
}
