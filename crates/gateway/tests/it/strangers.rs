//! Strangers at the federation door: what they can hold, for how long, and that they are counted.

use crate::parties::{Echo, LARGE, Party, base, friends, get, json_of};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject as _,
};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use twinpact_gateway::federation::MAX_BODY_BYTES;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_gateway::places::Bounds;
use twinpact_identity::ca::{NODE_SECONDS, NodeCertificate};
use twinpact_identity::refusal::Refusal;
use twinpact_identity::spiffe::SpiffeId;
use twinpact_identity::tls::{ALPN, Presented};
use twinpact_model::WallTime;
use twinpact_node::outbound::Outbound;
use twinpact_node::strangers::Away;

const PUBLIC: &str = "GET /.well-known/dspace-version HTTP/1.1\r\nhost: b\r\n\r\n";
const SOON: Duration = Duration::from_millis(50);

/// Sends one request and reads one answer with a body of JSON.
async fn ask(tls: &mut TlsStream<TcpStream>, request: &str) -> String {
    tls.write_all(request.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        seen.push(tls.read_u8().await.unwrap());
    }
    String::from_utf8(seen).unwrap()
}

/// All that comes until the other side ends, however it does.
async fn rest(tls: &mut TlsStream<TcpStream>) -> String {
    let mut seen = Vec::new();
    let _ = tls.read_to_end(&mut seen).await;
    String::from_utf8(seen).unwrap()
}

/// Asks until a place that was left is free: leaving is noticed when the other side comes to it.
async fn until_seated(caller: &HttpsOutbound, to: &Party, address: SocketAddr) {
    loop {
        let reply = caller.call(get(to, address, "/dsp")).await.unwrap();
        if reply.status == 200 {
            return;
        }
        assert_eq!((reply.status, &json_of(&reply.body)["code"]), (503, &"federation.busy".into()));
    }
}

/// A stranger that shows no certificate.
async fn nameless(from: &Party, to: &Party, address: SocketAddr) -> TlsStream<TcpStream> {
    let (clock, partners) = (&from.clock, &from.partners);
    let config =
        twinpact_identity::tls::client_config(&Presented::default(), partners, &to.domain, clock);
    shake(config.unwrap(), address).await.unwrap()
}

async fn shake(
    config: Arc<ClientConfig>,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("any.example").unwrap();
    TlsConnector::from(config).connect(name, tcp).await
}

#[tokio::test]
async fn partners_get_in_while_strangers_hold_all_that_they_can() {
    let (a, b) = friends();
    let echo = Echo::default();
    let bounds = Bounds { handshakes: 3, nameless: 2, ..Bounds::default() };
    let listener = b.listen_within(bounds, &echo).await;
    let address = listener.address;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    b.turned_away(Away::HandshakesFull, 197).await;
    // The oldest are those that were closed.
    let closed = silent[0].read(&mut [0]).await;
    assert!(!matches!(closed, Ok(1..)), "{closed:?}");
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(nameless(&a, &b, address).await);
    }
    b.turned_away(Away::NamelessFull, 3).await;
    let caller = a.caller(&[base(address)]);
    for _ in 0..3 {
        let reply = caller.call(get(&b, address, "/dsp")).await.unwrap();
        assert_eq!(reply.status, 200);
    }
    assert_eq!(echo.count(), 3);
    // The two that have a place are served.
    let mut served = 0;
    for tls in &mut held {
        if tls.write_all(PUBLIC.as_bytes()).await.is_ok() && tls.flush().await.is_ok() {
            served += usize::from(rest(tls).await.starts_with("HTTP/1.1 200 "));
        }
    }
    assert_eq!(served, 2);
    listener.stop().await;
}

