//! `docs/format/vectors.json`: what another implementation can be held against. The file is made
//! here; `UPDATE_GOLDEN=1` writes it anew.

use crate::flips::sections;
use crate::succession::second;
use crate::world::{
    ANCHOR_KEY, EVENTS, LEDGER, ORIGIN, START, World, impostor, seed, trust, witness,
};
use serde_json::{Value, json};
use std::path::Path;
use twinpact_proof::anchor::{
    Head, anchor_leaf, blind, blinding, entry_leaf, head_leaf, slots_tree,
};
use twinpact_proof::commit::{Attr, Point, Seed, commit, point_bytes, points_lexical};
use twinpact_proof::note::{Checkpoint, cosign};
use twinpact_proof::successor::anchor_key;
use twinpact_proof::{Bundle, Json, Link, SecretKey, Trust, to_hex, verify};

fn canonical_json() -> Value {
    let texts = [
        r#"{ "b" : 1, "a" : [ true, null ] }"#,
        "{\"\u{fb33}\":1,\"\u{1f600}\":2}",
        r#""\u0041\/\u000a\u001f\"""#,
        "-9007199254740991",
        "9007199254740992",
        "1.0",
        "1e2",
        r#"{"a":1,"\u0061":2}"#,
        "\"\\ud800\"",
        "",
    ];
    let vector = |text: &str| {
        let canonical = Json::parse(text.as_bytes()).ok().map(|json| json.canonical());
        json!({ "text": text, "canonical": canonical })
    };
    texts.into_iter().map(vector).collect()
}

fn commitment(seed: &Seed, attributes: &[Attr<'_>]) -> Value {
    let made = commit(seed, attributes).unwrap();
    let plain: Vec<Value> =
        attributes.iter().map(|a| json!([a.path, a.datatype, a.lexical])).collect();
    json!({
        "seed": to_hex(seed),
        "attributes": plain,
        "openings": made.openings.iter().map(|a| to_hex(a)).collect::<Vec<_>>(),
        "digests": made.digests.iter().map(|d| to_hex(d)).collect::<Vec<_>>(),
        "pc": to_hex(&made.pc),
    })
}

fn commitments() -> Value {
    let names: Vec<String> = (0..17).map(|i| format!("attribute-{i}")).collect();
    let attr = |path| Attr { path, datatype: "double", lexical: "1.50" };
    let many: Vec<Attr<'_>> = names.iter().map(|name| attr(name.as_str())).collect();
    let odd = Attr { path: "note", datatype: "string", lexical: "é \"x\"\n\u{1f600}" };
    json!([
        commitment(&seed("one"), &[odd]),
        commitment(&seed("eight"), &many[..8]),
        commitment(&seed("nine"), &many[..9]),
        commitment(&seed("seventeen"), &many),
    ])
}

fn points() -> Value {
    let seed = seed("points");
    let point = |time| Point { time, datatype: "double", lexical: "7.1" };
    let all = [point("2015-07-26T02:00:00Z"), point("2015-07-26T02:10:00Z"), point("")];
    let bytes: Vec<String> =
        all.iter().enumerate().map(|(i, p)| to_hex(&point_bytes(&seed, i, p))).collect();
    let plain: Vec<Value> = all.iter().map(|p| json!([p.time, p.datatype, p.lexical])).collect();
    json!({
        "seed": to_hex(&seed),
        "points": plain,
        "bytes": bytes,
        "lexical": points_lexical(&seed, all),
        "none": points_lexical(&seed, []),
    })
}

fn anchor() -> Value {
    let heads = [
        Some(Head { tree: EVENTS, size: 100, root: seed("root of events") }),
        None,
        Some(Head { tree: LEDGER, size: 300, root: seed("root of ledger") }),
    ];
    let (tick, time) = (70_000, START as u64);
    let tree = slots_tree(&ANCHOR_KEY, tick, heads.iter().copied());
    let slot = |slot: u64| {
        let blinding = blinding(&ANCHOR_KEY, slot, tick);
        let Some(head) = heads[slot as usize] else {
            return json!({ "slot": slot, "unused": to_hex(&blinding) });
        };
        let blind = blind(&blinding);
        json!({
            "slot": slot,
            "tree": to_hex(&head.tree),
            "size": head.size,
            "root": to_hex(&head.root),
            "blind": to_hex(&blind),
            "leaf": to_hex(&head_leaf(tick, slot, &head, &blind)),
        })
    };
    json!({
        "anchorKey": to_hex(&ANCHOR_KEY),
        "tick": tick,
        "time": time,
        "slots": tree.size(),
        "heads": [slot(0), slot(1), slot(2)],
        "root": to_hex(&tree.root()),
        "leaf": to_hex(&anchor_leaf(tick, time, tree.size(), &tree.root())),
    })
}

fn entry() -> Value {
    let pc = seed("pc");
    let leaf = |index: u64| {
        json!({
            "tree": to_hex(&EVENTS),
            "index": index,
            "pc": to_hex(&pc),
            "leaf": to_hex(&entry_leaf(&EVENTS, index, &pc)),
        })
    };
    json!([leaf(0), leaf(24), leaf(100_000)])
}

fn checkpoint() -> Value {
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 7, root: seed("anchor") };
    let key = SecretKey::new(&[1; 32]);
    json!({
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": to_hex(&checkpoint.root),
        "secretKey": to_hex(&[1; 32]),
        "publicKey": to_hex(key.public().bytes()),
        "keyId": key.public().id(),
        "note": checkpoint.sign(&key),
        "witness": "witness.example/w1",
        "witnessSecretKey": to_hex(&[3; 32]),
        "witnessTime": 1_795_478_400,
        "cosignature": cosign(&checkpoint, "witness.example/w1", &witness(), 1_795_478_400),
    })
}

