//! Two machines over a network that loses, repeats and reorders, with outages longer than anybody's
//! patience, and with crashes of either party before and after it commits a step. After every event
//! the two states fit; when the network is whole again both end alike, or both know why not.

mod machine;
mod world;

use proptest::prelude::*;
use world::{CONSUMER, Cut, PROVIDER, World};

/// Who decides what, and where both are then: a negotiation with a counter-offer.
const NEGOTIATION: [(usize, usize, &str); 7] = [
    (PROVIDER, 0, "OFFERED"),
    (CONSUMER, 5, "REQUESTED"),
    (PROVIDER, 0, "OFFERED"),
    (CONSUMER, 2, "ACCEPTED"),
    (PROVIDER, 1, "AGREED"),
    (CONSUMER, 3, "VERIFIED"),
    (PROVIDER, 4, "FINALIZED"),
];

/// A transfer that either side suspends and resumes.
const TRANSFER: [(usize, usize, &str); 6] = [
    (PROVIDER, 0, "STARTED"),
    (CONSUMER, 2, "SUSPENDED"),
    (PROVIDER, 0, "STARTED"),
    (PROVIDER, 2, "SUSPENDED"),
    (CONSUMER, 0, "STARTED"),
    (CONSUMER, 4, "COMPLETED"),
];

fn story(transfer: bool) -> &'static [(usize, usize, &'static str)] {
    if transfer { &TRANSFER } else { &NEGOTIATION }
}

/// With a good network and good will a negotiation and its transfer succeed.
#[test]
fn without_trouble_all_is_well() {
    for transfer in [false, true] {
        let mut world = World::new(transfer);
        for (at, decision, expect) in story(transfer) {
            world.settle();
            world.decide(*at, *decision).unwrap().unwrap();
            world.settle();
            assert_eq!(world.names(), [*expect, *expect]);
        }
    }
}

/// The same with one crash, at each commit of either party, before it and after it: who is back
/// sends again what it had not delivered, and decides again what it had not committed. No deadline
/// has to come for that.
#[test]
fn a_crash_at_any_step_changes_nothing() {
    for (transfer, cut) in
        [(false, Cut::Before), (false, Cut::After), (true, Cut::Before), (true, Cut::After)]
    {
        let mut commits = 0;
        while crashes_at(transfer, commits, cut) {
            commits += 1;
        }
        // Each message is decided on, taken, and known to be taken.
        assert_eq!(commits, 3 * story(transfer).len() + 2, "{transfer} {cut:?}");
    }
}

/// Whether that commit came; the story is told to its end in any case.
fn crashes_at(transfer: bool, commit: usize, cut: Cut) -> bool {
    let mut world = World::new(transfer);
    world.cut_off(commit, cut);
    for (at, decision, expect) in story(transfer) {
        world.settle();
        if world.decide(*at, *decision).is_none() && cut == Cut::Before {
            world.decide(*at, *decision).unwrap().unwrap();
        }
        world.settle();
        assert_eq!(world.names(), [*expect, *expect], "{cut:?} the commit {commit}");
    }
    assert!(!world.has_let_go(), "what came twice was refused: {cut:?} the commit {commit}");
    !world.is_to_be_cut()
}

fn run(mut world: World, events: &[(u8, usize)]) -> World {
    for (kind, n) in events {
        world.event(*kind, *n);
    }
    world.agree_in_time();
    world.finish();
    world
}

fn events() -> impl Strategy<Value = Vec<(u8, usize)>> {
    proptest::collection::vec((0u8..20, 0usize..4096), 0..120)
}

/// Mostly copies, and agreements that are drawn up anew.
fn copies() -> impl Strategy<Value = Vec<(u8, usize)>> {
    let kinds = prop::sample::select(vec![0u8, 0, 0, 3, 3, 3, 9, 9, 14, 17, 18, 19, 19]);
    proptest::collection::vec((kinds, 0usize..4096), 20..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn negotiations_end_alike(events in events()) {
        let world = run(World::new(false), &events);
        prop_assert!(world.is_over(), "{:?}", world.names());
        prop_assert!(world.is_alike() || world.is_known_to_differ(), "{:?}", world.names());
    }

    /// From where both know of the agreement: its provider draws it up anew in most of these.
    #[test]
    fn what_is_agreed_is_one_agreement(events in copies()) {
        let mut world = World::new(false);
        world.settle();
        world.decide(PROVIDER, 1).unwrap().unwrap();
        // It has arrived and was answered, and two copies of it are on their way.
        for (kind, n) in [(0, PROVIDER), (9, 0), (9, 0), (3, 0), (3, 2)] {
            world.event(kind, n);
        }
        let world = run(world, &events);
        prop_assert!(world.is_over(), "{:?}", world.names());
        prop_assert!(world.is_alike() || world.is_known_to_differ(), "{:?}", world.names());
    }

    #[test]
    fn transfers_end_alike(events in events()) {
        let world = run(World::new(true), &events);
        prop_assert!(world.is_over(), "{:?}", world.names());
        prop_assert!(world.is_alike() || world.is_known_to_differ(), "{:?}", world.names());
    }
}
