//! The map: how the columns of a CSV file become observations. TOML, read with
//! [`TomlFile`](crate::toml_file::TomlFile).
//!
//! ```toml
//! source = "urn:source:la-haute-borne"        # with the key, it makes a row the same row again
//! model = "wind-turbine@1"
//! twin = "urn:turbine:{Wind_turbine_name}"    # a template over columns
//! time = { column = "Date_time" }             # RFC 3339 with offset; or also format, zone, epoch
//! key = ["Wind_turbine_name", "Date_time"]    # the columns that make the id at the source
//! delimiter = ","                             # as it is when left out
//! decimal = "."                               # as it is when left out; "," is the other
//! encoding = "utf-8"                          # as it is when left out; see `encoding`
//! missing = ["NaN", "-"]                      # cells that stand for no value, beside empty ones
//! [columns]
//! P_avg = "power"                             # CSV column = attribute
//! ```
//!
//! A time may stand in several columns, `columns = ["Date", "Time"]`: their cells are joined by one
//! space and read by the format. `epoch = "s"`, `"ms"` or `"us"` counts from 1970 on.
//!
//! Names of columns are compared to the letter. A map is fitted to a header before the first row is
//! read, and nothing is read with a map that names a column which is not there.

use crate::encoding::Encoding;
use crate::plan::Plan;
use crate::template::{self, Part};
use crate::toml_file::{TomlFile, brief, did_you_mean};
use crate::when::When;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;
use twinpact_model::type_model::{MAX_MODEL_ATTRIBUTES, is_name};
use twinpact_model::{Iri, ModelRef, Problem, SmolStr, TypeModel, codes};

/// The most columns of a key.
pub const MAX_KEY_COLUMNS: usize = 16;

/// The most columns of a time.
pub const MAX_TIME_COLUMNS: usize = 4;
/// The most words that stand for no value.
pub const MAX_MISSING_WORDS: usize = 16;

const KEYS: &[&str] = &[
    "source",
    "model",
    "twin",
    "time",
    "key",
    "delimiter",
    "decimal",
    "encoding",
    "missing",
    "columns",
];
const TIME_KEYS: &[&str] = &["column", "columns", "format", "zone", "epoch"];

/// A map that keeps its own rules; it has not met a file yet.
#[derive(Debug, Clone)]
pub struct Map {
    /// Names the source for idempotency.
    pub source: Iri,
    /// The type model that its values are meant for.
    pub model: ModelRef,
    /// The attributes by column.
    pub columns: BTreeMap<String, String>,
    /// The columns that make the id at the source, in order.
    pub key: Vec<String>,
    /// The byte between two cells.
    pub delimiter: u8,
    /// Whether numbers are written with a comma.
    pub decimal_comma: bool,
    /// How its characters are written.
    pub encoding: Encoding,
    /// The cells that stand for no value, beside empty ones.
    pub missing: Vec<String>,
    twin: Vec<Part>,
    time: Vec<String>,
    when: When,
}

#[derive(Deserialize)]
struct Written {
    source: Spanned<String>,
    model: Spanned<String>,
    twin: Spanned<String>,
    time: Spanned<WrittenTime>,
    key: Spanned<Vec<String>>,
    delimiter: Option<Spanned<String>>,
    decimal: Option<Spanned<String>>,
    encoding: Option<Spanned<String>>,
    missing: Option<Spanned<Vec<String>>>,
    columns: Spanned<BTreeMap<Spanned<String>, Spanned<String>>>,
}

#[derive(Deserialize)]
struct WrittenTime {
    column: Option<String>,
    columns: Option<Vec<String>>,
    format: Option<String>,
    zone: Option<String>,
    epoch: Option<String>,
}

