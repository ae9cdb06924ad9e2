//! SHA-256 (FIPS 180-4), the one hash, and its lower-case hex form.

use sha2::Digest as _;
use sha2::digest::generic_array::GenericArray;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The state before the first block (FIPS 180-4 §5.3.3).
const FIRST: State = State([
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
]);

/// The most bytes that fit into two blocks with their padding.
const TWO_BLOCKS: usize = 2 * 64 - 9;

/// SHA-256 between two blocks.
#[derive(Clone, Copy)]
pub(crate) struct State([u32; 8]);

impl State {
    /// The state after one block that the message begins with.
    pub(crate) fn after(block: [u8; 64]) -> State {
        let mut state = FIRST;
        state.take(&[block]);
        state
    }

    /// The digest of a message that ends with these parts; `before` is how many bytes of it this
    /// state has taken already, whole blocks.
    ///
    /// Nearly all that is hashed here ends within two blocks, and what a hasher does around the
    /// blocks costs as much as they do.
    pub(crate) fn ended(mut self, before: usize, parts: &[&[u8]]) -> Digest {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > TWO_BLOCKS {
            let whole = parts.concat();
            let (blocks, rest) = whole.as_chunks::<64>();
            blocks.iter().for_each(|block| self.take(&[*block]));
            return self.ended(before + length - rest.len(), &[rest]);
        }
        let mut blocks = [[0u8; 64]; 2];
        let mut room = blocks.as_flattened_mut();
        for part in parts.iter().copied().chain([&[0x80][..]]) {
            // There is room for each, as they are no longer than that.
            let Some((to, left)) = room.split_at_mut_checked(part.len()) else { break };
            to.copy_from_slice(part);
            room = left;
        }
        let [mut first, mut second] = blocks;
        let bits = ((before + length) as u64 * 8).to_be_bytes();
        let end = if length <= TWO_BLOCKS - 64 { &mut first } else { &mut second };
        end.iter_mut().rev().zip(bits.iter().rev()).for_each(|(to, from)| *to = *from);
        match length <= TWO_BLOCKS - 64 {
            true => self.take(&[first]),
            false => self.take(&[first, second]),
        }
        let mut digest = [0; 32];
        let words = digest.as_chunks_mut::<4>().0.iter_mut().zip(self.0);
        words.for_each(|(to, word)| *to = word.to_be_bytes());
        digest
    }

    fn take<const N: usize>(&mut self, blocks: &[[u8; 64]; N]) {
        sha2::compress256(&mut self.0, &blocks.map(GenericArray::from));
    }
}

/// SHA-256 of the bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    sha256_parts(&[bytes])
}

/// SHA-256 of the parts, one after the other.
#[must_use]
pub fn sha256_parts(parts: &[&[u8]]) -> Digest {
    if parts.iter().map(|part| part.len()).sum::<usize>() <= TWO_BLOCKS {
        return FIRST.ended(0, parts);
    }
    let mut hasher = sha2::Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Lower-case hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(hex(bytes).map(char::from));
    text
}

/// The same, digit by digit, each an ASCII character.
pub(crate) fn hex(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    bytes.iter().flat_map(move |byte| [digit(byte >> 4), digit(byte & 15)])
}

/// The bytes of lower-case hex of exactly that many bytes; anything else is refused, so that one
/// value has one text.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    if bytes.len() != N * 2 {
        return None;
    }
    let mut out = [0u8; N];
    for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *slot = value(*high)? << 4 | value(*low)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{State, from_hex, sha256, sha256_parts, to_hex};
    use sha2::Digest as _;

    #[test]
    fn short_and_long_texts_have_the_digest_of_the_standard() {
        let text: Vec<u8> = (0..=255).collect();
        for length in 0..=text.len() {
            let (text, expect) = (&text[..length], sha2::Sha256::digest(&text[..length]));
            for parts in [&[text][..], &[&text[..length / 3], &[], &text[length / 3..]]] {
                assert_eq!(sha256_parts(parts)[..], expect[..], "{length} bytes");
            }
            if let Some((first, rest)) = text.split_first_chunk::<64>() {
                let ended = State::after(*first).ended(64, &[rest]);
                assert_eq!(ended[..], expect[..], "{length} bytes");
            }
        }
    }

    #[test]
    fn hex_has_one_form() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(to_hex(&sha256(b"")), empty);
        assert_eq!(from_hex::<32>(empty), Some(sha256_parts(&[b"", b""])));
        for text in ["E3", "e", "e3b", "zz"] {
            assert_eq!(from_hex::<1>(text), None, "{text}");
        }
    }
}
