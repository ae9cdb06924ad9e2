//! The path of step one, and what bad input gets.

use crate::world::{ROWS, World};
use serde_json::{Value, json};

const IDENTITY: &str = "4f2a760a3aa3167c8977ac8b8411195471fd3fc8cdb2301c20e70d5cebde1a02";

#[test]
fn rows_are_new_then_duplicate_then_corrected() {
    let world = World::with_node();
    let check = |csv: &str, expect: [u64; 4]| {
        world.write("rows.csv", csv.as_bytes());
        let report = world.json("ingest rows.csv --map map.toml --dir node");
        let counts = ["new", "duplicate", "corrected"].map(|k| report[k].as_u64().unwrap());
        let refused = report["refused"].as_array().unwrap().len() as u64;
        assert_eq!([counts[0], counts[1], counts[2], refused], expect, "{report}");
        report
    };
    let report = check(ROWS, [2, 0, 0, 1]);
    assert_eq!(report["refused"][0]["code"], "twin.value");
    assert_eq!(report["refused"][0]["line"], 4);
    check(ROWS, [0, 2, 0, 1]);
    check(&ROWS.replace("1.50", "1.5"), [0, 1, 1, 1]);
    let history = world.json("twin history urn:turbine:a --dir node");
    assert_eq!(history["total"], 3);
    assert_eq!(history["rows"][0]["values"]["power"], "1.50");
    assert!(history["rows"][0]["corrected_by"].is_u64());
}

#[test]
fn commands_work_beside_a_running_node_and_survive_its_death() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    let serving = world.serve();
    assert_eq!(world.json("ingest rows.csv --map map.toml --dir node")["new"], 2);
    let refused = world.run("serve --dir node");
    assert_eq!((refused.code, refused.stderr.contains("store.locked")), (11, true));
    serving.kill();
    assert_eq!(world.json("ingest rows.csv --map map.toml --dir node")["duplicate"], 2);
    let serving = world.serve();
    let twins = world.json("twin list --dir node");
    assert_eq!(twins.as_array().map(Vec::len), Some(1));
    assert_eq!(serving.stop(), 0);
    assert!(!world.path("node/admin.json").exists());
}

#[test]
fn what_a_verifier_says() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let history = world.json("twin history urn:turbine:a --dir node");
    let event = history["rows"][0]["event"].as_u64().unwrap();
    world.json(&format!("proof export {event} --only power --out p.twinproof --dir node"));
    let verdict = |line: &str| -> (i32, Value) {
        let done = world.run(&format!("--json {line}"));
        (done.code, serde_json::from_str(&done.stdout).unwrap_or(Value::Null))
    };
    assert_eq!(verdict("verify p.twinproof").0, 23);
    assert_eq!(verdict("verify p.twinproof --require unanchored").0, 0);
    world.json("trust add p.twinproof --trust t.toml");
    let (code, document) = verdict("verify p.twinproof --trust t.toml");
    assert_eq!((code, document["level"].as_str()), (0, Some("signed")));
    let statement = document["statement"].to_string();
    assert!(statement.contains("power = 1.50") && !statement.contains("note ="), "{statement}");
    assert_eq!(verdict("verify p.twinproof --trust t.toml --require witnessed").0, 23);
    // An impostor: another node that gives itself the same name.
    assert_eq!(world.run("init --dir impostor --local test").code, 0);
    assert_eq!(world.run("model apply model.toml --dir impostor").code, 0);
    world.json("ingest rows.csv --map map.toml --dir impostor");
    world.json(&format!("proof export {event} --out i.twinproof --dir impostor"));
    assert_eq!(verdict("verify i.twinproof").0, 23);
    assert_eq!(verdict("verify i.twinproof --trust t.toml").0, 22);
    let conflict = world.run("trust add i.twinproof --trust t.toml");
    assert!(conflict.stderr.contains("trust.conflict"), "{}", conflict.stderr);
}

/// Files that are bad for whoever reads them: no UTF-8, a key twice, too deep, too large.
fn bad_files(world: &World) {
    world.write("utf8", b"model = \"\xff\"");
    world.write("twice.toml", b"model = \"a\"\nmodel = \"a\"\n");
    world.write("twice.yaml", b"kind: DataContract\nkind: DataContract\n");
    world.write("twice.json", b"{\"payload\": \"\", \"payload\": \"\"}");
    world.write("deep", format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)).as_bytes());
    world.write("large.toml", "# much\n".repeat(50_000).as_bytes());
    world.write("large.yaml", "# much\n".repeat(200_000).as_bytes());
}

