//! `model guess|apply|list`.

use super::model_guess;
use crate::cli::Model;
use crate::output::{Output, table};
use crate::session::{Session, read_file};
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::TypeModel;
use twinpact_node::api::ModelApplied;

pub(crate) async fn run(command: Model, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Model::Guess(arguments) => return model_guess::run(&arguments, out),
        Model::Apply { dir, file } => {
            let body = read_file(&file)?;
            let session = Session::open(&dir.dir).await?;
            let applied = session.client.post("/models", "application/toml", body).await;
            session.close().await;
            let applied: ModelApplied = applied?;
            out.result(&applied, |applied| match applied.new {
                true => format!("{} applies from now on", applied.model),
                false => format!("{} was there, the same", applied.model),
            });
            out.next("twinpact ingest FILE.csv --map MAP.toml");
        }
        Model::List { dir, as_of } => {
            let path = as_of.of("/models")?;
            let session = Session::open(&dir.dir).await?;
            let models = session.client.get(&path).await;
            session.close().await;
            let models: Vec<TypeModel> = models?;
            out.result(&models, |models| text(models));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(models: &[TypeModel]) -> String {
    let row = |model: &TypeModel| {
        let names: Vec<&str> = model.attributes.iter().map(|a| a.name.as_str()).collect();
        vec![model.reference().to_string(), names.join(", ")]
    };
    table(&["model", "attributes"], &models.iter().map(row).collect::<Vec<_>>())
}
