//! A new contract is taken as it is.

use crate::world::World;

#[test]
fn a_new_contract_is_linted_and_published_as_it_is() {
    let world = World::with_node();
    let made = world.json("contract new --model wind-turbine --dir node --out a.odcs.yaml");
    assert_eq!(made["terms"], "for any purpose, in any place, at any time");
    assert_eq!(made["columns"], serde_json::json!(["power", "note"]));
    let line = "contract new --model model.toml --org did:web:test.localhost --name hours \
         --purpose predictive-maintenance,billing --place FR,DE --delete-after P14D \
         --schedule Mo-Fr_07:00-19:00_[Europe/Paris] --columns power --out b.odcs.yaml";
    let mut words: Vec<String> = line.split_whitespace().map(|w| w.replace('_', " ")).collect();
    words.insert(0, "--json".to_owned());
    let done = world.words(&words);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let made: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        made["terms"],
        "for billing or predictive maintenance, in Germany or France, \
         Monday to Friday 07:00–19:00 Europe/Paris; copies are deleted within 14 days"
    );
    for file in ["a.odcs.yaml", "b.odcs.yaml"] {
        let lint = world.run(&format!("contract lint {file} --model model.toml"));
        assert_eq!(lint.code, 0, "{}", lint.stderr);
        assert_eq!(world.json(&format!("contract publish {file} --dir node"))["new"], true);
    }
    assert_eq!(world.json("contract show --dir node").as_array().unwrap().len(), 2);
    let shown = world.run("contract new --model wind-turbine@1 --dir node");
    assert!(shown.stdout.starts_with("# What you show of wind-turbine@1"), "{}", shown.stdout);
    assert!(shown.stderr.contains("next: "), "{}", shown.stderr);
}

#[test]
fn what_a_new_contract_cannot_be_made_of() {
    let world = World::with_node();
    world.write("there.yaml", b"mine");
    for (line, code, name, hint) in [
        ("--model wind-turbin", 11, "model.unknown", "did you mean wind-turbine?"),
        ("--model pump", 11, "model.unknown", "the node knows wind-turbine@1"),
        ("--model wind-turbine --purpose marketting", 21, "contract.term_unknown", "marketing?"),
        ("--model wind-turbine --place Paris", 21, "contract.term_unknown", "country code"),
        ("--model wind-turbine --schedule Mon-Fri", 11, "input.schedule", "write it like"),
        ("--model wind-turbine --delete-after 14D", 11, "input.time", "write it like"),
        ("--model wind-turbine --columns powr", 21, "contract.model", "power"),
        ("--model wind-turbine --name a/b", 21, "contract.value", "letters"),
        ("--model wind-turbine --out there.yaml", 11, "file.exists", "--force"),
        ("--model map.toml", 11, "input.unknown_key", ""),
    ] {
        let done = world.run(&format!("contract new --dir node {line}"));
        assert_eq!((done.code, done.error()), (code, name), "{line}: {}", done.stderr);
        assert!(done.stderr.contains(hint), "{line}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{line}");
    }
    assert_eq!(std::fs::read(world.path("there.yaml")).unwrap(), b"mine");
    let done = world.run("contract new --dir node --model wind-turbine --out there.yaml --force");
    assert_eq!(done.code, 0, "{}", done.stderr);
}
