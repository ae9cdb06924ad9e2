//! CSV files (RFC 4180), plain or gzip, row by row: each row is an observation or is refused.
//!
//! A refused row stops nothing; a file that cannot be read on is an error after the rows before
//! it. The checksum of gzip stands at its end: until the rows end without an error, what came of a
//! packed file is not known to be whole. Values pass through to the letter (but see `number`); only
//! the time is read as an instant, and the id at the source keeps its text. Memory is bounded by
//! the longest row.

use crate::encoding::Encoding;
use crate::input;
use crate::map::Map;
use crate::plan::Plan;
use crate::record::{Fault, MAX_CELLS, MAX_RECORD_BYTES, Record, Records};
use crate::toml_file::brief;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use twinpact_model::{Code, Iri, Problem, SmolStr, Timestamp, codes};

/// The longest row, in bytes, its quotes, delimiters and line end included.
pub const MAX_LINE_BYTES: usize = MAX_RECORD_BYTES;
/// The most columns of a file.
pub const MAX_COLUMNS: usize = MAX_CELLS;
pub use crate::plan::MAX_ID_BYTES;

/// One row that says what was true of a twin at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The line of the file that the row begins on, from 1.
    pub line: u64,
    /// The source, as the map names it.
    pub source: Iri,
    /// The id at the source: the cells of the key, to the letter, as a JSON array of texts.
    pub id: String,
    /// The twin.
    pub twin: Iri,
    /// From when it was true in the world.
    pub phen_start: Timestamp,
    /// Attribute and lexical value, at least one, in the order of the file's columns.
    pub values: Vec<(SmolStr, SmolStr)>,
}

/// One row that is no observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// The line of the file that the row begins on, from 1.
    pub line: u64,
    /// The id at the source; empty when the row does not tell it.
    pub id: String,
    /// `ingest.row`, `input.time`, `input.iri` or `input.too_large`.
    pub code: Code,
    /// One sentence about what is wrong with it.
    pub reason: String,
    /// Its cells, in full as far as they were read; bytes that are not UTF-8 as U+FFFD. None of a
    /// row that passes a bound.
    pub cells: Vec<String>,
}

/// What a row was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It says something.
    Observation(Observation),
    /// It does not; the rest of the file goes on.
    Refused(RefusedRow),
}

/// The rows of one file, in order. After an error there are no more.
pub struct Rows<'a> {
    records: Records<'a>,
    plan: Plan,
    rows: u64,
    line: u64,
    ended: bool,
}

impl<'a> Rows<'a> {
    /// The rows of the file of that name; see [`new`](Self::new).
    ///
    /// # Errors
    /// As [`new`](Self::new), and `ingest.file` when there is no such file.
    pub fn open(path: &Path, map: &Map, progress: impl FnMut(u64) + 'a) -> Result<Self, Problem> {
        let file = File::open(path).map_err(|error| {
            Problem::new(codes::INGEST_FILE, format!("{}: {error}", path.display()))
        })?;
        Rows::new(file, map, progress)
    }

    /// The rows of the bytes, once the header is read and the map fits it. `progress` is told how
    /// many bytes of the file, packed as it is, have been read so far.
    ///
    /// # Errors
    /// `ingest.file` when there is no header that can be read; `ingest.map` when the map names a
    /// column that is not there.
    pub fn new(
        bytes: impl Read + 'a,
        map: &Map,
        progress: impl FnMut(u64) + 'a,
    ) -> Result<Self, Problem> {
        let no_header = |error: io::Error| file_problem(&error, "before its header was read");
        let (text, _) = input::open(bytes, map.encoding, progress).map_err(no_header)?;
        let mut records = Records::new(text, map.delimiter);
        let Some(record) = records.read().map_err(no_header)? else {
            return Err(Problem::new(codes::INGEST_FILE, "the file is empty; a header is needed"));
        };
        let line = record.line;
        let plan = map.plan(header(record, map.encoding)?)?;
        Ok(Rows { records, plan, rows: 0, line, ended: false })
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Reading, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.records.read() {
            Ok(Some(record)) => {
                self.rows += 1;
                self.line = record.line;
                Some(Ok(reading(&self.plan, record)))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                let place = match self.rows {
                    0 => "after its header, before the first row".to_owned(),
                    n => format!("after row {n} (line {})", self.line),
                };
                Some(Err(file_problem(&error, &place)))
            }
        }
    }
}

