//! What people and scripts rely on, as committed lists: the help of every command, and every error
//! code with its fault and exit code. A change shows up in a file that is reviewed.

use crate::tree;
use crate::world::World;
use std::path::Path;
use twinpact_model::codes;

/// Holds a text against the file, or writes the file anew and fails, so that it is looked at.
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let bless = std::env::var_os("TWINPACT_BLESS").is_some();
    if bless {
        std::fs::write(&path, text).unwrap();
    }
    assert!(!bless, "{name} was written anew: look at it, and run again without the variable");
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).find(|(golden, text)| golden != text);
    assert!(
        golden == text,
        "crates/twinpact/tests/golden/{name} differs, first at {differs:?}; when it is meant so, \
         TWINPACT_BLESS=1 writes it anew"
    );
}

#[test]
fn the_help_of_every_command_is_that_of_the_golden_file() {
    let world = World::empty();
    let mut all = String::new();
    for command in tree::commands(&world) {
        let help = world.run(&format!("{} --help", command.words));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{}", command.words);
        let trimmed: Vec<&str> = help.stdout.lines().map(str::trim_end).collect();
        let line = format!("twinpact {}", command.words);
        all.push_str(&format!(
            "$ {} --help\n{}\n\n",
            line.trim_end(),
            trimmed.join("\n").trim_end()
        ));
    }
    check("help.txt", &all);
}

#[test]
fn the_error_codes_are_those_of_the_golden_file() {
    let line = |code: &twinpact_model::Code| {
        format!("{} | {} | {} | {}\n", code.name, code.fault, code.class.exit_code(), code.title)
    };
    check("codes.txt", &codes::ALL.iter().map(line).collect::<String>());
}

/// Every exit code that a command can end with stands in the table, and no other one.
#[test]
fn exit_codes_are_documented() {
    let page = include_str!("../../../../docs/errors/README.md");
    let cell = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok();
    let mut documented: Vec<u8> = page.lines().filter_map(cell).collect();
    documented.sort_unstable();
    let mut ours: Vec<u8> = codes::ALL.iter().map(|code| code.class.exit_code()).collect();
    // Done, a wrong command line, and a proof that holds for somebody else than was named.
    ours.extend([0, 2, 23]);
    ours.sort_unstable();
    ours.dedup();
    assert_eq!(documented, ours);
}
