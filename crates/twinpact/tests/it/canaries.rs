//! Canaries: what was ingested is readable in no file of the directory, while a node runs and
//! after.

use crate::world::World;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

pub(crate) const TEXT: &str = "canary-4f1c9e7730a2b8d6e";
pub(crate) const NUMBER: &str = "7.123456789012345";
pub(crate) const TWIN: &str = "canary-turbine-5150";

fn needles() -> Vec<Vec<u8>> {
    let number: f64 = NUMBER.parse().unwrap();
    vec![
        TEXT.as_bytes().to_vec(),
        NUMBER.as_bytes().to_vec(),
        number.to_le_bytes().to_vec(),
        number.to_be_bytes().to_vec(),
        TWIN.as_bytes().to_vec(),
    ]
}

/// That no file of the directory shows a canary.
pub(crate) fn search(world: &World, dir: &str, when: &str) {
    let needles = needles();
    let files = world.files(dir);
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for needle in &needles {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{when}: {needle:?} in {}", file.display());
        }
    }
}

/// That the token of the admin door, which a running node has in one file, is in no other one of
/// these directories.
pub(crate) fn search_admin_token(world: &World, dir: &str, others: &[&str]) {
    let admin = world.path(dir).join("admin.json");
    let file: Value = serde_json::from_slice(&std::fs::read(&admin).unwrap()).unwrap();
    let token = file["token"].as_str().unwrap().as_bytes();
    assert!(token.len() >= 32, "{file}");
    let files = std::iter::once(&dir).chain(others).flat_map(|dir| world.files(dir));
    let holds = |file: &std::path::PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        bytes.windows(token.len()).any(|window| window == token)
    };
    assert_eq!(files.filter(holds).collect::<Vec<_>>(), [admin]);
}

/// A page that the admin door of a running node gives to who bears no token.
pub(crate) fn page(world: &World, dir: &str, path: &str) -> String {
    let admin = std::fs::read(world.path(dir).join("admin.json")).unwrap();
    let admin: Value = serde_json::from_slice(&admin).unwrap();
    let address = admin["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut tcp = TcpStream::connect(address).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    page.to_owned()
}

/// That a text which leaves a node shows no canary, and none of these either.
pub(crate) fn search_text(text: &str, more: &[&str], what: &str) {
    for needle in [TEXT, NUMBER, TWIN].iter().chain(more) {
        assert!(!text.contains(needle), "{what}: {needle} in {text}");
    }
}

#[test]
fn nothing_ingested_is_readable_in_any_file() {
    let world = World::with_node();
    let csv = format!("name,time,power,note\n{TWIN},2015-05-01T00:00:00Z,{NUMBER},{TEXT}\n");
    world.write("rows.csv", csv.as_bytes());
    let serving = world.serve();
    let report = world.json("ingest rows.csv --map map.toml --dir node");
    assert_eq!(report["new"], 1);
    // It is there, and only the door shows it.
    let shown = world.run(&format!("twin history urn:turbine:{TWIN} --dir node"));
    assert!(shown.stdout.contains(TEXT) && shown.stdout.contains(NUMBER), "{}", shown.stdout);
    search(&world, "node", "while the node runs");
    search_admin_token(&world, "node", &[]);
    serving.kill();
    search(&world, "node", "after a kill");
    world.run("twin list --dir node");
    search(&world, "node", "after the next start");
}
