//! The contract negotiation machine, both sides (Dataspace Protocol 2025-1, contract negotiation).
//!
//! [`step`] is pure: state and input in, next state and effects out. We send only what the
//! protocol's figure allows; a termination is taken in every state that is not final. A message
//! that was taken before is acknowledged again and changes nothing; one without an `@id` may say
//! the same at another time ([`Post::received`]). Whose turn it is and until when
//! is always part of the state, so that nothing waits unseen.

mod again;

use crate::exchange::{
    self, Effect, Ended, Expect, MAX_DENIALS, MAX_DOUBTS, OWN_PATIENCE_S, Outgoing,
    PEER_PATIENCE_S, Party, Post, Record, Role, Whose, is_acknowledged,
};
use crate::message::{
    Agreement, ContractAgreement, ContractOffer, ContractRequest, Event, Message, NegotiationEvent,
    NegotiationStatus, Notice, Offer, Signal, Thread,
};
use crate::rejected::Rejected;
use crate::route::segment;
use serde::{Deserialize, Serialize};
use twinpact_model::{WallTime, codes};

/// The states of a negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// The consumer has asked.
    Requested,
    /// The provider has offered.
    Offered,
    /// The consumer has accepted the offer.
    Accepted,
    /// The provider has agreed.
    Agreed,
    /// The consumer has verified the agreement.
    Verified,
    /// The agreement holds.
    Finalized,
    /// There is no agreement.
    Terminated,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] = [
        State::Requested,
        State::Offered,
        State::Accepted,
        State::Agreed,
        State::Verified,
        State::Finalized,
        State::Terminated,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Requested => "REQUESTED",
            State::Offered => "OFFERED",
            State::Accepted => "ACCEPTED",
            State::Agreed => "AGREED",
            State::Verified => "VERIFIED",
            State::Finalized => "FINALIZED",
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
        matches!(self, State::Finalized | State::Terminated)
    }

    /// The side that acts next.
    #[must_use]
    pub const fn actor(self) -> Option<Role> {
        match self {
            State::Requested | State::Accepted | State::Verified => Some(Role::Provider),
            State::Offered | State::Agreed => Some(Role::Consumer),
            State::Finalized | State::Terminated => None,
        }
    }
}

/// One negotiation as one side sees it. Plain data: it is logged as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Negotiation {
    /// Who negotiates, and under which ids.
    pub party: Party,
    /// Where it stands.
    pub state: State,
    /// What was asked for or offered last.
    pub offer: Offer,
    /// Consumer, while an offer waits for our answer: what we had asked for instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Offer>,
    /// What was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Consumer: whether the agreement was drawn up anew while our verification was on its way, so
    /// that its arrival does not say which of the two was verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// How it ended, when it was terminated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// What was sent and received.
    pub post: Post,
    /// Since when it is in this state.
    pub since: WallTime,
    /// Until when; absent in a final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<WallTime>,
}

/// What a step of a negotiation is taken on.
pub type Input<'a> = exchange::Input<'a, Decision>;
/// The next state of a negotiation and what to do.
pub type Step = exchange::Step<Negotiation>;

/// A decision of ours.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Provider: offer, or answer a request with another offer. It names its target.
    Offer(Offer),
    /// Provider: agree.
    Agree(Agreement),
    /// Consumer: accept the offer.
    Accept,
    /// Consumer: verify the agreement.
    Verify,
    /// Provider: finalize.
    Finalize,
    /// Consumer: answer the offer with another request.
    Counter(Offer),
    /// Either side: end it.
    Terminate {
        /// A code for programs.
        code: String,
        /// Why, for people.
        reason: String,
    },
}

/// Who opens a negotiation with whom.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Our process id, freshly drawn.
    pub own_pid: &'a str,
    /// Their participant id.
    pub peer: &'a str,
    /// Their base address.
    pub address: &'a str,
    /// Our own base address, for their answers.
    pub callback: &'a str,
}

