//! Connectors of others: participants whose software is not ours, so that there is no signed record
//! of theirs to pin.
//!
//! They come through doors of their own, one of plain HTTP on loopback and one of HTTPS for those
//! that sign claims ([`crate::web_door`]), and speak the Dataspace Protocol and nothing else. A
//! process with one of them runs through the same spine as one with a partner
//! ([`crate::negotiate`]); what differs is how it is recognised and how it is called, and both are
//! here. Signed documents are for partners alone.

use crate::ask::{self, Answer};
use crate::config::{Config, Connector, ConnectorSettings, MAX_CONNECTORS};
use crate::conformance;
use crate::door::{Asked, Asker, Way};
use crate::egress::Egress;
use crate::fold::Fold;
use crate::ids;
use crate::negotiate::{self, Caller};
use crate::open::Node;
use crate::outbound::{ConnectorCall, OverTls, Reply};
use crate::outbox::way_out;
use crate::partners::Partner;
use crate::shelf;
use crate::sinks;
use crate::strangers::Away;
use crate::tokens::{HTTP_ENDPOINT, named};
use crate::trace;
use crate::web_door::{self, WebDoor};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::route::{Endpoint, match_route, segment};
use twinpact_identity::outgoing::{Scheme, Target};
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, WallTime, codes};
use twinpact_policy::{Assertion, Assurance, MAX_ASSERTION_S, Recognised};
use twinpact_proof::digest::sha256;

/// Below which path the protocol's endpoints lie.
pub const DSP_PATH: &str = "/dsp";

/// How a partner is recognised.
pub const BY_CERTIFICATE: &str = "certificate";
/// How somebody was recognised that is no partner: by claims that it has signed.
pub const BY_CLAIMS: &str = "claims";
/// The same: by what it said of itself, on this machine.
pub const BY_ITS_WORD: &str = "word";
/// How somebody was recognised of whom no record says it.
pub const BY_UNKNOWN: &str = "unknown";

/// The namespace of connectors of the EDC family.
const EDC: &str = "https://w3id.org/edc/v0.0.1/ns/";

/// The connectors that a node deals with: those of its configuration; in conformance mode whoever
/// calls.
#[derive(Debug, Default)]
pub struct Connectors {
    /// Where their door listens, on loopback.
    pub listen: Option<SocketAddr>,
    known: Vec<Connector>,
    /// The participant that every caller is.
    anybody: Option<String>,
    /// The base address that they use, once the door is bound.
    endpoint: OnceLock<String>,
    /// The door with TLS, and who comes through it.
    pub web: Option<WebDoor>,
}

impl Connectors {
    /// Those of a configuration.
    #[must_use]
    pub fn of(settings: &ConnectorSettings) -> Connectors {
        Connectors {
            listen: settings.listen,
            known: settings.peers.clone(),
            ..Connectors::default()
        }
    }

    /// The same with the door for those that sign claims, when there is one.
    #[must_use]
    pub(crate) fn with(self, web: Option<WebDoor>) -> Connectors {
        Connectors { web, ..self }
    }

    /// A door at that address at which every caller is this participant.
    #[must_use]
    pub fn of_anybody(listen: SocketAddr, id: &str) -> Connectors {
        Connectors { listen: Some(listen), anybody: Some(id.to_owned()), ..Connectors::default() }
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

    /// Who calls with this `Authorization`. A connector without TLS says of itself who it is, in a
    /// JSON object with the member `clientId`; connectors of the EDC family do so where no identity
    /// service is configured.
    fn caller(&self, authorization: Option<&str>) -> Option<&str> {
        if let Some(anybody) = &self.anybody {
            return Some(anybody);
        }
        let claims: Value = serde_json::from_str(authorization?).ok()?;
        let id = claims.get("clientId")?.as_str()?;
        let known = self.get(id).map(|connector| connector.id.as_str());
        known.filter(|id| !self.signs(id))
    }

    /// Whether this connector signs claims, and comes through the door with TLS alone.
    #[must_use]
    pub fn signs(&self, id: &str) -> bool {
        self.web.as_ref().is_some_and(|web| web.knows(id))
    }

    /// By what this participant is recognised when it asks for data, when it is a connector.
    pub(crate) fn by_token(&self, id: &str) -> Option<Recognised> {
        let signs = self.signs(id);
        self.knows(id).then_some(if signs { Recognised::TokenOverTls } else { Recognised::Token })
    }

    /// By what this connector is recognised when it negotiates, when it is one.
    pub(crate) fn recognised(&self, id: &str) -> Option<&'static str> {
        self.knows(id).then(|| if self.signs(id) { BY_CLAIMS } else { BY_ITS_WORD })
    }

