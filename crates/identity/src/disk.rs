//! The disk that `identity/` lies on, by its single steps, so that power may be cut between any two
//! of them in a test.
//!
//! Two implementations: the disk of this machine here, and in `node` whatever disk its log lies on.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A disk.
pub trait Disk: Send + Sync {
    /// Makes a directory for the owner alone, with those above it; no error when it is there.
    ///
    /// # Errors
    /// Those of the disk, as of all that follows.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Whether something is there.
    fn exists(&self, path: &Path) -> bool;

    /// Who may do what with a file: the lower nine bits.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn mode(&self, path: &Path) -> io::Result<u32>;

    /// What is in a file, of a longer one the first `most` bytes.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>>;

    /// Makes a file that must not be there yet, writes it, and makes what is in it durable.
    ///
    /// # Errors
    /// `AlreadyExists` when it is there.
    fn write_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;

    /// Gives a file another name in the same directory, in place of what has it.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The names of what is in a directory, in no order.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisMachine;

impl Disk for ThisMachine {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        std::fs::metadata(path).map(|meta| meta.permissions().mode() & 0o777)
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
        names.map(|name| name.map(|name| name.to_string_lossy().into_owned())).collect()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
