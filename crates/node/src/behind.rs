//! A node that is behind its own anchor: its directory is an older copy of itself.
//!
//! Partners show us the last checkpoint of ours that they hold. One that our own key has signed and
//! that our log does not contain cannot be forged without that key: we signed it and have
//! forgotten. (A key that had ended by our last tick signed nothing after it, so whoever stole it
//! stops nothing.) From then on nothing is signed and no turn is taken, also after a restart, until
//! a successor log is opened ([`crate::restore`], docs/format.md "Successor"). A copy from before a
//! change of the key does not know the one that signed since: it says so (`anchor.claimed`), and
//! the partner then sends the record of ours that it has pinned, in which a key of the copy vouches
//! for the new one. What a partner only claims stops nothing.

use crate::fold::Fold;
use crate::open::Node;
use crate::organisation::{host, log_id, origin};
use crate::partners;
use crate::processes::local;
use crate::trace;
use std::sync::atomic::{AtomicU64, Ordering};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_proof::note::{Checkpoint, Note};
use twinpact_proof::{PublicKey, Record, text64};
use twinpact_store::forest::Forest;

/// The header in which a partner shows the last checkpoint of ours that it holds.
pub const CHECKPOINT_HEADER: &str = "twinpact-checkpoint";
/// The longest such header, in bytes of base64.
pub const MAX_CHECKPOINT_BYTES: usize = 8192;

/// The checkpoints of ours that turned out to be ahead of the log.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    shown: Vec<Checkpoint>,
}

impl Behind {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        if entry.who.kind != Kind::AnchorBehind {
            return Ok(());
        }
        let note = entry.get("checkpoint").and_then(Note::parse);
        let unreadable = || Problem::new(codes::INTERNAL, "a logged checkpoint cannot be read");
        self.shown.push(note.ok_or_else(unreadable)?.checkpoint);
        Ok(())
    }

    /// Those that this log does not contain; after a successor was opened there are none.
    pub fn ahead_of<'a>(&'a self, forest: &'a Forest) -> impl Iterator<Item = &'a Checkpoint> {
        self.shown.iter().filter(|shown| !contains(forest, shown))
    }

    /// Whether the node may sign and take turns.
    ///
    /// # Errors
    /// `anchor.behind`.
    pub fn check(&self, forest: &Forest) -> Result<(), Problem> {
        match self.ahead_of(forest).next() {
            None => Ok(()),
            Some(shown) => Err(behind(shown, forest)),
        }
    }
}

/// The largest checkpoint of our log that was shown since the start and is signed by a key that we
/// do not know, and no record came that vouches for it: made up, or we are a copy from before two
/// changes of the key. It stops nothing and is said.
#[derive(Debug, Default)]
pub struct Claimed {
    size: AtomicU64,
}

impl Claimed {
    /// What the operator should know of it.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let size = self.size.load(Ordering::Relaxed);
        (size > 0).then(|| {
            let why = format!(
                "a partner has shown a checkpoint of size {size} of this log, which is shorter, by \
                 a key that this directory does not know"
            );
            Problem::new(codes::ANCHOR_CLAIMED, why)
                .hint("if this directory was restored or cloned: stop the node, docs/restore.md")
        })
    }

    /// The first one is said in the log too; any partner can make up more.
    fn see(&self, shown: &Checkpoint) {
        if self.size.fetch_max(shown.size, Ordering::Relaxed) == 0
            && let Some(problem) = self.problem()
        {
            trace::warning(problem.code.name, &problem.message);
        }
    }
}

fn behind(shown: &Checkpoint, forest: &Forest) -> Problem {
    let why = format!(
        "this directory is an older copy of itself: a partner holds our checkpoint of size {} of \
         {}, and the log here has size {} and does not contain it",
        shown.size,
        shown.origin,
        forest.ticks()
    );
    Problem::new(codes::ANCHOR_BEHIND, why)
        .hint("stop the node, then: twinpact restore --successor --dir DIR")
}

fn claimed(shown: &Checkpoint) -> Problem {
    let why = format!("no key that is known here has signed the checkpoint of size {}", shown.size);
    Problem::new(codes::ANCHOR_CLAIMED, why).hint("send the record that names the key")
}

