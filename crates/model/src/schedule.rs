//! A weekly schedule in local time: `Mo-Fr 07:00-19:00 [Europe/Paris]`.
//!
//! Written like OpenStreetMap opening hours with the IANA zone inside the value, so that no JSON-LD
//! processor can part them. Held as seven lists of half-open minute intervals, which is also its
//! normal form. An hour that a clock change repeats is inside twice; one that it skips is never.

use crate::codes;
use crate::problem::Problem;
use crate::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MINUTES_A_DAY: u16 = 1440;
/// The most intervals a day may have.
const MAX_INTERVALS: usize = 24;

/// How many intervals are looked at for how long it was open.
pub const MAX_COUNTED: usize = 1_000;

/// When something is open, week after week, in one IANA time zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    zone: String,
    tz: TimeZone,
    /// Monday first; per day sorted, disjoint, half-open `[from, to)` in minutes after midnight.
    days: [Vec<(u16, u16)>; 7],
}

impl Eq for Schedule {}

impl Schedule {
    /// A schedule from its text form: `DAYS TIMES[; DAYS TIMES …] [ZONE]`, where DAYS is
    /// `Mo-Fr` or `Mo,We` and TIMES is `07:00-12:00,13:00-19:00`. An end before its start runs over
    /// midnight.
    ///
    /// # Errors
    /// `input.schedule` with what could not be read.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bad = |why: String| {
            Problem::new(codes::INPUT_SCHEDULE, format!("{why} in the schedule {text:?}"))
                .hint("write it like: Mo-Fr 07:00-19:00 [Europe/Paris]")
        };
        let (rules, zone) = text
            .strip_suffix(']')
            .and_then(|t| t.rsplit_once('['))
            .ok_or_else(|| bad("no [time zone]".to_owned()))?;
        let tz = TimeZone::get(zone).map_err(|_| bad(format!("unknown time zone {zone:?}")))?;
        let mut days: [Vec<(u16, u16)>; 7] = Default::default();
        for rule in rules.split(';').map(str::trim) {
            let (which, times) = rule
                .split_once(' ')
                .ok_or_else(|| bad(format!("no days or no times in {rule:?}")))?;
            let which = parse_days(which).ok_or_else(|| bad(format!("unknown days {which:?}")))?;
            for span in times.split(',').map(str::trim) {
                let (from, to) =
                    parse_span(span).ok_or_else(|| bad(format!("no time span {span:?}")))?;
                which.iter().for_each(|day| add(&mut days, *day, from, to));
            }
        }
        for day in &mut days {
            *day = merged(std::mem::take(day));
            if day.len() > MAX_INTERVALS {
                return Err(bad(format!("more than {MAX_INTERVALS} intervals a day")));
            }
        }
        // The database finds a zone in any case of letters; its own spelling is the one form.
        let zone = tz.iana_name().unwrap_or(zone).to_owned();
        Ok(Schedule { zone, tz, days })
    }

    /// The IANA zone it is written in.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Per day, Monday first, the half-open intervals in minutes after local midnight.
    #[must_use]
    pub fn days(&self) -> &[Vec<(u16, u16)>; 7] {
        &self.days
    }

    /// When both are open, in the one zone of both. `None` when their zones differ, when they are
    /// never open at once, and when it takes more intervals a day than a schedule has.
    #[must_use]
    pub fn intersection(&self, other: &Schedule) -> Option<Schedule> {
        let mut days = self.days.clone();
        for (day, theirs) in days.iter_mut().zip(&other.days) {
            *day = overlaps(day, theirs);
        }
        let written = days.iter().all(|day| day.len() <= MAX_INTERVALS);
        let open = days.iter().any(|day| !day.is_empty());
        (self.zone == other.zone && written && open).then(|| Schedule { days, ..self.clone() })
    }

    /// Whether it is open at that instant.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        let local = self.tz.to_datetime(at.to_jiff());
        let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        self.days
            .get(day)
            .is_some_and(|spans| spans.iter().any(|(from, to)| (*from..*to).contains(&minute)))
    }

    /// The first instant after `at` from which [`contains`](Self::contains) gives the other answer;
    /// `None` when it never does.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let open = self.contains(at);
        let mut candidates = self.boundaries(at);
        // A clock change can open or close the door by itself.
        candidates.extend(
            self.tz
                .following(at.to_jiff())
                .take(2)
                .map(|t| Timestamp::from_micros(t.timestamp().as_microsecond())),
        );
        candidates.sort_unstable();
        candidates.into_iter().find(|c| *c > at && self.contains(*c) != open)
    }

    /// For how many microseconds it is open from one instant to another. Nothing is counted behind
    /// the interval in which it comes to more than `most`; and behind so many intervals that it
    /// would take long to count them ([`MAX_COUNTED`]), all time counts as open.
    #[must_use]
    pub fn open_micros(&self, from: Timestamp, to: Timestamp, most: i64) -> i64 {
        let (mut at, mut open, mut counted) = (from, 0_i64, 0);
        while at < to && open <= most {
            let next = self.next_change(at).filter(|_| counted < MAX_COUNTED);
            let next = next.map_or(to, |next| next.min(to));
            if self.contains(at) || counted >= MAX_COUNTED {
                open = open.saturating_add(next.micros().saturating_sub(at.micros()));
            }
            (at, counted) = (next, counted + 1);
        }
        open
    }

    /// The local clock of an instant: `Sun 2015-07-26 04:00`.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> String {
        self.tz.to_datetime(at.to_jiff()).strftime("%a %Y-%m-%d %H:%M").to_string()
    }

    /// Every start and end within the next sixteen days, in instants: two weeks, because a clock
    /// change can skip an hour of the first, and a day at either end.
    fn boundaries(&self, at: Timestamp) -> Vec<Timestamp> {
        let mut found = Vec::new();
        let mut date = self.tz.to_datetime(at.to_jiff()).date();
        for _ in 0..16 {
            let day = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
            for (from, to) in self.days.get(day).into_iter().flatten() {
                for minute in [*from, *to] {
                    let hour = i8::try_from(minute / 60 % 24).unwrap_or(0);
                    let min = i8::try_from(minute % 60).unwrap_or(0);
                    let on = if minute == MINUTES_A_DAY { date.tomorrow() } else { Ok(date) };
                    if let Ok(on) = on {
                        found.extend(self.instants(on.at(hour, min, 0, 0)));
                    }
                }
            }
            match date.tomorrow() {
                Ok(next) => date = next,
                Err(_) => break,
            }
        }
        found
    }

    /// The instants that a local time names: one, two in a fold, the shifted one in a gap.
    fn instants(&self, local: DateTime) -> Vec<Timestamp> {
        let offsets = match self.tz.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => vec![offset],
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                vec![before, after]
            }
        };
        offsets
            .into_iter()
            .filter_map(|offset| offset.to_timestamp(local).ok())
            .map(|t| Timestamp::from_micros(t.as_microsecond()))
            .collect()
    }
}

