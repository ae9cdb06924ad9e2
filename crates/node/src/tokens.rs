//! Access tokens of our transfers as provider: issued, refreshed, retired.
//!
//! A token lives ten minutes and is bound to agreement, transfer, view, caller and revocation
//! epoch. The log holds its digest and these facts, never the token. A transfer has at most two:
//! the one in use, and its successor, which retires it when it is first used, so that an answer
//! lost on the way cuts nobody off.

use crate::agreements::Agreement;
use crate::ask::Answer;
use crate::connectors;
use crate::door::Asker;
use crate::egress::Egress;
use crate::formats;
use crate::ids;
use crate::negotiate::{Process, find};
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::processes::local;
use std::collections::BTreeMap;
use twinpact_dsp::message::{DataAddress, TransferStart};
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Message, Role, route};
use twinpact_identity::partners::PeerIdentity;
use twinpact_identity::token::{AccessToken, MAX_TOKEN_SECONDS};
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime, codes};
use twinpact_policy::{Recognised, State, TokenFacts};
use twinpact_proof::to_hex;

/// The kind of data address that HTTP pulls use.
pub(crate) const HTTP_ENDPOINT: &str = "https://w3id.org/idsa/v4.1/HTTP";

/// The tokens that are good or were good last, as the log has them.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    /// What each was issued for, by the hex of its digest.
    facts: BTreeMap<String, TokenFacts>,
    /// The digests of each transfer.
    of: BTreeMap<String, Pair>,
}

/// The token in use, and its successor.
#[derive(Debug, Clone)]
struct Pair {
    current: String,
    next: Option<String>,
    /// The last one that was good before them, which its holder is told from one that never was.
    replaced: Option<String>,
}

impl Tokens {
    /// What the token of this digest was issued for, while it is kept.
    #[must_use]
    pub fn get(&self, digest: &str) -> Option<&TokenFacts> {
        self.facts.get(digest)
    }

    /// Whether the token of this digest is a successor that was not used yet.
    #[must_use]
    pub fn succeeds(&self, digest: &str) -> bool {
        let transfer = self.facts.get(digest).and_then(|facts| self.of.get(&facts.transfer));
        transfer.is_some_and(|pair| pair.next.as_deref() == Some(digest))
    }

    /// Whether the token of this digest was the last to be replaced in that transfer.
    #[must_use]
    pub fn was_replaced(&self, transfer: &str, digest: &str) -> bool {
        self.of.get(transfer).and_then(|pair| pair.replaced.as_deref()) == Some(digest)
    }

    /// Who uses the tokens of a transfer: a SPIFFE id.
    #[must_use]
    pub fn caller(&self, transfer: &str) -> Option<&str> {
        let pair = self.of.get(transfer)?;
        self.facts.get(&pair.current).map(|facts| facts.spiffe_id.as_str())
    }

    /// When the last token of a transfer runs out or has run out.
    #[must_use]
    pub fn last_expiry(&self, transfer: &str) -> Option<WallTime> {
        let pair = self.of.get(transfer)?;
        let digests = pair.next.iter().chain([&pair.current]);
        digests.filter_map(|digest| Some(self.facts.get(digest)?.expires)).max()
    }

    /// Takes a logged record of a token into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        let digest = entry.get("digest").ok_or_else(unreadable)?;
        match entry.get("used") {
            Some(_) => self.used(digest),
            None => self.issued(digest, read(entry).ok_or_else(unreadable)?),
        }
        Ok(())
    }

    fn issued(&mut self, digest: &str, facts: TokenFacts) {
        let transfer = facts.transfer.clone();
        self.facts.insert(digest.to_owned(), facts);
        let new = Pair { current: digest.to_owned(), next: None, replaced: None };
        let Some(pair) = self.of.get_mut(&transfer) else {
            self.of.insert(transfer, new);
            return;
        };
        if let Some(unused) = pair.next.replace(digest.to_owned()) {
            self.facts.remove(&unused);
            pair.replaced = Some(unused);
        }
    }

    fn used(&mut self, digest: &str) {
        let Some(facts) = self.facts.get(digest) else { return };
        let Some(pair) = self.of.get_mut(&facts.transfer) else { return };
        if pair.next.take_if(|next| next == digest).is_some() {
            let old = std::mem::replace(&mut pair.current, digest.to_owned());
            self.facts.remove(&old);
            pair.replaced = Some(old);
        }
    }

    /// Forgets the tokens of a transfer that is over.
    pub(crate) fn forget(&mut self, transfer: &str) {
        if let Some(pair) = self.of.remove(transfer) {
            self.facts.remove(&pair.current);
            pair.next.map(|next| self.facts.remove(&next));
        }
    }
}

