//! What somebody else's connector sends us under an agreement, in the format `HttpData-PUSH`: to an
//! address that takes one body, of whoever shows the key that was made for it.
//!
//! As what is fetched ([`crate::fetching`]) it is handed to who asked and not kept, and that it
//! came is on record before it is answered. Whether it is all that there is, the other side says by
//! completing the transfer: what is more than one body, or is ended otherwise, is an error. The key
//! stands in the transfer request and in memory; the log has it no more than it has the keys of
//! others.

use crate::api::Fetched;
use crate::ask::{self, Answer, unknown};
use crate::bargain;
use crate::channel;
use crate::connectors;
use crate::consumer::{refused, wait};
use crate::door::{Asked, Way};
use crate::egress::Egress;
use crate::fetching;
use crate::formats::PUSH;
use crate::ids;
use crate::negotiate::opened_transfer;
use crate::open::Node;
use crate::strangers::Away;
use crate::transfers::{self, Wish};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, State};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::{Digest, sha256};
use twinpact_proof::to_hex;

/// How many addresses may be open at a time.
const MAX_SINKS: usize = 64;
/// For how long the other side may complete the transfer by itself when its data have come.
const COMPLETES: Duration = Duration::from_secs(10);

/// The addresses that are open, by our id of the transfer: from before it is asked for until it is
/// over.
#[derive(Default)]
pub struct Sinks(Mutex<HashMap<String, Sink>>);

struct Sink {
    agreement: String,
    peer: String,
    /// Whether it is to be sent through the door with TLS.
    over_tls: bool,
    key: Digest,
    /// What has come: the digest of all that is taken, and the body.
    came: Option<(Digest, Vec<u8>)>,
    /// Whether more came than one body.
    more: bool,
    told: Arc<Notify>,
}

/// What a body is.
enum Is {
    /// What was asked for.
    New(String),
    /// The same once more: our answer was lost.
    Known,
    /// Another one.
    More,
}

impl Sinks {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Sink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is the key of an address below the door with TLS.
    pub(crate) fn knows(&self, shown: &str) -> bool {
        let key = sha256(shown.as_bytes());
        self.all().values().any(|sink| sink.over_tls && sink.key == key)
    }

    /// Whose address it is, for who shows its key at its door.
    fn peer(&self, pid: &str, shown: Option<&str>, way: Way) -> Option<String> {
        let key = sha256(shown?.as_bytes());
        let all = self.all();
        let sink = all.get(pid).filter(|sink| sink.key == key)?;
        (sink.over_tls == (way == Way::Claims)).then(|| sink.peer.clone())
    }

    fn open(&self, pid: &str, sink: Sink) -> Result<(), Problem> {
        let mut all = self.all();
        if all.len() >= MAX_SINKS {
            let why = format!("{MAX_SINKS} fetches wait for what is to be sent already");
            return Err(Problem::new(codes::EXCHANGE_TOO_MANY, why));
        }
        all.insert(pid.to_owned(), sink);
        Ok(())
    }

    /// What such a body would be.
    fn look(&self, pid: &str, digest: &Digest) -> Option<Is> {
        let mut all = self.all();
        let sink = all.get_mut(pid)?;
        Some(match &sink.came {
            None => Is::New(sink.agreement.clone()),
            Some((known, _)) if known == digest => Is::Known,
            Some(_) => {
                sink.more = true;
                Is::More
            }
        })
    }

    fn put(&self, pid: &str, digest: Digest, body: Vec<u8>) {
        if let Some(sink) = self.all().get_mut(pid) {
            sink.came = Some((digest, body));
            sink.told.notify_one();
        }
    }
}

/// Asks a connector to send what an agreement gives us, and waits until it has. It goes on when who
/// asked goes away, so that the transfer has an end.
///
/// # Errors
/// `exchange.too_many`; `exchange.refused` when the other side ends the transfer, or sends more
/// than one body; `exchange.waiting` when nothing comes in time.
pub(crate) async fn ask(
    node: &Node,
    id: String,
    at_id: String,
    peer: String,
) -> Result<Fetched, Problem> {
    let node = node.clone();
    let asking = tokio::spawn(async move {
        let pid = ids::urn()?;
        let asked = asked(&node, &pid, (&id, &at_id, &peer)).await;
        let sink = node.sinks.all().remove(&pid);
        asked?;
        let sink = sink.ok_or_else(|| refused("nothing has come"))?;
        if sink.more {
            let why = "more than one body came, and one is what an address takes";
            return Err(refused(why).hint("fetch it without --push"));
        }
        let (_, body) =
            sink.came.ok_or_else(|| refused("the transfer was completed, and nothing had come"))?;
        Ok(fetching::shown(id, pid, body))
    });
    asking.await.unwrap_or_else(|_| Err(Problem::new(codes::INTERNAL, "the fetch broke off")))
}

