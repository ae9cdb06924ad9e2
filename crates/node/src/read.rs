//! What the organisation's own people may ask of its twins. No decision is needed: it is theirs,
//! and the admin listener is the only door that leads here.

use crate::api::{AttributeState, FactValue, History, HistoryLine, TwinLine, TwinState};
use crate::as_of::begun;
use crate::fold::Fold;
use crate::open::Node;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_twin::{Fact, Page, TwinAsOf};

/// The most facts of one history page.
pub const MAX_HISTORY: usize = 10_000;

/// All twins, as they were known at a time or are known now.
///
/// # Errors
/// `asof.early`, `store.stopped`.
pub fn twins(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<TwinLine>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        Ok(fold.twins.as_of(as_of).twins().map(line).collect())
    })?
}

fn line(twin: TwinAsOf<'_>) -> TwinLine {
    TwinLine {
        id: twin.id.to_owned(),
        model: twin.model().clone(),
        facts: twin.facts().len(),
        last: twin.last(),
    }
}

/// All model versions, as they were known at a time or are known now.
///
/// # Errors
/// `asof.early`, `store.stopped`.
pub fn models(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<TypeModel>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        Ok(fold.twins.as_of(as_of).models().cloned().collect())
    })?
}

/// One twin with both heads of every attribute, as it was known at a time or is known now.
///
/// # Errors
/// `twin.unknown`, `asof.early`, `store.stopped`.
pub fn twin(node: &Node, id: &str, as_of: Option<Timestamp>) -> Result<TwinState, Problem> {
    node.partition.read(|fold, _| state(fold, id, as_of))?
}

fn state(fold: &Fold, id: &str, as_of: Option<Timestamp>) -> Result<TwinState, Problem> {
    begun(fold, as_of)?;
    let twin = fold.twins.as_of(as_of).twin(id)?;
    let model = fold.twins.model(twin.model())?;
    let value = |(fact, lexical): (&Fact, &str)| FactValue {
        value: lexical.to_owned(),
        time: fact.phen_start,
        recorded: fact.recorded,
        event: fact.index,
    };
    let attributes = twin.attributes().into_iter().map(|(name, [now, learned])| {
        let unit = model.attribute(name).and_then(|a| a.unit.clone());
        let state = AttributeState { now: value(now), learned: value(learned), unit };
        (name.to_owned(), state)
    });
    Ok(TwinState {
        id: id.to_owned(),
        as_of,
        model: twin.model().clone(),
        created: twin.created(),
        facts: twin.facts().len(),
        attributes: attributes.collect(),
    })
}

/// Which part of a history is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Only what was true from then on.
    pub since: Option<Timestamp>,
    /// Only what was true before.
    pub until: Option<Timestamp>,
    /// At most so many facts, the first ones, and never more than [`MAX_HISTORY`].
    pub limit: usize,
    /// As it was known at that time.
    pub as_of: Option<Timestamp>,
}

impl Default for Span {
    /// As much as there is and one page holds.
    fn default() -> Self {
        Span { since: None, until: None, limit: MAX_HISTORY, as_of: None }
    }
}

/// A part of a twin's history.
///
/// # Errors
/// `twin.unknown`, `asof.early`, `store.stopped`.
pub fn history(node: &Node, id: &str, span: Span) -> Result<History, Problem> {
    let page = node.partition.read(|fold, _| {
        begun(fold, span.as_of)?;
        let twin = fold.twins.as_of(span.as_of).twin(id)?;
        Ok::<Page, Problem>(twin.history(span.since, span.until, span.limit.min(MAX_HISTORY)))
    })??;
    let rows = page.rows.into_iter().map(|row| HistoryLine {
        event: row.index,
        time: row.phen_start,
        recorded: row.recorded,
        values: row.values.into_iter().collect(),
        corrected_by: row.corrected_by,
        corrects: row.corrects,
    });
    Ok(History { twin: id.to_owned(), as_of: span.as_of, total: page.total, rows: rows.collect() })
}
