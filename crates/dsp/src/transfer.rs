//! The transfer process machine, both sides (Dataspace Protocol 2025-1, transfer process).
//!
//! Built like [`crate::negotiation`], with one difference: here both sides may act in the same
//! state, so two messages can cross. As long as our last message is not acknowledged, theirs may
//! have been sent from the state before it. Then the outcome of the higher rank holds on both
//! sides: terminated over completed over suspended over started; the message with the lower one is
//! refused. No data address is kept in the state, because it may hold a token, and the state is
//! logged.

use crate::exchange::{
    self, Effect, Ended, Expect, MAX_DOUBTS, OWN_PATIENCE_S, Outgoing, PEER_PATIENCE_S, Party,
    Post, Record, Role, Whose, is_acknowledged,
};
use crate::message::{
    DataAddress, Message, Notice, Signal, TransferRequest, TransferStart, TransferStatus,
};
use crate::negotiation::Opening;
use crate::rejected::Rejected;
use crate::route::segment;
use serde::{Deserialize, Serialize};
use twinpact_model::{WallTime, codes};

/// The states of a transfer, by rank: of two that cross, the later one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// The consumer has asked.
    Requested,
    /// Data may flow.
    Started,
    /// It pauses.
    Suspended,
    /// It is done.
    Completed,
    /// It was ended.
    Terminated,
}

impl State {
    /// Every state.
    pub const ALL: [State; 5] =
        [State::Requested, State::Started, State::Suspended, State::Completed, State::Terminated];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Requested => "REQUESTED",
            State::Started => "STARTED",
            State::Suspended => "SUSPENDED",
            State::Completed => "COMPLETED",
            State::Terminated => "TERMINATED",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, State::Completed | State::Terminated)
    }
}

/// One transfer as one side sees it. Plain data: it is logged as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Who transfers, and under which ids.
    pub party: Party,
    /// Where it stands.
    pub state: State,
    /// The state before our last message, as long as that is not acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<State>,
    /// The agreement it happens under.
    pub agreement_id: String,
    /// The format of the distribution.
    pub format: String,
    /// Who suspended it, when it is suspended: that side is expected to resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_by: Option<Whose>,
    /// Whether a person of ours has suspended it: then we do not resume it by ourselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// How it ended, when it was terminated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// What was sent and received.
    pub post: Post,
    /// Since when it is in this state.
    pub since: WallTime,
    /// Until when, or when to ask the other side again; absent when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<WallTime>,
}

/// What a step of a transfer is taken on.
pub type Input<'a> = exchange::Input<'a, Decision>;
/// The next state of a transfer and what to do.
pub type Step = exchange::Step<Transfer>;

/// A decision of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Provider: start. Either side: resume.
    Start {
        /// Where to pull from, with its token; a provider's.
        data_address: Option<DataAddress>,
    },
    /// Either side: it is done.
    Complete,
    /// Either side: pause.
    Suspend {
        /// A code for programs.
        code: String,
        /// Why, for people.
        reason: String,
    },
    /// Either side: end it.
    Terminate {
        /// A code for programs.
        code: String,
        /// Why, for people.
        reason: String,
    },
}

/// Asks a provider for a transfer.
///
/// # Errors
/// `dsp.malformed` when an id or an address is none.
pub fn open_as_consumer(
    opening: Opening<'_>,
    agreement_id: &str,
    format: &str,
    data_address: Option<DataAddress>,
    now: WallTime,
) -> Result<Step, Rejected> {
    let party = Party::new(Role::Consumer, opening.own_pid, opening.peer, opening.address)?;
    let mut next = Transfer::fresh(party, agreement_id, format, now);
    let message = Message::TransferRequest(TransferRequest {
        id: Some(next.post.number(opening.own_pid)),
        consumer_pid: opening.own_pid.to_owned(),
        agreement_id: agreement_id.to_owned(),
        format: format.to_owned(),
        data_address,
        callback: crate::message::address(opening.callback, "the callback address")?,
    });
    let (to, path) = (next.party.address.clone(), "/transfers/request".to_owned());
    let request = Outgoing { to, path, message, expect: Expect::Process };
    let send = Effect::Send(Box::new(request));
    Ok(next.opened(Whose::Ours, Some(send)))
}

