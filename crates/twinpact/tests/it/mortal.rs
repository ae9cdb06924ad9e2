//! A node that ends itself in the middle of what it does. It runs in a process of its own, which is
//! this test executable once more: so the hooks are in no binary that is shipped.

use crate::federation::MONDAY;
use crate::world::{Done, World};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use twinpact_contract::Contract;
use twinpact_dsp::message::Offer;
use twinpact_dsp::negotiation::{self, Opening as Opened};
use twinpact_gateway::{HttpsOutbound, Running};
use twinpact_model::Timestamp;
use twinpact_node::api::AdminFile;
use twinpact_node::negotiate::opened_negotiation;
use twinpact_node::outbound::{Call, FirstCall, Opening, Outbound, Pending, Reply};
use twinpact_node::{Node, PolicyClock, contracts, open};
use twinpact_proof::to_hex;
use twinpact_store::vfs::RealDisk;
use twinpact_testkit::{Doom, Moment, MortalDisk};

const DIRECTORY: &str = "TWINPACT_MORTAL";
/// The same for one that stands in for `twinpact serve`.
pub(crate) const SERVED: &str = "TWINPACT_SERVED";
/// Begins a line of the child; the test harness has lines of its own.
const MARK: &str = "> ";
/// A test fails when a node has nothing to say for so long.
const PATIENCE: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// The node in the directory that the environment names; nothing when it names none, as in a run of
/// all tests.
#[test]
fn child() {
    if let Ok(directory) = std::env::var(DIRECTORY) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(serve(Path::new(&directory)));
    }
}

/// A way out that ends the process as its doom says.
struct MortalWay(HttpsOutbound, Doom);

impl Outbound for MortalWay {
    fn call(&self, call: Call) -> Pending<'_> {
        Box::pin(async move {
            self.1.pass(Moment::Send);
            let reply: Result<Reply, _> = self.0.call(call).await;
            self.1.pass(Moment::Reply);
            reply
        })
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.0.first(call)
    }

    fn flow(&self, call: Call) -> Opening<'_> {
        Box::pin(async move {
            let answer = self.0.flow(call).await?;
            // At who answers nothing can be asked to end the process here. What it does then is
            // written and synced before the first byte leaves, and it may end at each of these.
            if answer.status == 200 {
                self.1.pass(Moment::Stream);
            }
            Ok(answer)
        })
    }
}

/// A node in that directory which ends as its doom says.
async fn mortal(directory: &Path, doom: &Doom) -> Running {
    let disk = Arc::new(MortalDisk::new(Arc::new(RealDisk), doom.clone()));
    let parts = open::open_on(disk, directory, PolicyClock::Driven).await.unwrap();
    let (node, clocks) = (parts.node.clone(), parts.node.clocks.clone());
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    let allowed = node.config.federation.allow_private.clone();
    let clock = Arc::new(move || clocks.wall());
    let inner = HttpsOutbound::new(presented, partners, clock, allowed).unwrap();
    assert!(node.outbound.set(Arc::new(MortalWay(inner, doom.clone()))).is_ok());
    let running = Running::start(parts).await.unwrap();
    let url = format!("http://{}", running.admin.address);
    let file = AdminFile { url, token: running.admin.token.clone(), pid: std::process::id() };
    let (written, new) = (directory.join("admin.json"), directory.join("admin.new"));
    std::fs::write(&new, json!(file).to_string()).unwrap();
    std::fs::rename(new, written).unwrap();
    running
}

/// Serves until SIGTERM, in place of `twinpact serve`, and ends as the next line of its plan says;
/// the plan loses that line.
#[test]
fn served() {
    let Ok(directory) = std::env::var(SERVED) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = Path::new(&directory);
        let (doom, plan) = (Doom::default(), directory.with_extension("plan"));
        let text = std::fs::read_to_string(&plan).unwrap_or_default();
        if let Some((line, rest)) = text.split_once('\n') {
            let (moment, n) = line.split_once(' ').unwrap();
            let moment = Moment::ALL.into_iter().find(|m| format!("{m:?}") == moment);
            doom.plan(Some((moment.unwrap(), n.parse().unwrap())));
            std::fs::write(&plan, rest).unwrap();
        }
        let mut told = signal(SignalKind::terminate()).unwrap();
        let running = mortal(directory, &doom).await;
        let (admin, federation) = (running.admin.address, running.federation.unwrap());
        let doors = format!("admin http://{admin}\nfederation https://{federation}\n");
        std::fs::write(directory.with_extension("new"), doors).unwrap();
        std::fs::rename(directory.with_extension("new"), directory.with_extension("doors"))
            .unwrap();
        told.recv().await;
        running.stop().await;
    });
}

