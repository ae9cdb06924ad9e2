//! Evidence that a log has signed two histories: two checkpoints of one size with other roots.
//!
//! Anybody who has pinned the log's organisation can verify it, offline and without whoever found
//! it. Two notes of other sizes never are evidence by themselves: that no proof leads from one to
//! the other can be shown to nobody who was not there.

use crate::broken::{Broken, Link};
use crate::digest::{Digest, sha256};
use crate::fields::{Malformed, Members, shown};
use crate::json::Json;
use crate::keys::PublicKey;
use crate::note::{MAX_NOTE_BYTES, Note};
use crate::trust::Trust;
use crate::verdict::Level;

/// The most bytes of evidence: two notes as JSON, in which a line feed has two bytes.
pub const MAX_EVIDENCE_BYTES: usize = 4 * MAX_NOTE_BYTES;
const TYPE: &str = "twinpact-fork/1";

/// Two signed notes that contradict each other. Who signed them is for [`Fork::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The texts, the one that comes first bytewise first: one pair has one evidence.
    notes: [String; 2],
    read: [Note; 2],
}

/// What evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conviction {
    /// `signed` when the organisation of the log is pinned, else `unanchored`.
    pub level: Level,
    /// The organisation whose log it is, when it is pinned.
    pub organisation: Option<String>,
    /// The log.
    pub origin: String,
    /// The size of both checkpoints.
    pub size: u64,
    /// Their roots.
    pub roots: [Digest; 2],
    /// What is proven: one sentence.
    pub sentence: String,
    /// What a reader should know beside it.
    pub notes: Vec<String>,
}

impl Fork {
    /// The evidence that these two notes are; `None` when they do not contradict each other.
    #[must_use]
    pub fn of(a: &str, b: &str) -> Option<Fork> {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let read = [Note::parse(first)?, Note::parse(second)?];
        let [one, two] = read.each_ref().map(|note| &note.checkpoint);
        let contradict = one.origin == two.origin && one.size == two.size && one.root != two.root;
        contradict.then(|| Fork { notes: [first.to_owned(), second.to_owned()], read })
    }

    /// Reads evidence.
    ///
    /// # Errors
    /// Link `document` when it is not exactly of the form, `checkpoint` when the two notes do not
    /// contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Fork, Broken> {
        let malformed = |why: Malformed| Link::Document.malformed(why);
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(malformed(Malformed("the evidence is too large".to_owned())));
        }
        let json = Json::parse_canonical(bytes)
            .map_err(|_| malformed(Malformed("it is no canonical JSON".to_owned())))?;
        let members = Members::of("the evidence", &json, &["notes", "type"]).map_err(malformed)?;
        members.constant("type", TYPE).map_err(malformed)?;
        let notes = members.list("notes", 2).map_err(malformed)?;
        let texts: Vec<&str> = notes.iter().filter_map(Json::as_text).collect();
        let [first, second] = texts[..] else {
            return Err(malformed(Malformed("the evidence has not two notes".to_owned())));
        };
        match Fork::of(first, second) {
            Some(fork) if first < second => Ok(fork),
            _ => Err(Link::Checkpoint.broken(
                "its two notes are no checkpoints of one log and one size with other roots, in \
                 their order",
            )),
        }
    }

    /// Whether bytes mean to be evidence, so that a reader knows what to read them as.
    #[must_use]
    pub fn is_meant(bytes: &[u8]) -> bool {
        bytes.starts_with(b"{\"notes\":")
    }

    /// The evidence as a file: canonical JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        let notes = Json::texts(self.notes.iter().cloned());
        Json::object([("notes", notes), ("type", Json::text(TYPE))]).canonical()
    }

    /// Its name: the SHA-256 of the file.
    #[must_use]
    pub fn id(&self) -> Digest {
        sha256(self.to_text().as_bytes())
    }

    /// The two notes.
    #[must_use]
    pub const fn notes(&self) -> &[String; 2] {
        &self.notes
    }

    /// The log, and the size of both checkpoints.
    #[must_use]
    pub fn about(&self) -> (&str, u64) {
        let [one, _] = &self.read;
        (&one.checkpoint.origin, one.checkpoint.size)
    }

    /// Whether each note is signed by one of these keys, and by nobody else.
    #[must_use]
    pub fn is_signed_by(&self, keys: &[PublicKey]) -> bool {
        self.read.iter().all(|note| {
            let ours = |line| keys.iter().any(|key| note.signed_by(line, key));
            note.signatures.iter().all(ours)
        })
    }

    /// What it proves to who has pinned this.
    ///
    /// # Errors
    /// Link `trust` when the trust file breaks a rule, `checkpoint` when a line is by no key of the
    /// log's organisation.
    pub fn verify(&self, trust: Option<&Trust>) -> Result<Conviction, Broken> {
        let nothing = Trust::default();
        let trust = trust.unwrap_or(&nothing);
        trust.check().map_err(|why| Link::Trust.malformed(why))?;
        let [one, two] = self.read.each_ref().map(|note| &note.checkpoint);
        let (origin, size) = (one.origin.clone(), one.size);
        let pin = trust.organisations.iter().find(|pin| pin.log(&origin).is_some());
        let (log, mut notes) = (shown(&origin), Vec::new());
        if let Some(pin) = pin {
            let keys: Vec<PublicKey> = pin.keys.iter().map(|pinned| pinned.key.0).collect();
            if !self.is_signed_by(&keys) {
                let why = format!("a line is by no pinned key of {}, whose log it is", pin.did);
                return Err(Link::Checkpoint.broken(why));
            }
            let ended =
                |key: &&crate::trust::PinnedKey| key.until.is_some() && self.uses(&key.key.0);
            notes.extend(pin.keys.iter().filter(ended).map(|key| {
                format!("{} has an end: it convicts whoever held the key", key.key.0.id())
            }));
        }
        let who =
            pin.map_or_else(|| format!("the log {log}"), |pin| format!("{} ({log})", pin.did));
        Ok(Conviction {
            level: if pin.is_some() { Level::Signed } else { Level::Unanchored },
            organisation: pin.map(|pin| pin.did.clone()),
            sentence: format!(
                "{who} has signed two checkpoints of size {size}: it keeps two histories"
            ),
            roots: [one.root, two.root],
            origin,
            size,
            notes,
        })
    }

    fn uses(&self, key: &PublicKey) -> bool {
        self.read.iter().any(|note| note.signatures.iter().any(|line| note.signed_by(line, key)))
    }
}

