//! Our own certificates: organisation root → issuing CA → node (X.509-SVID, RFC 5280).
//!
//! The root lives ten years and signs issuing CAs only, so its key may lie in a safe. The issuing
//! CA lives one year, the node's certificate one hour. Nobody outlives its issuer. Keys are P-256,
//! since SPIFFE and JOSE want that; new keys come from the system's randomness inside the key
//! generator, and each certificate has a key of its own.

use crate::certificate::{Facts, RootCertificate};
use crate::spiffe::{SpiffeId, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::time::Duration;
use twinpact_model::time::WallTime;
use twinpact_model::{Problem, codes};

/// The life of a root, in seconds: ten years.
pub const ROOT_SECONDS: i64 = 3_652 * 86_400;
/// The life of an issuing CA, in seconds: one year.
pub const ISSUING_SECONDS: i64 = 365 * 86_400;
/// The life of a node's certificate, in seconds: one hour.
pub const NODE_SECONDS: i64 = 3_600;
/// How far certificates are dated back for peers whose clocks are behind, in seconds.
pub const BACKDATE_SECONDS: i64 = 300;
/// How long before the end of the issuing CA we begin to warn, in seconds: 30 days.
pub const WARN_SECONDS: i64 = 30 * 86_400;

/// An organisation's root with its key.
pub struct Root {
    certificate: RootCertificate,
    key: KeyPair,
}

impl Root {
    /// A new root with a new key.
    ///
    /// # Errors
    /// `internal` when the key generator fails.
    pub fn create(trust_domain: &TrustDomain, now: WallTime) -> Result<Self, Problem> {
        let key = new_key()?;
        let life = Life { from: now, until: plus(now, ROOT_SECONDS) };
        let params = authority("Twinpact root", trust_domain, 1, life)?;
        let certificate = params.self_signed(&key).map_err(|e| internal(&e))?;
        Ok(Root { certificate: RootCertificate::from_der(certificate.der())?, key })
    }

    /// The root of a stored certificate and key (PKCS#8, DER).
    ///
    /// # Errors
    /// `identity.file` when the key cannot be read, `identity.mismatch` when it is another's.
    pub fn from_parts(certificate: RootCertificate, key: &[u8]) -> Result<Self, Problem> {
        let key = read_key(key)?;
        check_key(certificate.der(), &key)?;
        Ok(Root { certificate, key })
    }

    /// A new issuing CA with a new key.
    ///
    /// # Errors
    /// `identity.expired` when the root has run out, `internal` when the key generator fails.
    pub fn issue(&self, now: WallTime) -> Result<IssuingCa, Problem> {
        let end = self.certificate.not_after();
        if now > end {
            return Err(expired("root", end));
        }
        let key = new_key()?;
        let life = Life { from: now, until: plus(now, ISSUING_SECONDS).min(end) };
        let domain = self.certificate.trust_domain();
        let params = authority("Twinpact issuing CA", domain, 0, life)?;
        let certificate = sign(&params, &key, self.certificate.der(), &self.key)?;
        IssuingCa::new(&self.certificate, certificate.as_ref(), key)
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &RootCertificate {
        &self.certificate
    }

    /// Its key (PKCS#8, DER). Secret.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.serialized_der()
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.certificate.fmt(f)
    }
}

/// The CA that issues node certificates, with its key.
pub struct IssuingCa {
    trust_domain: TrustDomain,
    certificate: CertificateDer<'static>,
    not_after: WallTime,
    key: KeyPair,
}

impl IssuingCa {
    /// The issuing CA of a stored certificate (DER) and key (PKCS#8, DER), under that root.
    ///
    /// # Errors
    /// `identity.file` when one of them cannot be read, `identity.mismatch` when the key is
    /// another's or the certificate is not of this root.
    pub fn from_parts(root: &RootCertificate, der: &[u8], key: &[u8]) -> Result<Self, Problem> {
        IssuingCa::new(root, der, read_key(key)?)
    }

    fn new(root: &RootCertificate, der: &[u8], key: KeyPair) -> Result<Self, Problem> {
        check_key(der, &key)?;
        let unreadable = || file("the certificate of the issuing CA cannot be read");
        let facts = Facts::read(der).ok_or_else(unreadable)?;
        let above = Facts::read(root.der()).ok_or_else(unreadable)?;
        let ours = facts.uri() == Some(root.trust_domain().uri().as_str())
            && facts.issuer_key_id.is_some()
            && facts.issuer_key_id == above.key_id;
        if !(ours && facts.is_ca && facts.signs_certificates) {
            return Err(Problem::new(
                codes::IDENTITY_MISMATCH,
                format!("the certificate is not an issuing CA of the {root:?}"),
            ));
        }
        Ok(IssuingCa {
            trust_domain: root.trust_domain().clone(),
            certificate: CertificateDer::from(der.to_vec()),
            not_after: facts.not_after,
            key,
        })
    }

    /// A new node certificate with a new key.
    ///
    /// # Errors
    /// `identity.expired` when this CA has run out, `identity.name` when the id is of another trust
    /// domain, `internal` when the key generator fails.
    pub fn issue_node(&self, id: &SpiffeId, now: WallTime) -> Result<NodeCertificate, Problem> {
        if now > self.not_after {
            return Err(expired("issuing CA", self.not_after));
        }
        if id.trust_domain() != &self.trust_domain {
            let why = format!("{id} is not in our trust domain {}", self.trust_domain);
            return Err(Problem::new(codes::IDENTITY_NAME, why));
        }
        let key = new_key()?;
        let life = Life { from: now, until: plus(now, NODE_SECONDS).min(self.not_after) };
        let mut params = named("Twinpact node", id.to_string(), life)?;
        // Written out: verifiers refuse a leaf without basic constraints.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = sign(&params, &key, self.certificate.as_ref(), &self.key)?;
        Ok(NodeCertificate {
            spiffe_id: id.clone(),
            chain: vec![leaf, self.certificate.clone()],
            life: Life { from: plus(life.from, -BACKDATE_SECONDS), until: life.until },
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    /// Whether a new node certificate is due: two thirds of the life of this one are over, and a
    /// new one would live longer.
    #[must_use]
    pub fn needs_renewal(&self, node: &NodeCertificate, now: WallTime) -> bool {
        let (from, until) = (node.life.from.0.seconds(), node.life.until.0.seconds());
        let due = from + (until - from) * 2 / 3;
        now.0.seconds() >= due && node.life.until < self.not_after
    }

    /// How it stands with the life of this CA.
    #[must_use]
    pub fn validity(&self, now: WallTime) -> Validity {
        let not_after = self.not_after;
        if now > not_after {
            Validity::Expired { not_after }
        } else if plus(now, WARN_SECONDS) >= not_after {
            Validity::Expiring { not_after }
        } else {
            Validity::Good
        }
    }

    /// Its trust domain.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The end of its life.
    #[must_use]
    pub const fn not_after(&self) -> WallTime {
        self.not_after
    }

    /// Its key (PKCS#8, DER). Secret.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.serialized_der()
    }
}

impl fmt::Debug for IssuingCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "issuing CA of {} until {}", self.trust_domain, self.not_after.0)
    }
}

