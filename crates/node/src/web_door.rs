//! Connectors that do no mutual TLS: they are met over HTTPS, each side's server by the authorities
//! that the other's configuration names, and each caller by claims that it signs
//! ([`twinpact_identity::claims`]).
//!
//! That is less than a partner's certificate shows: claims are bound to no connection, and the key
//! of a connector is a file of ours and no record that it has signed. What is agreed and decided
//! with one says so.

use crate::config::{ConnectorSettings, MAX_CONNECTORS};
use crate::connectors::DSP_PATH;
use crate::ids;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use twinpact_identity::claims::{
    Claims, ClaimsFault, ClaimsKey, ClaimsPublicKey, MAX_CLAIMS_BYTES, issuer_named,
};
use twinpact_identity::disk::Disk;
use twinpact_identity::files::IdentityFiles;
use twinpact_identity::outgoing::{Scheme, Target};
use twinpact_identity::web::{MAX_WEB_FILE_BYTES, WebRoots, WebServer};
use twinpact_model::problem::Problem;
use twinpact_model::{WallTime, codes};

/// The claims that a call bears stand behind this in `Authorization` (RFC 6750 §2.1).
pub const BEARER: &str = "Bearer ";

/// The door with TLS, and those who come through it.
pub struct WebDoor {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it shows.
    pub server: WebServer,
    disk: Arc<dyn Disk>,
    files: [PathBuf; 2],
    endpoint: Option<String>,
    bound: OnceLock<String>,
    ours: ClaimsKey,
    theirs: BTreeMap<String, Theirs>,
}

/// What is pinned of one of them.
#[derive(Debug)]
struct Theirs {
    keys: Vec<ClaimsPublicKey>,
    roots: WebRoots,
}

impl fmt::Debug for WebDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebDoor at {}, {:?}", self.listen, self.theirs)
    }
}

impl WebDoor {
    /// What a configuration says of that door, with the files that it names; nothing when it has no
    /// such door. A key of our own is made when there is none yet.
    ///
    /// # Errors
    /// `config.invalid` with the file that cannot be used; `identity.*` of our own key.
    pub(crate) fn load(
        settings: &ConnectorSettings,
        (disk, directory): (&Arc<dyn Disk>, &Path),
        files: &IdentityFiles,
    ) -> Result<Option<WebDoor>, Problem> {
        let (Some(listen), Some(certificate), Some(key)) =
            (settings.listen_tls, &settings.certificate, &settings.key)
        else {
            return Ok(None);
        };
        let paths = [certificate, key].map(|path| directory.join(path));
        let [chain, key] = &paths;
        let read = |path: &Path| read(disk.as_ref(), path);
        let server = WebServer::from_pem(&read(chain)?, &read(key)?);
        let server = server.map_err(|why| unusable(chain, &why))?;
        let mut theirs = BTreeMap::new();
        for peer in settings.peers.iter().take(MAX_CONNECTORS) {
            let (Some(key), Some(roots)) = (&peer.claims_key, &peer.authorities) else { continue };
            let (key_file, roots_file) = (directory.join(key), directory.join(roots));
            let keys = ClaimsPublicKey::all_of(&read(&key_file)?)
                .map_err(|why| unusable(&key_file, why))?;
            let roots = WebRoots::from_pem(&read(&roots_file)?)
                .map_err(|why| unusable(&roots_file, &why))?;
            theirs.insert(peer.id.clone(), Theirs { keys, roots });
        }
        let (endpoint, ours) = (settings.endpoint.clone(), files.claims_key()?);
        let (disk, bound) = (Arc::clone(disk), OnceLock::new());
        Ok(Some(WebDoor { listen, server, disk, files: paths, endpoint, bound, ours, theirs }))
    }

