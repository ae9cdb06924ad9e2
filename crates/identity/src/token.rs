//! Access tokens: opaque, 256 bits, kept as their SHA-256 only.
//!
//! A token is bound to agreement, transfer, view, caller (a SPIFFE id, not a certificate) and
//! revocation epoch, and lives at most ten minutes. It says nothing by itself: all facts stand with
//! its digest. A token that is refreshed stays good until the new one is first used, so that an
//! answer lost on the way does not cut a partner off.

use crate::spiffe::SpiffeId;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use twinpact_model::time::WallTime;
use twinpact_model::{Iri, Problem, codes};
use twinpact_proof::{Digest, sha256};

/// The longest life of a token, in seconds: ten minutes.
pub const MAX_TOKEN_SECONDS: i64 = 600;
/// The length of a token's text, in bytes: 256 bits in base64url without padding.
pub const TOKEN_BYTES: usize = 43;

/// A token as its holder has it. It cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// The token of 32 random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        AccessToken(URL_SAFE_NO_PAD.encode(random))
    }

    /// Its text (RFC 4648 §5, no padding): the secret itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(sha256(self.0.as_bytes()))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("access token")
    }
}

/// What is stored of a token: SHA-256 of its text. A look-up by it is safe; nothing about the token
/// can be learnt from how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub Digest);

impl TokenDigest {
    /// The digest of a text that a caller presents.
    ///
    /// # Errors
    /// `token.invalid` when it is not a text of [`TOKEN_BYTES`] in base64url.
    pub fn of(presented: &str) -> Result<Self, Problem> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if presented.len() == TOKEN_BYTES && presented.bytes().all(letter) {
            Ok(TokenDigest(sha256(presented.as_bytes())))
        } else {
            Err(invalid("this is not an access token"))
        }
    }

    /// Whether both are of one token, compared in constant time.
    #[must_use]
    pub fn matches(&self, other: &TokenDigest) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// The agreement.
    pub agreement: Iri,
    /// The transfer process.
    pub transfer: Iri,
    /// The view.
    pub view: Iri,
    /// The program that may use it.
    pub caller: SpiffeId,
    /// The revocation epoch of the agreement when it was issued.
    pub epoch: u64,
    /// The end of its life.
    pub expires: WallTime,
}

/// What a request wants to use a token for.
#[derive(Debug, Clone, Copy)]
pub struct TokenUse<'a> {
    /// The view that is asked for.
    pub view: &'a Iri,
    /// Who asks, from the connection.
    pub caller: &'a SpiffeId,
    /// The revocation epoch of the agreement now.
    pub epoch: u64,
    /// The wall clock.
    pub now: WallTime,
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// Its digest.
    pub digest: TokenDigest,
    /// What it is good for.
    pub facts: TokenFacts,
}

impl StoredToken {
    /// Whether the token may be used so.
    ///
    /// # Errors
    /// `token.expired` for the right caller of a token that has run out, `token.invalid` for
    /// anything else that does not fit. Neither says what would have fitted.
    pub fn check(&self, wanted: &TokenUse<'_>) -> Result<(), Problem> {
        let facts = &self.facts;
        if &facts.caller != wanted.caller {
            return Err(invalid("the access token was issued to another caller"));
        }
        if &facts.view != wanted.view {
            return Err(invalid("the access token was issued for another view"));
        }
        if facts.epoch != wanted.epoch {
            return Err(invalid("the access token was revoked"));
        }
        if wanted.now >= facts.expires {
            let why = format!("the access token expired at {}", facts.expires.0);
            return Err(Problem::new(codes::TOKEN_EXPIRED, why).hint("refresh it"));
        }
        Ok(())
    }
}

/// The tokens of one transfer: the one in use, and the one that will replace it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The token in use.
    pub current: StoredToken,
    /// Its successor, issued and not used yet.
    pub next: Option<StoredToken>,
}

impl Tokens {
    /// The first token of a transfer.
    ///
    /// # Errors
    /// `internal` when it would live longer than [`MAX_TOKEN_SECONDS`].
    pub fn first(token: &AccessToken, facts: TokenFacts, now: WallTime) -> Result<Self, Problem> {
        Ok(Tokens { current: stored(token, facts, now)?, next: None })
    }

