//! Views: the rows of twins that a contract may show, how they are chosen, and how they are paged.
//!
//! The rows of a view are in one order: by twin, then by time, then as they were recorded. A view
//! is handed out in pages; a [`Cursor`] says where the next one goes on. Each page is of its own
//! moment. A row that stands while all pages are fetched comes exactly once, unless its twin and
//! instant have more rows than a page and some of those are corrected meanwhile.

use crate::codes;
use crate::iri::{Iri, MAX_IRI_BYTES};
use crate::link_row::ShownLinks;
use crate::problem::Problem;
use crate::schedule::Schedule;
use crate::time::Timestamp;
use crate::type_model::ModelRef;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most rows of one page.
pub const MAX_PAGE_ROWS: usize = 20_000;
/// The most twins of one page: its reader has a key for each.
pub const MAX_PAGE_TWINS: usize = 4_096;
/// The most bytes of the rows of one page, as [`Row::bytes`] counts them. A row that is larger on
/// its own makes a page of its own, so that a view always goes on; no row is larger than the batch
/// of 8 MiB that it came in.
pub const MAX_PAGE_BYTES: usize = 4 << 20;
/// The longest cursor as text: a time (27 bytes), a count (20), a twin, and two marks.
pub const MAX_CURSOR_BYTES: usize = 27 + 20 + MAX_IRI_BYTES + 2;

/// Which rows and columns a view has. A schedule *filters rows* here; a schedule in a policy
/// *limits use*. Both are written out in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The pinned version of the type model.
    pub model: ModelRef,
    /// The twins; empty for every twin of the model.
    pub twins: Vec<String>,
    /// The columns: the attribute in the model and its name in the view.
    pub columns: Vec<Column>,
    /// Only rows whose time in the world lies inside.
    pub rows: Option<Schedule>,
    /// Only rows that begin at or after this instant.
    pub since: Option<Timestamp>,
    /// Only rows that begin before this instant.
    pub until: Option<Timestamp>,
    /// Only rows behind this place: the pages before it were delivered.
    pub after: Option<Cursor>,
    /// Only rows of this twin.
    pub only: Option<String>,
    /// The rows are links of the twins, and not what was true of them.
    pub links: Option<ShownLinks>,
}

/// A place between two rows of a view: behind so many rows of one twin and one instant, and before
/// all that come later in the order of views.
///
/// It is made of what its reader has seen and of nothing else: never of an index, by which a
/// partner could link records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// The twin of the last row before it.
    pub twin: String,
    /// The time of that row.
    pub phen_start: Timestamp,
    /// How many rows of that twin and time are before it, at least one.
    pub delivered: u64,
}

impl Cursor {
    /// Reads `{time}~{count}~{twin}`. The twin is last and nothing in it is escaped; time and count
    /// must be written the way [`Display`](fmt::Display) writes them.
    ///
    /// # Errors
    /// `input.malformed` when it is not of that form or longer than [`MAX_CURSOR_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let cursor = || {
            let within = Some(text).filter(|text| text.len() <= MAX_CURSOR_BYTES)?;
            let (time, rest) = within.split_once('~')?;
            let (count, twin) = rest.split_once('~')?;
            let phen_start = Timestamp::parse(time).ok()?;
            let delivered = count.parse().ok().filter(|count| *count > 0)?;
            let twin = String::from(Iri::new(twin).ok()?);
            let read = Cursor { twin, phen_start, delivered };
            (read.to_string() == text).then_some(read)
        };
        cursor().ok_or_else(|| {
            Problem::new(codes::INPUT_MALFORMED, "not a place in a view")
                .hint("write it as the page before it said: TIME~COUNT~TWIN")
        })
    }

    /// The place behind these rows of a page that began at `after`; `None` when there are no rows.
    ///
    /// Whoever has the rows can work it out, so a page cannot name another place unnoticed.
    #[must_use]
    pub fn behind<'a, I>(after: Option<&Cursor>, rows: I) -> Option<Cursor>
    where
        I: DoubleEndedIterator<Item = (&'a str, Timestamp)> + ExactSizeIterator,
    {
        let count = rows.len();
        let mut rows = rows.rev();
        let last = rows.next()?;
        let same = 1 + rows.take_while(|row| *row == last).count();
        // When all of the page is of one instant, the pages before may have begun it.
        let before = match after {
            Some(after) if same == count && after.place() == last => after.delivered,
            _ => 0,
        };
        let (twin, phen_start) = (last.0.to_owned(), last.1);
        Some(Cursor { twin, phen_start, delivered: before.saturating_add(same as u64) })
    }

    /// Its twin and time.
    #[must_use]
    pub fn place(&self) -> (&str, Timestamp) {
        (&self.twin, self.phen_start)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.phen_start, self.delivered, self.twin)
    }
}

