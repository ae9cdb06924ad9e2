//! Access tokens: opaque, 256 bits, kept as their SHA-256 only.
//!
//! It says nothing by itself: what it is good for stands in the log with its digest, and is decided
//! by `policy`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use twinpact_model::{Problem, codes};
use twinpact_proof::{Digest, sha256};

/// The longest life of a token, in seconds: ten minutes.
pub const MAX_TOKEN_SECONDS: i64 = 600;
/// The length of a token's text, in bytes: 256 bits in base64url without padding.
pub const TOKEN_BYTES: usize = 43;

/// A token as its holder has it. It cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// The token of 32 random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        AccessToken(URL_SAFE_NO_PAD.encode(random))
    }

    /// Its text (RFC 4648 §5, no padding): the secret itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(sha256(self.0.as_bytes()))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("access token")
    }
}

/// What is stored of a token: SHA-256 of its text. A look-up by it is safe; nothing about the token
/// can be learnt from how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub Digest);

impl TokenDigest {
    /// The digest of a text that a caller presents.
    ///
    /// # Errors
    /// `token.invalid` when it is not a text of [`TOKEN_BYTES`] in base64url.
    pub fn of(presented: &str) -> Result<Self, Problem> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if presented.len() == TOKEN_BYTES && presented.bytes().all(letter) {
            Ok(TokenDigest(sha256(presented.as_bytes())))
        } else {
            Err(invalid("this is not an access token"))
        }
    }
}

fn invalid(why: &str) -> Problem {
    Problem::new(codes::TOKEN_INVALID, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{AccessToken, TokenDigest};
    use proptest::prelude::*;

    #[test]
    fn a_token_has_one_length_and_is_not_printed() {
        let token = AccessToken::new(&[1; 32]);
        for text in ["", &"a".repeat(42), &"a".repeat(44), &"=".repeat(43), &"é".repeat(21)] {
            assert!(TokenDigest::of(text).is_err(), "{text}");
        }
        assert!(!format!("{token:?}").contains(token.secret()));
    }

    proptest! {
        #[test]
        fn tokens_match_themselves_only(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
            let (one, two) = (AccessToken::new(&a), AccessToken::new(&b));
            prop_assert_eq!(TokenDigest::of(one.secret()).unwrap(), one.digest());
            prop_assert_eq!(one.digest() == two.digest(), a == b);
        }
    }
}
