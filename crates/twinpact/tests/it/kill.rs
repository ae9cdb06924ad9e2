//! Two organisations, of which one is killed in the middle: at a write, a sync, before a message is
//! sent or when it was answered, wherever there are any during ingest, negotiation, transfer and
//! pull. After the restart the same command is given again, and everything is as if nothing had
//! happened: done, and done once.

use crate::federation::{INGEST, OPERATOR, PUBLISH, PURPOSE, free_port, make, ok, prepare};
use crate::mortal::{Both, NODES};
use crate::world::World;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use twinpact_testkit::Moment;

/// At how many points of a phase a node is killed, at most, when `TWINPACT_KILLS` does not say so.
const POINTS: usize = 7;
/// How often at least a node was killed in the end.
const LEAST: usize = 30;
/// The rows of the file.
const FACTS: usize = 20;

/// What is disturbed.
struct Phase {
    name: &'static str,
    command: String,
    /// Whose node may be killed.
    nodes: &'static [usize],
}

/// What both hold in the end.
type Seen = [Value; 2];

fn restore(world: &World, from: &str) {
    for node in NODES {
        std::fs::remove_dir_all(world.path(node)).unwrap();
        world.copy(&format!("{from}-{node}"), node);
    }
}

fn keep(world: &World, phase: &str) {
    NODES.iter().for_each(|node| world.copy(node, &format!("{phase}-{node}")));
}

/// Runs the phase undisturbed: what both hold then, and where each node may be killed.
fn undisturbed(world: &Arc<World>, phase: &Phase) -> (Seen, Vec<(usize, Moment, usize)>) {
    let mut both = Both::start(world);
    both.at_rest();
    for node in 0..NODES.len() {
        both.passed(node);
    }
    ok(world, &phase.command);
    let (seen, _) = both.at_rest();
    let mut points = Vec::new();
    for node in phase.nodes {
        let counts = both.passed(*node);
        let of = |(moment, count): (Moment, usize)| (1..=count).map(move |n| (*node, moment, n));
        let all: Vec<_> = Moment::ALL.into_iter().zip(counts).flat_map(of).collect();
        let most = std::env::var("TWINPACT_KILLS").map_or(POINTS, |kills| kills.parse().unwrap());
        let few = all.len().min(most);
        points.extend((0..few).map(|n| all[n * all.len() / few]));
    }
    both.stop();
    (seen, points)
}

/// The same from the same start, with one node killed there. Whether it was: a sync may be shared
/// by what had two before.
#[allow(clippy::print_stdout, reason = "a test that fails says where")]
fn disturbed(
    world: &Arc<World>,
    phase: &Phase,
    (node, moment, n): (usize, Moment, usize),
    expected: &Seen,
) -> bool {
    let mut both = Both::start(world);
    both.at_rest();
    both.ends_at(node, moment, n);
    let label = format!("{}, {}, {moment:?} {n}", phase.name, NODES[node]);
    println!("{label}");
    let (first, mut killed) = both.runs(node, &phase.command);
    if first.code != 0 {
        assert!(killed, "{label}: {}", first.stderr);
        let again = world.run(&phase.command);
        assert_eq!(again.code, 0, "{label}: {} then {}", first.stderr, again.stderr);
    }
    let (seen, later) = both.at_rest();
    // A tick may come late.
    killed |= later || both.ends_before_it_is_spared(node);
    both.stop();
    check(world, &label, expected, &seen);
    killed
}

/// Whether both hold what they hold when nobody is disturbed.
fn check(world: &World, label: &str, expected: &Seen, seen: &Seen) {
    for (node, (expected, seen)) in NODES.iter().zip(expected.iter().zip(seen)) {
        for what in ["twins", "facts", "negotiations", "transfers", "agreements"] {
            let number = |seen: &Value| match what {
                // Their ids are new ones in each run.
                "agreements" => seen[what].as_array().unwrap().len().into(),
                _ => seen[what].clone(),
            };
            assert_eq!(number(seen), number(expected), "{label}: {what} of the {node}");
        }
        let report = world.json(&format!("check --dir {node}"));
        let harm = (&report["wrong"], &report["torn"]);
        assert_eq!(harm, (&0.into(), &Value::Null), "{label}: {node}: {report}");
    }
    let [operator, maker] = seen;
    // One agreement, active and signed by both, and it is the same.
    assert_eq!(operator["agreements"], maker["agreements"], "{label}");
    delivered(label, expected, seen);
}

