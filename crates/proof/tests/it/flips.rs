//! Every byte of a bundle, flipped: the break is found, and in the section in which the byte lies.

use crate::world::{WITNESS, World, cosigned, trust, witness};
use proptest::prelude::*;
use std::ops::Range;
use twinpact_proof::bundle::contain;
use twinpact_proof::note::Note;
use twinpact_proof::{Bundle, Json, Link, verify};

const BITS: [u8; 3] = [0x01, 0x04, 0x20];

/// The byte ranges of the sections in a document, and the link that each belongs to.
pub fn sections(document: &str) -> Vec<(Range<usize>, Link)> {
    let Json::Object(members) = Json::parse(document.as_bytes()).unwrap() else { panic!() };
    let link = |name: &str| match name {
        "exactness" => Link::Claim,
        "records" => Link::Record,
        "type" => Link::Document,
        other => Link::ALL.into_iter().find(|link| link.name() == other).unwrap(),
    };
    let mut at = 1;
    let mut out = Vec::new();
    for (name, value) in members.iter() {
        let start = at + name.len() + 3;
        let end = start + value.canonical().len();
        out.push((start..end, link(name.as_str())));
        at = end + 1;
    }
    assert_eq!(at, document.len());
    out
}

/// The link that must be named when the byte at `position` has become what it is in `mutated`.
fn expected(sections: &[(Range<usize>, Link)], mutated: &[u8], position: usize) -> Link {
    let Ok(json) = Json::parse_canonical(mutated) else { return Link::Document };
    let section = sections.iter().find(|(range, _)| range.contains(&position));
    let Some((range, link)) = section else { return Link::Document };
    if *link != Link::Checkpoint {
        return *link;
    }
    // The line of a pinned witness is a link of its own, as long as it can be read as a line.
    let before = std::str::from_utf8(&mutated[range.start..position]).unwrap_or_default();
    let readable = json.get("checkpoint").and_then(Json::as_text).and_then(Note::parse).is_some();
    if before.matches('—').count() == 2 && readable { Link::Witness } else { Link::Checkpoint }
}

fn document(bundle: &Bundle) -> (Vec<u8>, String) {
    let bytes = bundle.to_bytes();
    let line = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let document = String::from_utf8(bytes[line..].to_vec()).unwrap();
    (bytes, document)
}

fn flip_every_byte(bundle: &Bundle) {
    let (bytes, document) = document(bundle);
    let (trust, sections) = (trust(), sections(&document));
    assert!(verify(&bytes, Some(&trust)).is_ok());
    for position in 0..bytes.len() {
        for bit in BITS {
            let mut flipped = bytes.clone();
            flipped[position] ^= bit;
            let link = verify(&flipped, Some(&trust)).unwrap_err().link;
            assert_eq!(link, Link::Container, "byte {position}, bit {bit:#x}");
        }
    }
    let check = |positions: Range<usize>| {
        for position in positions {
            for bit in BITS {
                let mut flipped = document.clone().into_bytes();
                flipped[position] ^= bit;
                let Some(got) = verify_document(&flipped, &trust) else {
                    panic!("byte {position}, bit {bit:#x} of the document breaks nothing");
                };
                let expect = expected(&sections, &flipped, position);
                let near = &document.as_bytes()[position.saturating_sub(20)..position];
                let near = String::from_utf8_lossy(near);
                assert_eq!(got.link, expect, "byte {position} after {near:?}: {got}");
            }
        }
    };
    let half = document.len() / 2;
    std::thread::scope(|scope| {
        scope.spawn(|| check(0..half));
        check(half..document.len());
    });
}

/// What breaks in a document of any bytes, in a container that fits.
fn verify_document(
    document: &[u8],
    trust: &twinpact_proof::Trust,
) -> Option<twinpact_proof::Broken> {
    let digest = twinpact_proof::to_hex(&twinpact_proof::sha256(document));
    let line = format!("twinpact-proof/1 sha256:{digest}\n");
    verify(&[line.as_bytes(), document].concat(), Some(trust)).err()
}

#[test]
fn every_flipped_byte_of_a_fact_breaks_its_own_link() {
    flip_every_byte(&World::new().fact());
}

#[test]
fn every_flipped_byte_of_a_delivery_breaks_its_own_link() {
    let world = World::new();
    flip_every_byte(&cosigned(world.delivery(true), &world, WITNESS, &witness()));
}

#[test]
fn cut_and_extended_bundles_break_at_the_container() {
    let bytes = World::new().fact().to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(verify(&bytes[..length], None).unwrap_err().link, Link::Container);
    }
    for tail in ["\n", " ", "{}", "\u{0}"] {
        let longer = [&bytes, tail.as_bytes()].concat();
        assert_eq!(verify(&longer, None).unwrap_err().link, Link::Container);
        let (_, document) = document(&World::new().fact());
        let contained = contain(&(document + tail));
        assert_eq!(verify(&contained, None).unwrap_err().link, Link::Document, "{tail:?}");
    }
}

proptest! {
    #[test]
    fn verify_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        which: bool,
    ) {
        let world = World::new();
        let bundle = if which { world.fact() } else { world.delivery(true) };
        let (_, document) = document(&bundle);
        let mut bytes = document.into_bytes();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let trust = trust();
        let _ = verify_document(&bytes, &trust);
        let _ = verify_document(&bytes[..cut.index(bytes.len())], &trust);
        let _ = verify(&bytes, Some(&trust));
    }

    #[test]
    fn any_other_integer_breaks(at in any::<prop::sample::Index>(), value in 0i64..1000) {
        let (_, document) = document(&World::new().delivery(true));
        let mut numbers: Vec<(usize, usize)> = Vec::new();
        let bytes = document.as_bytes();
        for start in 1..bytes.len() {
            if bytes[start - 1] == b':' && bytes[start].is_ascii_digit() {
                let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
                let end = start + digits;
                if matches!(bytes[end], b',' | b'}') {
                    numbers.push((start, end));
                }
            }
        }
        let (start, end) = numbers[at.index(numbers.len())];
        prop_assume!(document[start..end] != value.to_string());
        let mutated = format!("{}{value}{}", &document[..start], &document[end..]);
        let broken = verify(&contain(&mutated), Some(&trust())).err();
        let expect = expected(&sections(&document), mutated.as_bytes(), start);
        prop_assert_eq!(broken.map(|b| b.link), Some(expect));
    }
}
