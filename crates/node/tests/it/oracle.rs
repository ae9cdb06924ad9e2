//! The foreign JSON-LD processor of `oracles/jsonld`, as the tests of the protocol ask it: without
//! it a test says that it was skipped, and fails when `CI_STRICT=1`.

use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shared data, which the processor's contexts are in; without them the test is skipped.
pub(crate) fn shared() -> Option<PathBuf> {
    let given = std::env::var_os("TWINPACT_SHARED").map(PathBuf::from);
    let path = given.unwrap_or_else(|| project().join("../shared"));
    let found = std::fs::canonicalize(path).ok().filter(|p| p.join("suites/dsp").is_dir());
    if found.is_none() {
        println!("skipped: no shared data for: the JSON-LD oracle");
    }
    found
}

fn python() -> PathBuf {
    let given = std::env::var_os("TWINPACT_ORACLE_PYTHON").map(PathBuf::from);
    given.unwrap_or_else(|| project().join("oracles/.venv/bin/python"))
}

/// The processor's results, one a message; `None` when there is no processor.
pub(crate) fn through(shared: &Path, messages: &[Value]) -> Option<Vec<Value>> {
    let child = Command::new(python())
        .arg(project().join("oracles/jsonld/roundtrip.py"))
        .env("TWINPACT_SHARED", shared)
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
    let strict = std::env::var("CI_STRICT").is_ok_and(|value| value == "1");
    assert!(!strict, "CI_STRICT=1 and no JSON-LD oracle: {reason}");
    println!("skipped: no JSON-LD oracle: {reason}");
    None
}
