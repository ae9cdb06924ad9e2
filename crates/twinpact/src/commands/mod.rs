//! One module a noun; each command is a function from its arguments to an exit code.

mod as_of;
mod check;
mod completions;
mod config;
mod contract;
mod contract_new;
pub(crate) mod copies;
mod doctor;
mod erasure;
pub(crate) mod exchange;
mod explain;
mod fetch;
mod follow;
mod graph;
mod incident;
pub(crate) mod incident_began;
mod incident_export;
mod incident_figures;
mod incident_report;
mod incident_rows;
mod incident_walk;
mod ingest;
mod ingest_events;
mod init;
mod join;
mod key;
mod kpi;
mod link;
mod log;
mod log_watch;
mod mend;
mod model;
mod model_guess;
mod negotiation;
mod oversight;
mod own_rows;
mod partner;
mod proof;
mod ready;
mod receipt;
mod restore;
mod serve;
mod transfer;
mod trust;
mod twin;
mod verify;
mod verify_story;
mod watch;
mod why;

use crate::cli::{Ca, Command, Config};
use crate::demo;
use crate::output::Output;
pub(crate) use ingest::bar;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::api::{Fetch, Negotiate};

/// Runs a command.
pub(crate) async fn run(command: Command, out: &Output) -> Result<ExitCode, Problem> {
    match command {
        Command::Init(arguments) => init::init(&arguments, *out),
        Command::Serve(arguments) => serve::serve(&arguments, *out).await,
        Command::Ready { dir } => ready::ready(&dir, *out).await,
        Command::Model(command) => model::run(command, *out).await,
        Command::Ingest(arguments) => match &arguments.map {
            Some(map) => ingest::ingest(&arguments, map, *out).await,
            None => ingest_events::ingest(&arguments, *out).await,
        },
        Command::Twin(command) => twin::run(command, *out).await,
        Command::Copy(command) => copies::run(command, *out).await,
        Command::Erase(arguments) => erasure::erase(arguments, *out).await,
        Command::Erasure(command) => erasure::run(command, *out).await,
        Command::Graph(command) => graph::run(command, *out).await,
        Command::Link(command) => link::run(command, *out).await,
        Command::Contract(command) => contract::run(command, *out).await,
        Command::Partner(command) => partner::run(command, *out).await,
        Command::Invite { dir, name, valid } => {
            join::invite(&dir, name, valid.as_deref(), *out).await
        }
        Command::Join { dir, invitation } => join::join(&dir, invitation, *out).await,
        Command::Invitation(command) => join::invitation(command, *out).await,
        Command::Catalog { dir, partner } => exchange::catalog(&dir, &partner, *out).await,
        Command::Negotiate { dir, partner, dataset, another } => {
            exchange::negotiate(&dir, Negotiate { partner, dataset, another }, *out).await
        }
        Command::Fetch { dir, agreement, out: file, push } => {
            fetch::fetch(&dir, Fetch { agreement, push }, file.as_deref(), *out).await
        }
        Command::Negotiation(command) => negotiation::run(command, *out).await,
        Command::Transfer(command) => transfer::run(command, *out).await,
        Command::Why { dir, pid } => why::why(&dir, &pid, *out).await,
        Command::Pull(arguments) => exchange::pull(&arguments, *out).await,
        Command::Follow(words) => follow::follow(words, *out).await,
        Command::Subscription(command) => follow::run(command, *out).await,
        Command::Agreement(command) => oversight::agreement(command, *out).await,
        Command::Receipt(command) => receipt::receipt(command, *out).await,
        Command::Decision(command) => oversight::decision(command, *out).await,
        Command::Incident(command) => incident::run(command, *out).await,
        Command::Watch(arguments) => watch::watch(arguments, *out).await,
        Command::Kpi(dir) => kpi::kpi(&dir, *out).await,
        Command::Log(command) => log::run(command, *out).await,
        Command::Clock(command) => oversight::clock(command, *out).await,
        Command::Proof(command) => proof::run(command, *out).await,
        Command::Trust(command) => trust::run(command, *out).await,
        Command::Key(command) => key::run(command, *out).await,
        Command::Ca(Ca::Renew { dir, root }) => init::renew(&dir, root.as_deref(), *out).await,
        Command::Restore(arguments) => restore::restore(&arguments, *out),
        Command::Check(dir) => check::check(&dir, *out),
        Command::Doctor(dir) => doctor::doctor(&dir, *out).await,
        Command::Verify(arguments) => verify::verify(&arguments, *out).await,
        Command::Explain(arguments) => explain::explain(&arguments, *out),
        Command::Config(Config::Show { dir, origin }) => config::show(&dir, origin, *out),
        Command::Completions(arguments) => Ok(completions::completions(&arguments, *out)),
        Command::Demo(arguments) => demo::demo(&arguments, *out).await,
    }
}
