//! The spine of the protocol: parse → step → log (state, outbox and audit in one frame) →
//! acknowledge; the outbox sends.
//!
//! [`receive`] is what a partner's message goes through, whichever it is. What we decide ourselves
//! on a message stands in [`crate::bargain`], and happens in the same turn and the same frame.

use crate::ask::Answer;
use crate::bargain;
use crate::connectors;
use crate::contracts;
use crate::door::Asked;
use crate::egress::{Egress, PublicDoc};
use crate::fold::Fold;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::shelf::{self, Wishes};
use crate::trace::{self, Step};
use twinpact_contract::Contract;
use twinpact_dsp::catalog::{self, DatasetOffer, Query};
use twinpact_dsp::exchange::opening_key;
use twinpact_dsp::message::Versions;
use twinpact_dsp::negotiation::{self, Negotiation};
use twinpact_dsp::route::{Endpoint, Route, Success, match_route};
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_dsp::{Message, Rejected, Status, Subject};
use twinpact_model::problem::Problem;
use twinpact_model::{Class, codes};

/// An authenticated participant that sends a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Its participant id.
    pub(crate) id: &'a str,
    /// The program of it that calls, which tokens are bound to.
    pub(crate) workload: &'a str,
}

/// A refusal of a message: by the protocol, or by this node.
#[derive(Debug)]
pub enum Refused {
    /// The protocol's own.
    Protocol(Rejected),
    /// Ours.
    Node(Problem),
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        Refused::Protocol(rejected)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused::Node(problem)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Protocol(rejected) => rejected.into(),
            Refused::Node(problem) => problem,
        }
    }
}

/// Answers a request of the Dataspace Protocol by an authenticated partner.
pub(crate) async fn receive(
    node: &Node,
    caller: Caller<'_>,
    route: &Route,
    asked: &Asked,
) -> Answer {
    let refuse = |refused: Refused, message: Option<&Message>| {
        Answer::unrecorded(refusal(refused, route, message))
    };
    let parsing = trace::step(Step::Parse);
    let message = match Message::parse_bytes(&asked.body) {
        _ if asked.body.is_empty() => None,
        Ok(message) => Some(message),
        Err(rejected) => return refuse(rejected.into(), None),
    };
    drop(parsing);
    let wants_one = route.row.endpoint.message_name().is_some();
    if message.as_ref().map_or(wants_one, |m| !route.takes(m)) {
        return refuse(misplaced().into(), None);
    }
    if matches!(route.row.endpoint, Endpoint::Catalog | Endpoint::CatalogPart) {
        return match catalogue(node, caller.id, asked, message.as_ref()).await {
            Ok(egress) => Answer::unrecorded(egress),
            Err(refused) => refuse(refused, message.as_ref()),
        };
    }
    let answered = match (&message, route.row.endpoint) {
        (Some(message), _) => take(node, caller, message.clone(), route).await,
        (None, _) => look(node, caller.id, route).map(|m| (m, false)),
    };
    match answered {
        Ok((message, logged)) => {
            let _acknowledging = trace::step(Step::Acknowledge);
            let status = if route.row.success == Success::Created { 201 } else { 200 };
            let egress = Egress::Protocol { status, message: message.map(Box::new) };
            if logged { Answer::recorded(egress) } else { Answer::unrecorded(egress) }
        }
        Err(refused) => refuse(refused, message.as_ref()),
    }
}

/// The version document: everybody may read it.
#[must_use]
pub fn versions() -> Egress {
    Egress::Public(PublicDoc::Versions(Message::Versions(Versions::ours("/dsp")).to_json()))
}

/// Takes a message that moves a process; whether it did, and so is on record.
async fn take(
    node: &Node,
    caller: Caller<'_>,
    message: Message,
    route: &Route,
) -> Result<(Option<Message>, bool), Refused> {
    let (ours, id, workload) = (node.clone(), caller.id.to_owned(), caller.workload.to_owned());
    let (pid, endpoint) = (route.id.clone(), route.row.endpoint);
    node.partition
        .turn(move |turn| {
            let caller = Caller { id: &id, workload: &workload };
            Ok(moved(&ours, turn, caller, &message, (pid.as_deref(), endpoint)))
        })
        .await?
}

