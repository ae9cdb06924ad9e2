//! How a sample is written: its encoding, its separator, its header, its rows.

use super::refuse;
use crate::csv;
use crate::encoding::{Decode, Encoding};
use crate::record::{Record, Records};
use std::io::Read;
use twinpact_model::Problem;

/// The separators that are tried.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// How many records are looked at to find the separator.
const FIRST_RECORDS: usize = 500;

/// A sample as a table, once it is known how it is written.
pub(super) struct Table {
    pub encoding: Encoding,
    pub encoding_reason: String,
    pub delimiter: u8,
    pub delimiter_reason: String,
    pub header: Vec<String>,
    text: Vec<u8>,
}

impl Table {
    /// The table that those bytes are most likely.
    ///
    /// # Errors
    /// `ingest.guess` when they are no table with a header.
    pub(super) fn of(bytes: &[u8]) -> Result<Table, Problem> {
        let (encoding, encoding_reason) = encoding(bytes);
        let bytes = bytes.strip_prefix(encoding.mark()).unwrap_or(bytes);
        let mut text = Vec::new();
        Decode::new(bytes, encoding)
            .read_to_end(&mut text)
            .map_err(|error| refuse(format!("the file cannot be read: {error}")))?;
        let (delimiter, cells, share) = delimiter(&text)?;
        let delimiter_reason =
            format!("with it {share} % of the first rows have {cells} cells, like the header");
        let mut table = Table {
            encoding,
            encoding_reason,
            delimiter,
            delimiter_reason,
            header: Vec::new(),
            text,
        };
        table.header = table.first_row()?;
        Ok(table)
    }

    /// The names of the columns: the first row, unless it looks like all others.
    fn first_row(&self) -> Result<Vec<String>, Problem> {
        let mut records = Records::new(Box::new(self.text.as_slice()), self.delimiter);
        let first = records.read().ok().flatten();
        let header = csv::header(first.ok_or_else(|| refuse("the file is empty"))?, self.encoding)?;
        if let Some(name) = header.iter().find(|name| is_value(name)) {
            return Err(refuse(format!("the first row is no header: {name:?} is a value"))
                .hint("put one line above it with a name for each column"));
        }
        match header.iter().position(|name| name.trim().is_empty()) {
            Some(at) => Err(refuse(format!("column {} has no name in the header", at + 1))
                .hint("give it one in the first line of the file")),
            None => Ok(header),
        }
    }

    /// Calls with the cells of each row that has as many as the header, until it says to stop.
    pub(super) fn each(&self, mut take: impl FnMut(&[&str]) -> bool) {
        let mut records = Records::new(Box::new(self.text.as_slice()), self.delimiter);
        let mut header = true;
        // The text is in memory: reading it cannot fail.
        while let Ok(Some(record)) = records.read() {
            if std::mem::take(&mut header) {
                continue;
            }
            let Some(cells) = whole(record, self.header.len()) else { continue };
            if !take(&cells) {
                return;
            }
        }
    }
}

fn whole(record: &Record, columns: usize) -> Option<Vec<&str>> {
    let fits = record.fault.is_none() && record.len() == columns;
    fits.then(|| record.cells().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>().ok())?
}

/// Whether a cell cannot be the name of a column: a number or a day.
fn is_value(cell: &str) -> bool {
    let marks = |c: char| c.is_ascii_digit() || "+-.,:/ T".contains(c);
    cell.contains(|c: char| c.is_ascii_digit()) && cell.chars().all(marks)
}

/// The encoding and why it is thought to be that.
fn encoding(bytes: &[u8]) -> (Encoding, String) {
    if let Some(encoding) = Encoding::marked(bytes) {
        return (encoding, "the file begins with its mark".to_owned());
    }
    let first = bytes.get(..4096).unwrap_or(bytes);
    let zeros = |odd: usize| first.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    for (odd, encoding) in [(1, Encoding::Utf16Le), (0, Encoding::Utf16Be)] {
        if zeros(odd) * 4 > first.len() && zeros(1 - odd) * 16 < first.len() {
            return (encoding, "every other byte is zero".to_owned());
        }
    }
    let (mut valid, mut invalid) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    match (valid, invalid) {
        (0, 0) => (Encoding::Utf8, "all of it is ASCII".to_owned()),
        (_, 0) => (Encoding::Utf8, "all of it is valid".to_owned()),
        (valid, invalid) if valid > invalid => {
            (Encoding::Utf8, format!("{invalid} places are not valid; the rest is"))
        }
        (_, invalid) => {
            let reason = format!("{invalid} places are not UTF-8; Windows-1252 can be all of them");
            (Encoding::Windows1252, reason)
        }
    }
}

/// The separator, the cells that the header has with it, and the share of rows with as many.
fn delimiter(text: &[u8]) -> Result<(u8, usize, usize), Problem> {
    let mut best: Option<(usize, usize, u8)> = None;
    for delimiter in DELIMITERS {
        let mut records = Records::new(Box::new(text), delimiter);
        let mut counts = Vec::new();
        while let Ok(Some(record)) = records.read() {
            counts.push(record.len());
            if counts.len() > FIRST_RECORDS {
                break;
            }
        }
        let Some((header, rows)) = counts.split_first() else { continue };
        let same = rows.iter().filter(|n| *n == header).count();
        let share = (same * 100).checked_div(rows.len()).unwrap_or(100);
        if *header > 1 && share >= 50 && best.is_none_or(|b| (share, *header) > (b.0, b.1)) {
            best = Some((share, *header, delimiter));
        }
    }
    best.map(|(share, cells, delimiter)| (delimiter, cells, share)).ok_or_else(|| {
        refuse("no comma, semicolon, tab or bar parts the rows like the first line").hint(
            "the first line must be the header; delete what stands above it, and write rows of as \
             many cells",
        )
    })
}
