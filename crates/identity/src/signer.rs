//! The organisation's document key: Ed25519 (RFC 8032), for records, decisions, receipts and
//! checkpoints. It is never used in TLS, and the keys of certificates never sign documents.

use twinpact_proof::{PublicKey, SecretKey};

/// Signs documents for the organisation. It cannot be printed, and [`Debug`] shows the key id only.
#[derive(Debug)]
pub struct Signer {
    key: SecretKey,
    key_id: String,
}

impl Signer {
    /// The signer of 32 random bytes.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        let key = SecretKey::new(seed);
        let key_id = key.public().id();
        Signer { key, key_id }
    }

    /// [`PublicKey::id`] of its key: a hint for looking it up.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// Signs; the same bytes always give the same signature.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes)
    }

    /// The key itself, for envelopes and checkpoints of `proof`.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;

    #[test]
    fn a_signature_names_its_key_and_no_secret_is_printed() {
        let signer = Signer::new(&[7; 32]);
        let signature = signer.sign(b"document");
        assert!(signer.public().verifies(b"document", &signature));
        assert!(!Signer::new(&[8; 32]).public().verifies(b"document", &signature));
        assert_eq!(signer.key_id(), signer.public().id());
        let printed = format!("{signer:?}");
        assert!(printed.contains(signer.key_id()) && !printed.contains("7, 7"), "{printed}");
    }
}
