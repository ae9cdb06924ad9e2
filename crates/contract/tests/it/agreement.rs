//! The published example of an agreement, carried here so that the test needs no other file.

use serde_json::{Value, json};

pub(crate) const PURPOSE: &str = "http://www.w3.org/ns/odrl/2/purpose";
pub(crate) const SPATIAL: &str = "http://www.w3.org/ns/odrl/2/spatial";
pub(crate) const SCHEDULE: &str = "https://w3id.org/twinpact/odrl/localSchedule";
pub(crate) const HOURS: &str = "Mo-Fr 07:00-19:00 [Europe/Paris]";

/// A constraint.
pub(crate) fn atom(left: &str, operator: &str, right: Value) -> Value {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right})
}

/// The agreement between the operator and the maker.
pub(crate) fn agreement() -> Value {
    json!({
        "@type": "Agreement",
        "@id": "urn:uuid:a3c7f2d4-1b58-4b0b-9f0b-6a2b6a0c9d33",
        "target": "https://operator.example/id/views/turbine-maintenance/1.0.0",
        "assigner": "did:web:operator.example",
        "assignee": "did:web:maker.example",
        "timestamp": "2026-11-23T09:00:00Z",
        "permission": [{
            "action": "use",
            "constraint": [
                atom(PURPOSE, "isAnyOf",
                    json!(["https://w3id.org/twinpact/purpose/PredictiveMaintenance"])),
                atom(SPATIAL, "isPartOf", json!("https://w3id.org/twinpact/region/EU")),
                atom(SCHEDULE, "isPartOf", json!(HOURS)),
            ],
        }],
        "obligation": [{
            "action": "http://www.w3.org/ns/odrl/2/delete",
            "constraint": [
                atom("http://www.w3.org/ns/odrl/2/delayPeriod", "lteq", json!("P14D")),
            ],
        }],
    })
}

/// The directory of data that is not ours, when it lies beside the checkout.
pub(crate) fn shared() -> Option<std::path::PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let path = std::env::var_os("TWINPACT_SHARED").map_or_else(|| beside.into(), Into::into);
    let path: std::path::PathBuf = path;
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no shared data (TWINPACT_SHARED)");
    None
}
