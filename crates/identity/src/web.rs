//! TLS as the web does it, for connectors that do no mutual TLS: the server shows a certificate
//! that some authority has issued for its name, and the client shows nothing.
//!
//! Nothing of it is trusted by itself: certificates, keys and authorities are files that the
//! operator names ([`WebServer`], [`WebRoots`]). TLS 1.3 only, as between partners; who calls is
//! for [`crate::claims`] to say.

use crate::tls::{ALPN, Clock, provider, time_provider};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use twinpact_model::{Problem, Timestamp, WallTime, codes};

/// The most bytes of a file with certificates: the authorities of a whole operating system fit.
pub const MAX_WEB_FILE_BYTES: u64 = 1 << 20;

/// What a server shows; it can be renewed while the server runs. Clones share it.
#[derive(Clone)]
pub struct WebServer(Arc<RwLock<Shown>>);

/// A certificate with its key, and until when it is good.
#[derive(Clone)]
struct Shown {
    certified: Arc<CertifiedKey>,
    until: WallTime,
}

impl WebServer {
    /// A certificate with those that lead from it to its authority, and its key; PEM (RFC 7468)
    /// each.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<WebServer, String> {
        shown(chain, key).map(|shown| WebServer(Arc::new(RwLock::new(shown))))
    }

    /// Shows another one from now on.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem); the old one is shown then.
    pub fn renew(&self, chain: &[u8], key: &[u8]) -> Result<(), String> {
        let next = shown(chain, key)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Until when what it shows is good.
    #[must_use]
    pub fn until(&self) -> WallTime {
        self.0.read().unwrap_or_else(PoisonError::into_inner).until
    }

    /// For a listener.
    ///
    /// # Errors
    /// `internal` when the provider does not speak TLS 1.3.
    pub fn config(&self, clock: &Clock) -> Result<Arc<ServerConfig>, Problem> {
        let builder = ServerConfig::builder_with_details(provider(), time_provider(clock));
        let mut config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| internal(&e))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for WebServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebServer")
    }
}

impl ResolvesServerCert for WebServer {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

fn shown(chain: &[u8], key: &[u8]) -> Result<Shown, String> {
    let chain = certificates(chain)?;
    let leaf = chain.first().and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok());
    let (_, leaf) = leaf.ok_or_else(|| "the first certificate cannot be read".to_owned())?;
    let until = WallTime(Timestamp::from_seconds(leaf.validity().not_after.timestamp()));
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("the key: {e}"))?;
    // It looks whether the key is that of the certificate.
    let certified = CertifiedKey::from_der(chain, key, &provider());
    let certified = certified.map_err(|e| format!("certificate and key: {e}"))?;
    Ok(Shown { certified: Arc::new(certified), until })
}

/// Whose certificates a server's has to lead to. Clones share it.
#[derive(Clone)]
pub struct WebRoots(Arc<RootCertStore>);

impl WebRoots {
    /// Those authorities; PEM.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn from_pem(authorities: &[u8]) -> Result<WebRoots, String> {
        let mut store = RootCertStore::empty();
        match store.add_parsable_certificates(certificates(authorities)?) {
            (0, _) => Err("no certificate in it is one of an authority".to_owned()),
            _ => Ok(WebRoots(Arc::new(store))),
        }
    }

    /// For calls to servers under them, by the name that is called.
    ///
    /// # Errors
    /// `internal` when the provider does not speak TLS 1.3.
    pub fn config(&self, clock: &Clock) -> Result<Arc<ClientConfig>, Problem> {
        let builder = ClientConfig::builder_with_details(provider(), time_provider(clock));
        let mut config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| internal(&e))?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for WebRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} authorities", self.0.len())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|e| format!("the certificates: {e}"))?;
    match all.is_empty() {
        true => Err("there is no certificate in it".to_owned()),
        false => Ok(all),
    }
}

fn internal(error: &rustls::Error) -> Problem {
    Problem::new(codes::INTERNAL, error.to_string())
}
