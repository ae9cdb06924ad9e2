//! Frames and segment heads: bytes to values and back. No file is touched here.
//!
//! A frame is one group commit: atomic, and all its entries become durable with one `fdatasync`.
//! Its check sum is CRC-32C over everything behind the check sum; the head of a segment carries its
//! own.

use crate::bytes::{Put, Take};
use crate::successor::{SUCCESSOR_BYTES, Successor};
use twinpact_proof::anchor::TreeId;
use twinpact_proof::digest::Digest;

/// The length of a segment's head in bytes.
pub const SEGMENT_HEAD: usize = 4096;
/// The newest version of a frame that this release reads: in one of version 2 payloads were taken
/// out when their keys were destroyed.
pub const VERSION: u16 = 2;
/// The version of a frame as it is first written, and of the head of a segment.
const WHOLE: u16 = 1;
/// The largest frame in bytes.
pub const MAX_FRAME: usize = 64 << 20;
/// A frame that has grown to this many bytes of entries takes no other turn.
pub const FRAME_BYTES: usize = 4 << 20;
/// The most bytes of entries that one turn may add to a frame, whatever others have added.
pub const MAX_TURN_BYTES: usize = 16 << 20;
/// The most trees of one log: the first frame of a segment has the state of all of them.
pub const MAX_TREES: u32 = 32_768;

/// What an entry takes in a frame besides its sealed payload: tree, subject, bucket, commitment and
/// a length.
pub(crate) const ENTRY_BYTES: usize = 4 + 8 + 4 + 32 + 4;
/// Magic, length, check sum, version, flags, sequence number, count, time, and the tick.
const HEAD_BYTES: usize = 12 + 2 + 2 + 8 + 4 + 8 + 16;
/// Every tree opened in one frame: their number, and number and id of each.
const OPENS_BYTES: usize = 4 + MAX_TREES as usize * 20;
/// A tree of fewer than 2^40 leaves has at most so many full subtrees. A log that has more would
/// be larger than 100 TB.
const MAX_FRONTIER: usize = 40;
/// All trees and the anchor: how many, and of each number, id, size and frontier.
const STATE_BYTES: usize = 4 + (MAX_TREES as usize + 1) * (4 + 16 + 8 + 4 + 32 * MAX_FRONTIER);

// A frame never passes its bound: what others staged is below `FRAME_BYTES` when a turn comes, so
// 4 MiB + 16 MiB of entries, 41.0 MiB of state, 0.6 MiB of head and opened trees and 0.2 MiB of
// predecessors are at most 61.8 MiB of the 64.
const _: () = assert!(
    FRAME_BYTES + MAX_TURN_BYTES + STATE_BYTES + OPENS_BYTES + SUCCESSOR_BYTES + HEAD_BYTES
        <= MAX_FRAME,
    "a frame could be larger than what is read back"
);

const SEGMENT_MAGIC: &[u8; 8] = b"TWINLOG\n";
/// What every frame begins with.
pub const FRAME_MAGIC: [u8; 4] = *b"TwFr";
/// How many bytes say how long a frame is.
pub const FRAME_HEAD: usize = 12;
const FLAG_TICK: u16 = 1;
const FLAG_OPENS: u16 = 2;
const FLAG_STATE: u16 = 4;
const FLAG_SUCCESSOR: u16 = 8;

/// What stands at the start of a segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHead {
    /// SHA-256 of the organisation's DID: a segment of another node is refused.
    pub organisation: Digest,
    /// The partition.
    pub partition: u32,
    /// Its number, from 1.
    pub segment: u64,
    /// The sequence number of its first entry.
    pub first_seq: u64,
    /// Random for each start of the node.
    pub boot: [u8; 16],
}

/// Why a segment head cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// Written by a newer release.
    Newer(u16),
    /// Not a head, or damaged.
    Damaged,
}

