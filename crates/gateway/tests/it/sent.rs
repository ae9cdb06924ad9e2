//! What a connector sends us because we asked for it: once, to who waits, and from who shows the
//! key of the address alone.

use crate::connectors::{PRESUMED, Strangers};
use crate::pair;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use twinpact_dsp::transfer::State;
use twinpact_gateway::federation::MAX_BODY_BYTES;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_identity::partners::Partners;
use twinpact_identity::tls::{Presented, system_clock};
use twinpact_node::api::Fetch;
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{ConnectorCall, Outbound};
use twinpact_node::{Node, fetching};

fn asked(agreement: &str) -> Fetch {
    Fetch { agreement: agreement.to_owned(), push: true }
}

fn transfers(node: &Node) -> Vec<(String, State)> {
    let all = |fold: &Fold| {
        let known = fold.processes.transfers.values();
        known.map(|known| (known.format.clone(), known.state)).collect()
    };
    node.partition.read(|fold, _| all(fold)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_is_sent_and_the_transfer_completed() {
    let both = Strangers::start(PRESUMED).await;
    let (operator, maker) = (&both.operator.parts.node, &both.maker.parts.node);
    let agreement = both.agreed().await;
    for times in 1..=2 {
        let fetched = fetching::fetch(maker, &asked(&agreement)).await.unwrap();
        let text = fetched.text.unwrap();
        assert_eq!(text.matches("514.24").count(), pair::ROWS, "{text}");
        assert_eq!((fetched.bytes, &fetched.agreement), (text.len() as u64, &agreement));
        let over = vec![("HttpData-PUSH".to_owned(), State::Completed); times];
        assert_eq!(transfers(maker), over);
        pair::until(operator, |fold| {
            fold.processes.transfers.values().all(|known| known.state == State::Completed)
        })
        .await;
    }
    both.stop().await;
}

/// A connector that takes one request and answers it with nothing.
async fn hears(door: &TcpListener) -> Value {
    let (mut tcp, _) = door.accept().await.unwrap();
    let (mut came, mut some) = (Vec::new(), [0; 4_096]);
    loop {
        let count = tcp.read(&mut some).await.unwrap();
        came.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&came);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        if let Ok(message) = serde_json::from_str(body) {
            let answer = "HTTP/1.1 503 Later\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            tcp.write_all(answer.as_bytes()).await.unwrap();
            return message;
        }
    }
}

/// Sends a body there; the status.
async fn sends(to: &str, key: Option<&str>, body: &[u8]) -> u16 {
    let clock = system_clock();
    let way =
        HttpsOutbound::new(Presented::default(), Partners::default(), clock, Vec::new()).unwrap();
    let headers = key.map(|key| ("authorization", key.to_owned())).into_iter().collect();
    let call = ConnectorCall {
        participant: "P".to_owned(),
        method: "POST",
        url: to.to_owned(),
        headers,
        body: body.to_vec(),
        max_bytes: 4_096,
        over_tls: None,
    };
    way.connector(call).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_takes_one_body_from_who_shows_its_key() {
    let both = Strangers::start(PRESUMED).await;
    let agreement = both.agreed().await;
    let root = both.operator.parts.node.connectors.root().unwrap().to_owned();
    both.operator.stop().await;
    // Somebody else is there now, and hears what it is asked for.
    let door = TcpListener::bind(root.strip_prefix("http://").unwrap()).await.unwrap();
    let maker = both.maker.parts.node.clone();
    let wanted = asked(&agreement);
    let fetching = tokio::spawn(async move { fetching::fetch(&maker, &wanted).await });
    let request = hears(&door).await;
    assert_eq!(
        (&request["format"], &request["@type"]),
        (&"HttpData-PUSH".into(), &"TransferRequestMessage".into())
    );
    let address = &request["dataAddress"];
    let to = address["endpoint"].as_str().unwrap();
    let said = |name: &str| {
        let all = address["endpointProperties"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"].as_str().unwrap().ends_with(name)).unwrap();
        found["value"].as_str().unwrap().to_owned()
    };
    let key = said("authorization");
    assert_eq!(
        (said("baseUrl"), said("authCode"), said("authKey")),
        (to.to_owned(), key.clone(), "Authorization".to_owned())
    );
    let pid = request["consumerPid"].as_str().unwrap();
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    let (bearer, other) = (format!("Bearer {key}"), key.replace(|c: char| c.is_ascii_digit(), "a"));
    let elsewhere = to.replace(pid, "urn:uuid:1");
    assert_ne!(elsewhere, to);
    for (place, key, body, status) in [
        (to, None, &b"forged"[..], 404),
        (to, Some(other.as_str()), b"forged", 404),
        (&*elsewhere, Some(&*key), b"forged", 404),
        (to, Some(&*key), &large, 413),
        (to, Some(&*bearer), b"the data", 200),
        (to, Some(&*bearer), b"more", 404),
    ] {
        assert_eq!(sends(place, key, body).await, status, "{place} {key:?}");
    }
    let fetched = fetching.await.unwrap().unwrap();
    assert_eq!((fetched.text.as_deref(), fetched.transfer.as_str()), (Some("the data"), pid));
    // Nobody waits any more.
    assert_eq!(sends(to, Some(&key), b"late").await, 404);
    both.maker.stop().await;
}
