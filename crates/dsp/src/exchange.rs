//! What both machines share: roles, turns, inputs, and what a step asks its caller to do.
//!
//! A step changes nothing by itself. The caller writes the next state and the effects in one frame
//! and only then answers; the outbox sends, in order within one process, and tells the machine how
//! it went. A message is therefore never sent before the state it belongs to is durable, and we
//! never have to answer "too early".

use crate::message::{Message, Pids};
use crate::rejected::Rejected;
use crate::{fingerprint, message, route, terms};
use serde::{Deserialize, Serialize};
use twinpact_model::{WallTime, codes};

/// How long we wait for the other side before we ask it where it stands, in seconds.
pub const PEER_PATIENCE_S: i64 = 86_400;
/// How long a decision of our own may take, in seconds.
pub const OWN_PATIENCE_S: i64 = 7 * 86_400;
/// A deadline of the other side that is further ahead, in seconds, was set by a clock that was also
/// ahead of the present one. It would hold for as long as that, so the other side is asked at once.
pub const FAR_S: i64 = 2 * PEER_PATIENCE_S;

/// Why the other side is asked then.
pub(crate) const CLOCK_SET: &str = "the clock was ahead when the deadline was set";

/// Whether a deadline is further ahead than any that is set now.
#[must_use]
pub fn is_far(deadline: WallTime, now: WallTime) -> bool {
    now.0.plus_seconds(FAR_S) < deadline.0
}
/// How often we ask, or are told that our message is not taken, before we give up.
pub const MAX_DOUBTS: u8 = 3;
/// How often who is bound to a process is told that there is none, a day apart, before it gives up.
pub const MAX_DENIALS: u8 = 3;
/// How many reasons of an end are kept, and how long each, in characters.
const MAX_KEPT_REASONS: usize = 4;
const MAX_KEPT_CHARS: usize = 1_000;
/// The most messages one process takes; a termination is always taken.
pub const MAX_RECEIVED: usize = 64;

/// The side that a process is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Has the data.
    Provider,
    /// Wants it.
    Consumer,
}

impl Role {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Role {
        match self {
            Role::Provider => Role::Consumer,
            Role::Consumer => Role::Provider,
        }
    }

    /// `provider` or `consumer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Provider => "provider",
            Role::Consumer => "consumer",
        }
    }
}

/// Who has to act next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// We do.
    Ours,
    /// The other side does.
    Peers,
    /// Nobody: it is over, or nothing is due.
    Nobody,
}

/// What a step of either machine is taken on; `D` is a decision of ours.
#[derive(Debug, Clone)]
pub enum Input<'a, D> {
    /// A message came from this authenticated participant.
    Received {
        /// Who sent it.
        from: &'a str,
        /// The message.
        message: &'a Message,
    },
    /// We decided.
    Decide(D),
    /// The message of this `@id` arrived; the answer's body, when it held a message.
    Delivered {
        /// The message's `@id`.
        id: &'a str,
        /// The body of the answer.
        answer: Option<&'a Message>,
    },
    /// The message of this `@id` is not taken, or cannot be delivered; with an empty id: the other
    /// side did not say where it stands.
    Undelivered {
        /// The message's `@id`, or nothing.
        id: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The same, and the other side says that it knows no such process.
    Unknown {
        /// The message's `@id`, or nothing.
        id: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The other side is no partner any more: nobody may be asked or told.
    Gone {
        /// Why.
        reason: &'a str,
    },
    /// The other side says where it stands.
    Status(&'a Message),
    /// The deadline has come.
    Deadline,
}

/// The next state and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<S> {
    /// The next state.
    pub next: S,
    /// What to do once it is written.
    pub effects: Vec<Effect>,
}

impl<S: Clone> Step<S> {
    /// Nothing happens.
    pub(crate) fn unchanged(state: &S) -> Self {
        Step { next: state.clone(), effects: Vec::new() }
    }
}

/// What the caller has to do after it wrote the next state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Put into the outbox.
    Send(Box<Outgoing>),
    /// Send once more what the outbox holds under this `@id`. The state keeps no message: one may
    /// hold a token, and tokens are not logged.
    Resend {
        /// The message's `@id`.
        id: String,
    },
    /// Ask the other side where it stands: GET `to` + `path`, and give the answer to the machine
    /// as `Input::Status`, or its failure as `Input::Undelivered` with an empty id.
    Ask {
        /// The base address.
        to: String,
        /// The path below it.
        path: String,
    },
    /// Come back with `Input::Deadline` at this time, unless the state has another one by then.
    Schedule {
        /// The time.
        deadline: WallTime,
    },
    /// Write into the audit log.
    Record(Record),
}

/// A move on record, and when to come back.
pub(crate) fn moved(record: Record, deadline: Option<WallTime>) -> Vec<Effect> {
    let mut effects = vec![Effect::Record(record)];
    effects.extend(deadline.map(|deadline| Effect::Schedule { deadline }));
    effects
}

