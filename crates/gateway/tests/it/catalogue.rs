//! The catalogue over the wire: parts and links, tags, gzip, filters, schemas; and a partner that
//! reads one in parts.

use crate::connectors::{PRESUMED, Strangers};
use crate::pair::{self, MAKER, OPERATOR, Pair};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpact_dsp::message::CatalogRequest;
use twinpact_dsp::{MAX_CATALOG_BYTES, Message};
use twinpact_node::api::Negotiate;
use twinpact_node::fold::Fold;
use twinpact_node::negotiations::{self, Wish};
use twinpact_node::{Node, consumer, contracts, found};

/// A request by hand of the maker's connector.
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a str,
    body: String,
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let none = Vec::new();
        let json = self.json();
        let datasets = json["dataset"].as_array().unwrap_or(&none);
        datasets.iter().map(|one| one["dct:title"].as_str().unwrap().to_owned()).collect()
    }

    /// The path of the link of that kind.
    fn link(&self, rel: &str) -> Option<String> {
        let rel = format!("rel=\"{rel}\"");
        let link = self.headers.get("link")?.split(", ").find(|link| link.ends_with(&rel))?;
        let address = link.strip_prefix('<')?.split_once('>')?.0;
        Some(path(address))
    }
}

/// Without scheme and host.
fn path(address: &str) -> String {
    format!("/{}", address.split('/').skip(3).collect::<Vec<_>>().join("/"))
}

async fn asked(both: &Strangers, ask: Ask<'_>) -> Answer {
    let root = both.operator.parts.node.connectors.root().unwrap();
    let mut tcp = TcpStream::connect(root.strip_prefix("http://").unwrap()).await.unwrap();
    let Ask { method, path, headers, body } = ask;
    let claims = json!({ "clientId": MAKER });
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nauthorization: {claims}\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        let all = headers.entry(name.to_lowercase()).or_default();
        all.push_str(if all.is_empty() { "" } else { ", " });
        all.push_str(value);
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}

async fn get(both: &Strangers, path: &str, headers: &str) -> Answer {
    asked(both, Ask { method: "GET", path, headers, body: String::new() }).await
}

async fn post(both: &Strangers, filter: Value, headers: &str) -> Answer {
    let filter = filter.as_array().unwrap().clone();
    let body = Message::CatalogRequest(CatalogRequest { id: None, filter }).to_json().to_string();
    asked(both, Ask { method: "POST", path: "/dsp/catalog/request", headers, body }).await
}

async fn publish(node: &Node, names: &[&str]) {
    for name in names {
        contracts::publish(node, pair::contract(name)).await.unwrap();
    }
}

/// An operator with five datasets, to a connector that uses its plain door.
async fn five() -> Strangers {
    let both = Strangers::start(PRESUMED).await;
    publish(&both.operator.parts.node, &["b", "d", "a", "c"]).await;
    both
}

const ALL: [&str; 5] = ["a", "b", "c", "d", "turbine-maintenance"];

#[tokio::test]
async fn links_lead_through_the_catalogue_and_back() {
    let both = five().await;
    let whole = post(&both, json!([]), "").await;
    assert_eq!((whole.status, whole.names()), (200, ALL.map(str::to_owned).to_vec()));
    assert_eq!((whole.link("next"), whole.link("previous")), (None, None));
    let two = json!([{ "@type": "QuerySpec", "offset": 1, "limit": 2 }]);
    let first = post(&both, two, "").await;
    assert_eq!(first.names(), ["b", "c"]);
    let second = get(&both, &first.link("next").unwrap(), "").await;
    assert_eq!((second.names(), second.link("next")), (vec!["d".into(), ALL[4].into()], None));
    let back = get(&both, &second.link("previous").unwrap(), "").await;
    assert_eq!((back.names(), &back.body), (first.names(), &first.body));
    let start = get(&both, &back.link("previous").unwrap(), "").await;
    assert_eq!((start.names(), start.link("previous")), (vec!["a".into()], None));
    // What a part leaves out of the datasets it leaves out of nothing else.
    for part in [first, second, back] {
        let Ok(Message::Catalog(catalog)) = Message::parse_bytes(&part.body) else {
            panic!("no catalogue")
        };
        assert_eq!(catalog.participant_id.as_deref(), Some(OPERATOR));
        assert_eq!(catalog.services.len(), 1);
    }
    both.stop().await;
}

