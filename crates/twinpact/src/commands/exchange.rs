//! `catalog`, `negotiate`, `pull`: what we get from partners.

use crate::cli::{Dir, Pull as PullArguments};
use crate::output::{Output, count, internal, line, shell, table};
use crate::session::{Session, write_file};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twinpact_contract::scaffold;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Cursor, Iri, Timestamp, codes};
use twinpact_node::api::{AgreementLine, DatasetLine, Negotiate, Pull, Pulled};
use twinpact_node::connectors::{BY_CERTIFICATE, BY_CLAIMS, BY_ITS_WORD};

pub(crate) async fn catalog(dir: &Dir, partner: &str, out: Output) -> Result<ExitCode, Problem> {
    let session = Session::running(&dir.dir).await?;
    let path = format!("/catalog?partner={}", segment(partner));
    let datasets: Vec<DatasetLine> = session.client.get(&path).await?;
    out.result(&datasets, |datasets| {
        let row = |d: &DatasetLine| vec![d.id.clone(), d.terms.clone()];
        table(&["dataset", "terms"], &datasets.iter().map(row).collect::<Vec<_>>())
    });
    out.next(&format!("twinpact negotiate {partner}{}", dir.flag()));
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
    let flag = dir.flag();
    out.next(&format!("twinpact pull {id} --purpose PURPOSE --place PLACE{flag}"));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn pull(arguments: &PullArguments, out: Output) -> Result<ExitCode, Problem> {
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose();
    let purpose = arguments.purpose.as_deref().map(scaffold::purpose).transpose()?;
    let session = Session::running(&arguments.dir.dir).await?;
    let asked = body(&Pull {
        agreement: match &arguments.agreement {
            Some(agreement) => agreement.clone(),
            None => only_agreement(&session.client).await?,
        },
        purpose,
        place: arguments.place.clone(),
        since: time(&arguments.since)?,
        until: time(&arguments.until)?,
        twin: arguments.twin.as_deref().map(Iri::new).transpose()?,
        after: arguments.after.as_deref().map(Cursor::parse).transpose()?,
    })?;
    let route = if arguments.push { "/pushes" } else { "/pulls" };
    let pulled: Pulled = session.client.post(route, "application/json", asked).await?;
    out.result(&pulled, pulled_text);
    if let Some(file) = &arguments.proof {
        write_proofs(file, &pulled, &session.client, out).await?;
        let (file, dir) = (shell(file), shell(&arguments.dir.dir));
        out.next(&format!("twinpact verify {file} --node {dir}"));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(receipt) = pulled.receipts.first() {
        let (receipt, flag): (String, _) =
            (receipt.chars().take(12).collect(), arguments.dir.flag());
        out.next(&format!("twinpact receipt export {receipt} --out receipt.twinproof{flag}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn pulled_text(pulled: &Pulled) -> String {
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
}

/// The agreement that gives us something, when it is the only one.
async fn only_agreement(client: &AdminClient) -> Result<String, Problem> {
    let all: Vec<AgreementLine> = client.get("/agreements").await?;
    let gives = |one: &&AgreementLine| one.role == "consumer" && one.state == "active";
    let mut found = all.iter().filter(gives);
    match (found.next(), found.count()) {
        (Some(one), 0) => Ok(one.id.clone()),
        (None, _) => Err(Problem::new(codes::AGREEMENT_UNKNOWN, "no agreement gives us anything")
            .hint("make one first: twinpact negotiate PARTNER")),
        (Some(_), more) => Err(Problem::new(
            codes::AGREEMENT_UNKNOWN,
            format!("{} agreements give us something", more + 1),
        )
        .hint("name one of: twinpact agreement list")),
    }
}

/// Writes the proof of each page.
async fn write_proofs(
    file: &Path,
    pulled: &Pulled,
    client: &AdminClient,
    out: Output,
) -> Result<(), Problem> {
    for (receipt, n) in pulled.receipts.iter().zip(1usize..) {
        let proof = client.get_bytes(&format!("/receipts/{}/proof", segment(receipt))).await?;
        let path = numbered(file, n);
        write_file(&path, &proof)?;
        out.say(&format!("the proof is in {}", path.display()));
    }
    Ok(())
}

/// `a.twinproof` for the first, `a.2.twinproof` for the second.
fn numbered(file: &Path, n: usize) -> PathBuf {
    match (n, file.extension()) {
        (1, _) => file.to_owned(),
        (n, Some(extension)) => file.with_extension(format!("{n}.{}", extension.to_string_lossy())),
        (n, None) => file.with_extension(n.to_string()),
    }
}

/// An agreement for people.
pub(crate) fn agreement_text(agreement: &AgreementLine) -> String {
    let recognised = match agreement.recognised.as_str() {
        BY_CERTIFICATE => "",
        BY_CLAIMS => "\n  recognised by claims that it signed, and no certificate",
        BY_ITS_WORD => "\n  recognised by its own word alone, on this machine",
        _ => "\n  by what it was recognised is not on record",
    };
    format!(
        "agreement {}\n  with {} as {}, {}{recognised}\n  level: {}\n  {}\n  {}",
        agreement.id,
        agreement.partner,
        agreement.role,
        agreement.state,
        agreement.level,
        line(&agreement.target),
        line(&agreement.terms)
    )
}

/// The answer of the running node to that request.
pub(crate) async fn post_to_running<T: DeserializeOwned>(
    dir: &Dir,
    path: &str,
    body: Vec<u8>,
) -> Result<T, Problem> {
    Session::running(&dir.dir).await?.client.post(path, "application/json", body).await
}

/// A request body.
pub(crate) fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|e| internal(&format!("a request: {e}")))
}

#[cfg(test)]
mod tests {
    use super::numbered;
    use std::path::Path;

    #[test]
    fn proofs_of_further_pages_have_a_number() {
        for (file, n, expect) in [
            ("d/a.twinproof", 1, "d/a.twinproof"),
            ("d/a.twinproof", 2, "d/a.2.twinproof"),
            ("a", 1, "a"),
            ("a", 12, "a.12"),
        ] {
            assert_eq!(numbered(Path::new(file), n), Path::new(expect));
        }
    }
}
