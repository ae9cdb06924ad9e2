//! What connectors of the EDC family do on the wire, one by one and at the worst moment: a peer
//! that comes before it has answered, that is not ready for us, and that rewrites what it was sent.
//! The real one is met by `make interop-edc`, at whatever moment it comes there.

use crate::connectors::PRESUMED;
use crate::pair::{self, OPERATOR};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use twinpact_dsp::negotiation::{Negotiation, State};
use twinpact_gateway::Running;
use twinpact_identity::token::TokenDigest;
use twinpact_model::Did;
use twinpact_node::api::{AgreementLine, Fetch, Negotiate, ReceiptLine};
use twinpact_node::fold::Fold;
use twinpact_node::{agreements, consumer, decisions, fetching, open, receipts, why};
use twinpact_proof::to_hex;
use twinpact_testkit::free_port;

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
const OWN: &str = "https://w3id.org/edc/dspace/v0.0.1";

/// A request that the peer has heard, and how many of its kind came before.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) what: String,
    authorization: Option<String>,
    pub(crate) body: Value,
    pub(crate) before: usize,
}

type Answering = Pin<Box<dyn Future<Output = (u16, Value)> + Send>>;
pub(crate) type Script = Arc<dyn Fn(Heard) -> Answering + Send + Sync>;

/// The peer: whatever it is asked, its script answers.
pub(crate) struct Peer {
    port: u16,
    pub(crate) heard: Arc<watch::Sender<Vec<Heard>>>,
}

impl Peer {
    pub(crate) async fn open(port: u16, script: Script) -> Peer {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let heard = Arc::new(watch::Sender::new(Vec::new()));
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(answer(tcp, Arc::clone(&all), Arc::clone(&script)));
            }
        });
        Peer { port, heard }
    }

    /// The bodies of what was heard of that kind.
    pub(crate) fn bodies(&self, what: &str) -> Vec<Value> {
        bodies(&self.heard.borrow(), what)
    }

    /// The same, once there are so many.
    pub(crate) async fn hears(&self, what: &str, count: usize) -> Vec<Value> {
        let mut heard = self.heard.subscribe();
        let seen = heard.wait_for(|heard| bodies(heard, what).len() >= count);
        let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
        bodies(&seen.expect("it is not heard so often").unwrap(), what)
    }
}

pub(crate) fn bodies(heard: &[Heard], what: &str) -> Vec<Value> {
    heard.iter().filter(|one| one.what == what).map(|one| one.body.clone()).collect()
}

async fn answer(mut tcp: TcpStream, all: Arc<watch::Sender<Vec<Heard>>>, script: Script) {
    let (head, body) = read(&mut tcp).await;
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    // The last segment says what it is; those before are process ids.
    let what = format!("{method} {}", path.rsplit('/').next().unwrap());
    let authorization = head
        .lines()
        .find_map(|line| line.strip_prefix("authorization: "))
        .map(|value| value.trim().to_owned());
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let mut heard = Heard { what, authorization, body, before: 0 };
    all.send_modify(|all| {
        let same =
            |one: &&Heard| one.what == heard.what && one.body["@type"] == heard.body["@type"];
        heard.before = all.iter().filter(same).count();
        all.push(heard.clone());
    });
    let (status, body) = script(heard).await;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
    let whole = format!("{head}content-type: application/json\r\nconnection: close\r\n\r\n{body}");
    tcp.write_all(whole.as_bytes()).await.unwrap();
}

/// Head and body of a message.
async fn read(tcp: &mut TcpStream) -> (String, String) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let n = tcp.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        if n == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return (head.to_owned(), body.to_owned());
        }
    }
}

/// A message of the peer to our door; the status and what it is answered with.
pub(crate) async fn say(url: &str, message: &Value) -> (u16, Value) {
    let who = json!({ "clientId": "edc", "region": "eu" }).to_string();
    ask("POST", url, &who, message.to_string()).await
}

async fn get(url: &str, token: &str) -> (u16, Value) {
    ask("GET", url, token, String::new()).await
}

