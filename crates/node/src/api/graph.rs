//! Walks over links across organisations in the admin API.

use serde::{Deserialize, Serialize};
use twinpact_model::{Did, Direction, Iri, Predicate, Timestamp};

/// The body of `POST /graph/walk`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkAsked {
    /// The twin at which it starts.
    pub twin: Iri,
    /// Whose that is; ours when it is left out.
    #[serde(default)]
    pub owner: Option<Did>,
    /// Only along links of these predicates; none for all.
    #[serde(default)]
    pub via: Vec<String>,
    /// Only the way that links lead, or only back; both ways when it is left out.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// Over so many links, one after another.
    #[serde(default)]
    pub depth: Option<usize>,
    /// The purpose that is asserted; the configured one when it is left out.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The place that is asserted; the configured one when it is left out.
    #[serde(default)]
    pub place: Option<String>,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walked {
    /// The links, by their distance from the start, then by their ends.
    pub edges: Vec<EdgeLine>,
    /// Where it did not go on, and why.
    pub ends: Vec<EndLine>,
    /// How many requests it took.
    pub requests: usize,
    /// The bound that cut it short: `twins`, `requests` or `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

/// A twin, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceLine {
    /// The owner; null when the contract does not show it.
    pub owner: Option<String>,
    /// The twin.
    pub twin: String,
}

/// A link that was walked over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeLine {
    /// The part, the dependent, the derived, the contained.
    pub from: PlaceLine,
    /// What it is to the other.
    pub predicate: Predicate,
    /// The other.
    pub to: PlaceLine,
    /// After how many links from the start it was met.
    pub depth: usize,
    /// `own` (both ends are of one owner), `confirmed` (both owners were heard) or `one-sided`.
    pub status: String,
    /// Who says so.
    pub said: Vec<SaidLine>,
}

/// That an owner says that a link stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidLine {
    /// The owner.
    pub by: String,
    /// When it recorded the link.
    pub recorded: Timestamp,
    /// Our event, when we say it: `twinpact proof export EVENT` proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// The receipt of the delivery, when a partner says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The level of that receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// A twin from which a walk did not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndLine {
    /// The twin.
    pub at: PlaceLine,
    /// The code of the reason.
    pub code: String,
    /// The reason, the partner's own if it gave one.
    pub reason: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
