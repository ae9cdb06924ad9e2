//! `incident list|show|open|report|export|began|confirm|refuse|release`: what was found, who was
//! asked to contain what, and what they answered.

use super::exchange::body;
use super::incident_began;
use super::incident_export;
use super::incident_report::{self, Draw};
use super::incident_rows::ReadFor;
use crate::cli::{Incident, IncidentAnswer};
use crate::output::{Output, front, line, table};
use crate::session::{Session, read_file};
use serde_json::json;
use std::process::ExitCode;
use twinpact_contract::scaffold;
use twinpact_gateway::client::segment;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_node::api::{ContainmentLine, IncidentLine, IncidentShown};

pub(crate) async fn run(command: Incident, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Incident::List { dir, as_of } => {
            let path = as_of.of("/incidents")?;
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&path).await;
            session.close().await;
            let incidents: Vec<IncidentLine> = got?;
            out.result(&incidents, |incidents| list(incidents));
            out.next("twinpact incident show INCIDENT");
        }
        Incident::Show { dir, incident, as_of } => {
            let path = as_of.of(&format!("/incidents/{}", segment(&incident)))?;
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&path).await;
            session.close().await;
            let shown: IncidentShown = got?;
            out.result(&shown, show);
            next(&shown, out);
        }
        Incident::Open { dir, file } => {
            let asked = read_file(&file)?;
            let session = Session::open(&dir.dir).await?;
            let got = session.client.post("/incidents", "application/json", asked).await;
            session.close().await;
            let opened: IncidentLine = got?;
            out.result(&opened, |opened| format!("{} is open", opened.id));
            out.next(&format!("twinpact incident show {}", opened.id));
        }
        Incident::Report { dir, incident, rule, purpose, place, out: file } => {
            let purpose = purpose.as_deref().map(scaffold::purpose).transpose()?;
            let place = place.as_deref().map(scaffold::place).transpose()?;
            let copies = ReadFor { purpose: purpose.as_deref(), place: place.as_deref() };
            let asked = Draw { incident: &incident, rule: rule.as_deref(), copies };
            incident_report::report(&dir.dir, asked, &file, out).await?;
        }
        Incident::Export { dir, incident, out: folder } => {
            incident_export::run(&dir.dir, &incident, &folder, out).await?;
        }
        Incident::Began { dir, containment, rule } => {
            incident_began::began(&dir, &containment, &rule, out).await?;
        }
        Incident::Confirm(answer) => respond(answer, "confirm", out).await?,
        Incident::Refuse(answer) => respond(answer, "refuse", out).await?,
        Incident::Release(answer) => respond(answer, "release", out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn respond(asked: IncidentAnswer, verb: &str, out: Output) -> Result<(), Problem> {
    let path = format!("/containments/{}/{verb}", segment(&asked.containment));
    let began = asked.began.as_deref().map(Timestamp::parse).transpose()?;
    let said = json!({
        "by": asked.by,
        "note": asked.note,
        "automatic": asked.automatic,
        "began": began,
    });
    let said = body(&said)?;
    let session = Session::open(&asked.dir.dir).await?;
    let got = session.client.post(&path, "application/json", said).await;
    session.close().await;
    let incident: IncidentLine = got?;
    out.result(&incident, |incident| format!("{}: {}", incident.id, incident.states.join(", ")));
    out.next(&format!("twinpact incident show {}", incident.id));
    Ok(())
}

/// What the operator can do about the first containment that waits for it.
fn next(shown: &IncidentShown, out: Output) {
    let waits = |one: &&ContainmentLine| !one.ours && one.state == "open";
    if let Some(one) = shown.containments.iter().find(waits) {
        out.next(&format!("twinpact incident confirm {} --by NAME", front(&one.id)));
    }
}

fn list(incidents: &[IncidentLine]) -> String {
    let row = |incident: &IncidentLine| {
        vec![
            incident.id.clone(),
            incident.recorded.to_string(),
            line(incident.name.as_deref().unwrap_or("a partner's")),
            incident.states.join(", "),
        ]
    };
    let rows: Vec<_> = incidents.iter().map(row).collect();
    table(&["incident", "recorded", "what", "containments"], &rows)
}

fn show(shown: &IncidentShown) -> String {
    let incident = &shown.incident;
    let name = incident.name.as_deref().unwrap_or("opened by a partner");
    let mut lines = vec![format!("incident {}: {name}", incident.id)];
    shown.containments.iter().for_each(|one| containment(one, &mut lines));
    lines.iter().map(|text| line(text)).collect::<Vec<_>>().join("\n")
}

fn containment(one: &ContainmentLine, lines: &mut Vec<String>) {
    let driven = |driven: bool| if driven { " (driven clock: not evidence)" } else { "" };
    lines.push(format!("containment {}: {}", front(&one.id), one.state));
    lines.push(format!("  {} asks {} to {}", one.asked_by, one.asked_of, one.measure));
    lines.push(format!("  because {}", one.reason));
    if let Some(seen) = &one.seen {
        lines.push(format!("  seen at {} at {}, found {}", seen.twin, seen.first, seen.found));
    }
    one.twins.iter().for_each(|twin| lines.push(format!("  twin {twin}")));
    lines.push(format!("  opened {}{}, event {}", one.opened, driven(one.driven), one.event));
    let agreement = front(&one.agreement);
    let count = one.evidence.len();
    lines.push(format!("  rests on {count} deliveries under agreement {agreement}"));
    if let Some(since) = one.waits {
        lines.push(format!("  waits since {since} for the partner to take it"));
    }
    if let Some(why) = &one.not_taken {
        lines.push(format!("  not taken: {why}"));
    }
    for answer in &one.answers {
        let by = if answer.automatic { "by a program, for " } else { "by " };
        let note =
            if answer.note.is_empty() { String::new() } else { format!(": {}", answer.note) };
        let (said, who, at) = (&answer.answer, &answer.by, answer.at);
        let at = format!("{at}{}", driven(answer.driven));
        lines.push(format!("  {said} {by}{who} at {at}, event {}{note}", answer.event));
        lines.extend(answer.began.map(|began| format!("  it began {began}, by the owner's rows")));
    }
}
