//! Negotiations, transfers, tokens and the outbox, as the log has them: local records, in no tree.
//!
//! A process that is over is kept for a while, so that repeats and questions about it are answered;
//! of each partner the last [`MAX_ENDED`] are, and those whose last message is still to be sent.

use crate::ask::ORGANISATION_PATH;
use crate::formats;
use crate::partition::NewEntry;
use crate::tokens::Tokens;
use crate::why::{self, Stories};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use twinpact_dsp::exchange::{Whose, is_far, opening_key};
use twinpact_dsp::negotiation::Negotiation;
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Effect, Message, Outgoing, Role};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime};
use twinpact_store::forest::LOCAL;

/// Where a node takes signed documents, below the base of its endpoint.
pub const DOCUMENTS_PATH: &str = "/documents";
/// How many processes of one partner that are over are kept; older ones are forgotten once nothing
/// of theirs waits to be sent.
pub const MAX_ENDED: usize = 250;
/// How many negotiations of one partner may be under way.
pub const MAX_NEGOTIATIONS: usize = 100;
/// How many transfers of one partner may be under way.
pub const MAX_TRANSFERS: usize = 1_000;

/// What waits to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Waiting {
    /// This message.
    Message(Written),
    /// A start message: it holds a token, so it is in memory only, and is made again after a stop.
    Start,
    /// The question where the other side stands.
    Question,
    /// A signed document.
    Paper(Paper),
    /// Our own record, as it is when it is sent.
    Record,
}

/// A message of ours as it is sent: text that nobody reads again on our side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name in the protocol.
    pub name: Arc<str>,
    /// Its JSON.
    pub text: Arc<str>,
}

impl Written {
    /// That of logged text; `None` when it is no JSON object with a type.
    fn of(text: &str) -> Option<Written> {
        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(rename = "@type", borrow)]
            name: Cow<'a, str>,
        }
        let Typed { name } = serde_json::from_str(text).ok()?;
        Some(Written { name: name.into(), text: text.into() })
    }
}

/// A signed document that is sent to the other party; it is looked up when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paper {
    /// That of the agreement with this identity.
    Agreement(String),
    /// The receipt of the copy with this name.
    Receipt(String),
    /// The containment with this fingerprint, as hex.
    Containment(String),
    /// The answer of that kind to it.
    ContainmentAnswer(String, String),
    /// The deletion receipt with this fingerprint, as hex.
    Deletion(String),
    /// The duty to erase with this fingerprint, as hex.
    Erasure(String),
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The process that it belongs to; the partner itself for our record.
    pub pid: String,
    /// The partner.
    pub peer: String,
    /// The base address.
    pub to: String,
    /// The path below it.
    pub path: String,
    /// The message's `@id`; empty for a question.
    pub id: String,
    /// What is to be sent.
    pub what: Waiting,
    /// Since when it waits.
    pub since: Timestamp,
}

impl Pending {
    /// Whether it is a message that its process waits for the other side to take.
    fn is_step(&self) -> bool {
        matches!(self.what, Waiting::Message(_) | Waiting::Start)
    }
}

/// Everything of the protocol that outlives a restart.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    /// Negotiations by our process id.
    pub negotiations: BTreeMap<String, Negotiation>,
    /// Transfers by our process id.
    pub transfers: BTreeMap<String, Transfer>,
    /// What waits to be sent, by the number of its log entry, so that order is kept.
    pub outbox: BTreeMap<u64, Pending>,
    /// How many messages of each process wait to be sent.
    unsent: BTreeMap<String, usize>,
    /// The access tokens that we issued.
    pub tokens: Tokens,
    /// When each process that waits for a decision of ours is to be escalated; it was not yet.
    waiting: BTreeSet<(WallTime, String)>,
    /// What was not taken, by process id: it is sent again when the other side turns out to wait
    /// for it.
    parked: BTreeMap<String, Pending>,
    /// When each open process wants to be looked at again.
    due: BTreeSet<(WallTime, String)>,
    /// Which process an opening message opened, and the other way round.
    openings: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    /// Why a containment was not taken by whom it asks, by its fingerprint.
    not_taken: BTreeMap<String, String>,
    /// What has happened in each process.
    pub(crate) stories: Stories,
    /// The processes of each partner that are over, in the order in which they ended.
    ended: BTreeMap<String, VecDeque<String>>,
    /// How many negotiations and transfers of each partner are under way.
    open: BTreeMap<String, (usize, usize)>,
    /// The transfers that are under way under the `@id` of an agreement.
    under: BTreeMap<String, BTreeSet<String>>,
    /// The transfers that are suspended.
    suspended: BTreeSet<String>,
    /// Those in which we are to send, and have begun to or may begin.
    sending: BTreeSet<String>,
}

