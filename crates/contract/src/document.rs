//! The contract document: ODCS v3.2.0 in YAML, as a typed value.
//!
//! A contract names one view: which attributes of which version of the owner's type model it shows,
//! of which twins, at which hours, and under which ODRL terms. What is ours stands in
//! `customProperties` with vendor `twinpact`. Its identity is the SHA-256 of its bytes as they are.
//! The invariant: a value of [`Contract`] has terms that can be decided; the rest is for
//! [`Contract::lint`].

use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::read_document;
use crate::terms::Terms;
use twinpact_model::link_row::LINKS_PATH;
use twinpact_model::{
    Column, Did, Iri, ModelRef, Predicate, Problem, Schedule, Selection, ShownLinks, Timestamp,
    TypeModel,
};
use twinpact_model::{Datatype, codes, suggest};
use twinpact_proof::digest::Digest;

/// The largest document, in bytes.
pub const MAX_CONTRACT_BYTES: usize = crate::yaml::MAX_BYTES;
/// How deep its lists and maps may nest.
pub const MAX_CONTRACT_DEPTH: usize = crate::yaml::MAX_DEPTH;
/// The most properties, which are the columns of the view.
pub const MAX_PROPERTIES: usize = twinpact_model::type_model::MAX_MODEL_ATTRIBUTES;
/// The most twins that a contract may name.
pub const MAX_TWINS: usize = 10_000;

/// Where the contract is in its life (ODCS `status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Put forward.
    Proposed,
    /// Being written.
    Draft,
    /// In force.
    Active,
    /// In force, and a successor should be used.
    Deprecated,
    /// No longer in force.
    Retired,
}

impl Status {
    /// All of them with their names.
    pub(crate) const ALL: [(&'static str, Status); 5] = [
        ("proposed", Status::Proposed),
        ("draft", Status::Draft),
        ("active", Status::Active),
        ("deprecated", Status::Deprecated),
        ("retired", Status::Retired),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Status::ALL.iter().find(|(_, s)| *s == self).map_or("", |(name, _)| name)
    }
}

/// Of links to twins of other organisations, which are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnds {
    /// Only those to twins of whoever asks: partners learn nothing of each other.
    Asker,
    /// Those to twins of anybody.
    All,
}

/// That the rows of the view are links of its twins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedLinks {
    /// Of these predicates.
    pub predicates: Vec<Predicate>,
    /// Which of them, by whose the other end is.
    pub ends: LinkEnds,
}

/// What happens at egress to a row that does not fit the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnViolation {
    /// The answer is refused.
    #[default]
    Reject,
    /// The row is held back.
    Quarantine,
    /// The row is sent and reported.
    Flag,
}

/// What it is for, in the owner's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// What it is for.
    pub purpose: Option<String>,
    /// How it is meant to be used.
    pub usage: Option<String>,
    /// What it is not good for.
    pub limitations: Option<String>,
}

/// The one object of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// A stable id, which outlives renaming.
    pub id: Option<String>,
    /// The name.
    pub name: String,
    /// The columns, in the order of the view.
    pub properties: Vec<Property>,
    /// Where it stands.
    pub at: Span,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// A stable id, which outlives renaming.
    pub id: Option<String>,
    /// The name in the view.
    pub name: String,
    /// The attribute in the owner's type model: the name itself, or what `attribute` says.
    pub attribute: String,
    /// How it is read.
    pub logical_type: LogicalType,
    /// The type in the source, for information.
    pub physical_type: Option<String>,
    /// The UCUM unit.
    pub unit: Option<String>,
    /// Whether a row must have it.
    pub required: bool,
    /// Whether it is part of the key.
    pub primary_key: bool,
    /// Whether it should no longer be relied on.
    pub deprecated: bool,
    /// Where it stands.
    pub at: Span,
    /// Where its logical type stands.
    pub type_at: Span,
}

/// The logical types of ODCS v3.2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogicalType {
    /// A text.
    String,
    /// A calendar day.
    Date,
    /// An instant.
    Timestamp,
    /// A time of day.
    Time,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
}

impl LogicalType {
    /// Those that one column can have, with their names.
    pub(crate) const ALL: [(&'static str, LogicalType); 7] = [
        ("string", LogicalType::String),
        ("date", LogicalType::Date),
        ("timestamp", LogicalType::Timestamp),
        ("time", LogicalType::Time),
        ("number", LogicalType::Number),
        ("integer", LogicalType::Integer),
        ("boolean", LogicalType::Boolean),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        LogicalType::ALL.iter().find(|(_, t)| *t == self).map_or("", |(name, _)| name)
    }
}

/// A promise about the service (ODCS `slaProperties`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLevel {
    /// Its name: `frequency`, `freshness`, `retention`, `latency`, `endOfSupport`, `endOfLife`, or
    /// another of ODCS.
    pub property: String,
    /// What is promised.
    pub value: Promise,
    /// The element it is about.
    pub element: Option<String>,
    /// Where its value stands.
    pub at: Span,
}

/// The value of a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// A duration in milliseconds.
    Milliseconds(u64),
    /// A date: its first instant in UTC, or the instant it names.
    From(Timestamp),
    /// A value of a property that we keep and do not interpret.
    Kept(serde_json::Value),
}

