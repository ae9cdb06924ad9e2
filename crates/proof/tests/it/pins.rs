//! The trust file: how records are pinned and renewed, and its text form.

use crate::second::verify;
use crate::world::{
    ANCHOR_KEY, OPERATOR, START, World, maker, operator, operator_record, record_of, trust,
};
use twinpact_proof::record::{MAX_KEYS, RecordKey};
use twinpact_proof::trust::DECIDED;
use twinpact_proof::trust::{MAX_PINNED_KEYS, Pinned, Refused};
use twinpact_proof::{Level, Link, Record, SecretKey, Trust};

fn newer(change: impl Fn(&mut Record)) -> Record {
    let mut record = record_of(OPERATOR, &operator());
    record.issued = START + 5;
    change(&mut record);
    record
}

#[test]
fn a_record_is_pinned_once() {
    let mut trust = Trust::default();
    assert_eq!(trust.add(&operator_record(), DECIDED), Ok(Pinned::Added));
    assert_eq!(trust.add(&operator_record(), DECIDED), Ok(Pinned::AlreadyThere));
    assert_eq!(trust.organisations.len(), 1);
    let mut forged = operator_record();
    let mut bytes = forged.payload.to_vec();
    bytes[10] ^= 1;
    forged.payload = bytes.into();
    assert!(matches!(trust.add(&forged, DECIDED), Err(Refused::Record(_))));
}

#[test]
fn a_later_record_needs_a_pinned_key() {
    let impostor = SecretKey::new(&[66; 32]);
    let check = |record: &Record, key: &SecretKey, expect: &str| {
        let mut trust = trust();
        let before = trust.clone();
        let got = trust.add(&record.sign(key).unwrap(), DECIDED);
        let Err(Refused::Conflict(why) | Refused::Unsigned(why) | Refused::Older(why)) = &got
        else {
            panic!("{got:?}")
        };
        assert!(why.contains(expect), "{why}");
        assert_eq!(trust, before);
    };
    check(&record_of(OPERATOR, &impostor), &impostor, "no pinned key");
    // The pinned key stands in it, but has not signed it.
    let both = newer(|r| r.keys.extend(record_of(OPERATOR, &impostor).keys));
    check(&both, &impostor, "no pinned key");
    check(&newer(|r| r.issued = START - 1), &operator(), "newer");
    check(&newer(|r| (r.issued, r.name) = (START, "x".into())), &operator(), "newer");
    check(&newer(|r| r.slots[1].tree = [9; 16]), &operator(), "slots");
}

#[test]
fn the_keys_of_one_organisation_are_bounded() {
    let mut trust = trust();
    let fresh = |round: i64, n: i64| {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&[9, u8::try_from(n).unwrap()]);
        seed[2] = u8::try_from(round).unwrap();
        RecordKey { key: SecretKey::new(&seed).public(), from: 0, until: None }
    };
    // Each record has its own key and as many new ones as it may.
    let with = |round: i64, keys: usize| {
        let keys: Vec<_> = (0..i64::try_from(keys).unwrap()).map(|n| fresh(round, n)).collect();
        let record = newer(|r| {
            r.issued = START + 5 + round;
            r.keys.extend(keys.iter().copied());
        });
        record.sign(&operator()).unwrap()
    };
    let per_record = MAX_KEYS - 1;
    for round in 0..4 {
        assert_eq!(trust.add(&with(round, per_record), DECIDED), Ok(Pinned::Added), "{round}");
    }
    let left = MAX_PINNED_KEYS - 1 - 4 * per_record;
    let before = trust.clone();
    let got = trust.add(&with(4, left + 1), DECIDED);
    assert!(matches!(&got, Err(Refused::Conflict(why)) if why.contains("256 keys")), "{got:?}");
    assert_eq!(trust, before);
    assert_eq!(trust.add(&with(4, left), DECIDED), Ok(Pinned::Added));
    assert_eq!(trust.organisations[0].keys.len(), MAX_PINNED_KEYS);
    assert_eq!(trust.check(), Ok(()));
}

#[test]
fn nobody_pins_the_log_of_another() {
    let mut trust = Trust::default();
    trust.add(&operator_record(), DECIDED).unwrap();
    let mut thief = record_of("did:key:z6Mk", &maker());
    thief.trust_domain = "thief.example".into();
    thief.dsp = "https://thief.example/dsp".into();
    thief.origin = crate::world::ORIGIN.into();
    let got = trust.add(&thief.sign(&maker()).unwrap(), DECIDED);
    assert!(matches!(&got, Err(Refused::Conflict(why)) if why.contains(OPERATOR)), "{got:?}");
}

