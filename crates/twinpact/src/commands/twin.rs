//! `twin list|show|as-of|history`.

use crate::cli::{AsOf, Twin};
use crate::output::{Output, count, table};
use crate::session::get;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_node::api::{History, TwinLine, TwinState};

pub(crate) async fn run(command: Twin, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Twin::List { dir, as_of } => {
            let twins: Vec<TwinLine> = get(&dir.dir, &as_of.of("/twins")?).await?;
            out.result(&twins, |twins| list(twins));
            out.next("twinpact twin show TWIN");
        }
        Twin::Show { dir, twin, as_of } => present(&dir.dir, &twin, &as_of, out).await?,
        Twin::AsOf { dir, twin, time } => {
            present(&dir.dir, &twin, &AsOf { as_of: Some(time) }, out).await?;
        }
        Twin::History { dir, twin, since, until, limit, as_of } => {
            let mut path = format!("/twins/{}/history?limit={limit}", segment(&twin));
            for (name, time) in [("since", since), ("until", until)] {
                if let Some(time) = time {
                    let time = Timestamp::parse(&time)?;
                    let _ = write!(path, "&{name}={}", segment(&time.to_string()));
                }
            }
            let history: History = get(&dir.dir, &as_of.and(&path, '&')?).await?;
            out.result(&history, text);
            if let Some(row) = history.rows.last() {
                out.next(&format!("twinpact proof export {} --out fact.twinproof", row.event));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn present(dir: &Path, twin: &str, as_of: &AsOf, out: Output) -> Result<(), Problem> {
    let path = as_of.of(&format!("/twins/{}", segment(twin)))?;
    let state: TwinState = get(dir, &path).await?;
    out.result(&state, show);
    out.next(&format!("twinpact twin history {twin}"));
    Ok(())
}

fn list(twins: &[TwinLine]) -> String {
    let row = |twin: &TwinLine| {
        let last = twin.last.map_or(String::new(), |t| t.to_string());
        vec![twin.id.clone(), twin.model.to_string(), count(twin.facts as u64), last]
    };
    table(&["twin", "model", "facts", "last"], &twins.iter().map(row).collect::<Vec<_>>())
}

fn show(state: &TwinState) -> String {
    let mut rows = Vec::new();
    for (name, attribute) in &state.attributes {
        let unit = attribute.unit.clone().unwrap_or_default();
        let now = &attribute.now;
        let learned = match attribute.learned == *now {
            true => String::new(),
            false => format!("{} ({})", attribute.learned.value, attribute.learned.time),
        };
        let event = now.event.to_string();
        rows.push(vec![
            name.clone(),
            now.value.clone(),
            unit,
            now.time.to_string(),
            event,
            learned,
        ]);
    }
    let head = ["attribute", "now", "unit", "since", "event", "learned last"];
    let then = state.as_of.map_or(String::new(), |time| format!("as it was known at {time}: "));
    format!(
        "{then}{} is a {}, known since {}, {} facts\n{}",
        state.id,
        state.model,
        state.created,
        count(state.facts as u64),
        table(&head, &rows)
    )
}

fn text(history: &History) -> String {
    let names: std::collections::BTreeSet<&String> =
        history.rows.iter().flat_map(|row| row.values.keys()).collect();
    let mut head = vec!["time", "event"];
    head.extend(names.iter().map(|name| name.as_str()));
    let rows: Vec<Vec<String>> = history
        .rows
        .iter()
        .map(|row| {
            let mark = if row.corrected_by.is_some() { " (corrected)" } else { "" };
            let mut cells = vec![row.time.to_string(), format!("{}{mark}", row.event)];
            cells.extend(names.iter().map(|n| row.values.get(*n).cloned().unwrap_or_default()));
            cells
        })
        .collect();
    let shown = history.rows.len();
    let total = count(history.total as u64);
    format!("{}\n{shown} of {total} facts of {}", table(&head, &rows), history.twin)
}
