//! `ingest`: a CSV file through its map, batch by batch, into `POST /ingest`.

use super::mend;
use crate::cli::Ingest;
use crate::output::{Output, count, line, shell};
use crate::session::{Session, read_file, read_text};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twinpact_edge::batch::{Collision, IngestBatch, IngestReport, MAX_BATCH_OBSERVATIONS, Refused};
use twinpact_edge::group::{Grouped, Grouper};
use twinpact_edge::{Map, Reading, Rows};
use twinpact_gateway::AdminClient;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_node::api::ModelApplied;

/// How many refused rows and colliding instants are shown; all of them are counted, and `--json`
/// has every refused row and the first [`MAX_COLLISIONS`] instants.
const SHOWN: usize = 3;
/// The most colliding instants of one file that are listed.
const MAX_COLLISIONS: usize = 1_000;

#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: u64,
    new: u64,
    duplicate: u64,
    corrected: u64,
    refused: Vec<Refused>,
    /// Where the refused rows are, to be mended and fed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_file: Option<PathBuf>,
    /// Instants for which the file has several rows of one key; all of these rows are recorded.
    colliding: u64,
    /// The first of them.
    collisions: Vec<Collision>,
}

pub(crate) async fn ingest(
    arguments: &Ingest,
    map_file: &Path,
    out: Output,
) -> Result<ExitCode, Problem> {
    let map = Map::parse(&read_text(map_file)?)?;
    arguments.refused.as_deref().map_or(Ok(()), |path| mend::writable(path, arguments.force))?;
    let model = arguments.model.as_deref().map(read_file).transpose()?;
    let session = Session::open(&arguments.dir.dir).await?;
    let summary = match put_first(model, &session.client, out).await {
        Ok(()) => send_file(arguments, &map, &session.client).await,
        Err(problem) => Err(problem),
    };
    session.close().await;
    let mut summary = summary?;
    let kept = keep_refused(arguments, &map, &mut summary);
    out.result(&summary, text);
    if !out.is_json() {
        collisions(&summary, out);
    }
    for refused in summary.refused.iter().take(SHOWN).filter(|_| !out.is_json()) {
        let place = refused.line.map_or(String::new(), |line| format!("line {line}: "));
        out.say(&format!("  refused[{}]: {place}{}", refused.code, line(&refused.reason)));
    }
    if summary.refused.len() > SHOWN && !out.is_json() {
        out.say(&format!("  … and {} more", count((summary.refused.len() - SHOWN) as u64)));
    }
    match kept {
        Err(problem) if arguments.refused.is_some() => return Ok(out.fail(&problem)),
        // Nobody has asked for the file: what was to be done is done.
        Err(problem) => out.say(&format!("  note: {}", problem.message)),
        Ok(()) => {}
    }
    out.next(&match &summary.refused_file {
        Some(file) => {
            out.say(&format!("  they are in {}, each with its reason", file.display()));
            let (file, map) = (shell(file), shell(map_file));
            let flag = arguments.dir.flag();
            format!("mend {file}, then: twinpact ingest {file} --map {map}{flag}")
        }
        None if !summary.refused.is_empty() => {
            let (file, map) = (shell(&arguments.file), shell(map_file));
            let flag = arguments.dir.flag();
            format!("twinpact ingest {file} --map {map} --refused FILE{flag}   (to get them)")
        }
        None => format!("twinpact twin list{}", arguments.dir.flag()),
    });
    Ok(ExitCode::SUCCESS)
}

/// Puts the type model before any row.
async fn put_first(
    model: Option<Vec<u8>>,
    client: &AdminClient,
    out: Output,
) -> Result<(), Problem> {
    let Some(model) = model else { return Ok(()) };
    let applied: ModelApplied = client.post("/models", "application/toml", model).await?;
    if applied.new {
        out.say(&format!("{} applies from now on", applied.model));
    }
    Ok(())
}