/// Serves until the input ends, and does what its lines say.
async fn serve(directory: &Path) {
    let doom = Doom::default();
    let running = mortal(directory, &doom).await;
    let node = running.parts.node.clone();
    node.clocks.set_policy(Timestamp::parse(MONDAY).unwrap()).unwrap();
    say("ready");
    loop {
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let line = line.await.unwrap().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["end", moment, n] => {
                let moment = Moment::ALL.into_iter().find(|m| format!("{m:?}") == moment);
                doom.plan(Some((moment.unwrap(), n.parse().unwrap())));
                say("planned");
            }
            ["count"] => {
                let passed = Moment::ALL.map(|moment| doom.passed(moment));
                say(&json!(passed).to_string());
                doom.plan(None);
            }
            ["rest"] => say(&at_rest(&node).await.to_string()),
            ["open", peer, count] => {
                open_many(&node, directory, peer, count.parse().unwrap()).await;
                say("opened");
            }
            ["watch"] => drop(tokio::spawn(watch(node.clone()))),
            _ => return running.stop().await,
        }
    }
}

/// Opens so many negotiations at once, with the partner whose contract lies beside the directory.
async fn open_many(node: &Node, directory: &Path, peer: &str, count: usize) {
    let document = std::fs::read(directory.with_file_name("contract.odcs.yaml")).unwrap();
    let contract = Contract::parse(&document).unwrap();
    let addresses = node.partition.read(|fold, _| {
        let theirs = fold.partners.get(peer).unwrap().record.dsp.clone();
        (fold.organisation.current().unwrap().0.dsp.clone(), theirs)
    });
    let (us, theirs) = addresses.unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let pid = twinpact_node::ids::urn().unwrap();
        let opening = Opened { own_pid: &pid, peer, address: &theirs, callback: &us };
        let offer = Offer {
            id: contracts::offer_id(&contract),
            target: Some(contract.view_id()),
            assigner: None,
            assignee: None,
            policy: Value::Object(contract.terms().to_odrl()).into(),
        };
        let step = negotiation::open_as_consumer(opening, offer, node.clocks.wall()).unwrap();
        all.extend(opened_negotiation(&step).unwrap());
    }
    node.partition.turn(move |turn| turn.log(all).map(|_| ())).await.unwrap();
}

/// Says after each frame what is open still and what was agreed, until the process ends.
async fn watch(node: Node) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        let read = node.partition.read(|fold, _| {
            let all = fold.processes.negotiations.values();
            json!({
                "open": all.filter(|one| !one.state.is_final()).count(),
                "unsent": fold.processes.outbox.len(),
                "agreements": fold.agreements.iter().count(),
            })
        });
        // A node that stops has nothing more to say.
        let Ok(status) = read else { return };
        say(&status.to_string());
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// A line for the test; the harness may be in the middle of one of its own.
#[allow(clippy::print_stdout, reason = "how a process answers")]
fn say(line: &str) {
    println!("\n{MARK}{line}");
}

