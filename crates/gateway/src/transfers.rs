//! Transfers at the admin door: where they stand, and what a person decides in them.

use crate::admin::{Nothing, read_json};
use crate::owned::Listed;
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use twinpact_node::Node;
use twinpact_node::api::{TerminateAsked, TransferLine, TransferShown};
use twinpact_node::transfers::{self, Wish};

type Shown = Result<Json<TransferShown>, Refusal>;

pub(crate) async fn list(State(node): State<Node>, _: Query<Nothing>) -> Listed<TransferLine> {
    Ok(Json(transfers::list(&node)?))
}

pub(crate) async fn show(
    State(node): State<Node>,
    Path(pid): Path<String>,
    _: Query<Nothing>,
) -> Shown {
    Ok(Json(transfers::show(&node, &pid)?))
}

pub(crate) async fn suspend(
    State(node): State<Node>,
    Path(pid): Path<String>,
    body: Bytes,
) -> Shown {
    let asked: TerminateAsked = read_json(&body)?;
    Ok(Json(transfers::decide(&node, &pid, Wish::Suspend(asked.reason)).await?))
}

pub(crate) async fn resume(State(node): State<Node>, Path(pid): Path<String>, _: Bytes) -> Shown {
    Ok(Json(transfers::decide(&node, &pid, Wish::Resume).await?))
}

pub(crate) async fn complete(State(node): State<Node>, Path(pid): Path<String>, _: Bytes) -> Shown {
    Ok(Json(transfers::decide(&node, &pid, Wish::Complete).await?))
}

pub(crate) async fn terminate(
    State(node): State<Node>,
    Path(pid): Path<String>,
    body: Bytes,
) -> Shown {
    let asked: TerminateAsked = read_json(&body)?;
    Ok(Json(transfers::decide(&node, &pid, Wish::Terminate(asked.reason)).await?))
}
