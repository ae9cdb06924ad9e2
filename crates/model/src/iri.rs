//! Identifiers: absolute IRIs (RFC 3987) and decentralised identifiers (W3C DID Core §3.1).
//!
//! Nobody parses meaning out of an identifier. The checks keep out what would be ambiguous in a
//! log, a URL or a signed document: relative references, spaces, controls, and excess length.

use crate::codes;
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest identifier we take, in bytes.
pub const MAX_IRI_BYTES: usize = 2048;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier, checked.
            ///
            /// # Errors
            /// `input.iri` when the text is not such an identifier.
            pub fn new(text: impl Into<String>) -> Result<Self, Problem> {
                let text = text.into();
                $name::check(&text).map(|()| $name(text))
            }

            /// Whether the text is such an identifier.
            ///
            /// # Errors
            /// `input.iri` when it is not.
            pub fn check(text: &str) -> Result<(), Problem> {
                $check(text)
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;
            fn try_from(text: String) -> Result<Self, Problem> {
                $name::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// An absolute IRI: `scheme:` and at least one more character.
    Iri, check_iri
}

identifier! {
    /// A decentralised identifier, `did:method:id`. Organisations are named by `did:web`.
    Did, check_did
}

impl Did {
    /// The host that a `did:web` identifier names, with its port when it has one
    /// (did:web §3.2); `None` for other methods.
    #[must_use]
    pub fn web_host(&self) -> Option<String> {
        let rest = self.0.strip_prefix("did:web:")?;
        let host = rest.split(':').next()?;
        Some(host.replace("%3A", ":").replace("%3a", ":"))
    }
}

fn check_iri(text: &str) -> Result<(), Problem> {
    let refuse = |why: &str| Err(Problem::new(codes::INPUT_IRI, format!("{why}: {}", brief(text))));
    if text.len() > MAX_IRI_BYTES {
        return refuse("the identifier is longer than 2048 bytes");
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return refuse("the identifier has no scheme");
    };
    let mut letters = scheme.chars();
    let scheme_ok = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !scheme_ok || rest.is_empty() {
        return refuse("the identifier is not an absolute IRI");
    }
    let plain = |b: u8| b.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&b);
    let may_not = |c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c);
    // Nearly every identifier is plain ASCII, which is looked through byte by byte.
    if !text.bytes().all(plain) && text.chars().any(may_not) {
        return refuse("the identifier has a character that an IRI may not have");
    }
    Ok(())
}

fn check_did(text: &str) -> Result<(), Problem> {
    check_iri(text)?;
    let mut parts = text.splitn(3, ':');
    let (scheme, method, id) = (parts.next(), parts.next(), parts.next());
    let method_ok = method.is_some_and(|m| {
        !m.is_empty() && m.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    });
    let id_ok = id.is_some_and(|i| {
        !i.is_empty() && i.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:%".contains(c))
    });
    if scheme == Some("did") && method_ok && id_ok {
        Ok(())
    } else {
        Err(Problem::new(codes::INPUT_IRI, format!("not a DID: {}", brief(text)))
            .hint("an organisation is named like did:web:operator.example"))
    }
}

fn brief(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::{Did, Iri};

    #[test]
    fn iris_are_absolute_and_plain() {
        for (text, ok) in [
            ("urn:uuid:6f1b8f0e-6f43-4b53-8e3f-3f3d1a0f7b11", true),
            ("https://operator.example/id/views/x/1.0.0", true),
            ("urn:turbine:R80711", true),
            ("turbine", false),
            ("/relative", false),
            ("urn:", false),
            ("1ab:x", false),
            ("urn:a b", false),
            ("urn:a\u{0}b", false),
            ("urn:<x>", false),
        ] {
            assert_eq!(Iri::new(text).is_ok(), ok, "{text:?}");
        }
        assert!(Iri::new(format!("urn:{}", "x".repeat(2044))).is_ok());
        assert!(Iri::new(format!("urn:{}", "x".repeat(2045))).is_err());
    }

    #[test]
    fn dids_name_a_method_and_an_id() {
        for (text, host) in [
            ("did:web:operator.example", Some("operator.example")),
            ("did:web:localhost%3A8080:x", Some("localhost:8080")),
            ("did:key:z6Mk", None),
        ] {
            assert_eq!(Did::new(text).unwrap().web_host().as_deref(), host, "{text}");
        }
        for text in ["web:operator.example", "did:web", "did:web:", "did:WEB:x", "did:web:a/b"] {
            assert!(Did::new(text).is_err(), "{text}");
        }
    }
}
