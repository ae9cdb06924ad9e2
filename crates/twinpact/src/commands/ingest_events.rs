//! `ingest FILE.json --cloudevents`: a batch of CloudEvents, body by body, into `POST /ingest`.

use crate::cli::Ingest;
use crate::output::{Output, count, line};
use crate::session::{Session, read_file};
use serde::Serialize;
use std::process::ExitCode;
use twinpact_edge::batch::{IngestReport, Refused};
use twinpact_edge::cloud_events::{self, BATCH_TYPE, Body, Cut};
use twinpact_gateway::AdminClient;
use twinpact_model::problem::Problem;

/// How many refused events are shown; all of them are counted, and `--json` has them all.
const SHOWN: usize = 3;

#[derive(Debug, Default, Serialize)]
struct Summary {
    events: u64,
    new: u64,
    duplicate: u64,
    corrected: u64,
    /// By their index in the file, from 0.
    refused: Vec<Refused>,
}

pub(crate) async fn ingest(arguments: &Ingest, out: Output) -> Result<ExitCode, Problem> {
    let cut = cloud_events::bodies(&read_file(&arguments.file)?)?;
    let session = Session::open(&arguments.dir.dir).await?;
    let summary = send(cut, &session.client).await;
    session.close().await;
    let summary = summary?;
    out.result(&summary, text);
    for refused in summary.refused.iter().take(SHOWN).filter(|_| !out.is_json()) {
        let place = refused.index.map_or(String::new(), |index| format!("event {index}: "));
        out.say(&format!("  refused[{}]: {place}{}", refused.code, line(&refused.reason)));
    }
    if summary.refused.len() > SHOWN && !out.is_json() {
        out.say(&format!("  … and {} more", count((summary.refused.len() - SHOWN) as u64)));
    }
    out.next("twinpact twin list");
    Ok(ExitCode::SUCCESS)
}

async fn send(cut: Cut, client: &AdminClient) -> Result<Summary, Problem> {
    let mut summary = Summary { refused: cut.refused, ..Summary::default() };
    for Body { bytes, places } in cut.bodies {
        let report: IngestReport = client.post("/ingest", BATCH_TYPE, bytes).await?;
        summary.new += report.new;
        summary.duplicate += report.duplicate;
        summary.corrected += report.corrected;
        let in_file = |refused: Refused| {
            let place = |index| places.get(usize::try_from(index).ok()?).copied();
            Refused { index: refused.index.and_then(place), ..refused }
        };
        summary.refused.extend(report.refused.into_iter().map(in_file));
    }
    summary.refused.sort_by_key(|refused| refused.index);
    let taken = summary.new + summary.duplicate + summary.corrected;
    summary.events = taken + summary.refused.len() as u64;
    Ok(summary)
}

fn text(summary: &Summary) -> String {
    format!(
        "{} events: {} new, {} duplicate, {} corrected, {} refused",
        count(summary.events),
        count(summary.new),
        count(summary.duplicate),
        count(summary.corrected),
        count(summary.refused.len() as u64)
    )
}
