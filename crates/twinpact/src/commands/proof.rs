//! `proof export`: a bundle of one event.

use crate::cli::Proof;
use crate::output::Output;
use crate::session::{Session, write_file};
use serde_json::json;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;

pub(crate) async fn run(command: Proof, out: Output) -> Result<ExitCode, Problem> {
    let Proof::Export { dir, event, only, out: file } = command;
    let attributes: Vec<String> = only.iter().map(|name| segment(name)).collect();
    let path = format!("/events/{event}/proof?attributes={}", attributes.join(","));
    let session = Session::open(&dir.dir).await?;
    let bytes = session.client.get_bytes(&path).await;
    session.close().await;
    let bytes = bytes?;
    write_file(&file, &bytes)?;
    let made = json!({ "file": file, "event": event, "bytes": bytes.len() });
    out.result(&made, |_| {
        format!("the proof of event {event} is in {} ({} bytes)", file.display(), bytes.len())
    });
    out.next(&format!("twinpact verify {} --trust trust.toml", file.display()));
    Ok(ExitCode::SUCCESS)
}
