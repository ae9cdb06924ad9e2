//! Negotiations, transfers, tokens and the outbox, as the log has them: local records, in no tree.

use serde_json::Value;
use std::collections::BTreeMap;
use twinpact_dsp::exchange::opening_key;
use twinpact_dsp::negotiation::Negotiation;
use twinpact_dsp::transfer::Transfer;
use twinpact_dsp::{Effect, Message, Outgoing};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime};
use twinpact_policy::TokenFacts;
use twinpact_store::forest::LOCAL;

use crate::partition::NewEntry;

/// A message that waits to be sent.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The process that it belongs to.
    pub pid: String,
    /// The partner.
    pub peer: String,
    /// The base address.
    pub to: String,
    /// The path below it.
    pub path: String,
    /// The message's `@id`.
    pub id: String,
    /// The message, unless it holds a token: then it is in memory only.
    pub message: Option<Message>,
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
    /// What access tokens were issued for, by the hex of their digest.
    pub tokens: BTreeMap<String, TokenFacts>,
    openings: BTreeMap<String, String>,
}

impl Processes {
    /// The process that this opening message opened already.
    #[must_use]
    pub fn opened(&self, from: &str, message: &Message) -> Option<&str> {
        self.openings.get(&opening_key(from, message)?).map(String::as_str)
    }

    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when a logged record cannot be read.
    pub fn apply(&mut self, entry: &Entry, number: u64) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::ProcessState => self.apply_state(entry),
            Kind::Outbox => self.apply_outbox(entry, number),
            Kind::Token => self.apply_token(entry),
            _ => Ok(()),
        }
    }

    fn apply_state(&mut self, entry: &Entry) -> Result<(), Problem> {
        let state = entry.get("state").ok_or_else(unreadable)?;
        match entry.get("process") {
            Some("negotiation") => {
                let next: Negotiation = read(state)?;
                self.negotiations.insert(next.party.own_pid.clone(), next);
            }
            Some("transfer") => {
                let next: Transfer = read(state)?;
                self.transfers.insert(next.party.own_pid.clone(), next);
            }
            _ => return Err(unreadable()),
        }
        if let (Some(key), Some(pid)) = (entry.get("opening"), entry.get("pid")) {
            self.openings.insert(key.to_owned(), pid.to_owned());
        }
        Ok(())
    }

    fn apply_outbox(&mut self, entry: &Entry, number: u64) -> Result<(), Problem> {
        if let Some(done) = entry.get("done") {
            let done: u64 = done.parse().map_err(|_| unreadable())?;
            self.outbox.remove(&done);
            return Ok(());
        }
        let text = |name: &str| entry.get(name).map(str::to_owned).ok_or_else(unreadable);
        let message = match entry.get("message") {
            Some(text) => Some(Message::parse(&read::<Value>(text)?).map_err(|_| unreadable())?),
            None => None,
        };
        let (pid, peer) = (text("pid")?, text("peer")?);
        let (to, path, id) = (text("to")?, text("path")?, text("id")?);
        let pending = Pending { pid, peer, to, path, id, message };
        self.outbox.insert(number, pending);
        Ok(())
    }

    fn apply_token(&mut self, entry: &Entry) -> Result<(), Problem> {
        let text = |name: &str| entry.get(name).map(str::to_owned).ok_or_else(unreadable);
        let facts = TokenFacts {
            agreement: text("agreement")?,
            transfer: text("transfer")?,
            view: text("view")?,
            spiffe_id: text("caller")?,
            epoch: text("epoch")?.parse().map_err(|_| unreadable())?,
            expires: WallTime(Timestamp::parse(&text("expires")?)?),
        };
        // The old one retires when a new one is issued for the same transfer.
        self.tokens.retain(|_, known| known.transfer != facts.transfer);
        self.tokens.insert(text("digest")?, facts);
        Ok(())
    }
}

/// The log entries of a step: the next state, and the messages that it sends.
///
/// # Errors
/// `internal` when a state cannot be written.
pub fn entries(
    process: &str,
    state: Value,
    (pid, peer): (&str, &str),
    opening: Option<String>,
    effects: &[Effect],
) -> Result<Vec<NewEntry>, Problem> {
    let mut what = vec![
        Attribute::new("process", "text", process),
        Attribute::new("pid", "text", pid),
        Attribute::new("state", "json", state.to_string()),
    ];
    what.extend(opening.map(|key| Attribute::new("opening", "text", key)));
    for (n, record) in effects.iter().filter_map(record).enumerate() {
        what.push(Attribute::new(format!("why.{n}"), "text", record));
    }
    let mut all = vec![local(Kind::ProcessState, peer, what)];
    for out in effects.iter().filter_map(sent) {
        all.push(outbox(pid, peer, out)?);
    }
    Ok(all)
}

fn record(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Record(record) => Some(format!("{}: {}", record.to, record.why)),
        _ => None,
    }
}

fn sent(effect: &Effect) -> Option<&Outgoing> {
    match effect {
        Effect::Send(out) => Some(out),
        _ => None,
    }
}

/// An outbox row. A start message may hold a token, which never enters the log: its row names the
/// message only.
fn outbox(pid: &str, peer: &str, out: &Outgoing) -> Result<NewEntry, Problem> {
    let mut what = vec![
        Attribute::new("pid", "text", pid),
        Attribute::new("peer", "text", peer),
        Attribute::new("to", "text", &out.to),
        Attribute::new("path", "text", &out.path),
        Attribute::new("id", "text", out.message.id().unwrap_or_default()),
    ];
    if !matches!(out.message, Message::TransferStart(_)) {
        let message = out.message.to_json();
        // What could not be read again must not be logged.
        Message::parse(&message).map_err(|_| unreadable())?;
        what.push(Attribute::new("message", "json", message.to_string()));
    }
    Ok(local(Kind::Outbox, peer, what))
}

/// That an outbox row was delivered or given up.
#[must_use]
pub fn outbox_done(peer: &str, number: u64) -> NewEntry {
    local(Kind::Outbox, peer, vec![Attribute::new("done", "integer", number.to_string())])
}

/// That a token was issued. Only its digest is kept.
#[must_use]
pub fn token(peer: &str, digest: &str, facts: &TokenFacts) -> NewEntry {
    let what = vec![
        Attribute::new("digest", "text", digest),
        Attribute::new("agreement", "text", &facts.agreement),
        Attribute::new("transfer", "text", &facts.transfer),
        Attribute::new("view", "text", &facts.view),
        Attribute::new("caller", "text", &facts.spiffe_id),
        Attribute::new("epoch", "integer", facts.epoch.to_string()),
        Attribute::new("expires", "text", facts.expires.0.to_string()),
    ];
    local(Kind::Token, peer, what)
}

/// A local record caused by that actor.
#[must_use]
pub fn local(kind: Kind, actor: &str, what: Vec<Attribute>) -> NewEntry {
    let who = Who { kind, twin: String::new(), twin_seq: 0, actor: actor.to_owned() };
    NewEntry::of(LOCAL, Entry { who, when: When::default(), why: Why::default(), what })
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|_| unreadable())
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged protocol record cannot be read")
}
