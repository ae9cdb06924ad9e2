//! Who was turned away at the federation door before we knew who it was or what it asked, or
//! because it asks too much, counted by kind.
//!
//! A stranger costs a number and never an entry of its own: what was counted becomes one local
//! entry a minute, and none while nothing is counted, so that nobody without a name can fill the
//! log. Kinds, numbers and times are all that is kept; nothing that a caller said is among it.

use crate::open::Node;
use crate::partition::NewEntry;
use crate::trace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use twinpact_identity::refusal::Refusal;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, WallTime};
use twinpact_store::forest::LOCAL;

/// Why somebody was turned away: a closed set, so that it can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Away {
    /// The TLS handshake was refused, for that reason.
    Tls(Refusal),
    /// The connection broke off in its handshake.
    Broken,
    /// The handshake took too long.
    HandshakeLate,
    /// We have no certificate to present: our issuing CA has run out.
    NoCertificate,
    /// Too many handshakes at a time: this one was the oldest and made room.
    HandshakesFull,
    /// All places for callers without a certificate are taken.
    NamelessFull,
    /// The partner has as many connections as one partner may have.
    PartnerFull,
    /// All places for partners are taken.
    PartnersFull,
    /// A caller without a certificate asked for something that is not public.
    Route,
    /// A caller without a certificate took too long.
    NamelessLate,
    /// A caller without a certificate wanted to join, and was refused.
    Join,
    /// A partner asks more often than one partner may.
    PartnerRate,
    /// A request that cannot be read as HTTP, or a nameless one that cannot be read.
    Unreadable,
    /// The answer was not read in time.
    Unread,
}

impl Away {
    /// Every kind but those of the handshake, which are [`Refusal::ALL`].
    const PLAIN: &[Away] = &[
        Away::Broken,
        Away::HandshakeLate,
        Away::NoCertificate,
        Away::HandshakesFull,
        Away::NamelessFull,
        Away::PartnerFull,
        Away::PartnersFull,
        Away::Route,
        Away::NamelessLate,
        Away::Join,
        Away::PartnerRate,
        Away::Unreadable,
        Away::Unread,
    ];

    /// Every kind.
    pub fn all() -> impl Iterator<Item = Away> {
        Refusal::ALL.iter().map(|refusal| Away::Tls(*refusal)).chain(Away::PLAIN.iter().copied())
    }

    /// The name in the log; never changes.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Away::Tls(refusal) => return format!("tls.{}", refusal.name()),
            Away::Broken => "handshake.broken",
            Away::HandshakeLate => "handshake.late",
            Away::NoCertificate => "handshake.no_certificate",
            Away::HandshakesFull => "full.handshakes",
            Away::NamelessFull => "full.nameless",
            Away::PartnerFull => "full.partner",
            Away::PartnersFull => "full.partners",
            Away::Route => "nameless.route",
            Away::NamelessLate => "nameless.late",
            Away::Join => "nameless.join",
            Away::PartnerRate => "partner.rate",
            Away::Unreadable => "request.unreadable",
            Away::Unread => "answer.unread",
        }
        .to_owned()
    }
}

/// Numbers by kind, with the first and the last time by the wall clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    by_kind: BTreeMap<Away, u64>,
    span: Option<(WallTime, WallTime)>,
}

impl Counts {
    /// How many of that kind.
    #[must_use]
    pub fn of(&self, away: Away) -> u64 {
        self.by_kind.get(&away).copied().unwrap_or(0)
    }

    /// How many of all kinds together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.by_kind.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many of each kind that there was, by name.
    #[must_use]
    pub fn by_name(&self) -> Vec<(String, u64)> {
        self.by_kind.iter().map(|(away, count)| (away.name(), *count)).collect()
    }

    /// The first and the last time; `None` when nothing was counted.
    #[must_use]
    pub const fn span(&self) -> Option<(WallTime, WallTime)> {
        self.span
    }

    fn add(&mut self, away: Away, now: WallTime) {
        let count = self.by_kind.entry(away).or_default();
        *count = count.saturating_add(1);
        let (first, last) = self.span.unwrap_or((now, now));
        self.span = Some((first.min(now), last.max(now)));
    }
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Since the node started.
    pub total: Counts,
    /// Since the last entry of the log.
    pub unlogged: Counts,
}

/// The counters. Clones share them. Numbers and their times change together, so that an entry says
/// of neither more than of the other.
#[derive(Debug, Clone)]
pub struct Strangers(Arc<watch::Sender<Tally>>);

impl Default for Strangers {
    fn default() -> Self {
        Strangers(Arc::new(watch::Sender::new(Tally::default())))
    }
}

impl Strangers {
    /// Counts one.
    pub fn count(&self, away: Away, now: WallTime) {
        trace::turned_away(&away.name());
        self.0.send_modify(|tally| {
            tally.total.add(away, now);
            tally.unlogged.add(away, now);
        });
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.0.borrow().clone()
    }

    /// The same for whoever waits for more.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Tally> {
        self.0.subscribe()
    }

    /// What no entry says yet; from here on one does.
    fn take(&self) -> Counts {
        let mut taken = Counts::default();
        self.0.send_if_modified(|tally| {
            taken = std::mem::take(&mut tally.unlogged);
            taken.span.is_some()
        });
        taken
    }
}

