//! Our keys and certificates on the disk: the directory `identity/`.
//!
//! | file | what | mode |
//! |---|---|---|
//! | `root.crt` | the root's certificate (PEM) | 0644 |
//! | `root.key` | the root's key (PKCS#8, PEM); may be taken away | 0600 |
//! | `issuing.pem` | certificate and key of the issuing CA (PEM) | 0600 |
//! | `document.key` | the seeds of document keys, 64 hex digits a line, the newest first | 0600 |
//! | `claims.key` | the key of claims (PKCS#8, PEM), made when it is first asked for | 0600 |
//!
//! A document key that was replaced stays for the overlap in which it may still sign records.
//! Each file is written under a name that is its writer's alone, synced and renamed, so that it is
//! there as a whole or not at all; certificate and key of the issuing CA stand in one file because
//! they change as one. `root.crt` is written last: without it there is no identity yet. Keys of
//! nodes never reach the disk. A key file that others can read is refused.

use crate::ca::{IssuingCa, Root};
use crate::certificate::RootCertificate;
use crate::claims::ClaimsKey;
use crate::disk::{Disk, ThisMachine};
use crate::partners::{Side, check_path};
use crate::signer::Signer;
use crate::spiffe::{SpiffeId, TrustDomain};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twinpact_model::time::WallTime;
use twinpact_model::{Problem, codes};
use twinpact_proof::digest::{from_hex, to_hex};
use twinpact_proof::{PublicKey, text64};

/// The largest file that we read here, in bytes.
pub const MAX_FILE_BYTES: u64 = 65_536;
/// The most document keys that are kept at a time: the newest, and those in their overlap.
pub const MAX_DOCUMENT_KEYS: usize = 8;

const ROOT_CERTIFICATE: &str = "root.crt";
const ROOT_KEY: &str = "root.key";
const ISSUING: &str = "issuing.pem";
const DOCUMENT_KEY: &str = "document.key";
const CLAIMS_KEY: &str = "claims.key";
const RESTORE: &str = "nothing was changed; put the file back from a copy of this node's directory";
/// What the name of a draft ends with.
const DRAFT: &str = ".new";
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

/// What a node needs of its organisation's identity; the root's key is not among it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The root's certificate, for the organisation record.
    pub root: RootCertificate,
    /// Issues this node's certificates.
    pub issuing: Arc<IssuingCa>,
    /// Signs documents.
    pub signer: Arc<Signer>,
    /// The other document keys that are kept.
    pub others: Vec<Arc<Signer>>,
}

impl Identity {
    /// Every document key that is kept, the one that signs first.
    pub fn signers(&self) -> impl Iterator<Item = &Arc<Signer>> {
        std::iter::once(&self.signer).chain(&self.others)
    }

    /// The same with the first of its keys signing of which this is so; `None` when there is none.
    #[must_use]
    pub fn signing_with(&self, so: impl Fn(&PublicKey) -> bool) -> Option<Identity> {
        let mut rest: Vec<Arc<Signer>> = self.signers().map(Arc::clone).collect();
        let place = rest.iter().position(|signer| so(&signer.public()))?;
        let signer = rest.remove(place);
        Some(Identity { signer, others: rest, ..self.clone() })
    }
}

/// The directory `identity/`. One process at a time has it (the store's lock), but for those that
/// renew the issuing CA beside a node.
#[derive(Clone)]
pub struct IdentityFiles {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
}

impl std::fmt::Debug for IdentityFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IdentityFiles").field(&self.directory).finish()
    }
}

