//! A view of more than one page, from one node to another: every row once and in order, whatever
//! stands at the border, and what is kept when the rest does not come.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use twinpact_dsp::negotiation::State;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_gateway::Running;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_model::problem::Problem;
use twinpact_model::view::MAX_PAGE_ROWS;
use twinpact_model::{Cursor, Did, Timestamp, codes};
use twinpact_node::api::{Negotiate, Pull, Pulled};
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending, Reply};
use twinpact_node::processes::DOCUMENTS_PATH;
use twinpact_node::{
    Node, PolicyClock, agreements, consumer, contracts, decisions, open, partners, prove, receipts,
    record,
};
use twinpact_proof::{Level, verify};
use twinpact_testkit::free_port;

const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");
const CONTRACT: &str = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");
/// What binds the use of the example to hours; its row filter, the same hours, stays.
const HOURS_OF_USE: &str = "            - leftOperand: https://w3id.org/twinpact/odrl/localSchedule
              operator: isPartOf
              rightOperand: \"Mo-Fr 07:00-19:00 [Europe/Paris]\"
";
pub(crate) const PROVIDER: &str = "did:web:operator.example";
pub(crate) const CONSUMER: &str = "did:web:maker.example";
/// Tuesday 21 July 2015, 07:00 in Paris: the hours of the row filter begin.
const TUESDAY: i64 = 1_437_454_800;
const TWELVE_HOURS: i64 = 12 * 3_600;
const DAY: i64 = 24 * 3_600;
/// How many rows of the second twin stand before the border of the first page.
const BEFORE: i64 = 5_000;

/// Twin, second, value. The border falls among three rows of one instant, the first after a night
/// that is not shown.
fn rows() -> Vec<(&'static str, i64, String)> {
    let mut rows = Vec::new();
    let mut add = |twin: &'static str, second: i64| {
        let value = format!("{}.{:03}", rows.len() / 1_000, rows.len() % 1_000);
        rows.push((twin, TUESDAY + second, value));
    };
    let first = MAX_PAGE_ROWS as i64 - BEFORE;
    (0..first).for_each(|second| add("urn:turbine:a", second));
    (2..BEFORE).for_each(|second| add("urn:turbine:b", TWELVE_HOURS - BEFORE + second));
    (0..100).for_each(|second| add("urn:turbine:b", TWELVE_HOURS + second));
    (0..3).for_each(|_| add("urn:turbine:b", DAY));
    (1..500).for_each(|second| add("urn:turbine:b", DAY + second));
    (0..50).for_each(|second| add("urn:turbine:c", second));
    rows
}

/// The items of the rows that the row filter shows.
fn shown() -> Vec<Value> {
    let inside = |second: i64| (second - TUESDAY).rem_euclid(DAY) < TWELVE_HOURS;
    let item = |(twin, second, value): (&str, i64, String)| {
        json!([twin, Timestamp::from_seconds(second).to_string(), value, null, null])
    };
    rows().into_iter().filter(|(_, second, _)| inside(*second)).map(item).collect()
}

/// Where the first page ends: before the three rows of one instant.
fn border() -> Cursor {
    let phen_start = Timestamp::from_seconds(TUESDAY + TWELVE_HOURS - 1);
    Cursor { twin: "urn:turbine:b".to_owned(), phen_start, delivered: 1 }
}

/// What happens to what a node sends, and to answers with data on their way to the consumer.
#[derive(Default)]
pub(crate) struct Trick {
    /// How many come through; then nobody answers.
    through: Option<usize>,
    /// What each says instead about where it goes on.
    next: Option<Value>,
    /// The access tokens that were sent.
    tokens: Vec<String>,
    /// Whether signed documents come through, and those that did.
    no_documents: bool,
    pub(crate) documents: Vec<Vec<u8>>,
}

impl Trick {
    /// No signed document comes through.
    pub(crate) fn without_documents() -> Trick {
        Trick { no_documents: true, ..Trick::default() }
    }
}

