//! The grammar of `twinpact transfer`.

use super::Dir;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Transfer {
    /// List the transfers, those that wait for you first.
    List {
        #[command(flatten)]
        dir: Dir,
    },
    /// Show where a transfer stands, and what you may decide.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
    },
    /// Pause a transfer until you resume it.
    Suspend {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
        /// Why; the partner is told.
        #[arg(long)]
        reason: String,
    },
    /// Let data flow again.
    Resume {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
    },
    /// Say that a transfer is done.
    Complete {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
    },
    /// End a transfer.
    Terminate {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
        /// Why; the partner is told.
        #[arg(long)]
        reason: String,
    },
}
