//! The matrix of forgeries: how each is made, the link that it breaks and the sentence in which it
//! is refused. Both verifiers refuse every one at that link, and no two faults share a sentence.

mod chain;
mod forge;
mod papers;

use crate::second::check;
use crate::world::{ORIGIN, START, TICKS, World, trust};
use std::collections::BTreeMap;
use twinpact_proof::trust::{Hex, SeenAnchor};
use twinpact_proof::{Link, Trust};

/// What is forged, how, the link that breaks, and what the sentence says.
type Forgery = (&'static str, fn(&World) -> Vec<u8>, Link, &'static str);

/// Sentences that several forgeries share, because they are one fault made in several ways.
const ONE_FAULT: &[&str] = &[
    "the digest in the first line is not that of the rest: the bundle was changed or cut",
    "a bundle has one or two organisation records",
    "the record of did:web:operator.example is not signed by its own keys alone",
    "there are not 8, 16 or 32 different digests",
    "what is disclosed does not open the commitment",
    "the attribute @who is not of its form",
    "the group @when has a time that is neither microseconds nor null",
    "the commitment, tree and position do not make the leaf",
    "the path does not lead from the leaf to the root of its tree",
    "the number of slots is not a power of two from 64 to 2^24",
    "the path does not lead from the slot to the root over all slots",
    "the tree's head at this tick does not make the hash in the slot",
    "the path does not lead from the anchor leaf to the root of the anchor",
    "the checkpoint is not a signed note of three lines",
    "the log's signature does not hold, or is by no key of the issuer at that time",
    "the agreement has a signature that does not hold or is by no key of the records",
    "the payload type is not application/vnd.twinpact.agreement+json",
    "this is not the decision that the delivery names",
    "item 1 is not among those committed to",
    "the cosignature of the witness witness.example/w1 does not hold",
];

/// What somebody else has pinned.
type Reader = fn() -> Trust;

/// Forgeries that only a reader with other pins finds out.
const TO_OTHER_READERS: &[(Forgery, Reader)] = &[
    (
        (
            "a checkpoint signed by a key that had ended by its pin",
            |w| w.fact().to_bytes(),
            Link::Trust,
            "is signed with a key that had ended by then",
        ),
        || {
            let mut reader = trust();
            reader.organisations[0].keys[0].until = Some(START + 1);
            reader
        },
    ),
    (
        (
            "a log that showed another history",
            |w| w.fact().to_bytes(),
            Link::Trust,
            "it keeps two histories",
        ),
        || {
            let anchors =
                vec![SeenAnchor { origin: ORIGIN.into(), size: TICKS, root: Hex([9; 32]) }];
            Trust { anchors, ..trust() }
        },
    ),
];

#[test]
fn each_forgery_is_refused_by_both_verifiers_in_its_own_sentence() {
    let world = World::new();
    let mut refused = BTreeMap::<String, Vec<(Link, &str)>>::new();
    let mut refuse = |(name, forge, link, words): Forgery, reader: &Trust| {
        let bytes = forge(&world);
        let broken = twinpact_proof::verify(&bytes, Some(reader)).map(|v| v.level);
        let broken = broken.expect_err(name);
        assert_eq!(broken.link, link, "{name}: {broken}");
        assert!(broken.sentence.contains(words), "{name}: {broken}");
        assert_eq!(check(&bytes, Some(reader), None), format!("22 {link}"), "{name}");
        if link < Link::Trust {
            assert_eq!(check(&bytes, None, None), format!("22 {link}"), "{name}");
        }
        refused.entry(broken.sentence).or_default().push((link, name));
    };
    let table = [chain::CHAIN, papers::PAPERS].concat();
    table.into_iter().for_each(|forgery| refuse(forgery, &trust()));
    TO_OTHER_READERS.iter().for_each(|(forgery, reader)| refuse(*forgery, &reader()));
    for (sentence, forgeries) in &refused {
        let shared = forgeries.len() > 1;
        assert_eq!(shared, ONE_FAULT.contains(&sentence.as_str()), "{sentence}: {forgeries:?}");
        assert!(forgeries.iter().all(|(link, _)| *link == forgeries[0].0), "{sentence}");
    }
    assert!(refused.len() >= 100, "{} different sentences", refused.len());
}
