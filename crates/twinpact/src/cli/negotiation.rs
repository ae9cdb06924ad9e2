//! The grammar of `twinpact negotiation`.

use super::Dir;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Negotiation {
    /// List the negotiations, those that wait for you first.
    List {
        #[command(flatten)]
        dir: Dir,
    },
    /// Show what was asked or offered last, and what you may decide.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
    },
    /// Offer a view to a partner that has not asked for it.
    Offer {
        #[command(flatten)]
        dir: Dir,
        /// The partner's id.
        partner: String,
        /// The view, by the id that `contract show` shows.
        #[arg(long)]
        dataset: String,
        /// The terms, a JSON file with an ODRL policy; those of the contract when it is left out.
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// Accept what the partner offers, or agree to what it asks for.
    Accept {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
    },
    /// Answer with other terms.
    Counter {
        #[command(flatten)]
        dir: Dir,
        /// The process id.
        pid: String,
        /// The terms, a JSON file with an ODRL policy. Where you are the provider, those of your
        /// contract are offered when it is left out.
        #[arg(long)]
        policy: Option<PathBuf>,
    },
    /// End a negotiation.
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
