//! `agreement list|show|export|identity|revoke`, `decision list|show|export`, `clock show|set`:
//! what holds, what was decided, and by which clock.

use super::exchange::{agreement_text, body};
use super::proof;
use crate::cli::{Agreement, Clock, Decision, Dir};
use crate::output::{Output, line, table};
use crate::session::{Session, get, read_file};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_node::agreements::identified;
use twinpact_node::api::{AgreementLine, DecisionLine, Identified};

pub(crate) async fn agreement(command: Agreement, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Agreement::List { dir, as_of } => {
            let agreements: Vec<AgreementLine> = get(&dir.dir, &as_of.of("/agreements")?).await?;
            out.result(&agreements, |agreements| {
                agreements.iter().map(agreement_text).collect::<Vec<_>>().join("\n")
            });
        }
        Agreement::Show { dir, agreement, as_of } => {
            let path = as_of.of(&format!("/agreements/{}", segment(&agreement)))?;
            let agreement: AgreementLine = get(&dir.dir, &path).await?;
            out.result(&agreement, agreement_text);
        }
        Agreement::Export { dir, agreement, out: file } => {
            let path = format!("/agreements/{}/proof", segment(&agreement));
            proof::export(&dir.dir, &path, ("agreement", json!(agreement)), &file, out).await?;
        }
        Agreement::Identity { file } => {
            let found = identified(&read_file(&file)?)?;
            out.result(&found, identified_text);
        }
        Agreement::Revoke { dir, agreement, reason } => {
            let path = format!("/agreements/{}/revoke", segment(&agreement));
            let ended: AgreementLine = post(&dir, &path, &json!({ "reason": reason })).await?;
            out.result(&ended, agreement_text);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn identified_text(found: &Identified) -> String {
    let time = found.timestamp.as_deref().unwrap_or("at a time that it does not say");
    format!(
        "agreement {}\n  {}\n  {} grants it to {}, {}\n  {}\n  {}",
        found.id,
        line(&found.at_id),
        line(&found.assigner),
        line(&found.assignee),
        line(time),
        line(&found.target),
        line(&found.terms)
    )
}

pub(crate) async fn decision(command: Decision, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Decision::List { dir, limit, as_of } => {
            let path = as_of.and(&format!("/decisions?limit={limit}"), '&')?;
            let lines: Vec<DecisionLine> = get(&dir.dir, &path).await?;
            out.result(&lines, |lines| list(lines));
            out.next("twinpact decision show DECISION");
        }
        Decision::Show { dir, decision, as_of } => {
            let path = as_of.of(&format!("/decisions/{}", segment(&decision)))?;
            let shown: Value = get(&dir.dir, &path).await?;
            out.result(&shown, show);
            out.next(&format!("twinpact decision export {decision} --out decision.twinproof"));
        }
        Decision::Export { dir, decision, out: file } => {
            let path = format!("/decisions/{}/proof", segment(&decision));
            proof::export(&dir.dir, &path, ("decision", json!(decision)), &file, out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn clock(command: Clock, out: Output) -> Result<ExitCode, Problem> {
    let shown: Value = match command {
        Clock::Show { dir } => get(&dir.dir, "/clock").await?,
        Clock::Set { dir, time } => {
            let time = Timestamp::parse(&time)?;
            post(&dir, "/clock", &json!({ "policy": time })).await?
        }
    };
    out.result(&shown, |shown| {
        let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default();
        let driven = shown.get("driven").and_then(Value::as_bool) == Some(true);
        let kind = if driven { "driven: decisions are no evidence" } else { "the system's" };
        format!("policy clock {} ({kind})\nwall clock   {}", text("policy"), text("wall"))
    });
    Ok(ExitCode::SUCCESS)
}

fn list(lines: &[DecisionLine]) -> String {
    let row = |line: &DecisionLine| {
        let id: String = line.id.chars().take(12).collect();
        let (code, level, why) = (line.code.clone(), line.level.clone(), line.sentence.clone());
        vec![id, line.recorded.to_string(), code, level, why]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(&["decision", "recorded", "outcome", "level", "why"], &rows)
}

fn show(shown: &Value) -> String {
    let text = |pointer: &str| shown.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![
        format!("decision {}", text("/decision/id")),
        format!(
            "  {} asked under agreement {}",
            text("/decision/caller"),
            text("/decision/agreement")
        ),
        format!("  {}", text("/decision/sentence")),
    ];
    let checks = shown.pointer("/payload/core/record/checks").and_then(Value::as_array);
    for check in checks.into_iter().flatten() {
        let part = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default();
        let outcome = part("outcome");
        let (name, expected, actual) = (part("name"), part("expected"), part("actual"));
        lines.push(format!("  {outcome:7} {name}: expected {expected}; was {actual}"));
    }
    let key = text("/record/signatures/0/keyid");
    lines.push(format!("  signed by {key}, clock {}", text("/payload/core/clock")));
    lines.push(format!("  level: {}", text("/decision/level")));
    lines.iter().map(|text| line(text)).collect::<Vec<_>>().join("\n")
}

async fn post<T: DeserializeOwned>(dir: &Dir, path: &str, value: &Value) -> Result<T, Problem> {
    let body = body(value)?;
    let session = Session::open(&dir.dir).await?;
    let got = session.client.post(path, "application/json", body).await;
    session.close().await;
    got
}
