//! Claims of who calls, for connectors that do no mutual TLS: JSON Web Tokens (RFC 7519) in compact
//! form (RFC 7515 §7.1), signed with ES256 (RFC 7518 §3.4), good for minutes.
//!
//! A claim shows that somebody who had the key wrote it for this audience a while ago. It is bound
//! to no connection, so that whoever sees it may use it until it ends: less than a certificate
//! shows. The key is one that the reader has pinned; nothing in a token says with which it is to be
//! checked, and no algorithm but one is known.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use twinpact_model::{Problem, WallTime, codes};
use twinpact_proof::{Json, sha256};

/// How long claims that we sign are good, in seconds.
pub const CLAIMS_LIFE_S: i64 = 300;
/// How long claims of others may be good at most, in seconds.
pub const MAX_CLAIMS_LIFE_S: i64 = 600;
/// How far the clocks of two connectors may be apart, in seconds.
pub const CLAIMS_SKEW_S: i64 = 60;
/// The longest token that is looked at, in bytes.
pub const MAX_CLAIMS_BYTES: usize = 4096;

/// The most keys that somebody signs claims with at a time.
pub const MAX_CLAIMS_KEYS: usize = 8;

const ALGORITHM: &str = "ES256";
/// A point of P-256 as it is: `4`, x and y (SEC 1 §2.3.3).
const POINT_BYTES: usize = 65;

/// Why claims do not show that somebody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimsFault {
    /// They are no signed token of ES256, or say things in no form that we read.
    Form,
    /// They are not signed with that key.
    Signature,
    /// They are by somebody else, or about somebody else.
    Issuer,
    /// They are for somebody else.
    Audience,
    /// They have ended, begin later, or are good for too long.
    Time,
}

impl fmt::Display for ClaimsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClaimsFault::Form => "they are no token signed with ES256",
            ClaimsFault::Signature => "they are not signed with the pinned key",
            ClaimsFault::Issuer => "they are by or about somebody else",
            ClaimsFault::Audience => "they are for somebody else",
            ClaimsFault::Time => "they have ended, begin later, or are good for too long",
        })
    }
}

/// What a token says.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// Who calls: issuer and subject in one, a participant id.
    pub issuer: &'a str,
    /// Who is called: a participant id.
    pub audience: &'a str,
    /// A name that no other token of ours has.
    pub jti: &'a str,
    /// When it is signed.
    pub now: WallTime,
}

/// The key that we sign claims with. It cannot be printed.
pub struct ClaimsKey(EcdsaKeyPair);

impl ClaimsKey {
    /// A new key, as PKCS#8 (RFC 5958).
    ///
    /// # Errors
    /// `internal` without randomness.
    pub fn generate() -> Result<Vec<u8>, Problem> {
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        made.map(|bytes| bytes.as_ref().to_vec()).map_err(|_| internal("a key cannot be made"))
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// `internal` when they are no P-256 key in PKCS#8.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<ClaimsKey, Problem> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes)
            .map(ClaimsKey)
            .map_err(|_| internal("the key of our claims is no P-256 key"))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> ClaimsPublicKey {
        let mut point = [0; POINT_BYTES];
        point.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        ClaimsPublicKey(point)
    }

    /// A token that says this, good for [`CLAIMS_LIFE_S`].
    ///
    /// # Errors
    /// `internal` when it cannot be signed.
    pub fn issue(&self, claims: &Claims<'_>) -> Result<String, Problem> {
        let seconds = claims.now.0.micros().div_euclid(1_000_000);
        let head = Json::object([
            ("alg", Json::text(ALGORITHM)),
            ("kid", Json::text(self.public().id())),
            ("typ", Json::text("JWT")),
        ]);
        let body = Json::object([
            ("iss", Json::text(claims.issuer)),
            ("sub", Json::text(claims.issuer)),
            ("aud", Json::text(claims.audience)),
            ("jti", Json::text(claims.jti)),
            ("iat", Json::Int(seconds)),
            ("exp", Json::Int(seconds.saturating_add(CLAIMS_LIFE_S))),
        ]);
        let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.canonical());
        let signed = format!("{}.{}", part(&head), part(&body));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| internal("claims cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for ClaimsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key of claims {}", self.public().id())
    }
}

/// The key that somebody signs claims with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimsPublicKey([u8; POINT_BYTES]);

