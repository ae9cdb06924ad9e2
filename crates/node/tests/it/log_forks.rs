//! A provider whose directory was copied, and that signs on from both: caught by its consumers, who
//! compare, and by its witness. And witnesses that lie, vanish, or know more than the log.

use crate::town::{House, Town, acquaint, copy, did, furnish, until};
use serde_json::json;
use std::sync::{Arc, Mutex};
use twinpact_edge::batch::IngestBatch;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::{Negotiate, Pull};
use twinpact_node::divergence::Grade;
use twinpact_node::outbound::Reply;
use twinpact_node::{Node, consumer, cosignatures, prove, ready, record, witness};
use twinpact_proof::evidence::Fork;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::witness_record::WitnessRecord;
use twinpact_proof::{Level, Record, Trust, verify};

/// Something happens at a node, and is under a tick. The size of its log then.
pub(crate) async fn live(house: &House) -> u64 {
    let node = house.node();
    let size = size(house);
    let time = Timestamp::from_seconds(1_437_454_900 + i64::try_from(size).unwrap()).to_string();
    let values = json!({ "power": "1.0" });
    let row =
        json!({ "id": size.to_string(), "twin": "urn:turbine:a", "time": time, "values": values });
    let body = json!({ "source": "urn:x", "model": "wind-turbine@1", "observations": [row] });
    let batch = IngestBatch::parse(body.to_string().as_bytes()).unwrap();
    assert!(record::record(node, batch, "x").await.unwrap().refused.is_empty());
    node.partition.turn_and_prove(|_| Ok(())).await.unwrap().1 + 1
}

fn size(house: &House) -> u64 {
    house.node().partition.read(|_, store| store.forest().ticks()).unwrap()
}

async fn agreed(house: &House) -> String {
    let asked = Negotiate { partner: did("operator").to_string(), ..Negotiate::default() };
    consumer::negotiate(house.node(), &asked).await.unwrap().id
}

async fn pulled(house: &House, agreement: &str) -> Result<(), Problem> {
    let purpose = "https://w3id.org/twinpact/purpose/PredictiveMaintenance";
    let pull = json!({ "agreement": agreement, "purpose": purpose, "place": "DE" });
    let pull: Pull = serde_json::from_value(pull).unwrap();
    consumer::pull(house.node(), &pull).await.map(|_| ())
}

fn grades(node: &Node) -> Vec<Grade> {
    node.partition.read(|fold, _| fold.divergences.iter().map(|a| a.grade).collect()).unwrap()
}

fn is_proven(node: &Node) -> bool {
    grades(node).contains(&Grade::Proven)
}

/// The size that we have cosigned of the operator's log.
fn cosigned(node: &Node) -> u64 {
    let read = node.partition.read(|fold, _| {
        fold.witnessing.iter().map(|(_, last)| last.checkpoint.size).max().unwrap_or(0)
    });
    read.unwrap()
}

fn warns(house: &House, code: &str) -> bool {
    let said = ready::ready(house.node(), house.node().clocks.wall()).unwrap();
    said.warnings.iter().any(|warning| warning.code == code)
}

/// The evidence holds for a stranger who has pinned the operator.
fn convicts(house: &House, operator: &House) {
    let fork = house.node().partition.read(|fold, _| {
        let proven = fold.divergences.iter().find(|alert| alert.grade == Grade::Proven).unwrap();
        proven.evidence().unwrap()
    });
    let text = fork.unwrap().to_text();
    let mut trust = Trust::default();
    trust.add(&prove::own_record(operator.node()).unwrap(), DECIDED).unwrap();
    let said = Fork::parse(text.as_bytes()).unwrap().verify(Some(&trust)).unwrap();
    assert_eq!(said.level, Level::Signed);
    assert_eq!(said.organisation, Some(did("operator").to_string()));
}

/// The operator's directory is copied while nothing runs there, and both are opened.
async fn cloned(town: &Town, operator: House) -> (House, House) {
    town.forget("operator");
    operator.close().await;
    copy(&town.path("operator"), &town.path("clone"));
    (town.open("operator", "operator").await, town.open("clone", "operator").await)
}

/// Both sign on until each log is longer than it was and they have one size.
async fn level(one: &House, two: &House) -> u64 {
    let (mut a, mut b) = (live(one).await, live(two).await);
    while a != b {
        if a < b { a = live(one).await } else { b = live(two).await }
    }
    a
}

