//! What a copy says of what drives a twin and of what it gives, by the columns that a rule names.

use serde_json::Value;
use twinpact_detect::{Milli, RuleFile, Sample};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::CopyRead;

/// The rows of a copy that have both values; a row without one of them says nothing.
///
/// # Errors
/// `rule.invalid` when the view has no such column; `internal` when a row has no twin and time.
pub(crate) fn samples(copy: &CopyRead, rule: &RuleFile) -> Result<Vec<Sample>, Problem> {
    // Twin and time stand before the values.
    let column = |name: &str| {
        let at = copy.columns.iter().position(|column| column.name == name);
        at.map(|at| at + 2).ok_or_else(|| unknown(name, copy))
    };
    let (drive, output) = (column(&rule.drive)?, column(&rule.output)?);
    let mut samples = Vec::with_capacity(copy.rows.len());
    for row in &copy.rows {
        let text = |at: usize| row.get(at).and_then(Value::as_str);
        let (twin, at) = text(0).zip(text(1)).ok_or_else(unreadable)?;
        let at = Timestamp::parse(at)?;
        let number = |at: usize| text(at).and_then(Milli::parse);
        if let Some((drive, output)) = number(drive).zip(number(output)) {
            let (twin, keep_until) = (twin.to_owned(), copy.copy.delete_by);
            samples.push(Sample { twin, at, drive, output, keep_until });
        }
    }
    Ok(samples)
}

fn unknown(name: &str, copy: &CopyRead) -> Problem {
    let known: Vec<&str> = copy.columns.iter().map(|column| column.name.as_str()).collect();
    let why = format!("the rule reads {name:?}, which the view does not show");
    Problem::new(codes::RULE_INVALID, why).hint(format!("the view shows {}", known.join(", ")))
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a row of a copy has no twin and time")
}

#[cfg(test)]
mod tests {
    use super::samples;
    use crate::watch::rule_file;
    use serde_json::json;
    use twinpact_detect::{Milli, Sample};
    use twinpact_model::Timestamp;
    use twinpact_node::api::CopyRead;

    const RULE: &str = include_str!("../../../../examples/wind/power-loss.rule.toml");

    const DUE: &str = "2015-08-10T05:00:00Z";

    fn copy(columns: &[&str], rows: &serde_json::Value) -> CopyRead {
        let columns: Vec<_> = columns.iter().map(|name| json!({ "name": name })).collect();
        let line = json!({
            "receipt": "r", "partner": "did:web:operator.example", "agreement": "a", "view": "v",
            "terms": "", "rows": 1, "stored": "2015-07-27T05:00:00Z", "delete_by": DUE,
            "deleted": null, "erased": false,
        });
        let read = json!({
            "copy": line, "decision": "d", "sentence": "", "columns": columns, "rows": rows,
        });
        serde_json::from_value(read).unwrap()
    }

    #[test]
    fn the_columns_of_the_rule_are_read_and_no_others() {
        let rule = rule_file(RULE).unwrap();
        let at = "2015-07-27T05:10:00Z";
        let check =
            |columns: &[&str], row: serde_json::Value, expect: Result<Option<i64>, &str>| {
                let got = samples(&copy(columns, &json!([row])), &rule);
                let got = got.map_err(|problem| problem.code.name);
                let sample = |output: i64| Sample {
                    twin: "urn:a".to_owned(),
                    at: Timestamp::parse(at).unwrap(),
                    drive: Milli(7_500),
                    output: Milli(output),
                    keep_until: Some(Timestamp::parse(DUE).unwrap()),
                };
                assert_eq!(got, expect.map(|output| output.map(sample).into_iter().collect()));
            };
        let both = ["power", "pitch", "wind_speed"];
        check(&both, json!(["urn:a", at, "514.24", "0", "7.5"]), Ok(Some(514_240)));
        check(&["wind_speed", "power"], json!(["urn:a", at, "7.5", "1"]), Ok(Some(1_000)));
        // A row without a value says nothing.
        check(&both, json!(["urn:a", at, null, "0", "7.5"]), Ok(None));
        check(&both, json!(["urn:a", at, "much", "0", "7.5"]), Ok(None));
        check(&["power"], json!(["urn:a", at, "514.24"]), Err("rule.invalid"));
        check(&both, json!(["urn:a", null, "514.24", "0", "7.5"]), Err("internal"));
        check(&both, json!(["urn:a", "soon", "514.24", "0", "7.5"]), Err("input.time"));
    }
}
