//! `receipt list|show|export`: what was delivered, either way, and who has signed it.

use crate::cli::Receipt;
use crate::output::{Output, count, front, line, table};
use crate::session::{Session, write_file};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::ReceiptLine;
use twinpact_proof::Level;

pub(crate) async fn receipt(command: Receipt, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Receipt::List { dir, limit, as_of } => {
            let path = as_of.and(&format!("/receipts?limit={limit}"), '&')?;
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&path).await;
            session.close().await;
            let receipts: Vec<ReceiptLine> = got?;
            out.result(&receipts, |receipts| list(receipts));
            out.next("twinpact receipt show RECEIPT");
        }
        Receipt::Show { dir, receipt, as_of } => {
            let path = as_of.of(&format!("/receipts/{}", segment(&receipt)))?;
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&path).await;
            session.close().await;
            let shown: ReceiptLine = got?;
            out.result(&shown, show);
            out.next(&format!(
                "twinpact receipt export {} --out receipt.twinproof",
                front(&shown.id)
            ));
        }
        Receipt::Export { dir, receipt, deletion, out: file } => {
            let session = Session::open(&dir.dir).await?;
            let got = fetch(&session, &receipt, if deletion { "deletion" } else { "proof" }).await;
            session.close().await;
            let (mut shown, bytes) = got?;
            if deletion {
                // An event of this node's, as every fact is: nobody else signs it.
                shown.level = Level::Signed.name().to_owned();
            }
            export(&shown, &bytes, &file, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(
    session: &Session,
    receipt: &str,
    what: &str,
) -> Result<(ReceiptLine, Vec<u8>), Problem> {
    let path = format!("/receipts/{}", segment(receipt));
    // The level first: what is signed in between makes the proof better than is said, never worse.
    let shown = session.client.get(&path).await?;
    Ok((shown, session.client.get_bytes(&format!("{path}/{what}")).await?))
}

fn export(shown: &ReceiptLine, bytes: &[u8], file: &Path, out: Output) -> Result<(), Problem> {
    write_file(file, bytes)?;
    let made = json!({
        "file": file,
        "receipt": shown.id,
        "bytes": bytes.len(),
        "level": shown.level,
    });
    out.result(&made, |_| format!("the receipt is in {}\nlevel: {}", file.display(), shown.level));
    out.next(&format!("twinpact verify {} --trust trust.toml", file.display()));
    Ok(())
}

fn list(receipts: &[ReceiptLine]) -> String {
    let row = |receipt: &ReceiptLine| {
        let way = if receipt.role == "provider" { "to" } else { "from" };
        vec![
            front(&receipt.id),
            receipt.delivered.to_string(),
            format!("{way} {}", line(&receipt.partner)),
            count(receipt.rows),
            format!(
                "{}{}{}",
                receipt.level,
                if receipt.waits.is_some() { ", waits" } else { "" },
                if receipt.deleted.is_some() { ", copy deleted" } else { "" },
            ),
        ]
    };
    let rows: Vec<_> = receipts.iter().map(row).collect();
    table(&["receipt", "delivered", "partner", "rows", "level"], &rows)
}

fn show(receipt: &ReceiptLine) -> String {
    let way = if receipt.role == "provider" { "delivered to" } else { "received from" };
    let driven = if receipt.driven { " (driven clock: not evidence)" } else { "" };
    let delete = receipt.delete_by.map_or(String::new(), |t| format!(", to be deleted by {t}"));
    let why = receipt.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    let lines = [
        format!("receipt {}", receipt.id),
        format!("  {way} {} under agreement {}", receipt.partner, receipt.agreement),
        format!("  {} rows ({} bytes) of {}", count(receipt.rows), receipt.bytes, receipt.view),
        format!("  at {} by the policy clock{driven}{delete}", receipt.at),
        format!("  in the log since {}, decision {}", receipt.delivered, receipt.decision),
        format!("  level: {}{why}", receipt.level),
    ];
    let waits = receipt.waits.map(|since| {
        format!("  waits since {since} for {} to take it with our signature", receipt.partner)
    });
    let deleted = receipt.deleted.map(|at| {
        format!("  the copy was deleted at {at}: its keys and what they sealed are destroyed")
    });
    lines.iter().chain(&waits).chain(&deleted).map(|text| line(text)).collect::<Vec<_>>().join("\n")
}
