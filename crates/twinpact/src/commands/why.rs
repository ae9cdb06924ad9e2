//! `why`: the story of a negotiation or transfer, step by step, and what is missing.

use super::negotiation::ended;
use crate::cli::Dir;
use crate::output::{Output, line, table};
use crate::session::get;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{WhyShown, WhyStep};

pub(crate) async fn why(dir: &Dir, pid: &str, out: Output) -> Result<ExitCode, Problem> {
    let shown: WhyShown = get(&dir.dir, &format!("/processes/{}/why", segment(pid))).await?;
    out.result(&shown, text);
    let flag = dir.flag();
    out.next(&match (shown.process.as_str(), shown.turn.as_str()) {
        ("negotiation", "ours") => format!("twinpact negotiation show {pid}{flag}"),
        ("negotiation", _) => format!("twinpact negotiation list{flag}"),
        _ => format!("twinpact agreement list{flag}"),
    });
    Ok(ExitCode::SUCCESS)
}

fn text(shown: &WhyShown) -> String {
    let WhyShown { process, pid, partner, role, state, .. } = shown;
    let mut rows = vec![
        format!("{process} {pid} with {partner} as {role}, {state}"),
        format!("  {}", line(&shown.waiting_for)),
    ];
    rows.extend(shown.missing.iter().map(|one| format!("  missing: {}", line(one))));
    rows.extend(shown.ended.as_ref().map(ended));
    if shown.forgotten > 0 {
        rows.push(format!("  {} older steps are forgotten", shown.forgotten));
    }
    let step = |one: &WhyStep| vec![one.at.to_string(), one.what.clone(), one.text.clone()];
    rows.push(table(&["time", "what", "why"], &shown.steps.iter().map(step).collect::<Vec<_>>()));
    rows.join("\n")
}