fn read(entry: &Entry) -> Option<TokenFacts> {
    let text = |name: &str| entry.get(name).map(str::to_owned);
    Some(TokenFacts {
        agreement: text("agreement")?,
        transfer: text("transfer")?,
        view: text("view")?,
        spiffe_id: text("caller")?,
        epoch: entry.get("epoch")?.parse().ok()?,
        expires: WallTime(Timestamp::parse(entry.get("expires")?).ok()?),
    })
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged token cannot be read")
}

/// The record that a successor was used for the first time.
#[must_use]
pub(crate) fn used(peer: &str, digest: &str) -> NewEntry {
    let what = vec![Attribute::new("digest", "text", digest), Attribute::new("used", "text", "1")];
    local(Kind::Token, peer, what)
}

/// A fresh token for a transfer of ours: the record of it, and the address that holds it.
///
/// # Errors
/// `internal` without randomness.
pub(crate) fn issue(
    node: &Node,
    turn: &Turn<'_>,
    agreement: &Agreement,
    (peer, spiffe): (&str, &str),
    state: &Transfer,
    now: WallTime,
) -> Result<(NewEntry, DataAddress), Problem> {
    let transfer = state.party.own_pid.as_str();
    let token = AccessToken::new(&ids::random_bytes()?);
    let expires = now.0.plus_seconds(MAX_TOKEN_SECONDS);
    let what = vec![
        Attribute::new("digest", "text", to_hex(&token.digest().0)),
        Attribute::new("agreement", "text", to_hex(&agreement.id)),
        Attribute::new("transfer", "text", transfer),
        Attribute::new("view", "text", &agreement.wire.target),
        Attribute::new("caller", "text", spiffe),
        Attribute::new("epoch", "integer", agreement.epoch.to_string()),
        Attribute::new("expires", "text", expires.to_string()),
    ];
    let dsp = connectors::own_address(node, turn.fold(), peer)?;
    let base = dsp.strip_suffix(connectors::DSP_PATH).unwrap_or(&dsp);
    let leaf = if state.format == formats::STREAM { "/stream" } else { "" };
    let endpoint = format!("{base}/data/{}{leaf}", route::segment(transfer));
    let address = match node.connectors.knows(peer) {
        true => connectors::data_address(endpoint, token.secret()),
        false => DataAddress {
            endpoint_type: HTTP_ENDPOINT.to_owned(),
            endpoint: Some(endpoint),
            properties: named("", [("authorization", token.secret()), ("authType", "bearer")]),
        },
    };
    Ok((local(Kind::Token, peer, what), address))
}

/// What the consumer is told of an address that was made for it: nothing when it is we who send.
pub(crate) fn told(state: &Transfer, address: DataAddress) -> Option<DataAddress> {
    (state.format != formats::PUSH).then_some(address)
}

/// What starts a transfer of ours as provider again: a fresh token, and the decision with it.
///
/// # Errors
/// As [`granting`]; `internal` without randomness.
pub(crate) fn starting(
    node: &Node,
    turn: &Turn<'_>,
    state: &Transfer,
    now: WallTime,
) -> Result<(NewEntry, transfer::Decision), Problem> {
    let (peer, pid) = (state.party.peer.as_str(), state.party.own_pid.as_str());
    let agreement = granting(turn, peer, &state.agreement_id)?;
    let spiffe = turn.fold().processes.tokens.caller(pid).unwrap_or_default();
    let (token, address) = issue(node, turn, agreement, (peer, spiffe), state, now)?;
    Ok((token, transfer::Decision::Start { data_address: told(state, address) }))
}

/// Properties of a data address, each name behind that prefix.
pub(crate) fn named<const N: usize>(
    prefix: &str,
    properties: [(&str, &str); N],
) -> Vec<(String, String)> {
    properties.map(|(name, value)| (format!("{prefix}{name}"), value.to_owned())).into()
}

