//! Three nodes on loopback that link their twins to each other's: an operator with turbines, their
//! maker with parts, and a supplier with lots. Operator and supplier do not know each other.

use crate::pair::{MAKER, OPERATOR, pin, start, until, way_out};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use twinpact_dsp::negotiation::State;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_gateway::Running;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Iri};
use twinpact_node::api::{LinkAsked, Negotiate, Pull, Pulled};
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending};
use twinpact_node::{Node, PolicyClock, consumer, contracts, links, open, record};
use twinpact_testkit::free_port;

const SUPPLIER: &str = "did:web:supplier.example";
const CONTRACT: &str = include_str!("../../../../examples/wind/turbine-links.odcs.yaml");

/// The three, running, with their twins and no links.
struct World {
    _place: tempfile::TempDir,
    operator: Running,
    maker: Running,
    supplier: Running,
    /// The deliveries that came to the maker, as bytes.
    came: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A way out that keeps what is delivered.
struct Keeping {
    out: HttpsOutbound,
    came: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Outbound for Keeping {
    fn call(&self, call: Call) -> Pending<'_> {
        let data = call.method == "GET" && call.url.contains("/data/");
        let pending = self.out.call(call);
        let came = self.came.clone();
        Box::pin(async move {
            let reply = pending.await?;
            if data && reply.status == 200 {
                came.lock().unwrap().push(reply.body.clone());
            }
            Ok(reply)
        })
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.out.first(call)
    }
}

/// The directory of a node whose partners listen at these ports.
fn make(path: &Path, did: &str, port: u16, partners: &[u16]) {
    open::init(path, &Did::new(did).unwrap(), "Test").unwrap();
    let allowed: Vec<String> =
        partners.iter().map(|port| format!("https://127.0.0.1:{port}")).collect();
    let config = format!(
        "organisation = \"{did}\"\nname = \"Test\"\n\n[federation]\n\
         listen = \"127.0.0.1:{port}\"\nallow_private = {allowed:?}\n\n[assertions]\n\
         purpose = \"https://w3id.org/twinpact/purpose/PredictiveMaintenance\"\nplace = \"FR\"\n"
    );
    std::fs::write(path.join("twinpact.toml"), config).unwrap();
}

impl World {
    async fn new() -> World {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let [o, m, s] = [(); 3].map(|()| free_port());
        make(&path("operator"), OPERATOR, o, &[m]);
        make(&path("maker"), MAKER, m, &[o, s]);
        make(&path("supplier"), SUPPLIER, s, &[m]);
        let operator = start(&path("operator")).await;
        let supplier = start(&path("supplier")).await;
        let parts = open::open(&path("maker"), PolicyClock::System).await.unwrap();
        let came = Arc::default();
        let keeping = Keeping { out: way_out(&parts.node), came: Arc::clone(&came) };
        assert!(parts.node.outbound.set(Arc::new(keeping)).is_ok());
        let maker = Running::start(parts).await.unwrap();
        let world = World { _place: place, operator, maker, supplier, came };
        for other in [world.operator(), world.supplier()] {
            pin(world.maker(), other).await;
            pin(other, world.maker()).await;
        }
        fill(world.operator(), "turbine", &["urn:turbine:a", "urn:turbine:b"]).await;
        fill(world.maker(), "part", &["urn:part:1", "urn:part:2", "urn:part:3"]).await;
        fill(world.supplier(), "lot", &["urn:lot:7", "urn:lot:8"]).await;
        fill(world.supplier(), "melt", &["urn:lot:9"]).await;
        world
    }

    fn operator(&self) -> &Node {
        &self.operator.parts.node
    }

    fn maker(&self) -> &Node {
        &self.maker.parts.node
    }

    fn supplier(&self) -> &Node {
        &self.supplier.parts.node
    }

    /// The agreement of the maker about a links view of a partner.
    async fn agreed(&self, provider: &Node, did: &str, view: &str) -> String {
        let (partner, dataset) = (did.to_owned(), Some(view.to_owned()));
        let asked = Negotiate { partner, dataset, another: false };
        let agreement = consumer::negotiate(self.maker(), &asked).await.unwrap();
        let over =
            |fold: &Fold| fold.processes.negotiations.values().all(|n| n.state == State::Finalized);
        until(provider, over).await;
        agreement.id
    }

