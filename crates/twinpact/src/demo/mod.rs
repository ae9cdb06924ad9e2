//! `demo`: the main job on real recordings, by the commands that a user would type.
//!
//! Nothing in here knows how a node works: the nodes are `twinpact serve` processes, and what is
//! shown behind a `$` runs this binary with that command line and holds its exit code against the
//! one that it must have. On shipped recordings there are three organisations ([`three`]): the
//! recording, the clocks and the answers go in over their admin doors. On a user's own recordings
//! there are two.

mod fact;
mod federation;
mod play;
mod stage;
mod three;

use crate::cli::Demo;
use crate::output::{Output, internal};
use play::Play;
use serde::Serialize;
use serde_json::Value;
use stage::Stage;
use std::process::ExitCode;
use twinpact_model::problem::Problem;

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    steps: Vec<Step>,
    nodes: Vec<Value>,
    agreement: Option<Value>,
    agreements: Vec<Value>,
    permitted: Vec<Value>,
    denied: Vec<Denied>,
    proof: Option<Value>,
}

/// A step with its time.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    name: String,
    ms: u128,
}

/// A refusal with its sentence.
#[derive(Debug, Serialize)]
pub(crate) struct Denied {
    name: String,
    code: String,
    sentence: String,
}

pub(crate) async fn demo(arguments: &Demo, out: Output) -> Result<ExitCode, Problem> {
    // Before anything is shown: what is wrong with the files is said by itself.
    let own = arguments.data.as_deref().zip(arguments.map.as_deref());
    let own = own.map(|(data, map)| Play::own(data, map, arguments)).transpose()?;
    let temporary = tempfile::tempdir().map_err(|e| internal(&format!("no place: {e}")))?;
    let place = match &arguments.keep {
        Some(keep) => {
            std::fs::create_dir_all(keep).map_err(|e| internal(&format!("no place: {e}")))?;
            keep.canonicalize().map_err(|e| internal(&format!("no place: {e}")))?
        }
        None => temporary.path().to_owned(),
    };
    let Some(play) = own else { return three::show(arguments, out, &place).await };
    let mut stage = Stage::new(out, place)?;
    fact::one_provable_fact(&mut stage, &play)?;
    let nodes = federation::two_nodes(&mut stage, &play)?;
    let report = &stage.report;
    out.result(report, |report| {
        let total: u128 = report.steps.iter().map(|step| step.ms).sum();
        format!("{} steps in {}.{:03} s", report.steps.len(), total / 1000, total % 1000)
    });
    stage.farewell();
    nodes.stop()?;
    if arguments.keep.is_none() {
        out.next("twinpact demo --keep DIR, and look around in DIR");
    }
    Ok(ExitCode::SUCCESS)
}