/// Asks a provider for an agreement: the consumer's first message.
///
/// # Errors
/// `dsp.malformed` when an id or an address is none.
pub fn open_as_consumer(
    opening: Opening<'_>,
    offer: Offer,
    now: WallTime,
) -> Result<Step, Rejected> {
    let mut next = fresh(Role::Consumer, &opening, State::Requested, offer.clone(), now)?;
    let message = Message::ContractRequest(ContractRequest {
        id: Some(next.post.number(opening.own_pid)),
        consumer_pid: opening.own_pid.to_owned(),
        thread: opens(&opening)?,
        offer,
    });
    Ok(opened(next, Some(("/negotiations/request", message))))
}

/// Offers to a consumer unasked: the provider's first message.
///
/// # Errors
/// `dsp.malformed` when an id or an address is none, or the offer names no target.
pub fn offer_as_provider(
    opening: Opening<'_>,
    offer: Offer,
    now: WallTime,
) -> Result<Step, Rejected> {
    targeted(&offer)?;
    let mut next = fresh(Role::Provider, &opening, State::Offered, offer.clone(), now)?;
    let message = Message::ContractOffer(ContractOffer {
        id: Some(next.post.number(opening.own_pid)),
        provider_pid: opening.own_pid.to_owned(),
        thread: opens(&opening)?,
        offer,
    });
    Ok(opened(next, Some(("/negotiations/offers", message))))
}

/// Takes a consumer's first request, sent by this authenticated participant. Look up
/// [`crate::exchange::opening_key`] first: a repeat belongs to its process.
///
/// # Errors
/// `dsp.malformed` when it opens nothing or our process id is none.
pub fn open_as_provider(
    from: &str,
    request: &ContractRequest,
    own_pid: &str,
    now: WallTime,
) -> Result<Step, Rejected> {
    let callback = opened_by(&request.thread)?;
    let message = Message::ContractRequest(request.clone());
    let opening = Opening { own_pid, peer: from, address: callback, callback };
    let mut next = fresh(Role::Provider, &opening, State::Requested, request.offer.clone(), now)?;
    next.party.peer_pid = Some(request.consumer_pid.clone());
    next.post.open(&message);
    Ok(opened(next, None))
}

/// Takes a provider's first offer, sent by this authenticated participant.
///
/// # Errors
/// `dsp.malformed` when it opens nothing or our process id is none.
pub fn offered_as_consumer(
    from: &str,
    offer: &ContractOffer,
    own_pid: &str,
    now: WallTime,
) -> Result<Step, Rejected> {
    let callback = opened_by(&offer.thread)?;
    let message = Message::ContractOffer(offer.clone());
    let opening = Opening { own_pid, peer: from, address: callback, callback };
    let mut next = fresh(Role::Consumer, &opening, State::Offered, offer.offer.clone(), now)?;
    next.party.peer_pid = Some(offer.provider_pid.clone());
    next.post.open(&message);
    Ok(opened(next, None))
}

fn fresh(
    role: Role,
    opening: &Opening<'_>,
    state: State,
    offer: Offer,
    now: WallTime,
) -> Result<Negotiation, Rejected> {
    let party = Party::new(role, opening.own_pid, opening.peer, opening.address)?;
    let mut next = Negotiation {
        party,
        state,
        offer,
        asked: None,
        agreement: None,
        in_doubt: false,
        ended: None,
        post: Post::default(),
        since: now,
        deadline: None,
    };
    next.deadline = next.patience(now);
    Ok(next)
}

fn opens(opening: &Opening<'_>) -> Result<Thread, Rejected> {
    let callback = crate::message::address(opening.callback, "the callback address")?;
    Ok(Thread::Opens { callback })
}

fn opened_by(thread: &Thread) -> Result<&str, Rejected> {
    match thread {
        Thread::Opens { callback } => Ok(callback),
        Thread::Continues { .. } => Err(Rejected::unknown()),
    }
}

fn targeted(offer: &Offer) -> Result<(), Rejected> {
    let missing = || Rejected::malformed("an offer in a message names its target");
    offer.target.as_ref().map(|_| ()).ok_or_else(missing)
}

