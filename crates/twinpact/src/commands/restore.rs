//! `restore --successor`: a new log over a directory that is an older copy of itself.

use crate::cli::Restore;
use crate::output::Output;
use crate::session::{read_file, read_text};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::restore;
use twinpact_proof::{Bundle, to_hex};

pub(crate) fn restore(arguments: &Restore, out: Output) -> Result<ExitCode, Problem> {
    let dir = &arguments.dir.dir;
    let given = arguments.checkpoint.as_deref().map(checkpoint).transpose()?;
    let restored = restore::successor(dir, given.as_deref())?;
    let before = restored.predecessors.iter().map(|one| {
        json!({
            "origin": one.origin,
            "size": one.size,
            "root": to_hex(&one.root),
            "reason": one.reason,
        })
    });
    let made = json!({
        "directory": dir,
        "origin": restored.origin,
        "predecessors": before.collect::<Vec<_>>(),
    });
    out.result(&made, |_| {
        let ended = |one: &twinpact_proof::successor::Predecessor| {
            format!("  after {}, which ended at size {}", one.origin, one.size)
        };
        let mut lines = vec![format!("the log is now {}", restored.origin)];
        lines.extend(restored.predecessors.iter().map(ended));
        lines.join("\n")
    });
    out.say("twins, contracts, agreements and keys are as they were in this copy");
    out.say("once the node runs, partners learn of its new record by themselves");
    out.next(&format!("twinpact serve --dir {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// The checkpoint in a file: by itself, or inside a proof of ours.
fn checkpoint(file: &Path) -> Result<String, Problem> {
    match Bundle::parse(&read_file(file)?) {
        Ok(bundle) => Ok(bundle.checkpoint),
        Err(_) => read_text(file),
    }
}
