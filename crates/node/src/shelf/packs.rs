//! The whole catalogue compressed, in packs that are kept from one publication to the next.
//!
//! A pack is a run of datasets as a piece of a DEFLATE stream that needs nothing of what is before
//! it (RFC 1951 §3.2.4: what is flushed ends on a byte). Where a run ends is decided by the digest
//! of its last dataset, so that a dataset that is put between others changes one pack or two; all
//! others are taken as they are. The pieces together are one stream with one checksum, which any
//! reader of gzip takes.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::collections::HashMap;
use std::sync::Arc;
use twinpact_dsp::catalog::Card;
use twinpact_proof::Digest;
use twinpact_proof::digest::sha256_parts;

/// One of so many datasets ends a pack: some 64 KiB, twice what DEFLATE looks back.
const ONE_OF: u8 = 64;
/// The header of a gzip stream without a name or a time (RFC 1952 §2.3.1).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A piece of a stream.
#[derive(Debug)]
struct Pack {
    zipped: Vec<u8>,
    crc: Crc,
}

/// Packs by what is in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Packs(HashMap<Digest, Arc<Pack>>);

impl Packs {
    /// The text with all these cards between `open` and `close`, with gzip, and the packs that it
    /// is made of: those that are known already, and new ones. `None` when it cannot be compressed.
    pub(super) fn zipped(
        &self,
        (open, close): (&str, &str),
        cards: &[&Card],
        level: Compression,
    ) -> Option<(Vec<u8>, Packs)> {
        let mut made = Packs::default();
        let mut pieces = vec![Arc::new(piece(open, level, FlushCompress::Full)?)];
        for (n, run) in cards.chunk_by(|card, _| !ends(card)).enumerate() {
            let name = name(n == 0, run);
            let pack = match self.0.get(&name) {
                Some(known) => Arc::clone(known),
                None => Arc::new(piece(&text(n == 0, run), level, FlushCompress::Full)?),
            };
            made.0.insert(name, Arc::clone(&pack));
            pieces.push(pack);
        }
        pieces.push(Arc::new(piece(close, level, FlushCompress::Finish)?));
        Some((stream(&pieces), made))
    }
}

/// What a pack is known by: all that is in it, and whether it is the first, which begins without a
/// comma.
fn name(first: bool, run: &[&Card]) -> Digest {
    let digests: Vec<&[u8]> = run.iter().map(|card| card.digest().as_slice()).collect();
    sha256_parts(&[&[u8::from(first)], &digests.concat()])
}

/// Whether a pack ends with this dataset.
fn ends(card: &Card) -> bool {
    card.digest().first().is_some_and(|byte| byte % ONE_OF == 0)
}

fn text(first: bool, run: &[&Card]) -> String {
    let mut text = String::with_capacity(run.iter().map(|card| card.bytes() + 1).sum());
    for (n, card) in run.iter().enumerate() {
        text.push_str(if n == 0 && first { "" } else { "," });
        text.push_str(card.text());
    }
    text
}

fn piece(text: &str, level: Compression, flush: FlushCompress) -> Option<Pack> {
    let mut compress = Compress::new(level, false);
    // What cannot be compressed grows by some bytes for each block; a flush takes a few more.
    let mut zipped = Vec::with_capacity(text.len() + text.len() / 256 + 64);
    let status = compress.compress_vec(text.as_bytes(), &mut zipped, flush).ok()?;
    let ended = matches!((flush, status), (FlushCompress::Finish, Status::StreamEnd));
    // What fills the room that there was may not be all of it.
    let flushed = !matches!(flush, FlushCompress::Finish) && zipped.len() < zipped.capacity();
    if compress.total_in() != text.len() as u64 || !(ended || flushed) {
        return None;
    }
    zipped.shrink_to_fit();
    let mut crc = Crc::new();
    crc.update(text.as_bytes());
    Some(Pack { zipped, crc })
}

/// One member of gzip (RFC 1952 §2.3).
fn stream(pieces: &[Arc<Pack>]) -> Vec<u8> {
    let bytes: usize = pieces.iter().map(|piece| piece.zipped.len()).sum();
    let mut out = Vec::with_capacity(HEADER.len() + bytes + 8);
    out.extend(HEADER);
    let mut crc = Crc::new();
    for piece in pieces {
        out.extend(&piece.zipped);
        crc.combine(&piece.crc);
    }
    out.extend(crc.sum().to_le_bytes());
    out.extend(crc.amount().to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::{Packs, ends};
    use flate2::Compression;
    use flate2::read::GzDecoder;
    use serde_json::json;
    use std::io::Read as _;
    use std::sync::Arc;
    use twinpact_dsp::catalog::{Card, DatasetOffer, around, body};

    const ENVELOPE: &str = "{\"@type\":\"Catalog\"}";

    fn card(n: usize) -> Card {
        let offer = DatasetOffer {
            id: format!("urn:view:{n:05}"),
            title: Some(format!("View {n}, of which nobody else has as much to say")),
            description: None,
            conforms_to: Vec::new(),
            offer_id: format!("urn:offer:{n}"),
            policy: json!({ "permission": [{ "action": "use" }] }),
            endpoint: "https://a.example/dsp".to_owned(),
            formats: vec!["HttpData-PULL".to_owned()],
        };
        Card::of(&offer).unwrap()
    }

    /// The packs of these datasets, and that they are what a reader of gzip makes of them.
    fn check(known: &Packs, cards: &[Card]) -> Packs {
        let cards: Vec<&Card> = cards.iter().collect();
        let (open, close) = around(ENVELOPE, !cards.is_empty());
        let zipped = known.zipped((&open, close), &cards, Compression::new(6));
        let (bytes, packs) = zipped.unwrap();
        let (mut text, mut reader) = (String::new(), GzDecoder::new(bytes.as_slice()));
        // The checksum and the length at the end are held against what was read.
        reader.read_to_string(&mut text).unwrap();
        assert!(reader.into_inner().is_empty(), "one member, and nothing behind it");
        assert_eq!(text, body(ENVELOPE, &cards));
        packs
    }

    #[test]
    fn one_dataset_more_makes_one_pack_or_two_and_the_rest_is_taken_as_it_is() {
        let all: Vec<Card> = (0..1_000).map(card).collect();
        for count in [0, 1, 2, 1_000] {
            check(&Packs::default(), &all[..count]);
        }
        // Without each of these in turn: the last of a pack as well.
        let end = all.iter().position(ends).unwrap();
        for missing in [0, 1, end, end + 1, 500, 999] {
            let mut fewer = all.clone();
            fewer.remove(missing);
            let before = check(&Packs::default(), &fewer);
            let after = check(&before, &all);
            let is_kept = |name, pack: &Arc<_>| {
                before.0.get(name).is_some_and(|known| Arc::ptr_eq(known, pack))
            };
            let new = after.0.iter().filter(|(name, pack)| !is_kept(*name, pack)).count();
            assert!((1..=2).contains(&new) && after.0.len() > 8, "{missing}: {new} are new");
        }
    }
}
