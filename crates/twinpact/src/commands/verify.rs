//! `verify`: a proof, or a story of many, against what was pinned, offline. Exit codes: 0 it holds
//! at a level that is enough, 22 a link is broken, 23 it is consistent but signed by nobody whom
//! you named, or holds at a lower level than required.

use super::trust::read_trust;
use super::verify_story;
use crate::cli::Verify;
use crate::output::{Output, line};
use crate::session::{Session, read_proof};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::evidence::Fork;
use twinpact_proof::{Broken, Level, Trust, Verdict, to_hex, verify as check};

/// The proof holds, but for somebody else than was named, or less than was asked for.
pub(super) const NOT_ENOUGH: u8 = 23;

pub(crate) async fn verify(arguments: &Verify, out: Output) -> Result<ExitCode, Problem> {
    let file = match arguments.files.as_slice() {
        [file] if !file.is_dir() => Some((file.as_path(), read_proof(file)?)),
        _ => None,
    };
    let trust = match &arguments.node {
        Some(dir) => Some(pinned_by(dir).await?),
        None => arguments.trust.as_deref().map(read_trust).transpose()?,
    };
    let Some((file, bytes)) = file else {
        return verify_story::verify(arguments, &trust.unwrap_or_default(), out);
    };
    if Fork::is_meant(&bytes) {
        return Ok(evidence(arguments, &bytes, trust.as_ref(), out));
    }
    let required = arguments.require.as_deref().and_then(Level::parse);
    match check(&bytes, trust.as_ref()) {
        Err(broken) => Ok(report_broken(&broken, out)),
        Ok(verdict) => Ok(report((arguments, file), &verdict, required, out)),
    }
}

/// Whom that node trusts; it needs no partner and no network to say so.
async fn pinned_by(dir: &Path) -> Result<Trust, Problem> {
    let session = Session::open(dir).await?;
    let trust = session.client.get("/trust").await;
    session.close().await;
    trust
}

fn report_broken(broken: &Broken, out: Output) -> ExitCode {
    let document =
        json!({ "holds": false, "link": broken.link.name(), "sentence": broken.sentence });
    if out.is_json() {
        out.result(&document, |_| String::new());
    }
    let message = format!("{} (link: {})", broken.sentence, broken.link.name());
    out.fail(&Problem::new(codes::PROOF_BROKEN, message))
}

fn report(
    (arguments, file): (&Verify, &Path),
    verdict: &Verdict,
    required: Option<Level>,
    out: Output,
) -> ExitCode {
    let document = json!({
        "holds": true,
        "level": verdict.level.name(),
        "issuer": verdict.issuer,
        "audience": verdict.audience,
        "statement": verdict.statement,
        "notes": verdict.notes,
        "uncountersigned": verdict.uncountersigned,
        "witnesses": verdict.witnesses,
    });
    out.result(&document, |_| {
        let level = format!("level: {}", verdict.level.name());
        let lines = verdict.statement.iter().map(|text| line(text));
        lines.chain([level]).collect::<Vec<_>>().join("\n")
    });
    verdict.notes.iter().for_each(|note| out.say(&format!("note: {}", line(note))));
    let enough = required.unwrap_or(Level::Signed);
    if verdict.level >= enough || required == Some(Level::Unanchored) {
        return ExitCode::SUCCESS;
    }
    let problem = match verdict.level {
        Level::Unanchored => unanchored((arguments, file), verdict),
        level => {
            let why = verdict.uncountersigned.as_ref();
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            let (level, enough) = (level.name(), enough.name());
            let message = format!("the proof is {level}, and {enough} is required{why}");
            Problem::new(codes::PROOF_LEVEL, message)
        }
    };
    let _ = out.fail(&problem);
    ExitCode::from(NOT_ENOUGH)
}

/// Evidence that a log keeps two histories. It holds, exit code 0, when it convicts somebody whom
/// the reader named.
fn evidence(arguments: &Verify, bytes: &[u8], trust: Option<&Trust>, out: Output) -> ExitCode {
    let found = match Fork::parse(bytes).and_then(|fork| fork.verify(trust)) {
        Err(broken) => return report_broken(&broken, out),
        Ok(found) => found,
    };
    let document = json!({
        "holds": true,
        "evidence": "fork",
        "level": found.level.name(),
        "organisation": found.organisation,
        "origin": found.origin,
        "size": found.size,
        "roots": found.roots.iter().map(|root| to_hex(root)).collect::<Vec<_>>(),
        "notes": found.notes,
    });
    out.result(&document, |_| format!("{}\nlevel: {}", found.sentence, found.level.name()));
    found.notes.iter().for_each(|note| out.say(&format!("note: {}", line(note))));
    if found.level >= Level::Signed {
        return ExitCode::SUCCESS;
    }
    let trust = arguments.trust.as_deref().map_or("trust.toml".into(), |t| t.to_string_lossy());
    let message = format!("the log {} is of nobody whom you named", line(&found.origin));
    let hint = format!("pin its organisation: twinpact trust add RECORD --trust {trust}");
    let _ = out.fail(&Problem::new(codes::PROOF_UNANCHORED, message).hint(hint));
    ExitCode::from(NOT_ENOUGH)
}

/// Not broken: nobody whom the reader named stands behind it.
fn unanchored((arguments, file): (&Verify, &Path), verdict: &Verdict) -> Problem {
    let file = file.display();
    let trust = arguments.trust.as_deref().map_or("trust.toml".into(), |t| t.to_string_lossy());
    let fingerprint = verdict
        .unpinned
        .iter()
        .find(|unpinned| unpinned.did == verdict.issuer)
        .map_or(String::new(), |unpinned| to_hex(&unpinned.record));
    Problem::new(
        codes::PROOF_UNANCHORED,
        format!("the proof is consistent, but {} is nobody whom you named", verdict.issuer),
    )
    .hint(format!(
        "if {} confirms the fingerprint {fingerprint}, pin it with: \
         twinpact trust add {file} --trust {trust}",
        verdict.issuer
    ))
}
