//! CloudEvents 1.0.2 in JSON: one event (JSON Event Format §3) or a batch of them (§4).
//!
//! `source` and `id` make an event the same one again, `subject` is the twin, `time` is from when
//! it was true, and `data` is an object of its values. The model is in `dataschema` when that
//! begins with [`MODEL_SCHEMA`], else in `type`. An event that breaks a rule is refused by its
//! place; the others go on. Numbers keep the text in which they were written. Extension attributes
//! may be there and are not recorded.

use crate::batch::{
    IngestBatch, IngestObservation, MAX_BATCH_BYTES, MAX_BATCH_OBSERVATIONS, Refused, once,
};
use crate::toml_file::brief;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use twinpact_model::{Code, Iri, ModelRef, Problem, SmolStr, Timestamp, codes};

/// The media type of one event.
pub const EVENT_TYPE: &str = "application/cloudevents+json";
/// The media type of a batch.
pub const BATCH_TYPE: &str = "application/cloudevents-batch+json";
/// What a `dataschema` begins with that names a model; `NAME@VERSION` follows.
pub const MODEL_SCHEMA: &str = "https://w3id.org/twinpact/model/";

/// The events of one body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// In the order in which they are to be recorded. An event that came twice in the body is in a
    /// later batch than the first of it, which makes it a duplicate.
    pub batches: Vec<EventBatch>,
    /// The events that are none of these, by their index in the body.
    pub refused: Vec<Refused>,
}

/// Events of one source and one model.
#[derive(Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// The batch.
    pub batch: IngestBatch,
    /// Of each of its observations, the index in the body.
    pub places: Vec<u64>,
}

/// The events of a body of that media type; `None` when it is none of CloudEvents.
///
/// # Errors
/// `input.too_large` beyond a bound; `input.malformed` when the body is no event or no array.
#[must_use]
pub fn parse(media_type: &str, body: &[u8]) -> Option<Result<Events, Problem>> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(BATCH_TYPE) {
        return Some(array(body).and_then(|events| read(&events)));
    }
    let one = || serde_json::from_slice::<&RawValue>(body).map_err(|e| malformed(&e));
    essence.eq_ignore_ascii_case(EVENT_TYPE).then(|| one().and_then(|event| read(&[event])))
}

/// A file of events, cut into bodies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The bodies of batches.
    pub bodies: Vec<Body>,
    /// The events that no body can hold, and those that contradict one before them.
    pub refused: Vec<Refused>,
}

/// A body that is cut from a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    /// A batch.
    pub bytes: Vec<u8>,
    /// Of each of its events, the index in the file.
    pub places: Vec<u64>,
}

/// The events of a file, a batch or one event, cut into bodies of batches. Of two that differ under
/// one id the later one is in none of them, however far apart they are: a body shows only what is
/// in it, and each would correct the other whenever the file is sent.
///
/// # Errors
/// `input.malformed` when the file is neither.
pub fn bodies(file: &[u8]) -> Result<Cut, Problem> {
    let events = match file.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => array(file)?,
        _ => vec![serde_json::from_slice(file).map_err(|e| malformed(&e))?],
    };
    let mut cut = Cut::default();
    // Of each (source, id), the first event: ids of the file, so never more than the file.
    let mut first: HashMap<(Iri, String), (u64, &RawValue)> = HashMap::new();
    for (index, event) in (0u64..).zip(events) {
        let text = event.get().as_bytes();
        if text.len() + 2 > MAX_BATCH_BYTES {
            let why = format!("the event has {} bytes; {MAX_BATCH_BYTES} are possible", text.len());
            cut.refused.push(refusal(index, String::new(), (codes::INPUT_TOO_LARGE, why)));
            continue;
        }
        if let Some(refused) = contradicts(&mut first, index, event) {
            cut.refused.push(refused);
            continue;
        }
        match cut.bodies.last_mut() {
            Some(body)
                if body.places.len() < MAX_BATCH_OBSERVATIONS
                    && body.bytes.len() + text.len() + 2 <= MAX_BATCH_BYTES =>
            {
                body.bytes.push(b',');
                body.bytes.extend_from_slice(text);
                body.places.push(index);
            }
            _ => cut.bodies.push(Body { bytes: [b"[", text].concat(), places: vec![index] }),
        }
    }
    cut.bodies.iter_mut().for_each(|body| body.bytes.push(b']'));
    Ok(cut)
}

