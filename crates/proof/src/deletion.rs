//! The end of a copy: the duty to erase a twin, which its owner sends to every holder of copies,
//! and the deletion receipt, in which a holder signs that copies are gone. Each is canonical JSON
//! in DSSE, is signed by its issuer alone, and is read strictly.
//!
//! A duty does not name the twin: it has a digest of its IRI under a salt of its own, which only
//! those can tell who have rows of that twin.

use crate::digest::{Digest, sha256_parts};
use crate::documents::{Clock, payload};
use crate::dsse::Envelope;
use crate::fields::{Malformed, Members, hex_json};
use crate::json::Json;
use crate::keys::SecretKey;

/// The payload type of a deletion receipt.
pub const DELETION_TYPE: &str = "application/vnd.twinpact.deletion+json";
/// The payload type of a duty to erase.
pub const ERASURE_TYPE: &str = "application/vnd.twinpact.erasure+json";
/// The most deliveries that one deletion receipt or one duty is about.
pub const MAX_DELETED: usize = 1_000;

/// Why copies were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Their time had come.
    Retention,
    /// The duty with this fingerprint asked for it.
    Duty(Digest),
}

/// That copies are gone: their keys, and what was sealed under them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Who had the copies.
    pub issuer: String,
    /// Who had delivered them.
    pub audience: String,
    /// The agreement that they were delivered under.
    pub agreement: Digest,
    /// The leaves of the deliveries, in order: the names of their receipts. Of a duty, only the
    /// rows of its twin are gone from them.
    pub receipts: Vec<Digest>,
    /// When they were deleted, by the issuer's policy clock, in microseconds since 1970.
    pub deleted: i64,
    /// Which policy clock that was.
    pub clock: Clock,
    /// Why.
    pub reason: Reason,
}

const DELETION_MEMBERS: [&str; 9] =
    ["agreement", "audience", "clock", "deleted", "duty", "how", "issuer", "receipts", "type"];

/// What was done, the only thing that counts.
const HOW: &str = "keys and bytes destroyed";

impl Deletion {
    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let duty = match &self.reason {
            Reason::Retention => Json::Null,
            Reason::Duty(fingerprint) => hex_json(fingerprint),
        };
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("audience", Json::text(&self.audience)),
            ("clock", Json::text(self.clock.name())),
            ("deleted", Json::Int(self.deleted)),
            ("duty", duty),
            ("how", Json::text(HOW)),
            ("issuer", Json::text(&self.issuer)),
            ("receipts", hex_array(&self.receipts)),
            ("type", Json::text("twinpact-deletion/1")),
        ])
    }

    /// That of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form. Only the answer to a duty may be about no delivery.
    pub fn from_json(json: &Json) -> Result<Deletion, Malformed> {
        let members = Members::of("the deletion receipt", json, &DELETION_MEMBERS)?;
        members.constant("type", "twinpact-deletion/1")?;
        members.constant("how", HOW)?;
        let reason = match members.json("duty")? {
            Json::Null => Reason::Retention,
            _ => Reason::Duty(members.hex("duty")?),
        };
        let receipts = leaves(&members, reason == Reason::Retention)?;
        Ok(Deletion {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            agreement: members.hex("agreement")?,
            receipts,
            deleted: members.time("deleted")?,
            clock: members.clock("clock")?,
            reason,
        })
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(DELETION_TYPE, &self.to_json(), key)
    }

    /// That in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Deletion, Malformed> {
        Deletion::from_json(&*payload(envelope, DELETION_TYPE)?)
    }
}

/// What a holder of copies has to do because the owner has erased a twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Who has erased the twin, and had delivered rows of it.
    pub issuer: String,
    /// Who has copies.
    pub audience: String,
    /// The agreement that they were delivered under.
    pub agreement: Digest,
    /// The leaves of the deliveries that had rows of it, in order.
    pub receipts: Vec<Digest>,
    /// 32 random bytes.
    pub salt: Digest,
    /// [`Erasure::digest_of`] the twin.
    pub twin: Digest,
    /// When it was erased, by the issuer's policy clock, in microseconds since 1970.
    pub erased: i64,
    /// Which policy clock that was.
    pub clock: Clock,
}

const ERASURE_MEMBERS: [&str; 9] =
    ["agreement", "audience", "clock", "erased", "issuer", "receipts", "salt", "twin", "type"];

impl Erasure {
    /// What stands for a twin under that salt.
    #[must_use]
    pub fn digest_of(salt: &Digest, twin: &str) -> Digest {
        sha256_parts(&[b"twinpact-erasure/1", salt, twin.as_bytes()])
    }

