//! What a node says of its exchange when it is asked.

use super::{Fresh, Given, Met, Received, Recorded};
use crate::agreements::Agreement;
use crate::api::{
    AgreementKpi, BytesKpi, ContainKpi, ContainmentLine, DeletedKpi, FlowKpi, FreshnessKpi,
    IncidentKpi, IncidentShown, Kpis, OutcomesKpi, ValuesKpi,
};
use crate::fold::Fold;
use crate::open::Node;
use crate::{decisions, incidents, prove};
use std::collections::BTreeMap;
use std::time::Instant;
use twinpact_contract::Contract;
use twinpact_dsp::Role;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_policy::PERMIT;
use twinpact_proof::{to_hex, verify};
use twinpact_store::Store;

/// The most incidents of one answer: those that were recorded last.
pub const MAX_INCIDENTS: usize = 100;

/// All that is known. It exports one decision and verifies it, to say how long that takes.
///
/// # Errors
/// `internal` when a decision of ours does not verify; `store.*`.
pub async fn show(node: &Node) -> Result<Kpis, Problem> {
    let mut kpis = node.partition.read(|fold, store| gathered(node, fold, store))?;
    if let Some((id, ms)) = reconstructed(node).await? {
        (kpis.reconstructed, kpis.reconstruct_ms) = (Some(id), Some(ms));
    }
    Ok(kpis)
}

/// The newest decision, and for how many milliseconds its export and verification took; `None` when
/// there is none, or the node signs nothing.
async fn reconstructed(node: &Node) -> Result<Option<(String, f64)>, Problem> {
    let newest = node.partition.read(|fold, store| {
        fold.behind.check(store.forest()).ok().and_then(|()| fold.decisions.newest())
    })?;
    let Some(id) = newest else { return Ok(None) };
    let begun = Instant::now();
    let bundle = decisions::export(node, &id).await?.to_bytes();
    let trust = node.partition.read(|fold, _| prove::own_trust(fold))??;
    let shown = verify(&bundle, Some(&trust));
    let took = begun.elapsed();
    let broken = |why: twinpact_proof::Broken| {
        Problem::new(codes::INTERNAL, format!("a decision does not verify: {}", why.sentence))
    };
    shown.map_err(broken)?;
    Ok(Some((id, took.as_secs_f64() * 1_000.0)))
}

fn gathered(node: &Node, fold: &Fold, store: &Store) -> Kpis {
    let (mut all, recorded) = (Sums::default(), Recorded::of(fold));
    let each = fold.agreements.iter();
    let each = each.map(|known| agreement((fold, store), known, &recorded, &mut all));
    let agreements: Vec<AgreementKpi> = each.collect();
    let shown: Vec<&Contract> = fold.agreements.iter().filter_map(|k| of_values(fold, k)).collect();
    let (given, deleted) = fold.deletions.counted();
    Kpis {
        at: node.clocks.policy().0,
        driven: node.clocks.is_driven(),
        incidents: incidents::latest(node, fold, MAX_INCIDENTS).iter().map(incident).collect(),
        freshness: freshness(all.fresh),
        values: values(recorded.shown_by(&shown), all.values),
        bytes: bytes(&all.received),
        reconstruct_ms: None,
        reconstructed: None,
        decisions: outcomes(&all.codes),
        given: all.given,
        received: received(&all.received),
        deleted: DeletedKpi { given, received: deleted },
        agreements,
    }
}

/// What the agreements come to together.
#[derive(Default)]
struct Sums {
    codes: BTreeMap<String, u64>,
    given: FlowKpi,
    values: u64,
    received: Received,
    fresh: Fresh,
}

impl Sums {
    fn add(&mut self, met: &Met, flow: &FlowKpi, given: Given, got: Received) {
        for (code, count) in &met.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
        self.given.deliveries += flow.deliveries;
        self.given.rows += flow.rows;
        self.given.bytes += flow.bytes;
        self.values += given.values;
        self.received.deliveries += got.deliveries;
        self.received.rows += got.rows;
        self.received.bytes += got.bytes;
        self.received.used += got.used;
        self.received.used_bytes += got.used_bytes;
        for fresh in [given.fresh, got.fresh] {
            self.fresh.within += fresh.within;
            self.fresh.of += fresh.of;
        }
    }
}

