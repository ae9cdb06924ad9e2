//! We as a witness of our partners' logs (C2SP tlog-witness).
//!
//! A partner sends the newest checkpoint of its own log with the proof that it continues the one
//! that we cosigned last. One checkpoint of each log is kept, durable before the cosignature
//! leaves: so we never cosign two heads of one size, whatever becomes of us in between. The key is
//! made from a key of the node and the id of our log. An older copy of our directory has forgotten
//! what it has cosigned; its successor log has another witness key, and so signs nothing twice.

use crate::behind::MAX_CHECKPOINT_BYTES;
use crate::divergence::{self, Source};
use crate::egress::{Egress, LogDoc, PublicFault};
use crate::fold::Fold;
use crate::open::Node;
use crate::organisation::{host, log_id};
use crate::processes::local;
use std::collections::BTreeMap;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::note::{Checkpoint, Note, cosign};
use twinpact_proof::witness::{Refused, Request, judge};
use twinpact_proof::witness_record::WitnessRecord;
use twinpact_proof::{Envelope, SecretKey};
use twinpact_store::Forest;

/// What we have cosigned last of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The note, with the log's own lines.
    pub note: String,
    /// When we first cosigned it.
    pub recorded: Timestamp,
}

/// What we have cosigned, by origin. There are as many as logs of partners that were ever sent.
#[derive(Debug, Clone, Default)]
pub struct Witnessing {
    by_origin: BTreeMap<String, Cosigned>,
}

impl Witnessing {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        if entry.who.kind != Kind::Cosigned {
            return Ok(());
        }
        let unreadable = || Problem::new(codes::INTERNAL, "a logged checkpoint cannot be read");
        let note = entry.get("checkpoint").ok_or_else(unreadable)?.to_owned();
        let checkpoint = Note::parse(&note).ok_or_else(unreadable)?.checkpoint;
        let recorded = entry.when.recorded;
        let origin = checkpoint.origin.clone();
        self.by_origin.insert(origin, Cosigned { checkpoint, note, recorded });
        Ok(())
    }

    /// What was cosigned last of that log.
    #[must_use]
    pub fn get(&self, origin: &str) -> Option<&Cosigned> {
        self.by_origin.get(origin)
    }

    /// All of them, by origin.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Cosigned)> {
        self.by_origin.iter().map(|(origin, last)| (origin.as_str(), last))
    }
}

/// The name of our witness key: `<host>/witness/<log id>`.
///
/// # Errors
/// `internal` when the log has no tree of events.
pub fn name(node: &Node, forest: &Forest) -> Result<String, Problem> {
    Ok(format!("{}/witness/{}", host(&node.config.organisation), log_id(forest)?))
}

fn key(forest: &Forest) -> Result<SecretKey, Problem> {
    let missing = || Problem::new(codes::INTERNAL, "the log has not opened its trees");
    forest.witness_key().ok_or_else(missing)
}

/// Our signed statement that we are a witness, for whoever wants to pin us as one.
///
/// # Errors
/// `anchor.behind`; `store.stopped`.
pub fn statement(node: &Node) -> Result<Envelope, Problem> {
    node.partition.read(|fold, store| {
        let forest = store.forest();
        fold.behind.check(forest)?;
        let (record, _) = fold.organisation.current()?;
        let said = WitnessRecord {
            did: record.did.clone(),
            name: name(node, forest)?,
            key: key(forest)?.public(),
            issued: record.issued,
        };
        Ok(said.sign(node.signer().key()))
    })?
}

/// What a partner is told.
enum Said {
    /// The cosignature; whether something new was cosigned, and so is on record.
    Cosigned(String, bool),
    /// Why not; with what we have cosigned last of its log.
    Refused(Refused, Option<Cosigned>),
}

/// Answers `add-checkpoint`. The answer, and whether it is on record.
pub(crate) async fn receive(node: &Node, peer: &str, body: &[u8]) -> (Egress, bool) {
    if let Err(problem) = node.rates.cosignature(peer, node.clocks.wall()) {
        return (problem.into(), false);
    }
    let read = std::str::from_utf8(body).ok().and_then(Request::parse);
    let Some((request, note)) = read else {
        let why = "this is no request to cosign a checkpoint";
        return (Problem::new(codes::INPUT_MALFORMED, why).into(), false);
    };
    let text = request.note.clone();
    match add(node, peer, request, note).await {
        Ok(Said::Cosigned(line, new)) => (Egress::Log(LogDoc::Cosignature(line)), new),
        Ok(Said::Refused(refused, last)) => {
            suspect(node, peer, refused, last, text).await;
            (refusal(refused), false)
        }
        Err(problem) => (problem.into(), false),
    }
}

