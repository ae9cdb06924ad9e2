//! Signatures that were found to hold, remembered for a while by a digest.
//!
//! One exchange shows the same signatures again and again: of records, of a checkpoint that many
//! deliveries share, of documents that come back with one signature more. Whether a signature holds
//! depends on key, message and signature alone, and the name here is a digest of all three, so that
//! to remember it changes no answer. Only those that hold are kept: nobody can push out what others
//! need by sending what does not hold.

use crate::digest::{Digest, sha256_parts};
use ed25519_dalek::VerifyingKey;
use std::collections::{HashSet, VecDeque};
use std::sync::{LazyLock, Mutex, PoisonError};

/// How many are kept at least; at most it is twice as many, of 32 bytes each.
const KEPT: usize = 4_096;

/// Two generations: what is looked up moves to the newer one, and the older one is forgotten when
/// the newer is full.
#[derive(Default)]
struct Held {
    newer: HashSet<Digest>,
    older: HashSet<Digest>,
}

impl Held {
    fn is(&mut self, name: &Digest) -> bool {
        if self.newer.contains(name) {
            return true;
        }
        let found = self.older.remove(name);
        if found {
            self.add(*name);
        }
        found
    }

    fn add(&mut self, name: Digest) {
        if self.newer.len() >= KEPT {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(name);
    }
}

static HELD: LazyLock<Mutex<Held>> = LazyLock::new(Mutex::default);

/// The name of a signature: key and signature have fixed lengths, the message comes last, in two
/// parts that are one text.
pub(crate) fn name(key: &[u8; 32], message: [&[u8]; 2], signature: &[u8; 64]) -> Digest {
    let [head, body] = message;
    sha256_parts(&[key, signature, head, body])
}

/// Whether that signature was found to hold.
pub(crate) fn is(name: &Digest) -> bool {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).is(name)
}

/// Remembers one that holds.
pub(crate) fn add(name: Digest) {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).add(name);
}

/// How many keys are kept unpacked. A node has one partner or a few at a time.
const KEPT_KEYS: usize = 16;

/// Keys by which a signature has held, the newest last.
static KEYS: Mutex<VecDeque<VerifyingKey>> = Mutex::new(VecDeque::new());

/// The key of these bytes, ready for use: to unpack it takes a tenth of what it takes to verify.
/// `None` when they are no point of the curve (RFC 8032 §5.1.3).
pub(crate) fn key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    let keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = keys.iter().find(|known| known.as_bytes() == bytes).copied();
    drop(keys);
    known.or_else(|| VerifyingKey::from_bytes(bytes).ok())
}

/// Keeps a key by which a signature holds.
pub(crate) fn keep(key: VerifyingKey) {
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.contains(&key) {
        return;
    }
    if keys.len() >= KEPT_KEYS {
        keys.pop_front();
    }
    keys.push_back(key);
}

#[cfg(test)]
mod tests {
    use super::{Held, KEPT, KEPT_KEYS, KEYS, keep, key, name};
    use crate::keys::SecretKey;

    #[test]
    fn what_is_used_is_kept_and_the_rest_is_bounded() {
        let of = |n: usize| name(&[0; 32], [&n.to_be_bytes(), b""], &[0; 64]);
        let mut held = Held::default();
        for n in 0..10 * KEPT {
            held.add(of(n));
            assert!(held.is(&of(n)) && held.is(&of(0)));
            assert!(held.newer.len() + held.older.len() <= 2 * KEPT);
        }
        assert!(!held.is(&of(1)));
    }

    #[test]
    fn one_that_holds_makes_no_other_hold() {
        let (key, other) = (SecretKey::new(&[1; 32]), SecretKey::new(&[2; 32]));
        let signature = key.sign(b"message");
        for _ in 0..2 {
            assert!(key.public().verifies(b"message", &signature));
        }
        assert!(!key.public().verifies(b"messagf", &signature));
        assert!(!other.public().verifies(b"message", &signature));
        for at in 0..64 {
            let mut changed = signature;
            changed[at] ^= 1;
            assert!(!key.public().verifies(b"message", &changed), "byte {at}");
        }
    }

    #[test]
    fn a_key_that_is_kept_is_the_one_of_its_bytes_and_few_are_kept() {
        for round in 0..2 {
            for seed in 0..3 * KEPT_KEYS {
                let secret = SecretKey::new(&[seed as u8 + 1; 32]);
                let found = key(secret.public().bytes()).unwrap();
                assert_eq!(found.as_bytes(), secret.public().bytes(), "{round}");
                keep(found);
            }
            assert!(KEYS.lock().unwrap().len() <= KEPT_KEYS);
        }
        // No point of the curve has these coordinates.
        assert!(key(&[2; 32]).is_none());
    }
}
