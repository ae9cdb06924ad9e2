//! How well the exchange does: what is counted of it as the log is folded, and what a node says of
//! it when it is asked ([`show`]). docs/kpis.md has the definitions.
//!
//! Counts run along with the fold, so that nobody has to read the log for an answer, and a restart
//! counts the same again. Whether a delivery was fresh is said once, in the record of it: the time
//! of its newest row is kept nowhere else than in the rows.

pub(crate) mod freshness;
mod shown;

use crate::fold::Fold;
use std::collections::{BTreeMap, BTreeSet};
use twinpact_contract::Contract;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::{ModelRef, Row};
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

/// How many values were recorded, by model and by twin: one look at the twins for all contracts.
struct Recorded<'f> {
    of_model: BTreeMap<&'f ModelRef, u64>,
    of_twin: BTreeMap<&'f str, (&'f ModelRef, u64)>,
}

impl<'f> Recorded<'f> {
    fn of(fold: &'f Fold) -> Recorded<'f> {
        let (mut of_model, mut of_twin) = (BTreeMap::new(), BTreeMap::new());
        for (name, node) in fold.twins.nodes() {
            *of_model.entry(&node.model).or_default() += node.recorded;
            of_twin.insert(name, (&node.model, node.recorded));
        }
        Recorded { of_model, of_twin }
    }

    /// Of the twins that any of these contracts shows, each twin once.
    fn shown_by(&self, contracts: &[&Contract]) -> u64 {
        // A contract that names none shows every twin of its model.
        let (named, whole): (Vec<&Contract>, Vec<&Contract>) =
            contracts.iter().copied().partition(|contract| !contract.twins.is_empty());
        let whole: BTreeSet<&ModelRef> = whole.iter().map(|contract| &contract.model).collect();
        let named: BTreeSet<(&ModelRef, &str)> = named
            .iter()
            .filter(|contract| !whole.contains(&contract.model))
            .flat_map(|contract| contract.twins.iter().map(|twin| (&contract.model, twin.as_str())))
            .collect();
        let of_named = named.into_iter().filter_map(|(model, twin)| {
            let (of, recorded) = self.of_twin.get(twin)?;
            (*of == model).then_some(*recorded)
        });
        let of_whole = whole.into_iter().filter_map(|model| self.of_model.get(model).copied());
        of_whole.chain(of_named).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Recorded;
    use std::collections::BTreeMap;
    use twinpact_contract::Contract;
    use twinpact_model::ModelRef;

    const EXAMPLE: &str = include_str!("../../../examples/wind/turbine-maintenance.odcs.yaml");

    fn contract(model: &str, twins: &str) -> Contract {
        let document =
            EXAMPLE.replace("value: wind-turbine@1", &format!("value: {model}")).replace(
                "property: twins, vendor: twinpact, value: all",
                &format!("property: twins, vendor: twinpact, value: {twins}"),
            );
        Contract::parse(document.as_bytes()).unwrap()
    }

    #[test]
    fn each_twin_counts_once_by_whatever_contracts_it_is_shown() {
        let [pump, wind] = ["pump@1", "wind@1"].map(|m| ModelRef::try_from(m.to_owned()).unwrap());
        let twins = [("urn:a", &wind, 1), ("urn:b", &wind, 10), ("urn:p", &pump, 100)];
        let recorded = Recorded {
            of_model: BTreeMap::from([(&wind, 11), (&pump, 100)]),
            of_twin: twins.into_iter().map(|(name, model, n)| (name, (model, n))).collect(),
        };
        let all = contract("wind@1", "all");
        let (a, both) = (contract("wind@1", "[urn:a]"), contract("wind@1", "[urn:b, urn:a]"));
        // One that is not there, and one of another model.
        let none = contract("wind@1", "[urn:c, urn:p]");
        for (contracts, expect) in [
            (vec![], 0),
            (vec![&all], 11),
            (vec![&a], 1),
            (vec![&a, &both, &none], 11),
            (vec![&all, &a, &all], 11),
            (vec![&a, &contract("pump@1", "all")], 101),
            (vec![&contract("gone@1", "all")], 0),
        ] {
            assert_eq!(recorded.shown_by(&contracts), expect);
        }
    }
}
