//! The write-ahead log: segment files of frames, appended by one owner.
//!
//! One frame is in flight at most, and one `fdatasync` makes it durable. A *torn tail* is a bad
//! frame in the last segment behind which nothing parses as a frame with a greater sequence number:
//! it is cut and reported. A frame whose check sum holds was not torn: with a version above ours it
//! is of a newer release. Anything else is *damage*. Both are named, and nothing on disk changes.
//! After a failed write or sync the log stops for good; it never retries, because what the kernel
//! holds is unknown then. For the same reason the last frame is written again when the log is
//! opened: a killed process had not synced it, or its sync failed and the kernel shows bytes that
//! it will not write any more. Nothing may be built on what the next power cut takes away. Since
//! that frame may also be durable and acknowledged, a spare is kept meanwhile ([`crate::spare`]).
//! For the same reason frames from which payloads are taken out stand in a file of their own while
//! they are written over ([`crate::redo`]).
//!
//! Behind the last frame a segment may have *room*: zeros, written and synced before the frames
//! that will lie there. A sync of a frame in it writes its bytes and nothing else, where a file
//! that grows has its length and its blocks written as well, by way of the file system's journal.

use crate::directory::Directory;
use crate::frame::{
    BadFrame, BadHead, FRAME_HEAD, Frame, MAX_FRAME, SEGMENT_HEAD, SealedEntry, SegmentHead,
    bad_frame, frame_length, later_frame,
};
use crate::keystore::{damaged, missing, newer, refused};
use crate::reading::Reading;
use crate::redo::{REDO_BYTES, Redo};
use crate::spare;
use crate::vfs::VfsFile;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::Digest;

/// A segment is closed when it has grown to this many bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// How much room is made at most behind a frame that there was no room for: as many bytes as were
/// written since the log was opened. A frame that is as long as that has none.
pub const ROOM: usize = 512 << 10;
/// How much there is at least.
const LEAST_ROOM: usize = 16 << 10;

/// Where an entry's frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The segment.
    pub segment: u64,
    /// The offset of the frame in it.
    pub offset: u64,
}

/// What was cut at the end of the log when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub segment: u64,
    /// From where.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// The newest frame, or no bytes where a segment has none yet.
struct Newest {
    offset: u64,
    bytes: Vec<u8>,
}

/// The log of one partition.
pub struct Log {
    dir: PathBuf,
    vfs: std::sync::Arc<dyn crate::vfs::Vfs>,
    organisation: Digest,
    boot: [u8; 16],
    files: BTreeMap<u64, Box<dyn VfsFile>>,
    segment: u64,
    /// Where the next frame will lie in the last segment.
    length: u64,
    /// Up to where the last segment is known to be written: with zeros behind its frames.
    room: u64,
    /// How many bytes of frames were written since it was opened.
    written: usize,
    /// The bytes of the segments before the last one.
    closed: u64,
    next_seq: u64,
    last_sync: Duration,
    stopped: bool,
    /// The newest frame, as it is to be in the last segment, until [`Log::mend`].
    newest: Option<Newest>,
    /// Frames that were being written over when power went, until [`Log::mend`].
    redo: Option<Redo>,
    segment_bytes: u64,
    redo_bytes: usize,
}

impl Log {
    /// Makes the first segment of a new directory.
    ///
    /// # Errors
    /// `store.io`.
    pub fn create(
        directory: &Directory,
        organisation: Digest,
        boot: [u8; 16],
    ) -> Result<Log, Problem> {
        let dir = directory.log();
        directory.vfs().create_dir(&dir).map_err(|e| refused(&dir, &e))?;
        let mut log = Log::empty(directory, organisation, boot);
        log.open_segment(1)?;
        Ok(log)
    }