#[tokio::test]
async fn a_part_that_is_known_is_not_sent_again() {
    let both = five().await;
    let limited = json!([{ "@type": "QuerySpec", "limit": 2 }]);
    let (whole, part) = (post(&both, json!([]), "").await, post(&both, limited, "").await);
    let again = async |answer: &Answer| {
        let tag = format!("if-none-match: \"x\", {}\r\n", answer.headers["etag"]);
        get(&both, &path(&answer.headers["content-location"]), &tag).await
    };
    for answer in [&whole, &part] {
        let unchanged = again(answer).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        assert_eq!(unchanged.headers["etag"], answer.headers["etag"]);
        let without = get(&both, &path(&answer.headers["content-location"]), "").await;
        assert_eq!((without.status, &without.body), (200, &answer.body));
    }
    publish(&both.operator.parts.node, &["e"]).await;
    // What is behind a part does not change it, but that something is.
    assert_eq!(again(&part).await.status, 304);
    let changed = again(&whole).await;
    assert_eq!((changed.status, changed.names().len()), (200, 6));
    assert_ne!(changed.headers["etag"], whole.headers["etag"]);
    both.stop().await;
}

/// Also after more was published, when what was there is not compressed again.
#[tokio::test]
async fn it_is_compressed_for_who_takes_that() {
    let both = five().await;
    for (filter, more) in [
        (json!([]), None),
        (json!([]), Some("bb")),
        (json!([]), Some("zz")),
        (json!([{ "@type": "QuerySpec", "limit": 3 }]), None),
    ] {
        publish(&both.operator.parts.node, more.as_slice()).await;
        let plain = post(&both, filter.clone(), "accept-encoding: br, gzip;q=0\r\n").await;
        assert_eq!(plain.headers.get("content-encoding"), None);
        for _ in 0..2 {
            let zipped =
                post(&both, filter.clone(), "accept-encoding: br;q=1\r\nAccept-Encoding: gzip\r\n");
            let zipped = zipped.await;
            assert_eq!(zipped.headers["content-encoding"], "gzip");
            assert_eq!(zipped.headers["vary"], "Accept-Encoding");
            assert_eq!(zipped.headers["etag"], plain.headers["etag"]);
            assert!(zipped.body.len() < plain.body.len());
            let mut body = Vec::new();
            GzDecoder::new(&zipped.body[..]).read_to_end(&mut body).unwrap();
            assert_eq!(body, plain.body);
        }
    }
    both.stop().await;
}

#[tokio::test]
async fn conditions_and_bad_requests() {
    let both = five().await;
    let condition = |left: &str, operator: &str, right: &str| {
        json!([{ "@type": "QuerySpec", "filterExpression":
            [{ "operandLeft": left, "operator": operator, "operandRight": right }] }])
    };
    let id = "https://operator.example/id/views/c/1.0.0";
    let one = post(&both, condition("https://w3id.org/edc/v0.0.1/ns/id", "=", id), "").await;
    assert_eq!(one.names(), ["c"]);
    let none = post(&both, condition("id", "=", "urn:x"), "").await;
    assert_eq!((none.status, none.json().get("dataset")), (200, None));
    for filter in [condition("size", "=", "1"), condition("id", "~", "1"), json!([{ "x": 1 }])] {
        let refused = post(&both, filter.clone(), "").await;
        assert_eq!(
            (refused.status, &refused.json()["@type"]),
            (400, &json!("CatalogError")),
            "{filter}"
        );
        assert_eq!(refused.json()["code"], "dsp.filter");
    }
    for query in ["page=", "page=%7B", "page=%zz", "x=1", "page=%7B%22limit%22%3A-1%7D"] {
        let refused = get(&both, &format!("/dsp/catalog/request?{query}"), "").await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!("dsp.filter")),
            "{query}"
        );
        assert_eq!(refused.json()["@type"], "CatalogError", "{query}");
    }
    both.stop().await;
}

