//! Certificates, the issuing CA and the document key change while two nodes work with each other:
//! no request fails, and nobody has to pin anything again.

use crate::pair::{MAKER, OPERATOR, Pair, ROWS, start, until, wanted};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twinpact_dsp::delivery::{Delivery, classify_response};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::door::{Asked, Door};
use twinpact_node::egress::Egress;
use twinpact_node::{Node, consumer, found, keys, open, prove, receipts, repin};
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Level, Trust, verify};

/// Somebody who asks again and again until told to stop.
struct Asker {
    /// How often it was answered, up to its first failure.
    answered: watch::Receiver<usize>,
    asking: JoinHandle<Result<usize, Problem>>,
}

fn asker<F>(over: &Arc<AtomicBool>, ask: impl Fn() -> F + Send + 'static) -> Asker
where
    F: Future<Output = Result<(), Problem>> + Send,
{
    let (count, answered) = watch::channel(0);
    let over = Arc::clone(over);
    let asking = tokio::spawn(async move {
        let mut times = 0;
        while !over.load(Ordering::SeqCst) {
            ask().await?;
            times += 1;
            count.send_replace(times);
        }
        Ok(times)
    });
    Asker { answered, asking }
}

/// Waits until everybody was answered twice more: at least one whole request of each lies between.
async fn go_on(askers: &mut [Asker]) {
    for asker in askers {
        let reached = *asker.answered.borrow_and_update() + 2;
        // One that has failed is found out at the end.
        let _ = asker.answered.wait_for(|count| *count >= reached).await;
    }
}

async fn catalog(node: &Node, partner: &str) -> Result<(), Problem> {
    found::catalog(node, partner).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_certificates_ca_and_keys_are_renewed() {
    let (pair, agreement) = Pair::concluded().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut askers = Vec::new();
    let (maker, pull) = (pair.maker().clone(), wanted(&agreement));
    askers.push(asker(&over, move || {
        let (maker, pull) = (maker.clone(), pull.clone());
        async move { consumer::pull(&maker, &pull).await.map(|_| ()) }
    }));
    // Several connections, in both directions.
    for _ in 0..2 {
        let (maker, operator) = (pair.maker().clone(), pair.operator().clone());
        askers.push(asker(&over, move || {
            let maker = maker.clone();
            async move { catalog(&maker, OPERATOR).await }
        }));
        askers.push(asker(&over, move || {
            let operator = operator.clone();
            async move { catalog(&operator, MAKER).await }
        }));
    }
    let paths = [pair.path("operator"), pair.path("maker")];
    let nodes = [pair.operator().clone(), pair.maker().clone()];
    for (node, path) in nodes.iter().zip(&paths).cycle().take(6) {
        go_on(&mut askers).await;
        open::renew(node).unwrap();
        go_on(&mut askers).await;
        open::renew_issuing_beside(path, None).unwrap();
        go_on(&mut askers).await;
        open::reload_issuing(node).await.unwrap();
        go_on(&mut askers).await;
        keys::rotate(node, keys::MIN_OVERLAP_SECONDS).await.unwrap();
    }
    go_on(&mut askers).await;
    over.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for asker in askers {
        answered += asker.asking.await.unwrap().unwrap();
    }
    assert!(answered >= 5 * 2 * 25, "{answered} requests");
    for node in &nodes {
        let keys = keys::list(node, None).unwrap();
        assert_eq!((keys.len(), keys.last().unwrap().signs), (4, true));
    }
    pair.stop().await;
}

/// Whether `node` has pinned the record that `partner` has now.
fn knows(node: &Node, partner: &Node) -> bool {
    let own = prove::own_record(partner).unwrap().fingerprint();
    let did = partner.config.organisation.as_str();
    let pinned = |fold: &twinpact_node::fold::Fold| {
        fold.partners.get(did).is_ok_and(|known| known.envelope.fingerprint() == own)
    };
    node.partition.read(|fold, _| pinned(fold)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_not_sent_is_fetched_when_it_is_missed() {
    let (pair, agreement) = Pair::silent().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    pair.pull(&agreement).await.unwrap();
    // The assertion is signed by a key that the operator does not know.
    keys::rotate(maker, keys::OVERLAP_SECONDS).await.unwrap();
    assert!(!knows(operator, maker));
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
    assert!(knows(operator, maker) && knows(maker, operator));
    // The receipt is.
    keys::rotate(operator, keys::OVERLAP_SECONDS).await.unwrap();
    assert!(!knows(maker, operator));
    assert_eq!(pair.pull(&agreement).await.unwrap().rows, ROWS);
    assert!(knows(maker, operator));
    // Not more than once a minute: then it is a refusal like any other, and on record.
    keys::rotate(maker, keys::OVERLAP_SECONDS).await.unwrap();
    let refused = pair.pull(&agreement).await.unwrap_err();
    assert_eq!(refused.code, codes::POLICY_ASSERTION_SIGNATURE, "{refused}");
    assert!(!knows(operator, maker));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_are_told_of_a_new_key_and_old_proofs_hold() {
    let (pair, agreement) = Pair::concluded().await;
    let (operator, maker) = (pair.operator(), pair.maker());
    let receipt = pair.pull(&agreement).await.unwrap().receipts.remove(0);
    let trust = |node: &Node| node.partition.read(|fold, _| fold.partners.trust().clone()).unwrap();
    let holds = |proof: &str, trust: &Trust| {
        assert_eq!(verify(proof.as_bytes(), Some(trust)).unwrap().level, Level::Signed);
    };
    let before = trust(maker);
    let old = receipts::export(maker, &receipt).unwrap();
    let rotated = keys::rotate(operator, keys::OVERLAP_SECONDS).await.unwrap();
    assert_eq!(rotated.iter().map(|key| key.signs).collect::<Vec<_>>(), [false, true]);
    // It was told before the new key signed.
    assert!(knows(maker, operator));
    let new = pair.pull(&agreement).await.unwrap().receipts.remove(0);
    holds(&old, &trust(maker));
    holds(&receipts::export(maker, &new).unwrap(), &trust(maker));
    // The operator makes the old receipt again, with the key that it has now.
    let again = receipts::export(operator, &receipt).unwrap();
    assert_ne!(again, old);
    holds(&again, &trust(maker));
    // Who has not heard of the new key takes it from the record, which the old one has signed too.
    assert!(verify(again.as_bytes(), Some(&before)).is_err());
    let mut updated = before.clone();
    updated.add(&prove::own_record(operator).unwrap(), DECIDED).unwrap();
    holds(&again, &updated);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_are_told_of_a_new_address() {
    let (pair, _) = Pair::concluded().await;
    let path = pair.path("maker");
    pair.maker.stop().await;
    let config = std::fs::read_to_string(path.join("twinpact.toml")).unwrap();
    let port = twinpact_testkit::free_port();
    let moved: Vec<String> = config
        .lines()
        .map(|line| match line.starts_with("listen") {
            true => format!("listen = \"127.0.0.1:{port}\""),
            false => line.to_owned(),
        })
        .collect();
    std::fs::write(path.join("twinpact.toml"), moved.join("\n")).unwrap();
    let maker = start(&path).await;
    let address = format!("https://127.0.0.1:{port}/dsp");
    until(&pair.operator.parts.node, |fold| {
        fold.partners.get(MAKER).is_ok_and(|known| known.record.dsp == address)
    })
    .await;
    maker.stop().await;
    pair.operator.stop().await;
}

/// What the operator says when the maker sends it that record as its own.
async fn sent(pair: &Pair, record: String) -> String {
    let peer = peer(pair);
    let asked =
        Asked::posted(Some(peer), "/.well-known/twinpact/organisation", record.into_bytes());
    match pair.operator().answer(asked).await {
        Egress::Protocol { status, .. } => status.to_string(),
        Egress::Fault(fault) => {
            // Its outbox gives up: with 409 it would come again 60 times.
            let never = classify_response(Some(fault.status), "", 1);
            assert!(matches!(never, Delivery::GiveUp { .. }), "{never:?}");
            assert_eq!(fault.document["status"], fault.status);
            fault.document["code"].as_str().unwrap().to_owned()
        }
        _ => "something else".to_owned(),
    }
}

/// The maker, as the operator's listener has verified it.
fn peer(pair: &Pair) -> twinpact_identity::PeerIdentity {
    let node = pair.maker();
    let id =
        twinpact_identity::SpiffeId::of_node(node.identity.current().root.trust_domain(), "node");
    twinpact_identity::PeerIdentity {
        did: node.config.organisation.clone(),
        trust_domain: node.identity.current().root.trust_domain().clone(),
        spiffe_id: id.unwrap(),
        leaf_sha256: [1; 32],
        root_sha256: *node.identity.current().root.sha256(),
        not_after: node.clocks.wall(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_taken_from_its_owner_alone_and_only_when_it_follows() {
    let (pair, _) = Pair::silent().await;
    let record = |node: &Node| prove::own_record(node).unwrap().to_json().canonical();
    let first = record(pair.maker());
    let stranger = Pair::strangers().await;
    for (what, sent_record, expect) in [
        ("the very same", first.clone(), "200"),
        ("that of another", record(pair.operator()), "trust.conflict.owner"),
        ("of the same name, by unknown keys", record(stranger.maker()), "trust.conflict.keys"),
        ("none", "{}".to_owned(), "trust.record"),
        ("no JSON", String::new(), "trust.record"),
    ] {
        assert_eq!(sent(&pair, sent_record).await, expect, "{what}");
    }
    keys::rotate(pair.maker(), keys::OVERLAP_SECONDS).await.unwrap();
    assert_eq!(sent(&pair, record(pair.maker())).await, "200");
    assert!(knows(pair.operator(), pair.maker()));
    assert_eq!(sent(&pair, first).await, "trust.conflict.older", "an older one");
    assert_eq!(repin::own_fingerprint(pair.maker()).unwrap().len(), 64);
    stranger.stop().await;
    pair.stop().await;
}
