//! `/openapi.json`: against a committed file, against the routes, against the rules of OpenAPI 3.1,
//! and against what the doors really answer.

use crate::admin::{Answer, Office, send};
use crate::forged::{Assertion, channels};
use crate::negotiating::offered;
use crate::pair::{MAKER, OPERATOR, Pair, ROWS, VIEW, until, wanted};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use twinpact_dsp::Message;
use twinpact_gateway::admin::ROUTES;
use twinpact_gateway::federation::ASSERTION_HEADER;
use twinpact_gateway::{AdminListener, openapi};
use twinpact_model::entry::{Attribute, Kind};
use twinpact_node::api::Negotiate;
use twinpact_node::fold::Fold;
use twinpact_node::outbox::call;
use twinpact_node::processes::local;
use twinpact_node::{PolicyClock, consumer};
use twinpact_proof::evidence::Fork;
use twinpact_proof::note::Checkpoint;
use twinpact_proof::{SecretKey, to_hex};

#[test]
fn the_description_is_the_golden_file() {
    let golden = include_str!("../golden/openapi.json");
    if golden != openapi::text() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
        std::fs::write(&path, openapi::text()).unwrap();
        let path = path.display();
        panic!("crates/gateway/tests/golden/openapi.json is to be what stands in {path}");
    }
}

#[tokio::test]
async fn it_is_served_as_it_is() {
    let office = Office::open().await;
    let answer = office.ask("GET", "/openapi.json", b"").await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"));
    assert_eq!(answer.text(), openapi::text());
    office.close().await;
}

/// Every operation: method and path.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "servers" {
                found.push((method.to_ascii_uppercase(), path.clone(), operation));
            }
        }
    }
    found
}

#[test]
fn every_route_stands_in_it_and_nothing_else() {
    let document = openapi::document();
    let described: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let admin = ROUTES.iter().map(|route| (route.method(), route.path));
    // Those of the golden list of routes whose answers are data of a partner, and their token.
    let data = [
        ("GET", "/data/{transfer}"),
        ("GET", "/data/{transfer}/stream"),
        ("POST", "/data/{transfer}/token"),
    ];
    let routes: BTreeSet<(String, String)> =
        admin.chain(data).map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(described, routes);
    for route in ROUTES {
        let method = route.method().to_ascii_lowercase();
        let security = &document["paths"][route.path][method]["security"];
        assert_eq!(security.as_array().unwrap().is_empty(), !route.token, "{}", route.path);
    }
}

/// Every `$ref` below a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The rules of OpenAPI 3.1 that a description of this kind can break.
#[test]
fn names_and_references_fit_together() {
    let document = openapi::document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(reference.as_str()), "nothing uses {name}");
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
        assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{path}");
        assert!(method == "GET" || method == "POST");
        assert!(method == "POST" || operation.get("requestBody").is_none(), "{path}");
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        let in_path = parameters.iter().filter(|p| p["in"] == "path");
        let named: BTreeSet<&str> = in_path.map(|p| p["name"].as_str().unwrap()).collect();
        let braced: BTreeSet<&str> =
            path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named, braced, "{path}");
    }
}