impl SegmentHead {
    /// The bytes, [`SEGMENT_HEAD`] long.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut put = Put::default();
        put.raw(SEGMENT_MAGIC);
        put.u16(WHOLE);
        put.raw(&self.organisation);
        put.u32(self.partition);
        put.u64(self.segment);
        put.u64(self.first_seq);
        put.raw(&self.boot);
        put.0.resize(SEGMENT_HEAD - 4, 0);
        put.u32(crc32c::crc32c(&put.0));
        put.0
    }

    /// Reads them.
    ///
    /// # Errors
    /// When a newer release wrote them, or they are not what was written.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHead, BadHead> {
        let head = bytes.get(..SEGMENT_HEAD).ok_or(BadHead::Damaged)?;
        let (body, sum) = head.split_last_chunk::<4>().ok_or(BadHead::Damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(BadHead::Damaged);
        }
        let mut take = Take(body);
        if take.array() != Some(*SEGMENT_MAGIC) {
            return Err(BadHead::Damaged);
        }
        match take.u16() {
            Some(WHOLE) => {}
            Some(version) if version > WHOLE => return Err(BadHead::Newer(version)),
            _ => return Err(BadHead::Damaged),
        }
        let mut read = || {
            Some(SegmentHead {
                organisation: take.array()?,
                partition: take.u32()?,
                segment: take.u64()?,
                first_seq: take.u64()?,
                boot: take.array()?,
            })
        };
        read().ok_or(BadHead::Damaged)
    }
}

/// One entry as it stands in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    /// The tree that it belongs to; 0 for local records, which are in no tree.
    pub tree: u32,
    /// The number of the subject key.
    pub subject: u64,
    /// The number of the bucket key.
    pub bucket: u32,
    /// The payload commitment.
    pub pc: Digest,
    /// The sealed payload; as many zeros when it was taken out.
    pub sealed: Vec<u8>,
}

impl SealedEntry {
    /// Whether the payload was taken out.
    #[must_use]
    pub fn is_taken_out(&self) -> bool {
        !self.sealed.is_empty() && self.sealed.iter().all(|byte| *byte == 0)
    }

    /// Takes the payload out. The frame keeps its length, so that all others stay where they are.
    pub fn take_out(&mut self) {
        self.sealed.fill(0);
    }
}

/// An anchor leaf that a frame makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Its number, from 0 without gaps.
    pub number: u64,
    /// The wall clock in microseconds since 1970.
    pub time: u64,
}

/// A tree that a frame opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opens {
    /// Its number in this log; its slot is one less.
    pub tree: u32,
    /// Its random id.
    pub id: TreeId,
}

/// The state of one tree, or of the anchor (tree number `u32::MAX`), at the start of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeState {
    /// The tree's number.
    pub tree: u32,
    /// Its id.
    pub id: TreeId,
    /// Its size.
    pub size: u64,
    /// The roots of its full subtrees, largest first.
    pub frontier: Vec<Digest>,
}

/// One group commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// The sequence number of its first entry.
    pub first_seq: u64,
    /// When it was committed, in microseconds since 1970.
    pub time: i64,
    /// The trees that it opens, before its entries.
    pub opens: Vec<Opens>,
    /// The entries.
    pub entries: Vec<SealedEntry>,
    /// The anchor leaf that it makes, after its entries.
    pub tick: Option<Tick>,
    /// In the first frame of a segment: all trees as they stood.
    pub state: Option<Vec<TreeState>>,
    /// The log that it opens, before everything but the state: the anchor begins again.
    pub successor: Option<Successor>,
}

