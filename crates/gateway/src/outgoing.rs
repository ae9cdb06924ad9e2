//! Calls to partners: HTTP/1.1 (RFC 9112) over mutual TLS 1.3, to pinned endpoints only.
//!
//! The address that is dialled is the one that was checked ([`twinpact_identity::outgoing`]): the
//! URL is held against the call's pinned endpoints before its name is resolved, and the resolved
//! address against the rule for private networks before a connection is made. The operator's list
//! lifts that rule and nothing else: it makes no endpoint a partner's. A kept connection is held
//! against both rules, and against the partners of this moment, before every call; the connection
//! to a partner that was taken out is closed at once. No redirect is followed: it is an answer like
//! any other.

mod connector;
mod flowing;
mod received;

use crate::federation::taken_out;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, DATE, HOST, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use twinpact_identity::certificate::RootCertificate;
use twinpact_identity::outgoing::{Endpoint, Host, Target, allowed, listed};
use twinpact_identity::partners::{Partner, PartnerSet, Partners, PeerIdentity, Side};
use twinpact_identity::refusal::Refusal;
use twinpact_identity::spiffe::TrustDomain;
use twinpact_identity::tls::{Clock, Presented, client_config, first_config, peer_identity};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_model::{Timestamp, WallTime};
use twinpact_node::metrics::part;
use twinpact_node::outbound::{Call, ConnectorCall, FirstCall, Opening, Outbound, Pending, Reply};
use twinpact_node::trace;

/// The most addresses of one name that are tried.
pub const MAX_ADDRESSES: usize = 4;
/// The bytes of the head of an answer after which no more of it is read; what the last read brings
/// beyond that, at most as much again, is still looked at.
pub const MAX_HEAD_BYTES: usize = 65_536;
/// The most header fields of an answer.
pub const MAX_HEADERS: usize = 64;
/// How long a connection is kept. A node certificate is renewed while it has at least 20 minutes
/// left, so that ours does not run out on a kept connection while there is a newer one.
const KEEP: Duration = Duration::from_secs(600);
/// How long a kept connection may be idle: less than our own listener waits.
const IDLE: Duration = Duration::from_secs(30);

/// The most calls to one place at a time, each over a connection of its own; a call beyond them
/// waits for one to end. A partner gives us [`MAX_CONNECTIONS_PER_PARTNER`] places, and streams
/// take some of them.
///
/// [`MAX_CONNECTIONS_PER_PARTNER`]: crate::places::MAX_CONNECTIONS_PER_PARTNER
const MAX_CALLS: usize = 32;

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To resolve a name; to connect to one address.
    pub connect: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// The whole call, the other parts included.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            whole: Duration::from_secs(30),
        }
    }
}

/// What looks up the addresses of a name, each with that port.
pub type Names = Arc<dyn Fn(String, u16) -> Looking + Send + Sync>;
/// A name that is being looked up.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// As the operating system does.
fn system_names() -> Names {
    Arc::new(|name, port| {
        Box::pin(async move { Ok(lookup_host((name.as_str(), port)).await?.collect()) })
    })
}

/// Calls partners on behalf of one node.
pub struct HttpsOutbound {
    presented: Presented,
    partners: Partners,
    /// Whether any server will do; such calls are made as nobody.
    anybody: bool,
    clock: Clock,
    allow_private: Vec<Endpoint>,
    limits: Limits,
    names: Names,
    kept: Mutex<HashMap<Place, Vec<Connection>>>,
    calls: Mutex<HashMap<Place, Arc<Semaphore>>>,
}

/// Where a connection leads.
type Place = (TrustDomain, Host, u16);

