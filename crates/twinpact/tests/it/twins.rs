//! What comes again, what was known at a moment, and what is linked to what, by the commands.

use crate::world::{ROWS, World};
use serde_json::{Value, json};

/// Twelve rows of the form of the wind data: the hour from 03:00 to 03:50 twice.
const HOUR: &[u8] = include_bytes!("../../../edge/tests/data/repeated-hour.csv");

#[test]
fn instants_that_collide_are_kept_and_reported() {
    let world = World::empty();
    for (name, text) in [
        ("model.toml", include_str!("../../../../examples/wind/wind-turbine.toml")),
        ("map.toml", include_str!("../../../../examples/wind/wind-turbine.map.toml")),
    ] {
        world.write(name, text.as_bytes());
    }
    world.write("hour.csv", HOUR);
    assert_eq!(world.run("init --dir node --local test").code, 0);
    assert_eq!(world.run("model apply model.toml --dir node").code, 0);
    let done = world.run("ingest hour.csv --map map.toml --dir node");
    let summary = "12 rows: 12 new, 0 duplicate, 0 corrected, 0 refused; 6 colliding instants\n";
    assert_eq!((done.code, done.stdout.as_str()), (0, summary));
    let said: Vec<&str> = done.stderr.lines().take(4).collect();
    let named = |ten: u8| {
        format!("  colliding: urn:turbine:T1 has 2 rows for 2014-03-30T01:{ten}0:00Z, all kept")
    };
    assert_eq!(said, [named(0), named(1), named(2), "  … and 3 more instants".to_owned()]);
    let report = world.json("ingest hour.csv --map map.toml --dir node");
    assert_eq!((&report["duplicate"], &report["colliding"]), (&json!(12), &json!(6)));
    let first = json!({ "twin": "urn:turbine:T1", "time": "2014-03-30T01:00:00Z", "rows": 2 });
    assert_eq!(report["collisions"][0], first);
    assert_eq!(report["collisions"].as_array().map(Vec::len), Some(6));
    assert_eq!(world.json("twin history urn:turbine:T1 --dir node")["total"], 12);
}

/// The index and the time of recording of the facts of a twin, in the order of recording.
fn facts(world: &World, twin: &str) -> Vec<(u64, String)> {
    let history = world.json(&format!("twin history {twin} --dir node"));
    let fact = |row: &Value| {
        (row["event"].as_u64().unwrap(), row["recorded"].as_str().unwrap().to_owned())
    };
    let mut facts: Vec<_> = history["rows"].as_array().unwrap().iter().map(fact).collect();
    facts.sort();
    facts
}

#[test]
fn a_correction_counts_from_when_it_was_recorded() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    world.write("rows.csv", ROWS.replace("Z,2,y", "Z,7,y").as_bytes());
    assert_eq!(world.json("ingest rows.csv --map map.toml --dir node")["corrected"], 1);
    let facts = facts(&world, "urn:turbine:a");
    let [(_, first), (old, second), (new, third)] = facts.as_slice() else { panic!("{facts:?}") };
    let power = |time: &str| {
        let state = world.json(&format!("twin as-of urn:turbine:a {time} --dir node"));
        assert_eq!(
            state,
            world.json(&format!("twin show urn:turbine:a --as-of {time} --dir node"))
        );
        assert_eq!(state["as_of"], json!(time));
        (state["facts"].clone(), state["attributes"]["power"]["now"]["value"].clone())
    };
    assert_eq!(power(first), (json!(1), json!("1.50")));
    assert_eq!(power(second), (json!(2), json!("2")));
    assert_eq!(power(third), (json!(3), json!("7")));
    assert_eq!(power("2100-01-01T00:00:00Z"), (json!(3), json!("7")));
    let corrected = |time: &str| {
        let line = format!("twin history urn:turbine:a --as-of {time} --dir node");
        let history = world.json(&line);
        let row = |row: &Value| (row["event"].as_u64().unwrap(), row["corrected_by"].as_u64());
        history["rows"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(corrected(second)[1], (*old, None));
    assert_eq!(corrected(third)[1], (*old, Some(*new)));
    let text = world.run(&format!("twin as-of urn:turbine:a {second} --dir node")).stdout;
    assert!(text.starts_with(&format!("as it was known at {second}: urn:turbine:a")), "{text}");
}

#[test]
fn lists_say_what_was_known_and_nothing_of_before_the_log() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let state = world.json("twin show urn:turbine:a --dir node");
    let created = state["created"].as_str().unwrap();
    let count = |line: &str| world.json(line).as_array().map(Vec::len);
    assert_eq!(count(&format!("twin list --as-of {created} --dir node")), Some(1));
    // Just before the twin there is the model, and what makes a node.
    let proven = world.json("twin list --dir node");
    assert_eq!(proven.as_array().map(Vec::len), Some(1));
    let before = just_before(created);
    assert_eq!(count(&format!("twin list --as-of {before} --dir node")), Some(0));
    assert_eq!(count(&format!("model list --as-of {before} --dir node")), Some(1));
    let unknown = world.run(&format!("twin as-of urn:turbine:a {before} --dir node"));
    assert_eq!(unknown.error(), "twin.unknown");
    assert!(unknown.stderr.contains(&format!("it is known since {created}")), "{unknown:?}");
    for line in [
        "twin list",
        "twin show urn:turbine:a",
        "twin history urn:turbine:a",
        "model list",
        "link list",
        "link list urn:turbine:a",
        "contract show",
        "partner list",
        "agreement list",
    ] {
        let early = world.run(&format!("{line} --as-of 2001-01-01T00:00:00Z --dir node"));
        assert_eq!((early.code, early.error()), (11, "asof.early"), "{line}");
        assert!(early.stderr.contains("our log begins at 20"), "{line}: {}", early.stderr);
        let bad = world.run(&format!("{line} --as-of yesterday --dir node"));
        assert_eq!(bad.error(), "input.time", "{line}");
        assert_eq!(world.run(&format!("{line} --as-of {created} --dir node")).code, 0, "{line}");
    }
}

