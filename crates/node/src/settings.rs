//! The settings of `twinpact.toml` as they hold, each with the line that it comes from.

use crate::config::{self, Config, ROOT, TABLES};
use serde_json::Value;
use std::path::Path;
use twinpact_edge::toml_file::TomlFile;
use twinpact_model::problem::Problem;

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its name as in the file: `federation.listen`.
    pub key: String,
    /// Its value; null when there is none.
    pub value: Value,
    /// The line in the file, from 1; `None` when the file does not say it.
    pub line: Option<usize>,
}

/// The settings of the node in that directory.
///
/// # Errors
/// `store.missing` when no node lives there, `store.io`, `config.invalid`.
pub fn read(directory: &Path) -> Result<Vec<Setting>, Problem> {
    of(&config::text(&twinpact_store::vfs::RealDisk, directory)?)
}

fn of(text: &str) -> Result<Vec<Setting>, Problem> {
    let config = Config::parse(text)?;
    let values = serde_json::to_value(&config).unwrap_or_default();
    let file = TomlFile::parse(text)?;
    let tables = TABLES.iter().map(|(table, _)| *table);
    let plain = ROOT.iter().filter(|key| !tables.clone().any(|table| table == **key));
    let mut all: Vec<Setting> = plain
        .map(|key| Setting {
            key: (*key).to_owned(),
            value: values.get(*key).map(shown).unwrap_or_default(),
            line: file.root().get(*key).map(|value| file.line(value.span().start)),
        })
        .collect();
    for (name, keys) in TABLES {
        let table = file.root().get(*name).and_then(|value| value.get_ref().as_table());
        all.extend(keys.iter().map(|key| Setting {
            key: format!("{name}.{key}"),
            value: values.get(*name).and_then(|t| t.get(*key)).map(shown).unwrap_or_default(),
            line: table.and_then(|t| t.get(*key)).map(|value| file.line(value.span().start)),
        }));
    }
    Ok(all)
}

/// A value for people. Nothing secret belongs into the file; a password in a URL is hidden all the
/// same.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_password(text)),
        Value::Array(all) => Value::Array(all.iter().map(shown).collect()),
        other => other.clone(),
    }
}

/// The URL without what stands before an `@` in its authority (RFC 3986 §3.2.1).
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    const FILE: &str = "organisation = \"did:web:a.example\"\nname = \"a\"\n\n[federation]\n\
        # where\n  listen = \"127.0.0.1:8443\"\nendpoint = \"https://me:pw@a.example:8443/x@y\"\n\
        allow_private = [\n  \"https://10.0.0.7\",\n]\n";

    #[test]
    fn every_key_has_its_value_and_its_line() {
        let all = of(FILE).unwrap();
        let check = |key: &str, value: serde_json::Value, line: Option<usize>| {
            let found = all.iter().find(|setting| setting.key == key).unwrap();
            assert_eq!((&found.value, found.line), (&value, line), "{key}");
        };
        check("organisation", "did:web:a.example".into(), Some(1));
        check("name", "a".into(), Some(2));
        check("admin.listen", "127.0.0.1:0".into(), None);
        check("federation.listen", "127.0.0.1:8443".into(), Some(6));
        check("federation.endpoint", "https://…@a.example:8443/x@y".into(), Some(7));
        check("federation.allow_private", serde_json::json!(["https://10.0.0.7"]), Some(8));
        check("assertions.place", serde_json::Value::Null, None);
        assert_eq!(of(&FILE.replace("listen", "lisen")).unwrap_err().code.name, "config.invalid");
    }
}
