//! The redo file: the frames of one segment as they are to be, for as long as they are written over
//! those that lie there.
//!
//! A write that is under way when power goes may leave garbage in every sector that it was to
//! write, and these frames were acknowledged. So what they are to be is durable, in a file of its
//! own, before the first byte is written in place, and goes when all is durable there. As long as
//! it is there it stands for its frames; writing it once more gives the same bytes. Bytes:
//! docs/format.md, "Recovery".

use crate::bytes::{Put, Take};
use crate::frame::{BadFrame, Frame, bad_frame};
use crate::keystore::{damaged, newer, refused};
use crate::log::Place;
use crate::reading::Reading;
use crate::vfs::{Vfs, VfsFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use twinpact_model::problem::Problem;

/// Payloads are taken out in place where their frames have at most so many bytes. A copy of the
/// whole segment costs less than writing more than that twice.
pub const REDO_BYTES: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"TWINRED\n";
const VERSION: u16 = 1;
const NAME: &str = "log/redo";

fn path(log: &Path) -> PathBuf {
    log.join("redo")
}

/// Frames of one segment as they are to be, each as long as the one that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// The segment.
    pub segment: u64,
    /// The bytes of each frame, by its offset.
    pub frames: BTreeMap<u64, Vec<u8>>,
}

impl Redo {
    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Put::default();
        body.u16(VERSION);
        body.u64(self.segment);
        for (offset, frame) in &self.frames {
            body.u64(*offset);
            body.raw(frame);
        }
        let mut put = Put(MAGIC.to_vec());
        put.u32(crc32c::crc32c(&body.0));
        put.raw(&body.0);
        put.0
    }

    /// What stands in such a file.
    ///
    /// # Errors
    /// `store.damaged`, `store.version`.
    pub fn decode(bytes: &[u8]) -> Result<Redo, Problem> {
        let bad = || damaged(NAME, 0);
        let mut take = Take(bytes);
        let sum = take.array().filter(|magic| magic == MAGIC).and_then(|_| take.u32());
        if sum != Some(crc32c::crc32c(take.0)) {
            return Err(bad());
        }
        match take.u16() {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(newer(NAME)),
            _ => return Err(bad()),
        }
        let mut redo = Redo { segment: take.u64().ok_or_else(bad)?, frames: BTreeMap::new() };
        while !take.0.is_empty() {
            let offset = take.u64().ok_or_else(bad)?;
            let (_, length) = Frame::decode(take.0).ok_or_else(|| match bad_frame(take.0) {
                BadFrame::Newer => newer(NAME),
                BadFrame::Harmed | BadFrame::Malformed => bad(),
            })?;
            redo.frames.insert(offset, take.raw(length).unwrap_or_default().to_vec());
        }
        Ok(redo)
    }

    /// The file of a log, if there is one.
    ///
    /// # Errors
    /// As [`decode`](Self::decode); `store.io`.
    pub(crate) fn read(vfs: &dyn Vfs, log: &Path) -> Result<Option<Redo>, Problem> {
        let path = path(log);
        if !vfs.exists(&path) {
            return Ok(None);
        }
        let bytes = vfs.read(&path).map_err(|e| refused(&path, &e))?;
        Redo::decode(&bytes).map(Some)
    }

    /// Makes the file durable, also when it is there: its name may not be durable yet.
    ///
    /// # Errors
    /// `store.io`; what was there before is as it was.
    pub(crate) fn keep(&self, vfs: &dyn Vfs, log: &Path) -> Result<(), Problem> {
        let path = path(log);
        vfs.replace(&path, &self.encode()).map_err(|e| refused(&path, &e))
    }

    /// Removes the file. Should the name come back when power goes, it says what is there, or what
    /// was there before more was taken out. Then that is found and taken out again: its keys are
    /// gone. The next redo file, and the copy of a segment, make the removal durable.
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

    /// The frame at that place, if it is one of these.
    pub(crate) fn frame(&self, place: Place) -> Option<&Vec<u8>> {
        self.frames.get(&place.offset).filter(|_| place.segment == self.segment)
    }

    /// Has the frames stand in their places while their segment is read.
    ///
    /// # Errors
    /// `store.damaged` when the segment does not have their places.
    pub(crate) fn stand_in(&self, segment: &mut Reading<'_>) -> Result<(), Problem> {
        for (offset, frame) in &self.frames {
            let at = usize::try_from(*offset).unwrap_or(usize::MAX);
            if at.saturating_add(frame.len()) > segment.length() {
                return Err(damaged(NAME, 0));
            }
            segment.put(at, frame.clone());
        }
        Ok(())
    }

    /// Writes the frames over those that lie in their segment, durably.
    ///
    /// # Errors
    /// Those of the disk: any of them may be there in part.
    pub(crate) fn write(&self, segment: &mut dyn VfsFile) -> io::Result<()> {
        for (offset, frame) in &self.frames {
            segment.write_at(*offset, frame)?;
        }
        segment.sync()
    }
}

#[cfg(test)]
mod tests;
