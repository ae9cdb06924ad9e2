//! A small world: an operator with 100 events and a ledger in slot 2, a maker that reads from it,
//! and thirteen ticks. Everything in it is derived from fixed bytes.
#![allow(dead_code, reason = "the bench uses a part of it")]

use twinpact_proof::anchor::{Head, TreeId, anchor_leaf, blind, blinding, entry_leaf, slots_tree};
use twinpact_proof::build::{self, Papers, Place};
use twinpact_proof::bundle::{Bundle, Exactness, Items, Opened};
use twinpact_proof::commit::{Attr, Commitment, Point, Seed, commit, point_bytes, points_lexical};
use twinpact_proof::documents::{Agreement, Clock, Decision, Receipt};
use twinpact_proof::note::{Checkpoint, cosign};
use twinpact_proof::record::{NamedTree, RecordKey};
use twinpact_proof::tree::{Tree, leaf_hash};
use twinpact_proof::trust::DECIDED;
use twinpact_proof::trust::{KeyText, PinnedWitness};
use twinpact_proof::{Digest, Envelope, Json, Record, SecretKey, Trust, sha256};

pub const OPERATOR: &str = "did:web:operator.example";
pub const MAKER: &str = "did:web:maker.example";
pub const ORIGIN: &str = "operator.example/twinpact/6f1b8f0e";
pub const VIEW: &str = "https://operator.example/id/views/wind/1.0.0";
pub const EVENTS: TreeId = [0xe0; 16];
pub const DECISIONS: TreeId = [0xd0; 16];
pub const LEDGER: TreeId = [0x1e; 16];
pub const ANCHOR_KEY: [u8; 32] = [0xa0; 32];
/// 2026-11-24T00:00:00Z.
pub const START: i64 = 1_795_478_400_000_000;
/// The tick that bundles are shown at, and how many ticks there are.
pub const TICK: u64 = 6;
pub const TICKS: u64 = 13;
/// The event that the fact is about, and the delivery.
pub const FACT: u64 = 42;
pub const DELIVERY: u64 = 3;

pub fn operator() -> SecretKey {
    SecretKey::new(&[1; 32])
}

pub fn maker() -> SecretKey {
    SecretKey::new(&[2; 32])
}

pub fn witness() -> SecretKey {
    SecretKey::new(&[3; 32])
}

/// The record of an organisation that has this one key.
pub fn record_of(did: &str, key: &SecretKey) -> Record {
    let host = did.trim_start_matches("did:web:").to_owned();
    let origin = if did == OPERATOR { ORIGIN.to_owned() } else { format!("{host}/twinpact/1") };
    let named = |name: &str, slot, tree| NamedTree { name: name.to_owned(), slot, tree };
    Record {
        did: did.to_owned(),
        name: host.clone(),
        trust_domain: host.clone(),
        dsp: format!("https://{host}/dsp"),
        root_certificate: b"not looked into here".to_vec(),
        keys: vec![RecordKey { key: key.public(), from: START - 1_000_000, until: None }],
        origin,
        slots: vec![named("events", 0, EVENTS), named("decisions", 1, DECISIONS)],
        predecessors: Vec::new(),
        issued: START,
    }
}

pub fn operator_record() -> Envelope {
    record_of(OPERATOR, &operator()).sign(&operator()).unwrap()
}

pub fn maker_record() -> Envelope {
    record_of(MAKER, &maker()).sign(&maker()).unwrap()
}

pub fn seed(of: &str) -> Seed {
    sha256(of.as_bytes())
}

