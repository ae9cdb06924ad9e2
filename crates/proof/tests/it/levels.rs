//! What valid bundles are worth to readers who pinned this or that, and what an impostor's is.

use crate::second::verify;
use crate::world::{
    MAKER, OPERATOR, TICKS, WITNESS, World, cosigned, maker_record, operator_record,
    pinned_witness, record_of, trust, witness,
};
use twinpact_proof::documents::Clock;
use twinpact_proof::note::Checkpoint;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::trust::{Hex, SeenAnchor};
use twinpact_proof::{Bundle, Level, Link, SecretKey, Trust, Verdict};

fn check(bundle: &Bundle, trust: Option<&Trust>, expect: Result<Level, Link>) -> Option<Verdict> {
    let bytes = bundle.to_bytes();
    assert_eq!(&Bundle::parse(&bytes).unwrap(), bundle);
    let got = verify(&bytes, trust);
    let short = got.as_ref().map(|v| v.level).map_err(|b| b.link);
    assert_eq!(short, expect, "{got:?}");
    got.ok()
}

fn only(records: &[twinpact_proof::Envelope]) -> Trust {
    let mut trust = Trust::default();
    records.iter().for_each(|record| assert!(trust.add(record, DECIDED).is_ok()));
    trust
}

#[test]
fn a_fact_is_signed_and_may_be_witnessed() {
    let world = World::new();
    let fact = world.fact();
    let verdict = check(&fact, None, Ok(Level::Unanchored)).unwrap();
    assert_eq!(verdict.issuer, OPERATOR);
    assert_eq!(verdict.unpinned.len(), 1);
    assert_eq!(verdict.unpinned[0].envelope, operator_record());
    assert_eq!(
        verdict.statement,
        [
            "did:web:operator.example recorded of urn:turbine:R80711, as entry 42 of its events",
            r#"@who = ["FactsSet","urn:turbine:R80711",42,"local"]"#,
            r#"@why = ["","wind-turbine@1","operational","",""]"#,
            "power = 42.24",
            "note = tour \"A\"\\u{a}\u{1f600}",
            "in the log operator.example/twinpact/6f1b8f0e since tick 6, 2026-11-24T00:00:06Z",
        ]
    );
    check(&fact, Some(&only(&[maker_record()])), Ok(Level::Unanchored));
    let verdict = check(&fact, Some(&trust()), Ok(Level::Signed)).unwrap();
    assert!(verdict.notes.is_empty() && verdict.unpinned.is_empty(), "{verdict:?}");
    let seen = cosigned(fact, &world, WITNESS, &witness());
    let verdict = check(&seen, Some(&trust()), Ok(Level::Witnessed)).unwrap();
    assert_eq!(verdict.witnesses, [WITNESS]);
    // Who has not pinned the witness is told that nobody checked its line.
    let verdict = check(&seen, Some(&only(&[operator_record()])), Ok(Level::Signed)).unwrap();
    assert!(verdict.notes[0].contains("was not checked"), "{:?}", verdict.notes);
}

