//! Real handshakes between two parties in memory, seen from both sides.

use super::{ALPN, Clock, Presented, Shown, client_config, peer_identity, provider, server_config};
use crate::forge::{Chain, NOW, Org, at, ca_params, leaf_params, set_life, uri_name};
use crate::partners::{PartnerSet, Partners, PeerIdentity, Side};
use crate::refusal::Refusal;
use crate::spiffe::TrustDomain;
use rcgen::KeyPair;
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, CommonState, HandshakeKind, NamedGroup, ProtocolVersion,
    ServerConfig,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What one side has at the end: the other's identity, or why not and the alert that told it so.
type Seen = Result<Option<PeerIdentity>, (Refusal, Option<AlertDescription>)>;

/// The side that refuses: its own reason, and no alert received.
fn refuses(reason: Refusal) -> Seen {
    Err((reason, None))
}

/// The side that is refused: it learns no more than this alert.
fn told(alert: AlertDescription) -> Seen {
    Err((Refusal::ByPeer, Some(alert)))
}

/// One end of a connection, with a clock of its own.
struct Party {
    presented: Presented,
    partners: Partners,
    time: Arc<AtomicI64>,
}

impl Party {
    fn new(presented: Presented, partners: &[&Org]) -> Party {
        let set = PartnerSet::new(partners.iter().map(|org| org.partner())).unwrap();
        Party { presented, partners: Partners::new(set), time: Arc::new(AtomicI64::new(0)) }
    }

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.time);
        Arc::new(move || at(time.load(Ordering::SeqCst)))
    }

    fn server(&self) -> Arc<ServerConfig> {
        server_config(&self.presented, &self.partners, &self.clock()).unwrap()
    }

    fn client(&self, partner: &TrustDomain) -> Arc<ClientConfig> {
        client_config(&self.presented, &self.partners, partner, &self.clock()).unwrap()
    }

    fn identify(&self, tls: &CommonState, side: Side<'_>) -> Option<PeerIdentity> {
        let now = (self.clock())();
        peer_identity(tls.peer_certificates(), side, &self.partners, now).unwrap()
    }
}

/// What our own code presents for that organisation.
fn honest(org: &Org) -> Presented {
    let presented = Presented::default();
    presented.replace(&org.node(at(0))).unwrap();
    presented
}

/// What a forger presents.
fn forged(chain: &Chain) -> Presented {
    with_key(chain, &chain.key)
}

fn with_key(chain: &Chain, key: &KeyPair) -> Presented {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider().key_provider.load_private_key(key).unwrap();
    let presented = Presented::default();
    let certified = Arc::new(CertifiedKey::new(chain.certificates.clone(), key));
    *presented.0.write().unwrap() = Some(Shown { certified, from: at(0), until: at(0) });
    presented
}

fn failed(error: &io::Error) -> (Refusal, Option<AlertDescription>) {
    let alert = match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
        _ => None,
    };
    (Refusal::of_io(error).unwrap(), alert)
}

async fn serve(party: &Party, config: Arc<ServerConfig>, io: DuplexStream) -> Seen {
    let talk = async {
        let mut stream = TlsAcceptor::from(config).accept(io).await?;
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).await?;
        stream.write_all(b"pong").await?;
        stream.flush().await?;
        Ok::<_, io::Error>(party.identify(stream.get_ref().1, Side::Client))
    };
    talk.await.map_err(|error| failed(&error))
}

async fn call(
    party: &Party,
    config: Arc<ClientConfig>,
    partner: &TrustDomain,
    io: DuplexStream,
) -> Seen {
    let host = ServerName::try_from("any.host.example").unwrap();
    let talk = async {
        let mut stream = TlsConnector::from(config).connect(host, io).await?;
        // A client is through before the server has looked at its certificate, so it asks.
        stream.write_all(b"ping").await?;
        stream.flush().await?;
        let mut pong = [0; 4];
        stream.read_exact(&mut pong).await?;
        Ok::<_, io::Error>(party.identify(stream.get_ref().1, Side::Server(partner)))
    };
    talk.await.map_err(|error| failed(&error))
}

