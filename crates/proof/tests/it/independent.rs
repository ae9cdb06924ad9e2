//! Two verifiers of one format: what was written in Rust and what was written from the document
//! alone say the same of the vectors, of valid bundles of every kind, and of tampered ones.

use crate::flips::sections;
use crate::second::{check, check_code};
use crate::world::{
    DELIVERY, START, WITNESS, World, cosigned, impostor, maker, maker_record, operator,
    operator_record, record_of, trust, witness,
};
use serde_json::Value;
use twinpact_proof::bundle::contain;
use twinpact_proof::documents::{Clock, Receipt};
use twinpact_proof::record::RecordKey;
use twinpact_proof::trust::DECIDED;
use twinpact_proof::{Bundle, Envelope, Json, Level, PublicKey, SecretKey, Trust, text64};

#[test]
fn both_run_all_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format/vectors.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let trust: Trust = serde_json::from_value(vectors["trust"].clone()).unwrap();
    let mut broken = 0;
    for vector in vectors["bundles"].as_array().unwrap() {
        let bytes = text64::decode(vector["bundle"].as_str().unwrap()).unwrap();
        for (pins, name) in [(Some(&trust), "withTrust"), (None, "withoutTrust")] {
            let expect = match (&vector[name]["level"], &vector[name]["broken"]) {
                (Value::String(level), _) if level == "unanchored" => format!("23 {level}"),
                (Value::String(level), _) => format!("0 {level}"),
                (_, link) => format!("22 {}", link.as_str().unwrap()),
            };
            assert_eq!(check(&bytes, pins, None), expect);
        }
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for flip in vector["flips"].as_array().unwrap() {
            let mut document = bytes[line..].to_vec();
            let at = usize::try_from(flip["at"].as_u64().unwrap()).unwrap();
            document[at] ^= u8::try_from(flip["xor"].as_u64().unwrap()).unwrap();
            let flipped = contain(&String::from_utf8(document).unwrap());
            assert_eq!(
                check(&flipped, None, None),
                format!("22 {}", flip["link"].as_str().unwrap())
            );
            broken += 1;
        }
    }
    assert!(broken > 20, "{broken}");
}

/// Valid bundles of every kind that the world makes.
fn valid(world: &World) -> Vec<Bundle> {
    let receipt = world.receipt(&world.place(2, DELIVERY));
    let with = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = world.delivery(true);
        change(&mut bundle);
        bundle
    };
    let driven = Receipt { clock: Clock::Driven, delete_by: None, ..receipt }.sign(&operator());
    let mut bundles = vec![
        world.fact(),
        world.delivery(false),
        world.delivery(true),
        impostor(world, &SecretKey::new(&[66; 32])),
        with(&|b| b.receipt = Some(driven.clone())),
        with(&|b| (b.receipt, b.decision, b.items) = (None, None, None)),
        with(&|b| b.items = Some(crate::world::shown(&[0, 1, 2, 3, 4]))),
        rotated(world),
    ];
    // The maker's record may be left out, and with it goes what only the maker has signed.
    let mut alone = world.delivery(false);
    alone.records.truncate(1);
    bundles.push(alone);
    bundles.push(crate::forgeries::transformed([0xab; 32]));
    let seen = |bundle: &Bundle| cosigned(bundle.clone(), world, WITNESS, &witness());
    let witnessed: Vec<Bundle> = bundles.iter().map(seen).collect();
    bundles.extend(witnessed);
    bundles
}

/// A fact of an operator that has a second key since, which signed the record too.
fn rotated(world: &World) -> Bundle {
    let next = SecretKey::new(&[11; 32]);
    let mut record = record_of(crate::world::OPERATOR, &operator());
    let key = RecordKey { key: next.public(), from: START - 1, until: Some(START + 1) };
    record.keys.push(key);
    let mut envelope = record.sign(&operator()).unwrap();
    envelope.add_signature(&next);
    Bundle { records: vec![envelope], ..world.fact() }
}

/// Readers who pinned this or that.
fn readers() -> Vec<Option<Trust>> {
    let only = |record: &Envelope| {
        let mut trust = Trust::default();
        trust.add(record, DECIDED).unwrap();
        Some(trust)
    };
    let of_party = |party: &str| {
        let mut trust = trust();
        trust.witnesses[0].party = Some(party.to_owned());
        Some(trust)
    };
    vec![
        None,
        Some(Trust::default()),
        Some(trust()),
        only(&operator_record()),
        only(&maker_record()),
        of_party(crate::world::OPERATOR),
        of_party("did:web:third.example"),
        Some(Trust { quorum: 2, ..trust() }),
    ]
}