/// Writes the refused rows to a file, when there are any. What was taken is recorded by then, so
/// the report comes whatever happens to the file.
fn keep_refused(arguments: &Ingest, map: &Map, summary: &mut Summary) -> Result<(), Problem> {
    if summary.refused.is_empty() {
        return Ok(());
    }
    let asked = arguments.refused.as_deref();
    let written = mend::write(&arguments.file, map, &summary.refused, asked);
    summary.refused_file = Some(written.map_err(|problem| {
        let why = format!("the refused rows are in no file: {}", problem.message);
        Problem::new(problem.code, why)
            .hint("the others are recorded; ingest again with --refused FILE")
    })?);
    Ok(())
}

fn collisions(summary: &Summary, out: Output) {
    for Collision { twin, time, rows } in summary.collisions.iter().take(SHOWN) {
        out.say(&format!("  colliding: {} has {rows} rows for {time}, all kept", line(twin)));
    }
    let more = summary.colliding.saturating_sub(SHOWN as u64);
    if more > 0 {
        out.say(&format!("  … and {} more instants", count(more)));
    }
}

async fn send_file(
    arguments: &Ingest,
    map: &Map,
    client: &AdminClient,
) -> Result<Summary, Problem> {
    let models: Vec<TypeModel> = client.get("/models").await?;
    if let Some(model) = models.iter().find(|model| model.reference() == map.model) {
        map.check_model(model)?;
    }
    let mut summary = Summary::default();
    let grouped = read_rows(arguments, map, &mut summary)?;
    let bar = bar(grouped.batches.remaining() as u64, "rows");
    for key in &grouped.refused {
        summary.refused.extend(key.lines.iter().map(|line| Refused {
            line: Some(*line),
            index: None,
            id: key.id.clone(),
            code: key.code.name.to_owned(),
            reason: key.reason.clone(),
        }));
    }
    for batch in grouped.batches {
        let rows = batch?;
        let body = IngestBatch::new(map.source.clone(), map.model.clone(), rows.clone()).to_body();
        let report: IngestReport = client.post("/ingest", "application/json", body).await?;
        let report = report.with_lines(&rows);
        summary.new += report.new;
        summary.duplicate += report.duplicate;
        summary.corrected += report.corrected;
        summary.refused.extend(report.refused);
        summary.colliding += report.colliding;
        let room = MAX_COLLISIONS.saturating_sub(summary.collisions.len());
        summary.collisions.extend(report.collisions.into_iter().take(room));
        bar.inc(rows.len() as u64);
    }
    bar.finish_and_clear();
    summary.refused.sort_by_key(|refused| refused.line);
    Ok(summary)
}

/// Reads the whole file before anything is sent: a file that ends in the middle changes nothing.
fn read_rows(arguments: &Ingest, map: &Map, summary: &mut Summary) -> Result<Grouped, Problem> {
    let size = std::fs::metadata(&arguments.file).map_or(0, |m| m.len());
    let bar = bar(size, "bytes");
    let mut grouper = Grouper::new(MAX_BATCH_OBSERVATIONS);
    for reading in Rows::open(&arguments.file, map, |bytes| bar.set_position(bytes))? {
        summary.rows += 1;
        match reading? {
            Reading::Observation(row) => grouper.push(&row)?,
            Reading::Refused(row) => summary.refused.push(Refused {
                line: Some(row.line),
                index: None,
                id: row.id,
                code: row.code.name.to_owned(),
                reason: row.reason,
            }),
        }
    }
    bar.finish_and_clear();
    grouper.finish()
}

/// A progress bar on stderr; hidden when stderr is no terminal.
pub(crate) fn bar(length: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = format!("{{bar:40}} {{human_pos}} of {{human_len}} {unit} {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&style) {
        bar.set_style(style);
    }
    bar
}

fn text(summary: &Summary) -> String {
    let colliding = match summary.colliding {
        0 => String::new(),
        n => format!("; {} colliding instants", count(n)),
    };
    format!(
        "{} rows: {} new, {} duplicate, {} corrected, {} refused{colliding}",
        count(summary.rows),
        count(summary.new),
        count(summary.duplicate),
        count(summary.corrected),
        count(summary.refused.len() as u64)
    )
}
