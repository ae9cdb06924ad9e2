//! The door of the node: which spine a partner's request goes through, and that nothing is answered
//! before it is on record.

use crate::answer::{self, Ask};
use crate::behind;
use crate::connectors;
use crate::documents;
use crate::door::{Answering, Asked, Asker, Door, Way};
use crate::egress::{Egress, PublicDoc};
use crate::invitations;
use crate::log_door;
use crate::messages::{self, MESSAGES_PATH};
use crate::negotiate::{self, Caller};
use crate::open::Node;
use crate::processes::{DOCUMENTS_PATH, local};
use crate::prove;
use crate::pushed;
use crate::repin;
use crate::shelf;
use crate::strangers::Away;
use crate::stream::{self, Start};
use crate::tokens;
use std::sync::OnceLock;
use twinpact_dsp::route::{Endpoint, match_route};
use twinpact_dsp::{MAX_MESSAGE_BYTES, Message};
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::entry::{Attribute, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::view::Cursor;
use twinpact_model::{Iri, Timestamp, codes};

/// How much of a method and of a path is written into the log, in characters.
const MAX_PATH: usize = 256;
/// Where the signed organisation record stands, and where a partner sends its own, or ours when we
/// do not know the key of a checkpoint of ours that it holds.
pub const ORGANISATION_PATH: &str = "/.well-known/twinpact/organisation";

/// Where somebody who was invited joins.
pub const JOIN_PATH: &str = "/.well-known/twinpact/join";

/// An answer, and whether the log has an entry that it is covered by.
pub(crate) struct Answer {
    pub(crate) egress: Egress,
    recorded: bool,
}

impl Answer {
    /// It was written into the log what this answers.
    pub(crate) const fn recorded(egress: Egress) -> Answer {
        Answer { egress, recorded: true }
    }

    /// Nothing was written yet.
    pub(crate) const fn unrecorded(egress: Egress) -> Answer {
        Answer { egress, recorded: false }
    }
}

impl Door for Node {
    fn is_claimed(&self, shown: Option<&str>) -> bool {
        connectors::is_claimed(self, shown)
    }

    fn turned_away(&self, away: Away) {
        self.strangers.count(away, self.clocks.wall());
    }

    fn answer(&self, asked: Asked) -> Answering<'_> {
        Box::pin(async move {
            let _at_work = self.partition.at_work();
            if asked.way != Way::Federation {
                let egress = Box::pin(connectors::answer(self, &asked)).await;
                self.metrics.answered(&asked.path, &outcome(&egress).1);
                return egress;
            }
            let joins = asked.peer.is_none() && asked.method == "POST" && asked.path == JOIN_PATH;
            let egress = match public(self, &asked) {
                // A partner has nothing to join; who has no name is answered without one.
                _ if joins => Box::pin(invitations::receive(self, &asked.body)).await,
                Some(document) => document,
                None => partner(self, &asked).await,
            };
            self.metrics.answered(&asked.path, &outcome(&egress).1);
            egress
        })
    }
}

/// The documents that everybody may read.
fn public(node: &Node, asked: &Asked) -> Option<Egress> {
    if asked.method == "GET" && asked.path == ORGANISATION_PATH {
        return Some(match prove::own_record(node) {
            Ok(record) => Egress::Public(PublicDoc::Organisation(record.to_json().canonical())),
            Err(problem) => problem.into(),
        });
    }
    let dsp = asked.path.strip_prefix("/dsp").unwrap_or(&asked.path);
    let versions = match_route(&asked.method, dsp)
        .is_some_and(|route| route.row.endpoint == Endpoint::Versions);
    versions.then(negotiate::versions)
}

/// Answers a partner. What is answered is on record before it is sent; only what is beyond a
/// partner's rate is counted instead.
async fn partner(node: &Node, asked: &Asked) -> Egress {
    let Some(peer) = &asked.peer else { return unknown().into() };
    node.partition.between_frames().await;
    let now = node.clocks.wall();
    // What is longer than a message is not looked at, and nothing of it is kept.
    let bytes = Some(asked.body.len()).filter(|bytes| *bytes <= MAX_MESSAGE_BYTES);
    // What we have asked for is not counted against who brings it.
    let awaited = pushed::is_awaited(node, peer.did.as_str(), asked);
    let bytes = bytes.filter(|_| !awaited).unwrap_or(0);
    if let Err(problem) = node.rates.request(peer.did.as_str(), bytes, now) {
        node.strangers.count(Away::PartnerRate, now);
        return negotiate::refused(&asked.method, &asked.path, problem);
    }
    node.heard.from(peer.did.as_str());
    let pushed = asked.method == "POST" && asked.path == ORGANISATION_PATH;
    let record = pushed.then_some(asked.body.as_slice());
    if let Some(held) = &asked.checkpoint
        && let Err(problem) = behind::heed(node, peer.did.as_str(), held, record).await
    {
        return answered(node, peer.did.as_str(), asked, problem.into()).await;
    }
    let answer = route(node, peer, asked).await;
    on_record(node, peer.did.as_str(), asked, answer).await
}

