//! For tests: organisations, and certificates that our own CA would never issue.

use crate::ca::{IssuingCa, NodeCertificate, Root};
use crate::partners::Partner;
use crate::spiffe::{SpiffeId, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::time::Duration;
use twinpact_model::Did;
use twinpact_model::time::{Timestamp, WallTime};

/// When the tests take place.
pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) fn at(seconds: i64) -> WallTime {
    WallTime(Timestamp::from_seconds(NOW + seconds))
}

/// An organisation with its whole chain.
pub(crate) struct Org {
    pub(crate) domain: TrustDomain,
    pub(crate) root: Root,
    pub(crate) issuing: IssuingCa,
}

impl Org {
    pub(crate) fn new(host: &str) -> Org {
        let domain = TrustDomain::new(host).unwrap();
        let root = Root::create(&domain, at(0)).unwrap();
        let issuing = root.issue(at(0)).unwrap();
        Org { domain, root, issuing }
    }

    pub(crate) fn id(&self) -> SpiffeId {
        SpiffeId::of_node(&self.domain, "n1").unwrap()
    }

    pub(crate) fn node(&self, now: WallTime) -> NodeCertificate {
        self.issuing.issue_node(&self.id(), now).unwrap()
    }

    pub(crate) fn partner(&self) -> Partner {
        Partner {
            did: Did::new(format!("did:web:{}", self.domain)).unwrap(),
            root: self.root.certificate().clone(),
        }
    }

    pub(crate) fn root_authority(&self) -> Authority {
        Authority::new(self.root.certificate().der(), self.root.key())
    }

    pub(crate) fn authority(&self) -> Authority {
        Authority::new(self.issuing.certificate(), self.issuing.key())
    }

    /// A leaf of this organisation with something changed, and its chain.
    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Chain {
        let mut params = leaf_params(&self.id().to_string());
        change(&mut params);
        self.authority().sign(&params).under(&[self.issuing.certificate()])
    }
}

/// Something that signs certificates: a certificate and its key.
pub(crate) struct Authority {
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new(der: &[u8], key: &[u8]) -> Authority {
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key)).unwrap();
        Authority { der: CertificateDer::from(der.to_vec()), key }
    }

    /// Signs whatever it is given.
    pub(crate) fn sign(&self, params: &CertificateParams) -> Chain {
        let issuer = Issuer::from_ca_cert_der(&self.der, &self.key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().into();
        Chain { certificates: vec![leaf], key }
    }
}

/// A leaf, what stands above it, and the leaf's key.
pub(crate) struct Chain {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Chain {
    pub(crate) fn under(mut self, issuers: &[&CertificateDer<'static>]) -> Chain {
        self.certificates.extend(issuers.iter().copied().cloned());
        self
    }

    /// The leaf as something that signs.
    pub(crate) fn authority(&self) -> Authority {
        Authority::new(&self.certificates[0], self.key.serialized_der())
    }

    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        &self.certificates[0]
    }

    pub(crate) fn self_signed(params: &CertificateParams) -> Chain {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Chain { certificates: vec![certificate.into()], key }
    }
}

impl From<&NodeCertificate> for Chain {
    fn from(node: &NodeCertificate) -> Chain {
        let key = KeyPair::try_from(node.key()).unwrap();
        Chain { certificates: node.chain().to_vec(), key }
    }
}

/// A leaf in good order with that URI name.
pub(crate) fn leaf_params(uri: &str) -> CertificateParams {
    let mut params = params("Twinpact node", &[uri]);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A CA in good order with these URI names.
pub(crate) fn ca_params(name: &str, uris: &[&str]) -> CertificateParams {
    let mut params = params(name, uris);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = uris.iter().map(|u| uri_name(u)).collect();
    set_life(&mut params, -300, 3_600);
    params
}

pub(crate) fn uri_name(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// Sets the life, in seconds from the time of the tests.
pub(crate) fn set_life(params: &mut CertificateParams, from: i64, until: i64) {
    let date = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(u64::try_from(NOW + seconds).unwrap())
    };
    (params.not_before, params.not_after) = (date(from), date(until));
}
