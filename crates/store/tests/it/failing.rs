//! A disk that fails at the N-th step, for every N and every kind of step until the work is done.

use crate::workload::{End, World};
use twinpact_testkit::disk::{EIO, ENOSPC, EROFS, STEPS};
use twinpact_testkit::{SimDisk, Step};

/// Makes a node, gives it a few frames, starts it again, and gives it a few more.
fn work(world: &mut World) -> Result<(), End> {
    for _ in 0..2 {
        let mut store = world.start()?;
        for _ in 0..5 {
            world.frame(&mut store)?;
        }
    }
    Ok(())
}

/// The work with that failure; whether it came to it. Whatever failed, the refusal says whose fault
/// it is and what to do, and what was acknowledged is there when the node is started again, before
/// power goes and after.
fn check(step: Option<Step>, after: u64, errno: i32, lasting: bool) -> bool {
    let mut world = World::new(7, |disk| disk);
    world.always_erases = true;
    world.disk.fail(step, after, errno, lasting);
    let what = format!("{step:?} {after} with {errno}, lasting {lasting}");
    let failed = match work(&mut world) {
        Ok(()) => false,
        Err(End::Refused(problem)) => {
            let code = match errno {
                ENOSPC => "store.full",
                EROFS => "store.readonly",
                _ => "store.io",
            };
            assert_eq!(problem.code.name, code, "{what}: {problem}");
            assert_eq!(problem.code.fault.to_string(), "us", "{what}: {problem}");
            assert!(problem.hint.is_some(), "{what}: {problem}");
            true
        }
        Err(end) => panic!("{what}: {end}"),
    };
    for again in [SimDisk::kill, SimDisk::power_cycle] {
        again(&world.disk);
        world.recover().unwrap_or_else(|end| panic!("{what}: {end}"));
    }
    failed
}

#[test]
fn a_disk_that_is_full_refuses_a_start_and_nothing_changes() {
    // The copy of the keystore, then that of the newest frame.
    for after in [0, 1] {
        let mut world = World::new(7, |disk| disk);
        work(&mut world).unwrap_or_else(|end| panic!("{end}"));
        world.disk.kill();
        let before = world.disk.files();
        world.disk.fail(Some(Step::Write), after, ENOSPC, true);
        match world.start() {
            Err(End::Refused(problem)) => {
                assert_eq!(problem.code.name, "store.full", "{problem}");
                assert!(problem.message.contains("No space left"), "{problem}");
                assert!(problem.hint.is_some_and(|hint| hint.contains("make room")));
            }
            Err(end) => panic!("{end}"),
            Ok(_) => panic!("started on a full disk"),
        }
        assert!(world.disk.files() == before, "{after}: a file was changed");
        world.disk.kill();
        world.recover().unwrap_or_else(|end| panic!("{end}"));
    }
}

#[test]
fn any_step_may_fail_once_or_from_then_on() {
    for step in STEPS {
        for (errno, lasting) in [(EIO, false), (ENOSPC, true), (EROFS, true)] {
            let failed =
                (0..).take_while(|after| check(Some(step), *after, errno, lasting)).count();
            assert!(failed > 0, "{step:?}");
        }
    }
    let failed = (0..).take_while(|after| check(None, *after, EROFS, true)).count();
    assert!(failed > 60, "{failed}");
}
