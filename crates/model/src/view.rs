//! Views: the rows of twins that a contract may show, and how they are chosen.

use crate::schedule::Schedule;
use crate::time::Timestamp;
use crate::type_model::ModelRef;
use serde::{Deserialize, Serialize};

/// Which rows and columns a view has. A schedule *filters rows* here; a schedule in a policy
/// *limits use*. Both are written out in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The pinned version of the type model.
    pub model: ModelRef,
    /// The twins; empty for every twin of the model.
    pub twins: Vec<String>,
    /// The columns: the attribute in the model and its name in the view.
    pub columns: Vec<Column>,
    /// Only rows whose time in the world lies inside.
    pub rows: Option<Schedule>,
    /// Only rows that begin at or after this instant.
    pub since: Option<Timestamp>,
    /// Only rows that begin before this instant.
    pub until: Option<Timestamp>,
}

/// One column of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The attribute in the owner's model.
    pub attribute: String,
    /// The name in the view.
    pub name: String,
    /// The XSD name of its datatype.
    pub datatype: String,
    /// The UCUM unit, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// One row: the values of one twin that were true together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The twin.
    pub twin: String,
    /// From when it was true in the world.
    pub phen_start: Timestamp,
    /// The lexical values in the order of the columns; `None` where the source gave none.
    pub values: Vec<Option<String>>,
}

/// Rows as a contract shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The view's IRI: the target of its agreement.
    pub id: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, by twin and then by time.
    pub rows: Vec<Row>,
}
