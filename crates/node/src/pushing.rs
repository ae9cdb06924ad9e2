//! What we send as provider: the view of a transfer of the format `HttpData-PUSH`, delivery by
//! delivery to the consumer's own address, and the completion when all of it was taken.
//!
//! It is the stream of the view with another way out: each delivery is decided, logged and proven
//! in a turn of its own before it leaves, and none leaves after the policy has flipped. Where to
//! send may hold a secret, and is kept in memory only: a node that was started again ends the
//! transfer, and says why.

use crate::answer::Ask;
use crate::bargain;
use crate::connectors;
use crate::consumer::denied;
use crate::egress::Item;
use crate::formats::PUSH;
use crate::open::Node;
use crate::outbox::call;
use crate::stream;
use crate::tokens;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::transfer::{self, Decision, Input, State};
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, Timestamp, codes};

/// The property of an address with the consumer's signed assertion of purpose and place.
pub(crate) const ASSERTION: &str = "twinpact-assertion";
/// How often a delivery is sent that is not taken, and the rest after the first time; it doubles.
const MAX_SENDS: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(1);

/// Sends what is to be sent until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    let mut running: HashMap<String, AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let due = node.partition.read(|fold, _| {
            let pids = fold.processes.to_send().map(|known| known.party.own_pid.clone());
            pids.collect::<Vec<_>>()
        });
        let Ok(due) = due else { return };
        running.retain(|_, task| !task.is_finished());
        for pid in due {
            let one = send(node.clone(), pid.clone());
            running.entry(pid).or_insert_with(|| tasks.spawn(one));
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            Some(_) = tasks.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    tasks.shutdown().await;
}

/// Sends all of one transfer, and says how it ended.
async fn send(node: Node, pid: String) {
    let decision = match sent(&node, &pid).await {
        Ok(()) => Decision::Complete,
        Err(problem) => Decision::Terminate {
            code: problem.code.name.to_owned(),
            reason: bargain::brief(&problem.message),
        },
    };
    let now = node.clocks.wall();
    let (ours, name) = (node.clone(), pid.clone());
    let turn = node.partition.turn(move |turn| {
        // Who has suspended or ended it meanwhile has said what is to be.
        let state = turn.fold().processes.transfers.get(&name);
        let Some(state) = state.filter(|state| state.state == State::Started) else {
            return Ok(());
        };
        let step = transfer::step(state, Input::Decide(decision), now)?;
        bargain::keep_messages(&ours, &step.effects, now);
        turn.log(bargain::transfer_entries(&step, None)?).map(|_| ())
    });
    if turn.await.is_ok() {
        return;
    }
    // What could not be decided is looked at again with the next commit; not in circles.
    tokio::time::sleep(FIRST_REST).await;
}

/// Sends until there is nothing more.
async fn sent(node: &Node, pid: &str) -> Result<(), Problem> {
    let lost = || {
        let why = "the node was started again, and does not keep where to send";
        Problem::new(codes::EXCHANGE_REFUSED, why)
    };
    let (address, _) = node.secrets.address(pid).ok_or_else(lost)?;
    let (state, peer, token) = tokens::own(node, pid).await?;
    let to = node.partition.read(|fold, _| connectors::participant(node, fold, &peer.id))??;
    let url = bargain::address_of(&state, &address, &to)?;
    let ask = Ask { peer: peer.clone(), token: Some(token), ..asked(pid, &address)? };
    let mut stream = stream::to_send(node, ask).await?;
    while let Some(item) = stream.next().await {
        match item {
            Item::Rows { delivered, .. } => {
                let body = delivered.body().to_string().into_bytes();
                let key = address.property("authorization");
                taken(node, &peer.id, (&url, key), &body).await?;
                if !stream.has_more()? {
                    return Ok(());
                }
            }
            Item::Beat => {}
            Item::End(document) => return Err(denied(document.to_string().as_bytes(), 403)),
        }
    }
    Ok(())
}

/// What the properties of an address say of what is to be sent, as a query does of a page.
fn asked(pid: &str, address: &DataAddress) -> Result<Ask, Problem> {
    let bad = |name: &str| {
        let why = format!("the property {name} of the address cannot be read");
        Problem::new(codes::INPUT_MALFORMED, why)
    };
    let text = |name: &'static str| address.property(name).map(|text| (name, text));
    let time = |name| {
        let read = |(name, text)| Timestamp::parse(text).map_err(|_| bad(name));
        text(name).map(read).transpose()
    };
    let size = |name| {
        text(name).map(|(name, text): (&str, &str)| text.parse().map_err(|_| bad(name))).transpose()
    };
    Ok(Ask {
        peer: crate::door::Asker {
            id: String::new(),
            workload: String::new(),
            by: twinpact_policy::Recognised::Token,
        },
        transfer: pid.to_owned(),
        token: None,
        assertion: address.property(ASSERTION).map(str::to_owned),
        since: time("since")?,
        until: time("until")?,
        twin: text("twin").map(|(name, twin)| Iri::new(twin).map_err(|_| bad(name))).transpose()?,
        after: None,
        seen: (size("anchor")?, size("ledger")?),
        contract: OnceLock::new(),
    })
}

/// Sends a delivery until it is taken, or refused for good.
async fn taken(
    node: &Node,
    peer: &str,
    (url, key): (&str, Option<&str>),
    body: &[u8],
) -> Result<(), Problem> {
    let mut rest = FIRST_REST;
    let mut last = Problem::new(codes::EXCHANGE_REFUSED, "it was not sent");
    for attempt in 1..=MAX_SENDS {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(key.map(|key| ("authorization", key.to_owned())));
        let url = url.to_owned();
        let reply = call(node, peer, "POST", url, headers, body.to_vec(), MAX_MESSAGE_BYTES).await;
        last = match reply {
            Ok(reply) if (200..300).contains(&reply.status) => return Ok(()),
            Ok(reply) if reply.status < 500 && !matches!(reply.status, 408 | 429) => {
                return Err(not_taken(&reply.body, reply.status));
            }
            Ok(reply) => not_taken(&reply.body, reply.status),
            Err(problem) => problem,
        };
        if attempt < MAX_SENDS {
            tokio::time::sleep(rest).await;
            rest *= 2;
        }
    }
    Err(last)
}

fn not_taken(body: &[u8], status: u16) -> Problem {
    let said = serde_json::from_slice::<Value>(body).ok();
    let said = said.as_ref().and_then(|document| document.get("detail")?.as_str());
    let detail = said.map_or(String::new(), |said| format!(": {said}"));
    let why = format!("what was sent in {PUSH} was answered with status {status}{detail}");
    Problem::new(codes::EXCHANGE_REFUSED, why)
}
