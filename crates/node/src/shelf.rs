//! Our catalogue, ready to be sent.
//!
//! What a participant finds depends on the door that it uses, since every dataset names the address
//! to negotiate at, and on the rules about who may know of a contract. So there is one shelf for
//! each address and each set of contracts that are hidden: every dataset written once, put there
//! when a contract is published. A request costs no look at a contract, only the pages that it is
//! answered with; the whole catalogue is kept as it is sent, plain and compressed, and after a
//! publication only what is new of it is compressed ([`packs`]).

mod packs;

use self::packs::Packs;
use crate::connectors::{self, DSP_PATH};
use crate::contracts;
use crate::door::Asked;
use crate::egress::{CatalogDoc, Egress};
use crate::fold::Fold;
use crate::negotiate::Refused;
use crate::open::Node;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Semaphore;
use twinpact_contract::Contract;
use twinpact_dsp::MAX_CATALOG_BYTES;
use twinpact_dsp::catalog::{Card, Owner, Part, Query, around, body, envelope, mark};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::to_hex;

/// From how many bytes on an answer is put together beside the other requests.
const MANY: usize = 262_144;
/// How many answers are put together there at a time.
const BESIDE: usize = 2;
/// The most shelves that are kept: each has a catalogue of its own, and is filled again when it is
/// asked for.
pub const MAX_SHELVES: usize = 8;
/// Below how many bytes it is not worth it to compress: that is on its way in three packets, and to
/// unpack it takes the asker a hundred kilobytes.
const WORTH_IT: usize = 4096;
/// How hard a part is compressed, which happens for each request, and the whole, which is kept.
const LEVELS: (Compression, Compression) = (Compression::new(1), Compression::new(6));

/// The shelves of a node.
#[derive(Debug)]
pub struct Shelves {
    filled: Mutex<Filled>,
    /// Whose turn it is to fill one: who comes meanwhile finds it filled.
    filling: tokio::sync::Mutex<()>,
    /// Turns at work that takes long.
    beside: Semaphore,
}

impl Default for Shelves {
    fn default() -> Self {
        Shelves {
            filled: Mutex::default(),
            filling: tokio::sync::Mutex::default(),
            beside: Semaphore::new(BESIDE),
        }
    }
}

/// The shelves that are filled, the one that was asked for last behind all others.
#[derive(Debug, Default)]
struct Filled(Vec<(Key, Arc<Shelf>)>);

impl Filled {
    /// The shelf, which is asked for now.
    fn get(&mut self, key: &Key) -> Option<Arc<Shelf>> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        let found = self.0.remove(at);
        let shelf = Arc::clone(&found.1);
        self.0.push(found);
        Some(shelf)
    }

    /// Puts it in the place of what was there; beyond [`MAX_SHELVES`] the one that nobody has asked
    /// for the longest goes.
    fn put(&mut self, key: Key, shelf: Arc<Shelf>) {
        self.0.retain(|(known, _)| *known != key);
        if self.0.len() >= MAX_SHELVES {
            self.0.remove(0);
        }
        self.0.push((key, shelf));
    }
}

/// The address at which it is seen, and the names of the contracts that are hidden there.
type Key = (String, BTreeSet<String>);

/// The catalogue as it is seen at one address.
#[derive(Debug)]
struct Shelf {
    envelope: String,
    /// In the order of their ids.
    cards: BTreeMap<String, Arc<Card>>,
    /// The bytes of them together.
    bytes: usize,
    /// How many publications are in it.
    seen: usize,
    whole: OnceLock<Ready>,
    zipped: OnceLock<(Option<Arc<[u8]>>, Packs)>,
    /// What of it was compressed before the last publication.
    packs: Packs,
}

/// A body, what it is known by, and where the parts around it are.
#[derive(Debug, Clone)]
struct Ready {
    body: Arc<[u8]>,
    etag: String,
    next: Option<Query>,
    previous: Option<Query>,
}

/// What was said in the headers of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes<'a> {
    /// `Accept-Encoding`.
    pub(crate) encoding: Option<&'a str>,
    /// `If-None-Match`, when the method is GET (RFC 9110 §13.1.2).
    pub(crate) none_match: Option<&'a str>,
}

/// What is new at an address.
enum New {
    Contracts(Vec<Arc<Contract>>),
    Script,
}

