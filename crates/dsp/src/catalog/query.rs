//! Which part of a catalogue a request asks for: conditions, and a place to begin at.
//!
//! The protocol leaves filters open (Catalog Protocol §"Catalog Request Message"); what is taken
//! is the `QuerySpec` that connectors of the EDC family send. What would change the answer in a way
//! that we do not know is refused rather than ignored.

use super::Card;
use crate::message::CatalogRequest;
use crate::rejected::{Rejected, Status};
use crate::{route, terms};
use serde_json::{Map, Value, json};
use twinpact_model::codes;

/// The most conditions of a query.
pub(super) const MAX_CONDITIONS: usize = 8;
/// The most values of one condition.
pub(super) const MAX_VALUES: usize = 64;
/// The most conditions with a form, and the most bytes of one: a form is tried at each place of
/// each text, so that this bounds what a request costs.
pub(super) const MAX_FORMS: usize = 1;
pub(super) const MAX_FORM_BYTES: usize = 64;
/// The most bytes of all conditions as they stand in a link, whose address a client has to take.
pub(super) const MAX_WRITTEN_BYTES: usize = 3_072;
/// The most bytes of one value.
pub(super) const MAX_VALUE_BYTES: usize = 1024;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The id of the dataset.
    Id,
    /// Its title.
    Title,
    /// What it says of itself.
    Description,
    /// The formats in which it can be had.
    Format,
    /// The schema or model that it conforms to.
    ConformsTo,
}

const FIELDS: [(&str, Field); 7] = [
    ("id", Field::Id),
    ("@id", Field::Id),
    ("title", Field::Title),
    ("name", Field::Title),
    ("description", Field::Description),
    ("format", Field::Format),
    ("conformsTo", Field::ConformsTo),
];

/// How a value is held against that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// It is the value, or one of the values.
    In,
    /// It is none of them.
    NotIn,
    /// It has the form of the value, in which `%` stands for anything and `_` for one character.
    Like,
}

const OPERATORS: [(&str, Operator); 4] =
    [("=", Operator::In), ("in", Operator::In), ("!=", Operator::NotIn), ("like", Operator::Like)];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    field: Field,
    operator: Operator,
    values: Vec<String>,
}

/// Which part of the catalogue a request asks for, of the datasets in the order of their ids. The
/// default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    conditions: Vec<Condition>,
    /// The id behind which it begins, so that pages stay whole while the catalogue changes.
    after: Option<String>,
    /// How many of the datasets that meet the conditions are left out behind that.
    offset: usize,
    /// How many it has at most; all without it.
    limit: Option<usize>,
}

/// What a query finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The datasets.
    pub shown: Vec<&'a Card>,
    /// What asks for those behind them, if there are some.
    pub next: Option<Query>,
    /// What asks for those before them, if there are some and the query says how many a part has.
    pub previous: Option<Query>,
}

impl Query {
    /// What a catalogue request asks for.
    ///
    /// # Errors
    /// `dsp.filter` for a filter that is no `QuerySpec` of conditions, offset and limit, for a
    /// condition that we do not know, and for two filters that ask for two parts.
    pub fn read(request: &CatalogRequest) -> Result<Query, Rejected> {
        let mut query: Option<Query> = None;
        for filter in &request.filter {
            let members = filter.as_object().filter(|members| is_query(members));
            let read = spec(members.ok_or_else(|| refused("this filter is no QuerySpec"))?)?;
            if query.as_ref().is_some_and(|other| *other != read) {
                return Err(refused("the filters ask for two parts of the catalogue"));
            }
            query = Some(read);
        }
        Ok(query.unwrap_or_default())
    }

