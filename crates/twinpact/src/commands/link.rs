//! `link set|retract|list`.

use crate::cli::{Link, LinkEnds};
use crate::output::{Output, count, line, table};
use crate::session::Session;
use serde_json::json;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::link::Predicate;
use twinpact_model::problem::Problem;
use twinpact_node::api::{LinkChanged, LinkLine, LinkList};

pub(crate) async fn run(command: Link, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Link::Set(ends) => change(&ends, "/links", ["from now on", "was so already"], out).await?,
        Link::Retract(ends) => {
            let words = ["does not stand any more", "did not stand"];
            change(&ends, "/links/retract", words, out).await?;
        }
        Link::List { dir, twin, as_of } => {
            let path = match &twin {
                Some(twin) => as_of.and(&format!("/links?twin={}", segment(twin)), '&')?,
                None => as_of.of("/links")?,
            };
            let session = Session::open(&dir.dir).await?;
            let got = session.client.get(&path).await;
            session.close().await;
            let links: LinkList = got?;
            out.result(&links, text);
            if let Some(link) = links.links.last() {
                out.next(&format!("twinpact proof export {} --out link.twinproof", link.event));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(
    ends: &LinkEnds,
    path: &str,
    [changed, known]: [&str; 2],
    out: Output,
) -> Result<(), Problem> {
    let LinkEnds { dir, from, predicate, to, owner } = ends;
    let predicate = Predicate::parse(predicate)?;
    let mut asked = json!({ "from": from, "predicate": predicate, "to": to });
    if let (Some(owner), Some(members)) = (owner, asked.as_object_mut()) {
        members.insert("owner".to_owned(), json!(owner));
    }
    let asked = asked.to_string().into_bytes();
    let session = Session::open(&dir.dir).await?;
    let answer = session.client.post(path, "application/json", asked).await;
    session.close().await;
    let answer: LinkChanged = answer?;
    out.result(&answer, |answer| {
        line(&format!("{from} {predicate} {to} {}", if answer.changed { changed } else { known }))
    });
    match owner {
        None => out.next(&format!("twinpact link list {from}")),
        Some(_) => out.next("twinpact link list"),
    }
    Ok(())
}

fn text(links: &LinkList) -> String {
    let row = |link: &LinkLine| {
        let across = link.across.as_ref();
        let of = |end: &str| across.filter(|across| across.end == end);
        let whose = |end: &str, twin: &str| match of(end) {
            Some(across) => format!("{twin} of {}", across.owner),
            None => twin.to_owned(),
        };
        vec![
            whose("from", &link.from),
            link.predicate.to_string(),
            whose("to", &link.to),
            link.recorded.to_string(),
            link.event.to_string(),
            across.map_or(String::new(), |across| across.status.clone()),
        ]
    };
    let rows: Vec<_> = links.links.iter().map(row).collect();
    let table = table(&["from", "predicate", "to", "recorded", "event", "other side"], &rows);
    match links.total - rows.len() {
        0 => table,
        more => format!("{table}\n… and {} more", count(more as u64)),
    }
}
