//! Encodings of text files: whatever the file has, the reader sees UTF-8.
//!
//! UTF-8, UTF-16 of either byte order (The Unicode Standard §3.10) and Windows-1252 (WHATWG
//! Encoding §9.1, where the five free bytes are C1 controls), of which Latin-1 text is a part.
//! Nothing is replaced: half a surrogate pair becomes three bytes that are no UTF-8, so that its
//! row is refused alone, and [`Encode`] writes every decoded byte back as it was.

use crate::toml_file::did_you_mean;
use std::io::{self, BufRead, ErrorKind, Read, Write};

/// How the characters of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, with or without a mark at its beginning.
    #[default]
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// Windows-1252, for Latin-1 too.
    Windows1252,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 4] =
        [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Windows1252];

    /// Its name in a map.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Utf16Le => "utf-16le",
            Encoding::Utf16Be => "utf-16be",
            Encoding::Windows1252 => "windows-1252",
        }
    }

    /// The encoding of that name.
    ///
    /// # Errors
    /// A sentence with the name that was meant, or all of them.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let names = Encoding::ALL.map(Encoding::name);
        Encoding::ALL.into_iter().find(|encoding| encoding.name() == name).ok_or_else(|| {
            let near = did_you_mean(name, names).unwrap_or_else(|| names.join(", "));
            format!("unknown encoding {:?}: {near}", crate::toml_file::brief(name))
        })
    }

    /// The bytes that mark it at the beginning of a file; Windows-1252 has none.
    #[must_use]
    pub const fn mark(self) -> &'static [u8] {
        match self {
            Encoding::Utf8 => &[0xef, 0xbb, 0xbf],
            Encoding::Utf16Le => &[0xff, 0xfe],
            Encoding::Utf16Be => &[0xfe, 0xff],
            Encoding::Windows1252 => &[],
        }
    }

    /// The encoding whose mark the bytes begin with.
    #[must_use]
    pub fn marked(bytes: &[u8]) -> Option<Self> {
        let marks =
            |encoding: &Encoding| !encoding.mark().is_empty() && bytes.starts_with(encoding.mark());
        Encoding::ALL.into_iter().find(marks)
    }
}

/// What the bytes 0x80 to 0x9f of Windows-1252 are.
const HIGH_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reads text of another encoding as UTF-8.
pub(crate) struct Decode<R> {
    input: R,
    units: Units,
    ready: Vec<u8>,
    at: usize,
}

/// Where in a character the input is.
struct Units {
    encoding: Encoding,
    /// The first byte of a unit of UTF-16.
    byte: Option<u8>,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

impl<R: BufRead> Decode<R> {
    pub(crate) fn new(input: R, encoding: Encoding) -> Self {
        let units = Units { encoding, byte: None, high: None };
        Decode { input, units, ready: Vec::new(), at: 0 }
    }
}

impl<R: BufRead> BufRead for Decode<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                self.units.end(&mut self.ready)?;
                break;
            }
            bytes.iter().for_each(|byte| self.units.take(*byte, &mut self.ready));
            let used = bytes.len();
            self.input.consume(used);
        }
        Ok(self.ready.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, used: usize) {
        self.at = (self.at + used).min(self.ready.len());
    }
}

impl<R: BufRead> Read for Decode<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl Units {
    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Utf8 => out.push(byte),
            Encoding::Windows1252 => {
                let c = usize::from(byte).checked_sub(0x80).and_then(|n| HIGH_1252.get(n));
                put(u32::from(c.copied().unwrap_or(char::from(byte))), out);
            }
            Encoding::Utf16Le | Encoding::Utf16Be => {
                let Some(first) = self.byte.take() else {
                    self.byte = Some(byte);
                    return;
                };
                let low_first = self.encoding == Encoding::Utf16Le;
                let pair = if low_first { [byte, first] } else { [first, byte] };
                self.unit(u16::from_be_bytes(pair), out);
            }
        }
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let high = self.high.take();
        match (high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let pair = (u32::from(high & 0x3ff) << 10) | u32::from(unit & 0x3ff);
                return put(0x1_0000 + pair, out);
            }
            (Some(alone), _) => put(u32::from(alone), out),
            (None, _) => {}
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            other => put(u32::from(other), out),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.byte.take().is_some() {
            let why = "it ends in the middle of a character";
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        if let Some(alone) = self.high.take() {
            put(u32::from(alone), out);
        }
        Ok(())
    }
}

