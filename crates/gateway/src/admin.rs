//! The admin door: loopback, plain HTTP, every request with the token from `admin.json` but the few
//! that say whether the node lives and how much it does. `POST /ingest` and `POST /models` are the
//! only ways in which the organisation's own data enters.

use crate::copies;
use crate::doctor;
use crate::erasures;
use crate::federation::identify;
use crate::followed;
use crate::incidents;
use crate::kept;
use crate::kpis;
use crate::logs;
use crate::negotiations;
use crate::openapi;
use crate::owned;
use crate::port::{Bound, bind};
use crate::refusal::{PROBLEM_JSON, Refusal};
use crate::transfers;
use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twinpact_edge::batch::{IngestBatch, IngestReport, MAX_BATCH_BYTES};
use twinpact_edge::{cloud_events, model_file};
use twinpact_model::problem::Problem;
use twinpact_model::{Code, Timestamp, codes};
use twinpact_node::api::{
    AgreementLine, DatasetLine, Fetch, Fetched, InvitationLine, Invite, Invited, Join, Joined,
    KeyLine, ModelApplied, Negotiate, PartnerLine, Published, Pull, Pulled, RotateKey, Version,
};
use twinpact_node::doctor::Finding;
use twinpact_node::ready::{self, Ready, Status};
use twinpact_node::strangers::{self, Shown as Turned};
use twinpact_node::trace::{self, Doorway, REQUEST_HEADER, Step};
use twinpact_node::{self as node, Node, consumer, events, fetching, found, prove, pushed, record};
use twinpact_proof::digest::sha256;

/// Who the admin door's callers are in the log.
pub(crate) const LOCAL: &str = "local";
/// How long a stop waits for requests that are being answered.
const STOPPING: std::time::Duration = std::time::Duration::from_secs(5);
/// The default length of a history page.
pub(crate) const HISTORY_ROWS: usize = 100;

/// The media type of an answer.
pub(crate) const JSON: &str = "application/json";
/// The media type of a page of metrics.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The most bytes of the HTTP library's own words about a refusal.
const MAX_WHY_BYTES: usize = 4_096;

/// A method as HTTP writes it and as the router takes it.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    filter: MethodFilter,
}

const GET: Verb = Verb { name: "GET", filter: MethodFilter::GET };
const POST: Verb = Verb { name: "POST", filter: MethodFilter::POST };

type Serve = fn(MethodFilter) -> MethodRouter<Node>;

/// One route of the admin door.
pub struct Route {
    verb: Verb,
    /// The path; a name in braces stands for one segment.
    pub path: &'static str,
    /// Whether the request must bear the token.
    pub token: bool,
    serve: Serve,
}

impl Route {
    /// The HTTP method.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.verb.name
    }
}

const fn open(verb: Verb, path: &'static str, serve: Serve) -> Route {
    Route { verb, path, token: false, serve }
}

const fn guarded(verb: Verb, path: &'static str, serve: Serve) -> Route {
    Route { verb, path, token: true, serve }
}

