//! Messages that come together: each is answered as it would be alone, moves its own process and no
//! other, and nothing else comes in that way.

use crate::countersigning::{peer, until};
use crate::pair::{MAKER, OPERATOR, Pair, VIEW};
use serde_json::{Value, json};
use twinpact_gateway::Running;
use twinpact_node::Node;
use twinpact_node::door::{Asked, Door as _, Way};
use twinpact_node::egress::{Egress, Told};
use twinpact_node::fold::Fold;
use twinpact_node::messages::MESSAGES_PATH;

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// What a partner is answered: status and body.
async fn ask(node: &Node, path: &str, body: &Value) -> (u16, Value) {
    let asked = Asked {
        way: Way::Federation,
        peer: Some(peer(MAKER, node)),
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: None,
        bearer: None,
        assertion: None,
        checkpoint: None,
        last_event: None,
        accept_encoding: None,
        if_none_match: None,
        body: body.to_string().into_bytes(),
        fault: None,
    };
    let (status, text) = match node.answer(asked).await {
        Egress::Together(told) => (200, Told::written(&told)),
        Egress::Protocol { status, message } => {
            (status, message.map_or(String::new(), |message| message.to_text()))
        }
        Egress::Fault(fault) => (fault.status, fault.document.to_string()),
        _ => panic!("another kind of answer"),
    };
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    (status, body)
}

async fn listed(node: &Node, messages: &[(&str, Value)]) -> Vec<(u16, Value)> {
    let list = messages.iter().map(|(path, message)| json!({ "path": path, "message": message }));
    let (status, body) = ask(node, MESSAGES_PATH, &list.collect()).await;
    assert_eq!(status, 200, "{body}");
    let told = body.as_array().unwrap().iter();
    told.map(|one| (one["status"].as_u64().unwrap() as u16, one["body"].clone())).collect()
}

fn request(consumer_pid: &str, callback: &str) -> Value {
    let use_it = json!([{ "action": "use" }]);
    let offer = json!({ "@id": "urn:o", "@type": "Offer", "target": VIEW, "permission": use_it });
    json!({
        "@context": [CONTEXT], "@type": "ContractRequestMessage", "consumerPid": consumer_pid,
        "callbackAddress": callback, "offer": offer,
    })
}

