//! Chores of the repository. `cargo run -p xtask -- tidy` holds the house rules that no compiler
//! checks, and prints each broken one as `file:line: reason`.
//!
//! This file touches the world (git, cargo, the disk); the rules take values: [`floors`] about
//! crates, [`text_rules`] about single files, [`docs_rules`] about documents.

mod docs_rules;
mod finding;
mod floors;
mod limits_rule;
mod rust_text;
mod text_rules;
mod threats_rule;

use finding::{File, Finding};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy(),
        _ => Err("usage: cargo run -p xtask -- tidy".to_owned()),
    };
    let (text, code) = match result {
        Ok((report, true)) => (report, ExitCode::SUCCESS),
        Ok((report, false)) => (report, ExitCode::FAILURE),
        Err(why) => (format!("xtask: {why}\n"), ExitCode::from(2)),
    };
    let written = std::io::stderr().write_all(text.as_bytes());
    if written.is_ok() { code } else { ExitCode::FAILURE }
}

/// Runs every rule; the report, and whether nothing was found.
fn tidy() -> Result<(String, bool), String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let root = output(Command::new("git").args(["rev-parse", "--show-toplevel"]))?;
    let root = Path::new(String::from_utf8_lossy(&root).trim_end()).to_owned();
    let (files, paths) = repository(&root)?;
    let metadata = output(
        Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(&root),
    )?;
    let packages = floors::packages(&metadata, |path| {
        std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
    })?;

    let mut findings: Vec<Finding> = packages.iter().flat_map(floors::check).collect();
    let file = |path: &str| {
        let found = files.iter().find(|file| file.path == path).cloned();
        found.unwrap_or_else(|| File::new(path, ""))
    };
    findings.extend(floors::check_workspace(&file("Cargo.toml"), &file("clippy.toml")));
    findings.extend(files.iter().flat_map(text_rules::check));
    findings.extend(docs_rules::check(&files, &paths));
    findings.extend(limits_rule::check(&files));
    findings.extend(threats_rule::check(&files));
    findings.sort();

    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let (files, crates) = (files.len(), packages.len());
    let summary = match findings.len() {
        0 => format!("tidy: {files} text files and {crates} crates, nothing found\n"),
        found => format!("tidy: {found} found in {files} text files and {crates} crates\n"),
    };
    Ok((lines + &summary, findings.is_empty()))
}

/// The text files of the repository, and the paths of all its files: what is tracked, and what
/// would be if everything were added now.
fn repository(root: &Path) -> Result<(Vec<File>, BTreeSet<String>), String> {
    let listed = output(
        Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root),
    )?;
    let (mut files, mut paths) = (Vec::new(), BTreeSet::new());
    for path in listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = String::from_utf8_lossy(path).into_owned();
        // Deleted and not yet committed, or a link to a folder: there is nothing to read.
        let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes)
            && !text.contains('\0')
            && !paths.contains(&path)
        {
            files.push(File::new(path.as_str(), text));
        }
        paths.insert(path);
    }
    Ok((files, paths))
}

/// What the command printed.
fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name} cannot be started: {e}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
    }
}