fn agreement(
    (fold, store): (&Fold, &Store),
    known: &Agreement,
    recorded: &Recorded<'_>,
    all: &mut Sums,
) -> AgreementKpi {
    let (counted, id) = (&fold.counted, to_hex(&known.id));
    let met = counted.met.get(&id).cloned().unwrap_or_default();
    let ledger = known.ledger.filter(|_| known.role == Role::Provider);
    let shown = of_values(fold, known);
    let given = ledger.and_then(|ledger| counted.given.get(&ledger)).copied().unwrap_or_default();
    let given = Given { values: if shown.is_some() { given.values } else { 0 }, ..given };
    let got = counted.received.get(&id).copied().unwrap_or_default();
    let out = ledger.map(|ledger| FlowKpi {
        deliveries: store.forest().size(ledger),
        rows: met.rows,
        bytes: met.bytes,
    });
    all.add(&met, &out.clone().unwrap_or_default(), given, got);
    let kept = shown.and_then(|contract| values(recorded.shown_by(&[contract]), given.values));
    AgreementKpi {
        agreement: id,
        role: known.role.name().to_owned(),
        partner: known.peer.clone(),
        view: known.wire.target.clone(),
        flow: out.unwrap_or_else(|| received(&got)),
        decisions: outcomes(&met.codes),
        freshness: freshness(if ledger.is_some() { given.fresh } else { got.fresh }),
        values: kept,
        bytes: bytes(&got),
    }
}

/// The contract of an agreement that shows values of our twins: the cells of a view of links are
/// none.
fn of_values<'f>(fold: &'f Fold, known: &Agreement) -> Option<&'f Contract> {
    let ours = (known.role == Role::Provider).then(|| fold.contracts.get(&known.wire.target));
    ours?.filter(|contract| contract.links.is_none())
}

fn received(got: &Received) -> FlowKpi {
    FlowKpi { deliveries: got.deliveries, rows: got.rows, bytes: got.bytes }
}

fn freshness(Fresh { within, of }: Fresh) -> Option<FreshnessKpi> {
    Some(FreshnessKpi { attained: share(within, of)?, within, of })
}

fn values(recorded: u64, delivered: u64) -> Option<ValuesKpi> {
    let share_kept = share(recorded.saturating_sub(delivered), recorded)?;
    Some(ValuesKpi { recorded, delivered, share_kept })
}

fn bytes(got: &Received) -> Option<BytesKpi> {
    let (asked, used, deliveries_used) = (got.bytes, got.used_bytes, got.used);
    let share_used = share(used, asked);
    (got.deliveries > 0).then_some(BytesKpi { asked, used, share_used, deliveries_used })
}

fn outcomes(codes: &BTreeMap<String, u64>) -> OutcomesKpi {
    let permit = codes.get(PERMIT).copied().unwrap_or_default();
    let by_code: BTreeMap<String, u64> =
        codes.iter().filter(|(code, _)| *code != PERMIT).map(|(c, n)| (c.clone(), *n)).collect();
    OutcomesKpi { permit, deny: by_code.values().sum(), by_code }
}

/// A part of a whole; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Whole seconds from one time to another.
fn seconds(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<i64> {
    Some(to?.micros().saturating_sub(from?.micros()).div_euclid(1_000_000))
}

fn incident(shown: &IncidentShown) -> IncidentKpi {
    let line = &shown.incident;
    let (began, seen) = (shown.began(), shown.seen());
    let (first, found) = (seen.map(|(_, at)| at.first), seen.map(|(_, at)| at.found));
    let opened = seen.map(|(asked, _)| asked.opened);
    let (since_began, since_visible) = (seconds(began, opened), seconds(first, opened));
    let containments: Vec<ContainKpi> = shown.containments.iter().map(contain).collect();
    let took: Option<Vec<i64>> = containments.iter().map(|one| one.contain_s).collect();
    let programs: Option<Vec<bool>> = containments.iter().map(|one| one.automatic).collect();
    IncidentKpi {
        incident: line.id.clone(),
        name: line.name.clone(),
        role: if line.name.is_some() { "asker" } else { "asked" }.to_owned(),
        twin: seen.map(|(_, at)| at.twin.to_string()),
        began,
        first,
        found,
        opened,
        detect_since_began_s: since_began,
        detect_since_visible_s: since_visible,
        price_of_policy_s: since_began.zip(since_visible).map(|(began, shown)| began - shown),
        contain_s: took.and_then(|all| all.into_iter().max()),
        automatic: programs.map(|all| all.contains(&true)),
        driven: shown.is_driven(),
        containments,
    }
}

fn contain(one: &ContainmentLine) -> ContainKpi {
    let confirmed = one.answers.iter().find(|answer| answer.answer == "confirmed");
    let at = confirmed.map(|answer| answer.at);
    ContainKpi {
        id: one.id.clone(),
        asked_of: one.asked_of.clone(),
        opened: one.opened,
        confirmed: at,
        contain_s: seconds(Some(one.opened), at),
        automatic: confirmed.map(|answer| answer.automatic),
    }
}