impl IdentityFiles {
    /// In that directory of this machine.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        IdentityFiles::on(Arc::new(ThisMachine), directory)
    }

    /// In that directory of that disk.
    pub fn on(disk: Arc<dyn Disk>, directory: impl Into<PathBuf>) -> Self {
        IdentityFiles { directory: directory.into(), disk }
    }

    /// Makes root, issuing CA and document key, and writes them. What an interrupted attempt left
    /// is written over or cleared away.
    ///
    /// # Errors
    /// `identity.exists` when there is an identity already, `store.io` when the disk refuses,
    /// `internal` when the system gives no randomness.
    pub fn create(&self, trust_domain: &TrustDomain, now: WallTime) -> Result<Identity, Problem> {
        if self.disk.exists(&self.path(ROOT_CERTIFICATE)) {
            let why = format!("{} has an identity already", self.directory.display());
            return Err(Problem::new(codes::IDENTITY_EXISTS, why));
        }
        let ready = self.disk.make_dir(&self.directory).and_then(|()| self.clear());
        ready.map_err(|e| io(&self.directory, &e))?;
        let root = Root::create(trust_domain, now)?;
        let issuing = root.issue(now)?;
        let seed = new_seed()?;
        self.write(ROOT_KEY, &pem("PRIVATE KEY", root.key()), SECRET)?;
        self.write_issuing(&issuing)?;
        self.write_seeds(&[seed])?;
        let certificate = root.certificate();
        self.write(ROOT_CERTIFICATE, &pem("CERTIFICATE", certificate.der()), PUBLIC)?;
        let signer = Arc::new(Signer::new(&seed));
        let (root, issuing) = (certificate.clone(), Arc::new(issuing));
        Ok(Identity { root, issuing, signer, others: Vec::new() })
    }

    /// Reads what [`create`](Self::create) wrote, without the root's key.
    ///
    /// # Errors
    /// `identity.missing`, `identity.exposed`, `identity.file` or `identity.mismatch` with the file
    /// that is wrong; the last also when the root is of another trust domain.
    pub fn load(&self, trust_domain: &TrustDomain) -> Result<Identity, Problem> {
        self.read(trust_domain).map_err(|problem| match problem.hint {
            None => problem.hint(RESTORE),
            Some(_) => problem,
        })
    }

    fn read(&self, trust_domain: &TrustDomain) -> Result<Identity, Problem> {
        let root = self.root()?;
        if root.trust_domain() != trust_domain {
            let why = format!("the {root:?} is not one of {trust_domain}");
            return Err(Problem::new(codes::IDENTITY_MISMATCH, why)
                .hint("the organisation's DID was changed after its keys were made"));
        }
        let path = self.path(ISSUING);
        let text = self.read_secret(&path)?;
        let issuing =
            IssuingCa::from_parts(&root, &certificate(&path, &text)?, &key(&path, &text)?)?;
        if !leads_to(&root, &issuing)? {
            return Err(unusable(&path, "what it issues does not lead to the root"));
        }
        let mut signers = self.seeds()?.into_iter().map(|seed| Arc::new(Signer::new(&seed)));
        let signer = signers.next().ok_or_else(|| self.no_seeds())?;
        let (issuing, others) = (Arc::new(issuing), signers.collect());
        Ok(Identity { root, issuing, signer, others })
    }

    /// Makes the names of the files durable, and clears away what a writer left that was stopped.
    /// One may have been stopped just before it made a name durable; what is built on what is read
    /// here must not go with the next power cut.
    ///
    /// # Errors
    /// `store.io` when the disk refuses.
    pub fn settle(&self) -> Result<(), Problem> {
        let settled = self.clear().and_then(|()| self.disk.sync_dir(&self.directory));
        settled.map_err(|e| io(&self.directory, &e))
    }

    /// Removes drafts, which nobody reads. Who is still at one writes another.
    fn clear(&self) -> std::io::Result<()> {
        let names = self.disk.list(&self.directory)?;
        for name in names.iter().filter(|name| name.ends_with(DRAFT)) {
            self.remove(&self.path(name))?;
        }
        Ok(())
    }

    /// Removes a file that somebody else may have removed already.
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes a new document key and writes it before those that are there.
    ///
    /// # Errors
    /// As [`load`](Self::load); `input.too_large` when there are [`MAX_DOCUMENT_KEYS`] already,
    /// `store.io` when the disk refuses, `internal` when the system gives no randomness.
    pub fn add_document_key(&self) -> Result<(), Problem> {
        let mut seeds = self.seeds()?;
        if seeds.len() >= MAX_DOCUMENT_KEYS {
            let why = format!("{MAX_DOCUMENT_KEYS} document keys are in their overlap already");
            return Err(Problem::new(codes::INPUT_TOO_LARGE, why)
                .hint("wait until the oldest of them has ended: twinpact key list"));
        }
        seeds.insert(0, new_seed()?);
        self.write_seeds(&seeds)
    }

    /// Writes the document keys without those of which this is not so. One always stays.
    ///
    /// # Errors
    /// As [`load`](Self::load); `store.io` when the disk refuses.
    pub fn keep_document_keys(&self, so: impl Fn(&PublicKey) -> bool) -> Result<(), Problem> {
        let known = self.seeds()?;
        let mut kept = known.clone();
        kept.retain(|seed| so(&Signer::new(seed).public()));
        match kept.is_empty() || kept == known {
            true => Ok(()),
            false => self.write_seeds(&kept),
        }
    }

    /// Makes a new issuing CA and writes it in place of the old one. `root_key` may lie anywhere,
    /// also on a medium that knows no file modes. A node that runs here reads the file only, and
    /// sees the old one or the new one whole.
    ///
    /// # Errors
    /// As [`load`](Self::load); `identity.expired` when the root has run out, `store.io` when the
    /// disk refuses.
    pub fn renew_issuing(&self, root_key: &Path, now: WallTime) -> Result<IssuingCa, Problem> {
        let text = self.read_text(root_key)?;
        let root = Root::from_parts(self.root()?, &key(root_key, &text)?)?;
        let issuing = root.issue(now)?;
        self.write_issuing(&issuing)?;
        Ok(issuing)
    }

    /// The key that claims to connectors of others are signed with; it is made when there is none.
    ///
    /// # Errors
    /// `identity.*` with what is wrong with the file; `store.io` when the disk refuses, `internal`
    /// when the system gives no randomness.
    pub fn claims_key(&self) -> Result<ClaimsKey, Problem> {
        let path = self.path(CLAIMS_KEY);
        if !self.disk.exists(&path) {
            self.write(CLAIMS_KEY, &pem("PRIVATE KEY", &ClaimsKey::generate()?), SECRET)?;
        }
        let text = self.read_secret(&path)?;
        ClaimsKey::from_pkcs8(&key(&path, &text)?)
            .map_err(|problem| unusable(&path, &problem.message))
    }

    /// Whether the root's key, if its file is still here, is the key of the root.
    ///
    /// # Errors
    /// `identity.*` with what is wrong with the file.
    pub fn check_root_key(&self) -> Result<(), Problem> {
        let path = self.path(ROOT_KEY);
        if !self.disk.exists(&path) {
            return Ok(());
        }
        let text = self.read_secret(&path)?;
        Root::from_parts(self.root()?, &key(&path, &text)?).map(|_| ())
    }

    /// The root's certificate.
    ///
    /// # Errors
    /// `identity.missing` or `identity.file`.
    pub fn root(&self) -> Result<RootCertificate, Problem> {
        let path = self.path(ROOT_CERTIFICATE);
        let der = certificate(&path, &self.read_text(&path)?)?;
        RootCertificate::from_der(&der).map_err(|problem| unusable(&path, &problem.message))
    }

    /// Where the root's key is written; the file may be gone.
    #[must_use]
    pub fn root_key_path(&self) -> PathBuf {
        self.path(ROOT_KEY)
    }

    fn seeds(&self) -> Result<Vec<[u8; 32]>, Problem> {
        let text = self.read_secret(&self.path(DOCUMENT_KEY))?;
        let lines = text.strip_suffix('\n').map(|text| text.split('\n').map(from_hex::<32>));
        let seeds = lines.and_then(Iterator::collect::<Option<Vec<_>>>);
        seeds.filter(|seeds| seeds.len() <= MAX_DOCUMENT_KEYS).ok_or_else(|| self.no_seeds())
    }

    fn write_seeds(&self, seeds: &[[u8; 32]]) -> Result<(), Problem> {
        let lines: String = seeds.iter().map(|seed| to_hex(seed) + "\n").collect();
        self.write(DOCUMENT_KEY, &lines, SECRET)
    }

    fn no_seeds(&self) -> Problem {
        unusable(&self.path(DOCUMENT_KEY), "it does not hold lines of 64 hex digits")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write_issuing(&self, issuing: &IssuingCa) -> Result<(), Problem> {
        let certificate = pem("CERTIFICATE", issuing.certificate());
        let key = pem("PRIVATE KEY", issuing.key());
        self.write(ISSUING, &format!("{certificate}{key}"), SECRET)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), Problem> {
        let path = self.path(name);
        let put = || {
            let draft = self.draft(name);
            let written = self.disk.write_new(&draft, text.as_bytes(), mode);
            let put = written.and_then(|()| self.disk.rename(&draft, &path));
            // What is left, if this fails too, is cleared away by the next start.
            put.inspect_err(|error| {
                if error.kind() != ErrorKind::AlreadyExists {
                    drop(self.remove(&draft));
                }
            })
        };
        let put_again = |error: std::io::Error| match error.kind() {
            // A node that starts here took it for a left-over, or another container, in which
            // processes have the same numbers, was faster.
            ErrorKind::NotFound | ErrorKind::AlreadyExists => put(),
            _ => Err(error),
        };
        let written = put().or_else(put_again).and_then(|()| self.disk.sync_dir(&self.directory));
        written.map_err(|e| io(&path, &e))
    }

    /// A name that no other writer uses, of this process or another.
    fn draft(&self, name: &str) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let process = std::process::id();
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let draft = self.path(&format!("{name}.{process}-{count}{DRAFT}"));
            if !self.disk.exists(&draft) {
                return draft;
            }
        }
    }

    fn read_text(&self, path: &Path) -> Result<String, Problem> {
        let bytes = self.disk.read(path, MAX_FILE_BYTES + 1).map_err(|e| not_read(path, &e))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(unusable(path, "it is larger than 64 KiB"));
        }
        String::from_utf8(bytes).map_err(|_| unusable(path, "it is no text in UTF-8"))
    }

    fn read_secret(&self, path: &Path) -> Result<String, Problem> {
        let mode = self.disk.mode(path).map_err(|e| not_read(path, &e))?;
        if mode & 0o077 != 0 {
            let why = format!("{} has mode {mode:04o}", path.display());
            return Err(Problem::new(codes::IDENTITY_EXPOSED, why)
                .hint(format!("run chmod 600 {}", path.display())));
        }
        self.read_text(path)
    }
}

