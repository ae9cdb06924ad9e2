//! The files of `identity/` on the disk that the log lies on, whichever that is.

use std::io;
use std::path::Path;
use std::sync::Arc;
use twinpact_identity::disk::Disk;
use twinpact_store::vfs::Vfs;

/// That disk. It makes every file for the owner alone and knows no other modes.
pub(crate) struct Beside(pub(crate) Arc<dyn Vfs>);

impl Disk for Beside {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }

    fn mode(&self, path: &Path) -> io::Result<u32> {
        if self.0.exists(path) { Ok(0o600) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let file = self.0.open(path)?;
        let length = usize::try_from(file.length()?.min(most)).unwrap_or(usize::MAX);
        file.read_at(0, length)
    }

    fn write_new(&self, path: &Path, bytes: &[u8], _: u32) -> io::Result<()> {
        let mut file = self.0.create(path)?;
        file.append(bytes)?;
        file.sync()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
}
