//! TLS between organisations: rustls on aws-lc-rs, TLS 1.3 (RFC 8446) only.
//!
//! Both sides present their node certificate and verify the other by pinned root and SPIFFE id,
//! never by host name ([`crate::partners`]). A client certificate is optional in the handshake: a
//! route asks for [`peer_identity`]. Sessions are never resumed, because a resumed session skips
//! the verifier and would outlive a partner that was taken out. The provider is named here and
//! never the process default.

use crate::ca::NodeCertificate;
use crate::partners::{Partners, PeerIdentity, Side};
use crate::refusal::Refusal;
use crate::spiffe::TrustDomain;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;
use twinpact_model::time::{Timestamp, WallTime};
use twinpact_model::{Problem, codes};

/// The protocol inside TLS (ALPN): HTTP/1.1.
pub const ALPN: &[u8] = b"http/1.1";

/// Where the time of a handshake comes from.
pub type Clock = Arc<dyn Fn() -> WallTime + Send + Sync>;

/// The clock of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
        WallTime(Timestamp::from_micros(micros))
    })
}

/// The node certificate that new handshakes present; replaced at run time, empty when we have none.
#[derive(Clone, Default)]
pub struct Presented(Arc<RwLock<Option<Shown>>>);

/// A certificate with its key, and the end of its life.
#[derive(Clone)]
struct Shown {
    certified: Arc<CertifiedKey>,
    from: WallTime,
    until: WallTime,
}

impl Presented {
    /// Presents this certificate from now on.
    ///
    /// # Errors
    /// `internal` when its key cannot be loaded.
    pub fn replace(&self, node: &NodeCertificate) -> Result<(), Problem> {
        let key = PrivateKeyDer::from(node.key().clone_key());
        let certified = CertifiedKey::from_der(node.chain().to_vec(), key, &provider())
            .map_err(|e| internal(&e))?;
        let (from, until) = (node.not_before(), node.not_after());
        let shown = Shown { certified: Arc::new(certified), from, until };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(())
    }

    /// Presents nothing from now on: as a server every handshake fails, as a client we are nobody.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there is nothing to present.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown().is_none()
    }

    /// Until when what is presented is good.
    #[must_use]
    pub fn until(&self) -> Option<WallTime> {
        self.shown().map(|shown| shown.until)
    }

    /// Whether what is presented is good at that time and for so many seconds more.
    #[must_use]
    pub fn is_good(&self, now: WallTime, more: i64) -> bool {
        let later = WallTime(now.0.plus_seconds(more));
        self.shown().is_some_and(|shown| shown.from <= now && later < shown.until)
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.shown().map(|shown| shown.certified)
    }

    fn shown(&self) -> Option<Shown> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "no certificate" } else { "a certificate" })
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current()
    }

    fn has_certs(&self) -> bool {
        !self.is_empty()
    }
}

/// For a listener: presents our certificate, accepts a client without one, refuses a client with
/// one that is no partner's.
///
/// # Errors
/// `internal` when the provider does not speak TLS 1.3.
pub fn server_config(
    presented: &Presented,
    partners: &Partners,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, Problem> {
    let verifier = Arc::new(Verifier::new(partners, None));
    let builder = ServerConfig::builder_with_details(provider(), time_provider(clock));
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| internal(&e))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(presented.clone()));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// For calls to one partner: presents our certificate, and accepts a server of that trust domain
/// under that partner's pinned root, whatever host it runs on.
///
/// # Errors
/// `internal` when the provider does not speak TLS 1.3.
pub fn client_config(
    presented: &Presented,
    partners: &Partners,
    partner: &TrustDomain,
    clock: &Clock,
) -> Result<Arc<ClientConfig>, Problem> {
    client_config_with(Verifier::new(partners, Some(partner.clone())), presented, clock)
}

fn client_config_with(
    verifier: Verifier,
    presented: &Presented,
    clock: &Clock,
) -> Result<Arc<ClientConfig>, Problem> {
    let builder = ClientConfig::builder_with_details(provider(), time_provider(clock));
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| internal(&e))?
        .dangerous() // rustls' word for any verifier but its own
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(presented.clone()));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// For the first call to an organisation whose root is not known yet: presents nothing, and accepts
/// any server that holds the key of its certificate. Whoever answers is nobody, and what it says
/// has to be proven by itself.
///
/// # Errors
/// `internal` when the provider does not speak TLS 1.3.
pub fn first_config(clock: &Clock) -> Result<Arc<ClientConfig>, Problem> {
    let mut verifier = Verifier::new(&Partners::default(), None);
    verifier.anybody = true;
    let presented = Presented::default();
    client_config_with(verifier, &presented, clock)
}

/// Who the peer of a finished handshake is: `None` when it presented no certificate. It is verified
/// once more against the partners of this moment, so that what was checked in the handshake and
/// what is said here cannot differ.
///
/// # Errors
/// The reason, when it is no partner any more.
pub fn peer_identity(
    certificates: Option<&[CertificateDer<'_>]>,
    side: Side<'_>,
    partners: &Partners,
    now: WallTime,
) -> Result<Option<PeerIdentity>, Refusal> {
    match certificates {
        None | Some([]) => Ok(None),
        Some(chain) => partners.snapshot().verify(chain, side, now).map(Some),
    }
}

/// aws-lc-rs with the suites of TLS 1.3 and, first among the key exchanges, the one that a quantum
/// computer does not break (X25519MLKEM768).
pub(crate) fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::{cipher_suite, kx_group};
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    })
}

struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from((self.0)().0.seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clock")
    }
}

pub(crate) fn time_provider(clock: &Clock) -> Arc<dyn TimeProvider> {
    Arc::new(ClockTime(Arc::clone(clock)))
}

/// Our verifier, for both sides.
#[derive(Debug)]
struct Verifier {
    partners: Partners,
    /// The partner that we call; `None` on a listener.
    server: Option<TrustDomain>,
    /// Any server will do, as long as it holds the key of its certificate.
    anybody: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(partners: &Partners, server: Option<TrustDomain>) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Verifier { partners: partners.clone(), server, anybody: false, algorithms }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.anybody {
            return Ok(());
        }
        let chain: Vec<CertificateDer<'_>> =
            std::iter::once(leaf).chain(issuers).cloned().collect();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let now = WallTime(Timestamp::from_seconds(seconds));
        let side = self.server.as_ref().map_or(Side::Client, Side::Server);
        let verified = self.partners.snapshot().verify(&chain, side, now);
        verified.map(|_| ()).map_err(Refusal::into_error)
    }

    fn signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }
}

/// TLS 1.2 is not in our configurations; if it ever came here, it is refused here.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, issuers, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: the list would tell every stranger who our partners are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(leaf, issuers, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn internal(error: &Error) -> Problem {
    Problem::new(codes::INTERNAL, format!("TLS cannot be set up: {error}"))
}

#[cfg(test)]
mod tests;
