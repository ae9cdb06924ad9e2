//! The pages of a pull: whether each begins and ends where it must, what they are together, and what
//! is said when the rest of them does not come.

use crate::api::Pulled;
use serde_json::Value;
use twinpact_model::Timestamp;
use twinpact_model::problem::Problem;
use twinpact_model::view::{Cursor, in_order};
use twinpact_proof::Level;

/// The most pages of one pull: 200 million rows. A view that goes on after them is taken for one
/// that never ends.
pub(crate) const MAX_PAGES: usize = 10_000;

/// A page that is verified and stored.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) receipt: String,
    pub(crate) rows: usize,
    /// The bytes of the rows.
    pub(crate) bytes: u64,
    /// The earliest and the latest time of a row.
    pub(crate) times: Option<(Timestamp, Timestamp)>,
    pub(crate) delete_by: Option<Timestamp>,
    pub(crate) level: Level,
    pub(crate) next: Option<Cursor>,
}

/// Where the next page goes on, and the earliest and latest time of the rows of this one, which was
/// asked for behind `after`.
///
/// Where a page ends follows from its rows. So the place that a partner names is behind the one
/// before it, or the page is refused.
///
/// # Errors
/// Why this is not the page that was asked for.
pub(crate) fn goes_on(
    delivery: &Value,
    after: Option<&Cursor>,
    rows: &[Value],
) -> Result<(Option<Cursor>, Option<(Timestamp, Timestamp)>), &'static str> {
    let place = |row: &'_ Value| -> Option<(String, Timestamp)> {
        let twin = row.get(0)?.as_str()?.to_owned();
        Some((twin, Timestamp::parse(row.get(1)?.as_str()?).ok()?))
    };
    let places: Option<Vec<(String, Timestamp)>> = rows.iter().map(place).collect();
    let places = places.ok_or("a row has no twin or no time")?;
    let of_rows = || places.iter().map(|(twin, time)| (twin.as_str(), *time));
    if !in_order(after, of_rows()) {
        return Err("the rows are out of order, or came before");
    }
    let next = match delivery.get("next") {
        Some(Value::Null) => None,
        Some(Value::String(text)) => {
            Some(Cursor::parse(text).map_err(|_| "the place where it goes on cannot be read")?)
        }
        _ => return Err("it does not say whether the view goes on"),
    };
    if next.is_some() && next != Cursor::behind(after, of_rows()) {
        return Err("it does not go on where it ends");
    }
    let times = || places.iter().map(|(_, time)| *time);
    Ok((next, times().min().zip(times().max())))
}

/// What the pages of a pull brought together.
pub(crate) fn total(agreement: String, pages: Vec<Page>) -> Pulled {
    let times = || pages.iter().filter_map(|page| page.times);
    Pulled {
        agreement,
        rows: pages.iter().map(|page| page.rows).sum(),
        bytes: pages.iter().map(|page| page.bytes).sum(),
        first: times().map(|(first, _)| first).min(),
        last: times().map(|(_, last)| last).max(),
        delete_by: pages.iter().filter_map(|page| page.delete_by).min(),
        level: pages.iter().map(|p| p.level).min().map_or("", Level::name).to_owned(),
        receipts: pages.into_iter().map(|page| page.receipt).collect(),
    }
}

/// The refusal of a page, with what was stored before it and how to go on.
pub(crate) fn stopped(mut problem: Problem, before: &[Page], after: Option<&Cursor>) -> Problem {
    let (Some(after), false) = (after, before.is_empty()) else { return problem };
    let rows: usize = before.iter().map(|page| page.rows).sum();
    let pages = if before.len() == 1 { "1 page" } else { &format!("{} pages", before.len()) };
    problem.message.push_str(&format!("; {pages} with {rows} rows were stored before"));
    let hint = problem.hint.take().map_or(String::new(), |hint| format!("{hint}; "));
    problem.hint(format!("{hint}pull the rest with --after {}", quoted(&after.to_string())))
}

/// As one word of a shell (POSIX §2.2.2): a twin is named by the partner, and the hint is copied.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
