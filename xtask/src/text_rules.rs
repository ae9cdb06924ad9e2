//! Rules about single files: style of Rust text, and what may stand in no tracked file at all.
//!
//! The length of functions is not counted here: clippy's `too_many_lines` counts it, and
//! [`crate::floors::check_workspace`] holds that lint on. Patterns are put together from pieces so
//! that this file does not find itself.

use crate::finding::{File, Finding};
use crate::floors;
use crate::rust_text::{self, Line, after_word, has_word};

/// The most lines of a Rust file.
pub(crate) const MAX_FILE_LINES: usize = 800;
/// The widest line of a Rust file in columns, without what stands inside literals.
pub(crate) const MAX_COLUMNS: usize = 100;
/// The floor from which on a crate may touch the outside world.
pub(crate) const FIRST_IMPURE_FLOOR: u8 = 4;

/// Names that say nothing, for crates and modules.
const EMPTY_NAMES: &[&str] = &[
    "core", "common", "util", "utils", "helper", "helpers", "manager", "managers", "handler",
    "handlers", "types", "base",
];

/// What code below [`FIRST_IMPURE_FLOOR`] may not name, and what it is to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "take bytes as a parameter"),
    ("std::net", "return an effect"),
    ("std::env", "take a value as a parameter"),
    ("std::process", "return an effect"),
    ("tokio::", "return an effect"),
    ("async", "return an effect"),
    ("await", "return an effect"),
    ("SystemTime::now", "take a WallTime or PolicyTime"),
    ("Instant::now", "take a WallTime or PolicyTime"),
    ("Timestamp::now", "take a WallTime or PolicyTime"),
    ("Zoned::now", "take a WallTime or PolicyTime"),
    ("thread_rng", "take random bytes or a generator"),
    ("OsRng", "take random bytes or a generator"),
    ("getrandom", "take random bytes or a generator"),
];

/// The modules of `std` that [`IMPURE`] names, for grouped imports.
const IMPURE_MODULES: &[&str] = &["fs", "net", "env", "process"];

/// Hosts of package registries: a build finds them in the user's configuration, never in ours.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("yarnpkg", ".com"),
    concat!("proxy.", "golang", ".org"),
    concat!("maven", ".org"),
    concat!("maven.apache", ".org"),
    concat!("docker", ".io"),
    concat!("docker", ".com"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
];

/// How Cargo itself writes the default registry into `Cargo.lock`, whatever mirror was used.
const LOCK_SOURCE: &str =
    concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"");

/// Folders of one machine.
const MACHINE_PATHS: &[&str] = &[concat!("/", "work/"), concat!("/", "tmp/")];

/// The independent verifier of proofs, its bounds, and all that it imports: Python's own.
const VERIFIER: &str = "tools/verify.py";
const MAX_VERIFIER_LINES: usize = 250;
const MAX_VERIFIER_COLUMNS: usize = 130;
const VERIFIER_IMPORTS: &str =
    "import argparse, base64, hashlib, json, pathlib, re, sys, tomllib  # noqa: E401";

/// All rules about this file.
#[must_use]
pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = check_places(file);
    if file.path.ends_with(".rs") {
        findings.extend(check_rust(file));
    }
    if file.path == VERIFIER {
        findings.extend(check_verifier(file));
    }
    findings
}

/// What makes the independent verifier one that a stranger can read in a sitting: its size, and
/// that it needs nothing but Python.
fn check_verifier(file: &File) -> Vec<Finding> {
    let count = file.text.lines().count();
    let long = (count > MAX_VERIFIER_LINES).then(|| (count, format!("{count} lines")));
    let lines = || numbered(file.text.lines());
    let wide = lines().filter(|(_, line)| line.chars().count() > MAX_VERIFIER_COLUMNS);
    let wide = wide.map(|(number, _)| (number, format!("over {MAX_VERIFIER_COLUMNS} columns")));
    let imports = lines().filter(|(_, line)| {
        let code = line.trim_start();
        (code.starts_with("import ") || code.starts_with("from ")) && *line != VERIFIER_IMPORTS
    });
    let imports = imports.map(|(number, line)| (number, format!("imports more: {line}")));
    let all = long.into_iter().chain(wide).chain(imports);
    all.map(|(number, reason)| Finding::new(&file.path, number, reason)).collect()
}

/// No registry host and no path of one machine.
fn check_places(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in numbered(file.text.lines()) {
        if file.path.ends_with("Cargo.lock") && line == LOCK_SOURCE {
            continue;
        }
        for host in REGISTRIES {
            if names_host(line, host) {
                let reason =
                    format!("the registry host {host} does not belong into the repository");
                findings.push(Finding::new(&file.path, number, reason));
            }
        }
        for path in MACHINE_PATHS {
            if names_path(line, path) {
                let reason = format!("{path} is a folder of one machine");
                findings.push(Finding::new(&file.path, number, reason));
            }
        }
    }
    findings
}

