//! No key and nonce may seal two plaintexts, over everything that was ever written, also what a
//! power cut took away again.
//!
//! Looked at is more than that: no nonce at all may stand before two sealed texts, under whatever
//! key. AES-GCM-SIV under one key, nonce and plaintext gives one sealed text, and a nonce that is
//! the front of a random commitment comes once. Bytes as in docs/format.md, "Log and keys".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use twinpact_store::bytes::Take;
use twinpact_store::frame::{Frame, SEGMENT_HEAD};
use twinpact_store::redo::Redo;
use twinpact_store::{keystore, spare};

type Seen = BTreeMap<[u8; 12], Vec<u8>>;

/// How many different nonces stand in what was written to segments and keystores.
///
/// # Errors
/// The file in which a nonce was used again.
pub fn check(written: &[(PathBuf, Vec<u8>)]) -> Result<usize, String> {
    let mut seen = Seen::new();
    for (path, bytes) in written {
        let again = |nonce: &[u8; 12]| format!("{}: nonce {nonce:?} again", path.display());
        for (nonce, sealed) in sealed_in(path, bytes) {
            match seen.get(&nonce) {
                Some(known) if *known != sealed => return Err(again(&nonce)),
                _ => drop(seen.insert(nonce, sealed)),
            }
        }
    }
    Ok(seen.len())
}

fn sealed_in(path: &Path, bytes: &[u8]) -> Vec<([u8; 12], Vec<u8>)> {
    let behind = |head: usize| bytes.get(head..).unwrap_or_default();
    match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
        name if name.ends_with(".seg") => sealed_in_frame(bytes),
        // A segment as a whole, from which payloads were taken out.
        name if name.ends_with(".seg.new") => sealed_in_frames(behind(SEGMENT_HEAD)),
        "newest.new" => sealed_in_frame(behind(spare::HEAD)),
        // Frames of a segment, from which payloads are being taken out.
        "redo.new" => {
            let frames = Redo::decode(bytes).map(|redo| redo.frames).unwrap_or_default();
            frames.values().flat_map(|frame| sealed_in_frame(frame)).collect()
        }
        "keystore" => key_records(bytes),
        // A keystore as a whole.
        "keystore.new" => key_records(behind(keystore::HEAD)),
        _ => Vec::new(),
    }
}

fn sealed_in_frame(bytes: &[u8]) -> Vec<([u8; 12], Vec<u8>)> {
    let frame = Frame::decode(bytes).map(|(frame, _)| frame).unwrap_or_default();
    sealed_in_one(frame)
}

fn sealed_in_frames(bytes: &[u8]) -> Vec<([u8; 12], Vec<u8>)> {
    let mut rest = bytes;
    let frames = std::iter::from_fn(|| {
        let (frame, length) = Frame::decode(rest)?;
        rest = rest.get(length..).unwrap_or_default();
        Some(frame)
    });
    frames.flat_map(sealed_in_one).collect()
}

/// What was taken out is no sealed text any more.
fn sealed_in_one(frame: Frame) -> Vec<([u8; 12], Vec<u8>)> {
    let front = |pc: &[u8; 32]| pc.first_chunk::<12>().copied().unwrap_or_default();
    let sealed = frame.entries.into_iter().filter(|entry| !entry.is_taken_out());
    sealed.map(|e| (front(&e.pc), e.sealed)).collect()
}

fn key_records(bytes: &[u8]) -> Vec<([u8; 12], Vec<u8>)> {
    let mut take = Take(bytes);
    std::iter::from_fn(|| key_record(&mut take)).collect()
}

/// Nonce and sealed text of the key record at the front.
fn key_record(take: &mut Take<'_>) -> Option<([u8; 12], Vec<u8>)> {
    let (length, _sum) = (take.u32()?, take.u32()?);
    let mut body = Take(take.raw(usize::try_from(length).ok()?)?);
    let (_number, nonce) = (body.u64()?, body.array::<12>()?);
    Some((nonce, body.0.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::check;
    use std::path::PathBuf;
    use twinpact_store::bytes::Put;
    use twinpact_store::frame::{Frame, SealedEntry};
    use twinpact_store::redo::Redo;

    fn frame(pc: u8, sealed: u8) -> (PathBuf, Vec<u8>) {
        let entry =
            SealedEntry { tree: 1, subject: 1, bucket: 2, pc: [pc; 32], sealed: vec![sealed; 9] };
        let frame = Frame { entries: vec![entry], ..Frame::default() };
        (PathBuf::from("/disk/log/0000000001.seg"), frame.encode())
    }

    fn key(nonce: u8, sealed: u8) -> (PathBuf, Vec<u8>) {
        let mut put = Put::default();
        put.u32(8 + 12 + 9);
        put.u32(0);
        put.u64(1);
        put.raw(&[nonce; 12]);
        put.raw(&[sealed; 9]);
        (PathBuf::from("/disk/keys/keystore"), put.0)
    }

    fn copy(name: &str, head: usize, (_, bytes): (PathBuf, Vec<u8>)) -> (PathBuf, Vec<u8>) {
        (PathBuf::from("/disk").join(name), [vec![0; head], bytes].concat())
    }

    fn redo(frames: &[(PathBuf, Vec<u8>)]) -> (PathBuf, Vec<u8>) {
        let frames = (4_096..).zip(frames).map(|(at, (_, bytes))| (at, bytes.clone())).collect();
        (PathBuf::from("/disk/log/redo.new"), Redo { segment: 1, frames }.encode())
    }

    #[test]
    fn a_nonce_that_comes_again_with_another_text_is_found() {
        for (appended, expect) in [
            (vec![frame(1, 1), frame(2, 2), key(3, 3)], Some(3)),
            // Written again as it was.
            (vec![frame(1, 1), frame(1, 1), key(3, 3), key(3, 3)], Some(2)),
            (vec![frame(1, 1), frame(2, 2), frame(1, 2)], None),
            (vec![key(1, 1), key(1, 2)], None),
            // In a copy of its own.
            (vec![frame(1, 1), copy("newest.new", 30, frame(1, 1)), key(3, 3)], Some(2)),
            (vec![frame(1, 1), copy("newest.new", 30, frame(1, 2))], None),
            // In a segment that was replaced: taken out, or sealed as another text.
            (vec![frame(1, 1), copy("1.seg.new", 4_096, frame(1, 0))], Some(1)),
            (vec![frame(1, 1), copy("1.seg.new", 4_096, frame(1, 2))], None),
            (vec![frame(1, 1), redo(&[frame(1, 0), frame(2, 2)])], Some(2)),
            (vec![frame(1, 1), redo(&[frame(2, 2), frame(1, 2)])], None),
            (vec![key(1, 1), copy("keystore.new", 50, key(1, 2))], None),
        ] {
            assert_eq!(check(&appended).ok(), expect, "{appended:?}");
        }
    }
}
