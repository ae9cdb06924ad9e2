//! Three nodes on loopback by driven clocks: an operator of turbines, their maker, and a supplier
//! of what its parts are made from. Which part is where is invented.

use super::recording::Row;
use super::{Led, NotAsked, Why, at};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_gateway::Running;
use twinpact_model::{Did, Iri, Timestamp};
use twinpact_node::api::{
    ContainmentLine, IncidentLine, IncidentShown, LinkAsked, Negotiate, Respond,
};
use twinpact_node::{
    Node, PolicyClock, consumer, contracts, incidents, links, open, partners, prove, record,
    retention,
};
use twinpact_proof::containment::Answer;
use twinpact_testkit::free_port;

pub(super) const HOUR: i64 = 3_600;
const OPERATOR: &str = "did:web:operator.example";
const MAKER: &str = "did:web:maker.example";
const SUPPLIER: &str = "did:web:supplier.example";
const MODEL: &str = include_str!("../../../../../examples/wind/wind-turbine.toml");
const ROWS: &str = include_str!("../../../../../examples/wind/turbine-maintenance.odcs.yaml");
const LINKS: &str = include_str!("../../../../../examples/wind/turbine-links.odcs.yaml");
const TURBINES: [&str; 4] = ["R80711", "R80721", "R80736", "R80790"];
/// The lot of the part in each of them.
const LOTS: [&str; 4] = ["7", "7", "8", "7"];

pub(super) struct World {
    place: tempfile::TempDir,
    pub(super) operator: Running,
    pub(super) maker: Running,
    supplier: Option<Running>,
    /// The agreement about the rows.
    pub(super) stream: String,
}

impl World {
    pub(super) async fn new(now: Timestamp) -> World {
        let place = tempfile::tempdir().unwrap();
        let [o, m, s] = [(); 3].map(|()| free_port());
        let start = async |name: &str, did: &str, port: u16, partners: &[u16]| {
            let path = place.path().join(name);
            make(&path, did, port, partners);
            let parts = open::open(&path, PolicyClock::Driven).await.unwrap();
            parts.node.clocks.set_policy(now).unwrap();
            Running::start(parts).await.unwrap()
        };
        let operator = start("operator", OPERATOR, o, &[m]).await;
        let maker = start("maker", MAKER, m, &[o, s]).await;
        let supplier = Some(start("supplier", SUPPLIER, s, &[m]).await);
        let mut world = World { place, operator, maker, supplier, stream: String::new() };
        let nodes = [world.operator_node(), world.supplier_node()];
        for other in nodes {
            pin(world.maker_node(), other).await;
            pin(other, world.maker_node()).await;
        }
        world.fill().await;
        world.link().await;
        world.stream = world.agree().await;
        world
    }

    fn operator_node(&self) -> &Node {
        &self.operator.parts.node
    }

    pub(super) fn maker_node(&self) -> &Node {
        &self.maker.parts.node
    }

