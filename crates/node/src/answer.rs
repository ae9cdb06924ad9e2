//! The spine of every answer with data: identify → agreement → decide → view → oblige → log →
//! write.
//!
//! It happens in one turn of the writer and one frame: the decision, its use, the ledger entry and
//! the tick under which the receipt is proven. Nothing is sent that is not on record.

use crate::agreements::{self, Agreement};
use crate::ask::Answer;
use crate::assertion;
use crate::connectors;
use crate::decisions::{self, Reader};
use crate::door::Asker;
use crate::egress::{Consistency, Delivered, Egress, item};
use crate::erasures;
use crate::fold::Fold;
use crate::kpis::{self, freshness};
use crate::metrics::Went;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::receipts;
use crate::repin::{self, Reason};
use crate::stream::{self, Part};
use crate::tokens;
use crate::trace::{self, Step};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use twinpact_dsp::transfer;
use twinpact_identity::token::TokenDigest;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::view::{Cursor, PageBounds};
use twinpact_model::{Iri, PolicyTime, Selection, Timestamp, View, WallTime, codes};
use twinpact_policy::{
    Action, AgreementFacts, Assertion, AssertionFault, Assurance, Caller, Decision, Grant, Outcome,
    PERMIT, Permitted, Recognised, Request, State, TokenFacts, TokenFault, decide,
};
use twinpact_proof::build;
use twinpact_proof::documents::{Clock, Receipt};
use twinpact_proof::{Digest, Envelope, to_hex};
use twinpact_store::ItemPoint;
use twinpact_store::forest::TreeNo;

/// The attribute of a ledger entry with the first event that a stream had not looked at.
pub(crate) const COME_TO: &str = "comeTo";

/// What a partner asks for. It holds a token and cannot be printed by accident.
#[derive(Clone)]
pub struct Ask {
    /// Who asks.
    pub peer: Asker,
    /// Our id of the transfer, from the path.
    pub transfer: String,
    /// The access token.
    pub token: Option<String>,
    /// The signed assertion of purpose and place.
    pub assertion: Option<String>,
    /// Only rows from then on.
    pub since: Option<Timestamp>,
    /// Only rows before then.
    pub until: Option<Timestamp>,
    /// Only rows of this twin.
    pub twin: Option<Iri>,
    /// Only the page that begins behind this place.
    pub after: Option<Cursor>,
    /// The sizes of our anchor and of the ledger that the asker saw last.
    pub seen: Sizes,
    /// The name of the contract that it is about, once that is known: it is counted under it.
    pub contract: OnceLock<String>,
}

/// Sizes of our anchor and of a ledger.
pub type Sizes = (Option<u64>, Option<u64>);

/// What is asked for in a turn.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Whether an unknown key is a reason to refuse like any other.
    pub(crate) last: bool,
    /// The assertion under which a stream was opened: it was read then, and counts as used.
    pub(crate) held: Option<&'a Assertion>,
    /// A page, or the next part of a stream.
    pub(crate) part: Option<Part>,
}

impl Asking<'_> {
    /// The first attempt to have a page, or the last.
    const fn page(last: bool) -> Self {
        Asking { last, held: None, part: None }
    }
}

/// What the turn leaves: a refusal that is on record, or a delivery that is.
pub(crate) enum Logged {
    /// The refusal, and when the same request would be permitted.
    Refused(Problem, Option<PolicyTime>),
    Delivered(Box<Ready>),
    /// Permitted, and a stream has nothing to send now.
    Quiet(Box<Held>),
    /// Nothing: the assertion is signed by a key that the record with this fingerprint does not
    /// have. The caller may have a newer one.
    KeyUnknown(Digest),
}

