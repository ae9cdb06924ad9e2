//! Negotiations at the admin door: what waits for a person, and what that person decides; and why a
//! negotiation or transfer is where it is.

use crate::admin::{Nothing, read_json};
use crate::owned::Listed;
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use twinpact_node::Node;
use twinpact_node::api::{
    CounterAsked, NegotiationLine, NegotiationShown, OfferAsked, TerminateAsked, WhyShown,
};
use twinpact_node::negotiations::{self, Wish};

type Shown = Result<Json<NegotiationShown>, Refusal>;

pub(crate) async fn list(State(node): State<Node>, _: Query<Nothing>) -> Listed<NegotiationLine> {
    Ok(Json(negotiations::list(&node)?))
}

pub(crate) async fn show(
    State(node): State<Node>,
    Path(pid): Path<String>,
    _: Query<Nothing>,
) -> Shown {
    Ok(Json(negotiations::show(&node, &pid)?))
}

pub(crate) async fn offer(State(node): State<Node>, body: Bytes) -> Shown {
    let asked: OfferAsked = read_json(&body)?;
    Ok(Json(negotiations::offer(&node, &asked).await?))
}

pub(crate) async fn accept(State(node): State<Node>, Path(pid): Path<String>, _: Bytes) -> Shown {
    Ok(Json(negotiations::decide(&node, &pid, Wish::Accept).await?))
}

pub(crate) async fn counter(
    State(node): State<Node>,
    Path(pid): Path<String>,
    body: Bytes,
) -> Shown {
    let asked: CounterAsked = read_json(&body)?;
    Ok(Json(negotiations::decide(&node, &pid, Wish::Counter(asked.policy)).await?))
}

pub(crate) async fn terminate(
    State(node): State<Node>,
    Path(pid): Path<String>,
    body: Bytes,
) -> Shown {
    let asked: TerminateAsked = read_json(&body)?;
    Ok(Json(negotiations::decide(&node, &pid, Wish::Terminate(asked.reason)).await?))
}

pub(crate) async fn why(
    State(node): State<Node>,
    Path(pid): Path<String>,
    _: Query<Nothing>,
) -> Result<Json<WhyShown>, Refusal> {
    Ok(Json(twinpact_node::why::why(&node, &pid)?))
}
