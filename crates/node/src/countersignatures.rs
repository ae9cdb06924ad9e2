//! Countersignatures on record: of agreements, by either side, and of the receipts of what we
//! delivered. Local records; how they come about stands in [`crate::documents`].

use crate::partition::NewEntry;
use crate::processes::local;
use std::collections::BTreeMap;
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_proof::dsse::Signature;
use twinpact_proof::{Envelope, Json, text64};

/// What both parties have signed. There is one agreement document of an agreement and one receipt
/// of an entry of its ledger, so there are never more of these than of those.
#[derive(Debug, Clone, Default)]
pub struct Countersignatures {
    agreements: BTreeMap<String, Envelope>,
    receipts: BTreeMap<(String, u64), Signature>,
}

impl Countersignatures {
    /// The agreement document with both signatures.
    #[must_use]
    pub fn agreement(&self, agreement: &str) -> Option<&Envelope> {
        self.agreements.get(agreement)
    }

    /// The partner's signature on the receipt of the delivery at that index of our ledger.
    #[must_use]
    pub fn receipt(&self, agreement: &str, index: u64) -> Option<&Signature> {
        self.receipts.get(&(agreement.to_owned(), index))
    }

    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::Countersignature => self.take(entry).ok_or_else(|| {
                Problem::new(codes::INTERNAL, "a logged countersignature cannot be read")
            }),
            _ => Ok(()),
        }
    }

    fn take(&mut self, entry: &Entry) -> Option<()> {
        let agreement = entry.get("agreement")?.to_owned();
        if let Some(document) = entry.get("document") {
            let envelope = Envelope::from_json(&Json::parse(document.as_bytes()).ok()?)?;
            self.agreements.insert(agreement, envelope);
            return Some(());
        }
        let index = entry.get("index")?.parse().ok()?;
        let bytes = text64::decode_exact(entry.get("sig")?)?;
        let key_id = entry.get("keyid")?.to_owned();
        self.receipts.insert((agreement, index), Signature { key_id, bytes });
        Some(())
    }
}

/// The record of an agreement document that both have signed.
#[must_use]
pub fn of_agreement(peer: &str, agreement: &str, document: &Envelope) -> NewEntry {
    let what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("document", "json", document.to_json().canonical()),
    ];
    local(Kind::Countersignature, peer, what)
}

/// The record of a partner's signature on the receipt of a delivery of ours; the receipt itself is
/// made again from the log.
#[must_use]
pub fn of_receipt(peer: &str, agreement: &str, index: u64, signature: &Signature) -> NewEntry {
    let what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("index", "integer", index.to_string()),
        Attribute::new("keyid", "text", &signature.key_id),
        Attribute::new("sig", "text", text64::encode(&signature.bytes)),
    ];
    local(Kind::Countersignature, peer, what)
}
