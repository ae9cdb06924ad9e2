//! Subscriptions: which streams of partners we follow, how far each has come, and why one ended.
//! Local records, so that a node that starts again goes on where it was.
//!
//! There is one for an agreement at most. Its position is logged in the frame of the copy that it
//! is of, so that no event is lost between the two, and none is stored twice.

use crate::api::{Followed, Subscribe, SubscriptionLine};
use crate::consumer;
use crate::fold::Fold;
use crate::open::Node;
use crate::partition::NewEntry;
use crate::processes::local;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use twinpact_model::entry::{Attribute, Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};

/// Of how many events it is known which copy each became, to show their rows to who follows.
pub const MAX_RECENT: usize = 1_000;
/// How long who asks for rows waits for some; then it asks again.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most subscriptions that are under way, each of which holds a connection.
pub const MAX_SUBSCRIPTIONS: usize = 64;

/// A stream that we follow, or have followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The provider.
    pub peer: String,
    /// The `@id` of the agreement.
    pub at_id: String,
    /// The purpose that is asserted.
    pub purpose: String,
    /// The place that is asserted.
    pub place: String,
    /// Whether it begins with all that the view has.
    pub from_start: bool,
    /// Since when.
    pub since: Timestamp,
    /// The position of the last event that is stored.
    pub position: Option<u64>,
    /// How many rows are stored.
    pub rows: u64,
    /// Code and sentence of its end.
    pub ended: Option<(String, String)>,
    /// Positions and copies of the last events that are stored.
    recent: VecDeque<(u64, String)>,
    /// The position of the last one that is no more among them.
    forgotten: Option<u64>,
}

impl Subscription {
    /// Whether there were events behind that position of which it is not known any more which
    /// copies they became.
    fn skipped(&self, after: Option<u64>) -> bool {
        self.forgotten > after
    }
}

/// Subscriptions by the hex of their agreement's identity.
#[derive(Debug, Clone, Default)]
pub struct Subscriptions {
    by_agreement: BTreeMap<String, Subscription>,
}

impl Subscriptions {
    /// Takes a local record into the state.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        match entry.who.kind {
            Kind::Subscription => self.take(entry).ok_or_else(unreadable),
            _ => Ok(()),
        }
    }

    fn take(&mut self, entry: &Entry) -> Option<()> {
        let agreement = entry.get("agreement")?;
        if let Some(at_id) = entry.get("atId") {
            let text = |name: &str| entry.get(name).map(str::to_owned);
            let new = Subscription {
                peer: entry.who.actor.to_string(),
                at_id: at_id.to_owned(),
                purpose: text("purpose")?,
                place: text("place")?,
                from_start: entry.get("from")? == "start",
                since: entry.when.recorded,
                position: None,
                rows: 0,
                ended: None,
                recent: VecDeque::new(),
                forgotten: None,
            };
            // One that ended goes on where it was.
            let old = self.by_agreement.remove(agreement);
            let new = match old {
                Some(Subscription { position, rows, recent, forgotten, .. }) => {
                    Subscription { position, rows, recent, forgotten, ..new }
                }
                None => new,
            };
            self.by_agreement.insert(agreement.to_owned(), new);
            return Some(());
        }
        let known = self.by_agreement.get_mut(agreement)?;
        if let Some(code) = entry.get("code") {
            known.ended = Some((code.to_owned(), entry.get("detail")?.to_owned()));
            if code == codes::STREAM_POSITION.name {
                // It is of no use any more: whoever subscribes again begins anew.
                known.position = None;
            }
            return Some(());
        }
        let position = entry.get("position")?.parse().ok()?;
        known.position = Some(position);
        known.recent.extend(entry.get("receipt").map(|receipt| (position, receipt.to_owned())));
        if known.recent.len() > MAX_RECENT {
            known.forgotten = known.recent.pop_front().map(|(position, _)| position);
        }
        known.rows += entry.get("rows")?.parse::<u64>().ok()?;
        Some(())
    }

    /// All, by the identity of their agreement.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Subscription)> {
        self.by_agreement.iter().map(|(agreement, one)| (agreement.as_str(), one))
    }

    /// That of an agreement.
    #[must_use]
    pub fn get(&self, agreement: &str) -> Option<&Subscription> {
        self.by_agreement.get(agreement)
    }

    /// The agreements whose streams are followed, and since when, in microseconds.
    pub fn under_way(&self) -> impl Iterator<Item = (&str, i64)> {
        let all = self.iter().filter(|(_, one)| one.ended.is_none());
        all.map(|(agreement, one)| (agreement, one.since.micros()))
    }
}

