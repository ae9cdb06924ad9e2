//! Either machine, a negotiation or a transfer, in one form.

use crate::samples::{address, agreement, offer};
use serde::{Deserialize, Serialize};
use twinpact_dsp::exchange::{Ended, Expect, Outgoing, Party, Role};
use twinpact_dsp::message::{Agreement, ContractAgreement, DataAddress, Message};
use twinpact_dsp::negotiation::{self, Negotiation};
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Effect, Rejected, Whose};
use twinpact_model::WallTime;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Machine {
    Negotiation(Box<Negotiation>),
    Transfer(Box<Transfer>),
}

/// What either machine is told, in one form for both.
pub(super) enum Told<'a> {
    Received(&'a Message),
    Decide(usize),
    Delivered(&'a str, Option<&'a Message>),
    Undelivered(&'a str),
    Status(&'a Message),
    Deadline,
}

fn end() -> (String, String) {
    ("x".to_owned(), "why".to_owned())
}

fn negotiation_decision(n: usize) -> negotiation::Decision {
    use negotiation::Decision as D;
    let (code, reason) = end();
    match n % 8 {
        0 => D::Offer(offer()),
        1 => D::Agree(agreement()),
        2 => D::Accept,
        3 => D::Verify,
        4 => D::Finalize,
        5 => D::Counter(offer()),
        // Rarer than the rest, so that some negotiations get far.
        6 => D::Terminate { code, reason },
        _ => D::Finalize,
    }
}

fn transfer_decision(n: usize, role: Role) -> transfer::Decision {
    use transfer::Decision as D;
    let (code, reason) = end();
    let data_address = secret(role, 0);
    match n % 8 {
        0 | 1 => D::Start { data_address },
        2 | 3 => D::Suspend { code, reason },
        4 => D::Complete,
        5 => D::Terminate { code, reason },
        _ => D::Start { data_address },
    }
}

/// What no log may hold.
pub(super) const SECRET: &str = "SECRET";

/// Where to pull from with the token of that life; only a provider says so.
pub(super) fn secret(role: Role, life: usize) -> Option<DataAddress> {
    let mut address = address();
    address.properties[0].1 = format!("{SECRET}-{life}");
    (role == Role::Provider).then_some(address)
}

impl Machine {
    pub(super) fn step(
        &self,
        from: &str,
        told: &Told<'_>,
        now: WallTime,
    ) -> Result<(Machine, Vec<Effect>), Rejected> {
        match self {
            Machine::Negotiation(state) => {
                use negotiation::Input as I;
                let input = match told {
                    Told::Received(message) => I::Received { from, message },
                    Told::Decide(n) => I::Decide(negotiation_decision(*n)),
                    Told::Delivered(id, answer) => I::Delivered { id, answer: *answer },
                    Told::Undelivered(id) => I::Undelivered { id, reason: "refused" },
                    Told::Status(message) => I::Status(message),
                    Told::Deadline => I::Deadline,
                };
                negotiation::step(state, input, now)
                    .map(|step| (Machine::Negotiation(Box::new(step.next)), step.effects))
            }
            Machine::Transfer(state) => {
                use transfer::Input as I;
                let input = match told {
                    Told::Received(message) => I::Received { from, message },
                    Told::Decide(n) => I::Decide(transfer_decision(*n, state.party.role)),
                    Told::Delivered(id, answer) => I::Delivered { id, answer: *answer },
                    Told::Undelivered(id) => I::Undelivered { id, reason: "refused" },
                    Told::Status(message) => I::Status(message),
                    Told::Deadline => I::Deadline,
                };
                transfer::step(state, input, now)
                    .map(|step| (Machine::Transfer(Box::new(step.next)), step.effects))
            }
        }
    }

    pub(super) fn open(
        from: &str,
        message: &Message,
        pid: &str,
        now: WallTime,
    ) -> Option<(Machine, Vec<Effect>)> {
        match message {
            Message::ContractRequest(m) => negotiation::open_as_provider(from, m, pid, now)
                .ok()
                .map(|s| (Machine::Negotiation(Box::new(s.next)), s.effects)),
            Message::TransferRequest(m) => transfer::open_as_provider(from, m, pid, now)
                .ok()
                .map(|s| (Machine::Transfer(Box::new(s.next)), s.effects)),
            _ => None,
        }
    }

    pub(super) fn status(&self) -> Message {
        match self {
            Machine::Negotiation(it) => it.status(),
            Machine::Transfer(it) => it.status(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Machine::Negotiation(it) => it.state.name(),
            Machine::Transfer(it) => it.state.name(),
        }
    }

    pub(super) fn is_final(&self) -> bool {
        match self {
            Machine::Negotiation(it) => it.state.is_final(),
            Machine::Transfer(it) => it.state.is_final(),
        }
    }

    pub(super) fn turn(&self) -> Whose {
        match self {
            Machine::Negotiation(it) => it.turn(),
            Machine::Transfer(it) => it.turn(),
        }
    }

    pub(super) fn waiting_for(&self) -> String {
        match self {
            Machine::Negotiation(it) => it.waiting_for(),
            Machine::Transfer(it) => it.waiting_for(),
        }
    }

    /// Complete, but the other side could not be asked for so long that we have stopped.
    pub(super) fn is_unconfirmed(&self) -> bool {
        match self {
            Machine::Negotiation(_) => false,
            Machine::Transfer(it) => {
                it.state == transfer::State::Completed
                    && !it.is_confirmed()
                    && it.deadline.is_none()
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<WallTime> {
        match self {
            Machine::Negotiation(it) => it.deadline,
            Machine::Transfer(it) => it.deadline,
        }
    }

    pub(super) fn party(&self) -> &Party {
        match self {
            Machine::Negotiation(it) => &it.party,
            Machine::Transfer(it) => &it.party,
        }
    }

    pub(super) fn unacknowledged(&self) -> Option<&str> {
        let post = match self {
            Machine::Negotiation(it) => &it.post,
            Machine::Transfer(it) => &it.post,
        };
        post.unacknowledged.as_deref()
    }

    /// Why it ended other than by success.
    pub(super) fn ended(&self) -> Option<&Ended> {
        match self {
            Machine::Negotiation(it) => it.ended.as_ref(),
            Machine::Transfer(it) => it.ended.as_ref(),
        }
    }

    /// The id of the agreement that it ended with.
    pub(super) fn concluded(&self) -> Option<&str> {
        match self {
            Machine::Negotiation(it) if it.state == negotiation::State::Finalized => {
                it.agreement.as_ref().map(|agreement| agreement.id.as_str())
            }
            _ => None,
        }
    }

    /// The decision that brings it closer to a good end, when it is ours.
    pub(super) fn onward(&self) -> Option<usize> {
        let provides = self.party().role == Role::Provider;
        match (self, self.name()) {
            (Machine::Negotiation(_), "REQUESTED" | "ACCEPTED") if provides => Some(1),
            (Machine::Negotiation(_), "VERIFIED") if provides => Some(4),
            (Machine::Negotiation(_), "OFFERED") if !provides => Some(2),
            (Machine::Negotiation(_), "AGREED") if !provides => Some(3),
            (Machine::Transfer(_), "REQUESTED") if provides => Some(0),
            (Machine::Transfer(_), "SUSPENDED") => Some(0),
            (Machine::Transfer(_), "STARTED") => Some(4),
            _ => None,
        }
    }

    /// The agreement drawn up once more, under another id: what an EDC does that lost its own step
    /// when it refused our verification as too early. No machine of ours does it.
    pub(super) fn redraw(&self) -> Option<(Machine, Vec<Effect>)> {
        let Machine::Negotiation(it) = self else { return None };
        let (Role::Provider, negotiation::State::Agreed) = (it.party.role, it.state) else {
            return None;
        };
        let mut next = it.clone();
        next.post.sent += 1;
        let id = format!("{}#{}", it.party.own_pid, next.post.sent);
        next.post.unacknowledged = Some(id.clone());
        let agreement = Agreement { id: format!("urn:uuid:a-{}", next.post.sent), ..agreement() };
        next.agreement = Some(agreement.clone());
        let (id, pids) = (Some(id), it.party.pids());
        let message = Message::ContractAgreement(ContractAgreement { id, pids, agreement });
        let (to, path) = (it.party.address.clone(), "/negotiations/agreement".to_owned());
        let sent = Outgoing { to, path, message, expect: Expect::Nothing };
        Some((Machine::Negotiation(next), vec![Effect::Send(Box::new(sent))]))
    }
}
