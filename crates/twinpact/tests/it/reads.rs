//! Every command, whether it reads or changes something, and of each one that reads: with `--json`
//! stdout is one JSON document and nothing else.

use crate::canaries::TWIN;
use crate::federation::{PURPOSE, Pair};
use crate::tree;
use crate::world::World;
use serde_json::{Value, json};

const RULE: &str = include_str!("../../../../examples/wind/power-loss.rule.toml");

const AGREEMENT: &str = r#"{"@type": "Agreement", "@id": "urn:a", "target": "urn:t",
    "assigner": "did:web:a", "assignee": "did:web:b", "permission": [{"action": "use"}]}"#;

/// What a command does.
pub(crate) enum Kind {
    /// It changes something, or runs until it is told to stop.
    Change,
    /// It only tells: its arguments in this test.
    Read(String),
    /// It prints a script for a shell, in no other form.
    Script,
}

use Kind::{Change, Script};

fn read(arguments: impl Into<String>) -> Kind {
    Kind::Read(arguments.into())
}

/// All commands. A new one needs a row here.
fn table(
    agreement: &str,
    receipt: &str,
    decision: &str,
    incident: &str,
    containment: &str,
) -> Vec<(&'static str, Kind)> {
    vec![
        ("init", Change),
        ("serve", Change),
        ("ready", read("--dir operator")),
        ("model apply", Change),
        ("model list", read("--dir operator")),
        ("model guess", Change),
        ("ingest", Change),
        ("twin list", read("--dir operator")),
        ("twin show", read(format!("urn:turbine:{TWIN} --dir operator"))),
        ("twin history", read(format!("urn:turbine:{TWIN} --dir operator"))),
        ("twin as-of", read(format!("urn:turbine:{TWIN} 2099-01-01T00:00:00Z --dir operator"))),
        ("erase", Change),
        ("erasure list", read("--dir operator")),
        ("erasure show", read("urn:turbine:gone --dir operator")),
        ("copy list", read("--dir maker")),
        ("copy show", read(format!("{receipt} --purpose {PURPOSE} --place FR --dir maker"))),
        ("link set", Change),
        ("link retract", Change),
        ("link list", read("--dir operator")),
        ("graph walk", read(format!("urn:turbine:{TWIN} --dir operator"))),
        ("contract new", Change),
        ("contract lint", read("contract.odcs.yaml")),
        ("contract publish", Change),
        ("contract show", read("--dir operator")),
        ("partner add", Change),
        ("partner list", read("--dir operator")),
        ("partner remove", Change),
        ("invite", Change),
        ("join", Change),
        ("invitation list", read("--dir operator")),
        ("invitation withdraw", Change),
        ("catalog", read("did:web:operator.example --dir maker")),
        ("negotiate", Change),
        ("pull", Change),
        ("fetch", Change),
        ("follow", Change),
        ("subscription list", read("--dir maker")),
        ("subscription receipts", read(format!("{agreement} --dir maker"))),
        ("subscription end", Change),
        ("agreement list", read("--dir maker")),
        ("agreement show", read(format!("{agreement} --dir maker"))),
        ("agreement export", Change),
        ("agreement identity", read("agreement.json")),
        ("agreement revoke", Change),
        ("receipt list", read("--dir maker")),
        ("receipt show", read(format!("{receipt} --dir maker"))),
        ("receipt export", Change),
        ("decision list", read("--dir operator")),
        ("decision show", read(format!("{decision} --dir operator"))),
        ("incident list", read("--dir maker")),
        ("incident show", read(format!("{incident} --dir maker"))),
        ("watch", Change),
        ("incident open", Change),
        ("incident report", Change),
        ("incident began", read(format!("{containment} --rule rule.toml --dir operator"))),
        ("incident export", Change),
        ("incident confirm", Change),
        ("incident refuse", Change),
        ("incident release", Change),
        ("kpi", read("--dir operator")),
        ("log show", read("--dir operator")),
        ("log proof", read("--tick 1 --dir operator")),
        ("log alerts", read("--dir operator")),
        ("log watch", Change),
        ("log evidence", Change),
        ("decision export", Change),
    ]
}

