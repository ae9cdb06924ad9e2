//! First part: an operator's recordings become provable history, and a stranger checks one fact.

use super::stage::Stage;
use crate::output::internal;
use crate::session::read_file;
use serde_json::Value;
use twinpact_model::problem::Problem;

/// Real recordings: "ENGIE, La Haute Borne wind farm" (examples/wind/ATTRIBUTION.md).
const RECORDING: &[u8] =
    include_bytes!("../../../../examples/wind/la-haute-borne-2015-05-to-07.csv.gz");
const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");
const MAP: &str = include_str!("../../../../examples/wind/wind-turbine.map.toml");

const TURBINE: &str = "urn:turbine:R80711";

pub(crate) fn one_provable_fact(stage: &mut Stage) -> Result<(), Problem> {
    stage.write("la-haute-borne-2015-05-to-07.csv.gz", RECORDING)?;
    stage.write("wind-turbine.toml", MODEL.as_bytes())?;
    stage.write("wind-turbine.map.toml", MAP.as_bytes())?;
    stage.title("A wind-farm operator records three months of four turbines");
    stage.run("init", "init --dir operator --org did:web:operator.example --name Operator", 0)?;
    stage.run("model", "model apply wind-turbine.toml --dir operator", 0)?;
    stage.run(
        "ingest",
        "ingest la-haute-borne-2015-05-to-07.csv.gz --map wind-turbine.map.toml --dir operator",
        0,
    )?;
    stage.title("The history of one turbine: on Sunday 26 July 2015 it stands still in good wind");
    let history = format!(
        "twin history {TURBINE} --since 2015-07-26T14:00:00+02:00 --limit 3 --dir operator"
    );
    stage.run("history", &history, 0)?;
    let event = event_of(stage, &history)?;
    stage.title("One of these facts, proven to somebody who trusts nobody here");
    let export =
        format!("proof export {event} --only power,pitch --out fact.twinproof --dir operator");
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

/// The number of the last event that a history shows.
fn event_of(stage: &Stage, history: &str) -> Result<u64, Problem> {
    let rows = stage.json(history)?;
    let last = rows.get("rows").and_then(Value::as_array).and_then(|rows| rows.last());
    last.and_then(|row| row.get("event"))
        .and_then(Value::as_u64)
        .ok_or_else(|| internal("the history has no event"))
}
