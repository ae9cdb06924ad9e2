//! Queries: read, met, followed from part to part.

use super::super::tests::{cards, offer};
use super::super::{Card, DatasetOffer};
use super::{MAX_CONDITIONS, MAX_VALUES, Part, Query, like};
use crate::message::CatalogRequest;
use proptest::prelude::*;
use serde_json::{Value, json};

const WHOLE: usize = usize::MAX;

fn read(filter: Value) -> Result<Query, String> {
    let filter = filter.as_array().cloned().unwrap_or_else(|| vec![filter]);
    Query::read(&CatalogRequest { id: None, filter }).map_err(|refused| refused.reason)
}

fn spec(members: Value) -> Query {
    let mut members = members;
    members["@type"] = json!("QuerySpec");
    read(members).unwrap()
}

fn ids(part: &Part<'_>) -> Vec<String> {
    part.shown.iter().map(|card| card.id.clone()).collect()
}

#[test]
fn a_filter_names_a_part_or_is_refused() {
    let all = Some((0, None));
    for (filter, expect) in [
        (json!([]), all),
        (
            json!([{"@type": "QuerySpec", "offset": 0, "limit": 50, "filterExpression": []}]),
            Some((0, Some(50))),
        ),
        (json!([{"@type": "https://w3id.org/edc/v0.0.1/ns/QuerySpec"}]), all),
        (
            json!([{"@type": "edc:QuerySpec", "edc:offset": 7, "edc:limit": {"@value": 3}}]),
            Some((7, Some(3))),
        ),
        (
            json!([{"@type": "QuerySpec",
                 "https://w3id.org/edc/v0.0.1/ns/offset": [{"@value": 2}], "limit": null}]),
            Some((2, None)),
        ),
        (
            json!([{"@type": "QuerySpec", "limit": 5}, {"@type": "QuerySpec", "limit": 5}]),
            Some((0, Some(5))),
        ),
        (json!([{"@type": "QuerySpec", "sortOrder": "ASC", "sortField": null}]), all),
        (json!([{"@type": "QuerySpec", "sortField": "title"}]), None),
        (json!([{"@type": "QuerySpec", "limit": 5}, {"@type": "QuerySpec", "limit": 6}]), None),
        (json!([{"@type": "QuerySpec", "offset": -1}]), None),
        (json!([{"@type": "QuerySpec", "offset": 1.5}]), None),
        (json!([{"@type": "QuerySpec", "limit": "50"}]), None),
        (json!([{"@type": "QuerySpec", "limit": [1, 2]}]), None),
        (json!([{"type": "x"}]), None),
        (json!(["x"]), None),
    ] {
        let got = read(filter.clone()).map(|query| (query.offset, query.limit));
        assert_eq!(got.as_ref().ok(), expect.as_ref(), "{filter} {got:?}");
    }
}

