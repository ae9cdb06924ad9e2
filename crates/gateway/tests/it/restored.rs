//! A provider whose directory is an older copy of itself: it stops as soon as a partner shows what
//! it has signed since, goes on under a successor log, and nothing else stops it.

use crate::admin::send;
use crate::pair::{MAKER, OPERATOR, fill, make, pin, start, until, wanted};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use twinpact_dsp::negotiation::State;
use twinpact_edge::batch::IngestBatch;
use twinpact_gateway::Running;
use twinpact_gateway::client::AdminClient;
use twinpact_gateway::outgoing::HttpsOutbound;
use twinpact_identity::partners::PeerIdentity;
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_identity::tls::Clock;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_node::api::Negotiate;
use twinpact_node::behind::{CHECKPOINT_HEADER, MAX_CHECKPOINT_BYTES};
use twinpact_node::copies::Seen;
use twinpact_node::door::{Asked, Door, Way};
use twinpact_node::egress::Egress;
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending};
use twinpact_node::processes::Waiting;
use twinpact_node::ready::{Status, ready};
use twinpact_node::restore::{Given, Restored};
use twinpact_node::{
    Node, PolicyClock, check, consumer, keys, open, organisation, partners, prove, read, receipts,
    record, restore,
};
use twinpact_proof::note::Checkpoint;
use twinpact_proof::{Bundle, Level, SecretKey, text64, verify};
use twinpact_testkit::free_port;

/// The consumer's way out, on which it says nothing of what it holds while this is set.
struct Between {
    inner: HttpsOutbound,
    silent: Arc<Mutex<bool>>,
}

impl Outbound for Between {
    fn call(&self, mut call: Call) -> Pending<'_> {
        if *self.silent.lock().unwrap() {
            call.headers.retain(|(name, _)| *name != CHECKPOINT_HEADER);
        }
        self.inner.call(call)
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.inner.first(call)
    }
}

struct World {
    place: tempfile::TempDir,
    provider: Option<Running>,
    consumer: Running,
    silent: Arc<Mutex<bool>>,
    agreement: String,
}

impl World {
    async fn concluded() -> World {
        let place = tempfile::tempdir().unwrap();
        let ports = (free_port(), free_port());
        let silent = Arc::new(Mutex::new(false));
        make(&place.path().join("operator"), OPERATOR, ports);
        make(&place.path().join("maker"), MAKER, (ports.1, ports.0));
        let provider = start(&place.path().join("operator")).await;
        let consumer = start_between(&place.path().join("maker"), silent.clone()).await;
        let (provides, consumes) = (&provider.parts.node, &consumer.parts.node);
        pin(provides, consumes).await;
        pin(consumes, provides).await;
        fill(provides).await;
        let asked = Negotiate { partner: OPERATOR.to_owned(), ..Negotiate::default() };
        let agreement = consumer::negotiate(consumes, &asked).await.unwrap().id;
        let over = |fold: &Fold| {
            fold.processes.negotiations.values().any(|one| one.state == State::Finalized)
        };
        until(provides, over).await;
        World { place, provider: Some(provider), consumer, silent, agreement }
    }

    fn dir(&self) -> PathBuf {
        self.place.path().join("operator")
    }

    fn provider(&self) -> &Node {
        &self.provider.as_ref().unwrap().parts.node
    }

    fn consumer(&self) -> &Node {
        &self.consumer.parts.node
    }

    /// The receipt of a pull.
    async fn pull(&self) -> Result<String, Problem> {
        let pulled = consumer::pull(self.consumer(), &wanted(&self.agreement)).await?;
        self.settled().await;
        Ok(pulled.receipts[0].clone())
    }

    /// Waits until the consumer has sent its countersignatures.
    async fn settled(&self) {
        let sent = |fold: &Fold| {
            let mut rows = fold.processes.outbox.values();
            !rows.any(|row| matches!(row.what, Waiting::Paper(_)))
        };
        until(self.consumer(), sent).await;
    }

    async fn refused(&self) -> Problem {
        let before = self.seen();
        let problem = self.pull().await.unwrap_err();
        assert_eq!(self.seen(), before, "something was stored");
        problem
    }

