//! Two nodes in this process, over mutual TLS on loopback, each with its log on the disk that the
//! build directory is on: what the benches of exchanges share.
#![allow(dead_code, reason = "each bench takes what it needs")]

use super::measure::{MODEL, body, percentile};
use std::path::Path;
use std::time::Duration;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_gateway::Running;
use twinpact_model::Did;
use twinpact_node::api::Pull;
use twinpact_node::{Node, NodeParts, PolicyClock, contracts, open, partners, prove, record};

pub(crate) const PROVIDER: &str = "did:web:operator.example";
pub(crate) const CONSUMER: &str = "did:web:maker.example";

const CONTRACT: &str = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");
/// What binds the example to hours; without it the bench runs at any.
const HOURS: [&str; 2] = [
    "  - property: rowFilter
    vendor: twinpact
    value: {localSchedule: \"Mo-Fr 07:00-19:00 [Europe/Paris]\"}
",
    "            - leftOperand: https://w3id.org/twinpact/odrl/localSchedule
              operator: isPartOf
              rightOperand: \"Mo-Fr 07:00-19:00 [Europe/Paris]\"
",
];
/// Prints a row and gives its figures in milliseconds: p50, p99 and CPU of each.
pub(crate) fn line(name: &str, times: &[Duration], cpu: Duration) -> [f64; 3] {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (p50, p99) = (ms(percentile(times, 50)), ms(percentile(times, 99)));
    let cpu = ms(cpu) / times.len() as f64;
    println!("{name:<44} {p50:>8.1} {p99:>8.1} {cpu:>14.1}");
    [p50, p99, cpu]
}

/// A bound, with `TWINPACT_GATE` set: the bench ends with an error beyond it.
pub(crate) fn at_most(what: &str, is: f64, bound: f64) {
    let gates = std::env::var_os("TWINPACT_GATE").is_some();
    assert!(!gates || is <= bound, "{what}: {is:.2}, and {bound} is the bound");
}

pub(crate) fn wanted(agreement: String) -> Pull {
    Pull {
        agreement,
        purpose: Some("https://w3id.org/twinpact/purpose/PredictiveMaintenance".to_owned()),
        place: Some("FR".to_owned()),
        since: None,
        until: None,
        twin: None,
        after: None,
    }
}

/// A node on loopback. The partner's address is private, so it is listed.
pub(crate) async fn start(path: &Path, did: &str, port: u16, partner: u16) -> Running {
    Running::start(opened(path, (did, ""), port, partner).await).await.unwrap()
}

/// The same with more in its configuration, not running yet.
pub(crate) async fn opened(
    path: &Path,
    (did, more): (&str, &str),
    port: u16,
    partner: u16,
) -> NodeParts {
    open::init(path, &Did::new(did).unwrap(), "Bench").unwrap();
    let config = format!(
        "organisation = \"{did}\"\nname = \"Bench\"\n\n\
         [federation]\nlisten = \"127.0.0.1:{port}\"\n\
         allow_private = [\"https://127.0.0.1:{partner}\"]\n{more}"
    );
    std::fs::write(path.join("twinpact.toml"), config).unwrap();
    open::open(path, PolicyClock::System).await.unwrap()
}

/// A node that was stopped, opened again.
pub(crate) async fn opened_again(path: &Path) -> NodeParts {
    open::open(path, PolicyClock::System).await.unwrap()
}

pub(crate) async fn pin(us: &Node, other: &Node) {
    let record = prove::own_record(other).unwrap().to_json().canonical();
    partners::add(us, record.as_bytes()).await.unwrap();
}

pub(crate) async fn offer(node: &Node, rows: usize) {
    record::apply_model(node, model_file::parse(MODEL).unwrap(), "local").await.unwrap();
    let batch = IngestBatch::parse(&body(0, rows)).unwrap();
    assert_eq!(record::record(node, batch, "local").await.unwrap().new as usize, rows);
    contracts::publish(node, contract("turbine-maintenance")).await.unwrap();
}

/// The example under that name, open at any hour.
pub(crate) fn contract(name: &str) -> String {
    let named = "name: turbine-maintenance";
    let mut contract = CONTRACT.replacen(named, &format!("name: {name}"), 1);
    for part in HOURS {
        assert!(contract.contains(part), "the example has changed");
        contract = contract.replace(part, "");
    }
    contract
}
