//! A node from its start to its stop: what comes first, and what it leaves in its log.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use twinpact_gateway::Running;
use twinpact_gateway::places::Bounds;
use twinpact_model::Did;
use twinpact_node::{Node, NodeParts, PolicyClock, open, prove};

const DID: &str = "did:web:operator.example";

/// A new node with a federation listener.
fn init() -> (TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("node");
    open::init(&path, &Did::new(DID).unwrap(), "Operator").unwrap();
    configure(&path, "127.0.0.1:0", "127.0.0.1:0");
    (place, path)
}

fn configure(path: &Path, admin: &str, federation: &str) {
    let text = format!(
        "organisation = \"{DID}\"\nname = \"Operator\"\n\
         [admin]\nlisten = \"{admin}\"\n[federation]\nlisten = \"{federation}\"\n"
    );
    std::fs::write(path.join("twinpact.toml"), text).unwrap();
}

async fn opened(path: &Path) -> NodeParts {
    open::open(path, PolicyClock::System).await.unwrap()
}

/// When the newest entry of the log was recorded: every entry moves it.
fn newest(node: &Node) -> i64 {
    node.partition.read(|fold, _| fold.last_recorded()).unwrap()
}

/// What a write at the start would change.
fn traces(node: &Node) -> (i64, String) {
    (newest(node), prove::own_record(node).unwrap().to_json().canonical())
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_the_log_as_it_was() {
    let (_place, path) = init();
    opened(&path).await.stop();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    for (admin, federation) in [(taken.as_str(), "127.0.0.1:0"), ("127.0.0.1:0", &taken)] {
        configure(&path, admin, federation);
        let parts = opened(&path).await;
        let node = parts.node.clone();
        let before = traces(&node);
        let problem = Running::start(parts).await.err().unwrap();
        assert_eq!(problem.code.name, "config.port", "{problem}");
        assert!(problem.message.contains(&taken), "{problem}");
        assert_eq!(traces(&node), before);
    }
    // With its ports it says where it is reached, which is a write.
    configure(&path, "127.0.0.1:0", "127.0.0.1:0");
    let parts = opened(&path).await;
    let before = traces(&parts.node);
    let running = Running::start(parts).await.unwrap();
    assert_ne!(traces(&running.parts.node), before);
    running.stop().await;
}

#[tokio::test]
async fn a_driven_policy_clock_is_refused_beyond_loopback_before_anything_is_written() {
    let (_place, path) = init();
    opened(&path).await.stop();
    let before = {
        let parts = opened(&path).await;
        let before = traces(&parts.node);
        parts.stop();
        before
    };
    configure(&path, "127.0.0.1:0", "0.0.0.0:0");
    let problem = open::open(&path, PolicyClock::Driven).await.err().unwrap();
    assert_eq!(problem.code.name, "config.invalid");
    assert!(problem.message.contains("federation.listen is 0.0.0.0:0"), "{problem}");
    let parts = opened(&path).await;
    assert_eq!(traces(&parts.node), before);
    parts.stop();
    configure(&path, "0.0.0.0:0", "127.0.0.1:0");
    for clock in [PolicyClock::Driven, PolicyClock::System] {
        let problem = open::open(&path, clock).await.err().unwrap();
        assert_eq!(problem.code.name, "config.invalid");
    }
}

/// Somebody who does not even speak TLS; returns when it has been counted.
async fn knock(node: &Node, address: SocketAddr) {
    let mut counted = node.strangers.changes();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    counted.changed().await.unwrap();
}

#[tokio::test]
async fn strangers_become_an_entry_now_and_then_and_not_each_their_own() {
    let (_place, path) = init();
    let often = Duration::from_millis(10);
    let parts = opened(&path).await;
    let running = Running::start_within(parts, Bounds::default(), often).await.unwrap();
    let (node, address) = (running.parts.node.clone(), running.federation.unwrap());
    let (mut changes, before) = (node.partition.changes(), newest(&node));
    knock(&node, address).await;
    while newest(&node) == before {
        changes.changed().await.unwrap();
    }
    let tally = node.strangers.tally();
    assert_eq!((tally.total.sum(), tally.unlogged.sum()), (1, 0));
    // Nothing is left to say.
    let after = newest(&node);
    running.stop().await;
    assert_eq!(newest(&node), after);
}

#[tokio::test]
async fn a_clean_stop_logs_what_was_counted() {
    let (_place, path) = init();
    let running = Running::start(opened(&path).await).await.unwrap();
    let (node, address) = (running.parts.node.clone(), running.federation.unwrap());
    let before = newest(&node);
    for _ in 0..5 {
        knock(&node, address).await;
    }
    assert_eq!(node.strangers.tally().unlogged.sum(), 5);
    assert_eq!(newest(&node), before);
    running.stop().await;
    assert_eq!(node.strangers.tally().unlogged.sum(), 0);
    assert!(newest(&node) > before);
}
