//! What partners offer us: their catalogue, part by part, or one dataset of it.

use crate::api::DatasetLine;
use crate::bargain;
use crate::connectors;
use crate::consumer::{denied, refused};
use crate::meaning;
use crate::open::Node;
use crate::outbound::Reply;
use crate::outbox::call;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use twinpact_contract::text;
use twinpact_dsp::message::{CatalogRequest, Dataset, MAX_DATASETS, Offer};
use twinpact_dsp::route::segment;
use twinpact_dsp::{MAX_CATALOG_BYTES, MAX_MESSAGE_BYTES, Message};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The most parts of one catalogue that are fetched.
pub const MAX_PARTS: usize = 1_000;
/// The most bytes of them together, and how long they may take.
pub const MAX_PARTS_BYTES: usize = 4 * MAX_CATALOG_BYTES;
const PATIENCE: Duration = Duration::from_secs(120);
/// How many datasets are named to somebody who has to choose one.
const NAMED: usize = 5;

/// A partner's catalogue.
///
/// # Errors
/// `partner.unknown`; what the partner or the way to it refuses.
pub async fn catalog(node: &Node, partner: &str) -> Result<Vec<DatasetLine>, Problem> {
    let line = |dataset: &Dataset| {
        let offer = dataset.offers.first()?;
        let terms =
            meaning::terms(&offer.policy).map_or_else(|p| p.message, |terms| text::terms(&terms));
        Some(DatasetLine { id: dataset.id.clone(), title: dataset.title.clone(), terms })
    };
    Ok(datasets(node, partner).await?.iter().filter_map(line).collect())
}

/// What a partner offers for a dataset, by its id; without one, for the only dataset that it has.
///
/// # Errors
/// `agreement.unknown` when there is no such dataset, or none was named and there are several; what
/// the partner or the way to it refuses.
pub(crate) async fn offer(
    node: &Node,
    partner: &str,
    dataset: Option<&str>,
) -> Result<(String, Offer), Problem> {
    let first = |dataset: &Dataset| {
        let offer = dataset.offers.first()?.clone();
        Some((dataset.id.clone(), offer))
    };
    if let Some(id) = dataset
        && let Some(found) = one(node, partner, id).await?.as_ref().and_then(first)
    {
        return Ok(found);
    }
    let all = datasets(node, partner).await?;
    let chosen = match dataset {
        Some(id) => all.iter().find(|known| known.id == id),
        None => all.first().filter(|_| all.len() == 1),
    };
    if let Some(found) = chosen.and_then(first) {
        return Ok(found);
    }
    let named: Vec<&str> = all.iter().take(NAMED).map(|dataset| dataset.id.as_str()).collect();
    let more = match all.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more: twinpact catalog {partner}"),
    };
    let why = match dataset {
        None if !all.is_empty() => "the catalogue has several datasets",
        _ => "the catalogue has no such dataset",
    };
    Err(Problem::new(codes::AGREEMENT_UNKNOWN, why)
        .hint(format!("it has: {}{more}", named.join(", "))))
}

/// The dataset of that id, when the partner gives it by its address. Not all can: the id is an IRI,
/// whose slashes some servers take for their own.
async fn one(node: &Node, partner: &str, id: &str) -> Result<Option<Dataset>, Problem> {
    let (_, dsp) = connectors::addresses(node, partner).await?;
    let url = format!("{dsp}/catalog/datasets/{}", segment(id));
    let called = call(node, partner, "GET", url, Vec::new(), Vec::new(), MAX_MESSAGE_BYTES).await;
    // The catalogue may have what cannot be asked for like this, or is too large alone. Who is not
    // there is not there for the catalogue either.
    let elsewhere = [codes::OUTGOING_URL, codes::PEER_ANSWER];
    let reply = match called {
        Err(problem) if elsewhere.contains(&problem.code) => return Ok(None),
        called => called?,
    };
    let read = (reply.status == 200).then(|| Message::parse_bytes(&reply.body));
    match read {
        Some(Ok(Message::Dataset(dataset))) if dataset.id == id => Ok(Some(dataset)),
        _ => Ok(None),
    }
}