/// Those with which a person takes over a negotiation or a transfer.
fn by_a_person(pid: &str, transfer: &str) -> Vec<(&'static str, Kind)> {
    vec![
        ("negotiation list", read("--dir maker")),
        ("negotiation show", read(format!("{pid} --dir maker"))),
        ("negotiation offer", Change),
        ("negotiation accept", Change),
        ("negotiation counter", Change),
        ("negotiation terminate", Change),
        ("transfer list", read("--dir maker")),
        ("transfer show", read(format!("{transfer} --dir maker"))),
        ("transfer suspend", Change),
        ("transfer resume", Change),
        ("transfer complete", Change),
        ("transfer terminate", Change),
        ("why", read(format!("{pid} --dir maker"))),
    ]
}

/// Those that have to do with no partner.
fn alone() -> Vec<(&'static str, Kind)> {
    vec![
        ("clock show", read("--dir operator")),
        ("clock set", Change),
        ("proof export", Change),
        ("trust export", read("--dir operator")),
        ("trust add", Change),
        ("trust show", read("--trust trust.toml")),
        ("key claims", read("--dir operator")),
        ("key list", read("--dir operator")),
        ("key rotate", Change),
        ("ca renew", Change),
        ("restore", Change),
        ("check", read("--dir still")),
        ("doctor", read("--dir operator")),
        ("verify", read("r.twinproof --trust trust.toml")),
        ("explain", read("store.damaged")),
        ("config show", read("--dir operator --origin")),
        ("completions", Script),
        ("demo", Change),
    ]
}

/// All commands over this pair, once it has pulled and written what some of them read.
pub(crate) fn commands(pair: &Pair) -> Vec<(&'static str, Kind)> {
    let world = &pair.world;
    let pulled = pair.pull();
    let receipt = pulled["receipts"][0].as_str().unwrap();
    let decisions = world.json("decision list --dir operator");
    let decision = decisions[0]["id"].as_str().unwrap();
    world.json("trust add operator.json --trust trust.toml");
    world.json(&format!("receipt export {receipt} --out r.twinproof --dir maker"));
    assert_eq!(world.run("init --dir still --local still").code, 0);
    let open = json!({
        "name": "loss",
        "story": {},
        "containments": [{
            "agreement": pair.agreement,
            "twins": [format!("urn:turbine:{TWIN}")],
            "measure": "inspect",
            "reason": "it may fail",
            "receipts": [receipt],
            "seen": {
                "twin": format!("urn:turbine:{TWIN}"),
                "first": "2015-07-24T10:00:00Z",
                "found": "2015-07-24T16:50:00Z",
            },
        }],
    });
    let row = "name,time,power,pitch,wind,note\ngone,2015-07-21T05:00:00Z,1,1,8,x\n";
    world.write("gone.csv", row.as_bytes());
    assert_eq!(world.json("ingest gone.csv --map map.toml --dir operator")["new"], 1);
    world.json("erase urn:turbine:gone --basis asked-for --yes --dir operator");
    world.write("rule.toml", RULE.as_bytes());
    world.write("agreement.json", AGREEMENT.as_bytes());
    world.write("incident.json", open.to_string().as_bytes());
    let opened = world.json("incident open incident.json --dir maker");
    let incident = opened["id"].as_str().unwrap();
    let follow = format!("follow {} --purpose {PURPOSE} --place FR", pair.agreement);
    world.json(&format!("{follow} --from-start --dir maker"));
    let shown = world.json(&format!("incident show {incident} --dir maker"));
    let containment = shown["containments"][0]["id"].as_str().unwrap();
    let negotiations = world.json("negotiation list --dir maker");
    let pid = negotiations[0]["pid"].as_str().unwrap();
    let mut all = table(&pair.agreement, receipt, decision, incident, containment);
    let transfers = world.json("transfer list --dir maker");
    all.extend(by_a_person(pid, transfers[0]["pid"].as_str().unwrap()));
    all.extend(alone());
    all
}

#[test]
fn every_read_prints_one_json_document_and_nothing_else() {
    let pair = Pair::concluded();
    let world = &pair.world;
    let table = commands(&pair);
    let mut listed: Vec<&str> = table.iter().map(|(words, _)| *words).collect();
    let mut there: Vec<String> =
        tree::commands(world).into_iter().filter(|c| !c.group).map(|c| c.words).collect();
    listed.sort_unstable();
    there.sort_unstable();
    assert_eq!(listed, there, "the table is to name every command, and no other one");
    for (words, kind) in &table {
        check(world, words, kind);
    }
}

