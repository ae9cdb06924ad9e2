//! Batches of CloudEvents, by the command and by HTTP, our own and those that a library makes.

use crate::world::World;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

/// Events as the CloudEvents SDK for Python makes them: the media type and the text of one
/// structured event, and the texts of others.
const PYTHON: &str = r#"
import json
from cloudevents.http import CloudEvent
from cloudevents.conversion import to_json, to_structured

def event(id, time, data, **more):
    attributes = {"id": id, "source": "urn:source:sdk", "type": "wind-turbine@1",
                  "subject": "urn:turbine:a", "time": time, **more}
    return CloudEvent(attributes, data)

headers, body = to_structured(event("1", "2015-05-01T00:00:00Z", {"power": 1.5}))
others = [
    event("2", "2015-05-01T00:10:00+00:00", {"power": 20, "note": "x\u00e9"}, partitionkey="k"),
    event("3", "2015-05-01T00:20:00Z", {"power": "much"}),
    CloudEvent({"source": "urn:source:sdk", "type": "wind-turbine@1"}, {"power": 1}),
]
batch = "[" + ",".join(to_json(other).decode() for other in others) + "]"
print(json.dumps({"kind": headers["content-type"], "event": body.decode(), "batch": batch}))
"#;

fn event(id: &str, power: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "urn:source:pumps", "type": "wind-turbine@1",
        "subject": "urn:turbine:a", "time": format!("2015-05-01T00:0{id}:00Z"),
        "data": { "power": power },
    })
}

/// New, duplicate, corrected, and the (index, code) of what was refused.
fn counts(report: &Value) -> ([u64; 3], Vec<(u64, String)>) {
    let count = |name: &str| report[name].as_u64().unwrap();
    let refused = |refused: &Value| {
        (refused["index"].as_u64().unwrap(), refused["code"].as_str().unwrap().to_owned())
    };
    let refused = report["refused"].as_array().unwrap().iter().map(refused).collect();
    (["new", "duplicate", "corrected"].map(count), refused)
}

#[test]
fn a_batch_is_taken_event_by_event() {
    let world = World::with_node();
    let check = |events: Value, expect: [u64; 3], refused: &[(u64, &str)]| {
        world.write("events.json", events.to_string().as_bytes());
        let report = world.json("ingest events.json --cloudevents --dir node");
        let refused = refused.iter().map(|(index, code)| (*index, (*code).to_owned())).collect();
        assert_eq!(counts(&report), (expect, refused), "{report}");
    };
    let (one, two) = (event("1", "1.50"), event("2", "2"));
    check(one.clone(), [1, 0, 0], &[]);
    check(json!([one, two]), [1, 1, 0], &[]);
    check(json!([two, one]), [0, 2, 0], &[]);
    check(json!([event("1", "1.5")]), [0, 0, 1], &[]);
    // Of two values under one id the second is refused, and nothing changes the next time.
    let twice = json!([event("3", "1"), event("3", "1"), event("3", "2")]);
    check(twice.clone(), [1, 1, 0], &[(2, "ingest.event")]);
    check(twice, [0, 2, 0], &[(2, "ingest.event")]);
    let mut other = event("7", "1");
    other["type"] = json!("pump@1");
    let mut early = event("5", "1");
    early["time"] = json!("soon");
    let refused = [
        (0, "twin.value"),
        (1, "model.unknown"),
        (2, "input.time"),
        (3, "ingest.event"),
        (5, "ingest.event"),
    ];
    let events = json!([event("4", "much"), other, early, {}, event("6", "4"), 7]);
    check(events, [1, 0, 0], &refused);
    let done = world.run("ingest events.json --cloudevents --dir node");
    assert_eq!(done.stdout, "6 events: 0 new, 1 duplicate, 0 corrected, 5 refused\n");
    assert!(done.stderr.contains("refused[twin.value]: event 0: "), "{}", done.stderr);
    assert!(done.stderr.contains("… and 2 more"), "{}", done.stderr);
    let values = world.json("twin history urn:turbine:a --dir node");
    assert_eq!(values["rows"][0]["values"]["power"], "1.50");
    for (line, code, name) in [
        ("ingest events.json --dir node", 2, "--map"),
        ("ingest events.json --cloudevents --map map.toml --dir node", 2, "--cloudevents"),
        ("ingest map.toml --cloudevents --dir node", 11, "input.malformed"),
        ("ingest none.json --cloudevents --dir node", 11, "file.unreadable"),
    ] {
        let done = world.run(line);
        assert_eq!(done.code, code, "{line}: {}", done.stderr);
        assert!(done.stderr.contains(name), "{line}: {}", done.stderr);
    }
}

/// `POST /ingest` by hand: the status and the report.
fn post(world: &World, kind: &str, body: &str) -> (String, Value) {
    let admin = std::fs::read(world.path("node/admin.json")).unwrap();
    let admin: Value = serde_json::from_slice(&admin).unwrap();
    let address = admin["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let token = admin["token"].as_str().unwrap();
    let mut tcp = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /ingest HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all(head.as_bytes()).unwrap();
    tcp.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn the_media_type_says_what_a_body_is() {
    let world = World::with_node();
    let serving = world.serve();
    let (one, batch) = (event("1", "1").to_string(), json!([event("2", "2")]).to_string());
    let (event_type, batch_type) =
        ("application/cloudevents+json", "application/cloudevents-batch+json; charset=utf-8");
    for (kind, body, expect) in [
        (event_type, &one, Ok([1, 0, 0])),
        (batch_type, &batch, Ok([1, 0, 0])),
        (batch_type, &batch, Ok([0, 1, 0])),
        (batch_type, &one, Err("input.malformed")),
        (event_type, &batch, Err("")),
        ("application/json", &one, Err("input.unknown_key")),
    ] {
        let (status, answer) = post(&world, kind, body);
        match expect {
            Ok(expect) => assert_eq!((status.as_str(), counts(&answer)), ("200", (expect, vec![]))),
            // A batch is no event: it is refused as one event is.
            Err("") => assert_eq!(counts(&answer).1, [(0, "ingest.event".to_owned())], "{answer}"),
            Err(code) => assert_eq!((status.as_str(), &answer["code"]), ("400", &json!(code))),
        }
    }
    assert_eq!(serving.stop(), 0);
}

#[test]
fn what_the_sdk_for_python_makes_is_understood() {
    let made = Command::new("python3").args(["-c", PYTHON]).output();
    let Some(made) = made.ok().filter(|made| made.status.success()) else {
        println!("skipped: no Python with the package cloudevents (1.x)");
        return;
    };
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let text = |name: &str| made[name].as_str().unwrap();
    let world = World::with_node();
    let serving = world.serve();
    let (_, report) = post(&world, text("kind"), text("event"));
    assert_eq!(counts(&report), ([1, 0, 0], vec![]));
    assert_eq!(serving.stop(), 0);
    world.write("batch.json", text("batch").as_bytes());
    let report = world.json("ingest batch.json --cloudevents --dir node");
    let refused = vec![(1, "twin.value".to_owned()), (2, "ingest.event".to_owned())];
    assert_eq!(counts(&report), ([1, 0, 0], refused), "{report}");
    let history = world.json("twin history urn:turbine:a --dir node");
    assert_eq!(history["rows"][0]["values"], json!({ "power": "1.5" }));
    assert_eq!(history["rows"][1]["values"], json!({ "power": "20", "note": "x\u{e9}" }));
}
