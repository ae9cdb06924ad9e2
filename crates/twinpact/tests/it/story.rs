//! The story of an incident, as an outsider puts it together from the folders that organisations
//! export: with the trust file, and no node.

use crate::canaries::{NUMBER, TWIN};
use crate::evidence::{RULE, opinions};
use crate::federation::{MONDAY, OPERATOR, PURPOSE, Pair, refused_for_benchmarking, shown};
use crate::trio::{NAMES, Trio, did, receipts};
use crate::world::{Done, World};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use twinpact_model::Timestamp;
use twinpact_proof::bundle::MAX_BUNDLE_BYTES;
use twinpact_testkit::readable;

/// The maker asks for its turbine to be looked at; the incident and the containment.
fn asked(pair: &Pair, receipts: &Value) -> (String, String) {
    let world = &pair.world;
    let turbine = format!("urn:turbine:{TWIN}");
    let open = json!({
        "name": "loss",
        "story": { "told": "at home" },
        "containments": [{
            "agreement": pair.agreement,
            "twins": [turbine],
            "measure": "inspect the bearing",
            "reason": "one of its lot has failed",
            "receipts": receipts,
            "seen": { "twin": turbine, "first": MONDAY, "found": MONDAY },
        }],
    });
    world.write("incident.json", open.to_string().as_bytes());
    let opened = world.json("incident open incident.json --dir maker");
    let id = opened["id"].as_str().unwrap().to_owned();
    let shown = world.json(&format!("incident show {id} --dir operator"));
    (id, shown["containments"][0]["id"].as_str().unwrap().to_owned())
}

/// The kinds of the proofs of an export, sorted, and the files.
fn exported(world: &World, incident: &str, dir: &str) -> (Vec<String>, Vec<String>) {
    let line = format!("incident export {incident} --out folder --dir {dir}");
    let told = world.json(&line);
    let files = told["index"]["files"].as_array().unwrap();
    let text = |name: &str| {
        files.iter().map(|one| one[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut kinds = text("kind");
    kinds.sort();
    (kinds, text("file"))
}

#[test]
fn each_exports_what_it_can_prove_into_one_folder() {
    let pair = Pair::concluded();
    let world = &pair.world;
    let pulled = pair.pull();
    refused_for_benchmarking(&pair);
    let (id, containment) = asked(&pair, &pulled["receipts"]);
    world.json(&format!("incident confirm {containment} --by engineer --dir operator"));
    for name in ["operator", "maker"] {
        world.json(&format!("trust add {name}.json --trust trust.toml"));
    }
    let (operator, first) = exported(world, &id, "operator");
    let decided = ["decision", "decision"];
    assert_eq!(
        operator,
        [&["agreement", "answer", "containment"], &decided[..], &["receipt"]].concat()
    );
    let (maker, second) = exported(world, &id, "maker");
    assert_eq!(maker, ["agreement", "answer", "containment", "receipt"]);
    for file in first.iter().chain(&second) {
        let (code, _, said) = opinions(world, &format!("folder/{file}"));
        assert_eq!(code, 0, "{file}: {said}");
        // How it was found stays at home.
        assert!(!said.contains("at home"), "{file}: {said}");
    }
    // Nothing took the place of another, and there is an index by each.
    assert_eq!(world.files("folder").len(), first.len() + second.len() + 2);
    let again = exported(world, &id, "maker");
    assert_eq!(
        (again, world.files("folder").len()),
        ((maker, second.clone()), first.len() + second.len() + 2)
    );
    // What is not there changes nothing.
    let none = world.run("incident export urn:none --out other --dir maker");
    assert_eq!((none.code, none.error()), (11, "incident.unknown"));
    assert!(!world.path("other").exists());
    world.write("file", b"");
    let file = world.run(&format!("incident export {id} --out file --dir maker"));
    assert_eq!(file.error(), "file.unreadable", "{file:?}");
}

/// What both verifiers make of these files and folders: exit code, error, and the story.
pub(crate) fn told(world: &World, paths: &str) -> (Done, Value) {
    told_to(world, paths, "trust.toml")
}

/// The same to who has that trust file.
#[allow(clippy::print_stderr, reason = "says what was skipped")]
pub(crate) fn told_to(world: &World, paths: &str, trust: &str) -> (Done, Value) {
    let done = world.run(&format!("--json verify {paths} --trust {trust}"));
    let story: Value = serde_json::from_str(&done.stdout).unwrap_or_default();
    let text = world.run(&format!("verify {paths} --trust {trust}"));
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify_story.py");
    let other = |more: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(&tool).args(paths.split_whitespace()).args(["--trust", trust]);
        command.args(more).current_dir(world.path("")).env("PYTHONDONTWRITEBYTECODE", "1").output()
    };
    match (other(&["--json"]), other(&[])) {
        (Ok(json), Ok(lines)) => {
            let said = String::from_utf8_lossy(&json.stdout).into_owned();
            let why = String::from_utf8_lossy(&json.stderr).into_owned();
            assert_eq!(json.status.code(), Some(done.code), "{paths}: {said} {why} {done:?}");
            if done.code != 11 {
                assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), story, "{paths}");
                assert_eq!(String::from_utf8_lossy(&lines.stdout), text.stdout, "{paths}");
            }
        }
        (Err(why), _) | (_, Err(why)) => {
            assert!(std::env::var_os("CI_STRICT").is_none(), "no Python: {why}");
            eprintln!("skipped: the second verifier, {why}");
        }
    }
    (done, story)
}

