//! The stream of a view: every row once and in the order in which it was recorded, whatever cuts
//! it; nothing at or after the instant at which it is no longer permitted.

use crate::liveness::fresh_token;
use crate::operator::message;
use crate::streaming_world::{EVENING, Event, World, end, event};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use twinpact_model::Did;
use twinpact_model::entry::Kind;
use twinpact_node::fold::Fold;
use twinpact_node::stream::Stream;
use twinpact_node::{agreements, partners, removal};
use twinpact_proof::digest::from_hex;
use twinpact_proof::tree::consistent;
use twinpact_proof::{Bundle, verify};
use twinpact_store::Store;
use twinpact_store::directory::Directory;
use twinpact_store::vfs::RealDisk;

fn agreement(fold: &Fold) -> String {
    twinpact_proof::to_hex(&fold.agreements.iter().next().unwrap().id)
}

#[tokio::test]
async fn rows_come_as_they_are_recorded_each_part_proven() {
    let world = World::open().await;
    world.ingest(&[(1, 1, 0, 1), (2, 1, 1, 2)]).await;
    // From now on: its first event has no rows, and says from where it can be gone on with.
    let mut stream = world.ask("", None).await.unwrap();
    let first = event(&mut stream).await;
    assert!(first.values.is_empty());
    // Late, another value for the first, and one that the view does not show.
    world.ingest(&[(3, 2, -9, 3), (1, 1, 0, 4), (4, 1, EVENING, 5)]).await;
    let second = event(&mut stream).await;
    assert_eq!(second.values, ["3", "4"]);
    // One that shows nothing wakes nobody; the next one does.
    world.ingest(&[(5, 1, EVENING + 1, 6)]).await;
    world.ingest(&[(6, 1, 9, 7)]).await;
    let third = event(&mut stream).await;
    assert_eq!(third.values, ["7"]);
    for (one, other) in [(&first, &second), (&second, &third)] {
        let [one_bundle, other_bundle] = [one, other].map(bundle);
        verify(&other_bundle.to_bytes(), None).unwrap();
        assert_eq!(other.position, one.position + 1);
        // Each continues the one before.
        let proof = |name: &str| -> Vec<[u8; 32]> {
            let hashes = other.body["consistency"][name].as_array().unwrap().iter();
            hashes.map(|hash| from_hex(hash.as_str().unwrap()).unwrap()).collect()
        };
        let (old, new) = (&one_bundle.tree, &other_bundle.tree);
        assert!(consistent(old.size, &old.root, new.size, &new.root, &proof("ledger")));
        let (old, new) = (&one_bundle.anchor, &other_bundle.anchor);
        assert!(consistent(old.size, &old.root, new.size, &new.root, &proof("anchor")));
    }
    drop(stream);
    world.stop();
}