impl Map {
    /// The map of that text.
    ///
    /// # Errors
    /// `input.too_large`, `input.malformed` and `input.unknown_key` as of [`TomlFile`];
    /// `ingest.map` when the map breaks a rule of its own.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let file = TomlFile::parse(text)?;
        file.known_keys(file.root(), KEYS)?;
        if let Some(time) = file.root().get("time").and_then(|t| t.get_ref().as_table()) {
            file.known_keys(time, TIME_KEYS)?;
        }
        let written: Written = file.read()?;
        let rules = Rules { file: &file };
        Ok(Map {
            source: rules.hold(&written.source, |t| Iri::new(t.as_str()).map_err(|p| p.message))?,
            model: rules
                .hold(&written.model, |t| ModelRef::try_from(t.clone()).map_err(|p| p.message))?,
            columns: rules.columns(&written.columns)?,
            key: rules.hold(&written.key, |names| key(names))?,
            delimiter: written.delimiter.map_or(Ok(b','), |t| rules.hold(&t, |t| delimiter(t)))?,
            decimal_comma: written.decimal.map_or(Ok(false), |t| rules.hold(&t, |t| decimal(t)))?,
            encoding: written
                .encoding
                .map_or(Ok(Encoding::Utf8), |t| rules.hold(&t, |t| Encoding::named(t)))?,
            missing: written.missing.map_or(Ok(Vec::new()), |t| rules.hold(&t, |t| missing(t)))?,
            twin: rules.hold(&written.twin, |t| template::parse(t))?,
            when: rules.hold(&written.time, when)?,
            time: rules.hold(&written.time, time_columns)?,
        })
    }

    /// Whether the map is meant for this model and every attribute of it is in the model.
    ///
    /// # Errors
    /// `ingest.map` with the first thing that does not fit.
    pub fn check_model(&self, model: &TypeModel) -> Result<(), Problem> {
        if self.model != model.reference() {
            let why = format!("the map is for {}, not for {}", self.model, model.reference());
            return Err(Problem::new(codes::INGEST_MAP, why));
        }
        for (column, attribute) in &self.columns {
            if model.attribute(attribute).is_none() {
                let why = format!(
                    "{} has no attribute {attribute:?} for the column {:?}",
                    self.model,
                    brief(column)
                );
                let near =
                    did_you_mean(attribute, model.attributes.iter().map(|a| a.name.as_str()));
                return Err(with_hint(Problem::new(codes::INGEST_MAP, why), near));
            }
        }
        Ok(())
    }

    /// The map, fitted to a header.
    ///
    /// # Errors
    /// `ingest.map` with every column that the map names and the header has not.
    pub(crate) fn plan(&self, header: Vec<String>) -> Result<Plan, Problem> {
        let place: BTreeMap<&str, usize> =
            header.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let missing: Vec<&str> =
            self.named().into_iter().filter(|name| !place.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(no_columns(&missing, &header));
        }
        let find = |name: &str| place.get(name).copied().unwrap_or_default();
        let mut values: Vec<(usize, SmolStr)> =
            self.columns.iter().map(|(column, a)| (find(column), a.as_str().into())).collect();
        values.sort();
        Ok(Plan {
            source: self.source.clone(),
            twin: Plan::slots(&self.twin, find),
            time: self.time.iter().map(|name| find(name)).collect(),
            when: self.when.clone(),
            key: self.key.iter().map(|name| find(name)).collect(),
            values,
            decimal_comma: self.decimal_comma,
            missing: self.missing.clone(),
            encoding: self.encoding,
            header: header.clone(),
        })
    }

    /// Every column that the map names, once each: twin, time, key, then values.
    fn named(&self) -> Vec<&str> {
        let twin = self.twin.iter().filter_map(|part| match part {
            Part::Column(name) | Part::Encoded(name) => Some(name.as_str()),
            Part::Text(_) => None,
        });
        let rest = self.key.iter().chain(self.columns.keys()).map(String::as_str);
        let mut named: Vec<&str> = Vec::new();
        for name in twin.chain(self.time.iter().map(String::as_str)).chain(rest) {
            if !named.contains(&name) {
                named.push(name);
            }
        }
        named
    }
}

/// The rules of a map; what breaks one is named with its place in the file.
struct Rules<'f, 'a> {
    file: &'f TomlFile<'a>,
}

impl Rules<'_, '_> {
    /// What the rule makes of a value.
    fn hold<W, T>(
        &self,
        written: &Spanned<W>,
        rule: impl FnOnce(&W) -> Result<T, String>,
    ) -> Result<T, Problem> {
        rule(written.get_ref())
            .map_err(|why| self.file.refuse(codes::INGEST_MAP, written.span().start, &why))
    }

