//! Erasures at the admin door.

use crate::admin::{Nothing, read_json};
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use twinpact_node::api::{EraseAsked, ErasureLine};
use twinpact_node::{Node, erasures};

pub(crate) async fn list(
    State(node): State<Node>,
    _: Query<Nothing>,
) -> Result<Json<Vec<ErasureLine>>, Refusal> {
    Ok(Json(erasures::list(&node)?))
}

pub(crate) async fn show(
    State(node): State<Node>,
    Path(twin): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<ErasureLine>, Refusal> {
    Ok(Json(erasures::show(&node, &twin)?))
}

pub(crate) async fn erase(
    State(node): State<Node>,
    body: Bytes,
) -> Result<Json<ErasureLine>, Refusal> {
    let asked: EraseAsked = read_json(&body)?;
    Ok(Json(erasures::erase(&node, asked).await?))
}
