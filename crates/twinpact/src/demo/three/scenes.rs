//! What is looked at when the recording is over: what is refused, one incident from its rows to its
//! proof, how well it went, and that the copies are gone in the end.

use super::super::stage::Stage;
use super::Kept;
use super::lockstep::Went;
use super::setup::Three;
use crate::output::{front, internal, percent};
use serde::Serialize;
use twinpact_contract::vocabulary::PURPOSE;
use twinpact_gateway::client::segment;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_node::api::{CopyLine, IncidentKpi, Kpis};

/// The times after the recording at which it is asked for: a Saturday, and the Monday after it.
const SATURDAY: &str = "2015-08-01T14:10:00+02:00";
const MONDAY: &str = "2015-08-03T10:00:00+02:00";

/// The incident that is shown whole.
pub(crate) struct Told {
    pub(crate) incident: String,
    /// What of it took how long.
    pub(crate) took: IncidentKpi,
    /// The pictures of it.
    pub(crate) reports: Vec<String>,
}

/// What became of the copies.
#[derive(Debug, Serialize)]
pub(crate) struct Copies {
    /// How many deliveries the maker had got.
    got: u64,
    /// How many of them were gone already when the recording was over.
    gone_before: u64,
    /// How many were left two weeks later.
    left: u64,
    /// Of how many the owners have a signed deletion receipt.
    receipts: u64,
}

/// What the contract does not allow, each with its sentence.
pub(crate) async fn refusals(stage: &mut Stage, three: &Three) -> Result<(), Problem> {
    stage.title("What is refused, each in one sentence");
    let rows = front(&three.rows);
    let pull = |purpose: &str, place: &str| {
        format!("pull {rows} --purpose {PURPOSE}{purpose} --place {place} --dir maker")
    };
    let maintenance = "PredictiveMaintenance";
    set_clocks(stage, three, Timestamp::parse(SATURDAY)?).await?;
    stage.denied("on Saturday", &pull(maintenance, "FR"))?;
    set_clocks(stage, three, Timestamp::parse(MONDAY)?).await?;
    stage.denied("for another purpose", &pull("Benchmarking", "FR"))?;
    stage.denied("from outside the EU", &pull(maintenance, "US"))?;
    let path = format!("/copies?agreement={}&limit=1", segment(&three.rows));
    let newest: Vec<CopyLine> = three.maker.get(&path).await?;
    let newest = newest.first().ok_or_else(|| internal("the maker has no copy"))?;
    let receipt = front(&newest.receipt);
    let own = format!("copy show {receipt} --purpose {PURPOSE}Benchmarking --place FR --dir maker");
    stage.denied("its own copy, for another purpose", &own)
}

/// The incident that was hidden longest by the hours of the contract.
pub(crate) async fn incident(
    stage: &mut Stage,
    three: &Three,
    run: &Went,
) -> Result<Told, Problem> {
    let kpis: Kpis = three.maker.get("/kpis").await?;
    let mut known = kpis.incidents;
    known.retain(|one| one.detect_since_visible_s.is_some());
    // Of one fault the first finding counts.
    known.sort_by_key(|one| (one.twin.clone(), one.began, one.found));
    known.dedup_by(|later, first| {
        later.began.is_some() && later.began == first.began && later.twin == first.twin
    });
    let longest = known.into_iter().max_by_key(|one| one.price_of_policy_s);
    let took = longest.ok_or_else(|| internal("the job has found nothing"))?;
    let (recorded, shown, opened) = (run.recorded, run.shown, run.incidents.len());
    stage.title(&format!(
        "{recorded} rows recorded, {shown} of them shown, {opened} incidents; \
         the one that the hours hid longest"
    ));
    let id = took.incident.as_str();
    stage.run("incident", &format!("incident show {id} --dir maker"), 0)?;
    stage.title("A picture of it, from the rows that each may have");
    let mut told = Told { incident: took.incident.clone(), took, reports: Vec::new() };
    picture(stage, &mut told, "maker", "maker.html")?;
    picture(stage, &mut told, "operator", "operator.html")?;
    Ok(told)
}

/// A page about the incident, by what that organisation has.
pub(crate) fn picture(
    stage: &mut Stage,
    told: &mut Told,
    dir: &str,
    file: &str,
) -> Result<(), Problem> {
    let (id, rule) = (&told.incident, super::RULE_FILE);
    let line = format!("incident report {id} --rule {rule} --out {file} --dir {dir}");
    stage.run("report", &line, 0)?;
    told.reports.push(stage.place.join(file).display().to_string());
    Ok(())
}

