//! Batches that never split a key.
//!
//! Rows of one file that share a key are a multiset: they are matched with what is known by value,
//! so they must come in one batch. Where they stand in the file is unknown, so the observations of
//! a file are held until its end, packed: five million rows of seven values took 770 MiB in all.
//! The bounds: [`MAX_FILE_ROWS`], [`MAX_FILE_BYTES`], and as many rows of one key as a batch has.
//!
//! Keys come in the order in which the file names them first, the rows of a key in the order of the
//! file: the same file makes the same batches.

use crate::batch::{MAX_BATCH_BYTES, MAX_BATCH_OBSERVATIONS, wire_bytes};
use crate::csv::Observation;
use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use twinpact_model::leb128::{put, put_bytes, take, take_bytes};
use twinpact_model::{Code, Iri, Problem, SmolStr, Timestamp, codes};

/// The most observations of one file.
pub const MAX_FILE_ROWS: usize = 5_000_000;
/// The most memory for the packed observations of one file, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 30;

/// What a body has beside its observations: source (no character of an IRI is escaped), model,
/// keys.
const ENVELOPE_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 4 << 20;

/// Takes the observations of one file and gives them back in batches.
pub struct Grouper {
    batch_rows: usize,
    packed: Packed,
    /// Of each row, a hash of its id and its number.
    hashes: Vec<(u64, u32)>,
    wire: Vec<u32>,
}

/// The observations of a file, grouped.
pub struct Grouped {
    /// The keys that no batch can hold.
    pub refused: Vec<RefusedKey>,
    /// All others.
    pub batches: Batches,
}

/// A key that has too many rows, or too long ones; none of them is in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// The id that its rows share.
    pub id: String,
    /// The lines of its rows.
    pub lines: Vec<u64>,
    /// `input.too_large`.
    pub code: Code,
    /// One sentence about which bound it passes.
    pub reason: String,
}

/// Groups all observations; see [`Grouper`].
///
/// # Errors
/// As [`Grouper::push`] and [`Grouper::finish`].
pub fn group_by_key(
    observations: impl IntoIterator<Item = Observation>,
    batch_rows: usize,
) -> Result<Grouped, Problem> {
    let mut grouper = Grouper::new(batch_rows);
    observations.into_iter().try_for_each(|row| grouper.push(&row))?;
    grouper.finish()
}

impl Grouper {
    /// Makes batches of so many rows at most, 1 to [`MAX_BATCH_OBSERVATIONS`]; a number outside is
    /// taken as the nearest inside. It is also the most rows that a key may have.
    #[must_use]
    pub fn new(batch_rows: usize) -> Self {
        let batch_rows = batch_rows.clamp(1, MAX_BATCH_OBSERVATIONS);
        Grouper { batch_rows, packed: Packed::default(), hashes: Vec::new(), wire: Vec::new() }
    }

    /// Takes the next observation of the file.
    ///
    /// # Errors
    /// `input.too_large` when the file passes [`MAX_FILE_ROWS`] or [`MAX_FILE_BYTES`];
    /// `input.malformed` when the observation is of another source than the first.
    pub fn push(&mut self, row: &Observation) -> Result<(), Problem> {
        self.push_within(row, MAX_FILE_ROWS, MAX_FILE_BYTES)
    }