/// Judges and cosigns in one turn: what was cosigned before is what this turn sees.
async fn add(node: &Node, peer: &str, request: Request, note: Note) -> Result<Said, Problem> {
    let (ours, peer, now) = (node.clone(), peer.to_owned(), node.clocks.wall());
    let seconds = u64::try_from(now.0.seconds()).unwrap_or(0);
    let turn = node.partition.turn(move |turn| {
        let (fold, forest) = (turn.fold(), turn.store().forest());
        let record = &fold.partners.get(&peer)?.record;
        fold.divergences.trusted(&note.checkpoint.origin)?;
        let own = record.origin == note.checkpoint.origin;
        let keys = own.then(|| record.unended_keys(now.0.micros()));
        let last = fold.witnessing.get(&note.checkpoint.origin).filter(|_| own);
        let before = last.map(|last| &last.checkpoint);
        if let Err(refused) = judge(before, keys.as_deref(), &request, &note) {
            return Ok(Said::Refused(refused, last.cloned()));
        }
        let line = cosign(&note.checkpoint, &name(&ours, forest)?, &key(forest)?, seconds);
        if before == Some(&note.checkpoint) {
            return Ok(Said::Cosigned(line, false));
        }
        let most = MAX_CHECKPOINT_BYTES / 4 * 3;
        let kept = note.of_log(&keys.unwrap_or_default(), most);
        let kept =
            kept.ok_or_else(|| Problem::new(codes::INPUT_MALFORMED, "the note is too long"))?;
        turn.log(vec![local(
            Kind::Cosigned,
            &peer,
            vec![Attribute::new("checkpoint", "text", kept)],
        )])?;
        Ok(Said::Cosigned(line, true))
    });
    turn.await
}

/// The refusal with the status that the protocol has for it.
fn refusal(refused: Refused) -> Egress {
    let problem = match refused {
        Refused::Stale(size) | Refused::Forked(size) => {
            return Egress::Log(LogDoc::WitnessSize(size));
        }
        Refused::UnknownLog => {
            Problem::new(codes::WITNESS_UNKNOWN, "we witness the present logs of partners only")
        }
        Refused::Untrusted => {
            Problem::new(codes::WITNESS_SIGNATURE, "no key of your record has signed it")
        }
        Refused::Backwards => {
            Problem::new(codes::INPUT_MALFORMED, "the old size is above that of the checkpoint")
        }
        Refused::Inconsistent => Problem::new(
            codes::WITNESS_PROOF,
            "the proof does not lead from what we cosigned last to this checkpoint",
        ),
    };
    Egress::Fault(PublicFault::with_status(&problem, refused.status()))
}

/// A second head of one size is evidence at once; what does not continue is asked about, while
/// whoever sent it has its answer.
async fn suspect(node: &Node, peer: &str, refused: Refused, last: Option<Cosigned>, sent: String) {
    let Some(last) = last else { return };
    match refused {
        Refused::Forked(_) => {
            divergence::compare(node, peer, &last.note, &sent, Source::Witness).await;
        }
        Refused::Inconsistent => {
            let (node, peer) = (node.clone(), peer.to_owned());
            tokio::spawn(async move {
                divergence::compare(&node, &peer, &last.note, &sent, Source::Witness).await;
            });
        }
        Refused::UnknownLog | Refused::Untrusted | Refused::Backwards | Refused::Stale(_) => {}
    }
}

/// What we have cosigned last of the asker's own log.
///
/// # Errors
/// `log.size` when there is nothing; `partner.unknown`.
pub(crate) fn last_of(fold: &Fold, peer: &str) -> Result<String, Problem> {
    let origin = &fold.partners.get(peer)?.record.origin;
    let none = || Problem::new(codes::LOG_SIZE, "we have cosigned nothing of your log");
    fold.witnessing.get(origin).map(|last| last.note.clone()).ok_or_else(none)
}
