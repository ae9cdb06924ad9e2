//! The demo: three organisations, one recording. Undisturbed, and with nodes that are killed again
//! and again while it runs.

use crate::mortal::SERVED;
use crate::remains::nothing_is_left;
use crate::story::{told_to, whats};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use twinpact_detect::{Detector, Milli, Rule, RuleFile, Sample};
use twinpact_edge::{Map, Reading, Rows};
use twinpact_model::{Schedule, Timestamp};

/// The rows of the recording that have values, and those of weekdays, 07:00 to 19:00 in Paris.
const ROWS: (u64, u64) = (52_124, 18_532);
/// What the story of the incident tells; that evidence is missing would be another kind.
const KINDS: [&str; 6] = ["agreed", "answered", "asked", "deleted", "delivered", "permitted"];
/// By when copies of rows are to be deleted, in seconds: 14 days.
const COPIES_S: i64 = 14 * 86_400;
/// How often a node is killed.
const KILLS: usize = 50;
const NODES: [&str; 3] = ["operator", "maker", "supplier"];

/// Where each node is killed, in its order: at the n-th such moment of the life that began with the
/// last kill. The first lives begin before anything is agreed, so they are longer. All of it is
/// over well before the demo shows what it has, also where a busy machine puts more into a frame.
fn plans() -> [Vec<(&'static str, usize)>; 3] {
    let lives = |first: (&'static str, usize), others: &[(&'static str, usize)], count: usize| {
        let others = others.iter().cycle().take(count - 1).copied();
        [first].into_iter().chain(others).collect::<Vec<_>>()
    };
    [
        lives(("Write", 110), &[("Sync", 65), ("Write", 78), ("Send", 1), ("Sync", 74)], 20),
        lives(
            ("Write", 200),
            &[("Send", 32), ("Sync", 200), ("Stream", 3), ("Write", 145), ("Reply", 30)],
            20,
        ),
        lives(("Write", 60), &[("Sync", 8), ("Write", 40), ("Sync", 9), ("Send", 1)], 10),
    ]
}

/// Serves a node as the demo asks for one, and again whenever it was killed.
fn server(world: &World) -> String {
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n\
         # serve --dir NAME --policy-clock driven\n\
         export {SERVED}=\"$PWD/$3\"\n\
         trap 'kill -TERM \"$child\"' TERM\n\
         while :; do\n\
           \"{}\" --exact mortal::served --test-threads=1 >>\"$3.said\" 2>&1 &\n\
           child=$!\n\
           while [ -z \"$known\" ] && kill -0 \"$child\"; do\n\
             [ -e \"$3.doors\" ] && cat \"$3.doors\" && known=yes || sleep 0.01\n\
           done\n\
           wait \"$child\"; code=$?\n\
           while kill -0 \"$child\" 2>/dev/null; do wait \"$child\"; code=$?; done\n\
           [ \"$code\" -eq 137 ] || exit \"$code\"\n\
           echo killed >>\"$3.kills\"\n\
         done\n",
        program.display()
    );
    world.write("server", script.as_bytes());
    let path = world.path("server");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A finding: turbine, first row, and the row by which it was found.
type Finding = (String, Timestamp, Timestamp);

/// What the rule finds in the rows that the contract shows, worked out from the file apart from any
/// node.
fn expected() -> Vec<Finding> {
    let wind = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wind");
    let text = |name: &str| std::fs::read_to_string(wind.join(name)).unwrap();
    let file: RuleFile = toml::from_str(&text("power-loss.rule.toml")).unwrap();
    let map = Map::parse(&text("wind-turbine.map.toml")).unwrap();
    let open = Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]").unwrap();
    let rows = wind.join("la-haute-borne-2015-05-to-07.csv.gz");
    let mut samples = Vec::new();
    for reading in Rows::open(&rows, &map, |_| ()).unwrap() {
        let Reading::Observation(row) = reading.unwrap() else { continue };
        let value = |name: &str| {
            let value = row.values.iter().find(|(known, _)| known == name);
            Milli::parse(&value.unwrap().1).unwrap()
        };
        if open.contains(row.phen_start) {
            let (drive, output) = (value("wind_speed"), value("power"));
            let (twin, at) = (row.twin.to_string(), row.phen_start);
            let keep_until = Some(at.plus_seconds(COPIES_S));
            samples.push(Sample { twin, at, drive, output, keep_until });
        }
    }
    samples.sort_by_key(|sample| sample.at);
    let mut detector = Detector::new(Rule::new(&file).unwrap());
    let mut found = Vec::new();
    for hour in samples.chunk_by(|a, b| a.at.seconds() / 3_600 == b.at.seconds() / 3_600) {
        detector.forget(hour[0].at);
        let new = detector.take(hour.iter().cloned()).unwrap();
        found.extend(new.into_iter().map(|one| (one.twin.clone(), one.since, one.at())));
    }
    found
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}

