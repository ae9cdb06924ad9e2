//! The endpoints of the Dataspace Protocol 2025-1 (HTTPS binding) as one table, and which of them a
//! request is for.
//!
//! Paths are relative to the base address of the version, but for the version document, which
//! stands at the root. Where provider and consumer endpoints have one shape, the process id decides
//! the role. One trailing slash is forgiven; an encoded slash belongs to its identifier.

use crate::exchange::Role;
use crate::terms;

/// What an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The version document.
    Versions,
    /// A catalogue request.
    Catalog,
    /// A part of the catalogue: where the links of an answer to a request lead.
    CatalogPart,
    /// One dataset.
    Dataset,
    /// The state of a negotiation.
    NegotiationState,
    /// A consumer's first request.
    NegotiationRequest,
    /// A consumer's counter-offer.
    NegotiationCounter,
    /// A provider's first offer.
    NegotiationOffer,
    /// A provider's answer with an offer.
    NegotiationReoffer,
    /// A provider's agreement.
    NegotiationAgreement,
    /// A consumer's verification.
    NegotiationVerification,
    /// An event of either side.
    NegotiationEvent,
    /// A termination by either side.
    NegotiationTermination,
    /// The state of a transfer.
    TransferState,
    /// A consumer's request.
    TransferRequest,
    /// A start by either side.
    TransferStart,
    /// A completion by either side.
    TransferCompletion,
    /// A suspension by either side.
    TransferSuspension,
    /// A termination by either side.
    TransferTermination,
}

/// The HTTP methods of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

/// What a success is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Success {
    /// 200.
    Ok,
    /// 201: a process was created.
    Created,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// The path; `:id` stands for one segment.
    pub pattern: &'static str,
    /// What it is for.
    pub endpoint: Endpoint,
    /// Who serves it; `None` for both.
    pub served: Option<Role>,
    /// What a success is answered with.
    pub success: Success,
}

const fn row(
    method: Method,
    pattern: &'static str,
    endpoint: Endpoint,
    served: Option<Role>,
    success: Success,
) -> Row {
    Row { method, pattern, endpoint, served, success }
}

const PROVIDER: Option<Role> = Some(Role::Provider);
const CONSUMER: Option<Role> = Some(Role::Consumer);
const EITHER: Option<Role> = None;

/// Every endpoint.
pub const ROWS: [Row; 19] = {
    use Endpoint as E;
    use Method::{Get, Post};
    use Success::{Created, Ok};
    [
        row(Get, "/.well-known/dspace-version", E::Versions, EITHER, Ok),
        row(Post, "/catalog/request", E::Catalog, PROVIDER, Ok),
        row(Get, "/catalog/request", E::CatalogPart, PROVIDER, Ok),
        row(Get, "/catalog/datasets/:id", E::Dataset, PROVIDER, Ok),
        row(Get, "/negotiations/:id", E::NegotiationState, EITHER, Ok),
        row(Post, "/negotiations/request", E::NegotiationRequest, PROVIDER, Created),
        row(Post, "/negotiations/offers", E::NegotiationOffer, CONSUMER, Created),
        row(Post, "/negotiations/:id/request", E::NegotiationCounter, PROVIDER, Ok),
        row(Post, "/negotiations/:id/offers", E::NegotiationReoffer, CONSUMER, Ok),
        row(Post, "/negotiations/:id/agreement", E::NegotiationAgreement, CONSUMER, Ok),
        row(
            Post,
            "/negotiations/:id/agreement/verification",
            E::NegotiationVerification,
            PROVIDER,
            Ok,
        ),
        row(Post, "/negotiations/:id/events", E::NegotiationEvent, EITHER, Ok),
        row(Post, "/negotiations/:id/termination", E::NegotiationTermination, EITHER, Ok),
        row(Get, "/transfers/:id", E::TransferState, EITHER, Ok),
        row(Post, "/transfers/request", E::TransferRequest, PROVIDER, Created),
        row(Post, "/transfers/:id/start", E::TransferStart, EITHER, Ok),
        row(Post, "/transfers/:id/completion", E::TransferCompletion, EITHER, Ok),
        row(Post, "/transfers/:id/suspension", E::TransferSuspension, EITHER, Ok),
        row(Post, "/transfers/:id/termination", E::TransferTermination, EITHER, Ok),
    ]
};