    /// Opens the log, hands every frame, in order, to `replay`, and says what is torn at the end.
    /// Nothing on the disk has changed. The log takes no frame before [`mend`](Self::mend).
    ///
    /// # Errors
    /// `store.damaged` or `store.version` or `store.foreign` with file and offset; `store.io`; what
    /// `replay` refuses.
    pub fn open(
        directory: &Directory,
        organisation: Digest,
        boot: [u8; 16],
        mut replay: impl FnMut(Frame, Place) -> Result<(), Problem>,
    ) -> Result<(Log, Option<Cut>), Problem> {
        let mut log = Log::empty(directory, organisation, boot);
        log.redo = Redo::read(directory.vfs().as_ref(), &log.dir)?;
        let numbers = log.segment_numbers()?;
        let last = numbers.last().copied().unwrap_or(0);
        let mut cut = None;
        for (expected, number) in (1..).zip(numbers) {
            if number != expected {
                return Err(missing(&segment_name(expected)));
            }
            cut = log.read_segment(number, number == last, &mut replay)?;
        }
        if log.files.is_empty() {
            return Err(missing(&segment_name(1)));
        }
        match &log.redo {
            Some(redo) if !log.files.contains_key(&redo.segment) => {
                Err(missing(&segment_name(redo.segment)))
            }
            _ => Ok((log, cut)),
        }
    }

    fn empty(directory: &Directory, organisation: Digest, boot: [u8; 16]) -> Log {
        Log {
            dir: directory.log(),
            vfs: directory.vfs().clone(),
            organisation,
            boot,
            files: BTreeMap::new(),
            segment: 0,
            length: 0,
            room: 0,
            written: 0,
            closed: 0,
            next_seq: 1,
            last_sync: Duration::ZERO,
            stopped: false,
            newest: None,
            redo: None,
            segment_bytes: SEGMENT_BYTES,
            redo_bytes: REDO_BYTES,
        }
    }

