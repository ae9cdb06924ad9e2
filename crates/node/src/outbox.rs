//! The sender: woken by the commit that wrote an outbox row, never by polling.
//!
//! Messages of one process go out in their order, one at a time; processes do not wait for each
//! other, and a question where the other side stands does not hold up messages. Whether an answer
//! means "arrived", "come again" or "never" is the protocol's business
//! ([`twinpact_dsp::delivery`]); what it does to the process is logged with the row that it
//! settles. A message that its process no longer waits for is not sent any more. A signed document
//! is nobody's step: it is sent until it is taken or refused, however long that takes, and shares
//! its first call with others for the same partner ([`together`]). Whatever rests is sent when its
//! partner shows that it is there.

mod calling;
mod shared;
mod together;
mod unnoted;

pub use self::calling::call;
pub(crate) use self::calling::{base, call_plainly, flow, way_out};

use self::shared::{Letters, Told};
use self::together::Posts;
use self::unnoted::Repeats;
use crate::agreements::Agreement;
use crate::bargain;
use crate::documents::{self, MAX_TOGETHER};
use crate::fold::Fold;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::outbound::Reply;
use crate::partition::{NewEntry, Turn};
use crate::processes::{Paper, Pending, Waiting, outbox_attempt, outbox_done, outbox_taken};
use crate::prove;
use crate::tokens;
use crate::why;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use twinpact_dsp::delivery::{Delivery, classify_document_response, classify_response, described};
use twinpact_dsp::exchange::Input;
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message, Role};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::sha256;
use twinpact_store::Store;

/// How long a row rests that could not be settled, or whose sending broke off.
const REST: Duration = Duration::from_secs(1);

/// How long a row rests at least that was sent often, however much its partner says meanwhile.
const LEAST_REST: Duration = Duration::from_secs(10);

/// After how many seconds a row is old: a day, which is as long as the attempts take while nothing
/// is heard of the partner.
const OLD_S: i64 = 86_400;

/// Why a row is not sent that was superseded by what happened.
const NEEDLESS: &str = "it is not needed any more";

/// What is done one at a time.
enum Lane {
    /// The messages of a process.
    Process(String),
    /// Its question.
    Question(String),
    /// The documents that go to a partner together.
    Together(String),
}

/// The lanes that something is sent in.
#[derive(Default)]
struct Busy {
    processes: HashSet<String>,
    questions: HashSet<String>,
    together: HashSet<String>,
}

impl Busy {
    fn begin(&mut self, lane: &Lane) {
        match lane {
            Lane::Process(pid) => self.processes.insert(pid.clone()),
            Lane::Question(pid) => self.questions.insert(pid.clone()),
            Lane::Together(peer) => self.together.insert(peer.clone()),
        };
    }

    fn end(&mut self, lane: &Lane) {
        match lane {
            Lane::Process(pid) => self.processes.remove(pid),
            Lane::Question(pid) => self.questions.remove(pid),
            Lane::Together(peer) => self.together.remove(peer),
        };
    }

    /// Whether something is sent in the lane of a row.
    fn has(&self, row: &Pending) -> bool {
        match is_question(row) {
            true => self.questions.contains(&row.pid),
            false => self.processes.contains(&row.pid),
        }
    }
}

/// How many calls to one partner are open at a time, and to all of them. A row that waits for its
/// next attempt is no call.
const MAX_CALLS_TO_ONE: usize = 32;
const MAX_CALLS: usize = 128;

/// Sends until told to stop. What is under way then is sent again after the next start.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    let mut under_way = UnderWay::default();
    let calls = Calls::default();
    loop {
        changes.borrow_and_update();
        let Due { alone, together, more } = due(&node, &mut under_way).await;
        for row in alone {
            under_way.deliver(&node, &calls, row);
        }
        for (peer, rows) in together {
            under_way.post(&node, &calls, peer, rows);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            Some(done) = under_way.tasks.join_next_with_id() => under_way.ended(done),
            () = until(more) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        // Those that ended together are followed by one look at what is next.
        while let Some(done) = under_way.tasks.try_join_next_with_id() {
            under_way.ended(done);
        }
    }
    // Whoever waits for the end finds the directory free.
    under_way.tasks.shutdown().await;
    calls.repeats.stop().await;
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}

/// A row and its number.
type Row = (u64, Pending);

/// What is being sent.
#[derive(Default)]
struct UnderWay {
    /// Each leaves the rows that are to be sent one by one from now on.
    tasks: JoinSet<Vec<u64>>,
    of: HashMap<Id, Held>,
    lanes: Busy,
    posts: Posts,
    /// Documents that a list could not bring.
    alone: HashSet<u64>,
}

