//! The grammar of `twinpact erase` and `twinpact erasure`.

use super::Dir;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Erase {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The twin.
    pub(crate) twin: String,
    /// On what ground; it stays on record for ever, so name nobody.
    #[arg(long)]
    pub(crate) basis: String,
    /// Only say what would be erased and whom it touches.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// It is meant: what is erased does not come back.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Erasure {
    /// List what was erased; no name is kept.
    List {
        #[command(flatten)]
        dir: Dir,
    },
    /// Show who had copies of an erased twin, and who has deleted them.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// The twin.
        twin: String,
    },
}