fn check(world: &World, words: &str, kind: &Kind) {
    let help = world.run(&format!("{words} --help")).stdout;
    assert!(help.contains("--json"), "{words}: {help}");
    let Kind::Read(arguments) = kind else { return };
    let done = world.run(&format!("{words} {arguments} --json"));
    assert_eq!(done.code, 0, "{words}: {}", done.stderr);
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_default();
    assert!(document.is_object() || document.is_array(), "{words}: {}", done.stdout);
}

#[test]
fn completions_are_loaded_by_the_shells_that_are_here() {
    let world = World::empty();
    for (shell, name) in [("bash", "_twinpact"), ("zsh", "_twinpact"), ("fish", "twinpact")] {
        let script = world.run(&format!("completions {shell}"));
        assert_eq!((script.code, script.stderr.as_str()), (0, ""));
        for word in [name, "decision", "publish", "--origin"] {
            let found = script.stdout.contains(word.trim_start_matches('-'));
            assert!(found, "{shell} does not know {word}");
        }
        world.write("script", script.stdout.as_bytes());
        // `-n` reads a script without running it; all three shells have it.
        match std::process::Command::new(shell).arg("-n").arg(world.path("script")).output() {
            Ok(read) => assert!(read.status.success(), "{shell}: {read:?}"),
            Err(why) => eprintln!("skipped: {shell} is not here ({why})"),
        }
    }
    // What bash offers after a word, by the script itself.
    world.write("completions.sh", world.run("completions bash").stdout.as_bytes());
    let ask = "source ./completions.sh; COMP_WORDS=(twinpact decision ''); COMP_CWORD=2; \
               _twinpact twinpact '' decision; echo ${COMPREPLY[@]}";
    let mut bash = std::process::Command::new("bash");
    match bash.args(["--norc", "-c", ask]).current_dir(world.path("")).output() {
        Ok(offered) => {
            let words = String::from_utf8(offered.stdout).unwrap();
            assert!(words.contains("list") && words.contains("show"), "{words}");
        }
        Err(why) => eprintln!("skipped: bash is not here ({why})"),
    }
    assert_eq!(world.run("completions csh").code, 2);
}

#[test]
fn a_setting_says_where_it_comes_from() {
    let world = World::with_node();
    let text = "organisation = \"did:web:test.localhost\"\nname = \"test\"\n[federation]\n\
        listen = \"127.0.0.1:8443\"\n";
    world.write("node/twinpact.toml", text.as_bytes());
    let origin = |settings: &Value, key: &str| {
        let all = settings.as_array().unwrap();
        all.iter().find(|setting| setting["key"] == key).unwrap()["origin"].clone()
    };
    let shown = world.json("config show --origin --dir node");
    for (key, expect) in [
        ("dir", "flag --dir"),
        ("organisation", "twinpact.toml:1"),
        ("federation.listen", "twinpact.toml:4"),
        ("admin.listen", "default"),
        ("assertions.purpose", "default"),
    ] {
        assert_eq!(origin(&shown, key), expect, "{key}");
    }
    let by = world.run_with("config show --origin --json", &[("TWINPACT_DIR", "node")]);
    let by: Value = serde_json::from_str(&by.stdout).unwrap();
    assert_eq!(origin(&by, "dir"), "environment TWINPACT_DIR");
    let plain = world.run("config show --dir node");
    assert!(plain.stdout.contains("federation.listen"), "{}", plain.stdout);
    assert!(!plain.stdout.contains("origin"), "{}", plain.stdout);
    world.write("node/twinpact.toml", text.replace("listen", "lisen").as_bytes());
    let wrong = world.run("config show --dir node");
    assert_eq!((wrong.code, wrong.error()), (10, "config.invalid"));
    assert!(wrong.stderr.contains("line 4") && wrong.stderr.contains("did you mean \"listen\"?"));
    let none = world.run("config show --dir nowhere");
    assert_eq!((none.code, none.error()), (11, "store.missing"));
}

#[test]
fn the_codes_are_listed_and_the_nearest_is_named() {
    let world = World::empty();
    let listed = world.json("explain --list");
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap()).collect();
    let all: Vec<&str> = twinpact_model::codes::ALL.iter().map(|code| code.name).collect();
    assert_eq!(names, all);
    let near = world.run("explain store.damagd");
    assert!(near.stderr.contains("did you mean store.damaged?"), "{}", near.stderr);
    let far = world.run("explain zzzzzzzzzz");
    assert!(far.stderr.contains("explain --list"), "{}", far.stderr);
    assert_eq!(world.json("explain store.damaged")["exit"], 10);
    assert_eq!(world.run("explain").code, 2);
}
