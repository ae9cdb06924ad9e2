//! What somebody else's connector sends us under an agreement, in the format `HttpData-PUSH`: to an
//! address that takes one body, of whoever shows the key that was made for it.
//!
//! As what is fetched ([`crate::fetching`]) it is handed to who asked and not kept, and that it
//! came is on record before it is answered. The key stands in the transfer request and in memory;
//! the log has it no more than it has the keys of others.

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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, State};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::{Digest, sha256};
use twinpact_proof::to_hex;

/// For how long the other side may complete the transfer by itself when its data have come.
const COMPLETES: Duration = Duration::from_secs(1);

/// The addresses that are open, by our id of the transfer: for as long as somebody waits there.
#[derive(Default)]
pub struct Sinks(Mutex<HashMap<String, Sink>>);

struct Sink {
    agreement: String,
    peer: String,
    key: Digest,
    /// Who waits; nobody once the body has come.
    waits: Option<oneshot::Sender<Vec<u8>>>,
}

impl Sinks {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Sink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is the key of an address at which somebody waits.
    pub(crate) fn knows(&self, shown: &str) -> bool {
        let key = sha256(shown.as_bytes());
        self.all().values().any(|sink| sink.key == key && sink.waits.is_some())
    }

    /// Whose address it is, for who shows its key.
    fn peer(&self, pid: &str, shown: Option<&str>) -> Option<String> {
        let key = sha256(shown?.as_bytes());
        self.all().get(pid).filter(|sink| sink.key == key).map(|sink| sink.peer.clone())
    }

    /// The agreement and who waits, once.
    fn take(&self, pid: &str) -> Option<(String, oneshot::Sender<Vec<u8>>)> {
        let mut all = self.all();
        let sink = all.get_mut(pid)?;
        let waits = sink.waits.take().filter(|waits| !waits.is_closed())?;
        Some((sink.agreement.clone(), waits))
    }

    fn give_back(&self, pid: &str, waits: oneshot::Sender<Vec<u8>>) {
        if let Some(sink) = self.all().get_mut(pid) {
            sink.waits = Some(waits);
        }
    }
}

/// An address for as long as somebody waits at it.
struct Open<'a> {
    sinks: &'a Sinks,
    pid: &'a str,
}

impl<'a> Open<'a> {
    fn begin(sinks: &'a Sinks, pid: &'a str, sink: Sink) -> Open<'a> {
        sinks.all().insert(pid.to_owned(), sink);
        Open { sinks, pid }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.sinks.all().remove(self.pid);
    }
}

/// Asks a connector to send what an agreement gives us, and waits until it has.
///
/// # Errors
/// `exchange.refused` when it ends the transfer; `exchange.waiting` when nothing comes in time, and
/// then the transfer is ended.
pub(crate) async fn ask(
    node: &Node,
    (id, at_id, peer): (String, &str, &str),
) -> Result<Fetched, Problem> {
    let (us, theirs) = connectors::addresses(node, peer).await?;
    let (pid, key) = (ids::urn()?, to_hex(&ids::random_bytes::<32>()?));
    let (waits, comes) = oneshot::channel();
    let of_key = sha256(key.as_bytes());
    let sink =
        Sink { agreement: id.clone(), peer: peer.to_owned(), key: of_key, waits: Some(waits) };
    let _open = Open::begin(&node.sinks, &pid, sink);
    let opening = Opening { own_pid: &pid, peer, address: &theirs, callback: &us };
    let (address, now) = (connectors::sink_address(&us, &pid, &key), node.clocks.wall());
    let step = transfer::open_as_consumer(opening, at_id, PUSH, Some(address), now)?;
    bargain::keep_messages(node, &step.effects, now);
    let entries = opened_transfer(&step)?;
    node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await?;
    let body = tokio::select! {
        biased;
        body = comes => body.map_err(|_| refused("nobody waits for it any more"))?,
        problem = in_vain(node, &pid) => return Err(problem),
    };
    completed(node, &pid).await?;
    Ok(fetching::shown(id, pid.clone(), body))
}

/// Why nothing comes, once that is certain.
async fn in_vain(node: &Node, pid: &str) -> Problem {
    let ended = wait(node, pid, |fold| {
        let known = fold.processes.transfers.get(pid)?;
        let nothing = "the transfer was completed, and nothing had come";
        match known.state {
            State::Completed => Some(Err(refused(nothing))),
            State::Terminated => Some(Err(channel::terminated(known))),
            State::Requested | State::Started | State::Suspended => None::<Result<(), Problem>>,
        }
    });
    let Err(problem) = ended.await else { return refused("nothing has come") };
    if problem.code != codes::EXCHANGE_WAITING {
        return problem;
    }
    let reason = "nobody waits for it any more".to_owned();
    // Before the other side has answered there is nothing to end.
    let _ = transfers::decide(node, pid, Wish::Terminate(reason)).await;
    problem.hint("ask again later, or fetch it without --push")
}

/// Completes the transfer, unless the other side does.
async fn completed(node: &Node, pid: &str) -> Result<(), Problem> {
    let over = wait(node, pid, |fold| {
        let over = fold.processes.transfers.get(pid).is_none_or(|known| known.state.is_final());
        over.then_some(Ok(()))
    });
    match timeout(COMPLETES, over).await {
        Ok(over) => over,
        // Who refuses that has its data taken all the same.
        Err(_) => channel::complete(node, pid).await.or(Ok(())),
    }
}

/// Takes what a connector sends to an address of ours: known by the key of the address alone, as
/// the programs that send for a connector show nothing else.
pub(crate) async fn receive(node: &Node, asked: &Asked, transfer: &str) -> Egress {
    let pid = ask::decoded(transfer).unwrap_or_default();
    let peer = node.sinks.peer(&pid, asked.bearer.as_deref());
    // Each through the door that it is configured for.
    let Some(peer) = peer.filter(|peer| node.connectors.signs(peer) == (asked.way == Way::Claims))
    else {
        node.strangers.count(Away::Route, node.clocks.wall());
        return unknown().into();
    };
    if let Err(problem) = node.rates.request(&peer, 0, node.clocks.wall()) {
        node.strangers.count(Away::PartnerRate, node.clocks.wall());
        return problem.into();
    }
    let answer = match &asked.fault {
        Some(fault) => Answer::unrecorded(fault.clone().into()),
        None => match taken(node, &peer, &pid, &asked.body).await {
            Ok(()) => Answer::recorded(Egress::Protocol { status: 200, message: None }),
            Err(problem) => Answer::unrecorded(problem.into()),
        },
    };
    ask::on_record(node, &peer, asked, answer).await
}

async fn taken(node: &Node, peer: &str, pid: &str, body: &[u8]) -> Result<(), Problem> {
    let under_way = node.partition.read(|fold, _| {
        let known = fold.processes.transfers.get(pid);
        // It may begin to send before we have heard that it starts.
        known.is_some_and(|known| matches!(known.state, State::Requested | State::Started))
    })?;
    if !under_way {
        return Err(unknown());
    }
    let (agreement, waits) = node.sinks.take(pid).ok_or_else(unknown)?;
    let entry = fetching::came(peer, &agreement, pid, body);
    let turn = node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ()));
    if let Err(problem) = turn.await {
        node.sinks.give_back(pid, waits);
        return Err(problem);
    }
    waits.send(body.to_vec()).map_err(|_| unknown())
}