#[tokio::test]
async fn a_partner_has_its_share_of_places_and_is_told_when_it_is_used_up() {
    let (a, b, c) = (Party::new("a.example"), Party::new("b.example"), Party::new("c.example"));
    for (party, others) in [(&a, [&b, &c]), (&b, [&a, &c]), (&c, [&a, &b])] {
        party.knows(&others);
    }
    let echo = Echo::default();
    let bounds = Bounds { per_partner: 2, partners: 3, nameless: 1, ..Bounds::default() };
    let listener = b.listen_within(bounds, &echo).await;
    let address = listener.address;
    let request = "GET /dsp HTTP/1.1\r\nhost: b\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut tls = a.connect(&b, address).await;
        assert!(ask(&mut tls, request).await.starts_with("HTTP/1.1 200 "));
        held.push(tls);
    }
    // Beyond: an answer in words, then the end. Its own connections go on.
    let mut third = a.connect(&b, address).await;
    let told = ask(&mut third, request).await;
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("connection: close"), "{told}");
    assert!(told.contains("federation.busy") && told.contains("2 connections"), "{told}");
    assert_eq!(rest(&mut third).await, "");
    b.turned_away(Away::PartnerFull, 1).await;
    // It is told so whatever it sends.
    let mut call = get(&b, address, "/dsp");
    (call.method, call.body) = ("POST", vec![b' '; MAX_BODY_BYTES]);
    let reply = a.caller(&[base(address)]).call(call).await.unwrap();
    assert_eq!((reply.status, &json_of(&reply.body)["fault"]), (503, &"caller".into()));
    assert!(ask(&mut held[0], request).await.starts_with("HTTP/1.1 200 "));
    // Another partner gets in, as far as there are places for all.
    let mut other = c.connect(&b, address).await;
    assert!(ask(&mut other, request).await.starts_with("HTTP/1.1 200 "));
    let mut beyond = c.connect(&b, address).await;
    let told = ask(&mut beyond, request).await;
    assert!(told.contains("federation.busy") && told.contains("3 connections"), "{told}");
    b.turned_away(Away::PartnersFull, 1).await;
    assert_eq!(echo.count(), 4);
    drop(held);
    until_seated(&a.caller(&[base(address)]), &b, address).await;
    listener.stop().await;
}

