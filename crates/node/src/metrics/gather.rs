//! The page: what was counted, and what the state says now.

use super::contracts::Series;
use super::families as family;
use super::text::{Number, Page};
use super::{Flow, Metrics};
use crate::agreements::Agreement;
use crate::cosignatures::{self, Lag};
use crate::divergence::Grade;
use crate::fold::Fold;
use crate::open::Node;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use twinpact_dsp::{Role, negotiation, transfer};
use twinpact_model::Timestamp;
use twinpact_policy::State;
use twinpact_store::Store;
use twinpact_store::forest::{DECISIONS, EVENTS};

/// The page of metrics. Of a log that has stopped it says so, and leaves out what nobody may read
/// any more.
#[must_use]
pub fn page(node: &Node) -> String {
    let mut page = Page::default();
    let now = node.clocks.wall().0;
    process(&mut page, node, now);
    let read = node.partition.read(Now::of);
    page.one(&family::STOPPED, Some(Number::Whole(u64::from(read.is_err()))));
    let state = read.ok();
    let behind = state.as_ref().map(|now| Number::Whole(u64::from(now.behind)));
    page.one(&family::BEHIND, behind);
    let alerts = state.as_ref().map(|now| now.alerts).unwrap_or_default();
    page.family(&family::DIVERGENCES, labelled(state.as_ref().map_or(&[][..], |_| &alerts)));
    page.family(&family::WITNESSES, labelled(&witnesses(node)));
    log(&mut page, node, state.as_ref());
    door(&mut page, node);
    left(&mut page, &node.metrics);
    contracts(&mut page, &node.metrics);
    streams(&mut page, node);
    flow(&mut page, PULLED, &node.metrics.pulled);
    exchange(&mut page, state.as_ref(), now);
    page.family(&family::OVERDUE, labelled(&node.metrics.overdue.read()));
    page.family(&family::ESCALATED, labelled(&node.metrics.escalated.read()));
    page.text()
}

