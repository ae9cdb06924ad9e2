//! What a partner sends us: a view that we asked for in the format `HttpData-PUSH`. Each delivery
//! is verified, signed and stored as one that we fetch, before it is answered.

use crate::api::{Pull, Pulled};
use crate::arrival;
use crate::ask::Answer;
use crate::assertion;
use crate::bargain;
use crate::channel;
use crate::connectors::{self, DSP_PATH};
use crate::consumer::{asserted, granted, refused, wait};
use crate::continuity::{Pins, pins};
use crate::door::Asked;
use crate::egress::Egress;
use crate::formats::PUSH;
use crate::ids;
use crate::negotiate::opened_transfer;
use crate::open::Node;
use crate::pages::{self, MAX_PAGES, Page};
use crate::pushing::ASSERTION;
use crate::tokens::{HTTP_ENDPOINT, named};
use crate::transfers::{self, Wish};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, State, Transfer};
use twinpact_dsp::{Role, route};
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_policy::MAX_ASSERTION_S;

/// What is awaited, by our id of the transfer: in memory only, as the command that waits for it is.
#[derive(Default)]
pub struct Awaited(Mutex<HashMap<String, One>>);

struct One {
    agreement: String,
    peer: String,
    /// Whose turn it is: each delivery has to continue what the one before has shown.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// What the next delivery has to continue.
    seen: Pins,
    pages: Vec<Page>,
}

impl Awaited {
    fn all(&self) -> MutexGuard<'_, HashMap<String, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a partner to send a view under an agreement, and waits until it has.
///
/// # Errors
/// As [`crate::consumer::pull`]; `exchange.refused` when the partner ends the transfer.
pub async fn ask(node: &Node, pull: &Pull) -> Result<Pulled, Problem> {
    let (id, at_id, peer) = node.partition.read(|fold, _| granted(fold, &pull.agreement))??;
    if node.connectors.knows(&peer) {
        let why = format!("{peer} is no partner, whose data come with proofs");
        return Err(refused(&why).hint(format!("twinpact fetch {}", pull.agreement)));
    }
    if pull.after.is_some() {
        return Err(refused("what is sent begins with the first row"));
    }
    let (purpose, place) = asserted(node, pull.purpose.as_ref(), pull.place.as_ref())?;
    let (us, theirs) = connectors::addresses(node, &peer).await?;
    let pid = ids::urn()?;
    // Nothing else comes under this agreement meanwhile: each delivery continues the one before.
    let lane = node.fetching.of(&id);
    let _alone = lane.lock().await;
    let seen = pins(node, &id, &peer)?;
    let (whose, what) = ((peer.as_str(), id.as_str()), (purpose.as_str(), place.as_str()));
    let assertion = assertion::sign_for(node, whose, what, MAX_ASSERTION_S)?;
    let address = address(&us, &pid, pull, (&seen, &assertion));
    let opening = Opening { own_pid: &pid, peer: &peer, address: &theirs, callback: &us };
    let now = node.clocks.wall();
    let step = transfer::open_as_consumer(opening, &at_id, PUSH, Some(address), now)?;
    let waiting = Waiting::begin(node, &pid, (&id, &peer), seen);
    bargain::keep_messages(node, &step.effects, now);
    let entries = opened_transfer(&step)?;
    node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await?;
    let ended = ended(node, &pid).await;
    let came = waiting.end();
    ended.map(|()| pages::total(id, came))
}

/// Waits for the end of the transfer, for as long as something comes. What does not come in time is
/// not waited for any more, and the partner is told so.
async fn ended(node: &Node, pid: &str) -> Result<(), Problem> {
    let mut came = 0;
    loop {
        let waited = wait(node, pid, |fold| {
            let known = fold.processes.transfers.get(pid)?;
            match known.state {
                State::Completed => Some(Ok(())),
                State::Terminated => Some(Err(channel::terminated(known))),
                State::Requested | State::Started | State::Suspended => None,
            }
        });
        match waited.await {
            Err(problem) if problem.code == codes::EXCHANGE_WAITING => {
                let now = node.awaited.all().get(pid).map_or(0, |one| one.pages.len());
                if now > came {
                    came = now;
                    continue;
                }
                let reason = "nobody waits for it any more".to_owned();
                // Before the partner has answered there is nothing to end.
                let _ = transfers::decide(node, pid, Wish::Terminate(reason)).await;
                return Err(problem.hint("ask again later, or fetch it without --push"));
            }
            ended => return ended,
        }
    }
}

/// What is awaited for as long as somebody waits: whoever goes takes it away.
struct Waiting<'a> {
    node: &'a Node,
    pid: &'a str,
}

