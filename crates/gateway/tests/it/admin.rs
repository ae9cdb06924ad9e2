//! The admin door: who gets through, and what it says to input that it cannot take.

use serde_json::{Value, json};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinpact_edge::batch::MAX_BATCH_BYTES;
use twinpact_gateway::AdminListener;
use twinpact_gateway::admin::ROUTES;
use twinpact_identity::refusal::Refusal;
use twinpact_model::{Did, codes};
use twinpact_node::strangers::Away;
use twinpact_node::{Node, NodeParts, PolicyClock, open};

const MODEL: &str = r#"
model = "pump"
version = 1
[[attribute]]
name = "flow"
datatype = "double"
"#;

/// A fresh node with its admin door.
pub(crate) struct Office {
    pub(crate) node: Node,
    parts: NodeParts,
    door: AdminListener,
    // Last: the directory goes when the node is gone.
    _place: TempDir,
}

impl Office {
    pub(crate) async fn open() -> Office {
        Office::open_by(PolicyClock::System).await
    }

    pub(crate) async fn open_by(clock: PolicyClock) -> Office {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        let did = Did::new("did:web:operator.example").unwrap();
        open::init(&path, &did, "test").unwrap();
        let parts = open::open(&path, clock).await.unwrap();
        let node = parts.node.clone();
        let door = AdminListener::start(node.clone()).await.unwrap();
        Office { node, parts, door, _place: place }
    }

    /// What the door says to the token's bearer.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.door.token);
        send(self.door.address, method, path, Some(&bearer), body).await
    }

    /// The same as JSON; it must be taken.
    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// A page of text; it must be given.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.ask("GET", path, b"").await;
        assert_eq!((answer.status, answer.kind.starts_with("text/plain")), (200, true));
        answer.text()
    }

    /// All that input can change: models, twins, contracts, partners, and the log itself.
    async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for path in ["/models", "/twins", "/contracts", "/partners", "/agreements", "/readyz"] {
            let mut answer = self.get(path).await;
            // Whether the idle tick has come meanwhile is a matter of time, not of input.
            if let Some(log) = answer.get_mut("log").and_then(Value::as_object_mut) {
                log.remove("ticks").unwrap();
            }
            state.push(answer);
        }
        state
    }

    pub(crate) async fn close(self) {
        self.door.stop().await;
        self.parts.stop();
    }
}

/// An answer as it came over the wire.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a problem document; everything that RFC 9457 and we ask of one is checked.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.kind, "application/problem+json", "{}", self.text());
        let document: Value = serde_json::from_slice(&self.body).unwrap();
        let code = document["code"].as_str().unwrap();
        let known = codes::find(code).unwrap();
        assert_eq!(document["status"], self.status);
        assert_eq!(self.status, known.class.http_status(), "{code}");
        assert_eq!(document["title"], known.title);
        assert_eq!(document["type"], format!("https://w3id.org/twinpact/errors/{code}"));
        assert!(!document["detail"].as_str().unwrap().is_empty(), "{code}");
        code.to_owned()
    }
}

