//! Agreements: what was concluded, in which ledger deliveries under it stand, and whether it holds.

use crate::api::{AgreementLine, Identified};
use crate::as_of::{begun, known};
use crate::bargain;
use crate::connectors::{BY_CERTIFICATE, BY_UNKNOWN};
use crate::fold::Fold;
use crate::meaning;
use crate::open::Node;
use crate::partition::{NewEntry, Turn};
use crate::prove;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use twinpact_contract::{Constraint, Terms, text};
use twinpact_dsp::Role;
use twinpact_dsp::exchange::Whose;
use twinpact_dsp::message::Agreement as Wire;
use twinpact_dsp::transfer::{self, Transfer};
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::problem::Problem;
use twinpact_model::{Schedule, Timestamp, WallTime, codes};
use twinpact_policy::{AgreementFacts, State};
use twinpact_proof::documents::Agreement as Document;
use twinpact_proof::{Bundle, Digest, Envelope, Json, Level, to_hex};
use twinpact_store::forest::TreeNo;

/// The most agreements that we grant to one partner; each has a ledger of its own for ever.
pub const MAX_AGREEMENTS: usize = 250;

/// An agreement as it stands.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Its identity.
    pub id: Digest,
    /// The protocol's agreement.
    pub wire: Wire,
    /// Our role in it.
    pub role: Role,
    /// The other side.
    pub peer: String,
    /// Our signed document, as provider.
    pub document: Option<Envelope>,
    /// The ledger of its deliveries, as provider.
    pub ledger: Option<TreeNo>,
    /// The event that concluded it.
    pub event: u64,
    /// When we recorded it.
    pub concluded: Timestamp,
    /// Whether it holds.
    pub state: State,
    /// Whether it was the partner that ended it; then the time is when we learned of it.
    pub ended_by_partner: bool,
    /// By what the other side was recognised ([`crate::connectors::BY_CERTIFICATE`] and those
    /// beside it); logs did not say so always.
    pub recognised: Option<String>,
    /// Counted up whenever it stops holding.
    pub epoch: u64,
    /// From when until when it was suspended.
    pub suspensions: Vec<(Timestamp, Option<Timestamp>)>,
    /// What was agreed, once somebody has asked.
    terms: Asked,
}

/// Terms that were read out of the protocol's form. Whether they were is no part of the state: the
/// digest over it is made of what is printed here.
#[derive(Clone, Default)]
struct Asked(OnceLock<Arc<Terms>>);

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("terms")
    }
}

impl Agreement {
    /// What was agreed.
    ///
    /// # Errors
    /// `contract.*` with what cannot be read.
    pub fn terms(&self) -> Result<Arc<Terms>, Problem> {
        if let Some(terms) = self.terms.0.get() {
            return Ok(Arc::clone(terms));
        }
        let terms = identity(&self.wire)?.1;
        Ok(Arc::clone(self.terms.0.get_or_init(|| terms)))
    }

    /// Whether it was suspended at that time.
    fn was_suspended(&self, time: Timestamp) -> bool {
        let mut all = self.suspensions.iter();
        all.any(|(from, until)| *from <= time && until.is_none_or(|until| until > time))
    }

    fn suspend(&mut self, at: Timestamp) {
        self.state = State::Suspended;
        self.suspensions.push((at, None));
        self.epoch += 1;
    }

    fn end_suspension(&mut self, at: Timestamp) {
        let last = self.suspensions.last_mut().filter(|(_, until)| until.is_none());
        last.into_iter().for_each(|(_, until)| *until = Some(at));
    }
}

/// Agreements by the hex of their identity.
#[derive(Debug, Clone, Default)]
pub struct Agreements {
    by_id: BTreeMap<String, Agreement>,
    /// The identities of those with an `@id`; it is their makers' to choose, so there may be more
    /// than one.
    by_at_id: BTreeMap<String, Vec<String>>,
    /// How many we granted to each partner.
    granted: BTreeMap<String, usize>,
    /// The identities of those that are suspended.
    suspended: BTreeSet<String>,
}

