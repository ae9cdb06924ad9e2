//! A witness and a client of the world, both by other people and in another language: litewitness
//! cosigns our checkpoints, and the note library of Go opens what our own witness has cosigned.
//! `tools/witness_peer.sh` (`make witness-peer`) builds them and names their folder in
//! `TWINPACT_WITNESS_PEERS`; without it this says that it is skipped.

use crate::town::{Town, acquaint, furnish, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use twinpact_node::{Node, cosignatures, organisation};
use twinpact_proof::note::Note;
use twinpact_proof::vkey::{Signs, VerifierKey};
use twinpact_proof::witness::Request;
use twinpact_proof::{PublicKey, text64};

const NAME: &str = "witness.twin.example";

fn peers() -> Option<PathBuf> {
    let folder = std::env::var_os("TWINPACT_WITNESS_PEERS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: TWINPACT_WITNESS_PEERS names no folder (make witness-peer)");
    }
    folder
}

/// Processes that end with the test.
struct Ends(Vec<Child>);

impl Drop for Ends {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// litewitness for this log, with a key in an agent of its own. Its key, and where it listens.
fn litewitness(peers: &Path, place: &Path, log: &VerifierKey) -> (Ends, VerifierKey, String) {
    let key = place.join("key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let socket = place.join("agent");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).spawn().unwrap();
    let mut ends = Ends(vec![agent]);
    let mut add = Command::new("ssh-add");
    add.arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null());
    while !add.status().unwrap().success() {
        std::thread::yield_now();
    }
    let said =
        Command::new("ssh-keygen").arg("-lf").arg(key.with_extension("pub")).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let fingerprint = said.split(' ').nth(1).unwrap().to_owned();
    let rows = "import base64, hashlib, sqlite3, sys\n\
        d = sqlite3.connect(sys.argv[1])\n\
        d.executescript('CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, \
        tree_hash TEXT NOT NULL); CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, \
        FOREIGN KEY(origin) REFERENCES log(origin));')\n\
        empty = base64.b64encode(hashlib.sha256(b'').digest()).decode()\n\
        d.execute('INSERT INTO log VALUES (?, 0, ?)', (sys.argv[2], empty))\n\
        d.execute('INSERT INTO key VALUES (?, ?)', (sys.argv[2], sys.argv[3])); d.commit()";
    let database = place.join("db");
    let made = Command::new("python3")
        .args(["-c", rows])
        .arg(&database)
        .args([&log.name, &log.text()])
        .status();
    assert!(made.unwrap().success());
    // A port that is free now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let witness = Command::new(peers.join("litewitness"))
        .arg("-db")
        .arg(&database)
        .args(["-name", NAME, "-key", &fingerprint, "-listen", &address, "-ssh-agent"])
        .arg(&socket)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    ends.0.push(witness);
    while TcpStream::connect(&address).is_err() {
        std::thread::yield_now();
    }
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let blob = text64::decode(public.split(' ').nth(1).unwrap()).unwrap();
    let key = PublicKey::new(*blob.last_chunk::<32>().unwrap());
    (ends, VerifierKey { name: NAME.to_owned(), signs: Signs::Cosignatures, key }, address)
}

/// Status and body of an answer to our request.
fn post(address: &str, request: &Request) -> (u16, String) {
    let body = request.text();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    (status, rest.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The request of a node whose witness has cosigned that size.
fn request(node: &Node, old: u64) -> Request {
    let read = node.partition.read(|_, store| {
        let forest = store.forest();
        let origin = organisation::origin(&node.config.organisation, forest).unwrap();
        let size = forest.ticks();
        let checkpoint = forest.checkpoint(&origin, size - 1).unwrap();
        let proof = forest.anchor_consistency(old, size).unwrap();
        Request { old, proof, note: checkpoint.sign(node.signer().key()) }
    });
    read.unwrap()
}

fn log_key(node: &Node) -> VerifierKey {
    let name = Note::parse(&request(node, 0).note).unwrap().checkpoint.origin;
    VerifierKey { name, signs: Signs::Log, key: node.signer().public() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_of_the_world_cosigns_our_checkpoints() {
    let Some(peers) = peers() else { return };
    let town = Town::new(&[("operator", &[])]);
    let operator = town.open("operator", "operator").await;
    furnish(&operator).await;
    let node = operator.node();
    node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let (ends, witness, address) = litewitness(&peers, place.path(), &log_key(node));
    let mut old = 0;
    for _ in 0..3 {
        let asked = request(node, old);
        let (status, lines) = post(&address, &asked);
        assert_eq!(status, 200, "{lines}");
        let note = Note::parse(&format!("{}{lines}", asked.note)).unwrap();
        let holds = |line| note.cosigned_by(line, &witness.name, &witness.key).is_some();
        assert!(note.signatures.iter().any(holds), "{lines}");
        old = note.checkpoint.size;
        crate::log_forks::live(&operator).await;
    }
    // What is behind is told the size, in both witnesses the same way.
    assert_eq!(post(&address, &request(node, 1)), (409, format!("{old}\n")));
    let stranger = Request {
        note: request(node, old).note.replace("operator", "stranger"),
        ..request(node, old)
    };
    assert_eq!(post(&address, &stranger).0, 404);
    drop(ends);
    operator.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_world_opens_what_our_witness_cosigned() {
    let Some(peers) = peers() else { return };
    let town = Town::new(&[("operator", &["maker"]), ("maker", &[])]);
    let operator = town.open("operator", "operator").await;
    let maker = town.open("maker", "maker").await;
    acquaint(&[&operator, &maker]).await;
    furnish(&operator).await;
    town.route("operator", "maker", &maker);
    let size = crate::log_forks::live(&operator).await;
    let lag = |node: &Node| cosignatures::lags(node, node.clocks.wall()).unwrap().remove(0);
    until(&operator, |node| lag(node).last.is_some_and(|last| last.size >= size)).await;
    let note = request(operator.node(), 0).note + &lag(operator.node()).last.unwrap().line;
    let witness = twinpact_node::log_view::show(maker.node(), None).await.unwrap().witness_key;
    let mut opened = Command::new(peers.join("cosignature"))
        .args([log_key(operator.node()).text(), witness.clone()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    opened.stdin.take().unwrap().write_all(note.as_bytes()).unwrap();
    let said = opened.wait_with_output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "{text}\n{note}\n{witness}");
    assert!(text.contains(&format!("signed by {}", witness.split('+').next().unwrap())), "{text}");
    operator.close().await;
    maker.close().await;
}
