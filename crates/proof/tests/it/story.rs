//! Stories of forged, odd and late documents: what each bundle is worth beside the others, and that
//! `tools/verify_story.py` tells the same.

use crate::world::{
    DELIVERY, EVENTS, MAKER, OPERATOR, ORIGIN, START, World, agreement, event, maker, operator,
    operator_record, seed, trust,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use twinpact_proof::anchor::entry_leaf;
use twinpact_proof::build;
use twinpact_proof::bundle::{Bundle, Exactness};
use twinpact_proof::commit::{Attr, Commitment, commit};
use twinpact_proof::containment::{Answer, Containment, ContainmentAnswer, Evidence};
use twinpact_proof::deletion::{Deletion, Reason};
use twinpact_proof::documents::{Clock, Decision};
use twinpact_proof::story::Collector;
use twinpact_proof::tree::Tree;
use twinpact_proof::{Digest, Envelope, Json, Level, SecretKey, to_hex};

/// What a bundle is made of: the delivery of the world, or an entry of the operator's that has a
/// text under a name.
#[derive(Clone)]
enum Said {
    Given,
    Fact { kind: String, name: String, text: String },
}

fn fact(kind: &str, name: &str, text: &str) -> Said {
    Said::Fact { kind: kind.to_owned(), name: name.to_owned(), text: text.to_owned() }
}

fn paper(envelope: &Envelope) -> Said {
    fact("Paper", "document", &envelope.to_json().canonical())
}

fn committed(said: &Said) -> Option<Commitment> {
    let Said::Fact { kind, name, text } = said else { return None };
    let who = format!(r#"["{kind}","",0,"local"]"#);
    let attr = |path, datatype, lexical| Attr { path, datatype, lexical };
    let attributes = [
        attr("@who", "group", &who),
        attr("@when", "group", "[0,null,null,null,null]"),
        attr("@why", "group", r#"["","","","",""]"#),
        attr(name, "json", text),
    ];
    commit(&seed(text), &attributes)
}

/// All of them in one log.
fn bundles(all: &[Said]) -> Vec<Bundle> {
    let made: Vec<Option<Commitment>> = all.iter().map(committed).collect();
    let mut events = Tree::default();
    for i in 0..100 {
        let usual = event(i);
        let pc = made.get(i as usize).and_then(Option::as_ref).map_or(usual.pc, |made| made.pc);
        events.append(entry_leaf(&EVENTS, i, &pc));
    }
    let world = World::of(events, |_, _| {});
    let bundle = |(i, said): (usize, &Said)| {
        let (Said::Fact { name, .. }, Some(made)) = (said, &made[i]) else {
            return world.delivery(true);
        };
        let place = world.place_in(0, EVENTS, &world.events, i as u64, &made.pc);
        let opened = build::open(made, &["@who", "@why", name]);
        build::fact(opened, Exactness::Exact, place, operator_record())
    };
    all.iter().enumerate().map(bundle).collect()
}

fn leaf() -> Digest {
    World::new().place(2, DELIVERY).entry.leaf
}

fn deletion(by: &str, to: &str, late: i64) -> Deletion {
    Deletion {
        issuer: by.into(),
        audience: to.into(),
        agreement: agreement().agreement,
        receipts: vec![leaf()],
        deleted: START + 1_209_600_000_000 + late,
        clock: Clock::Driven,
        reason: Reason::Retention,
    }
}

fn containment() -> Containment {
    Containment {
        issuer: MAKER.into(),
        audience: OPERATOR.into(),
        incident: "urn:incident:1".into(),
        agreement: agreement().agreement,
        evidence: vec![Evidence { index: DELIVERY, leaf: leaf() }],
        twins: vec!["urn:turbine:a\u{202e}".into()],
        measure: "inspect".into(),
        reason: "it may\u{1b} fail".into(),
        seen: None,
        opened: START + 5,
        clock: Clock::System,
    }
}

fn answer(to: &Containment, key: &SecretKey) -> ContainmentAnswer {
    ContainmentAnswer {
        issuer: OPERATOR.into(),
        audience: MAKER.into(),
        containment: to.sign(key).fingerprint(),
        answer: Answer::Confirmed,
        by: "engineer".into(),
        automatic: true,
        note: String::new(),
        began: None,
        at: START + 9,
        clock: Clock::System,
    }
}

/// The story of these by both verifiers, as JSON.
fn story(all: &[Said], required: Level) -> Json {
    told_of(&bundles(all), required)
}

/// The story of these bundles.
fn told_of(bundles: &[Bundle], required: Level) -> Json {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("story-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let trust = trust();
    let mut collector = Collector::new(&trust, required);
    for (i, bundle) in bundles.iter().enumerate() {
        let (file, bytes) = (folder.join(format!("{i:02}.twinproof")), bundle.to_bytes());
        std::fs::write(&file, &bytes).unwrap();
        collector.take(&file.to_string_lossy(), &bytes);
    }
    std::fs::write(folder.join("trust.toml"), toml::to_string(&trust).unwrap()).unwrap();
    let story = collector.finish();
    if let Some((json, lines)) = theirs(&folder, required) {
        assert_eq!(json, story.to_json());
        assert_eq!(lines.trim_end_matches('\n'), story.lines().join("\n"));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    story.to_json()
}

/// The same by the other verifier: JSON and lines.
fn theirs(folder: &Path, required: Level) -> Option<(Json, String)> {
    let tool = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_story.py"));
    let run = |more: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(&tool).arg(folder).arg("--trust").arg(folder.join("trust.toml"));
        command.args(["--require", required.name()]).args(more);
        command.env("PYTHONDONTWRITEBYTECODE", "1").output()
    };
    let (Ok(json), Ok(lines)) = (run(&["--json"]), run(&[])) else {
        let strict = std::env::var("CI_STRICT").is_ok_and(|value| value == "1");
        assert!(!strict, "CI_STRICT=1 and no python3");
        println!("skipped: no python3");
        return None;
    };
    let said = String::from_utf8(json.stdout).unwrap();
    let why = String::from_utf8_lossy(&json.stderr);
    let json = Json::parse(said.as_bytes());
    Some((
        json.unwrap_or_else(|e| panic!("{e}: {said} {why}")),
        String::from_utf8(lines.stdout).unwrap(),
    ))
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json.get(name).and_then(Json::as_array).unwrap()
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_text).unwrap_or_default()
}

/// What is told of that, once.
fn told<'a>(story: &'a Json, what: &str) -> &'a Json {
    let mut all = list(story, "story").iter().filter(|one| text(one, "what") == what);
    let one = all.next().unwrap_or_else(|| panic!("no {what} in {}", story.canonical()));
    assert!(all.next().is_none(), "{what} twice");
    one
}

/// Code and link of the only bundle that is not used.
fn unused(said: &Said) -> (String, String) {
    let story = story(&[said.clone(), Said::Given], Level::Signed);
    let unused = list(&story, "unused");
    assert_eq!((unused.len(), list(&story, "story").len()), (1, 2));
    (text(&unused[0], "code").to_owned(), text(&unused[0], "link").to_owned())
}

#[test]
fn what_was_asked_answered_and_deleted_is_told_with_what_it_rests_on() {
    let (asked, given) = (containment(), Said::Given);
    let bundles = [
        given,
        paper(&asked.sign(&maker())),
        paper(&answer(&asked, &maker()).sign(&operator())),
        paper(&deletion(MAKER, OPERATOR, 0).sign(&maker())),
    ];
    let all = story(&bundles, Level::Signed);
    let hex = to_hex(&leaf());
    assert_eq!(list(told(&all, "asked"), "evidence"), [Json::text(&hex)]);
    assert!(list(told(&all, "asked"), "missing").is_empty());
    assert_eq!(text(told(&all, "answered"), "incident"), "urn:incident:1");
    assert_eq!(list(told(&all, "deleted"), "known"), [Json::text(&hex)]);
    assert!(list(told(&all, "deleted"), "late").is_empty());
    let delivered = told(&all, "delivered");
    assert_eq!(delivered.get("deleted"), delivered.get("delete_by"));
    assert_eq!(text(delivered, "level"), "countersigned");
    // Without the delivery, and without the question.
    let rest = story(&bundles[2..], Level::Signed);
    assert_eq!(told(&rest, "answered").get("incident"), Some(&Json::Null));
    assert!(list(told(&rest, "deleted"), "known").is_empty());
    let rest = story(&bundles[1..2], Level::Signed);
    assert_eq!(list(told(&rest, "asked"), "missing"), [Json::text(&hex)]);
    // None of them is more than countersigned.
    let none = story(&bundles, Level::Witnessed);
    assert!(list(&none, "story").is_empty());
    assert!(list(&none, "unused").iter().all(|one| text(one, "code") == "proof.level"));
}

#[test]
fn what_is_late_or_of_others_is_told_as_such() {
    let given = Said::Given;
    let with = |said: Said| story(&[given.clone(), said], Level::Signed);
    let late = with(paper(&deletion(MAKER, OPERATOR, 1).sign(&maker())));
    assert_eq!(list(told(&late, "deleted"), "late"), [Json::text(to_hex(&leaf()))]);
    // Who has delivered has nothing to delete.
    let turned = with(paper(&deletion(OPERATOR, MAKER, 0).sign(&operator())));
    assert!(list(told(&turned, "deleted"), "known").is_empty());
    assert_eq!(told(&turned, "delivered").get("deleted"), Some(&Json::Null));
    // The answer to a duty is about the rows of one twin: the copy may still be there.
    let duty = Deletion { reason: Reason::Duty([7; 32]), ..deletion(MAKER, OPERATOR, 0) };
    let duty = with(paper(&duty.sign(&maker())));
    assert_eq!(told(&duty, "delivered").get("deleted"), Some(&Json::Null));
    // Another place in the ledger is another delivery.
    let evidence = vec![Evidence { index: DELIVERY + 1, leaf: leaf() }];
    let other = with(paper(&Containment { evidence, ..containment() }.sign(&maker())));
    assert_eq!(list(told(&other, "asked"), "missing").len(), 1);
    // Who was not asked answers nothing.
    let asked = containment();
    let said = ContainmentAnswer {
        issuer: MAKER.into(),
        audience: OPERATOR.into(),
        ..answer(&asked, &maker())
    };
    let bundles = [paper(&asked.sign(&maker())), paper(&said.sign(&maker()))];
    let answered = story(&bundles, Level::Signed);
    assert_eq!(told(&answered, "answered").get("incident"), Some(&Json::Null));
}

#[test]
fn a_document_is_worth_what_its_signature_is_worth() {
    let check = |said: &Said, code: &str, link: &str| {
        assert_eq!(unused(said), (code.to_owned(), link.to_owned()));
    };
    let asked = containment();
    // In the name of the maker, by the operator.
    check(&paper(&asked.sign(&operator())), "proof.broken", "trust");
    check(&paper(&asked.sign(&SecretKey::new(&[9; 32]))), "proof.broken", "trust");
    let mut two = asked.sign(&maker());
    two.add_signature(&SecretKey::new(&[9; 32]));
    check(&paper(&two), "proof.broken", "trust");
    // By nobody whom the reader has pinned.
    let stranger = Containment { issuer: "did:web:stranger.example".into(), ..asked.clone() };
    check(&paper(&stranger.sign(&maker())), "proof.unanchored", "");
    // Signed, and not of its form.
    let twins = vec!["urn:b".to_owned(), "urn:a".to_owned()];
    check(
        &paper(&Containment { twins, ..asked.clone() }.sign(&maker())),
        "proof.broken",
        "document",
    );
    let long = Containment { measure: "x".repeat(201), ..asked.clone() };
    check(&paper(&long.sign(&maker())), "proof.broken", "document");
    let none = Deletion { receipts: Vec::new(), ..deletion(MAKER, OPERATOR, 0) };
    check(&paper(&none.sign(&maker())), "proof.broken", "document");
    let empty = Decision { core: Json::object([]), ..crate::world::decision() };
    check(&paper(&empty.sign(&operator())), "proof.broken", "document");
}

#[test]
fn a_fact_that_is_about_something_else_tells_nothing() {
    let given = Said::Given;
    let about = |kind: &str, name: &str, text: &str| {
        let story = story(&[given.clone(), fact(kind, name, text)], Level::Signed);
        assert_eq!(list(&story, "story").len(), 2);
        let by = list(told(&story, "agreed"), "recorded_by").len();
        (
            list(&story, "others")
                .iter()
                .map(|one| self::text(one, "kind").to_owned())
                .collect::<Vec<_>>(),
            by,
        )
    };
    assert_eq!(about("FactsSet", "document", "\"of a customer\""), (vec!["FactsSet".into()], 1));
    assert_eq!(about("Fact\u{202e}", "power", "1"), (vec!["Fact\\u{202e}".into()], 1));
    // That a party has the agreement on record belongs to it.
    let id = to_hex(&agreement().agreement);
    assert_eq!(about("AgreementConcluded", "agreement", &id), (vec![], 1));
    let other = to_hex(&[5; 32]);
    assert_eq!(
        about("AgreementConcluded", "agreement", &other),
        (vec!["AgreementConcluded".into()], 1)
    );
}

#[test]
fn a_log_of_which_two_bundles_contradict_each_other_tells_nothing() {
    let (asked, answered) = (containment(), answer(&containment(), &maker()));
    let (one, two) = (paper(&asked.sign(&maker())), paper(&answered.sign(&operator())));
    // One history has the question, the other one the answer.
    let (first, second) =
        (bundles(&[one.clone(), Said::Given]), bundles(std::slice::from_ref(&two)));
    let all = told_of(&[first, second].concat(), Level::Signed);
    assert!(list(&all, "story").is_empty() && list(&all, "others").is_empty());
    let codes: Vec<&str> = list(&all, "unused").iter().map(|one| text(one, "code")).collect();
    assert_eq!(codes, ["log.forked"; 3]);
    let forked = list(&all, "forked");
    assert_eq!((forked.len(), text(&forked[0], "origin")), (1, ORIGIN));
    let files = list(&forked[0], "files").iter().map(|one| one.as_text().unwrap());
    let pairs = files.zip(["00.twinproof", "02.twinproof"]);
    assert_eq!(pairs.filter(|(file, end)| file.ends_with(end)).count(), 2);
    let honest = story(&[one, Said::Given, two], Level::Signed);
    assert!(list(&honest, "forked").is_empty());
    assert_eq!(list(&honest, "story").len(), 4);
}
