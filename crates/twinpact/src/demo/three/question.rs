//! What would a weekend clause have been worth? The same recording, under a contract that shows
//! Saturdays and Sundays too.

use super::super::stage::Stage;
use super::lockstep::Went;
use super::scenes::Told;
use super::{CONTRACT, play};
use crate::output::internal;
use serde::Serialize;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_node::api::{IncidentKpi, Kpis, SeenAt};

/// The days of the contract, and those of the wider one.
const DAYS: (&str, &str) = ("Mo-Fr 07:00-19:00", "Mo-Su 07:00-19:00");

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Question {
    /// The days of both contracts.
    contract: &'static str,
    wider: &'static str,
    /// The second run.
    run: Went,
    /// The maker's KPIs of it.
    kpis: Kpis,
    /// The incident that was shown whole: the row by which it was found, under both.
    found: Timestamp,
    found_wider: Timestamp,
    /// How much sooner, in seconds of data time.
    sooner_s: i64,
}

/// What was seen under the wider contract.
pub(crate) struct Wider {
    run: Went,
    kpis: Kpis,
}

/// The same recording under the wider contract, from nothing to its end; not when it is to be left
/// out. Nobody is asked twice: a program confirms.
pub(crate) async fn wider(stage: &mut Stage, leave: bool) -> Result<Option<Wider>, Problem> {
    if leave {
        return Ok(None);
    }
    let (three, run) = play(stage, &CONTRACT.replace(DAYS.0, DAYS.1), true).await?;
    let kpis = three.maker.get("/kpis").await?;
    three.stop()?;
    Ok(Some(Wider { run, kpis }))
}

pub(crate) fn ask(
    stage: &Stage,
    (run, kpis): (&Went, &Kpis),
    wider: Wider,
    told: &Told,
) -> Result<Question, Problem> {
    let found = told.took.found.unwrap_or_default();
    let same = same_fault(&told.took, &wider.run)
        .ok_or_else(|| internal("the wider contract does not show what the narrower one did"))?;
    let sooner = (found.micros() - same.found.micros()) / 1_000_000;
    stage.title("What would a weekend clause have been worth?");
    let say = |text: String| stage.say(&format!("  {text}"));
    say(format!("the same recording, under {} in place of {}:", DAYS.1, DAYS.0));
    let (hours, minutes) = (sooner / 3_600, sooner % 3_600 / 60);
    say(format!("it is found by the row of {}, {hours} h {minutes} min sooner", same.found));
    let (less, more) = (run.incidents.len(), wider.run.incidents.len());
    say(format!("{more} incidents in place of {less}"));
    say(format!("{} rows shown in place of {}", wider.run.shown, run.shown));
    if let (Some(narrow), Some(wide)) = (&kpis.bytes, &wider.kpis.bytes) {
        say(format!("{} bytes given in place of {}", wide.asked, narrow.asked));
    }
    Ok(Question {
        contract: DAYS.0,
        wider: DAYS.1,
        run: wider.run,
        kpis: wider.kpis,
        found,
        found_wider: same.found,
        sooner_s: sooner,
    })
}

/// The first finding at the same twin since the fault began.
fn same_fault(took: &IncidentKpi, wider: &Went) -> Option<SeenAt> {
    let (twin, began, found) = (took.twin.as_deref()?, took.began.or(took.first)?, took.found?);
    let seen = wider.incidents.iter().flat_map(|one| &one.containments);
    let seen = seen.filter_map(|one| one.seen.clone());
    let same =
        seen.filter(|one| one.twin.as_str() == twin && one.found >= began && one.found <= found);
    same.min_by_key(|one| one.found)
}