/// The client calls the server as that partner: what the server and what the client sees.
async fn shake(client: &Party, server: &Party, partner: &TrustDomain) -> (Seen, Seen) {
    let (near, far) = tokio::io::duplex(65_536);
    tokio::join!(
        serve(server, server.server(), far),
        call(client, client.client(partner), partner, near)
    )
}

#[tokio::test]
async fn partners_know_each_other() {
    let (a, b) = (Org::new("a.example"), Org::new("b.example"));
    let client = Party::new(honest(&a), &[&b]);
    let server = Party::new(honest(&b), &[&a]);
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    let (seen_client, seen_server) = (at_server.unwrap().unwrap(), at_client.unwrap().unwrap());
    assert_eq!(seen_client.did.as_str(), "did:web:a.example");
    assert_eq!(seen_client.spiffe_id, a.id());
    assert_eq!(seen_client.not_after, at(3_600));
    assert_eq!(seen_server.did.as_str(), "did:web:b.example");
    assert_eq!(seen_server.spiffe_id, b.id());
    assert_ne!(seen_client.leaf_sha256, seen_server.leaf_sha256);
}

/// Two connections with the very same configurations; the second tells whether it was resumed.
async fn twice(accept: ServerConfig, connect: ClientConfig) -> HandshakeKind {
    let (accept, connect) = (Arc::new(accept), Arc::new(connect));
    let mut last = HandshakeKind::Full;
    for _ in 0..2 {
        let (near, far) = tokio::io::duplex(65_536);
        let host = ServerName::try_from("same.host.example").unwrap();
        let serving = async {
            let mut stream = TlsAcceptor::from(Arc::clone(&accept)).accept(far).await.unwrap();
            stream.write_all(b"pong").await.unwrap();
            stream.flush().await.unwrap();
            stream
        };
        let calling = async {
            let mut stream =
                TlsConnector::from(Arc::clone(&connect)).connect(host, near).await.unwrap();
            let mut pong = [0; 4];
            stream.read_exact(&mut pong).await.unwrap();
            stream
        };
        let (served, called) = tokio::join!(serving, calling);
        for tls in [served.get_ref().1 as &CommonState, called.get_ref().1] {
            assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert_eq!(tls.alpn_protocol(), Some(ALPN));
            let group = tls.negotiated_key_exchange_group().unwrap().name();
            assert_eq!(group, NamedGroup::X25519MLKEM768);
        }
        last = called.get_ref().1.handshake_kind().unwrap();
    }
    last
}

#[tokio::test]
async fn what_is_negotiated_is_ours_and_never_resumed() {
    let (a, b) = (Org::new("a.example"), Org::new("b.example"));
    let client = Party::new(honest(&a), &[&b]);
    let server = Party::new(honest(&b), &[&a]);
    let ours = || ((*server.server()).clone(), (*client.client(&b.domain)).clone());
    for (tickets, memory, expect) in [
        (false, false, HandshakeKind::Full),
        // Neither side can talk the other into it; only if both wanted to, they would.
        (true, false, HandshakeKind::Full),
        (false, true, HandshakeKind::Full),
        (true, true, HandshakeKind::Resumed),
    ] {
        let (mut accept, mut connect) = ours();
        if tickets {
            accept.send_tls13_tickets = 2;
        }
        if memory {
            connect.resumption = Resumption::in_memory_sessions(8);
        }
        assert_eq!(twice(accept, connect).await, expect, "{tickets} {memory}");
    }
}

