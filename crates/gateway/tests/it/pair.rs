//! Two whole nodes on loopback that may call each other: an operator that shows a few rows of its
//! turbine, and their maker.

use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use twinpact_dsp::negotiation::State;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_gateway::Running;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_identity::tls::{Clock, system_clock};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, codes};
use twinpact_node::api::{Negotiate, Pull, Pulled};
use twinpact_node::ask::ORGANISATION_PATH;
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending, Reply};
use twinpact_node::{Node, PolicyClock, consumer, contracts, open, partners, prove, record};
use twinpact_testkit::{RealDisk, free_port};

const MODEL: &str = include_str!("../../../../examples/wind/wind-turbine.toml");
const CONTRACT: &str = include_str!("../../../../examples/wind/turbine-maintenance.odcs.yaml");
/// What binds the use of the example to hours; its row filter, the same hours, stays.
const HOURS_OF_USE: &str = "            - leftOperand: https://w3id.org/twinpact/odrl/localSchedule
              operator: isPartOf
              rightOperand: \"Mo-Fr 07:00-19:00 [Europe/Paris]\"
";
/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const OPERATOR: &str = "did:web:operator.example";
/// The view that the example shows.
pub(crate) const VIEW: &str = "https://operator.example/id/views/turbine-maintenance/1.0.0";
pub(crate) const MAKER: &str = "did:web:maker.example";
/// Tuesday 21 July 2015, 07:00 in Paris: the hours of the row filter begin.
pub(crate) const TUESDAY: i64 = 1_437_454_800;
/// How many rows the operator shows.
pub(crate) const ROWS: usize = 3;

/// Both nodes, running.
pub(crate) struct Pair {
    pub(crate) place: tempfile::TempDir,
    pub(crate) operator: Running,
    pub(crate) maker: Running,
}

impl Pair {
    /// Two of which neither tells the other about a new record, and the agreement between them.
    pub(crate) async fn silent() -> (Pair, String) {
        let place = made();
        let operator = start_silent(&place.path().join("operator")).await;
        let maker = start_silent(&place.path().join("maker")).await;
        Pair { place, operator, maker }.introduced().await
    }

    /// Two of which the operator does not hear the first answer to data that it sends, and the
    /// agreement between them.
    pub(crate) async fn losing() -> (Pair, String) {
        let place = made();
        let path = place.path().join("operator");
        let parts = open::open(&path, PolicyClock::System).await.unwrap();
        let losing = Losing { inner: way_out(&parts.node), lost: AtomicBool::new(false) };
        assert!(parts.node.outbound.set(Arc::new(losing)).is_ok());
        let operator = Running::start(parts).await.unwrap();
        let maker = start(&place.path().join("maker")).await;
        Pair { place, operator, maker }.introduced().await
    }

    /// Two of which the consumer's verifications are never answered while that is set, and the
    /// agreement between them.
    pub(crate) async fn holding() -> (Pair, String, Arc<AtomicBool>) {
        let place = made();
        let operator = start(&place.path().join("operator")).await;
        let path = place.path().join("maker");
        let parts = open::open(&path, PolicyClock::System).await.unwrap();
        let holds = Arc::new(AtomicBool::new(false));
        let holding = Holding { inner: way_out(&parts.node), holds: holds.clone() };
        assert!(parts.node.outbound.set(Arc::new(holding)).is_ok());
        let maker = Running::start(parts).await.unwrap();
        let (pair, agreement) = Pair { place, operator, maker }.introduced().await;
        (pair, agreement, holds)
    }

    /// Two that do not know each other yet.
    pub(crate) async fn strangers() -> Pair {
        Pair::strangers_by(system_clock()).await
    }

    /// The same, the operator by that clock.
    pub(crate) async fn strangers_by(clock: Clock) -> Pair {
        let place = made();
        let path = place.path().join("operator");
        let disk = Arc::new(RealDisk);
        let parts = open::open_by(disk, &path, PolicyClock::System, clock).await.unwrap();
        let operator = Running::start(parts).await.unwrap();
        let maker = start(&place.path().join("maker")).await;
        Pair { place, operator, maker }
    }

