//! `transfer list|show|suspend|resume|complete|terminate`: a person takes over a transfer.

use super::exchange::{body, post_to_running};
use super::negotiation::{ended, turn};
use crate::cli::{Dir, Transfer};
use crate::output::{Output, line, table};
use crate::session::get;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{TerminateAsked, TransferLine, TransferShown};

pub(crate) async fn run(command: Transfer, out: Output) -> Result<ExitCode, Problem> {
    let why = |reason: String| body(&TerminateAsked { reason });
    match command {
        Transfer::List { dir } => {
            let all: Vec<TransferLine> = get(&dir.dir, "/transfers").await?;
            out.result(&all, |all| list(all));
            out.next(&format!("twinpact transfer show PID{}", dir.flag()));
        }
        Transfer::Show { dir, pid } => {
            let path = format!("/transfers/{}", segment(&pid));
            tell(out, &dir, &get(&dir.dir, &path).await?);
        }
        Transfer::Suspend { dir, pid, reason } => {
            decide(&dir, &pid, "suspend", why(reason)?, out).await?;
        }
        Transfer::Resume { dir, pid } => decide(&dir, &pid, "resume", Vec::new(), out).await?,
        Transfer::Complete { dir, pid } => decide(&dir, &pid, "complete", Vec::new(), out).await?,
        Transfer::Terminate { dir, pid, reason } => {
            decide(&dir, &pid, "terminate", why(reason)?, out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the running node: what is decided is sent by it.
async fn decide(
    dir: &Dir,
    pid: &str,
    what: &str,
    body: Vec<u8>,
    out: Output,
) -> Result<(), Problem> {
    let path = format!("/transfers/{}/{what}", segment(pid));
    tell(out, dir, &post_to_running(dir, &path, body).await?);
    Ok(())
}

fn tell(out: Output, dir: &Dir, shown: &TransferShown) {
    out.result(shown, text);
    let (pid, flag) = (&shown.line.pid, dir.flag());
    match shown.by_hand {
        true => out.next(&format!("twinpact transfer resume {pid}{flag}")),
        false => out.next(&format!("twinpact why {pid}{flag}")),
    }
}

fn list(all: &[TransferLine]) -> String {
    let row = |one: &TransferLine| {
        vec![
            one.pid.clone(),
            one.role.clone(),
            one.partner.clone(),
            one.agreement.clone().unwrap_or_default(),
            one.format.clone(),
            one.state.clone(),
            turn(&one.turn).to_owned(),
            one.since.to_string(),
        ]
    };
    let head = ["pid", "we are", "partner", "agreement", "format", "state", "turn", "since"];
    table(&head, &all.iter().map(row).collect::<Vec<_>>())
}

fn text(shown: &TransferShown) -> String {
    let one = &shown.line;
    let agreement = one.agreement.as_deref().unwrap_or(&one.at_id);
    let mut rows = vec![
        format!("transfer {}", one.pid),
        format!("  with {} as {}, {}", one.partner, one.role, one.state),
        format!("  {}", line(&shown.waiting_for)),
        format!("  agreement: {}", line(agreement)),
        format!("  format: {}", line(&one.format)),
    ];
    if shown.by_hand {
        rows.push("  suspended by you: the node does not resume it".to_owned());
    }
    rows.extend(shown.ended.as_ref().map(ended));
    if !shown.choices.is_empty() {
        rows.push(format!("  you may: {}", shown.choices.join(", ")));
    }
    rows.join("\n")
}
