//! HMAC-SHA-256 (RFC 2104) under a key that is made ready once.
//!
//! Half of the work for a short message is the key's own two blocks, so their state is kept.

use crate::digest::{Digest, State};
use std::fmt;

/// A key of 32 bytes, ready for many messages. It cannot be printed.
#[derive(Clone)]
pub struct MacKey {
    inner: State,
    outer: State,
}

impl MacKey {
    /// Makes the key ready.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> MacKey {
        let padded = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(key).for_each(|(slot, byte)| *slot ^= byte);
            block
        };
        MacKey { inner: State::after(padded(0x36)), outer: State::after(padded(0x5c)) }
    }

    /// The authentication code of a message.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> Digest {
        self.outer.ended(64, &[&self.inner.ended(64, &[message])])
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

/// Two keys are one when they say the same of a message.
impl PartialEq for MacKey {
    fn eq(&self, other: &MacKey) -> bool {
        self.mac(b"") == other.mac(b"")
    }
}

impl Eq for MacKey {}

#[cfg(test)]
mod tests {
    use super::MacKey;
    use crate::digest::to_hex;

    #[test]
    fn codes_are_those_of_rfc_4231() {
        // Test case 2 has a short key; padded with zeros it is the same key.
        let mut key = [0u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let key = MacKey::new(&key);
        assert_eq!(
            to_hex(&key.mac(b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = key.mac(&[b'x'; 200]);
        assert_eq!(
            to_hex(&long),
            "0d92e5bf056d70ae8d2062c69d16e7ece0f1c551fb73a00282c04466cfb61640"
        );
        assert_eq!((key == key.clone(), key == MacKey::new(&[1; 32])), (true, false));
        assert_eq!(format!("{key:?}"), "MacKey");
    }
}
