//! Negotiations, and what a person decides in them, in the admin API.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use twinpact_model::Timestamp;

/// A negotiation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegotiationLine {
    /// Our process id.
    pub pid: String,
    /// `provider` or `consumer`: which of the two we are.
    pub role: String,
    /// The other participant.
    pub partner: String,
    /// The dataset, as far as a message has named it.
    pub dataset: Option<String>,
    /// The `@id` of the offer.
    pub offer: String,
    /// The state, by its name in the protocol.
    pub state: String,
    /// Whose turn it is: `ours`, `peers` or `nobody`.
    pub turn: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Until when whoever has the turn may take; absent when it is over.
    pub until: Option<Timestamp>,
}

/// The answer to `GET /negotiations/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegotiationShown {
    /// What a list has of it.
    pub line: NegotiationLine,
    /// The other side's process id, once it is known.
    pub peer_pid: Option<String>,
    /// Who has to do what, in a sentence.
    pub waiting_for: String,
    /// What was asked for or offered last, in words.
    pub terms: String,
    /// The same as an ODRL policy; empty when the offer is named by its id alone.
    pub policy: Value,
    /// While an offer waits for our answer: what we had asked for, in words.
    pub asked: Option<String>,
    /// Why it waits for a person: what was asked for and what is offered, compared.
    pub differences: Vec<String>,
    /// The `@id` of the agreement, once there is one.
    pub agreement: Option<String>,
    /// How it ended, when it was terminated.
    pub ended: Option<EndedLine>,
    /// What may be decided now: some of `accept`, `counter`, `terminate`.
    pub choices: Vec<String>,
}

/// How a negotiation or transfer ended other than by success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedLine {
    /// By whom: `ours`, `peers`, or `nobody` for a deadline.
    pub by: String,
    /// The code that was given.
    pub code: Option<String>,
    /// The reasons that were given.
    pub reasons: Vec<String>,
}

/// `POST /negotiations/offers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferAsked {
    /// The partner that is to have it, by its id.
    pub partner: String,
    /// The dataset: the id of a view of ours.
    pub dataset: String,
    /// The terms, as an ODRL policy: those of the contract when they are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
}

/// `POST /negotiations/{id}/counter`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterAsked {
    /// The terms, as an ODRL policy. A provider may leave them out: then it offers its contract's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
}

/// `POST /negotiations/{id}/terminate`, `POST /transfers/{id}/terminate` and
/// `POST /transfers/{id}/suspend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminateAsked {
    /// Why; the other side is told.
    pub reason: String,
}

/// A transfer in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLine {
    /// Our process id.
    pub pid: String,
    /// `provider` or `consumer`: which of the two we are.
    pub role: String,
    /// The other participant.
    pub partner: String,
    /// The agreement it happens under, while we know it.
    pub agreement: Option<String>,
    /// The `@id` of that agreement.
    pub at_id: String,
    /// The format, for example `HttpData-PULL`.
    pub format: String,
    /// The state, by its name in the protocol.
    pub state: String,
    /// Whose turn it is: `ours`, `peers` or `nobody`.
    pub turn: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Until when, or when the other side is asked again; absent when it is over.
    pub until: Option<Timestamp>,
}

/// The answer to `GET /transfers/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferShown {
    /// What a list has of it.
    pub line: TransferLine,
    /// The other side's process id, once it is known.
    pub peer_pid: Option<String>,
    /// Who has to do what, in a sentence.
    pub waiting_for: String,
    /// Whether a person of ours has suspended it: then the node does not resume it by itself.
    pub by_hand: bool,
    /// How it ended, when it was terminated.
    pub ended: Option<EndedLine>,
    /// What may be decided now: some of `suspend`, `resume`, `complete`, `terminate`.
    pub choices: Vec<String>,
}

/// The answer to `GET /processes/{id}/why`: the story of a negotiation or transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyShown {
    /// Our process id.
    pub pid: String,
    /// `negotiation` or `transfer`.
    pub process: String,
    /// `provider` or `consumer`: which of the two we are.
    pub role: String,
    /// The other participant.
    pub partner: String,
    /// The state, by its name in the protocol.
    pub state: String,
    /// Whose turn it is: `ours`, `peers` or `nobody`.
    pub turn: String,
    /// Who has to do what, in a sentence.
    pub waiting_for: String,
    /// Until when.
    pub until: Option<Timestamp>,
    /// What has to happen before it goes on.
    pub missing: Vec<String>,
    /// How it ended, when it was terminated.
    pub ended: Option<EndedLine>,
    /// What has happened, the oldest first.
    pub steps: Vec<WhyStep>,
    /// How many older steps are forgotten.
    pub forgotten: u64,
}

/// A step of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyStep {
    /// When it was recorded.
    pub at: Timestamp,
    /// `state` (a message came, or we decided), `out`, `attempt`, `delivered`, `undelivered`, or
    /// `escalated` (it has waited for us for half of our time).
    pub what: String,
    /// The message by its name, and why.
    pub text: String,
}
