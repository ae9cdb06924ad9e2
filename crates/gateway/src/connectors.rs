//! The doors for connectors of others: HTTP/1.1 (RFC 9112), one without TLS on loopback only, and
//! one with TLS in which the caller is nobody.
//!
//! Who asks is for the node to say ([`twinpact_node::connectors`]); what is answered is an `Egress`
//! of the same [`Door`] as for partners, made into bytes by the same function. Connections beyond
//! [`MAX_CONNECTOR_CONNECTIONS`] wait to be accepted.

use crate::events::Answered;
use crate::federation::{
    ACCEPT_AGAIN, HEAD, MAX_HEAD_BYTES, MAX_HEADERS, STOP, asked, identify, told, whole, write,
};
use crate::paced::{Paced, Taken};
use crate::port::Bound;
use crate::sources::Sources;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use twinpact_identity::outgoing::Target;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::ask::outcome;
use twinpact_node::door::{Door, Way};
use twinpact_node::metrics::part;
use twinpact_node::strangers::Away;
use twinpact_node::trace::{self, Doorway, REQUEST_HEADER};

/// The most connections that are open at either door.
pub const MAX_CONNECTOR_CONNECTIONS: usize = 256;
/// How long what was written may take to be read.
const WRITE: Duration = Duration::from_secs(30);

/// How long the next request may take to begin and to bring its head, where nobody has a name
/// before it has asked.
const NEXT: Duration = Duration::from_secs(10);
/// How much is read of the body of who is nobody.
const NOBODYS_BYTES: usize = 16_384;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What is different at the two doors.
#[derive(Clone)]
enum Kind {
    Plain,
    Tls(TlsAcceptor),
}

/// The listener for connectors, answering until it is stopped.
pub struct ConnectorListener {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl ConnectorListener {
    /// Answers at that address by asking that door. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `config.invalid` when the address is not loopback.
    pub fn start(bound: Bound, door: impl Door) -> Result<ConnectorListener, Problem> {
        let address = bound.address;
        if !address.ip().is_loopback() {
            let why = format!("{address} is not loopback: a door without TLS listens nowhere else");
            return Err(Problem::new(codes::CONFIG_INVALID, why));
        }
        Ok(ConnectorListener::answering(bound, Kind::Plain, door))
    }

    /// The same over TLS, at any address.
    #[must_use]
    pub fn start_tls(bound: Bound, tls: Arc<ServerConfig>, door: impl Door) -> ConnectorListener {
        ConnectorListener::answering(bound, Kind::Tls(TlsAcceptor::from(tls)), door)
    }

    fn answering(bound: Bound, kind: Kind, door: impl Door) -> ConnectorListener {
        let address = bound.address;
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(bound.listener, kind, Arc::new(door), stopped));
        ConnectorListener { address, stop, serving }
    }

    /// Accepts nobody any more, lets requests finish for at most 5 seconds, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

async fn serve(
    listener: TcpListener,
    kind: Kind,
    door: Arc<dyn Door>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTOR_CONNECTIONS));
    let sources = Arc::<Sources>::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // It is never closed.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = told(&mut stopped) => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((tcp, from)) => {
                let source = match kind {
                    Kind::Plain => None,
                    Kind::Tls(_) => match sources.enter(from.ip()) {
                        Some(source) => Some(source),
                        None => {
                            door.turned_away(Away::NamelessFull);
                            continue;
                        }
                    },
                };
                let meeting = meet(kind.clone(), Arc::clone(&door), tcp, stopped.clone());
                connections.spawn(async move {
                    meeting.await;
                    drop((place, source));
                });
            }
            Err(_) => sleep(ACCEPT_AGAIN).await,
        }
    }
    drop(listener);
    let finishing = async { while connections.join_next().await.is_some() {} };
    // What is left after that is cut off when the set is dropped.
    let _ = timeout(STOP, finishing).await;
}

/// Shakes hands where that is due, and answers.
async fn meet(kind: Kind, door: Arc<dyn Door>, tcp: TcpStream, stopped: watch::Receiver<bool>) {
    let _ = tcp.set_nodelay(true);
    match kind {
        Kind::Plain => exchange(door, (Way::Connectors, HEAD), tcp, stopped).await,
        Kind::Tls(tls) => {
            // Who does not get through the handshake has asked for nothing.
            if let Ok(Ok(tcp)) = timeout(HANDSHAKE, tls.accept(tcp)).await {
                exchange(door, (Way::Claims, NEXT), tcp, stopped).await;
            }
        }
    }
}

/// Answers what is asked over one connection, until either side ends it.
async fn exchange(
    door: Arc<dyn Door>,
    (way, head): (Way, Duration),
    connection: impl AsyncRead + AsyncWrite + Unpin,
    mut stopped: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    let paced = Paced::new(connection, WRITE);
    let (taken, stream) = (paced.taken(), TokioIo::new(paced));
    let service =
        service_fn(move |request| respond(Arc::clone(&door), way, taken.clone(), request));
    let mut serving = std::pin::pin!(http.serve_connection(stream, service));
    // Whatever ends it is the caller's affair.
    let _ = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told(&mut stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
}

/// Whether a request is of a program on this machine. A web page of somewhere else can have a
/// browser here send one: it names its own host, or says where it comes from (Fetch §3.2).
fn from_a_program(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let here = Target::parse(&format!("http://{host}")).is_ok_and(|target| target.host.is_here());
    match here && !headers.contains_key(ORIGIN) {
        true => Ok(()),
        false => {
            Err(Problem::new(codes::INPUT_HEADER, "this door is for programs on this machine")
                .hint("send Host as this machine's loopback address, and no Origin"))
        }
    }
}

/// Answers one request; an error closes the connection without an answer.
async fn respond(
    door: Arc<dyn Door>,
    way: Way,
    taken: Taken,
    request: Request<Incoming>,
) -> io::Result<Response<Answered>> {
    let (head, body) = request.into_parts();
    let theirs = head.headers.get(REQUEST_HEADER).and_then(|id| id.to_str().ok());
    let (method, route) = (head.method.as_str(), part(head.uri.path()));
    let logged = trace::Request::begin(Doorway::Connectors, method, route, None, theirs);
    let answering = async {
        let mut asked = asked(way, None, &head, Vec::new());
        let known = way == Way::Connectors || door.is_claimed(asked.bearer.as_deref());
        let (body, large) = match known {
            true => whole(body).await?,
            // Closing on what was not read would take the answer with it (RFC 9112 §9.6).
            false => {
                let _ = timeout(NEXT, Limited::new(body, NOBODYS_BYTES).collect()).await;
                (Vec::new(), None)
            }
        };
        if way == Way::Connectors
            && let Err(problem) = from_a_program(&head.headers)
        {
            return Ok((problem.into(), known));
        }
        asked.body = body;
        asked.fault = large.or(asked.fault);
        Ok::<_, io::Error>((door.answer(asked).await, known))
    };
    let (egress, known) = logged.over(answering).await?;
    let (status, code) = outcome(&egress);
    let mut response = write(egress, &taken);
    // Who has shown a token that is good is somebody, and so is who signs claims.
    if !known && (status >= 400 || !head.uri.path().starts_with("/data/")) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    identify(response.headers_mut(), logged.id());
    logged.answered(status, &code);
    Ok(response)
}
