//! The writer under load and in trouble: rounds of several frames, a disk that fails between two of
//! them, a turn that panics. What was answered is in the log; what was not written is not answered.

use crate::disk::BadDisk;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::{Did, Problem, Timestamp};
use twinpact_node::fold::Fold;
use twinpact_node::partition::{NewEntry, Partition, TICK_GAP, Turn};
use twinpact_node::{Clocks, PolicyClock, processes};
use twinpact_proof::SecretKey;
use twinpact_proof::anchor::{anchor_leaf, head_leaf};
use twinpact_proof::note::Checkpoint;
use twinpact_proof::tree::root_from_inclusion;
use twinpact_store::directory::{CONFIG_FILE, Directory};
use twinpact_store::forest::{EVENTS, Forest};
use twinpact_store::frame::{Frame, SEGMENT_HEAD};
use twinpact_store::{Committed, Store};

/// So large that a frame of 4 MiB holds few turns.
const BULK: usize = 900_000;
/// The number of an event that stands alone.
const FIRST: usize = 101;

/// A writer over a directory on a disk that may fail.
struct Bench {
    place: tempfile::TempDir,
    disk: BadDisk,
    partition: Partition,
    writer: JoinHandle<()>,
}

/// What a turn was answered with: its entry, and the tick when it wanted one.
type Answered = Result<(Committed, Option<u64>), Problem>;
type Taking = Pin<Box<dyn Future<Output = Answered>>>;
type Holding = Pin<Box<dyn Future<Output = Result<(), Problem>>>>;

/// A turn is sent when it is polled first; whether it is not answered yet.
fn is_sent<F: Future + ?Sized>(turn: &mut Pin<Box<F>>) -> bool {
    turn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// An answer that nobody waits for: it holds up the writer where it is dropped, among the answers.
struct Gate {
    reached: mpsc::Sender<()>,
    opened: mpsc::Receiver<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.reached.send(());
        let _ = self.opened.recv();
    }
}

fn did() -> Did {
    Did::new("did:web:operator.example").unwrap()
}

/// An event that no fold looks into, with a text of its own.
fn event(n: usize) -> NewEntry {
    let who = Who::no_twin(Kind::Refusals, "x");
    let what = vec![
        Attribute::new("n", "integer", n.to_string()),
        Attribute::new("bulk", "text", "b".repeat(BULK)),
    ];
    NewEntry::event(Entry { who, when: When::default(), why: Why::default(), what })
}

fn number(entry: &Committed) -> usize {
    entry.entry.get("n").unwrap().parse().unwrap()
}

fn log_one(turn: Turn<'_>, n: usize) -> Result<Committed, Problem> {
    turn.log(vec![event(n)]).map(|mut logged| logged.remove(0))
}

impl Bench {
    fn new() -> Bench {
        let (place, disk) = (tempfile::tempdir().unwrap(), BadDisk::good());
        let clocks = Clocks::new(PolicyClock::System);
        let directory = Directory::create(disk.over_real(), place.path()).unwrap();
        std::fs::write(place.path().join(CONFIG_FILE), "").unwrap();
        let store = Store::create(directory, &did(), clocks.wall().0).unwrap();
        let fold = Fold::new(store.idempotency_key().unwrap());
        let (partition, writer) = Partition::start(store, fold, clocks);
        Bench { place, disk, partition, writer }
    }

    /// The first entry: with it the key of the day is made and synced, and it waits for its tick,
    /// so that the writer has nothing left to do.
    async fn begin(&self) {
        assert!(self.taking(FIRST).await.unwrap().1.is_some());
    }

    /// A turn that logs event `n`; every third one wants a proof.
    fn taking(&self, n: usize) -> Taking {
        let partition = self.partition.clone();
        Box::pin(async move {
            if n % 3 != 2 {
                return partition.turn(move |turn| log_one(turn, n)).await.map(|c| (c, None));
            }
            let answer = partition.turn_and_prove(move |turn| log_one(turn, n)).await;
            answer.map(|(logged, tick)| (logged, Some(tick)))
        })
    }

