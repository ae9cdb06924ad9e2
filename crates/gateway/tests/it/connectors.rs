//! The door for connectors of others, in conformance mode, and calls without TLS.

use crate::openapi::{self, Judge};
use crate::pair::{self, MAKER, OPERATOR};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use tempfile::TempDir;
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::negotiation::{self, Negotiation};
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_gateway::Running;
use twinpact_gateway::connectors::ConnectorListener;
use twinpact_gateway::federation::MAX_BODY_BYTES;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_gateway::port::bind;
use twinpact_identity::partners::Partners;
use twinpact_identity::tls::{Presented, system_clock};
use twinpact_model::Did;
use twinpact_model::problem::Problem;
use twinpact_node::api::{Fetch, Fetched, Negotiate};
use twinpact_node::conformance::Script;
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{ConnectorCall, Outbound, Reply};
use twinpact_node::{
    Node, PolicyClock, agreements, consumer, decisions, fetching, found, open, partners, prove,
};
use twinpact_testkit::free_port;

/// A node in conformance mode.
struct Double {
    running: Running,
    root: String,
    _place: TempDir,
}

impl Double {
    async fn start(own: &str, peer: &str, entries: &str) -> Double {
        let text = format!(
            "listen = \"127.0.0.1:0\"\norganisation = \"{own}\"\npeer = \"{peer}\"\n{entries}"
        );
        let script = Script::parse(&text).unwrap();
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("node");
        open::init(&dir, &script.organisation, "double").unwrap();
        let parts = open::open(&dir, PolicyClock::System).await.unwrap().with_script(script);
        let running = Running::start(parts).await.unwrap();
        let root = running.parts.node.connectors.root().unwrap().to_owned();
        Double { running, root, _place: place }
    }