/// A request that the table knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its row.
    pub row: Row,
    /// The identifier in the path, decoded: a process id or a dataset.
    pub id: Option<String>,
}

impl Route {
    /// Whether this message belongs here. A message of another type at this path is refused.
    #[must_use]
    pub fn takes(&self, message: &crate::Message) -> bool {
        self.row.endpoint.message_name() == Some(message.name())
    }
}

impl Endpoint {
    /// The `@type` of the message that is posted here.
    #[must_use]
    pub const fn message_name(self) -> Option<&'static str> {
        Some(match self {
            Endpoint::Versions
            | Endpoint::CatalogPart
            | Endpoint::Dataset
            | Endpoint::NegotiationState
            | Endpoint::TransferState => return None,
            Endpoint::Catalog => "CatalogRequestMessage",
            Endpoint::NegotiationRequest | Endpoint::NegotiationCounter => "ContractRequestMessage",
            Endpoint::NegotiationOffer | Endpoint::NegotiationReoffer => "ContractOfferMessage",
            Endpoint::NegotiationAgreement => "ContractAgreementMessage",
            Endpoint::NegotiationVerification => "ContractAgreementVerificationMessage",
            Endpoint::NegotiationEvent => "ContractNegotiationEventMessage",
            Endpoint::NegotiationTermination => "ContractNegotiationTerminationMessage",
            Endpoint::TransferRequest => "TransferRequestMessage",
            Endpoint::TransferStart => "TransferStartMessage",
            Endpoint::TransferCompletion => "TransferCompletionMessage",
            Endpoint::TransferSuspension => "TransferSuspensionMessage",
            Endpoint::TransferTermination => "TransferTerminationMessage",
        })
    }
}

/// The route of a request: the method as HTTP writes it, the path without query, still encoded.
/// `None` when there is none, or the identifier is empty, longer than
/// [`terms::MAX_ID_BYTES`], not UTF-8, a dot segment, or has controls.
#[must_use]
pub fn match_route(method: &str, path: &str) -> Option<Route> {
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        _ => return None,
    };
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let rows = ROWS.iter().filter(|row| row.method == method);
    // A literal segment goes before an identifier: `/negotiations/request` is no process.
    let mut found: Vec<(Row, Option<&str>)> =
        rows.filter_map(|row| fits(row.pattern, path).map(|id| (*row, id))).collect();
    found.sort_by_key(|(_, id)| id.is_some());
    let (row, id) = found.into_iter().next()?;
    match id {
        None => Some(Route { row, id: None }),
        Some(raw) => decode(raw).map(|id| Route { row, id: Some(id) }),
    }
}

/// The end of the pattern of a dataset.
const DATASET: &str = "datasets/:id";

