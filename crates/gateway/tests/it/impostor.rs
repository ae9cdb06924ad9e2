//! A server by hand in front of an honest provider: it has the provider's certificate and key, asks
//! the honest node in the caller's name, and does with the answer what a trick says.

use crate::strangers::Shown;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector, server};
use twinpact_identity::partners::Side;
use twinpact_identity::tls::{ALPN, Clock, client_config, peer_identity, server_config};
use twinpact_node::Node;
use twinpact_node::behind::CHECKPOINT_HEADER;

/// What becomes of an answer.
pub(crate) enum Act {
    /// It is let through.
    Honest,
    /// These bytes come in its place.
    Instead(Vec<u8>),
    /// Its JSON is changed.
    Altered(Box<dyn Fn(&mut Value) + Send + Sync>),
    /// All of it but the last byte comes, byte by byte, and then nothing.
    Slow,
    /// Nothing comes.
    Never,
    /// Half of it comes, and then the end.
    Half,
}

/// What is done to whom.
pub(crate) struct Trick {
    /// How the request begins whose answer is changed.
    pub(crate) on: &'static str,
    pub(crate) act: Act,
    /// What is shown in place of the provider's certificate.
    pub(crate) shown: Option<Shown>,
    /// What answers whoever asks for the organisation's record.
    pub(crate) record: Option<String>,
    /// Who is asked in place of the honest node; what the caller holds is kept from it.
    pub(crate) other: Option<SocketAddr>,
}

impl Trick {
    pub(crate) fn new(on: &'static str, act: Act) -> Trick {
        Trick { on, act, shown: None, record: None, other: None }
    }

    pub(crate) fn none() -> Trick {
        Trick::new("-", Act::Honest)
    }
}

/// The server, and what it has seen.
pub(crate) struct Impostor {
    trick: Mutex<Arc<Trick>>,
    /// The honest node, and its address.
    provider: Node,
    honest: SocketAddr,
    /// In whose name it asks, by trust domain.
    callers: HashMap<String, Node>,
    /// Whole deliveries of the honest node, with the trust domain that they are for.
    pub(crate) deliveries: Mutex<Vec<(String, Vec<u8>)>>,
    /// How often it was asked for the record.
    pub(crate) records: Mutex<usize>,
}