/// The answer to this participant, once it is on record.
pub(crate) async fn on_record(node: &Node, peer: &str, asked: &Asked, answer: Answer) -> Egress {
    match answer.recorded {
        true => answer.egress,
        false => answered(node, peer, asked, answer.egress).await,
    }
}

/// The answer, once it is on record that this participant was given it.
async fn answered(node: &Node, peer: &str, asked: &Asked, egress: Egress) -> Egress {
    match record(node, peer, asked, &egress).await {
        Ok(()) => egress,
        Err(problem) => problem.into(),
    }
}

/// What is not asked for in every exchange is boxed: the room that the longest way takes would be
/// had, and moved, for each request else.
async fn route(node: &Node, peer: &PeerIdentity, asked: &Asked) -> Answer {
    let refuse = |problem: Problem| Answer::unrecorded(problem.into());
    let protocol = asked
        .path
        .strip_prefix(connectors::DSP_PATH)
        .and_then(|dsp| match_route(&asked.method, dsp));
    if let Some(fault) = &asked.fault {
        return match protocol {
            Some(route) => Answer::unrecorded(negotiate::unreadable(&route, fault)),
            None => refuse(fault.clone()),
        };
    }
    if asked.method == "POST" && asked.path == ORGANISATION_PATH {
        return Box::pin(repin::receive(node, peer, &asked.body)).await;
    }
    if let Some(route) = protocol {
        let workload = peer.spiffe_id.to_string();
        let caller = Caller { id: peer.did.as_str(), workload: &workload };
        return negotiate::receive(node, caller, &route, asked).await;
    }
    if (asked.method.as_str(), asked.path.as_str()) == ("POST", DOCUMENTS_PATH) {
        return documents::receive(node, peer, &asked.body).await;
    }
    if (asked.method.as_str(), asked.path.as_str()) == ("POST", MESSAGES_PATH) {
        return Box::pin(messages::receive(node, peer, asked)).await;
    }
    if let Some(answer) = log_door::answer(node, peer, asked).await {
        return answer;
    }
    if let Some(schema) = shelf::schema_at(node, peer.did.as_str(), asked) {
        return Answer::unrecorded(schema);
    }
    let Some(data) = asked.path.strip_prefix("/data/") else { return refuse(unknown()) };
    match asked.method.as_str() {
        "GET" => read(node, asked, peer.into(), data).await,
        "POST" => match data.strip_suffix("/token").and_then(decoded) {
            Some(transfer) => Box::pin(tokens::refresh(node, peer, &transfer)).await,
            None => match decoded(data).filter(|_| !data.contains('/')) {
                Some(transfer) => {
                    Box::pin(pushed::receive(node, peer, &transfer, &asked.body)).await
                }
                None => refuse(unknown()),
            },
        },
        _ => refuse(unknown()),
    }
}

/// Answers who asks for a view, or for the stream of one.
pub(crate) async fn read(node: &Node, asked: &Asked, peer: Asker, data: &str) -> Answer {
    let unreadable = || {
        let problem = Problem::new(codes::INPUT_MALFORMED, "the query cannot be read");
        Answer::unrecorded(problem.into())
    };
    match data.ends_with("/stream") {
        true => match streamed(asked, peer, data) {
            Some((ask, start)) => Box::pin(stream::open(node, ask, start)).await,
            None => unreadable(),
        },
        false => match ask(asked, peer, data) {
            Some(ask) => answer::answer(node, ask).await,
            None => unreadable(),
        },
    }
}

/// That a request was answered, by which nothing else was recorded: what was read of the catalogue
/// or of a process, and what was refused.
async fn record(node: &Node, peer: &str, asked: &Asked, egress: &Egress) -> Result<(), Problem> {
    let (status, code) = outcome(egress);
    let brief = |text: &str| text.chars().take(MAX_PATH).collect::<String>();
    let what = vec![
        Attribute::new("method", "text", brief(&asked.method)),
        Attribute::new("path", "text", brief(&asked.path)),
        Attribute::new("status", "integer", status.to_string()),
        Attribute::new("code", "text", code),
    ];
    let entry = local(Kind::Answered, peer, what);
    node.partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await
}