#[test]
fn keys_rotate_and_logs_succeed() {
    let next = SecretKey::new(&[7; 32]);
    let end = START + 500_000;
    let rotated = newer(|r| {
        r.keys[0].until = Some(end);
        r.keys.push(RecordKey { key: next.public(), from: end, until: None });
    });
    let envelope = rotated.sign(&operator()).unwrap();
    let world = World::new();
    let mut bundle = world.fact();
    bundle.records = vec![envelope.clone()];
    // The old key had ended before the tick, so it cannot sign for it.
    assert_eq!(verify(&bundle.to_bytes(), None).unwrap_err().link, Link::Checkpoint);
    bundle.checkpoint = world.checkpoint(world.anchor.size()).sign(&next);
    let mut trust = trust();
    // Who has pinned the old record only is told to add the new one.
    let broken = verify(&bundle.to_bytes(), Some(&trust)).unwrap_err();
    assert_eq!(broken.link, Link::Trust);
    assert!(broken.sentence.contains("add that first"), "{broken}");
    assert_eq!(trust.add(&envelope, DECIDED), Ok(Pinned::Added));
    assert_eq!(verify(&bundle.to_bytes(), Some(&trust)).map(|v| v.level), Ok(Level::Signed));
    // A thief of the old key with the old record is refused: the pins know that it ended.
    let stolen = world.fact();
    let broken = verify(&stolen.to_bytes(), Some(&trust)).unwrap_err();
    assert!(broken.link == Link::Trust && broken.sentence.contains("ended"), "{broken}");
    // The old key cannot bring in a later record, be it one in which it never ended; and a
    // successor log is taken from the new key.
    let mut risen = record_of(OPERATOR, &operator());
    risen.issued = end + 1;
    let got = trust.add(&risen.sign(&operator()).unwrap(), DECIDED);
    assert!(matches!(&got, Err(Refused::Unsigned(why)) if why.contains("no pinned")), "{got:?}");
    // Nor one that says it was issued before that: whoever has it chooses what it says.
    risen.issued = end - 1;
    let risen = risen.sign(&operator()).unwrap();
    let got = trust.clone().add(&risen, end);
    assert!(matches!(&got, Err(Refused::Ended(why)) if why.contains("has ended")), "{got:?}");
    assert_eq!(trust.clone().add(&risen, end - 1), Ok(Pinned::Added), "until then it may");
    let mut successor = rotated.clone();
    successor.issued = end + 1;
    successor.origin = "operator.example/twinpact/second".into();
    successor.predecessors = vec![crate::succession::predecessor(crate::world::ORIGIN, 7)];
    assert!(successor.sign(&operator()).is_err());
    assert_eq!(trust.add(&successor.sign(&next).unwrap(), DECIDED), Ok(Pinned::Added));
    let logs: Vec<&str> = trust.organisations[0].logs.iter().map(|l| l.origin.as_str()).collect();
    assert_eq!(logs, [crate::world::ORIGIN, "operator.example/twinpact/second"]);
    assert_eq!(verify(&bundle.to_bytes(), Some(&trust)).map(|v| v.level), Ok(Level::Signed));
    // A key that a later record no longer lists ends with it.
    successor.issued += 1;
    successor.keys.remove(0);
    assert_eq!(trust.add(&successor.sign(&next).unwrap(), DECIDED), Ok(Pinned::Added));
    assert_eq!(trust.organisations[0].keys[0].until, Some(end));
}

#[test]
fn a_trust_file_reads_as_written() {
    let text = toml::to_string(&trust()).unwrap();
    assert_eq!(toml::from_str::<Trust>(&text).unwrap(), trust());
    assert_eq!(toml::from_str::<Trust>("").unwrap(), Trust::default());
    let check = |from: &str, to: &str| {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        assert!(toml::from_str::<Trust>(&bad).is_err(), "{from} → {to}");
    };
    check("quorum = 1", "quorun = 1");
    check("did = ", "dids = ");
    check("tree = \"e0", "tree = \"E0");
    check("tree = \"e0", "tree = \"");
    check("key = \"", "key = \" ");
    check("record = \"", "record = \"00");
}

#[test]
fn a_trust_file_keeps_its_rules() {
    let check = |change: &dyn Fn(&mut Trust)| {
        let mut bad = trust();
        change(&mut bad);
        assert!(bad.check().is_err());
        let broken = verify(&World::new().fact().to_bytes(), Some(&bad)).unwrap_err();
        assert_eq!(broken.link, Link::Trust);
    };
    check(&|t| t.organisations.push(t.organisations[0].clone()));
    check(&|t| t.organisations[0].did = "operator".into());
    check(&|t| t.organisations[1].logs = t.organisations[0].logs.clone());
    check(&|t| t.witnesses.push(t.witnesses[0].clone()));
    check(&|t| t.witnesses = vec![t.witnesses[0].clone(); twinpact_proof::trust::MAX_PINS + 1]);
    assert!(trust().check().is_ok());
}

#[test]
fn nothing_secret_of_the_world_is_in_a_bundle() {
    let bytes = World::new().delivery(true).to_bytes();
    let text = String::from_utf8(bytes).unwrap();
    for secret in [ANCHOR_KEY, crate::world::seed("delivery 3")] {
        assert!(!text.contains(&twinpact_proof::to_hex(&secret)));
    }
}