async fn close(houses: impl IntoIterator<Item = House>) {
    for house in houses {
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_who_compare_catch_a_provider_that_forks() {
    let town = Town::new(&[("operator", &[]), ("maker", &[]), ("supplier", &[])]);
    let operator = town.open("operator", "operator").await;
    let maker = town.open("maker", "maker").await;
    let supplier = town.open("supplier", "supplier").await;
    acquaint(&[&operator, &maker, &supplier]).await;
    furnish(&operator).await;
    for (from, to, house) in [
        ("operator", "maker", &maker),
        ("operator", "supplier", &supplier),
        ("clone", "maker", &maker),
        ("clone", "supplier", &supplier),
        ("maker", "operator", &operator),
        ("supplier", "operator", &operator),
        ("maker", "supplier", &supplier),
        ("supplier", "maker", &maker),
    ] {
        town.route(from, to, house);
    }
    let (ours, theirs) = (agreed(&maker).await, agreed(&supplier).await);
    let (one, two) = cloned(&town, operator).await;
    town.route("maker", "operator", &one);
    town.route("supplier", "operator", &two);
    level(&one, &two).await;
    pulled(&maker, &ours).await.unwrap();
    assert!(grades(maker.node()).is_empty());
    // The second head is seen by the other one, who asks what its partners have seen.
    let heads = [size(&one), size(&two)];
    pulled(&supplier, &theirs).await.unwrap();
    until(&supplier, is_proven).await;
    convicts(&supplier, &two);
    // Within the tick that showed it.
    assert_eq!([size(&one), size(&two)], [heads[0], heads[1] + 1]);
    // Nothing more is taken under that log, with a reason that is shown.
    let problem = pulled(&supplier, &theirs).await.unwrap_err();
    assert_eq!(problem.code, codes::LOG_FORKED, "{problem}");
    assert!(warns(&supplier, "log.forked"));
    close([one, two, maker, supplier]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_catches_a_log_that_forks() {
    let town = Town::new(&[("operator", &["maker"]), ("maker", &[])]);
    let operator = town.open("operator", "operator").await;
    let maker = town.open("maker", "maker").await;
    acquaint(&[&operator, &maker]).await;
    furnish(&operator).await;
    town.route("operator", "maker", &maker);
    let before = live(&operator).await;
    until(&maker, |node| cosigned(node) >= before).await;
    let (one, two) = cloned(&town, operator).await;
    let first = level(&one, &two).await;
    until(&maker, |node| cosigned(node) >= first).await;
    // The copy has been opened beside, and now its head of that size is shown to the witness too.
    town.route("clone", "maker", &maker);
    town.route("maker", "operator", &two);
    let heads = [size(&one), size(&two)];
    live(&two).await;
    until(&maker, is_proven).await;
    convicts(&maker, &one);
    // Within the tick that showed it.
    assert_eq!([size(&one), size(&two)], [heads[0], heads[1] + 1]);
    // The witness cosigned one of the two, and cosigns nothing of that log any more.
    let last = cosigned(maker.node());
    live(&one).await;
    assert_eq!(cosigned(maker.node()), last);
    assert!(warns(&maker, "log.forked"));
    close([one, two, maker]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_carries_what_witnesses_have_cosigned() {
    let town = Town::new(&[("operator", &["maker"]), ("maker", &[])]);
    let operator = town.open("operator", "operator").await;
    let maker = town.open("maker", "maker").await;
    acquaint(&[&operator, &maker]).await;
    furnish(&operator).await;
    town.route("operator", "maker", &maker);
    let size = live(&operator).await;
    until(&operator, |node| {
        let lags = cosignatures::lags(node, node.clocks.wall()).unwrap();
        lags.iter().all(|lag| lag.last.as_ref().is_some_and(|last| last.size >= size))
    })
    .await;
    let bundle = prove::fact(operator.node(), 0, &[]).await.unwrap().to_bytes();
    let mut trust = Trust::default();
    trust.add(&prove::own_record(operator.node()).unwrap(), DECIDED).unwrap();
    assert_eq!(verify(&bundle, Some(&trust)).unwrap().level, Level::Signed);
    let statement = witness::statement(maker.node()).unwrap();
    assert!(trust.add_witness(&statement, DECIDED).is_err(), "nobody vouches for it");
    trust.add(&prove::own_record(maker.node()).unwrap(), DECIDED).unwrap();
    trust.add_witness(&statement, DECIDED).unwrap();
    let said = verify(&bundle, Some(&trust)).unwrap();
    assert_eq!(said.level, Level::Witnessed);
    let name = WitnessRecord::from_envelope(&statement).unwrap().name;
    assert_eq!(said.witnesses, [name]);
    close([operator, maker]).await;
}

/// The line with which a witness has cosigned what this bundle rests on.
fn cosignature(bundle: &[u8], witness: &str) -> Vec<u8> {
    let text = String::from_utf8(bundle.to_vec()).unwrap();
    let begin = text.find(&format!("\u{2014} {witness}")).unwrap();
    let line = text[begin..].split(['\n', '\\']).next().unwrap();
    format!("{line}\n").into_bytes()
}

/// What a witness says: status and body.
type Said = (u16, Vec<u8>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_lies_or_is_gone_is_said_and_the_rest_goes_on() {
    let town =
        Town::new(&[("operator", &["maker", "supplier"]), ("maker", &[]), ("supplier", &[])]);
    let operator = town.open("operator", "operator").await;
    let maker = town.open("maker", "maker").await;
    let supplier = town.open("supplier", "supplier").await;
    acquaint(&[&operator, &maker, &supplier]).await;
    furnish(&operator).await;
    town.route("operator", "maker", &maker);
    town.route("operator", "supplier", &supplier);
    let said: Arc<Mutex<Option<Said>>> = Arc::default();
    let lies = said.clone();
    town.lies.lock().unwrap().push(Box::new(move |_, call| {
        let asked = call.url.contains("supplier") && call.url.ends_with("/add-checkpoint");
        let lie = lies.lock().unwrap().clone().filter(|_| asked);
        lie.map(|(status, body)| Reply::whole(status, body))
    }));
    let last = |node: &Node, who: &str| {
        let lags = cosignatures::lags(node, node.clocks.wall()).unwrap();
        let of = lags.into_iter().find(|lag| lag.witness == did(who).as_str()).unwrap();
        (of.last.map_or(0, |last| last.size), of.failed.map(|(code, _)| code.name))
    };
    let size = live(&operator).await;
    until(&operator, |node| last(node, "supplier").0 >= size).await;
    let before = prove::fact(operator.node(), 0, &[]).await.unwrap().to_bytes();
    let before = cosignature(&before, "supplier.example/witness/");
    let strange = "\u{2014} supplier.example/witness/1 AAAAAAAAAAAAAAAA\n".as_bytes().to_vec();
    for (status, body, code) in [
        // None by its key; its own, of another size and root.
        (200, strange, "witness.false"),
        (200, before, "witness.false"),
        // Of another size than it has cosigned: more than there is, less, and none at all.
        (409, b"99999999999\n".to_vec(), "anchor.claimed"),
        (409, b"0\n".to_vec(), "witness.refused"),
        (409, b"soon\n".to_vec(), "witness.refused"),
        (500, b"".to_vec(), "witness.refused"),
    ] {
        *said.lock().unwrap() = Some((status, body));
        let size = live(&operator).await;
        until(&operator, |node| last(node, "maker").0 >= size).await;
        until(&operator, |node| last(node, "supplier").1 == Some(code)).await;
        // One that refuses is a warning when that makes it late.
        assert_eq!(warns(&operator, code), code != "witness.refused", "{code}");
        *said.lock().unwrap() = None;
        until(&operator, |node| last(node, "supplier") == (size, None)).await;
        assert!(!warns(&operator, code), "{code}");
    }
    // Gone, it is late, and nothing waits for it.
    town.cut("operator", "supplier");
    let size = live(&operator).await;
    until(&operator, |node| last(node, "maker").0 >= size).await;
    let later = operator.node().clocks.wall().0.plus_seconds(2 * cosignatures::LATE_SECONDS);
    let late = cosignatures::lags(operator.node(), twinpact_model::WallTime(later)).unwrap();
    let late: Vec<_> = late.iter().filter_map(|lag| lag.problem()).collect();
    assert!(late.iter().all(|problem| problem.code == codes::WITNESS_LATE), "{late:?}");
    assert_eq!(late.len(), 1);
    close([operator, maker, supplier]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_knows_more_of_our_log_stops_an_older_copy() {
    let town = Town::new(&[("operator", &["maker"]), ("maker", &[])]);
    let operator = town.open("operator", "operator").await;
    let maker = town.open("maker", "maker").await;
    acquaint(&[&operator, &maker]).await;
    furnish(&operator).await;
    town.route("operator", "maker", &maker);
    let (one, two) = cloned(&town, operator).await;
    let size = level(&one, &two).await;
    let larger = {
        live(&one).await;
        live(&one).await
    };
    until(&maker, |node| cosigned(node) >= larger).await;
    assert!(larger > size + 1);
    close([one]).await;
    town.route("clone", "maker", &maker);
    live(&two).await;
    let behind = |node: &Node| {
        node.partition.read(|fold, store| fold.behind.check(store.forest()).is_err()).unwrap()
    };
    until(&two, behind).await;
    let record = Record::from_envelope(&prove::own_record(two.node()).unwrap()).unwrap();
    assert!(
        maker
            .node()
            .partition
            .read(|fold, _| fold.divergences.trusted(&record.origin).is_ok())
            .unwrap()
    );
    close([two, maker]).await;
}