impl HttpsOutbound {
    /// Presents that certificate to those partners. `allow_private` are the endpoints that may lie
    /// in a private network (`federation.allow_private` in the configuration).
    ///
    /// # Errors
    /// `outgoing.url` when one of `allow_private` is no endpoint.
    pub fn new(
        presented: Presented,
        partners: Partners,
        clock: Clock,
        allow_private: Vec<String>,
    ) -> Result<HttpsOutbound, Problem> {
        let allow_private = endpoints(&allow_private)?;
        Ok(HttpsOutbound {
            presented,
            partners,
            anybody: false,
            clock,
            allow_private,
            limits: Limits::default(),
            names: system_names(),
            kept: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> HttpsOutbound {
        self.limits = limits;
        self
    }

    /// The same that has names looked up by this.
    #[must_use]
    pub fn with_names(mut self, names: Names) -> HttpsOutbound {
        self.names = names;
        self
    }

    /// A call as nobody: to a server under a root that the call brings with it, or to any server.
    async fn unknown(&self, call: FirstCall, met: &AtomicBool) -> Result<Reply, Problem> {
        let target = Target::parse(&call.url)?;
        let FirstCall { root, base, method, url, body, max_bytes } = call;
        let anybody = root.is_none();
        let (trust_domain, partners) = match root {
            Some(root) => (root.trust_domain().clone(), Partners::new(under(root)?)),
            // It only names whom we talk about.
            None => (TrustDomain::new(&name_of(&target.host))?, Partners::default()),
        };
        let call = Call {
            trust_domain,
            pinned: vec![base],
            method,
            url,
            headers: Vec::new(),
            body,
            max_bytes,
        };
        let nobody = HttpsOutbound {
            presented: Presented::default(),
            partners,
            anybody,
            clock: self.clock.clone(),
            allow_private: self.allow_private.clone(),
            limits: self.limits,
            names: self.names.clone(),
            kept: Mutex::default(),
            calls: Mutex::default(),
        };
        Ok(nobody.checked(call, met).await?.0)
    }

    /// Makes the call, and says what time it is there (RFC 9110 §6.6.1), if that can be read.
    ///
    /// # Errors
    /// As [`Outbound::call`].
    pub async fn dated(&self, mut call: Call) -> Result<(Reply, Option<WallTime>), Problem> {
        let (partner, logged) = (call.trust_domain.clone(), trace::Call::begin());
        let (method, route) = (call.method, route(&call.url));
        call.headers.push((trace::REQUEST_HEADER, logged.id().to_owned()));
        let met = AtomicBool::new(false);
        let whole = self.limits.whole;
        let checked = pin!(self.checked(call, &met));
        let reply = in_time(whole, partner.as_str(), &met, checked).await;
        let status = reply.as_ref().map(|(reply, _)| reply.status);
        logged.ended(method, route, partner.as_str(), status);
        reply
    }

    async fn checked(
        &self,
        call: Call,
        met: &AtomicBool,
    ) -> Result<(Reply, Option<WallTime>), Problem> {
        let target = Target::parse(&call.url)?;
        let pinned = endpoints(&call.pinned)?;
        // Without the operator's list, which would also let `http` through.
        listed(&target, &pinned, &[])?;
        if !self.anybody && self.partners.snapshot().get(&call.trust_domain).is_none() {
            return Err(Refusal::NotAPartner.problem(call.trust_domain.as_str()));
        }
        let bound = call.max_bytes;
        let way = Way { target: &target, pinned: &pinned, partner: &call.trust_domain, met };
        let request = request(call.method, &call.headers, call.body, &target)?;
        let turns = self.calls_to(way.place());
        let _turn = turns.acquire().await;
        let (mut connection, response) = self.exchange(&way, request).await?;
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let date = head.headers.get(DATE).and_then(|date| time_there(date.to_str().ok()?));
        let body = Limited::new(body, bound).collect().await;
        let body = body.map_err(|e| way.broken_body(e.as_ref(), bound))?.to_bytes().to_vec();
        connection.idle_since = Instant::now();
        self.keep(way.place(), connection);
        let reply = received::reply(status, &head.headers, body, bound);
        Ok((reply.map_err(|why| way.bad_answer(&why))?, date))
    }

    /// Turns at calling that place. Those of places that nobody calls are forgotten.
    fn calls_to(&self, place: Place) -> Arc<Semaphore> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if !calls.contains_key(&place) {
            calls.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let new = || Arc::new(Semaphore::new(MAX_CALLS));
        Arc::clone(calls.entry(place).or_insert_with(new))
    }

    /// Sends the request and reads the head of the answer. When a kept connection turns out to be
    /// closed before anything was sent, the request goes over a new one; it is never sent twice.
    async fn exchange(
        &self,
        way: &Way<'_>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), Problem> {
        if let Some(mut kept) = self.take(way)
            && kept.sender.ready().await.is_ok()
        {
            way.met.store(true, Ordering::Relaxed);
            match kept.sender.try_send_request(request).await {
                Ok(response) => return Ok((kept, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(way.broken(error.error())),
                },
            }
        }
        // Seldom needed, and large: a call would have room for it else.
        let mut fresh = Box::pin(self.connect(way)).await?;
        way.met.store(true, Ordering::Relaxed);
        match fresh.sender.send_request(request).await {
            Ok(response) => Ok((fresh, response)),
            // The connection ended before its answer, and knows why: a client is through a
            // handshake before the server has looked at its certificate.
            Err(error) if error.is_canceled() => Err(match fresh.running.ended().await {
                Some(refusal) => refusal.problem(way.partner.as_str()),
                None => way.broken(&error),
            }),
            Err(error) => Err(way.broken(&error)),
        }
    }

    /// A kept connection, when there is one over which this call may go: the last that was used.
    /// The others that are met on the way are closed.
    fn take(&self, way: &Way<'_>) -> Option<Connection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let to = kept.get_mut(&way.place())?;
        let (partners, now) = (self.partners.snapshot(), (self.clock)());
        while let Some(connection) = to.pop() {
            let peer_holds =
                connection.peer.as_ref().is_some_and(|peer| partners.still_holds(peer, now));
            let may = self.may_dial(way, connection.address).is_ok();
            if connection.is_fresh() && peer_holds && may {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, place: Place, connection: Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, to| {
            to.retain(Connection::is_fresh);
            !to.is_empty()
        });
        // Without a certificate of ours the connection would stay nameless when we get one.
        if !self.presented.is_empty() && connection.is_fresh() {
            let to = kept.entry(place).or_default();
            if to.len() >= MAX_CALLS {
                to.remove(0);
            }
            to.push(connection);
        }
    }

    fn may_dial(&self, way: &Way<'_>, address: SocketAddr) -> Result<(), Problem> {
        allowed(way.target, way.pinned, &self.allow_private, address.ip())
    }

    async fn connect(&self, way: &Way<'_>) -> Result<Connection, Problem> {
        let config = match self.anybody {
            false => client_config(&self.presented, &self.partners, way.partner, &self.clock)?,
            true => first_config(&self.clock)?,
        };
        let (address, tcp) = self.dial(way).await?;
        let connecting = TlsConnector::from(config).connect(server_name(way.target)?, tcp);
        let tls = match timeout(self.limits.handshake, connecting).await {
            Ok(tls) => tls.map_err(|e| way.broken(&e))?,
            Err(_) => return Err(way.unreachable("the TLS handshake takes too long")),
        };
        let (certificates, side) = (tls.get_ref().1.peer_certificates(), Side::Server(way.partner));
        let refused = |refusal: Refusal| refusal.problem(way.partner.as_str());
        let peer = match self.anybody {
            true => None,
            false => peer_identity(certificates, side, &self.partners, (self.clock)())
                .and_then(|peer| peer.ok_or(Refusal::Protocol).map(Some))
                .map_err(refused)?,
        };
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
        let (sender, running) =
            http.handshake(TokioIo::new(tls)).await.map_err(|e| way.broken(&e))?;
        let (partners, them) = (self.partners.clone(), peer.clone());
        let running = Running(tokio::spawn(async move {
            // Whoever waits for an answer is told by the sender.
            tokio::select! {
                ended = running => ended.err().and_then(|error| refusal_in(&error)),
                () = taken_out(&partners, them.as_ref()) => None,
            }
        }));
        let now = Instant::now();
        Ok(Connection { sender, peer, address, since: now, idle_since: now, running })
    }

    /// Connects to the first address that may be dialled and answers.
    async fn dial(&self, way: &Way<'_>) -> Result<(SocketAddr, TcpStream), Problem> {
        let mut last = way.unreachable("its name has no address");
        for address in self.resolve(way.partner.as_str(), way.target).await? {
            if let Err(problem) = self.may_dial(way, address) {
                last = problem;
                continue;
            }
            match timeout(self.limits.connect, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Requests are small and waited for; without this they are only slower.
                    let _ = tcp.set_nodelay(true);
                    return Ok((address, tcp));
                }
                Ok(Err(error)) => last = way.unreachable(&error.to_string()),
                Err(_) => last = way.unreachable("connecting takes too long"),
            }
        }
        Err(last)
    }

    /// The first addresses of a host.
    async fn resolve(&self, to: &str, target: &Target) -> Result<Vec<SocketAddr>, Problem> {
        let name = match &target.host {
            Host::Address(address) => return Ok(vec![(*address, target.port).into()]),
            Host::Name(name) => name.clone(),
        };
        match timeout(self.limits.connect, (self.names)(name, target.port)).await {
            Ok(Ok(found)) => Ok(found.into_iter().take(MAX_ADDRESSES).collect()),
            Ok(Err(error)) => Err(unreachable(to, &error.to_string())),
            Err(_) => Err(unreachable(to, "resolving its name takes too long")),
        }
    }
}

impl Outbound for HttpsOutbound {
    fn connector(&self, call: ConnectorCall) -> Pending<'_> {
        Box::pin(self.to_connector(call))
    }

    fn call(&self, call: Call) -> Pending<'_> {
        Box::pin(async move { self.dated(call).await.map(|(reply, _)| reply) })
    }

    fn flow(&self, call: Call) -> Opening<'_> {
        Box::pin(self.flowing(call))
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        Box::pin(async move {
            let (method, route) = (call.method, route(&call.url));
            let (base, logged) = (call.base.clone(), trace::Call::begin());
            let met = AtomicBool::new(false);
            let whole = self.limits.whole;
            let unknown = pin!(self.unknown(call, &met));
            let reply = in_time(whole, &base, &met, unknown).await;
            logged.ended(method, route, &base, reply.as_ref().map(|reply| reply.status));
            reply
        })
    }
}

/// The part of a partner's door that a URL is for.
fn route(url: &str) -> &'static str {
    let path =
        url.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    part(path.unwrap_or_default().split('?').next().unwrap_or_default())
}

