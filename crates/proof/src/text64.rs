//! Base64 (RFC 4648 §4, with padding) in its one canonical form: other spellings of the same bytes
//! are refused, so that no character of a signed text is without meaning.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The text of these bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of this text, if it is how [`encode`] writes them.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The same for exactly so many bytes.
#[must_use]
pub fn decode_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, decode_exact, encode};

    #[test]
    fn one_text_for_one_value() {
        assert_eq!(decode(&encode(b"ab")), Some(b"ab".to_vec()));
        for text in ["YWI", "YWJ=", "YWI=\n", " YWI=", "YW-_"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(decode_exact::<3>("YWI="), None);
    }
}
