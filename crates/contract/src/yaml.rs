//! YAML 1.2 (core schema) as a tree in which every node knows where it stands.
//!
//! The part of YAML that reads one way only: one document, no anchors, aliases, tags or merge keys,
//! no key twice, keys are texts. Numbers stay as they were written. The bounds are [`MAX_BYTES`]
//! and [`MAX_DEPTH`].

use crate::diagnostic::{Diagnostic, Severity, Span};
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Number};
use twinpact_model::codes;

/// The largest document, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// How deep lists and maps may nest.
pub(crate) const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Its first line; a list or map has length 1.
    pub(crate) at: Span,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_at: Span,
    pub(crate) node: Node,
}

impl Node {
    /// The member of that name, when it is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|m| m.key == key).map(|m| &m.node)
    }

    /// The members; none when it is no map.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// The items; none when it is no list.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The same value as JSON. A number that JSON cannot write (`0x1f`, `.inf`) becomes its text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Number(text) => {
                text.parse::<Number>().map_or_else(|_| Json::String(text.clone()), Json::Number)
            }
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(members) => Json::Object(
                members.iter().map(|m| (m.key.clone(), m.node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node, Diagnostic> {
    let start = Span { line: 1, column: 1, length: 1 };
    if bytes.len() > MAX_BYTES {
        let why = format!("the document is larger than {MAX_BYTES} bytes");
        return Err(Diagnostic::new(Severity::Error, codes::CONTRACT_TOO_LARGE, start, why));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        refuse(Span { line, column: 1, length: 1 }, "the document is not UTF-8")
    })?;
    let mut events = Events { parser: Parser::new_from_str(text) };
    let root = loop {
        match events.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, _) => return Err(refuse(start, "the document is empty")),
            (event, at) => break events.node(event, at, 0)?,
        }
    };
    loop {
        match events.next()? {
            (Event::DocumentEnd, _) => {}
            (Event::StreamEnd, _) => return Ok(root),
            (_, at) => return Err(refuse(at, "a second document in one file")),
        }
    }
}

struct Events<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let one_line = span.start.line() == span.end.line();
                let length = if one_line { span.len() } else { 1 };
                let (line, column) = (span.start.line(), span.start.col() + 1);
                Ok((event, Span { line, column, length: length.max(1) }))
            }
            Some(Err(e)) => {
                let (line, column) = (e.marker().line().max(1), e.marker().col() + 1);
                Err(refuse(Span { line, column, length: 1 }, e.info()))
            }
            None => Ok((Event::StreamEnd, Span { line: 1, column: 1, length: 1 })),
        }
    }

    /// The node that begins with this event.
    fn node(&mut self, event: Event<'a>, at: Span, depth: usize) -> Result<Node, Diagnostic> {
        let plain = |anchor: usize, tagged: bool| match (anchor, tagged) {
            (0, false) => Ok(()),
            (0, true) => Err(refuse(at, "a tag; a contract has none")),
            _ => Err(refuse(at, "an anchor; write the value out at each place")),
        };
        if depth >= MAX_DEPTH && !matches!(event, Event::Scalar(..)) {
            let why = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Diagnostic::new(Severity::Error, codes::CONTRACT_TOO_LARGE, at, why));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                plain(anchor, tag.is_some())?;
                match style {
                    ScalarStyle::Plain => resolve(&text),
                    _ => Value::Text(text.into_owned()),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                Value::List(self.items(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                Value::Map(self.members(depth)?)
            }
            Event::Alias(_) => return Err(refuse(at, "an alias; write the value out")),
            _ => return Err(refuse(at, "a value is missing here")),
        };
        Ok(Node { at, value })
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member>, Diagnostic> {
        let mut members: Vec<Member> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let (key, key_at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(members),
                (Event::Scalar(text, _, 0, None), at) => (text.into_owned(), at),
                (_, at) => return Err(refuse(at, "a key that is not a plain text")),
            };
            if !seen.insert(key.clone()) {
                return Err(refuse(key_at, &format!("the key {key:?} stands twice")));
            }
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            members.push(Member { key, key_at, node });
        }
    }
}

