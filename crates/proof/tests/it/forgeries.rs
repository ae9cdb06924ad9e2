//! Bundles that a dishonest party could make: each breaks at the link that lies.

use crate::second::verify;
use crate::world::{
    ANCHOR_KEY, DECISIONS, DELIVERY, EVENTS, FACT, LEDGER, MAKER, OPERATOR, ORIGIN, TICK, TICKS,
    VIEW, WITNESS, World, agreement, cosigned, decision, delivery, event, maker, maker_record,
    opened, operator, operator_record, record_of, seed, shown, trust, witness,
};
use twinpact_proof::anchor::{Head, blind, blinding, entry_leaf, head_leaf, slots_tree};
use twinpact_proof::build::{self, Papers};
use twinpact_proof::bundle::{
    Bundle, ClaimKind, Exactness, MAX_BUNDLE_BYTES, MAX_OPENING_BYTES, MAX_SHOWN_ITEMS, contain,
};
use twinpact_proof::commit::{Attr, commit};
use twinpact_proof::documents::{Agreement, Decision, Receipt};
use twinpact_proof::fork::{Seen, check_fork};
use twinpact_proof::note::{Checkpoint, cosign};
use twinpact_proof::tree::Tree;
use twinpact_proof::{Digest, Envelope, Json, Link, SecretKey, sha256, to_hex};

/// The bundle breaks at that link, with trust and without.
fn breaks(bundle: &Bundle, expect: Link) {
    for trust in [None, Some(&trust())] {
        let broken = verify(&bundle.to_bytes(), trust).map(|v| v.level).unwrap_err();
        assert_eq!(broken.link, expect, "{broken}");
        assert!(!broken.sentence.is_empty() && !broken.sentence.ends_with('.'), "{broken}");
    }
}

fn fact_with(expect: Link, change: impl Fn(&mut Bundle)) {
    let mut bundle = World::new().fact();
    change(&mut bundle);
    breaks(&bundle, expect);
}

fn delivery_with(expect: Link, change: impl Fn(&mut Bundle)) {
    let mut bundle = World::new().delivery(true);
    change(&mut bundle);
    breaks(&bundle, expect);
}

#[test]
fn inputs_of_any_size() {
    for bytes in [&b""[..], b"\n", b"{}", b"twinpact-proof/1 sha256:", &[0xff; 200]] {
        assert_eq!(verify(bytes, None).unwrap_err().link, Link::Container, "{bytes:?}");
    }
    let line = contain("").len();
    let of_size = |n: usize| verify(&contain(&" ".repeat(n - line)), None).unwrap_err();
    assert_eq!(of_size(MAX_BUNDLE_BYTES).link, Link::Document);
    assert_eq!(of_size(MAX_BUNDLE_BYTES + 1).link, Link::Container);
    for document in ["", "null", "[]", "{}", "{\"type\":\"twinpact-bundle/2\"}", "{\"a\":1.5}"] {
        assert_eq!(verify(&contain(document), None).unwrap_err().link, Link::Document);
    }
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(verify(&contain(&deep), None).unwrap_err().link, Link::Document);
}

#[test]
fn records_are_those_of_the_parties() {
    let stranger = SecretKey::new(&[9; 32]);
    let third = || record_of("did:web:third.example", &stranger).sign(&stranger).unwrap();
    fact_with(Link::Record, |b| b.records.clear());
    fact_with(Link::Record, |b| b.records.push(maker_record()));
    fact_with(Link::Record, |b| b.records = vec![agreement().sign(&operator())]);
    fact_with(Link::Record, |b| b.records[0].add_signature(&stranger));
    delivery_with(Link::Record, |b| b.records.push(maker_record()));
    delivery_with(Link::Record, |b| b.records[1] = operator_record());
    delivery_with(Link::Agreement, |b| b.records[1] = third());
    delivery_with(Link::Agreement, |b| b.records.truncate(1));
    delivery_with(Link::Agreement, |b| b.records.reverse());
}

/// Changes what is disclosed and what is withheld.
type Change<'a> = dyn Fn(&mut Vec<Vec<u8>>, &mut Vec<Digest>) + 'a;

