//! What a catalogue of 10,000 datasets costs: a part of 100, a part that is known, and the whole,
//! each as it comes over mutual TLS on loopback, and on record before it is sent.
//! `cargo bench -p twinpact-gateway --bench catalog`
//!
//! Two nodes in this process; the second is there to be a partner, and its identity asks. It stops
//! by itself, at the latest after [`LIMIT`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

#[path = "../../node/benches/measure/mod.rs"]
mod measure;
mod two_nodes;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use measure::process_cpu;
use serde_json::json;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use twinpact_dsp::Message;
use twinpact_dsp::message::{CatalogRequest, MAX_DATASETS};
use twinpact_gateway::Running;
use twinpact_identity::tls::{Clock, client_config};
use twinpact_node::{Node, contracts};
use twinpact_testkit::free_port;
use two_nodes::{CONSUMER, PROVIDER, at_most, contract, line, offer, pin, start};

const ROUNDS: usize = 200;
/// How many are published one at a time, each before a look at the whole.
const LATE: usize = 50;
/// The whole bench takes no longer.
const LIMIT: Duration = Duration::from_secs(180);

fn main() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let done = tokio::time::timeout(LIMIT, catalogues(place.path())).await;
        assert!(done.is_ok(), "it was not done after {LIMIT:?}");
    });
}

async fn catalogues(place: &Path) {
    let (ours, theirs) = (free_port(), free_port());
    let provider = start(&place.join("operator"), PROVIDER, ours, theirs).await;
    let consumer = start(&place.join("maker"), CONSUMER, theirs, ours).await;
    let (provides, consumes) = (&provider.parts.node, &consumer.parts.node);
    pin(provides, consumes).await;
    pin(consumes, provides).await;
    let began = Instant::now();
    offer(provides, 1).await;
    let first = MAX_DATASETS - LATE;
    for n in 1..first {
        publish(provides, n).await;
    }
    println!("{first} contracts published in {:.1} s", began.elapsed().as_secs_f64());
    let mut line_to = Line::open(&provider, &consumer).await;
    let began = Instant::now();
    let (_, whole) = line_to.post(json!([]), None).await;
    let mib = whole.len() as f64 / f64::from(1 << 20);
    println!(
        "the first answer, {mib:.1} MiB, after {:.0} ms\n",
        began.elapsed().as_secs_f64() * 1e3
    );
    println!("{:<44} {:>8} {:>8} {:>14}", "", "p50 ms", "p99 ms", "CPU ms, both");

    published(&mut line_to, provides, first).await;
    asked(&mut line_to).await;
    let began = Instant::now();
    contracts::publish(provides, contract("late")).await.unwrap_err();
    drop(line_to);
    consumer.stop().await;
    provider.stop().await;
    let again = two_nodes::opened_again(&place.join("operator")).await;
    println!("a start with them takes {:.1} s", began.elapsed().as_secs_f64());
    again.stop();
}

async fn publish(node: &Node, n: usize) {
    // In no order, so that each comes between others.
    let name = format!("view-{:05}", n * 7_919 % MAX_DATASETS);
    contracts::publish(node, contract(&name)).await.unwrap();
}

/// The whole, compressed, each time after one more was published.
async fn published(line_to: &mut Line, provides: &Node, first: usize) {
    line_to.post(json!([]), Some("gzip")).await;
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for n in first..MAX_DATASETS {
        publish(provides, n).await;
        let start = Instant::now();
        line_to.post(json!([]), Some("gzip")).await;
        times.push(start.elapsed());
    }
    let [p50, ..] = line("the whole, compressed, after one more", &times, process_cpu() - cpu);
    at_most("the whole after one more, p50 in ms", p50, 60.0);
}