#[test]
fn bad_input_gets_a_code_and_changes_nothing() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let before = world.json("twin list --dir node");
    world.write("binary.csv", b"name,time,power,note\n\xff\xfe,1,2,3\n");
    world.write("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]);
    world.write("other.toml", b"model = \"wind-turbine\"\nversion = 1\n[[attribute]]\nname = \"p\"\ndatatype = \"double\"\n");
    world.write("broken.toml", b"model = \n");
    world.write("map2.toml", crate::world::MAP.replace("key =", "kye =").as_bytes());
    world.write(
        "map3.toml",
        crate::world::MAP.replace("power = \"power\"", "pwoer = \"power\"").as_bytes(),
    );
    world.write("empty.twinproof", b"");
    bad_files(&world);
    for (line, code, name) in [
        ("ingest rows.csv --map utf8 --dir node", 11, "input.malformed"),
        ("ingest rows.csv --map twice.toml --dir node", 11, "input.malformed"),
        ("ingest rows.csv --map deep --dir node", 11, "input.malformed"),
        ("ingest rows.csv --map large.toml --dir node", 11, "input.too_large"),
        ("model apply utf8 --dir node", 11, "input.malformed"),
        ("model apply twice.toml --dir node", 11, "input.malformed"),
        ("model apply deep --dir node", 11, "input.malformed"),
        ("model apply large.toml --dir node", 11, "input.too_large"),
        ("contract publish utf8 --dir node", 11, "input.malformed"),
        ("contract publish twice.yaml --dir node", 21, "contract.malformed"),
        ("contract publish deep --dir node", 21, "contract.malformed"),
        ("contract publish large.yaml --dir node", 11, "contract.too_large"),
        ("partner add utf8 --dir node", 11, "trust.record"),
        ("partner add twice.json --dir node", 11, "trust.record"),
        ("partner add deep --dir node", 11, "trust.record"),
        ("ingest none.csv --map map.toml --dir node", 11, "ingest.file"),
        ("ingest cut.csv.gz --map map.toml --dir node", 11, "ingest.file"),
        ("ingest rows.csv --map map2.toml --dir node", 11, "input.unknown_key"),
        ("ingest rows.csv --map map3.toml --dir node", 11, "ingest.map"),
        ("ingest rows.csv --map none.toml --dir node", 11, "file.unreadable"),
        ("model apply other.toml --dir node", 11, "model.version"),
        ("model apply broken.toml --dir node", 11, "input.malformed"),
        ("twin show urn:turbine:c --dir node", 11, "twin.unknown"),
        ("twin history urn:turbine:a --since yesterday --dir node", 11, "input.time"),
        ("proof export 999 --out x --dir node", 11, "twin.event"),
        ("proof export 2 --only speed --out x --dir node", 11, "twin.attribute"),
        ("init --dir node --local test", 11, "store.exists"),
        ("init --dir other --org operator", 11, "input.iri"),
        ("twin list --dir nowhere", 11, "store.missing"),
        ("verify empty.twinproof", 22, "proof.broken"),
        ("verify rows.csv --trust map.toml", 11, "trust.record"),
        ("trust add rows.csv --trust t.toml", 11, "trust.record"),
        ("explain store.damagd", 11, "input.unknown_key"),
        ("twin", 2, "Usage"),
    ] {
        let done = world.run(line);
        assert_eq!(done.code, code, "{line}: {}", done.stderr);
        assert!(done.stderr.contains(name), "{line}: {}", done.stderr);
    }
    // A row that is no UTF-8 is refused; the file goes on.
    assert_eq!(world.json("ingest binary.csv --map map.toml --dir node")["new"], 0);
    assert_eq!(world.json("twin list --dir node"), before);
}