/// Whether the line names that host or one below it, and not a longer name.
fn names_host(line: &str, host: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    parts_around(line, host).any(|(before, after)| {
        !before.ends_with(inner)
            && !after.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !after.strip_prefix('.').is_some_and(|rest| rest.starts_with(inner))
    })
}

/// Whether the line has that absolute path; one behind a name or a dot is relative.
fn names_path(line: &str, path: &str) -> bool {
    let relative = |c: char| c.is_alphanumeric() || "_-.})]*".contains(c);
    parts_around(line, path).any(|(before, _)| !before.ends_with(relative))
}

fn parts_around<'a>(
    text: &'a str,
    pattern: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
    text.match_indices(pattern).filter_map(move |(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        Some((before, rest.strip_prefix(pattern)?))
    })
}

fn check_rust(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |line: usize, reason: String| {
        findings.push(Finding::new(&file.path, line, reason));
    };
    if !file.text.trim_start().starts_with("//!") {
        find(1, "the file does not start with //! that says what it is".to_owned());
    }
    let count = file.text.lines().count();
    if count > MAX_FILE_LINES {
        find(MAX_FILE_LINES + 1, format!("{count} lines; a file has at most {MAX_FILE_LINES}"));
    }
    if let Some(name) = file.path.trim_end_matches(".rs").split('/').find(|p| is_empty_name(p)) {
        find(1, format!("{name:?} says nothing; name what the module holds"));
    }
    let lines = rust_text::read(&file.text);
    for ((number, text), line) in numbered(file.text.lines()).zip(&lines) {
        for reason in line_reasons(&file.path, text, line) {
            find(number, reason);
        }
    }
    if is_pure(&file.path) {
        for (number, reason) in impurities(&lines) {
            find(number, reason);
        }
    }
    findings
}

/// What is wrong with one line, whatever the crate.
fn line_reasons(path: &str, text: &str, line: &Line) -> Vec<String> {
    let mut reasons = Vec::new();
    let width = text.chars().count();
    if width.saturating_sub(line.literal) > MAX_COLUMNS && !text.contains("://") {
        reasons.push(format!("{width} columns; a line has at most {MAX_COLUMNS}"));
    }
    if let Some(name) = inline_module(&line.code).filter(|name| is_empty_name(name)) {
        reasons.push(format!("{name:?} says nothing; name what the module holds"));
    }
    for left in ["todo!", "unimplemented!"] {
        if has_word(&line.code, left) {
            reasons.push(format!("{left} is left over"));
        }
    }
    if has_word(&line.code, "unsafe") {
        reasons.push("unsafe code is not written here".to_owned());
    }
    if let Some(after) = after_word(&line.code, "#[ignore")
        && !after.trim_start().starts_with('=')
    {
        reasons.push("a test is ignored without a reason: #[ignore = \"why\"]".to_owned());
    }
    if (line.in_test || is_test_file(path)) && sleeps(&line.code) {
        reasons.push("a test sleeps; wait for the event itself".to_owned());
    }
    if line.code.contains("allow(clippy::print_") && !path.starts_with("crates/twinpact/") {
        reasons.push("output belongs to the binary alone".to_owned());
    }
    reasons
}

/// The name in `mod NAME {`.
fn inline_module(code: &str) -> Option<&str> {
    let name = after_word(code, "mod")?.trim_start().strip_suffix('{')?;
    Some(name.trim())
}

fn is_empty_name(name: &str) -> bool {
    EMPTY_NAMES.contains(&name)
}

/// Whether a crate or module may not be called so.
#[must_use]
pub(crate) fn says_nothing(package: &str) -> bool {
    is_empty_name(package.strip_prefix("twinpact-").unwrap_or(package))
}

/// A call of any function named sleep, however it was imported.
fn sleeps(code: &str) -> bool {
    ["sleep", "sleep_until", "sleep_ms"]
        .into_iter()
        .any(|name| after_word(code, name).is_some_and(|after| after.trim_start().starts_with('(')))
}

/// Tests, benches and examples as files of their own.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"))
}

/// Whether the file is shipped code of a crate below [`FIRST_IMPURE_FLOOR`].
fn is_pure(path: &str) -> bool {
    let Some((room, rest)) = path.strip_prefix("crates/").and_then(|p| p.split_once('/')) else {
        return false;
    };
    rest.starts_with("src/")
        && !is_test_file(path)
        && floors::floor(room).is_some_and(|floor| floor < FIRST_IMPURE_FLOOR)
}

