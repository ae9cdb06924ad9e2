//! The grammar of `twinpact log`.

use super::Dir;
use clap::{ArgGroup, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Show your log, how far its witnesses are, and what was seen of partners' logs.
    Show {
        #[command(flatten)]
        dir: Dir,
    },
    /// Prove that a tick is in your log, or that your log continues what it was. It is verified
    /// before it is printed.
    #[command(group = ArgGroup::new("what").required(true).args(["tick", "old"]))]
    Proof {
        #[command(flatten)]
        dir: Dir,
        /// The tick that is to be in it.
        #[arg(long)]
        tick: Option<u64>,
        /// The size that it had.
        #[arg(long)]
        old: Option<u64>,
        /// The size of the checkpoint that it is proven under; the newest when it is left out.
        #[arg(long)]
        size: Option<u64>,
    },
    /// Print a JSON line for each new checkpoint, cosignature and alert, until Ctrl-C.
    Watch {
        #[command(flatten)]
        dir: Dir,
        /// Only what is about this partner.
        partner: Option<String>,
    },
    /// List logs of partners that have shown two histories, or may have.
    Alerts {
        #[command(flatten)]
        dir: Dir,
    },
    /// Write the evidence that a log keeps two histories, for anybody to verify.
    Evidence {
        #[command(flatten)]
        dir: Dir,
        /// The alert.
        alert: String,
        /// Where to write it.
        #[arg(long)]
        out: PathBuf,
    },
}