/// The bytes of a code point, by the scheme of UTF-8 also where it is half of a pair.
fn put(point: u32, out: &mut Vec<u8>) {
    let low = |shift: u32| ((point >> shift) & 0x3f) as u8 | 0x80;
    match point {
        0..0x80 => out.push(point as u8),
        0x80..0x800 => out.extend([(point >> 6) as u8 | 0xc0, low(0)]),
        0x800..0x1_0000 => out.extend([(point >> 12) as u8 | 0xe0, low(6), low(0)]),
        _ => out.extend([(point >> 18) as u8 | 0xf0, low(12), low(6), low(0)]),
    }
}

/// Writes text back in its encoding: the opposite of [`Decode`].
pub(crate) struct Encode<W> {
    output: W,
    encoding: Encoding,
    /// The bits of a character so far and how many bytes are missing.
    open: (u32, u8),
}

impl<W: Write> Encode<W> {
    pub(crate) fn new(output: W, encoding: Encoding) -> Self {
        Encode { output, encoding, open: (0, 0) }
    }

    fn point(&mut self, point: u32, out: &mut Vec<u8>) {
        if self.encoding == Encoding::Windows1252 {
            let high = HIGH_1252.iter().position(|c| u32::from(*c) == point);
            // All that was decoded stands in the table or below it; what is not, cannot be written.
            let byte = high.map_or(point, |n| n as u32 + 0x80);
            out.push(u8::try_from(byte).unwrap_or(b'?'));
            return;
        }
        let unit = |unit: u32| match self.encoding {
            Encoding::Utf16Le => (unit as u16).to_le_bytes(),
            _ => (unit as u16).to_be_bytes(),
        };
        match point.checked_sub(0x1_0000) {
            None => out.extend(unit(point)),
            Some(pair) => {
                out.extend(unit(0xd800 | (pair >> 10)));
                out.extend(unit(0xdc00 | (pair & 0x3ff)));
            }
        }
    }
}

impl<W: Write> Write for Encode<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.encoding == Encoding::Utf8 {
            return self.output.write(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len() * 2);
        for byte in bytes {
            let byte32 = u32::from(*byte);
            self.open = match byte {
                0x80..0xc0 => ((self.open.0 << 6) | (byte32 & 0x3f), self.open.1.saturating_sub(1)),
                0xc0..0xe0 => (byte32 & 0x1f, 1),
                0xe0..0xf0 => (byte32 & 0x0f, 2),
                0xf0.. => (byte32 & 0x07, 3),
                _ => (byte32, 0),
            };
            if self.open.1 == 0 {
                self.point(self.open.0, &mut out);
            }
        }
        self.output.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Decode, Encode, Encoding};
    use proptest::prelude::*;
    use std::io::{BufReader, Read, Write};

    fn decode(bytes: &[u8], encoding: Encoding, buffer: usize) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let input = BufReader::with_capacity(buffer, bytes);
        Decode::new(input, encoding).read_to_end(&mut out).map(|_| out)
    }

    fn encode(text: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut writer = Encode::new(Vec::new(), encoding);
        text.chunks(3).for_each(|part| writer.write_all(part).unwrap());
        writer.output
    }

    #[test]
    fn characters() {
        let check = |encoding: Encoding, bytes: &[u8], text: &[u8]| {
            for buffer in [1, 2, 3, 64] {
                assert_eq!(decode(bytes, encoding, buffer).unwrap(), text, "{encoding:?}");
            }
            assert_eq!(encode(text, encoding), bytes, "{encoding:?}");
        };
        check(Encoding::Windows1252, b"25 \xb0C \x80\x9f\x81", "25 °C €Ÿ\u{81}".as_bytes());
        check(Encoding::Utf16Le, b"a\0\xb0\0\x3d\xd8\x00\xde", "a°😀".as_bytes());
        check(Encoding::Utf16Be, b"\0a\0\xb0\xd8\x3d\xde\x00", "a°😀".as_bytes());
        check(Encoding::Utf8, "a°😀".as_bytes(), "a°😀".as_bytes());
        // Half a pair: no UTF-8, and still the same bytes when it is written back.
        check(Encoding::Utf16Le, b"\x3d\xd8a\0\x00\xde", b"\xed\xa0\xbda\xed\xb8\x80");
        check(Encoding::Utf16Be, b"\xd8\x3d", b"\xed\xa0\xbd");
        let cut = decode(b"a\0b", Encoding::Utf16Le, 2).unwrap_err();
        assert_eq!(cut.to_string(), "it ends in the middle of a character");
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..4,
        ) {
            let encoding = Encoding::ALL[at];
            if matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) && bytes.len() % 2 == 1 {
                bytes.pop();
            }
            let text = decode(&bytes, encoding, 7).unwrap();
            prop_assert_eq!(encode(&text, encoding), bytes);
        }
    }
}
