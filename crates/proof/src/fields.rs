//! Strict reading of JSON objects of signed types: exactly the members that are named, each of its
//! form. Unknown means no: a member that we do not know is refused, never skipped, because what one
//! reader skips another may believe.

use crate::digest::{from_hex, hex, to_hex};
use crate::json::{Json, Object};
use crate::text64;
use std::fmt;

/// The longest identifier (DID, IRI, origin) in a signed type, in bytes.
pub const MAX_TEXT_BYTES: usize = 2048;

/// Why a JSON value is not of the form that its type has: one sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// The members of one object, read by name.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    what: &'static str,
    map: &'a Object,
}

impl<'a> Members<'a> {
    /// The members of `json`, which must be an object with exactly these names.
    pub(crate) fn of(
        what: &'static str,
        json: &'a Json,
        names: &[&str],
    ) -> Result<Self, Malformed> {
        let Json::Object(map) = json else {
            return Err(Malformed(format!("{what} is not a JSON object")));
        };
        if let Some(unknown) = map.keys().find(|key| !names.contains(key)) {
            return Err(Malformed(format!("{what} has an unknown member {}", shown(unknown))));
        }
        if let Some(missing) = names.iter().find(|name| map.get(name).is_none()) {
            return Err(Malformed(format!("{what} has no member {missing}")));
        }
        Ok(Members { what, map })
    }

    /// The member itself.
    pub(crate) fn json(&self, name: &str) -> Result<&'a Json, Malformed> {
        self.map.get(name).ok_or_else(|| Malformed(format!("{} has no member {name}", self.what)))
    }

    /// A text of at most `max` bytes with at least one.
    pub(crate) fn text(&self, name: &str, max: usize) -> Result<&'a str, Malformed> {
        let text = self.json(name)?.as_text().filter(|t| !t.is_empty() && t.len() <= max);
        text.ok_or_else(|| self.wrong(name, &format!("a text of 1 to {max} bytes")))
    }

    /// Exactly this text.
    pub(crate) fn constant(&self, name: &str, expect: &str) -> Result<(), Malformed> {
        let same = self.json(name)?.as_text() == Some(expect);
        if same { Ok(()) } else { Err(self.wrong(name, &format!("{expect:?}"))) }
    }

    /// A decentralised identifier.
    pub(crate) fn did(&self, name: &str) -> Result<String, Malformed> {
        let text = self.text(name, MAX_TEXT_BYTES)?;
        if is_did(text) { Ok(text.to_owned()) } else { Err(self.wrong(name, "a DID")) }
    }

    /// A natural number or zero.
    pub(crate) fn uint(&self, name: &str) -> Result<u64, Malformed> {
        let value = self.json(name)?.as_int().and_then(|n| u64::try_from(n).ok());
        value.ok_or_else(|| self.wrong(name, "a natural number"))
    }

    /// A time in microseconds since 1970.
    pub(crate) fn time(&self, name: &str) -> Result<i64, Malformed> {
        self.json(name)?.as_int().ok_or_else(|| self.wrong(name, "a time in microseconds"))
    }

    /// A time, or `null` for none.
    pub(crate) fn time_or_null(&self, name: &str) -> Result<Option<i64>, Malformed> {
        match self.json(name)? {
            Json::Null => Ok(None),
            _ => self.time(name).map(Some),
        }
    }

    /// Lower-case hex of exactly `N` bytes.
    pub(crate) fn hex<const N: usize>(&self, name: &str) -> Result<[u8; N], Malformed> {
        let bytes = self.json(name)?.as_text().and_then(from_hex::<N>);
        bytes.ok_or_else(|| self.wrong(name, &format!("lower-case hex of {N} bytes")))
    }

    /// An array of such hex, of at most `max` items.
    pub(crate) fn hex_list<const N: usize>(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Vec<[u8; N]>, Malformed> {
        let items = self.list(name, max)?.iter().map(|item| item.as_text().and_then(from_hex::<N>));
        items
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.wrong(name, &format!("a list of lower-case hex of {N} bytes")))
    }

    /// Base64 of at most `max` bytes with at least one.
    pub(crate) fn base64(&self, name: &str, max: usize) -> Result<Vec<u8>, Malformed> {
        let bytes = self.json(name)?.as_text().and_then(text64::decode);
        bytes
            .filter(|b| !b.is_empty() && b.len() <= max)
            .ok_or_else(|| self.wrong(name, &format!("base64 of 1 to {max} bytes")))
    }

    /// An array of at most `max` items.
    pub(crate) fn list(&self, name: &str, max: usize) -> Result<&'a [Json], Malformed> {
        let items = self.json(name)?.as_array().filter(|items| items.len() <= max);
        items.ok_or_else(|| self.wrong(name, &format!("a list of at most {max} items")))
    }

    /// That the member is not what it must be.
    pub(crate) fn wrong(&self, name: &str, expect: &str) -> Malformed {
        Malformed(format!("{} has a member {name} that is not {expect}", self.what))
    }
}

