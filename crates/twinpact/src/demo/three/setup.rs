//! Three organisations that know each other as far as their business goes: the operator of the
//! turbines and their maker, the maker and a supplier of its. Operator and supplier do not.

use super::super::federation::free_port;
use super::super::stage::Stage;
use super::peers::Peer;
use super::{GENEALOGY, LINKS, LOT_MODEL, LOTS, MAP, MODEL, RULE, RULE_FILE, UNIT_MODEL};
use crate::output::internal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use twinpact_model::problem::Problem;
use twinpact_node::api::AgreementLine;

/// What holds the three together.
pub(crate) struct Three {
    pub(crate) operator: Peer,
    pub(crate) maker: Peer,
    pub(crate) supplier: Peer,
    /// The maker's agreement about the rows of the turbines.
    pub(crate) rows: String,
}

impl Three {
    pub(crate) fn peers(&self) -> [&Peer; 3] {
        [&self.operator, &self.supplier, &self.maker]
    }

    pub(crate) fn stop(self) -> Result<(), Problem> {
        self.maker.node.stop()?;
        self.supplier.node.stop()?;
        self.operator.node.stop()
    }
}

/// A unit of the invented genealogy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unit {
    id: String,
    turbine: Option<String>,
    lot: String,
    recorded_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Genealogy {
    unit: Vec<Unit>,
}

/// Makes and starts the nodes, and pins who is to know whom.
pub(crate) fn nodes(stage: &mut Stage, contract: &str) -> Result<[Peer; 3], Problem> {
    stage.title("Three organisations, each with one program and one directory");
    for (name, text) in [
        ("wind-turbine.toml", MODEL),
        ("wind-turbine.map.toml", MAP),
        ("pitch-unit.toml", UNIT_MODEL),
        ("board-lot.toml", LOT_MODEL),
        ("turbine-links.odcs.yaml", LINKS),
        ("lot-links.odcs.yaml", LOTS),
        (RULE_FILE, RULE),
        ("turbine-maintenance.odcs.yaml", contract),
    ] {
        stage.write(name, text.as_bytes())?;
    }
    let ports = [free_port()?, free_port()?, free_port()?];
    let [operator, maker, supplier] = ports;
    let peers = [
        start(stage, "operator", "Wind farm", operator, &[maker])?,
        start(stage, "maker", "Turbine maker", maker, &[operator, supplier])?,
        start(stage, "supplier", "Board supplier", supplier, &[maker])?,
    ];
    stage.title("Partners pin each other's signed records; operator and supplier are strangers");
    for name in ["operator", "maker", "supplier"] {
        let record = stage.quiet(&format!("trust export --dir {name}"))?;
        stage.write(&format!("{name}.json"), &record)?;
        stage.quiet(&format!("trust add {name}.json --trust trust.toml"))?;
    }
    for (us, other) in
        [("operator", "maker"), ("maker", "operator"), ("supplier", "maker"), ("maker", "supplier")]
    {
        stage.run("partner add", &format!("partner add {other}.json --dir {us}"), 0)?;
    }
    Ok(peers)
}

fn start(
    stage: &mut Stage,
    name: &'static str,
    title: &str,
    port: u16,
    partners: &[u16],
) -> Result<Peer, Problem> {
    let did = format!("did:web:{name}.example");
    stage.run("init", &format!("init --dir {name} --org {did} --name {name}"), 0)?;
    let allowed: Vec<String> =
        partners.iter().map(|port| format!("https://127.0.0.1:{port}")).collect();
    let text = format!(
        "organisation = \"{did}\"\nname = \"{title}\"\n\n\
         [federation]\nlisten = \"127.0.0.1:{port}\"\nallow_private = {allowed:?}\n\n\
         [assertions]\npurpose = \"{}\"\nplace = \"FR\"\n",
        super::purpose()
    );
    stage.write(&format!("{name}/twinpact.toml"), text.as_bytes())?;
    let node = stage.serve(name)?;
    let (admin, federation) = (&node.admin, &node.federation);
    let shown = json!({ "name": name, "admin": admin, "federation": federation });
    stage.report.nodes.push(shown);
    Ok(Peer::new(name, did, stage.place.join(name), node))
}

