//! A person takes over a negotiation: lists and shows them, and decides where the node does not.
//!
//! What a person decides goes through the same machine and into the same log as what the node
//! decides by itself, and what follows from it by itself follows in the same frame. Nobody can
//! agree to, or offer, more than the published contract: that would have to be changed first.

use crate::api::{EndedLine, NegotiationLine, NegotiationShown, OfferAsked};
use crate::bargain;
use crate::connectors;
use crate::contracts;
use crate::ids;
use crate::meaning;
use crate::open::Node;
use crate::partition::Turn;
use serde_json::Value;
use twinpact_contract::{Order, Terms, Vocabulary, compare, odrl, text};
use twinpact_dsp::exchange::{Ended, Whose};
use twinpact_dsp::message::{Agreement as Wire, MAX_POLICY_BYTES, Offer};
use twinpact_dsp::negotiation::{self, Decision, Negotiation, Opening, State};
use twinpact_dsp::{Effect, Rejected, Role};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The longest reason that a person gives for an end, in characters.
pub const MAX_END_REASON: usize = 1_000;

/// What a person decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Consumer: accept the offer. Provider: agree to what was asked for.
    Accept,
    /// Answer with these terms, as an ODRL policy; a provider that gives none offers those of its
    /// contract.
    Counter(Option<Value>),
    /// End it, for this reason.
    Terminate(String),
}

/// Every negotiation that is kept, those that wait for us first, then by the time since which they
/// are as they are, the newest first.
///
/// # Errors
/// `store.stopped`.
pub fn list(node: &Node) -> Result<Vec<NegotiationLine>, Problem> {
    node.partition.read(|fold, _| {
        let mut all: Vec<&Negotiation> = fold.processes.negotiations.values().collect();
        all.sort_by_key(|n| (n.turn() != Whose::Ours, std::cmp::Reverse(n.since)));
        all.into_iter().map(line).collect()
    })
}

/// One negotiation: what was asked or offered last, and what may be decided now.
///
/// # Errors
/// `dsp.unknown`; `store.stopped`.
pub fn show(node: &Node, pid: &str) -> Result<NegotiationShown, Problem> {
    node.partition.read(|fold, _| {
        let known = fold.processes.negotiations.get(pid).ok_or_else(unknown)?;
        Ok(shown(known, &node.vocabulary))
    })?
}

/// Carries out what a person decides, and what follows from it by itself.
///
/// # Errors
/// `dsp.unknown`; `dsp.decision` when it is not the time for it; `exchange.refused` with the
/// difference when it is more than the contract; `contract.…` when the policy is not one that we
/// can decide; `input.malformed`, `input.too_large`. Nothing has changed then.
pub async fn decide(node: &Node, pid: &str, wish: Wish) -> Result<NegotiationShown, Problem> {
    let (ours, name) = (node.clone(), pid.to_owned());
    let turn = node.partition.turn(move |mut turn| {
        let found = turn.fold().processes.negotiations.get(&name).cloned();
        let state = found.ok_or_else(unknown)?;
        let now = ours.clocks.wall();
        let decision = decision(&ours, &turn, &state, wish)?;
        let mut step = negotiation::step(&state, negotiation::Input::Decide(decision), now)?;
        by_a_person(&mut step.effects);
        let entries = bargain::follow(&ours, &mut turn, state.state, step, now)?;
        turn.log(entries).map(|_| ())
    });
    turn.await?;
    show(node, pid)
}

