//! Calls to partners: whom they reach, and what becomes of them when something is wrong.

use crate::parties::{Echo, Party, answer_once, base, friends, get, json_of, tcp_listener};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use twinpact_gateway::outgoing::{HttpsOutbound, Limits, MAX_HEAD_BYTES};
use twinpact_identity::partners::Partners;
use twinpact_identity::tls::{Presented, system_clock};
use twinpact_model::problem::Problem;
use twinpact_node::outbound::{Call, Outbound};

async fn refused(caller: &HttpsOutbound, call: Call) -> &'static str {
    caller.call(call).await.unwrap_err().code.name
}

#[tokio::test]
async fn partners_call_each_other() {
    let (a, b) = friends();
    for (from, to) in [(&a, &b), (&b, &a)] {
        let listener = to.listen(&Echo::default()).await;
        let caller = from.caller(&[base(listener.address)]);
        let mut call = get(to, listener.address, "/dsp/catalog/request?x=%20y");
        call.method = "POST";
        call.body = b"{}".to_vec();
        call.headers = vec![
            ("authorization", "Bearer abc".to_owned()),
            ("twinpact-assertion", "signed".to_owned()),
        ];
        let reply = caller.call(call).await.unwrap();
        assert_eq!(reply.status, 200);
        let expect = json!({
            "peer": from.did.to_string(), "method": "POST", "path": "/dsp/catalog/request",
            "query": "x=%20y", "bearer": "abc", "assertion": "signed", "bytes": 2,
        });
        assert_eq!(json_of(&reply.body), expect);
        listener.stop().await;
    }
}

#[tokio::test]
async fn a_certificate_of_anybody_else_is_refused() {
    let (a, b) = friends();
    let stranger = Party::new("c.example");
    let impostor = Party::new("b.example");
    let third = Party::new("third.example");
    a.knows(&[&b, &third]);
    for other in [&stranger, &impostor, &third] {
        other.knows(&[&a]);
        let echo = Echo::default();
        let listener = other.listen(&echo).await;
        let caller = a.caller(&[base(listener.address)]);
        let code = refused(&caller, get(&b, listener.address, "/dsp")).await;
        assert_eq!((code, echo.count()), ("tls.refused", 0), "{}", other.did);
    }
}

#[tokio::test]
async fn no_partner_is_not_even_dialled() {
    let (a, _) = friends();
    let stranger = Party::new("c.example");
    let (trap, address) = trap();
    let caller = a.caller(&[base(address)]);
    assert_eq!(refused(&caller, get(&stranger, address, "/dsp")).await, "tls.refused");
    assert!(untouched(&trap));
}

#[tokio::test]
async fn who_does_not_know_us_does_not_answer_us() {
    let (a, b) = friends();
    b.knows(&[]);
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let caller = a.caller(&[base(listener.address)]);
    let code = refused(&caller, get(&b, listener.address, "/dsp")).await;
    // The alert may be lost when the server closes before it has read our request.
    assert!(["tls.refused", "peer.unreachable"].contains(&code), "{code}");
    assert_eq!(echo.count(), 0);
}