    fn supplier_node(&self) -> &Node {
        &self.supplier.as_ref().unwrap().parts.node
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Models and twins; those of the operator come with their rows.
    async fn fill(&self) {
        let model = model_file::parse(MODEL).unwrap();
        record::apply_model(self.operator_node(), model, "local").await.unwrap();
        let first = Row { twin: String::new(), at: at("2015-01-01T00:00:00Z"), values: Vec::new() };
        let still = |name: &&str| Row {
            twin: format!("urn:turbine:{name}"),
            values: vec![("nacelle".to_owned(), "0".to_owned())],
            ..first.clone()
        };
        self.ingest(&TURBINES.iter().map(still).collect::<Vec<_>>()).await;
        let parts: Vec<String> = (1..=4).map(|n| format!("urn:part:{n}")).collect();
        named(self.maker_node(), "part", &parts).await;
        let lots = ["urn:lot:7".to_owned(), "urn:lot:8".to_owned()];
        named(self.supplier_node(), "lot", &lots).await;
    }

    async fn link(&self) {
        for (n, (turbine, lot)) in TURBINES.iter().zip(LOTS).enumerate() {
            let (part, turbine) = (format!("urn:part:{}", n + 1), format!("urn:turbine:{turbine}"));
            let lot = format!("urn:lot:{lot}");
            link(self.operator_node(), &part, "part-of", &turbine, MAKER).await;
            link(self.maker_node(), &part, "part-of", &turbine, OPERATOR).await;
            // Of the last one only the supplier knows.
            if n < 3 {
                link(self.maker_node(), &part, "derived-from", &lot, SUPPLIER).await;
            }
            link(self.supplier_node(), &part, "derived-from", &lot, MAKER).await;
        }
    }

    /// Contracts and agreements; the one about the rows.
    async fn agree(&self) -> String {
        let lots = LINKS
            .replace(OPERATOR, SUPPLIER)
            .replace("turbine-links", "lot-links")
            .replace("wind-turbine@1", "lot@1")
            .replace("part-of]", "derived-from]");
        let mut stream = String::new();
        for (node, document) in [
            (self.supplier_node(), lots.as_str()),
            (self.operator_node(), LINKS),
            (self.operator_node(), ROWS),
        ] {
            let view = contracts::publish(node, document.to_owned()).await.unwrap().view;
            let partner = node.config.organisation.to_string();
            let asked = Negotiate { partner, dataset: Some(view), another: false };
            stream = consumer::negotiate(self.maker_node(), &asked).await.unwrap().id;
            let concluded = stream.clone();
            until(node, |node| {
                node.partition.read(|fold, _| fold.agreements.get(&concluded).is_ok()).unwrap()
            })
            .await;
        }
        stream
    }

    /// Sets the time of all. That of who is asked first: else it would refuse who asks in time.
    pub(super) async fn set(&self, now: Timestamp) {
        let nodes = [Some(&self.operator), self.supplier.as_ref(), Some(&self.maker)];
        for running in nodes.into_iter().flatten() {
            let node = &running.parts.node;
            node.clocks.set_policy(now).unwrap();
            retention::advance(node).await.unwrap();
        }
    }

    pub(super) async fn ingest(&self, rows: &[Row]) {
        let observation = |row: &Row| {
            let values: BTreeMap<_, _> = row.values.iter().cloned().collect();
            let time = row.at.to_string();
            json!({ "id": format!("{} {time}", row.twin), "twin": row.twin, "time": time,
                    "values": values })
        };
        record(self.operator_node(), "wind-turbine", rows.iter().map(observation).collect()).await;
    }

    /// Waits until so many rows have come to the maker.
    pub(super) async fn delivered(&self, rows: usize) {
        let stored = |node: &Node| {
            let came = node.partition.read(|fold, _| {
                let one = fold.subscriptions.get(&self.stream);
                one.map(|one| (one.rows, one.ended.clone()))
            });
            let (came, ended) = came.unwrap().unwrap();
            assert_eq!(ended, None);
            came == rows as u64
        };
        until(self.maker_node(), stored).await;
    }

    /// A copy of a state file, as it is before a step.
    pub(super) fn keep(&self, state: &Path) -> PathBuf {
        let kept = self.path("kept.state");
        // Before the first step there is none.
        let _ = std::fs::remove_file(&kept);
        if state.exists() {
            std::fs::copy(state, &kept).unwrap();
        }
        kept
    }

    /// The operator confirms all that it is asked.
    pub(super) async fn confirm(&self, incident: &IncidentLine) {
        let of_operator = |node: &Node| -> Vec<ContainmentLine> {
            let shown = incidents::show(node, &incident.id, None);
            let all = shown.map(|shown| shown.containments).unwrap_or_default();
            all.into_iter().filter(|one| one.asked_of == OPERATOR).collect()
        };
        let asked = of_operator(self.maker_node());
        until(self.operator_node(), |node| of_operator(node).len() == asked.len()).await;
        for one in &asked {
            let by = "a test".to_owned();
            let said = Respond { by, note: String::new(), automatic: true, began: None };
            let node = self.operator_node();
            incidents::respond(node, &one.id, Answer::Confirmed, said).await.unwrap();
        }
        let confirmed = |node: &Node| of_operator(node).iter().all(|one| one.state == "confirmed");
        until(self.maker_node(), confirmed).await;
    }

    fn shown(&self, led: &Led) -> IncidentShown {
        let id = &led.incident.as_ref().unwrap().id;
        incidents::show(self.maker_node(), id, None).unwrap()
    }

    /// The containment that the operator is asked for.
    pub(super) fn asked_of_operator(&self, led: &Led) -> String {
        let shown = self.shown(led);
        let of_the_loss = |one: &ContainmentLine| one.asked_of == OPERATOR && one.seen.is_some();
        shown.containments.into_iter().find(of_the_loss).unwrap().id
    }

    /// That a loss at R80711 was traced to the two turbines with a part of the same lot, and to
    /// that lot; that the operator was not asked about the one of which only the supplier has told,
    /// whose terms do not permit that another is told.
    pub(super) fn traced(&self, led: &Led) {
        let shown = self.shown(led);
        let taken = |one: &&ContainmentLine| !one.evidence.is_empty() && one.not_taken.is_none();
        let of_supplier = |one: &&ContainmentLine| one.asked_of == SUPPLIER;
        let lot = shown.containments.iter().find(of_supplier).filter(taken).unwrap();
        let of_operator = shown.containments.iter().filter(|one| one.asked_of == OPERATOR);
        let (found, others): (Vec<_>, Vec<_>) = of_operator.partition(|one| one.seen.is_some());
        let twins = |all: &[&ContainmentLine]| {
            all.iter().flat_map(|one| one.twins.clone()).collect::<Vec<String>>()
        };
        let turbine = |name: &str| format!("urn:turbine:{name}");
        // The one that was found, and in words of their own those that have a part of its lot.
        assert_eq!(twins(&found), [turbine("R80711")]);
        assert_eq!(twins(&others), [turbine("R80721")]);
        let owner = Some(OPERATOR.to_owned());
        assert_eq!(led.not_asked, [NotAsked { owner, twins: 1, why: Why::MayNotTell }]);
        assert_ne!(found[0].reason, others[0].reason);
        assert_eq!(shown.containments.len(), 3);
        assert!(found.iter().chain(&others).all(taken));
        assert_eq!(lot.twins, ["urn:lot:7"]);
        let seen = found[0].seen.as_ref().unwrap();
        assert_eq!(
            (seen.twin.as_str(), seen.first, seen.found),
            (&*led.twin, led.first, led.found)
        );
        assert_eq!(lot.seen, None);
        let story = &shown.story;
        assert_eq!((&story["not_shown"], &story["not_asked"]), (&json!({}), &json!(1)));
        // Of what partners have told it has the receipts, and of links those over which one comes
        // by what the maker says itself: to the part, to the lot, to another part and its turbine.
        let (links, shown) = (&story["links"], story["shown_by"].as_array().unwrap());
        assert_eq!((links.as_array().unwrap().len(), shown.len()), (4, 2), "{story}");
        assert_eq!(links[0]["from"], json!(["urn:part:1", MAKER]));
        assert_eq!(links[0]["to"], json!(["urn:turbine:R80711", OPERATOR]));
        // Nothing of that the fourth part has anything to do with it.
        assert!(!story.to_string().contains("urn:part:4"), "{story}");
    }

    /// That it was opened in time with what could be known, and says where the walk ended.
    pub(super) fn traced_no_further(&self, led: &Led, until: Timestamp) {
        let shown = self.shown(led);
        let one = &shown.containments[0];
        assert_eq!((shown.containments.len(), &one.twins[..]), (1, &[led.twin.clone()][..]));
        assert!(one.opened <= until && one.driven && one.not_taken.is_none(), "{one:?}");
        assert_eq!(shown.story["not_shown"], json!({ "peer.unreachable": 1 }));
    }

    pub(super) async fn supplier_leaves(&mut self) {
        self.supplier.take().unwrap().stop().await;
    }

    pub(super) async fn stop(self) {
        self.maker.stop().await;
        self.operator.stop().await;
        if let Some(supplier) = self.supplier {
            supplier.stop().await;
        }
    }
}

fn make(path: &Path, did: &str, port: u16, partners: &[u16]) {
    open::init(path, &Did::new(did).unwrap(), "Test").unwrap();
    let allowed: Vec<String> =
        partners.iter().map(|port| format!("https://127.0.0.1:{port}")).collect();
    let config = format!(
        "organisation = \"{did}\"\nname = \"Test\"\n\n[federation]\n\
         listen = \"127.0.0.1:{port}\"\nallow_private = {allowed:?}\n"
    );
    std::fs::write(path.join("twinpact.toml"), config).unwrap();
}

async fn pin(us: &Node, other: &Node) {
    let record = prove::own_record(other).unwrap().to_json().canonical();
    partners::add(us, record.as_bytes()).await.unwrap();
}

async fn record(node: &Node, model: &str, observations: Vec<Value>) {
    let body = json!({
        "source": "urn:source:test",
        "model": format!("{model}@1"),
        "observations": observations,
    });
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    assert!(record::record(node, batch, "local").await.unwrap().refused.is_empty());
}

/// A model with one attribute, and twins of it.
async fn named(node: &Node, model: &str, twins: &[String]) {
    let text = format!(
        "model = \"{model}\"\nversion = 1\nretention_class = \"operational\"\n\n\
         [[attribute]]\nname = \"name\"\ndatatype = \"string\"\n"
    );
    record::apply_model(node, model_file::parse(&text).unwrap(), "local").await.unwrap();
    let observation = |twin: &String| {
        json!({ "id": twin, "twin": twin, "time": "2011-01-01T00:00:00Z",
                "values": { "name": "x" } })
    };
    record(node, model, twins.iter().map(observation).collect()).await;
}

async fn link(node: &Node, from: &str, predicate: &str, to: &str, owner: &str) {
    let asked = LinkAsked {
        from: Iri::new(from).unwrap(),
        predicate: predicate.to_owned(),
        to: Iri::new(to).unwrap(),
        owner: Some(Did::new(owner).unwrap()),
    };
    assert!(links::change(node, asked, true, "local").await.unwrap().changed);
}

/// Waits for commits until it is so.
async fn until(node: &Node, so: impl Fn(&Node) -> bool) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        if so(node) {
            return;
        }
        changes.changed().await.unwrap();
    }
}
