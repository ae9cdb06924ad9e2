//! That an organisation's own program has learned something: so that a file of it which is
//! somebody else's, or was changed, is noticed by whoever goes on from it.

use crate::digest::Digest;
use crate::documents::payload;
use crate::dsse::Envelope;
use crate::fields::{Malformed, Members, hex_json};
use crate::json::Json;
use crate::keys::SecretKey;

/// The payload type.
pub const LEARNED_TYPE: &str = "application/vnd.twinpact.learned+json";

/// What was learned, by its digest, and by which rule under which agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// Whose it is; for nobody else.
    pub issuer: String,
    /// The agreement whose stream it was learned from.
    pub agreement: Digest,
    /// The digest of the rule.
    pub rule: Digest,
    /// The digest of what was learned.
    pub state: Digest,
    /// When, by the wall clock, in microseconds since 1970.
    pub at: i64,
}

const MEMBERS: [&str; 7] = ["agreement", "at", "audience", "issuer", "rule", "state", "type"];

impl Learned {
    /// It as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::object([
            ("agreement", hex_json(&self.agreement)),
            ("at", Json::Int(self.at)),
            ("audience", Json::text(&self.issuer)),
            ("issuer", Json::text(&self.issuer)),
            ("rule", hex_json(&self.rule)),
            ("state", hex_json(&self.state)),
            ("type", Json::text("twinpact-learned/1")),
        ])
    }

    /// That of this JSON.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_json(json: &Json) -> Result<Learned, Malformed> {
        let members = Members::of("what was learned", json, &MEMBERS)?;
        members.constant("type", "twinpact-learned/1")?;
        let issuer = members.did("issuer")?;
        if members.did("audience")? != issuer {
            return Err(members.wrong("audience", "the issuer itself"));
        }
        Ok(Learned {
            issuer,
            agreement: members.hex("agreement")?,
            rule: members.hex("rule")?,
            state: members.hex("state")?,
            at: members.time("at")?,
        })
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        Envelope::sign(LEARNED_TYPE, &self.to_json(), key)
    }

    /// That in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<Learned, Malformed> {
        Learned::from_json(&*payload(envelope, LEARNED_TYPE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Learned;
    use crate::json::Json;
    use crate::keys::SecretKey;

    #[test]
    fn it_is_read_as_it_was_written_and_in_no_other_form() {
        let learned = Learned {
            issuer: "did:web:maker.example".to_owned(),
            agreement: [1; 32],
            rule: [2; 32],
            state: [3; 32],
            at: 4,
        };
        let envelope = learned.sign(&SecretKey::new(&[7; 32]));
        assert_eq!(Learned::from_envelope(&envelope), Ok(learned.clone()));
        let check = |from: &str, to: &str| {
            let text = learned.to_json().canonical();
            assert!(text.contains(from), "{text}");
            let json = Json::parse(text.replacen(from, to, 1).as_bytes()).unwrap();
            assert!(Learned::from_json(&json).is_err(), "{to}");
        };
        check("learned/1", "learned/2");
        check("maker.example", "other.example");
        check("\"at\":4", "\"at\":\"4\"");
        check("\"rule\":\"02", "\"rule\":\"0");
        check("\"rule\"", "\"rules\"");
        let mut other = envelope;
        other.payload_type = "application/vnd.twinpact.receipt+json".to_owned();
        assert!(Learned::from_envelope(&other).is_err());
    }
}