/// The record of the event that was stored last.
pub(crate) fn came(
    peer: &str,
    (agreement, receipt): (&str, &str),
    position: u64,
    rows: usize,
) -> NewEntry {
    let what = vec![
        Attribute::new("receipt", "text", receipt),
        Attribute::new("agreement", "text", agreement),
        Attribute::new("position", "integer", position.to_string()),
        Attribute::new("rows", "integer", rows.to_string()),
    ];
    local(Kind::Subscription, peer, what)
}

/// The record of an end, and why.
pub(crate) fn ended(peer: &str, agreement: &str, code: &str, detail: &str) -> NewEntry {
    let what = vec![
        Attribute::new("agreement", "text", agreement),
        Attribute::new("code", "text", code),
        Attribute::new("detail", "text", detail),
    ];
    local(Kind::Subscription, peer, what)
}

/// Follows the stream of an agreement from now on, and after every start. One that is followed
/// already is the answer.
///
/// # Errors
/// `agreement.unknown`, `policy.revoked`, `agreement.ended`; `exchange.purpose` when there is
/// nothing to assert; `stream.too_many`.
pub async fn subscribe(node: &Node, asked: &Subscribe) -> Result<SubscriptionLine, Problem> {
    let (purpose, place) = consumer::asserted(node, asked.purpose.as_ref(), asked.place.as_ref())?;
    let (name, from_start) = (asked.agreement.clone(), asked.from_start);
    let turn = node.partition.turn(move |turn| {
        let (id, at_id, peer) = consumer::granted(turn.fold(), &name)?;
        let known = turn.fold().subscriptions.get(&id);
        if known.is_some_and(|one| one.ended.is_none()) {
            return Ok(id);
        }
        if turn.fold().subscriptions.under_way().count() >= MAX_SUBSCRIPTIONS {
            let why = format!("{MAX_SUBSCRIPTIONS} streams are followed already");
            return Err(Problem::new(codes::STREAM_TOO_MANY, why));
        }
        let what = vec![
            Attribute::new("agreement", "text", &id),
            Attribute::new("atId", "text", at_id),
            Attribute::new("purpose", "text", purpose),
            Attribute::new("place", "text", place),
            Attribute::new("from", "text", if from_start { "start" } else { "now" }),
        ];
        turn.log(vec![local(Kind::Subscription, &peer, what)])?;
        Ok(id)
    });
    let id = turn.await?;
    show(node, &id)
}

/// Ends a subscription of ours; its copies stay.
///
/// # Errors
/// `agreement.unknown` when the agreement is not followed.
pub async fn end(node: &Node, agreement: &str) -> Result<SubscriptionLine, Problem> {
    let name = agreement.to_owned();
    let turn = node.partition.turn(move |turn| {
        let id = twinpact_proof::to_hex(&turn.fold().agreements.get(&name)?.id);
        let known = turn.fold().subscriptions.get(&id).ok_or_else(|| unknown(&name))?;
        if known.ended.is_none() {
            let entry = ended(&known.peer, &id, LEFT, "we have ended it");
            turn.log(vec![entry])?;
        }
        Ok(id)
    });
    let id = turn.await?;
    show(node, &id)
}

/// The code of an end of our own; no error.
const LEFT: &str = "left";

