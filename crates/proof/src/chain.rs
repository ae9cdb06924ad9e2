//! The links from a claim up to the anchor, each checked by itself: values in, a verdict out.
//!
//! A section's own numbers are checked against its own output first, and against its neighbour's
//! only then, so that one changed byte breaks the link it stands in and no other.

use crate::anchor::{MAX_SLOTS, MIN_SLOTS, anchor_leaf, entry_leaf, head_leaf};
use crate::broken::{Broken, Link};
use crate::bundle::{Bundle, ClaimKind, Exactness};
use crate::commit::{Attr, read_attribute, read_point, read_points};
use crate::digest::{Digest, from_hex, to_hex};
use crate::fields::shown;
use crate::json::Json;
use crate::tree::{leaf_hash, root_from_inclusion};

/// What a delivery says of itself in its ledger entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) agreement: Digest,
    pub(crate) decision: Digest,
    pub(crate) view: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// What the disclosed attributes say.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) attributes: Vec<Attr<'a>>,
    /// Of a delivery.
    pub(crate) delivery: Option<Delivery>,
    /// Whether `@why` is disclosed, which says whether code made the values.
    pub(crate) why: bool,
}

impl<'a> Facts<'a> {
    pub(crate) fn get(&self, path: &str) -> Option<&Attr<'a>> {
        self.attributes.iter().find(|attribute| attribute.path == path)
    }
}

/// `commitment`: the disclosed attributes and withheld digests make the commitment, and each path
/// stands once.
pub(crate) fn check_commitment(bundle: &Bundle) -> Result<Vec<Attr<'_>>, Broken> {
    let broken = |why: &str| Err(Link::Commitment.broken(why));
    let opened = &bundle.commitment;
    if !opened.disclosure.withheld.is_sorted() {
        return broken("the withheld digests are not in order");
    }
    match opened.disclosure.commitment() {
        None => return broken("there are not 8, 16 or 32 different digests"),
        Some(pc) if pc != opened.pc => {
            return broken("what is disclosed does not open the commitment");
        }
        Some(_) => {}
    }
    let mut attributes: Vec<Attr<'_>> = Vec::new();
    for bytes in &opened.disclosure.disclosed {
        let Some(attribute) = read_attribute(bytes) else {
            return broken("a disclosed attribute is not of its form");
        };
        let path = shown(attribute.path);
        if attributes.iter().any(|other| other.path == attribute.path) {
            return broken(&format!("the path {path} is disclosed twice, which is fraud"));
        }
        let group = matches!(attribute.path, "@who" | "@when" | "@why");
        if group != (attribute.datatype == "group") || (attribute.path.starts_with('@') && !group) {
            return broken(&format!("the path {path} has the datatype of something else"));
        }
        attributes.push(attribute);
    }
    Ok(attributes)
}

/// `claim`: what is claimed is what is disclosed.
pub(crate) fn check_claim<'a>(
    bundle: &Bundle,
    attributes: Vec<Attr<'a>>,
) -> Result<Facts<'a>, Broken> {
    let broken = |why: String| Err(Link::Claim.broken(why));
    let claim = &bundle.claim;
    for attribute in &attributes {
        if claim.values.get(attribute.path).map(String::as_str) != Some(attribute.lexical) {
            let path = shown(attribute.path);
            return broken(format!("the claim says something else of {path} than is disclosed"));
        }
    }
    if claim.values.len() != attributes.len() {
        return broken("the claim says more than is disclosed".to_owned());
    }
    let mut facts = Facts { attributes, delivery: None, why: false };
    let (twin, code) = groups(&facts)?;
    let subject = match claim.kind {
        ClaimKind::Fact => twin,
        ClaimKind::Delivery => {
            let delivery = delivery(&facts)?;
            let agreement = to_hex(&delivery.agreement);
            facts.delivery = Some(delivery);
            agreement
        }
    };
    if claim.subject != subject {
        return broken("the claim names another subject than is disclosed".to_owned());
    }
    facts.why = code.is_some();
    check_exactness(&bundle.exactness, code.as_deref())?;
    Ok(facts)
}

