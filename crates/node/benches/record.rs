//! What two years of a wind farm cost: 420,480 rows of seven values, as a CSV file and as JSON in
//! batches of 1,000, until each is durable and under a tick, that is, provable; and to open the
//! node again after that. `cargo bench -p twinpact-node --bench record`
//!
//! First part by part, on one thread, with the calls that command and writer make
//! (`twinpact_edge`, [`twinpact_node::record`], [`twinpact_node::partition`]); then the whole of it
//! through a node; then another process opens that node's directory. The log lies on the disk that
//! the build directory is on. Without the shared data the excerpt of the examples is read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

mod measure;
mod wind;

use measure::{process_cpu, resident_bytes, thread_cpu};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use twinpact_edge::batch::{IngestBatch, IngestObservation};
use twinpact_model::Did;
use twinpact_model::entry::Entry;
use twinpact_node::fold::Fold;
use twinpact_node::partition::{CONTROL_CLASS, Partition};
use twinpact_node::{Clocks, PolicyClock, open, record};
use twinpact_store::directory::Directory;
use twinpact_store::forest::EVENTS;
use twinpact_store::vfs::RealDisk;
use twinpact_store::{Draft, Store, Subject};
use twinpact_twin::{Observation, Source};

/// With this argument and a directory the bench opens that node, tells what it took, and ends.
const REOPEN: &str = "--reopen";
const PARTS: [&str; 5] = [
    "parse the JSON",
    "decide what is new",
    "commit, seal, grow the tree",
    "fold into the state",
    "frame, tick, fdatasync",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == REOPEN) {
        return reopen(Path::new(&arguments[at + 1]));
    }
    let (file, map) = (wind::file(), wind::map());
    println!("{}\n{:<46} {:>12} {:>12}", file.display(), "", "CPU µs/row", "wall µs/row");
    let mut lap = Lap::start();
    let (rows, batches) = wind::read(&file, &map);
    lap.stop();
    let bodies: Vec<Vec<u8>> = batches.map(|batch| wind::body(&map, batch.unwrap())).collect();
    lap.stop();
    line("read the CSV, group its rows by key", rows, lap.parts[0]);
    line("write the JSON", rows, lap.parts[1]);
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let parts = Parts::new(&place.path().join("parts")).run(&bodies);
    for (name, part) in PARTS.iter().zip(parts) {
        line(name, rows, part);
    }
    let sum = |of: fn(&Cost) -> Duration| parts.iter().map(of).sum();
    line("sum of the five", rows, (sum(|part| part.0), sum(|part| part.1)));
    let (cost, _) = whole(&place.path().join("sent"), &bodies, Wait::Durable);
    line("through a node, batch after batch, as sent", rows, cost);
    let node = place.path().join("node");
    let (cost, mut reads) = whole(&node, &bodies, Wait::Provable);
    // A tick is made every 50 ms at most.
    line("the same, waiting for a tick after each", rows, cost);
    reads.sort_unstable();
    let at = |of: usize| reads[(reads.len() - 1) * of / 1_000].as_secs_f64() * 1e6;
    println!(
        "\n{} reads meanwhile, a millisecond apart, wall µs: p50 {:.0}, p99 {:.0}, max {:.0}",
        reads.len(),
        at(500),
        at(990),
        at(1_000)
    );
    let itself = std::env::current_exe().unwrap();
    let reopened = Command::new(itself).arg(REOPEN).arg(&node).status().unwrap();
    assert!(reopened.success());
}

/// CPU time and wall time.
type Cost = (Duration, Duration);

fn line(name: &str, rows: usize, (cpu, wall): Cost) {
    let per_row = |time: Duration| time.as_secs_f64() * 1e6 / rows as f64;
    println!("{name:<46} {:>12.2} {:>12.2}", per_row(cpu), per_row(wall));
}

/// The writer's work without its thread.
struct Parts {
    store: Store,
    fold: Fold,
    clocks: Clocks,
    recorded: i64,
}

impl Parts {
    fn new(path: &Path) -> Parts {
        let (clocks, org) = (Clocks::new(PolicyClock::System), organisation());
        let directory = Directory::create(Arc::new(RealDisk), path).unwrap();
        let store = Store::create(directory, &org, clocks.wall().0).unwrap();
        let fold = Fold::new(store.idempotency_key().unwrap());
        let mut parts = Parts { store, fold, clocks, recorded: 0 };
        let event = parts.fold.twins.put_model(&wind::model(), "local").unwrap().unwrap();
        parts.log(vec![event], &mut Lap::start());
        parts
    }