fn new_seed() -> Result<[u8; 32], Problem> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed)
        .map_err(|_| Problem::new(codes::INTERNAL, "the system gives no randomness"))?;
    Ok(seed)
}

/// Whether partners will accept what that CA issues: tried, because a certificate of which bits
/// were flipped may read like one.
fn leads_to(root: &RootCertificate, issuing: &IssuingCa) -> Result<bool, Problem> {
    let (id, at) = (SpiffeId::of_node(root.trust_domain(), "node")?, issuing.not_after());
    let Ok(node) = issuing.issue_node(&id, at) else { return Ok(false) };
    let accepted = |(leaf, above): (&CertificateDer<'_>, &[CertificateDer<'_>])| {
        check_path(leaf, above, root, Side::Client, at).is_ok()
    };
    Ok(node.chain().split_first().is_some_and(accepted))
}

fn certificate(path: &Path, text: &str) -> Result<CertificateDer<'static>, Problem> {
    CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|_| unusable(path, "there is no certificate (PEM) in it"))
}

fn key(path: &Path, text: &str) -> Result<Vec<u8>, Problem> {
    PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
        .map(|key| key.secret_pkcs8_der().to_vec())
        .map_err(|_| unusable(path, "there is no private key (PKCS#8, PEM) in it"))
}

