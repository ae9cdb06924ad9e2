//! The stream of a view: its rows as they are recorded, each event a delivery of its own.
//!
//! An event is what a page is: decided, logged and proven in a turn of its own, so that none has a
//! decision at or after the instant at which the policy flips. It is built when the one before was
//! taken, from where that one ended; nothing waits in memory but one event a reader. Its position
//! is its index in the ledger of the agreement, whose entry says where our tree of events goes on:
//! who names it later goes on exactly there, also after a restart. Commits wake it, and timers at
//! the instants at which token, assertion or policy run out: then it is decided anew, and ends when
//! that says no. No stream outlives its token and its assertion; its reader opens the next one.

use crate::answer::{self, Ask, Asking, COME_TO, Deciding, Held, Logged, Ready};
use crate::ask::Answer;
use crate::egress::{Egress, Item, PublicFault};
use crate::fold::Fold;
use crate::metrics::Went;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::local;
use crate::repin::{self, Reason};
use crate::streams::Seat;
use crate::{decisions, trace};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use twinpact_dsp::transfer;
use twinpact_model::entry::{Attribute, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::view::PageBounds;
use twinpact_model::{PolicyTime, View, codes};
use twinpact_policy::{AgreementFacts, PERMIT, Recognised, State};
use twinpact_store::forest::EVENTS;

/// After how long without an event a reader is told that the stream is still there.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream rests whose partner is beyond its rate.
const REST: Duration = Duration::from_secs(1);
/// Why a stream ended whose reader has gone, in the log and in the metrics; not an error.
const LEFT: &str = "left";

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what is recorded from now on.
    Now,
    /// With the first row of the view.
    Beginning,
    /// Behind the event with that position.
    Behind(u64),
    /// With that event of ours.
    At(u64),
}

/// The next part of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    start: Start,
    /// Whether the stream is being opened: that is on record also when there are no rows.
    opens: bool,
    /// How much one event has at most.
    bounds: PageBounds,
}

/// A stream that was opened. What it brings is asked for one item at a time.
pub struct Stream {
    node: Node,
    ask: Arc<Ask>,
    bounds: PageBounds,
    held: Held,
    seat: Seat,
    /// What it began with.
    first: Option<Item>,
    position: Option<u64>,
    events: u64,
    /// When the reader hears of it at the latest.
    beat: Instant,
    /// Until when it rests.
    rest: Option<Instant>,
    wakes: Wakes,
    /// Why it has ended.
    ended: Option<&'static str>,
}

/// What wakes a stream.
struct Wakes {
    commits: watch::Receiver<u64>,
    policy: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
}

/// How much is sent in one request: with its proof it fits the body that a node takes.
const SENT: PageBounds = PageBounds { rows: 1_000, bytes: 262_144, ..PageBounds::DELIVERY };

/// Opens a stream that we send ourselves, from the first row of the view on.
///
/// # Errors
/// The refusal, on record or not.
pub(crate) async fn to_send(node: &Node, ask: Ask) -> Result<Stream, Problem> {
    opened(node, Arc::new(ask), Start::Beginning, SENT).await?
}

/// Opens the stream that is asked for, or says why not.
pub(crate) async fn open(node: &Node, ask: Ask, start: Start) -> Answer {
    let (begun, ask) = (std::time::Instant::now(), Arc::new(ask));
    match opened(node, Arc::clone(&ask), start, PageBounds::DELIVERY).await {
        Ok(Ok(stream)) => Answer::recorded(Egress::Stream(Box::new(stream))),
        Ok(Err(refused)) => {
            answer::note(node, &ask, begun, Went::Refused(refused.code));
            Answer::recorded(refused.into())
        }
        Err(problem) => {
            answer::note(node, &ask, begun, Went::Failed(problem.code));
            Answer::unrecorded(problem.into())
        }
    }
}

