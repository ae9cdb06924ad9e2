//! The door for partners: HTTP/1.1 (RFC 9112) over mutual TLS 1.3.
//!
//! Who asks is what its certificate says and nothing else. What is answered is an [`Egress`] of the
//! [`Door`], and one function makes bytes of it; nothing here answers with data of its own. Whoever
//! presents no certificate reaches [`PUBLIC_ROUTES`] alone, and is answered with public documents
//! and refusals alone. A partner that was taken out is not answered any more: its live connections
//! are closed at once, whatever is under way on them. Connections have places ([`crate::places`]),
//! and who is turned away here is counted ([`twinpact_node::strangers`]): the door has not been
//! asked, and has nothing on record.

use crate::events::{Answered, EVENT_STREAM, Events};
use crate::paced::{Paced, Taken, Unread};
use crate::places::{Bounds, Handshakes, Place, Places};
use crate::port::Bound;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap,
    HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use twinpact_identity::partners::{Partners, PeerIdentity, Side};
use twinpact_identity::refusal::Refusal;
use twinpact_identity::tls::{Clock, Presented, peer_identity, server_config};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::ask::{JOIN_PATH, ORGANISATION_PATH, outcome};
use twinpact_node::behind::CHECKPOINT_HEADER;
use twinpact_node::door::{Asked, Door, Way};
use twinpact_node::egress::{CatalogDoc, Egress, PublicDoc, Told};
use twinpact_node::invitations::MAX_JOIN_BYTES;
use twinpact_node::metrics::{Connections, part};
use twinpact_node::negotiate::nothing_here;
use twinpact_node::strangers::{Away, Strangers};
use twinpact_node::trace::{self, Doorway, REQUEST_HEADER, Step};

/// What is answered without a client certificate: method and path. The golden file
/// `tests/golden/public-routes.txt` holds the same.
pub const PUBLIC_ROUTES: &[(&str, &str)] =
    &[("GET", "/.well-known/dspace-version"), ("GET", ORGANISATION_PATH), ("POST", JOIN_PATH)];
/// The header that carries the signed assertion of purpose and place.
pub const ASSERTION_HEADER: &str = "twinpact-assertion";
/// The header with the last event of a stream that a reader has (WHATWG HTML §9.2.4).
pub const LAST_EVENT_HEADER: &str = "last-event-id";
/// The most bytes of the body of a request.
pub const MAX_BODY_BYTES: usize = 1_048_576;
/// The bytes of the head of a request after which no more of it is read; what the last read brings
/// beyond that, at most as much again, is still looked at.
pub const MAX_HEAD_BYTES: usize = 65_536;
/// The most header fields of a request.
pub const MAX_HEADERS: usize = 64;

/// How long a partner's next request may take to begin and to bring its head.
pub(crate) const HEAD: Duration = Duration::from_secs(60);
/// How long the body of a request may take.
pub(crate) const BODY: Duration = Duration::from_secs(30);
/// After how many seconds who asks too often, or at a bad time, is to come again.
const AGAIN: &str = "1";
/// How long requests may take to finish when the listener stops.
pub(crate) const STOP: Duration = Duration::from_secs(5);
/// How long to wait after a failure to accept, which is that of the system (no more files).
pub(crate) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The federation listener, answering until it is stopped.
pub struct FederationListener {
    /// Where it listens.
    pub address: SocketAddr,
    places: Arc<Places>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl FederationListener {
    /// Answers partners at that address, within those bounds: presents that certificate, accepts
    /// those partners, and asks that door. Who is turned away before the door is asked is counted.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `internal` when TLS cannot be set up.
    pub fn start(
        bound: Bound,
        bounds: Bounds,
        presented: &Presented,
        partners: &Partners,
        clock: &Clock,
        strangers: &Strangers,
        door: impl Door,
    ) -> Result<FederationListener, Problem> {
        let house = Arc::new(House {
            acceptor: TlsAcceptor::from(server_config(presented, partners, clock)?),
            bounds,
            places: Places::new(bounds),
            presented: presented.clone(),
            partners: partners.clone(),
            clock: Arc::clone(clock),
            strangers: strangers.clone(),
            door: Box::new(door),
        });
        let (stop, stopped) = watch::channel(false);
        let places = Arc::clone(&house.places);
        let serving = tokio::spawn(serve(bound.listener, house, stopped));
        Ok(FederationListener { address: bound.address, places, stop, serving })
    }

    /// Reads how many connections are open; it may outlive the listener.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let places = Arc::clone(&self.places);
        Box::new(move || places.open())
    }

    /// Accepts nobody any more, lets requests finish for at most 5 seconds, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

/// What all connections share.
struct House {
    acceptor: TlsAcceptor,
    bounds: Bounds,
    places: Arc<Places>,
    presented: Presented,
    partners: Partners,
    clock: Clock,
    strangers: Strangers,
    door: Box<dyn Door>,
}

impl House {
    fn count(&self, away: Away) {
        self.strangers.count(away, (self.clock)());
    }

