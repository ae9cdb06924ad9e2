//! `completions SHELL`: the script that completes our commands. It holds the grammar of this build.

use crate::cli::{Cli, Completions};
use crate::output::Output;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use std::process::ExitCode;

pub(crate) fn completions(arguments: &Completions, out: Output) -> ExitCode {
    let shell = match arguments.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "twinpact", &mut script);
    out.data(&script);
    ExitCode::SUCCESS
}