/// How long a stream may go on without a new decision, and how far it has come.
#[derive(Clone)]
pub(crate) struct Held {
    /// The policy time of the decision.
    pub(crate) from: PolicyTime,
    /// The next instants at which a condition flips.
    pub(crate) until: (Option<PolicyTime>, Option<WallTime>),
    /// The epoch of the agreement.
    pub(crate) epoch: u64,
    /// The assertion.
    pub(crate) assertion: Option<Assertion>,
    /// What the view selects.
    pub(crate) selection: Selection,
    /// The first event that was not looked at.
    pub(crate) come_to: u64,
}

/// A delivery that is durable but not yet proven.
pub(crate) struct Ready {
    view: Permitted<View>,
    delivery: receipts::Delivery,
    /// In how many seconds a row is promised to be delivered.
    promised: Option<u64>,
    /// How old the newest row was, in microseconds of data time.
    age: Option<i64>,
    /// For a stream.
    pub(crate) held: Held,
}

impl Ready {
    /// Its index in the ledger of the agreement.
    pub(crate) const fn position(&self) -> u64 {
        self.delivery.receipt.index
    }

    /// Rows and bytes.
    pub(crate) const fn size(&self) -> (u64, u64) {
        (self.delivery.receipt.count, self.delivery.receipt.bytes)
    }

    /// How the request for it went.
    pub(crate) const fn went(&self) -> Went {
        Went::Delivered { bytes: self.delivery.receipt.bytes, age: self.age }
    }
}

/// Answers a request for a view.
pub(crate) async fn answer(node: &Node, ask: Ask) -> Answer {
    let begun = Instant::now();
    let (seen, ask) = (ask.seen, Arc::new(ask));
    let mut logged = one_turn(node, &ask, false).await;
    if let Ok((Logged::KeyUnknown(record), _)) = &logged {
        repin::look(node, ask.peer.id.as_str(), Reason::Signature, record).await;
        logged = one_turn(node, &ask, true).await;
    }
    match logged {
        Ok((Logged::KeyUnknown(_), _)) => Answer::unrecorded(contradiction().into()),
        Err(problem) => {
            note(node, &ask, begun, Went::Failed(problem.code));
            Answer::unrecorded(problem.into())
        }
        Ok((Logged::Refused(problem, _), _)) => {
            node.metrics.decided(problem.code.name);
            note(node, &ask, begun, Went::Refused(problem.code));
            Answer::recorded(problem.into())
        }
        Ok((Logged::Delivered(ready), tick)) => {
            let ((rows, bytes), went) = (ready.size(), ready.went());
            node.metrics.decided(PERMIT);
            node.metrics.delivered(rows, bytes);
            node.partition.between_frames().await;
            let proven = prove_delivery(node, *ready, tick, seen);
            let failed = proven.as_ref().err().map(|problem| Went::Failed(problem.code));
            note(node, &ask, begun, failed.unwrap_or(went));
            Answer::recorded(match proven {
                Ok((delivered, _)) => Egress::Permitted(Box::new(delivered)),
                Err(problem) => problem.into(),
            })
        }
        // A page is never quiet.
        Ok((Logged::Quiet(_), _)) => Answer::unrecorded(contradiction().into()),
    }
}

/// Counts how a request went under its contract, if it came as far as one.
pub(crate) fn note(node: &Node, ask: &Ask, begun: Instant, went: Went) {
    if let Some(contract) = ask.contract.get() {
        node.metrics.contracts.note(contract, begun.elapsed(), went);
    }
}

/// One attempt; after the last one an unknown key is a reason to refuse like any other.
async fn one_turn(node: &Node, ask: &Arc<Ask>, last: bool) -> Result<(Logged, u64), Problem> {
    let (ours, ask) = (node.clone(), Arc::clone(ask));
    let asking = Asking::page(last);
    node.partition.turn_and_prove(move |turn| in_turn(&ours, turn, &ask, asking)).await
}

fn contradiction() -> Problem {
    Problem::new(codes::INTERNAL, "an answer is not what was asked for")
}