/// A state that was taken in.
struct Taken {
    pid: String,
    peer: String,
    deadline: Option<WallTime>,
    /// Whether the process was over before.
    was_over: bool,
    over: bool,
}

impl Processes {
    /// The process that this opening message opened already.
    #[must_use]
    pub fn opened(&self, from: &str, message: &Message) -> Option<&str> {
        self.openings.get(&opening_key(from, message)?).map(String::as_str)
    }

    /// The earliest time at which a process wants to be looked at again.
    #[must_use]
    pub fn next_deadline(&self) -> Option<WallTime> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// The earliest time at which a process is to be escalated.
    #[must_use]
    pub fn next_escalation(&self) -> Option<WallTime> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// The processes that have waited for a decision of ours for half of the time that there is.
    #[must_use]
    pub fn to_escalate(&self, now: WallTime) -> Vec<String> {
        let due = self.waiting.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, pid)| pid.clone()).collect()
    }

    /// The processes whose deadline has come, and those that wait for the other side with one that
    /// a clock set which was far ahead.
    #[must_use]
    pub fn overdue(&self, now: WallTime) -> Vec<String> {
        let due = self.due.iter().take_while(|(deadline, _)| *deadline <= now);
        let far = self.due.iter().rev().take_while(|(deadline, _)| is_far(*deadline, now));
        due.chain(far.filter(|(_, pid)| !self.waits_for_us(pid)))
            .map(|(_, pid)| pid.clone())
            .collect()
    }

    /// Whether it is we who have to decide.
    fn waits_for_us(&self, pid: &str) -> bool {
        let negotiation = self.negotiations.get(pid).map(Negotiation::turn);
        let transfer = || self.transfers.get(pid).map(Transfer::turn);
        negotiation.or_else(transfer) == Some(Whose::Ours)
    }

    /// How many negotiations and transfers with this partner are not over.
    #[must_use]
    pub fn open(&self, peer: &str) -> (usize, usize) {
        self.open.get(peer).copied().unwrap_or_default()
    }

    /// How many negotiations and transfers with this partner are under way: those that are not
    /// over, and those that are kept beyond [`MAX_ENDED`] since they have something to send. So
    /// there is a bound for who takes no message of ours.
    #[must_use]
    pub fn under_way(&self, peer: &str) -> (usize, usize) {
        let (mut negotiations, mut transfers) = self.open(peer);
        if let Some(ended) = self.ended.get(peer) {
            for pid in ended.iter().take(ended.len().saturating_sub(MAX_ENDED)) {
                match self.negotiations.contains_key(pid) {
                    true => negotiations += 1,
                    false => transfers += 1,
                }
            }
        }
        (negotiations, transfers)
    }

    /// The transfers that are under way under the agreement with this `@id`, with whomever.
    pub fn transfers_under(&self, at_id: &str) -> impl Iterator<Item = &Transfer> {
        let pids = self.under.get(at_id).into_iter().flatten();
        pids.filter_map(|pid| self.transfers.get(pid))
    }

    /// The transfers in which data are to be sent by us now: started, and the other side knows.
    pub fn to_send(&self) -> impl Iterator<Item = &Transfer> {
        let started = self.sending.iter().filter_map(|pid| self.transfers.get(pid));
        started.filter(|transfer| transfer.post.unacknowledged.is_none())
    }

    /// The transfers that are suspended, by whomever.
    pub fn suspended_transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.suspended.iter().filter_map(|pid| self.transfers.get(pid))
    }

    /// The message of a process that the other side is not known to have.
    #[must_use]
    pub fn unacknowledged(&self, pid: &str) -> Option<&str> {
        let negotiation = self.negotiations.get(pid).map(|n| &n.post);
        let post = negotiation.or_else(|| self.transfers.get(pid).map(|t| &t.post))?;
        post.unacknowledged.as_deref()
    }

    /// The copies whose receipts wait for the provider to take them with our signature, and since
    /// when.
    #[must_use]
    pub fn waiting_receipts(&self) -> BTreeMap<&str, Timestamp> {
        self.outbox
            .values()
            .filter_map(|row| match &row.what {
                Waiting::Paper(Paper::Receipt(name)) => Some((name.as_str(), row.since)),
                _ => None,
            })
            .collect()
    }

    /// Since when a document of the containment with that fingerprint waits to be taken.
    #[must_use]
    pub fn containment_waits(&self, id: &str) -> Option<Timestamp> {
        let of = |row: &&Pending| match &row.what {
            Waiting::Paper(Paper::Containment(other) | Paper::ContainmentAnswer(other, _)) => {
                other == id
            }
            _ => false,
        };
        self.outbox.values().find(of).map(|row| row.since)
    }

    /// Why the containment of that fingerprint was not taken by whom it asks.
    #[must_use]
    pub fn not_taken(&self, containment: &str) -> Option<&str> {
        self.not_taken.get(containment).map(String::as_str)
    }

    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when a logged record cannot be read.
    pub fn apply(&mut self, entry: &Entry, number: u64) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::ProcessState => self.apply_state(entry),
            Kind::Outbox => {
                // What it is about is gone afterwards, or there is only afterwards.
                why::about(entry).for_each(|number| self.tell(number, entry));
                self.apply_outbox(entry, number)?;
                self.tell(number, entry);
                Ok(())
            }
            Kind::Token => self.tokens.apply(entry),
            Kind::Escalated => {
                let pid = entry.get("pid").ok_or_else(unreadable)?;
                self.waiting.retain(|(_, waits)| waits != pid);
                self.stories.escalated(pid, entry);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Puts what an entry says of a row of the outbox into the story of its process.
    fn tell(&mut self, number: u64, entry: &Entry) {
        let row = self.outbox.get(&number);
        let known = |row: &&Pending| {
            self.negotiations.contains_key(&row.pid) || self.transfers.contains_key(&row.pid)
        };
        if let Some(row) = row.filter(known) {
            self.stories.sent(row, entry);
        }
    }

    fn apply_state(&mut self, entry: &Entry) -> Result<(), Problem> {
        let state = entry.get("state").ok_or_else(unreadable)?;
        let Taken { pid, peer, deadline, was_over, over } = match entry.get("process") {
            Some("negotiation") => self.take_negotiation(read(state)?),
            Some("transfer") => self.take_transfer(read(state)?),
            _ => return Err(unreadable()),
        };
        if let Some(key) = entry.get("opening") {
            self.openings.insert(key.to_owned(), pid.clone());
            self.keys.insert(pid.clone(), key.to_owned());
        }
        self.stories.moved(&pid, entry);
        self.due.extend(deadline.map(|deadline| (deadline, pid.clone())));
        if let (Some(deadline), Some(since)) = (deadline, self.undecided_since(&pid)) {
            let left = deadline.0.micros().saturating_sub(since.0.micros());
            let half = WallTime(Timestamp::from_micros(since.0.micros().saturating_add(left / 2)));
            self.waiting.insert((half, pid.clone()));
        }
        let waits = self.unacknowledged(&pid).map(str::to_owned);
        if self.parked.get(&pid).is_some_and(|row| waits.as_deref() != Some(&row.id)) {
            self.parked.remove(&pid);
        }
        if over {
            self.tokens.forget(&pid);
            self.end(&peer, pid, !was_over);
        }
        Ok(())
    }

    fn take_negotiation(&mut self, next: Negotiation) -> Taken {
        let (pid, peer) = (next.party.own_pid.clone(), next.party.peer.clone());
        let (deadline, over) = (next.deadline, next.state.is_final());
        let old = self.negotiations.insert(pid.clone(), next);
        let was_over = old.as_ref().is_some_and(|old| old.state.is_final());
        self.count(&peer, |open| &mut open.0, (old.is_some() && !was_over, !over));
        self.not_due(old.and_then(|old| old.deadline), &pid);
        Taken { pid, peer, deadline, was_over, over }
    }

    fn take_transfer(&mut self, next: Transfer) -> Taken {
        let (pid, peer) = (next.party.own_pid.clone(), next.party.peer.clone());
        let (deadline, over) = (next.deadline, next.state.is_final());
        let under = self.under.entry(next.agreement_id.clone()).or_default();
        if over {
            under.remove(&pid)
        } else {
            under.insert(pid.clone())
        };
        if under.is_empty() {
            self.under.remove(&next.agreement_id);
        }
        match next.state {
            transfer::State::Suspended => self.suspended.insert(pid.clone()),
            _ => self.suspended.remove(&pid),
        };
        let sends = next.party.role == Role::Provider && next.format == formats::PUSH;
        match sends && next.state == transfer::State::Started {
            true => self.sending.insert(pid.clone()),
            false => self.sending.remove(&pid),
        };
        let old = self.transfers.insert(pid.clone(), next);
        let was_over = old.as_ref().is_some_and(|old| old.state.is_final());
        self.count(&peer, |open| &mut open.1, (old.is_some() && !was_over, !over));
        self.not_due(old.and_then(|old| old.deadline), &pid);
        Taken { pid, peer, deadline, was_over, over }
    }

    /// Counts a process of one kind that was under way or not, and now is or is not.
    fn count(
        &mut self,
        peer: &str,
        kind: impl Fn(&mut (usize, usize)) -> &mut usize,
        (was, is): (bool, bool),
    ) {
        let open = self.open.entry(peer.to_owned()).or_default();
        let count = kind(open);
        *count = (*count + usize::from(is)).saturating_sub(usize::from(was));
        if *open == (0, 0) {
            self.open.remove(peer);
        }
    }

    /// Since when a process waits for a decision of ours that time takes away.
    fn undecided_since(&self, pid: &str) -> Option<WallTime> {
        let ours = |negotiation: &&Negotiation| negotiation.turn() == Whose::Ours;
        let asked = |transfer: &&Transfer| {
            transfer.state == transfer::State::Requested && transfer.turn() == Whose::Ours
        };
        let negotiation = self.negotiations.get(pid).filter(ours).map(|known| known.since);
        negotiation.or_else(|| self.transfers.get(pid).filter(asked).map(|known| known.since))
    }

    fn not_due(&mut self, deadline: Option<WallTime>, pid: &str) {
        if !self.waiting.is_empty() {
            self.waiting.retain(|(_, waits)| waits != pid);
        }
        if let Some(deadline) = deadline {
            self.due.remove(&(deadline, pid.to_owned()));
        }
    }

    /// Puts a process among those that are over, and forgets the oldest of them.
    fn end(&mut self, peer: &str, pid: String, is_new: bool) {
        if is_new {
            self.ended.entry(peer.to_owned()).or_default().push_back(pid.clone());
        }
        // A new one may have a message that comes next in its frame. One that is told what became
        // of its message has said all that it had to say.
        self.forget_ended(peer, is_new.then_some(&pid));
    }

    /// Forgets the oldest processes that are over, as far as there are too many, and not this one.
    /// One whose message was not sent yet stays: it would be taken for needless, and the other side
    /// would wait for it.
    fn forget_ended(&mut self, peer: &str, spared: Option<&String>) {
        while let Some(ended) = self.ended.get_mut(peer).filter(|all| all.len() > MAX_ENDED) {
            let free = |pid: &String| !self.unsent.contains_key(pid) && spared != Some(pid);
            let Some(oldest) = ended.iter().position(free).and_then(|at| ended.remove(at)) else {
                return;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, pid: &str) {
        let negotiation = self.negotiations.remove(pid).and_then(|n| n.deadline);
        let transfer = self.transfers.remove(pid).and_then(|t| t.deadline);
        self.not_due(negotiation.or(transfer), pid);
        self.parked.remove(pid);
        self.stories.forget(pid);
        if let Some(key) = self.keys.remove(pid) {
            self.openings.remove(&key);
        }
    }

    /// Puts a row into the outbox.
    fn waits(&mut self, number: u64, row: Pending) {
        if row.is_step() {
            *self.unsent.entry(row.pid.clone()).or_default() += 1;
        }
        self.outbox.insert(number, row);
    }

    /// Takes a row out of it.
    fn sent(&mut self, number: u64) -> Option<Pending> {
        let row = self.outbox.remove(&number)?;
        if let Some(count) = self.unsent.get_mut(&row.pid).filter(|_| row.is_step()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.unsent.remove(&row.pid);
            }
        }
        Some(row)
    }

    /// Whether all that follows from it when the message of a row is taken is that it is taken.
    #[must_use]
    pub fn is_acknowledged_by(&self, row: &Pending) -> bool {
        let negotiation = self.negotiations.get(&row.pid);
        let transfer = || self.transfers.get(&row.pid);
        negotiation.map_or_else(
            || transfer().is_some_and(|known| known.is_acknowledged_by(&row.id)),
            |known| known.is_acknowledged_by(&row.id),
        )
    }

    /// Takes that the message of a row was taken. Whose turn it is, and what is done in the frame,
    /// does not change by it; a deadline may.
    fn acknowledge(&mut self, row: &Pending) {
        if let Some(known) = self.negotiations.get_mut(&row.pid) {
            known.acknowledge(&row.id);
        } else if let Some(known) = self.transfers.get_mut(&row.pid) {
            let before = known.deadline;
            known.acknowledge(&row.id);
            if known.deadline != before {
                self.not_due(before, &row.pid);
            }
        }
    }

    /// Takes what became of a row.
    fn done(&mut self, number: u64, entry: &Entry) {
        let Some(row) = self.sent(number) else { return };
        if let (Waiting::Paper(Paper::Containment(id)), Some(why)) = (&row.what, entry.get("why")) {
            self.not_taken.insert(id.clone(), why.to_owned());
        }
        let (peer, pid) = (row.peer.clone(), row.pid.clone());
        let taken = entry.get("taken").is_some();
        if taken {
            self.acknowledge(&row);
        }
        let parked = entry.get("parked").is_some();
        self.parked.extend(parked.then(|| (pid.clone(), row)));
        // What becomes of its process by that comes next in the frame, unless this is all.
        self.forget_ended(&peer, (!taken).then_some(&pid));
    }

    fn apply_outbox(&mut self, entry: &Entry, number: u64) -> Result<(), Problem> {
        if entry.get("attempt").is_some() {
            return Ok(());
        }
        if let Some(name) = entry.get("noted") {
            let pid = entry.get("pid").ok_or_else(unreadable)?;
            self.stories.noted(pid, entry, name);
            return Ok(());
        }
        if let Some(done) = entry.get("done") {
            for done in done.split(' ') {
                self.done(done.parse().map_err(|_| unreadable())?, entry);
            }
            return Ok(());
        }
        let since = entry.when.recorded;
        let text = |name: &str| entry.get(name).map(str::to_owned).ok_or_else(unreadable);
        if let Some(paper) = paper(entry) {
            let (pid, peer, path) = (text("pid")?, text("peer")?, DOCUMENTS_PATH.to_owned());
            let (to, id, what) = (String::new(), String::new(), Waiting::Paper(paper));
            self.waits(number, Pending { pid, peer, to, path, id, what, since });
            return Ok(());
        }
        if entry.get("record").is_some() {
            let (pid, peer, path) = (text("pid")?, text("peer")?, ORGANISATION_PATH.to_owned());
            let (to, id, what) = (String::new(), String::new(), Waiting::Record);
            // What is sent is the record of that moment, so that one row is enough.
            self.outbox.retain(|_, row| row.pid != pid || row.what != what);
            self.waits(number, Pending { pid, peer, to, path, id, what, since });
            return Ok(());
        }
        let (pid, id) = (text("pid")?, text("id")?);
        if entry.get("again").is_some() {
            // What still waits in the outbox is being sent anyway.
            let row = self.parked.remove(&pid).map(|row| Pending { since, ..row });
            if let Some(row) = row {
                self.waits(number, row);
            }
            return Ok(());
        }
        let what = match (entry.get("message"), id.is_empty()) {
            (Some(text), _) => Waiting::Message(Written::of(text).ok_or_else(unreadable)?),
            (None, true) => Waiting::Question,
            (None, false) => Waiting::Start,
        };
        let (peer, to, path) = (text("peer")?, text("to")?, text("path")?);
        if what == Waiting::Question {
            // One at a time; the newest knows best.
            self.outbox.retain(|_, row| row.pid != pid || row.what != Waiting::Question);
        }
        self.waits(number, Pending { pid, peer, to, path, id, what, since });
        Ok(())
    }
}

/// The log entries of a step: the next state, and the messages that it sends.
///
/// # Errors
/// `internal` when a state cannot be written.
pub fn entries(
    process: &str,
    state: &impl Serialize,
    (pid, peer): (&str, &str),
    opening: Option<String>,
    effects: &[Effect],
) -> Result<Vec<NewEntry>, Problem> {
    let state = serde_json::to_string(state)
        .map_err(|e| Problem::new(codes::INTERNAL, format!("a process state: {e}")))?;
    let mut what = vec![
        Attribute::new("process", "text", process),
        Attribute::new("pid", "text", pid),
        Attribute::new("state", "json", state),
    ];
    what.extend(opening.map(|key| Attribute::new("opening", "text", key)));
    for (n, record) in effects.iter().filter_map(record).enumerate() {
        what.push(Attribute::new(format!("why.{n}"), "text", record));
    }
    let mut all = vec![local(Kind::ProcessState, peer, what)];
    for effect in effects {
        match effect {
            Effect::Send(out) => all.push(outbox(pid, peer, out)),
            Effect::Ask { to, path } => {
                all.push(row(peer, [("pid", pid), ("peer", peer), ("to", to), ("path", path)], ""));
            }
            Effect::Resend { id } => {
                all.push(row(peer, [("pid", pid), ("peer", peer), ("again", "1")], id));
            }
            // The deadline stands in the state; the record, in its entry.
            Effect::Schedule { .. } | Effect::Record(_) => {}
        }
    }
    Ok(all)
}

/// The row that sends our record to a partner.
#[must_use]
pub fn record_row(peer: &str) -> NewEntry {
    row(peer, [("pid", peer), ("peer", peer), ("record", "1")], "")
}

fn record(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Record(record) => Some(format!("{}: {}", record.to, record.why)),
        _ => None,
    }
}