#[cfg(test)]
mod tests {
    use super::Fork;
    use crate::keys::SecretKey;
    use crate::note::{Checkpoint, cosign};

    fn note(origin: &str, size: u64, root: u8, key: u8) -> String {
        let checkpoint = Checkpoint { origin: origin.to_owned(), size, root: [root; 32] };
        checkpoint.sign(&SecretKey::new(&[key; 32]))
    }

    #[test]
    fn only_what_contradicts_itself_is_evidence() {
        let good = note("a.example/twinpact/1", 7, 1, 1);
        for (other, expect) in [
            (note("a.example/twinpact/1", 7, 2, 1), true),
            (note("a.example/twinpact/1", 7, 2, 9), true),
            (note("a.example/twinpact/1", 7, 1, 1), false),
            (note("a.example/twinpact/1", 8, 2, 1), false),
            (note("b.example/twinpact/1", 7, 2, 1), false),
            ("nothing".to_owned(), false),
        ] {
            let (one, two) = (Fork::of(&good, &other), Fork::of(&other, &good));
            assert_eq!(one.is_some(), expect, "{other}");
            assert_eq!(one, two);
            if let Some(fork) = one {
                assert_eq!(Fork::parse(fork.to_text().as_bytes()), Ok(fork.clone()));
                assert!(Fork::is_meant(fork.to_text().as_bytes()));
                assert_eq!(fork.about(), ("a.example/twinpact/1", 7));
            }
        }
    }

    #[test]
    fn every_line_must_be_the_logs_own() {
        let (one, two) =
            (note("a.example/twinpact/1", 7, 1, 1), note("a.example/twinpact/1", 7, 2, 2));
        let keys = [1, 2, 3].map(|n| SecretKey::new(&[n; 32]).public());
        let fork = Fork::of(&one, &two).unwrap();
        assert!(fork.is_signed_by(&keys));
        assert!(!fork.is_signed_by(&keys[1..]) && !fork.is_signed_by(&keys[..1]));
        let checkpoint =
            Checkpoint { origin: "a.example/twinpact/1".into(), size: 7, root: [1; 32] };
        let more = one + &cosign(&checkpoint, "w.example", &SecretKey::new(&[3; 32]), 5);
        assert!(!Fork::of(&more, &two).unwrap().is_signed_by(&keys));
    }

    #[test]
    fn any_other_form_is_refused() {
        let (one, two) =
            (note("a.example/twinpact/1", 7, 1, 1), note("a.example/twinpact/1", 7, 2, 1));
        let good = Fork::of(&one, &two).unwrap().to_text();
        let check = |bytes: &str, link: &str| {
            let broken = Fork::parse(bytes.as_bytes()).unwrap_err();
            assert_eq!(broken.link.name(), link, "{bytes}");
        };
        check("", "document");
        check(&good.replace("fork/1", "fork/2"), "document");
        check(&good.replace(",\"type\"", ", \"type\""), "document");
        check(&good.replace(",\"type\"", ",\"a\":1,\"type\""), "document");
        check(r#"{"notes":[],"type":"twinpact-fork/1"}"#, "document");
        check(r#"{"notes":[1,2],"type":"twinpact-fork/1"}"#, "document");
        check(r#"{"notes":["a","b"],"type":"twinpact-fork/1"}"#, "checkpoint");
        check(&good.replacen("\\n7\\n", "\\n8\\n", 1), "checkpoint");
        let [first, second] = Fork::of(&one, &two).unwrap().notes;
        let json = |text: &str| serde_json::to_string(text).unwrap();
        let turned =
            format!(r#"{{"notes":[{},{}],"type":"twinpact-fork/1"}}"#, json(&second), json(&first));
        check(&turned, "checkpoint");
        check(&format!("{good}{}", " ".repeat(super::MAX_EVIDENCE_BYTES)), "document");
    }
}