/// A listener that nobody should connect to.
fn trap() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn untouched(trap: &std::net::TcpListener) -> bool {
    matches!(trap.accept(), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn only_pinned_endpoints_are_dialled_and_private_ones_only_if_listed() {
    let (a, b) = friends();
    let (trap, address) = trap();
    let here = base(address);
    let plain = format!("http://{address}");
    for (pinned, private, url, expect) in [
        (vec![], vec![], &here, "outgoing.endpoint"),
        (vec!["https://b.example/dsp".to_owned()], vec![], &here, "outgoing.endpoint"),
        (vec![format!("{here}/dsp")], vec![here.clone()], &here, "outgoing.endpoint"),
        // The list lifts the rule for private networks and does not pin.
        (vec![], vec![here.clone()], &here, "outgoing.endpoint"),
        (vec![here.clone()], vec![], &here, "outgoing.address"),
        (vec![here.clone()], vec![format!("{here}/other")], &here, "outgoing.address"),
        (vec![plain.clone()], vec![plain.clone()], &plain, "outgoing.url"),
        (vec!["nonsense".to_owned()], vec![here.clone()], &here, "outgoing.url"),
    ] {
        let mut call = get(&b, address, "/");
        (call.pinned, call.url) = (pinned, url.clone());
        let shown = format!("{call:?}");
        assert_eq!(refused(&a.caller(&private), call).await, expect, "{shown}");
        assert!(untouched(&trap), "{shown}");
    }
    let bad = vec!["nonsense".to_owned()];
    let made = HttpsOutbound::new(Presented::default(), Partners::default(), system_clock(), bad);
    assert_eq!(made.err().unwrap().code.name, "outgoing.url");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (a, b) = friends();
    let (trap, elsewhere) = trap();
    let (listener, address) = tcp_listener().await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n",
        base(elsewhere)
    );
    let caller = a.caller(&[base(address), base(elsewhere)]);
    let mut call = get(&b, address, "/dsp");
    call.pinned.push(base(elsewhere));
    let server = async { answer_once(&mut b.accept(&listener).await, &answer).await };
    let (reply, ()) = tokio::join!(caller.call(call), server);
    assert_eq!(reply.unwrap().status, 302);
    assert!(untouched(&trap));
}

/// What becomes of a call whose answer is this, when at most 5 bytes are read.
async fn answered(answer: &str) -> Result<Vec<u8>, Problem> {
    let (a, b) = friends();
    let (listener, address) = tcp_listener().await;
    let caller = a.caller(&[base(address)]);
    let mut call = get(&b, address, "/dsp");
    call.max_bytes = 5;
    let server = async {
        answer_once(&mut b.accept(&listener).await, answer).await;
    };
    let (reply, ()) = tokio::join!(caller.call(call), server);
    reply.map(|reply| reply.body)
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (answer, expect) in [
        (format!("{head}content-length: 5\r\n\r\nabcde"), Ok("abcde")),
        (format!("{head}content-length: 6\r\n\r\nabcdef"), Err("peer.answer")),
        (format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"), Ok("abcde")),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n"),
            Err("peer.answer"),
        ),
        (format!("{head}content-length: 99999999999\r\n\r\nabcdef"), Err("peer.answer")),
        (format!("{head}x: {}\r\n\r\n", "y".repeat(4 * MAX_HEAD_BYTES)), Err("peer.answer")),
        ("nonsense\r\n\r\n".to_owned(), Err("peer.answer")),
        // It ends in the middle.
        (format!("{head}content-length: 5\r\n\r\nabc"), Err("peer.unreachable")),
    ] {
        let got = answered(&answer).await;
        let got = got.as_deref().map_err(|p| p.code.name);
        assert_eq!(got, expect.map(str::as_bytes), "{answer:.90}");
    }
}

#[tokio::test]
async fn a_call_ends_in_time_wherever_the_partner_hangs() {
    let (a, b) = friends();
    // Enough for a handshake on a busy machine.
    let soon = Duration::from_secs(2);
    let long = Duration::from_secs(600);
    let stuck = b.listen(&Echo::default()).await;
    let (trap, silent) = trap();
    for (address, handshake, whole, expect) in [
        (silent, soon, long, "peer.unreachable"),
        (silent, long, soon, "peer.unreachable"),
        (stuck.address, long, soon, "peer.late"),
    ] {
        let limits = Limits { connect: long, handshake, whole };
        let caller = a.caller(&[base(address)]).with_limits(limits);
        let call = get(&b, address, "/dsp?stuck");
        assert_eq!(refused(&caller, call).await, expect, "{limits:?}");
    }
    drop(trap);
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let (a, b) = friends();
    let (trap, address) = trap();
    drop(trap);
    let caller = a.caller(&[base(address)]);
    assert_eq!(refused(&caller, get(&b, address, "/dsp")).await, "peer.unreachable");
}

const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1";
const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n2";

#[tokio::test]
async fn a_connection_is_kept_until_the_server_ends_it() {
    let (a, b) = friends();
    let (listener, address) = tcp_listener().await;
    let caller = a.caller(&[base(address)]);
    let server = async {
        // Were a connection not kept, the second answer would wait here for ever.
        let mut first = b.accept(&listener).await;
        answer_once(&mut first, SHORT).await;
        answer_once(&mut first, LAST).await;
        let mut second = b.accept(&listener).await;
        answer_once(&mut second, SHORT).await;
    };
    let calls = async {
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(caller.call(get(&b, address, "/dsp")).await.unwrap().body);
        }
        seen
    };
    let (seen, ()) = tokio::join!(calls, server);
    assert_eq!(seen, [b"1", b"2", b"1"]);
}

#[tokio::test]
async fn a_kept_connection_obeys_the_rules_of_every_call() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let address = listener.address;
    // Private only below /open, so that a kept connection to the same host is not enough.
    let caller = a.caller(&[format!("{}/open", base(address))]);
    let reply = caller.call(get(&b, address, "/open/x")).await.unwrap();
    assert_ne!(json_of(&reply.body)["peer"], Value::Null);
    assert_eq!(refused(&caller, get(&b, address, "/closed")).await, "outgoing.address");
    caller.call(get(&b, address, "/open/y")).await.unwrap();
    a.knows(&[]);
    assert_eq!(refused(&caller, get(&b, address, "/open/z")).await, "tls.refused");
    // Another root for the same name: the kept connection belongs to the old one.
    a.knows(&[&Party::new("b.example")]);
    assert_eq!(refused(&caller, get(&b, address, "/open/z")).await, "tls.refused");
    assert_eq!(echo.count(), 2);
}
