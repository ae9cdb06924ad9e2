//! The plain payload of an entry: its seed and its attributes as CBOR.

use twinpact_model::Attribute;
use twinpact_model::entry::{GROUP, MAX_ATTRIBUTES};
use twinpact_proof::cbor::{Reader, Writer};
use twinpact_proof::commit::{Attr, Seed};

/// `seed ‖ CBOR n ‖ CBOR [path, datatype, lexical, … n times]`.
#[must_use]
pub fn encode(seed: &Seed, attributes: &[Attr<'_>]) -> Vec<u8> {
    // Two bytes a text are enough for the length of nearly all; sealing adds a tag.
    let texts = |a: &Attr<'_>| a.path.len() + a.datatype.len() + a.lexical.len() + 6;
    let room = seed.len() + 8 + attributes.iter().map(texts).sum::<usize>() + 16;
    let mut bytes = Vec::with_capacity(room);
    bytes.extend_from_slice(seed);
    let head = Writer::after(bytes).uint(attributes.len() as u64).nested(attributes.len() * 3);
    let all = attributes
        .iter()
        .fold(head, |writer, a| writer.text(a.path).text(a.datatype).text(a.lexical));
    all.done()
}

/// Reads it; `None` when it is not of the form.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(Seed, Vec<Attr<'_>>)> {
    let (seed, rest) = bytes.split_first_chunk::<32>()?;
    let mut reader = Reader::new(rest);
    let count = usize::try_from(reader.uint()?).ok().filter(|n| *n <= MAX_ATTRIBUTES)?;
    reader.array(count * 3)?;
    let mut attributes = Vec::with_capacity(count);
    for _ in 0..count {
        attributes.push(Attr {
            path: reader.text()?,
            datatype: reader.text()?,
            lexical: reader.text()?,
        });
    }
    reader.end()?;
    Some((*seed, attributes))
}

/// The attributes of an entry as the commitment wants them: its groups, then its values.
#[must_use]
pub fn attrs<'a>(groups: &'a [(&'static str, String)], what: &'a [Attribute]) -> Vec<Attr<'a>> {
    let mut all = Vec::with_capacity(groups.len() + what.len());
    all.extend(groups.iter().map(|(path, lexical)| Attr { path, datatype: GROUP, lexical }));
    all.extend(what.iter().map(|a| Attr {
        path: &a.path,
        datatype: &a.datatype,
        lexical: &a.lexical,
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::{attrs, decode, encode};
    use twinpact_model::Attribute;

    #[test]
    fn payloads_read_as_written() {
        for n in [0, 1, 7, 8, 32] {
            let attributes: Vec<Attribute> =
                (0..n).map(|i| Attribute::new(format!("a{i}"), "double", "1.50")).collect();
            let attributes = attrs(&[], &attributes);
            let bytes = encode(&[9; 32], &attributes);
            assert_eq!(decode(&bytes), Some(([9; 32], attributes.clone())));
            assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(decode(&[0; 31]), None);
    }
}
