//! What we decide ourselves on a partner's message, in the same turn in which it was taken.
//!
//! A request is accepted when it asks for what the contract offers or for less. When it asks for
//! more, it is answered once with what of that the contract grants, and then refused with a
//! readable difference. An offer that answers our request is accepted when it grants all of it. An
//! agreement is verified when it means what was asked for, however a peer's processor spelt it. All
//! else waits for a person ([`crate::negotiations`]).

use crate::agreements;
use crate::connectors::{self, Participant};
use crate::contracts;
use crate::fold::Fold;
use crate::formats;
use crate::ids;
use crate::meaning;
use crate::negotiate::{Caller, Process, Refused};
use crate::negotiations;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::{self, Paper};
use crate::tokens;
use serde_json::Value;
use twinpact_contract::{Contract, Order, Terms, compare, intersection};
use twinpact_dsp::exchange::Whose;
use twinpact_dsp::message::{
    Agreement as Wire, ContractOffer, ContractRequest, DataAddress, MAX_POLICY_BYTES, Offer,
    Policy, Thread, TransferRequest,
};
use twinpact_dsp::negotiation::{self, Negotiation};
use twinpact_dsp::route::Endpoint;
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Effect, Message, Rejected, Role, Status, Subject};
use twinpact_identity::outgoing::Target;
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// How often one negotiation is answered with another offer by ourselves.
const MAX_COUNTERS: usize = 1;
/// The longest reason that we give, in characters.
const MAX_REASON: usize = 1_000;

/// A consumer's first request: it becomes a process, and is answered by an agreement or an end.
pub(crate) fn requested(
    node: &Node,
    turn: &mut Turn<'_>,
    did: &str,
    request: &ContractRequest,
    key: Option<String>,
    entries: &mut Vec<NewEntry>,
) -> Result<Option<Message>, Refused> {
    let now = node.clocks.wall();
    may_open(node, turn, did, &request.thread)?;
    if !is_empty(&request.offer.policy) {
        // Words that nobody knows open nothing.
        meaning::terms(&request.offer.policy)?;
    }
    let first = negotiation::open_as_provider(did, request, &ids::urn()?, now)?;
    let answer = first.next.status();
    entries.extend(opened(node, turn, first, key, now)?);
    Ok(Some(answer))
}

/// A provider's first offer, unasked: it becomes a process, and waits for somebody who accepts it.
pub(crate) fn offered(
    node: &Node,
    turn: &mut Turn<'_>,
    did: &str,
    offer: &ContractOffer,
    key: Option<String>,
    entries: &mut Vec<NewEntry>,
) -> Result<Option<Message>, Refused> {
    let now = node.clocks.wall();
    may_open(node, turn, did, &offer.thread)?;
    meaning::terms(&offer.offer.policy)?;
    let first = negotiation::offered_as_consumer(did, offer, &ids::urn()?, now)?;
    let answer = first.next.status();
    entries.extend(opened(node, turn, first, key, now)?);
    Ok(Some(answer))
}

/// Whether this participant may open one more negotiation, with answers to where it says.
fn may_open(node: &Node, turn: &Turn<'_>, did: &str, thread: &Thread) -> Result<(), Refused> {
    if let Thread::Opens { callback } = thread {
        pinned_callback(node, turn, did, callback)?;
    }
    may_open_more(node, turn, did)
}

/// Whether one more negotiation with this participant may be open, whoever opens it.
pub(crate) fn may_open_more(node: &Node, turn: &Turn<'_>, did: &str) -> Result<(), Refused> {
    let most = node.config.quotas.processes(did).0;
    if turn.fold().processes.under_way(did).0 >= most {
        let bound = format!("{most} negotiations are under way already");
        return Err(Rejected::too_many(bound).into());
    }
    Ok(())
}

/// A negotiation that a message has opened, and what we decide on it.
fn opened(
    node: &Node,
    turn: &Turn<'_>,
    first: negotiation::Step,
    key: Option<String>,
    now: WallTime,
) -> Result<Vec<NewEntry>, Refused> {
    let step = decided(node, turn, first, now)?;
    Ok(negotiation_entries(&step, key)?)
}

