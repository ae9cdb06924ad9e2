//! What a connector sends us because we asked for it: once, to who waits, and from who shows the
//! key of the address alone.

use crate::connectors::{PRESUMED, Strangers};
use crate::edc_like::{self, Heard, Peer, Script};
use crate::pair::{self, OPERATOR};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use twinpact_dsp::transfer::State;
use twinpact_gateway::Running;
use twinpact_gateway::federation::MAX_BODY_BYTES;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_identity::partners::Partners;
use twinpact_identity::tls::{Presented, system_clock};
use twinpact_model::problem::Problem;
use twinpact_node::api::{Fetch, Fetched};
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{ConnectorCall, Outbound};
use twinpact_node::{Node, fetching, why};
use twinpact_testkit::{free_port, readable};

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

/// A connector that was asked to send, and does by hand what it does.
struct Asked {
    maker: Running,
    place: TempDir,
    fetching: JoinHandle<Result<Fetched, Problem>>,
    to: String,
    key: String,
    pid: String,
}

impl Asked {
    async fn to_send() -> Asked {
        let both = Strangers::start(PRESUMED).await;
        let agreement = both.agreed().await;
        let root = both.operator.parts.node.connectors.root().unwrap().to_owned();
        let (maker, place) = both.operator_is_gone().await;
        // Somebody else is there now, and hears what it is asked for.
        let door = TcpListener::bind(root.strip_prefix("http://").unwrap()).await.unwrap();
        let (node, wanted) = (maker.parts.node.clone(), asked(&agreement));
        let fetching = tokio::spawn(async move { fetching::fetch(&node, &wanted).await });
        let request = hears(&door).await;
        assert_eq!(request["@type"], "TransferRequestMessage");
        assert_eq!(request["format"], "HttpData-PUSH");
        let address = &request["dataAddress"];
        let to = address["endpoint"].as_str().unwrap().to_owned();
        let said = |name: &str| {
            let all = address["endpointProperties"].as_array().unwrap();
            let of_name = |one: &&Value| one["name"].as_str().unwrap().ends_with(name);
            all.iter().find(of_name).unwrap()["value"].as_str().unwrap().to_owned()
        };
        let key = said("authorization");
        let named = [said("baseUrl"), said("authCode"), said("authKey")];
        assert_eq!(named, [to.clone(), key.clone(), "Authorization".to_owned()]);
        let pid = request["consumerPid"].as_str().unwrap().to_owned();
        Asked { maker, place, fetching, to, key, pid }
    }

    /// Says that the transfer has started, is completed, or is ended.
    async fn says(&self, name: &str, leaf: &str) {
        let root = self.maker.parts.node.connectors.root().unwrap();
        let message = json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": name,
            "providerPid": "urn:theirs", "consumerPid": self.pid,
        });
        let who = json!({ "clientId": OPERATOR }).to_string();
        let url = format!("{root}/dsp/transfers/{}/{leaf}", self.pid);
        let status = sends(&url, Some(&who), message.to_string().as_bytes()).await;
        assert_eq!(status, 200, "{name}");
    }

    async fn ended(self) -> Result<Fetched, Problem> {
        let fetched = self.fetching.await.unwrap();
        // Nobody waits any more.
        assert_eq!(sends(&self.to, Some(&self.key), b"late").await, 404);
        self.maker.stop().await;
        assert!(!is_in(self.place.path(), self.key.as_bytes()), "the key is on the disk");
        fetched
    }
}

