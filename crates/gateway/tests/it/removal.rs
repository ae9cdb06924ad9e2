//! A partner that is removed: what ends, how soon, and how it comes back.

use crate::pair::{MAKER, OPERATOR, Pair, ROWS, make, pin, start};
use crate::parties::{Echo, LARGE, friends};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use twinpact_identity::spiffe::TrustDomain;
use twinpact_identity::tls::{Presented, client_config};
use twinpact_model::{Did, codes};
use twinpact_node::{agreements, check, consumer, found, partners, removal};
use twinpact_testkit::free_port;

/// Live connections of a removed partner are closed within this time.
const SOON: Duration = Duration::from_secs(5);

/// A connection on which nothing is asked, one whose request is being answered, one whose answer is
/// not taken, and one whose request has not come whole.
#[tokio::test]
async fn every_live_connection_of_a_removed_partner_is_closed_at_once() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: b\r\n\r\n");
    let half = "POST /dsp HTTP/1.1\r\nhost: b\r\ncontent-length: 10\r\n\r\n{".to_owned();
    let mut lines = Vec::new();
    for asked in [String::new(), head("/dsp?stuck"), head("/dsp?large"), half] {
        let mut tls = a.connect(&b, listener.address).await;
        // A first request, so that the listener is through the handshake.
        tls.write_all(head("/dsp").as_bytes()).await.unwrap();
        tls.flush().await.unwrap();
        while tls.read_u8().await.unwrap() != b'}' {}
        tls.write_all(asked.as_bytes()).await.unwrap();
        tls.flush().await.unwrap();
        lines.push(tls);
    }
    echo.entered.notified().await;
    b.knows(&[]);
    for mut tls in lines {
        let mut rest = Vec::new();
        // The end may be rough; that it comes is what matters.
        let ended = timeout(SOON, tls.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.len() < LARGE, "{} bytes came", rest.len());
    }
    listener.stop().await;
}

/// A keep-alive connection of the maker to the operator, by hand.
async fn held(pair: &Pair) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let (maker, address) = (pair.maker(), pair.operator.federation.unwrap());
    let domain = TrustDomain::of_did(&Did::new(OPERATOR).unwrap()).unwrap();
    let clocks = maker.clocks.clone();
    let clock: twinpact_identity::tls::Clock = std::sync::Arc::new(move || clocks.wall());
    let presented: &Presented = &maker.presented;
    let config = client_config(presented, &maker.tls_partners, &domain, &clock).unwrap();
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("any.example").unwrap();
    let mut tls = TlsConnector::from(config).connect(name, tcp).await.unwrap();
    tls.write_all(b"GET /dsp/nothing HTTP/1.1\r\nhost: o\r\n\r\n").await.unwrap();
    tls.flush().await.unwrap();
    while tls.read_u8().await.unwrap() != b'}' {}
    tls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_partner_is_out_and_can_come_back() {
    let (pair, agreement) = Pair::concluded().await;
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
    let mut connection = held(&pair).await;
    // Pulls one after the other, so that the removal finds one under way.
    let maker = pair.maker().clone();
    let wanted = crate::pair::wanted(&agreement);
    let (first, begun) = tokio::sync::oneshot::channel();
    let pulling = tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            let pulled = consumer::pull(&maker, &wanted).await;
            first.take().map(|first| first.send(()));
            if let Err(problem) = pulled {
                return problem;
            }
        }
    });
    begun.await.unwrap();
    let before = pair.operator().clocks.wall().0;
    let removed = removal::remove(pair.operator(), MAKER, "no longer").await.unwrap();
    assert_eq!(removed.organisation, MAKER);
    let mut rest = Vec::new();
    assert!(timeout(SOON, connection.read_to_end(&mut rest)).await.is_ok());
    assert_eq!(rest, b"", "nothing is answered on it any more");
    let refused = timeout(SOON, pulling).await.unwrap().unwrap();
    assert_eq!(refused.code.fault, twinpact_model::problem::Fault::Peer, "{refused}");
    // No handshake, no agreement, no transfer and no token is left.
    let again = pair.pull(&agreement).await.unwrap_err();
    assert_eq!(again.code, codes::TLS_REFUSED, "{again}");
    let kept = agreements::show(pair.operator(), &agreement, None).unwrap();
    assert!(kept.state.starts_with("revoked"), "{}", kept.state);
    // What was known before is still told as of then.
    let then = agreements::show(pair.operator(), &agreement, Some(before)).unwrap();
    assert_eq!((then.id, then.state.as_str()), (kept.id, "active"));
    let first = pair.operator().partition.read(|fold, _| fold.first_recorded()).unwrap().unwrap();
    let first = Some(twinpact_model::Timestamp::from_micros(first));
    let none = agreements::show(pair.operator(), &agreement, first).unwrap_err();
    assert_eq!(none.code, codes::AGREEMENT_UNKNOWN, "{none}");
    let read = pair.operator().partition.read(|fold, _| {
        let transfers = fold.processes.transfers.values();
        (fold.processes.under_way(MAKER), transfers.count(), fold.partners.iter().count())
    });
    assert_eq!(read.unwrap(), ((0, 0), 1, 0));
    let unknown = removal::remove(pair.operator(), MAKER, "again").await.unwrap_err();
    assert_eq!(unknown.code, codes::PARTNER_UNKNOWN);
    // What was ended stays ended when it comes back; a new agreement works.
    pin(pair.operator(), pair.maker()).await;
    assert_eq!(partners::list(pair.operator(), None).unwrap().len(), 1);
    let over = pair.pull(&agreement).await.unwrap_err();
    assert_eq!(over.code, codes::POLICY_REVOKED, "{over}");
    let new = pair.agreed().await;
    assert_eq!(pair.pull(&new).await.unwrap().rows, ROWS);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_survives_a_restart() {
    let (pair, agreement) = Pair::concluded().await;
    removal::remove(pair.maker(), OPERATOR, "no longer").await.unwrap();
    // The one who removes is as much cut off.
    let refused = pair.pull(&agreement).await.unwrap_err();
    assert_eq!(refused.code, codes::POLICY_REVOKED, "{refused}");
    let path = pair.path("maker");
    pair.maker.stop().await;
    let maker = start(&path).await;
    let node = &maker.parts.node;
    assert!(partners::list(node, None).unwrap().is_empty());
    assert_eq!(node.tls_partners.snapshot().iter().count(), 0);
    let gone = found::catalog(node, OPERATOR).await.unwrap_err();
    assert_eq!(gone.code, codes::PARTNER_UNKNOWN);
    maker.stop().await;
    pair.operator.stop().await;
}

/// What was delivered stays proven, by what was pinned when it was: a partner that is out, or back
/// with another identity, makes nothing of it wrong.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_removed_partner_are_no_damage() {
    let (pair, agreement) = Pair::concluded().await;
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
    removal::remove(pair.maker(), OPERATOR, "no longer").await.unwrap();
    let path = pair.path("maker");
    pair.maker.stop().await;
    let checked = || {
        let report = check::check(&path, &mut |_, _, _| ()).unwrap();
        (report.counts.copies, report.findings)
    };
    assert_eq!(checked(), (1, vec![]));
    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("operator");
    make(&other, OPERATOR, (free_port(), free_port()));
    let (stranger, maker) = (start(&other).await, start(&path).await);
    pin(&maker.parts.node, &stranger.parts.node).await;
    maker.stop().await;
    assert_eq!(checked(), (1, vec![]));
    stranger.stop().await;
    pair.operator.stop().await;
}