    /// The sequence number of the next entry.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many segments there are, and the bytes of all of them.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.files.len() as u64, self.closed + self.length)
    }

    /// How long the `fdatasync` of the last frame took.
    #[must_use]
    pub fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// Whether the next frame begins a new segment and must carry the state of all trees.
    #[must_use]
    pub fn wants_state(&self) -> bool {
        self.length == SEGMENT_HEAD as u64 || self.length >= self.segment_bytes
    }

    /// Makes durable what is left when what was torn is cut: frames that were being written over,
    /// the newest frame and the names of the segments. All before that frame was synced before it
    /// was begun. The only copy of a frame is never written over. Does nothing the second time.
    ///
    /// # Errors
    /// `store.io`, and the log takes no frame. What is read of it is as before, and it may be
    /// mended again.
    pub fn mend(&mut self) -> Result<(), Problem> {
        if let Some(redo) = self.redo.take() {
            let done = self.write_over(&redo);
            // Until all of it is durable in place, the segment may have frames in part.
            self.redo = done.is_err().then_some(redo);
            done?;
        }
        let Some(newest) = &self.newest else { return Ok(()) };
        let path = self.segment_path(self.segment);
        let io = |e| refused(&path, &e);
        let place = Place { segment: self.segment, offset: newest.offset };
        if !newest.bytes.is_empty() {
            spare::keep(self.vfs.as_ref(), &self.dir, place, &newest.bytes)?;
        }
        let file = self.files.get_mut(&self.segment).ok_or_else(|| damaged("log", 0))?;
        if file.length().map_err(io)? > self.length {
            file.truncate(self.length).map_err(io)?;
        }
        file.write_at(newest.offset, &newest.bytes).and_then(|()| file.sync()).map_err(io)?;
        spare::forget(self.vfs.as_ref(), &self.dir)?;
        self.vfs.sync_dir(&self.dir).map_err(io)?;
        self.newest = None;
        Ok(())
    }

    /// Stops the log for good: something that a frame depends on could not be made durable.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Cuts the room behind the last frame, so that a log that is closed ends with it. One that was
    /// not closed is cut by the next start.
    ///
    /// # Errors
    /// `store.stopped`; `store.io`, and what is in the log stands.
    pub fn close(&mut self) -> Result<(), Problem> {
        self.check()?;
        let path = self.segment_path(self.segment);
        if let Some(last) = self.files.get_mut(&self.segment).filter(|_| self.room > self.length) {
            last.truncate(self.length).map_err(|e| refused(&path, &e))?;
            self.room = self.length;
        }
        Ok(())
    }

    /// Closes segments at this size instead of [`SEGMENT_BYTES`].
    pub fn close_segments_at(&mut self, bytes: u64) {
        self.segment_bytes = bytes;
    }

    /// Takes payloads out in place where their frames have at most so many bytes, instead of
    /// [`REDO_BYTES`].
    pub fn redo_up_to(&mut self, bytes: usize) {
        self.redo_bytes = bytes;
    }

    /// Whether the log goes on; an error once it has stopped.
    ///
    /// # Errors
    /// `store.stopped`.
    pub fn check(&self) -> Result<(), Problem> {
        if !self.stopped && self.newest.is_none() {
            return Ok(());
        }
        Err(Problem::new(codes::STORE_STOPPED, "the log has stopped after a failed write or a bug")
            .hint("mend the disk and start the node again: it recovers by itself"))
    }

    /// Where the next frame will lie.
    #[must_use]
    pub fn next_place(&self) -> Place {
        if self.length >= self.segment_bytes {
            Place { segment: self.segment + 1, offset: SEGMENT_HEAD as u64 }
        } else {
            Place { segment: self.segment, offset: self.length }
        }
    }

    /// Appends one frame at [`next_place`](Self::next_place) and makes it durable.
    ///
    /// # Errors
    /// `store.stopped` after an earlier failure; `store.io` on this one, or `internal` when the
    /// frame is larger than [`MAX_FRAME`], and the log has stopped.
    pub fn append(&mut self, frame: &Frame) -> Result<(), Problem> {
        self.check()?;
        self.write(frame).inspect_err(|_| self.stopped = true)
    }

    fn write(&mut self, frame: &Frame) -> Result<(), Problem> {
        if self.length >= self.segment_bytes {
            self.open_segment(self.segment + 1)?;
        }
        let bytes = frame.encode();
        if bytes.len() > MAX_FRAME {
            // The bounds of what goes into a frame exclude it; it could never be read again.
            return Err(Problem::new(codes::INTERNAL, "a frame is larger than a frame may be"));
        }
        let path = self.segment_path(self.segment);
        let file = self.files.get_mut(&self.segment).ok_or_else(|| damaged("log", 0))?;
        let io = |e| refused(&path, &e);
        let end = self.length + bytes.len() as u64;
        self.written = self.written.saturating_add(bytes.len());
        let (mut room, more) = (self.room.max(end), self.written.clamp(LEAST_ROOM, ROOM));
        file.write_at(self.length, &bytes).map_err(io)?;
        if end > self.room && bytes.len() < more {
            match file.write_at(end, &vec![0; more]) {
                Ok(()) => room = end + more as u64,
                // The frame is there: the next one finds out whether there is enough for it.
                Err(error) if error.kind() == ErrorKind::StorageFull => {}
                Err(error) => return Err(io(error)),
            }
        }
        let began = Instant::now();
        file.sync().map_err(io)?;
        self.last_sync = began.elapsed();
        (self.length, self.room) = (end, room);
        self.next_seq = frame.first_seq + frame.entries.len() as u64;
        Ok(())
    }

    /// The frame at that place.
    ///
    /// # Errors
    /// `store.io`, or `store.damaged` when it is not what was written.
    pub fn read(&self, place: Place) -> Result<Frame, Problem> {
        let bytes = self.read_bytes(place)?;
        let bad = || damaged(&segment_name(place.segment), place.offset);
        Frame::decode(&bytes).map(|(frame, _)| frame).ok_or_else(bad)
    }

    /// The bytes of the frame at that place, by its head.
    fn read_bytes(&self, place: Place) -> Result<Vec<u8>, Problem> {
        let path = self.segment_path(place.segment);
        let bad = || damaged(&segment_name(place.segment), place.offset);
        if let Some(newest) = &self.newest
            && place == (Place { segment: self.segment, offset: newest.offset })
        {
            return Ok(newest.bytes.clone());
        }
        if let Some(frame) = self.redo.as_ref().and_then(|redo| redo.frame(place)) {
            return Ok(frame.clone());
        }
        let file = self.files.get(&place.segment).ok_or_else(bad)?;
        let head = file.read_at(place.offset, FRAME_HEAD).map_err(|e| refused(&path, &e))?;
        let length = frame_length(&head).ok_or_else(bad)?;
        file.read_at(place.offset, length).map_err(|e| refused(&path, &e))
    }

    /// Takes the payloads of these entries out of a segment, in which they lie in frames from the
    /// first to the last of these offsets, and says whether there were any. Every frame stays where
    /// it lies. Few bytes are written over in place, else a copy of the segment takes its place: it
    /// is durable when this returns.
    ///
    /// # Errors
    /// `store.io`, and the next start finishes it; `store.damaged`.
    pub fn take_out(
        &mut self,
        segment: u64,
        span: (u64, u64),
        gone: impl Fn(&SealedEntry) -> bool,
    ) -> Result<bool, Problem> {
        let redo = Redo { segment, frames: self.frames_without(segment, span, gone)? };
        if redo.frames.is_empty() {
            return Ok(false);
        }
        match redo.frames.values().map(Vec::len).sum::<usize>() <= self.redo_bytes {
            true => self.write_over(&redo)?,
            false => self.write_copy(&redo)?,
        }
        Ok(true)
    }

    /// The frames of a segment from the first to the last of these offsets that have payloads of
    /// these entries, without them.
    fn frames_without(
        &self,
        segment: u64,
        (first, last): (u64, u64),
        gone: impl Fn(&SealedEntry) -> bool,
    ) -> Result<BTreeMap<u64, Vec<u8>>, Problem> {
        let (path, name) = (self.segment_path(segment), segment_name(segment));
        let io = |e| refused(&path, &e);
        let file = self.files.get(&segment).ok_or_else(|| damaged(&name, 0))?;
        let end = match last {
            u64::MAX => u64::MAX,
            offset => offset + self.read_bytes(Place { segment, offset })?.len() as u64,
        };
        let (mut at, mut frames) = (first.max(SEGMENT_HEAD as u64), BTreeMap::new());
        let mut segment = Reading::new(file.as_ref()).map_err(io)?;
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(segment.length());
        while (at as usize) < end {
            let Some((frame, length)) = segment.frame(at as usize).map_err(io)? else {
                match is_room(segment.bytes(at as usize, usize::MAX).map_err(io)?) {
                    true => break,
                    false => return Err(damaged(&name, at)),
                }
            };
            if let Some(without) = without(frame, &gone) {
                frames.insert(at, without);
            }
            at += length as u64;
        }
        Ok(frames)
    }

    /// Writes these frames over those that lie there. The only copy of a frame is never written
    /// over: the redo file is durable first.
    fn write_over(&mut self, redo: &Redo) -> Result<(), Problem> {
        let path = self.segment_path(redo.segment);
        let bad = || damaged(&segment_name(redo.segment), 0);
        redo.keep(self.vfs.as_ref(), &self.dir)?;
        let file = self.files.get_mut(&redo.segment).ok_or_else(bad)?;
        redo.write(file.as_mut()).map_err(|e| refused(&path, &e))?;
        Redo::forget(self.vfs.as_ref(), &self.dir)
    }

    /// Puts a copy of the segment with these frames in its place.
    fn write_copy(&mut self, redo: &Redo) -> Result<(), Problem> {
        let path = self.segment_path(redo.segment);
        let io = |e| refused(&path, &e);
        let bad = || damaged(&segment_name(redo.segment), 0);
        let file = self.files.get(&redo.segment).ok_or_else(bad)?;
        let mut segment = Reading::new(file.as_ref()).map_err(io)?;
        redo.stand_in(&mut segment)?;
        let bytes = segment.bytes(0, usize::MAX).map_err(io)?;
        self.vfs.replace(&path, bytes).map_err(io)?;
        self.files.insert(redo.segment, self.vfs.open(&path).map_err(io)?);
        Ok(())
    }

    /// Removes what an interrupted replacement has left, durably.
    ///
    /// # Errors
    /// `store.io`.
    pub fn sweep(&self) -> Result<(), Problem> {
        let io = |e| refused(&self.dir, &e);
        let mut left = self.vfs.list(&self.dir).map_err(io)?;
        left.retain(|name| name.ends_with(".new"));
        for name in &left {
            self.vfs.remove(&self.dir.join(name)).map_err(io)?;
        }
        if left.is_empty() { Ok(()) } else { self.vfs.sync_dir(&self.dir).map_err(io) }
    }

    fn open_segment(&mut self, number: u64) -> Result<(), Problem> {
        let path = self.segment_path(number);
        let io = |e| refused(&path, &e);
        let head = SegmentHead {
            organisation: self.organisation,
            partition: 0,
            segment: number,
            first_seq: self.next_seq,
            boot: self.boot,
        };
        // Should the room come back when power goes, it is room still.
        self.close()?;
        // A crash between creating and writing leaves a short file; it is replaced as a whole.
        self.vfs.replace(&path, &head.encode()).map_err(io)?;
        self.files.insert(number, self.vfs.open(&path).map_err(io)?);
        self.segment = number;
        self.closed += self.length;
        self.length = SEGMENT_HEAD as u64;
        self.room = self.length;
        Ok(())
    }

    fn read_segment(
        &mut self,
        number: u64,
        last: bool,
        replay: &mut impl FnMut(Frame, Place) -> Result<(), Problem>,
    ) -> Result<Option<Cut>, Problem> {
        let (path, name) = (self.segment_path(number), segment_name(number));
        let io = |e| refused(&path, &e);
        let file = self.vfs.open(&path).map_err(io)?;
        let mut segment = Reading::new(file.as_ref()).map_err(io)?;
        self.check_head(number, segment.bytes(0, SEGMENT_HEAD).map_err(io)?)?;
        if let Some(redo) = self.redo.as_ref().filter(|redo| redo.segment == number) {
            redo.stand_in(&mut segment)?;
        }
        let (mut at, mut newest) = (SEGMENT_HEAD, SEGMENT_HEAD);
        let place = |at: usize| Place { segment: number, offset: at as u64 };
        while let Some((frame, length)) = self.whole_frame(&mut segment, place(at), last)? {
            if frame.first_seq != self.next_seq {
                return Err(damaged(&name, at as u64));
            }
            self.next_seq += frame.entries.len() as u64;
            replay(frame, place(at))?;
            newest = at;
            at += length;
        }
        let frame = segment.bytes(newest, at - newest).map_err(io)?.to_vec();
        let rest = segment.bytes(at, usize::MAX).map_err(io)?;
        let rest = if is_room(rest) { &[] } else { rest };
        if bad_frame(rest) == BadFrame::Newer {
            return Err(newer(&name));
        }
        if !rest.is_empty() && (!last || later_frame(rest, self.next_seq.saturating_sub(1))) {
            return Err(damaged(&name, at as u64));
        }
        let torn = rest.len() as u64;
        self.files.insert(number, file);
        self.segment = number;
        self.closed += self.length;
        // What there was of room is cut by `mend`.
        (self.length, self.room) = (at as u64, at as u64);
        self.newest = Some(Newest { offset: newest as u64, bytes: frame });
        let offset = at as u64;
        Ok((torn > 0).then_some(Cut { segment: number, offset, bytes: torn }))
    }

    /// The frame at that place and its length: as it lies there, or else, in the last segment, the
    /// copy that is kept while it is written over.
    fn whole_frame(
        &self,
        segment: &mut Reading<'_>,
        place: Place,
        last: bool,
    ) -> Result<Option<(Frame, usize)>, Problem> {
        let path = self.segment_path(place.segment);
        let io = |e| refused(&path, &e);
        let at = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let whole = segment.frame(at).map_err(io)?;
        if whole.is_some() || !last || at >= segment.length() {
            return Ok(whole);
        }
        match spare::copy_of(self.vfs.as_ref(), &self.dir, place)? {
            Some(copy) => segment.put(at, copy),
            None => return Ok(None),
        }
        segment.frame(at).map_err(io)
    }

    fn check_head(&self, number: u64, bytes: &[u8]) -> Result<(), Problem> {
        let name = segment_name(number);
        match SegmentHead::decode(bytes) {
            Err(BadHead::Newer(_)) => Err(newer(&name)),
            Err(BadHead::Damaged) => Err(damaged(&name, 0)),
            Ok(head) if head.organisation != self.organisation || head.partition != 0 => {
                Err(Problem::new(
                    codes::STORE_FOREIGN,
                    format!("{name} belongs to another organisation's node"),
                )
                .hint("nothing was changed; put back the segments of this node"))
            }
            Ok(head) if head.segment != number || head.first_seq != self.next_seq => {
                Err(damaged(&name, 0))
            }
            Ok(_) => Ok(()),
        }
    }

    fn segment_numbers(&self) -> Result<Vec<u64>, Problem> {
        if !self.vfs.exists(&self.dir) {
            return Ok(Vec::new());
        }
        let names = self.vfs.list(&self.dir).map_err(|e| refused(&self.dir, &e))?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_suffix(".seg")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:010}.seg"))
    }
}