struct Between {
    inner: HttpsOutbound,
    trick: Arc<Mutex<Trick>>,
}

impl Outbound for Between {
    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.inner.first(call)
    }

    fn call(&self, call: Call) -> Pending<'_> {
        Box::pin(async move {
            if call.url.ends_with(DOCUMENTS_PATH) {
                let mut trick = self.trick.lock().unwrap();
                if trick.no_documents {
                    return Err(Problem::new(codes::PEER_UNREACHABLE, "cut off"));
                }
                trick.documents.push(call.body.clone());
            }
            let data = call.method == "GET" && call.url.contains("/data/");
            if data && let Some(left) = &mut self.trick.lock().unwrap().through {
                match left.checked_sub(1) {
                    Some(fewer) => *left = fewer,
                    None => return Err(Problem::new(codes::PEER_UNREACHABLE, "cut off")),
                }
            }
            let bearers = call.headers.iter().filter(|(name, _)| *name == "authorization");
            let tokens = bearers.map(|(_, value)| value.replacen("Bearer ", "", 1));
            self.trick.lock().unwrap().tokens.extend(tokens);
            let mut reply = self.inner.call(call).await?;
            let next = self.trick.lock().unwrap().next.clone();
            if let (true, Some(next)) = (data, next) {
                let mut body: Value = serde_json::from_slice(&reply.body).unwrap();
                body["next"] = next;
                reply = Reply { body: body.to_string().into_bytes(), ..reply };
            }
            Ok(reply)
        })
    }
}

pub(crate) struct World {
    pub(crate) place: tempfile::TempDir,
    ports: (u16, u16),
    pub(crate) provider: Running,
    pub(crate) consumer: Running,
    /// Of the consumer.
    pub(crate) trick: Arc<Mutex<Trick>>,
    pub(crate) agreement: String,
}

impl World {
    async fn concluded() -> World {
        World::with(rows(), Trick::default(), Trick::default()).await
    }