/// What happened, in order, of a story.
pub(crate) fn whats(story: &Value) -> Vec<&str> {
    story["story"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect()
}

/// A pull, a refusal, a containment and its answer, exported by both; who may verify it.
pub(crate) fn contained() -> (Pair, String) {
    let pair = Pair::concluded();
    let world = &pair.world;
    let pulled = pair.pull();
    refused_for_benchmarking(&pair);
    let (id, containment) = asked(&pair, &pulled["receipts"]);
    let by = format!("incident confirm {containment} --by engineer --began {MONDAY} --automatic");
    world.json(&format!("{by} --dir operator"));
    for name in ["operator", "maker"] {
        world.json(&format!("trust add {name}.json --trust trust.toml"));
        exported(world, &id, name);
    }
    (pair, id)
}

#[test]
fn an_outsider_is_told_the_story_by_the_folder_alone() {
    let (pair, id) = contained();
    let world = &pair.world;
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, &story["holds"]), (0, &json!(true)), "{done:?}");
    let whole = ["agreed", "refused", "permitted", "delivered", "asked", "answered"];
    let mut got = whats(&story);
    // Both were decided at the same time.
    got[1..3].sort_by_key(|what| *what == "permitted");
    assert_eq!(got, whole, "{story}");
    let of = |what: &str| {
        let mut all = story["story"].as_array().unwrap().iter();
        all.find(|one| one["what"] == what).unwrap()
    };
    let (operator, maker) = ("did:web:operator.example", "did:web:maker.example");
    for (what, member, expect) in [
        ("agreed", "recorded_by", json!([maker, operator])),
        ("agreed", "level", "countersigned".into()),
        ("refused", "code", "policy.purpose".into()),
        ("refused", "recorded_by", json!([operator])),
        ("delivered", "level", "countersigned".into()),
        ("delivered", "rows", shown().len().into()),
        ("delivered", "deleted", Value::Null),
        ("asked", "by", maker.into()),
        ("asked", "missing", json!([])),
        ("asked", "recorded_by", json!([maker, operator])),
        ("answered", "by", operator.into()),
        ("answered", "automatic", true.into()),
        ("answered", "incident", id.clone().into()),
    ] {
        assert_eq!(of(what)[member], expect, "{what} {member}");
    }
    assert_eq!(of("asked")["evidence"], json!([of("delivered")["id"]]));
    // From one side alone the same happened, less well known.
    let side = |end: &str| {
        let all = world.files("folder");
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let all = all.iter().map(name).filter(|name| name.ends_with(end));
        all.map(|name| format!("folder/{name}")).collect::<Vec<_>>().join(" ")
    };
    let (done, alone) = told(world, &side("-maker.example.twinproof"));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(whats(&alone), ["agreed", "permitted", "delivered", "asked", "answered"]);
    let (done, alone) = told(world, &side("-operator.example.twinproof"));
    assert_eq!((done.code, whats(&alone).len()), (0, 6), "{done:?}");
}

#[test]
fn a_question_of_another_incident_is_told_as_such() {
    let (pair, id) = contained();
    let world = &pair.world;
    let receipt = world.json("receipt list --dir maker")[0]["id"].clone();
    let (other, _) = asked(&pair, &json!([receipt]));
    exported(world, &other, "maker");
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, &story["holds"]), (0, &json!(true)), "{done:?}");
    assert!(done.stderr.contains("it is of 2 incidents") && done.stderr.contains(&other));
    let of = |what: &str| {
        let all = story["story"].as_array().unwrap().iter().filter(|one| one["what"] == what);
        let mut all: Vec<&str> = all.map(|one| one["incident"].as_str().unwrap()).collect();
        all.sort_unstable();
        all
    };
    let mut both = [id.as_str(), other.as_str()];
    both.sort_unstable();
    assert_eq!((of("asked"), of("answered")), (both.to_vec(), vec![id.as_str()]), "{story}");
}