/// The lanes that a task holds, and the documents that it sends together.
#[derive(Default)]
struct Held {
    lanes: Vec<Lane>,
    listed: Vec<u64>,
}

impl UnderWay {
    fn begin(&mut self, held: Held, task: impl Future<Output = Vec<u64>> + Send + 'static) {
        held.lanes.iter().for_each(|lane| self.lanes.begin(lane));
        let id = self.tasks.spawn(task).id();
        self.of.insert(id, held);
    }

    /// Sends one row until it is settled.
    fn deliver(&mut self, node: &Node, calls: &Calls, row: Row) {
        let (node, calls) = (node.clone(), calls.clone());
        let held = Held { lanes: vec![lane(&row.1)], listed: Vec::new() };
        self.begin(held, async move {
            deliver_or_rest(&node, &calls, &row).await;
            Vec::new()
        });
    }

    /// Sends these documents to a partner together.
    fn post(&mut self, node: &Node, calls: &Calls, peer: String, rows: Vec<Row>) {
        let (node, calls) = (node.clone(), calls.clone());
        let mut lanes: Vec<Lane> = rows.iter().map(|(_, row)| lane(row)).collect();
        lanes.push(Lane::Together(peer.clone()));
        let listed = rows.iter().map(|(number, _)| *number).collect();
        self.posts.begun(&peer);
        let held = Held { lanes, listed };
        self.begin(held, async move { together::send(&node, &calls, &peer, rows).await });
    }

    fn ended(&mut self, done: Result<(Id, Vec<u64>), JoinError>) {
        let (id, left) = match done {
            Ok((id, left)) => (id, Some(left)),
            Err(broken) => (broken.id(), None),
        };
        let Held { lanes, listed } = self.of.remove(&id).unwrap_or_default();
        lanes.iter().for_each(|lane| self.lanes.end(lane));
        if left.is_none() {
            // It panicked, which is a bug: the lanes rest, and then their rows are tried again.
            self.begin(Held { lanes, listed: Vec::new() }, async {
                tokio::time::sleep(REST).await;
                Vec::new()
            });
        }
        self.alone.extend(left.unwrap_or(listed));
    }
}

/// Sends one row until it is settled; when that cannot be put on record, it rests.
async fn deliver_or_rest(node: &Node, calls: &Calls, (number, pending): &Row) {
    if deliver(node, calls, *number, pending).await.is_err() {
        tokio::time::sleep(REST).await;
    }
}

fn lane(pending: &Pending) -> Lane {
    match is_question(pending) {
        true => Lane::Question(pending.pid.clone()),
        false => Lane::Process(pending.pid.clone()),
    }
}

fn is_question(pending: &Pending) -> bool {
    pending.what == Waiting::Question
}

/// What is to be sent now.
#[derive(Default)]
struct Due {
    /// One by one.
    alone: Vec<Row>,
    /// Documents, by partner.
    together: BTreeMap<String, Vec<Row>>,
    /// When to look again for documents that wait for their turn.
    more: Option<Instant>,
}

/// The oldest waiting row of each lane that is not busy, and the documents behind it that may go
/// with others.
async fn due(node: &Node, under_way: &mut UnderWay) -> Due {
    under_way.posts.forget();
    let UnderWay { lanes, posts, alone, .. } = under_way;
    let read = node.partition.read_between(|fold, store| {
        let mut due = Due::default();
        if fold.behind.check(store.forest()).is_err() {
            return due;
        }
        let outbox = &fold.processes.outbox;
        alone.retain(|number| outbox.contains_key(number));
        // Whether all that is in the lane so far is documents that go with others.
        let mut first = HashMap::new();
        for (number, row) in outbox.iter().filter(|(_, row)| !lanes.has(row)) {
            let listed = together::goes_with_others(&row.what) && !alone.contains(number);
            let lane = first.entry((row.pid.as_str(), is_question(row)));
            let is_first = matches!(lane, Entry::Vacant(_));
            let only_listed = lane.or_insert(listed);
            *only_listed &= listed;
            if !is_first && !*only_listed {
                continue;
            }
            if !listed {
                due.alone.push((*number, row.clone()));
            } else if let Some(next) = posts.next(&row.peer) {
                due.more = due.more.map_or(Some(next), |more| Some(more.min(next)));
            } else if !lanes.together.contains(&row.peer) {
                let rows = due.together.entry(row.peer.clone()).or_default();
                if rows.len() < MAX_TOGETHER {
                    rows.push((*number, row.clone()));
                }
            }
        }
        due
    });
    read.await.unwrap_or_default()
}

