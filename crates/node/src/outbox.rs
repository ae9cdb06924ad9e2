//! The sender: woken by the commit that wrote an outbox row, never by polling.
//!
//! Messages of one process go out in their order, one at a time; processes do not wait for each
//! other, and a question where the other side stands does not hold up messages. Whether an answer
//! means "arrived", "come again" or "never" is the protocol's business
//! ([`twinpact_dsp::delivery`]); what it does to the process is logged with the row that it
//! settles. A message that its process no longer waits for is not sent any more. A signed document
//! is nobody's step: it is sent until it is taken or refused, however long that takes. Whatever
//! rests is sent when its partner shows that it is there.

use crate::ask::ORGANISATION_PATH;
use crate::bargain;
use crate::behind::{CHECKPOINT_HEADER, MAX_CHECKPOINT_BYTES};
use crate::connectors;
use crate::documents;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::outbound::{Call, Flowing, Outbound, Reply};
use crate::partition::{NewEntry, Turn};
use crate::partners::{self, Partner};
use crate::processes::{Pending, Waiting, outbox_attempt, outbox_done};
use crate::prove;
use crate::repin::{self, Reason};
use crate::seen;
use crate::tokens;
use crate::why;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::{Id, JoinSet};
use twinpact_dsp::delivery::{Delivery, classify_document_response, classify_response, described};
use twinpact_dsp::exchange::Input;
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message};
use twinpact_model::codes;
use twinpact_model::problem::{Code, Problem};
use twinpact_proof::digest::sha256;
use twinpact_proof::note::Note;
use twinpact_proof::text64;

/// How long a row rests that could not be settled, or whose sending broke off.
const REST: Duration = Duration::from_secs(1);

/// How long a row rests at least that was sent often, however much its partner says meanwhile.
const LEAST_REST: Duration = Duration::from_secs(10);

/// After how many seconds a row is old: a day, which is as long as the attempts take while nothing
/// is heard of the partner.
const OLD_S: i64 = 86_400;

/// What is done one at a time: the messages of a process, and its question.
type Lane = (String, bool);

/// How many calls to one partner are open at a time, and to all of them. A row that waits for its
/// next attempt is no call.
const MAX_CALLS_TO_ONE: usize = 32;
const MAX_CALLS: usize = 128;

/// Sends until told to stop. What is under way then is sent again after the next start.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    let mut lanes: HashMap<Id, Lane> = HashMap::new();
    let mut sending: JoinSet<()> = JoinSet::new();
    let calls = Calls::default();
    loop {
        changes.borrow_and_update();
        node.partition.between_frames().await;
        for (number, pending) in next_of_each(&node, lanes.values()) {
            let lane = lane(&pending);
            let (node, calls) = (node.clone(), calls.clone());
            let task = sending.spawn(async move {
                if deliver(&node, &calls, number, &pending).await.is_err() {
                    tokio::time::sleep(REST).await;
                }
            });
            lanes.insert(task.id(), lane);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            Some(done) = sending.join_next_with_id() => match done {
                Ok((id, ())) => { lanes.remove(&id); }
                // It panicked, which is a bug: the lane rests, and then its row is tried again.
                Err(broken) => if let Some(lane) = lanes.remove(&broken.id()) {
                    lanes.insert(sending.spawn(tokio::time::sleep(REST)).id(), lane);
                }
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // Whoever waits for the end finds the directory free.
    sending.shutdown().await;
}

fn lane(pending: &Pending) -> Lane {
    (pending.pid.clone(), is_question(pending))
}

fn is_question(pending: &Pending) -> bool {
    pending.what == Waiting::Question
}

/// The oldest waiting row of each lane that is not busy.
fn next_of_each<'a>(node: &Node, busy: impl Iterator<Item = &'a Lane>) -> Vec<(u64, Pending)> {
    let read = node.partition.read(|fold, store| {
        if fold.behind.check(store.forest()).is_err() {
            return Vec::new();
        }
        let mut taken: HashSet<(&str, bool)> =
            busy.map(|(pid, question)| (pid.as_str(), *question)).collect();
        let rows = fold.processes.outbox.iter();
        let free = rows.filter(|(_, row)| taken.insert((&row.pid, is_question(row))));
        free.map(|(number, row)| (*number, row.clone())).collect()
    });
    read.unwrap_or_default()
}

/// Turns at calling: a partner that never answers takes none from the others.
#[derive(Clone)]
struct Calls {
    all: Arc<Semaphore>,
    of: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl Default for Calls {
    fn default() -> Self {
        Calls { all: Arc::new(Semaphore::new(MAX_CALLS)), of: Arc::default() }
    }
}

impl Calls {
    /// Calls this partner when it is its turn.
    async fn call(&self, node: &Node, pending: &Pending) -> Result<Reply, Problem> {
        let ours = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(MAX_CALLS_TO_ONE));
            of.entry(pending.peer.clone()).or_insert_with(new).clone()
        };
        // Its own turn first: whoever waits for that holds none of all.
        let _ours = ours.acquire().await;
        let _all = self.all.acquire().await;
        let _at_work = node.partition.at_work();
        node.partition.between_frames().await;
        send(node, pending).await
    }
}