/// Lower-case hex as JSON.
pub(crate) fn hex_json(bytes: &[u8]) -> Json {
    // Most are digests: as a text they are made where they stay.
    let mut room = [0u8; 64];
    let text = room.get_mut(..2 * bytes.len()).and_then(|room| {
        room.iter_mut().zip(hex(bytes)).for_each(|(to, digit)| *to = digit);
        std::str::from_utf8(room).ok()
    });
    text.map_or_else(|| Json::text(to_hex(bytes)), Json::text)
}

/// A list of hex as JSON.
pub(crate) fn hex_list_json<const N: usize>(items: &[[u8; N]]) -> Json {
    Json::Array(items.iter().map(|item| hex_json(item)).collect())
}

/// A number as JSON. One beyond 2^53 − 1 becomes an integer that every reader refuses: nothing that
/// we count gets there.
pub(crate) fn uint_json(value: u64) -> Json {
    Json::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A time or `null` as JSON.
pub(crate) fn time_json(time: Option<i64>) -> Json {
    time.map_or(Json::Null, Json::Int)
}

/// `did:method:id` (W3C DID Core §3.1) of at most [`MAX_TEXT_BYTES`].
pub(crate) fn is_did(text: &str) -> bool {
    if text.len() > MAX_TEXT_BYTES {
        return false;
    }
    let mut parts = text.splitn(3, ':');
    let (scheme, method, id) = (parts.next(), parts.next(), parts.next());
    let plain = |part: Option<&str>, allowed: fn(char) -> bool| {
        part.is_some_and(|p| !p.is_empty() && p.chars().all(allowed))
    };
    scheme == Some("did")
        && plain(method, |c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && plain(id, |c| c.is_ascii_alphanumeric() || ".-_:%".contains(c))
}

/// Text of a stranger, fit for a terminal and a log line: at most 200 characters, with controls and
/// direction marks written out.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == 200 {
            out.push('…');
            break;
        }
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT_BYTES, Members, is_did, shown};
    use crate::json::Json;

    #[test]
    fn objects_have_exactly_their_members() {
        let check = |text: &str, expect: Option<&str>| {
            let json = Json::parse(text.as_bytes()).unwrap();
            let got = Members::of("it", &json, &["a", "b"]).err().map(|e| e.0);
            assert_eq!(got.as_deref(), expect, "{text}");
        };
        check(r#"{"a":1,"b":2}"#, None);
        check(r#"{"a":1}"#, Some("it has no member b"));
        check(r#"{"a":1,"b":2,"c":3}"#, Some("it has an unknown member c"));
        check("[]", Some("it is not a JSON object"));
    }

    #[test]
    fn texts_have_a_bound() {
        let text = |n: usize| Json::object([("a", Json::text("x".repeat(n)))]);
        let long = |n: usize| {
            let json = text(n);
            Members::of("it", &json, &["a"]).unwrap().text("a", MAX_TEXT_BYTES).is_ok()
        };
        assert!(long(1) && long(MAX_TEXT_BYTES));
        assert!(!long(0) && !long(MAX_TEXT_BYTES + 1));
    }

    #[test]
    fn dids() {
        for (text, ok) in [
            ("did:web:operator.example", true),
            ("did:web:localhost%3A8080:x", true),
            ("did:web:", false),
            ("did:WEB:x", false),
            ("web:x:y", false),
            ("did:web:a/b", false),
        ] {
            assert_eq!(is_did(text), ok, "{text}");
        }
        let of_size = |n: usize| is_did(&format!("did:x:{}", "a".repeat(n - 6)));
        assert!(of_size(MAX_TEXT_BYTES) && !of_size(MAX_TEXT_BYTES + 1));
    }

    #[test]
    fn the_text_of_a_stranger_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2J\u{202e}é"), "a\\u{1b}[2J\\u{202e}é");
        assert_eq!(shown(&"x".repeat(300)).chars().count(), 201);
    }
}