    fn columns(
        &self,
        written: &Spanned<BTreeMap<Spanned<String>, Spanned<String>>>,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let n = written.get_ref().len();
        if n == 0 || n > MAX_MODEL_ATTRIBUTES {
            let why = format!("the map has {n} columns; 1 to {MAX_MODEL_ATTRIBUTES} are possible");
            return self.hold(written, |_| Err(why));
        }
        let mut columns: BTreeMap<String, String> = BTreeMap::new();
        for (column, attribute) in written.get_ref() {
            let name = self.hold(attribute, |name| {
                if !is_name(name) {
                    return Err(format!("{:?} is not an attribute name", brief(name)));
                }
                match columns.iter().find(|(_, taken)| *taken == name) {
                    Some((other, _)) => {
                        let other = brief(other);
                        Err(format!("{name:?} is already the attribute of the column {other:?}"))
                    }
                    None => Ok(name.clone()),
                }
            })?;
            columns.insert(column.get_ref().clone(), name);
        }
        Ok(columns)
    }
}

fn key(names: &[String]) -> Result<Vec<String>, String> {
    if names.is_empty() || names.len() > MAX_KEY_COLUMNS {
        return Err(format!(
            "the key has {} columns; 1 to {MAX_KEY_COLUMNS} are possible",
            names.len()
        ));
    }
    let twice =
        names.iter().enumerate().find(|(i, name)| names.iter().take(*i).any(|n| n == *name));
    match twice {
        Some((_, name)) => Err(format!("the column {:?} stands twice in the key", brief(name))),
        None => Ok(names.to_vec()),
    }
}

/// The columns of the time: one, or several that a format reads together.
fn time_columns(time: &WrittenTime) -> Result<Vec<String>, String> {
    match (&time.column, &time.columns) {
        (Some(column), None) => Ok(vec![column.clone()]),
        (None, Some(columns)) if (2..=MAX_TIME_COLUMNS).contains(&columns.len()) => {
            match time.format {
                Some(_) => Ok(columns.clone()),
                None => Err("a time in several columns needs a format".to_owned()),
            }
        }
        (None, Some(columns)) => {
            let n = columns.len();
            Err(format!("the time has {n} columns; 2 to {MAX_TIME_COLUMNS} are possible"))
        }
        (None, None) => Err("the time names no column".to_owned()),
        (Some(_), Some(_)) => Err("the time has column and columns; one may stand".to_owned()),
    }
}

fn missing(words: &[String]) -> Result<Vec<String>, String> {
    if words.len() > MAX_MISSING_WORDS {
        let n = words.len();
        return Err(format!("{n} words stand for no value; {MAX_MISSING_WORDS} are possible"));
    }
    Ok(words.to_vec())
}

