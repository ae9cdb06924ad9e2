//! Two whole nodes on simulated disks, by one clock that a test moves, and the wire between them:
//! no socket, and each request waits until it is chosen. What happens follows from a seed.
//!
//! A request goes from the `Outbound` of one node to the `Door` of the other, with the identity
//! that TLS would have found. Whoever chooses waits first until both nodes have come to rest:
//! until nothing waits for a writer and no task can go on.

use crate::operator::peer;
use crate::outside::project;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_identity::tls::{Clock, system_clock};
use twinpact_model::problem::Problem;
use twinpact_model::{Did, Timestamp, WallTime, codes};
use twinpact_node::behind::CHECKPOINT_HEADER;
use twinpact_node::door::{Asked, Door, Way};
use twinpact_node::egress::{Egress, PublicDoc, Told};
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending, Reply};
use twinpact_node::{
    Node, NodeParts, PolicyClock, contracts, deadlines, open, outbox, partners, prove, record,
};
use twinpact_store::vfs::Vfs;
use twinpact_testkit::{Careless, Death, Ignores, SimDisk};

pub(crate) const OPERATOR: usize = 0;
pub(crate) const MAKER: usize = 1;
const NAMES: [&str; 2] = ["operator", "maker"];
pub(crate) const DIDS: [&str; 2] = ["did:web:operator.example", "did:web:maker.example"];
/// In the hours of the contract's use.
const MONDAY: &str = "2015-07-27T10:00:00+02:00";
/// Tuesday 21 July 2015, 07:00 in Paris: the hours of its row filter begin.
const TUESDAY: i64 = 1_437_454_800;
/// How many rows the operator shows.
pub(crate) const ROWS: i64 = 3;

/// A request that is under way.
pub(crate) struct Request {
    from: usize,
    call: Call,
    pub(crate) label: String,
    /// Who waits for the answer, if anybody does.
    reply: Option<Sender>,
}

type Sender = oneshot::Sender<Result<Reply, Problem>>;

impl Request {
    fn new(from: usize, call: Call, reply: Option<Sender>) -> Request {
        Request { from, call, label: String::new(), reply }
    }

    /// What it is, without what is random in it: ids are counted as they are seen first.
    fn name(&mut self, ids: &mut Vec<String>) {
        let mut id = |text: &str| {
            let known = ids.iter().position(|known| known == text);
            known.unwrap_or_else(|| {
                ids.push(text.to_owned());
                ids.len() - 1
            })
        };
        // That of the sender comes first.
        let body: Value = serde_json::from_slice(&self.call.body).unwrap_or_default();
        for member in ["consumerPid", "providerPid"] {
            let _ = body[member].as_str().map(&mut id);
        }
        let path = self.call.url.split('?').next().unwrap_or_default().replace("%3A", ":");
        let words = path.split('/').skip(3);
        let plain = words.map(|word| match word.starts_with("urn:") {
            true => id(word).to_string(),
            false => word.to_owned(),
        });
        let words = plain.collect::<Vec<_>>().join("/");
        let heard = if self.reply.is_some() { "" } else { " again" };
        self.label = format!("{} {} /{words}{heard}", NAMES[self.from], self.call.method);
    }

    /// A copy for whose answer nobody waits.
    pub(crate) fn again(&self) -> Request {
        Request::new(self.from, self.call.clone(), None)
    }

    /// The copy as it is to a node that knows no repeat: a message of its own, by the ids that tell
    /// one from another ([`twinpact_dsp::exchange::opening_key`] and the `@id`).
    pub(crate) fn unknown_again(&self) -> Request {
        let mut copy = self.again();
        let Ok(mut body) = serde_json::from_slice::<Value>(&copy.call.body) else { return copy };
        let opens = copy.call.url.ends_with("/request") && body.get("providerPid").is_none();
        for id in ["@id"].into_iter().chain(opens.then_some("consumerPid")) {
            if let Some(known) = body[id].as_str() {
                body[id] = format!("{known}-again").into();
            }
        }
        copy.call.body = body.to_string().into_bytes();
        copy
    }

    /// The address that is called.
    pub(crate) fn url(&self) -> &str {
        &self.call.url
    }