impl ClaimsPublicKey {
    /// The key in a JSON Web Key (RFC 7517, RFC 7518 §6.2.1); other members mean nothing here.
    ///
    /// # Errors
    /// What it is instead of a public P-256 key, for people.
    pub fn from_jwk(bytes: &[u8]) -> Result<ClaimsPublicKey, &'static str> {
        let key = Json::parse(bytes).map_err(|_| "it is no JSON")?;
        let text = |name: &str| key.get(name).and_then(Json::as_text);
        if (text("kty"), text("crv")) != (Some("EC"), Some("P-256")) {
            return Err("it is no key of the curve P-256 (kty EC, crv P-256)");
        }
        if key.get("d").is_some() {
            return Err("it holds the private half, which is its owner's alone");
        }
        let mut point = vec![4];
        for name in ["x", "y"] {
            let part = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            let part = part.filter(|part| part.len() == 32);
            point.extend(part.ok_or("x and y are not 32 bytes in base64url each")?);
        }
        let point = point.try_into().map_err(|_| "x and y are not 32 bytes in base64url each")?;
        Ok(ClaimsPublicKey(point))
    }

    /// The keys in a JSON Web Key or a set of them (RFC 7517 §5), so that one can be changed while
    /// both are good. Of a set those that are no P-256 keys are left out.
    ///
    /// # Errors
    /// What it is instead of 1 to [`MAX_CLAIMS_KEYS`] such keys, for people.
    pub fn all_of(bytes: &[u8]) -> Result<Vec<ClaimsPublicKey>, &'static str> {
        let json = Json::parse(bytes).map_err(|_| "it is no JSON")?;
        let Some(keys) = json.get("keys").and_then(Json::as_array) else {
            return ClaimsPublicKey::from_jwk(bytes).map(|key| vec![key]);
        };
        let read = |key: &Json| ClaimsPublicKey::from_jwk(key.canonical().as_bytes()).ok();
        let keys: Vec<ClaimsPublicKey> = keys.iter().filter_map(read).collect();
        match keys.len() {
            0 => Err("no key of the set is a public one of the curve P-256"),
            1..=MAX_CLAIMS_KEYS => Ok(keys),
            _ => Err("the set has more than 8 keys"),
        }
    }

    /// The JSON Web Key.
    #[must_use]
    pub fn to_jwk(&self) -> Json {
        let mut members = self.required();
        members.extend([
            ("alg", Json::text(ALGORITHM)),
            ("kid", Json::text(self.id())),
            ("use", Json::text("sig")),
        ]);
        Json::object(members)
    }

    /// Its thumbprint (RFC 7638), in base64url.
    #[must_use]
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(Json::object(self.required()).canonical().as_bytes()))
    }

    fn required(&self) -> Vec<(&'static str, Json)> {
        let part = |from: usize| {
            let bytes: Vec<u8> = self.0.iter().copied().skip(from).take(32).collect();
            Json::text(URL_SAFE_NO_PAD.encode(bytes))
        };
        vec![
            ("crv", Json::text("P-256")),
            ("kty", Json::text("EC")),
            ("x", part(1)),
            ("y", part(33)),
        ]
    }

    /// Whether a token shows now that this issuer calls this audience.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
        now: WallTime,
    ) -> Result<(), ClaimsFault> {
        let (signed, body, signature) = parts(token).ok_or(ClaimsFault::Form)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0);
        key.verify(signed.as_bytes(), &signature).map_err(|_| ClaimsFault::Signature)?;
        let is_theirs = |name: &str| body.get(name).and_then(Json::as_text) == Some(issuer);
        if !is_theirs("iss") || (body.get("sub").is_some() && !is_theirs("sub")) {
            return Err(ClaimsFault::Issuer);
        }
        let is_ours = |to: &Json| to.as_text() == Some(audience);
        let to = body.get("aud").ok_or(ClaimsFault::Audience)?;
        if !is_ours(to) && !to.as_array().is_some_and(|all| all.iter().any(is_ours)) {
            return Err(ClaimsFault::Audience);
        }
        good_at(&body, now.0.micros().div_euclid(1_000_000))
    }
}

impl fmt::Debug for ClaimsPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// Whom a token says that it is by. That is for looking up with which key it is checked.
#[must_use]
pub fn issuer_named(token: &str) -> Option<String> {
    let (_, body, _) = parts(token)?;
    body.get("iss")?.as_text().map(str::to_owned)
}

