//! How well the exchange does: what is counted of it as the log is folded, and what a node says of
//! it when it is asked ([`show`]). docs/kpis.md has the definitions.
//!
//! Counts run along with the fold, so that nobody has to read the log for an answer, and a restart
//! counts the same again. Whether a delivery was fresh is said once, in the record of it: the time
//! of its newest row is kept nowhere else than in the rows.

pub(crate) mod freshness;
mod shown;

use crate::fold::Fold;
use std::collections::BTreeMap;
use twinpact_model::Row;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_store::forest::TreeNo;

pub use shown::{MAX_INCIDENTS, show};

/// How many deliveries were fresh, of those that could have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fresh {
    pub(crate) within: u64,
    pub(crate) of: u64,
}

impl Fresh {
    fn add(&mut self, verdict: Option<&str>) {
        self.of += u64::from(verdict.is_some());
        self.within += u64::from(verdict == Some(FRESH));
    }
}

/// What was delivered under one ledger of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) values: u64,
    pub(crate) fresh: Fresh,
}

/// What was delivered to us under one agreement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) deliveries: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) fresh: Fresh,
    pub(crate) used: u64,
    pub(crate) used_bytes: u64,
}

/// How often requests under one agreement met which decision, and what went out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) codes: BTreeMap<String, u64>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// The running counts, by agreement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    pub(crate) met: BTreeMap<String, Met>,
    pub(crate) given: BTreeMap<TreeNo, Given>,
    pub(crate) received: BTreeMap<String, Received>,
}

impl Counted {
    /// Takes a local record into the counts.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        let number = |name: &str| entry.get(name).and_then(|text| text.parse::<u64>().ok());
        match entry.who.kind {
            Kind::DeliveredTwins => {
                let ledger = entry.get("ledger").and_then(|text| text.parse().ok());
                // One of an older release does not say how many values it had.
                if let (Some(ledger), Some(values)) = (ledger, number("values")) {
                    let given = self.given.entry(ledger).or_default();
                    given.values += values;
                    given.fresh.add(entry.get("fresh"));
                }
            }
            Kind::Copy => {
                if let (Some(id), Some(bytes)) = (entry.get("agreement"), number("bytes")) {
                    let received = self.received.entry(id.to_owned()).or_default();
                    received.deliveries += 1;
                    received.rows += number("count").unwrap_or_default();
                    received.bytes += bytes;
                    received.fresh.add(entry.get("fresh"));
                }
            }
            _ => {}
        }
    }

    /// A request under that agreement met a decision with that code.
    pub(crate) fn met(&mut self, agreement: &str, code: &str, used: &Entry) {
        let number = |name: &str| used.get(name).and_then(|text| text.parse::<u64>().ok());
        let met = self.met.entry(agreement.to_owned()).or_default();
        *met.codes.entry(code.to_owned()).or_default() += 1;
        met.rows += number("records").unwrap_or_default();
        met.bytes += number("bytes").unwrap_or_default();
    }

    /// A copy under that agreement, of so many bytes, was read for the first time.
    pub(crate) fn used(&mut self, agreement: &str, bytes: u64) {
        let received = self.received.entry(agreement.to_owned()).or_default();
        received.used += 1;
        received.used_bytes += bytes;
    }
}

/// How a record says that a delivery was as fresh as promised, and that it was not.
const FRESH: &str = "yes";
const STALE: &str = "no";

/// What the record of a delivery of ours says for the counts.
pub(crate) fn delivered(rows: &[Row], fresh: Option<bool>) -> Vec<Attribute> {
    let values = rows.iter().flat_map(|row| &row.values).flatten().count();
    let values = Attribute::new("values", "integer", values.to_string());
    std::iter::once(values).chain(verdict(fresh)).collect()
}

/// What the record of a delivery to us says for the counts.
pub(crate) fn received(rows: u64, bytes: u64, fresh: Option<bool>) -> Vec<Attribute> {
    let numbers = [("count", rows), ("bytes", bytes)];
    let numbers = numbers.map(|(name, n)| Attribute::new(name, "integer", n.to_string()));
    numbers.into_iter().chain(verdict(fresh)).collect()
}

fn verdict(fresh: Option<bool>) -> Option<Attribute> {
    fresh.map(|fresh| Attribute::new("fresh", "text", if fresh { FRESH } else { STALE }))
}

/// How many values were recorded of the twins that any of these views show, each twin once.
fn recorded<'f>(fold: &Fold, views: impl Iterator<Item = &'f str>) -> u64 {
    let mut of_model: BTreeMap<_, Vec<&[twinpact_model::Iri]>> = BTreeMap::new();
    for contract in views.filter_map(|view| fold.contracts.get(view)) {
        of_model.entry(&contract.model).or_default().push(&contract.twins);
    }
    let shown = |(name, node): &(&str, &twinpact_twin::Node)| {
        // A contract that names none shows every twin of its model.
        let named = |twins: &&[twinpact_model::Iri]| {
            twins.is_empty() || twins.iter().any(|twin| twin.as_str() == *name)
        };
        of_model.get(&node.model).is_some_and(|contracts| contracts.iter().any(named))
    };
    fold.twins.nodes().filter(shown).map(|(_, node)| node.recorded).sum()
}
