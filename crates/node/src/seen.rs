//! What partners tell each other of logs that both have seen.
//!
//! When what we have pinned of a partner's log has grown, every other partner is asked what it has
//! seen of the same logs. The question names each log by a digest over a fresh nonce and its
//! origin, which has a random part: who has not seen the log learns nothing from it, and is asked
//! nothing else. Whoever has seen it answers with its signed checkpoint, and of a log that has
//! forked with the evidence. Nothing is asked while nothing grows.

use crate::divergence::{self, Source};
use crate::egress::LogDoc;
use crate::fold::Fold;
use crate::ids::random_bytes;
use crate::log_door::SEEN_PATH;
use crate::open::Node;
use crate::outbox;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::{from_hex, sha256_parts};
use twinpact_proof::evidence::Fork;
use twinpact_proof::note::Note;
use twinpact_proof::record::Record;
use twinpact_proof::{Digest, to_hex};

/// The most logs that one question names.
pub const MAX_NAMED_LOGS: usize = 256;
/// The most bytes of an answer.
pub const MAX_SEEN_BYTES: usize = 1 << 20;
/// The least time between two rounds of questions: what grows meanwhile is asked about together.
pub const ROUND_GAP: Duration = Duration::from_secs(10);
const LABEL: &[u8] = b"twinpact-seen/1";

/// The last signed checkpoint that we hold of that partner's log, as a reader or as its witness, or
/// else of the latest log before it of which there is one.
pub(crate) fn of_partner<'a>(fold: &'a Fold, record: &Record) -> Option<&'a str> {
    let read = fold.copies.note(record).map(String::as_str);
    let cosigned = fold.witnessing.get(&record.origin).map(|last| last.note.as_str());
    larger(&record.origin, read, cosigned)
}

/// The note of that log with the larger checkpoint.
fn larger<'a>(origin: &str, one: Option<&'a str>, two: Option<&'a str>) -> Option<&'a str> {
    let size = |note: &str| {
        let checkpoint = Note::parse(note).map(|note| note.checkpoint);
        checkpoint.filter(|checkpoint| checkpoint.origin == origin).map_or(0, |c| c.size)
    };
    match (one, two) {
        (Some(one), Some(two)) if size(two) > size(one) => Some(two),
        (one, two) => one.or(two),
    }
}

/// A log that we have seen: whose, and the note.
#[derive(Clone)]
struct Held {
    did: String,
    origin: String,
    note: String,
}

/// The present logs of all partners but that one, as far as we have seen them.
fn held(fold: &Fold, but: &str) -> Vec<Held> {
    let others = fold.partners.iter().map(|partner| &partner.record).filter(|r| r.did != but);
    let all = others.filter_map(|record| {
        let note = of_partner(fold, record).filter(|note| {
            Note::parse(note).is_some_and(|note| note.checkpoint.origin == record.origin)
        })?;
        let (did, origin) = (record.did.clone(), record.origin.clone());
        Some(Held { did, origin, note: note.to_owned() })
    });
    all.take(MAX_NAMED_LOGS).collect()
}

fn tag(nonce: &[u8; 16], origin: &str) -> Digest {
    sha256_parts(&[LABEL, nonce, origin.as_bytes()])
}

/// Answers a partner that asks.
///
/// # Errors
/// `input.malformed` when it is no such question.
pub(crate) fn receive(node: &Node, peer: &str, body: &[u8]) -> Result<LogDoc, Problem> {
    let (nonce, tags) = question(body)
        .ok_or_else(|| Problem::new(codes::INPUT_MALFORMED, "this names no logs by digests"))?;
    let notes = node.partition.read(|fold, _| {
        let shared =
            held(fold, peer).into_iter().filter(|h| tags.contains(&tag(&nonce, &h.origin)));
        let told = shared.flat_map(|held| match fold.divergences.proven(&held.origin) {
            Some(alert) => alert.notes.to_vec(),
            None => vec![held.note],
        });
        told.collect::<Vec<_>>()
    })?;
    let mut bytes = 0;
    let fits = |note: &String| {
        bytes += note.len() * 2;
        bytes < MAX_SEEN_BYTES
    };
    Ok(LogDoc::Seen(notes.into_iter().take_while(fits).collect()))
}

fn question(body: &[u8]) -> Option<([u8; 16], BTreeSet<Digest>)> {
    let asked: Value = serde_json::from_slice(body).ok()?;
    let nonce = from_hex(asked.get("nonce")?.as_str()?)?;
    let tags = asked.get("logs")?.as_array().filter(|tags| tags.len() <= MAX_NAMED_LOGS)?;
    let tags = tags.iter().map(|tag| from_hex(tag.as_str()?)).collect::<Option<_>>()?;
    Some((nonce, tags))
}

