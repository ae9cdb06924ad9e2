//! A provider that means ill. It has the certificate and the keys of a partner, and answers late,
//! by halves, with nonsense, with somebody else's proof, or with an older log: each answer is
//! refused with a code and a remedy, nothing of it is stored, and the next honest one is taken.

use crate::impostor::{Act, Impostor, Trick, http};
use crate::pair::{MAKER, OPERATOR, ROWS, fill, pin, start, until, wanted, way_out};
use crate::parties::Party;
use crate::restored::copy;
use crate::strangers::{forged, of_node};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use twinpact_dsp::MAX_CATALOG_BYTES;
use twinpact_dsp::negotiation::State;
use twinpact_gateway::Running;
use twinpact_gateway::outgoing::{HttpsOutbound, Limits};
use twinpact_identity::ca::NODE_SECONDS;
use twinpact_identity::spiffe::SpiffeId;
use twinpact_model::problem::{Fault, Problem};
use twinpact_model::{Did, WallTime};
use twinpact_node::api::Negotiate;
use twinpact_node::fold::Fold;
use twinpact_node::outbound::{Call, FirstCall, Outbound, Pending};
use twinpact_node::{Node, PolicyClock, consumer, found, open, prove, receipts};
use twinpact_proof::{Level, verify};
use twinpact_testkit::free_port;

const OTHER: &str = "did:web:other.example";
const DATA: &str = "GET /data/";
const TOKEN: &str = "POST /data/";
const CATALOG: &str = "POST /dsp/catalog";
/// More than any delivery may have.
const TOO_LARGE: usize = (12 << 20) + 1;

/// The way out of the consumer, on which it has little patience while this is set.
struct Hasty {
    patient: HttpsOutbound,
    hasty: HttpsOutbound,
    now: Arc<AtomicBool>,
}

impl Outbound for Hasty {
    fn call(&self, call: Call) -> Pending<'_> {
        match self.now.load(Ordering::SeqCst) {
            true => self.hasty.call(call),
            false => self.patient.call(call),
        }
    }

    fn first(&self, call: FirstCall) -> Pending<'_> {
        self.patient.first(call)
    }
}

struct World {
    place: tempfile::TempDir,
    operator: Running,
    maker: Running,
    /// Another consumer of the same provider.
    other: Running,
    /// A copy of the provider that has gone another way since.
    fork: Running,
    impostor: Arc<Impostor>,
    accepting: JoinHandle<()>,
    hasty: Arc<AtomicBool>,
    agreement: String,
}

/// The directory of a node that is reached at another port than it listens at.
fn make(path: &Path, did: &str, (listen, reached): (u16, u16), partners: &[u16]) {
    if !path.exists() {
        open::init(path, &Did::new(did).unwrap(), "Test").unwrap();
    }
    let allowed: Vec<String> =
        partners.iter().map(|port| format!("https://127.0.0.1:{port}")).collect();
    let config = format!(
        "organisation = \"{did}\"\nname = \"Test\"\n\n[federation]\n\
         listen = \"127.0.0.1:{listen}\"\nendpoint = \"https://127.0.0.1:{reached}\"\n\
         allow_private = {allowed:?}\n"
    );
    std::fs::write(path.join("twinpact.toml"), config).unwrap();
}

async fn start_hasty(path: &Path, now: Arc<AtomicBool>) -> Running {
    let parts = open::open(path, PolicyClock::System).await.unwrap();
    let limits = Limits { whole: Duration::from_secs(2), ..Limits::default() };
    let (patient, hasty) = (way_out(&parts.node), way_out(&parts.node).with_limits(limits));
    assert!(parts.node.outbound.set(Arc::new(Hasty { patient, hasty, now })).is_ok());
    Running::start(parts).await.unwrap()
}

async fn concluded(provider: &Node, consumer: &Node) -> String {
    let asked = Negotiate { partner: OPERATOR.to_owned(), dataset: None, another: true };
    let agreement = consumer::negotiate(consumer, &asked).await.unwrap().id;
    let over =
        |fold: &Fold| fold.processes.negotiations.values().all(|n| n.state == State::Finalized);
    until(provider, over).await;
    agreement
}

