//! What two nodes say of their exchange: against what has happened, against a plain recount over
//! their logs, and after a restart.

use crate::pair::{MAKER, OPERATOR, Pair, ROWS, TUESDAY, ingest, until, wanted};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use twinpact_gateway::Running;
use twinpact_model::entry::{Entry, Kind};
use twinpact_model::{Iri, Timestamp};
use twinpact_node::api::{
    Contain, FlowKpi, FreshnessKpi, Kpis, OpenIncident, Pull, ReadCopy, Respond, SeenAt, Subscribe,
    ValuesKpi,
};
use twinpact_node::fold::Fold;
use twinpact_node::{
    Node, PolicyClock, consumer, incidents, kpis, metrics, open, own_reads, retention,
    subscriptions,
};
use twinpact_proof::Bundle;
use twinpact_proof::containment::Answer;
use twinpact_proof::documents::Receipt;

const PERMIT: &str = "policy.permit";
/// The tree of decisions.
const DECISIONS: u32 = 2;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(TUESDAY + second)
}

/// Drives both to so many seconds behind the first row.
async fn drive(pair: &Pair, second: i64) {
    for node in [pair.operator(), pair.maker()] {
        node.clocks.set_policy(at(second)).unwrap();
        retention::advance(node).await.unwrap();
    }
}

/// Both say nothing that they have no reason for.
async fn know_nothing(node: &Node) {
    let said = kpis::show(node).await.unwrap();
    let of = (&said.freshness, &said.bytes, said.reconstruct_ms, said.incidents.len());
    assert_eq!(of, (&None, &None, None, 0));
    assert_eq!((said.decisions.permit, said.decisions.deny), (0, 0));
    assert_eq!((&said.given, &said.received), (&FlowKpi::default(), &FlowKpi::default()));
    assert_eq!(said.agreements.len(), 1);
}

/// All rows, one row, a refusal, and the stream of all rows again; the receipts of the pulls.
async fn exchanged(pair: &Pair, agreement: &str) -> [String; 2] {
    let mut first = pair.pull(agreement).await.unwrap();
    drive(pair, 3_602).await;
    let (maker, wish) = (pair.maker(), wanted(agreement));
    // The newest row of it, the first of all, is older than an hour now.
    let narrow = Pull { until: Some(at(1)), ..wish.clone() };
    let mut second = consumer::pull(maker, &narrow).await.unwrap();
    assert_eq!((first.rows, second.rows), (ROWS, 1));
    let other = "https://w3id.org/twinpact/purpose/Benchmarking".to_owned();
    let denied = Pull { purpose: Some(other), ..wish.clone() };
    let denied = consumer::pull(maker, &denied).await.unwrap_err();
    assert_eq!(denied.code.name, "policy.purpose");
    ingest(pair.operator(), &[(3_600, "7".to_owned())]).await;
    let asked = Subscribe {
        agreement: agreement.to_owned(),
        purpose: wish.purpose,
        place: wish.place,
        from_start: true,
    };
    subscriptions::subscribe(maker, &asked).await.unwrap();
    until(maker, |fold| fold.copies.iter().count() == 3).await;
    until(maker, |fold| fold.processes.outbox.is_empty()).await;
    subscriptions::end(maker, agreement).await.unwrap();
    [first.receipts.remove(0), second.receipts.remove(0)]
}

/// The maker reads a copy twice, and is refused another.
async fn used(maker: &Node, agreement: &str, [first, second]: &[String; 2]) {
    let Pull { purpose, place, .. } = wanted(agreement);
    let asked = ReadCopy { purpose, place };
    for _ in 0..2 {
        own_reads::show(maker, first, asked.clone()).await.unwrap();
    }
    let other = Some("https://w3id.org/twinpact/purpose/Benchmarking".to_owned());
    let refused = own_reads::show(maker, second, ReadCopy { purpose: other, ..asked }).await;
    assert_eq!(refused.unwrap_err().code.name, "policy.purpose");
}