    /// Why a handshake failed.
    fn refused(&self, error: &io::Error) -> Away {
        match Refusal::of_io(error) {
            // Whatever the caller did, there was nothing to shake hands with.
            _ if self.presented.is_empty() => Away::NoCertificate,
            Some(refusal) => Away::Tls(refusal),
            None => Away::Broken,
        }
    }
}

/// Waits until the listener is told to stop or is dropped.
pub(crate) async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn serve(listener: TcpListener, house: Arc<House>, mut stopped: watch::Receiver<bool>) {
    let mut handshakes = Handshakes::new(&house.bounds);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = told(&mut stopped) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((tcp, _)) => {
                let make_room = handshakes.enter();
                connections.spawn(connection(Arc::clone(&house), tcp, make_room, stopped.clone()));
            }
            Err(_) => sleep(ACCEPT_AGAIN).await,
        }
    }
    drop(listener);
    let finishing = async { while connections.join_next().await.is_some() {} };
    // What is left after that is cut off when the set is dropped.
    let _ = timeout(STOP, finishing).await;
}

/// One connection from its handshake to its end.
async fn connection(
    house: Arc<House>,
    tcp: TcpStream,
    make_room: oneshot::Receiver<()>,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are small and waited for; without this they are only slower.
    let _ = tcp.set_nodelay(true);
    let shaken = tokio::select! {
        () = told(&mut stopped) => return,
        shaken = handshake(&house, tcp, make_room) => shaken,
    };
    let seated = shaken.and_then(|(tls, peer)| Ok((tls, seat(&house, peer)?)));
    match seated {
        Ok((tls, (who, place))) => {
            exchange(house, tls, who, stopped).await;
            drop(place);
        }
        Err(away) => house.count(away),
    }
}

type Shaken = (TlsStream<TcpStream>, Option<PeerIdentity>);

/// Shakes hands, while there is time and room for it.
async fn handshake(
    house: &House,
    tcp: TcpStream,
    make_room: oneshot::Receiver<()>,
) -> Result<Shaken, Away> {
    let tls = tokio::select! {
        Ok(()) = make_room => return Err(Away::HandshakesFull),
        shaken = timeout(house.bounds.handshake_time, house.acceptor.accept(tcp)) => shaken
            .map_err(|_| Away::HandshakeLate)?
            .map_err(|error| house.refused(&error))?,
    };
    let certificates = tls.get_ref().1.peer_certificates();
    let peer = peer_identity(certificates, Side::Client, &house.partners, (house.clock)());
    Ok((tls, peer.map_err(Away::Tls)?))
}

/// Who is at the other end.
enum Who {
    Partner(PeerIdentity),
    /// A partner that has, or partners that have, too many connections: it is told so. A connection
    /// that were only closed could mean anything, also that the request was carried out.
    Beyond(Problem),
    Nameless,
}

/// Finds a place for who came through the handshake. A partner that is beyond its share is served
/// from the places of the nameless: it is counted, and counted once more if they are full too.
fn seat(house: &House, peer: Option<PeerIdentity>) -> Result<(Who, Place), Away> {
    let Some(peer) = peer else { return Ok((Who::Nameless, house.places.nameless()?)) };
    match house.places.partner(&peer.did) {
        Ok(place) => Ok((Who::Partner(peer), place)),
        Err(away) => {
            house.count(away);
            Ok((Who::Beyond(busy(&house.bounds, away)), house.places.nameless()?))
        }
    }
}

fn busy(bounds: &Bounds, away: Away) -> Problem {
    let why = match away {
        Away::PartnerFull => format!("a partner may have {} connections", bounds.per_partner),
        _ => format!("all partners together may have {} connections", bounds.partners),
    };
    Problem::new(codes::FEDERATION_BUSY, why)
}