/// The step with all that we decide after it, until it is somebody else's turn.
fn decided(
    node: &Node,
    turn: &Turn<'_>,
    mut step: negotiation::Step,
    now: WallTime,
) -> Result<negotiation::Step, Refused> {
    while let Some(decision) = decide(node, turn, &step.next, now)? {
        let next = negotiation::step(&step.next, negotiation::Input::Decide(decision), now)?;
        step.next = next.next;
        step.effects.extend(next.effects);
    }
    Ok(step)
}

/// A further message of a process.
pub(crate) fn advance(
    node: &Node,
    turn: &mut Turn<'_>,
    process: Process,
    did: &str,
    message: &Message,
    entries: &mut Vec<NewEntry>,
) -> Result<Option<Message>, Refused> {
    let now = node.clocks.wall();
    match process {
        Process::Negotiation(state) => {
            let input = negotiation::Input::Received { from: did, message };
            let step = negotiation::step(&state, input, now)?;
            if is_another(node, &state, &step.next) {
                verified(node, turn.fold(), &step.next)?;
            }
            if step.next != *state {
                entries.extend(follow(node, turn, state.state, step, now)?);
            } else if let Message::ContractRequest(_) = message {
                return Ok(Some(state.status()));
            }
        }
        Process::Transfer(state) => {
            let input = transfer::Input::Received { from: did, message };
            let step = transfer::step(&state, input, now)?;
            // A start that was taken before may hold an older token than the one we have.
            if let Message::TransferStart(start) = message
                && step.next != *state
                && let Some(address) = &start.data_address
            {
                node.secrets.keep_address(&state.party.own_pid, address.clone(), now);
            }
            if step.next != *state {
                entries.extend(transfer_followed(node, turn, step, now)?);
            } else if let Message::TransferRequest(_) = message {
                return Ok(Some(state.status()));
            }
        }
    }
    Ok(None)
}

/// Whether another agreement took the place of one that we have verified. Nothing is decided about
/// it any more, so that it must mean the same before it is taken.
fn is_another(node: &Node, before: &Negotiation, next: &Negotiation) -> bool {
    before.state == negotiation::State::Verified
        && next.agreement != before.agreement
        && node.conformance.is_none()
}

/// The entries of a step that is nobody's message: what became of one of ours, what the other side
/// says where it stands, a deadline. What the machine refuses changes nothing.
pub(crate) fn negotiation_moved(
    node: &Node,
    turn: &mut Turn<'_>,
    state: &Negotiation,
    input: negotiation::Input<'_>,
    now: WallTime,
) -> Result<Vec<NewEntry>, Problem> {
    match negotiation::step(state, input, now) {
        Ok(step) if step.next != *state || !step.effects.is_empty() => {
            follow(node, turn, state.state, step, now).map_err(Problem::from)
        }
        _ => Ok(Vec::new()),
    }
}

/// The same for a transfer.
pub(crate) fn transfer_moved(
    node: &Node,
    turn: &Turn<'_>,
    state: &Transfer,
    input: transfer::Input<'_>,
    now: WallTime,
) -> Result<Vec<NewEntry>, Problem> {
    match transfer::step(state, input, now) {
        Ok(step) if step.next != *state || !step.effects.is_empty() => {
            transfer_followed(node, turn, step, now)
        }
        _ => Ok(Vec::new()),
    }
}

/// A transfer's step, and what it tells about its agreement: who revokes it ends the transfers
/// under it and says so.
fn transfer_followed(
    node: &Node,
    turn: &Turn<'_>,
    step: transfer::Step,
    now: WallTime,
) -> Result<Vec<NewEntry>, Problem> {
    let step = transfer_scripted(node, step, now)?;
    let mut entries = transfer_entries(&step, None)?;
    let (state, revoked) = (&step.next, codes::POLICY_REVOKED.name);
    let by_peer = state
        .ended
        .as_ref()
        .is_some_and(|ended| ended.by == Whose::Peers && ended.code.as_deref() == Some(revoked));
    if by_peer {
        let (peer, at_id) = (&state.party.peer, &state.agreement_id);
        entries.extend(agreements::ended_by_partner(turn.fold(), peer, at_id));
    }
    Ok(entries)
}

