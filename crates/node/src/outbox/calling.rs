//! Calls to a partner at the endpoints of its pinned record: with what we hold of its log, again
//! when it has a newer certificate, and with its record when it does not know its own key.

use crate::ask::ORGANISATION_PATH;
use crate::behind::{CHECKPOINT_HEADER, MAX_CHECKPOINT_BYTES};
use crate::connectors;
use crate::open::Node;
use crate::outbound::{Call, Flowing, Outbound, Reply};
use crate::partners::{self, Partner};
use crate::repin::{self, Reason};
use crate::seen;
use std::sync::Arc;
use twinpact_dsp::MAX_MESSAGE_BYTES;
use twinpact_model::codes;
use twinpact_model::problem::{Code, Problem};
use twinpact_proof::note::Note;
use twinpact_proof::text64;

/// Where a partner's node is, by its pinned record.
pub(crate) fn base(partner: &Partner) -> String {
    let dsp = &partner.record.dsp;
    dsp.strip_suffix("/dsp").unwrap_or(dsp).to_owned()
}

/// Calls a partner at an endpoint of its pinned record.
///
/// # Errors
/// `partner.unknown`; what the outbound port refuses; `internal` when there is none.
pub async fn call(
    node: &Node,
    peer: &str,
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    max_bytes: usize,
) -> Result<Reply, Problem> {
    if node.connectors.knows(peer) {
        return connectors::call(node, peer, (method, url), headers, (body, max_bytes)).await;
    }
    let (partner, call) = prepared(node, peer, (method, url), headers, (body, max_bytes)).await?;
    let outbound = way_out(node)?;
    let called = match outbound.call(call.clone()).await {
        // It has come no further than the handshake, so it may be made again.
        Err(refused) if refused.code == codes::TLS_REFUSED => {
            let seen = partner.envelope.fingerprint();
            match repin::look(node, peer, Reason::Certificate, &seen).await {
                true => outbound.call(call.clone()).await,
                false => Err(refused),
            }
        }
        called => called,
    };
    match called {
        Ok(reply) if says(&reply, codes::ANCHOR_CLAIMED) => {
            Ok(vouch(outbound.as_ref(), &partner, call).await.unwrap_or(reply))
        }
        called => called,
    }
}

/// Asks a partner about logs at a path of its node, without showing it what we hold of its own.
///
/// # Errors
/// As [`call`].
pub(crate) async fn call_plainly(
    node: &Node,
    peer: &str,
    path: &str,
    max_bytes: usize,
) -> Result<Reply, Problem> {
    let partner = node.partition.read(|fold, _| fold.partners.get(peer).cloned())??;
    let base = base(&partner);
    let call = Call {
        trust_domain: partners::trust_domain(&partner)?,
        url: format!("{base}{path}"),
        pinned: vec![base],
        method: "GET",
        headers: Vec::new(),
        body: Vec::new(),
        max_bytes,
    };
    way_out(node)?.call(call).await
}

/// Asks a partner for an answer that is read as it comes.
///
/// # Errors
/// As [`call`].
pub(crate) async fn flow(
    node: &Node,
    peer: &str,
    url: String,
    headers: Vec<(&'static str, String)>,
) -> Result<Flowing, Problem> {
    let nothing = (Vec::new(), MAX_MESSAGE_BYTES);
    let (partner, call) = prepared(node, peer, ("GET", url), headers, nothing).await?;
    let outbound = way_out(node)?;
    match outbound.flow(call.clone()).await {
        Err(refused) if refused.code == codes::TLS_REFUSED => {
            let seen = partner.envelope.fingerprint();
            match repin::look(node, peer, Reason::Certificate, &seen).await {
                true => outbound.flow(call).await,
                false => Err(refused),
            }
        }
        flowing => flowing,
    }
}

pub(crate) fn way_out(node: &Node) -> Result<Arc<dyn Outbound>, Problem> {
    let none = || Problem::new(codes::INTERNAL, "the node has no way out");
    node.outbound.get().cloned().ok_or_else(none)
}

/// A call to an endpoint of a partner's pinned record, with the last checkpoint of it.
async fn prepared(
    node: &Node,
    peer: &str,
    (method, url): (&'static str, String),
    mut headers: Vec<(&'static str, String)>,
    (body, max_bytes): (Vec<u8>, usize),
) -> Result<(Arc<Partner>, Call), Problem> {
    let read = node.partition.read_between(|fold, _| {
        let partner = Arc::clone(fold.partners.get(peer)?);
        let held = seen::of_partner(fold, &partner.record).map(str::to_owned);
        Ok::<_, Problem>((partner, held))
    });
    let (partner, held) = read.await??;
    // What it has signed: if its directory is an older copy of itself, it learns so from us. Lines
    // of others would be of no use to it, and could make it too long to be read.
    let note = held.and_then(|held| Note::parse(&held));
    let keys = partner.record.all_keys();
    let signed = note.and_then(|note| note.of_log(&keys, MAX_CHECKPOINT_BYTES / 4 * 3));
    headers.extend(signed.map(|text| (CHECKPOINT_HEADER, text64::encode(text.as_bytes()))));
    let base = base(&partner);
    let trust_domain = partners::trust_domain(&partner)?;
    let call = Call { trust_domain, pinned: vec![base], method, url, headers, body, max_bytes };
    Ok((partner, call))
}

/// Sends a partner that does not know the key of its checkpoint the record of its that names it. If
/// it is an older copy of itself, it has a key that has signed the record. Its answer, when it has
/// understood; what became of the request is known by the first answer else.
async fn vouch(outbound: &dyn Outbound, partner: &Partner, refused: Call) -> Option<Reply> {
    let Call { trust_domain, pinned, mut headers, .. } = refused;
    headers.retain(|(name, _)| *name == CHECKPOINT_HEADER);
    let url = format!("{}{ORGANISATION_PATH}", base(partner));
    let body = partner.envelope.to_json().canonical().into_bytes();
    let max_bytes = MAX_MESSAGE_BYTES;
    let call = Call { trust_domain, pinned, method: "POST", url, headers, body, max_bytes };
    outbound.call(call).await.ok().filter(|reply| says(reply, codes::ANCHOR_BEHIND))
}

/// Whether an answer is a refusal with that code.
fn says(reply: &Reply, code: Code) -> bool {
    let said = || serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let is = |said: serde_json::Value| said.get("code").is_some_and(|said| said == code.name);
    reply.status >= 400 && said().is_some_and(is)
}
