//! `docs/witness.md` as it stands: its commands are run in their order, at nodes one of which
//! witnesses the other, and against a log that signs two histories.

use crate::federation::{MONDAY, OPERATOR, PURPOSE, ok};
use crate::trio::{Trio, did};
use crate::world::World;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use twinpact_node::outbox::call;
use twinpact_node::prove;
use twinpact_proof::note::Checkpoint;
use twinpact_proof::record::Record;
use twinpact_proof::witness::Request;

const PAGE: &str = include_str!("../../../../docs/witness.md");

/// The commands of the page, without what is said behind them, and the file that each writes.
fn commands() -> Vec<(String, Option<String>)> {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix("    "));
    let typed = lines.filter(|line| line.starts_with("twinpact ") || line.starts_with("python3 "));
    let command = |line: &str| {
        let line = line.split('#').next().unwrap().trim();
        match line.split_once(" > ") {
            Some((line, file)) => (line.to_owned(), Some(file.to_owned())),
            None => (line.to_owned(), None),
        }
    };
    typed.map(command).collect()
}

/// Runs so many commands of the page, with these words in place of the page's.
#[allow(clippy::print_stderr, reason = "says what was skipped")]
fn run(
    world: &World,
    rest: &mut std::vec::IntoIter<(String, Option<String>)>,
    count: usize,
    words: &[(&str, &str)],
) {
    for (line, file) in rest.take(count) {
        let word = |word: &str| {
            let known = words.iter().find(|(name, _)| *name == word);
            known.map_or(word, |(_, of)| of).to_owned()
        };
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        if words[0] == "twinpact" {
            let done = world.words(&words[1..]);
            assert_eq!(done.code, 0, "{line}: {}", done.stderr);
            file.into_iter().for_each(|file| world.write(&file, done.stdout.as_bytes()));
            continue;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new("python3");
        command.arg(root.join(&words[1])).args(&words[2..]);
        command.current_dir(world.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
        match command.output() {
            Ok(done) => assert!(done.status.success(), "{line}: {done:?}"),
            Err(why) => {
                assert!(std::env::var_os("CI_STRICT").is_none(), "no Python: {why}");
                eprintln!("skipped: {line}, {why}");
            }
        }
    }
}

/// A `log watch` that runs.
struct Watching {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watching {
    fn start(world: &World, line: &str) -> Watching {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinpact"));
        command.args(line.split(' ')).current_dir(world.path("")).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Watching { child, lines }
    }

    /// The next line of that event.
    fn next(&mut self, event: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it has ended");
            let said: Value = serde_json::from_str(&line).unwrap();
            if said["event"] == event {
                return said;
            }
        }
    }

    /// Ctrl-C, and the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

/// The origin of the operator's log.
fn origin(trio: &Trio) -> String {
    let record = prove::own_record(trio.node("operator")).unwrap();
    Record::from_envelope(&record).unwrap().origin
}

/// The operator signs another history of the size that the maker has cosigned, and shows it.
fn fork(trio: &Trio) {
    let (operator, maker) = (trio.node("operator"), did("maker"));
    let (origin, witness) = (origin(trio), trio.node("maker"));
    let last = witness.partition.read(|fold, _| fold.witnessing.get(&origin).cloned());
    let size = last.unwrap().unwrap().checkpoint.size;
    let other = Checkpoint { origin, size, root: [9; 32] };
    let note = other.sign(operator.signer().key());
    let body = Request { old: size, proof: Vec::new(), note }.text().into_bytes();
    let base = trio.endpoint("maker");
    let url = format!("{base}/witness/add-checkpoint");
    let sent = trio.wait(call(operator, &maker, "POST", url, Vec::new(), body, 1 << 16));
    assert_eq!(sent.unwrap().status, 409);
    trio.until("maker", |fold| fold.divergences.iter().next().is_some());
}

#[test]
fn the_page_on_witnesses_runs_as_it_stands() {
    let witnesses = format!("[witnesses]\npartners = [\"{}\"]\n", did("maker"));
    let (trio, [agreement, _]) = Trio::with(MONDAY, &witnesses);
    let world = &trio.world;
    let commands = commands();
    assert_eq!(commands.len(), 9, "{commands:?}");
    let mut rest = commands.into_iter();
    let origin = origin(&trio);
    trio.until("operator", |fold| fold.cosignatures.best(&origin, 1).is_some());
    ok(world, "proof export 0 --out p.twinproof --dir operator");
    ok(world, "trust add operator.json --trust trust.toml");
    let none = world.run("verify p.twinproof --trust trust.toml --require witnessed");
    assert_eq!((none.code, none.error()), (23, "proof.level"));
    run(world, &mut rest, 4, &[("DIR", "maker"), ("PROOF", "p.twinproof")]);
    let policy = ok(world, "trust show --policy --trust trust.toml");
    assert!(policy.stdout.contains("maker.example/witness/"), "{policy:?}");
    world.write("witness.policy", policy.stdout.as_bytes());
    run(world, &mut rest, 1, &[]);
    looked_at(world);
    let mut watching = Watching::start(world, &format!("log watch {OPERATOR} --dir maker"));
    let before = watching.next("cosigned")["log"]["size"].as_u64().unwrap();
    world.json(&format!("pull {agreement} --purpose {} --place FR --dir maker", PURPOSE));
    assert!(watching.next("cosigned")["log"]["size"].as_u64().unwrap() > before);
    fork(&trio);
    let alert = watching.next("alert")["alert"].clone();
    assert_eq!((&alert["grade"], &alert["partner"]), (&"proven".into(), &OPERATOR.into()));
    assert_eq!(watching.interrupt(), Some(0));
    let id = alert["id"].as_str().unwrap();
    assert_eq!(world.json("log alerts --dir maker"), Value::from(vec![alert.clone()]));
    run(world, &mut rest, 4, &[("DIR", "maker"), ("ALERT", id)]);
    assert!(rest.next().is_none());
    // It convicts whom the reader has named, and is nobody's but the operator's.
    let said = world.json("verify fork.json --trust trust.toml");
    assert_eq!((&said["organisation"], &said["level"]), (&OPERATOR.into(), &"signed".into()));
    ok(world, "trust add supplier.json --trust others.toml");
    let others = world.run("verify fork.json --trust others.toml");
    assert_eq!((others.code, others.error()), (23, "proof.unanchored"));
    // The maker takes nothing more from it.
    let refused =
        world.run(&format!("pull {agreement} --purpose {PURPOSE} --place FR --dir maker"));
    assert_eq!(refused.error(), "log.forked", "{refused:?}");
}

/// The table at the end of the page.
fn looked_at(world: &World) {
    for (line, names) in [
        ("show", "log show"),
        ("proof --tick", "log proof --tick N"),
        ("proof --old", "log proof --old N"),
        ("watch", "log watch [PARTNER]"),
    ] {
        assert!(PAGE.contains(&format!("| `twinpact {names}` |")), "{line}");
    }
    let shown = world.json("log show --dir operator");
    let size = shown["own"]["size"].as_u64().unwrap();
    assert_eq!(shown["witnesses"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["alerts"], Value::Array(Vec::new()));
    let seen = world.json("log show --dir maker");
    let partner = |one: &&Value| one["partner"] == OPERATOR;
    let seen = seen["partners"].as_array().unwrap().iter().find(partner).unwrap().clone();
    assert!(seen["cosigned"]["size"].as_u64().unwrap() <= size, "{seen}");
    for (line, said) in [
        ("log proof --tick 0 --dir operator", "(verified)"),
        ("log proof --old 1 --dir operator", "(verified)"),
        ("log show --dir operator", "maker.example"),
    ] {
        let done = ok(world, line);
        assert!(done.stdout.contains(said), "{line}: {}", done.stdout);
    }
    for line in
        [format!("log proof --tick {}", size + 100), format!("log proof --old {}", size + 100)]
    {
        let done = world.run(&format!("{line} --dir operator"));
        assert_eq!((done.code, done.error()), (11, "log.size"), "{line}: {done:?}");
    }
    assert_eq!(world.run("log proof --dir operator").code, 2);
    let none = world.run("log evidence 00000000 --out none.json --dir operator");
    assert_eq!(none.error(), "log.alert", "{none:?}");
    assert!(!world.path("none.json").exists());
}
