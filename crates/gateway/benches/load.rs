//! How many exchanges two nodes make in a minute, and how long one takes that comes alone: a
//! negotiation of its own, a pull transfer of its own, and its completion.
//! `cargo bench -p twinpact-gateway --bench load`
//!
//! Two nodes, each in a process of its own, over mutual TLS on loopback, each with its log on the
//! disk that the build directory is on, every step durable before it is answered. The driver is in
//! the consumer's process; the CPU time is that of both. `TWINPACT_LOAD_SECONDS` (30)
//! and `TWINPACT_LOAD_PARALLEL` (64) say how long and how many at a time. It stops by itself. With
//! `TWINPACT_GATE` set it ends with an error beyond 10 and 50 ms to the first byte, 3 ms of CPU
//! each, or below 400 a second.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

#[path = "../../node/benches/measure/mod.rs"]
mod measure;
mod two_nodes;

use measure::{cpu_of, process_cpu};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use twinpact_gateway::{HttpsOutbound, Running};
use twinpact_node::api::Negotiate;
use twinpact_node::outbound::{Call, FirstCall, Opening, Outbound, Pending};
use twinpact_node::{Node, NodeParts, channel, consumer, partners, prove};
use twinpact_testkit::free_port;
use two_nodes::{CONSUMER, PROVIDER, at_most, line, offer, opened, wanted};

/// How many come alone.
const ALONE: usize = 500;
/// The most that come at a time, whatever time is left: each takes a ledger for ever, of which a
/// node has 32,768 (`store::MAX_TREES`).
const MOST: usize = 32_000;
const ROWS: usize = 10;
/// What one partner may ask here; the usual bounds are for a partner that is not trusted with the
/// whole machine.
const QUOTAS: &str = "[quotas]\nrequests_per_second = 20000\nbytes_per_second = 50000000\n\
                      decisions_per_second = 2000\nnegotiations = 1000\ntransfers = 10000\n\
                      agreements = 1000000\n";

fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |said| said.parse().unwrap())
}

/// Says to this program, run once more, that it is the provider: its port and the consumer's.
const ROLE: &str = "TWINPACT_LOAD_PROVIDER";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Ok(role) = std::env::var(ROLE) {
        return runtime.block_on(provide(&role));
    }
    let seconds = asked("TWINPACT_LOAD_SECONDS", 30);
    let parallel = usize::try_from(asked("TWINPACT_LOAD_PARALLEL", 64)).unwrap();
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(3 * seconds + 120);
        let whole = exchanges(place.path(), Duration::from_secs(seconds), parallel);
        assert!(tokio::time::timeout(limit, whole).await.is_ok(), "it was not done in {limit:?}");
    });
}

fn read_line() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line
}

/// The provider: says its record, reads the consumer's, and answers until its input ends; each line
/// of it asks whether there is nothing left to send.
async fn provide(role: &str) {
    let [place, ours, theirs] = role.split('|').collect::<Vec<_>>()[..] else { unreachable!() };
    let ports = [ours, theirs].map(|port| port.parse().unwrap());
    let parts = opened(Path::new(place), (PROVIDER, QUOTAS), ports[0], ports[1]).await;
    let running = Running::start(parts).await.unwrap();
    let node = &running.parts.node;
    println!("{}", prove::own_record(node).unwrap().to_json().canonical());
    partners::add(node, read_line().trim().as_bytes()).await.unwrap();
    offer(node, ROWS).await;
    println!("ready");
    while !tokio::task::spawn_blocking(read_line).await.unwrap().is_empty() {
        rest(node).await;
        println!("at rest");
    }
    running.stop().await;
}