fn time_there(date: &str) -> Option<WallTime> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(WallTime(Timestamp::from_seconds(i64::try_from(since.as_secs()).ok()?)))
}

/// The set of this root alone.
fn under(root: RootCertificate) -> Result<PartnerSet, Problem> {
    let did = Did::new(format!("did:web:{}", root.trust_domain()))?;
    PartnerSet::new([Partner { did, root }])
}

/// A host as a name that sentences can have.
fn name_of(host: &Host) -> String {
    host.to_string().replace(':', "-").replace(['[', ']'], "")
}

/// Where one call goes.
struct Way<'a> {
    target: &'a Target,
    pinned: &'a [Endpoint],
    partner: &'a TrustDomain,
    /// Whether the other side has been met: there is a connection that is good.
    met: &'a AtomicBool,
}

impl Way<'_> {
    fn place(&self) -> Place {
        (self.partner.clone(), self.target.host.clone(), self.target.port)
    }

    fn unreachable(&self, why: &str) -> Problem {
        unreachable(self.partner.as_str(), why)
    }

    /// The problem behind a failure of the connection: the peer refused us or was refused, does
    /// not speak HTTP, or is gone.
    fn broken(&self, error: &(dyn Error + 'static)) -> Problem {
        if let Some(refusal) = refusal_in(error) {
            return refusal.problem(self.partner.as_str());
        }
        match error.downcast_ref::<hyper::Error>() {
            Some(http) if http.is_parse() => self.bad_answer(&format!("it is not HTTP: {http}")),
            _ => self.unreachable(&error.to_string()),
        }
    }

    fn broken_body(&self, error: &(dyn Error + 'static), bound: usize) -> Problem {
        if error.is::<LengthLimitError>() {
            return self.bad_answer(&format!("it is larger than {bound} bytes"));
        }
        self.broken(error)
    }

    fn bad_answer(&self, why: &str) -> Problem {
        Problem::new(codes::PEER_ANSWER, format!("the answer of {}: {why}", self.partner.as_str()))
            .hint("tell the partner, and look whether a proxy answers in its place")
    }
}

/// A whole call, within its time. Who was met and has not answered in full by then is late.
async fn in_time<T>(
    whole: Duration,
    partner: &str,
    met: &AtomicBool,
    call: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    timeout(whole, call).await.unwrap_or_else(|_| match met.load(Ordering::Relaxed) {
        true => Err(late(partner, whole)),
        false => Err(unreachable(partner, &format!("nobody is met within {whole:?}"))),
    })
}

fn late(partner: &str, whole: Duration) -> Problem {
    let why = format!("the answer of {partner} is not complete within {whole:?}");
    let hint = "try again later; over a slow line pull less at a time, with --since and --until";
    Problem::new(codes::PEER_LATE, why).hint(hint)
}

fn unreachable(partner: &str, why: &str) -> Problem {
    let why = format!("{partner} does not answer: {why}");
    Problem::new(codes::PEER_UNREACHABLE, why).hint("try again later")
}

/// The refusal somewhere in the causes of an error.
fn refusal_in(error: &(dyn Error + 'static)) -> Option<Refusal> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<io::Error>().and_then(Refusal::of_io) {
            return Some(refusal);
        }
        cause = error.source();
    }
    None
}

