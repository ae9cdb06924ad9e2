//! Ed25519 (RFC 8032) keys: the one signature for documents and checkpoints.
//!
//! Verification is strict: small-order keys and second forms of a signature are refused, so that a
//! signature has one form and proves one key.

use crate::digest::{from_hex, sha256, to_hex};
use crate::held;
use ed25519_dalek::{Signature, Signer, SigningKey};
use std::fmt;

/// What the name of a key begins with.
const ALGORITHM: &str = "ed25519:";

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        PublicKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `ed25519:` and the first 8 bytes of its SHA-256 in hex: a name for people and look-ups,
    /// never a reason to trust.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{ALGORITHM}{}", to_hex(&self.short()))
    }

    /// Whether that is its [`id`](Self::id).
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        id.strip_prefix(ALGORITHM).and_then(from_hex) == Some(self.short())
    }

    fn short(&self) -> [u8; 8] {
        sha256(&self.0).first_chunk().copied().unwrap_or_default()
    }

    /// Whether the signature over the message is this key's. One that was found to hold a while
    /// ago is not computed again.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.verifies_both([message, b""], signature)
    }

    /// The same for a message that is these two parts, one after the other.
    pub(crate) fn verifies_both(&self, message: [&[u8]; 2], signature: &[u8; 64]) -> bool {
        let name = held::name(&self.0, message, signature);
        if held::is(&name) {
            return true;
        }
        let (whole, signature) = (message.concat(), Signature::from_bytes(signature));
        let key = held::key(&self.0);
        let key = key.filter(|key| key.verify_strict(&whole, &signature).is_ok());
        if let Some(key) = key {
            held::keep(key);
            held::add(name);
        }
        key.is_some()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// Whoever has a secret key and signs with it (RFC 8032 §5.1.6): this crate, a faster library, or a
/// device that never gives the key away.
pub trait Signs: Send + Sync {
    /// The signature of the message; the same message always has the same one.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

impl Signs for SigningKey {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        Signer::sign(self, message).to_bytes()
    }
}

/// A signing key. It cannot be printed.
pub struct SecretKey {
    public: PublicKey,
    signs: Box<dyn Signs>,
}

impl SecretKey {
    /// The key of 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(bytes);
        SecretKey { public: PublicKey(key.verifying_key().to_bytes()), signs: Box::new(key) }
    }

    /// The key with that public half, which somebody else has and signs with.
    #[must_use]
    pub fn held(public: PublicKey, signs: Box<dyn Signs>) -> Self {
        SecretKey { public, signs }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs; the same message always gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signs.sign(message)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public().id())
    }
}

#[cfg(test)]
mod tests {
    use super::{PublicKey, SecretKey};

    #[test]
    fn signatures_hold_for_their_message_only() {
        let key = SecretKey::new(&[1; 32]);
        let signature = key.sign(b"message");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        assert!(!SecretKey::new(&[2; 32]).public().verifies(b"message", &signature));
        assert!(!PublicKey::new([0; 32]).verifies(b"message", &[0; 64]));
        assert!(!format!("{key:?}").contains("01, 01"));
        let (key, other) = (key.public(), SecretKey::new(&[2; 32]).public());
        assert!(key.is_named(&key.id()) && !key.is_named(&other.id()));
        assert!(!key.is_named(&key.id().to_uppercase()) && !key.is_named("ed25519:"));
    }
}
