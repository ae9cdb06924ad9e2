//! Calls whose answer is a stream: over a connection of its own, read as it comes.

use super::{Connection, HttpsOutbound, Way, endpoints, in_time, late, request};
use crate::outgoing::listed;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use twinpact_identity::outgoing::Target;
use twinpact_identity::refusal::Refusal;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::outbound::{Call, Flow, Flowing, Piece};
use twinpact_node::trace;

/// How long nothing may come: three heartbeats of the other side.
const SILENCE: Duration = Duration::from_secs(45);

impl HttpsOutbound {
    /// Makes the call, and reads the head of its answer within the time of a call.
    pub(super) async fn flowing(&self, mut call: Call) -> Result<Flowing, Problem> {
        let (partner, logged) = (call.trust_domain.clone(), trace::Call::begin());
        let (method, route) = (call.method, super::route(&call.url));
        call.headers.push((trace::REQUEST_HEADER, logged.id().to_owned()));
        let met = AtomicBool::new(false);
        let opened = self.opened(&call, &met);
        let answer = in_time(self.limits.whole, partner.as_str(), &met, opened).await;
        let status = answer.as_ref().map(|flowing| flowing.status);
        logged.ended(method, route, partner.as_str(), status);
        answer
    }

    async fn opened(&self, call: &Call, met: &AtomicBool) -> Result<Flowing, Problem> {
        let target = Target::parse(&call.url)?;
        let pinned = endpoints(&call.pinned)?;
        listed(&target, &pinned, &[])?;
        if self.partners.snapshot().get(&call.trust_domain).is_none() {
            return Err(Refusal::NotAPartner.problem(call.trust_domain.as_str()));
        }
        let way = Way { target: &target, pinned: &pinned, partner: &call.trust_domain, met };
        let request = request(call.method, &call.headers, call.body.clone(), &target)?;
        let mut connection = self.connect(&way).await?;
        met.store(true, Ordering::Relaxed);
        let response = connection.sender.send_request(request).await;
        let response = response.map_err(|error| way.broken(&error))?;
        let status = response.status().as_u16();
        let partner = call.trust_domain.as_str().to_owned();
        let body =
            Box::new(Coming { body: response.into_body(), partner, _connection: connection });
        Ok(Flowing { status, body })
    }
}

/// A body that is still coming. Its connection is closed when it is dropped.
struct Coming {
    body: Incoming,
    partner: String,
    _connection: Connection,
}

impl Flow for Coming {
    fn next(&mut self) -> Piece<'_> {
        Box::pin(async move {
            loop {
                let frame = timeout(SILENCE, self.body.frame()).await;
                let frame = frame.map_err(|_| late(&self.partner, SILENCE))?;
                let Some(frame) = frame else { return Ok(None) };
                let frame = frame.map_err(|error| {
                    let why = format!("the stream of {} broke off: {error}", self.partner);
                    Problem::new(codes::PEER_UNREACHABLE, why)
                })?;
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data.to_vec()));
                }
            }
        })
    }
}
