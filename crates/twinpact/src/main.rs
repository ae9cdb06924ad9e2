//! Floor 7: the command line. Data goes to stdout, everything else to stderr.
//!
//! Every command but `init`, `restore`, `check`, `verify`, `trust add|show`, `explain`, `config
//! show`, `completions` and `demo` is a client of a node's admin API, found through `admin.json`;
//! when no node runs there, the command starts one in its own process for its own duration
//! ([`session`]).

mod cli;
mod commands;
mod demo;
mod lines;
mod output;
mod report;
mod session;
mod span;
mod watch;

use clap::Parser as _;
use std::process::ExitCode;

/// With the system's own an exchange costs a fifth more: its small parts are made by one thread and
/// let go by another (docs/performance.md).
#[global_allocator]
static ALLOCATOR: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    let out = output::Output::new(arguments.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.fail(&output::internal(&format!("no async runtime: {error}"))),
    };
    match runtime.block_on(commands::run(arguments.command, &out)) {
        Ok(code) => code,
        Err(problem) => out.fail(&problem),
    }
}