/// The part of our catalogue that this participant asks for.
///
/// # Errors
/// `dsp.malformed` when a dataset cannot be written; `internal`.
pub(crate) async fn answer(
    node: &Node,
    caller: &str,
    query: Query,
    wishes: Wishes<'_>,
) -> Result<CatalogDoc, Refused> {
    let (address, shelf) = current(node, caller).await?;
    let zip = wishes.encoding.is_some_and(takes_gzip);
    let location = location(&address, &query);
    let (ready, zipped) = match shelf.is_work(&query) {
        true => {
            let _turn = node.shelves.beside.acquire().await;
            beside(move || shelf.made(&query, zip)).await?
        }
        false => shelf.made(&query, zip),
    };
    let same = wishes.none_match.is_some_and(|tags| matches(tags, &ready.etag));
    let link = |query: &Option<Query>, rel| {
        query.as_ref().map(|query| format!("<{}>; rel=\"{rel}\"", self::location(&address, query)))
    };
    let links = [link(&ready.next, "next"), link(&ready.previous, "previous")];
    Ok(CatalogDoc::new(
        ready.etag,
        location,
        links.into_iter().flatten().collect(),
        match same {
            true => None,
            false => Some((zipped.clone().unwrap_or(ready.body), zipped.is_some())),
        },
    ))
}

/// The answer to a request for the schema of a view; `None` when it is for something else.
pub(crate) fn schema_at(node: &Node, caller: &str, asked: &Asked) -> Option<Egress> {
    let path = asked.path.strip_prefix(SCHEMAS_PATH).filter(|_| asked.method == "GET")?;
    Some(schema(node, caller, path).map_or_else(Egress::from, Egress::Schema))
}

/// The JSON Schema of the rows of a view, by the end of its path below `/schemas/`.
fn schema(node: &Node, caller: &str, path: &str) -> Result<String, Problem> {
    let unknown = || Problem::new(codes::ROUTE_UNKNOWN, "there is no such schema");
    let host = node.config.organisation.web_host().ok_or_else(unknown)?;
    node.partition.read(|fold, _| {
        let address = connectors::own_address(node, fold, caller)?;
        let view = format!("https://{host}/id/{path}");
        let shown = |one: &&Contract| node.config.negotiation.shows(&one.name, caller);
        let contract = fold.contracts.get(&view).filter(shown).ok_or_else(unknown)?;
        Ok(contract.row_schema(&schema_address(&view, &address)).to_string())
    })?
}

/// Where the schema of a view is to be had: at our base address, by the path of the view's IRI.
#[must_use]
pub(crate) fn schema_address(view: &str, address: &str) -> String {
    let base = address.strip_suffix(DSP_PATH).unwrap_or(address);
    let path = view.split_once("/id/").map_or(view, |(_, path)| path);
    format!("{base}{SCHEMAS_PATH}{path}")
}

/// Below which path the schemas of views lie.
const SCHEMAS_PATH: &str = "/schemas/";

async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::new(codes::INTERNAL, "the catalogue could not be put together"))
}

/// The shelf at the address that this participant uses, with everything that is published.
async fn current(node: &Node, caller: &str) -> Result<(String, Arc<Shelf>), Refused> {
    if let (key, Some(shelf), None) = looked(node, caller)? {
        return Ok((key.0, shelf));
    }
    let _alone = node.shelves.filling.lock().await;
    let (key, shelf, new) = looked(node, caller)?;
    let shelf = match (shelf, new) {
        (Some(shelf), None) => return Ok((key.0, shelf)),
        (shelf, new) => {
            let (ours, at) = (node.clone(), key.clone());
            beside(move || filled(&ours, &at, shelf.as_deref(), new)).await??
        }
    };
    let address = key.0.clone();
    let mut shelves = node.shelves.filled.lock().unwrap_or_else(PoisonError::into_inner);
    shelves.put(key, Arc::clone(&shelf));
    Ok((address, shelf))
}

/// A shelf, as far as it is filled, and what is new since.
type Looked = (Key, Option<Arc<Shelf>>, Option<New>);

/// The shelf that this participant is to find.
fn looked(node: &Node, caller: &str) -> Result<Looked, Problem> {
    let hidden = node.config.negotiation.hidden_from(caller);
    node.partition.read(|fold, _| {
        let key = (connectors::own_address(node, fold, caller)?, hidden);
        let mut filled = node.shelves.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = filled.get(&key);
        drop(filled);
        let new = new(node, fold, shelf.as_deref());
        Ok((key, shelf, new))
    })?
}

