//! Successor logs: what a record says of them, who takes such a record, and that proofs hold on
//! both sides of the change.

use crate::second::{check as both, verify};
use crate::world::{
    ANCHOR_KEY, EVENTS, FACT, OPERATOR, ORIGIN, START, World, event, operator, record_of, time,
    trust,
};
use twinpact_proof::anchor::{Head, blind, blinding};
use twinpact_proof::build::{self, Place};
use twinpact_proof::bundle::Exactness;
use twinpact_proof::dsse::Envelope;
use twinpact_proof::note::Checkpoint;
use twinpact_proof::record::PAYLOAD_TYPE;
use twinpact_proof::successor::{MAX_PREDECESSORS, MAX_REASON_BYTES, Predecessor};
use twinpact_proof::tree::Tree;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::trust::{Hex, Pinned, Refused, SeenAnchor};
use twinpact_proof::{Bundle, Json, Level, Link, Record, SecretKey, Trust};

pub const NEXT: &str = "operator.example/twinpact/2";

pub fn predecessor(origin: &str, size: u64) -> Predecessor {
    Predecessor { origin: origin.into(), size, root: [7; 32], reason: "restored".into() }
}

/// The record of the operator's second log.
pub fn second() -> Record {
    let mut record = record_of(OPERATOR, &operator());
    record.origin = NEXT.into();
    record.issued = START + 5;
    record.predecessors = vec![predecessor(ORIGIN, 9)];
    record
}

fn signed(record: &Record) -> Envelope {
    record.sign(&operator()).unwrap()
}

/// What a reader saw of the first log.
fn seen(size: u64, root: [u8; 32]) -> Trust {
    let mut trust = trust();
    trust.anchors.push(SeenAnchor { origin: ORIGIN.into(), size, root: Hex(root) });
    trust
}

/// Nobody reads that as a record, neither alone nor in a bundle.
fn is_no_record(envelope: Envelope, why: &str) {
    assert!(Record::from_envelope(&envelope).is_err(), "{why}");
    let mut bundle = World::new().fact();
    bundle.records = vec![envelope];
    assert_eq!(both(&bundle.to_bytes(), None, None), "22 record", "{why}");
}

#[test]
fn a_record_lists_its_predecessors_and_no_other_form_is_one() {
    let envelope = signed(&second());
    assert_eq!(Record::from_envelope(&envelope).unwrap(), second());
    let text = second().to_json().canonical();
    assert!(text.contains("twinpact-organisation/2"), "{text}");
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let json = Json::parse(changed.as_bytes()).unwrap();
        is_no_record(Envelope::sign(PAYLOAD_TYPE, &json, &operator()), to);
    };
    refused("organisation/2", "organisation/1");
    refused("organisation/2", "organisation/3");
    refused("\"size\":9", "\"size\":0");
    refused("\"size\":9", "\"size\":-1");
    refused(",\"size\":9", "");
    refused("\"reason\":\"restored\"", "\"reason\":\"\"");
    refused("\"reason\":\"restored\"", "\"also\":1,\"reason\":\"restored\"");
    refused("[{\"origin\":", "null,\"x\":[{\"origin\":");
    refused("operator.example/twinpact/6f1b8f0e", "maker.example/twinpact/6f1b8f0e");
    refused("operator.example/twinpact/6f1b8f0e", NEXT);
    let check = |change: &dyn Fn(&mut Record), ok: bool| {
        let mut record = second();
        change(&mut record);
        assert_eq!(record.sign(&operator()).is_ok(), ok, "{:?}", record.predecessors);
    };
    check(&|r| r.predecessors.push(predecessor(ORIGIN, 10)), false);
    check(&|r| r.predecessors.push(predecessor(NEXT, 10)), false);
    check(&|r| r.predecessors.push(predecessor("maker.example/twinpact/1", 10)), false);
    check(&|r| r.predecessors[0].reason = "x".repeat(MAX_REASON_BYTES), true);
    check(&|r| r.predecessors[0].reason = "x".repeat(MAX_REASON_BYTES + 1), false);
    let many = |n: usize| -> Vec<Predecessor> {
        (0..n).map(|i| predecessor(&format!("operator.example/twinpact/p{i}"), 1)).collect()
    };
    check(&|r| r.predecessors = many(MAX_PREDECESSORS), true);
    check(&|r| r.predecessors = many(MAX_PREDECESSORS + 1), false);
    // Without a predecessor it is the first form, byte for byte.
    let first = record_of(OPERATOR, &operator()).to_json().canonical();
    assert!(first.contains("organisation/1") && !first.contains("predecessors"), "{first}");
    let empty = first
        .replace("organisation/1", "organisation/2")
        .replace("\"slots\":", "\"predecessors\":[],\"slots\":");
    for text in [empty.replace("organisation/2", "organisation/1"), empty] {
        let json = Json::parse(text.as_bytes()).unwrap();
        is_no_record(Envelope::sign(PAYLOAD_TYPE, &json, &operator()), &text);
    }
}

