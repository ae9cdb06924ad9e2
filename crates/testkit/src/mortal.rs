//! A process that ends itself at a chosen moment: the disk of this machine under it, and a plan.
//!
//! It ends by SIGKILL, as by `kill -9`: all threads stop where they are, and no handler, destructor
//! or buffer has a word. What the kernel has taken stays.

use crate::disk::before_room;
use crate::through::{Between, Through};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twinpact_store::vfs::{Vfs, VfsFile};

/// Where a process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// In the middle of bytes that are written to a file: half of them are there, of those before
    /// the zeros with which a log makes room.
    Write,
    /// Before a sync.
    Sync,
    /// Before a message is sent.
    Send,
    /// After a message was answered, before anybody has seen the answer.
    Reply,
    /// After a partner has begun to answer with a stream, before anybody has seen that.
    Stream,
}

impl Moment {
    /// All of them.
    pub const ALL: [Moment; 5] =
        [Moment::Write, Moment::Sync, Moment::Send, Moment::Reply, Moment::Stream];
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
            kill();
        }
    }

    fn state(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `kill -9` of this process. It does not come back from it.
fn kill() {
    let this = rustix::process::getpid();
    // Where even that is refused, it is over all the same.
    let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
    std::process::abort();
}

fn half(bytes: &[u8]) -> &[u8] {
    bytes.get(..before_room(bytes) / 2).unwrap_or_default()
}

/// A disk whose program ends as its doom says.
pub type MortalDisk = Through<Doom>;

impl Between for Doom {
    fn append(&self, _: &Path, file: &mut dyn VfsFile, bytes: &[u8]) -> io::Result<()> {
        if self.has_come(Moment::Write) {
            // Whether it can be written or not, this is the end.
            let _ = file.append(half(bytes));
            kill();
        }
        file.append(bytes)
    }

    fn write_at(
        &self,
        _: &Path,
        file: &mut dyn VfsFile,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        if self.has_come(Moment::Write) {
            let _ = file.write_at(offset, half(bytes));
            kill();
        }
        file.write_at(offset, bytes)
    }

    fn sync(&self, _: &Path, file: &mut dyn VfsFile) -> io::Result<()> {
        self.pass(Moment::Sync);
        file.sync()
    }

    fn sync_dir(&self, disk: &dyn Vfs, path: &Path) -> io::Result<()> {
        self.pass(Moment::Sync);
        disk.sync_dir(path)
    }
}
