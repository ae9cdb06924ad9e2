//! A name that leads to the world when it is looked up first and inside afterwards, or to both at
//! once, in every kind of call: what is dialled is an address that was looked at itself, and nobody
//! inside is ever met.

use crate::parties::{base, friends, get};
use crate::web_door::Authority;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use twinpact_gateway::outgoing::{HttpsOutbound, Limits, Names};
use twinpact_model::problem::Problem;
use twinpact_node::outbound::{Call, ConnectorCall, FirstCall, Outbound as _, OverTls};

/// Public, and nobody's: the addresses of a network for experiments that has ended (RFC 3701).
const WORLD: &str = "3ffe::1";
const HERE: &str = "127.0.0.1";
const INSIDE: &str = "10.0.0.1";

/// A look-up that answers with one after the other, and with nothing after the last; and how many
/// answers were asked for.
fn answering(answers: &[&[&str]]) -> (Names, Arc<AtomicUsize>) {
    let address = |text: &&str| text.parse::<IpAddr>().unwrap();
    let answers: VecDeque<Vec<IpAddr>> =
        answers.iter().map(|one| one.iter().map(address).collect()).collect();
    let (answers, count) = (Mutex::new(answers), Arc::<AtomicUsize>::default());
    let asked = Arc::clone(&count);
    let names: Names = Arc::new(move |_, port| {
        asked.fetch_add(1, Ordering::SeqCst);
        let next = answers.lock().unwrap().pop_front().unwrap_or_default();
        let found = next.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Box::pin(async move { io::Result::Ok(found) })
    });
    (names, count)
}

/// The ways in which a node calls.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A partner: messages, data, and callbacks.
    Partner,
    /// The same, read as it comes.
    Stream,
    /// Somebody who is no partner yet.
    First,
    /// A connector: messages, and data addresses.
    Connector,
    /// One on this machine.
    Plain,
}

const ALL: [Way; 5] = [Way::Partner, Way::Stream, Way::First, Way::Connector, Way::Plain];

/// A call of that kind to that URL; the code with which it fails.
async fn called(out: &HttpsOutbound, way: Way, call: Call, authority: &Authority) -> &'static str {
    let Call { pinned, url, .. } = call.clone();
    let to_connector = |url: String, over_tls: Option<OverTls>| ConnectorCall {
        participant: "P".to_owned(),
        method: "GET",
        url,
        headers: Vec::new(),
        body: Vec::new(),
        max_bytes: 4_096,
        over_tls,
    };
    let done: Result<(), Problem> = match way {
        Way::Partner => out.call(call).await.map(drop),
        Way::Stream => out.flow(call).await.map(drop),
        Way::First => {
            let base = pinned[0].clone();
            let (body, max_bytes) = (Vec::new(), 4_096);
            let first = FirstCall { root: None, base, method: "GET", url, body, max_bytes };
            out.first(first).await.map(drop)
        }
        Way::Connector => {
            let over_tls = OverTls { roots: authority.roots(), pinned };
            out.connector(to_connector(url, Some(over_tls))).await.map(drop)
        }
        Way::Plain => {
            let url = url.replacen("https:", "http:", 1);
            out.connector(to_connector(url, None)).await.map(drop)
        }
    };
    done.unwrap_err().code.name
}

/// Nobody in the world answers, and that is not waited for long.
fn soon(ms: u64) -> Limits {
    Limits { connect: Duration::from_millis(ms), ..Limits::default() }
}

/// What becomes of as many calls as are expected to be told something, when the name is looked up
/// with those answers.
async fn check(way: Way, answers: &[&[&str]], expect: &[&str]) {
    let (a, b) = friends();
    let authority = Authority::new();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let address = trap.local_addr().unwrap();
    // Who looked the name up behind our back would be led to the trap.
    let named = base(address).replace(HERE, "localhost");
    let (names, asked) = answering(answers);
    let out = a.caller(&[]).with_names(names).with_limits(soon(10));
    for (n, code) in expect.iter().enumerate() {
        let mut call = get(&b, address, "/");
        (call.pinned, call.url) = (vec![named.clone()], format!("{named}/"));
        let got = called(&out, way, call, &authority).await;
        assert_eq!(got, *code, "{way:?} {answers:?}, call {n}");
        assert_eq!(asked.load(Ordering::SeqCst), n + 1, "{way:?} {answers:?}: once for each call");
    }
    let met = trap.accept();
    assert!(met.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock), "{way:?} {answers:?}");
}

#[tokio::test]
async fn a_name_that_leads_inside_the_second_time_leads_nowhere() {
    let (refused, nobody) = ("outgoing.address", "peer.unreachable");
    for way in ALL {
        // Without TLS nothing is called but this machine.
        let first = if matches!(way, Way::Plain) { refused } else { nobody };
        check(way, &[&[WORLD], &[INSIDE]], &[first, refused]).await;
        check(way, &[&[WORLD], &["169.254.169.254"]], &[first, refused]).await;
        check(way, &[&[WORLD], &["::ffff:127.0.0.1"]], &[first, refused]).await;
        check(way, &[&[INSIDE, "fd00::1"], &[WORLD]], &[refused, first]).await;
        check(way, &[&[WORLD], &[]], &[first, nobody]).await;
        if matches!(way, Way::Plain) {
            continue;
        }
        check(way, &[&[WORLD], &[HERE]], &[first, refused]).await;
        check(way, &[&[WORLD], &["::1"]], &[first, refused]).await;
        check(way, &[&[WORLD, HERE]], &[refused]).await;
        check(way, &[&[HERE, WORLD]], &[nobody]).await;
    }
}

/// The trap is where such a call would end: what the operator has listed is met there.
#[tokio::test]
async fn where_the_operator_allows_it_the_name_leads_inside() {
    let (a, b) = friends();
    let listener = b.listen(&crate::parties::Echo::default()).await;
    let named = base(listener.address).replace(HERE, "localhost");
    let (names, asked) = answering(&[&[WORLD, HERE]]);
    let out = a.caller(std::slice::from_ref(&named)).with_names(names).with_limits(soon(500));
    let mut call = get(&b, listener.address, "/");
    (call.pinned, call.url) = (vec![named.clone()], format!("{named}/"));
    // The first answers nobody, and the next is dialled.
    assert_eq!(out.call(call).await.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    listener.stop().await;
}