/// A connection to a partner, used by one call at a time.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Who is at the other end; `None` when it may be anybody.
    peer: Option<PeerIdentity>,
    address: SocketAddr,
    since: Instant,
    idle_since: Instant,
    running: Running,
}

impl Connection {
    fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < KEEP && self.idle_since.elapsed() < IDLE
    }
}

/// The task behind a connection: it ends with it, so that a call that ran out of time leaves
/// nothing open.
struct Running(JoinHandle<Option<Refusal>>);

impl Running {
    /// Waits for the end of the connection: the refusal that it was, if it was one.
    async fn ended(mut self) -> Option<Refusal> {
        (&mut self.0).await.ok().flatten()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn endpoints(urls: &[String]) -> Result<Vec<Endpoint>, Problem> {
    urls.iter().map(|url| Endpoint::parse(url)).collect()
}

/// The host of a URL, for TLS. A partner's server is known by its SPIFFE id whatever its name is;
/// of somebody else's connector this very name is what its certificate has to be for.
fn server_name(target: &Target) -> Result<ServerName<'static>, Problem> {
    match &target.host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| Problem::new(codes::OUTGOING_URL, format!("{name} is no host name"))),
    }
}

fn request(
    method: &str,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
    target: &Target,
) -> Result<Request<Full<Bytes>>, Problem> {
    let method = match method {
        "GET" => Method::GET,
        "POST" => Method::POST,
        other => return Err(bad_request(&format!("the method {other}"))),
    };
    let path = match &target.query {
        Some(query) => format!("{}?{query}", target.path),
        None => target.path.clone(),
    };
    let json = HeaderValue::from_static("application/json");
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("{}:{}", target.host, target.port));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let is_empty = body.is_empty();
    let mut request =
        request.body(Full::new(Bytes::from(body))).map_err(|e| bad_request(&e.to_string()))?;
    request.headers_mut().entry(ACCEPT).or_insert_with(|| json.clone());
    if !is_empty {
        request.headers_mut().entry(CONTENT_TYPE).or_insert(json);
    }
    Ok(request)
}

fn bad_request(why: &str) -> Problem {
    Problem::new(codes::INTERNAL, format!("a request to a partner cannot be written: {why}"))
}
