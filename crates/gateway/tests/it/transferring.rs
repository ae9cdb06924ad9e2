//! A person takes over a transfer: what is suspended gives nothing and stays so, what is resumed
//! gives again, and what is over is over; whichever side decides.

use crate::pair::{Pair, until};
use twinpact_model::codes;
use twinpact_node::transfers::{Wish, decide, list, show};
use twinpact_node::{Node, channel, retention};

/// Both sides of the only transfer that has started.
fn transfers(pair: &Pair) -> [(&Node, String); 2] {
    [pair.operator(), pair.maker()].map(|node| {
        let all = list(node).unwrap();
        let [one] = &all[..] else { panic!("{all:?}") };
        (node, one.pid.clone())
    })
}

async fn is(node: &Node, pid: &str, state: &str) {
    let so = |fold: &twinpact_node::fold::Fold| {
        let known = &fold.processes.transfers[pid];
        known.state.name() == state && known.post.unacknowledged.is_none()
    };
    until(node, so).await;
}

#[tokio::test]
async fn what_a_person_suspends_stays_so_until_a_person_resumes_it() {
    let (pair, agreement) = Pair::concluded().await;
    pair.pull(&agreement).await.unwrap();
    for decides in [0, 1] {
        let both = transfers(&pair);
        let ((node, pid), (other, theirs)) = (&both[decides], &both[1 - decides]);
        let shown = decide(node, pid, Wish::Suspend("a storm".to_owned())).await.unwrap();
        assert_eq!(
            (&*shown.line.state, &*shown.line.turn, shown.by_hand),
            ("SUSPENDED", "ours", true)
        );
        is(other, theirs, "SUSPENDED").await;
        is(node, pid, "SUSPENDED").await;
        assert!(!show(other, theirs).unwrap().by_hand);
        // Nothing flows, and nothing that the node does by itself changes that.
        let refused = pair.pull(&agreement).await.unwrap_err();
        assert_eq!(refused.code, codes::EXCHANGE_REFUSED, "{refused:?}");
        assert!(retention::align(node).await.unwrap() && retention::align(other).await.unwrap());
        assert_eq!(show(node, pid).unwrap().choices, ["resume", "terminate"]);
        decide(node, pid, Wish::Resume).await.unwrap();
        is(other, theirs, "STARTED").await;
        is(node, pid, "STARTED").await;
        assert!(!show(node, pid).unwrap().by_hand);
        pair.pull(&agreement).await.unwrap();
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_the_other_side_has_suspended_can_be_resumed() {
    let (pair, agreement) = Pair::concluded().await;
    pair.pull(&agreement).await.unwrap();
    for decides in [0, 1] {
        let both = transfers(&pair);
        let ((node, pid), (other, theirs)) = (&both[decides], &both[1 - decides]);
        decide(node, pid, Wish::Suspend("a storm".to_owned())).await.unwrap();
        is(other, theirs, "SUSPENDED").await;
        is(node, pid, "SUSPENDED").await;
        decide(other, theirs, Wish::Resume).await.unwrap();
        is(node, pid, "STARTED").await;
        is(other, theirs, "STARTED").await;
        pair.pull(&agreement).await.unwrap();
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_is_over_is_over_and_the_next_pull_opens_another() {
    let (pair, agreement) = Pair::concluded().await;
    for (decides, wish, state) in [
        (0, Wish::Complete, "COMPLETED"),
        (1, Wish::Complete, "COMPLETED"),
        (0, Wish::Terminate("enough".to_owned()), "TERMINATED"),
        (1, Wish::Terminate("enough".to_owned()), "TERMINATED"),
    ] {
        pair.pull(&agreement).await.unwrap();
        let running = |node: &Node| {
            let all = list(node).unwrap();
            all.into_iter().find(|one| one.state == "STARTED").unwrap().pid
        };
        let both = [pair.operator(), pair.maker()].map(|node| (node, running(node)));
        let ((node, pid), (other, theirs)) = (&both[decides], &both[1 - decides]);
        decide(node, pid, wish.clone()).await.unwrap();
        is(other, theirs, state).await;
        is(node, pid, state).await;
        assert_eq!(show(node, pid).unwrap().choices, [""; 0]);
        let again = decide(node, pid, wish).await.unwrap_err();
        assert_eq!(again.code, codes::DSP_DECISION);
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_may_not_be_decided_changes_nothing() {
    let (pair, agreement) = Pair::concluded().await;
    pair.pull(&agreement).await.unwrap();
    let [(operator, pid), _] = transfers(&pair);
    is(operator, &pid, "STARTED").await;
    let before = show(operator, &pid).unwrap();
    for (pid, wish, code) in [
        (&*pid, Wish::Resume, codes::DSP_DECISION),
        (&*pid, Wish::Suspend(" ".to_owned()), codes::INPUT_MALFORMED),
        (&*pid, Wish::Terminate("x".repeat(1_001)), codes::INPUT_MALFORMED),
        ("urn:uuid:1", Wish::Complete, codes::DSP_UNKNOWN),
    ] {
        let refused = decide(operator, pid, wish.clone()).await.unwrap_err();
        assert_eq!(refused.code, code, "{wish:?}");
    }
    assert_eq!(show(operator, &pid).unwrap(), before);
    assert!(
        matches!(show(operator, "urn:uuid:1"), Err(problem) if problem.code == codes::DSP_UNKNOWN)
    );
    channel::finish(pair.maker(), &agreement).await.unwrap();
    pair.stop().await;
}
