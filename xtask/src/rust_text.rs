//! Rust source as lines of code: comments and the insides of literals taken out, test code marked.
//!
//! A lexer of a hundred lines, not a parser: it knows comments (nested), strings (escaped, raw,
//! byte, C), characters and lifetimes, and follows braces from `#[cfg(test)]`. That is all a text
//! rule needs so that a word in a sentence is never taken for code.

/// One line of a source file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// The code; a literal is only its quotes, a comment is gone.
    pub(crate) code: String,
    /// How many characters stood inside literals.
    pub(crate) literal: usize,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

/// The lines of a source file.
#[must_use]
pub(crate) fn read(text: &str) -> Vec<Line> {
    let mut scanner = Scanner { chars: text.chars().collect(), at: 0, lines: Vec::new() };
    scanner.lines.push(Line::default());
    while scanner.peek(0).is_some() {
        scanner.step();
    }
    let mut lines = scanner.lines;
    mark_tests(&mut lines);
    lines
}

/// Whether `word` stands in the code as a word of its own.
#[must_use]
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    after_word(code, word).is_some()
}

/// What follows the first `word` that stands in the code as a word of its own.
#[must_use]
pub(crate) fn after_word<'a>(code: &'a str, word: &str) -> Option<&'a str> {
    let is_inner = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).find_map(|(at, _)| {
        let (before, rest) = code.split_at_checked(at)?;
        let after = rest.strip_prefix(word)?;
        let left = !word.starts_with(is_inner) || !before.ends_with(is_inner);
        let right = !word.ends_with(is_inner) || !after.starts_with(is_inner);
        (left && right).then_some(after)
    })
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    lines: Vec<Line>,
}

/// What becomes of a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Code,
    Literal,
    Nothing,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Takes so many characters.
    fn take(&mut self, count: usize, keep: Keep) {
        for _ in 0..count {
            let Some(c) = self.peek(0) else { return };
            self.at += 1;
            if c == '\n' {
                self.lines.push(Line::default());
            } else if let Some(line) = self.lines.last_mut() {
                match keep {
                    Keep::Code => line.code.push(c),
                    Keep::Literal => line.literal += 1,
                    Keep::Nothing => {}
                }
            }
        }
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.take(1, Keep::Nothing);
                }
            }
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('\''), _) => self.quote(),
            (Some('r'), Some('"' | '#')) if !self.after_identifier() => self.raw_string(),
            _ => self.take(1, Keep::Code),
        }
    }

    /// Whether the character before is part of an identifier, `br"…"` and `cr"…"` set apart.
    fn after_identifier(&self) -> bool {
        let back = |n: usize| self.at.checked_sub(n).and_then(|i| self.chars.get(i)).copied();
        let inner = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match back(1) {
            Some('b' | 'c') => inner(back(2)),
            before => inner(before),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth = depth.saturating_sub(1),
                (Some(_), _) => {
                    self.take(1, Keep::Nothing);
                    continue;
                }
                (None, _) => return,
            }
            self.take(2, Keep::Nothing);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(1, Keep::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.take(1, Keep::Code),
                '\\' => self.take(2, Keep::Literal),
                _ => self.take(1, Keep::Literal),
            }
        }
    }

    /// At `r` before a quote or a hash: a raw string, or a raw identifier, which is code.
    fn raw_string(&mut self) {
        let hashes = (1..).take_while(|n| self.peek(*n) == Some('#')).count();
        if self.peek(1 + hashes) != Some('"') {
            return self.take(1, Keep::Code);
        }
        self.take(2 + hashes, Keep::Code);
        while self.peek(0).is_some() {
            let closed =
                self.peek(0) == Some('"') && (1..=hashes).all(|n| self.peek(n) == Some('#'));
            if closed {
                return self.take(1 + hashes, Keep::Code);
            }
            self.take(1, Keep::Literal);
        }
    }

    /// At `'`: a character or a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == Some('\\') {
            self.take(1, Keep::Code);
            self.take(2, Keep::Literal);
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.take(1, Keep::Literal);
            }
            self.take(1, Keep::Code);
        } else if self.peek(2) == Some('\'') {
            self.take(1, Keep::Code);
            self.take(1, Keep::Literal);
            self.take(1, Keep::Code);
        } else {
            self.take(1, Keep::Code);
        }
    }
}

/// Marks every item under `#[cfg(test)]`: from the attribute to the end of the item's braces, or to
/// its semicolon.
fn mark_tests(lines: &mut [Line]) {
    let mut inside: Option<usize> = None;
    for line in lines {
        let mut rest = line.code.as_str();
        if inside.is_none() {
            let attribute = ["#[cfg(test)]", "#[cfg(all(test"]
                .into_iter()
                .find_map(|start| line.code.split_once(start));
            let Some((_, after)) = attribute else { continue };
            rest = after;
            inside = Some(0);
        }
        line.in_test = true;
        for c in rest.chars() {
            let depth = inside.unwrap_or(0);
            match c {
                '{' | '(' | '[' => inside = Some(depth + 1),
                '}' if depth <= 1 => inside = None,
                '}' | ')' | ']' => inside = Some(depth.saturating_sub(1)),
                ';' if depth == 0 => inside = None,
                _ => {}
            }
            if inside.is_none() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{has_word, read};

    fn code(text: &str) -> Vec<String> {
        read(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        for (text, expect) in [
            ("a // b", "a "),
            ("a /* b /* c */ d */ e", "a  e"),
            (r#"f("a // \" b", c)"#, "f(\"\", c)"),
            (r##"f(r#"a " b"#, c)"##, "f(r#\"\"#, c)"),
            (r#"f(br"a\", c)"#, "f(br\"\", c)"),
            (r#"var"x""#, "var\"\""),
            ("r#type", "r#type"),
            ("f('\"', '\\'', '\\u{1f600}', b'x')", "f('', '', '', b'')"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("\"open", "\""),
        ] {
            assert_eq!(code(text), [expect], "{text}");
        }
        assert_eq!(code("\"a\nb\" c\n/* d\n*/ e"), ["\"", "\" c", "", " e"]);
        assert_eq!(read("x(\"abc\")")[0].literal, 3);
    }

    #[test]
    fn words_have_ends() {
        for (code, word, expect) in [
            ("std::fs::read()", "std::fs", true),
            ("std::fsx", "std::fs", false),
            ("my_std::fs", "std::fs", false),
            ("unsafe_code unsafe {", "unsafe", true),
            ("unsafe_code", "unsafe", false),
            ("tokio::spawn", "tokio::", true),
            ("x.await", "await", true),
        ] {
            assert_eq!(has_word(code, word), expect, "{code}");
        }
    }

    #[test]
    fn test_code_is_marked() {
        for (text, expect) in [
            ("a\n#[cfg(test)]\nmod tests {\n fn f() { }\n}\nb", &[2, 3, 4, 5][..]),
            ("#[cfg(test)]\nuse x;\nb", &[1, 2]),
            ("#[cfg(test)] mod y;\nb", &[1]),
            ("#[cfg(test)]\n#[allow(x)]\nfn f(a: [u8; 4]) -> [u8; 4] {\n}\nb", &[1, 2, 3, 4]),
            ("#[cfg(all(test, unix))]\nmod y {\n}\nb", &[1, 2, 3]),
            ("#[cfg(not(test))]\nmod y {\n}", &[]),
        ] {
            let lines = read(text);
            let marked = lines.iter().enumerate().filter(|(_, line)| line.in_test);
            let marked: Vec<usize> = marked.map(|(i, _)| i + 1).collect();
            assert_eq!(marked, expect, "{text}");
        }
    }
}