    fn push_within(&mut self, row: &Observation, rows: usize, bytes: usize) -> Result<(), Problem> {
        let bound = |what: &str| {
            Problem::new(codes::INPUT_TOO_LARGE, format!("line {}: {what}", row.line))
                .hint("split the file; rows of one key stay in one part")
        };
        let number = self.packed.len();
        if number >= rows {
            return Err(bound(&format!("the file has more than {rows} observations")));
        }
        self.packed.push(row, bytes)?.then_some(()).ok_or_else(|| {
            bound(&format!("the observations of the file take more than {bytes} bytes"))
        })?;
        let mut hasher = DefaultHasher::new();
        row.id.hash(&mut hasher);
        self.hashes.push((hasher.finish(), u32::try_from(number).unwrap_or(u32::MAX)));
        self.wire.push(u32::try_from(wire_bytes(row)).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Groups what was taken.
    ///
    /// # Errors
    /// `internal` when packed rows do not unpack, which is a bug of ours.
    pub fn finish(mut self) -> Result<Grouped, Problem> {
        let packed = &self.packed;
        self.hashes.sort_unstable_by(|a, b| by_key(packed, *a, *b));
        let mut order: Vec<(u32, u32)> = Vec::with_capacity(self.hashes.len());
        let mut refused = Vec::new();
        let same = |a: &(u64, u32), b: &(u64, u32)| {
            a.0 == b.0 && packed.id(a.1 as usize) == packed.id(b.1 as usize)
        };
        for group in self.hashes.chunk_by(same) {
            let Some((_, first)) = group.first() else { continue };
            match self.passes(group) {
                Some(reason) => refused.push(RefusedKey::new(packed, *first, group, reason)?),
                None => order.extend(group.iter().map(|(_, row)| (*first, *row))),
            }
        }
        refused.sort_by_key(|key| key.lines.first().copied());
        order.sort_unstable();
        let Grouper { batch_rows, packed, wire, .. } = self;
        Ok(Grouped { refused, batches: Batches { batch_rows, packed, wire, order, next: 0 } })
    }

    /// The bound that a key passes, when it passes one.
    fn passes(&self, group: &[(u64, u32)]) -> Option<String> {
        if group.len() > self.batch_rows {
            let (n, most) = (group.len(), self.batch_rows);
            return Some(format!("{n} rows have this key; {most} are possible"));
        }
        let wire = |row: u32| self.wire.get(row as usize).copied().unwrap_or(u32::MAX);
        let bytes: usize = group.iter().map(|(_, row)| wire(*row) as usize + 1).sum();
        (bytes > ROOM)
            .then(|| format!("the rows of this key take {bytes} bytes; {ROOM} are possible"))
    }
}

/// The bytes that a body has for its observations, the commas between them included.
const ROOM: usize = MAX_BATCH_BYTES - ENVELOPE_BYTES;

fn by_key(packed: &Packed, a: (u64, u32), b: (u64, u32)) -> Ordering {
    // Ids are compared only where hashes agree: equal ids, or a collision.
    a.0.cmp(&b.0)
        .then_with(|| packed.id(a.1 as usize).cmp(packed.id(b.1 as usize)))
        .then_with(|| a.1.cmp(&b.1))
}

impl RefusedKey {
    fn new(
        packed: &Packed,
        first: u32,
        group: &[(u64, u32)],
        reason: String,
    ) -> Result<Self, Problem> {
        let id = packed.row(first as usize)?.id;
        let line = |(_, row): &(u64, u32)| packed.row(*row as usize).map(|row| row.line);
        let lines = group.iter().map(line).collect::<Result<Vec<u64>, Problem>>()?;
        Ok(RefusedKey { id, lines, code: codes::INPUT_TOO_LARGE, reason })
    }
}

/// The batches, unpacked one at a time. Each fits an ingest body.
pub struct Batches {
    batch_rows: usize,
    packed: Packed,
    wire: Vec<u32>,
    /// Of each row, the first row of its key and its number, sorted.
    order: Vec<(u32, u32)>,
    next: usize,
}

impl Batches {
    /// How many observations are still to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.order.len().saturating_sub(self.next)
    }

    /// The places of the key that begins at that place, and its bytes in a body.
    fn group(&self, from: usize) -> Option<(Range<usize>, usize)> {
        let (first, _) = self.order.get(from)?;
        let rows = self.order.iter().skip(from).take_while(|(f, _)| f == first);
        let sizes = rows.map(|(_, row)| self.wire.get(*row as usize).copied().unwrap_or(u32::MAX));
        let (n, bytes) = sizes.fold((0, 0), |(n, sum), wire| (n + 1, sum + wire as usize + 1));
        Some((from..from + n, bytes))
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<Observation>, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next;
        let mut bytes = 0;
        while let Some((group, more)) = self.group(self.next) {
            let full = group.end - start > self.batch_rows || bytes + more > ROOM;
            if full && self.next > start {
                break;
            }
            bytes += more;
            self.next = group.end;
        }
        let rows = self.order.get(start..self.next).filter(|rows| !rows.is_empty())?;
        Some(rows.iter().map(|(_, row)| self.packed.row(*row as usize)).collect())
    }
}

/// Observations, packed: the id first, lengths as LEB128, names of attributes once. In chunks, so
/// that growing never copies.
#[derive(Default)]
struct Packed {
    source: Option<Iri>,
    attributes: Vec<SmolStr>,
    chunks: Vec<Vec<u8>>,
    bytes: usize,
    /// Chunk and offset of each row.
    places: Vec<(u32, u32)>,
    scratch: Vec<u8>,
}

impl Packed {
    fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes the row, unless that would pass so many bytes; whether it did.
    fn push(&mut self, row: &Observation, most: usize) -> Result<bool, Problem> {
        if self.source.get_or_insert_with(|| row.source.clone()) != &row.source {
            let why = format!("line {}: observations of two sources in one file", row.line);
            return Err(Problem::new(codes::INPUT_MALFORMED, why));
        }
        self.encode(row);
        if self.bytes + self.scratch.len() > most {
            return Ok(false);
        }
        self.bytes += self.scratch.len();
        let fits = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= self.scratch.len();
        if !self.chunks.last().is_some_and(fits) {
            self.chunks.push(Vec::with_capacity(self.scratch.len().max(CHUNK_BYTES)));
        }
        let number = self.chunks.len() - 1;
        if let Some(chunk) = self.chunks.last_mut() {
            let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            self.places.push((place(number), place(chunk.len())));
            chunk.extend_from_slice(&self.scratch);
        }
        Ok(true)
    }

