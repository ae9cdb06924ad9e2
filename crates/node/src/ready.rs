//! Whether the node does its work, and what its operator should know before it stops doing it.
//!
//! A node whose issuing CA has run out works, and refuses federation traffic only. It says so, and
//! begins to warn 30 days before.

use crate::behind;
use crate::cosignatures::{self, Lag};
use crate::divergence::Grade;
use crate::open::Node;
use serde::{Deserialize, Serialize};
use twinpact_dsp::exchange::{OWN_PATIENCE_S, Whose};
use twinpact_dsp::negotiation::Negotiation;
use twinpact_identity::ca::Validity;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_model::time::WallTime;

/// How many seconds before its end we begin to warn of the certificate of the door for connectors:
/// two weeks.
const WEB_DOOR_S: i64 = 14 * 86_400;

/// The answer to `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// In a word.
    pub status: Status,
    /// What the operator should know; empty when there is nothing.
    pub warnings: Vec<Warning>,
    /// The log.
    pub log: LogLine,
}

/// How the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It does all of its work.
    #[serde(rename = "ready")]
    Ready,
    /// It does all of its work for now: see the warnings.
    #[serde(rename = "warning")]
    Warning,
    /// It is an older copy of itself: it reads, and neither signs nor writes.
    #[serde(rename = "behind")]
    Behind,
    /// It works, but not with partners.
    #[serde(rename = "federation refused")]
    FederationRefused,
}

/// What the operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The code, whose page says what to do.
    pub code: String,
    /// One sentence.
    pub message: String,
}

impl Warning {
    fn of(problem: Problem) -> Warning {
        Warning { code: problem.code.name.to_owned(), message: problem.message }
    }
}

/// The log, in a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How many anchor leaves it has.
    pub ticks: u64,
}

/// How the node is at that time.
///
/// # Errors
/// `store.stopped` after a failed write: such a node is not ready.
pub fn ready(node: &Node, now: WallTime) -> Result<Ready, Problem> {
    let ticks = node.partition.read(|_, store| store.forest().ticks())?;
    let warnings = warnings(node, now);
    let status = match warnings.as_slice() {
        [first, ..] if first.code == codes::ANCHOR_BEHIND.name => Status::Behind,
        _ if !node.identity.current().issuing.validity(now).federates() => {
            Status::FederationRefused
        }
        [] => Status::Ready,
        _ => Status::Warning,
    };
    Ok(Ready { status, warnings, log: LogLine { ticks } })
}

/// What the operator should know at that time.
#[must_use]
pub fn warnings(node: &Node, now: WallTime) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Err(problem) = behind::check(node)
        && problem.code == codes::ANCHOR_BEHIND
    {
        warnings.push(Warning::of(problem));
    }
    warnings.extend(node.claimed.problem().map(Warning::of));
    warnings.extend(of_logs(node, now).into_iter().map(Warning::of));
    warnings.extend(undecided(node, now).map(Warning::of));
    warnings.extend(web_door(node, now).map(Warning::of));
    let validity = node.identity.current().issuing.validity(now);
    let code = match validity {
        Validity::Good => return warnings,
        Validity::Expiring { .. } => codes::IDENTITY_EXPIRING,
        Validity::Expired { .. } => codes::IDENTITY_EXPIRED,
    };
    warnings.push(Warning { code: code.name.to_owned(), message: validity.to_string() });
    warnings
}

/// The certificate of the door for connectors that sign claims, when it ends within two weeks:
/// those who renew theirs by themselves have done so by then.
fn web_door(node: &Node, now: WallTime) -> Option<Problem> {
    let until = node.connectors.web.as_ref()?.server.until();
    let why = format!("the certificate of the door for connectors is good until {}", until.0);
    let soon = until.0 < now.0.plus_seconds(WEB_DOOR_S);
    soon.then(|| Problem::new(codes::CONNECTOR_CERTIFICATE, why))
}

/// Negotiations that wait for us, and have for more than half of our time. Nobody is named.
fn undecided(node: &Node, now: WallTime) -> Option<Problem> {
    let half = now.0.plus_seconds(-OWN_PATIENCE_S / 2);
    let waits = |n: &&Negotiation| n.turn() == Whose::Ours && n.since.0 < half;
    let read =
        node.partition.read(|fold, _| fold.processes.negotiations.values().filter(waits).count());
    let count = read.unwrap_or_default();
    let why = format!("negotiations that wait for a decision of ours for days: {count}");
    (count > 0).then(|| Problem::new(codes::EXCHANGE_UNDECIDED, why))
}

/// What is wrong with logs of partners and with our witnesses. Nobody is named: who asks for this
/// page needs no token.
fn of_logs(node: &Node, now: WallTime) -> Vec<Problem> {
    let grades = node.partition.read(|fold, _| {
        [Grade::Proven, Grade::Unproven]
            .map(|grade| fold.divergences.iter().filter(|alert| alert.grade == grade).count())
    });
    let [forked, doubted] = grades.unwrap_or_default();
    let lags = cosignatures::lags(node, now).unwrap_or_default();
    let failing = |code| lags.iter().filter_map(Lag::problem).filter(|p| p.code == code).count();
    let told = |count: usize, code, what: &str| {
        (count > 0).then(|| Problem::new(code, format!("{what}: {count}")))
    };
    [
        told(forked, codes::LOG_FORKED, "partners' logs that keep two histories"),
        told(doubted, codes::LOG_DOUBTED, "partners' logs that may keep two histories"),
        told(
            failing(codes::WITNESS_FALSE),
            codes::WITNESS_FALSE,
            "witnesses that sent what is none",
        ),
        told(
            failing(codes::ANCHOR_CLAIMED),
            codes::ANCHOR_CLAIMED,
            "witnesses that claim to know more of this log",
        ),
        told(
            failing(codes::WITNESS_LATE),
            codes::WITNESS_LATE,
            "witnesses that have not cosigned for a minute or more",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Status, ready, warnings};
    use crate::clock::PolicyClock;
    use crate::open::{init, open};
    use twinpact_model::{Did, WallTime};

    #[tokio::test]
    async fn the_end_of_the_issuing_ca_is_said_thirty_days_ahead() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
        let parts = open(&path, PolicyClock::System).await.unwrap();
        let node = &parts.node;
        let end = node.identity.current().issuing.not_after();
        const DAY: i64 = 86_400;
        for (seconds, status, code) in [
            (-31 * DAY, Status::Ready, None),
            (-30 * DAY - 1, Status::Ready, None),
            (-30 * DAY, Status::Warning, Some("identity.expiring")),
            (-29 * DAY, Status::Warning, Some("identity.expiring")),
            (0, Status::Warning, Some("identity.expiring")),
            (1, Status::FederationRefused, Some("identity.expired")),
            (DAY, Status::FederationRefused, Some("identity.expired")),
        ] {
            let now = WallTime(end.0.plus_seconds(seconds));
            let said = ready(node, now).unwrap();
            assert_eq!(said.status, status, "{seconds}");
            assert_eq!(said.warnings, warnings(node, now));
            let codes: Vec<&str> = said.warnings.iter().map(|w| w.code.as_str()).collect();
            assert_eq!(codes, code.into_iter().collect::<Vec<_>>(), "{seconds}");
            let named = |w: &super::Warning| w.message.contains(&end.0.to_string());
            assert!(said.warnings.iter().all(named), "{:?}", said.warnings);
            let word = serde_json::to_value(&said).unwrap()["status"].clone();
            assert_eq!(word == "federation refused", seconds > 0);
        }
        parts.stop();
    }
}
