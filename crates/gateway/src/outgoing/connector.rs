//! Calls to connectors of others: HTTP/1.1, without TLS to loopback addresses only, or over TLS to
//! a server under the authorities that the call brings with it.
//!
//! A name may be in the URL; what is dialled is the address that it was resolved to and that was
//! found to be loopback, or public over TLS, so that a name which resolves differently the second
//! time leads nowhere. No redirect is followed.

use super::{HttpsOutbound, late, received, unreachable};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use twinpact_identity::outgoing::{Endpoint, Target, allowed, listed};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::outbound::{ConnectorCall, Reply};
use twinpact_node::trace;

impl HttpsOutbound {
    /// Makes the call.
    pub(super) async fn to_connector(&self, mut call: ConnectorCall) -> Result<Reply, Problem> {
        let (to, logged) = (call.participant.clone(), trace::Call::begin());
        let (method, route) = (call.method, super::route(&call.url));
        call.headers.push((trace::REQUEST_HEADER, logged.id().to_owned()));
        let whole = self.limits.whole;
        let called = timeout(whole, self.made(call)).await;
        let reply = called.unwrap_or_else(|_| Err(late(&to, whole)));
        logged.ended(method, route, &to, reply.as_ref().map(|reply| reply.status));
        reply
    }

    async fn made(&self, call: ConnectorCall) -> Result<Reply, Problem> {
        let target = Target::parse(&call.url)?;
        let tcp = self.dial_connector(&call, &target).await?;
        let Some(over_tls) = &call.over_tls else { return asked_over(tcp, &call, &target).await };
        let config = over_tls.roots.config(&self.clock)?;
        let connecting = TlsConnector::from(config).connect(super::server_name(&target)?, tcp);
        let refused = |why: &str| unreachable(&call.participant, why);
        match timeout(self.limits.handshake, connecting).await {
            Ok(Ok(tls)) => asked_over(tls, &call, &target).await,
            Ok(Err(error)) => Err(refused(&error.to_string())),
            Err(_) => Err(refused("the TLS handshake takes too long")),
        }
    }

    /// Connects to the first address that may be dialled and answers.
    async fn dial_connector(
        &self,
        call: &ConnectorCall,
        target: &Target,
    ) -> Result<TcpStream, Problem> {
        let (limits, to) = (&self.limits, call.participant.as_str());
        let (pinned, listed_here) = match &call.over_tls {
            Some(over_tls) => (super::endpoints(&over_tls.pinned)?, self.allow_private.clone()),
            None => {
                let here = format!("http://{}:{}", target.host, target.port);
                (Vec::new(), vec![Endpoint::parse(&here)?])
            }
        };
        // Before its name is resolved, and without the operator's list, which would let `http` by.
        if call.over_tls.is_some() {
            listed(target, &pinned, &[])?;
        }
        let mut last = unreachable(to, "its name has no address");
        for address in self.resolve(to, target).await? {
            if let Err(problem) = allowed(target, &pinned, &listed_here, address.ip()) {
                last = problem;
                continue;
            }
            match timeout(limits.connect, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = unreachable(to, &error.to_string()),
                Err(_) => last = unreachable(to, "connecting takes too long"),
            }
        }
        Err(last)
    }
}

/// Asks over that connection, which is closed then.
async fn asked_over(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    call: &ConnectorCall,
    target: &Target,
) -> Result<Reply, Problem> {
    let gone = |error: hyper::Error| unreachable(&call.participant, &error.to_string());
    let mut http = http1::Builder::new();
    http.max_buf_size(super::MAX_HEAD_BYTES).max_headers(super::MAX_HEADERS);
    let (mut sender, running) =
        http.handshake::<_, Full<Bytes>>(TokioIo::new(connection)).await.map_err(gone)?;
    let request = super::request(call.method, &call.headers, call.body.clone(), target)?;
    let answering = async {
        let response = sender.send_request(request).await.map_err(gone)?;
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        let body = Limited::new(body, call.max_bytes).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => {
                let why = format!("its answer is larger than {} bytes", call.max_bytes);
                Problem::new(codes::PEER_ANSWER, format!("{}: {why}", call.participant))
            }
            false => unreachable(&call.participant, &error.to_string()),
        })?;
        let body = body.to_bytes().to_vec();
        received::reply(status, &head.headers, body, call.max_bytes).map_err(|why| {
            Problem::new(codes::PEER_ANSWER, format!("the answer of {}: {why}", call.participant))
        })
    };
    // The connection is driven for as long as the call takes, and is closed then. Whoever waits for
    // an answer is told of its end by the sender.
    tokio::pin!(answering);
    tokio::select! {
        reply = answering.as_mut() => reply,
        _ = running => answering.await,
    }
}