#[test]
fn what_does_not_hold_is_named_and_tells_nothing() {
    let (pair, _) = contained();
    let world = &pair.world;
    let find = |front: &str| {
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let mut all: Vec<String> = world.files("folder").into_iter().map(name).collect();
        all.retain(|name| name.starts_with(front) && name.ends_with(".twinproof"));
        all.sort();
        all.into_iter().map(|name| format!("folder/{name}")).collect::<Vec<_>>()
    };
    // The same bundle twice, under two names.
    let answers = find("answer");
    let again = answers[0].replace(".twinproof", "-2.twinproof");
    std::fs::copy(world.path(&answers[0]), world.path(&again)).unwrap();
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, whats(&story).len()), (0, 6), "{done:?}");
    let (first, second) = (&answers[0].clone().min(again.clone()), &answers[0].clone().max(again));
    // So is a receipt, where both have it with the same signatures.
    let repeated = story["repeated"].as_array().unwrap();
    assert!(repeated.contains(&json!({ "file": second, "same": first })), "{story}");
    std::fs::remove_file(world.path(second)).unwrap();
    // A byte of the evidence is another one, in each of its proofs.
    let receipts = find("receipt");
    let whole: Vec<Vec<u8>> =
        receipts.iter().map(|file| std::fs::read(world.path(file)).unwrap()).collect();
    for (i, (file, bytes)) in receipts.iter().zip(&whole).enumerate() {
        let mut bytes = bytes.clone();
        let at = bytes.len() / 2 + i;
        bytes[at] ^= 1;
        world.write(file, &bytes);
    }
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, done.error()), (22, "proof.broken"));
    let broken: Vec<Value> = receipts
        .iter()
        .map(|file| json!({ "file": file, "code": "proof.broken", "link": "container" }))
        .collect();
    assert_eq!(story["unused"], Value::from(broken));
    let missing = |story: &Value| {
        let mut all = story["story"].as_array().unwrap().iter();
        all.find(|one| one["what"] == "asked").unwrap()["missing"].as_array().unwrap().len()
    };
    assert_eq!((whats(&story).contains(&"delivered"), missing(&story)), (false, 1));
    // They are not there at all: what is there holds, and the line says what it lacks.
    receipts.iter().for_each(|file| std::fs::remove_file(world.path(file)).unwrap());
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, missing(&story)), (0, 1), "{done:?}");
    receipts.iter().zip(&whole).for_each(|(file, bytes)| world.write(file, bytes));
    // One of the signers is nobody whom the reader has pinned.
    std::fs::remove_file(world.path("trust.toml")).unwrap();
    world.json("trust add operator.json --trust trust.toml");
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, done.error()), (23, "proof.unanchored"));
    assert!(!whats(&story).contains(&"asked"), "{story}");
    let unused = story["unused"].as_array().unwrap();
    assert!(unused.iter().all(|one| one["code"] == "proof.unanchored"), "{story}");
    assert!(
        unused.iter().any(|one| one["file"].as_str().unwrap().contains("-operator")),
        "{story}"
    );
    // Nothing to read.
    std::fs::create_dir(world.path("empty")).unwrap();
    world.write("empty/story.json", b"{}");
    assert_eq!(
        (told(world, "empty").0.code, told(world, "empty").0.error().to_owned()),
        (11, "proof.none".to_owned())
    );
    assert_eq!(told(world, "nowhere folder").0.code, 11);
}

#[test]
fn what_is_larger_than_a_proof_may_be_is_refused_by_both_alike() {
    let (pair, _) = contained();
    let world = &pair.world;
    // The two are the same as far as anybody reads them.
    let large = ["folder/large-1.twinproof", "folder/large-2.twinproof"];
    for (file, more) in large.iter().zip([1, 2]) {
        let file = std::fs::File::create(world.path(file)).unwrap();
        file.set_len(MAX_BUNDLE_BYTES as u64 + more).unwrap();
    }
    let (done, story) = told(world, "folder");
    assert_eq!((done.code, done.error()), (22, "proof.broken"));
    let broken = large.map(|f| json!({ "file": f, "code": "proof.broken", "link": "container" }));
    assert_eq!(story["unused"], Value::from(broken.to_vec()));
    assert!(done.stderr.contains("larger than 16 MiB"), "{done:?}");
    assert_eq!(opinions(world, large[0]).0, 22);
}

