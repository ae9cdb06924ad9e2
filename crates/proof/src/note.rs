//! Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
//!
//! A checkpoint is three lines: origin, size, root. It is signed by the log and may be cosigned by
//! witnesses. Extension lines are refused: we never write them, and nobody could check them.

use crate::digest::{Digest, sha256_parts};
use crate::keys::{PublicKey, SecretKey};
use crate::text64;

pub(crate) const LOG_SIGNATURE: u8 = 0x01;
pub(crate) const COSIGNATURE: u8 = 0x04;
/// Time and signature. A witness may have keys of other algorithms under the same name; their lines
/// are longer.
const COSIGNATURE_BYTES: usize = 8 + 64;
/// The most bytes of a note.
pub const MAX_NOTE_BYTES: usize = 65_536;
/// The most signature lines of a note.
pub const MAX_SIGNATURES: usize = 64;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log: `<organisation host>/twinpact/<log id>`.
    pub origin: String,
    /// How many anchor leaves it has.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, text64::encode(&self.root))
    }

    /// The note, signed by the log. The same checkpoint always gives the same bytes.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> String {
        let body = self.body();
        let signature = key.sign(body.as_bytes());
        let line = signature_line(&self.origin, LOG_SIGNATURE, &key.public(), &signature);
        format!("{body}\n{line}")
    }

    fn parse(body: &str) -> Option<Checkpoint> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let plain = lines.next().is_none() && number.to_string() == size && is_key_name(origin);
        let root = text64::decode_exact(root)?;
        plain.then(|| Checkpoint { origin: origin.to_owned(), size: number, root })
    }
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The first bytes of the key's hash.
    pub hash: [u8; 4],
    /// What follows them: the signature, or time and signature of a witness.
    pub bytes: Vec<u8>,
}

/// A checkpoint with its signature lines, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Who says so.
    pub signatures: Vec<NoteSignature>,
    body: String,
}

impl Note {
    /// Reads a note; `None` when it is not exactly of the form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Note> {
        if text.len() > MAX_NOTE_BYTES {
            return None;
        }
        let (body, lines) = text.split_once("\n\n")?;
        let body = format!("{body}\n");
        let checkpoint = Checkpoint::parse(&body)?;
        let lines: Vec<&str> = lines.strip_suffix('\n')?.split('\n').collect();
        if lines.is_empty() || lines.len() > MAX_SIGNATURES {
            return None;
        }
        let signatures = lines.into_iter().map(parse_line).collect::<Option<Vec<_>>>()?;
        Some(Note { checkpoint, signatures, body })
    }

    /// Whether the line is the log's signature by this key.
    #[must_use]
    pub fn signed_by(&self, line: &NoteSignature, key: &PublicKey) -> bool {
        line.name == self.checkpoint.origin
            && line.hash == key_hash(&line.name, LOG_SIGNATURE, key)
            && <&[u8; 64]>::try_from(line.bytes.as_slice())
                .is_ok_and(|signature| key.verifies(self.body.as_bytes(), signature))
    }

    /// Whether the line names this key as the log's, be it under another name: its signature must
    /// then hold.
    #[must_use]
    pub fn names_log_key(&self, line: &NoteSignature, key: &PublicKey) -> bool {
        line.name == self.checkpoint.origin
            || line.hash == key_hash(&self.checkpoint.origin, LOG_SIGNATURE, key)
    }

    /// Whether the line names the key of this witness, or has its name and the form of a
    /// cosignature: it must then hold.
    #[must_use]
    pub fn names_witness(&self, line: &NoteSignature, name: &str, key: &PublicKey) -> bool {
        line.hash == key_hash(name, COSIGNATURE, key)
            || (line.name == name && line.bytes.len() == COSIGNATURE_BYTES)
    }

    /// Whether the line names this key under the name that it bears, as a log's or as a witness's.
    #[must_use]
    pub fn names_key(&self, line: &NoteSignature, key: &PublicKey) -> bool {
        [LOG_SIGNATURE, COSIGNATURE]
            .iter()
            .any(|kind| line.hash == key_hash(&line.name, *kind, key))
    }

    /// The note with no other lines than the log's own: of each of these keys one, in their order,
    /// as long as the text has no more than that many bytes. `None` when there is no such line.
    #[must_use]
    pub fn of_log(&self, keys: &[PublicKey], most: usize) -> Option<String> {
        let mut text = format!("{}\n", self.body);
        let body = text.len();
        for key in keys {
            let Some(line) = self.signatures.iter().find(|line| self.signed_by(line, key)) else {
                continue;
            };
            let line = signature_line(&line.name, LOG_SIGNATURE, key, &line.bytes);
            if text.len() + line.len() > most {
                break;
            }
            text.push_str(&line);
        }
        (text.len() > body).then_some(text)
    }

    /// When the witness with this name and key says that it saw the checkpoint, in seconds since
    /// 1970; `None` when the line is not its cosignature.
    #[must_use]
    pub fn cosigned_by(&self, line: &NoteSignature, name: &str, key: &PublicKey) -> Option<u64> {
        let (time, signature) = line.bytes.split_first_chunk::<8>()?;
        let signature = <&[u8; 64]>::try_from(signature).ok()?;
        let time = u64::from_be_bytes(*time);
        let message = format!("cosignature/v1\ntime {time}\n{}", self.body);
        let holds = line.name == name
            && line.hash == key_hash(name, COSIGNATURE, key)
            && key.verifies(message.as_bytes(), signature);
        holds.then_some(time)
    }
}

