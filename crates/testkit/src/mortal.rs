//! A process that ends itself at a chosen moment: the disk of this machine under it, and a plan.
//!
//! It ends by `abort`, which is to a process what SIGKILL is: all threads stop where they are, and
//! no handler, destructor or buffer has a word. What the kernel has taken stays, as with any kill.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twinpact_store::vfs::{Vfs, VfsFile};

/// Where a process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// In the middle of bytes that are appended to a file: half of them are there.
    Write,
    /// Before a sync.
    Sync,
    /// Before a message is sent.
    Send,
    /// After a message was answered, before anybody has seen the answer.
    Reply,
}

impl Moment {
    /// All of them.
    pub const ALL: [Moment; 4] = [Moment::Write, Moment::Sync, Moment::Send, Moment::Reply];
}

/// When a process ends, and what it has come past. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Doom(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    passed: Vec<Moment>,
    end: Option<(Moment, usize)>,
}

impl Doom {
    /// From now on counted anew, the process ends at the `n`-th moment of that kind, from 1; never
    /// when there is no plan.
    pub fn plan(&self, end: Option<(Moment, usize)>) {
        *self.state() = Plan { passed: Vec::new(), end };
    }

    /// How many moments of that kind it came past since the plan was made.
    #[must_use]
    pub fn passed(&self, moment: Moment) -> usize {
        self.state().passed.iter().filter(|passed| **passed == moment).count()
    }

    /// Comes past such a moment; whether it is the last one.
    #[must_use]
    pub fn has_come(&self, moment: Moment) -> bool {
        let mut state = self.state();
        state.passed.push(moment);
        let count = state.passed.iter().filter(|passed| **passed == moment).count();
        state.end == Some((moment, count))
    }

    /// Comes past such a moment, or ends the process there.
    pub fn pass(&self, moment: Moment) {
        if self.has_come(moment) {
            std::process::abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk whose program ends as its doom says.
pub struct MortalDisk {
    disk: Arc<dyn Vfs>,
    doom: Doom,
}

impl MortalDisk {
    /// Over that disk.
    #[must_use]
    pub fn new(disk: Arc<dyn Vfs>, doom: Doom) -> MortalDisk {
        MortalDisk { disk, doom }
    }

    fn file(&self, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        Box::new(MortalFile { file, doom: self.doom.clone() })
    }
}

impl Vfs for MortalDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.disk.create(path).map(|file| self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.disk.open(path).map(|file| self.file(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.doom.pass(Moment::Sync);
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

struct MortalFile {
    file: Box<dyn VfsFile>,
    doom: Doom,
}

impl VfsFile for MortalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.doom.has_come(Moment::Write) {
            // Whether it can be written or not, this is the end.
            let _ = self.file.append(bytes.get(..bytes.len() / 2).unwrap_or_default());
            std::process::abort();
        }
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
        self.doom.pass(Moment::Sync);
        self.file.sync()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
