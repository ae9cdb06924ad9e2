//! What we send as provider: the view of a transfer of the format `HttpData-PUSH`, delivery by
//! delivery to the consumer's own address, and the completion when all of it was taken.
//!
//! It is the stream of the view with another way out: each delivery is decided, logged and proven
//! in a turn of its own before it leaves, and none leaves after the policy has flipped. Where to
//! send may hold a secret, and is kept in memory only: after a start of the node, or a pause, the
//! transfer ends and says why.

use crate::answer::Ask;
use crate::bargain;
use crate::connectors;
use crate::door::Asker;
use crate::egress::{Delivered, Item};
use crate::formats::PUSH;
use crate::open::Node;
use crate::outbox::call;
use crate::processes::outbox_noted;
use crate::stream::{self, Stream};
use crate::tokens;
use crate::why::is_noted;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
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
/// For how many seconds a place among the streams is waited for.
const MAX_WAITS: u32 = 60;
const FIRST_REST: Duration = Duration::from_secs(1);

/// Sends what is to be sent until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    let mut running: HashMap<String, AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let due = node.partition.read_between(|fold, _| {
            let pids = fold.processes.to_send().map(|known| known.party.own_pid.clone());
            pids.collect::<Vec<_>>()
        });
        let Ok(due) = due.await else { return };
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
        Err(problem) => {
            // Our own faults cross the boundary as their title only.
            let public = problem.code.public();
            let said = if public { problem.message.as_str() } else { problem.code.title };
            Decision::Terminate { code: problem.code.name.to_owned(), reason: bargain::brief(said) }
        }
    };
    // What was paused meanwhile is not gone on with: its assertion is used, and it may have waited
    // for long. It ends, with that sentence, when it is started again.
    node.secrets.forget_address(&pid);
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
        let why =
            "where to send is not kept over a pause, or a start of the node; ask for it again";
        Problem::new(codes::EXCHANGE_REFUSED, why)
    };
    let (address, _) = node.secrets.address(pid).ok_or_else(lost)?;
    let (state, peer, token) = tokens::own(node, pid).await?;
    let to = node.partition.read(|fold, _| connectors::participant(node, fold, &peer.id))??;
    let url = bargain::address_of(&state, &address, &to)?;
    let place = Place {
        pid: pid.to_owned(),
        failed: AtomicU32::new(0),
        peer: peer.id.clone(),
        url,
        key: key(&address)?,
    };
    let ask = asked(pid, (peer, token), &address)?;
    let mut stream = opened(node, &ask).await?;
    while let Some(item) = stream.next().await {
        match item {
            Item::Rows { delivered, .. } => taken(node, &stream, &place, &delivered).await?,
            Item::Beat => {}
            Item::End(document) => return Err(ended(&document)),
        }
        if !stream.has_more()? {
            return Ok(());
        }
    }
    Ok(())
}

/// The stream that is sent, once there is a place for it.
async fn opened(node: &Node, ask: &Ask) -> Result<Stream, Problem> {
    for _ in 0..MAX_WAITS {
        match stream::to_send(node, ask.clone()).await {
            Err(problem) if problem.code == codes::STREAM_TOO_MANY => {
                tokio::time::sleep(FIRST_REST).await;
            }
            opened => return opened,
        }
    }
    Err(Problem::new(codes::STREAM_TOO_MANY, "there was no place for it for a minute"))
}

/// Why a stream has ended, as its last item says it.
fn ended(document: &Value) -> Problem {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let code = text("code").and_then(codes::find).unwrap_or(codes::EXCHANGE_REFUSED);
    Problem::new(code, text("detail").unwrap_or(code.title))
}

/// Where it is sent.
struct Place {
    /// The transfer.
    pid: String,
    /// How many attempts of it have failed.
    failed: AtomicU32,
    peer: String,
    url: String,
    /// What stands in `Authorization`, as the consumer has said.
    key: Option<String>,
}

/// The key of an address. It becomes a header: what could not stand there is none.
fn key(address: &DataAddress) -> Result<Option<String>, Problem> {
    // Connectors of the EDC family say in which header it stands.
    let key = match (address.property("authorization"), address.property("authKey")) {
        (None, Some(header)) if !header.eq_ignore_ascii_case("authorization") => {
            let why = "a key is shown in the header Authorization, and the address wants another";
            return Err(Problem::new(codes::INPUT_MALFORMED, why));
        }
        (None, Some(_)) => {
            let none = "the address says how its key is shown, and not which it is";
            let none = || Problem::new(codes::INPUT_MALFORMED, none);
            Some(address.property("authCode").ok_or_else(none)?)
        }
        (key, _) => key,
    };
    let key = key.map(str::to_owned);
    let plain = |key: &String| key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    match key.as_ref().is_none_or(plain) {
        true => Ok(key),
        false => {
            let why = "the authorization of the address cannot stand in a header";
            Err(Problem::new(codes::INPUT_MALFORMED, why))
        }
    }
}

