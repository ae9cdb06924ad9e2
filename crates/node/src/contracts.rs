//! Contracts that were published, and what of them a partner finds in the catalogue.

use crate::api::{ContractLine, Published};
use crate::as_of::{begun, known};
use crate::negotiate::whole_catalogue;
use crate::open::Node;
use crate::partition::NewEntry;
use serde_json::Value;
use std::collections::BTreeMap;
use twinpact_contract::{Contract, Severity, text};
use twinpact_dsp::MAX_CATALOG_BYTES;
use twinpact_dsp::catalog::{DatasetOffer, MAX_PAGE};
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::to_hex;

/// The most contracts that are published: the catalogue is sent as one page, and is never cut.
pub const MAX_CONTRACTS: usize = 500;
const _: () = assert!(MAX_CONTRACTS <= MAX_PAGE);

/// The transfer format that we serve.
pub const FORMAT: &str = "HttpData-PULL";

/// Contracts by the IRI of their view.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    by_view: BTreeMap<String, Contract>,
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
        self.published.insert(contract.view_id(), entry.when.recorded);
        self.by_view.insert(contract.view_id(), contract);
        Ok(())
    }

    /// Those that were published by a time.
    fn by(&self, as_of: Option<Timestamp>) -> impl Iterator<Item = &Contract> {
        let recorded = |view: &String| self.published.get(view).copied().unwrap_or_default();
        let known = move |(view, _): &(&String, &Contract)| known(recorded(view), as_of);
        self.by_view.iter().filter(known).map(|(_, contract)| contract)
    }

    /// The contract of that view.
    #[must_use]
    pub fn get(&self, view: &str) -> Option<&Contract> {
        self.by_view.get(view)
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

    /// Whether the catalogue is one that partners read with this contract too.
    ///
    /// # Errors
    /// `input.too_large` when it would be larger than a catalogue may be.
    fn fits(&self, contract: Contract, dsp: &str, most: usize) -> Result<(), Problem> {
        let (did, mut all) = (contract.tenant.clone(), self.clone());
        all.by_view.insert(contract.view_id(), contract);
        let bytes = whole_catalogue(did.as_str(), &all, dsp)?.to_json().to_string().len();
        match bytes <= most {
            true => Ok(()),
            false => {
                let why = format!("the catalogue would have {bytes} bytes, {most} are the most");
                Err(Problem::new(codes::INPUT_TOO_LARGE, why))
            }
        }
    }

    /// All contracts.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.by_view.values()
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
            let entry = entry(&contract.model.to_string(), document);
            let dsp = &fold.organisation.current()?.0.dsp;
            fold.contracts.fits(contract, dsp, MAX_CATALOG_BYTES)?;
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

/// The offers of all contracts, to be negotiated at this base address.
#[must_use]
pub fn offers(contracts: &Contracts, endpoint: &str) -> Vec<DatasetOffer> {
    contracts.iter().map(|contract| offer(contract, endpoint)).collect()
}

/// The offer of one contract.
#[must_use]
pub fn offer(contract: &Contract, endpoint: &str) -> DatasetOffer {
    DatasetOffer {
        id: contract.view_id(),
        title: Some(contract.name.clone()),
        description: Some(text::terms(contract.terms())),
        offer_id: offer_id(contract),
        policy: Value::Object(contract.terms().to_odrl()),
        endpoint: endpoint.to_owned(),
        formats: vec![FORMAT.to_owned()],
    }
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
    use crate::negotiate::whole_catalogue;
    use twinpact_contract::Contract;
    use twinpact_dsp::{MAX_CATALOG_BYTES, Message};
    use twinpact_model::codes;

    const DID: &str = "did:web:operator.example";
    const DSP: &str = "https://operator.example/dsp";

    const EXAMPLE: &str = include_str!("../../../examples/wind/turbine-maintenance.odcs.yaml");

    #[test]
    fn the_catalogue_shows_every_contract_that_may_be_published() {
        let mut contracts = Contracts::default();
        for n in 0..MAX_CONTRACTS {
            assert!(contracts.room().is_ok(), "{n}");
            let document = EXAMPLE.replacen("name: turbine-maintenance", &format!("name: c{n}"), 1);
            contracts.apply(&entry("", document)).unwrap();
            assert_eq!(contracts.iter().count(), n + 1);
        }
        assert_eq!(contracts.room().unwrap_err().code, codes::INPUT_TOO_LARGE);
        let message = whole_catalogue(DID, &contracts, DSP).unwrap();
        let Message::Catalog(catalog) = &message else { panic!("no catalogue") };
        assert_eq!(catalog.datasets.len(), MAX_CONTRACTS);
        assert!(message.to_json().to_string().len() < MAX_CATALOG_BYTES);
    }

    #[test]
    fn a_contract_that_would_make_the_catalogue_too_large_is_refused() {
        let contract = |name: &str| {
            let document = EXAMPLE.replacen("turbine-maintenance", name, 1);
            Contract::parse(document.as_bytes()).unwrap()
        };
        let mut contracts = Contracts::default();
        contracts.by_view.insert("a".to_owned(), contract("a"));
        let mut both = contracts.clone();
        both.by_view.insert(contract("b").view_id(), contract("b"));
        let bytes = whole_catalogue(DID, &both, DSP).unwrap().to_json().to_string().len();
        assert_eq!(contracts.fits(contract("b"), DSP, bytes), Ok(()));
        let refused = contracts.fits(contract("b"), DSP, bytes - 1).unwrap_err();
        assert_eq!(refused.code, codes::INPUT_TOO_LARGE);
    }
}