/// The array that the lexical form of an attribute is.
fn array<const N: usize>(attribute: &Attr<'_>) -> Result<[Json; N], Broken> {
    let items = match Json::parse_canonical(attribute.lexical.as_bytes()) {
        Ok(Json::Array(items)) => <[Json; N]>::try_from(items).ok(),
        _ => None,
    };
    items.ok_or_else(|| not_of_its_form(attribute))
}

fn not_of_its_form(attribute: &Attr<'_>) -> Broken {
    Link::Claim.broken(format!("the attribute {} is not of its form", shown(attribute.path)))
}

/// Microseconds in 64 bits, which hold more years than the integers of signed types.
fn is_time(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|time| time.to_string() == text)
}

/// What the disclosed groups say that verification goes on with: the twin of `@who`, empty when it
/// is withheld, and the code of `@why`. All that they say is of its form.
fn groups(facts: &Facts<'_>) -> Result<(String, Option<String>), Broken> {
    let wrong = |path: &str, what: &str| Link::Claim.broken(format!("the group {path} has {what}"));
    let texts = |items: &[&Json]| items.iter().all(|item| item.as_text().is_some());
    let mut twin = String::new();
    if let Some(who) = facts.get("@who") {
        let [kind, of, number, actor] = array::<4>(who)?;
        if !texts(&[&kind, &of, &actor]) {
            return Err(wrong("@who", "a kind, a twin or an actor that is no text"));
        }
        if number.as_int().is_none_or(|number| number < 0) {
            return Err(wrong("@who", "a number that is not a natural number"));
        }
        of.as_text().unwrap_or_default().clone_into(&mut twin);
    }
    if let Some(when) = facts.get("@when") {
        let inner = when.lexical.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let times: Vec<&str> = inner.unwrap_or_default().split(',').collect();
        if times.len() != 5 {
            return Err(not_of_its_form(when));
        }
        if times.first() == Some(&"null") {
            return Err(wrong("@when", "no time at which it was recorded"));
        }
        if !times.iter().all(|time| *time == "null" || is_time(time)) {
            return Err(wrong("@when", "a time that is neither microseconds nor null"));
        }
    }
    let Some(why) = facts.get("@why") else { return Ok((twin, None)) };
    let [source, model, class, cause, code] = array::<5>(why)?;
    if !texts(&[&source, &model, &class, &cause]) {
        return Err(wrong("@why", "a source, a model, a class or a cause that is no text"));
    }
    let code = code.as_text().filter(|code| code.is_empty() || from_hex::<32>(code).is_some());
    let code = code.ok_or_else(|| wrong("@why", "a code that is neither empty nor a digest"))?;
    Ok((twin, Some(code.to_owned())))
}

/// `[agreement, decision, view, count, bytes]`.
fn delivery(facts: &Facts<'_>) -> Result<Delivery, Broken> {
    let attribute = facts.get("delivery").filter(|attribute| attribute.datatype == "json");
    let attribute =
        attribute.ok_or_else(|| Link::Claim.broken("the delivery itself is not disclosed"))?;
    let [agreement, decision, view, count, bytes] = array::<5>(attribute)?;
    let digest = |json: &Json| json.as_text().and_then(from_hex::<32>);
    let number = |json: &Json| json.as_int().and_then(|n| u64::try_from(n).ok());
    let read = || {
        Some(Delivery {
            agreement: digest(&agreement)?,
            decision: digest(&decision)?,
            view: view.as_text()?.to_owned(),
            count: number(&count)?,
            bytes: number(&bytes)?,
        })
    };
    read().ok_or_else(|| Link::Claim.broken("the attribute delivery is not of its form"))
}

/// That the claim is exact as no code made the values, or transformed by the code of `@why`.
fn check_exactness(exactness: &Exactness, code: Option<&str>) -> Result<(), Broken> {
    let broken = |why: &str| Err(Link::Claim.broken(why));
    match (exactness, code) {
        (Exactness::Exact, None | Some("")) => Ok(()),
        (Exactness::Exact, Some(_)) => broken("the values are called exact, but code made them"),
        (Exactness::Transformed(by), Some(code)) if code == to_hex(by) => Ok(()),
        (Exactness::Transformed(_), Some(_)) => {
            broken("the values are called transformed by something else than is disclosed")
        }
        (Exactness::Transformed(_), None) => {
            broken("the values are called transformed, but @why is not disclosed")
        }
    }
}