fn row<const N: usize>(peer: &str, what: [(&str, &str); N], id: &str) -> NewEntry {
    let mut all: Vec<Attribute> =
        what.into_iter().map(|(name, text)| Attribute::new(name, "text", text)).collect();
    all.push(Attribute::new("id", "text", id));
    local(Kind::Outbox, peer, all)
}

/// An outbox row. A start message may hold a token, which never enters the log: its row names the
/// message only. Neither do the properties of an address that data are to be sent to.
fn outbox(pid: &str, peer: &str, out: &Outgoing) -> NewEntry {
    let mut what = vec![
        Attribute::new("pid", "text", pid),
        Attribute::new("peer", "text", peer),
        Attribute::new("to", "text", &out.to),
        Attribute::new("path", "text", &out.path),
        Attribute::new("id", "text", out.message.id().unwrap_or_default()),
    ];
    if !matches!(out.message, Message::TransferStart(_)) {
        let message = without_secrets(&out.message).to_text();
        what.push(Attribute::new("message", "json", message));
    }
    local(Kind::Outbox, peer, what)
}

/// The message without the properties of an address, which may hold a key: they are kept in memory.
fn without_secrets(message: &Message) -> Cow<'_, Message> {
    match message {
        Message::TransferRequest(request) if request.data_address.is_some() => {
            let mut request = request.clone();
            if let Some(address) = &mut request.data_address {
                address.properties.clear();
            }
            Cow::Owned(Message::TransferRequest(request))
        }
        other => Cow::Borrowed(other),
    }
}