    /// The connector of that id in the configuration.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Connector> {
        self.known.iter().find(|connector| connector.id == id)
    }

    /// Whether this participant is one of them.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.anybody.as_deref() == Some(id) || self.get(id).is_some()
    }
}

/// Whether no connector of the configuration is a pinned partner: who is known by certificate and
/// signature must not be taken for one that is not.
///
/// # Errors
/// `config.invalid`.
pub(crate) fn apart(settings: &ConnectorSettings, fold: &Fold) -> Result<(), Problem> {
    let Some(both) = settings.peers.iter().find(|peer| fold.partners.get(&peer.id).is_ok()) else {
        return Ok(());
    };
    let why = format!("the connector {:?} is a partner, whose record is pinned", both.id);
    Err(Problem::new(codes::CONFIG_INVALID, why)
        .hint("take it out of connectors.peers in twinpact.toml"))
}

/// Whether the connectors of a configuration can be dealt with.
///
/// # Errors
/// `config.invalid`.
pub(crate) fn check(config: &Config) -> Result<(), Problem> {
    let bad = |why: String| Err(Problem::new(codes::CONFIG_INVALID, why));
    web_door::check(&config.connectors).or_else(bad)?;
    let ConnectorSettings { listen, peers, .. } = &config.connectors;
    if let Some(address) = listen.filter(|address| !address.ip().is_loopback()) {
        return bad(format!("connectors.listen is {address}, which is not loopback"));
    }
    if listen.is_none() && peers.iter().any(|peer| peer.claims_key.is_none()) {
        return bad("connectors.peers has entries and connectors.listen is not set".to_owned());
    }
    if peers.len() > MAX_CONNECTORS {
        return bad(format!("connectors.peers has more than {MAX_CONNECTORS} entries"));
    }
    for (n, peer) in peers.iter().enumerate() {
        let id = &peer.id;
        if id.is_empty() || *id == config.organisation.as_str() {
            return bad(format!("the connector {id:?} is nobody else's"));
        }
        if peers.iter().take(n).any(|other| other.id == *id) {
            return bad(format!("there are two connectors {id:?}"));
        }
        for place in peer.data.iter().chain([&peer.endpoint]) {
            let plain = |target: &Target| target.query.is_none() && is_on_loopback(target);
            let fits = match peer.claims_key {
                None => Target::parse(place).is_ok_and(|target| plain(&target)),
                Some(_) => web_door::is_web(place),
            };
            if !fits {
                let why = "http on loopback, or https of one that signs claims";
                return bad(format!("{place:?} of the connector {id:?} is neither {why}"));
            }
        }
        if peer.purpose.as_ref().is_some_and(|purpose| Iri::new(purpose.as_str()).is_err()) {
            return bad(format!("the purpose of the connector {id:?} is no IRI"));
        }
        if peer.purpose.is_some() != peer.place.is_some() {
            return bad(format!("the connector {id:?} needs both purpose and place, or neither"));
        }
    }
    Ok(())
}

/// Whom a process is with.
pub(crate) enum Participant {
    /// A partner.
    Partner(Arc<Partner>),
    /// A connector of the configuration.
    Connector(Box<Connector>),
    /// Whoever calls, in conformance mode.
    Anybody,
}

impl Participant {
    /// Whether its callbacks may lie there.
    pub(crate) fn covers(&self, address: &str) -> bool {
        match self {
            Participant::Partner(partner) => is_below(address, &partner.record.dsp),
            Participant::Connector(connector) => is_below(address, &connector.endpoint),
            Participant::Anybody => Target::parse(address).is_ok_and(|t| is_on_loopback(&t)),
        }
    }

