//! A disk that fails when it is told to, over the real one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use twinpact_model::Did;
use twinpact_node::open;
use twinpact_store::Directory;
use twinpact_store::vfs::{RealDisk, Vfs, VfsFile};
use twinpact_testkit::{Between, Through};

/// Fails a sync of an open file, and every one after it; or has another process at work.
#[derive(Clone)]
pub(crate) struct BadDisk {
    /// How many syncs succeed from now on.
    left: Arc<AtomicI64>,
    /// What another process does just before a lock is taken.
    before_lock: fn(&Path),
}

impl BadDisk {
    /// A disk that is good until [`fail_after`](Self::fail_after).
    pub(crate) fn good() -> BadDisk {
        BadDisk { left: Arc::new(AtomicI64::new(i64::MAX)), before_lock: |_| () }
    }

    /// So many more syncs of files succeed.
    pub(crate) fn fail_after(&self, syncs: i64) {
        self.left.store(syncs, Ordering::SeqCst);
    }

    /// The disk of this machine, as it is under that.
    pub(crate) fn over_real(&self) -> Arc<dyn Vfs> {
        Arc::new(Through::new(Arc::new(RealDisk), self.clone()))
    }
}

impl Between for BadDisk {
    fn sync(&self, _: &Path, file: &mut dyn VfsFile) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        file.sync()
    }

    fn before_lock(&self, path: &Path) {
        (self.before_lock)(path);
    }
}

#[test]
fn of_two_who_make_a_node_at_once_one_does() {
    let place = tempfile::tempdir().unwrap();
    let other = |lock: &Path| {
        let did = Did::new("did:web:operator.example").unwrap();
        open::init(lock.parent().unwrap(), &did, "first").unwrap();
    };
    let disk = BadDisk { before_lock: other, ..BadDisk::good() };
    let path = place.path().join("node");
    let refused = Directory::create(disk.over_real(), &path).err();
    assert_eq!(refused.map(|problem| problem.code.name), Some("store.exists"));
    assert!(Directory::open(Arc::new(RealDisk), &path).is_ok());
}
