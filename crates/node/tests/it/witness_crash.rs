//! Two heads of one size are sent to a witness that dies at every step of what it does for the
//! first: never do both get its cosignature.

use crate::net_world::{asked_by, reply};
use std::path::Path;
use std::sync::Arc;
use twinpact_identity::tls::system_clock;
use twinpact_model::Did;
use twinpact_node::door::Door;
use twinpact_node::log_door::ADD_CHECKPOINT_PATH;
use twinpact_node::outbound::Call;
use twinpact_node::{NodeParts, PolicyClock, open, partners, prove};
use twinpact_proof::note::Checkpoint;
use twinpact_proof::tree::{Tree, leaf_hash};
use twinpact_proof::witness::Request;
use twinpact_proof::{Record, SecretKey};
use twinpact_testkit::{Death, SimDisk};

const COMMON: u64 = 5;
const SIZE: u64 = 8;

/// A log, whose second half is this one of its histories.
fn history(of: u8) -> Tree {
    let mut tree = Tree::default();
    for n in 0..SIZE {
        let which = if n < COMMON { 0 } else { of };
        tree.append(leaf_hash(&[u8::try_from(n).unwrap(), which]));
    }
    tree
}

/// The operator, as far as a witness knows it.
struct Log {
    record: Vec<u8>,
    origin: String,
    key: Arc<twinpact_identity::signer::Signer>,
}

impl Log {
    fn request(&self, tree: &Tree, old: u64, size: u64) -> Vec<u8> {
        let root = tree.root_at(size).unwrap();
        let key: &SecretKey = self.key.key();
        let note = Checkpoint { origin: self.origin.clone(), size, root }.sign(key);
        Request { old, proof: tree.consistency(old, size).unwrap(), note }.text().into_bytes()
    }
}

fn operator() -> Did {
    Did::new("did:web:operator.example").unwrap()
}

async fn witness(disk: &SimDisk, path: &Path) -> Result<NodeParts, twinpact_model::Problem> {
    open::open_by(Arc::new(disk.clone()), path, PolicyClock::System, system_clock()).await
}

/// Status and body of what the witness answers, unless its power went meanwhile.
async fn ask(parts: &NodeParts, disk: &SimDisk, body: Vec<u8>) -> Option<(u16, String)> {
    let call = Call {
        trust_domain: crate::operator::peer(operator()).trust_domain,
        pinned: Vec::new(),
        method: "POST",
        url: format!("https://maker.example{ADD_CHECKPOINT_PATH}"),
        headers: Vec::new(),
        body,
        max_bytes: 0,
    };
    let answer = reply(parts.node.answer(asked_by(operator(), &call)).await);
    (!disk.is_off()).then(|| (answer.status, String::from_utf8(answer.body).unwrap()))
}

async fn log() -> Log {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("operator");
    open::init(&path, &operator(), "operator").unwrap();
    let parts = open::open(&path, PolicyClock::System).await.unwrap();
    let envelope = prove::own_record(&parts.node).unwrap();
    let key = parts.node.signer();
    parts.stop();
    let origin = Record::from_envelope(&envelope).unwrap().origin;
    Log { record: envelope.to_json().canonical().into_bytes(), origin, key }
}

/// The first head while the disk dies after so many steps, then the second. Whether the first was
/// cosigned.
async fn run(log: &Log, steps: u64, death: Death) -> bool {
    let place = tempfile::tempdir().unwrap();
    let disk = SimDisk::new(steps, place.path());
    let path = place.path().join("maker");
    let maker = Did::new("did:web:maker.example").unwrap();
    open::init_on(Arc::new(disk.clone()), &path, &maker, "maker").unwrap();
    let parts = witness(&disk, &path).await.unwrap();
    partners::add(&parts.node, &log.record).await.unwrap();
    let (one, two) = (history(1), history(2));
    let common = ask(&parts, &disk, log.request(&one, 0, COMMON)).await.unwrap();
    assert_eq!(common.0, 200, "{common:?}");
    parts.node.partition.turn_and_prove(|_| Ok(())).await.unwrap();
    if let Death::PowerCut(_) = death {
        disk.cut_after(steps);
    }
    let first = ask(&parts, &disk, log.request(&one, COMMON, SIZE)).await;
    match death {
        Death::Killed => disk.kill(),
        Death::PowerCut(_) => disk.power_cycle(),
    }
    parts.stop();
    let parts = witness(&disk, &path).await.unwrap();
    let second = ask(&parts, &disk, log.request(&two, COMMON, SIZE)).await.unwrap();
    let again = ask(&parts, &disk, log.request(&one, COMMON, SIZE)).await.unwrap();
    parts.stop();
    let got = |answer: &Option<(u16, String)>| answer.as_ref().is_some_and(|(s, _)| *s == 200);
    let said = [got(&first), got(&Some(second.clone())), got(&Some(again))];
    // The first may have been kept without being answered; then it is the one that is cosigned.
    assert!(said[1] != (said[0] || second.0 == 409), "{steps} {death:?}: {said:?} {second:?}");
    assert!(!(said[0] && said[1]), "{steps} {death:?}: both heads were cosigned");
    assert!(!(said[1] && said[2]), "{steps} {death:?}: both heads were cosigned");
    said[0]
}

#[tokio::test]
async fn no_crash_makes_a_witness_cosign_two_heads() {
    let log = log().await;
    assert!(run(&log, 0, Death::Killed).await, "it answers before it dies");
    let (mut answered, mut died) = (0, 0);
    for steps in 0..60 {
        match run(&log, steps, Death::PowerCut(steps)).await {
            true => answered += 1,
            false => died += 1,
        }
        if answered == 3 {
            break;
        }
    }
    assert!(answered == 3 && died > 0, "{answered} answered, {died} died");
}