    async fn pull(&self, agreement: &str, twin: Option<&str>) -> Result<Pulled, Problem> {
        let pull = Pull {
            agreement: agreement.to_owned(),
            purpose: None,
            place: None,
            since: None,
            until: None,
            twin: twin.map(|twin| Iri::new(twin).unwrap()),
            after: None,
        };
        consumer::pull(self.maker(), &pull).await
    }

    async fn stop(self) {
        self.maker.stop().await;
        self.operator.stop().await;
        self.supplier.stop().await;
    }
}

/// A model with one attribute, and twins of it.
async fn fill(node: &Node, model: &str, twins: &[&str]) {
    let text = format!(
        "model = \"{model}\"\nversion = 1\nretention_class = \"operational\"\n\n\
         [[attribute]]\nname = \"name\"\ndatatype = \"string\"\n"
    );
    record::apply_model(node, model_file::parse(&text).unwrap(), "local").await.unwrap();
    let observation = |twin: &&str| json!({ "id": twin, "twin": twin, "time": "2015-07-21T05:00:00Z", "values": { "name": "x" } });
    let body = json!({
        "source": "urn:source:test",
        "model": format!("{model}@1"),
        "observations": twins.iter().map(observation).collect::<Vec<_>>(),
    });
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    assert!(record::record(node, batch, "local").await.unwrap().refused.is_empty());
}

/// Publishes a links view; its IRI.
async fn publish(node: &Node, model: &str, twins: &str, links: &str) -> String {
    let document = CONTRACT
        .replace(OPERATOR, node.config.organisation.as_str())
        .replace("turbine-links", &format!("{model}-links"))
        .replace("wind-turbine@1", &format!("{model}@1"))
        .replace("value: all", &format!("value: {twins}"))
        .replace("{predicates: [part-of], ends: asker}", links);
    contracts::publish(node, document).await.unwrap().view
}

fn asked(from: &str, predicate: &str, to: &str, owner: Option<&str>) -> LinkAsked {
    LinkAsked {
        from: Iri::new(from).unwrap(),
        predicate: predicate.to_owned(),
        to: Iri::new(to).unwrap(),
        owner: owner.map(|did| Did::new(did).unwrap()),
    }
}

async fn set(node: &Node, from: &str, predicate: &str, to: &str, owner: &str) {
    let asked = asked(from, predicate, to, Some(owner));
    assert!(links::change(node, asked, true, "local").await.unwrap().changed);
}

/// Of each link of a twin across organisations: its ends, predicate and status.
fn listed(node: &Node, twin: &str) -> Vec<String> {
    let list = links::list(node, Some(twin), None).unwrap();
    let line = |line: twinpact_node::api::LinkLine| {
        let across = line.across.unwrap();
        assert_eq!(across.receipt.is_some(), across.status != "one-sided");
        format!("{} {} {} {}", line.from, line.predicate, line.to, across.status)
    };
    list.links.into_iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_is_one_sided_until_the_other_owner_shows_its_own() {
    let world = World::new().await;
    let (maker, supplier) = (world.maker(), world.supplier());
    let refused = async |from: &str, to: &str, owner: Option<&str>, code: &str| {
        let asked = asked(from, "derived-from", to, owner);
        for set in [true, false] {
            let answer = links::change(maker, asked.clone(), set, "local").await;
            match set {
                true => assert_eq!(answer.unwrap_err().code.name, code, "{asked:?}"),
                // To take back what never stood changes nothing, whoever the owner is.
                false => assert!(answer.map_or(true, |answer| !answer.changed)),
            }
        }
    };
    let stranger = Some("did:web:stranger.example");
    refused("urn:part:1", "urn:lot:7", None, "twin.unknown").await;
    refused("urn:part:1", "urn:lot:7", stranger, "partner.unknown").await;
    refused("urn:part:1", "urn:lot:7", Some(MAKER), "link.owner").await;
    refused("urn:part:1", "urn:part:2", Some(SUPPLIER), "link.owner").await;
    refused("urn:part:9", "urn:lot:7", Some(SUPPLIER), "twin.unknown").await;
    set(maker, "urn:part:1", "derived-from", "urn:lot:7", SUPPLIER).await;
    let ours = |status: &str| vec![format!("urn:part:1 derived-from urn:lot:7 {status}")];
    assert_eq!(listed(maker, "urn:part:1"), ours("one-sided"));
    let view = publish(supplier, "lot", "all", "{predicates: [derived-from], ends: asker}").await;
    let agreement = world.agreed(supplier, SUPPLIER, &view).await;
    assert_eq!(world.pull(&agreement, None).await.unwrap().rows, 0);
    assert_eq!(listed(maker, "urn:part:1"), ours("one-sided"));
    set(supplier, "urn:part:1", "derived-from", "urn:lot:7", MAKER).await;
    let pulled = world.pull(&agreement, Some("urn:lot:7")).await.unwrap();
    assert_eq!((pulled.rows, pulled.level.as_str()), (1, "countersigned"));
    assert_eq!(listed(maker, "urn:part:1"), ours("confirmed"));
    // What the other owner takes back is disputed as soon as it is seen.
    let back = asked("urn:part:1", "derived-from", "urn:lot:7", Some(MAKER));
    assert!(links::change(supplier, back, false, "local").await.unwrap().changed);
    assert_eq!(world.pull(&agreement, Some("urn:lot:8")).await.unwrap().rows, 0);
    assert_eq!(listed(maker, "urn:part:1"), ours("confirmed"));
    assert_eq!(world.pull(&agreement, Some("urn:lot:7")).await.unwrap().rows, 0);
    assert_eq!(listed(maker, "urn:part:1"), ours("disputed"));
    world.stop().await;
}

/// What is random or of a place in a tree does not count: every text and number by its kind, every
/// list of hashes as one.
fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), masked(value))).collect(),
        ),
        Value::Array(items) => {
            let mut kinds: Vec<Value> = items.iter().map(masked).collect();
            kinds.dedup();
            Value::Array(kinds)
        }
        Value::String(text) => Value::from(format!("text {}", text.len() > 64)),
        Value::Number(_) => Value::from(0),
        other => other.clone(),
    }
}

