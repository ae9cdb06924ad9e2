//! A map that was fitted to one header: cell numbers in place of column names.

use crate::csv::Observation;
use crate::encoding::Encoding;
use crate::number::with_point;
use crate::template::{self, Part};
use crate::toml_file::brief;
use crate::when::When;
use std::borrow::Cow;
use twinpact_model::{Code, Iri, SmolStr, Timestamp, codes};

/// The longest id at the source, in bytes.
pub const MAX_ID_BYTES: usize = 4096;

/// One part of a twin's name, fitted.
#[derive(Debug, Clone)]
pub(crate) enum Slot {
    /// This text.
    Text(String),
    /// The cell of that number.
    Cell(usize),
    /// The cell of that number, percent-encoded.
    Encoded(usize),
}

/// How the cells of a row become an observation.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub source: Iri,
    pub header: Vec<String>,
    pub twin: Vec<Slot>,
    /// The cells of the time, joined by a space.
    pub time: Vec<usize>,
    pub when: When,
    pub key: Vec<usize>,
    /// Cell and attribute, in the order of the file.
    pub values: Vec<(usize, SmolStr)>,
    pub decimal_comma: bool,
    /// What stands for no value.
    pub missing: Vec<String>,
    pub encoding: Encoding,
}

/// Why a row is refused: the code and a sentence.
pub(crate) type Refusal = (Code, String);

impl Plan {
    /// The observation of a row.
    ///
    /// # Errors
    /// Why the row is none.
    pub(crate) fn observe(&self, line: u64, cells: &[&str]) -> Result<Observation, Refusal> {
        if cells.len() != self.header.len() {
            let why =
                format!("the row has {} cells, the header has {}", cells.len(), self.header.len());
            return Err((codes::INGEST_ROW, why));
        }
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        Ok(Observation {
            line,
            source: self.source.clone(),
            twin: self.twin(&cell)?,
            phen_start: self.time(&cell)?,
            id: self.id(&cell)?,
            values: self.values(&cell)?,
        })
    }

    fn time<'c>(&self, cell: &impl Fn(usize) -> &'c str) -> Result<Timestamp, Refusal> {
        let read = match self.time.as_slice() {
            [at] => self.when.instant(cell(*at)),
            several => {
                let parts: Vec<&str> = several.iter().map(|at| cell(*at)).collect();
                self.when.instant(&parts.join(" "))
            }
        };
        read.map_err(|why| {
            let names: Vec<String> =
                self.time.iter().map(|at| format!("{:?}", self.name(*at))).collect();
            (codes::INPUT_TIME, format!("column {}: {why}", names.join(" and ")))
        })
    }

    fn twin<'c>(&self, cell: &impl Fn(usize) -> &'c str) -> Result<Iri, Refusal> {
        let mut name = String::new();
        for slot in &self.twin {
            match slot {
                Slot::Text(text) => name.push_str(text),
                Slot::Cell(at) | Slot::Encoded(at) if cell(*at).is_empty() => {
                    let why = format!("column {:?} names the twin and is empty", self.name(*at));
                    return Err((codes::INGEST_ROW, why));
                }
                Slot::Cell(at) => name.push_str(cell(*at)),
                Slot::Encoded(at) => template::encode(cell(*at), &mut name),
            }
        }
        Iri::new(name).map_err(|problem| (problem.code, problem.message))
    }

    /// The key cells, to the letter, as a JSON array of texts.
    pub(crate) fn id<'c>(&self, cell: &impl Fn(usize) -> &'c str) -> Result<String, Refusal> {
        let key: Vec<&str> = self.key.iter().map(|at| cell(*at)).collect();
        if key.iter().all(|part| part.is_empty()) {
            return Err((codes::INGEST_ROW, "every column of the key is empty".to_owned()));
        }
        let id = serde_json::Value::from(key).to_string();
        if id.len() > MAX_ID_BYTES {
            let why = format!("the key has {} bytes; {MAX_ID_BYTES} are possible", id.len());
            return Err((codes::INPUT_TOO_LARGE, why));
        }
        Ok(id)
    }

    fn values<'c>(
        &self,
        cell: &impl Fn(usize) -> &'c str,
    ) -> Result<Vec<(SmolStr, SmolStr)>, Refusal> {
        let mut values = Vec::with_capacity(self.values.len());
        for (at, attribute) in &self.values {
            let text = cell(*at);
            if self.missing.iter().any(|word| word == text) {
                continue;
            }
            let lexical = if self.decimal_comma {
                with_point(text).ok_or_else(|| self.pointed(*at, text))?
            } else {
                Cow::Borrowed(text)
            };
            if !lexical.is_empty() {
                values.push((attribute.clone(), lexical.as_ref().into()));
            }
        }
        if values.is_empty() {
            return Err((codes::INGEST_ROW, "no column of the map has a value".to_owned()));
        }
        Ok(values)
    }

    fn pointed(&self, at: usize, text: &str) -> Refusal {
        let why = format!(
            "column {:?}: {:?} has a decimal point, and the map says decimal = \",\"",
            self.name(at),
            brief(text)
        );
        (codes::INGEST_ROW, why)
    }

    fn name(&self, at: usize) -> String {
        self.header.get(at).map(|name| brief(name)).unwrap_or_default()
    }

    /// The parts of a template with the cell numbers that `find` gives.
    pub(crate) fn slots(template: &[Part], find: impl Fn(&str) -> usize) -> Vec<Slot> {
        let slot = |part: &Part| match part {
            Part::Text(text) => Slot::Text(text.clone()),
            Part::Column(name) => Slot::Cell(find(name)),
            Part::Encoded(name) => Slot::Encoded(find(name)),
        };
        template.iter().map(slot).collect()
    }
}
