//! `trust export|add|show`: whom a verifier trusts. Trust files are made by these commands, never
//! by a node: what a node says of itself is no reason to believe it.

use crate::cli::Trust as Verb;
use crate::output::{Output, internal, line, table};
use crate::session::{Session, read_file, read_text, write_file};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::PolicyClock;
use twinpact_node::clock::Clocks;
use twinpact_proof::policy::Policy;
use twinpact_proof::trust::{Pinned, Refused};
use twinpact_proof::witness_record::WitnessRecord;
use twinpact_proof::{Bundle, Envelope, Json, Record, Trust, to_hex};

pub(crate) async fn run(command: Verb, out: Output) -> Result<ExitCode, Problem> {
    match command {
        Verb::Export { dir, witness: true, .. } => {
            let session = Session::open(&dir.dir).await?;
            let statement = session.client.get_bytes("/witness").await;
            session.close().await;
            out.data(&statement?);
            out.data(b"\n");
            out.say("give it to whoever has pinned you and is to count you as a witness");
        }
        Verb::Export { dir, as_of, .. } => {
            let path = as_of.of("/organisation")?;
            let session = Session::open(&dir.dir).await?;
            let record = session.client.get_bytes(&path).await;
            session.close().await;
            out.data(&record?);
            out.data(b"\n");
            out.say(
                "give this record to whoever is to trust you, and its fingerprint by another way",
            );
        }
        Verb::Add { file, trust } => add(&file, &trust, out)?,
        Verb::Show { trust, policy: true } => {
            out.data(read_trust(&trust)?.policy().text().as_bytes())
        }
        Verb::Show { trust, .. } => show(&read_trust(&trust)?, out),
    }
    Ok(ExitCode::SUCCESS)
}

/// The trust file at that path.
pub(crate) fn read_trust(path: &Path) -> Result<Trust, Problem> {
    let bad = |why: &str| {
        Problem::new(codes::TRUST_RECORD, format!("{} is no trust file: {why}", path.display()))
            .hint("trust files are made with: twinpact trust add RECORD --trust FILE")
    };
    let trust: Trust = toml::from_str(&read_text(path)?).map_err(|e| bad(e.message()))?;
    trust.check().map_err(|e| bad(&e.to_string()))?;
    Ok(trust)
}

fn add(file: &Path, path: &Path, out: Output) -> Result<(), Problem> {
    let bytes = read_file(file)?;
    let mut trust = if path.exists() { read_trust(path)? } else { Trust::default() };
    if let Some(text) = policy_text(&bytes) {
        return add_policy(text, trust, path, out);
    }
    let envelope = record_in(&bytes)?;
    let now = Clocks::new(PolicyClock::System).wall().0.micros();
    if let Ok(said) = WitnessRecord::from_envelope(&envelope) {
        let pinned = trust.add_witness(&envelope, now).map_err(refused)?;
        write_trust(&trust, path)?;
        let made = json!({ "organisation": said.did, "witness": said.name, "trust": path });
        let what = format!("{} is pinned as a witness", said.did);
        out.result(&made, |_| outcome(pinned, &what, path));
        out.say(&format!("its cosignatures bear the name {}", line(&said.name)));
        out.next(&format!("twinpact verify PROOF --trust {} --require witnessed", path.display()));
        return Ok(());
    }
    let pinned = trust.add(&envelope, now).map_err(refused)?;
    write_trust(&trust, path)?;
    let did = Record::from_envelope(&envelope).map_or(String::new(), |record| record.did);
    let fingerprint = to_hex(&envelope.fingerprint());
    let made = json!({ "organisation": did, "fingerprint": fingerprint, "trust": path });
    out.result(&made, |_| outcome(pinned, &format!("{did} is pinned"), path));
    out.say(&format!("its record's fingerprint is {fingerprint}"));
    out.say("compare it with what the organisation tells you by another way than this file came");
    out.next(&format!("twinpact verify PROOF --trust {}", path.display()));
    Ok(())
}

/// The text of a policy of witnesses; nothing that is JSON or a proof is one.
fn policy_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let words = ["#", "log ", "witness ", "group ", "quorum "];
    words.iter().any(|word| text.trim_start().starts_with(word)).then_some(text)
}

fn add_policy(text: &str, mut trust: Trust, path: &Path, out: Output) -> Result<(), Problem> {
    let policy =
        Policy::parse(text).map_err(|why| Problem::new(codes::TRUST_RECORD, why.to_string()))?;
    let new = trust.add_policy(&policy).map_err(refused)?;
    write_trust(&trust, path)?;
    let (all, quorum) = (trust.witnesses.len(), trust.quorum);
    let made = json!({ "witnesses": all, "new": new, "quorum": quorum, "trust": path });
    out.result(&made, |_| {
        format!(
            "{quorum} of {all} witnesses are the quorum in {}, {new} of them new",
            path.display()
        )
    });
    if !policy.logs.is_empty() {
        out.say("the logs of the policy are not pinned: add the records of their organisations");
    }
    out.next(&format!("twinpact verify PROOF --trust {} --require witnessed", path.display()));
    Ok(())
}

fn outcome(pinned: Pinned, what: &str, path: &Path) -> String {
    match pinned {
        Pinned::Added => format!("{what} in {}", path.display()),
        Pinned::AlreadyThere => format!("{what} in {}, and was before", path.display()),
    }
}

fn write_trust(trust: &Trust, path: &Path) -> Result<(), Problem> {
    let text = toml::to_string(trust).map_err(|e| internal(&format!("the trust file: {e}")))?;
    write_file(path, text.as_bytes())
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Record(why) => Problem::new(codes::TRUST_RECORD, why.to_string()),
        Refused::Unsigned(why) => Problem::new(codes::TRUST_CONFLICT_KEYS, why)
            .hint("if the organisation really lost its keys, start a new trust file"),
        Refused::Ended(why) => Problem::new(codes::TRUST_CONFLICT_ENDED, why)
            .hint("ask the organisation for a record that its present key has signed"),
        Refused::Older(why) => Problem::new(codes::TRUST_CONFLICT_OLDER, why)
            .hint("ask the organisation for its present record"),
        Refused::Conflict(why) => Problem::new(codes::TRUST_CONFLICT, why)
            .hint("if the organisation really lost its keys, start a new trust file"),
    }
}

/// The record that a file holds: by itself, or as the issuer's inside a proof.
fn record_in(bytes: &[u8]) -> Result<Envelope, Problem> {
    if let Ok(bundle) = Bundle::parse(bytes)
        && let Some(record) = bundle.records.first()
    {
        return Ok(record.clone());
    }
    Json::parse(bytes).ok().and_then(|json| Envelope::from_json(&json)).ok_or_else(|| {
        Problem::new(codes::TRUST_RECORD, "the file is neither a signed record nor a proof")
            .hint("the organisation prints its record with: twinpact trust export")
    })
}

fn show(trust: &Trust, out: Output) {
    out.result(trust, |trust| {
        let organisation = |pinned: &twinpact_proof::trust::PinnedOrganisation| {
            let origin = pinned.logs.last().map_or(String::new(), |log| log.origin.clone());
            vec![
                pinned.did.clone(),
                pinned.name.clone(),
                pinned.keys.len().to_string(),
                origin,
                to_hex(&pinned.record.0),
            ]
        };
        let rows: Vec<_> = trust.organisations.iter().map(organisation).collect();
        let mut text = table(&["organisation", "name", "keys", "log", "record"], &rows);
        for witness in &trust.witnesses {
            text.push_str(&format!("\nwitness {}", witness.name));
        }
        text
    });
}