/// A stream; or the refusal that is on record, or the one that is not.
async fn opened(
    node: &Node,
    ask: Arc<Ask>,
    start: Start,
    bounds: PageBounds,
) -> Result<Result<Stream, Problem>, Problem> {
    let (begun, did) = (std::time::Instant::now(), ask.peer.id.clone());
    let seat = node.streams.enter(&did)?;
    let wakes = Wakes {
        commits: node.partition.changes(),
        policy: node.clocks.policy_set(),
        closing: node.streams.closing(),
    };
    let part = Part { start, opens: true, bounds };
    let mut taken = turn(node, &ask, (None, part), false).await?;
    if let Logged::KeyUnknown(record) = &taken.0 {
        repin::look(node, &did, Reason::Signature, record).await;
        taken = turn(node, &ask, (None, part), true).await?;
    }
    let (held, ready) = match taken.0 {
        Logged::Quiet(held) => (*held, None),
        Logged::Delivered(ready) => (ready.held.clone(), Some(ready)),
        Logged::Refused(problem, _) => {
            node.metrics.decided(problem.code.name);
            return Ok(Err(problem));
        }
        Logged::KeyUnknown(_) => {
            return Err(Problem::new(codes::INTERNAL, "a last attempt was not the last"));
        }
    };
    let position = if let Start::Behind(position) = start { Some(position) } else { None };
    let mut stream = Stream {
        node: node.clone(),
        ask,
        bounds,
        held,
        seat,
        first: None,
        position,
        events: 0,
        beat: Instant::now() + HEARTBEAT,
        rest: None,
        wakes,
        ended: None,
    };
    if let Some(ready) = ready {
        stream.first = Some(stream.event(*ready, taken.1, begun)?);
    }
    Ok(Ok(stream))
}

/// One turn for a part; a stream that was opened brings its assertion.
async fn turn(
    node: &Node,
    ask: &Arc<Ask>,
    (held, part): (Option<Held>, Part),
    last: bool,
) -> Result<(Logged, u64), Problem> {
    let (ours, ask) = (node.clone(), Arc::clone(ask));
    let turn = move |turn: Turn<'_>| {
        let held = held.as_ref().and_then(|held| held.assertion.as_ref());
        let asking = Asking { last: last || held.is_some(), held, part: Some(part) };
        answer::in_turn(&ours, turn, &ask, asking)
    };
    node.partition.turn_and_prove(turn).await
}

/// The part of a turn that is a stream's own: which rows, and whether there is anything to send.
pub(crate) fn part(
    node: &Node,
    turn: Turn<'_>,
    mut deciding: Deciding<'_>,
    part: Part,
    now: PolicyTime,
) -> Result<Logged, Problem> {
    if deciding.grant.selection().links.is_some() {
        let why = "a view of links has no stream";
        return Err(Problem::new(codes::INPUT_MALFORMED, why).hint("fetch it page by page"));
    }
    let end = turn.store().forest().size(EVENTS);
    let (from, tells) = match part.start {
        // The reader learns a position from which it can go on, rows or not.
        Start::Now => (end, true),
        Start::Beginning => (0, true),
        Start::Behind(position) => (behind(&turn, deciding.facts, position)?, false),
        Start::At(event) => (event, false),
    };
    let viewing = trace::step(trace::Step::View);
    let (facts, grant) = (deciding.facts, deciding.grant);
    let recorded = turn.fold().twins.recorded(grant.selection(), from, part.bounds);
    drop(viewing);
    deciding.held.come_to = recorded.next.unwrap_or(end);
    if recorded.rows.is_empty() && !tells {
        if part.opens {
            deciding.entries.push(decisions::used(&deciding.reader, 0, 0));
            turn.log(deciding.entries)?;
        }
        return Ok(Logged::Quiet(Box::new(deciding.held)));
    }
    let columns = grant.selection().columns.clone();
    let view = View { id: facts.target.clone(), columns, rows: recorded.rows, next: None };
    let view = grant.apply_recorded(view, now, facts.epoch)?;
    answer::deliver(node, turn, deciding, view, now)
}

/// Where a stream goes on behind the event with that position in the agreement's ledger.
fn behind(turn: &Turn<'_>, facts: &AgreementFacts, position: u64) -> Result<u64, Problem> {
    let none = |why: &str| {
        let why = format!("the position {position} is {why}");
        Problem::new(codes::STREAM_POSITION, why)
            .hint("begin again with from=start, or from now on without a position")
    };
    let (store, agreement) = (turn.store(), turn.fold().agreements.get(&facts.id)?);
    let ledger = agreement.ledger.ok_or_else(|| none("of no ledger"))?;
    // What is under no tick has been sent to nobody.
    if store.forest().tick_of(ledger, position).is_none() {
        return Err(none("of no event that was sent"));
    }
    let entry = store.entry(ledger, position).map_err(|_| none("not kept any more"))?;
    let come_to = entry.entry.get(COME_TO).and_then(|event| event.parse().ok());
    come_to.ok_or_else(|| none("that of a page, not of an event of a stream"))
}

