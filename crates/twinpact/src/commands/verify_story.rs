//! `verify` of folders, or of several files: each proof by itself, and then what all that hold tell
//! together, in the order of time. Exit codes: 0 every proof holds, 22 one does not, 23 one is by
//! nobody whom you named, or at a lower level than required.

use super::verify::NOT_ENOUGH;
use crate::cli::Verify;
use crate::output::{Output, internal, line};
use crate::session::{file_problem, read_proof};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::story::{Collector, MAX_STORY_BUNDLES, Story};
use twinpact_proof::{Level, Trust};

/// How the files of proofs end; all else in a folder is left alone.
const PROOF: &str = "twinproof";

pub(super) fn verify(arguments: &Verify, trust: &Trust, out: Output) -> Result<ExitCode, Problem> {
    let files = files(&arguments.files)?;
    let required = arguments.require.as_deref().and_then(Level::parse).unwrap_or(Level::Signed);
    let mut collector = Collector::new(trust, required);
    for file in &files {
        collector.take(&file.to_string_lossy(), &read_proof(file)?);
    }
    let story = collector.finish();
    let told: Value = serde_json::from_str(&story.to_json().canonical())
        .map_err(|_| internal("the story cannot be written"))?;
    out.result(&told, |_| story.lines().join("\n"));
    let incidents = story.incidents();
    if incidents.len() > 1 {
        let names: Vec<String> = incidents.iter().map(|name| line(name)).collect();
        out.say(&format!("note: it is of {} incidents: {}", names.len(), names.join(", ")));
    }
    for (what, count) in [
        ("are the same as another, and count once", story.repeated.len()),
        ("hold, and tell nothing of this", story.others.len()),
    ] {
        if count > 0 {
            out.say(&format!("note: of {} proofs {count} {what}", files.len()));
        }
    }
    for one in &story.unused {
        let (file, why) = (line(&one.file), line(&one.why));
        let link = one.link.map_or(String::new(), |link| format!(" (link: {link})"));
        out.say(&format!("not used: {file}: {}: {why}{link}", one.code));
    }
    Ok(judged(&story, files.len(), out))
}

fn judged(story: &Story, files: usize, out: Output) -> ExitCode {
    if let Some((origin, files)) = story.forked.iter().next() {
        let [one, two] = files.each_ref().map(|file| line(file));
        let origin = line(origin);
        let message = format!("the log {origin} keeps two histories: {one} and {two} show it");
        return out.fail(&Problem::new(codes::PROOF_BROKEN, message));
    }
    let count = |code: &str| story.unused.iter().filter(|one| one.code == code).count();
    let (broken, all) = (count(codes::PROOF_BROKEN.name), story.unused.len());
    let message = format!("{all} of {files} proofs tell nothing of this story");
    if broken > 0 {
        return out.fail(&Problem::new(codes::PROOF_BROKEN, message));
    }
    let unanchored = count(codes::PROOF_UNANCHORED.name);
    let problem = match (unanchored, all) {
        (_, 0) => return ExitCode::SUCCESS,
        (0, _) => Problem::new(codes::PROOF_LEVEL, message),
        _ => Problem::new(codes::PROOF_UNANCHORED, message)
            .hint("pin who signed them, if you trust them: twinpact trust add RECORD"),
    };
    let _ = out.fail(&problem);
    ExitCode::from(NOT_ENOUGH)
}

/// The files that were named, and those of proofs in the folders that were, in order.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            files.extend(proofs(path)?);
        } else {
            files.push(path.clone());
        }
    }
    files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    files.dedup();
    match files.len() {
        0 => Err(Problem::new(codes::PROOF_NONE, format!("no file here ends in .{PROOF}"))
            .hint("the folder is written by: twinpact incident export INCIDENT --out FOLDER")),
        n if n > MAX_STORY_BUNDLES => Err(Problem::new(
            codes::INPUT_TOO_LARGE,
            format!("{n} proofs are more than the {MAX_STORY_BUNDLES} of one story"),
        )),
        _ => Ok(files),
    }
}

fn proofs(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let problem = |error: std::io::Error| file_problem(folder, &error);
    let mut files = Vec::new();
    for item in std::fs::read_dir(folder).map_err(problem)? {
        let path = item.map_err(problem)?.path();
        if path.extension().is_some_and(|end| end == PROOF) {
            files.push(path);
        }
    }
    Ok(files)
}