/// The maker opens an incident, and ten minutes later a program at the operator confirms it.
async fn contained(pair: &Pair, agreement: &str, receipt: &str) -> String {
    let turbine = Iri::new("urn:turbine:a").unwrap();
    let asked = OpenIncident {
        key: None,
        name: "power-loss".to_owned(),
        story: Map::new(),
        containments: vec![Contain {
            agreement: agreement.to_owned(),
            twins: vec![turbine.clone()],
            measure: "inspect".to_owned(),
            reason: "it stands still".to_owned(),
            receipts: vec![receipt.to_owned()],
            seen: Some(SeenAt { twin: turbine, first: at(0), found: at(1_200) }),
        }],
    };
    let opened = incidents::open(pair.maker(), asked).await.unwrap().id;
    until(pair.operator(), |fold| fold.incidents.knows(&opened)).await;
    let open = kpis::show(pair.operator()).await.unwrap().incidents.remove(0);
    assert_eq!((open.detect_since_visible_s, open.detect_since_began_s), (Some(3_602), None));
    assert_eq!((open.price_of_policy_s, open.contain_s, open.automatic), (None, None, None));
    drive(pair, 3_602 + 600).await;
    let said = Respond {
        by: "the program".to_owned(),
        note: String::new(),
        automatic: true,
        began: Some(at(-86_400)),
    };
    let id = open.containments[0].id.clone();
    incidents::respond(pair.operator(), &id, Answer::Confirmed, said).await.unwrap();
    let confirmed = |fold: &Fold| fold.incidents.knows(&opened) && fold.processes.outbox.is_empty();
    until(pair.operator(), confirmed).await;
    opened
}

/// Every entry of a tree.
fn entries(node: &Node, tree: u32) -> Vec<Entry> {
    let read = node.partition.read(|_, store| {
        let all = 0..store.forest().size(tree);
        all.map(|index| store.entry(tree, index).unwrap().entry).collect()
    });
    read.unwrap()
}

/// By the ledger entries.
fn given(node: &Node, agreement: &str) -> FlowKpi {
    let ledger = |fold: &Fold| fold.agreements.get(agreement).unwrap().ledger;
    let Some(ledger) = node.partition.read(|fold, _| ledger(fold)).unwrap() else {
        return FlowKpi::default();
    };
    let mut flow = FlowKpi::default();
    for entry in entries(node, ledger) {
        let parts: Vec<Value> = serde_json::from_str(entry.get("delivery").unwrap()).unwrap();
        flow.deliveries += 1;
        flow.rows += parts[3].as_u64().unwrap();
        flow.bytes += parts[4].as_u64().unwrap();
    }
    flow
}

/// By the receipts.
fn got(fold: &Fold) -> FlowKpi {
    let mut flow = FlowKpi::default();
    for (_, copy) in fold.copies.iter() {
        let bundle = Bundle::parse(copy.proof.as_bytes()).unwrap();
        let receipt = Receipt::from_envelope(&bundle.receipt.unwrap()).unwrap();
        flow.deliveries += 1;
        flow.rows += receipt.count;
        flow.bytes += receipt.bytes;
    }
    flow
}

/// By the entries of the tree of decisions.
fn met(node: &Node) -> BTreeMap<String, u64> {
    let (mut codes, mut met) = (BTreeMap::new(), BTreeMap::new());
    for entry in entries(node, DECISIONS) {
        let id = entry.get("decision").unwrap().to_owned();
        match entry.who.kind {
            Kind::Decision => drop(codes.insert(id, entry.get("code").unwrap().to_owned())),
            _ => *met.entry(codes[&id].clone()).or_default() += 1,
        }
    }
    met
}

async fn same_by_recount(node: &Node, agreement: &str) {
    let said = kpis::show(node).await.unwrap();
    let got = node.partition.read(|fold, _| got(fold)).unwrap();
    assert_eq!((&said.given, &said.received), (&given(node, agreement), &got));
    let mut by_code = said.decisions.by_code.clone();
    assert_eq!(said.decisions.deny, by_code.values().sum::<u64>());
    by_code.insert(PERMIT.to_owned(), said.decisions.permit);
    assert_eq!(by_code, met(node));
}