#[test]
fn conditions_are_met_or_refused() {
    let written = |id: &str, title: &str, format: &str| {
        Card::of(&DatasetOffer {
            title: Some(title.to_owned()),
            description: Some(format!("about {title}")),
            formats: vec!["HttpData-PULL".to_owned(), format.to_owned()],
            conforms_to: vec![format!("{id}/schema")],
            ..offer(id)
        })
        .unwrap()
    };
    let all = [written("urn:a", "Alpha_1", "X"), written("urn:b", "Beta", "Y")];
    let check = |left: &str, operator: &str, right: Value, expect: Option<&[&str]>| {
        let condition = json!({"operandLeft": left, "operator": operator, "operandRight": right});
        let filter = json!({"@type": "QuerySpec", "filterExpression": [condition]});
        let found = read(filter).map(|query| ids(&query.part(all.iter(), WHOLE)));
        let expect = expect.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(found.as_ref().ok(), expect.as_ref(), "{left} {operator} {right} {found:?}");
    };
    let (a, b, both, none) = (Some(&["urn:a"][..]), Some(&["urn:b"][..]), ["urn:a", "urn:b"], &[]);
    check("id", "=", json!("urn:a"), a);
    check("https://w3id.org/edc/v0.0.1/ns/id", "=", json!({"@value": "urn:b"}), b);
    check("'https://w3id.org/edc/v0.0.1/ns/id'", "=", json!([{"@value": "urn:b"}]), b);
    check("@id", "!=", json!("urn:b"), a);
    check("id", "in", json!(["urn:a", "urn:b", "urn:c"]), Some(&both));
    check("id", "IN", json!(["urn:c"]), Some(none));
    check("dct:title", "=", json!("Beta"), b);
    check("name", "like", json!("%_a"), b);
    check("title", "like", json!("Alpha%"), a);
    check("description", "like", json!("%eta%"), b);
    check("dct:format", "=", json!("X"), a);
    check("format", "=", json!("HttpData-PULL"), Some(&both));
    check("format", "!=", json!("Y"), a);
    check("http://purl.org/dc/terms/conformsTo", "=", json!("urn:b/schema"), b);
    check("size", "=", json!("1"), None);
    check("id", "<", json!("1"), None);
    check("id", "=", json!(1), None);
    check("id", "=", json!([]), None);
    check("id", "=", json!(null), None);
    check("id", "=", json!("x".repeat(super::MAX_VALUE_BYTES)), Some(none));
    check("id", "like", json!("x".repeat(super::MAX_FORM_BYTES)), Some(none));
    check("id", "like", json!("x".repeat(super::MAX_FORM_BYTES + 1)), None);
    check("id", "like", json!(["x", "y"]), None);
    // What could not stand in a link.
    check("id", "in", json!(vec!["x".repeat(super::MAX_VALUE_BYTES); 3]), None);
    check("id", "=", json!("x".repeat(super::MAX_VALUE_BYTES + 1)), None);
    check("id", "in", json!(vec!["x"; MAX_VALUES]), Some(none));
    check("id", "in", json!(vec!["x"; MAX_VALUES + 1]), None);
    let one = json!({"operandLeft": "id", "operator": "=", "operandRight": "urn:a"});
    for (n, ok) in [(1, true), (MAX_CONDITIONS, true), (MAX_CONDITIONS + 1, false)] {
        let filter = json!({"@type": "QuerySpec", "filterExpression": vec![one.clone(); n]});
        assert_eq!(read(filter).is_ok(), ok, "{n}");
    }
    let form = json!({"operandLeft": "id", "operator": "like", "operandRight": "%"});
    for (n, ok) in [(super::MAX_FORMS, true), (super::MAX_FORMS + 1, false)] {
        let filter = json!({"@type": "QuerySpec", "filterExpression": vec![form.clone(); n]});
        assert_eq!(read(filter).is_ok(), ok, "{n}");
    }
    let alone = json!({"@type": "QuerySpec", "filterExpression": one});
    assert_eq!(ids(&read(alone).unwrap().part(all.iter(), WHOLE)), ["urn:a"]);
    for bad in [json!("x"), json!([{"x": 1}]), json!({"operandLeft": "id", "operator": "="})] {
        assert!(read(json!({"@type": "QuerySpec", "filterExpression": bad})).is_err(), "{bad}");
    }
}

#[test]
fn a_form_is_matched_whole() {
    for (text, form, expect) in [
        ("", "", true),
        ("a", "", false),
        ("", "%", true),
        ("", "_", false),
        ("abc", "abc", true),
        ("abc", "a_c", true),
        ("abc", "a%", true),
        ("abc", "%c", true),
        ("abc", "%b%", true),
        ("abc", "%b", false),
        ("aab", "%ab", true),
        ("abab", "%ab", true),
        ("ab%", "ab_", true),
        ("äöü", "_ö_", true),
        ("abc", "%%%", true),
        ("abc", "____", false),
    ] {
        assert_eq!(like(text, form), expect, "{text:?} {form:?}");
    }
}

/// Follows the links from the first part; each is read back from its text, and leads back.
fn followed(cards: &[Card], first: Query, most: usize) -> Vec<Vec<String>> {
    let (mut query, mut parts) = (first, Vec::new());
    loop {
        let part = query.part(cards.iter(), most);
        parts.push(ids(&part));
        let Some(next) = part.next else { return parts };
        assert_eq!(Query::of_link(Some(&next.written())).as_ref(), Ok(&next));
        if query.limit.is_some() {
            let back = next.part(cards.iter(), WHOLE).previous.unwrap();
            assert_eq!(Query::of_link(Some(&back.written())).as_ref(), Ok(&back));
            assert_eq!(Some(&ids(&back.part(cards.iter(), WHOLE))), parts.last());
        }
        query = next;
    }
}

