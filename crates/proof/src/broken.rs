//! What is wrong with a bundle: the first link of its chain that does not hold, and one sentence.

use crate::fields::Malformed;
use std::fmt;

/// A link of the chain from the first line of a bundle to what its reader trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// The first line and the digest in it.
    Container,
    /// The JSON document as a whole.
    Document,
    /// The organisation records.
    Record,
    /// The disclosed attributes and withheld digests against the payload commitment.
    Commitment,
    /// What is claimed against what is disclosed.
    Claim,
    /// The commitment in its leaf.
    Entry,
    /// The leaf in its tree.
    Tree,
    /// The head of the tree among all heads of the tick.
    Head,
    /// The slot in which this tree must stand.
    Slot,
    /// The heads in the anchor.
    Anchor,
    /// The anchor in the checkpoint, and the log's signature.
    Checkpoint,
    /// The agreement.
    Agreement,
    /// The decision.
    Decision,
    /// The receipt.
    Receipt,
    /// Single delivered items.
    Items,
    /// What the reader has pinned.
    Trust,
    /// Cosignatures of pinned witnesses.
    Witness,
}

impl Link {
    /// Every link, in the order of the chain.
    pub const ALL: [Link; 17] = [
        Link::Container,
        Link::Document,
        Link::Record,
        Link::Commitment,
        Link::Claim,
        Link::Entry,
        Link::Tree,
        Link::Head,
        Link::Slot,
        Link::Anchor,
        Link::Checkpoint,
        Link::Agreement,
        Link::Decision,
        Link::Receipt,
        Link::Items,
        Link::Trust,
        Link::Witness,
    ];

    /// Its name; never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Link::Container => "container",
            Link::Document => "document",
            Link::Record => "record",
            Link::Commitment => "commitment",
            Link::Claim => "claim",
            Link::Entry => "entry",
            Link::Tree => "tree",
            Link::Head => "head",
            Link::Slot => "slot",
            Link::Anchor => "anchor",
            Link::Checkpoint => "checkpoint",
            Link::Agreement => "agreement",
            Link::Decision => "decision",
            Link::Receipt => "receipt",
            Link::Items => "items",
            Link::Trust => "trust",
            Link::Witness => "witness",
        }
    }

    /// That this link is broken, and why.
    pub fn broken(self, sentence: impl Into<String>) -> Broken {
        Broken { link: self, sentence: sentence.into() }
    }

    /// The same for a section that is not of its form.
    pub(crate) fn malformed(self, why: Malformed) -> Broken {
        self.broken(why.0)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first link that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which link.
    pub link: Link,
    /// Why: one sentence without a full stop, fit for a terminal.
    pub sentence: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken at {}: {}", self.link, self.sentence)
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::Link;
    use std::collections::BTreeSet;

    #[test]
    fn the_chain_has_an_order_and_every_link_its_own_name() {
        assert!(Link::ALL.is_sorted());
        let names: BTreeSet<&str> = Link::ALL.iter().map(|link| link.name()).collect();
        assert_eq!(names.len(), Link::ALL.len());
    }
}
