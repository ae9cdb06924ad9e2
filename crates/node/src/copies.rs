//! What a partner delivered: rows, the receipt that proves them, and the pins that make the next
//! receipt continue this one. Local records, sealed like everything else.
//!
//! Rows are sealed apart from the receipt, by agreement, time of death and twin, so that they can
//! die alone ([`crate::retention`]); the receipt and all proofs stay.

use crate::api::Heading;
use crate::as_of::known;
use crate::kpis;
use crate::partition::NewEntry;
use crate::processes::local;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use twinpact_model::codes;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, Timestamp};
use twinpact_proof::deletion::Erasure;
use twinpact_proof::digest::{Digest, from_hex};
use twinpact_proof::documents::Clock;
use twinpact_proof::trust::{Hex, SeenAnchor};
use twinpact_proof::{Record, to_hex};

/// The most rows of one record.
const ROWS_A_RECORD: usize = 4_000;
/// The most columns of one delivery.
pub const MAX_HEADINGS: usize = 64;
/// The longest name or unit of a column, in bytes.
pub const MAX_HEADING_BYTES: usize = 200;
/// The most twins of one delivery, each of which has a key of its own.
pub const MAX_COPIED_TWINS: usize = 4_096;
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
    /// The log under which it was seen; one that succeeds it may begin with less.
    pub origin: String,
    /// The hex of the tree's id.
    pub tree: String,
    /// The slot.
    pub slot: u64,
    /// Its last head.
    pub seen: Seen,
}

/// Rows of one twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The twin; empty in what an older release has stored.
    pub twin: String,
    /// The rows: a JSON array.
    pub rows: String,
}

/// A copy of rows with the receipt of their delivery.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// Who delivered it.
    pub from: String,
    /// The agreement.
    pub agreement: String,
    /// The bundle, with our signatures on agreement and receipt.
    pub proof: String,
    /// When it was stored.
    pub recorded: Timestamp,
    /// By when it is to be deleted; empty when by no time.
    pub delete_by: String,
    /// When it is deleted: a little before that, and never after it.
    pub due: Option<Timestamp>,
    /// Whether its times are of a driven clock.
    pub driven: bool,
    /// The retention class that its rows are sealed under.
    pub class: String,
    /// The rows, in the order in which they were delivered.
    pub parts: Vec<Part>,
    /// What its values are called, as the provider says; empty in what an older release has
    /// stored.
    pub columns: Vec<Heading>,
    /// When its rows were deleted, by the policy clock.
    pub deleted: Option<Timestamp>,
    /// Whether the rows of a twin were deleted because its owner has erased it.
    pub erased: bool,
    /// The bytes of its rows as they were delivered; none in what an older release has stored.
    pub bytes: Option<u64>,
    /// How many rows were delivered.
    pub count: u64,
    /// Whether they were as fresh as the provider promises; none without rows or a promise.
    pub fresh: Option<bool>,
    /// Whether it was read for a purpose.
    pub read: bool,
    /// The twin of which this is all that the view shows; empty when it is of none or of many.
    pub about: String,
}

/// How many anchors that were pinned before are kept of each log.
const MAX_BEFORE: usize = 64;

