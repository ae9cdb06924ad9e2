//! What a delivery of a partner is held against: the rows that its ledger commits to, the anchor
//! and the ledger that were pinned before it, and the twins that were erased.

use crate::consumer::{broken, refused};
use crate::copies::{LedgerPin, Seen};
use crate::divergence::asked_for_proof;
use crate::fold::Fold;
use crate::open::Node;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use twinpact_model::problem::Problem;
use twinpact_proof::commit::{Point, points_lexical, read_attribute};
use twinpact_proof::digest::from_hex;
use twinpact_proof::tree::consistent;
use twinpact_proof::{Bundle, Verdict, to_hex};
use twinpact_store::Store;

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

/// How many checkpoints of one log are remembered as being of one history.
const MAX_CHAIN: usize = 256;

/// Checkpoints of logs that are known to be of one history, all of a log with each other: proven by
/// the partner, one with the largest before it.
#[derive(Debug, Default)]
pub struct Chains(Mutex<BTreeMap<String, Chain>>);

/// Those of one log.
#[derive(Debug, Default)]
struct Chain {
    known: VecDeque<Seen>,
    /// Pairs of which the second was proven to continue the first, which was not the largest then.
    grew: VecDeque<(Seen, Seen)>,
}

impl Chain {
    fn largest(&self) -> Option<Seen> {
        self.known.iter().max_by_key(|known| known.size).copied()
    }

    /// Adds one that is of one history with the largest, and what is known to continue it.
    fn add(&mut self, seen: Seen) {
        let mut next = Some(seen);
        while let Some(seen) = next {
            if self.known.len() >= MAX_CHAIN {
                // The smallest is of least use.
                let size = |at: &usize| self.known.get(*at).map(|seen| seen.size);
                let smallest = (0..self.known.len()).min_by_key(size);
                smallest.and_then(|at| self.known.remove(at));
            }
            self.known.push_back(seen);
            let largest = self.largest();
            let goes_on = self.grew.iter().position(|(old, _)| Some(*old) == largest);
            next = goes_on.and_then(|at| self.grew.remove(at)).map(|(_, new)| new);
        }
    }
}

impl Chains {
    fn with<T>(&self, origin: &str, look: impl FnOnce(&mut Chain) -> T) -> T {
        let mut chains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(chains.entry(origin.to_owned()).or_default())
    }

    /// Whether both are known to be of one history.
    fn spans(&self, origin: &str, one: Seen, two: Seen) -> bool {
        self.with(origin, |chain| chain.known.contains(&one) && chain.known.contains(&two))
    }

    /// The largest of a log, unless that one is among them; a log of which none is known begins
    /// with that one.
    fn largest_for(&self, origin: &str, seen: Seen) -> Option<Seen> {
        self.with(origin, |chain| {
            let largest = chain.largest();
            if largest.is_none() {
                chain.add(seen);
            }
            largest.filter(|_| !chain.known.contains(&seen))
        })
    }

    /// Adds one that was proven to be of one history with that one, which was the largest then. If
    /// it is not any more, what is larger than both was not shown to be of one history with it.
    fn add(&self, origin: &str, seen: Seen, largest: Seen) {
        if seen.size > largest.size {
            return self.grew(origin, largest, seen);
        }
        self.with(origin, |chain| {
            if chain.known.contains(&largest) {
                chain.add(seen);
            }
        });
    }

    /// Notes that the second was proven to continue the first. Whatever is pinned goes on from what
    /// was pinned before it: from one of them on that is in the chain, those after it are as well,
    /// and nobody has to ask about each.
    fn grew(&self, origin: &str, old: Seen, new: Seen) {
        self.with(origin, |chain| match chain.largest() {
            _ if new.size <= old.size => {}
            None => {
                chain.add(old);
                chain.add(new);
            }
            Some(largest) if largest == old => chain.add(new),
            Some(_) => {
                if chain.grew.len() >= MAX_CHAIN {
                    chain.grew.pop_front();
                }
                chain.grew.push_back((old, new));
            }
        });
    }
}

/// Has the partner prove that this checkpoint of its log and the one that is pinned by now are of
/// one history. One asks at a time: many deliveries share a checkpoint.
///
/// # Errors
/// `exchange.proof` when what it shows proves something else; `exchange.refused` when it shows
/// nothing, which is no evidence of anything.
pub(crate) async fn link(node: &Node, peer: &str, origin: &str, own: Seen) -> Result<(), Problem> {
    let lane = node.fetching.of(peer);
    let _alone = lane.lock().await;
    // What is pinned now, not when it was found to be another: that is a while ago where many wait.
    let look = |fold: &Fold, _: &Store| {
        let record = &fold.partners.get(peer)?.record;
        match record.origin == origin {
            true => Ok(fold.copies.to_continue(record)),
            false => Err(given_up()),
        }
    };
    let pinned = node.partition.read_between(look).await??;
    for seen in pinned.into_iter().chain([own]) {
        let Some(largest) = node.chains.largest_for(origin, seen) else { continue };
        let (small, large) =
            if seen.size <= largest.size { (seen, largest) } else { (largest, seen) };
        let hashes = asked_for_proof(node, peer, small.size, large.size).await;
        let hashes = hashes.ok_or_else(|| {
            refused("the partner does not show that its log goes on from what we saw")
                .hint("nothing of this delivery was stored; run the command again")
        })?;
        if !consistent(small.size, &small.root, large.size, &large.root, &hashes) {
            return Err(broken("its anchor is of another history than the one that we saw"));
        }
        node.chains.add(origin, seen, largest);
    }
    Ok(())
}

fn given_up() -> Problem {
    broken("the partner has given up the log that proves it")
}