#[test]
fn a_harmed_directory_is_named_and_left_alone() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    world.json("ingest rows.csv --map map.toml --dir node");
    let check = |file: &str, harm: &dyn Fn(&mut Vec<u8>), name: &str| {
        let path = world.path(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        harm(&mut bad);
        std::fs::write(&path, &bad).unwrap();
        let done = world.run("twin list --dir node");
        assert!(done.stderr.contains(name), "{file}: {}", done.stderr);
        assert_eq!(std::fs::read(&path).unwrap(), bad, "{file} was changed");
        std::fs::write(&path, &good).unwrap();
    };
    check("node/log/0000000001.seg", &|b| b[20] ^= 1, "store.damaged");
    check("node/log/0000000001.seg", &|b| b[4200] ^= 1, "store.damaged");
    check("node/log/0000000001.seg", &|b| b.truncate(100), "store.damaged");
    check("node/keys/keystore", &|b| b[3] ^= 1, "store.damaged");
    check("node/keys/kek", &|b| b[20] ^= 1, "store.damaged");
    // A version of which the check sum does not hold is damage.
    check("node/keys/kek", &|b| b[8] = 9, "store.damaged");
    check("node/twinpact.toml", &|b| b.extend(b"[admn]\n"), "config.invalid");
    assert_eq!(world.run("twin list --dir node").code, 0);
}

#[test]
fn a_directory_that_another_process_has_is_left_alone() {
    let world = World::with_node();
    world.write("rows.csv", ROWS.as_bytes());
    // The lock is all that the others see of whoever has the directory.
    let lock = std::fs::File::open(world.path("node/lock")).unwrap();
    lock.try_lock().unwrap();
    let bytes = || -> Vec<_> {
        let files = world.files("node").into_iter();
        let mut all: Vec<_> = files.map(|f| (std::fs::read(&f).unwrap(), f)).collect();
        all.sort();
        all
    };
    let before = bytes();
    for (line, code) in [
        ("serve --dir node", "store.locked"),
        ("twin list --dir node", "store.locked"),
        ("ingest rows.csv --map map.toml --dir node", "store.locked"),
        ("model apply model.toml --dir node", "store.locked"),
        ("ca renew --dir node", "store.locked"),
        ("init --dir node --local test", "store.exists"),
    ] {
        let done = world.run(line);
        assert_eq!((done.code, done.error()), (11, code), "{line}: {}", done.stderr);
        assert!(bytes() == before, "{line} changed the directory");
    }
    drop(lock);
    assert_eq!(world.json("ingest rows.csv --map map.toml --dir node")["new"], 2);
}

#[test]
fn every_code_is_explained() {
    let world = World::empty();
    for code in twinpact_model::codes::ALL {
        let done = world.run(&format!("explain {}", code.name));
        assert_eq!(done.code, 0, "{}", code.name);
        assert!(done.stdout.contains("## What to do"), "{}", code.name);
    }
}

#[test]
fn the_issuing_ca_is_renewed_with_the_root_key_wherever_it_lies() {
    let world = World::empty();
    for node in ["ours", "theirs"] {
        assert_eq!(world.run(&format!("init --dir {node} --local {node}")).code, 0);
    }
    let issuing = || std::fs::read(world.path("ours/identity/issuing.pem")).unwrap();
    let first = issuing();
    let renewed = world.json("ca renew --dir ours");
    assert!(renewed["until"].as_str().unwrap().ends_with('Z'), "{renewed}");
    assert_ne!(issuing(), first);
    std::fs::rename(world.path("ours/identity/root.key"), world.path("stick.key")).unwrap();
    let second = issuing();
    for (line, code) in [
        ("ca renew --dir ours", "identity.missing"),
        ("ca renew --dir ours --root theirs/identity/root.key", "identity.mismatch"),
        ("ca renew --dir ours --root theirs/twinpact.toml", "identity.file"),
        ("ca renew --dir nothing", "store.missing"),
    ] {
        let done = world.run(line);
        assert_eq!(done.error(), code, "{line}: {}", done.stderr);
        assert_eq!(issuing(), second, "{line}");
    }
    assert_eq!(world.run("ca renew --dir ours --root stick.key").code, 0);
    assert_ne!(issuing(), second);
    assert_eq!(world.run("twin list --dir ours").code, 0, "the node opens with it");
}

