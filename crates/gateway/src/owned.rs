//! Reads of the organisation's own twins, models and links at the admin door, each as of now or of
//! the time in `?as-of=`: what had been recorded by then.

use crate::admin::{HISTORY_ROWS, LOCAL, read_json};
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_node::api::{
    AgreementLine, ContractLine, History, LinkAsked, LinkChanged, LinkList, PartnerLine, TwinLine,
    TwinState, WalkAsked, Walked,
};
use twinpact_node::read::{self, Span};
use twinpact_node::{Node, agreements, graph, links};

/// `?as-of=TIME`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsOf {
    #[serde(rename = "as-of")]
    pub(crate) as_of: Option<String>,
}

pub(crate) fn time(text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| Timestamp::parse(&text)).transpose()
}

pub(crate) type Listed<T> = Result<Json<Vec<T>>, Refusal>;

pub(crate) async fn models(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<TypeModel> {
    Ok(Json(read::models(&node, time(asked.as_of)?)?))
}

pub(crate) async fn twins(State(node): State<Node>, Query(asked): Query<AsOf>) -> Listed<TwinLine> {
    Ok(Json(read::twins(&node, time(asked.as_of)?)?))
}

pub(crate) async fn twin(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(asked): Query<AsOf>,
) -> Result<Json<TwinState>, Refusal> {
    Ok(Json(read::twin(&node, &id, time(asked.as_of)?)?))
}

/// Which part of a history.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
    #[serde(rename = "as-of")]
    as_of: Option<String>,
}

pub(crate) async fn history(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Json<History>, Refusal> {
    let span = Span {
        since: time(part.since)?,
        until: time(part.until)?,
        limit: part.limit.unwrap_or(HISTORY_ROWS),
        as_of: time(part.as_of)?,
    };
    Ok(Json(read::history(&node, &id, span)?))
}

pub(crate) async fn contracts(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<ContractLine> {
    Ok(Json(twinpact_node::contracts::list(&node, time(asked.as_of)?)?))
}

pub(crate) async fn partners(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<PartnerLine> {
    Ok(Json(twinpact_node::partners::list(&node, time(asked.as_of)?)?))
}

pub(crate) async fn agreements(
    State(node): State<Node>,
    Query(asked): Query<AsOf>,
) -> Listed<AgreementLine> {
    Ok(Json(agreements::list(&node, time(asked.as_of)?)?))
}

pub(crate) async fn agreement(
    State(node): State<Node>,
    Path(id): Path<String>,
    Query(asked): Query<AsOf>,
) -> Result<Json<AgreementLine>, Refusal> {
    Ok(Json(agreements::show(&node, &id, time(asked.as_of)?)?))
}

/// Whose links.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    twin: Option<String>,
    #[serde(rename = "as-of")]
    as_of: Option<String>,
}

pub(crate) async fn links(
    State(node): State<Node>,
    Query(whose): Query<Whose>,
) -> Result<Json<LinkList>, Refusal> {
    Ok(Json(links::list(&node, whose.twin.as_deref(), time(whose.as_of)?)?))
}

pub(crate) async fn set_link(
    State(node): State<Node>,
    body: Bytes,
) -> Result<Json<LinkChanged>, Refusal> {
    let asked: LinkAsked = read_json(&body)?;
    Ok(Json(links::change(&node, asked, true, LOCAL).await?))
}

pub(crate) async fn retract_link(
    State(node): State<Node>,
    body: Bytes,
) -> Result<Json<LinkChanged>, Refusal> {
    let asked: LinkAsked = read_json(&body)?;
    Ok(Json(links::change(&node, asked, false, LOCAL).await?))
}

pub(crate) async fn walk(State(node): State<Node>, body: Bytes) -> Result<Json<Walked>, Refusal> {
    let asked: WalkAsked = read_json(&body)?;
    Ok(Json(graph::walk(&node, &asked).await?))
}
