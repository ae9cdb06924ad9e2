//! What comes again in a negotiation: messages under another `@id`, an agreement that is drawn up
//! anew, and late copies of the one whose place it has taken.

use super::{Decision, Negotiation, State, outgoing};
use crate::exchange::{Effect, Role};
use crate::message::{Agreement, ContractAgreement, Event, Message};

/// Whether a message says nothing but what its sender has said before: each of these is said once
/// in a negotiation. Some connectors draw a new `@id` when they send one again, and take a refusal
/// for the end of all.
pub(super) fn is_known(known: &Negotiation, message: &Message) -> bool {
    match (known.party.role, known.state, message) {
        (
            Role::Consumer,
            State::Agreed | State::Verified | State::Finalized,
            Message::ContractAgreement(sent),
        ) => known.agreement.as_ref() == Some(&sent.agreement),
        (Role::Provider, State::Verified | State::Finalized, Message::AgreementVerification(_)) => {
            true
        }
        (Role::Consumer, State::Finalized, Message::NegotiationEvent(e)) => {
            e.event == Event::Finalized
        }
        // Who says the same again before there is an agreement says it twice, which the official
        // kit wants refused.
        (_, State::Requested | State::Offered | State::Accepted | State::Terminated, _) => false,
        _ => may_come_late(known, message) && known.post.remembers(message),
    }
}

/// Whether this may come once more when we have gone on from it: an offer or a request that was
/// answered, an acceptance.
pub(super) fn may_come_late(known: &Negotiation, message: &Message) -> bool {
    match (known.party.role, message) {
        (Role::Provider, Message::ContractRequest(_))
        | (Role::Consumer, Message::ContractOffer(_)) => true,
        (Role::Provider, Message::NegotiationEvent(e)) => e.event == Event::Accepted,
        _ => false,
    }
}

/// Whether the agreement that we have comes again under an id or of a time that are new, and is the
/// same otherwise. A connector that loses its own step when it refuses a message of ours that came
/// too early draws the agreement up once more, and knows it by the new id alone from then on.
pub(super) fn is_drawn_anew(known: &Negotiation, message: &Message) -> bool {
    let (Role::Consumer, State::Agreed | State::Verified) = (known.party.role, known.state) else {
        return false;
    };
    let (Some(ours), Message::ContractAgreement(sent)) = (&known.agreement, message) else {
        return false;
    };
    let (id, timestamp) = (sent.agreement.id.clone(), sent.agreement.timestamp.clone());
    *ours != sent.agreement && Agreement { id, timestamp, ..ours.clone() } == sent.agreement
}

/// Whether another agreement has taken the place of this one: a late copy must not undo that.
pub(super) fn is_displaced(known: &Negotiation, message: &Message) -> bool {
    // The first one has nothing to take the place of, and most come once.
    known.agreement.is_some()
        && matches!(message, Message::ContractAgreement(_))
        && known.post.remembers(message)
}

/// Remembers the agreement that another one takes the place of. Where the first was verified, so is
/// the other: by the verification that is on its way still, else by one more.
pub(super) fn displace(state: &Negotiation, next: &mut Negotiation) -> Option<Effect> {
    if let Some(agreement) = state.agreement.clone() {
        let (id, pids) = (None, next.party.pids());
        let first = ContractAgreement { id, pids, agreement };
        next.post.remember(&Message::ContractAgreement(first));
    }
    if state.state != State::Verified {
        return None;
    }
    // What came says nothing of our last message.
    next.post.unacknowledged.clone_from(&state.post.unacknowledged);
    match next.post.unacknowledged.clone() {
        Some(id) => {
            next.in_doubt = true;
            Some(Effect::Resend { id })
        }
        None => verification(next),
    }
}

/// The verification of the agreement that we have.
pub(super) fn verification(next: &mut Negotiation) -> Option<Effect> {
    let peer_pid = next.party.peer_pid.clone()?;
    let id = Some(next.post.number(&next.party.own_pid));
    Some(Effect::Send(Box::new(outgoing(&next.party, &peer_pid, id, Decision::Verify))))
}
