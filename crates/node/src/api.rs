//! The JSON of the admin API: what the gateway answers and the command line reads.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use twinpact_model::Timestamp;
use twinpact_model::type_model::ModelRef;

/// The answer to `POST /models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelApplied {
    /// `name@version`.
    pub model: ModelRef,
    /// Whether it is new; `false` when exactly this version was there.
    pub new: bool,
}

/// A twin in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinLine {
    /// Its IRI.
    pub id: String,
    /// Its model.
    pub model: ModelRef,
    /// How many facts were recorded about it.
    pub facts: usize,
    /// The time of the fact that was true last.
    pub last: Option<Timestamp>,
}

/// A twin with its two heads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinState {
    /// Its IRI.
    pub id: String,
    /// Its model.
    pub model: ModelRef,
    /// When we learned of it.
    pub created: Timestamp,
    /// How many facts were recorded about it.
    pub facts: usize,
    /// Per attribute, both heads.
    pub attributes: BTreeMap<String, AttributeState>,
}

/// The two heads of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeState {
    /// The value that was true last.
    pub now: FactValue,
    /// The value that we learned last; differs when data arrives late.
    pub learned: FactValue,
    /// The UCUM unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A value with the event that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactValue {
    /// The lexical form.
    pub value: String,
    /// From when it was true.
    pub time: Timestamp,
    /// When we learned it.
    pub recorded: Timestamp,
    /// The index of the event: `twinpact proof export EVENT` proves it.
    pub event: u64,
}

/// A part of a twin's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The twin.
    pub twin: String,
    /// How many facts there are in the asked span.
    pub total: usize,
    /// The first of them.
    pub rows: Vec<HistoryLine>,
}

/// One fact of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The index of the event.
    pub event: u64,
    /// From when it was true.
    pub time: Timestamp,
    /// When we learned it.
    pub recorded: Timestamp,
    /// The lexical values.
    pub values: BTreeMap<String, String>,
    /// The event that corrects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_by: Option<u64>,
    /// The event that it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u64>,
}

/// What the node is: `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The name of the program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How to reach a running node: the file `admin.json` in its directory, for its owner alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminFile {
    /// The base URL of the admin listener.
    pub url: String,
    /// The token that every request bears.
    pub token: String,
    /// The process.
    pub pid: u32,
}
