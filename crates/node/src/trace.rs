//! What a node says while it works: every line of its structured log, and the steps of the spines
//! as spans. docs/observe.md lists them.
//!
//! All lines are written here and nowhere else, so that what can stand in one is a closed list:
//! words of ours, numbers, DIDs, ids and codes. No value of a twin, no token, key, query, header or
//! body is ever handed in. Who installs no subscriber pays for a look at one number a line.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::instrument::Instrument as _;
use tracing::{Level, Span, debug, debug_span, enabled, error, info, info_span, warn};
use twinpact_identity::claims::ClaimsFault;
use twinpact_model::entry::Kind;
use twinpact_model::problem::Problem;
use twinpact_proof::to_hex;
use twinpact_store::forest::{DECISIONS, EVENTS, LOCAL};
use twinpact_store::{Committed, Cut};

use crate::ids;

/// What all lines and spans of a node are under.
pub const TARGET: &str = "twinpact";
/// The header with the id of a request, in both directions.
pub const REQUEST_HEADER: &str = "x-request-id";
/// The longest id of a request that a caller may have given it.
const MAX_CALLER_ID: usize = 64;

macro_rules! steps {
    ($($variant:ident = $name:literal;)*) => {
        /// The steps of the three spines, by the names that ARCHITECTURE.md gives them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the name says it")]
        pub enum Step { $($variant),* }

        impl Step {
            /// Every step.
            pub const ALL: &[Step] = &[$(Step::$variant),*];

            /// The name of its span.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Step::$variant => $name),* }
            }
        }

        /// Begins a step; it ends when what is returned is dropped.
        pub fn step(step: Step) -> Stepping {
            Stepping(match step {
                $(Step::$variant => debug_span!(target: TARGET, $name).entered()),*
            })
        }
    };
}

steps! {
    Edge = "edge";
    Check = "check";
    Decide = "decide";
    Log = "log";
    Apply = "apply";
    Identify = "identify";
    Agreement = "agreement";
    View = "view";
    Oblige = "oblige";
    Write = "write";
    Parse = "parse";
    Step = "step";
    Acknowledge = "acknowledge";
}

/// A step under way.
#[must_use = "a step ends when this is dropped"]
pub struct Stepping(
    #[allow(dead_code, reason = "dropping it is its use")] tracing::span::EnteredSpan,
);

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doorway {
    /// The organisation's own people and programs.
    Admin,
    /// Partners, and who has no name.
    Federation,
    /// Connectors of others.
    Connectors,
}

impl Doorway {
    const fn name(self) -> &'static str {
        match self {
            Doorway::Admin => "admin",
            Doorway::Federation => "federation",
            Doorway::Connectors => "connectors",
        }
    }
}

/// A request that is being answered. What happens for it, also in the writer's thread, is under its
/// id.
pub struct Request {
    id: String,
    span: Span,
    since: Instant,
}

impl Request {
    /// A request begins: its method, the route or the part of the door that it is for (never the
    /// path, in which a stranger may put anything), the DID of who asks, and the id that the caller
    /// says it has, which is shown when it is of the form.
    #[must_use]
    pub fn begin(
        door: Doorway,
        method: &str,
        route: &str,
        partner: Option<&str>,
        caller_id: Option<&str>,
    ) -> Request {
        let id = request_id();
        let span = info_span!(
            target: TARGET,
            "request",
            request = id,
            door = door.name(),
            method = known_method(method),
            route,
            partner,
            caller_request = caller_id.filter(|id| is_request_id(id)),
        );
        Request { id, span, since: Instant::now() }
    }

    /// Its id, for the header [`REQUEST_HEADER`] of the answer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Does this under the request.
    pub async fn over<T>(&self, work: impl Future<Output = T>) -> T {
        work.instrument(self.span.clone()).await
    }

    /// It was answered with that HTTP status, and that code when it was refused.
    pub fn answered(&self, status: u16, code: &str) {
        let (code, us) = (ok_or(code), micros(self.since.elapsed()));
        self.span.in_scope(|| match status {
            500.. => warn!(target: TARGET, event = "answered", status, code, us),
            _ => info!(target: TARGET, event = "answered", status, code, us),
        });
    }
}

/// A call to a partner.
pub struct Call {
    id: String,
    since: Instant,
}

