//! Tests of the sender against a line that answers what it is told to, on a clock that jumps.

use super::{jittered, run};
use crate::clock::PolicyClock;
use crate::countersignatures;
use crate::messages::MESSAGES_PATH;
use crate::negotiate::opened_transfer;
use crate::open::{NodeParts, init, open};
use crate::outbound::{Call, FirstCall, Outbound, Pending, Reply};
use crate::partition::{NewEntry, Turn};
use crate::partners;
use crate::processes::{self, Paper};
use crate::prove;
use crate::why;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use twinpact_dsp::delivery::MAX_ATTEMPTS;
use twinpact_dsp::negotiation::Opening;
use twinpact_dsp::transfer::open_as_consumer;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_proof::{Envelope, Json};

const MAKER: &str = "did:web:maker.example";

/// A way out to a partner that answers with one status, or not at all while that is 0.
#[derive(Default)]
struct Line {
    status: AtomicU16,
    /// The answer to lists, when it is another.
    to_lists: AtomicU16,
    /// The answers to the messages of a list, when they are others: of the last as of all behind.
    to_each: Mutex<Vec<u16>>,
    /// Says nothing that can be read to a list.
    mumbles: AtomicBool,
    /// Answers with what it was sent.
    echoes: AtomicBool,
    /// How many documents each call brought; 0 for one that is no list.
    brought: Mutex<Vec<usize>>,
    calls: watch::Sender<u32>,
}

impl Outbound for Line {
    fn call(&self, call: Call) -> Pending<'_> {
        self.calls.send_modify(|calls| *calls += 1);
        let listed = match Json::parse(&call.body) {
            Ok(Json::Array(listed)) => listed.len(),
            _ => 0,
        };
        self.brought.lock().unwrap().push(listed);
        let lists = self.to_lists.load(Ordering::SeqCst);
        let status = match listed > 0 && lists > 0 {
            true => lists,
            false => self.status.load(Ordering::SeqCst),
        };
        let is_shared = call.url.ends_with(MESSAGES_PATH);
        let body = match is_shared && !self.mumbles.load(Ordering::SeqCst) {
            _ if self.echoes.load(Ordering::SeqCst) => call.body,
            true => self.answers(listed, status),
            false => Vec::new(),
        };
        let reply = match status {
            0 => Err(Problem::new(codes::PEER_UNREACHABLE, "nobody answers")),
            status => Ok(Reply::whole(status, body)),
        };
        Box::pin(async move { reply })
    }

    fn first(&self, _: FirstCall) -> Pending<'_> {
        Box::pin(async { Err(Problem::new(codes::PEER_UNREACHABLE, "nobody answers")) })
    }
}

impl Line {
    /// What so many messages of a list are answered with.
    fn answers(&self, count: usize, usual: u16) -> Vec<u8> {
        let each = self.to_each.lock().unwrap();
        let of = |n: usize| each.get(n).or(each.last()).copied().unwrap_or(usual);
        let told: Vec<Value> = (0..count).map(|n| json!({ "status": of(n) })).collect();
        Value::from(told).to_string().into_bytes()
    }
}

/// On a clock that jumps to whatever is waited for next.
#[test]
fn a_delay_is_a_fifth_longer_or_shorter_and_not_the_same_for_all() {
    let mut drawn = std::collections::BTreeSet::new();
    for us in ["did:web:a.example", "did:web:b.example"] {
        for (number, attempt) in (1..50).flat_map(|n| (1..50).map(move |a| (n, a))) {
            let after_ms = jittered(us, number, attempt, 1_000);
            assert!((800..=1_200).contains(&after_ms), "{after_ms}");
            assert_eq!(after_ms, jittered(us, number, attempt, 1_000));
            drawn.insert(after_ms);
        }
    }
    assert!(drawn.len() > 390, "{}", drawn.len());
}

