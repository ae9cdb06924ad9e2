//! The body of `POST /ingest` and its answer: what node and command line share.
//!
//! JSON (RFC 8259), strict: a key that is unknown or stands twice is refused, and a batch is
//! well-formed as a whole or refused as a whole. Whether a value fits its attribute is another
//! question, answered observation by observation in the [`IngestReport`].

use crate::csv::{MAX_ID_BYTES, Observation};
use crate::toml_file::{brief, did_you_mean};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;
use twinpact_model::link::Predicate;
use twinpact_model::type_model::MAX_MODEL_ATTRIBUTES;
use twinpact_model::{Iri, ModelRef, Problem, SmolStr, Timestamp, codes};

/// The most observations of one batch.
pub const MAX_BATCH_OBSERVATIONS: usize = 1_000;
/// The most changes of links of one batch.
pub const MAX_BATCH_LINKS: usize = 1_000;
/// The longest body, in bytes.
pub const MAX_BATCH_BYTES: usize = 8 << 20;

const BATCH_KEYS: &[&str] = &["source", "model", "observations", "links"];
const OBSERVATION_KEYS: &[&str] = &["id", "twin", "time", "values"];
const LINK_KEYS: &[&str] = &["from", "predicate", "to", "retract"];

/// Observations of one source for one type model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestBatch {
    /// The source; with the id it makes an observation the same one again.
    pub source: Iri,
    /// The version of the type model that the values are checked against.
    pub model: ModelRef,
    /// The observations, [`MAX_BATCH_OBSERVATIONS`] at most. Those that share an id are a multiset.
    pub observations: Vec<IngestObservation>,
    /// Changes of links, [`MAX_BATCH_LINKS`] at most; they may name twins that the observations
    /// make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<IngestLink>,
}

/// A link that a batch sets or retracts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestLink {
    /// The part, the dependent, the derived, the contained.
    pub from: Iri,
    /// What it is to the other.
    pub predicate: Predicate,
    /// The other.
    pub to: Iri,
    /// Whether it does not stand any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retract: bool,
}

/// One observation of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestObservation {
    /// The id at the source, 1 to [`MAX_ID_BYTES`] bytes.
    pub id: String,
    /// The twin.
    pub twin: Iri,
    /// From when it was true in the world, RFC 3339 with offset.
    pub time: Timestamp,
    /// Attribute and lexical value, by attribute, at least one; an object of texts in the body.
    #[serde(serialize_with = "as_object", deserialize_with = "values_once")]
    pub values: Vec<(SmolStr, SmolStr)>,
}

/// What became of a batch: each observation is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestReport {
    /// Recorded for the first time.
    pub new: u64,
    /// Known with the same values; nothing was recorded.
    pub duplicate: u64,
    /// Known with other values; recorded as a correction.
    pub corrected: u64,
    /// Not recorded.
    pub refused: Vec<Refused>,
    /// Instants of a twin for which several observations of one id were taken; none was lost.
    pub colliding: u64,
    /// These instants.
    pub collisions: Vec<Collision>,
    /// What became of its links, when it had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<LinkReport>,
}

/// What became of the links of a batch: each is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkReport {
    /// Set or retracted.
    pub changed: u64,
    /// It was so already.
    pub known: u64,
    /// Not changed; `index` is the place among the links.
    pub refused: Vec<Refused>,
}

/// An instant for which several observations of one id were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collision {
    /// The twin.
    pub twin: String,
    /// The instant.
    pub time: Timestamp,
    /// How many observations there are of it, 2 at least.
    pub rows: u64,
}

/// One observation that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The line of the file; only the one who read the file knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Its place in the batch that was sent, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The id at the source; empty when there is none.
    pub id: String,
    /// The code's name, for example `twin.value`.
    pub code: String,
    /// One sentence about why.
    pub reason: String,
}

impl IngestBatch {
    /// A batch of what was read from a file.
    #[must_use]
    pub fn new(source: Iri, model: ModelRef, observations: Vec<Observation>) -> Self {
        let observations = observations.into_iter().map(IngestObservation::from).collect();
        IngestBatch { source, model, observations, links: Vec::new() }
    }

