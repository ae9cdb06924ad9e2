//! The structured log of two nodes that exchange: every line is one that docs/observe.md describes,
//! the steps of the spines are all there, one request is found again on both sides, and nothing
//! stands in it that nobody may read.

use crate::canaries;
use crate::federation::{Pair, ok};
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../../docs/observe.md");

/// What the page says of a line: its levels, and the fields that it may have.
struct Described {
    levels: Vec<String>,
    fields: BTreeSet<String>,
}

/// The table of the page, by the name of the line.
fn described() -> BTreeMap<String, Described> {
    let words = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = PAGE.lines().skip_while(|line| *line != "| line | level | fields | what |").skip(2);
    let row = |line: &str| {
        let [name, levels, fields, _] =
            line.strip_prefix("| ")?.splitn(4, " | ").collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let (levels, fields) = (words(levels), words(fields).into_iter().collect());
        Some((words(name).concat(), Described { levels, fields }))
    };
    rows.map_while(row).collect()
}

/// Holds every line against the page, and gives what was seen: lines, and steps.
fn hold(
    lines: &[Value],
    page: &BTreeMap<String, Described>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut seen, mut steps) = (BTreeSet::new(), BTreeSet::new());
    let common = ["time", "level", "event"];
    let request = ["request", "door", "method", "route", "partner", "caller_request"];
    for line in lines {
        let members = line.as_object().unwrap();
        let event = line["event"].as_str().unwrap();
        assert!(page.contains_key(event), "{event} is not on the page: {line}");
        let known = &page[event];
        let level = line["level"].as_str().unwrap();
        assert!(known.levels.iter().any(|l| l == level), "{event} is not of level {level}");
        let order: Vec<&str> = members.keys().take(3).map(String::as_str).collect();
        assert_eq!(order, common, "{line}");
        for field in members.keys().map(String::as_str) {
            let usual = common.contains(&field) || request.contains(&field);
            assert!(usual || known.fields.contains(field), "{event} has the field {field}: {line}");
        }
        seen.insert(event.to_owned());
        steps.extend(line["step"].as_str().map(str::to_owned));
    }
    (seen, steps)
}

#[test]
fn every_line_of_an_exchange_is_described_and_none_has_a_secret() {
    let mut pair = Pair::concluded();
    pair.pull();
    let tokens = ["operator", "maker"].map(|dir| {
        let file = std::fs::read(pair.world.path(dir).join("admin.json")).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        file["token"].as_str().unwrap().to_owned()
    });
    pair.stop_maker();
    pair.stop_operator();
    let page = described();
    let (mut seen, mut steps) = (BTreeSet::new(), BTreeSet::new());
    for dir in ["operator", "maker"] {
        let (lines, of) = hold(&pair.world.log(dir), &page);
        seen.extend(lines);
        steps.extend(of);
        let text = std::fs::read_to_string(pair.world.path(&format!("{dir}.log"))).unwrap();
        let tokens = tokens.each_ref().map(String::as_str);
        canaries::search_text(&text, &tokens, dir);
    }
    for line in ["started", "ready", "driven", "answered", "called", "logged", "frame", "stopped"] {
        assert!(seen.contains(line), "{line} was not logged: {seen:?}");
    }
    let spines =
        ["identify", "agreement", "decide", "view", "oblige", "log", "write", "parse", "step"];
    for step in spines.into_iter().chain(["acknowledge", "apply"]) {
        assert!(steps.contains(step), "no step {step}: {steps:?}");
    }
    assert_correlated(&pair.world);
}

/// The consumer's call for data and the provider's answer have one id, and what the provider did
/// for it is under its own.
fn assert_correlated(world: &World) {
    let (consumer, provider) = (world.log("maker"), world.log("operator"));
    let data = |line: &&Value| line["route"] == "data" && line["status"] == 200;
    let called = consumer.iter().filter(|line| line["event"] == "called").find(data).unwrap();
    let answered: Vec<&Value> = provider
        .iter()
        .filter(|line| line["event"] == "answered" && line["caller_request"] == called["request"])
        .collect();
    assert_eq!(answered.len(), 1, "{called}");
    assert_eq!(answered[0]["partner"], "did:web:maker.example");
    let under = |line: &&Value| line["request"] == answered[0]["request"];
    let did: Vec<&Value> = provider.iter().filter(under).collect();
    let delivered = |line: &&&Value| line["event"] == "logged" && line["kind"] == "Delivery";
    assert_eq!(did.iter().filter(delivered).count(), 1, "{did:?}");
}

#[test]
fn the_level_says_how_much_is_logged_and_text_is_a_line_an_event() {
    let world = World::with_node();
    let logged = |words: &str| {
        let serving = world.serve_logging(words);
        ok(&world, "ingest rows.csv --map map.toml --dir node");
        assert_ne!(world.run("twin show urn:turbine:none --dir node").code, 0);
        assert_eq!(serving.stop(), 0);
        let text = std::fs::read_to_string(world.path("text.log")).unwrap();
        std::fs::remove_file(world.path("text.log")).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<String>>()
    };
    world.write("rows.csv", crate::world::ROWS.as_bytes());
    let names = |lines: &[String]| -> BTreeSet<String> {
        // Time, level, name, and fields.
        lines.iter().map(|line| line.split_whitespace().nth(2).unwrap().to_owned()).collect()
    };
    let info = logged("--log-level info");
    let of = names(&info);
    for name in ["started", "ready", "recorded", "answered", "stopped"] {
        assert!(of.contains(name), "{name}: {info:?}");
    }
    assert!(!of.contains("step"), "{info:?}");
    let refused = info.iter().find(|line| line.contains("code=twin.unknown")).unwrap();
    assert!(refused.contains(" info ") && refused.contains("route=/twins/{id}"), "{refused}");
    assert_eq!(names(&logged("--log-level warn")), BTreeSet::new());
    assert!(names(&logged("--log-level debug")).contains("step"));
}