/// Decides, and logs what is delivered or refused.
pub(crate) fn in_turn(
    node: &Node,
    turn: Turn<'_>,
    ask: &Ask,
    asking: Asking<'_>,
) -> Result<Logged, Problem> {
    let (now, wall) = (node.clocks.policy(), node.clocks.wall());
    let identifying = trace::step(Step::Identify);
    let (request, agreement) = identify(node, turn.fold(), ask, asking.held, wall)?;
    drop(identifying);
    if !asking.last && request.assertion_fault == Some(AssertionFault::Signature) {
        let partner = turn.fold().partners.get(ask.peer.id.as_str())?;
        return Ok(Logged::KeyUnknown(partner.envelope.fingerprint()));
    }
    let agreeing = trace::step(Step::Agreement);
    let facts = narrowed(agreements::facts(turn.fold(), agreement)?, ask);
    if let Some(contract) = turn.fold().contracts.get(&facts.target) {
        ask.contract.get_or_init(|| contract.name.clone());
    }
    drop(agreeing);
    let deciding = trace::step(Step::Decide);
    let decision = decide(&request, &facts, now, wall, &node.vocabulary);
    drop(deciding);
    let caller = ask.peer.id.as_str();
    let (known, entry) = on_record(node, &turn, &facts, caller, &decision, (now, wall))?;
    let OnRecord { id, record } = known;
    // It stands under the first use; the decision names it anyway.
    // What is only presumed nobody has signed.
    let signed = |a: &&Assertion| a.assurance != Assurance::Presumed && asking.held.is_none();
    let first = request.assertion.as_ref().filter(signed);
    let reader = Reader { caller, decision: id, assertion: first.map(|a| a.digest) };
    let mut entries: Vec<NewEntry> = entry.into_iter().collect();
    let token_refused = match &decision.outcome {
        Outcome::Deny(code) => code.within(codes::POLICY_TOKEN),
        Outcome::Permit(_) => false,
    };
    if !token_refused {
        // A fresh token retires the one before it when it is first used.
        entries.extend(fresh_token(turn.fold(), ask));
    }
    match decision.outcome {
        Outcome::Deny(code) => {
            // A denial that stands is not recorded again; that it was met again is. What is said of
            // it is about this request: another token or assertion has run out at another time.
            entries.push(decisions::used(&reader, 0, 0));
            turn.log(entries)?;
            Ok(Logged::Refused(Problem::new(code, decision.sentence), decision.opens_at))
        }
        Outcome::Permit(grant) => {
            node.rates.delivery(caller, wall)?;
            let held = Held {
                from: now,
                until: (decision.valid_until, decision.wall_until),
                epoch: facts.epoch,
                assertion: request.assertion,
                selection: grant.selection().clone(),
                come_to: 0,
            };
            let parts = Deciding { facts: &facts, grant: &grant, record, entries, reader, held };
            match asking.part {
                None => {
                    let view = page(turn.fold(), &facts, &grant, now)?;
                    deliver(node, turn, parts, view, now)
                }
                Some(part) => stream::part(node, turn, parts, part, now),
            }
        }
    }
}