    /// Two whose policy clocks are driven, and the agreement between them.
    pub(crate) async fn driven() -> (Pair, String) {
        let place = made();
        let open = async |name: &str| {
            let parts = open::open(&place.path().join(name), PolicyClock::Driven).await.unwrap();
            Running::start(parts).await.unwrap()
        };
        let (operator, maker) = (open("operator").await, open("maker").await);
        Pair { place, operator, maker }.introduced().await
    }

    /// Two that have pinned each other, and the agreement between them.
    pub(crate) async fn concluded() -> (Pair, String) {
        Pair::strangers().await.introduced().await
    }

    async fn introduced(self) -> (Pair, String) {
        let pair = self;
        pin(pair.operator(), pair.maker()).await;
        pin(pair.maker(), pair.operator()).await;
        fill(pair.operator()).await;
        let agreement = pair.agreed().await;
        (pair, agreement)
    }

    /// A new agreement between the two.
    pub(crate) async fn agreed(&self) -> String {
        let dataset = Some(VIEW.to_owned());
        let asked = Negotiate { partner: OPERATOR.to_owned(), dataset, another: true };
        let agreement = consumer::negotiate(self.maker(), &asked).await.unwrap();
        let over =
            |fold: &Fold| fold.processes.negotiations.values().all(|n| n.state == State::Finalized);
        until(self.operator(), over).await;
        agreement.id
    }

    pub(crate) fn operator(&self) -> &Node {
        &self.operator.parts.node
    }

    pub(crate) fn maker(&self) -> &Node {
        &self.maker.parts.node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) async fn pull(&self, agreement: &str) -> Result<Pulled, Problem> {
        consumer::pull(self.maker(), &wanted(agreement)).await
    }

    pub(crate) async fn stop(self) {
        self.maker.stop().await;
        self.operator.stop().await;
    }
}

/// The example under another name.
pub(crate) fn contract(name: &str) -> String {
    CONTRACT.replacen("name: turbine-maintenance", &format!("name: {name}"), 1)
}

/// The directories of both.
fn made() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let (ours, theirs) = (free_port(), free_port());
    make(&place.path().join("operator"), OPERATOR, (ours, theirs));
    make(&place.path().join("maker"), MAKER, (theirs, ours));
    place
}

/// A pull that the agreement permits.
pub(crate) fn wanted(agreement: &str) -> Pull {
    Pull {
        agreement: agreement.to_owned(),
        purpose: Some("https://w3id.org/twinpact/purpose/PredictiveMaintenance".to_owned()),
        place: Some("FR".to_owned()),
        since: None,
        until: None,
        twin: None,
        after: None,
    }
}

/// Waits until the state of a node is so.
pub(crate) async fn until(node: &Node, so: impl Fn(&Fold) -> bool) {
    let mut changes = node.partition.changes();
    while !node.partition.read(|fold, _| so(fold)).unwrap() {
        changes.changed().await.unwrap();
    }
}