/// Whether this log, or one that it succeeds, contains that checkpoint.
#[must_use]
pub fn contains(forest: &Forest, shown: &Checkpoint) -> bool {
    let before = forest.predecessors().iter().find(|one| one.origin == shown.origin);
    if let Some(before) = before {
        return shown.size <= before.size;
    }
    let this = log_id(forest).is_ok_and(|id| shown.origin.ends_with(&format!("/twinpact/{id}")));
    match shown.size.checked_sub(1) {
        // No leaves are part of every log.
        None => true,
        Some(tick) => {
            let ours = forest.checkpoint(&shown.origin, tick);
            this && ours.is_some_and(|ours| ours.root == shown.root)
        }
    }
}

/// That the node may sign and take turns now.
///
/// # Errors
/// `anchor.behind`; `store.stopped`.
pub fn check(node: &Node) -> Result<(), Problem> {
    node.partition.read(|fold, store| fold.behind.check(store.forest()))?
}

/// A checkpoint of one of our logs, signed by one of these keys of ours.
///
/// # Errors
/// `input.malformed`.
pub fn own_note(
    text: &str,
    organisation: &twinpact_model::Did,
    keys: &[PublicKey],
) -> Result<Checkpoint, Problem> {
    let bad = |why: &str| Problem::new(codes::INPUT_MALFORMED, format!("the checkpoint {why}"));
    let note = Note::parse(text).ok_or_else(|| bad("is no signed note of three lines"))?;
    if !note.checkpoint.origin.starts_with(&format!("{}/twinpact/", host(organisation))) {
        return Err(bad("is of a log of another organisation"));
    }
    let ours = |line| keys.iter().any(|key| note.signed_by(line, key));
    if !note.signatures.iter().any(ours) {
        return Err(bad("is signed by no key of ours that can have signed it"));
    }
    Ok(note.checkpoint)
}

/// Those of our keys that can have signed what this log has forgotten: all that had not ended by
/// its last tick.
fn forgetful_keys(fold: &Fold, forest: &Forest) -> Vec<PublicKey> {
    fold.organisation.current().map(|(record, _)| unended(record, forest)).unwrap_or_default()
}

fn unended(record: &Record, forest: &Forest) -> Vec<PublicKey> {
    record.unended_keys(i64::try_from(forest.last_time()).unwrap_or(i64::MAX))
}

/// Whether it is of our log, larger than that, and signed by nobody whom we know as ourselves.
fn is_claim(node: &Node, fold: &Fold, forest: &Forest, note: &Note) -> bool {
    let keys = fold.organisation.current().map(|(r, _)| r.all_keys()).unwrap_or_default();
    let shown = &note.checkpoint;
    shown.size > forest.ticks()
        && origin(&node.config.organisation, forest).is_ok_and(|ours| ours == shown.origin)
        && !note.signatures.iter().any(|line| keys.iter().any(|key| note.signed_by(line, key)))
}

/// The keys of a record of ours that we have not issued, if a key vouches for it that can have
/// signed what this log has forgotten. Whoever stole a key that has ended vouches for nothing.
fn vouched(node: &Node, keys: &[PublicKey], forest: &Forest, record: &[u8]) -> Vec<PublicKey> {
    let Ok((record, envelope)) = partners::read_record(record) else { return Vec::new() };
    let ours = record.did == node.config.organisation.as_str();
    match ours && keys.iter().any(|key| envelope.signed_by(key)) {
        true => unended(&record, forest),
        false => Vec::new(),
    }
}

/// Looks at the checkpoint of ours that a partner holds, and at the record of ours that it may have
/// sent along. A checkpoint that we signed and do not have stops the node, in the turn that puts it
/// on record.
///
/// # Errors
/// `anchor.behind`; `anchor.claimed` when the checkpoint is of our log and by a key that we do not
/// know; `input.malformed` when it is none that we can have signed.
pub(crate) async fn heed(
    node: &Node,
    peer: &str,
    header: &str,
    record: Option<&[u8]>,
) -> Result<(), Problem> {
    let bad = || {
        let why = format!("the header {CHECKPOINT_HEADER} is no base64 of a signed note");
        Problem::new(codes::INPUT_MALFORMED, why)
    };
    let bytes = (header.len() <= MAX_CHECKPOINT_BYTES).then(|| text64::decode(header)).flatten();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    let note = Note::parse(&text).ok_or_else(bad)?;
    let shown = note.checkpoint.clone();
    let signers = node.partition.read_between(|fold, store| {
        let forest = store.forest();
        (!contains(forest, &shown)).then(|| {
            let mut keys = forgetful_keys(fold, forest);
            let more = record.map(|record| vouched(node, &keys, forest, record));
            keys.extend(more.unwrap_or_default());
            (keys, is_claim(node, fold, forest, &note))
        })
    });
    let Some((keys, claim)) = signers.await? else { return Ok(()) };
    match own_note(&text, &node.config.organisation, &keys) {
        Err(_) if claim => {
            node.claimed.see(&shown);
            return Err(claimed(&shown));
        }
        signed => signed?,
    };
    let entry = local(Kind::AnchorBehind, peer, vec![Attribute::new("checkpoint", "text", text)]);
    let turn = node.partition.turn(move |turn| {
        let forest = turn.store().forest();
        if contains(forest, &shown) {
            return Ok(());
        }
        let problem = behind(&shown, forest);
        trace::warning(problem.code.name, &problem.message);
        turn.log(vec![entry]).map(|_| ())
    });
    turn.await
}

