//! What the organisation's own people may ask of its twins. No decision is needed: it is theirs,
//! and the admin listener is the only door that leads here.

use crate::api::{AttributeState, FactValue, History, HistoryLine, TwinLine, TwinState};
use crate::fold::Fold;
use crate::open::Node;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_twin::Node as TwinNode;

/// The most facts of one history page.
pub const MAX_HISTORY: usize = 10_000;

/// All twins.
///
/// # Errors
/// `store.stopped`.
pub fn twins(node: &Node) -> Result<Vec<TwinLine>, Problem> {
    node.partition.read(|fold, _| fold.twins.nodes().map(line).collect())
}

fn line((id, node): (&str, &TwinNode)) -> TwinLine {
    TwinLine {
        id: id.to_owned(),
        model: node.model.clone(),
        facts: node.facts.len(),
        last: node.facts.iter().map(|fact| fact.phen_start).max(),
    }
}

/// All model versions.
///
/// # Errors
/// `store.stopped`.
pub fn models(node: &Node) -> Result<Vec<TypeModel>, Problem> {
    node.partition.read(|fold, _| fold.twins.models().map(|(model, _)| model.clone()).collect())
}

/// One twin with both heads of every attribute.
///
/// # Errors
/// `twin.unknown`, `store.stopped`.
pub fn twin(node: &Node, id: &str) -> Result<TwinState, Problem> {
    node.partition.read(|fold, _| state(fold, id))?
}

fn state(fold: &Fold, id: &str) -> Result<TwinState, Problem> {
    let node = fold.twins.node(id)?;
    let model = fold.twins.model(&node.model)?;
    let mut attributes = std::collections::BTreeMap::new();
    for (number, (name, heads)) in (0u16..).zip(node.attributes.iter().zip(&node.heads)) {
        let Some(heads) = heads else { continue };
        let value = |position: usize| {
            let fact = node.facts.get(position)?;
            Some(FactValue {
                value: node.value(fact, number)?.to_owned(),
                time: fact.phen_start,
                recorded: fact.recorded,
                event: fact.index,
            })
        };
        if let (Some(now), Some(learned)) = (value(heads.phenomenon), value(heads.recorded)) {
            let unit = model.attribute(name).and_then(|a| a.unit.clone());
            attributes.insert(name.clone(), AttributeState { now, learned, unit });
        }
    }
    Ok(TwinState {
        id: id.to_owned(),
        model: node.model.clone(),
        created: node.created,
        facts: node.facts.len(),
        attributes,
    })
}

/// A part of a twin's history, at most [`MAX_HISTORY`] facts.
///
/// # Errors
/// `twin.unknown`, `store.stopped`.
pub fn history(
    node: &Node,
    id: &str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: usize,
) -> Result<History, Problem> {
    let page = node
        .partition
        .read(|fold, _| fold.twins.history(id, since, until, limit.min(MAX_HISTORY)))??;
    let rows = page.rows.into_iter().map(|row| HistoryLine {
        event: row.index,
        time: row.phen_start,
        recorded: row.recorded,
        values: row.values.into_iter().collect(),
        corrected_by: row.corrected_by,
        corrects: row.corrects,
    });
    Ok(History { twin: id.to_owned(), total: page.total, rows: rows.collect() })
}