/// What the properties of an address say of what is to be sent, as a query does of a page.
fn asked(pid: &str, (peer, token): (Asker, String), address: &DataAddress) -> Result<Ask, Problem> {
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
        peer,
        transfer: pid.to_owned(),
        token: Some(token),
        assertion: address.property(ASSERTION).map(str::to_owned),
        since: time("since")?,
        until: time("until")?,
        twin: text("twin").map(|(name, twin)| Iri::new(twin).map_err(|_| bad(name))).transpose()?,
        after: None,
        seen: (size("anchor")?, size("ledger")?),
        contract: OnceLock::new(),
    })
}

/// Sends a delivery until it is taken, or refused for good. Before each attempt it is looked
/// whether what was decided still holds.
async fn taken(
    node: &Node,
    stream: &Stream,
    place: &Place,
    delivered: &Delivered,
) -> Result<(), Problem> {
    let (body, mut rest) = (delivered.body().to_string().into_bytes(), FIRST_REST);
    let mut last = Problem::new(codes::EXCHANGE_REFUSED, "it was not sent");
    for attempt in 1..=MAX_SENDS {
        if !stream.holds()? {
            let why = "it was not taken before what was decided had ended";
            return Err(Problem::new(codes::EXCHANGE_REFUSED, why));
        }
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(place.key.as_ref().map(|key| ("authorization", key.clone())));
        let (url, body) = (place.url.clone(), body.clone());
        let reply = call(node, &place.peer, "POST", url, headers, body, MAX_MESSAGE_BYTES).await;
        last = match reply {
            Ok(reply) if (200..300).contains(&reply.status) => return Ok(()),
            Ok(reply) if reply.status < 500 && !matches!(reply.status, 408 | 429) => {
                return Err(not_taken(reply.status));
            }
            Ok(reply) => not_taken(reply.status),
            Err(problem) => problem,
        };
        if attempt < MAX_SENDS {
            note(node, place, (attempt, &last.message, rest));
            tokio::time::sleep(rest).await;
            rest *= 2;
        }
    }
    Err(last)
}

/// Leaves an attempt that failed for the story: the first of them one by one, and then more rarely,
/// so that they do not push out all else.
fn note(node: &Node, place: &Place, (attempt, why, rest): (u32, &str, Duration)) {
    if !is_noted(place.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1)) {
        return;
    }
    let why = format!("attempt {attempt}: {why}; again after {} ms", rest.as_millis());
    let entry = outbox_noted(&place.peer, &place.pid, ("a delivery", &why));
    node.partition.leave(vec![entry]);
}

/// What was answered may repeat what was sent, and is kept nowhere.
fn not_taken(status: u16) -> Problem {
    let why = format!("what was sent in {PUSH} was answered with status {status}");
    Problem::new(codes::EXCHANGE_REFUSED, why)
}

#[cfg(test)]
mod tests {
    use super::key;
    use twinpact_dsp::message::DataAddress;

    #[test]
    fn a_key_is_found_as_either_family_says_it() {
        let edc = "https://w3id.org/edc/v0.0.1/ns/";
        let named = |name: &str| format!("{edc}{name}");
        let check = |said: &[(&str, &str)], expect: Result<Option<&str>, &str>| {
            let properties = said.iter().map(|(name, value)| (named(name), (*value).to_owned()));
            let address = DataAddress {
                endpoint_type: "HttpData".to_owned(),
                endpoint: None,
                properties: properties.collect(),
            };
            let found = key(&address).map_err(|problem| problem.message);
            match expect {
                Ok(expect) => assert_eq!(found.unwrap().as_deref(), expect, "{said:?}"),
                Err(why) => assert!(found.unwrap_err().contains(why), "{said:?}"),
            }
        };
        check(&[], Ok(None));
        check(&[("authorization", "a b")], Ok(Some("a b")));
        check(&[("authKey", "authorization"), ("authCode", "c")], Ok(Some("c")));
        check(&[("authKey", "Authorization")], Err("and not which it is"));
        check(&[("authCode", "c")], Ok(None));
        check(&[("authorization", "a"), ("authKey", "x"), ("authCode", "c")], Ok(Some("a")));
        check(&[("authKey", "x-api-key"), ("authCode", "c")], Err("wants another"));
        check(&[("authorization", "a\r\nb")], Err("cannot stand in a header"));
        check(&[("authKey", "Authorization"), ("authCode", "é")], Err("cannot stand in a header"));
    }
}
