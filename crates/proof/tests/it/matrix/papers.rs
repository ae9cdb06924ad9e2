//! The matrix of forgeries: the documents of a delivery, and single items.

use super::Forgery;
use super::forge::{
    agreed, alone, decided, delivered, fact, received, said, sold, stranger, two_ledgers,
};
use crate::forgeries::shown_in;
use crate::world::{
    DELIVERY, EVENTS, MAKER, OPERATOR, TICK, agreement, decision, delivery, maker, operator,
    operator_record, record_of,
};
use twinpact_proof::build;
use twinpact_proof::bundle::{ClaimKind, Exactness};
use twinpact_proof::documents::Decision;
use twinpact_proof::{Envelope, Json, Link, sha256};

/// Of agreement, decision, receipt and single items.
pub const PAPERS: &[Forgery] = &[
    (
        "a delivery without its agreement",
        |w| sold(w, &|b| b.agreement = None),
        Link::Agreement,
        "cannot be placed",
    ),
    (
        "a fact with an agreement",
        |w| fact(w, &|b| b.agreement = Some(agreement().sign(&operator()))),
        Link::Agreement,
        "a fact has no agreement",
    ),
    (
        "an agreement signed by a foreign key",
        |w| sold(w, &|b| b.agreement = Some(agreement().sign(&stranger()))),
        Link::Agreement,
        "by no key of the records",
    ),
    (
        "an agreement countersigned by a foreign key",
        |w| sold(w, &|b| b.agreement.as_mut().unwrap().add_signature(&stranger())),
        Link::Agreement,
        "by no key of the records",
    ),
    (
        "a countersignature without the record of who made it",
        |w| sold(w, &|b| b.records.truncate(1)),
        Link::Agreement,
        "by no key of the records",
    ),
    (
        "an agreement that only the audience has signed",
        |w| sold(w, &|b| b.agreement = Some(agreement().sign(&maker()))),
        Link::Agreement,
        "the agreement is not signed by did:web:operator.example",
    ),
    (
        "records that are swapped",
        |w| sold(w, &|b| b.records.reverse()),
        Link::Agreement,
        "the agreement is by did:web:operator.example, not did:web:maker.example",
    ),
    (
        "the record of another organisation",
        |w| {
            sold(w, &|b| {
                *b = w.delivery(false);
                let third = record_of("did:web:third.example", &stranger());
                b.records[1] = third.sign(&stranger()).unwrap();
            })
        },
        Link::Agreement,
        "the agreement is for did:web:maker.example, not did:web:third.example",
    ),
    (
        "an agreement of other parties",
        |w| agreed(w, &|a| a.issuer = "did:web:third.example".into()),
        Link::Agreement,
        "the agreement is by did:web:third.example",
    ),
    (
        "an agreement with somebody else",
        |w| agreed(w, &|a| a.audience = OPERATOR.into()),
        Link::Agreement,
        "the agreement is for did:web:operator.example",
    ),
    (
        "an agreement of another id",
        |w| agreed(w, &|a| a.agreement = sha256(b"another")),
        Link::Agreement,
        "not the agreement that the delivery was made under",
    ),
    (
        "an agreement about another view",
        |w| agreed(w, &|a| a.target = "https://operator.example/id/views/other".into()),
        Link::Agreement,
        "about another view",
    ),
    (
        "agreement and decision swapped",
        |w| sold(w, &|b| std::mem::swap(&mut b.agreement, &mut b.decision)),
        Link::Agreement,
        "the payload type is not application/vnd.twinpact.agreement+json",
    ),
    (
        "agreement and receipt swapped",
        |w| sold(w, &|b| std::mem::swap(&mut b.agreement, &mut b.receipt)),
        Link::Agreement,
        "the payload type is not application/vnd.twinpact.agreement+json",
    ),
    (
        "an agreement of another type under its media type",
        |w| {
            sold(w, &|b| {
                let json = decision().to_json();
                b.agreement = Some(Envelope::sign(
                    twinpact_proof::documents::AGREEMENT_TYPE,
                    &json,
                    &operator(),
                ));
            })
        },
        Link::Agreement,
        "the agreement has an unknown member core",
    ),
    (
        "a ledger in the slot of another history",
        |_| shown_in(&two_ledgers(), 3, 2).to_bytes(),
        Link::Slot,
        "the ledger is shown in slot 3, but the agreement names slot 2",
    ),
    (
        "an agreement about another ledger",
        |w| agreed(w, &|a| a.tree = EVENTS),
        Link::Slot,
        "names slot 2 and tree e0e0",
    ),
    (
        "a ledger entry called a fact",
        |w| {
            let opened = build::open(&delivery(DELIVERY), &["@why"]);
            let place = w.place(2, DELIVERY);
            build::fact(opened, Exactness::Exact, place, operator_record()).to_bytes()
        },
        Link::Slot,
        "the issuer's record does not name the tree",
    ),
    (
        "another decision",
        |w| decided(w, &|d| d.core = Json::Null),
        Link::Decision,
        "not the decision that the delivery names",
    ),
    (
        "a decision that names another tree beside the delivery",
        |w| decided(w, &|d| d.tree = EVENTS),
        Link::Decision,
        "not the decision that the delivery names",
    ),
    (
        "the decision of another tree, which the delivery names",
        |_| delivered(&Decision { tree: EVENTS, ..decision() }, 5),
        Link::Decision,
        "of another tree than the issuer's decisions",
    ),
    (
        "the decision under another agreement, which the delivery names",
        |_| delivered(&Decision { agreement: sha256(b"another"), ..decision() }, 5),
        Link::Decision,
        "the decision is under another agreement",
    ),
    (
        "a decision by somebody else",
        |w| decided(w, &|d| d.issuer = MAKER.into()),
        Link::Decision,
        "the decision is by did:web:maker.example",
    ),
    (
        "a decision about somebody else",
        |w| decided(w, &|d| d.audience = "did:web:third.example".into()),
        Link::Decision,
        "the decision is for did:web:third.example",
    ),
    (
        "a decision signed by a foreign key",
        |w| sold(w, &|b| b.decision = Some(decision().sign(&stranger()))),
        Link::Decision,
        "the decision has a signature",
    ),
    (
        "a decision that only the audience has signed",
        |w| sold(w, &|b| b.decision = Some(decision().sign(&maker()))),
        Link::Decision,
        "the decision is not signed by",
    ),
    (
        "decision and receipt swapped",
        |w| sold(w, &|b| std::mem::swap(&mut b.decision, &mut b.receipt)),
        Link::Decision,
        "the payload type is not application/vnd.twinpact.decision+json",
    ),
    (
        "a fact with a decision",
        |w| fact(w, &|b| b.decision = Some(decision().sign(&operator()))),
        Link::Decision,
        "a fact has no decision",
    ),
    (
        "a receipt that is replayed from another delivery",
        |w| {
            sold(w, &|b| {
                let mut other = w.receipt(&w.place(2, DELIVERY + 1));
                (other.pc, other.bytes) = (delivery(DELIVERY + 1).pc, 200 + DELIVERY + 1);
                b.receipt = Some(other.sign(&operator()));
            })
        },
        Link::Receipt,
        "something else than is proven of the position",
    ),
    (
        "a receipt under another agreement",
        |w| received(w, &|r| r.agreement = sha256(b"another")),
        Link::Receipt,
        "proven of the agreement",
    ),
    (
        "a receipt of another ledger",
        |w| received(w, &|r| r.slot = 3),
        Link::Receipt,
        "proven of the ledger",
    ),
    (
        "a receipt of another leaf",
        |w| received(w, &|r| r.leaf = [0; 32]),
        Link::Receipt,
        "proven of the leaf",
    ),
    (
        "a receipt of other values",
        |w| received(w, &|r| r.pc = [0; 32]),
        Link::Receipt,
        "proven of the commitment",
    ),
    (
        "a receipt by another decision",
        |w| received(w, &|r| r.decision = [0; 32]),
        Link::Receipt,
        "proven of the decision",
    ),
    (
        "a receipt of another view",
        |w| received(w, &|r| r.view = "https://operator.example/id/views/other".into()),
        Link::Receipt,
        "proven of the view",
    ),
    (
        "a receipt of more items",
        |w| received(w, &|r| r.count += 1),
        Link::Receipt,
        "proven of the number of items",
    ),
    (
        "a receipt of fewer bytes",
        |w| received(w, &|r| r.bytes -= 1),
        Link::Receipt,
        "proven of the number of bytes",
    ),
    (
        "a receipt of another log",
        |w| received(w, &|r| r.origin = "maker.example/twinpact/1".into()),
        Link::Receipt,
        "proven of the log",
    ),
    (
        "a receipt of a tick after the anchor",
        |w| received(w, &|r| r.tick = TICK + 1),
        Link::Receipt,
        "proven of the tick",
    ),
    (
        "a receipt by somebody else",
        |w| received(w, &|r| r.issuer = MAKER.into()),
        Link::Receipt,
        "the receipt is by did:web:maker.example",
    ),
    (
        "a receipt for somebody else",
        |w| received(w, &|r| r.audience = "did:web:third.example".into()),
        Link::Receipt,
        "the receipt is for did:web:third.example",
    ),
    (
        "a receipt that only the audience has signed",
        |w| sold(w, &|b| b.receipt = Some(w.receipt(&w.place(2, DELIVERY)).sign(&maker()))),
        Link::Receipt,
        "the receipt is not signed by",
    ),
    (
        "a receipt countersigned by a foreign key",
        |w| sold(w, &|b| b.receipt.as_mut().unwrap().add_signature(&stranger())),
        Link::Receipt,
        "the receipt has a signature",
    ),
    (
        "the agreement in place of the receipt",
        |w| sold(w, &|b| b.receipt.clone_from(&b.agreement)),
        Link::Receipt,
        "the payload type is not application/vnd.twinpact.receipt+json",
    ),
    (
        "a fact with a receipt",
        |w| fact(w, &|b| b.receipt = Some(w.receipt(&w.place(2, DELIVERY)).sign(&operator()))),
        Link::Receipt,
        "a fact has no receipt",
    ),
    (
        "items of a delivery that commits to none",
        |w| {
            sold(w, &|b| {
                b.commitment = crate::world::opened(&["@why", "delivery"]);
                b.claim = build::claim(ClaimKind::Delivery, &b.commitment.disclosure);
            })
        },
        Link::Items,
        "the attribute items is not disclosed",
    ),
    (
        "a commitment to items in words",
        |_| said(&[("items", "points", "five")]),
        Link::Items,
        "the attribute items is not of its form",
    ),
    (
        "a delivery that counts fewer items than it commits to",
        |_| delivered(&decision(), 4),
        Link::Items,
        "counts other items than it commits to",
    ),
    (
        "an item more",
        |w| sold(w, &|b| b.items.as_mut().unwrap().count += 1),
        Link::Items,
        "not the one committed to",
    ),
    (
        "items in another order",
        |w| sold(w, &|b| b.items.as_mut().unwrap().shown.reverse()),
        Link::Items,
        "not in rising order",
    ),
    (
        "an item with other values",
        |w| {
            sold(w, &|b| {
                let items = b.items.as_mut().unwrap();
                items.shown[0].bytes = items.shown[1].bytes.clone();
            })
        },
        Link::Items,
        "item 1 is not among those committed to",
    ),
    (
        "items under another root",
        |w| {
            sold(w, &|b| {
                let (points, tree) = crate::world::rows(DELIVERY + 1);
                b.items = build::show_items(&points, &tree, &[1]);
            })
        },
        Link::Items,
        "item 1 is not among those committed to",
    ),
    (
        "an item at another position",
        |w| sold(w, &|b| b.items.as_mut().unwrap().shown[0].index = 2),
        Link::Items,
        "item 2 is not among those committed to",
    ),
    (
        "a decision about somebody whom the agreement does not name",
        |w| {
            alone(w, &|b| {
                let other = Decision { audience: "did:web:third.example".into(), ..decision() };
                b.decision = Some(other.sign(&operator()));
            })
        },
        Link::Decision,
        "the decision is for did:web:third.example, but the agreement is with",
    ),
    (
        "a receipt for somebody whom the agreement does not name",
        |w| {
            alone(w, &|b| {
                let mut other = w.receipt(&w.place(2, DELIVERY));
                other.audience = "did:web:third.example".into();
                b.receipt = Some(other.sign(&operator()));
            })
        },
        Link::Receipt,
        "the receipt is for did:web:third.example, but the agreement is with",
    ),
];
