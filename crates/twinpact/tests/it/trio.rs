//! Three organisations in this process, whose nodes the commands of a test reach as they reach any
//! other: an operator with turbines, their maker with parts, and a supplier with lots.

use crate::federation::{INGEST, OPERATOR, PUBLISH, ok, prepare};
use crate::world::World;
use serde_json::{Value, json};
use twinpact_gateway::Running;
use twinpact_model::Timestamp;
use twinpact_node::api::AdminFile;
use twinpact_node::fold::Fold;
use twinpact_node::{Node, PolicyClock, open, retention};
use twinpact_testkit::free_port;

const LINKS: &str = include_str!("../../../../examples/wind/turbine-links.odcs.yaml");
pub(crate) const NAMES: [&str; 3] = ["operator", "maker", "supplier"];

/// The DID of one of them.
pub(crate) fn did(name: &str) -> String {
    format!("did:web:{name}.example")
}

/// The three, running by a driven clock.
pub(crate) struct Trio {
    pub(crate) world: World,
    runtime: tokio::runtime::Runtime,
    running: Vec<Running>,
}

impl Trio {
    /// They know each other as partners, and the maker has an agreement with both others.
    pub(crate) fn concluded(time: &str) -> (Trio, [String; 2]) {
        Trio::with(time, "")
    }

    /// The same, with this in the configuration of the operator.
    pub(crate) fn with(time: &str, more: &str) -> (Trio, [String; 2]) {
        let world = World::empty();
        let ports = [(); 3].map(|()| free_port());
        for (name, port) in NAMES.iter().zip(ports) {
            ok(&world, &format!("init --dir {name} --org {} --name {name}", did(name)));
            let allowed = ports.map(|port| format!("https://127.0.0.1:{port}"));
            let more = if *name == "operator" { more } else { "" };
            let config = format!(
                "organisation = \"{}\"\nname = \"{name}\"\n[federation]\n\
                 listen = \"127.0.0.1:{port}\"\nallow_private = {allowed:?}\n{more}",
                did(name)
            );
            world.write(&format!("{name}/twinpact.toml"), config.as_bytes());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let running = NAMES.map(|name| runtime.block_on(serve(&world, name))).into();
        let trio = Trio { world, runtime, running };
        trio.set_clock(time);
        let world = &trio.world;
        for name in NAMES {
            let record = ok(world, &format!("trust export --dir {name}"));
            world.write(&format!("{name}.json"), record.stdout.as_bytes());
        }
        for (us, other) in [("operator", "maker"), ("supplier", "maker")] {
            ok(world, &format!("partner add {other}.json --dir {us}"));
            ok(world, &format!("partner add {us}.json --dir {other}"));
        }
        fill(world);
        let agreements = ["operator", "supplier"].map(|name| {
            let agreed = world.json(&format!("negotiate {} --dir maker", did(name)));
            agreed["id"].as_str().unwrap().to_owned()
        });
        (trio, agreements)
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        let at = NAMES.iter().position(|one| *one == name).unwrap();
        &self.running[at].parts.node
    }

    /// Where partners reach it.
    pub(crate) fn endpoint(&self, name: &str) -> String {
        let at = NAMES.iter().position(|one| *one == name).unwrap();
        format!("https://{}", self.running[at].federation.unwrap())
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// In lockstep; what has to be deleted by then is.
    pub(crate) fn set_clock(&self, time: &str) {
        let time = Timestamp::parse(time).unwrap();
        for name in ["maker", "operator", "supplier"] {
            let node = self.node(name);
            node.clocks.set_policy(time).unwrap();
            self.runtime.block_on(retention::advance(node)).unwrap();
        }
    }

    /// Waits for commits until it is so.
    pub(crate) fn until(&self, name: &str, so: impl Fn(&Fold) -> bool) {
        let node = self.node(name);
        self.runtime.block_on(async {
            let mut changes = node.partition.changes();
            while !node.partition.read(|fold, _| so(fold)).unwrap() {
                changes.changed().await.unwrap();
            }
        });
    }

    /// A clean stop of all; what is left is their directories.
    pub(crate) fn stop(self) -> World {
        for (running, name) in self.running.into_iter().zip(NAMES) {
            std::fs::remove_file(self.world.path(name).join("admin.json")).unwrap();
            self.runtime.block_on(running.stop());
        }
        self.world
    }
}

async fn serve(world: &World, name: &str) -> Running {
    let parts = open::open(&world.path(name), PolicyClock::Driven).await.unwrap();
    let running = Running::start(parts).await.unwrap();
    let url = format!("http://{}", running.admin.address);
    let file = AdminFile { url, token: running.admin.token.clone(), pid: std::process::id() };
    world.write(&format!("{name}/admin.json"), json!(file).to_string().as_bytes());
    running
}

/// The operator's rows and contract; a lot of the supplier's and what it shows of its links. A part
/// of that lot is in the turbine.
fn fill(world: &World) {
    prepare(world);
    ok(world, INGEST);
    ok(world, PUBLISH);
    for (name, model, twin) in [("maker", "part", "urn:part:1"), ("supplier", "lot", "urn:lot:7")] {
        let text = format!(
            "model = \"{model}\"\nversion = 1\nretention_class = \"operational\"\n\
             [[attribute]]\nname = \"name\"\ndatatype = \"string\"\n"
        );
        let map = format!(
            "source = \"urn:source:{model}\"\nmodel = \"{model}@1\"\ntwin = \"{{twin}}\"\n\
             time = {{ column = \"time\" }}\nkey = [\"twin\", \"time\"]\n\
             [columns]\nname = \"name\"\n"
        );
        let rows = format!("twin,time,name\n{twin},2015-05-01T00:00:00Z,x\n");
        world.write(&format!("{model}.toml"), text.as_bytes());
        world.write(&format!("{model}.map.toml"), map.as_bytes());
        world.write(&format!("{model}.csv"), rows.as_bytes());
        ok(world, &format!("model apply {model}.toml --dir {name}"));
        ok(world, &format!("ingest {model}.csv --map {model}.map.toml --dir {name}"));
    }
    let contract = LINKS
        .replace(OPERATOR, &did("supplier"))
        .replace("turbine-links", "lot-links")
        .replace("wind-turbine@1", "lot@1")
        .replace("[part-of]", "[derived-from]");
    world.write("lot-links.odcs.yaml", contract.as_bytes());
    ok(world, "contract publish lot-links.odcs.yaml --dir supplier");
    for (dir, owner) in [("supplier", "maker"), ("maker", "supplier")] {
        let link = "link set urn:part:1 derived-from urn:lot:7";
        ok(world, &format!("{link} --owner {} --dir {dir}", did(owner)));
    }
}

/// The receipts of a pull.
pub(crate) fn receipts(pulled: &Value) -> Vec<String> {
    let all = pulled["receipts"].as_array().unwrap().iter();
    all.map(|one| one.as_str().unwrap().to_owned()).collect()
}