impl World {
    async fn concluded() -> World {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let [front, honest, ours, others, forked] = [(); 5].map(|()| free_port());
        make(&path("operator"), OPERATOR, (honest, front), &[ours, others]);
        make(&path("maker"), MAKER, (ours, ours), &[front]);
        make(&path("other"), OTHER, (others, others), &[front]);
        let hasty = Arc::new(AtomicBool::new(false));
        let operator = start(&path("operator")).await;
        let maker = start_hasty(&path("maker"), hasty.clone()).await;
        let other = start(&path("other")).await;
        let (provides, consumes, third) =
            (&operator.parts.node, &maker.parts.node, &other.parts.node);
        let before = (provides, operator.federation.unwrap());
        let (impostor, accepting) = Impostor::start(front, before, &[consumes, third]).await;
        for consumer in [consumes, third] {
            pin(provides, consumer).await;
            pin(consumer, provides).await;
        }
        fill(provides).await;
        let theirs = concluded(provides, third).await;
        consumer::pull(third, &wanted(&theirs)).await.unwrap();
        let agreement = concluded(provides, consumes).await;
        consumer::pull(consumes, &wanted(&agreement)).await.unwrap();
        copy(&path("operator"), &path("fork"));
        make(&path("fork"), OPERATOR, (forked, front), &[ours, others]);
        let fork = start(&path("fork")).await;
        World { place, operator, maker, other, fork, impostor, accepting, hasty, agreement }
    }

    fn maker(&self) -> &Node {
        &self.maker.parts.node
    }

    async fn pull(&self, agreement: &str) -> Result<usize, Problem> {
        consumer::pull(self.maker(), &wanted(agreement)).await.map(|pulled| pulled.rows)
    }

    /// What the consumer holds: receipts, what it saw last, and the record that it has pinned.
    fn held(&self) -> (Vec<String>, Vec<(String, u64)>, [u8; 32]) {
        let read = |fold: &Fold| {
            let receipts = fold.copies.iter().map(|(receipt, _)| receipt.to_owned()).collect();
            let seen = fold.copies.seen().into_iter().map(|one| (one.origin, one.size)).collect();
            (receipts, seen, fold.partners.get(OPERATOR).unwrap().envelope.fingerprint())
        };
        self.maker().partition.read(|fold, _| read(fold)).unwrap()
    }

    /// The data addresses are asked for anew.
    fn forget_addresses(&self) {
        let pids = |fold: &Fold| fold.processes.transfers.keys().cloned().collect::<Vec<_>>();
        let pids = self.maker().partition.read(|fold, _| pids(fold)).unwrap();
        pids.iter().for_each(|pid| self.maker().secrets.forget_address(pid));
    }

    /// Plays a trick on a pull or a request for the catalogue.
    async fn tricked(&self, trick: Trick) -> Result<usize, Problem> {
        let (catalog, token) = (trick.on == CATALOG, trick.on == TOKEN);
        let waits = matches!(trick.act, Act::Slow | Act::Never);
        if token {
            self.forget_addresses();
        }
        self.impostor.plays(trick);
        self.hasty.store(waits, Ordering::SeqCst);
        let got = match catalog {
            true => found::catalog(self.maker(), OPERATOR).await.map(|all| all.len()),
            false => self.pull(&self.agreement).await,
        };
        self.hasty.store(false, Ordering::SeqCst);
        self.impostor.plays(Trick::none());
        got
    }

    /// Every receipt that was ever stored still holds.
    fn check_receipts(&self) {
        let trust = self.maker().partition.read(|fold, _| fold.partners.trust().clone()).unwrap();
        for receipt in self.held().0 {
            let proof = receipts::export(self.maker(), &receipt).unwrap();
            assert_eq!(verify(proof.as_bytes(), Some(&trust)).unwrap().level, Level::Signed);
        }
    }

    async fn stop(self) {
        self.accepting.abort();
        for node in [self.maker, self.other, self.fork, self.operator] {
            node.stop().await;
        }
        self.place.close().unwrap();
    }
}

