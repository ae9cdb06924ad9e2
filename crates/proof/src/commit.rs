//! Commitments to the attributes of an entry, and their disclosure one by one (docs/format.md).
//!
//! Every attribute gets a salt of its own from the entry's seed, so a withheld value cannot be
//! guessed from its digest; sorting and padding hide how many there are and where. A full opening
//! (the seed) explains every digest, so nothing can be smuggled in unseen.

use crate::cbor::{Reader, Writer};
use crate::digest::{Digest, sha256, sha256_parts};
use crate::tree;
use std::cmp::Ordering;

/// The secret that all salts of one entry come from; it lives only inside the sealed payload.
pub type Seed = [u8; 32];
/// A salt.
pub type Salt = [u8; 16];

/// The most attributes under one commitment.
pub const MAX_ATTRIBUTES: usize = 32;
/// What a digest and all that stands before them take in the bytes of a commitment, at most.
const DIGEST_ROOM: usize = 34;
const HEAD_ROOM: usize = 16;
const ATTRIBUTE_SALTS: u8 = 0x53;
const POINT_SALTS: u8 = 0x54;

/// One attribute: path, datatype, lexical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr<'a> {
    /// Its name.
    pub path: &'a str,
    /// How to read the lexical form.
    pub datatype: &'a str,
    /// The value as text.
    pub lexical: &'a str,
}

/// A commitment with all that can be disclosed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// The payload commitment that stands in the leaf.
    pub pc: Digest,
    /// The attribute bytes `a_i`, in the order of the attributes.
    pub openings: Vec<Vec<u8>>,
    /// All digests and dummies, sorted.
    pub digests: Vec<Digest>,
}

/// What a reader is shown: some openings, and the other digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// The bytes `a_i` of the disclosed attributes.
    pub disclosed: Vec<Vec<u8>>,
    /// The digests of everything else, dummies included, sorted.
    pub withheld: Vec<Digest>,
}

