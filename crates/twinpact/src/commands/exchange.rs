//! `catalog`, `negotiate`, `pull`: what we get from partners.

use crate::cli::{Dir, Pull as PullArguments};
use crate::output::{Output, count, internal, line, table};
use crate::session::Session;
use serde::Serialize;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Cursor, Timestamp};
use twinpact_node::api::{AgreementLine, DatasetLine, Negotiate, Pull, Pulled};

pub(crate) async fn catalog(dir: &Dir, partner: &str, out: Output) -> Result<ExitCode, Problem> {
    let session = Session::running(&dir.dir).await?;
    let path = format!("/catalog?partner={}", segment(partner));
    let datasets: Vec<DatasetLine> = session.client.get(&path).await?;
    out.result(&datasets, |datasets| {
        let row = |d: &DatasetLine| vec![d.id.clone(), d.terms.clone()];
        table(&["dataset", "terms"], &datasets.iter().map(row).collect::<Vec<_>>())
    });
    out.next(&format!("twinpact negotiate {partner}"));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn negotiate(
    dir: &Dir,
    asked: Negotiate,
    out: Output,
) -> Result<ExitCode, Problem> {
    let session = Session::running(&dir.dir).await?;
    let asked = body(&asked)?;
    let agreement: AgreementLine =
        session.client.post("/negotiations", "application/json", asked).await?;
    out.result(&agreement, agreement_text);
    let id: String = agreement.id.chars().take(12).collect();
    out.next(&format!("twinpact pull {id} --purpose PURPOSE --place PLACE"));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn pull(arguments: &PullArguments, out: Output) -> Result<ExitCode, Problem> {
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose();
    let asked = body(&Pull {
        agreement: arguments.agreement.clone(),
        purpose: arguments.purpose.clone(),
        place: arguments.place.clone(),
        since: time(&arguments.since)?,
        until: time(&arguments.until)?,
        after: arguments.after.as_deref().map(Cursor::parse).transpose()?,
    })?;
    let session = Session::running(&arguments.dir.dir).await?;
    let pulled: Pulled = session.client.post("/pulls", "application/json", asked).await?;
    out.result(&pulled, |pulled| {
        let span = match (&pulled.first, &pulled.last) {
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        let delete = pulled
            .delete_by
            .as_ref()
            .map_or(String::new(), |t| format!("\nthe copy is to be deleted by {t}"));
        let rows = count(pulled.rows as u64);
        let (pages, receipts) = match pulled.receipts.len() {
            0 | 1 => (String::new(), "the receipt is".to_owned()),
            pages => (format!(" in {pages} pages"), format!("the {pages} receipts are")),
        };
        format!("{rows} rows{pages}{span}\n{receipts} verified: {}{delete}", pulled.level)
    });
    if let Some(receipt) = pulled.receipts.first() {
        let receipt: String = receipt.chars().take(12).collect();
        out.next(&format!("twinpact receipt export {receipt} --out receipt.twinproof"));
    }
    Ok(ExitCode::SUCCESS)
}

/// An agreement for people.
pub(crate) fn agreement_text(agreement: &AgreementLine) -> String {
    format!(
        "agreement {}\n  with {} as {}, {}\n  level: {}\n  {}\n  {}",
        agreement.id,
        agreement.partner,
        agreement.role,
        agreement.state,
        agreement.level,
        line(&agreement.target),
        line(&agreement.terms)
    )
}

/// A request body.
pub(crate) fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|e| internal(&format!("a request: {e}")))
}