impl Call {
    /// A call begins.
    #[must_use]
    pub fn begin() -> Call {
        Call { id: request_id(), since: Instant::now() }
    }

    /// Its id, for the header [`REQUEST_HEADER`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// It was answered, or was not: method, part of the partner's door, and whom we called.
    pub fn ended(&self, method: &str, route: &str, to: &str, outcome: Result<u16, &Problem>) {
        let (request, us) = (self.id.as_str(), micros(self.since.elapsed()));
        match outcome {
            Ok(status @ ..500) => {
                info!(target: TARGET, event = "called", request, method, route, to, status, us);
            }
            Ok(status) => {
                warn!(target: TARGET, event = "called", request, method, route, to, status, us);
            }
            Err(problem) => {
                let code = problem.code.name;
                warn!(target: TARGET, event = "called", request, method, route, to, code, us);
            }
        }
    }
}

/// The span under way here, to go on in another thread.
#[derive(Clone)]
pub(crate) struct Here(Span);

impl Here {
    pub(crate) fn now() -> Here {
        Here(Span::current())
    }

    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.in_scope(work)
    }
}

/// The node is open.
pub fn started(organisation: &str) {
    info!(target: TARGET, event = "started", version = env!("CARGO_PKG_VERSION"), organisation);
}

/// It listens.
pub fn ready(admin: &str, federation: Option<&str>) {
    info!(target: TARGET, event = "ready", admin, federation);
}

/// What its operator should know: a code and its sentence, as `/readyz` says them to anybody.
pub fn warning(code: &str, message: &str) {
    warn!(target: TARGET, event = "warning", code, message);
}

/// The policy clock is driven: decisions of this node are no evidence.
pub fn driven() {
    let message = "the policy clock is driven: decisions of this node are no evidence";
    warn!(target: TARGET, event = "driven", message);
}

/// It was told to stop, and has.
pub fn stopped() {
    info!(target: TARGET, event = "stopped");
}

/// A torn tail was cut from the log.
pub fn cut(cut: Cut) {
    let Cut { segment, offset, bytes } = cut;
    warn!(target: TARGET, event = "cut", segment, offset, bytes);
}

/// Somebody came to the door with TLS and was nobody, for that reason.
pub(crate) fn claims_refused(why: ClaimsFault) {
    info!(target: TARGET, event = "claims-refused", why = %why);
}

/// The certificate of that door was read again, or could not be.
pub fn web_certificate(outcome: Result<(), &Problem>) {
    if let Err(problem) = outcome {
        let (code, message) = (problem.code.name, problem.message.as_str());
        warn!(target: TARGET, event = "web-certificate", code, message);
    }
}

/// The log has stopped: nothing is taken in or given out any more.
pub(crate) fn log_stopped(problem: &Problem) {
    error!(target: TARGET, event = "log-stopped", code = problem.code.name);
}

/// A frame is durable: how long its `fdatasync` took, and the tick that it made.
pub(crate) fn frame(sync: Duration, tick: Option<u64>) {
    debug!(target: TARGET, event = "frame", sync_us = micros(sync), tick);
}

/// A batch was recorded: its rows by what became of them.
pub(crate) fn recorded(new: u64, duplicate: u64, corrected: u64, refused: u64) {
    info!(target: TARGET, event = "recorded", new, duplicate, corrected, refused);
}

/// Somebody was turned away before the door was asked. They are counted too, and may be many.
pub(crate) fn turned_away(kind: &str) {
    debug!(target: TARGET, event = "turned-away", kind);
}

/// The node has a fresh certificate, or none was to be had.
pub fn renewed(outcome: Result<(), &Problem>) {
    match outcome {
        Ok(()) => info!(target: TARGET, event = "renewed"),
        Err(problem) => warn!(target: TARGET, event = "not-renewed", code = problem.code.name),
    }
}

/// Attributes of entries that a line may show: ids, names and codes.
const SHOWN: [&str; 5] = ["process", "pid", "agreement", "organisation", "code"];

/// An entry of the log that is told of once it is durable.
pub(crate) struct News {
    here: Here,
    kind: Kind,
    tree: &'static str,
    index: u64,
    actor: String,
    /// One for each of [`SHOWN`].
    shown: [Option<String>; 5],
    /// The state that a process is in now.
    state: Option<String>,
}

