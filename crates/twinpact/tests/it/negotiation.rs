//! `docs/negotiations.md` as it stands: each of its commands is run at a node that decides by hand.

use crate::federation::{INGEST, OPERATOR, PUBLISH, make, ok, prepare};
use crate::world::World;
use serde_json::{Value, json};
use twinpact_gateway::Running;
use twinpact_node::api::AdminFile;
use twinpact_node::{Node, PolicyClock, open};
use twinpact_testkit::free_port;

const PAGE: &str = include_str!("../../../../docs/negotiations.md");
const MAKER: &str = "did:web:maker.example";

/// The commands of the page.
fn commands() -> Vec<&'static str> {
    PAGE.lines().filter_map(|line| line.strip_prefix("    twinpact ")).collect()
}

/// The setting of the page.
fn setting() -> String {
    let lines = PAGE.lines().skip_while(|line| *line != "    [negotiation]").take(2);
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

/// The node of a directory in this process, for commands in others.
async fn serving(world: &World, dir: &str) -> Running {
    let path = world.path(dir);
    let parts = open::open(&path, PolicyClock::System).await.unwrap();
    let running = Running::start(parts).await.unwrap();
    let url = format!("http://{}", running.admin.address);
    let file = AdminFile { url, token: running.admin.token.clone(), pid: std::process::id() };
    std::fs::write(path.join("admin.json"), json!(file).to_string()).unwrap();
    running
}

/// The newest negotiation in that state, as soon as there are so many.
async fn newest(node: &Node, state: &str, many: usize) -> String {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        let found = node.partition.read(|fold, _| {
            let all = fold.processes.negotiations.values().filter(|n| n.state.name() == state);
            let mut all: Vec<_> = all.map(|n| (n.since, n.party.own_pid.clone())).collect();
            all.sort();
            (all.len() >= many).then(|| all.pop().unwrap().1)
        });
        if let Some(pid) = found.unwrap() {
            return pid;
        }
        changes.changed().await.unwrap();
    }
}

/// A negotiation that the maker opens and that waits for the operator, and a command of the page
/// about it; what the command prints with `--json`.
async fn about(world: &World, node: &Node, command: &str) -> Value {
    let asking = world.begin(&format!("negotiate {OPERATOR} --another --dir maker"));
    let pid = newest(node, "REQUESTED", 1).await;
    let shown = world.json(&format!("negotiation show {pid} --dir operator"));
    assert_eq!(shown["choices"], json!(["accept", "counter", "terminate"]));
    world.write("terms.json", shown["policy"].to_string().as_bytes());
    let told = ok(world, &command.replace("PID", &pid));
    assert!(told.stdout.contains(&pid) && told.stderr.contains("next: twinpact "), "{told:?}");
    drop(asking);
    world.json(&format!("negotiation show {pid} --dir operator"))
}

/// A command of the page that offers a view unasked, and the maker that accepts it.
async fn unasked(world: &World, maker: &Node, command: &str) {
    let published = world.json("contract show --dir operator");
    let view = published[0]["view"].as_str().unwrap();
    let told = ok(world, &command.replace("VIEW", view));
    assert!(told.stdout.contains("OFFERED") && told.stderr.contains("next: twinpact why "));
    let pid = newest(maker, "OFFERED", 1).await;
    ok(world, &format!("negotiation accept {pid} --dir maker"));
}

/// A transfer that the maker opens, whatever it is given over it, or the one that runs, and a
/// command of the page about it.
async fn about_transfer(world: &World, node: &Node, command: &str) {
    let agreement = world.json("agreement list --dir maker")[0]["id"].clone();
    let agreement = agreement.as_str().unwrap();
    let purpose = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
    if ["list", "terminate"].iter().any(|verb| command.contains(verb)) {
        world.run(&format!("pull {agreement} --purpose {purpose} --place FR --dir maker"));
    }
    let all = world.json("transfer list --dir operator");
    let open = |one: &&Value| one["state"] == "STARTED" || one["state"] == "SUSPENDED";
    let pid = all.as_array().unwrap().iter().find(open).unwrap()["pid"].clone();
    let pid = pid.as_str().unwrap();
    let told = ok(world, &command.replace("PID", pid));
    assert!(told.stdout.contains(pid) && told.stderr.contains("next: twinpact "), "{told:?}");
    let mut changes = node.partition.changes();
    while node.partition.read(|fold, _| fold.processes.unacknowledged(pid).is_some()).unwrap() {
        changes.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_do_what_it_says() {
    let world = World::empty();
    let ports = (free_port(), free_port());
    make(&world, "operator", OPERATOR, ports.0, ports.1);
    make(&world, "maker", MAKER, ports.1, ports.0);
    prepare(&world);
    for command in [INGEST, PUBLISH] {
        ok(&world, command);
    }
    let path = "operator/twinpact.toml";
    let config = std::fs::read_to_string(world.path(path)).unwrap();
    world.write(path, format!("{config}{}", setting()).as_bytes());
    let (operator, maker) = (serving(&world, "operator").await, serving(&world, "maker").await);
    for (us, other) in [("operator", "maker"), ("maker", "operator")] {
        let record = ok(&world, &format!("trust export --dir {other}"));
        world.write(&format!("{other}.json"), record.stdout.as_bytes());
        ok(&world, &format!("partner add {other}.json --dir {us}"));
    }
    let node = operator.parts.node.clone();
    let mut concluded = 0;
    for command in commands() {
        if command.starts_with("negotiation list") {
            ok(&world, command);
            continue;
        }
        if command.starts_with("transfer ") {
            about_transfer(&world, &node, command).await;
            continue;
        }
        concluded += 1;
        if command.starts_with("negotiation offer") {
            unasked(&world, &maker.parts.node, command).await;
            newest(&node, "FINALIZED", concluded).await;
            continue;
        }
        let after = about(&world, &node, command).await;
        if command.contains(" terminate ") {
            assert_eq!(after["ended"]["reasons"], json!(["not-this-year"]));
            concluded -= 1;
            continue;
        }
        if command.contains(" show ") || command.starts_with("why ") {
            let pid = after["line"]["pid"].as_str().unwrap();
            ok(&world, &format!("negotiation accept {pid} --dir operator"));
        }
        // The contract's own terms are what the maker had asked for: it needs no person.
        newest(&node, "FINALIZED", concluded).await;
    }
    assert_eq!(concluded, 6, "the page has other commands");
    operator.stop().await;
    maker.stop().await;
}