/// One request by hand, on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n");
    if let Some(value) = authorization {
        head.push_str(&format!("Authorization: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(head.as_bytes()).await.unwrap();
    // A door that has refused does not have to read to the end.
    let _ = tcp.write_all(body).await;
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let kind = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        kind: kind.map_or(String::new(), |(_, value)| value.to_owned()),
        body: bytes[end + 4..].to_vec(),
    }
}

#[tokio::test]
async fn readiness_and_strangers_are_shown() {
    let office = Office::open().await;
    let ready = office.get("/readyz").await;
    assert_eq!((&ready["status"], &ready["warnings"]), (&json!("ready"), &json!([])));
    assert!(ready["log"]["ticks"].is_u64());
    let none = json!({ "first": null, "last": null, "sum": 0, "kinds": {} });
    assert_eq!(office.get("/strangers").await, none);
    let now = office.node.clocks.wall();
    office.node.strangers.count(Away::Tls(Refusal::Expired), now);
    office.node.strangers.count(Away::Route, now);
    let shown = office.get("/strangers").await;
    let kinds = json!({ "nameless.route": 1, "tls.expired": 1 });
    assert_eq!((&shown["kinds"], &shown["sum"]), (&kinds, &json!(2)));
    assert_eq!((&shown["first"], &shown["last"]), (&json!(now.0), &json!(now.0)));
    office.close().await;
}

/// A route's path with something in place of each name in braces.
pub(crate) fn filled(path: &str) -> String {
    path.replace("{id}", "nothing").replace("{index}", "0")
}

#[tokio::test]
async fn without_the_token_only_the_open_routes_answer() {
    let office = Office::open().await;
    let address = office.door.address;
    let token = office.door.token.clone();
    let (bare, wrong) = (token.clone(), format!("Bearer {token}0"));
    let (short, scheme) = (format!("Bearer {}", &token[1..]), format!("Basic {token}"));
    let given = [None, Some(""), Some("Bearer "), Some(&bare), Some(&wrong)];
    for authorization in given.into_iter().chain([Some(short.as_str()), Some(&scheme)]) {
        for route in ROUTES {
            let path = filled(route.path);
            let answer = send(address, route.method(), &path, authorization, b"{}").await;
            let what = format!("{} {path} with {authorization:?}", route.method());
            if ["/livez", "/readyz", "/version", "/metrics", "/openapi.json"].contains(&route.path)
            {
                assert_eq!((answer.status, route.token), (200, false), "{what}");
            } else {
                assert_eq!((answer.status, route.token), (401, true), "{what}");
                assert_eq!(answer.code(), "admin.token", "{what}");
            }
        }
    }
    // Other methods on guarded paths stop at the same guard; an answer to HEAD has no body.
    for (method, path) in [("DELETE", "/twins"), ("PUT", "/models"), ("PATCH", "/clock")] {
        assert_eq!(send(address, method, path, None, b"").await.code(), "admin.token", "{path}");
    }
    assert_eq!(send(address, "HEAD", "/twins", None, b"").await.status, 401);
    office.close().await;
}

#[tokio::test]
async fn what_is_no_route_says_so() {
    let office = Office::open().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/twins/"),
        ("GET", "//twins"),
        ("GET", "/Twins"),
        ("GET", "/twins/a/b/c"),
        ("GET", "/ingest"),
        ("DELETE", "/twins"),
        ("PUT", "/models"),
        ("POST", "/livez"),
        ("OPTIONS", "/twins"),
        ("GET", "/dsp/catalog/request"),
    ] {
        let answer = office.ask(method, path, b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "route.unknown"), "{path}");
    }
    office.close().await;
}

fn batch() -> Value {
    json!({
        "source": "urn:source:test",
        "model": "pump@1",
        "observations": [{
            "id": "1",
            "twin": "urn:pump:1",
            "time": "2026-01-05T10:00:00Z",
            "values": {"flow": "1.5"}
        }]
    })
}