/// Every route of the admin door; the router is made of it and of nothing else. The golden file
/// `tests/golden/routes.txt` holds the same.
pub const ROUTES: &[Route] = &[
    open(GET, "/livez", |verb| on(verb, livez)),
    open(GET, "/readyz", |verb| on(verb, readyz)),
    open(GET, "/version", |verb| on(verb, version)),
    open(GET, "/metrics", |verb| on(verb, metrics)),
    open(GET, "/openapi.json", |verb| on(verb, description)),
    guarded(GET, "/models", |verb| on(verb, owned::models)),
    guarded(POST, "/models", |verb| on(verb, apply_model)),
    guarded(POST, "/ingest", |verb| on(verb, ingest)),
    guarded(GET, "/twins", |verb| on(verb, owned::twins)),
    guarded(GET, "/twins/{id}", |verb| on(verb, owned::twin)),
    guarded(GET, "/twins/{id}/history", |verb| on(verb, owned::history)),
    guarded(GET, "/erasures", |verb| on(verb, erasures::list)),
    guarded(POST, "/erasures", |verb| on(verb, erasures::erase)),
    guarded(GET, "/erasures/{twin}", |verb| on(verb, erasures::show)),
    guarded(GET, "/links", |verb| on(verb, owned::links)),
    guarded(POST, "/links", |verb| on(verb, owned::set_link)),
    guarded(POST, "/links/retract", |verb| on(verb, owned::retract_link)),
    guarded(POST, "/graph/walk", |verb| on(verb, owned::walk)),
    guarded(GET, "/events/{index}/proof", |verb| on(verb, proof)),
    guarded(GET, "/organisation", |verb| on(verb, kept::organisation)),
    guarded(GET, "/invitations", |verb| on(verb, kept::invitations)),
    guarded(POST, "/invitations", |verb| on(verb, invite)),
    guarded(POST, "/invitations/{id}/withdraw", |verb| on(verb, withdraw)),
    guarded(POST, "/joins", |verb| on(verb, join)),
    guarded(GET, "/keys", |verb| on(verb, kept::document_keys)),
    guarded(POST, "/keys", |verb| on(verb, rotate_key)),
    guarded(POST, "/ca/reload", |verb| on(verb, reload_ca)),
    guarded(GET, "/contracts", |verb| on(verb, owned::contracts)),
    guarded(POST, "/contracts", |verb| on(verb, publish)),
    guarded(GET, "/partners", |verb| on(verb, owned::partners)),
    guarded(GET, "/trust", |verb| on(verb, kept::trust)),
    guarded(POST, "/partners", |verb| on(verb, add_partner)),
    guarded(POST, "/partners/{did}/remove", |verb| on(verb, remove_partner)),
    guarded(GET, "/catalog", |verb| on(verb, catalog)),
    guarded(GET, "/negotiations", |verb| on(verb, negotiations::list)),
    guarded(POST, "/negotiations", |verb| on(verb, negotiate)),
    guarded(POST, "/negotiations/offers", |verb| on(verb, negotiations::offer)),
    guarded(GET, "/negotiations/{id}", |verb| on(verb, negotiations::show)),
    guarded(POST, "/negotiations/{id}/accept", |verb| on(verb, negotiations::accept)),
    guarded(POST, "/negotiations/{id}/counter", |verb| on(verb, negotiations::counter)),
    guarded(POST, "/negotiations/{id}/terminate", |verb| on(verb, negotiations::terminate)),
    guarded(GET, "/transfers", |verb| on(verb, transfers::list)),
    guarded(GET, "/transfers/{id}", |verb| on(verb, transfers::show)),
    guarded(POST, "/transfers/{id}/suspend", |verb| on(verb, transfers::suspend)),
    guarded(POST, "/transfers/{id}/resume", |verb| on(verb, transfers::resume)),
    guarded(POST, "/transfers/{id}/complete", |verb| on(verb, transfers::complete)),
    guarded(POST, "/transfers/{id}/terminate", |verb| on(verb, transfers::terminate)),
    guarded(GET, "/processes/{id}/why", |verb| on(verb, negotiations::why)),
    guarded(POST, "/pushes", |verb| on(verb, push)),
    guarded(POST, "/pulls", |verb| on(verb, pull)),
    guarded(POST, "/fetches", |verb| on(verb, fetch)),
    guarded(GET, "/subscriptions", |verb| on(verb, followed::list)),
    guarded(POST, "/subscriptions", |verb| on(verb, followed::subscribe)),
    guarded(GET, "/subscriptions/{id}/receipts", |verb| on(verb, followed::receipts)),
    guarded(POST, "/subscriptions/{id}/end", |verb| on(verb, followed::end)),
    guarded(POST, "/learned", |verb| on(verb, followed::learned)),
    guarded(GET, "/agreements", |verb| on(verb, owned::agreements)),
    guarded(GET, "/agreements/{id}", |verb| on(verb, owned::agreement)),
    guarded(GET, "/agreements/{id}/proof", |verb| on(verb, agreement_proof)),
    guarded(POST, "/agreements/{id}/revoke", |verb| on(verb, revoke)),
    guarded(GET, "/incidents", |verb| on(verb, incidents::list)),
    guarded(POST, "/incidents", |verb| on(verb, incidents::open)),
    guarded(GET, "/incidents/{id}", |verb| on(verb, incidents::show)),
    guarded(POST, "/containments/{id}/confirm", |verb| on(verb, incidents::confirm)),
    guarded(POST, "/containments/{id}/refuse", |verb| on(verb, incidents::refuse)),
    guarded(POST, "/containments/{id}/release", |verb| on(verb, incidents::release)),
    guarded(GET, "/copies", |verb| on(verb, copies::list)),
    guarded(GET, "/copies/{id}", |verb| on(verb, copies::show)),
    guarded(GET, "/receipts", |verb| on(verb, kept::receipts)),
    guarded(GET, "/receipts/{id}", |verb| on(verb, kept::receipt)),
    guarded(GET, "/receipts/{id}/proof", |verb| on(verb, receipt_proof)),
    guarded(GET, "/receipts/{id}/deletion", |verb| on(verb, deletion_proof)),
    guarded(GET, "/decisions", |verb| on(verb, kept::decisions)),
    guarded(GET, "/decisions/{id}", |verb| on(verb, kept::decision)),
    guarded(GET, "/decisions/{id}/proof", |verb| on(verb, decision_proof)),
    guarded(GET, "/kpis", |verb| on(verb, kpis::show)),
    guarded(GET, "/log", |verb| on(verb, logs::show)),
    guarded(GET, "/log/alerts/{id}", |verb| on(verb, logs::alert)),
    guarded(GET, "/log/inclusion", |verb| on(verb, logs::inclusion)),
    guarded(GET, "/log/consistency", |verb| on(verb, logs::consistency)),
    guarded(GET, "/witness", |verb| on(verb, logs::statement)),
    guarded(GET, "/strangers", |verb| on(verb, turned_away)),
    guarded(GET, "/doctor", |verb| on(verb, doctor_of)),
    guarded(GET, "/clock", |verb| on(verb, clock)),
    guarded(POST, "/clock", |verb| on(verb, set_clock)),
];

