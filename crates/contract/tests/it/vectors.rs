//! onf/1 is frozen: input, canonical text and hash of every vector, and the agreement's identity.
//! The hashes were also computed by another program; they never change.

use serde_json::Value;
use twinpact_contract::odrl::read;
use twinpact_proof::digest::to_hex;
use twinpact_proof::json::Json;

#[test]
fn onf_1_vectors() {
    let text = include_str!("../vectors/onf1.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(vectors.len() >= 12);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let policy = read(&vector["input"]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let canonical = policy.terms.to_json().canonical();
        assert_eq!(canonical, vector["canonical"].as_str().unwrap(), "{name}");
        assert_eq!(to_hex(&policy.terms.digest()), vector["sha256"].as_str().unwrap(), "{name}");
        assert!(Json::parse_canonical(canonical.as_bytes()).is_ok(), "{name}");
        if let Some(id) = vector.get("agreement_id") {
            assert_eq!(to_hex(&policy.agreement_id().unwrap()), id.as_str().unwrap(), "{name}");
        }
    }
}
