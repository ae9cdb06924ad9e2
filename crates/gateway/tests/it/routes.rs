//! All routes of both doors against a committed list: a route that is new, gone or open to others
//! shows up as a change of `golden/routes.txt`.

use crate::admin::{Office, filled};
use crate::parties::{Echo, base, friends, get};
use serde_json::Value;
use twinpact_dsp::Message;
use twinpact_dsp::message::CatalogRequest;
use twinpact_dsp::route::{Endpoint, Method, ROWS};
use twinpact_gateway::admin::ROUTES;
use twinpact_gateway::federation::PUBLIC_ROUTES;
use twinpact_identity::partners::PeerIdentity;
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_model::Did;
use twinpact_node::ask::{JOIN_PATH, ORGANISATION_PATH};
use twinpact_node::door::{Asked, Door as _, Way};
use twinpact_node::egress::Egress;
use twinpact_node::log_door::{LOG_ROUTES, WITNESS_KEY_PATH};
use twinpact_node::messages::MESSAGES_PATH;
use twinpact_node::outbound::Outbound as _;
use twinpact_node::processes::DOCUMENTS_PATH;

/// One route of the federation door.
struct Federated {
    method: &'static str,
    path: String,
    /// `partner` or `public`.
    who: &'static str,
    /// The kind of [`Egress`], apart from a fault.
    answers: &'static str,
}

/// Every route of the federation door.
fn federated() -> Vec<Federated> {
    let mut found: Vec<Federated> = PUBLIC_ROUTES
        .iter()
        .map(|(method, path)| Federated {
            method,
            path: (*path).to_owned(),
            who: "public",
            answers: "Public",
        })
        .collect();
    for row in ROWS {
        // The version document again, below the base address.
        found.push(Federated {
            method: if row.method == Method::Get { "GET" } else { "POST" },
            path: format!("/dsp{}", row.pattern.replace(":id", "{id}")),
            who: "partner",
            answers: match row.endpoint {
                Endpoint::Versions => "Public",
                Endpoint::Catalog | Endpoint::CatalogPart => "Catalog",
                _ => "Protocol",
            },
        });
    }
    let path = "/schemas/{view}".to_owned();
    found.push(Federated { method: "GET", path, who: "partner", answers: "Schema" });
    let path = ORGANISATION_PATH.to_owned();
    found.push(Federated { method: "POST", path, who: "partner", answers: "Protocol" });
    let path = "/data/{transfer}".to_owned();
    found.push(Federated { method: "GET", path, who: "partner", answers: "Permitted" });
    let path = "/data/{transfer}/stream".to_owned();
    found.push(Federated { method: "GET", path, who: "partner", answers: "Permitted" });
    let path = "/data/{transfer}/token".to_owned();
    found.push(Federated { method: "POST", path, who: "partner", answers: "Protocol" });
    let path = "/data/{transfer}".to_owned();
    found.push(Federated { method: "POST", path, who: "partner", answers: "Protocol" });
    let path = DOCUMENTS_PATH.to_owned();
    found.push(Federated { method: "POST", path, who: "partner", answers: "Protocol" });
    let path = MESSAGES_PATH.to_owned();
    found.push(Federated { method: "POST", path, who: "partner", answers: "Together" });
    for (method, path) in LOG_ROUTES {
        let path = (*path).to_owned();
        found.push(Federated { method, path, who: "partner", answers: "Log" });
    }
    found
}

#[test]
fn the_routes_are_those_of_the_golden_file() {
    let mut ours = String::new();
    for route in ROUTES {
        let (who, answers) = if route.token { ("token", "own-data") } else { ("public", "Public") };
        ours.push_str(&format!("admin {} {} {who} {answers}\n", route.method(), route.path));
    }
    for Federated { method, path, who, answers } in federated() {
        ours.push_str(&format!("federation {method} {path} {who} {answers}\n"));
    }
    let golden = include_str!("../golden/routes.txt");
    assert_eq!(ours, golden, "crates/gateway/tests/golden/routes.txt is to say:\n{ours}");
}

#[tokio::test]
async fn every_admin_route_is_there() {
    let office = Office::open().await;
    for route in ROUTES {
        let path = filled(route.path);
        let answer = office.ask(route.method(), &path, b"").await;
        if answer.status != 200 {
            assert_ne!(answer.code(), "route.unknown", "{} {path}", route.method());
        }
    }
    office.close().await;
}

/// The paths that the federation door's source names: another one would be a door beside the table.
#[test]
fn the_federation_door_names_no_other_path() {
    let source = include_str!("../../../node/src/ask.rs");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let texts = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let mut paths: Vec<&str> = texts.filter(|text| text.contains('/')).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths, [JOIN_PATH, ORGANISATION_PATH, "/data/", "/dsp", "/stream", "/token"]);
    assert!(source.contains("DOCUMENTS_PATH") && source.contains("log_door::answer"));
    assert!(source.contains("MESSAGES_PATH"));
    // Those about logs are one table.
    let source = include_str!("../../../node/src/log_door.rs");
    let (source, _tests) = source.split_once("#[cfg(test)]").unwrap();
    let texts = source.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
    assert!(texts.clone().count() == LOG_ROUTES.len());
    assert!(texts.into_iter().all(|text| LOG_ROUTES.iter().any(|(_, path)| *path == text)));
}

