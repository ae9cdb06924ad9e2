//! Whether a delivery is as fresh as its contract promises: its newest row, when it was decided, is
//! not older than the `freshness` of the contract (ODCS v3.2.0, `slaProperties`).
//!
//! Only time counts in which the view may be asked: while it is closed nothing can be delivered,
//! and on Monday morning the last row of Friday is as old as it was when the view closed.

use crate::agreements::{Agreement, hours};
use crate::fold::Fold;
use serde_json::Value;
use twinpact_contract::document::Promise;
use twinpact_contract::{Contract, Terms};
use twinpact_model::{Row, Timestamp};

/// The most seconds that count as a promise: what is longer promises nothing.
pub(crate) const MAX_FRESHNESS_S: u64 = 100 * 366 * 86_400;

/// The promise of a contract in seconds, when it makes one.
pub(crate) fn promised(contract: &Contract) -> Option<u64> {
    match contract.service_level("freshness")?.value {
        Promise::Milliseconds(millis) => Some(millis.div_ceil(1_000)),
        Promise::From(_) | Promise::Kept(_) => None,
    }
    .filter(|seconds| *seconds <= MAX_FRESHNESS_S)
}

/// The time of the newest of these rows.
pub(crate) fn newest(rows: &[Row]) -> Option<Timestamp> {
    rows.iter().map(|row| row.phen_start).max()
}

/// Whether rows of which the newest is of that time were fresh when it was decided, by an agreement
/// with these terms; `None` when there are none or nothing is promised.
pub(crate) fn verdict(
    promised_s: Option<u64>,
    terms: &Terms,
    newest: Option<Timestamp>,
    decided: Timestamp,
) -> Option<bool> {
    let (newest, seconds) = (newest?, promised_s?.min(MAX_FRESHNESS_S));
    let most = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let age = decided.micros().saturating_sub(newest.micros());
    Some(age <= most || hours(terms).is_some_and(|h| h.open_micros(newest, decided, most) <= most))
}

/// Whether what came under an agreement is as fresh as its provider says that it promises.
///
/// # Errors
/// Why the promise cannot be read.
pub(crate) fn came(
    fold: &Fold,
    agreement: &str,
    (delivery, rows): (&Value, &[Value]),
    decided: Timestamp,
) -> Result<Option<bool>, &'static str> {
    let promised = match delivery.get("freshness") {
        None | Some(Value::Null) => return Ok(None),
        Some(seconds) => seconds.as_u64().ok_or("its freshness is no number of seconds")?,
    };
    let time = |row: &Value| Timestamp::parse(row.get(1)?.as_str()?).ok();
    let newest = rows.iter().filter_map(time).max();
    let agreed = fold.agreements.get(agreement).and_then(Agreement::terms);
    let agreed = agreed.map_err(|_| "it is under no agreement of ours")?;
    Ok(verdict(Some(promised), &agreed, newest, decided))
}

#[cfg(test)]
mod tests {
    use super::{promised, verdict};
    use twinpact_contract::Contract;
    use twinpact_model::Timestamp;

    const EXAMPLE: &str = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");

    #[test]
    fn a_closed_view_ages_no_row() {
        let weekdays = Contract::parse(EXAMPLE.as_bytes()).unwrap();
        let line = "Mo-Fr 07:00-19:00 [Europe/Paris]";
        let always = EXAMPLE.replace(line, "Mo-Su 00:00-24:00 [Europe/Paris]");
        let always = Contract::parse(always.as_bytes()).unwrap();
        let hour = promised(&weekdays);
        assert_eq!(hour, Some(3_600));
        let time = |text: &str| Timestamp::parse(&format!("2015-07-{text}+02:00")).unwrap();
        for (newest, decided, [by_day, by_night]) in [
            ("24T18:00:00", "24T19:00:00", [true, true]),
            ("24T17:59:59", "24T18:59:59", [true, true]),
            ("24T17:59:58", "24T18:59:59", [false, false]),
            // Ten minutes of Friday and fifty of Monday; then one more second.
            ("24T18:50:00", "27T07:50:00", [true, false]),
            ("24T18:50:00", "27T07:50:01", [false, false]),
            // A row of the weekend, which a wider row filter would show.
            ("25T12:00:00", "27T08:00:00", [true, false]),
            ("25T12:00:00", "27T08:00:01", [false, false]),
            // Of a clock that is ahead.
            ("27T09:00:00", "27T08:00:00", [true, true]),
        ] {
            let (newest, decided) = (Some(time(newest)), time(decided));
            let got = [&weekdays, &always].map(|c| verdict(hour, c.terms(), newest, decided));
            assert_eq!(got, [Some(by_day), Some(by_night)], "{newest:?} {decided}");
        }
        let (terms, now) = (weekdays.terms(), time("27T08:00:00"));
        assert_eq!(verdict(hour, terms, None, now), None);
        assert_eq!(verdict(None, terms, Some(now), now), None);
    }

    #[test]
    fn a_promise_is_read_from_the_contract() {
        let line = "  - {id: fresh, property: freshness, value: PT1H}\n";
        for (more, expect) in [
            ("", None),
            ("  - {property: freshness, value: PT0.2S}\n", Some(1)),
            ("  - {property: freshness, value: P14D}\n", Some(1_209_600)),
            ("  - {property: latency, value: PT1M}\n", None),
        ] {
            let document = EXAMPLE.replacen(line, more, 1);
            let contract = Contract::parse(document.as_bytes()).unwrap();
            assert_eq!(promised(&contract), expect, "{more}");
        }
    }
}