    /// Whether we may fetch data there.
    pub(crate) fn has_data_at(&self, address: &str) -> bool {
        match self {
            Participant::Partner(partner) => {
                let dsp = &partner.record.dsp;
                let base = dsp.strip_suffix(DSP_PATH).unwrap_or(dsp);
                address != base && is_below(address, base)
            }
            Participant::Connector(connector) => {
                self.covers(address) || connector.data.iter().any(|at| is_below(address, at))
            }
            Participant::Anybody => self.covers(address),
        }
    }
}

/// Whether an address is this one or below it, by whole segments.
fn is_below(address: &str, base: &str) -> bool {
    let rest = address.strip_prefix(base.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a URL names this machine, and stays without TLS.
fn is_on_loopback(target: &Target) -> bool {
    target.host.is_here() && target.scheme == Scheme::Http
}

/// The participant of that id, when we deal with it.
///
/// # Errors
/// `partner.unknown`.
pub(crate) fn participant(node: &Node, fold: &Fold, id: &str) -> Result<Participant, Problem> {
    if let Some(connector) = node.connectors.get(id) {
        return Ok(Participant::Connector(Box::new(connector.clone())));
    }
    match node.connectors.knows(id) {
        true => Ok(Participant::Anybody),
        false => Ok(Participant::Partner(Arc::clone(fold.partners.get(id)?))),
    }
}

/// The address of data that a connector fetches with that token. What it says stands there under
/// the customary names, and once more under those that connectors of the EDC family read, for which
/// the token is the whole of `Authorization`.
pub(crate) fn data_address(endpoint: String, token: &str) -> DataAddress {
    let mut properties = named("", [("authorization", token), ("authType", "bearer")]);
    let again = [
        ("endpoint", endpoint.as_str()),
        ("endpointType", HTTP_ENDPOINT),
        ("authorization", token),
        ("authType", "bearer"),
    ];
    properties.extend(named(EDC, again));
    DataAddress { endpoint_type: HTTP_ENDPOINT.to_owned(), endpoint: Some(endpoint), properties }
}

/// The address below our own to which a connector sends data, showing that key. What it says stands
/// there under the customary names, and once more as connectors of the EDC family read it.
pub(crate) fn sink_address(us: &str, pid: &str, key: &str) -> DataAddress {
    let base = us.strip_suffix(DSP_PATH).unwrap_or(us);
    let endpoint = format!("{base}/data/{}", segment(pid));
    let mut properties = named("", [("authorization", key), ("authType", "bearer")]);
    let again = [
        ("type", "HttpData"),
        ("baseUrl", endpoint.as_str()),
        ("authKey", "Authorization"),
        ("authCode", key),
    ];
    properties.extend(named(EDC, again));
    DataAddress { endpoint_type: HTTP_ENDPOINT.to_owned(), endpoint: Some(endpoint), properties }
}

/// Purpose and place that a connector's requests for data are presumed to have, as an assertion
/// that nobody has signed.
///
/// # Errors
/// `internal` without randomness.
pub(crate) fn presumed(
    connector: &Connector,
    us: &str,
    agreement: String,
    wall: WallTime,
) -> Result<Option<Assertion>, Problem> {
    let (Some(purpose), Some(place)) = (&connector.purpose, &connector.place) else {
        return Ok(None);
    };
    let jti = ids::urn()?;
    Ok(Some(Assertion {
        digest: sha256(jti.as_bytes()),
        jti,
        issuer: connector.id.clone(),
        audience: us.to_owned(),
        agreement,
        purpose: purpose.clone(),
        place: place.clone(),
        assurance: Assurance::Presumed,
        issued: wall,
        expires: WallTime(wall.0.plus_seconds(MAX_ASSERTION_S)),
    }))
}

/// Our base address for a participant: that of the door that it uses.
///
/// # Errors
/// `internal` before there is one.
pub(crate) fn own_address(node: &Node, fold: &Fold, id: &str) -> Result<String, Problem> {
    if let Some(web) = node.connectors.web.as_ref().filter(|all| all.knows(id)) {
        return web.endpoint().map(str::to_owned);
    }
    match node.connectors.knows(id) {
        true => node.connectors.endpoint().map(str::to_owned),
        false => Ok(fold.organisation.current()?.0.dsp.clone()),
    }
}

/// Our base address for a participant, and its own.
///
/// # Errors
/// `partner.unknown`, also for whoever calls in conformance mode.
pub(crate) async fn addresses(node: &Node, id: &str) -> Result<(String, String), Problem> {
    let read = node.partition.read_between(|fold, _| {
        let theirs = match node.connectors.get(id) {
            Some(connector) => connector.endpoint.trim_end_matches('/').to_owned(),
            None => fold.partners.get(id)?.record.dsp.clone(),
        };
        Ok((own_address(node, fold, id)?, theirs))
    });
    read.await?
}

/// Answers a request at a door for connectors. As for partners, what is answered is on record
/// before it is sent.
pub(crate) async fn answer(node: &Node, asked: &Asked) -> Egress {
    node.partition.between_frames().await;
    if let Some(egress) = conformance::answer(node, asked).await {
        return egress;
    }
    if let Some(transfer) = asked.path.strip_prefix("/data/").filter(|_| asked.method == "GET") {
        return data(node, asked, transfer).await;
    }
    if let Some(transfer) = asked.path.strip_prefix("/data/").filter(|_| asked.method == "POST") {
        return Box::pin(sinks::receive(node, asked, transfer)).await;
    }
    let route = asked
        .path
        .strip_prefix(DSP_PATH)
        .or_else(|| asked.path.starts_with("/.well-known/").then_some(asked.path.as_str()))
        .and_then(|path| match_route(&asked.method, path));
    if route.as_ref().is_some_and(|route| route.row.endpoint == Endpoint::Versions) {
        return negotiate::versions();
    }
    let unknown = || Problem::new(codes::ROUTE_UNKNOWN, "there is no such route");
    let now = node.clocks.wall();
    let Some(id) = caller(node, asked, now) else {
        node.strangers.count(Away::Route, now);
        return route.map_or_else(|| unknown().into(), |route| negotiate::unknown_caller(&route));
    };
    if let Err(problem) = node.rates.request(id, asked.body.len(), now) {
        node.strangers.count(Away::PartnerRate, now);
        return negotiate::refused(&asked.method, &asked.path, problem);
    }
    node.heard.from(id);
    let answer = match (route, &asked.fault) {
        (Some(route), Some(fault)) => Answer::unrecorded(negotiate::unreadable(&route, fault)),
        (Some(route), None) => {
            let caller = Caller { id, workload: id };
            negotiate::receive(node, caller, &route, asked).await
        }
        (None, _) => match shelf::schema_at(node, id, asked) {
            Some(schema) => Answer::unrecorded(schema),
            None => return unknown().into(),
        },
    };
    ask::on_record(node, id, asked, answer).await
}

/// Whether this `Authorization`, without its scheme, shows that a connector calls at the door with
/// TLS, or sends what we wait for.
pub(crate) fn is_claimed(node: &Node, shown: Option<&str>) -> bool {
    if shown.is_some_and(|shown| node.sinks.knows(shown)) {
        return true;
    }
    let us = node.config.organisation.as_str();
    let web = node.connectors.web.as_ref();
    web.is_some_and(|web| web.caller(shown, us, node.clocks.wall()).is_ok())
}

/// Who asks at that door.
fn caller<'a>(node: &'a Node, asked: &Asked, now: WallTime) -> Option<&'a str> {
    let shown = asked.bearer.as_deref();
    if asked.way == Way::Connectors {
        return node.connectors.caller(shown);
    }
    let us = node.config.organisation.as_str();
    let called = node.connectors.web.as_ref()?.caller(shown, us, now);
    // Who calls is told no more than that it is nobody; the operator may have to know why.
    called.inspect_err(|fault| trace::claims_refused(*fault)).ok()
}