/// All datasets of a partner's catalogue, or why they are not to be had.
pub(crate) type Catalogue = Result<Arc<Vec<Dataset>>, Problem>;

/// All datasets of a partner's catalogue, as far as its links lead. Those who want them at the same
/// time share one request.
async fn datasets(node: &Node, partner: &str) -> Catalogue {
    let late = || {
        let why = format!("the catalogue of {partner} was not there after {PATIENCE:?}");
        Problem::new(codes::PEER_LATE, why)
    };
    let ask = async { parts(node, partner).await.map(Arc::new) };
    timeout(PATIENCE, node.catalogues.ask(partner, ask)).await.map_err(|_| late())?
}

async fn parts(node: &Node, partner: &str) -> Result<Vec<Dataset>, Problem> {
    let (_, dsp) = connectors::addresses(node, partner).await?;
    let request = Message::CatalogRequest(CatalogRequest { id: None, filter: Vec::new() });
    let body = request.to_text().into_bytes();
    let mut asked = ("POST", format!("{dsp}/catalog/request"), body);
    let (mut found, mut seen, mut bytes) = (Vec::new(), BTreeSet::new(), 0_usize);
    for _ in 0..MAX_PARTS {
        let (method, url, body) = asked;
        let zipped = vec![("accept-encoding", "gzip".to_owned())];
        let at = url.clone();
        let reply = call(node, partner, method, url, zipped, body, MAX_CATALOG_BYTES).await?;
        let next = reply.next.as_deref().map(|next| joined(&at, next));
        bytes = bytes.saturating_add(reply.body.len());
        found.extend(part(partner, reply)?);
        if found.len() > MAX_DATASETS || bytes > MAX_PARTS_BYTES {
            return Err(endless(partner));
        }
        match next {
            None => return Ok(found),
            Some(next) if seen.insert(next.clone()) => asked = ("GET", next, Vec::new()),
            Some(_) => break,
        }
    }
    Err(endless(partner))
}

fn endless(partner: &str) -> Problem {
    let most = format!("{MAX_DATASETS} datasets in {MAX_PARTS} parts of {MAX_PARTS_BYTES} bytes");
    let why = format!("the catalogue of {partner} has no end: at most {most} are read");
    Problem::new(codes::PEER_ANSWER, why)
}

fn part(partner: &str, reply: Reply) -> Result<Vec<Dataset>, Problem> {
    if reply.status != 200 {
        return Err(denied(&reply.body, reply.status));
    }
    let read = Message::parse_catalog_bytes(&reply.body);
    match read.map_err(|why| Problem::from(why).hint(bargain::ASK))? {
        Message::Catalog(catalog) => Ok(catalog.datasets),
        other => {
            let why = format!("{partner} answered with {}", other.name());
            Err(refused(&why).hint(bargain::ASK))
        }
    }
}

/// The address that a link of an answer from there names (RFC 3986 §5.2, for what is a link to a
/// part: an address, a path from the root, or another query).
fn joined(from: &str, link: &str) -> String {
    let path = from.split('?').next().unwrap_or(from);
    let root = || {
        let host = path.find("://").map_or(0, |at| at + 3);
        let end =
            path.get(host..).and_then(|rest| rest.find('/')).map_or(path.len(), |at| host + at);
        path.get(..end).unwrap_or(path)
    };
    match link.chars().next() {
        Some('/') => format!("{}{link}", root()),
        Some('?') => format!("{path}{link}"),
        _ => link.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn links_are_joined_to_where_they_stood() {
        for (link, expect) in [
            ("https://b/x?page=2", "https://b/x?page=2"),
            ("/y?page=2", "https://a:1/y?page=2"),
            ("?page=2", "https://a:1/dsp/catalog/request?page=2"),
        ] {
            assert_eq!(joined("https://a:1/dsp/catalog/request?page=1", link), expect);
        }
        assert_eq!(joined("https://a", "/y"), "https://a/y");
    }
}