#[test]
fn a_running_node_gets_a_new_issuing_ca_and_a_new_key() {
    let world = World::with_node();
    let serving = world.serve();
    let issuing = || std::fs::read(world.path("node/identity/issuing.pem")).unwrap();
    let first = issuing();
    assert_eq!(world.json("ca renew --dir node")["inUse"], true);
    assert_ne!(issuing(), first);
    let signing = |keys: &serde_json::Value| -> Vec<bool> {
        keys.as_array().unwrap().iter().map(|key| key["signs"] == true).collect()
    };
    assert_eq!(signing(&world.json("key list --dir node")), [true]);
    assert_eq!(signing(&world.json("key rotate --dir node --overlap 1h")), [false, true]);
    let refused = world.run("key rotate --dir node --overlap soon");
    assert_eq!((refused.code, refused.error()), (11, "input.malformed"), "{}", refused.stderr);
    serving.kill();
    assert_eq!(signing(&world.json("key list --dir node")), [false, true]);
}

/// An agreement as the protocol writes it; its identity here was computed apart from our code, by
/// docs/format.md.
fn agreement() -> Value {
    json!({
        "@id": "urn:uuid:1", "@type": "Agreement", "target": "urn:view",
        "assigner": "did:web:a.example", "assignee": "did:web:b.example",
        "timestamp": "2026-11-30T08:00:00Z",
        "permission": [{"action": "use", "constraint": [{
            "leftOperand": "http://www.w3.org/ns/odrl/2/spatial", "operator": "isPartOf",
            "rightOperand": "https://w3id.org/twinpact/region/EU",
        }]}],
    })
}

#[test]
fn an_agreement_in_a_file_has_one_identity_however_it_is_spelled() {
    let world = World::empty();
    let ask = |document: &Value| {
        world.write("agreement.json", document.to_string().as_bytes());
        world.run("agreement identity agreement.json --json")
    };
    let with = |name: &str, value: Value| {
        let mut changed = agreement();
        changed[name] = value;
        changed
    };
    let of = |document: &Value| -> Value {
        let done = ask(document);
        assert_eq!(done.code, 0, "{}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    };
    let plain = of(&agreement());
    assert_eq!(plain["id"], IDENTITY, "{plain}");
    let carried = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "ContractAgreementMessage", "providerPid": "urn:p", "consumerPid": "urn:c",
        "agreement": agreement(),
    });
    // As an Eclipse connector keeps it: names with prefixes, scalars for arrays, empty arrays.
    let kept = json!({
        "@id": "urn:uuid:1", "@type": "odrl:Agreement", "odrl:target": {"@id": "urn:view"},
        "odrl:assigner": {"@id": "did:web:a.example"}, "assignee": "did:web:b.example",
        "dspace:timestamp": "2026-11-30T09:00:00+01:00", "prohibition": [], "obligation": [],
        "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": {
            "odrl:leftOperand": {"@id": "odrl:spatial"}, "odrl:operator": {"@id": "odrl:isPartOf"},
            "odrl:rightOperand": "{\"@id\":\"https://w3id.org/twinpact/region/EU\"}",
        }},
    });
    let own_names = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld", {
            "o": "http://www.w3.org/ns/odrl/2/",
        }],
        "@id": "urn:uuid:1", "@type": "o:Agreement", "o:target": {"@id": "urn:view"},
        "o:assigner": {"@id": "did:web:a.example"}, "o:assignee": {"@id": "did:web:b.example"},
        "timestamp": "2026-11-30T08:00:00.000Z", "o:permission": agreement()["permission"],
    });
    for same in [&carried, &kept, &own_names] {
        let found = of(same);
        assert_eq!((&found["id"], &found["terms"]), (&plain["id"], &plain["terms"]), "{same:#}");
    }
    for other in [
        with("@id", json!("urn:uuid:2")),
        with("target", json!("urn:other")),
        with("assignee", json!("did:web:c.example")),
        with("timestamp", json!("2026-11-30T08:00:01Z")),
        with("permission", json!([{"action": "use"}])),
    ] {
        assert_ne!(of(&other)["id"], plain["id"], "{other:#}");
    }
    for (broken, code) in [
        (with("assigner", Value::Null), "dsp.malformed"),
        (with("timestamp", json!("yesterday")), "dsp.malformed"),
        (with("@type", json!("Offer")), "dsp.malformed"),
        (with("permission", json!([{"action": "sell"}])), "contract.term_unknown"),
        (json!([]), "dsp.malformed"),
        (json!({"@type": "ContractNegotiationEventMessage"}), "dsp.malformed"),
    ] {
        let refused = ask(&broken);
        assert!(refused.code != 0 && refused.stderr.contains(code), "{broken}: {}", refused.stderr);
    }
}