    /// The body that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        // Texts and objects of texts: to write them into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The batch of that body.
    ///
    /// # Errors
    /// `input.too_large` beyond a bound; `input.unknown_key`; `input.malformed` when it is not of
    /// the form, with line and column.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.len() > MAX_BATCH_BYTES {
            return Err(Problem::new(
                codes::INPUT_TOO_LARGE,
                format!("the body has {} bytes; {MAX_BATCH_BYTES} are possible", body.len()),
            ));
        }
        let batch: IngestBatch = serde_json::from_slice(body).map_err(|error| {
            unknown_key(body)
                .unwrap_or_else(|| Problem::new(codes::INPUT_MALFORMED, error.to_string()))
        })?;
        batch.check().map(|()| batch)
    }

    /// The bounds and rules that hold for every batch, however it was made.
    ///
    /// # Errors
    /// `input.too_large` or `input.malformed`.
    pub fn check(&self) -> Result<(), Problem> {
        let n = self.observations.len();
        if n > MAX_BATCH_OBSERVATIONS {
            return Err(Problem::new(
                codes::INPUT_TOO_LARGE,
                format!("the batch has {n} observations; {MAX_BATCH_OBSERVATIONS} are possible"),
            ));
        }
        let n = self.links.len();
        if n > MAX_BATCH_LINKS {
            return Err(Problem::new(
                codes::INPUT_TOO_LARGE,
                format!("the batch has {n} links; {MAX_BATCH_LINKS} are possible"),
            ));
        }
        self.observations.iter().try_for_each(IngestObservation::check)
    }
}

impl IngestObservation {
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.id.is_empty() || self.id.len() > MAX_ID_BYTES {
            return Err(Problem::new(
                if self.id.is_empty() { codes::INPUT_MALFORMED } else { codes::INPUT_TOO_LARGE },
                format!("an id has {} bytes; 1 to {MAX_ID_BYTES} are possible", self.id.len()),
            ));
        }
        let n = self.values.len();
        if n == 0 || n > MAX_MODEL_ATTRIBUTES {
            let why = format!(
                "{} has {n} values; 1 to {MAX_MODEL_ATTRIBUTES} are possible",
                brief(&self.id)
            );
            let code = if n == 0 { codes::INPUT_MALFORMED } else { codes::INPUT_TOO_LARGE };
            return Err(Problem::new(code, why));
        }
        Ok(())
    }
}

impl From<Observation> for IngestObservation {
    fn from(row: Observation) -> Self {
        let Observation { id, twin, phen_start, mut values, .. } = row;
        values.sort_unstable();
        IngestObservation { id, twin, time: phen_start, values }
    }
}

impl IngestReport {
    /// Puts the line of each refusal in place of its index among the rows that were sent.
    pub fn with_lines(mut self, sent: &[Observation]) -> Self {
        for refused in &mut self.refused {
            let place = refused.index.take().and_then(|index| usize::try_from(index).ok());
            refused.line = place.and_then(|place| sent.get(place)).map(|row| row.line);
        }
        self
    }
}

/// How many bytes the observation takes in a body.
pub(crate) fn wire_bytes(row: &Observation) -> usize {
    let frame = r#"{"id":,"twin":,"time":,"values":{}}"#.len();
    let values: usize = row.values.iter().map(|(k, v)| text_bytes(k) + text_bytes(v) + 1).sum();
    frame
        + text_bytes(&row.id)
        + text_bytes(row.twin.as_str())
        + text_bytes(&row.phen_start.to_string())
        + values
        + row.values.len().saturating_sub(1)
}

fn text_bytes(text: &str) -> usize {
    let escaped = |b: u8| match b {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

/// The first key of a body that is unknown where it stands; read only once the body is refused.
fn unknown_key(body: &[u8]) -> Option<Problem> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let of = |value: &Value, known: &'static [&'static str]| {
        let key = value.as_object()?.keys().find(|key| !known.contains(&key.as_str()))?;
        let why = format!("unknown key {:?}", brief(key));
        let hint = did_you_mean(key, known.iter().copied())
            .unwrap_or_else(|| format!("the keys here are {}", known.join(", ")));
        Some(Problem::new(codes::INPUT_UNKNOWN_KEY, why).hint(hint))
    };
    of(&value, BATCH_KEYS).or_else(|| {
        let items = |name: &str| value.get(name).and_then(Value::as_array).into_iter().flatten();
        items("observations")
            .find_map(|observation| of(observation, OBSERVATION_KEYS))
            .or_else(|| items("links").find_map(|link| of(link, LINK_KEYS)))
    })
}

