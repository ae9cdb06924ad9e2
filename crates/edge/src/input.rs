//! Bytes of a file: counted as they are read, unpacked when they are gzip (RFC 1952), without the
//! mark of their encoding, as UTF-8.
//!
//! Gzip is known by its magic bytes, not by a name; several members are one file. A stream that
//! ends before its trailer is an error and never a shorter file.

use crate::encoding::{Decode, Encoding};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, Read};

const BUFFER_BYTES: usize = 64 * 1024;
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The text of a file and whether a mark of its encoding stood before it. `progress` is told after
/// each read how many bytes of the file, packed as it is, have been read so far.
///
/// # Errors
/// When the first bytes cannot be read or are the mark of another encoding.
pub(crate) fn open<'a>(
    raw: impl Read + 'a,
    encoding: Encoding,
    progress: impl FnMut(u64) + 'a,
) -> io::Result<(Box<dyn BufRead + 'a>, bool)> {
    let (magic, mut bytes) = peek(unpacked(raw, progress)?)?;
    let marked = match Encoding::marked(&magic) {
        None => false,
        Some(found) if found == encoding => {
            bytes.consume(found.mark().len());
            true
        }
        Some(found) => {
            let why = format!("it is {}, not {}", shown(found), shown(encoding));
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    };
    match encoding {
        Encoding::Utf8 => Ok((Box::new(bytes), marked)),
        other => Ok((Box::new(Decode::new(bytes, other)), marked)),
    }
}

fn shown(encoding: Encoding) -> String {
    encoding.name().to_uppercase()
}

/// The bytes of a file, unpacked when they are gzip.
///
/// # Errors
/// When the first bytes cannot be read.
pub(crate) fn unpacked<'a>(
    raw: impl Read + 'a,
    progress: impl FnMut(u64) + 'a,
) -> io::Result<Box<dyn BufRead + 'a>> {
    let counted = Counted { raw, read: 0, progress };
    let (magic, packed) = peek(BufReader::with_capacity(BUFFER_BYTES, counted))?;
    if magic.starts_with(GZIP) {
        let unpacked = MultiGzDecoder::new(packed);
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)))
    } else {
        Ok(Box::new(packed))
    }
}

/// The first bytes, three when there are so many, and the input with them still in it.
fn peek<R: BufRead>(mut input: R) -> io::Result<(Vec<u8>, impl BufRead)> {
    let mut first = Vec::new();
    input.by_ref().take(3).read_to_end(&mut first)?;
    Ok((first.clone(), Cursor::new(first).chain(input)))
}

struct Counted<R, P> {
    raw: R,
    read: u64,
    progress: P,
}

impl<R: Read, P: FnMut(u64)> Read for Counted<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(buffer)?;
        self.read += n as u64;
        (self.progress)(self.read);
        Ok(n)
    }
}
