//! Two nodes of two organisations: what both sign, when, and what neither takes for the other's
//! signature.

use crate::pages::{CONSUMER, PROVIDER, Trick, World};
use serde_json::Value;
use twinpact_identity::partners::PeerIdentity;
use twinpact_identity::spiffe::{SpiffeId, TrustDomain};
use twinpact_model::Did;
use twinpact_node::api::ReceiptLine;
use twinpact_node::door::{Asked, Door as _};
use twinpact_node::egress::Egress;
use twinpact_node::processes::DOCUMENTS_PATH;
use twinpact_node::{Node, agreements, partners, prove, receipts, removal};
use twinpact_proof::deletion::DELETION_TYPE;
use twinpact_proof::documents::{AGREEMENT_TYPE, Agreement, Receipt};
use twinpact_proof::record::RecordKey;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Bundle, Envelope, Json, Level, Record, SecretKey, Trust, verify};

/// Tuesday 21 July 2015, 07:00 in Paris: inside the hours of the row filter.
const TUESDAY: i64 = 1_437_454_800;

async fn world(provider: Trick, consumer: Trick) -> World {
    let row = |second: i64| ("urn:turbine:a", TUESDAY + second, format!("{second}.5"));
    World::with((0..3).map(row).collect(), provider, consumer).await
}

/// Waits for commits until it is as wanted.
pub(crate) async fn until(node: &Node, wanted: impl Fn(&Node) -> bool) {
    let mut changes = node.partition.changes();
    loop {
        changes.borrow_and_update();
        if wanted(node) {
            return;
        }
        changes.changed().await.unwrap();
    }
}

fn agreement_level(node: &Node, agreement: &str) -> String {
    agreements::show(node, agreement, None).unwrap().level
}

