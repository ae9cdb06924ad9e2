//! Contracts that were published, and what of them a partner finds in the catalogue.

use crate::api::{ContractLine, Published};
use crate::as_of::{begun, known};
use crate::formats;
use crate::open::Node;
use crate::partition::NewEntry;
use crate::shelf::schema_address;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use twinpact_contract::{Contract, Severity, text};
use twinpact_dsp::catalog::{Card, DatasetOffer};
use twinpact_dsp::message::MAX_DATASETS;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::to_hex;

/// The most contracts that are published: as many as we read of a partner's catalogue.
pub const MAX_CONTRACTS: usize = MAX_DATASETS;

/// The most bytes of a dataset in our catalogue: one alone is a message, which has a bound.
pub const MAX_DATASET_BYTES: usize = 524_288;

/// The most bytes of what a dataset says of itself in words; more of it is cut.
const MAX_DESCRIPTION_BYTES: usize = 4096;

/// Contracts by the IRI of their view.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    by_view: BTreeMap<String, Arc<Contract>>,
    /// By the `@id` of its offer.
    by_offer: BTreeMap<String, Arc<Contract>>,
    /// In the order in which they were published.
    in_order: Vec<Arc<Contract>>,
    /// When each was published.
    published: BTreeMap<String, Timestamp>,
}

impl Contracts {
    /// Takes an event into the state.
    ///
    /// # Errors
    /// `internal` when a logged contract cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        if entry.who.kind != Kind::ContractPublished {
            return Ok(());
        }
        let contract = entry
            .get("document")
            .and_then(|text| Contract::parse(text.as_bytes()).ok())
            .ok_or_else(|| Problem::new(codes::INTERNAL, "a logged contract cannot be read"))?;
        let contract = Arc::new(contract);
        self.published.insert(contract.view_id(), entry.when.recorded);
        self.by_view.insert(contract.view_id(), Arc::clone(&contract));
        self.by_offer.insert(offer_id(&contract), Arc::clone(&contract));
        self.in_order.push(contract);
        Ok(())
    }

    /// Those that were published by a time.
    fn by(&self, as_of: Option<Timestamp>) -> impl Iterator<Item = &Contract> {
        let recorded = |view: &String| self.published.get(view).copied().unwrap_or_default();
        let known = move |(view, _): &(&String, &Arc<Contract>)| known(recorded(view), as_of);
        self.by_view.iter().filter(known).map(|(_, contract)| contract.as_ref())
    }

    /// The contract of that view.
    #[must_use]
    pub fn get(&self, view: &str) -> Option<&Contract> {
        self.by_view.get(view).map(Arc::as_ref)
    }

    /// The contract whose offer has that `@id`.
    #[must_use]
    pub fn offered_as(&self, offer: &str) -> Option<&Contract> {
        self.by_offer.get(offer).map(Arc::as_ref)
    }

    /// Those that were published after that many others.
    pub(crate) fn since(&self, seen: usize) -> Vec<Arc<Contract>> {
        self.in_order.get(seen..).unwrap_or_default().to_vec()
    }

    /// Whether one more may be published.
    ///
    /// # Errors
    /// `input.too_large` when there are [`MAX_CONTRACTS`].
    fn room(&self) -> Result<(), Problem> {
        if self.by_view.len() < MAX_CONTRACTS {
            return Ok(());
        }
        let why = format!("there are {MAX_CONTRACTS} contracts, which is as many as there may be");
        Err(Problem::new(codes::INPUT_TOO_LARGE, why))
    }

    /// All contracts.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.by_view.values().map(Arc::as_ref)
    }
}

/// Publishes a contract: from now on it stands in the catalogue.
///
/// # Errors
/// The first error of its lint; `contract.conflict` when this version is there with another
/// content; `contract.owner` when it is another organisation's; `input.too_large` when there are
/// [`MAX_CONTRACTS`] already.
pub async fn publish(node: &Node, document: String) -> Result<Published, Problem> {
    let contract = Contract::parse(document.as_bytes()).map_err(|found| first(&found))?;
    let view = contract.view_id();
    if contract.tenant != node.config.organisation {
        return Err(Problem::new(
            codes::CONTRACT_OWNER,
            format!("the contract is of {}, not of {}", contract.tenant, node.config.organisation),
        ));
    }
    let digest = contract.digest;
    let new = node
        .partition
        .turn(move |turn| {
            let fold = turn.fold();
            match fold.contracts.get(&contract.view_id()) {
                Some(known) if known.digest == contract.digest => return Ok(false),
                Some(_) => {
                    return Err(Problem::new(
                        codes::CONTRACT_CONFLICT,
                        format!(
                            "{} {} was published with another content",
                            contract.name, contract.version
                        ),
                    )
                    .hint("a published version never changes: raise the version"));
                }
                None => fold.contracts.room()?,
            }
            let model = fold.twins.model(&contract.model)?;
            let found = contract.lint(Some(model));
            if found.iter().any(|d| d.severity == Severity::Error) {
                return Err(first(&found));
            }
            // What could not be shown would keep everything else from being shown.
            let dsp = &fold.organisation.current()?.0.dsp;
            let bytes = Card::of(&offer(&contract, dsp))?.bytes();
            if bytes > MAX_DATASET_BYTES {
                let why =
                    format!("its dataset has {bytes} bytes, {MAX_DATASET_BYTES} are the most");
                return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
            }
            let entry = entry(&contract.model.to_string(), document);
            turn.log(vec![NewEntry::event(entry)]).map(|_| true)
        })
        .await?;
    Ok(Published { view, digest: to_hex(&digest), new })
}