fn new(node: &Node, fold: &Fold, shelf: Option<&Shelf>) -> Option<New> {
    if node.conformance.is_some() {
        return shelf.is_none().then_some(New::Script);
    }
    let new = fold.contracts.since(shelf.map_or(0, |shelf| shelf.seen));
    (!new.is_empty()).then_some(New::Contracts(new))
}

fn filled(
    node: &Node,
    (address, hidden): &Key,
    old: Option<&Shelf>,
    new: Option<New>,
) -> Result<Arc<Shelf>, Refused> {
    let count = if let Some(New::Contracts(new)) = &new { new.len() } else { 0 };
    let offers = match &new {
        Some(New::Contracts(new)) => {
            let shown = new.iter().filter(|contract| !hidden.contains(&contract.name));
            shown.map(|contract| contracts::offer(contract, address)).collect()
        }
        Some(New::Script) => {
            node.conformance.as_ref().map(|script| script.offers(address)).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let mut cards = old.map(|shelf| shelf.cards.clone()).unwrap_or_default();
    for offer in &offers {
        // Of several with one id the first is shown.
        let card = Card::of(offer)?;
        cards.entry(card.id.clone()).or_insert_with(|| Arc::new(card));
    }
    let did = node.config.organisation.as_str();
    let (catalog_id, service_id) = (format!("{did}#catalog"), format!("{did}#dsp"));
    let owner = Owner {
        catalog_id: &catalog_id,
        participant_id: did,
        service_id: &service_id,
        endpoint: address,
    };
    Ok(Arc::new(Shelf {
        envelope: envelope(owner),
        bytes: cards.values().map(|card| card.bytes()).sum(),
        cards,
        seen: old.map_or(0, |shelf| shelf.seen).saturating_add(count),
        whole: OnceLock::new(),
        zipped: OnceLock::new(),
        packs: old.map(Shelf::packed).unwrap_or_default(),
    }))
}

impl Shelf {
    /// Whether an answer takes so long that it is put together beside others: much is written or
    /// compressed, or every dataset is held against conditions.
    fn is_work(&self, query: &Query) -> bool {
        if self.bytes <= MANY || (query.is_whole() && self.zipped.get().is_some()) {
            return false;
        }
        let each = self.bytes / self.cards.len().max(1);
        query.has_conditions() || query.limit().is_none_or(|limit| limit > MANY / each.max(1))
    }

    /// What a query is answered with, and the same compressed if it is wanted and worth it.
    fn made(&self, query: &Query, zip: bool) -> (Ready, Option<Arc<[u8]>>) {
        if !query.is_whole() {
            let ready = self.part(query);
            let zipped = zip.then(|| compressed(&ready.body, LEVELS.0)).flatten();
            return (ready, zipped);
        }
        let ready = self.whole.get_or_init(|| self.part(query));
        let zip = zip && ready.body.len() >= WORTH_IT;
        let zipped = || self.zipped.get_or_init(|| self.zip(ready)).0.clone();
        (ready.clone(), zip.then(zipped).flatten())
    }

    /// The whole compressed, and what is kept of that for the next publication. What does not fit
    /// one answer is no whole, and compressed by itself.
    fn zip(&self, ready: &Ready) -> (Option<Arc<[u8]>>, Packs) {
        let cards: Vec<&Card> = self.cards.values().map(Arc::as_ref).collect();
        let (open, close) = around(&self.envelope, !cards.is_empty());
        let made = match ready.next {
            None => self.packs.zipped((&open, close), &cards, LEVELS.1),
            Some(_) => None,
        };
        match made {
            Some((bytes, packs)) => (Some(bytes.into()), packs),
            None => (compressed(&ready.body, LEVELS.1), self.packs.clone()),
        }
    }

    /// The packs of the last whole that was compressed.
    fn packed(&self) -> Packs {
        self.zipped.get().map_or(&self.packs, |(_, packs)| packs).clone()
    }

    fn part(&self, query: &Query) -> Ready {
        let room = MAX_CATALOG_BYTES.saturating_sub(self.envelope.len() + 64);
        let cards = self.cards.values().map(Arc::as_ref);
        let Part { shown, next, previous } = query.part(cards, room);
        let hex = to_hex(&mark(&self.envelope, &shown, next.is_some()));
        Ready {
            body: body(&self.envelope, &shown).into_bytes().into(),
            // Weak: plain and compressed are two representations of one content (RFC 9110 §8.8.1).
            etag: format!("W/\"{}\"", hex.get(..32).unwrap_or(&hex)),
            next,
            previous,
        }
    }
}

/// With gzip (RFC 1952); `None` when it is not worth it.
fn compressed(body: &[u8], level: Compression) -> Option<Arc<[u8]>> {
    if body.len() < WORTH_IT {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), level);
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Arc::from)
}