/// What follows from where a negotiation stands now, after this state, until it is somebody else's
/// turn.
pub(crate) fn follow(
    node: &Node,
    turn: &mut Turn<'_>,
    before: negotiation::State,
    step: negotiation::Step,
    now: WallTime,
) -> Result<Vec<NewEntry>, Refused> {
    let mut more = Vec::new();
    let step = decided(node, turn, step, now)?;
    let finalized = step.next.state == negotiation::State::Finalized && before != step.next.state;
    if let (true, Some(script)) = (finalized, &node.conformance) {
        script.concluded(&step.next);
    } else if let (true, Some(wire)) = (finalized, &step.next.agreement) {
        let (role, peer) = (step.next.party.role, step.next.party.peer.clone());
        // With who was removed meanwhile nothing is concluded.
        let with = connectors::participant(node, turn.fold(), &peer)?;
        let concluded = agreements::conclude(turn, node, wire, role, &peer)?;
        if let (Role::Provider, Participant::Partner(_), Some(id)) =
            (role, with, concluded.entry.get("agreement"))
        {
            // The consumer countersigns it; sent behind what finalises the negotiation.
            let paper = Paper::Agreement(id.to_owned());
            more.push(processes::paper_row(&peer, &step.next.party.own_pid, &paper));
        }
        more.push(concluded);
    }
    let mut entries = negotiation_entries(&step, None)?;
    entries.extend(more);
    Ok(entries)
}

/// What we do now by ourselves; `None` when it is the other side's turn, or a person's.
fn decide(
    node: &Node,
    turn: &Turn<'_>,
    state: &Negotiation,
    now: WallTime,
) -> Result<Option<negotiation::Decision>, Problem> {
    if let Some(script) = &node.conformance {
        return script.negotiation(node, state);
    }
    let peer = state.party.peer.as_str();
    Ok(match (state.party.role, state.state) {
        // Whoever is decided about by hand waits for a person; what that person has offered, and
        // was accepted, is agreed.
        (Role::Provider, negotiation::State::Requested) if by_hand(node, turn, state) => None,
        (Role::Provider, negotiation::State::Requested | negotiation::State::Accepted) => {
            // What is refused for want of room is not made good by other terms.
            if let Err(full) = room(node, turn, peer, Some(&state.party.own_pid)) {
                return Ok(Some(terminate(&full)));
            }
            Some(match acceptable(node, turn, peer, &state.offer) {
                Ok(offer) => {
                    let us = node.config.organisation.as_str();
                    let wire = Wire::of(&offer, &ids::urn()?, us, peer, now.0)?;
                    negotiation::Decision::Agree(wire)
                }
                Err(problem) => match counter(node, turn, state) {
                    Some(offer) => negotiation::Decision::Offer(offer),
                    None => terminate(&problem),
                },
            })
        }
        (Role::Consumer, negotiation::State::Offered) => state
            .asked
            .as_ref()
            .filter(|asked| {
                let less = node.config.negotiation.takes_less(peer);
                negotiations::suffices(&state.offer, asked, less, &node.vocabulary)
            })
            .map(|_| negotiation::Decision::Accept),
        (Role::Provider, negotiation::State::Verified) => Some(negotiation::Decision::Finalize),
        (Role::Consumer, negotiation::State::Agreed) => {
            Some(match verified(node, turn.fold(), state) {
                Ok(()) => negotiation::Decision::Verify,
                Err(problem) => terminate(&problem),
            })
        }
        _ => None,
    })
}

/// Whether a person decides on what this partner asks for.
fn by_hand(node: &Node, turn: &Turn<'_>, state: &Negotiation) -> bool {
    let (rules, peer) = (&node.config.negotiation, &state.party.peer);
    // What is hidden from them is treated as what is not there.
    let shown = |name: &&str| rules.shows(name, peer);
    let asked = own_contract(turn.fold(), &state.offer).map(|contract| contract.name.as_str());
    rules.wait(asked.filter(shown), peer)
}

/// What we offer instead of what was asked for, when that is more than the contract: what both have
/// in common, and the contract's own terms where there is nothing. Who asks for more again has
/// heard it.
fn counter(node: &Node, turn: &Turn<'_>, state: &Negotiation) -> Option<Offer> {
    let (asked, peer) = (&state.offer, state.party.peer.as_str());
    if state.state != negotiation::State::Requested || state.post.taken() > MAX_COUNTERS {
        return None;
    }
    let wanted = meaning::terms(&asked.policy).ok()?;
    let contract = named(node, turn.fold(), peer, asked).ok()?;
    let fits = |terms: &Terms| {
        let policy = meaning::spelled(terms).ok()?;
        policy.text().is_ok_and(|text| text.len() <= MAX_POLICY_BYTES).then_some(policy)
    };
    let cut = intersection(&wanted, contract.terms(), &node.vocabulary);
    let policy = cut.as_ref().and_then(fits).or_else(|| fits(contract.terms()))?;
    Some(offer(contract, asked, policy))
}