/// The admin listener, answering until it is stopped.
pub struct AdminListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// The token that every request bears.
    pub token: String,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl AdminListener {
    /// Binds and answers.
    ///
    /// # Errors
    /// `config.port` when the address cannot be bound; `internal` without randomness.
    pub async fn start(node: Node) -> Result<AdminListener, Problem> {
        let bound = bind(node.config.admin.listen).await?;
        AdminListener::answer(bound, node)
    }

    /// Answers at an address that is bound already. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `internal` without randomness.
    pub fn answer(bound: Bound, node: Node) -> Result<AdminListener, Problem> {
        let Bound { listener, address } = bound;
        let token = random_token()?;
        let (stop, mut stopped) = watch::channel(false);
        let app = router(node, &token);
        let serving = tokio::spawn(async move {
            let until = async move {
                // The sender is dropped or says stop: both mean stop.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // An answer is two writes, as a request is.
            let listener = listener.tap_io(|tcp| {
                let _ = tcp.set_nodelay(true);
            });
            let server = axum::serve(listener, app).with_graceful_shutdown(until);
            if let Err(error) = server.await {
                debug_assert!(false, "the admin listener failed: {error}");
            }
        });
        Ok(AdminListener { address, token, stop, serving })
    }

    /// Finishes what is being answered and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let cut = self.serving.abort_handle();
        if tokio::time::timeout(STOPPING, self.serving).await.is_err() {
            // Who still waits for a partner after this time is cut off.
            cut.abort();
        }
    }
}

fn random_token() -> Result<String, Problem> {
    let mut bytes = [0u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Problem::new(codes::INTERNAL, "the operating system gives no randomness"))?;
    Ok(twinpact_proof::to_hex(&bytes))
}

fn router(node: Node, token: &str) -> Router {
    let expected = sha256(format!("Bearer {token}").as_bytes());
    let guarded = routes(true).method_not_allowed_fallback(unknown).layer(middleware::from_fn(
        move |request: Request, next: Next| guard(expected, request, next),
    ));
    let open = routes(false).method_not_allowed_fallback(unknown);
    open.merge(guarded)
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BATCH_BYTES))
        .layer(middleware::map_response(in_words))
        .layer(middleware::from_fn_with_state(node.clone(), observed))
        .with_state(node)
}

/// The rows of [`ROUTES`] with a token, or those without.
fn routes(token: bool) -> Router<Node> {
    let rows = ROUTES.iter().filter(|row| row.token == token);
    rows.fold(Router::new(), |router, row| router.route(row.path, (row.serve)(row.verb.filter)))
}

/// Counts and logs a request, and says in its answer which one it is.
async fn observed(State(node): State<Node>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let theirs = request.headers().get(REQUEST_HEADER).and_then(|id| id.to_str().ok());
    let (method, route) = (request.method().as_str(), route.as_deref().unwrap_or("other"));
    let seen = trace::Request::begin(Doorway::Admin, method, route, None, theirs);
    let mut response = seen.over(next.run(request)).await;
    let status = response.status().as_u16();
    node.metrics.admin(status);
    let code = response.extensions().get::<Code>().map_or("", |code| code.name);
    seen.answered(status, code);
    identify(response.headers_mut(), seen.id());
    response
}

