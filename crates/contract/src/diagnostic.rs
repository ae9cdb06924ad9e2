//! What a contract's author is told: where, what, and what to do about it.
//!
//! A diagnostic points at characters of the source as it was written. It is rendered like a
//! compiler's message, or as JSON for editors.

use serde_json::{Value, json};
use twinpact_model::{Code, Problem};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the contract stands.
    Note,
    /// Probably not what was meant; the contract stands.
    Warning,
    /// The contract is refused.
    Error,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Characters of one line of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The line, counted from 1.
    pub line: usize,
    /// The first character, counted from 1.
    pub column: usize,
    /// How many characters, at least 1.
    pub length: usize,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code.
    pub code: Code,
    /// The line, counted from 1.
    pub line: usize,
    /// The first character, counted from 1.
    pub column: usize,
    /// How many characters of that line, at least 1.
    pub length: usize,
    /// One sentence without a full stop.
    pub message: String,
    /// What to do about it, when we know.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding at that place.
    pub fn new(severity: Severity, code: Code, at: Span, message: impl Into<String>) -> Self {
        let Span { line, column, length } = at;
        let length = length.max(1);
        Diagnostic { severity, code, line, column, length, message: message.into(), hint: None }
    }

    /// An error that says what a problem says.
    #[must_use]
    pub fn of(problem: Problem, at: Span) -> Self {
        let mut found = Diagnostic::new(Severity::Error, problem.code, at, problem.message);
        found.hint = problem.hint;
        found
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The finding with its source line and a caret under the characters in question. Control
    /// characters of the source are shown as spaces.
    #[must_use]
    pub fn render(&self, file_name: &str, source: &str) -> String {
        let Diagnostic { line, column, .. } = self;
        let mut out = format!(
            "{file_name}:{line}:{column}: {}[{}]: {}\n",
            self.severity.name(),
            self.code.name,
            self.message
        );
        if let Some(text) = source.lines().nth(line.saturating_sub(1)) {
            let shown: String =
                text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let margin = line.to_string();
            let before = column.saturating_sub(1);
            let room = shown.chars().count().saturating_sub(before).max(1);
            let (pad, carets) = (" ".repeat(before), "^".repeat(self.length.min(room)));
            out.push_str(&format!("{margin} | {shown}\n"));
            out.push_str(&format!("{} | {pad}{carets}\n", " ".repeat(margin.len())));
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!("hint: {hint}\n"));
        }
        out
    }

    /// The finding as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "severity": self.severity.name(),
            "code": self.code.name,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "message": self.message,
            "hint": self.hint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, Severity, Span};
    use twinpact_model::codes;

    #[test]
    fn a_finding_points_at_the_source() {
        let at = Span { line: 2, column: 3, length: 4 };
        let found =
            Diagnostic::new(Severity::Error, codes::CONTRACT_UNKNOWN_KEY, at, "unknown key")
                .hint("did you mean \"name\"?");
        assert_eq!(
            found.render("a.yaml", "id: x\n\té nmae: y"),
            "a.yaml:2:3: error[contract.unknown_key]: unknown key\n\
             2 |  é nmae: y\n\x20 |   ^^^^\nhint: did you mean \"name\"?\n"
        );
        // A place behind the end of the source still has its line and no caret beyond it.
        let far = Diagnostic { line: 9, hint: None, ..found.clone() };
        assert_eq!(far.render("a", "x"), "a:9:3: error[contract.unknown_key]: unknown key\n");
        let long = Diagnostic { line: 1, column: 1, length: 99, hint: None, ..found.clone() };
        assert!(long.render("a", "xyz").ends_with("1 | xyz\n  | ^^^\n"));
        assert_eq!(found.to_json()["column"], 3);
        assert_eq!(found.to_json()["hint"], "did you mean \"name\"?");
    }
}
