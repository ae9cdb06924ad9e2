//! `init`: the directory of a new node; `ca renew`: a new issuing CA in it.

use crate::cli::{Dir, Init};
use crate::output::Output;
use crate::session::Session;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use twinpact_model::Did;
use twinpact_model::problem::Problem;
use twinpact_node::open;

pub(crate) fn init(arguments: &Init, out: Output) -> Result<ExitCode, Problem> {
    let organisation = match (&arguments.org, &arguments.local) {
        (Some(org), _) => Did::new(org.as_str())?,
        (None, local) => {
            Did::new(format!("did:web:{}.localhost", local.as_deref().unwrap_or("node")))?
        }
    };
    let host = organisation.web_host().unwrap_or_else(|| organisation.to_string());
    let name = arguments.name.clone().unwrap_or(host);
    let dir = &arguments.dir.dir;
    open::init(dir, &organisation, &name)?;
    let made = json!({ "directory": dir, "organisation": organisation.as_str() });
    out.result(&made, |_| format!("{organisation} has its node in {}", dir.display()));
    out.say("keep identity/root.key offline; it is needed once a year");
    out.next(&format!("twinpact model apply MODEL.toml --dir {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn renew(
    dir: &Dir,
    root: Option<&Path>,
    out: Output,
) -> Result<ExitCode, Problem> {
    let dir = &dir.dir;
    let (until, running) = match Session::running(dir).await {
        Ok(session) => {
            let until = open::renew_issuing_beside(dir, root)?.0;
            let json = "application/json";
            session.client.post::<Value>("/ca/reload", json, Vec::new()).await?;
            (until, true)
        }
        Err(_) => (open::renew_issuing(dir, root)?.0, false),
    };
    let made = json!({ "directory": dir, "until": until.to_string(), "inUse": running });
    out.result(&made, |_| format!("the new issuing CA is good until {until}"));
    match running {
        true => out.say("the running node uses it from now on"),
        false => out.next(&format!("twinpact serve --dir {}", dir.display())),
    }
    Ok(ExitCode::SUCCESS)
}
