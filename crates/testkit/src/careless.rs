//! A disk under a program that forgets one kind of step: what a test has to catch.

use crate::through::{Between, Through};
use std::io;
use std::path::Path;
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
    /// Writing again what is there, at the start, which a failed sync may have lost.
    Rewrites,
    /// Putting a copy of the keystore in place, at the start, for the same reason.
    Renewals,
    /// The copy of the newest frame while it is written over.
    Spares,
    /// The file of the frames from which payloads are taken out in place.
    Redos,
}

impl Ignores {
    /// All of them.
    pub const ALL: [Ignores; 9] = [
        Ignores::Files,
        Ignores::Directories,
        Ignores::Keystore,
        Ignores::Segments,
        Ignores::SegmentNames,
        Ignores::Rewrites,
        Ignores::Renewals,
        Ignores::Spares,
        Ignores::Redos,
    ];
}

/// A disk on which that is left out, and reported as done.
pub type Careless = Through<Ignores>;

impl Between for Ignores {
    fn write_at(
        &self,
        _: &Path,
        file: &mut dyn VfsFile,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let again = || file.read_at(offset, bytes.len()).is_ok_and(|there| there == bytes);
        if *self == Ignores::Rewrites && again() { Ok(()) } else { file.write_at(offset, bytes) }
    }

    fn sync(&self, path: &Path, file: &mut dyn VfsFile) -> io::Result<()> {
        let forgotten = match self {
            Ignores::Files => true,
            Ignores::Keystore => path.ends_with("keystore"),
            Ignores::Segments => path.extension().is_some_and(|extension| extension == "seg"),
            _ => false,
        };
        if forgotten { Ok(()) } else { file.sync() }
    }

    fn rename(&self, disk: &dyn Vfs, from: &Path, to: &Path) -> io::Result<()> {
        let forgotten = match self {
            Ignores::Renewals => to.ends_with("keystore") && disk.exists(to),
            Ignores::Spares => to.ends_with("log/newest"),
            Ignores::Redos => to.ends_with("log/redo"),
            _ => false,
        };
        if forgotten { disk.remove(from) } else { disk.rename(from, to) }
    }

    fn sync_dir(&self, disk: &dyn Vfs, path: &Path) -> io::Result<()> {
        let forgotten = match self {
            Ignores::Directories => true,
            Ignores::SegmentNames => path.ends_with("log"),
            _ => false,
        };
        if forgotten { Ok(()) } else { disk.sync_dir(path) }
    }
}
