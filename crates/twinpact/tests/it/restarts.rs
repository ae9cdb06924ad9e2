//! Many negotiations at once, and either node killed again and again at a moment that dice say: at
//! a write, a sync, before a message is sent or when it was answered. No negotiation is lost, none
//! concluded twice, none stuck.

use crate::federation::{INGEST, OPERATOR, PUBLISH, ok};
use crate::kill::introduced;
use crate::mortal::{Both, NODES};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use twinpact_testkit::{Dice, Moment};

/// How often a node is killed when `TWINPACT_RESTARTS` does not say so.
const KILLS: usize = 12;
/// How many negotiations are opened for each kill, and at least: there have to be some that are
/// open at the last one.
const A_KILL: usize = 12;
const LEAST: usize = 200;
/// At which moments a node is killed, and at which of them at most: writes, syncs and calls are
/// shared by many messages.
const MOMENTS: [(Moment, usize); 4] =
    [(Moment::Write, 2), (Moment::Sync, 2), (Moment::Send, 2), (Moment::Reply, 2)];
/// More than the usual bounds of one partner.
const QUOTAS: &str = "\n[quotas]\nnegotiations = 100000\nagreements = 100000\n\
                      requests_per_second = 100000\nbytes_per_second = 1000000000\n";

fn kills() -> usize {
    std::env::var("TWINPACT_RESTARTS").map_or(KILLS, |kills| kills.parse().unwrap())
}

/// How a node stands: negotiations that are open, messages that were not sent, agreements.
fn stands(status: &Value) -> [u64; 3] {
    ["open", "unsent", "agreements"].map(|name| status[name].as_u64().unwrap())
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that fails says where")]
fn negotiations_survive_restarts_of_either_side_at_any_point() {
    let (kills, world) = (kills(), introduced());
    let many = (A_KILL * kills).max(LEAST) as u64;
    for node in NODES {
        let path = world.path(node).join("twinpact.toml");
        let mut config = std::fs::File::options().append(true).open(path).unwrap();
        config.write_all(QUOTAS.as_bytes()).unwrap();
    }
    ok(&world, INGEST);
    ok(&world, PUBLISH);
    let mut both = Both::start(&world);
    both.does(1, &format!("open {OPERATOR} {many}"), "opened");
    both.watched();
    let mut dice = Dice::new(7);
    let (mut killed, mut last, done) = (0, [None, None], [0, 0, many]);
    while last != [Some(done), Some(done)] {
        let (by, status) = both.next_frame();
        last[by] = status.as_ref().map(stands);
        // Either the first is planned, or one has ended and the next is.
        if (killed == 0 || status.is_none()) && killed <= kills {
            let (node, (moment, most)) = (dice.below(2), MOMENTS[dice.below(MOMENTS.len())]);
            let n = 1 + dice.below(most);
            if killed < kills {
                println!("kill {killed}: the {}, {moment:?} {n}, {last:?}", NODES[node]);
                both.will_end_at(node, moment, n);
            }
            killed += 1;
        }
    }
    assert!(killed > kills, "done before kill {killed}: open more");
    both.stop();
    let agreements = |node: &str| {
        let list = world.json(&format!("agreement list --dir {node}"));
        let all = list.as_array().unwrap().clone();
        assert!(all.iter().all(|one| one["state"] == "active"), "{node}");
        let ids = all.iter().map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect::<BTreeSet<_>>()
    };
    let (ours, theirs) = (agreements("operator"), agreements("maker"));
    assert_eq!(ours.len() as u64, many);
    assert_eq!(ours, theirs);
    for node in NODES {
        let report = world.json(&format!("check --dir {node}"));
        assert_eq!((&report["wrong"], &report["torn"]), (&0.into(), &Value::Null), "{node}");
    }
}