/// What became of a row.
enum Became {
    /// It arrived; the message that it was answered with.
    Taken(Option<Box<Message>>),
    /// It will not be taken, or cannot be delivered.
    NotTaken(String),
    /// The same, because the other side knows no such process.
    Unknown(String),
    /// Nobody waits for it any more.
    Needless,
}

async fn deliver(
    node: &Node,
    calls: &Calls,
    number: u64,
    pending: &Pending,
) -> Result<(), Problem> {
    // Those that count against a bound, and all.
    let (mut attempt, mut tries) = (1, 0);
    loop {
        node.partition.between_frames().await;
        if !wanted(node, number, pending) {
            return settle(node, number, pending, Became::Needless).await;
        }
        let (status, text) = match calls.call(node, pending).await {
            // Some answer with what they were sent, and that may hold a token.
            Ok(reply) if pending.what == Waiting::Start => (Some(reply.status), String::new()),
            Ok(reply) => (Some(reply.status), String::from_utf8_lossy(&reply.body).into_owned()),
            // None of these comes back by being tried again.
            Err(problem) if is_gone(pending, &problem) => {
                return settle(node, number, pending, Became::NotTaken(problem.message)).await;
            }
            Err(problem) => (None, problem.message),
        };
        let is_paper = matches!(pending.what, Waiting::Paper(_));
        let meaning = if is_paper { classify_document_response } else { classify_response };
        match meaning(status, &text, attempt) {
            Delivery::Delivered => {
                let answer = Message::parse_bytes(text.as_bytes()).ok().map(Box::new);
                return settle(node, number, pending, Became::Taken(answer)).await;
            }
            Delivery::GiveUp { reason, unknown } => {
                let became = if unknown { Became::Unknown } else { Became::NotTaken };
                return settle(node, number, pending, became(reason)).await;
            }
            Delivery::Retry { after_ms } => {
                let us = node.config.organisation.as_str();
                let after_ms = jittered(us, number, attempt, after_ms);
                tries += 1;
                let failed = (tries, described(status, &text), after_ms);
                // A log that takes nothing now must not shorten the waiting.
                let _ = note(node, number, pending, failed).await;
                // Who talks and takes nothing must not use up the attempts of a day in minutes.
                let rest = Duration::from_millis(after_ms);
                let whole = rested(node, &pending.peer, rest).await;
                attempt += u32::from(whole || is_old(node, pending));
            }
        }
    }
}

/// A delay that is up to a fifth longer or shorter: those who have lost the same partner do not all
/// come back to it at one time. It differs by node, row and attempt, and is no secret, so that a
/// digest of them is as good as a drawn number, and a simulated run stays one run.
fn jittered(us: &str, number: u64, attempt: u32, after_ms: u64) -> u64 {
    let of = format!("{us} {number} {attempt}");
    let [high, low, ..] = sha256(of.as_bytes());
    after_ms * (800 + u64::from(u16::from_be_bytes([high, low])) % 401) / 1_000
}