/// A microsecond earlier.
fn just_before(time: &str) -> String {
    let time = twinpact_model::Timestamp::parse(time).unwrap();
    twinpact_model::Timestamp::from_micros(time.micros() - 1).to_string()
}

#[test]
fn twins_are_linked_and_the_past_of_it_is_kept() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.replace("much", "3").as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let link = |verb: &str, words: &str| world.run(&format!("link {verb} {words} --dir node"));
    let a_of_b = "urn:turbine:a part-of urn:turbine:b";
    let done = link("set", a_of_b);
    assert_eq!((done.code, done.stdout), (0, format!("{a_of_b} from now on\n")));
    assert!(done.stderr.contains("next: twinpact link list urn:turbine:a"), "{}", done.stderr);
    assert_eq!(link("set", a_of_b).stdout, format!("{a_of_b} was so already\n"));
    for (words, code, hint) in [
        ("urn:turbine:b part-of urn:turbine:a", "link.cycle", "twinpact link list urn:turbine:a"),
        ("urn:turbine:a part-of urn:turbine:a", "link.cycle", ""),
        ("urn:turbine:a part-off urn:turbine:b", "link.predicate", "did you mean part-of?"),
        ("urn:turbine:a part-of urn:turbine:bb", "twin.unknown", "did you mean urn:turbine:"),
        ("turbine part-of urn:turbine:b", "input.malformed", ""),
    ] {
        let refused = link("set", words);
        assert_eq!((refused.code, refused.error()), (11, code), "{words}");
        assert!(refused.stderr.contains(hint), "{words}: {}", refused.stderr);
    }
    let listed = |line: &str| world.json(&format!("link list {line} --dir node"));
    let one = listed("urn:turbine:b");
    assert_eq!(one, listed("urn:turbine:a"), "both ends show it");
    assert_eq!((&one, &one["total"]), (&listed(""), &json!(1)));
    let set = one["links"][0]["recorded"].as_str().unwrap();
    assert_eq!(world.json(&format!("link retract {a_of_b} --dir node"))["changed"], true);
    assert_eq!(world.json(&format!("link retract {a_of_b} --dir node"))["changed"], false);
    assert_eq!(listed("")["total"], 0);
    assert_eq!(listed(&format!("--as-of {set}")), one);
    assert_eq!(listed(&format!("urn:turbine:a --as-of {}", just_before(set)))["total"], 0);
    // A link is an event like any other: it can be proven.
    let event = one["links"][0]["event"].as_u64().unwrap();
    world.json(&format!("proof export {event} --out link.twinproof --dir node"));
    let proven = world.json("verify link.twinproof --require unanchored")["statement"].to_string();
    assert!(proven.contains("https://w3id.org/twinpact/link/part-of"), "{proven}");
}