/// A message to send. A `TransferStartMessage` may hold an access token: whoever keeps it keeps it
/// out of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The base address.
    pub to: String,
    /// The path below it, its identifiers percent-encoded.
    pub path: String,
    /// The message; its `@id` names it in what the machine is told about its delivery.
    pub message: Message,
    /// What a success is answered with.
    pub expect: Expect,
}

/// What a success is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// 200 or 201 with the state of the new process, which names the other side's process id.
    Process,
    /// 200; a body means nothing.
    Nothing,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The state before; absent when the process opens.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// Who caused it; `Nobody` for a deadline.
    pub by: Whose,
    /// What happened, in a few words.
    pub why: String,
}

/// What has been sent and received in one process: enough to tell a repeat from a new message, and
/// to know whether the other side has our last one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Post {
    /// The content of the opening message, when it was theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<String>,
    /// The messages that were taken, each by a digest, and some by one of what they say as well; at
    /// most [`MAX_RECEIVED`] messages and a termination.
    pub received: Vec<String>,
    /// How many messages we have sent; it numbers them.
    pub sent: u32,
    /// The `@id` of our last message, as long as we do not know that it has arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unacknowledged: Option<String>,
    /// How often the other side was asked where it stands since it last moved.
    pub doubts: u8,
    /// How often it said that it knows no such process since it last moved. Counted for who is
    /// bound, and gives up for no other reason.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub denials: u8,
}

/// Before the digest of what a message says.
const SAID: &str = "said:";

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl Post {
    /// The `@id` of the next message of the process with this pid of ours.
    pub(crate) fn number(&mut self, own_pid: &str) -> String {
        self.sent = self.sent.saturating_add(1);
        let id = format!("{own_pid}#{}", self.sent);
        self.unacknowledged = Some(id.clone());
        id
    }

    /// Whether this message was taken before. One without an `@id` is known by what it says, and
    /// that may be said twice: it is another message when it `follows` from where we are, and is
    /// not the last that they have said, or we were heard since. (No message follows from where it
    /// leads: that it does shows that we have moved.)
    pub(crate) fn is_repeat(&self, message: &Message, follows: bool) -> bool {
        let digest = fingerprint::of(message);
        if !self.received.contains(&digest) {
            return false;
        }
        let last = self.received.iter().rev().find(|one| !one.starts_with(SAID));
        let unheard = self.unacknowledged.is_some();
        message.id().is_some() || !follows || (last == Some(&digest) && unheard)
    }

    /// Takes a message. That it came shows that ours arrived, or no longer matters.
    pub(crate) fn take(&mut self, message: &Message) {
        self.received.push(fingerprint::of(message));
        self.settle();
    }

    /// Remembers what a message says, besides that it was taken: it may come again under another
    /// `@id` when that fits no state any more.
    pub(crate) fn remember(&mut self, message: &Message) {
        self.received.push(format!("{SAID}{}", fingerprint::of_content(message)));
    }

    /// Whether a message that says this was remembered.
    pub(crate) fn remembers(&self, message: &Message) -> bool {
        let said = fingerprint::of_content(message);
        // Older logs have no word before it; what is known by its content was said as well.
        self.received.iter().any(|one| one.strip_prefix(SAID).unwrap_or(one) == said)
    }

    /// How many messages were taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.received.iter().filter(|digest| !digest.starts_with(SAID)).count()
    }

    /// Remembers the message that opened the process.
    pub(crate) fn open(&mut self, message: &Message) {
        self.opening = Some(fingerprint::of_content(message));
        self.take(message);
    }

    /// Checks an opening message against the one that opened this process.
    pub(crate) fn reopen(&self, message: &Message) -> Result<(), Rejected> {
        if self.opening.as_deref() == Some(&fingerprint::of_content(message)) {
            Ok(())
        } else {
            Err(Rejected::conflict("another process has this process id"))
        }
    }

    /// Our last message has arrived, and the other side is alive.
    pub(crate) fn settle(&mut self) {
        self.unacknowledged = None;
        self.doubts = 0;
        self.denials = 0;
    }

    /// Whether no further message is taken, terminations aside.
    pub(crate) fn is_full(&self) -> bool {
        self.taken() >= MAX_RECEIVED
    }
}

/// How a process ended other than by success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who ended it; `Nobody` for a deadline.
    pub by: Whose,
    /// The code that was given.
    pub code: Option<String>,
    /// The reasons that were given.
    pub reason: Vec<String>,
}

impl Ended {
    /// By us, since the other side is no partner any more.
    pub(crate) fn gone(reason: &str) -> Ended {
        let (code, reason) = (codes::POLICY_REVOKED.name.to_owned(), vec![reason.to_owned()]);
        Ended { by: Whose::Ours, code: Some(code), reason }
    }

    /// By the other side, in its words; of many words the first are kept.
    pub(crate) fn by_peer(code: Option<&String>, reasons: &[String]) -> Ended {
        let cut = |text: &String, most: usize| text.chars().take(most).collect::<String>();
        let reason =
            reasons.iter().take(MAX_KEPT_REASONS).map(|text| cut(text, MAX_KEPT_CHARS)).collect();
        Ended { by: Whose::Peers, code: code.map(|code| cut(code, MAX_KEPT_CHARS)), reason }
    }
}