    /// A turn that holds up the writer until it is released.
    fn hold(&self) -> (Holding, mpsc::Sender<()>) {
        let (entered, has_entered) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let partition = self.partition.clone();
        let mut holding: Holding = Box::pin(async move {
            let held = partition.turn(move |_| {
                entered.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            });
            held.await
        });
        assert!(is_sent(&mut holding));
        has_entered.recv().unwrap();
        (holding, release)
    }

    /// Sends these while the writer is held up, so that it finds all of them at once.
    async fn round(&self, mut turns: Vec<Taking>) -> Vec<Answered> {
        let (holding, release) = self.hold();
        assert!(turns.iter_mut().all(is_sent));
        release.send(()).unwrap();
        holding.await.unwrap();
        let mut answers = Vec::new();
        for turn in turns {
            answers.push(turn.await);
        }
        answers
    }

    /// Stops the writer; the directory as it is then.
    fn close(self) -> tempfile::TempDir {
        self.partition.stop();
        self.writer.join().unwrap();
        self.place
    }

    /// Everything refuses now, by the code that says why and what to do.
    async fn has_stopped(&self) {
        let code = |problem: Problem| problem.code.name;
        assert_eq!(self.partition.read(|_, _| ()).map_err(code), Err("store.stopped"));
        let turn = self.partition.turn(|turn| turn.log(vec![event(0)])).await;
        assert_eq!(turn.map(|_| ()).map_err(code), Err("store.stopped"));
        let proven = self.partition.turn_and_prove(|_| Ok(())).await;
        assert_eq!(proven.map_err(code), Err("store.stopped"));
    }
}

/// The numbers of the events in a directory, and whether a tail was cut.
fn reopened(path: &Path) -> (Vec<usize>, bool) {
    let directory = Directory::open(BadDisk::good().over_real(), path).unwrap();
    let mut numbers = Vec::new();
    let (store, cut) = Store::open(directory, &did(), |_, entry| {
        numbers.push(number(&entry));
        Ok(())
    })
    .unwrap();
    assert_eq!(store.forest().size(EVENTS), numbers.len() as u64);
    (numbers, cut.is_some())
}

/// The frames that hold entries, as they lie in the first segment.
fn frames(path: &Path) -> Vec<Frame> {
    let bytes = std::fs::read(path.join("log/0000000001.seg")).unwrap();
    let (mut at, mut found) = (SEGMENT_HEAD, Vec::new());
    while let Some((frame, length)) = Frame::decode(&bytes[at..]) {
        found.push(frame);
        at += length;
    }
    assert_eq!(at, bytes.len());
    found.retain(|frame| !frame.entries.is_empty());
    found
}

/// That the entry is under the checkpoint of that tick, computed from its commitment up.
fn covered(forest: &Forest, entry: &Committed, tick: u64) {
    let proof = forest.prove(EVENTS, entry.index, tick).unwrap();
    assert_eq!(proof.tick, tick);
    let tree = root_from_inclusion(&entry.leaf, entry.index, proof.head.size, &proof.tree_path);
    assert_eq!(tree, Some(proof.head.root));
    let head = head_leaf(tick, proof.slot, &proof.head, &proof.blind);
    let heads = root_from_inclusion(&head, proof.slot, proof.slots, &proof.head_path);
    assert_eq!(heads, Some(proof.heads));
    let leaf = anchor_leaf(tick, proof.time, proof.slots, &proof.heads);
    let root = root_from_inclusion(&leaf, tick, proof.anchor_size, &proof.anchor_path);
    assert_eq!(root, forest.checkpoint("x.example/1", tick).map(|checkpoint| checkpoint.root));
}

