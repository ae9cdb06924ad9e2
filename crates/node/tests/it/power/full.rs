//! A disk that is full at the N-th step, for every N, while a node is made, fed, given a new
//! document key and a new issuing CA: each refusal has the code of a full disk, nothing that was
//! acknowledged is lost, and once there is room the same work is done.

use super::{End, MODEL, World, broken};
use twinpact_edge::model_file;
use twinpact_node::{Node, record};
use twinpact_testkit::SimDisk;
use twinpact_testkit::disk::ENOSPC;

/// The work takes 99 steps of the disk as it is; with far fewer, some of it is not done there.
const STEPS_AT_LEAST: u64 = 90;

#[derive(Clone, Copy)]
enum Act {
    Model,
    Ingest,
    Rotate,
    Renew,
}

async fn act(world: &mut World, node: &Node, act: Act) -> Result<(), End> {
    world.in_flight = 0;
    match act {
        Act::Model => {
            let none = node.partition.read(|fold, _| fold.twins.models().next().is_none())?;
            world.in_flight = usize::from(none);
            record::apply_model(node, model_file::parse(MODEL)?, "x").await?;
        }
        Act::Ingest => world.ingest(node).await?,
        Act::Rotate => world.rotate(node).await?,
        Act::Renew => world.renew(node).await?,
    }
    let seen = world.seen(node)?;
    if seen.events.len() != world.in_flight {
        return broken("another number of events than the turn has");
    }
    world.take(seen)
}

/// Makes the node, when there is none, and does it all once.
async fn work(world: &mut World) -> Result<(), End> {
    let parts = world.start().await?;
    let mut done = Ok(());
    for one in [Act::Model, Act::Ingest, Act::Rotate, Act::Renew, Act::Ingest] {
        done = act(world, &parts.node, one).await;
        if done.is_err() {
            break;
        }
    }
    parts.stop();
    done
}

/// The same work on a disk that is full from that step on; whether it came to it.
async fn met(step: u64) -> bool {
    let mut world = World::new(7);
    world.disk.fail(None, step, ENOSPC, true);
    let failed = match work(&mut world).await {
        Ok(()) => false,
        Err(End::Refused(problem)) => {
            assert_eq!(problem.code.name, "store.full", "{step}: {problem}");
            assert!(problem.hint.is_some(), "{step}: {problem}");
            true
        }
        Err(End::Broken(why)) => panic!("{step}: {why}"),
    };
    world.disk.mend();
    for again in [SimDisk::kill, SimDisk::power_cycle] {
        again(&world.disk);
        match work(&mut world).await {
            Ok(()) => {}
            Err(End::Refused(problem)) => panic!("{step}: there is room again: {problem}"),
            Err(End::Broken(why)) => panic!("{step}: {why}"),
        }
    }
    failed
}

#[tokio::test]
async fn a_disk_may_be_full_at_every_step_of_what_a_node_writes_for_itself() {
    let mut step = 0;
    while met(step).await {
        step += 1;
    }
    assert!(step >= STEPS_AT_LEAST, "{step}");
}
