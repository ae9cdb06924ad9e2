//! Spans of time as people type them: a whole number and `s`, `m`, `h` or `d`.

use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The span in seconds.
///
/// # Errors
/// `input.malformed` when it is not of that form.
pub(crate) fn seconds(text: &str) -> Result<i64, Problem> {
    let malformed = || {
        Problem::new(codes::INPUT_MALFORMED, format!("{text:?} is no span of time"))
            .hint("write 90s, 15m, 1h or 14d")
    };
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).unwrap_or_default();
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(malformed()),
    };
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse::<i64>().ok().filter(|_| plain);
    number.and_then(|number| number.checked_mul(each)).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn spans_have_one_form() {
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(seconds(text).ok(), expect, "{text}");
        };
        check("90s", Some(90));
        check("15m", Some(900));
        check("1h", Some(3_600));
        check("14d", Some(1_209_600));
        for bad in ["", "s", "1", "-1h", "+1h", "1.5h", "1w", "1h30m", "1é", "9999999999999999d"] {
            check(bad, None);
        }
    }
}