#[cfg(test)]
mod tests {
    use super::{heed, text64};
    use crate::clock::PolicyClock;
    use crate::open::{Node, NodeParts, init, open};
    use crate::ready::{Status, ready};
    use crate::{keys, organisation};
    use twinpact_identity::signer::Signer;
    use twinpact_model::Did;
    use twinpact_proof::SecretKey;
    use twinpact_proof::note::Checkpoint;
    use twinpact_proof::record::RecordKey;

    /// What becomes of a checkpoint that this key has made up, with a record of ours that names it
    /// and that the other key has signed, if there is one.
    async fn shown(node: &Node, by: &SecretKey, with: Option<&Signer>) -> (&'static str, Status) {
        let origin = node
            .partition
            .read(|_, store| organisation::origin(&node.config.organisation, store.forest()))
            .unwrap();
        let note = Checkpoint { origin: origin.unwrap(), size: 1_000, root: [7; 32] }.sign(by);
        let record = with.map(|with| {
            let current = node.partition.read(|fold, _| fold.organisation.current().cloned());
            let mut record = current.unwrap().unwrap().0;
            // Whoever has a key chooses when it has signed.
            let key = with.public();
            let own = record.keys.iter_mut().find(|own| own.key == key).unwrap();
            own.until = None;
            let from = own.from;
            record.issued += 1;
            record.keys.push(RecordKey { key: by.public(), from, until: None });
            record.sign(with.key()).unwrap().to_json().canonical()
        });
        let record = record.as_deref().map(str::as_bytes);
        let header = text64::encode(note.as_bytes());
        let heard = heed(node, "did:web:maker.example", &header, record).await;
        let code = heard.map_or_else(|problem| problem.code.name, |()| "nothing");
        (code, ready(node, node.clocks.wall()).unwrap().status)
    }

    async fn made() -> (tempfile::TempDir, NodeParts) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
        let parts = open(&path, PolicyClock::System).await.unwrap();
        (place, parts)
    }

    #[tokio::test]
    async fn a_checkpoint_by_our_key_stops_the_node() {
        let (_place, parts) = made().await;
        let key = parts.node.signer();
        let stopped = ("anchor.behind", Status::Behind);
        assert_eq!(shown(&parts.node, key.key(), None).await, stopped);
        parts.stop();
    }

    #[tokio::test]
    async fn a_key_that_had_ended_by_the_last_tick_stops_nothing() {
        let (_place, parts) = made().await;
        let (node, old) = (&parts.node, parts.node.signer());
        node.files.add_document_key().unwrap();
        let held = node.files.load(node.identity.current().root.trust_domain()).unwrap();
        node.identity.replace(held);
        let dsp = "https://operator.example/dsp".to_owned();
        organisation::issue_with(node, dsp, 0).await.unwrap();
        keys::use_newest(node).unwrap();
        assert_ne!(node.signer().public(), old.public());
        node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
        assert_eq!(shown(node, old.key(), None).await, ("input.malformed", Status::Ready));
        let (stranger, new) = (SecretKey::new(&[66; 32]), node.signer());
        let claimed = ("anchor.claimed", Status::Warning);
        assert_eq!(shown(node, &stranger, None).await, claimed);
        assert_eq!(shown(node, &stranger, Some(&old)).await, claimed, "its time was over");
        assert_eq!(shown(node, &stranger, Some(&new)).await, ("anchor.behind", Status::Behind));
        parts.stop();
    }
}