impl<'a> Waiting<'a> {
    fn begin(node: &'a Node, pid: &'a str, (id, peer): (&str, &str), seen: Pins) -> Waiting<'a> {
        let one = One {
            agreement: id.to_owned(),
            peer: peer.to_owned(),
            turn: Arc::default(),
            seen,
            pages: Vec::new(),
        };
        node.awaited.all().insert(pid.to_owned(), one);
        Waiting { node, pid }
    }

    /// What has come.
    fn end(self) -> Vec<Page> {
        let mut all = self.node.awaited.all();
        all.get_mut(self.pid).map_or_else(Vec::new, |one| std::mem::take(&mut one.pages))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.node.awaited.all().remove(self.pid);
    }
}

/// Whether a request of this partner brings what is awaited: then its size is what we asked for.
pub(crate) fn is_awaited(node: &Node, peer: &str, asked: &Asked) -> bool {
    let data = asked.path.strip_prefix("/data/").filter(|_| asked.method == "POST");
    let Some(pid) = data.and_then(crate::ask::decoded) else { return false };
    node.awaited.all().get(&pid).is_some_and(|one| one.peer == peer)
}

/// Where it is to be sent, and what a request for a page says in its query and its headers.
fn address(us: &str, pid: &str, pull: &Pull, (seen, assertion): (&Pins, &str)) -> DataAddress {
    let base = us.strip_suffix(DSP_PATH).unwrap_or(us);
    let mut properties = named("", [(ASSERTION, assertion)]);
    let mut say = |name: &str, value: Option<String>| {
        properties.extend(value.map(|value| (name.to_owned(), value)));
    };
    say("since", pull.since.map(|time| time.to_string()));
    say("until", pull.until.map(|time| time.to_string()));
    say("twin", pull.twin.as_ref().map(ToString::to_string));
    say("anchor", seen.anchor.map(|seen| seen.size.to_string()));
    say("ledger", seen.ledger.as_ref().map(|pin| pin.seen.size.to_string()));
    DataAddress {
        endpoint_type: HTTP_ENDPOINT.to_owned(),
        endpoint: Some(format!("{base}/data/{}", route::segment(pid))),
        properties,
    }
}

/// Takes a delivery of a partner. It is stored when this is answered.
pub(crate) async fn receive(node: &Node, peer: &PeerIdentity, pid: &str, body: &[u8]) -> Answer {
    match taken(node, peer.did.as_str(), pid, body).await {
        Ok(()) => Answer::recorded(Egress::Protocol { status: 200, message: None }),
        Err(problem) => Answer::unrecorded(problem.into()),
    }
}

async fn taken(node: &Node, did: &str, pid: &str, body: &[u8]) -> Result<(), Problem> {
    let unknown = || Problem::new(codes::ROUTE_UNKNOWN, "nothing is awaited there");
    let state = node.partition.read(|fold, _| fold.processes.transfers.get(pid).cloned())?;
    let ours = state.filter(|state| state.party.role == Role::Consumer && state.party.peer == did);
    let started = |state: &Transfer| state.format == PUSH && state.state == State::Started;
    ours.filter(started).ok_or_else(unknown)?;
    let awaited =
        || node.awaited.all().get(pid).map(|one| (one.agreement.clone(), one.turn.clone()));
    let (agreement, turn) = awaited().ok_or_else(unknown)?;
    let _alone = turn.lock().await;
    let seen = {
        let awaited = node.awaited.all();
        let one = awaited.get(pid).ok_or_else(unknown)?;
        if one.pages.len() >= MAX_PAGES {
            return Err(pages::too_many());
        }
        one.seen.clone()
    };
    let stored = arrival::store_sent(node, body, (&agreement, did), seen).await?;
    // What is sent again because our answer was lost is there already.
    if let (Some((page, shown)), Some(one)) = (stored, node.awaited.all().get_mut(pid)) {
        one.seen = shown;
        one.pages.push(page);
    }
    Ok(())
}