/// A second opinion on the whole of the specification, where the tool is installed.
#[test]
fn an_independent_validator_takes_it() {
    const TOOL: &str = "openapi-spec-validator";
    let help = Command::new(TOOL).arg("--help").output();
    if !help.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: {TOOL} (Python) is not installed");
        return;
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openapi.json");
    let done = Command::new(TOOL).arg(golden).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

/// The description as a judge of bodies. In it our answers are open, so that a later release may
/// add members; here they are closed, so that no member of today is missing in it.
pub(crate) struct Judge {
    document: Value,
    judged: BTreeSet<String>,
}

impl Judge {
    pub(crate) fn new() -> Judge {
        let mut document = openapi::document();
        for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            schema["additionalProperties"] = json!(false);
        }
        Judge { document, judged: BTreeSet::new() }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        jsonschema::validator_for(&whole).unwrap()
    }

    fn hold(&self, schema: &Value, body: &Value, what: &str) {
        let validator = self.validator(schema);
        let said = validator.iter_errors(body).map(|e| format!("{e} at {}", e.instance_path()));
        let said: Vec<String> = said.collect();
        assert!(said.is_empty(), "{what}: {said:#?}\n{body:#}");
    }

    /// That the answer of a route is what the description says, and its JSON when it is some.
    fn take(&mut self, (method, path): (&str, &str), answer: &Answer) -> Value {
        let operation = &self.document["paths"][path][method.to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        let content = match answer.status {
            200 => &operation["responses"]["200"]["content"],
            _ => &self.document["components"]["responses"]["Refused"]["content"],
        };
        let media = answer.kind.split(';').next().unwrap();
        let schema = &content[media]["schema"];
        assert!(schema.is_object(), "{method} {path}: {media} is not in {content}");
        // A bundle is JSON too, of a form that has its own description.
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if media.ends_with("json") {
            self.hold(schema, &body, path);
        }
        if answer.status == 200 {
            self.judged.insert(format!("{method} {path}"));
        }
        body
    }
}

/// Asks a running node, and has the answer judged.
pub(crate) async fn ask(
    judge: &mut Judge,
    door: &AdminListener,
    (method, path): (&str, &str),
    filled: &str,
    body: &str,
) -> Value {
    let bearer = format!("Bearer {}", door.token);
    let answer = send(door.address, method, filled, Some(&bearer), body.as_bytes()).await;
    let expect = if path == "/clock" && method == "POST" { 409 } else { 200 };
    assert_eq!(answer.status, expect, "{method} {filled}: {}", answer.text());
    judge.take((method, path), &answer)
}

/// A path with that in place of its name in braces.
fn at(path: &str, id: &str) -> String {
    path.replace("{id}", id).replace("{did}", id).replace("{index}", id)
}

/// What is asked that changes something of the organisation's own: path, and body.
fn changes() -> Vec<(&'static str, String)> {
    let observation = |id: &str, twin: &str, power: &str| {
        let (twin, time) = (format!("urn:turbine:{twin}"), "2015-07-21T05:00:00Z");
        json!({ "id": id, "twin": twin, "time": time, "values": { "power": power } })
    };
    let link = json!({ "from": "urn:turbine:b", "predicate": "part-of", "to": "urn:turbine:a" });
    let batch = json!({
        "source": "urn:source:test",
        "model": "wind-turbine@1",
        // A correction, one that is new, and one that is refused.
        "observations": [
            observation("0", "a", "515"),
            observation("n", "b", "1"),
            observation("x", "b", "much"),
        ],
        "links": [link],
    });
    let model = include_str!("../../../../examples/wind/wind-turbine.toml");
    let contract = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");
    let clock = json!({ "policy": "2026-01-01T00:00:00Z" });
    vec![
        ("/models", model.to_owned()),
        ("/ingest", batch.to_string()),
        ("/links/retract", link.to_string()),
        ("/links", link.to_string()),
        ("/graph/walk", json!({ "twin": "urn:turbine:b" }).to_string()),
        ("/keys", "{}".to_owned()),
        ("/ca/reload", String::new()),
        ("/contracts", contract.replace("turbine-maintenance", "turbine-other")),
        ("/clock", clock.to_string()),
    ]
}

/// Reads: path, and what stands in place of its name in braces.
fn reads<'a>(agreement: &'a str, receipt: &'a str, decision: &'a str) -> Vec<(&'a str, &'a str)> {
    let open = ["/livez", "/readyz", "/version", "/metrics", "/openapi.json"];
    let lists = ["/models", "/twins", "/links", "/keys", "/contracts", "/agreements", "/partners"];
    let more = [
        "/receipts",
        "/decisions",
        "/invitations",
        "/strangers",
        "/clock",
        "/organisation",
        "/doctor",
        "/trust",
        "/incidents",
        "/erasures",
        "/kpis",
    ];
    let plain = open.into_iter().chain(lists).chain(more).map(|path| (path, ""));
    plain
        .chain([
            ("/twins/{id}", "urn:turbine:a"),
            ("/twins/{id}/history", "urn:turbine:a"),
            ("/events/{index}/proof", "2"),
            ("/agreements/{id}", agreement),
            ("/agreements/{id}/proof", agreement),
            ("/decisions/{id}/proof", decision),
            ("/receipts/{id}", receipt),
            ("/receipts/{id}/proof", receipt),
            ("/decisions/{id}", decision),
            ("/log", ""),
            ("/witness", ""),
        ])
        .collect()
}

