//! Reading X.509 certificates (RFC 5280) for what SPIFFE asks of them (X.509-SVID §2–§5).
//!
//! This module reads and never trusts: signatures are checked in [`crate::partners`] alone.

use crate::spiffe::TrustDomain;
use rustls::pki_types::CertificateDer;
use twinpact_model::time::{Timestamp, WallTime};
use twinpact_model::{Problem, codes};
use twinpact_proof::{Digest, sha256, to_hex};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// The longest certificate that we read, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 8192;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The beginning of its life.
    pub(crate) not_before: WallTime,
    /// The end of its life.
    pub(crate) not_after: WallTime,
    /// The URI names, in order.
    pub(crate) uris: Vec<String>,
    /// Whether it may sign certificates at all.
    pub(crate) is_ca: bool,
    /// Whether its key may sign a handshake (key usage, which must be present).
    pub(crate) signs_handshakes: bool,
    /// Whether its key may sign certificates or revocation lists.
    pub(crate) signs_certificates: bool,
    /// The public key as SubjectPublicKeyInfo in DER.
    pub(crate) public_key: Vec<u8>,
    /// The identifier of its key.
    pub(crate) key_id: Option<Vec<u8>>,
    /// The identifier of its issuer's key.
    pub(crate) issuer_key_id: Option<Vec<u8>>,
}

impl Facts {
    /// Reads one certificate; `None` when it is not one, is followed by other bytes, has an
    /// extension twice, or is longer than [`MAX_CERTIFICATE_BYTES`].
    pub(crate) fn read(der: &[u8]) -> Option<Facts> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return None;
        }
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let constraints = certificate.basic_constraints().ok()?;
        let usage = certificate.key_usage().ok()?.map(|extension| extension.value);
        let wall = |seconds| WallTime(Timestamp::from_seconds(seconds));
        let (key_id, issuer_key_id) = key_ids(&certificate);
        Some(Facts {
            not_before: wall(certificate.validity().not_before.timestamp()),
            not_after: wall(certificate.validity().not_after.timestamp()),
            uris: uris(&certificate)?,
            is_ca: constraints.is_some_and(|extension| extension.value.ca),
            signs_handshakes: usage.is_some_and(|usage| usage.digital_signature()),
            signs_certificates: usage
                .is_some_and(|usage| usage.key_cert_sign() || usage.crl_sign()),
            public_key: certificate.public_key().raw.to_vec(),
            key_id,
            issuer_key_id,
        })
    }

    /// Whether it is of the form of a leaf (X.509-SVID §4, §5.2): no CA, and a key for handshakes
    /// only.
    pub(crate) const fn is_leaf(&self) -> bool {
        !self.is_ca && self.signs_handshakes && !self.signs_certificates
    }

    /// The one URI name; `None` when there is none or more than one.
    pub(crate) fn uri(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

fn uris(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let Some(names) = certificate.subject_alternative_name().ok()? else {
        return Some(Vec::new());
    };
    let mut found = Vec::new();
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) => found.push((*uri).to_owned()),
            GeneralName::Invalid(..) => return None,
            _ => {}
        }
    }
    Some(found)
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut ids = (None, None);
    for extension in certificate.iter_extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => ids.0 = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                ids.1 = authority.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    ids
}

/// The certificate of an organisation's root: what a partner pins, by its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RootCertificate {
    der: Vec<u8>,
    sha256: Digest,
    trust_domain: TrustDomain,
    not_before: WallTime,
    not_after: WallTime,
}