    async fn ask(&self, method: &'static str, path: &str, body: &[u8]) -> (u16, Value) {
        let reply = call(method, &format!("{}{path}", self.root), body).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    /// Waits until something is so in the state.
    async fn until<T>(&self, seen: impl Fn(&Fold) -> Option<T>) -> T {
        pair::found(&self.running.parts.node, seen).await
    }
}

fn caller() -> HttpsOutbound {
    let (presented, partners) = (Presented::default(), Partners::default());
    HttpsOutbound::new(presented, partners, system_clock(), Vec::new()).unwrap()
}

fn plain(method: &'static str, url: &str, body: &[u8]) -> ConnectorCall {
    ConnectorCall {
        participant: "P".to_owned(),
        method,
        url: url.to_owned(),
        headers: Vec::new(),
        body: body.to_vec(),
        max_bytes: 4_096,
        over_tls: None,
    }
}

async fn call(method: &'static str, url: &str, body: &[u8]) -> Reply {
    caller().connector(plain(method, url, body)).await.unwrap()
}

#[tokio::test]
async fn the_door_answers_the_protocol_and_who_directs_the_script() {
    let double = Double::start("did:web:a.example", "P", "[[dataset]]\nid = \"d\"\n").await;
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    for (method, path, body, status, says) in [
        ("GET", "/.well-known/dspace-version", &b""[..], 200, "2025-1"),
        ("GET", "/dsp/catalog/datasets/d", b"", 200, "offer:d"),
        ("GET", "/dsp/catalog/datasets/e", b"", 404, "CatalogError"),
        ("GET", "/dsp/negotiations/urn:uuid:1", b"", 404, "ContractNegotiationError"),
        ("GET", "/dsp/transfers/urn:uuid:1", b"", 404, "TransferError"),
        ("POST", "/dsp/catalog/request", b"{}", 400, "CatalogError"),
        ("POST", "/dsp/negotiations/request", b"", 400, "ContractNegotiationError"),
        ("POST", "/dsp/negotiations/request", b"{", 400, "ContractNegotiationError"),
        ("POST", "/dsp/negotiations/request", &large, 400, "dsp.too_large"),
        ("POST", "/conformance/negotiations", b"{}", 400, "input.malformed"),
        ("POST", "/conformance/transfers", b"[]", 400, "input.malformed"),
        ("GET", "/conformance/negotiations", b"", 404, "route.unknown"),
        ("GET", "/conformance/data/urn:uuid:1", b"", 403, "policy.token.unknown"),
        // What is for partners is not here.
        ("GET", "/.well-known/twinpact/organisation", b"", 404, "route.unknown"),
        ("POST", "/documents", b"{}", 404, "route.unknown"),
        ("GET", "/data/urn:uuid:1", b"", 404, "route.unknown"),
        ("POST", "/log/cosign", b"", 404, "route.unknown"),
        ("GET", "/", b"", 404, "route.unknown"),
    ] {
        let (got, answer) = double.ask(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {answer}");
        assert!(answer.to_string().contains(says), "{method} {path}: {answer}");
    }
    let directed = json!({
        "providerId": "Q", "datasetId": "d", "offerId": "o",
        "connectorAddress": "http://127.0.0.1:1/dsp",
    });
    let body = directed.to_string();
    let (status, answer) = double.ask("POST", "/conformance/negotiations", body.as_bytes()).await;
    assert_eq!((status, &answer["code"]), (404, &json!("partner.unknown")), "{answer}");
    double.running.stop().await;
}

#[tokio::test]
async fn a_web_page_has_no_way_in() {
    let double = Double::start("did:web:a.example", "P", "[[dataset]]\nid = \"d\"\n").await;
    let here = double.root.strip_prefix("http://").unwrap();
    let port = here.rsplit(':').next().unwrap();
    for (host, origin, status) in [
        (here.to_owned(), None, 200),
        (format!("localhost:{port}"), None, 200),
        (format!("[::1]:{port}"), None, 200),
        (format!("evil.example:{port}"), None, 400),
        (format!("localhost.evil.example:{port}"), None, 400),
        (here.to_owned(), Some("https://evil.example"), 400),
        (here.to_owned(), Some("null"), 400),
    ] {
        for path in ["/dsp/catalog/datasets/d", "/.well-known/dspace-version"] {
            let origin = origin.map(|from| format!("origin: {from}\r\n")).unwrap_or_default();
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{origin}connection: close\r\n\r\n");
            let answer = raw(here, &request).await;
            let expect = format!("HTTP/1.1 {status}");
            assert!(answer.starts_with(&expect), "{request}{answer}");
        }
    }
    double.running.stop().await;
}

/// The answer to these bytes.
async fn raw(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn callbacks_outside_this_machine_open_nothing() {
    let double = Double::start("did:web:a.example", "P", "[[dataset]]\nid = \"d\"\n").await;
    for callback in [
        "http://192.168.0.1:8083",
        "http://169.254.169.254/latest",
        "https://127.0.0.1:8083",
        "http://127.0.0.1.example:8083",
        "ftp://127.0.0.1",
    ] {
        let request = json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "ContractRequestMessage", "consumerPid": "urn:c", "callbackAddress": callback,
            "offer": {"@type": "Offer", "@id": "offer:d", "target": "d",
                "permission": [{"action": "use"}]},
        });
        let body = request.to_string();
        let (status, answer) =
            double.ask("POST", "/dsp/negotiations/request", body.as_bytes()).await;
        assert_eq!(status, 400, "{callback}: {answer}");
        let open = |fold: &Fold| fold.processes.negotiations.len();
        assert_eq!(double.running.parts.node.partition.read(|fold, _| open(fold)).unwrap(), 0);
    }
    double.running.stop().await;
}

/// The only negotiation, once it is in that state.
fn negotiated(fold: &Fold) -> Option<Negotiation> {
    let all = fold.processes.negotiations.values();
    all.clone().find(|n| n.state == negotiation::State::Finalized).cloned()
}

fn transferred(fold: &Fold, state: transfer::State) -> Option<Transfer> {
    fold.processes.transfers.values().find(|t| t.state == state).cloned()
}

#[tokio::test]
async fn two_scripts_negotiate_transfer_and_fetch() {
    let (a, b) = ("did:web:a.example", "did:web:b.example");
    let provider =
        Double::start(a, b, "[[dataset]]\nid = \"d\"\ndata = \"{\\\"rows\\\":[1]}\"\n").await;
    let consumer = Double::start(b, a, "").await;
    let address = format!("{}/dsp", provider.root);
    let mut directed = json!({
        "providerId": a, "connectorAddress": address, "datasetId": "d", "offerId": "offer:d",
        "agreementId": "", "format": "HttpData-PULL",
    });
    let body = directed.to_string();
    let (status, _) = consumer.ask("POST", "/conformance/negotiations", body.as_bytes()).await;
    assert_eq!(status, 200);
    let (ours, theirs) = (consumer.until(negotiated).await, provider.until(negotiated).await);
    assert_eq!(ours.agreement, theirs.agreement);
    let agreement = ours.agreement.unwrap();
    assert_eq!((agreement.assigner.as_str(), agreement.assignee.as_str()), (a, b));

    directed["agreementId"] = agreement.id.into();
    let body = directed.to_string();
    let (status, answer) = consumer.ask("POST", "/conformance/transfers", body.as_bytes()).await;
    assert_eq!(status, 200);
    let started = consumer.until(|fold| transferred(fold, transfer::State::Started)).await;
    assert_eq!(answer["pid"], started.party.own_pid);
    let secrets = &consumer.running.parts.node.secrets;
    let (found, _) = secrets.address(&started.party.own_pid).unwrap();
    assert_eq!(fetched(&found, found.property("authorization")).await.body, b"{\"rows\":[1]}");
    assert_eq!(fetched(&found, Some("guessed")).await.status, 403);
    assert_eq!(fetched(&found, None).await.status, 403);
    provider.running.stop().await;
    consumer.running.stop().await;
}

async fn fetched(address: &DataAddress, token: Option<&str>) -> Reply {
    let mut call = plain("GET", address.endpoint.as_deref().unwrap(), b"");
    call.headers.extend(token.map(|token| ("authorization", token.to_owned())));
    caller().connector(call).await.unwrap()
}

/// Two nodes of organisations, each a connector to the other: none has pinned a record.
pub(crate) struct Strangers {
    pub(crate) operator: Running,
    pub(crate) maker: Running,
    operator_at: PathBuf,
    _place: TempDir,
}

impl Strangers {
    pub(crate) async fn start(presumed: &str) -> Strangers {
        Strangers::start_with(presumed, "http://127.0.0.1:1/none").await
    }