/// What is said of logs: proofs of ours, and an alert about a partner's.
async fn of_logs(judge: &mut Judge, pair: &Pair) {
    let operator = &pair.operator.admin;
    for (path, query) in [("/log/inclusion", "tick=0"), ("/log/consistency", "old=1")] {
        ask(judge, operator, ("GET", path), &format!("{path}?{query}"), "").await;
    }
    let note = |root: u8| {
        let origin = "maker.example/twinpact/1".to_owned();
        Checkpoint { origin, size: 7, root: [root; 32] }.sign(&SecretKey::new(&[root; 32]))
    };
    let fork = Fork::of(&note(1), &note(2)).unwrap();
    let id = to_hex(&fork.id());
    let [first, second] = fork.notes();
    let what = [
        ("alert", id.as_str()),
        ("origin", "maker.example/twinpact/1"),
        ("grade", "proven"),
        ("first", first),
        ("second", second),
        ("source", "gossip"),
    ];
    let what = what.map(|(name, text)| Attribute::new(name, "text", text)).to_vec();
    let entry = local(Kind::Divergence, MAKER, what);
    pair.operator().partition.turn(move |turn| turn.log(vec![entry]).map(|_| ())).await.unwrap();
    let path = "/log/alerts/{id}";
    let shown = ask(judge, operator, ("GET", path), &at(path, &id), "").await;
    assert_eq!(shown["evidence"], fork.to_text());
}

/// All that has to do with a partner, up to its end.
async fn partners(judge: &mut Judge, pair: &Pair, agreement: &str) {
    let (operator, maker) = (&pair.operator.admin, &pair.maker.admin);
    let invite = json!({ "name": "maker" }).to_string();
    ask(judge, operator, ("POST", "/invitations"), "/invitations", &invite).await;
    let invited = ask(judge, maker, ("POST", "/invitations"), "/invitations", &invite).await;
    let join = json!({ "invitation": invited["invitation"] }).to_string();
    ask(judge, operator, ("POST", "/joins"), "/joins", &join).await;
    let list = ask(judge, operator, ("GET", "/invitations"), "/invitations", "").await;
    let path = "/invitations/{id}/withdraw";
    let withdraw = at(path, list[0]["id"].as_str().unwrap());
    ask(judge, operator, ("POST", path), &withdraw, "").await;
    let catalog = format!("/catalog?partner={OPERATOR}");
    let datasets = ask(judge, maker, ("GET", "/catalog"), &catalog, "").await;
    let wish = json!({ "partner": OPERATOR, "dataset": datasets[0]["id"] }).to_string();
    ask(judge, maker, ("POST", "/negotiations"), "/negotiations", &wish).await;
    let offer = json!({ "partner": MAKER, "dataset": datasets[0]["id"] }).to_string();
    let path = "/negotiations/offers";
    ask(judge, operator, ("POST", path), path, &offer).await;
    decide(judge, pair).await;
    take_over(judge, pair).await;
    let reason = json!({ "reason": "over" }).to_string();
    let path = "/agreements/{id}/revoke";
    ask(judge, operator, ("POST", path), &at(path, agreement), &reason).await;
    let record = ask(judge, maker, ("GET", "/organisation"), "/organisation", "").await;
    ask(judge, operator, ("POST", "/partners"), "/partners", &record.to_string()).await;
    let path = "/partners/{did}/remove";
    ask(judge, operator, ("POST", path), &at(path, MAKER), &reason).await;
}

