//! A segment as it is read from its start to its end: a part at a time, with frames that stand in
//! place of those on the disk.
//!
//! A start reads the whole log, and what it takes for that stays with the process for long: one
//! part, or one frame where that is larger. Only what is behind the last whole frame is looked at
//! as a whole.

use crate::frame::{FRAME_HEAD, Frame, frame_length};
use crate::vfs::VfsFile;
use std::collections::BTreeMap;
use std::io;

/// How many bytes are read at a time.
const PART: usize = 1 << 20;

/// The bytes of a segment.
pub(crate) struct Reading<'a> {
    file: &'a dyn VfsFile,
    on_disk: usize,
    /// The length with what stands in place.
    length: usize,
    /// What stands in place, by its offset.
    instead: BTreeMap<usize, Vec<u8>>,
    /// The part that was read last, and where it begins.
    start: usize,
    part: Vec<u8>,
    at_a_time: usize,
}

impl<'a> Reading<'a> {
    /// # Errors
    /// Those of the disk.
    pub(crate) fn new(file: &'a dyn VfsFile) -> io::Result<Reading<'a>> {
        let length = usize::try_from(file.length()?).map_err(|_| io::ErrorKind::InvalidData)?;
        let on_disk = length;
        let (instead, part) = (BTreeMap::new(), Vec::new());
        Ok(Reading { file, on_disk, length, instead, start: 0, part, at_a_time: PART })
    }

    /// The length of the segment in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Puts a frame in the place of what lies there. The segment ends no earlier than it.
    pub(crate) fn put(&mut self, at: usize, frame: Vec<u8>) {
        self.length = self.length.max(at.saturating_add(frame.len()));
        self.instead.insert(at, frame);
        self.part.clear();
    }

    /// So many bytes from there, or as many as there are.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn bytes(&mut self, at: usize, length: usize) -> io::Result<&[u8]> {
        let length = length.min(self.length.saturating_sub(at));
        let last = self.start.saturating_add(self.part.len());
        if at < self.start || at.saturating_add(length) > last {
            self.part = self.read(at, length.max(self.at_a_time))?;
            self.start = at;
        }
        let from = at - self.start;
        Ok(self.part.get(from..from.saturating_add(length)).unwrap_or_default())
    }

    /// The frame that begins there, and its length; `None` where none is whole.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn frame(&mut self, at: usize) -> io::Result<Option<(Frame, usize)>> {
        match frame_length(self.bytes(at, FRAME_HEAD)?) {
            Some(length) => Ok(Frame::decode(self.bytes(at, length)?)),
            None => Ok(None),
        }
    }

    fn read(&self, at: usize, length: usize) -> io::Result<Vec<u8>> {
        let end = at.saturating_add(length).min(self.length);
        let mut bytes = match self.on_disk.min(end).saturating_sub(at) {
            0 => Vec::new(),
            length => self.file.read_at(at as u64, length)?,
        };
        bytes.resize(end.saturating_sub(at), 0);
        for (offset, frame) in self.instead.range(..end) {
            // What of it lies in this part.
            let behind = at.saturating_sub(*offset);
            let frame = frame.get(behind..).unwrap_or_default();
            let there = bytes.iter_mut().skip(offset.saturating_sub(at));
            there.zip(frame).for_each(|(there, byte)| *there = *byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Reading;
    use crate::frame::{Frame, SealedEntry};
    use crate::vfs::{RealDisk, Vfs as _};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_read_as_the_whole(
            file in prop::collection::vec(any::<u8>(), 0..200),
            instead in prop::collection::vec((0..250_usize, 0..60_usize, any::<u8>()), 0..4),
            reads in prop::collection::vec((0..300_usize, 0..120_usize), 1..20),
            at_a_time in 1..80_usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("segment");
            std::fs::write(&path, &file).unwrap();
            let on_disk = RealDisk.open(&path).unwrap();
            let mut reading = Reading::new(on_disk.as_ref()).unwrap();
            reading.at_a_time = at_a_time;
            let mut whole = file;
            for (at, length, byte) in instead {
                // Frames lie beside each other: one takes the place of another as a whole.
                let beside = reading.instead.iter().all(|(other, frame)| {
                    at >= other + frame.len() || at + length <= *other
                });
                if beside && at <= whole.len() {
                    reading.put(at, vec![byte; length]);
                    whole.resize(whole.len().max(at + length), 0);
                    whole[at..at + length].fill(byte);
                }
            }
            prop_assert_eq!(reading.length(), whole.len());
            for (at, length) in reads {
                let expect = whole.get(at..).unwrap_or_default();
                let expect = &expect[..length.min(expect.len())];
                prop_assert_eq!(reading.bytes(at, length).unwrap(), expect, "{} {}", at, length);
            }
            prop_assert_eq!(reading.bytes(0, usize::MAX).unwrap(), &whole[..]);
        }
    }

    #[test]
    fn a_frame_may_be_larger_than_a_part_and_one_that_is_cut_is_none() {
        let frame = |number: u64| {
            let sealed = vec![number as u8; 100 * number as usize];
            let entry = SealedEntry { tree: 1, subject: 1, bucket: 1, pc: [2; 32], sealed };
            Frame { first_seq: number, entries: vec![entry], ..Frame::default() }
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        let bytes: Vec<u8> = (1..=4).flat_map(|number| frame(number).encode()).collect();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let file = RealDisk.open(&path).unwrap();
        for at_a_time in [1, 12, 13, 150, 10_000] {
            let mut reading = Reading::new(file.as_ref()).unwrap();
            reading.at_a_time = at_a_time;
            let mut at = 0;
            for number in 1..=3 {
                let (read, length) = reading.frame(at).unwrap().unwrap();
                assert_eq!(read, frame(number));
                at += length;
            }
            assert_eq!(reading.frame(at).unwrap(), None, "{at_a_time}");
            reading.put(at, frame(4).encode());
            assert_eq!(reading.frame(at).unwrap().unwrap().0, frame(4));
            assert_eq!(reading.frame(bytes.len()).unwrap(), None);
        }
    }
}