fn opened(next: Negotiation, first: Option<(&str, Message)>) -> Step {
    let by = if first.is_some() { Whose::Ours } else { Whose::Peers };
    let mut effects = Vec::new();
    if let Some((path, message)) = first {
        let (to, path) = (next.party.address.clone(), path.to_owned());
        let first = Outgoing { to, path, message, expect: Expect::Process };
        effects.push(Effect::Send(Box::new(first)));
    }
    let why = match (by, next.party.role) {
        (Whose::Ours, _) => "the negotiation opens".to_owned(),
        (_, Role::Provider) => "the negotiation opens: received ContractRequestMessage".to_owned(),
        (_, Role::Consumer) => "the negotiation opens: received ContractOfferMessage".to_owned(),
    };
    let to = next.state.name().to_owned();
    effects.extend(exchange::moved(Record { from: None, to, by, why }, next.deadline));
    Step { next, effects }
}

/// One step.
///
/// # Errors
/// `dsp.unknown` when the message is not for this process or this sender, `dsp.transition` when it
/// does not fit the state, `dsp.conflict` when it contradicts an earlier one, `dsp.decision` when
/// we may not do this now. The state is unchanged then.
pub fn step(state: &Negotiation, input: Input<'_>, now: WallTime) -> Result<Step, Rejected> {
    match input {
        Input::Received { from, message } => received(state, from, message, now),
        Input::Decide(decision) => decide(state, decision, now),
        Input::Delivered { id, answer } => delivered(state, id, answer, now),
        Input::Undelivered { id, reason } => Ok(undelivered(state, id, reason, now)),
        Input::Unknown { id, reason } => Ok(unknown(state, id, reason, now)),
        Input::Gone { reason } => Ok(gone(state, reason, now)),
        Input::Status(answer) => status(state, answer, now),
        Input::Deadline => Ok(deadline(state, now)),
    }
}

/// The state that a message from the other side leads to.
fn follow(role: Role, state: State, message: &Message) -> Option<State> {
    match (role, state, message) {
        (_, state, Message::NegotiationTermination(_)) if !state.is_final() => {
            Some(State::Terminated)
        }
        (Role::Provider, State::Offered, Message::ContractRequest(_)) => Some(State::Requested),
        (Role::Provider, State::Offered, Message::NegotiationEvent(e)) => {
            (e.event == Event::Accepted).then_some(State::Accepted)
        }
        (Role::Provider, State::Agreed, Message::AgreementVerification(_)) => Some(State::Verified),
        (Role::Consumer, State::Requested, Message::ContractOffer(_)) => Some(State::Offered),
        (Role::Consumer, State::Requested | State::Accepted, Message::ContractAgreement(_)) => {
            Some(State::Agreed)
        }
        (Role::Consumer, State::Verified, Message::NegotiationEvent(e)) => {
            (e.event == Event::Finalized).then_some(State::Finalized)
        }
        _ => None,
    }
}

/// Whether the figure lets this side end the negotiation.
const fn may_terminate(role: Role, state: State) -> bool {
    match role {
        Role::Provider => {
            matches!(state, State::Requested | State::Offered | State::Accepted | State::Verified)
        }
        Role::Consumer => matches!(state, State::Requested | State::Offered | State::Agreed),
    }
}

