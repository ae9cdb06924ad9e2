//! `fetch`: data of somebody else's connector, which nothing proves and nobody here keeps.

use super::exchange::body;
use crate::cli::Dir;
use crate::output::{Output, count, internal};
use crate::session::{Session, write_file};
use std::path::Path;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::api::{Fetch, Fetched};
use twinpact_proof::text64;

pub(crate) async fn fetch(
    dir: &Dir,
    asked: Fetch,
    file: Option<&Path>,
    out: Output,
) -> Result<ExitCode, Problem> {
    let session = Session::running(&dir.dir).await?;
    let asked = body(&asked)?;
    let fetched: Fetched = session.client.post("/fetches", "application/json", asked).await?;
    if let Some(file) = file {
        write_file(file, &bytes(&fetched)?)?;
    }
    if !out.is_json() && file.is_none() {
        // As they are: they need be no text.
        out.data(&bytes(&fetched)?);
        return Ok(ExitCode::SUCCESS);
    }
    out.result(&fetched, |fetched| {
        let (bytes, at) = (count(fetched.bytes), file.unwrap_or(Path::new("")).display());
        format!("{bytes} bytes in {at}; nothing proves them")
    });
    Ok(ExitCode::SUCCESS)
}

fn bytes(fetched: &Fetched) -> Result<Vec<u8>, Problem> {
    match (&fetched.text, &fetched.base64) {
        (Some(text), _) => Ok(text.clone().into_bytes()),
        (None, Some(base64)) => {
            text64::decode(base64).ok_or_else(|| internal("what was fetched is no base64"))
        }
        (None, None) => Ok(Vec::new()),
    }
}