/// The provider's process.
struct Provider {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Provider {
    fn start(place: &Path, ours: u16, theirs: u16) -> Provider {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ROLE, format!("{}|{ours}|{theirs}", place.display()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Provider { child, input, output: BufReader::new(output) }
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn rests(&mut self) {
        writeln!(self.input, "rest").unwrap();
        assert_eq!(self.says(), "at rest");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // A bench that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When each answer with data came.
type Came = Arc<Mutex<Vec<Instant>>>;

/// A way out that notes when an answer with data is there, whole: no earlier than its first
/// byte.
struct Watched(HttpsOutbound, Came);

impl Outbound for Watched {
    fn call(&self, call: Call) -> Pending<'_> {
        let data = call.method == "GET" && call.url.contains("/data/");
        Box::pin(async move {
            let reply = self.0.call(call).await;
            if data {
                self.1.lock().unwrap().push(Instant::now());
            }
            reply
        })
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.0.first(call)
    }

    fn flow(&self, call: Call) -> Opening<'_> {
        self.0.flow(call)
    }
}

fn watched(parts: &NodeParts) -> Came {
    let (node, came) = (&parts.node, Came::default());
    let clocks = node.clocks.clone();
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    let allowed = node.config.federation.allow_private.clone();
    let clock = Arc::new(move || clocks.wall());
    let inner = HttpsOutbound::new(presented, partners, clock, allowed).unwrap();
    assert!(node.outbound.set(Arc::new(Watched(inner, came.clone()))).is_ok());
    came
}

/// Both, as the driver sees them.
struct Both {
    provider: Provider,
    consumer: Node,
}

impl Both {
    fn cpu(&self) -> Duration {
        process_cpu() + cpu_of(&self.provider.child.id().to_string())
    }

    /// Waits until neither has anything left to send.
    async fn rest(&mut self) {
        for _ in 0..2 {
            rest(&self.consumer).await;
            self.provider.rests();
        }
    }
}

async fn exchanges(place: &Path, time: Duration, parallel: usize) {
    let (theirs, ours) = (free_port(), free_port());
    let mut provider = Provider::start(&place.join("operator"), theirs, ours);
    let parts = opened(&place.join("maker"), (CONSUMER, QUOTAS), ours, theirs).await;
    let came = watched(&parts);
    let running = Running::start(parts).await.unwrap();
    let node = running.parts.node.clone();
    partners::add(&node, provider.says().as_bytes()).await.unwrap();
    let record = prove::own_record(&node).unwrap().to_json().canonical();
    writeln!(provider.input, "{record}").unwrap();
    assert_eq!(provider.says(), "ready");
    println!("{ROWS} rows in each pull\n");
    println!("{:<44} {:>8} {:>8} {:>14}", "", "p50 ms", "p99 ms", "CPU ms, both");
    let mut both = Both { provider, consumer: node };
    alone(&mut both, &came).await;
    many(&mut both, time, parallel).await;
    running.stop().await;
}

/// One after another: to the first byte of data, and to the verified, signed and stored copy.
async fn alone(both: &mut Both, came: &Came) {
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    let cpu = both.cpu();
    for _ in 0..ALONE {
        came.lock().unwrap().clear();
        let start = Instant::now();
        exchange(&both.consumer).await;
        whole.push(start.elapsed());
        first.push(came.lock().unwrap()[0] - start);
    }
    both.rest().await;
    let cpu = both.cpu() - cpu;
    let [p50, p99, _] = line("alone: negotiation, pull to the first byte", &first, cpu);
    line("the same to the verified copy", &whole, cpu);
    at_most("to the first byte, p50 in ms", p50, 10.0);
    at_most("to the first byte, p99 in ms", p99, 50.0);
}

/// Many at a time, for so long.
async fn many(both: &mut Both, time: Duration, parallel: usize) {
    let (start, cpu) = (Instant::now(), both.cpu());
    let changes = *both.consumer.partition.changes().borrow();
    let (mut tasks, all) = (tokio::task::JoinSet::new(), Arc::<AtomicUsize>::default());
    for _ in 0..parallel {
        let (consumer, begun_so_far) = (both.consumer.clone(), Arc::clone(&all));
        tasks.spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < time && begun_so_far.fetch_add(1, Ordering::Relaxed) < MOST {
                let begun = Instant::now();
                exchange(&consumer).await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    let times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let took = start.elapsed();
    both.rest().await;
    let rest = start.elapsed() - took;
    let [_, _, each] = line(&format!("{parallel} at a time"), &times, both.cpu() - cpu);
    let rate = times.len() as f64 / took.as_secs_f64();
    let changes = *both.consumer.partition.changes().borrow() - changes;
    println!("\n{} exchanges in {took:.1?}: {rate:.0} a second; {rest:.1?} to rest", times.len());
    println!("{changes} frames and slow ticks of the consumer");
    at_most("CPU of an exchange in ms", each, 3.0);
    at_most("ms for each of them", 1e3 / rate, 1e3 / 400.0);
}

/// A negotiation, a transfer with its data, and its end.
async fn exchange(consumer: &Node) {
    let partner = PROVIDER.to_owned();
    let asked = Negotiate { partner, another: true, ..Negotiate::default() };
    let agreed = consumer::negotiate(consumer, &asked).await.unwrap();
    let pulled = consumer::pull(consumer, &wanted(agreed.id.clone())).await.unwrap();
    assert_eq!(pulled.rows, ROWS);
    channel::finish(consumer, &agreed.id).await.unwrap();
}

/// Waits until a node has nothing left to send.
async fn rest(node: &Node) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        if node.partition.read(|fold, _| fold.processes.outbox.is_empty()).unwrap() {
            break;
        }
        changes.changed().await.unwrap();
    }
}
