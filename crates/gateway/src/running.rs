//! A node that runs: every port bound before anything is written or answered, the way out, the
//! sender, a fresh certificate before the old one runs out, and an entry a minute about strangers.

use crate::admin::AdminListener;
use crate::connectors::ConnectorListener;
use crate::federation::FederationListener;
use crate::outgoing::HttpsOutbound;
use crate::places::Bounds;
use crate::port::{Bound, bind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twinpact_identity::tls::Clock;
use twinpact_model::problem::Problem;
use twinpact_node::outbound::Outbound;
use twinpact_node::{
    Node, NodeParts, conformance, cosignatures, deadlines, following, keys, open, organisation,
    outbox, pushing, retention, seen, strangers, trace,
};

/// How often the node certificate is renewed; it is good for an hour.
const RENEWAL: Duration = Duration::from_secs(20 * 60);
/// How often the clock is held against the certificate: it may have been set.
const LOOK: Duration = Duration::from_secs(30);
/// How often those who were turned away without a name become an entry of the log.
pub const COUNTING: Duration = Duration::from_secs(60);

/// A running node.
pub struct Running {
    /// The handles.
    pub parts: NodeParts,
    /// The admin door.
    pub admin: AdminListener,
    /// Where partners reach it, when the configuration has a federation listener.
    pub federation: Option<SocketAddr>,
    doors: Doors,
    stop: watch::Sender<bool>,
    jobs: Vec<JoinHandle<()>>,
}

impl Running {
    /// Binds every port, then starts answering and sending.
    ///
    /// # Errors
    /// `config.port` when a port cannot be bound, and `config.invalid`: nothing was written then.
    /// What issuing the organisation record refuses.
    pub async fn start(parts: NodeParts) -> Result<Running, Problem> {
        Running::start_within(parts, Bounds::default(), COUNTING).await
    }

    /// The same with other bounds for connections, and another time between entries about those
    /// who were turned away.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_within(
        parts: NodeParts,
        bounds: Bounds,
        counting: Duration,
    ) -> Result<Running, Problem> {
        let node = parts.node.clone();
        match listen(&node, bounds).await {
            Ok((admin, doors)) => {
                let (stop, stopped) = watch::channel(false);
                let jobs = vec![
                    tokio::spawn(outbox::run(node.clone(), stopped.clone())),
                    tokio::spawn(deadlines::run(node.clone(), stopped.clone())),
                    tokio::spawn(following::run(node.clone(), stopped.clone())),
                    tokio::spawn(pushing::run(node.clone(), stopped.clone())),
                    tokio::spawn(retention::run(node.clone(), stopped.clone())),
                    tokio::spawn(cosignatures::run(node.clone(), stopped.clone())),
                    tokio::spawn(seen::run(node.clone(), stopped.clone())),
                    tokio::spawn(conformance::run(node.clone(), stopped.clone())),
                    tokio::spawn(renewal(node.clone(), stopped.clone())),
                    tokio::spawn(count_strangers(node, counting, stopped)),
                ];
                let federation = doors.federation.as_ref().map(|listener| listener.address);
                Ok(Running { parts, admin, federation, doors, stop, jobs })
            }
            Err(problem) => {
                parts.stop();
                Err(problem)
            }
        }
    }

    /// Stops accepting, finishes what is being answered, and lets the log come to rest.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.parts.node.streams.close();
        for job in self.jobs {
            // A job that panicked is over all the same.
            let _ = job.await;
        }
        if let Some(listener) = self.doors.federation {
            listener.stop().await;
        }
        for listener in self.doors.connectors {
            listener.stop().await;
        }
        self.admin.stop().await;
        // After the last one that could be counted. A log that has stopped takes nothing any more.
        let _ = strangers::log(&self.parts.node).await;
        self.parts.stop();
    }
}

/// The doors for others.
struct Doors {
    federation: Option<FederationListener>,
    connectors: Vec<ConnectorListener>,
}

async fn bind_some(address: Option<SocketAddr>) -> Result<Option<Bound>, Problem> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

/// All listeners. What can fail without a trace comes before what is written.
async fn listen(node: &Node, bounds: Bounds) -> Result<(AdminListener, Doors), Problem> {
    give_way_out(node)?;
    let admin = bind(node.config.admin.listen).await?;
    let federation = bind_some(node.config.federation.listen).await?;
    let connectors = bind_some(node.connectors.listen).await?;
    let web = node.connectors.web.as_ref();
    let with_tls = bind_some(web.map(|web| web.listen)).await?;
    let address = federation.as_ref().map(Bound::address);
    organisation::issue(node, node.config.dsp_url(address)).await?;
    keys::use_newest(node)?;
    let federation = match federation {
        None => None,
        Some(bound) => {
            let (presented, partners) = (&node.presented, &node.tls_partners);
            let (clock, strangers, door) = (wall_clock(node), &node.strangers, node.clone());
            let listener = FederationListener::start(
                bound, bounds, presented, partners, &clock, strangers, door,
            )?;
            node.metrics.read_connections(listener.connections());
            Some(listener)
        }
    };
    let mut doors = Doors { federation, connectors: Vec::new() };
    if let Some(bound) = connectors {
        node.connectors.bound(bound.address());
        doors.connectors.push(ConnectorListener::start(bound, node.clone())?);
    }
    if let (Some(bound), Some(web)) = (with_tls, web) {
        web.bound(bound.address());
        let tls = web.server.config(&wall_clock(node))?;
        doors.connectors.push(ConnectorListener::start_tls(bound, tls, node.clone()));
    }
    Ok((AdminListener::answer(admin, node.clone())?, doors))
}

/// Gives the node its way to partners.
///
/// # Errors
/// `config.invalid` when an allowed private address is none.
pub fn give_way_out(node: &Node) -> Result<(), Problem> {
    let outbound: Arc<dyn Outbound> = Arc::new(way_out(node)?);
    // It is given once; a second time changes nothing.
    let _ = node.outbound.set(outbound);
    Ok(())
}

/// A way of that node to its partners.
pub(crate) fn way_out(node: &Node) -> Result<HttpsOutbound, Problem> {
    let allowed = node.config.federation.allow_private.clone();
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    HttpsOutbound::new(presented, partners, wall_clock(node), allowed)
}

pub(crate) fn wall_clock(node: &Node) -> Clock {
    let clocks = node.clocks.clone();
    Arc::new(move || clocks.wall())
}

async fn renewal(node: Node, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(RENEWAL);
    let mut looks = tokio::time::interval(LOOK);
    ticks.tick().await;
    loop {
        let looks_only = tokio::select! {
            _ = ticks.tick() => false,
            _ = looks.tick() => true,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if looks_only {
            match open::renew_after_jump(&node).await {
                Ok(false) => {}
                renewed => trace::renewed(renewed.as_ref().map(|_| ())),
            }
            continue;
        }
        // The old certificate goes on until it runs out; the next attempt is in time.
        trace::renewed(open::reload_issuing(&node).await.as_ref().map(|_| ()));
        let _ = keys::forget_ended(&node).await;
        if let Some(web) = &node.connectors.web {
            trace::web_certificate(web.renew().as_ref().map(|_| ()));
        }
    }
}

/// Logs who was turned away, every so often; the last of it is logged by [`Running::stop`].
async fn count_strangers(node: Node, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    loop {
        let over = tokio::select! {
            _ = ticks.tick() => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if over {
            return;
        }
        // A log that has stopped says so to everybody who asks for more than this.
        let _ = strangers::log(&node).await;
    }
}