    pub(crate) fn answer(self, answer: Result<Reply, Problem>) {
        // Who asked may be dead.
        self.reply.into_iter().for_each(|reply| drop(reply.send(answer.clone())));
    }
}

/// All requests that are under way.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<Request>>>);

impl Wire {
    pub(crate) fn under_way(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap()
    }

    /// Takes the first that is for that node.
    fn next_for(&self, node: usize) -> Option<Request> {
        let mut asked = self.under_way();
        let at = asked.iter().position(|request| request.from != node)?;
        Some(asked.remove(at))
    }
}

/// The way out of one node.
struct Line {
    from: usize,
    wire: Wire,
}

pub(crate) fn nobody() -> Problem {
    Problem::new(codes::PEER_UNREACHABLE, "no answer")
}

impl Outbound for Line {
    fn call(&self, call: Call) -> Pending<'_> {
        let (reply, replied) = oneshot::channel();
        self.wire.under_way().push(Request::new(self.from, call, Some(reply)));
        Box::pin(async move { replied.await.unwrap_or_else(|_| Err(nobody())) })
    }

    fn first(&self, _: FirstCall) -> Pending<'_> {
        Box::pin(async { Err(nobody()) })
    }
}

/// A clock that both nodes go by.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn clock(&self) -> Clock {
        let hand = self.0.clone();
        Arc::new(move || WallTime(Timestamp::from_micros(hand.load(Ordering::SeqCst))))
    }
}

/// A node that runs, without listeners.
struct Live {
    parts: NodeParts,
    sender: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

/// A node and its disk.
struct House {
    path: PathBuf,
    disk: SimDisk,
    /// The same disk, or what a careless program makes of it.
    used: Arc<dyn Vfs>,
    live: Option<Live>,
    /// For how many choices it stays away.
    away: usize,
}

/// Both nodes and what is between them.
pub(crate) struct World {
    houses: [House; 2],
    pub(crate) wire: Wire,
    hand: Hand,
    /// The ids of processes, as they were seen.
    ids: Mutex<Vec<String>>,
    _place: tempfile::TempDir,
    /// As long as it is there, the timers of the runtime go on only when they are told to.
    _timers: std::sync::mpsc::Sender<()>,
}

impl World {
    /// Two that have pinned each other; the operator has a contract and rows.
    pub(crate) async fn new(seed: u64, ignores: Option<Ignores>) -> World {
        let place = tempfile::tempdir().unwrap();
        let house = |node: usize| house(place.path(), seed * 2 + node as u64, node, ignores);
        let (houses, wire) = ([house(OPERATOR), house(MAKER)], Wire::default());
        // A whole hour, later than now: no time is longer in one run than in another.
        let hour = (system_clock()().0.seconds() / 3_600 + 1) * 3_600_000_000;
        let hand = Hand(Arc::new(AtomicI64::new(hour)));
        let (timers, held) = std::sync::mpsc::channel();
        // While it blocks, a runtime whose time stands does not move it by itself.
        drop(tokio::task::spawn_blocking(move || held.recv()));
        let mut world =
            World { houses, wire, hand, ids: Mutex::default(), _place: place, _timers: timers };
        world.open(OPERATOR).await.unwrap();
        world.open(MAKER).await.unwrap();
        let [operator, maker] = world.nodes();
        pin(&operator, &maker).await;
        pin(&maker, &operator).await;
        fill(&operator).await;
        world
    }

    async fn open(&mut self, node: usize) -> Result<(), Problem> {
        let house = &mut self.houses[node];
        let (disk, clock) = (house.used.clone(), self.hand.clock());
        let parts = open::open_by(disk, &house.path, PolicyClock::Driven, clock).await?;
        parts.node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
        let line = Line { from: node, wire: self.wire.clone() };
        assert!(parts.node.outbound.set(Arc::new(line)).is_ok());
        let (stop, stopped) = watch::channel(false);
        let sender = tokio::spawn(outbox::run(parts.node.clone(), stopped));
        house.live = Some(Live { parts, sender, _stop: stop });
        Ok(())
    }

