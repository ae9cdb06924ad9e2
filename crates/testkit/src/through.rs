//! A disk that is another disk but for a few steps: those that something comes between.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use twinpact_store::vfs::{Vfs, VfsFile};

/// What comes between a program and its disk. Each step goes through as it is, unless it is told
/// otherwise here.
pub trait Between: Send + Sync + 'static {
    /// Bytes are appended to a file.
    ///
    /// # Errors
    /// Those of the disk, or its own.
    fn append(&self, _: &Path, file: &mut dyn VfsFile, bytes: &[u8]) -> io::Result<()> {
        file.append(bytes)
    }

    /// Bytes of a file are overwritten.
    ///
    /// # Errors
    /// Those of the disk, or its own.
    fn write_at(
        &self,
        _: &Path,
        file: &mut dyn VfsFile,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        file.write_at(offset, bytes)
    }

    /// A file is synced.
    ///
    /// # Errors
    /// Those of the disk, or its own.
    fn sync(&self, _: &Path, file: &mut dyn VfsFile) -> io::Result<()> {
        file.sync()
    }

    /// A file takes another name.
    ///
    /// # Errors
    /// Those of the disk, or its own.
    fn rename(&self, disk: &dyn Vfs, from: &Path, to: &Path) -> io::Result<()> {
        disk.rename(from, to)
    }

    /// A directory is synced.
    ///
    /// # Errors
    /// Those of the disk, or its own.
    fn sync_dir(&self, disk: &dyn Vfs, path: &Path) -> io::Result<()> {
        disk.sync_dir(path)
    }

    /// A lock is about to be taken.
    fn before_lock(&self, _: &Path) {}
}

/// A disk with that between it and the program.
pub struct Through<B> {
    disk: Arc<dyn Vfs>,
    between: Arc<B>,
}

impl<B: Between> Through<B> {
    /// Over that disk.
    #[must_use]
    pub fn new(disk: Arc<dyn Vfs>, between: B) -> Through<B> {
        Through { disk, between: Arc::new(between) }
    }

    fn file(&self, path: &Path, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        Box::new(ThroughFile { file, between: self.between.clone(), path: path.to_owned() })
    }
}

impl<B: Between> Vfs for Through<B> {
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
        self.between.rename(&*self.disk, from, to)
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
        self.between.sync_dir(&*self.disk, path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.between.before_lock(path);
        self.disk.lock(path)
    }
}

struct ThroughFile<B> {
    file: Box<dyn VfsFile>,
    between: Arc<B>,
    path: PathBuf,
}

impl<B: Between> VfsFile for ThroughFile<B> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.between.append(&self.path, &mut *self.file, bytes)
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.file.read_at(offset, length)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.between.write_at(&self.path, &mut *self.file, offset, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.between.sync(&self.path, &mut *self.file)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}
