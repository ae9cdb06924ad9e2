//! What a person or a program sees: data on stdout, the rest on stderr, `hint:` after errors.

use serde::Serialize;
use std::io::Write as _;
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// Where output goes and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// One result: as JSON, or as the text that `text` makes.
    pub(crate) fn result<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) {
        let shown = match self.json {
            true => serde_json::to_string_pretty(value).unwrap_or_default(),
            false => text(value),
        };
        self.data(shown.trim_end_matches('\n').as_bytes());
        self.data(b"\n");
    }

    /// Bytes as they are.
    pub(crate) fn data(self, bytes: &[u8]) {
        // A reader that went away (`| head`) is no error.
        let _ = std::io::stdout().lock().write_all(bytes);
    }

    /// A line for people.
    pub(crate) fn say(self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// The command to try after a success.
    pub(crate) fn next(self, command: &str) {
        if !self.json {
            self.say(&format!("next: {command}"));
        }
    }

    /// An error with its cause, fault and hint; the exit code of its class.
    pub(crate) fn fail(self, problem: &Problem) -> ExitCode {
        let code = problem.code;
        self.say(&format!("error[{}]: {}", code.name, problem.message));
        self.say(&format!("  fault: {}   more: twinpact explain {}", code.fault, code.name));
        if let Some(hint) = &problem.hint {
            self.say(&format!("\nhint: {hint}"));
        }
        ExitCode::from(code.class.exit_code())
    }
}

/// A fault of ours.
pub(crate) fn internal(why: &str) -> Problem {
    Problem::new(codes::INTERNAL, why)
}

/// Columns of text, aligned; numbers and times need no more.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// A number with spaces between thousands: `52 992`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{count, table};

    #[test]
    fn columns_are_aligned() {
        let rows =
            [vec!["urn:a".to_owned(), "1".to_owned()], vec!["x".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["twin", "facts"], &rows), "twin   facts\nurn:a  1\nx      22");
        assert_eq!((count(7), count(52_992).as_str()), ("7".to_owned(), "52 992"));
    }
}
