//! Connectors of others: participants whose software is not ours, so that there is no signed record
//! of theirs to pin.
//!
//! They come through a door of their own, which is plain HTTP on loopback, and speak the Dataspace
//! Protocol and nothing else. A process with one of them runs through the same spine as one with a
//! partner ([`crate::negotiate`]); what differs is how it is recognised and how it is called, and
//! both are here. Signed documents are for partners alone.

use crate::ask::{self, Answer};
use crate::conformance;
use crate::door::Asked;
use crate::egress::Egress;
use crate::fold::Fold;
use crate::negotiate::{self, Caller};
use crate::open::Node;
use crate::outbound::{PlainCall, Reply};
use crate::partners::Partner;
use std::net::SocketAddr;
use std::sync::OnceLock;
use twinpact_dsp::route::{Endpoint, match_route};
use twinpact_identity::outgoing::{Host, Network, Scheme, Target};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// Below which path the protocol's endpoints lie.
pub const DSP_PATH: &str = "/dsp";

/// The connectors that a node deals with. A node of an organisation has none; one in conformance
/// mode has whoever calls.
#[derive(Debug, Default)]
pub struct Connectors {
    /// Where their door listens, on loopback.
    pub listen: Option<SocketAddr>,
    /// The participant that every caller is.
    anybody: Option<String>,
    /// The base address that they use, once the door is bound.
    endpoint: OnceLock<String>,
}

impl Connectors {
    /// A door at that address at which every caller is this participant.
    #[must_use]
    pub fn of_anybody(listen: SocketAddr, id: &str) -> Connectors {
        Connectors { listen: Some(listen), anybody: Some(id.to_owned()), endpoint: OnceLock::new() }
    }

    /// The door is bound there. It is told once.
    pub fn bound(&self, address: SocketAddr) {
        let _ = self.endpoint.set(format!("http://{address}{DSP_PATH}"));
    }

    /// The base address of the protocol's endpoints at that door.
    ///
    /// # Errors
    /// `internal` before it is bound.
    pub fn endpoint(&self) -> Result<&str, Problem> {
        let unbound = || Problem::new(codes::INTERNAL, "the door for connectors is not bound");
        self.endpoint.get().map(String::as_str).ok_or_else(unbound)
    }

    /// The root of that door.
    ///
    /// # Errors
    /// As [`endpoint`](Self::endpoint).
    pub fn root(&self) -> Result<&str, Problem> {
        self.endpoint().map(|endpoint| endpoint.strip_suffix(DSP_PATH).unwrap_or(endpoint))
    }

    /// Who calls.
    fn caller(&self) -> Option<&str> {
        self.anybody.as_deref()
    }

    /// Whether this participant is one of them.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.anybody.as_deref() == Some(id)
    }
}

/// Whom a process is with.
pub(crate) enum Participant {
    /// A partner.
    Partner(Box<Partner>),
    /// Somebody else's connector.
    Connector,
}

impl Participant {
    /// Whether its callbacks may lie there.
    pub(crate) fn covers(&self, address: &str) -> bool {
        match self {
            Participant::Partner(partner) => {
                let pinned = partner.record.dsp.as_str();
                let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
                address.strip_prefix(pinned).is_some_and(below)
            }
            Participant::Connector => Target::parse(address).is_ok_and(|t| is_on_loopback(&t)),
        }
    }
}

/// Whether a URL names this machine, and stays without TLS. A name is held against the address that
/// is dialled, too.
fn is_on_loopback(target: &Target) -> bool {
    let here = match &target.host {
        Host::Address(address) => Network::of(*address) == Network::Loopback,
        Host::Name(name) => name == "localhost",
    };
    here && target.scheme == Scheme::Http
}

/// The participant of that id, when we deal with it.
///
/// # Errors
/// `partner.unknown`.
pub(crate) fn participant(node: &Node, fold: &Fold, id: &str) -> Result<Participant, Problem> {
    match node.connectors.knows(id) {
        true => Ok(Participant::Connector),
        false => Ok(Participant::Partner(Box::new(fold.partners.get(id)?.clone()))),
    }
}

