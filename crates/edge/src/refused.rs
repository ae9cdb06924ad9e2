//! Refused rows as a file that can be mended and fed again.
//!
//! It has the header of the source, the rows as they came, to the byte, and two more columns that
//! no map names: why each was refused. Rows of one key are a multiset that must come together, so a
//! row that was taken stands here too when it shares its key with a refused one; fed again it is a
//! duplicate. The source is read once more for this: nothing is held but one row.

use crate::batch::Refused;
use crate::csv::{self, MAX_LINE_BYTES};
use crate::encoding::Encode;
use crate::input;
use crate::map::Map;
use crate::record::Records;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use twinpact_model::{Problem, codes};

/// The column of the code, for example `twin.value`.
pub const CODE_COLUMN: &str = "refused_code";
/// The column of the sentence about why.
pub const REASON_COLUMN: &str = "refused_reason";
/// What stands for the code of a row that was taken.
const TAKEN: &str = "ingested";
const TAKEN_REASON: &str = "it shares its key with a refused row; leave it here";

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The rows that were refused.
    pub refused: u64,
    /// The rows that were taken and share a key with them.
    pub taken: u64,
}

/// Writes the refused rows of a source. Each of `refused` has the line that its row begins on.
///
/// # Errors
/// `ingest.file` when the source cannot be read again as it was; `file.unreadable` when the file
/// cannot be written.
pub fn write(
    source: impl Read,
    map: &Map,
    refused: &[Refused],
    file: impl Write,
) -> Result<Written, Problem> {
    let changed = |why: &str| Problem::new(codes::INGEST_FILE, format!("read again, {why}"));
    let unreadable = |error: io::Error| changed(&error.to_string());
    let (text, marked) = input::open(source, map.encoding, |_| ()).map_err(unreadable)?;
    let row = Rc::new(RefCell::new(Row::new(Encode::new(file, map.encoding), map.delimiter)));
    let mut records = Records::new(Box::new(Tee { input: text, row: row.clone() }), map.delimiter);
    let no_header = || changed("the source has no header");
    let header = records.read().map_err(unreadable)?.ok_or_else(no_header)?;
    let plan = map.plan(csv::header(header, map.encoding)?)?;
    row.borrow_mut().header(marked, &plan.header).map_err(unwritable)?;
    let mut lines: BTreeMap<u64, &Refused> =
        refused.iter().filter_map(|r| Some((r.line?, r))).collect();
    let ids: HashSet<&str> =
        refused.iter().map(|r| r.id.as_str()).filter(|id| !id.is_empty()).collect();
    let mut written = Written { refused: 0, taken: 0 };
    while let Some(record) = records.read().map_err(unreadable)? {
        let mut row = row.borrow_mut();
        if let Some(why) = lines.remove(&record.line) {
            row.finish(&why.code, &why.reason).map_err(unwritable)?;
            written.refused += 1;
        } else if csv::id_of(&plan, record).is_some_and(|id| ids.contains(id.as_str())) {
            row.finish(TAKEN, TAKEN_REASON).map_err(unwritable)?;
            written.taken += 1;
        } else {
            row.bytes.clear();
        }
    }
    match lines.is_empty() {
        true => row.borrow_mut().output.flush().map(|()| written).map_err(unwritable),
        false => Err(changed("the source has changed: refused rows are gone")),
    }
}

fn unwritable(error: io::Error) -> Problem {
    Problem::new(codes::FILE_UNREADABLE, format!("the refused rows cannot be written: {error}"))
}

/// The bytes of the current row, as they came but for their encoding.
struct Row<W: Write> {
    output: Encode<W>,
    delimiter: u8,
    bytes: Vec<u8>,
    /// Whether the beginning of the row is written already, because it is too long to be held.
    begun: bool,
    failed: Option<io::Error>,
    /// Whether the source is itself a file of refused rows.
    again: bool,
    line_end: &'static [u8],
}

impl<W: Write> Row<W> {
    fn new(output: Encode<W>, delimiter: u8) -> Self {
        let line_end: &'static [u8] = b"\n";
        let bytes = Vec::new();
        Row { output, delimiter, bytes, begun: false, failed: None, again: false, line_end }
    }

    /// Holds what was read. A row beyond the bound is refused whatever it says, so its beginning
    /// can be written before that is known.
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MAX_LINE_BYTES + 4096 && self.failed.is_none() {
            let end = self.bytes.split_off(self.bytes.len() - 2);
            let begin = std::mem::replace(&mut self.bytes, end);
            self.failed = self.output.write_all(&begin).err();
            self.begun = true;
        }
    }

    fn header(&mut self, marked: bool, names: &[String]) -> io::Result<()> {
        if self.bytes.ends_with(b"\r\n") {
            self.line_end = b"\r\n";
        }
        self.again = names.ends_with(&[CODE_COLUMN.to_owned(), REASON_COLUMN.to_owned()]);
        if marked {
            self.output.write_all("\u{feff}".as_bytes())?;
        }
        let header = self.take();
        self.output.write_all(&header)?;
        if !self.again {
            let mark = char::from(self.delimiter);
            write!(self.output, "{mark}{CODE_COLUMN}{mark}{REASON_COLUMN}")?;
        }
        self.output.write_all(self.line_end)
    }

    /// Writes the row with its code and reason.
    fn finish(&mut self, code: &str, reason: &str) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let whole = !std::mem::take(&mut self.begun);
        let mut row = self.take();
        if self.again && whole {
            cut_reason(&mut row, self.delimiter);
        }
        self.output.write_all(&row)?;
        let (mark, reason) = (char::from(self.delimiter), reason.replace('"', "\"\""));
        write!(self.output, "{mark}{code}{mark}\"{reason}\"")?;
        self.output.write_all(self.line_end)
    }

    /// The row without blank lines before it and without its end.
    fn take(&mut self) -> Vec<u8> {
        let mut row = std::mem::take(&mut self.bytes);
        let end = row.strip_suffix(b"\n").unwrap_or(&row);
        row.truncate(end.strip_suffix(b"\r").unwrap_or(end).len());
        let blank = row.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(0);
        let last = row.get(..blank).and_then(|b| b.iter().rposition(|byte| *byte == b'\n'));
        row.drain(..last.map_or(0, |at| at + 1));
        row
    }
}

/// Takes away the two cells that an earlier run has written: the last cell that is a code, and what
/// follows it.
fn cut_reason(row: &mut Vec<u8>, delimiter: u8) {
    let marks: Vec<usize> = (0..row.len()).filter(|at| row.get(*at) == Some(&delimiter)).collect();
    let code = |from: usize, to: usize| {
        let cell = row.get(from + 1..to).and_then(|cell| std::str::from_utf8(cell).ok());
        let cell = cell.map(|cell| cell.trim_matches('"')).unwrap_or_default();
        cell == TAKEN || codes::find(cell).is_some()
    };
    let pairs = marks.iter().zip(marks.iter().skip(1)).rev();
    if let Some((from, _)) = pairs.into_iter().find(|(from, to)| code(**from, **to)) {
        let from = *from;
        row.truncate(from);
    }
}

/// Reads, and holds what was read until the row is known.
struct Tee<'a, W: Write> {
    input: Box<dyn BufRead + 'a>,
    row: Rc<RefCell<Row<W>>>,
}

impl<W: Write> BufRead for Tee<'_, W> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, used: usize) {
        // What is consumed is ready: this reads nothing.
        if let Ok(ready) = self.input.fill_buf() {
            self.row.borrow_mut().push(ready.get(..used).unwrap_or(ready));
        }
        self.input.consume(used);
    }
}

impl<W: Write> Read for Tee<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}
