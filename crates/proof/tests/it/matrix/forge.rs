//! How forgeries are made: a true bundle with one thing in it that is not.

use crate::forgeries::fact_of;
use crate::world::{
    ANCHOR_KEY, DELIVERY, LEDGER, OPERATOR, TICK, TICKS, VIEW, World, agreement, decision, maker,
    operator, operator_record, record_of, seed,
};
use twinpact_proof::anchor::{Head, blind, blinding, entry_leaf, head_leaf, slots_tree};
use twinpact_proof::build::{self, Papers};
use twinpact_proof::bundle::{ClaimKind, Exactness, contain};
use twinpact_proof::commit::{Attr, commit};
use twinpact_proof::documents::{Agreement, Decision, Receipt};
use twinpact_proof::note::Checkpoint;
use twinpact_proof::record::PAYLOAD_TYPE;
use twinpact_proof::tree::Tree;
use twinpact_proof::{Bundle, Envelope, Json, Record, SecretKey};

pub fn stranger() -> SecretKey {
    SecretKey::new(&[9; 32])
}

pub fn fact(world: &World, forge: &dyn Fn(&mut Bundle)) -> Vec<u8> {
    let mut bundle = world.fact();
    forge(&mut bundle);
    bundle.to_bytes()
}

/// A forged delivery, which both parties had signed.
pub fn sold(world: &World, forge: &dyn Fn(&mut Bundle)) -> Vec<u8> {
    let mut bundle = world.delivery(true);
    forge(&mut bundle);
    bundle.to_bytes()
}

/// A forged delivery without the audience's record and signatures.
pub fn alone(world: &World, forge: &dyn Fn(&mut Bundle)) -> Vec<u8> {
    let mut bundle = world.delivery(false);
    bundle.records.truncate(1);
    forge(&mut bundle);
    bundle.to_bytes()
}

/// A fact whose issuer really committed to these attributes.
pub fn said(attributes: &[(&str, &str, &str)]) -> Vec<u8> {
    fact_of(attributes).to_bytes()
}

pub fn as_delivery(mut bundle: Bundle) -> Vec<u8> {
    bundle.claim.kind = ClaimKind::Delivery;
    bundle.to_bytes()
}

pub fn flip(mut bytes: Vec<u8>) -> Vec<u8> {
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

pub fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 1);
    bytes
}

pub fn replaced(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    String::from_utf8(bytes).unwrap().replacen(from, to, 1).into_bytes()
}

/// The document of the fact with another text, in a container that fits.
pub fn document(world: &World, forge: fn(&str) -> String) -> Vec<u8> {
    let text = String::from_utf8(world.fact().to_bytes()).unwrap();
    let (_, document) = text.split_once('\n').unwrap();
    let forged = forge(document);
    assert_ne!(forged, document);
    contain(&forged)
}

/// The operator's record with other contents, signed by that key whatever it says.
pub fn recorded(key: &SecretKey, forge: &dyn Fn(&mut Record)) -> Envelope {
    let mut record = record_of(OPERATOR, &operator());
    forge(&mut record);
    Envelope::sign(PAYLOAD_TYPE, &record.to_json(), key)
}

pub fn reworded(from: &str, to: &str) -> Envelope {
    let text = record_of(OPERATOR, &operator()).to_json().canonical().replacen(from, to, 1);
    Envelope::sign(PAYLOAD_TYPE, &Json::parse(text.as_bytes()).unwrap(), &operator())
}

/// A delivery with another agreement, which both parties have signed.
pub fn agreed(world: &World, forge: &dyn Fn(&mut Agreement)) -> Vec<u8> {
    sold(world, &|bundle| {
        let mut other = agreement();
        forge(&mut other);
        let mut envelope = other.sign(&operator());
        envelope.add_signature(&maker());
        bundle.agreement = Some(envelope);
    })
}

pub fn decided(world: &World, forge: &dyn Fn(&mut Decision)) -> Vec<u8> {
    sold(world, &|bundle| {
        let mut other = decision();
        forge(&mut other);
        bundle.decision = Some(other.sign(&operator()));
    })
}

/// A delivery with another receipt, which both parties have signed.
pub fn received(world: &World, forge: &dyn Fn(&mut Receipt)) -> Vec<u8> {
    sold(world, &|bundle| {
        let mut other = world.receipt(&world.place(2, DELIVERY));
        forge(&mut other);
        let mut envelope = other.sign(&operator());
        envelope.add_signature(&maker());
        bundle.receipt = Some(envelope);
    })
}

/// A fact with another note.
pub fn noted(world: &World, forge: &dyn Fn(String, Checkpoint) -> String) -> Vec<u8> {
    fact(world, &|bundle| {
        let note = world.checkpoint(TICKS);
        bundle.checkpoint = forge(note.sign(&operator()), note);
    })
}

/// A delivery that its issuer really recorded, of so many of the five items, by this decision.
pub fn delivered(decision: &Decision, count: u64) -> Vec<u8> {
    let decided = decision.sign(&operator());
    let id = agreement().agreement;
    let lexical = build::delivery_lexical(&id, &decided.fingerprint(), VIEW, count, 200 + DELIVERY);
    let items = build::claim(ClaimKind::Delivery, &crate::world::opened(&["items"]).disclosure);
    let attr = |path, datatype, lexical| Attr { path, datatype, lexical };
    let attributes =
        [attr("delivery", "json", &lexical), attr("items", "points", &items.values["items"])];
    let commitment = commit(&seed("forged"), &attributes).unwrap();
    let mut ledger = Tree::default();
    (0..5).for_each(|i| ledger.append(entry_leaf(&LEDGER, i, &commitment.pc)));
    let world = World::with(|tick, leaves| {
        if tick == TICK {
            let head = Head { tree: LEDGER, size: 5, root: ledger.root() };
            leaves[2] = head_leaf(tick, 2, &head, &blind(&blinding(&ANCHOR_KEY, 2, tick)));
        }
    });
    let papers = Papers {
        agreement: agreement().sign(&operator()),
        decision: Some(decided),
        receipt: None,
        audience: None,
    };
    let place = world.place_in(2, LEDGER, &ledger, DELIVERY, &commitment.pc);
    let opened = build::open(&commitment, &["delivery", "items"]);
    let items = Some(crate::world::shown(&[1]));
    build::delivery(opened, Exactness::Exact, place, operator_record(), papers, items).to_bytes()
}

/// A world whose operator keeps a second history of the ledger in slot 3.
pub fn two_ledgers() -> World {
    World::with(|tick, leaves| {
        if tick == TICK {
            leaves[3] = crate::forgeries::ledger_head(3, &crate::forgeries::second_ledger());
        }
    })
}

/// The operator signs the heads of tick 5 under the anchor leaf of tick 6.
pub fn heads_of_another_tick() -> Vec<u8> {
    let heads = World::new().heads(TICK);
    let of_five = slots_tree(&ANCHOR_KEY, TICK - 1, heads.iter().copied());
    let world = World::with(|tick, leaves| {
        if tick == TICK {
            *leaves = (0..64).map(|slot| of_five.leaf(slot).unwrap()).collect();
        }
    });
    let mut bundle = world.fact();
    bundle.head = build::prove_head(&ANCHOR_KEY, TICK - 1, 0, &heads).unwrap();
    bundle.to_bytes()
}