/// The refusal of an event that says otherwise than the first of the file with its id. What is no
/// event of ours is refused where it is recorded.
fn contradicts<'a>(
    first: &mut HashMap<(Iri, String), (u64, &'a RawValue)>,
    index: u64,
    raw: &'a RawValue,
) -> Option<Refused> {
    let event = Event::read(raw).ok()?;
    let key = (event.source.clone(), event.observation.id.clone());
    let (before, known) = *first.entry(key).or_insert((index, raw));
    if before == index || Event::read(known).ok()? == event {
        return None;
    }
    Some(otherwise(index, event.observation.id, &format!("event {before} of the file")))
}

/// Which of the two is right, nobody can tell, and what is sent again would correct the one by the
/// other and back.
fn otherwise(index: u64, id: String, first: &str) -> Refused {
    refusal(index, id, broken(format!("{first} has the same id and says otherwise")))
}

fn array(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    serde_json::from_slice(body).map_err(|e| malformed(&e))
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(codes::INPUT_MALFORMED, format!("CloudEvents: {error}"))
}

fn read(events: &[&RawValue]) -> Result<Events, Problem> {
    if events.len() > MAX_BATCH_OBSERVATIONS {
        let n = events.len();
        let why = format!("the batch has {n} events; {MAX_BATCH_OBSERVATIONS} are possible");
        return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
    }
    let mut refused = Vec::new();
    // Of each (source, id): the first event, and how often it has come so far.
    let mut seen: HashMap<(Iri, String), Seen> = HashMap::new();
    let mut batches: BTreeMap<(usize, String, ModelRef), EventBatch> = BTreeMap::new();
    for (index, raw) in (0u64..).zip(events) {
        let event = match Event::read(raw) {
            Ok(event) => event,
            Err((id, why)) => {
                refused.push(refusal(index, id, why));
                continue;
            }
        };
        let Event { source, model, observation } = event;
        let key = (source.clone(), observation.id.clone());
        let first =
            || Seen { index, model: model.clone(), observation: observation.clone(), times: 0 };
        let first = seen.entry(key).or_insert_with(first);
        if first.model != model || first.observation != observation {
            let before = format!("event {} of the body", first.index);
            refused.push(otherwise(index, observation.id, &before));
            continue;
        }
        first.times += 1;
        let nth = first.times;
        let batch = batches.entry((nth, source.to_string(), model.clone())).or_insert_with(|| {
            EventBatch { batch: IngestBatch::new(source, model, Vec::new()), places: Vec::new() }
        });
        batch.batch.observations.push(observation);
        batch.places.push(index);
    }
    Ok(Events { batches: batches.into_values().collect(), refused })
}

/// The first event with an id.
struct Seen {
    index: u64,
    model: ModelRef,
    observation: IngestObservation,
    times: usize,
}

fn refusal(index: u64, id: String, (code, reason): (Code, String)) -> Refused {
    Refused { line: None, index: Some(index), id, code: code.name.to_owned(), reason }
}

/// Why an event is refused.
type Why = (Code, String);

fn broken(why: impl Into<String>) -> Why {
    (codes::INGEST_EVENT, why.into())
}

/// The members of an event, each once.
#[derive(Deserialize)]
#[serde(transparent)]
struct Members<'a> {
    #[serde(borrow, deserialize_with = "raw_once")]
    by_name: BTreeMap<SmolStr, &'a RawValue>,
}

fn raw_once<'de: 'a, 'a, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<SmolStr, &'a RawValue>, D::Error> {
    once(from, "an object").map(|members| members.into_iter().collect())
}

/// What we take of an event.
#[derive(PartialEq, Eq)]
struct Event {
    source: Iri,
    model: ModelRef,
    observation: IngestObservation,
}

impl Event {
    /// The event, or why it is none of ours, with its id when it has one.
    fn read(raw: &RawValue) -> Result<Event, (String, Why)> {
        let members: Members<'_> = serde_json::from_str(raw.get())
            .map_err(|error| (String::new(), broken(format!("it is no event: {error}"))))?;
        let id = members.text("id").ok().flatten().unwrap_or_default();
        members.event(&id).map_err(|why| (id, why))
    }
}

