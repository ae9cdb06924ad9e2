//! Streams of partners that are followed, and what was learned from them, at the admin door.

use crate::admin::read_json;
use crate::owned::Listed;
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use twinpact_node::api::{Followed, SignLearned, Subscribe, SubscriptionLine};
use twinpact_node::{Node, learned as learning, subscriptions};

/// What is followed is about now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

pub(crate) async fn list(State(node): State<Node>, _: Query<Nothing>) -> Listed<SubscriptionLine> {
    Ok(Json(subscriptions::list(&node)?))
}

pub(crate) async fn subscribe(
    State(node): State<Node>,
    body: Bytes,
) -> Result<Json<SubscriptionLine>, Refusal> {
    let asked: Subscribe = read_json(&body)?;
    Ok(Json(subscriptions::subscribe(&node, &asked).await?))
}

/// Behind which position.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Behind {
    after: Option<u64>,
}

pub(crate) async fn receipts(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(behind): Query<Behind>,
) -> Result<Json<Followed>, Refusal> {
    Ok(Json(subscriptions::receipts(&node, &id, behind.after).await?))
}

/// The body says nothing, and is read so that it is held against the bound.
pub(crate) async fn end(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Bytes,
) -> Result<Json<SubscriptionLine>, Refusal> {
    Ok(Json(subscriptions::end(&node, &id).await?))
}

pub(crate) async fn learned(State(node): State<Node>, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let asked: SignLearned = read_json(&body)?;
    Ok(learning::sign(&node, &asked)?.to_json().canonical().into_bytes())
}
