//! The sender: woken by the commit that wrote an outbox row, never by polling.
//!
//! Messages of one process go out in their order, one at a time; processes do not wait for each
//! other. Whether an answer means "arrived", "come again" or "never" is the protocol's business
//! ([`twinpact_dsp::delivery`]); what it does to the process is logged with the row that it
//! settles.

use crate::bargain;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::outbound::{Call, Reply};
use crate::partners;
use crate::processes::{Pending, outbox_done};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use twinpact_dsp::delivery::{Delivery, classify_response};
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message, negotiation, transfer};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// Sends until told to stop. What is under way then is sent again after the next start.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    let mut busy: HashSet<String> = HashSet::new();
    let mut sending: JoinSet<String> = JoinSet::new();
    loop {
        changes.borrow_and_update();
        for (number, pending) in next_of_each(&node) {
            if busy.insert(pending.pid.clone()) {
                let node = node.clone();
                sending.spawn(async move {
                    deliver(&node, number, &pending).await;
                    pending.pid
                });
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            Some(done) = sending.join_next() => {
                if let Ok(pid) = done { busy.remove(&pid); }
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// The oldest waiting message of each process.
fn next_of_each(node: &Node) -> Vec<(u64, Pending)> {
    let read = node.partition.read(|fold, _| {
        let mut first: BTreeMap<&str, (u64, &Pending)> = BTreeMap::new();
        for (number, pending) in &fold.processes.outbox {
            first.entry(&pending.pid).or_insert((*number, pending));
        }
        first.into_values().map(|(n, pending)| (n, pending.clone())).collect::<Vec<_>>()
    });
    read.unwrap_or_default()
}

async fn deliver(node: &Node, number: u64, pending: &Pending) {
    let message = pending.message.clone().or_else(|| node.secrets.message(&pending.pid));
    let Some(message) = message else {
        // Its token was in memory only, and the node has stopped since.
        return settle(node, number, pending, Err("its token did not survive a stop")).await;
    };
    for attempt in 1.. {
        let reply = send(node, pending, &message).await;
        let (status, text) = match &reply {
            Ok(reply) => (Some(reply.status), String::from_utf8_lossy(&reply.body).into_owned()),
            Err(problem) => (None, problem.message.clone()),
        };
        match classify_response(status, &text, attempt) {
            Delivery::Delivered => {
                let answer = Message::parse_bytes(text.as_bytes()).ok();
                return settle(node, number, pending, Ok(answer)).await;
            }
            Delivery::GiveUp { reason } => {
                return settle(node, number, pending, Err(&reason)).await;
            }
            Delivery::Retry { after_ms } => {
                tokio::time::sleep(Duration::from_millis(after_ms)).await;
            }
        }
    }
}

async fn send(node: &Node, pending: &Pending, message: &Message) -> Result<Reply, Problem> {
    let body = message.to_json().to_string().into_bytes();
    let url = format!("{}{}", pending.to, pending.path);
    call(node, &pending.peer, "POST", url, Vec::new(), body, MAX_MESSAGE_BYTES).await
}

/// Calls a partner at an endpoint of its pinned record.
///
/// # Errors
/// `partner.unknown`; what the outbound port refuses; `internal` when there is none.
pub async fn call(
    node: &Node,
    peer: &str,
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    max_bytes: usize,
) -> Result<Reply, Problem> {
    let partner = node.partition.read(|fold, _| fold.partners.get(peer).cloned())??;
    let dsp = partner.record.dsp.clone();
    let base = dsp.strip_suffix("/dsp").unwrap_or(&dsp).to_owned();
    let trust_domain = partners::trust_domain(&partner)?;
    let call = Call { trust_domain, pinned: vec![base], method, url, headers, body, max_bytes };
    let outbound = node.outbound.get().cloned();
    let none = || Problem::new(codes::INTERNAL, "the node has no way out");
    outbound.ok_or_else(none)?.call(call).await
}

/// Tells the process what became of its message, and logs both together.
async fn settle(
    node: &Node,
    number: u64,
    pending: &Pending,
    outcome: Result<Option<Message>, &str>,
) {
    let id = pending.id.clone();
    node.secrets.forget_message(&id);
    let (pid, peer) = (pending.pid.clone(), pending.peer.clone());
    let outcome = outcome.map_err(str::to_owned);
    let now = node.clocks.wall();
    // When the log has stopped there is nobody to tell.
    let _ = node
        .partition
        .turn(move |turn| {
            let mut entries = vec![outbox_done(&peer, number)];
            match find(turn.fold(), &pid) {
                Some(Process::Negotiation(state)) => {
                    let input = match &outcome {
                        Ok(answer) => {
                            negotiation::Input::Delivered { id: &id, answer: answer.as_ref() }
                        }
                        Err(reason) => negotiation::Input::Undelivered { id: &id, reason },
                    };
                    if let Ok(step) = negotiation::step(&state, input, now)
                        && step.next != *state
                    {
                        entries.extend(bargain::negotiation_entries(&step, None)?);
                    }
                }
                Some(Process::Transfer(state)) => {
                    let input = match &outcome {
                        Ok(answer) => {
                            transfer::Input::Delivered { id: &id, answer: answer.as_ref() }
                        }
                        Err(reason) => transfer::Input::Undelivered { id: &id, reason },
                    };
                    if let Ok(step) = transfer::step(&state, input, now)
                        && step.next != *state
                    {
                        entries.extend(bargain::transfer_entries(&step, None)?);
                    }
                }
                None => {}
            }
            turn.log(entries).map(|_| ())
        })
        .await;
}