#[test]
fn parts_cover_the_catalogue_once() {
    let cards = cards(7);
    let bytes = cards[0].json.len() + 1;
    for (query, most, expect) in [
        (spec(json!({})), WHOLE, vec![(0, 7)]),
        (spec(json!({"limit": 3})), WHOLE, vec![(0, 3), (3, 6), (6, 7)]),
        (spec(json!({"limit": 7})), WHOLE, vec![(0, 7)]),
        (spec(json!({"limit": usize::MAX})), WHOLE, vec![(0, 7)]),
        (spec(json!({"offset": 5, "limit": 1})), WHOLE, vec![(5, 6), (6, 7)]),
        (spec(json!({"offset": 7, "limit": 3})), WHOLE, vec![(0, 0)]),
        (spec(json!({"offset": usize::MAX})), WHOLE, vec![(0, 0)]),
        (spec(json!({"limit": 0})), WHOLE, vec![(0, 0)]),
        (spec(json!({})), 3 * bytes, vec![(0, 3), (3, 6), (6, 7)]),
        (spec(json!({})), 0, (0..7).map(|n| (n, n + 1)).collect()),
        (spec(json!({"limit": 2})), bytes, (0..7).map(|n| (n, n + 1)).collect()),
    ] {
        let expect: Vec<Vec<String>> = expect
            .into_iter()
            .map(|(from, to): (usize, usize)| (from..to).map(|i| format!("urn:d:{i:03}")).collect())
            .collect();
        let got = match most {
            WHOLE => followed(&cards, query.clone(), most),
            // Parts that are cut by their bytes lead forwards only.
            _ => {
                let (mut query, mut parts) = (query.clone(), Vec::new());
                loop {
                    let part = query.part(cards.iter(), most);
                    parts.push(ids(&part));
                    let Some(next) = part.next else { break parts };
                    query = next;
                }
            }
        };
        assert_eq!(got, expect, "{query:?} {most}");
    }
}

#[test]
fn a_page_stays_whole_while_the_catalogue_changes() {
    let cards = cards(6);
    let first = spec(json!({"limit": 2})).part(cards.iter(), WHOLE);
    let next = first.next.unwrap();
    let fewer: Vec<&Card> = cards.iter().filter(|card| card.id != "urn:d:001").collect();
    assert_eq!(ids(&next.part(fewer.into_iter(), WHOLE)), ["urn:d:002", "urn:d:003"]);
}

#[test]
fn a_link_is_read_back_or_refused() {
    for (text, ok) in [
        (None, true),
        (Some(""), true),
        (Some("page=%7B%7D"), true),
        (Some("page=%7B%22after%22%3A%22urn%3Aa%22%7D"), true),
        (Some("page="), false),
        (Some("page=%7B"), false),
        (Some("page=1"), false),
        (Some("page=%7B%22after%22%3A1%7D"), false),
        (Some("page=%7B%22limit%22%3A-1%7D"), false),
        (Some("limit=1"), false),
        (Some("page=%7B%7D&x=1"), false),
    ] {
        assert_eq!(Query::of_link(text).is_ok(), ok, "{text:?}");
    }
    assert_eq!(Query::default().written(), "");
}

#[test]
fn the_longest_query_is_read_back_from_its_link() {
    let value = "x".repeat(super::MAX_VALUE_BYTES);
    let condition = json!({"operandLeft": "id", "operator": "in", "operandRight": [value, value]});
    let filter =
        json!({"@type": "QuerySpec", "limit": usize::MAX, "filterExpression": [condition]});
    let query = Query { after: Some("y".repeat(1_500)), ..read(filter).unwrap() };
    assert_eq!(Query::of_link(Some(&query.written())), Ok(query));
}

proptest! {
    #[test]
    fn links_lead_through_everything_once(
        n in 0_usize..40, limit in 1_usize..12, wanted in "[0-9]"
    ) {
        let cards = cards(n);
        let condition =
            json!({"operandLeft": "id", "operator": "like", "operandRight": format!("%{wanted}")});
        for query in [
            spec(json!({ "limit": limit })),
            spec(json!({ "limit": limit, "filterExpression": [condition] })),
        ] {
            let whole = Query { limit: None, ..query.clone() };
            let all = ids(&whole.part(cards.iter(), WHOLE));
            prop_assert_eq!(followed(&cards, query, WHOLE).concat(), all);
        }
    }
}