/// Our base address for a participant: that of the door that it uses.
///
/// # Errors
/// `internal` before there is one.
pub(crate) fn own_address(node: &Node, fold: &Fold, id: &str) -> Result<String, Problem> {
    match node.connectors.knows(id) {
        true => node.connectors.endpoint().map(str::to_owned),
        false => Ok(fold.organisation.current()?.0.dsp.clone()),
    }
}

/// Answers a request at the door for connectors. As for partners, what is answered is on record
/// before it is sent.
pub(crate) async fn answer(node: &Node, asked: &Asked) -> Egress {
    if let Some(egress) = conformance::answer(node, asked).await {
        return egress;
    }
    let Some(route) = asked
        .path
        .strip_prefix(DSP_PATH)
        .or_else(|| asked.path.starts_with("/.well-known/").then_some(asked.path.as_str()))
        .and_then(|path| match_route(&asked.method, path))
    else {
        return Problem::new(codes::ROUTE_UNKNOWN, "there is no such route").into();
    };
    if route.row.endpoint == Endpoint::Versions {
        return negotiate::versions();
    }
    let Some(id) = node.connectors.caller() else { return negotiate::unknown_caller(&route) };
    if let Err(problem) = node.rates.request(id, asked.body.len(), node.clocks.wall()) {
        return problem.into();
    }
    if let Some(fault) = &asked.fault {
        let refusal = Answer::unrecorded(negotiate::unreadable(&route, fault));
        return ask::on_record(node, id, asked, refusal).await;
    }
    let caller = Caller { id, workload: id };
    let answer = negotiate::receive(node, caller, &route, &asked.body).await;
    ask::on_record(node, id, asked, answer).await
}

/// Calls a connector below one of its addresses.
///
/// # Errors
/// `outgoing.endpoint` when it may not be called there; what the outbound port refuses.
pub(crate) async fn call(
    node: &Node,
    id: &str,
    (method, url): (&'static str, String),
    headers: Vec<(&'static str, String)>,
    (body, max_bytes): (Vec<u8>, usize),
) -> Result<Reply, Problem> {
    if !Participant::Connector.covers(&url) {
        let why = format!("{id} may not be called at an address outside this machine");
        return Err(Problem::new(codes::OUTGOING_ENDPOINT, why));
    }
    let outbound = node.outbound.get().cloned();
    let outbound =
        outbound.ok_or_else(|| Problem::new(codes::INTERNAL, "the node has no way out"))?;
    let participant = id.to_owned();
    outbound.plain(PlainCall { participant, method, url, headers, body, max_bytes }).await
}

#[cfg(test)]
mod tests {
    use super::{Connectors, Participant};

    #[test]
    fn a_connector_is_called_on_this_machine_only() {
        for (address, expect) in [
            ("http://127.0.0.1:8083", true),
            ("http://127.8.9.10:8083/x", true),
            ("http://[::1]:8083/api/dsp", true),
            ("http://localhost:8083", true),
            ("http://LOCALHOST:8083", true),
            ("https://127.0.0.1:8083", false),
            ("http://192.168.0.1:8083", false),
            ("http://10.0.0.1", false),
            ("http://169.254.169.254/latest", false),
            ("http://[::ffff:127.0.0.1]:8083", false),
            ("http://0.0.0.0:8083", false),
            ("http://127.1:8083", false),
            ("http://localhost.example:8083", false),
            ("http://127.0.0.1@example.com/", false),
            ("ftp://127.0.0.1/", false),
            ("file:///etc/passwd", false),
            ("http://127.0.0.1:8083/../x", false),
            ("", false),
        ] {
            assert_eq!(Participant::Connector.covers(address), expect, "{address}");
        }
    }

    #[test]
    fn the_door_names_itself() {
        let connectors = Connectors::of_anybody("127.0.0.1:0".parse().unwrap(), "TCK_PARTICIPANT");
        assert!(connectors.endpoint().is_err());
        connectors.bound("127.0.0.1:8282".parse().unwrap());
        assert_eq!(connectors.endpoint().unwrap(), "http://127.0.0.1:8282/dsp");
        assert_eq!(connectors.root().unwrap(), "http://127.0.0.1:8282");
        assert!(connectors.knows("TCK_PARTICIPANT") && !connectors.knows("x"));
        assert!(!Connectors::default().knows(""));
    }
}
