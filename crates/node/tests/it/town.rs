//! Nodes on real disks with straight wires between them: what one calls, another answers at once.
//! Who answers under a name may differ by who calls, as when two nodes run from one directory.

use crate::net_world::{asked_by, fill, nobody, pin, reply};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twinpact_model::{Did, Timestamp};
use twinpact_node::door::Door;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending, Reply};
use twinpact_node::{Node, NodeParts, PolicyClock, config, cosignatures, open, outbox, seen};

/// In the hours of the contract's use.
const MONDAY: &str = "2015-07-27T10:00:00+02:00";

pub(crate) fn did(name: &str) -> Did {
    Did::new(format!("did:web:{name}.example")).unwrap()
}

/// Who answers whom: by caller and by the host that is called.
type Routes = Arc<Mutex<HashMap<(String, String), Node>>>;
/// What a call is answered with instead.
type Lie = Box<dyn Fn(&str, &Call) -> Option<Reply> + Send + Sync>;

struct Line {
    /// Its name on the wires, and whose node it is.
    name: String,
    organisation: String,
    routes: Routes,
    lies: Arc<Mutex<Vec<Lie>>>,
}

impl Outbound for Line {
    fn call(&self, call: Call) -> Pending<'_> {
        let lie = self.lies.lock().unwrap().iter().find_map(|lie| lie(&self.name, &call));
        let key = (self.name.clone(), call.trust_domain.as_str().to_owned());
        let node = self.routes.lock().unwrap().get(&key).cloned();
        let from = did(&self.organisation);
        Box::pin(async move {
            if let Some(lie) = lie {
                return Ok(lie);
            }
            let Some(node) = node else { return Err(nobody()) };
            Ok(reply(node.answer(asked_by(from, &call)).await))
        })
    }

    fn first(&self, _: FirstCall) -> Pending<'_> {
        Box::pin(async { Err(nobody()) })
    }
}

/// A node that runs.
pub(crate) struct House {
    parts: NodeParts,
    jobs: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl House {
    pub(crate) fn node(&self) -> &Node {
        &self.parts.node
    }

    pub(crate) async fn close(self) {
        self.stop.send_replace(true);
        for job in self.jobs {
            job.await.unwrap();
        }
        self.parts.stop();
    }
}

pub(crate) struct Town {
    place: tempfile::TempDir,
    routes: Routes,
    pub(crate) lies: Arc<Mutex<Vec<Lie>>>,
}

impl Town {
    /// Directories of these organisations, each with these witnesses.
    pub(crate) fn new(houses: &[(&str, &[&str])]) -> Town {
        let town = Town {
            place: tempfile::tempdir().unwrap(),
            routes: Routes::default(),
            lies: Arc::default(),
        };
        for (name, witnesses) in houses {
            let path = town.path(name);
            let witnesses: Vec<String> = witnesses.iter().map(|of| did(of).to_string()).collect();
            let more = format!("partners = {witnesses:?}");
            open::init(&path, &did(name), name).unwrap();
            let text = std::fs::read_to_string(config::path(&path)).unwrap();
            let text = text.replace("[witnesses]\n", &format!("[witnesses]\n{more}\n"));
            std::fs::write(config::path(&path), text).unwrap();
        }
        town
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Opens the directory of that name as the node of that organisation.
    pub(crate) async fn open(&self, name: &str, organisation: &str) -> House {
        let parts = open::open(&self.path(name), PolicyClock::Driven).await.unwrap();
        let node = &parts.node;
        node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
        let line = Line {
            name: name.to_owned(),
            organisation: organisation.to_owned(),
            routes: self.routes.clone(),
            lies: self.lies.clone(),
        };
        assert!(node.outbound.set(Arc::new(line)).is_ok());
        let (stop, stopped) = watch::channel(false);
        let jobs = vec![
            tokio::spawn(outbox::run(node.clone(), stopped.clone())),
            tokio::spawn(seen::run(node.clone(), stopped.clone())),
            tokio::spawn(cosignatures::run(node.clone(), stopped)),
        ];
        House { parts, jobs, stop }
    }

    /// Who answers when `from` calls the host of `name`.
    pub(crate) fn route(&self, from: &str, name: &str, house: &House) {
        let key = (from.to_owned(), format!("{name}.example"));
        self.routes.lock().unwrap().insert(key, house.node().clone());
    }

    /// Nobody answers under that name any more, so that its directory is free.
    pub(crate) fn forget(&self, name: &str) {
        let host = format!("{name}.example");
        self.routes.lock().unwrap().retain(|(_, to), _| *to != host);
    }

    /// Nobody answers there any more.
    pub(crate) fn cut(&self, from: &str, name: &str) {
        self.routes.lock().unwrap().remove(&(from.to_owned(), format!("{name}.example")));
    }
}

/// Everybody pins everybody.
pub(crate) async fn acquaint(houses: &[&House]) {
    for (i, us) in houses.iter().enumerate() {
        for (j, other) in houses.iter().enumerate() {
            if i != j {
                pin(us.node(), other.node()).await;
            }
        }
    }
}

/// Rows and a contract, at the operator.
pub(crate) async fn furnish(house: &House) {
    fill(house.node()).await;
}

/// The directory again, as somebody copies it while nothing runs there.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Waits until a node says so, woken by its commits.
pub(crate) async fn until(house: &House, what: impl Fn(&Node) -> bool) {
    let mut changes = house.node().partition.changes();
    let waiting = async {
        while !what(house.node()) {
            changes.changed().await.unwrap();
        }
    };
    let patience = std::time::Duration::from_secs(20);
    if tokio::time::timeout(patience, waiting).await.is_err() {
        let node = house.node();
        let lags = cosignatures::lags(node, node.clocks.wall());
        let alerts = node.partition.read(|fold, _| format!("{:?}", fold.divergences));
        panic!("it never came to be: {lags:?} {alerts:?}");
    }
}