/// Offers a dataset of ours to a partner that has not asked: on the terms of its contract, or on
/// narrower ones. A negotiation about the same terms that is not over is the answer: who does not
/// know what became of a command gives it again, and there is still one.
///
/// # Errors
/// `partner.unknown`; `contract.unknown` for no dataset of ours; `exchange.refused` with the
/// difference when the terms are more than the contract, and when rules hide the contract from this
/// partner; `exchange.too_many`; `contract.…` when the policy is not one that we can decide;
/// `input.too_large`. Nothing has changed then.
pub async fn offer(node: &Node, asked: &OfferAsked) -> Result<NegotiationShown, Problem> {
    let policy = asked.policy.as_ref().map(read).transpose()?.unwrap_or_else(nothing);
    let (us, theirs) = connectors::addresses(node, &asked.partner).await?;
    let (peer, dataset) = (asked.partner.clone(), asked.dataset.clone());
    let (ours, own_pid) = (node.clone(), ids::urn()?);
    let turn = node.partition.turn(move |turn| {
        let contract = turn.fold().contracts.get(&dataset).ok_or_else(|| no_dataset(&dataset))?;
        if !ours.config.negotiation.shows(&contract.name, &peer) {
            return Err(hidden(&contract.name));
        }
        let (id, target) = (contracts::offer_id(contract), Some(dataset));
        let wanted = Offer { id, target, assigner: None, assignee: None, policy: policy.into() };
        let offer = bargain::acceptable(&ours, &turn, &peer, &wanted)?;
        let mut open = turn.fold().processes.negotiations.values();
        let same = |n: &&Negotiation| {
            (n.party.role, n.state.is_final()) == (Role::Provider, false)
                && (&n.party.peer, &n.offer) == (&peer, &offer)
        };
        if let Some(open) = open.find(same) {
            return Ok(open.party.own_pid.clone());
        }
        bargain::room(&ours, &turn, &peer, None)?;
        bargain::may_open_more(&ours, &turn, &peer)?;
        let opening = Opening { own_pid: &own_pid, peer: &peer, address: &theirs, callback: &us };
        let step = negotiation::offer_as_provider(opening, offer, ours.clocks.wall())?;
        turn.log(bargain::negotiation_entries(&step, None)?)?;
        Ok(own_pid)
    });
    show(node, &turn.await?)
}

fn hidden(contract: &str) -> Problem {
    let why = format!("the contract {contract:?} is not shown to this partner");
    Problem::new(codes::EXCHANGE_REFUSED, why)
        .hint("whom it is shown to: `only` in [[negotiation.contracts]] of twinpact.toml")
}

fn no_dataset(id: &str) -> Problem {
    Problem::new(codes::CONTRACT_UNKNOWN, format!("we publish no dataset {id:?}"))
        .hint("the datasets that you offer: twinpact contract show")
}

/// What the machine is told. Whether it is the time for it, is for the machine to say.
fn decision(
    node: &Node,
    turn: &Turn<'_>,
    state: &Negotiation,
    wish: Wish,
) -> Result<Decision, Problem> {
    let peer = state.party.peer.as_str();
    let provider = state.party.role == Role::Provider;
    let open = matches!(state.state, State::Requested | State::Accepted);
    match wish {
        // What the machine would refuse is not looked at first: it has the better sentence.
        Wish::Accept if provider && open => {
            bargain::room(node, turn, peer, Some(&state.party.own_pid))?;
            let offer = bargain::acceptable(node, turn, peer, &state.offer)?;
            let us = node.config.organisation.as_str();
            let now = node.clocks.wall().0;
            Ok(Decision::Agree(Wire::of(&offer, &ids::urn()?, us, peer, now)?))
        }
        Wish::Accept => Ok(Decision::Accept),
        Wish::Counter(policy) if provider => {
            let policy = policy.as_ref().map(read).transpose()?;
            let asked =
                Offer { policy: policy.unwrap_or_else(nothing).into(), ..state.offer.clone() };
            bargain::room(node, turn, peer, Some(&state.party.own_pid))?;
            Ok(Decision::Offer(bargain::acceptable(node, turn, peer, &asked)?))
        }
        Wish::Counter(None) => Err(malformed("the terms that you ask for are missing")
            .hint("give them as an ODRL policy: --policy FILE")),
        Wish::Counter(Some(policy)) => {
            Ok(Decision::Counter(Offer { policy: read(&policy)?.into(), ..state.offer.clone() }))
        }
        Wish::Terminate(reason) => {
            let (code, reason) = (codes::EXCHANGE_REFUSED.name.to_owned(), ending(&reason)?);
            Ok(Decision::Terminate { code, reason })
        }
    }
}