impl TryFrom<String> for Cursor {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        Cursor::parse(&text)
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> String {
        cursor.to_string()
    }
}

/// How large a page may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageBounds {
    /// The most rows.
    pub rows: usize,
    /// The most twins.
    pub twins: usize,
    /// The most bytes of rows, unless a row is larger on its own.
    pub bytes: usize,
}

impl PageBounds {
    /// Those of a delivery: [`MAX_PAGE_ROWS`], [`MAX_PAGE_TWINS`] and [`MAX_PAGE_BYTES`].
    pub const DELIVERY: PageBounds =
        PageBounds { rows: MAX_PAGE_ROWS, twins: MAX_PAGE_TWINS, bytes: MAX_PAGE_BYTES };

    /// Whether rows of that number, of so many twins and of so many bytes in all, make one page.
    /// One row always does.
    #[must_use]
    pub fn hold(self, rows: usize, twins: usize, bytes: usize) -> bool {
        rows <= 1 || (rows <= self.rows && twins <= self.twins && bytes <= self.bytes)
    }
}

/// Whether these rows are in the order of views, and begin no earlier than the place of `after`.
#[must_use]
pub fn in_order<'a>(
    after: Option<&'a Cursor>,
    rows: impl Iterator<Item = (&'a str, Timestamp)>,
) -> bool {
    after.map(Cursor::place).into_iter().chain(rows).is_sorted()
}

/// One column of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The attribute in the owner's model.
    pub attribute: String,
    /// The name in the view.
    pub name: String,
    /// The XSD name of its datatype.
    pub datatype: String,
    /// The UCUM unit, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// One row: the values of one twin that were true together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The twin.
    pub twin: String,
    /// From when it was true in the world.
    pub phen_start: Timestamp,
    /// The lexical values in the order of the columns; `None` where the source gave none.
    pub values: Vec<Option<String>>,
}

impl Row {
    /// Its twin and time.
    #[must_use]
    pub fn place(&self) -> (&str, Timestamp) {
        (&self.twin, self.phen_start)
    }

    /// How many bytes it has as one line of JSON, `[twin, time, values …]`, which is how it is
    /// delivered and committed to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let time = self.phen_start.to_string().len() + 2;
        let value = |value: &Option<String>| 1 + value.as_deref().map_or(4, json_bytes);
        json_bytes(&self.twin) + 1 + time + self.values.iter().map(value).sum::<usize>() + 2
    }
}

/// How many bytes a text has as JSON, with the shortest escapes (RFC 8259 §7).
fn json_bytes(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(byte).sum::<usize>() + 2
}