/// A contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The document's id.
    pub id: String,
    /// The contract's name; it stands in the view's IRI.
    pub name: String,
    /// Its version (Semantic Versioning 2.0.0).
    pub version: String,
    /// Where it is in its life.
    pub status: Status,
    /// The owner, a `did:web`.
    pub tenant: Did,
    /// When it was written.
    pub created: Option<Timestamp>,
    /// What it is for, in words.
    pub description: Description,
    /// The one object of the schema.
    pub object: Object,
    /// What is promised about the service.
    pub service_levels: Vec<ServiceLevel>,
    /// The pinned version of the owner's type model.
    pub model: ModelRef,
    /// The twins; empty for every twin of the model.
    pub twins: Vec<Iri>,
    /// Only rows whose time in the world lies inside.
    pub row_filter: Option<Schedule>,
    /// The rows are links of the twins, and not what was true of them.
    pub links: Option<GrantedLinks>,
    /// What happens to a row that does not fit.
    pub on_violation: OnViolation,
    /// `servers`, `support`, `team`, `price`, `tags` and the like, as they are.
    pub kept: serde_json::Map<String, serde_json::Value>,
    /// SHA-256 of the original bytes.
    pub digest: Digest,
    pub(crate) terms: Terms,
    pub(crate) remarks: Vec<Diagnostic>,
    pub(crate) places: Places,
}

/// Where the parts stand that lint points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Places {
    pub(crate) description: Span,
    pub(crate) model: Span,
    pub(crate) offer: Span,
    pub(crate) created: Span,
}

impl Contract {
    /// Reads a contract.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as one reading can tell, in the order of the
    /// document. Codes: `contract.malformed`, `.too_large`, `.unknown_key`, `.missing`, `.value`,
    /// `.odrl`, `.term_unknown`, `.term_shape`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        read_document::read(bytes)
    }

    /// The ODRL terms in normal form.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The IRI of the view: `https://<tenant host>/id/views/<name>/<version>`, and of one of links
    /// `https://<tenant host>/id/links/<name>/<version>`.
    #[must_use]
    pub fn view_id(&self) -> String {
        view_id(&self.tenant, &self.name, &self.version, self.links.is_some())
    }

    /// Which rows and columns the view has for this asker; datatypes and units are those of the
    /// owner's model.
    ///
    /// # Errors
    /// `contract.model` when that is another model than the pinned one, or lacks an attribute.
    pub fn selection(&self, model: &TypeModel, asker: &str) -> Result<Selection, Problem> {
        if model.reference() != self.model {
            return Err(Problem::new(
                codes::CONTRACT_MODEL,
                format!("the contract pins {}, not {}", self.model, model.reference()),
            ));
        }
        let links = self.links.as_ref().map(|granted| ShownLinks {
            predicates: granted.predicates.clone(),
            only_of: (granted.ends == LinkEnds::Asker).then(|| asker.to_owned()),
        });
        let link_column = |property: &Property| Column {
            attribute: property.name.clone(),
            name: property.name.clone(),
            datatype: Datatype::String.name().to_owned(),
            unit: None,
        };
        let of_model = |property: &Property| match model.attribute(&property.attribute) {
            Some(attribute) => Ok(Column {
                attribute: attribute.name.clone(),
                name: property.name.clone(),
                datatype: attribute.datatype.name().to_owned(),
                unit: attribute.unit.clone(),
            }),
            None => Err(no_attribute(&property.attribute, model)),
        };
        let properties = self.object.properties.iter();
        let columns: Result<Vec<Column>, Problem> = match &links {
            Some(_) => Ok(properties.map(link_column).collect()),
            None => properties.map(of_model).collect(),
        };
        Ok(Selection {
            model: self.model.clone(),
            twins: self.twins.iter().map(|twin| twin.as_str().to_owned()).collect(),
            columns: columns?,
            rows: self.row_filter.clone(),
            since: None,
            until: None,
            after: None,
            only: None,
            links,
        })
    }

    /// The promise of that name.
    #[must_use]
    pub fn service_level(&self, property: &str) -> Option<&ServiceLevel> {
        self.service_levels.iter().find(|level| level.property == property)
    }
}

pub(crate) fn view_id(tenant: &Did, name: &str, version: &str, links: bool) -> String {
    let host = tenant.web_host().unwrap_or_default();
    let path = if links { LINKS_PATH } else { "/id/views/" };
    format!("https://{host}{path}{name}/{version}")
}

pub(crate) fn no_attribute(name: &str, model: &TypeModel) -> Problem {
    let problem = Problem::new(
        codes::CONTRACT_MODEL,
        format!("{} has no attribute {name:?}", model.reference()),
    );
    match suggest::nearest(name, model.attributes.iter().map(|a| a.name.as_str())) {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None => problem.hint("name the attribute in customProperties: property attribute"),
    }
}

/// All findings as text, with a last line that counts them.
#[must_use]
pub fn render(found: &[Diagnostic], file_name: &str, source: &str) -> String {
    let mut out = String::new();
    for diagnostic in found {
        out.push_str(&diagnostic.render(file_name, source));
        out.push('\n');
    }
    let count = |severity| found.iter().filter(|d| d.severity == severity).count();
    out.push_str(&format!(
        "{file_name}: {} errors, {} warnings, {} notes\n",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note)
    ));
    out
}
