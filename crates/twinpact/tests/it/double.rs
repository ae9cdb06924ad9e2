//! `docs/test-double.md` as it stands: its script is one, and its Python does what it says. The
//! test of JUnit is compiled by nobody here.

use crate::world::World;
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../../../docs/test-double.md");

/// What pytest does with the two files of the page.
const RUNNER: &str = "
import importlib, sys, types
pytest = types.ModuleType('pytest')
pytest.fixture = lambda function: function
sys.modules['pytest'] = pytest
fixture = importlib.import_module('conftest').double()
importlib.import_module('test_catalogue').test_the_catalogue_has_the_parts(next(fixture))
next(fixture, None)
print('passed')
";

/// The blocks of the page in that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begins = format!("```{language}\n");
    let parts = PAGE.split(&begins).skip(1);
    parts.map(|part| part.split("```").next().unwrap()).collect()
}

#[test]
fn the_page_about_the_double_runs_as_it_stands() {
    let world = World::empty();
    let (scripts, python) = (blocks("toml"), blocks("python"));
    assert_eq!((scripts.len(), python.len(), blocks("java").len()), (1, 2, 1));
    world.write("script.toml", scripts[0].as_bytes());
    world.write("conftest.py", python[0].as_bytes());
    world.write("test_catalogue.py", python[1].as_bytes());
    let binary = Path::new(env!("CARGO_BIN_EXE_twinpact")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let run = Command::new("python3")
        .args(["-c", RUNNER])
        .current_dir(world.path(""))
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    let Ok(run) = run else {
        eprintln!("skipped: python3 is not here");
        return;
    };
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.trim() == "passed", "{said}{}", String::from_utf8_lossy(&run.stderr));
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
