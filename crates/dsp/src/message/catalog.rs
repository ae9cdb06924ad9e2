//! Catalogues: datasets, how to get them, and under which offers (DCAT 3 as the protocol uses it).

use super::{Offer, write};

/// The most datasets of one catalogue, nested ones included in their own.
pub const MAX_DATASETS: usize = 10_000;
/// The most distributions, offers or services of one thing.
pub const MAX_ITEMS: usize = 256;
/// How deep catalogues may nest.
pub const MAX_NESTING: usize = 4;

/// A catalogue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    /// Its `@id`.
    pub id: String,
    /// Whose it is; absent on a catalogue inside another.
    pub participant_id: Option<String>,
    /// Its datasets.
    pub datasets: Vec<Dataset>,
    /// Catalogues inside it.
    pub catalogs: Vec<Catalog>,
    /// Its services.
    pub services: Vec<DataService>,
    /// Where it can be had itself, on a catalogue inside another.
    pub distributions: Vec<Distribution>,
}

/// A dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its `@id`: what negotiations name.
    pub id: String,
    /// Its title (`dct:title`).
    pub title: Option<String>,
    /// What it is (`dct:description`).
    pub description: Option<String>,
    /// What its rows conform to (`dct:conformsTo`): IRIs of a schema or a model.
    pub conforms_to: Vec<String>,
    /// The offers, none with a target; at least one.
    pub offers: Vec<Offer>,
    /// How to get it; at least one.
    pub distributions: Vec<Distribution>,
}

/// One way of getting a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The transfer format, for example `HttpData-PULL`.
    pub format: String,
    /// The service to negotiate with.
    pub access: Access,
    /// Offers that hold for this way only.
    pub offers: Vec<Offer>,
}

/// The service of a distribution: by reference or in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Its `@id`.
    Id(String),
    /// The service itself.
    Service(DataService),
}

/// A service that negotiations are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataService {
    /// Its `@id`.
    pub id: String,
    /// The base address.
    pub endpoint_url: String,
    /// What kind it is.
    pub endpoint_description: Option<String>,
}

impl Dataset {
    /// It as it stands in a catalogue, without a context of its own.
    #[must_use]
    pub fn inner_text(&self) -> String {
        write::inner_dataset(self)
    }
}

impl Catalog {
    /// The dataset of that id, here or in a nested catalogue.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Dataset> {
        let here = self.datasets.iter().find(|dataset| dataset.id == id);
        here.or_else(|| self.catalogs.iter().find_map(|inner| inner.find(id)))
    }
}
