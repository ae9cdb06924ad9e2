//! Power cuts at any step, over and over, and bits that rot: `TWINPACT_CUTS` says how many (1,000
//! when it does not), `TWINPACT_SEED` runs one seed alone, again.

use crate::workload::{End, UnderWay, World};
use std::collections::BTreeMap;
use std::sync::Arc;
use twinpact_store::redo::REDO_BYTES;
use twinpact_store::vfs::Vfs;
use twinpact_store::{Store, Subject};
use twinpact_testkit::disk::{EIO, ENOSPC};
use twinpact_testkit::{Careless, Ignores, Step};

/// How often a run is interrupted.
const ROUNDS: usize = 8;

/// How many bits rot after it.
const ROTS: usize = 4;

/// What runs came to.
#[derive(Debug, Default)]
struct Tally {
    cuts: usize,
    entries: usize,
    gone: usize,
    torn: usize,
    nonces: usize,
    rotten: usize,
}

/// One run of a seed: a node that is made, works, and is interrupted again and again.
fn run(
    seed: u64,
    program: impl FnOnce(Arc<dyn Vfs>) -> Arc<dyn Vfs>,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut world = World::new(seed, program);
    for round in 0..ROUNDS {
        plan(&mut world);
        let told = |end| format!("round {round}: {end}");
        match work(&mut world) {
            Ok(()) => {}
            Err(End::Refused(problem))
                if ["store.io", "store.full"].contains(&problem.code.name) =>
            {
                assert_eq!(problem.code.fault.to_string(), "us", "{problem}");
                assert!(problem.hint.is_some(), "{problem}");
            }
            Err(end) => return Err(told(end)),
        }
        // A program that was killed, or whose disk failed, may be started again before power goes.
        if !world.disk.is_off() && world.dice.one_in(2) {
            world.disk.kill();
            world.recover().map_err(told)?;
        }
        world.disk.power_cycle();
        tally.cuts += 1;
        world.recover().map_err(told)?;
    }
    for _ in 0..ROTS {
        tally.rotten += usize::from(world.rots().map_err(|end| format!("rot: {end}"))?);
    }
    let (entries, gone, torn) = world.tally();
    tally.entries += entries;
    tally.gone += gone;
    tally.torn += torn;
    tally.nonces += world.nonces_are_used_once().map_err(|end| end.to_string())?;
    Ok(())
}

/// What goes wrong next.
fn plan(world: &mut World) {
    let dice = &mut world.dice;
    // A node is made in about forty steps and started in fifteen; a frame takes two to ten.
    let within = if dice.one_in(3) { 75 } else { 35 };
    let steps = dice.below(within) as u64;
    match dice.below(8) {
        0 => world.disk.fail(Some(Step::Sync), steps / 3, EIO, false),
        1 => world.disk.fail(Some(Step::Write), steps / 3, ENOSPC, true),
        2 => world.disk.fail(None, steps, EIO, dice.one_in(2)),
        _ => world.disk.cut_after(steps),
    }
}

fn work(world: &mut World) -> Result<(), End> {
    let mut store = world.start()?;
    for _ in 0..12 {
        world.frame(&mut store)?;
    }
    Ok(())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn power_may_go_at_any_step() {
    let mut tally = Tally::default();
    if let Some(seed) = number("TWINPACT_SEED") {
        return run(seed, |disk| disk, &mut tally).unwrap();
    }
    let wanted = usize::try_from(number("TWINPACT_CUTS").unwrap_or(1_000)).unwrap();
    let mut seed = 0;
    while tally.cuts < wanted {
        run(seed, |disk| disk, &mut tally).unwrap_or_else(|why| {
            panic!(
                "seed {seed}: {why}\nagain: TWINPACT_SEED={seed} cargo test -p twinpact-store \
                 --test it power_may_go"
            )
        });
        seed += 1;
    }
    // Work was done between the cuts, and some of them came in the middle of a write.
    let Tally { cuts, entries, gone, torn, nonces, rotten } = tally;
    assert!(entries > cuts && gone > cuts / 4 && nonces > entries && torn > cuts / 50, "{tally:?}");
    assert!(rotten > cuts / ROUNDS, "of four bits of a run more than one is seen: {tally:?}");
}

/// A cut at each step of a run in which every frame destroys a key, over three disks.
#[test]
fn what_is_destroyed_is_gone_or_there_at_any_step() {
    for seed in 0..3 {
        let cuts = (0..).take_while(|steps| {
            let mut world = World::new(seed, |disk| disk);
            world.always_erases = true;
            world.disk.cut_after(*steps);
            let done = work(&mut world).is_ok();
            world.disk.power_cycle();
            world.recover().unwrap_or_else(|end| panic!("seed {seed}, cut {steps}: {end}"));
            world.nonces_are_used_once().unwrap_or_else(|end| panic!("cut {steps}: {end}"));
            !done
        });
        assert!(cuts.count() > 100);
    }
}

/// Three segments, and then a cut after so many steps while the twin is taken out of all of them.
/// Whether it was done before, and what a start finds under way.
fn cut_in_place(seed: u64, steps: u64) -> Result<(bool, Option<UnderWay>), End> {
    let mut world = World::new(seed, |disk| disk);
    world.twins = 1;
    let mut store = world.start()?;
    store.redo_up_to(REDO_BYTES);
    let twin = Subject::Twin("urn:pump:0".into());
    let has_it = |store: &Store| store.subject_key(&twin).is_some();
    while store.log().size().0 < 3 || !has_it(&store) || !world.dice.one_in(3) {
        world.frame(&mut store)?;
    }
    world.always_erases = true;
    world.disk.cut_after(steps);
    let done = world.frame(&mut store).is_ok();
    drop(store);
    world.disk.power_cycle();
    let under_way = world.under_way();
    world.recover()?;
    world.nonces_are_used_once()?;
    Ok((done, under_way))
}

#[test]
fn power_may_go_while_payloads_are_taken_out_in_place() {
    let mut met: BTreeMap<UnderWay, usize> = BTreeMap::new();
    for seed in 0..40 {
        let cuts = (0..).take_while(|steps| {
            let (done, under_way) = cut_in_place(seed, *steps)
                .unwrap_or_else(|end| panic!("seed {seed}, cut {steps}: {end}"));
            under_way.into_iter().for_each(|one| *met.entry(one).or_default() += 1);
            !done
        });
        assert!(cuts.count() > 20);
    }
    // In a closed segment and in the last, nothing, something and all of it was in place, and there
    // were frames of which the redo file had the only copy.
    let count = |wanted: &dyn Fn(&UnderWay) -> bool| -> usize {
        met.iter().filter(|(one, _)| wanted(one)).map(|(_, count)| count).sum()
    };
    for last in [false, true] {
        let counts = [
            count(&|one| one.last == last && !one.begun && !one.harmed),
            count(&|one| one.last == last && one.begun && !one.done),
            count(&|one| one.last == last && one.done),
            count(&|one| one.last == last && one.harmed),
        ];
        assert!(counts.iter().all(|count| *count >= 3), "last: {last}, {counts:?}");
    }
}

/// Whoever forgets one kind of sync is found out.
#[test]
fn a_sync_that_is_left_out_is_caught() {
    for ignores in Ignores::ALL {
        let caught = (0..400).find_map(|seed| {
            let careless = |disk| Arc::new(Careless::new(disk, ignores)) as Arc<dyn Vfs>;
            run(seed, careless, &mut Tally::default()).err()
        });
        assert!(caught.is_some(), "{ignores:?} went unseen");
    }
}