/// Rows as a contract shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The view's IRI: the target of its agreement.
    pub id: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows of this page, by twin and then by time.
    pub rows: Vec<Row>,
    /// Where the next page goes on; `None` when there is none.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::{Cursor, MAX_CURSOR_BYTES, PageBounds, Row, in_order};
    use crate::iri::MAX_IRI_BYTES;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn cursor(twin: &str, second: i64, delivered: u64) -> Cursor {
        Cursor { twin: twin.to_owned(), phen_start: Timestamp::from_seconds(second), delivered }
    }

    #[test]
    fn cursors_are_read_strictly() {
        let check = |text: &str, expect: Option<Cursor>| {
            let expect = expect.ok_or("input.malformed");
            assert_eq!(Cursor::parse(text).map_err(|p| p.code.name), expect, "{text:?}");
        };
        let good = "1970-01-01T00:00:10Z~2~urn:turbine:R80711";
        check(good, Some(cursor("urn:turbine:R80711", 10, 2)));
        check("1970-01-01T00:00:10Z~2~urn:a~b~c", Some(cursor("urn:a~b~c", 10, 2)));
        for bad in [
            "",
            "~~",
            "1970-01-01T00:00:10Z",
            "1970-01-01T00:00:10Z~2",
            "1970-01-01T00:00:10Z~2~",
            "1970-01-01T00:00:10Z~2~turbine",
            "1970-01-01T00:00:10Z~2~urn:a b",
            "1970-01-01T00:00:10Z~0~urn:a:b",
            "1970-01-01T00:00:10Z~02~urn:a:b",
            "1970-01-01T00:00:10Z~+2~urn:a:b",
            "1970-01-01T00:00:10Z~-2~urn:a:b",
            "1970-01-01T00:00:10Z~18446744073709551616~urn:a:b",
            "1970-01-01T00:00:10~2~urn:a:b",
            "1970-01-01T00:00:10.0Z~2~urn:a:b",
            "1970-01-01T02:00:10+02:00~2~urn:a:b",
            " 1970-01-01T00:00:10Z~2~urn:a:b",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn the_longest_cursor_is_read() {
        let twin = format!("urn:{}", "x".repeat(MAX_IRI_BYTES - 4));
        let mut longest = cursor(&twin, 0, u64::MAX);
        longest.phen_start = Timestamp::from_micros(-62_135_596_799_999_999);
        let text = longest.to_string();
        assert_eq!(text.len(), MAX_CURSOR_BYTES);
        assert_eq!(Cursor::parse(&text), Ok(longest));
        assert!(Cursor::parse(&format!("{text}x")).is_err());
    }

    #[test]
    fn a_page_says_where_it_ends() {
        let at = Timestamp::from_seconds;
        let check = |after: Option<Cursor>, rows: &[(&str, i64)], expect: Option<Cursor>| {
            let rows = rows.iter().map(|(twin, second)| (*twin, at(*second)));
            assert_eq!(Cursor::behind(after.as_ref(), rows), expect);
        };
        check(None, &[], None);
        check(Some(cursor("urn:a", 1, 1)), &[], None);
        check(None, &[("urn:a", 1)], Some(cursor("urn:a", 1, 1)));
        check(None, &[("urn:a", 1), ("urn:b", 1)], Some(cursor("urn:b", 1, 1)));
        check(None, &[("urn:a", 1), ("urn:a", 2), ("urn:a", 2)], Some(cursor("urn:a", 2, 2)));
        // All of one instant: counted on from the page before, when that ended in it.
        let rows = [("urn:a", 2), ("urn:a", 2)];
        check(Some(cursor("urn:a", 2, 3)), &rows, Some(cursor("urn:a", 2, 5)));
        check(Some(cursor("urn:a", 1, 3)), &rows, Some(cursor("urn:a", 2, 2)));
        let rows = [("urn:a", 2), ("urn:a", 3)];
        check(Some(cursor("urn:a", 2, 3)), &rows, Some(cursor("urn:a", 3, 1)));
        check(Some(cursor("urn:a", 2, u64::MAX)), &rows[..1], Some(cursor("urn:a", 2, u64::MAX)));
    }

    #[test]
    fn rows_have_an_order() {
        let check = |after: Option<Cursor>, rows: &[(&str, i64)], expect: bool| {
            let rows = rows.iter().map(|(twin, s)| (*twin, Timestamp::from_seconds(*s)));
            assert_eq!(in_order(after.as_ref(), rows), expect);
        };
        check(None, &[], true);
        check(None, &[("urn:a", 5), ("urn:a", 5), ("urn:a", 6), ("urn:b", 1)], true);
        check(None, &[("urn:a", 6), ("urn:a", 5)], false);
        check(None, &[("urn:b", 1), ("urn:a", 6)], false);
        let after = || Some(cursor("urn:b", 4, 1));
        check(after(), &[], true);
        check(after(), &[("urn:b", 4)], true);
        check(after(), &[("urn:c", 1)], true);
        check(after(), &[("urn:b", 3)], false);
        check(after(), &[("urn:a", 9)], false);
    }

    #[test]
    fn one_row_is_always_a_page() {
        let bounds = PageBounds { rows: 2, twins: 1, bytes: 10 };
        for ((rows, bytes), expect) in
            [((0, 0), true), ((1, 99), true), ((2, 10), true), ((2, 11), false), ((3, 10), false)]
        {
            assert_eq!(bounds.hold(rows, 1, bytes), expect, "{rows} {bytes}");
        }
        assert!(!bounds.hold(2, 2, 1));
        assert!(PageBounds { rows: 0, twins: 0, bytes: 0 }.hold(1, 1, 1));
    }

    fn json(row: &Row) -> String {
        let mut cells = vec![row.twin.clone().into(), row.phen_start.to_string().into()];
        let value = |v: &Option<String>| v.clone().map_or(serde_json::Value::Null, Into::into);
        cells.extend(row.values.iter().map(value));
        serde_json::Value::Array(cells).to_string()
    }

    proptest! {
        #[test]
        fn a_cursor_reads_as_it_was_written(
            twin in "urn:[a-z~%&=é]{1,40}",
            micros in -62_135_596_800_000_000i64..=253_402_300_799_999_999,
            delivered in 1u64..,
        ) {
            let phen_start = Timestamp::from_micros(micros);
            let cursor = Cursor { twin, phen_start, delivered };
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        }

        #[test]
        fn what_is_read_as_a_cursor_is_written_the_same(text in "\\PC{0,60}") {
            if let Ok(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }

        #[test]
        fn bytes_are_counted_as_they_are_written(
            twin: String,
            micros: i64,
            values: Vec<Option<String>>,
        ) {
            let row = Row { twin, phen_start: Timestamp::from_micros(micros), values };
            prop_assert_eq!(row.bytes(), json(&row).len());
        }
    }
}
