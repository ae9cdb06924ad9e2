//! A partner's newer record: fetched when something of its cannot be verified with the one that is
//! pinned, and taken when the partner sends it.
//!
//! A newer record is taken by one rule only: a pinned key has signed it (`proof::Trust::add`). So
//! it may come over any line, and is fetched over one on which nobody is believed: that works even
//! when the partner's root has changed. At most one fetch a partner, reason and minute; requests
//! that need the same one wait for it together.

use crate::ask::{Answer, ORGANISATION_PATH};
use crate::egress::{Egress, PublicFault};
use crate::lanes::Lanes;
use crate::open::Node;
use crate::outbound::FirstCall;
use crate::partners;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};
use twinpact_proof::{Digest, Envelope, Record, to_hex};

/// The most bytes of a record that is fetched: a full one has some 40 KiB.
pub const MAX_RECORD_BYTES: usize = 65_536;
/// How long after a fetch the same reason brings no other one, in seconds.
const AGAIN_SECONDS: i64 = 60;

/// Why a partner's record is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A document of its was signed by a key that we do not know.
    Signature,
    /// A proof of its does not hold against what is pinned.
    Proof,
    /// Its certificate does not lead to the pinned root.
    Certificate,
}

/// When each partner was last asked for its record, and who is being asked now.
#[derive(Debug, Default)]
pub struct Looks {
    last: Mutex<HashMap<(String, Reason), WallTime>>,
    lanes: Lanes,
}

impl Looks {
    /// Whether the partner may be asked now; then it was.
    fn may(&self, did: &str, reason: Reason, now: WallTime) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.get(&(did.to_owned(), reason));
        // A clock that was set back makes nobody wait for longer than that.
        let since = before.map(|at| now.0.seconds() - at.0.seconds());
        if since.is_some_and(|seconds| (0..AGAIN_SECONDS).contains(&seconds)) {
            return false;
        }
        last.insert((did.to_owned(), reason), now);
        true
    }
}

/// Looks for a newer record than the one with this fingerprint, which did not do. Says whether
/// there is one now; what keeps it from being found is no error of whoever asked.
pub(crate) async fn look(node: &Node, did: &str, reason: Reason, seen: &Digest) -> bool {
    let lane = node.looks.lanes.of(did);
    let _alone = lane.lock().await;
    match fingerprint(node, did).await {
        None => false,
        // Somebody has brought it meanwhile.
        Some(known) if known != *seen => true,
        Some(_) if !node.looks.may(did, reason, node.clocks.wall()) => false,
        Some(_) => fetch(node, did).await.unwrap_or(false),
    }
}

/// The fingerprint of the record that is pinned.
pub(crate) async fn fingerprint(node: &Node, did: &str) -> Option<Digest> {
    let read = node.partition.read_between(|fold, _| {
        fold.partners.get(did).map(|partner| partner.envelope.fingerprint()).ok()
    });
    read.await.ok().flatten()
}

async fn fetch(node: &Node, did: &str) -> Result<bool, Problem> {
    let dsp = node
        .partition
        .read(|fold, _| fold.partners.get(did).map(|partner| partner.record.dsp.clone()))??;
    let base = dsp.strip_suffix("/dsp").unwrap_or(&dsp).to_owned();
    let body = published(node, base).await?;
    take(node, did, &body).await
}

/// The record that is published at a base URL; whose it is has to be found out from itself.
///
/// # Errors
/// What the outbound port refuses; `peer.answer` when there is none.
pub(crate) async fn published(node: &Node, base: String) -> Result<Vec<u8>, Problem> {
    let call = FirstCall {
        root: None,
        url: format!("{base}{ORGANISATION_PATH}"),
        base,
        method: "GET",
        body: Vec::new(),
        max_bytes: MAX_RECORD_BYTES,
    };
    let none = || Problem::new(codes::INTERNAL, "the node has no way out");
    let reply = node.outbound.get().ok_or_else(none)?.first(call).await?;
    match reply.status {
        200 => Ok(reply.body),
        status => {
            let why = format!("asked for its record, it answers with status {status}");
            Err(Problem::new(codes::PEER_ANSWER, why))
        }
    }
}

/// Whether a record is that partner's newer one, which would be taken; `false` when it is the one
/// that is pinned.
///
/// # Errors
/// `trust.record`; `trust.conflict` when it would not be taken; `partner.unknown`.
pub fn would_take(node: &Node, did: &str, bytes: &[u8]) -> Result<bool, Problem> {
    let (record, envelope) = read_of(did, bytes)?;
    node.partition.read(|fold, _| {
        fold.partners.get(did)?;
        Ok(partners::pinning(node, fold, &record, &envelope, node.clocks.wall())?.is_some())
    })?
}

fn read_of(did: &str, bytes: &[u8]) -> Result<(Record, Envelope), Problem> {
    let (record, envelope) = partners::read_record(bytes)?;
    if record.did != did {
        let why = format!("this is the record of {}, not of {did}", record.did);
        return Err(Problem::new(codes::TRUST_CONFLICT_OWNER, why));
    }
    Ok((record, envelope))
}

/// Takes a record as that partner's newer one; `false` when it is the one that is pinned.
async fn take(node: &Node, did: &str, bytes: &[u8]) -> Result<bool, Problem> {
    let (record, envelope) = read_of(did, bytes)?;
    let (did, now) = (did.to_owned(), node.clocks.wall());
    let ours = node.clone();
    let turn = node.partition.turn(move |turn| {
        // Who was removed meanwhile does not come back by this.
        turn.fold().partners.get(&did)?;
        match partners::pinning(&ours, turn.fold(), &record, &envelope, now)? {
            Some(entry) => turn.log(vec![entry]).map(|_| true),
            None => Ok(false),
        }
    });
    let taken = turn.await?;
    partners::let_in(node)?;
    Ok(taken)
}

/// Answers a partner that sends its newer record.
pub(crate) async fn receive(node: &Node, peer: &PeerIdentity, body: &[u8]) -> Answer {
    let done = || Egress::Protocol { status: 200, message: None };
    let did = peer.did.as_str();
    if let Err(problem) = node.rates.record(did, node.clocks.wall()) {
        return Answer::unrecorded(problem.into());
    }
    match take(node, did, body).await {
        Ok(true) => Answer::recorded(done()),
        Ok(false) => Answer::unrecorded(done()),
        Err(problem) => Answer::unrecorded(Egress::Fault(PublicFault::for_good(&problem))),
    }
}

/// Our own record's fingerprint, as people compare it.
///
/// # Errors
/// `store.stopped`.
pub fn own_fingerprint(node: &Node) -> Result<String, Problem> {
    node.partition.read(|fold, _| {
        fold.organisation.current().map(|(_, envelope)| to_hex(&envelope.fingerprint()))
    })?
}

#[cfg(test)]
mod tests {
    use super::{Looks, Reason};
    use twinpact_model::{Timestamp, WallTime};

    #[test]
    fn a_reason_counts_once_a_minute_for_each_partner() {
        let looks = Looks::default();
        let check = |did: &str, reason: Reason, seconds: i64, expect: bool| {
            let now = WallTime(Timestamp::from_seconds(1_000 + seconds));
            assert_eq!(looks.may(did, reason, now), expect, "{did} {reason:?} {seconds}");
        };
        check("a", Reason::Signature, 0, true);
        check("a", Reason::Signature, 59, false);
        check("a", Reason::Proof, 59, true);
        check("b", Reason::Signature, 59, true);
        check("a", Reason::Signature, 60, true);
        check("a", Reason::Signature, 119, false);
        check("a", Reason::Signature, -500, true);
    }
}