/// Each delivery is stored once, or was followed by one that is, because the command was given
/// again; what is stored is signed by both.
fn delivered(label: &str, expected: &Seen, seen: &Seen) {
    let deliveries = seen[0]["deliveries"].as_array().unwrap();
    let copies = seen[1]["copies"].as_array().unwrap();
    let names: HashSet<&Value> = deliveries.iter().map(|delivery| &delivery["name"]).collect();
    assert_eq!(names.len(), deliveries.len(), "{label}: a delivery twice");
    assert!(copies.iter().all(|copy| names.contains(copy)), "{label}: a copy of no delivery");
    for delivery in deliveries {
        let stored = copies.contains(&delivery["name"]);
        assert_eq!(delivery["countersigned"], stored, "{label}: {delivery}");
    }
    let last = deliveries.last().map(|delivery| &delivery["name"]);
    assert!(last.is_none_or(|last| copies.contains(last)), "{label}: the last one is lost");
    let undisturbed = expected[1]["copies"].as_array().unwrap().len();
    assert!((undisturbed..=undisturbed + 1).contains(&copies.len()), "{label}: {copies:?}");
}

fn phases() -> [Phase; 4] {
    let phase = |name, command: String, nodes| Phase { name, command, nodes };
    let pull = format!("pull AGREEMENT --purpose {PURPOSE} --place FR --dir maker");
    [
        phase("ingest", INGEST.to_owned(), &[0][..]),
        phase("negotiation", format!("negotiate {OPERATOR} --dir maker"), &[0, 1]),
        // The first pull opens the transfer; after it, and after a restart, there is one without a
        // token.
        phase("transfer", pull.clone(), &[0, 1]),
        phase("pull", pull, &[0, 1]),
    ]
}

/// An operator with a model and a maker that know each other; neither runs.
pub(crate) fn introduced() -> Arc<World> {
    let (world, ports) = (Arc::new(World::empty()), (free_port(), free_port()));
    make(&world, "operator", OPERATOR, ports.0, ports.1);
    make(&world, "maker", "did:web:maker.example", ports.1, ports.0);
    prepare(&world);
    let both = Both::start(&world);
    for (us, other) in [("operator", "maker"), ("maker", "operator")] {
        let record = ok(&world, &format!("trust export --dir {other}"));
        world.write(&format!("{other}.json"), record.stdout.as_bytes());
        ok(&world, &format!("partner add {other}.json --dir {us}"));
    }
    both.stop();
    world
}

#[test]
fn a_node_that_is_killed_anywhere_goes_on_and_does_nothing_twice() {
    let world = introduced();
    let mut kills = 0;
    for mut phase in phases() {
        if phase.command.contains("AGREEMENT") {
            let list = world.json("agreement list --dir maker");
            phase.command = phase.command.replace("AGREEMENT", list[0]["id"].as_str().unwrap());
        }
        keep(&world, phase.name);
        let (expected, points) = undisturbed(&world, &phase);
        keep(&world, "after");
        for point in points {
            restore(&world, phase.name);
            kills += usize::from(disturbed(&world, &phase, point, &expected));
        }
        restore(&world, "after");
        for node in NODES {
            std::fs::remove_dir_all(world.path(&format!("after-{node}"))).unwrap();
        }
        if phase.name == "ingest" {
            assert_eq!(expected[0]["facts"], FACTS);
            ok(&world, PUBLISH);
        }
    }
    let pulled = world.json("check --dir maker");
    assert_eq!(
        (&pulled["counts"]["copies"], &pulled["counts"]["agreements"]),
        (&2.into(), &1.into())
    );
    assert!(kills >= LEAST, "a node was killed {kills} times only");
}