/// RFC 7468 §2: base64 in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let text = text64::encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        out.push_str(rest);
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

fn not_read(path: &Path, error: &std::io::Error) -> Problem {
    if error.kind() == ErrorKind::NotFound {
        Problem::new(codes::IDENTITY_MISSING, format!("there is no {}", path.display()))
    } else {
        unusable(path, &error.to_string()).hint("check permissions and health of the disk")
    }
}

fn unusable(path: &Path, why: &str) -> Problem {
    Problem::new(codes::IDENTITY_FILE, format!("{} cannot be used: {why}", path.display()))
}

fn io(path: &Path, error: &std::io::Error) -> Problem {
    twinpact_model::disk::refused(path, error)
}

#[cfg(test)]
mod tests {
    use super::{IdentityFiles, MAX_DOCUMENT_KEYS, MAX_FILE_BYTES, pem};
    use crate::ca::{ISSUING_SECONDS, Root};
    use crate::disk::{Disk, ThisMachine};
    use crate::spiffe::TrustDomain;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use tempfile::TempDir;
    use twinpact_model::time::{Timestamp, WallTime};

    const NOW: i64 = 1_790_000_000;

    fn at(seconds: i64) -> WallTime {
        WallTime(Timestamp::from_seconds(NOW + seconds))
    }

