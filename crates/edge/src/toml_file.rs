//! TOML 1.0 files that people write: every refusal names line, column and, where one is near, the
//! word that was meant.
//!
//! Keys are checked before values, so that a misspelt key is never reported as a missing one. Both
//! kinds of file of this crate (`map`, `model_file`) are read through here and refuse alike.

use serde::de::DeserializeOwned;
use toml::de::DeTable;
use twinpact_model::{Code, Problem, codes, suggest};

/// The longest file, in bytes.
pub const MAX_TOML_BYTES: usize = 256 * 1024;
/// The longest word, in bytes, that is compared with others and that a message repeats.
const MAX_WORD_BYTES: usize = 128;

/// A file that is TOML, with the places of its keys and values.
pub struct TomlFile<'a> {
    text: &'a str,
    root: DeTable<'a>,
}

impl<'a> TomlFile<'a> {
    /// The file of that text.
    ///
    /// # Errors
    /// `input.too_large` beyond [`MAX_TOML_BYTES`]; `input.malformed` when it is not TOML.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        if text.len() > MAX_TOML_BYTES {
            return Err(Problem::new(
                codes::INPUT_TOO_LARGE,
                format!("the file has {} bytes; {MAX_TOML_BYTES} are possible", text.len()),
            ));
        }
        let root = DeTable::parse(text).map_err(|error| unreadable(text, &error))?;
        Ok(TomlFile { text, root: root.into_inner() })
    }

    /// The outermost table.
    #[must_use]
    pub fn root(&self) -> &DeTable<'a> {
        &self.root
    }

    /// The file as a value of a serde type. Ask for [`known_keys`](Self::known_keys) of each table
    /// first: this says only what serde says.
    ///
    /// # Errors
    /// `input.malformed` when a key is missing or a value is of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(self.text).map_err(|error| unreadable(self.text, &error))
    }

    /// Whether the table has no other keys than these.
    ///
    /// # Errors
    /// `input.unknown_key` with the first one that is unknown.
    pub fn known_keys(&self, table: &DeTable<'_>, known: &[&str]) -> Result<(), Problem> {
        let unknown = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let why = format!("unknown key {:?}", brief(key.get_ref()));
        let problem = self.refuse(codes::INPUT_UNKNOWN_KEY, key.span().start, &why);
        Err(problem.hint(
            did_you_mean(key.get_ref(), known.iter().copied())
                .unwrap_or_else(|| format!("the keys here are {}", known.join(", "))),
        ))
    }

    /// Whether the key, when the table has it with a text, has one of these words.
    ///
    /// # Errors
    /// `input.malformed` with the word that is not among them.
    pub fn known_word(
        &self,
        table: &DeTable<'_>,
        key: &str,
        known: &[&str],
    ) -> Result<(), Problem> {
        let Some(value) = table.get(key) else { return Ok(()) };
        let Some(word) = value.get_ref().as_str().filter(|word| !known.contains(word)) else {
            return Ok(());
        };
        let why = format!("unknown {key} {:?}", brief(word));
        let problem = self.refuse(codes::INPUT_MALFORMED, value.span().start, &why);
        Err(problem.hint(
            did_you_mean(word, known.iter().copied())
                .unwrap_or_else(|| format!("it is one of {}", known.join(", "))),
        ))
    }

    /// The line, from 1, in which that byte of the text stands.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        line(self.text, offset)
    }

    /// A refusal of what begins at that byte of the text.
    #[must_use]
    pub fn refuse(&self, code: Code, offset: usize, why: &str) -> Problem {
        Problem::new(code, format!("{}: {why}", place(self.text, offset)))
    }
}

/// `did you mean "power"?`, when one of the known words is near enough.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // The distance costs the product of the lengths, and both come from outside.
    let short = |text: &str| text.len() <= MAX_WORD_BYTES;
    let near = short(word)
        .then(|| suggest::nearest(word, known.into_iter().filter(|candidate| short(candidate))));
    near.flatten().map(|near| format!("did you mean {near:?}?"))
}

/// The text, or its beginning when it is too long for a message.
#[must_use]
pub(crate) fn brief(text: &str) -> String {
    if text.len() <= MAX_WORD_BYTES {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX_WORD_BYTES / 2).collect();
    short.push('…');
    short
}

fn unreadable(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().lines().next().unwrap_or_default();
    let why = match error.span() {
        // What is missing from the whole file is missing nowhere in particular.
        Some(span) if span.start > 0 || !message.starts_with("missing field") => {
            format!("{}: {message}", place(text, span.start))
        }
        _ => message.to_owned(),
    };
    Problem::new(codes::INPUT_MALFORMED, why)
}

fn line(text: &str, offset: usize) -> usize {
    text.get(..offset).unwrap_or(text).matches('\n').count() + 1
}

/// `line 3, column 7`, both from 1, the column in characters.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = line(text, offset);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::{MAX_TOML_BYTES, TomlFile, did_you_mean};

    #[test]
    fn the_place_is_in_characters() {
        let file = TomlFile::parse("a = 1\n\"é\" = 2\n\"ö\".x = { colour = 3 }\n").unwrap();
        let inner = file.root().get("ö").unwrap().get_ref().as_table().unwrap();
        let inner = inner.get("x").unwrap().get_ref().as_table().unwrap();
        let problem = file.known_keys(inner, &["color", "size"]).unwrap_err();
        assert_eq!(problem.message, "line 3, column 11: unknown key \"colour\"");
        assert_eq!(problem.hint.as_deref(), Some("did you mean \"color\"?"));
    }

    #[test]
    fn the_first_unknown_key_is_named() {
        let file = TomlFile::parse("z = 1\na = 2\n").unwrap();
        let problem = file.known_keys(file.root(), &["mode"]).unwrap_err();
        assert_eq!(problem.code.name, "input.unknown_key");
        assert_eq!(problem.message, "line 1, column 1: unknown key \"z\"");
        assert_eq!(problem.hint.as_deref(), Some("the keys here are mode"));
    }

    #[test]
    fn a_file_has_a_bound() {
        let comment = |n: usize| format!("#{}", "x".repeat(n - 1));
        assert!(TomlFile::parse(&comment(MAX_TOML_BYTES)).is_ok());
        let problem = TomlFile::parse(&comment(MAX_TOML_BYTES + 1)).err().unwrap();
        assert_eq!(problem.code.name, "input.too_large");
        let deep = format!("a = {}", "[".repeat(100_000));
        assert_eq!(TomlFile::parse(&deep).err().unwrap().code.name, "input.malformed");
    }

    #[test]
    fn long_words_are_not_compared() {
        let long = "x".repeat(100_000);
        assert_eq!(did_you_mean(&long, [long.as_str()]), None);
        assert_eq!(
            did_you_mean("powr", [long.as_str(), "power"]).unwrap(),
            "did you mean \"power\"?"
        );
    }
}
