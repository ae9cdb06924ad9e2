//! Incidents and containments at the admin door.

use crate::admin::read_json;
use crate::owned::{AsOf, Listed, time};
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use twinpact_node::api::{IncidentLine, IncidentShown, OpenIncident, Respond};
use twinpact_node::{Node, incidents};
use twinpact_proof::containment::Answer;

pub(crate) async fn list(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<IncidentLine> {
    Ok(Json(incidents::list(&node, time(asked.as_of)?)?))
}

pub(crate) async fn show(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(asked): Query<AsOf>,
) -> Result<Json<IncidentShown>, Refusal> {
    Ok(Json(incidents::show(&node, &id, time(asked.as_of)?)?))
}

pub(crate) async fn open(
    State(node): State<Node>,
    body: Bytes,
) -> Result<Json<IncidentLine>, Refusal> {
    let asked: OpenIncident = read_json(&body)?;
    Ok(Json(incidents::open(&node, asked).await?))
}

pub(crate) async fn confirm(
    State(node): State<Node>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<IncidentLine>, Refusal> {
    respond(&node, &id, Answer::Confirmed, &body).await
}

pub(crate) async fn refuse(
    State(node): State<Node>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<IncidentLine>, Refusal> {
    respond(&node, &id, Answer::Refused, &body).await
}

pub(crate) async fn release(
    State(node): State<Node>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<IncidentLine>, Refusal> {
    respond(&node, &id, Answer::Released, &body).await
}

async fn respond(
    node: &Node,
    id: &str,
    answer: Answer,
    body: &[u8],
) -> Result<Json<IncidentLine>, Refusal> {
    let asked: Respond = read_json(body)?;
    Ok(Json(incidents::respond(node, id, answer, asked).await?))
}
