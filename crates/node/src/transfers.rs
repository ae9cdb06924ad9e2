//! A person takes over a transfer: lists and shows them, suspends, resumes, completes, ends them.
//!
//! What a person decides goes through the same machine and into the same log as what the node
//! decides by itself. What a person has suspended the node does not resume by itself, though
//! the other side may (Transfer Process Protocol, state SUSPENDED); what an agreement does not
//! allow, nobody does.

use crate::api::{TransferLine, TransferShown};
use crate::bargain;
use crate::fold::Fold;
use crate::negotiations::{by_a_person, end, ending, unknown, whose};
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::tokens;
use twinpact_dsp::Role;
use twinpact_dsp::exchange::Whose;
use twinpact_dsp::transfer::{self, Decision, Input, State, Transfer};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_policy::State as Standing;
use twinpact_proof::to_hex;

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Pause it, for this reason.
    Suspend(String),
    /// Let data flow again.
    Resume,
    /// It is done.
    Complete,
    /// End it, for this reason.
    Terminate(String),
}

/// Every transfer that is kept, those that wait for us first, then by the time since which they are
/// as they are, the newest first.
///
/// # Errors
/// `store.stopped`.
pub fn list(node: &Node) -> Result<Vec<TransferLine>, Problem> {
    node.partition.read(|fold, _| {
        let mut all: Vec<&Transfer> = fold.processes.transfers.values().collect();
        all.sort_by_key(|t| (t.turn() != Whose::Ours, std::cmp::Reverse(t.since)));
        all.into_iter().map(|known| line(fold, known)).collect()
    })
}

/// One transfer, and what may be decided now.
///
/// # Errors
/// `dsp.unknown`; `store.stopped`.
pub fn show(node: &Node, pid: &str) -> Result<TransferShown, Problem> {
    node.partition.read(|fold, _| {
        let known = fold.processes.transfers.get(pid).ok_or_else(no_transfer)?;
        Ok(TransferShown {
            line: line(fold, known),
            peer_pid: known.party.peer_pid.clone(),
            waiting_for: known.waiting_for(),
            by_hand: known.by_hand,
            ended: known.ended.as_ref().map(end),
            choices: known.choices().iter().map(|&choice| choice.to_owned()).collect(),
        })
    })?
}

/// Carries out what a person decides.
///
/// # Errors
/// `dsp.unknown`; `dsp.decision` when it is not the time for it; `policy.suspended`,
/// `policy.revoked`, `agreement.ended` when the agreement does not let data flow;
/// `input.malformed`. Nothing has changed then.
pub async fn decide(node: &Node, pid: &str, wish: Wish) -> Result<TransferShown, Problem> {
    let (ours, name) = (node.clone(), pid.to_owned());
    let turn = node.partition.turn(move |turn| {
        let found = turn.fold().processes.transfers.get(&name).cloned();
        let state = found.ok_or_else(no_transfer)?;
        let entries = decided(&ours, &turn, &state, &wish)?;
        turn.log(entries)?;
        Ok(state.party.role == Role::Consumer && wish != Wish::Resume)
    });
    // What we fetch with is of no use then.
    if turn.await? {
        node.secrets.forget_address(pid);
    }
    show(node, pid)
}

fn decided(
    node: &Node,
    turn: &Turn<'_>,
    state: &Transfer,
    wish: &Wish,
) -> Result<Vec<NewEntry>, Problem> {
    let now = node.clocks.wall();
    let code = codes::EXCHANGE_REFUSED.name.to_owned();
    let mut entries = Vec::new();
    let decision = match wish {
        Wish::Suspend(reason) => Decision::Suspend {
            code: codes::POLICY_SUSPENDED.name.to_owned(),
            reason: ending(reason)?,
        },
        Wish::Terminate(reason) => Decision::Terminate { code, reason: ending(reason)? },
        Wish::Complete => Decision::Complete,
        // What the machine would refuse is not looked at first: it has the better sentence.
        Wish::Resume if state.party.role == Role::Provider && state.state == State::Suspended => {
            allowed(turn.fold(), state)?;
            let (token, start) = tokens::starting(node, turn, state, now)?;
            entries.push(token);
            start
        }
        Wish::Resume => Decision::Start { data_address: None },
    };
    if *wish == Wish::Resume && state.state != State::Suspended {
        let at = state.state.name();
        let why = format!("only a suspended transfer is resumed, and this one is {at}");
        return Err(Problem::new(codes::DSP_DECISION, why));
    }
    let mut step = transfer::step(state, Input::Decide(decision), now)?;
    step.next.by_hand = matches!(wish, Wish::Suspend(_));
    by_a_person(&mut step.effects);
    bargain::keep_messages(node, &step.effects, now);
    entries.extend(bargain::transfer_entries(&step, None)?);
    Ok(entries)
}

/// Whether the agreement of a transfer lets data flow.
fn allowed(fold: &Fold, state: &Transfer) -> Result<(), Problem> {
    let known = fold.agreements.granted_to(&state.party.peer, &state.agreement_id);
    match known.map(|known| known.state) {
        Some(Standing::Suspended) => {
            let why = "the agreement is suspended: a deletion receipt is overdue";
            Err(Problem::new(codes::POLICY_SUSPENDED, why))
        }
        _ => Ok(()),
    }
}

fn line(fold: &Fold, known: &Transfer) -> TransferLine {
    let agreement = fold.agreements.with(&known.party.peer, &known.agreement_id);
    TransferLine {
        pid: known.party.own_pid.clone(),
        role: known.party.role.name().to_owned(),
        partner: known.party.peer.clone(),
        agreement: agreement.map(|agreement| to_hex(&agreement.id)),
        at_id: known.agreement_id.clone(),
        format: known.format.clone(),
        state: known.state.name().to_owned(),
        turn: whose(known.turn()).to_owned(),
        since: known.since.0,
        until: known.deadline.map(|deadline| deadline.0),
    }
}

fn no_transfer() -> Problem {
    unknown().hint("see them all: twinpact transfer list")
}