/// What is signed, what that says, and the signature.
fn parts(token: &str) -> Option<(&str, Json, Vec<u8>)> {
    if token.len() > MAX_CLAIMS_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (head, body) = signed.split_once('.')?;
    let read = |part: &str| Json::parse(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let (head, body) = (read(head)?, read(body)?);
    // What is critical would have to be understood (RFC 7515 §4.1.11).
    let known = head.get("alg").and_then(Json::as_text) == Some(ALGORITHM);
    (known && head.get("crit").is_none()).then_some((
        signed,
        body,
        URL_SAFE_NO_PAD.decode(signature).ok()?,
    ))
}

/// Whether claims are good at that time, in seconds since 1970, and not for too long.
fn good_at(body: &Json, now: i64) -> Result<(), ClaimsFault> {
    let time = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Json::Int(seconds)) => Ok(Some(*seconds)),
        Some(_) => Err(ClaimsFault::Form),
    };
    let ends = time("exp")?.ok_or(ClaimsFault::Time)?;
    let begins = [time("nbf")?, time("iat")?].into_iter().flatten().max();
    let issued = time("iat")?.unwrap_or(now);
    let early = begins.is_some_and(|begins| begins > now.saturating_add(CLAIMS_SKEW_S));
    let latest = now.saturating_add(MAX_CLAIMS_LIFE_S).saturating_add(CLAIMS_SKEW_S);
    let is_long = ends > latest || ends.saturating_sub(issued) > MAX_CLAIMS_LIFE_S + CLAIMS_SKEW_S;
    match early || ends <= now.saturating_sub(CLAIMS_SKEW_S) || is_long {
        true => Err(ClaimsFault::Time),
        false => Ok(()),
    }
}