/// The line that a witness adds to a note: its cosignature at that time, in seconds since 1970.
#[must_use]
pub fn cosign(checkpoint: &Checkpoint, name: &str, key: &SecretKey, time: u64) -> String {
    let message = format!("cosignature/v1\ntime {time}\n{}", checkpoint.body());
    let mut bytes = time.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.sign(message.as_bytes()));
    signature_line(name, COSIGNATURE, &key.public(), &bytes)
}

fn signature_line(name: &str, kind: u8, key: &PublicKey, bytes: &[u8]) -> String {
    let mut blob = key_hash(name, kind, key).to_vec();
    blob.extend_from_slice(bytes);
    format!("— {name} {}\n", text64::encode(&blob))
}

fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, blob) = line.strip_prefix("— ")?.split_once(' ')?;
    let blob = text64::decode(blob)?;
    let (hash, bytes) = blob.split_first_chunk::<4>()?;
    is_key_name(name).then(|| NoteSignature {
        name: name.to_owned(),
        hash: *hash,
        bytes: bytes.to_vec(),
    })
}

pub(crate) fn key_hash(name: &str, kind: u8, key: &PublicKey) -> [u8; 4] {
    let digest = sha256_parts(&[name.as_bytes(), b"\n", &[kind], key.bytes()]);
    digest.first_chunk::<4>().copied().unwrap_or_default()
}

/// A key name has no space and no plus, and something in it.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, Note, cosign};
    use crate::keys::SecretKey;

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "operator.example/twinpact/1".into(), size: 7, root: [3; 32] }
    }

    #[test]
    fn a_note_is_signed_and_cosigned() {
        let (log, witness) = (SecretKey::new(&[1; 32]), SecretKey::new(&[2; 32]));
        let text = checkpoint().sign(&log) + &cosign(&checkpoint(), "w.example", &witness, 1234);
        let note = Note::parse(&text).unwrap();
        assert_eq!(note.checkpoint, checkpoint());
        let [signature, cosignature] = &note.signatures[..] else { panic!("{note:?}") };
        assert!(note.signed_by(signature, &log.public()));
        assert!(!note.signed_by(signature, &witness.public()));
        assert!(!note.signed_by(cosignature, &witness.public()));
        assert_eq!(note.cosigned_by(cosignature, "w.example", &witness.public()), Some(1234));
        assert_eq!(note.cosigned_by(cosignature, "v.example", &witness.public()), None);
        assert_eq!(note.cosigned_by(signature, "w.example", &witness.public()), None);
    }

    #[test]
    fn of_a_note_the_lines_of_the_log_are_kept() {
        let keys = [1, 2, 3, 4].map(|n| SecretKey::new(&[n; 32]));
        let public = keys.each_ref().map(SecretKey::public);
        let own = |n: usize| checkpoint().sign(&keys[n]);
        let line = |n: usize| {
            let text = own(n);
            text[text.find('—').unwrap()..].to_owned()
        };
        let witness = cosign(&checkpoint(), "w.example", &keys[3], 1234);
        // Twice by the second key; by the fourth, whose line names another log, not at all.
        let other = line(3).replace("operator", "other");
        let text = own(1) + &witness + &line(0) + &line(1) + &other;
        let note = Note::parse(&text).unwrap();
        let of = |keys: &[_], most| note.of_log(keys, most);
        assert_eq!(of(&public, 9_999), Some(own(0) + &line(1)));
        assert_eq!(of(&public[1..], 9_999), Some(own(1)));
        assert_eq!(of(&public[2..], 9_999), None);
        assert_eq!(of(&public, own(0).len()), Some(own(0)));
        assert_eq!(of(&public, own(0).len() - 1), None);
        assert!(Note::parse(&of(&public, 9_999).unwrap()).is_some());
    }

    #[test]
    fn any_other_form_is_refused() {
        let good = checkpoint().sign(&SecretKey::new(&[1; 32]));
        assert!(Note::parse(&good).is_some());
        for (from, to) in [
            ("\n7\n", "\n07\n"),
            ("\n7\n", "\n+7\n"),
            ("=\n\n", "=\nextension\n\n"),
            ("operator", "oper ator"),
            ("— ", "- "),
            ("\n\n", "\n"),
        ] {
            assert!(Note::parse(&good.replacen(from, to, 1)).is_none(), "{from:?} → {to:?}");
        }
        assert!(Note::parse(good.trim_end()).is_none());
        assert!(Note::parse(&format!("{good}\n")).is_none());
        assert!(Note::parse("").is_none());
    }
}
