//! A node that runs: listeners bound before anything is answered, the way out, the sender, and a
//! fresh certificate before the old one runs out.

use crate::admin::AdminListener;
use crate::federation::{self, FederationListener};
use crate::outgoing::HttpsOutbound;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twinpact_identity::tls::Clock;
use twinpact_model::problem::Problem;
use twinpact_node::outbound::Outbound;
use twinpact_node::{Node, NodeParts, deadlines, open, organisation, outbox};

/// How often the node certificate is renewed; it is good for an hour.
const RENEWAL: Duration = Duration::from_secs(20 * 60);

/// A running node.
pub struct Running {
    /// The handles.
    pub parts: NodeParts,
    /// The admin door.
    pub admin: AdminListener,
    /// Where partners reach it, when the configuration has a federation listener.
    pub federation: Option<SocketAddr>,
    listener: Option<FederationListener>,
    stop: watch::Sender<bool>,
    jobs: Vec<JoinHandle<()>>,
}

impl Running {
    /// Binds every port, then starts answering and sending.
    ///
    /// # Errors
    /// `config.port` when a port cannot be bound; what issuing the organisation record refuses.
    pub async fn start(parts: NodeParts) -> Result<Running, Problem> {
        let node = parts.node.clone();
        give_way_out(&node)?;
        let bound = match node.config.federation.listen {
            Some(address) => Some(federation::bind(address).await?),
            None => None,
        };
        let federation = bound.as_ref().map(federation::Bound::address);
        organisation::issue(&node, node.config.dsp_url(federation)).await?;
        let admin = AdminListener::start(node.clone()).await?;
        let listener = match bound {
            None => None,
            Some(bound) => {
                let (presented, partners) = (&node.presented, &node.tls_partners);
                let clock = wall_clock(&node);
                Some(FederationListener::start(bound, presented, partners, &clock, node.clone())?)
            }
        };
        let (stop, stopped) = watch::channel(false);
        let jobs = vec![
            tokio::spawn(outbox::run(node.clone(), stopped.clone())),
            tokio::spawn(deadlines::run(node.clone(), stopped.clone())),
            tokio::spawn(renewal(node, stopped)),
        ];
        Ok(Running { parts, admin, federation, listener, stop, jobs })
    }

    /// Stops accepting, finishes what is being answered, and lets the log come to rest.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for job in self.jobs {
            // A job that panicked is over all the same.
            let _ = job.await;
        }
        if let Some(listener) = self.listener {
            listener.stop().await;
        }
        self.admin.stop().await;
        self.parts.stop();
    }
}

/// Gives the node its way to partners.
///
/// # Errors
/// `config.invalid` when an allowed private address is none.
pub fn give_way_out(node: &Node) -> Result<(), Problem> {
    let allowed = node.config.federation.allow_private.clone();
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    let outbound: Arc<dyn Outbound> =
        Arc::new(HttpsOutbound::new(presented, partners, wall_clock(node), allowed)?);
    // It is given once; a second time changes nothing.
    let _ = node.outbound.set(outbound);
    Ok(())
}

fn wall_clock(node: &Node) -> Clock {
    let clocks = node.clocks.clone();
    Arc::new(move || clocks.wall())
}

async fn renewal(node: Node, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(RENEWAL);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                // The old certificate goes on until it runs out; the next attempt is in time.
                let _ = open::renew(&node);
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