/// The story tells what a person decides from what the node does by itself.
pub(crate) fn by_a_person(effects: &mut [Effect]) {
    for effect in effects {
        if let Effect::Record(record) = effect {
            record.why = record.why.replacen("we decided", "a person of ours decided", 1);
        }
    }
}

/// The reason that a person gives for an end, which the other side is told.
///
/// # Errors
/// `input.malformed` for none, and for one of more than [`MAX_END_REASON`] characters.
pub(crate) fn ending(reason: &str) -> Result<String, Problem> {
    if reason.trim().is_empty() || reason.chars().count() > MAX_END_REASON {
        return Err(malformed(&format!("a reason has 1 to {MAX_END_REASON} characters")));
    }
    Ok(reason.to_owned())
}

/// A policy that a person wrote, in our own spelling.
fn read(policy: &Value) -> Result<Value, Problem> {
    let ours = Value::Object(odrl::read(policy)?.terms.to_odrl());
    if ours.to_string().len() > MAX_POLICY_BYTES {
        let bound = format!("the policy has more than {MAX_POLICY_BYTES} bytes");
        return Err(Problem::new(codes::INPUT_TOO_LARGE, bound));
    }
    Ok(ours)
}

/// The policy of an offer that is named by its id alone: whose contract it is knows the terms.
fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

fn line(known: &Negotiation) -> NegotiationLine {
    NegotiationLine {
        pid: known.party.own_pid.clone(),
        role: known.party.role.name().to_owned(),
        partner: known.party.peer.clone(),
        dataset: known.offer.target.clone(),
        offer: known.offer.id.clone(),
        state: known.state.name().to_owned(),
        turn: whose(known.turn()).to_owned(),
        since: known.since.0,
        until: known.deadline.map(|deadline| deadline.0),
    }
}

fn shown(known: &Negotiation, vocabulary: &Vocabulary) -> NegotiationShown {
    let asked = known.asked.as_ref();
    NegotiationShown {
        line: line(known),
        peer_pid: known.party.peer_pid.clone(),
        waiting_for: known.waiting_for(),
        terms: words(&known.offer),
        policy: Value::clone(&known.offer.policy),
        asked: asked.map(words),
        differences: asked.map_or_else(Vec::new, |asked| {
            match (meaning::terms(&known.offer.policy), meaning::terms(&asked.policy)) {
                (Ok(offered), Ok(asked)) => compare(&offered, &asked, vocabulary).differences,
                _ => Vec::new(),
            }
        }),
        agreement: known.agreement.as_ref().map(|agreement| agreement.id.clone()),
        ended: known.ended.as_ref().map(end),
        choices: known.choices().iter().map(|&choice| choice.to_owned()).collect(),
    }
}

/// How a process ended.
pub(crate) fn end(ended: &Ended) -> EndedLine {
    let (code, reasons) = (ended.code.clone(), ended.reason.clone());
    EndedLine { by: whose(ended.by).to_owned(), code, reasons }
}

/// An offer in words, or why it cannot be read.
fn words(offer: &Offer) -> String {
    if bargain::is_empty(&offer.policy) {
        return "the terms of that offer, which is named by its id alone".to_owned();
    }
    meaning::terms(&offer.policy).map_or_else(|problem| problem.message, |t| text::terms(&t))
}

/// `ours`, `peers` or `nobody`.
pub(crate) const fn whose(turn: Whose) -> &'static str {
    match turn {
        Whose::Ours => "ours",
        Whose::Peers => "peers",
        Whose::Nobody => "nobody",
    }
}

/// Whether an offer that answers our request is accepted without a person: it is about the same
/// dataset, and grants everything that was asked for under the same conditions or fewer; or what
/// is less than that and nothing else, where `less` is enough.
pub(crate) fn suffices(
    offered: &Offer,
    asked: &Offer,
    less: bool,
    vocabulary: &Vocabulary,
) -> bool {
    let granted = |offered: &Terms, asked: &Terms| {
        let order = compare(offered, asked, vocabulary).order;
        matches!(order, Order::Equal | Order::Wider) || less && order == Order::Narrower
    };
    match (meaning::terms(&offered.policy), meaning::terms(&asked.policy)) {
        (Ok(offered_terms), Ok(asked_terms)) => {
            offered.target == asked.target && granted(&offered_terms, &asked_terms)
        }
        _ => false,
    }
}

