//! What a node knows of how well its exchange does, in the admin API. What there is nothing to
//! compute from is null, never zero. Data times are of the policy clocks, in whole seconds.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use twinpact_model::Timestamp;

/// The answer to `GET /kpis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kpis {
    /// When it was asked for, by our policy clock.
    pub at: Timestamp,
    /// Whether that clock is driven.
    pub driven: bool,
    /// The incidents that we opened or were asked about, the latest first.
    pub incidents: Vec<IncidentKpi>,
    /// Over all deliveries in which we had a part; null when none was promised to be fresh.
    pub freshness: Option<FreshnessKpi>,
    /// What never left us; null when nothing that we recorded is shown under an agreement.
    pub values: Option<ValuesKpi>,
    /// What we asked for of others, and used; null when nothing was delivered to us.
    pub bytes: Option<BytesKpi>,
    /// How long it took just now to export our newest decision and to verify it, in milliseconds
    /// of the wall clock; null when there is none, or nothing can be proven.
    pub reconstruct_ms: Option<f64>,
    /// That decision.
    pub reconstructed: Option<String>,
    /// Decisions that requests met, those of our own reads among them.
    pub decisions: OutcomesKpi,
    /// What we delivered.
    pub given: FlowKpi,
    /// What was delivered to us.
    pub received: FlowKpi,
    /// Of how many deliveries the copies are gone.
    pub deleted: DeletedKpi,
    /// The same of each agreement.
    pub agreements: Vec<AgreementKpi>,
}

/// How long it took in an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentKpi {
    /// Its name, the same at all who have to do with it.
    pub incident: String,
    /// What it is called; null when a partner has opened it.
    pub name: Option<String>,
    /// Whether we opened it: `asker`, else `asked`.
    pub role: String,
    /// The twin at which it was seen.
    pub twin: Option<String>,
    /// When it began, by what the owner of that twin knows.
    pub began: Option<Timestamp>,
    /// The time of the first loss of it that was shown.
    pub first: Option<Timestamp>,
    /// The time of the row by which it was found, which may have been shown later.
    pub found: Option<Timestamp>,
    /// When somebody knew: when its owner was asked, by the policy clock of who asked.
    pub opened: Option<Timestamp>,
    /// From when it began until it was opened.
    pub detect_since_began_s: Option<i64>,
    /// From the first loss that was shown until it was opened.
    pub detect_since_visible_s: Option<i64>,
    /// The difference: how long there were losses of which none was shown.
    pub price_of_policy_s: Option<i64>,
    /// From when it was opened until the last of its containments that we know was confirmed; null
    /// while one is not.
    pub contain_s: Option<i64>,
    /// Whether a program gave one of these answers; null while one is missing.
    pub automatic: Option<bool>,
    /// Whether a time of it is of a driven clock.
    pub driven: bool,
    /// Each of its containments that we know.
    pub containments: Vec<ContainKpi>,
}

/// How long a containment took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainKpi {
    /// Its fingerprint.
    pub id: String,
    /// Who was asked.
    pub asked_of: String,
    /// When, by the policy clock of who asked.
    pub opened: Timestamp,
    /// When it was confirmed, by the policy clock of who was asked.
    pub confirmed: Option<Timestamp>,
    /// From the one to the other.
    pub contain_s: Option<i64>,
    /// Whether a program confirmed it, and nobody looked.
    pub automatic: Option<bool>,
}

/// How often a delivery was as fresh as promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FreshnessKpi {
    /// Deliveries whose newest row was not older than promised, as a share of `of`.
    pub attained: f64,
    /// How many these were.
    pub within: u64,
    /// Deliveries with rows under a contract that promises freshness.
    pub of: u64,
}

/// How much of what was recorded has left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValuesKpi {
    /// Values that we recorded of the twins that are shown under an agreement.
    pub recorded: u64,
    /// Values that were delivered; one that was delivered twice counts twice.
    pub delivered: u64,
    /// The share that never left, or more.
    pub share_kept: f64,
}

/// Bytes of rows that were delivered to us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BytesKpi {
    /// All of them.
    pub asked: u64,
    /// Those of the deliveries that were read for a purpose at least once.
    pub used: u64,
    /// The second as a share of the first; null of no bytes.
    pub share_used: Option<f64>,
    /// How many deliveries were read.
    pub deliveries_used: u64,
}

/// Decisions by how they went.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomesKpi {
    /// How often a request, or the next part of a stream, was permitted.
    pub permit: u64,
    /// How often one was refused.
    pub deny: u64,
    /// The refusals by their code.
    pub by_code: BTreeMap<String, u64>,
}

/// Deliveries in one direction.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowKpi {
    /// How many.
    pub deliveries: u64,
    /// Their rows.
    pub rows: u64,
    /// The bytes of their rows.
    pub bytes: u64,
}

/// Deliveries whose copies are deleted, as a signed deletion receipt says.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedKpi {
    /// Of ours, as those say that have come.
    pub given: u64,
    /// Of those to us, as we have signed.
    pub received: u64,
}

/// One agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgreementKpi {
    /// Its identity.
    pub agreement: String,
    /// Our role.
    pub role: String,
    /// The other side.
    pub partner: String,
    /// The view.
    pub view: String,
    /// What was delivered under it, in the one direction that it has.
    pub flow: FlowKpi,
    /// Decisions that requests under it met: the partner's, or our own reads.
    pub decisions: OutcomesKpi,
    /// How fresh it was.
    pub freshness: Option<FreshnessKpi>,
    /// As provider: what of our values never left under it.
    pub values: Option<ValuesKpi>,
    /// As consumer: what of it we used.
    pub bytes: Option<BytesKpi>,
}
