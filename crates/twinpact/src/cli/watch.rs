//! The grammar of `twinpact watch`.

use super::Dir;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// What a loss is, over which links it is traced, and what owners are asked to do: a TOML file.
    pub(crate) rule: PathBuf,
    /// The agreement whose stream is read; it is followed from its start when it is not yet.
    #[arg(long)]
    pub(crate) agreement: String,
    /// The purpose of every read: an IRI, or a short name like predictive-maintenance.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// The place of every read: a country code or an IRI.
    #[arg(long)]
    pub(crate) place: Option<String>,
    /// Where it is kept what was judged and found; without it all copies that are held are judged.
    #[arg(long)]
    pub(crate) state: Option<PathBuf>,
    /// Take what has come, and end.
    #[arg(long)]
    pub(crate) once: bool,
}