#[tokio::test]
async fn a_batch_makes_twins_and_links_them() {
    let office = Office::open().await;
    assert_eq!(office.ask("POST", "/models", MODEL.as_bytes()).await.status, 200);
    let mut body = batch();
    let mut other = body["observations"][0].clone();
    other["twin"] = json!("urn:pump:2");
    other["id"] = json!("2");
    body["observations"].as_array_mut().unwrap().push(other);
    let link = |from: &str, to: &str| json!({ "from": from, "predicate": "part-of", "to": to });
    body["links"] = json!([
        link("urn:pump:1", "urn:pump:2"),
        link("urn:pump:2", "urn:pump:1"),
        link("urn:pump:1", "urn:pump:3"),
    ]);
    let send = async |body: &Value| -> Value {
        let answer = office.ask("POST", "/ingest", body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    };
    let report = send(&body).await;
    assert_eq!((&report["new"], &report["links"]["changed"]), (&json!(2), &json!(1)));
    let refused = |n: usize| {
        let refused = &report["links"]["refused"][n];
        (refused["index"].as_u64().unwrap(), refused["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(refused(0), (1, "link.cycle".to_owned()));
    assert_eq!(refused(1), (2, "twin.unknown".to_owned()));
    let again = send(&body).await;
    assert_eq!((&again["duplicate"], &again["links"]["known"]), (&json!(2), &json!(1)));
    body["links"] = json!([{ "from": "urn:pump:1", "predicate": "part-of", "to": "urn:pump:2",
        "retract": true }]);
    assert_eq!(send(&body).await["links"]["changed"], json!(1));
    assert_eq!(office.get("/links").await["total"], json!(0));
    office.close().await;
}

/// `inner` inside that many arrays.
fn deep(levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels))
}

fn link(predicate: &str, more: &str) -> Vec<u8> {
    format!(r#"{{"from":"urn:pump:1","predicate":"{predicate}","to":"urn:pump:2"{more}}}"#).into()
}

/// What each door for input says to input that it cannot take.
fn bad_bodies() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = batch().to_string();
    let twice = good.replacen('{', r#"{"source":"urn:source:test","#, 1);
    let value_twice = good.replace(r#""flow":"1.5""#, r#""flow":"1.5","flow":"2""#);
    let key = good.replacen('{', r#"{"sorce":"urn:source:test","#, 1);
    let nested = good.replace(r#""1.5""#, &deep(100_000, "1"));
    let mut cut = good.clone();
    cut.truncate(good.len() - 1);
    let not_utf8 = good.replace("urn:pump:1", "urn:pump:~").into_bytes();
    let not_utf8 = not_utf8.into_iter().map(|b| if b == b'~' { 0xff } else { b }).collect();
    let mut cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("/ingest", twice.into(), "input.malformed"),
        ("/ingest", value_twice.into(), "input.malformed"),
        ("/ingest", key.into(), "input.unknown_key"),
        ("/links", link("has-part", ""), "link.predicate"),
        ("/links", link("part-of", r#","x":1"#), "input.malformed"),
        ("/links", link("part-of", ""), "twin.unknown"),
        ("/links/retract", link("part-of", ""), "twin.unknown"),
        ("/ingest", nested.into(), "input.malformed"),
        ("/ingest", cut.into(), "input.malformed"),
        ("/ingest", format!("{good}{good}").into(), "input.malformed"),
        ("/ingest", not_utf8, "input.malformed"),
        ("/models", b"model = \"\xff\"".to_vec(), "input.malformed"),
        ("/contracts", b"name: \xff".to_vec(), "input.malformed"),
        ("/clock", br#"{"policy":"now"}"#.to_vec(), "input.malformed"),
        ("/clock", br#"{"policy":"2026-01-01T00:00:00Z","x":1}"#.to_vec(), "input.malformed"),
        ("/pulls", br#"{"agreement":"a","agreement":"b"}"#.to_vec(), "input.malformed"),
        ("/negotiations", deep(100_000, "").into(), "input.malformed"),
        ("/agreements/x/revoke", br#"{"reason":"a","reason":"b"}"#.to_vec(), "input.malformed"),
    ];
    let paths = ["/ingest", "/negotiations", "/pulls", "/clock", "/agreements/x/revoke"];
    for path in paths.into_iter().chain(["/links", "/links/retract"]) {
        for body in [&b""[..], b"\0", b"[]", b"null", b"{", b"\xef\xbb\xbf{}"] {
            cases.push((path, body.to_vec(), "input.malformed"));
        }
    }
    cases
}

#[tokio::test]
async fn bad_bodies_are_refused_and_change_nothing() {
    let office = Office::open().await;
    assert_eq!(office.ask("POST", "/models", MODEL.as_bytes()).await.status, 200);
    assert_eq!(office.ask("POST", "/ingest", batch().to_string().as_bytes()).await.status, 200);
    let before = office.state().await;
    assert_eq!(before[1].as_array().map(Vec::len), Some(1));
    for (path, body, code) in bad_bodies() {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = office.ask("POST", path, &body).await;
        assert_eq!(answer.code(), code, "{path} {start}: {}", answer.text());
    }
    // Whatever the code is where another crate reads: it is a refusal in words.
    for path in ["/models", "/contracts", "/partners"] {
        for body in [&b""[..], b"\0", b"[", b"{\"a\":1,\"a\":2}", deep(100_000, "").as_bytes()] {
            let answer = office.ask("POST", path, body).await;
            let class = answer.status;
            assert!((400..500).contains(&class), "{path} {class}: {}", answer.text());
            assert!(!answer.code().is_empty());
        }
    }
    assert_eq!(office.state().await, before);
    office.close().await;
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused_in_words() {
    let office = Office::open().await;
    assert_eq!(office.ask("POST", "/models", MODEL.as_bytes()).await.status, 200);
    let before = office.state().await;
    let mut good = batch().to_string().into_bytes();
    good.resize(MAX_BATCH_BYTES + 1, b' ');
    for route in ROUTES.iter().filter(|route| route.method() == "POST") {
        let path = filled(route.path);
        let answer = office.ask("POST", &path, &good).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "input.too_large"), "{path}");
    }
    assert_eq!(office.state().await, before);
    // One byte less is no question of size.
    good.pop();
    assert_eq!(office.ask("POST", "/ingest", &good).await.status, 200);
    assert_ne!(office.state().await, before);
    office.close().await;
}

#[tokio::test]
async fn bad_paths_and_queries_are_refused_in_words() {
    let office = Office::open().await;
    let before = office.state().await;
    for (path, code) in [
        ("/twins/%ff", "input.malformed"),
        ("/twins/x/history?limit=-1", "input.malformed"),
        ("/twins/x/history?limit=many", "input.malformed"),
        ("/twins/x/history?limit=1&limit=2", "input.malformed"),
        ("/twins/x/history?limt=1", "input.malformed"),
        ("/twins/x/history?since=yesterday", "input.time"),
        ("/twins/x/history?until=", "input.time"),
        ("/twins?as-of=yesterday", "input.time"),
        ("/twins?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/twins?as_of=2001-01-01T00:00:00Z", "input.malformed"),
        ("/twins/x?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/twins/x/history?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/models?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/contracts?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/partners?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/agreements?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/agreements/00000000?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/links?as-of=2001-01-01T00:00:00Z", "asof.early"),
        ("/links?twin=urn:x:nothing", "twin.unknown"),
        ("/links?from=urn:x:nothing", "input.malformed"),
        ("/events/first/proof", "input.malformed"),
        ("/events/-1/proof", "input.malformed"),
        ("/events/18446744073709551616/proof", "input.malformed"),
        ("/events/0/proof?attribute=flow", "input.malformed"),
        ("/catalog", "input.malformed"),
        ("/catalog?partner=a&partner=b", "input.malformed"),
        ("/catalog?partner=did:web:nobody.example", "partner.unknown"),
        ("/decisions?limit=1.5", "input.malformed"),
        ("/decisions?most=1", "input.malformed"),
        ("/twins/urn:x:nothing", "twin.unknown"),
        ("/agreements/nothing", "agreement.unknown"),
        ("/receipts/nothing", "receipt.unknown"),
        ("/receipts/nothing/proof", "receipt.unknown"),
        ("/decisions/nothing", "decision.unknown"),
    ] {
        let answer = office.ask("GET", path, b"").await;
        assert_eq!(answer.code(), code, "{path}: {}", answer.text());
    }
    assert_eq!(office.state().await, before);
    office.close().await;
}