    /// The maker has this data address besides its own.
    pub(crate) async fn start_with(presumed: &str, data: &str) -> Strangers {
        let place = tempfile::tempdir().unwrap();
        let (operator, maker) = (free_port(), free_port());
        let open = async |did: &str, own: u16, other: (&str, u16), more: &str| {
            let path = place.path().join(own.to_string());
            open::init(&path, &Did::new(did).unwrap(), "Test").unwrap();
            let (id, port) = other;
            let config = format!(
                "organisation = \"{did}\"\nname = \"Test\"\n\n[connectors]\n\
                 listen = \"127.0.0.1:{own}\"\n\n[[connectors.peers]]\nid = \"{id}\"\n\
                 endpoint = \"http://127.0.0.1:{port}/dsp\"\n\
                 data = [\"http://127.0.0.1:{port}/data\", \"{data}\"]\n{more}"
            );
            std::fs::write(path.join("twinpact.toml"), config).unwrap();
            pair::start(&path).await
        };
        let operator_at = open(OPERATOR, operator, (MAKER, maker), presumed).await;
        let maker_at = open(MAKER, maker, (OPERATOR, operator), "").await;
        pair::fill_bound(&operator_at.parts.node, "").await;
        let path = place.path().join(operator.to_string());
        Strangers { operator: operator_at, maker: maker_at, operator_at: path, _place: place }
    }

    /// The same after a stop of the operator's node.
    pub(crate) async fn operator_started_again(self) -> Strangers {
        let Strangers { operator, maker, operator_at, _place } = self;
        operator.stop().await;
        Strangers { operator: pair::start(&operator_at).await, maker, operator_at, _place }
    }

    /// The maker alone, after the operator's node has stopped, and where both have their files.
    pub(crate) async fn operator_is_gone(self) -> (Running, TempDir) {
        self.operator.stop().await;
        (self.maker, self._place)
    }

    pub(crate) async fn agreed(&self) -> String {
        let dataset = Some(pair::VIEW.to_owned());
        let asked = Negotiate { partner: OPERATOR.to_owned(), dataset, another: false };
        consumer::negotiate(&self.maker.parts.node, &asked).await.unwrap().id
    }