/// Takes a consumer's request, sent by this authenticated participant. Look up
/// [`crate::exchange::opening_key`] first: a repeat is answered by its process.
///
/// # Errors
/// `dsp.malformed` when our process id or the participant id is none.
pub fn open_as_provider(
    from: &str,
    request: &TransferRequest,
    own_pid: &str,
    now: WallTime,
) -> Result<Step, Rejected> {
    let mut party = Party::new(Role::Provider, own_pid, from, &request.callback)?;
    party.peer_pid = Some(request.consumer_pid.clone());
    let mut next = Transfer::fresh(party, &request.agreement_id, &request.format, now);
    next.post.open(&Message::TransferRequest(request.clone()));
    Ok(next.opened(Whose::Peers, None))
}

/// One step.
///
/// # Errors
/// `dsp.unknown` when the message is not for this process or this sender, `dsp.transition` when it
/// does not fit the state, `dsp.conflict` when it contradicts an earlier one, `dsp.decision` when
/// we may not do this now. The state is unchanged then.
pub fn step(state: &Transfer, input: Input<'_>, now: WallTime) -> Result<Step, Rejected> {
    match input {
        Input::Received { from, message } => received(state, from, message, now),
        Input::Decide(decision) => decide(state, decision, now),
        Input::Delivered { id, answer } => delivered(state, id, answer, now),
        // Nobody is bound to a transfer, so that it matters little why the other side says no.
        Input::Undelivered { id, reason } | Input::Unknown { id, reason } => {
            Ok(undelivered(state, id, reason, now))
        }
        Input::Gone { reason } => Ok(gone(state, reason, now)),
        Input::Status(answer) => status(state, answer, now),
        Input::Deadline => Ok(deadline(state, now)),
    }
}

/// The state that this message of that sender leads to.
fn follow(sender: Role, state: State, message: &Message) -> Option<State> {
    match (state, message) {
        (State::Requested, Message::TransferStart(_)) if sender == Role::Provider => {
            Some(State::Started)
        }
        (State::Suspended, Message::TransferStart(_)) => Some(State::Started),
        (State::Started, Message::TransferCompletion(_)) => Some(State::Completed),
        (State::Started, Message::TransferSuspension(_)) => Some(State::Suspended),
        (state, Message::TransferTermination(_)) if !state.is_final() => Some(State::Terminated),
        _ => None,
    }
}

fn received(
    state: &Transfer,
    from: &str,
    message: &Message,
    now: WallTime,
) -> Result<Step, Rejected> {
    if matches!(message, Message::TransferRequest(_)) {
        if from != state.party.peer || state.party.role != Role::Provider {
            return Err(Rejected::unknown());
        }
        state.post.reopen(message)?;
        return Ok(Step::unchanged(state));
    }
    let mut next = state.clone();
    next.party.admit(from, message)?;
    let ends = matches!(message, Message::TransferTermination(_));
    let follows = follow(state.party.role.other(), state.state, message).is_some();
    if state.post.is_repeat(message, follows) || (ends && state.state == State::Terminated) {
        return Ok(Step::unchanged(state));
    }
    let to = outcome(state, message)?;
    if state.post.is_full() && !ends {
        return Err(Rejected::transition("this transfer has taken too many messages"));
    }
    next.post.take(message);
    next.settle();
    if to == state.state {
        return Ok(Step { next, effects: Vec::new() });
    }
    next.suspended_by = (to == State::Suspended).then_some(Whose::Peers);
    if let Message::TransferTermination(m) = message {
        next.ended = Some(Ended::by_peer(m.code.as_ref(), &m.reason));
    }
    Ok(next.moved(to, Whose::Peers, format!("received {}", message.name()), now))
}

/// Where a message leads: from our state, or, when it crossed ours, from the state before.
fn outcome(state: &Transfer, message: &Message) -> Result<State, Rejected> {
    let sender = state.party.role.other();
    if let Some(to) = follow(sender, state.state, message) {
        return Ok(to);
    }
    let crossed = state.prior.and_then(|prior| follow(sender, prior, message));
    crossed.filter(|to| *to >= state.state).ok_or_else(|| {
        let (name, at) = (message.name(), state.state.name());
        let sender = sender.name();
        Rejected::transition(format!("a {name} from the {sender} does not fit the state {at}"))
    })
}

