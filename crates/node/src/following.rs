//! Follows the streams that are subscribed to, each in a task of its own, for as long as they hold.
//!
//! An event is stored like a page that was pulled, with its receipt, our signature and the pins,
//! and the position in the same frame ([`crate::subscriptions`]). One that does not verify ends the
//! subscription and stores nothing. A stream that ends is opened again by what ended it: at once
//! when only token or assertion ran out, when the partner says that it opens, with growing rests
//! while the partner is not there, and never again when the agreement is over.

use crate::arrival::{self, Taken};
use crate::assertion;
use crate::channel::{self, Way};
use crate::consumer::{self, MAX_DETAIL};
use crate::continuity;
use crate::open::Node;
use crate::outbox;
use crate::sse::Events;
use crate::subscriptions::{Subscription, ended};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};

/// The rests between two attempts while a partner is not there: the first, and the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How long a partner's word is taken for when a stream opens again; then it is asked anew.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Follows what is subscribed to until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    // By agreement and by when it was subscribed to: one that was ended and begun anew is another.
    let mut running: HashMap<(String, i64), AbortHandle> = HashMap::new();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        changes.borrow_and_update();
        let under_way = node.partition.read_between(|fold, _| {
            let all = fold.subscriptions.under_way();
            all.map(|(agreement, since)| (agreement.to_owned(), since)).collect::<Vec<_>>()
        });
        let Ok(under_way) = under_way.await else { return };
        running.retain(|key, task| {
            let goes_on = under_way.contains(key);
            if !goes_on {
                task.abort();
            }
            goes_on && !task.is_finished()
        });
        for key in under_way {
            let one = follow(node.clone(), key.0.clone());
            running.entry(key).or_insert_with(|| tasks.spawn(one));
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            Some(_) = tasks.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// What becomes of a subscription whose stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It is opened again at once.
    Again,
    /// After a while, which grows.
    Later,
    /// Not before the partner says that it opens.
    At(Timestamp),
    /// It has ended.
    Over,
}

/// By what a stream ended, and when its partner says that it opens.
fn then(problem: &Problem, opens: Option<Timestamp>) -> Then {
    let code = problem.code;
    let waits = [codes::POLICY_SCHEDULE, codes::POLICY_DATETIME, codes::POLICY_SUSPENDED];
    match opens {
        _ if code.within(codes::POLICY_TOKEN) || code.within(codes::POLICY_ASSERTION) => {
            Then::Again
        }
        Some(opens) => Then::At(opens),
        None if code == codes::POLICY_DATETIME => Then::Over,
        None if waits.contains(&code) => Then::Later,
        None if code.name.starts_with("policy.") || is_over(problem) => Then::Over,
        None => Then::Later,
    }
}

/// Whether waiting helps nothing, by a code that is no policy's.
fn is_over(problem: &Problem) -> bool {
    [
        codes::EXCHANGE_PROOF,
        codes::EXCHANGE_PURPOSE,
        codes::STREAM_POSITION,
        codes::AGREEMENT_UNKNOWN,
        codes::AGREEMENT_ENDED,
        codes::PARTNER_UNKNOWN,
        codes::INPUT_MALFORMED,
        codes::STORE_STOPPED,
    ]
    .contains(&problem.code)
}

/// How a stream has ended without a reason.
enum Broke {
    /// Its connection has.
    Off,
    /// A pull has pinned something since: it is asked for what continues that.
    Pinned,
}

/// Why a stream has ended, and when it opens again.
type Ended = (Problem, Option<Timestamp>);

/// Follows one stream until its subscription ends.
async fn follow(node: Node, agreement: String) {
    let mut rest = FIRST_REST;
    loop {
        let read = |fold: &crate::fold::Fold| fold.subscriptions.get(&agreement).cloned();
        let Ok(Some(before)) = node.partition.read(|fold, _| read(fold)) else { return };
        let (problem, opens) = match once(&node, &agreement, &before).await {
            Ok(Broke::Pinned) => continue,
            Ok(Broke::Off) => (Problem::new(codes::PEER_UNREACHABLE, "the stream broke off"), None),
            Err(ended) => ended,
        };
        let Ok(Some(after)) = node.partition.read(|fold, _| read(fold)) else { return };
        let came = after.position != before.position;
        let pause = if came { FIRST_REST } else { rest };
        rest = (pause * 2).min(LONGEST_REST);
        match then(&problem, opens) {
            Then::Over => return over(&node, &agreement, &before, &problem).await,
            Then::Again if came => {}
            Then::Again | Then::Later => wait(&node, &before.peer, pause).await,
            Then::At(opens) if came && node.clocks.policy().0 >= opens => {}
            Then::At(opens) if node.clocks.policy().0 >= opens => {
                wait(&node, &before.peer, pause).await;
            }
            Then::At(opens) => wait_until(&node, opens, pause).await,
        }
    }
}

/// Rests until the policy clock has come to where a partner says that its stream opens. What is
/// heard of it meanwhile changes nothing: it has said when.
async fn wait_until(node: &Node, opens: Timestamp, shortest: Duration) {
    let mut set = node.clocks.policy_set();
    loop {
        set.borrow_and_update();
        let micros = opens.micros().saturating_sub(node.clocks.policy().0.micros());
        let Some(left) = u64::try_from(micros).ok().filter(|left| *left > 0) else { return };
        let left = Duration::from_micros(left).clamp(shortest, LONGEST_WAIT);
        tokio::select! {
            () = tokio::time::sleep(left) => return,
            _ = set.changed() => {}
        }
    }
}