/// The step in its turn: look the process up, step, decide, log.
fn moved(
    node: &Node,
    mut turn: Turn<'_>,
    caller: Caller<'_>,
    message: &Message,
    (pid, endpoint): (Option<&str>, Endpoint),
) -> Result<(Option<Message>, bool), Refused> {
    let stepping = trace::step(Step::Step);
    // It may have been removed since it was let in.
    connectors::participant(node, turn.fold(), caller.id)?;
    let did = caller.id;
    let known = match pid {
        Some(pid) => Some(pid.to_owned()),
        None => turn.fold().processes.opened(did, message).map(str::to_owned),
    };
    let key = opening_key(did, message).filter(|_| known.is_none());
    let mut entries = Vec::new();
    let answer = match (known, message) {
        (Some(pid), _) => {
            let process = at(turn.fold(), endpoint, &pid)?;
            bargain::advance(node, &mut turn, process, did, message, &mut entries)?
        }
        (None, Message::ContractRequest(request)) => {
            bargain::requested(node, &mut turn, did, request, key, &mut entries)?
        }
        (None, Message::TransferRequest(request)) => {
            bargain::transfer_requested(node, &mut turn, caller, request, key, &mut entries)?
        }
        (None, Message::ContractOffer(offer)) => {
            bargain::offered(node, &mut turn, did, offer, key, &mut entries)?
        }
        (None, _) => return Err(Rejected::unknown().into()),
    };
    drop(stepping);
    // A repeat changes nothing.
    let changes = !entries.is_empty();
    if changes {
        turn.log(entries)?;
    }
    Ok((answer, changes))
}

/// A process of ours, of either kind.
#[derive(Debug, Clone)]
pub enum Process {
    /// A negotiation.
    Negotiation(Box<Negotiation>),
    /// A transfer.
    Transfer(Box<Transfer>),
}

impl Process {
    /// One sentence for people: who has to do what, since when, until when.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        match self {
            Process::Negotiation(negotiation) => negotiation.waiting_for(),
            Process::Transfer(transfer) => transfer.waiting_for(),
        }
    }
}

/// The process with that id of ours.
#[must_use]
pub fn find(fold: &Fold, pid: &str) -> Option<Process> {
    let negotiation = fold.processes.negotiations.get(pid).cloned();
    let transfer = fold.processes.transfers.get(pid).cloned();
    negotiation
        .map(|n| Process::Negotiation(Box::new(n)))
        .or_else(|| transfer.map(|t| Process::Transfer(Box::new(t))))
}

/// The process of ours with that id, of the kind that the endpoint is for.
fn at(fold: &Fold, endpoint: Endpoint, pid: &str) -> Result<Process, Rejected> {
    let of_transfers = matches!(bargain::subject(endpoint, None, None), Subject::Transfer { .. });
    let is_of_it = |process: &Process| matches!(process, Process::Transfer(_)) == of_transfers;
    find(fold, pid).filter(is_of_it).ok_or_else(Rejected::unknown)
}

/// Requests without a message: where a process stands, one dataset.
fn look(node: &Node, caller: &str, route: &Route) -> Result<Option<Message>, Refused> {
    let id = route.id.as_deref().unwrap_or_default();
    if route.row.endpoint == Endpoint::Dataset {
        let offer = node.partition.read(|fold, _| offer(node, fold, caller, id))??;
        let offer = offer.ok_or_else(Rejected::unknown)?;
        return Ok(Some(Message::Dataset(catalog::dataset(&offer)?)));
    }
    let process = node.partition.read(|fold, _| at(fold, route.row.endpoint, id))??;
    let (party, status) = match &process {
        Process::Negotiation(n) => (&n.party, n.status()),
        Process::Transfer(t) => (&t.party, t.status()),
    };
    // Somebody else's process is unknown to the asker.
    match party.peer == caller {
        true => Ok(Some(status)),
        false => Err(Rejected::unknown().into()),
    }
}

/// One dataset of our catalogue, by its id.
fn offer(
    node: &Node,
    fold: &Fold,
    caller: &str,
    id: &str,
) -> Result<Option<DatasetOffer>, Problem> {
    let endpoint = connectors::own_address(node, fold, caller)?;
    Ok(match &node.conformance {
        Some(script) => script.offers(&endpoint).into_iter().find(|offer| offer.id == id),
        None => {
            let shown =
                |contract: &&Contract| node.config.negotiation.shows(&contract.name, caller);
            let contract = fold.contracts.get(id).filter(shown);
            contract.map(|contract| contracts::offer(contract, &endpoint))
        }
    })
}

/// The part of our catalogue that is asked for: by a message, or by a link of an answer to one.
async fn catalogue(
    node: &Node,
    caller: &str,
    asked: &Asked,
    message: Option<&Message>,
) -> Result<Egress, Refused> {
    let encoding = asked.accept_encoding.as_deref();
    let (query, none_match) = match message {
        Some(Message::CatalogRequest(request)) => (Query::read(request)?, None),
        Some(_) => return Err(misplaced().into()),
        None => (Query::of_link(asked.query.as_deref())?, asked.if_none_match.as_deref()),
    };
    let wishes = Wishes { encoding, none_match };
    Ok(Egress::Catalog(Box::new(shelf::answer(node, caller, query, wishes).await?)))
}