#[test]
fn a_successor_is_taken_only_if_it_goes_back_behind_nothing_that_was_seen() {
    let check = |mut trust: Trust, record: &Record, expect: Option<&str>| {
        let before = trust.clone();
        match (trust.add(&signed(record), DECIDED), expect) {
            (Ok(Pinned::Added), None) => {
                let logs: Vec<_> =
                    trust.organisations[0].logs.iter().map(|l| l.origin.as_str()).collect();
                assert_eq!(logs, [ORIGIN, NEXT]);
            }
            (Err(Refused::Conflict(why)), Some(words)) => {
                assert!(why.contains(words), "{why}");
                assert_eq!(trust, before);
            }
            (got, _) => panic!("{got:?}, expected {expect:?}"),
        }
    };
    check(trust(), &second(), None);
    check(seen(8, [1; 32]), &second(), None);
    check(seen(9, [7; 32]), &second(), None);
    check(seen(9, [1; 32]), &second(), Some("two histories"));
    check(seen(10, [7; 32]), &second(), Some("goes back behind what was seen"));
    let other = |change: &dyn Fn(&mut Record)| {
        let mut record = second();
        change(&mut record);
        record
    };
    let none = other(&|r| r.predecessors.clear());
    check(trust(), &none, Some("not that it comes after operator.example/twinpact/"));
    let another = other(&|r| r.predecessors = vec![predecessor("operator.example/twinpact/0", 9)]);
    check(trust(), &another, Some("not that it comes after"));
    // Whatever stands around it, in any order.
    let longer = other(&|r| {
        r.predecessors.insert(0, predecessor("operator.example/twinpact/0", 1));
        r.predecessors.push(predecessor("operator.example/twinpact/x", 1));
    });
    check(seen(9, [7; 32]), &longer, None);
    // Nobody but the holder of a pinned key opens one.
    let thief = SecretKey::new(&[66; 32]);
    let stolen = other(&|r| r.keys = record_of(OPERATOR, &thief).keys);
    let got = trust().add(&stolen.sign(&thief).unwrap(), DECIDED);
    assert!(
        matches!(&got, Err(Refused::Unsigned(why)) if why.contains("no pinned key")),
        "{got:?}"
    );
}

#[test]
fn a_log_that_was_given_up_stays_so() {
    let mut trust = trust();
    trust.add(&signed(&second()), DECIDED).unwrap();
    let mut back = record_of(OPERATOR, &operator());
    back.issued = START + 10;
    let got = trust.add(&signed(&back), DECIDED);
    assert!(matches!(&got, Err(Refused::Conflict(why)) if why.contains("given up")), "{got:?}");
    // A third log comes after the second, or after both.
    let mut third = second();
    third.origin = "operator.example/twinpact/3".into();
    third.issued = START + 10;
    let got = trust.add(&signed(&third), DECIDED);
    assert!(matches!(&got, Err(Refused::Conflict(why)) if why.contains(NEXT)), "{got:?}");
    third.predecessors.push(predecessor(NEXT, 4));
    assert_eq!(trust.add(&signed(&third), DECIDED), Ok(Pinned::Added));
    assert!(trust.check().is_ok());
}

/// The world's anchor as that of the second log.
fn succeeded(world: &mut World) {
    let mut anchor = Tree::default();
    anchor.append(predecessor(ORIGIN, 9).leaf());
    (1..world.anchor.size()).for_each(|k| anchor.append(world.anchor.leaf(k).unwrap()));
    world.anchor = anchor;
}

/// The bundle as one of the second log.
fn of_second(mut bundle: Bundle) -> Bundle {
    let anchor = &bundle.anchor;
    let note = Checkpoint { origin: NEXT.into(), size: anchor.size, root: anchor.root };
    bundle.checkpoint = note.sign(&operator());
    bundle.records = vec![signed(&second())];
    bundle
}

#[test]
fn proofs_of_both_logs_hold_for_who_took_the_record() {
    let first = World::new();
    let mut world = World::new();
    succeeded(&mut world);
    let after = of_second(world.fact()).to_bytes();
    let mut trust = trust();
    let link = |bytes: &[u8], trust: &Trust| verify(bytes, Some(trust)).map_err(|b| b.link);
    assert_eq!(link(&after, &trust).map(|v| v.level), Err(Link::Trust));
    trust.add(&signed(&second()), DECIDED).unwrap();
    for bytes in [after, first.fact().to_bytes()] {
        assert_eq!(link(&bytes, &trust).map(|v| v.level), Ok(Level::Signed));
    }
    // The checkpoint of one log does not serve the other.
    let mut mixed = of_second(world.fact());
    mixed.checkpoint = first.fact().checkpoint;
    assert_eq!(link(&mixed.to_bytes(), &trust).map(|v| v.level), Err(Link::Checkpoint));
}

#[test]
fn a_successor_has_no_tick_0() {
    let world = World::new();
    let slots = &world.slots[0];
    let root = world.events.root_at(40).unwrap();
    let head = build::place_head(
        blind(&blinding(&ANCHOR_KEY, 0, 0)),
        (0, 0, 64),
        &Head { tree: EVENTS, size: 40, root },
        slots.inclusion(0, 64).unwrap(),
        slots.root(),
    );
    let size = world.anchor.size();
    let index = 3;
    assert_ne!(index, FACT);
    let place = Place {
        entry: build::entry(EVENTS, index, &event(index).pc),
        tree: build::prove_tree(&world.events, index, 40).unwrap(),
        anchor: build::prove_anchor(&world.anchor, &head, time(0), size).unwrap(),
        head,
        checkpoint: world.checkpoint(size).sign(&operator()),
    };
    let opened = build::open(&event(index), &["@who"]);
    let record = record_of(OPERATOR, &operator()).sign(&operator()).unwrap();
    let bundle = build::fact(opened, Exactness::Exact, place, record);
    assert!(verify(&bundle.to_bytes(), None).is_ok());
    let broken = verify(&of_second(bundle).to_bytes(), None).unwrap_err();
    assert!(broken.link == Link::Anchor && broken.sentence.contains("no tick 0"), "{broken}");
}
