//! How well the exchange does, at the admin door.

use crate::admin::Nothing;
use crate::refusal::Refusal;
use axum::Json;
use axum::extract::{Query, State};
use twinpact_node::api::Kpis;
use twinpact_node::{Node, kpis};

pub(crate) async fn show(
    State(node): State<Node>,
    _: Query<Nothing>,
) -> Result<Json<Kpis>, Refusal> {
    Ok(Json(kpis::show(&node).await?))
}