fn parse_days(text: &str) -> Option<Vec<usize>> {
    let index = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(index(part)?),
            Some((from, to)) => {
                let (from, to) = (index(from)?, index(to)?);
                let end = if to < from { to + 7 } else { to };
                days.extend((from..=end).map(|day| day % 7));
            }
        }
    }
    Some(days)
}

fn parse_span(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (parse_minute(from)?, parse_minute(to)?);
    (from != to && from < MINUTES_A_DAY).then_some((from, to))
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_A_DAY).then_some(total)
}

fn add(days: &mut [Vec<(u16, u16)>; 7], day: usize, from: u16, to: u16) {
    let mut put = |day: usize, from: u16, to: u16| {
        if let Some(spans) = days.get_mut(day % 7)
            && from < to
        {
            spans.push((from, to));
        }
    };
    if from < to {
        put(day, from, to);
    } else {
        put(day, from, MINUTES_A_DAY);
        put(day + 1, 0, to);
    }
}

/// Sorted, with touching and overlapping intervals joined: one form for one meaning.
fn merged(mut spans: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    spans.sort_unstable();
    let mut out: Vec<(u16, u16)> = Vec::new();
    for (from, to) in spans {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// What is in an interval of either, sorted and disjoint as they are.
fn overlaps(ours: &[(u16, u16)], theirs: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let pairs = ours.iter().flat_map(|a| theirs.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    pairs.filter(|(from, to)| from < to).collect()
}

impl fmt::Display for Schedule {
    /// The canonical text: days with equal hours are joined, Monday first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules: Vec<(String, &Vec<(u16, u16)>)> = Vec::new();
        let mut day = 0;
        while let Some(spans) = self.days.get(day) {
            let run = self.days.iter().skip(day).take_while(|next| *next == spans).count();
            let name = |i: usize| DAYS.get(i).copied().unwrap_or_default();
            if !spans.is_empty() {
                let which = match run {
                    1 => name(day).to_owned(),
                    _ => format!("{}-{}", name(day), name(day + run - 1)),
                };
                rules.push((which, spans));
            }
            day += run.max(1);
        }
        let texts: Vec<String> = rules
            .into_iter()
            .map(|(which, spans)| {
                let spans: Vec<String> = spans
                    .iter()
                    .map(|(a, b)| {
                        format!("{:02}:{:02}-{:02}:{:02}", a / 60, a % 60, b / 60, b % 60)
                    })
                    .collect();
                format!("{which} {}", spans.join(","))
            })
            .collect();
        write!(f, "{} [{}]", texts.join("; "), self.zone)
    }
}

impl TryFrom<String> for Schedule {
    type Error = Problem;
    fn try_from(text: String) -> Result<Self, Problem> {
        Schedule::parse(&text)
    }
}

impl From<Schedule> for String {
    fn from(value: Schedule) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::time::Timestamp;

    fn schedule(text: &str) -> Schedule {
        Schedule::parse(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn one_form_for_one_meaning() {
        for (text, expect) in [
            ("Mo-Fr 07:00-19:00 [Europe/Paris]", Some("Mo-Fr 07:00-19:00 [Europe/Paris]")),
            (
                "Mo,Tu,We,Th,Fr 07:00-12:00,12:00-19:00 [Europe/Paris]",
                Some("Mo-Fr 07:00-19:00 [Europe/Paris]"),
            ),
            ("Fr-Mo 00:00-24:00 [UTC]", Some("Mo 00:00-24:00; Fr-Su 00:00-24:00 [UTC]")),
            ("Sa 22:00-06:00 [UTC]", Some("Sa 22:00-24:00; Su 00:00-06:00 [UTC]")),
            ("Mo 07:00-08:00 [europe/PARIS]", Some("Mo 07:00-08:00 [Europe/Paris]")),
            ("Mo-Fr 07:00-19:00", None),
            ("Mo-Fr 07:00-19:00 [Europe/Pari]", None),
            ("Mon-Fri 07:00-19:00 [UTC]", None),
            ("Mo 7-19 [UTC]", None),
            ("Mo 07:00-25:00 [UTC]", None),
            ("Mo 07:60-08:00 [UTC]", None),
            ("Mo 07:00-07:00 [UTC]", None),
            ("[UTC]", None),
        ] {
            let got = Schedule::parse(text).ok().map(|s| s.to_string());
            assert_eq!(got.as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn weekdays_in_paris() {
        let s = schedule("Mo-Fr 07:00-19:00 [Europe/Paris]");
        for (time, open, change) in [
            // Friday evening closes until Monday morning.
            ("2015-07-24T18:59:59+02:00", true, "2015-07-24T19:00:00+02:00"),
            ("2015-07-24T19:00:00+02:00", false, "2015-07-27T07:00:00+02:00"),
            ("2015-07-26T12:10:00Z", false, "2015-07-27T07:00:00+02:00"),
            ("2015-07-27T06:59:59.999999+02:00", false, "2015-07-27T07:00:00+02:00"),
            // Over the clock change of March 29 the offset is the new one.
            ("2015-03-27T19:00:00+01:00", false, "2015-03-30T07:00:00+02:00"),
        ] {
            assert_eq!(s.contains(at(time)), open, "{time}");
            assert_eq!(s.next_change(at(time)), Some(at(change)), "{time}");
        }
    }

    #[test]
    fn open_time_is_counted() {
        let weekdays = "Mo-Fr 07:00-19:00 [Europe/Paris]";
        let (hour, days) = (3_600_000_000, 86_400_000_000);
        for (text, from, to, most, expect) in [
            (weekdays, "2015-07-24T18:00:00+02:00", "2015-07-27T08:00:00+02:00", 99 * hour, 2),
            // No more than it takes to be more.
            (weekdays, "2015-07-20T18:00:00+02:00", "2015-07-27T08:00:00+02:00", hour, 13),
            (weekdays, "2015-07-20T18:00:00+02:00", "2015-07-27T08:00:00+02:00", hour - 1, 1),
            (weekdays, "2015-07-25T08:00:00+02:00", "2015-07-26T08:00:00+02:00", hour, 0),
            (weekdays, "2015-07-27T08:00:00+02:00", "2015-07-24T18:00:00+02:00", hour, 0),
            // Over the hour that comes twice.
            (
                "Su 02:00-03:00 [Europe/Paris]",
                "2015-10-24T12:00:00Z",
                "2015-10-26T12:00:00Z",
                hour * 9,
                2,
            ),
            ("Mo-Su 00:00-24:00 [UTC]", "2015-10-24T12:00:00Z", "2015-10-25T12:00:00Z", days, 24),
        ] {
            let got = schedule(text).open_micros(at(from), at(to), most);
            assert_eq!(got, expect * hour, "{text} {from} {to}");
        }
        // Of 500 weekdays each counts, of 3,000 not each.
        let s = schedule("Mo-Fr 07:00-07:01 [UTC]");
        let from = at("2015-07-27T00:00:00Z");
        let open =
            |weeks: i64| s.open_micros(from, from.plus_seconds(weeks * 7 * 86_400), i64::MAX);
        assert_eq!(open(99), 99 * 5 * 60_000_000);
        assert!(open(600) > 500 * 7 * 86_400_000_000);
    }

    #[test]
    fn clock_changes_open_and_close_by_themselves() {
        // 02:00–03:00 does not exist on that Sunday: the door stays shut.
        let s = schedule("Su 02:00-03:00 [Europe/Paris]");
        assert!(!s.contains(at("2015-03-29T00:59:59Z")));
        assert!(!s.contains(at("2015-03-29T01:00:00Z")));
        assert_eq!(s.next_change(at("2015-03-28T12:00:00Z")), Some(at("2015-04-05T00:00:00Z")));
        // In October the hour comes twice: open for two hours on end.
        assert!(s.contains(at("2015-10-25T00:30:00Z")) && s.contains(at("2015-10-25T01:30:00Z")));
        assert_eq!(s.next_change(at("2015-10-25T00:30:00Z")), Some(at("2015-10-25T02:00:00Z")));
        // The skipped hour does not hide the one a week later, neither its start nor its end.
        let s = schedule("Su 02:15-02:45 [Europe/Paris]");
        assert_eq!(s.next_change(at("2015-03-22T02:00:00Z")), Some(at("2015-04-05T00:15:00Z")));
        let s = schedule("Mo-Sa 00:00-24:00; Su 00:00-02:15,02:45-24:00 [Europe/Paris]");
        assert_eq!(s.next_change(at("2015-03-22T02:00:00Z")), Some(at("2015-04-05T00:15:00Z")));
        // Closing at 02:30 in a fold: open, shut, open again, shut again.
        let s = schedule("Su 02:00-02:30 [Europe/Paris]");
        assert_eq!(s.next_change(at("2015-10-25T00:10:00Z")), Some(at("2015-10-25T00:30:00Z")));
        assert_eq!(s.next_change(at("2015-10-25T00:40:00Z")), Some(at("2015-10-25T01:00:00Z")));
    }

    #[test]
    fn always_open_never_changes() {
        let s = schedule("Mo-Su 00:00-24:00 [Asia/Kathmandu]");
        assert_eq!(s.next_change(at("2015-10-25T00:10:00Z")), None);
    }
}