fn received(
    state: &Negotiation,
    from: &str,
    message: &Message,
    now: WallTime,
) -> Result<Step, Rejected> {
    if crate::exchange::opening_key(from, message).is_some() {
        state.reopen(from, message)?;
        return Ok(Step::unchanged(state));
    }
    let mut next = state.clone();
    next.party.admit(from, message)?;
    let ends = matches!(message, Message::NegotiationTermination(_));
    let displaced = again::is_displaced(state, message);
    let anew = !displaced && again::is_drawn_anew(state, message);
    let follows = follow(state.party.role, state.state, message);
    let repeated = || state.post.is_repeat(message, follows.is_some());
    let again = displaced || !anew && (repeated() || again::is_known(state, message));
    if again || (ends && state.state == State::Terminated) {
        return Ok(Step::unchanged(state));
    }
    let Some(to) = anew.then_some(state.state).or(follows) else {
        let (name, other, at) =
            (message.name(), state.party.role.other().name(), state.state.name());
        return Err(Rejected::transition(format!(
            "a {name} from the {other} does not fit the state {at}"
        )));
    };
    if state.post.is_full() && !ends {
        return Err(Rejected::transition("this negotiation has taken too many messages"));
    }
    match message {
        Message::ContractRequest(m) => next.offer = m.offer.clone(),
        Message::ContractOffer(m) => {
            next.asked = Some(std::mem::replace(&mut next.offer, m.offer.clone()));
        }
        Message::ContractAgreement(m) => next.agreement = Some(m.agreement.clone()),
        Message::NegotiationTermination(m) => {
            next.ended = Some(Ended::by_peer(m.code.as_ref(), &m.reason));
        }
        _ => {}
    }
    next.post.take(message);
    if again::may_come_late(state, message) {
        next.post.remember(message);
    }
    let verification = if anew { again::displace(state, &mut next) } else { None };
    let mut step = next.moved(to, Whose::Peers, format!("received {}", message.name()), now);
    step.effects.splice(0..0, verification);
    Ok(step)
}

fn decide(state: &Negotiation, decision: Decision, now: WallTime) -> Result<Step, Rejected> {
    let (role, at) = (state.party.role, state.state);
    let to = match (&decision, role, at) {
        (Decision::Offer(offer), Role::Provider, State::Requested) => {
            targeted(offer)?;
            State::Offered
        }
        (Decision::Agree(_), Role::Provider, State::Requested | State::Accepted) => State::Agreed,
        (Decision::Finalize, Role::Provider, State::Verified) => State::Finalized,
        (Decision::Counter(_), Role::Consumer, State::Offered) => State::Requested,
        (Decision::Accept, Role::Consumer, State::Offered) => State::Accepted,
        (Decision::Verify, Role::Consumer, State::Agreed) => State::Verified,
        (Decision::Terminate { .. }, ..) if state.may_end() => State::Terminated,
        _ => {
            let (what, role, turn) = (decision.name(), role.name(), state.waiting_for());
            return Err(Rejected::decision(format!("the {role} cannot {what} now: {turn}")));
        }
    };
    let Some(peer_pid) = state.party.peer_pid.clone() else {
        let reason = "the other side has not answered yet, so its process id is unknown";
        return Err(Rejected::decision(reason));
    };
    let mut next = state.clone();
    next.asked = None;
    let id = Some(next.post.number(&state.party.own_pid));
    match &decision {
        Decision::Offer(offer) | Decision::Counter(offer) => next.offer = offer.clone(),
        Decision::Agree(agreement) => next.agreement = Some(agreement.clone()),
        Decision::Terminate { code, reason } => {
            let (code, reason) = (Some(code.clone()), vec![reason.clone()]);
            next.ended = Some(Ended { by: Whose::Ours, code, reason });
        }
        Decision::Accept | Decision::Verify | Decision::Finalize => {}
    }
    let why = format!("we decided to {}", decision.name());
    let outgoing = outgoing(&state.party, &peer_pid, id, decision);
    let mut step = next.moved(to, Whose::Ours, why, now);
    step.effects.insert(0, Effect::Send(Box::new(outgoing)));
    Ok(step)
}

