//! DSSE envelopes (Dead Simple Signing Envelope 1.0) around canonical JSON.
//!
//! The exact bytes are signed, so a verifier needs no canonicaliser; ours still refuses payloads
//! that are not canonical, so that two documents never differ in spelling only. `keyid` is a hint
//! for looking a key up, never a reason to trust it.

use crate::digest::{Digest, sha256};
use crate::held;
use crate::json::Json;
use crate::keys::{PublicKey, SecretKey};
use crate::text64;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The most signatures of one envelope.
pub const MAX_SIGNATURES: usize = 16;

/// A signed document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The media type of the payload; part of what is signed.
    pub payload_type: String,
    /// The canonical JSON that is signed.
    pub payload: Payload,
    /// Who signed.
    pub signatures: Vec<Signature>,
}

/// The bytes that are signed. Clones share them; and what they say, when it is known, as of an
/// envelope that is looked at from many sides.
#[derive(Clone)]
pub struct Payload {
    bytes: Arc<Vec<u8>>,
    says: Option<Arc<Json>>,
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Payload { bytes: Arc::new(bytes), says: None }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.bytes), f)
    }
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// [`PublicKey::id`] of the signer's key.
    pub key_id: String,
    /// Over the pre-authentication encoding.
    pub bytes: [u8; 64],
}

impl Envelope {
    /// Signs the document.
    #[must_use]
    pub fn sign(payload_type: &str, payload: &Json, key: &SecretKey) -> Envelope {
        let mut envelope = Envelope {
            payload_type: payload_type.to_owned(),
            payload: payload.canonical().into_bytes().into(),
            signatures: Vec::new(),
        };
        envelope.add_signature(key);
        envelope
    }

    /// Adds one more signature over the same bytes: a countersignature.
    pub fn add_signature(&mut self, key: &SecretKey) {
        let head = self.head();
        let bytes = key.sign(&[&head, &*self.payload].concat());
        // One that was just made holds: it is not computed again to find that out.
        held::add(held::name(key.public().bytes(), [&head, &self.payload], &bytes));
        self.signatures.push(Signature { key_id: key.public().id(), bytes });
    }

    /// Whether this key signed it.
    #[must_use]
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        let head = self.head();
        self.signatures.iter().any(|s| self.holds(&head, s, key))
    }

    /// Whether every signature is by one of these keys and holds; with at least one signature.
    #[must_use]
    pub fn signed_only_by(&self, keys: &[PublicKey]) -> bool {
        self.signers(keys).is_some()
    }

    /// The keys that signed, each of which is one of these; `None` when there is no signature, or
    /// one that is by none of these keys or does not hold.
    #[must_use]
    pub fn signers(&self, keys: &[PublicKey]) -> Option<Vec<PublicKey>> {
        let head = self.head();
        let signer = |s: &Signature| keys.iter().find(|key| self.holds(&head, s, key)).copied();
        let signers = self.signatures.iter().map(signer).collect::<Option<Vec<_>>>()?;
        (!signers.is_empty()).then_some(signers)
    }

    /// The payload as JSON.
    #[must_use]
    pub fn document(&self) -> Option<Arc<Json>> {
        let read = || Json::parse_canonical(&self.payload).ok().map(Arc::new);
        self.payload.says.clone().or_else(read)
    }

    /// SHA-256 of the payload: the fingerprint of the document, whoever signed it.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        sha256(&self.payload)
    }

    /// The envelope as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let signatures = self.signatures.iter().map(|s| {
            Json::object([
                ("keyid", Json::text(&s.key_id)),
                ("sig", Json::text(text64::encode(&s.bytes))),
            ])
        });
        Json::object([
            ("payload", Json::text(text64::encode(&self.payload))),
            ("payloadType", Json::text(&self.payload_type)),
            ("signatures", Json::Array(signatures.collect())),
        ])
    }

    /// The envelope of this JSON; `None` when it is not exactly of the form, or the payload is not
    /// canonical JSON.
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Envelope> {
        let envelope = Envelope::read(json)?;
        // What is kept for long keeps the bytes alone.
        Some(Envelope { payload: Payload { says: None, ..envelope.payload }, ..envelope })
    }

    /// The same for an envelope that is looked at now, or is one of few: what its payload says is
    /// read once, and kept with it.
    #[must_use]
    pub fn read(json: &Json) -> Option<Envelope> {
        let Json::Object(members) = json else { return None };
        let items = json.get("signatures")?.as_array()?;
        if members.len() != 3 || items.is_empty() || items.len() > MAX_SIGNATURES {
            return None;
        }
        let bytes = text64::decode(json.get("payload")?.as_text()?)?;
        let says = Some(Arc::new(Json::parse_canonical(&bytes).ok()?));
        Some(Envelope {
            payload_type: json.get("payloadType")?.as_text()?.to_owned(),
            payload: Payload { bytes: Arc::new(bytes), says },
            signatures: items.iter().map(signature).collect::<Option<Vec<_>>>()?,
        })
    }

    fn holds(&self, head: &[u8], signature: &Signature, key: &PublicKey) -> bool {
        key.is_named(&signature.key_id)
            && key.verifies_both([head, &self.payload], &signature.bytes)
    }

    /// What comes before the payload in the pre-authentication encoding: type and payload with
    /// their lengths.
    fn head(&self) -> Vec<u8> {
        let (kind, length) = (&self.payload_type, self.payload.len());
        format!("DSSEv1 {} {kind} {length} ", kind.len()).into_bytes()
    }
}

