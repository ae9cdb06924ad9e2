//! What the node counts of itself, and the page that shows it: `GET /metrics`, in the Prometheus
//! text format 0.0.4 (docs/observe.md).
//!
//! Numbers since the start are counted here while the spines run ([`Metrics`]); all else is read
//! from the state when the page is asked for ([`page`]). Labels are words of ours out of closed
//! sets, and the names of so many contracts ([`contracts`]): no id, no DID, no value of a twin
//! stands in the page, so it can grow no further than [`families`] says.

mod contracts;
mod counts;
pub mod families;
mod gather;
mod text;

pub use contracts::{ByContract, MAX_NAMED, Went};
pub use counts::{Counts, Histogram};
pub use gather::page;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use twinpact_edge::batch::IngestReport;
use twinpact_model::{WallTime, codes};

/// How many connections are open: of partners, and of callers without a certificate.
pub type Connections = Box<dyn Fn() -> (usize, usize) + Send + Sync>;

/// What is counted since the start.
pub struct Metrics {
    started: WallTime,
    rows: Counts<&'static str>,
    requests: Counts<(&'static str, &'static str)>,
    admin: Counts<u16>,
    decisions: Counts<&'static str>,
    delivered: Flow,
    pulled: Flow,
    events: AtomicU64,
    ends: Counts<&'static str>,
    overdue: Counts<&'static str>,
    escalated: Counts<&'static str>,
    /// What is counted of each contract.
    pub contracts: ByContract,
    connections: OnceLock<Connections>,
}

/// Pages of rows that crossed the door.
#[derive(Default)]
struct Flow {
    pages: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Flow {
    fn add(&self, rows: u64, bytes: u64) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read(&self) -> [u64; 3] {
        [&self.pages, &self.rows, &self.bytes].map(|number| number.load(Ordering::Relaxed))
    }
}

impl Metrics {
    /// Nothing counted yet, of a node that starts at that time.
    #[must_use]
    pub fn new(started: WallTime) -> Metrics {
        Metrics {
            started,
            rows: Counts::default(),
            requests: Counts::default(),
            admin: Counts::default(),
            decisions: Counts::default(),
            delivered: Flow::default(),
            pulled: Flow::default(),
            events: AtomicU64::new(0),
            ends: Counts::default(),
            overdue: Counts::default(),
            escalated: Counts::default(),
            contracts: ByContract::default(),
            connections: OnceLock::new(),
        }
    }

    /// What became of a batch.
    pub fn ingested(&self, report: &IngestReport) {
        let refused = report.refused.len() as u64;
        for (outcome, rows) in [
            ("new", report.new),
            ("duplicate", report.duplicate),
            ("corrected", report.corrected),
            ("refused", refused),
        ] {
            self.rows.add(outcome, rows);
        }
    }

    /// A request of a partner was answered: its path, and the code of the refusal or nothing.
    pub fn answered(&self, path: &str, code: &str) {
        let code = if code.is_empty() { "ok" } else { known(code) };
        self.requests.add((part(path), code), 1);
    }

    /// A request at the admin door was answered with that HTTP status.
    pub fn admin(&self, status: u16) {
        self.admin.add(status, 1);
    }

    /// A decision was met: a permit, or a denial with that code.
    pub fn decided(&self, code: &'static str) {
        self.decisions.add(code, 1);
    }

    /// A page left under a permit.
    pub fn delivered(&self, rows: u64, bytes: u64) {
        self.delivered.add(rows, bytes);
    }

    /// A partner's page was verified and stored.
    pub fn pulled(&self, rows: u64, bytes: u64) {
        self.pulled.add(rows, bytes);
    }

    /// An event of a stream was built.
    pub fn streamed(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream has ended, for that reason.
    pub fn stream_ended(&self, why: &'static str) {
        self.ends.add(why, 1);
    }

    /// The deadline of a `negotiation` or `transfer` came before what was due.
    pub fn overdue(&self, process: &'static str) {
        self.overdue.add(process, 1);
    }

    /// A `negotiation` or `transfer` has waited for us for half of the time that there is.
    pub fn escalated(&self, process: &'static str) {
        self.escalated.add(process, 1);
    }

    /// Where the number of open connections is read. It is given once; a second time changes
    /// nothing.
    pub fn read_connections(&self, connections: Connections) {
        let _ = self.connections.set(connections);
    }
}

/// The code as one of ours: what is no code of ours would be a label without bounds.
fn known(code: &str) -> &'static str {
    codes::find(code).map_or("other", |code| code.name)
}

/// The part of the federation door that a path leads to.
pub fn part(path: &str) -> &'static str {
    let mut segments = path.split('/').skip(1);
    let (first, second) = (segments.next(), segments.next());
    match (first, second, segments.next()) {
        (Some("data"), Some(_), Some("token")) => "token",
        (Some("data"), Some(_), Some("stream")) => "stream",
        (Some("data"), ..) => "data",
        (Some("documents"), None, _) => "documents",
        (Some("messages"), None, _) => "messages",
        (Some("witness"), Some(_), None) => "witness",
        (Some("log"), Some(_), None) => "log",
        (Some("dsp"), Some("catalog"), _) | (Some("schemas"), ..) => "catalog",
        (Some("dsp"), Some("negotiations"), _) => "negotiation",
        (Some("dsp"), Some("transfers"), _) => "transfer",
        (Some(".well-known"), Some("twinpact"), Some("join")) => "join",
        (Some(".well-known"), Some("twinpact"), Some("organisation")) => "organisation",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::{known, part};
    use crate::ask::{JOIN_PATH, ORGANISATION_PATH};
    use crate::messages::MESSAGES_PATH;
    use crate::processes::DOCUMENTS_PATH;

    #[test]
    fn paths_and_codes_become_words_of_ours() {
        for (path, expect) in [
            ("/data/urn:uuid:1", "data"),
            ("/data/urn:uuid:1/token", "token"),
            ("/data/urn:uuid:1/stream", "stream"),
            (DOCUMENTS_PATH, "documents"),
            (MESSAGES_PATH, "messages"),
            (ORGANISATION_PATH, "organisation"),
            (JOIN_PATH, "join"),
            ("/dsp/catalog/request", "catalog"),
            ("/dsp/catalog/datasets/x", "catalog"),
            ("/dsp/negotiations/x/events", "negotiation"),
            ("/dsp/transfers/request", "transfer"),
            ("/dsp", "other"),
            ("/documents/more", "other"),
            ("", "other"),
            ("/canary", "other"),
        ] {
            assert_eq!(part(path), expect, "{path}");
        }
        assert_eq!((known("policy.schedule"), known("canary")), ("policy.schedule", "other"));
    }
}