impl Agreements {
    /// Takes an event into the state.
    ///
    /// # Errors
    /// `internal` when a logged agreement cannot be read.
    pub fn apply(&mut self, entry: &Entry, event: u64) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::AgreementConcluded => {
                let agreement = read(entry, event).ok_or_else(unreadable)?;
                self.conclude(agreement);
            }
            Kind::AgreementEnded => {
                let id = entry.get("agreement").ok_or_else(unreadable)?;
                let known = self.by_id.get_mut(id).ok_or_else(unreadable)?;
                known.end_suspension(entry.when.recorded);
                known.state = State::Revoked { at: entry.when.recorded };
                known.ended_by_partner = entry.get("by") == Some("partner");
                known.epoch += 1;
                self.suspended.remove(id);
            }
            Kind::AgreementSuspended | Kind::AgreementResumed => {
                let id = entry.get("agreement").ok_or_else(unreadable)?;
                let (known, at) =
                    (self.by_id.get_mut(id).ok_or_else(unreadable)?, entry.when.recorded);
                match (entry.who.kind, known.state) {
                    (Kind::AgreementSuspended, State::Active) => known.suspend(at),
                    (Kind::AgreementResumed, State::Suspended) => {
                        known.end_suspension(at);
                        known.state = State::Active;
                    }
                    _ => {}
                }
                match known.state {
                    State::Suspended => self.suspended.insert(id.to_owned()),
                    _ => self.suspended.remove(id),
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// Those that are suspended.
    pub(crate) fn suspended(&self) -> impl Iterator<Item = &Agreement> {
        self.suspended.iter().filter_map(|id| self.by_id.get(id))
    }

    /// Never twice: an ended agreement does not come back by being concluded again.
    fn conclude(&mut self, agreement: Agreement) {
        let id = to_hex(&agreement.id);
        if self.by_id.contains_key(&id) {
            return;
        }
        self.by_at_id.entry(agreement.wire.id.clone()).or_default().push(id.clone());
        if agreement.role == Role::Provider {
            *self.granted.entry(agreement.peer.clone()).or_default() += 1;
        }
        self.by_id.insert(id, agreement);
    }

    /// Those with exactly this `@id`.
    fn named<'a>(&'a self, at_id: &str) -> impl Iterator<Item = &'a Agreement> {
        let ids = self.by_at_id.get(at_id).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.by_id.get(id))
    }

    /// The agreement of that identity, `@id`, or unique front of the identity.
    ///
    /// # Errors
    /// `agreement.unknown`.
    pub fn get(&self, name: &str) -> Result<&Agreement, Problem> {
        let front = || {
            let mut found =
                self.by_id.range(name.to_owned()..).take_while(|(id, _)| id.starts_with(name));
            let first = found.next().filter(|_| name.len() >= 8)?.1;
            found.next().is_none().then_some(first)
        };
        self.by_id.get(name).or_else(|| self.named(name).next()).or_else(front).ok_or_else(|| {
            Problem::new(codes::AGREEMENT_UNKNOWN, format!("there is no agreement {name:?}"))
                .hint("list them with: twinpact agreement list")
        })
    }

    /// The agreement with this participant under that `@id`, whichever of the two we are.
    #[must_use]
    pub fn with(&self, peer: &str, at_id: &str) -> Option<&Agreement> {
        self.named(at_id).find(|agreement| agreement.peer == peer)
    }

    /// The agreement with exactly this `@id` that we, as provider, have with this partner.
    #[must_use]
    pub fn granted_to(&self, peer: &str, at_id: &str) -> Option<&Agreement> {
        self.named(at_id).find(|a| a.role == Role::Provider && a.peer == peer)
    }

    /// How many agreements we granted to this partner, those that ended included.
    #[must_use]
    pub fn granted(&self, peer: &str) -> usize {
        self.granted.get(peer).copied().unwrap_or(0)
    }

    /// Whether an agreement of this identity or `@id` was concluded, with whomever.
    #[must_use]
    pub fn is_known(&self, id: &Digest, at_id: &str) -> bool {
        self.by_at_id.contains_key(at_id) || self.by_id.contains_key(&to_hex(id))
    }

    /// Those that were concluded by a time, as they stood then.
    fn by(&self, time: Timestamp) -> impl Iterator<Item = Agreement> {
        let concluded = self.by_id.values().filter(move |a| a.concluded <= time);
        concluded.cloned().map(move |agreement| {
            let state = match agreement.state {
                State::Revoked { at } if at <= time => agreement.state,
                State::Terminated => agreement.state,
                _ if agreement.was_suspended(time) => State::Suspended,
                _ => State::Active,
            };
            Agreement { state, ..agreement }
        })
    }

    /// All agreements.
    pub fn iter(&self) -> impl Iterator<Item = &Agreement> {
        self.by_id.values()
    }
}