fn decide(state: &Transfer, decision: Decision, now: WallTime) -> Result<Step, Rejected> {
    let party = &state.party;
    let refuse = |why: &str| {
        let (what, role, at) = (decision.name(), party.role.name(), state.state.name());
        Err(Rejected::decision(format!("the {role} cannot {what} in the state {at}{why}")))
    };
    let Some(peer_pid) = party.peer_pid.as_deref() else {
        return refuse(": the other side has not answered yet");
    };
    let ends = matches!(decision, Decision::Terminate { .. });
    if state.post.unacknowledged.is_some() && !ends {
        return refuse(": our last message has not arrived yet");
    }
    let mut next = state.clone();
    let id = next.post.number(&party.own_pid);
    let outgoing = outgoing(party, peer_pid, id, &decision);
    let Some(to) = follow(party.role, state.state, &outgoing.message) else {
        return refuse("");
    };
    next.prior = Some(state.state);
    next.suspended_by = (to == State::Suspended).then_some(Whose::Ours);
    if let Decision::Terminate { code, reason } = &decision {
        let (code, reason) = (Some(code.clone()), vec![reason.clone()]);
        next.ended = Some(Ended { by: Whose::Ours, code, reason });
    }
    let mut step = next.moved(to, Whose::Ours, format!("we decided to {}", decision.name()), now);
    step.effects.insert(0, Effect::Send(Box::new(outgoing)));
    Ok(step)
}

/// The message of a decision, and where it goes.
fn outgoing(party: &Party, peer_pid: &str, id: String, decision: &Decision) -> Outgoing {
    let (id, pids) = (Some(id), party.pids());
    let (leaf, message) = match decision {
        Decision::Start { data_address } => {
            let data_address = data_address.clone();
            ("start", Message::TransferStart(TransferStart { id, pids, data_address }))
        }
        Decision::Complete => ("completion", Message::TransferCompletion(Signal { id, pids })),
        Decision::Suspend { code, reason } => {
            let (code, reason) = (Some(code.clone()), vec![reason.clone()]);
            ("suspension", Message::TransferSuspension(Notice { id, pids, code, reason }))
        }
        Decision::Terminate { code, reason } => {
            let (code, reason) = (Some(code.clone()), vec![reason.clone()]);
            ("termination", Message::TransferTermination(Notice { id, pids, code, reason }))
        }
    };
    let path = format!("/transfers/{}/{leaf}", segment(peer_pid));
    Outgoing { to: party.address.clone(), path, message, expect: Expect::Nothing }
}

fn delivered(
    state: &Transfer,
    id: &str,
    answer: Option<&Message>,
    now: WallTime,
) -> Result<Step, Rejected> {
    if state.post.unacknowledged.as_deref() != Some(id) {
        return Ok(Step::unchanged(state));
    }
    let mut next = state.clone();
    // Only the answer to an opening says something that we do not know.
    if let (None, Some(Message::Transfer(answer))) = (&state.party.peer_pid, answer) {
        next.party.learn(&answer.pids)?;
    }
    if !next.acknowledge(id) {
        return Ok(undelivered(state, id, "the answer names no process id", now));
    }
    Ok(Step { next, effects: Vec::new() })
}

fn undelivered(state: &Transfer, id: &str, reason: &str, now: WallTime) -> Step {
    let ours = state.post.unacknowledged.as_deref();
    let over = state.state == State::Terminated || state.is_confirmed();
    if over || (!id.is_empty() && ours != Some(id)) {
        return Step::unchanged(state);
    }
    if id.is_empty() && ours.is_none() && state.state != State::Requested {
        // Many consumers do not say where they stand. While nothing is due that is no harm.
        return Step::unchanged(state);
    }
    if state.party.peer_pid.is_none() {
        return state.given_up(codes::DSP_UNDELIVERED.name, reason, now);
    }
    state.doubted(codes::DSP_UNDELIVERED.name, reason, now)
}

/// With who is no partner any more nothing goes on.
fn gone(state: &Transfer, reason: &str, now: WallTime) -> Step {
    if state.state.is_final() {
        return Step::unchanged(state);
    }
    let mut next = state.clone();
    next.ended = Some(Ended::gone(reason));
    next.settle();
    next.moved(State::Terminated, Whose::Ours, reason.to_owned(), now)
}

