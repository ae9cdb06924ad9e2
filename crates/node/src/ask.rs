//! The door of the node: which spine a partner's request goes through.

use crate::answer::{self, Ask};
use crate::door::{Answering, Asked, Door};
use crate::egress::{Egress, PublicDoc};
use crate::negotiate;
use crate::open::Node;
use crate::prove;
use crate::tokens;
use twinpact_dsp::route::{Endpoint, match_route};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};

/// Where the signed organisation record stands.
pub const ORGANISATION_PATH: &str = "/.well-known/twinpact/organisation";

impl Door for Node {
    fn answer(&self, asked: Asked) -> Answering<'_> {
        Box::pin(async move { route(self, asked).await })
    }
}

async fn route(node: &Node, asked: Asked) -> Egress {
    if asked.method == "GET" && asked.path == ORGANISATION_PATH {
        return match prove::own_record(node) {
            Ok(record) => Egress::Public(PublicDoc::Organisation(record.to_json().canonical())),
            Err(problem) => problem.into(),
        };
    }
    let dsp = asked.path.strip_prefix("/dsp").unwrap_or(&asked.path);
    let matched = match_route(&asked.method, dsp);
    if matched.as_ref().is_some_and(|route| route.row.endpoint == Endpoint::Versions) {
        return negotiate::versions();
    }
    let Some(peer) = &asked.peer else { return unknown().into() };
    let data = asked.path.strip_prefix("/data/");
    match (matched, data) {
        (Some(route), _) if asked.path.starts_with("/dsp/") => {
            negotiate::receive(node, peer, &route, &asked.body).await
        }
        (_, Some(transfer)) if asked.method == "GET" => match ask(&asked, transfer) {
            Some(ask) => answer::answer(node, ask).await,
            None => Problem::new(codes::INPUT_MALFORMED, "the query cannot be read").into(),
        },
        (_, Some(path)) if asked.method == "POST" => {
            match path.strip_suffix("/token").and_then(decoded) {
                Some(transfer) => tokens::refresh(node, peer, &transfer).await,
                None => unknown().into(),
            }
        }
        _ => unknown().into(),
    }
}

fn ask(asked: &Asked, transfer: &str) -> Option<Ask> {
    let mut ask = Ask {
        peer: asked.peer.clone()?,
        transfer: decoded(transfer)?,
        token: asked.bearer.clone(),
        assertion: asked.assertion.clone(),
        since: None,
        until: None,
        seen: (None, None),
    };
    for pair in asked.query.as_deref().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = decoded(value)?;
        match name {
            "since" => ask.since = Some(Timestamp::parse(&value).ok()?),
            "until" => ask.until = Some(Timestamp::parse(&value).ok()?),
            "anchor" => ask.seen.0 = Some(value.parse().ok()?),
            "ledger" => ask.seen.1 = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(ask)
}

/// Percent-decoding (RFC 3986 §2.1); `None` when it is not well-formed UTF-8.
fn decoded(text: &str) -> Option<String> {
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

fn unknown() -> Problem {
    Problem::new(codes::ROUTE_UNKNOWN, "there is no such route")
}