/// The entry that concludes an agreement. As provider it opens the ledger and signs the document
/// that names its slot.
///
/// # Errors
/// `contract.*` when its terms cannot be read; `input.too_large` when there are too many ledgers.
pub fn conclude(
    turn: &mut Turn<'_>,
    node: &Node,
    wire: &Wire,
    role: Role,
    peer: &str,
) -> Result<NewEntry, Problem> {
    let (id, terms) = identity(wire)?;
    if turn.fold().agreements.is_known(&id, &wire.id) {
        return Err(Problem::new(codes::AGREEMENT_ENDED, "this agreement was concluded before"));
    }
    let mut what = vec![
        Attribute::new("agreement", "text", to_hex(&id)),
        Attribute::new("role", "text", role.name()),
        Attribute::new("peer", "text", peer),
        Attribute::new("wire", "json", to_text(wire)?),
    ];
    let by = node.connectors.recognised(peer).unwrap_or(BY_CERTIFICATE);
    what.push(Attribute::new("recognised", "text", by));
    if role == Role::Provider {
        let (number, tree) = turn.open_tree()?;
        let document = Document {
            issuer: wire.assigner.clone(),
            audience: wire.assignee.clone(),
            agreement: id,
            at_id: wire.id.clone(),
            target: wire.target.clone(),
            terms: terms.to_json(),
            concluded: node.clocks.wall().0.micros(),
            slot: u64::from(number - 1),
            tree,
        };
        let envelope = document.sign(node.signer().key());
        what.push(Attribute::new("document", "json", envelope.to_json().canonical()));
        what.push(Attribute::new("ledger", "integer", number.to_string()));
    }
    Ok(NewEntry::event(event(Kind::AgreementConcluded, peer, what)))
}

/// The identity of an agreement and its terms, read from the protocol's form.
///
/// # Errors
/// `contract.*` with what cannot be read.
pub fn identity(wire: &Wire) -> Result<(Digest, Arc<Terms>), Problem> {
    meaning::agreement(wire)
}

/// Ends an agreement at once: tokens and grants of the old epoch are void from the next request on.
///
/// # Errors
/// `agreement.unknown`; `agreement.ended` when it does not hold any more.
pub async fn revoke(node: &Node, name: &str, reason: &str) -> Result<AgreementLine, Problem> {
    let (name, reason) = (name.to_owned(), reason.to_owned());
    let turn = node.partition.turn(move |turn| {
        let known = turn.fold().agreements.get(&name)?;
        if known.state != State::Active {
            return Err(Problem::new(
                codes::AGREEMENT_ENDED,
                format!("the agreement {} does not hold any more", known.wire.id),
            ));
        }
        let (id, peer) = (to_hex(&known.id), known.peer.clone());
        let at_id = known.wire.id.clone();
        // Alone: nothing that the partner has opened can keep it from being logged.
        turn.log(vec![ended(&peer, &id, &reason, Whose::Ours)])?;
        Ok((id, at_id))
    });
    let (id, at_id) = turn.await?;
    end_transfers(node, &at_id).await?;
    show(node, &id, None)
}

/// Terminates the transfers under an agreement that has ended, each in a turn of its own, and tells
/// the partner. What a stop leaves of them is ended by their deadlines; they deliver nothing.
async fn end_transfers(node: &Node, at_id: &str) -> Result<(), Problem> {
    let pids: Vec<String> = node.partition.read(|fold, _| {
        let running = fold.processes.transfers_under(at_id);
        running.map(|transfer| transfer.party.own_pid.clone()).collect()
    })?;
    let now = node.clocks.wall();
    for pid in pids {
        let turn = node.partition.turn(move |turn| {
            let known = turn.fold().processes.transfers.get(&pid);
            match known.and_then(|state| terminated(state, now)) {
                Some(step) => turn.log(bargain::transfer_entries(&step, None)?).map(|_| ()),
                None => Ok(()),
            }
        });
        turn.await?;
    }
    Ok(())
}

/// The end of a transfer whose agreement was revoked; `None` when it cannot be ended now.
pub(crate) fn terminated(state: &Transfer, now: WallTime) -> Option<transfer::Step> {
    let decision = transfer::Decision::Terminate {
        code: codes::POLICY_REVOKED.name.to_owned(),
        reason: "the agreement was revoked".to_owned(),
    };
    transfer::step(state, transfer::Input::Decide(decision), now).ok()
}

