//! The grammar of `twinpact incident`.

use super::{AsOf, Dir};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// List incidents: those that you have opened, and those that partners ask you to contain.
    List {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Show an incident: who was asked to contain what, on what evidence, and the answers.
    Show {
        #[command(flatten)]
        dir: Dir,
        /// Its name.
        incident: String,
        #[command(flatten)]
        as_of: AsOf,
    },
    /// Open an incident and ask the owners of twins to contain them.
    Open {
        #[command(flatten)]
        dir: Dir,
        /// A JSON file in the form of the body of `POST /incidents`.
        file: PathBuf,
    },
    /// Draw what this node knows of an incident: one HTML file that needs nothing else.
    Report {
        #[command(flatten)]
        dir: Dir,
        /// Its name.
        incident: String,
        /// The rule by which it was found, when it was found elsewhere.
        #[arg(long)]
        rule: Option<PathBuf>,
        /// For what copies of a partner's rows are read; the configured purpose when it is left
        /// out.
        #[arg(long)]
        purpose: Option<String>,
        /// Where they are read; the configured place when it is left out.
        #[arg(long)]
        place: Option<String>,
        /// The file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write every proof that this node has of an incident into one folder.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// Its name.
        incident: String,
        /// The folder; it may hold what other organisations have exported of the same incident.
        #[arg(long)]
        out: PathBuf,
    },
    /// Say since when the twin of a containment has lost, by all of your own rows.
    Began {
        #[command(flatten)]
        dir: Dir,
        /// The containment: its fingerprint or the front of it.
        containment: String,
        /// The rule by which it was found: a TOML file.
        #[arg(long)]
        rule: PathBuf,
    },
    /// Say that the twins of a containment are contained.
    Confirm(Answer),
    /// Say that they are not, and will not be.
    Refuse(Answer),
    /// Say that they are contained no more.
    Release(Answer),
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    #[command(flatten)]
    pub(crate) dir: Dir,
    /// The containment: its fingerprint or the front of it.
    pub(crate) containment: String,
    /// Who answers; a name that your partner may read.
    #[arg(long)]
    pub(crate) by: String,
    /// What is to be said with it.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// When it began, by what your own rows say, shown to the partner or not.
    #[arg(long)]
    pub(crate) began: Option<String>,
    /// A program answers and nobody has looked; the answer says so.
    #[arg(long)]
    pub(crate) automatic: bool,
}
