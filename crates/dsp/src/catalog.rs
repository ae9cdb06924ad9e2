//! Our own catalogue: from offers to datasets, and from datasets to the bytes of a part.
//!
//! A dataset is written once ([`Card`]), and a catalogue is its envelope with cards in it, in the
//! order of their ids. Which of them a request asks for is said by a [`Query`].

mod query;

pub use query::{Part, Query};

use crate::message::{
    Access, Catalog, DataService, Dataset, Distribution, MAX_ITEMS, Message, Offer,
};
use crate::policy_form;
use crate::rejected::Rejected;
use crate::terms;
use serde_json::{Map, Value};
use twinpact_proof::Digest;
use twinpact_proof::digest::sha256;

/// What a contract offers to a partner.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetOffer {
    /// The dataset's id: what negotiations name as their target.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// What its rows conform to: the address of a schema.
    pub conforms_to: Vec<String>,
    /// The offer's `@id`.
    pub offer_id: String,
    /// The ODRL policy: an object with its permissions, prohibitions and obligations.
    pub policy: Value,
    /// The base address to negotiate at, without a trailing slash.
    pub endpoint: String,
    /// The transfer formats, for example `HttpData-PULL`; at least one.
    pub formats: Vec<String>,
}

/// Whose catalogue it is.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The catalogue's `@id`.
    pub catalog_id: &'a str,
    /// The participant id.
    pub participant_id: &'a str,
    /// The `@id` of its service.
    pub service_id: &'a str,
    /// The base address of its service.
    pub endpoint: &'a str,
}

/// A dataset as it stands in a catalogue, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The dataset's id.
    pub id: String,
    title: Option<String>,
    description: Option<String>,
    formats: Vec<String>,
    conforms_to: Vec<String>,
    json: String,
    digest: Digest,
}

impl Card {
    /// The bytes that it has in a catalogue.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.json.len()
    }

    /// How it is written in a catalogue.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.json
    }

    /// The SHA-256 of its [text](Self::text).
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Writes the dataset of an offer.
    ///
    /// # Errors
    /// As [`dataset`].
    pub fn of(offer: &DatasetOffer) -> Result<Card, Rejected> {
        let json = dataset(offer)?.inner_text();
        Ok(Card {
            id: offer.id.clone(),
            title: offer.title.clone(),
            description: offer.description.clone(),
            formats: offer.formats.clone(),
            conforms_to: offer.conforms_to.clone(),
            digest: sha256(json.as_bytes()),
            json,
        })
    }
}

/// A catalogue without its datasets, as text: what every part of it has in common.
#[must_use]
pub fn envelope(owner: Owner<'_>) -> String {
    let service = DataService {
        id: owner.service_id.to_owned(),
        endpoint_url: owner.endpoint.to_owned(),
        endpoint_description: Some("dspace:connector".to_owned()),
    };
    let catalog = Catalog {
        id: owner.catalog_id.to_owned(),
        participant_id: Some(owner.participant_id.to_owned()),
        services: vec![service],
        ..Catalog::default()
    };
    Message::Catalog(catalog).to_text()
}

/// What is before the datasets of a catalogue, which have a comma between them, and what is behind
/// them. Without any there is no member for them: the schema wants no empty list.
#[must_use]
pub fn around(envelope: &str, any: bool) -> (String, &'static str) {
    match envelope.strip_suffix('}').filter(|_| any) {
        Some(open) => (format!("{open},\"dataset\":["), "]}"),
        None => (envelope.to_owned(), ""),
    }
}

/// The catalogue with these datasets, as text.
#[must_use]
pub fn body(envelope: &str, shown: &[&Card]) -> String {
    let (mut text, close) = around(envelope, !shown.is_empty());
    text.reserve(shown.iter().map(|card| card.json.len() + 1).sum::<usize>() + close.len());
    for (n, card) in shown.iter().enumerate() {
        text.push_str(if n == 0 { "" } else { "," });
        text.push_str(&card.json);
    }
    text.push_str(close);
    text
}

/// What an answer with [`body`] says, in a few bytes: the same for the same text and the same word
/// on whether there is more behind it.
#[must_use]
pub fn mark(envelope: &str, shown: &[&Card], goes_on: bool) -> Digest {
    let mut all = sha256(envelope.as_bytes()).to_vec();
    all.push(u8::from(goes_on));
    all.extend(shown.iter().flat_map(|card| card.digest));
    sha256(&all)
}

