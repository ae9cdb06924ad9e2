//! Our own catalogue: from offers to datasets, page by page.
//!
//! Datasets are sorted by id, and a cursor names the id that a page begins after, so that pages
//! stay whole while the catalogue changes. The protocol leaves filters open: a part by offset and
//! limit is given, and any other filter is refused rather than ignored.

use crate::message::{
    Access, Catalog, CatalogRequest, DataService, Dataset, Distribution, MAX_ITEMS, Offer,
};
use crate::rejected::{Rejected, Status};
use crate::terms;
use crate::{policy_form, route};
use serde_json::{Map, Value};
use twinpact_model::codes;

/// The most datasets of one page.
pub const MAX_PAGE: usize = 500;

/// What a contract offers to a partner.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetOffer {
    /// The dataset's id: what negotiations name as their target.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// The offer's `@id`.
    pub offer_id: String,
    /// The ODRL policy: an object with its permissions, prohibitions and obligations.
    pub policy: Value,
    /// The base address to negotiate at, without a trailing slash.
    pub endpoint: String,
    /// The transfer formats, for example `HttpData-PULL`; at least one.
    pub formats: Vec<String>,
}

/// One page of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The page.
    pub catalog: Catalog,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// The cursor of the page before.
    pub previous: Option<String>,
}

/// Whose catalogue it is.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The catalogue's `@id`.
    pub catalog_id: &'a str,
    /// The participant id.
    pub participant_id: &'a str,
    /// The `@id` of its service.
    pub service_id: &'a str,
    /// The base address of its service.
    pub endpoint: &'a str,
}

/// Which part of the catalogue a request asks for, of the datasets in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// How many datasets are left out before it.
    pub offset: usize,
    /// How many it has at most; all without it.
    pub limit: Option<usize>,
}

/// Reads what a catalogue request asks for. A query with `offset` and `limit` and without any
/// expression, as connectors of the EDC family always send one, asks for a part.
///
/// # Errors
/// `dsp.filter` for a filter that would change the answer in another way, for a part that is none,
/// and for more than one.
pub fn window(request: &CatalogRequest) -> Result<Window, Rejected> {
    let refused = |reason: &str| {
        let (status, code) = (Status::BadRequest, codes::DSP_FILTER);
        Err(Rejected { status, code, reason: reason.to_owned() })
    };
    let mut window = None;
    for filter in &request.filter {
        let Some(members) = filter.as_object().filter(|members| is_empty_query(members)) else {
            return refused("this catalogue has no filters; ask without one");
        };
        let (Ok(offset), Ok(limit)) = (number(members, "offset"), number(members, "limit")) else {
            return refused("offset and limit are whole numbers from 0");
        };
        let part = Window { offset: offset.unwrap_or(0), limit };
        if window.replace(part).is_some_and(|other| other != part) {
            return refused("the filter asks for two parts of the catalogue");
        }
    }
    Ok(window.unwrap_or_default())
}

/// The last part of a name: names come bare, with a prefix or in full.
fn bare(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}

/// Whether that is a query without any expression.
fn is_empty_query(members: &Map<String, Value>) -> bool {
    let kind = members.get("@type").and_then(Value::as_str).unwrap_or_default();
    let mut expressions = members.iter().filter(|(key, _)| bare(key) == "filterExpression");
    bare(kind) == "QuerySpec" && expressions.all(|(_, value)| terms::is_nothing(value))
}

/// The number of that name, if there is one; it may be a value object or the one item of a list,
/// as a processor of JSON-LD leaves it.
fn number(members: &Map<String, Value>, name: &str) -> Result<Option<usize>, ()> {
    let Some((_, value)) = members.iter().find(|(key, _)| bare(key) == name) else {
        return Ok(None);
    };
    let mut value = value;
    while let Some(inner) = match value {
        Value::Array(items) if items.len() == 1 => items.first(),
        Value::Object(members) => members.get("@value"),
        _ => None,
    } {
        value = inner;
    }
    match value {
        Value::Null => Ok(None),
        value => value.as_u64().and_then(|n| usize::try_from(n).ok()).map(Some).ok_or(()),
    }
}