/// Rests; a partner that shows that it is there, and a policy clock that is set, end it early.
async fn wait(node: &Node, peer: &str, rest: Duration) {
    let mut set = node.clocks.policy_set();
    tokio::select! {
        () = tokio::time::sleep(rest) => {}
        () = node.heard.wait(peer) => {}
        _ = set.changed() => {}
    }
}

async fn over(node: &Node, agreement: &str, one: &Subscription, problem: &Problem) {
    let detail: String = problem.message.chars().take(MAX_DETAIL).collect();
    let entry = ended(&one.peer, agreement, problem.code.name, &detail);
    // A log that has stopped says so to everybody who asks.
    let _ = node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await;
}

/// Opens the stream behind what is stored, and stores what comes until it ends.
async fn once(node: &Node, agreement: &str, one: &Subscription) -> Result<Broke, Ended> {
    let plain = |problem: Problem| (problem, None);
    let Way { pid, url, token } =
        channel::open(node, &one.at_id, &one.peer).await.map_err(plain)?;
    let assertion = assertion::sign(node, &one.peer, agreement, &one.purpose, &one.place);
    let headers = vec![
        ("authorization", format!("Bearer {token}")),
        ("twinpact-assertion", assertion.map_err(plain)?),
        ("accept", "text/event-stream".to_owned()),
    ];
    let seen = continuity::pins(node, agreement, &one.peer).map_err(plain)?;
    let mut query: Vec<String> = match (one.position, one.from_start) {
        (Some(position), _) => vec![format!("after={position}")],
        (None, true) => vec!["from=start".to_owned()],
        (None, false) => Vec::new(),
    };
    query.extend(seen.anchor.map(|seen| format!("anchor={}", seen.size)));
    query.extend(seen.ledger.as_ref().map(|seen| format!("ledger={}", seen.seen.size)));
    let url = format!("{url}/stream?{}", query.join("&"));
    let mut flowing = outbox::flow(node, &one.peer, url, headers).await.map_err(plain)?;
    if flowing.status != 200 {
        let body = whole(&mut flowing).await.map_err(plain)?;
        let problem = consumer::denied(&body, flowing.status);
        let parties = (one.peer.as_str(), one.at_id.as_str());
        channel::refused(node, (&pid, &token), parties, &problem).await.map_err(plain)?;
        return Err((problem, opens_at(&body)));
    }
    let (mut events, mut seen) = (Events::default(), seen);
    while let Some(piece) = flowing.body.next().await.map_err(plain)? {
        for event in events.take(&piece).map_err(plain)? {
            if event.kind == "end" {
                let problem = consumer::denied(&event.data, 200);
                let parties = (one.peer.as_str(), one.at_id.as_str());
                channel::refused(node, (&pid, &token), parties, &problem).await.map_err(plain)?;
                return Err((problem, opens_at(&event.data)));
            }
            if event.kind != "rows" {
                continue;
            }
            let position = event.id.as_deref().and_then(|id| id.parse().ok());
            let taken = Taken { position, seen };
            let stored = arrival::store_event(node, &event.data, (agreement, &one.peer), taken);
            match stored.await.map_err(plain)? {
                Some(pins) => seen = pins,
                None => return Ok(Broke::Pinned),
            }
        }
    }
    Ok(Broke::Off)
}

/// The body of a refusal.
async fn whole(flowing: &mut crate::outbound::Flowing) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(piece) = flowing.body.next().await? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_MESSAGE_BYTES {
            body.truncate(MAX_MESSAGE_BYTES);
            break;
        }
    }
    Ok(body)
}

/// When a refused stream opens, as the partner says.
fn opens_at(document: &[u8]) -> Option<Timestamp> {
    let document: Value = serde_json::from_slice(document).ok()?;
    Timestamp::parse(document.get("opensAt")?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Then, opens_at, then};
    use twinpact_model::problem::Problem;
    use twinpact_model::{Timestamp, codes};

    #[test]
    fn what_ended_a_stream_says_when_it_is_opened_again() {
        let noon = Timestamp::from_seconds(43_200);
        for (code, opens, expect) in [
            (codes::POLICY_TOKEN_RETIRED, None, Then::Again),
            (codes::POLICY_ASSERTION_EXPIRED, None, Then::Again),
            (codes::POLICY_SCHEDULE, Some(noon), Then::At(noon)),
            (codes::POLICY_SUSPENDED, None, Then::Later),
            (codes::POLICY_DATETIME, None, Then::Over),
            (codes::POLICY_REVOKED, None, Then::Over),
            (codes::POLICY_PURPOSE, None, Then::Over),
            (codes::STREAM_POSITION, None, Then::Over),
            (codes::EXCHANGE_PROOF, None, Then::Over),
            (codes::AGREEMENT_ENDED, None, Then::Over),
            (codes::PARTNER_UNKNOWN, None, Then::Over),
            (codes::PEER_UNREACHABLE, None, Then::Later),
            (codes::PEER_LATE, None, Then::Later),
            (codes::STREAM_CLOSED, None, Then::Later),
            (codes::STREAM_TOO_MANY, None, Then::Later),
            (codes::EXCHANGE_REFUSED, None, Then::Later),
            (codes::ROUTE_UNKNOWN, None, Then::Later),
        ] {
            assert_eq!(then(&Problem::new(code, "x"), opens), expect, "{}", code.name);
        }
        let document = format!("{{\"opensAt\":\"{noon}\"}}");
        assert_eq!(opens_at(document.as_bytes()), Some(noon));
        for none in ["", "{}", "{\"opensAt\":7}", "{\"opensAt\":\"soon\"}"] {
            assert_eq!(opens_at(none.as_bytes()), None);
        }
    }
}
