//! What partners ask about logs: a cosignature of ours, a checkpoint of ours and the proof that one
//! continues another, and what we have seen of logs that both know. Nothing here has a value of a
//! twin in it, and only hashes and signatures leave.

use crate::ask::Answer;
use crate::door::Asked;
use crate::egress::{Egress, LogDoc};
use crate::open::Node;
use crate::organisation;
use crate::seen;
use crate::witness;
use twinpact_identity::partners::PeerIdentity;
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// Where a log sends its newest checkpoint to be cosigned.
pub const ADD_CHECKPOINT_PATH: &str = "/witness/add-checkpoint";
/// Where the statement stands that we are a witness.
pub const WITNESS_KEY_PATH: &str = "/witness/key";
/// Where a partner finds what we have cosigned last of its log.
pub const COSIGNED_PATH: &str = "/witness/checkpoint";
/// Where partners compare what they have seen of logs.
pub const SEEN_PATH: &str = "/log/seen";
/// Where our checkpoint of a size stands.
pub const CHECKPOINT_PATH: &str = "/log/checkpoint";
/// Where the proof stands that one of our checkpoints continues another.
pub const CONSISTENCY_PATH: &str = "/log/consistency";

/// All of them: method and path.
pub const LOG_ROUTES: &[(&str, &str)] = &[
    ("POST", ADD_CHECKPOINT_PATH),
    ("GET", WITNESS_KEY_PATH),
    ("GET", COSIGNED_PATH),
    ("POST", SEEN_PATH),
    ("GET", CHECKPOINT_PATH),
    ("GET", CONSISTENCY_PATH),
];

/// The answer; `None` when the path is none of these.
pub(crate) async fn answer(node: &Node, peer: &PeerIdentity, asked: &Asked) -> Option<Answer> {
    let did = peer.did.as_str();
    let document = match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", ADD_CHECKPOINT_PATH) => {
            let (egress, recorded) = Box::pin(witness::receive(node, did, &asked.body)).await;
            return Some(if recorded {
                Answer::recorded(egress)
            } else {
                Answer::unrecorded(egress)
            });
        }
        ("GET", WITNESS_KEY_PATH) => witness::statement(node)
            .map(|statement| LogDoc::Witness(statement.to_json().canonical())),
        ("GET", COSIGNED_PATH) => last_of(node, did),
        ("POST", SEEN_PATH) => seen::receive(node, did, &asked.body),
        ("GET", CHECKPOINT_PATH) => checkpoint(node, asked),
        ("GET", CONSISTENCY_PATH) => consistency(node, asked),
        _ => return None,
    };
    Some(Answer::unrecorded(document.map_or_else(Egress::from, Egress::Log)))
}

fn last_of(node: &Node, did: &str) -> Result<LogDoc, Problem> {
    node.partition.read(|fold, _| witness::last_of(fold, did).map(LogDoc::Checkpoint))?
}

/// The numbers of a query that has just these names, in their order.
fn numbers<const N: usize>(asked: &Asked, names: [&str; N]) -> Result<[u64; N], Problem> {
    let query = asked.query.as_deref().unwrap_or_default();
    let pairs: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let number = |name: &str| {
        let mut values = pairs.iter().filter(|(known, _)| *known == name);
        let value = values.next().and_then(|(_, value)| value.parse().ok());
        value.filter(|_| values.next().is_none() && pairs.len() == N)
    };
    let read: Option<Vec<u64>> = names.iter().map(|name| number(name)).collect();
    read.and_then(|read| read.try_into().ok()).ok_or_else(|| {
        let why = format!("the query has not exactly the numbers {}", names.join(" and "));
        Problem::new(codes::INPUT_MALFORMED, why)
    })
}

fn no_size(size: u64) -> Problem {
    Problem::new(codes::LOG_SIZE, format!("our log has no checkpoint of size {size}"))
}

/// Our checkpoint of that size, signed. Signed again it has the same bytes.
fn checkpoint(node: &Node, asked: &Asked) -> Result<LogDoc, Problem> {
    let [size] = numbers(asked, ["size"])?;
    node.partition.read(|fold, store| {
        let forest = store.forest();
        fold.behind.check(forest)?;
        let tick = size.checked_sub(1).ok_or_else(|| no_size(size))?;
        let origin = organisation::origin(&node.config.organisation, forest)?;
        let checkpoint = forest.checkpoint(&origin, tick).ok_or_else(|| no_size(size))?;
        Ok(LogDoc::Checkpoint(checkpoint.sign(node.signer().key())))
    })?
}

fn consistency(node: &Node, asked: &Asked) -> Result<LogDoc, Problem> {
    let [old, new] = numbers(asked, ["old", "new"])?;
    node.partition.read(|fold, store| {
        fold.behind.check(store.forest())?;
        let hashes = store.forest().anchor_consistency(old, new);
        hashes.map(LogDoc::Hashes).ok_or_else(|| no_size(old.max(new)))
    })?
}

#[cfg(test)]
mod tests {
    use super::numbers;
    use crate::door::Asked;

    #[test]
    fn a_query_has_its_numbers_and_nothing_else() {
        let check = |query: &str, expect: Option<[u64; 2]>| {
            let asked = Asked {
                method: "GET".to_owned(),
                query: Some(query.to_owned()),
                ..Asked::posted(None, "/log/consistency", Vec::new())
            };
            assert_eq!(numbers(&asked, ["old", "new"]).ok(), expect, "{query}");
        };
        check("old=1&new=20", Some([1, 20]));
        check("new=20&old=1", Some([1, 20]));
        for bad in ["", "old=1", "old=1&new=2&x=3", "old=1&old=1", "old=1&new=-2", "old=1&new="] {
            check(bad, None);
        }
        check("old=1&new=18446744073709551616", None);
    }
}
