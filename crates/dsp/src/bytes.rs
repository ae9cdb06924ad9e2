//! JSON as it comes off the wire: read within bounds, each key once.
//!
//! Fractions are allowed, since policies of others may hold them. A key that stands twice is
//! refused, because two readers of the same bytes would see two messages.

use crate::rejected::Rejected;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};
use std::fmt;

/// The largest message that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The largest catalogue that is read as an answer to our own request, in bytes.
pub const MAX_CATALOG_BYTES: usize = 16 << 20;
/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 32;

/// The JSON value of these bytes.
///
/// # Errors
/// `dsp.too_large` beyond `limit` bytes; `dsp.malformed` when they are not UTF-8 JSON, nest deeper
/// than [`MAX_DEPTH`] or hold a key twice.
pub(crate) fn read(bytes: &[u8], limit: usize) -> Result<Value, Rejected> {
    if bytes.len() > limit {
        return Err(Rejected::too_large(format!("the message has more than {limit} bytes")));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Depth(0)
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| Rejected::malformed(format!("not JSON that we read: {error}")))?;
    Ok(value)
}

/// Whether the value nests no deeper than [`MAX_DEPTH`].
pub(crate) fn shallow(value: &Value) -> bool {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|v| within(v, left - 1)),
            Value::Object(members) => left > 0 && members.values().all(|v| within(v, left - 1)),
            _ => true,
        }
    }
    within(value, MAX_DEPTH)
}

/// A value at so many levels below the root.
struct Depth(usize);

impl Depth {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.0 < MAX_DEPTH {
            Ok(self.0 + 1)
        } else {
            Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number without a finite value"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(Depth(depth))? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut out = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(Depth(depth))?;
            match out.entry(key) {
                Entry::Vacant(free) => free.insert(value),
                Entry::Occupied(taken) => {
                    let key = taken.key();
                    return Err(A::Error::custom(format!("the key {key:?} stands twice")));
                }
            };
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, read, shallow};
    use serde_json::Value;

    #[test]
    fn bytes_are_read_within_bounds() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n)).into_bytes();
        for (bytes, ok) in [
            (br#"{"a":1.5,"b":[-1,18446744073709551615,true,null,"x"]}"#.to_vec(), true),
            (br#"{"a":1,"a":2}"#.to_vec(), false),
            (br#"{"x":{"a":1,"\u0061":2}}"#.to_vec(), false),
            (b"{} x".to_vec(), false),
            (b"".to_vec(), false),
            (b"\"\xff\"".to_vec(), false),
            (b"1e999".to_vec(), false),
            (nested(MAX_DEPTH), true),
            (nested(MAX_DEPTH + 1), false),
            (nested(200), false),
        ] {
            let got = read(&bytes, 1024);
            assert_eq!(got.is_ok(), ok, "{:?} {got:?}", String::from_utf8_lossy(&bytes));
        }
        assert!(read(b"[1]", 3).is_ok());
        assert_eq!(read(b"[1] ", 3).unwrap_err().code.name, "dsp.too_large");
    }

    #[test]
    fn values_are_shallow() {
        let mut value = Value::Null;
        for _ in 0..MAX_DEPTH {
            value = Value::Array(vec![value]);
        }
        assert!(shallow(&value));
        assert!(!shallow(&Value::Array(vec![value])));
    }
}
