//! What a stranger can check of a dealing between two others, with the trust file and exported
//! bundles alone: by `twinpact verify` and by the verifier that shares no code with it.

use crate::canaries::TWIN;
use crate::federation::{MONDAY, Pair, refused_for_benchmarking};
use crate::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

pub(crate) const RULE: &str = include_str!("../../../../examples/wind/power-loss.rule.toml");

/// What both verifiers say of a bundle: exit code and level, and what is proven, as text.
#[allow(clippy::print_stderr, reason = "says what was skipped")]
pub(crate) fn opinions(world: &World, file: &str) -> (i32, String, String) {
    let done = world.run(&format!("--json verify {file} --trust trust.toml"));
    let said: Value = serde_json::from_str(&done.stdout).unwrap_or_default();
    let level = said["level"].as_str().unwrap_or_default().to_owned();
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify.py");
    let other = Command::new("python3")
        .arg(other)
        .args([file, "--trust", "trust.toml"])
        .current_dir(world.path(""))
        .output();
    match other {
        Ok(other) => {
            let theirs = String::from_utf8_lossy(&other.stdout).into_owned();
            assert_eq!(other.status.code(), Some(done.code), "{file}: {theirs}");
            let end = if done.code == 22 { "broken link: " } else { "level: " };
            assert!(theirs.contains(&format!("{end}{level}")), "{file}: {theirs}");
        }
        Err(why) => {
            assert!(std::env::var_os("CI_STRICT").is_none(), "no Python: {why}");
            eprintln!("skipped: the second verifier, {why}");
        }
    }
    (done.code, level, said["statement"].to_string())
}

/// Keeps the page for a look in a browser: `make picture`.
fn keep(world: &World, line: &str) {
    if let Some(folder) = std::env::var_os("TWINPACT_PAGES") {
        let name: String = line.chars().filter(char::is_ascii_alphanumeric).collect();
        let to = Path::new(&folder).join(format!("drawn-{name}.html"));
        std::fs::copy(world.path("page.html"), to).unwrap();
    }
}

#[test]
fn an_incident_is_one_page_that_needs_nothing_else() {
    let pair = Pair::concluded();
    let world = &pair.world;
    let pulled = pair.pull();
    refused_for_benchmarking(&pair);
    let turbine = format!("urn:turbine:{TWIN}");
    let open = json!({
        "name": "loss",
        "story": {
            "rule": toml::from_str::<Value>(RULE).unwrap(),
            "links": [{
                "from": ["urn:bearing:1", "did:web:maker.example"],
                "predicate": "part-of",
                "to": [turbine, "did:web:operator.example"],
            }],
        },
        "containments": [{
            "agreement": pair.agreement,
            "twins": [turbine],
            "measure": "inspect <it>",
            "reason": "it may fail",
            "receipts": pulled["receipts"],
            "seen": { "twin": turbine, "first": MONDAY, "found": MONDAY },
        }],
    });
    world.write("incident.json", open.to_string().as_bytes());
    world.write("power-loss.rule.toml", RULE.as_bytes());
    let opened = world.json("incident open incident.json --dir maker");
    let id = opened["id"].as_str().unwrap();
    let page = |line: &str| {
        world.json(&format!("incident report {id} --out page.html {line}"));
        keep(world, line);
        let page = String::from_utf8(std::fs::read(world.path("page.html")).unwrap()).unwrap();
        for other in ["<script", "http://", "https://", "<it>"] {
            assert!(!page.contains(other), "{other}");
        }
        page
    };
    let maker = page("--dir maker");
    assert!(maker.contains("The walk") && maker.contains("urn:bearing:1"));
    assert!(maker.contains("inspect &lt;it&gt;"));
    // The rows are the operator's, and so is the refusal; nobody said what they are read for.
    assert!(!maker.contains("The days around it") && !maker.contains("benchmarking"));
    assert!(maker.contains("The copies of the rows were not read: "), "{maker}");
    // What it holds of them is drawn for a purpose that is allowed, and says for how long.
    let maker = page("--purpose predictive-maintenance --place FR --dir maker");
    for words in ["The days around it", "wind_speed, m/s", "urn:bearing:1"] {
        assert!(maker.contains(words), "{words}");
    }
    let until = "Delete it by 2015-08-10T08:00:00Z";
    let begin = maker.split("<main>").next().unwrap();
    assert!(begin.contains(until) && begin.contains("drawn from a copy of"), "{begin}");
    let maker = page("--purpose Benchmarking --place FR --dir maker");
    assert!(!maker.contains("The days around it") && maker.contains("not read: "), "{maker}");
    let operator = page("--rule power-loss.rule.toml --dir operator");
    for words in ["The days around it", "wind_speed, m/s", "benchmarking", "delivered 10 rows"] {
        assert!(operator.contains(words), "{words}");
    }
    assert!(!operator.contains("urn:bearing:1"), "the walk stays with who has walked it");
    // Once its owner has erased the turbine, all but its rows is there.
    world.json(&format!("erase {turbine} --basis asked-for --yes --dir operator"));
    let operator = page("--rule power-loss.rule.toml --dir operator");
    for words in ["Curve and days are not drawn: ", "was erased at ", "first loss that was shown"] {
        assert!(operator.contains(words), "{words}: {operator}");
    }
    assert!(!operator.contains("The days around it") && operator.contains("Who did what"));
}

#[test]
fn an_agreement_a_permit_and_a_refusal_are_checked_by_a_stranger() {
    let pair = Pair::concluded();
    let world = &pair.world;
    pair.pull();
    refused_for_benchmarking(&pair);
    world.json("trust add operator.json --trust trust.toml");
    let agreement = &pair.agreement;
    world.json(&format!("agreement export {agreement} --out a.twinproof --dir operator"));
    let (code, level, said) = opinions(world, "a.twinproof");
    assert_eq!((code, level.as_str()), (0, "signed"), "{said}");
    assert!(said.contains("AgreementConcluded") && said.contains(agreement), "{said}");
    for (outcome, words) in [("policy.permit", "permitted: "), ("policy.purpose", "benchmarking")] {
        let decisions = world.json("decision list --dir operator");
        let decisions = decisions.as_array().unwrap();
        let one = decisions.iter().find(|one| one["code"] == outcome).unwrap();
        let id = one["id"].as_str().unwrap();
        world.json(&format!("decision export {id} --out d.twinproof --dir operator"));
        let (code, level, said) = opinions(world, "d.twinproof");
        assert_eq!((code, level.as_str()), (0, "signed"), "{said}");
        assert!(said.contains(words) && said.contains(outcome), "{said}");
        assert!(said.contains("clock = driven"), "{said}");
        // What is said to be signed is signed.
        let bytes = String::from_utf8(std::fs::read(world.path("d.twinproof")).unwrap()).unwrap();
        world.write("d.twinproof", bytes.replacen(outcome, "policy.forged", 1).as_bytes());
        assert_eq!(opinions(world, "d.twinproof").0, 22);
    }
    // The consumer proves its own side of it.
    world.json("trust add maker.json --trust trust.toml");
    world.json(&format!("agreement export {agreement} --out m.twinproof --dir maker"));
    let (code, level, said) = opinions(world, "m.twinproof");
    assert_eq!((code, level.as_str()), (0, "signed"), "{said}");
}
