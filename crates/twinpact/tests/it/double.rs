//! `docs/test-double.md` as it stands: its script is one, and its Python does what it says. The
//! test of JUnit is compiled by nobody here.

use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = include_str!("../../../../docs/test-double.md");

/// The blocks of the page in that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begins = format!("```{language}\n");
    let parts = PAGE.split(&begins).skip(1);
    parts.map(|part| part.split("```").next().unwrap()).collect()
}

/// A Python that has pytest; none is a failure when `CI_STRICT=1`.
fn python() -> Option<PathBuf> {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../oracles/.venv/bin/python");
    let has = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", "import pytest"]).output();
        asked.is_ok_and(|asked| asked.status.success())
    };
    let found = [oracle, PathBuf::from("python3")].into_iter().find(has);
    if found.is_none() {
        assert!(std::env::var_os("CI_STRICT").is_none(), "CI_STRICT=1 and no pytest");
        println!("skipped: no pytest; `make oracle` installs it");
    }
    found
}

/// What pytest says of these files, with our binary in the path.
fn pytest(python: &Path, world: &World, files: [(&str, &str); 3]) -> (bool, String) {
    for (name, text) in files {
        world.write(name, text.as_bytes());
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_twinpact")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let run = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .current_dir(world.path(""))
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    (run.status.success(), String::from_utf8_lossy(&run.stdout).into_owned())
}

#[test]
fn the_page_about_the_double_runs_as_it_stands() {
    let (scripts, tests) = (blocks("toml"), blocks("python"));
    assert_eq!((scripts.len(), tests.len(), blocks("java").len()), (1, 2, 1));
    let Some(python) = python() else { return };
    let check = |script: &str, test: &str, expect: (bool, &str)| {
        let files = [("script.toml", script), ("conftest.py", tests[0]), ("test_it.py", test)];
        let (passed, said) = pytest(&python, &World::empty(), files);
        assert!(passed == expect.0 && said.contains(expect.1), "{expect:?}: {said}");
    };
    check(scripts[0], tests[1], (true, "1 passed"));
    // It can fail: with a script that is none, and for a dataset that is not in it.
    check("listen = 1", tests[1], (false, "1 error"));
    check(scripts[0], &tests[1].replace("datasets/parts", "datasets/none"), (false, "1 failed"));
}

#[test]
fn a_script_that_is_none_is_refused_with_its_line() {
    let world = World::empty();
    world.write("script.toml", b"listen = \"127.0.0.1:0\"\npeer = \"p\"\norganistion = \"x\"\n");
    let refused = world.run("serve --conformance script.toml");
    for said in ["config.invalid", "line 3", "organisation"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
}