    fn encode(&mut self, row: &Observation) {
        self.scratch.clear();
        put_text(&mut self.scratch, &row.id);
        put_text(&mut self.scratch, row.twin.as_str());
        put(&mut self.scratch, row.line);
        self.scratch.extend_from_slice(&row.phen_start.micros().to_le_bytes());
        put(&mut self.scratch, row.values.len() as u64);
        for (attribute, lexical) in &row.values {
            let known = self.attributes.iter().position(|name| name == attribute);
            let number = known.unwrap_or_else(|| {
                self.attributes.push(attribute.clone());
                self.attributes.len() - 1
            });
            put(&mut self.scratch, number as u64);
            put_text(&mut self.scratch, lexical);
        }
    }

    fn bytes(&self, row: usize) -> &[u8] {
        let place = self.places.get(row);
        let chunk = place.and_then(|(c, at)| self.chunks.get(*c as usize)?.get(*at as usize..));
        chunk.unwrap_or_default()
    }

    /// The id of a row, as bytes.
    fn id(&self, row: usize) -> &[u8] {
        let mut rest = self.bytes(row);
        take_bytes(&mut rest).unwrap_or_default()
    }

    fn row(&self, row: usize) -> Result<Observation, Problem> {
        self.decode(self.bytes(row)).ok_or_else(|| {
            Problem::new(codes::INTERNAL, format!("packed row {row} does not unpack"))
        })
    }

