//! Rules about documents: what must be explained is explained, and every link leads somewhere.

use crate::finding::{File, Finding};
use std::collections::BTreeSet;

/// Where the codes are declared.
pub(crate) const CODES: &str = "crates/model/src/codes.rs";
/// The folder of their pages.
const ERRORS: &str = "docs/errors/";
/// What every page of a code answers, in this order.
const ERROR_HEADINGS: &[&str] = &["## What happened", "## Why", "## What to do"];
/// The folder of decision records.
const DECISIONS: &str = "docs/adr/";
/// What every decision record answers, in this order.
const DECISION_HEADINGS: &[&str] = &["## Decision", "## Why", "## Rejected", "## Revisit when"];
/// The page of others' crates.
const DEPENDENCIES: &str = "docs/dependencies.md";

/// All rules about documents; `files` are all text files and `paths` all files of the repository.
#[must_use]
pub(crate) fn check(files: &[File], paths: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let find = |path: &str| files.iter().find(|file| file.path == path);
    match find(CODES) {
        Some(codes) => findings.extend(check_error_pages(codes, files)),
        None => findings.push(Finding::new(CODES, 1, "the list of error codes is gone")),
    }
    match (find("Cargo.toml"), find(DEPENDENCIES)) {
        (Some(manifest), Some(page)) => findings.extend(check_dependencies(manifest, page)),
        _ => findings.push(Finding::new(DEPENDENCIES, 1, "the page of others' crates is gone")),
    }
    findings.extend(check_decisions(files));
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        findings.extend(check_links(file, files, paths));
    }
    findings
}

/// Every code has a page and every page a code.
fn check_error_pages(codes: &File, files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let declared = declared_codes(&codes.text);
    if declared.is_empty() {
        findings.push(Finding::new(&codes.path, 1, "no code is declared here any more"));
    }
    for (line, code) in &declared {
        let path = format!("{ERRORS}{code}.md");
        if !files.iter().any(|file| file.path == path) {
            findings.push(Finding::new(&codes.path, *line, format!("{code} has no page {path}")));
        }
    }
    for page in files {
        let Some(code) = page.path.strip_prefix(ERRORS).and_then(|p| p.strip_suffix(".md")) else {
            continue;
        };
        if code == "README" {
            continue;
        }
        if !declared.iter().any(|(_, declared)| declared == code) {
            findings.push(Finding::new(&page.path, 1, format!("{CODES} has no code {code}")));
        }
        if page.text.lines().next() != Some(&format!("# {code}")) {
            findings.push(Finding::new(&page.path, 1, format!("the title is not # {code}")));
        }
        findings.extend(check_headings(page, ERROR_HEADINGS));
    }
    findings
}

/// Lines and names of the codes: `NAME = "area.what", Fault, Class, "title";`, over one line or
/// several.
fn declared_codes(text: &str) -> Vec<(usize, String)> {
    let declares = |line: &str| {
        let (constant, rest) = line.split_once(" = \"")?;
        let is_constant = constant.trim().chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let name = rest.split('"').next()?;
        is_constant.then(|| name.to_owned())
    };
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(i, line)| Some((i + 1, declares(line)?))).collect()
}

/// Every decision record is `NNNN-title.md`, numbered once, with its four answers.
fn check_decisions(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in files {
        let Some(name) = file.path.strip_prefix(DECISIONS).and_then(|p| p.strip_suffix(".md"))
        else {
            continue;
        };
        if name == "README" {
            continue;
        }
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|b| b.is_ascii_digit()) {
            findings.push(Finding::new(&file.path, 1, "a decision record is NNNN-title.md"));
        } else if !numbers.insert(number.to_owned()) {
            findings.push(Finding::new(&file.path, 1, format!("the number {number} is taken")));
        }
        findings.extend(check_headings(file, DECISION_HEADINGS));
    }
    findings
}

/// The second-level headings are these, in this order, with a text under each.
fn check_headings(file: &File, expected: &[&str]) -> Vec<Finding> {
    let mut found: Vec<(usize, &str, bool)> = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        if line.starts_with("## ") {
            found.push((i + 1, line.trim_end(), false));
        } else if let Some(last) = found.last_mut() {
            last.2 |= !line.trim().is_empty();
        }
    }
    let headings: Vec<&str> = found.iter().map(|(_, heading, _)| *heading).collect();
    if headings != expected {
        let reason = format!("the headings are not {}", expected.join(", "));
        return vec![Finding::new(&file.path, found.first().map_or(1, |f| f.0), reason)];
    }
    let empty = found.iter().filter(|(_, _, filled)| !filled);
    empty
        .map(|(line, heading, _)| {
            Finding::new(&file.path, *line, format!("{heading} says nothing"))
        })
        .collect()
}