/// Answers what is asked over one connection, until either side ends it.
async fn exchange(
    house: Arc<House>,
    tls: TlsStream<TcpStream>,
    who: Who,
    mut stopped: watch::Receiver<bool>,
) {
    let named = matches!(who, Who::Partner(_));
    let life = (!named).then_some(house.bounds.nameless_time);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(named.then_some(HEAD))
        .keep_alive(named)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    let paced = Paced::new(tls, house.bounds.write_time);
    let (taken, stream) = (paced.taken(), TokioIo::new(paced));
    let partner = match &who {
        Who::Partner(peer) => Some(peer.clone()),
        Who::Beyond(_) | Who::Nameless => None,
    };
    let line = Arc::new(Line { house: Arc::clone(&house), who, taken });
    let service = service_fn(move |request| {
        let line = Arc::clone(&line);
        async move { line.respond(request).await }
    });
    let mut serving = std::pin::pin!(http.serve_connection(stream, service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = ends(life) => return house.count(Away::NamelessLate),
        () = taken_out(&house.partners, partner.as_ref()) => return,
        () = told(&mut stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended
        && let Some(away) = broken(&error)
    {
        house.count(away);
    }
}

/// Waits for the end of a life; for ever when it has none.
async fn ends(life: Option<Duration>) {
    match life {
        Some(life) => sleep(life).await,
        None => pending().await,
    }
}

/// Waits until the partner at the other end is none any more; for ever when it is nobody.
pub(crate) async fn taken_out(partners: &Partners, partner: Option<&PeerIdentity>) {
    match partner {
        Some(peer) => partners.taken_out(peer).await,
        None => pending().await,
    }
}

/// Why a connection broke, when that is to be counted; else it is the peer's affair.
fn broken(error: &hyper::Error) -> Option<Away> {
    if error.is_parse() {
        return Some(Away::Unreadable);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.get_ref().is_some_and(|inner| inner.is::<Unread>())
        {
            return Some(Away::Unread);
        }
        cause = error.source();
    }
    None
}

/// A connection whose peer is known, or known to be nameless.
struct Line {
    house: Arc<House>,
    who: Who,
    /// What was taken of what is written.
    taken: Taken,
}

impl Line {
    /// Answers one request; an error closes the connection without an answer.
    async fn respond(&self, request: Request<Incoming>) -> io::Result<Response<Answered>> {
        let (head, body) = request.into_parts();
        let request = self.begin(&head);
        let egress = match &self.who {
            Who::Partner(peer) => request.over(self.partner(peer, &head, body)).await?,
            Who::Nameless => request.over(self.nameless(&head, body)).await?,
            Who::Beyond(problem) => {
                // Closing on what was not read would take the answer with it (RFC 9112 §9.6).
                let _ = Limited::new(body, MAX_BODY_BYTES).collect().await;
                problem.clone().into()
            }
        };
        let (status, code) = outcome(&egress);
        let mut response = write(egress, &self.taken);
        if matches!(self.who, Who::Beyond(_)) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        identify(response.headers_mut(), request.id());
        request.answered(status, &code);
        Ok(response)
    }

    /// The request as the log names it.
    fn begin(&self, head: &Parts) -> trace::Request {
        let partner = match &self.who {
            Who::Partner(peer) => Some(peer.did.as_str()),
            Who::Beyond(_) | Who::Nameless => None,
        };
        let (method, route) = (head.method.as_str(), part(head.uri.path()));
        let theirs = head.headers.get(REQUEST_HEADER).and_then(|id| id.to_str().ok());
        trace::Request::begin(Doorway::Federation, method, route, partner, theirs)
    }

    async fn partner(
        &self,
        peer: &PeerIdentity,
        head: &Parts,
        body: Incoming,
    ) -> io::Result<Egress> {
        // Before the body too, so that who was taken out keeps nothing open.
        self.still_holds(peer)?;
        let (body, large) = whole(body).await?;
        self.still_holds(peer)?;
        let mut asked = asked(Way::Federation, Some(peer.clone()), head, body);
        asked.fault = large.or(asked.fault);
        Ok(self.house.door.answer(asked).await)
    }

    async fn nameless(&self, head: &Parts, body: Incoming) -> io::Result<Egress> {
        let (method, path) = (head.method.as_str(), head.uri.path());
        if !PUBLIC_ROUTES.contains(&(method, path)) {
            self.house.count(Away::Route);
            return Ok(nothing_here(method, path));
        }
        let (body, large) = match Limited::new(body, MAX_JOIN_BYTES).collect().await {
            Ok(body) => (body.to_bytes().to_vec(), None),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("the body is larger than {MAX_JOIN_BYTES} bytes");
                (Vec::new(), Some(Problem::new(codes::DSP_TOO_LARGE, why)))
            }
            Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let asked = asked(Way::Federation, None, head, body);
        let egress = match large.or_else(|| asked.fault.clone()) {
            None => self.house.door.answer(asked).await,
            Some(problem) => {
                self.house.count(Away::Unreadable);
                problem.into()
            }
        };
        Ok(match egress {
            Egress::Public(_) | Egress::Fault(_) => egress,
            Egress::Permitted(_)
            | Egress::Stream(_)
            | Egress::Protocol { .. }
            | Egress::Together(_)
            | Egress::Catalog(_)
            | Egress::Schema(_)
            | Egress::Log(_) => nothing_here(method, path),
        })
    }

    fn still_holds(&self, peer: &PeerIdentity) -> io::Result<()> {
        let now = (self.house.clock)();
        if self.house.partners.snapshot().still_holds(peer, now) {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

/// The body of a request, or why it is too large.
pub(crate) async fn whole(body: Incoming) -> io::Result<(Vec<u8>, Option<Problem>)> {
    let reading = Limited::new(body, MAX_BODY_BYTES).collect();
    match timeout(BODY, reading).await {
        Ok(Ok(body)) => Ok((body.to_bytes().to_vec(), None)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let why = format!("the body is larger than {MAX_BODY_BYTES} bytes");
            Ok((Vec::new(), Some(Problem::new(codes::DSP_TOO_LARGE, why))))
        }
        Ok(Err(_)) => Err(io::ErrorKind::ConnectionAborted.into()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Says in the answer which request it is to, as the log does.
pub(crate) fn identify(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_HEADER, id);
    }
}

pub(crate) fn asked(way: Way, peer: Option<PeerIdentity>, head: &Parts, body: Vec<u8>) -> Asked {
    let bearer = single(&head.headers, AUTHORIZATION.as_str());
    let assertion = single(&head.headers, ASSERTION_HEADER);
    let checkpoint = single(&head.headers, CHECKPOINT_HEADER);
    let last_event = single(&head.headers, LAST_EVENT_HEADER);
    let accept_encoding = listed(&head.headers, ACCEPT_ENCODING.as_str());
    let if_none_match = listed(&head.headers, IF_NONE_MATCH.as_str());
    let read = [&bearer, &assertion, &checkpoint, &last_event];
    let faults = read.map(|value| value.as_ref().err());
    let fault = faults.into_iter().flatten().next().cloned();
    Asked {
        way,
        peer,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        bearer: bearer.ok().flatten().map(without_scheme),
        assertion: assertion.ok().flatten().map(str::to_owned),
        checkpoint: checkpoint.ok().flatten().map(str::to_owned),
        last_event: last_event.ok().flatten().map(str::to_owned),
        accept_encoding,
        if_none_match,
        body,
        fault,
    }
}

/// The value of a header that is a list, and may be there in several pieces (RFC 9110 §5.3); what
/// cannot be read is left out.
fn listed(headers: &HeaderMap, name: &str) -> Option<String> {
    let pieces = headers.get_all(name).iter().filter_map(|piece| piece.to_str().ok());
    let whole = pieces.collect::<Vec<&str>>().join(", ");
    (!whole.is_empty()).then_some(whole)
}

/// The value of a header that may be there once: of two, nobody could say which one counts.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value)),
        (Err(_), _) => Err(bad_header(name, "is not visible ASCII")),
        (_, Some(_)) => Err(bad_header(name, "is there twice")),
    }
}

fn bad_header(name: &str, why: &str) -> Problem {
    Problem::new(codes::INPUT_HEADER, format!("the header {name} {why}"))
}

/// The name of the scheme is read in any case (RFC 9110 §11.1).
fn without_scheme(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.to_owned(),
        _ => value.to_owned(),
    }
}

/// The bytes of what leaves: the only place that makes a response.
pub(crate) fn write(egress: Egress, taken: &Taken) -> Response<Answered> {
    const JSON: &str = "application/json";
    let _writing = trace::step(Step::Write);
    let (status, kind, body) = match egress {
        Egress::Stream(stream) => return streamed(Events::of(stream, taken.clone())),
        Egress::Catalog(document) => return catalogue(&document),
        Egress::Schema(text) => (200, "application/schema+json", text),
        Egress::Permitted(delivered) => (200, JSON, delivered.body().to_string()),
        Egress::Protocol { status, message: Some(message) } => (status, JSON, message.to_text()),
        Egress::Protocol { status, message: None } => (status, JSON, String::new()),
        Egress::Public(
            PublicDoc::Organisation(text) | PublicDoc::Joined(text) | PublicDoc::Scripted(text),
        ) => (200, JSON, text),
        Egress::Public(PublicDoc::Versions(document)) => (200, JSON, document.to_string()),
        Egress::Together(told) => (200, JSON, Told::written(&told)),
        Egress::Log(document) => document.parts(),
        Egress::Fault(fault) => {
            (fault.status, "application/problem+json", fault.document.to_string())
        }
    };
    let has_body = !body.is_empty();
    let mut response = Response::new(Answered::Whole(Full::new(Bytes::from(body))));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if has_body {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if matches!(status, 429 | 503) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(AGAIN));
    }
    response
}

/// The answer that a part of the catalogue is: bytes that are there already.
fn catalogue(document: &CatalogDoc) -> Response<Answered> {
    let body = Bytes::from_owner(document.body());
    let has_body = !body.is_empty();
    let mut response = Response::new(Answered::Whole(Full::new(body)));
    *response.status_mut() =
        StatusCode::from_u16(document.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if has_body {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in document.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The answer that a stream is, which nobody on the way may keep.
fn streamed(events: Events) -> Response<Answered> {
    let mut response = Response::new(Answered::Events(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
