//! What `incident export` does when it cannot have all that belongs to an incident.

use crate::federation::{PURPOSE, Pair};
use crate::story::{contained, told};
use crate::world::World;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

const AFTERWARDS: &str = "2015-07-28T10:00:00+02:00";

/// What becomes of a request on its way to the node: another, or nothing.
type Change = fn(&str) -> Option<String>;

/// Makes the folder `between`, whose node is the operator's, but requests are changed on their way.
fn stand_between(world: &World, change: Change) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let text = std::fs::read(world.path("operator/admin.json")).unwrap();
    let mut file: Value = serde_json::from_slice(&text).unwrap();
    let node = file["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    file["url"] = format!("http://{here}").into();
    std::fs::create_dir_all(world.path("between")).unwrap();
    world.write("between/admin.json", file.to_string().as_bytes());
    std::thread::spawn(move || {
        for from in listener.incoming() {
            pass(&from.unwrap(), (&here, &node), change);
        }
    });
}

/// Hands one request on, and its answer back. Whoever exports only asks, so none has a body.
fn pass(from: &TcpStream, (here, node): (&str, &str), change: Change) {
    let lines = BufReader::new(from).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let Some(head) = change(&lines.join("\r\n")) else { return };
    let mut to = TcpStream::connect(node).unwrap();
    let head = head.replace(here, node);
    to.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut back = from;
    std::io::copy(&mut to, &mut back).unwrap();
}

/// Exports the incident and holds what is left out, and why, against `expect`; the kinds of the
/// proofs that are there all the same.
fn check(pair: &Pair, id: &str, dir: &str, folder: &str, expect: &[(&str, &str)]) -> Vec<String> {
    let world = &pair.world;
    let done = world.run(&format!("--json incident export {id} --out {folder} --dir {dir}"));
    let wanted = if expect.is_empty() { (0, "") } else { (11, "proof.missing") };
    assert_eq!((done.code, done.error()), wanted, "{folder}: {done:?}");
    let index = serde_json::from_str::<Value>(&done.stdout).unwrap()["index"].clone();
    let left_out = index["left_out"].as_array().unwrap();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let got: Vec<_> = left_out.iter().map(|one| (text(one, "kind"), text(one, "code"))).collect();
    let got: Vec<_> = got.iter().map(|(kind, code)| (kind.as_str(), code.as_str())).collect();
    assert_eq!(got, expect, "{folder}");
    for (kind, code) in expect {
        let said = done
            .stderr
            .lines()
            .any(|line| line.starts_with(&format!("not exported: {kind} ")) && line.contains(code));
        assert!(said, "{folder}: {done:?}");
    }
    let kept = std::fs::read(world.path(&format!("{folder}/story-operator.example.json"))).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), index, "{folder}");
    let (done, story) = told(world, folder);
    assert_eq!((done.code, &story["holds"]), (0, &json!(true)), "{folder}: {done:?}");
    let mut kinds: Vec<String> =
        index["files"].as_array().unwrap().iter().map(|one| text(one, "kind")).collect();
    kinds.sort();
    kinds
}

#[test]
fn what_cannot_be_had_is_noted_and_the_rest_goes_on() {
    let (pair, id) = contained();
    let whole = ["agreement", "answer", "containment", "decision", "decision", "receipt"];
    assert_eq!(check(&pair, &id, "operator", "whole", &[]), whole);
    let same: Change = |head| Some(head.to_owned());
    // The receipt and a decision are not there, the node does not answer any more, is asked for one
    // decision after another.
    let gone: Change = |head| Some(head.replace("/receipts/", "/receipts/gone-"));
    let gone_too: Change = |head| Some(head.replace("/decisions/", "/decisions/gone-"));
    let events: Change = |head| (!head.starts_with("GET /events/")).then(|| head.to_owned());
    let list: Change = |head| (!head.starts_with("GET /decisions?")).then(|| head.to_owned());
    let one_by_one: Change = |head| Some(head.replace("?limit=1000", "?limit=1"));
    let (unknown, away) = ("decision.unknown", "node.unreachable");
    for (folder, change, expect, without) in [
        ("same", same, &[][..], &[][..]),
        ("one-by-one", one_by_one, &[], &[]),
        ("receipt", gone, &[("receipt", "receipt.unknown")], &["receipt"]),
        ("decisions", gone_too, &[("decision", unknown), ("decision", unknown)], &["decision"]),
        ("events", events, &[("containment", away), ("answer", away)], &["answer", "containment"]),
        ("list", list, &[("decision", away)], &["decision"]),
    ] {
        stand_between(&pair.world, change);
        let mut rest = whole.to_vec();
        rest.retain(|kind| !without.contains(kind));
        assert_eq!(check(&pair, &id, "between", folder, expect), rest, "{folder}");
    }
    // Nothing can be written where a folder has the name of a file.
    let files = pair.world.files("whole");
    let name = |front: &str| {
        let mut all = files.iter().map(|path| path.file_name().unwrap().to_string_lossy());
        all.find(|name| name.starts_with(front)).unwrap().into_owned()
    };
    let taken = pair.world.path(&format!("taken/{}", name("receipt-")));
    std::fs::create_dir_all(&taken).unwrap();
    let line = format!("--json incident export {id} --out taken --dir operator");
    let done = pair.world.run(&line);
    assert_eq!((done.code, done.error()), (11, "proof.missing"), "{done:?}");
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    let left_out = told["index"]["left_out"].as_array().unwrap();
    assert_eq!((left_out.len(), &left_out[0]["code"]), (1, &json!("file.unreadable")));
    assert_eq!(pair.world.files("taken").len(), files.len() - 1);
}

/// Of what was decided before the first row and after the last request it says nothing.
#[test]
fn what_was_refused_at_another_time_is_of_no_incident() {
    let (pair, id) = contained();
    let decisions = |folder: &str| {
        let mut kinds = check(&pair, &id, "operator", folder, &[]);
        kinds.retain(|kind| kind == "decision");
        kinds.len()
    };
    assert_eq!(decisions("then"), 2);
    pair.set_clock(AFTERWARDS);
    let line = format!("pull {} --purpose {PURPOSE} --place US --dir maker", pair.agreement);
    assert_eq!(pair.world.run(&line).error(), "policy.place");
    assert_eq!(pair.world.json("decision list --dir operator").as_array().unwrap().len(), 3);
    assert_eq!(decisions("afterwards"), 2);
}
