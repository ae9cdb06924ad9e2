//! Every write and every sync of a node that exchanges fails, once or from then on: it stops with a
//! code that says so, and when the disk is mended and the node started again, both nodes end in one
//! state. Nothing that was acknowledged is lost, and nothing happens twice.
//!
use crate::net_world::{MAKER, OPERATOR};
use crate::simulated_net::{Run, each, runtime};
use std::sync::atomic::{AtomicU64, Ordering};
use twinpact_model::codes;

/// EIO once; ENOSPC and EROFS of Linux from then on.
const WAYS: [(i32, bool); 3] = [(5, false), (28, true), (30, true)];
/// The most choices of a run.
const MOST: usize = 600;
/// More steps than a run has.
const MOST_STEPS: u64 = 400;

/// One run in fair weather, in which that step of the node's disk fails; whether it was met.
async fn met(node: usize, step: u64, (errno, lasting): (i32, bool)) -> Result<bool, String> {
    let mut run = Run::new(7, None).await;
    run.clear_up();
    run.world.disk(node).fail(None, step, errno, lasting);
    let mut stopped = None;
    for _ in 0..MOST {
        run.world.settle().await;
        if let Some(problem) = run.world.stopped(node) {
            run.world.disk(node).mend();
            run.world.restart(node).await.map_err(|why| format!("it does not start: {why}"))?;
            stopped = Some(problem);
        }
        if run.is_over() {
            break;
        }
        run.step(true).await.map_err(|why| why.to_string())?;
    }
    let agreed = if run.is_over() { run.agree() } else { Err(format!("stuck: {}", run.stuck())) };
    run.world.stop().await;
    agreed?;
    match stopped {
        None => Ok(false),
        Some(problem) if problem.code == codes::STORE_STOPPED => Ok(true),
        Some(problem) => Err(format!("{problem:?} is no word for a disk that fails")),
    }
}

#[test]
fn every_step_of_an_exchange_may_fail_and_both_end_in_one_state() {
    for (node, way) in [OPERATOR, MAKER].into_iter().flat_map(|node| WAYS.map(|way| (node, way))) {
        // The first step that a run has not: all before it were met.
        let (failed, first) = (AtomicU64::new(0), AtomicU64::new(MOST_STEPS));
        each(MOST_STEPS, |step| {
            if step > first.load(Ordering::SeqCst) {
                return;
            }
            let found = runtime().block_on(met(node, step, way));
            assert!(found.is_ok(), "node {node}, step {step}, {way:?}: {found:?}");
            match found {
                Ok(true) => failed.fetch_add(1, Ordering::SeqCst),
                _ => first.fetch_min(step, Ordering::SeqCst),
            };
        });
        let (failed, first) = (failed.into_inner(), first.into_inner());
        assert!(failed >= 30 && first < MOST_STEPS, "node {node}, {way:?}: {failed} of {first}");
    }
}
