//! What the policy clock brings: copies whose time has come are deleted, and agreements whose
//! partner owes a deletion receipt are suspended.
//!
//! A deletion is one frame: the entries that destroy the keys, the signed receipts, and the rows of
//! the outbox that send them. All classes that are due are in it, since destroying keys costs the
//! same for one as for many. The keys are gone before that frame is answered ([`Store::commit`]),
//! so no receipt leaves before what it says is so. It is done when a node starts, before it serves
//! anything, and then by one timer, set by the earliest time in the log.
//!
//! [`Store::commit`]: twinpact_store::Store::commit

use crate::agreements;
use crate::bargain;
use crate::deletions;
use crate::fold::Fold;
use crate::incidents::clock;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::{self, Paper, local};
use crate::tokens;
use std::time::Duration;
use tokio::sync::watch;
use twinpact_dsp::Role;
use twinpact_dsp::exchange::Whose;
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_model::entry::{Attribute, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_policy::State;
use twinpact_proof::deletion::{Deletion, MAX_DELETED, Reason};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::Clock;
use twinpact_proof::{Digest, to_hex};
use twinpact_store::destroy;

/// How long the timer rests at most: a clock that was set forward is noticed after that.
const LOOK: Duration = Duration::from_secs(600);
/// How many classes of copies are deleted in one turn, and after how many copies it is full.
const CLASSES_A_TURN: usize = 64;
const COPIES_A_TURN: usize = 10 * MAX_DELETED;
/// How long it rests when a transfer could not be told yet.
const REST: Duration = Duration::from_secs(1);

/// Deletes and suspends in time until told to stop.
pub async fn run(node: Node, mut stop: watch::Receiver<bool>) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        node.partition.between_frames().await;
        let rest = match advance(&node).await {
            Ok(true) => until_next(&node),
            Ok(false) => REST,
            // It has stopped: never in circles.
            Err(_) => LOOK,
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(rest) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Until something is due by the policy clock; a driven one is followed when it is set.
fn until_next(node: &Node) -> Duration {
    if node.clocks.is_driven() {
        return LOOK;
    }
    let now = node.clocks.policy().0;
    let late = deletions::late_before(node, now);
    let duty_late = deletions::duty_late_before(node, now);
    let next = node.partition.read(|fold, _| {
        let rest = |by: Timestamp, late: Timestamp| {
            by.micros().saturating_sub(late.micros()).saturating_add(1)
        };
        let owed = fold.deletions.next_owed(late).map(|by| rest(by, late));
        let duty = fold.erasures.next_owed(duty_late).map(|given| rest(given, duty_late));
        let due = fold.copies.next_due(false).map(|due| due.micros().saturating_sub(now.micros()));
        due.into_iter().chain(owed).chain(duty).min()
    });
    let micros = next.ok().flatten().and_then(|micros| u64::try_from(micros).ok());
    micros.map_or(LOOK, |micros| Duration::from_micros(micros).min(LOOK))
}

/// Does what is due by the policy clock; whether nothing is left to be tried again. A driven clock
/// says nothing before somebody has set it.
///
/// # Errors
/// `store.stopped`; `anchor.behind`.
pub async fn advance(node: &Node) -> Result<bool, Problem> {
    if !node.clocks.tells() {
        return Ok(true);
    }
    let (now, driven) = (node.clocks.policy().0, node.clocks.is_driven());
    while node.partition.read(|fold, _| !fold.copies.due(driven, now, 1).is_empty())? {
        let ours = node.clone();
        let turn = node.partition.turn(move |turn| {
            let entries = delete(&ours, &turn, now)?;
            turn.log(entries).map(|_| ())
        });
        turn.await?;
    }
    let before = (deletions::late_before(node, now), deletions::duty_late_before(node, now));
    while node.partition.read(|fold, _| overdue(fold, before).is_some())? {
        let turn = node.partition.turn(move |turn| {
            let entry = overdue(turn.fold(), before);
            turn.log(entry.into_iter().collect()).map(|_| ())
        });
        turn.await?;
    }
    align(node).await
}

/// The entries that delete the copies of the classes that are due, with the receipts of it; when
/// there are many, of some of them.
fn delete(node: &Node, turn: &Turn<'_>, now: Timestamp) -> Result<Vec<NewEntry>, Problem> {
    let (driven, mut entries, mut copies) = (node.clocks.is_driven(), Vec::new(), 0);
    for class in turn.fold().copies.due(driven, now, CLASSES_A_TURN) {
        if copies >= COPIES_A_TURN {
            break;
        }
        copies += turn.fold().copies.of_class(class).count();
        entries.extend(delete_class(node, turn, class, now)?);
    }
    Ok(entries)
}

/// The entry that deletes the copies of a class, with the receipts of it.
fn delete_class(
    node: &Node,
    turn: &Turn<'_>,
    class: &str,
    now: Timestamp,
) -> Result<Vec<NewEntry>, Problem> {
    let clock = clock(node);
    let copies: Vec<_> = turn.fold().copies.of_class(class).collect();
    let Some((_, first)) = copies.first() else { return Ok(Vec::new()) };
    let (agreement, peer) = (first.agreement.clone(), first.from.clone());
    let what = vec![
        Attribute::new("class", "text", class),
        Attribute::new("agreement", "text", &agreement),
        Attribute::new("clock", "text", clock.name()),
        destroy::attribute(&turn.store().class_keys(class)),
    ];
    let mut deleted = local(Kind::CopyDeleted, &peer, what);
    deleted.entry.when.phen_start = Some(now);
    let mut entries = vec![deleted];
    let mut leaves: Vec<Digest> = copies.iter().filter_map(|(name, _)| from_hex(name)).collect();
    leaves.sort_unstable();
    let at = (now, clock);
    for leaves in leaves.chunks(MAX_DELETED) {
        let said = (agreement.as_str(), leaves, Reason::Retention);
        entries.extend(receipt(node, &peer, said, at)?);
    }
    Ok(entries)
}

/// A signed deletion receipt, and the row that sends it.
pub(crate) fn receipt(
    node: &Node,
    peer: &str,
    (agreement, leaves, reason): (&str, &[Digest], Reason),
    (now, clock): (Timestamp, Clock),
) -> Result<[NewEntry; 2], Problem> {
    let unreadable = || Problem::new(codes::INTERNAL, "the agreement of a copy has no identity");
    let document = Deletion {
        issuer: node.config.organisation.to_string(),
        audience: peer.to_owned(),
        agreement: from_hex(agreement).ok_or_else(unreadable)?,
        receipts: leaves.to_vec(),
        deleted: now.micros(),
        clock,
        reason,
    };
    let envelope = document.sign(node.signer().key());
    let paper = Paper::Deletion(to_hex(&envelope.fingerprint()));
    // In a lane of its own: one that is early waits, and nothing else with it.
    let lane = format!("deletions {agreement}");
    Ok([deletions::record(peer, &envelope), processes::paper_row(peer, &lane, &paper)])
}

/// The suspension of the first agreement that holds although a deletion receipt is overdue: of a
/// copy, or that answers a duty to erase.
fn overdue(fold: &Fold, (copy, duty): (Timestamp, Timestamp)) -> Option<NewEntry> {
    let holding = |of: &dyn Fn(&agreements::Agreement) -> bool| {
        fold.agreements.iter().find(|known| known.state == State::Active && of(known))
    };
    let mut copies = fold.deletions.overdue(copy);
    let of_copy = copies.find_map(|(ledger, by)| {
        let known = holding(&|known| known.ledger == Some(ledger))?;
        let why = format!("no deletion receipt has come for a copy to be deleted by {by}");
        Some(agreements::suspended(known, &why))
    });
    let mut duties = fold.erasures.overdue(duty);
    of_copy.or_else(|| {
        duties.find_map(|(agreement, _, given)| {
            let known = holding(&|known| known.id == *agreement)?;
            let why = format!("no deletion receipt has come for the duty to erase of {given}");
            Some(agreements::suspended(known, &why))
        })
    })
}

/// Pauses the transfers of ours whose agreement is suspended and starts again those whose agreement
/// holds again; whether nothing is left to be tried again.
pub async fn align(node: &Node) -> Result<bool, Problem> {
    let all = node.partition.read(|fold, _| {
        let running = fold
            .agreements
            .suspended()
            .flat_map(|known| fold.processes.transfers_under(&known.wire.id));
        let all = running.chain(fold.processes.suspended_transfers());
        let wrong = all.filter(|transfer| is_wrong(fold, transfer));
        wrong.map(|transfer| transfer.party.own_pid.clone()).collect::<Vec<_>>()
    })?;
    let mut done = true;
    for pid in all {
        let ours = node.clone();
        let turn = node.partition.turn(move |turn| {
            let entries = moved(&ours, &turn, &pid)?;
            let moves = !entries.is_empty();
            turn.log(entries).map(|_| moves)
        });
        done &= turn.await?;
    }
    Ok(done)
}

/// Whether a transfer of ours runs although its agreement is suspended, or the other way round.
fn is_wrong(fold: &Fold, state: &Transfer) -> bool {
    if state.party.role != Role::Provider {
        return false;
    }
    let known = fold.agreements.granted_to(&state.party.peer, &state.agreement_id);
    match (known.map(|known| known.state), state.state) {
        (Some(State::Suspended), transfer::State::Started) => true,
        (Some(State::Active), transfer::State::Suspended) => {
            state.suspended_by == Some(Whose::Ours) && !state.by_hand
        }
        _ => false,
    }
}

/// The step that puts a transfer right; nothing while the other side has not taken our last word.
fn moved(node: &Node, turn: &Turn<'_>, pid: &str) -> Result<Vec<NewEntry>, Problem> {
    let (fold, now) = (turn.fold(), node.clocks.wall());
    let state = fold.processes.transfers.get(pid).filter(|state| is_wrong(fold, state));
    let Some(state) = state else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    let decision = match state.state {
        transfer::State::Started => transfer::Decision::Suspend {
            code: codes::POLICY_SUSPENDED.name.to_owned(),
            reason: "the agreement is suspended: a deletion receipt is overdue".to_owned(),
        },
        _ => {
            let (token, start) = tokens::starting(node, turn, state, now)?;
            entries.push(token);
            start
        }
    };
    let Ok(step) = transfer::step(state, transfer::Input::Decide(decision), now) else {
        return Ok(Vec::new());
    };
    bargain::keep_messages(node, &step.effects, now);
    entries.extend(bargain::transfer_entries(&step, None)?);
    Ok(entries)
}