/// The one receipt that a node knows.
fn only(node: &Node) -> ReceiptLine {
    let mut all = receipts::list(node, 10, None).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn pins(nodes: &[&Node]) -> Trust {
    let mut trust = Trust::default();
    nodes
        .iter()
        .for_each(|node| assert!(trust.add(&prove::own_record(node).unwrap(), DECIDED).is_ok()));
    trust
}

fn level(proof: &str, trust: &Trust) -> (Level, Option<String>) {
    let verdict = verify(proof.as_bytes(), Some(trust)).unwrap();
    (verdict.level, verdict.uncountersigned)
}

/// The agreement document and the receipt in that proof.
fn papers(proof: &str) -> (Envelope, Envelope) {
    let bundle = Bundle::parse(proof.as_bytes()).unwrap();
    (bundle.agreement.unwrap(), bundle.receipt.unwrap())
}

/// The documents that the consumer has sent, those of one list one by one.
fn documents(world: &World) -> Vec<Value> {
    let sent = world.trick.lock().unwrap().documents.clone();
    let listed = sent.iter().flat_map(|body| match serde_json::from_slice(body).unwrap() {
        Value::Array(listed) => listed,
        one => vec![one],
    });
    listed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_export_what_both_have_signed() {
    let world = world(Trick::default(), Trick::default()).await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    // The agreement is countersigned before anything is asked for.
    until(provider, |node| agreement_level(node, &world.agreement) == "countersigned").await;
    assert_eq!(agreement_level(consumer, &world.agreement), "countersigned");
    let pulled = world.pull(&world.wanted()).await.unwrap();
    assert_eq!((pulled.rows, pulled.level.as_str()), (3, "countersigned"));
    let name = &pulled.receipts[0];
    until(provider, |node| only(node).level == "countersigned").await;
    until(consumer, |node| only(node).waits.is_none()).await;
    let (given, got) = (only(provider), only(consumer));
    assert_eq!(receipts::show(consumer, name, None).unwrap(), got);
    assert_eq!((given.role.as_str(), given.partner.as_str()), ("provider", CONSUMER));
    assert_eq!((got.role.as_str(), got.partner.as_str()), ("consumer", PROVIDER));
    assert_eq!((got.rows, got.bytes, &got.why), (3, pulled.bytes, &None));
    let (partner, role) = (given.partner.clone(), given.role.clone());
    assert_eq!(given, ReceiptLine { partner, role, ..got });
    // The very same proof from both, worth what its reader pinned.
    let proof = receipts::export(provider, name).unwrap();
    assert_eq!(proof, receipts::export(consumer, name).unwrap());
    assert_eq!(level(&proof, &pins(&[provider, consumer])), (Level::Countersigned, None));
    let why = format!("{CONSUMER} is nobody whom you named");
    assert_eq!(level(&proof, &pins(&[provider])), (Level::Signed, Some(why.clone())));
    // The agreement goes back once, each receipt once.
    world.pull(&world.wanted()).await.unwrap();
    until(provider, |node| {
        receipts::list(node, 10, None).unwrap().iter().all(|line| line.level == "countersigned")
    })
    .await;
    until(consumer, |node| {
        node.partition.read(|fold, _| fold.processes.outbox.is_empty()).unwrap()
    })
    .await;
    let kind = |envelope: Value| {
        let kind = envelope["payloadType"].as_str().unwrap();
        kind.trim_start_matches("application/vnd.twinpact.").to_owned()
    };
    let kinds: Vec<String> = documents(&world).into_iter().map(kind).collect();
    assert_eq!(kinds, ["agreement+json", "receipt+json", "receipt+json"]);
    // What it has signed stays so when it is no partner any more, for who still names it.
    removal::remove(provider, CONSUMER, "over").await.unwrap();
    assert_eq!(proof, receipts::export(provider, name).unwrap());
    let line = receipts::show(provider, name, None).unwrap();
    assert_eq!((line.level.as_str(), line.why), ("signed", Some(why)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_a_kill_is_sent_after_it() {
    // Neither side's documents come through: the first page brings the agreement.
    let world = world(Trick::without_documents(), Trick::without_documents()).await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    assert_eq!(agreement_level(consumer, &world.agreement), "signed");
    let pulled = world.pull(&world.wanted()).await.unwrap();
    assert_eq!(pulled.level, "countersigned");
    assert_eq!(agreement_level(consumer, &world.agreement), "countersigned");
    // The provider shows what it has: a partner that signs nothing leaves `signed`.
    assert_eq!(agreement_level(provider, &world.agreement), "signed");
    let line = only(provider);
    let why = format!("the record of {CONSUMER} is not in it");
    assert_eq!((line.level.as_str(), line.why.as_ref()), ("signed", Some(&why)));
    let proof = receipts::export(provider, &pulled.receipts[0]).unwrap();
    assert_eq!(level(&proof, &pins(&[provider, consumer])), (Level::Signed, Some(why)));
    let waiting = |node: &Node| node.partition.read(|fold, _| fold.processes.outbox.len()).unwrap();
    assert_eq!(waiting(consumer), 2);
    // What waits is said where the receipt is.
    let since = only(consumer).waits.expect("the receipt waits");
    assert_eq!(receipts::show(consumer, &pulled.receipts[0], None).unwrap().waits, Some(since));
    assert_eq!(only(provider).waits, None);
    let world = world.kill_consumer().await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    until(provider, |node| only(node).level == "countersigned").await;
    until(consumer, |node| waiting(node) == 0).await;
    assert_eq!(only(consumer).waits, None);
    assert_eq!(documents(&world).len(), 2);
    let proof = receipts::export(provider, &pulled.receipts[0]).unwrap();
    assert_eq!(proof, receipts::export(consumer, &pulled.receipts[0]).unwrap());
    assert_eq!(level(&proof, &pins(&[provider, consumer])), (Level::Countersigned, None));
    world.stop().await;
}

/// A partner as the listener would have verified it.
pub(crate) fn peer(did: &str, node: &Node) -> PeerIdentity {
    let did = Did::new(did).unwrap();
    let trust_domain = TrustDomain::of_did(&did).unwrap();
    let spiffe_id = SpiffeId::of_node(&trust_domain, "node").unwrap();
    let not_after = node.clocks.wall();
    let (leaf_sha256, root_sha256) = ([1; 32], [2; 32]);
    PeerIdentity { did, trust_domain, spiffe_id, leaf_sha256, root_sha256, not_after }
}

/// Sends that body as this partner; the code and the sentence of the refusal.
pub(crate) async fn send(node: &Node, from: &str, body: &[u8]) -> (String, String) {
    let asked = Asked::posted(Some(peer(from, node)), DOCUMENTS_PATH, body.to_vec());
    match node.answer(asked).await {
        Egress::Protocol { status: 200, message: None } => (String::new(), String::new()),
        Egress::Fault(fault) => {
            let text = |name: &str| fault.document[name].as_str().unwrap().to_owned();
            (text("code"), text("detail"))
        }
        _ => panic!("another kind of answer"),
    }
}

async fn check(node: &Node, from: &str, envelope: &Envelope, code: &str, said: &str) {
    let body = envelope.to_json().canonical();
    let (got, why) = send(node, from, body.as_bytes()).await;
    assert_eq!(got, code, "{why}");
    assert!(why.contains(said), "{said:?} is not in {why:?}");
}

fn by(mut envelope: Envelope, key: &SecretKey) -> Envelope {
    envelope.add_signature(key);
    envelope
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_takes_no_other_signature_for_its_consumers() {
    const REFUSED: &str = "document.refused";
    let world = world(Trick::without_documents(), Trick::without_documents()).await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    let pulled = world.pull(&world.wanted()).await.unwrap();
    let name = &pulled.receipts[0];
    let (ours, theirs) = (provider.signer(), consumer.signer());
    let (ours, theirs) = (ours.key(), theirs.key());
    let stranger = SecretKey::new(&[7; 32]);
    let (agreement, receipt) = papers(&receipts::export(consumer, name).unwrap());
    let (bare, bare_receipt) = papers(&receipts::export(provider, name).unwrap());
    let document = Receipt::from_envelope(&receipt).unwrap();
    // Another partner learns nothing of this agreement, whatever it sends.
    let third = "did:web:third.example";
    for envelope in [&agreement, &receipt] {
        check(provider, third, envelope, "agreement.unknown", "no such agreement").await;
    }
    let other = Receipt { agreement: [9; 32], ..document.clone() };
    check(provider, CONSUMER, &by(other.sign(ours), theirs), "agreement.unknown", "").await;
    // What was not signed, not by the consumer, or not by a key of anybody.
    check(provider, CONSUMER, &bare_receipt, REFUSED, "no signature of yours").await;
    check(provider, CONSUMER, &bare, REFUSED, "no signature of yours").await;
    check(provider, CONSUMER, &by(bare_receipt.clone(), ours), REFUSED, "no signature").await;
    check(provider, CONSUMER, &by(bare_receipt.clone(), &stranger), REFUSED, "by no key").await;
    check(provider, CONSUMER, &by(bare.clone(), &stranger), REFUSED, "by no key").await;
    check(provider, CONSUMER, &by(receipt.clone(), &stranger), REFUSED, "by no key").await;
    let mut moved = bare_receipt.clone();
    moved.signatures.push(agreement.signatures[1].clone());
    check(provider, CONSUMER, &moved, REFUSED, "does not hold").await;
    // Another payload, whoever signed it, also with both keys.
    for other in [
        Receipt { count: 4, ..document.clone() },
        Receipt { delete_by: None, ..document.clone() },
        Receipt { tick: document.tick + 1, ..document.clone() },
        Receipt { at: document.at + 1, ..document.clone() },
    ] {
        check(provider, CONSUMER, &by(other.sign(ours), theirs), REFUSED, "another document").await;
    }
    let later = Receipt { index: document.index + 1, ..document.clone() };
    check(provider, CONSUMER, &by(later.sign(ours), theirs), REFUSED, "no delivery of ours").await;
    // Whose it is comes before what it is of: a receipt is made for nobody else.
    check(provider, CONSUMER, &later.sign(ours), REFUSED, "no signature of yours").await;
    let mut changed = Agreement::from_envelope(&agreement).unwrap();
    changed.concluded += 1;
    check(provider, CONSUMER, &by(changed.sign(ours), theirs), REFUSED, "another document").await;
    let decision = Envelope::sign("application/x", &Json::Null, theirs);
    check(provider, CONSUMER, &decision, REFUSED, "of no type that we know").await;
    let malformed = Envelope::sign(&receipt.payload_type, &Json::Null, theirs);
    check(provider, CONSUMER, &malformed, REFUSED, "").await;
    for body in [&b""[..], b"{}", b"[", &[0xff; 9]] {
        assert_eq!(send(provider, CONSUMER, body).await.0, "input.malformed");
    }
    // Nothing of all that was kept.
    assert_eq!(only(provider).level, "signed");
    assert_eq!(agreement_level(provider, &world.agreement), "signed");
    // The true ones are taken, and taken again without any change.
    for _ in 0..2 {
        check(provider, CONSUMER, &receipt, "", "").await;
        check(provider, CONSUMER, &agreement, "", "").await;
        let proof = receipts::export(provider, name).unwrap();
        assert_eq!(proof, receipts::export(consumer, name).unwrap());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_come_together_are_taken_whole_or_not_at_all() {
    let world = world(Trick::without_documents(), Trick::without_documents()).await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    let pulled = world.pull(&world.wanted()).await.unwrap();
    let name = &pulled.receipts[0];
    let (agreement, receipt) = papers(&receipts::export(consumer, name).unwrap());
    let (bare, _) = papers(&receipts::export(provider, name).unwrap());
    let theirs = consumer.signer();
    let mut changed = Agreement::from_envelope(&agreement).unwrap();
    changed.concluded += 1;
    let changed = changed.sign(theirs.key());
    let deletion = Envelope::sign(DELETION_TYPE, &Json::Null, theirs.key());
    let other = |n: i64| Envelope::sign(AGREEMENT_TYPE, &Json::Int(n), theirs.key());
    let many: Vec<Envelope> = (0..129).map(other).collect();
    let many: Vec<&Envelope> = many.iter().collect();
    for (listed, code, said) in [
        (&[&receipt, &bare][..], "document.refused", "no signature of yours"),
        (&[&receipt, &other(1)], "document.refused", ""),
        (&[&receipt, &agreement, &receipt], "input.malformed", "two documents"),
        (&[&agreement, &changed], "input.malformed", "two documents"),
        (&[&receipt, &deletion], "input.malformed", "only agreements and receipts"),
        (&many, "input.malformed", "at most 128"),
        (&[], "input.malformed", "no DSSE envelope"),
    ] {
        let list = Json::Array(listed.iter().map(|one| one.to_json()).collect()).canonical();
        let (got, why) = send(provider, CONSUMER, list.as_bytes()).await;
        assert_eq!(got, code, "{why}");
        assert!(why.contains(said), "{said:?} is not in {why:?}");
        assert_eq!(only(provider).level, "signed");
        assert_eq!(agreement_level(provider, &world.agreement), "signed");
    }
    // In either order, and again without any change.
    for listed in [[&receipt, &agreement], [&agreement, &receipt]] {
        let list = Json::Array(listed.iter().map(|one| one.to_json()).collect()).canonical();
        assert_eq!(send(provider, CONSUMER, list.as_bytes()).await.0, "");
        let proof = receipts::export(provider, name).unwrap();
        assert_eq!(proof, receipts::export(consumer, name).unwrap());
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_had_ended_before_a_delivery_signs_no_receipt_of_it() {
    let world = world(Trick::without_documents(), Trick::without_documents()).await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    let pulled = world.pull(&world.wanted()).await.unwrap();
    let (agreement, receipt) = papers(&receipts::export(consumer, &pulled.receipts[0]).unwrap());
    let signer = consumer.signer();
    let key = signer.key();
    let delivered = only(provider).delivered.micros();
    // The consumer's next record says that its key ended just before or just after. A key that
    // goes on has signed it too: of one that has ended no record is taken.
    let new = SecretKey::new(&[66; 32]);
    let record = |until: i64, issued: i64| {
        let record = prove::own_record(consumer).unwrap();
        let mut record = Record::from_envelope(&record).unwrap();
        record.keys[0].until = Some(until);
        let from = record.keys[0].from;
        record.keys.push(RecordKey { key: new.public(), from, until: None });
        record.issued = issued;
        let mut envelope = record.sign(key).unwrap();
        envelope.add_signature(&new);
        envelope.to_json().canonical()
    };
    let next = record(delivered, delivered - 2);
    partners::add(provider, next.as_bytes()).await.unwrap();
    check(provider, CONSUMER, &receipt, "document.refused", "by no key of ours or of yours").await;
    check(provider, CONSUMER, &agreement, "", "").await;
    let next = record(delivered + 1, delivered - 1);
    partners::add(provider, next.as_bytes()).await.unwrap();
    check(provider, CONSUMER, &receipt, "", "").await;
    assert_eq!(only(provider).level, "countersigned");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_signs_only_what_was_agreed() {
    const REFUSED: &str = "document.refused";
    let world = world(Trick::without_documents(), Trick::default()).await;
    let (provider, consumer) = (&world.provider.parts.node, &world.consumer.parts.node);
    let document = provider
        .partition
        .read(|fold, _| fold.agreements.get(&world.agreement).unwrap().document.clone())
        .unwrap()
        .unwrap();
    let agreed = Agreement::from_envelope(&document).unwrap();
    let signer = provider.signer();
    let key = signer.key();
    let terms = Json::object([("purpose", Json::text("everything"))]);
    for (other, what) in [
        (Agreement { terms, ..agreed.clone() }, "of the terms"),
        (Agreement { target: "urn:all".to_owned(), ..agreed.clone() }, "of the view"),
        (Agreement { at_id: "urn:other".to_owned(), ..agreed.clone() }, "of the name"),
        (Agreement { issuer: CONSUMER.to_owned(), ..agreed.clone() }, "of the provider"),
        (Agreement { audience: PROVIDER.to_owned(), ..agreed.clone() }, "of the consumer"),
    ] {
        check(consumer, PROVIDER, &other.sign(key), REFUSED, what).await;
    }
    let stranger = SecretKey::new(&[7; 32]);
    check(consumer, PROVIDER, &agreed.sign(&stranger), REFUSED, "not signed by a key").await;
    let third = "did:web:third.example";
    check(consumer, third, &document, "agreement.unknown", "no such agreement").await;
    assert_eq!(agreement_level(consumer, &world.agreement), "signed");
    check(consumer, PROVIDER, &document, "", "").await;
    assert_eq!(agreement_level(consumer, &world.agreement), "countersigned");
    until(provider, |node| agreement_level(node, &world.agreement) == "countersigned").await;
    // Again: nothing new. Another one: never.
    check(consumer, PROVIDER, &document, "", "").await;
    let later = Agreement { concluded: agreed.concluded + 1, ..agreed };
    check(consumer, PROVIDER, &later.sign(key), REFUSED, "than we signed before").await;
    // A consumer is owed receipts, and owes none for what it gave to nobody.
    let pulled = world.pull(&world.wanted()).await.unwrap();
    let (_, receipt) = papers(&receipts::export(consumer, &pulled.receipts[0]).unwrap());
    check(consumer, PROVIDER, &receipt, REFUSED, "no delivery of ours").await;
    world.stop().await;
}
