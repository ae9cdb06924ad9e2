//! `incident began`: since when the twin of a containment has lost, by all rows of its owner.

use super::incident_rows;
use crate::cli::Dir;
use crate::output::{Output, count, front, line};
use crate::session::{Session, read_text};
use crate::watch::rule_file;
use serde::Serialize;
use std::path::Path;
use twinpact_detect::{Rule, losses_until};
use twinpact_gateway::AdminClient;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::{ContainmentLine, IncidentLine, IncidentShown};

/// How many days of rows before it was seen teach what is usual.
const LEARN_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// Since when a twin has lost.
#[derive(Debug, Serialize)]
pub(crate) struct Began {
    containment: String,
    twin: String,
    /// The first row that the partner was shown, and the one by which it found it.
    first: Timestamp,
    found: Timestamp,
    /// The first loss; none when our own rows show no loss up to then.
    pub(crate) began: Option<Timestamp>,
    /// How many losses there are from then to the row by which it was found.
    losses: usize,
}

/// Says since when the twin of a containment has lost.
pub(crate) async fn began(
    dir: &Dir,
    containment: &str,
    rule: &Path,
    out: Output,
) -> Result<(), Problem> {
    let rule = Rule::new(&rule_file(&read_text(rule)?)?)?;
    let session = Session::open(&dir.dir).await?;
    let looked = look(&session.client, containment, &rule).await;
    session.close().await;
    let began = looked?;
    out.result(&began, text);
    let (id, flag) = (front(&began.containment), dir.flag());
    let said = began.began.map_or(String::new(), |at| format!(" --began {at}"));
    out.next(&format!("twinpact incident confirm {id} --by NAME{said}{flag}"));
    Ok(())
}

fn text(one: &Began) -> String {
    let twin = line(&one.twin);
    match one.began {
        Some(at) => {
            let losses = count(one.losses as u64);
            format!("{twin} has lost since {at}: {losses} rows until it was found at {}", one.found)
        }
        None => format!("no row of {twin} until {} is a loss by this rule", one.found),
    }
}

/// Looks at the rows of the owner.
///
/// # Errors
/// `incident.unknown`; `incident.invalid` when it was seen at no twin; `twin.unknown` when that is
/// none of ours; `input.too_large` when there are more rows than one reading takes.
pub(crate) async fn look(client: &AdminClient, name: &str, rule: &Rule) -> Result<Began, Problem> {
    let one = named(client, name).await?;
    let seen = one.seen.ok_or_else(|| {
        Problem::new(codes::INCIDENT_INVALID, "the containment says of no twin when it was seen")
    })?;
    let since = seen.first.plus_seconds(-LEARN_DAYS * DAY_S);
    // The row by which it was found is the last one that counts.
    let until = seen.found.plus_seconds(1);
    let twin = seen.twin.as_str();
    let rows = incident_rows::own(client, twin, rule, (since, until)).await;
    let rows = rows.map_err(|problem| match problem.code == codes::INPUT_TOO_LARGE {
        true => problem.hint("say yourself when it began: twinpact incident confirm --began TIME"),
        false => problem,
    })?;
    let rows = rows.ok_or_else(|| {
        Problem::new(codes::TWIN_UNKNOWN, format!("{twin} is no twin of this node"))
            .hint("its owner can tell since when it has lost, by its own rows")
    })?;
    let losses = losses_until(rule, &rows.samples, twin, seen.found)?;
    Ok(Began {
        containment: one.id,
        twin: seen.twin.to_string(),
        first: seen.first,
        found: seen.found,
        began: losses.first().map(|dip| dip.at),
        losses: losses.len(),
    })
}

/// The containment of that fingerprint or unique front of it.
async fn named(client: &AdminClient, name: &str) -> Result<ContainmentLine, Problem> {
    let incidents: Vec<IncidentLine> = client.get("/incidents").await?;
    let mut found = Vec::new();
    for incident in incidents {
        let path = format!("/incidents/{}", segment(&incident.id));
        let shown: IncidentShown = client.get(&path).await?;
        let named = |one: &ContainmentLine| name.len() >= 8 && one.id.starts_with(name);
        found.extend(shown.containments.into_iter().filter(named));
    }
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        _ => {
            Err(Problem::new(codes::INCIDENT_UNKNOWN, format!("there is no containment {name:?}"))
                .hint("list them with: twinpact incident list"))
        }
    }
}
