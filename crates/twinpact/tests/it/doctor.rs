//! `doctor` against faults that are put in: each is named with its code and a remedy, and is the
//! only alarm; nothing is changed. A full disk, one that cannot be written and a clock behind the
//! log are put in where disk and clock can be simulated: `node::doctor`.

use crate::federation::{Pair, free_port};
use crate::world::World;
use serde_json::Value;
use std::fs::{Permissions, set_permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use twinpact_identity::files::IdentityFiles;
use twinpact_model::{Timestamp, WallTime};

/// What `doctor` says of a directory; it changes nothing there. A node that runs may.
fn look(world: &World, dir: &str) -> (i32, Vec<Value>) {
    let before = world.bytes(dir);
    let done = world.run(&format!("doctor --json --dir {dir}"));
    assert!(dir != "sick" || world.bytes(dir) == before, "doctor has changed {dir}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["healthy"], done.code == 0);
    (done.code, report["findings"].as_array().unwrap().clone())
}

/// The only alarm is this one, and it says what to do.
fn check(world: &World, dir: &str, what: &str, expect: Option<(&str, &str)>, exit: i32) {
    let (code, findings) = look(world, dir);
    let alarms: Vec<&Value> =
        findings.iter().filter(|f| f["state"] == "warning" || f["state"] == "fault").collect();
    let said: Vec<(&str, &str)> = alarms
        .iter()
        .map(|f| (f["code"].as_str().unwrap(), f["state"].as_str().unwrap()))
        .collect();
    assert_eq!(said, expect.into_iter().collect::<Vec<_>>(), "{what}: {findings:?}");
    assert_eq!(code, exit, "{what}: {findings:?}");
    for alarm in alarms {
        assert!(alarm["remedy"].as_str().unwrap().len() > 10, "{what}: {alarm}");
    }
}

/// Something that is put into a copy of a healthy directory, called `sick`.
type Harm = fn(&World);

fn at(world: &World, name: &str) -> std::path::PathBuf {
    world.path("sick").join(name)
}

fn edit(world: &World, name: &str, harm: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(at(world, name)).unwrap();
    harm(&mut bytes);
    std::fs::write(at(world, name), bytes).unwrap();
}

fn configure(world: &World, more: &str) {
    edit(world, "twinpact.toml", |bytes| {
        *bytes = b"organisation = \"did:web:test.localhost\"\nname = \"test\"\n".to_vec();
        bytes.extend(more.as_bytes());
    });
}

/// An issuing CA that was made so many days ago.
fn issued(world: &World, days: i64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = i64::try_from(now.as_secs()).unwrap() - days * 86_400;
    let files = IdentityFiles::new(at(world, "identity"));
    let then = WallTime(Timestamp::from_seconds(then));
    files.renew_issuing(&files.root_key_path(), then).unwrap();
}

const LOG: &str = "log/0000000001.seg";

const HARMS: &[(&str, Harm, &str, &str, i32)] = &[
    (
        "a key file that others can read",
        |w| set_permissions(at(w, "identity/document.key"), Permissions::from_mode(0o644)).unwrap(),
        "identity.exposed",
        "fault",
        10,
    ),
    (
        "a keystore that others can read",
        |w| set_permissions(at(w, "keys/kek"), Permissions::from_mode(0o640)).unwrap(),
        "identity.exposed",
        "fault",
        10,
    ),
    ("an issuing CA that ran out", |w| issued(w, 366), "identity.expired", "fault", 75),
    ("an issuing CA near its end", |w| issued(w, 350), "identity.expiring", "warning", 0),
    (
        "a missing key",
        |w| std::fs::remove_file(at(w, "identity/document.key")).unwrap(),
        "identity.missing",
        "fault",
        10,
    ),
    (
        "an endpoint that is no address",
        |w| configure(w, "[federation]\nendpoint = \"http://twin.example:8443\"\n"),
        "config.endpoint",
        "fault",
        10,
    ),
    (
        "a key of the configuration that is misspelt",
        |w| configure(w, "[federation]\nlisen = \"127.0.0.1:8443\"\n"),
        "config.invalid",
        "fault",
        10,
    ),
    (
        "the keys of another node",
        |w| {
            for name in ["keys/kek", "keys/keystore"] {
                std::fs::copy(w.path("other").join(name), at(w, name)).unwrap();
            }
        },
        "store.foreign",
        "fault",
        10,
    ),
    ("a torn tail", |w| edit(w, LOG, |b| b.extend([7; 99])), "store.torn", "warning", 0),
    ("a damaged log", |w| edit(w, LOG, |b| b[4200] ^= 1), "store.damaged", "fault", 10),
];

#[test]
fn every_harm_is_named_and_nothing_else() {
    let world = World::with_node();
    assert_eq!(world.run("init --dir other --local other").code, 0);
    check(&world, "node", "a healthy node", None, 0);
    for (what, harm, code, state, exit) in HARMS {
        let _ = std::fs::remove_dir_all(world.path("sick"));
        world.copy("node", "sick");
        harm(&world);
        check(&world, "sick", what, Some((code, state)), *exit);
        assert_eq!(world.run(&format!("explain {code}")).code, 0);
    }
    let none = world.run("doctor --dir nowhere");
    assert_eq!((none.code, none.error()), (11, "store.missing"));
}

#[test]
fn a_port_and_a_lock_that_somebody_else_has() {
    let world = World::with_node();
    world.copy("node", "sick");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    configure(&world, &format!("[federation]\nlisten = \"{address}\"\n"));
    check(&world, "sick", "a taken port", Some(("config.port", "fault")), 10);
    drop(taken);
    check(&world, "sick", "a free port", None, 0);
    let lock = std::fs::File::open(at(&world, "lock")).unwrap();
    lock.try_lock().unwrap();
    check(&world, "sick", "a locked directory", Some(("store.locked", "warning")), 0);
}

#[test]
fn beside_a_running_node_its_own_ports_are_no_alarm() {
    let world = World::with_node();
    let port = free_port();
    let federation = |endpoint: u16| {
        let text = format!(
            "organisation = \"did:web:test.localhost\"\nname = \"test\"\n[federation]\n\
             listen = \"127.0.0.1:{port}\"\nendpoint = \"https://127.0.0.1:{endpoint}\"\n"
        );
        world.write("node/twinpact.toml", text.as_bytes());
    };
    federation(port);
    let serving = world.serve();
    check(&world, "node", "a running node", None, 0);
    assert_eq!(serving.stop(), 0);
    federation(free_port());
    let _serving = world.serve();
    let expect = Some(("config.endpoint", "fault"));
    check(&world, "node", "an endpoint where nobody answers", expect, 10);
}

#[test]
fn a_partner_that_is_away_or_another_is_named() {
    let mut pair = Pair::concluded();
    check(&pair.world, "maker", "a partner that answers", None, 0);
    // Its directory, without the node in it.
    pair.stop_maker();
    check(&pair.world, "maker", "the same, asked without a node", None, 0);
    pair.replace_operator();
    let expect = Some(("tls.refused", "fault"));
    check(&pair.world, "maker", "a partner with another certificate", expect, 30);
    pair.stop_operator();
    let expect = Some(("peer.unreachable", "fault"));
    check(&pair.world, "maker", "a partner that is away", expect, 30);
}