fn location(address: &str, query: &Query) -> String {
    match query.written() {
        query if query.is_empty() => format!("{address}/catalog/request"),
        query => format!("{address}/catalog/request?{query}"),
    }
}

/// Whether gzip is among the encodings that are taken (RFC 9110 §12.5.3).
fn takes_gzip(accepted: &str) -> bool {
    let weight = |name: &str| {
        accepted.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts.next().is_some_and(|n| n.eq_ignore_ascii_case(name));
            let q = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
            named.then(|| q.map_or(Ok(1.0), str::parse).unwrap_or(0.0_f32))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// Whether one of the tags is ours, compared weakly (RFC 9110 §8.8.3.2), or is any.
fn matches(tags: &str, ours: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    tags.trim() == "*" || tags.split(',').any(|tag| opaque(tag) == opaque(ours))
}

#[cfg(test)]
mod tests {
    use super::{
        Filled, Key, LEVELS, MAX_SHELVES, Packs, Shelf, WORTH_IT, compressed, matches,
        schema_address, takes_gzip,
    };
    use std::collections::BTreeSet;
    use std::sync::{Arc, OnceLock};

    #[test]
    fn the_shelf_that_nobody_asks_for_goes_first() {
        let key = |n: usize| -> Key { ("a".to_owned(), BTreeSet::from([n.to_string()])) };
        let shelf = || {
            Arc::new(Shelf {
                envelope: String::new(),
                cards: Default::default(),
                bytes: 0,
                seen: 0,
                whole: OnceLock::new(),
                zipped: OnceLock::new(),
                packs: Packs::default(),
            })
        };
        let mut all = Filled::default();
        // The one without anything hidden sorts first, and is asked for by most.
        let common: Key = ("a".to_owned(), BTreeSet::new());
        all.put(common.clone(), shelf());
        (1..MAX_SHELVES).for_each(|n| all.put(key(n), shelf()));
        assert!((1..MAX_SHELVES).all(|n| all.get(&key(n)).is_some()) && all.get(&common).is_some());
        all.put(key(MAX_SHELVES), shelf());
        assert_eq!(all.0.len(), MAX_SHELVES);
        assert!(all.get(&key(1)).is_none() && all.get(&common).is_some());
        // One more of what is there takes nobody's place.
        all.put(key(2), shelf());
        assert!((2..=MAX_SHELVES).all(|n| all.get(&key(n)).is_some()));
    }

    #[test]
    fn what_is_short_is_not_compressed() {
        for (length, worth_it) in [(0, false), (WORTH_IT - 1, false), (WORTH_IT, true)] {
            assert_eq!(compressed(&vec![b'x'; length], LEVELS.0).is_some(), worth_it, "{length}");
        }
    }

    #[test]
    fn encodings_are_taken_or_not() {
        for (accepted, expect) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("*;q=0", false),
            ("br", false),
            ("", false),
            ("gzip;q=x", false),
            ("xgzip", false),
        ] {
            assert_eq!(takes_gzip(accepted), expect, "{accepted:?}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (tags, expect) in [
            ("W/\"a\"", true),
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(matches(tags, "W/\"a\""), expect, "{tags:?}");
        }
    }

    #[test]
    fn a_schema_lies_at_the_door_that_is_used() {
        for (view, address, expect) in [
            (
                "https://op.example/id/views/a/1.0.0",
                "https://op.example:4433/dsp",
                "https://op.example:4433/schemas/views/a/1.0.0",
            ),
            (
                "https://op.example/id/links/a/1.0.0",
                "http://127.0.0.1:8080/dsp",
                "http://127.0.0.1:8080/schemas/links/a/1.0.0",
            ),
        ] {
            assert_eq!(schema_address(view, address), expect);
        }
    }
}