#[test]
fn what_is_valid_is_worth_the_same_to_both() {
    let world = World::new();
    let mut said = std::collections::BTreeMap::<String, u32>::new();
    for bundle in valid(&world) {
        for reader in readers() {
            for required in Level::ALL.map(Some).into_iter().chain([None]) {
                let answer = check(&bundle.to_bytes(), reader.as_ref(), required);
                *said.entry(answer).or_default() += 1;
            }
        }
    }
    let levels: Vec<&str> = said.keys().filter_map(|key| key.strip_prefix("0 ")).collect();
    assert_eq!(levels, ["countersigned", "signed", "unanchored", "witnessed"], "{said:?}");
    assert!(said.contains_key("23 signed") && said.contains_key("22 trust"), "{said:?}");
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

fn nodes(json: &Json) -> usize {
    1 + match json {
        Json::Object(members) => members.values().map(nodes).sum(),
        Json::Array(items) => items.iter().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

/// Shows the value at that place when they are counted from the outermost inward; what is made of
/// it stands there then. Whether there is one.
fn at(json: &mut Json, place: &mut usize, look: &mut dyn FnMut(&mut Json)) -> bool {
    if *place == 0 {
        look(json);
        return true;
    }
    *place -= 1;
    match json {
        Json::Object(members) => {
            let mut all: Vec<_> = members.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            let found = all.iter_mut().any(|(_, value)| at(value, place, look));
            *members = all.into_iter().collect();
            found
        }
        Json::Array(items) => items.iter_mut().any(|item| at(item, place, look)),
        _ => false,
    }
}

/// Changes one value: drops, doubles or swaps what it holds, or makes it another.
fn change(dice: &mut Dice, json: &mut Json) {
    let mut place = dice.below(nodes(json));
    let roll = dice.below(6);
    at(json, &mut place, &mut |value| changed(dice, roll, value));
}

fn changed(dice: &mut Dice, roll: usize, value: &mut Json) {
    match value {
        Json::Object(members) if !members.is_empty() && roll < 5 => {
            let gone = dice.below(members.len());
            let renamed = |at: usize| at == gone && roll == 0;
            let left = members.iter().enumerate().filter(|(at, _)| *at != gone || renamed(*at));
            let left = left.map(|(at, (name, value))| match renamed(at) {
                true => (format!("{name}s").into(), value.clone()),
                false => (name.clone(), value.clone()),
            });
            *members = left.collect();
        }
        Json::Array(items) if !items.is_empty() && roll < 5 => {
            let (one, two) = (dice.below(items.len()), dice.below(items.len()));
            match roll {
                0 => drop(items.remove(one)),
                1 => items.push(items[one].clone()),
                2 => items.clear(),
                _ => items.swap(one, two),
            }
        }
        Json::Int(number) if roll < 5 => {
            *number = [*number + 1, *number - 1, -*number, 0, 1 << 24][roll];
        }
        Json::Text(text) if !text.is_empty() && roll < 5 => {
            let mut chars: Vec<char> = text.chars().collect();
            let at = dice.below(chars.len());
            match roll {
                0 => drop(chars.remove(at)),
                1 => chars.truncate(at),
                2 => chars.push(['a', '0', '/', '\u{a0}', '\u{1c}', '='][dice.below(6)]),
                _ => chars[at] = ['a', '0', '+', ' ', '\n', 'Z'][dice.below(6)],
            }
            *text = chars.into_iter().collect();
        }
        other => {
            let empty = [Json::Null, Json::text(""), Json::Int(0), Json::Array(Vec::new())];
            *other = empty[dice.below(4)].clone();
        }
    }
}

/// A tampered document: bits flipped, a part of another bundle, a part changed or dropped, two
/// parts swapped, or the members in another order.
fn tampered(dice: &mut Dice, document: &str, other: &str) -> Vec<u8> {
    let mut json = Json::parse(document.as_bytes()).unwrap();
    match dice.below(5) {
        0 => {
            let mut bytes = document.as_bytes().to_vec();
            for _ in 0..=dice.below(3) {
                bytes[dice.below(document.len())] ^= 1 << dice.below(8);
            }
            return bytes;
        }
        1 => {
            let theirs = sections(other);
            let ours = sections(document);
            let at = dice.below(ours.len());
            let part = &other[theirs[at].0.clone()];
            let (before, after) = (&document[..ours[at].0.start], &document[ours[at].0.end..]);
            return format!("{before}{part}{after}").into_bytes();
        }
        2 => {
            let count = nodes(&json);
            let (mut one, mut two) = (dice.below(count), dice.below(count));
            let mut taken = Json::Null;
            assert!(at(&mut json, &mut one, &mut |value| taken = value.clone()));
            assert!(at(&mut json, &mut two, &mut |value| *value = taken.clone()));
        }
        3 => {
            let inner = &document[1..document.len() - 1];
            let cut = sections(document)[dice.below(13)].0.end;
            return format!("{{{},{}}}", &inner[cut..], &inner[..cut - 1]).into_bytes();
        }
        _ => change(dice, &mut json),
    }
    json.canonical().into_bytes()
}

fn contained(document: &[u8]) -> Vec<u8> {
    let digest = twinpact_proof::to_hex(&twinpact_proof::sha256(document));
    [format!("twinpact-proof/1 sha256:{digest}\n").as_bytes(), document].concat()
}

fn document(bundle: &Bundle) -> String {
    let bytes = bundle.to_bytes();
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    String::from_utf8(bytes[line..].to_vec()).unwrap()
}

#[test]
fn both_refuse_the_same_of_five_hundred_tampered_bundles() {
    let world = World::new();
    let documents: Vec<String> = valid(&world).iter().map(document).collect();
    let (mut dice, mut broken, mut named, pins) = (Dice(1), 0, 0, trust());
    for _ in 0..500 {
        let (one, two) = (dice.below(documents.len()), dice.below(documents.len()));
        let bytes = contained(&tampered(&mut dice, &documents[one], &documents[two]));
        let reader = if dice.below(2) == 0 { None } else { Some(&pins) };
        let (code, same) = check_code(&bytes, reader);
        broken += u32::from(code == "22");
        named += u32::from(same);
    }
    assert!(named > 480, "only {named} of 500 have one link or level for both");
    assert!(broken > 400, "only {broken} of 500 were broken");
}

#[test]
fn both_refuse_the_same_of_what_the_parties_sign_themselves() {
    let world = World::new();
    let (mut dice, mut broken, pins) = (Dice(2), 0, trust());
    for _ in 0..500 {
        let mut bundle = world.delivery(true);
        let which = dice.below(5);
        let signed = match which {
            0 | 1 => Some(&mut bundle.records[which]),
            2 => bundle.agreement.as_mut(),
            3 => bundle.decision.as_mut(),
            _ => bundle.receipt.as_mut(),
        }
        .unwrap();
        let mut json = Json::clone(&signed.document().unwrap());
        change(&mut dice, &mut json);
        let keys = if which == 1 { [maker(), operator()] } else { [operator(), maker()] };
        *signed = Envelope::sign(&signed.payload_type, &json, &keys[0]);
        if which > 1 && dice.below(2) == 0 {
            signed.add_signature(&keys[1]);
        }
        let reader = if dice.below(2) == 0 { None } else { Some(&pins) };
        broken += u32::from(check(&bundle.to_bytes(), reader, None).starts_with("22 "));
    }
    assert!(broken > 300, "only {broken} of 500 were broken");
}

#[test]
fn both_refuse_checkpoints_that_were_edited() {
    let world = World::new();
    let (mut dice, pins) = (Dice(3), trust());
    for _ in 0..200 {
        let mut bundle = cosigned(world.delivery(true), &world, WITNESS, &witness());
        let mut json = Json::text(bundle.checkpoint);
        change(&mut dice, &mut json);
        bundle.checkpoint = json.as_text().unwrap_or_default().to_owned();
        let reader = if dice.below(2) == 0 { None } else { Some(&pins) };
        check(&bundle.to_bytes(), reader, None);
    }
}

/// A fact whose record has this key beside the operator's and this signature alone.
fn signed_by(key: [u8; 32], signature: [u8; 64]) -> Bundle {
    let mut record = record_of(crate::world::OPERATOR, &operator());
    record.keys.push(RecordKey { key: PublicKey::new(key), from: 0, until: None });
    let mut envelope =
        Envelope::sign(twinpact_proof::record::PAYLOAD_TYPE, &record.to_json(), &operator());
    envelope.signatures[0].key_id = PublicKey::new(key).id();
    envelope.signatures[0].bytes = signature;
    Bundle { records: vec![envelope], ..World::new().fact() }
}

#[test]
fn a_signature_has_one_form_and_proves_one_key() {
    // The second form of a true signature: s + the order of the group, little-endian.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bundle = World::new().fact();
    let mut carry = 0u16;
    for (byte, add) in bundle.records[0].signatures[0].bytes[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + add;
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(check(&bundle.to_bytes(), None, None), "22 record");
    // The neutral element as a key: s = 1 and R = the base point solve the equation for any
    // message; so does s = 0 with R = the neutral element. In its one encoding and in two others.
    let mut base = [0x66; 32];
    base[0] = 0x58;
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut with_sign = neutral;
    with_sign[31] = 0x80;
    let mut above = [0xff; 32];
    (above[0], above[31]) = (0xee, 0x7f);
    for key in [neutral, with_sign, above] {
        for (r, s) in [(base, 1), (neutral, 0), (above, 0), (with_sign, 0)] {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&r);
            signature[32] = s;
            assert_eq!(check(&signed_by(key, signature).to_bytes(), None, None), "22 record");
        }
    }
    // A key that never signs is looked at by nobody.
    let mut record = record_of(crate::world::OPERATOR, &operator());
    record.keys.push(RecordKey { key: PublicKey::new(neutral), from: 0, until: None });
    let unused = Bundle { records: vec![record.sign(&operator()).unwrap()], ..World::new().fact() };
    assert_eq!(check(&unused.to_bytes(), None, None), "23 unanchored");
}