/// Certificates for `b.example` and for others that are not in order, each with its reason and the
/// alert that tells the other side.
fn bad_chains(b: &Org, c: &Org) -> Vec<(&'static str, Presented, Refusal, AlertDescription)> {
    use AlertDescription::{CertificateExpired, CertificateUnknown, DecryptError};
    let id = b.id().to_string();
    let copied = Chain::self_signed(&ca_params("Twinpact root", &[&b.domain.uri()]));
    let issuing = copied.authority().sign(&ca_params("Twinpact issuing CA", &[&b.domain.uri()]));
    let copy = issuing.authority().sign(&leaf_params(&id)).under(&[issuing.leaf()]);
    let silent = c.root_authority().sign(&ca_params("Twinpact issuing CA", &[]));
    let foreign = silent.authority().sign(&leaf_params(&id)).under(&[silent.leaf()]);
    let good = b.leaf(|_| {});
    let more = uri_name("spiffe://b.example/twinpact/n2/node");
    let unknown = CertificateUnknown;
    vec![
        (
            "expired",
            forged(&b.leaf(|p| set_life(p, -600, -1))),
            Refusal::Expired,
            CertificateExpired,
        ),
        (
            "not yet valid",
            forged(&b.leaf(|p| set_life(p, 10, 600))),
            Refusal::NotYetValid,
            CertificateExpired,
        ),
        ("self-made with the partner's name", forged(&copy), Refusal::ForeignRoot, unknown),
        ("another partner's root", forged(&foreign), Refusal::ForeignRoot, unknown),
        (
            "another partner's CA by mistake",
            forged(&c.leaf(|p| p.subject_alt_names = vec![uri_name(&id)])),
            Refusal::WrongDomain,
            unknown,
        ),
        (
            "the right root for another domain",
            forged(&b.leaf(|p| p.subject_alt_names = vec![uri_name(&c.id().to_string())])),
            Refusal::WrongDomain,
            unknown,
        ),
        (
            "two ids",
            forged(&b.leaf(|p| p.subject_alt_names.push(more))),
            Refusal::NoSpiffeId,
            unknown,
        ),
        ("no id", forged(&b.leaf(|p| p.subject_alt_names.clear())), Refusal::NoSpiffeId, unknown),
        ("a CA", forged(&b.leaf(|p| *p = ca_params("x", &[&id]))), Refusal::NotALeaf, unknown),
        (
            "a stolen certificate without its key",
            with_key(&good, &KeyPair::generate().unwrap()),
            Refusal::BadSignature,
            DecryptError,
        ),
    ]
}