/// The receipts of the events that were stored behind a position, as soon as there are any; who
/// waits in vain is answered after a while, and asks again. Of events that are no more among the
/// last [`MAX_RECENT`] it is said that there were some; [`crate::own_reads::list`] has all copies.
/// The rows are read as those of any copy
/// ([`crate::own_reads`]): for a purpose that the agreement allows.
///
/// # Errors
/// `agreement.unknown` when the agreement is not followed; `store.stopped`.
pub async fn receipts(node: &Node, name: &str, after: Option<u64>) -> Result<Followed, Problem> {
    let mut changes = node.partition.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            let now = node.partition.read(|fold, _| followed(fold, name, after))??;
            if now.position > after || now.code.is_some() {
                return Ok(now);
            }
            if changes.changed().await.is_err() {
                return Err(Problem::new(codes::STORE_STOPPED, "the node is stopping"));
            }
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(followed) => followed,
        Err(_) => node.partition.read(|fold, _| followed(fold, name, after))?,
    }
}

fn followed(fold: &Fold, name: &str, after: Option<u64>) -> Result<Followed, Problem> {
    let id = twinpact_proof::to_hex(&fold.agreements.get(name)?.id);
    let one = fold.subscriptions.get(&id).ok_or_else(|| unknown(name))?;
    let new = one.recent.iter().filter(|(position, _)| Some(*position) > after);
    let receipts = new.map(|(_, receipt)| receipt.clone()).collect();
    let (code, why) = one.ended.clone().unzip();
    let skipped = one.skipped(after);
    Ok(Followed { receipts, skipped, position: one.position, code, why })
}

/// Every subscription.
///
/// # Errors
/// `store.stopped`.
pub fn list(node: &Node) -> Result<Vec<SubscriptionLine>, Problem> {
    node.partition.read(|fold, _| {
        fold.subscriptions.iter().map(|(agreement, one)| line(agreement, one)).collect()
    })
}

fn show(node: &Node, agreement: &str) -> Result<SubscriptionLine, Problem> {
    let one = node
        .partition
        .read(|fold, _| fold.subscriptions.get(agreement).map(|one| line(agreement, one)))?;
    one.ok_or_else(|| unknown(agreement))
}

fn line(agreement: &str, one: &Subscription) -> SubscriptionLine {
    let ended = one.ended.clone();
    SubscriptionLine {
        agreement: agreement.to_owned(),
        partner: one.peer.clone(),
        since: one.since,
        position: one.position,
        rows: one.rows,
        code: ended.as_ref().map(|(code, _)| code.clone()),
        why: ended.map(|(_, why)| why),
    }
}

fn unknown(agreement: &str) -> Problem {
    Problem::new(codes::AGREEMENT_UNKNOWN, format!("the stream of {agreement:?} is not followed"))
        .hint("list those that are with: twinpact subscription list")
}

fn unreadable() -> Problem {
    Problem::new(codes::INTERNAL, "a logged subscription cannot be read")
}

#[cfg(test)]
mod tests {
    use super::{MAX_RECENT, Subscriptions, came};
    use crate::processes::local;
    use twinpact_model::entry::{Attribute, Kind};

    #[test]
    fn who_asks_for_what_is_forgotten_hears_that_there_was_more() {
        let text = |name: &str, value: &str| Attribute::new(name, "text", value);
        let peer = "did:web:operator.example";
        let begun = ["agreement", "atId", "purpose", "place", "from"].map(|name| text(name, "a"));
        let mut all = Subscriptions::default();
        all.apply(&local(Kind::Subscription, peer, begun.to_vec()).entry).unwrap();
        let add = |all: &mut Subscriptions, position: u64| {
            all.apply(&came(peer, ("a", &position.to_string()), position, 1).entry).unwrap();
        };
        let most = MAX_RECENT as u64;
        (1..=most).for_each(|position| add(&mut all, position));
        assert!(!all.get("a").unwrap().skipped(None));
        add(&mut all, most + 1);
        let one = all.get("a").unwrap();
        assert_eq!((one.recent.len(), one.rows), (MAX_RECENT, most + 1));
        for (after, expect) in [(None, true), (Some(0), true), (Some(1), false), (Some(9), false)] {
            assert_eq!(one.skipped(after), expect, "{after:?}");
        }
    }
}