/// Every crate of others in `[workspace.dependencies]` has a row, and every row is such a crate.
fn check_dependencies(manifest: &File, page: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let declared = foreign_dependencies(&manifest.text);
    let rows: Vec<(usize, &str)> = page.text.lines().enumerate().filter_map(row).collect();
    for (line, name) in &declared {
        if !rows.iter().any(|(_, row)| row == name) {
            let reason = format!("{name} has no row in {DEPENDENCIES}");
            findings.push(Finding::new(&manifest.path, *line, reason));
        }
    }
    for (line, name) in rows {
        if !declared.iter().any(|(_, declared)| *declared == name) {
            let reason = format!("{name} is not in [workspace.dependencies]");
            findings.push(Finding::new(&page.path, line, reason));
        }
    }
    findings
}

/// The crate that a table row ``| `name` | … |`` is about.
fn row((i, line): (usize, &str)) -> Option<(usize, &str)> {
    let name = line.strip_prefix("| `")?.split_once("` |")?.0;
    Some((i + 1, name))
}

/// Lines and names in `[workspace.dependencies]` that are not folders of ours.
fn foreign_dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (i, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim_end() == "[workspace.dependencies]";
            let table = line.strip_prefix("[workspace.dependencies.");
            found.extend(table.and_then(|t| t.trim_end().strip_suffix(']')).map(|t| (i + 1, t)));
        } else if inside
            && !line.starts_with(['#', ' '])
            && !line.contains("path = ")
            && let Some((name, _)) = line.split_once([' ', '=', '.'])
        {
            found.push((i + 1, name));
        }
    }
    found
}

/// Relative links lead to a file or folder of the repository, and to a heading in it.
fn check_links(file: &File, files: &[File], paths: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in links(&file.text) {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let foreign = path.contains("://") || path.starts_with("mailto:");
        if foreign {
            continue;
        }
        let found =
            if path.is_empty() { Some(file.path.clone()) } else { resolve(&file.path, path) };
        let Some(found) = found else {
            let reason = format!("the link {target} leads out of the repository");
            findings.push(Finding::new(&file.path, line, reason));
            continue;
        };
        let folder = format!("{found}/");
        let exists = found.is_empty()
            || paths.contains(&found)
            || paths.range(folder.clone()..).next().is_some_and(|p| p.starts_with(&folder));
        if !exists {
            let reason = format!("the link {target} leads nowhere");
            findings.push(Finding::new(&file.path, line, reason));
        }
        let page = files.iter().find(|f| f.path == found && f.path.ends_with(".md"));
        if let Some(page) = page.filter(|_| !anchor.is_empty())
            && !anchors(&page.text).any(|a| a == anchor)
        {
            let reason = format!("{found} has no heading #{anchor}");
            findings.push(Finding::new(&file.path, line, reason));
        }
    }
    findings
}

/// The lines of a page that are prose: what stands in fenced code is left out.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(i, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((i + 1, line))
    })
}

/// Lines and targets of `[text](target)` and `[name]: target`, but not inside code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        if let Some((name, target)) = line.strip_prefix('[').and_then(|l| l.split_once("]: "))
            && !name.contains(']')
        {
            found.push((number, target.trim()));
        }
        for (at, _) in line.match_indices("](") {
            let Some((before, rest)) = line.split_at_checked(at) else { continue };
            let in_code = before.matches('`').count() % 2 == 1;
            let target = rest.strip_prefix("](").and_then(|r| r.split([')', ' ']).next());
            if let Some(target) = target.filter(|_| !in_code) {
                found.push((number, target));
            }
        }
    }
    found
}

