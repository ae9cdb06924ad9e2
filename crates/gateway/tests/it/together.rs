//! Messages that come together: each is answered as it would be alone, moves its own process and no
//! other, and nothing else comes in that way.

use crate::countersigning::{peer, until};
use crate::pair::{MAKER, OPERATOR, Pair, VIEW};
use serde_json::{Value, json};
use twinpact_gateway::Running;
use twinpact_node::Node;
use twinpact_node::door::{Asked, Door as _};
use twinpact_node::egress::{Egress, Told};
use twinpact_node::fold::Fold;
use twinpact_node::messages::MESSAGES_PATH;

const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// What a partner is answered: status and body.
async fn ask(node: &Node, path: &str, body: &Value) -> (u16, Value) {
    let asked = Asked::posted(Some(peer(MAKER, node)), path, body.to_string().into_bytes());
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

fn callback(node: &Node) -> String {
    let theirs = |fold: &Fold| fold.partners.get(MAKER).unwrap().record.dsp.clone();
    node.partition.read(|fold, _| theirs(fold)).unwrap()
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
    let callback = callback(node);
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
    // A step of one that is there: in a list and alone.
    let ends = |told: &(u16, Value), consumer: &str| {
        let pid = told.1["providerPid"].as_str().unwrap().to_owned();
        let message = json!({
            "@context": [CONTEXT], "@type": "ContractNegotiationTerminationMessage",
            "providerPid": pid, "consumerPid": consumer, "code": "x", "reason": ["x"],
        });
        (format!("/dsp/negotiations/{pid}/termination"), message)
    };
    let ((first, ends_first), (second, ends_second)) =
        (ends(&told[0], "urn:one"), ends(&told[2], "urn:two"));
    let in_list = listed(node, &[(&*first, ends_first)]).await;
    let alone = ask(node, &second, &ends_second).await;
    assert_eq!((in_list[0].clone(), alone), ((200, Value::Null), (200, Value::Null)));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_counts_as_a_request_and_what_is_too_much_changes_nothing() {
    let (pair, _) = Pair::concluded().await;
    let node = pair.operator();
    let nothing = vec![("/dsp/nothing", json!({})); 64];
    let mut taken = 0;
    let last = loop {
        let told = listed(node, &nothing).await;
        taken += told.iter().filter(|(status, _)| *status == 404).count();
        if told.iter().any(|(status, _)| *status == 429) {
            break told;
        }
    };
    // What there is left is given to the first of a list, as it would be to them alone; some may
    // come back on the way.
    let statuses: Vec<u16> = last.iter().map(|told| told.0).collect();
    assert_eq!(statuses[0], 404, "{statuses:?}");
    // 2,000 at once, of which those that made the agreement have taken some.
    assert!((1_900..2_400).contains(&taken), "{taken}");
    let page = twinpact_node::metrics::page(node);
    let beyond = page.lines().find(|line| line.contains("code=\"exchange.too_many\""));
    assert!(beyond.is_some_and(|line| line.contains("part=\"other\"")), "{beyond:?}");
    let callback = callback(node);
    let before = negotiations(&pair.operator);
    let place = "/dsp/negotiations/request";
    let asks: Vec<_> = (0..64).map(|n| (place, request(&format!("urn:{n}"), &callback))).collect();
    let list = asks.iter().map(|(path, message)| json!({ "path": path, "message": message }));
    let (status, told) = ask(node, MESSAGES_PATH, &list.collect()).await;
    let refused = match status {
        // A request has come back meanwhile, and some more.
        200 => told.as_array().unwrap().iter().filter(|one| one["status"] == 429).count(),
        _ => 64,
    };
    assert!(refused > 0, "{told}");
    assert_eq!(negotiations(&pair.operator), before + 64 - refused);
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
    // Each has arrived the first time.
    let pids = pair
        .maker()
        .partition
        .read(|fold, _| fold.processes.negotiations.keys().cloned().collect::<Vec<String>>());
    for pid in pids.unwrap() {
        let story = twinpact_node::why::why(pair.maker(), &pid).unwrap();
        let failed = story.steps.iter().find(|step| step.text.contains("attempt"));
        assert!(failed.is_none(), "{failed:?}");
        // What is on record of many at once is in the story of each: request and verification.
        let delivered = story.steps.iter().filter(|step| step.what == "delivered").count();
        assert_eq!((story.state, delivered), ("FINALIZED".to_owned(), 2));
    }
    pair.stop().await;
}