/// What is played, and the code and a part of the sentence with which it is refused.
type Case = (&'static str, Trick, &'static str, &'static str);

fn instead(on: &'static str, status: &str, body: impl AsRef<[u8]>) -> Trick {
    Trick::new(on, Act::Instead(http(status, body)))
}

fn raw(text: &str) -> Trick {
    Trick::new(DATA, Act::Instead(text.as_bytes().to_vec()))
}

fn altered(on: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Trick {
    Trick::new(on, Act::Altered(Box::new(change)))
}

/// Answers that are none.
fn no_answers() -> Vec<Case> {
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ";
    let moved = "HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\nconnection: close\r\n\
                 content-length: 0\r\n\r\n";
    let status = "answered with status";
    vec![
        ("byte by byte", Trick::new(DATA, Act::Slow), "peer.late", "is not complete within"),
        ("never", Trick::new(DATA, Act::Never), "peer.late", "is not complete within"),
        ("half of it", Trick::new(DATA, Act::Half), "peer.unreachable", "does not answer"),
        ("nothing at all", raw(""), "peer.unreachable", "does not answer"),
        ("no HTTP", raw("nonsense\r\n\r\n"), "peer.answer", "it is not HTTP"),
        ("two lengths", raw(two), "peer.answer", "it is not HTTP"),
        ("too large", instead(DATA, "200 OK", vec![b' '; TOO_LARGE]), "peer.answer", "larger"),
        ("no JSON", instead(DATA, "200 OK", "<html>"), "exchange.proof", "is not JSON"),
        ("other JSON", instead(DATA, "200 OK", "[]"), "exchange.proof", "has no proof"),
        ("led elsewhere", raw(moved), "exchange.refused", status),
        ("its own fault", instead(DATA, "500 No", "<html>"), "exchange.refused", status),
        ("no catalogue", instead(CATALOG, "200 OK", "<html>"), "dsp.malformed", ""),
        ("a refused catalogue", instead(CATALOG, "500 No", "{}"), "exchange.refused", status),
        (
            "a catalogue too large",
            instead(CATALOG, "200 OK", vec![b' '; MAX_CATALOG_BYTES + 1]),
            "peer.answer",
            "larger",
        ),
    ]
}

/// Certificates that are not the partner's. The first is asked about, and the answer is the record
/// of another organisation.
fn certificates(world: &World) -> Vec<Case> {
    let identity = world.operator.parts.node.identity.current();
    let (domain, issuing) = (identity.root.trust_domain(), &identity.issuing);
    let id = SpiffeId::of_node(domain, "one").unwrap();
    let now = world.operator.parts.node.clocks.wall();
    let past = WallTime(now.0.plus_seconds(-2 * NODE_SECONDS));
    let foreign = Party::new("operator.example").root.issue(now).unwrap();
    let elsewhere = SpiffeId::parse("spiffe://elsewhere.example/twinpact/one/node").unwrap();
    let issuer = CertificateDer::from(issuing.certificate().to_vec());
    let shown = |shown| Trick { shown: Some(shown), ..Trick::none() };
    let record = prove::own_record(&world.other.parts.node).unwrap().to_json().canonical();
    let foreign = shown(of_node(&foreign.issue_node(&id, now).unwrap()));
    let foreign = Trick { record: Some(record), ..foreign };
    let refused = "tls.refused";
    vec![
        ("a foreign root", foreign, refused, "does not lead to the partner's pinned root"),
        (
            "another trust domain under its root",
            shown(forged(&elsewhere, Some((&issuer, issuing.key())))),
            refused,
            "of another trust domain",
        ),
        ("signed by itself", shown(forged(&id, None)), refused, "does not lead to"),
        (
            "one that has run out",
            shown(of_node(&issuing.issue_node(&id, past).unwrap())),
            refused,
            "has run out",
        ),
    ]
}

/// Deliveries whose rows or places are not those of the proof.
fn rows() -> Vec<Case> {
    let rows = |change: fn(&mut Vec<Value>)| {
        altered(DATA, move |body| change(body["rows"].as_array_mut().unwrap()))
    };
    let others = "others than the ledger commits to";
    let proof = "exchange.proof";
    let of = |name: &'static str, value: Value| altered(DATA, move |b| b[name] = value.clone());
    let next = |text: &str| of("next", json!(text));
    let consistency = |name: &'static str| {
        altered(DATA, move |body| body["consistency"][name] = json!(["0".repeat(64)]))
    };
    vec![
        ("a row changed", rows(|all| all[0][2] = json!("1")), proof, others),
        ("a row dropped", rows(|all| drop(all.pop())), proof, others),
        ("a row doubled", rows(|all| all.push(all[ROWS - 1].clone())), proof, others),
        ("rows in another order", rows(|all| all.swap(0, 1)), proof, others),
        ("no rows", rows(Vec::clear), proof, others),
        ("another seed", of("seed", json!("0".repeat(64))), proof, others),
        ("half a proof", of("proof", json!("{\"type\":")), proof, ""),
        ("it goes on elsewhere", next("2030-01-01T00:00:00Z~1~urn:z"), proof, "where it ends"),
        ("it goes on nowhere", next("tomorrow"), proof, "cannot be read"),
        ("an anchor that does not continue", consistency("anchor"), proof, "its anchor does not"),
        ("a ledger that does not continue", consistency("ledger"), proof, "ledger does not"),
    ]
}

/// Data addresses that lead elsewhere or open nothing.
fn addresses(base: &str) -> Vec<Case> {
    let to = |endpoint: String| {
        altered(TOKEN, move |start| start["dataAddress"]["endpoint"] = json!(endpoint))
    };
    let authorization = |text: Option<&'static str>| {
        altered(TOKEN, move |start| {
            let all = start["dataAddress"]["endpointProperties"].as_array_mut().unwrap();
            let of = |one: &Value| one["name"] == "authorization";
            match (text, all.iter().position(of).unwrap()) {
                (Some(text), place) => all[place]["value"] = json!(text),
                (None, place) => drop(all.remove(place)),
            }
        })
    };
    let (endpoint, elsewhere) = ("outgoing.endpoint", "is not in its pinned record");
    let (token, none) = ("exchange.refused", "has no token");
    vec![
        ("another host", to("https://evil.example/data/x".into()), endpoint, elsewhere),
        ("a private host", to("https://10.0.0.1/data/x".into()), endpoint, elsewhere),
        ("a host of the cloud", to("https://169.254.169.254/".into()), endpoint, elsewhere),
        ("without TLS", to(base.replacen("https", "http", 1) + "/data/x"), endpoint, elsewhere),
        ("another port", to(format!("{base}0/data/x")), endpoint, elsewhere),
        ("a user that looks like it", to(format!("{base}@evil.example/")), endpoint, elsewhere),
        ("a way up", to(format!("{base}/data/../../x")), endpoint, elsewhere),
        ("a query of its own", to(format!("{base}/data/x?after=1")), endpoint, elsewhere),
        ("a line break in it", to(format!("{base}/data/x\r\nx: y")), endpoint, elsewhere),
        ("no token", authorization(None), token, none),
        ("a token with another header", authorization(Some("a\r\nx: y")), token, none),
        ("an empty token", authorization(Some("")), token, none),
    ]
}

