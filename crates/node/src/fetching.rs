//! Data of somebody else's connector: fetched under an agreement with its transfer's token, handed
//! to who asked, and not kept. Nothing proves them, so that there is no copy and no receipt of
//! them; that they came, how many bytes and with which digest, is on record.

use crate::api::{Fetch, Fetched};
use crate::channel::{self, Way};
use crate::connectors;
use crate::consumer::{MAX_DELIVERY_BYTES, granted, refused};
use crate::open::Node;
use crate::partition::NewEntry;
use crate::processes::local;
use crate::sinks;
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Kind};
use twinpact_model::problem::Problem;
use twinpact_proof::digest::sha256;
use twinpact_proof::{text64, to_hex};

/// Fetches what an agreement with a connector gives us, or has it sent. To fetch, the transfer is
/// opened when there is none, and its token is shown as it came; what is sent has a transfer of its
/// own.
///
/// # Errors
/// `agreement.unknown`, `agreement.ended`; `exchange.refused` when the agreement is with a partner,
/// or the connector answers with another status than 200; `exchange.waiting` when it does not
/// start the transfer.
pub async fn fetch(node: &Node, asked: &Fetch) -> Result<Fetched, Problem> {
    let (id, at_id, peer) = node.partition.read(|fold, _| granted(fold, &asked.agreement))??;
    if node.connectors.get(&peer).is_none() {
        let why = format!("{peer} is a partner, whose data come with proofs");
        return Err(refused(&why).hint(format!("twinpact pull {}", asked.agreement)));
    }
    if asked.push {
        return sinks::ask(node, id, at_id, peer).await;
    }
    let way = channel::open(node, &at_id, &peer).await?;
    let Way { pid, url, token } = way;
    let headers = vec![("authorization", token.clone()), ("accept", "*/*".to_owned())];
    let nothing = (Vec::new(), MAX_DELIVERY_BYTES);
    let reply = connectors::call(node, &peer, ("GET", url), headers, nothing).await?;
    if reply.status != 200 {
        // Another token may be better: whoever asks again gets one.
        node.secrets.forget_token(&pid, &token);
        let why = format!("{peer} answered with status {}", reply.status);
        let hint = "ask again for another token; if it stays so, ask the other side";
        return Err(Problem::new(codes::EXCHANGE_REFUSED, why).hint(hint));
    }
    let entry = came(&peer, &id, &pid, &reply.body);
    node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await?;
    Ok(shown(id, pid, reply.body))
}

/// That such data of a connector came under an agreement.
pub(crate) fn came(peer: &str, agreement: &str, pid: &str, body: &[u8]) -> NewEntry {
    let what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("transfer", "text", pid),
        Attribute::new("bytes", "integer", body.len().to_string()),
        Attribute::new("sha256", "text", to_hex(&sha256(body))),
    ];
    local(Kind::Fetched, peer, what)
}

/// What came, for who asked for it.
pub(crate) fn shown(agreement: String, transfer: String, body: Vec<u8>) -> Fetched {
    let (bytes, sha256) = (body.len() as u64, to_hex(&sha256(&body)));
    let (text, base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(other) => (None, Some(text64::encode(other.as_bytes()))),
    };
    Fetched { agreement, transfer, bytes, sha256, text, base64 }
}
