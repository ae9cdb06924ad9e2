//! `restore --successor`: a new log over a directory that is an older copy of itself.

use crate::cli::Restore;
use crate::output::Output;
use crate::session::read_file;
use serde_json::json;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::Cut;
use twinpact_node::restore::{self, Given};
use twinpact_proof::to_hex;

pub(crate) fn restore(arguments: &Restore, out: Output) -> Result<ExitCode, Problem> {
    let dir = &arguments.dir.dir;
    let bytes = arguments.checkpoint.as_deref().map(read_file).transpose()?;
    let given = bytes.as_deref().map(Given::read).transpose()?;
    let restored = restore::successor(dir, given.as_ref())?;
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
    if let Some(cut) = restored.cut {
        say_cut(cut, out);
    }
    out.say("twins, contracts, agreements and keys are as they were in this copy");
    out.say("once the node runs, partners learn of its new record by themselves");
    out.next(&format!("twinpact serve --dir {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// Says what was torn at the end of the log and is cut.
fn say_cut(cut: Cut, out: Output) {
    out.say(&format!(
        "a torn tail of {} bytes was cut at offset {} of segment {}",
        cut.bytes, cut.offset, cut.segment
    ));
}