#[tokio::test]
async fn who_shows_no_certificate_has_one_request_and_little_time() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener =
        b.listen_within(Bounds { nameless_time: SOON, ..Bounds::default() }, &echo).await;
    // A partner that was there before is there after.
    let mut partner = a.connect(&b, listener.address).await;
    let mut tls = nameless(&a, &b, listener.address).await;
    assert_eq!(rest(&mut tls).await, "");
    b.turned_away(Away::NamelessLate, 1).await;
    assert!(ask(&mut partner, "GET /dsp HTTP/1.1\r\nhost: b\r\n\r\n").await.contains(" 200 "));
    listener.stop().await;

    let listener = b.listen(&echo).await;
    let mut tls = nameless(&a, &b, listener.address).await;
    tls.write_all(PUBLIC.repeat(2).as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    assert_eq!(rest(&mut tls).await.matches("HTTP/1.1 200 ").count(), 1);
    assert_eq!(echo.count(), 2);
    listener.stop().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_its_place() {
    let (a, b) = friends();
    let echo = Echo::default();
    let bounds = Bounds { per_partner: 1, write_time: SOON, ..Bounds::default() };
    let listener = b.listen_within(bounds, &echo).await;
    let large = "GET /dsp?large HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n";
    let mut slow = a.connect(&b, listener.address).await;
    slow.write_all(large.as_bytes()).await.unwrap();
    slow.flush().await.unwrap();
    b.turned_away(Away::Unread, 1).await;
    until_seated(&a.caller(&[base(listener.address)]), &b, listener.address).await;
    listener.stop().await;
    // Who reads gets all of it.
    let listener = b.listen(&echo).await;
    let mut quick = a.connect(&b, listener.address).await;
    quick.write_all(large.as_bytes()).await.unwrap();
    quick.flush().await.unwrap();
    assert!(rest(&mut quick).await.len() > LARGE);
    b.turned_away(Away::Unread, 1).await;
    listener.stop().await;
}

#[tokio::test]
async fn what_strangers_do_is_counted_by_kind() {
    let (a, b) = friends();
    let echo = Echo::default();
    let bounds = Bounds { handshake_time: SOON, ..Bounds::default() };
    let listener = b.listen_within(bounds, &echo).await;
    let address = listener.address;
    let silent = TcpStream::connect(address).await.unwrap();
    b.turned_away(Away::HandshakeLate, 1).await;
    drop(silent);
    listener.stop().await;

    let listener = b.listen(&echo).await;
    let address = listener.address;
    drop(TcpStream::connect(address).await.unwrap());
    b.turned_away(Away::Broken, 1).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(PUBLIC.as_bytes()).await.unwrap();
    b.turned_away(Away::Tls(Refusal::Protocol), 1).await;
    for request in ["GET /dsp HTTP/1.1\r\nhost: b\r\n\r\n", "POST /ingest HTTP/1.1\r\n\r\n"] {
        let mut tls = nameless(&a, &b, address).await;
        assert!(ask(&mut tls, request).await.starts_with("HTTP/1.1 404 "));
    }
    b.turned_away(Away::Route, 2).await;
    let twice = PUBLIC.replace("\r\n\r\n", "\r\nauthorization: a\r\nauthorization: b\r\n\r\n");
    for request in ["nonsense\r\n\r\n", twice.as_str()] {
        let mut tls = nameless(&a, &b, address).await;
        tls.write_all(request.as_bytes()).await.unwrap();
        assert!(rest(&mut tls).await.starts_with("HTTP/1.1 400 "), "{request}");
    }
    b.turned_away(Away::Unreadable, 2).await;
    assert_eq!(echo.count(), 0);
    // What is public is no reason to be turned away, and what a partner asks for is on record
    // elsewhere.
    let before = b.strangers.tally();
    let mut tls = nameless(&a, &b, address).await;
    assert!(ask(&mut tls, PUBLIC).await.starts_with("HTTP/1.1 200 "));
    let caller = a.caller(&[base(address)]);
    assert_eq!(caller.call(get(&b, address, "/nothing")).await.unwrap().status, 200);
    assert_eq!(b.strangers.tally(), before);
    // A node whose issuing CA has run out refuses everybody, and says so.
    b.presented.clear();
    caller.call(get(&b, address, "/dsp")).await.unwrap();
    assert!(shake(client(None), address).await.is_err());
    b.turned_away(Away::NoCertificate, 1).await;
    listener.stop().await;
}

/// A certificate that somebody presents, with what stands above it and its key.
pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(crate) fn of_node(node: &NodeCertificate) -> Shown {
    (node.chain().to_vec(), PrivateKeyDer::from(node.key().clone_key()))
}

/// A certificate that is as it should be, but for who signed it: its own key, or that issuing CA.
pub(crate) fn forged(id: &SpiffeId, issuer: Option<(&CertificateDer<'static>, &[u8])>) -> Shown {
    let mut params = CertificateParams::default();
    let uri = id.to_string();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.as_str().try_into().unwrap())];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let chain = match issuer {
        None => vec![params.self_signed(&key).unwrap().into()],
        Some((der, secret)) => {
            let secret = KeyPair::try_from(&PrivatePkcs8KeyDer::from(secret)).unwrap();
            let issuer = Issuer::from_ca_cert_der(der, &secret).unwrap();
            vec![params.signed_by(&key, &issuer).unwrap().into(), der.clone()]
        }
    };
    (chain, PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
}

/// Takes every server: it is the server that is tested.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client by hand that presents whatever it is given.
fn client(shown: Option<Shown>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = match shown {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn certificates_of_nobody_are_refused_and_counted() {
    let (a, b) = friends();
    let (impostor, stranger) = (Party::new("a.example"), Party::new("c.example"));
    let now = (a.clock)();
    let past = WallTime(now.0.plus_seconds(-2 * NODE_SECONDS));
    let id = SpiffeId::of_node(&a.domain, "one").unwrap();
    let issue = |party: &Party, at: WallTime| {
        let id = SpiffeId::of_node(&party.domain, "one").unwrap();
        of_node(&party.root.issue(at).unwrap().issue_node(&id, at).unwrap())
    };
    let theirs = stranger.root.issue(now).unwrap();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    for (shown, expect) in [
        (issue(&a, past), Refusal::Expired),
        (issue(&impostor, now), Refusal::ForeignRoot),
        (issue(&stranger, now), Refusal::NotAPartner),
        (forged(&id, None), Refusal::ForeignRoot),
        (forged(&id, Some((theirs.certificate(), theirs.key()))), Refusal::WrongDomain),
    ] {
        let before = b.strangers.tally().total;
        // The client's side of a handshake is over before the server has seen the certificate.
        if let Ok(mut tls) = shake(client(Some(shown)), listener.address).await {
            let _ = tls.write_all(PUBLIC.as_bytes()).await;
            assert_eq!(rest(&mut tls).await, "", "{expect:?}");
        }
        b.turned_away(Away::Tls(expect), before.of(Away::Tls(expect)) + 1).await;
        assert_eq!(b.strangers.tally().total.sum(), before.sum() + 1, "{expect:?}");
    }
    assert_eq!(echo.count(), 0);
    // The client by hand is one that a good certificate gets through.
    let mut tls = shake(client(Some(issue(&a, now))), listener.address).await.unwrap();
    assert!(ask(&mut tls, PUBLIC).await.contains(a.did.as_str()));
    listener.stop().await;
}
