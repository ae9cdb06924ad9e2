//! What it costs to record one wind row: JSON in a batch of 1,000 rows, until it is durable and
//! under a tick, that is, provable. `cargo bench -p twinpact-node --bench record`
//!
//! First part by part, on one thread, with the calls that the writer makes in
//! [`twinpact_node::record`] and [`twinpact_node::partition`]; then the whole of it through a node.
//! The log lies on the disk that the build directory is on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a bench")]

mod measure;

use measure::{MODEL, body, process_cpu, thread_cpu};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use twinpact_edge::batch::{IngestBatch, MAX_BATCH_OBSERVATIONS};
use twinpact_edge::model_file;
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

const BATCHES: usize = 100;
const ROWS: usize = BATCHES * MAX_BATCH_OBSERVATIONS;
const PARTS: [&str; 5] = [
    "parse the JSON",
    "decide what is new",
    "commit, seal, grow the tree",
    "fold into the state",
    "frame, tick, fdatasync",
];

fn main() {
    let bodies: Vec<Vec<u8>> = (0..BATCHES)
        .map(|batch| body(batch * MAX_BATCH_OBSERVATIONS, MAX_BATCH_OBSERVATIONS))
        .collect();
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("{ROWS} rows of 7 values in {BATCHES} batches\n");
    println!("{:<44} {:>12} {:>12}", "", "CPU µs/row", "wall µs/row");
    let parts = Parts::new(&place.path().join("parts")).run(&bodies);
    for (name, (cpu, wall)) in PARTS.iter().zip(&parts) {
        line(name, *cpu, *wall);
    }
    line("sum", parts.iter().map(|p| p.0).sum(), parts.iter().map(|p| p.1).sum());
    let (cpu, wall, mut reads) = whole(&place.path().join("node"), &bodies);
    // A tick is made every 50 ms at most, and each batch waits for one.
    line("through a node (wall: with waiting for ticks)", cpu, wall);
    reads.sort_unstable();
    let at = |of: usize| reads[(reads.len() - 1) * of / 1_000].as_secs_f64() * 1e6;
    println!(
        "\n{} reads meanwhile, a millisecond apart, wall µs: p50 {:.0}, p99 {:.0}, max {:.0}",
        reads.len(),
        at(500),
        at(990),
        at(1_000)
    );
}

fn line(name: &str, cpu: Duration, wall: Duration) {
    let per_row = |time: Duration| time.as_secs_f64() * 1e6 / ROWS as f64;
    println!("{name:<44} {:>12.2} {:>12.2}", per_row(cpu), per_row(wall));
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
        let model = model_file::parse(MODEL).unwrap();
        let event = parts.fold.twins.put_model(&model, "local").unwrap().unwrap();
        parts.log(vec![event], &mut Lap::start());
        parts
    }

    fn run(mut self, bodies: &[Vec<u8>]) -> [(Duration, Duration); PARTS.len()] {
        let mut sums = [(Duration::ZERO, Duration::ZERO); PARTS.len()];
        for body in bodies {
            let mut lap = Lap::start();
            let batch = IngestBatch::parse(body).unwrap();
            let observations: Vec<Observation> =
                batch.observations.iter().map(observation).collect();
            lap.stop();
            let source =
                Source { source: batch.source.as_str(), model: &batch.model, actor: "local" };
            let outcome = self.fold.twins.observe(&source, &observations).unwrap();
            lap.stop();
            assert_eq!(outcome.report().new as usize, MAX_BATCH_OBSERVATIONS);
            self.log(outcome.events, &mut lap);
            for (sum, (cpu, wall)) in sums.iter_mut().zip(lap.parts) {
                *sum = (sum.0 + cpu, sum.1 + wall);
            }
        }
        let forest = self.store.forest();
        let (last, tick) = (forest.size(EVENTS) - 1, forest.ticks() - 1);
        assert!(last as usize >= ROWS && forest.prove(EVENTS, last, tick).is_some());
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
    parts: Vec<(Duration, Duration)>,
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
        twin => Subject::Twin(twin.to_owned()),
    };
    let class = match entry.why.class.as_str() {
        "" => CONTROL_CLASS.to_owned(),
        class => class.to_owned(),
    };
    Draft { tree: EVENTS, subject, class, day, entry, items: None }
}

fn observation(row: &twinpact_edge::batch::IngestObservation) -> Observation {
    Observation {
        id: row.id.clone(),
        twin: row.twin.to_string(),
        phen_start: row.time,
        values: row.values.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}

/// How long each small read of the state takes while the writer is at work: it waits for the frame
/// under way, whose `fdatasync` included.
fn reads(partition: &Partition, done: &Receiver<()>) -> Vec<Duration> {
    let mut took = Vec::new();
    while done.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
        let start = Instant::now();
        partition.read(|fold, _| fold.last_recorded()).unwrap();
        took.push(start.elapsed());
    }
    took
}

/// The same rows through a node, each batch waited for until it is under a tick; and the reads
/// meanwhile.
fn whole(path: &Path, bodies: &[Vec<u8>]) -> (Duration, Duration, Vec<Duration>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    open::init(path, &organisation(), "Bench").unwrap();
    runtime.block_on(async {
        let parts = open::open(path, PolicyClock::System).await.unwrap();
        let model = model_file::parse(MODEL).unwrap();
        record::apply_model(&parts.node, model, "local").await.unwrap();
        let (done, told) = channel();
        let partition = parts.node.partition.clone();
        let reader = std::thread::spawn(move || reads(&partition, &told));
        let (cpu, wall) = (process_cpu(), Instant::now());
        for body in bodies {
            let batch = IngestBatch::parse(body).unwrap();
            let report = record::record(&parts.node, batch, "local").await.unwrap();
            assert_eq!(report.new as usize, MAX_BATCH_OBSERVATIONS);
            parts.node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
        }
        let spent = (process_cpu() - cpu, wall.elapsed());
        drop(done);
        let reads = reader.join().unwrap();
        parts.stop();
        (spent.0, spent.1, reads)
    })
}

fn organisation() -> Did {
    Did::new("did:web:operator.example").unwrap()
}