    /// The same with a successor; one that was issued before and never used is dropped.
    ///
    /// # Errors
    /// `internal` when it would live longer than [`MAX_TOKEN_SECONDS`], or is for anything else
    /// than the token in use: only epoch and expiry may be new.
    pub fn refresh(
        &self,
        token: &AccessToken,
        facts: TokenFacts,
        now: WallTime,
    ) -> Result<Self, Problem> {
        let next = stored(token, facts, now)?;
        let (epoch, expires) = (next.facts.epoch, next.facts.expires);
        if next.facts != (TokenFacts { epoch, expires, ..self.current.facts.clone() }) {
            let why = "a refreshed access token would be for something else";
            return Err(Problem::new(codes::INTERNAL, why));
        }
        Ok(Tokens { current: self.current.clone(), next: Some(next) })
    }

    /// What the tokens are after this one was presented: the same, or the successor in place of the
    /// one in use, which is then retired.
    ///
    /// # Errors
    /// `token.invalid` when it is none of them, and as [`StoredToken::check`].
    pub fn present(&self, digest: &TokenDigest, wanted: &TokenUse<'_>) -> Result<Self, Problem> {
        if let Some(next) = self.next.as_ref().filter(|next| next.digest.matches(digest)) {
            next.check(wanted)?;
            return Ok(Tokens { current: next.clone(), next: None });
        }
        if self.current.digest.matches(digest) {
            self.current.check(wanted)?;
            return Ok(self.clone());
        }
        Err(invalid("the access token is unknown or was replaced"))
    }
}

fn stored(token: &AccessToken, facts: TokenFacts, now: WallTime) -> Result<StoredToken, Problem> {
    if facts.expires.0 > now.0.plus_seconds(MAX_TOKEN_SECONDS) {
        let why = format!("an access token would live longer than {MAX_TOKEN_SECONDS} s");
        return Err(Problem::new(codes::INTERNAL, why));
    }
    Ok(StoredToken { digest: token.digest(), facts })
}