/// How it stands with the life of the issuing CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is far from its end.
    Good,
    /// It runs out within 30 days: a warning in `/readyz`.
    Expiring {
        /// The end of its life.
        not_after: WallTime,
    },
    /// It has run out: the node runs, and refuses federation traffic.
    Expired {
        /// The end of its life.
        not_after: WallTime,
    },
}

impl Validity {
    /// Whether node certificates can still be issued, and so whether federation goes on.
    #[must_use]
    pub const fn federates(self) -> bool {
        !matches!(self, Validity::Expired { .. })
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validity::Good => f.write_str("the issuing CA is valid"),
            Validity::Expiring { not_after } => {
                write!(f, "the issuing CA runs out at {}; {RENEW}", not_after.0)
            }
            Validity::Expired { not_after } => {
                write!(f, "federation refused: the issuing CA ran out at {}; {RENEW}", not_after.0)
            }
        }
    }
}

/// What to do about an issuing CA that runs out.
const RENEW: &str = "run twinpact ca renew --root FILE";

/// A node's certificate with its key, which is never written to the disk.
pub struct NodeCertificate {
    spiffe_id: SpiffeId,
    chain: Vec<CertificateDer<'static>>,
    life: Life,
    key: PrivatePkcs8KeyDer<'static>,
}

