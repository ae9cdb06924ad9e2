//! A disk that fails when it is told to, over the real one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use twinpact_model::Did;
use twinpact_node::open;
use twinpact_store::Directory;
use twinpact_store::vfs::{RealDisk, Vfs, VfsFile};

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
}

struct BadFile {
    file: Box<dyn VfsFile>,
    left: Arc<AtomicI64>,
}

impl VfsFile for BadFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.file.read_at(offset, length)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

impl BadDisk {
    fn file(&self, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        Box::new(BadFile { file, left: Arc::clone(&self.left) })
    }
}

impl Vfs for BadDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        RealDisk.create(path).map(|file| self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        RealDisk.open(path).map(|file| self.file(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        (self.before_lock)(path);
        RealDisk.lock(path)
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
    let refused = Directory::create(Arc::new(disk), &path).err();
    assert_eq!(refused.map(|problem| problem.code.name), Some("store.exists"));
    assert!(Directory::open(Arc::new(RealDisk), &path).is_ok());
}