/// What each offers, and what the maker agrees to.
pub(crate) async fn agreements(stage: &mut Stage, peers: [Peer; 3]) -> Result<Three, Problem> {
    let [operator, maker, supplier] = peers;
    stage.title("Each puts its own twins and offers what it wants to show, on its terms");
    for line in [
        "model apply wind-turbine.toml --dir operator",
        "model apply pitch-unit.toml --dir maker",
        "model apply board-lot.toml --dir supplier",
        "contract lint turbine-maintenance.odcs.yaml --model wind-turbine.toml",
        "contract publish turbine-maintenance.odcs.yaml --dir operator",
        "contract publish turbine-links.odcs.yaml --dir operator",
        "contract publish lot-links.odcs.yaml --dir supplier",
    ] {
        stage.run("offer", line, 0)?;
    }
    stage.title("The maker negotiates with both (Dataspace Protocol 2025-1)");
    let mut agreed = Vec::new();
    for (partner, view) in
        [(&operator, "turbine-maintenance"), (&operator, "turbine-links"), (&supplier, "lot-links")]
    {
        let dataset = dataset(stage, &partner.did, view)?;
        let line = format!("negotiate {} --dataset {dataset} --dir maker", partner.did);
        stage.run("negotiate", &line, 0)?;
        let concluded: Vec<AgreementLine> = maker.get("/agreements").await?;
        let one = concluded.into_iter().find(|one| one.target == dataset);
        let one = one.ok_or_else(|| internal("there is no agreement"))?;
        agreed.push(one.id.clone());
        stage.report.agreements.push(json!(one));
    }
    let rows = agreed.into_iter().next().ok_or_else(|| internal("nothing is agreed"))?;
    Ok(Three { operator, maker, supplier, rows })
}

/// The dataset of a partner's catalogue that is of the contract with that name.
fn dataset(stage: &Stage, partner: &str, contract: &str) -> Result<String, Problem> {
    let catalog = stage.json(&format!("catalog {partner} --dir maker"))?;
    let id = |line: &Value| line.get("id").and_then(Value::as_str).map(str::to_owned);
    let mut ids = catalog.as_array().into_iter().flatten().filter_map(id);
    let found = ids.find(|id| id.contains(contract));
    found.ok_or_else(|| internal(&format!("{partner} offers no {contract}")))
}

/// The invented genealogy, each half recorded by whose it is to say.
pub(crate) async fn genealogy(stage: &Stage, three: &Three) -> Result<(), Problem> {
    let all: Genealogy =
        toml::from_str(GENEALOGY).map_err(|e| internal(&format!("the genealogy: {e}")))?;
    let Three { operator, maker, supplier, .. } = three;
    stage.title("What is in which turbine: INVENTED for this demo, unlike the recordings");
    let lots: BTreeSet<&str> = all.unit.iter().map(|unit| unit.lot.as_str()).collect();
    let units: Vec<&str> = all.unit.iter().map(|unit| unit.id.as_str()).collect();
    twins(maker, "pitch-unit@1", &units, json!({ "state": "known" })).await?;
    twins(
        supplier,
        "board-lot@1",
        &lots.into_iter().collect::<Vec<_>>(),
        json!({ "boards": "240" }),
    )
    .await?;
    let link = async |peer: &Peer, from: &str, predicate: &str, to: &str, owner: &Peer| {
        let asked = json!({ "from": from, "predicate": predicate, "to": to, "owner": owner.did });
        let (name, did) = (peer.name, &owner.did);
        stage.say(&format!("  {name}: {from} {predicate} {to} ({did})"));
        peer.post::<Value>("/links", &asked).await.map(|_| ())
    };
    for Unit { id, turbine, lot, recorded_by } in &all.unit {
        if let Some(turbine) = turbine {
            link(operator, id, "part-of", turbine, maker).await?;
            link(maker, id, "part-of", turbine, operator).await?;
        }
        for by in recorded_by {
            match by.as_str() {
                "maker" => link(maker, id, "derived-from", lot, supplier).await?,
                _ => link(supplier, id, "derived-from", lot, maker).await?,
            }
        }
    }
    Ok(())
}

/// Puts twins that have one attribute.
async fn twins(peer: &Peer, model: &str, ids: &[&str], values: Value) -> Result<(), Problem> {
    let observation = |id: &&str| json!({ "id": id, "twin": id, "time": "2015-04-01T00:00:00Z", "values": values });
    let body = json!({
        "source": "urn:source:genealogy",
        "model": model,
        "observations": ids.iter().map(observation).collect::<Vec<_>>(),
    });
    peer.post::<Value>("/ingest", &body).await.map(|_| ())
}
