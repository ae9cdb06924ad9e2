//! Our log, its witnesses, and what was seen of partners' logs, in the admin API.

use serde::{Deserialize, Serialize};
use twinpact_model::Timestamp;

/// The answer to `GET /log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogShown {
    /// Counts what became durable since the start; `GET /log?after=` waits until it is more.
    pub frames: u64,
    /// Our own log.
    pub own: CheckpointLine,
    /// When its last tick was.
    pub ticked: Option<Timestamp>,
    /// The name and verifier key under which we cosign the logs of others.
    pub witness_key: String,
    /// Our witnesses.
    pub witnesses: Vec<WitnessLine>,
    /// What was seen of the logs of partners.
    pub partners: Vec<SeenLine>,
    /// Logs of partners that have shown two histories, or may have.
    pub alerts: Vec<AlertLine>,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointLine {
    /// The log.
    pub origin: String,
    /// How many anchor leaves it has.
    pub size: u64,
    /// The hex of the root over them.
    pub root: String,
}

/// A witness of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessLine {
    /// A partner's DID, or the name of the key of a witness of the world.
    pub witness: String,
    /// The name of its key, once it is known.
    pub key: Option<String>,
    /// The size that it has cosigned last.
    pub size: u64,
    /// When, by its own clock.
    pub cosigned: Option<Timestamp>,
    /// How many ticks it has not cosigned.
    pub lag_ticks: u64,
    /// For how long the first of them has waited, in seconds.
    pub lag_seconds: i64,
    /// The code of what its last answer was instead of a cosignature.
    pub failed: Option<String>,
}

/// What was seen of a partner's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenLine {
    /// The partner.
    pub partner: String,
    /// The last checkpoint that stood under a delivery.
    pub pinned: Option<CheckpointLine>,
    /// The last one that we have cosigned.
    pub cosigned: Option<CheckpointLine>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLine {
    /// Its name: of evidence the digest of its file.
    pub id: String,
    /// Whose log it is.
    pub partner: String,
    /// The log.
    pub origin: String,
    /// `proven`, `unproven` or `settled`.
    pub grade: String,
    /// The sizes of the two checkpoints.
    pub sizes: [u64; 2],
    /// Where the second was seen: `delivery`, `gossip` or `witness`.
    pub source: String,
    /// When we learned of it.
    pub recorded: Timestamp,
}

/// The answer to `GET /log/alerts/{id}`: both notes as they were signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertShown {
    /// The alert.
    pub alert: AlertLine,
    /// The two notes.
    pub notes: [String; 2],
    /// The file that proves it to anybody; null of what is not proven.
    pub evidence: Option<String>,
}

/// The answer to `GET /log/inclusion`: a tick under our checkpoint of a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionShown {
    /// The signed note.
    pub checkpoint: String,
    /// The tick.
    pub tick: u64,
    /// Its time, in microseconds since 1970.
    pub time: u64,
    /// How many slots it has.
    pub slots: u64,
    /// The hex of the root over the heads in them.
    pub heads: String,
    /// The hashes that lead from its leaf to the root.
    pub path: Vec<String>,
}

/// The answer to `GET /log/consistency`: that our checkpoint of one size continues another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyShown {
    /// The signed note of the smaller one.
    pub old: String,
    /// The signed note of the larger one.
    pub new: String,
    /// The hashes that lead from one to the other.
    pub hashes: Vec<String>,
}