/// Opens address and transfer, and waits for the end of it.
async fn asked(
    node: &Node,
    pid: &str,
    (id, at_id, peer): (&str, &str, &str),
) -> Result<(), Problem> {
    let (us, theirs) = connectors::addresses(node, peer).await?;
    let (key, told) = (to_hex(&ids::random_bytes::<32>()?), Arc::<Notify>::default());
    let sink = Sink {
        agreement: id.to_owned(),
        peer: peer.to_owned(),
        over_tls: node.connectors.signs(peer),
        key: sha256(key.as_bytes()),
        came: None,
        more: false,
        told: Arc::clone(&told),
    };
    node.sinks.open(pid, sink)?;
    let opening = Opening { own_pid: pid, peer, address: &theirs, callback: &us };
    let (address, now) = (connectors::sink_address(&us, pid, &key), node.clocks.wall());
    let step = transfer::open_as_consumer(opening, at_id, PUSH, Some(address), now)?;
    let (ours, entries) = (node.clone(), opened_transfer(&step)?);
    let turn = node.partition.turn(move |turn| {
        bargain::keep_messages(&ours, &step.effects, now);
        turn.log(entries).map(|_| ())
    });
    turn.await?;
    let over = tokio::select! {
        biased;
        over = ended(node, pid) => over,
        () = told.notified() => match timeout(COMPLETES, ended(node, pid)).await {
            Ok(over) => over,
            Err(_) => return completed(node, pid).await,
        },
    };
    if over.as_ref().is_err_and(|problem| problem.code == codes::EXCHANGE_WAITING) {
        let reason = "nobody waits for it any more".to_owned();
        // Before the other side has answered there is nothing to end: what it sends is refused.
        let _ = transfers::decide(node, pid, Wish::Terminate(reason)).await;
    }
    over.map_err(|problem| match problem.code == codes::EXCHANGE_WAITING {
        true => problem.hint("ask again later, or fetch it without --push"),
        false => problem,
    })
}

/// Waits until the transfer is completed.
async fn ended(node: &Node, pid: &str) -> Result<(), Problem> {
    wait(node, pid, |fold| {
        let known = fold.processes.transfers.get(pid)?;
        match known.state {
            State::Completed => Some(Ok(())),
            State::Terminated => Some(Err(channel::terminated(known))),
            State::Requested | State::Started | State::Suspended => None,
        }
    })
    .await
}

/// Completes the transfer of what has come, once the other side has said that it started.
async fn completed(node: &Node, pid: &str) -> Result<(), Problem> {
    let started = wait(node, pid, |fold| {
        let known = fold.processes.transfers.get(pid);
        known.is_none_or(|known| known.state != State::Requested).then_some(Ok(()))
    });
    match started.await {
        Ok(()) => channel::complete(node, pid).await,
        // It has come all the same.
        Err(_) => Ok(()),
    }
}

/// Takes what a connector sends to an address of ours: known by the key of the address alone, as
/// the programs that send for a connector show nothing else.
pub(crate) async fn receive(node: &Node, asked: &Asked, transfer: &str) -> Egress {
    let pid = ask::decoded(transfer).unwrap_or_default();
    let Some(peer) = node.sinks.peer(&pid, asked.bearer.as_deref(), asked.way) else {
        node.strangers.count(Away::Route, node.clocks.wall());
        return unknown().into();
    };
    // What we have asked for is not counted against who brings it; each request is.
    if let Err(problem) = node.rates.request(&peer, 0, node.clocks.wall()) {
        node.strangers.count(Away::PartnerRate, node.clocks.wall());
        return problem.into();
    }
    let answer = match &asked.fault {
        Some(fault) => Answer::unrecorded(fault.clone().into()),
        None => match taken(node, &peer, &pid, &asked.body).await {
            Ok(new) => {
                let taken = Egress::Protocol { status: 200, message: None };
                if new { Answer::recorded(taken) } else { Answer::unrecorded(taken) }
            }
            Err(problem) => Answer::unrecorded(problem.into()),
        },
    };
    ask::on_record(node, &peer, asked, answer).await
}

/// Puts a body on record and gives it to who waits; whether it is new. Who hangs up meanwhile has
/// sent it all the same.
async fn taken(node: &Node, peer: &str, pid: &str, body: &[u8]) -> Result<bool, Problem> {
    let under_way = node.partition.read(|fold, _| {
        let known = fold.processes.transfers.get(pid);
        // It may begin to send before we have heard that it starts.
        known.is_some_and(|known| matches!(known.state, State::Requested | State::Started))
    })?;
    if !under_way {
        return Err(unknown());
    }
    let digest = sha256(body);
    let agreement = match node.sinks.look(pid, &digest).ok_or_else(unknown)? {
        Is::New(agreement) => agreement,
        Is::Known => return Ok(false),
        Is::More => {
            return Err(refused("a body has come there already, and one is what it takes"));
        }
    };
    let entry = fetching::came(peer, &agreement, pid, body);
    let (ours, pid, body) = (node.clone(), pid.to_owned(), body.to_vec());
    let taking = tokio::spawn(async move {
        let sinks = Arc::clone(&ours.sinks);
        let turn = ours.partition.turn(move |turn| {
            // In its turn: two at a time are one after the other.
            match sinks.look(&pid, &digest).ok_or_else(unknown)? {
                Is::New(_) => {}
                Is::Known => return Ok(false),
                Is::More => return Err(refused("another body came at the same time")),
            }
            turn.log(vec![entry])?;
            sinks.put(&pid, digest, body);
            Ok(true)
        });
        turn.await
    });
    taking.await.unwrap_or_else(|_| Err(Problem::new(codes::INTERNAL, "it broke off")))
}
