//! Sealing of payloads: AES-256-GCM-SIV (RFC 8452) under a key derived from a subject key and a
//! bucket key, so that erasing a person and expiring a day are both the destruction of one key.
//!
//! The nonce is the front of the payload commitment, which is over the plaintext under a random
//! seed: the same (key, nonce) seals the same plaintext or, but for a broken SHA-256, nothing else.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use std::collections::HashMap;
use twinpact_proof::cbor::Writer;
use twinpact_proof::digest::Digest;

/// The bytes of a key.
pub type KeyBytes = [u8; 32];

/// How many derived keys are remembered.
const MAX_CACHED: usize = 8192;

/// Derives data keys and remembers them.
#[derive(Default)]
pub struct Sealer {
    derived: HashMap<(u64, u32), LessSafeKey>,
}

/// The two keys of a payload, with what the bucket key stands for.
#[derive(Clone, Copy)]
pub struct KeyPair<'a> {
    /// The number and bytes of the subject key.
    pub subject: (u64, &'a KeyBytes),
    /// The number and bytes of the bucket key.
    pub bucket: (u32, &'a KeyBytes),
    /// The bucket's retention class.
    pub class: &'a str,
    /// The bucket's epoch.
    pub epoch: u64,
}

impl Sealer {
    /// Seals a payload under its commitment; `None` only when the library fails.
    #[must_use]
    pub fn seal(&mut self, keys: KeyPair<'_>, pc: &Digest, plain: Vec<u8>) -> Option<Vec<u8>> {
        let key = self.data_key(keys)?;
        let mut bytes = plain;
        key.seal_in_place_append_tag(nonce(pc)?, Aad::from(pc), &mut bytes).ok()?;
        Some(bytes)
    }

    /// Opens a payload; `None` when these keys did not seal it under this commitment.
    #[must_use]
    pub fn open(&mut self, keys: KeyPair<'_>, pc: &Digest, sealed: &[u8]) -> Option<Vec<u8>> {
        let key = self.data_key(keys)?;
        let mut bytes = sealed.to_vec();
        let length = key.open_in_place(nonce(pc)?, Aad::from(pc), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }

    /// Forgets every derived key: called when any key is destroyed.
    pub fn forget(&mut self) {
        self.derived.clear();
    }

    fn data_key(&mut self, keys: KeyPair<'_>) -> Option<&LessSafeKey> {
        let numbers = (keys.subject.0, keys.bucket.0);
        if !self.derived.contains_key(&numbers) {
            if self.derived.len() >= MAX_CACHED {
                self.derived.clear();
            }
            self.derived.insert(numbers, derive(keys)?);
        }
        self.derived.get(&numbers)
    }
}

fn derive(keys: KeyPair<'_>) -> Option<LessSafeKey> {
    let mut material = [0u8; 64];
    let both = keys.subject.1.iter().chain(keys.bucket.1);
    material.iter_mut().zip(both).for_each(|(slot, byte)| *slot = *byte);
    let info = Writer::array(3).text("twinpact-dek/1").text(keys.class).uint(keys.epoch).done();
    let info = [info.as_slice()];
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(&material);
    let output = extracted.expand(&info, DataKeyLength).ok()?;
    let mut bytes = [0u8; 32];
    output.fill(&mut bytes).ok()?;
    UnboundKey::new(&AES_256_GCM_SIV, &bytes).ok().map(LessSafeKey::new)
}

struct DataKeyLength;

impl KeyType for DataKeyLength {
    fn len(&self) -> usize {
        32
    }
}

fn nonce(pc: &Digest) -> Option<Nonce> {
    pc.first_chunk::<12>().map(|bytes| Nonce::assume_unique_for_key(*bytes))
}

/// Fills the bytes with randomness of the operating system; `false` when it has none to give.
#[must_use]
pub fn random(bytes: &mut [u8]) -> bool {
    aws_lc_rs::rand::fill(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{KeyPair, Sealer};
    use twinpact_proof::to_hex;

    fn keys<'a>(subject: &'a [u8; 32], bucket: &'a [u8; 32], numbers: (u64, u32)) -> KeyPair<'a> {
        KeyPair {
            subject: (numbers.0, subject),
            bucket: (numbers.1, bucket),
            class: "operational",
            epoch: 0,
        }
    }

    #[test]
    fn either_key_gone_means_unreadable() {
        let mut sealer = Sealer::default();
        let sealed = sealer.seal(keys(&[1; 32], &[2; 32], (1, 2)), &[9; 32], b"x".to_vec());
        let sealed = sealed.unwrap();
        let open = |s: &mut Sealer, k, pc| s.open(k, pc, &sealed);
        assert_eq!(
            open(&mut sealer, keys(&[1; 32], &[2; 32], (1, 2)), &[9; 32]).as_deref(),
            Some(&b"x"[..])
        );
        assert_eq!(open(&mut sealer, keys(&[3; 32], &[2; 32], (3, 2)), &[9; 32]), None);
        assert_eq!(open(&mut sealer, keys(&[1; 32], &[4; 32], (1, 4)), &[9; 32]), None);
        assert_eq!(open(&mut sealer, keys(&[1; 32], &[2; 32], (1, 2)), &[8; 32]), None);
    }

    #[test]
    fn the_vector_of_the_format() {
        let mut sealer = Sealer::default();
        let sealed = sealer.seal(keys(&[1; 32], &[2; 32], (1, 2)), &[9; 32], b"twin".to_vec());
        assert_eq!(to_hex(&sealed.unwrap()), VECTOR);
    }

    /// Made by this code once and frozen: a change here makes every directory unreadable.
    const VECTOR: &str = "79ac2a47b6856aefacc8cd9693acb53f4108b972";
}