/// The page of the catalogue that a cursor names, the first without one. The offers may come in any
/// order; of several with one id the first is shown.
///
/// # Errors
/// `dsp.malformed` for a cursor that is none of ours, or an offer that cannot be written.
pub fn page(
    owner: Owner<'_>,
    offers: &[DatasetOffer],
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page, Rejected> {
    paged(owner, &sorted(offers), cursor, limit)
}

/// That part of the catalogue, of at most [`MAX_PAGE`] datasets.
///
/// # Errors
/// `dsp.malformed` for an offer that cannot be written.
pub fn part(
    owner: Owner<'_>,
    offers: &[DatasetOffer],
    window: Window,
) -> Result<Catalog, Rejected> {
    let all = sorted(offers);
    let rest = all.get(window.offset..).unwrap_or_default();
    let most = window.limit.unwrap_or(rest.len()).min(rest.len());
    Ok(paged(owner, rest.get(..most).unwrap_or_default(), None, MAX_PAGE)?.catalog)
}

/// By their ids, each once.
fn sorted(offers: &[DatasetOffer]) -> Vec<&DatasetOffer> {
    let mut sorted: Vec<&DatasetOffer> = offers.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    sorted.dedup_by(|later, first| later.id == first.id);
    sorted
}

fn paged(
    owner: Owner<'_>,
    sorted: &[&DatasetOffer],
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page, Rejected> {
    let limit = limit.clamp(1, MAX_PAGE);
    let after = cursor.map(read_cursor).transpose()?;
    let start = after.map_or(0, |after| sorted.partition_point(|offer| offer.id <= after));
    let shown: Vec<&DatasetOffer> = sorted.iter().skip(start).take(limit).copied().collect();
    let more = start.saturating_add(shown.len()) < sorted.len();
    let next = shown.last().filter(|_| more).map(|last| write_cursor(&last.id));
    let before = start.checked_sub(limit).filter(|_| start > 0);
    let previous = (start > 0).then(|| {
        let anchor = before.and_then(|at| at.checked_sub(1)).and_then(|at| sorted.get(at));
        anchor.map_or_else(|| FIRST.to_owned(), |offer| write_cursor(&offer.id))
    });
    let datasets = shown.into_iter().map(dataset).collect::<Result<_, _>>()?;
    let service = DataService {
        id: owner.service_id.to_owned(),
        endpoint_url: owner.endpoint.to_owned(),
        endpoint_description: Some("dspace:connector".to_owned()),
    };
    let catalog = Catalog {
        id: owner.catalog_id.to_owned(),
        participant_id: Some(owner.participant_id.to_owned()),
        datasets,
        services: vec![service],
        ..Catalog::default()
    };
    Ok(Page { catalog, next, previous })
}

/// The dataset of one offer.
///
/// # Errors
/// `dsp.malformed` when its policy is no object, says nothing, or names another target; when it has
/// no format or too many.
pub fn dataset(offer: &DatasetOffer) -> Result<Dataset, Rejected> {
    let bad = |why: &str| Rejected::malformed(format!("the dataset {} {why}", offer.id));
    let members = offer.policy.as_object().ok_or_else(|| bad("has a policy that is no object"))?;
    let mut policy: Map<String, Value> = policy_form::normalise(members)?;
    let target = policy.remove("target");
    if target.is_some_and(|target| target != offer.id) {
        return Err(bad("has a policy for another target"));
    }
    let mut take = |key: &str| policy.remove(key).and_then(|v| v.as_str().map(str::to_owned));
    let (assigner, assignee) = (take("assigner"), take("assignee"));
    policy.retain(|key, _| !key.starts_with('@'));
    let ruled = |key: &str| policy.get(key).is_some_and(|rules| !terms::is_nothing(rules));
    if !ruled("permission") && !ruled("prohibition") {
        return Err(bad("has a policy without a permission or prohibition"));
    }
    if offer.formats.is_empty() || offer.formats.len() > MAX_ITEMS {
        return Err(bad("has no format, or too many"));
    }
    policy.sort_keys();
    let distribution = |format: &String| Distribution {
        format: format.clone(),
        access: Access::Service(DataService {
            id: format!("{}#service", offer.endpoint),
            endpoint_url: offer.endpoint.clone(),
            endpoint_description: Some("dspace:connector".to_owned()),
        }),
        offers: Vec::new(),
    };
    Ok(Dataset {
        id: offer.id.clone(),
        title: offer.title.clone(),
        description: offer.description.clone(),
        offers: vec![Offer {
            id: offer.offer_id.clone(),
            target: None,
            assigner,
            assignee,
            policy: Value::Object(policy),
        }],
        distributions: offer.formats.iter().map(distribution).collect(),
    })
}

/// The cursor of the first page.
const FIRST: &str = "first";

/// A cursor is the percent-encoded id that its page begins after, behind a mark.
fn write_cursor(id: &str) -> String {
    format!("after.{}", route::segment(id))
}

/// The id that the page begins after; empty for the first page, since no id is.
fn read_cursor(cursor: &str) -> Result<String, Rejected> {
    if cursor == FIRST {
        return Ok(String::new());
    }
    let id = cursor.strip_prefix("after.").and_then(route::decode);
    id.ok_or_else(|| Rejected::malformed("the cursor is none of this catalogue"))
}

#[cfg(test)]
mod tests {
    use super::{DatasetOffer, Owner, Page, Window, dataset, page, part, window};
    use crate::message::{CatalogRequest, Message};
    use serde_json::{Value, json};

    fn offer(id: &str) -> DatasetOffer {
        DatasetOffer {
            id: id.to_owned(),
            title: Some("Turbines".to_owned()),
            description: None,
            offer_id: format!("{id}/offer"),
            policy: json!({"@type": "Offer", "odrl:permission": {"action": "odrl:use"}}),
            endpoint: "https://operator.example/dsp".to_owned(),
            formats: vec!["HttpData-PULL".to_owned()],
        }
    }

    fn owner() -> Owner<'static> {
        Owner {
            catalog_id: "urn:c",
            participant_id: "did:web:operator.example",
            service_id: "urn:s",
            endpoint: "https://operator.example/dsp",
        }
    }

    fn pages(n: usize, limit: usize) -> Vec<Page> {
        let offers: Vec<DatasetOffer> =
            (0..n).rev().map(|i| offer(&format!("urn:d:{i:03}"))).collect();
        let owner = owner();
        let mut out = vec![page(owner, &offers, None, limit).unwrap()];
        while let Some(next) = out.last().unwrap().next.clone() {
            out.push(page(owner, &offers, Some(&next), limit).unwrap());
        }
        for pair in out.windows(2) {
            let back = pair[1].previous.as_deref();
            assert_eq!(page(owner, &offers, back, limit).unwrap().catalog, pair[0].catalog);
        }
        assert!(page(owner, &offers, Some("x"), limit).is_err());
        out
    }

    #[test]
    fn pages_cover_the_catalogue_once() {
        for (n, limit, expect) in [(0, 3, 1), (3, 3, 1), (4, 3, 2), (10, 3, 4), (5, 0, 5)] {
            let pages = pages(n, limit);
            assert_eq!(pages.len(), expect, "{n} by {limit}");
            let ids: Vec<String> = pages
                .iter()
                .flat_map(|p| p.catalog.datasets.iter().map(|d| d.id.clone()))
                .collect();
            let all: Vec<String> = (0..n).map(|i| format!("urn:d:{i:03}")).collect();
            assert_eq!(ids, all);
            assert_eq!(pages[0].previous, None);
        }
    }

    #[test]
    fn a_catalogue_reads_back() {
        let catalog = pages(2, 9).remove(0).catalog;
        let message = Message::Catalog(catalog);
        assert_eq!(Message::parse(&message.to_json()), Ok(message.clone()));
        let text = message.to_json().to_string();
        assert!(!text.contains("target") && !text.contains("null"), "{text}");
    }

    #[test]
    fn offers_are_checked() {
        let with = |policy: Value| dataset(&DatasetOffer { policy, ..offer("urn:d") });
        assert!(with(json!({"permission": [{"action": "use"}], "target": "urn:d"})).is_ok());
        for bad in [
            json!("x"),
            json!({}),
            json!({"permission": []}),
            json!({"permission": [{"action": "use"}], "target": "urn:other"}),
        ] {
            assert!(with(bad.clone()).is_err(), "{bad}");
        }
        assert!(dataset(&DatasetOffer { formats: vec![], ..offer("urn:d") }).is_err());
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
            (json!([{"@type": "QuerySpec", "limit": 5}, {"@type": "QuerySpec", "limit": 6}]), None),
            (json!([{"@type": "QuerySpec", "offset": -1}]), None),
            (json!([{"@type": "QuerySpec", "offset": 1.5}]), None),
            (json!([{"@type": "QuerySpec", "limit": "50"}]), None),
            (json!([{"@type": "QuerySpec", "limit": [1, 2]}]), None),
            (json!([{"@type": "QuerySpec", "filterExpression": [{"operandLeft": "x"}]}]), None),
            (json!([{"@type": "QuerySpec", "edc:filterExpression": {"x": 1}}]), None),
            (json!([{"type": "x"}]), None),
            (json!(["x"]), None),
        ] {
            let request = CatalogRequest { id: None, filter: filter.as_array().unwrap().clone() };
            let got = window(&request).map(|window| (window.offset, window.limit));
            assert_eq!(got.as_ref().ok(), expect.as_ref(), "{filter} {got:?}");
        }
    }

    #[test]
    fn parts_cover_the_catalogue_once() {
        let offers: Vec<DatasetOffer> =
            (0..7).rev().map(|i| offer(&format!("urn:d:{i}"))).collect();
        for (offset, limit, expect) in [
            (0, None, 0..7),
            (0, Some(3), 0..3),
            (3, Some(3), 3..6),
            (6, Some(3), 6..7),
            (7, Some(3), 0..0),
            (usize::MAX, None, 0..0),
            (2, Some(0), 0..0),
            (0, Some(usize::MAX), 0..7),
        ] {
            let window = Window { offset, limit };
            let got = part(owner(), &offers, window).unwrap().datasets;
            let ids: Vec<String> = got.into_iter().map(|dataset| dataset.id).collect();
            let expect: Vec<String> = expect.map(|i| format!("urn:d:{i}")).collect();
            assert_eq!(ids, expect, "{window:?}");
        }
    }
}
