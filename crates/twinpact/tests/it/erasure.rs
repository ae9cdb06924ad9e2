//! `twinpact erase` as an operator types it.

use crate::world::World;
use serde_json::json;
use std::path::Path;
use std::process::Command;

const TWIN: &str = "urn:turbine:b";

#[test]
fn a_twin_is_erased_when_it_is_meant_and_nothing_brings_it_back() {
    let world = World::with_node();
    let rows = "name,time,power,note\na,2015-05-01T00:00:00Z,1.5,stays\n\
                b,2015-05-01T00:00:00Z,2.5,canary-to-go\n";
    world.write("rows.csv", rows.as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let planned = world.json(&format!("erase {TWIN} --basis asked-for --dry-run --dir node"));
    assert_eq!((&planned["entries"], &planned["erased"]), (&json!(2), &json!(null)));
    let unsure = world.run(&format!("erase {TWIN} --basis asked-for --dir node"));
    assert_eq!((unsure.code, unsure.error()), (11, "erasure.unconfirmed"));
    assert!(unsure.stderr.contains("--dry-run"), "{unsure:?}");
    assert_eq!(world.run(&format!("twin show {TWIN} --dir node")).code, 0);
    let done = world.run(&format!("erase {TWIN} --basis asked-for --yes --dir node"));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("2 entries were destroyed"), "{done:?}");
    for line in [format!("twin show {TWIN}"), format!("twin history {TWIN}")] {
        let gone = world.run(&format!("{line} --dir node"));
        assert_eq!((gone.code, gone.error()), (11, "twin.erased"), "{line}: {gone:?}");
        assert!(gone.stderr.contains("asked-for"), "{gone:?}");
    }
    let again = world.json("ingest rows.csv --map map.toml --dir node");
    assert_eq!((&again["new"], &again["duplicate"]), (&json!(0), &json!(1)), "{again}");
    let shown = world.json(&format!("erasure show {TWIN} --dir node"));
    let event = shown["event"].as_u64().unwrap();
    assert_eq!(world.json("erasure list --dir node"), json!([shown]));
    let checked = world.json("check --dir node");
    assert_eq!((&checked["wrong"], &checked["counts"]["destroyed"]), (&json!(0), &json!(2)));
    // That it was erased is proven to a stranger, by either verifier.
    world.run(&format!("proof export {event} --out erased.twinproof --dir node"));
    let record = world.run("trust export --dir node").stdout;
    world.write("record.json", record.as_bytes());
    world.json("trust add record.json --trust trust.toml");
    let line = "verify erased.twinproof --trust trust.toml";
    assert_eq!(world.run(line).code, 0, "{:?}", world.run(line));
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify.py");
    let mut python = Command::new("python3");
    let python = python.arg(tool).arg(world.path("erased.twinproof"));
    match python.arg("--trust").arg(world.path("trust.toml")).output() {
        Ok(done) => assert!(done.status.success(), "{done:?}"),
        Err(_) => eprintln!("skipped: python3 is not here"),
    }
}
