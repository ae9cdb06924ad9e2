//! A decision and the core of its record: canonical JSON, integers and texts only.

use crate::checks::{Asked, Check};
use crate::grant::Grant;
use crate::request::integer;
use twinpact_contract::Duty;
use twinpact_model::{Code, PolicyTime, Timestamp, WallTime};
use twinpact_proof::digest::{Digest, sha256, to_hex};
use twinpact_proof::json::Json;

/// Yes with what it gives, or no with the reason.
#[derive(Debug)]
pub enum Outcome {
    /// The request may be answered through this grant.
    Permit(Box<Grant>),
    /// It may not.
    Deny(Code),
}

/// What was decided and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decision {
    /// Yes or no.
    pub outcome: Outcome,
    /// One row for each check, in their fixed order.
    pub checks: Vec<Check>,
    /// One sentence: what, why, and for a denial when or how it would be allowed.
    pub sentence: String,
    /// The next instant at which any condition flips by the policy clock; `None` when none ever
    /// will.
    pub valid_until: Option<PolicyTime>,
    /// The next instant at which token or assertion run out, or begin, by the wall clock.
    pub wall_until: Option<WallTime>,
    /// For a denial by the terms: when the same request would be permitted, if waiting helps.
    pub opens_at: Option<PolicyTime>,
    /// What a permit obliges to.
    pub obligations: Vec<Duty>,
    /// SHA-256 over the request without times and one-time ids.
    pub input_digest: Digest,
    /// SHA-256 over the record's core.
    pub id: Digest,
    pub(crate) core: Json,
}

impl Decision {
    /// Whether it permits.
    #[must_use]
    pub fn permits(&self) -> bool {
        matches!(self.outcome, Outcome::Permit(_))
    }

    /// The name of the outcome: `policy.permit`, or the code of the denial.
    #[must_use]
    pub fn code_name(&self) -> &'static str {
        match &self.outcome {
            Outcome::Permit(_) => PERMIT,
            Outcome::Deny(code) => code.name,
        }
    }

    /// The core of the record, to be signed by who decided. Times are in milliseconds, rounded
    /// down, so that they stay inside the integers of signed types.
    #[must_use]
    pub fn to_json(&self) -> Json {
        self.core.clone()
    }
}

/// The name of a permit. It is no error code: there is nothing to do about it.
/// The code of a permit.
pub const PERMIT: &str = "policy.permit";

/// What the record says beside what was asked.
pub(crate) struct Facts<'a> {
    pub(crate) code: Option<Code>,
    pub(crate) checks: &'a [Check],
    pub(crate) sentence: &'a str,
    pub(crate) obligations: &'a [Duty],
    pub(crate) valid_until: Option<Timestamp>,
    pub(crate) wall_until: Option<Timestamp>,
    pub(crate) opens_at: Option<Timestamp>,
}

impl Facts<'_> {
    /// The record's core and the digest of the input.
    pub(crate) fn record(&self, asked: &Asked<'_>) -> (Json, Digest) {
        let (request, agreement) = (asked.request, asked.agreement);
        let input = request.to_json();
        let input_digest = sha256(input.canonical().as_bytes());
        let assertion = request.assertion.as_ref();
        let hex = |digest: Digest| Json::text(to_hex(&digest));
        let time = |t: Option<Timestamp>| t.map_or(Json::Null, millis);
        let core = Json::object([
            ("agreement", Json::text(&agreement.id)),
            ("agreement_at_id", Json::text(&agreement.at_id)),
            ("assertion_sha256", assertion.map_or(Json::Null, |a| hex(a.digest))),
            ("checks", Json::Array(self.checks.iter().map(row).collect())),
            ("code", Json::text(self.code.map_or(PERMIT, |code| code.name))),
            ("effect", Json::text(if self.code.is_none() { "permit" } else { "deny" })),
            ("epoch", integer(agreement.epoch)),
            ("input", input),
            ("input_sha256", hex(input_digest)),
            ("obligations", Json::Array(self.obligations.iter().map(duty).collect())),
            ("opens_at_ms", time(self.opens_at)),
            ("policy_ms", millis(asked.now)),
            ("sentence", Json::text(self.sentence)),
            ("terms_sha256", hex(agreement.terms.digest())),
            ("v", Json::text("twinpact-decision/1")),
            ("valid_until_ms", time(self.valid_until)),
            ("vocabulary_sha256", hex(asked.vocabulary.digest())),
            ("wall_ms", millis(asked.wall)),
            ("wall_until_ms", time(self.wall_until)),
        ]);
        (core, input_digest)
    }
}

fn row(check: &Check) -> Json {
    Json::object([
        ("actual", Json::text(&check.actual)),
        ("expected", Json::text(&check.expected)),
        ("name", Json::text(&check.name)),
        ("outcome", Json::text(check.outcome.name())),
    ])
}

fn duty(duty: &Duty) -> Json {
    match duty {
        Duty::Delete { within_s } => {
            Json::object([("action", Json::text("delete")), ("within_s", integer(*within_s))])
        }
    }
}

fn millis(at: Timestamp) -> Json {
    Json::Int(at.micros().div_euclid(1000))
}
