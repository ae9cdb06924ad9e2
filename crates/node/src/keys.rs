//! The document key: changed while the node runs, without a request that fails.
//!
//! The new key is written to the disk first, then a record that lists it and lets the old one end
//! after an overlap is logged, signed by both, and sent to all partners; then the new key signs.
//! The log says which key that is: the newest of the record that stands. So a stop between the
//! steps leaves a node that works with the old key and goes on where it stopped. During the overlap
//! every record is signed by both keys, and partners that missed the first one take a later one.
//! The new key signs checkpoints of older ticks too: what it must not be is ended (docs/format.md).

use crate::api::KeyLine;
use crate::as_of::begun;
use crate::behind;
use crate::fold::Fold;
use crate::open::Node;
use crate::organisation;
use crate::processes::Waiting;
use std::time::Duration;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::PublicKey;
use twinpact_proof::record::{MAX_KEYS, RecordKey};

/// How long an old key still signs records, in seconds, when the command does not say: 14 days.
pub const OVERLAP_SECONDS: i64 = 14 * 86_400;
/// The shortest overlap, in seconds: what is under way has to arrive.
pub const MIN_OVERLAP_SECONDS: i64 = 60;
/// The longest overlap, in seconds: a year.
pub const MAX_OVERLAP_SECONDS: i64 = 366 * 86_400;
/// How long partners may take to learn of a new key before it signs. Who learns of it later asks.
const TELLING: Duration = Duration::from_secs(5);

/// Makes a new document key, which signs when this returns. A rotation that was interrupted is gone
/// on with instead.
///
/// # Errors
/// `input.malformed` for an overlap out of bounds; `input.too_large` when the record has
/// [`MAX_KEYS`] keys or too many are in their overlap; `anchor.behind`, `identity.*`, `store.*`.
pub async fn rotate(node: &Node, overlap: i64) -> Result<Vec<KeyLine>, Problem> {
    if !(MIN_OVERLAP_SECONDS..=MAX_OVERLAP_SECONDS).contains(&overlap) {
        let why = format!(
            "an overlap has {MIN_OVERLAP_SECONDS} to {MAX_OVERLAP_SECONDS} seconds, not {overlap}"
        );
        return Err(Problem::new(codes::INPUT_MALFORMED, why));
    }
    behind::check(node)?;
    let _alone = node.identity.changing().await;
    prepare(node)?;
    announce(node, overlap).await?;
    partners_told(node).await;
    use_newest(node)?;
    list(node, None)
}

/// The first step: a key on the disk that the record does not list yet. The old one still signs.
fn prepare(node: &Node) -> Result<(), Problem> {
    let keys = node.partition.read(listed)??;
    if keys.len() >= MAX_KEYS {
        let why = format!("the record has {MAX_KEYS} keys, past ones included");
        let hint = "no key can be changed any more: docs/partners.md, Keys and certificates";
        return Err(Problem::new(codes::INPUT_TOO_LARGE, why).hint(hint));
    }
    let is_listed = |key: &PublicKey| keys.iter().any(|known| known.key == *key);
    let domain = node.identity.current().root.trust_domain().clone();
    if node.files.load(&domain)?.signers().all(|signer| is_listed(&signer.public())) {
        node.files.add_document_key()?;
    } else {
        node.files.settle()?;
    }
    let signing = node.signer().public();
    let held = node.files.load(&domain)?.signing_with(|key| *key == signing);
    node.identity.replace(held.ok_or_else(mismatch)?);
    Ok(())
}

/// The second step: the record with the new key, on its way to all partners.
async fn announce(node: &Node, overlap: i64) -> Result<(), Problem> {
    let dsp = node
        .partition
        .read(|fold, _| fold.organisation.current().map(|(r, _)| r.dsp.clone()))??;
    organisation::issue_with(node, dsp, overlap).await
}

