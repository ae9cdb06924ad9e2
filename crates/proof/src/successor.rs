//! Successor logs: a node that was restored from an older copy of its directory never signs on
//! under the old origin. It opens a new log whose first anchor leaf says which one it succeeds
//! (docs/format.md, "Successor"), and its record lists all of them.

use crate::cbor::Writer;
use crate::digest::Digest;
use crate::fields::{MAX_TEXT_BYTES, Malformed, Members, hex_json, shown, uint_json};
use crate::json::Json;
use crate::mac::MacKey;
use crate::record::Record;
use crate::tree::leaf_hash;
use crate::trust::SeenAnchor;

/// The most logs that a record says it succeeds.
pub const MAX_PREDECESSORS: usize = 64;
/// The longest reason why a log was given up, in bytes.
pub const MAX_REASON_BYTES: usize = 200;

/// The id of a log, the last part of its origin in hex.
pub type LogId = [u8; 8];

/// A log that was given up, at the last checkpoint that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its origin.
    pub origin: String,
    /// How many anchor leaves it had, at least one.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// Why it was given up, for people.
    pub reason: String,
}

impl Predecessor {
    /// Anchor leaf 0 of the log that comes after it.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        let bytes = Writer::array(5)
            .text("twinpact-s/1")
            .text(&self.origin)
            .uint(self.size)
            .bytes(&self.root)
            .text(&self.reason)
            .done();
        leaf_hash(&bytes)
    }

    pub(crate) fn to_json(&self) -> Json {
        Json::object([
            ("origin", Json::text(&self.origin)),
            ("reason", Json::text(&self.reason)),
            ("root", hex_json(&self.root)),
            ("size", uint_json(self.size)),
        ])
    }

    pub(crate) fn from_json(json: &Json) -> Result<Predecessor, Malformed> {
        let names = ["origin", "reason", "root", "size"];
        let members = Members::of("a predecessor", json, &names)?;
        Ok(Predecessor {
            origin: members.text("origin", MAX_TEXT_BYTES)?.to_owned(),
            reason: members.text("reason", MAX_REASON_BYTES)?.to_owned(),
            root: members.hex("root")?,
            size: members.uint("size")?,
        })
    }
}

/// The anchor key of a successor, made from the node's. Its ticks have the numbers of earlier ones
/// again: under the old key a slot would be blinded twice by the same bytes, and a path would show
/// whether a neighbour was active.
#[must_use]
pub fn anchor_key(node_key: &[u8; 32], log: &LogId) -> Digest {
    MacKey::new(node_key).mac(&Writer::array(2).text("twinpact-k/1").bytes(log).done())
}

/// That this record's log comes after the pinned one, in its own words and by what was seen of
/// that.
///
/// # Errors
/// One sentence for each way in which it does not.
pub(crate) fn check_succession(
    record: &Record,
    pinned: &str,
    seen: &[SeenAnchor],
) -> Result<(), String> {
    let (did, origin) = (&record.did, &record.origin);
    let named = record.predecessors.iter().find(|one| one.origin == pinned);
    let Some(last) = named else {
        return Err(format!(
            "the record of {did} names the log {}, and not that it comes after {}, which is pinned",
            shown(origin),
            shown(pinned)
        ));
    };
    for anchor in seen.iter().filter(|anchor| anchor.origin == pinned) {
        if anchor.size > last.size {
            return Err(format!(
                "the record of {did} goes back behind what was seen: {} is to have ended at size \
                 {}, and was seen at size {}",
                shown(pinned),
                last.size,
                anchor.size
            ));
        }
        if anchor.size == last.size && anchor.root.0 != last.root {
            return Err(format!(
                "the record of {did} gives {} another root at size {} than was seen: it has kept \
                 two histories",
                shown(pinned),
                last.size
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Predecessor, anchor_key};
    use crate::anchor::{anchor_leaf, blinding};

    #[test]
    fn every_word_of_a_predecessor_is_in_the_first_leaf() {
        let one = Predecessor {
            origin: "operator.example/twinpact/1".into(),
            size: 7,
            root: [1; 32],
            reason: "restored".into(),
        };
        let check = |change: &dyn Fn(&mut Predecessor)| {
            let mut other = one.clone();
            change(&mut other);
            assert_ne!(other.leaf(), one.leaf(), "{other:?}");
        };
        check(&|p| p.origin.push('2'));
        check(&|p| p.size = 8);
        check(&|p| p.root = [2; 32]);
        check(&|p| p.reason.push('!'));
        assert_ne!(one.leaf(), anchor_leaf(0, 0, 64, &[1; 32]));
    }

    #[test]
    fn no_two_logs_of_a_node_are_blinded_alike() {
        let key = [5; 32];
        let (a, b) = (anchor_key(&key, &[1; 8]), anchor_key(&key, &[2; 8]));
        let of = |key: &[u8; 32]| blinding(key, 3, 1);
        assert!(of(&a) != of(&b) && of(&a) != of(&key) && of(&b) != of(&key));
    }
}
