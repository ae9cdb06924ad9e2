//! What a partner delivered: rows, the receipt that proves them, and the pins that make the next
//! receipt continue this one. Local records, sealed like everything else.

use crate::partition::NewEntry;
use crate::processes::local;
use std::collections::BTreeMap;
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_proof::digest::{Digest, from_hex};
use twinpact_proof::to_hex;

/// The most rows of one record.
const ROWS_A_RECORD: usize = 4_000;
/// The most bytes of rows of one record, well below the bound of a lexical form; a row that is
/// larger has a record of its own.
const BYTES_A_RECORD: usize = 512 << 10;

/// A size and root that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The size.
    pub size: u64,
    /// The root over so many leaves.
    pub root: Digest,
}

/// A ledger of a partner: where it stands, which never changes, and what was seen of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPin {
    /// The hex of the tree's id.
    pub tree: String,
    /// The slot.
    pub slot: u64,
    /// Its last head.
    pub seen: Seen,
}

/// A copy of rows with the receipt of their delivery.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// The agreement.
    pub agreement: String,
    /// The bundle.
    pub proof: String,
    /// By when it is to be deleted; empty when by no time.
    pub delete_by: String,
    /// The rows, in parts: JSON arrays.
    pub parts: Vec<String>,
}

/// Copies by the name of their receipt; pins by origin and by agreement.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    by_receipt: BTreeMap<String, Copy>,
    anchors: BTreeMap<String, Seen>,
    ledgers: BTreeMap<String, LedgerPin>,
}

impl Copies {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::Copy => self.apply_copy(entry).ok_or_else(unreadable),
            Kind::Pin => self.apply_pin(entry).ok_or_else(unreadable),
            _ => Ok(()),
        }
    }

    /// The copy with that receipt.
    ///
    /// # Errors
    /// `receipt.unknown`.
    pub fn get(&self, receipt: &str) -> Result<&Copy, Problem> {
        let mut found = self.by_receipt.range(receipt.to_owned()..);
        match found.next().filter(|(name, _)| name.starts_with(receipt) && receipt.len() >= 8) {
            Some((_, copy)) => Ok(copy),
            None => Err(Problem::new(
                codes::RECEIPT_UNKNOWN,
                format!("there is no receipt {receipt:?}"),
            )),
        }
    }

    /// Whether the delivery with that receipt is stored.
    #[must_use]
    pub fn has(&self, receipt: &str) -> bool {
        self.by_receipt.contains_key(receipt)
    }

    /// What was seen last of the anchor with that origin.
    #[must_use]
    pub fn anchor(&self, origin: &str) -> Option<Seen> {
        self.anchors.get(origin).copied()
    }

    /// The ledger of an agreement.
    #[must_use]
    pub fn ledger(&self, agreement: &str) -> Option<&LedgerPin> {
        self.ledgers.get(agreement)
    }

    fn apply_copy(&mut self, entry: &Entry) -> Option<()> {
        let copy = self.by_receipt.entry(entry.get("receipt")?.to_owned()).or_default();
        if let Some(rows) = entry.get("rows") {
            copy.parts.push(rows.to_owned());
            return Some(());
        }
        copy.agreement = entry.get("agreement")?.to_owned();
        copy.proof = entry.get("proof")?.to_owned();
        copy.delete_by = entry.get("deleteBy")?.to_owned();
        Some(())
    }

    fn apply_pin(&mut self, entry: &Entry) -> Option<()> {
        let number = |name: &str| entry.get(name)?.parse::<u64>().ok();
        let root = |name: &str| from_hex(entry.get(name)?);
        let anchor = Seen { size: number("anchorSize")?, root: root("anchorRoot")? };
        self.anchors.insert(entry.get("origin")?.to_owned(), anchor);
        let ledger = LedgerPin {
            tree: entry.get("tree")?.to_owned(),
            slot: number("slot")?,
            seen: Seen { size: number("size")?, root: root("root")? },
        };
        self.ledgers.insert(entry.get("agreement")?.to_owned(), ledger);
        Some(())
    }
}

/// The records of a copy: its receipt first, then its rows in parts.
#[must_use]
pub fn copy(peer: &str, receipt: &str, copy: &Copy, rows: &[serde_json::Value]) -> Vec<NewEntry> {
    let head = vec![
        Attribute::new("receipt", "text", receipt),
        Attribute::new("agreement", "text", &copy.agreement),
        Attribute::new("deleteBy", "text", &copy.delete_by),
        Attribute::new("proof", "text", &copy.proof),
    ];
    let mut all = vec![local(Kind::Copy, peer, head)];
    for rows in parts(rows) {
        let what =
            vec![Attribute::new("receipt", "text", receipt), Attribute::new("rows", "json", rows)];
        // Sealed by agreement and day, so that a copy can die on its day without anything else.
        let mut part = local(Kind::Copy, peer, what);
        part.entry.why.class = format!("copy.{}", copy.agreement);
        all.push(part);
    }
    all
}

/// The rows as JSON arrays of a size that suits a record.
fn parts(rows: &[serde_json::Value]) -> Vec<String> {
    let (mut parts, mut part, mut count) = (Vec::new(), String::new(), 0);
    for row in rows.iter().map(ToString::to_string) {
        if count == ROWS_A_RECORD || (count > 0 && part.len() + row.len() + 2 > BYTES_A_RECORD) {
            parts.push(format!("{}]", std::mem::take(&mut part)));
            count = 0;
        }
        part.push(if count == 0 { '[' } else { ',' });
        part.push_str(&row);
        count += 1;
    }
    if count > 0 {
        parts.push(part + "]");
    }
    parts
}

/// The record that pins what was seen of a partner's anchor and of an agreement's ledger.
#[must_use]
pub fn pin(
    peer: &str,
    origin: &str,
    anchor: Seen,
    agreement: &str,
    ledger: &LedgerPin,
) -> NewEntry {
    let what = vec![
        Attribute::new("origin", "text", origin),
        Attribute::new("anchorSize", "integer", anchor.size.to_string()),
        Attribute::new("anchorRoot", "text", to_hex(&anchor.root)),
        Attribute::new("agreement", "text", agreement),
        Attribute::new("tree", "text", &ledger.tree),
        Attribute::new("slot", "integer", ledger.slot.to_string()),
        Attribute::new("size", "integer", ledger.seen.size.to_string()),
        Attribute::new("root", "text", to_hex(&ledger.seen.root)),
    ];
    local(Kind::Pin, peer, what)
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged copy cannot be read")
}