    /// With these rows at the provider, and what happens to what each side sends.
    pub(crate) async fn with(
        rows: Vec<(&'static str, i64, String)>,
        provider: Trick,
        consumer: Trick,
    ) -> World {
        let place = tempfile::tempdir().unwrap();
        let (ours, theirs) = (free_port(), free_port());
        let trick = Arc::new(Mutex::new(consumer));
        let (operator, maker) = (place.path().join("operator"), place.path().join("maker"));
        init(&operator, PROVIDER, (ours, theirs));
        init(&maker, CONSUMER, (theirs, ours));
        let provider = start(&operator, theirs, Arc::new(Mutex::new(provider))).await;
        let consumer = start(&maker, ours, trick.clone()).await;
        let (provides, consumes) = (&provider.parts.node, &consumer.parts.node);
        pin(provides, consumes).await;
        pin(consumes, provides).await;
        fill(provides, &rows).await;
        let asked = Negotiate { partner: PROVIDER.to_owned(), ..Negotiate::default() };
        let agreement = consumer::negotiate(consumes, &asked).await.unwrap().id;
        finalized(provides).await;
        World { place, ports: (ours, theirs), provider, consumer, trick, agreement }
    }

    /// The consumer as a kill at this moment would leave it, started again; all that it sends comes
    /// through then.
    pub(crate) async fn kill_consumer(self) -> World {
        let World { place, ports, provider, consumer, agreement, .. } = self;
        let (maker, killed) = (place.path().join("maker"), place.path().join("killed"));
        for file in files(&maker) {
            let to = killed.join(file.strip_prefix(&maker).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, &to).unwrap();
        }
        consumer.stop().await;
        let trick = Arc::new(Mutex::new(Trick::default()));
        let consumer = start(&killed, ports.0, trick.clone()).await;
        World { place, ports, provider, consumer, trick, agreement }
    }

    pub(crate) fn wanted(&self) -> Pull {
        Pull {
            agreement: self.agreement.clone(),
            purpose: Some("https://w3id.org/twinpact/purpose/PredictiveMaintenance".to_owned()),
            place: Some("FR".to_owned()),
            since: None,
            until: None,
            twin: None,
            after: None,
        }
    }

    pub(crate) async fn pull(&self, wanted: &Pull) -> Result<Pulled, Problem> {
        consumer::pull(&self.consumer.parts.node, wanted).await
    }

    /// The rows of the copies with these receipts, page by page. Every receipt must hold.
    fn copied(&self, receipts: &[String]) -> Vec<Vec<Value>> {
        let node = &self.consumer.parts.node;
        let trust = node.partition.read(|fold, _| fold.partners.trust().clone()).unwrap();
        let page = |receipt: &String| {
            let proof = receipts::export(node, receipt).unwrap();
            assert_eq!(verify(proof.as_bytes(), Some(&trust)).unwrap().level, Level::Signed);
            let parts = |fold: &twinpact_node::fold::Fold| {
                let copy = fold.copies.get(receipt).unwrap();
                copy.parts
                    .iter()
                    .flat_map(|p| serde_json::from_str::<Vec<Value>>(&p.rows).unwrap())
                    .collect()
            };
            node.partition.read(|fold, _| parts(fold)).unwrap()
        };
        receipts.iter().map(page).collect()
    }

    pub(crate) async fn stop(self) {
        self.consumer.stop().await;
        self.provider.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_once_and_in_order() {
    let world = World::concluded().await;
    let pulled = world.pull(&world.wanted()).await.unwrap();
    let pages = world.copied(&pulled.receipts);
    let lengths: Vec<usize> = pages.iter().map(Vec::len).collect();
    let expected = shown();
    assert_eq!(lengths, [MAX_PAGE_ROWS - 2, expected.len() + 2 - MAX_PAGE_ROWS]);
    assert_eq!((pulled.rows, &pages.concat()), (expected.len(), &expected));
    let bytes: usize = expected.iter().map(|item| item.to_string().len()).sum();
    assert_eq!(pulled.bytes, bytes as u64);
    // As many as the histories have inside the hours.
    let history = |twin: &str| {
        use twinpact_node::read::{self, Span};
        read::history(&world.provider.parts.node, twin, Span::default()).unwrap().total
    };
    let recorded: usize =
        ["a", "b", "c"].map(|t| history(&format!("urn:turbine:{t}"))).iter().sum();
    assert_eq!((recorded, pulled.rows), (rows().len(), rows().len() - 100));
    // Two deliveries under one decision.
    let decisions = decisions::list(&world.provider.parts.node, 100, None).unwrap();
    let uses: Vec<u64> = decisions.iter().map(|d| d.used).collect();
    assert_eq!(uses, [2], "{decisions:?}");
    // What narrows the view does so on every page.
    let (since, until) = (TUESDAY + 10, TUESDAY + DAY + 300);
    let narrow = Pull {
        since: Some(Timestamp::from_seconds(since)),
        until: Some(Timestamp::from_seconds(until)),
        twin: None,
        ..world.wanted()
    };
    let pulled = world.pull(&narrow).await.unwrap();
    let at = |item: &Value| Timestamp::parse(item[1].as_str().unwrap()).unwrap().seconds();
    let inside: Vec<Value> =
        expected.into_iter().filter(|item| (since..until).contains(&at(item))).collect();
    assert_eq!(pulled.receipts.len(), 2);
    assert_eq!(world.copied(&pulled.receipts).concat(), inside);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_refusal_stays_and_the_rest_can_be_pulled() {
    let world = World::concluded().await;
    // A page that would not go on where it ends is refused, whatever its receipt says.
    let back = Cursor { delivered: 2, ..border() };
    for next in [json!(back.to_string()), json!("1~2~3"), json!(3)] {
        world.trick.lock().unwrap().next = Some(next);
        let refused = world.pull(&world.wanted()).await.unwrap_err();
        assert_eq!(refused.code, codes::EXCHANGE_PROOF, "{refused}");
    }
    let stored = |fold: &twinpact_node::fold::Fold| fold.copies.ledger(&world.agreement).is_some();
    let node = &world.consumer.parts.node;
    assert!(!node.partition.read(|fold, _| stored(fold)).unwrap());
    // The first page comes, the second does not.
    *world.trick.lock().unwrap() = Trick { through: Some(1), ..Trick::default() };
    let refused = world.pull(&world.wanted()).await.unwrap_err();
    assert_eq!(refused.code, codes::PEER_UNREACHABLE);
    let first = MAX_PAGE_ROWS - 2;
    let said = format!("cut off; 1 page with {first} rows were stored before");
    assert_eq!(refused.message, said);
    let place = format!("--after '{}'", border());
    assert!(refused.hint.unwrap().ends_with(&place), "{place}");
    assert!(node.partition.read(|fold, _| stored(fold)).unwrap());
    *world.trick.lock().unwrap() = Trick::default();
    let rest = Pull { after: Some(border()), ..world.wanted() };
    let pulled = world.pull(&rest).await.unwrap();
    let expected = &shown()[first..];
    assert_eq!(world.copied(&pulled.receipts), [expected]);
    world.stop().await;
}

/// A node on loopback. The partner's address is private, so it is listed.
fn init(path: &Path, did: &str, (port, partner): (u16, u16)) {
    open::init(path, &Did::new(did).unwrap(), "Test").unwrap();
    let allowed = format!("https://127.0.0.1:{partner}");
    let config = format!(
        "organisation = \"{did}\"\nname = \"Test\"\n\n\
         [federation]\nlisten = \"127.0.0.1:{port}\"\nallow_private = [\"{allowed}\"]\n"
    );
    std::fs::write(path.join("twinpact.toml"), config).unwrap();
}

async fn start(path: &Path, partner: u16, trick: Arc<Mutex<Trick>>) -> Running {
    let parts = open::open(path, PolicyClock::System).await.unwrap();
    let node = &parts.node;
    let clocks = node.clocks.clone();
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    let clock: twinpact_identity::tls::Clock = Arc::new(move || clocks.wall());
    let allowed = vec![format!("https://127.0.0.1:{partner}")];
    let inner = HttpsOutbound::new(presented, partners, clock, allowed).unwrap();
    assert!(node.outbound.set(Arc::new(Between { inner, trick })).is_ok());
    Running::start(parts).await.unwrap()
}

async fn pin(us: &Node, other: &Node) {
    let record = prove::own_record(other).unwrap().to_json().canonical();
    partners::add(us, record.as_bytes()).await.unwrap();
}

async fn fill(node: &Node, rows: &[(&'static str, i64, String)]) {
    record::apply_model(node, model_file::parse(MODEL).unwrap(), "local").await.unwrap();
    let observation = |(twin, second, value): &(&str, i64, String)| {
        let values = BTreeMap::from([("power", value)]);
        let time = Timestamp::from_seconds(*second).to_string();
        json!({ "id": format!("{twin} {time} {value}"), "twin": twin, "time": time, "values": values })
    };
    for batch in rows.chunks(1_000) {
        let observations: Vec<Value> = batch.iter().map(observation).collect();
        let body = json!({
            "source": "urn:source:test",
            "model": "wind-turbine@1",
            "observations": observations,
        });
        let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
        assert!(record::record(node, batch, "local").await.unwrap().refused.is_empty());
    }
    let contract = CONTRACT.replacen(HOURS_OF_USE, "", 1);
    assert_ne!(contract, CONTRACT, "the example has changed");
    contracts::publish(node, contract).await.unwrap();
}

/// Waits until the provider has finalised the negotiation.
async fn finalized(provider: &Node) {
    let mut changes = provider.partition.changes();
    let done = |fold: &twinpact_node::fold::Fold| {
        fold.processes.negotiations.values().any(|one| one.state == State::Finalized)
    };
    loop {
        changes.borrow_and_update();
        if provider.partition.read(|fold, _| done(fold)).unwrap() {
            return;
        }
        changes.changed().await.unwrap();
    }
}

#[tokio::test]
async fn pulls_share_a_transfer_whose_token_is_refreshed_until_the_agreement_is_revoked() {
    let world = World::concluded().await;
    let node = &world.consumer.parts.node;
    let transfers = || -> Vec<String> {
        let keys =
            |fold: &twinpact_node::fold::Fold| fold.processes.transfers.keys().cloned().collect();
        node.partition.read(|fold, _| keys(fold)).unwrap()
    };
    world.pull(&world.wanted()).await.unwrap();
    let first = transfers();
    assert_eq!(first.len(), 1);
    // What a restart forgets: the token is in memory only.
    node.secrets.forget_address(&first[0]);
    world.pull(&world.wanted()).await.unwrap();
    assert_eq!(transfers(), first, "refreshed, not opened anew");
    // The provider ends the transfer, and the consumer learns from that why.
    let provider = &world.provider.parts.node;
    agreements::revoke(provider, &world.agreement, "over").await.unwrap();
    let mut changes = node.partition.changes();
    while agreements::show(node, &world.agreement, None).unwrap().state == "active" {
        changes.changed().await.unwrap();
    }
    let refused = world.pull(&world.wanted()).await.unwrap_err();
    assert_eq!(refused.code, codes::POLICY_REVOKED);
    world.stop().await;
}

/// Each page continues what was pinned when it was asked for, so none is taken for a fork.
#[tokio::test(flavor = "multi_thread")]
async fn pulls_at_once_all_hold() {
    let world = World::concluded().await;
    let wanted = world.wanted();
    let (a, b) = tokio::join!(world.pull(&wanted), world.pull(&wanted));
    let (c, d) = tokio::join!(world.pull(&wanted), world.pull(&wanted));
    let all: Vec<_> = [a, b, c, d].into_iter().map(|pulled| pulled.unwrap().receipts).collect();
    let different: std::collections::BTreeSet<&String> = all.iter().flatten().collect();
    assert_eq!(different.len(), all.iter().flatten().count());
    for receipts in &all {
        assert_eq!(world.copied(receipts).concat(), shown());
    }
    world.stop().await;
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let items = std::fs::read_dir(dir).unwrap().map(|item| item.unwrap().path());
    items.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_good_is_in_no_file_of_either_side() {
    let world = World::concluded().await;
    world.pull(&world.wanted()).await.unwrap();
    let node = &world.consumer.parts.node;
    let pid =
        |fold: &twinpact_node::fold::Fold| fold.processes.transfers.keys().next().cloned().unwrap();
    let pid = node.partition.read(|fold, _| pid(fold)).unwrap();
    // A refreshed one goes another way than the first.
    node.secrets.forget_address(&pid);
    world.pull(&world.wanted()).await.unwrap();
    let mut secrets = world.trick.lock().unwrap().tokens.clone();
    secrets.dedup();
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    let (address, _) = node.secrets.address(&pid).unwrap();
    assert_eq!(address.property("authorization"), Some(secrets[1].as_str()));
    secrets.extend([&world.provider, &world.consumer].map(|side| side.admin.token.clone()));
    let search = |when: &str| {
        let found = files(world.place.path());
        assert!(found.len() >= 12, "{found:?}");
        for file in found {
            let bytes = std::fs::read(&file).unwrap();
            for secret in &secrets {
                let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!holds, "{when}: {secret} in {}", file.display());
            }
        }
    };
    search("while both nodes run");
    world.consumer.stop().await;
    world.provider.stop().await;
    search("after they have stopped");
}