/// Offers that wait for a person, and each of the answers.
async fn decide(judge: &mut Judge, pair: &Pair) {
    let maker = &pair.maker.admin;
    let path = "/negotiations/{id}";
    for (leaf, body) in [
        ("accept", Value::Null),
        ("counter", json!({ "policy": { "permission": [{ "action": "use" }] } })),
        ("terminate", json!({ "reason": "not now" })),
    ] {
        let pid = offered(pair).await;
        let list = ask(judge, maker, ("GET", "/negotiations"), "/negotiations", "").await;
        // The one before may have an answer meanwhile, and wait for us as well.
        let listed = list.as_array().unwrap().iter().find(|one| one["pid"] == *pid).unwrap();
        assert_eq!((&listed["turn"], &list[0]["turn"]), (&json!("ours"), &json!("ours")));
        ask(judge, maker, ("GET", path), &at(path, &pid), "").await;
        let why = "/processes/{id}/why";
        ask(judge, maker, ("GET", why), &at(why, &pid), "").await;
        let path = format!("{path}/{leaf}");
        ask(judge, maker, ("POST", &path), &at(&path, &pid), &body.to_string()).await;
        ask(judge, maker, ("GET", "/negotiations/{id}"), &at("/negotiations/{id}", &pid), "").await;
    }
}

/// Two transfers, and each decision of a person about them.
async fn take_over(judge: &mut Judge, pair: &Pair) {
    let (operator, path) = (&pair.operator.admin, "/transfers/{id}");
    let reason = json!({ "reason": "maintenance" }).to_string();
    let first = [("suspend", &*reason), ("resume", ""), ("complete", "")];
    for decisions in [first.as_slice(), &[("terminate", &*reason)]] {
        let dataset = Some(VIEW.to_owned());
        let asked = Negotiate { partner: OPERATOR.to_owned(), dataset, another: true };
        let agreed = consumer::negotiate(pair.maker(), &asked).await.unwrap();
        pair.pull(&agreed.id).await.unwrap();
        let list = ask(judge, operator, ("GET", "/transfers"), "/transfers", "").await;
        let newest = |one: &&Value| one["state"] == "STARTED";
        let pid = list.as_array().unwrap().iter().find(newest).unwrap()["pid"].clone();
        let pid = pid.as_str().unwrap();
        ask(judge, operator, ("GET", path), &at(path, pid), "").await;
        for (leaf, body) in decisions {
            let path = format!("{path}/{leaf}");
            ask(judge, operator, ("POST", &path), &at(&path, pid), body).await;
            until(pair.operator(), |fold| fold.processes.unacknowledged(pid).is_none()).await;
        }
    }
}

/// Incidents, and each answer to what they ask for.
async fn contain(judge: &mut Judge, pair: &Pair, agreement: &str, receipt: &str) {
    let (operator, maker) = (&pair.operator.admin, &pair.maker.admin);
    let contain = json!({
        "agreement": agreement,
        "twins": ["urn:turbine:a"],
        "measure": "inspect",
        "reason": "it may fail",
        "receipts": [receipt],
    });
    let open = json!({ "name": "loss", "story": {}, "containments": [contain] }).to_string();
    let by = json!({ "by": "me" }).to_string();
    for answers in [["confirm", "release"].as_slice(), &["refuse"]] {
        let opened = ask(judge, maker, ("POST", "/incidents"), "/incidents", &open).await;
        let path = "/incidents/{id}";
        let filled = at(path, opened["id"].as_str().unwrap());
        let known = |fold: &Fold| fold.incidents.knows(opened["id"].as_str().unwrap());
        until(pair.operator(), known).await;
        for answer in answers {
            let shown = ask(judge, operator, ("GET", path), &filled, "").await;
            let id = shown["containments"][0]["id"].as_str().unwrap();
            let path = format!("/containments/{{id}}/{answer}");
            ask(judge, operator, ("POST", &path), &at(&path, id), &by).await;
        }
        ask(judge, operator, ("GET", path), &filled, "").await;
    }
}