fn misplaced() -> Rejected {
    Rejected {
        status: Status::BadRequest,
        code: codes::DSP_MALFORMED,
        reason: "this message does not belong here".to_owned(),
    }
}

/// What a caller is told whom nobody knows: the same as of a process that is not there.
pub(crate) fn unknown_caller(route: &Route) -> Egress {
    refusal(Rejected::unknown().into(), route, None)
}

/// The refusal of a request that is not looked at: in the protocol's form where it is to one of its
/// endpoints.
pub(crate) fn refused(method: &str, path: &str, problem: Problem) -> Egress {
    match to_the_protocol(method, path) {
        Some(route) => refusal(problem.into(), &route, None),
        None => problem.into(),
    }
}

/// What is answered to somebody who has not said who they are: that there is nothing, for every
/// path alike, in the protocol's form at its endpoints.
#[must_use]
pub fn nothing_here(method: &str, path: &str) -> Egress {
    match to_the_protocol(method, path) {
        Some(route) => unknown_caller(&route),
        None => Problem::new(codes::ROUTE_UNKNOWN, "there is no such route").into(),
    }
}

fn to_the_protocol(method: &str, path: &str) -> Option<Route> {
    match_route(method, path.strip_prefix("/dsp")?)
}

/// The protocol's error body for a request that could not be read whole.
pub(crate) fn unreadable(route: &Route, fault: &Problem) -> Egress {
    refusal(fault.clone().into(), route, None)
}

/// The protocol's error body, with its status.
fn refusal(refused: Refused, route: &Route, message: Option<&Message>) -> Egress {
    let rejected = match refused {
        Refused::Protocol(rejected) => rejected,
        Refused::Node(problem) if problem.code == codes::INTERNAL => return problem.into(),
        Refused::Node(problem) if !problem.code.public() => return problem.into(),
        Refused::Node(problem) => {
            let status = match problem.code.class {
                Class::TooMany => Status::TooMany,
                _ => Status::BadRequest,
            };
            Rejected { status, code: problem.code, reason: problem.message }
        }
    };
    let subject = subject(route, message);
    let status = match rejected.status {
        Status::NotFound => 404,
        // 409 would be read as "too early, come again", which never helps here.
        Status::BadRequest | Status::Conflict => 400,
        Status::TooMany => 429,
    };
    Egress::Protocol { status, message: Some(Box::new(rejected.to_error_message(subject))) }
}

fn subject<'a>(route: &Route, message: Option<&'a Message>) -> Subject<'a> {
    let (provider, consumer) = message.map_or((None, None), Message::pids);
    bargain::subject(route.row.endpoint, provider, consumer)
}

/// Our own message for a process, when we open it: logged together with its outbox row.
///
/// # Errors
/// What the protocol or the log refuses.
pub fn opened_negotiation(step: &negotiation::Step) -> Result<Vec<NewEntry>, Problem> {
    bargain::negotiation_entries(step, None)
}

/// The same for a transfer.
///
/// # Errors
/// What the protocol or the log refuses.
pub fn opened_transfer(step: &transfer::Step) -> Result<Vec<NewEntry>, Problem> {
    bargain::transfer_entries(step, None)
}

#[cfg(test)]
mod tests {
    use super::{nothing_here, refused};
    use crate::egress::Egress;
    use twinpact_model::codes;
    use twinpact_model::problem::Problem;

    /// Before a request is read it is refused in the form of the protocol at its endpoints, and
    /// there alone.
    #[test]
    fn a_refusal_has_the_form_of_what_was_asked() {
        let too_many = || Problem::new(codes::EXCHANGE_TOO_MANY, "come again later");
        for (method, path, expect) in [
            ("POST", "/dsp/catalog/request", Some("CatalogError")),
            ("POST", "/dsp/negotiations/urn:uuid:1/events", Some("ContractNegotiationError")),
            ("GET", "/dsp/transfers/urn:uuid:1", Some("TransferError")),
            ("POST", "/dsp/none", None),
            ("POST", "/catalog/request", None),
            ("GET", "/organisation", None),
        ] {
            let form = |egress, status: u16| match egress {
                Egress::Protocol { status: said, message: Some(message) } => {
                    assert_eq!(said, status, "{method} {path}");
                    Some(message.name().to_owned())
                }
                Egress::Fault(_) => None,
                _ => panic!("{method} {path} is answered in another way"),
            };
            let busy = form(refused(method, path, too_many()), 429);
            assert_eq!(busy.as_deref(), expect, "{method} {path}");
            let nothing = form(nothing_here(method, path), 404);
            assert_eq!(nothing.as_deref(), expect, "{method} {path}");
        }
    }
}
