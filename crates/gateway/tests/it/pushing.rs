//! `HttpData-PUSH`: a partner sends a view to us, and what it sends is stored as what we fetch is;
//! and whoever speaks the protocol names an address of its own, at which each delivery is decided.

use crate::connectors::{PRESUMED, Strangers};
use crate::pair::{self, OPERATOR, Pair, ROWS, until, wanted};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use twinpact_dsp::Effect;
use twinpact_dsp::message::DataAddress;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::{self, State, Transfer};
use twinpact_model::codes;
use twinpact_node::fold::Fold;
use twinpact_node::formats::{PUSH, STREAM};
use twinpact_node::negotiate::opened_transfer;
use twinpact_node::transfers::{self as kept, Wish};
use twinpact_node::{Node, agreements, ids, pushed};
use twinpact_testkit::free_port;

#[tokio::test]
async fn a_partner_sends_a_view_and_it_is_stored_with_its_proofs() {
    let (pair, agreement) = Pair::concluded().await;
    for round in 1..=2 {
        let came = pushed::ask(pair.maker(), &wanted(&agreement)).await.unwrap();
        assert_eq!((came.rows, came.receipts.len(), &*came.level), (ROWS, 1, "countersigned"));
        // A pull in between continues the same history, and so does the next that is sent.
        assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
        let kept = pair.maker().partition.read(|fold, _| fold.copies.iter().count()).unwrap();
        assert_eq!(kept, round * 2);
    }
    let over = |fold: &Fold| {
        let mut all = fold.processes.transfers.values().filter(|t| t.format == PUSH);
        all.all(|t| t.state == State::Completed && t.post.unacknowledged.is_none())
    };
    until(pair.operator(), over).await;
    pair.stop().await;
}

