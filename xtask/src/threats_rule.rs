//! The rule about threats: each row of the pages about attacks and about forged identities names
//! the tests that show what it says, or says that it is not covered, and every test that it names
//! is there.

use crate::finding::{File, Finding};
use std::collections::BTreeSet;

/// The page of threats.
const THREATS: &str = "THREATS.md";
/// The page of forged, stale and borrowed identities.
const IDENTITIES: &str = "docs/identities.md";
/// What a row says that no test shows.
const UNCOVERED: &str = "not covered";

/// Holds the last column of the page against the functions of the crates.
#[must_use]
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let Some(page) = files.iter().find(|file| file.path == THREATS) else {
        return vec![Finding::new(THREATS, 1, "the page of threats is gone")];
    };
    let functions = functions(files);
    let more = files.iter().find(|file| file.path == IDENTITIES);
    more.into_iter().chain([page]).flat_map(|page| rows(page, &functions)).collect()
}

fn rows(page: &File, functions: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(page.text.lines()) {
        let Some(cell) = last_cell(line) else { continue };
        for shown in cell.split(',').map(str::trim) {
            let name = shown.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            let reason = match name {
                Some(name) if functions.contains(name) => continue,
                None if shown == UNCOVERED => continue,
                Some(name) => format!("there is no test {name}"),
                None => format!("a row ends with tests in backticks, or {UNCOVERED:?}"),
            };
            findings.push(Finding::new(&page.path, number, reason));
        }
    }
    findings
}

/// The last cell of a table row that is neither a head nor the line under it.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cell = row.rsplit('|').next()?.trim();
    (!cell.starts_with('-') && cell != "shown by").then_some(cell)
}

/// The names of all functions of the crates, tests included.
fn functions(files: &[File]) -> BTreeSet<&str> {
    let ours = |file: &&File| file.path.starts_with("crates/") && file.path.ends_with(".rs");
    files.iter().filter(ours).flat_map(|file| file.text.lines().filter_map(function)).collect()
}

/// The function that this line declares.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "async", "const"];
    let declares = before.split_whitespace().all(|word| words.contains(&word));
    let name = after.split(['(', '<']).next()?;
    declares.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::finding::File;

    fn findings(page: &str) -> Vec<String> {
        let code = "#[test]\nfn a_is_so() {}\n    async fn b_is_so() {}\n// says fn c_is_so()\n";
        let files =
            [File::new("crates/node/src/a.rs", code), File::new("THREATS.md", page.to_owned())];
        check(&files).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn rows_name_tests_that_are_there() {
        let head = "| outcome | what | shown by |\n|---|---|---|\n";
        for (row, expect) in [
            ("| theft | a | `a_is_so`, `b_is_so` |", None),
            ("| theft | a | not covered |", None),
            ("words, and `c_is_so` in them", None),
            ("| theft | a | `c_is_so` |", Some("THREATS.md:3: there is no test c_is_so")),
            ("| theft | a | a_is_so |", Some("THREATS.md:3: a row ends with")),
            ("| theft | a | |", Some("THREATS.md:3: a row ends with")),
        ] {
            let found = findings(&format!("{head}{row}\n"));
            assert_eq!(found.len(), usize::from(expect.is_some()), "{row}: {found:?}");
            assert!(found.iter().all(|text| text.starts_with(expect.unwrap_or_default())), "{row}");
        }
        assert!(!check(&[]).is_empty());
    }
}
