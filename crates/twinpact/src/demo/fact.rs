//! First part: an operator's recordings become provable history, and a stranger checks one fact.

use super::play::Play;
use super::stage::Stage;
use crate::output::internal;
use crate::session::read_file;
use serde_json::Value;
use twinpact_model::problem::Problem;

pub(crate) fn one_provable_fact(stage: &mut Stage, play: &Play) -> Result<(), Problem> {
    for file in [&play.data, &play.model, &play.map] {
        stage.write(file.name, &file.bytes)?;
    }
    stage.title(&play.title);
    let init = format!("init --dir operator --org {} --name Operator", play.owner);
    stage.run("init", &init, 0)?;
    stage.run("model", &format!("model apply {} --dir operator", play.model.name), 0)?;
    let (data, map) = (play.data.name, play.map.name);
    stage.run("ingest", &format!("ingest {data} --map {map} --dir operator"), 0)?;
    stage.title(&play.story);
    let (twin, since) = (&play.twin, &play.since);
    let history = format!("twin history {twin} --since {since} --limit 3 --dir operator");
    stage.run("history", &history, 0)?;
    let (event, attributes) = event_of(stage, &history)?;
    stage.title("One of these facts, proven to somebody who trusts nobody here");
    let export =
        format!("proof export {event} --only {attributes} --out fact.twinproof --dir operator");
    stage.run("bundle", &export, 0)?;
    stage.run("verify without trust", "verify fact.twinproof", 23)?;
    let record = stage.run("trust export", "trust export --dir operator", 0)?;
    stage.write("operator.json", &record)?;
    stage.run("trust add", "trust add operator.json --trust trust.toml", 0)?;
    stage.run("verify", "verify fact.twinproof --trust trust.toml", 0)?;
    stage.title("The same proof with one byte flipped");
    let mut bytes = read_file(&stage.place.join("fact.twinproof"))?;
    if let Some(byte) = bytes.iter_mut().rev().nth(200) {
        *byte ^= 1;
    }
    stage.write("flipped.twinproof", &bytes)?;
    stage.run("verify flipped", "verify flipped.twinproof --trust trust.toml", 22)?;
    Ok(())
}

/// The number of the last event that a history shows, and the first two attributes that it has.
fn event_of(stage: &Stage, history: &str) -> Result<(u64, String), Problem> {
    let rows = stage.json(history)?;
    let last = rows.get("rows").and_then(Value::as_array).and_then(|rows| rows.last());
    let event = last.and_then(|row| row.get("event")).and_then(Value::as_u64);
    let values = last.and_then(|row| row.get("values")).and_then(Value::as_object);
    let names: Vec<&str> =
        values.into_iter().flat_map(|v| v.keys()).map(String::as_str).take(2).collect();
    let event = event.ok_or_else(|| internal("the history has no event"))?;
    Ok((event, names.join(",")))
}
