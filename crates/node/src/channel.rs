//! The transfer through which we pull under an agreement: one, opened when it is needed first, kept
//! open, its token refreshed. A partner that cannot refresh, or has forgotten the transfer, is
//! asked for a new one, and the old one is completed.

use crate::agreements;
use crate::bargain;
use crate::connectors;
use crate::consumer::{denied, refused as ended_with, wait};
use crate::fold::Fold;
use crate::formats;
use crate::ids;
use crate::negotiate::opened_transfer;
use crate::open::Node;
use crate::outbox::call;
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, Decision, Input, State, Transfer};
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message, Role, route};
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// How long we use a token: its ten minutes less one, which is left for the way.
const TOKEN_SECONDS: i64 = 540;

/// Where to pull from, and with what.
pub(crate) struct Way {
    /// Our id of the transfer.
    pub(crate) pid: String,
    /// The data address, inside the partner's pinned record.
    pub(crate) url: String,
    /// The access token.
    pub(crate) token: String,
}

/// What a transfer of ours is good for now.
enum Channel {
    Ready(Way),
    /// It has started, and we have no token for it that is still good; the partner's id of it.
    Stale(String),
}

/// The way to the view of an agreement with this partner.
///
/// # Errors
/// The partner's refusal; `exchange.waiting` when it does not answer.
pub(crate) async fn open(node: &Node, at_id: &str, peer: &str) -> Result<Way, Problem> {
    let pid = transfer_of(node, at_id, peer).await?;
    if let Channel::Ready(way) = look(node, &pid).await? {
        return Ok(way);
    }
    // One at a time: a second refresh would drop the token that the first one brought.
    let turn = node.secrets.refreshing.of(&pid);
    let refreshing = turn.lock().await;
    match look(node, &pid).await? {
        Channel::Ready(way) => return Ok(way),
        Channel::Stale(theirs) if refreshed(node, peer, &pid, &theirs).await? => {}
        Channel::Stale(_) => complete(node, &pid).await?,
    }
    drop(refreshing);
    let pid = transfer_of(node, at_id, peer).await?;
    match look(node, &pid).await? {
        Channel::Ready(way) => Ok(way),
        Channel::Stale(_) => Err(ended_with("the transfer has no token that is good")),
    }
}

async fn look(node: &Node, pid: &str) -> Result<Channel, Problem> {
    wait(node, pid, |fold| channel(node, fold, pid, node.clocks.wall())).await
}

/// Our transfer under the agreement that is under way, or a new one.
async fn transfer_of(node: &Node, at_id: &str, peer: &str) -> Result<String, Problem> {
    let (us, address) = connectors::addresses(node, peer).await?;
    let (at_id, peer, now) = (at_id.to_owned(), peer.to_owned(), node.clocks.wall());
    let turn = node.partition.turn(move |turn| {
        let mut under_way = turn.fold().processes.transfers_under(&at_id);
        let pulls = |t: &&Transfer| t.party.role == Role::Consumer && t.format == formats::PULL;
        if let Some(known) = under_way.find(pulls) {
            return Ok(known.party.own_pid.clone());
        }
        drop(under_way);
        let pid = ids::urn()?;
        let opening = Opening { own_pid: &pid, peer: &peer, address: &address, callback: &us };
        let step = transfer::open_as_consumer(opening, &at_id, formats::PULL, None, now)?;
        turn.log(opened_transfer(&step)?)?;
        Ok(pid)
    });
    turn.await
}

/// What a transfer is good for, once it has started or ended.
fn channel(node: &Node, fold: &Fold, pid: &str, now: WallTime) -> Option<Result<Channel, Problem>> {
    let state = fold.processes.transfers.get(pid)?;
    match state.state {
        State::Requested => None,
        State::Terminated => Some(Err(terminated(state))),
        State::Suspended | State::Completed => {
            Some(Err(ended_with("the partner has suspended or completed the transfer")))
        }
        State::Started => Some(started(node, fold, state, now)),
    }
}

pub(crate) fn terminated(state: &Transfer) -> Problem {
    let ended = state.ended.as_ref();
    let why = ended.map_or(String::new(), |ended| ended.reason.join("; "));
    match ended.and_then(|ended| codes::find(ended.code.as_deref()?)) {
        Some(code) if code == codes::POLICY_REVOKED => Problem::new(code, why),
        _ => ended_with(&format!("the transfer ended: {why}")),
    }
}

