//! The redo file read, applied and refused.

use super::{Redo, path};
use crate::directory::Directory;
use crate::frame::{Frame, SealedEntry};
use crate::log::{Log, Place, without_room};
use crate::vfs::RealDisk;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ORG: [u8; 32] = [1; 32];

fn frame(number: u64) -> Frame {
    let sealed = vec![number as u8; 700];
    let entry = SealedEntry { tree: 1, subject: number, bucket: 1, pc: [2; 32], sealed };
    Frame { first_seq: number, entries: vec![entry], ..Frame::default() }
}

fn taken_out(number: u64) -> Frame {
    let mut frame = frame(number);
    frame.entries[0].take_out();
    frame
}

/// A log of six frames, three to a segment, and where they lie.
fn filled(dir: &Path) -> (Directory, Log, Vec<Place>) {
    let directory = Directory::create(Arc::new(RealDisk), dir).unwrap();
    let mut log = Log::create(&directory, ORG, [0; 16]).unwrap();
    log.close_segments_at(6_000);
    let append = |number| {
        let place = log.next_place();
        log.append(&frame(number)).unwrap();
        place
    };
    let places: Vec<Place> = (1..=6).map(append).collect();
    assert_eq!(places.iter().filter(|place| place.segment == 1).count(), 3);
    (directory, log, places)
}

fn file(directory: &Directory, segment: u64) -> PathBuf {
    directory.log().join(format!("{segment:010}.seg"))
}

#[test]
fn it_stands_for_its_frames_until_they_are_written() {
    // One of a closed segment, one of the last, the newest of all; each whole or harmed.
    for (numbers, harmed) in
        [(vec![2], false), (vec![1, 3], true), (vec![4, 5], true), (vec![6], true)]
    {
        let dir = tempfile::tempdir().unwrap();
        let (directory, log, places) = filled(dir.path());
        drop(log);
        let of = |number: &u64| places[*number as usize - 1];
        let new = |number: &u64| (of(number).offset, taken_out(*number).encode());
        let segment = of(&numbers[0]).segment;
        let redo = Redo { segment, frames: numbers.iter().map(new).collect() };
        redo.keep(&RealDisk, &directory.log()).unwrap();
        let path_of = file(&directory, segment);
        let mut bytes = without_room(&path_of);
        let mut expect = bytes.clone();
        for (offset, frame) in &redo.frames {
            let at = *offset as usize;
            expect[at..at + frame.len()].copy_from_slice(frame);
            if !harmed {
                continue;
            }
            bytes[at + 3..at + frame.len() - 5].fill(0xA5);
        }
        std::fs::write(&path_of, &bytes).unwrap();
        let mut seen = Vec::new();
        let (mut log, cut) = Log::open(&directory, ORG, [0; 16], |frame, place| {
            seen.push((frame, place));
            Ok(())
        })
        .unwrap();
        assert_eq!((cut, seen.len()), (None, 6));
        assert_eq!(std::fs::read(&path_of).unwrap(), bytes, "changed by reading");
        for mended in [false, true] {
            for (number, (frame, place)) in (1..).zip(&seen) {
                let taken = numbers.contains(&number);
                let wanted = if taken { taken_out(number) } else { self::frame(number) };
                assert_eq!((frame, *place), (&wanted, of(&number)), "{number}");
                assert_eq!(log.read(*place), Ok(wanted), "{number}, mended: {mended}");
            }
            log.mend().unwrap();
        }
        assert_eq!(std::fs::read(&path_of).unwrap(), expect);
        assert!(!path(&directory.log()).exists(), "it is there although all is durable");
    }
}

#[test]
fn only_what_is_to_go_is_taken_out_in_place_and_by_a_copy() {
    for in_place in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (directory, mut log, places) = filled(dir.path());
        log.redo_up_to(if in_place { taken_out(1).encode().len() } else { 0 });
        let inode = |segment| {
            use std::os::unix::fs::MetadataExt as _;
            std::fs::metadata(file(&directory, segment)).unwrap().ino()
        };
        let before = [inode(1), inode(2)];
        let mut check = |wanted: u64, (first, last): (u64, u64), expect: bool| {
            let segment = places[wanted as usize - 1].segment;
            let taken = log.take_out(segment, (first, last), |entry| entry.subject == wanted);
            assert_eq!(taken, Ok(expect), "{wanted} {first} {last}");
        };
        let at = |number: usize| places[number - 1].offset;
        // Not in the span, within it, up to the end of the segment, at the end, and again.
        check(1, (at(2), at(3)), false);
        check(2, (at(1), at(3)), true);
        check(5, (0, u64::MAX), true);
        check(6, (at(6), at(6)), true);
        check(6, (at(4), u64::MAX), false);
        assert_eq!(before == [inode(1), inode(2)], in_place);
        assert!(!path(&directory.log()).exists());
        for (number, place) in (1..).zip(&places) {
            let wanted =
                if [2, 5, 6].contains(&number) { taken_out(number) } else { frame(number) };
            assert_eq!(log.read(*place), Ok(wanted), "{number}");
        }
        // The log goes on behind them.
        let place = log.next_place();
        log.append(&frame(7)).unwrap();
        assert_eq!(log.read(place), Ok(frame(7)));
        drop(log);
        let mut count = 0;
        Log::open(&directory, ORG, [0; 16], |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 7);
    }
}

#[test]
fn one_that_is_harmed_or_of_another_log_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (directory, log, places) = filled(dir.path());
    drop(log);
    let one = |segment, offset| {
        let frames = BTreeMap::from([(offset, taken_out(2).encode())]);
        Redo { segment, frames }.encode()
    };
    let code = |bytes: &[u8]| {
        std::fs::write(path(&directory.log()), bytes).unwrap();
        let opened = Log::open(&directory, ORG, [0; 16], |_, _| Ok(()));
        let there = std::fs::read(path(&directory.log())).unwrap();
        assert!(there == bytes, "changed by reading");
        opened.err().map(|problem| problem.code.name)
    };
    let good = one(1, places[1].offset);
    assert_eq!(code(&good), None);
    let read = |bytes: &[u8]| Redo::decode(bytes).err().map(|problem| problem.code.name);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(read(&bad), Some("store.damaged"), "{at}");
        assert_eq!(read(&good[..at]), Some("store.damaged"), "{at}");
    }
    for bad in [&good[..100], b"", &[&good[..], b"x"].concat()] {
        assert_eq!(code(bad), Some("store.damaged"));
    }
    for (segment, offset) in [(3, 4_096), (1, 5_900), (1, u64::MAX), (1, places[0].offset)] {
        assert_eq!(code(&one(segment, offset)), Some("store.damaged"), "{segment} {offset}");
    }
    let later = |at: usize, frame: bool| {
        let mut bytes = good.clone();
        bytes[at] = 3;
        let from = 22 + 8;
        let sums = [(from + 12, from + 8), (12, 8)];
        for (body, to) in sums.into_iter().skip(usize::from(!frame)) {
            let sum = crc32c::crc32c(&bytes[body..]).to_le_bytes();
            bytes[to..to + 4].copy_from_slice(&sum);
        }
        bytes
    };
    for bytes in [later(12, false), later(22 + 8 + 12, true)] {
        assert_eq!(code(&bytes), Some("store.version"));
    }
}