/// How many entries each tree of a node has.
fn entries(node: &Node) -> Vec<u64> {
    let sizes = node.partition.read(|_, store| {
        let forest = store.forest();
        (0..forest.next_tree()).map(|tree| forest.size(tree)).collect()
    });
    sizes.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_that_is_hidden_is_answered_like_one_that_is_not_there() {
    let world = World::new().await;
    let supplier = world.supplier();
    for lot in ["urn:lot:7", "urn:lot:8", "urn:lot:9"] {
        for part in 1..=3 {
            set(supplier, &format!("urn:part:{part}"), "derived-from", lot, MAKER).await;
        }
    }
    let view = publish(supplier, "lot", "[\"urn:lot:7\"]", "{predicates: all, ends: all}").await;
    let agreement = world.agreed(supplier, SUPPLIER, &view).await;
    assert_eq!(world.pull(&agreement, Some("urn:lot:7")).await.unwrap().rows, 3);
    let mut answers = Vec::new();
    // Not on the list, of another model, nobody's, the asker's own.
    for twin in ["urn:lot:8", "urn:lot:9", "urn:lot:0", "urn:part:1"] {
        let before = entries(supplier);
        assert_eq!(world.pull(&agreement, Some(twin)).await.unwrap().rows, 0, "{twin}");
        let grown: Vec<u64> = entries(supplier).iter().zip(before).map(|(a, b)| a - b).collect();
        let body = world.came.lock().unwrap().pop().unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let proof = body["proof"].as_str().unwrap();
        let proof: Value = serde_json::from_str(proof.split_once('\n').unwrap().1).unwrap();
        // What the ledger commits to, to the byte: that nothing was delivered.
        let length = |attribute: &Value| attribute.as_str().unwrap().len();
        let disclosed = proof["commitment"]["disclosed"].as_array().unwrap();
        let lengths: Vec<usize> = disclosed.iter().map(length).collect();
        let mut rest = body.clone();
        for random in ["proof", "seed", "consistency", "deleteBy"] {
            rest[random] = json!(body[random].is_null());
        }
        answers.push((grown, rest.to_string(), lengths, masked(&proof)));
    }
    let absent = answers[2].clone();
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, absent, "{n}");
    }
    world.stop().await;
}