/// Waits a while until no partner is left to be told. A node that calls nobody does not wait.
async fn partners_told(node: &Node) {
    if node.outbound.get().is_none() {
        return;
    }
    let waits = |fold: &Fold| fold.processes.outbox.values().any(|row| row.what == Waiting::Record);
    let mut changes = node.partition.changes();
    let telling = async {
        while node.partition.read(|fold, _| waits(fold)) == Ok(true) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    // Who is out of reach is told later, or asks when it meets the new key.
    let _ = tokio::time::timeout(TELLING, telling).await;
}

/// The last step: from now on the newest key of the record signs.
///
/// # Errors
/// `identity.mismatch` when no key of the record that has not ended is on the disk.
pub fn use_newest(node: &Node) -> Result<(), Problem> {
    let now = node.clocks.wall().0.micros();
    let mut keys = node.partition.read(listed)??;
    keys.retain(|key| !key.ended_by(now));
    keys.sort_by_key(|key| key.from);
    let held = node.identity.current();
    let newest = keys.iter().rev().find_map(|key| held.signing_with(|own| *own == key.key));
    node.identity.replace(newest.ok_or_else(mismatch)?);
    Ok(())
}

/// Forgets, on the disk too, the keys whose time is over by the record.
///
/// # Errors
/// `identity.*`; `store.io` when the disk refuses.
pub async fn forget_ended(node: &Node) -> Result<(), Problem> {
    let _alone = node.identity.changing().await;
    let now = node.clocks.wall().0.micros();
    let keys = node.partition.read(listed)??;
    let over = |key: &PublicKey| keys.iter().any(|known| known.key == *key && known.ended_by(now));
    let mut held = (*node.identity.current()).clone();
    if !held.others.iter().any(|signer| over(&signer.public())) {
        return Ok(());
    }
    node.files.keep_document_keys(|key| !over(key))?;
    held.others.retain(|signer| !over(&signer.public()));
    node.identity.replace(held);
    Ok(())
}

/// Every document key that the organisation ever had, oldest first, as its record had them at a
/// time or has them now. Of another time the one that signed is the newest of the record that stood
/// and had not ended; which keys were on the disk then, the log does not say.
///
/// # Errors
/// `asof.early`, `store.*`.
pub fn list(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<KeyLine>, Problem> {
    match as_of {
        None => list_now(node),
        Some(time) => list_by(node, time),
    }
}

fn list_by(node: &Node, time: Timestamp) -> Result<Vec<KeyLine>, Problem> {
    let keys = node.partition.read(|fold, store| {
        begun(fold, Some(time))?;
        Ok::<_, Problem>(fold.organisation.by(store, Some(time))?.0.keys)
    })??;
    // A time ahead of us shows the present.
    let time = time.min(node.clocks.wall().0).micros();
    let standing = keys.iter().filter(|key| !key.ended_by(time));
    let signing = standing.max_by_key(|key| key.from).map(|key| key.key);
    Ok(keys.iter().map(|key| line(key, signing == Some(key.key), None)).collect())
}

fn line(key: &RecordKey, signs: bool, held: Option<bool>) -> KeyLine {
    KeyLine {
        id: key.key.id(),
        from: Timestamp::from_micros(key.from),
        until: key.until.map(Timestamp::from_micros),
        signs,
        held,
    }
}

fn list_now(node: &Node) -> Result<Vec<KeyLine>, Problem> {
    let keys = node.partition.read(listed)??;
    let (held, signing) = (node.identity.current(), node.signer().public());
    let held = |key: &RecordKey| held.signers().any(|signer| signer.public() == key.key);
    Ok(keys.iter().map(|key| line(key, key.key == signing, Some(held(key)))).collect())
}

fn listed(fold: &Fold, _: &twinpact_store::Store) -> Result<Vec<RecordKey>, Problem> {
    fold.organisation.current().map(|(record, _)| record.keys.clone())
}

fn mismatch() -> Problem {
    let why = "identity/document.key holds no key of our record that has not ended";
    Problem::new(codes::IDENTITY_MISMATCH, why)
        .hint("put back the document.key that belongs to this log")
}

#[cfg(test)]
mod tests {
    use super::{OVERLAP_SECONDS, announce, forget_ended, list, prepare, rotate, use_newest};
    use crate::clock::PolicyClock;
    use crate::open::{Node, NodeParts, init, open};
    use crate::{organisation, prove};
    use std::path::Path;
    use twinpact_model::Did;
    use twinpact_proof::{Level, Record, Trust, verify};

    async fn opened(path: &Path) -> NodeParts {
        open(path, PolicyClock::System).await.unwrap()
    }

    /// Keys: whether it has an end, whether it signs, whether it is on the disk.
    fn keys(node: &Node) -> Vec<(bool, bool, bool)> {
        let keys = list(node, None).unwrap();
        keys.iter().map(|key| (key.until.is_some(), key.signs, key.held.unwrap())).collect()
    }

    /// A proof of an event holds under what was pinned before the rotation and the records since.
    async fn proves(node: &Node, trust: &mut Trust) {
        let record = prove::own_record(node).unwrap();
        trust.add(&record, node.clocks.wall().0.micros()).unwrap();
        let proof = prove::fact(node, 0, &[]).await.unwrap().to_bytes();
        assert_eq!(verify(&proof, Some(trust)).unwrap().level, Level::Signed);
    }

    #[tokio::test]
    async fn a_stop_between_the_steps_of_a_rotation_leaves_a_node_that_works() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
        let mut trust = Trust::default();
        let parts = opened(&path).await;
        proves(&parts.node, &mut trust).await;
        let old = prove::fact(&parts.node, 0, &[]).await.unwrap().to_bytes();
        // The key is on the disk, and nobody knows it.
        prepare(&parts.node).unwrap();
        parts.stop();
        let parts = opened(&path).await;
        assert_eq!(keys(&parts.node), [(false, true, true)]);
        proves(&parts.node, &mut trust).await;
        // The record lists it, and it has not signed yet.
        announce(&parts.node, OVERLAP_SECONDS).await.unwrap();
        assert_eq!(keys(&parts.node), [(true, true, true), (false, false, true)]);
        proves(&parts.node, &mut trust).await;
        parts.stop();
        let parts = opened(&path).await;
        assert_eq!(keys(&parts.node), [(true, false, true), (false, true, true)]);
        proves(&parts.node, &mut trust).await;
        // Started again, it goes on with the interrupted one instead of making a third key.
        prepare(&parts.node).unwrap();
        parts.stop();
        let parts = opened(&path).await;
        let dsp = "https://operator.example/dsp".to_owned();
        organisation::issue(&parts.node, dsp).await.unwrap();
        use_newest(&parts.node).unwrap();
        assert_eq!(keys(&parts.node).len(), 3);
        assert_eq!(keys(&parts.node)[2], (false, true, true));
        proves(&parts.node, &mut trust).await;
        assert_eq!(verify(&old, Some(&trust)).unwrap().level, Level::Signed, "older proofs hold");
        let record = Record::from_envelope(&prove::own_record(&parts.node).unwrap()).unwrap();
        assert_eq!(record.keys.len(), 3);
        parts.stop();
    }

    #[tokio::test]
    async fn a_key_that_has_ended_is_forgotten_on_the_disk_too() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
        let parts = opened(&path).await;
        for overlap in [-1, 0, 59, i64::MAX] {
            let refused = rotate(&parts.node, overlap).await.unwrap_err();
            assert_eq!(refused.code.name, "input.malformed");
        }
        rotate(&parts.node, 60).await.unwrap();
        forget_ended(&parts.node).await.unwrap();
        assert_eq!(keys(&parts.node), [(true, false, true), (false, true, true)]);
        let file = || std::fs::read_to_string(path.join("identity/document.key")).unwrap();
        assert_eq!(file().lines().count(), 2);
        // As if a minute had passed: the record says when it ends.
        announce_end(&parts.node).await;
        forget_ended(&parts.node).await.unwrap();
        assert_eq!(keys(&parts.node), [(true, false, false), (false, true, true)]);
        assert_eq!(file().lines().count(), 1);
        parts.stop();
        let parts = opened(&path).await;
        assert_eq!(keys(&parts.node), [(true, false, false), (false, true, true)]);
        parts.stop();
        // A key file of before the rotation does not belong to this log any more.
        std::fs::write(path.join("identity/document.key"), format!("{}\n", "7".repeat(64)))
            .unwrap();
        let refused = open(&path, PolicyClock::System).await.err().unwrap();
        assert_eq!(refused.code.name, "identity.mismatch", "{refused}");
    }

    /// A record by which the old key has ended.
    async fn announce_end(node: &Node) {
        let (mut record, _) =
            node.partition.read(|fold, _| fold.organisation.current().cloned()).unwrap().unwrap();
        let now = node.clocks.wall().0.micros();
        record.keys[0].until = Some(now - 1);
        record.issued = now;
        let envelope = record.sign(node.signer().key()).unwrap();
        let entry = organisation::entry(node, &envelope);
        let entries = vec![crate::partition::NewEntry::event(entry)];
        node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await.unwrap();
    }
}