/// Commits to these attributes in their order; `None` for more than [`MAX_ATTRIBUTES`] or none.
#[must_use]
pub fn commit(seed: &Seed, attributes: &[Attr<'_>]) -> Option<Commitment> {
    let mut openings = Vec::with_capacity(attributes.len());
    let (digests, writer) = digests(seed, attributes, |opening| openings.push(opening.to_vec()))?;
    let digests = digests.sorted().to_vec();
    Some(Commitment { pc: commitment_of(&digests, writer), openings, digests })
}

/// The payload commitment to these attributes, when nothing of it is to be disclosed now; `None` as
/// for [`commit`].
#[must_use]
pub fn payload_commitment(seed: &Seed, attributes: &[Attr<'_>]) -> Option<Digest> {
    let (digests, writer) = digests(seed, attributes, |_| ())?;
    Some(commitment_of(digests.sorted(), writer))
}

/// The digests and dummies of an entry: the first `count` of `all`.
struct Digests {
    all: [Digest; MAX_ATTRIBUTES],
    count: usize,
}

impl Digests {
    fn sorted(&self) -> &[Digest] {
        self.all.get(..self.count).unwrap_or_default()
    }
}

/// The digests of these attributes and the dummies, sorted; each opening is shown on the way. The
/// writer that they were written with may be used again: memory costs more than a hash.
fn digests(
    seed: &Seed,
    attributes: &[Attr<'_>],
    mut opened: impl FnMut(&[u8]),
) -> Option<(Digests, Writer)> {
    let used = attributes.len();
    if used == 0 {
        return None;
    }
    let count = [8, 16, MAX_ATTRIBUTES].into_iter().find(|n| *n >= used)?;
    let mut all = [[0; 32]; MAX_ATTRIBUTES];
    let (values, dummies) = all.get_mut(..count)?.split_at_mut(used);
    let mut writer = Writer::with_room(HEAD_ROOM + DIGEST_ROOM * count);
    let mut blocks = (0..).map(|j| block(seed, ATTRIBUTE_SALTS, j));
    for (pair, slots) in attributes.chunks(2).zip(values.chunks_mut(2)) {
        let block = blocks.next()?;
        let salts = [block.first_chunk::<16>()?, block.last_chunk::<16>()?];
        for ((attribute, slot), salt) in pair.iter().zip(slots).zip(salts) {
            writer = write_attribute(writer, salt, attribute);
            *slot = sha256(writer.written());
            opened(writer.written());
        }
    }
    dummies.iter_mut().zip(blocks).for_each(|(slot, block)| *slot = block);
    all.get_mut(..count)?.sort_unstable_by(by_front);
    Some((Digests { all, count }, writer))
}

/// The order of the bytes; nearly always the first eight of two digests tell.
fn by_front(one: &Digest, other: &Digest) -> Ordering {
    let front = |digest: &Digest| digest.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
    front(one).cmp(&front(other)).then_with(|| one.cmp(other))
}

impl Commitment {
    /// Shows the attributes at these positions and withholds the rest.
    #[must_use]
    pub fn disclose(&self, positions: &[usize]) -> Disclosure {
        let disclosed: Vec<Vec<u8>> =
            positions.iter().filter_map(|i| self.openings.get(*i).cloned()).collect();
        let shown: Vec<Digest> = disclosed.iter().map(|a| sha256(a)).collect();
        let withheld = self.digests.iter().filter(|d| !shown.contains(d)).copied().collect();
        Disclosure { disclosed, withheld }
    }
}

impl Disclosure {
    /// The commitment that these openings and digests make; `None` when their number is none that a
    /// commitment can have, or one stands twice.
    #[must_use]
    pub fn commitment(&self) -> Option<Digest> {
        let mut digests: Vec<Digest> = self.disclosed.iter().map(|a| sha256(a)).collect();
        digests.extend_from_slice(&self.withheld);
        digests.sort_unstable();
        let once = digests.windows(2).all(|pair| pair.first() != pair.last());
        (matches!(digests.len(), 8 | 16 | 32) && once)
            .then(|| commitment_of(&digests, Writer::default()))
    }
}

fn commitment_of(sorted: &[Digest], writer: Writer) -> Digest {
    let writer = writer.restart(2).text("twinpact-c/1").nested(sorted.len());
    sha256(sorted.iter().fold(writer, |writer, digest| writer.bytes(digest)).written())
}

/// The bytes that an attribute's digest is over.
#[must_use]
pub fn attribute_bytes(salt: &Salt, attribute: &Attr<'_>) -> Vec<u8> {
    write_attribute(Writer::default(), salt, attribute).done()
}

fn write_attribute(writer: Writer, salt: &Salt, attribute: &Attr<'_>) -> Writer {
    writer
        .restart(5)
        .text("twinpact-d/1")
        .bytes(salt)
        .text(attribute.path)
        .text(attribute.datatype)
        .text(attribute.lexical)
}

/// Reads disclosed attribute bytes; `None` when they are not exactly of that form.
#[must_use]
pub fn read_attribute(bytes: &[u8]) -> Option<Attr<'_>> {
    let mut reader = Reader::new(bytes);
    reader.array(5)?;
    if reader.text()? != "twinpact-d/1" || reader.bytes()?.len() != 16 {
        return None;
    }
    let attribute =
        Attr { path: reader.text()?, datatype: reader.text()?, lexical: reader.text()? };
    reader.end()?;
    Some(attribute)
}

/// One point of a batch: time, datatype and lexical form as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point<'a> {
    /// When it was true.
    pub time: &'a str,
    /// How to read the lexical form.
    pub datatype: &'a str,
    /// The value as text.
    pub lexical: &'a str,
}

/// The bytes of the `i`-th point of an entry with this seed, whose RFC 6962 leaf hash stands in the
/// tree of points.
#[must_use]
pub fn point_bytes(seed: &Seed, i: usize, point: &Point<'_>) -> Vec<u8> {
    Writer::array(5)
        .text("twinpact-p/1")
        .bytes(&salt(seed, POINT_SALTS, i))
        .text(point.time)
        .text(point.datatype)
        .text(point.lexical)
        .done()
}

/// Reads the bytes of a point; `None` when they are not exactly of that form.
#[must_use]
pub fn read_point(bytes: &[u8]) -> Option<Point<'_>> {
    let mut reader = Reader::new(bytes);
    reader.array(5)?;
    if reader.text()? != "twinpact-p/1" || reader.bytes()?.len() != 16 {
        return None;
    }
    let point = Point { time: reader.text()?, datatype: reader.text()?, lexical: reader.text()? };
    reader.end()?;
    Some(point)
}

