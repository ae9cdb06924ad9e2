//! The page of metrics: its families against a committed list, its form, and what it says after
//! something has happened.

use crate::admin::Office;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use twinpact_node::metrics::families::{ALL, Family};
use twinpact_node::strangers::Away;

const MODEL: &[u8] = b"model = \"pump\"\nversion = 1\n[[attribute]]\nname = \"flow\"\n\
                       datatype = \"double\"\n";
const BATCH: &str = r#"{"source": "urn:s", "model": "pump@1", "observations": [
    {"id": "1", "twin": "urn:pump:1", "time": "2026-01-01T00:00:00Z", "values": {"flow": "1"}},
    {"id": "2", "twin": "urn:pump:2", "time": "2026-01-01T00:00:00Z", "values": {"flow": "1"}},
    {"id": "3", "twin": "urn:pump:2", "time": "2026-01-01T00:00:00Z", "values": {"flow": "x"}}
]}"#;

/// The page as its reader takes it: the value of each sample. Every line is checked.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut of: Option<&Family> = None;
    let mut families = ALL.iter();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            let family = families.next().unwrap();
            assert_eq!(line, format!("# HELP {} {}", family.name, family.help));
            let kind = format!("# TYPE {} {}", family.name, family.kind.name());
            assert_eq!(lines.next(), Some(kind.as_str()));
            of = Some(family);
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (bare, labels) = name.split_once('{').unwrap_or((name, "}"));
        let family = of.unwrap();
        let of_a_histogram = ["_bucket", "_sum", "_count"].map(|end| bare.strip_suffix(end));
        assert!(bare == family.name || of_a_histogram.contains(&Some(family.name)), "{line}");
        let labels = labels.strip_suffix('}').unwrap();
        let names: Vec<&str> =
            labels.split("\",").filter_map(|l| l.split_once('=').map(|l| l.0)).collect();
        let bucket = [family.labels, &["le"]].concat();
        assert!(names == family.labels || (bare.ends_with("_bucket") && names == bucket), "{line}");
        assert!(found.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line} twice");
    }
    assert!(families.next().is_none(), "a family is missing");
    found
}

#[test]
fn the_families_are_those_of_the_golden_file() {
    let mut ours = String::new();
    for Family { name, kind, help, labels } in ALL {
        let labels = labels.join(",");
        ours.push_str(&format!("{} {name}{{{labels}}} {help}\n", kind.name()));
    }
    let golden = include_str!("../golden/metrics.txt");
    assert_eq!(ours, golden, "crates/gateway/tests/golden/metrics.txt is to say:\n{ours}");
    let names: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn the_reference_lists_every_family() {
    let reference = include_str!("../../../../docs/observe.md");
    let (_, reference) = reference.split_once("## The metrics").unwrap();
    let listed: Vec<&str> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .filter(|name| name.starts_with("twinpact_") || name.starts_with("process_"))
        .collect();
    let ours: Vec<&str> = ALL.iter().map(|family| family.name).collect();
    assert_eq!(listed, ours, "docs/observe.md lists the families in this order");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let office = Office::open().await;
    let before = samples(&office.page("/metrics").await);
    assert_eq!(before["twinpact_twins"], 0.0);
    assert!(!before.contains_key("twinpact_ingest_rows_total{outcome=\"new\"}"));
    let frames = before["twinpact_log_sync_seconds_count"];
    assert_eq!(office.ask("POST", "/models", MODEL).await.status, 200);
    for _ in 0..2 {
        assert_eq!(office.ask("POST", "/ingest", BATCH.as_bytes()).await.status, 200);
    }
    assert_eq!(office.ask("GET", "/twins/urn:pump:9", b"").await.status, 404);
    office.node.strangers.count(Away::Route, office.node.clocks.wall());
    let after = samples(&office.page("/metrics").await);
    for (sample, expect) in [
        ("twinpact_ingest_rows_total{outcome=\"new\"}", 2.0),
        ("twinpact_ingest_rows_total{outcome=\"duplicate\"}", 2.0),
        ("twinpact_ingest_rows_total{outcome=\"corrected\"}", 0.0),
        ("twinpact_ingest_rows_total{outcome=\"refused\"}", 2.0),
        ("twinpact_twins", 2.0),
        ("twinpact_admin_requests_total{status=\"200\"}", 4.0),
        ("twinpact_admin_requests_total{status=\"404\"}", 1.0),
        ("twinpact_strangers_total{kind=\"nameless.route\"}", 1.0),
        ("twinpact_log_stopped", 0.0),
        ("twinpact_log_behind", 0.0),
        ("twinpact_log_segments", 1.0),
        ("twinpact_trees", 2.0),
        ("twinpact_tree_entries_total{tree=\"ledgers\"}", 0.0),
        ("twinpact_transfers{state=\"started\"}", 0.0),
        ("twinpact_negotiations{state=\"finalized\"}", 0.0),
        ("twinpact_outbox_rows", 0.0),
        ("twinpact_outbox_oldest_seconds", 0.0),
        ("twinpact_policy_clock_driven", 0.0),
    ] {
        assert_eq!(after[sample], expect, "{sample}");
    }
    assert!(after["twinpact_log_sync_seconds_count"] > frames);
    assert!(after["twinpact_log_size_bytes"] > before["twinpact_log_size_bytes"]);
    let events = "twinpact_tree_entries_total{tree=\"events\"}";
    assert!(after[events] >= before[events] + 3.0);
    let now = after["process_start_time_seconds"];
    for certificate in ["root", "issuing", "node"] {
        let end = format!(
            "twinpact_certificate_expiry_timestamp_seconds{{certificate=\"{certificate}\"}}"
        );
        assert!(after[&end] > now, "{certificate}");
    }
    office.close().await;
}

/// The second opinion of the format's makers, where their tool is installed.
#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let checking = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = checking else {
        eprintln!("skipped: promtool (Prometheus) is not installed");
        return;
    };
    let office = Office::open().await;
    office.ask("POST", "/models", MODEL).await;
    office.ask("POST", "/ingest", BATCH.as_bytes()).await;
    let page = office.page("/metrics").await;
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && text.is_empty(), "{text}\n{page}");
    office.close().await;
}