/// A stream that is followed, what comes of it, and its end.
async fn follow(judge: &mut Judge, pair: &Pair, agreement: &str) {
    let maker = &pair.maker.admin;
    let wish = wanted(agreement);
    let asked = json!({
        "agreement": agreement,
        "purpose": wish.purpose,
        "place": wish.place,
        "from_start": true,
    });
    let asked = asked.to_string();
    ask(judge, maker, ("POST", "/subscriptions"), "/subscriptions", &asked).await;
    let path = "/subscriptions/{id}/receipts";
    let came = ask(judge, maker, ("GET", path), &at(path, agreement), "").await;
    assert_eq!(came["receipts"].as_array().unwrap().len(), 1, "{came}");
    let copy = "/copies/{id}";
    let (purpose, place) = (wish.purpose.unwrap(), wish.place.unwrap());
    let name = came["receipts"][0].as_str().unwrap();
    let filled = format!("{}?purpose={purpose}&place={place}", at(copy, name));
    let read = ask(judge, maker, ("GET", copy), &filled, "").await;
    assert!(!read["rows"].as_array().unwrap().is_empty(), "{read}");
    ask(judge, maker, ("GET", "/subscriptions"), "/subscriptions", "").await;
    let digest = "0a".repeat(32);
    let signed = json!({ "agreement": agreement, "rule": digest, "state": digest }).to_string();
    ask(judge, maker, ("POST", "/learned"), "/learned", &signed).await;
    let path = "/subscriptions/{id}/end";
    ask(judge, maker, ("POST", path), &at(path, agreement), "").await;
}

/// Two nodes go through everything that the admin door can do, and each answer is judged.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_is_described() {
    let (pair, agreement) = Pair::concluded().await;
    let mut judge = Judge::new();
    let (operator, maker) = (&pair.operator.admin, &pair.maker.admin);
    let pull = serde_json::to_string(&wanted(&agreement)).unwrap();
    let pulled = ask(&mut judge, maker, ("POST", "/pulls"), "/pulls", &pull).await;
    assert_eq!(pulled["rows"], ROWS);
    let pushed = ask(&mut judge, maker, ("POST", "/pushes"), "/pushes", &pull).await;
    assert_eq!(pushed["rows"], ROWS);
    for (path, body) in changes() {
        ask(&mut judge, operator, ("POST", path), path, &body).await;
    }
    let copies = ask(&mut judge, maker, ("GET", "/copies"), "/copies", "").await;
    let wish = wanted(&agreement);
    let (purpose, place) = (wish.purpose.unwrap(), wish.place.unwrap());
    let name = copies[0]["receipt"].as_str().unwrap();
    let path = format!("/copies/{name}?purpose={purpose}&place={place}");
    ask(&mut judge, maker, ("GET", "/copies/{id}"), &path, "").await;
    of_logs(&mut judge, &pair).await;
    let decisions = ask(&mut judge, operator, ("GET", "/decisions"), "/decisions", "").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (receipt, decision) = (text(&pulled["receipts"][0]), text(&decisions[0]["id"]));
    for (path, id) in reads(&agreement, &receipt, &decision) {
        ask(&mut judge, operator, ("GET", path), &at(path, id), "").await;
    }
    contain(&mut judge, &pair, &agreement, &receipt).await;
    follow(&mut judge, &pair, &agreement).await;
    let erase = json!({ "twin": "urn:turbine:a", "basis": "asked for", "confirmed": true });
    let (path, erased) = ("/erasures/{twin}", "/erasures/urn:turbine:a");
    ask(&mut judge, operator, ("POST", "/erasures"), "/erasures", &erase.to_string()).await;
    ask(&mut judge, operator, ("GET", "/erasures"), "/erasures", "").await;
    ask(&mut judge, operator, ("GET", path), erased, "").await;
    partners(&mut judge, &pair, &agreement).await;
    // Every answer of the admin door was judged at least once; that of a driven clock is below,
    // that of a connector with the tests of connectors, and bytes are no JSON to be judged.
    let others = ["POST /clock", "POST /fetches", "GET /receipts/{id}/deletion"];
    for route in ROUTES {
        let what = format!("{} {}", route.method(), route.path);
        assert!(judge.judged.contains(&what) || others.contains(&what.as_str()), "{what}");
    }
    pair.stop().await;
}

