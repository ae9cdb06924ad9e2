//! `config show`: every setting as it holds, and where it comes from. It reads the file, not a
//! running node, which holds what the file said when it started. No setting is a secret: keys and
//! tokens lie in files of their own.

use crate::cli::{Cli, Dir};
use crate::output::{Output, table};
use clap::CommandFactory as _;
use clap::parser::ValueSource;
use serde_json::{Value, json};
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::settings::{self, Setting};

pub(crate) fn show(dir: &Dir, origin: bool, out: Output) -> Result<ExitCode, Problem> {
    let mut rows = vec![("dir", json!(dir.dir), dir_origin())];
    let settings = settings::read(&dir.dir)?;
    rows.extend(settings.iter().map(|s| (s.key.as_str(), s.value.clone(), file_origin(s))));
    let document: Vec<Value> = rows.iter().map(|row| line_of(row, origin)).collect();
    out.result(&document, |_| {
        let cells = |(key, value, from): &(&str, Value, String)| {
            let mut cells = vec![(*key).to_owned(), text(value)];
            cells.extend(origin.then(|| from.clone()));
            cells
        };
        let head = ["setting", "value", "origin"];
        let head = head.get(..if origin { 3 } else { 2 }).unwrap_or(&head);
        table(head, &rows.iter().map(cells).collect::<Vec<_>>())
    });
    if !origin {
        out.next("twinpact config show --origin");
    }
    Ok(ExitCode::SUCCESS)
}

fn line_of((key, value, from): &(&str, Value, String), origin: bool) -> Value {
    match origin {
        true => json!({ "key": key, "value": value, "origin": from }),
        false => json!({ "key": key, "value": value }),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn file_origin(setting: &Setting) -> String {
    setting.line.map_or("default".to_owned(), |line| format!("twinpact.toml:{line}"))
}

/// The directory is the one setting that does not stand in the file that lies in it.
fn dir_origin() -> String {
    let matches = Cli::command().get_matches();
    let show = matches.subcommand().and_then(|(_, config)| config.subcommand());
    match show.and_then(|(_, show)| show.value_source("dir")) {
        Some(ValueSource::CommandLine) => "flag --dir".to_owned(),
        Some(ValueSource::EnvVariable) => "environment TWINPACT_DIR".to_owned(),
        _ => "default".to_owned(),
    }
}
