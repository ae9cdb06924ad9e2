//! `partner add|list|remove`.

use super::exchange::body;
use crate::cli::Partner;
use crate::output::{Output, line, table};
use crate::session::{Session, read_file};
use serde_json::json;
use std::process::ExitCode;
use twinpact_gateway::client::segment;
use twinpact_model::problem::Problem;
use twinpact_node::api::{GivenUp, PartnerLine};

/// That a log was given up, and how much of it nobody but its owner can vouch for.
fn replaced(partner: &PartnerLine, log: &GivenUp) -> String {
    let seen = log.seen.map_or_else(
        || "you have seen nothing of it".to_owned(),
        |seen| format!("you have seen it up to {seen}"),
    );
    let (did, GivenUp { origin, size, reason, .. }) = (&partner.organisation, log);
    format!("{did} has given up its log {origin} at size {size} ({reason}); {seen}")
}

pub(crate) async fn run(command: Partner, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Partner::Add { dir, file } => {
            let body = read_file(&file)?;
            let session = Session::open(&dir.dir).await?;
            let added = session.client.post("/partners", "application/json", body).await;
            session.close().await;
            let added: PartnerLine = added?;
            out.result(&added, |p| {
                line(&format!("{} is a partner, at {}", p.organisation, p.endpoint))
            });
            out.say(&format!("its record's fingerprint is {}", added.fingerprint));
            out.say(
                "compare it with what the partner tells you by another way than this file came",
            );
            out.next(&format!("twinpact catalog {}", added.organisation));
        }
        Partner::List { dir, as_of } => {
            let path = as_of.of("/partners")?;
            let session = Session::open(&dir.dir).await?;
            let partners = session.client.get(&path).await;
            session.close().await;
            let partners: Vec<PartnerLine> = partners?;
            out.result(&partners, |partners| {
                let row = |p: &PartnerLine| {
                    let PartnerLine { organisation, name, endpoint, fingerprint, .. } = p.clone();
                    vec![organisation, name, endpoint, fingerprint]
                };
                let rows: Vec<_> = partners.iter().map(row).collect();
                table(&["organisation", "name", "endpoint", "fingerprint"], &rows)
            });
            for partner in &partners {
                partner.given_up.iter().for_each(|log| out.say(&line(&replaced(partner, log))));
            }
        }
        Partner::Remove { dir, partner, reason } => {
            let session = Session::open(&dir.dir).await?;
            let path = format!("/partners/{}/remove", segment(&partner));
            let asked = body(&json!({ "reason": reason }))?;
            let removed = session.client.post(&path, "application/json", asked).await;
            session.close().await;
            let removed: PartnerLine = removed?;
            out.result(&removed, |p| line(&format!("{} is no partner any more", p.organisation)));
            out.say("its connections are closed, and all agreements with it have ended");
            out.next("twinpact agreement list");
        }
    }
    Ok(ExitCode::SUCCESS)
}
