//! Fresh identifiers: random UUIDs (RFC 9562 §5.4) as URNs.

use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::to_hex;
use twinpact_store::seal::random;

/// A fresh `urn:uuid:…`.
///
/// # Errors
/// `internal` when the operating system gives no randomness.
pub fn urn() -> Result<String, Problem> {
    let mut bytes: [u8; 16] = random_bytes()?;
    let [.., _, _, _, _, _, _, v, _, r, _, _, _, _, _, _, _] = &mut bytes;
    *v = *v & 0x0f | 0x40;
    *r = *r & 0x3f | 0x80;
    let hex = to_hex(&bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
    Ok(format!("urn:uuid:{}", parts.join("-")))
}

/// Random bytes.
///
/// # Errors
/// `internal` when the operating system gives no randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0u8; N];
    match random(&mut bytes) {
        true => Ok(bytes),
        false => Err(Problem::new(codes::INTERNAL, "the operating system gives no randomness")),
    }
}

#[cfg(test)]
mod tests {
    use super::urn;

    #[test]
    fn identifiers_are_random_uuids() {
        let (a, b) = (urn().unwrap(), urn().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.len(), 45);
        assert_eq!(&a[23..24], "4", "{a}");
        assert!("89ab".contains(&a[28..29]), "{a}");
    }
}