impl Frame {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|entry| 64 + entry.sealed.len()).sum::<usize>();
        let mut put = Put(Vec::with_capacity(256 + entries));
        put.raw(&FRAME_MAGIC);
        put.u32(0);
        put.u32(0);
        let whole = !self.entries.iter().any(SealedEntry::is_taken_out);
        put.u16(if whole { WHOLE } else { VERSION });
        put.u16(self.flags());
        put.u64(self.first_seq);
        put.u32(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        put.i64(self.time);
        if let Some(tick) = self.tick {
            put.u64(tick.number);
            put.u64(tick.time);
        }
        if !self.opens.is_empty() {
            put.u32(u32::try_from(self.opens.len()).unwrap_or(u32::MAX));
            for opens in &self.opens {
                put.u32(opens.tree);
                put.raw(&opens.id);
            }
        }
        if let Some(state) = &self.state {
            encode_state(&mut put, state);
        }
        if let Some(successor) = &self.successor {
            successor.encode(&mut put);
        }
        for entry in &self.entries {
            put.u32(entry.tree);
            put.u64(entry.subject);
            put.u32(entry.bucket);
            put.raw(&entry.pc);
            put.block(&entry.sealed);
        }
        seal_head(put.0)
    }

    fn flags(&self) -> u16 {
        let flag = |on: bool, flag: u16| if on { flag } else { 0 };
        flag(self.tick.is_some(), FLAG_TICK)
            | flag(!self.opens.is_empty(), FLAG_OPENS)
            | flag(self.state.is_some(), FLAG_STATE)
            | flag(self.successor.is_some(), FLAG_SUCCESSOR)
    }

    /// The frame that begins at the front of these bytes, and its length; `None` when there is no
    /// whole and unharmed one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Frame, usize)> {
        let body = whole(bytes)?;
        decode_body(body).map(|frame| (frame, FRAME_HEAD + body.len()))
    }
}

/// The body of the frame that begins at the front, by its check sum whole and unharmed.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let length = frame_length(bytes)?;
    let sum = Take(bytes.get(8..FRAME_HEAD)?).u32()?;
    bytes.get(FRAME_HEAD..length).filter(|body| crc32c::crc32c(body) == sum)
}

/// What begins at the front when it is no frame that this release reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFrame {
    /// Not whole, or harmed: it may have been torn when power went.
    Harmed,
    /// Whole, so that it was not torn, and not of the form: a bug wrote it.
    Malformed,
    /// Written by a newer release.
    Newer,
}

/// Why these bytes, of which [`Frame::decode`] made nothing, are no frame.
#[must_use]
pub fn bad_frame(bytes: &[u8]) -> BadFrame {
    match whole(bytes).map(|body| Take(body).u16()) {
        None => BadFrame::Harmed,
        Some(version) if version.is_some_and(|v| v > VERSION) => BadFrame::Newer,
        Some(_) => BadFrame::Malformed,
    }
}

/// How long the frame is that begins at the front of these bytes, by its head.
#[must_use]
pub fn frame_length(bytes: &[u8]) -> Option<usize> {
    let mut take = Take(bytes);
    let magic: [u8; 4] = take.array()?;
    let length = usize::try_from(take.u32()?).ok()?;
    (magic == FRAME_MAGIC && (FRAME_HEAD..=MAX_FRAME).contains(&length)).then_some(length)
}

/// Fills in length and check sum.
fn seal_head(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let sum = crc32c::crc32c(bytes.get(FRAME_HEAD..).unwrap_or_default());
    let head = length.to_le_bytes().into_iter().chain(sum.to_le_bytes());
    bytes.iter_mut().skip(4).zip(head).for_each(|(slot, byte)| *slot = byte);
    bytes
}

fn encode_state(put: &mut Put, state: &[TreeState]) {
    put.u32(u32::try_from(state.len()).unwrap_or(u32::MAX));
    for tree in state {
        put.u32(tree.tree);
        put.raw(&tree.id);
        put.u64(tree.size);
        put.u32(u32::try_from(tree.frontier.len()).unwrap_or(u32::MAX));
        tree.frontier.iter().for_each(|hash| put.raw(hash));
    }
}