fn status(state: &Transfer, answer: &Message, now: WallTime) -> Result<Step, Rejected> {
    let Message::Transfer(answer) = answer else {
        return Err(Rejected::malformed(format!("{} is no answer here", answer.name())));
    };
    let mut next = state.clone();
    next.party.learn(&answer.pids)?;
    let (at, theirs) = (state.state, answer.state);
    if at == State::Terminated || state.is_confirmed() {
        return Ok(Step::unchanged(state));
    }
    if theirs == at {
        next.settle();
        return Ok(Step { next, effects: Vec::new() });
    }
    let behind = next.post.unacknowledged.clone();
    // A start is never taken from a status: its message brings the data address.
    let paused = behind.is_none() && (at, theirs) == (State::Started, State::Suspended);
    if theirs.is_final() || paused {
        let reason = format!("found {} on the other side", theirs.name());
        next.settle();
        next.suspended_by = (theirs == State::Suspended).then_some(Whose::Peers);
        if theirs == State::Terminated {
            next.ended = Some(Ended { by: Whose::Peers, code: None, reason: vec![reason.clone()] });
        }
        return Ok(next.moved(theirs, Whose::Peers, reason, now));
    }
    let resend = behind.map(|id| Effect::Resend { id });
    Ok(Step { next, effects: resend.into_iter().collect() })
}

fn deadline(state: &Transfer, now: WallTime) -> Step {
    let waits_for_us = (state.state, state.turn()) == (State::Requested, Whose::Ours);
    if !waits_for_us && state.deadline.is_some_and(|set| exchange::is_far(set, now)) {
        return state.clone().asking(exchange::CLOCK_SET, now);
    }
    if state.deadline.is_none_or(|deadline| now < deadline) {
        return Step::unchanged(state);
    }
    let overdue = codes::DSP_OVERDUE.name;
    match (state.state, state.turn()) {
        (State::Requested, Whose::Ours) => {
            state.given_up(overdue, "there was no decision in time", now)
        }
        (State::Requested, _) => state.doubted(overdue, "there was no message in time", now),
        (State::Completed, _) => state.doubted(overdue, "the completion is not confirmed", now),
        _ => state.clone().asking("a day has passed", now),
    }
}

impl Decision {
    fn name(&self) -> &'static str {
        match self {
            Decision::Start { .. } => "start",
            Decision::Complete => "complete",
            Decision::Suspend { .. } => "suspend",
            Decision::Terminate { .. } => "terminate",
        }
    }
}

impl Transfer {
    /// Whose turn it is. While data may flow it is nobody's: either side may complete, suspend or
    /// terminate.
    #[must_use]
    pub fn turn(&self) -> Whose {
        match self.state {
            State::Requested if self.party.role == Role::Provider => Whose::Ours,
            State::Requested => Whose::Peers,
            State::Suspended => self.suspended_by.unwrap_or(Whose::Nobody),
            State::Started | State::Completed | State::Terminated => Whose::Nobody,
        }
    }

    /// Whether [`Input::Delivered`] with this `@id` means nothing else than that it arrived.
    #[must_use]
    pub fn is_acknowledged_by(&self, id: &str) -> bool {
        is_acknowledged(&self.party, &self.post, id)
    }

    /// Takes that it arrived, when that is all; whether it is.
    pub fn acknowledge(&mut self, id: &str) -> bool {
        let is_all = self.is_acknowledged_by(id);
        if is_all {
            self.settle();
        }
        is_all
    }

