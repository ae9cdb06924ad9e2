//! `docs/start.md` as it stands, run by `tools/start.py`, and the commands that it needs besides.

use crate::world::World;
use std::path::Path;
use std::process::{Command, Output};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/start.md");
const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/start.py");

fn strict() -> bool {
    std::env::var("CI_STRICT").is_ok_and(|value| value == "1")
}

/// Whether the runner says that the page ran in a root of its own.
fn in_a_root(said: &str) -> bool {
    let report = said.lines().last().unwrap_or_default();
    report.starts_with("start: ") && report.contains(", in a root with twinpact, sh and")
}

/// The page, run; nothing without Python 3.11, which is a failure when `CI_STRICT=1`.
fn run(page: &Path) -> Option<Output> {
    run_by(page, &[])
}

/// The same with these settings of the environment.
fn run_by(page: &Path, settings: &[(&str, &str)]) -> Option<Output> {
    let mut asked = Command::new("python3");
    asked.args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]);
    if !asked.status().is_ok_and(|status| status.success()) {
        assert!(!strict(), "CI_STRICT=1 and no python3 of version 3.11");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(RUNNER).args(["--binary", env!("CARGO_BIN_EXE_twinpact"), "--page"]).arg(page);
    command.env("PYTHONDONTWRITEBYTECODE", "1").envs(settings.iter().copied());
    Some(command.output().unwrap())
}

#[test]
fn the_first_page_runs_as_it_stands() {
    let world = World::empty();
    let page = std::fs::read_to_string(PAGE).unwrap();
    world.write("start.md", page.as_bytes());
    let Some(done) = run(&world.path("start.md")) else {
        eprintln!("skipped: no python3 of version 3.11");
        return;
    };
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("start: 12 typed commands of at most 12"), "{said}");
    if !in_a_root(&said) {
        // Then something of this machine may have helped.
        assert!(!strict(), "CI_STRICT=1 and the page did not run in a root of its own: {said}");
        eprintln!("skipped in part: the page ran in an empty directory, not in a root of its own");
    }
    // A page that shows what is not so, or types too much, is found out.
    for (from, to, why) in [
        ("6 rows: 6 new", "6 rows: 5 new", "and showed"),
        ("\ntwinpact contract publish", "\ntwinpact contract publsh", "ended with 2"),
        ("--listen 127.0.0.1:8701", "--listen 127.0.0.1:x", "ended with 2"),
        ("twinpact init", "true && twinpact init", "13 commands"),
        ("```text\nhives.toml", "```toml\nhives.toml", "that is no step"),
    ] {
        world.write("start.md", page.replacen(from, to, 1).as_bytes());
        let done = run(&world.path("start.md")).unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains(why), "{from}: {said}");
    }
}

/// With a PATH on which there is Python and nothing else, so no way to a root of its own.
#[test]
fn a_page_that_ran_in_no_root_of_its_own_is_a_failure_when_strict() {
    let world = World::empty();
    world.write("page.md", b"```sh\ntwinpact --version\n```\n");
    let mut asked = Command::new("python3");
    let Ok(found) = asked.args(["-c", "import sys; print(sys.executable)"]).output() else {
        assert!(!strict(), "CI_STRICT=1 and no python3");
        eprintln!("skipped: no python3");
        return;
    };
    let python = String::from_utf8(found.stdout).unwrap();
    std::fs::create_dir(world.path("bin")).unwrap();
    std::os::unix::fs::symlink(python.trim(), world.path("bin/python3")).unwrap();
    let path = world.path("bin");
    for (level, passes) in [("0", true), ("1", false)] {
        let settings = [("PATH", path.to_str().unwrap()), ("CI_STRICT", level)];
        let Some(done) = run_by(&world.path("page.md"), &settings) else {
            eprintln!("skipped: no python3 of version 3.11");
            return;
        };
        let (said, why) = (String::from_utf8(done.stdout).unwrap(), done.stderr);
        let why = String::from_utf8(why).unwrap();
        assert_eq!(done.status.success(), passes, "{said}{why}");
        assert!(!in_a_root(&said), "{said}");
        let shown = if passes {
            said.contains("in an empty directory")
        } else {
            why.contains("CI_STRICT=1")
        };
        assert!(shown, "{said}{why}");
    }
}