#[tokio::test]
async fn a_client_that_is_not_in_order_is_refused() {
    let (a, b, c) = (Org::new("a.example"), Org::new("b.example"), Org::new("c.example"));
    let server = Party::new(honest(&a), &[&b, &c]);
    for (what, presented, reason, alert) in bad_chains(&b, &c) {
        let client = Party::new(presented, &[&a]);
        let (at_server, at_client) = shake(&client, &server, &a.domain).await;
        assert_eq!(at_server, refuses(reason), "{what}");
        assert_eq!(at_client, told(alert), "{what}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_in_order_is_refused() {
    let (a, b, c) = (Org::new("a.example"), Org::new("b.example"), Org::new("c.example"));
    let client = Party::new(honest(&a), &[&b, &c]);
    for (what, presented, reason, alert) in bad_chains(&b, &c) {
        let server = Party::new(presented, &[&a]);
        let (at_server, at_client) = shake(&client, &server, &b.domain).await;
        assert_eq!(at_client, refuses(reason), "{what}");
        assert_eq!(at_server, told(alert), "{what}");
    }
}

#[tokio::test]
async fn strangers_are_refused_and_cannot_tell_who_our_partners_are() {
    let (a, b, stranger) =
        (Org::new("a.example"), Org::new("b.example"), Org::new("stranger.example"));
    let server = Party::new(honest(&a), &[&b]);
    let impostor = |domain: &TrustDomain| {
        let root = Chain::self_signed(&ca_params("Twinpact root", &[&domain.uri()]));
        let issuing = root.authority().sign(&ca_params("Twinpact issuing CA", &[&domain.uri()]));
        let leaf = issuing.authority().sign(&leaf_params(&format!("{}/n", domain.uri())));
        forged(&leaf.under(&[issuing.leaf()]))
    };
    for (presented, reason) in [
        (honest(&stranger), Refusal::NotAPartner),
        // A self-made certificate with our own DID's trust domain.
        (impostor(&a.domain), Refusal::NotAPartner),
        (impostor(&stranger.domain), Refusal::NotAPartner),
        (impostor(&b.domain), Refusal::ForeignRoot),
    ] {
        let client = Party::new(presented, &[&a]);
        let (at_server, at_client) = shake(&client, &server, &a.domain).await;
        assert_eq!(at_server, refuses(reason));
        assert_eq!(at_client, told(AlertDescription::CertificateUnknown), "{reason:?}");
    }
    // A client that calls whom it has not pinned refuses by itself.
    let client = Party::new(honest(&a), &[&b]);
    let (at_server, at_client) =
        shake(&client, &Party::new(honest(&stranger), &[&a]), &stranger.domain).await;
    assert_eq!(at_client, refuses(Refusal::NotAPartner));
    assert_eq!(at_server, told(AlertDescription::CertificateUnknown));
}

#[tokio::test]
async fn another_partner_at_the_address_is_not_the_one_that_was_called() {
    let (a, b, c) = (Org::new("a.example"), Org::new("b.example"), Org::new("c.example"));
    let client = Party::new(honest(&a), &[&b, &c]);
    let server = Party::new(honest(&c), &[&a]);
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    assert_eq!(at_client, refuses(Refusal::WrongDomain));
    assert_eq!(at_server, told(AlertDescription::CertificateUnknown));
    assert!(shake(&client, &server, &c.domain).await.1.is_ok());
}

#[tokio::test]
async fn a_partner_that_is_taken_out_or_repinned_is_refused_at_the_next_handshake() {
    let (a, b, renewed) = (Org::new("a.example"), Org::new("b.example"), Org::new("b.example"));
    let client = Party::new(honest(&a), &[&b]);
    let server = Party::new(honest(&b), &[&a]);
    // The listener keeps its configuration.
    let accept = server.server();
    let (near, far) = tokio::io::duplex(65_536);
    let (seen, _) = tokio::join!(
        serve(&server, Arc::clone(&accept), far),
        call(&client, client.client(&b.domain), &b.domain, near)
    );
    let peer = seen.unwrap().unwrap();
    let now = (server.clock())();
    assert!(server.partners.snapshot().still_holds(&peer, now));

    server.partners.replace(PartnerSet::default());
    assert!(!server.partners.snapshot().still_holds(&peer, now), "the live connection ends");
    let (near, far) = tokio::io::duplex(65_536);
    let (at_server, at_client) = tokio::join!(
        serve(&server, accept, far),
        call(&client, client.client(&b.domain), &b.domain, near)
    );
    assert_eq!(at_server, refuses(Refusal::NotAPartner));
    assert_eq!(at_client, told(AlertDescription::CertificateUnknown));
    let node = a.node(at(0));
    let late = peer_identity(Some(node.chain()), Side::Client, &server.partners, now);
    assert_eq!(late, Err(Refusal::NotAPartner), "also between handshake and question");

    // The client pins another root for its partner.
    server.partners.replace(PartnerSet::new([a.partner()]).unwrap());
    client.partners.replace(PartnerSet::new([renewed.partner()]).unwrap());
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    assert_eq!(at_client, refuses(Refusal::ForeignRoot));
    assert_eq!(at_server, told(AlertDescription::CertificateUnknown));
}

#[tokio::test]
async fn a_client_without_a_certificate_comes_in_and_is_nobody() {
    let (a, b) = (Org::new("a.example"), Org::new("b.example"));
    let client = Party::new(Presented::default(), &[&b]);
    let server = Party::new(honest(&b), &[&a]);
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    assert_eq!(at_server, Ok(None));
    assert_eq!(at_client.unwrap().unwrap().trust_domain, b.domain);
}

#[tokio::test]
async fn a_first_call_reaches_anybody_who_holds_the_key_and_presents_nothing() {
    let (a, b, c) = (Org::new("a.example"), Org::new("b.example"), Org::new("c.example"));
    let client = Party::new(honest(&a), &[]);
    let call_first = async |presented: Presented| {
        let server = Party::new(presented, &[&a]);
        let config = super::first_config(&client.clock()).unwrap();
        let (near, far) = tokio::io::duplex(65_536);
        let host = ServerName::try_from("any.host.example").unwrap();
        let calling = async {
            let mut stream = TlsConnector::from(config).connect(host, near).await?;
            stream.write_all(b"ping").await?;
            stream.flush().await?;
            let mut pong = [0; 4];
            stream.read_exact(&mut pong).await
        };
        let (seen, called) = tokio::join!(serve(&server, server.server(), far), calling);
        (seen, called.map(|_| ()).map_err(|error| failed(&error).0))
    };
    assert_eq!(call_first(honest(&b)).await, (Ok(None), Ok(())));
    // Not even a certificate in order is asked for: what is fetched proves itself.
    for (_, presented, reason, _) in bad_chains(&b, &c) {
        let (_, called) = call_first(presented).await;
        let expect = if reason == Refusal::BadSignature { Err(reason) } else { Ok(()) };
        assert_eq!(called, expect, "{reason:?}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_presented_without_a_restart() {
    let (a, b) = (Org::new("a.example"), Org::new("b.example"));
    let client = Party::new(honest(&a), &[&b]);
    let server = Party::new(honest(&b), &[&a]);
    let (accept, connect) = (server.server(), client.client(&b.domain));
    let mut leaves = Vec::new();
    for seconds in [0, 3_000, 3_601, 3_700] {
        client.time.store(seconds, Ordering::SeqCst);
        server.time.store(seconds, Ordering::SeqCst);
        if seconds == 3_000 || seconds == 3_700 {
            client.presented.replace(&a.node(at(seconds))).unwrap();
            server.presented.replace(&b.node(at(seconds))).unwrap();
        }
        let (near, far) = tokio::io::duplex(65_536);
        let (at_server, at_client) = tokio::join!(
            serve(&server, Arc::clone(&accept), far),
            call(&client, Arc::clone(&connect), &b.domain, near)
        );
        leaves.push((
            at_server.unwrap().unwrap().leaf_sha256,
            at_client.unwrap().unwrap().leaf_sha256,
        ));
    }
    assert_eq!(leaves[1], leaves[2]);
    for (earlier, later) in [(0, 1), (2, 3)] {
        assert_ne!(leaves[earlier].0, leaves[later].0);
        assert_ne!(leaves[earlier].1, leaves[later].1);
    }

    // Without renewal the hour ends, for each side by its own clock.
    client.time.store(3_700 + 3_601, Ordering::SeqCst);
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    assert_eq!(at_client, refuses(Refusal::Expired));
    assert_eq!(at_server, told(AlertDescription::CertificateExpired));
    server.time.store(3_700 + 3_601, Ordering::SeqCst);
    server.presented.replace(&b.node(at(3_700 + 3_601))).unwrap();
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    assert_eq!(at_server, refuses(Refusal::Expired));
    assert_eq!(at_client, told(AlertDescription::CertificateExpired));
}

#[tokio::test]
async fn a_node_without_a_certificate_serves_nobody() {
    let (a, b) = (Org::new("a.example"), Org::new("b.example"));
    let client = Party::new(honest(&a), &[&b]);
    let server = Party::new(honest(&b), &[&a]);
    server.presented.clear();
    assert!(server.presented.is_empty() && !client.presented.is_empty());
    let (at_server, at_client) = shake(&client, &server, &b.domain).await;
    assert_eq!(at_server, refuses(Refusal::Protocol));
    assert_eq!(at_client, told(AlertDescription::AccessDenied));
}

/// A ClientHello of TLS 1.2 (RFC 5246 §7.4.1.2): version 1.2, no `supported_versions`.
fn tls12_hello() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let points = [0, 11, 0, 2, 1, 0];
    let extensions = [&groups[..], &signatures, &points].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let mut record = vec![22, 3, 1];
    record.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    record.extend([1, 0, length[0], length[1]]);
    record.extend(body);
    record
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let (a, b) = (Org::new("a.example"), Org::new("b.example"));
    let server = Party::new(honest(&b), &[&a]);
    let (mut near, far) = tokio::io::duplex(65_536);
    let calling = async {
        near.write_all(&tls12_hello()).await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (at_server, answer) = tokio::join!(serve(&server, server.server(), far), calling);
    assert_eq!(at_server, refuses(Refusal::OldTls));
    // A fatal alert (2), protocol_version (70).
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
}

#[test]
fn the_system_clock_reads_after_these_tests_were_written() {
    let now = super::system_clock()();
    assert!(now.0.seconds() > NOW - 400 * 86_400);
}