    fn run(mut self, bodies: &[Vec<u8>]) -> [Cost; PARTS.len()] {
        let mut sums = [(Duration::ZERO, Duration::ZERO); PARTS.len()];
        let (mut refused, mut events) = (0, 0);
        for body in bodies {
            let mut lap = Lap::start();
            let batch = IngestBatch::parse(body).unwrap();
            lap.stop();
            let source =
                Source { source: batch.source.as_str(), model: &batch.model, actor: "local" };
            let observations = batch.observations.into_iter().map(observation).collect();
            let outcome = self.fold.twins.observe(&source, observations).unwrap();
            refused += outcome.report().refused;
            lap.stop();
            events += outcome.events.len();
            self.log(outcome.events, &mut lap);
            for (sum, (cpu, wall)) in sums.iter_mut().zip(lap.parts) {
                *sum = (sum.0 + cpu, sum.1 + wall);
            }
        }
        let forest = self.store.forest();
        let (last, tick) = (forest.size(EVENTS) - 1, forest.ticks() - 1);
        // The model came before them.
        assert!(last as usize == events && forest.prove(EVENTS, last, tick).is_some());
        assert_eq!(refused, 0);
        sums
    }

    fn log(&mut self, events: Vec<Entry>, lap: &mut Lap) {
        let (day, wall) = (self.clocks.policy().0.day(), self.clocks.wall().0.micros());
        let mut drafts = Vec::with_capacity(events.len());
        for event in events {
            self.recorded = wall.max(self.recorded + 1);
            drafts.push(draft(event, self.recorded, day));
        }
        let committed = self.store.stage(drafts).unwrap();
        lap.stop();
        committed.iter().for_each(|one| self.fold.apply(one).unwrap());
        drop(committed);
        lap.stop();
        let now = self.clocks.wall().0;
        self.store.commit(Some(now), now).unwrap();
        lap.stop();
    }
}

/// CPU and wall time since the last stop, one after the other.
struct Lap {
    since: (Duration, Instant),
    parts: Vec<Cost>,
}

impl Lap {
    fn start() -> Lap {
        Lap { since: (thread_cpu(), Instant::now()), parts: Vec::new() }
    }

    fn stop(&mut self) {
        let now = (thread_cpu(), Instant::now());
        self.parts.push((now.0.saturating_sub(self.since.0), now.1 - self.since.1));
        self.since = now;
    }
}

fn draft(mut entry: Entry, recorded: i64, day: i64) -> Draft {
    entry.when.recorded = twinpact_model::Timestamp::from_micros(recorded);
    let subject = match entry.who.twin.as_str() {
        "" => Subject::Node,
        twin => Subject::Twin(twin.into()),
    };
    let class = match entry.why.class.as_str() {
        "" => CONTROL_CLASS.to_owned(),
        class => class.to_owned(),
    };
    Draft { tree: EVENTS, subject, class: class.into(), day, entry, items: None }
}

fn observation(row: IngestObservation) -> Observation {
    Observation {
        id: row.id,
        twin: row.twin.as_str().into(),
        phen_start: row.time,
        values: row.values,
    }
}

/// How long each small read of the state takes while the writer is at work: it waits for the frame
/// under way, whose `fdatasync` included. And the CPU time that reading took, which no row costs.
fn reads(partition: &Partition, done: &Receiver<()>) -> (Vec<Duration>, Duration) {
    let (mut took, cpu) = (Vec::new(), thread_cpu());
    while done.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
        let start = Instant::now();
        partition.read(|fold, _| fold.last_recorded()).unwrap();
        took.push(start.elapsed());
    }
    (took, thread_cpu() - cpu)
}

/// What is waited for after each batch; all of them are under a tick in the end.
#[derive(PartialEq)]
enum Wait {
    Durable,
    Provable,
}

/// The same rows through a node, and the reads meanwhile, whose CPU time is taken off.
fn whole(path: &Path, bodies: &[Vec<u8>], wait: Wait) -> (Cost, Vec<Duration>) {
    open::init(path, &organisation(), "Bench").unwrap();
    runtime().block_on(async {
        let parts = open::open(path, PolicyClock::System).await.unwrap();
        record::apply_model(&parts.node, wind::model(), "local").await.unwrap();
        let (done, told) = channel();
        let partition = parts.node.partition.clone();
        let reader = std::thread::spawn(move || reads(&partition, &told));
        let (cpu, wall) = (process_cpu(), Instant::now());
        for body in bodies {
            let batch = IngestBatch::parse(body).unwrap();
            record::record(&parts.node, batch, "local").await.unwrap();
            if wait == Wait::Provable {
                parts.node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
            }
        }
        parts.node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
        let spent = (process_cpu() - cpu, wall.elapsed());
        drop(done);
        let (reads, reading) = reader.join().unwrap();
        parts.stop();
        ((spent.0.saturating_sub(reading), spent.1), reads)
    })
}

/// Opens a node with all the rows inside: every entry is opened and checked, and folded again.
fn reopen(path: &Path) {
    runtime().block_on(async {
        let start = Instant::now();
        let parts = open::open(path, PolicyClock::System).await.unwrap();
        let (cpu, wall) = (process_cpu(), start.elapsed());
        let entries = parts.node.partition.read(|_, store| store.forest().size(EVENTS)).unwrap();
        println!(
            "\nopened again with {entries} events: {:.2} s CPU, {:.2} s wall, {:.0} MB resident",
            cpu.as_secs_f64(),
            wall.as_secs_f64(),
            resident_bytes() as f64 / 1e6
        );
        parts.stop();
    });
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).build().unwrap()
}

fn organisation() -> Did {
    Did::new("did:web:operator.example").unwrap()
}
