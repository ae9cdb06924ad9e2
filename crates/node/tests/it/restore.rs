//! A successor log over a directory whose log has a torn end.

use std::path::Path;
use std::sync::Arc;
use twinpact_model::entry::Kind;
use twinpact_model::{Did, codes};
use twinpact_node::restore::{Given, successor};
use twinpact_node::{PolicyClock, open, prove};
use twinpact_proof::Record;
use twinpact_proof::note::Checkpoint;
use twinpact_store::directory::Directory;
use twinpact_store::vfs::RealDisk;
use twinpact_store::{Opened, Replayed, Store};

/// How many cuts of a torn tail are on record there; nothing is torn any more.
fn cuts(path: &Path, organisation: &Did) -> usize {
    let directory = Directory::open(Arc::new(RealDisk), path).unwrap();
    let mut cuts = 0;
    let (_, torn) = Store::inspect(directory, organisation, |_, entry| {
        let cut = |entry: &Opened| entry.entry.who.kind == Kind::TailCut;
        cuts += usize::from(matches!(&entry, Replayed::Open(entry) if cut(entry)));
        Ok(())
    })
    .unwrap();
    assert_eq!(torn, None);
    cuts
}

#[tokio::test]
async fn what_is_torn_is_cut_when_the_successor_is_decided_and_on_record() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("node");
    let did = Did::new("did:web:operator.example").unwrap();
    open::init(&path, &did, "test").unwrap();
    let parts = open::open(&path, PolicyClock::System).await.unwrap();
    let record = Record::from_envelope(&prove::own_record(&parts.node).unwrap()).unwrap();
    let newer = Checkpoint { origin: record.origin, size: 1_000, root: [7; 32] };
    let newer = newer.sign(parts.node.signer().key());
    parts.stop();
    let log = path.join("log/0000000001.seg");
    let torn = [std::fs::read(&log).unwrap(), vec![7; 99]].concat();
    std::fs::write(&log, &torn).unwrap();
    let none = Given::read(b"no note").unwrap();
    for (given, code) in [(None, codes::ANCHOR_CURRENT), (Some(&none), codes::INPUT_MALFORMED)] {
        assert_eq!(successor(&path, given).unwrap_err().code, code);
        assert!(std::fs::read(&log).unwrap() == torn, "a refusal has changed the log");
    }
    let given = Given::read(newer.as_bytes()).unwrap();
    let cut = successor(&path, Some(&given)).unwrap().cut.unwrap();
    assert_eq!((cut.bytes, cut.offset), (99, torn.len() as u64 - 99));
    assert_eq!(cuts(&path, &did), 1);
    open::open(&path, PolicyClock::System).await.unwrap().stop();
    assert_eq!(cuts(&path, &did), 1);
}