    /// What the query of a link asks for, as [`Query::written`] wrote it; all without one.
    ///
    /// # Errors
    /// `dsp.filter` for one that was not written here.
    pub fn of_link(query: Option<&str>) -> Result<Query, Rejected> {
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return Ok(Query::default());
        };
        let read = || {
            let text = route::decoded(query.strip_prefix("page=")?, MAX_PAGE_BYTES)?;
            let value: Value = serde_json::from_str(&text).ok()?;
            let members = value.as_object()?;
            let after = members.get("after").map(|id| id.as_str().filter(|id| terms::is_id(id)));
            let after = match after {
                Some(None) => return None,
                given => given.flatten().map(str::to_owned),
            };
            Some(spec(members).map(|query| Query { after, ..query }))
        };
        read().ok_or_else(|| refused("the page is none of this catalogue"))?
    }

    /// The query of a link to it, without `?`; empty for the whole catalogue.
    #[must_use]
    pub fn written(&self) -> String {
        if self.is_whole() {
            return String::new();
        }
        let mut members = Map::new();
        if let Some(after) = &self.after {
            members.insert("after".to_owned(), Value::from(after.as_str()));
        }
        if self.offset > 0 {
            members.insert("offset".to_owned(), Value::from(self.offset));
        }
        if let Some(limit) = self.limit {
            members.insert("limit".to_owned(), Value::from(limit));
        }
        if !self.conditions.is_empty() {
            let conditions: Vec<Value> = self.conditions.iter().map(Condition::to_json).collect();
            members.insert("filterExpression".to_owned(), Value::from(conditions));
        }
        format!("page={}", route::segment(&Value::Object(members).to_string()))
    }

    /// Whether it asks for the whole catalogue.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Query::default()
    }

    /// Whether it asks for some of the datasets only, by conditions.
    #[must_use]
    pub const fn has_conditions(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// How many datasets it asks for at most.
    #[must_use]
    pub const fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// What it finds among these, which are in the order of their ids; of at most so many bytes
    /// altogether, and at least one.
    #[must_use]
    pub fn part<'a>(
        &self,
        cards: impl DoubleEndedIterator<Item = &'a Card>,
        most_bytes: usize,
    ) -> Part<'a> {
        let found: Vec<&Card> = cards.filter(|card| self.meets(card)).collect();
        let after = self.after.as_deref();
        let begin =
            after.map_or(0, |after| found.partition_point(|card| card.id.as_str() <= after));
        let begin = begin.saturating_add(self.offset).min(found.len());
        let rest = found.get(begin..).unwrap_or_default();
        let mut bytes = 0_usize;
        let within = rest.iter().take(self.limit.unwrap_or(usize::MAX)).enumerate();
        let count = within
            .take_while(|(n, card)| {
                bytes = bytes.saturating_add(card.json.len() + 1);
                *n == 0 || bytes <= most_bytes
            })
            .count();
        let shown: Vec<&Card> = rest.iter().take(count).copied().collect();
        let behind = |id: &str| Query {
            after: Some(id.to_owned()),
            offset: 0,
            limit: self.limit,
            conditions: self.conditions.clone(),
        };
        let last = shown.last().filter(|_| count < rest.len());
        Part {
            next: last.map(|last| behind(&last.id)),
            previous: self.before(&found, begin),
            shown,
        }
    }

    /// What asks for the part that ends before that place.
    fn before(&self, found: &[&Card], begin: usize) -> Option<Query> {
        let size = self.limit.filter(|limit| *limit > 0)?;
        (begin > 0).then(|| {
            let anchor = begin.saturating_sub(size).checked_sub(1).and_then(|at| found.get(at));
            Query {
                after: anchor.map(|card| card.id.clone()),
                offset: 0,
                // The first part may be shorter: it ends where this one begins.
                limit: Some(size.min(begin)),
                conditions: self.conditions.clone(),
            }
        })
    }

    fn meets(&self, card: &Card) -> bool {
        self.conditions.iter().all(|condition| condition.holds(card))
    }
}

/// The most bytes of the query of a link, before it is encoded.
const MAX_PAGE_BYTES: usize = 4096;

impl Condition {
    fn holds(&self, card: &Card) -> bool {
        let mut texts: Box<dyn Iterator<Item = &str>> = match self.field {
            Field::Id => Box::new(std::iter::once(card.id.as_str())),
            Field::Title => Box::new(card.title.as_deref().into_iter()),
            Field::Description => Box::new(card.description.as_deref().into_iter()),
            Field::Format => Box::new(card.formats.iter().map(String::as_str)),
            Field::ConformsTo => Box::new(card.conforms_to.iter().map(String::as_str)),
        };
        let named = |text: &str| self.values.iter().any(|value| value == text);
        match self.operator {
            Operator::In => texts.any(named),
            Operator::NotIn => !texts.any(named),
            Operator::Like => texts.any(|text| self.values.iter().any(|form| like(text, form))),
        }
    }

    fn to_json(&self) -> Value {
        let field = FIELDS.iter().find(|(_, field)| *field == self.field).map(|(name, _)| *name);
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        let (operator, right) = match (self.operator, values.as_slice()) {
            (Operator::Like, [one]) => ("like", Value::from(*one)),
            (Operator::NotIn, [one]) => ("!=", Value::from(*one)),
            (_, [one]) => ("=", Value::from(*one)),
            (_, many) => ("in", Value::from(many)),
        };
        json!({ "operandLeft": field, "operator": operator, "operandRight": right })
    }
}

fn refused(reason: &str) -> Rejected {
    let (status, code) = (Status::BadRequest, codes::DSP_FILTER);
    Rejected { status, code, reason: reason.to_owned() }
}

/// The last part of a name: names come bare, with a prefix or in full.
fn bare(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}

fn is_query(members: &Map<String, Value>) -> bool {
    let kind = members.get("@type").and_then(Value::as_str).unwrap_or_default();
    bare(kind) == "QuerySpec"
}