/// Proofs of something else, and an older one.
fn proofs(world: &World, unstored: Vec<u8>, second: Vec<u8>) -> Vec<Case> {
    let impostor = &world.impostor;
    let own = impostor.delivered("maker.example");
    let others = impostor.delivered("other.example");
    let mut mixed: Value = serde_json::from_slice(&own).unwrap();
    let foreign: Value = serde_json::from_slice(&others).unwrap();
    mixed["proof"] = foreign["proof"].clone();
    let fork = Trick { other: world.fork.federation, ..Trick::none() };
    let again = |body: Vec<u8>| instead(DATA, "200 OK", body);
    let (proof, between) = ("exchange.proof", "of a delivery between others");
    vec![
        ("that of another consumer", again(others), proof, between),
        ("its own rows with that", again(mixed.to_string().into_bytes()), proof, between),
        ("that of another agreement", again(second), proof, "under another agreement"),
        ("one that is stored", again(own), proof, "is stored already"),
        ("an older anchor", again(unstored), proof, "its anchor does not continue"),
        ("a log that went another way", fork, proof, "its anchor does not continue"),
    ]
}

async fn check(world: &World, (what, trick, code, part): Case) {
    let before = world.held();
    let refused = world.tricked(trick).await.unwrap_err();
    assert_eq!(refused.code.name, code, "{what}: {refused}");
    assert!(refused.message.contains(part), "{what}: {refused}");
    assert_eq!(refused.code.fault, Fault::Peer, "{what}");
    assert!(refused.hint.is_some(), "{what}: {refused} has no remedy");
    assert_eq!(world.held(), before, "{what}: something was stored");
    let next = world.pull(&world.agreement).await;
    assert_eq!(next.unwrap_or_else(|why| panic!("after {what}: {why}")), ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_malicious_provider_answers_is_refused_and_the_next_honest_answer_taken() {
    let world = World::concluded().await;
    let records = || *world.impostor.records.lock().unwrap();
    for case in certificates(&world) {
        check(&world, case).await;
        assert_eq!(records(), 1, "its record is looked for, once a minute");
    }
    let base = prove::own_record(&world.operator.parts.node).map(|_| {
        let dsp = world.operator.parts.node.config.dsp_url(None);
        dsp.strip_suffix("/dsp").unwrap().to_owned()
    });
    let cases = [no_answers(), rows(), addresses(&base.unwrap())];
    for case in cases.into_iter().flatten() {
        check(&world, case).await;
    }
    let lost = altered(DATA, |body| body["rows"] = json!([]));
    world.tricked(lost).await.unwrap_err();
    let unstored = world.impostor.delivered("maker.example");
    let second = concluded(&world.operator.parts.node, world.maker()).await;
    world.pull(&second).await.unwrap();
    let of_second = world.impostor.delivered("maker.example");
    world.pull(&world.agreement).await.unwrap();
    for case in proofs(&world, unstored, of_second) {
        check(&world, case).await;
    }
    // A view that goes on for ever: its rows are good, the page behind them is refused.
    let stored = world.held().0.len();
    let end = "2015-07-21T05:00:02Z~1~urn:turbine:a";
    let refused = world.tricked(altered(DATA, move |b| b["next"] = json!(end))).await.unwrap_err();
    assert_eq!(refused.code.name, "exchange.proof", "{refused}");
    assert!(refused.message.ends_with("1 page with 3 rows were stored before"), "{refused}");
    assert_eq!(world.held().0.len(), stored + 1);
    world.check_receipts();
    world.stop().await;
}