/// Whether that is in any file below a directory.
fn is_in(dir: &Path, what: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|file| {
        let path = file.unwrap().path();
        match path.is_dir() {
            true => is_in(&path, what),
            false => std::fs::read(&path).unwrap().windows(what.len()).any(|some| some == what),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_takes_one_body_from_who_shows_its_key() {
    let asked = Asked::to_send().await;
    let (to, key) = (asked.to.as_str(), asked.key.as_str());
    let large = vec![b' '; MAX_BODY_BYTES + 1];
    let (bearer, other) = (format!("Bearer {key}"), key.replace(|c: char| c.is_ascii_digit(), "a"));
    let elsewhere = to.replace(&asked.pid, "urn:uuid:1");
    assert_ne!(elsewhere, to);
    for (place, key, body, status) in [
        (to, None, &b"forged"[..], 404),
        (to, Some(other.as_str()), b"forged", 404),
        (&*elsewhere, Some(key), b"forged", 404),
        (to, Some(key), &large, 413),
        // Before it has said that the transfer has started; and again, as our answer may be lost.
        (to, Some(&*bearer), b"the data", 200),
        (to, Some(key), b"the data", 200),
    ] {
        assert_eq!(sends(place, key, body).await, status, "{place} {key:?}");
    }
    asked.says("TransferStartMessage", "start").await;
    asked.says("TransferCompletionMessage", "completion").await;
    let pid = asked.pid.clone();
    let fetched = asked.ended().await.unwrap();
    assert_eq!((fetched.text.as_deref(), fetched.transfer), (Some("the data"), pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_all_is_an_error() {
    // More than one body.
    let asked = Asked::to_send().await;
    asked.says("TransferStartMessage", "start").await;
    assert_eq!(sends(&asked.to, Some(&asked.key), b"one").await, 200);
    assert!(sends(&asked.to, Some(&asked.key), b"two").await >= 400);
    asked.says("TransferCompletionMessage", "completion").await;
    let why = asked.ended().await.unwrap_err();
    assert!(why.message.contains("more than one body"), "{why}");
    // One, and an end that is none of a transfer that was done.
    let asked = Asked::to_send().await;
    asked.says("TransferStartMessage", "start").await;
    assert_eq!(sends(&asked.to, Some(&asked.key), b"half of it").await, 200);
    asked.says("TransferTerminationMessage", "termination").await;
    let why = asked.ended().await.unwrap_err();
    assert!(why.message.contains("the transfer ended"), "{why}");
    // None.
    let asked = Asked::to_send().await;
    asked.says("TransferStartMessage", "start").await;
    asked.says("TransferCompletionMessage", "completion").await;
    let why = asked.ended().await.unwrap_err();
    assert!(why.message.contains("nothing had come"), "{why}");
}

/// A connector that refuses the address to send to, and says it again: the key of it stands in no
/// story, in no error and nowhere in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_said_again_is_kept_nowhere() {
    for typed in [false, true] {
        let port = free_port();
        let (running, place) = edc_like::node_presuming(port, PRESUMED).await;
        let (node, usual) = (&running.parts.node, edc_like::provider(port, edc_like::policy()));
        let script: Script = Arc::new(move |heard: Heard| {
            if heard.body["@type"] != "TransferRequestMessage" {
                return usual(heard);
            }
            let mut said = heard.body.clone();
            if typed {
                said = json!({ "@context": said["@context"], "@type": "TransferError",
                    "code": "400", "reason": [said["dataAddress"].to_string()] });
            }
            Box::pin(async move { (400, said) })
        });
        let peer = Peer::open(port, script).await;
        let agreement = edc_like::agreed_with(&running).await.id;
        let problem = fetching::fetch(node, &asked(&agreement)).await.unwrap_err();
        let sent = peer.bodies("POST request");
        let key = |one: &Value| one["dataAddress"].to_string().contains("authorization");
        let address = sent.iter().find(|one| key(one)).unwrap()["dataAddress"].clone();
        let properties = address["endpointProperties"].as_array().unwrap();
        let found = properties.iter().find(|one| one["name"] == "authorization").unwrap();
        let key = found["value"].as_str().unwrap();
        let pid = node.partition.read(|fold, _| fold.processes.transfers.keys().next().cloned());
        let story =
            serde_json::to_string(&why::why(node, &pid.unwrap().unwrap()).unwrap()).unwrap();
        running.stop().await;
        let log = readable(&place.path().join("node"), OPERATOR).unwrap();
        assert!(story.contains("status 400"), "{story}");
        for text in [&problem.to_string(), &story, &log] {
            assert!(!text.contains(key), "{typed}: {text}");
        }
    }
}