/// The status, and the code of a refusal; of a success it is empty.
#[must_use]
pub fn outcome(egress: &Egress) -> (u16, String) {
    match egress {
        Egress::Permitted(_) | Egress::Stream(_) | Egress::Public(_) | Egress::Schema(_) => {
            (200, String::new())
        }
        Egress::Together(_) => (200, String::new()),
        Egress::Log(document) => (document.parts().0, String::new()),
        Egress::Catalog(document) => (document.status(), String::new()),
        Egress::Protocol { status, message } => {
            let code = match message.as_deref() {
                Some(Message::NegotiationError(error) | Message::TransferError(error)) => {
                    error.code.clone()
                }
                Some(Message::CatalogError(error)) => error.code.clone(),
                _ => None,
            };
            (*status, code.unwrap_or_default())
        }
        Egress::Fault(fault) => {
            let code = fault.document.get("code").and_then(|code| code.as_str());
            (fault.status, code.unwrap_or_default().to_owned())
        }
    }
}

/// What is asked for, without what the query says.
fn plain(asked: &Asked, peer: Asker, transfer: &str) -> Option<Ask> {
    Some(Ask {
        peer,
        transfer: decoded(transfer)?,
        token: asked.bearer.clone(),
        assertion: asked.assertion.clone(),
        since: None,
        until: None,
        twin: None,
        after: None,
        seen: (None, None),
        contract: OnceLock::new(),
    })
}

/// Names and values of the query; `None` for one that cannot be read.
fn pairs(asked: &Asked) -> impl Iterator<Item = Option<(&str, String)>> {
    let query = asked.query.as_deref().unwrap_or_default();
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name, decoded(value)?))
    })
}

/// A stream, and where it begins: behind the last event that its reader says it has, whatever the
/// query says, since a reader that comes again repeats its query (WHATWG HTML §9.2.3).
fn streamed(asked: &Asked, peer: Asker, data: &str) -> Option<(Ask, Start)> {
    let mut ask = plain(asked, peer, data.strip_suffix("/stream")?)?;
    let mut start = None;
    for pair in pairs(asked) {
        let (name, value) = pair?;
        match (name, value.as_str()) {
            ("after", position) if start.is_none() => {
                start = Some(Start::Behind(position.parse().ok()?));
            }
            ("from", "start") if start.is_none() => start = Some(Start::Beginning),
            ("anchor", size) => ask.seen.0 = Some(size.parse().ok()?),
            ("ledger", size) => ask.seen.1 = Some(size.parse().ok()?),
            _ => return None,
        }
    }
    if let Some(last) = asked.last_event.as_deref().filter(|last| !last.is_empty()) {
        start = Some(Start::Behind(last.parse().ok()?));
    }
    Some((ask, start.unwrap_or(Start::Now)))
}

fn ask(asked: &Asked, peer: Asker, transfer: &str) -> Option<Ask> {
    let mut ask = plain(asked, peer, transfer)?;
    for pair in pairs(asked) {
        let (name, value) = pair?;
        match name {
            "since" => ask.since = Some(Timestamp::parse(&value).ok()?),
            "until" => ask.until = Some(Timestamp::parse(&value).ok()?),
            "twin" => ask.twin = Some(Iri::new(value).ok()?),
            "after" => ask.after = Some(Cursor::parse(&value).ok()?),
            "anchor" => ask.seen.0 = Some(value.parse().ok()?),
            "ledger" => ask.seen.1 = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(ask)
}

/// Percent-encoding (RFC 3986 §2.1) of a value in a query: all but unreserved characters.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Percent-decoding (RFC 3986 §2.1); `None` when it is not well-formed UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

pub(crate) fn unknown() -> Problem {
    Problem::new(codes::ROUTE_UNKNOWN, "there is no such route")
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded};

    #[test]
    fn what_is_encoded_is_decoded() {
        for (text, expect) in [
            ("", ""),
            ("2015-07-27T05:00:00Z~1~urn:a", "2015-07-27T05%3A00%3A00Z~1~urn%3Aa"),
            ("urn:a&after=b%41+é", "urn%3Aa%26after%3Db%2541%2B%C3%A9"),
        ] {
            assert_eq!(encoded(text), expect);
            assert_eq!(decoded(expect).as_deref(), Some(text));
        }
        for bad in ["%", "%4", "%4g", "%FF"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
