//! JSON for signed types: parsed strictly, written canonically (RFC 8785).
//!
//! Signed types have no fractions, and integers only within ±(2^53−1), because elsewhere two
//! readers of the same bytes see two numbers. A key that stands twice, depth beyond [`MAX_DEPTH`]
//! and text that is not UTF-8 are refused for the same reason.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use smol_str::SmolStr;
use std::fmt;
use std::sync::Arc;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 32;
/// The largest integer that every JSON reader sees alike: 2^53 − 1.
pub const MAX_INT: i64 = 9_007_199_254_740_991;

/// A JSON value of a signed type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer within ±(2^53−1).
    Int(i64),
    /// A text.
    Text(SmolStr),
    /// An array.
    Array(Vec<Json>),
    /// An object; each key once.
    Object(Object),
}

/// A member of an object: its key and its value.
pub type Member = (SmolStr, Json);

/// The members of an object, sorted by the bytes of their keys, each key once. Clones share them:
/// terms and decisions go from document to document as they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Object(Arc<[Member]>);

impl Object {
    /// The members in any order; or the key that stands twice.
    fn new(mut members: Vec<Member>) -> Result<Object, SmolStr> {
        // A canonical form is sorted already.
        if !members.is_sorted_by(|(one, _), (next, _)| one < next) {
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            let twice = members.windows(2).find_map(|pair| match pair {
                [(one, _), (next, _)] if one == next => Some(one.clone()),
                _ => None,
            });
            if let Some(key) = twice {
                return Err(key);
            }
        }
        Ok(Object(members.into()))
    }

    /// The value of that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        let at = self.0.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Keys and values, sorted by the bytes of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&SmolStr, &Json)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys, sorted by their bytes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &Json> {
        self.0.iter().map(|(_, value)| value)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Of a key that comes twice, the last one counts.
impl<K: Into<SmolStr>> FromIterator<(K, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(members: I) -> Object {
        let mut members: Vec<Member> = members.into_iter().map(|(k, v)| (k.into(), v)).collect();
        if !members.is_sorted_by(|(one, _), (next, _)| one < next) {
            // The last of each key comes first, and stays.
            members.reverse();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            members.dedup_by(|(later, _), (first, _)| later == first);
        }
        Object(members.into())
    }
}

/// Why bytes are not such a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError(pub String);

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JsonError {}

impl Json {
    /// The value of these bytes.
    ///
    /// # Errors
    /// When they are not JSON, or hold a fraction, an integer beyond ±(2^53−1), a key twice, or
    /// more than [`MAX_DEPTH`] levels.
    pub fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
        let json: Json = serde_json::from_slice(bytes).map_err(|e| JsonError(e.to_string()))?;
        if json.depth() > MAX_DEPTH {
            return Err(JsonError(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(json)
    }

    /// The value of these bytes, which must be its canonical form to the byte.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when the bytes are another form of the same value.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Json, JsonError> {
        let json = Json::parse(bytes)?;
        let mut canonical = String::with_capacity(bytes.len());
        json.write(&mut canonical);
        if canonical.as_bytes() == bytes {
            Ok(json)
        } else {
            Err(JsonError("not in canonical form (RFC 8785)".to_owned()))
        }
    }

    /// The canonical form: keys sorted by UTF-16 code units, no white space, shortest escapes.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::with_capacity(self.room());
        self.write(&mut out);
        out
    }

