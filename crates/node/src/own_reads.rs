//! Our own reads of what partners have delivered: decided by the terms of the agreement like any
//! other use, with purpose, place and time, and on record before a row is shown.
//!
//! Nobody but us enforces this, so it is no wall against ourselves. It keeps the organisation's own
//! people and programs to what was agreed, and shows it: each decision is signed and in our log.

use crate::agreements::Agreement;
use crate::api::{CopyLine, CopyRead, ListCopies, ReadCopy};
use crate::assertion;
use crate::consumer::asserted;
use crate::copies::Copy;
use crate::decisions::{self, MAX_LIST, Reader};
use crate::fold::Fold;
use crate::open::Node;
use crate::partition::Turn;
use serde_json::Value;
use twinpact_contract::text;
use twinpact_identity::spiffe::SpiffeId;
use twinpact_model::entry::Attribute;
use twinpact_model::problem::Problem;
use twinpact_model::type_model::ModelRef;
use twinpact_model::{PolicyTime, Selection, Timestamp, codes};
use twinpact_policy::{
    Action, AgreementFacts, Assertion, Caller, Outcome, Recognised, Request, TokenFacts, decide,
};
use twinpact_proof::documents::Receipt;
use twinpact_proof::{Bundle, to_hex};

/// How long a read of our own may take from its decision on, in seconds.
const READ_SECONDS: i64 = 60;

/// Copies, the latest first, at most [`MAX_LIST`] at a time: the receipt of the last one says where
/// the next part goes on.
///
/// # Errors
/// `agreement.unknown`; `receipt.unknown` when it is to go on behind one that is not there;
/// `store.stopped`.
pub fn list(node: &Node, asked: &ListCopies) -> Result<Vec<CopyLine>, Problem> {
    let limit = asked.limit.unwrap_or(MAX_LIST).min(MAX_LIST);
    node.partition.read(|fold, _| {
        let agreement = asked.agreement.as_ref().map(|name| fold.agreements.get(name));
        let agreement = agreement.transpose()?.map(|known| to_hex(&known.id));
        let after = asked.after.as_ref().map(|name| fold.copies.named(name)).transpose()?;
        let after = after.map(|(name, copy)| (copy.recorded, name));
        let of = |copy: &Copy| agreement.as_ref().is_none_or(|id| *id == copy.agreement);
        let fits = fold.copies.iter().filter(|(_, copy)| of(copy));
        let mut keys: Vec<(Timestamp, &str)> =
            fits.map(|(name, copy)| (copy.recorded, name)).collect();
        keys.retain(|key| after.is_none_or(|after| *key < after));
        keys.sort_unstable_by(|a, b| b.cmp(a));
        // Only of those that are shown the receipt is read.
        let shown = keys.into_iter().take(limit);
        shown.map(|(_, name)| line(fold, name, fold.copies.get(name)?)).collect()
    })?
}

fn line(fold: &Fold, name: &str, copy: &Copy) -> Result<CopyLine, Problem> {
    let unreadable = || Problem::new(codes::INTERNAL, "a stored copy has no receipt");
    let bundle = Bundle::parse(copy.proof.as_bytes()).map_err(|_| unreadable())?;
    let receipt = bundle.receipt.as_ref().and_then(|one| Receipt::from_envelope(one).ok());
    let receipt = receipt.ok_or_else(unreadable)?;
    let known = fold.agreements.get(&copy.agreement)?;
    Ok(CopyLine {
        receipt: name.to_owned(),
        partner: copy.from.clone(),
        agreement: copy.agreement.clone(),
        view: receipt.view,
        terms: text::terms(known.terms()?.as_ref()),
        rows: receipt.count,
        stored: copy.recorded,
        delete_by: receipt.delete_by.map(Timestamp::from_micros),
        deleted: copy.deleted,
        erased: copy.erased,
    })
}

/// The rows of a copy, if the agreement permits this use of them.
///
/// # Errors
/// `receipt.unknown`; `copy.deleted` when its time has come; `exchange.purpose` when no purpose or
/// place is said; the refusal of the terms, such as `policy.purpose`, which is on record.
pub async fn show(node: &Node, name: &str, asked: ReadCopy) -> Result<CopyRead, Problem> {
    let (purpose, place) = asserted(node, asked.purpose.as_ref(), asked.place.as_ref())?;
    let (name, agreement) = node.partition.read(|fold, _| {
        let agreement = there(node, fold, name)?.agreement.clone();
        Ok::<_, Problem>((fold.copies.named(name)?.0.to_owned(), agreement))
    })??;
    let us = node.config.organisation.as_str();
    let signed = assertion::sign(node, us, &agreement, &purpose, &place)?;
    let key = node.signer().key().public();
    let assertion = assertion::read(&signed, &[key])
        .map_err(|_| Problem::new(codes::INTERNAL, "an assertion of ours cannot be read"))?;
    let ours = node.clone();
    let turn = node.partition.turn(move |turn| in_turn(&ours, turn, &name, assertion));
    turn.await?
}