/// Reads the members of a `QuerySpec`.
fn spec(members: &Map<String, Value>) -> Result<Query, Rejected> {
    let find = |name: &str| {
        members.iter().find(|(key, _)| bare(key) == name).map(|(_, value)| plain(value))
    };
    let number = |name: &str| match find(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .map(Some)
            .ok_or_else(|| refused("offset and limit are whole numbers from 0")),
    };
    if find("sortField").is_some_and(|field| !terms::is_nothing(field)) {
        return Err(refused("datasets are in the order of their ids; ask without a sortField"));
    }
    let conditions = match members.iter().find(|(key, _)| bare(key) == "filterExpression") {
        None => Vec::new(),
        Some((_, Value::Array(items))) => items.iter().map(condition).collect::<Result<_, _>>()?,
        Some((_, value)) if terms::is_nothing(value) => Vec::new(),
        Some((_, one)) => vec![condition(one)?],
    };
    bounded(&conditions)?;
    let offset = number("offset")?.unwrap_or(0);
    Ok(Query { conditions, after: None, offset, limit: number("limit")? })
}

/// Whether there are no more conditions than may be, and their links no longer.
fn bounded(conditions: &[Condition]) -> Result<(), Rejected> {
    if conditions.len() > MAX_CONDITIONS {
        return Err(refused(&format!("a query has at most {MAX_CONDITIONS} conditions")));
    }
    let forms = conditions.iter().filter(|one| one.operator == Operator::Like);
    let long = |one: &&Condition| one.values.iter().any(|form| form.len() > MAX_FORM_BYTES);
    if forms.clone().count() > MAX_FORMS || forms.clone().any(|one| one.values.len() > 1) {
        return Err(refused("a query has one condition with like, which has one form"));
    }
    if forms.clone().any(|one| long(&one)) {
        return Err(refused(&format!("a form has at most {MAX_FORM_BYTES} bytes")));
    }
    let written = Value::from(conditions.iter().map(Condition::to_json).collect::<Vec<_>>());
    match route::segment(&written.to_string()).len() <= MAX_WRITTEN_BYTES {
        true => Ok(()),
        false => Err(refused("the conditions are too long to stand in the link to a next part")),
    }
}

/// A value without what a processor of JSON-LD puts around it: the one item of a list, a value
/// object.
fn plain(value: &Value) -> &Value {
    let mut value = value;
    while let Some(inner) = match value {
        Value::Array(items) if items.len() == 1 => items.first(),
        Value::Object(members) => members.get("@value").or_else(|| members.get("@id")),
        _ => None,
    } {
        value = inner;
    }
    value
}

fn condition(value: &Value) -> Result<Condition, Rejected> {
    let members = value.as_object().ok_or_else(|| refused("a condition is an object"))?;
    let find = |name: &str| members.iter().find(|(key, _)| bare(key) == name).map(|(_, v)| v);
    let text = |name: &str| find(name).map(plain).and_then(Value::as_str);
    // Connectors of the EDC family put a name that is an IRI between apostrophes.
    let left = text("operandLeft").map(|left| left.trim_matches('\'')).unwrap_or_default();
    let field = FIELDS.iter().find(|(name, _)| bare(left) == *name).map(|(_, field)| *field);
    let field = field.ok_or_else(|| {
        refused("a condition is about id, title, description, format or conformsTo")
    })?;
    let operator = text("operator").unwrap_or_default();
    let operator = OPERATORS.iter().find(|(name, _)| name.eq_ignore_ascii_case(operator));
    let operator = operator.ok_or_else(|| refused("the operators are =, !=, in and like"))?.1;
    let right = find("operandRight").ok_or_else(|| refused("a condition has an operandRight"))?;
    let values: Vec<&Value> = match right {
        Value::Array(items) => items.iter().map(plain).collect(),
        one => vec![plain(one)],
    };
    let held = |value: &&Value| value.as_str().is_some_and(|text| text.len() <= MAX_VALUE_BYTES);
    if values.is_empty() || values.len() > MAX_VALUES || !values.iter().all(held) {
        let most = format!("1 to {MAX_VALUES} texts of at most {MAX_VALUE_BYTES} bytes");
        return Err(refused(&format!("the right side of a condition is {most}")));
    }
    let values = values.into_iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Condition { field, operator, values })
}

/// Whether a text has a form, in which `%` stands for anything and `_` for one character.
fn like(text: &str, form: &str) -> bool {
    let (mut text, mut form) = (text.chars(), form.chars());
    // Where to go on when it fails: behind the last `%`, one character later.
    let mut again: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (here, there) = (text.clone().next(), form.clone().next());
        match (here, there) {
            (_, Some('%')) => {
                form.next();
                again = Some((text.clone(), form.clone()));
            }
            (Some(_), Some('_')) => {
                text.next();
                form.next();
            }
            (Some(a), Some(b)) if a == b => {
                text.next();
                form.next();
            }
            (None, None) => return true,
            _ => {
                let Some((from, behind)) = &mut again else { return false };
                if from.next().is_none() {
                    return false;
                }
                (text, form) = (from.clone(), behind.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
