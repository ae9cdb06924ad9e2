//! How the text of a cell becomes an instant.
//!
//! Four ways: RFC 3339 with offset; a strptime format that holds the offset; a strptime format and
//! an IANA zone; a count since 1970. A local time that the zone skips or has twice is refused,
//! because only the source could know which instant was meant. Instants are kept to the
//! microsecond; what is finer is cut.

use crate::toml_file::brief;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use twinpact_model::Timestamp;

/// How one column is read.
#[derive(Debug, Clone)]
pub(crate) enum When {
    /// RFC 3339 with offset (§5.6).
    Rfc3339,
    /// A format that holds the offset or the seconds since 1970.
    Instant {
        /// The strptime format.
        format: String,
    },
    /// A format of a local clock.
    Local {
        /// The strptime format.
        format: String,
        /// The zone of that clock.
        zone: TimeZone,
        /// Its IANA name.
        name: String,
    },
    /// A whole number of so many microseconds each since 1970.
    Epoch {
        /// 1,000,000 for seconds.
        micros: i64,
        /// What is counted, for people.
        unit: &'static str,
    },
}

/// An afternoon, so that a 12-hour clock without its half of the day does not read back.
const SAMPLE: DateTime = jiff::civil::datetime(2015, 7, 26, 16, 5, 6, 0);

impl When {
    /// The way that a format and, when it has no offset, a zone describe.
    ///
    /// # Errors
    /// A sentence about what the format or the zone lacks.
    pub(crate) fn new(format: &str, zone: Option<&str>) -> Result<Self, String> {
        let tm = sample(format)?;
        let whole = tm.timestamp().is_some() || tm.offset().is_some();
        let format = format.to_owned();
        match zone {
            None if whole => Ok(When::Instant { format }),
            None => Err("the format has no offset (%z); a zone is missing".to_owned()),
            Some(_) if whole => Err("the format has an offset; a zone may not stand".to_owned()),
            Some(name) => match TimeZone::get(name) {
                Ok(zone) => Ok(When::Local { format, zone, name: name.to_owned() }),
                Err(_) => Err(format!("unknown time zone {:?}", brief(name))),
            },
        }
    }

    /// The way that counts in this unit since 1970.
    ///
    /// # Errors
    /// A sentence about the units that there are.
    pub(crate) fn epoch(unit: &str) -> Result<Self, String> {
        match unit {
            "s" => Ok(When::Epoch { micros: 1_000_000, unit: "seconds" }),
            "ms" => Ok(When::Epoch { micros: 1_000, unit: "milliseconds" }),
            "us" => Ok(When::Epoch { micros: 1, unit: "microseconds" }),
            other => {
                Err(format!("unknown epoch {:?}: it is \"s\", \"ms\" or \"us\"", brief(other)))
            }
        }
    }

    /// The instant that the text of a cell names.
    ///
    /// # Errors
    /// A sentence about why it names none, or more than one.
    pub(crate) fn instant(&self, text: &str) -> Result<Timestamp, String> {
        let parse = |format: &str| {
            BrokenDownTime::parse(format, text)
                .map_err(|_| format!("{:?} is not a time of the form {format:?}", brief(text)))
        };
        let nowhere = |_| format!("{:?} does not exist", brief(text));
        match self {
            When::Rfc3339 => Timestamp::parse(text)
                .map_err(|_| format!("{:?} is not a time with offset", brief(text))),
            When::Instant { format } => {
                in_range(text, parse(format)?.to_timestamp().map_err(nowhere)?)
            }
            When::Local { format, zone, name } => {
                let local = parse(format)?.to_datetime().map_err(nowhere)?;
                in_range(text, one_instant(local, zone, name)?)
            }
            When::Epoch { micros, unit } => {
                let count = text.parse::<i64>().map_err(|_| {
                    format!("{:?} is not a whole number of {unit} since 1970", brief(text))
                })?;
                let kept = count.checked_mul(*micros).map(|all| (all, Timestamp::from_micros(all)));
                kept.filter(|(all, kept)| kept.micros() == *all)
                    .map(|(_, kept)| kept)
                    .ok_or_else(|| format!("{:?} lies outside the years 1 to 9999", brief(text)))
            }
        }
    }
}

fn one_instant(local: DateTime, zone: &TimeZone, name: &str) -> Result<jiff::Timestamp, String> {
    let found = zone.to_ambiguous_timestamp(local);
    match found.offset() {
        AmbiguousOffset::Unambiguous { .. } => {
            found.unambiguous().map_err(|_| format!("{local} lies outside the years 1 to 9999"))
        }
        AmbiguousOffset::Gap { .. } => {
            Err(format!("{local} does not exist in {name}: the clock skipped it"))
        }
        AmbiguousOffset::Fold { .. } => {
            Err(format!("{local} happened twice in {name}: the clock was set back"))
        }
    }
}

fn in_range(text: &str, instant: jiff::Timestamp) -> Result<Timestamp, String> {
    let micros = instant.as_microsecond();
    let kept = Timestamp::from_micros(micros);
    if kept.micros() == micros {
        Ok(kept)
    } else {
        Err(format!("{:?} lies outside the years 1 to 9999", brief(text)))
    }
}

