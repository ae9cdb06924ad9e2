//! A consumer that has verified an agreement and never hears of its end: it is bound, since the
//! provider may have finalised already. It is not for ever: another negotiation can be opened
//! beside it, and it ends when the provider does not know it, or is no partner any more.

use crate::net_world::{DIDS, MAKER, OPERATOR, World, nobody};
use tokio::task::JoinHandle;
use twinpact_dsp::negotiation::{Negotiation, State};
use twinpact_dsp::route::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::Negotiate;
use twinpact_node::outbound::Reply;
use twinpact_node::{Node, consumer, removal};

const DAY: u64 = 86_400;

fn negotiate(node: &Node, another: bool) -> JoinHandle<Result<String, Problem>> {
    let node = node.clone();
    let asked = Negotiate { partner: DIDS[OPERATOR].to_owned(), dataset: None, another };
    tokio::spawn(async move { consumer::negotiate(&node, &asked).await.map(|line| line.id) })
}

fn negotiations(node: &Node) -> Vec<Negotiation> {
    node.partition.read(|fold, _| fold.processes.negotiations.values().cloned().collect()).unwrap()
}

fn known(node: &Node, pid: &str) -> Negotiation {
    negotiations(node).into_iter().find(|one| one.party.own_pid == pid).unwrap()
}

/// Hands over what is under way and what follows from it, until nothing is. A request about that
/// process of the maker's never reaches the other side: the maker is answered with this status,
/// or nobody is. How many requests of the maker about it there were.
async fn deliver(world: &World, apart: Option<&Negotiation>, status: Option<u16>) -> usize {
    let mut asked = 0;
    loop {
        world.settle().await;
        let next = world.wire.under_way().pop();
        let Some(request) = next else { return asked };
        let about = |pid: &str| request.url().contains(&format!("/{}", segment(pid)));
        let theirs = apart.and_then(|it| it.party.peer_pid.as_deref()).is_some_and(about);
        let answer = match (theirs, apart.is_some_and(|it| about(&it.party.own_pid)), status) {
            (true, _, Some(status)) => Ok(Reply::whole(status, Vec::new())),
            (true, ..) | (_, true, _) => Err(nobody()),
            _ => world.serve(&request).await,
        };
        asked += usize::from(theirs);
        request.answer(answer);
    }
}

/// Two nodes, and a negotiation of which the maker has verified the agreement; that the operator
/// finalised it never arrives.
async fn verified() -> (World, Negotiation) {
    let world = World::new(1, None).await;
    let maker = world.node(MAKER).unwrap();
    let command = negotiate(&maker, false);
    loop {
        world.settle().await;
        let next = world.wire.under_way().pop().unwrap();
        if next.url().ends_with("/events") {
            next.answer(Err(nobody()));
            break;
        }
        let answer = world.serve(&next).await;
        next.answer(answer);
    }
    let it = negotiations(&maker).remove(0);
    assert_eq!(it.state, State::Verified);
    command.abort();
    (world, it)
}

#[tokio::test(start_paused = true)]
async fn another_one_is_opened_beside_it() {
    let (world, stuck) = verified().await;
    let maker = world.node(MAKER).unwrap();
    let command = negotiate(&maker, true);
    deliver(&world, Some(&stuck), None).await;
    assert_eq!(negotiations(&maker).len(), 2);
    assert!(command.is_finished());
    let agreement = command.await.unwrap();
    assert!(agreement.is_ok(), "{agreement:?}");
    // Who does not ask for another one is shown the one that holds.
    let same = negotiate(&maker, false);
    deliver(&world, Some(&stuck), None).await;
    assert_eq!(same.await.unwrap().unwrap(), agreement.unwrap());
    assert_eq!(negotiations(&maker).len(), 2);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_provider_does_not_know_it_for_days() {
    for (status, ends) in [(404, true), (503, false), (400, false)] {
        let (world, stuck) = verified().await;
        let maker = world.node(MAKER).unwrap();
        let mut days = 0;
        while days < 10 && !known(&maker, &stuck.party.own_pid).state.is_final() {
            world.pass(DAY + 1).await;
            days += 1;
            // The attempts of one question, as far as they go.
            for _ in 0..60 {
                deliver(&world, Some(&stuck), Some(status)).await;
                world.pass(6).await;
            }
        }
        let it = known(&maker, &stuck.party.own_pid);
        assert_eq!((it.state.is_final(), days), (ends, if ends { 3 } else { 10 }), "{status}");
        let code = it.ended.and_then(|ended| ended.code);
        assert_eq!(code.as_deref(), ends.then_some("dsp.unknown"), "{status}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_provider_is_removed() {
    let (world, stuck) = verified().await;
    let maker = world.node(MAKER).unwrap();
    removal::remove(&maker, DIDS[OPERATOR], "no longer").await.unwrap();
    let it = known(&maker, &stuck.party.own_pid);
    assert_eq!(it.state, State::Terminated);
    assert_eq!(it.ended.unwrap().code.as_deref(), Some("policy.revoked"));
    world.pass(10 * DAY).await;
    assert_eq!(deliver(&world, Some(&stuck), None).await, 0, "nobody is asked any more");
    let left = |fold: &twinpact_node::fold::Fold| {
        (fold.processes.next_deadline(), fold.processes.outbox.len())
    };
    assert_eq!(maker.partition.read(|fold, _| left(fold)).unwrap(), (None, 0));
    world.stop().await;
}
