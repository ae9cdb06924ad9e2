//! The rows of a view in the order in which they were recorded: what a stream carries.
//!
//! A row that comes late and one that corrects another stand where they were recorded. A row that
//! was corrected before it was asked for is none of the view any more; what corrects it comes at
//! its own place.

use crate::fold::{Fact, Node, Twins};
use crate::read::{inside, row};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use twinpact_model::view::{PageBounds, Row, Selection};

/// Rows as they were recorded, and where the next ones go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The rows, by the index of their event.
    pub rows: Vec<Row>,
    /// The event from which to ask on; `None` when every event that there is was looked at.
    pub next: Option<u64>,
}

/// The facts of one twin from an event on.
struct Line<'a> {
    id: &'a str,
    node: &'a Node,
    numbers: Vec<Option<u16>>,
    facts: &'a [Fact],
}

impl Twins {
    /// The rows of a view that the event `from` or a later one recorded, in that order, within
    /// these bounds. A twin about which nothing was recorded since costs one look, and of the
    /// others nothing before `from` is looked at. `selection.after` counts for nothing here.
    #[must_use]
    pub fn recorded(&self, selection: &Selection, from: u64, bounds: PageBounds) -> Recorded {
        let mut lines = self.lines(selection, from);
        let first = |(at, line): (usize, &Line<'_>)| Some(Reverse((line.facts.first()?.index, at)));
        let mut heap: BinaryHeap<_> = lines.iter().enumerate().filter_map(first).collect();
        let (mut rows, mut twins, mut bytes) = (Vec::<Row>::new(), 0, 0);
        while let Some(Reverse((index, at))) = heap.pop() {
            let Some(line) = lines.get_mut(at) else { continue };
            let Some((fact, rest)) = line.facts.split_first() else { continue };
            if let Some(row) = shown(line, fact, selection) {
                bytes += row.bytes();
                // A twin counts again whenever another one came between: rows are kept by runs.
                twins += usize::from(rows.last().is_none_or(|last| last.twin != row.twin));
                if !bounds.hold(rows.len() + 1, twins, bytes) {
                    return Recorded { rows, next: Some(index) };
                }
                rows.push(row);
            }
            line.facts = rest;
            heap.extend(rest.first().map(|fact| Reverse((fact.index, at))));
        }
        Recorded { rows, next: None }
    }

    fn lines<'a>(&'a self, selection: &Selection, from: u64) -> Vec<Line<'a>> {
        let line = |(id, node): (&'a str, &'a Node)| {
            // Facts stand in the order of their events.
            node.facts.last().filter(|last| last.index >= from)?;
            let begin = node.facts.partition_point(|fact| fact.index < from);
            let columns = selection.columns.iter();
            let numbers = columns.map(|c| node.attribute_number(&c.attribute)).collect();
            Some(Line { id, node, numbers, facts: node.facts.get(begin..)? })
        };
        let of_view = |(_, node): &(&str, &Node)| node.model.name == selection.model.name;
        if selection.twins.is_empty() {
            return self.nodes().filter(of_view).filter_map(line).collect();
        }
        // Once each, however often one is named.
        let named: BTreeSet<&str> = selection.twins.iter().map(String::as_str).collect();
        let known = named.into_iter().filter_map(|id| self.nodes.get_key_value(id));
        known.map(|(id, node)| (id.as_str(), node)).filter(of_view).filter_map(line).collect()
    }
}

/// What a fact shows, if it stands and the view lets it through.
fn shown(line: &Line<'_>, fact: &Fact, selection: &Selection) -> Option<Row> {
    let at = fact.phen_start;
    let lets = fact.corrected_by.is_none()
        && inside(at, selection.since, selection.until)
        && selection.rows.as_ref().is_none_or(|open| open.contains(at));
    if lets { row(line.id, line.node, fact, &line.numbers) } else { None }
}

#[cfg(test)]
mod tests;