/// What the HTTP library refuses itself (a body that is too large, a path or a query that cannot be
/// read) leaves as a problem document like everything else.
async fn in_words(response: Response) -> Response {
    let status = response.status();
    let code = match status {
        _ if !status.is_client_error() && !status.is_server_error() => return response,
        // The library refuses in plain text, we do not.
        _ if response.headers().get(CONTENT_TYPE).is_some_and(is_ours) => return response,
        StatusCode::PAYLOAD_TOO_LARGE => codes::INPUT_TOO_LARGE,
        _ if status.is_client_error() => codes::INPUT_MALFORMED,
        _ => codes::INTERNAL,
    };
    let why = to_bytes(response.into_body(), MAX_WHY_BYTES).await.unwrap_or_default();
    Refusal(Problem::new(code, String::from_utf8_lossy(&why))).into_response()
}

fn is_ours(kind: &HeaderValue) -> bool {
    kind == PROBLEM_JSON || kind == JSON
}

/// Digests are compared, so the time it takes says nothing about the token.
async fn guard(expected: [u8; 32], request: Request, next: Next) -> Result<Response, Refusal> {
    let given = request.headers().get(AUTHORIZATION).map(|value| sha256(value.as_bytes()));
    if given != Some(expected) {
        let problem = Problem::new(codes::ADMIN_TOKEN, "the admin token is missing or wrong");
        return Err(Refusal(problem.hint("it stands in admin.json in the node's directory")));
    }
    Ok(next.run(request).await)
}

/// No query: what is about now, or is the same at any time, takes none, and ignores none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

async fn livez(_: Query<Nothing>) -> Json<Value> {
    Json(json!({ "live": true }))
}

/// A node that is an older copy of itself is not ready, and says how it is all the same.
async fn readyz(
    State(node): State<Node>,
    _: Query<Nothing>,
) -> Result<(StatusCode, Json<Ready>), Refusal> {
    let ready = ready::ready(&node, node.clocks.wall())?;
    let status = match ready.status {
        Status::Behind => StatusCode::SERVICE_UNAVAILABLE,
        // Its own people and files are served: only partners are refused.
        Status::Ready | Status::Warning | Status::FederationRefused => StatusCode::OK,
    };
    Ok((status, Json(ready)))
}

async fn turned_away(State(node): State<Node>, _: Query<Nothing>) -> Json<Turned> {
    Json(strangers::show(&node))
}

async fn version(_: Query<Nothing>) -> Json<Version> {
    let (name, version) = ("twinpact".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Json(Version { name, version })
}

/// No token: whoever scrapes would have to hold the one that allows everything. The page has
/// numbers and words of ours only, and the door is on loopback.
async fn metrics(
    State(node): State<Node>,
    _: Query<Nothing>,
) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, METRICS_TEXT)], node::metrics::page(&node))
}

async fn description(_: Query<Nothing>) -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], openapi::text())
}

async fn unknown(request: Request) -> Refusal {
    let what = format!("{} {}", request.method(), request.uri().path());
    Refusal(Problem::new(codes::ROUTE_UNKNOWN, format!("there is no route {what}")))
}

async fn apply_model(State(node): State<Node>, body: Bytes) -> Result<Json<ModelApplied>, Refusal> {
    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::new(codes::INPUT_MALFORMED, "the model is not UTF-8"))?;
    let model = model_file::parse(text)?;
    Ok(Json(record::apply_model(&node, model, LOCAL).await?))
}

