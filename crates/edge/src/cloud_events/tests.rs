//! CloudEvents 1.0.2, rule by rule, and the JSON format of one event and of a batch.

use super::{BATCH_TYPE, EVENT_TYPE, Events, MODEL_SCHEMA, bodies, parse};
use crate::batch::{MAX_BATCH_BYTES, MAX_BATCH_OBSERVATIONS};
use proptest::prelude::*;
use serde_json::{Value, json};

fn event() -> Value {
    json!({
        "specversion": "1.0",
        "id": "1",
        "source": "urn:source:pumps",
        "type": "pump@1",
        "subject": "urn:pump:1",
        "time": "2026-01-05T11:00:00+01:00",
        "data": { "flow": "1.50" },
    })
}

fn read(media_type: &str, body: &[u8]) -> Result<Events, &'static str> {
    parse(media_type, body).unwrap().map_err(|problem| problem.code.name)
}

/// The codes of what is refused of a batch of one event, and how many observations there are.
fn one(text: &str) -> (Vec<String>, usize) {
    let events = read(BATCH_TYPE, format!("[{text}]").as_bytes()).unwrap();
    let codes = events.refused.into_iter().map(|refused| refused.code).collect();
    (codes, events.batches.iter().map(|batch| batch.places.len()).sum())
}

/// The event with a member changed, or without it.
fn with(name: &str, value: Option<Value>) -> String {
    let mut event = event();
    match value {
        Some(value) => event[name] = value,
        None => drop(event.as_object_mut().unwrap().remove(name)),
    }
    event.to_string()
}

#[test]
fn an_event_is_an_observation() {
    let events = read(EVENT_TYPE, event().to_string().as_bytes()).unwrap();
    let [batch] = events.batches.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (batch.batch.source.as_str(), batch.batch.model.to_string()),
        ("urn:source:pumps", "pump@1".to_owned())
    );
    let [row] = batch.batch.observations.as_slice() else { panic!("{events:?}") };
    assert_eq!((row.id.as_str(), row.twin.as_str()), ("1", "urn:pump:1"));
    assert_eq!(row.time.to_string(), "2026-01-05T10:00:00Z");
    assert_eq!(row.values, [("flow".into(), "1.50".into())]);
}

#[test]
fn media_types_choose_the_form() {
    let (one, many) = (event().to_string(), format!("[{}]", event()));
    for (kind, body, expect) in [
        (EVENT_TYPE, &one, Some(Ok(1))),
        ("application/CloudEvents+JSON; charset=utf-8", &one, Some(Ok(1))),
        (BATCH_TYPE, &many, Some(Ok(1))),
        ("application/cloudevents-batch+json;charset=utf-8", &many, Some(Ok(1))),
        (BATCH_TYPE, &"[]".to_owned(), Some(Ok(0))),
        (BATCH_TYPE, &one, Some(Err("input.malformed"))),
        (BATCH_TYPE, &"[".to_owned(), Some(Err("input.malformed"))),
        (BATCH_TYPE, &String::new(), Some(Err("input.malformed"))),
        (EVENT_TYPE, &"{".to_owned(), Some(Err("input.malformed"))),
        (EVENT_TYPE, &format!("{one}{one}"), Some(Err("input.malformed"))),
        ("application/json", &one, None),
        ("", &one, None),
        ("application/cloudevents+xml", &one, None),
    ] {
        let got = parse(kind, body.as_bytes()).map(|events| {
            events.map(|events| events.batches.len()).map_err(|problem| problem.code.name)
        });
        assert_eq!(got, expect, "{kind} {body}");
    }
}