/// Puts a failed attempt of a process's message on record, unless there were many already.
async fn note(
    node: &Node,
    number: u64,
    pending: &Pending,
    (attempt, why, after_ms): (u32, String, u64),
) -> Result<(), Problem> {
    if !why::is_noted(attempt) {
        return Ok(());
    }
    let (peer, pid) = (pending.peer.clone(), pending.pid.clone());
    let turn = node.partition.turn(move |turn| {
        let waits = turn.fold().processes.outbox.contains_key(&number);
        match waits && find(turn.fold(), &pid).is_some() {
            true => {
                turn.log(vec![outbox_attempt(&peer, number, (attempt, &why, after_ms))]).map(|_| ())
            }
            false => Ok(()),
        }
    });
    turn.await
}

/// Whether there is nothing to be sent any more, or nobody to send it to.
fn is_gone(pending: &Pending, problem: &Problem) -> bool {
    let of_paper = [codes::AGREEMENT_UNKNOWN, codes::RECEIPT_UNKNOWN];
    [codes::POLICY_REVOKED, codes::PARTNER_UNKNOWN].contains(&problem.code)
        || matches!(pending.what, Waiting::Paper(_)) && of_paper.contains(&problem.code)
}

/// Whether a row has waited for so long that every attempt counts.
fn is_old(node: &Node, pending: &Pending) -> bool {
    pending.since.plus_seconds(OLD_S) < node.clocks.wall().0
}

/// Rests so long, or until the partner shows that it is there. Whether it was so long.
async fn rested(node: &Node, peer: &str, rest: Duration) -> bool {
    if rest <= LEAST_REST {
        tokio::time::sleep(rest).await;
        return true;
    }
    tokio::time::sleep(LEAST_REST).await;
    tokio::select! {
        biased;
        () = tokio::time::sleep(rest.saturating_sub(LEAST_REST)) => true,
        () = node.heard.wait(peer) => false,
    }
}

/// Whether the row still waits, and its process still waits for it.
fn wanted(node: &Node, number: u64, pending: &Pending) -> bool {
    let read = node.partition.read(|fold, store| {
        let processes = &fold.processes;
        let waits = match pending.what {
            Waiting::Question => find(fold, &pending.pid).is_some(),
            Waiting::Paper(_) | Waiting::Record => true,
            _ => processes.unacknowledged(&pending.pid) == Some(&pending.id),
        };
        let free = fold.behind.check(store.forest()).is_ok();
        waits && free && processes.outbox.contains_key(&number)
    });
    read.unwrap_or(false)
}

async fn send(node: &Node, pending: &Pending) -> Result<Reply, Problem> {
    let mut url = format!("{}{}", pending.to, pending.path);
    let (method, body) = match &pending.what {
        Waiting::Paper(paper) => {
            let (base, body) = node.partition.read(|fold, _| {
                let base = base(fold.partners.get(&pending.peer)?);
                Ok::<_, Problem>((base, documents::body(fold, paper)?))
            })??;
            url.insert_str(0, &base);
            ("POST", body)
        }
        Waiting::Question => ("GET", Vec::new()),
        Waiting::Record => {
            let partner = node.partition.read(|fold, _| fold.partners.get(&pending.peer).cloned());
            url.insert_str(0, &base(&partner??));
            ("POST", prove::own_record(node)?.to_json().canonical().into_bytes())
        }
        Waiting::Message(written) => {
            // With what the log has not; after a stop it goes without, and is refused for that.
            let whole = node.secrets.written(&pending.id);
            let whole = whole.map(|message| message.to_json().to_string());
            ("POST", whole.unwrap_or_else(|| written.text.to_string()).into_bytes())
        }
        Waiting::Start => {
            let message = match node.secrets.message(&pending.id, node.clocks.wall()) {
                Some(message) => message,
                None => start_again(node, pending).await?,
            };
            ("POST", message.to_json().to_string().into_bytes())
        }
    };
    call(node, &pending.peer, method, url, Vec::new(), body, MAX_MESSAGE_BYTES).await
}

