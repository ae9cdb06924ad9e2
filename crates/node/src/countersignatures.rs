//! Countersignatures on record: of agreements, by either side, and of the receipts of what we
//! delivered. Local records; how they come about stands in [`crate::documents`].

use crate::partition::NewEntry;
use crate::processes::local;
use std::collections::BTreeMap;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::dsse::Signature;
use twinpact_proof::{Envelope, Json, text64};

/// What both parties have signed. There is one agreement document of an agreement and one receipt
/// of an entry of its ledger, so there are never more of these than of those.
#[derive(Debug, Clone, Default)]
pub struct Countersignatures {
    agreements: BTreeMap<String, Envelope>,
    /// When each of them was recorded first.
    agreed: BTreeMap<String, Timestamp>,
    /// With when each was recorded first.
    receipts: BTreeMap<(String, u64), (Timestamp, Signature)>,
    /// The consumer's record that lists the keys which signed, by agreement: it outlives the pin.
    records: BTreeMap<String, Envelope>,
}

impl Countersignatures {
    /// The agreement document with both signatures.
    #[must_use]
    pub fn agreement(&self, agreement: &str) -> Option<&Envelope> {
        self.agreements.get(agreement)
    }

    /// Since when there is one.
    pub(crate) fn agreed(&self, agreement: &str) -> Option<Timestamp> {
        self.agreed.get(agreement).copied()
    }

    /// The partner's signature on the receipt of the delivery at that index of our ledger.
    #[must_use]
    pub fn receipt(&self, agreement: &str, index: u64) -> Option<&Signature> {
        self.receipts.get(&(agreement.to_owned(), index)).map(|(_, signature)| signature)
    }

    /// Since when there is one.
    pub(crate) fn received(&self, agreement: &str, index: u64) -> Option<Timestamp> {
        self.receipts.get(&(agreement.to_owned(), index)).map(|(since, _)| *since)
    }

    /// The consumer's record as it was when it signed last under an agreement of ours.
    #[must_use]
    pub fn record(&self, agreement: &str) -> Option<&Envelope> {
        self.records.get(agreement)
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
        let read = |text: &str| Envelope::from_json(&Json::parse(text.as_bytes()).ok()?);
        let agreement = entry.get("agreement")?.to_owned();
        if let Some(record) = entry.get("record") {
            self.records.insert(agreement.clone(), read(record)?);
        }
        if let Some(document) = entry.get("document") {
            self.agreed.entry(agreement.clone()).or_insert(entry.when.recorded);
            self.agreements.insert(agreement, read(document)?);
            return Some(());
        }
        let index = entry.get("index")?.parse().ok()?;
        let bytes = text64::decode_exact(entry.get("sig")?)?;
        let key_id = entry.get("keyid")?.to_owned();
        let place = (agreement, index);
        let since = self.receipts.get(&place).map_or(entry.when.recorded, |(since, _)| *since);
        self.receipts.insert(place, (since, Signature { key_id, bytes }));
        Some(())
    }
}

/// The record of an agreement document that both have signed; with the organisation record of the
/// partner, when that is the consumer and has changed.
#[must_use]
pub fn of_agreement(
    peer: &str,
    agreement: &str,
    document: &Envelope,
    record: Option<&Envelope>,
) -> NewEntry {
    let mut what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("document", "json", document.to_json().canonical()),
    ];
    what.extend(record.map(of_record));
    local(Kind::Countersignature, peer, what)
}

fn of_record(record: &Envelope) -> Attribute {
    Attribute::new("record", "json", record.to_json().canonical())
}

/// The record of a partner's signature on the receipt of a delivery of ours; the receipt itself is
/// made again from the log.
#[must_use]
pub fn of_receipt(
    peer: &str,
    (agreement, index): (&str, u64),
    signature: &Signature,
    record: Option<&Envelope>,
) -> NewEntry {
    let mut what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("index", "integer", index.to_string()),
        Attribute::new("keyid", "text", &signature.key_id),
        Attribute::new("sig", "text", text64::encode(&signature.bytes)),
    ];
    what.extend(record.map(of_record));
    local(Kind::Countersignature, peer, what)
}