impl NodeCertificate {
    /// Whose it is.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The leaf, then the issuing CA.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The beginning of its life.
    #[must_use]
    pub const fn not_before(&self) -> WallTime {
        self.life.from
    }

    /// The end of its life.
    #[must_use]
    pub const fn not_after(&self) -> WallTime {
        self.life.until
    }

    /// Its key (PKCS#8, DER). Secret.
    #[must_use]
    pub const fn key(&self) -> &PrivatePkcs8KeyDer<'static> {
        &self.key
    }
}

impl fmt::Debug for NodeCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate of {} until {}", self.spiffe_id, self.life.until.0)
    }
}

#[derive(Clone, Copy)]
struct Life {
    from: WallTime,
    until: WallTime,
}

fn authority(
    role: &str,
    domain: &TrustDomain,
    below: u8,
    life: Life,
) -> Result<CertificateParams, Problem> {
    let mut params = named(role, domain.uri(), life)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Who it is stands in the URI name; the subject only tells people what they look at.
fn named(role: &str, uri: String, life: Life) -> Result<CertificateParams, Problem> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, role);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(|e| internal(&e))?)];
    // From here on every certificate names its issuer's key; on a root that is its own.
    params.use_authority_key_identifier_extension = true;
    let date = |at: WallTime| {
        let seconds = u64::try_from(at.0.seconds()).unwrap_or(0);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = date(plus(life.from, -BACKDATE_SECONDS));
    params.not_after = date(life.until);
    Ok(params)
}

fn sign(
    params: &CertificateParams,
    key: &KeyPair,
    issuer: &[u8],
    issuer_key: &KeyPair,
) -> Result<CertificateDer<'static>, Problem> {
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(issuer), issuer_key);
    let issuer = issuer.map_err(|e| internal(&e))?;
    params.signed_by(key, &issuer).map(Into::into).map_err(|e| internal(&e))
}

fn new_key() -> Result<KeyPair, Problem> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| internal(&e))
}

fn read_key(der: &[u8]) -> Result<KeyPair, Problem> {
    let der = PrivatePkcs8KeyDer::from(der);
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| file("the key is not a P-256 key in PKCS#8"))
}

fn check_key(certificate: &[u8], key: &KeyPair) -> Result<(), Problem> {
    let facts = Facts::read(certificate).ok_or_else(|| file("the certificate cannot be read"))?;
    if facts.public_key == key.subject_public_key_info() {
        return Ok(());
    }
    Err(Problem::new(codes::IDENTITY_MISMATCH, "the key is not the key of the certificate")
        .hint("use the key file that was made together with this certificate"))
}

fn plus(at: WallTime, seconds: i64) -> WallTime {
    WallTime(at.0.plus_seconds(seconds))
}

fn expired(what: &str, not_after: WallTime) -> Problem {
    Problem::new(codes::IDENTITY_EXPIRED, format!("our {what} ran out at {}", not_after.0))
        .hint(RENEW)
}

fn file(why: &str) -> Problem {
    Problem::new(codes::IDENTITY_FILE, why.to_owned())
}

fn internal(error: &rcgen::Error) -> Problem {
    Problem::new(codes::INTERNAL, format!("a certificate cannot be made: {error}"))
}

#[cfg(test)]
mod tests;
