//! The spare: a durable copy of the newest frame, for as long as that frame is written over itself.
//!
//! A write that is under way when power goes may leave garbage in every sector that it was to
//! write, and the newest frame may have been acknowledged. So its copy is durable, in a file of its
//! own, before the first byte is written in place, and goes when the frame is durable again. It
//! stands for its frame only where that is not whole. Bytes: docs/format.md, "Recovery".

use crate::bytes::{Put, Take};
use crate::frame::{BadFrame, Frame, bad_frame};
use crate::keystore::{damaged, newer, refused};
use crate::log::Place;
use crate::vfs::Vfs;
use std::path::{Path, PathBuf};
use twinpact_model::problem::Problem;

const MAGIC: &[u8; 8] = b"TWINNEW\n";
const VERSION: u16 = 1;
/// The bytes before the frame: magic, version, segment, offset, check sum of these.
pub const HEAD: usize = 8 + 2 + 8 + 8 + 4;
const NAME: &str = "log/newest";

fn path(log: &Path) -> PathBuf {
    log.join("newest")
}

/// Makes the copy durable.
///
/// # Errors
/// `store.io`; what was there before is as it was.
pub(crate) fn keep(vfs: &dyn Vfs, log: &Path, place: Place, frame: &[u8]) -> Result<(), Problem> {
    let mut put = Put(head(place));
    put.raw(frame);
    let path = path(log);
    vfs.replace(&path, &put.0).map_err(|e| refused(&path, &e))
}

/// Removes the copy. Should the name come back when power goes, the frame that is in place goes
/// first.
///
/// # Errors
/// `store.io`.
pub(crate) fn forget(vfs: &dyn Vfs, log: &Path) -> Result<(), Problem> {
    let path = path(log);
    if !vfs.exists(&path) {
        return Ok(());
    }
    vfs.remove(&path).map_err(|e| refused(&path, &e))
}

/// The copy of the frame at that place, if it is that frame's.
///
/// # Errors
/// `store.damaged` or `store.version` when there is a copy and it cannot be read; `store.io`.
pub(crate) fn copy_of(vfs: &dyn Vfs, log: &Path, at: Place) -> Result<Option<Vec<u8>>, Problem> {
    let path = path(log);
    if !vfs.exists(&path) {
        return Ok(None);
    }
    let mut copy = vfs.read(&path).map_err(|e| refused(&path, &e))?;
    let (place, _) = decode(&copy)?;
    Ok((place == at).then(|| copy.split_off(HEAD)))
}

fn head(place: Place) -> Vec<u8> {
    let mut put = Put::default();
    put.raw(MAGIC);
    put.u16(VERSION);
    put.u64(place.segment);
    put.u64(place.offset);
    put.u32(crc32c::crc32c(&put.0));
    put.0
}