impl Impostor {
    /// Listens on that port in front of the honest node.
    pub(crate) async fn start(
        port: u16,
        (provider, honest): (&Node, SocketAddr),
        callers: &[&Node],
    ) -> (Arc<Impostor>, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let named = |node: &&Node| {
            (node.identity.current().root.trust_domain().to_string(), Node::clone(node))
        };
        let impostor = Arc::new(Impostor {
            trick: Mutex::new(Arc::new(Trick::none())),
            provider: provider.clone(),
            honest,
            callers: callers.iter().map(named).collect(),
            deliveries: Mutex::default(),
            records: Mutex::default(),
        });
        let serving = impostor.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(tcp));
            }
        });
        (impostor, accepting)
    }

    pub(crate) fn plays(&self, trick: Trick) {
        *self.trick.lock().unwrap() = Arc::new(trick);
    }

    fn trick(&self) -> Arc<Trick> {
        self.trick.lock().unwrap().clone()
    }

    /// What the honest node last delivered to that organisation.
    pub(crate) fn delivered(&self, domain: &str) -> Vec<u8> {
        let deliveries = self.deliveries.lock().unwrap();
        deliveries.iter().rev().find(|(to, _)| to == domain).unwrap().1.clone()
    }

    /// One request a connection, so that no trick outlives its case.
    async fn serve(self: Arc<Impostor>, tcp: TcpStream) {
        let trick = self.trick();
        let config = match &trick.shown {
            None => {
                let clock = clock(&self.provider);
                server_config(&self.provider.presented, &self.provider.tls_partners, &clock)
                    .unwrap()
            }
            Some(shown) => showing(shown),
        };
        // A caller that does not like the certificate leaves.
        let Ok(mut tls) = TlsAcceptor::from(config).accept(tcp).await else { return };
        let Some(request) = request(&mut tls).await else { return };
        let from = self.caller(&tls);
        if request.starts_with("GET /.well-known/twinpact/organisation") {
            *self.records.lock().unwrap() += 1;
            if let Some(record) = &trick.record {
                send(&mut tls, &http("200 OK", record)).await;
                return;
            }
        }
        let Some(from) = from else { return };
        let answer = self.ask(&trick, &from, &request).await;
        let act = if request.starts_with(trick.on) { &trick.act } else { &Act::Honest };
        play(&mut tls, act, answer).await;
    }

    /// The trust domain of a partner that calls.
    fn caller(&self, tls: &server::TlsStream<TcpStream>) -> Option<String> {
        let (shown, partners) = (tls.get_ref().1.peer_certificates(), &self.provider.tls_partners);
        let now = self.provider.clocks.wall();
        let peer = peer_identity(shown, Side::Client, partners, now).ok()??;
        Some(peer.trust_domain.to_string())
    }

    /// What the honest node answers.
    async fn ask(&self, trick: &Trick, from: &str, request: &str) -> Vec<u8> {
        let (caller, provider) = (&self.callers[from], &self.provider);
        let domain = provider.identity.current().root.trust_domain().clone();
        let config =
            client_config(&caller.presented, &caller.tls_partners, &domain, &clock(caller));
        let tcp = TcpStream::connect(trick.other.unwrap_or(self.honest)).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("any.example").unwrap();
        let mut tls = TlsConnector::from(config.unwrap()).connect(name, tcp).await.unwrap();
        let hidden = |line: &&str| trick.other.is_none() || !line.starts_with(CHECKPOINT_HEADER);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.split("\r\n").filter(hidden).collect();
        send(&mut tls, &format!("{}\r\nconnection: close\r\n\r\n{body}", lines.join("\r\n"))).await;
        let mut answer = Vec::new();
        let _ = tls.read_to_end(&mut answer).await;
        if request.starts_with("GET /data/") && answer.starts_with(b"HTTP/1.1 200") {
            let delivery = (from.to_owned(), body_of(&answer).to_vec());
            self.deliveries.lock().unwrap().push(delivery);
        }
        answer
    }
}

fn clock(node: &Node) -> Clock {
    let clocks = node.clocks.clone();
    Arc::new(move || clocks.wall())
}

/// A server that shows whatever it is given, and asks nobody who he is.
fn showing((chain, key): &Shown) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let builder = builder.with_no_client_auth();
    let mut config = builder.with_single_cert(chain.clone(), key.clone_key()).unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// Head and body of a request; `None` when the caller has left.
async fn request(tls: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(tls.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&read).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    tls.read_exact(&mut body).await.ok()?;
    read.extend(body);
    String::from_utf8(read).ok()
}

async fn send(tls: &mut (impl AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    // The caller may hang up in the middle of an answer that it does not take.
    let _ = tls.write_all(bytes.as_ref()).await;
    let _ = tls.flush().await;
}

async fn play(tls: &mut server::TlsStream<TcpStream>, act: &Act, mut answer: Vec<u8>) {
    match act {
        Act::Honest => send(tls, &answer).await,
        Act::Instead(bytes) => send(tls, bytes).await,
        Act::Altered(change) => {
            let mut body: Value = serde_json::from_slice(body_of(&answer)).unwrap();
            change(&mut body);
            send(tls, http("200 OK", body.to_string())).await;
        }
        Act::Half => {
            answer.truncate(answer.len() / 2);
            send(tls, &answer).await;
        }
        Act::Slow | Act::Never => {
            let bytes = if matches!(act, Act::Slow) { answer.len() - 1 } else { 0 };
            for byte in answer.iter().take(bytes) {
                send(tls, [*byte]).await;
            }
            // Until the caller has had enough.
            let _ = tls.read_u8().await;
        }
    }
    let _ = tls.shutdown().await;
}

fn body_of(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    &answer[end + 4..]
}

/// An answer as bytes.
pub(crate) fn http(status: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}", body.len());
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}