    /// About how many bytes its form has: no fewer as long as nothing is escaped.
    fn room(&self) -> usize {
        match self {
            Json::Null => 4,
            Json::Bool(_) => 5,
            Json::Int(n) => 2 + n.unsigned_abs().checked_ilog10().unwrap_or(0) as usize,
            Json::Text(text) => 2 + text.len(),
            Json::Array(items) => items.iter().map(|item| 1 + item.room()).sum::<usize>() + 2,
            Json::Object(members) => {
                members.iter().map(|(key, value)| 4 + key.len() + value.room()).sum::<usize>() + 2
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Int(n) => write_int(*n, out),
            Json::Text(text) => write_text(text, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            // Below U+E000 the order of bytes, which they have, is that of UTF-16 too.
            Json::Object(members) if members.keys().all(str::is_ascii) => {
                write_object(members.iter(), out);
            }
            Json::Object(members) => {
                let mut sorted: Vec<(&SmolStr, &Json)> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                write_object(sorted.into_iter(), out);
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Json::Array(items) => 1 + items.iter().map(Json::depth).max().unwrap_or(0),
            Json::Object(members) => 1 + members.values().map(Json::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// An object of these members.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
        Json::Object(members.into_iter().collect())
    }

    /// A text.
    pub fn text(text: impl Into<SmolStr>) -> Json {
        Json::Text(text.into())
    }

    /// An array of texts.
    pub fn texts<T: Into<SmolStr>>(texts: impl IntoIterator<Item = T>) -> Json {
        Json::Array(texts.into_iter().map(Json::text).collect())
    }

    /// The member of that name, of an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.get(key),
            _ => None,
        }
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, when it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Json::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The items, when it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }
}

fn write_object<'a>(members: impl Iterator<Item = (&'a SmolStr, &'a Json)>, out: &mut String) {
    out.push('{');
    for (i, (key, value)) in members.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

fn write_int(n: i64, out: &mut String) {
    // A text takes whatever is written.
    let _ = fmt::Write::write_fmt(out, format_args!("{n}"));
}

fn write_text(text: &str, out: &mut String) {
    let is_escaped = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    out.push('"');
    let mut rest = text;
    // Nearly all texts are plain; to look at all bytes without stopping takes a fraction as long.
    if !text.bytes().fold(false, |any, b| any | is_escaped(b)) {
        out.push_str(text);
        rest = "";
    }
    // What is escaped is ASCII, so that each part begins and ends with whole characters.
    while let Some(at) = rest.bytes().position(is_escaped) {
        let (plain, escaped) = rest.split_at(at);
        out.push_str(plain);
        let mut escaped = escaped.chars();
        escaped.next().into_iter().for_each(|c| write_escaped(c, out));
        rest = escaped.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn write_escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        if (-MAX_INT..=MAX_INT).contains(&value) {
            Ok(Json::Int(value))
        } else {
            Err(E::custom(format!("the integer {value} is beyond ±(2^53−1)")))
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        Err(E::custom(format!("the number {value} is not an integer")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element()? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut out = Vec::new();
        while let Some(member) = members.next_entry()? {
            out.push(member);
        }
        let twice = |key| A::Error::custom(format!("the key {key:?} stands twice"));
        Object::new(out).map(Json::Object).map_err(twice)
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, MAX_DEPTH};
    use proptest::prelude::*;

    #[test]
    fn the_canonical_form() {
        for (text, expect) in [
            (r#"{ "b" : 1, "a" : [ true, null ] }"#, Some(r#"{"a":[true,null],"b":1}"#)),
            // UTF-16 order: the surrogate pair of U+1F600 sorts before U+FB33.
            ("{\"\u{fb33}\":1,\"\u{1f600}\":2}", Some("{\"\u{1f600}\":2,\"\u{fb33}\":1}")),
            (r#""\u0041\/\u000a\u001f""#, Some("\"A/\\n\\u001f\"")),
            ("9007199254740991", Some("9007199254740991")),
            ("9007199254740992", None),
            ("-9007199254740992", None),
            ("1.0", None),
            ("1e2", None),
            (r#"{"a":1,"a":2}"#, None),
            (r#"{"a":1,"\u0061":2}"#, None),
            (r#"{"b":1,"a":1,"b":2,"a":2}"#, None),
            (r#"{"a":{"c":1,"b":1,"c":1}}"#, None),
            ("[1] x", None),
            ("", None),
            ("\"\\ud800\"", None),
        ] {
            let got = Json::parse(text.as_bytes()).ok().map(|j| j.canonical());
            assert_eq!(got.as_deref(), expect, "{text}");
        }
        assert!(Json::parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(Json::parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(Json::parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn of_a_key_that_is_given_twice_the_last_counts() {
        let object = Json::object([("b", 1), ("a", 2), ("b", 3)].map(|(k, n)| (k, Json::Int(n))));
        assert_eq!(object.canonical(), r#"{"a":2,"b":3}"#);
        assert_eq!((object.get("a"), object.get("c")), (Some(&Json::Int(2)), None));
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            (-super::MAX_INT..=super::MAX_INT).prop_map(Json::Int),
            any::<String>().prop_map(Json::text),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                proptest::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_read_back(json in any_json()) {
            let bytes = json.canonical();
            prop_assert_eq!(Json::parse_canonical(bytes.as_bytes()).ok(), Some(json));
        }
    }
}