fn as_object<S: Serializer>(values: &[(SmolStr, SmolStr)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(values.iter().map(|(name, lexical)| (name, lexical)))
}

fn values_once<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(SmolStr, SmolStr)>, D::Error> {
    once(from, "an object of texts")
}

/// An object whose keys stand once, by key; serde alone would keep the last of two.
pub(crate) fn once<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
    expected: &'static str,
) -> Result<Vec<(SmolStr, V)>, D::Error> {
    struct Once<V>(&'static str, PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Once<V> {
        type Value = Vec<(SmolStr, V)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut values: Vec<(SmolStr, V)> = Vec::new();
            while let Some((name, value)) = members.next_entry::<SmolStr, V>()? {
                values.push((name, value));
            }
            // Nearly always they came in order.
            values.sort_by(|(one, _), (other, _)| one.cmp(other));
            let twice = values.windows(2).find_map(|pair| match pair {
                [(one, _), (other, _)] if one == other => Some(one),
                _ => None,
            });
            match twice {
                Some(name) => Err(A::Error::custom(format!("{:?} stands twice", brief(name)))),
                None => Ok(values),
            }
        }
    }
    from.deserialize_map(Once(expected, PhantomData))
}

#[cfg(test)]
mod tests {
    use super::{IngestBatch, IngestReport, MAX_BATCH_BYTES, MAX_BATCH_OBSERVATIONS, Refused};
    use super::{IngestObservation, wire_bytes};
    use super::{MAX_BATCH_LINKS, Predicate};
    use crate::csv::{MAX_ID_BYTES, Observation};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use twinpact_model::{Iri, Timestamp};

    fn body() -> Value {
        json!({
            "source": "urn:source:farm",
            "model": "wind-turbine@1",
            "observations": [{
                "id": "[\"R1\",\"x\"]",
                "twin": "urn:turbine:R1",
                "time": "2015-07-26T04:00:00+02:00",
                "values": { "power": "514.240" },
            }],
        })
    }

    fn row(line: u64, id: &str) -> Observation {
        Observation {
            line,
            source: Iri::new("urn:source:farm").unwrap(),
            id: id.to_owned(),
            twin: Iri::new("urn:turbine:R1").unwrap(),
            phen_start: Timestamp::from_micros(1),
            values: vec![("power".into(), "1".into())],
        }
    }

