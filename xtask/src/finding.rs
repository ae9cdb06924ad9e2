//! What a rule found, and the files that rules look at. Both are values: rules read no disk.

use std::fmt;

/// A text file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl File {
    /// A file from its two texts.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        File { path: path.into(), text: text.into() }
    }
}

/// A broken rule: where and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root of the repository.
    pub(crate) path: String,
    /// The line, counted from 1; 1 when it is about the whole file.
    pub(crate) line: usize,
    /// One sentence: what is wrong and what would be right.
    pub(crate) reason: String,
}

impl Finding {
    /// A finding from its parts.
    pub(crate) fn new(path: &str, line: usize, reason: impl Into<String>) -> Self {
        Finding { path: path.to_owned(), line, reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}