/// Answers a request for data. Who asks is known by the access token alone: the programs that fetch
/// for a connector show nothing else.
async fn data(node: &Node, asked: &Asked, transfer: &str) -> Egress {
    let unknown = || Problem::new(codes::ROUTE_UNKNOWN, "there is no such route");
    let plain = transfer.strip_suffix("/stream").unwrap_or(transfer);
    let Some(pid) = ask::decoded(plain) else { return unknown().into() };
    let peer = node.partition.read(|fold, _| {
        let transfer = fold.processes.transfers.get(&pid);
        transfer.map(|transfer| transfer.party.peer.clone())
    });
    let id = match peer {
        // Each through the door that it is configured for.
        Ok(Some(id))
            if node.connectors.get(&id).is_some()
                && node.connectors.signs(&id) == (asked.way == Way::Claims) =>
        {
            id
        }
        Ok(_) => {
            node.strangers.count(Away::Route, node.clocks.wall());
            return unknown().into();
        }
        Err(problem) => return problem.into(),
    };
    if let Err(problem) = node.rates.request(&id, 0, node.clocks.wall()) {
        node.strangers.count(Away::PartnerRate, node.clocks.wall());
        return problem.into();
    }
    let by = node.connectors.by_token(&id).unwrap_or(Recognised::Token);
    let asker = Asker { id: id.clone(), workload: id.clone(), by };
    let answer = match &asked.fault {
        Some(fault) => Answer::unrecorded(fault.clone().into()),
        None => ask::read(node, asked, asker, transfer).await,
    };
    ask::on_record(node, &id, asked, answer).await
}