/// Each way of asking, again and again.
async fn asked(line_to: &mut Line) {
    let part = || json!([{ "@type": "QuerySpec", "offset": 4_900, "limit": 100 }]);
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let (response, body) = line_to.post(part(), None).await;
        times.push(start.elapsed());
        assert!(response.headers().contains_key("link") && !body.is_empty());
    }
    let [part_of_it, ..] = line("a part of 100", &times, process_cpu() - cpu);
    at_most("a part of 100, p50 in ms", part_of_it, 5.0);
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        line_to.post(part(), Some("gzip")).await;
        times.push(start.elapsed());
    }
    line("a part of 100, compressed", &times, process_cpu() - cpu);

    for (what, filter) in
        [("a part of 100, unchanged", part()), ("the whole, unchanged", json!([]))]
    {
        let (known, _) = line_to.post(filter, None).await;
        let (mut times, cpu) = (Vec::new(), process_cpu());
        for _ in 0..ROUNDS {
            let start = Instant::now();
            assert_eq!(line_to.known(&known).await, 304);
            times.push(start.elapsed());
        }
        let [p50, ..] = line(what, &times, process_cpu() - cpu);
        at_most("what is known, p50 in ms", p50, 2.0);
    }
    let mut zipped = Bytes::new();
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for _ in 0..ROUNDS / 4 {
        let start = Instant::now();
        zipped = line_to.post(json!([]), Some("gzip")).await.1;
        times.push(start.elapsed());
    }
    let [p50, ..] = line("the whole, compressed", &times, process_cpu() - cpu);
    at_most("the whole, p50 in ms", p50, 60.0);
    let mut text = Vec::new();
    GzDecoder::new(&zipped[..]).read_to_end(&mut text).unwrap();
    let read = Message::parse_catalog_bytes(&text).unwrap();
    assert!(matches!(read, Message::Catalog(catalog) if catalog.datasets.len() == MAX_DATASETS));
    println!("\ncompressed it has {} KiB", zipped.len() >> 10);
}

/// A connection that is kept open.
struct Line(SendRequest<Full<Bytes>>);

impl Line {
    async fn open(provider: &Running, consumer: &Running) -> Line {
        let maker = &consumer.parts.node;
        let domain = provider.parts.node.identity.current().root.trust_domain().clone();
        let clocks = maker.clocks.clone();
        let clock: Clock = Arc::new(move || clocks.wall());
        let config = client_config(&maker.presented, &maker.tls_partners, &domain, &clock).unwrap();
        let tcp = TcpStream::connect(provider.federation.unwrap()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = rustls::pki_types::ServerName::try_from("any.example").unwrap();
        let tls = TlsConnector::from(config).connect(name, tcp).await.unwrap();
        let (sender, running) = handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(running);
        Line(sender)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> (Response<()>, Bytes) {
        self.0.ready().await.unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        (Response::from_parts(head, ()), body.collect().await.unwrap().to_bytes())
    }

    async fn post(
        &mut self,
        filter: serde_json::Value,
        encoding: Option<&str>,
    ) -> (Response<()>, Bytes) {
        let filter = filter.as_array().unwrap().clone();
        let message = Message::CatalogRequest(CatalogRequest { id: None, filter });
        let mut request = Request::post("/dsp/catalog/request").header("host", "o");
        if let Some(encoding) = encoding {
            request = request.header("accept-encoding", encoding);
        }
        let body = Full::new(Bytes::from(message.to_json().to_string()));
        let (head, body) = self.send(request.body(body).unwrap()).await;
        assert_eq!(head.status(), 200);
        (head, body)
    }

    /// Asks again for what is known.
    async fn known(&mut self, known: &Response<()>) -> u16 {
        let text = |name: &str| known.headers()[name].to_str().unwrap().to_owned();
        let place = text("content-location");
        let path = &place[place.find("/dsp/").unwrap()..];
        let request = Request::get(path).header("host", "o").header("if-none-match", text("etag"));
        self.send(request.body(Full::new(Bytes::new())).unwrap()).await.0.status().as_u16()
    }
}