/// Turns at calling: a partner that never answers takes none from the others.
#[derive(Clone)]
struct Calls {
    all: Arc<Semaphore>,
    of: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    letters: Arc<Letters>,
    repeats: Repeats,
}

impl Default for Calls {
    fn default() -> Self {
        let all = Arc::new(Semaphore::new(MAX_CALLS));
        Calls { all, of: Arc::default(), letters: Arc::default(), repeats: Repeats::default() }
    }
}

impl Calls {
    /// Calls a partner when it is its turn.
    async fn call<T>(&self, node: &Node, peer: &str, call: impl Future<Output = T>) -> T {
        let _turn = self.turn(peer).await;
        let _at_work = node.partition.at_work();
        node.partition.between_frames().await;
        call.await
    }

    /// Waits for a turn at calling a partner, which lasts for as long as it is held.
    async fn turn(&self, peer: &str) -> [Option<OwnedSemaphorePermit>; 2] {
        let ours = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(MAX_CALLS_TO_ONE));
            of.entry(peer.to_owned()).or_insert_with(new).clone()
        };
        // Its own turn first: whoever waits for that holds none of all.
        let ours = ours.acquire_owned().await.ok();
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        [ours, all]
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
        if !wanted(node, number, pending).await {
            return settle(node, number, pending, Became::Needless).await;
        }
        let Some(answer) = sent(node, calls, (number, pending), tries == 0).await else {
            return Ok(());
        };
        let (status, text) = match answer {
            // Some answer with what they were sent, and that may hold a token or a key.
            Ok(reply) if pending.what == Waiting::Start => (Some(reply.status), String::new()),
            Ok(reply) if reply.status >= 300 && node.secrets.written(&pending.id).is_some() => {
                (Some(reply.status), code_of(&reply.body))
            }
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
                let became = Became::Taken(answer_in(&text));
                // Rarely wanted, and all would have room for it else.
                let copy = match unnoted::may_forget(node, pending) {
                    true => Box::pin(unnoted::copy(node, pending)).await,
                    false => None,
                };
                settle(node, number, pending, became).await?;
                if let Some(copy) = copy {
                    calls.repeats.add(node, calls, pending, copy);
                }
                return Ok(());
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
async fn wanted(node: &Node, number: u64, pending: &Pending) -> bool {
    let look = |fold: &Fold, store: &Store| is_wanted(fold, store, number, pending);
    node.partition.read_between(look).await.unwrap_or(false)
}

fn is_wanted(fold: &Fold, store: &Store, number: u64, pending: &Pending) -> bool {
    let processes = &fold.processes;
    let waits = match &pending.what {
        Waiting::Question => find(fold, &pending.pid).is_some(),
        // What has come back signed needs not be sent any more.
        Waiting::Paper(Paper::Agreement(id)) => {
            let ours = |known: &Agreement| known.role == Role::Provider;
            let both = fold.countersignatures.agreement(id).is_some();
            !(both && fold.agreements.get(id).is_ok_and(ours))
        }
        Waiting::Paper(_) | Waiting::Record => true,
        _ => processes.unacknowledged(&pending.pid) == Some(&pending.id),
    };
    let free = fold.behind.check(store.forest()).is_ok();
    waits && free && processes.outbox.contains_key(&number)
}

/// The code of a typed refusal, when it is one of ours: what is of a closed list repeats nothing.
fn code_of(body: &[u8]) -> String {
    let code = match Message::parse_bytes(body) {
        Ok(Message::NegotiationError(said) | Message::TransferError(said)) => said.code,
        _ => None,
    };
    code.filter(|code| codes::find(code).is_some())
        .map(|code| format!("[{code}]"))
        .unwrap_or_default()
}

/// The message that one of ours was answered with.
fn answer_in(text: &str) -> Option<Box<Message>> {
    Message::parse_bytes(text.as_bytes()).ok().map(Box::new)
}

/// Sends a row: a message of a process shares a call the first time that it is sent. What it was
/// answered; nothing when it is settled by that.
async fn sent(
    node: &Node,
    calls: &Calls,
    (number, row): (u64, &Pending),
    is_first: bool,
) -> Option<Result<Reply, Problem>> {
    let is_message = matches!(row.what, Waiting::Message(_) | Waiting::Start);
    if is_first && is_message && !node.connectors.knows(&row.peer) {
        match shared::send(node, calls, (number, row)).await {
            Told::Settled => return None,
            Told::Answered(answer) => return Some(answer),
            Told::Alone => {}
        }
    }
    let sending = Box::pin(send(node, row));
    Some(calls.call(node, &row.peer, sending).await)
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
            let base = |fold: &Fold, _: &Store| fold.partners.get(&pending.peer).map(|p| base(p));
            url.insert_str(0, &node.partition.read(base)??);
            ("POST", prove::own_record(node)?.to_json().canonical().into_bytes())
        }
        Waiting::Message(_) | Waiting::Start => ("POST", message(node, pending).await?),
    };
    call(node, &pending.peer, method, url, Vec::new(), body, MAX_MESSAGE_BYTES).await
}