/// `entry`: the commitment makes the leaf.
pub(crate) fn check_entry(bundle: &Bundle) -> Result<(), Broken> {
    let entry = &bundle.entry;
    if entry_leaf(&entry.tree, entry.index, &bundle.commitment.pc) == entry.leaf {
        Ok(())
    } else {
        Err(Link::Entry.broken("the commitment, tree and position do not make the leaf"))
    }
}

/// `tree`: the leaf stands under the root.
pub(crate) fn check_tree(bundle: &Bundle) -> Result<(), Broken> {
    let (entry, tree) = (&bundle.entry, &bundle.tree);
    if root_from_inclusion(&entry.leaf, entry.index, tree.size, &tree.path) == Some(tree.root) {
        Ok(())
    } else {
        Err(Link::Tree.broken("the path does not lead from the leaf to the root of its tree"))
    }
}

/// `head`: the head stands in its slot under the root over all slots.
pub(crate) fn check_head(bundle: &Bundle) -> Result<(), Broken> {
    let broken = |why: &str| Err(Link::Head.broken(why));
    let head = &bundle.head;
    if !head.slots.is_power_of_two() || !(MIN_SLOTS..=MAX_SLOTS).contains(&head.slots) {
        return broken("the number of slots is not a power of two from 64 to 2^24");
    }
    if root_from_inclusion(&head.leaf, head.slot, head.slots, &head.path) != Some(head.heads) {
        return broken("the path does not lead from the slot to the root over all slots");
    }
    let stated =
        crate::anchor::Head { tree: bundle.entry.tree, size: head.size, root: bundle.tree.root };
    if head_leaf(head.tick, head.slot, &stated, &head.blind) != head.leaf {
        return broken("the tree's head at this tick does not make the hash in the slot");
    }
    if bundle.tree.size == head.size {
        Ok(())
    } else {
        Err(Link::Tree.broken("the size of the tree is not that of its head"))
    }
}

/// `anchor`: the heads of the tick stand in the anchor.
pub(crate) fn check_anchor(bundle: &Bundle) -> Result<(), Broken> {
    let broken = |why: &str| Err(Link::Anchor.broken(why));
    let (head, anchor) = (&bundle.head, &bundle.anchor);
    if anchor_leaf(anchor.tick, anchor.time, head.slots, &head.heads) != anchor.leaf {
        return broken("the heads, tick and time do not make the anchor leaf");
    }
    if anchor.tick != head.tick {
        return broken("the tick of the anchor leaf is not that of the head");
    }
    let root = root_from_inclusion(&anchor.leaf, anchor.tick, anchor.size, &anchor.path);
    if root == Some(anchor.root) {
        Ok(())
    } else {
        broken("the path does not lead from the anchor leaf to the root of the anchor")
    }
}

/// `items`: the shown items are among those delivered.
pub(crate) fn check_items(bundle: &Bundle, facts: &Facts<'_>) -> Result<(), Broken> {
    let broken = |why: &str| Err(Link::Items.broken(why));
    let Some(attribute) = facts.get("items").filter(|a| a.datatype == "points") else {
        return match &bundle.items {
            Some(_) => broken("items are shown, but the attribute items is not disclosed"),
            None => Ok(()),
        };
    };
    let Some((count, root)) = read_points(attribute.lexical) else {
        return broken("the attribute items is not of its form");
    };
    if facts.delivery.as_ref().is_some_and(|delivery| delivery.count != count) {
        return broken("the delivery counts other items than it commits to");
    }
    let Some(items) = &bundle.items else { return Ok(()) };
    if items.count != count {
        return broken("the number of items is not the one committed to");
    }
    let mut next = 0;
    for item in &items.shown {
        if item.index < next {
            return broken("the items are not in rising order");
        }
        next = item.index.saturating_add(1);
        let leaf = leaf_hash(&item.bytes);
        if root_from_inclusion(&leaf, item.index, count, &item.path) != Some(root) {
            return broken(&format!("item {} is not among those committed to", item.index));
        }
        if read_point(&item.bytes).is_none() {
            return broken(&format!("item {} is not of its form", item.index));
        }
    }
    Ok(())
}
