//! Which columns hold the time, and in which form.

use super::column::Column;
use super::table::Table;
use crate::when::When;
use twinpact_model::Timestamp;

const DAYS: [&str; 10] = [
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y",
];
const HOURS: [&str; 5] = ["%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p", "%H%M"];
const OFFSETS: [&str; 4] = ["%z", "%:z", " %z", " %:z"];
/// Words of headers that speak of time.
const HINTS: [&str; 12] = [
    "time", "date", "stamp", "datum", "zeit", "uhr", "heure", "fecha", "epoch", "instant", "utc",
    "when",
];
/// From 1980 to 2100: what else would be read as a time is most likely a number.
const PLAUSIBLE: std::ops::Range<i64> = 315_532_800_000_000..4_102_444_800_000_000;

/// How the time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Rfc3339,
    /// A format with an offset.
    Offset(String),
    /// A format of a local clock.
    Local(String),
    /// A count since 1970 in `s`, `ms` or `us`.
    Epoch(&'static str),
}

/// The time of a table.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// One column, or a day and an hour.
    pub columns: Vec<usize>,
    pub form: Form,
    /// Another format that reads as many cells: days and months cannot be told apart.
    pub rival: Option<String>,
    /// How many rows it was held against, and how many of them it does not read.
    pub rows: u64,
    pub unread: u64,
}

impl Form {
    pub(super) fn when(&self, zone: &str) -> Result<When, String> {
        match self {
            Form::Rfc3339 => Ok(When::Rfc3339),
            Form::Offset(format) => When::new(format, None),
            Form::Local(format) => When::new(format, Some(zone)),
            Form::Epoch(unit) => When::epoch(unit),
        }
    }

    fn format(&self) -> Option<&str> {
        match self {
            Form::Offset(format) | Form::Local(format) => Some(format),
            Form::Rfc3339 | Form::Epoch(_) => None,
        }
    }
}

/// Every form of one column; of a day and an hour in two, joined by a space.
fn forms() -> Vec<Form> {
    let mut forms = vec![Form::Rfc3339];
    for day in DAYS {
        for hour in HOURS {
            let marks = if day == "%Y-%m-%d" { &[" ", "T"][..] } else { &[" "] };
            for mark in marks {
                let format = format!("{day}{mark}{hour}");
                let offsets = OFFSETS.iter().filter(|_| hour.starts_with("%H:%M"));
                forms.extend(offsets.map(|offset| Form::Offset(format!("{format}{offset}"))));
                forms.push(Form::Local(format));
            }
        }
        forms.push(Form::Local(day.to_owned()));
    }
    forms.extend(["s", "ms", "us"].map(Form::Epoch));
    forms
}

/// The microseconds since 1970 that the text is, when they are likely.
fn plausible(when: &When, text: &str) -> Option<i64> {
    when.instant(text).map(Timestamp::micros).ok().filter(|micros| PLAUSIBLE.contains(micros))
}

fn reads(when: &When, text: &str) -> bool {
    plausible(when, text).is_some()
}

/// The forms that read most of these cells: impossible days are the file's fault, not the form's.
fn reading(cells: &[String], forms: &[(Form, When)]) -> Vec<Form> {
    // Most columns hold no time at all: a few cells are enough to see that.
    let few = cells.get(..5).unwrap_or(cells);
    let likely = forms.iter().filter(|(_, when)| few.iter().any(|cell| reads(when, cell)));
    let enough = |when: &When| {
        let read = cells.iter().filter(|cell| reads(when, cell)).count();
        !cells.is_empty() && read * 10 >= cells.len() * 6
    };
    likely.filter(|(_, when)| enough(when)).map(|(form, _)| form.clone()).collect()
}