#[test]
fn commitments_open_in_one_way() {
    let commitment = event(FACT);
    let with = |change: &Change<'_>| {
        fact_with(Link::Commitment, |b| {
            let disclosure = &mut b.commitment.disclosure;
            change(&mut disclosure.disclosed, &mut disclosure.withheld);
        });
    };
    // A withheld digest that is also disclosed, and the same opening twice.
    with(&|shown, hidden| {
        hidden.push(sha256(&shown[0]));
        hidden.sort_unstable();
    });
    with(&|shown, _| shown.push(shown[0].clone()));
    with(&|_, hidden| hidden.push(hidden[0]));
    // Too many, too few, in another order.
    with(&|_, hidden| {
        hidden.extend((0..8).map(|i| [i; 32]));
        hidden.sort_unstable();
    });
    with(&|_, hidden| hidden.extend((0..40).map(|i| [i; 32])));
    with(&|_, hidden| hidden.truncate(3));
    with(&|_, hidden| hidden.reverse());
    with(&|shown, _| shown[0] = commitment.openings[1].clone());
    with(&|shown, _| shown[0] = Vec::new());
}

/// A fact whose entry the operator really made with these attributes, all disclosed.
pub fn fact_of(attributes: &[(&str, &str, &str)]) -> Bundle {
    let attrs: Vec<Attr<'_>> = attributes
        .iter()
        .map(|(path, datatype, lexical)| Attr { path, datatype, lexical })
        .collect();
    let commitment = commit(&seed("forged"), &attrs).unwrap();
    let mut world = World::new();
    world.events = Tree::default();
    (0..100).for_each(|i| {
        let pc = if i == FACT { commitment.pc } else { event(i).pc };
        world.events.append(entry_leaf(&EVENTS, i, &pc));
    });
    let root = world.events.root();
    let world = World::with(|tick, leaves| {
        if tick == TICK {
            let head = Head { tree: EVENTS, size: 100, root };
            leaves[0] = head_leaf(tick, 0, &head, &blind(&blinding(&ANCHOR_KEY, 0, tick)));
        }
    })
    .having(world.events);
    let paths: Vec<&str> = attributes.iter().map(|(path, _, _)| *path).collect();
    let place = world.place_in(0, EVENTS, &world.events, FACT, &commitment.pc);
    let opened = build::open(&commitment, &paths);
    build::fact(opened, Exactness::Exact, place, operator_record())
}

impl World {
    fn having(mut self, events: Tree) -> World {
        self.events = events;
        self
    }
}