#[test]
fn a_delivery_is_signed_countersigned_and_witnessed() {
    let world = World::new();
    check(&world.delivery(true), None, Ok(Level::Unanchored));
    check(&world.delivery(true), Some(&only(&[maker_record()])), Ok(Level::Unanchored));
    check(&world.delivery(true), Some(&only(&[operator_record()])), Ok(Level::Signed));
    check(&world.delivery(false), Some(&trust()), Ok(Level::Signed));
    let verdict = check(&world.delivery(true), Some(&trust()), Ok(Level::Countersigned)).unwrap();
    assert_eq!(verdict.audience.as_deref(), Some(MAKER));
    let said = verdict.statement.join("\n");
    for words in [
        "delivered 5 items (203 bytes) of https://operator.example/id/views/wind/1.0.0",
        "to did:web:maker.example",
        "item 4: 2015-07-26T02:40:00Z [\"533.10\",\"-0.97\"]",
        "to be deleted by 2026-12-08T00:00:00Z",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let seen = cosigned(world.delivery(true), &world, WITNESS, &witness());
    check(&seen, Some(&trust()), Ok(Level::Witnessed));
    // Witnesses do not make up for the maker.
    let seen = cosigned(world.delivery(false), &world, WITNESS, &witness());
    let verdict = check(&seen, Some(&trust()), Ok(Level::Signed)).unwrap();
    assert!(verdict.notes[0].contains("not countersigned"), "{:?}", verdict.notes);
    // Only one of the two documents countersigned is not enough.
    let mut half = world.delivery(true);
    half.agreement = world.delivery(false).agreement;
    check(&half, Some(&trust()), Ok(Level::Signed));
}

#[test]
fn a_quorum_needs_somebody_who_is_no_party() {
    let world = World::new();
    let (fact, delivery) = (world.fact(), world.delivery(true));
    let check_with = |party: Option<&str>, quorum: u32, bundle: &Bundle, expect: Level| {
        let mut trust = trust();
        trust.quorum = quorum;
        trust.witnesses[0].party = party.map(str::to_owned);
        let bundle = cosigned(bundle.clone(), &world, WITNESS, &witness());
        check(&bundle, Some(&trust), Ok(expect));
    };
    check_with(None, 0, &fact, Level::Witnessed);
    check_with(None, 1, &fact, Level::Witnessed);
    check_with(None, 2, &fact, Level::Signed);
    check_with(Some(OPERATOR), 1, &fact, Level::Signed);
    check_with(Some("did:web:third.example"), 1, &fact, Level::Witnessed);
    check_with(Some(MAKER), 1, &delivery, Level::Countersigned);
    check_with(Some("did:web:third.example"), 1, &delivery, Level::Witnessed);
    // One of two may be a party.
    let mut trust = trust();
    trust.quorum = 2;
    let second = SecretKey::new(&[4; 32]);
    trust.witnesses.push(pinned_witness("maker.example/w", &second, Some(MAKER)));
    let once = cosigned(delivery, &world, WITNESS, &witness());
    check(&once, Some(&trust), Ok(Level::Countersigned));
    let twice = cosigned(once, &world, "maker.example/w", &second);
    check(&twice, Some(&trust), Ok(Level::Witnessed));
}

#[test]
fn one_witness_under_two_names_is_one() {
    let mut trust = trust();
    trust.witnesses.push(pinned_witness("other.example", &witness(), None));
    check(&World::new().fact(), Some(&trust), Err(Link::Trust));
}

#[test]
fn an_impostor_is_nobody_without_trust_and_broken_with_it() {
    let impostor = SecretKey::new(&[66; 32]);
    let world = World::new();
    let mut fact = crate::world::impostor(&world, &impostor);
    check(&fact, None, Ok(Level::Unanchored));
    check(&fact, Some(&only(&[maker_record()])), Ok(Level::Unanchored));
    check(&fact, Some(&trust()), Err(Link::Trust));
    let broken = verify(&fact.to_bytes(), Some(&trust())).unwrap_err();
    assert_eq!(
        broken.sentence,
        "this bundle says it is from did:web:operator.example, but is signed by a key that is not \
         the one you pinned"
    );
    // The true record does not help: its keys have not signed the checkpoint.
    fact.records = vec![operator_record()];
    check(&fact, None, Err(Link::Checkpoint));
    // A record with both keys that the true one never signed does not help either.
    let mut both = record_of(OPERATOR, &impostor);
    both.keys.extend(record_of(OPERATOR, &crate::world::operator()).keys);
    fact.records = vec![both.sign(&impostor).unwrap()];
    check(&fact, Some(&trust()), Err(Link::Trust));
}

#[test]
fn a_driven_clock_is_said() {
    let world = World::new();
    let mut bundle = world.delivery(false);
    let mut receipt = world.receipt(&world.place(2, crate::world::DELIVERY));
    receipt.clock = Clock::Driven;
    bundle.receipt = Some(receipt.sign(&crate::world::operator()));
    let verdict = check(&bundle, Some(&trust()), Ok(Level::Signed)).unwrap();
    assert!(verdict.notes.iter().any(|note| note == "driven clock: not evidence"));
}

#[test]
fn what_is_withheld_is_said() {
    let world = World::new();
    let mut bundle = world.fact();
    let opened = twinpact_proof::build::open(&crate::world::event(42), &["power"]);
    bundle.claim = twinpact_proof::build::claim(bundle.claim.kind, &opened.disclosure);
    bundle.commitment = opened;
    let verdict = check(&bundle, Some(&trust()), Ok(Level::Signed)).unwrap();
    assert_eq!(verdict.statement.len(), 3);
    assert!(verdict.notes[0].contains("@why"), "{:?}", verdict.notes);
}

#[test]
fn a_delivery_without_receipt_or_maker_is_signed_only() {
    let mut bundle = World::new().delivery(false);
    bundle.receipt = None;
    bundle.decision = None;
    bundle.items = None;
    bundle.records.truncate(1);
    let verdict = check(&bundle, Some(&trust()), Ok(Level::Signed)).unwrap();
    assert_eq!(verdict.audience.as_deref(), Some(MAKER));
    assert!(verdict.notes[0].contains("no receipt"), "{:?}", verdict.notes);
}

#[test]
fn a_log_that_showed_another_history_is_refused() {
    let bundle = World::new().fact();
    let size = bundle.anchor.size;
    let check_seen = |origin: &str, size: u64, root: [u8; 32], expect: Result<Level, Link>| {
        let mut trust = trust();
        trust.anchors = vec![SeenAnchor { origin: origin.into(), size, root: Hex(root) }];
        check(&bundle, Some(&trust), expect);
    };
    let origin = crate::world::ORIGIN;
    check_seen(origin, size, bundle.anchor.root, Ok(Level::Signed));
    check_seen(origin, size, [9; 32], Err(Link::Trust));
    check_seen(origin, size + 1, [9; 32], Ok(Level::Signed));
    check_seen("maker.example/twinpact/1", size, [9; 32], Ok(Level::Signed));
}

#[test]
fn the_log_and_its_slots_are_the_pinned_ones() {
    let world = World::new();
    let mut record = record_of(OPERATOR, &crate::world::operator());
    record.slots[1].tree = [0x99; 16];
    let mut fact = world.fact();
    fact.records = vec![record.sign(&crate::world::operator()).unwrap()];
    check(&fact, Some(&trust()), Err(Link::Trust));
    let mut record = record_of(OPERATOR, &crate::world::operator());
    record.origin = "operator.example/twinpact/other".into();
    fact.records = vec![record.sign(&crate::world::operator()).unwrap()];
    let other = Checkpoint { origin: record.origin, ..world.checkpoint(TICKS) };
    fact.checkpoint = other.sign(&crate::world::operator());
    check(&fact, None, Ok(Level::Unanchored));
    check(&fact, Some(&trust()), Err(Link::Trust));
}
