//! Evidence of forks and statements of witnesses, for a reader with a trust file: what is proven,
//! and that `tools/verify_fork.py`, written from the document, says the same.

use crate::world::{MAKER, OPERATOR, ORIGIN, START, maker, operator, trust, witness};
use std::path::Path;
use std::process::Command;
use twinpact_proof::evidence::Fork;
use twinpact_proof::note::{Checkpoint, cosign};
use twinpact_proof::trust::{DECIDED, Pinned, Refused};
use twinpact_proof::witness_record::WitnessRecord;
use twinpact_proof::{Envelope, Level, SecretKey, Trust};

/// Exit code, and level or link, of ours; the second verifier says the same where there is one.
fn check(bytes: &str, trust: Option<&Trust>) -> String {
    let verdict = Fork::parse(bytes.as_bytes()).and_then(|fork| fork.verify(trust));
    let ours = match verdict {
        _ if trust.is_some_and(|trust| trust.check().is_err()) => "11 unreadable".to_owned(),
        Err(broken) => format!("22 {}", broken.link),
        Ok(found) => {
            let code = if found.level == Level::Signed { 0 } else { 23 };
            format!("{code} {}", found.level)
        }
    };
    if let Some(theirs) = second(bytes, trust) {
        assert_eq!(ours, theirs, "Rust and Python of {bytes}");
    }
    ours
}

fn second(bytes: &str, trust: Option<&Trust>) -> Option<String> {
    let scratch = |name: &str| {
        let id = format!("{name}-{}-{:?}", std::process::id(), std::thread::current().id());
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(id)
    };
    let (file, pins) = (scratch("fork"), scratch("fork-trust"));
    std::fs::write(&file, bytes).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_fork.py");
    let mut command = Command::new("python3");
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script).arg(&file);
    if let Some(trust) = trust {
        std::fs::write(&pins, toml::to_string(trust).unwrap()).unwrap();
        command.arg("--trust").arg(&pins);
    }
    let new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    let there = Command::new("python3").args(["-c", new_enough]).status();
    if !there.is_ok_and(|status| status.success()) {
        let strict = std::env::var("CI_STRICT").is_ok_and(|value| value == "1");
        assert!(!strict, "CI_STRICT=1 and no python3 of version 3.11");
        println!("skipped: no python3 of version 3.11");
        return None;
    }
    let out = command.output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    let word = said.trim_end().rsplit(' ').next().unwrap().to_owned();
    Some(format!("{} {word}", out.status.code().unwrap()))
}

fn note(origin: &str, root: u8, by: &SecretKey) -> String {
    Checkpoint { origin: origin.to_owned(), size: 7, root: [root; 32] }.sign(by)
}

fn fork(origin: &str, by: &SecretKey) -> String {
    Fork::of(&note(origin, 1, by), &note(origin, 2, by)).unwrap().to_text()
}

#[test]
fn evidence_convicts_whom_the_reader_pinned() {
    let (pinned, nobody) = (trust(), Trust::default());
    let good = fork(ORIGIN, &operator());
    assert_eq!(check(&good, Some(&pinned)), "0 signed");
    assert_eq!(check(&good, Some(&nobody)), "23 unanchored");
    assert_eq!(check(&good, None), "23 unanchored");
    let said = Fork::parse(good.as_bytes()).unwrap().verify(Some(&pinned)).unwrap();
    assert_eq!(said.organisation.as_deref(), Some(OPERATOR));
    assert!(said.sentence.contains("two checkpoints of size 7"), "{}", said.sentence);
    // By another's key, whoever that is, it accuses nobody.
    assert_eq!(check(&fork(ORIGIN, &maker()), Some(&pinned)), "22 checkpoint");
    assert_eq!(
        check(&fork("third.example/twinpact/1", &operator()), Some(&pinned)),
        "23 unanchored"
    );
    let mut twice = trust();
    twice.organisations.push(twice.organisations[0].clone());
    assert_eq!(check(&good, Some(&twice)), "11 unreadable");
}