/// A node and its sender, with a partner behind a line, in a directory that it holds.
struct World {
    _place: tempfile::TempDir,
    parts: NodeParts,
    record: Envelope,
    line: Arc<Line>,
    stop: watch::Sender<bool>,
    sender: JoinHandle<()>,
}

impl World {
    async fn open() -> World {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["operator", "maker"] {
            let did = Did::new(format!("did:web:{name}.example")).unwrap();
            init(&path(name), &did, name).unwrap();
        }
        let maker = open(&path("maker"), PolicyClock::System).await.unwrap();
        let record = prove::own_record(&maker.node).unwrap();
        maker.stop();
        let parts = open(&path("operator"), PolicyClock::System).await.unwrap();
        let node = parts.node.clone();
        partners::add(&node, record.to_json().canonical().as_bytes()).await.unwrap();
        let line = Arc::new(Line::default());
        assert!(node.outbound.set(line.clone()).is_ok());
        let (stop, stopped) = watch::channel(false);
        let sender = tokio::spawn(run(node, stopped));
        World { _place: place, parts, record, line, stop, sender }
    }

    async fn waits(&self, rows: Vec<NewEntry>) {
        let turn = |turn: Turn<'_>| turn.log(rows).map(|_| ());
        self.parts.node.partition.turn(turn).await.unwrap();
    }

    fn waiting(&self) -> usize {
        self.parts.node.partition.read(|fold, _| fold.processes.outbox.len()).unwrap()
    }

    fn calls(&self) -> u32 {
        *self.line.calls.borrow()
    }

    async fn answers(&self, status: u16, times: u32) {
        self.line.status.store(status, Ordering::SeqCst);
        let until = self.calls() + times;
        self.line.calls.subscribe().wait_for(|calls| *calls >= until).await.unwrap();
        assert_eq!(self.waiting(), 1, "{status}");
    }

    /// Its partner is heard of until it is called.
    async fn is_heard(&self) {
        let before = self.calls();
        while self.calls() == before {
            self.parts.node.heard.from(MAKER);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }

    /// What waits is taken at the next call.
    async fn takes_it(self) {
        self.line.status.store(200, Ordering::SeqCst);
        let (before, began) = (self.calls(), Instant::now());
        // In the middle of the hour: it is not let wait for the rest of it.
        self.is_heard().await;
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        let mut changes = self.parts.node.partition.changes();
        while self.waiting() == 1 {
            changes.changed().await.unwrap();
        }
        assert_eq!(self.calls(), before + 1);
        self.stop.send_replace(true);
        self.sender.await.unwrap();
        self.parts.stop();
    }
}

impl World {
    /// So many agreements wait in these lanes.
    async fn has(&self, lanes: impl Iterator<Item = String>) {
        let rows = lanes.enumerate().flat_map(|(n, lane)| {
            let name = format!("{lane}-{n}");
            let agreement = countersignatures::of_agreement(MAKER, &name, &self.record, None);
            [agreement, processes::paper_row(MAKER, &lane, &Paper::Agreement(name))]
        });
        self.line.brought.lock().unwrap().clear();
        self.waits(rows.collect()).await;
    }

    /// All of them are sent; how many each call brought.
    async fn sends(&self, lanes: impl Iterator<Item = String>) -> Vec<usize> {
        self.has(lanes).await;
        self.rests().await
    }

    async fn rests(&self) -> Vec<usize> {
        let mut changes = self.parts.node.partition.changes();
        while self.waiting() > 0 {
            changes.changed().await.unwrap();
        }
        let mut brought = self.line.brought.lock().unwrap().clone();
        brought.sort_unstable();
        brought
    }