/// The message of a decision, and where it goes.
fn outgoing(party: &Party, peer_pid: &str, id: Option<String>, decision: Decision) -> Outgoing {
    let pids = party.pids();
    let thread = Thread::Continues { pid: peer_pid.to_owned() };
    let event = |event: Event| {
        let (id, pids) = (id.clone(), pids.clone());
        Message::NegotiationEvent(NegotiationEvent { id, pids, event })
    };
    let (leaf, message) = match decision {
        Decision::Offer(offer) => {
            let provider_pid = party.own_pid.clone();
            ("offers", Message::ContractOffer(ContractOffer { id, provider_pid, thread, offer }))
        }
        Decision::Counter(offer) => {
            let consumer_pid = party.own_pid.clone();
            let request = ContractRequest { id, consumer_pid, thread, offer };
            ("request", Message::ContractRequest(request))
        }
        Decision::Agree(agreement) => {
            let message = ContractAgreement { id, pids, agreement };
            ("agreement", Message::ContractAgreement(message))
        }
        Decision::Accept => ("events", event(Event::Accepted)),
        Decision::Finalize => ("events", event(Event::Finalized)),
        Decision::Verify => {
            ("agreement/verification", Message::AgreementVerification(Signal { id, pids }))
        }
        Decision::Terminate { code, reason } => {
            let (code, reason) = (Some(code), vec![reason]);
            let notice = Notice { id, pids, code, reason };
            ("termination", Message::NegotiationTermination(notice))
        }
    };
    let path = format!("/negotiations/{}/{leaf}", segment(peer_pid));
    Outgoing { to: party.address.clone(), path, message, expect: Expect::Nothing }
}

fn delivered(
    state: &Negotiation,
    id: &str,
    answer: Option<&Message>,
    now: WallTime,
) -> Result<Step, Rejected> {
    if state.post.unacknowledged.as_deref() != Some(id) {
        return Ok(Step::unchanged(state));
    }
    let mut next = state.clone();
    if next.in_doubt {
        next.post.settle();
        next.in_doubt = false;
        return Ok(next.asking("it may be the first agreement that was verified", now));
    }
    // Only the answer to an opening says something that we do not know.
    if let (None, Some(Message::Negotiation(answer))) = (&state.party.peer_pid, answer) {
        next.party.learn(&answer.pids)?;
    }
    if !next.acknowledge(id) {
        // Taken, but the answer names no process: it cannot be continued.
        return Ok(undelivered(state, id, "the answer names no process id", now));
    }
    Ok(Step { next, effects: Vec::new() })
}

fn undelivered(state: &Negotiation, id: &str, reason: &str, now: WallTime) -> Step {
    if !state.waits_for(id) {
        return Step::unchanged(state);
    }
    if state.party.peer_pid.is_none() {
        return state.given_up(codes::DSP_UNDELIVERED.name, reason, now);
    }
    if state.bound() && state.post.doubts >= MAX_DOUBTS {
        // The deadline asks again, once a day; asking at once would go round in circles.
        return Step::unchanged(state);
    }
    state.doubted(codes::DSP_UNDELIVERED.name, reason, now)
}

/// Who is bound believes it when it is told so for days: a provider that has lost the negotiation,
/// or has forgotten it, will not go on with it.
fn unknown(state: &Negotiation, id: &str, reason: &str, now: WallTime) -> Step {
    if !state.bound() || !state.waits_for(id) {
        return undelivered(state, id, reason, now);
    }
    let mut next = state.clone();
    next.post.denials = next.post.denials.saturating_add(1);
    match next.post.denials >= MAX_DENIALS {
        true => next.end(codes::DSP_UNKNOWN.name, reason, now),
        // The deadline asks again.
        false => Step { next, effects: Vec::new() },
    }
}

/// With who is no partner any more nothing is concluded, whoever is bound.
fn gone(state: &Negotiation, reason: &str, now: WallTime) -> Step {
    if state.state.is_final() {
        return Step::unchanged(state);
    }
    let mut next = state.clone();
    next.ended = Some(Ended::gone(reason));
    next.post.settle();
    next.moved(State::Terminated, Whose::Ours, reason.to_owned(), now)
}

