//! The matrix of forgeries: what is claimed, and the chain from it up to what the reader pinned.

use super::Forgery;
use super::forge::{
    as_delivery, cut, document, fact, flip, heads_of_another_tick, noted, recorded, replaced,
    reworded, said, sold, stranger,
};
use crate::forgeries::{fact_of, transformed};
use crate::world::{
    ANCHOR_KEY, DELIVERY, EVENTS, FACT, LEDGER, START, TICK, TICKS, WITNESS, agreement, cosigned,
    event, impostor, maker_record, operator, operator_record, witness,
};
use twinpact_proof::anchor::{blind, blinding};
use twinpact_proof::build;
use twinpact_proof::bundle::{ClaimKind, Exactness, MAX_BUNDLE_BYTES, contain};
use twinpact_proof::note::{Checkpoint, cosign};
use twinpact_proof::record::RecordKey;
use twinpact_proof::{Bundle, Link, sha256};

/// Of what is claimed, and of the chain from it up to the checkpoint and to what the reader pinned.
pub const CHAIN: &[Forgery] = &[
    ("a changed byte", |w| flip(fact(w, &|_| {})), Link::Container, "was changed or cut"),
    ("a cut end", |w| cut(fact(w, &|_| {})), Link::Container, "was changed or cut"),
    (
        "a later version of the container",
        |w| replaced(fact(w, &|_| {}), "proof/1", "proof/2"),
        Link::Container,
        "not a Twinpact bundle of version 1",
    ),
    (
        "more than 16 MiB",
        |_| contain(&" ".repeat(MAX_BUNDLE_BYTES)),
        Link::Container,
        "larger than 16 MiB",
    ),
    (
        "JSON that is not canonical",
        |w| document(w, |text| text.replacen(':', ": ", 1)),
        Link::Document,
        "not in canonical form",
    ),
    (
        "a member that stands twice",
        |w| {
            document(w, |text| {
                text.replacen("{\"agreement\":null,", "{\"agreement\":null,\"agreement\":null,", 1)
            })
        },
        Link::Document,
        "stands twice",
    ),
    (
        "a member more",
        |w| document(w, |text| text.replacen('{', "{\"a\":1,", 1)),
        Link::Document,
        "unknown member a",
    ),
    (
        "a member less",
        |w| document(w, |text| text.replacen("\"agreement\":null,", "", 1)),
        Link::Document,
        "no member agreement",
    ),
    (
        "a bundle of a later version",
        |w| document(w, |text| text.replace("bundle/1", "bundle/2")),
        Link::Document,
        "member type that is not",
    ),
    (
        "a fraction",
        |w| document(w, |text| text.replacen("\"index\":42", "\"index\":42.5", 1)),
        Link::Document,
        "not an integer",
    ),
    (
        "an integer that readers see differently",
        |w| document(w, |text| text.replacen("\"index\":42", "\"index\":9007199254740992", 1)),
        Link::Document,
        "beyond ±(2^53−1)",
    ),
    (
        "more levels than are read",
        |w| document(w, |text| text.replacen("\"exact\"", &("[".repeat(40) + &"]".repeat(40)), 1)),
        Link::Document,
        "deeper than 32 levels",
    ),
    ("no record", |w| fact(w, &|b| b.records.clear()), Link::Record, "one or two"),
    (
        "a third record",
        |w| sold(w, &|b| b.records.push(maker_record())),
        Link::Record,
        "one or two",
    ),
    (
        "the issuer's record twice",
        |w| sold(w, &|b| b.records[1] = operator_record()),
        Link::Record,
        "both records are of one organisation",
    ),
    (
        "a fact with an audience",
        |w| fact(w, &|b| b.records.push(maker_record())),
        Link::Record,
        "a fact has no audience",
    ),
    (
        "a record with a stranger's signature",
        |w| fact(w, &|b| b.records[0].add_signature(&stranger())),
        Link::Record,
        "not signed by its own keys alone",
    ),
    (
        "a record signed by a key that is not in it",
        |w| fact(w, &|b| b.records[0] = recorded(&stranger(), &|_| {})),
        Link::Record,
        "not signed by its own keys alone",
    ),
    (
        "a record signed by an expired key",
        |w| fact(w, &|b| b.records[0] = recorded(&operator(), &|r| r.keys[0].until = Some(START))),
        Link::Record,
        "not signed by its own keys alone",
    ),
    (
        "a record signed by a key before its time",
        |w| fact(w, &|b| b.records[0] = recorded(&operator(), &|r| r.keys[0].from = START + 1)),
        Link::Record,
        "not signed by its own keys alone",
    ),
    (
        "a record with a key twice",
        |w| fact(w, &|b| b.records[0] = recorded(&operator(), &|r| r.keys.push(r.keys[0]))),
        Link::Record,
        "stands twice or has no time",
    ),
    (
        "a record that takes the log of another host",
        |w| {
            fact(w, &|b| {
                b.records[0] =
                    recorded(&operator(), &|r| r.origin = "maker.example/twinpact/1".into());
            })
        },
        Link::Record,
        "the origin maker.example/twinpact/1 is not",
    ),
    (
        "a record with its events in another slot",
        |w| fact(w, &|b| b.records[0] = recorded(&operator(), &|r| r.slots[0].slot = 5)),
        Link::Record,
        "events does not stand in slot 0",
    ),
    (
        "a record with one tree in two slots",
        |w| fact(w, &|b| b.records[0] = recorded(&operator(), &|r| r.slots[1].tree = EVENTS)),
        Link::Record,
        "the slot of decisions is not fit",
    ),
    (
        "another document in place of the record",
        |w| fact(w, &|b| b.records[0] = agreement().sign(&operator())),
        Link::Record,
        "the payload type is not that of a record",
    ),
    (
        "a record for one reader",
        |w| fact(w, &|b| b.records[0] = reworded("\"*\"", "\"did:web:maker.example\"")),
        Link::Record,
        "member audience that is not",
    ),
    (
        "a record that calls its key by another name",
        |w| fact(w, &|b| b.records[0] = reworded("\"ed25519:", "\"ed25519:0")),
        Link::Record,
        "id",
    ),
    (
        "withheld digests in another order",
        |w| fact(w, &|b| b.commitment.disclosure.withheld.reverse()),
        Link::Commitment,
        "withheld digests are not in order",
    ),
    (
        "a withheld digest twice",
        |w| fact(w, &|b| b.commitment.disclosure.withheld[1] = b.commitment.disclosure.withheld[0]),
        Link::Commitment,
        "8, 16 or 32 different digests",
    ),
    (
        "a withheld digest less",
        |w| fact(w, &|b| b.commitment.disclosure.withheld.truncate(3)),
        Link::Commitment,
        "8, 16 or 32 different digests",
    ),
    (
        "an attribute that is disclosed and withheld",
        |w| {
            fact(w, &|b| {
                let opened = &mut b.commitment.disclosure;
                opened.withheld[0] = sha256(&opened.disclosed[0]);
                opened.withheld.sort_unstable();
            })
        },
        Link::Commitment,
        "8, 16 or 32 different digests",
    ),
    (
        "the attributes of another entry",
        |w| {
            fact(w, &|b| {
                b.commitment.disclosure =
                    build::open(&event(FACT + 1), &["@who", "@why", "power", "note"]).disclosure;
                b.claim = build::claim(ClaimKind::Fact, &b.commitment.disclosure);
            })
        },
        Link::Commitment,
        "does not open the commitment",
    ),
    (
        "another digest in place of a withheld one",
        |w| {
            fact(w, &|b| {
                b.commitment.disclosure.withheld[0] = [0; 32];
            })
        },
        Link::Commitment,
        "does not open the commitment",
    ),
    (
        "two openings of one path",
        |_| said(&[("power", "double", "1"), ("power", "double", "2")]),
        Link::Commitment,
        "the path power is disclosed twice, which is fraud",
    ),
    (
        "a value in the clothes of a group",
        |_| said(&[("power", "group", "[]")]),
        Link::Commitment,
        "the path power has the datatype",
    ),
    (
        "an unknown group",
        |_| said(&[("@whom", "group", "[]")]),
        Link::Commitment,
        "the path @whom has the datatype",
    ),
    (
        "a group in the clothes of a value",
        |_| said(&[("@who", "string", "[]")]),
        Link::Commitment,
        "the path @who has the datatype",
    ),
    (
        "a claim of another value",
        |w| fact(w, &|b| drop(b.claim.values.insert("power".into(), "0".into()))),
        Link::Claim,
        "something else of power",
    ),
    (
        "a claim of a value more",
        |w| fact(w, &|b| drop(b.claim.values.insert("more".into(), "0".into()))),
        Link::Claim,
        "more than is disclosed",
    ),
    (
        "a claim of another twin",
        |w| fact(w, &|b| b.claim.subject = "urn:turbine:R80721".into()),
        Link::Claim,
        "another subject",
    ),
    (
        "a claim that withholds the delivery",
        |w| {
            sold(w, &|b| {
                b.commitment = crate::world::opened(&["items"]);
                b.claim = build::claim(ClaimKind::Delivery, &b.commitment.disclosure);
            })
        },
        Link::Claim,
        "the delivery itself is not disclosed",
    ),
    (
        "a delivery in other words",
        |_| as_delivery(fact_of(&[("delivery", "json", r#"["x","y","z",1,2]"#)])),
        Link::Claim,
        "the attribute delivery is not of its form",
    ),
    (
        "values called exact that code made",
        |_| Bundle { exactness: Exactness::Exact, ..transformed([0xab; 32]) }.to_bytes(),
        Link::Claim,
        "called exact, but code made them",
    ),
    (
        "values called transformed by other code",
        |_| {
            let made = transformed([0xab; 32]);
            Bundle { exactness: Exactness::Transformed([0xac; 32]), ..made }.to_bytes()
        },
        Link::Claim,
        "transformed by something else",
    ),
    (
        "values called transformed with @why withheld",
        |_| {
            let hidden = fact_of(&[("power", "double", "1")]);
            Bundle { exactness: Exactness::Transformed([0xab; 32]), ..hidden }.to_bytes()
        },
        Link::Claim,
        "but @why is not disclosed",
    ),
    (
        "a @who of three",
        |_| said(&[("@who", "group", r#"["FactsSet","urn:x",1]"#)]),
        Link::Claim,
        "the attribute @who is not of its form",
    ),
    (
        "a @who that is not canonical",
        |_| said(&[("@who", "group", r#"["FactsSet", "urn:x",1,"local"]"#)]),
        Link::Claim,
        "the attribute @who is not of its form",
    ),
    (
        "a @who whose twin is a number",
        |_| said(&[("@who", "group", r#"["FactsSet",7,1,"local"]"#)]),
        Link::Claim,
        "the group @who has a kind, a twin or an actor that is no text",
    ),
    (
        "a @who whose number is below none",
        |_| said(&[("@who", "group", r#"["FactsSet","urn:x",-1,"local"]"#)]),
        Link::Claim,
        "the group @who has a number that is not a natural number",
    ),
    (
        "a @when of one time",
        |_| said(&[("@when", "group", "[1]")]),
        Link::Claim,
        "the attribute @when is not of its form",
    ),
    (
        "a @when that was never recorded",
        |_| said(&[("@when", "group", "[null,1,1,null,null]")]),
        Link::Claim,
        "the group @when has no time at which it was recorded",
    ),
    (
        "a @when in words",
        |_| said(&[("@when", "group", r#"[1,"noon",null,null,null]"#)]),
        Link::Claim,
        "the group @when has a time that is neither microseconds nor null",
    ),
    (
        "a @when beyond 64 bits",
        |_| said(&[("@when", "group", "[9223372036854775808,null,null,null,null]")]),
        Link::Claim,
        "the group @when has a time that is neither microseconds nor null",
    ),
    (
        "a @why of nothing",
        |_| said(&[("@why", "group", "[]")]),
        Link::Claim,
        "the attribute @why is not of its form",
    ),
    (
        "a @why whose cause is a number",
        |_| said(&[("@why", "group", r#"["","","",7,""]"#)]),
        Link::Claim,
        "the group @why has a source, a model, a class or a cause that is no text",
    ),
    (
        "a @why whose code is no digest",
        |_| said(&[("@why", "group", r#"["","","","","rounding"]"#)]),
        Link::Claim,
        "the group @why has a code that is neither empty nor a digest",
    ),
    (
        "an index shifted by one",
        |w| fact(w, &|b| b.entry.index += 1),
        Link::Entry,
        "do not make the leaf",
    ),
    ("another tree", |w| fact(w, &|b| b.entry.tree = LEDGER), Link::Entry, "do not make the leaf"),
    (
        "the entry of another fact",
        |w| fact(w, &|b| b.entry = w.place(0, FACT + 1).entry),
        Link::Entry,
        "do not make the leaf",
    ),
    (
        "the path of another leaf",
        |w| fact(w, &|b| b.tree = w.place(0, FACT + 1).tree),
        Link::Tree,
        "from the leaf to the root",
    ),
    (
        "a path that is too short",
        |w| fact(w, &|b| b.tree.path.truncate(6)),
        Link::Tree,
        "from the leaf to the root",
    ),
    (
        "a path that is too long",
        |w| fact(w, &|b| b.tree.path.push([0; 32])),
        Link::Tree,
        "from the leaf to the root",
    ),
    (
        "a tree that is smaller than the index",
        |w| fact(w, &|b| b.tree.size = FACT),
        Link::Tree,
        "from the leaf to the root",
    ),
    (
        "a path of more hashes than any tree has",
        |w| fact(w, &|b| b.tree.path = vec![[0; 32]; 64]),
        Link::Tree,
        "a member path that is not",
    ),
    (
        "a size that the path cannot tell from the true one",
        |w| fact(w, &|b| b.tree.size = 99),
        Link::Tree,
        "size of the tree is not that of its head",
    ),
    (
        "slots that are no power of two",
        |w| fact(w, &|b| b.head.slots = 96),
        Link::Head,
        "power of two",
    ),
    ("too few slots", |w| fact(w, &|b| b.head.slots = 32), Link::Head, "power of two"),
    (
        "a head in the wrong slot",
        |w| fact(w, &|b| b.head.slot = 2),
        Link::Head,
        "from the slot to the root over all slots",
    ),
    (
        "the path of another slot",
        |w| fact(w, &|b| b.head.path = w.place(2, DELIVERY).head.path),
        Link::Head,
        "from the slot to the root over all slots",
    ),
    (
        "the head of another tree",
        |w| fact(w, &|b| b.head = w.place(2, DELIVERY).head),
        Link::Head,
        "does not make the hash in the slot",
    ),
    (
        "a blind used for two slots",
        |w| fact(w, &|b| b.head.blind = blind(&blinding(&ANCHOR_KEY, 2, TICK))),
        Link::Head,
        "does not make the hash in the slot",
    ),
    (
        "the tick of another head",
        |w| fact(w, &|b| b.head.tick -= 1),
        Link::Head,
        "does not make the hash in the slot",
    ),
    (
        "an earlier tree under a later head",
        |w| fact(w, &|b| b.tree = build::prove_tree(&w.events, FACT, 90).unwrap()),
        Link::Head,
        "does not make the hash in the slot",
    ),
    (
        "another time of the tick",
        |w| fact(w, &|b| b.anchor.time += 1),
        Link::Anchor,
        "do not make the anchor leaf",
    ),
    (
        "heads of one tick under the leaf of another",
        |_| heads_of_another_tick(),
        Link::Anchor,
        "the tick of the anchor leaf is not that of the head",
    ),
    (
        "an anchor path that is too short",
        |w| fact(w, &|b| b.anchor.path.truncate(3)),
        Link::Anchor,
        "from the anchor leaf to the root of the anchor",
    ),
    (
        "an anchor root that is another's",
        |w| fact(w, &|b| b.anchor.root = w.anchor.root_at(5).unwrap()),
        Link::Anchor,
        "from the anchor leaf to the root of the anchor",
    ),
    (
        "an old checkpoint under a new proof",
        |w| fact(w, &|b| b.checkpoint = w.checkpoint(5).sign(&operator())),
        Link::Anchor,
        "but the checkpoint is of size 5",
    ),
    (
        "a checkpoint of the same size and another root",
        |w| {
            fact(w, &|b| {
                let other = Checkpoint { root: [7; 32], ..w.checkpoint(TICKS) };
                b.checkpoint = other.sign(&operator());
            })
        },
        Link::Anchor,
        "but the checkpoint is of size 13",
    ),
    (
        "a checkpoint without a signature",
        |w| noted(w, &|_, note| note.body()),
        Link::Checkpoint,
        "not a signed note of three lines",
    ),
    (
        "a checkpoint with an extension line",
        |w| noted(w, &|signed, _| signed.replacen("\n\n", "\nmore\n\n", 1)),
        Link::Checkpoint,
        "not a signed note of three lines",
    ),
    (
        "a checkpoint of another origin",
        |w| {
            noted(w, &|_, note| {
                Checkpoint { origin: "maker.example/twinpact/1".into(), ..note }.sign(&operator())
            })
        },
        Link::Checkpoint,
        "the checkpoint is of maker.example/twinpact/1",
    ),
    (
        "a checkpoint signed by a foreign key",
        |w| noted(w, &|_, note| note.sign(&stranger())),
        Link::Checkpoint,
        "the log's signature does not hold",
    ),
    (
        "a checkpoint signed by a key that had expired",
        |w| {
            fact(w, &|b| {
                b.records[0] = recorded(&operator(), &|r| r.keys[0].until = Some(START + 1));
            })
        },
        Link::Checkpoint,
        "the log's signature does not hold",
    ),
    (
        "a second line of the log that does not hold",
        |w| {
            noted(w, &|signed, note| {
                let other = note.sign(&stranger());
                signed + other.split_once("\n\n").unwrap().1
            })
        },
        Link::Checkpoint,
        "the log's signature does not hold",
    ),
    (
        "the line of the log twice",
        |w| {
            noted(w, &|signed, _| {
                let line = signed.split_once("\n\n").unwrap().1.to_owned();
                signed + &line
            })
        },
        Link::Checkpoint,
        "a signature line stands twice",
    ),
    (
        "a cosignature without the log's signature",
        |w| noted(w, &|_, note| note.body() + "\n" + &cosign(&note, WITNESS, &witness(), 1)),
        Link::Checkpoint,
        "the checkpoint is not signed by the log",
    ),
    (
        "a party that poses as a witness",
        |w| noted(w, &|signed, note| signed + &cosign(&note, "neutral.example", &operator(), 1)),
        Link::Checkpoint,
        "a party signs under the name neutral.example",
    ),
    (
        "an impostor under a pinned name",
        |w| impostor(w, &stranger()).to_bytes(),
        Link::Trust,
        "a key that is not the one you pinned",
    ),
    (
        "a pinned record with a second key that nobody pinned",
        |w| {
            fact(w, &|b| {
                let key = RecordKey { key: stranger().public(), from: START - 1, until: None };
                b.records[0] = recorded(&operator(), &|r| r.keys.push(key));
                b.checkpoint = w.checkpoint(TICKS).sign(&stranger());
            })
        },
        Link::Trust,
        "not among the keys you pinned",
    ),
    (
        "a pinned log with other slots",
        |w| fact(w, &|b| b.records[0] = recorded(&operator(), &|r| r.slots[1].tree = [0x99; 16])),
        Link::Trust,
        "or other slots in it, than you pinned",
    ),
    (
        "a cosignature by another key under the name of a witness",
        |w| cosigned(w.fact(), w, WITNESS, &stranger()).to_bytes(),
        Link::Witness,
        "the cosignature of the witness",
    ),
    (
        "a witness's cosignature of another checkpoint",
        |w| noted(w, &|signed, _| signed + &cosign(&w.checkpoint(5), WITNESS, &witness(), 1)),
        Link::Witness,
        "the cosignature of the witness",
    ),
];