/// Waits until something is so in the state, no longer than a test may.
pub(crate) async fn found<T>(node: &Node, seen: impl Fn(&Fold) -> Option<T>) -> T {
    let mut changes = node.partition.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            if let Some(found) = node.partition.read(|fold, _| seen(fold)).unwrap() {
                return found;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

/// The directory of a node on loopback. The partner's address is private, so it is listed.
pub(crate) fn make(path: &Path, did: &str, (port, partner): (u16, u16)) {
    open::init(path, &Did::new(did).unwrap(), "Test").unwrap();
    let config = format!(
        "organisation = \"{did}\"\nname = \"Test\"\n\n[federation]\n\
         listen = \"127.0.0.1:{port}\"\nallow_private = [\"https://127.0.0.1:{partner}\"]\n"
    );
    std::fs::write(path.join("twinpact.toml"), config).unwrap();
}

/// The way out of a node that was opened, and is not started yet.
pub(crate) fn way_out(node: &Node) -> HttpsOutbound {
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    let (allowed, clocks) = (node.config.federation.allow_private.clone(), node.clocks.clone());
    let clock: Clock = Arc::new(move || clocks.wall());
    HttpsOutbound::new(presented, partners, clock, allowed).unwrap()
}

/// A way out that sends nobody our record.
struct Silent(HttpsOutbound);

impl Outbound for Silent {
    fn call(&self, call: Call) -> Pending<'_> {
        match call.method == "POST" && call.url.ends_with(ORGANISATION_PATH) {
            true => Box::pin(async { Ok(Reply::whole(400, Vec::new())) }),
            false => self.0.call(call),
        }
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.0.first(call)
    }
}

/// A way out on which the first answer to data that are sent is lost: they have come.
struct Losing {
    inner: HttpsOutbound,
    lost: AtomicBool,
}

impl Outbound for Losing {
    fn call(&self, call: Call) -> Pending<'_> {
        let loses = call.method == "POST" && call.url.contains("/data/");
        Box::pin(async move {
            let answer = self.inner.call(call).await;
            match loses && !self.lost.swap(true, Ordering::SeqCst) {
                true => Err(Problem::new(codes::PEER_UNREACHABLE, "its answer was lost")),
                false => answer,
            }
        })
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.inner.first(call)
    }
}

/// A way out on which what verifies an agreement stays, while that is set.
struct Holding {
    inner: HttpsOutbound,
    holds: Arc<AtomicBool>,
}

impl Outbound for Holding {
    fn call(&self, call: Call) -> Pending<'_> {
        let verifies = String::from_utf8_lossy(&call.body).contains("AgreementVerification");
        match verifies && self.holds.load(Ordering::SeqCst) {
            true => Box::pin(std::future::pending()),
            false => self.inner.call(call),
        }
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.inner.first(call)
    }
}

/// A node that tells no partner about a new record of its own.
async fn start_silent(path: &Path) -> Running {
    let parts = open::open(path, PolicyClock::System).await.unwrap();
    let inner = way_out(&parts.node);
    assert!(parts.node.outbound.set(Arc::new(Silent(inner))).is_ok());
    Running::start(parts).await.unwrap()
}

pub(crate) async fn start(path: &Path) -> Running {
    Running::start(open::open(path, PolicyClock::System).await.unwrap()).await.unwrap()
}

pub(crate) async fn pin(us: &Node, other: &Node) {
    let record = prove::own_record(other).unwrap().to_json().canonical();
    partners::add(us, record.as_bytes()).await.unwrap();
}

/// Model, rows and contract of the operator.
pub(crate) async fn fill(node: &Node) {
    fill_bound(node, "").await;
}

/// The same, with what binds the use instead of the hours.
pub(crate) async fn fill_bound(node: &Node, bound: &str) {
    record::apply_model(node, model_file::parse(MODEL).unwrap(), "local").await.unwrap();
    let rows: Vec<(usize, String)> = (0..ROWS).map(|n| (n, "514.24".to_owned())).collect();
    ingest(node, &rows).await;
    let contract = CONTRACT.replacen(HOURS_OF_USE, bound, 1);
    assert_ne!(contract, CONTRACT, "the example has changed");
    contracts::publish(node, contract).await.unwrap();
}

/// Records rows of (second in the hours of the row filter, which is its id too; power).
pub(crate) async fn ingest(node: &Node, rows: &[(usize, String)]) {
    let observation = |(second, power): &(usize, String)| {
        let at = TUESDAY + i64::try_from(*second).unwrap();
        let time = Timestamp::from_seconds(at).to_string();
        let values = BTreeMap::from([("power", power)]);
        json!({ "id": second.to_string(), "twin": "urn:turbine:a", "time": time, "values": values })
    };
    let body = json!({
        "source": "urn:source:test",
        "model": "wind-turbine@1",
        "observations": rows.iter().map(observation).collect::<Vec<_>>(),
    });
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    assert!(record::record(node, batch, "local").await.unwrap().refused.is_empty());
}