/// Copies by the name of their receipt; pins by origin and by agreement.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    by_receipt: BTreeMap<String, Copy>,
    /// The receipts of the copies of a retention class that are there.
    by_class: BTreeMap<String, BTreeSet<String>>,
    /// The classes in the order in which they are to be deleted.
    /// Those of a driven clock apart: only a driven clock knows when their time has come.
    due: BTreeSet<(bool, Timestamp, String)>,
    anchors: BTreeMap<String, Seen>,
    /// What was pinned last of each anchor, the newest last: all of one history.
    before: BTreeMap<String, VecDeque<Seen>>,
    /// The signed checkpoint of what was seen last, by origin.
    notes: BTreeMap<String, String>,
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
            Kind::CopyDeleted => self.apply_deleted(entry).ok_or_else(unreadable),
            Kind::Pin => self.apply_pin(entry).ok_or_else(unreadable),
            _ => Ok(()),
        }
    }

    /// The copy with that receipt.
    ///
    /// # Errors
    /// `receipt.unknown`, also when the name is the front of more than one.
    pub fn get(&self, receipt: &str) -> Result<&Copy, Problem> {
        self.named(receipt).map(|(_, copy)| copy)
    }

    /// The same, with the whole name of its receipt.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) fn named(&self, receipt: &str) -> Result<(&str, &Copy), Problem> {
        let mut found = self.of_front(receipt);
        match (found.next(), found.next()) {
            (Some((name, copy)), None) => Ok((name.as_str(), copy)),
            _ => Err(Problem::new(
                codes::RECEIPT_UNKNOWN,
                format!("there is no receipt {receipt:?}"),
            )),
        }
    }

    /// The copies whose receipts have a name with that front, of at least eight digits.
    pub(crate) fn fitting(&self, front: &str) -> impl Iterator<Item = &Copy> {
        self.of_front(front).map(|(_, copy)| copy)
    }

    fn of_front(&self, front: &str) -> impl Iterator<Item = (&String, &Copy)> {
        let from = self.by_receipt.range(front.to_owned()..).take_while(|_| front.len() >= 8);
        from.take_while(move |(name, _)| name.starts_with(front))
    }

    /// The receipts of the copies that were stored last by that time, at most so many.
    #[must_use]
    pub fn latest(&self, limit: usize, as_of: Option<Timestamp>) -> Vec<&str> {
        let stored = self.by_receipt.iter().filter(|(_, copy)| known(copy.recorded, as_of));
        let mut all: Vec<_> = stored.map(|(r, c)| (c.recorded, r)).collect();
        all.sort_by_key(|(recorded, _)| std::cmp::Reverse(*recorded));
        all.into_iter().take(limit).map(|(_, receipt)| receipt.as_str()).collect()
    }

    /// All copies, by the name of their receipt.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Copy)> {
        self.by_receipt.iter().map(|(name, copy)| (name.as_str(), copy))
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

    /// Whether that was pinned of the anchor with that origin a while ago: what is pinned now
    /// continues it.
    #[must_use]
    pub fn lies_under(&self, origin: &str, seen: Seen) -> bool {
        self.before.get(origin).is_some_and(|before| before.contains(&seen))
    }

    /// What a delivery of that partner's log has to continue: what was seen of it, or the leaf with
    /// which it began when it comes after another log.
    #[must_use]
    pub fn to_continue(&self, record: &Record) -> Option<Seen> {
        let first = || record.predecessors.last().map(|one| Seen { size: 1, root: one.leaf() });
        self.anchor(&record.origin).or_else(first)
    }

    /// The last signed checkpoint that was seen of that partner's log, or else of the latest log
    /// before it of which there is one.
    #[must_use]
    pub fn note(&self, record: &Record) -> Option<&String> {
        let before = record.predecessors.iter().rev().map(|one| &one.origin);
        [&record.origin].into_iter().chain(before).find_map(|origin| self.notes.get(origin))
    }

    /// All anchors that were seen, each as it was seen last, for holding records against them.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenAnchor> {
        let one = |(origin, seen): (&String, &Seen)| SeenAnchor {
            origin: origin.clone(),
            size: seen.size,
            root: Hex(seen.root),
        };
        self.anchors.iter().map(one).collect()
    }

    /// The ledger of an agreement.
    #[must_use]
    pub fn ledger(&self, agreement: &str) -> Option<&LedgerPin> {
        self.ledgers.get(agreement)
    }

    /// Of the classes whose time has come, those that are to be deleted first, at most so many.
    #[must_use]
    pub fn due(&self, driven: bool, now: Timestamp, limit: usize) -> BTreeSet<&str> {
        let of_clock = self.due.iter().filter(|(kind, ..)| *kind == driven);
        let due = of_clock.take_while(|(_, due, _)| *due <= now);
        due.take(limit).map(|(.., class)| class.as_str()).collect()
    }

    /// When a class is to be deleted next, by a clock of that kind.
    #[must_use]
    pub fn next_due(&self, driven: bool) -> Option<Timestamp> {
        let mut of_clock = self.due.iter().filter(|(kind, ..)| *kind == driven);
        of_clock.next().map(|(_, due, _)| *due)
    }

    /// The copies of a class that are there, by the name of their receipt.
    pub fn of_class(&self, class: &str) -> impl Iterator<Item = (&str, &Copy)> {
        let names = self.by_class.get(class).into_iter().flatten();
        names.filter_map(|name| Some((name.as_str(), self.by_receipt.get(name)?)))
    }

    /// The bytes of a copy that is read for the first time.
    pub(crate) fn first_read(&mut self, receipt: &str) -> Option<u64> {
        let copy = self.by_receipt.get_mut(receipt).filter(|copy| !copy.read)?;
        copy.read = true;
        copy.bytes
    }

    fn apply_copy(&mut self, entry: &Entry) -> Option<()> {
        let name = entry.get("receipt")?.to_owned();
        let copy = self.by_receipt.entry(name.clone()).or_default();
        if let Some(rows) = entry.get("rows") {
            copy.parts.push(Part { twin: entry.who.twin.to_string(), rows: rows.to_owned() });
            return Some(());
        }
        copy.from = entry.who.actor.to_string();
        copy.agreement = entry.get("agreement")?.to_owned();
        copy.proof = entry.get("proof")?.to_owned();
        copy.recorded = entry.when.recorded;
        copy.delete_by = entry.get("deleteBy")?.to_owned();
        copy.about = entry.get("about").unwrap_or_default().to_owned();
        copy.bytes = entry.get("bytes").and_then(|bytes| bytes.parse().ok());
        let columns = entry.get("columns").map(serde_json::from_str);
        copy.columns = columns.transpose().ok()?.unwrap_or_default();
        let delete_by = Timestamp::parse(&copy.delete_by).ok();
        copy.due = match entry.get("due") {
            Some(due) => Timestamp::parse(due).ok(),
            // Of an older release: those of an agreement share their keys, and the first decides.
            None => delete_by.map(|time| time.floor(HOUR_S)),
        };
        copy.class = class(&copy.agreement, entry.get("due"));
        let of_class = self.by_class.entry(copy.class.clone()).or_default();
        of_class.insert(name);
        copy.driven = entry.get("clock") == Some(Clock::Driven.name());
        self.due.extend(copy.due.map(|due| (copy.driven, due, copy.class.clone())));
        Some(())
    }

    /// All copies of a class are deleted, or the rows of one twin in some of them.
    fn apply_deleted(&mut self, entry: &Entry) -> Option<()> {
        let at = entry.when.phen_start?;
        let Some(class) = entry.get("class") else { return self.apply_erased(entry) };
        self.due.retain(|(.., one)| one != class);
        for name in self.by_class.remove(class).unwrap_or_default() {
            let copy = self.by_receipt.get_mut(&name)?;
            copy.parts.clear();
            copy.deleted = Some(at);
        }
        Some(())
    }

    fn apply_erased(&mut self, entry: &Entry) -> Option<()> {
        let (salt, twin) = (from_hex(entry.get("salt")?)?, from_hex(entry.get("twin")?)?);
        let names: Vec<String> = serde_json::from_str(entry.get("receipts")?).ok()?;
        for name in names {
            let copy = self.by_receipt.get_mut(&name)?;
            // After a restart they are not there any more.
            copy.parts.retain(|part| Erasure::digest_of(&salt, &part.twin) != twin);
            copy.erased = true;
        }
        Some(())
    }

    fn apply_pin(&mut self, entry: &Entry) -> Option<()> {
        let number = |name: &str| entry.get(name)?.parse::<u64>().ok();
        let root = |name: &str| from_hex(entry.get(name)?);
        let anchor = Seen { size: number("anchorSize")?, root: root("anchorRoot")? };
        let origin = entry.get("origin")?.to_owned();
        self.anchors.insert(origin.clone(), anchor);
        let before = self.before.entry(origin.clone()).or_default();
        if before.back() != Some(&anchor) {
            before.push_back(anchor);
        }
        if before.len() > MAX_BEFORE {
            before.pop_front();
        }
        if let Some(note) = entry.get("checkpoint") {
            self.notes.insert(origin.clone(), note.to_owned());
        }
        let ledger = LedgerPin {
            origin,
            tree: entry.get("tree")?.to_owned(),
            slot: number("slot")?,
            seen: Seen { size: number("size")?, root: root("root")? },
        };
        self.ledgers.insert(entry.get("agreement")?.to_owned(), ledger);
        Some(())
    }
}