/// CloudEvents §3 "Required Attributes", "Optional Attributes", "Extension Context Attributes";
/// JSON Event Format §2.2 and §3.1.
#[test]
fn rules_of_an_event() {
    let check = |name: &str, value: Option<Value>, expect: Option<&str>| {
        let text = with(name, value);
        let codes: Vec<String> = expect.iter().map(|code| (*code).to_owned()).collect();
        assert_eq!(one(&text), (codes, usize::from(expect.is_none())), "{text}");
    };
    let bad = Some("ingest.event");
    for name in ["specversion", "id", "source", "type", "subject", "time", "data"] {
        check(name, None, bad);
        check(name, Some(Value::Null), bad);
        check(name, Some(json!("")), bad);
        check(name, Some(json!(1)), bad);
        check(name, Some(json!([])), bad);
    }
    check("specversion", Some(json!("0.3")), bad);
    check("specversion", Some(json!("1.0.2")), bad);
    check("id", Some(json!("x".repeat(4097))), Some("input.too_large"));
    // A source may be relative for CloudEvents, but then two producers could have the same.
    check("source", Some(json!("/pumps/1")), Some("input.iri"));
    check("subject", Some(json!("pump 1")), Some("input.iri"));
    check("time", Some(json!("2026-01-05T11:00:00")), Some("input.time"));
    check("time", Some(json!("yesterday")), Some("input.time"));
    check("type", Some(json!("com.example.pump")), Some("model.unknown"));
    check("type", Some(json!("com.example.pump@2")), None);
    let schema = |name: &str| Some(json!(format!("{MODEL_SCHEMA}{name}")));
    check("dataschema", schema("pump@3"), None);
    check("dataschema", schema("pump"), Some("model.unknown"));
    check("dataschema", Some(json!("https://example.com/schema")), None);
    check("dataschema", Some(json!(5)), bad);
    for (kind, expect) in [
        ("application/json", None),
        ("Application/JSON; charset=utf-8", None),
        ("application/senml+json", None),
        ("text/plain", bad),
        ("application/xml", bad),
    ] {
        check("datacontenttype", Some(json!(kind)), expect);
    }
    check("data_base64", Some(json!("AAAA")), bad);
    check("traceparent", Some(json!("00-a-b-01")), None);
    check("sequence", Some(json!(7)), None);
    check("sampled", Some(json!(true)), None);
    check("traceparent", Some(Value::Null), None);
    check("traceParent", Some(json!("x")), bad);
    check("trace_parent", Some(json!("x")), bad);
    check("", Some(json!("x")), bad);
    check("trace", Some(json!({ "parent": 1 })), bad);
}

