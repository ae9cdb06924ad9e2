//! `demo`: the main job on real recordings, by the commands that a user would type.
//!
//! Nothing in here knows how a node works: each step runs this binary with a command line, shows it
//! and what it printed, and holds its exit code against the one that it must have.

use crate::cli::Demo;
use crate::output::{Output, internal};
use crate::session::{read_file, write_file};
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;
use twinpact_model::problem::Problem;

/// Real recordings: "ENGIE, La Haute Borne wind farm" (examples/wind/ATTRIBUTION.md).
const RECORDING: &[u8] =
    include_bytes!("../../../examples/wind/la-haute-borne-2015-05-to-07.csv.gz");
const MODEL: &str = include_str!("../../../examples/wind/wind-turbine.toml");
const MAP: &str = include_str!("../../../examples/wind/wind-turbine.map.toml");

const TURBINE: &str = "urn:turbine:R80711";

#[derive(Debug, Serialize)]
struct Step {
    name: String,
    ms: u128,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    steps: Vec<Step>,
    proof: Option<Value>,
}

struct Stage {
    out: Output,
    program: PathBuf,
    place: PathBuf,
    report: Report,
}

pub(crate) fn demo(arguments: &Demo, out: Output) -> Result<ExitCode, Problem> {
    let temporary = tempfile::tempdir().map_err(|e| internal(&format!("no place: {e}")))?;
    let place = match &arguments.keep {
        Some(keep) => {
            std::fs::create_dir_all(keep).map_err(|e| internal(&format!("no place: {e}")))?;
            keep.clone()
        }
        None => temporary.path().to_owned(),
    };
    let program = std::env::current_exe().map_err(|e| internal(&format!("this program: {e}")))?;
    let mut stage = Stage { out, program, place, report: Report::default() };
    stage.lay_out_files()?;
    one_provable_fact(&mut stage)?;
    let report = stage.report;
    out.result(&report, |report| {
        let total: u128 = report.steps.iter().map(|step| step.ms).sum();
        format!("{} steps in {}.{:03} s", report.steps.len(), total / 1000, total % 1000)
    });
    if arguments.keep.is_none() {
        out.next("twinpact demo --keep DIR, and look around in DIR");
    }
    Ok(ExitCode::SUCCESS)
}

/// An operator's recordings become provable history; a stranger checks one fact.
fn one_provable_fact(stage: &mut Stage) -> Result<(), Problem> {
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
    let event = stage.event_of(&history)?;
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
    stage.report.proof = Some(stage.json("verify fact.twinproof --trust trust.toml")?);
    Ok(())
}

impl Stage {
    fn lay_out_files(&self) -> Result<(), Problem> {
        self.write("la-haute-borne-2015-05-to-07.csv.gz", RECORDING)?;
        self.write("wind-turbine.toml", MODEL.as_bytes())?;
        self.write("wind-turbine.map.toml", MAP.as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Problem> {
        write_file(&self.place.join(name), bytes)
    }

    fn title(&self, title: &str) {
        self.out.say(&format!("\n# {title}"));
    }

    /// Runs a command line, shows it and what it printed, and holds its exit code.
    fn run(&mut self, name: &str, line: &str, expect: i32) -> Result<Vec<u8>, Problem> {
        self.out.say(&format!("$ twinpact {line}"));
        let start = Instant::now();
        let output = self.command(line).output().map_err(|e| internal(&format!("{line}: {e}")))?;
        let ms = start.elapsed().as_millis();
        let long = output.stdout.len() > 1500;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let shown = if long { format!("({} bytes)", output.stdout.len()) } else { stdout.into() };
        let stderr = String::from_utf8_lossy(&output.stderr);
        for part in [shown.trim_end(), stderr.trim_end()] {
            let lines = part.lines().filter(|line| !line.starts_with("next: "));
            lines.for_each(|line| self.out.say(&format!("  {line}")));
        }
        let code = output.status.code();
        if code != Some(expect) {
            return Err(internal(&format!(
                "exit code {code:?} where {expect} was expected: {line}"
            )));
        }
        if expect != 0 {
            self.out.say(&format!("  exit code {expect}, as it must be"));
        }
        self.report.steps.push(Step { name: name.to_owned(), ms });
        Ok(output.stdout)
    }

    /// What a command prints as JSON.
    fn json(&self, line: &str) -> Result<Value, Problem> {
        let output = self.command(&format!("--json {line}")).output();
        let output = output.map_err(|e| internal(&format!("{line}: {e}")))?;
        serde_json::from_slice(&output.stdout).map_err(|e| internal(&format!("{line}: {e}")))
    }

    /// The number of the last event that a history shows.
    fn event_of(&self, history: &str) -> Result<u64, Problem> {
        let rows = self.json(history)?;
        let last = rows.get("rows").and_then(Value::as_array).and_then(|rows| rows.last());
        last.and_then(|row| row.get("event"))
            .and_then(Value::as_u64)
            .ok_or_else(|| internal("the history has no event"))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line.split_whitespace()).current_dir(&self.place);
        command
    }
}
