//! `contract new|lint|publish|show`.

use super::contract_new;
use crate::cli::Contract as Verb;
use crate::output::{Output, table};
use crate::session::{Session, read_file, read_text};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use twinpact_contract::{Contract, Diagnostic, Severity, document};
use twinpact_edge::model_file;
use twinpact_model::Class;
use twinpact_model::problem::Problem;
use twinpact_node::api::{ContractLine, Published};

pub(crate) async fn run(command: Verb, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Verb::New(arguments) => return contract_new::run(&arguments, out).await,
        Verb::Lint { file, model } => return lint(&file, model.as_deref(), out),
        Verb::Publish { dir, file } => {
            let body = read_file(&file)?;
            let session = Session::open(&dir.dir).await?;
            let published = session.client.post("/contracts", "application/yaml", body).await;
            session.close().await;
            let published: Published = published?;
            out.result(&published, |published| match published.new {
                true => format!("{} is in the catalogue", published.view),
                false => format!("{} was in the catalogue, the same", published.view),
            });
            out.next(&format!("twinpact invite{}", dir.flag()));
        }
        Verb::Show { dir, as_of } => {
            let path = as_of.of("/contracts")?;
            let session = Session::open(&dir.dir).await?;
            let contracts = session.client.get(&path).await;
            session.close().await;
            let contracts: Vec<ContractLine> = contracts?;
            out.result(&contracts, |contracts| {
                let row =
                    |c: &ContractLine| vec![c.view.clone(), c.model.to_string(), c.terms.clone()];
                table(&["view", "model", "terms"], &contracts.iter().map(row).collect::<Vec<_>>())
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lint(file: &Path, model: Option<&Path>, out: Output) -> Result<ExitCode, Problem> {
    let source = read_text(file)?;
    let model = model.map(|path| model_file::parse(&read_text(path)?)).transpose()?;
    let found = match Contract::parse(source.as_bytes()) {
        Ok(contract) => contract.lint(model.as_ref()),
        Err(found) => found,
    };
    let errors = found.iter().filter(|d| d.severity == Severity::Error).count();
    let json: Vec<Value> = found.iter().map(Diagnostic::to_json).collect();
    if !found.is_empty() && !out.is_json() {
        out.say(&document::render(&found, &file.to_string_lossy(), &source));
    }
    out.result(&json, |_| match (errors, found.len()) {
        (0, 0) => format!("{} is in order", file.display()),
        (0, n) => format!("{} is in order, with {n} remarks", file.display()),
        (n, _) => format!("{n} errors"),
    });
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(Class::Contract.exit_code()) })
}