fn decode_body(body: &[u8]) -> Option<Frame> {
    let mut take = Take(body);
    if !(WHOLE..=VERSION).contains(&take.u16()?) {
        return None;
    }
    let flags = take.u16()?;
    if flags & !(FLAG_TICK | FLAG_OPENS | FLAG_STATE | FLAG_SUCCESSOR) != 0 {
        return None;
    }
    let mut frame = Frame { first_seq: take.u64()?, ..Frame::default() };
    let count = take.u32()?;
    frame.time = take.i64()?;
    if flags & FLAG_TICK != 0 {
        frame.tick = Some(Tick { number: take.u64()?, time: take.u64()? });
    }
    if flags & FLAG_OPENS != 0 {
        for _ in 0..take.u32()? {
            frame.opens.push(Opens { tree: take.u32()?, id: take.array()? });
        }
    }
    if flags & FLAG_STATE != 0 {
        frame.state = Some(decode_state(&mut take)?);
    }
    if flags & FLAG_SUCCESSOR != 0 {
        frame.successor = Some(Successor::decode(&mut take)?);
    }
    for _ in 0..count {
        frame.entries.push(SealedEntry {
            tree: take.u32()?,
            subject: take.u64()?,
            bucket: take.u32()?,
            pc: take.array()?,
            sealed: take.block()?.to_vec(),
        });
    }
    take.0.is_empty().then_some(frame)
}

fn decode_state(take: &mut Take<'_>) -> Option<Vec<TreeState>> {
    let mut trees = Vec::new();
    for _ in 0..take.u32()? {
        let (tree, id, size, hashes) = (take.u32()?, take.array()?, take.u64()?, take.u32()?);
        let frontier = (0..hashes).map(|_| take.array()).collect::<Option<Vec<_>>>()?;
        trees.push(TreeState { tree, id, size, frontier });
    }
    Some(trees)
}

