//! What the tests of the protocol are held against: the shared folder of outside data, the schemas
//! in it, and the foreign JSON-LD processor of `oracles/jsonld`. The tests of the node include this
//! file too. What is not there is said to be skipped, and is a failure when `CI_STRICT=1`.

use jsonschema::{Draft, Registry, Validator};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The shared folder, or `None` with a line that says what was skipped.
pub(crate) fn shared(what: &str) -> Option<PathBuf> {
    let given = std::env::var_os("TWINPACT_SHARED").map(PathBuf::from);
    let path = given.unwrap_or_else(|| project().join("../shared"));
    if path.join("suites/dsp").is_dir() {
        return Some(path);
    }
    assert!(!strict(), "CI_STRICT=1 and no shared data for: {what}");
    println!("skipped: no shared data for: {what}");
    None
}

/// Whether a skipped check is a failure.
fn strict() -> bool {
    std::env::var("CI_STRICT").is_ok_and(|value| value == "1")
}

/// The files of a folder with that ending, sorted.
pub(crate) fn json_files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files
}

/// The folders of the protocol's suite.
pub(crate) const FOLDERS: [&str; 4] = ["catalog", "common", "negotiation", "transfer"];

/// The schemas of the suite, each under its `$id`; nothing is fetched.
pub(crate) struct Schemas(Vec<(String, Value)>);

impl Schemas {
    pub(crate) fn load(shared: &Path) -> Self {
        let folders = FOLDERS.map(|folder| shared.join("suites/dsp").join(folder));
        let files = folders.iter().flat_map(|folder| json_files(folder, "-schema.json"));
        Schemas(
            files
                // Three references of the suite lack the slash of a JSON pointer (RFC 6901).
                .map(|path| std::fs::read_to_string(path).unwrap())
                .map(|text| text.replace("#definitions/", "#/definitions/"))
                .map(|text| serde_json::from_str::<Value>(&text).unwrap())
                .map(|schema| (schema["$id"].as_str().unwrap().to_owned(), schema))
                .collect(),
        )
    }

    /// The schema of a message, by the name of its type.
    pub(crate) fn of(&self, name: &str) -> Validator {
        let mut file = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !file.is_empty() {
                file.push('-');
            }
            file.push(c.to_ascii_lowercase());
        }
        let file = match name {
            "VersionResponse" => "protocol-version".to_owned(),
            _ => file,
        };
        let suffix = format!("/{file}-schema.json");
        let found = self.0.iter().find(|(id, _)| id.ends_with(&suffix));
        let (_, schema) = found.unwrap_or_else(|| panic!("no schema for {name}"));
        let mut registry = Registry::new();
        for (id, schema) in &self.0 {
            registry = registry.add(id, schema.clone()).unwrap();
        }
        let registry = registry.prepare().unwrap();
        let options = jsonschema::options().with_draft(Draft::Draft201909);
        options.with_registry(&registry).build(schema).unwrap()
    }
}

/// Where the project lies.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python() -> PathBuf {
    let given = std::env::var_os("TWINPACT_ORACLE_PYTHON").map(PathBuf::from);
    given.unwrap_or_else(|| project().join("oracles/.venv/bin/python"))
}

/// The processor's results, one a message; `None` when there is no processor.
pub(crate) fn through(shared: &Path, messages: &[Value]) -> Option<Vec<Value>> {
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
