//! The grammar of `twinpact copy`.

use super::Dir;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Copies {
    /// List what partners have delivered, and until when you may have it.
    List {
        #[command(flatten)]
        dir: Dir,
        /// Only under this agreement.
        #[arg(long)]
        agreement: Option<String>,
        /// So many, the latest first, at most 1000.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Go on behind the copy with this receipt.
        #[arg(long, value_name = "RECEIPT")]
        after: Option<String>,
    },
    /// Show the rows of a copy, if its agreement permits this use of them; it is recorded.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// Its receipt, or the front of the name.
        receipt: String,
        /// For what; the configured purpose when it is left out.
        #[arg(long)]
        purpose: Option<String>,
        /// Where; the configured place when it is left out.
        #[arg(long)]
        place: Option<String>,
    },
}