/// The row that sends a signed document, after what was sent before it in the same lane.
#[must_use]
pub fn paper_row(peer: &str, lane: &str, paper: &Paper) -> NewEntry {
    let (name, of) = match paper {
        Paper::Agreement(id) => ("agreement", id.clone()),
        Paper::Receipt(name) => ("receipt", name.clone()),
        Paper::Containment(id) => ("containment", id.clone()),
        Paper::ContainmentAnswer(id, answer) => ("answer", format!("{id} {answer}")),
        Paper::Deletion(id) => ("deletion", id.clone()),
        Paper::Erasure(id) => ("erasure", id.clone()),
    };
    let texts = [("pid", lane), ("peer", peer), (name, of.as_str())];
    let what = texts.map(|(name, text)| Attribute::new(name, "text", text)).to_vec();
    local(Kind::Outbox, peer, what)
}

fn paper(entry: &Entry) -> Option<Paper> {
    let text = |name: &str| entry.get(name).map(str::to_owned);
    let answer = || {
        let (id, answer) = entry.get("answer")?.split_once(' ')?;
        Some(Paper::ContainmentAnswer(id.to_owned(), answer.to_owned()))
    };
    text("agreement")
        .map(Paper::Agreement)
        .or_else(|| text("receipt").map(Paper::Receipt))
        .or_else(|| text("containment").map(Paper::Containment))
        .or_else(|| text("deletion").map(Paper::Deletion))
        .or_else(|| text("erasure").map(Paper::Erasure))
        .or_else(answer)
}