/// A start message is in memory only; after a stop it is made again, with a fresh token.
async fn start_again(node: &Node, pending: &Pending) -> Result<Message, Problem> {
    let message = tokens::start_again(node, &pending.pid, &pending.id).await?;
    node.secrets.keep_message(&message, node.clocks.wall());
    Ok(message)
}

/// Where a partner's node is, by its pinned record.
pub(crate) fn base(partner: &Partner) -> String {
    let dsp = &partner.record.dsp;
    dsp.strip_suffix("/dsp").unwrap_or(dsp).to_owned()
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
    if node.connectors.knows(peer) {
        return connectors::call(node, peer, (method, url), headers, (body, max_bytes)).await;
    }
    let (partner, call) = prepared(node, peer, (method, url), headers, (body, max_bytes))?;
    let outbound = way_out(node)?;
    let called = match outbound.call(call.clone()).await {
        // It has come no further than the handshake, so it may be made again.
        Err(refused) if refused.code == codes::TLS_REFUSED => {
            let seen = partner.envelope.fingerprint();
            match repin::look(node, peer, Reason::Certificate, &seen).await {
                true => outbound.call(call.clone()).await,
                false => Err(refused),
            }
        }
        called => called,
    };
    match called {
        Ok(reply) if says(&reply, codes::ANCHOR_CLAIMED) => {
            Ok(vouch(outbound.as_ref(), &partner, call).await.unwrap_or(reply))
        }
        called => called,
    }
}

/// Asks a partner about logs at a path of its node, without showing it what we hold of its own.
///
/// # Errors
/// As [`call`].
pub(crate) async fn call_plainly(
    node: &Node,
    peer: &str,
    path: &str,
    max_bytes: usize,
) -> Result<Reply, Problem> {
    let partner = node.partition.read(|fold, _| fold.partners.get(peer).cloned())??;
    let base = base(&partner);
    let call = Call {
        trust_domain: partners::trust_domain(&partner)?,
        url: format!("{base}{path}"),
        pinned: vec![base],
        method: "GET",
        headers: Vec::new(),
        body: Vec::new(),
        max_bytes,
    };
    way_out(node)?.call(call).await
}