/// Whether the path has this pattern; the raw text that stands for `:id`, if some does. That of a
/// dataset is all that is left: some connectors write its IRI into the path as it is.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    if let Some(front) = pattern.trim_start_matches('/').strip_suffix(DATASET) {
        return path.strip_prefix(front)?.strip_prefix("datasets/").map(Some);
    }
    let mut id = None;
    let mut segments = path.split('/');
    for expected in pattern.trim_start_matches('/').split('/') {
        let segment = segments.next()?;
        if expected == ":id" {
            id = Some(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(id)
}

/// An identifier as one segment of a path (RFC 3986 §3.3): all but unreserved characters and the
/// colon is percent-encoded.
#[must_use]
pub fn segment(id: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(byte);
    let mut out = String::with_capacity(id.len());
    for byte in id.as_bytes() {
        if plain(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The identifier that a segment stands for.
pub(crate) fn decode(segment: &str) -> Option<String> {
    decoded(segment, terms::MAX_ID_BYTES).filter(|id| terms::is_id(id))
}

/// Percent-decoding (RFC 3986 §2.1) of at most so many bytes; `None` for more, and for what is not
/// well-formed UTF-8.
pub(crate) fn decoded(segment: &str, most: usize) -> Option<String> {
    if segment.len() > most.saturating_mul(3) {
        return None;
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, ROWS, Success, match_route, segment};
    use crate::terms::MAX_ID_BYTES;
    use proptest::prelude::*;

    #[test]
    fn every_endpoint_is_found() {
        use Endpoint as E;
        for (request, expect) in [
            ("GET /.well-known/dspace-version", Some((E::Versions, None))),
            ("POST /catalog/request", Some((E::Catalog, None))),
            ("GET /catalog/datasets/urn:x", Some((E::Dataset, Some("urn:x")))),
            ("GET /catalog/datasets/a%2Fb%20c", Some((E::Dataset, Some("a/b c")))),
            (
                "GET /catalog/datasets/https://a.example/views/b/1.0.0",
                Some((E::Dataset, Some("https://a.example/views/b/1.0.0"))),
            ),
            ("GET /catalog/datasets/", None),
            ("GET /catalog/datasets/..", None),
            ("GET /catalog/dataset", None),
            ("GET /negotiations/urn:uuid:1", Some((E::NegotiationState, Some("urn:uuid:1")))),
            ("GET /negotiations/request", Some((E::NegotiationState, Some("request")))),
            ("POST /negotiations/request", Some((E::NegotiationRequest, None))),
            ("POST /negotiations/p/request", Some((E::NegotiationCounter, Some("p")))),
            ("POST /negotiations/offers", Some((E::NegotiationOffer, None))),
            ("POST /negotiations/p/offers/", Some((E::NegotiationReoffer, Some("p")))),
            ("POST /negotiations/p/agreement", Some((E::NegotiationAgreement, Some("p")))),
            (
                "POST /negotiations/p/agreement/verification",
                Some((E::NegotiationVerification, Some("p"))),
            ),
            ("POST /negotiations/p/events", Some((E::NegotiationEvent, Some("p")))),
            ("POST /negotiations/p/termination/", Some((E::NegotiationTermination, Some("p")))),
            ("GET /transfers/p", Some((E::TransferState, Some("p")))),
            ("POST /transfers/request", Some((E::TransferRequest, None))),
            ("POST /transfers/p/start", Some((E::TransferStart, Some("p")))),
            ("POST /transfers/p/completion", Some((E::TransferCompletion, Some("p")))),
            ("POST /transfers/p/suspension", Some((E::TransferSuspension, Some("p")))),
            ("POST /transfers/p/termination", Some((E::TransferTermination, Some("p")))),
            ("POST /transfers/p", None),
            ("GET /transfers/", None),
            ("GET /transfers//", None),
            ("GET transfers/p", None),
            ("PUT /transfers/p", None),
            ("get /transfers/p", None),
            ("GET /transfers/p/x", None),
            ("POST /negotiations//events", None),
            ("GET /transfers/..", None),
            ("GET /transfers/%2e%2E", None),
            ("GET /transfers/%", None),
            ("GET /transfers/%zz", None),
            ("GET /transfers/%ff", None),
            ("GET /transfers/a%00", None),
            ("GET /", None),
            ("GET ", None),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let got = match_route(method, path);
            let got = got.as_ref().map(|route| (route.row.endpoint, route.id.as_deref()));
            assert_eq!(got, expect, "{request}");
        }
    }

    #[test]
    fn ids_have_a_bound() {
        let at = |n: usize| match_route("GET", &format!("/transfers/{}", "x".repeat(n)));
        assert!(at(MAX_ID_BYTES).is_some());
        assert!(at(MAX_ID_BYTES + 1).is_none());
        let encoded = |n: usize| match_route("GET", &format!("/transfers/{}", "%41".repeat(n)));
        assert!(encoded(MAX_ID_BYTES).is_some());
        assert!(encoded(MAX_ID_BYTES + 1).is_none());
    }

    #[test]
    fn the_table_is_the_specification() {
        // 25 endpoints of the specification and one that is called in the field; a shape that both
        // roles serve counts twice, but for the version document.
        let twice = ROWS.iter().filter(|row| row.served.is_none()).count() - 1;
        let ours = ROWS.iter().filter(|row| row.endpoint == Endpoint::CatalogPart).count();
        assert_eq!(ROWS.len() + twice - ours, 26);
        let created = ROWS.iter().filter(|row| row.success == Success::Created).count();
        assert_eq!(created, 3);
    }

    proptest! {
        #[test]
        fn an_id_in_a_path_reads_back(id in "\\PC{1,40}") {
            prop_assume!(id != "." && id != "..");
            let route = match_route("GET", &format!("/transfers/{}", segment(&id)));
            prop_assert_eq!(route.and_then(|r| r.id), Some(id));
        }
    }
}
