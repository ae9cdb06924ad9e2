//! What whoever has a node's directory can still read of it: every entry whose keys are there.

use std::path::Path;
use std::sync::Arc;
use twinpact_model::{Did, Problem};
use twinpact_store::vfs::RealDisk;
use twinpact_store::{Directory, Store};

/// All of it as one text; nothing in the directory changes.
///
/// # Errors
/// What refuses to open it; `store.locked` while a node runs there.
pub fn readable(path: &Path, organisation: &str) -> Result<String, Problem> {
    let directory = Directory::open(Arc::new(RealDisk), path)?;
    let mut text = String::new();
    Store::inspect(directory, &Did::new(organisation)?, |_, entry| {
        text.push_str(&format!("{entry:?}\n"));
        Ok(())
    })?;
    Ok(text)
}