fn ended(peer: &str, agreement: &str, reason: &str, by: Whose) -> NewEntry {
    let by = if by == Whose::Ours { "us" } else { "partner" };
    let what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("reason", "text", reason),
        Attribute::new("by", "text", by),
    ];
    NewEntry::event(event(Kind::AgreementEnded, peer, what))
}

/// That an agreement of ours is suspended: its tokens and grants are void from now on.
pub(crate) fn suspended(known: &Agreement, reason: &str) -> NewEntry {
    changed(Kind::AgreementSuspended, known, reason)
}

/// That it holds again, if it is suspended.
pub(crate) fn resumed(known: &Agreement, reason: &str) -> Option<NewEntry> {
    let is_suspended = known.state == State::Suspended;
    is_suspended.then(|| changed(Kind::AgreementResumed, known, reason))
}

fn changed(kind: Kind, known: &Agreement, reason: &str) -> NewEntry {
    let what = vec![
        Attribute::new("agreement", "text", to_hex(&known.id)),
        Attribute::new("reason", "text", reason),
    ];
    NewEntry::event(event(kind, &known.peer, what))
}

/// That the partner has revoked an agreement with us, unless that is known.
pub(crate) fn ended_by_partner(fold: &Fold, peer: &str, at_id: &str) -> Option<NewEntry> {
    let with = |a: &&Agreement| a.peer == peer && a.state == State::Active;
    let known = fold.agreements.named(at_id).find(with)?;
    Some(ended(peer, &to_hex(&known.id), "the partner says so", Whose::Peers))
}

/// The ends of all agreements with this organisation that hold.
pub(crate) fn all_ended(fold: &Fold, peer: &str, reason: &str) -> Vec<NewEntry> {
    let with = |a: &&Agreement| a.peer == peer && a.state == State::Active;
    let holding = fold.agreements.by_id.values().filter(with);
    holding.map(|known| ended(peer, &to_hex(&known.id), reason, Whose::Ours)).collect()
}

/// One agreement, as it was known at a time or is known now.
///
/// # Errors
/// `agreement.unknown`, also when it was concluded later; `asof.early`, `store.stopped`.
pub fn show(node: &Node, name: &str, as_of: Option<Timestamp>) -> Result<AgreementLine, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        let agreement = fold.agreements.get(name)?;
        let Some(time) = as_of else { return line(fold, agreement, None) };
        let then = fold.agreements.by(time).find(|one| one.id == agreement.id);
        let then = then.ok_or_else(|| {
            let why = format!("there was no agreement {name:?} by {time}");
            Problem::new(codes::AGREEMENT_UNKNOWN, why)
                .hint("list those of then with: twinpact agreement list --as-of TIME")
        })?;
        line(fold, &then, as_of)
    })?
}

/// The bundle of the event that concluded an agreement. A provider's holds its signed document;
/// with the consumer's signature that stands in the proof of each delivery.
///
/// # Errors
/// `agreement.unknown`; `anchor.behind`; `store.*`.
pub async fn export(node: &Node, name: &str) -> Result<Bundle, Problem> {
    let event =
        node.partition.read(|fold, _| fold.agreements.get(name).map(|known| known.event))??;
    prove::fact(node, event, &[]).await
}

/// All agreements, as they were known at a time or are known now.
///
/// # Errors
/// `asof.early`, `store.stopped`.
pub fn list(node: &Node, as_of: Option<Timestamp>) -> Result<Vec<AgreementLine>, Problem> {
    node.partition.read(|fold, _| {
        begun(fold, as_of)?;
        match as_of {
            Some(time) => fold.agreements.by(time).map(|a| line(fold, &a, as_of)).collect(),
            None => fold.agreements.iter().map(|a| line(fold, a, None)).collect(),
        }
    })?
}

