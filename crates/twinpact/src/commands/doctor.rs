//! `doctor`: what keeps a node from working, or soon will, and what to do about it. It works beside
//! a node that runs, which is asked what only it can know, and without one. It changes nothing.

use crate::cli::Dir;
use crate::output::{Output, line};
use crate::session::Session;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_gateway::doctor as doors;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::config::Config;
use twinpact_node::doctor::{self, Finding, State, any_fault};

pub(crate) async fn doctor(dir: &Dir, out: Output) -> Result<ExitCode, Problem> {
    let (mut findings, config) = doctor::directory(&dir.dir)?;
    findings.extend(node(&dir.dir, &findings, config.as_ref()).await?);
    let fault = findings.iter().find_map(Finding::fault_code);
    let document = json!({ "healthy": fault.is_none(), "findings": findings });
    out.result(&document, |_| findings.iter().map(text).collect::<Vec<_>>().join("\n"));
    // The first fault is the cause of what comes after it.
    Ok(fault.map_or(ExitCode::SUCCESS, |code| ExitCode::from(code.class.exit_code())))
}

/// What the node says of itself when it runs; else its ports, its log and its partners.
async fn node(
    dir: &Path,
    before: &[Finding],
    config: Option<&Config>,
) -> Result<Vec<Finding>, Problem> {
    match Session::running(dir).await {
        Ok(session) => {
            let mut findings = vec![Finding::ok("node", "it runs")];
            findings.extend(session.client.get::<Vec<Finding>>("/doctor").await?);
            return Ok(findings);
        }
        Err(problem) if problem.code == codes::NODE_UNREACHABLE => {}
        Err(problem) => return Err(problem),
    }
    let ports = match config {
        Some(config) => doors::ports(config).await,
        None => vec![Finding::skipped("ports", "the configuration cannot be read")],
    };
    if any_fault(before) {
        let log = Finding::skipped("log", "mend what is above first");
        return Ok(ports.into_iter().chain([log]).collect());
    }
    let (log, node) = doctor::log(dir);
    let mut findings: Vec<Finding> = ports;
    if node.is_some() {
        findings.insert(0, Finding::ok("node", "none runs"));
    }
    findings.extend(log);
    if let Some(node) = node {
        findings.extend(doors::still(&node).await?);
    }
    Ok(findings)
}

fn text(finding: &Finding) -> String {
    let word = match finding.state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Fault => "fault",
        State::Skipped => "skipped",
    };
    let code = finding.code.as_ref().map_or(String::new(), |code| format!(" [{code}]"));
    let said = line(&format!("{word:8} {}: {}{code}", finding.check, finding.message));
    match &finding.remedy {
        Some(remedy) => format!("{said}\n         remedy: {}", line(remedy)),
        None => said,
    }
}
