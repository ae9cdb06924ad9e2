//! Verifier keys as text (C2SP signed-note): `NAME+HASH+BASE64`, the line by which the world of
//! transparency logs hands a public key on.

use crate::digest::{from_hex, to_hex};
use crate::keys::PublicKey;
use crate::note::{COSIGNATURE, LOG_SIGNATURE, is_key_name, key_hash};
use crate::text64;

/// The longest verifier key, in bytes.
pub const MAX_VKEY_BYTES: usize = 2_048;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// Checkpoints of its own log.
    Log,
    /// Checkpoints of others, as a witness.
    Cosignatures,
}

impl Signs {
    const fn kind(self) -> u8 {
        match self {
            Signs::Log => LOG_SIGNATURE,
            Signs::Cosignatures => COSIGNATURE,
        }
    }
}

/// A public key under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    /// The name that its lines bear.
    pub name: String,
    /// What it signs.
    pub signs: Signs,
    /// The key.
    pub key: PublicKey,
}

impl VerifierKey {
    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let hash = to_hex(&key_hash(&self.name, self.signs.kind(), &self.key));
        let mut blob = vec![self.signs.kind()];
        blob.extend_from_slice(self.key.bytes());
        format!("{}+{hash}+{}", self.name, text64::encode(&blob))
    }

    /// Reads the text; `None` when it is not exactly of the form, or of another algorithm.
    #[must_use]
    pub fn parse(text: &str) -> Option<VerifierKey> {
        if text.len() > MAX_VKEY_BYTES {
            return None;
        }
        let (name, rest) = text.split_once('+')?;
        let (hash, blob) = rest.split_once('+')?;
        let [kind, key @ ..] = text64::decode_exact::<33>(blob)?;
        let signs = [Signs::Log, Signs::Cosignatures].into_iter().find(|s| s.kind() == kind)?;
        let key = PublicKey::new(key);
        let fits = from_hex(hash) == Some(key_hash(name, kind, &key)) && is_key_name(name);
        fits.then(|| VerifierKey { name: name.to_owned(), signs, key })
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_VKEY_BYTES, Signs, VerifierKey};
    use crate::keys::PublicKey;
    use crate::text64;

    /// The public checksum database of Go, whose key stands in every Go toolchain.
    const SUMDB: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

    #[test]
    fn the_key_of_a_log_of_the_world_is_read() {
        let read = VerifierKey::parse(SUMDB).unwrap();
        assert_eq!((read.name.as_str(), read.signs), ("sum.golang.org", Signs::Log));
        assert_eq!(read.text(), SUMDB);
        let key = PublicKey::new([7; 32]);
        let witness = VerifierKey { name: "w.example/1".into(), signs: Signs::Cosignatures, key };
        assert_eq!(VerifierKey::parse(&witness.text()), Some(witness));
    }

    #[test]
    fn any_other_form_is_refused() {
        for (from, to) in [
            ("sum.", "son."),
            ("033d", "033D"),
            ("033d", "133d"),
            ("+Ac", "+Ad"),
            ("+Ac", "+ac"),
            ("AD8OuAn8", "AD8OuAn9"),
            ("sum.golang.org", ""),
            ("sum.golang.org", "sum golang"),
            ("+033de0ae", ""),
        ] {
            assert_eq!(VerifierKey::parse(&SUMDB.replacen(from, to, 1)), None, "{from} {to}");
        }
        let of = |kind: u8| {
            let mut blob = vec![kind];
            blob.extend([7; 32]);
            let key = PublicKey::new([7; 32]);
            let hash = crate::to_hex(&crate::note::key_hash("a", kind, &key));
            VerifierKey::parse(&format!("a+{hash}+{}", text64::encode(&blob)))
        };
        assert!(of(1).is_some() && of(4).is_some() && of(2).is_none() && of(6).is_none());
        let of_size = |bytes: usize| {
            // Two plus signs, the hash and the base64 of 33 bytes.
            let name = "n".repeat(bytes - 2 - 8 - 44);
            let key = PublicKey::new([7; 32]);
            let text = VerifierKey { name, signs: Signs::Log, key }.text();
            assert_eq!(text.len(), bytes);
            VerifierKey::parse(&text).is_some()
        };
        assert!(of_size(MAX_VKEY_BYTES) && !of_size(MAX_VKEY_BYTES + 1));
    }
}
