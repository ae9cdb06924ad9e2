//! Making bundles from parts. Plain functions: whoever keeps the trees supplies openings, sizes and
//! paths; nothing is signed here and nothing is looked up.

use crate::anchor::{
    Head, TreeId, anchor_leaf, blind, blinding, entry_leaf, head_leaf, slots_tree,
};
use crate::bundle::{
    AnchorProof, Bundle, Claim, ClaimKind, EntryAt, Exactness, HeadProof, Items, Opened, ShownItem,
    TreeProof,
};
use crate::commit::{Commitment, Disclosure, read_attribute};
use crate::digest::{Digest, to_hex};
use crate::dsse::Envelope;
use crate::json::Json;
use crate::tree::Tree;

/// Where an entry stands, from its leaf up to the signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The leaf in its tree.
    pub entry: EntryAt,
    /// The leaf under the root of its tree.
    pub tree: TreeProof,
    /// The tree's head in its slot.
    pub head: HeadProof,
    /// The slots in the anchor.
    pub anchor: AnchorProof,
    /// The signed note over the anchor, with the cosignatures that are at hand.
    pub checkpoint: String,
}

/// The documents of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// The agreement, signed by the issuer and, where it can, by the audience.
    pub agreement: Envelope,
    /// The decision.
    pub decision: Option<Envelope>,
    /// The receipt, signed by the issuer and, where it can, by the audience.
    pub receipt: Option<Envelope>,
    /// The audience's organisation record, needed when it has signed anything.
    pub audience: Option<Envelope>,
}

/// What is disclosed of a commitment: the attributes with these paths.
#[must_use]
pub fn open(commitment: &Commitment, paths: &[&str]) -> Opened {
    let chosen = |bytes: &Vec<u8>| {
        read_attribute(bytes).is_some_and(|attribute| paths.contains(&attribute.path))
    };
    let openings = commitment.openings.iter().enumerate();
    let positions: Vec<usize> =
        openings.filter(|(_, bytes)| chosen(bytes)).map(|(i, _)| i).collect();
    Opened { disclosure: commitment.disclose(&positions), pc: commitment.pc }
}

/// The entry at `index` of a tree with this id.
#[must_use]
pub fn entry(tree: TreeId, index: u64, pc: &Digest) -> EntryAt {
    EntryAt { tree, index, leaf: entry_leaf(&tree, index, pc) }
}

/// The proof that the leaf at `index` is among the first `size` of the tree; `None` when it is not.
#[must_use]
pub fn prove_tree(tree: &Tree, index: u64, size: u64) -> Option<TreeProof> {
    Some(TreeProof { size, path: tree.inclusion(index, size)?, root: tree.root_at(size)? })
}

/// The proof that this head stands in `slot` at `tick`, from the path that the tree over all slots
/// gives.
#[must_use]
pub fn place_head(
    blind: [u8; 16],
    (tick, slot, slots): (u64, u64, u64),
    head: &Head,
    path: Vec<Digest>,
    heads: Digest,
) -> HeadProof {
    let leaf = head_leaf(tick, slot, head, &blind);
    HeadProof { tick, slot, slots, size: head.size, blind, leaf, path, heads }
}

/// The same from all heads of the tick, as [`slots_tree`] takes them; `None` when the slot is
/// empty.
#[must_use]
pub fn prove_head(
    anchor_key: &[u8; 32],
    tick: u64,
    slot: u64,
    heads: &[Option<Head>],
) -> Option<HeadProof> {
    let head = heads.get(usize::try_from(slot).ok()?).copied().flatten()?;
    let tree = slots_tree(anchor_key, tick, heads.iter().copied());
    let path = tree.inclusion(slot, tree.size())?;
    let blind = blind(&blinding(anchor_key, slot, tick));
    Some(place_head(blind, (tick, slot, tree.size()), &head, path, tree.root()))
}

/// The proof that the heads of a tick at `time`, in microseconds since 1970, are among the first
/// `size` leaves of the anchor; `None` when they are not.
#[must_use]
pub fn prove_anchor(anchor: &Tree, head: &HeadProof, time: u64, size: u64) -> Option<AnchorProof> {
    Some(AnchorProof {
        tick: head.tick,
        time,
        leaf: anchor_leaf(head.tick, time, head.slots, &head.heads),
        path: anchor.inclusion(head.tick, size)?,
        size,
        root: anchor.root_at(size)?,
    })
}

/// The delivered items at these positions, in rising order, from the bytes of all points and the
/// tree over them; `None` when one is not there.
#[must_use]
pub fn show_items(points: &[Vec<u8>], tree: &Tree, positions: &[u64]) -> Option<Items> {
    let count = tree.size();
    let show = |index: &u64| {
        Some(ShownItem {
            index: *index,
            bytes: points.get(usize::try_from(*index).ok()?)?.clone(),
            path: tree.inclusion(*index, count)?,
        })
    };
    let shown: Option<Vec<ShownItem>> = positions.iter().map(show).collect();
    Some(Items { count, shown: shown? })
}

/// The claim that equals what is disclosed.
#[must_use]
pub fn claim(kind: ClaimKind, disclosure: &Disclosure) -> Claim {
    let attributes: Vec<_> =
        disclosure.disclosed.iter().filter_map(|bytes| read_attribute(bytes)).collect();
    let (path, part) = match kind {
        ClaimKind::Fact => ("@who", 1),
        ClaimKind::Delivery => ("delivery", 0),
    };
    let subject =
        attributes.iter().find(|attribute| attribute.path == path).and_then(|attribute| {
            let json = Json::parse(attribute.lexical.as_bytes()).ok()?;
            json.as_array()?.get(part)?.as_text().map(str::to_owned)
        });
    let values = attributes.iter().map(|a| (a.path.to_owned(), a.lexical.to_owned())).collect();
    Claim { kind, subject: subject.unwrap_or_default(), values }
}

/// The lexical form of the attribute `delivery`, whose datatype is `json`.
#[must_use]
pub fn delivery_lexical(
    agreement: &Digest,
    decision: &Digest,
    view: &str,
    count: u64,
    bytes: u64,
) -> String {
    let number = crate::fields::uint_json;
    let parts = [
        Json::text(to_hex(agreement)),
        Json::text(to_hex(decision)),
        Json::text(view),
        number(count),
        number(bytes),
    ];
    Json::Array(parts.into()).canonical()
}

/// The bundle of a fact.
#[must_use]
pub fn fact(opened: Opened, exactness: Exactness, place: Place, record: Envelope) -> Bundle {
    Bundle {
        exactness,
        claim: claim(ClaimKind::Fact, &opened.disclosure),
        commitment: opened,
        entry: place.entry,
        tree: place.tree,
        head: place.head,
        anchor: place.anchor,
        checkpoint: place.checkpoint,
        agreement: None,
        decision: None,
        receipt: None,
        items: None,
        records: vec![record],
    }
}

/// The bundle of a delivery.
#[must_use]
pub fn delivery(
    opened: Opened,
    exactness: Exactness,
    place: Place,
    record: Envelope,
    papers: Papers,
    items: Option<Items>,
) -> Bundle {
    let claim = claim(ClaimKind::Delivery, &opened.disclosure);
    let mut bundle = fact(opened, exactness, place, record);
    bundle.claim = claim;
    bundle.agreement = Some(papers.agreement);
    bundle.decision = papers.decision;
    bundle.receipt = papers.receipt;
    bundle.items = items;
    bundle.records.extend(papers.audience);
    bundle
}