/// What the format gives back of a sample that was written with it.
fn sample(format: &str) -> Result<BrokenDownTime, String> {
    let unreadable = |error: jiff::Error| format!("the format cannot be used: {error}");
    let zoned = jiff::tz::offset(2).to_timestamp(SAMPLE).map_err(unreadable)?;
    let zoned = zoned.to_zoned(TimeZone::fixed(jiff::tz::offset(2)));
    let written = BrokenDownTime::from(&zoned).to_string(format).map_err(unreadable)?;
    let tm = BrokenDownTime::parse(format, &written).map_err(unreadable)?;
    if tm.iana_time_zone().is_some() {
        return Err("the format may not hold the name of a zone (%Q)".to_owned());
    }
    let back = match (tm.timestamp(), tm.to_datetime()) {
        (Some(timestamp), _) => jiff::tz::offset(2).to_datetime(timestamp),
        (None, Ok(datetime)) => datetime,
        (None, Err(error)) => return Err(format!("the format names no day: {error}")),
    };
    // A format without a time of day means midnight; one with it must give the whole of it.
    let hour_kept = back.hour() == SAMPLE.hour() || tm.hour().is_none() && tm.timestamp().is_none();
    if back.date() == SAMPLE.date() && hour_kept {
        Ok(tm)
    } else {
        Err("a time that is written in the format does not read back the same".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::When;

    #[test]
    fn formats_are_whole() {
        for (format, zone, ok) in [
            ("%d/%m/%Y %H:%M", Some("Europe/Paris"), true),
            ("%d/%m/%Y %I:%M %p", Some("Europe/Paris"), true),
            ("%Y-%m-%d", Some("Europe/Paris"), true),
            ("%Y-%m-%d %H:%M:%S%z", None, true),
            ("%s", None, true),
            ("%d/%m/%Y %H:%M", None, false),
            ("%d/%m/%Y %I:%M", Some("Europe/Paris"), false),
            ("%H:%M", Some("Europe/Paris"), false),
            ("%d/%m %H:%M", Some("Europe/Paris"), false),
            ("%Y-%m-%d %H:%M:%S%z", Some("Europe/Paris"), false),
            ("%s", Some("Europe/Paris"), false),
            ("%Y-%m-%d %H:%M %Q", Some("Europe/Paris"), false),
            ("%Y-%m-%d %H:%M", Some("Europe/Pari"), false),
            ("%Y-%m-%d %!", Some("Europe/Paris"), false),
            ("", Some("Europe/Paris"), false),
        ] {
            assert_eq!(When::new(format, zone).is_ok(), ok, "{format:?} {zone:?}");
        }
    }

    #[test]
    fn cells_become_instants() {
        let check = |when: &When, cell: &str, expect: Result<&str, &str>| {
            let got = when.instant(cell).map(|t| t.to_string());
            assert_eq!(got.as_ref().map(String::as_str).map_err(String::as_str), expect, "{cell}");
        };
        let rfc = When::Rfc3339;
        check(&rfc, "2015-07-26T04:00:00+02:00", Ok("2015-07-26T02:00:00Z"));
        check(&rfc, "2015-07-26T04:00:00.1234569Z", Ok("2015-07-26T04:00:00.123456Z"));
        check(
            &rfc,
            "2015-02-29T04:00:00Z",
            Err("\"2015-02-29T04:00:00Z\" is not a time with offset"),
        );
        check(
            &rfc,
            "2015-07-26T04:00:00",
            Err("\"2015-07-26T04:00:00\" is not a time with offset"),
        );
        check(&rfc, "", Err("\"\" is not a time with offset"));
        let paris = When::new("%d/%m/%Y %H:%M", Some("Europe/Paris")).unwrap();
        check(&paris, "26/07/2015 04:00", Ok("2015-07-26T02:00:00Z"));
        check(&paris, "26/01/2015 04:00", Ok("2015-01-26T03:00:00Z"));
        check(
            &paris,
            "29/03/2015 02:30",
            Err("2015-03-29T02:30:00 does not exist in Europe/Paris: the clock skipped it"),
        );
        check(
            &paris,
            "25/10/2015 02:30",
            Err("2015-10-25T02:30:00 happened twice in Europe/Paris: the clock was set back"),
        );
        check(&paris, "31/02/2015 04:00", Err("\"31/02/2015 04:00\" does not exist"));
        check(
            &paris,
            "26/07/2015 04:00 ",
            Err("\"26/07/2015 04:00 \" is not a time of the form \"%d/%m/%Y %H:%M\""),
        );
        check(
            &paris,
            "31/12/-0001 04:00",
            Err("\"31/12/-0001 04:00\" lies outside the years 1 to 9999"),
        );
        let seconds = When::new("%s", None).unwrap();
        check(&seconds, "1437876000", Ok("2015-07-26T02:00:00Z"));
        let millis = When::epoch("ms").unwrap();
        check(&millis, "1437876000123", Ok("2015-07-26T02:00:00.123Z"));
        check(&millis, "-1", Ok("1969-12-31T23:59:59.999Z"));
        check(&millis, "1.5", Err("\"1.5\" is not a whole number of milliseconds since 1970"));
        check(
            &millis,
            "9223372036854775807",
            Err("\"9223372036854775807\" lies outside the years 1 to 9999"),
        );
        assert!(When::epoch("h").is_err());
    }
}