/// So many seconds are one hour, and one minute.
const HOUR_S: i64 = 3_600;
const MINUTE_S: i64 = 60;

/// When a copy that was delivered at that time is deleted: never late, and early by at most an
/// hour, or a minute when it lives for less than a day, or not at all when for less than an hour.
/// So that one key is enough for many deliveries.
#[must_use]
pub fn due(at: Timestamp, delete_by: Timestamp) -> Timestamp {
    let lives = (delete_by.micros() - at.micros()) / 1_000_000;
    match lives {
        ..HOUR_S => delete_by,
        HOUR_S..86_400 => delete_by.floor(MINUTE_S),
        _ => delete_by.floor(HOUR_S),
    }
}

/// The retention class of the rows of an agreement that die at that time.
fn class(agreement: &str, due: Option<&str>) -> String {
    match due {
        Some(due) => format!("copy.{agreement}.{due}"),
        None => format!("copy.{agreement}"),
    }
}

/// The records of a copy: its receipt first, then its rows in parts.
///
/// # Errors
/// Why the rows cannot be stored: they are of too many twins, or of one that has no name.
pub fn copy(
    peer: &str,
    receipt: &str,
    copy: &Copy,
    rows: &[serde_json::Value],
) -> Result<Vec<NewEntry>, &'static str> {
    let due = copy.due.map(|due| due.to_string()).unwrap_or_default();
    let clock = if copy.driven { Clock::Driven } else { Clock::System };
    let mut head = vec![
        Attribute::new("receipt", "text", receipt),
        Attribute::new("agreement", "text", &copy.agreement),
        Attribute::new("deleteBy", "text", &copy.delete_by),
        Attribute::new("due", "text", &due),
        Attribute::new("clock", "text", clock.name()),
        Attribute::new("proof", "text", &copy.proof),
    ];
    if !copy.columns.is_empty() {
        let columns = serde_json::to_string(&copy.columns).unwrap_or_default();
        head.push(Attribute::new("columns", "json", columns));
    }
    if let Some(bytes) = copy.bytes {
        head.extend(kpis::received(copy.count, bytes, copy.fresh));
    }
    if !copy.about.is_empty() {
        head.push(Attribute::new("about", "anyURI", &copy.about));
    }
    let mut all = vec![local(Kind::Copy, peer, head)];
    let class = class(&copy.agreement, Some(&due));
    let mut twins = 0;
    for rows in rows.chunk_by(|a, b| a.get(0) == b.get(0)) {
        let twin = rows.first().and_then(|row| row.get(0)?.as_str()).unwrap_or_default();
        Iri::check(twin).map_err(|_| "a twin has no identifier")?;
        twins += 1;
        if twins > MAX_COPIED_TWINS {
            return Err("it has rows of too many twins");
        }
        for rows in parts(rows) {
            let what = vec![
                Attribute::new("receipt", "text", receipt),
                Attribute::new("rows", "json", rows),
            ];
            let mut part = local(Kind::Copy, peer, what);
            part.entry.who.twin = twin.into();
            part.entry.why.class = class.as_str().into();
            all.push(part);
        }
    }
    Ok(all)
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