/// Logs what was counted since the last entry, as one entry, and says whether there was anything.
///
/// # Errors
/// What the log refuses. Then the numbers are in no entry, but still in the total.
pub async fn log(node: &Node) -> Result<bool, Problem> {
    let counts = node.strangers.take();
    let Some(entry) = entry(&counts, node.config.organisation.as_str()) else { return Ok(false) };
    let entries = vec![NewEntry::of(LOCAL, entry)];
    node.partition.turn(move |turn| turn.log(entries).map(|_| true)).await
}

/// The entry of these counts; `None` when there are none. That it happened between the first and
/// the last time is the time of the phenomenon.
fn entry(counts: &Counts, actor: &str) -> Option<Entry> {
    let (WallTime(first), WallTime(last)) = counts.span?;
    let number =
        |(away, count): (&Away, &u64)| Attribute::new(away.name(), "integer", count.to_string());
    Some(Entry {
        who: Who::no_twin(Kind::Refusals, actor),
        when: When { phen_start: Some(first), phen_end: Some(last), ..When::default() },
        why: Why::default(),
        what: counts.by_kind.iter().map(number).collect(),
    })
}

/// The answer to `GET /strangers`: all since the node started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The first time, when there was any.
    pub first: Option<Timestamp>,
    /// The last time.
    pub last: Option<Timestamp>,
    /// How many of all kinds together.
    pub sum: u64,
    /// How many of each kind that there was.
    pub kinds: BTreeMap<String, u64>,
}

/// What the admin door shows.
#[must_use]
pub fn show(node: &Node) -> Shown {
    let counts = node.strangers.tally().total;
    Shown {
        first: counts.span.map(|(first, _)| first.0),
        last: counts.span.map(|(_, last)| last.0),
        sum: counts.sum(),
        kinds: counts.by_name().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Away, Strangers, log, show};
    use crate::clock::PolicyClock;
    use crate::open::{init, open};
    use std::path::Path;
    use std::sync::Arc;
    use twinpact_model::entry::{Entry, Kind, MAX_ATTRIBUTES};
    use twinpact_model::{Did, Timestamp, WallTime};
    use twinpact_store::Store;
    use twinpact_store::directory::Directory;
    use twinpact_store::forest::LOCAL;
    use twinpact_store::vfs::RealDisk;

    fn at(seconds: i64) -> WallTime {
        WallTime(Timestamp::from_seconds(seconds))
    }

    fn did() -> Did {
        Did::new("did:web:operator.example").unwrap()
    }

    /// The entries about refusals, as the log has them.
    fn logged(path: &Path) -> Vec<Entry> {
        let directory = Directory::open(Arc::new(RealDisk), path).unwrap();
        let mut found = Vec::new();
        let keep = |_: &[u8; 32], logged: twinpact_store::Committed| {
            if logged.entry.who.kind == Kind::Refusals {
                assert_eq!(logged.tree, LOCAL);
                found.push(logged.entry);
            }
            Ok(())
        };
        drop(Store::open(directory, &did(), keep).unwrap());
        found
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut names: Vec<String> = Away::all().map(Away::name).collect();
        let many = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), many);
        assert!(names.iter().all(|name| name.contains('.')));
    }

    #[test]
    fn numbers_and_times_go_together() {
        let strangers = Strangers::default();
        assert_eq!(strangers.take().span(), None);
        for (away, seconds) in [(Away::Broken, 20), (Away::Route, 10), (Away::Broken, 30)] {
            strangers.count(away, at(seconds));
        }
        let taken = strangers.take();
        assert_eq!((taken.of(Away::Broken), taken.of(Away::Route), taken.sum()), (2, 1, 3));
        assert_eq!(taken.span(), Some((at(10), at(30))));
        assert_eq!(strangers.take().span(), None);
        strangers.count(Away::Broken, at(40));
        let tally = strangers.tally();
        assert_eq!((tally.total.of(Away::Broken), tally.unlogged.of(Away::Broken)), (3, 1));
        assert_eq!(tally.total.span(), Some((at(10), at(40))));
        assert_eq!(tally.unlogged.span(), Some((at(40), at(40))));
    }

    #[tokio::test]
    async fn what_was_counted_becomes_one_entry_and_nothing_becomes_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &did(), "test").unwrap();
        let parts = open(&path, PolicyClock::System).await.unwrap();
        let node = parts.node.clone();
        let newest = || node.partition.read(|fold, _| fold.last_recorded()).unwrap();
        let before = newest();
        assert!(!log(&node).await.unwrap());
        assert_eq!((newest(), show(&node).kinds.len()), (before, 0));
        // All kinds at once are still one entry.
        for (nth, away) in (1..).zip(Away::all()) {
            node.strangers.count(away, at(nth));
        }
        node.strangers.count(Away::Route, at(100));
        assert!(log(&node).await.unwrap());
        assert!(!log(&node).await.unwrap());
        assert!(newest() > before);
        let shown = show(&node);
        assert_eq!(shown.kinds["nameless.route"], 2);
        assert_eq!(shown.sum, shown.kinds.values().sum::<u64>());
        assert_eq!((shown.first, shown.last), (Some(at(1).0), Some(at(100).0)));
        parts.stop();
        drop(node);
        let entries = logged(&path);
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert!(entry.groups().len() + entry.what.len() <= MAX_ATTRIBUTES);
        assert_eq!(
            (entry.what.len(), entry.get("nameless.route")),
            (Away::all().count(), Some("2"))
        );
        assert_eq!(entry.who.actor, did().as_str());
        assert_eq!((entry.when.phen_start, entry.when.phen_end), (shown.first, shown.last));
        assert!(entry.what.iter().all(|a| a.datatype == "integer" && a.lexical.len() == 1));
    }
}
