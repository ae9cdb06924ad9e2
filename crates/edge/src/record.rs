//! CSV records (RFC 4180), byte by byte, within bounds.
//!
//! Strict where leniency would hide a loss: a quote inside an unquoted cell, text after a closing
//! quote and a quote that is never closed spoil their record, and the next one is read on. Lines
//! end with LF or CR LF; blank lines are no records. A record beyond a bound is read past, not
//! kept, so that memory stays bounded whatever comes.

use std::io::{self, BufRead, ErrorKind};

/// The longest record, in bytes, quotes, delimiters and line end included.
pub(crate) const MAX_RECORD_BYTES: usize = 1 << 20;
/// The most cells of a record.
pub(crate) const MAX_CELLS: usize = 512;

/// What spoils a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is longer than [`MAX_RECORD_BYTES`].
    TooLong,
    /// It has more than [`MAX_CELLS`] cells.
    TooManyCells,
    /// A quote stands where none may.
    StrayQuote,
    /// The file ends inside quotes.
    OpenQuote,
}

/// One record: its cells, or what spoils it.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The line it begins on, from 1.
    pub line: u64,
    /// What spoils it.
    pub fault: Option<Fault>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    /// The cells, in order. Of a spoilt record, those that were read before it was.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| self.bytes.get(from..*to).unwrap_or_default())
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// After a quote that closes, or is the first of two.
    Closing,
    /// After a carriage return that follows a closing quote.
    ClosedReturn,
}

/// Reads one record after the other.
pub(crate) struct Records<'a> {
    input: Box<dyn BufRead + 'a>,
    splitter: Splitter,
}

impl<'a> Records<'a> {
    /// Reads the input with that delimiter, an ASCII byte.
    pub(crate) fn new(input: Box<dyn BufRead + 'a>, delimiter: u8) -> Self {
        let record = Record::default();
        let splitter = Splitter { delimiter, state: State::Start, length: 0, line: 1, record };
        Records { input, splitter }
    }

    /// The next record, until the next call; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read on. What was read of the record by then is given up.
    pub(crate) fn read(&mut self) -> io::Result<Option<&Record>> {
        loop {
            self.splitter.begin();
            while !self.fill()? {}
            if self.splitter.length == 0 {
                return Ok(None);
            }
            if !self.splitter.is_blank() {
                return Ok(Some(&self.splitter.record));
            }
        }
    }

    /// Takes what the input has ready; whether the record is complete.
    fn fill(&mut self) -> io::Result<bool> {
        let ready = match self.input.fill_buf() {
            Ok(ready) => ready,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(error),
        };
        if ready.is_empty() {
            self.splitter.end_of_input();
            return Ok(true);
        }
        let last = ready.iter().position(|byte| self.splitter.push(*byte));
        let used = last.map_or(ready.len(), |at| at + 1);
        self.input.consume(used);
        Ok(last.is_some())
    }
}

/// Where in the grammar the input is, and the record so far.
struct Splitter {
    delimiter: u8,
    state: State,
    /// Bytes of the current record, kept or not.
    length: usize,
    /// The line that the next byte is on.
    line: u64,
    record: Record,
}

impl Splitter {
    fn begin(&mut self) {
        self.state = State::Start;
        self.length = 0;
        self.record.line = self.line;
        self.record.fault = None;
        self.record.bytes.clear();
        self.record.ends.clear();
    }

    /// Takes one byte; whether it ends the record.
    fn push(&mut self, byte: u8) -> bool {
        self.length = self.length.saturating_add(1);
        if self.length > MAX_RECORD_BYTES {
            self.spoil(Fault::TooLong);
        }
        if byte == b'\n' {
            self.line += 1;
        }
        match (self.state, byte) {
            (State::Start, b'"') => self.state = State::Quoted,
            (State::Quoted, b'"') => self.state = State::Closing,
            (State::Quoted, _) => self.keep(byte),
            (State::Closing, b'"') => {
                self.keep(byte);
                self.state = State::Quoted;
            }
            (_, b'\n') => {
                self.end_record();
                return true;
            }
            (State::Closing, b'\r') => self.state = State::ClosedReturn,
            (State::Start | State::Plain | State::Closing, _) if byte == self.delimiter => {
                self.end_cell();
                self.state = State::Start;
            }
            (State::Closing | State::ClosedReturn, _) | (State::Plain, b'"') => {
                self.spoil(Fault::StrayQuote);
                self.state = State::Plain;
            }
            (State::Start | State::Plain, _) => {
                self.keep(byte);
                self.state = State::Plain;
            }
        }
        false
    }

    fn end_of_input(&mut self) {
        if self.state == State::Quoted {
            self.spoil(Fault::OpenQuote);
        }
        if self.length > 0 {
            self.end_record();
        }
    }

    fn end_record(&mut self) {
        // A carriage return before the line end is no part of a cell without quotes.
        let kept_return = self.state == State::Plain && self.record.bytes.ends_with(b"\r");
        if kept_return && self.record.fault.is_none() {
            self.record.bytes.pop();
        }
        self.end_cell();
    }