/// What a node holds, once it has nothing left to send.
async fn at_rest(node: &Node) -> Value {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        if node.partition.read(|fold, _| fold.processes.outbox.is_empty()).unwrap() {
            break;
        }
        changes.changed().await.unwrap();
    }
    let read = node.partition.read(|fold, store| {
        let (forest, processes) = (store.forest(), &fold.processes);
        let mut deliveries = Vec::new();
        for agreement in fold.agreements.iter() {
            let Some(ledger) = agreement.ledger else { continue };
            let id = to_hex(&agreement.id);
            for index in 0..forest.size(ledger) {
                let name = to_hex(&forest.leaf(ledger, index).unwrap());
                let both = fold.countersignatures.receipt(&id, index).is_some();
                deliveries.push(json!({ "name": name, "countersigned": both }));
            }
        }
        let agreement = |a: &twinpact_node::agreements::Agreement| {
            let id = to_hex(&a.id);
            let both = fold.countersignatures.agreement(&id).is_some();
            json!([id, format!("{:?}", a.state), both])
        };
        json!({
            "recorded": fold.last_recorded(),
            "twins": fold.twins.nodes().count(),
            "facts": fold.twins.nodes().map(|(_, twin)| twin.facts.len()).sum::<usize>(),
            "negotiations": processes.negotiations.values().map(|n| format!("{:?}", n.state))
                .collect::<Vec<_>>(),
            "transfers": processes.transfers.values().map(|t| format!("{:?}", t.state))
                .collect::<Vec<_>>(),
            "agreements": fold.agreements.iter().map(agreement).collect::<Vec<_>>(),
            "deliveries": deliveries,
            "copies": fold.copies.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        })
    });
    read.unwrap()
}

pub(crate) const NODES: [&str; 2] = ["operator", "maker"];

/// What a test hears.
enum Event {
    /// A line of that node.
    Said(usize, String),
    /// That node has ended.
    Gone(usize),
    /// A command is over, and what it did.
    Over(Done),
}

/// Such a node, from the outside.
struct Mortal {
    child: Child,
    input: ChildStdin,
}