    /// Whether it is about this twin.
    #[must_use]
    pub fn names(&self, twin: &str) -> bool {
        Erasure::digest_of(&self.salt, twin) == self.twin
    }

    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("audience", Json::text(&self.audience)),
            ("clock", Json::text(self.clock.name())),
            ("erased", Json::Int(self.erased)),
            ("issuer", Json::text(&self.issuer)),
            ("receipts", hex_array(&self.receipts)),
            ("salt", hex_json(&self.salt)),
            ("twin", hex_json(&self.twin)),
            ("type", Json::text("twinpact-erasure/1")),
        ])
    }

    /// That of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_json(json: &Json) -> Result<Erasure, Malformed> {
        let members = Members::of("the duty to erase", json, &ERASURE_MEMBERS)?;
        members.constant("type", "twinpact-erasure/1")?;
        Ok(Erasure {
            issuer: members.did("issuer")?,
            audience: members.did("audience")?,
            agreement: members.hex("agreement")?,
            receipts: leaves(&members, true)?,
            salt: members.hex("salt")?,
            twin: members.hex("twin")?,
            erased: members.time("erased")?,
            clock: members.clock("clock")?,
        })
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(ERASURE_TYPE, &self.to_json(), key)
    }

    /// That in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Erasure, Malformed> {
        Erasure::from_json(&*payload(envelope, ERASURE_TYPE)?)
    }
}

fn hex_array(leaves: &[Digest]) -> Json {
    Json::Array(leaves.iter().map(|leaf| hex_json(leaf)).collect())
}

/// The leaves, in order and none twice; some, when there must be.
fn leaves(members: &Members<'_>, must: bool) -> Result<Vec<Digest>, Malformed> {
    let leaves = members.hex_list::<32>("receipts", MAX_DELETED)?;
    match leaves.is_sorted_by(|a, b| a < b) && !(must && leaves.is_empty()) {
        true => Ok(leaves),
        false => Err(members.wrong("receipts", "a list of leaves in order, none twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Deletion, Erasure, MAX_DELETED, Reason};
    use crate::documents::{Clock, check};
    use crate::keys::SecretKey;

    fn deletion(reason: Reason) -> Deletion {
        Deletion {
            issuer: "did:web:maker.example".into(),
            audience: "did:web:operator.example".into(),
            agreement: [1; 32],
            receipts: vec![[2; 32], [3; 32]],
            deleted: 7,
            clock: Clock::System,
            reason,
        }
    }

    fn duty() -> Erasure {
        Erasure {
            issuer: "did:web:operator.example".into(),
            audience: "did:web:maker.example".into(),
            agreement: [1; 32],
            receipts: vec![[2; 32]],
            salt: [8; 32],
            twin: Erasure::digest_of(&[8; 32], "urn:turbine:a"),
            erased: -7,
            clock: Clock::Driven,
        }
    }

    #[test]
    fn they_read_as_written_and_in_no_other_form() {
        let changes = [
            ("\"issuer\":\"did:web", "\"issuer\":\"web"),
            ("\"type\":", "\"typo\":"),
            ("destroyed", "hidden"),
            ("\"duty\":null", "\"duty\":\"\""),
            ("0202", "0404"),
            ("system", "lunar"),
        ];
        let one = deletion(Reason::Retention);
        check(&one, &one.to_json(), Deletion::from_json, &changes);
        let one = deletion(Reason::Duty([9; 32]));
        check(&one, &one.to_json(), Deletion::from_json, &[("0909", "09")]);
        let changes = [("driven", "lunar"), ("\"erased\":-7", "\"erased\":null"), ("0808", "08")];
        check(&duty(), &duty().to_json(), Erasure::from_json, &changes);
    }

    #[test]
    fn leaves_have_an_order_and_a_bound() {
        let reads = |receipts: Vec<[u8; 32]>, reason| {
            let one = Deletion { receipts, ..deletion(reason) };
            Deletion::from_json(&one.to_json()).is_ok()
        };
        let some = |n: usize| {
            (0..n)
                .map(|n| {
                    let mut leaf = [0; 32];
                    leaf[..8].copy_from_slice(&(n as u64).to_be_bytes());
                    leaf
                })
                .collect::<Vec<_>>()
        };
        assert!(reads(some(MAX_DELETED), Reason::Retention));
        assert!(!reads(some(MAX_DELETED + 1), Reason::Retention));
        assert!(!reads(some(0), Reason::Retention));
        assert!(reads(some(0), Reason::Duty([1; 32])));
        assert!(!reads(vec![[1; 32]; 2], Reason::Retention));
        assert!(!reads(vec![[2; 32], [1; 32]], Reason::Retention));
    }

    #[test]
    fn a_duty_is_told_by_who_knows_the_twin_alone() {
        assert!(duty().names("urn:turbine:a") && !duty().names("urn:turbine:b"));
        assert!(!duty().to_json().canonical().contains("urn:turbine"));
        let other = Erasure { salt: [7; 32], ..duty() };
        assert!(!other.names("urn:turbine:a"));
    }

    #[test]
    fn one_is_not_taken_for_the_other() {
        let key = SecretKey::new(&[1; 32]);
        let one = deletion(Reason::Retention);
        assert_eq!(Deletion::from_envelope(&one.sign(&key)), Ok(one.clone()));
        assert_eq!(Erasure::from_envelope(&duty().sign(&key)), Ok(duty()));
        assert!(Deletion::from_envelope(&duty().sign(&key)).is_err());
        assert!(Erasure::from_envelope(&one.sign(&key)).is_err());
    }
}