#[tokio::test]
async fn a_dataset_says_where_its_schema_is() {
    let both = five().await;
    let id = "https:%2F%2Foperator.example%2Fid%2Fviews%2Fc%2F1.0.0";
    let dataset = get(&both, &format!("/dsp/catalog/datasets/{id}"), "").await;
    let address = dataset.json()["dct:conformsTo"][0]["@id"].as_str().unwrap().to_owned();
    let schema = get(&both, &path(&address), "").await;
    assert_eq!((schema.status, &schema.json()["$id"]), (200, &json!(address)));
    assert_eq!(schema.headers["content-type"], "application/schema+json");
    assert_eq!(schema.json()["prefixItems"][2]["title"], "power");
    // And what is delivered is what it says.
    let schema = get(&both, "/schemas/views/turbine-maintenance/1.0.0", "").await;
    let delivered = both.fetch(&both.agreed().await).await.unwrap().text.unwrap();
    let delivered: Value = serde_json::from_str(&delivered).unwrap();
    let valid = jsonschema::validator_for(&schema.json()).unwrap();
    let rows = delivered["rows"].as_array().unwrap();
    assert_eq!(rows.len(), pair::ROWS);
    for row in rows {
        assert!(valid.is_valid(row), "{row} {}", schema.json());
    }
    assert!(!valid.is_valid(&json!(["urn:turbine:a", "2015-07-21T05:00:00Z", "x", null, null])));
    let unknown = get(&both, "/schemas/views/c/1.0.1", "").await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("route.unknown")));
    both.stop().await;
}

#[tokio::test]
async fn a_dataset_of_many_is_negotiated_by_its_id() {
    let both = five().await;
    let maker = &both.maker.parts.node;
    assert_eq!(found::catalog(maker, OPERATOR).await.unwrap().len(), 5);
    let ask = |dataset: Option<&str>| Negotiate {
        partner: OPERATOR.to_owned(),
        dataset: dataset.map(str::to_owned),
        another: false,
    };
    let id = "https://operator.example/id/views/c/1.0.0";
    assert_eq!(consumer::negotiate(maker, &ask(Some(id))).await.unwrap().target, id);
    for (dataset, says) in [(None, "has several datasets"), (Some("urn:x"), "has no such dataset")]
    {
        let refused = consumer::negotiate(maker, &ask(dataset)).await.unwrap_err();
        assert!(refused.message.contains(says), "{refused:?}");
    }
    publish(&both.operator.parts.node, &["e", "f"]).await;
    let refused = consumer::negotiate(maker, &ask(None)).await.unwrap_err();
    assert!(refused.hint.unwrap().contains("and 2 more: twinpact catalog"));
    both.stop().await;
}

/// More than is sent in one answer: contracts with long lists of purposes.
#[tokio::test]
async fn what_is_larger_than_one_answer_comes_in_several() {
    let both = Strangers::start("").await;
    let operator = &both.operator.parts.node;
    let room = "x".repeat(1_000);
    let purposes: Vec<String> =
        (0..60).map(|n| format!("\"https://purposes.example/{room}/{n}\"")).collect();
    let known = "[\"https://w3id.org/twinpact/purpose/PredictiveMaintenance\"]";
    let mut sent = 0;
    for n in 0_usize.. {
        let contract = pair::contract(&format!("large-{n:03}"));
        assert!(contract.contains(known));
        let large = contract.replace(known, &format!("[{}]", purposes.join(",")));
        contracts::publish(operator, large).await.unwrap();
        sent += purposes.iter().map(String::len).sum::<usize>();
        if sent > MAX_CATALOG_BYTES {
            let all = found::catalog(&both.maker.parts.node, OPERATOR).await.unwrap();
            assert_eq!(all.len(), n + 2);
            break;
        }
    }
    let first = post(&both, json!([]), "").await;
    assert!(first.body.len() <= MAX_CATALOG_BYTES && first.link("next").is_some());
    both.stop().await;
}

/// The maker may know of `b`, and of `c` nobody.
const RULES: &str = "\n[[negotiation.contracts]]\nname = \"b\"\nonly = [\"did:web:maker.example\"]\n\
     [[negotiation.contracts]]\nname = \"c\"\nonly = [\"did:web:other.example\"]\n\
     [[negotiation.contracts]]\nname = \"d\"\nby_hand = true\n";

