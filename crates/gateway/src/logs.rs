//! Our log, its witnesses and what was seen of partners' logs, at the admin door.

use crate::refusal::Refusal;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use twinpact_node::api::{AlertShown, ConsistencyShown, InclusionShown, LogShown};
use twinpact_node::{Node, log_view, witness};

/// After which frame: then the answer waits for one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<u64>,
}

/// No query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfTick {
    tick: u64,
    size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfSizes {
    old: u64,
    new: Option<u64>,
}

pub(crate) async fn show(
    State(node): State<Node>,
    Query(asked): Query<After>,
) -> Result<Json<LogShown>, Refusal> {
    Ok(Json(log_view::show(&node, asked.after).await?))
}

pub(crate) async fn alert(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<AlertShown>, Refusal> {
    Ok(Json(log_view::alert(&node, &id)?))
}

pub(crate) async fn inclusion(
    State(node): State<Node>,
    Query(asked): Query<OfTick>,
) -> Result<Json<InclusionShown>, Refusal> {
    Ok(Json(log_view::inclusion(&node, asked.tick, asked.size)?))
}

pub(crate) async fn consistency(
    State(node): State<Node>,
    Query(asked): Query<OfSizes>,
) -> Result<Json<ConsistencyShown>, Refusal> {
    Ok(Json(log_view::consistency(&node, asked.old, asked.new)?))
}

/// Our signed statement that we are a witness.
pub(crate) async fn statement(
    State(node): State<Node>,
    _: Query<Nothing>,
) -> Result<Vec<u8>, Refusal> {
    Ok(witness::statement(&node)?.to_json().canonical().into_bytes())
}