    /// A node, unless it is dead.
    pub(crate) fn node(&self, node: usize) -> Option<Node> {
        self.houses[node].live.as_ref().map(|live| live.parts.node.clone())
    }

    /// The disk of a node.
    pub(crate) fn disk(&self, node: usize) -> &SimDisk {
        &self.houses[node].disk
    }

    /// Why the log of a node has stopped, if it has.
    pub(crate) fn stopped(&self, node: usize) -> Option<Problem> {
        self.node(node)?.partition.read(|_, _| ()).err()
    }

    /// A node is killed and started again.
    pub(crate) async fn restart(&mut self, node: usize) -> Result<(), Problem> {
        self.die(node, Death::Killed, 0).await;
        self.come_back(true).await
    }

    /// Both, when both live.
    pub(crate) fn nodes(&self) -> [Node; 2] {
        [OPERATOR, MAKER].map(|node| self.node(node).unwrap())
    }

    /// Waits until both nodes have come to rest.
    pub(crate) async fn settle(&self) {
        let (mut calm, mut last) = (0, None);
        while calm < 3 {
            for live in self.houses.iter().filter_map(|house| house.live.as_ref()) {
                // Answered after everything that waited for this writer before.
                let _ = live.parts.node.partition.turn(|_| Ok(())).await;
            }
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            let frames = |house: &House| {
                house.live.as_ref().map(|live| *live.parts.node.partition.changes().borrow())
            };
            let now = Some((self.wire.under_way().len(), self.houses.each_ref().map(frames)));
            calm = if now == last { calm + 1 } else { 0 };
            last = now;
        }
        let mut ids = self.ids.lock().unwrap();
        let mut asked = self.wire.under_way();
        asked.iter_mut().filter(|one| one.label.is_empty()).for_each(|one| one.name(&mut ids));
        asked.sort_by(|one, other| one.label.cmp(&other.label));
    }

    /// Hands a request to whom it is for; no answer when that node is dead or dies meanwhile.
    pub(crate) async fn serve(&self, request: &Request) -> Result<Reply, Problem> {
        let house = &self.houses[1 - request.from];
        let Some(live) = &house.live else { return Err(nobody()) };
        let egress = live.parts.node.answer(asked(request)).await;
        if house.disk.is_off() { Err(nobody()) } else { Ok(reply(egress)) }
    }

