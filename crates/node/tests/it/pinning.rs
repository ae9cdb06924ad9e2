//! Partners that are pinned at the same time: TLS lets in every one that the log has.

use twinpact_model::Did;
use twinpact_node::{PolicyClock, open, partners, prove};

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