/// Whether the agreement means what was asked for, between the two who negotiate.
fn verified(node: &Node, fold: &Fold, state: &Negotiation) -> Result<(), Problem> {
    let other = |why: &str| Problem::new(codes::EXCHANGE_REFUSED, format!("the agreement {why}"));
    let wire = state.agreement.as_ref().ok_or_else(|| other("is missing"))?;
    let (id, agreed) = agreements::identity(wire)?;
    if fold.agreements.is_known(&id, &wire.id) {
        return Err(other("was concluded before"));
    }
    if wire.assigner != state.party.peer || wire.assignee != node.config.organisation.as_str() {
        return Err(other("is between others"));
    }
    if state.offer.target.as_ref().is_some_and(|target| *target != wire.target) {
        return Err(other("is about another dataset"));
    }
    let asked = meaning::terms(&state.offer.policy)?;
    match compare(&agreed, &asked, &node.vocabulary) {
        c if c.order == Order::Equal => Ok(()),
        c => Err(other(&format!("is another than was asked for: {}", c.differences.join("; ")))),
    }
}

/// The offer that we agree to: what was asked for, when it is what the contract offers or less.
pub(crate) fn acceptable(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    asked: &Offer,
) -> Result<Offer, Problem> {
    let contract = named(node, turn.fold(), did, asked)?;
    if is_empty(&asked.policy) {
        return Ok(offer(contract, asked, meaning::spelled(contract.terms())?));
    }
    let wanted = meaning::terms(&asked.policy)?;
    let comparison = compare(&wanted, contract.terms(), &node.vocabulary);
    if !matches!(comparison.order, Order::Equal | Order::Narrower) {
        let why = comparison.differences.join("; ");
        return Err(Problem::new(codes::EXCHANGE_REFUSED, format!("it asks for more: {why}")));
    }
    Ok(offer(contract, asked, meaning::respelled(&asked.policy)?))
}

/// Whether this participant may have one more agreement, by that negotiation if it is open already.
/// Those that we have agreed to and that are not concluded count; each has a tree for ever. What is
/// offered or asked for takes nobody's place: it is looked at again when it comes to be agreed.
pub(crate) fn room(
    node: &Node,
    turn: &Turn<'_>,
    did: &str,
    own_pid: Option<&str>,
) -> Result<(), Problem> {
    let (fold, most) = (turn.fold(), node.config.quotas.processes(did).2);
    let granted = fold.agreements.granted(did);
    let nearly = |it: &&Negotiation| {
        let of_ours = it.party.role == Role::Provider && it.party.peer == did;
        let agreed = matches!(it.state, negotiation::State::Agreed | negotiation::State::Verified);
        of_ours && agreed && Some(it.party.own_pid.as_str()) != own_pid
    };
    let all = || granted + fold.processes.negotiations.values().filter(nearly).count();
    // A look at all of them costs, and most are far from the bound, or have reached it.
    let near = granted + fold.processes.open(did).0 >= most;
    if granted >= most || (near && all() >= most) {
        let bound = format!("there are {most} agreements already, or nearly");
        return Err(Problem::new(codes::EXCHANGE_TOO_MANY, bound));
    }
    turn.store().new_tree().map(|_| ())
}

/// The contract of ours that an offer is about: by the dataset that it names, else by its id.
fn own_contract<'a>(fold: &'a Fold, asked: &Offer) -> Option<&'a Contract> {
    let by_id = || fold.contracts.offered_as(&asked.id);
    let by_target = asked.target.as_ref().and_then(|target| fold.contracts.get(target));
    by_target.or_else(by_id)
}