/// The whole story, from what the three export, by somebody who has that and the trust file alone.
pub(crate) fn proof(stage: &mut Stage, told: &Told) -> Result<(), Problem> {
    stage.title("The whole story, for somebody who has only a folder and whom to trust");
    for dir in ["operator", "maker", "supplier"] {
        let line = format!("incident export {} --out story --dir {dir}", told.incident);
        stage.run("export", &line, 0)?;
    }
    stage.run("verify", "verify story --trust trust.toml", 0)?;
    stage.report.proof = Some(stage.json("verify story --trust trust.toml")?);
    Ok(())
}

pub(crate) fn kpis(stage: &Stage, kpis: &Kept, took: &IncidentKpi) {
    stage.title("How well it went (twinpact kpi)");
    let Kept { operator, maker, .. } = kpis;
    let said = |text: &str, value: Option<String>| {
        if let Some(value) = value {
            stage.say(&format!("  {text:<58} {value}"));
        }
    };
    let hours = |seconds: Option<i64>| {
        seconds.map(|s| format!("{} h {:02} min", s / 3_600, s % 3_600 / 60))
    };
    said("opened after it began", hours(took.detect_since_began_s));
    let visible = hours(took.detect_since_visible_s);
    said("opened after the first loss that the maker was shown", visible);
    said("the difference: the price of the policy", hours(took.price_of_policy_s));
    said("contained after it was asked for (a program answered)", hours(took.contain_s));
    let fresh = maker.freshness.as_ref();
    let fresh = fresh.map(|one| format!("{} of {} deliveries", percent(one.attained), one.of));
    said("as fresh as promised", fresh);
    let kept = operator.values.as_ref().map(|one| percent(one.share_kept));
    said("values of the turbines that never left the operator", kept);
    let bytes = maker.bytes.as_ref().map(|one| format!("{}, {}", one.asked, one.used));
    said("bytes that the maker asked for, and has used", bytes);
    let ms = operator.reconstruct_ms.map(|ms| format!("{ms:.0} ms"));
    said("one decision reconstructed with its proof", ms);
}

/// Two weeks later.
pub(crate) async fn copies(stage: &mut Stage, three: &Three) -> Result<Copies, Problem> {
    stage.title("Two weeks later: what the maker had is gone, and it has signed that it is");
    let before: Kpis = three.maker.get("/kpis").await?;
    let got = before.received.deliveries;
    let newest: Vec<CopyLine> = three.maker.get("/copies?limit=1").await?;
    let newest = newest.first().and_then(|copy| copy.delete_by);
    let newest = newest.ok_or_else(|| internal("no copy is to be deleted"))?;
    set_clocks(stage, three, newest).await?;
    let after: Kpis = three.maker.get("/kpis").await?;
    let left = got.saturating_sub(after.deleted.received);
    let mut receipts = 0;
    for owner in [&three.operator, &three.supplier] {
        // What never was taken is not owed: an event that came while something else was pinned.
        let of = after.agreements.iter().filter(|one| one.partner == owner.did);
        let taken: u64 = of.map(|one| one.flow.deliveries).sum();
        let all = |kpis: &Kpis| kpis.deleted.given == taken;
        let kpis: Kpis = owner.until("/kpis", "deletion receipts", all).await?;
        receipts += kpis.deleted.given;
    }
    stage.say(&format!("  {got} deliveries in all, {left} left; {receipts} deletion receipts"));
    let path = format!("/copies?agreement={}&limit=1", segment(&three.rows));
    let gone: Vec<CopyLine> = three.maker.get(&path).await?;
    if let Some(one) = gone.first() {
        let receipt = front(&one.receipt);
        stage.run("receipt", &format!("receipt show {receipt} --dir operator"), 0)?;
    }
    Ok(Copies { got, gone_before: before.deleted.received, left, receipts })
}

/// In lockstep: the same policy time at all three.
async fn set_clocks(stage: &Stage, three: &Three, time: Timestamp) -> Result<(), Problem> {
    for peer in three.peers() {
        peer.set_clock(time).await?;
    }
    stage.say(&format!("  (policy clock: {time})"));
    Ok(())
}