/// The names of the columns.
pub(crate) fn header(record: &Record, encoding: Encoding) -> Result<Vec<String>, Problem> {
    let bad = |why: String| Problem::new(codes::INGEST_FILE, why);
    if let Some(fault) = record.fault {
        return Err(bad(format!("the header: {}", fault_sentence(fault, record.line))));
    }
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for cell in record.cells() {
        let name = std::str::from_utf8(cell).map_err(|_| {
            bad(format!("the header is not {}", encoding.name().to_uppercase()))
                .hint("say in the map how the file is encoded, like encoding = \"windows-1252\"")
        })?;
        names.push(name.to_owned());
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(bad(format!("the column {:?} stands twice in the header", brief(name)))),
        None => Ok(names),
    }
}

fn reading(plan: &Plan, record: &Record) -> Reading {
    let refuse = |code, reason| {
        let cells = match record.fault {
            Some(Fault::TooLong | Fault::TooManyCells) => Vec::new(),
            _ => record.cells().map(|c| String::from_utf8_lossy(c).into_owned()).collect(),
        };
        let id = id_of(plan, record).unwrap_or_default();
        Reading::Refused(RefusedRow { line: record.line, id, code, reason, cells })
    };
    if let Some(fault) = record.fault {
        return refuse(fault_code(fault), fault_sentence(fault, record.line));
    }
    let cells: Result<Vec<&str>, _> = record.cells().map(std::str::from_utf8).collect();
    let Ok(cells) = cells else {
        let name = plan.encoding.name().to_uppercase();
        return refuse(codes::INGEST_ROW, format!("the row is not {name}"));
    };
    match plan.observe(record.line, &cells) {
        Ok(observation) => Reading::Observation(observation),
        Err((code, reason)) => refuse(code, reason),
    }
}

/// The id at the source of a row that is whole.
pub(crate) fn id_of(plan: &Plan, record: &Record) -> Option<String> {
    if record.fault.is_some() || record.len() != plan.header.len() {
        return None;
    }
    let cells: Result<Vec<&str>, _> = record.cells().map(std::str::from_utf8).collect();
    plan.id(&|at| cells.as_ref().ok().and_then(|c| c.get(at)).copied().unwrap_or_default()).ok()
}

fn fault_code(fault: Fault) -> Code {
    match fault {
        Fault::TooLong | Fault::TooManyCells => codes::INPUT_TOO_LARGE,
        Fault::StrayQuote | Fault::OpenQuote => codes::INGEST_ROW,
    }
}

fn fault_sentence(fault: Fault, line: u64) -> String {
    match fault {
        Fault::TooLong => format!(
            "the row that begins on line {line} is longer than {MAX_LINE_BYTES} bytes; \
             is a quote left open?"
        ),
        Fault::TooManyCells => format!("the row has more than {MAX_COLUMNS} cells"),
        Fault::StrayQuote => {
            "a quote stands inside a cell, or text after a closing quote".to_owned()
        }
        Fault::OpenQuote => {
            format!("a quote that opens on or after line {line} is never closed")
        }
    }
}

fn file_problem(error: &io::Error, place: &str) -> Problem {
    let why = match error.kind() {
        ErrorKind::UnexpectedEof => format!("the gzip file ends too early, {place}"),
        _ => format!("the file cannot be read, {place}: {error}"),
    };
    let problem = Problem::new(codes::INGEST_FILE, why);
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            problem.hint("fetch the file again; what was taken of it is recognised then")
        }
        ErrorKind::InvalidData => problem.hint(
            "say in the map how the file is encoded: encoding = \"utf-16le\", \"utf-16be\", \
             \"windows-1252\" or \"utf-8\"",
        ),
        _ => problem,
    }
}