    /// What the consumer saw last of each log of the provider.
    fn seen(&self) -> Vec<(String, u64)> {
        let seen = self.consumer().partition.read(|fold, _| fold.copies.seen()).unwrap();
        seen.into_iter().map(|one| (one.origin, one.size)).collect()
    }

    /// What a supervisor is told, and our own client; both of the same.
    async fn readiness(&self) -> (u16, String) {
        let admin = &self.provider.as_ref().unwrap().admin;
        let asked = send(admin.address, "GET", "/readyz", None, b"").await;
        let url = format!("http://{}", admin.address);
        let ready: serde_json::Value =
            AdminClient::new(url, admin.token.clone()).get("/readyz").await.unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&asked.body).unwrap(), ready);
        (asked.status, ready["status"].as_str().unwrap().to_owned())
    }

    async fn stop_provider(&mut self) {
        self.provider.take().unwrap().stop().await;
    }

    async fn start_provider(&mut self) {
        self.provider = Some(start(&self.dir()).await);
    }

    /// The provider's directory as it is now, under another name.
    async fn keep(&mut self, name: &str) {
        self.stop_provider().await;
        copy(&self.dir(), &self.place.path().join(name));
        self.start_provider().await;
    }

    /// The provider goes on with an older copy of its directory.
    async fn put_back(&mut self, name: &str) {
        self.stop_provider().await;
        std::fs::remove_dir_all(self.dir()).unwrap();
        copy(&self.place.path().join(name), &self.dir());
        self.start_provider().await;
    }

    /// A successor is opened, and the consumer takes the record; the logs before it.
    async fn restore(&mut self) -> Vec<(String, u64)> {
        self.stop_provider().await;
        let restored = restore::successor(&self.dir(), None).unwrap();
        self.start_provider().await;
        let before = self.seen();
        pin(self.consumer(), self.provider()).await;
        assert_eq!(self.seen(), before);
        let (record, _) = current(self.provider());
        assert_eq!(
            (&record.origin, &record.predecessors),
            (&restored.origin, &restored.predecessors)
        );
        restored.predecessors.into_iter().map(|one| (one.origin, one.size)).collect()
    }

    /// Every receipt holds for the consumer, as it came and as the provider makes it again.
    fn check_receipts(&self, receipts: &[&String], lost: &[&String]) {
        let trust =
            self.consumer().partition.read(|fold, _| fold.partners.trust().clone()).unwrap();
        let level = |text: String| verify(text.as_bytes(), Some(&trust)).map(|v| v.level);
        for receipt in receipts.iter().chain(lost) {
            let kept = receipts::export(self.consumer(), receipt).unwrap();
            assert_eq!(level(kept), Ok(Level::Signed));
            let again = receipts::export(self.provider(), receipt);
            match lost.contains(receipt) {
                true => assert_eq!(again.unwrap_err().code, codes::RECEIPT_UNKNOWN),
                false => assert_eq!(level(again.unwrap()), Ok(Level::Signed)),
            }
        }
    }

    async fn stop(self) {
        self.consumer.stop().await;
        self.provider.unwrap().stop().await;
    }
}

async fn start_between(path: &Path, silent: Arc<Mutex<bool>>) -> Running {
    let parts = open::open(path, PolicyClock::System).await.unwrap();
    let (node, clocks) = (&parts.node, parts.node.clocks.clone());
    let (presented, partners) = (node.presented.clone(), node.tls_partners.clone());
    let clock: Clock = Arc::new(move || clocks.wall());
    let allowed = node.config.federation.allow_private.clone();
    let inner = HttpsOutbound::new(presented, partners, clock, allowed).unwrap();
    assert!(node.outbound.set(Arc::new(Between { inner, silent })).is_ok());
    Running::start(parts).await.unwrap()
}

/// A directory under another name; modes are kept. No other process is started for it: until that
/// ran, it would hold what is locked here.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap().map(|item| item.unwrap()) {
        let to = to.join(item.file_name());
        match item.path() {
            path if path.is_dir() => copy(&path, &to),
            path => assert!(std::fs::copy(path, to).is_ok()),
        }
    }
}

