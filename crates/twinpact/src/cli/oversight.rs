//! The grammar of what holds and what was decided: agreements, receipts, decisions, clocks.

use super::{AsOf, Dir};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Agreement {
    /// List all agreements.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Show an agreement.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// Its identity, the front of it, or its @id.
        agreement: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Write the proof that an agreement was concluded to a file.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// Its identity, the front of it, or its @id.
        agreement: String,
        /// The file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the identity of an agreement in a file, of whomever; no node is asked.
    Identity {
        /// The agreement as the protocol writes it, or the message that carries it.
        file: PathBuf,
    },
    /// End an agreement: from the next request on it grants nothing.
    Revoke {
        #[command(flatten)]
        dir: Dir,
        /// Its identity, the front of it, or its @id.
        agreement: String,
        /// Why; it stays on record.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Receipt {
    /// List the latest receipts: of what we delivered and of what was delivered to us.
    List {
        #[command(flatten)]
        dir: Dir,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Show a receipt and who has signed it.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// The receipt or the front of its name.
        receipt: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Write the proof of a delivery, with the signatures of both sides as far as they are there.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// The receipt, as the pull or the list printed it, or the front of its name.
        receipt: String,
        /// The proof of its deletion receipt instead: that the copy is gone.
        #[arg(long)]
        deletion: bool,
        /// Where to write it.
        #[arg(long, short)]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Decision {
    /// List the latest decisions.
    List {
        #[command(flatten)]
        dir: Dir,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Show a decision with its checks and its signed record.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// Its identity or the front of it.
        decision: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Write the proof of a decision, a refusal too, to a file.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// Its identity or the front of it.
        decision: String,
        /// The file.
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    /// Show both clocks.
    Show {
        #[command(flatten)]
        dir: Dir,
    },
    /// Set the policy clock.
    Set {
        #[command(flatten)]
        dir: Dir,
        /// RFC 3339 with offset.
        time: String,
    },
}
