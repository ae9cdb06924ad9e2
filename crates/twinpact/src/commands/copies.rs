//! `copy list|show`: what partners have delivered, read under the terms that it came with.

use crate::cli::Copies;
use crate::output::{Output, count, front, line, table};
use crate::session::Session;
use serde_json::Value;
use std::process::ExitCode;
use twinpact_contract::scaffold;
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{CopyLine, CopyRead};
use twinpact_node::decisions::MAX_LIST;

pub(crate) async fn run(command: Copies, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Copies::List { dir, agreement, limit, after } => {
            let text = limit.to_string();
            let (agreement, after) = (agreement.as_deref(), after.as_deref());
            let asked =
                [("agreement", agreement), ("limit", Some(text.as_str())), ("after", after)];
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&format!("/copies?{}", query(asked))).await;
            session.close().await;
            let copies: Vec<CopyLine> = got?;
            out.result(&copies, |copies| list(copies));
            match copies.last().filter(|_| copies.len() >= limit.min(MAX_LIST)) {
                Some(last) => {
                    out.next(&format!("twinpact copy list --after {}", front(&last.receipt)))
                }
                None => out.next("twinpact copy show RECEIPT --purpose PURPOSE"),
            }
        }
        Copies::Show { dir, receipt, purpose, place } => {
            let purpose = purpose.as_deref().map(scaffold::purpose).transpose()?;
            let place = place.as_deref().map(scaffold::place).transpose()?;
            let path = read_path(&receipt, purpose.as_deref(), place.as_deref());
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&path).await;
            session.close().await;
            let read: CopyRead = got?;
            out.result(&read, rows);
            out.say(&line(&read.sentence));
            out.next(&format!("twinpact decision show {}", front(&read.decision)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a copy is read for that purpose at that place, the configured ones when they are left out.
pub(crate) fn read_path(receipt: &str, purpose: Option<&str>, place: Option<&str>) -> String {
    format!("/copies/{}?{}", segment(receipt), query([("purpose", purpose), ("place", place)]))
}

/// Every copy that was delivered under an agreement, the latest first.
///
/// # Errors
/// What the node refuses.
pub(crate) async fn all_of(
    client: &AdminClient,
    agreement: &str,
) -> Result<Vec<CopyLine>, Problem> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let asked = query([("agreement", Some(agreement)), ("after", after.as_deref())]);
        let part: Vec<CopyLine> = client.get(&format!("/copies?{asked}")).await?;
        let Some(last) = part.last() else { return Ok(all) };
        after = Some(last.receipt.clone());
        all.extend(part);
    }
}

/// So many copies, in words.
pub(super) fn so_many(copies: usize) -> String {
    match copies {
        1 => "a copy".to_owned(),
        n => format!("{} copies", count(n as u64)),
    }
}

/// What is said of these, as a query.
fn query<const N: usize>(said: [(&str, Option<&str>); N]) -> String {
    let said = said.into_iter();
    let said = said.filter_map(|(name, said)| Some(format!("{name}={}", segment(said?))));
    said.collect::<Vec<_>>().join("&")
}

fn list(copies: &[CopyLine]) -> String {
    let row = |copy: &CopyLine| {
        let state = match (copy.deleted, copy.delete_by) {
            (Some(time), _) => format!("deleted at {time}"),
            (None, Some(time)) => format!("to be deleted by {time}"),
            (None, None) => "kept".to_owned(),
        };
        let erased = if copy.erased { ", an erased twin is gone from it" } else { "" };
        vec![
            front(&copy.receipt),
            line(&copy.partner),
            count(copy.rows),
            format!("{state}{erased}"),
            line(&copy.terms),
        ]
    };
    let rows: Vec<_> = copies.iter().map(row).collect();
    table(&["receipt", "from", "rows", "state", "terms"], &rows)
}

fn rows(read: &CopyRead) -> String {
    let names = read.columns.iter().map(|column| match &column.unit {
        Some(unit) => format!("{}, {unit}", column.name),
        None => column.name.clone(),
    });
    let head: Vec<String> =
        ["twin".to_owned(), "time".to_owned()].into_iter().chain(names).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let cell = |cell: &Value| line(cell.as_str().unwrap_or_default());
    let row = |row: &Value| row.as_array().into_iter().flatten().map(cell).collect();
    let rows: Vec<Vec<String>> = read.rows.iter().map(row).collect();
    table(&head, &rows)
}