/// The contract of ours that is named, when it is shown to whoever asks.
fn named<'a>(
    node: &Node,
    fold: &'a Fold,
    did: &str,
    asked: &Offer,
) -> Result<&'a Contract, Problem> {
    let unknown = || Problem::new(codes::AGREEMENT_UNKNOWN, "the offer is not in our catalogue");
    let shown = |contract: &&Contract| node.config.negotiation.shows(&contract.name, did);
    let contract = own_contract(fold, asked).filter(shown).ok_or_else(unknown)?;
    if asked.id != contracts::offer_id(contract) {
        return Err(unknown());
    }
    // What is named beside the offer's id has to be of this offer; else two things were agreed to.
    let (view, ours) = (contract.view_id(), node.config.organisation.as_str());
    for (what, named, is) in [
        ("target", &asked.target, view.as_str()),
        ("assigner", &asked.assigner, ours),
        ("assignee", &asked.assignee, did),
    ] {
        if named.as_ref().is_some_and(|named| named.as_str() != is) {
            let why = format!("the offer has another {what} than {is}");
            return Err(Problem::new(codes::EXCHANGE_REFUSED, why));
        }
    }
    Ok(contract)
}

/// The offer of a contract that was named, on these terms.
fn offer(contract: &Contract, asked: &Offer, policy: Policy) -> Offer {
    let (id, target) = (asked.id.clone(), Some(contract.view_id()));
    Offer { id, target, assigner: None, assignee: None, policy }
}

/// An offer that is named by its id alone.
pub(crate) fn is_empty(policy: &Value) -> bool {
    policy.as_object().is_some_and(serde_json::Map::is_empty)
}

fn terminate(problem: &Problem) -> negotiation::Decision {
    negotiation::Decision::Terminate {
        code: problem.code.name.to_owned(),
        reason: brief(&problem.message),
    }
}