/// The commitment of a row of a wind turbine: three groups and four values.
pub fn event(i: u64) -> Commitment {
    let who = format!(r#"["FactsSet","urn:turbine:R80711",{i},"local"]"#);
    let when = format!("[{},1437876000000000,1437876600000000,null,null]", START + 1000);
    let power = format!("{i}.24");
    let attr = |path, datatype, lexical| Attr { path, datatype, lexical };
    let attributes = [
        attr("@who", "group", &who),
        attr("@when", "group", &when),
        attr("@why", "group", r#"["","wind-turbine@1","operational","",""]"#),
        attr("power", "double", &power),
        attr("pitch", "double", "-0.99"),
        attr("wind", "double", "6.84"),
        attr("note", "string", "tour \"A\"\n\u{1f600}"),
    ];
    commit(&seed(&format!("event {i}")), &attributes).unwrap()
}

/// The delivered rows of delivery `i`: their point bytes and the tree over them.
pub fn rows(i: u64) -> (Vec<Vec<u8>>, Tree) {
    let seed = seed(&format!("delivery {i}"));
    let points: Vec<Vec<u8>> =
        ROWS.iter().enumerate().map(|(n, point)| point_bytes(&seed, n, point)).collect();
    let mut tree = Tree::default();
    points.iter().for_each(|bytes| tree.append(leaf_hash(bytes)));
    (points, tree)
}

const ROWS: [Point<'static>; 5] = [
    row("2015-07-26T02:00:00Z", r#"["514.24","-0.99"]"#),
    row("2015-07-26T02:10:00Z", r#"["502.00","-0.99"]"#),
    row("2015-07-26T02:20:00Z", r#"["498.31","-1.00"]"#),
    row("2015-07-26T02:30:00Z", r#"["520.77","-0.98"]"#),
    row("2015-07-26T02:40:00Z", r#"["533.10","-0.97"]"#),
];

const fn row(time: &'static str, lexical: &'static str) -> Point<'static> {
    Point { time, datatype: "row", lexical }
}

pub fn agreement() -> Agreement {
    Agreement {
        issuer: OPERATOR.into(),
        audience: MAKER.into(),
        agreement: sha256(b"agreement"),
        at_id: "urn:uuid:6f1b8f0e-6f43-4b53-8e3f-3f3d1a0f7b11".into(),
        target: VIEW.into(),
        terms: Json::object([("purpose", Json::text("predictive-maintenance"))]),
        concluded: START + 10,
        slot: 2,
        tree: LEDGER,
    }
}

pub fn decision() -> Decision {
    Decision {
        issuer: OPERATOR.into(),
        audience: MAKER.into(),
        agreement: agreement().agreement,
        tree: DECISIONS,
        core: Json::object([("permitted", Json::Bool(true))]),
    }
}

/// The commitment of a delivery.
pub fn delivery(i: u64) -> Commitment {
    let seed = seed(&format!("delivery {i}"));
    let decided = decision().sign(&operator()).fingerprint();
    let delivered = build::delivery_lexical(&agreement().agreement, &decided, VIEW, 5, 200 + i);
    let items = points_lexical(&seed, ROWS);
    let who = format!(r#"["Delivery","",0,"{MAKER}"]"#);
    let when = format!("[{},null,null,null,null]", START + 2000);
    let attr = |path, datatype, lexical| Attr { path, datatype, lexical };
    let attributes = [
        attr("@who", "group", &who),
        attr("@when", "group", &when),
        attr("@why", "group", r#"["","","operational","",""]"#),
        attr("delivery", "json", &delivered),
        attr("items", "points", &items),
    ];
    commit(&seed, &attributes).unwrap()
}

/// The trees, the slots at each tick, and the anchor over them.
pub struct World {
    pub events: Tree,
    pub ledger: Tree,
    pub slots: Vec<Tree>,
    pub anchor: Tree,
}

impl World {
    pub fn new() -> World {
        World::with(|_, _| {})
    }

    /// A world whose operator changes the hashes in the slots before it signs.
    pub fn with(change: impl Fn(u64, &mut Vec<Digest>)) -> World {
        let mut events = Tree::default();
        (0..100).for_each(|i| events.append(entry_leaf(&EVENTS, i, &event(i).pc)));
        World::of(events, change)
    }

    /// A world with these events.
    pub fn of(events: Tree, change: impl Fn(u64, &mut Vec<Digest>)) -> World {
        let mut ledger = Tree::default();
        (0..6).for_each(|i| ledger.append(entry_leaf(&LEDGER, i, &delivery(i).pc)));
        let mut world = World { events, ledger, slots: Vec::new(), anchor: Tree::default() };
        for tick in 0..TICKS {
            let honest = slots_tree(&ANCHOR_KEY, tick, world.heads(tick).into_iter());
            let mut leaves: Vec<Digest> = (0..64).map(|slot| honest.leaf(slot).unwrap()).collect();
            change(tick, &mut leaves);
            let mut slots = Tree::default();
            leaves.into_iter().for_each(|leaf| slots.append(leaf));
            world.anchor.append(anchor_leaf(tick, time(tick), slots.size(), &slots.root()));
            world.slots.push(slots);
        }
        world
    }

    pub fn heads(&self, tick: u64) -> Vec<Option<Head>> {
        let head = |tree: TreeId, of: &Tree, size: u64| {
            let root = of.root_at(size).unwrap();
            Some(Head { tree, size, root })
        };
        let ledger = head(LEDGER, &self.ledger, tick.min(5));
        vec![head(EVENTS, &self.events, size_at(tick)), None, ledger]
    }

    pub fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: ORIGIN.into(), size, root: self.anchor.root_at(size).unwrap() }
    }

    /// Where the entry at `index` of the tree in `slot` stands at tick 6.
    pub fn place(&self, slot: u64, index: u64) -> Place {
        let (id, tree, pc) = match slot {
            0 => (EVENTS, &self.events, event(index).pc),
            _ => (LEDGER, &self.ledger, delivery(index).pc),
        };
        self.place_in(slot, id, tree, index, &pc)
    }

    pub fn place_in(&self, slot: u64, id: TreeId, of: &Tree, index: u64, pc: &Digest) -> Place {
        let tick = TICK;
        let slots = &self.slots[tick as usize];
        let size = if slot == 0 { size_at(tick) } else { tick.min(5) };
        let tree = build::prove_tree(of, index, size).unwrap();
        let head = Head { tree: id, size, root: tree.root };
        let head = build::place_head(
            blind(&blinding(&ANCHOR_KEY, slot, tick)),
            (tick, slot, slots.size()),
            &head,
            slots.inclusion(slot, slots.size()).unwrap(),
            slots.root(),
        );
        let size = self.anchor.size();
        Place {
            entry: build::entry(id, index, pc),
            tree,
            anchor: build::prove_anchor(&self.anchor, &head, time(tick), size).unwrap(),
            head,
            checkpoint: self.checkpoint(size).sign(&operator()),
        }
    }

    pub fn fact(&self) -> Bundle {
        let opened = build::open(&event(FACT), &["@who", "@why", "power", "note"]);
        build::fact(opened, Exactness::Exact, self.place(0, FACT), operator_record())
    }

    pub fn receipt(&self, place: &Place) -> Receipt {
        Receipt {
            issuer: OPERATOR.into(),
            audience: MAKER.into(),
            agreement: agreement().agreement,
            slot: place.head.slot,
            tree: place.entry.tree,
            index: place.entry.index,
            leaf: place.entry.leaf,
            pc: delivery(DELIVERY).pc,
            decision: decision().sign(&operator()).fingerprint(),
            view: VIEW.into(),
            count: 5,
            bytes: 200 + DELIVERY,
            at: START + 2000,
            clock: Clock::System,
            delete_by: Some(START + 1_209_600_000_000),
            origin: ORIGIN.into(),
            tick: TICK,
        }
    }

    /// A delivery that the operator has signed, and the maker too where asked.
    pub fn delivery(&self, countersigned: bool) -> Bundle {
        let place = self.place(2, DELIVERY);
        let mut receipt = self.receipt(&place).sign(&operator());
        let mut agreement = agreement().sign(&operator());
        if countersigned {
            agreement.add_signature(&maker());
            receipt.add_signature(&maker());
        }
        let papers = Papers {
            agreement,
            decision: Some(decision().sign(&operator())),
            receipt: Some(receipt),
            audience: Some(maker_record()),
        };
        let opened = build::open(&delivery(DELIVERY), &["@why", "delivery", "items"]);
        build::delivery(
            opened,
            Exactness::Exact,
            place,
            operator_record(),
            papers,
            Some(shown(&[1, 4])),
        )
    }
}

/// The fact as somebody would show it who has another key and the operator's name.
pub fn impostor(world: &World, key: &SecretKey) -> Bundle {
    let mut fact = world.fact();
    fact.records = vec![record_of(OPERATOR, key).sign(key).unwrap()];
    fact.checkpoint = world.checkpoint(world.anchor.size()).sign(key);
    fact
}

/// Items of the delivery.
pub fn shown(positions: &[u64]) -> Items {
    let (points, tree) = rows(DELIVERY);
    build::show_items(&points, &tree, positions).unwrap()
}

pub fn opened(paths: &[&str]) -> Opened {
    build::open(&delivery(DELIVERY), paths)
}

/// How many events there are at that tick.
fn size_at(tick: u64) -> u64 {
    100 - TICK.saturating_sub(tick) * 10
}

pub fn time(tick: u64) -> u64 {
    START as u64 + tick * 1_000_000
}

/// The bundle with the cosignature of a witness of that name on its checkpoint.
pub fn cosigned(mut bundle: Bundle, world: &World, name: &str, key: &SecretKey) -> Bundle {
    let checkpoint = world.checkpoint(world.anchor.size());
    bundle.checkpoint.push_str(&cosign(&checkpoint, name, key, START as u64 / 1_000_000));
    bundle
}

pub const WITNESS: &str = "witness.example/w1";

/// A reader that has pinned the operator, the maker and an independent witness.
pub fn trust() -> Trust {
    let mut trust = Trust { quorum: 1, ..Trust::default() };
    trust.add(&operator_record(), DECIDED).unwrap();
    trust.add(&maker_record(), DECIDED).unwrap();
    trust.witnesses.push(pinned_witness(WITNESS, &witness(), None));
    trust
}

pub fn pinned_witness(name: &str, key: &SecretKey, party: Option<&str>) -> PinnedWitness {
    let party = party.map(str::to_owned);
    PinnedWitness { name: name.into(), key: KeyText(key.public()), party }
}
