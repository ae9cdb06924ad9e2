//! What a partner sends us: a view that we asked for in the format `HttpData-PUSH`. Each delivery
//! is verified, signed and stored as one that we fetch, before it is answered.

use crate::api::{Pull, Pulled};
use crate::arrival;
use crate::ask::Answer;
use crate::assertion;
use crate::channel;
use crate::connectors::{self, DSP_PATH};
use crate::consumer::{asserted, granted, refused, wait};
use crate::continuity::{Pins, pins};
use crate::egress::Egress;
use crate::formats::PUSH;
use crate::ids;
use crate::negotiate::opened_transfer;
use crate::open::Node;
use crate::pages::{self, MAX_PAGES, Page};
use crate::pushing::ASSERTION;
use crate::tokens::{HTTP_ENDPOINT, named};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, State};
use twinpact_dsp::{Role, route};
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// What is awaited, by our id of the transfer: in memory only, as the command that waits for it is.
#[derive(Default)]
pub struct Awaited(Mutex<HashMap<String, One>>);

struct One {
    agreement: String,
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
    let assertion = assertion::sign(node, &peer, &id, &purpose, &place)?;
    let (us, theirs) = connectors::addresses(node, &peer)?;
    let (pid, seen) = (ids::urn()?, pins(node, &id, &peer)?);
    let address = address(&us, &pid, pull, (&seen, &assertion));
    let opening = Opening { own_pid: &pid, peer: &peer, address: &theirs, callback: &us };
    let now = node.clocks.wall();
    let step = transfer::open_as_consumer(opening, &at_id, PUSH, Some(address), now)?;
    let one = One { agreement: id.clone(), seen, pages: Vec::new() };
    node.awaited.all().insert(pid.clone(), one);
    let ended = async {
        let entries = opened_transfer(&step)?;
        node.partition.turn(move |turn| turn.log(entries).map(|_| ())).await?;
        wait(node, &pid, |fold| {
            let known = fold.processes.transfers.get(&pid)?;
            match known.state {
                State::Completed => Some(Ok(())),
                State::Terminated => Some(Err(channel::terminated(known))),
                State::Requested | State::Started | State::Suspended => None,
            }
        })
        .await
    };
    let ended = ended.await;
    let came = node.awaited.all().remove(&pid).map_or_else(Vec::new, |one| one.pages);
    ended.map(|()| pages::total(id, came))
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
    let unknown = || Problem::new(codes::ROUTE_UNKNOWN, "there is no such transfer");
    let state = node.partition.read(|fold, _| fold.processes.transfers.get(pid).cloned())?;
    let ours = state.filter(|state| state.party.role == Role::Consumer && state.party.peer == did);
    let state = ours.filter(|state| state.format == PUSH).ok_or_else(unknown)?;
    if state.state != State::Started {
        return Err(refused("the transfer is not started"));
    }
    let gone = || refused("nobody waits for it any more");
    let agreement = node.awaited.all().get(pid).map(|one| one.agreement.clone());
    let agreement = agreement.ok_or_else(gone)?;
    // One at a time: each has to continue what the one before has shown.
    let lane = node.fetching.of(&agreement);
    let _alone = lane.lock().await;
    let seen = {
        let awaited = node.awaited.all();
        let one = awaited.get(pid).ok_or_else(gone)?;
        if one.pages.len() >= MAX_PAGES {
            return Err(pages::too_many());
        }
        one.seen.clone()
    };
    let (page, shown) = arrival::store_sent(node, body, (&agreement, did), seen).await?;
    if let Some(one) = node.awaited.all().get_mut(pid) {
        one.seen = shown;
        one.pages.push(page);
    }
    Ok(())
}
