//! Every setting of `twinpact.toml` that a sentence of ours or a page names is one that there is:
//! who follows a hint must not be told that its key is unknown.

use crate::outside::project;
use std::collections::BTreeSet;
use std::path::Path;
use twinpact_model::{Did, codes};
use twinpact_node::config::Config;
use twinpact_node::{open, settings};

/// Every setting by its name, as `config show` prints them.
fn keys() -> BTreeSet<String> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("node");
    open::init(&path, &Did::new("did:web:a.example").unwrap(), "a").unwrap();
    settings::read(&path).unwrap().into_iter().map(|setting| setting.key).collect()
}

/// The names `TABLE.KEY` in a text, of these tables. What is read from a variable
/// (`x.admin.listen`, `admin.shut()`), a file (`admin.json`) and a code (`admin.token`) are none.
fn named(text: &str, tables: &BTreeSet<&str>) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('.') {
        let table = text[..at].rsplit(|c| !is_name(c)).next().unwrap();
        let before = text[..at - table.len()].chars().next_back();
        let key = text[at + 1..].split(|c| !is_name(c)).next().unwrap();
        let after = text[at + 1 + key.len()..].chars().next();
        let alone = !before.is_some_and(|c| "./-".contains(c)) && after != Some('(');
        let name = format!("{table}.{key}");
        let other = ["json", "rs", "md", "toml"].contains(&key)
            || codes::ALL.iter().any(|code| code.name == name);
        if tables.contains(table) && alone && !key.is_empty() && !other {
            found.insert(name);
        }
    }
    found
}

/// Every file below a directory with one of these endings, with its text.
fn texts(directory: &Path, endings: &[&str], all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() {
            texts(&path, endings, all);
        } else if endings.contains(&ending) {
            all.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_setting_that_is_named_exists() {
    let known = keys();
    let tables: BTreeSet<&str> =
        known.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    let mut all = Vec::new();
    texts(&project().join("docs"), &["md"], &mut all);
    for entry in std::fs::read_dir(project().join("crates")).unwrap() {
        texts(&entry.unwrap().path().join("src"), &["rs"], &mut all);
    }
    let mut seen = BTreeSet::new();
    for (file, text) in &all {
        let named = named(text, &tables);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
        seen.extend(named);
    }
    // It does look: these stand in hints and pages.
    for name in ["federation.endpoint", "federation.allow_private", "admin.listen"] {
        assert!(seen.contains(name), "{name} is named nowhere");
    }
}

#[test]
fn the_names_are_those_of_the_configuration() {
    let head = "organisation = \"did:web:a.example\"\nname = \"a\"\n";
    for name in keys() {
        let Some((table, key)) = name.split_once('.') else { continue };
        // Of a wrong type, or taken; unknown it is not.
        let said = Config::parse(&format!("{head}[{table}]\n{key} = 1\n")).map_err(|p| p.message);
        assert!(!said.as_ref().is_err_and(|why| why.contains("unknown")), "{name}: {said:?}");
        let other = Config::parse(&format!("{head}[{table}]\n{key}x = 1\n")).unwrap_err();
        assert!(other.message.contains("unknown"), "{name}: {other}");
    }
}

#[test]
fn names_are_found_where_they_stand_for_settings() {
    let tables = BTreeSet::from(["admin", "federation"]);
    let check = |text: &str, expect: &[&str]| {
        assert_eq!(
            named(text, &tables),
            expect.iter().map(|n| (*n).to_owned()).collect(),
            "{text}"
        );
    };
    check("set a shorter federation.public_url and", &["federation.public_url"]);
    check("`federation.endpoint`, \"admin.listen\".", &["federation.endpoint", "admin.listen"]);
    check("config.federation.listen x.admin.unwrap() admin.close() admin.json", &[]);
    check("federation.busy is a code; federation. Admin", &[]);
}
