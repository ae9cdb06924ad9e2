//! Times and durations. Two clocks are two types, so that one is never taken for the other.
//!
//! [`Timestamp`] is an instant in UTC, counted in microseconds since 1970. Signed types hold
//! integers within ±(2^53−1) only, so a signed time in microseconds ends in the year 2255.
//! [`WallTime`] is what the wall clock said (TLS, tokens, checkpoints, `recorded`); [`PolicyTime`]
//! is what the policy clock said (decisions, retention days, delete-by, freshness).

use crate::codes;
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant in microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// The last instant of the year 9999, the largest that RFC 3339 can write.
const MAX_MICROS: i64 = 253_402_300_799_999_999;
/// The first instant of the year 0001.
const MIN_MICROS: i64 = -62_135_596_800_000_000;

impl Timestamp {
    /// The instant so many microseconds after 1970, kept inside the years 0001–9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Timestamp(micros.clamp(MIN_MICROS, MAX_MICROS))
    }

    /// The instant so many seconds after 1970.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Timestamp::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole days since 1970 in UTC, rounded down: the retention day.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }

    /// The instant so many seconds later (earlier when negative).
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Timestamp::from_micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The last time before it, or it, that is a multiple of so many seconds since 1970.
    #[must_use]
    pub fn floor(self, seconds: i64) -> Self {
        let unit = seconds.max(1).saturating_mul(1_000_000);
        Timestamp::from_micros(self.0.div_euclid(unit).saturating_mul(unit))
    }

    /// RFC 3339 with its offset (§5.6).
    ///
    /// # Errors
    /// `input.time` when it is not such a time, has no offset, or does not exist.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        text.parse::<jiff::Timestamp>().map(|t| Timestamp::from_micros(t.as_microsecond())).map_err(
            |_| {
                Problem::new(codes::INPUT_TIME, format!("not a time with offset: {text:?}"))
                    .hint("write it like 2015-07-26T04:00:00+02:00 or 2015-07-26T02:00:00Z")
            },
        )
    }

    pub(crate) fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; the fraction only when there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff())
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        Timestamp::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(value: Timestamp) -> String {
        value.to_string()
    }
}

/// What the wall clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime(pub Timestamp);

/// What the policy clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicyTime(pub Timestamp);

/// Seconds of an ISO 8601 duration (§5.5.2.2) of fixed length: weeks, days, hours, minutes and
/// whole seconds. Years and months are refused because their length depends on where they start.
///
/// # Errors
/// `input.time` when it is not such a duration or is longer than ten thousand years.
pub fn parse_duration(text: &str) -> Result<u64, Problem> {
    let bad = || {
        Problem::new(codes::INPUT_TIME, format!("not a duration of fixed length: {text:?}"))
            .hint("write it like P14D, PT10M or P1DT12H; years and months have no fixed length")
    };
    let rest = text.strip_prefix('P').ok_or_else(bad)?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return Err(bad()),
        None => (rest, ""),
    };
    let date_units = [('W', 604_800), ('D', 86_400)];
    let time_units = [('H', 3_600), ('M', 60), ('S', 1)];
    let sum = fields(date, &date_units)
        .and_then(|d| fields(time, &time_units).and_then(|t| d.checked_add(t)));
    match sum {
        Some(seconds) if !rest.is_empty() && seconds <= 315_576_000_000 => Ok(seconds),
        _ => Err(bad()),
    }
}

/// The sum of `number unit` fields, each unit at most once and in the order given.
fn fields(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0u64;
    for (unit, seconds) in units {
        let Some((number, after)) = rest.split_once(*unit) else { continue };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        rest = after;
    }
    rest.is_empty().then_some(sum)
}

/// The shortest ISO 8601 duration of so many seconds: `P14D`, `PT90M`, `PT0S`.
#[must_use]
pub fn format_duration(seconds: u64) -> String {
    match seconds {
        0 => "PT0S".to_owned(),
        s if s % 86_400 == 0 => format!("P{}D", s / 86_400),
        s if s % 3_600 == 0 => format!("PT{}H", s / 3_600),
        s if s % 60 == 0 => format!("PT{}M", s / 60),
        s => format!("PT{s}S"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, format_duration, parse_duration};
    use proptest::prelude::*;

    #[test]
    fn times_have_an_offset() {
        for (text, expect) in [
            ("2015-07-26T04:00:00+02:00", Some("2015-07-26T02:00:00Z")),
            ("2015-07-26T02:00:00.000001Z", Some("2015-07-26T02:00:00.000001Z")),
            ("2015-07-26T02:00:00", None),
            ("2015-02-30T02:00:00Z", None),
            ("yesterday", None),
        ] {
            let got = Timestamp::parse(text).ok().map(|t| t.to_string());
            assert_eq!(got.as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn durations_have_a_fixed_length() {
        for (text, expect) in [
            ("P14D", Some(1_209_600)),
            ("P2W", Some(1_209_600)),
            ("PT10M", Some(600)),
            ("P1DT12H", Some(129_600)),
            ("PT1H30M5S", Some(5_405)),
            ("P1M", None),
            ("P1Y", None),
            ("P", None),
            ("PT", None),
            ("PT5M1H", None),
            ("P-1D", None),
            ("14D", None),
            ("P99999999999999999999D", None),
        ] {
            assert_eq!(parse_duration(text).ok(), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_as_it_was_written(seconds in 0u64..10_000_000) {
            prop_assert_eq!(parse_duration(&format_duration(seconds)).ok(), Some(seconds));
        }

        #[test]
        fn a_time_reads_as_it_was_written(micros in super::MIN_MICROS..super::MAX_MICROS) {
            let t = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&t.to_string()).ok(), Some(t));
        }
    }
}
