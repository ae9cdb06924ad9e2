//! What an exchange between two nodes costs: the negotiation of an agreement, and the first pull
//! under it. `cargo bench -p twinpact-gateway --bench exchange`
//!
//! Two nodes in this process, over mutual TLS on loopback, each with its log on the disk that the
//! build directory is on. It stops by itself, at the latest after [`LIMIT`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

#[path = "../../node/benches/measure/mod.rs"]
mod measure;
mod two_nodes;

use measure::{MODEL, body, process_cpu};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use twinpact_dsp::negotiation::State;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_model::Iri;
use twinpact_node::api::{Negotiate, Pull};
use twinpact_node::{Node, consumer, found, record};
use twinpact_testkit::free_port;
use two_nodes::{CONSUMER, PROVIDER, line, offer, pin, start, wanted};

const EXCHANGES: usize = 200;
const ROWS: usize = 100;
/// The whole bench takes no longer.
const LIMIT: Duration = Duration::from_secs(90);

fn main() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let done = tokio::time::timeout(LIMIT, exchanges(place.path())).await;
        assert!(done.is_ok(), "it was not done after {LIMIT:?}");
    });
}

async fn exchanges(place: &Path) {
    let (ours, theirs) = (free_port(), free_port());
    let provider = start(&place.join("operator"), PROVIDER, ours, theirs).await;
    let consumer = start(&place.join("maker"), CONSUMER, theirs, ours).await;
    let (provides, consumes) = (&provider.parts.node, &consumer.parts.node);
    pin(provides, consumes).await;
    pin(consumes, provides).await;
    offer(provides, ROWS).await;
    println!("{EXCHANGES} exchanges, {ROWS} rows in each pull\n");
    println!("{:<44} {:>8} {:>8} {:>14}", "", "p50 ms", "p99 ms", "CPU ms, both");
    line("one append of 4 kB with fdatasync, this disk", &synced(place), Duration::ZERO);
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for _ in 0..EXCHANGES {
        let start = Instant::now();
        assert_eq!(found::catalog(consumes, PROVIDER).await.unwrap().len(), 1);
        times.push(start.elapsed());
    }
    line("catalogue", &times, process_cpu() - cpu);
    let mut agreements = Vec::with_capacity(EXCHANGES);
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for done in 1..=EXCHANGES {
        let start = Instant::now();
        let partner = PROVIDER.to_owned();
        let asked = Negotiate { partner, another: true, ..Negotiate::default() };
        let agreed = consumer::negotiate(consumes, &asked).await.unwrap();
        finalized(provides, done).await;
        times.push(start.elapsed());
        agreements.push(agreed.id);
    }
    line("negotiation, catalogue to FINALIZED on both", &times, process_cpu() - cpu);
    pulls("first pull, transfer to verified copy", consumes, &agreements).await;
    pulls("next pull, its transfer is there", consumes, &agreements).await;
    nothing(provides, consumes, &agreements).await;
    consumer.stop().await;
    provider.stop().await;
}

/// What the log waits for at every commit: there are five frames in a row in a negotiation
/// (request, agreement, verification, finalization, each side before it answers) and a tick in a
/// pull.
fn synced(place: &Path) -> Vec<Duration> {
    let mut file = std::fs::File::create(place.join("synced")).unwrap();
    let append = |_| {
        let start = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    };
    (0..EXCHANGES).map(append).collect()
}

async fn pulls(name: &str, consumer: &Node, agreements: &[String]) {
    let (mut times, cpu) = (Vec::new(), process_cpu());
    for agreement in agreements {
        let start = Instant::now();
        let pulled = consumer::pull(consumer, &wanted(agreement.clone())).await.unwrap();
        times.push(start.elapsed());
        assert_eq!(pulled.rows, ROWS);
    }
    line(name, &times, process_cpu() - cpu);
}

/// Asks for a twin that is there and is not shown, and for one that is not there, in turn: whoever
/// asks must not be able to tell them apart.
async fn nothing(provider: &Node, consumer: &Node, agreements: &[String]) {
    let model = MODEL.replace("\"wind-turbine\"", "\"other\"");
    record::apply_model(provider, model_file::parse(&model).unwrap(), "local").await.unwrap();
    let text = String::from_utf8(body(0, 1)).unwrap();
    let batch = text.replace("wind-turbine@1", "other@1").replace("urn:turbine:", "urn:hidden:");
    let batch = IngestBatch::parse(batch.as_bytes()).unwrap();
    let hidden = batch.observations[0].twin.to_string();
    assert!(hidden.starts_with("urn:hidden:"), "{hidden}");
    assert_eq!(record::record(provider, batch, "local").await.unwrap().new, 1);
    let asked = [
        ("the same, of a twin that is hidden", hidden.as_str()),
        ("of one that is not there", "urn:hidden:nobody"),
    ];
    let mut spent = asked.map(|_| (Vec::new(), Duration::ZERO));
    for agreement in agreements {
        for ((_, twin), (times, cpu)) in asked.iter().zip(&mut spent) {
            let (start, before) = (Instant::now(), process_cpu());
            let twin = Some(Iri::new(*twin).unwrap());
            let pull = Pull { twin, ..wanted(agreement.clone()) };
            assert_eq!(consumer::pull(consumer, &pull).await.unwrap().rows, 0);
            times.push(start.elapsed());
            *cpu += process_cpu() - before;
        }
    }
    for ((name, _), (times, cpu)) in asked.iter().zip(&spent) {
        line(name, times, *cpu);
    }
}

/// Waits until the provider has finalised that many negotiations.
async fn finalized(provider: &Node, many: usize) {
    let mut changes = provider.partition.changes();
    let count = || {
        let finalized = |fold: &twinpact_node::fold::Fold| {
            let all = fold.processes.negotiations.values();
            all.filter(|one| one.state == State::Finalized).count()
        };
        provider.partition.read(|fold, _| finalized(fold)).unwrap()
    };
    loop {
        changes.borrow_and_update();
        if count() >= many {
            return;
        }
        changes.changed().await.unwrap();
    }
}