#[tokio::test]
async fn a_round_of_several_frames_answers_each_turn_with_what_covers_it() {
    let bench = Bench::new();
    let answers = bench.round((0..20).map(|n| bench.taking(n)).collect()).await;
    let mut by_kind = [Vec::new(), Vec::new()];
    for (n, answer) in answers.into_iter().enumerate() {
        let (logged, tick) = answer.unwrap();
        assert_eq!((number(&logged), tick.is_some()), (n, n % 3 == 2));
        by_kind[usize::from(tick.is_some())].push(logged.index);
        let read_back = bench.partition.read(|_, store| {
            tick.inspect(|tick| covered(store.forest(), &logged, *tick));
            store.entry(EVENTS, logged.index).unwrap()
        });
        assert_eq!(read_back.unwrap(), logged);
    }
    // In the order in which they were sent; those that want a proof may wait for their tick.
    assert!(by_kind.iter().all(|indices| indices.is_sorted()), "{by_kind:?}");
    let place = bench.close();
    let frames = frames(place.path());
    assert!(frames.len() >= 4, "{} frames", frames.len());
    assert!(frames.iter().all(|frame| frame.entries.len() <= 6));
    let (mut numbers, cut) = reopened(place.path());
    numbers.sort_unstable();
    assert_eq!((numbers, cut), ((0..20).collect(), false));
}

#[tokio::test]
async fn what_is_durable_is_read_before_its_tick_and_proven_after_it() {
    let bench = Bench::new();
    bench.begin().await;
    let ((reached, at_gate), (open, opened)) = (mpsc::channel(), mpsc::channel());
    let gate = Gate { reached, opened };
    let (holding, release) = bench.hold();
    let mut plain = Box::pin(bench.partition.turn(|turn| log_one(turn, 0).map(|_| gate)));
    assert!(is_sent(&mut plain));
    drop(plain);
    let mut proven = bench.taking(2);
    assert!(is_sent(&mut proven));
    // Its tick is due, so that both have one frame.
    let begun = Instant::now();
    while begun.elapsed() <= TICK_GAP {
        std::hint::spin_loop();
    }
    release.send(()).unwrap();
    holding.await.unwrap();
    at_gate.recv_timeout(Duration::from_secs(20)).unwrap();
    let sizes = bench.partition.read(|_, store| {
        let forest = store.forest();
        (forest.size(EVENTS), forest.covered(EVENTS), forest.ticks())
    });
    let (size, under, ticks) = sizes.unwrap();
    assert_eq!((size, under), (3, 1));
    assert!(is_sent(&mut proven), "it is not answered before its tick");
    open.send(()).unwrap();
    let (logged, tick) = proven.await.unwrap();
    assert_eq!(tick, Some(ticks));
    bench.partition.read(|_, store| covered(store.forest(), &logged, ticks)).unwrap();
    assert_eq!(frames(bench.close().path()).len(), 2);
}

/// A disk that goes away after so many syncs of a round of four frames. What is in the log then was
/// answered or not; what was answered is in the log.
#[tokio::test]
async fn nothing_is_answered_as_durable_that_a_failing_disk_did_not_take() {
    for syncs in 0..4 {
        let bench = Bench::new();
        bench.begin().await;
        bench.disk.fail_after(syncs);
        let answers = bench.round((0..20).map(|n| bench.taking(n)).collect()).await;
        let mut acknowledged = vec![FIRST];
        for (n, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(_) => acknowledged.push(n),
                Err(problem) => {
                    let codes = ["store.io", "store.full", "store.readonly", "store.stopped"];
                    assert!(codes.contains(&problem.code.name), "{problem}")
                }
            }
        }
        assert!(acknowledged.len() < 21, "{syncs}");
        bench.has_stopped().await;
        let place = bench.close();
        let (numbers, _) = reopened(place.path());
        for n in acknowledged {
            assert!(numbers.contains(&n), "{syncs}: {n} was acknowledged and is lost");
        }
    }
}