#[tokio::test]
async fn a_contract_that_is_not_for_somebody_is_not_there_for_it() {
    let both = Strangers::start(RULES).await;
    let (operator, maker) = (&both.operator.parts.node, &both.maker.parts.node);
    publish(operator, &["b", "c", "d"]).await;
    let shown = post(&both, json!([]), "").await;
    assert_eq!(shown.names(), ["b", "d", "turbine-maintenance"]);
    publish(operator, &["a"]).await;
    assert_eq!(post(&both, json!([]), "").await.names(), ["a", "b", "d", "turbine-maintenance"]);
    for (view, status) in [("b", 200), ("c", 404)] {
        let id = format!("https:%2F%2Foperator.example%2Fid%2Fviews%2F{view}%2F1.0.0");
        assert_eq!(get(&both, &format!("/dsp/catalog/datasets/{id}"), "").await.status, status);
        let schema = get(&both, &format!("/schemas/views/{view}/1.0.0"), "").await;
        assert_eq!(schema.status, status, "{view}");
    }
    // Who knows its offer from elsewhere gets no further.
    let hidden = operator.partition.read(|fold, _| {
        let contract = fold.contracts.get("https://operator.example/id/views/c/1.0.0").unwrap();
        contracts::offer(contract, "http://127.0.0.1/dsp")
    });
    let request = |offer: &str, target: &str| {
        json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "ContractRequestMessage",
            "consumerPid": "urn:uuid:1",
            "callbackAddress": maker.connectors.endpoint().unwrap(),
            "offer": { "@type": "Offer", "@id": offer, "target": target,
                "permission": [{ "action": "use" }] },
        })
        .to_string()
    };
    let hidden = hidden.unwrap();
    let body = request(&hidden.offer_id, &hidden.id);
    let ask = Ask { method: "POST", path: "/dsp/negotiations/request", headers: "", body };
    let refused = asked(&both, ask).await;
    let reason = refused.json()["reason"][0].as_str().unwrap_or_default().to_owned();
    let ended = operator.partition.read(|fold, _| {
        let mut all = fold.processes.negotiations.values();
        all.next().map(|one| (one.state.name(), one.ended.clone().unwrap().reason.join("")))
    });
    let said = ended.unwrap().map_or(reason, |(_, said)| said);
    assert!(said.contains("not in our catalogue"), "{said}");
    both.stop().await;
}

#[tokio::test]
async fn a_request_for_a_contract_that_is_decided_by_hand_waits() {
    let both = Strangers::start(RULES).await;
    let (operator, maker) = (both.operator.parts.node.clone(), both.maker.parts.node.clone());
    publish(&operator, &["d"]).await;
    let asking = tokio::spawn(async move {
        let dataset = Some("https://operator.example/id/views/d/1.0.0".to_owned());
        let asked = Negotiate { partner: OPERATOR.to_owned(), dataset, another: false };
        consumer::negotiate(&maker, &asked).await
    });
    let waits = |fold: &Fold| fold.processes.negotiations.len() == 1;
    pair::until(&operator, waits).await;
    let all = negotiations::list(&operator).unwrap();
    assert_eq!((&*all[0].state, &*all[0].turn), ("REQUESTED", "ours"));
    negotiations::decide(&operator, &all[0].pid, Wish::Accept).await.unwrap();
    assert!(asking.await.unwrap().is_ok());
    both.stop().await;
}

#[tokio::test]
async fn a_last_part_is_another_one_when_something_comes_behind_it() {
    let both = Strangers::start("").await;
    publish(&both.operator.parts.node, &["a"]).await;
    let two = json!([{ "@type": "QuerySpec", "limit": 2 }]);
    let last = post(&both, two.clone(), "").await;
    assert_eq!((last.names().len(), last.link("next")), (2, None));
    publish(&both.operator.parts.node, &["z"]).await;
    let tag = format!("if-none-match: {}\r\n", last.headers["etag"]);
    let again = get(&both, &path(&last.headers["content-location"]), &tag).await;
    assert_eq!((again.status, &again.names()), (200, &last.names()));
    assert!(again.link("next").is_some());
    both.stop().await;
}

#[tokio::test]
async fn partners_read_it_compressed_too() {
    let (pair, _) = Pair::concluded().await;
    publish(pair.operator(), &["a", "b", "c", "d"]).await;
    assert_eq!(found::catalog(pair.maker(), OPERATOR).await.unwrap().len(), 5);
    pair.stop().await;
}
