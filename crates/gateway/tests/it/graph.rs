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
use twinpact_model::{Did, Direction, Iri};
use twinpact_node::api::{LinkAsked, Negotiate, Pull, Pulled, WalkAsked};
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending};
use twinpact_node::{
    Node, PolicyClock, agreements, consumer, contracts, graph, links, open, record,
};
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

/// A walk of the maker from a turbine of the operator: edges with their distance, status and who
/// says them, and the ends with their codes.
async fn walked(world: &World, asked: &WalkAsked) -> (Vec<String>, Vec<String>, usize) {
    let found = graph::walk(world.maker(), asked).await.unwrap();
    assert_eq!(found.cut, None);
    let short = |did: &str| did.trim_start_matches("did:web:").replace(".example", "");
    let edge = |edge: &twinpact_node::api::EdgeLine| {
        for said in &edge.said {
            let level = said.receipt.as_ref().map(|_| "countersigned");
            assert_eq!((said.event.is_some(), said.level.as_deref()), (level.is_none(), level));
        }
        let said: Vec<String> = edge.said.iter().map(|said| short(&said.by)).collect();
        let (from, to) = (&edge.from.twin, &edge.to.twin);
        let by = said.join("+");
        format!("{} {from} {} {to} {} {by}", edge.depth, edge.predicate, edge.status)
            .replace("urn:", "")
    };
    let end = |end: &twinpact_node::api::EndLine| {
        format!("{} {} {}", end.at.twin, end.code, end.hint.as_deref().unwrap_or_default())
    };
    let ends = found.ends.iter().map(end).collect();
    (found.edges.iter().map(edge).collect(), ends, found.requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_from_a_turbine_to_the_turbines_of_the_sibling_parts() {
    let world = World::new().await;
    let (operator, maker, supplier) = (world.operator(), world.maker(), world.supplier());
    for (part, turbine) in [("urn:part:1", "urn:turbine:a"), ("urn:part:2", "urn:turbine:b")] {
        set(maker, part, "part-of", turbine, OPERATOR).await;
        set(operator, part, "part-of", turbine, MAKER).await;
        set(maker, part, "derived-from", "urn:lot:7", SUPPLIER).await;
        set(supplier, part, "derived-from", "urn:lot:7", MAKER).await;
    }
    // Of the third part only its maker says where it comes from.
    set(maker, "urn:part:3", "derived-from", "urn:lot:7", SUPPLIER).await;
    let part_of = "{predicates: [part-of], ends: asker}";
    let derived = "{predicates: [derived-from], ends: asker}";
    let turbines = publish(operator, "turbine", "all", part_of).await;
    let lots = publish(supplier, "lot", "all", derived).await;
    let asked = WalkAsked {
        twin: Iri::new("urn:turbine:a").unwrap(),
        owner: Some(Did::new(OPERATOR).unwrap()),
        via: Vec::new(),
        direction: None,
        depth: Some(6),
        purpose: None,
        place: None,
    };
    let missing = |twin: &str, did: &str, view: &str| {
        format!("{twin} link.not_granted twinpact negotiate {did} --dataset {view}")
    };
    // Without a contract nothing is asked but what there is to agree on.
    let nothing = walked(&world, &asked).await;
    let end = missing("urn:turbine:a", OPERATOR, &turbines);
    assert_eq!(nothing, (Vec::new(), vec![end], 1));
    world.agreed(operator, OPERATOR, &turbines).await;
    let (edges, ends, requests) = walked(&world, &asked).await;
    let first = "1 part:1 part-of turbine:a confirmed maker+operator";
    let ours = "2 part:1 derived-from lot:7 one-sided maker";
    assert_eq!(edges, [first, ours]);
    assert_eq!((ends, requests), (vec![missing("urn:lot:7", SUPPLIER, &lots)], 2));
    let agreement = world.agreed(supplier, SUPPLIER, &lots).await;
    let whole = [
        first,
        "2 part:1 derived-from lot:7 confirmed maker+supplier",
        "3 part:2 derived-from lot:7 confirmed maker+supplier",
        "4 part:2 part-of turbine:b confirmed maker+operator",
    ];
    let (edges, ends, requests) = walked(&world, &asked).await;
    assert_eq!((edges.as_slice(), ends, requests), (&whole.map(str::to_owned)[..], Vec::new(), 3));
    // Shorter, along one predicate, one way, and from a twin of its own.
    let short = WalkAsked { depth: Some(1), ..asked.clone() };
    assert_eq!(walked(&world, &short).await.0, ["1 part:1 part-of turbine:a one-sided operator"]);
    let via = WalkAsked { via: vec!["part-of".to_owned()], ..asked.clone() };
    assert_eq!(walked(&world, &via).await.0, [first]);
    let out = WalkAsked { direction: Some(Direction::Out), ..asked.clone() };
    assert_eq!(walked(&world, &out).await.0, Vec::<String>::new());
    let own = WalkAsked {
        twin: Iri::new("urn:part:3").unwrap(),
        owner: None,
        direction: Some(Direction::Out),
        ..asked.clone()
    };
    let one_sided = "1 part:3 derived-from lot:7 one-sided maker";
    assert_eq!(walked(&world, &own).await.0, [one_sided]);
    let unknown = WalkAsked { twin: Iri::new("urn:part:9").unwrap(), owner: None, ..own };
    assert_eq!(graph::walk(maker, &unknown).await.unwrap_err().code.name, "twin.unknown");
    let deep = WalkAsked { depth: Some(graph::MAX_WALK_DEPTH + 1), ..asked.clone() };
    assert_eq!(graph::walk(maker, &deep).await.unwrap_err().code.name, "input.too_large");
    let word = WalkAsked { via: vec!["part".to_owned()], ..asked.clone() };
    assert_eq!(graph::walk(maker, &word).await.unwrap_err().code.name, "link.predicate");
    // What one partner refuses ends the walk there, with its reason, and nowhere else.
    agreements::revoke(supplier, &agreement, "over").await.unwrap();
    let (edges, ends, _) = walked(&world, &asked).await;
    assert_eq!(edges, [first, ours]);
    assert!(ends.len() == 1 && ends[0].starts_with("urn:lot:7 "), "{ends:?}");
    world.stop().await;
}
