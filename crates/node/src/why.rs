//! Why a negotiation or transfer is where it is: each message in and out, each decision with its
//! reason, each attempt at sending that failed, and what is still missing.
//!
//! The story of a process is folded from the same entries as its state, and is forgotten with it.
//! It holds names, times and reasons, never a message: one may hold a token.

use crate::api::{WhyShown, WhyStep};
use crate::fold::Fold;
use crate::negotiate::{Process, find};
use crate::negotiations::{end, unknown, whose};
use crate::open::Node;
use crate::processes::{Pending, Processes, Waiting};
use std::collections::{BTreeMap, VecDeque};
use twinpact_dsp::exchange::{Ended, Party, Whose};
use twinpact_model::WallTime;
use twinpact_model::entry::{Entry, Kind};
use twinpact_model::problem::Problem;

/// The most steps of one process that are kept; the oldest are forgotten first.
pub const MAX_STEPS: usize = 128;
/// How many attempts to send one message are on record one by one; of later ones each power of two.
pub const MAX_ATTEMPTS_NOTED: u32 = 5;

/// Whether a failed attempt is put on record: not each of the many to a partner that is down.
pub(crate) const fn is_noted(attempt: u32) -> bool {
    attempt <= MAX_ATTEMPTS_NOTED || attempt.is_power_of_two()
}

/// The stories of all processes that are kept, by our process id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stories(BTreeMap<String, Story>);

#[derive(Debug, Clone, Default)]
struct Story {
    steps: VecDeque<WhyStep>,
    forgotten: u64,
}

impl Stories {
    fn push(&mut self, pid: &str, entry: &Entry, (what, text): (&str, String)) {
        let story = self.0.entry(pid.to_owned()).or_default();
        if story.steps.len() >= MAX_STEPS {
            story.steps.pop_front();
            story.forgotten += 1;
        }
        let at = entry.when.recorded;
        story.steps.push_back(WhyStep { at, what: what.to_owned(), text });
    }

    /// What has moved a process.
    pub(crate) fn moved(&mut self, pid: &str, entry: &Entry) {
        let reasons = entry.what.iter().filter(|a| a.path.starts_with("why."));
        for reason in reasons.map(|a| a.lexical.to_string()) {
            self.push(pid, entry, ("state", reason));
        }
    }

    /// What an entry of the outbox says of the row that it is about, or that it has become.
    pub(crate) fn sent(&mut self, row: &Pending, entry: &Entry) {
        let name = name(&row.what);
        let why = entry.get("why").unwrap_or_default();
        let step = match (entry.get("attempt"), entry.get("done"), why) {
            (Some(attempt), ..) => {
                let ms = entry.get("after_ms").unwrap_or_default();
                ("attempt", format!("{name}, attempt {attempt}: {why}; again after {ms} ms"))
            }
            (None, Some(_), "") => ("delivered", name.to_owned()),
            (None, Some(_), why) => ("undelivered", format!("{name}: {why}")),
            (None, None, _) => ("out", format!("{name} waits to be sent")),
        };
        self.push(&row.pid, entry, step);
    }

    /// What was sent besides messages, and messages that went again.
    pub(crate) fn noted(&mut self, pid: &str, entry: &Entry, name: &str) {
        if self.0.contains_key(pid) {
            let why = entry.get("why").unwrap_or_default();
            self.push(pid, entry, ("attempt", format!("{name}, {why}")));
        }
    }

    /// That it has waited for us for long.
    pub(crate) fn escalated(&mut self, pid: &str, entry: &Entry) {
        if self.0.contains_key(pid) {
            let why = entry.get("why").unwrap_or_default().to_owned();
            self.push(pid, entry, ("escalated", why));
        }
    }

    /// Forgets the story of a process.
    pub(crate) fn forget(&mut self, pid: &str) {
        self.0.remove(pid);
    }
}

/// What an entry of the outbox is about: the numbers of rows.
pub(crate) fn about(entry: &Entry) -> impl Iterator<Item = u64> {
    let of = entry.get("done").or_else(|| entry.get("attempt").and_then(|_| entry.get("of")));
    let of = of.filter(|_| entry.who.kind == Kind::Outbox).unwrap_or_default();
    of.split(' ').filter_map(|number| number.parse().ok())
}

/// A message by its name in the protocol; what is none of it, in words.
pub(crate) fn name(what: &Waiting) -> &str {
    match what {
        Waiting::Message(written) => &written.name,
        Waiting::Start => "TransferStartMessage",
        Waiting::Question => "the question where the other side stands",
        Waiting::Paper(_) => "a signed document",
        Waiting::Record => "our record",
    }
}

/// The story of a negotiation or transfer, and what is missing.
///
/// # Errors
/// `dsp.unknown`; `store.stopped`.
pub fn why(node: &Node, pid: &str) -> Result<WhyShown, Problem> {
    node.partition.read(|fold, _| {
        let process = find(fold, pid).ok_or_else(unknown)?;
        Ok(shown(fold, pid, &process))
    })?
}

/// What both kinds of processes have.
struct Common<'a> {
    kind: &'static str,
    party: &'a Party,
    state: &'static str,
    turn: Whose,
    until: Option<WallTime>,
    ended: Option<&'a Ended>,
}

fn common(process: &Process) -> Common<'_> {
    match process {
        Process::Negotiation(n) => Common {
            kind: "negotiation",
            party: &n.party,
            state: n.state.name(),
            turn: n.turn(),
            until: n.deadline,
            ended: n.ended.as_ref(),
        },
        Process::Transfer(t) => Common {
            kind: "transfer",
            party: &t.party,
            state: t.state.name(),
            turn: t.turn(),
            until: t.deadline,
            ended: t.ended.as_ref(),
        },
    }
}

fn shown(fold: &Fold, pid: &str, process: &Process) -> WhyShown {
    let Common { kind, party, state, turn, until, ended } = common(process);
    let story = fold.processes.stories.0.get(pid);
    WhyShown {
        pid: pid.to_owned(),
        process: kind.to_owned(),
        role: party.role.name().to_owned(),
        partner: party.peer.clone(),
        state: state.to_owned(),
        turn: whose(turn).to_owned(),
        waiting_for: process.waiting_for(),
        until: until.map(|until| until.0),
        missing: missing(&fold.processes, pid, turn),
        ended: ended.map(end),
        steps: story.map(|story| story.steps.iter().cloned().collect()).unwrap_or_default(),
        forgotten: story.map_or(0, |story| story.forgotten),
    }
}

/// What has to happen before it goes on.
fn missing(processes: &Processes, pid: &str, turn: Whose) -> Vec<String> {
    let unsent = processes.outbox.values().filter(|row| row.pid == pid);
    let mut missing: Vec<String> = unsent
        .map(|row| format!("{} has not been taken, since {}", name(&row.what), row.since))
        .collect();
    match turn {
        Whose::Ours => missing.push("a decision of ours".to_owned()),
        Whose::Peers => missing.push("a message of the other side".to_owned()),
        Whose::Nobody => {}
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::is_noted;

    #[test]
    fn of_many_attempts_few_are_noted() {
        let noted: Vec<u32> = (1..=1_000).filter(|attempt| is_noted(*attempt)).collect();
        assert_eq!(noted, [1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512]);
    }
}
