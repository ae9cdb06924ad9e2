//! What a witness is asked, and what it says (C2SP tlog-witness, `add-checkpoint`).
//!
//! A log sends its newest checkpoint with the size of the one that the witness has cosigned last
//! and the proof that the new one continues it. A witness cosigns one history: never two heads of
//! one size. A second head of a size that the log itself has signed is a fork, and evidence
//! ([`crate::evidence`]).

use crate::digest::Digest;
use crate::keys::PublicKey;
use crate::note::{Checkpoint, MAX_NOTE_BYTES, Note};
use crate::text64;
use crate::tree::{MAX_PATH, consistent, empty_root};

/// The most bytes of a request: a note, and a proof of 63 hashes of 44 characters and a line feed.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 4_096;

/// The body of `add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The size that the witness is said to have cosigned last.
    pub old: u64,
    /// That the checkpoint continues what had that size.
    pub proof: Vec<Digest>,
    /// The checkpoint as it was signed.
    pub note: String,
}

impl Request {
    /// The body.
    #[must_use]
    pub fn text(&self) -> String {
        let hashes = self.proof.iter().map(|hash| text64::encode(hash) + "\n");
        format!("old {}\n{}\n{}", self.old, hashes.collect::<String>(), self.note)
    }

    /// Reads a body and the note in it; `None` when it is not exactly of the form.
    #[must_use]
    pub fn parse(text: &str) -> Option<(Request, Note)> {
        if text.len() > MAX_REQUEST_BYTES {
            return None;
        }
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let size = lines.next()?.strip_prefix("old ")?;
        let old: u64 = size.parse().ok().filter(|old: &u64| old.to_string() == size)?;
        let proof = lines.map(text64::decode_exact).collect::<Option<Vec<Digest>>>()?;
        if proof.len() > MAX_PATH {
            return None;
        }
        let read = Note::parse(note)?;
        Some((Request { old, proof, note: note.to_owned() }, read))
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It does not witness this log (404).
    UnknownLog,
    /// No key of the log that it trusts has signed (403).
    Untrusted,
    /// The old size is larger than the new one (400).
    Backwards,
    /// It has cosigned another size last, which is this (409).
    Stale(u64),
    /// The log has signed another root of this very size, the last that was cosigned (409).
    Forked(u64),
    /// The proof does not show that the checkpoint continues the last one (422).
    Inconsistent,
}

impl Refused {
    /// The HTTP status of the protocol.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Refused::Backwards => 400,
            Refused::Untrusted => 403,
            Refused::UnknownLog => 404,
            Refused::Stale(_) | Refused::Forked(_) => 409,
            Refused::Inconsistent => 422,
        }
    }
}