/// Who is on the other side, and under which ids the process is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Our role.
    pub role: Role,
    /// Our process id.
    pub own_pid: String,
    /// Theirs; unknown until their first answer or message.
    pub peer_pid: Option<String>,
    /// Their participant id, as it was authenticated.
    pub peer: String,
    /// Their base address, without a trailing slash.
    pub address: String,
}

impl Party {
    /// A party before its first message.
    ///
    /// # Errors
    /// `dsp.malformed` when an id or the address is none.
    pub fn new(role: Role, own_pid: &str, peer: &str, address: &str) -> Result<Self, Rejected> {
        for (id, name) in [(own_pid, "our process id"), (peer, "the participant id")] {
            if !terms::is_id(id) {
                return Err(Rejected::malformed(format!("{name} is not an identifier")));
            }
        }
        Ok(Party {
            role,
            own_pid: own_pid.to_owned(),
            peer_pid: None,
            peer: peer.to_owned(),
            address: message::address(address, "the address")?,
        })
    }

    /// Both process ids; the other one is empty as long as it is unknown.
    #[must_use]
    pub fn pids(&self) -> Pids {
        let peer = self.peer_pid.clone().unwrap_or_default();
        match self.role {
            Role::Provider => Pids { provider: self.own_pid.clone(), consumer: peer },
            Role::Consumer => Pids { provider: peer, consumer: self.own_pid.clone() },
        }
    }

    /// Checks who sent the message and which process it names, and learns their process id from the
    /// first message: it can overtake the answer to our own.
    pub(crate) fn admit(&mut self, from: &str, message: &Message) -> Result<(), Rejected> {
        let (provider, consumer) = message.pids();
        let (own, peer) = match self.role {
            Role::Provider => (provider, consumer),
            Role::Consumer => (consumer, provider),
        };
        let same = |known: &str, named: Option<&str>| named.is_some_and(|named| named == known);
        if from != self.peer || !same(&self.own_pid, own) {
            return Err(Rejected::unknown());
        }
        match (&self.peer_pid, peer) {
            (Some(known), named) if !same(known, named) => Err(Rejected::unknown()),
            (Some(_), _) => Ok(()),
            (None, Some(named)) => {
                self.peer_pid = Some(named.to_owned());
                Ok(())
            }
            (None, None) => Err(Rejected::unknown()),
        }
    }

    /// Takes the process ids of a status that answers us; the sender is known by the connection. An
    /// empty id is one that they do not know.
    pub(crate) fn learn(&mut self, answer: &Pids) -> Result<(), Rejected> {
        let (own, peer) = match self.role {
            Role::Provider => (&answer.provider, &answer.consumer),
            Role::Consumer => (&answer.consumer, &answer.provider),
        };
        let other = self.peer_pid.as_ref().is_some_and(|known| known != peer && !peer.is_empty());
        if *own != self.own_pid || other {
            return Err(Rejected::conflict("the answer is about another process"));
        }
        if self.peer_pid.is_none() && !peer.is_empty() {
            self.peer_pid = Some(peer.clone());
        }
        Ok(())
    }
}

/// Whether all that it means that the message of this `@id` arrived is that it arrived: it is our
/// last one, and the process of the other side is known.
pub(crate) fn is_acknowledged(party: &Party, post: &Post, id: &str) -> bool {
    party.peer_pid.is_some() && post.unacknowledged.as_deref() == Some(id)
}

/// Asks the other side where the process below this path stands; when its process id is unknown, by
/// sending our opening message again.
pub(crate) fn asking(
    (party, post): (&Party, &Post),
    (below, state): (&str, &str),
    reason: &str,
    deadline: Option<WallTime>,
) -> Vec<Effect> {
    let (name, why) = (state.to_owned(), format!("{reason}; we ask where they stand"));
    let record = Record { from: Some(name.clone()), to: name, by: Whose::Nobody, why };
    let mut effects = moved(record, deadline);
    let ask = match (&party.peer_pid, &post.unacknowledged) {
        (Some(pid), _) => {
            let path = format!("{below}/{}", route::segment(pid));
            Some(Effect::Ask { to: party.address.clone(), path })
        }
        (None, Some(id)) => Some(Effect::Resend { id: id.clone() }),
        (None, None) => None,
    };
    effects.splice(1..1, ask);
    effects
}

/// Which opening message this is, as a key over all processes of one kind: the caller looks it up
/// before it opens a new process, and lets an existing one answer a repeat. `None` for a message
/// that opens nothing.
#[must_use]
pub fn opening_key(from: &str, message: &Message) -> Option<String> {
    let (kind, pid) = match message {
        Message::ContractRequest(m) if m.thread.pid().is_none() => ("request", &m.consumer_pid),
        Message::ContractOffer(m) if m.thread.pid().is_none() => ("offer", &m.provider_pid),
        Message::TransferRequest(m) => ("transfer", &m.consumer_pid),
        _ => return None,
    };
    Some(serde_json::json!([kind, from, pid]).to_string())
}
