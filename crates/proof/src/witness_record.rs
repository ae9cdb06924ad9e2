//! The signed statement of an organisation that it is a witness under that name with that key, so
//! that a verifier who has pinned the organisation can pin the witness too, and knows whose it is.
//!
//! The key is another one than the organisation's document keys: what it signs is never a document
//! or a checkpoint of its own, and it ends with the log in which it remembers what it has cosigned.

use crate::cbor::Writer;
use crate::digest::Digest;
use crate::documents::payload;
use crate::dsse::Envelope;
use crate::fields::{MAX_TEXT_BYTES, Malformed, Members};
use crate::json::Json;
use crate::keys::{PublicKey, SecretKey};
use crate::mac::MacKey;
use crate::note::is_key_name;
use crate::successor::LogId;
use crate::text64;

/// The payload type.
pub const WITNESS_TYPE: &str = "application/vnd.twinpact.witness+json";

/// The seed of a witness key, made from the key that a node keeps for its anchor and the id of its
/// log. A successor log has another: the log before it may have cosigned what is forgotten now.
#[must_use]
pub fn witness_seed(node_key: &[u8; 32], log: &LogId) -> Digest {
    MacKey::new(node_key).mac(&Writer::array(2).text("twinpact-w/1").bytes(log).done())
}

/// That an organisation is a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRecord {
    /// The organisation.
    pub did: String,
    /// The name of the key: `<host>/witness/<log id>`.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// When it was said, in microseconds since 1970.
    pub issued: i64,
}

impl WitnessRecord {
    /// Signs it with a document key of the organisation.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> Envelope {
        let json = Json::object([
            ("did", Json::text(&self.did)),
            ("issued", Json::Int(self.issued)),
            ("key", Json::text(text64::encode(self.key.bytes()))),
            ("name", Json::text(&self.name)),
            ("type", Json::text("twinpact-witness/1")),
        ]);
        Envelope::sign(WITNESS_TYPE, &json, key)
    }

    /// The statement in this envelope, whoever signed it.
    ///
    /// # Errors
    /// When it is not exactly of the form.
    pub fn from_envelope(envelope: &Envelope) -> Result<WitnessRecord, Malformed> {
        let what = "the statement of a witness";
        let json = payload(envelope, WITNESS_TYPE)?;
        let members = Members::of(what, &json, &["did", "issued", "key", "name", "type"])?;
        members.constant("type", "twinpact-witness/1")?;
        let key = text64::decode_exact(members.text("key", MAX_TEXT_BYTES)?);
        let name = members.text("name", MAX_TEXT_BYTES)?;
        if !is_key_name(name) {
            return Err(members.wrong("name", "the name of a key"));
        }
        Ok(WitnessRecord {
            did: members.did("did")?,
            name: name.to_owned(),
            key: PublicKey::new(key.ok_or_else(|| members.wrong("key", "base64 of a key"))?),
            issued: members.time("issued")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{WITNESS_TYPE, WitnessRecord, witness_seed};
    use crate::dsse::Envelope;
    use crate::json::Json;
    use crate::keys::SecretKey;
    use crate::successor::anchor_key;

    #[test]
    fn each_log_of_a_node_has_its_own_witness_key() {
        let of = |log: u8| witness_seed(&[5; 32], &[log; 8]);
        assert!(of(1) != of(2) && of(1) != anchor_key(&[5; 32], &[1; 8]));
    }

    #[test]
    fn a_statement_is_read_as_it_was_signed_and_no_other() {
        let (key, own) = (SecretKey::new(&[1; 32]), SecretKey::new(&[2; 32]));
        let record = WitnessRecord {
            did: "did:web:maker.example".into(),
            name: "maker.example/witness/0011223344556677".into(),
            key: own.public(),
            issued: 7,
        };
        let good = record.sign(&key);
        assert_eq!(WitnessRecord::from_envelope(&good), Ok(record));
        let text = good.document().unwrap().canonical();
        for (from, to) in [
            ("witness/1", "witness/2"),
            ("did:web", "web"),
            ("maker.example/w", "maker example/w"),
            ("\"issued\":7", "\"issued\":null"),
            ("\"key\":\"", "\"key\":\"A"),
            ("\"did\"", "\"a\":1,\"did\""),
        ] {
            let json = Json::parse(text.replacen(from, to, 1).as_bytes()).unwrap();
            let other = Envelope::sign(WITNESS_TYPE, &json, &key);
            assert!(WitnessRecord::from_envelope(&other).is_err(), "{from} {to}");
        }
        let other = Envelope::sign("application/json", &good.document().unwrap(), &key);
        assert!(WitnessRecord::from_envelope(&other).is_err());
    }
}