    fn code(body: &Value) -> Option<&'static str> {
        IngestBatch::parse(body.to_string().as_bytes()).err().map(|p| p.code.name)
    }

    #[test]
    fn a_body_reads_as_it_was_written() {
        let batch = IngestBatch::parse(body().to_string().as_bytes()).unwrap();
        assert_eq!(batch.observations[0].values, [("power".into(), "514.240".into())]);
        assert_eq!(batch.observations[0].time.to_string(), "2015-07-26T02:00:00Z");
        assert_eq!(IngestBatch::parse(&batch.to_body()), Ok(batch));
    }

    #[test]
    fn bodies_that_are_refused() {
        let check = |path: &str, value: Value, expect: &str| {
            let mut body = body();
            *body.pointer_mut(path).unwrap() = value;
            assert_eq!(code(&body), Some(expect), "{path}");
        };
        let bad = "input.malformed";
        check("/source", json!("farm"), bad);
        check("/model", json!("wind-turbine"), bad);
        check("/observations", json!({}), bad);
        check("/observations/0/twin", json!("R1"), bad);
        check("/observations/0/time", json!("2015-07-26T04:00:00"), bad);
        check("/observations/0/values", json!({}), bad);
        check("/observations/0/values/power", json!(514.24), bad);
        check("/observations/0/id", json!(""), bad);
        check("/observations/0", json!({ "id": "x" }), bad);
        let text = body().to_string();
        for (from, to, expect, hint) in [
            ("\"source\"", "\"sources\"", "input.unknown_key", "did you mean \"source\"?"),
            ("\"values\"", "\"valeus\"", "input.unknown_key", "did you mean \"values\"?"),
            ("\"power\":", "\"power\":\"1\",\"power\":", bad, ""),
            ("\"id\":", "\"id\":\"1\",\"id\":", bad, ""),
            ("{", "", bad, ""),
        ] {
            let problem = IngestBatch::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!(problem.code.name, expect, "{to}");
            assert_eq!(problem.hint.as_deref().unwrap_or_default(), hint);
        }
    }

    #[test]
    fn a_batch_has_links() {
        let with = |links: Value| {
            let mut body = body();
            body["links"] = links;
            body
        };
        let link = json!({ "from": "urn:a", "predicate": "part-of", "to": "urn:b" });
        let batch = IngestBatch::parse(with(json!([link])).to_string().as_bytes()).unwrap();
        assert_eq!((batch.links[0].predicate, batch.links[0].retract), (Predicate::PartOf, false));
        assert!(!serde_json::to_string(&batch).unwrap().contains("retract"));
        let check = |key: &str, value: Value, expect: Option<&str>| {
            let mut link = link.clone();
            link[key] = value;
            assert_eq!(code(&with(json!([link]))), expect, "{key}");
        };
        check("retract", json!(true), None);
        check("predicate", json!("https://w3id.org/twinpact/link/located-in"), None);
        check("predicate", json!("has-part"), Some("input.malformed"));
        check("to", json!("b"), Some("input.malformed"));
        check("two", json!("urn:b"), Some("input.unknown_key"));
        let many = |n: usize| code(&with(Value::from(vec![link.clone(); n])));
        assert_eq!((many(MAX_BATCH_LINKS), many(MAX_BATCH_LINKS + 1)), (None, large()));
    }

    fn large() -> Option<&'static str> {
        Some("input.too_large")
    }

    #[test]
    fn a_batch_has_bounds() {
        let large = large();
        let observation = body()["observations"][0].clone();
        let many = |n: usize| {
            let mut body = body();
            body["observations"] = Value::from(vec![observation.clone(); n]);
            code(&body)
        };
        assert_eq!((many(MAX_BATCH_OBSERVATIONS), many(MAX_BATCH_OBSERVATIONS + 1)), (None, large));
        let id = |n: usize| {
            let mut body = body();
            body["observations"][0]["id"] = json!("x".repeat(n));
            code(&body)
        };
        assert_eq!((id(MAX_ID_BYTES), id(MAX_ID_BYTES + 1)), (None, large));
        let values = |n: usize| {
            let mut body = body();
            body["observations"][0]["values"] = (0..n).map(|i| (format!("a{i}"), "1")).collect();
            code(&body)
        };
        assert_eq!((values(29), values(30)), (None, large));
        let long = |n: usize| {
            let text = body().to_string();
            let padded = format!("{text}{}", " ".repeat(n - text.len()));
            IngestBatch::parse(padded.as_bytes()).err().map(|p| p.code.name)
        };
        assert_eq!((long(MAX_BATCH_BYTES), long(MAX_BATCH_BYTES + 1)), (None, large));
    }

    #[test]
    fn a_report_learns_its_lines() {
        let refused = |id: &str, index: u64| Refused {
            line: None,
            index: Some(index),
            id: id.to_owned(),
            code: "twin.value".to_owned(),
            reason: "x".to_owned(),
        };
        let report = IngestReport {
            refused: vec![refused("a", 0), refused("b", 2), refused("c", 3)],
            ..IngestReport::default()
        };
        let report = report.with_lines(&[row(2, "a"), row(3, "b"), row(4, "b")]);
        let lines: Vec<_> = report.refused.iter().map(|r| (r.line, r.index)).collect();
        assert_eq!(lines, [(Some(2), None), (Some(4), None), (None, None)]);
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains(r#"{"line":2,"id":"a""#) && text.contains(r#"{"id":"c""#), "{text}");
        assert_eq!(serde_json::from_str::<IngestReport>(&text).unwrap(), report);
        assert!(serde_json::from_str::<IngestReport>(&text.replace("new", "fresh")).is_err());
    }

    proptest! {
        #[test]
        fn bytes_are_counted_as_written(
            id in any::<String>(),
            values in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
            micros in any::<i64>(),
        ) {
            let phen_start = Timestamp::from_micros(micros);
            let values = values.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
            let row = Observation { phen_start, values, ..row(1, &id) };
            let bytes = wire_bytes(&row);
            let written = serde_json::to_vec(&IngestObservation::from(row)).unwrap();
            prop_assert_eq!(bytes, written.len());
        }
    }
}
