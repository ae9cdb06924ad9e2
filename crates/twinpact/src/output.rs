//! What a person or a program sees: data on stdout, the rest on stderr, `hint:` after errors.
//!
//! Names and sentences of partners are among it. No character of theirs steers a terminal
//! (ECMA-48 §5.4: control sequences) or makes text read in another order (UAX #9), and none begins
//! a line of its own: [`lines`] and [`line`].

use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
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
        self.data(lines(shown.trim_end_matches('\n')).as_bytes());
        self.data(b"\n");
    }

    /// Bytes as they are.
    pub(crate) fn data(self, bytes: &[u8]) {
        // A reader that went away (`| head`) is no error.
        let _ = std::io::stdout().lock().write_all(bytes);
    }

    /// A line for people.
    pub(crate) fn say(self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", lines(line));
    }

    /// The command to try after a success.
    pub(crate) fn next(self, command: &str) {
        if !self.json {
            self.say(&format!("next: {}", line(command)));
        }
    }

    /// An error with its cause, fault and hint; the exit code of its class.
    pub(crate) fn fail(self, problem: &Problem) -> ExitCode {
        let code = problem.code;
        self.say(&format!("error[{}]: {}", code.name, line(&problem.message)));
        self.say(&format!("  fault: {}   more: twinpact explain {}", code.fault, code.name));
        if let Some(hint) = &problem.hint {
            self.say(&format!("\nhint: {}", line(hint)));
        }
        ExitCode::from(code.class.exit_code())
    }
}

/// A fault of ours.
pub(crate) fn internal(why: &str) -> Problem {
    Problem::new(codes::INTERNAL, why)
}

/// A path as a shell takes it, in quotes where it needs them (POSIX.1-2017, Shell §2.2.2).
pub(crate) fn shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/+:@%,=".contains(&b);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Text of one line, whatever it holds: an end of a line in it is a space.
pub(crate) fn line(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\r' | '\t').then_some(' '))
}

/// Text with the ends of its lines and its tabs. JSON stays the same JSON.
fn lines(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t').then_some(c))
}

/// Text in which a character that steers is shown as JSON shows it (RFC 8259 §7), unless there is
/// something to show instead.
fn escaped(text: &str, instead: impl Fn(char) -> Option<char>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match instead(c) {
            Some(c) => out.push(c),
            None if steers(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            None => out.push(c),
        }
    }
    out
}

/// A control character, a separator of lines or paragraphs, or one that turns the order of text.
fn steers(c: char) -> bool {
    let turns = '\u{2028}'..='\u{202e}';
    let isolates = '\u{2066}'..='\u{2069}';
    let marks = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}');
    c.is_control() || turns.contains(&c) || isolates.contains(&c) || marks
}

/// The front of a long name, enough to tell it and to give it to a command.
pub(crate) fn front(name: &str) -> String {
    name.chars().take(12).collect()
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Columns of text, aligned; numbers and times need no more.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| row.iter().map(|cell| line(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let aligned = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![aligned(head.to_vec())];
    lines.extend(rows.iter().map(|row| aligned(row.iter().map(String::as_str).collect())));
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
    use super::{count, line, lines, shell, table};
    use std::path::Path;

    #[test]
    fn columns_are_aligned() {
        let rows =
            [vec!["urn:a".to_owned(), "1".to_owned()], vec!["x".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["twin", "facts"], &rows), "twin   facts\nurn:a  1\nx      22");
        let rows = [vec!["a\n\u{1b}[2J".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["x", "y"], &rows), "x            y\na \\u001b[2J  1");
        assert_eq!((count(7), count(52_992).as_str()), ("7".to_owned(), "52 992"));
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        for (path, expect) in [
            ("a/b-1.csv", "a/b-1.csv"),
            ("my data.csv", "'my data.csv'"),
            ("it's;.csv", "'it'\\''s;.csv'"),
            ("", "''"),
        ] {
            assert_eq!(shell(Path::new(path)), expect);
        }
    }

    #[test]
    fn nothing_that_a_partner_writes_steers_the_terminal() {
        for (text, one, many) in [
            (
                "é – 52\u{a0}992 \\ \"x\" 风",
                "é – 52\u{a0}992 \\ \"x\" 风",
                "é – 52\u{a0}992 \\ \"x\" 风",
            ),
            ("\u{1b}[31mred", "\\u001b[31mred", "\\u001b[31mred"),
            ("\u{1b}]0;t\u{7}", "\\u001b]0;t\\u0007", "\\u001b]0;t\\u0007"),
            (
                "\u{9b}2J\u{7f}\0\u{8}",
                "\\u009b2J\\u007f\\u0000\\u0008",
                "\\u009b2J\\u007f\\u0000\\u0008",
            ),
            ("a\nhint: b\tc", "a hint: b c", "a\nhint: b\tc"),
            ("over\rwritten", "over written", "over\\u000dwritten"),
            (
                "\u{202e}drow\u{2066}\u{200f}",
                "\\u202edrow\\u2066\\u200f",
                "\\u202edrow\\u2066\\u200f",
            ),
            ("a\u{2028}b", "a\\u2028b", "a\\u2028b"),
        ] {
            assert_eq!((line(text).as_str(), lines(text).as_str()), (one, many));
            // What is JSON stays the same JSON.
            let json = serde_json::to_string_pretty(&[text]).unwrap();
            let read: Vec<String> = serde_json::from_str(&lines(&json)).unwrap();
            assert_eq!(read, [text]);
            assert!(!lines(&json).contains(|c: char| c.is_control() && c != '\n'));
        }
    }
}