impl Mortal {
    fn start(world: &World, node: usize, events: Sender<Event>) -> Mortal {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "mortal::child", "--nocapture", "--test-threads=1"]);
        command.env(DIRECTORY, world.path(NODES[node]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix(MARK) {
                    // Nobody listens any more when the test is over.
                    let _ = events.send(Event::Said(node, line.to_owned()));
                }
            }
            let _ = events.send(Event::Gone(node));
        });
        Mortal { child, input }
    }

    fn tell(&mut self, line: &str) {
        // Who has ended takes no line; that it has ended is heard.
        let _ = writeln!(self.input, "{line}");
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both nodes, running.
pub(crate) struct Both {
    world: Arc<World>,
    nodes: Vec<Mortal>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

impl Both {
    /// Starts both, and waits until they answer.
    pub(crate) fn start(world: &Arc<World>) -> Both {
        let (sender, events) = channel();
        let nodes = Vec::new();
        let mut both = Both { world: world.clone(), nodes, events, sender };
        for node in 0..NODES.len() {
            both.nodes.push(Mortal::start(world, node, both.sender.clone()));
            both.ready(node);
        }
        both
    }

    fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).unwrap()
    }

    fn ready(&self, node: usize) {
        match self.event() {
            Event::Said(by, line) if (by, line.as_str()) == (node, "ready") => {}
            _ => unreachable!("{} did not start", NODES[node]),
        }
    }

    fn ask(&mut self, node: usize, line: &str) -> String {
        self.nodes[node].tell(line);
        match self.event() {
            Event::Said(by, said) if by == node => said,
            _ => unreachable!("{} does not say what it is asked", NODES[node]),
        }
    }

    /// From now on that node ends at the `n`-th moment of that kind.
    pub(crate) fn ends_at(&mut self, node: usize, moment: Moment, n: usize) {
        assert_eq!(self.ask(node, &format!("end {moment:?} {n}")), "planned");
    }

    /// How many moments of each kind a node came past since the last time.
    pub(crate) fn passed(&mut self, node: usize) -> [usize; 5] {
        serde_json::from_str(&self.ask(node, "count")).unwrap()
    }

    /// The plan is given up; whether the node ends before it hears of that, and is started again.
    pub(crate) fn ends_before_it_is_spared(&mut self, node: usize) -> bool {
        self.nodes[node].tell("count");
        match self.event() {
            Event::Said(..) => false,
            Event::Gone(by) if by == node => {
                self.start_again(node);
                self.ready(node);
                true
            }
            _ => unreachable!("{} does not say what it is asked", NODES[node]),
        }
    }

    /// Runs a command until it is over or that node ends, which is then started again. What the
    /// command did, and whether the node has ended.
    pub(crate) fn runs(&mut self, node: usize, line: &str) -> (Done, bool) {
        let (world, command, over) = (self.world.clone(), line.to_owned(), self.sender.clone());
        std::thread::spawn(move || {
            // A test that is over does not hear it.
            let _ = over.send(Event::Over(world.run(&command)));
        });
        let (mut done, mut ended, mut is_ready) = (None, false, true);
        loop {
            match self.event() {
                Event::Gone(by) if by == node => {
                    self.start_again(node);
                    (ended, is_ready) = (true, false);
                }
                Event::Said(by, line) if (by, line.as_str()) == (node, "ready") => is_ready = true,
                Event::Over(over) => done = Some(over),
                _ => unreachable!("{line}: neither has the command come back nor the node ended"),
            }
            // Only the end of the node can be the reason of a failure; and the command may wait for
            // a partner's node that has come back.
            if is_ready && let Some(done) = done.take_if(|done| ended || done.code == 0) {
                return (done, ended);
            }
        }
    }

    /// Has a node do what a line says, and waits until it says that it did.
    pub(crate) fn does(&mut self, node: usize, line: &str, done: &str) {
        assert_eq!(self.ask(node, line), done);
    }

    /// From now on both say after each frame how they stand.
    pub(crate) fn watched(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.tell("watch"));
    }

    /// How a node stands after its next frame, of nodes that are watched; `None` when it has ended
    /// as was planned, and was started again.
    pub(crate) fn next_frame(&mut self) -> (usize, Option<Value>) {
        loop {
            match self.event() {
                Event::Said(_, line) if line == "planned" => {}
                Event::Said(node, line) if line == "ready" => self.nodes[node].tell("watch"),
                Event::Said(node, line) => {
                    return (node, Some(serde_json::from_str(&line).unwrap()));
                }
                Event::Gone(node) => {
                    self.start_again(node);
                    return (node, None);
                }
                Event::Over(_) => unreachable!("nobody has given a command"),
            }
        }
    }

    /// From now on that node ends at the `n`-th moment of that kind; it is not waited for.
    pub(crate) fn will_end_at(&mut self, node: usize, moment: Moment, n: usize) {
        self.nodes[node].tell(&format!("end {moment:?} {n}"));
    }

    fn start_again(&mut self, node: usize) {
        let status = self.nodes[node].child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "it has ended otherwise: {status}");
        self.nodes[node] = Mortal::start(&self.world, node, self.sender.clone());
    }

    /// What both hold once neither has anything to send; one that ends on the way is started again,
    /// and whether one did.
    pub(crate) fn at_rest(&mut self) -> ([Value; 2], bool) {
        let (mut last, mut ended) = (None, false);
        loop {
            let mut said = [None, None];
            self.nodes.iter_mut().for_each(|node| node.tell("rest"));
            while said.iter().any(Option::is_none) {
                match self.event() {
                    Event::Said(node, line) if line == "ready" => self.nodes[node].tell("rest"),
                    Event::Said(node, line) => said[node] = Some(line),
                    Event::Over(_) => unreachable!("nobody has given a command"),
                    Event::Gone(node) => {
                        self.start_again(node);
                        (said[node], ended) = (None, true);
                    }
                }
            }
            // A node that had nothing to send may have been sent something since.
            let now = said.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
            if last.replace(now.clone()).as_ref() == Some(&now) {
                return (now, ended);
            }
        }
    }

    /// A clean stop of both.
    pub(crate) fn stop(mut self) {
        for (node, mortal) in self.nodes.iter_mut().enumerate() {
            mortal.tell("stop");
            loop {
                match self.events.recv_timeout(PATIENCE) {
                    Ok(Event::Gone(by)) if by == node => break,
                    // What it says of its last frames.
                    Ok(Event::Said(..)) => {}
                    _ => unreachable!("{} stays", NODES[node]),
                }
            }
            assert!(mortal.child.wait().unwrap().success(), "{}", NODES[node]);
        }
    }
}
