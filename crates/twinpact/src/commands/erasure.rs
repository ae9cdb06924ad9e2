//! `erase`, and `erasure list|show`: what was erased, and who had copies of it.

use super::exchange::body;
use crate::cli::{Erase, Erasure};
use crate::output::{Output, count, line, table};
use crate::session::Session;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{EraseAsked, ErasureLine, HolderLine};

pub(crate) async fn erase(arguments: Erase, out: Output) -> Result<ExitCode, Problem> {
    let Erase { dir, twin, basis, dry_run, yes } = arguments;
    let asked = EraseAsked { twin: twin.clone(), basis, dry_run, confirmed: yes };
    let asked = body(&asked)?;
    let session = Session::open(&dir.dir).await?;
    let got = session.client.post("/erasures", "application/json", asked).await;
    session.close().await;
    let erased: ErasureLine = got?;
    out.result(&erased, text);
    out.next(&match dry_run {
        true => format!("twinpact erase {twin} --basis … --yes"),
        false => format!("twinpact erasure show {twin}"),
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run(command: Erasure, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Erasure::List { dir } => {
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get("/erasures").await;
            session.close().await;
            let all: Vec<ErasureLine> = got?;
            out.result(&all, |all| list(all));
            out.next("twinpact erasure show TWIN");
        }
        Erasure::Show { dir, twin } => {
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&format!("/erasures/{}", segment(&twin))).await;
            session.close().await;
            let shown: ErasureLine = got?;
            out.result(&shown, text);
            if let Some(event) = shown.event {
                out.next(&format!("twinpact proof export {event} --out erased.twinproof"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(all: &[ErasureLine]) -> String {
    let row = |one: &ErasureLine| {
        let waiting = one.holders.iter().filter(|holder| holder.waits).count();
        vec![
            one.subject.chars().take(12).collect(),
            one.erased.map_or(String::new(), |time| time.to_string()),
            count(one.entries),
            format!("{} of {}", one.holders.len() - waiting, one.holders.len()),
            line(&one.basis),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&["subject", "erased", "entries", "deleted by", "basis"], &rows)
}

fn text(one: &ErasureLine) -> String {
    let entries = count(one.entries);
    let head = match one.erased {
        Some(time) => format!("{entries} entries were destroyed at {time}: {}", one.basis),
        None => format!("{entries} entries would be destroyed: {}", one.basis),
    };
    if one.holders.is_empty() {
        return format!("{}\nno partner has copies of it", line(&head));
    }
    let row = |holder: &HolderLine| {
        let state = match (&holder.deleted, holder.waits) {
            (Some(time), _) => format!("deleted at {time}"),
            (None, true) => "its deletion receipt has not come yet".to_owned(),
            (None, false) => "would be asked to delete them".to_owned(),
        };
        let agreement = holder.agreement.chars().take(12).collect();
        vec![line(&holder.partner), agreement, count(holder.deliveries), state]
    };
    let rows: Vec<_> = one.holders.iter().map(row).collect();
    format!("{}\n{}", line(&head), table(&["partner", "agreement", "deliveries", "state"], &rows))
}
