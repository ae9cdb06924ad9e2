//! Organisations with certificates, a door that says what it was asked, and a server by hand.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use twinpact_gateway::federation::FederationListener;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_gateway::places::Bounds;
use twinpact_gateway::port::bind;
use twinpact_identity::ca::Root;
use twinpact_identity::partners::{Partner, PartnerSet, Partners};
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_identity::tls::{Clock, Presented, client_config, server_config, system_clock};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_node::door::{Answering, Asked, Door};
use twinpact_node::egress::{Egress, PublicDoc};
use twinpact_node::outbound::Call;
use twinpact_node::strangers::{Away, Strangers};

/// How long a test waits for what must happen: it fails then.
const PATIENCE: Duration = Duration::from_secs(30);

/// An organisation with one node.
pub(crate) struct Party {
    pub(crate) did: Did,
    pub(crate) domain: TrustDomain,
    pub(crate) presented: Presented,
    pub(crate) partners: Partners,
    pub(crate) clock: Clock,
    pub(crate) root: Root,
    /// Who was turned away at its door.
    pub(crate) strangers: Strangers,
}

impl Party {
    /// A new one under a new root, which knows nobody yet.
    pub(crate) fn new(host: &str) -> Party {
        let did = Did::new(format!("did:web:{host}")).unwrap();
        let domain = TrustDomain::of_did(&did).unwrap();
        let clock = system_clock();
        let root = Root::create(&domain, clock()).unwrap();
        let id = SpiffeId::of_node(&domain, "one").unwrap();
        let node = root.issue(clock()).unwrap().issue_node(&id, clock()).unwrap();
        let presented = Presented::default();
        presented.replace(&node).unwrap();
        let (partners, strangers) = (Partners::default(), Strangers::default());
        Party { did, domain, presented, partners, clock, root, strangers }
    }

    pub(crate) fn knows(&self, others: &[&Party]) {
        let partner =
            |p: &&Party| Partner { did: p.did.clone(), root: p.root.certificate().clone() };
        self.partners.replace(PartnerSet::new(others.iter().map(partner)).unwrap());
    }

    /// Its outgoing calls, which may go to these private endpoints.
    pub(crate) fn caller(&self, private: &[String]) -> HttpsOutbound {
        let (presented, partners) = (self.presented.clone(), self.partners.clone());
        HttpsOutbound::new(presented, partners, self.clock.clone(), private.to_vec()).unwrap()
    }

    /// The same without a certificate.
    pub(crate) fn nameless(&self, private: &[String]) -> HttpsOutbound {
        let (presented, partners) = (Presented::default(), self.partners.clone());
        HttpsOutbound::new(presented, partners, self.clock.clone(), private.to_vec()).unwrap()
    }

    pub(crate) async fn listen(&self, echo: &Echo) -> FederationListener {
        self.listen_within(Bounds::default(), echo).await
    }

    pub(crate) async fn listen_within(&self, bounds: Bounds, echo: &Echo) -> FederationListener {
        let bound = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let (address, echo) = (bound.address(), echo.clone());
        let (presented, partners, clock) = (&self.presented, &self.partners, &self.clock);
        let (strangers, door) = (&self.strangers, echo);
        let listener =
            FederationListener::start(bound, bounds, presented, partners, clock, strangers, door);
        let listener = listener.unwrap();
        assert_eq!(listener.address, address);
        listener
    }

    /// Waits until that many were turned away for that reason.
    pub(crate) async fn turned_away(&self, away: Away, many: u64) {
        let mut changes = self.strangers.changes();
        let waiting = changes.wait_for(|tally| tally.total.of(away) >= many);
        let waited = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        let total = self.strangers.tally().total;
        assert!(waited && total.of(away) == many, "{away:?} {many} times: {total:?}");
    }

    /// The server's side of the next connection, for a server by hand.
    pub(crate) async fn accept(&self, listener: &TcpListener) -> server::TlsStream<TcpStream> {
        let config = server_config(&self.presented, &self.partners, &self.clock).unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(config).accept(tcp).await.unwrap()
    }

    /// The client's side of a connection, for a client by hand.
    pub(crate) async fn connect(
        &self,
        to: &Party,
        address: SocketAddr,
    ) -> client::TlsStream<TcpStream> {
        let config =
            client_config(&self.presented, &self.partners, &to.domain, &self.clock).unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("any.example").unwrap();
        TlsConnector::from(config).connect(name, tcp).await.unwrap()
    }
}

/// Two organisations that know each other.
pub(crate) fn friends() -> (Party, Party) {
    let (a, b) = (Party::new("a.example"), Party::new("b.example"));
    a.knows(&[&b]);
    b.knows(&[&a]);
    (a, b)
}

/// The bytes of a large answer.
pub(crate) const LARGE: usize = 32 << 20;

/// A door that answers with what it was asked. The query asks for something else: `stuck` waits
/// for [`Echo::release`], `fault` is a fault of ours, `protocol` a bare acknowledgement, `large` an
/// answer that no buffer on the way holds.
#[derive(Clone, Default)]
pub(crate) struct Echo {
    asked: Arc<AtomicUsize>,
    pub(crate) entered: Arc<Notify>,
    pub(crate) release: Arc<Notify>,
}

impl Echo {
    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Door for Echo {
    fn answer(&self, asked: Asked) -> Answering<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if let Some(fault) = asked.fault {
                return fault.into();
            }
            match asked.query.as_deref() {
                Some("stuck") => {
                    self.entered.notify_one();
                    self.release.notified().await;
                }
                Some("fault") => return Problem::new(codes::INTERNAL, "a secret of ours").into(),
                Some("large") => {
                    let text = "x".repeat(LARGE);
                    return Egress::Public(PublicDoc::Organisation(text));
                }
                Some("protocol") => return Egress::Protocol { status: 202, message: None },
                _ => {}
            }
            Egress::Public(PublicDoc::Versions(json!({
                "peer": asked.peer.map(|p| p.did.to_string()),
                "method": asked.method,
                "path": asked.path,
                "query": asked.query,
                "bearer": asked.bearer,
                "assertion": asked.assertion,
                "bytes": asked.body.len(),
            })))
        })
    }
}

/// A `GET` of that path, pinned as the record of `to` would pin it.
pub(crate) fn get(to: &Party, address: SocketAddr, path: &str) -> Call {
    Call {
        trust_domain: to.domain.clone(),
        pinned: vec![base(address)],
        method: "GET",
        url: format!("{}{path}", base(address)),
        headers: Vec::new(),
        body: Vec::new(),
        max_bytes: 65_536,
    }
}

pub(crate) fn base(address: SocketAddr) -> String {
    format!("https://{address}")
}

pub(crate) fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

pub(crate) async fn tcp_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads one request without a body and writes that answer.
pub(crate) async fn answer_once(tls: &mut server::TlsStream<TcpStream>, answer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    // The caller may hang up in the middle of an answer that it does not take.
    let _ = tls.write_all(answer.as_bytes()).await;
    let _ = tls.flush().await;
}
