//! A delivery that has come: verified, signed by us, held against what was pinned before it, and
//! stored with the rows of the outbox that send our signatures back.
//!
//! Under one agreement deliveries come one at a time, under several at once. One may then find that
//! another has pinned a checkpoint since it was asked for: it is stored when that checkpoint and
//! its own are of one history, which the partner is asked to prove when we do not know it.

use crate::api::{Heading, Pull};
use crate::consumer::{broken, refused};
use crate::continuity::{self, Chains, Held, Pins, continues, has_erased, pinned, same_rows};
use crate::copies::{self, Copy, MAX_HEADING_BYTES, MAX_HEADINGS};
use crate::divergence::{self, Source};
use crate::documents;
use crate::fold::Fold;
use crate::kpis::freshness;
use crate::link_copies;
use crate::open::Node;
use crate::pages::{self, Page};
use crate::partition::Turn;
use crate::processes::{self, Paper};
use crate::repin::{self, Reason};
use crate::{prove, subscriptions};
use serde_json::Value;
use std::sync::Arc;
use twinpact_model::problem::Problem;
use twinpact_model::{Iri, Timestamp, codes};
use twinpact_proof::digest::from_hex;
use twinpact_proof::documents::{Clock, Receipt};
use twinpact_proof::dsse::MAX_SIGNATURES;
use twinpact_proof::{Bundle, Envelope, Level, Link, Verdict, to_hex, verify_bundle};
use twinpact_store::Store;

/// How often a delivery is held against what was pinned in the meantime.
const MAX_TRIES: usize = 16;

/// Verifies the page behind that place, signs agreement and receipt, and stores it with the rows of
/// the outbox that send both back; nothing is stored or signed that does not verify.
pub(crate) async fn store(
    node: &Node,
    body: &[u8],
    (agreement, peer): (&str, &str),
    (pull, asked): (&Pull, Pins),
) -> Result<Page, Problem> {
    let came = checked(node, body, (agreement, peer)).await?;
    let twin = pull.twin.as_ref().map(Iri::as_str);
    link_copies::fits(&came.signed.view, twin, &came.rows).map_err(broken)?;
    let after = pull.after.as_ref();
    let (next, times) = pages::goes_on(&came.delivery, after, &came.rows).map_err(broken)?;
    let about = link_copies::about(pull, next.as_ref());
    let (count, bytes, level) = (came.rows.len(), came.bytes, came.level);
    let delete_by = came.signed.delete_by.map(Timestamp::from_micros);
    let receipt = came.receipt();
    keep(node, came, (agreement, peer), (Asked::Page(asked), about)).await?;
    Ok(Page { receipt, rows: count, bytes, times, delete_by, level, next })
}

/// An event of a stream: the position that it says it has, and what it has to continue.
pub(crate) struct Taken {
    pub(crate) position: Option<u64>,
    pub(crate) seen: Pins,
}

/// Verifies and stores an event of a stream as a page is, with its position. What the next one has
/// to continue; `None` when something else was pinned since the stream was opened, and then nothing
/// is stored.
pub(crate) async fn store_event(
    node: &Node,
    body: &[u8],
    (agreement, peer): (&str, &str),
    taken: Taken,
) -> Result<Option<Pins>, Problem> {
    // A page that is under way is stored first.
    let lane = node.fetching.of(agreement);
    let _alone = lane.lock().await;
    let came = checked(node, body, (agreement, peer)).await?;
    if taken.position != Some(came.bundle.entry.index) {
        return Err(broken("its position is another one than that of its receipt"));
    }
    if came.delivery.get("next") != Some(&Value::Null) {
        return Err(broken("an event of a stream names no next page"));
    }
    link_copies::fits(&came.signed.view, None, &came.rows).map_err(broken)?;
    keep(node, came, (agreement, peer), (Asked::Event(taken), String::new())).await
}