fn bundle(event: &Event) -> Bundle {
    Bundle::parse(event.body["proof"].as_str().unwrap().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_position_is_one_of_this_stream_or_refused() {
    let world = World::open().await;
    world.ingest(&[(1, 1, 0, 1)]).await;
    let page = world.pull().await;
    let mut stream = world.ask("from=start", None).await.unwrap();
    let first = event(&mut stream).await;
    assert_eq!(first.values, ["1"]);
    drop(stream);
    world.ingest(&[(2, 1, 1, 2)]).await;
    let good = first.position.to_string();
    let state = || world.node().partition.read(|fold, _| format!("{:?}", fold.agreements)).unwrap();
    let before = state();
    for (query, last, code) in [
        (format!("after={page}"), None, "stream.position"),
        (format!("after={}", first.position + 1), None, "stream.position"),
        (format!("after={}", u64::MAX), None, "stream.position"),
        (format!("after={good}"), Some("99"), "stream.position"),
        ("after=-1".to_owned(), None, "input.malformed"),
        (format!("after={}0", u64::MAX), None, "input.malformed"),
        ("after=".to_owned(), None, "input.malformed"),
        ("from=end".to_owned(), None, "input.malformed"),
        (format!("after={good}&from=start"), None, "input.malformed"),
        ("since=2015-07-27T00:00:00Z".to_owned(), None, "input.malformed"),
        (String::new(), Some("x"), "input.malformed"),
    ] {
        let refused = world.ask(&query, last).await.err();
        assert_eq!(refused.as_deref(), Some(code), "{query} {last:?}");
        assert_eq!(world.node().streams.open(), 0, "{query} holds a place");
    }
    assert_eq!(state(), before);
    // The header counts more than the query: a reader that comes again repeats its query.
    for (query, last) in [(format!("after={good}"), None), ("from=start".into(), Some(&*good))] {
        let mut stream = world.ask(&query, last).await.unwrap();
        assert_eq!(event(&mut stream).await.values, ["2"], "{query}");
    }
    world.stop();
}

/// That a stream ends so, and that nothing comes after it.
async fn flipped(stream: &mut Stream, code: &str) {
    let document = end(stream).await;
    assert_eq!(document["code"], code, "{document}");
    assert!(stream.next().await.is_none(), "something comes after the end");
}

#[tokio::test]
async fn a_stream_ends_at_the_instant_at_which_the_policy_flips() {
    let world = World::open().await;
    let mut stream = world.ask("from=start", None).await.unwrap();
    event(&mut stream).await;
    world.set_policy("2015-07-27T18:59:59.999999+02:00");
    world.ingest(&[(1, 1, 0, 1)]).await;
    let last = event(&mut stream).await;
    assert_eq!(last.values, ["1"]);
    // Rows are there, and the clock steps onto the boundary: the end comes, and nothing else.
    let node = world.node().clone();
    let (ended, ()) = tokio::join!(end(&mut stream), async {
        world.set_policy("2015-07-27T19:00:00+02:00");
        world.ingest(&[(2, 1, 1, 2)]).await;
    });
    assert_eq!(ended["code"], "policy.schedule");
    assert_eq!(ended["opensAt"], "2015-07-28T05:00:00Z");
    assert!(ended["detail"].as_str().unwrap().contains("07:00"), "{ended}");
    let receipts = twinpact_node::receipts::list(&node, 100, None).unwrap();
    let boundary = twinpact_model::Timestamp::parse("2015-07-27T19:00:00+02:00").unwrap();
    assert!(receipts.iter().all(|receipt| receipt.at < boundary), "{receipts:?}");
    assert_eq!(world.ask("", None).await.err().as_deref(), Some("policy.schedule"));
    // In the morning it goes on where it was.
    world.set_policy("2015-07-28T07:00:00+02:00");
    let query = format!("after={}", last.position);
    let mut stream = world.ask(&query, None).await.unwrap();
    assert_eq!(event(&mut stream).await.values, ["2"]);
    drop(stream);
    world.stop();
}

#[tokio::test]
async fn a_clock_that_is_set_back_before_the_decision_has_it_decided_anew() {
    let world = World::open().await;
    let mut stream = world.ask("", None).await.unwrap();
    event(&mut stream).await;
    world.set_policy("2015-07-26T12:00:00+02:00");
    flipped(&mut stream, "policy.schedule").await;
    world.stop();
}

#[tokio::test]
async fn a_stream_ends_with_agreement_transfer_token_partner_and_node() {
    let mut world = World::open().await;
    let node = world.node().clone();
    let opened = async |world: &World| {
        let mut stream = world.ask("", None).await.unwrap();
        event(&mut stream).await;
        stream
    };
    // Another token, once it is used, retires the one of the stream.
    let mut stream = opened(&world).await;
    let fresh = fresh_token(&node, &world.operator, &world.pid).await;
    world.token = fresh;
    world.pull().await;
    flipped(&mut stream, "policy.token.retired").await;
    // Its consumer suspends the transfer.
    stream = opened(&world).await;
    let pids = json!({"providerPid": world.pid, "consumerPid": "urn:c:1"});
    let say = async |world: &World, kind: &str, leaf: &str| {
        let body = message(kind, pids.clone()).to_string();
        let path = format!("/transfers/{}/{leaf}", world.pid);
        assert_eq!(world.operator.ask("POST", &path, body.as_bytes()).await.status, 200);
    };
    say(&world, "TransferSuspensionMessage", "suspension").await;
    flipped(&mut stream, "policy.suspended").await;
    say(&world, "TransferStartMessage", "start").await;
    // The assertion runs out, by the wall clock; a commit lets it look.
    stream = opened(&world).await;
    world.ahead.fetch_add(121_000_000, Ordering::SeqCst);
    world.ingest(&[(1, 1, 0, 1)]).await;
    flipped(&mut stream, "policy.assertion.expired").await;
    world.ahead.store(0, Ordering::SeqCst);
    // The node stops.
    stream = opened(&world).await;
    node.streams.close();
    flipped(&mut stream, "stream.closed").await;
    drop((stream, node));
    let world = world.restarted().await;
    let mut stream = world.ask("", None).await.unwrap();
    event(&mut stream).await;
    let mut other = world.ask("", None).await.unwrap();
    event(&mut other).await;
    // The agreement is revoked; the partner is removed.
    let name = world.node().partition.read(|fold, _| agreement(fold)).unwrap();
    let (ended, revoked) =
        tokio::join!(end(&mut stream), agreements::revoke(world.node(), &name, "enough"));
    assert_eq!(ended["code"], "policy.revoked", "{:?}", revoked.unwrap());
    removal::remove(world.node(), "did:web:maker.example", "enough").await.unwrap();
    let ended = end(&mut other).await;
    assert_eq!(ended["code"], "partner.unknown");
    assert!(partners::list(world.node(), None).unwrap().is_empty());
    world.stop();
}

#[tokio::test]
async fn each_end_is_on_record_and_the_log_holds() {
    let world = World::open().await;
    let mut stream = world.ask("from=start", None).await.unwrap();
    event(&mut stream).await;
    drop(stream);
    let mut stream = world.ask("", None).await.unwrap();
    event(&mut stream).await;
    stream.cut();
    drop(stream);
    let mut stream = world.ask("", None).await.unwrap();
    event(&mut stream).await;
    world.set_policy("2015-07-26T12:00:00+02:00");
    end(&mut stream).await;
    assert_eq!((world.node().streams.open(), world.node().streams.held()), (1, 0));
    drop(stream);
    assert_eq!(world.node().streams.open(), 0);
    let place = world.stop();
    let path = place.path().join("operator");
    let mut ends = Vec::new();
    let directory = Directory::open(Arc::new(RealDisk), &path).unwrap();
    let did = Did::new("did:web:operator.example").unwrap();
    Store::open(directory, &did, |_, logged| {
        if logged.entry.who.kind == Kind::StreamEnded {
            ends.push(logged.entry.get("code").unwrap().to_owned());
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(ends, ["left", "stream.slow", "policy.schedule"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_nothing_to_say_beats() {
    let world = World::open().await;
    let mut stream = world.ask("", None).await.unwrap();
    event(&mut stream).await;
    let since = tokio::time::Instant::now();
    for beats in 1..=3 {
        let item = stream.next().await.unwrap();
        assert!(matches!(item, twinpact_node::egress::Item::Beat));
        let after = since.elapsed().as_secs();
        assert!((15 * beats..15 * beats + 2).contains(&after), "{after}");
    }
    drop(stream);
    world.stop();
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Rows of (id, twin, second) are recorded.
    Write(Vec<(u32, u8, i64)>),
    /// The reader takes an event, and keeps it.
    Take,
    /// The reader takes an event, and the connection ends before it has it.
    Lose,
    /// The connection ends.
    Cut,
    /// The node is started again.
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    let second = prop_oneof![4 => 0i64..600, 1 => EVENING..EVENING + 9];
    prop_oneof![
        6 => prop::collection::vec((0u32..40, 0u8..3, second), 1..5).prop_map(Step::Write),
        8 => Just(Step::Take),
        2 => Just(Step::Lose),
        2 => Just(Step::Cut),
        1 => Just(Step::Restart),
    ]
}

/// A reader that keeps its position with what it has.
#[derive(Default)]
struct Reader {
    stream: Option<Box<Stream>>,
    position: Option<u64>,
    got: Vec<u32>,
}

impl Reader {
    /// Takes an event when there is one; whether it comes to be kept.
    async fn takes(&mut self, world: &World, standing: &BTreeMap<u32, (u32, bool)>, keep: bool) {
        let last = self.got.last().copied().unwrap_or(0);
        let waits = standing.values().any(|(value, shown)| *shown && *value > last);
        if !waits && self.position.is_some() {
            return;
        }
        if self.stream.is_none() {
            let query = match self.position {
                Some(position) => format!("after={position}"),
                None => "from=start".to_owned(),
            };
            self.stream = Some(world.ask(&query, None).await.unwrap());
        }
        let event = event(self.stream.as_mut().unwrap()).await;
        if keep {
            self.position = Some(event.position);
            self.got.extend(event.values.iter().map(|value| value.parse::<u32>().unwrap()));
        } else {
            self.stream = None;
        }
    }
}

/// A follower has every row of the view that stands in the end exactly once, and in the order in
/// which they were recorded, for any interleaving.
#[test]
fn a_follower_loses_and_repeats_nothing_whatever_happens() {
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(any_step(), 10..40);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let run = |steps: Vec<Step>| {
        runtime.block_on(async {
            let (mut world, mut reader) = (World::open().await, Reader::default());
            // The value of each id, and whether the view shows its row.
            let (mut standing, mut number) = (BTreeMap::<u32, (u32, bool)>::new(), 0);
            for step in steps {
                match step {
                    Step::Write(rows) => {
                        let mut batch = Vec::new();
                        for (id, twin, second) in rows {
                            // An id at its source stays with its twin.
                            let (id, twin) = (id * 3 + u32::from(twin), twin);
                            number += 1;
                            batch.push((id, twin, second, number));
                            standing.insert(id, (number, second < EVENING));
                        }
                        world.ingest(&batch).await;
                    }
                    Step::Take => reader.takes(&world, &standing, true).await,
                    Step::Lose => reader.takes(&world, &standing, false).await,
                    Step::Cut => reader.stream = None,
                    Step::Restart => {
                        reader.stream = None;
                        world = world.restarted().await;
                    }
                }
            }
            for _ in 0..60 {
                reader.takes(&world, &standing, true).await;
            }
            reader.stream = None;
            world.stop();
            (reader.got, standing)
        })
    };
    TestRunner::new(config)
        .run(&steps, |steps| {
            let (got, standing) = run(steps);
            prop_assert!(got.is_sorted_by(|a, b| a < b), "{got:?}");
            for (value, shown) in standing.values() {
                prop_assert_eq!(got.contains(value), *shown, "{} {:?}", value, &got);
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn an_event_is_held_until_it_is_taken_and_no_longer_than_its_reader() {
    let world = World::open().await;
    let mut stream = world.ask("", None).await.unwrap();
    event(&mut stream).await;
    assert_eq!(world.node().streams.held(), 1);
    let waited = tokio::time::timeout(Duration::ZERO, stream.next()).await;
    assert!(waited.is_err(), "nothing was recorded");
    assert_eq!(world.node().streams.held(), 0, "to ask on is to have taken");
    drop(stream);
    assert_eq!(world.node().streams.open(), 0);
    world.stop();
}
