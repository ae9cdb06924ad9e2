//! What time brings: a process whose deadline has come asks the other side where it stands, or
//! gives up. One timer for all of them, set by the earliest deadline in the log.

use crate::bargain;
use crate::fold::Fold;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::local;
use crate::removal;
use crate::tokens;
use std::time::Duration;
use tokio::sync::watch;
use twinpact_dsp::exchange::PEER_PATIENCE_S;
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Role, negotiation};
use twinpact_model::entry::{Attribute, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// How long the timer rests at most: a wall clock that was set forward is noticed after that.
const LOOK: Duration = Duration::from_secs(600);

/// Wakes processes until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    let mut looks = tokio::time::interval(LOOK);
    // A removal may have been cut short. What cannot be ended now is ended by its deadline.
    let _ = removal::end_processes(&node).await;
    loop {
        changes.borrow_and_update();
        node.partition.between_frames().await;
        let now = node.clocks.wall();
        let rest = match fire(&node, now).await {
            Ok(woken) if woken > 0 => continue,
            // It has stopped, or a process keeps its deadline: never in circles.
            Err(_) => LOOK,
            Ok(_) => until_next(&node, now),
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(rest) => {}
            // What is in memory only goes with its transfer.
            _ = looks.tick() => node.secrets.keep_addresses(|pid| still_open(&node, pid)),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn still_open(node: &Node, pid: &str) -> bool {
    let read = node.partition.read(|fold, _| {
        fold.processes.transfers.get(pid).is_some_and(|transfer| !transfer.state.is_final())
    });
    read.unwrap_or(false)
}

fn until_next(node: &Node, now: WallTime) -> Duration {
    let next = node.partition.read(|fold, _| {
        let processes = &fold.processes;
        processes.next_deadline().into_iter().chain(processes.next_escalation()).min()
    });
    let next = next.ok().flatten();
    let micros = next.map_or(i64::MAX, |next| next.0.micros().saturating_sub(now.0.micros()));
    match u64::try_from(micros) {
        Ok(micros) if micros > 0 => Duration::from_micros(micros).min(LOOK),
        _ => LOOK,
    }
}

/// Tells the processes whose deadline has come at this time, each in a turn of its own; how many of
/// them moved. One that cannot be told keeps no other from it.
///
/// # Errors
/// `store.stopped`.
pub async fn fire(node: &Node, now: WallTime) -> Result<usize, Problem> {
    let due = node.partition.read(|fold, _| fold.processes.overdue(now))?;
    let mut moved = escalate(node, now).await?;
    for pid in due {
        let ours = node.clone();
        let turn = node.partition.turn(move |mut turn| {
            let entries = late(&ours, &mut turn, &pid, now)?;
            let moves = !entries.is_empty();
            if moves {
                let negotiates = turn.fold().processes.negotiations.contains_key(&pid);
                turn.log(entries)?;
                ours.metrics.overdue(if negotiates { "negotiation" } else { "transfer" });
            }
            Ok(moves)
        });
        match turn.await {
            Ok(moves) => moved += usize::from(moves),
            Err(problem) if problem.code.name.starts_with("store.") => return Err(problem),
            Err(_) => {}
        }
    }
    Ok(moved)
}

/// Puts on record which processes have waited for a decision of ours for half of the time that
/// there is; how many. Each is told of once, also over a restart.
async fn escalate(node: &Node, now: WallTime) -> Result<usize, Problem> {
    let due = node.partition.read(|fold, _| fold.processes.to_escalate(now))?;
    if due.is_empty() {
        return Ok(0);
    }
    let turn = node.partition.turn(move |turn| {
        let told = due.iter().filter_map(|pid| escalated(turn.fold(), pid));
        let (entries, kinds): (Vec<_>, Vec<_>) = told.unzip();
        turn.log(entries).map(|_| kinds)
    });
    let kinds = turn.await?;
    kinds.iter().for_each(|kind| node.metrics.escalated(kind));
    Ok(kinds.len())
}

/// What is put on record of one, and what kind of process it is.
fn escalated(fold: &Fold, pid: &str) -> Option<(NewEntry, &'static str)> {
    let process = find(fold, pid)?;
    let why = process.waiting_for();
    let (peer, kind) = match &process {
        Process::Negotiation(state) => (&state.party.peer, "negotiation"),
        Process::Transfer(state) => (&state.party.peer, "transfer"),
    };
    let what = vec![Attribute::new("pid", "text", pid), Attribute::new("why", "text", why)];
    Some((local(Kind::Escalated, peer, what), kind))
}

fn late(
    node: &Node,
    turn: &mut Turn<'_>,
    pid: &str,
    now: WallTime,
) -> Result<Vec<NewEntry>, Problem> {
    match find(turn.fold(), pid) {
        Some(Process::Negotiation(state)) => {
            bargain::negotiation_moved(node, turn, &state, negotiation::Input::Deadline, now)
        }
        Some(Process::Transfer(state)) => {
            let input = match useless(turn, &state, now) {
                Some(decision) => transfer::Input::Decide(decision),
                None => transfer::Input::Deadline,
            };
            bargain::transfer_moved(node, turn, &state, input, now)
        }
        None => Ok(Vec::new()),
    }
}

/// Why a transfer of ours as provider that has started is ended, though nobody asked for it: its
/// agreement does not hold any more, or nobody has refreshed its token for half a day.
fn useless(turn: &Turn<'_>, state: &Transfer, now: WallTime) -> Option<transfer::Decision> {
    if (state.party.role, state.state) != (Role::Provider, transfer::State::Started) {
        return None;
    }
    if let Err(problem) = tokens::granting(turn, &state.party.peer, &state.agreement_id) {
        let (code, reason) = (problem.code.name.to_owned(), problem.message);
        return Some(transfer::Decision::Terminate { code, reason });
    }
    let last = turn.fold().processes.tokens.last_expiry(&state.party.own_pid);
    let idle = last.is_none_or(|last| last.0.plus_seconds(PEER_PATIENCE_S / 2) < now.0);
    idle.then(|| transfer::Decision::Terminate {
        code: codes::DSP_OVERDUE.name.to_owned(),
        reason: "nobody has refreshed its token for half a day: ask for a new transfer".to_owned(),
    })
}