/// Asks a partner for an answer that is read as it comes.
///
/// # Errors
/// As [`call`].
pub(crate) async fn flow(
    node: &Node,
    peer: &str,
    url: String,
    headers: Vec<(&'static str, String)>,
) -> Result<Flowing, Problem> {
    let nothing = (Vec::new(), MAX_MESSAGE_BYTES);
    let (partner, call) = prepared(node, peer, ("GET", url), headers, nothing)?;
    let outbound = way_out(node)?;
    match outbound.flow(call.clone()).await {
        Err(refused) if refused.code == codes::TLS_REFUSED => {
            let seen = partner.envelope.fingerprint();
            match repin::look(node, peer, Reason::Certificate, &seen).await {
                true => outbound.flow(call).await,
                false => Err(refused),
            }
        }
        flowing => flowing,
    }
}

pub(crate) fn way_out(node: &Node) -> Result<Arc<dyn Outbound>, Problem> {
    let none = || Problem::new(codes::INTERNAL, "the node has no way out");
    node.outbound.get().cloned().ok_or_else(none)
}

/// A call to an endpoint of a partner's pinned record, with the last checkpoint of it.
fn prepared(
    node: &Node,
    peer: &str,
    (method, url): (&'static str, String),
    mut headers: Vec<(&'static str, String)>,
    (body, max_bytes): (Vec<u8>, usize),
) -> Result<(Partner, Call), Problem> {
    let (partner, held) = node.partition.read(|fold, _| {
        let partner = fold.partners.get(peer)?.clone();
        let held = seen::of_partner(fold, &partner.record).map(str::to_owned);
        Ok::<_, Problem>((partner, held))
    })??;
    // What it has signed: if its directory is an older copy of itself, it learns so from us. Lines
    // of others would be of no use to it, and could make it too long to be read.
    let note = held.and_then(|held| Note::parse(&held));
    let keys = partner.record.all_keys();
    let signed = note.and_then(|note| note.of_log(&keys, MAX_CHECKPOINT_BYTES / 4 * 3));
    headers.extend(signed.map(|text| (CHECKPOINT_HEADER, text64::encode(text.as_bytes()))));
    let base = base(&partner);
    let trust_domain = partners::trust_domain(&partner)?;
    let call = Call { trust_domain, pinned: vec![base], method, url, headers, body, max_bytes };
    Ok((partner, call))
}

/// Sends a partner that does not know the key of its checkpoint the record of its that names it. If
/// it is an older copy of itself, it has a key that has signed the record. Its answer, when it has
/// understood; what became of the request is known by the first answer else.
async fn vouch(outbound: &dyn Outbound, partner: &Partner, refused: Call) -> Option<Reply> {
    let Call { trust_domain, pinned, mut headers, .. } = refused;
    headers.retain(|(name, _)| *name == CHECKPOINT_HEADER);
    let url = format!("{}{ORGANISATION_PATH}", base(partner));
    let body = partner.envelope.to_json().canonical().into_bytes();
    let max_bytes = MAX_MESSAGE_BYTES;
    let call = Call { trust_domain, pinned, method: "POST", url, headers, body, max_bytes };
    outbound.call(call).await.ok().filter(|reply| says(reply, codes::ANCHOR_BEHIND))
}

/// Whether an answer is a refusal with that code.
fn says(reply: &Reply, code: Code) -> bool {
    let said = || serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let is = |said: serde_json::Value| said.get("code").is_some_and(|said| said == code.name);
    reply.status >= 400 && said().is_some_and(is)
}

/// Whether another row waits behind this one for its turn.
fn has_more(node: &Node, number: u64, pid: &str) -> bool {
    let read = node
        .partition
        .read(|fold, _| fold.processes.outbox.range(number + 1..).any(|(_, row)| row.pid == pid));
    read.unwrap_or(false)
}

/// Tells the process what became of its message, and logs both together.
async fn settle(
    node: &Node,
    number: u64,
    pending: &Pending,
    became: Became,
) -> Result<(), Problem> {
    if matches!(pending.what, Waiting::Start | Waiting::Message(_)) {
        node.secrets.forget_message(&pending.id);
    }
    let (ours, row) = (node.clone(), pending.clone());
    node.partition.between_frames().await;
    let urgent = has_more(node, number, &pending.pid);
    let settling = move |mut turn: Turn<'_>| {
        let why = match &became {
            Became::NotTaken(why) | Became::Unknown(why) => Some(why.as_str()),
            Became::Needless => Some("nobody waits for it any more"),
            Became::Taken(_) => None,
        };
        let parked =
            matches!(became, Became::NotTaken(_) | Became::Unknown(_)) && !row.id.is_empty();
        let mut entries = vec![outbox_done(&row.peer, number, parked, why)];
        entries.extend(told(&ours, &mut turn, &row, &became)?);
        turn.log(entries).map(|_| ())
    };
    // A row that is settled late is sent twice at worst, after a stop, and taken once.
    let settled = match urgent {
        true => node.partition.turn(settling).await,
        false => node.partition.turn_soon(settling).await,
    };
    match settled {
        Err(problem) if !problem.code.name.starts_with("store.") => {
            // A process that cannot take the news must not have its message sent for ever.
            let done = outbox_done(&pending.peer, number, false, None);
            node.partition.turn(move |turn| turn.log(vec![done]).map(|_| ())).await
        }
        settled => settled,
    }
}

/// The step of the process that learns what became of its message.
fn told(
    node: &Node,
    turn: &mut Turn<'_>,
    pending: &Pending,
    became: &Became,
) -> Result<Vec<NewEntry>, Problem> {
    let now = node.clocks.wall();
    if let Waiting::Paper(_) = pending.what {
        return Ok(Vec::new());
    }
    match find(turn.fold(), &pending.pid) {
        Some(Process::Negotiation(state)) => match input(pending, became) {
            Some(input) => bargain::negotiation_moved(node, turn, &state, input, now),
            None => Ok(Vec::new()),
        },
        Some(Process::Transfer(state)) => match input(pending, became) {
            Some(input) => bargain::transfer_moved(node, turn, &state, input, now),
            None => Ok(Vec::new()),
        },
        None => Ok(Vec::new()),
    }
}

/// What either machine is told of it.
fn input<'a, D>(pending: &'a Pending, became: &'a Became) -> Option<Input<'a, D>> {
    let id = pending.id.as_str();
    let reason = "the answer does not say where it stands";
    let question = pending.what == Waiting::Question;
    Some(match became {
        Became::Needless => return None,
        Became::NotTaken(reason) => Input::Undelivered { id, reason },
        Became::Unknown(reason) => Input::Unknown { id, reason },
        Became::Taken(Some(answer)) if question => Input::Status(answer),
        Became::Taken(None) if question => Input::Undelivered { id, reason },
        Became::Taken(answer) => Input::Delivered { id, answer: answer.as_deref() },
    })
}

#[cfg(test)]
mod tests {
    use super::{jittered, run};
    use crate::clock::PolicyClock;
    use crate::countersignatures;
    use crate::negotiate::opened_transfer;
    use crate::open::{NodeParts, init, open};
    use crate::outbound::{Call, FirstCall, Outbound, Pending, Reply};
    use crate::partition::{NewEntry, Turn};
    use crate::partners;
    use crate::processes::{self, Paper};
    use crate::prove;
    use crate::why;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, Ordering};
    use std::time::Duration;
    use tokio::sync::watch;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;
    use twinpact_dsp::delivery::MAX_ATTEMPTS;
    use twinpact_dsp::negotiation::Opening;
    use twinpact_dsp::transfer::open_as_consumer;
    use twinpact_model::problem::Problem;
    use twinpact_model::{Did, codes};
    use twinpact_proof::Envelope;

    const MAKER: &str = "did:web:maker.example";

    /// A way out to a partner that answers with one status, or not at all while that is 0.
    #[derive(Default)]
    struct Line {
        status: AtomicU16,
        calls: watch::Sender<u32>,
    }

    impl Outbound for Line {
        fn call(&self, _: Call) -> Pending<'_> {
            self.calls.send_modify(|calls| *calls += 1);
            let status = self.status.load(Ordering::SeqCst);
            let reply = match status {
                0 => Err(Problem::new(codes::PEER_UNREACHABLE, "nobody answers")),
                status => Ok(Reply::whole(status, Vec::new())),
            };
            Box::pin(async move { reply })
        }

        fn first(&self, _: FirstCall) -> Pending<'_> {
            Box::pin(async { Err(Problem::new(codes::PEER_UNREACHABLE, "nobody answers")) })
        }
    }

    /// On a clock that jumps to whatever is waited for next.
    #[test]
    fn a_delay_is_a_fifth_longer_or_shorter_and_not_the_same_for_all() {
        let mut drawn = std::collections::BTreeSet::new();
        for us in ["did:web:a.example", "did:web:b.example"] {
            for (number, attempt) in (1..50).flat_map(|n| (1..50).map(move |a| (n, a))) {
                let after_ms = jittered(us, number, attempt, 1_000);
                assert!((800..=1_200).contains(&after_ms), "{after_ms}");
                assert_eq!(after_ms, jittered(us, number, attempt, 1_000));
                drawn.insert(after_ms);
            }
        }
        assert!(drawn.len() > 390, "{}", drawn.len());
    }

    /// A node and its sender, with a partner behind a line, in a directory that it holds.
    struct World {
        _place: tempfile::TempDir,
        parts: NodeParts,
        record: Envelope,
        line: Arc<Line>,
        stop: watch::Sender<bool>,
        sender: JoinHandle<()>,
    }

    impl World {
        async fn open() -> World {
            let place = tempfile::tempdir().unwrap();
            let path = |name: &str| place.path().join(name);
            for name in ["operator", "maker"] {
                let did = Did::new(format!("did:web:{name}.example")).unwrap();
                init(&path(name), &did, name).unwrap();
            }
            let maker = open(&path("maker"), PolicyClock::System).await.unwrap();
            let record = prove::own_record(&maker.node).unwrap();
            maker.stop();
            let parts = open(&path("operator"), PolicyClock::System).await.unwrap();
            let node = parts.node.clone();
            partners::add(&node, record.to_json().canonical().as_bytes()).await.unwrap();
            let line = Arc::new(Line::default());
            assert!(node.outbound.set(line.clone()).is_ok());
            let (stop, stopped) = watch::channel(false);
            let sender = tokio::spawn(run(node, stopped));
            World { _place: place, parts, record, line, stop, sender }
        }

        async fn waits(&self, rows: Vec<NewEntry>) {
            let turn = |turn: Turn<'_>| turn.log(rows).map(|_| ());
            self.parts.node.partition.turn(turn).await.unwrap();
        }

        fn waiting(&self) -> usize {
            self.parts.node.partition.read(|fold, _| fold.processes.outbox.len()).unwrap()
        }

        fn calls(&self) -> u32 {
            *self.line.calls.borrow()
        }

        async fn answers(&self, status: u16, times: u32) {
            self.line.status.store(status, Ordering::SeqCst);
            let until = self.calls() + times;
            self.line.calls.subscribe().wait_for(|calls| *calls >= until).await.unwrap();
            assert_eq!(self.waiting(), 1, "{status}");
        }

        /// Its partner is heard of until it is called.
        async fn is_heard(&self) {
            let before = self.calls();
            while self.calls() == before {
                self.parts.node.heard.from(MAKER);
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }

        /// What waits is taken at the next call.
        async fn takes_it(self) {
            self.line.status.store(200, Ordering::SeqCst);
            let (before, began) = (self.calls(), Instant::now());
            // In the middle of the hour: it is not let wait for the rest of it.
            self.is_heard().await;
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
            let mut changes = self.parts.node.partition.changes();
            while self.waiting() == 1 {
                changes.changed().await.unwrap();
            }
            assert_eq!(self.calls(), before + 1);
            self.stop.send_replace(true);
            self.sender.await.unwrap();
            self.parts.stop();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_waits_for_its_partner_for_weeks_and_goes_out_when_it_is_heard_of() {
        let world = World::open().await;
        // What is sent is the business of others: any envelope will do.
        let agreement = countersignatures::of_agreement(MAKER, "a", &world.record, None);
        let row = processes::paper_row(MAKER, "a", &Paper::Agreement("a".to_owned()));
        world.waits(vec![agreement, row]).await;
        for status in [0, 503] {
            world.answers(status, 2 * MAX_ATTEMPTS).await;
        }
        world.takes_it().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_goes_out_when_its_partner_is_heard_of_and_loses_no_attempt_by_that() {
        let world = World::open().await;
        let dsp = "https://maker.example/dsp";
        let opening = Opening { own_pid: "urn:p", peer: MAKER, address: dsp, callback: dsp };
        let now = world.parts.node.clocks.wall();
        let step = open_as_consumer(opening, "urn:a", "HttpData-PULL", None, now).unwrap();
        world.waits(opened_transfer(&step).unwrap()).await;
        world.answers(503, 10).await;
        for _ in 0..2 * MAX_ATTEMPTS {
            world.is_heard().await;
        }
        let noted = why::why(&world.parts.node, "urn:p").unwrap().steps.len();
        assert!(noted < 12, "{noted}");
        world.takes_it().await;
    }
}
