//! `model guess`: a type model and a map, proposed from a file and written beside each other.

use super::mend::writable;
use crate::cli::GuessModel;
use crate::output::{Output, count, line, shell};
use crate::session::write_file;
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use twinpact_edge::guess::{Asked, Guess, Sample, guess};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

pub(crate) fn run(arguments: &GuessModel, out: Output) -> Result<ExitCode, Problem> {
    let path = &arguments.file;
    let file = File::open(path).map_err(|error| {
        Problem::new(codes::INGEST_FILE, format!("{}: {error}", path.display()))
    })?;
    let sample = Sample::read(file)?;
    let name = arguments.name.clone().unwrap_or_else(|| stem(path));
    let guess = guess(&sample, &Asked { name: &name, zone: arguments.zone.as_deref() })?;
    let name = guess.reference.split('@').next().unwrap_or_default();
    // A path that begins with "./" says nothing more.
    let out_dir = arguments.out_dir.strip_prefix(".").unwrap_or(&arguments.out_dir);
    let model = out_dir.join(format!("{name}.toml"));
    let map = out_dir.join(format!("{name}.map.toml"));
    writable(&model, arguments.force)?;
    writable(&map, arguments.force)?;
    write_file(&model, guess.model.as_bytes())?;
    write_file(&map, guess.map.as_bytes())?;
    show(&guess, &sample, &model, &map, out);
    let (model, map, flag) = (shell(&model), shell(&map), arguments.dir.flag());
    let file = shell(path);
    out.next(&format!("twinpact ingest {file} --model {model} --map {map}{flag}"));
    Ok(ExitCode::SUCCESS)
}

/// The name of the file without what says that it is a packed CSV file.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

fn show(guess: &Guess, sample: &Sample, model: &Path, map: &Path, out: Output) {
    let proposals: Vec<_> = guess
        .proposals
        .iter()
        .map(|p| {
            json!({
                "about": p.about, "value": p.value, "reason": p.reason, "certain": p.certain,
            })
        })
        .collect();
    let refused: Vec<_> = guess
        .refused
        .iter()
        .map(|r| json!({ "code": r.code, "rows": r.rows, "line": r.line, "reason": r.reason }))
        .collect();
    let made = json!({
        "reference": guess.reference,
        "model": model,
        "map": map,
        "rows": guess.rows,
        "whole": sample.whole,
        "colliding": guess.colliding,
        "refused": refused,
        "proposals": proposals,
    });
    out.result(&made, |_| format!("{}\n{}", model.display(), map.display()));
    if out.is_json() {
        return;
    }
    let part = if sample.whole { "all" } else { "the first" };
    out.say(&format!("looked at {part} {} rows", count(guess.rows)));
    for refusals in &guess.refused {
        let (rows, at) = (count(refusals.rows), refusals.line);
        let reason = line(&refusals.reason);
        out.say(&format!(
            "  would be refused[{}]: {rows}, like line {at}: {reason}",
            refusals.code
        ));
    }
    for proposal in guess.proposals.iter().filter(|proposal| !proposal.certain) {
        out.say(&format!("  check {}: {}", line(&proposal.about), line(&proposal.reason)));
    }
}