fn status(state: &Negotiation, answer: &Message, now: WallTime) -> Result<Step, Rejected> {
    let Message::Negotiation(answer) = answer else {
        return Err(Rejected::malformed(format!("{} is no answer here", answer.name())));
    };
    let mut next = state.clone();
    next.party.learn(&answer.pids)?;
    let (at, theirs) = (state.state, answer.state);
    if at.is_final() {
        return Ok(Step::unchanged(state));
    }
    if theirs == State::Terminated {
        let reason = vec!["found terminated on the other side".to_owned()];
        next.ended = Some(Ended { by: Whose::Peers, code: None, reason });
        return Ok(next.moved(theirs, Whose::Peers, "asked for the state".to_owned(), now));
    }
    if theirs == State::Finalized && state.bound() {
        return Ok(next.moved(theirs, Whose::Peers, "asked for the state".to_owned(), now));
    }
    if theirs == at {
        next.post.settle();
        next.in_doubt = false;
        return Ok(Step { next, effects: Vec::new() });
    }
    // They have not taken our last message, or theirs is still on its way; a provider that has lost
    // the verification that it took, as one does that was restored, waits for another.
    if let Some(id) = next.post.unacknowledged.clone() {
        return Ok(Step { next, effects: vec![Effect::Resend { id }] });
    }
    if !(state.bound() && theirs == State::Agreed) {
        return Ok(Step { next, effects: Vec::new() });
    }
    let verification = again::verification(&mut next);
    let why = "asked for the state: they wait for our verification".to_owned();
    let mut step = next.moved(State::Verified, Whose::Ours, why, now);
    step.next.since = state.since;
    step.effects.splice(0..0, verification);
    Ok(step)
}

fn deadline(state: &Negotiation, now: WallTime) -> Step {
    let due = state.deadline.is_some_and(|deadline| now >= deadline);
    match state.turn() {
        Whose::Ours if due => {
            state.given_up(codes::DSP_OVERDUE.name, "there was no decision in time", now)
        }
        Whose::Peers if due => {
            state.doubted(codes::DSP_OVERDUE.name, "there was no message in time", now)
        }
        Whose::Peers if state.deadline.is_some_and(|set| exchange::is_far(set, now)) => {
            state.clone().asking(exchange::CLOCK_SET, now)
        }
        _ => Step::unchanged(state),
    }
}

impl Decision {
    fn name(&self) -> &'static str {
        match self {
            Decision::Offer(_) => "offer",
            Decision::Agree(_) => "agree",
            Decision::Accept => "accept",
            Decision::Verify => "verify",
            Decision::Finalize => "finalize",
            Decision::Counter(_) => "counter",
            Decision::Terminate { .. } => "terminate",
        }
    }
}

impl Negotiation {
    /// Whether [`Input::Delivered`] with this `@id` means nothing else than that it arrived.
    #[must_use]
    pub fn is_acknowledged_by(&self, id: &str) -> bool {
        is_acknowledged(&self.party, &self.post, id) && !self.in_doubt
    }

    /// Takes that it arrived, when that is all; whether it is.
    pub fn acknowledge(&mut self, id: &str) -> bool {
        let is_all = self.is_acknowledged_by(id);
        if is_all {
            self.post.settle();
        }
        is_all
    }

    /// Whose turn it is.
    #[must_use]
    pub fn turn(&self) -> Whose {
        match self.state.actor() {
            None => Whose::Nobody,
            Some(role) if role == self.party.role => Whose::Ours,
            Some(_) => Whose::Peers,
        }
    }