/// Verifies and stores a delivery that was sent to us, which has to continue what was seen then.
/// What it is, and what the next one has to continue; `None` when it is stored already.
pub(crate) async fn store_sent(
    node: &Node,
    body: &[u8],
    (agreement, peer): (&str, &str),
    seen: Pins,
) -> Result<Option<(Page, Pins)>, Problem> {
    let came = checked(node, body, (agreement, peer)).await?;
    let name = came.receipt();
    if node.partition.read(|fold, _| fold.copies.has(&name))? {
        return Ok(None);
    }
    link_copies::fits(&came.signed.view, None, &came.rows).map_err(broken)?;
    let times = pages::times(&came.rows).map_err(broken)?;
    let anchor = copies::Seen { size: came.bundle.anchor.size, root: came.bundle.anchor.root };
    let page = Page {
        receipt: name,
        rows: came.rows.len(),
        bytes: came.bytes,
        times,
        delete_by: came.signed.delete_by.map(Timestamp::from_micros),
        level: came.level,
        next: None,
    };
    let asked = (Asked::Page(seen), String::new());
    let pinned = keep(node, came, (agreement, peer), asked).await?;
    let ledger = pinned.and_then(|pins| pins.ledger);
    Ok(Some((page, Pins { anchor: Some(anchor), ledger })))
}

/// What a delivery was asked for by, and what was pinned then.
enum Asked {
    Page(Pins),
    Event(Taken),
}

/// A delivery that proves what it must, with our signatures.
struct Checked {
    delivery: Value,
    rows: Vec<Value>,
    bytes: u64,
    bundle: Bundle,
    verdict: Verdict,
    signed: Receipt,
    document: Envelope,
    proof: String,
    level: Level,
}

impl Checked {
    /// The name of its receipt.
    fn receipt(&self) -> String {
        to_hex(&self.bundle.entry.leaf)
    }
}

/// Verifies a delivery and signs agreement and receipt.
async fn checked(
    node: &Node,
    body: &[u8],
    (agreement, peer): (&str, &str),
) -> Result<Checked, Problem> {
    let mut delivery: Value =
        serde_json::from_slice(body).map_err(|_| broken("the delivery is not JSON"))?;
    // The largest parts are taken out of it, not copied.
    let mut taken = |name: &str| delivery.get_mut(name).map(Value::take);
    let Some(Value::String(proof)) = taken("proof") else {
        return Err(broken("the delivery has no proof"));
    };
    let Some(Value::Array(rows)) = taken("rows") else {
        return Err(broken("the delivery has no rows"));
    };
    let seed = delivery.get("seed").and_then(Value::as_str).and_then(from_hex::<32>);
    let seed = seed.ok_or_else(|| broken("there is no seed"))?;
    let bundle = Bundle::parse(proof.as_bytes()).map_err(|b| broken(&b.sentence))?;
    let verdict = verified(node, &bundle, peer).await?;
    let signed = same_delivery(node, &bundle, &verdict, agreement, peer)?;
    let bytes = same_rows(&bundle, &rows, &seed)?;
    if signed.bytes != bytes {
        return Err(broken("the receipt counts other bytes than came"));
    }
    let Countersigned { document, proof, level } = countersigned(node, &bundle, agreement).await?;
    Ok(Checked { delivery, rows, bytes, bundle, verdict, signed, document, proof, level })
}

/// What the values of a delivery are called; `None` when that cannot be read.
fn headings(delivery: &Value) -> Option<Vec<Heading>> {
    let short = |text: &str| text.len() <= MAX_HEADING_BYTES;
    let heading = |column: &Value| {
        let heading = serde_json::from_value::<Heading>(column.clone()).ok()?;
        let fits = short(&heading.name) && heading.unit.as_deref().is_none_or(short);
        fits.then_some(heading)
    };
    let columns = delivery.get("columns")?.as_array()?;
    let few = columns.len() <= MAX_HEADINGS;
    few.then(|| columns.iter().map(heading).collect()).flatten()
}

/// Stores a delivery in the turn that pins it: two at once cannot pin two histories.
async fn keep(
    node: &Node,
    came: Checked,
    (agreement, peer): (&str, &str),
    (asked, about): (Asked, String),
) -> Result<Option<Pins>, Problem> {
    let copy = copied(node, &came, agreement, about).await?;
    let arrival = Arc::new(Arrival {
        came,
        asked,
        copy,
        agreement: agreement.to_owned(),
        peer: peer.to_owned(),
    });
    let kept = tried(node, &arrival).await;
    if let Err(problem) = &kept
        && problem.code == codes::EXCHANGE_PROOF
    {
        suspect(node, peer, &arrival.came.bundle.checkpoint).await?;
    }
    let kept = kept?;
    if kept.is_some() {
        node.metrics.pulled(arrival.came.rows.len() as u64, arrival.came.bytes);
    }
    Ok(kept)
}

