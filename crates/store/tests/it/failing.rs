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
    world.disk.fail(step, after, errno, lasting);
    let what = format!("{step:?} {after} with {errno}, lasting {lasting}");
    let failed = match work(&mut world) {
        Ok(()) => false,
        Err(End::Refused(problem)) => {
            assert_eq!(problem.code.name, "store.io", "{what}: {problem}");
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
fn any_step_may_fail_once_or_from_then_on() {
    for step in STEPS {
        for (errno, lasting) in [(EIO, false), (ENOSPC, true), (EROFS, true)] {
            let failed =
                (0..).take_while(|after| check(Some(step), *after, errno, lasting)).count();
            // Nothing is removed unless a start was interrupted.
            assert_eq!(failed > 0, step != Step::Remove, "{step:?}");
        }
    }
    let failed = (0..).take_while(|after| check(None, *after, EROFS, true)).count();
    assert!(failed > 60, "{failed}");
}