    pub(crate) async fn fetch(&self, agreement: &str) -> Result<Fetched, Problem> {
        let asked = Fetch { agreement: agreement.to_owned(), push: false };
        fetching::fetch(&self.maker.parts.node, &asked).await
    }

    pub(crate) async fn stop(self) {
        self.maker.stop().await;
        self.operator.stop().await;
    }
}

pub(crate) const PRESUMED: &str =
    "purpose = \"https://w3id.org/twinpact/purpose/PredictiveMaintenance\"\nplace = \"FR\"\n";

#[tokio::test]
async fn connectors_negotiate_and_what_they_fetch_is_decided() {
    let both = Strangers::start(PRESUMED).await;
    let (operator, maker) = (&both.operator.parts.node, &both.maker.parts.node);
    let datasets = found::catalog(maker, OPERATOR).await.unwrap();
    assert_eq!(datasets.len(), 1);
    let agreement = both.agreed().await;
    let fetched = both.fetch(&agreement).await.unwrap();
    let text = fetched.text.unwrap();
    assert_eq!(text.matches("514.24").count(), pair::ROWS, "{text}");
    // Both have the same agreement, and it is the provider's decision that says by what.
    let of = |node: &Node| agreements::list(node, None).unwrap();
    let (ours, theirs) = (of(maker), of(operator));
    assert_eq!((ours.len(), &ours[0].id), (1, &theirs[0].id));
    let decided = decisions::list(operator, 10, None).unwrap();
    let [decided] = &decided[..] else { panic!("{decided:?}") };
    let (_, record) = decisions::show(operator, &decided.id, None).unwrap();
    let record = String::from_utf8(record.payload.to_vec()).unwrap();
    for said in ["by its token alone", "presumed", "recognised"] {
        assert!(record.contains(said), "{said}: {record}");
    }
    // A second one goes over the same transfer, and nothing was sent that only a partner reads.
    let asked = json!({ "agreement": agreement }).to_string();
    let route = ("POST", "/fetches");
    openapi::ask(&mut Judge::new(), &both.maker.admin, route, "/fetches", &asked).await;
    let waiting = |fold: &Fold| (fold.processes.transfers.len(), fold.processes.outbox.len());
    assert_eq!(maker.partition.read(|fold, _| waiting(fold)).unwrap(), (1, 0));
    assert_eq!(operator.partition.read(|fold, _| waiting(fold)).unwrap(), (1, 0));
    // What it gives is no copy.
    let pull = pair::wanted(&agreement);
    let refused = consumer::pull(maker, &pull).await.unwrap_err();
    assert_eq!(refused.code.name, "exchange.refused");
    assert!(refused.hint.unwrap().contains("twinpact fetch"));
    both.stop().await;
}

#[tokio::test]
async fn a_connector_whose_purpose_nobody_presumes_gets_nothing() {
    let both = Strangers::start("").await;
    let agreement = both.agreed().await;
    let refused = both.fetch(&agreement).await.unwrap_err();
    assert_eq!(refused.code.name, "exchange.refused");
    assert!(refused.message.contains("403"), "{refused}");
    let decided = decisions::list(&both.operator.parts.node, 10, None).unwrap();
    assert!(decided.iter().all(|line| line.code.starts_with("policy.")), "{decided:?}");
    both.stop().await;
}

/// Who is known by certificate and signature is never taken for one that is known by its word.
#[tokio::test]
async fn nobody_is_partner_and_connector() {
    let both = Strangers::start(PRESUMED).await;
    let record = prove::own_record(&both.maker.parts.node).unwrap().to_json().canonical();
    let added = partners::add(&both.operator.parts.node, record.as_bytes()).await.unwrap_err();
    assert_eq!(added.code.name, "trust.conflict");
    both.stop().await;
    let (pair, _) = pair::Pair::concluded().await;
    let path = pair.path("operator");
    let pair::Pair { place: _place, operator, maker } = pair;
    maker.stop().await;
    operator.stop().await;
    let file = path.join("twinpact.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let more = format!(
        "\n[connectors]\nlisten = \"127.0.0.1:0\"\n[[connectors.peers]]\nid = \"{MAKER}\"\n\
         endpoint = \"http://127.0.0.1:1\"\n"
    );
    std::fs::write(&file, format!("{config}{more}")).unwrap();
    let opened = open::open(&path, PolicyClock::System).await.err().unwrap();
    assert_eq!(opened.code.name, "config.invalid");
    assert!(opened.message.contains("is a partner"), "{opened}");
    std::fs::write(&file, config).unwrap();
    open::open(&path, PolicyClock::System).await.unwrap().stop();
}

#[tokio::test]
async fn who_is_no_connector_of_ours_is_told_nothing() {
    let both = Strangers::start(PRESUMED).await;
    let root = both.operator.parts.node.connectors.root().unwrap();
    for claims in [
        None,
        Some("{}"),
        Some("{\"clientId\":\"did:web:other.example\"}"),
        Some("{\"clientId\":7}"),
        Some("did:web:maker.example"),
    ] {
        let mut call = plain("POST", &format!("{root}/dsp/catalog/request"), b"{}");
        call.headers.extend(claims.map(|claims| ("authorization", claims.to_owned())));
        let reply = caller().connector(call).await.unwrap();
        let body = String::from_utf8(reply.body).unwrap();
        assert_eq!(reply.status, 404, "{claims:?}: {body}");
        assert!(body.contains("CatalogError") && body.contains("dsp.unknown"), "{body}");
    }
    both.stop().await;
}

#[tokio::test]
async fn a_plain_call_stays_on_this_machine() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    for (url, code) in [
        (format!("https://127.0.0.1:{port}/dsp"), "outgoing.endpoint"),
        ("http://192.168.0.1/dsp".to_owned(), "outgoing.address"),
        ("http://[::ffff:127.0.0.1]/dsp".to_owned(), "outgoing.address"),
        ("http://169.254.169.254/latest".to_owned(), "outgoing.address"),
        (format!("ftp://127.0.0.1:{port}/"), "outgoing.url"),
        (format!("http://127.1:{port}/"), "outgoing.url"),
        (format!("http://me@127.0.0.1:{port}/"), "outgoing.url"),
        (format!("http://127.0.0.1:{port}/../x"), "outgoing.url"),
    ] {
        let problem = caller().connector(plain("GET", &url, b"")).await.unwrap_err();
        assert_eq!(problem.code.name, code, "{url}: {problem}");
    }
    assert!(trap.accept().is_err(), "somebody has called");
}