    fn domain() -> TrustDomain {
        TrustDomain::new("operator.example").unwrap()
    }

    fn created() -> (TempDir, IdentityFiles) {
        let temp = tempfile::tempdir().unwrap();
        let files = IdentityFiles::new(temp.path().join("identity"));
        files.create(&domain(), at(0)).unwrap();
        (temp, files)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let temp = tempfile::tempdir().unwrap();
        let files = IdentityFiles::new(temp.path().join("identity"));
        let made = files.create(&domain(), at(0)).unwrap();
        // The root's key is taken away.
        fs::remove_file(files.root_key_path()).unwrap();
        let read = files.load(&domain()).unwrap();
        assert_eq!(read.root, made.root);
        assert_eq!(read.issuing.certificate(), made.issuing.certificate());
        assert_eq!(read.issuing.key(), made.issuing.key());
        assert_eq!(read.signer.public(), made.signer.public());
        let again = files.create(&domain(), at(0)).unwrap_err();
        assert_eq!(again.code.name, "identity.exists");
        let foreign = files.load(&TrustDomain::new("other.example").unwrap()).unwrap_err();
        assert_eq!(foreign.code.name, "identity.mismatch");
    }

    #[test]
    fn two_identities_share_no_key() {
        let ((_a, one), (_b, two)) = (created(), created());
        let (one, two) = (one.load(&domain()).unwrap(), two.load(&domain()).unwrap());
        assert_ne!(one.signer.public(), two.signer.public());
        assert_ne!(one.issuing.key(), two.issuing.key());
        assert_ne!(one.root.sha256(), two.root.sha256());
    }

