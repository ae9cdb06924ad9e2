//! What time brings: a process whose deadline has come asks the other side where it stands, or
//! gives up. One timer for all of them, set by the earliest deadline in the log.

use crate::bargain;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use std::time::Duration;
use tokio::sync::watch;
use twinpact_dsp::{negotiation, transfer};
use twinpact_model::WallTime;
use twinpact_model::problem::Problem;

/// How long the timer rests at most: a wall clock that was set is noticed after that.
const LOOK: Duration = Duration::from_secs(600);
/// How many processes are looked at in one turn.
const MAX_AT_ONCE: usize = 100;

/// Wakes processes until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        let now = node.clocks.wall();
        let rest = match fire(&node, now).await {
            Ok(woken) if woken > 0 => continue,
            // It has stopped, or a process keeps its deadline: never in circles.
            Err(_) => LOOK,
            Ok(_) => until_next(&node, now),
        };
        node.secrets.keep_addresses(|pid| still_open(&node, pid));
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(rest) => {}
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
    let next = node.partition.read(|fold, _| fold.processes.next_deadline()).ok().flatten();
    let micros = next.map_or(i64::MAX, |next| next.0.micros().saturating_sub(now.0.micros()));
    match u64::try_from(micros) {
        Ok(micros) if micros > 0 => Duration::from_micros(micros).min(LOOK),
        _ => LOOK,
    }
}

/// Tells the processes whose deadline has come at this time; how many of them moved.
///
/// # Errors
/// What the log refuses.
pub async fn fire(node: &Node, now: WallTime) -> Result<usize, Problem> {
    let due = |now| node.partition.read(move |fold, _| fold.processes.overdue(now));
    if due(now)?.is_empty() {
        return Ok(0);
    }
    let ours = node.clone();
    let turn = node.partition.turn(move |mut turn| {
        let (mut entries, mut moved) = (Vec::new(), 0);
        for pid in turn.fold().processes.overdue(now).into_iter().take(MAX_AT_ONCE) {
            let more = late(&ours, &mut turn, &pid, now)?;
            moved += usize::from(!more.is_empty());
            entries.extend(more);
        }
        if !entries.is_empty() {
            turn.log(entries)?;
        }
        Ok(moved)
    });
    turn.await
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
            bargain::transfer_moved(turn, &state, transfer::Input::Deadline, now)
        }
        None => Ok(Vec::new()),
    }
}