impl Members<'_> {
    /// A context attribute that is text; `null` is as if it were not there (JSON Event Format
    /// §2.2).
    fn text(&self, name: &str) -> Result<Option<String>, Why> {
        let Some(raw) = self.by_name.get(name).filter(|raw| raw.get() != "null") else {
            return Ok(None);
        };
        let text = serde_json::from_str::<String>(raw.get());
        text.map(Some).map_err(|_| broken(format!("{name} is no text")))
    }

    /// One that must be there and not be empty.
    fn required(&self, name: &str) -> Result<String, Why> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| broken(format!("it has no {name}")))
    }

    fn event(&self, id: &str) -> Result<Event, Why> {
        let version = self.required("specversion")?;
        if version != "1.0" {
            let why = format!("specversion is {:?}; 1.0 is possible", brief(&version));
            return Err(broken(why));
        }
        self.required("id")?;
        self.attributes()?;
        let source = self.iri("source")?;
        let kind = self.required("type")?;
        let twin = self.iri("subject")?;
        let time = Timestamp::parse(&self.required("time")?).map_err(caller)?;
        let model = self.model(kind)?;
        let observation = IngestObservation { id: id.to_owned(), twin, time, values: self.data()? };
        observation.check().map_err(caller)?;
        Ok(Event { source, model, observation })
    }

    fn iri(&self, name: &str) -> Result<Iri, Why> {
        Iri::new(self.required(name)?).map_err(|problem| {
            (problem.code, format!("{name} is no absolute IRI: {}", problem.message))
        })
    }

    fn model(&self, kind: String) -> Result<ModelRef, Why> {
        let schema = self.text("dataschema")?;
        let named = schema.as_deref().and_then(|schema| schema.strip_prefix(MODEL_SCHEMA));
        let (place, name) = match named {
            Some(name) => ("dataschema", name.to_owned()),
            None => ("type", kind),
        };
        ModelRef::try_from(name).map_err(|problem| {
            (codes::MODEL_UNKNOWN, format!("{place} names no model: {}", problem.message))
        })
    }

    /// Names are of lower-case letters and digits; values of attributes are no structures
    /// (CloudEvents §3, "Attribute Naming Convention", "Type System").
    fn attributes(&self) -> Result<(), Why> {
        let attribute = |name: &&SmolStr| !["data", "data_base64"].contains(&name.as_str());
        for name in self.by_name.keys().filter(attribute) {
            let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            if name.is_empty() || !name.bytes().all(letters) {
                let why = format!("{:?} is no name of an attribute", brief(name));
                return Err(broken(why));
            }
            let value = self.by_name.get(name).map_or("", |raw| raw.get());
            if value.starts_with(['{', '[']) {
                return Err(broken(format!("{name} is an object or an array")));
            }
        }
        Ok(())
    }

    /// The lexical forms of `data`, by name; a member that is `null` says nothing.
    fn data(&self) -> Result<Vec<(SmolStr, SmolStr)>, Why> {
        if self.by_name.contains_key("data_base64") {
            return Err(broken("its data is binary; an object of values is needed"));
        }
        let kind = self.text("datacontenttype")?.unwrap_or_else(|| "application/json".to_owned());
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(broken(format!("its data is {:?}; JSON is needed", brief(&kind))));
        }
        let data = self.by_name.get("data").ok_or_else(|| broken("it has no data"))?;
        let data: Members<'_> = serde_json::from_str(data.get())
            .map_err(|error| broken(format!("its data is no object of values: {error}")))?;
        let mut values = Vec::new();
        for (name, raw) in data.by_name {
            let text = raw.get();
            let lexical = match text.as_bytes().first() {
                Some(b'n') => continue,
                Some(b'"') => serde_json::from_str(text).map_err(|e| broken(e.to_string()))?,
                Some(b'{' | b'[') => {
                    let why = format!("the value of {:?} is an object or an array", brief(&name));
                    return Err(broken(why));
                }
                _ => text.into(),
            };
            values.push((name, lexical));
        }
        Ok(values)
    }
}

fn caller(problem: Problem) -> Why {
    (problem.code, problem.message)
}

#[cfg(test)]
mod tests;