/// That these outbox rows were delivered, and that this is all: their processes learn nothing else
/// by it.
#[must_use]
pub fn outbox_taken(peer: &str, numbers: &[u64]) -> NewEntry {
    let done = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    let datatype = if numbers.len() == 1 { "integer" } else { "text" };
    let what = vec![Attribute::new("done", datatype, done), Attribute::new("taken", "text", "1")];
    local(Kind::Outbox, peer, what)
}

/// That an outbox row was delivered or given up, and why; one that was not taken is kept aside as
/// long as its process may want it to be sent again.
#[must_use]
pub fn outbox_done(peer: &str, number: u64, parked: bool, why: Option<&str>) -> NewEntry {
    let mut what = vec![Attribute::new("done", "integer", number.to_string())];
    what.extend(why.map(|why| Attribute::new("why", "text", why)));
    if parked {
        what.push(Attribute::new("parked", "text", "1"));
    }
    local(Kind::Outbox, peer, what)
}

/// That an attempt at sending that outbox row has failed, why, and when the next one follows.
#[must_use]
pub(crate) fn outbox_attempt(
    peer: &str,
    number: u64,
    (attempt, why, after_ms): (u32, &str, u64),
) -> NewEntry {
    let what = vec![
        Attribute::new("of", "integer", number.to_string()),
        Attribute::new("attempt", "integer", attempt.to_string()),
        Attribute::new("why", "text", why),
        Attribute::new("after_ms", "integer", after_ms.to_string()),
    ];
    local(Kind::Outbox, peer, what)
}

/// That something else was sent in a process than its messages are, or is about to be again: what,
/// and what is to be said of it.
#[must_use]
pub(crate) fn outbox_noted(peer: &str, pid: &str, (name, why): (&str, &str)) -> NewEntry {
    let what = vec![
        Attribute::new("noted", "text", name),
        Attribute::new("pid", "text", pid),
        Attribute::new("why", "text", why),
    ];
    local(Kind::Outbox, peer, what)
}

/// A local record caused by that actor.
#[must_use]
pub fn local(kind: Kind, actor: &str, what: Vec<Attribute>) -> NewEntry {
    let who = Who::no_twin(kind, actor);
    NewEntry::of(LOCAL, Entry { who, when: When::default(), why: Why::default(), what })
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|_| unreadable())
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged protocol record cannot be read")
}

#[cfg(test)]
mod tests;