fn started(node: &Node, fold: &Fold, state: &Transfer, now: WallTime) -> Result<Channel, Problem> {
    let (pid, theirs) = (&state.party.own_pid, &state.party.peer_pid);
    let stale = || Ok(Channel::Stale(theirs.clone().unwrap_or_default()));
    let Some((address, since)) = node.secrets.address(pid) else { return stale() };
    if since.0.plus_seconds(TOKEN_SECONDS) <= now.0 {
        return stale();
    }
    let way = way(node, fold, state, &address);
    if way.is_err() {
        // It is no better next time: then the partner is asked for another one.
        node.secrets.forget_address(pid);
    }
    way.map(Channel::Ready)
}

/// What a data address is good for.
fn way(node: &Node, fold: &Fold, state: &Transfer, address: &DataAddress) -> Result<Way, Problem> {
    let provider = connectors::participant(node, fold, &state.party.peer)?;
    let url = bargain::address_of(state, address, &provider)?;
    // It becomes a header: what could not stand there is no token.
    let token = address.property("authorization").filter(|token| is_token(token));
    let none = || ended_with("the data address has no token").hint(bargain::ASK);
    let token = token.ok_or_else(none)?.to_owned();
    Ok(Way { pid: state.party.own_pid.clone(), url, token })
}

/// Whether a text can stand behind `Bearer` (RFC 6750 §2.1).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Asks the partner for a fresh token; `false` when it does not know how, or not this transfer.
async fn refreshed(node: &Node, peer: &str, pid: &str, theirs: &str) -> Result<bool, Problem> {
    if node.connectors.knows(peer) {
        // How that is done is no part of the protocol.
        return Ok(false);
    }
    let (_, address) = connectors::addresses(node, peer).await?;
    let base = address.strip_suffix("/dsp").unwrap_or(&address);
    let url = format!("{base}/data/{}/token", route::segment(theirs));
    let now = node.clocks.wall();
    let reply = call(node, peer, "POST", url, Vec::new(), Vec::new(), MAX_MESSAGE_BYTES).await?;
    match (reply.status, Message::parse_bytes(&reply.body)) {
        (200, Ok(Message::TransferStart(start))) => {
            let Some(address) = start.data_address else { return Ok(false) };
            node.secrets.keep_address(pid, address, now);
            Ok(true)
        }
        (403 | 409 | 429 | 500.., _) => Err(denied(&reply.body, reply.status)),
        _ => Ok(false),
    }
}

/// Completes the transfers through which we pull under an agreement; the next pull opens a new one.
///
/// # Errors
/// `agreement.unknown`; `store.stopped`.
pub async fn finish(node: &Node, agreement: &str) -> Result<(), Problem> {
    let pids = node.partition.read_between(|fold, _| {
        let known = fold.agreements.get(agreement)?;
        let under_way = fold.processes.transfers_under(&known.wire.id);
        let ours = under_way.filter(|transfer| transfer.party.role == Role::Consumer);
        Ok::<_, Problem>(ours.map(|ours| ours.party.own_pid.clone()).collect::<Vec<_>>())
    });
    for pid in pids.await?? {
        complete(node, &pid).await?;
    }
    Ok(())
}

/// Completes a transfer of ours that is of no use any more.
pub(crate) async fn complete(node: &Node, pid: &str) -> Result<(), Problem> {
    node.secrets.forget_address(pid);
    let (pid, now) = (pid.to_owned(), node.clocks.wall());
    let turn = node.partition.turn(move |turn| {
        let Some(state) = turn.fold().processes.transfers.get(&pid) else { return Ok(()) };
        // A message of ours that has not arrived yet leaves an end as the only way.
        let end = || Decision::Terminate {
            code: codes::EXCHANGE_REFUSED.name.to_owned(),
            reason: "the transfer is of no use any more".to_owned(),
        };
        let step = transfer::step(state, Input::Decide(Decision::Complete), now)
            .or_else(|_| transfer::step(state, Input::Decide(end()), now));
        match step {
            Ok(step) => turn.log(bargain::transfer_entries(&step, None)?).map(|_| ()),
            Err(_) => Ok(()),
        }
    });
    turn.await
}

/// What a refused request says about token, transfer and agreement.
pub(crate) async fn refused(
    node: &Node,
    (pid, token): (&str, &str),
    (peer, at_id): (&str, &str),
    problem: &Problem,
) -> Result<(), Problem> {
    if problem.code.within(codes::POLICY_TOKEN) {
        node.secrets.forget_token(pid, token);
    }
    if problem.code == codes::ROUTE_UNKNOWN {
        complete(node, pid).await?;
    }
    if problem.code == codes::POLICY_REVOKED {
        let (peer, at_id) = (peer.to_owned(), at_id.to_owned());
        let turn = node.partition.turn(move |turn| {
            match agreements::ended_by_partner(turn.fold(), &peer, &at_id) {
                Some(entry) => turn.log(vec![entry]).map(|_| ()),
                None => Ok(()),
            }
        });
        turn.await?;
    }
    Ok(())
}