/// Whether a witness may cosign this checkpoint, having cosigned `last` of the log before, and
/// trusting these keys of it; `None` when it does not witness the log.
///
/// # Errors
/// Why not. What is asked in the order of the protocol: who, then what.
pub fn judge(
    last: Option<&Checkpoint>,
    keys: Option<&[PublicKey]>,
    request: &Request,
    note: &Note,
) -> Result<(), Refused> {
    let keys = keys.ok_or(Refused::UnknownLog)?;
    let trusted = |line| keys.iter().any(|key| note.signed_by(line, key));
    if !note.signatures.iter().any(trusted) {
        return Err(Refused::Untrusted);
    }
    let new = &note.checkpoint;
    if request.old > new.size {
        return Err(Refused::Backwards);
    }
    let (size, root) = last.map_or_else(|| (0, empty_root()), |last| (last.size, last.root));
    if last.is_some() && new.size == size && new.root != root {
        return Err(Refused::Forked(size));
    }
    if request.old != size {
        return Err(Refused::Stale(size));
    }
    match consistent(size, &root, new.size, &new.root, &request.proof) {
        true => Ok(()),
        false => Err(Refused::Inconsistent),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REQUEST_BYTES, Refused, Request, judge};
    use crate::keys::SecretKey;
    use crate::note::{Checkpoint, MAX_NOTE_BYTES, Note};
    use crate::tree::{MAX_PATH, Tree, leaf_hash};

    const ORIGIN: &str = "operator.example/twinpact/1";

    fn tree(n: u64, of: u8) -> Tree {
        let mut tree = Tree::default();
        (0..n).for_each(|i| tree.append(leaf_hash(&[u8::try_from(i).unwrap(), of])));
        tree
    }

    fn checkpoint(tree: &Tree, size: u64) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size, root: tree.root_at(size).unwrap() }
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let (key, tree) = (SecretKey::new(&[1; 32]), tree(20, 0));
        for (old, new) in [(0, 1), (0, 20), (7, 20), (8, 16), (20, 20)] {
            let proof = tree.consistency(old, new).unwrap();
            let request = Request { old, proof, note: checkpoint(&tree, new).sign(&key) };
            let (read, note) = Request::parse(&request.text()).unwrap();
            assert_eq!((read, note.checkpoint), (request, checkpoint(&tree, new)));
        }
    }

    #[test]
    fn any_other_form_is_refused() {
        let (key, tree) = (SecretKey::new(&[1; 32]), tree(20, 0));
        let proof = tree.consistency(7, 20).unwrap();
        let good = Request { old: 7, proof, note: checkpoint(&tree, 20).sign(&key) }.text();
        assert!(Request::parse(&good).is_some());
        for (from, to) in [
            ("old 7\n", "old 07\n"),
            ("old 7\n", "old +7\n"),
            ("old 7\n", "old 7 \n"),
            ("old 7\n", "old -1\n"),
            ("old 7\n", "old 18446744073709551616\n"),
            ("old 7\n", "new 7\n"),
            ("old 7\n", "old 7\n\n"),
            ("old 7\n", "old 7\nAAAA\n"),
            ("\n\n", "\n"),
            ("\n20\n", "\n020\n"),
            ("— ", "- "),
        ] {
            assert!(Request::parse(&good.replacen(from, to, 1)).is_none(), "{from:?} {to:?}");
        }
        assert!(Request::parse("").is_none());
        let with = |hashes: usize| {
            let proof = vec![[7; 32]; hashes];
            Request { old: 7, proof, note: checkpoint(&tree, 20).sign(&key) }.text()
        };
        assert!(Request::parse(&with(MAX_PATH)).is_some());
        assert!(Request::parse(&with(MAX_PATH + 1)).is_none());
        // The largest note and the longest proof fit.
        assert!(with(MAX_PATH).len() + MAX_NOTE_BYTES < MAX_REQUEST_BYTES + good.len());
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let (ours, other) = (tree(40, 0), tree(40, 1));
        let (key, stranger) = (SecretKey::new(&[1; 32]), SecretKey::new(&[2; 32]));
        let keys = [key.public()];
        let check = |last: Option<u64>,
                     old: u64,
                     (tree, new): (&Tree, u64),
                     by: &SecretKey,
                     expect: Result<(), Refused>| {
            let proof = tree.consistency(old, new).unwrap_or_default();
            let request = Request { old, proof, note: checkpoint(tree, new).sign(by) };
            let note = Note::parse(&request.note).unwrap();
            let last = last.map(|size| checkpoint(&ours, size));
            let said = judge(last.as_ref(), Some(&keys), &request, &note);
            assert_eq!(said, expect, "{:?} old {old} new {new}", last.map(|l| l.size));
            assert_eq!(judge(last.as_ref(), None, &request, &note), Err(Refused::UnknownLog));
            said.map_or_else(Refused::status, |()| 200)
        };
        let ok = Ok(());
        assert_eq!(check(None, 0, (&ours, 1), &key, ok), 200);
        assert_eq!(check(None, 0, (&ours, 40), &key, ok), 200);
        assert_eq!(check(Some(7), 7, (&ours, 8), &key, ok), 200);
        assert_eq!(check(Some(7), 7, (&ours, 7), &key, ok), 200);
        assert_eq!(check(None, 0, (&ours, 1), &stranger, Err(Refused::Untrusted)), 403);
        assert_eq!(check(Some(7), 9, (&ours, 8), &key, Err(Refused::Backwards)), 400);
        assert_eq!(check(Some(7), 5, (&ours, 9), &key, Err(Refused::Stale(7))), 409);
        assert_eq!(check(None, 5, (&ours, 9), &key, Err(Refused::Stale(0))), 409);
        assert_eq!(check(Some(7), 0, (&ours, 3), &key, Err(Refused::Stale(7))), 409);
        assert_eq!(check(Some(7), 7, (&other, 7), &key, Err(Refused::Forked(7))), 409);
        assert_eq!(check(Some(7), 2, (&other, 7), &key, Err(Refused::Forked(7))), 409);
        assert_eq!(check(Some(7), 7, (&other, 9), &key, Err(Refused::Inconsistent)), 422);
        // A stranger accuses nobody.
        assert_eq!(check(Some(7), 7, (&other, 7), &stranger, Err(Refused::Untrusted)), 403);
        assert_eq!(Refused::UnknownLog.status(), 404);
    }

    #[test]
    fn a_proof_that_is_too_much_is_no_proof() {
        let (tree, key) = (tree(9, 0), SecretKey::new(&[1; 32]));
        let last = checkpoint(&tree, 7);
        for (old, new, more) in [(7, 9, 1), (7, 7, 1)] {
            let mut proof = tree.consistency(old, new).unwrap();
            proof.extend(vec![[0; 32]; more]);
            let request = Request { old, proof, note: checkpoint(&tree, new).sign(&key) };
            let note = Note::parse(&request.note).unwrap();
            let said = judge(Some(&last), Some(&[key.public()]), &request, &note);
            assert_eq!(said, Err(Refused::Inconsistent));
        }
    }
}