/// Where shipped code of a pure crate names the outside world.
fn impurities(lines: &[Line]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_group = false;
    for (number, line) in numbered(lines.iter()).filter(|(_, line)| !line.in_test) {
        for (name, instead) in IMPURE {
            if has_word(&line.code, name) {
                found.push((number, format!("{name} below floor 4; {instead}")));
            }
        }
        // use std::{fs, …}; over one line or several.
        let group = line.code.split_once("use std::{").map(|(_, rest)| rest);
        in_group |= group.is_some();
        if in_group {
            let names = group.unwrap_or(&line.code);
            for name in IMPURE_MODULES.iter().filter(|name| has_word(names, name)) {
                found.push((number, format!("std::{name} below floor 4; take a value instead")));
            }
            in_group = !names.contains(';');
        }
    }
    found
}

fn numbered<T>(items: impl Iterator<Item = T>) -> impl Iterator<Item = (usize, T)> {
    items.enumerate().map(|(i, item)| (i + 1, item))
}

#[cfg(test)]
mod tests {
    use super::{
        MAX_COLUMNS, MAX_FILE_LINES, MAX_VERIFIER_COLUMNS, MAX_VERIFIER_LINES, VERIFIER,
        VERIFIER_IMPORTS, check,
    };
    use crate::finding::File;