/// A reason that may stand in a message: a partner's own words in it are cut.
pub(crate) fn brief(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

/// A consumer's transfer request: a token is issued, and the transfer starts.
pub(crate) fn transfer_requested(
    node: &Node,
    turn: &mut Turn<'_>,
    caller: Caller<'_>,
    request: &TransferRequest,
    key: Option<String>,
    entries: &mut Vec<NewEntry>,
) -> Result<Option<Message>, Refused> {
    let (now, did) = (node.clocks.wall(), caller.id);
    pinned_callback(node, turn, did, &request.callback)?;
    let most = node.config.quotas.processes(did).1;
    if turn.fold().processes.under_way(did).1 >= most {
        let bound = format!("{most} transfers are under way already");
        return Err(Rejected::too_many(bound).into());
    }
    let mut first = transfer::open_as_provider(did, request, &ids::urn()?, now)?;
    let answer = first.next.status();
    if node.conformance.is_some() {
        let step = transfer_scripted(node, first, now)?;
        entries.extend(transfer_entries(&step, key)?);
        return Ok(Some(answer));
    }
    let pid = first.next.party.own_pid.clone();
    let granted = tokens::granting(turn, did, &request.agreement_id).and_then(|agreement| {
        formats::served(node, turn, &first.next, (&agreement.wire.target, request))?;
        Ok(agreement)
    });
    if let Err(problem) = &granted
        && problem.code == codes::AGREEMENT_UNKNOWN
    {
        // Nobody's process: nothing is opened for it.
        return Err(problem.clone().into());
    }
    let decision = match granted {
        Err(problem) => transfer::Decision::Terminate {
            code: problem.code.name.to_owned(),
            reason: brief(&problem.message),
        },
        Ok(agreement) => {
            let whose = (did, caller.workload);
            let (token, address) = tokens::issue(node, turn, agreement, whose, &first.next, now)?;
            entries.push(token);
            if let (Some(address), formats::PUSH) = (&request.data_address, &*request.format) {
                node.secrets.keep_address(&pid, address.clone(), now);
            }
            transfer::Decision::Start { data_address: tokens::told(&first.next, address) }
        }
    };
    let second = transfer::step(&first.next, transfer::Input::Decide(decision), now)?;
    first.next = second.next;
    first.effects.extend(second.effects);
    keep_messages(node, &first.effects, now);
    entries.extend(transfer_entries(&first, key)?);
    Ok(Some(answer))
}

/// The step with all that the script decides after it, in conformance mode.
fn transfer_scripted(
    node: &Node,
    mut step: transfer::Step,
    now: WallTime,
) -> Result<transfer::Step, Problem> {
    let Some(script) = &node.conformance else { return Ok(step) };
    while let Some(decision) = script.transfer(node, &step.next)? {
        let next = transfer::step(&step.next, transfer::Input::Decide(decision), now)?;
        step.next = next.next;
        step.effects.extend(next.effects);
    }
    keep_messages(node, &step.effects, now);
    Ok(step)
}

/// The entries of what we decide by ourselves in a process now, when we had let it wait.
pub(crate) fn nudged(
    node: &Node,
    turn: &mut Turn<'_>,
    process: Process,
    now: WallTime,
) -> Result<Vec<NewEntry>, Problem> {
    match process {
        Process::Negotiation(state) => {
            let step = negotiation::Step { next: (*state).clone(), effects: Vec::new() };
            follow(node, turn, state.state, step, now).map_err(Problem::from)
        }
        Process::Transfer(state) => {
            let step = transfer::Step { next: (*state).clone(), effects: Vec::new() };
            transfer_followed(node, turn, step, now)
        }
    }
}

/// Keeps what is sent and may hold a token in memory: the log has only its name.
pub(crate) fn keep_messages(node: &Node, effects: &[Effect], now: WallTime) {
    for effect in effects {
        if let Effect::Send(out) = effect {
            node.secrets.keep_message(&out.message, now);
        }
    }
}

/// A callback is called back only when it lies inside the partner's pinned record.
fn pinned_callback(node: &Node, turn: &Turn<'_>, did: &str, callback: &str) -> Result<(), Refused> {
    match connectors::participant(node, turn.fold(), did)?.covers(callback) {
        true => Ok(()),
        false => Err(Refused::Protocol(Rejected {
            status: Status::BadRequest,
            code: codes::OUTGOING_ENDPOINT,
            reason: "the callback address is not in the pinned record".to_owned(),
        })),
    }
}

/// The log entries of a negotiation's step.
///
/// # Errors
/// `internal` when the state cannot be written.
pub(crate) fn negotiation_entries(
    step: &negotiation::Step,
    key: Option<String>,
) -> Result<Vec<NewEntry>, Problem> {
    let party = &step.next.party;
    let ids = (party.own_pid.as_str(), party.peer.as_str());
    processes::entries("negotiation", &step.next, ids, key, &step.effects)
}

/// The log entries of a transfer's step.
///
/// # Errors
/// `internal` when the state cannot be written.
pub(crate) fn transfer_entries(
    step: &transfer::Step,
    key: Option<String>,
) -> Result<Vec<NewEntry>, Problem> {
    let party = &step.next.party;
    let ids = (party.own_pid.as_str(), party.peer.as_str());
    processes::entries("transfer", &step.next, ids, key, &step.effects)
}

/// What an error message of this endpoint is about.
pub(crate) fn subject<'a>(
    endpoint: Endpoint,
    provider: Option<&'a str>,
    consumer: Option<&'a str>,
) -> Subject<'a> {
    let (provider, consumer) = (provider.unwrap_or_default(), consumer.unwrap_or_default());
    match endpoint {
        Endpoint::Versions => Subject::Versions,
        Endpoint::Catalog | Endpoint::CatalogPart | Endpoint::Dataset => Subject::Catalog,
        Endpoint::TransferState
        | Endpoint::TransferRequest
        | Endpoint::TransferStart
        | Endpoint::TransferCompletion
        | Endpoint::TransferSuspension
        | Endpoint::TransferTermination => Subject::Transfer { provider, consumer },
        _ => Subject::Negotiation { provider, consumer },
    }
}

/// What to do about an answer that only the partner can explain.
pub(crate) const ASK: &str = "tell the partner what it answered, and run the command again then";

/// A transfer's data address must lie inside the partner's pinned record, like every address.
pub(crate) fn address_of(
    transfer: &Transfer,
    address: &DataAddress,
    provider: &Participant,
) -> Result<String, Problem> {
    // Connectors of the EDC family put it among the properties, and one to send to under another
    // name.
    let sent_to = || address.property("baseUrl").filter(|_| transfer.format == formats::PUSH);
    let named = || address.property("endpoint").or_else(sent_to);
    let endpoint = address.endpoint.as_deref().or_else(named);
    let endpoint = endpoint.unwrap_or_default().to_owned();
    match provider.has_data_at(&endpoint)
        && Target::parse(&endpoint).is_ok_and(|target| target.query.is_none())
    {
        true => Ok(endpoint),
        false => Err(Problem::new(
            codes::OUTGOING_ENDPOINT,
            format!("the data address of {} is not in its pinned record", transfer.party.peer),
        )
        .hint(ASK)),
    }
}