/// The bytes of a frame without the payloads of these entries; `None` when it has none of them.
fn without(mut frame: Frame, gone: impl Fn(&SealedEntry) -> bool) -> Option<Vec<u8>> {
    let taken = frame.entries.iter_mut().filter(|entry| !entry.is_taken_out() && gone(entry));
    let count = taken.map(SealedEntry::take_out).count();
    (count > 0).then(|| frame.encode())
}

/// Whether there is nothing but room from there on.
fn is_room(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A segment up to the end of its last frame.
#[cfg(test)]
pub(crate) fn without_room(path: &std::path::Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    let mut at = SEGMENT_HEAD;
    while let Some((_, length)) = bytes.get(at..).and_then(Frame::decode) {
        at += length;
    }
    assert!(is_room(&bytes[at..]));
    bytes.truncate(at);
    bytes
}

fn segment_name(number: u64) -> String {
    format!("log/{number:010}.seg")
}

#[cfg(test)]
mod tests {
    use super::{LEAST_ROOM, Log, ROOM, SEGMENT_HEAD, without_room};
    use crate::directory::Directory;
    use crate::frame::{Frame, SealedEntry};
    use crate::vfs::RealDisk;
    use std::path::Path;
    use std::sync::Arc;

    const ORG: [u8; 32] = [1; 32];

    fn frame(number: u64, bytes: usize) -> Frame {
        let sealed = vec![number as u8; bytes];
        let entry = SealedEntry { tree: 1, subject: 1, bucket: 1, pc: [2; 32], sealed };
        Frame { first_seq: number, entries: vec![entry], ..Frame::default() }
    }

    fn created(dir: &Path) -> (Directory, Log) {
        let directory = Directory::create(Arc::new(RealDisk), dir).unwrap();
        let log = Log::create(&directory, ORG, [0; 16]).unwrap();
        (directory, log)
    }

    /// How many frames there are, and how many bytes were torn.
    fn opened(directory: &Directory) -> Result<(Log, u64, u64), &'static str> {
        let mut count = 0;
        let log = Log::open(directory, ORG, [0; 16], |_, _| {
            count += 1;
            Ok(())
        });
        let (log, cut) = log.map_err(|problem| problem.code.name)?;
        Ok((log, count, cut.map_or(0, |cut| cut.bytes)))
    }

    fn length(path: &Path) -> usize {
        std::fs::metadata(path).unwrap().len() as usize
    }

    #[test]
    fn room_is_made_for_as_much_as_was_written_and_none_behind_a_long_frame() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, mut log) = created(dir.path());
        let path = directory.log().join("0000000001.seg");
        let (mut end, mut number) = (SEGMENT_HEAD, 0);
        // Where frames end, and how much room there is behind them.
        let mut append = |bytes| {
            number += 1;
            log.append(&frame(number, bytes)).unwrap();
            end += frame(number, bytes).encode().len();
            (end, length(&path) - end)
        };
        let (first, room) = append(100);
        assert_eq!(room, LEAST_ROOM);
        let (end, room) = append(5_000);
        assert_eq!(room, LEAST_ROOM - (end - first));
        // It is longer than what is left.
        let (end, room) = append(15_000);
        assert_eq!(room, end - SEGMENT_HEAD);
        assert_eq!(append(ROOM).1, 0);
        let (end, room) = append(1_000);
        assert_eq!(room, ROOM);
        for frames in 1..10 {
            let (now, left) = append(50_000);
            assert_eq!(left, ROOM - (now - end), "{frames}");
        }
        let (last, room) = append(ROOM - 1_000);
        assert_eq!(room, ROOM);
        log.close().unwrap();
        assert_eq!(length(&path), last);
        log.append(&frame(16, 9)).unwrap();
        let last = last + frame(16, 9).encode().len();
        assert_eq!(length(&path), last + ROOM);
        drop(log);
        let (log, frames, torn) = opened(&directory).unwrap();
        assert_eq!((frames, torn, log.next_place().offset), (16, 0, last as u64));
    }

    #[test]
    fn what_stands_in_the_room_is_torn_and_zeros_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, mut log) = created(dir.path());
        let path = directory.log().join("0000000001.seg");
        for number in 1..=3 {
            log.append(&frame(number, 700)).unwrap();
        }
        drop(log);
        let good = without_room(&path);
        let next = frame(4, 700).encode();
        let check = |behind: &[u8], frames: u64, torn: usize| {
            std::fs::write(&path, [&good, behind].concat()).unwrap();
            let (mut log, seen, cut) = opened(&directory).unwrap();
            assert_eq!((seen, cut), (frames, torn as u64));
            // What is left of room or torn is cut, and the log goes on where its frames end.
            log.mend().unwrap();
            let end = good.len() + if frames == 4 { next.len() } else { 0 };
            assert_eq!((length(&path), log.next_place().offset), (end, end as u64));
            log.append(&frame(frames + 1, 5)).unwrap();
            drop(log);
            assert_eq!(opened(&directory).map(|(_, seen, cut)| (seen, cut)), Ok((frames + 1, 0)));
        };
        let room = vec![0; 10_000];
        check(b"", 3, 0);
        check(&room, 3, 0);
        check(&[&next, &room[..]].concat(), 4, 0);
        check(&[&next[..300], &room[..]].concat(), 3, 10_300);
        check(&[&room[..], b"x"].concat(), 3, 10_001);
    }

    #[test]
    fn a_closed_segment_has_no_room_and_may_have_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, mut log) = created(dir.path());
        log.close_segments_at(SEGMENT_HEAD as u64 + 1);
        let path = directory.log().join("0000000001.seg");
        for number in 1..=3 {
            log.append(&frame(number, 700)).unwrap();
        }
        drop(log);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good, without_room(&path));
        std::fs::write(&path, [&good[..], &[0; 5_000]].concat()).unwrap();
        let (mut log, frames, torn) = opened(&directory).unwrap();
        assert_eq!((frames, torn), (3, 0));
        log.mend().unwrap();
        assert_eq!(log.take_out(1, (0, u64::MAX), |_| true), Ok(true));
        drop(log);
        assert_eq!(opened(&directory).map(|(_, frames, torn)| (frames, torn)), Ok((3, 0)));
        // A frame that is missing is missing, whatever stands in its place.
        let zeros = vec![0; good.len() - SEGMENT_HEAD];
        std::fs::write(&path, [&good[..SEGMENT_HEAD], &zeros[..]].concat()).unwrap();
        assert_eq!(opened(&directory).err(), Some("store.damaged"));
        std::fs::write(&path, [&good[..], &zeros[..], b"x"].concat()).unwrap();
        assert_eq!(opened(&directory).err(), Some("store.damaged"));
    }
}