const SUNDAY: &str = "2015-07-26T14:10:00+02:00";
const LATER: &str = "2015-07-27T12:00:00+02:00";
const AFTER: &str = "2015-08-10T10:00:00+02:00";

/// What the maker asks of both others, because of what both have shown it.
fn found(agreements: &[String; 2], pulled: &[Value; 2]) -> Value {
    let turbine = format!("urn:turbine:{TWIN}");
    json!({
        "name": "loss",
        "story": {},
        "containments": [
            {
                "agreement": agreements[0],
                "twins": [turbine],
                "measure": "inspect the bearing",
                "reason": "it gives too little",
                "receipts": pulled[0]["receipts"],
                "seen": { "twin": turbine, "first": MONDAY, "found": MONDAY },
            },
            {
                "agreement": agreements[1],
                "twins": ["urn:lot:7"],
                "measure": "ship no more of it",
                "reason": "a part of it has failed",
                "receipts": pulled[1]["receipts"],
            },
        ],
    })
}

/// The answer of one who was asked, as its own people type it.
fn answers(world: &World, id: &str, dir: &str, words: &str) {
    let shown = world.json(&format!("incident show {id} --dir {dir}"));
    let containment = shown["containments"][0]["id"].as_str().unwrap();
    let mut words = words.split(' ');
    let verb = words.next().unwrap();
    let words = words.collect::<Vec<_>>().join(" ");
    world.json(&format!("incident {verb} {containment} {words} --dir {dir}"));
}

