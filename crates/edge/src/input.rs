//! Bytes of a file: counted as they are read, unpacked when they are gzip (RFC 1952), without BOM.
//!
//! Gzip is known by its magic bytes, not by a name; several members are one file. A stream that
//! ends before its trailer is an error and never a shorter file.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, Read};

const BUFFER_BYTES: usize = 64 * 1024;
const GZIP: &[u8] = &[0x1f, 0x8b];
const BOM_UTF8: &[u8] = &[0xef, 0xbb, 0xbf];
const BOMS_UTF16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// The text of a file. `progress` is told after each read how many bytes of the file, packed as it
/// is, have been read so far.
///
/// # Errors
/// When the first bytes cannot be read or are UTF-16.
pub(crate) fn open<'a>(
    raw: impl Read + 'a,
    progress: impl FnMut(u64) + 'a,
) -> io::Result<Box<dyn BufRead + 'a>> {
    let counted = Counted { raw, read: 0, progress };
    let (magic, packed) = peek(BufReader::with_capacity(BUFFER_BYTES, counted))?;
    let text: Box<dyn BufRead + 'a> = if magic.starts_with(GZIP) {
        let unpacked = MultiGzDecoder::new(packed);
        Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
    } else {
        Box::new(packed)
    };
    let (magic, mut text) = peek(text)?;
    if BOMS_UTF16.iter().any(|bom| magic.starts_with(bom)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is UTF-16, not UTF-8"));
    }
    if magic == BOM_UTF8 {
        text.consume(BOM_UTF8.len());
    }
    Ok(Box::new(text))
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