pub(crate) async fn ask(method: &str, url: &str, who: &str, body: String) -> (u16, Value) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut tcp = TcpStream::connect(host).await.unwrap();
    let head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {who}\r\n");
    let length = body.len();
    let whole = format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    tcp.write_all(whole.as_bytes()).await.unwrap();
    let (head, body) = read(&mut tcp).await;
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// As it writes one: with an id, and with a context of its own beside that of the protocol.
pub(crate) fn message(kind: &str, members: Value) -> Value {
    let id = twinpact_node::ids::urn().unwrap();
    let mut message = json!({ "@context": [CONTEXT, OWN], "@type": kind, "@id": id });
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    message
}

/// Our node, to which the peer at that port is the connector `edc`.
pub(crate) async fn node(peer: u16) -> (Running, TempDir) {
    node_presuming(peer, "").await
}

pub(crate) async fn node_presuming(peer: u16, presumed: &str) -> (Running, TempDir) {
    let place = tempfile::tempdir().unwrap();
    open::init(&place.path().join("node"), &Did::new(OPERATOR).unwrap(), "Test").unwrap();
    let config = format!(
        "organisation = \"{OPERATOR}\"\nname = \"Test\"\n\n[connectors]\n\
         listen = \"127.0.0.1:{}\"\n\n[[connectors.peers]]\nid = \"edc\"\n\
         endpoint = \"http://127.0.0.1:{peer}/dsp/2025-1\"\n\
         data = [\"http://127.0.0.1:{peer}/public\"]\n{presumed}",
        free_port()
    );
    std::fs::write(place.path().join("node/twinpact.toml"), config).unwrap();
    (pair::start(&place.path().join("node")).await, place)
}

pub(crate) async fn until<T>(running: &Running, seen: impl Fn(&Fold) -> Option<T>) -> T {
    pair::found(&running.parts.node, seen).await
}

/// A policy as an EDC's processor writes it: right operands that are lists or IRIs become text, and
/// a typed value loses its type.
pub(crate) fn rewritten(value: &Value) -> Value {
    match value {
        Value::Array(all) => Value::Array(all.iter().map(rewritten).collect()),
        Value::Object(members) => {
            let written = |(name, value): (&String, &Value)| {
                let value = if name == "rightOperand" { operand(value) } else { rewritten(value) };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(written).collect())
        }
        other => other.clone(),
    }
}

fn operand(value: &Value) -> Value {
    let one = |value: &Value| value.get("@value").cloned().unwrap_or_else(|| value.clone());
    match value {
        Value::Array(all) if all.len() == 1 => one(&all[0]),
        Value::Array(all) => {
            let all: Vec<Value> = all.iter().map(|value| json!({ "@value": one(value) })).collect();
            Value::String(Value::Array(all).to_string())
        }
        Value::Object(members) if members.contains_key("@id") => Value::String(value.to_string()),
        other => one(other),
    }
}

/// An EDC that wants our data. It is not ready for what we send at first, and comes before it has
/// answered.
fn consumer(door: String) -> Script {
    Arc::new(move |heard| {
        let door = door.clone();
        Box::pin(async move {
            let pids = json!({
                "providerPid": heard.body["providerPid"], "consumerPid": heard.body["consumerPid"],
            });
            match (heard.what.as_str(), heard.before) {
                ("POST agreement" | "POST start", 0 | 1) | ("POST events", 0) => (409, Value::Null),
                ("POST agreement", _) => {
                    let pid = pids["providerPid"].as_str().unwrap().to_owned();
                    let url = format!("{door}/negotiations/{pid}/agreement/verification");
                    let early = message("ContractAgreementVerificationMessage", pids);
                    // A 4xx would be the end for it.
                    assert_eq!(say(&url, &early).await.0, 200);
                    (200, Value::Null)
                }
                _ => (200, Value::Null),
            }
        })
    })
}