/// A plain scalar by the core schema (YAML 1.2.2 §10.3.2).
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other if is_number(other) => Value::Number(other.to_owned()),
        other => Value::Text(other.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let special =
        [".inf", ".Inf", ".INF"].contains(&body) || [".nan", ".NaN", ".NAN"].contains(&text);
    let based = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    special || based("0o", 8) || based("0x", 16) || twinpact_model::Datatype::Double.accepts(text)
}

fn refuse(at: Span, why: &str) -> Diagnostic {
    Diagnostic::new(Severity::Error, codes::CONTRACT_MALFORMED, at, why)
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, MAX_DEPTH, parse};
    use serde_json::json;

    #[test]
    fn values_are_read_by_the_core_schema() {
        for (text, expect) in [
            (
                "a: 1\nb: [x, 'true', true, ~, 1.5, 0x1f]",
                json!({"a": 1, "b": ["x", "true", true, null, 1.5, "0x1f"]}),
            ),
            ("a: {b: c}\n", json!({"a": {"b": "c"}})),
            ("a: |\n  x\n  y\nb: >-\n  x\n  y", json!({"a": "x\ny\n", "b": "x y"})),
            (
                "a: yes\nv: 1.0.0\nd: 2026-01-01",
                json!({"a": "yes", "v": "1.0.0", "d": "2026-01-01"}),
            ),
            ("a:\nb: ''", json!({"a": null, "b": ""})),
            ("---\na: 1\n...\n", json!({"a": 1})),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_json(), expect, "{text}");
        }
    }

    #[test]
    fn what_reads_two_ways_is_refused_where_it_stands() {
        for (text, place) in [
            ("", (1, 1)),
            ("# nothing\n", (1, 1)),
            ("a: 1\nb: 2\na: 3", (3, 1)),
            ("a: &x 1", (1, 4)),
            ("a: *x", (1, 4)),
            ("a: !!str 1", (1, 4)),
            ("[a, b]: 1", (1, 1)),
            ("a: 1\n---\nb: 1", (2, 1)),
            ("a: [1, 2", (2, 1)),
            ("a: 'x", (1, 4)),
            ("a: b: c", (1, 5)),
        ] {
            let found = parse(text.as_bytes()).expect_err(text);
            assert_eq!(found.code.name, "contract.malformed", "{text}");
            assert_eq!((found.line, found.column), place, "{text}: {}", found.message);
        }
        assert_eq!(parse(b"a: 1\nb: \xff").unwrap_err().line, 2);
        let merge = parse(b"a: {<<: {b: 1}}").unwrap();
        assert_eq!(merge.to_json(), json!({"a": {"<<": {"b": 1}}}));
    }

    #[test]
    fn places_are_exact() {
        let root = parse("é: 1\nlist:\n  - name: power\n    unit: \"kW\"".as_bytes()).unwrap();
        let member = &root.members()[1];
        assert_eq!((member.key_at.line, member.key_at.column, member.key_at.length), (2, 1, 4));
        let item = &member.node.items()[0];
        assert_eq!((item.at.line, item.at.column), (3, 5));
        let name = item.get("name").unwrap();
        assert_eq!((name.at.line, name.at.column, name.at.length), (3, 11, 5));
        let unit = item.get("unit").unwrap();
        assert_eq!((unit.at.line, unit.at.column, unit.at.length), (4, 11, 4));
        assert_eq!((root.members()[0].node.at.column, root.members()[0].node.at.length), (4, 1));
    }

    #[test]
    fn bounds() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        for n in [MAX_DEPTH + 1, 100_000] {
            assert!(parse(nested(n).as_bytes()).is_err(), "{n}");
        }
        assert!(parse("- ".repeat(5_000).as_bytes()).is_err());
        let sized = |n: usize| format!("a: {}", "x".repeat(n - 3));
        assert!(parse(sized(MAX_BYTES).as_bytes()).is_ok());
        let found = parse(sized(MAX_BYTES + 1).as_bytes()).unwrap_err();
        assert_eq!(found.code.name, "contract.too_large");
    }
}