fn invalid(why: &str) -> Problem {
    Problem::new(codes::TOKEN_INVALID, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{AccessToken, MAX_TOKEN_SECONDS, TokenDigest, TokenFacts, TokenUse, Tokens};
    use crate::spiffe::SpiffeId;
    use proptest::prelude::*;
    use twinpact_model::Iri;
    use twinpact_model::time::{Timestamp, WallTime};

    const NOW: i64 = 1_790_000_000;

    fn at(seconds: i64) -> WallTime {
        WallTime(Timestamp::from_seconds(NOW + seconds))
    }

    fn facts(expires: i64) -> TokenFacts {
        TokenFacts {
            agreement: Iri::new("urn:agreement:1").unwrap(),
            transfer: Iri::new("urn:transfer:1").unwrap(),
            view: Iri::new("urn:view:1").unwrap(),
            caller: SpiffeId::parse("spiffe://b.example/twinpact/n/node").unwrap(),
            epoch: 3,
            expires: at(expires),
        }
    }

    /// Presents the token to the tokens with one thing changed.
    fn present(
        tokens: &Tokens,
        token: &AccessToken,
        change: impl Fn(&mut TokenFacts, &mut i64),
    ) -> Result<Tokens, &'static str> {
        let (mut facts, mut now) = (facts(0), 0);
        change(&mut facts, &mut now);
        let wanted =
            TokenUse { view: &facts.view, caller: &facts.caller, epoch: facts.epoch, now: at(now) };
        let digest = TokenDigest::of(token.secret()).unwrap();
        tokens.present(&digest, &wanted).map_err(|problem| problem.code.name)
    }

    #[test]
    fn a_token_is_good_for_what_it_was_issued_for() {
        let token = AccessToken::new(&[1; 32]);
        let tokens = Tokens::first(&token, facts(600), at(0)).unwrap();
        let check = |change: &dyn Fn(&mut TokenFacts, &mut i64), expect: Result<(), &str>| {
            assert_eq!(present(&tokens, &token, change).map(|_| ()), expect);
        };
        let other = SpiffeId::parse("spiffe://b.example/twinpact/m/node").unwrap();
        check(&|_, _| {}, Ok(()));
        check(&|_, now| *now = 599, Ok(()));
        check(&|_, now| *now = 600, Err("token.expired"));
        check(&|f, _| f.view = Iri::new("urn:view:2").unwrap(), Err("token.invalid"));
        check(&|f, _| f.epoch = 4, Err("token.invalid"));
        check(&|f, _| f.epoch = 2, Err("token.invalid"));
        check(&|f, _| f.caller = other.clone(), Err("token.invalid"));
        // Another caller does not even learn that it has run out.
        check(
            &|f, now| {
                f.caller = other.clone();
                *now = 700;
            },
            Err("token.invalid"),
        );
    }

    #[test]
    fn the_old_token_is_retired_when_the_new_one_is_first_used() {
        let (old, new, newer) =
            (AccessToken::new(&[1; 32]), AccessToken::new(&[2; 32]), AccessToken::new(&[3; 32]));
        let same = |_: &mut TokenFacts, _: &mut i64| {};
        let tokens = Tokens::first(&old, facts(600), at(0)).unwrap();
        assert_eq!(present(&tokens, &new, same), Err("token.invalid"));

        let tokens = tokens.refresh(&new, facts(600), at(0)).unwrap();
        assert_eq!(present(&tokens, &old, same).as_ref(), Ok(&tokens), "the answer may be lost");
        let replaced = tokens.refresh(&newer, facts(600), at(0)).unwrap();
        assert_eq!(present(&replaced, &new, same), Err("token.invalid"));

        let after = present(&tokens, &new, same).unwrap();
        assert_eq!(present(&after, &old, same), Err("token.invalid"));
        assert_eq!(present(&after, &new, same).as_ref(), Ok(&after));
        // A new token that is refused does not retire the old one.
        let refused = present(&tokens, &new, |f, _| f.epoch = 9);
        assert_eq!(refused, Err("token.invalid"));
    }

    #[test]
    fn a_refreshed_token_is_for_the_same() {
        let (old, new) = (AccessToken::new(&[1; 32]), AccessToken::new(&[2; 32]));
        let tokens = Tokens::first(&old, facts(300), at(0)).unwrap();
        let check = |change: &dyn Fn(&mut TokenFacts), ok: bool| {
            let mut facts = facts(600);
            change(&mut facts);
            assert_eq!(tokens.refresh(&new, facts.clone(), at(0)).is_ok(), ok, "{facts:?}");
        };
        let other = Iri::new("urn:other:1").unwrap();
        check(&|_| {}, true);
        check(&|f| f.epoch = 4, true);
        check(&|f| f.agreement = other.clone(), false);
        check(&|f| f.transfer = other.clone(), false);
        check(&|f| f.view = other.clone(), false);
        check(&|f| f.caller = SpiffeId::parse("spiffe://c.example/n").unwrap(), false);
    }

    #[test]
    fn a_token_has_a_longest_life_and_one_length() {
        let token = AccessToken::new(&[1; 32]);
        assert!(Tokens::first(&token, facts(MAX_TOKEN_SECONDS), at(0)).is_ok());
        let tokens = Tokens::first(&token, facts(1), at(0)).unwrap();
        let long = facts(MAX_TOKEN_SECONDS + 1);
        assert!(Tokens::first(&token, long.clone(), at(0)).is_err());
        assert!(tokens.refresh(&token, long, at(0)).is_err());
        for text in ["", &"a".repeat(42), &"a".repeat(44), &"=".repeat(43), &"é".repeat(21)] {
            assert!(TokenDigest::of(text).is_err(), "{text}");
        }
        assert!(!format!("{token:?}").contains(token.secret()));
    }

    proptest! {
        #[test]
        fn tokens_match_themselves_only(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
            let (one, two) = (AccessToken::new(&a), AccessToken::new(&b));
            prop_assert_eq!(TokenDigest::of(one.secret()).unwrap(), one.digest());
            prop_assert_eq!(one.digest().matches(&two.digest()), a == b);
        }
    }
}
