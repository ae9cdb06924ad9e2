//! `key list|rotate|claims`: the keys that sign our documents, and our claims to connectors.

use super::exchange::body;
use crate::cli::Key;
use crate::output::{Output, table};
use crate::session::Session;
use crate::span;
use std::process::ExitCode;
use twinpact_model::problem::Problem;
use twinpact_node::api::{KeyLine, RotateKey};
use twinpact_node::web_door;

pub(crate) async fn run(command: Key, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Key::List { dir, as_of } => {
            let path = as_of.of("/keys")?;
            let session = Session::open(&dir.dir).await?;
            let keys = session.client.get(&path).await;
            session.close().await;
            let keys: Vec<KeyLine> = keys?;
            out.result(&keys, |keys| text(keys));
        }
        Key::Rotate { dir, overlap } => {
            let overlap_seconds = overlap.as_deref().map(span::seconds).transpose()?;
            let asked = body(&RotateKey { overlap_seconds })?;
            let session = Session::open(&dir.dir).await?;
            let keys = session.client.post("/keys", "application/json", asked).await;
            session.close().await;
            let keys: Vec<KeyLine> = keys?;
            out.result(&keys, |keys| text(keys));
            out.say("documents are signed by the new key from now on; partners are told of it");
            out.say("give your new record to whoever verifies your proofs without being a partner");
            out.next("twinpact trust export");
        }
        Key::Claims { dir } => {
            let key = web_door::own_key(&dir.dir)?;
            out.result(&key, |key| format!("{key:#}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(keys: &[KeyLine]) -> String {
    let row = |key: &KeyLine| {
        let state = match (key.signs, key.held) {
            (true, _) => "signs",
            (false, Some(true)) => "signs records until its end",
            (false, Some(false)) => "over",
            // Of another time it is not known whether it still signed records.
            (false, None) => "another key signs",
        };
        let until = key.until.map_or_else(|| "open".to_owned(), |until| until.to_string());
        vec![key.id.clone(), key.from.to_string(), until, state.to_owned()]
    };
    table(&["key", "from", "until", "state"], &keys.iter().map(row).collect::<Vec<_>>())
}
