//! What the door of a node in conformance mode answers besides the protocol: the three endpoints at
//! which a test tells us to begin, and the data of its script.

use crate::connectors::own_address;
use crate::door::Asked;
use crate::egress::{Egress, PublicDoc};
use crate::ids;
use crate::negotiate::{opened_negotiation, opened_transfer};
use crate::open::Node;
use crate::partition::NewEntry;
use serde::Deserialize;
use serde_json::json;
use twinpact_dsp::message::Offer;
use twinpact_dsp::negotiation::{self, Opening};
use twinpact_dsp::transfer;
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// Where a test tells us to negotiate.
pub const NEGOTIATIONS_PATH: &str = "/conformance/negotiations";
/// Where a test tells us to offer unasked.
pub const OFFERS_PATH: &str = "/conformance/offers";
/// Where a test tells us to ask for a transfer.
pub const TRANSFERS_PATH: &str = "/conformance/transfers";
/// Below which path the data of a script lie.
pub(crate) const DATA_PATH: &str = "/conformance/data";

/// What the test kit sends to begin a negotiation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Negotiate {
    provider_id: String,
    connector_address: String,
    dataset_id: String,
    offer_id: String,
}

/// What a test sends to have a dataset of the script offered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfferUnasked {
    consumer_id: String,
    connector_address: String,
    dataset_id: String,
}

/// What it sends to begin a transfer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transfer {
    provider_id: String,
    connector_address: String,
    agreement_id: String,
    format: String,
}

/// Answers what is no message of the protocol; `None` for one that is, or without a script.
pub(crate) async fn answer(node: &Node, asked: &Asked) -> Option<Egress> {
    node.conformance.as_ref()?;
    let fault = asked.fault.as_ref().filter(|_| asked.path.starts_with("/conformance/"));
    if let Some(fault) = fault {
        return Some(fault.clone().into());
    }
    let answered = match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", NEGOTIATIONS_PATH) => negotiate(node, &asked.body).await,
        ("POST", OFFERS_PATH) => offer(node, &asked.body).await,
        ("POST", TRANSFERS_PATH) => ask_for_transfer(node, &asked.body).await,
        ("GET", path) if path.strip_prefix(DATA_PATH).is_some_and(|at| at.starts_with('/')) => {
            data(node, asked)
        }
        _ => return None,
    };
    Some(answered.unwrap_or_else(Egress::from))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(codes::INPUT_MALFORMED, format!("the body: {error}")))
}

fn begun(pid: &str) -> Egress {
    Egress::Public(PublicDoc::Scripted(json!({ "pid": pid }).to_string()))
}

async fn negotiate(node: &Node, body: &[u8]) -> Result<Egress, Problem> {
    let asked: Negotiate = read(body)?;
    let offer = Offer {
        id: asked.offer_id,
        target: Some(asked.dataset_id),
        assigner: Some(asked.provider_id.clone()),
        assignee: None,
        policy: json!({ "permission": [{ "action": "use" }] }).into(),
    };
    begin(node, (asked.provider_id, asked.connector_address), move |opening, now| {
        opened_negotiation(&negotiation::open_as_consumer(opening, offer, now)?)
    })
    .await
}

async fn offer(node: &Node, body: &[u8]) -> Result<Egress, Problem> {
    let asked: OfferUnasked = read(body)?;
    let dataset = asked.dataset_id.as_str();
    let script = node.conformance.as_ref();
    let offer = script.and_then(|conformance| conformance.offer_of(dataset)).ok_or_else(|| {
        let why = format!("the script has no dataset {dataset:?}");
        Problem::new(codes::CONTRACT_UNKNOWN, why)
    })?;
    begin(node, (asked.consumer_id, asked.connector_address), move |opening, now| {
        opened_negotiation(&negotiation::offer_as_provider(opening, offer, now)?)
    })
    .await
}

async fn ask_for_transfer(node: &Node, body: &[u8]) -> Result<Egress, Problem> {
    let asked: Transfer = read(body)?;
    let (agreement, format) = (asked.agreement_id, asked.format);
    begin(node, (asked.provider_id, asked.connector_address), move |opening, now| {
        opened_transfer(&transfer::open_as_consumer(opening, &agreement, &format, None, now)?)
    })
    .await
}

/// Opens a process with the participant of the script, at that address.
async fn begin(
    node: &Node,
    (peer, address): (String, String),
    open: impl FnOnce(Opening<'_>, WallTime) -> Result<Vec<NewEntry>, Problem> + Send + 'static,
) -> Result<Egress, Problem> {
    let own_pid = ids::urn()?;
    let (pid, ours, now) = (own_pid.clone(), node.clone(), node.clocks.wall());
    let turn = node.partition.turn(move |turn| {
        known(&ours, &peer)?;
        let callback = own_address(&ours, turn.fold(), &peer)?;
        let opening =
            Opening { own_pid: &pid, peer: &peer, address: &address, callback: &callback };
        turn.log(open(opening, now)?).map(|_| ())
    });
    turn.await?;
    Ok(begun(&own_pid))
}

fn known(node: &Node, id: &str) -> Result<(), Problem> {
    match node.connectors.knows(id) {
        true => Ok(()),
        false => {
            let why = format!("{id} is not the participant of this script");
            Err(Problem::new(codes::PARTNER_UNKNOWN, why))
        }
    }
}

/// What the script has for the token that is shown.
fn data(node: &Node, asked: &Asked) -> Result<Egress, Problem> {
    let token = asked.bearer.as_deref().unwrap_or_default();
    let data = node.conformance.as_ref().and_then(|conformance| conformance.data(token));
    let unknown = || Problem::new(codes::POLICY_TOKEN_UNKNOWN, "the access token is not known");
    data.map(|data| Egress::Public(PublicDoc::Scripted(data))).ok_or_else(unknown)
}