    fn end_cell(&mut self) {
        if self.record.ends.len() == MAX_CELLS {
            self.spoil(Fault::TooManyCells);
        } else if self.record.fault.is_none() {
            self.record.ends.push(self.record.bytes.len());
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.record.fault.is_none() {
            self.record.bytes.push(byte);
        }
    }

    fn spoil(&mut self, fault: Fault) {
        // The first fault is the cause; a bound may be passed because of it.
        self.record.fault.get_or_insert(fault);
    }

    fn is_blank(&self) -> bool {
        let line_end = self.length <= 2 && self.record.bytes.is_empty();
        line_end && self.record.len() == 1 && self.record.fault.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, MAX_CELLS, MAX_RECORD_BYTES, Records};
    use proptest::prelude::*;
    use std::io::BufReader;

    type Read = Vec<(u64, Result<Vec<String>, Fault>)>;

    /// Reads through a buffer of that many bytes, so that every byte can be the last of one.
    fn read(text: &[u8], buffer: usize) -> Read {
        let mut records = Records::new(Box::new(BufReader::with_capacity(buffer, text)), b',');
        let mut all = Vec::new();
        while let Some(record) = records.read().unwrap() {
            let cells = record.cells().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
            all.push((record.line, record.fault.map_or(Ok(cells), Err)));
        }
        all
    }

    #[test]
    fn the_grammar() {
        let check = |text: &str, expect: &[(u64, Result<&[&str], Fault>)]| {
            let owned = |cells: &&[&str]| cells.iter().map(|c| (*c).to_owned()).collect();
            let expect: Read =
                expect.iter().map(|(l, r)| (*l, r.as_ref().map(owned).map_err(|f| *f))).collect();
            for buffer in [1, 2, 3, 4096] {
                assert_eq!(read(text.as_bytes(), buffer), expect, "{text:?} in {buffer}");
            }
        };
        check("", &[]);
        check("\n\r\n\n", &[]);
        check("a,b\nc,d", &[(1, Ok(&["a", "b"])), (2, Ok(&["c", "d"]))]);
        check("a,b\r\nc,d\r\n", &[(1, Ok(&["a", "b"])), (2, Ok(&["c", "d"]))]);
        check("a,b\r", &[(1, Ok(&["a", "b"]))]);
        check("a\r,b\n", &[(1, Ok(&["a\r", "b"]))]);
        check("\"x\ny\",a\r,b\n", &[(1, Ok(&["x\ny", "a\r", "b"]))]);
        check(",\n,,\n", &[(1, Ok(&["", ""])), (2, Ok(&["", "", ""]))]);
        check("\"\"\n", &[(1, Ok(&[""]))]);
        check("a,\"b\r\n\"\"c\"\r\nd\n", &[(1, Ok(&["a", "b\r\n\"c"])), (3, Ok(&["d"]))]);
        check("\"a\r\"\n", &[(1, Ok(&["a\r"]))]);
        check("a,b\"c\nd\n", &[(1, Err(Fault::StrayQuote)), (2, Ok(&["d"]))]);
        check("\"a\"b,c\nd\n", &[(1, Err(Fault::StrayQuote)), (2, Ok(&["d"]))]);
        check("\"a\"\rb\nd\n", &[(1, Err(Fault::StrayQuote)), (2, Ok(&["d"]))]);
        check("a\n\"b\nc\n", &[(1, Ok(&["a"])), (2, Err(Fault::OpenQuote))]);
        check("\"", &[(1, Err(Fault::OpenQuote))]);
    }

    #[test]
    fn records_have_bounds() {
        let check = |record: String, expect: Option<Fault>| {
            let all = read(format!("{record}\nnext\n").as_bytes(), 4096);
            assert_eq!(all.len(), 2);
            assert_eq!(all[0].1.as_ref().err().copied(), expect);
            assert_eq!(all[1].1, Ok(vec!["next".to_owned()]));
        };
        check("x".repeat(MAX_RECORD_BYTES - 1), None);
        check("x".repeat(MAX_RECORD_BYTES), Some(Fault::TooLong));
        check(format!("\"{}\"", "\n".repeat(MAX_RECORD_BYTES)), Some(Fault::TooLong));
        check(",".repeat(MAX_CELLS - 1), None);
        check(",".repeat(MAX_CELLS), Some(Fault::TooManyCells));
    }

    proptest! {
        /// The `csv` crate, a reader that is not ours, finds the same cells in what it writes.
        #[test]
        fn another_writer_is_understood(
            rows in proptest::collection::vec(
                proptest::collection::vec("[a\",; \r\n\u{e9}]{0,5}", 2..5), 0..6),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let got: Vec<Vec<String>> =
                read(&text, 7).into_iter().map(|(_, cells)| cells.unwrap()).collect();
            prop_assert_eq!(got, rows);
        }

        /// Whatever the bytes, where a buffer ends makes no difference.
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read(&bytes, 1), read(&bytes, 4096));
        }
    }
}