/// What a delivery is to what was pinned.
pub(crate) enum Held {
    /// It holds; what is to be pinned now of the anchor, which is never less than was, and of the
    /// ledger.
    Holds(Seen, LedgerPin),
    /// Another anchor was pinned since it was asked for, and nothing shows that its own is of one
    /// history with it.
    Apart,
}

/// Whether anchor and ledger continue what we saw last, or lie under what was seen since the
/// delivery was asked for.
pub(crate) fn continues(
    fold: &Fold,
    (delivery, bundle): (&Value, &Bundle),
    verdict: &Verdict,
    (agreement, asked): (&str, &Pins),
    chains: &Chains,
) -> Result<Held, Problem> {
    let record = &fold.partners.get(&verdict.issuer)?.record;
    // It was asked all the same: what we hold tells an older copy that it is one.
    fold.divergences.trusted(&record.origin)?;
    if record.origin != verdict.seen.origin {
        return Err(given_up());
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
    let anchor = match now {
        None => own,
        Some(now) if grew(now, own, "anchor") => {
            chains.grew(&record.origin, now, own);
            own
        }
        Some(now) if asked.anchor == Some(now) => {
            return Err(broken("its anchor does not continue the one that we saw before"));
        }
        Some(now) if now == own || under(own) => now,
        Some(now) if chains.spans(&record.origin, now, own) => {
            if own.size > now.size {
                own
            } else {
                now
            }
        }
        Some(_) => return Ok(Held::Apart),
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

#[cfg(test)]
mod tests {
    use super::{Chains, MAX_CHAIN};
    use crate::copies::Seen;

    fn seen(size: usize) -> Seen {
        Seen { size: size as u64, root: [0; 32] }
    }

    #[test]
    fn a_chain_knows_what_was_added_to_it_and_nothing_of_another_log() {
        let chains = Chains::default();
        // A log of which nothing is known begins with what is asked about.
        assert_eq!(chains.largest_for("a", seen(5)), None);
        assert!(chains.spans("a", seen(5), seen(5)));
        assert_eq!(chains.largest_for("a", seen(7)), Some(seen(5)));
        assert!(!chains.spans("a", seen(5), seen(7)));
        chains.add("a", seen(7), seen(5));
        assert!(chains.spans("a", seen(5), seen(7)) && chains.spans("a", seen(7), seen(5)));
        assert_eq!(chains.largest_for("a", seen(6)), Some(seen(7)));
        assert!(!chains.spans("b", seen(5), seen(7)));
        // The same size with another root is another checkpoint.
        let other = Seen { size: 7, root: [1; 32] };
        assert!(!chains.spans("a", seen(5), other));
    }

    #[test]
    fn a_chain_is_bounded_and_keeps_the_largest() {
        let chains = Chains::default();
        let largest = seen(2 * MAX_CHAIN);
        for size in (1..=2 * MAX_CHAIN).rev() {
            assert_eq!(chains.largest_for("a", seen(size)).unwrap_or(largest), largest);
            if size < 2 * MAX_CHAIN {
                chains.add("a", seen(size), largest);
            }
        }
        chains.add("a", seen(3 * MAX_CHAIN), largest);
        assert_eq!(chains.0.lock().unwrap()["a"].known.len(), MAX_CHAIN);
        assert!(chains.spans("a", seen(2 * MAX_CHAIN), seen(3 * MAX_CHAIN)));
    }

    #[test]
    fn what_is_pinned_one_after_the_other_is_of_one_history_from_the_first_that_is_known() {
        let chains = Chains::default();
        let knows = |size| chains.spans("a", seen(size), seen(size));
        let check = |expect: &[usize]| {
            let all: Vec<usize> = (1..=9).filter(|size| knows(*size)).collect();
            assert_eq!(all, expect);
        };
        // A log of which nothing is known begins with what is pinned first.
        chains.grew("a", seen(1), seen(2));
        check(&[1, 2]);
        chains.grew("a", seen(2), seen(3));
        check(&[1, 2, 3]);
        // A delivery that is not stored yet has gone ahead: whether what is pinned after 3 is of
        // one history with it was not shown.
        chains.add("a", seen(5), seen(3));
        chains.grew("a", seen(3), seen(4));
        chains.grew("a", seen(4), seen(6));
        chains.grew("a", seen(6), seen(7));
        chains.grew("a", seen(7), seen(8));
        check(&[1, 2, 3, 5]);
        // That 6 is was asked for; then so is all that was pinned after it.
        chains.add("a", seen(6), seen(5));
        check(&[1, 2, 3, 5, 6, 7, 8]);
        chains.grew("a", seen(8), seen(8));
        chains.grew("a", seen(8), seen(9));
        check(&[1, 2, 3, 5, 6, 7, 8, 9]);
        assert!(!knows(4));
    }

    #[test]
    fn what_was_proven_with_one_that_was_overtaken_is_not_of_one_history_with_what_overtook_it() {
        let chains = Chains::default();
        // Whether 7 continues 5 is asked about, and meanwhile 6, of a fork, is pinned on 5.
        assert_eq!(chains.largest_for("a", seen(5)), None);
        assert_eq!(chains.largest_for("a", seen(7)), Some(seen(5)));
        chains.grew("a", seen(5), seen(6));
        chains.add("a", seen(7), seen(5));
        assert!(chains.spans("a", seen(5), seen(6)) && !chains.spans("a", seen(6), seen(7)));
        // It is asked about again, with what is the largest now.
        assert_eq!(chains.largest_for("a", seen(7)), Some(seen(6)));
        // One that is smaller than what it was proven with is under all that continues that.
        chains.add("a", seen(4), seen(5));
        assert!(chains.spans("a", seen(4), seen(6)));
    }
}