/// A page as a partner gets it, and a refusal of one.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_what_is_described() {
    let (pair, agreement) = Pair::concluded().await;
    pair.pull(&agreement).await.unwrap();
    let maker = pair.maker();
    let (path, token) = channels(maker).remove(0);
    let url = format!("https://{}{path}", pair.operator.federation.unwrap());
    let judge = Judge::new();
    let responses = &judge.document["paths"]["/data/{transfer}"]["get"]["responses"];
    let delivery = responses["200"]["content"]["application/json"]["schema"].clone();
    let refused = judge.document["components"]["responses"]["Refused"]["content"].clone();
    let refused = &refused["application/problem+json"]["schema"];
    let signer = maker.signer();
    for (token, status, schema) in [(token.as_str(), 200, &delivery), ("no", 403, refused)] {
        let assertion = Assertion::good(&pair, &agreement).signed(signer.key());
        let authorization = ("authorization", format!("Bearer {token}"));
        let headers = vec![authorization, (ASSERTION_HEADER, assertion)];
        let reply =
            call(maker, OPERATOR, "GET", url.clone(), headers, Vec::new(), 1 << 20).await.unwrap();
        assert_eq!(reply.status, status);
        judge.hold(schema, &serde_json::from_slice(&reply.body).unwrap(), &path);
    }
    pair.stop().await;
}

#[tokio::test]
async fn the_answer_of_a_driven_clock_is_what_is_described() {
    let office = Office::open_by(PolicyClock::Driven).await;
    let mut judge = Judge::new();
    let clock = json!({ "policy": "2031-01-01T00:00:00Z" }).to_string();
    let answer = office.ask("POST", "/clock", clock.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    judge.take(("POST", "/clock"), &answer);
    assert!(judge.judged.contains("POST /clock"));
    office.close().await;
}

/// A fresh token is a message of the Dataspace Protocol with an address of the profile.
#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_is_what_is_described() {
    let (pair, agreement) = Pair::concluded().await;
    pair.pull(&agreement).await.unwrap();
    let maker = pair.maker();
    let (path, _) = channels(maker).remove(0);
    let url = format!("https://{}{path}/token", pair.operator.federation.unwrap());
    let reply = call(maker, OPERATOR, "POST", url, Vec::new(), Vec::new(), 1 << 20).await.unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let judge = Judge::new();
    let responses = &judge.document["paths"]["/data/{transfer}/token"]["post"]["responses"];
    let schema = responses["200"]["content"]["application/json"]["schema"].clone();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    judge.hold(&schema, &body, &path);
    let start = Message::parse_bytes(&reply.body).unwrap();
    assert!(matches!(start, Message::TransferStart(_)), "{body:#}");
    let Message::TransferStart(start) = start else { return };
    assert!(start.data_address.unwrap().property("authorization").is_some());
    pair.stop().await;
}

#[tokio::test]
async fn refusals_are_described_too() {
    let office = Office::open().await;
    let mut judge = Judge::new();
    for (method, path, filled) in [
        ("GET", "/twins/{id}", "/twins/urn:nothing"),
        ("POST", "/ingest", "/ingest"),
        ("POST", "/pulls", "/pulls"),
        ("GET", "/decisions", "/decisions?limit=x"),
    ] {
        let answer = office.ask(method, filled, b"?").await;
        assert_ne!(answer.status, 200, "{filled}");
        judge.take((method, path), &answer);
    }
    office.close().await;
}
