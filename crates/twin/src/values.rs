//! The values of one fact, packed into one piece of memory: there are millions of them.
//!
//! `(number, length, lexical form)` after one another, by rising number; number and length as
//! LEB128. The lexical forms are kept to the letter.

use twinpact_model::leb128;

/// Lexical forms by the number of their attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values(Box<[u8]>);

impl Values {
    /// Packs them.
    pub(crate) fn pack(mut values: Vec<(u16, &str)>) -> Values {
        values.sort_by_key(|(number, _)| *number);
        // Most numbers and lengths take one byte each.
        let room = values.iter().map(|(_, lexical)| lexical.len() + 2).sum();
        let mut bytes = Vec::with_capacity(room);
        for (number, lexical) in values {
            leb128::put(&mut bytes, u64::from(number));
            leb128::put_bytes(&mut bytes, lexical.as_bytes());
        }
        Values(bytes.into_boxed_slice())
    }

    /// Number of the attribute and lexical form, rising.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || next(&mut rest))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lexical form of an attribute.
    #[must_use]
    pub fn get(&self, attribute: u16) -> Option<&str> {
        self.iter().find(|(number, _)| *number == attribute).map(|(_, lexical)| lexical)
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a str)> {
    let number = u16::try_from(leb128::take(rest)?).ok()?;
    Some((number, std::str::from_utf8(leb128::take_bytes(rest)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::Values;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn long_forms_and_large_numbers_are_kept() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 1 << 20] {
            let text = "é".repeat(length);
            let values = Values::pack(vec![(u16::MAX, text.as_str()), (128, "1.50")]);
            assert_eq!(
                (values.get(u16::MAX), values.get(128)),
                (Some(text.as_str()), Some("1.50"))
            );
            assert_eq!((values.len(), values.get(0)), (2, None));
        }
        assert!(Values::default().is_empty() && Values::default().get(0).is_none());
    }

    proptest! {
        #[test]
        fn values_read_as_packed(
            values in proptest::collection::btree_map(any::<u16>(), any::<String>(), 0..8),
        ) {
            let all = values.iter().rev().map(|(n, text)| (*n, text.as_str())).collect();
            let packed = Values::pack(all);
            let back: BTreeMap<u16, String> =
                packed.iter().map(|(n, text)| (n, text.to_owned())).collect();
            prop_assert!(packed.iter().is_sorted());
            prop_assert_eq!(packed.len(), values.len());
            prop_assert_eq!(back, values);
        }
    }
}
