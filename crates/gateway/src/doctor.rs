//! What only sockets can tell of a node: its ports, the address that partners are told, and whether
//! partners answer. What the directory and the log say is in [`twinpact_node::doctor`].

use crate::outgoing::{HttpsOutbound, Limits};
use crate::port::bind;
use crate::running::{wall_clock, way_out};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use twinpact_identity::partners::Partners;
use twinpact_identity::tls::Presented;
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_model::time::WallTime;
use twinpact_node::ask::ORGANISATION_PATH;
use twinpact_node::config::Config;
use twinpact_node::doctor::{Finding, endpoint_problem, state};
use twinpact_node::outbound::{Call, FirstCall, Outbound as _};
use twinpact_node::partners::{Partner, trust_domain};
use twinpact_node::repin::{MAX_RECORD_BYTES, would_take};
use twinpact_node::{Node, prove};

/// How many partners are asked at the same time.
const AT_ONCE: usize = 16;
/// How far a partner's clock may be from ours, in seconds.
const SKEW_SECONDS: i64 = 60;
/// A partner that takes longer is not there for today's purpose.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(3),
    handshake: Duration::from_secs(3),
    whole: Duration::from_secs(8),
};

/// Whether a node that does not run could have its ports.
pub async fn ports(config: &Config) -> Vec<Finding> {
    let mut findings = vec![port("port admin.listen", config.admin.listen).await];
    match config.federation.listen {
        Some(address) => findings.push(port("port federation.listen", address).await),
        None => findings.push(Finding::ok("port federation.listen", "there is no listener")),
    }
    findings
}

async fn port(check: &str, address: SocketAddr) -> Finding {
    match bind(address).await {
        Ok(_) if address.port() == 0 => Finding::ok(check, "any free port"),
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(problem) => Finding::fault(check, problem),
    }
}

/// What a node that runs says of itself.
///
/// # Errors
/// `store.stopped`; `outgoing.url` when an allowed private address is none.
pub async fn running(node: &Node) -> Result<Vec<Finding>, Problem> {
    let mut findings = vec![Finding::ok("log", "the node that runs has read it")];
    for (key, address) in [
        ("port admin.listen", Some(node.config.admin.listen)),
        ("port federation.listen", node.config.federation.listen),
    ] {
        let said = address.map_or("there is no listener".to_owned(), |a| format!("ours: {a}"));
        findings.push(Finding::ok(key, said));
    }
    findings.extend(state(node, node.clocks.wall())?);
    findings.extend(endpoint(node).await);
    findings.extend(partners(node).await?);
    Ok(findings)
}

/// What the log of a node that does not run says, and its partners.
///
/// # Errors
/// As [`running`].
pub async fn still(node: &Node) -> Result<Vec<Finding>, Problem> {
    let mut findings = state(node, node.clocks.wall())?;
    if node.config.federation.endpoint.is_some() {
        findings.push(Finding::skipped("endpoint", "no node runs that could answer there"));
    }
    findings.extend(partners(node).await?);
    Ok(findings)
}

/// Whether partners who go where the record says come to us.
async fn endpoint(node: &Node) -> Option<Finding> {
    let base = node.config.federation.endpoint.as_ref()?.trim_end_matches('/').to_owned();
    Some(match own(node, base.clone()).await {
        Ok(()) => Finding::ok("endpoint", format!("this node answers at {base}")),
        Err(problem) => Finding::fault("endpoint", endpoint_problem(&problem.message)),
    })
}

async fn own(node: &Node, base: String) -> Result<(), Problem> {
    let (nobody, clock) = (Presented::default(), wall_clock(node));
    let outbound = HttpsOutbound::new(nobody, Partners::default(), clock, vec![base.clone()])?;
    let call = record_call(base, node.identity.current().root.clone());
    let body = outbound.with_limits(LIMITS).first(call).await?.body;
    let ours = prove::own_record(node)?.to_json().canonical().into_bytes();
    match body == ours {
        true => Ok(()),
        false => Err(Problem::new(codes::PEER_ANSWER, "what answers there has another record")),
    }
}

fn record_call(base: String, root: twinpact_identity::RootCertificate) -> FirstCall {
    FirstCall {
        root: Some(root),
        url: format!("{base}{ORGANISATION_PATH}"),
        base,
        method: "GET",
        body: Vec::new(),
        max_bytes: MAX_RECORD_BYTES,
    }
}

