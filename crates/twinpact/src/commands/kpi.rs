//! `kpi`: how well the exchange does, by what this node knows.

use crate::cli::Dir;
use crate::output::{Output, count, front, line, percent, table};
use crate::session::get;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::api::{
    AgreementKpi, BytesKpi, FlowKpi, FreshnessKpi, IncidentKpi, Kpis, OutcomesKpi, ValuesKpi,
};

/// What stands for a number that there is nothing to compute from.
const NONE: &str = "unknown";

pub(crate) async fn kpi(dir: &Dir, out: Output) -> Result<ExitCode, Problem> {
    let kpis: Kpis = get(&dir.dir, "/kpis").await?;
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
        format!("delivered: {}", flow(&kpis.given, kpis.deleted.given)),
        format!("received: {}", flow(&kpis.received, kpis.deleted.received)),
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
        ("detected since its first loss was shown", one.detect_since_visible_s, ""),
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

fn flow(one: &FlowKpi, gone: u64) -> String {
    let (deliveries, rows, bytes) = (count(one.deliveries), count(one.rows), count(one.bytes));
    format!("{deliveries} deliveries, {rows} rows, {bytes} bytes; {} of them deleted", count(gone))
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

#[cfg(test)]
mod tests {
    use super::{NONE, text};
    use serde_json::json;
    use twinpact_node::api::Kpis;

    fn shown(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let flow = json!({ "deliveries": 2, "rows": 1_234, "bytes": 56_789 });
        let mut kpis = json!({
            "at": "2015-07-27T08:00:00Z", "driven": true, "incidents": [], "freshness": null,
            "values": null, "bytes": null, "reconstruct_ms": null, "reconstructed": null,
            "decisions": { "permit": 3, "deny": 1, "by_code": { "policy.schedule": 1 } },
            "given": flow, "received": flow, "deleted": { "given": 1, "received": 0 },
            "agreements": [],
        });
        change(&mut kpis);
        text(&serde_json::from_value::<Kpis>(kpis).unwrap())
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let said = shown(|_| ());
        for line in [
            "at 2015-07-27T08:00:00Z (driven clock: not evidence)",
            &format!("freshness: {NONE}"),
            &format!("one decision with its proof: {NONE}"),
            "decisions: 3 permitted, 1 refused: policy.schedule 1",
            "delivered: 2 deliveries, 1 234 rows, 56 789 bytes; 1 of them deleted",
        ] {
            assert!(said.lines().any(|has| has == line), "{line} is not in\n{said}");
        }
    }

    #[test]
    fn an_incident_says_what_the_policy_cost_and_who_confirmed() {
        let said = shown(|kpis| {
            kpis["values"] = json!({ "recorded": 4, "delivered": 1, "share_kept": 0.75 });
            kpis["incidents"] = json!([{
                "incident": "urn:uuid:1", "name": "loss", "role": "asker", "twin": "urn:t:1",
                "began": null, "first": null, "found": null, "opened": null,
                "detect_since_began_s": 93_600, "detect_since_visible_s": 7_200, "price_of_policy_s": 86_400, "contain_s": null,
                "automatic": true, "driven": true, "containments": [],
            }]);
        });
        for line in [
            "incident urn:uuid:1: loss, by a driven clock",
            "  detected since it began: 93 600 s",
            "  detected since its first loss was shown: 7 200 s",
            "  price of the policy: 86 400 s",
            "  contained: unknown, by a program",
            "values that never left: 75.0 %, 1 of 4 values delivered",
        ] {
            assert!(said.lines().any(|has| has == line), "{line} is not in\n{said}");
        }
    }

    #[test]
    fn of_an_incident_whose_owner_never_said_when_it_began_that_is_unknown() {
        let said = shown(|kpis| {
            kpis["incidents"] = json!([{
                "incident": "urn:uuid:1", "name": null, "role": "asked", "twin": "urn:t:1",
                "began": null, "first": "2015-07-27T05:00:00Z", "found": "2015-07-27T05:20:00Z",
                "opened": "2015-07-27T06:00:00Z", "detect_since_began_s": null,
                "detect_since_visible_s": 3_600, "price_of_policy_s": null, "contain_s": 0,
                "automatic": false, "driven": false, "containments": [],
            }]);
        });
        let lines: Vec<&str> = said.lines().skip(1).take(5).collect();
        let expect = [
            "incident urn:uuid:1: opened by a partner",
            "  detected since it began: unknown",
            "  detected since its first loss was shown: 3 600 s",
            "  price of the policy: unknown",
            "  contained: 0 s, by people",
        ];
        assert_eq!(lines, expect);
    }
}