    /// Lets time pass, for the timers of both nodes and for their clocks.
    pub(crate) async fn pass(&self, seconds: u64) {
        let micros = i64::try_from(seconds).unwrap() * 1_000_000;
        self.hand.0.fetch_add(micros, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for node in [OPERATOR, MAKER].into_iter().filter_map(|node| self.node(node)) {
            let fired = deadlines::fire(&node, node.clocks.wall()).await;
            // A disk that was made to fail may have stopped it just before.
            assert!(fired.is_ok() || node.partition.read(|_, _| ()).is_err(), "{fired:?}");
        }
    }

    /// A node dies; one whose power goes does so in the middle of what it is asked next.
    pub(crate) async fn die(&mut self, node: usize, death: Death, away: usize) {
        let Some(live) = self.node(node) else { return };
        if let Death::PowerCut(steps) = death {
            // So that no tick comes between.
            live.partition.turn_and_prove(|_| Ok(())).await.unwrap();
            self.houses[node].disk.cut_after(steps);
            let next = self.wire.next_for(node);
            if let Some(request) = next {
                let answer = self.serve(&request).await;
                request.answer(answer);
            }
        }
        let house = &mut self.houses[node];
        match death {
            Death::Killed => house.disk.kill(),
            Death::PowerCut(_) => house.disk.power_cycle(),
        }
        house.away = away;
        if let Some(live) = house.live.take() {
            live.sender.abort();
            let _ = live.sender.await;
            live.parts.stop();
        }
    }

    /// Those that have been away for long enough come back.
    pub(crate) async fn come_back(&mut self, at_once: bool) -> Result<(), Problem> {
        for node in [OPERATOR, MAKER] {
            let house = &mut self.houses[node];
            if house.live.is_some() {
                continue;
            }
            match house.away.checked_sub(1) {
                Some(left) if !at_once => house.away = left,
                _ => self.open(node).await?,
            }
        }
        Ok(())
    }

    pub(crate) async fn stop(mut self) {
        for house in &mut self.houses {
            if let Some(live) = house.live.take() {
                live.sender.abort();
                let _ = live.sender.await;
                live.parts.stop();
            }
        }
    }
}

fn house(place: &Path, seed: u64, node: usize, ignores: Option<Ignores>) -> House {
    let disk = SimDisk::new(seed, place);
    let used: Arc<dyn Vfs> = match ignores {
        Some(ignores) => Arc::new(Careless::new(Arc::new(disk.clone()), ignores)),
        None => Arc::new(disk.clone()),
    };
    let path = place.join(NAMES[node]);
    open::init_on(used.clone(), &path, &Did::new(DIDS[node]).unwrap(), NAMES[node]).unwrap();
    House { path, disk, used, live: None, away: 0 }
}

pub(crate) async fn pin(us: &Node, other: &Node) {
    let record = prove::own_record(other).unwrap().to_json().canonical();
    partners::add(us, record.as_bytes()).await.unwrap();
}

/// Model, rows and contract of the operator.
pub(crate) async fn fill(node: &Node) {
    let example =
        |name: &str| std::fs::read_to_string(project().join("examples/wind").join(name)).unwrap();
    let model = model_file::parse(&example("wind-turbine.toml")).unwrap();
    record::apply_model(node, model, "x").await.unwrap();
    let observation = |second: i64| {
        let time = Timestamp::from_seconds(TUESDAY + second).to_string();
        let values = BTreeMap::from([("power", "514.24")]);
        json!({ "id": second.to_string(), "twin": "urn:turbine:a", "time": time, "values": values })
    };
    let observations: Vec<_> = (0..ROWS).map(observation).collect();
    let body = json!({"source": "urn:s", "model": "wind-turbine@1", "observations": observations});
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    assert!(record::record(node, batch, "x").await.unwrap().refused.is_empty());
    contracts::publish(node, example("turbine-maintenance.odcs.yaml")).await.unwrap();
}

/// The request as the federation listener hands it to the door.
fn asked(request: &Request) -> Asked {
    asked_by(Did::new(DIDS[request.from]).unwrap(), &request.call)
}

/// The same of any organisation.
pub(crate) fn asked_by(from: Did, call: &Call) -> Asked {
    let rest = call.url.splitn(4, '/').nth(3).unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (rest, None),
    };
    let header = |name: &str| {
        let found = call.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    Asked {
        way: Way::Federation,
        peer: Some(peer(from)),
        method: call.method.to_owned(),
        path: format!("/{path}"),
        query,
        bearer: header("authorization").map(|v| v.trim_start_matches("Bearer ").to_owned()),
        assertion: header("twinpact-assertion"),
        checkpoint: header(CHECKPOINT_HEADER),
        last_event: None,
        accept_encoding: None,
        if_none_match: None,
        body: call.body.clone(),
        fault: None,
    }
}

/// The answer as the federation listener writes it.
pub(crate) fn reply(egress: Egress) -> Reply {
    let (status, body) = match egress {
        Egress::Stream(_) => panic!("nobody here asks for a stream"),
        Egress::Permitted(delivered) => (200, delivered.body().to_string()),
        Egress::Protocol { status, message } => {
            (status, message.map_or(String::new(), |message| message.to_json().to_string()))
        }
        Egress::Public(
            PublicDoc::Organisation(text) | PublicDoc::Joined(text) | PublicDoc::Scripted(text),
        ) => (200, text),
        Egress::Public(PublicDoc::Versions(document)) => (200, document.to_string()),
        Egress::Together(told) => (200, Told::written(&told)),
        Egress::Log(document) => {
            let (status, _, body) = document.parts();
            (status, body)
        }
        Egress::Catalog(document) => {
            (document.status(), String::from_utf8(document.body().to_vec()).unwrap())
        }
        Egress::Schema(text) => (200, text),
        Egress::Fault(fault) => (fault.status, fault.document.to_string()),
    };
    Reply::whole(status, body.into_bytes())
}