/// Whether a whole frame with a sequence number above `seq`, or a whole one that this release
/// cannot read, begins anywhere in these bytes.
#[must_use]
pub fn later_frame(bytes: &[u8], seq: u64) -> bool {
    (0..bytes.len()).any(|at| {
        bytes.get(at..).is_some_and(|rest| {
            rest.starts_with(&FRAME_MAGIC)
                && match Frame::decode(rest) {
                    Some((frame, _)) => frame.first_seq > seq,
                    None => bad_frame(rest) != BadFrame::Harmed,
                }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{
        BadFrame, BadHead, ENTRY_BYTES, FRAME_BYTES, Frame, MAX_FRAME, MAX_FRONTIER, MAX_TREES,
        MAX_TURN_BYTES, Opens, SealedEntry, SegmentHead, Successor, Tick, TreeState, bad_frame,
        later_frame, seal_head,
    };
    use proptest::prelude::*;
    use twinpact_proof::successor::Predecessor;

    fn frame() -> Frame {
        Frame {
            first_seq: 41,
            time: 5,
            opens: vec![Opens { tree: 3, id: [4; 16] }],
            entries: vec![SealedEntry {
                tree: 1,
                subject: 2,
                bucket: 3,
                pc: [7; 32],
                sealed: vec![1, 2, 3],
            }],
            tick: Some(Tick { number: 9, time: 10 }),
            state: Some(vec![TreeState {
                tree: 1,
                id: [1; 16],
                size: 3,
                frontier: vec![[1; 32], [2; 32]],
            }]),
            successor: Some(Successor {
                log: [6; 8],
                predecessors: vec![Predecessor {
                    origin: "operator.example/twinpact/1".into(),
                    size: 7,
                    root: [5; 32],
                    reason: "restored".into(),
                }],
            }),
        }
    }

    #[test]
    fn frames_read_as_written() {
        for change in 0..5 {
            let mut frame = frame();
            match change {
                1 => frame.tick = None,
                2 => frame.opens.clear(),
                3 => frame.state = None,
                4 => frame.successor = None,
                _ => {}
            }
            let mut bytes = frame.encode();
            let length = bytes.len();
            bytes.extend_from_slice(b"more");
            assert_eq!(Frame::decode(&bytes), Some((frame, length)));
        }
    }

    /// Nearly full when a turn of the largest size comes, with every tree opened and stated.
    #[test]
    fn the_largest_frame_reads_as_written() {
        let mut largest = frame();
        let id = [1; 16];
        let frontier = vec![[1; 32]; MAX_FRONTIER];
        largest.opens = (1..=MAX_TREES).map(|tree| Opens { tree, id }).collect();
        let state = |tree| TreeState { tree, id, size: 1 << 39, frontier: frontier.clone() };
        largest.state = Some((0..=MAX_TREES).map(state).collect());
        let entry = |bytes: usize| SealedEntry {
            sealed: vec![7; bytes - ENTRY_BYTES],
            ..largest.entries[0].clone()
        };
        largest.entries = vec![entry(FRAME_BYTES - 1), entry(MAX_TURN_BYTES)];
        largest.successor = None;
        let bytes = largest.encode();
        let parts = super::STATE_BYTES + super::OPENS_BYTES + super::HEAD_BYTES;
        assert_eq!(bytes.len(), FRAME_BYTES - 1 + MAX_TURN_BYTES + parts);
        assert!(bytes.len() <= MAX_FRAME);
        assert_eq!(Frame::decode(&bytes), Some((largest, bytes.len())));
    }

    #[test]
    fn heads_read_as_written() {
        let head = SegmentHead {
            organisation: [1; 32],
            partition: 0,
            segment: 2,
            first_seq: 3,
            boot: [4; 16],
        };
        let bytes = head.encode();
        assert_eq!(SegmentHead::decode(&bytes), Ok(head));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(SegmentHead::decode(&bad), Err(BadHead::Damaged), "{at}");
        }
        let mut newer = bytes[..bytes.len() - 4].to_vec();
        newer[8] = 2;
        newer.extend_from_slice(&crc32c::crc32c(&newer).to_le_bytes());
        assert_eq!(SegmentHead::decode(&newer), Err(BadHead::Newer(2)));
    }

    #[test]
    fn a_frame_without_a_payload_keeps_its_length_and_says_its_version() {
        let (whole, mut without) = (frame(), frame());
        without.entries[0].take_out();
        assert!(without.entries[0].is_taken_out() && !whole.entries[0].is_taken_out());
        let (before, after) = (whole.encode(), without.encode());
        assert_eq!((before.len(), before[12], after[12]), (after.len(), 1, 2));
        assert_eq!(Frame::decode(&after), Some((without, after.len())));
    }

    #[test]
    fn a_later_frame_is_found_behind_damage() {
        let mut bytes = vec![0; 100];
        bytes.extend(frame().encode());
        assert!(later_frame(&bytes, 40));
        assert!(!later_frame(&bytes, 41));
        assert!(!later_frame(&bytes[..bytes.len() - 1], 40));
    }

    /// A frame with another version or other flags, and the check sum that belongs to it.
    fn changed(at: usize, to: u8) -> Vec<u8> {
        let mut bytes = frame().encode();
        bytes[at] = to;
        seal_head(bytes)
    }

    #[test]
    fn what_a_newer_release_wrote_is_not_taken_for_torn() {
        for (bytes, expect) in [
            (changed(12, 3), BadFrame::Newer),
            (changed(13, 1), BadFrame::Newer),
            (changed(12, 0), BadFrame::Malformed),
            (changed(14, 7), BadFrame::Malformed),
            (changed(14, 16 | 15), BadFrame::Malformed),
            (changed(15, 1), BadFrame::Malformed),
            (changed(24, 9), BadFrame::Malformed),
            (
                seal_head(super::FRAME_MAGIC.iter().chain(&[0; 8]).copied().collect()),
                BadFrame::Malformed,
            ),
        ] {
            assert_eq!((Frame::decode(&bytes), bad_frame(&bytes)), (None, expect));
            let behind = [&[7; 30][..], &bytes].concat();
            assert!(later_frame(&behind, 1_000), "{expect:?}");
            let torn = &bytes[..bytes.len() - 1];
            assert_eq!(bad_frame(torn), BadFrame::Harmed);
            assert!(!later_frame(torn, 0));
        }
    }

    proptest! {
        #[test]
        fn no_changed_byte_goes_unseen(at: prop::sample::Index, flip in 1u8..) {
            let mut bytes = frame().encode();
            let i = at.index(bytes.len());
            bytes[i] ^= flip;
            prop_assert_eq!(Frame::decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut framed = super::FRAME_MAGIC.to_vec();
            framed.extend(bytes);
            prop_assert_eq!(Frame::decode(&super::seal_head(framed)).is_some(), false);
        }
    }
}
