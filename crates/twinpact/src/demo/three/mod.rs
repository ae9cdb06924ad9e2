//! The main job: a fault in the data of one organisation, traced by a second to a part of a third,
//! and contained, each step allowed by a contract and provable.
//!
//! The recordings are real, what is in the turbines is invented. Nothing in here knows when
//! something happens, or where: that is for the job of the maker to find, from the rows that its
//! contract shows it.

mod answers;
mod job;
mod lockstep;
mod peers;
mod question;
mod recording;
mod scenes;
mod setup;

use super::stage::Stage;
use super::{Denied, Step};
use crate::cli::Demo;
use crate::output::{Output, internal};
use answers::Answers;
use job::Job;
use lockstep::{Run, Went};
use question::Question;
use recording::Recording;
use scenes::Copies;
use serde::Serialize;
use serde_json::Value;
use setup::Three;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use twinpact_contract::Contract;
use twinpact_contract::vocabulary::PURPOSE;
use twinpact_model::problem::Problem;
use twinpact_model::{Schedule, codes};
use twinpact_node::api::Kpis;

/// Real recordings: "ENGIE, La Haute Borne wind farm" (examples/wind/ATTRIBUTION.md).
const RECORDING: &[u8] =
    include_bytes!("../../../../../examples/wind/la-haute-borne-2015-05-to-07.csv.gz");
const MODEL: &str = include_str!("../../../../../examples/wind/wind-turbine.toml");
const MAP: &str = include_str!("../../../../../examples/wind/wind-turbine.map.toml");
const CONTRACT: &str = include_str!("../../../../../examples/wind/turbine-maintenance.odcs.yaml");
const LINKS: &str = include_str!("../../../../../examples/wind/turbine-links.odcs.yaml");
const LOTS: &str = include_str!("../../../../../examples/wind/lot-links.odcs.yaml");
const UNIT_MODEL: &str = include_str!("../../../../../examples/wind/pitch-unit.toml");
const LOT_MODEL: &str = include_str!("../../../../../examples/wind/board-lot.toml");
const RULE: &str = include_str!("../../../../../examples/wind/power-loss.rule.toml");
const GENEALOGY: &str = include_str!("../../../../../examples/wind/genealogy.toml");
const DATA: &str = "la-haute-borne-2015-05-to-07.csv.gz";
const RULE_FILE: &str = "power-loss.rule.toml";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Shown {
    steps: Vec<Step>,
    nodes: Vec<Value>,
    agreements: Vec<Value>,
    /// The recording under the contract.
    run: Went,
    /// The incident that is shown whole.
    incident: String,
    denied: Vec<Denied>,
    proof: Option<Value>,
    /// What each organisation knows of how well it went.
    kpis: Kept,
    copies: Copies,
    question: Option<Question>,
    reports: Vec<String>,
    ms: u64,
}

/// The KPIs of the three.
#[derive(Debug, Serialize)]
struct Kept {
    operator: Kpis,
    maker: Kpis,
    supplier: Kpis,
}

/// The purpose for which the maker asks.
fn purpose() -> String {
    format!("{PURPOSE}PredictiveMaintenance")
}

pub(crate) async fn show(arguments: &Demo, out: Output, place: &Path) -> Result<ExitCode, Problem> {
    let start = Instant::now();
    if !arguments.auto_confirm && !std::io::stdin().is_terminal() {
        return Err(Problem::new(codes::INPUT_MALFORMED, "nobody is there to confirm anything")
            .hint("run it on a terminal, or with --auto-confirm"));
    }
    let mut stage = Stage::new(out, place.to_owned())?;
    stage.serves_with(arguments.serve_with.as_deref());
    let mut aside = stage.aside("wider")?;
    // The answer to the question in the end is worked out meanwhile.
    let ((three, run), wider) = tokio::try_join!(
        play(&mut stage, CONTRACT, arguments.auto_confirm),
        question::wider(&mut aside, arguments.once),
    )?;
    scenes::refusals(&mut stage, &three).await?;
    let mut told = scenes::incident(&mut stage, &three, &run).await?;
    let kpis = Kept {
        operator: three.operator.get("/kpis").await?,
        maker: three.maker.get("/kpis").await?,
        supplier: three.supplier.get("/kpis").await?,
    };
    scenes::kpis(&stage, &kpis, &told.took);
    let copies = scenes::copies(&mut stage, &three).await?;
    scenes::picture(&mut stage, &mut told, "maker", "maker-later.html")?;
    scenes::proof(&mut stage, &told)?;
    let question = wider.map(|wider| question::ask(&stage, (&run, &kpis.maker), wider, &told));
    let question = question.transpose()?;
    let report = std::mem::take(&mut stage.report);
    let shown = Shown {
        steps: report.steps,
        nodes: report.nodes,
        agreements: report.agreements,
        run,
        incident: told.incident.clone(),
        denied: report.denied,
        proof: report.proof,
        kpis,
        copies,
        question,
        reports: told.reports.clone(),
        ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    out.result(&shown, |shown| {
        let (s, ms) = (shown.ms / 1_000, shown.ms % 1_000);
        format!("{} incidents in {s}.{ms:03} s", shown.run.incidents.len())
    });
    stage.say("");
    told.reports.iter().for_each(|file| stage.say(&format!("  a picture of it: {file}")));
    stage.say(
        "  (maker.html is drawn from copies, so it is one: its head says by when to delete it)",
    );
    stage.farewell();
    three.stop()?;
    if arguments.keep.is_none() {
        out.next("twinpact demo --auto-confirm --keep DIR, and look around in DIR");
    }
    Ok(ExitCode::SUCCESS)
}

/// The hours of a contract about rows.
fn hours(contract: &str) -> Result<Schedule, Problem> {
    let contract = Contract::parse(contract.as_bytes());
    let contract = contract.map_err(|_| internal("the shipped contract cannot be read"))?;
    contract.row_filter.ok_or_else(|| internal("the shipped contract shows rows of all hours"))
}

/// Three organisations from nothing to the end of the recording.
async fn play(
    stage: &mut Stage,
    contract: &str,
    automatic: bool,
) -> Result<(Three, Went), Problem> {
    stage.write(DATA, RECORDING)?;
    let mut recording = Recording::read(&stage.place.join(DATA), MAP)?;
    let hours = hours(contract)?;
    let peers = setup::nodes(stage, contract)?;
    let three = setup::agreements(stage, peers).await?;
    // A link is of twins that are there: the first rows make those of the turbines.
    let (first, _) = recording.span().ok_or_else(|| internal("the recording has no rows"))?;
    let opening = hours.next_change(first).unwrap_or(first);
    let fed = recording.until(opening, &hours);
    for body in fed.bodies {
        three.operator.post_bytes::<Value>("/ingest", body).await?;
    }
    let went = Went { recorded: fed.rows, shown: fed.shown, ..Went::default() };
    setup::genealogy(stage, &three).await?;
    stage.title("The recording comes in; the maker sees what its contract shows");
    let state = stage.place.join("maker-watch.json");
    stage.say(
        "  (the maker runs what `twinpact watch` runs, one step each time the clocks are set)",
    );
    let run = Run {
        three: &three,
        recording,
        hours,
        job: Job::new(&three, state),
        answers: Answers { automatic, stage },
        bar: stage.bar(),
        went,
    };
    let went = run.whole().await?;
    Ok((three, went))
}
