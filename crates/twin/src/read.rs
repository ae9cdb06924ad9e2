//! Questions to the state: the history of a twin, the rows of a view page by page.

use crate::fold::{Fact, Node, Twins};
use std::ops::Bound;
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::view::{Cursor, PageBounds, Row, Selection};

/// One fact of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Its index in the tree of events: what a proof is asked for by.
    pub index: u64,
    /// When we learned it.
    pub recorded: Timestamp,
    /// From when it was true in the world.
    pub phen_start: Timestamp,
    /// (attribute, lexical form).
    pub values: Vec<(String, String)>,
    /// The index of the event that corrects it.
    pub corrected_by: Option<u64>,
    /// The index of the event that it corrects.
    pub corrects: Option<u64>,
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The facts, by the time at which they were true.
    pub rows: Vec<HistoryRow>,
    /// How many facts there are in the asked span in all.
    pub total: usize,
}

impl Twins {
    /// The facts of a twin that were true from `since` on and before `until`, by that time and then
    /// by when we learned them; at most `limit`, the first ones.
    ///
    /// # Errors
    /// `twin.unknown`.
    pub fn history(
        &self,
        twin: &str,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Page, Problem> {
        Ok(self.as_of(None).twin(twin)?.history(since, until, limit))
    }

    /// A page of a view: the standing facts of the selected twins, by twin, then by time, then as
    /// they were recorded, from behind `selection.after` on; and where the next page goes on, if
    /// rows are left. Twins behind the page are not looked at.
    ///
    /// A page ends between two instants of a twin wherever it can: only an instant that has more
    /// rows than a page is split. So a row that is corrected between two pages shifts no other one.
    #[must_use]
    pub fn view(&self, selection: &Selection, bounds: PageBounds) -> (Vec<Row>, Option<Cursor>) {
        let after = selection.after.as_ref();
        match &selection.links {
            None => {
                let rows = |(id, node)| rows_of(id, node, selection);
                page(after, self.selected(selection).flat_map(rows), bounds)
            }
            Some(shown) => {
                let rows = |(id, _)| self.link_rows(id, selection, shown);
                page(after, self.selected(selection).flat_map(rows), bounds)
            }
        }
    }

    /// The twins that a page can have rows of, in order. A twin that is hidden is passed over like
    /// one that is not there: nothing of it is looked at.
    fn selected<'a>(
        &'a self,
        selection: &'a Selection,
    ) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let from = selection.after.as_ref().map_or("", |cursor| cursor.twin.as_str());
        let twins = match selection.only.as_deref() {
            Some(only) => {
                self.nodes.range::<str, _>((Bound::Included(only), Bound::Included(only)))
            }
            None => self.nodes.range::<str, _>((Bound::Included(from), Bound::Unbounded)),
        };
        let twins = twins.map(|(id, node)| (id.as_str(), node));
        twins.filter(move |(id, node)| *id >= from && covers(selection, id, node))
    }
}

/// Whether the view shows the twin.
pub(crate) fn covers(selection: &Selection, id: &str, node: &Node) -> bool {
    let listed = || selection.twins.iter().any(|twin| twin == id);
    node.model.name == selection.model.name && (selection.twins.is_empty() || listed())
}

/// The rows of one twin, in their order, without those before the cursor.
fn rows_of<'a>(
    id: &'a str,
    node: &'a Node,
    selection: &'a Selection,
) -> impl Iterator<Item = Row> + 'a {
    let after = selection.after.as_ref().filter(|cursor| cursor.twin == id);
    let numbers: Vec<Option<u16>> =
        selection.columns.iter().map(|c| node.attribute_number(&c.attribute)).collect();
    let mut facts: Vec<&Fact> = node
        .facts
        .iter()
        .filter(|f| f.corrected_by.is_none())
        .filter(|f| inside(f.phen_start, selection.since, selection.until))
        .filter(|f| after.is_none_or(|cursor| f.phen_start >= cursor.phen_start))
        .collect();
    // Facts mostly come in order, which this sort is quick with.
    facts.sort_by_key(|f| (f.phen_start, f.index));
    // The rest is asked of each fact only when a page gets that far.
    let rows = facts
        .into_iter()
        .filter(|f| selection.rows.as_ref().is_none_or(|open| open.contains(f.phen_start)))
        .filter_map(move |fact| row(id, node, fact, &numbers));
    rows.filter(behind(after))
}

/// Whether a row of the cursor's twin, one after another in their order, is behind the cursor.
pub(crate) fn behind(after: Option<&Cursor>) -> impl FnMut(&Row) -> bool + '_ {
    let mut delivered = after.map_or(0, |cursor| cursor.delivered);
    move |row| {
        let again = delivered > 0 && after.is_some_and(|c| c.phen_start == row.phen_start);
        delivered -= u64::from(again);
        !again
    }
}

/// What a fact shows in these columns; `None` when that is nothing.
pub(crate) fn row(id: &str, node: &Node, fact: &Fact, numbers: &[Option<u16>]) -> Option<Row> {
    let value = |number: &Option<u16>| node.value(fact, (*number)?).map(str::to_owned);
    let values: Vec<Option<String>> = numbers.iter().map(value).collect();
    let shown = values.iter().any(Option::is_some);
    shown.then(|| Row { twin: id.to_owned(), phen_start: fact.phen_start, values })
}

/// The first of these rows that make a page, and where the others go on.
fn page(
    after: Option<&Cursor>,
    rows: impl Iterator<Item = Row>,
    bounds: PageBounds,
) -> (Vec<Row>, Option<Cursor>) {
    let (mut page, mut twins, mut bytes) = (Vec::<Row>::new(), 0, 0);
    for row in rows {
        bytes += row.bytes();
        twins += usize::from(page.last().is_none_or(|last| last.twin != row.twin));
        if !bounds.hold(page.len() + 1, twins, bytes) {
            // Back to the end of the instant before; the first one of a page has to be split.
            let whole = page.iter().rposition(|r| r.place() != row.place());
            page.truncate(whole.map_or(page.len(), |last| last + 1));
            let next = Cursor::behind(after, page.iter().map(Row::place));
            return (page, next);
        }
        page.push(row);
    }
    (page, None)
}

pub(crate) fn history_row(node: &Node, fact: &Fact) -> HistoryRow {
    let value = |(number, lexical): (u16, &str)| {
        let name = node.attributes.get(usize::from(number)).cloned().unwrap_or_default();
        (name, lexical.to_string())
    };
    HistoryRow {
        index: fact.index,
        recorded: fact.recorded,
        phen_start: fact.phen_start,
        values: fact.values.iter().map(value).collect(),
        corrected_by: fact.corrected_by,
        corrects: fact.corrects,
    }
}

pub(crate) fn inside(at: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}

#[cfg(test)]
pub(crate) mod tests;
