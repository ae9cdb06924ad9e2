//! `init`: the directory of a new node; `ca renew`: a new issuing CA in it.

use crate::cli::{Dir, Init, NewNode};
use crate::output::Output;
use crate::session::{Session, read_text};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_model::{Did, codes};
use twinpact_node::config::{self, Config, Reach};
use twinpact_node::open;

pub(crate) fn init(arguments: &Init, out: Output) -> Result<ExitCode, Problem> {
    let dir = &arguments.dir.dir;
    let organisation = make(dir, &arguments.new)?;
    let made = json!({ "directory": dir, "organisation": organisation.as_str() });
    out.result(&made, |_| format!("{organisation} has its node in {}", dir.display()));
    out.say("keep identity/root.key offline; it is needed once a year");
    out.next(&format!("twinpact serve{}", arguments.dir.flag()));
    Ok(ExitCode::SUCCESS)
}

/// Makes the directory of a node; whose it is.
fn make(dir: &Path, new: &NewNode) -> Result<Did, Problem> {
    let organisation = whose(new)?;
    let host = organisation.web_host().unwrap_or_else(|| organisation.to_string());
    let name = new.name.clone().unwrap_or(host);
    let reach = Reach { listen: new.listen, partners_at: new.partner_at.clone() };
    open::init_reached(dir, &organisation, &name, &reach)?;
    Ok(organisation)
}

fn whose(new: &NewNode) -> Result<Did, Problem> {
    match (&new.org, &new.local) {
        (Some(org), _) => Did::new(org.as_str()),
        (None, local) => {
            Did::new(format!("did:web:{}.localhost", local.as_deref().unwrap_or("node")))
        }
    }
}

/// What `serve` does first when it is told whose node it is: makes it, if it is not there. What
/// stands in the configuration of one that is there holds.
pub(crate) fn make_if_missing(dir: &Path, new: &NewNode, out: Output) -> Result<(), Problem> {
    if new.org.is_none() && new.local.is_none() {
        return Ok(());
    }
    if !config::path(dir).exists() {
        let organisation = make(dir, new)?;
        out.say(&format!("{organisation} has its node in {}", dir.display()));
        return Ok(());
    }
    let there = Config::parse(&read_text(&config::path(dir))?)?.organisation;
    let wanted = whose(new)?;
    match there == wanted {
        true => Ok(()),
        false => Err(Problem::new(
            codes::STORE_EXISTS,
            format!("{} holds the node of {there}, not of {wanted}", dir.display()),
        )
        .hint("name another directory with --dir")),
    }
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