/// Where the frame lies, and the frame.
fn decode(copy: &[u8]) -> Result<(Place, &[u8]), Problem> {
    let mut take = Take(copy);
    let mut fields = || Some((take.array::<8>()?, take.u16()?, take.u64()?, take.u64()?));
    let (magic, version, segment, offset) = fields().ok_or_else(|| damaged(NAME, 0))?;
    let place = Place { segment, offset };
    let (head, sum) = copy.get(..HEAD).and_then(<[u8]>::split_last_chunk).unwrap_or((&[], &[0; 4]));
    if magic != *MAGIC || crc32c::crc32c(head) != u32::from_le_bytes(*sum) {
        return Err(damaged(NAME, 0));
    }
    if version > VERSION {
        return Err(newer(NAME));
    }
    let frame = copy.get(HEAD..).unwrap_or_default();
    match Frame::decode(frame) {
        Some((_, length)) if length == frame.len() => Ok((place, frame)),
        None if bad_frame(frame) == BadFrame::Newer => Err(newer(NAME)),
        _ => Err(damaged(NAME, HEAD as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Place, head, keep, path};
    use crate::directory::Directory;
    use crate::frame::{Frame, SealedEntry};
    use crate::log::{Log, without_room};
    use crate::vfs::RealDisk;
    use std::path::Path;
    use std::sync::Arc;

    const ORG: [u8; 32] = [1; 32];

    fn frame(number: u64) -> Frame {
        let sealed = vec![number as u8; 700];
        let entry = SealedEntry { tree: 1, subject: 1, bucket: 1, pc: [2; 32], sealed };
        Frame { first_seq: number, entries: vec![entry], ..Frame::default() }
    }

    /// A log of three frames, its last segment, and where the last frame lies.
    fn filled(dir: &Path) -> (Directory, Vec<u8>, Place) {
        let directory = Directory::create(Arc::new(RealDisk), dir).unwrap();
        let mut log = Log::create(&directory, ORG, [0; 16]).unwrap();
        let mut place = log.next_place();
        for number in 1..=3 {
            place = log.next_place();
            log.append(&frame(number)).unwrap();
        }
        let bytes = without_room(&directory.log().join("0000000001.seg"));
        (directory, bytes, place)
    }

    #[test]
    fn the_copy_stands_for_its_frame_only_where_that_is_not_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, good, place) = filled(dir.path());
        let at = place.offset as usize;
        let log = directory.log();
        let segment = log.join("0000000001.seg");
        // What opening says, and what is there after it has mended.
        let check = |bytes: &[u8], spare: Option<(Place, &[u8])>, frames: u64, torn: usize| {
            std::fs::write(&segment, bytes).unwrap();
            if let Some((place, frame)) = spare {
                keep(&RealDisk, &log, place, frame).unwrap();
            }
            let mut seen = Vec::new();
            let (mut opened, cut) = Log::open(&directory, ORG, [0; 16], |frame, place| {
                seen.push((frame, place));
                Ok(())
            })
            .unwrap();
            assert_eq!(std::fs::read(&segment).unwrap(), bytes, "changed by reading");
            assert_eq!(seen.len() as u64, frames);
            assert_eq!(cut.map_or(0, |cut| cut.bytes), torn as u64);
            for mended in [false, true] {
                for (frame, place) in &seen {
                    assert_eq!(opened.read(*place).as_ref(), Ok(frame), "mended: {mended}");
                }
                opened.mend().unwrap();
            }
            let whole = if frames == 3 { &good[..] } else { &good[..at] };
            assert_eq!(std::fs::read(&segment).unwrap(), whole);
            assert!(!path(&log).exists(), "the copy is there although its frame is durable");
        };
        let copy = &good[at..];
        let harmed = |from: usize, to: usize| {
            let mut bytes = good.clone();
            bytes[from..to].fill(0xA5);
            bytes
        };
        let all = harmed(at, good.len());
        check(&good, None, 3, 0);
        check(&good, Some((place, copy)), 3, 0);
        for (from, to) in [(at, at + 1), (at + 5, at + 40), (good.len() - 1, good.len())] {
            check(&harmed(from, to), Some((place, copy)), 3, 0);
        }
        check(&all, Some((place, copy)), 3, 0);
        check(&good[..at + 10], Some((place, copy)), 3, 0);
        check(&[&all[..], b"torn behind it"].concat(), Some((place, copy)), 3, 14);
        // Without a copy, or with one of another place, it was torn.
        check(&all, None, 2, copy.len());
        check(&all, Some((Place { segment: 2, ..place }, copy)), 2, copy.len());
        check(&all, Some((Place { offset: place.offset - 1, ..place }, copy)), 2, copy.len());
        check(&good[..at], Some((place, copy)), 2, 0);
    }

    #[test]
    fn a_copy_that_is_needed_and_harmed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, good, place) = filled(dir.path());
        let at = place.offset as usize;
        let spare = path(&directory.log());
        let whole = [head(place), good[at..].to_vec()].concat();
        let segment = directory.log().join("0000000001.seg");
        let code = |copy: &[u8], bytes: &[u8]| {
            std::fs::write(&spare, copy).unwrap();
            std::fs::write(&segment, bytes).unwrap();
            Log::open(&directory, ORG, [0; 16], |_, _| Ok(()))
                .err()
                .map(|problem| problem.code.name)
        };
        let torn = &good[..good.len() - 1];
        for changed in 0..whole.len() {
            let mut bad = whole.clone();
            bad[changed] ^= 1 << (changed % 8);
            assert_eq!(code(&bad, torn), Some("store.damaged"), "{changed}");
            assert_eq!(code(&bad, &good), None, "{changed}: it is not needed");
            assert_eq!(code(&whole[..changed], torn), Some("store.damaged"));
        }
        assert_eq!(code(&[&whole[..], b"x"].concat(), torn), Some("store.damaged"));
        let newer = |at: usize, sum: std::ops::Range<usize>, to: usize| {
            let mut bytes = whole.clone();
            bytes[at] = 3;
            let sum = crc32c::crc32c(&bytes[sum]).to_le_bytes();
            bytes[to..to + 4].copy_from_slice(&sum);
            bytes
        };
        let (head, frame) =
            (newer(8, 0..HEAD - 4, HEAD - 4), newer(HEAD + 12, HEAD + 12..whole.len(), HEAD + 8));
        for bytes in [head, frame] {
            assert_eq!(code(&bytes, torn), Some("store.version"));
        }
    }
}