    fn decode(&self, mut rest: &[u8]) -> Option<Observation> {
        let id = take_text(&mut rest)?;
        let twin = Iri::new(take_text(&mut rest)?).ok()?;
        let line = take(&mut rest)?;
        let (micros, after) = rest.split_first_chunk::<8>()?;
        let phen_start = Timestamp::from_micros(i64::from_le_bytes(*micros));
        rest = after;
        let n = take(&mut rest)?;
        let mut values = Vec::with_capacity(self.attributes.len());
        for _ in 0..n {
            let number = usize::try_from(take(&mut rest)?).ok()?;
            let attribute = self.attributes.get(number)?.clone();
            values.push((attribute, std::str::from_utf8(take_bytes(&mut rest)?).ok()?.into()));
        }
        Some(Observation { line, source: self.source.clone()?, id, twin, phen_start, values })
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(rest)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::{Grouper, MAX_FILE_BYTES, MAX_FILE_ROWS, ROOM, group_by_key};
    use crate::batch::{IngestBatch, MAX_BATCH_BYTES, MAX_BATCH_OBSERVATIONS};
    use crate::csv::Observation;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use twinpact_model::{Iri, ModelRef, Timestamp};

    fn row(line: u64, id: &str, lexical: &str) -> Observation {
        Observation {
            line,
            source: Iri::new("urn:source:farm").unwrap(),
            id: id.to_owned(),
            twin: Iri::new(format!("urn:turbine:{id}")).unwrap(),
            phen_start: Timestamp::from_micros(-7 * i64::try_from(line).unwrap()),
            values: vec![("power".into(), lexical.into())],
        }
    }

    /// Id, first line and number of rows.
    type Refusal = (String, u64, usize);

    /// Rows with these ids, in batches of so many rows, as the lines of each batch.
    fn lines(ids: &str, batch_rows: usize) -> (Vec<Vec<u64>>, Vec<Refusal>) {
        let rows = (1..).zip(ids.chars()).map(|(line, id)| row(line, &id.to_string(), "1"));
        let grouped = group_by_key(rows, batch_rows).unwrap();
        let refused =
            grouped.refused.into_iter().map(|k| (k.id, k.lines[0], k.lines.len())).collect();
        let batches = grouped.batches.map(|b| b.unwrap().iter().map(|r| r.line).collect());
        (batches.collect(), refused)
    }

    #[test]
    fn keys_stay_together() {
        let none = Vec::new;
        assert_eq!(lines("", 3), (vec![], none()));
        assert_eq!(lines("abcd", 3), (vec![vec![1, 2, 3], vec![4]], none()));
        assert_eq!(lines("abab", 3), (vec![vec![1, 3], vec![2, 4]], none()));
        assert_eq!(lines("abcda", 3), (vec![vec![1, 5, 2], vec![3, 4]], none()));
        assert_eq!(lines("aaab", 3), (vec![vec![1, 2, 3], vec![4]], none()));
        assert_eq!(lines("baaaab", 3), (vec![vec![1, 6]], vec![("a".to_owned(), 2, 4)]));
        assert_eq!(lines("ab", 0), (vec![vec![1], vec![2]], none()));
    }

    #[test]
    fn a_key_has_a_bound() {
        let rows = |n: usize| (1..).take(n).map(|line| row(line, "a", "1"));
        let grouped = group_by_key(rows(MAX_BATCH_OBSERVATIONS), usize::MAX).unwrap();
        assert!(grouped.refused.is_empty());
        assert_eq!(grouped.batches.map(|b| b.unwrap().len()).collect::<Vec<_>>(), [1_000]);
        let grouped = group_by_key(rows(MAX_BATCH_OBSERVATIONS + 1), usize::MAX).unwrap();
        assert_eq!(grouped.refused[0].reason, "1001 rows have this key; 1000 are possible");
        assert_eq!(grouped.refused[0].code.name, "input.too_large");
        assert_eq!(grouped.batches.count(), 0);
    }

    #[test]
    fn a_batch_fits_a_body() {
        let long = "\u{1}".repeat(100_000);
        let check = |ids: &[&str], refused: usize, batches: usize| {
            let rows = (1..).zip(ids).map(|(line, id)| row(line, id, &long));
            let grouped = group_by_key(rows, 1_000).unwrap();
            assert_eq!(grouped.refused.len(), refused);
            let bodies: Vec<Vec<Observation>> = grouped.batches.map(Result::unwrap).collect();
            assert_eq!(bodies.len(), batches);
            for rows in bodies {
                let source = Iri::new(format!("urn:{}", "s".repeat(2044))).unwrap();
                let model = format!("{}@{}", "m".repeat(64), u32::MAX);
                let batch = IngestBatch::new(source, ModelRef::try_from(model).unwrap(), rows);
                assert!(serde_json::to_vec(&batch).unwrap().len() <= MAX_BATCH_BYTES);
            }
        };
        // One such row takes some 600 kB, so 13 of them fit.
        assert_eq!(ROOM / 600_100, 13);
        check(&["a"; 13], 0, 1);
        check(&["a"; 14], 1, 0);
        let names: Vec<String> = (0..27).map(|i| format!("n{i}")).collect();
        check(&names.iter().map(String::as_str).collect::<Vec<_>>(), 0, 3);
    }

    #[test]
    fn a_file_has_bounds() {
        let mut grouper = Grouper::new(10);
        for line in 1..=3 {
            assert!(grouper.push_within(&row(line, "a", "1"), 3, MAX_FILE_BYTES).is_ok());
        }
        let problem = grouper.push_within(&row(4, "a", "1"), 3, MAX_FILE_BYTES).unwrap_err();
        assert_eq!(problem.message, "line 4: the file has more than 3 observations");
        let used = grouper.packed.bytes;
        let next = row(4, "a", "1");
        let problem = grouper.push_within(&next, MAX_FILE_ROWS, used + used / 3 - 1).unwrap_err();
        assert_eq!(problem.code.name, "input.too_large");
        assert!(grouper.push_within(&next, MAX_FILE_ROWS, used + used / 3).is_ok());
        let other = Observation { source: Iri::new("urn:source:other").unwrap(), ..next };
        assert_eq!(grouper.push(&other).unwrap_err().code.name, "input.malformed");
        assert_eq!(grouper.finish().unwrap().batches.remaining(), 4);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_split_or_changed(
            rows in proptest::collection::vec(("[a-e]|[a-z]{2}", any::<String>()), 0..80),
            batch_rows in 1usize..12,
        ) {
            let rows: Vec<Observation> =
                (1..).zip(&rows).map(|(line, (id, text))| row(line, id, text)).collect();
            let grouped = group_by_key(rows.clone(), batch_rows).unwrap();
            let refused: BTreeSet<String> = grouped.refused.iter().map(|k| k.id.clone()).collect();
            let count = |id: &str| rows.iter().filter(|r| r.id == id).count();
            for key in &grouped.refused {
                prop_assert!(key.lines.len() > batch_rows && key.lines.len() == count(&key.id));
            }
            let batches: Vec<Vec<Observation>> = grouped.batches.map(Result::unwrap).collect();
            let mut seen = BTreeSet::new();
            for batch in &batches {
                prop_assert!((1..=batch_rows).contains(&batch.len()));
                let ids: BTreeSet<&str> = batch.iter().map(|r| r.id.as_str()).collect();
                prop_assert!(ids.iter().all(|id| seen.insert(id.to_string())), "a key is split");
            }
            let mut back: Vec<Observation> = batches.concat();
            prop_assert!(back.windows(2).all(|w| w[0].id != w[1].id || w[0].line < w[1].line));
            back.sort_by_key(|r| r.line);
            let kept: Vec<Observation> =
                rows.into_iter().filter(|r| !refused.contains(&r.id)).collect();
            prop_assert_eq!(back, kept);
        }
    }
}