/// We provide. It is not ready for our messages at first, and its answer to one comes before it has
/// answered. What we send is our own offer, whatever it has made of that.
#[tokio::test]
async fn an_edc_that_wants_our_data() {
    let port = free_port();
    let (running, _place) = node_presuming(port, PRESUMED).await;
    // A right operand that is a list.
    let bound = "            - leftOperand: http://www.w3.org/ns/odrl/2/purpose
              operator: isAnyOf
              rightOperand: [\"https://w3id.org/twinpact/purpose/PredictiveMaintenance\", \
                 \"https://w3id.org/twinpact/purpose/QualityAssurance\"]\n";
    pair::fill_bound(&running.parts.node, bound).await;
    let root = running.parts.node.connectors.endpoint().unwrap().to_owned();
    let peer = Peer::open(port, consumer(root.clone())).await;
    let asked = message("CatalogRequestMessage", json!({}));
    let (status, catalog) = say(&format!("{root}/catalog/request"), &asked).await;
    assert_eq!(status, 200, "{catalog}");
    let dataset = &catalog["dataset"][0];
    let ours = &dataset["hasPolicy"][0];
    let mut theirs = rewritten(ours);
    assert_ne!(&theirs, ours, "there is nothing to rewrite");
    theirs["target"] = dataset["@id"].clone();
    let request = message(
        "ContractRequestMessage",
        json!({
            "consumerPid": "urn:uuid:edc-1", "offer": theirs,
            "callbackAddress": format!("http://127.0.0.1:{}/dsp/2025-1", peer.port),
        }),
    );
    let (status, opened) = say(&format!("{root}/negotiations/request"), &request).await;
    assert_eq!(status, 201, "{opened}");
    until(&running, |fold| {
        let mut all = fold.processes.negotiations.values();
        let over = all.any(|one| one.state == State::Finalized);
        (over && fold.processes.outbox.is_empty()).then_some(())
    })
    .await;
    let agreements = peer.bodies("POST agreement");
    assert!(agreements.len() >= 3 && peer.bodies("POST events").len() >= 2);
    for sent in &agreements {
        assert_eq!(sent["agreement"]["permission"], ours["permission"], "{sent:#}");
        assert_eq!(sent["agreement"]["target"], dataset["@id"]);
    }
    // It came again after some 20 ms, and that is on record.
    let story = why::why(&running.parts.node, opened["providerPid"].as_str().unwrap()).unwrap();
    let first = story.steps.iter().find(|step| step.text.contains("attempt 1: status 409"));
    let first = &first.unwrap_or_else(|| panic!("{:?}", story.steps)).text;
    let again = first.rsplit("again after ").next().unwrap().split(' ').next().unwrap();
    assert!((16..=24).contains(&again.parse::<u32>().unwrap()), "{first}");
    let agreement = agreements[2]["agreement"]["@id"].as_str().unwrap();
    let data = data_address(&running, &peer, agreement).await;
    let named = |name: &str| data[&format!("https://w3id.org/edc/v0.0.1/ns/{name}")].clone();
    assert_eq!(named("authType"), "bearer");
    assert_eq!(named("endpointType"), "https://w3id.org/idsa/v4.1/HTTP");
    // As it comes, with no scheme before it.
    let (url, token) = (named("endpoint"), named("authorization"));
    let (status, delivery) = get(&url, &token).await;
    assert_eq!(status, 200, "{delivery}");
    assert_eq!(delivery["rows"].as_array().unwrap().len(), pair::ROWS);
    // It may have forgotten what it has taken: that comes again, the same to the letter.
    for (what, tries) in [("POST events", 2), ("POST start", 3)] {
        let sent = peer.hears(what, tries + 1).await;
        assert!(sent.windows(2).all(|two| two[0] == two[1]), "{sent:#?}");
    }
    completed(&running, &peer).await;
    refused(&running, &url, &token).await;
    running.stop().await;
}

/// Once it has said that it is done, what it was given for that is good for nothing.
async fn refused(running: &Running, url: &str, token: &str) {
    let node = &running.parts.node;
    let digest = to_hex(&TokenDigest::of(token).unwrap().0);
    let kept = |fold: &Fold| fold.processes.tokens.get(&digest).is_some();
    assert!(!node.partition.read(|fold, _| kept(fold)).unwrap());
    let decided = decisions::list(node, 10, None).unwrap();
    let given = receipts::list(node, 10, None).unwrap();
    let line = |one: &ReceiptLine| (one.partner.clone(), one.rows, one.level.clone());
    let expect = ("edc".to_owned(), pair::ROWS as u64, "unproven".to_owned());
    assert_eq!(given.iter().map(line).collect::<Vec<_>>(), [expect]);
    // It is no DID, so that no document can be for it; the decision is proven all the same.
    let unproven = receipts::export(node, &given[0].id).unwrap_err();
    assert_eq!(unproven.code.name, "receipt.unproven", "{unproven}");
    decisions::export(node, &given[0].decision).await.unwrap();
    for url in [url.to_owned(), format!("{url}/stream")] {
        let (status, said) = get(&url, token).await;
        assert_eq!((status, &said["code"]), (404, &json!("route.unknown")), "{url} {said}");
        assert!(said.get("rows").is_none(), "{said}");
    }
    assert_eq!(decisions::list(node, 10, None).unwrap(), decided);
    assert_eq!(receipts::list(node, 10, None).unwrap(), given);
}

/// It says that its transfer is done.
async fn completed(running: &Running, peer: &Peer) {
    let start = peer.bodies("POST start").pop().unwrap();
    let pid = start["providerPid"].as_str().unwrap();
    let members = json!({ "providerPid": pid, "consumerPid": start["consumerPid"] });
    let root = running.parts.node.connectors.endpoint().unwrap();
    let done = message("TransferCompletionMessage", members);
    let (status, said) = say(&format!("{root}/transfers/{pid}/completion"), &done).await;
    assert_eq!(status, 200, "{said}");
}

/// What our start, which it is not ready for twice, says of where the data are: by name.
async fn data_address(running: &Running, peer: &Peer, agreement: &str) -> BTreeMap<String, String> {
    let root = running.parts.node.connectors.endpoint().unwrap();
    let members = json!({
        "consumerPid": "urn:uuid:edc-3", "agreementId": agreement, "format": "HttpData-PULL",
        "callbackAddress": format!("http://127.0.0.1:{}/dsp/2025-1", peer.port),
    });
    let asked = message("TransferRequestMessage", members);
    let (status, said) = say(&format!("{root}/transfers/request"), &asked).await;
    assert_eq!(status, 201, "{said}");
    until(running, |fold| fold.processes.outbox.is_empty().then_some(())).await;
    let starts = peer.bodies("POST start");
    assert!(starts.len() >= 3);
    let properties = starts[2]["dataAddress"]["endpointProperties"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    properties.iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
}

/// Its offer: two purposes, in one constraint.
pub(crate) fn policy() -> Value {
    json!([{ "action": "use", "constraint": [{
        "leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["urn:one", "urn:two"],
    }] }])
}

/// Its catalogue, in which the same offer has another id each time.
fn catalog(base: &str, before: usize, offered: &Value) -> Value {
    let id = format!("b2ZmZXI6{before}");
    let offer = json!({ "@id": id, "@type": "Offer", "permission": offered });
    let service = json!({ "@id": "s", "@type": "DataService", "endpointURL": base });
    let way = json!({
        "@type": "Distribution", "format": "HttpData-PULL", "accessService": "s",
    });
    let dataset = json!({
        "@id": "asset-1", "@type": "Dataset", "hasPolicy": [offer], "distribution": [way],
    });
    let members = json!({ "participantId": "edc", "dataset": [dataset], "service": [service] });
    message("Catalog", members)
}

/// Where its data are: under full names.
fn address_of_data(port: u16) -> Value {
    let http = "https://w3id.org/idsa/v4.1/HTTP";
    let named = |name: &str, value: &str| {
        let name = format!("https://w3id.org/edc/v0.0.1/ns/{name}");
        json!({ "@type": "EndpointProperty", "name": name, "value": value })
    };
    let properties = [
        named("endpoint", &format!("http://127.0.0.1:{port}/public")),
        named("authType", "bearer"),
        named("endpointType", http),
        named("authorization", TOKEN),
    ];
    json!({ "@type": "DataAddress", "endpointType": http, "endpointProperties": properties })
}

/// Its agreement under that id and of that second.
pub(crate) fn agreement(id: &str, second: usize, agreed: &Value) -> Value {
    json!({ "@id": id, "@type": "Agreement", "target": "asset-1", "assigner": "edc",
        "assignee": OPERATOR, "timestamp": format!("2026-11-24T15:32:3{second}Z"),
        "permission": agreed })
}

/// The same that loses its own step when it refuses our verification as too early, as its family
/// did for years: it draws up the agreement once more, under another id, and knows that one alone.
fn forgetful(port: u16, door: String) -> Script {
    let usual = provider(port, policy());
    Arc::new(move |heard| {
        if (heard.what.as_str(), heard.before) != ("POST verification", 0) {
            return usual(heard);
        }
        let pid = heard.body["consumerPid"].as_str().unwrap();
        let url = format!("{door}/negotiations/{pid}/agreement");
        let anew = agreement("urn:uuid:anew", 9, &policy());
        let members = json!({ "providerPid": "urn:uuid:edc-2", "consumerPid": pid,
            "agreement": anew });
        Box::pin(async move {
            let told = say(&url, &message("ContractAgreementMessage", members)).await;
            assert_eq!(told.0, 200, "{}", told.1);
            (409, Value::Null)
        })
    })
}

/// An EDC that has data, and makes this agreement of whatever it is asked for. Its messages come
/// before it has answered ours.
pub(crate) fn provider(port: u16, agreed: Value) -> Script {
    provider_of(port, policy(), agreed)
}

/// The same that offers something else.
fn provider_of(port: u16, offered: Value, agreed: Value) -> Script {
    let base = format!("http://127.0.0.1:{port}/dsp/2025-1");
    Arc::new(move |heard| {
        let (offered, agreed, base) = (offered.clone(), agreed.clone(), base.clone());
        Box::pin(async move {
            let ours = heard.body["consumerPid"].as_str().unwrap_or_default().to_owned();
            let back = heard.body["callbackAddress"].as_str().unwrap_or_default().to_owned();
            let pids = json!({ "providerPid": "urn:uuid:edc-2", "consumerPid": ours });
            let with = |more: Value| {
                let mut members = pids.clone();
                members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                members
            };
            let kind = heard.body["@type"].as_str().unwrap_or_default().to_owned();
            match (heard.what.as_str(), kind.as_str()) {
                ("POST request", "CatalogRequestMessage") => {
                    (200, catalog(&base, heard.before, &offered))
                }
                ("POST request", "ContractRequestMessage") => {
                    let agreement = agreement("urn:uuid:agreed", 3, &agreed);
                    let early = with(json!({ "agreement": agreement }));
                    let url = format!("{back}/negotiations/{ours}/agreement");
                    let told = say(&url, &message("ContractAgreementMessage", early)).await;
                    assert_eq!(told.0, 200, "{}", told.1);
                    (200, message("ContractNegotiation", with(json!({ "state": "REQUESTED" }))))
                }
                // It has not stored the agreement that it has told us of.
                ("POST request", "TransferRequestMessage") if heard.before == 0 => {
                    let end = with(json!({ "code": "404", "reason": ["No agreement found"] }));
                    let url = format!("{back}/transfers/{ours}/termination");
                    let told = say(&url, &message("TransferTerminationMessage", end)).await;
                    assert_eq!(told.0, 200, "{}", told.1);
                    (200, message("TransferProcess", with(json!({ "state": "REQUESTED" }))))
                }
                ("POST request", "TransferRequestMessage") => {
                    let address = address_of_data(port);
                    let early = with(json!({ "dataAddress": address }));
                    let url = format!("{back}/transfers/{ours}/start");
                    let told = say(&url, &message("TransferStartMessage", early)).await;
                    assert_eq!(told.0, 200, "{}", told.1);
                    (200, message("TransferProcess", with(json!({ "state": "REQUESTED" }))))
                }
                ("GET public", _) if heard.authorization.as_deref() == Some(TOKEN) => {
                    (200, json!({ "rows": [1, 2, 3] }))
                }
                ("GET public", _) => (403, Value::Null),
                _ => (200, Value::Null),
            }
        })
    })
}

/// As it comes: no scheme before it, and no end in it.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJlZGMifQ.c2lnbmF0dXJl";

#[tokio::test]
async fn an_edc_that_has_data() {
    let mut text = policy();
    text[0]["constraint"][0]["rightOperand"] =
        "[{\"@value\":\"urn:one\"},{\"@value\":\"urn:two\"}]".into();
    for agreed in [policy(), text] {
        let port = free_port();
        let (running, _place) = node(port).await;
        let peer = Peer::open(port, provider(port, agreed)).await;
        let agreed = agreed_with(&running).await;
        assert_eq!(agreed.recognised, "word");
        let wanted = Fetch { agreement: agreed.id, push: false };
        let early = fetching::fetch(&running.parts.node, &wanted).await.unwrap_err();
        assert!(early.message.contains("No agreement found"), "{early}");
        let fetched = fetching::fetch(&running.parts.node, &wanted).await.unwrap();
        assert_eq!(fetched.text.as_deref(), Some("{\"rows\":[1,2,3]}"));
        assert_eq!(peer.bodies("POST verification").len(), 1);
        running.stop().await;
    }
}

/// What we are agreed on with an EDC that has data.
pub(crate) async fn agreed_with(running: &Running) -> AgreementLine {
    let ours = running.parts.node.clone();
    let asked = Negotiate {
        partner: "edc".to_owned(),
        dataset: Some("asset-1".to_owned()),
        another: false,
    };
    let negotiating = tokio::spawn(async move { consumer::negotiate(&ours, &asked).await });
    let pid = until(running, |fold| {
        let mut all = fold.processes.negotiations.values();
        let told = |one: &&Negotiation| one.post.unacknowledged.is_none();
        let verified = all.find(|one| one.state == State::Verified).filter(told);
        verified.map(|one| one.party.own_pid.clone())
    })
    .await;
    let door = running.parts.node.connectors.endpoint().unwrap();
    let finalized = message(
        "ContractNegotiationEventMessage",
        json!({ "providerPid": "urn:uuid:edc-2", "consumerPid": pid, "eventType": "FINALIZED" }),
    );
    let (status, said) = say(&format!("{door}/negotiations/{pid}/events"), &finalized).await;
    assert_eq!(status, 200, "{said}");
    negotiating.await.unwrap().unwrap()
}

/// The agreement that its provider knows is the one that we have, though another came first; and a
/// verification that comes too early comes again.
#[tokio::test]
async fn an_edc_that_draws_up_its_agreement_anew() {
    let port = free_port();
    let (running, _place) = node(port).await;
    let door = running.parts.node.connectors.endpoint().unwrap().to_owned();
    let peer = Peer::open(port, forgetful(port, door)).await;
    let agreed = agreed_with(&running).await;
    let wanted = Fetch { agreement: agreed.id, push: false };
    // The first is ended, as the usual one does.
    fetching::fetch(&running.parts.node, &wanted).await.unwrap_err();
    fetching::fetch(&running.parts.node, &wanted).await.unwrap();
    let asked = peer.bodies("POST request");
    let asked = asked.iter().filter(|body| body["@type"] == "TransferRequestMessage");
    let under: Vec<&Value> = asked.map(|body| &body["agreementId"]).collect();
    assert_eq!(under, ["urn:uuid:anew", "urn:uuid:anew"]);
    // The same one, since it says the same of both.
    let sent = peer.bodies("POST verification");
    assert_eq!((sent.len(), &sent[0]["@id"]), (2, &sent[1]["@id"]));
    running.stop().await;
}

/// It puts its own policy into the agreement, whatever it was asked for. One that means something
/// else is never verified.
#[tokio::test]
async fn an_edc_that_agrees_to_something_else() {
    let mut wider = policy();
    wider[0]["constraint"] = json!([]);
    let mut narrower = policy();
    narrower[0]["constraint"][0]["rightOperand"] = json!(["urn:one"]);
    let mut other = policy();
    other[0]["action"] = "modify".into();
    let another = "is another than was asked for";
    for (agreed, why) in [(wider, another), (narrower, another), (other, "unknown action")] {
        let port = free_port();
        let (running, _place) = node(port).await;
        let peer = Peer::open(port, provider(port, agreed.clone())).await;
        let asked = Negotiate {
            partner: "edc".to_owned(),
            dataset: Some("asset-1".to_owned()),
            another: false,
        };
        let refused = consumer::negotiate(&running.parts.node, &asked).await.unwrap_err();
        assert_eq!(refused.code.name, "exchange.refused", "{agreed}: {refused}");
        until(&running, |fold| fold.processes.outbox.is_empty().then_some(())).await;
        assert!(peer.bodies("POST verification").is_empty(), "{agreed}");
        let [end] = &peer.bodies("POST termination")[..] else { panic!("{agreed}") };
        assert!(end["reason"].to_string().contains(why), "{end}");
        running.stop().await;
    }
}

/// What we ask it for, as it wants it: it refuses an empty filter and an offer without a target,
/// and knows an offer by the id that it has given it last.
#[tokio::test]
async fn what_an_edc_is_asked_for_is_what_it_can_read() {
    let port = free_port();
    let (running, _place) = node(port).await;
    let peer = Peer::open(port, provider(port, policy())).await;
    let agreed = agreed_with(&running).await;
    let wanted = Fetch { agreement: agreed.id, push: false };
    fetching::fetch(&running.parts.node, &wanted).await.unwrap_err();
    fetching::fetch(&running.parts.node, &wanted).await.unwrap();
    let asked = peer.bodies("POST request");
    let of =
        |kind: &str| -> Vec<&Value> { asked.iter().filter(|body| body["@type"] == kind).collect() };
    let catalogues = of("CatalogRequestMessage");
    assert!(!catalogues.is_empty());
    for body in &catalogues {
        assert!(body.get("filter").is_none(), "{body}");
    }
    let [request] = of("ContractRequestMessage")[..] else { panic!("{asked:?}") };
    let offer = &request["offer"];
    assert_eq!((&offer["@type"], &offer["target"]), (&json!("Offer"), &json!("asset-1")));
    assert_eq!(offer["@id"], format!("b2ZmZXI6{}", catalogues.len() - 1));
    assert!(request.get("providerPid").is_none(), "{request}");
    let transfers = of("TransferRequestMessage");
    assert_eq!(transfers.len(), 2, "one that came too early, and one more");
    for body in &transfers {
        assert_eq!(body["agreementId"], "urn:uuid:agreed");
        assert_eq!(body["format"], "HttpData-PULL");
        assert!(body.get("dataAddress").is_none(), "{body}");
    }
    let here = format!("http://127.0.0.1:{port}/dsp/2025-1");
    for heard in peer.heard.borrow().iter().filter(|one| one.what.starts_with("POST")) {
        let body = &heard.body;
        // A context that it does not know is the end for it.
        assert_eq!(body["@context"], json!([CONTEXT]), "{body}");
        assert!(!body.to_string().contains("null"), "{body}");
        let claims = heard.authorization.as_deref().unwrap();
        let claims: Value = serde_json::from_str(claims).unwrap();
        assert!(claims["region"].is_string(), "{claims}");
        assert_eq!(
            (&claims["clientId"], &claims["audience"]),
            (&OPERATOR.into(), &here.clone().into())
        );
    }
    running.stop().await;
}

/// The ways in which a JSON-LD processor writes the name of an operator.
fn spellings(name: &str) -> [Value; 5] {
    let (prefixed, full) = (format!("odrl:{name}"), format!("http://www.w3.org/ns/odrl/2/{name}"));
    [
        name.into(),
        prefixed.into(),
        full.clone().into(),
        json!({ "@id": full }),
        json!([{ "@id": full }]),
    ]
}

/// The same with that operator in each constraint that has `isNoneOf`.
fn spelled(value: &Value, operator: &Value) -> Value {
    match value {
        Value::Array(all) => all.iter().map(|one| spelled(one, operator)).collect(),
        Value::Object(members) => {
            let written = |(name, value): (&String, &Value)| match name == "operator" {
                true if value == "isNoneOf" => (name.clone(), operator.clone()),
                _ => (name.clone(), spelled(value, operator)),
            };
            Value::Object(members.iter().map(written).collect())
        }
        other => other.clone(),
    }
}

/// An operator comes back in another spelling and is the same one. What the family's older context
/// makes of `neq` is none, and `neq` itself none that we could hold anybody to: neither is guessed.
#[tokio::test]
async fn an_edc_that_spells_our_operators_in_its_way() {
    let port = free_port();
    let (running, _place) = node_presuming(port, PRESUMED).await;
    let bound = "            - leftOperand: http://www.w3.org/ns/odrl/2/purpose
              operator: isNoneOf
              rightOperand: [\"https://w3id.org/twinpact/purpose/Benchmarking\"]\n";
    pair::fill_bound(&running.parts.node, bound).await;
    let root = running.parts.node.connectors.endpoint().unwrap().to_owned();
    let peer = Peer::open(port, consumer(root.clone())).await;
    let asked = message("CatalogRequestMessage", json!({}));
    let (_, catalog) = say(&format!("{root}/catalog/request"), &asked).await;
    let dataset = &catalog["dataset"][0];
    let ours = &dataset["hasPolicy"][0];
    let check = async |n: usize, operator: &Value, expect: bool| {
        let mut offer = spelled(ours, operator);
        offer["target"] = dataset["@id"].clone();
        let pid = format!("urn:uuid:edc-{n}");
        let callback = format!("http://127.0.0.1:{port}/dsp/2025-1");
        let members = json!({ "consumerPid": pid, "offer": offer, "callbackAddress": callback });
        let request = message("ContractRequestMessage", members);
        let (status, said) = say(&format!("{root}/negotiations/request"), &request).await;
        if !expect {
            assert_eq!((status, &said["code"]), (400, &json!("contract.term_unknown")), "{said}");
            assert!(said["reason"][0].as_str().unwrap().contains("operator"), "{said}");
            return;
        }
        assert_eq!(status, 201, "{operator}: {said}");
        let known = said["providerPid"].as_str().unwrap();
        let over = until(&running, |fold| {
            let one = &fold.processes.negotiations[known];
            (one.state.is_final() && one.post.unacknowledged.is_none()).then(|| one.clone())
        })
        .await;
        assert_eq!(over.state, State::Finalized, "{operator}: {:?}", over.ended);
        let mut sent = peer.bodies("POST agreement");
        sent.retain(|body| body["consumerPid"] == pid.as_str());
        let last = &sent.last().unwrap()["agreement"];
        assert_eq!(last["permission"], ours["permission"], "{operator}");
    };
    let good = spellings("isNoneOf");
    let bad = [spellings("neg"), spellings("neq")].concat();
    let rows = good.iter().map(|one| (one, true)).chain(bad.iter().map(|one| (one, false)));
    for (n, (operator, expect)) in rows.enumerate() {
        check(n, operator, expect).await;
    }
    let agreed = agreements::list(&running.parts.node, None).unwrap();
    assert_eq!(agreed.len(), good.len());
    running.stop().await;
}

/// The same the other way round: what is agreed comes in another spelling than what was offered.
#[tokio::test]
async fn an_edc_whose_agreement_spells_its_operators_in_another_way() {
    let mut offered = policy();
    offered[0]["constraint"][0]["operator"] = "isNoneOf".into();
    for operator in spellings("isNoneOf") {
        let port = free_port();
        let (running, _place) = node(port).await;
        let agreed = spelled(&offered, &operator);
        let peer = Peer::open(port, provider_of(port, offered.clone(), agreed)).await;
        agreed_with(&running).await;
        assert_eq!(peer.bodies("POST verification").len(), 1, "{operator}");
        running.stop().await;
    }
    for operator in [spellings("neg"), spellings("neq")].concat() {
        let port = free_port();
        let (running, _place) = node(port).await;
        let unread = spelled(&offered, &operator);
        let peer = Peer::open(port, provider_of(port, offered.clone(), unread.clone())).await;
        let asked = Negotiate { partner: "edc".into(), dataset: None, another: false };
        let refused = consumer::negotiate(&running.parts.node, &asked).await.unwrap_err();
        assert_eq!(refused.code.name, "exchange.refused", "{operator}: {refused}");
        assert!(peer.bodies("POST verification").is_empty(), "{operator}");
        running.stop().await;
    }
}

/// It refuses a request that it has not understood, in no form of the protocol: that is the end,
/// and it is not asked again.
#[tokio::test]
async fn an_edc_that_refuses_what_it_is_asked_for() {
    for body in [json!("Bad request."), json!("<html>Bad request.</html>"), Value::Null] {
        let port = free_port();
        let (running, _place) = node(port).await;
        let usual = provider(port, policy());
        let script: Script = Arc::new(move |heard| {
            if heard.body["@type"] != "ContractRequestMessage" {
                return usual(heard);
            }
            let body = body.clone();
            Box::pin(async move { (400, body) })
        });
        let peer = Peer::open(port, script).await;
        let asked = Negotiate { partner: "edc".into(), dataset: None, another: false };
        let refused = consumer::negotiate(&running.parts.node, &asked).await.unwrap_err();
        assert_eq!(refused.code.name, "exchange.refused", "{refused}");
        let mut sent = peer.bodies("POST request");
        sent.retain(|body| body["@type"] == "ContractRequestMessage");
        assert_eq!(sent.len(), 1, "{sent:?}");
        let over = until(&running, |fold| fold.processes.negotiations.values().next().cloned());
        assert_eq!(over.await.state, State::Terminated);
        running.stop().await;
    }
}
