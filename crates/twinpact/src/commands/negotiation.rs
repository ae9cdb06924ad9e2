//! `negotiation list|show|offer|accept|counter|terminate`: a person takes over a negotiation.

use super::exchange::{body, post_to_running};
use crate::cli::{Dir, Negotiation};
use crate::output::{Output, line, table};
use crate::session::{get, read_file};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::api::{
    CounterAsked, EndedLine, NegotiationLine, NegotiationShown, OfferAsked, TerminateAsked,
};

pub(crate) async fn run(command: Negotiation, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Negotiation::List { dir } => {
            let all: Vec<NegotiationLine> = get(&dir.dir, "/negotiations").await?;
            out.result(&all, |all| list(all));
            out.next(&format!("twinpact negotiation show PID{}", dir.flag()));
        }
        Negotiation::Show { dir, pid } => {
            let path = format!("/negotiations/{}", segment(&pid));
            tell(out, &dir, &get(&dir.dir, &path).await?);
        }
        Negotiation::Offer { dir, partner, dataset, policy } => {
            let policy = policy.as_deref().map(read_policy).transpose()?;
            let asked = body(&OfferAsked { partner, dataset, policy })?;
            tell(out, &dir, &post_to_running(&dir, "/negotiations/offers", asked).await?);
        }
        Negotiation::Accept { dir, pid } => decide(&dir, &pid, "accept", Vec::new(), out).await?,
        Negotiation::Counter { dir, pid, policy } => {
            let policy = policy.as_deref().map(read_policy).transpose()?;
            decide(&dir, &pid, "counter", body(&CounterAsked { policy })?, out).await?;
        }
        Negotiation::Terminate { dir, pid, reason } => {
            decide(&dir, &pid, "terminate", body(&TerminateAsked { reason })?, out).await?;
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
    let path = format!("/negotiations/{}/{what}", segment(pid));
    tell(out, dir, &post_to_running(dir, &path, body).await?);
    Ok(())
}

fn read_policy(file: &Path) -> Result<Value, Problem> {
    let bytes = read_file(file)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Problem::new(codes::INPUT_MALFORMED, format!("{}: {e}", file.display()))
            .hint("`twinpact negotiation show PID --json` has a policy to start from")
    })
}

fn tell(out: Output, dir: &Dir, shown: &NegotiationShown) {
    out.result(shown, text);
    let (pid, flag) = (&shown.line.pid, dir.flag());
    match (shown.line.turn.as_str(), shown.choices.first(), &shown.agreement) {
        ("ours", Some(choice), _) => {
            out.next(&format!("twinpact negotiation {choice} {pid}{flag}"))
        }
        ("peers", ..) => out.next(&format!("twinpact why {pid}{flag}")),
        ("nobody", _, Some(_)) => out.next(&format!("twinpact agreement list{flag}")),
        _ => out.next(&format!("twinpact negotiation list{flag}")),
    }
}

fn list(all: &[NegotiationLine]) -> String {
    let row = |one: &NegotiationLine| {
        vec![
            one.pid.clone(),
            one.role.clone(),
            one.partner.clone(),
            one.dataset.clone().unwrap_or_default(),
            one.state.clone(),
            turn(&one.turn).to_owned(),
            one.since.to_string(),
            one.until.map_or(String::new(), |until| until.to_string()),
        ]
    };
    let head = ["pid", "we are", "partner", "dataset", "state", "turn", "since", "until"];
    table(&head, &all.iter().map(row).collect::<Vec<_>>())
}

/// Whose turn it is, in the words of a person.
pub(super) fn turn(whose: &str) -> &str {
    match whose {
        "ours" => "yours",
        "peers" => "theirs",
        _ => "over",
    }
}

fn text(shown: &NegotiationShown) -> String {
    let one = &shown.line;
    let mut rows = vec![
        format!("negotiation {}", one.pid),
        format!("  with {} as {}, {}", one.partner, one.role, one.state),
        format!("  {}", line(&shown.waiting_for)),
        format!("  dataset: {}", line(one.dataset.as_deref().unwrap_or("none is named"))),
        format!("  terms: {}", line(&shown.terms)),
    ];
    rows.extend(shown.asked.as_ref().map(|asked| format!("  you asked for: {}", line(asked))));
    rows.extend(shown.differences.iter().map(|one| format!("    {}", line(one))));
    rows.extend(shown.agreement.as_ref().map(|id| format!("  agreement: {}", line(id))));
    rows.extend(shown.ended.as_ref().map(ended));
    if !shown.choices.is_empty() {
        rows.push(format!("  you may: {}", shown.choices.join(", ")));
    }
    rows.join("\n")
}

/// How a process ended, as a line.
pub(super) fn ended(ended: &EndedLine) -> String {
    let by = match ended.by.as_str() {
        "ours" => "by you",
        "peers" => "by the partner",
        _ => "by its deadline",
    };
    let code = ended.code.as_ref().map_or(String::new(), |code| format!(" [{code}]"));
    format!("  ended {by}{}: {}", line(&code), line(&ended.reasons.join("; ")))
}