    #[test]
    fn keys_are_for_the_owner_only_and_no_draft_stays() {
        let (temp, files) = created();
        let directory = temp.path().join("identity");
        let mode =
            |name: &str| fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
        for (name, expect) in
            [("", 0o700), ("root.key", 0o600), ("issuing.pem", 0o600), ("document.key", 0o600)]
        {
            assert_eq!(mode(name), expect, "{name}");
        }
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 4);
        for name in ["issuing.pem", "document.key"] {
            for open in [0o640, 0o604] {
                let path = directory.join(name);
                fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
                let problem = files.load(&domain()).unwrap_err();
                assert_eq!(problem.code.name, "identity.exposed", "{name} {open:o}");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
            }
        }
        assert!(files.load(&domain()).is_ok(), "a file that is only readable is fine");
    }

    #[test]
    fn damaged_files_are_named_and_no_secret_is_printed() {
        let (temp, files) = created();
        let directory = temp.path().join("identity");
        let check = |name: &str, text: Option<&str>, code: &str| {
            let path = directory.join(name);
            let good = fs::read_to_string(&path).unwrap();
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let problem = files.load(&domain()).unwrap_err();
            assert_eq!(problem.code.name, code, "{name}");
            assert!(code == "identity.mismatch" || problem.message.contains(name), "{problem}");
            fs::write(&path, good).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        let issuing = fs::read_to_string(directory.join("issuing.pem")).unwrap();
        let (certificate, key) = issuing.split_once("-----BEGIN PRIVATE").unwrap();
        let (_other, others) = created();
        let foreign = others.load(&domain()).unwrap();
        for name in ["root.crt", "issuing.pem", "document.key"] {
            check(name, None, "identity.missing");
            check(name, Some(""), "identity.file");
        }
        check("issuing.pem", Some(certificate), "identity.file");
        check("issuing.pem", Some(&format!("-----BEGIN PRIVATE{key}")), "identity.file");
        let mixed = format!("{certificate}{}", pem("PRIVATE KEY", foreign.issuing.key()));
        check("issuing.pem", Some(&mixed), "identity.mismatch");
        let whole = format!(
            "{}{}",
            pem("CERTIFICATE", foreign.issuing.certificate()),
            pem("PRIVATE KEY", foreign.issuing.key())
        );
        check("issuing.pem", Some(&whole), "identity.mismatch");
        check("root.crt", Some(certificate), "identity.mismatch");
        check("document.key", Some(&"A".repeat(64)), "identity.file");
        check("document.key", Some(&format!("{}\n", "0".repeat(62))), "identity.file");
        let printed = format!("{:?}", files.load(&domain()).unwrap());
        let seed = fs::read_to_string(directory.join("document.key")).unwrap();
        assert!(!printed.contains(seed.trim()) && !printed.contains("PRIVATE"));
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let (temp, files) = created();
        let path = temp.path().join("identity/issuing.pem");
        let mut text = fs::read_to_string(&path).unwrap();
        // Empty lines after the blocks change nothing but the size.
        text.extend((text.len()..usize::try_from(MAX_FILE_BYTES).unwrap()).map(|_| '\n'));
        fs::write(&path, &text).unwrap();
        assert!(files.load(&domain()).is_ok());
        text.push('\n');
        fs::write(&path, &text).unwrap();
        assert_eq!(files.load(&domain()).unwrap_err().code.name, "identity.file");
    }

    #[test]
    fn document_keys_come_and_go_and_one_always_stays() {
        let (temp, files) = created();
        let keys = || {
            let identity = files.load(&domain()).unwrap();
            identity.signers().map(|signer| signer.public()).collect::<Vec<_>>()
        };
        let first = keys();
        for more in 1..MAX_DOCUMENT_KEYS {
            files.add_document_key().unwrap();
            assert_eq!((keys().len(), keys().last()), (more + 1, first.last()));
        }
        let full = files.add_document_key().unwrap_err();
        assert_eq!(full.code.name, "input.too_large");
        let newest = keys()[0];
        let path = temp.path().join("identity/document.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let signing = |key| files.load(&domain()).unwrap().signing_with(|k| *k == key);
        let old = signing(first[0]).unwrap();
        assert_eq!((old.signer.public(), old.others.len()), (first[0], MAX_DOCUMENT_KEYS - 1));
        files.keep_document_keys(|key| *key == newest).unwrap();
        assert_eq!(keys(), [newest]);
        assert!(signing(first[0]).is_none());
        files.keep_document_keys(|_| false).unwrap();
        assert_eq!(keys(), [newest]);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.repeat(MAX_DOCUMENT_KEYS + 1)).unwrap();
        assert_eq!(files.load(&domain()).unwrap_err().code.name, "identity.file");
    }

    #[test]
    fn an_interrupted_attempt_is_written_over() {
        let (temp, files) = created();
        let directory = temp.path().join("identity");
        fs::remove_file(directory.join("root.crt")).unwrap();
        fs::write(directory.join("root.crt.new"), "torn").unwrap();
        assert_eq!(files.load(&domain()).unwrap_err().code.name, "identity.missing");
        files.create(&domain(), at(0)).unwrap();
        assert!(files.load(&domain()).is_ok());
        assert!(!directory.join("root.crt.new").exists());
    }

    /// This machine's disk, on which a writer is stopped, or something happens, at one step.
    struct At {
        /// A file that is written has only its first half, and from then on nothing is done.
        dies: bool,
        dead: AtomicBool,
        before_rename: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    }

    impl At {
        fn step<T>(&self, step: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
            let dead = || Err(std::io::Error::other("killed"));
            if self.dead.load(Ordering::SeqCst) { dead() } else { step() }
        }
    }

    impl Disk for At {
        fn make_dir(&self, path: &Path) -> std::io::Result<()> {
            self.step(|| ThisMachine.make_dir(path))
        }
        fn exists(&self, path: &Path) -> bool {
            ThisMachine.exists(path)
        }
        fn mode(&self, path: &Path) -> std::io::Result<u32> {
            ThisMachine.mode(path)
        }
        fn read(&self, path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
            ThisMachine.read(path, most)
        }
        fn write_new(&self, path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
            let half = if self.dies { &bytes[..bytes.len() / 2] } else { bytes };
            self.step(|| ThisMachine.write_new(path, half, mode))?;
            self.dead.store(self.dies, Ordering::SeqCst);
            self.step(|| Ok(()))
        }
        fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
            if let Some(happens) = self.before_rename.lock().unwrap().take() {
                happens();
            }
            self.step(|| ThisMachine.rename(from, to))
        }
        fn remove(&self, path: &Path) -> std::io::Result<()> {
            self.step(|| ThisMachine.remove(path))
        }
        fn list(&self, path: &Path) -> std::io::Result<Vec<String>> {
            self.step(|| ThisMachine.list(path))
        }
        fn sync_dir(&self, path: &Path) -> std::io::Result<()> {
            self.step(|| ThisMachine.sync_dir(path))
        }
    }

    #[test]
    fn two_who_renew_at_once_leave_the_file_of_one_of_them_whole() {
        let (temp, files) = created();
        let directory = temp.path().join("identity");
        let on = |dies: bool, happens: Option<Box<dyn FnOnce() + Send>>| {
            let (dead, before_rename) = (AtomicBool::new(false), Mutex::new(happens));
            IdentityFiles::on(Arc::new(At { dies, dead, before_rename }), &directory)
        };
        let old = files.load(&domain()).unwrap();
        let root_key = files.root_key_path();
        // The second is killed in the middle of its file, just before the first renames its own.
        let (second, key) = (on(true, None), root_key.clone());
        let first = on(
            false,
            Some(Box::new(move || {
                assert_eq!(second.renew_issuing(&key, at(6)).unwrap_err().code.name, "store.io");
            })),
        );
        let made = first.renew_issuing(&root_key, at(5)).unwrap();
        let read = files.load(&domain()).unwrap();
        assert_eq!(read.issuing.key(), made.key());
        assert_ne!(read.issuing.key(), old.issuing.key());
        // What it left is cleared away, and nothing else.
        let left = || ThisMachine.list(&directory).unwrap();
        assert_eq!(left().len(), 5, "{:?}", left());
        files.settle().unwrap();
        let mut names = left();
        names.sort();
        assert_eq!(names, ["document.key", "issuing.pem", "root.crt", "root.key"]);
        // Also when it is cleared away under who is still at it.
        let (third, key) = (files.clone(), root_key.clone());
        let under = on(false, Some(Box::new(move || third.settle().unwrap())));
        let made = under.renew_issuing(&key, at(7)).unwrap();
        assert_eq!(files.load(&domain()).unwrap().issuing.key(), made.key());
    }

    #[test]
    fn the_issuing_ca_is_renewed_with_the_root_key_from_anywhere() {
        let (temp, files) = created();
        let old = files.load(&domain()).unwrap();
        let stick = temp.path().join("stick.key");
        fs::rename(files.root_key_path(), &stick).unwrap();
        fs::set_permissions(&stick, fs::Permissions::from_mode(0o644)).unwrap();
        let later = at(ISSUING_SECONDS + 5);
        files.renew_issuing(&stick, later).unwrap();
        let new = files.load(&domain()).unwrap();
        assert_eq!(new.root, old.root);
        assert_ne!(new.issuing.key(), old.issuing.key());
        assert!(
            !old.issuing.validity(later).federates() && new.issuing.validity(later).federates()
        );

        let foreign = Root::create(&domain(), at(0)).unwrap();
        fs::write(&stick, pem("PRIVATE KEY", foreign.key())).unwrap();
        let before = fs::read(temp.path().join("identity/issuing.pem")).unwrap();
        let problem = files.renew_issuing(&stick, later).unwrap_err();
        assert_eq!(problem.code.name, "identity.mismatch");
        fs::remove_file(&stick).unwrap();
        let problem = files.renew_issuing(&stick, later).unwrap_err();
        assert_eq!(problem.code.name, "identity.missing");
        assert_eq!(fs::read(temp.path().join("identity/issuing.pem")).unwrap(), before);
    }
}
