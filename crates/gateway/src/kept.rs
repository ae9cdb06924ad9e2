//! Reads of what the organisation keeps of its dealings at the admin door: receipts, decisions,
//! keys, invitations, its own record and whom it trusts. Each as of now or of the time in
//! `?as-of=`: what had been recorded by then.

use crate::admin::HISTORY_ROWS;
use crate::owned::{AsOf, Listed, time};
use crate::refusal::Refusal;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use twinpact_node::api::{DecisionLine, InvitationLine, KeyLine, ReceiptLine};
use twinpact_node::{self as node, Node};
use twinpact_proof::Trust;

/// The newest of what is kept, or of what was kept then.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Newest {
    limit: Option<usize>,
    #[serde(rename = "as-of")]
    as_of: Option<String>,
}

/// Whom a proof is verified against: this organisation and its partners.
pub(crate) async fn trust(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Result<Json<Trust>, Refusal> {
    Ok(Json(node::partners::trust(&node, time(asked.as_of)?)?))
}

pub(crate) async fn organisation(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Result<Vec<u8>, Refusal> {
    let record = node::organisation::show(&node, time(asked.as_of)?)?;
    Ok(record.to_json().canonical().into_bytes())
}

pub(crate) async fn invitations(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<InvitationLine> {
    Ok(Json(node::invitations::list(&node, time(asked.as_of)?)?))
}

pub(crate) async fn document_keys(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<KeyLine> {
    Ok(Json(node::keys::list(&node, time(asked.as_of)?)?))
}

pub(crate) async fn receipts(
    State(node): State<Node>,
    Query(newest): Query<Newest>,
) -> Listed<ReceiptLine> {
    let limit = newest.limit.unwrap_or(HISTORY_ROWS);
    Ok(Json(node::receipts::list(&node, limit, time(newest.as_of)?)?))
}

pub(crate) async fn receipt(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(asked): Query<AsOf>,
) -> Result<Json<ReceiptLine>, Refusal> {
    Ok(Json(node::receipts::show(&node, &id, time(asked.as_of)?)?))
}

pub(crate) async fn decisions(
    State(node): State<Node>,
    Query(newest): Query<Newest>,
) -> Listed<DecisionLine> {
    let limit = newest.limit.unwrap_or(HISTORY_ROWS);
    Ok(Json(node::decisions::list(&node, limit, time(newest.as_of)?)?))
}

pub(crate) async fn decision(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(asked): Query<AsOf>,
) -> Result<Json<Value>, Refusal> {
    let (line, envelope) = node::decisions::show(&node, &id, time(asked.as_of)?)?;
    let record = envelope.to_json().canonical();
    let record: Value = serde_json::from_str(&record).unwrap_or_default();
    let payload: Value = serde_json::from_slice(&envelope.payload).unwrap_or_default();
    Ok(Json(json!({ "decision": line, "record": record, "payload": payload })))
}