fn line(
    fold: &Fold,
    agreement: &Agreement,
    as_of: Option<Timestamp>,
) -> Result<AgreementLine, Problem> {
    let agreed = agreement.terms()?;
    // An agreement of before that was said is a partner's, or nobody can tell.
    let is_partner = fold.partners.get(&agreement.peer).is_ok();
    let unsaid = if is_partner { BY_CERTIFICATE } else { BY_UNKNOWN };
    // One that only the provider has signed, or of which we have the provider's message alone, is
    // its word and no more.
    let both = fold.countersignatures.agreed(&to_hex(&agreement.id));
    let level = if both.is_some_and(|recorded| known(recorded, as_of)) {
        Level::Countersigned
    } else {
        Level::Signed
    };
    Ok(AgreementLine {
        id: to_hex(&agreement.id),
        at_id: agreement.wire.id.clone(),
        role: agreement.role.name().to_owned(),
        partner: agreement.peer.clone(),
        target: agreement.wire.target.clone(),
        terms: text::terms(&agreed),
        hours: hours(&agreed),
        state: match agreement.state {
            State::Active => "active".to_owned(),
            State::Revoked { at } if agreement.ended_by_partner => {
                format!("revoked by the partner, known since {at}")
            }
            State::Revoked { at } => format!("revoked at {at}"),
            State::Terminated => "terminated".to_owned(),
            State::Suspended => "suspended".to_owned(),
        },
        concluded: agreement.concluded,
        recognised: agreement.recognised.clone().unwrap_or_else(|| unsaid.to_owned()),
        level: level.name().to_owned(),
    })
}

/// The hours to which the first permission binds use.
pub(crate) fn hours(terms: &Terms) -> Option<Schedule> {
    let rule = terms.permissions().first()?;
    rule.constraints.iter().find_map(|constraint| match constraint {
        Constraint::Schedule(hours) => Some(hours.clone()),
        _ => None,
    })
}

/// What the policy engine has to know of an agreement of ours as provider.
///
/// # Errors
/// `agreement.unknown` when its contract is not there any more; `contract.model`.
pub fn facts(fold: &Fold, agreement: &Agreement) -> Result<AgreementFacts, Problem> {
    let wire = &agreement.wire;
    let contract = fold.contracts.get(&wire.target).ok_or_else(|| {
        Problem::new(codes::AGREEMENT_UNKNOWN, format!("{} is not published here", wire.target))
    })?;
    let model = fold.twins.model(&contract.model)?;
    Ok(AgreementFacts {
        id: to_hex(&agreement.id),
        at_id: wire.id.clone(),
        assigner: wire.assigner.clone(),
        selection: contract.selection(model, &wire.assignee)?,
        assignee: wire.assignee.clone(),
        target: wire.target.clone(),
        terms: agreement.terms()?,
        state: agreement.state,
        epoch: agreement.epoch,
    })
}

fn event(kind: Kind, actor: &str, what: Vec<Attribute>) -> Entry {
    let who = Who::no_twin(kind, actor);
    Entry { who, when: When::default(), why: Why::default(), what }
}

fn read(entry: &Entry, event: u64) -> Option<Agreement> {
    let wire: Wire = serde_json::from_str(entry.get("wire")?).ok()?;
    let document = entry
        .get("document")
        .and_then(|text| Envelope::from_json(&Json::parse(text.as_bytes()).ok()?));
    Some(Agreement {
        id: twinpact_proof::digest::from_hex(entry.get("agreement")?)?,
        wire,
        role: if entry.get("role")? == Role::Provider.name() {
            Role::Provider
        } else {
            Role::Consumer
        },
        peer: entry.get("peer")?.to_owned(),
        recognised: entry.get("recognised").map(str::to_owned),
        document,
        ledger: entry.get("ledger").and_then(|n| n.parse().ok()),
        event,
        concluded: entry.when.recorded,
        state: State::Active,
        ended_by_partner: false,
        epoch: 0,
        suspensions: Vec::new(),
        terms: Asked::default(),
    })
}

/// What an agreement in a document is and means; it need not be one of this node.
///
/// # Errors
/// `dsp.malformed` and `dsp.too_large` for what is no agreement of the protocol, `contract.*` with
/// what cannot be read of its terms.
pub fn identified(document: &[u8]) -> Result<Identified, Problem> {
    let wire = Wire::parse_bytes(document)?;
    let (id, terms) = identity(&wire)?;
    Ok(Identified {
        id: to_hex(&id),
        at_id: wire.id,
        target: wire.target,
        assigner: wire.assigner,
        assignee: wire.assignee,
        timestamp: wire.timestamp,
        terms: text::terms(&terms),
    })
}

fn to_text(wire: &Wire) -> Result<String, Problem> {
    serde_json::to_string(wire)
        .map_err(|e| Problem::new(codes::INTERNAL, format!("an agreement: {e}")))
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged agreement cannot be read")
}