#[tokio::test]
async fn what_comes_at_once_under_one_agreement_comes_one_after_the_other() {
    let (pair, agreement) = Pair::concluded().await;
    let wish = wanted(&agreement);
    let (one, two, three) = tokio::join!(
        pushed::ask(pair.maker(), &wish),
        pair.pull(&agreement),
        pushed::ask(pair.maker(), &wish),
    );
    for came in [one, two, three] {
        assert_eq!(came.unwrap().rows, ROWS);
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_comes_twice_because_an_answer_was_lost_is_taken_once() {
    let (pair, agreement) = Pair::losing().await;
    let came = pushed::ask(pair.maker(), &wanted(&agreement)).await.unwrap();
    assert_eq!((came.rows, came.receipts.len()), (ROWS, 1));
    let kept = pair.maker().partition.read(|fold, _| fold.copies.iter().count()).unwrap();
    assert_eq!(kept, 1);
    // Nobody has taken the other for somebody who shows two histories.
    let alerts = pair.maker().partition.read(|fold, _| fold.divergences.iter().count()).unwrap();
    assert_eq!(alerts, 0);
    pair.stop().await;
}

#[tokio::test]
async fn many_rows_come_in_several_deliveries() {
    let (pair, agreement) = Pair::concluded().await;
    let rows: Vec<(usize, String)> = (ROWS..3_500).map(|n| (n, "514.24".to_owned())).collect();
    for batch in rows.chunks(1_000) {
        pair::ingest(pair.operator(), batch).await;
    }
    let came = pushed::ask(pair.maker(), &wanted(&agreement)).await.unwrap();
    assert_eq!((came.rows, came.receipts.len()), (3_500, 4));
    pair.stop().await;
}

#[tokio::test]
async fn what_is_not_permitted_is_not_sent_and_says_why() {
    let (pair, agreement) = Pair::concluded().await;
    let mut other = wanted(&agreement);
    other.purpose = Some("https://w3id.org/twinpact/purpose/Benchmarking".to_owned());
    let refused = pushed::ask(pair.maker(), &other).await.unwrap_err();
    assert!(refused.message.contains("the purpose is benchmarking"), "{refused:?}");
    agreements::revoke(pair.operator(), &agreement, "over").await.unwrap();
    let refused = pushed::ask(pair.maker(), &wanted(&agreement)).await.unwrap_err();
    assert_eq!(refused.code, codes::POLICY_REVOKED);
    let copies = pair.maker().partition.read(|fold, _| fold.copies.iter().count()).unwrap();
    assert_eq!(copies, 0);
    pair.stop().await;
}

/// A sink for what is sent, which answers with a status.
struct Sink {
    port: u16,
    status: Arc<AtomicU16>,
    came: Arc<std::sync::Mutex<Vec<(String, Value)>>>,
    count: watch::Sender<usize>,
}

impl Sink {
    async fn open() -> Sink {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let sink = Sink {
            port,
            status: Arc::new(AtomicU16::new(204)),
            came: Arc::default(),
            count: watch::Sender::new(0),
        };
        let (status, came, count) =
            (Arc::clone(&sink.status), Arc::clone(&sink.came), sink.count.clone());
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
                let body = loop {
                    let n = tcp.read(&mut piece).await.unwrap();
                    bytes.extend_from_slice(&piece[..n]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let lower = head.to_lowercase();
                    let length = lower.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.lines().next().unwrap().parse().unwrap();
                    if body.len() >= length {
                        break (head.to_owned(), serde_json::from_str(body).unwrap());
                    }
                };
                count.send_modify(|count| *count += 1);
                let status = status.load(Ordering::SeqCst);
                if status < 300 {
                    came.lock().unwrap().push(body);
                }
                let answer = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n\r\n");
                tcp.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        sink
    }

    fn address(&self, path: &str) -> DataAddress {
        DataAddress {
            endpoint_type: "https://w3id.org/idsa/v4.1/HTTP".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{}{path}", self.port)),
            properties: vec![("authorization".to_owned(), "key-of-the-sink".to_owned())],
        }
    }
}

/// The maker's connector asks for a transfer of that format; our id of it.
async fn asked(both: &Strangers, agreement: &str, what: (&str, Option<DataAddress>)) -> String {
    let maker = &both.maker.parts.node;
    let at_id = agreements::show(maker, agreement, None).unwrap().at_id;
    let (pid, us, theirs) = (ids::urn().unwrap(), root(maker), root(&both.operator.parts.node));
    let opening = Opening { own_pid: &pid, peer: OPERATOR, address: &theirs, callback: &us };
    let (now, (format, address)) = (maker.clocks.wall(), what);
    let step = transfer::open_as_consumer(opening, &at_id, format, address, now).unwrap();
    for effect in &step.effects {
        if let Effect::Send(out) = effect {
            maker.secrets.keep_message(&out.message, now);
        }
    }
    let entries = opened_transfer(&step).unwrap();
    maker.partition.turn(move |turn| turn.log(entries).map(|_| ())).await.unwrap();
    pid
}

/// How a transfer ends, at the maker.
async fn ended(both: &Strangers, pid: &str) -> Transfer {
    let maker = &both.maker.parts.node;
    until(maker, |fold| fold.processes.transfers[pid].state.is_final()).await;
    maker.partition.read(|fold, _| fold.processes.transfers[pid].clone()).unwrap()
}

async fn sent(both: &Strangers, agreement: &str, address: Option<DataAddress>) -> Transfer {
    ended(both, &asked(both, agreement, (PUSH, address)).await).await
}

fn root(node: &Node) -> String {
    node.connectors.endpoint().unwrap().to_owned()
}

fn why(transfer: &Transfer) -> String {
    transfer.ended.as_ref().map_or(String::new(), |ended| ended.reason.join("; "))
}

#[tokio::test]
async fn a_connector_has_it_sent_to_an_address_of_its_own() {
    let sink = Sink::open().await;
    let both = Strangers::start_with(PRESUMED, &format!("http://127.0.0.1:{}/in", sink.port)).await;
    let agreement = both.agreed().await;
    let over = sent(&both, &agreement, Some(sink.address("/in/box"))).await;
    assert_eq!(over.state, State::Completed, "{}", why(&over));
    let came = std::mem::take(&mut *sink.came.lock().unwrap());
    let [(head, body)] = &came[..] else { panic!("{came:?}") };
    assert!(
        head.starts_with("POST /in/box HTTP/1.1") && head.contains("key-of-the-sink"),
        "{head}"
    );
    assert_eq!(body["rows"].as_array().unwrap().len(), ROWS);
    // Elsewhere nothing is sent, and without an address neither.
    for (address, says) in [
        (Some(sink.address("/other")), "not in its pinned record"),
        (None, "needs an address"),
        (Some(DataAddress { endpoint: None, ..sink.address("") }), "not in its pinned record"),
    ] {
        let over = sent(&both, &agreement, address).await;
        assert_eq!(over.state, State::Terminated);
        assert!(why(&over).contains(says), "{}", why(&over));
    }
    // Who does not take it is told so, and it is not sent again.
    sink.status.store(401, Ordering::SeqCst);
    let before = *sink.count.borrow();
    let over = sent(&both, &agreement, Some(sink.address("/in"))).await;
    assert!(why(&over).contains("answered with status 401"), "{}", why(&over));
    assert_eq!(*sink.count.borrow(), before + 1);
    both.stop().await;
}

#[tokio::test]
async fn without_a_presumed_purpose_nothing_is_sent() {
    let sink = Sink::open().await;
    let both = Strangers::start_with("", &format!("http://127.0.0.1:{}/in", sink.port)).await;
    let over = sent(&both, &both.agreed().await, Some(sink.address("/in"))).await;
    assert_eq!(over.state, State::Terminated);
    assert!(why(&over).contains("purpose and place are not signed for"), "{}", why(&over));
    assert_eq!(*sink.count.borrow(), 0);
    both.stop().await;
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_and_a_start_ends_it() {
    let sink = Sink::open().await;
    let both = Strangers::start_with(PRESUMED, &format!("http://127.0.0.1:{}/in", sink.port)).await;
    let agreement = both.agreed().await;
    sink.status.store(503, Ordering::SeqCst);
    let pid = asked(&both, &agreement, (PUSH, Some(sink.address("/in")))).await;
    let mut tries = sink.count.subscribe();
    tries.wait_for(|count| *count == 1).await.unwrap();
    sink.status.store(200, Ordering::SeqCst);
    assert_eq!(ended(&both, &pid).await.state, State::Completed);
    assert_eq!(*tries.borrow(), 2);
    // The attempt that failed is in the story, with its reason.
    let operator = &both.operator.parts.node;
    let theirs = operator.partition.read(|fold, _| {
        let mut all = fold.processes.transfers.values();
        let of_it = |one: &&Transfer| one.party.peer_pid.as_deref() == Some(pid.as_str());
        all.find(of_it).map(|one| one.party.own_pid.clone())
    });
    let story = twinpact_node::why::why(operator, &theirs.unwrap().unwrap()).unwrap();
    let attempt = story.steps.iter().find(|step| step.what == "attempt").unwrap();
    assert!(attempt.text.starts_with("a delivery, attempt 1: "), "{attempt:?}");
    assert!(attempt.text.contains("answered with status 503; again after "), "{attempt:?}");
    // Where to send may hold a secret, and so does not outlive the node.
    sink.status.store(503, Ordering::SeqCst);
    let pid = asked(&both, &agreement, (PUSH, Some(sink.address("/in")))).await;
    tries.wait_for(|count| *count == 3).await.unwrap();
    let both = both.operator_started_again().await;
    let over = ended(&both, &pid).await;
    assert!(why(&over).contains("not kept over a pause, or a start"), "{}", why(&over));
    both.stop().await;
}

#[tokio::test]
async fn what_was_decided_is_not_sent_any_more_when_it_is_paused() {
    let sink = Sink::open().await;
    let both = Strangers::start_with(PRESUMED, &format!("http://127.0.0.1:{}/in", sink.port)).await;
    let operator = &both.operator.parts.node;
    sink.status.store(503, Ordering::SeqCst);
    let asked = asked(&both, &both.agreed().await, (PUSH, Some(sink.address("/in")))).await;
    let mut tries = sink.count.subscribe();
    tries.wait_for(|count| *count == 1).await.unwrap();
    let pid = kept::list(operator).unwrap()[0].pid.clone();
    kept::decide(operator, &pid, Wish::Suspend("a storm".to_owned())).await.unwrap();
    let known = |fold: &Fold| fold.processes.unacknowledged(&pid).is_none();
    until(operator, known).await;
    sink.status.store(200, Ordering::SeqCst);
    // Its next attempt would have been a second after the first.
    while operator.secrets.address(&pid).is_some() {
        tokio::task::yield_now().await;
    }
    kept::decide(operator, &pid, Wish::Resume).await.unwrap();
    let over = ended(&both, &asked).await;
    assert!(why(&over).contains("not kept over a pause"), "{}", why(&over));
    assert_eq!(*tries.borrow(), 1);
    both.stop().await;
}

#[tokio::test]
async fn the_stream_is_a_format_of_its_own() {
    let both = Strangers::start(PRESUMED).await;
    let pid = asked(&both, &both.agreed().await, (STREAM, None)).await;
    let maker = &both.maker.parts.node;
    until(maker, |fold| fold.processes.transfers[&pid].state == State::Started).await;
    let (address, _) = maker.secrets.address(&pid).unwrap();
    let (token, url) = (address.property("authorization").unwrap(), address.endpoint.clone());
    let url = url.unwrap();
    assert!(url.ends_with("/stream"), "{url}");
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut tcp = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "GET /{path}?from=start HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\n\r\n"
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while text.matches("514.24").count() < ROWS {
        let n = tcp.read(&mut piece).await.unwrap();
        assert!(n > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    assert!(text.contains("text/event-stream"), "{text}");
    drop(tcp);
    both.stop().await;
}