/// What the state says, copied while it cannot change.
struct Now {
    behind: bool,
    alerts: [(&'static str, u64); 3],
    log: (u64, u64),
    trees: u64,
    entries: [(&'static str, u64); 3],
    ticks: u64,
    twins: usize,
    partners: usize,
    contracts: usize,
    agreements: BTreeMap<(&'static str, &'static str), u64>,
    negotiations: BTreeMap<&'static str, u64>,
    transfers: BTreeMap<&'static str, u64>,
    outbox: usize,
    oldest: Option<Timestamp>,
}

impl Now {
    fn of(fold: &Fold, store: &Store) -> Now {
        let (forest, processes) = (store.forest(), &fold.processes);
        let negotiations = processes.negotiations.values().map(|n| n.state.name());
        let transfers = processes.transfers.values().map(|t| t.state.name());
        Now {
            behind: fold.behind.check(forest).is_err(),
            alerts: Grade::ALL.map(|grade| {
                let of = fold.divergences.iter().filter(|alert| alert.grade == grade);
                (grade.name(), of.count() as u64)
            }),
            log: store.log().size(),
            trees: forest.trees(),
            entries: [
                ("events", forest.size(EVENTS)),
                ("decisions", forest.size(DECISIONS)),
                ("ledgers", forest.ledger_entries()),
            ],
            ticks: forest.ticks(),
            twins: fold.twins.nodes().count(),
            partners: fold.partners.iter().count(),
            contracts: fold.contracts.iter().count(),
            agreements: counted(fold.agreements.iter().map(standing), []),
            negotiations: counted(negotiations, negotiation::State::ALL.map(|s| s.name())),
            transfers: counted(transfers, transfer::State::ALL.map(|s| s.name())),
            outbox: processes.outbox.len(),
            oldest: processes.outbox.values().map(|row| row.since).min(),
        }
    }
}

/// How many there are of each; those named first are there although there may be none.
fn counted<K: Ord>(
    found: impl Iterator<Item = K>,
    first: impl IntoIterator<Item = K>,
) -> BTreeMap<K, u64> {
    let mut counts: BTreeMap<K, u64> = first.into_iter().map(|key| (key, 0)).collect();
    for key in found {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn standing(agreement: &Agreement) -> (&'static str, &'static str) {
    let role = match agreement.role {
        Role::Provider => "provider",
        Role::Consumer => "consumer",
    };
    let state = match agreement.state {
        State::Active => "active",
        State::Revoked { .. } => "revoked",
        State::Terminated => "terminated",
        State::Suspended => "suspended",
    };
    (role, state)
}

fn process(page: &mut Page, node: &Node, now: Timestamp) {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    page.family(&family::BUILD, [([version], Number::Whole(1))]);
    page.one(&family::STARTED, Some(Number::Micros(node.metrics.started.0.micros())));
    page.one(&family::MEMORY, resident().map(Number::Whole));
    page.one(&family::DRIVEN, Some(Number::Whole(u64::from(node.clocks.is_driven()))));
    let ahead = match node.clocks.is_driven() {
        true => node.clocks.policy().0.micros() - now.micros(),
        false => 0,
    };
    page.one(&family::CLOCK_OFFSET, Some(Number::Micros(ahead)));
    let identity = node.identity.current();
    let ends = [
        ("root", Some(identity.root.not_after())),
        ("issuing", Some(identity.issuing.not_after())),
        ("node", node.presented.until()),
    ];
    let ends = ends.into_iter().filter_map(|(name, end)| Some((name, end?)));
    let ends = ends.map(|(name, end)| ([name.to_owned()], Number::Micros(end.0.micros())));
    page.family(&family::EXPIRY, ends);
}

/// Those that have cosigned all, those that wait for no longer than they may, and the others.
fn witnesses(node: &Node) -> [(&'static str, u64); 3] {
    let lags = cosignatures::lags(node, node.clocks.wall()).unwrap_or_default();
    let count = |fits: &dyn Fn(&Lag) -> bool| lags.iter().filter(|lag| fits(lag)).count() as u64;
    let failing = |lag: &Lag| lag.problem().is_some();
    [
        ("current", count(&|lag| !failing(lag) && lag.ticks == 0)),
        ("behind", count(&|lag| !failing(lag) && lag.ticks > 0)),
        ("failing", count(&failing)),
    ]
}

fn log(page: &mut Page, node: &Node, state: Option<&Now>) {
    let whole = |read: fn(&Now) -> u64| state.map(|now| Number::Whole(read(now)));
    page.one(&family::LOG_BYTES, whole(|now| now.log.1));
    page.one(&family::SEGMENTS, whole(|now| now.log.0));
    page.histogram(&family::SYNC, node.partition.syncs());
    page.one(&family::TREES, whole(|now| now.trees));
    page.family(&family::ENTRIES, labelled(state.map_or(&[], |now| &now.entries)));
    page.one(&family::TICKS, whole(|now| now.ticks));
    page.one(&family::TWINS, whole(|now| now.twins as u64));
    page.family(&family::ROWS, labelled(&node.metrics.rows.read()));
}

fn door(page: &mut Page, node: &Node) {
    let metrics = &node.metrics;
    page.family(&family::ADMIN, labelled(&metrics.admin.read()));
    let requests = metrics.requests.read();
    let requests = requests
        .into_iter()
        .map(|((part, code), count)| ([part.to_owned(), code.to_owned()], Number::Whole(count)));
    page.family(&family::REQUESTS, requests);
    let open = metrics.connections.get().map(|read| read());
    let open = open
        .map(|(partners, nameless)| [("partner", partners as u64), ("nameless", nameless as u64)]);
    page.family(&family::CONNECTIONS, labelled(open.as_ref().map_or(&[], |open| open)));
    let turned = node.strangers.tally().total.by_name();
    page.family(&family::STRANGERS, labelled(&turned));
}

fn left(page: &mut Page, metrics: &Metrics) {
    page.family(&family::DECISIONS, labelled(&metrics.decisions.read()));
    flow(page, DELIVERED, &metrics.delivered);
}

/// Of each contract that was asked for since the start.
fn contracts(page: &mut Page, metrics: &Metrics) {
    let all = metrics.contracts.read();
    let each = all.iter().map(|(name, series)| ([name.clone()], &series.took));
    page.histograms(&family::CONTRACT_SECONDS, each);
    let decisions = all.iter().map(|(name, series)| (name, series.decisions.read()));
    page.family(&family::CONTRACT_DECISIONS, named(decisions));
    let errors = all.iter().map(|(name, series)| (name, series.errors.read()));
    page.family(&family::CONTRACT_ERRORS, named(errors));
    let age = |(name, series): &(String, Arc<Series>)| {
        series.age().map(|age| ([name.clone()], Number::Micros(age)))
    };
    page.family(&family::CONTRACT_AGE, all.iter().filter_map(age));
    let bytes: Vec<(&String, u64)> = all.iter().map(|(name, s)| (name, s.bytes())).collect();
    page.family(&family::CONTRACT_BYTES, labelled(&bytes));
}

/// Counts by a word, each under the name of its contract.
fn named<'c>(
    all: impl Iterator<Item = (&'c String, Vec<(&'static str, u64)>)>,
) -> Vec<([String; 2], Number)> {
    let each = all.flat_map(|(name, counts)| {
        let sample = |(word, n): (&str, u64)| ([name.clone(), word.to_owned()], Number::Whole(n));
        counts.into_iter().map(sample).collect::<Vec<_>>()
    });
    each.collect()
}

const DELIVERED: [family::Family; 3] =
    [family::DELIVERIES, family::DELIVERED_ROWS, family::DELIVERED_BYTES];
const PULLED: [family::Family; 3] = [family::PULLS, family::PULLED_ROWS, family::PULLED_BYTES];

fn flow(page: &mut Page, families: [family::Family; 3], flow: &Flow) {
    for (family, number) in families.iter().zip(flow.read()) {
        page.one(family, Some(Number::Whole(number)));
    }
}

fn streams(page: &mut Page, node: &Node) {
    let metrics = &node.metrics;
    page.one(&family::STREAMS, Some(Number::Whole(node.streams.open() as u64)));
    let events = metrics.events.load(Ordering::Relaxed);
    page.one(&family::EVENTS, Some(Number::Whole(events)));
    page.family(&family::STREAM_ENDS, labelled(&metrics.ends.read()));
}

fn exchange(page: &mut Page, state: Option<&Now>, now: Timestamp) {
    let whole = |read: fn(&Now) -> u64| state.map(|now| Number::Whole(read(now)));
    page.one(&family::PARTNERS, whole(|now| now.partners as u64));
    page.one(&family::CONTRACTS, whole(|now| now.contracts as u64));
    let agreements = state.iter().flat_map(|now| &now.agreements).map(|((role, state), count)| {
        ([(*role).to_owned(), (*state).to_owned()], Number::Whole(*count))
    });
    page.family(&family::AGREEMENTS, agreements);
    let lower = |counts: &BTreeMap<&'static str, u64>| -> Vec<(String, u64)> {
        counts.iter().map(|(state, count)| (state.to_ascii_lowercase(), *count)).collect()
    };
    let negotiations = state.map(|now| lower(&now.negotiations)).unwrap_or_default();
    page.family(&family::NEGOTIATIONS, labelled(&negotiations));
    let transfers = state.map(|now| lower(&now.transfers)).unwrap_or_default();
    page.family(&family::TRANSFERS, labelled(&transfers));
    page.one(&family::OUTBOX, whole(|now| now.outbox as u64));
    let waited = |oldest: Timestamp| (now.micros() - oldest.micros()).max(0);
    let age = state.map(|state| Number::Micros(state.oldest.map_or(0, waited)));
    page.one(&family::OUTBOX_AGE, age);
}

fn labelled<L: ToString>(counts: &[(L, u64)]) -> Vec<([String; 1], Number)> {
    counts.iter().map(|(label, count)| ([label.to_string()], Number::Whole(*count))).collect()
}

/// The resident memory of this process in bytes, where the system says it (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}