/// Each partner: whether it answers, with whose certificate, at what time, and with which record.
async fn partners(node: &Node) -> Result<Vec<Finding>, Problem> {
    let all: Vec<Partner> =
        node.partition.read(|fold, _| fold.partners.iter().cloned().collect())?;
    if node.presented.is_empty() {
        let why = "this node has no certificate to show them";
        return Ok(all.iter().map(|p| Finding::skipped(&name(p), why)).collect());
    }
    let mut findings = Vec::with_capacity(all.len());
    for some in all.chunks(AT_ONCE) {
        let mut asking = JoinSet::new();
        for partner in some {
            let (node, partner) = (node.clone(), partner.clone());
            let outbound = way_out(&node)?.with_limits(LIMITS);
            asking.spawn(async move { partner_found(&node, &outbound, &partner).await });
        }
        findings.extend(asking.join_all().await);
    }
    findings.sort_by(|a: &Finding, b| a.check.cmp(&b.check));
    Ok(findings)
}

fn name(partner: &Partner) -> String {
    format!("partner {}", partner.record.did)
}

async fn partner_found(node: &Node, outbound: &HttpsOutbound, partner: &Partner) -> Finding {
    let check = name(partner);
    let there = match asked(outbound, partner).await {
        Ok(there) => there,
        Err(problem) => return Finding::fault(&check, with_remedy(problem, partner)),
    };
    if let Some(problem) = there.and_then(|there| skew(there, node.clocks.wall())) {
        return Finding::warning(&check, problem);
    }
    match published(node, outbound, partner).await {
        Ok(false) => Finding::ok(&check, "it answers, with the record that is pinned"),
        Ok(true) => Finding::ok(&check, "it answers; its newer record is taken when it is needed"),
        Err(problem) => Finding::warning(&check, with_remedy(problem, partner)),
    }
}

/// A call with our certificate: the time there.
async fn asked(outbound: &HttpsOutbound, partner: &Partner) -> Result<Option<WallTime>, Problem> {
    let dsp = &partner.record.dsp;
    let call = Call {
        trust_domain: trust_domain(partner)?,
        pinned: vec![dsp.clone()],
        method: "GET",
        url: format!("{dsp}/.well-known/dspace-version"),
        headers: Vec::new(),
        body: Vec::new(),
        max_bytes: MAX_RECORD_BYTES,
    };
    let (reply, there) = outbound.dated(call).await?;
    match reply.status {
        200 => Ok(there),
        status => Err(Problem::new(codes::PEER_ANSWER, format!("it answers with status {status}"))),
    }
}

/// Whether it publishes a newer record than the one that is pinned.
async fn published(
    node: &Node,
    outbound: &HttpsOutbound,
    partner: &Partner,
) -> Result<bool, Problem> {
    let dsp = &partner.record.dsp;
    let base = dsp.strip_suffix("/dsp").unwrap_or(dsp).to_owned();
    let root = twinpact_identity::RootCertificate::from_der(&partner.record.root_certificate)?;
    let reply = outbound.first(record_call(base, root)).await?;
    would_take(node, &partner.record.did, &reply.body)
}

fn skew(there: WallTime, here: WallTime) -> Option<Problem> {
    let ahead = there.0.seconds() - here.0.seconds();
    if ahead.abs() <= SKEW_SECONDS {
        return None;
    }
    let why = format!("it is {} there and {} here: {} s apart", there.0, here.0, ahead.abs());
    Some(
        Problem::new(codes::CLOCK_SKEW, why)
            .hint("compare both clocks with a third one; yours is set with timedatectl"),
    )
}

fn with_remedy(problem: Problem, partner: &Partner) -> Problem {
    let (did, at) = (&partner.record.did, &partner.record.dsp);
    match problem.code.name {
        "peer.unreachable" => problem.hint(format!(
            "ask {did} whether its node runs at {at}, and whether a firewall lets you through"
        )),
        "tls.refused" => problem.hint(format!(
            "ask {did} whether it has pinned you, and compare its fingerprint; after a new root: \
             twinpact partner remove {did}, then join it again"
        )),
        "outgoing.address" => {
            let base = at.strip_suffix("/dsp").unwrap_or(at);
            problem.hint(format!(
                "if the partner is in your own network, add {base:?} to federation.allow_private"
            ))
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::{SKEW_SECONDS, skew};
    use twinpact_model::time::{Timestamp, WallTime};

    #[test]
    fn a_clock_that_is_apart_is_named() {
        let at = |seconds: i64| WallTime(Timestamp::from_seconds(1_790_000_000 + seconds));
        for (there, told) in [
            (0, false),
            (SKEW_SECONDS, false),
            (-SKEW_SECONDS, false),
            (SKEW_SECONDS + 1, true),
            (-SKEW_SECONDS - 1, true),
            (-86_400 * 365, true),
        ] {
            let found = skew(at(there), at(0));
            assert_eq!(found.is_some_and(|p| p.code.name == "clock.skew"), told, "{there}");
        }
    }
}