    async fn stops(self) {
        self.stop.send_replace(true);
        self.sender.await.unwrap();
        self.parts.stop();
    }
}

fn lanes(first: usize, count: usize) -> impl Iterator<Item = String> {
    (first..first + count).map(|n| format!("lane-{n}"))
}

#[tokio::test(start_paused = true)]
async fn documents_go_together_and_none_is_kept_back_by_another() {
    let world = World::open().await;
    world.line.status.store(200, Ordering::SeqCst);
    assert_eq!(world.sends(lanes(0, 1)).await, [0], "one is sent as it is");
    let began = Instant::now();
    assert_eq!(world.sends(lanes(10, 5)).await, [5]);
    assert_eq!(world.sends(lanes(20, 3)).await, [3]);
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
    // Those of one lane too: who streams has hundreds under one agreement.
    assert_eq!(world.sends(std::iter::repeat_n("one".to_owned(), 100)).await, [100]);
    let lists = world.sends(lanes(1_000, 300)).await;
    assert_eq!(lists.iter().sum::<usize>(), 300);
    assert!((3..=5).contains(&lists.len()) && lists.iter().all(|n| *n <= 128), "{lists:?}");
    // What refuses lists has them one by one, those of one lane one after another.
    world.line.to_lists.store(400, Ordering::SeqCst);
    assert_eq!(world.sends(lanes(30, 4)).await, [0, 0, 0, 0, 4]);
    let one = std::iter::repeat_n("two".to_owned(), 3);
    assert_eq!(world.sends(one).await, [0, 0, 0, 3]);
    world.stops().await;
}

#[tokio::test(start_paused = true)]
async fn while_a_partner_is_out_of_reach_one_document_asks_for_all() {
    for (lists, single) in [(0, 0), (429, 503), (503, 0)] {
        let world = World::open().await;
        world.line.to_lists.store(lists, Ordering::SeqCst);
        world.line.status.store(single, Ordering::SeqCst);
        world.has(lanes(0, 9)).await;
        world.line.calls.subscribe().wait_for(|calls| *calls >= 7).await.unwrap();
        let brought = world.line.brought.lock().unwrap().clone();
        assert_eq!(brought[..7], [9, 0, 0, 0, 0, 0, 0], "{lists} {single}");
        world.line.to_lists.store(0, Ordering::SeqCst);
        world.line.status.store(200, Ordering::SeqCst);
        let brought = world.rests().await;
        assert_eq!(brought.last(), Some(&9));
        assert!(brought.contains(&8), "the others go together then: {brought:?}");
        world.stops().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_waits_for_its_partner_for_weeks_and_goes_out_when_it_is_heard_of() {
    let world = World::open().await;
    // What is sent is the business of others: any envelope will do.
    let agreement = countersignatures::of_agreement(MAKER, "a", &world.record, None);
    let row = processes::paper_row(MAKER, "a", &Paper::Agreement("a".to_owned()));
    world.waits(vec![agreement, row]).await;
    for status in [0, 503] {
        world.answers(status, 2 * MAX_ATTEMPTS).await;
    }
    world.takes_it().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_out_when_its_partner_is_heard_of_and_loses_no_attempt_by_that() {
    let world = World::open().await;
    let dsp = "https://maker.example/dsp";
    let opening = Opening { own_pid: "urn:p", peer: MAKER, address: dsp, callback: dsp };
    let now = world.parts.node.clocks.wall();
    let step = open_as_consumer(opening, "urn:a", "HttpData-PULL", None, now).unwrap();
    world.waits(opened_transfer(&step).unwrap()).await;
    world.answers(503, 10).await;
    for _ in 0..2 * MAX_ATTEMPTS {
        world.is_heard().await;
    }
    let noted = why::why(&world.parts.node, "urn:p").unwrap().steps.len();
    assert!(noted < 12, "{noted}");
    world.takes_it().await;
}

impl World {
    /// So many transfers are asked for in one frame.
    async fn asks(&self, first: usize, count: usize) {
        let dsp = "https://maker.example/dsp";
        let now = self.parts.node.clocks.wall();
        let rows = (first..first + count).flat_map(|n| {
            let pid = format!("urn:p{n}");
            let opening = Opening { own_pid: &pid, peer: MAKER, address: dsp, callback: dsp };
            let step = open_as_consumer(opening, "urn:a", "HttpData-PULL", None, now).unwrap();
            opened_transfer(&step).unwrap()
        });
        self.line.brought.lock().unwrap().clear();
        self.waits(rows.collect()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_frame_share_calls_and_each_has_its_own_answer() {
    let mut first = 0;
    // How many messages, what is said to a list and to each of it, and what each call brought; 0
    // for one that is no list.
    let mut check = async |world: &World, count, list: u16, each: &[u16], expect: &[usize]| {
        world.line.status.store(200, Ordering::SeqCst);
        world.line.to_lists.store(list, Ordering::SeqCst);
        *world.line.to_each.lock().unwrap() = each.to_vec();
        world.asks(first, count).await;
        first += count;
        assert_eq!(world.rests().await, expect, "{count} {list} {each:?}");
    };
    let world = World::open().await;
    // What is in the story of one whose message was tried again; nothing for one that was taken.
    let story = |world: &World, n: usize| {
        let story = why::why(&world.parts.node, &format!("urn:p{n}")).unwrap();
        let tried = story.steps.into_iter().find(|step| step.what == "attempt");
        tried.map(|step| step.text)
    };
    check(&world, 1, 200, &[], &[0]).await;
    check(&world, 5, 200, &[], &[5]).await;
    // As many as go with one call, and the rest.
    check(&world, 70, 200, &[], &[6, 64]).await;
    // Who is to come again comes alone, and who is refused not at all.
    check(&world, 5, 200, &[201, 409, 200], &[0, 5]).await;
    check(&world, 5, 200, &[503, 200, 404, 200], &[0, 0, 5]).await;
    for (n, said) in [(81, "503"), (82, ""), (83, "404"), (84, ""), (85, "")] {
        let tried = story(&world, n);
        match said {
            "" => assert_eq!(tried, None, "{n}"),
            said => assert!(tried.is_some_and(|text| text.contains(said)), "{n}"),
        }
    }
    check(&world, 5, 200, &[400, 400, 200], &[5]).await;
    // While the partner is busy or out of reach each is tried by itself.
    for status in [408, 429, 500, 502, 503, 504] {
        check(&world, 3, status, &[], &[0, 0, 0, 3]).await;
    }
    world.line.mumbles.store(true, Ordering::SeqCst);
    check(&world, 3, 200, &[], &[0, 0, 0, 3]).await;
    world.line.mumbles.store(false, Ordering::SeqCst);
    // What is wrong with one is no answer to the others, and who takes no lists has none for a
    // while.
    for status in [400, 404, 405, 413, 501, 204] {
        check(&world, 3, status, &[], &[0, 0, 0, 3]).await;
        check(&world, 3, 200, &[], &[0, 0, 0]).await;
        tokio::time::advance(Duration::from_secs(601)).await;
        check(&world, 3, 200, &[], &[3]).await;
    }
    world.stops().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_one_message_stands_in_the_story_of_no_other() {
    let world = World::open().await;
    world.line.echoes.store(true, Ordering::SeqCst);
    world.line.to_lists.store(503, Ordering::SeqCst);
    world.line.status.store(200, Ordering::SeqCst);
    world.asks(0, 4).await;
    assert_eq!(world.rests().await, [0, 0, 0, 0, 4]);
    for n in 0..4 {
        let story = why::why(&world.parts.node, &format!("urn:p{n}")).unwrap();
        let told: Vec<&str> = story.steps.iter().map(|step| step.text.as_str()).collect();
        assert!(told.iter().any(|text| text.contains("status 503")), "{told:?}");
        let of_others =
            |text: &&&str| (0..4).any(|o| o != n && text.contains(&format!("urn:p{o}")));
        assert_eq!(told.iter().find(of_others), None);
    }
    world.stops().await;
}