/// Calls a connector at one of its addresses. It is told who we are as it tells us.
///
/// # Errors
/// `outgoing.endpoint` when it may not be called there; what the outbound port refuses.
pub(crate) async fn call(
    node: &Node,
    id: &str,
    (method, url): (&'static str, String),
    mut headers: Vec<(&'static str, String)>,
    (body, max_bytes): (Vec<u8>, usize),
) -> Result<Reply, Problem> {
    let called = node.partition.read(|fold, _| participant(node, fold, id))??;
    if !called.has_data_at(&url) {
        let why = format!("{id} may not be called at an address that is not its own");
        return Err(Problem::new(codes::OUTGOING_ENDPOINT, why));
    }
    let nameless = !headers.iter().any(|(name, _)| *name == "authorization");
    let (us, mut over_tls) = (node.config.organisation.as_str(), None);
    if let Participant::Connector(connector) = &called {
        let web = node.connectors.web.as_ref().filter(|web| web.knows(id));
        let claims = || match web {
            Some(web) => web.signed(us, id, node.clocks.wall()),
            None => Ok(json!({ "region": "any", "audience": connector.endpoint, "clientId": us })
                .to_string()),
        };
        // Who has the claims is us for five minutes: they are for the connector's own endpoint, and
        // for no place where its data lie.
        if nameless && called.covers(&url) {
            headers.push(("authorization", claims()?));
        }
        over_tls = web.and_then(|web| web.roots(id)).map(|roots| OverTls {
            roots: roots.clone(),
            pinned: connector.data.iter().chain([&connector.endpoint]).cloned().collect(),
        });
    }
    let participant = id.to_owned();
    let call = ConnectorCall { participant, method, url, headers, body, max_bytes, over_tls };
    way_out(node)?.connector(call).await
}

#[cfg(test)]
mod tests {
    use super::{Connectors, Participant};
    use crate::config::Connector;

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
            assert_eq!(Participant::Anybody.covers(address), expect, "{address}");
        }
    }

    #[test]
    fn a_connector_of_the_configuration_is_called_at_its_addresses_only() {
        let connector = Participant::Connector(Box::new(Connector {
            id: "x".to_owned(),
            endpoint: "http://127.0.0.1:1/dsp/".to_owned(),
            data: vec!["http://127.0.0.1:2/data".to_owned()],
            purpose: None,
            place: None,
            authorities: None,
            claims_key: None,
        }));
        for (address, calls_back, has_data) in [
            ("http://127.0.0.1:1/dsp", true, true),
            ("http://127.0.0.1:1/dsp/2025-1", true, true),
            ("http://127.0.0.1:1/dspx", false, false),
            ("http://127.0.0.1:1", false, false),
            ("http://127.0.0.1:10/dsp", false, false),
            ("http://127.0.0.1:2/data/x", false, true),
            ("http://127.0.0.1:2/database", false, false),
            ("http://127.0.0.1:3/data", false, false),
            ("https://127.0.0.1:1/dsp", false, false),
            ("", false, false),
        ] {
            let got = (connector.covers(address), connector.has_data_at(address));
            assert_eq!(got, (calls_back, has_data), "{address}");
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
