//! The page of forged, stale and borrowed identities (`docs/identities.md`): causes have codes of
//! their own, or a reason to share one, and what a node said is what the page says.

use std::collections::{BTreeMap, BTreeSet};
use twinpact_identity::refusal::Refusal;
use twinpact_model::codes;

const PAGE: &str = include_str!("../../../../docs/identities.md");
const FORGED: &str = include_str!("../golden/forged.txt");
/// How many rows have, at least, a code that no other row has.
const OWN_AT_LEAST: usize = 40;

/// What is shown, and the code that it is refused with.
fn rows(page: &'static str) -> Vec<(&'static str, &'static str)> {
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (what, code) = (cells.next()?, cells.next()?);
        Some((what, code.strip_prefix('`')?.strip_suffix('`')?))
    };
    page.lines().filter_map(row).collect()
}

#[test]
fn causes_have_codes_of_their_own_or_a_reason_to_share_one() {
    let rows = rows(PAGE);
    let mut by_code: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().for_each(|(_, code)| *by_code.entry(code).or_default() += 1);
    let (own, shared): (Vec<_>, Vec<_>) = by_code.iter().partition(|(_, rows)| **rows == 1);
    assert!(own.len() >= OWN_AT_LEAST, "{} of {} rows: {own:?}", own.len(), rows.len());
    let (_, reasons) = PAGE.split_once("## Rows that share a code").unwrap();
    let reasons: BTreeSet<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once("`: ").map(|(code, _)| code))
        .collect();
    let shared: BTreeSet<&str> = shared.into_iter().map(|(code, _)| *code).collect();
    assert_eq!(shared, reasons, "shared, and the reasons for it");
    for code in by_code.keys() {
        let at_the_door = Refusal::ALL.iter().any(|refusal| refusal.name() == *code);
        assert!(at_the_door || codes::find(code).is_some(), "there is no code {code}");
    }
    let (_, tokens) = PAGE.split_once("## Tokens and assertions").unwrap();
    let said: Vec<(&str, &str)> = FORGED
        .lines()
        .map(|line| {
            let (what, said) = line.split_once(" | ").unwrap();
            (what, said.split_once(": ").unwrap().0)
        })
        .collect();
    assert_eq!(self::rows(tokens), said, "the page, and what a node said");
}