fn when(time: &WrittenTime) -> Result<When, String> {
    if let Some(unit) = &time.epoch {
        return match (&time.format, &time.zone) {
            (None, None) => When::epoch(unit),
            _ => Err("beside an epoch neither format nor zone may stand".to_owned()),
        };
    }
    match (&time.format, &time.zone) {
        (Some(format), zone) => When::new(format, zone.as_deref()),
        (None, None) => Ok(When::Rfc3339),
        (None, Some(_)) => {
            Err("a zone stands only beside a format; RFC 3339 has its own offset".to_owned())
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if !byte.is_ascii_alphanumeric() && !b"\"\r\n\0.+-".contains(byte) => Ok(*byte),
        _ => Err(format!("{:?} cannot be a delimiter", brief(text))),
    }
}

fn decimal(text: &str) -> Result<bool, String> {
    match text {
        "." => Ok(false),
        "," => Ok(true),
        other => Err(format!("{:?} cannot be a decimal mark; it is \".\" or \",\"", brief(other))),
    }
}

fn no_columns(missing: &[&str], header: &[String]) -> Problem {
    let shown: Vec<String> = missing.iter().map(|name| format!("{:?}", brief(name))).collect();
    let why = format!("the file has no column {}", shown.join(", "));
    let hints: Vec<String> = missing
        .iter()
        .filter_map(|name| {
            did_you_mean(name, header.iter().map(String::as_str))
                .map(|near| format!("{:?}: {near}", brief(name)))
        })
        .collect();
    let hint = match (hints.as_slice(), missing) {
        ([], _) => None,
        // One column is missing: the sentence has named it already.
        ([one], [_]) => one.split_once(": ").map(|(_, near)| near.to_owned()),
        (several, _) => Some(several.join("; ")),
    };
    let columns: Vec<String> =
        header.iter().take(20).map(|name| format!("{:?}", brief(name))).collect();
    let mut all = format!("the file has {}", columns.join(", "));
    let other =
        [';', '\t', '|', ','].into_iter().find(|mark| header.iter().any(|n| n.contains(*mark)));
    if let (Some(mark), [_]) = (other, header) {
        all.push_str(&format!("; say in the map: delimiter = \"{}\"", mark.escape_default()));
    }
    Problem::new(codes::INGEST_MAP, why).hint(hint.unwrap_or(all))
}

fn with_hint(problem: Problem, hint: Option<String>) -> Problem {
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_KEY_COLUMNS, MAX_MISSING_WORDS, MAX_TIME_COLUMNS, Map};
    use crate::model_file;

    const GOOD: &str = r#"source = "urn:source:farm"
model = "wind-turbine@1"
twin = "urn:turbine:{Name}"
time = { column = "Date" }
key = ["Name", "Date"]
delimiter = ";"
decimal = ","
[columns]
P_avg = "power"
Ws_avg = "wind"
"#;

    fn check(from: &str, to: &str, code: &str, message: &str, hint: &str) {
        assert!(GOOD.contains(from), "{from}");
        let problem = Map::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert_eq!(problem.message, message);
        assert_eq!(problem.code.name, code, "{problem}");
        assert_eq!(problem.hint.as_deref().unwrap_or_default(), hint, "{problem}");
    }

    #[test]
    fn a_map_is_read() {
        let map = Map::parse(GOOD).unwrap();
        assert_eq!((map.delimiter, map.decimal_comma), (b';', true));
        assert_eq!(map.model.to_string(), "wind-turbine@1");
        assert_eq!(map.columns["P_avg"], "power");
        let map = Map::parse(&GOOD.replace("delimiter = \";\"\ndecimal = \",\"\n", "")).unwrap();
        assert_eq!((map.delimiter, map.decimal_comma), (b',', false));
    }

    #[test]
    fn keys_that_are_unknown_or_missing() {
        let unknown = "input.unknown_key";
        check(
            "source",
            "sorce",
            unknown,
            "line 1, column 1: unknown key \"sorce\"",
            "did you mean \"source\"?",
        );
        check(
            "column =",
            "colum =",
            unknown,
            "line 4, column 10: unknown key \"colum\"",
            "did you mean \"column\"?",
        );
        check(
            "[columns]",
            "[colunms]",
            unknown,
            "line 8, column 2: unknown key \"colunms\"",
            "did you mean \"columns\"?",
        );
        check(
            "decimal",
            "thousands",
            unknown,
            "line 7, column 1: unknown key \"thousands\"",
            "the keys here are source, model, twin, time, key, delimiter, decimal, encoding, missing, \
             columns",
        );
        let bad = "input.malformed";
        check("key = [\"Name\", \"Date\"]", "", bad, "missing field `key`", "");
        check(
            "\"power\"",
            "1",
            bad,
            "line 9, column 9: invalid type: integer `1`, expected a string",
            "",
        );
        check("key", "source = \"urn:x:y\"\nkey", bad, "line 5, column 1: duplicate key", "");
    }

    #[test]
    fn rules_that_are_broken() {
        let check =
            |from: &str, to: &str, message: &str| check(from, to, "ingest.map", message, "");
        check("urn:source:farm", "farm", "line 1, column 10: the identifier has no scheme: farm");
        check("turbine@1", "turbine", "line 2, column 9: not a model version: \"wind-turbine\"");
        check("{Name}", "{Name", "line 3, column 8: a brace is not closed");
        check("urn:turbine:", "t ", "line 3, column 8: the identifier has no scheme: t x");
        check(
            "\"Date\" }",
            "\"Date\", zone = \"UTC\" }",
            "line 4, column 8: a zone stands only beside a format; RFC 3339 has its own offset",
        );
        check(
            "\"Date\" }",
            "\"Date\", format = \"%d/%m/%Y %H:%M\" }",
            "line 4, column 8: the format has no offset (%z); a zone is missing",
        );
        check(
            "\"Date\" }",
            "\"Date\", format = \"%d/%m/%Y %H:%M\", zone = \"Europe/Pari\" }",
            "line 4, column 8: unknown time zone \"Europe/Pari\"",
        );
        check(
            "\"Name\", \"Date\"]",
            "]",
            "line 5, column 7: the key has 0 columns; 1 to 16 are possible",
        );
        check(
            "\"Name\", \"Date\"]",
            "\"Name\", \"Name\"]",
            "line 5, column 7: the column \"Name\" stands twice in the key",
        );
        check("\";\"", "\";;\"", "line 6, column 13: \";;\" cannot be a delimiter");
        check("\";\"", "\"é\"", "line 6, column 13: \"é\" cannot be a delimiter");
        check(
            "\",\"",
            "\"'\"",
            "line 7, column 11: \"'\" cannot be a decimal mark; it is \".\" or \",\"",
        );
        check(
            "\"power\"",
            "\"active power\"",
            "line 9, column 9: \"active power\" is not an attribute name",
        );
        check(
            "\"wind\"",
            "\"power\"",
            "line 10, column 10: \"power\" is already the attribute of the column \"P_avg\"",
        );
        check(
            "P_avg = \"power\"\nWs_avg = \"wind\"\n",
            "",
            "line 8, column 1: the map has 0 columns; 1 to 29 are possible",
        );
    }

    #[test]
    fn rules_of_times_and_encodings_that_are_broken() {
        let check =
            |from: &str, to: &str, message: &str| check(from, to, "ingest.map", message, "");
        check("{ column = \"Date\" }", "{ }", "line 4, column 8: the time names no column");
        check(
            "column = \"Date\" }",
            "columns = [\"Date\", \"Time\"] }",
            "line 4, column 8: a time in several columns needs a format",
        );
        check(
            "column = \"Date\" }",
            "columns = [\"Date\"] }",
            "line 4, column 8: the time has 1 columns; 2 to 4 are possible",
        );
        check(
            "\"Date\" }",
            "\"Date\", epoch = \"h\" }",
            "line 4, column 8: unknown epoch \"h\": it is \"s\", \"ms\" or \"us\"",
        );
        check(
            "\"Date\" }",
            "\"Date\", epoch = \"s\", zone = \"UTC\" }",
            "line 4, column 8: beside an epoch neither format nor zone may stand",
        );
        check(
            "decimal = \",\"",
            "encoding = \"utf8\"",
            "line 7, column 12: unknown encoding \"utf8\": did you mean \"utf-8\"?",
        );
    }

    #[test]
    fn a_map_has_bounds() {
        let columns = |n: usize| (0..n).map(|i| format!("C{i} = \"a{i}\"\n")).collect::<String>();
        let with = |text: String| {
            Map::parse(&GOOD.replace("P_avg = \"power\"\nWs_avg = \"wind\"\n", &text)).is_ok()
        };
        assert!(with(columns(29)) && !with(columns(30)));
        let key = |n: usize| {
            let names: Vec<String> = (0..n).map(|i| format!("\"C{i}\"")).collect();
            Map::parse(&GOOD.replace("\"Name\", \"Date\"", &names.join(", "))).is_ok()
        };
        assert!(key(MAX_KEY_COLUMNS) && !key(MAX_KEY_COLUMNS + 1));
        let words = |n: usize| {
            let words = format!("missing = {:?}\n[columns]", vec!["-"; n]);
            Map::parse(&GOOD.replace("[columns]", &words)).is_ok()
        };
        assert!(words(MAX_MISSING_WORDS) && !words(MAX_MISSING_WORDS + 1));
        let time = |n: usize| {
            let time = format!("columns = {:?}, format = \"%s\" }}", vec!["T"; n]);
            Map::parse(&GOOD.replace("column = \"Date\" }", &time)).is_ok()
        };
        assert!(time(MAX_TIME_COLUMNS) && !time(MAX_TIME_COLUMNS + 1));
    }

    #[test]
    fn a_map_fits_its_model() {
        let map = Map::parse(GOOD).unwrap();
        let model = |version: u32, name: &str| {
            let attribute =
                |name: &str| format!("[[attribute]]\nname = {name:?}\ndatatype = \"double\"\n");
            let head = format!("model = \"wind-turbine\"\nversion = {version}\n");
            model_file::parse(&format!("{head}{}{}", attribute("power"), attribute(name))).unwrap()
        };
        assert_eq!(map.check_model(&model(1, "wind")), Ok(()));
        let problem = map.check_model(&model(1, "winds")).unwrap_err();
        assert_eq!(
            problem.message,
            "wind-turbine@1 has no attribute \"wind\" for the column \"Ws_avg\""
        );
        assert_eq!(problem.hint.as_deref(), Some("did you mean \"winds\"?"));
        let problem = map.check_model(&model(2, "wind")).unwrap_err();
        assert_eq!(problem.message, "the map is for wind-turbine@1, not for wind-turbine@2");
    }
}