/// The request as the policy engine wants it, and the agreement that it is made under. A caller
/// that is not let in to the transfer learns nothing, not even whether it is there.
fn identify<'f>(
    node: &Node,
    fold: &'f Fold,
    ask: &Ask,
    held: Option<&Assertion>,
    wall: WallTime,
) -> Result<(Request, &'f Agreement), Problem> {
    let unknown = || Problem::new(codes::ROUTE_UNKNOWN, "there is no such transfer");
    let transfer = fold.processes.transfers.get(&ask.transfer).ok_or_else(unknown)?;
    if transfer.party.peer != ask.peer.id.as_str() {
        return Err(unknown());
    }
    let did = ask.peer.id.as_str();
    let agreement = fold.agreements.granted_to(did, &transfer.agreement_id).ok_or_else(unknown)?;
    match (transfer.state, agreement.state) {
        (transfer::State::Started, _) => {}
        (transfer::State::Suspended, _) => {
            return Err(Problem::new(codes::POLICY_SUSPENDED, "the transfer is suspended"));
        }
        // The end of the agreement ended it: the decision says so.
        (transfer::State::Terminated, state) if state != State::Active => {}
        _ => return Err(unknown()),
    }
    // It may have been removed since it was let in, or since its stream was opened.
    connectors::participant(node, fold, did)?;
    let (token, token_fault) = match &ask.token {
        None => (None, None),
        Some(presented) => match known_token(fold, presented, &ask.transfer) {
            Ok(token) => (Some(token), None),
            Err(why) => (None, Some(why)),
        },
    };
    let (assertion, assertion_fault) = match held {
        Some(held) => (Some(held.clone()), None),
        None => asserted(node, fold, ask, agreement, wall)?,
    };
    let request = Request {
        action: Action::Use,
        view: agreement.wire.target.clone(),
        agreement: to_hex(&agreement.id),
        transfer: ask.transfer.clone(),
        caller: Caller {
            participant: ask.peer.id.clone(),
            spiffe_id: ask.peer.workload.clone(),
            by: ask.peer.by,
        },
        token,
        token_fault,
        assertion,
        assertion_fault,
    };
    Ok((request, agreement))
}

/// Purpose and place of a request: as its caller has signed them, or as our configuration presumes
/// them of a connector. One that does not count is as good as none, and the denial on record says
/// why.
fn asserted(
    node: &Node,
    fold: &Fold,
    ask: &Ask,
    agreement: &Agreement,
    wall: WallTime,
) -> Result<(Option<Assertion>, Option<AssertionFault>), Problem> {
    let id = ask.peer.id.as_str();
    let connector = node.connectors.get(id);
    if let Some(connector) = connector.filter(|_| ask.peer.by != Recognised::Certificate) {
        let us = node.config.organisation.as_str();
        let agreement = to_hex(&agreement.id);
        return Ok((connectors::presumed(connector, us, agreement, wall)?, None));
    }
    let keys = fold.partners.get(id)?.record.unended_keys(wall.0.micros());
    Ok(match &ask.assertion {
        None => (None, None),
        Some(header) => match read_once(fold, header, &keys, id) {
            Ok(assertion) => (Some(assertion), None),
            Err(why) => (None, Some(why)),
        },
    })
}

/// What a token that a caller presents was issued for.
pub(crate) fn known_token(
    fold: &Fold,
    presented: &str,
    transfer: &str,
) -> Result<TokenFacts, TokenFault> {
    if presented.contains(' ') {
        return Err(TokenFault::Scheme);
    }
    let digest = TokenDigest::of(presented).map_err(|_| TokenFault::Unknown)?;
    let (tokens, digest) = (&fold.processes.tokens, to_hex(&digest.0));
    match tokens.get(&digest) {
        Some(facts) => Ok(facts.clone()),
        None if tokens.was_replaced(transfer, &digest) => Err(TokenFault::Retired),
        None => Err(TokenFault::Unknown),
    }
}

/// The assertion that a caller presents, signed by itself and used for the first time.
fn read_once(
    fold: &Fold,
    header: &str,
    keys: &[twinpact_proof::PublicKey],
    caller: &str,
) -> Result<Assertion, AssertionFault> {
    let assertion = assertion::read(header, keys)?;
    if assertion.issuer.as_str() != caller {
        return Err(AssertionFault::Party);
    }
    match fold.decisions.was_asserted(&assertion.digest) {
        true => Err(AssertionFault::Replayed),
        false => Ok(assertion),
    }
}

fn fresh_token(fold: &Fold, ask: &Ask) -> Option<NewEntry> {
    let digest = to_hex(&TokenDigest::of(ask.token.as_deref()?).ok()?.0);
    let fresh = fold.processes.tokens.succeeds(&digest);
    fresh.then(|| tokens::used(ask.peer.id.as_str(), &digest))
}

