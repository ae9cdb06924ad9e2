//! The pages of a pull: whether each begins and ends where it must, what they are together, and
//! what is said when the rest of them does not come.

use crate::api::Pulled;
use serde_json::Value;
use twinpact_model::problem::Problem;
use twinpact_model::view::{Cursor, in_order};
use twinpact_model::{Timestamp, codes};
use twinpact_proof::Level;

/// The most pages of one pull: 200 million rows, so that a command comes to an end whatever a
/// partner sends. A view that goes on is pulled on by the next command.
pub(crate) const MAX_PAGES: usize = 10_000;

/// The earliest and the latest time of rows; `None` when there are none.
pub(crate) type Span = Option<(Timestamp, Timestamp)>;

/// A page that is verified and stored.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) receipt: String,
    pub(crate) rows: usize,
    /// The bytes of the rows.
    pub(crate) bytes: u64,
    pub(crate) times: Span,
    pub(crate) delete_by: Option<Timestamp>,
    pub(crate) level: Level,
    pub(crate) next: Option<Cursor>,
}

/// Where the next page goes on, and the times of this one, which was asked for behind `after`.
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
) -> Result<(Option<Cursor>, Span), &'static str> {
    let place = |row: &Value| -> Option<(String, Timestamp)> {
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

/// The earliest and the latest time of rows in whatever order.
///
/// # Errors
/// Why they are no rows.
pub(crate) fn times(rows: &[Value]) -> Result<Span, &'static str> {
    let time = |row: &Value| Timestamp::parse(row.get(1)?.as_str()?).ok();
    let times: Option<Vec<Timestamp>> = rows.iter().map(time).collect();
    let times = times.ok_or("a row has no time")?;
    Ok(times.iter().min().copied().zip(times.iter().max().copied()))
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

/// That a view has more pages than one pull takes: nobody's fault.
pub(crate) fn too_many() -> Problem {
    let why = format!("one pull takes at most {MAX_PAGES} pages, and the view goes on");
    Problem::new(codes::EXCHANGE_TOO_MANY, why)
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

#[cfg(test)]
mod tests {
    use super::{MAX_PAGES, Page, goes_on, quoted, stopped, too_many, total};
    use serde_json::{Value, json};
    use twinpact_model::problem::{Fault, Problem};
    use twinpact_model::{Cursor, Timestamp, codes};
    use twinpact_proof::Level;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn cursor(twin: &str, second: i64, delivered: u64) -> Cursor {
        Cursor { twin: twin.to_owned(), phen_start: at(second), delivered }
    }

    #[test]
    fn a_page_goes_on_where_it_ends_or_is_refused() {
        let check = |after: Option<&Cursor>, rows: &[(&str, i64)], next: Value, expect: &str| {
            let row = |(twin, second): &(&str, i64)| json!([twin, at(*second).to_string(), "1"]);
            let rows: Vec<Value> = rows.iter().map(row).collect();
            let got = goes_on(&json!({ "next": next }), after, &rows);
            match got {
                Ok((next, _)) => assert_eq!(next.map_or("end".into(), |c| c.to_string()), expect),
                Err(why) => assert!(why.contains(expect), "{why} {expect}"),
            }
        };
        let rows = [("urn:a", 5), ("urn:a", 6), ("urn:a", 6)];
        let end = cursor("urn:a", 6, 2).to_string();
        check(None, &rows, json!(end), &end);
        check(None, &rows, Value::Null, "end");
        check(None, &[], Value::Null, "end");
        // One that stays, goes back, or jumps ahead.
        let before = cursor("urn:a", 4, 1);
        for other in [before.clone(), cursor("urn:a", 6, 1), cursor("urn:a", 7, 1)] {
            check(Some(&before), &rows, json!(other.to_string()), "where it ends");
        }
        check(None, &[], json!(end), "where it ends");
        check(Some(&before), &[], json!(before.to_string()), "where it ends");
        check(Some(&cursor("urn:a", 6, 1)), &rows, json!(end), "came before");
        check(None, &[("urn:b", 1), ("urn:a", 2)], Value::Null, "out of order");
        check(None, &rows, json!("tomorrow"), "cannot be read");
        check(None, &rows, json!(7), "does not say");
        check(None, &rows, json!([end]), "does not say");
        // An instant that is more than a page moves on by its count.
        let (inside, further) = (cursor("urn:a", 6, 5), cursor("urn:a", 6, 7).to_string());
        check(Some(&inside), &[rows[1], rows[2]], json!(further), &further);
        assert!(goes_on(&json!({}), None, &[]).unwrap_err().contains("does not say"));
        for row in [json!([]), json!(["urn:a", "noon"]), json!([7, at(5).to_string()]), json!({})] {
            assert!(goes_on(&json!({ "next": null }), None, &[row]).is_err());
        }
    }

    fn page(receipt: &str, rows: usize, seconds: (i64, i64), delete: i64, level: Level) -> Page {
        let times = (rows > 0).then_some((at(seconds.0), at(seconds.1)));
        let bytes = 10 * rows as u64;
        let delete_by = Some(at(delete));
        Page { receipt: receipt.to_owned(), rows, bytes, times, delete_by, level, next: None }
    }

    #[test]
    fn a_view_of_too_many_pages_is_pulled_on_and_blames_nobody() {
        let before = vec![page("r", 1, (1, 2), 9, Level::Signed); MAX_PAGES];
        let said = stopped(too_many(), &before, Some(&cursor("urn:a", 10, 1)));
        assert_eq!((said.code, said.code.fault), (codes::EXCHANGE_TOO_MANY, Fault::Caller));
        let message = "one pull takes at most 10000 pages, and the view goes on; \
                       10000 pages with 10000 rows were stored before";
        assert_eq!(said.message, message);
        let hint = "pull the rest with --after '1970-01-01T00:00:10Z~1~urn:a'";
        assert_eq!(said.hint.as_deref(), Some(hint));
    }

    #[test]
    fn pages_add_up() {
        let pages = vec![
            page("r1", 3, (50, 90), 1_000, Level::Countersigned),
            page("r2", 2, (10, 60), 1_001, Level::Signed),
            page("r3", 0, (0, 0), 1_002, Level::Countersigned),
        ];
        let all = total("a".to_owned(), pages);
        assert_eq!(all.receipts, ["r1", "r2", "r3"]);
        assert_eq!((all.rows, all.bytes), (5, 50));
        assert_eq!(
            (all.first, all.last, all.delete_by),
            (Some(at(10)), Some(at(90)), Some(at(1_000)))
        );
        assert_eq!(all.level, "signed");
    }

    #[test]
    fn a_refusal_on_the_way_says_what_is_stored_and_how_to_go_on() {
        let check = |pages: usize, hint: Option<&str>, message: &str, expect: Option<&str>| {
            let mut problem = Problem::new(codes::POLICY_SCHEDULE, "refused: it is late");
            problem.hint = hint.map(str::to_owned);
            let before = vec![page("r", 20_000, (1, 2), 9, Level::Signed); pages];
            let after = (pages > 0).then(|| cursor("urn:it's", 10, 1));
            let said = stopped(problem, &before, after.as_ref());
            assert_eq!((said.message.as_str(), said.hint.as_deref()), (message, expect));
            assert_eq!(said.code, codes::POLICY_SCHEDULE);
        };
        check(0, None, "refused: it is late", None);
        check(0, Some("wait"), "refused: it is late", Some("wait"));
        let rest = r"pull the rest with --after '1970-01-01T00:00:10Z~1~urn:it'\''s'";
        let one = "refused: it is late; 1 page with 20000 rows were stored before";
        check(1, None, one, Some(rest));
        let two = "refused: it is late; 2 pages with 40000 rows were stored before";
        check(2, Some("wait"), two, Some(&format!("wait; {rest}")));
        assert_eq!(quoted("a;$b"), "'a;$b'");
    }
}
