//! A node's directory: what lies where, and that one process has it.
//!
//! Primary are `log/`, `keys/`, `identity/` and `twinpact.toml`; everything else can be deleted and
//! comes back.

use crate::keystore::refused;
use crate::vfs::Vfs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// A locked directory. The lock is released when it is dropped.
pub struct Directory {
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    _lock: Box<dyn Send + Sync>,
}

/// The name of the configuration file; a directory with one is a node's.
pub const CONFIG_FILE: &str = "twinpact.toml";
const LOCK_FILE: &str = "lock";
/// The configuration is written last by `init`.
const WITHOUT_CONFIG: &str = "twinpact.toml is missing beside a log: put it back; if it was never \
                              there, `init` was cut short: remove the directory and begin again";

impl Directory {
    /// Makes a new directory, or takes an empty one, and locks it.
    ///
    /// # Errors
    /// `store.exists` when a node lives there, `store.locked`, `store.io`.
    pub fn create(vfs: Arc<dyn Vfs>, path: &Path) -> Result<Directory, Problem> {
        vacant(vfs.as_ref(), path)?;
        vfs.create_dir(path).map_err(|e| refused(path, &e))?;
        let directory = Directory::lock(vfs, path)?;
        // Another process may have made one, and ended, just before we got the lock.
        vacant(directory.vfs.as_ref(), path)?;
        Ok(directory)
    }

    /// Takes a node's directory and locks it.
    ///
    /// # Errors
    /// `store.missing` when no node lives there, `store.locked`, `store.io`.
    pub fn open(vfs: Arc<dyn Vfs>, path: &Path) -> Result<Directory, Problem> {
        if !vfs.exists(&path.join(CONFIG_FILE)) {
            return Err(missing(vfs.as_ref(), path));
        }
        Directory::lock(vfs, path)
    }

    fn lock(vfs: Arc<dyn Vfs>, path: &Path) -> Result<Directory, Problem> {
        match vfs.lock(&path.join(LOCK_FILE)) {
            Ok(lock) => Ok(Directory { path: path.to_owned(), vfs, _lock: lock }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Problem::new(
                codes::STORE_LOCKED,
                format!("another process has {}", path.display()),
            )
            .hint("a running `twinpact serve` is found by every other command by itself")),
            Err(error) => Err(refused(path, &error)),
        }
    }

    /// The disk that it lies on.
    #[must_use]
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The segments of the log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The keystore and its key-encryption key.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }
}

/// No node lives in the directory: `store.missing`.
#[must_use]
pub fn missing(vfs: &dyn Vfs, path: &Path) -> Problem {
    let why = format!("{} is not a Twinpact directory", path.display());
    Problem::new(codes::STORE_MISSING, why).hint(match vfs.exists(&path.join("log")) {
        true => WITHOUT_CONFIG,
        false => "make one with: twinpact init --dir DIR --org did:web:…",
    })
}

fn vacant(vfs: &dyn Vfs, path: &Path) -> Result<(), Problem> {
    if vfs.exists(&path.join(CONFIG_FILE)) || vfs.exists(&path.join("log")) {
        return Err(Problem::new(
            codes::STORE_EXISTS,
            format!("{} already holds a node", path.display()),
        )
        .hint(match vfs.exists(&path.join(CONFIG_FILE)) {
            true => "choose another --dir, or go on with the node that is there",
            false => WITHOUT_CONFIG,
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CONFIG_FILE, Directory};
    use crate::vfs::RealDisk;
    use std::sync::Arc;

    #[test]
    fn one_process_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let code = |r: Result<Directory, twinpact_model::Problem>| r.err().map(|p| p.code.name);
        let vfs = Arc::new(RealDisk);
        assert_eq!(code(Directory::open(vfs.clone(), dir.path())), Some("store.missing"));
        let held = Directory::create(vfs.clone(), dir.path()).unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), "").unwrap();
        assert_eq!(code(Directory::open(vfs.clone(), dir.path())), Some("store.locked"));
        assert_eq!(code(Directory::create(vfs.clone(), dir.path())), Some("store.exists"));
        drop(held);
        assert_eq!(code(Directory::open(vfs, dir.path())), None);
    }
}