impl News {
    /// Those of these entries that are told of; none when nobody listens.
    pub(crate) fn of(committed: &[Committed]) -> Vec<News> {
        if !enabled!(target: TARGET, Level::INFO) {
            return Vec::new();
        }
        let here = Here::now();
        committed
            .iter()
            .filter(|one| is_news(one.entry.who.kind))
            .map(|one| here.news(one))
            .collect()
    }

    pub(crate) fn tell(&self) {
        let [process, pid, agreement, organisation, code] =
            self.shown.each_ref().map(Option::as_deref);
        let (kind, tree, index) = (self.kind.name(), self.tree, self.index);
        let (actor, state) = (self.actor.as_str(), self.state.as_deref());
        self.here.within(|| {
            info!(
                target: TARGET, event = "logged", kind, tree, index, actor, process, pid, state,
                agreement, organisation, code
            );
        });
    }
}

impl Here {
    fn news(&self, one: &Committed) -> News {
        let entry = &one.entry;
        let tree = match one.tree {
            LOCAL => "local",
            EVENTS => "events",
            DECISIONS => "decisions",
            _ => "ledger",
        };
        let state = entry.get("state").filter(|_| entry.who.kind == Kind::ProcessState);
        News {
            here: self.clone(),
            kind: entry.who.kind,
            tree,
            index: one.index,
            actor: entry.who.actor.to_string(),
            shown: SHOWN.map(|path| entry.get(path).map(str::to_owned)),
            state: state.and_then(state_name),
        }
    }
}

/// What changes who may do what, or tells how an exchange goes. Rows and messages are counted.
const fn is_news(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::OrganisationRecord
            | Kind::ModelPut
            | Kind::ContractPublished
            | Kind::PartnerPinned
            | Kind::PartnerRemoved
            | Kind::AgreementConcluded
            | Kind::AgreementEnded
            | Kind::Decision
            | Kind::Delivery
            | Kind::ProcessState
            | Kind::Countersignature
            | Kind::Invitation
            | Kind::TailCut
            | Kind::AnchorBehind
    )
}

/// The state in the JSON of a process.
fn state_name(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.get("state")?.as_str().map(str::to_owned)
}

/// A method as HTTP knows it; whatever else a caller calls it is no word of ours.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

fn is_request_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=MAX_CALLER_ID).contains(&id.len()) && id.bytes().all(plain)
}

fn ok_or(code: &str) -> &str {
    if code.is_empty() { "ok" } else { code }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Random for each start, and counted from then on. It is no secret.
fn request_id() -> String {
    static BOOT: OnceLock<String> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let boot = BOOT.get_or_init(|| to_hex(&ids::random_bytes::<6>().unwrap_or_default()));
    format!("{boot}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::{Step, is_request_id, known_method, request_id, state_name};

    #[test]
    fn ids_of_callers_have_a_form() {
        for (id, expect) in [
            ("0c1f-7", true),
            ("a.b_c", true),
            ("", false),
            ("a b", false),
            ("a\n", false),
            ("\u{1b}[31m", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(is_request_id(id), expect, "{id:?}");
        }
        let (one, other) = (request_id(), request_id());
        assert!(one != other && is_request_id(&one), "{one} {other}");
    }

    #[test]
    fn what_a_stranger_calls_a_method_is_not_repeated() {
        assert_eq!(known_method("GET"), "GET");
        assert_eq!(known_method("get"), "other");
        assert_eq!(known_method("SECRET-IN-METHOD"), "other");
    }

    #[test]
    fn the_state_of_a_process_is_a_word() {
        assert_eq!(state_name(r#"{"state":"FINALIZED","x":1}"#).as_deref(), Some("FINALIZED"));
        assert_eq!(state_name("{}"), None);
    }

    /// The names of ARCHITECTURE.md, in its order, each once.
    #[test]
    fn steps_are_those_of_the_spines() {
        let house = include_str!("../../../ARCHITECTURE.md");
        let spine = |name: &str| {
            let line = house.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            line.split_once(')').unwrap().1.to_owned()
        };
        let spines = ["record(batch)", "answer(request)", "negotiate(msg)"].map(spine).concat();
        let spines = spines.replace("applies", "apply");
        for step in Step::ALL {
            assert!(spines.contains(step.name()), "{} is no step of {spines}", step.name());
        }
    }
}
