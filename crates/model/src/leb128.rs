//! Numbers of a few bytes for what is packed in memory: LEB128, as in DWARF 5 §7.6.

/// Writes a number.
pub fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Writes bytes behind how many they are.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a number off the front; `None` when none is there.
pub fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Takes bytes behind how many they are.
pub fn take_bytes<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let n = usize::try_from(take(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(n)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{put, put_bytes, take, take_bytes};
    use proptest::prelude::*;

    #[test]
    fn too_few_or_too_many_bytes_are_nothing() {
        for bytes in [&[][..], &[0x80], &[0x80; 11]] {
            assert_eq!(take(&mut &*bytes), None, "{bytes:?}");
        }
        assert_eq!(take_bytes(&mut &[3, 1, 2][..]), None);
    }

    proptest! {
        #[test]
        fn numbers_and_bytes_read_as_written(
            n in any::<u64>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut out = Vec::new();
            put(&mut out, n);
            put_bytes(&mut out, &bytes);
            let mut rest = &*out;
            prop_assert_eq!(take(&mut rest), Some(n));
            prop_assert_eq!(take_bytes(&mut rest), Some(&*bytes));
            prop_assert!(rest.is_empty());
        }
    }
}
