//! Every message of ours through a foreign JSON-LD processor and back: nothing may get lost.
//!
//! The processor is PyLD in `oracles/.venv`, built by `make test`; without it the test says that it
//! was skipped, and fails when `CI_STRICT=1`.

use crate::samples::{agreement, all, shared, strict};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use twinpact_dsp::Message;
use twinpact_dsp::message::ContractAgreement;

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python() -> PathBuf {
    let given = std::env::var_os("TWINPACT_ORACLE_PYTHON").map(PathBuf::from);
    given.unwrap_or_else(|| project().join("oracles/.venv/bin/python"))
}

/// The processor's results, one a message; `None` when there is no processor.
fn through(shared: &Path, messages: &[Value]) -> Option<Vec<Value>> {
    let script = project().join("oracles/jsonld/roundtrip.py");
    let child = Command::new(python())
        .arg(script)
        .env("TWINPACT_SHARED", std::fs::canonicalize(shared).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return skipped(&format!("{}: {error}", python().display())),
    };
    let lines: String = messages.iter().map(|m| format!("{m}\n")).collect();
    // Written beside the reading: both pipes are smaller than what goes through them.
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // A processor that is not there closes the pipe; its exit code says why.
        let _ = input.write_all(lines.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(3) {
        return skipped(said.trim());
    }
    assert!(output.status.success(), "{said}");
    let results: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(results.len(), messages.len(), "{said}");
    Some(results)
}

fn skipped<T>(reason: &str) -> Option<T> {
    assert!(!strict(), "CI_STRICT=1 and no JSON-LD oracle: {reason}");
    println!("skipped: no JSON-LD oracle: {reason}");
    None
}

fn check(messages: &[Message]) {
    let Some(shared) = shared("the JSON-LD oracle") else { return };
    let before: Vec<Value> = messages.iter().map(Message::to_json).collect();
    let Some(results) = through(&shared, &before) else { return };
    for (message, result) in messages.iter().zip(results) {
        for form in ["compact", "full", "expanded"] {
            let after = &result[form];
            assert_eq!(Message::parse(after).as_ref(), Ok(message), "{form}: {result:#}");
        }
    }
}

#[test]
fn our_messages_survive_a_foreign_processor() {
    // The version document is plain JSON and knows no context.
    check(&all().into_iter().filter(|m| m.name() != "VersionResponse").collect::<Vec<_>>());
}

#[test]
fn policies_survive_a_foreign_processor() {
    let purpose = "http://www.w3.org/ns/odrl/2/purpose";
    let right = |value: Value| {
        json!({"permission": [{"action": "use", "constraint": [
            {"leftOperand": purpose, "operator": "eq", "rightOperand": value}
        ]}]})
    };
    let policies = [
        right(json!("a")),
        right(json!(["a", "b"])),
        right(json!({"@id": "https://w3id.org/twinpact/purpose/X"})),
        right(json!([{"@id": "https://a.example/x"}, {"@id": "https://a.example/y"}])),
        right(json!({"@type": "http://www.w3.org/2001/XMLSchema#integer", "@value": "5"})),
        right(json!([5])),
        right(json!([true])),
        json!({"permission": [{"action": "use"}, {"action": "use"}]}),
        json!({
            "profile": ["https://a.example/p", "https://a.example/q"],
            "prohibition": [{"action": "http://www.w3.org/ns/odrl/2/sell", "constraint": [
                {"and": [
                    {"leftOperand": purpose, "operator": "neq", "rightOperand": "x"},
                    {"xone": [{"leftOperand": purpose, "operator": "isA", "rightOperand": "y"}]}
                ]}
            ]}],
            "obligation": [{"action": "http://www.w3.org/ns/odrl/2/delete"}]
        }),
    ];
    let message = |policy: Value| {
        let mut agreement = agreement();
        agreement.policy = policy;
        let pids = crate::samples::pids();
        Message::ContractAgreement(ContractAgreement { id: None, pids, agreement })
    };
    check(&policies.into_iter().map(message).collect::<Vec<_>>());
}