/// The asker may narrow the view to a time or a twin and go on behind a place, never widen it. A
/// twin that the view does not show is one that is not there: nothing here looks whether it is.
fn narrowed(mut facts: AgreementFacts, ask: &Ask) -> AgreementFacts {
    facts.selection.since = ask.since;
    facts.selection.until = ask.until;
    facts.selection.only = ask.twin.as_ref().map(ToString::to_string);
    facts.selection.after.clone_from(&ask.after);
    facts
}

/// A decision as it is on record.
struct OnRecord {
    id: Digest,
    record: Envelope,
}

/// The decision's signed record: the standing one, or a new one with its entry.
fn on_record(
    node: &Node,
    turn: &Turn<'_>,
    facts: &AgreementFacts,
    caller: &str,
    decision: &Decision,
    (now, wall): (PolicyTime, WallTime),
) -> Result<(OnRecord, Option<NewEntry>), Problem> {
    if let Some((known, record)) = turn.fold().decisions.standing(decision, facts.epoch, now) {
        return Ok((OnRecord { id: known.id, record: record.clone() }, None));
    }
    node.rates.decision(caller, wall)?;
    let forest = turn.store().forest();
    let (id, record, entry) =
        decisions::record(node, forest, facts, caller, decision, (now, wall))?;
    Ok((OnRecord { id, record }, Some(entry)))
}

/// What a permit needs to become a delivery.
pub(crate) struct Deciding<'a> {
    pub(crate) facts: &'a AgreementFacts,
    pub(crate) grant: &'a Grant,
    record: Envelope,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) reader: Reader<'a>,
    pub(crate) held: Held,
}

/// The page that was asked for.
fn page(
    fold: &Fold,
    facts: &AgreementFacts,
    grant: &Grant,
    now: PolicyTime,
) -> Result<Permitted<View>, Problem> {
    let _viewing = trace::step(Step::View);
    let (rows, next) = fold.twins.view(grant.selection(), PageBounds::DELIVERY);
    let columns = grant.selection().columns.clone();
    grant.apply(View { id: facts.target.clone(), columns, rows, next }, now, facts.epoch)
}

/// Logs a view as a delivery.
pub(crate) fn deliver(
    node: &Node,
    turn: Turn<'_>,
    deciding: Deciding<'_>,
    view: Permitted<View>,
    now: PolicyTime,
) -> Result<Logged, Problem> {
    let Deciding { facts, record, mut entries, reader, held, .. } = deciding;
    let (caller, id) = (reader.caller, reader.decision);
    let fold = turn.fold();
    let agreement = fold.agreements.get(&facts.id)?;
    let missing = || Problem::new(codes::INTERNAL, "an agreement of ours has no ledger");
    let (document, ledger) =
        (agreement.document.clone().ok_or_else(missing)?, agreement.ledger.ok_or_else(missing)?);
    let agreement_id = agreement.id;
    let obliging = trace::step(Step::Oblige);
    let items = points(view.get());
    let bytes = items.iter().map(|point| point.lexical.len() as u64).sum();
    let count = items.len();
    let delivery = build::delivery_lexical(&agreement_id, &id, &facts.target, count as u64, bytes);
    entries.push(decisions::used(&reader, count, bytes));
    node.rates.delivered(caller, bytes);
    let times = (now, view.delete_by());
    let place = (ledger, turn.store().forest().size(ledger));
    let rows = &view.get().rows;
    let promised = fold.contracts.get(&facts.target).and_then(freshness::promised);
    let newest = freshness::newest(rows);
    let age = newest.map(|newest| now.0.micros().saturating_sub(newest.micros()));
    let fresh = freshness::verdict(promised, &facts.terms, newest, now.0);
    let mut kept = erasures::delivered(fold, caller, place, rows);
    kept.entry.what.extend(kpis::delivered(rows, fresh));
    entries.push(kept);
    let come_to = Some(held.come_to).filter(|come_to| *come_to > 0);
    entries.push(ledger_entry(ledger, caller, (delivery, come_to), items, times));
    drop(obliging);
    let tree = turn.store().forest().id(ledger).ok_or_else(missing)?;
    let entry = turn.log(entries)?.pop().ok_or_else(missing)?;
    let receipt = Receipt {
        issuer: facts.assigner.clone(),
        audience: facts.assignee.clone(),
        agreement: agreement_id,
        slot: u64::from(ledger - 1),
        tree,
        index: entry.index,
        leaf: entry.leaf,
        pc: entry.pc,
        decision: id,
        view: facts.target.clone(),
        count: count as u64,
        bytes,
        at: now.0.micros(),
        clock: if node.clocks.is_driven() { Clock::Driven } else { Clock::System },
        delete_by: view.delete_by().map(|t| t.0.micros()),
        origin: String::new(),
        tick: 0,
    };
    let (agreement, decision) = (document, record);
    let delivery = receipts::Delivery { entry, ledger, agreement, decision, receipt };
    Ok(Logged::Delivered(Box::new(Ready { view, delivery, held, promised, age })))
}