#[test]
fn three_organisations_and_the_end_of_the_copies_are_told_to_who_was_not_there() {
    let (trio, agreements) = Trio::concluded(SUNDAY);
    let world = &trio.world;
    let pull = |agreement: &str, purpose: &str| {
        format!("pull {agreement} --purpose {purpose} --place FR --dir maker")
    };
    let closed = world.run(&pull(&agreements[0], PURPOSE));
    assert_eq!(closed.error(), "policy.schedule", "{closed:?}");
    trio.set_clock(MONDAY);
    let benchmarking = "https://w3id.org/twinpact/purpose/Benchmarking";
    assert_eq!(world.run(&pull(&agreements[0], benchmarking)).error(), "policy.purpose");
    let pulled = [0, 1].map(|i| world.json(&pull(&agreements[i], PURPOSE)));
    let first = &receipts(&pulled[0])[0];
    let read = world.json(&format!("copy show {first} --purpose {PURPOSE} --place FR --dir maker"));
    assert!(read.to_string().contains(NUMBER));
    for name in ["operator", "supplier"] {
        let start = Timestamp::from_seconds(0);
        trio.until(name, |fold| fold.deletions.next_owed(start).is_some());
    }
    world.write("found.json", found(&agreements, &pulled).to_string().as_bytes());
    let opened = world.json("incident open found.json --dir maker");
    let id = opened["id"].as_str().unwrap();
    // Until its owner says when it began, nobody makes a figure of it.
    let lasted = |value: &str| {
        let said = world.run("kpi --dir maker").stdout;
        let lines = [format!("detected since it began: {value}"), format!("policy: {value}")];
        assert!(lines.iter().all(|line| said.contains(line)), "{value}: {said}");
    };
    lasted("unknown\n");
    trio.set_clock(LATER);
    answers(world, id, "operator", &format!("confirm --by engineer --began {SUNDAY} --automatic"));
    answers(world, id, "supplier", "refuse --by clerk --note sold");
    lasted("71 400 s\n");
    let drawn = page(world, id);
    assert!(drawn.contains("The days around it"), "{drawn}");
    assert!(drawn.contains("Delete it by 2015-08-10T08:00:00Z"), "{drawn}");
    // Found on Monday morning what began on Sunday afternoon.
    for words in ["price of the policy", "19 h 50 min", "bytes used", "time to reconstruct"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    world.copy("maker", "before");
    assert!(readable(&world.path("before"), &did("maker")).unwrap().contains(NUMBER));
    trio.set_clock(AFTER);
    for name in ["operator", "supplier"] {
        let start = Timestamp::from_seconds(0);
        trio.until(name, |fold| fold.deletions.next_owed(start).is_none());
    }
    let drawn = page(world, id);
    assert!(!drawn.contains("The days around it"), "{drawn}");
    assert!(drawn.contains("not held any more") && drawn.contains("Who did what"), "{drawn}");
    let outsider = World::empty();
    let folder = outsider.path("folder");
    for name in NAMES {
        let line = format!("incident export {id} --out {} --dir {name}", folder.display());
        world.json(&line);
        world.json(&format!(
            "trust add {name}.json --trust {}",
            outsider.path("trust.toml").display()
        ));
    }
    let world = trio.stop();
    assert!(!readable(&world.path("maker"), &did("maker")).unwrap().contains(NUMBER));
    assert!(readable(&world.path("operator"), OPERATOR).unwrap().contains(NUMBER));
    reconstructed(&outsider, &agreements, &pulled);
}

/// The picture that the maker draws.
fn page(world: &World, id: &str) -> String {
    world.write("power-loss.rule.toml", RULE.as_bytes());
    let read = format!("--purpose {PURPOSE} --place FR --rule power-loss.rule.toml");
    world.json(&format!("incident report {id} {read} --out page.html --dir maker"));
    String::from_utf8(std::fs::read(world.path("page.html")).unwrap()).unwrap()
}

/// What the outsider learns, from the folder alone.
fn reconstructed(outsider: &World, agreements: &[String; 2], pulled: &[Value; 2]) {
    let (done, story) = told(outsider, "folder");
    assert_eq!((done.code, &story["holds"], &story["others"]), (0, &json!(true), &json!([])));
    let all = story["story"].as_array().unwrap();
    let said = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        let (by, to) = (text("by"), text("to"));
        let name =
            |did: &str| did.trim_start_matches("did:web:").trim_end_matches(".example").to_owned();
        let more = format!("{}{}{}", text("code"), text("answer"), text("measure"));
        format!("{} {} {} {more}", text("what"), name(by), name(to)).trim_end().to_owned()
    };
    let got: Vec<String> = all.iter().map(said).collect();
    // What has one time is told by kind, and of one kind by its digest. The refusal of the day
    // before is of no incident.
    let steps: [&[&str]; 6] = [
        &["agreed operator maker", "agreed supplier maker"],
        &[
            "permitted maker maker policy.permit",
            "permitted operator maker policy.permit",
            "permitted supplier maker policy.permit",
            "refused operator maker policy.purpose",
        ],
        &["delivered operator maker", "delivered supplier maker"],
        &["asked maker operator inspect the bearing", "asked maker supplier ship no more of it"],
        &["answered operator maker confirmed", "answered supplier maker refused"],
        &["deleted maker operator", "deleted maker supplier"],
    ];
    let mut rest = got.as_slice();
    for step in steps {
        let (now, then) = rest.split_at(step.len().min(rest.len()));
        let mut now = now.to_vec();
        now.sort();
        assert_eq!(now, step, "{got:#?}");
        rest = then;
    }
    assert!(rest.is_empty(), "{rest:?}");
    let of = |what: &str, party: &str, name: &str| {
        let is_it = |one: &&Value| {
            one["what"] == what && [&one["by"], &one["to"]].contains(&&did(party).into())
        };
        let mut found = all.iter().filter(is_it);
        found.next().unwrap()[name].clone()
    };
    for (i, party) in ["operator", "supplier"].into_iter().enumerate() {
        assert_eq!(of("agreed", party, "id"), agreements[i].as_str());
        assert_eq!(
            of("agreed", party, "recorded_by"),
            json!([did("maker"), did(party)].map(Value::from).to_vec())
        );
        assert_eq!(json!([of("delivered", party, "id")]), pulled[i]["receipts"]);
        assert_eq!(of("delivered", party, "rows"), pulled[i]["rows"]);
        assert_eq!(of("delivered", party, "level"), "countersigned");
        assert_eq!(of("delivered", party, "deleted"), of("deleted", party, "at"));
        assert_eq!(of("asked", party, "missing"), json!([]));
        assert_eq!(json!(of("asked", party, "evidence")), pulled[i]["receipts"]);
        assert_eq!(of("answered", party, "incident"), of("asked", party, "incident"));
        assert_eq!(of("deleted", party, "known"), pulled[i]["receipts"]);
        assert_eq!(of("deleted", party, "late"), json!([]));
    }
    assert_eq!(of("answered", "operator", "automatic"), true);
    assert_eq!(of("answered", "supplier", "note"), "sold");
    told_by_either(outsider, &story);
}

/// What two have on record is told by either: of one folder only its own refusals are missed.
fn told_by_either(outsider: &World, story: &Value) {
    let less = |without: &str| {
        for path in outsider.files("folder") {
            if path.to_string_lossy().contains(&format!("-{without}.")) {
                std::fs::remove_file(path).unwrap();
            }
        }
        let (done, less) = told(outsider, "folder");
        assert_eq!(done.code, 0, "{done:?}");
        whats(&less).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(less("supplier"), whats(story));
    let mut heard = whats(story);
    heard.retain(|what| *what != "refused");
    assert_eq!(less("operator"), heard);
}
