//! A successor log that is opened while the disk fails or power goes, at every step: tried again,
//! it is there once, says where the log before it ended, and what was recorded is there.

use std::path::Path;
use std::sync::Arc;
use twinpact_model::Did;
use twinpact_node::restore::{Given, successor_on};
use twinpact_node::{Node, NodeParts, PolicyClock, behind, open, organisation};
use twinpact_proof::note::Checkpoint;
use twinpact_store::forest::EVENTS;
use twinpact_store::vfs::Vfs;
use twinpact_testkit::SimDisk;
use twinpact_testkit::disk::{EIO, ENOSPC, EROFS};

/// How large the log was of which the directory is a copy.
const SIZE: u64 = 1_000;
/// Opening a successor takes as many steps of the disk as it is, or a few more.
const STEPS_AT_LEAST: u64 = 10;

#[derive(Debug, Clone, Copy)]
enum Fault {
    Cut,
    /// The number of the error, and whether it stays.
    Error(i32, bool),
}

async fn opened(disk: &SimDisk, path: &Path) -> NodeParts {
    open::open_on(Arc::new(disk.clone()), path, PolicyClock::System).await.unwrap()
}

fn events(node: &Node) -> u64 {
    node.partition.read(|_, store| store.forest().size(EVENTS)).unwrap()
}

/// Leaves the beginning of a frame at the end of the log.
fn tear(disk: &SimDisk, path: &Path) {
    let mut segment = disk.open(&path.join("log/0000000001.seg")).unwrap();
    segment.append(b"TwFr").and_then(|()| segment.sync()).unwrap();
}

/// Whether the fault came before it was done.
async fn met(fault: Fault, step: u64) -> bool {
    let root = Path::new("/disk");
    let (disk, path) = (SimDisk::new(step, root), root.join("node"));
    let did = Did::new("did:web:operator.example").unwrap();
    open::init_on(Arc::new(disk.clone()), &path, &did, "test").unwrap();
    let parts = opened(&disk, &path).await;
    let node = &parts.node;
    let log = |node: &Node| {
        let of =
            |store: &twinpact_store::Store| organisation::origin(&did, store.forest()).unwrap();
        node.partition.read(|_, store| of(store)).unwrap()
    };
    let (origin, recorded) = (log(node), events(node));
    let ahead = Checkpoint { origin: origin.clone(), size: SIZE, root: [7; 32] };
    let given = Given::read(ahead.sign(node.signer().key()).as_bytes()).unwrap();
    parts.stop();
    disk.power_cycle();
    tear(&disk, &path);
    match fault {
        Fault::Cut => disk.cut_after(step),
        Fault::Error(errno, stays) => disk.fail(None, step, errno, stays),
    }
    let first = successor_on(Arc::new(disk.clone()), &path, Some(&given));
    assert!(first.as_ref().ok().is_none_or(|done| done.cut.is_some()), "{fault:?} {step}");
    disk.mend();
    disk.power_cycle();
    let again = successor_on(Arc::new(disk.clone()), &path, Some(&given));
    match (&first, again.map_err(|problem| problem.code.name)) {
        (Ok(_), again) => assert_eq!(again.err(), Some("anchor.current"), "{fault:?} {step}"),
        (Err(problem), again) => {
            assert!(problem.code.name.starts_with("store."), "{fault:?} {step}: {problem}");
            assert!(matches!(again, Ok(_) | Err("anchor.current")), "{fault:?} {step}: {again:?}");
        }
    }
    let parts = opened(&disk, &path).await;
    let node = &parts.node;
    behind::check(node).unwrap();
    assert_ne!(log(node), origin, "{fault:?} {step}");
    let before = node.partition.read(|_, store| store.forest().predecessors().to_vec()).unwrap();
    let before: Vec<_> = before.into_iter().map(|one| (one.origin, one.size)).collect();
    assert_eq!(before, [(origin, SIZE)], "{fault:?} {step}");
    assert!(events(node) >= recorded, "{fault:?} {step}: what was recorded is there");
    parts.stop();
    first.is_err()
}

#[tokio::test]
async fn a_successor_is_opened_once_wherever_the_disk_fails() {
    for fault in [
        Fault::Cut,
        Fault::Error(EIO, false),
        Fault::Error(ENOSPC, true),
        Fault::Error(EROFS, true),
    ] {
        let mut step = 0;
        while met(fault, step).await {
            step += 1;
        }
        assert!(step >= STEPS_AT_LEAST, "{fault:?}: {step}");
    }
}
