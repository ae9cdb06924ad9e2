//! `copy list|show`: what partners have delivered, read under the terms that it came with.

use crate::cli::Copies;
use crate::output::{Output, count, front, line, table};
use crate::session::Session;
use serde_json::Value;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{CopyLine, CopyRead};

pub(crate) async fn run(command: Copies, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Copies::List { dir } => {
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get("/copies").await;
            session.close().await;
            let copies: Vec<CopyLine> = got?;
            out.result(&copies, |copies| list(copies));
            out.next("twinpact copy show RECEIPT --purpose PURPOSE");
        }
        Copies::Show { dir, receipt, purpose, place } => {
            let asked = [("purpose", purpose), ("place", place)];
            let asked: Vec<String> = asked
                .into_iter()
                .filter_map(|(name, said)| Some(format!("{name}={}", segment(&said?))))
                .collect();
            let path = format!("/copies/{}?{}", segment(&receipt), asked.join("&"));
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
