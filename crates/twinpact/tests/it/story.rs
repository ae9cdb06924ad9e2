//! The story of an incident, as an outsider puts it together from the folders that organisations
//! export: with the trust file, and no node.

use crate::canaries::TWIN;
use crate::evidence::opinions;
use crate::federation::{MONDAY, Pair, refused_for_benchmarking};
use crate::world::World;
use serde_json::{Value, json};

/// The maker asks for its turbine to be looked at; the incident and the containment.
fn asked(pair: &Pair, receipts: &Value) -> (String, String) {
    let world = &pair.world;
    let turbine = format!("urn:turbine:{TWIN}");
    let open = json!({
        "name": "loss",
        "story": { "told": "at home" },
        "containments": [{
            "agreement": pair.agreement,
            "twins": [turbine],
            "measure": "inspect the bearing",
            "reason": "one of its lot has failed",
            "receipts": receipts,
            "seen": { "twin": turbine, "first": MONDAY, "found": MONDAY },
        }],
    });
    world.write("incident.json", open.to_string().as_bytes());
    let opened = world.json("incident open incident.json --dir maker");
    let id = opened["id"].as_str().unwrap().to_owned();
    let shown = world.json(&format!("incident show {id} --dir operator"));
    (id, shown["containments"][0]["id"].as_str().unwrap().to_owned())
}

/// The kinds of the proofs of an export, sorted, and the files.
fn exported(world: &World, incident: &str, dir: &str) -> (Vec<String>, Vec<String>) {
    let line = format!("incident export {incident} --out folder --dir {dir}");
    let told = world.json(&line);
    let files = told["index"]["files"].as_array().unwrap();
    let text = |name: &str| {
        files.iter().map(|one| one[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut kinds = text("kind");
    kinds.sort();
    (kinds, text("file"))
}

#[test]
fn each_exports_what_it_can_prove_into_one_folder() {
    let pair = Pair::concluded();
    let world = &pair.world;
    let pulled = pair.pull();
    refused_for_benchmarking(&pair);
    let (id, containment) = asked(&pair, &pulled["receipts"]);
    world.json(&format!("incident confirm {containment} --by engineer --dir operator"));
    for name in ["operator", "maker"] {
        world.json(&format!("trust add {name}.json --trust trust.toml"));
    }
    let (operator, first) = exported(world, &id, "operator");
    let decided = ["decision", "decision"];
    assert_eq!(
        operator,
        [&["agreement", "answer", "containment"], &decided[..], &["receipt"]].concat()
    );
    let (maker, second) = exported(world, &id, "maker");
    assert_eq!(maker, ["agreement", "answer", "containment", "receipt"]);
    for file in first.iter().chain(&second) {
        let (code, _, said) = opinions(world, &format!("folder/{file}"));
        assert_eq!(code, 0, "{file}: {said}");
        // How it was found stays at home.
        assert!(!said.contains("at home"), "{file}: {said}");
    }
    // Nothing took the place of another, and there is an index by each.
    assert_eq!(world.files("folder").len(), first.len() + second.len() + 2);
    let again = exported(world, &id, "maker");
    assert_eq!(
        (again, world.files("folder").len()),
        ((maker, second.clone()), first.len() + second.len() + 2)
    );
    // What is not there changes nothing.
    let none = world.run("incident export urn:none --out other --dir maker");
    assert_eq!((none.code, none.error()), (11, "incident.unknown"));
    assert!(!world.path("other").exists());
    world.write("file", b"");
    let file = world.run(&format!("incident export {id} --out file --dir maker"));
    assert_eq!(file.error(), "file.unreadable", "{file:?}");
}