/// What does not depend on when it is asked.
async fn settled(node: &Node) -> Kpis {
    let said = kpis::show(node).await.unwrap();
    assert!(said.reconstruct_ms.is_some_and(|ms| ms > 0.0));
    Kpis { reconstruct_ms: None, at: at(0), ..said }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_says_what_it_knows_and_a_restart_says_the_same() {
    let (pair, agreement) = Pair::driven().await;
    drive(&pair, 60).await;
    know_nothing(pair.operator()).await;
    know_nothing(pair.maker()).await;
    let receipts = exchanged(&pair, &agreement).await;
    used(pair.maker(), &agreement, &receipts).await;
    let incident = contained(&pair, &agreement, &receipts[0]).await;
    for node in [pair.operator(), pair.maker()] {
        same_by_recount(node, &agreement).await;
    }
    let (ours, theirs) = (settled(pair.operator()).await, settled(pair.maker()).await);
    // The first pull and the stream were fresh; both sides say so.
    let fresh = Some(FreshnessKpi { attained: 2.0 / 3.0, within: 2, of: 3 });
    assert_eq!((&ours.freshness, &theirs.freshness), (&fresh, &fresh));
    // Three rows, one of them again, and all four: the share is a lower bound.
    let kept = ValuesKpi { recorded: 4, delivered: 8, share_kept: 0.0 };
    assert_eq!((&ours.values, &theirs.values), (&Some(kept), &None));
    assert_eq!((ours.decisions.permit, ours.decisions.by_code["policy.purpose"]), (3, 1));
    assert_eq!((theirs.decisions.permit, theirs.decisions.by_code["policy.purpose"]), (2, 1));
    assert_eq!(ours.given, theirs.received);
    let bytes = theirs.bytes.as_ref().unwrap();
    let first = got_bytes(pair.maker(), &receipts[0]);
    assert_eq!((bytes.asked, bytes.used), (ours.given.bytes, first));
    assert_eq!((bytes.deliveries_used, &ours.bytes), (1, &None));
    for (said, role, name) in [(&ours, "asked", None), (&theirs, "asker", Some("power-loss"))] {
        let one = &said.incidents[0];
        assert_eq!((one.role.as_str(), one.name.as_deref()), (role, name));
        assert_eq!((&one.incident, one.driven), (&incident, true));
        // The row by which it was found is older than the time at which somebody knew.
        assert_eq!((one.found, one.opened), (Some(at(1_200)), Some(at(3_602))));
        assert_eq!(one.detect_since_began_s, Some(86_400 + 3_602));
        assert_eq!(one.detect_since_visible_s, Some(3_602));
        assert_eq!(one.price_of_policy_s, Some(86_400));
        assert_eq!((one.contain_s, one.automatic), (Some(600), Some(true)));
        assert_eq!(one.containments[0].asked_of, OPERATOR);
    }
    counted_by_contract(pair.operator(), ours.given.bytes);
    assert_eq!((ours.agreements[0].partner.as_str(), ours.driven), (MAKER, true));
    let Pair { place, operator, maker } = pair;
    operator.stop().await;
    maker.stop().await;
    for (name, before) in [("operator", ours), ("maker", theirs)] {
        let parts = open::open(&place.path().join(name), PolicyClock::Driven).await.unwrap();
        let running = Running::start(parts).await.unwrap();
        assert_eq!(settled(&running.parts.node).await, before, "{name}");
        running.stop().await;
    }
}

/// The page of metrics says the same under the name of the contract, of pages and of a stream.
fn counted_by_contract(operator: &Node, bytes: u64) {
    let page = metrics::page(operator);
    for (name, more, value) in [
        ("request_seconds_count", "", 4),
        ("decisions_total", ",code=\"policy.permit\"", 3),
        ("decisions_total", ",code=\"policy.purpose\"", 1),
        ("errors_total", ",class=\"denied\"", 1),
        // The row of 08:00 was two seconds old.
        ("newest_row_age_seconds", "", 2),
        ("delivered_bytes_total", "", bytes),
    ] {
        let line =
            format!("twinpact_contract_{name}{{contract=\"turbine-maintenance\"{more}}} {value}");
        assert!(page.lines().any(|has| has == line), "{line} is not in\n{page}");
    }
}

fn got_bytes(node: &Node, receipt: &str) -> u64 {
    node.partition.read(|fold, _| fold.copies.get(receipt).unwrap().bytes.unwrap()).unwrap()
}
