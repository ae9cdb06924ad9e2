//! Questions to the state: the history of a twin, the rows of a view.

use crate::fold::{Fact, Node, Twins};
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::view::{Row, Selection};

/// The most rows of one view; a reader goes on from the last row's time.
pub const MAX_VIEW_ROWS: usize = 50_000;

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
        let node = self.node(twin)?;
        let mut facts: Vec<&Fact> =
            node.facts.iter().filter(|f| inside(f.phen_start, since, until)).collect();
        facts.sort_by_key(|f| (f.phen_start, f.index));
        let total = facts.len();
        let rows = facts.into_iter().take(limit).map(|fact| history_row(node, fact)).collect();
        Ok(Page { rows, total })
    }

    /// The rows of a view: standing facts of the selected twins, by twin and then by time. At most
    /// [`MAX_VIEW_ROWS`] per call.
    #[must_use]
    pub fn view(&self, selection: &Selection) -> Vec<Row> {
        let mut rows = Vec::new();
        for (id, node) in &self.nodes {
            let chosen = selection.twins.is_empty() || selection.twins.iter().any(|t| t == id);
            if chosen && node.model.name == selection.model.name {
                view_rows(id, node, selection, &mut rows);
            }
        }
        rows.truncate(MAX_VIEW_ROWS);
        rows
    }
}

fn view_rows(id: &str, node: &Node, selection: &Selection, rows: &mut Vec<Row>) {
    let numbers: Vec<Option<u16>> =
        selection.columns.iter().map(|c| node.attribute_number(&c.attribute)).collect();
    let mut facts: Vec<&Fact> = node
        .facts
        .iter()
        .filter(|f| f.corrected_by.is_none())
        .filter(|f| inside(f.phen_start, selection.since, selection.until))
        .filter(|f| selection.rows.as_ref().is_none_or(|open| open.contains(f.phen_start)))
        .collect();
    facts.sort_by_key(|f| (f.phen_start, f.index));
    for fact in facts.into_iter().take(MAX_VIEW_ROWS) {
        let values: Vec<Option<String>> =
            numbers.iter().map(|number| node.value(fact, (*number)?).map(str::to_owned)).collect();
        if values.iter().any(Option::is_some) {
            rows.push(Row { twin: id.to_owned(), phen_start: fact.phen_start, values });
        }
    }
}

fn history_row(node: &Node, fact: &Fact) -> HistoryRow {
    let value = |(number, lexical): &(u16, Box<str>)| {
        let name = node.attributes.get(usize::from(*number)).cloned().unwrap_or_default();
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

fn inside(at: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}