/// The time of the table: a column whose name speaks of time before others, what has an offset
/// before what has none, what comes first before what follows.
pub(super) fn find(table: &Table, columns: &[Column]) -> Option<Clock> {
    let forms: Vec<(Form, When)> = forms()
        .into_iter()
        .filter_map(|form| Some((form.when("UTC").ok()?, form)))
        .map(|(w, f)| (f, w))
        .collect();
    let mut found: Vec<(Vec<usize>, Vec<Form>)> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let forms = reading(&column.first, &forms);
        let day_alone = |form: &Form| form.format().is_some_and(|f| DAYS.contains(&f));
        if !forms.is_empty() && forms.iter().all(day_alone) {
            found.extend(day_and_hour(at, columns, &forms));
        }
        if !forms.is_empty() {
            found.push((vec![at], forms));
        }
    }
    found.sort_by_key(|(at, forms)| rank(at, forms, columns));
    let (columns, forms) = found.into_iter().next()?;
    Some(choose(table, columns, &forms))
}

/// The day of one column with the hours of another one.
fn day_and_hour(day: usize, columns: &[Column], days: &[Form]) -> Option<(Vec<usize>, Vec<Form>)> {
    let cells =
        |at: usize| columns.get(at).map(|column| column.first.as_slice()).unwrap_or_default();
    let shown = |cell: &String| {
        let marks = cell.bytes().filter(|b| *b == b':').count();
        (1..=2).contains(&marks) && cell.len() <= 15
    };
    let hour = (0..columns.len())
        .find(|at| *at != day && !cells(*at).is_empty() && cells(*at).iter().all(shown))?;
    let joined: Vec<String> =
        cells(day).iter().zip(cells(hour)).map(|(d, h)| format!("{d} {h}")).collect();
    let mut forms = Vec::new();
    for format in days.iter().filter_map(Form::format) {
        for hour in HOURS {
            let form = Form::Local(format!("{format} {hour}"));
            forms.extend(form.when("UTC").ok().map(|when| (form, when)));
        }
    }
    let forms = reading(&joined, &forms);
    (!forms.is_empty()).then(|| (vec![day, hour], forms))
}

fn rank(at: &[usize], forms: &[Form], columns: &[Column]) -> (bool, u8, bool, usize) {
    let name = |at: &usize| columns.get(*at).map(|c| c.name.to_lowercase()).unwrap_or_default();
    let hinted = at.iter().any(|at| HINTS.iter().any(|hint| name(at).contains(hint)));
    let kind = match forms.first() {
        Some(Form::Rfc3339 | Form::Offset(_)) => 0,
        Some(Form::Local(_)) => 1,
        _ => 2,
    };
    // A day with its hour says more than the day alone.
    (!hinted, kind, at.len() == 1, at.first().copied().unwrap_or_default())
}

/// A form with how many rows it does not read, and the sum of the instants that it reads.
struct Tried<'f> {
    form: &'f Form,
    when: When,
    unread: u64,
    sum: i64,
}

/// The form that reads most rows of the whole sample; of equals the first.
fn choose(table: &Table, columns: Vec<usize>, forms: &[Form]) -> Clock {
    let mut tried: Vec<Tried<'_>> = forms
        .iter()
        .filter_map(|form| Some(Tried { form, when: form.when("UTC").ok()?, unread: 0, sum: 0 }))
        .collect();
    let mut rows = 0;
    table.each(|cells| {
        let parts: Vec<&str> =
            columns.iter().map(|at| cells.get(*at).copied().unwrap_or_default()).collect();
        let text = parts.join(" ");
        rows += 1;
        for tried in &mut tried {
            match plausible(&tried.when, &text) {
                Some(micros) => tried.sum = tried.sum.wrapping_add(micros),
                None => tried.unread += 1,
            }
        }
        true
    });
    let best = tried.iter().enumerate().min_by_key(|(at, tried)| (tried.unread, *at));
    let Some((_, best)) = best else {
        return Clock { columns, form: Form::Rfc3339, rival: None, rows, unread: rows };
    };
    // Forms that read the same instants are no rivals.
    let rival = tried.iter().find(|other| other.unread == best.unread && other.sum != best.sum);
    let rival = rival.and_then(|other| other.form.format()).map(str::to_owned);
    Clock { columns, form: best.form.clone(), rival, rows, unread: best.unread }
}

#[cfg(test)]
mod tests {
    use super::forms;

    #[test]
    fn every_form_can_be_used() {
        let unusable: Vec<_> =
            forms().into_iter().filter(|form| form.when("UTC").is_err()).collect();
        assert_eq!(unusable, []);
    }
}