/// What who waits for an agreement is told when the other side has offered something else.
pub(crate) fn wants_a_person(state: &Negotiation) -> Option<Problem> {
    let offered = state.party.role == Role::Consumer && state.state == State::Offered;
    offered.then(|| {
        let pid = &state.party.own_pid;
        let why = format!("the partner offers other terms: {}", words(&state.offer));
        Problem::new(codes::EXCHANGE_WAITING, why)
            .hint(format!("decide: twinpact negotiation show {pid}"))
    })
}

/// That no process of ours has that id.
pub(crate) fn unknown() -> Problem {
    Problem::from(Rejected::unknown()).hint("see them all: twinpact negotiation list")
}

fn malformed(why: &str) -> Problem {
    Problem::new(codes::INPUT_MALFORMED, why)
}

#[cfg(test)]
mod tests {
    use super::suffices;
    use serde_json::{Value, json};
    use twinpact_contract::Vocabulary;
    use twinpact_dsp::message::Offer;

    fn offer(target: &str, policy: Value) -> Offer {
        let (id, target) = ("urn:offer".to_owned(), Some(target.to_owned()));
        Offer { id, target, assigner: None, assignee: None, policy: policy.into() }
    }

    /// Use, with these constraints and these duties.
    fn policy(constraints: &[Value], delete_within: Option<&str>) -> Value {
        let mut policy = json!({ "permission": [{ "action": "use" }] });
        if !constraints.is_empty() {
            policy["permission"][0]["constraint"] = json!(constraints);
        }
        if let Some(time) = delete_within {
            policy["obligation"] = json!([{
                "action": "delete",
                "constraint": [{
                    "leftOperand": "delayPeriod", "operator": "lteq", "rightOperand": time,
                }],
            }]);
        }
        policy
    }

    fn until(time: &str) -> Value {
        json!({ "leftOperand": "dateTime", "operator": "lt", "rightOperand": time })
    }

    #[test]
    fn an_offer_is_accepted_alone_when_it_grants_all_that_was_asked_for() {
        let vocabulary = Vocabulary::standard();
        // Whether it is enough, and where less is.
        let check = |offered: &Value, asked: &Value, expect: [bool; 2]| {
            let (offered, asked) =
                (offer("urn:view", offered.clone()), offer("urn:view", asked.clone()));
            let enough = |less| suffices(&offered, &asked, less, &vocabulary);
            assert_eq!([false, true].map(enough), expect, "{offered:?} {asked:?}");
            // Of another dataset nothing suffices.
            let other = Offer { target: Some("urn:other".to_owned()), ..offered };
            assert!(!suffices(&other, &asked, true, &vocabulary));
        };
        let (early, late) = (until("2027-01-01T00:00:00Z"), until("2028-01-01T00:00:00Z"));
        let (free, short, long) = (
            policy(&[], None),
            policy(std::slice::from_ref(&early), None),
            policy(std::slice::from_ref(&late), None),
        );
        let (hour, day) = (policy(&[], Some("PT1H")), policy(&[], Some("P1D")));
        check(&short, &short, [true, true]);
        // More than was asked for, or fewer duties.
        check(&long, &short, [true, true]);
        check(&free, &short, [true, true]);
        check(&free, &hour, [true, true]);
        check(&day, &hour, [true, true]);
        // Less, or more duties.
        check(&short, &long, [false, true]);
        check(&short, &free, [false, true]);
        check(&hour, &free, [false, true]);
        check(&hour, &day, [false, true]);
        // More of one and less of the other.
        check(&policy(&[early], Some("P1D")), &policy(&[late], Some("PT1H")), [false, false]);
        // What cannot be read.
        check(&json!({ "permission": [{ "action": "urn:fly" }] }), &free, [false, false]);
        check(&free, &json!({}), [false, false]);
    }
}
