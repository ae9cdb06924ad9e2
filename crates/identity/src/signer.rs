//! The organisation's document key: Ed25519 (RFC 8032), for records, decisions, receipts and
//! checkpoints. It is never used in TLS, and the keys of certificates never sign documents.

use aws_lc_rs::signature::Ed25519KeyPair;
use twinpact_proof::keys::Signs;
use twinpact_proof::{PublicKey, SecretKey};

/// The key in the library under TLS, which signs in half the time that `proof` takes.
struct Fast(Ed25519KeyPair);

impl Signs for Fast {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.iter_mut().zip(self.0.sign(message).as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }
}

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
        let key = match Ed25519KeyPair::from_seed_and_public_key(seed, key.public().bytes()) {
            Ok(fast) => SecretKey::held(key.public(), Box::new(Fast(fast))),
            // It is the same key: what it signs is the same as well.
            Err(_) => key,
        };
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
    use twinpact_proof::SecretKey;

    #[test]
    fn it_signs_as_the_verifier_would() {
        for seed in [[0; 32], [7; 32], [255; 32]] {
            let (signer, own) = (Signer::new(&seed), SecretKey::new(&seed));
            assert_eq!(signer.public(), own.public());
            for length in [0, 1, 63, 64, 111, 112, 128, 4_000] {
                let message = vec![length as u8; length];
                assert_eq!(signer.sign(&message), own.sign(&message), "{length}");
            }
        }
    }

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
