//! `contract new`: a contract that can be published as it is, for its owner to go on with.

use super::mend::writable;
use crate::cli::NewContract;
use crate::output::{Output, internal, shell};
use crate::session::{Session, own_record, read_text, write_file};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_contract::scaffold::{self, Draft};
use twinpact_contract::{Contract, document, text};
use twinpact_edge::model_file;
use twinpact_gateway::AdminClient;
use twinpact_model::problem::Problem;
use twinpact_model::suggest::nearest;
use twinpact_model::time::parse_duration;
use twinpact_model::type_model::TypeModel;
use twinpact_model::{Did, codes};

pub(crate) async fn run(arguments: &NewContract, out: Output) -> Result<ExitCode, Problem> {
    if let Some(path) = &arguments.out {
        writable(path, arguments.force)?;
    }
    let known = Known::of(arguments).await?;
    let draft = draft(arguments, &known)?;
    let document = scaffold::write(&draft, &known.model)?;
    let contract = Contract::parse(document.as_bytes())
        .map_err(|found| internal(&document::render(&found, "the new contract", &document)))?;
    let terms = text::terms(contract.terms());
    let columns: Vec<&str> = contract.object.properties.iter().map(|p| p.name.as_str()).collect();
    let made = json!({
        "view": contract.view_id(),
        "model": contract.model.to_string(),
        "columns": columns,
        "terms": terms,
        "file": arguments.out,
        "document": document,
    });
    let flag = arguments.dir.flag();
    match &arguments.out {
        Some(path) => {
            write_file(path, document.as_bytes())?;
            out.result(&made, |_| format!("{} shows {}", path.display(), columns.join(", ")));
            out.say(&format!("the terms: {terms}"));
            out.next(&format!("twinpact contract publish {}{flag}", shell(path)));
        }
        None => {
            out.result(&made, |_| document.clone());
            out.say(&format!("the terms: {terms}"));
            out.next(&format!("the same with --out NAME.odcs.yaml, then: twinpact contract publish NAME.odcs.yaml{flag}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a new contract is about: whose, and of which model.
struct Known {
    tenant: Did,
    model: TypeModel,
}

impl Known {
    /// From files when they say it all, else from the node.
    async fn of(arguments: &NewContract) -> Result<Known, Problem> {
        let path = Path::new(&arguments.model);
        let model = path.is_file().then(|| model_file::parse(&read_text(path)?)).transpose()?;
        let tenant = arguments.org.as_deref().map(Did::new).transpose()?;
        if let (Some(tenant), Some(model)) = (&tenant, &model) {
            return Ok(Known { tenant: tenant.clone(), model: model.clone() });
        }
        let session = Session::open(&arguments.dir.dir).await?;
        let known = Known::complete(&session.client, &arguments.model, tenant, model).await;
        session.close().await;
        known
    }

    async fn complete(
        client: &AdminClient,
        name: &str,
        tenant: Option<Did>,
        model: Option<TypeModel>,
    ) -> Result<Known, Problem> {
        let tenant = match tenant {
            Some(tenant) => tenant,
            None => own_did(client).await?,
        };
        let model = match model {
            Some(model) => model,
            None => pick(client.get("/models").await?, name)?,
        };
        Ok(Known { tenant, model })
    }
}

/// Who a node is, by its own record.
pub(super) async fn own_did(client: &AdminClient) -> Result<Did, Problem> {
    Did::new(own_record(client).await?.did)
}

/// The version that `name@version` names; of a name alone its latest.
fn pick(models: Vec<TypeModel>, name: &str) -> Result<TypeModel, Problem> {
    let named = |model: &&TypeModel| model.reference().to_string() == name || model.model == name;
    if let Some(model) = models.iter().filter(named).max_by_key(|model| model.version) {
        return Ok(model.clone());
    }
    let problem = Problem::new(
        codes::MODEL_UNKNOWN,
        format!("there is neither a file nor a type model {name:?}"),
    );
    let known: Vec<String> = models.iter().map(|model| model.reference().to_string()).collect();
    let names = known.iter().map(String::as_str).chain(models.iter().map(|m| m.model.as_str()));
    Err(match nearest(name, names) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None if known.is_empty() => problem.hint("apply one first: twinpact model apply FILE.toml"),
        None => problem.hint(format!("the node knows {}", known.join(", "))),
    })
}

fn draft(arguments: &NewContract, known: &Known) -> Result<Draft, Problem> {
    let each = |texts: &[String], read: fn(&str) -> Result<String, Problem>| {
        texts.iter().map(|text| read(text)).collect::<Result<Vec<String>, Problem>>()
    };
    let model = &known.model.model;
    Ok(Draft {
        tenant: known.tenant.clone(),
        name: arguments.name.clone().unwrap_or_else(|| format!("{model}-view")),
        purposes: each(&arguments.purpose, scaffold::purpose)?,
        places: each(&arguments.place, scaffold::place)?,
        schedule: arguments.schedule.as_deref().map(scaffold::schedule).transpose()?,
        delete_after_s: arguments.delete_after.as_deref().map(parse_duration).transpose()?,
        columns: arguments.columns.clone(),
    })
}