#[test]
fn serve_makes_a_node_that_is_not_there_and_no_other() {
    let world = World::with_node();
    for (line, code, said) in [
        ("serve --dir node --local other", 11, "holds the node of did:web:test.localhost"),
        ("serve --dir new --listen 127.0.0.1:0", 2, "--org"),
        ("serve --dir new --local a --org did:web:a.example", 2, "cannot be used with"),
        ("serve --dir new --org a.example", 11, "input.iri"),
        ("serve --dir new --local a --partner-at [::1", 11, "outgoing.url"),
        ("init --dir new", 2, "--local"),
        ("init --dir new --local a --partner-at x/y?z", 11, "outgoing.url"),
    ] {
        let done = world.run(line);
        assert_eq!(done.code, code, "{line}: {}", done.stderr);
        assert!(done.stderr.contains(said), "{line}: {}", done.stderr);
        assert!(!world.path("new").exists(), "{line}");
    }
    let stopped = world.run("ready --dir node");
    assert_eq!((stopped.code, stopped.error()), (75, "node.unreachable"), "{}", stopped.stderr);
    let first = world.serve_as("node --local test");
    assert_eq!(world.run("ready --dir node").stdout, "ready\n");
    assert_eq!(world.json("ready --dir node")["status"], "ready");
    assert_eq!(world.json("twin list --dir node").as_array().unwrap().len(), 0);
    assert_eq!(first.stop(), 0);
    let made = world.serve_as("made --org did:web:a.example --name A");
    assert_eq!(made.stop(), 0);
    let config = std::fs::read_to_string(world.path("made/twinpact.toml")).unwrap();
    assert!(config.contains("organisation = \"did:web:a.example\"\nname = \"A\""), "{config}");
}

#[test]
fn a_node_says_whom_a_proof_is_verified_against() {
    let world = World::empty();
    world.write("model.toml", crate::world::MODEL.as_bytes());
    world.write("map.toml", crate::world::MAP.as_bytes());
    world.write("rows.csv", crate::world::ROWS.as_bytes());
    for name in ["node", "other"] {
        assert_eq!(world.run(&format!("init --dir {name} --local {name}")).code, 0);
    }
    // The model comes with the first rows.
    let ingest = "ingest rows.csv --map map.toml --model model.toml --dir node";
    let done = world.run(ingest);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.starts_with("wind-turbine@1 applies from now on\n"), "{}", done.stderr);
    assert_eq!(world.json(ingest)["duplicate"], 2);
    let missing = world.run(&ingest.replace("model.toml", "none.toml"));
    assert_eq!((missing.code, missing.error()), (11, "file.unreadable"));
    let history = world.json("twin history urn:turbine:a --dir node");
    let event = history["rows"][0]["event"].as_u64().unwrap();
    assert_eq!(world.run(&format!("proof export {event} --out p.twinproof --dir node")).code, 0);
    assert_eq!(world.json("verify p.twinproof --node node")["level"], "signed");
    let other = world.run("verify p.twinproof --node other");
    assert_eq!((other.code, other.error()), (23, "proof.unanchored"));
    let none = world.run("verify p.twinproof --node none");
    assert_eq!(none.error(), "store.missing", "{}", none.stderr);
}

#[test]
fn a_pull_without_an_agreement_says_what_to_do() {
    let world = World::with_node();
    let node = world.serve();
    for (line, code) in [
        ("pull --purpose research --place DE --dir node", "agreement.unknown"),
        ("pull --purpose reserch --place DE --dir node", "contract.term_unknown"),
    ] {
        let done = world.run(line);
        assert_eq!(done.error(), code, "{}", done.stderr);
        assert!(done.stderr.contains("hint: "), "{}", done.stderr);
    }
    assert_eq!(node.stop(), 0);
}