/// The copy that a delivery makes.
async fn copied(
    node: &Node,
    came: &Checked,
    agreement: &str,
    about: String,
) -> Result<Copy, Problem> {
    let delete_by = came.signed.delete_by.map(Timestamp::from_micros);
    let decided = Timestamp::from_micros(came.signed.at);
    let said = (&came.delivery, came.rows.as_slice());
    let look = |fold: &Fold, _: &Store| freshness::came(fold, agreement, said, decided);
    let fresh = node.partition.read_between(look).await;
    Ok(Copy {
        agreement: agreement.to_owned(),
        proof: came.proof.clone(),
        delete_by: delete_by.map(|t| t.to_string()).unwrap_or_default(),
        driven: came.signed.clock == Clock::Driven,
        due: delete_by.map(|time| copies::due(decided, time)),
        bytes: Some(came.bytes),
        count: came.rows.len() as u64,
        fresh: fresh?.map_err(broken)?,
        columns: headings(&came.delivery).ok_or_else(|| broken("it does not name its columns"))?,
        about,
        ..Copy::default()
    })
}

/// A delivery that is to be stored.
struct Arrival {
    came: Checked,
    asked: Asked,
    copy: Copy,
    agreement: String,
    peer: String,
}

/// What came of a turn that would store it.
enum Tried {
    Stored(Pins),
    /// Something else was pinned since a stream was opened.
    Pinned,
    /// The delivery's own checkpoint is not known to be of one history with what is pinned now.
    Apart,
}

/// Stores it, with a proof by the partner where one is wanted.
async fn tried(node: &Node, arrival: &Arc<Arrival>) -> Result<Option<Pins>, Problem> {
    let bundle = &arrival.came.bundle;
    let own = copies::Seen { size: bundle.anchor.size, root: bundle.anchor.root };
    for _ in 0..MAX_TRIES {
        let (ours, arrival) = (node.clone(), Arc::clone(arrival));
        let (peer, origin) = (arrival.peer.clone(), arrival.came.verdict.seen.origin.clone());
        let turn = node.partition.turn(move |turn| stored(turn, &arrival, &ours.chains));
        match turn.await? {
            Tried::Stored(pins) => return Ok(Some(pins)),
            Tried::Pinned => return Ok(None),
            Tried::Apart => continuity::link(node, &peer, &origin, own).await?,
        }
    }
    Err(refused("the partner's log grows faster than it can be followed"))
}

/// The turn that stores it, when it holds against what is pinned by then.
fn stored(turn: Turn<'_>, arrival: &Arrival, chains: &Chains) -> Result<Tried, Problem> {
    let Arrival { came, asked, copy, agreement: under, peer } = arrival;
    let (name, count) = (came.receipt(), came.rows.len());
    if turn.fold().copies.has(&name) {
        return Err(broken("this very delivery is stored already"));
    }
    let (event, seen) = match asked {
        Asked::Page(seen) => (None, seen),
        Asked::Event(event) => (Some(event), &event.seen),
    };
    if event.is_some() && pinned(turn.fold(), under, peer)? != *seen {
        return Ok(Tried::Pinned);
    }
    if has_erased(turn.fold(), peer, &came.rows) {
        let why = "it has rows of a twin that its owner has erased";
        // A stream is asked again: its event may have been on the way when we were told.
        return Err(if event.is_some() { refused(why) } else { broken(why) });
    }
    let Checked { delivery, bundle, verdict, .. } = came;
    let pin = match continues(turn.fold(), (delivery, bundle), verdict, (under, seen), chains)? {
        Held::Holds(anchor, ledger) => (anchor, ledger),
        Held::Apart => return Ok(Tried::Apart),
    };
    let mut entries = copies::copy(peer, &name, copy, &came.rows).map_err(broken)?;
    // Of two checkpoints of one history the larger one stays pinned.
    let is_own = pin.0.size == bundle.anchor.size;
    let record = &turn.fold().partners.get(peer)?.record;
    let held = turn.fold().copies.note(record).filter(|_| !is_own);
    let note = held.unwrap_or(&bundle.checkpoint);
    entries.push(copies::pin(peer, note, pin.0, under, &pin.1));
    if turn.fold().countersignatures.agreement(under).is_none() {
        entries.extend(documents::countersigning(peer, under, &came.document));
    }
    let which = (under.as_str(), name.as_str());
    let position = event.and_then(|event| event.position);
    entries.extend(position.map(|at| subscriptions::came(peer, which, at, count)));
    entries.push(processes::paper_row(peer, under, &Paper::Receipt(name.clone())));
    turn.log(entries)?;
    Ok(Tried::Stored(Pins { anchor: Some(pin.0), ledger: Some(pin.1) }))
}