    /// What a person may decide now. Data may flow, or flow again, when both sides agree: who wants
    /// to can resume what the other side has suspended, as the protocol has it.
    #[must_use]
    pub fn choices(&self) -> &'static [&'static str] {
        let knows = self.party.peer_pid.is_some();
        match (self.state, knows && self.post.unacknowledged.is_none()) {
            (State::Started, true) => &["suspend", "complete", "terminate"],
            (State::Suspended, true) => &["resume", "terminate"],
            (state, _) if knows && !state.is_final() => &["terminate"],
            _ => &[],
        }
    }

    /// One sentence for people: who has to do what, since when, until when.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        let due = match self.state {
            State::Requested => "to start or terminate",
            State::Suspended => "to resume or terminate",
            State::Started => {
                return format!("nothing: data may flow, since {}", self.since.0);
            }
            State::Completed if self.is_confirmed() => {
                return "nothing: the transfer is complete".to_owned();
            }
            State::Completed => {
                return "nothing: the transfer is complete, which the other side has not \
                        confirmed"
                    .to_owned();
            }
            State::Terminated => return "nothing: the transfer was terminated".to_owned(),
        };
        let who = match self.turn() {
            Whose::Ours => format!("us, the {},", self.party.role.name()),
            Whose::Peers => format!("the {} {}", self.party.role.other().name(), self.party.peer),
            Whose::Nobody => "either side".to_owned(),
        };
        let until = match (self.state, self.deadline) {
            (State::Requested, Some(deadline)) => format!(", until {}", deadline.0),
            _ => String::new(),
        };
        format!("waiting for {who} {due}, since {}{until}", self.since.0)
    }

    /// Where it stands, for the wire.
    #[must_use]
    pub fn status(&self) -> Message {
        Message::Transfer(TransferStatus { pids: self.party.pids(), state: self.state })
    }

    fn fresh(party: Party, agreement_id: &str, format: &str, now: WallTime) -> Self {
        let mut next = Transfer {
            party,
            state: State::Requested,
            prior: None,
            agreement_id: agreement_id.to_owned(),
            format: format.to_owned(),
            suspended_by: None,
            by_hand: false,
            ended: None,
            post: Post::default(),
            since: now,
            deadline: None,
        };
        next.deadline = next.patience(now);
        next
    }

    fn opened(self, by: Whose, send: Option<Effect>) -> Step {
        let to = self.state.name().to_owned();
        let why = match by {
            Whose::Peers => "the transfer opens: received TransferRequestMessage".to_owned(),
            _ => "the transfer opens".to_owned(),
        };
        let mut effects: Vec<Effect> = send.into_iter().collect();
        effects.extend(exchange::moved(Record { from: None, to, by, why }, self.deadline));
        Step { next: self, effects }
    }

    /// Whether it is complete and the other side knows. As long as it does not, it may have ended
    /// the transfer at the same time, and then that holds.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.state == State::Completed && self.post.unacknowledged.is_none()
    }

    fn settle(&mut self) {
        self.post.settle();
        self.prior = None;
        if self.state.is_final() {
            self.deadline = None;
        }
    }

    fn patience(&self, now: WallTime) -> Option<WallTime> {
        let seconds = match (self.state, self.turn()) {
            (State::Terminated, _) => return None,
            (State::Completed, _) if self.is_confirmed() || self.post.doubts >= MAX_DOUBTS => {
                return None;
            }
            (State::Requested, Whose::Ours) => OWN_PATIENCE_S,
            _ => PEER_PATIENCE_S,
        };
        Some(WallTime(now.0.plus_seconds(seconds)))
    }

    fn moved(mut self, to: State, by: Whose, why: String, now: WallTime) -> Step {
        let from = Some(self.state.name().to_owned());
        self.state = to;
        self.by_hand = false;
        self.since = now;
        self.deadline = self.patience(now);
        let record = Record { from, to: to.name().to_owned(), by, why };
        Step { effects: exchange::moved(record, self.deadline), next: self }
    }

    /// Asks the other side where it stands, or gives up when it was asked often enough.
    fn doubted(&self, code: &str, reason: &str, now: WallTime) -> Step {
        let mut next = self.clone();
        if self.post.doubts >= MAX_DOUBTS {
            if self.state == State::Completed {
                next.deadline = None;
                return Step { next, effects: Vec::new() };
            }
            return self.given_up(code, reason, now);
        }
        next.post.doubts = next.post.doubts.saturating_add(1);
        next.asking(reason, now)
    }

    /// Stays in this state with a new deadline and asks.
    fn asking(mut self, reason: &str, now: WallTime) -> Step {
        self.deadline = self.patience(now);
        let at = ("/transfers", self.state.name());
        let effects = exchange::asking((&self.party, &self.post), at, reason, self.deadline);
        Step { next: self, effects }
    }

    /// Ends it from our side and tells the other, if it is known.
    fn given_up(&self, code: &str, reason: &str, now: WallTime) -> Step {
        let mut next = self.clone();
        let (by, reasons) = (Whose::Nobody, vec![reason.to_owned()]);
        next.ended = Some(Ended { by, code: Some(code.to_owned()), reason: reasons });
        next.settle();
        let decision = Decision::Terminate { code: code.to_owned(), reason: reason.to_owned() };
        let tell = self.party.peer_pid.as_ref().map(|pid| {
            next.prior = Some(self.state);
            let id = next.post.number(&self.party.own_pid);
            Effect::Send(Box::new(outgoing(&self.party, pid, id, &decision)))
        });
        let mut step = next.moved(State::Terminated, Whose::Nobody, reason.to_owned(), now);
        step.effects.splice(0..0, tell);
        step
    }
}
