//! The plain payload of an entry: its seed and its attributes as CBOR.

use twinpact_model::Attribute;
use twinpact_model::entry::MAX_ATTRIBUTES;
use twinpact_proof::cbor::{Reader, Writer};
use twinpact_proof::commit::{Attr, Seed};

/// `seed ‖ CBOR n ‖ CBOR [path, datatype, lexical, … n times]`.
#[must_use]
pub fn encode(seed: &Seed, attributes: &[Attribute]) -> Vec<u8> {
    let mut writer = Writer::default().uint(attributes.len() as u64).nested(attributes.len() * 3);
    for attribute in attributes {
        writer = writer.text(&attribute.path).text(&attribute.datatype).text(&attribute.lexical);
    }
    let mut bytes = seed.to_vec();
    bytes.extend(writer.done());
    bytes
}

/// Reads it; `None` when it is not of the form.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(Seed, Vec<Attribute>)> {
    let (seed, rest) = bytes.split_first_chunk::<32>()?;
    let mut reader = Reader::new(rest);
    let count = usize::try_from(reader.uint()?).ok().filter(|n| *n <= MAX_ATTRIBUTES)?;
    reader.array(count * 3)?;
    let mut attributes = Vec::with_capacity(count);
    for _ in 0..count {
        attributes.push(Attribute::new(reader.text()?, reader.text()?, reader.text()?));
    }
    reader.end()?;
    Some((*seed, attributes))
}

/// The attributes as the commitment wants them.
#[must_use]
pub fn attrs(attributes: &[Attribute]) -> Vec<Attr<'_>> {
    attributes
        .iter()
        .map(|a| Attr { path: &a.path, datatype: &a.datatype, lexical: &a.lexical })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use twinpact_model::Attribute;

    #[test]
    fn payloads_read_as_written() {
        for n in [0, 1, 7, 8, 32] {
            let attributes: Vec<Attribute> =
                (0..n).map(|i| Attribute::new(format!("a{i}"), "double", "1.50")).collect();
            let bytes = encode(&[9; 32], &attributes);
            assert_eq!(decode(&bytes), Some(([9; 32], attributes)));
            assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(decode(&[0; 31]), None);
    }
}