/// The dataset of one offer.
///
/// # Errors
/// `dsp.malformed` when its policy is no object, says nothing, or names another target; when it has
/// no format or too many.
pub fn dataset(offer: &DatasetOffer) -> Result<Dataset, Rejected> {
    let bad = |why: &str| Rejected::malformed(format!("the dataset {} {why}", offer.id));
    let members = offer.policy.as_object().ok_or_else(|| bad("has a policy that is no object"))?;
    let mut policy: Map<String, Value> = policy_form::normalise(members)?;
    let target = policy.remove("target");
    if target.is_some_and(|target| target != offer.id) {
        return Err(bad("has a policy for another target"));
    }
    let mut take = |key: &str| policy.remove(key).and_then(|v| v.as_str().map(str::to_owned));
    let (assigner, assignee) = (take("assigner"), take("assignee"));
    policy.retain(|key, _| !key.starts_with('@'));
    let ruled = |key: &str| policy.get(key).is_some_and(|rules| !terms::is_nothing(rules));
    if !ruled("permission") && !ruled("prohibition") {
        return Err(bad("has a policy without a permission or prohibition"));
    }
    if offer.formats.is_empty() || offer.formats.len() > MAX_ITEMS {
        return Err(bad("has no format, or too many"));
    }
    policy.sort_keys();
    let distribution = |format: &String| Distribution {
        format: format.clone(),
        access: Access::Service(DataService {
            id: format!("{}#service", offer.endpoint),
            endpoint_url: offer.endpoint.clone(),
            endpoint_description: Some("dspace:connector".to_owned()),
        }),
        offers: Vec::new(),
    };
    Ok(Dataset {
        id: offer.id.clone(),
        title: offer.title.clone(),
        description: offer.description.clone(),
        conforms_to: offer.conforms_to.clone(),
        offers: vec![Offer {
            id: offer.offer_id.clone(),
            target: None,
            assigner,
            assignee,
            policy: Value::Object(policy).into(),
        }],
        distributions: offer.formats.iter().map(distribution).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Card, DatasetOffer, Owner, body, dataset, envelope, mark};
    use crate::message::Message;
    use serde_json::{Value, json};

    pub(super) fn offer(id: &str) -> DatasetOffer {
        DatasetOffer {
            id: id.to_owned(),
            title: Some("Turbines".to_owned()),
            description: None,
            conforms_to: vec!["urn:model".to_owned()],
            offer_id: format!("{id}/offer"),
            policy: json!({"@type": "Offer", "odrl:permission": {"action": "odrl:use"}}),
            endpoint: "https://operator.example/dsp".to_owned(),
            formats: vec!["HttpData-PULL".to_owned()],
        }
    }

    pub(super) fn cards(n: usize) -> Vec<Card> {
        (0..n).map(|i| Card::of(&offer(&format!("urn:d:{i:03}"))).unwrap()).collect()
    }

    fn written() -> String {
        envelope(Owner {
            catalog_id: "urn:c",
            participant_id: "did:web:operator.example",
            service_id: "urn:s",
            endpoint: "https://operator.example/dsp",
        })
    }

    #[test]
    fn what_is_put_together_is_what_the_message_would_be() {
        for n in [0, 1, 3] {
            let (cards, envelope) = (cards(n), written());
            let text = body(&envelope, &cards.iter().collect::<Vec<_>>());
            let json: Value = serde_json::from_str(&text).unwrap();
            let message = Message::parse(&json).unwrap();
            assert_eq!(message.to_json(), json);
            let Message::Catalog(catalog) = message else { panic!("no catalogue") };
            let datasets: Vec<_> =
                cards.iter().map(|card| dataset(&offer(&card.id)).unwrap()).collect();
            assert_eq!(catalog.datasets, datasets);
            assert!(!text.contains("target") && !text.contains("null"), "{text}");
        }
    }

    #[test]
    fn a_mark_changes_with_the_text_and_with_nothing_else() {
        let (all, envelope) = (cards(4), written());
        let marked = |envelope: &str, shown: &[usize]| {
            let shown: Vec<&Card> = shown.iter().map(|i| &all[*i]).collect();
            (mark(envelope, &shown, false), body(envelope, &shown))
        };
        assert_ne!(mark(&envelope, &[], false), mark(&envelope, &[], true));
        let other = envelope.replace("operator", "maker");
        let cases: [(&str, &[usize]); 5] = [
            (&envelope, &[]),
            (&envelope, &[1]),
            (&envelope, &[1, 2]),
            (&other, &[1]),
            (&other, &[]),
        ];
        for (one, (envelope, shown)) in cases.iter().enumerate() {
            for (two, (other, those)) in cases.iter().enumerate() {
                let (left, right) = (marked(envelope, shown), marked(other, those));
                assert_eq!(left.0 == right.0, one == two);
                assert_eq!(left.1 == right.1, one == two);
            }
        }
    }

    #[test]
    fn offers_are_checked() {
        let with = |policy: Value| dataset(&DatasetOffer { policy, ..offer("urn:d") });
        assert!(with(json!({"permission": [{"action": "use"}], "target": "urn:d"})).is_ok());
        for bad in [
            json!("x"),
            json!({}),
            json!({"permission": []}),
            json!({"permission": [{"action": "use"}], "target": "urn:other"}),
        ] {
            assert!(with(bad.clone()).is_err(), "{bad}");
        }
        assert!(dataset(&DatasetOffer { formats: vec![], ..offer("urn:d") }).is_err());
    }
}
