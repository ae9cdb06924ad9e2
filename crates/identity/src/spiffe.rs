//! SPIFFE identifiers (SPIFFE-ID §2): `spiffe://<trust domain>/<path>`.
//!
//! One organisation is one trust domain, named by the host of its DID. The forms are read strictly:
//! no port, user, query, fragment, percent-encoding, upper case or dot segment, so that two
//! different texts are never one identity.

use std::fmt;
use twinpact_model::{Did, Problem, codes};

/// The longest SPIFFE id, in bytes (SPIFFE-ID §2.3).
pub const MAX_SPIFFE_ID_BYTES: usize = 2048;
/// The longest trust domain, in bytes (SPIFFE-ID §2.1).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// The name of an organisation's root of trust.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The trust domain of that name: lower-case letters, digits, `.`, `-` and `_`.
    ///
    /// # Errors
    /// `identity.name` when it is not such a name.
    pub fn new(name: &str) -> Result<Self, Problem> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
        let fits = !name.is_empty() && name.len() <= MAX_TRUST_DOMAIN_BYTES;
        if fits && name.bytes().all(letter) {
            Ok(TrustDomain(name.to_owned()))
        } else {
            Err(bad("not a trust domain", name))
        }
    }

    /// The trust domain of an organisation: the host of its `did:web`, in lower case and without
    /// port and path. Two organisations on one host would share it, so only one of them can be a
    /// partner ([`PartnerSet::new`](crate::PartnerSet::new)).
    ///
    /// # Errors
    /// `identity.name` when the DID is of another method or its host is not a trust domain.
    pub fn of_did(did: &Did) -> Result<Self, Problem> {
        TrustDomain::of_host(did).map_err(|problem| {
            problem.hint("an organisation is named like did:web:operator.example")
        })
    }

    fn of_host(did: &Did) -> Result<Self, Problem> {
        let host = did.web_host().ok_or_else(|| bad("no host in the DID", did.as_str()))?;
        let host = match host.split_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            Some(_) => return Err(bad("not a port in the DID", did.as_str())),
            None => host.as_str(),
        };
        TrustDomain::new(&host.to_ascii_lowercase())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the trust domain itself, which only certificates that sign others carry:
    /// `spiffe://operator.example`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("spiffe://{}", self.0)
    }

    /// Reads what [`uri`](Self::uri) writes.
    ///
    /// # Errors
    /// `identity.name` when it is anything else.
    pub fn from_uri(uri: &str) -> Result<Self, Problem> {
        let name = uri.strip_prefix("spiffe://");
        TrustDomain::new(name.ok_or_else(|| bad("not a trust domain id", uri))?)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of one program of an organisation. Its path is never empty: the id of a whole trust
/// domain is a [`TrustDomain`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    path: String,
}

impl SpiffeId {
    /// The id of that text.
    ///
    /// # Errors
    /// `identity.name` when it is not `spiffe://` with a trust domain and a path of non-empty
    /// segments out of letters, digits, `.`, `-` and `_`, none of them `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let refuse = || bad("not a SPIFFE id", text);
        if text.len() > MAX_SPIFFE_ID_BYTES {
            return Err(refuse());
        }
        let rest = text.strip_prefix("spiffe://").ok_or_else(refuse)?;
        let (domain, path) = rest.split_once('/').ok_or_else(refuse)?;
        if !path.split('/').all(is_segment) {
            return Err(refuse());
        }
        Ok(SpiffeId { trust_domain: TrustDomain::new(domain)?, path: format!("/{path}") })
    }

    /// The id of a node: `spiffe://<trust domain>/twinpact/<node>/node`.
    ///
    /// # Errors
    /// `identity.name` when the node's name is not one segment of a path.
    pub fn of_node(trust_domain: &TrustDomain, node: &str) -> Result<Self, Problem> {
        if !is_segment(node) {
            return Err(bad("not a name of a node", node)
                .hint("a node is named with letters, digits, dots, dashes and underscores"));
        }
        SpiffeId::parse(&format!("{}/twinpact/{node}/node", trust_domain.uri()))
    }

    /// Whose it is.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path, beginning with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}{}", self.trust_domain, self.path)
    }
}

fn is_segment(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    !matches!(text, "" | "." | "..") && text.bytes().all(letter)
}

fn bad(what: &str, text: &str) -> Problem {
    let shown: String = text.chars().take(80).collect();
    Problem::new(codes::IDENTITY_NAME, format!("{what}: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::{MAX_SPIFFE_ID_BYTES, MAX_TRUST_DOMAIN_BYTES, SpiffeId, TrustDomain};
    use proptest::prelude::*;
    use twinpact_model::Did;

    #[test]
    fn ids_have_one_form() {
        for (text, ok) in [
            ("spiffe://operator.example/twinpact/n1/node", true),
            ("spiffe://operator.example/A.b-c_d", true),
            ("spiffe://operator.example", false),
            ("spiffe://operator.example/", false),
            ("spiffe://operator.example/a/", false),
            ("spiffe://operator.example//a", false),
            ("spiffe://operator.example/a/../b", false),
            ("spiffe://operator.example/.", false),
            ("spiffe://operator.example/a%2fb", false),
            ("spiffe://operator.example/é", false),
            ("spiffe://operator.example/a?b", false),
            ("spiffe://operator.example/a#b", false),
            ("spiffe://operator.example:443/a", false),
            ("spiffe://user@operator.example/a", false),
            ("spiffe://Operator.example/a", false),
            ("SPIFFE://operator.example/a", false),
            ("spiffe:///a", false),
            ("https://operator.example/a", false),
            ("", false),
        ] {
            assert_eq!(SpiffeId::parse(text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn lengths_have_bounds() {
        let domain = |n: usize| TrustDomain::new(&"a".repeat(n)).is_ok();
        assert!(domain(MAX_TRUST_DOMAIN_BYTES) && !domain(MAX_TRUST_DOMAIN_BYTES + 1));
        let id = |n: usize| SpiffeId::parse(&format!("spiffe://a/{}", "b".repeat(n - 11))).is_ok();
        assert!(id(MAX_SPIFFE_ID_BYTES) && !id(MAX_SPIFFE_ID_BYTES + 1));
    }

    #[test]
    fn the_trust_domain_is_the_host_of_the_did() {
        for (did, expect) in [
            ("did:web:operator.example", Some("operator.example")),
            ("did:web:Operator.Example:unit:7", Some("operator.example")),
            ("did:web:localhost%3A8443", Some("localhost")),
            ("did:web:localhost%3A99999", None),
            ("did:web:b%C3%BCro.example", None),
            ("did:key:z6Mk", None),
        ] {
            let got = TrustDomain::of_did(&Did::new(did).unwrap()).ok();
            assert_eq!(got.as_ref().map(TrustDomain::as_str), expect, "{did}");
        }
    }

    #[test]
    fn a_node_is_one_segment() {
        let domain = TrustDomain::new("operator.example").unwrap();
        assert_eq!(
            SpiffeId::of_node(&domain, "n1").unwrap().to_string(),
            "spiffe://operator.example/twinpact/n1/node"
        );
        for node in ["", "..", "a/b", "a b"] {
            assert!(SpiffeId::of_node(&domain, node).is_err(), "{node}");
        }
        assert_eq!(TrustDomain::from_uri(&domain.uri()).unwrap(), domain);
        assert!(TrustDomain::from_uri("spiffe://operator.example/").is_err());
        assert!(TrustDomain::from_uri("operator.example").is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(text in "(spiffe://)?[a-zA-Z0-9./_%:-]{0,24}") {
            if let Ok(id) = SpiffeId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