#[test]
fn a_key_with_an_end_convicts_and_is_named() {
    let mut ended = trust();
    let pin = ended.organisations.iter_mut().find(|pin| pin.did == OPERATOR).unwrap();
    pin.keys[0].until = Some(START);
    let good = fork(ORIGIN, &operator());
    assert_eq!(check(&good, Some(&ended)), "0 signed");
    let said = Fork::parse(good.as_bytes()).unwrap().verify(Some(&ended)).unwrap();
    assert!(said.notes[0].contains(&operator().public().id()), "{:?}", said.notes);
}

#[test]
fn no_flipped_byte_of_evidence_convicts() {
    let (good, pinned) = (fork(ORIGIN, &operator()), trust());
    let mut said = std::collections::BTreeMap::<String, u32>::new();
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(flipped) = String::from_utf8(bytes) else { continue };
        let verdict = Fork::parse(flipped.as_bytes()).and_then(|fork| fork.verify(Some(&pinned)));
        // Another origin in one note contradicts nothing, and nothing is left of a signature.
        assert!(verdict.is_err(), "{at}: {flipped}");
        // A process for each would take long; both are asked of some in every part.
        if at % 23 == 0 {
            *said.entry(check(&flipped, Some(&pinned))).or_default() += 1;
        }
    }
    assert!(said.keys().all(|answer| answer.starts_with("22 ")) && said.len() == 2, "{said:?}");
}

#[test]
fn a_line_of_somebody_else_is_no_part_of_evidence() {
    let pinned = trust();
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 7, root: [1; 32] };
    let more = note(ORIGIN, 1, &operator()) + &cosign(&checkpoint, "w.example", &witness(), 9);
    let with = Fork::of(&more, &note(ORIGIN, 2, &operator())).unwrap().to_text();
    assert_eq!(check(&with, Some(&pinned)), "22 checkpoint");
}

#[test]
fn an_organisation_is_pinned_as_a_witness_by_its_own_statement() {
    let said = |did: &str, name: &str, key: u8, by: &SecretKey| {
        let key = SecretKey::new(&[key; 32]).public();
        WitnessRecord { did: did.into(), name: name.into(), key, issued: START }.sign(by)
    };
    let good = said(MAKER, "maker.example/witness/1", 7, &maker());
    let mut pins = trust();
    assert_eq!(pins.add_witness(&good, DECIDED), Ok(Pinned::Added));
    assert_eq!(pins.add_witness(&good, DECIDED), Ok(Pinned::AlreadyThere));
    let pin = pins.witnesses.last().unwrap();
    assert_eq!((pin.name.as_str(), pin.party.as_deref()), ("maker.example/witness/1", Some(MAKER)));
    assert!(pins.check().is_ok());
    let before = pins.clone();
    let mut check = |envelope: Envelope, now, expect: fn(&Refused) -> bool| {
        let refused = pins.add_witness(&envelope, now).unwrap_err();
        assert!(expect(&refused), "{refused:?}");
        assert_eq!(pins, before);
    };
    let unsigned: fn(&Refused) -> bool = |refused| matches!(refused, Refused::Unsigned(_));
    let conflict: fn(&Refused) -> bool = |refused| matches!(refused, Refused::Conflict(_));
    check(said(MAKER, "maker.example/witness/2", 8, &operator()), DECIDED, unsigned);
    check(said("did:web:x.example", "x/1", 8, &maker()), DECIDED, unsigned);
    check(said(MAKER, "maker.example/witness/1", 8, &maker()), DECIDED, conflict);
    check(said(MAKER, "maker.example/witness/2", 7, &maker()), DECIDED, conflict);
    let record: fn(&Refused) -> bool = |refused| matches!(refused, Refused::Record(_));
    check(crate::world::maker_record(), DECIDED, record);
    let mut ended = trust();
    let pin = ended.organisations.iter_mut().find(|pin| pin.did == MAKER).unwrap();
    pin.keys[0].until = Some(START + 1);
    assert!(matches!(ended.add_witness(&good, START + 1), Err(Refused::Ended(_))));
    assert_eq!(ended.add_witness(&good, START), Ok(Pinned::Added));
}