impl RootCertificate {
    /// Reads the DER bytes of a root. Its own signature is not checked: whoever pins the bytes has
    /// nothing to gain from it.
    ///
    /// # Errors
    /// `identity.certificate` when it is not a certificate of at most [`MAX_CERTIFICATE_BYTES`]
    /// that may sign others and carries the id of one trust domain as its only URI name.
    pub fn from_der(der: &[u8]) -> Result<Self, Problem> {
        let bad = |why: &str| Problem::new(codes::IDENTITY_CERTIFICATE, why.to_owned());
        let facts = Facts::read(der).ok_or_else(|| bad("these bytes are not a certificate"))?;
        let certificate = CertificateDer::from(der);
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|_| bad("this certificate cannot be the root of a chain"))?;
        if !(facts.is_ca && facts.signs_certificates) {
            return Err(bad("this certificate may not sign others"));
        }
        let uri = facts.uri().ok_or_else(|| bad("the root does not name exactly one URI"))?;
        let trust_domain =
            TrustDomain::from_uri(uri).map_err(|_| bad("the root does not name a trust domain"))?;
        Ok(RootCertificate {
            sha256: sha256(der),
            der: der.to_vec(),
            trust_domain,
            not_before: facts.not_before,
            not_after: facts.not_after,
        })
    }

    /// Its bytes (DER).
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of its bytes: the fingerprint in an organisation record.
    #[must_use]
    pub const fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// The only trust domain it is valid for.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The beginning of its life.
    #[must_use]
    pub const fn not_before(&self) -> WallTime {
        self.not_before
    }

    /// The end of its life.
    #[must_use]
    pub const fn not_after(&self) -> WallTime {
        self.not_after
    }
}

impl std::fmt::Debug for RootCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "root of {} ({})", self.trust_domain, to_hex(&self.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, MAX_CERTIFICATE_BYTES, RootCertificate};
    use crate::ca::Root;
    use crate::spiffe::{SpiffeId, TrustDomain};
    use proptest::prelude::*;
    use twinpact_model::time::{Timestamp, WallTime};
    use twinpact_proof::sha256;

    const NOW: i64 = 1_790_000_000;

    fn root() -> Root {
        let domain = TrustDomain::new("operator.example").unwrap();
        Root::create(&domain, WallTime(Timestamp::from_seconds(NOW))).unwrap()
    }

    #[test]
    fn a_root_is_a_root() {
        let root = root();
        let der = root.certificate().der().to_vec();
        let read = RootCertificate::from_der(&der).unwrap();
        assert_eq!(&read, root.certificate());
        assert_eq!(read.sha256(), &sha256(&der));
        assert_eq!(read.trust_domain().as_str(), "operator.example");

        let now = WallTime(Timestamp::from_seconds(NOW));
        let issuing = root.issue(now).unwrap();
        let id = SpiffeId::parse("spiffe://operator.example/twinpact/n/node").unwrap();
        let node = issuing.issue_node(&id, now).unwrap();
        let longer = [der.as_slice(), &[0]].concat();
        let shorter = &der[..der.len() - 1];
        for (what, bytes) in [
            ("empty", &b""[..]),
            ("text", b"-----BEGIN CERTIFICATE-----"),
            ("trailing byte", &longer),
            ("cut short", shorter),
            ("a leaf", node.chain()[0].as_ref()),
        ] {
            assert!(what == "a leaf" || Facts::read(bytes).is_none(), "{what}");
            let problem = RootCertificate::from_der(bytes).unwrap_err();
            assert_eq!(problem.code.name, "identity.certificate", "{what}");
        }
    }

    #[test]
    fn a_certificate_has_a_longest_size() {
        // A certificate grown to a size by its subject's name.
        let sized = |padding: usize| {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, "x".repeat(padding));
            let key = rcgen::KeyPair::generate().unwrap();
            params.self_signed(&key).unwrap().der().to_vec()
        };
        // The name stands twice, as issuer and as subject.
        let large = sized(MAX_CERTIFICATE_BYTES / 2 - 500);
        assert!(large.len() <= MAX_CERTIFICATE_BYTES && Facts::read(&large).is_some());
        let larger = sized(MAX_CERTIFICATE_BYTES / 2);
        assert!(larger.len() > MAX_CERTIFICATE_BYTES && Facts::read(&larger).is_none());
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(at in 0usize..600, with in any::<u8>()) {
            let mut der = root().certificate().der().to_vec();
            let at = at % der.len();
            der[at] ^= with;
            let _ = Facts::read(&der);
            let _ = RootCertificate::from_der(&der);
        }
    }
}