    /// What a person may decide now, by the names of commands.
    #[must_use]
    pub fn choices(&self) -> &'static [&'static str] {
        match (self.turn(), self.state, self.may_end() && self.party.peer_pid.is_some()) {
            (Whose::Ours, State::Requested | State::Offered, _) => {
                &["accept", "counter", "terminate"]
            }
            (Whose::Ours, State::Accepted, _) => &["accept", "terminate"],
            (_, _, true) => &["terminate"],
            _ => &[],
        }
    }

    /// One sentence for people: who has to do what, since when, until when.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        let due = match self.state {
            State::Requested => "to offer, agree or terminate",
            State::Offered => "to accept, counter or terminate",
            State::Accepted => "to agree or terminate",
            State::Agreed => "to verify the agreement or terminate",
            State::Verified => "to finalize or terminate",
            State::Finalized => return "nothing: the agreement holds".to_owned(),
            State::Terminated => return "nothing: the negotiation was terminated".to_owned(),
        };
        let who = match self.turn() {
            Whose::Ours => format!("us, the {},", self.party.role.name()),
            _ => format!("the {} {}", self.party.role.other().name(), self.party.peer),
        };
        let until = self.deadline.map_or_else(String::new, |d| format!(", until {}", d.0));
        format!("waiting for {who} {due}, since {}{until}", self.since.0)
    }

    /// Where it stands, for the wire.
    #[must_use]
    pub fn status(&self) -> Message {
        Message::Negotiation(NegotiationStatus { pids: self.party.pids(), state: self.state })
    }

    /// Checks a repeated opening message against this process.
    fn reopen(&self, from: &str, message: &Message) -> Result<(), Rejected> {
        if from == self.party.peer { self.post.reopen(message) } else { Err(Rejected::unknown()) }
    }

    /// A consumer that has verified is bound: the provider may have finalized already, and it alone
    /// can end the negotiation as long as it knows it and is a partner.
    fn bound(&self) -> bool {
        self.party.role == Role::Consumer && self.state == State::Verified
    }

    /// Whether what became of the message with this `@id`, or of a question, still matters.
    fn waits_for(&self, id: &str) -> bool {
        let ours = self.post.unacknowledged.as_deref();
        !self.state.is_final() && (id.is_empty() || ours == Some(id))
    }

    /// The figure lets us end it, or the other side has been asked in vain.
    fn may_end(&self) -> bool {
        let doubted = self.post.doubts > 0 && !self.bound() && !self.state.is_final();
        doubted || may_terminate(self.party.role, self.state)
    }

    fn patience(&self, now: WallTime) -> Option<WallTime> {
        let seconds = match self.turn() {
            Whose::Ours => OWN_PATIENCE_S,
            Whose::Peers => PEER_PATIENCE_S,
            Whose::Nobody => return None,
        };
        Some(WallTime(now.0.plus_seconds(seconds)))
    }

    fn moved(mut self, to: State, by: Whose, why: String, now: WallTime) -> Step {
        let from = Some(self.state.name().to_owned());
        self.state = to;
        self.in_doubt &= to == State::Verified;
        self.since = now;
        self.deadline = self.patience(now);
        let record = Record { from, to: to.name().to_owned(), by, why };
        Step { effects: exchange::moved(record, self.deadline), next: self }
    }

    /// Asks the other side where it stands, or gives up when it was asked often enough.
    fn doubted(&self, code: &str, reason: &str, now: WallTime) -> Step {
        if self.post.doubts >= MAX_DOUBTS {
            return self.given_up(code, reason, now);
        }
        let mut next = self.clone();
        next.post.doubts = next.post.doubts.saturating_add(1);
        next.asking(reason, now)
    }

    /// Stays in this state with a new deadline and asks.
    fn asking(mut self, reason: &str, now: WallTime) -> Step {
        self.deadline = self.patience(now);
        let at = ("/negotiations", self.state.name());
        let effects = exchange::asking((&self.party, &self.post), at, reason, self.deadline);
        Step { next: self, effects }
    }

    /// Ends it from our side; who is bound goes on asking instead.
    fn given_up(&self, code: &str, reason: &str, now: WallTime) -> Step {
        match self.bound() {
            true => self.clone().asking(reason, now),
            false => self.end(code, reason, now),
        }
    }

    /// Ends it from our side and tells the other, if it is known.
    fn end(&self, code: &str, reason: &str, now: WallTime) -> Step {
        let mut next = self.clone();
        let (code, reason) = (code.to_owned(), reason.to_owned());
        let (some_code, reasons) = (Some(code.clone()), vec![reason.clone()]);
        next.ended = Some(Ended { by: Whose::Nobody, code: some_code, reason: reasons });
        next.post.unacknowledged = None;
        let tell = self.party.peer_pid.as_ref().map(|pid| {
            let id = Some(next.post.number(&self.party.own_pid));
            let decision = Decision::Terminate { code, reason: reason.clone() };
            Effect::Send(Box::new(outgoing(&self.party, pid, id, decision)))
        });
        let mut step = next.moved(State::Terminated, Whose::Nobody, reason, now);
        step.effects.splice(0..0, tell);
        step
    }
}
