//! The rule about bounds: every `MAX_…` of the code is explained in the page of limits, and the
//! page names none that is gone.

use crate::finding::{File, Finding};
use std::collections::BTreeMap;

/// The page of limits.
const LIMITS: &str = "docs/limits.md";

/// Holds the constants of the crates against the page.
#[must_use]
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let Some(page) = files.iter().find(|file| file.path == LIMITS) else {
        return vec![Finding::new(LIMITS, 1, "the page of limits is gone")];
    };
    let (declared, named) = (declared(files), named(&page.text));
    let unexplained = declared.iter().filter(|(name, _)| !named.contains_key(*name));
    let gone = named.iter().filter(|(name, _)| !declared.contains_key(*name));
    let unexplained = unexplained
        .map(|(name, (path, line))| Finding::new(path, *line, format!("{LIMITS} lacks {name}")));
    let gone = gone.map(|(name, line)| Finding::new(LIMITS, *line, format!("there is no {name}")));
    unexplained.chain(gone).collect()
}

/// `crate::MAX_NAME` with the place where it is declared.
fn declared(files: &[File]) -> BTreeMap<String, (&str, usize)> {
    let mut found = BTreeMap::new();
    for file in files {
        let Some((name, _)) = file.path.strip_prefix("crates/").and_then(|p| p.split_once("/src/"))
        else {
            continue;
        };
        for (number, line) in (1..).zip(file.text.lines()) {
            let Some((before, after)) = line.split_once("const MAX_") else { continue };
            let declares = before.trim().is_empty() || before.trim().starts_with("pub");
            if let (true, Some((rest, _))) = (declares, after.split_once(':')) {
                found.entry(format!("{name}::MAX_{rest}")).or_insert((file.path.as_str(), number));
            }
        }
    }
    found
}

/// The constants that the page names, each with its first line.
fn named(page: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (number, line) in (1..).zip(page.lines()) {
        for code in line.split('`').skip(1).step_by(2) {
            if code.contains("::MAX_") {
                found.entry(code.to_owned()).or_insert(number);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::finding::File;

    fn findings(code: &str, page: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = [file("crates/node/src/a.rs", code), file("docs/limits.md", page)];
        check(&files).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn code_and_page_name_the_same() {
        let code = "    pub(crate) const MAX_A: usize = 1;\nconst MAX_B: usize = MAX_A;\n";
        assert!(findings(code, "`node::MAX_A` `node::MAX_B`").is_empty());
        let missing = findings(code, "`node::MAX_A`");
        assert!(missing.len() == 1 && missing[0].contains("node::MAX_B"), "{missing:?}");
        let gone = findings(code, "`node::MAX_A`, `node::MAX_B`\n`node::MAX_C`");
        assert!(gone.len() == 1 && gone[0].contains("node::MAX_C"), "{gone:?}");
        assert!(!check(&[]).is_empty());
    }
}
