//! `proof export`: a bundle of one event.

use crate::cli::Proof;
use crate::output::{Output, internal};
use crate::session::{Session, write_file};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Envelope, Json, Level, Trust, verify};

pub(crate) async fn run(command: Proof, out: Output) -> Result<ExitCode, Problem> {
    let Proof::Export { dir, event, only, out: file } = command;
    let attributes: Vec<String> = only.iter().map(|name| segment(name)).collect();
    let path = format!("/events/{event}/proof?attributes={}", attributes.join(","));
    export(&dir.dir, &path, ("event", json!(event)), &file, out).await?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the bundle that stands at that path, of what is called so, to a file.
pub(crate) async fn export(
    dir: &Path,
    path: &str,
    (what, name): (&str, Value),
    file: &Path,
    out: Output,
) -> Result<(), Problem> {
    let session = Session::open(dir).await?;
    let got = fetch(&session, path).await;
    session.close().await;
    let (bytes, level) = got?;
    write_file(file, &bytes)?;
    let made = json!({ "file": file, what: name, "bytes": bytes.len(), "level": level.name() });
    out.result(&made, |_| {
        let (file, bytes) = (file.display(), bytes.len());
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        format!("the proof of {what} {name} is in {file} ({bytes} bytes)\nlevel: {level}")
    });
    out.next(&format!("twinpact verify {} --trust trust.toml", file.display()));
    Ok(())
}

/// The proof, and its level for who trusts this organisation.
async fn fetch(session: &Session, path: &str) -> Result<(Vec<u8>, Level), Problem> {
    let bytes = session.client.get_bytes(path).await?;
    let record = session.client.get_bytes("/organisation").await?;
    let record = Json::parse(&record).ok().and_then(|json| Envelope::from_json(&json));
    let mut trust = Trust::default();
    let pinned = record.is_some_and(|record| trust.add(&record, DECIDED).is_ok());
    match verify(&bytes, Some(&trust)) {
        Ok(verdict) if pinned => Ok((bytes, verdict.level)),
        Ok(_) => Err(internal("our own record cannot be pinned")),
        Err(broken) => Err(internal(&format!("our own proof does not hold: {broken}"))),
    }
}
