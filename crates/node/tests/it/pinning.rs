//! Partners that are pinned: TLS lets in every one that the log has, and no record speaks for
//! another organisation.

use twinpact_model::Did;
use twinpact_node::{PolicyClock, open, partners, prove};
use twinpact_proof::record::RecordKey;
use twinpact_proof::{Record, SecretKey};

const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn partners_that_are_pinned_at_once_are_all_let_in() {
    let place = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for n in 0..AT_ONCE {
        let path = place.path().join(n.to_string());
        let did = Did::new(format!("did:web:p{n}.example")).unwrap();
        open::init(&path, &did, "partner").unwrap();
        let parts = open::open(&path, PolicyClock::System).await.unwrap();
        records.push(prove::own_record(&parts.node).unwrap().to_json().canonical());
        parts.stop();
    }
    let path = place.path().join("operator");
    open::init(&path, &Did::new("did:web:operator.example").unwrap(), "operator").unwrap();
    let parts = open::open(&path, PolicyClock::System).await.unwrap();
    let mut adding = tokio::task::JoinSet::new();
    for record in records {
        let node = parts.node.clone();
        adding.spawn(async move { partners::add(&node, record.as_bytes()).await.unwrap() });
    }
    assert_eq!(adding.join_all().await.len(), AT_ONCE);
    assert_eq!(partners::list(&parts.node, None).unwrap().len(), AT_ONCE);
    assert_eq!(parts.node.tls_partners.snapshot().iter().count(), AT_ONCE);
    parts.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_names_the_trust_domain_of_another_is_not_pinned() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    for name in ["operator", "maker"] {
        let did = Did::new(format!("did:web:{name}.example")).unwrap();
        open::init(&path(name), &did, name).unwrap();
    }
    let maker = open::open(&path("maker"), PolicyClock::System).await.unwrap();
    let own = Record::from_envelope(&prove::own_record(&maker.node).unwrap()).unwrap();
    maker.stop();
    let key = SecretKey::new(&[5; 32]);
    let keys = vec![RecordKey { key: key.public(), from: 0, until: None }];
    let operator = open::open(&path("operator"), PolicyClock::System).await.unwrap();
    // The dialled name and the pinned root are of the trust domain: the record may choose neither.
    for (domain, expect) in [("other.example", "trust.record"), ("maker.example", "pinned")] {
        let trust_domain = domain.to_owned();
        let record = Record { keys: keys.clone(), trust_domain, ..own.clone() };
        let bytes = record.sign(&key).unwrap().to_json().canonical();
        let got = partners::add(&operator.node, bytes.as_bytes()).await;
        assert_eq!(got.map_or_else(|problem| problem.code.name, |_| "pinned"), expect, "{domain}");
    }
    operator.stop();
}