/// The copy, unless it is gone or its time has come.
fn there<'f>(node: &Node, fold: &'f Fold, name: &str) -> Result<&'f Copy, Problem> {
    let copy = fold.copies.get(name)?;
    let now = node.clocks.policy().0;
    let tells = copy.driven == node.clocks.is_driven();
    let gone = copy.deleted.or(copy.due.filter(|due| tells && *due <= now));
    match gone {
        None => Ok(copy),
        Some(at) => {
            let why = format!("the copy was deleted at {at}, as the agreement wants");
            Err(Problem::new(codes::COPY_DELETED, why)
                .hint("its receipt stays: twinpact receipt show RECEIPT"))
        }
    }
}

/// Decides and logs; the refusal of the terms is the inner error, since it is on record.
fn in_turn(
    node: &Node,
    turn: Turn<'_>,
    name: &str,
    assertion: Assertion,
) -> Result<Result<CopyRead, Problem>, Problem> {
    let (now, wall) = (node.clocks.policy(), node.clocks.wall());
    let fold = turn.fold();
    let copy = there(node, fold, name)?;
    let facts = facts(node, fold.agreements.get(&copy.agreement)?)?;
    let (digest, request) = (assertion.digest, request(node, &facts, name, assertion)?);
    let decision = decide(&request, &facts, now, wall, &node.vocabulary);
    let us = node.config.organisation.as_str();
    let mut entries = Vec::new();
    let id = match fold.decisions.standing(&decision, facts.epoch, PolicyTime(now.0)) {
        Some((known, _)) => known.id,
        None => {
            let forest = turn.store().forest();
            let (id, _, entry) =
                decisions::record(node, forest, &facts, us, &decision, (now, wall))?;
            entries.push(entry);
            id
        }
    };
    let reader = Reader { caller: us, decision: id, assertion: Some(digest) };
    if let Outcome::Deny(code) = decision.outcome {
        entries.push(decisions::used(&reader, 0, 0));
        turn.log(entries)?;
        return Ok(Err(Problem::new(code, decision.sentence)));
    }
    let rows = rows(copy)?;
    let bytes = copy.parts.iter().map(|part| part.rows.len() as u64).sum();
    let mut used = decisions::used(&reader, rows.len(), bytes);
    // That something of it was used is counted by this.
    used.entry.what.push(Attribute::new("copy", "text", name));
    entries.push(used);
    let read = CopyRead {
        copy: line(fold, name, copy)?,
        decision: to_hex(&id),
        sentence: decision.sentence,
        columns: copy.columns.clone(),
        rows,
    };
    turn.log(entries)?;
    Ok(Ok(read))
}

fn rows(copy: &Copy) -> Result<Vec<Value>, Problem> {
    let unreadable = |_| Problem::new(codes::INTERNAL, "the rows of a copy cannot be read");
    let mut rows = Vec::new();
    for part in &copy.parts {
        rows.extend(serde_json::from_str::<Vec<Value>>(&part.rows).map_err(unreadable)?);
    }
    Ok(rows)
}

/// The agreement as one in which we let ourselves in: its terms, and how it stands.
fn facts(node: &Node, known: &Agreement) -> Result<AgreementFacts, Problem> {
    let us = &node.config.organisation;
    // The whole copy: what the view has was settled when it was delivered.
    let selection = Selection {
        model: ModelRef { name: "copy".to_owned(), version: 1 },
        twins: Vec::new(),
        columns: Vec::new(),
        rows: None,
        since: None,
        until: None,
        after: None,
        only: None,
        links: None,
    };
    Ok(AgreementFacts {
        id: to_hex(&known.id),
        at_id: known.wire.id.clone(),
        assigner: us.to_string(),
        assignee: us.to_string(),
        target: known.wire.target.clone(),
        terms: known.terms()?,
        state: known.state,
        epoch: known.epoch,
        selection,
    })
}

/// Ourselves asking: no token is needed at one's own door, so this read is let in as it is.
fn request(
    node: &Node,
    facts: &AgreementFacts,
    name: &str,
    assertion: Assertion,
) -> Result<Request, Problem> {
    let trust_domain = node.identity.current().issuing.trust_domain().clone();
    let spiffe_id = SpiffeId::of_node(&trust_domain, "node")?.to_string();
    let token = TokenFacts {
        agreement: facts.id.clone(),
        transfer: name.to_owned(),
        view: facts.target.clone(),
        spiffe_id: spiffe_id.clone(),
        epoch: facts.epoch,
        expires: twinpact_model::WallTime(node.clocks.wall().0.plus_seconds(READ_SECONDS)),
    };
    Ok(Request {
        action: Action::Use,
        view: facts.target.clone(),
        agreement: facts.id.clone(),
        transfer: name.to_owned(),
        caller: Caller {
            participant: node.config.organisation.to_string(),
            spiffe_id,
            by: Recognised::Certificate,
        },
        token: Some(token),
        token_fault: None,
        assertion: Some(assertion),
        assertion_fault: None,
    })
}
