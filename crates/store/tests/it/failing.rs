//! A disk that fails at the N-th step, for every N and every kind of step until the work is done.

use crate::workload::{End, World};
use std::path::Path;
use std::sync::Arc;
use twinpact_store::Directory;
use twinpact_store::directory::CONFIG_FILE;
use twinpact_store::frame::{Frame, SealedEntry};
use twinpact_store::log::{Log, Place};
use twinpact_store::redo::Redo;
use twinpact_store::vfs::Vfs;
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

const ORGANISATION: [u8; 32] = [1; 32];
const NODE: &str = "/disk/node";

/// Opens the log, and what it replays.
fn opened(disk: &SimDisk) -> (Log, Vec<(Frame, Place)>) {
    let directory = Directory::open(Arc::new(disk.clone()), Path::new(NODE)).unwrap();
    let mut seen = Vec::new();
    let (log, cut) = Log::open(&directory, ORGANISATION, [0; 16], |frame, place| {
        seen.push((frame, place));
        Ok(())
    })
    .unwrap();
    assert_eq!(cut, None);
    (log, seen)
}

/// A log of six frames, two of which were being written over when the program was killed: neither
/// is whole in its place. As it has to be read.
fn half_written_over(seed: u64) -> (SimDisk, Vec<(Frame, Place)>) {
    let disk = SimDisk::new(seed, Path::new("/disk"));
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let directory = Directory::create(vfs.clone(), Path::new(NODE)).unwrap();
    let mut log = Log::create(&directory, ORGANISATION, [0; 16]).unwrap();
    let mut frames = Vec::new();
    for number in 1..=6_u64 {
        let sealed = vec![number as u8; 700];
        let entry = SealedEntry { tree: 1, subject: number, bucket: 1, pc: [2; 32], sealed };
        let frame = Frame { first_seq: number, entries: vec![entry], ..Frame::default() };
        let place = log.next_place();
        log.append(&frame).unwrap();
        frames.push((frame, place));
    }
    for (frame, _) in &mut frames[2..4] {
        frame.entries[0].take_out();
    }
    let new = frames[2..4].iter().map(|(frame, place)| (place.offset, frame.encode()));
    let redo = Redo { segment: 1, frames: new.collect() };
    vfs.replace(&directory.log().join("redo"), &redo.encode()).unwrap();
    vfs.replace(&Path::new(NODE).join(CONFIG_FILE), b"a node").unwrap();
    let mut file = vfs.open(&directory.log().join("0000000001.seg")).unwrap();
    for (offset, frame) in &redo.frames {
        file.write_at(offset + 3, &vec![0xA5; frame.len() - 8]).unwrap();
    }
    file.sync().unwrap();
    disk.kill();
    (disk, frames)
}

/// The redo record is in force until what it says is durable: a log that could not be mended still
/// says what it said, and so does the next one.
#[test]
fn a_log_that_fails_while_it_is_mended_still_has_every_frame() {
    for again in [SimDisk::kill, SimDisk::power_cycle] {
        let fails = (0..).take_while(|after| {
            let (disk, frames) = half_written_over(7);
            let (mut log, seen) = opened(&disk);
            assert_eq!(seen, frames);
            let read = |log: &Log, when: &str| {
                for (frame, place) in &frames {
                    assert_eq!(log.read(*place).as_ref(), Ok(frame), "{when} {after}: {place:?}");
                }
            };
            disk.fail(None, *after, EIO, false);
            let failed = log.mend().is_err();
            read(&log, "failed at");
            if failed {
                disk.mend();
                log.mend().unwrap();
                read(&log, "mended after");
            }
            drop(log);
            again(&disk);
            assert_eq!(opened(&disk).1, frames, "opened after {after}");
            failed
        });
        assert!(fails.count() > 10);
    }
}