/// Asks whenever something has grown, until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = rounds(&node) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn rounds(node: &Node) {
    let mut changes = node.partition.changes();
    let (mut asked, mut agreed) = (BTreeMap::new(), HashMap::new());
    loop {
        changes.borrow_and_update();
        node.partition.between_frames().await;
        let now = pinned(node);
        if now.iter().any(|(origin, size)| asked.get(origin) != Some(size)) {
            asked = now;
            round(node, &mut agreed).await;
            tokio::time::sleep(ROUND_GAP).await;
            continue;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What is pinned of the logs of partners.
fn pinned(node: &Node) -> BTreeMap<String, u64> {
    let read = node.partition.read(|fold, _| {
        let origins = fold.partners.iter().map(|partner| partner.record.origin.clone());
        let seen = |origin: String| {
            let size = fold.copies.anchor(&origin)?.size;
            Some((origin, size))
        };
        origins.filter_map(seen).collect()
    });
    read.unwrap_or_default()
}

/// What was found to be of one history: who has told of which log, and the root.
type Agreed = HashMap<(String, String), Digest>;

/// Asks every partner once, all at a time.
async fn round(node: &Node, agreed: &mut Agreed) {
    let read = node.partition.read(|fold, store| {
        if fold.behind.check(store.forest()).is_err() {
            return Vec::new();
        }
        let dids = fold.partners.iter().map(|partner| partner.record.did.clone());
        dids.map(|did| (held(fold, &did), did)).collect::<Vec<_>>()
    });
    let mut asking = JoinSet::new();
    for (held, did) in read.unwrap_or_default() {
        if !held.is_empty() {
            let node = node.clone();
            asking.spawn(async move {
                let notes = ask(&node, &did, &held).await.unwrap_or_default();
                (did, held, notes)
            });
        }
    }
    while let Some(done) = asking.join_next().await {
        let Ok((did, held, notes)) = done else { continue };
        for note in &notes {
            weigh(node, &did, &held, note, agreed).await;
        }
        // Of a log that has forked it sends both.
        for (one, two) in notes.iter().zip(notes.iter().skip(1)) {
            if let Some(fork) = Fork::of(one, two)
                && let Some(ours) = held.iter().find(|held| held.origin == fork.about().0)
            {
                divergence::compare(node, &ours.did, one, two, Source::Gossip).await;
            }
        }
    }
}

async fn ask(node: &Node, did: &str, held: &[Held]) -> Option<Vec<String>> {
    let nonce: [u8; 16] = random_bytes().ok()?;
    let logs: Vec<String> = held.iter().map(|held| to_hex(&tag(&nonce, &held.origin))).collect();
    let body = json!({ "nonce": to_hex(&nonce), "logs": logs }).to_string().into_bytes();
    let partner = node.partition.read(|fold, _| fold.partners.get(did).cloned()).ok()?.ok()?;
    let url = format!("{}{SEEN_PATH}", outbox::base(&partner));
    let reply =
        outbox::call(node, did, "POST", url, Vec::new(), body, MAX_SEEN_BYTES).await.ok()?;
    let answer: Value = serde_json::from_slice(&reply.body).ok().filter(|_| reply.status == 200)?;
    let notes = answer.get("notes")?.as_array().filter(|all| all.len() <= 2 * MAX_NAMED_LOGS)?;
    notes.iter().map(|note| note.as_str().map(str::to_owned)).collect()
}

/// Compares what a partner has seen with what we have.
async fn weigh(node: &Node, by: &str, held: &[Held], theirs: &str, agreed: &mut Agreed) {
    let Some(note) = Note::parse(theirs) else { return };
    let Some(ours) = held.iter().find(|held| held.origin == note.checkpoint.origin) else { return };
    let (key, root) = ((by.to_owned(), ours.origin.clone()), note.checkpoint.root);
    if agreed.insert(key, root) != Some(root) {
        divergence::compare(node, &ours.did, &ours.note, theirs, Source::Gossip).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMED_LOGS, question, tag};
    use serde_json::json;
    use twinpact_proof::to_hex;

    #[test]
    fn a_question_names_no_log() {
        let (one, two) =
            (tag(&[1; 16], "a.example/twinpact/1"), tag(&[2; 16], "a.example/twinpact/1"));
        assert_ne!(one, two);
        let asked = |tags: usize| {
            let body = json!({ "nonce": "01".repeat(16), "logs": vec![to_hex(&one); tags] });
            question(body.to_string().as_bytes())
        };
        assert_eq!(asked(1).map(|(nonce, _)| nonce), Some([1; 16]));
        assert!(asked(1).unwrap().1.contains(&one));
        assert!(asked(MAX_NAMED_LOGS).is_some() && asked(MAX_NAMED_LOGS + 1).is_none());
        for bad in ["", "{}", "[]", r#"{"nonce":"01","logs":[]}"#] {
            assert!(question(bad.as_bytes()).is_none(), "{bad}");
        }
        let bad = json!({ "nonce": "01".repeat(16), "logs": ["xyz"] }).to_string();
        assert!(question(bad.as_bytes()).is_none());
    }
}
