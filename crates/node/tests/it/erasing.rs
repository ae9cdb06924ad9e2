//! A twin that is erased while power goes: there as a whole, or gone as a whole.

use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_model::Did;
use twinpact_node::api::EraseAsked;
use twinpact_node::{NodeParts, PolicyClock, erasures, open, read, record};
use twinpact_store::{Directory, Replayed, Store};
use twinpact_testkit::SimDisk;

const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");
const TWIN: &str = "urn:turbine:b";
const CANARY: &str = "7.123456789";

fn did() -> Did {
    Did::new("did:web:operator.example").unwrap()
}

async fn started(disk: &SimDisk) -> NodeParts {
    let path = Path::new("/disk/node");
    open::open_on(Arc::new(disk.clone()), path, PolicyClock::System).await.unwrap()
}

/// A node with two turbines.
async fn filled(disk: &SimDisk) -> NodeParts {
    open::init_on(Arc::new(disk.clone()), Path::new("/disk/node"), &did(), "operator").unwrap();
    let parts = started(disk).await;
    let model = model_file::parse(MODEL).unwrap();
    record::apply_model(&parts.node, model, "local").await.unwrap();
    let row = |twin: &str, power: &str| {
        let (values, time) = (json!({ "power": power }), "2015-07-21T05:00:00Z");
        json!({ "id": twin, "twin": twin, "time": time, "values": values })
    };
    let rows = json!({
        "source": "urn:source:test",
        "model": "wind-turbine@1",
        "observations": [row("urn:turbine:a", "514.24"), row(TWIN, CANARY)],
    });
    let batch = IngestBatch::parse(rows.to_string().as_bytes()).unwrap();
    assert_eq!(record::record(&parts.node, batch, "local").await.unwrap().new, 2);
    parts
}

/// Everything that can be read in the directory.
fn readable(disk: &SimDisk) -> String {
    let directory = Directory::open(Arc::new(disk.clone()), Path::new("/disk/node")).unwrap();
    let mut text = String::new();
    Store::inspect(directory, &did(), |_, entry| {
        if let Replayed::Open(entry) = entry {
            text.push_str(&format!("{:?}\n", entry.entry));
        }
        Ok(())
    })
    .unwrap();
    text
}

#[tokio::test]
async fn a_twin_is_there_or_erased_whenever_power_goes() {
    let (mut there, mut erased) = (0, 0);
    for cut in 0.. {
        let disk = SimDisk::new(cut, Path::new("/disk"));
        let parts = filled(&disk).await;
        disk.cut_after(cut);
        let asked = EraseAsked {
            twin: TWIN.to_owned(),
            basis: "asked for".to_owned(),
            dry_run: false,
            confirmed: true,
        };
        let said = erasures::erase(&parts.node, asked).await.is_ok();
        let whole = !disk.is_off();
        parts.stop();
        disk.power_cycle();
        let parts = started(&disk).await;
        match read::twin(&parts.node, TWIN, None).map_err(|problem| problem.code.name) {
            Ok(twin) => {
                assert!(!said && twin.facts == 1, "cut {cut}");
                there += 1;
            }
            Err(code) => {
                assert_eq!(code, "twin.erased", "cut {cut}");
                erased += 1;
            }
        }
        let gone = read::twin(&parts.node, TWIN, None).is_err();
        assert_eq!(read::twin(&parts.node, "urn:turbine:a", None).unwrap().facts, 1);
        parts.stop();
        let text = readable(&disk);
        assert!(text.contains("514.24"), "cut {cut}");
        assert_eq!(text.contains(CANARY), !gone, "cut {cut}: what was cut short is finished");
        if whole {
            break;
        }
    }
    assert!(there > 0 && erased > 5, "{there} {erased}");
}