fn points(view: &View) -> Vec<ItemPoint> {
    let point = |row: &twinpact_model::Row| ItemPoint {
        time: row.phen_start.to_string(),
        datatype: "row".to_owned(),
        lexical: Value::from(item(row)).to_string(),
    };
    view.rows.iter().map(point).collect()
}

fn ledger_entry(
    ledger: TreeNo,
    caller: &str,
    (delivery, come_to): (String, Option<u64>),
    items: Vec<ItemPoint>,
    (now, delete_by): (PolicyTime, Option<PolicyTime>),
) -> NewEntry {
    let who = Who::no_twin(Kind::Delivery, caller);
    let mut what = vec![Attribute::new("delivery", "json", delivery)];
    // Of a stream, where it goes on in our tree of events. It is disclosed to nobody.
    what.extend(come_to.map(|event| Attribute::new(COME_TO, "integer", event.to_string())));
    // When it was delivered and until when it may be kept, by the policy clock: all that a receipt
    // says is in the log, so that it can be made again.
    let when = When {
        phen_start: Some(now.0),
        phen_end: Some(now.0),
        valid: delete_by.map(|t| t.0),
        ..When::default()
    };
    let entry = Entry { who, when, why: Why::default(), what };
    NewEntry { tree: ledger, entry, items: Some(items) }
}

/// The receipt and its proof, once the frame with its tick is durable; and the sizes of anchor and
/// ledger that the receiver has seen then.
pub(crate) fn prove_delivery(
    node: &Node,
    ready: Ready,
    tick: u64,
    seen: Sizes,
) -> Result<(Delivered, Sizes), Problem> {
    let Ready { view, delivery, promised, .. } = ready;
    let (ledger, seed) = (delivery.ledger, delivery.entry.seed);
    let (agreement, index) = (to_hex(&delivery.receipt.agreement), delivery.receipt.index);
    let (bundle, consistency, time) = node.partition.read(|fold, store| {
        let bundle = receipts::bundle(node, fold, store, delivery, tick)?;
        let forest = store.forest();
        let consistency = Consistency {
            anchor: seen.0.and_then(|old| forest.anchor_consistency(old, tick + 1)),
            ledger: seen.1.and_then(|old| forest.consistency(ledger, old, bundle.tree.size)),
        };
        // The bundle may have a later one, which more witnesses have signed.
        let time = forest.time_of(tick).and_then(|time| i64::try_from(time).ok());
        Ok::<_, Problem>((bundle, consistency, time))
    })??;
    if let Some((receipt, time)) = bundle.receipt.as_ref().zip(time) {
        node.given.add((agreement, index), (receipt.fingerprint(), time));
    }
    let shown = (Some(tick + 1), Some(bundle.tree.size));
    let proof = String::from_utf8(bundle.to_bytes())
        .map_err(|_| Problem::new(codes::INTERNAL, "a bundle is not text"))?;
    Ok((Delivered { view, promised, proof, seed, consistency }, shown))
}