#[test]
fn values_keep_their_text() {
    let check = |data: &str, expect: Option<&[(&str, &str)]>| {
        let text = with("data", Some(json!("DATA"))).replace("\"DATA\"", data);
        let events = read(BATCH_TYPE, format!("[{text}]").as_bytes()).unwrap();
        let row = events.batches.first().map(|batch| &batch.batch.observations[0].values);
        let got: Option<Vec<(&str, &str)>> =
            row.map(|values| values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect());
        assert_eq!(got.as_deref(), expect, "{data}");
        assert_eq!(events.refused.len(), usize::from(expect.is_none()), "{data}");
    };
    check(
        r#"{"a": 514.240, "b": "x\u00e9", "c": true}"#,
        Some(&[("a", "514.240"), ("b", "x\u{e9}"), ("c", "true")]),
    );
    check(
        r#"{"a": -1E-7, "b": 12345678901234567890123}"#,
        Some(&[("a", "-1E-7"), ("b", "12345678901234567890123")]),
    );
    check(r#"{"a": null, "b": false}"#, Some(&[("b", "false")]));
    check(r#"{"a": null}"#, None);
    check("{}", None);
    check("[1]", None);
    check("1", None);
    check(r#"{"a": 1, "a": 2}"#, None);
    check(r#"{"a": {"b": 1}}"#, None);
    check(r#"{"a": [1]}"#, None);
    let many: Vec<String> = (0..30).map(|n| format!("\"a{n}\": 1")).collect();
    check(&format!("{{{}}}", many.join(",")), None);
    // What stands twice in the event itself is refused too.
    assert_eq!(one(&event().to_string().replacen('{', "{\"id\":\"2\",", 1)).0, ["ingest.event"]);
}

#[test]
fn an_event_that_comes_twice_comes_in_two_batches() {
    let of = |id: &str, source: &str, kind: &str| {
        let mut event = event();
        event["id"] = json!(id);
        event["source"] = json!(source);
        event["type"] = json!(kind);
        event
    };
    let body = json!([
        of("1", "urn:a", "pump@1"),
        of("1", "urn:b", "pump@1"),
        of("1", "urn:a", "pump@1"),
        of("2", "urn:a", "pump@1"),
        of("", "urn:a", "pump@1"),
        of("3", "urn:a", "valve@1"),
        of("1", "urn:a", "pump@1"),
    ]);
    let events = read(BATCH_TYPE, body.to_string().as_bytes()).unwrap();
    let places: Vec<(&str, &[u64])> =
        events.batches.iter().map(|b| (b.batch.source.as_str(), b.places.as_slice())).collect();
    let expect: [(&str, &[u64]); 5] =
        [("urn:a", &[0, 3]), ("urn:a", &[5]), ("urn:b", &[1]), ("urn:a", &[2]), ("urn:a", &[6])];
    assert_eq!(places, expect);
    assert_eq!(events.refused.iter().map(|r| r.index).collect::<Vec<_>>(), [Some(4)]);
}

#[test]
fn of_two_events_with_one_id_that_differ_the_second_is_refused() {
    let check = |name: &str, value: Value, expect: &[u64]| {
        let mut other = event();
        other[name] = value;
        let body = json!([event(), other, event()]).to_string();
        let events = read(BATCH_TYPE, body.as_bytes()).unwrap();
        let refused: Vec<u64> = events.refused.iter().filter_map(|r| r.index).collect();
        assert_eq!(refused, expect, "{name}");
        assert!(events.refused.iter().all(|refused| refused.code == "ingest.event"), "{name}");
        let taken = events.batches.iter().map(|batch| batch.places.len()).sum::<usize>();
        assert_eq!(taken, 3 - expect.len(), "{name}");
    };
    check("data", json!({ "flow": 12345 }), &[1]);
    check("time", json!("2001-01-01T00:00:00Z"), &[1]);
    check("subject", json!("urn:pump:other"), &[1]);
    check("type", json!("other@1"), &[1]);
    // What is not recorded makes no difference.
    check("more", json!("x"), &[]);
    check("source", json!("urn:other"), &[]);
}

#[test]
fn a_batch_has_bounds() {
    let body = |n: usize| Value::from(vec![event(); n]).to_string();
    let most = MAX_BATCH_OBSERVATIONS;
    assert!(read(BATCH_TYPE, body(most).as_bytes()).is_ok());
    assert_eq!(read(BATCH_TYPE, body(most + 1).as_bytes()), Err("input.too_large"));
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    let refused = read(BATCH_TYPE, deep.as_bytes()).unwrap().refused;
    assert_eq!(refused[0].code, "ingest.event", "however deep it is");
    let data = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = with("data", Some(json!("DATA"))).replace("\"DATA\"", &format!("{{\"a\":{data}}}"));
    assert_eq!(one(&text).0, ["ingest.event"]);
}

#[test]
fn a_file_is_cut_into_bodies() {
    let lengths = |file: &str| -> Vec<(u64, usize)> {
        let cut = bodies(file.as_bytes()).unwrap();
        assert!(cut.refused.is_empty());
        let count = |body: &[u8]| serde_json::from_slice::<Vec<Value>>(body).unwrap().len();
        cut.bodies.iter().map(|body| (body.places[0], count(&body.bytes))).collect()
    };
    assert_eq!(lengths(&event().to_string()), [(0, 1)]);
    assert_eq!(lengths("[]"), []);
    assert_eq!(
        lengths(&Value::from(vec![event(); 2_001]).to_string()),
        [(0, 1_000), (1_000, 1_000), (2_000, 1)]
    );
    let large = format!("\"{}\"", "x".repeat(MAX_BATCH_BYTES - 4));
    assert_eq!(lengths(&format!("[1,{large},2]")), [(0, 1), (1, 1), (2, 1)]);
    let cut = bodies(format!("[1,2,\"x{},3]", &large[1..]).as_bytes()).unwrap();
    let [body] = &cut.bodies[..] else { panic!("{} bodies", cut.bodies.len()) };
    assert_eq!((&body.bytes[..], &body.places[..]), (&b"[1,2,3]"[..], &[0, 1, 3][..]));
    assert_eq!((cut.refused[0].index, cut.refused[0].code.as_str()), (Some(2), "input.too_large"));
    for bad in ["", "[1", "{} {}", "[1] 2"] {
        assert_eq!(bodies(bad.as_bytes()).unwrap_err().code.name, "input.malformed", "{bad}");
    }
}

/// Two that differ under one id, as far apart as a body is long: the later one is refused by its
/// place in the file, so that the same file again changes nothing.
#[test]
fn of_two_events_with_one_id_in_two_bodies_the_later_is_refused_when_it_differs() {
    let of = |id: usize, flow: &str| {
        let mut event = event();
        event["id"] = json!(id.to_string());
        event["data"]["flow"] = json!(flow);
        event
    };
    let mut events: Vec<Value> = (0..2_500).map(|id| of(id, "1.50")).collect();
    // The same again is no contradiction, nor is another source's or one that is none of ours.
    events[1_100] = of(7, "1.50");
    events[1_200] = of(7, "9.00");
    events[2_400] = of(7, "1.5");
    events[2_401] = of(7, "1.50");
    events[2_402] = {
        let mut other = of(7, "2");
        other["source"] = json!("urn:other");
        other
    };
    events[2_403] = {
        let mut bad = of(7, "2");
        bad["time"] = json!("never");
        bad
    };
    let cut = bodies(Value::from(events).to_string().as_bytes()).unwrap();
    let refused: Vec<_> = cut.refused.iter().map(|r| (r.index, r.id.as_str())).collect();
    assert_eq!(refused, [(Some(1_200), "7"), (Some(2_400), "7")]);
    assert!(cut.refused[0].reason.starts_with("event 7 of the file"), "{:?}", cut.refused[0]);
    assert_eq!(cut.refused[0].code, "ingest.event");
    // What is refused makes no body shorter, and each event keeps its place.
    let lengths: Vec<_> = cut.bodies.iter().map(|body| body.places.len()).collect();
    assert_eq!(lengths, [1_000, 1_000, 498]);
    let places: Vec<u64> = cut.bodies.iter().flat_map(|body| body.places.clone()).collect();
    let expect = (0..2_500).filter(|place| ![1_200, 2_400].contains(place));
    assert_eq!(places, expect.collect::<Vec<u64>>());
}

proptest! {
    /// Nothing is lost: each event is in one batch or refused, and all bodies together are the
    /// file.
    #[test]
    fn every_event_is_somewhere(
        events in prop::collection::vec(("[a-c]{0,1}", "[ab]", prop::bool::weighted(0.9)), 0..40),
    ) {
        let of = |(id, source, good): &(String, String, bool)| {
            let mut event = event();
            event["id"] = json!(id);
            event["source"] = json!(format!("urn:{source}"));
            if !good {
                event["time"] = json!("never");
            }
            event
        };
        let all: Vec<Value> = events.iter().map(of).collect();
        let file = Value::from(all.clone()).to_string();
        let read = read(BATCH_TYPE, file.as_bytes()).unwrap();
        let mut places: Vec<u64> = read.refused.iter().filter_map(|r| r.index).collect();
        for batch in &read.batches {
            let ids: std::collections::BTreeSet<_> =
                batch.batch.observations.iter().map(|row| &row.id).collect();
            prop_assert_eq!(ids.len(), batch.places.len(), "an id twice in one batch");
            places.extend(&batch.places);
        }
        places.sort_unstable();
        prop_assert_eq!(places, (0..all.len() as u64).collect::<Vec<_>>());
        let cut = bodies(file.as_bytes()).unwrap();
        let back: Vec<Value> = cut
            .bodies
            .iter()
            .flat_map(|body| serde_json::from_slice::<Vec<Value>>(&body.bytes).unwrap())
            .collect();
        prop_assert_eq!(back, all);
    }
}