/// The record that pins what was seen of a partner's anchor, with the signed checkpoint, and of an
/// agreement's ledger.
#[must_use]
pub fn pin(
    peer: &str,
    checkpoint: &str,
    anchor: Seen,
    agreement: &str,
    ledger: &LedgerPin,
) -> NewEntry {
    let what = vec![
        Attribute::new("origin", "text", &ledger.origin),
        Attribute::new("anchorSize", "integer", anchor.size.to_string()),
        Attribute::new("anchorRoot", "text", to_hex(&anchor.root)),
        Attribute::new("checkpoint", "text", checkpoint),
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

#[cfg(test)]
mod tests {
    use super::{BYTES_A_RECORD, Copies, Copy, MAX_COPIED_TWINS, ROWS_A_RECORD, copy, due, parts};
    use crate::consumer::MAX_DELIVERY_BYTES;
    use serde_json::{Value, json};
    use twinpact_model::Timestamp;
    use twinpact_store::frame::MAX_TURN_BYTES;
    use twinpact_store::payload;

    #[test]
    fn a_front_that_fits_two_receipts_names_none() {
        let mut copies = Copies::default();
        for name in ["12345678aa", "12345678ab", "99999999aa"] {
            copies.by_receipt.insert(name.to_owned(), Copy::default());
        }
        for (name, expect) in [
            ("12345678aa", true),
            ("12345678a", false),
            ("12345678", false),
            ("99999999", true),
            ("9999999", false),
            ("77777777", false),
        ] {
            let got = copies.get(name).map_err(|problem| problem.code.name);
            assert_eq!(
                got.map(|_| ()),
                if expect { Ok(()) } else { Err("receipt.unknown") },
                "{name}"
            );
        }
    }

    #[test]
    fn rows_are_parted_by_number_and_by_bytes() {
        let check = |rows: Vec<Value>, expect: &[usize]| {
            let parts = parts(&rows);
            let read: Vec<Vec<Value>> =
                parts.iter().map(|part| serde_json::from_str(part).unwrap()).collect();
            assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), expect);
            assert_eq!(read.concat(), rows);
            assert!(parts.iter().zip(expect).all(|(p, n)| *n == 1 || p.len() <= BYTES_A_RECORD));
        };
        let row = |bytes: usize| json!("x".repeat(bytes - 2));
        check(vec![], &[]);
        check(vec![row(9); ROWS_A_RECORD], &[ROWS_A_RECORD]);
        check(vec![row(9); ROWS_A_RECORD + 1], &[ROWS_A_RECORD, 1]);
        // Two brackets and a comma are between the rows of a record and its bound.
        let half = (BYTES_A_RECORD - 4) / 2;
        check(vec![row(half), row(half + 1), row(9)], &[2, 1]);
        check(vec![row(half), row(half + 2), row(9)], &[1, 2]);
        check(vec![row(9), row(BYTES_A_RECORD + 9), row(9)], &[1, 1, 1]);
    }

    /// However a delivery of the largest size is shaped, one turn can log it.
    #[test]
    fn what_is_read_can_be_logged() {
        let twin = |n: usize| format!("urn:t:{n}");
        let check = |rows: Vec<Value>, proof: usize| {
            let body: usize = rows.iter().map(|row| row.to_string().len() + 1).sum();
            assert!(body + proof <= MAX_DELIVERY_BYTES && body + proof > MAX_DELIVERY_BYTES - 99);
            let one = Copy { proof: "p".repeat(proof), ..Copy::default() };
            let entries = copy("did:web:a.example", &"r".repeat(64), &one, &rows).unwrap();
            let sealed = |e: &crate::partition::NewEntry| {
                // With what seals it and what stands beside it in a frame.
                let groups = e.entry.groups();
                let attributes = payload::attrs(&groups, &e.entry.what);
                payload::encode(&[0; 32], &attributes).len() + 16 + 52
            };
            let bytes: usize = entries.iter().map(sealed).sum();
            assert!(bytes < MAX_TURN_BYTES - (1 << 20), "{bytes}");
        };
        // `["urn:t:0","…"]` and a comma.
        let row = |bytes: usize| json!([twin(0), "x".repeat(bytes - 15)]);
        check(vec![row(16); MAX_DELIVERY_BYTES / 16], 0);
        check(vec![row(100); MAX_DELIVERY_BYTES / 100], 0);
        check(vec![row(BYTES_A_RECORD); 23], (512 << 10) - 90);
        check(vec![row(MAX_DELIVERY_BYTES - 1)], 0);
        check(vec![], MAX_DELIVERY_BYTES);
        // As many twins as there may be, in a delivery of the largest size.
        let (each, room) = (MAX_COPIED_TWINS, MAX_DELIVERY_BYTES / MAX_COPIED_TWINS - 20);
        let of = |n: usize| json!([format!("urn:t:{n:04}"), "x".repeat(room)]);
        let rows: Vec<Value> = (0..each).map(of).collect();
        let body: usize = rows.iter().map(|row| row.to_string().len() + 1).sum();
        check(rows, MAX_DELIVERY_BYTES - body);
    }

    #[test]
    fn rows_are_parted_by_twin_and_twins_have_names_and_a_bound() {
        let row = |twin: &str, n: usize| json!([twin, n]);
        let stored = |rows: &[Value]| {
            let entries = copy("did:web:a.example", "r", &Copy::default(), rows)?;
            let part = |e: &crate::partition::NewEntry| {
                let rows: Vec<Value> = serde_json::from_str(e.entry.get("rows")?).unwrap();
                Some((e.entry.who.twin.to_string(), rows))
            };
            Ok::<_, &str>(entries.iter().filter_map(part).collect::<Vec<_>>())
        };
        let rows = [row("urn:a", 1), row("urn:a", 2), row("urn:b", 3)];
        let expect = [("urn:a".to_owned(), rows[..2].to_vec()), ("urn:b".into(), rows[2..].into())];
        assert_eq!(stored(&rows).unwrap(), expect);
        assert_eq!(stored(&[row("no name", 1)]), Err("a twin has no identifier"));
        let twins = |n: usize| (0..n).map(|n| row(&format!("urn:{n:06}"), n)).collect::<Vec<_>>();
        assert_eq!(stored(&twins(MAX_COPIED_TWINS)).map(|all| all.len()), Ok(MAX_COPIED_TWINS));
        assert_eq!(stored(&twins(MAX_COPIED_TWINS + 1)), Err("it has rows of too many twins"));
    }

    #[test]
    fn a_copy_dies_early_by_at_most_its_unit_and_never_late() {
        for (lives, unit) in [(1, 0), (3_599, 0), (3_600, 60), (86_399, 60), (86_400, 3_600)] {
            for start in [0, 1, 59, 1_437_454_801] {
                let at = Timestamp::from_seconds(start);
                let by = at.plus_seconds(lives);
                let early = by.micros() - due(at, by).micros();
                assert!((0..=unit * 1_000_000).contains(&early), "{lives} {start} {early}");
                assert!(due(at, by) > at || lives == 0, "{lives} {start}");
            }
        }
    }
}
