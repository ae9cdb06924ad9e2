//! A node that is behind its own anchor: its directory is an older copy of itself.
//!
//! Partners show us the last checkpoint of ours that they hold. One that our own key has signed and
//! that our log does not contain cannot be forged without that key: we signed it and have
//! forgotten. (A key that had ended by our last tick signed nothing after it, so whoever stole it
//! stops nothing.) From then on nothing is signed and no turn is taken, also after a restart, until
//! a successor log is opened ([`crate::restore`], docs/format.md "Successor"). What a partner only
//! claims stops nothing.

use crate::fold::Fold;
use crate::open::Node;
use crate::organisation::{host, log_id, origin};
use crate::processes::local;
use std::sync::atomic::{AtomicU64, Ordering};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_proof::note::{Checkpoint, Note};
use twinpact_proof::{PublicKey, text64};
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
/// do not know: made up, or we are a copy from before that key. It stops nothing and is said.
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
        })
    }

    fn see(&self, shown: &Checkpoint) {
        self.size.fetch_max(shown.size, Ordering::Relaxed);
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
    let Ok((record, _)) = fold.organisation.current() else { return Vec::new() };
    let last = i64::try_from(forest.last_time()).unwrap_or(i64::MAX);
    record.keys.iter().filter(|key| !key.ended_by(last)).map(|key| key.key).collect()
}

/// Whether it is of our log, larger than that, and signed by nobody whom we know as ourselves.
fn is_claim(node: &Node, fold: &Fold, forest: &Forest, note: &Note) -> bool {
    let keys = fold.organisation.current().map(|(r, _)| r.all_keys()).unwrap_or_default();
    let shown = &note.checkpoint;
    shown.size > forest.ticks()
        && origin(&node.config.organisation, forest).is_ok_and(|ours| ours == shown.origin)
        && !note.signatures.iter().any(|line| keys.iter().any(|key| note.signed_by(line, key)))
}

/// Looks at the checkpoint of ours that a partner holds. One that we signed and do not have stops
/// the node, in the turn that puts it on record.
///
/// # Errors
/// `anchor.behind`; `input.malformed` when it is none that we can have signed.
pub(crate) async fn heed(node: &Node, peer: &str, header: &str) -> Result<(), Problem> {
    let bad = || {
        let why = format!("the header {CHECKPOINT_HEADER} is no base64 of a signed note");
        Problem::new(codes::INPUT_MALFORMED, why)
    };
    let bytes = (header.len() <= MAX_CHECKPOINT_BYTES).then(|| text64::decode(header)).flatten();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    let note = Note::parse(&text).ok_or_else(bad)?;
    let shown = note.checkpoint.clone();
    let keys = node.partition.read(|fold, store| {
        let forest = store.forest();
        (!contains(forest, &shown)).then(|| {
            if is_claim(node, fold, forest, &note) {
                node.claimed.see(&shown);
            }
            forgetful_keys(fold, forest)
        })
    })?;
    let Some(keys) = keys else { return Ok(()) };
    own_note(&text, &node.config.organisation, &keys)?;
    let entry = local(Kind::AnchorBehind, peer, vec![Attribute::new("checkpoint", "text", text)]);
    let turn = node.partition.turn(move |turn| {
        if contains(turn.store().forest(), &shown) {
            return Ok(());
        }
        turn.log(vec![entry]).map(|_| ())
    });
    turn.await
}

#[cfg(test)]
mod tests {
    use super::{heed, text64};
    use crate::clock::PolicyClock;
    use crate::open::{Node, init, open};
    use crate::ready::{Status, ready};
    use crate::{keys, organisation};
    use twinpact_identity::signer::Signer;
    use twinpact_model::Did;
    use twinpact_proof::note::Checkpoint;

    /// What becomes of a checkpoint that this key has made up.
    async fn shown(node: &Node, by: &Signer) -> (&'static str, Status) {
        let origin = node
            .partition
            .read(|_, store| organisation::origin(&node.config.organisation, store.forest()))
            .unwrap();
        let note =
            Checkpoint { origin: origin.unwrap(), size: 1_000, root: [7; 32] }.sign(by.key());
        let heard = heed(node, "did:web:maker.example", &text64::encode(note.as_bytes())).await;
        let code = heard.map_or_else(|problem| problem.code.name, |()| "nothing");
        (code, ready(node, node.clocks.wall()).unwrap().status)
    }

    #[tokio::test]
    async fn a_key_that_had_ended_by_the_last_tick_stops_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
        let parts = open(&path, PolicyClock::System).await.unwrap();
        let (node, old) = (&parts.node, parts.node.signer());
        node.files.add_document_key().unwrap();
        let held = node.files.load(node.identity.current().root.trust_domain()).unwrap();
        node.identity.replace(held);
        let dsp = "https://operator.example/dsp".to_owned();
        organisation::issue_with(node, dsp, 0).await.unwrap();
        keys::use_newest(node).unwrap();
        assert_ne!(node.signer().public(), old.public());
        node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
        assert_eq!(shown(node, &old).await, ("input.malformed", Status::Ready));
        assert_eq!(shown(node, &node.signer()).await, ("anchor.behind", Status::Behind));
        parts.stop();
    }
}