fn negotiations(running: &Running) -> usize {
    let count = |node: &Node| node.partition.read(|fold, _| fold.processes.negotiations.len());
    count(&running.parts.node).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_answered_as_it_would_be_alone() {
    let (pair, _) = Pair::concluded().await;
    let node = pair.operator();
    let own = node.partition.read(|fold, _| {
        let ours = fold.processes.negotiations.values().next().unwrap();
        ours.party.own_pid.clone()
    });
    let own = own.unwrap();
    let ended = |pid: &str| {
        json!({
            "@context": [CONTEXT], "@type": "ContractNegotiationTerminationMessage",
            "providerPid": pid, "consumerPid": "urn:c", "code": "x", "reason": ["x"],
        })
    };
    let terminate = |pid: &str| format!("/dsp/negotiations/{pid}/termination");
    let (of_own, of_none) = (terminate(&own), terminate("urn:none"));
    let refused = [
        // Of nobody's process, of one with other ids, and one that is not for that place.
        (&*of_none, ended("urn:none")),
        (&*of_own, ended(&own)),
        ("/dsp/negotiations/request", ended("urn:none")),
        // What is no message, and what is missing in one.
        ("/dsp/negotiations/request", json!({})),
        ("/dsp/negotiations/request", json!([])),
        ("/dsp/negotiations/request", json!({ "@type": "ContractRequestMessage" })),
        ("/dsp/nothing", json!({})),
    ];
    let before = negotiations(&pair.operator);
    let together = listed(node, &refused).await;
    for ((path, message), told) in refused.iter().zip(&together) {
        assert_eq!(told, &ask(node, path, message).await, "{path} {message}");
        assert!(told.0 >= 400, "{path} {message}: {told:?}");
    }
    // There is more behind the door, and none of it can be had in a list.
    let catalog = json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage" });
    assert_eq!(ask(node, "/documents", &json!({})).await.0, 400);
    for (path, message) in [
        ("/dsp/catalog/request", catalog),
        (MESSAGES_PATH, json!([])),
        ("/documents", json!({})),
        ("/data/urn:p", json!({})),
        ("/.well-known/twinpact/organisation", json!({})),
        ("/log/seen", json!({})),
    ] {
        let told = listed(node, &[(path, message)]).await;
        assert_eq!((told[0].0, &told[0].1["code"]), (404, &json!("route.unknown")), "{path}");
    }
    assert_eq!(negotiations(&pair.operator), before);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_keeps_back_none_and_a_repeat_opens_nothing() {
    let (pair, _) = Pair::concluded().await;
    let node = pair.operator();
    let theirs = |fold: &Fold| fold.partners.get(MAKER).unwrap().record.dsp.clone();
    let callback = node.partition.read(|fold, _| theirs(fold)).unwrap();
    let place = "/dsp/negotiations/request";
    let before = negotiations(&pair.operator);
    let (one, two) = (request("urn:one", &callback), request("urn:two", &callback));
    let told = listed(
        node,
        &[
            (place, one.clone()),
            (place, json!({})),
            (place, two.clone()),
            (place, one.clone()),
            (place, request("urn:three", "https://elsewhere.example/dsp")),
        ],
    )
    .await;
    let statuses: Vec<u16> = told.iter().map(|told| told.0).collect();
    assert_eq!(statuses, [201, 400, 201, 201, 400], "{told:?}");
    assert_eq!(told[0].1["consumerPid"], "urn:one");
    let pids = |told: [&(u16, Value); 2]| told.map(|told| told.1["providerPid"].clone());
    let [one_pid, again_pid] = pids([&told[0], &told[3]]);
    assert_eq!(one_pid, again_pid);
    assert_eq!(told[2].1["consumerPid"], "urn:two");
    assert_eq!(negotiations(&pair.operator), before + 2);
    // All of it again, after a while: the same, and nothing new.
    let again = listed(node, &[(place, two), (place, one)]).await;
    assert_eq!(pids([&again[0], &again[1]]), pids([&told[2], &told[0]]));
    assert_eq!(negotiations(&pair.operator), before + 2);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_counts_as_a_request_and_too_many_change_nothing() {
    let (pair, _) = Pair::concluded().await;
    let node = pair.operator();
    let message = ("/dsp/nothing", json!({}));
    let list: Vec<Value> =
        (0..64).map(|_| json!({ "path": message.0, "message": message.1 })).collect();
    let list = Value::from(list);
    let mut answered = 0;
    let refused = loop {
        match ask(node, MESSAGES_PATH, &list).await {
            (200, _) => answered += 64,
            refused => break refused,
        }
    };
    assert_eq!((refused.0, &refused.1["code"]), (429, &json!("exchange.too_many")));
    // 2,000 at once, of which those that made the agreement have taken some.
    assert!((1_900..2_400).contains(&answered), "{answered}");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_many_processes_go_together() {
    let (pair, _) = Pair::concluded().await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let maker = pair.maker().clone();
        let partner = OPERATOR.to_owned();
        let asked = twinpact_node::api::Negotiate { partner, another: true, ..Default::default() };
        all.spawn(async move { twinpact_node::consumer::negotiate(&maker, &asked).await.unwrap() });
    }
    assert_eq!(all.join_all().await.len(), 24);
    let settled = |node: &Node| node.partition.read(|fold, _| fold.processes.outbox.is_empty());
    until(pair.maker(), |node| settled(node).unwrap()).await;
    let page = twinpact_node::metrics::page(pair.operator());
    let lists = page.lines().find(|line| line.contains("part=\"messages\""));
    assert!(lists.is_some_and(|line| line.contains("code=\"ok\"")), "none has come together");
    pair.stop().await;
}
