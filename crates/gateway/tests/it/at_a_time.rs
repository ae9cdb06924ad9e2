//! Many exchanges between two nodes at a time: each has its own agreement, its own copy and its own
//! receipts, and what is pinned of the partner's log never goes back.

use crate::pair::{OPERATOR, Pair, until, wanted};
use std::collections::BTreeSet;
use tokio::task::JoinSet;
use twinpact_node::api::Negotiate;
use twinpact_node::consumer;

/// More than frames, ticks, connections and lanes have places for one by one.
const MANY: usize = 48;

#[tokio::test(flavor = "multi_thread")]
async fn many_exchanges_at_a_time_are_each_made_once() {
    let (pair, _) = Pair::concluded().await;
    let mut all = JoinSet::new();
    for _ in 0..MANY {
        let maker = pair.maker().clone();
        all.spawn(async move {
            let partner = OPERATOR.to_owned();
            let asked = Negotiate { partner, another: true, ..Negotiate::default() };
            let agreed = consumer::negotiate(&maker, &asked).await.unwrap();
            let pulled = consumer::pull(&maker, &wanted(&agreed.id)).await.unwrap();
            assert!(pulled.rows > 0);
            agreed.id
        });
    }
    let agreements: BTreeSet<String> = all.join_all().await.into_iter().collect();
    assert_eq!(agreements.len(), MANY);
    for node in [pair.maker(), pair.operator(), pair.maker()] {
        until(node, |fold| fold.processes.outbox.is_empty()).await;
    }
    let copied = pair.maker().partition.read(|fold, _| {
        let of = fold.copies.iter().map(|(_, copy)| copy.agreement.clone());
        (of.collect::<BTreeSet<_>>(), fold.copies.iter().count())
    });
    assert_eq!(copied.unwrap(), (agreements.clone(), MANY));
    pair.operator()
        .partition
        .read(|fold, store| {
            for agreement in &agreements {
                let known = fold.agreements.get(agreement).unwrap();
                assert_eq!(store.forest().size(known.ledger.unwrap()), 1);
                assert!(fold.countersignatures.receipt(agreement, 0).is_some(), "{agreement}");
            }
        })
        .unwrap();
    // The largest checkpoint that came is pinned: what it proves, it proves for all of them.
    let sizes = pair.maker().partition.read(|fold, _| {
        let partner = fold.partners.get(OPERATOR).unwrap();
        let pinned = fold.copies.anchor(&partner.record.origin).unwrap().size;
        let proofs = fold.copies.iter().map(|(_, copy)| copy.proof.clone());
        (pinned, proofs.collect::<Vec<_>>())
    });
    let (pinned, proofs) = sizes.unwrap();
    let size =
        |proof: &String| twinpact_proof::Bundle::parse(proof.as_bytes()).unwrap().anchor.size;
    assert_eq!(proofs.iter().map(size).max(), Some(pinned));
    pair.stop().await;
}
