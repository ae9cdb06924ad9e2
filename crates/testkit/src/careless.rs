//! A disk under a program that forgets one kind of step: what a test has to catch.

use std::io;
use std::path::Path;
use std::sync::Arc;
use twinpact_store::vfs::{Vfs, VfsFile};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignores {
    /// Syncs of files.
    Files,
    /// Syncs of directories.
    Directories,
    /// Syncs of the file `keystore`.
    Keystore,
    /// Syncs of the files `….seg`.
    Segments,
    /// Syncs of the directory `log`.
    SegmentNames,
    /// Writing again, at the start, what a failed sync may have lost.
    Rewrites,
}

impl Ignores {
    /// All of them.
    pub const ALL: [Ignores; 6] = [
        Ignores::Files,
        Ignores::Directories,
        Ignores::Keystore,
        Ignores::Segments,
        Ignores::SegmentNames,
        Ignores::Rewrites,
    ];
}

/// A disk on which that is left out, and reported as done.
pub struct Careless {
    disk: Arc<dyn Vfs>,
    ignores: Ignores,
}

impl Careless {
    /// Over that disk.
    #[must_use]
    pub fn new(disk: Arc<dyn Vfs>, ignores: Ignores) -> Careless {
        Careless { disk, ignores }
    }

    fn file(&self, path: &Path, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        let syncs = match self.ignores {
            Ignores::Files => false,
            Ignores::Keystore => !path.ends_with("keystore"),
            Ignores::Segments => path.extension().is_none_or(|extension| extension != "seg"),
            Ignores::Directories | Ignores::SegmentNames | Ignores::Rewrites => true,
        };
        Box::new(CarelessFile { file, syncs, rewrites: self.ignores != Ignores::Rewrites })
    }
}

impl Vfs for Careless {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.disk.create(path).map(|file| self.file(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.disk.open(path).map(|file| self.file(path, file))
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
        let forgotten = match self.ignores {
            Ignores::Directories => true,
            Ignores::SegmentNames => path.ends_with("log"),
            _ => false,
        };
        if forgotten { Ok(()) } else { self.disk.sync_dir(path) }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

struct CarelessFile {
    file: Box<dyn VfsFile>,
    syncs: bool,
    rewrites: bool,
}

impl VfsFile for CarelessFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.file.read_at(offset, length)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.rewrites { self.file.write_at(offset, bytes) } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs { self.file.sync() } else { Ok(()) }
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