/// What has to hold of every run: nothing lost, nothing twice, none left waiting.
fn check(world: &World, report: &Value) {
    let run = &report["run"];
    assert_eq!((run["recorded"].as_u64(), run["shown"].as_u64()), (Some(ROWS.0), Some(ROWS.1)));
    let finding = |one: &Value| {
        (one["twin"].as_str().unwrap().to_owned(), time(&one["first"]), time(&one["found"]))
    };
    let found: Vec<Finding> = run["findings"].as_array().unwrap().iter().map(finding).collect();
    assert_eq!(found, expected());
    let mut seen = BTreeSet::new();
    for one in run["incidents"].as_array().unwrap() {
        for asked in one["containments"].as_array().unwrap() {
            assert_eq!((&asked["state"], &asked["driven"]), (&"confirmed".into(), &true.into()));
            assert_eq!(asked["answers"].as_array().unwrap().len(), 1, "{asked}");
            assert_eq!(asked["answers"][0]["automatic"], true);
            assert_eq!(asked["answers"][0]["driven"], true);
            if !asked["seen"].is_null() {
                assert!(seen.insert(asked["seen"].to_string()), "twice: {one}");
            }
        }
    }
    assert_eq!(seen.len(), found.len());
    let copies = &report["copies"];
    assert_eq!((copies["left"].as_u64(), &copies["receipts"]), (Some(0), &copies["got"]));
    let (got, gone) = (copies["got"].as_u64(), copies["gone_before"].as_u64());
    assert!(gone > Some(0) && gone < got, "{copies}");
    let twins = world.json("twin list --dir kept/operator");
    let facts = twins.as_array().unwrap().iter().map(|twin| twin["facts"].as_u64().unwrap());
    assert_eq!(facts.sum::<u64>(), ROWS.0);
    for node in NODES {
        let found = world.json(&format!("check --dir kept/{node}"));
        let harm = (&found["wrong"], &found["torn"]);
        assert_eq!(harm, (&0.into(), &Value::Null), "{node}: {found}");
    }
}

#[test]
fn a_fault_is_found_traced_and_contained_and_all_of_it_is_proven() {
    let world = World::empty();
    let report = world.json("demo --auto-confirm --keep kept");
    check(&world, &report);
    // The stop of July: seen first when the week begins, contained within two hours of that.
    let of_july = |one: &&Value| {
        let seen = &one["seen"];
        seen["twin"] == "urn:turbine:R80711" && time(&seen["first"]) == monday("07:00")
    };
    let incidents = report["run"]["incidents"].as_array().unwrap();
    let asked = incidents.iter().flat_map(|one| one["containments"].as_array().unwrap());
    let stop = asked.clone().find(of_july).unwrap();
    assert!(time(&stop["opened"]) <= monday("09:00"), "{stop}");
    // Of the other turbine with a board of that lot only the supplier has told, and permits it.
    let sibling = json!(["urn:turbine:R80790"]);
    assert!(asked.clone().any(|one| one["asked_of"] == "did:web:operator.example"
        && one["seen"].is_null()
        && one["twins"] == sibling));
    // It began on the weekend before, by rows that only the operator has.
    let began = time(&stop["answers"][0]["began"]);
    assert!(began < monday("00:00"), "{began}");
    measured(&report["kpis"], stop, began);
    let number = |pointer: &str| report["kpis"].pointer(pointer).and_then(Value::as_f64).unwrap();
    for share in
        ["/maker/freshness/attained", "/operator/values/share_kept", "/maker/bytes/share_used"]
    {
        assert!((0.0..=1.0).contains(&number(share)), "{share}");
    }
    assert!(number("/operator/reconstruct_ms") > 0.0);
    // An outsider has the whole of it, from the folder alone.
    let proof = &report["proof"];
    let nothing = (&proof["forked"], &proof["unused"]);
    assert_eq!((&proof["holds"], nothing), (&true.into(), (&json!([]), &json!([]))));
    assert_eq!(whats(proof).into_iter().collect::<BTreeSet<_>>(), KINDS.into());
    // The verifier that shares no code with this one tells the same.
    let (done, story) = told_to(&world, "kept/story", "kept/trust.toml");
    assert_eq!((done.code, whats(&story)), (0, whats(proof)), "{done:?}");
    // What the weekend would have been worth.
    let question = &report["question"];
    assert!(time(&question["found_wider"]) < time(&question["found"]), "{question}");
    assert!(question["sooner_s"].as_i64() > Some(12 * 3_600), "{question}");
    let denied = report["denied"].as_array().unwrap().iter();
    let codes: Vec<&str> = denied.map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["policy.schedule", "policy.purpose", "policy.place", "policy.purpose"]);
    nothing_is_left(&world);
    for file in report["reports"].as_array().unwrap() {
        let page = std::fs::read_to_string(file.as_str().unwrap()).unwrap();
        assert!(page.contains("<svg") && !page.contains("<script"));
    }
}

