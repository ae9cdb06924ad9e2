//! The grammar of `twinpact follow` and `twinpact subscription`.

use super::Dir;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Follow {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The agreement: its identity or the front of it.
    pub(crate) agreement: String,
    /// The purpose that is asserted: an IRI, or a short name like predictive-maintenance.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// The place that is asserted: a country code or an IRI.
    #[arg(long)]
    pub(crate) place: Option<String>,
    /// Begin with all that the view has, not with what is recorded from now on.
    #[arg(long)]
    pub(crate) from_start: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subscription {
    /// List the streams that you follow, or have followed, and why one has ended.
    List {
        #[command(flatten)]
        dir: Dir,
    },
    /// List the receipts of what has come, as soon as there are any; wait 20 seconds at most.
    Receipts {
        #[command(flatten)]
        dir: Dir,
        /// The agreement: its identity or the front of it.
        agreement: String,
        /// Only of what came behind this position.
        #[arg(long)]
        after: Option<u64>,
    },
    /// Follow a stream no longer; what has come stays.
    End {
        #[command(flatten)]
        dir: Dir,
        /// The agreement: its identity or the front of it.
        agreement: String,
    },
}
