//! Second part: two nodes on loopback, one agreement, one delivery that both can prove, and what is
//! refused and why.

use super::play::Play;
use super::stage::{Node, Stage};
use crate::output::internal;
use serde_json::{Value, json};
use std::net::TcpListener;
use twinpact_model::problem::Problem;

/// Both nodes, running.
pub(crate) struct Nodes {
    operator: Node,
    maker: Node,
}

impl Nodes {
    pub(crate) fn stop(self) -> Result<(), Problem> {
        self.maker.stop()?;
        self.operator.stop()
    }
}

pub(crate) fn two_nodes(stage: &mut Stage, play: &Play) -> Result<Nodes, Problem> {
    stage.title("The partner, a maker, has a node too, and both are up");
    stage.run("init maker", "init --dir maker --org did:web:maker.example --name Maker", 0)?;
    let (operator_port, maker_port) = (free_port()?, free_port()?);
    configure(stage, "operator", &play.owner, operator_port, maker_port)?;
    configure(stage, "maker", "did:web:maker.example", maker_port, operator_port)?;
    let nodes = Nodes { operator: stage.serve("operator")?, maker: stage.serve("maker")? };
    for (name, node) in [("operator", &nodes.operator), ("maker", &nodes.maker)] {
        let shown = json!({ "name": name, "admin": node.admin, "federation": node.federation });
        stage.report.nodes.push(shown);
    }
    stage.title("Each pins the other's signed record");
    for (us, other) in [("operator", "maker"), ("maker", "operator")] {
        let record = stage.run("record", &format!("trust export --dir {other}"), 0)?;
        stage.write(&format!("{other}.json"), &record)?;
        stage.run("partner add", &format!("partner add {other}.json --dir {us}"), 0)?;
    }
    let agreement = agreement(stage, play)?;
    deliver(stage, play, &agreement)?;
    refusals(stage, play, &agreement)?;
    last_words(stage, &nodes, &agreement)?;
    Ok(nodes)
}

fn agreement(stage: &mut Stage, play: &Play) -> Result<String, Problem> {
    let (contract, model, owner) = (play.contract.name, play.model.name, &play.owner);
    stage.write(contract, &play.contract.bytes)?;
    stage.title(&play.offer);
    stage.run("lint", &format!("contract lint {contract} --model {model}"), 0)?;
    stage.run("publish", &format!("contract publish {contract} --dir operator"), 0)?;
    stage.title("The maker finds the offer and negotiates (Dataspace Protocol 2025-1)");
    stage.run("catalog", &format!("catalog {owner} --dir maker"), 0)?;
    stage.run("negotiate", &format!("negotiate {owner} --dir maker"), 0)?;
    let agreements = stage.json("agreement list --dir maker")?;
    let agreement = agreements.get(0).cloned();
    let agreement = agreement.ok_or_else(|| internal("there is no agreement"))?;
    let id = agreement.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    stage.report.agreement = Some(agreement);
    Ok(id.chars().take(12).collect())
}

fn deliver(stage: &mut Stage, play: &Play, agreement: &str) -> Result<(), Problem> {
    stage.title(&format!("The policy clock is driven from here on: it is {}", play.open_words));
    set_clock(stage, &play.open)?;
    let pull = pull(agreement, &play.purpose, &play.place);
    stage.run("pull", &pull, 0)?;
    let again = stage.json(&pull)?;
    let receipt = again.pointer("/receipts/0").and_then(Value::as_str).unwrap_or_default();
    let short: String = receipt.chars().take(12).collect();
    stage.report.permitted.push(again);
    let export = format!("receipt export {short} --out receipt.twinproof --dir maker");
    stage.run("receipt", &export, 0)?;
    stage.title("The receipt, checked by somebody who trusts neither node");
    stage.run("trust", "trust add operator.json --trust trust.toml", 0)?;
    stage.run("verify receipt", "verify receipt.twinproof --trust trust.toml", 0)?;
    stage.report.proof = Some(stage.json("verify receipt.twinproof --trust trust.toml")?);
    Ok(())
}

fn refusals(stage: &mut Stage, play: &Play, agreement: &str) -> Result<(), Problem> {
    if !play.refusals.is_empty() {
        stage.title("What is refused, each in one sentence");
    }
    let mut now = &play.open;
    for refusal in &play.refusals {
        if now != &refusal.at {
            now = &refusal.at;
            set_clock(stage, now)?;
        }
        let pull = pull(agreement, &refusal.purpose, &refusal.place);
        stage.denied(&refusal.name, &pull)?;
    }
    stage.run("decisions", "decision list --dir operator", 0)?;
    Ok(())
}

fn last_words(stage: &mut Stage, nodes: &Nodes, agreement: &str) -> Result<(), Problem> {
    stage.title("Look around");
    let (admin, place) = (&nodes.operator.admin, stage.place.display().to_string());
    let token =
        format!("$(sed -n 's/.*\"token\": \"\\(.*\\)\",/\\1/p' {place}/operator/admin.json)");
    let lines = [
        format!("operator  {admin}   {}", nodes.operator.federation),
        format!("maker     {}   {}", nodes.maker.admin, nodes.maker.federation),
        format!("curl -H \"Authorization: Bearer {token}\" {admin}/decisions"),
        format!("twinpact agreement show {agreement} --dir {place}/maker"),
        format!("twinpact decision list --dir {place}/operator"),
        format!("twinpact agreement revoke {agreement} --reason over --dir {place}/operator"),
        format!("twinpact verify {place}/receipt.twinproof --trust {place}/trust.toml"),
    ];
    lines.iter().for_each(|line| stage.out.say(&format!("  {line}")));
    Ok(())
}

fn pull(agreement: &str, purpose: &str, place: &str) -> String {
    format!("pull {agreement} --purpose {purpose} --place {place} --dir maker")
}

/// In lockstep: the same policy time at both nodes.
fn set_clock(stage: &mut Stage, time: &str) -> Result<(), Problem> {
    for node in ["operator", "maker"] {
        stage.json(&format!("clock set {time} --dir {node}"))?;
    }
    stage.out.say(&format!("  (policy clock: {time})"));
    Ok(())
}

/// A port that nobody has at this moment.
pub(crate) fn free_port() -> Result<u16, Problem> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|e| internal(&format!("no free port: {e}")))
}

/// The configuration of a node on loopback. The partner's address is private, so it is listed.
fn configure(stage: &Stage, name: &str, did: &str, port: u16, partner: u16) -> Result<(), Problem> {
    let text = format!(
        "organisation = \"{did}\"\nname = \"{name}\"\n\n\
         [federation]\nlisten = \"127.0.0.1:{port}\"\n\
         allow_private = [\"https://127.0.0.1:{partner}\"]\n"
    );
    stage.write(&format!("{name}/twinpact.toml"), text.as_bytes())
}