const WHY: (&str, &str, &str) = ("@why", "group", r#"["","","","",""]"#);

#[test]
fn attributes_are_of_their_form() {
    let check = |attributes: &[(&str, &str, &str)], expect: Option<Link>| {
        let got = verify(&fact_of(attributes).to_bytes(), None);
        assert_eq!(got.as_ref().err().map(|b| b.link), expect, "{attributes:?} {got:?}");
    };
    check(&[WHY, ("power", "double", "1")], None);
    let year_9999 = "[253402300799999999,-62135596800000000,null,0,null]";
    check(&[("@when", "group", year_9999)], None);
    check(&[("@when", "group", "[1,null,-0,null,null]")], Some(Link::Claim));
    check(&[("@when", "group", "[01,null,null,null,null]")], Some(Link::Claim));
    check(&[("@when", "group", "[1, null,null,null,null]")], Some(Link::Claim));
    check(&[("power", "double", "1"), ("power", "double", "2")], Some(Link::Commitment));
    check(&[("power", "group", "[]")], Some(Link::Commitment));
    check(&[("@who", "string", "[]")], Some(Link::Commitment));
    check(&[("@whom", "group", "[]")], Some(Link::Commitment));
    check(&[("@who", "group", r#"["FactsSet","urn:x",1]"#)], Some(Link::Claim));
    check(&[("@who", "group", r#"["FactsSet",7,1,"local"]"#)], Some(Link::Claim));
    check(&[("@who", "group", r#"["FactsSet", "urn:x",1,"local"]"#)], Some(Link::Claim));
    check(&[("@why", "group", "[]")], Some(Link::Claim));
    check(&[("items", "points", "five")], Some(Link::Items));
}

#[test]
fn openings_have_a_bound() {
    let of_size = |n: usize| {
        let mut bundle = World::new().fact();
        bundle.commitment.disclosure.disclosed[0] = vec![0; n];
        verify(&bundle.to_bytes(), None).unwrap_err()
    };
    assert!(of_size(MAX_OPENING_BYTES).sentence.contains("does not open"));
    assert!(of_size(MAX_OPENING_BYTES + 1).sentence.contains("base64"));
}

/// A fact whose values were made by the code of this digest, and which says so.
pub fn transformed(code: [u8; 32]) -> Bundle {
    let why = format!(r#"["","","","","{}"]"#, to_hex(&code));
    let made = fact_of(&[("@why", "group", &why), ("power", "double", "1")]);
    Bundle { exactness: Exactness::Transformed(code), ..made }
}

#[test]
fn exact_means_that_no_code_made_it() {
    let code = "ab".repeat(32);
    let mut said = transformed([0xab; 32]);
    breaks(&Bundle { exactness: Exactness::Exact, ..said.clone() }, Link::Claim);
    let verdict = verify(&said.to_bytes(), None).unwrap();
    assert!(verdict.notes[0].contains(&code), "{:?}", verdict.notes);
    said.exactness = Exactness::Transformed([0xac; 32]);
    breaks(&said, Link::Claim);
    let hidden = fact_of(&[("power", "double", "1")]);
    assert!(verify(&hidden.to_bytes(), None).is_ok());
    fact_with(Link::Claim, |b| b.exactness = Exactness::Transformed([0xab; 32]));
    breaks(&Bundle { exactness: Exactness::Transformed([0xab; 32]), ..hidden }, Link::Claim);
}

#[test]
fn claims_say_what_is_disclosed() {
    fact_with(Link::Claim, |b| b.claim.subject = "urn:turbine:R80721".into());
    fact_with(Link::Claim, |b| b.claim.subject.clear());
    fact_with(Link::Claim, |b| drop(b.claim.values.remove("power")));
    fact_with(Link::Claim, |b| drop(b.claim.values.insert("power".into(), "0".into())));
    fact_with(Link::Claim, |b| drop(b.claim.values.insert("more".into(), "0".into())));
    fact_with(Link::Claim, |b| b.claim.kind = ClaimKind::Delivery);
    delivery_with(Link::Record, |b| b.claim.kind = ClaimKind::Fact);
    // The delivery must be disclosed, and be five things.
    delivery_with(Link::Claim, |b| {
        b.commitment = opened(&["items"]);
        b.claim = build::claim(ClaimKind::Delivery, &b.commitment.disclosure);
    });
    for lexical in ["[]", "null", r#"["x","y","z",1,2]"#] {
        let mut bundle = fact_of(&[("delivery", "json", lexical)]);
        bundle.claim.kind = ClaimKind::Delivery;
        breaks(&bundle, Link::Claim);
    }
}

#[test]
fn entries_and_trees_are_where_they_say() {
    let world = World::new();
    fact_with(Link::Entry, |b| b.entry.index += 1);
    fact_with(Link::Entry, |b| b.entry.tree = LEDGER);
    fact_with(Link::Entry, |b| b.entry = world.place(0, FACT + 1).entry);
    fact_with(Link::Tree, |b| b.tree = world.place(0, FACT + 1).tree);
    // A true proof in an earlier tree, under the head of a later one.
    fact_with(Link::Head, |b| b.tree = build::prove_tree(&world.events, FACT, 90).unwrap());
    fact_with(Link::Tree, |b| b.tree.size = 101);
    fact_with(Link::Tree, |b| b.tree.path.push([0; 32]));
    fact_with(Link::Tree, |b| b.tree.path = vec![[0; 32]; 64]);
}

/// A ledger of the same id that says something else at the same positions.
pub fn second_ledger() -> Tree {
    let mut tree = Tree::default();
    (0..5).for_each(|i| tree.append(entry_leaf(&LEDGER, i, &delivery(i + 1).pc)));
    tree
}

pub fn ledger_head(slot: u64, tree: &Tree) -> Digest {
    let head = Head { tree: LEDGER, size: 5, root: tree.root_at(5).unwrap() };
    head_leaf(TICK, slot, &head, &blind(&blinding(&ANCHOR_KEY, slot, TICK)))
}

/// A delivery shown from that ledger in that slot, under an agreement that names `named`.
pub fn shown_in(world: &World, slot: u64, named: u64) -> Bundle {
    let second = second_ledger();
    let (tree, pc) = match slot {
        2 => (&world.ledger, delivery(DELIVERY).pc),
        _ => (&second, delivery(DELIVERY + 1).pc),
    };
    let place = world.place_in(slot, LEDGER, tree, DELIVERY, &pc);
    let commitment = if slot == 2 { delivery(DELIVERY) } else { delivery(DELIVERY + 1) };
    let signed = Agreement { slot: named, ..agreement() }.sign(&operator());
    let papers =
        Papers { agreement: signed, decision: None, receipt: None, audience: Some(maker_record()) };
    let opened = build::open(&commitment, &["delivery"]);
    build::delivery(opened, Exactness::Exact, place, operator_record(), papers, None)
}

#[test]
fn two_heads_of_one_ledger_under_one_anchor_are_refused() {
    // The operator keeps a second history of the ledger in slot 3 of the same tick.
    let world = World::with(|tick, leaves| {
        if tick == TICK {
            leaves[3] = ledger_head(3, &second_ledger());
        }
    });
    assert!(verify(&shown_in(&world, 2, 2).to_bytes(), Some(&trust())).is_ok());
    breaks(&shown_in(&world, 3, 2), Link::Slot);
    breaks(&shown_in(&world, 2, 3), Link::Slot);
    // Calling slot 3 slot 2 does not help, nor does another leaf in it.
    let mut moved = shown_in(&world, 3, 2);
    moved.head.slot = 2;
    breaks(&moved, Link::Head);
    moved.head.leaf = ledger_head(2, &second_ledger());
    breaks(&moved, Link::Head);
    // Two agreements that name two slots make two proofs that convict the operator together.
    let seen = |slot: u64| Seen::of(&shown_in(&world, slot, slot)).unwrap();
    assert!(verify(&shown_in(&world, 3, 3).to_bytes(), Some(&trust())).is_ok());
    let evidence = check_fork(&seen(2), &seen(3)).unwrap();
    assert!(evidence.contains("two slots"), "{evidence}");
}

#[test]
fn a_head_stands_at_the_position_of_its_slot() {
    let world = World::with(|_, leaves| leaves[5] = leaves[2]);
    let slots = &world.slots[TICK as usize];
    let mut bundle = world.delivery(true);
    bundle.head.path = slots.inclusion(5, 64).unwrap();
    breaks(&bundle, Link::Head);
    bundle.head.slot = 5;
    breaks(&bundle, Link::Head);
}

#[test]
fn the_number_of_slots_is_a_power_of_two_from_64() {
    for count in [0, 1, 32, 63, 65, 96, 128, 1 << 24, 1 << 25] {
        fact_with(Link::Head, |b| b.head.slots = count);
    }
    // Also when the operator has really signed such a tick.
    for (count, ok) in [(32, false), (64, true), (96, false), (128, true)] {
        let world = World::with(|_, leaves| leaves.resize(count, [0; 32]));
        let got = verify(&world.fact().to_bytes(), None).map(|_| ()).map_err(|b| b.link);
        assert_eq!(got, if ok { Ok(()) } else { Err(Link::Head) }, "{count}");
    }
}

#[test]
fn facts_stand_in_the_slots_of_the_record() {
    // A ledger entry shown as a fact, and the events in another slot.
    let world = World::with(|tick, leaves| {
        let head = World::new().heads(tick)[0].unwrap();
        leaves[7] = head_leaf(tick, 7, &head, &blind(&blinding(&ANCHOR_KEY, 7, tick)));
    });
    let opened = build::open(&delivery(DELIVERY), &["@why"]);
    let ledger = build::fact(opened, Exactness::Exact, world.place(2, DELIVERY), operator_record());
    breaks(&ledger, Link::Slot);
    let mut moved = world.fact();
    moved.head.slot = 7;
    moved.head.blind = blind(&blinding(&ANCHOR_KEY, 7, TICK));
    let slots = &world.slots[TICK as usize];
    moved.head.path = slots.inclusion(7, 64).unwrap();
    moved.head.leaf = slots.leaf(7).unwrap();
    breaks(&moved, Link::Slot);
}

#[test]
fn old_checkpoints_do_not_sign_new_leaves() {
    let world = World::new();
    // Five leaves were signed; the proof is of thirteen.
    fact_with(Link::Anchor, |b| b.checkpoint = world.checkpoint(5).sign(&operator()));
    // The proof of five leaves does not contain tick 6.
    fact_with(Link::Anchor, |b| {
        b.checkpoint = world.checkpoint(5).sign(&operator());
        (b.anchor.size, b.anchor.root) = (5, world.anchor.root_at(5).unwrap());
    });
    fact_with(Link::Anchor, |b| b.anchor.tick = 5);
    // A path of the same shape, a root of the same value: the size is still another.
    fact_with(Link::Anchor, |b| b.anchor.size = 12);
    fact_with(Link::Anchor, |b| b.anchor.time += 1);
    fact_with(Link::Head, |b| b.head.tick = 5);
}

#[test]
fn heads_of_one_tick_do_not_stand_under_another() {
    // The operator puts the heads of tick 5 under the anchor leaf of tick 6.
    let honest = World::new();
    let heads = honest.heads(TICK);
    let of_five = slots_tree(&ANCHOR_KEY, TICK - 1, heads.iter().copied());
    let world = World::with(|tick, leaves| {
        if tick == TICK {
            *leaves = (0..64).map(|slot| of_five.leaf(slot).unwrap()).collect();
        }
    });
    let mut bundle = world.fact();
    bundle.head = build::prove_head(&ANCHOR_KEY, TICK - 1, 0, &heads).unwrap();
    breaks(&bundle, Link::Anchor);
}

#[test]
fn the_checkpoint_is_signed_by_the_log_of_the_issuer() {
    let world = World::new();
    let note = || world.checkpoint(TICKS);
    let with = |checkpoint: String| {
        fact_with(Link::Checkpoint, |b| b.checkpoint.clone_from(&checkpoint));
    };
    with(String::from("x"));
    with(note().sign(&maker()));
    with(Checkpoint { origin: "maker.example/twinpact/1".into(), ..note() }.sign(&operator()));
    with(note().sign(&operator()) + &cosign(&note(), ORIGIN, &witness(), 1));
    let signed = note().sign(&operator());
    let (_, line) = signed.split_once("\n\n").unwrap();
    with(format!("{signed}{line}"));
    with(signed.replace(ORIGIN, "operator.example/twinpact/other"));
    // A party signs under another name: never as somebody who is none.
    with(format!("{signed}{}", cosign(&note(), "neutral.example", &operator(), 1)));
    let neutral = Checkpoint { origin: "neutral.example".into(), ..note() }.sign(&operator());
    with(format!("{signed}{}", neutral.split_once("\n\n").unwrap().1));
    // A stranger's line alone is no signature of the log; beside it, it is reported.
    let stranger = cosign(&note(), "neutral.example", &SecretKey::new(&[8; 32]), 1);
    with(format!("{}\n{stranger}", note().body()));
    let mut bundle = world.fact();
    bundle.checkpoint = format!("{signed}{stranger}");
    let verdict = verify(&bundle.to_bytes(), Some(&trust())).unwrap();
    assert!(verdict.notes[0].contains("neutral.example"), "{:?}", verdict.notes);
    assert!(verdict.witnesses.is_empty());
}

#[test]
fn lines_of_pinned_witnesses_hold() {
    let world = World::new();
    let check = |bundle: &Bundle| {
        let broken = verify(&bundle.to_bytes(), Some(&trust())).map(|v| v.level).unwrap_err();
        assert_eq!(broken.link, Link::Witness, "{broken}");
    };
    // By another key under its name, by its key over another size, and under another name.
    check(&cosigned(world.fact(), &world, WITNESS, &SecretKey::new(&[8; 32])));
    let mut older = world.fact();
    older.checkpoint.push_str(&cosign(&world.checkpoint(5), WITNESS, &witness(), 1));
    check(&older);
    let mut renamed = cosigned(world.fact(), &world, WITNESS, &witness());
    renamed.checkpoint = renamed.checkpoint.replace(WITNESS, "witness.example/w2");
    check(&renamed);
}

#[test]
fn the_agreement_is_that_of_the_delivery() {
    let with = |expect: Link, change: &dyn Fn(&mut Agreement)| {
        delivery_with(expect, |b| {
            let mut other = agreement();
            change(&mut other);
            b.agreement = Some(other.sign(&operator()));
        });
    };
    with(Link::Agreement, &|a| a.agreement = sha256(b"another"));
    with(Link::Agreement, &|a| a.target = "https://operator.example/id/views/other".into());
    with(Link::Agreement, &|a| a.audience = "did:web:third.example".into());
    with(Link::Agreement, &|a| a.issuer = MAKER.into());
    with(Link::Slot, &|a| a.slot = 3);
    with(Link::Slot, &|a| a.tree = EVENTS);
    let envelope = |expect: Link, envelope: Option<Envelope>| {
        delivery_with(expect, |b| b.agreement.clone_from(&envelope));
    };
    envelope(Link::Agreement, None);
    envelope(Link::Agreement, Some(agreement().sign(&maker())));
    envelope(Link::Agreement, Some(decision().sign(&operator())));
    let mut more = agreement().sign(&operator());
    more.add_signature(&SecretKey::new(&[9; 32]));
    envelope(Link::Agreement, Some(more));
    fact_with(Link::Agreement, |b| b.agreement = Some(agreement().sign(&operator())));
}

#[test]
fn the_decision_is_the_one_that_the_delivery_names() {
    let with = |change: &dyn Fn(&mut Decision)| {
        delivery_with(Link::Decision, |b| {
            let mut other = decision();
            change(&mut other);
            b.decision = Some(other.sign(&operator()));
        });
    };
    with(&|d| d.core = Json::Null);
    with(&|d| d.audience = "did:web:third.example".into());
    with(&|d| d.issuer = MAKER.into());
    with(&|d| d.agreement = sha256(b"another"));
    with(&|d| d.tree = EVENTS);
    assert_eq!(decision().tree, DECISIONS);
    delivery_with(Link::Decision, |b| b.decision = Some(decision().sign(&maker())));
    delivery_with(Link::Decision, |b| b.decision.clone_from(&b.agreement));
    fact_with(Link::Decision, |b| b.decision = Some(decision().sign(&operator())));
}

#[test]
fn every_word_of_the_receipt_is_proven() {
    let world = World::new();
    let place = world.place(2, DELIVERY);
    let with = |change: &dyn Fn(&mut Receipt)| {
        delivery_with(Link::Receipt, |b| {
            let mut other = world.receipt(&place);
            change(&mut other);
            let mut envelope = other.sign(&operator());
            envelope.add_signature(&maker());
            b.receipt = Some(envelope);
        });
    };
    with(&|r| r.issuer = "did:web:third.example".into());
    with(&|r| r.audience = "did:web:third.example".into());
    with(&|r| r.agreement = sha256(b"another"));
    with(&|r| r.slot = 3);
    with(&|r| r.tree = EVENTS);
    with(&|r| r.index += 1);
    with(&|r| r.leaf = [0; 32]);
    with(&|r| r.pc = [0; 32]);
    with(&|r| r.decision = [0; 32]);
    with(&|r| r.view = "https://operator.example/id/views/other".into());
    with(&|r| r.count += 1);
    with(&|r| r.bytes -= 1);
    with(&|r| r.origin = "maker.example/twinpact/1".into());
    with(&|r| r.tick = TICK + 1);
    let receipt = || world.receipt(&place);
    delivery_with(Link::Receipt, |b| b.receipt = Some(receipt().sign(&maker())));
    delivery_with(Link::Decision, |b| std::mem::swap(&mut b.receipt, &mut b.decision));
    delivery_with(Link::Receipt, |b| b.receipt.clone_from(&b.agreement));
    delivery_with(Link::Receipt, |b| {
        b.receipt = Some(receipt().sign(&operator()));
        b.receipt.as_mut().unwrap().add_signature(&SecretKey::new(&[9; 32]));
    });
    fact_with(Link::Receipt, |b| b.receipt = Some(receipt().sign(&operator())));
    // A receipt of an earlier tick than the one it is shown at is the usual case later on.
    let mut earlier = world.delivery(false);
    earlier.receipt = Some(Receipt { tick: 4, ..receipt() }.sign(&operator()));
    assert!(verify(&earlier.to_bytes(), Some(&trust())).is_ok());
}

#[test]
fn envelopes_of_one_bundle_do_not_serve_another() {
    let world = World::new();
    let place = world.place(2, DELIVERY + 1);
    let mut receipt = world.receipt(&place);
    (receipt.pc, receipt.bytes) = (delivery(DELIVERY + 1).pc, 200 + DELIVERY + 1);
    let other = receipt.sign(&operator());
    delivery_with(Link::Receipt, |b| b.receipt = Some(other.clone()));
    // The sections of another bundle of the same world.
    delivery_with(Link::Entry, |b| b.entry = place.entry.clone());
    delivery_with(Link::Tree, |b| b.tree = place.tree.clone());
    delivery_with(Link::Head, |b| b.head = world.place(0, FACT).head);
    // Its own operator and its own maker, the other way round.
    let reversed = Agreement { issuer: MAKER.into(), audience: OPERATOR.into(), ..agreement() };
    let mut both = reversed.sign(&operator());
    both.add_signature(&maker());
    delivery_with(Link::Agreement, |b| b.agreement = Some(both.clone()));
}

#[test]
fn a_delivery_counts_the_items_that_it_commits_to() {
    for (count, expect) in [(5, None), (4, Some(Link::Items))] {
        let decided = decision().sign(&operator()).fingerprint();
        let said =
            build::delivery_lexical(&agreement().agreement, &decided, VIEW, count, 200 + DELIVERY);
        let items = build::claim(ClaimKind::Delivery, &opened(&["items"]).disclosure);
        let attr = |path, datatype, lexical| Attr { path, datatype, lexical };
        let attributes =
            [attr("delivery", "json", &said), attr("items", "points", &items.values["items"])];
        let commitment = commit(&seed("forged"), &attributes).unwrap();
        let mut ledger = Tree::default();
        (0..5).for_each(|i| ledger.append(entry_leaf(&LEDGER, i, &commitment.pc)));
        let world = World::with(|tick, leaves| {
            if tick == TICK {
                leaves[2] = ledger_head(2, &ledger);
            }
        });
        let place = world.place_in(2, LEDGER, &ledger, DELIVERY, &commitment.pc);
        let papers = Papers {
            agreement: agreement().sign(&operator()),
            decision: None,
            receipt: None,
            audience: None,
        };
        let opened = build::open(&commitment, &["delivery", "items"]);
        let bundle =
            build::delivery(opened, Exactness::Exact, place, operator_record(), papers, None);
        let got = verify(&bundle.to_bytes(), None).err().map(|broken| broken.link);
        assert_eq!(got, expect, "{count}");
    }
}

#[test]
fn shown_items_are_among_those_delivered() {
    delivery_with(Link::Items, |b| {
        b.commitment = opened(&["@why", "delivery"]);
        b.claim = build::claim(ClaimKind::Delivery, &b.commitment.disclosure);
    });
    let with = |change: &dyn Fn(&mut twinpact_proof::bundle::Items)| {
        delivery_with(Link::Items, |b| change(b.items.as_mut().unwrap()));
    };
    with(&|i| i.count = 6);
    with(&|i| i.shown[0].index = 2);
    with(&|i| i.shown[0].index = 5);
    with(&|i| i.shown.reverse());
    with(&|i| i.shown.push(i.shown[1].clone()));
    with(&|i| i.shown[0].bytes = i.shown[1].bytes.clone());
    with(&|i| i.shown[0].bytes.clear());
    with(&|i| i.shown[0].path.truncate(1));
    with(&|i| i.shown = vec![i.shown[0].clone(); MAX_SHOWN_ITEMS + 1]);
    fact_with(Link::Items, |b| b.items = Some(shown(&[0])));
    let mut all = World::new().delivery(true);
    all.items = Some(shown(&[0, 1, 2, 3, 4]));
    assert!(verify(&all.to_bytes(), Some(&trust())).is_ok());
    all.items = Some(shown(&[]));
    assert!(verify(&all.to_bytes(), Some(&trust())).is_ok());
}