/// What both count of the incident with that containment, which began then.
fn measured(kpis: &Value, asked: &Value, began: Timestamp) {
    let of = |node: &str| {
        let mut all = kpis[node]["incidents"].as_array().unwrap().iter();
        let is_it =
            |one: &&Value| one["containments"].to_string().contains(&asked["id"].to_string());
        all.find(is_it).unwrap().clone()
    };
    let (maker, operator) = (of("maker"), of("operator"));
    for name in ["twin", "began", "first", "found", "opened", "automatic"] {
        assert!(!maker[name].is_null() && maker[name] == operator[name], "{name}: {operator}");
    }
    assert_eq!((time(&maker["began"]), &maker["opened"]), (began, &asked["opened"]));
    assert!(time(&maker["found"]) <= time(&maker["opened"]), "{maker}");
    let seconds = |name: &str| {
        let [ours, theirs] = [&operator, &maker].map(|one| one[name].as_i64());
        assert_eq!(ours, theirs, "{name}: {operator} {maker}");
        ours.unwrap()
    };
    let [since_began, since_visible, price] =
        ["detect_since_began_s", "detect_since_visible_s", "price_of_policy_s"].map(seconds);
    let from = |start: Timestamp| time(&asked["opened"]).seconds() - start.seconds();
    assert_eq!((since_began, since_visible), (from(began), from(time(&asked["seen"]["first"]))));
    // Known two hours after it was shown, and a night before that it was not shown.
    assert!((1..=7_200).contains(&since_visible) && price > 12 * 3_600, "{maker}");
    assert_eq!(price, since_began - since_visible);
    // The operator knows its own containments; the maker waits for the supplier too.
    let took = [&operator, &maker].map(|one| one["contain_s"].as_i64().unwrap());
    assert!(0 <= took[0] && took[0] <= took[1] && took[1] <= 3_600, "{took:?}");
    assert_eq!(maker["automatic"], true);
}

/// That time of Monday 27 July 2015 in Paris.
fn monday(clock: &str) -> Timestamp {
    Timestamp::parse(&format!("2015-07-27T{clock}:00+02:00")).unwrap()
}

#[test]
fn three_nodes_are_killed_fifty_times_and_the_demo_ends_as_ever() {
    let world = World::empty();
    let server = server(&world);
    std::fs::create_dir(world.path("kept")).unwrap();
    let mut planned = 0;
    for (node, lines) in NODES.into_iter().zip(plans()) {
        planned += lines.len();
        let text: String = lines.iter().map(|(moment, n)| format!("{moment} {n}\n")).collect();
        world.write(&format!("kept/{node}.plan"), text.as_bytes());
    }
    assert_eq!(planned, KILLS);
    let line = format!("demo --auto-confirm --once --keep kept --serve-with {server}");
    let report = world.json(&line);
    let killed = |node: &str| {
        let path = world.path(&format!("kept/{node}.kills"));
        std::fs::read_to_string(path).unwrap_or_default().lines().count()
    };
    let kills: Vec<usize> = NODES.into_iter().map(killed).collect();
    assert_eq!(kills.iter().sum::<usize>(), KILLS, "{kills:?}");
    check(&world, &report);
}
