//! The little of deterministic CBOR (RFC 8949 §4.2.1) that hashed values need: arrays of known
//! length, byte strings, text strings and unsigned integers, each in its shortest form.
//!
//! What is hashed is the bytes as they came; [`Reader`] refuses every other encoding of the same
//! value, so that one value has one hash.

/// Writes deterministic CBOR.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An array of so many items, which the caller then writes.
    #[must_use]
    pub fn array(items: usize) -> Self {
        // Nearly all that is hashed is shorter.
        Writer::with_room(128).restart(items)
    }

    /// Nothing yet, and memory for so many bytes.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Writer(Vec::with_capacity(bytes))
    }

    /// Writes on behind these bytes.
    #[must_use]
    pub fn after(bytes: Vec<u8>) -> Self {
        Writer(bytes)
    }

    /// Forgets what was written and begins another array, in the same memory.
    #[must_use]
    pub fn restart(mut self, items: usize) -> Self {
        self.0.clear();
        self.head(4, items as u64);
        self
    }

    /// Forgets what was written behind so many bytes.
    #[must_use]
    pub fn back_to(mut self, length: usize) -> Self {
        self.0.truncate(length);
        self
    }

    /// A nested array of so many items.
    #[must_use]
    pub fn nested(mut self, items: usize) -> Self {
        self.head(4, items as u64);
        self
    }

    /// A text string.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.head(3, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A byte string.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.head(2, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// An unsigned integer.
    #[must_use]
    pub fn uint(mut self, value: u64) -> Self {
        self.head(0, value);
        self
    }

    /// The bytes so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }

    #[inline]
    fn head(&mut self, major: u8, value: u64) {
        let (major, wide) = (major << 5, value.to_be_bytes());
        match value {
            // Nearly all that is hashed.
            0..24 => self.0.push(major | wide[7]),
            24..0x100 => self.0.extend_from_slice(&[major | 24, wide[7]]),
            _ => self.long_head(major, value),
        }
    }

    fn long_head(&mut self, major: u8, value: u64) {
        let wide = value.to_be_bytes();
        match value {
            ..0x1_0000 => self.0.extend_from_slice(&[major | 25, wide[6], wide[7]]),
            0x1_0000..0x1_0000_0000 => {
                self.0.push(major | 26);
                self.0.extend_from_slice(&wide[4..]);
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend_from_slice(&wide);
            }
        }
    }
}

/// Reads what [`Writer`] writes and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader over these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// Whether an array of exactly so many items comes next.
    pub fn array(&mut self, items: usize) -> Option<()> {
        (self.head(4)? == items as u64).then_some(())
    }

    /// The text string that comes next.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.head(3)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// The byte string that comes next.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.head(2)?;
        self.take(length)
    }

    /// The unsigned integer that comes next.
    pub fn uint(&mut self) -> Option<u64> {
        self.head(0)
    }

    /// Whether everything was read.
    #[must_use]
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn head(&mut self, major: u8) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        if first >> 5 != major {
            return None;
        }
        let (value, smallest) = match first & 31 {
            short @ 0..24 => return Some(u64::from(short)),
            24 => (self.wide(1)?, 24),
            25 => (self.wide(2)?, 0x100),
            26 => (self.wide(4)?, 0x1_0000),
            27 => (self.wide(8)?, 0x1_0000_0000),
            _ => return None,
        };
        (value >= smallest).then_some(value)
    }

    fn wide(&mut self, bytes: u64) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)))
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};
    use crate::digest::to_hex;

    #[test]
    fn shortest_forms() {
        for (value, expect) in [
            (0u64, "00"),
            (23, "17"),
            (24, "1818"),
            (255, "18ff"),
            (256, "190100"),
            (65_536, "1a00010000"),
            (u64::from(u32::MAX) + 1, "1b0000000100000000"),
        ] {
            let bytes = Writer::array(1).uint(value).done();
            assert_eq!(to_hex(&bytes), format!("81{expect}"));
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.array(1).and_then(|()| reader.uint()), Some(value));
            assert!(reader.end().is_some());
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        for bytes in [&[0x81, 0x18, 0x05][..], &[0x81, 0x19, 0, 5], &[0x9f, 5, 0xff], &[0x81], &[]]
        {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.array(1).and_then(|()| reader.uint()), None, "{bytes:?}");
        }
        let mut reader = Reader::new(&[0x62, 0xff, 0xff]);
        assert_eq!(reader.text(), None);
        let mut reader = Reader::new(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(reader.bytes(), None);
    }
}
