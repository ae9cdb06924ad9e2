//! A type model and a map, proposed from a file: bytes in, two TOML files out.
//!
//! What is proposed carries its reason as a comment; what cannot be known from the file is marked
//! CHECK for its owner. Both files load, and the sample is read with them before they are given
//! out, so that what they would refuse is counted and said. Nothing here writes or asks.

mod clock;
mod column;
mod propose;
mod table;
mod twin;
mod unit;

use crate::csv::{Reading, Rows};
use crate::input;
use crate::map::Map;
use crate::model_file;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use twinpact_model::{Problem, Timestamp, codes};

/// The most bytes of a file, unpacked, that are looked at.
pub const MAX_SAMPLE_BYTES: usize = 64 << 20;
/// The most kinds of refusal that are told apart.
const MAX_KINDS: usize = 8;

/// The beginning of a file, unpacked, or all of it.
pub struct Sample {
    bytes: Vec<u8>,
    /// Whether it is all of the file.
    pub whole: bool,
}

/// What the owner said beside the file.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The name of the model; it becomes one that models can have.
    pub name: &'a str,
    /// The IANA zone of the clock, when the file has local times.
    pub zone: Option<&'a str>,
}

/// One thing that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it is about: a key of a file, or a column.
    pub about: String,
    /// What is proposed.
    pub value: String,
    /// Why.
    pub reason: String,
    /// Whether the file says so; else its owner has to look.
    pub certain: bool,
}

/// Both files, and how the sample fares with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// `name@version` of the model.
    pub reference: String,
    /// The type model.
    pub model: String,
    /// The map.
    pub map: String,
    /// What they propose, in order.
    pub proposals: Vec<Proposal>,
    /// Rows of the sample that were read with both.
    pub rows: u64,
    /// Rows that would be refused, by code and sentence of the first of its kind, with its line.
    pub refused: Vec<Refusals>,
    /// Instants of a twin that stand in more than one row.
    pub colliding: u64,
}

/// Rows that would be refused for one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// The code's name.
    pub code: String,
    /// How many rows.
    pub rows: u64,
    /// The line of the first one.
    pub line: u64,
    /// Why that one.
    pub reason: String,
}

impl Sample {
    /// The beginning of a file, plain or gzip, up to [`MAX_SAMPLE_BYTES`] of it unpacked.
    ///
    /// # Errors
    /// `ingest.file` when it cannot be read.
    pub fn read(raw: impl Read) -> Result<Sample, Problem> {
        Sample::read_within(raw, MAX_SAMPLE_BYTES)
    }

    fn read_within(raw: impl Read, most: usize) -> Result<Sample, Problem> {
        let fail = |error: std::io::Error| {
            Problem::new(codes::INGEST_FILE, format!("the file cannot be read: {error}"))
        };
        let mut bytes = Vec::new();
        let text = input::unpacked(raw, |_| ()).map_err(fail)?;
        text.take(most as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
        let whole = bytes.len() <= most;
        if !whole {
            bytes.truncate(most);
            // The last row may be cut. In UTF-16 a zero may follow that belongs to the line end.
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(end + usize::from(bytes.get(end) == Some(&0)));
        }
        Ok(Sample { bytes, whole })
    }
}

/// What the sample proposes.
///
/// # Errors
/// `ingest.guess` when it is no table with a header, a time and a value; `input.time` for a zone
/// that there is not; `ingest.file` when the header cannot stand.
pub fn guess(sample: &Sample, asked: &Asked<'_>) -> Result<Guess, Problem> {
    let facts = propose::facts(sample, asked)?;
    let first = propose::propose(&facts, asked, None)?;
    let seen = try_out(&first, sample)?;
    // The honest number of collisions stands beside the key.
    let guess = propose::propose(&facts, asked, Some(seen.colliding))?;
    Ok(Guess { rows: seen.rows, refused: seen.refused, colliding: seen.colliding, ..guess })
}

struct Seen {
    rows: u64,
    refused: Vec<Refusals>,
    colliding: u64,
}

/// Reads the sample with both files, as ingest would.
fn try_out(guess: &Guess, sample: &Sample) -> Result<Seen, Problem> {
    let ours = |problem: Problem| {
        Problem::new(codes::INTERNAL, format!("a guessed file does not load: {problem}"))
    };
    let map = Map::parse(&guess.map).map_err(ours)?;
    let model = model_file::parse(&guess.model).map_err(ours)?;
    map.check_model(&model).map_err(ours)?;
    let (mut rows, mut refused) = (0, BTreeMap::new());
    let mut instants: HashMap<(String, Timestamp), bool> = HashMap::new();
    for reading in Rows::new(sample.bytes.as_slice(), &map, |_| ())? {
        rows += 1;
        match reading? {
            Reading::Refused(row) => count(&mut refused, row.code.name, row.line, row.reason),
            Reading::Observation(row) => {
                let bad = row.values.iter().find_map(|(a, v)| model.check_value(a, v).err());
                if let Some(problem) = bad {
                    count(&mut refused, problem.code.name, row.line, problem.message);
                }
                let instant = (row.twin.as_str().to_owned(), row.phen_start);
                instants.entry(instant).and_modify(|twice| *twice = true).or_insert(false);
            }
        }
    }
    let colliding = instants.values().filter(|twice| **twice).count() as u64;
    Ok(Seen { rows, refused: refused.into_values().collect(), colliding })
}

fn count(
    refused: &mut BTreeMap<&'static str, Refusals>,
    code: &'static str,
    line: u64,
    reason: String,
) {
    if refused.len() < MAX_KINDS || refused.contains_key(code) {
        let first = || Refusals { code: code.to_owned(), rows: 0, line, reason };
        refused.entry(code).or_insert_with(first).rows += 1;
    }
}

fn refuse(why: impl Into<String>) -> Problem {
    Problem::new(codes::INGEST_GUESS, why)
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn a_sample_has_a_bound() {
        let check = |most: usize, kept: &str, whole: bool| {
            let sample = Sample::read_within(&b"a,b\n1,2\n3,4\n"[..], most).unwrap();
            assert_eq!((sample.bytes.as_slice(), sample.whole), (kept.as_bytes(), whole), "{most}");
        };
        check(12, "a,b\n1,2\n3,4\n", true);
        check(11, "a,b\n1,2\n", false);
    }
}