impl Stream {
    /// What it brings next: that the item before was taken is known by this. `None` when it has
    /// ended.
    pub async fn next(&mut self) -> Option<Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        self.seat.holds(false);
        if self.ended.is_some() {
            return None;
        }
        match self.awaited().await {
            Ok(item) => Some(item),
            Err((problem, opens)) => Some(self.end(&problem, opens).await),
        }
    }

    /// Whether it has something to say now: rows, or an end.
    ///
    /// # Errors
    /// `store.stopped`.
    pub(crate) fn has_more(&mut self) -> Result<bool, Problem> {
        self.is_due()
    }

    /// Whether what was decided last still holds: by both clocks, and for agreement, transfer and
    /// token.
    ///
    /// # Errors
    /// `store.stopped`.
    pub(crate) fn holds(&self) -> Result<bool, Problem> {
        let stands = self.node.partition.read(|fold, _| stands(fold, &self.ask, &self.held))?;
        Ok(stands && !self.is_over())
    }

    /// Whether the time of the decision is over.
    fn is_over(&self) -> bool {
        let (policy, wall) = (self.node.clocks.policy(), self.node.clocks.wall());
        let (policy_until, wall_until) = self.held.until;
        policy < self.held.from
            || policy_until.is_some_and(|until| policy >= until)
            || wall_until.is_some_and(|until| wall >= until)
    }

    /// The part that goes on where it is.
    const fn at(&self) -> Part {
        Part { start: Start::At(self.held.come_to), opens: false, bounds: self.bounds }
    }

    /// Its reader has not taken what it was sent in time.
    pub fn cut(&mut self) {
        if self.ended.is_none() {
            self.ended = Some(codes::STREAM_SLOW.name);
            self.node.partition.leave(vec![self.record(codes::STREAM_SLOW.name)]);
        }
    }

    /// Waits for rows, for the time of a heartbeat, or for a reason to end.
    async fn awaited(&mut self) -> Result<Item, (Problem, Option<PolicyTime>)> {
        loop {
            self.wakes.commits.borrow_and_update();
            self.wakes.policy.borrow_and_update();
            if *self.wakes.closing.borrow_and_update() {
                let why = "the node is stopping; go on from the last position";
                return Err((Problem::new(codes::STREAM_CLOSED, why), None));
            }
            let now = Instant::now();
            self.rest = self.rest.filter(|rest| *rest > now);
            if self.rest.is_none()
                && self.is_due().map_err(|problem| (problem, None))?
                && let Some(item) = self.decided().await?
            {
                return Ok(item);
            }
            if self.beat <= now {
                self.beat = now + HEARTBEAT;
                return Ok(Item::Beat);
            }
            if !self.woken().await {
                let why = "the node is stopping";
                return Err((Problem::new(codes::STORE_STOPPED, why), None));
            }
        }
    }

    /// Waits until there is a reason to look; `false` when there will be none any more.
    async fn woken(&mut self) -> bool {
        let at = [Some(self.beat), self.rest, self.flip()].into_iter().flatten().min();
        let Wakes { commits, policy, closing } = &mut self.wakes;
        tokio::select! {
            () = sleep_until(at.unwrap_or(self.beat)) => true,
            changed = commits.changed() => changed.is_ok(),
            changed = policy.changed() => changed.is_ok(),
            changed = closing.changed() => changed.is_ok(),
        }
    }

    /// When the decision runs out, for a timer. A driven clock tells when it is set.
    fn flip(&self) -> Option<Instant> {
        let (policy, wall) = self.held.until;
        let clocks = &self.node.clocks;
        let policy = policy.filter(|_| !clocks.is_driven());
        let until = policy.map(|t| t.0).into_iter().chain(wall.map(|t| t.0)).min()?;
        let micros = until.micros().saturating_sub(clocks.wall().0.micros());
        let rest = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        // Not in circles when the clock is a little late.
        Some(Instant::now() + rest.max(Duration::from_millis(1)))
    }

    /// Whether something calls for a turn: a decision that has run out, an agreement, transfer or
    /// token that is not what it was, or rows.
    fn is_due(&mut self) -> Result<bool, Problem> {
        if self.is_over() {
            return Ok(true);
        }
        let (held, ask) = (&self.held, &self.ask);
        let one = PageBounds { rows: 1, twins: 1, bytes: 0 };
        let (stands, rows, end) = self.node.partition.read(|fold, store| {
            let recorded = fold.twins.recorded(&held.selection, held.come_to, one);
            (stands(fold, ask, held), !recorded.rows.is_empty(), store.forest().size(EVENTS))
        })?;
        if !rows {
            // What was looked at in vain is not looked at again.
            self.held.come_to = self.held.come_to.max(end);
        }
        Ok(rows || !stands)
    }

    /// Takes a turn: an event, nothing, or the refusal that is on record.
    async fn decided(&mut self) -> Result<Option<Item>, (Problem, Option<PolicyTime>)> {
        let (part, begun) = (self.at(), std::time::Instant::now());
        match turn(&self.node, &self.ask, (Some(self.held.clone()), part), true).await {
            Ok((Logged::Delivered(ready), tick)) => {
                self.held = ready.held.clone();
                self.event(*ready, tick, begun).map(Some).map_err(|problem| (problem, None))
            }
            Ok((Logged::Quiet(held), _)) => {
                self.held = *held;
                Ok(None)
            }
            Ok((Logged::Refused(problem, opens), _)) => {
                self.node.metrics.decided(problem.code.name);
                answer::note(&self.node, &self.ask, begun, Went::Refused(problem.code));
                Err((problem, opens))
            }
            Ok((Logged::KeyUnknown(_), _)) => {
                let why = "a last attempt was not the last";
                Err((Problem::new(codes::INTERNAL, why), None))
            }
            // Nothing is decided, so nothing leaves; it is tried again.
            Err(problem) if problem.code == codes::EXCHANGE_TOO_MANY => {
                answer::note(&self.node, &self.ask, begun, Went::Failed(problem.code));
                self.rest = Some(Instant::now() + REST);
                Ok(None)
            }
            Err(problem) => {
                answer::note(&self.node, &self.ask, begun, Went::Failed(problem.code));
                Err((problem, None))
            }
        }
    }

    /// The event of a delivery that is durable, and was begun then.
    fn event(
        &mut self,
        ready: Ready,
        tick: u64,
        begun: std::time::Instant,
    ) -> Result<Item, Problem> {
        let (position, (rows, bytes), went) = (ready.position(), ready.size(), ready.went());
        let seen = self.ask.seen;
        let (delivered, shown) = answer::prove_delivery(&self.node, ready, tick, seen)?;
        // The next one continues this one.
        let mut ask = Ask::clone(&self.ask);
        ask.seen = shown;
        self.ask = Arc::new(ask);
        self.node.metrics.decided(PERMIT);
        self.node.metrics.delivered(rows, bytes);
        self.node.metrics.streamed();
        answer::note(&self.node, &self.ask, begun, went);
        self.position = Some(position);
        self.events += 1;
        self.beat = Instant::now() + HEARTBEAT;
        self.seat.holds(true);
        Ok(Item::Rows { position, delivered: Box::new(delivered) })
    }

    /// The end of it, on record before it is told.
    async fn end(&mut self, problem: &Problem, opens: Option<PolicyTime>) -> Item {
        self.ended = Some(problem.code.name);
        let entry = self.record(problem.code.name);
        // A log that has stopped takes nothing, and then that is the reason.
        let _ = self.node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await;
        let mut document = PublicFault::of(problem).document;
        if let (Some(opens), Some(members)) = (opens, document.as_object_mut()) {
            members.insert("opensAt".to_owned(), Value::from(opens.0.to_string()));
        }
        Item::End(document)
    }

    /// The entry about its end. It counts it too.
    fn record(&self, why: &'static str) -> NewEntry {
        self.node.metrics.stream_ended(why);
        let position = self.position.map_or(String::new(), |position| position.to_string());
        let what = vec![
            Attribute::new("transfer", "text", &self.ask.transfer),
            Attribute::new("position", "text", position),
            Attribute::new("events", "integer", self.events.to_string()),
            Attribute::new("code", "text", why),
        ];
        local(Kind::StreamEnded, self.ask.peer.id.as_str(), what)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.node.partition.leave(vec![self.record(LEFT)]);
        }
    }
}

/// Whether agreement, transfer and token are what they were when it was decided.
fn stands(fold: &Fold, ask: &Ask, held: &Held) -> bool {
    let did = ask.peer.id.as_str();
    let Some(transfer) = fold.processes.transfers.get(&ask.transfer) else { return false };
    let agreement = fold.agreements.granted_to(did, &transfer.agreement_id);
    let holds = agreement.is_some_and(|a| a.state == State::Active && a.epoch == held.epoch);
    let token = ask.token.as_deref();
    holds
        && transfer.state == transfer::State::Started
        && token.is_some_and(|token| answer::known_token(fold, token, &ask.transfer).is_ok())
        && (ask.peer.by != Recognised::Certificate || fold.partners.get(did).is_ok())
}
