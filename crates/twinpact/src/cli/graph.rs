//! The grammar of `twinpact graph`.

use super::Dir;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Graph {
    /// Walk over links from a twin of yours or of a partner, as far as contracts let you.
    Walk(WalkWords),
}

#[derive(Debug, Args)]
pub(crate) struct WalkWords {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The twin at which it starts.
    pub(crate) twin: String,
    /// Whose that is; yours when it is left out.
    #[arg(long, value_name = "DID")]
    pub(crate) owner: Option<String>,
    /// Only along links of these predicates.
    #[arg(long, value_name = "PREDICATE", num_args = 1..)]
    pub(crate) via: Vec<String>,
    /// Only the way that links lead, or only back.
    #[arg(long, value_enum, default_value_t = Ways::Both)]
    pub(crate) direction: Ways,
    /// Over so many links, one after another, at most 16.
    #[arg(long, default_value_t = 4)]
    pub(crate) depth: usize,
    /// The purpose that is asserted: an IRI, or a short name like predictive-maintenance.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// The place that is asserted: a country code or an IRI.
    #[arg(long)]
    pub(crate) place: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Ways {
    Out,
    In,
    Both,
}