/// Records the row of that second.
async fn row(node: &Node, second: u32) -> Result<(), Problem> {
    let time = format!("2015-07-21T07:{:02}:{:02}Z", second / 60, second % 60);
    let observation = json!({
        "id": time, "twin": "urn:turbine:a", "time": time, "values": { "power": "1.5" },
    });
    let body = json!({
        "source": "urn:source:test", "model": "wind-turbine@1", "observations": [observation],
    });
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    record::record(node, batch, "local").await.map(|report| assert!(report.refused.is_empty()))
}

fn current(node: &Node) -> (twinpact_proof::Record, twinpact_proof::Envelope) {
    node.partition.read(|fold, _| fold.organisation.current().unwrap().clone()).unwrap()
}

fn ticks(node: &Node) -> u64 {
    node.partition.read(|_, store| store.forest().ticks()).unwrap()
}

/// A successor is opened on that checkpoint or proof.
fn given(path: &Path, file: &[u8]) -> Result<Restored, Problem> {
    restore::successor(path, Some(&Given::read(file)?))
}

fn status(node: &Node) -> (Status, Vec<String>) {
    let ready = ready(node, node.clocks.wall()).unwrap();
    (ready.status, ready.warnings.into_iter().map(|warning| warning.code).collect())
}

/// What a node that is behind still does, and what it does not.
async fn check_stopped(node: &Node) {
    let behind = |problem: Problem| assert_eq!(problem.code, codes::ANCHOR_BEHIND, "{problem}");
    let before = ticks(node);
    let (is, warnings) = status(node);
    assert_eq!((is, warnings[0].as_str()), (Status::Behind, "anchor.behind"));
    assert_eq!(read::twins(node, None).unwrap().len(), 1);
    behind(row(node, 99).await.unwrap_err());
    behind(prove::fact(node, 0, &[]).await.unwrap_err());
    behind(node.partition.turn_and_prove(|_| Ok(())).await.unwrap_err());
    let signed = twinpact_node::assertion::sign(node, MAKER, "", "urn:p", "FR");
    behind(signed.unwrap_err());
    behind(keys::rotate(node, keys::OVERLAP_SECONDS).await.unwrap_err());
    let address = node.config.dsp_url(None);
    let record = current(node);
    organisation::issue(node, format!("{address}/other")).await.unwrap();
    assert_eq!((current(node), ticks(node)), (record, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_stops_and_its_successor_goes_on() {
    let mut world = World::concluded().await;
    let first = world.pull().await.unwrap();
    world.keep("older").await;
    let lost = world.pull().await.unwrap();
    let seen = world.seen();
    world.put_back("older").await;
    assert_eq!(status(world.provider()).0, Status::Ready);
    for _ in 0..2 {
        assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
        check_stopped(world.provider()).await;
    }
    // It stays so after a restart, and while it runs nobody opens a successor.
    let locked = restore::successor(&world.dir(), None).unwrap_err();
    assert_eq!(locked.code, codes::STORE_LOCKED);
    world.stop_provider().await;
    world.start_provider().await;
    check_stopped(world.provider()).await;
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    assert_eq!(world.readiness().await, (503, "behind".to_owned()));
    // What it has delivered is shown, and proven nowhere.
    let lines = receipts::list(world.provider(), 9, None).unwrap();
    let shown: Vec<_> = lines.iter().map(|one| (&one.id, one.level.as_str())).collect();
    assert_eq!(shown, [(&first, "unproven")]);
    assert_eq!(receipts::show(world.provider(), &first, None).unwrap(), lines[0]);
    let unproven = receipts::export(world.provider(), &first).unwrap_err();
    assert_eq!(unproven.code, codes::ANCHOR_BEHIND);
    world.stop_provider().await;
    let report = check::check(&world.dir(), &mut |_, _, _| ()).unwrap();
    assert_eq!((&report.findings, report.counts.receipts), (&vec![], 0));
    assert_eq!(report.problem().map(|problem| problem.code), Some(codes::ANCHOR_BEHIND));
    let restored = restore::successor(&world.dir(), None).unwrap();
    assert_eq!(restore::successor(&world.dir(), None).unwrap_err().code, codes::ANCHOR_CURRENT);
    let before = &restored.predecessors;
    assert_eq!((before.len(), (before[0].origin.clone(), before[0].size)), (1, seen[0].clone()));
    world.start_provider().await;
    assert_eq!(status(world.provider()).0, Status::Ready);
    assert_eq!(world.readiness().await, (200, "ready".to_owned()));
    // A receipt that is made again is another one than was countersigned.
    let again = receipts::show(world.provider(), &first, None).unwrap();
    assert_eq!((again.level.as_str(), again.why.is_some()), ("signed", true));
    // The consumer learns of the successor by itself.
    row(world.provider(), 1).await.unwrap();
    let after = world.pull().await.unwrap();
    let next = world.pull().await.unwrap();
    world.check_receipts(&[&first, &after, &next], &[&lost]);
    let bundle = receipts::export(world.consumer(), &after).unwrap();
    let bundle = Bundle::parse(bundle.as_bytes()).unwrap();
    assert!(bundle.checkpoint.starts_with(&restored.origin), "{}", bundle.checkpoint);
    assert_eq!(world.seen().len(), 2, "the pins of the first log are kept");
    // Whoever looks at its partners is told of the log that is no more.
    let told = partners::list(world.consumer(), None).unwrap().remove(0).given_up;
    let told: Vec<_> = told.into_iter().map(|log| (log.origin, log.seen)).collect();
    assert_eq!(told, [(seen[0].0.clone(), Some(seen[0].1))]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_further_restore_works_too_also_of_a_copy_that_is_older_still() {
    let mut world = World::concluded().await;
    world.pull().await.unwrap();
    world.keep("oldest").await;
    world.pull().await.unwrap();
    world.put_back("oldest").await;
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    assert_eq!(world.restore().await, world.seen());
    let second = current(world.provider()).0.origin;
    // A copy of the second log, which grows beyond what the consumer saw and then meets it.
    world.pull().await.unwrap();
    world.keep("older").await;
    let lost = world.pull().await.unwrap();
    let seen = world.seen().into_iter().find(|(origin, _)| *origin == second).unwrap().1;
    world.put_back("older").await;
    for second in 1.. {
        if ticks(world.provider()) > seen {
            break;
        }
        row(world.provider(), second).await.unwrap();
        world.provider().partition.turn_and_prove(|_| Ok(())).await.unwrap();
    }
    let own = ticks(world.provider());
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    let before = world.restore().await;
    assert_eq!(before.last(), Some(&(second.clone(), own)));
    assert_eq!(before.len(), 2);
    let third = world.pull().await.unwrap();
    world.check_receipts(&[&third], &[&lost]);
    // The very first copy knows of no successor at all.
    world.put_back("oldest").await;
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    let before = world.restore().await;
    assert_eq!(before.len(), 2, "the first log and the last one that the consumer saw");
    let fourth = world.pull().await.unwrap();
    world.check_receipts(&[&fourth], &[&third, &lost]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_heeds_nothing_is_still_found_out() {
    let mut world = World::concluded().await;
    world.pull().await.unwrap();
    world.keep("older").await;
    world.pull().await.unwrap();
    // As if the provider did not look: it signs on under the same origin.
    *world.silent.lock().unwrap() = true;
    world.put_back("older").await;
    let fork = world.refused().await;
    assert_eq!(fork.code, codes::EXCHANGE_PROOF, "{fork}");
    assert!(fork.message.contains("its anchor does not continue"), "{fork}");
    *world.silent.lock().unwrap() = false;
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    world.restore().await;
    world.pull().await.unwrap();
    // A log that was given up proves nothing any more, be it that of the very same copy.
    *world.silent.lock().unwrap() = true;
    world.put_back("older").await;
    let given_up = world.refused().await;
    assert_eq!(given_up.code, codes::EXCHANGE_PROOF, "{given_up}");
    assert!(given_up.message.contains("has given up the log"), "{given_up}");
    world.stop().await;
}

/// The maker, as its certificate names it.
fn maker(node: &Node) -> PeerIdentity {
    let did = Did::new(MAKER).unwrap();
    let trust_domain = TrustDomain::of_did(&did).unwrap();
    let spiffe_id = SpiffeId::of_node(&trust_domain, "node").unwrap();
    let not_after = node.clocks.wall();
    let (leaf_sha256, root_sha256) = ([1; 32], [2; 32]);
    PeerIdentity { did, trust_domain, spiffe_id, leaf_sha256, root_sha256, not_after }
}

/// The code that a request with that header, or that query, is answered with.
async fn shown(node: &Node, header: Option<String>, query: Option<&str>) -> String {
    let asked = Asked {
        way: Way::Federation,
        peer: Some(maker(node)),
        method: "GET".to_owned(),
        path: "/data/none".to_owned(),
        query: query.map(str::to_owned),
        bearer: None,
        assertion: None,
        checkpoint: header,
        last_event: None,
        accept_encoding: None,
        if_none_match: None,
        body: Vec::new(),
        fault: None,
    };
    match node.answer(asked).await {
        Egress::Fault(fault) => fault.document["code"].as_str().unwrap().to_owned(),
        _ => panic!("something was given away"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partner_makes_up_stops_nothing() {
    let world = World::concluded().await;
    world.pull().await.unwrap();
    let node = world.provider();
    let origin = current(node).0.origin;
    let note = |origin: &str, size: u64, key: &SecretKey| {
        let checkpoint = Checkpoint { origin: origin.to_owned(), size, root: [7; 32] };
        text64::encode(checkpoint.sign(key).as_bytes())
    };
    let (foreign, signer) = (SecretKey::new(&[66; 32]), node.signer());
    let own = signer.key();
    let other = "maker.example/twinpact/1";
    for bad in [
        String::new(),
        "not base64".to_owned(),
        text64::encode(b"no note"),
        text64::encode(&[0xff; 30]),
        text64::encode(&vec![b'x'; MAX_CHECKPOINT_BYTES]),
        note("operator.example/twinpact/0", 7, &foreign),
        note(other, 7, &foreign),
        // By our key, but of a log that can be none of ours.
        note(other, 7, own),
    ] {
        assert_eq!(shown(node, Some(bad.clone()), None).await, "input.malformed", "{bad}");
    }
    // It may be true of a copy from before our key was changed, so it is said.
    let made_up = note(&origin, 1_000_000, &foreign);
    assert_eq!(shown(node, Some(made_up), None).await, "anchor.claimed");
    let claimed = || (Status::Warning, vec!["anchor.claimed".to_owned()]);
    assert_eq!(status(node), claimed());
    // A size without a checkpoint is a size that we never had.
    assert_eq!(shown(node, None, Some("anchor=1000000")).await, "route.unknown");
    // What we have signed and have is no news.
    let held = node.partition.read(|_, store| store.forest().checkpoint(&origin, 0)).unwrap();
    let held = text64::encode(held.unwrap().sign(own).as_bytes());
    assert_eq!(shown(node, Some(held), None).await, "route.unknown");
    assert_eq!(status(node), claimed());
    world.pull().await.unwrap();
    // The same words by our key stop it, whoever brings them.
    assert_eq!(shown(node, Some(note(&origin, 1_000_000, own)), None).await, "anchor.behind");
    check_stopped(node).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_in_a_file_is_enough_when_it_is_ours_and_newer() {
    let mut world = World::concluded().await;
    world.keep("older").await;
    let receipt = world.pull().await.unwrap();
    let bundle = receipts::export(world.consumer(), &receipt).unwrap();
    let newer = Bundle::parse(bundle.as_bytes()).unwrap().checkpoint;
    world.stop_provider().await;
    let code =
        |path: &Path, note: &str| given(path, note.as_bytes()).map_err(|problem| problem.code.name);
    // The directory that has it is not behind.
    assert_eq!(code(&world.dir(), &newer).err(), Some("anchor.current"));
    std::fs::remove_dir_all(world.dir()).unwrap();
    copy(&world.place.path().join("older"), &world.dir());
    assert_eq!(code(&world.dir(), "no note").err(), Some("input.malformed"));
    let forged = Checkpoint { origin: world.seen()[0].0.clone(), size: 1_000, root: [1; 32] };
    let forged = forged.sign(&SecretKey::new(&[66; 32]));
    assert_eq!(code(&world.dir(), &forged).err(), Some("input.malformed"));
    let restored = code(&world.dir(), &newer).unwrap();
    let last = Seen { size: restored.predecessors[0].size, root: restored.predecessors[0].root };
    let seen = world
        .consumer()
        .partition
        .read(|fold, _| fold.copies.anchor(&restored.predecessors[0].origin));
    assert_eq!(seen.unwrap(), Some(last));
    world.start_provider().await;
    pin(world.consumer(), world.provider()).await;
    let after = world.pull().await.unwrap();
    world.check_receipts(&[&after], &[&receipt]);
    world.stop().await;
}

/// A copy from before the document key was changed does not know the key that has signed since. Its
/// partner sends the record that names it, by the signature of the key that the copy has.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_before_the_key_was_changed_is_told_so() {
    let mut world = World::concluded().await;
    let kept = world.pull().await.unwrap();
    world.keep("older").await;
    keys::rotate(world.provider(), keys::OVERLAP_SECONDS).await.unwrap();
    let lost = world.pull().await.unwrap();
    world.put_back("older").await;
    assert_eq!(status(world.provider()).0, Status::Ready);
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    check_stopped(world.provider()).await;
    assert_eq!(world.restore().await, world.seen());
    let after = world.pull().await.unwrap();
    world.check_receipts(&[&kept, &after], &[&lost]);
    world.stop().await;
}

/// Where nobody tells it, a proof has that record too.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_before_the_key_was_changed_goes_on_from_a_proof() {
    let mut world = World::concluded().await;
    let kept = world.pull().await.unwrap();
    world.keep("older").await;
    keys::rotate(world.provider(), keys::OVERLAP_SECONDS).await.unwrap();
    let lost = world.pull().await.unwrap();
    let bundle = receipts::export(world.consumer(), &lost).unwrap();
    let bare = Bundle::parse(bundle.as_bytes()).unwrap().checkpoint;
    *world.silent.lock().unwrap() = true;
    world.put_back("older").await;
    world.stop_provider().await;
    let unknown = given(&world.dir(), bare.as_bytes()).unwrap_err();
    assert_eq!(unknown.code, codes::INPUT_MALFORMED, "{unknown}");
    let restored = given(&world.dir(), bundle.as_bytes()).unwrap();
    let seen = world.seen();
    let ended = &restored.predecessors[0];
    assert_eq!((&ended.origin, ended.size), (&seen[0].0, seen[0].1));
    world.start_provider().await;
    pin(world.consumer(), world.provider()).await;
    let after = world.pull().await.unwrap();
    world.check_receipts(&[&kept, &after], &[&lost]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_admits_too_little_is_refused_and_mended() {
    let mut world = World::concluded().await;
    world.keep("older").await;
    let receipt = world.pull().await.unwrap();
    let lost = world.pull().await.unwrap();
    world.put_back("older").await;
    // The operator knows of the first delivery only.
    let bundle = receipts::export(world.consumer(), &receipt).unwrap();
    let first = Bundle::parse(bundle.as_bytes()).unwrap().checkpoint;
    world.stop_provider().await;
    given(&world.dir(), first.as_bytes()).unwrap();
    world.start_provider().await;
    let record = prove::own_record(world.provider()).unwrap().to_json().canonical();
    let conflict = partners::add(world.consumer(), record.as_bytes()).await.unwrap_err();
    assert_eq!(conflict.code, codes::TRUST_CONFLICT);
    assert!(conflict.message.contains("goes back behind what was seen"), "{conflict}");
    // What the new log proves is worth nothing to who does not know it.
    *world.silent.lock().unwrap() = true;
    let unknown = world.refused().await;
    assert_eq!(unknown.code, codes::EXCHANGE_PROOF, "{unknown}");
    assert!(unknown.message.contains("names another log"), "{unknown}");
    *world.silent.lock().unwrap() = false;
    // The next request shows what was missing.
    assert_eq!(world.refused().await.code, codes::PARTNER_BEHIND);
    let before = world.restore().await;
    assert_eq!((before.len(), &before[0]), (2, &world.seen()[0]));
    let after = world.pull().await.unwrap();
    world.check_receipts(&[&after], &[&receipt, &lost]);
    world.stop().await;
}