/// Reads the lexical form of an attribute with datatype `points`: how many there are, and the root
/// over them.
#[must_use]
pub fn read_points(lexical: &str) -> Option<(u64, Digest)> {
    let (count, root) = lexical.split_once(':')?;
    let number: u64 = count.parse().ok()?;
    (number.to_string() == count).then_some((number, crate::digest::from_hex(root)?))
}

/// The lexical form `COUNT:HEX(root)` of an attribute with datatype `points`.
#[must_use]
pub fn points_lexical<'a>(seed: &Seed, points: impl IntoIterator<Item = Point<'a>>) -> String {
    let mut tree = tree::Tree::default();
    for (i, point) in points.into_iter().enumerate() {
        tree.append(tree::leaf_hash(&point_bytes(seed, i, &point)));
    }
    format!("{}:{}", tree.size(), crate::digest::to_hex(&tree.root()))
}

fn block(seed: &Seed, stream: u8, j: usize) -> Digest {
    let number = u32::try_from(j).unwrap_or(u32::MAX);
    sha256_parts(&[&[stream], seed, &number.to_be_bytes()])
}

/// 16 bytes each from the blocks, in order: two salts a block.
fn salt(seed: &Seed, stream: u8, i: usize) -> Salt {
    let block = block(seed, stream, i / 2);
    let half =
        if i.is_multiple_of(2) { block.first_chunk::<16>() } else { block.last_chunk::<16>() };
    half.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{
        Attr, MAX_ATTRIBUTES, Point, commit, point_bytes, points_lexical, read_attribute,
        read_point, read_points,
    };
    use proptest::prelude::*;

    fn attributes(n: usize) -> Vec<(String, String)> {
        (0..n).map(|i| (format!("a{i}"), format!("{i}.5"))).collect()
    }

    fn attrs(owned: &[(String, String)]) -> Vec<Attr<'_>> {
        owned.iter().map(|(p, l)| Attr { path: p, datatype: "double", lexical: l }).collect()
    }

    #[test]
    fn numbers_are_padded() {
        for (n, digests) in [(1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (32, 32)] {
            let owned = attributes(n);
            assert_eq!(commit(&[7; 32], &attrs(&owned)).unwrap().digests.len(), digests);
        }
        assert!(commit(&[7; 32], &[]).is_none());
        assert!(commit(&[7; 32], &attrs(&attributes(MAX_ATTRIBUTES + 1))).is_none());
    }

    #[test]
    fn points_of_nothing_have_a_root_too() {
        assert!(points_lexical(&[0; 32], []).starts_with("0:e3b0c44298fc1c14"));
        let one = Point { time: "t", datatype: "row", lexical: "[]" };
        let bytes = point_bytes(&[0; 32], 0, &one);
        assert_eq!(read_point(&bytes), Some(one));
        assert_eq!(read_point(&bytes[..bytes.len() - 1]), None);
        let lexical = points_lexical(&[0; 32], [one]);
        assert_eq!(read_points(&lexical).map(|(count, _)| count), Some(1));
        for other in ["", "1:", &lexical.replace("1:", "01:"), &lexical.to_uppercase()] {
            assert_eq!(read_points(other), None, "{other}");
        }
        assert_ne!(points_lexical(&[0; 32], [one]), points_lexical(&[1; 32], [one]));
    }

    proptest! {
        #[test]
        fn any_disclosure_opens_the_commitment(n in 1usize..=32, mask: u32, seed: [u8; 32]) {
            let owned = attributes(n);
            let commitment = commit(&seed, &attrs(&owned)).unwrap();
            let positions: Vec<usize> = (0..n).filter(|i| mask >> i & 1 == 1).collect();
            let disclosure = commitment.disclose(&positions);
            prop_assert_eq!(disclosure.commitment(), Some(commitment.pc));
            for (bytes, i) in disclosure.disclosed.iter().zip(&positions) {
                prop_assert_eq!(read_attribute(bytes).unwrap().lexical, owned[*i].1.as_str());
            }
        }

        #[test]
        fn any_other_byte_does_not(position in 0usize..40, flip in 1u8..) {
            let owned = attributes(5);
            let commitment = commit(&[3; 32], &attrs(&owned)).unwrap();
            let mut disclosure = commitment.disclose(&[0, 1]);
            let byte = position % disclosure.disclosed[1].len();
            disclosure.disclosed[1][byte] ^= flip;
            prop_assert_ne!(disclosure.commitment(), Some(commitment.pc));
        }
    }
}
