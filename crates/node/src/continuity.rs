//! What a delivery of a partner is held against: the rows that its ledger commits to, the anchor
//! and the ledger that were pinned before it, and the twins that were erased.

use crate::consumer::broken;
use crate::copies::{LedgerPin, Seen};
use crate::divergence::asked_for_proof;
use crate::fold::Fold;
use crate::open::Node;
use serde_json::Value;
use twinpact_model::problem::Problem;
use twinpact_proof::commit::{Point, points_lexical, read_attribute};
use twinpact_proof::digest::from_hex;
use twinpact_proof::tree::consistent;
use twinpact_proof::{Bundle, Verdict, to_hex};

/// What a delivery has to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pins {
    /// The partner's anchor.
    pub(crate) anchor: Option<Seen>,
    /// The ledger of the agreement, in the same log.
    pub(crate) ledger: Option<LedgerPin>,
}

/// What is pinned of a partner and an agreement.
pub(crate) fn pins(node: &Node, agreement: &str, peer: &str) -> Result<Pins, Problem> {
    node.partition.read(|fold, _| pinned(fold, agreement, peer))?
}

pub(crate) fn pinned(fold: &Fold, agreement: &str, peer: &str) -> Result<Pins, Problem> {
    let record = &fold.partners.get(peer)?.record;
    let ledger = fold.copies.ledger(agreement).filter(|pin| pin.origin == record.origin);
    Ok(Pins { anchor: fold.copies.to_continue(record), ledger: ledger.cloned() })
}

/// Whether any of these rows is of a twin that this partner has erased.
pub(crate) fn has_erased(fold: &Fold, peer: &str, rows: &[Value]) -> bool {
    let erased = |row: &Value| {
        let twin = row.get(0).and_then(Value::as_str).unwrap_or_default();
        fold.erasures.forbids(peer, twin)
    };
    rows.chunk_by(|a, b| a.get(0) == b.get(0)).filter_map(<[_]>::first).any(erased)
}

/// Whether the ledger commits to exactly these rows; their bytes.
pub(crate) fn same_rows(bundle: &Bundle, rows: &[Value], seed: &[u8; 32]) -> Result<u64, Problem> {
    let other = || broken("the rows are others than the ledger commits to");
    let mut times = Vec::with_capacity(rows.len());
    for row in rows {
        let time = row.get(1).and_then(Value::as_str).ok_or_else(other)?;
        times.push((time, row.to_string()));
    }
    let points = times.iter().map(|(time, lexical)| Point { time, datatype: "row", lexical });
    let expected = points_lexical(seed, points);
    let disclosed = &bundle.commitment.disclosure.disclosed;
    let stated = disclosed.iter().filter_map(|bytes| read_attribute(bytes));
    let items = stated.into_iter().find(|attribute| attribute.path == "items");
    match items {
        Some(items) if items.lexical == expected => {
            Ok(times.iter().map(|(_, lexical)| lexical.len() as u64).sum())
        }
        _ => Err(other()),
    }
}

/// Two checkpoints of a partner's log that are of one history: proven, however it was come by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bridge {
    small: Seen,
    large: Seen,
}

impl Bridge {
    /// What stays pinned of these two, when it shows that they are of one history: the larger. What
    /// was pinned a while ago is of one history with what is pinned now.
    fn larger(&self, now: Seen, own: Seen, lies_under: impl Fn(Seen) -> bool) -> Option<Seen> {
        match (self.small, self.large) {
            (small, large) if (small, large) == (now, own) => Some(own),
            (small, large) if small == own && (large == now || lies_under(large)) => Some(now),
            _ => None,
        }
    }
}

/// Asks the partner to prove that two checkpoints of its log are of one history.
pub(crate) async fn bridge(node: &Node, peer: &str, one: Seen, two: Seen) -> Option<Bridge> {
    let (small, large) = if one.size <= two.size { (one, two) } else { (two, one) };
    let hashes = asked_for_proof(node, peer, small.size, large.size).await?;
    let holds = consistent(small.size, &small.root, large.size, &large.root, &hashes);
    holds.then_some(Bridge { small, large })
}

/// What a delivery is to what was pinned.
pub(crate) enum Held {
    /// It holds; what is to be pinned now of the anchor, which is never less than was, and of the
    /// ledger.
    Holds(Seen, LedgerPin),
    /// That anchor was pinned since it was asked for, and nothing shows that its own is of one
    /// history with it.
    Apart(Seen),
}

/// Whether anchor and ledger continue what we saw last, or lie under what was seen since the
/// delivery was asked for.
pub(crate) fn continues(
    fold: &Fold,
    (delivery, bundle): (&Value, &Bundle),
    verdict: &Verdict,
    (agreement, asked): (&str, &Pins),
    bridge: Option<&Bridge>,
) -> Result<Held, Problem> {
    let record = &fold.partners.get(&verdict.issuer)?.record;
    // It was asked all the same: what we hold tells an older copy that it is one.
    fold.divergences.trusted(&record.origin)?;
    if record.origin != verdict.seen.origin {
        return Err(broken("the partner has given up the log that proves it"));
    }
    let own = Seen { size: bundle.anchor.size, root: bundle.anchor.root };
    let ledger = LedgerPin {
        origin: record.origin.clone(),
        tree: to_hex(&bundle.entry.tree),
        slot: bundle.head.slot,
        seen: Seen { size: bundle.tree.size, root: bundle.tree.root },
    };
    let proof = |name: &str| -> Vec<[u8; 32]> {
        let items = delivery.get("consistency").and_then(|c| c.get(name)).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|hash| from_hex(hash.as_str()?)).collect()
    };
    let grew = |old: Seen, new: Seen, name: &str| {
        consistent(old.size, &old.root, new.size, &new.root, &proof(name))
    };
    let now = fold.copies.to_continue(record);
    let under = |seen| fold.copies.lies_under(&record.origin, seen);
    let bridged = |now| bridge.and_then(|bridge| bridge.larger(now, own, under));
    let anchor = match now {
        None => own,
        Some(now) if grew(now, own, "anchor") => own,
        Some(now) if asked.anchor == Some(now) => {
            return Err(broken("its anchor does not continue the one that we saw before"));
        }
        Some(now) if now == own || under(own) => now,
        Some(now) => match bridged(now) {
            Some(larger) => larger,
            None => return Ok(Held::Apart(now)),
        },
    };
    if let Some(old) = fold.copies.ledger(agreement) {
        if (&old.tree, old.slot) != (&ledger.tree, ledger.slot) {
            return Err(broken("the ledger is another one than before"));
        }
        // A log that succeeds another may have lost the end of its ledgers: that is why it does.
        if old.origin == ledger.origin && !grew(old.seen, ledger.seen, "ledger") {
            return Err(broken("the ledger does not continue the one that we saw before"));
        }
    }
    Ok(Held::Holds(anchor, ledger))
}