fn signature(json: &Json) -> Option<Signature> {
    let Json::Object(members) = json else { return None };
    let key_id = json.get("keyid")?.as_text()?.to_owned();
    let bytes = text64::decode_exact(json.get("sig")?.as_text()?)?;
    (members.len() == 2).then_some(Signature { key_id, bytes })
}

#[cfg(test)]
mod tests {
    use super::Envelope;
    use crate::json::Json;
    use crate::keys::SecretKey;

    #[test]
    fn envelopes_read_as_written_and_count_their_signers() {
        let (ours, theirs) = (SecretKey::new(&[1; 32]), SecretKey::new(&[2; 32]));
        let mut envelope = Envelope::sign("application/x", &Json::texts(["a"]), &ours);
        envelope.add_signature(&theirs);
        let read = Envelope::from_json(&envelope.to_json()).unwrap();
        assert_eq!(read, envelope);
        let kept = Envelope::read(&envelope.to_json()).unwrap();
        assert_eq!((&kept, kept.document()), (&read, read.document()));
        // What it says goes with its bytes and not with the envelope.
        let other = Envelope { payload: b"1".to_vec().into(), ..kept };
        assert_eq!(other.document().as_deref(), Some(&Json::Int(1)));
        assert!(read.signed_by(&ours.public()) && read.signed_by(&theirs.public()));
        assert!(!read.signed_only_by(&[ours.public()]));
        assert!(read.signed_only_by(&[ours.public(), theirs.public()]));
    }

    #[test]
    fn the_type_is_part_of_what_is_signed() {
        let key = SecretKey::new(&[1; 32]);
        let mut envelope = Envelope::sign("application/x", &Json::Null, &key);
        envelope.payload_type = "application/y".into();
        assert!(!envelope.signed_by(&key.public()));
    }

    #[test]
    fn other_forms_are_refused() {
        let key = SecretKey::new(&[1; 32]);
        let good = Envelope::sign("application/x", &Json::Null, &key).to_json().canonical();
        let check = |from: &str, to: &str| {
            let json = Json::parse(good.replacen(from, to, 1).as_bytes()).unwrap();
            assert_eq!(Envelope::from_json(&json), None, "{from} → {to}");
        };
        check("\"payload\":", "\"extra\":1,\"payload\":");
        check("\"keyid\":", "\"extra\":1,\"keyid\":");
        check("bnVsbA==", "IG51bGw=");
        check("[{", "[],\"x\":[{");
    }
}