/// A delivery holds by itself and was not taken: whether its log is still the one that we saw.
async fn suspect(node: &Node, peer: &str, checkpoint: &str) -> Result<(), Problem> {
    let seen = node.partition.read(|fold, _| {
        fold.partners.get(peer).map(|partner| fold.copies.note(&partner.record).cloned())
    })??;
    if let Some(seen) = seen {
        divergence::compare(node, peer, &seen, checkpoint, Source::Delivery).await;
    }
    Ok(())
}

/// What of a delivery both parties have signed.
struct Countersigned {
    document: Envelope,
    proof: String,
    level: Level,
}

/// Signs agreement and receipt of a delivery that was verified.
async fn countersigned(
    node: &Node,
    bundle: &Bundle,
    agreement: &str,
) -> Result<Countersigned, Problem> {
    let signed = node.partition.read_between(|fold, store| {
        fold.behind.check(store.forest())?;
        let known = fold.agreements.get(agreement)?;
        let document = bundle.agreement.as_ref().ok_or_else(|| broken("there is no agreement"))?;
        let document = documents::countersigned(node, fold, known, document)
            .map_err(|why| broken(&format!("we do not sign its agreement: {why}")))?;
        let whole = documents::countersigned_bundle(node, fold, bundle, &document)?;
        Ok::<_, Problem>((document, whole, prove::own_trust(fold)?))
    });
    let (document, whole, trust) = signed.await??;
    // It has to be read again some day.
    let many = |envelope: &Envelope| envelope.signatures.len() > MAX_SIGNATURES;
    if whole.agreement.iter().chain(&whole.receipt).any(many) {
        return Err(broken("its documents have too many signatures for one more"));
    }
    let level = verify_bundle(&whole, Some(&trust)).map_err(|b| broken(&b.sentence))?.level;
    let proof = String::from_utf8(whole.to_bytes()).map_err(|_| broken("the proof is not text"))?;
    Ok(Countersigned { document, proof, level })
}

/// What a proof of a partner shows. When it does not fit what is pinned, the partner may have a
/// newer record, and it is verified once more with that.
async fn verified(node: &Node, proof: &Bundle, peer: &str) -> Result<Verdict, Problem> {
    let against = || {
        let pinned = node.partition.read(|fold, _| fold.partners.trust().clone());
        pinned.map(|trust| verify_bundle(proof, Some(&trust)))
    };
    let seen = repin::fingerprint(node, peer).await.unwrap_or_default();
    let mut shown = against()?;
    if shown.as_ref().is_err_and(|broken| broken.link == Link::Trust)
        && repin::look(node, peer, Reason::Proof, &seen).await
    {
        shown = against()?;
    }
    shown.map_err(|b| broken(&b.sentence))
}

/// Whether the bundle proves a delivery by this partner to us under this agreement.
fn same_delivery(
    node: &Node,
    bundle: &Bundle,
    verdict: &Verdict,
    agreement: &str,
    peer: &str,
) -> Result<Receipt, Problem> {
    if verdict.level < Level::Signed {
        return Err(broken("the proof is signed by nobody whom we pinned"));
    }
    if verdict.issuer != peer
        || verdict.audience.as_deref() != Some(node.config.organisation.as_str())
    {
        return Err(broken("the proof is of a delivery between others"));
    }
    let document = bundle
        .agreement
        .as_ref()
        .and_then(|envelope| twinpact_proof::documents::Agreement::from_envelope(envelope).ok());
    let receipt =
        bundle.receipt.as_ref().and_then(|envelope| Receipt::from_envelope(envelope).ok());
    match (document, receipt) {
        (Some(document), Some(receipt))
            if to_hex(&document.agreement) == agreement && receipt.view == document.target =>
        {
            Ok(receipt)
        }
        _ => Err(broken("the proof is of a delivery under another agreement")),
    }
}