    /// Reads the certificate of the door again: it was renewed, or was not.
    ///
    /// # Errors
    /// `config.invalid` when it cannot be used; the old one is shown on.
    pub fn renew(&self) -> Result<(), Problem> {
        let ([chain, key], disk) = (&self.files, self.disk.as_ref());
        let renewed = self.server.renew(&read(disk, chain)?, &read(disk, key)?);
        renewed.map_err(|why| unusable(chain, &why))
    }

    /// The door is bound there. It is told once.
    pub fn bound(&self, address: SocketAddr) {
        let base = self.endpoint.as_deref().map(|base| base.trim_end_matches('/').to_owned());
        let base = base.unwrap_or_else(|| format!("https://{address}"));
        let _ = self.bound.set(format!("{base}{DSP_PATH}"));
    }

    /// The base address of the protocol's endpoints at that door.
    ///
    /// # Errors
    /// `internal` before it is bound.
    pub fn endpoint(&self) -> Result<&str, Problem> {
        let unbound = || Problem::new(codes::INTERNAL, "the door with TLS is not bound");
        self.bound.get().map(String::as_str).ok_or_else(unbound)
    }

    /// Whether this connector signs claims.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.theirs.contains_key(id)
    }

    /// Whose certificates a server of that connector shows.
    pub(crate) fn roots(&self, id: &str) -> Option<&WebRoots> {
        self.theirs.get(id).map(|theirs| &theirs.roots)
    }

    /// Who calls us with this `Authorization`, its scheme taken off.
    ///
    /// # Errors
    /// Why nobody does.
    pub(crate) fn caller(
        &self,
        token: Option<&str>,
        us: &str,
        now: WallTime,
    ) -> Result<&str, ClaimsFault> {
        let token = token.filter(|token| token.len() <= MAX_CLAIMS_BYTES);
        let token = token.ok_or(ClaimsFault::Form)?;
        let named = issuer_named(token).ok_or(ClaimsFault::Form)?;
        let (id, theirs) = self.theirs.get_key_value(&named).ok_or(ClaimsFault::Issuer)?;
        let mut why = ClaimsFault::Signature;
        for key in &theirs.keys {
            match key.check(token, id, us, now) {
                Err(ClaimsFault::Signature) => {}
                Err(other) => why = other,
                Ok(()) => return Ok(id),
            }
        }
        Err(why)
    }

    /// `Authorization` of a call of ours to that connector.
    ///
    /// # Errors
    /// `internal` when it cannot be signed.
    pub(crate) fn signed(&self, us: &str, to: &str, now: WallTime) -> Result<String, Problem> {
        let jti = ids::urn()?;
        let claims = Claims { issuer: us, audience: to, jti: &jti, now };
        Ok(format!("{BEARER}{}", self.ours.issue(&claims)?))
    }
}

/// The key that a node in that directory signs claims with, as a JSON Web Key; it is made when
/// there is none, and a node that runs reads it at its start.
///
/// # Errors
/// `identity.*` when there is no identity, or with what is wrong with the key.
pub fn own_key(directory: &Path) -> Result<Value, Problem> {
    let files = IdentityFiles::new(directory.join("identity"));
    files.root()?;
    let key = files.claims_key()?.public().to_jwk().canonical();
    serde_json::from_str(&key).map_err(|e| Problem::new(codes::INTERNAL, e.to_string()))
}

/// Whether what a configuration says of connectors that sign claims is whole.
///
/// # Errors
/// What is missing or wrong, for people.
pub(crate) fn check(settings: &ConnectorSettings) -> Result<(), String> {
    let door = [settings.certificate.is_some(), settings.key.is_some()];
    if door != [settings.listen_tls.is_some(); 2] {
        return Err("connectors.listen_tls, certificate and key belong together".to_owned());
    }
    if settings.endpoint.is_some() && settings.listen_tls.is_none() {
        return Err("connectors.endpoint is that of listen_tls, which is not set".to_owned());
    }
    if settings.endpoint.is_none() && settings.listen_tls.is_some_and(|at| at.ip().is_unspecified())
    {
        return Err("connectors.endpoint is needed: listen_tls is no address for others".to_owned());
    }
    if let Some(endpoint) = settings.endpoint.as_deref().filter(|at| !is_web(at)) {
        return Err(format!("connectors.endpoint is {endpoint:?}, which is no https address"));
    }
    for peer in &settings.peers {
        let id = &peer.id;
        let has = [peer.authorities.is_some(), peer.claims_key.is_some()];
        let wants = peer.endpoint.starts_with("https://");
        if has != [wants; 2] {
            return Err(format!(
                "the connector {id:?} needs authorities and claims_key with an https endpoint, and \
                 with that alone"
            ));
        }
        if wants && settings.listen_tls.is_none() {
            return Err(format!(
                "the connector {id:?} signs claims, and connectors.listen_tls is not set"
            ));
        }
    }
    Ok(())
}

