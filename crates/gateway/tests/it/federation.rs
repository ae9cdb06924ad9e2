//! The door for partners: who gets through, what it lets in, and how it closes.

use crate::parties::{Echo, Party, base, friends, get, json_of};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinpact_gateway::federation::{MAX_BODY_BYTES, MAX_HEAD_BYTES, PUBLIC_ROUTES};
use twinpact_gateway::port::bind;
use twinpact_node::outbound::{Call, Outbound};
use twinpact_node::strangers::Away;

#[test]
fn the_public_routes_are_those_of_the_golden_file() {
    let golden = include_str!("../golden/public-routes.txt");
    let ours: String = PUBLIC_ROUTES.iter().map(|(m, p)| format!("{m} {p}\n")).collect();
    assert_eq!(ours, golden);
}

#[tokio::test]
async fn without_a_certificate_there_are_public_routes_only() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let address = listener.address;
    let caller = a.nameless(&[base(address)]);
    for (method, path) in PUBLIC_ROUTES {
        let reply = caller.call(Call { method, ..get(&b, address, path) }).await.unwrap();
        let body = json_of(&reply.body);
        assert_eq!((reply.status, &body["peer"]), (200, &Value::Null));
        assert_eq!(body["path"], *path);
    }
    let asked = echo.count();
    let mut first = None;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/dsp/catalog"),
        ("POST", "/.well-known/dspace-version"),
        ("GET", "/.well-known/dspace-version/"),
        ("GET", "//.well-known/dspace-version"),
        ("GET", "/.well-known/dspace%2Dversion"),
        ("GET", "/.Well-known/dspace-version"),
    ] {
        let mut call = get(&b, address, path);
        call.method = method;
        let reply = caller.call(call).await.unwrap();
        assert_eq!(reply.status, 404, "{method} {path}");
        // One answer for all of them: it says nothing about what there is.
        assert_eq!(first.get_or_insert(reply.body.clone()), &reply.body, "{method} {path}");
    }
    assert_eq!(echo.count(), asked);
    // Whatever the door says, a nameless caller gets public documents and refusals only.
    let reply = caller.call(get(&b, address, "/.well-known/dspace-version?protocol")).await;
    assert_eq!(Some(reply.unwrap().body), first);
}

#[tokio::test]
async fn a_partner_gets_what_the_door_says() {
    let (a, b) = friends();
    let listener = b.listen(&Echo::default()).await;
    let caller = a.caller(&[base(listener.address)]);
    let reply = caller.call(get(&b, listener.address, "/dsp?protocol")).await.unwrap();
    assert_eq!((reply.status, reply.body), (202, Vec::new()));
    let reply = caller.call(get(&b, listener.address, "/dsp?fault")).await.unwrap();
    let body = json_of(&reply.body);
    assert_eq!((reply.status, &body["code"]), (500, &json!("internal")));
    assert!(!String::from_utf8(reply.body).unwrap().contains("secret"));
}

/// Sends these bytes on a new connection of `from` and reads the whole answer.
async fn raw(from: &Party, to: &Party, address: SocketAddr, request: &str) -> String {
    let mut tls = from.connect(to, address).await;
    tls.write_all(request.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut answer = Vec::new();
    // The end may be rough: the server does not read what it has refused.
    let _ = tls.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn requests_have_bounds() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let caller = a.caller(&[base(listener.address)]);
    for (bytes, status) in [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)] {
        let mut call = get(&b, listener.address, "/dsp");
        call.method = "POST";
        call.body = vec![b' '; bytes];
        let reply = caller.call(call).await.unwrap();
        assert_eq!(reply.status, status);
        let fault = json_of(&reply.body)["code"].clone();
        assert_eq!(fault, if status == 413 { json!("dsp.too_large") } else { Value::Null });
    }
    // One that is too large comes to the door as well, so that it is on record.
    assert_eq!(echo.count(), 2);
    let head = "GET /dsp HTTP/1.1\r\nhost: b\r\nconnection: close\r\n";
    for (more, status) in [
        ("x: y\r\n".to_owned(), "200"),
        ("x: y\r\n".repeat(70), "431"),
        (format!("x: {}\r\n", "y".repeat(4 * MAX_HEAD_BYTES)), "431"),
        ("authorization: Bearer a\r\nauthorization: Bearer b\r\n".to_owned(), "400"),
        ("twinpact-assertion: a\r\ntwinpact-assertion: a\r\n".to_owned(), "400"),
        ("authorization: Bearer \u{e9}\r\n".to_owned(), "400"),
    ] {
        let answer = raw(&a, &b, listener.address, &format!("{head}{more}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{more:.60}: {answer}");
    }
    assert_eq!(echo.count(), 6);
    // What is no HTTP for us does not come to the door: it is counted.
    b.turned_away(Away::Unreadable, 2).await;
}

#[tokio::test]
async fn the_token_comes_without_its_scheme() {
    let (a, b) = friends();
    let listener = b.listen(&Echo::default()).await;
    let caller = a.caller(&[base(listener.address)]);
    for (header, bearer) in
        [("Bearer t.k", "t.k"), ("bearer t.k", "t.k"), ("t.k", "t.k"), ("Basic x", "Basic x")]
    {
        let mut call = get(&b, listener.address, "/dsp");
        call.headers = vec![("authorization", header.to_owned())];
        let reply = caller.call(call).await.unwrap();
        assert_eq!(json_of(&reply.body)["bearer"], bearer);
    }
}

const ASK: &str = "GET /dsp HTTP/1.1\r\nhost: b\r\n\r\n";

#[tokio::test]
async fn a_partner_that_was_taken_out_is_not_answered_on_its_live_connection() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let mut tls = a.connect(&b, listener.address).await;
    tls.write_all(ASK.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        seen.push(tls.read_u8().await.unwrap());
    }
    assert!(seen.starts_with(b"HTTP/1.1 200 "));
    b.knows(&[]);
    // Were it answered, the connection would end all the same, and the test with it.
    let last = ASK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    tls.write_all(last.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut rest = Vec::new();
    let _ = tls.read_to_end(&mut rest).await;
    assert_eq!((rest.len(), echo.count()), (0, 1));
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_listener_stops() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let address = listener.address;
    // An idle connection does not hold it up.
    let idle = a.connect(&b, address).await;
    let caller = a.caller(&[base(address)]);
    let stopping = async {
        echo.entered.notified().await;
        let stop = tokio::spawn(listener.stop());
        // The listener accepts nobody any more while the request waits.
        while TcpStream::connect(address).await.is_ok() {}
        echo.release.notify_one();
        stop.await.unwrap();
    };
    let (reply, ()) = tokio::join!(caller.call(get(&b, address, "/dsp?stuck")), stopping);
    assert_eq!(reply.unwrap().status, 200);
    drop(idle);
}

#[tokio::test]
async fn a_taken_port_is_said_before_anything_is_served() {
    let bound = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let problem = bind(bound.address()).await.err().unwrap();
    assert_eq!(problem.code.name, "config.port");
}