/// The text of a message of a process.
async fn message(node: &Node, pending: &Pending) -> Result<Vec<u8>, Problem> {
    let text = match &pending.what {
        // With what the log has not; after a stop it goes without, and is refused for that.
        Waiting::Message(written) => match node.secrets.written(&pending.id) {
            Some(whole) => whole.to_text(),
            None => written.text.to_string(),
        },
        _ => match node.secrets.message(&pending.id, node.clocks.wall()) {
            Some(start) => start.to_text(),
            None => start_again(node, pending).await?.to_text(),
        },
    };
    Ok(text.into_bytes())
}

/// A start message is in memory only; after a stop it is made again, with a fresh token.
async fn start_again(node: &Node, pending: &Pending) -> Result<Message, Problem> {
    let message = tokens::start_again(node, &pending.pid, &pending.id).await?;
    node.secrets.keep_message(&message, node.clocks.wall());
    Ok(message)
}

/// Whether another row waits behind this one for its turn.
async fn has_more(node: &Node, number: u64, pid: &str) -> bool {
    let look = |fold: &Fold, _: &Store| {
        fold.processes.outbox.range(number + 1..).any(|(_, row)| row.pid == pid)
    };
    node.partition.read_between(look).await.unwrap_or(false)
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
    let urgent = has_more(node, number, &pending.pid).await;
    let settling = move |mut turn: Turn<'_>| {
        let entries = settled(&ours, &mut turn, (number, &row), &became)?;
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

/// Puts on record that these messages to a partner were taken, each with what it was answered; the
/// numbers of those that could be.
async fn settle_taken(
    node: &Node,
    peer: &str,
    taken: Vec<(Row, Option<Box<Message>>)>,
) -> Result<Vec<u64>, Problem> {
    let lanes: HashMap<String, u64> =
        taken.iter().map(|((number, row), _)| (row.pid.clone(), *number)).collect();
    let first = lanes.values().min().copied().unwrap_or(u64::MAX);
    let behind = move |fold: &Fold, _: &Store| {
        let mut rows = fold.processes.outbox.range(first..);
        rows.any(|(number, row)| lanes.get(&row.pid).is_some_and(|taken| taken < number))
    };
    let urgent = node.partition.read_between(behind).await.unwrap_or(false);
    let (ours, peer) = (node.clone(), peer.to_owned());
    let settling = move |mut turn: Turn<'_>| {
        let (mut numbers, mut others, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for ((number, row), answer) in taken {
            if is_all(&ours, turn.fold(), &row) {
                numbers.push(number);
                continue;
            }
            // Each sees the state before all of them, which is the same: they are of processes of
            // their own, and learn the other side's id at most.
            let became = Became::Taken(answer);
            if let Ok(more) = settled(&ours, &mut turn, (number, &row), &became) {
                others.push(number);
                entries.extend(more);
            }
        }
        entries.extend((!numbers.is_empty()).then(|| outbox_taken(&peer, &numbers)));
        turn.log(entries)?;
        Ok([numbers, others].concat())
    };
    match urgent {
        true => node.partition.turn(settling).await,
        false => node.partition.turn_soon(settling).await,
    }
}

/// Whether all that follows from it when a row is taken is that it is: the usual end of a message,
/// for which its process need not be written once more.
fn is_all(node: &Node, fold: &Fold, row: &Pending) -> bool {
    matches!(row.what, Waiting::Start | Waiting::Message(_))
        && node.conformance.is_none()
        && fold.processes.is_acknowledged_by(row)
}

/// The entries of what became of a row.
fn settled(
    node: &Node,
    turn: &mut Turn<'_>,
    (number, row): (u64, &Pending),
    became: &Became,
) -> Result<Vec<NewEntry>, Problem> {
    let why = match became {
        Became::NotTaken(why) | Became::Unknown(why) => Some(why.as_str()),
        Became::Needless => Some(NEEDLESS),
        Became::Taken(_) if is_all(node, turn.fold(), row) => {
            return Ok(vec![outbox_taken(&row.peer, &[number])]);
        }
        Became::Taken(_) => None,
    };
    let parked = matches!(became, Became::NotTaken(_) | Became::Unknown(_)) && !row.id.is_empty();
    let mut entries = vec![outbox_done(&row.peer, number, parked, why)];
    entries.extend(told(node, turn, row, became)?);
    Ok(entries)
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
mod tests;