    /// What is found in a file of that text, as `line: first words of the reason`.
    fn check_text(path: &str, text: &str, expect: &[(usize, &str)]) {
        let found = check(&File::new(path, text));
        let lines: Vec<usize> = found.iter().map(|f| f.line).collect();
        let expected: Vec<usize> = expect.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, expected, "{path}: {text}: {found:?}");
        for (finding, (_, words)) in found.iter().zip(expect) {
            assert!(finding.reason.contains(words), "{path}: {finding} lacks {words:?}");
        }
    }

    /// The same after a first line that every Rust file needs; lines are counted behind it.
    fn check_code(path: &str, code: &str, expect: &[(usize, &str)]) {
        let expect: Vec<_> = expect.iter().map(|(line, words)| (line + 1, *words)).collect();
        check_text(path, &format!("//! It.\n{code}"), &expect);
    }

    #[test]
    fn a_file_says_what_it_is() {
        check_text("crates/twin/src/fold.rs", "//! It.\nfn f() {}\n", &[]);
        check_text("crates/twin/src/fold.rs", "\n//! It.\n", &[]);
        check_text("crates/twin/src/fold.rs", "// It.\n", &[(1, "//!")]);
        check_text("crates/twin/src/fold.rs", "", &[(1, "//!")]);
        check_text("docs/x.md", "", &[]);
    }

    #[test]
    fn files_and_lines_have_a_bound() {
        let lines = |n: usize| format!("//! It.\n{}", "\n".repeat(n - 1));
        check_text("crates/edge/src/a.rs", &lines(MAX_FILE_LINES), &[]);
        check_text("crates/edge/src/a.rs", &lines(MAX_FILE_LINES + 1), &[(801, "801 lines")]);
        let name = |n: usize| format!("{};", "é".repeat(n - 1));
        check_code("crates/edge/src/a.rs", &name(MAX_COLUMNS), &[]);
        check_code("crates/edge/src/a.rs", &name(MAX_COLUMNS + 1), &[(1, "101 columns")]);
        check_code("crates/edge/src/a.rs", &format!("f(\"{}\");", "x".repeat(200)), &[]);
        check_code("crates/edge/src/a.rs", &format!("// https://{}", "x".repeat(200)), &[]);
        check_code("crates/edge/src/a.rs", &format!("// {}", "x ".repeat(50)), &[(1, "columns")]);
    }

    #[test]
    fn the_verifier_is_short_and_needs_nothing() {
        let check = |text: &str, expect| check_text(VERIFIER, text, expect);
        let whole = format!("{VERIFIER_IMPORTS}\n");
        check(&whole, &[]);
        check(&whole.repeat(MAX_VERIFIER_LINES + 1), &[(251, "251 lines")]);
        check(&format!("{whole}# {}", "x".repeat(MAX_VERIFIER_COLUMNS)), &[(2, "130 columns")]);
        check(&format!("{whole}def f():\n    import nacl"), &[(3, "nacl")]);
        check(&format!("{whole}from os import path"), &[(2, "os")]);
    }

    #[test]
    fn names_say_something() {
        check_code("crates/edge/src/types.rs", "", &[(0, "\"types\"")]);
        check_code("crates/edge/src/util/x.rs", "", &[(0, "\"util\"")]);
        check_code("crates/edge/tests/common/mod.rs", "", &[(0, "\"common\"")]);
        check_code("crates/edge/src/type_model.rs", "mod database {\n}", &[]);
        check_code("crates/edge/src/a.rs", "pub mod handlers {\n}", &[(1, "handlers")]);
        for (package, bad) in [("twinpact-core", true), ("twinpact-edge", false), ("util", true)] {
            assert_eq!(super::says_nothing(package), bad, "{package}");
        }
    }

    #[test]
    fn nothing_is_left_over() {
        check_code("xtask/src/a.rs", "fn f() { todo!() }", &[(1, "todo!")]);
        check_code(
            "xtask/src/a.rs",
            "\nfn f() { unimplemented!(\"x\") }",
            &[(2, "unimplemented!")],
        );
        check_code("xtask/src/a.rs", "fn f() { g(\"todo!\") } // todo!", &[]);
        check_code("xtask/src/a.rs", "unsafe { f() }", &[(1, "unsafe")]);
        check_code("xtask/src/a.rs", "#![forbid(unsafe_code)]", &[]);
        check_code("crates/node/src/a.rs", "#[allow(clippy::print_stdout)]", &[(1, "output")]);
        check_code("crates/twinpact/src/a.rs", "#![allow(clippy::print_stdout)]", &[]);
    }

    #[test]
    fn tests_run_and_do_not_sleep() {
        check_code("crates/node/src/a.rs", "#[ignore]", &[(1, "without a reason")]);
        check_code("crates/node/src/a.rs", "#[ignore = \"needs a broker\"]", &[]);
        for call in ["thread::sleep(d)", "tokio::time::sleep(d).await", "sleep_until (t)"] {
            let test = format!("#[cfg(test)]\nmod tests {{\n fn f() {{ {call}; }}\n}}\n");
            check_code("crates/node/src/a.rs", &test, &[(3, "sleeps")]);
            check_code("crates/node/src/a.rs", &format!("fn f() {{ {call}; }}"), &[]);
            let whole = format!("fn f() {{ {call}; }}");
            check_code("crates/node/tests/it/main.rs", &whole, &[(1, "sleeps")]);
        }
        check_code("crates/node/tests/it/main.rs", "let sleep = asleep(1);", &[]);
    }

    #[test]
    fn pure_floors_touch_nothing() {
        for (code, words) in [
            ("use std::fs;", "std::fs"),
            ("std::env::var(x)", "std::env"),
            ("use std::net::IpAddr;", "std::net"),
            ("SystemTime::now()", "SystemTime::now"),
            ("Instant::now()", "Instant::now"),
            ("jiff::Timestamp::now()", "Timestamp::now"),
            ("Zoned::now()", "Zoned::now"),
            ("tokio::spawn(x)", "tokio::"),
            ("async fn f() {}", "async"),
            ("use rand::rngs::OsRng;", "OsRng"),
            ("use std::{env, fmt};", "std::env"),
        ] {
            for room in ["model", "proof", "twin", "contract", "policy", "dsp"] {
                check_code(&format!("crates/{room}/src/a.rs"), code, &[(1, words)]);
            }
            let test = format!("#[cfg(test)]\nmod tests {{\n{code}\n}}");
            check_code("crates/model/src/a.rs", &test, &[]);
            for path in ["crates/store/src/a.rs", "crates/dsp/tests/it/a.rs", "crates/dsp/build.rs"]
            {
                check_code(path, code, &[]);
            }
        }
        check_code("crates/dsp/src/a.rs", "use std::{\n    fmt,\n    fs,\n};\nfs();", &[(3, "fs")]);
        check_code("crates/dsp/src/a.rs", "env!(\"CARGO_MANIFEST_DIR\"); my::std::fsx", &[]);
    }

    #[test]
    fn no_place_of_one_machine_is_named() {
        let host = concat!("crates", ".io");
        for (line, found) in [
            (format!("see https://{host}/x"), true),
            (format!("index.{host}."), true),
            (format!("my{host}"), false),
            (format!("{host}n"), false),
            (format!("{host}.example"), false),
            (format!("cd {}x", concat!("/", "work/")), true),
            (format!("\"{}x\"", concat!("/", "tmp/")), true),
            (format!("file://{}", concat!("/", "tmp/")), true),
            (format!("target{}x", concat!("/", "tmp/")), false),
            (format!("..{}x", concat!("/", "work/")), false),
        ] {
            let found = check(&File::new("docs/a.md", line.as_str())).len() == usize::from(found);
            assert!(found, "{line}");
        }
        let lock = |line: &str| check(&File::new("Cargo.lock", line)).len();
        assert_eq!(lock(super::LOCK_SOURCE), 0);
        assert_eq!(lock(&super::LOCK_SOURCE.replace("github.com", "mirror.example")), 1);
    }
}
