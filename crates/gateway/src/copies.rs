//! What partners have delivered, at the admin door.

use crate::refusal::Refusal;
use axum::Json;
use axum::extract::{Path, Query, State};
use twinpact_node::api::{CopyLine, CopyRead, ListCopies, ReadCopy};
use twinpact_node::{Node, own_reads};

pub(crate) async fn list(
    State(node): State<Node>,
    Query(asked): Query<ListCopies>,
) -> Result<Json<Vec<CopyLine>>, Refusal> {
    Ok(Json(own_reads::list(&node, &asked)?))
}

pub(crate) async fn show(
    State(node): State<Node>,
    Path(receipt): Path<String>,
    Query(asked): Query<ReadCopy>,
) -> Result<Json<CopyRead>, Refusal> {
    Ok(Json(own_reads::show(&node, &receipt, asked).await?))
}