/// Whether that is an `https` address without a query.
pub(crate) fn is_web(address: &str) -> bool {
    Target::parse(address)
        .is_ok_and(|target| target.scheme == Scheme::Https && target.query.is_none())
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Problem> {
    let bytes = disk.read(path, MAX_WEB_FILE_BYTES + 1).and_then(|bytes| {
        let fits = bytes.len() as u64 <= MAX_WEB_FILE_BYTES;
        fits.then_some(bytes).ok_or_else(|| io::Error::other("it is larger than 1 MiB"))
    });
    bytes.map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, why: &str) -> Problem {
    Problem::new(codes::CONFIG_INVALID, format!("{}: {why}", path.display()))
        .hint("mend the file, or its name under connectors in twinpact.toml")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const DOOR: &str = "listen_tls = \"0.0.0.0:8443\"\nendpoint = \"https://a.example\"\n\
                        certificate = \"a.pem\"\nkey = \"/etc/a.key\"\n";
    const PEER: &str = "[[connectors.peers]]\nid = \"b\"\nendpoint = \"https://b.example/dsp\"\n\
                        data = [\"https://data.b.example\"]\nauthorities = \"ca.pem\"\n\
                        claims_key = \"b.jwk\"\n";

    fn check(connectors: &str, says: &str) {
        let text = format!(
            "organisation = \"did:web:a.example\"\nname = \"A\"\n[connectors]\n{connectors}"
        );
        match Config::parse(&text) {
            Ok(_) => assert_eq!(says, "", "{connectors}"),
            Err(problem) => {
                assert_eq!(problem.code.name, "config.invalid");
                assert!(!says.is_empty() && problem.message.contains(says), "{problem}");
            }
        }
    }

    #[test]
    fn a_configuration_of_the_door_is_whole_or_refused() {
        let both = format!("{DOOR}{PEER}");
        check(&both, "");
        check(DOOR, "");
        check(PEER, "connectors.listen_tls is not set");
        let nowhere = both.replacen("endpoint = \"https://a.example\"\n", "", 1);
        check(&nowhere, "connectors.endpoint is needed");
        check(&nowhere.replacen("0.0.0.0", "192.0.2.1", 1), "");
        for key in ["certificate", "key", "listen_tls"] {
            let without: String = both
                .lines()
                .filter(|line| !line.starts_with(&format!("{key} =")))
                .map(|line| format!("{line}\n"))
                .collect();
            check(&without, "belong together");
        }
        for key in ["authorities", "claims_key"] {
            check(&both.replacen(key, &format!("# {key}"), 1), "needs authorities and claims_key");
        }
        let plain = both.replacen("https://b.example", "http://127.0.0.1:1", 1);
        check(&plain, "needs authorities and claims_key");
        check(&both.replacen("https://a.example", "http://a.example", 1), "no https address");
        check(&both.replacen("https://data", "http://data", 1), "is neither");
        check(&both.replacen("https://data.b.example", "https://u@b.example", 1), "is neither");
        check(&format!("endpoint = \"https://a.example\"\n{PEER}"), "which is not set");
        check(&both.replacen("claims_key", "claim_key", 1), "unknown key \"claim_key\"");
    }
}
