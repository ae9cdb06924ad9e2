//! The demo on recordings of another domain: gauges of a river.

use crate::world::World;
use serde_json::Value;

fn files(world: &World) {
    let mut rows = String::from("gauge;time;level [cm];flow\n");
    // A week, Friday last: 14 June 2024, 22:00 in Berlin.
    for hour in 0..72 {
        let (day, hour) = (12 + hour / 24, hour % 24);
        for gauge in ["Köln", "Bonn"] {
            rows.push_str(&format!("{gauge};{day}.06.2024 {hour:02}:00;{hour}1,5;{day}\n"));
        }
    }
    world.write("river.csv", rows.as_bytes());
    let guess = world.run("model guess river.csv --zone Europe/Berlin");
    assert_eq!(guess.code, 0, "{}", guess.stderr);
}

#[test]
fn the_demo_runs_on_any_recordings_that_have_a_map() {
    let world = World::empty();
    files(&world);
    let report = world.json("demo --data river.csv --map river.map.toml --keep kept");
    assert_eq!(report["agreement"]["state"], "active");
    assert_eq!(report["permitted"][0]["rows"], 144, "{}", report["permitted"]);
    let denied = report["denied"].as_array().unwrap();
    let codes: Vec<&str> = denied.iter().map(|d| d["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["policy.schedule", "policy.purpose", "policy.place"]);
    // The times follow the data: it is closed on the evening of the Monday after its end.
    let sentence = denied[0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("Monday 17 June 2024"), "{sentence}");
    assert_eq!(report["proof"]["level"], "signed");
    steps(&report);
    for proof in ["fact", "receipt"] {
        let verified = world.run(&format!("verify kept/{proof}.twinproof --trust kept/trust.toml"));
        assert_eq!(verified.code, 0, "{}", verified.stderr);
    }
    let shown = report.to_string().to_lowercase();
    assert!(!shown.contains("turbine") && !shown.contains("wind"), "{shown}");
}

/// What was done, each with its time, at two nodes that listened.
fn steps(report: &Value) {
    let steps = report["steps"].as_array().unwrap();
    for name in ["verify", "verify flipped", "negotiate", "pull", "verify receipt", "decisions"] {
        let step = steps.iter().find(|step| step["name"] == name);
        assert!(step.is_some_and(|step| step["ms"].is_u64()), "{name}: {steps:?}");
    }
    let nodes = report["nodes"].as_array().unwrap();
    let names: Vec<&str> = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["operator", "maker"]);
    for node in nodes {
        let url = |name: &str| node[name].as_str().unwrap();
        assert!(url("admin").starts_with("http://127.0.0.1:"), "{node}");
        assert!(url("federation").starts_with("https://127.0.0.1:"), "{node}");
    }
    assert_eq!(report["agreement"]["state"], "active");
}

#[test]
fn the_demo_takes_a_contract_of_ones_own() {
    let world = World::empty();
    files(&world);
    let contract = "contract new --model river.toml --org did:web:river.example --columns level \
         --purpose research --out c.yaml";
    assert_eq!(world.run(contract).code, 0);
    world.write("m.toml", &std::fs::read(world.path("river.toml")).unwrap());
    std::fs::remove_file(world.path("river.toml")).unwrap();
    let line = "demo --data river.csv --map river.map.toml";
    let done = world.run(line);
    assert_eq!((done.code, done.error()), (11, "model.unknown"), "{}", done.stderr);
    assert!(done.stderr.contains("--model"), "{}", done.stderr);
    let report = world.json(&format!("{line} --model m.toml --contract c.yaml"));
    let denied = report["denied"].as_array().unwrap();
    assert_eq!(denied.len(), 1, "only the purpose is limited: {report}");
    assert_eq!(denied[0]["code"], "policy.purpose");
    for (line, code) in [
        // Nobody is there to confirm anything.
        ("demo", "input.malformed"),
        ("demo --data nowhere.csv --map river.map.toml --model m.toml", "ingest.file"),
        ("demo --data river.csv --map m.toml --model m.toml", "input.unknown_key"),
        ("demo --data m.toml --map river.map.toml --model m.toml", "ingest.map"),
        (
            "demo --data river.csv --map river.map.toml --model m.toml --contract m.toml",
            "contract.malformed",
        ),
    ] {
        let done = world.run(line);
        assert_eq!(done.error(), code, "{line}: {}", done.stderr);
        assert!(done.stdout.is_empty());
    }
}