async fn ingest(
    State(node): State<Node>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<IngestReport>, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if let Some(events) = cloud_events::parse(kind, &body) {
        return Ok(Json(events::record_events(&node, events?, LOCAL).await?));
    }
    let edge = trace::step(Step::Edge);
    let batch = IngestBatch::parse(&body)?;
    drop(edge);
    Ok(Json(record::record(&node, batch, LOCAL).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    #[serde(default)]
    attributes: String,
}

async fn proof(
    State(node): State<Node>,
    Path(index): Path<u64>,
    Query(shown): Query<Shown>,
) -> Result<Vec<u8>, Refusal> {
    let attributes: Vec<String> =
        shown.attributes.split(',').filter(|a| !a.is_empty()).map(str::to_owned).collect();
    Ok(prove::fact(&node, index, &attributes).await?.to_bytes())
}

async fn invite(State(node): State<Node>, body: Bytes) -> Result<Json<Invited>, Refusal> {
    let asked: Invite = read_json(&body)?;
    Ok(Json(node::invitations::invite(&node, &asked).await?))
}

async fn withdraw(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Bytes,
) -> Result<Json<InvitationLine>, Refusal> {
    Ok(Json(node::invitations::withdraw(&node, &id).await?))
}

async fn join(State(node): State<Node>, body: Bytes) -> Result<Json<Joined>, Refusal> {
    let asked: Join = read_json(&body)?;
    Ok(Json(node::join::join(&node, &asked.invitation).await?))
}

async fn rotate_key(State(node): State<Node>, body: Bytes) -> Result<Json<Vec<KeyLine>>, Refusal> {
    let asked: RotateKey = read_json(&body)?;
    let overlap = asked.overlap_seconds.unwrap_or(node::keys::OVERLAP_SECONDS);
    Ok(Json(node::keys::rotate(&node, overlap).await?))
}

/// The body says nothing, and is read so that it is held against the bound.
async fn reload_ca(State(node): State<Node>, _: Bytes) -> Result<Json<Value>, Refusal> {
    let until = node::open::reload_issuing(&node).await?.0;
    Ok(Json(json!({ "until": until })))
}

async fn publish(State(node): State<Node>, body: Bytes) -> Result<Json<Published>, Refusal> {
    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::new(codes::INPUT_MALFORMED, "the contract is not UTF-8"))?;
    Ok(Json(node::contracts::publish(&node, text.to_owned()).await?))
}

async fn add_partner(State(node): State<Node>, body: Bytes) -> Result<Json<PartnerLine>, Refusal> {
    Ok(Json(node::partners::add(&node, &body).await?))
}

async fn remove_partner(
    State(node): State<Node>,
    Path(did): Path<String>,
    body: Bytes,
) -> Result<Json<PartnerLine>, Refusal> {
    let reason: Reason = read_json(&body)?;
    Ok(Json(node::removal::remove(&node, &did, &reason.reason).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    partner: String,
}

async fn catalog(
    State(node): State<Node>,
    Query(whose): Query<Whose>,
) -> Result<Json<Vec<DatasetLine>>, Refusal> {
    Ok(Json(found::catalog(&node, &whose.partner).await?))
}

async fn negotiate(State(node): State<Node>, body: Bytes) -> Result<Json<AgreementLine>, Refusal> {
    let asked: Negotiate = read_json(&body)?;
    Ok(Json(consumer::negotiate(&node, &asked).await?))
}

async fn pull(State(node): State<Node>, body: Bytes) -> Result<Json<Pulled>, Refusal> {
    let asked: Pull = read_json(&body)?;
    Ok(Json(consumer::pull(&node, &asked).await?))
}

async fn push(State(node): State<Node>, body: Bytes) -> Result<Json<Pulled>, Refusal> {
    let asked: Pull = read_json(&body)?;
    Ok(Json(pushed::ask(&node, &asked).await?))
}

async fn fetch(State(node): State<Node>, body: Bytes) -> Result<Json<Fetched>, Refusal> {
    let asked: Fetch = read_json(&body)?;
    Ok(Json(fetching::fetch(&node, &asked).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

async fn revoke(
    State(node): State<Node>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<AgreementLine>, Refusal> {
    let reason: Reason = read_json(&body)?;
    Ok(Json(node::agreements::revoke(&node, &id, &reason.reason).await?))
}

async fn receipt_proof(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Vec<u8>, Refusal> {
    Ok(node::receipts::export(&node, &id)?.into_bytes())
}

async fn agreement_proof(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Vec<u8>, Refusal> {
    Ok(node::agreements::export(&node, &id).await?.to_bytes())
}

async fn decision_proof(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Vec<u8>, Refusal> {
    Ok(node::decisions::export(&node, &id).await?.to_bytes())
}

async fn deletion_proof(
    State(node): State<Node>,
    Path(id): Path<String>,
    _: Query<Nothing>,
) -> Result<Vec<u8>, Refusal> {
    Ok(node::receipts::deletion(&node, &id).await?.to_bytes())
}

async fn doctor_of(
    State(node): State<Node>,
    _: Query<Nothing>,
) -> Result<Json<Vec<Finding>>, Refusal> {
    Ok(Json(doctor::running(&node).await?))
}

async fn clock(State(node): State<Node>, _: Query<Nothing>) -> Json<Value> {
    Json(clocks(&node))
}

fn clocks(node: &Node) -> Value {
    let (policy, wall) = (node.clocks.policy().0, node.clocks.wall().0);
    json!({ "policy": policy, "wall": wall, "driven": node.clocks.is_driven() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    policy: Timestamp,
}

async fn set_clock(State(node): State<Node>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let asked: SetClock = read_json(&body)?;
    node.clocks.set_policy(asked.policy)?;
    // What was due by then is done when this is answered.
    node::retention::advance(&node).await?;
    Ok(Json(clocks(&node)))
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|e| Problem::new(codes::INPUT_MALFORMED, format!("the body cannot be read: {e}")))
}