/// The first leaf of a successor, the key that blinds its slots, and its record.
fn successor() -> Value {
    let record = second();
    let one = &record.predecessors[0];
    let envelope = record.sign(&SecretKey::new(&[1; 32])).unwrap();
    json!({
        "origin": one.origin,
        "size": one.size,
        "root": to_hex(&one.root),
        "reason": one.reason,
        "leaf": to_hex(&one.leaf()),
        "anchorKey": to_hex(&ANCHOR_KEY),
        "log": to_hex(&[8; 8]),
        "logAnchorKey": to_hex(&anchor_key(&ANCHOR_KEY, &[8; 8])),
        "record": record.to_json().canonical(),
        "envelope": envelope.to_json().canonical(),
    })
}

/// For each section one byte of the document whose lowest bit breaks the section when it is flipped
/// and the first line is made to fit.
fn flips(bundle: &Bundle) -> Vec<Value> {
    let bytes = bundle.to_bytes();
    let start = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let document = std::str::from_utf8(&bytes[start..]).unwrap();
    let breaks = |at: usize| {
        let mut flipped = document.as_bytes().to_vec();
        flipped[at] ^= 1;
        let text = String::from_utf8(flipped).ok()?;
        verify(&twinpact_proof::bundle::contain(&text), Some(&trust())).err()
    };
    let mut out = Vec::new();
    for (range, link) in sections(document) {
        let text = &document[range.clone()];
        if link == Link::Document || text == "null" {
            continue;
        }
        // From the end, where hex, base64 and texts are rather than the names of members.
        let mut candidates = range.rev().filter_map(|at| Some((at, breaks(at)?.link)));
        let (at, link) = candidates.find(|(_, broken)| *broken == link).unwrap();
        out.push(json!({ "at": at, "xor": 1, "link": link.name() }));
    }
    out
}

fn bundle(name: &str, bundle: &Bundle, flips: &[Value]) -> Value {
    let bytes = bundle.to_bytes();
    let outcome = |trust: Option<&Trust>| match verify(&bytes, trust) {
        Ok(verdict) => json!({ "level": verdict.level.name() }),
        Err(broken) => json!({ "broken": broken.link.name() }),
    };
    json!({
        "name": name,
        "bundle": twinpact_proof::text64::encode(&bytes),
        "withTrust": outcome(Some(&trust())),
        "withoutTrust": outcome(None),
        "flips": flips,
    })
}

#[test]
fn the_vectors_are_those_of_the_file() {
    let world = World::new();
    let (fact, delivery) = (world.fact(), world.delivery(true));
    let vectors = json!({
        "about": "Vectors for docs/format.md; made by crates/proof/tests/it/vectors.rs",
        "canonicalJson": canonical_json(),
        "commitments": commitments(),
        "points": points(),
        "entries": entry(),
        "anchor": anchor(),
        "checkpoint": checkpoint(),
        "successor": successor(),
        "trust": serde_json::to_value(trust()).unwrap(),
        "bundles": [
            bundle("fact", &fact, &flips(&fact)),
            bundle("delivery", &delivery, &flips(&delivery)),
            bundle("impostor", &impostor(&world, &SecretKey::new(&[66; 32])), &[]),
        ],
    });
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format/vectors.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(golden == text, "docs/format/vectors.json differs; UPDATE_GOLDEN=1 writes it anew");
}
