//! `graph walk`: links across organisations, each hop under our own contract.

use crate::cli::{Graph, Ways};
use crate::commands::exchange::body;
use crate::output::{Output, line, table};
use crate::session::Session;
use std::process::ExitCode;
use twinpact_contract::scaffold;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Direction, Iri};
use twinpact_node::api::{EdgeLine, EndLine, PlaceLine, WalkAsked, Walked};

pub(crate) async fn run(command: Graph, out: Output) -> Result<ExitCode, Problem> {
    let Graph::Walk(words) = command;
    let asked = body(&WalkAsked {
        twin: Iri::new(words.twin.as_str())?,
        owner: words.owner.as_deref().map(Did::new).transpose()?,
        via: words.via,
        direction: match words.direction {
            Ways::Out => Some(Direction::Out),
            Ways::In => Some(Direction::In),
            Ways::Both => None,
        },
        depth: Some(words.depth),
        purpose: words.purpose.as_deref().map(scaffold::purpose).transpose()?,
        place: words.place,
    })?;
    let session = Session::running(&words.dir.dir).await?;
    let walked: Walked = session.client.post("/graph/walk", "application/json", asked).await?;
    out.result(&walked, text);
    if let Some(cut) = &walked.cut {
        out.say(&format!("the walk was cut short: it may take only so many {cut}"));
    }
    let receipts = walked.edges.iter().flat_map(|edge| &edge.said);
    if let Some(receipt) = receipts.filter_map(|said| said.receipt.as_ref()).next() {
        let (receipt, flag): (String, _) = (receipt.chars().take(12).collect(), words.dir.flag());
        out.next(&format!("twinpact receipt export {receipt} --out receipt.twinproof{flag}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(walked: &Walked) -> String {
    let edge = |edge: &EdgeLine| {
        let by: Vec<String> = edge
            .said
            .iter()
            .map(|said| match &said.level {
                Some(level) => format!("{} ({level})", said.by),
                None => said.by.clone(),
            })
            .collect();
        vec![
            edge.depth.to_string(),
            place(&edge.from),
            edge.predicate.to_string(),
            place(&edge.to),
            edge.status.clone(),
            by.join(", "),
        ]
    };
    let rows: Vec<_> = walked.edges.iter().map(edge).collect();
    let edges = table(&["depth", "from", "predicate", "to", "status", "said by"], &rows);
    let end = |end: &EndLine| {
        let hint = end.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        line(&format!("ends at {}: {} ({}){hint}", place(&end.at), end.reason, end.code))
    };
    let ends: Vec<String> = walked.ends.iter().map(end).collect();
    std::iter::once(edges).chain(ends).collect::<Vec<_>>().join("\n")
}

fn place(place: &PlaceLine) -> String {
    match &place.owner {
        Some(owner) => format!("{} of {owner}", place.twin),
        None => place.twin.clone(),
    }
}
