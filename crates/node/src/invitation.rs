//! An invitation as a line of text: where to join, whose record must stand there, and a secret.
//!
//! `twinpact1_` and base64url (RFC 4648 §5, no padding) of: SHA-256 of the record's payload, 32
//! bytes; the secret, 16; the base URL; the first 4 bytes of SHA-256 over prefix and all of it, so
//! that a typo is told from a lie. The secret is the seed of a key that signs once: who holds the
//! line can join, and what the inviter keeps, the public half, is of no use to a thief.

use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::{Digest, SecretKey, sha256, text64};

/// The longest invitation, in bytes.
pub const MAX_INVITATION_BYTES: usize = 1_024;

const PREFIX: &str = "twinpact1_";
const CHECK_BYTES: usize = 4;
const SECRET_BYTES: usize = 16;

/// What an invitation says. It cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Invitation {
    /// The base URL of the inviter's endpoint.
    pub(crate) endpoint: String,
    /// The fingerprint of the inviter's record.
    pub(crate) fingerprint: Digest,
    /// The secret.
    pub(crate) secret: [u8; SECRET_BYTES],
}

impl Invitation {
    /// Its text: the secret itself.
    ///
    /// # Errors
    /// `config.invalid` when the address makes it longer than what is read.
    pub(crate) fn text(&self) -> Result<String, Problem> {
        let mut bytes = self.fingerprint.to_vec();
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(self.endpoint.as_bytes());
        bytes.extend_from_slice(&check(&bytes));
        let base64 = text64::encode(&bytes).replace('+', "-").replace('/', "_");
        let text = format!("{PREFIX}{}", base64.trim_end_matches('='));
        if text.len() > MAX_INVITATION_BYTES {
            let why = format!(
                "the address of this node has {} bytes: nobody could read the invitation",
                self.endpoint.len()
            );
            return Err(Problem::new(codes::CONFIG_INVALID, why)
                .hint("set a shorter federation.endpoint and start the node again"));
        }
        Ok(text)
    }

    /// Reads what [`text`](Self::text) writes; white space around it is no part of it.
    ///
    /// # Errors
    /// `invitation.malformed` with what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Invitation, Problem> {
        let bad = |why: &str| Problem::new(codes::INVITATION_MALFORMED, why.to_owned());
        let text = text.trim();
        if text.len() > MAX_INVITATION_BYTES {
            return Err(bad("it is too long for an invitation"));
        }
        let Some(base64) = text.strip_prefix(PREFIX) else {
            let other = text.starts_with("twinpact") && text.contains('_');
            return Err(match other {
                true => bad("it is an invitation of another version")
                    .hint("use the same release on both sides"),
                false => bad("an invitation begins with twinpact1_"),
            });
        };
        let typo = || bad("it has a typo: its check sum does not hold").hint("copy it once more");
        let padded = format!("{base64}{}", "=".repeat((4 - base64.len() % 4) % 4));
        // The characters of the other base64 alphabet are none of an invitation.
        let plain = !base64.contains(['+', '/', '=']);
        let bytes = text64::decode(&padded.replace('-', "+").replace('_', "/"));
        let bytes = bytes.filter(|_| plain).ok_or_else(typo)?;
        let (body, sum) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(typo)?;
        if check(body) != *sum {
            return Err(typo());
        }
        let whole = || {
            let (fingerprint, rest) = body.split_first_chunk()?;
            let (secret, endpoint) = rest.split_first_chunk()?;
            let endpoint = String::from_utf8(endpoint.to_vec()).ok()?;
            Some(Invitation { endpoint, fingerprint: *fingerprint, secret: *secret })
        };
        whole().ok_or_else(|| bad("it is not of the form of an invitation"))
    }

    /// The key that signs once.
    pub(crate) fn key(&self) -> SecretKey {
        SecretKey::new(&sha256(&self.secret))
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = twinpact_proof::digest::sha256_parts(&[PREFIX.as_bytes(), body]);
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::{Invitation, MAX_INVITATION_BYTES};
    use proptest::prelude::*;

    fn invitation(endpoint: &str) -> Invitation {
        let endpoint = endpoint.to_owned();
        Invitation { endpoint, fingerprint: [7; 32], secret: [9; 16] }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let good = invitation("https://operator.example:8443").text().unwrap();
        let check = |text: &str, why: &str| {
            let problem = Invitation::parse(text).err().unwrap();
            assert_eq!(problem.code.name, "invitation.malformed", "{text}");
            assert!(problem.message.contains(why), "{text}: {problem}");
        };
        assert!(Invitation::parse(&format!(" {good}\n")).is_ok());
        check("", "begins with twinpact1_");
        check("hello", "begins with twinpact1_");
        check(&good.replace("twinpact1_", "twinpact2_"), "another version");
        check("twinpact1_", "typo");
        check("twinpact1_AAAA", "typo");
        check(&format!("{good}A"), "typo");
        check(&good[..good.len() - 1], "typo");
        check(&good.replace('B', "+"), "typo");
        check(&"x".repeat(MAX_INVITATION_BYTES + 1), "too long");
    }

    #[test]
    fn none_is_made_that_could_not_be_read() {
        let of = |bytes: usize| invitation(&format!("https://{}", "a".repeat(bytes - 8))).text();
        // 52 bytes besides the address, and four characters for three bytes.
        let most = (MAX_INVITATION_BYTES - super::PREFIX.len()) * 3 / 4 - 52;
        assert!(Invitation::parse(&of(most).unwrap()).is_ok());
        assert_eq!(of(most + 1).unwrap_err().code.name, "config.invalid");
    }

    proptest! {
        #[test]
        fn it_reads_as_written_and_every_changed_character_is_a_typo(
            endpoint in "https://[a-z0-9.]{1,40}(:[0-9]{1,5})?",
            at in any::<prop::sample::Index>(),
        ) {
            let one = invitation(&endpoint);
            let text = one.text().unwrap();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            prop_assert!(Invitation::parse(&text) == Ok(one.clone()));
            let at = 10 + at.index(text.len() - 10);
            let other = if &text[at..=at] == "x" { "y" } else { "x" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            // The last character may have bits that stand for nothing: one form only is read.
            prop_assert!(Invitation::parse(&changed) != Ok(one));
            prop_assert!(Invitation::parse(&changed).is_err());
        }
    }
}
