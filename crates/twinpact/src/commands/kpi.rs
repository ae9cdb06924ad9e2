//! `kpi`: how well the exchange does, by what this node knows.

use crate::cli::Dir;
use crate::output::{Output, count, front, line, table};
use crate::session::Session;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::api::{
    AgreementKpi, BytesKpi, FlowKpi, FreshnessKpi, IncidentKpi, Kpis, OutcomesKpi, ValuesKpi,
};

/// What stands for a number that there is nothing to compute from.
const NONE: &str = "unknown";

pub(crate) async fn kpi(dir: &Dir, out: Output) -> Result<ExitCode, Problem> {
    let session = Session::open(&dir.dir).await?;
    let got = session.client.get("/kpis").await;
    session.close().await;
    let kpis: Kpis = got?;
    out.result(&kpis, text);
    Ok(ExitCode::SUCCESS)
}

fn text(kpis: &Kpis) -> String {
    let driven = if kpis.driven { " (driven clock: not evidence)" } else { "" };
    let mut lines = vec![format!("at {}{driven}", kpis.at)];
    kpis.incidents.iter().for_each(|one| incident(one, &mut lines));
    lines.extend([
        format!("freshness: {}", kpis.freshness.as_ref().map_or(NONE.into(), freshness)),
        format!("values that never left: {}", kpis.values.as_ref().map_or(NONE.into(), values)),
        format!("bytes asked for and used: {}", kpis.bytes.as_ref().map_or(NONE.into(), bytes)),
        match kpis.reconstruct_ms {
            Some(ms) => format!("one decision with its proof: {ms:.1} ms (wall clock)"),
            None => format!("one decision with its proof: {NONE}"),
        },
        format!("decisions: {}", outcomes(&kpis.decisions)),
        format!("delivered: {}", flow(&kpis.given)),
        format!("received: {}", flow(&kpis.received)),
    ]);
    if !kpis.agreements.is_empty() {
        let rows: Vec<_> = kpis.agreements.iter().map(agreement).collect();
        lines.push(table(&["agreement", "role", "partner", "freshness", "rows", "bytes"], &rows));
    }
    lines.join("\n")
}

fn incident(one: &IncidentKpi, lines: &mut Vec<String>) {
    let name = one.name.as_deref().unwrap_or("opened by a partner");
    let driven = if one.driven { ", by a driven clock" } else { "" };
    lines.push(line(&format!("incident {}: {name}{driven}", one.incident)));
    let by = match one.automatic {
        Some(true) => ", by a program",
        Some(false) => ", by people",
        None => "",
    };
    for (what, seconds, by) in [
        ("detected since it began", one.detect_since_began_s, ""),
        ("detected since the first row that was shown", one.detect_since_visible_s, ""),
        ("price of the policy", one.price_of_policy_s, ""),
        ("contained", one.contain_s, by),
    ] {
        let took = seconds.map_or(NONE.to_owned(), |seconds| format!("{} s", signed(seconds)));
        lines.push(format!("  {what}: {took}{by}"));
    }
}

fn signed(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    format!("{sign}{}", count(seconds.unsigned_abs()))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn freshness(one: &FreshnessKpi) -> String {
    let share = percent(one.attained);
    format!("{share}, {} of {} deliveries as fresh as promised", count(one.within), count(one.of))
}

fn values(one: &ValuesKpi) -> String {
    let (delivered, recorded) = (count(one.delivered), count(one.recorded));
    format!("{}, {delivered} of {recorded} values delivered", percent(one.share_kept))
}

fn bytes(one: &BytesKpi) -> String {
    format!("{}, {}", count(one.asked), count(one.used))
}

fn outcomes(one: &OutcomesKpi) -> String {
    let codes = one.by_code.iter().map(|(code, n)| format!("{code} {}", count(*n)));
    let codes: Vec<String> = codes.collect();
    let why = if codes.is_empty() { String::new() } else { format!(": {}", codes.join(", ")) };
    format!("{} permitted, {} refused{why}", count(one.permit), count(one.deny))
}

fn flow(one: &FlowKpi) -> String {
    let (deliveries, rows) = (count(one.deliveries), count(one.rows));
    format!("{deliveries} deliveries, {rows} rows, {} bytes", count(one.bytes))
}

fn agreement(one: &AgreementKpi) -> Vec<String> {
    vec![
        front(&one.agreement),
        one.role.clone(),
        one.partner.clone(),
        one.freshness.as_ref().map_or(NONE.to_owned(), |fresh| percent(fresh.attained)),
        count(one.flow.rows),
        count(one.flow.bytes),
    ]
}