/// The agreement that a transfer of ours may deliver under.
///
/// # Errors
/// `agreement.unknown`; `policy.revoked` or `agreement.ended` when it does not hold any more.
pub(crate) fn granting<'t>(
    turn: &'t Turn<'_>,
    peer: &str,
    at_id: &str,
) -> Result<&'t Agreement, Problem> {
    let unknown = || Problem::new(codes::AGREEMENT_UNKNOWN, "there is no such agreement");
    let agreement = turn.fold().agreements.granted_to(peer, at_id).ok_or_else(unknown)?;
    match agreement.state {
        State::Active => Ok(agreement),
        State::Revoked { .. } => {
            Err(Problem::new(codes::POLICY_REVOKED, "the agreement was revoked"))
        }
        _ => Err(Problem::new(codes::AGREEMENT_ENDED, "the agreement does not hold any more")),
    }
}

/// Answers a partner that wants a fresh token for a transfer that has started. The old one stays
/// good until the new one is used.
pub(crate) async fn refresh(node: &Node, peer: &PeerIdentity, transfer: &str) -> Answer {
    let (now, pid) = (node.clocks.wall(), transfer.to_owned());
    let (did, spiffe) = (peer.did.to_string(), peer.spiffe_id.to_string());
    let ours = node.clone();
    let turn = node.partition.turn(move |turn| {
        let state = started(&turn, &pid).filter(|state| state.party.peer == did);
        let state = state.ok_or_else(unknown)?;
        let agreement = granting(&turn, &did, &state.agreement_id)?;
        let (entry, address) = issue(&ours, &turn, agreement, (&did, &spiffe), &state, now)?;
        let start = TransferStart {
            id: Some(ids::urn()?),
            pids: state.party.pids(),
            data_address: Some(address),
        };
        turn.log(vec![entry])?;
        Ok(Message::TransferStart(start))
    });
    match turn.await {
        Ok(start) => {
            Answer::recorded(Egress::Protocol { status: 200, message: Some(Box::new(start)) })
        }
        Err(problem) => Answer::unrecorded(problem.into()),
    }
}

/// The start message of a transfer whose token did not survive a stop, with a fresh one.
///
/// # Errors
/// As [`granting`]; `route.unknown` when the transfer is not started.
pub(crate) async fn start_again(node: &Node, pid: &str, id: &str) -> Result<Message, Problem> {
    let (now, pid, id, ours) = (node.clocks.wall(), pid.to_owned(), id.to_owned(), node.clone());
    let turn = node.partition.turn(move |turn| {
        let state = started(&turn, &pid).ok_or_else(unknown)?;
        let peer = state.party.peer.clone();
        let agreement = granting(&turn, &peer, &state.agreement_id)?;
        let spiffe = turn.fold().processes.tokens.caller(&pid).unwrap_or_default().to_owned();
        let (entry, address) = issue(&ours, &turn, agreement, (&peer, &spiffe), &state, now)?;
        let (id, pids, data_address) = (Some(id), state.party.pids(), told(&state, address));
        turn.log(vec![entry])?;
        Ok(Message::TransferStart(TransferStart { id, pids, data_address }))
    });
    turn.await
}

/// A fresh token for what we send ourselves in a transfer that has started, and who it is for. It
/// leaves this process in no message.
///
/// # Errors
/// As [`granting`]; `route.unknown` when the transfer is not started.
pub(crate) async fn own(node: &Node, pid: &str) -> Result<(Transfer, Asker, String), Problem> {
    let (now, pid, ours) = (node.clocks.wall(), pid.to_owned(), node.clone());
    let turn = node.partition.turn(move |turn| {
        let state = started(&turn, &pid).ok_or_else(unknown)?;
        let peer = state.party.peer.clone();
        let agreement = granting(&turn, &peer, &state.agreement_id)?;
        let workload = turn.fold().processes.tokens.caller(&pid).unwrap_or_default().to_owned();
        let (entry, address) = issue(&ours, &turn, agreement, (&peer, &workload), &state, now)?;
        turn.log(vec![entry])?;
        let by = ours.connectors.by_token(&peer).unwrap_or(Recognised::Certificate);
        let token = address.property("authorization").unwrap_or_default().to_owned();
        Ok((state, Asker { id: peer, workload, by }, token))
    });
    turn.await
}

fn started(turn: &Turn<'_>, pid: &str) -> Option<Transfer> {
    match find(turn.fold(), pid) {
        Some(Process::Transfer(state))
            if state.party.role == Role::Provider && state.state == transfer::State::Started =>
        {
            Some(*state)
        }
        _ => None,
    }
}

fn unknown() -> Problem {
    Problem::new(codes::ROUTE_UNKNOWN, "there is no such transfer")
}
