//! Every family of metrics, in the order of the page. The golden file `tests/golden/metrics.txt` of
//! the gateway holds the same. Names follow the conventions of Prometheus: base units, `_total` for
//! what only grows.

/// A family: one name, one unit, one sample for each set of label values.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// One sentence for people.
    pub help: &'static str,
    /// The names of its labels; their values are words out of closed sets, or names of contracts.
    pub labels: &'static [&'static str],
}

/// The kinds of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the node starts again.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Durations by size.
    Histogram,
}

impl Kind {
    /// The name in the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

macro_rules! families {
    ($($ident:ident = $kind:ident $name:literal $labels:tt $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $ident: Family =
                Family { name: $name, kind: Kind::$kind, help: $help, labels: &$labels };
        )*
        /// All of them, in the order of the page.
        pub const ALL: &[Family] = &[$($ident),*];
    };
}

families! {
    BUILD = Gauge "twinpact_build_info" ["version"] "Always 1; the label says which release runs.";
    STARTED = Gauge "process_start_time_seconds" []
        "When the node was opened, in seconds since 1970.";
    MEMORY = Gauge "process_resident_memory_bytes" [] "Memory of the process that is resident.";
    DRIVEN = Gauge "twinpact_policy_clock_driven" []
        "1 when the policy clock is driven, so that decisions are no evidence.";
    CLOCK_OFFSET = Gauge "twinpact_policy_clock_offset_seconds" []
        "How far the policy clock is ahead of the wall clock.";
    EXPIRY = Gauge "twinpact_certificate_expiry_timestamp_seconds" ["certificate"]
        "Until when our certificates are good, in seconds since 1970.";
    STOPPED = Gauge "twinpact_log_stopped" []
        "1 once the log has stopped after a failed write; the node has to be started again.";
    BEHIND = Gauge "twinpact_log_behind" []
        "1 once the node turned out to be an older copy of itself, which signs nothing.";
    DIVERGENCES = Gauge "twinpact_log_alerts" ["grade"]
        "Alerts that a partner's log keeps two histories, by what is known of them.";
    WITNESSES = Gauge "twinpact_witnesses" ["state"]
        "Our witnesses, by how far they are with our checkpoints.";
    LOG_BYTES = Gauge "twinpact_log_size_bytes" [] "Bytes of all segments of the log.";
    SEGMENTS = Gauge "twinpact_log_segments" [] "Segment files of the log.";
    SYNC = Histogram "twinpact_log_sync_seconds" []
        "Time of the fdatasync of each frame; its count is that of frames.";
    TREES = Gauge "twinpact_trees" [] "Merkle trees: two, and the ledger of each agreement.";
    ENTRIES = Counter "twinpact_tree_entries_total" ["tree"]
        "Entries of the trees, all ledgers together, since the log began.";
    TICKS = Counter "twinpact_ticks_total" [] "Leaves of the anchor since the log began.";
    TWINS = Gauge "twinpact_twins" [] "Twins.";
    ROWS = Counter "twinpact_ingest_rows_total" ["outcome"] "Observations by what became of them.";
    ADMIN = Counter "twinpact_admin_requests_total" ["status"]
        "Requests at the admin door by HTTP status.";
    REQUESTS = Counter "twinpact_federation_requests_total" ["part", "code"]
        "Requests at the federation door by the part of it and the code of the answer.";
    CONNECTIONS = Gauge "twinpact_federation_connections" ["caller"]
        "Open connections at the federation door behind their handshake.";
    STRANGERS = Counter "twinpact_strangers_total" ["kind"]
        "Who was turned away before the door was asked.";
    DECISIONS = Counter "twinpact_decisions_total" ["code"]
        "Requests for data by the decision that they met.";
    DELIVERIES = Counter "twinpact_deliveries_total" [] "Pages delivered to partners.";
    DELIVERED_ROWS = Counter "twinpact_delivered_rows_total" [] "Rows delivered to partners.";
    DELIVERED_BYTES = Counter "twinpact_delivered_bytes_total" []
        "Bytes of the rows delivered to partners.";
    CONTRACT_SECONDS = Histogram "twinpact_contract_request_seconds" ["contract"]
        "Time until a page, or the next event of a stream, was decided, logged and proven.";
    CONTRACT_DECISIONS = Counter "twinpact_contract_decisions_total" ["contract", "code"]
        "Requests for data under a contract by the decision that they met.";
    CONTRACT_ERRORS = Counter "twinpact_contract_errors_total" ["contract", "class"]
        "Requests for data under a contract that got none, by the class of the code.";
    CONTRACT_AGE = Gauge "twinpact_contract_newest_row_age_seconds" ["contract"]
        "Age of the newest row of the last delivery with rows when it was decided.";
    CONTRACT_BYTES = Counter "twinpact_contract_delivered_bytes_total" ["contract"]
        "Bytes of the rows delivered under a contract.";
    STREAMS = Gauge "twinpact_streams" [] "Streams that partners have open.";
    EVENTS = Counter "twinpact_stream_events_total" [] "Events of streams that were built.";
    STREAM_ENDS = Counter "twinpact_stream_ends_total" ["code"]
        "Streams that have ended, by the reason; left is that of a reader that went.";
    PULLS = Counter "twinpact_pulled_pages_total" [] "Pages of partners, verified and stored.";
    PULLED_ROWS = Counter "twinpact_pulled_rows_total" [] "Rows of partners, verified and stored.";
    PULLED_BYTES = Counter "twinpact_pulled_bytes_total" []
        "Bytes of the rows of partners, verified and stored.";
    PARTNERS = Gauge "twinpact_partners" [] "Pinned partners.";
    CONTRACTS = Gauge "twinpact_contracts" [] "Published contracts.";
    AGREEMENTS = Gauge "twinpact_agreements" ["role", "state"]
        "Agreements by our role and whether they hold.";
    NEGOTIATIONS = Gauge "twinpact_negotiations" ["state"]
        "Negotiations that are kept, by state.";
    TRANSFERS = Gauge "twinpact_transfers" ["state"] "Transfers that are kept, by state.";
    OUTBOX = Gauge "twinpact_outbox_rows" [] "Messages and documents that wait to be sent.";
    OUTBOX_AGE = Gauge "twinpact_outbox_oldest_seconds" []
        "How long the oldest of them has waited; 0 when none waits.";
    OVERDUE = Counter "twinpact_processes_overdue_total" ["process"]
        "Negotiations and transfers whose deadline came before what was due.";
    ESCALATED = Counter "twinpact_processes_escalated_total" ["process"]
        "Negotiations and transfers that waited for us for half of the time that there is.";
}