/// A server that answers once with these bytes.
async fn answering(bytes: &'static [u8]) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let _ = tcp.read(&mut [0; 4_096]).await;
        let _ = tcp.write_all(bytes).await;
    });
    address
}

#[tokio::test]
async fn what_comes_back_has_bounds_and_redirects_lead_nowhere() {
    let redirect =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let address = answering(redirect).await;
    assert_eq!(call("GET", &format!("http://{address}/"), b"").await.status, 302);
    let named = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://localhost:{}/", named.port());
    assert_eq!(call("GET", &url, b"").await.status, 200);
    for (bytes, code) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n"[..], "peer.unreachable"),
        (b"garbage\r\n\r\n", "peer.unreachable"),
        (b"", "peer.unreachable"),
    ] {
        let address = answering(bytes).await;
        let call = caller().connector(plain("GET", &format!("http://{address}/"), b"")).await;
        assert_eq!(call.unwrap_err().code.name, code, "{}", String::from_utf8_lossy(bytes));
    }
    let mut long = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    long.resize(long.len() + 5_000, b'x');
    let address = answering(long.leak()).await;
    let problem = caller().connector(plain("GET", &format!("http://{address}/"), b"")).await;
    assert_eq!(problem.unwrap_err().code.name, "peer.answer");
}

#[tokio::test]
async fn the_door_listens_on_loopback_only() {
    let bound = bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("node");
    open::init(&dir, &Did::new("did:web:a.example").unwrap(), "a").unwrap();
    let parts = open::open(&dir, PolicyClock::System).await.unwrap();
    let refused = ConnectorListener::start(bound, parts.node.clone()).err().unwrap();
    assert_eq!(refused.code.name, "config.invalid");
    parts.stop();
}