fn internal(why: &str) -> Problem {
    Problem::new(codes::INTERNAL, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        CLAIMS_LIFE_S, CLAIMS_SKEW_S, Claims, ClaimsFault, ClaimsKey, ClaimsPublicKey,
        MAX_CLAIMS_LIFE_S, issuer_named,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use twinpact_model::{Timestamp, WallTime};
    use twinpact_proof::Json;

    const THEM: &str = "did:web:maker.example";
    const US: &str = "did:web:operator.example";
    const NOW: i64 = 1_800_000_000;

    fn key() -> ClaimsKey {
        ClaimsKey::from_pkcs8(&ClaimsKey::generate().unwrap()).unwrap()
    }

    fn at(seconds: i64) -> WallTime {
        WallTime(Timestamp::from_seconds(seconds))
    }

    fn signed(key: &ClaimsKey, head: &str, body: &str) -> String {
        let signed = [head, body].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signature = key.0.sign(&random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn what_is_issued_is_good_for_its_time_and_its_audience() {
        let key = key();
        let claims = Claims { issuer: THEM, audience: US, jti: "urn:1", now: at(NOW) };
        let token = key.issue(&claims).unwrap();
        assert_eq!(issuer_named(&token).as_deref(), Some(THEM));
        let check = |by: &ClaimsKey, issuer: &str, audience: &str, now: i64| {
            by.public().check(&token, issuer, audience, at(now))
        };
        assert_eq!(check(&key, THEM, US, NOW), Ok(()));
        assert_eq!(check(&key, THEM, US, NOW - CLAIMS_SKEW_S), Ok(()));
        assert_eq!(check(&key, THEM, US, NOW - CLAIMS_SKEW_S - 1), Err(ClaimsFault::Time));
        let end = NOW + CLAIMS_LIFE_S + CLAIMS_SKEW_S;
        assert_eq!(check(&key, THEM, US, end - 1), Ok(()));
        assert_eq!(check(&key, THEM, US, end), Err(ClaimsFault::Time));
        assert_eq!(check(&key, US, US, NOW), Err(ClaimsFault::Issuer));
        assert_eq!(check(&key, THEM, THEM, NOW), Err(ClaimsFault::Audience));
        assert_eq!(check(&self::key(), THEM, US, NOW), Err(ClaimsFault::Signature));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let checked = key.public().check(&changed, THEM, US, self::at(NOW));
            assert!(checked.is_err(), "byte {at}");
        }
    }

    #[test]
    fn claims_of_others() {
        let key = key();
        let es = r#"{"alg":"ES256"}"#;
        let check = |head: &str, body: &str, expect: Result<(), ClaimsFault>| {
            let token = signed(&key, head, body);
            assert_eq!(key.public().check(&token, THEM, US, at(NOW)), expect, "{head} {body}");
        };
        let with = |more: &str| format!(r#"{{"iss":"{THEM}","aud":"{US}"{more}}}"#);
        let good = with(&format!(r#","exp":{}"#, NOW + 60));
        check(es, &good, Ok(()));
        check(r#"{"alg":"ES256","typ":"JWT","kid":"x","jwk":{}}"#, &good, Ok(()));
        let listed = good.replace(&format!("\"{US}\""), &format!(r#"["x","{US}"]"#));
        check(es, &listed, Ok(()));
        let (form, time) = (Err(ClaimsFault::Form), Err(ClaimsFault::Time));
        for head in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"es256"}"#,
            r#"{"alg":["ES256"]}"#,
            r#"{"alg":"ES256","crit":["b64"]}"#,
            "{}",
            "[]",
            "",
        ] {
            check(head, &good, form);
        }
        for body in
            ["", "[]x", r#"{"iss":1.5}"#, &good.replace(THEM, &format!("{THEM}\",\"iss\":\"x"))]
        {
            check(es, body, form);
        }
        check(es, &with(""), time);
        check(es, &with(&format!(r#","exp":"{}""#, NOW + 60)), form);
        check(es, &with(&format!(r#","exp":{}"#, NOW - CLAIMS_SKEW_S)), time);
        check(es, &with(&format!(r#","exp":{}"#, i64::from(u32::MAX) * 1000)), time);
        let longest = NOW + MAX_CLAIMS_LIFE_S + CLAIMS_SKEW_S;
        check(es, &with(&format!(r#","exp":{longest}"#)), Ok(()));
        check(es, &with(&format!(r#","exp":{}"#, longest + 1)), time);
        check(es, &with(&format!(r#","exp":{},"nbf":{}"#, NOW + 200, NOW + 61)), time);
        check(es, &with(&format!(r#","exp":{},"iat":true"#, NOW + 60)), form);
        // One for a day is not good at its end either.
        check(es, &with(&format!(r#","exp":{},"iat":{}"#, NOW + 60, NOW - 86_000)), time);
        check(es, &good.replace("\"aud\"", "\"sub\":\"x\",\"aud\""), Err(ClaimsFault::Issuer));
        check(es, &good.replace("\"aud\"", "\"to\""), Err(ClaimsFault::Audience));
        check(es, &format!("{good}{}", " ".repeat(super::MAX_CLAIMS_BYTES)), form);
        assert_eq!(issuer_named("a.b.c"), None);
    }

    /// RFC 7515, appendix A.3: a token and a key of somebody else.
    #[test]
    fn the_example_of_the_standard_is_signed_by_its_key() {
        let jwk = r#"{"kty":"EC","crv":"P-256",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
            Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDx\
            w5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let key = ClaimsPublicKey::from_jwk(jwk.as_bytes()).unwrap();
        // It has no audience: that is what is wanting, and is looked at after the signature.
        assert_eq!(key.check(token, "joe", US, at(1_300_819_000)), Err(ClaimsFault::Audience));
        let broken = token.replacen("DtEhU3", "DtEhU4", 1);
        assert_eq!(key.check(&broken, "joe", US, at(0)), Err(ClaimsFault::Signature));
    }

    #[test]
    fn keys_read_as_written() {
        let public = key().public();
        let jwk = public.to_jwk().canonical();
        assert_eq!(ClaimsPublicKey::from_jwk(jwk.as_bytes()), Ok(public));
        assert_eq!(format!("{public:?}"), public.id());
        let json = Json::parse(jwk.as_bytes()).unwrap();
        assert_eq!(json.get("kid").and_then(Json::as_text), Some(public.id().as_str()));
        for (from, to) in [
            ("P-256", "P-384"),
            ("\"EC\"", "\"OKP\""),
            ("\"x\"", "\"z\""),
            ("\"use\"", "\"d\""),
            ("{", ""),
        ] {
            let other = jwk.replacen(from, to, 1);
            assert!(ClaimsPublicKey::from_jwk(other.as_bytes()).is_err(), "{other}");
        }
        assert!(ClaimsKey::from_pkcs8(b"x").is_err());
        let other = key().public();
        let both =
            format!("{{\"keys\":[{jwk},{{\"kty\":\"RSA\"}},{}]}}", other.to_jwk().canonical());
        assert_eq!(ClaimsPublicKey::all_of(both.as_bytes()), Ok(vec![public, other]));
        assert_eq!(ClaimsPublicKey::all_of(jwk.as_bytes()), Ok(vec![public]));
        let many = format!("{{\"keys\":[{}]}}", vec![jwk; super::MAX_CLAIMS_KEYS + 1].join(","));
        for none in ["{\"keys\":[]}", "{\"keys\":7}", "{\"keys\":[{}]}", "[]", many.as_str()] {
            assert!(ClaimsPublicKey::all_of(none.as_bytes()).is_err(), "{none}");
        }
    }
}