/// All contracts, for their owner, as they were known at a time or are known now.
///
/// # Errors
/// `asof.early`, `store.stopped`.
pub fn list(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<ContractLine>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        Ok(fold.contracts.by(as_of).map(line).collect())
    })?
}

fn line(contract: &Contract) -> ContractLine {
    ContractLine {
        view: contract.view_id(),
        name: contract.name.clone(),
        version: contract.version.clone(),
        model: contract.model.clone(),
        terms: text::terms(contract.terms()),
        digest: to_hex(&contract.digest),
    }
}

/// The offer of one contract.
#[must_use]
pub fn offer(contract: &Contract, endpoint: &str) -> DatasetOffer {
    DatasetOffer {
        conforms_to: vec![schema_address(&contract.view_id(), endpoint)],
        id: contract.view_id(),
        title: Some(contract.name.clone()),
        description: Some(described(text::terms(contract.terms()))),
        offer_id: offer_id(contract),
        policy: Value::Object(contract.terms().to_odrl()),
        endpoint: endpoint.to_owned(),
        formats: formats::of(contract),
    }
}

/// A description that every reader takes: the terms in full stand in the policy.
fn described(mut text: String) -> String {
    if text.len() > MAX_DESCRIPTION_BYTES {
        text.truncate(text.floor_char_boundary(MAX_DESCRIPTION_BYTES));
        text.push('…');
    }
    text
}

/// The `@id` of a contract's offer: it names the content, so an old offer is never taken for a new.
#[must_use]
pub fn offer_id(contract: &Contract) -> String {
    format!("urn:twinpact:offer:{}", to_hex(&contract.digest))
}

fn first(found: &[twinpact_contract::Diagnostic]) -> Problem {
    let error = found.iter().find(|d| d.severity == Severity::Error).or_else(|| found.first());
    match error {
        Some(d) => {
            let problem = Problem::new(d.code, format!("line {}: {}", d.line, d.message));
            match &d.hint {
                Some(hint) => problem.hint(hint.clone()),
                None => problem,
            }
        }
        None => Problem::new(codes::INTERNAL, "a contract was refused without a reason"),
    }
}

fn entry(model: &str, document: String) -> Entry {
    Entry {
        who: Who::no_twin(Kind::ContractPublished, "local"),
        when: When::default(),
        why: Why { model: model.into(), ..Why::default() },
        what: vec![Attribute::new("document", "yaml", document)],
    }
}

#[cfg(test)]
mod tests {
    use super::{Contracts, MAX_CONTRACTS, entry};
    use twinpact_model::codes;

    const EXAMPLE: &str = include_str!("../../../examples/wind/turbine-maintenance.odcs.yaml");

    #[test]
    fn what_was_published_since_is_found_by_its_number() {
        let mut contracts = Contracts::default();
        for name in ["b", "a", "c"] {
            let document = EXAMPLE.replace("name: turbine-maintenance", &format!("name: {name}"));
            contracts.apply(&entry("", document)).unwrap();
        }
        for (seen, expect) in [(0, &["b", "a", "c"][..]), (2, &["c"]), (3, &[]), (4, &[])] {
            let names: Vec<String> =
                contracts.since(seen).iter().map(|contract| contract.name.clone()).collect();
            assert_eq!(names, expect, "{seen}");
        }
    }

    #[test]
    fn contracts_have_a_bound() {
        let mut contracts = Contracts::default();
        contracts.apply(&entry("", EXAMPLE.to_owned())).unwrap();
        let one = contracts.in_order.first().unwrap().clone();
        for (n, ok) in [(MAX_CONTRACTS - 1, true), (MAX_CONTRACTS, false)] {
            contracts.by_view = (0..n).map(|n| (n.to_string(), one.clone())).collect();
            let room = contracts.room();
            assert_eq!(
                room.map_err(|problem| problem.code).err(),
                (!ok).then_some(codes::INPUT_TOO_LARGE)
            );
        }
    }
}
