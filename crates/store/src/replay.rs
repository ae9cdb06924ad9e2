//! The log read by two threads: one reads frames and opens their entries, which is most of the
//! work, the caller's takes them one by one in their order.
//!
//! What is wrong is told as if one thread had done it all: the caller has seen every frame before
//! the one that is blamed, and no other.

use crate::directory::Directory;
use crate::frame::Frame;
use crate::log::{Cut, Log, Place};
use std::sync::mpsc::sync_channel;
use std::thread;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::Digest;

/// How many opened frames may wait to be taken: no more of the log is in memory twice.
const MAX_AHEAD: usize = 4;

/// Opens the log and hands every frame, in order, to `take`, with what `open` made of it.
///
/// # Errors
/// The first thing that is wrong: what `open` or `take` refuses, or else what [`Log::open`] does.
pub(crate) fn read_ahead<T: Send>(
    directory: &Directory,
    organisation: Digest,
    boot: [u8; 16],
    mut open: impl FnMut(&Frame) -> Result<T, Problem> + Send,
    mut take: impl FnMut(&Frame, Place, T) -> Result<(), Problem>,
) -> Result<(Log, Option<Cut>), Problem> {
    let (sender, receiver) = sync_channel(MAX_AHEAD);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            Log::open(directory, organisation, boot, |frame, place| {
                let opened = open(&frame);
                sender.send((frame, place, opened)).map_err(|_| refused_before())
            })
        });
        let mut frames = receiver.iter();
        let taken = frames.try_for_each(|(frame, place, opened)| take(&frame, place, opened?));
        // A reader that waits to hand on the next frame is let go.
        drop(receiver);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        taken.and(read)
    })
}

/// Seen by the reading thread alone: the frame that was refused came before.
fn refused_before() -> Problem {
    Problem::new(codes::INTERNAL, "an earlier frame was refused")
}

#[cfg(test)]
mod tests {
    use super::read_ahead;
    use crate::directory::Directory;
    use crate::frame::{Frame, SealedEntry};
    use crate::log::{Cut, Log, Place};
    use crate::vfs::RealDisk;
    use std::path::Path;
    use std::sync::Arc;
    use twinpact_model::codes;
    use twinpact_model::problem::Problem;

    const ORG: [u8; 32] = [1; 32];
    const FRAMES: u64 = 24;

    /// A log of frames with one entry each, several to a segment.
    fn filled(path: &Path) -> Directory {
        let directory = Directory::create(Arc::new(RealDisk), path).unwrap();
        let mut log = Log::create(&directory, ORG, [0; 16]).unwrap();
        log.close_segments_at(4_600);
        for number in 1..=FRAMES {
            let sealed = vec![number as u8; 20];
            let entry = SealedEntry { tree: 1, subject: 1, bucket: 1, pc: [2; 32], sealed };
            let frame = Frame { first_seq: number, entries: vec![entry], ..Frame::default() };
            log.append(&frame).unwrap();
        }
        directory
    }

    /// The frames that were handed on, and how it ended.
    type Told = (Vec<(u64, Place)>, Result<Option<Cut>, Problem>);

    fn one_by_one(directory: &Directory) -> Told {
        let mut frames = Vec::new();
        let read = Log::open(directory, ORG, [0; 16], |frame, place| {
            frames.push((frame.first_seq, place));
            Ok(())
        });
        (frames, read.map(|(_, cut)| cut))
    }

    /// The same with two threads; `open` and `take` refuse the frame of that number.
    fn ahead(directory: &Directory, open_refuses: u64, take_refuses: u64) -> Told {
        let mut frames = Vec::new();
        let refused = |by: &str, frame: &Frame, number: u64| match frame.first_seq == number {
            true => Err(Problem::new(codes::STORE_DAMAGED, format!("{by} refuses {number}"))),
            false => Ok(()),
        };
        let open = |frame: &Frame| refused("open", frame, open_refuses).map(|()| frame.first_seq);
        let read = read_ahead(directory, ORG, [0; 16], open, |frame, place, opened| {
            assert_eq!(opened, frame.first_seq);
            refused("take", frame, take_refuses)?;
            frames.push((opened, place));
            Ok(())
        });
        (frames, read.map(|(_, cut)| cut))
    }

    #[test]
    fn two_threads_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let directory = filled(dir.path());
        let told = one_by_one(&directory);
        assert_eq!((told.0.len() as u64, &told.1), (FRAMES, &Ok(None)));
        assert!(told.0.last().unwrap().1.segment > 3);
        assert_eq!(ahead(&directory, 0, 0), told);
    }

    #[test]
    fn damage_anywhere_is_told_as_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let directory = filled(dir.path());
        let mut damaged = 0;
        for file in std::fs::read_dir(directory.log()).unwrap() {
            let path = file.unwrap().path();
            let good = std::fs::read(&path).unwrap();
            for at in (0..good.len()).filter(|at| at % 31 == 0 && (*at < 60 || *at > 4_000)) {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                std::fs::write(&path, &bad).unwrap();
                let told = one_by_one(&directory);
                damaged += usize::from(told.1.is_err());
                assert_eq!(ahead(&directory, 0, 0), told, "{} {at}", path.display());
                assert_eq!(std::fs::read(&path).unwrap(), bad, "nothing is cut by reading");
            }
            std::fs::write(&path, &good).unwrap();
        }
        assert!(damaged > 50, "{damaged}");
    }

    #[test]
    fn the_first_refusal_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let directory = filled(dir.path());
        let check = |open: u64, take: u64, by: &str, before: u64| {
            let (frames, told) = ahead(&directory, open, take);
            assert_eq!(told.unwrap_err().message, by);
            assert_eq!(frames.len() as u64, before);
        };
        for number in [1, 2, 9, FRAMES] {
            check(number, 0, &format!("open refuses {number}"), number - 1);
            check(0, number, &format!("take refuses {number}"), number - 1);
            check(number, number, &format!("open refuses {number}"), number - 1);
            check(number + 1, number, &format!("take refuses {number}"), number - 1);
        }
        // Damage behind what was refused is not told.
        let last = directory.log().join("0000000004.seg");
        let mut bytes = std::fs::read(&last).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&last, bytes).unwrap();
        check(3, 0, "open refuses 3", 2);
        check(0, 3, "take refuses 3", 2);
    }
}