/// The path from the root of the repository; `None` when it leads out of it.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect()),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a page's headings, as forges make them: lower case, hyphens for spaces, no other
/// punctuation.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::{
        CODES, check, check_decisions, check_dependencies, check_error_pages, check_links,
    };
    use crate::finding::{File, Finding};
    use std::collections::BTreeSet;

    const PAGE: &str = "# a.b\n\n## What happened\nx\n\n## Why\nx\n\n## What to do\nx\n";

    /// The findings are these, as `path:line: words of the reason`.
    fn same(found: &[Finding], expect: &[(&str, usize, &str)]) {
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (finding, (path, line, words)) in found.iter().zip(expect) {
            assert!(
                finding.path == *path && finding.line == *line && finding.reason.contains(words),
                "{finding} is not {path}:{line} … {words}"
            );
        }
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let codes =
            File::new(CODES, "codes! {\n    A_B = \"a.b\", Us, Internal, \"it = \\\"x\\\"\";\n}");
        let check_pages = |pages: &[(&str, &str)], expect: &[(&str, usize, &str)]| {
            let files: Vec<File> = pages.iter().map(|(p, t)| File::new(*p, *t)).collect();
            same(&check_error_pages(&codes, &files), expect);
        };
        let path = "docs/errors/a.b.md";
        check_pages(&[(path, PAGE), ("docs/errors/README.md", "# Codes")], &[]);
        check_pages(&[], &[(CODES, 2, "no page docs/errors/a.b.md")]);
        check_pages(&[(path, &PAGE.replace("# a.b", "# a.c"))], &[(path, 1, "# a.b")]);
        check_pages(&[(path, &PAGE.replace("## Why\nx\n", ""))], &[(path, 3, "headings")]);
        check_pages(&[(path, &PAGE.replace("## Why\nx", "## Why\n"))], &[(path, 6, "nothing")]);
        let other = "docs/errors/a.c.md";
        let text = PAGE.replace("a.b", "a.c");
        check_pages(&[(path, PAGE), (other, &text)], &[(other, 1, "no code a.c")]);
        let none = check_error_pages(&File::new(CODES, "//! Nothing.\n"), &[]);
        same(&none, &[(CODES, 1, "no code is declared")]);
    }

    #[test]
    fn codes_are_found_as_the_compiler_finds_them() {
        let text = include_str!("../../crates/model/src/codes.rs");
        let found = super::declared_codes(text).len();
        let constants = text.lines().filter(|line| line.contains(" = \"")).count();
        assert!(found > 30 && found == constants, "{found} of {constants}");
    }

    #[test]
    fn decisions_have_a_number_and_four_answers() {
        let text = "# T\n## Decision\nx\n## Why\nx\n## Rejected\nx\n## Revisit when\nx\n";
        let check_adrs = |adrs: &[(&str, &str)], expect: &[(&str, usize, &str)]| {
            let files: Vec<File> = adrs.iter().map(|(p, t)| File::new(*p, *t)).collect();
            same(&check_decisions(&files), expect);
        };
        let (one, other, free) = ("docs/adr/0001-a.md", "docs/adr/0001-b.md", "docs/adr/b.md");
        check_adrs(&[(one, text), ("docs/adr/README.md", "")], &[]);
        check_adrs(&[(one, text), (other, text)], &[(other, 1, "0001 is taken")]);
        check_adrs(&[(free, text)], &[(free, 1, "NNNN-title.md")]);
        check_adrs(&[(one, &text.replace("## Rejected\nx\n", ""))], &[(one, 2, "headings")]);
        check_adrs(&[(one, &text.replace("Why\nx", "Why"))], &[(one, 4, "says nothing")]);
    }

    #[test]
    fn every_dependency_has_a_row() {
        let manifest = File::new(
            "Cargo.toml",
            "[workspace.dependencies]\n# Ours.\nours = { path = \"o\" }\nserde = \"1\"\n\
             [workspace.dependencies.tokio]\nversion = \"1\"\n[profile.dev]\nopt-level = 1\n",
        );
        let check_page = |text: &str, expect: &[(&str, usize, &str)]| {
            same(&check_dependencies(&manifest, &File::new("docs/dependencies.md", text)), expect);
        };
        check_page("| crate |\n| --- |\n| `serde` | x |\n| `tokio` | x |\n", &[]);
        check_page("| `tokio` | x |\n", &[("Cargo.toml", 4, "serde has no row")]);
        check_page("| `serde` | x |\n", &[("Cargo.toml", 5, "tokio has no row")]);
        let more = "| `serde` | |\n| `tokio` | |\n| `left` | |\n";
        check_page(more, &[("docs/dependencies.md", 3, "left is not in")]);
    }

    #[test]
    fn links_lead_somewhere() {
        let names = ["README.md", "docs/a.md", "docs/adr/0001-x.md", "src/x.rs"];
        let paths: BTreeSet<String> = names.map(str::to_owned).into();
        let other = File::new("README.md", "# One house, two clocks\n```\n# no heading\n```\n");
        for (text, reason) in [
            ("[a](adr/0001-x.md) [b](../src/x.rs) [c](adr) [d](../src/)", None),
            ("[a](https://a.example/x) [b](mailto:a@b.example)", None),
            ("[a](../README.md#one-house-two-clocks)", None),
            ("# Up here\n[a](#up-here)", None),
            ("`[a](nowhere.md)` and\n```\n[a](nowhere.md)\n```", None),
            ("[a](/src/x.rs \"title\")", None),
            ("[a]: adr/0001-x.md", None),
            ("[a](nowhere.md)", Some("leads nowhere")),
            ("[a](ad)", Some("leads nowhere")),
            ("[a]: nowhere.md", Some("leads nowhere")),
            ("[a](../../shared/x.md)", Some("leads out")),
            ("[a](../README.md#no-heading)", Some("no heading #no-heading")),
            ("[a](#down-there)", Some("no heading #down-there")),
        ] {
            let page = File::new("docs/a.md", text);
            let found = check_links(&page, &[other.clone(), page.clone()], &paths);
            assert_eq!(found.len(), usize::from(reason.is_some()), "{text}: {found:?}");
            assert!(found.iter().all(|f| f.reason.contains(reason.unwrap_or_default())), "{text}");
        }
    }

    #[test]
    fn what_the_rules_stand_on_must_be_there() {
        let missing = check(&[], &BTreeSet::new());
        same(&missing, &[(CODES, 1, "gone"), ("docs/dependencies.md", 1, "gone")]);
    }
}
