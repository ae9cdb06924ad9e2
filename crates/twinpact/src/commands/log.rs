//! `log show|proof|watch|alerts|evidence`: your log and its witnesses, and the logs of partners.

use super::log_watch;
use crate::cli::Log;
use crate::output::{Output, count, front, internal, line, table};
use crate::session::{Session, write_file};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::api::{
    AlertLine, AlertShown, CheckpointLine, ConsistencyShown, InclusionShown, LogShown, SeenLine,
    WitnessLine,
};
use twinpact_proof::anchor::anchor_leaf;
use twinpact_proof::digest::from_hex;
use twinpact_proof::note::{Checkpoint, Note};
use twinpact_proof::tree::{consistent, root_from_inclusion};
use twinpact_proof::{Digest, to_hex};

pub(crate) async fn run(command: Log, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Log::Show { dir } => {
            let shown: LogShown = got(&dir.dir, "/log").await?;
            out.result(&shown, text);
            if !shown.alerts.is_empty() {
                out.next("twinpact log alerts");
            }
        }
        Log::Proof { dir, tick: Some(tick), size, .. } => {
            let size = size.map_or(String::new(), |size| format!("&size={size}"));
            inclusion(got(&dir.dir, &format!("/log/inclusion?tick={tick}{size}")).await?, out)?;
        }
        Log::Proof { dir, old, size, .. } => {
            let (old, new) = (old.unwrap_or_default(), size);
            let new = new.map_or(String::new(), |size| format!("&new={size}"));
            continues(got(&dir.dir, &format!("/log/consistency?old={old}{new}")).await?, out)?;
        }
        Log::Watch { dir, partner } => log_watch::watch(&dir.dir, partner.as_deref(), out).await?,
        Log::Alerts { dir } => {
            let shown: LogShown = got(&dir.dir, "/log").await?;
            out.result(&shown.alerts, |alerts| alerts_table(alerts));
            if let Some(last) = shown.alerts.last() {
                out.next(&format!("twinpact log evidence {} --out fork.json", front(&last.id)));
            }
        }
        Log::Evidence { dir, alert, out: file } => evidence(&dir.dir, &alert, &file, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn got<T: DeserializeOwned>(dir: &Path, path: &str) -> Result<T, Problem> {
    let session = Session::open(dir).await?;
    let got = session.client.get(path).await;
    session.close().await;
    got
}

fn sizes(checkpoint: Option<&CheckpointLine>) -> String {
    checkpoint.map_or_else(|| "-".to_owned(), |checkpoint| checkpoint.size.to_string())
}

fn witness_row(one: &WitnessLine) -> Vec<String> {
    let cosigned = one.cosigned.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let failed = one.failed.clone().unwrap_or_default();
    let lag = format!("{} ticks, {} s", one.lag_ticks, one.lag_seconds);
    vec![line(&one.witness), one.size.to_string(), cosigned, lag, failed]
}

fn text(shown: &LogShown) -> String {
    let own = &shown.own;
    let ticked = shown.ticked.map_or(String::new(), |time| format!(", last tick {time}"));
    let mut text = format!("{}\nsize {}{ticked}\nroot {}", own.origin, own.size, own.root);
    text.push_str(&format!("\nwitness key {}", shown.witness_key));
    if !shown.witnesses.is_empty() {
        let head = ["witness", "size", "cosigned", "behind", "last answer"];
        let rows: Vec<_> = shown.witnesses.iter().map(witness_row).collect();
        text.push_str(&format!("\n\n{}", table(&head, &rows)));
    }
    if !shown.partners.is_empty() {
        let row = |one: &SeenLine| {
            let (pinned, cosigned) = (one.pinned.as_ref(), one.cosigned.as_ref());
            vec![line(&one.partner), sizes(pinned), sizes(cosigned)]
        };
        let rows: Vec<_> = shown.partners.iter().map(row).collect();
        text.push_str(&format!("\n\n{}", table(&["partner", "seen", "cosigned by us"], &rows)));
    }
    if !shown.alerts.is_empty() {
        text.push_str(&format!("\n\n{}", alerts_table(&shown.alerts)));
    }
    text
}

fn alerts_table(alerts: &[AlertLine]) -> String {
    let row = |alert: &AlertLine| {
        let [one, two] = alert.sizes;
        vec![
            front(&alert.id).to_owned(),
            alert.grade.clone(),
            line(&alert.partner),
            format!("{one}, {two}"),
            alert.source.clone(),
            alert.recorded.to_string(),
        ]
    };
    let rows: Vec<_> = alerts.iter().map(row).collect();
    table(&["alert", "grade", "partner", "sizes", "seen by", "recorded"], &rows)
}

fn note(text: &str) -> Result<Checkpoint, Problem> {
    let note = Note::parse(text).ok_or_else(|| internal("the checkpoint is no signed note"))?;
    Ok(note.checkpoint)
}

fn hashes(texts: &[String]) -> Result<Vec<Digest>, Problem> {
    let read: Option<Vec<Digest>> = texts.iter().map(|text| from_hex(text)).collect();
    read.ok_or_else(|| internal("a hash is not of its form"))
}

fn broken(what: &str) -> Problem {
    Problem::new(codes::PROOF_BROKEN, format!("our own proof does not hold: {what}"))
}

fn inclusion(shown: InclusionShown, out: Output) -> Result<(), Problem> {
    let (checkpoint, path) = (note(&shown.checkpoint)?, hashes(&shown.path)?);
    let heads = from_hex(&shown.heads).ok_or_else(|| broken("the heads"))?;
    let leaf = anchor_leaf(shown.tick, shown.time, shown.slots, &heads);
    let root = root_from_inclusion(&leaf, shown.tick, checkpoint.size, &path);
    if root != Some(checkpoint.root) {
        return Err(broken("the path does not lead to the root"));
    }
    out.result(&shown, |shown| {
        format!(
            "tick {} is in {} under its checkpoint of size {}, by {} hashes (verified)\n\n{}",
            shown.tick,
            checkpoint.origin,
            checkpoint.size,
            shown.path.len(),
            shown.checkpoint.trim_end()
        )
    });
    Ok(())
}

fn continues(shown: ConsistencyShown, out: Output) -> Result<(), Problem> {
    let (old, new) = (note(&shown.old)?, note(&shown.new)?);
    if !consistent(old.size, &old.root, new.size, &new.root, &hashes(&shown.hashes)?) {
        return Err(broken("the hashes do not lead from one root to the other"));
    }
    out.result(&shown, |shown| {
        let hashes = count(shown.hashes.len() as u64);
        let (a, b) = (old.size, new.size);
        let what = format!("{} of size {b} continues what it was at size {a}", new.origin);
        format!(
            "{what}, by {hashes} hashes (verified)\nroot {}\nroot {}",
            to_hex(&old.root),
            to_hex(&new.root)
        )
    });
    Ok(())
}

async fn evidence(dir: &Path, alert: &str, file: &Path, out: Output) -> Result<(), Problem> {
    let shown: AlertShown = got(dir, &format!("/log/alerts/{}", segment(alert))).await?;
    let Some(evidence) = shown.evidence else {
        let grade = &shown.alert.grade;
        let why = format!("the alert is {grade}: two checkpoints of other sizes are no evidence");
        return Err(Problem::new(codes::LOG_ALERT, why).hint("twinpact log alerts"));
    };
    write_file(file, evidence.as_bytes())?;
    let made = json!({ "file": file, "alert": shown.alert.id, "bytes": evidence.len() });
    out.result(&made, |_| {
        format!("the evidence against {} is in {}", line(&shown.alert.partner), file.display())
    });
    out.next(&format!("twinpact verify {} --trust trust.toml", file.display()));
    Ok(())
}