/// A turn that panics is a bug, and what it left in memory is unknown.
#[tokio::test]
async fn a_turn_that_panics_acknowledges_nothing_of_its_frame() {
    // Before and after it logged; alone, or between others.
    for (logs, others) in [(false, 0), (true, 0), (false, 4), (true, 4)] {
        let bench = Bench::new();
        bench.begin().await;
        let partition = bench.partition.clone();
        let bad: Taking = Box::pin(async move {
            let panicking = partition.turn(move |turn| {
                let logged = logs.then(|| log_one(turn, 999));
                panic!("a bug, as this test wants it: {}", logged.is_some())
            });
            panicking.await.map(|logged| (logged, None))
        });
        let mut turns: Vec<Taking> = (0..others).map(|n| bench.taking(n)).collect();
        turns.insert(others / 2, bad);
        for answer in bench.round(turns).await {
            assert_eq!(answer.unwrap_err().code.name, "store.stopped", "{logs} {others}");
        }
        bench.has_stopped().await;
        let place = bench.close();
        assert_eq!(reopened(place.path()), (vec![FIRST], false), "{logs} {others}");
    }
}

#[tokio::test]
async fn the_clock_of_the_log_rises_through_frames_and_failures() {
    let bench = Bench::new();
    let refused = bench.partition.turn(|turn| {
        let mut entries = vec![event(1)];
        entries[0].entry.what.extend((0..40).map(|n| Attribute::new(n.to_string(), "x", "x")));
        turn.log(entries).map(|_| ())
    });
    assert_eq!(refused.await.unwrap_err().code.name, "input.too_large");
    let answers = bench.round((0..12).map(|n| bench.taking(n)).collect()).await;
    let mut entries: Vec<Committed> = answers.into_iter().map(|a| a.unwrap().0).collect();
    entries.sort_by_key(|entry| entry.index);
    let recorded: Vec<Timestamp> = entries.iter().map(|e| e.entry.when.recorded).collect();
    assert!(recorded.windows(2).all(|pair| pair[0] < pair[1]), "{recorded:?}");
    bench.close();
}

/// From the turn on that puts it on record that the node is behind its own anchor nothing is run
/// and nothing is signed: not even the tick of the same frame.
#[tokio::test]
async fn nothing_is_proven_in_the_frame_that_stops_the_node() {
    let bench = Bench::new();
    bench.begin().await;
    let ticks = || bench.partition.read(|_, store| store.forest().ticks()).unwrap();
    let before = ticks();
    let note = Checkpoint { origin: "operator.example/twinpact/x".into(), size: 9, root: [7; 32] };
    let what = vec![Attribute::new("checkpoint", "text", note.sign(&SecretKey::new(&[1; 32])))];
    let entry = processes::local(Kind::AnchorBehind, "did:web:maker.example", what);
    let partition = bench.partition.clone();
    let stopping: Taking = Box::pin(async move {
        let turn = partition.turn(move |turn| turn.log(vec![entry]).map(|mut all| all.remove(0)));
        turn.await.map(|logged| (logged, None))
    });
    let turns = vec![bench.taking(0), stopping, bench.taking(1), bench.taking(2)];
    for answer in bench.round(turns).await {
        assert_eq!(answer.unwrap_err().code.name, "anchor.behind");
    }
    assert_eq!(bench.taking(2).await.unwrap_err().code.name, "anchor.behind");
    // The turn before it had logged, and stays; nobody has a proof of it.
    let events = |forest: &Forest| (forest.size(EVENTS), forest.changed(), forest.ticks());
    let expect = (2, true, before);
    assert_eq!(bench.partition.read(|_, store| events(store.forest())).unwrap(), expect);
    // A clean stop makes its last tick if something has changed, and now it makes none.
    let place = bench.close();
    let directory = Directory::open(BadDisk::good().over_real(), place.path()).unwrap();
    let (store, _) = Store::open(directory, &did(), |_, _| Ok(())).unwrap();
    assert_eq!(events(store.forest()), expect);
}