#[tokio::test]
async fn without_a_certificate_partners_routes_are_not_there() {
    let (a, b) = friends();
    let echo = Echo::default();
    let listener = b.listen(&echo).await;
    let caller = a.nameless(&[base(listener.address)]);
    let mut refused = None;
    for route in federated() {
        let path = route.path.replace("{id}", "urn:uuid:1").replace("{transfer}", "urn:uuid:1");
        let path = path.replace("{view}", "views/none/1.0.0");
        let mut call = get(&b, listener.address, &path);
        call.method = route.method;
        let reply = caller.call(call).await.unwrap();
        let expect = if route.who == "public" { 200 } else { 404 };
        assert_eq!(reply.status, expect, "{} {path}", route.method);
        let said: Value = serde_json::from_slice(&reply.body).unwrap();
        if expect == 404 && path.starts_with("/dsp/") {
            let kind = said["@type"].as_str().unwrap();
            assert!(kind.ends_with("Error") && said["code"] == "dsp.unknown", "{path} {said}");
        } else if expect == 404 {
            assert_eq!(refused.get_or_insert(reply.body.clone()), &reply.body, "{path}");
        }
    }
    // Only the public ones came through to the door.
    assert_eq!(echo.count(), PUBLIC_ROUTES.len());
    listener.stop().await;
}

/// A partner as the listener would have verified it.
fn partner(office: &Office) -> PeerIdentity {
    let did = Did::new("did:web:maker.example").unwrap();
    let trust_domain = TrustDomain::of_did(&did).unwrap();
    let spiffe_id = SpiffeId::of_node(&trust_domain, "node").unwrap();
    let not_after = office.node.clocks.wall();
    let (leaf_sha256, root_sha256) = ([1; 32], [2; 32]);
    PeerIdentity { did, trust_domain, spiffe_id, leaf_sha256, root_sha256, not_after }
}

/// What the node's own door answers, by kind; a fault with its sentence.
async fn kind(office: &Office, peer: Option<PeerIdentity>, method: &str, path: &str) -> String {
    let (method, path) = (method.to_owned(), path.to_owned());
    let (query, bearer, assertion, checkpoint) = (None, None, None, None);
    let (last_event, fault) = (None, None);
    let request = Message::CatalogRequest(CatalogRequest { id: None, filter: Vec::new() });
    let body = match (method.as_str(), path.ends_with("/catalog/request")) {
        ("POST", true) => request.to_json().to_string().into_bytes(),
        _ => Vec::new(),
    };
    let asked = Asked {
        way: Way::Federation,
        peer,
        method,
        path,
        query,
        bearer,
        assertion,
        checkpoint,
        last_event,
        accept_encoding: None,
        if_none_match: None,
        body,
        fault,
    };
    match office.node.answer(asked).await {
        Egress::Permitted(_) | Egress::Stream(_) => "Permitted".to_owned(),
        Egress::Protocol { .. } => "Protocol".to_owned(),
        Egress::Catalog(_) => "Catalog".to_owned(),
        Egress::Schema(_) => "Schema".to_owned(),
        Egress::Public(_) => "Public".to_owned(),
        Egress::Together(_) => "Together".to_owned(),
        Egress::Log(_) => "Log".to_owned(),
        Egress::Fault(fault) => format!("Fault: {}", fault.document["detail"]),
    }
}

#[tokio::test]
async fn every_federation_route_answers_in_its_kind() {
    let office = Office::open().await;
    let no_route = kind(&office, Some(partner(&office)), "GET", "/nothing").await;
    assert!(no_route.starts_with("Fault"), "{no_route}");
    for route in federated() {
        let path = route.path.replace("{id}", "urn:uuid:1").replace("{transfer}", "urn:uuid:1");
        let path = path.replace("{view}", "views/none/1.0.0");
        let what = format!("{} {path}", route.method);
        let got = kind(&office, Some(partner(&office)), route.method, &path).await;
        if route.path == JOIN_PATH {
            // Partners have nothing to join; of whoever is nobody it is read.
            let nameless = kind(&office, None, route.method, &path).await;
            assert_eq!((got, nameless.contains("no request to join")), (no_route.clone(), true));
            continue;
        }
        let unread = route.method == "POST" && route.path == ORGANISATION_PATH;
        let of_log = route.answers == "Log" && route.path != WITNESS_KEY_PATH;
        let unread = unread || route.answers == "Schema";
        let listed = [DOCUMENTS_PATH, MESSAGES_PATH].contains(&route.path.as_str());
        if route.path.starts_with("/data/") || listed || unread || of_log {
            // There is no agreement, view, record, query or body: the route is known, no more.
            assert!(got.starts_with("Fault") && got != no_route, "{what}: {got}");
        } else {
            assert_eq!(got, route.answers, "{what}");
        }
        // The node holds the line by itself, should a listener ever let a nameless one through.
        let nameless = kind(&office, None, route.method, &path).await;
        if route.answers != "Public" {
            assert_eq!(nameless, no_route, "{what}");
        }
        let other = if route.method == "GET" { "POST" } else { "DELETE" };
        let got = kind(&office, Some(partner(&office)), other, &path).await;
        let known = federated().iter().any(|r| r.method == other && r.path == route.path);
        assert!(known || got == no_route, "{other} {path}: {got}");
    }
    office.close().await;
}
