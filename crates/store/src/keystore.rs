//! The keystore: an append-only file of keys, each sealed under the key-encryption key.
//!
//! Keys that a frame needs are appended and synced once, before it. What a key is for stands sealed
//! beside it, so that opening reads no clock and expiry knows what it destroys. The key-encryption
//! key lives alone in a small file. Keys are destroyed by a new file without them under a fresh
//! key-encryption key, and by overwriting the old one: docs/format.md, "Destruction".

use crate::bytes::{Put, Take};
use crate::seal::{KeyBytes, random};
use crate::vfs::{Vfs, VfsFile, read_all};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::{Digest, sha256, sha256_parts};

const KEYS_MAGIC: &[u8; 8] = b"TWINKEY\n";
const KEK_MAGIC: &[u8; 8] = b"TWINKEK\n";
const VERSION: u16 = 1;
/// The bytes before the first record.
pub const HEAD: usize = 8 + 2 + 4 + 32 + 4;
/// The bytes of the file of the key-encryption key.
const KEK_BYTES: usize = 8 + 2 + 4 + 32 + 4;
/// The most bytes of one key record.
const MAX_RECORD: usize = 8192;

/// What a key is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Meaning {
    /// Everything about one twin, or of one stream that is about none.
    Subject(String),
    /// Everything of one retention class on one day of the policy clock.
    Bucket {
        /// The retention class.
        class: String,
        /// Days since 1970 of the policy clock.
        day: i64,
        /// Counts up when the same day needs a fresh key.
        epoch: u64,
    },
    /// A key of the node itself: blinding of heads, idempotency.
    Node(String),
    /// What a partner has delivered about one of its twins.
    Copied {
        /// The partner.
        from: String,
        /// Its twin.
        twin: String,
    },
}

impl Meaning {
    /// Whether the key may be destroyed: without one of the node's own the log cannot be read.
    #[must_use]
    pub fn is_mortal(&self) -> bool {
        match self {
            Meaning::Subject(twin) => !twin.is_empty(),
            Meaning::Bucket { .. } | Meaning::Copied { .. } => true,
            Meaning::Node(_) => false,
        }
    }
}

/// What is left to be done about the file `kek.next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextKek {
    /// There is none.
    Absent,
    /// It is of a destruction that was cut short before it took effect.
    Needless,
    /// The keystore is sealed under it already, and it is to take the place of `kek`.
    InUse,
}

/// The keys of a directory, open.
pub struct Keystore {
    file: Box<dyn VfsFile>,
    kek: Kek,
    organisation: Digest,
    next_kek: NextKek,
    keys: HashMap<u64, (KeyBytes, Meaning)>,
    by_meaning: HashMap<Meaning, u64>,
    next: u64,
    pending: Vec<u8>,
    length: u64,
    /// Bytes behind the last whole record.
    torn: bool,
}

impl Keystore {
    /// Makes the two files of a new directory.
    ///
    /// # Errors
    /// `store.io` when the disk refuses.
    pub fn create(vfs: &dyn Vfs, dir: &Path, organisation: &Digest) -> Result<(), Problem> {
        let io = |e| refused(dir, &e);
        let mut kek = [0u8; 32];
        if !random(&mut kek) {
            return Err(Problem::new(codes::INTERNAL, "the operating system gives no randomness"));
        }
        vfs.create_dir(dir).map_err(io)?;
        vfs.replace(&kek_path(dir), &encode_kek(0, &kek)).map_err(io)?;
        vfs.replace(&keys_path(dir), &encode_head(0, organisation)).map_err(io)
    }

    /// Opens both files and every key in them. A bad record and what is behind it is left for
    /// [`mend`](Self::mend): whether it was torn or damaged, the log will tell.
    ///
    /// # Errors
    /// `store.damaged`, `store.foreign` or `store.version` with the file and offset; `store.io`.
    pub fn open(vfs: &dyn Vfs, dir: &Path, organisation: &Digest) -> Result<Keystore, Problem> {
        let io = |e| refused(dir, &e);
        for (path, name) in [(kek_path(dir), "keys/kek"), (keys_path(dir), "keys/keystore")] {
            if !vfs.exists(&path) {
                return Err(missing(name));
            }
        }
        let file = vfs.open(&keys_path(dir)).map_err(io)?;
        let bytes = read_all(file.as_ref()).map_err(io)?;
        let (kek, next_kek) = read_kek(vfs, dir, &bytes)?;
        check_head(&bytes, kek.epoch, organisation)?;
        let mut store = Keystore {
            file,
            kek,
            organisation: *organisation,
            next_kek,
            keys: HashMap::new(),
            by_meaning: HashMap::new(),
            next: 1,
            pending: Vec::new(),
            length: HEAD as u64,
            torn: false,
        };
        store.read_records(&bytes)?;
        store.torn = store.length < bytes.len() as u64;
        Ok(store)
    }

    /// Puts a durable copy in place of the file, without what was torn at its end: no frame needs
    /// that, because keys are synced before their frame. A process that was killed had not synced
    /// the rest, or its sync failed, and no frame may need a key that the next power cut takes
    /// away. Nothing is written over the only copy of a key. To be called when the log was read
    /// and no key was missing.
    ///
    /// # Errors
    /// `store.io`.
    pub fn mend(&mut self, vfs: &dyn Vfs, dir: &Path) -> Result<(), Problem> {
        let io = |e| refused(Path::new("keys/keystore"), &e);
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let whole = self.file.read_at(0, length).map_err(io)?;
        vfs.replace(&keys_path(dir), &whole).map_err(io)?;
        self.file = vfs.open(&keys_path(dir)).map_err(io)?;
        self.torn = false;
        self.settle(vfs, dir)
    }

    /// Destroys these keys: there is a new file without them under a fresh key-encryption key when
    /// this returns, and the old one is overwritten. Whenever it is cut short, all keys are there
    /// or exactly these are gone. Everything must be flushed.
    ///
    /// # Errors
    /// `store.io`, `internal`; the caller must stop then.
    pub fn destroy(
        &mut self,
        vfs: &dyn Vfs,
        dir: &Path,
        numbers: &BTreeSet<u64>,
    ) -> Result<(), Problem> {
        let io = |e| refused(dir, &e);
        let kek = Kek::fresh(self.kek.epoch + 1)?;
        vfs.replace(&next_path(dir), &encode_kek(kek.epoch, &kek.bytes)).map_err(io)?;
        let mut kept: Vec<_> =
            self.keys.iter().filter(|(number, _)| !numbers.contains(number)).collect();
        kept.sort_unstable_by_key(|(number, _)| **number);
        let mut whole = encode_head(kek.epoch, &self.organisation);
        for (number, (key, meaning)) in kept {
            whole.extend(kek.encode_record(*number, key, meaning)?);
        }
        // From here on it is done: what is left only has to be finished.
        vfs.replace(&keys_path(dir), &whole).map_err(io)?;
        self.file = vfs.open(&keys_path(dir)).map_err(io)?;
        self.length = whole.len() as u64;
        self.kek = kek;
        self.next_kek = NextKek::InUse;
        self.keys.retain(|number, _| !numbers.contains(number));
        self.by_meaning.retain(|_, number| !numbers.contains(number));
        self.settle(vfs, dir)
    }

    /// Leaves one key-encryption key, that of the keystore, where it belongs.
    fn settle(&mut self, vfs: &dyn Vfs, dir: &Path) -> Result<(), Problem> {
        let io = |e| refused(dir, &e);
        match self.next_kek {
            NextKek::Absent => return Ok(()),
            NextKek::Needless => vfs.remove(&next_path(dir)).map_err(io)?,
            NextKek::InUse => {
                let mut old = vfs.open(&kek_path(dir)).map_err(io)?;
                let nothing = vec![0; KEK_BYTES];
                old.write_at(0, &nothing).and_then(|()| old.sync()).map_err(io)?;
                vfs.rename(&next_path(dir), &kek_path(dir)).map_err(io)?;
            }
        }
        vfs.sync_dir(dir).map_err(io)?;
        self.next_kek = NextKek::Absent;
        Ok(())
    }

    /// No key to come has that number or a smaller one, also when it is not there any more.
    pub fn reserve(&mut self, number: u64) {
        self.next = self.next.max(number.saturating_add(1));
    }

    /// The numbers of the keys of these meanings, rising.
    #[must_use]
    pub fn all(&self, wanted: impl Fn(&Meaning) -> bool) -> Vec<u64> {
        let fits = self.keys.iter().filter(|(_, (_, meaning))| wanted(meaning));
        let mut numbers: Vec<u64> = fits.map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// A key that the log needs and that is missing behind a bad record was damaged, not torn.
    #[must_use]
    pub fn blame_torn(&self, problem: Problem) -> Problem {
        match self.torn && problem.code == codes::STORE_FOREIGN {
            true => damaged("keys/keystore", self.length),
            false => problem,
        }
    }

    /// The number of the key with that meaning, if there is one.
    #[must_use]
    pub fn find(&self, meaning: &Meaning) -> Option<u64> {
        self.by_meaning.get(meaning).copied()
    }

    /// The key of that number with its meaning; `None` when it was never made or is destroyed.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&(KeyBytes, Meaning)> {
        self.keys.get(&number)
    }

    /// The number of the key with that meaning, making it when there is none. A new key is durable
    /// only after [`flush`](Self::flush).
    ///
    /// # Errors
    /// `internal` when there is no randomness.
    pub fn ensure(&mut self, meaning: &Meaning) -> Result<u64, Problem> {
        if let Some(number) = self.find(meaning) {
            return Ok(number);
        }
        let mut key = [0u8; 32];
        if !random(&mut key) {
            return Err(Problem::new(codes::INTERNAL, "the operating system gives no randomness"));
        }
        let number = self.next;
        let record = self.kek.encode_record(number, &key, meaning)?;
        self.pending.extend(record);
        self.insert(number, key, meaning.clone());
        Ok(number)
    }

    /// Makes new keys durable. Does nothing when there are none.
    ///
    /// # Errors
    /// `store.io`; the caller must stop then.
    pub fn flush(&mut self) -> Result<(), Problem> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let io = |e| refused(Path::new("keys"), &e);
        self.file.append(&self.pending).map_err(io)?;
        self.file.sync().map_err(io)?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn insert(&mut self, number: u64, key: KeyBytes, meaning: Meaning) {
        self.next = self.next.max(number + 1);
        self.by_meaning.insert(meaning.clone(), number);
        self.keys.insert(number, (key, meaning));
    }

    fn read_records(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let mut rest = bytes.get(HEAD..).unwrap_or_default();
        while !rest.is_empty() {
            // One write may bring several records, and of a torn one the later may have arrived.
            let Some((body, length)) = record_body(rest) else { break };
            let (number, key, meaning) = self.kek.decode_record(body).ok_or_else(|| {
                Problem::new(
                    codes::STORE_FOREIGN,
                    format!(
                        "the key at offset {} is not sealed under this key-encryption key",
                        self.length
                    ),
                )
                .hint("restore keys/keystore and keys/kek together, from the same moment")
            })?;
            self.insert(number, key, meaning);
            self.length += length as u64;
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A key-encryption key.
struct Kek {
    epoch: u32,
    bytes: KeyBytes,
    key: LessSafeKey,
}

impl Kek {
    fn new(epoch: u32, bytes: KeyBytes) -> Result<Kek, Problem> {
        Ok(Kek { epoch, key: aead_key(&bytes)?, bytes })
    }

    fn fresh(epoch: u32) -> Result<Kek, Problem> {
        let mut bytes = [0u8; 32];
        match random(&mut bytes) {
            true => Kek::new(epoch, bytes),
            false => Err(Problem::new(codes::INTERNAL, "the system gives no randomness")),
        }
    }

    fn encode_record(
        &self,
        number: u64,
        key: &KeyBytes,
        meaning: &Meaning,
    ) -> Result<Vec<u8>, Problem> {
        let bug = |_| Problem::new(codes::INTERNAL, "a key could not be sealed");
        let meaning = serde_json::to_vec(meaning)
            .map_err(|_| Problem::new(codes::INTERNAL, "a key's meaning could not be written"))?;
        let mut plain = key.to_vec();
        plain.extend_from_slice(&meaning);
        // The same key is sealed again under a fresh one: with another nonce.
        let under = if self.epoch == 0 { Vec::new() } else { sha256(&self.bytes).to_vec() };
        let digest = sha256_parts(&[&under, &number.to_le_bytes(), &plain]);
        let nonce = digest.first_chunk::<12>().copied().unwrap_or_default();
        let aad = Aad::from(number.to_le_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(unique, aad, &mut plain).map_err(bug)?;
        let mut body = Put::default();
        body.u64(number);
        body.raw(&nonce);
        body.raw(&plain);
        let mut record = Put::default();
        record.u32(u32::try_from(body.0.len()).unwrap_or(u32::MAX));
        record.u32(crc32c::crc32c(&body.0));
        record.raw(&body.0);
        Ok(record.0)
    }

    fn decode_record(&self, body: &[u8]) -> Option<(u64, KeyBytes, Meaning)> {
        let mut take = Take(body);
        let (number, nonce) = (take.u64()?, take.array::<12>()?);
        let mut plain = take.0.to_vec();
        let aad = Aad::from(number.to_le_bytes());
        let opened =
            self.key.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut plain).ok()?;
        let (key, meaning) = opened.split_first_chunk::<32>()?;
        Some((number, *key, serde_json::from_slice(meaning).ok()?))
    }
}

/// The key-encryption key of a keystore with these bytes. While keys are destroyed there are two,
/// and the head of the keystore says by its epoch which one it is sealed under.
fn read_kek(vfs: &dyn Vfs, dir: &Path, keystore: &[u8]) -> Result<(Kek, NextKek), Problem> {
    let io = |e| refused(dir, &e);
    let mut next_kek = NextKek::Absent;
    if vfs.exists(&next_path(dir)) {
        next_kek = NextKek::Needless;
        let next = decode_kek(&vfs.read(&next_path(dir)).map_err(io)?).ok();
        if let Some((epoch, kek)) = next.filter(|(epoch, _)| Some(*epoch) == head_epoch(keystore)) {
            return Ok((Kek::new(epoch, kek)?, NextKek::InUse));
        }
    }
    let (epoch, kek) = decode_kek(&vfs.read(&kek_path(dir)).map_err(io)?)?;
    Ok((Kek::new(epoch, kek)?, next_kek))
}

/// The epoch in the head of a keystore, when that is whole.
fn head_epoch(keystore: &[u8]) -> Option<u32> {
    let head = keystore.get(..HEAD).filter(|head| sum_holds(head))?;
    let mut take = Take(head);
    take.raw(8 + 2)?;
    take.u32()
}

/// The body of the record at the front, when it is whole, with the record's length.
fn record_body(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut take = Take(bytes);
    let (length, sum) = (usize::try_from(take.u32()?).ok()?, take.u32()?);
    if length == 0 || length > MAX_RECORD {
        return None;
    }
    let body = take.raw(length)?;
    (crc32c::crc32c(body) == sum).then_some((body, 8 + length))
}

fn encode_head(kek_epoch: u32, organisation: &Digest) -> Vec<u8> {
    let mut put = Put::default();
    put.raw(KEYS_MAGIC);
    put.u16(VERSION);
    put.u32(kek_epoch);
    put.raw(organisation);
    put.u32(crc32c::crc32c(&put.0));
    put.0
}

fn check_head(bytes: &[u8], kek_epoch: u32, organisation: &Digest) -> Result<(), Problem> {
    let mut take = Take(bytes.get(..HEAD).unwrap_or_default());
    let head = take.0;
    let (magic, version) = (take.array::<8>(), take.u16());
    if magic != Some(*KEYS_MAGIC) || !sum_holds(head) {
        return Err(damaged("keys/keystore", 0));
    }
    if version.is_some_and(|v| v > VERSION) {
        return Err(newer("keys/keystore"));
    }
    if head != encode_head(kek_epoch, organisation) {
        return Err(Problem::new(
            codes::STORE_FOREIGN,
            "the keystore is of another organisation, or older or newer than its key-encryption key",
        )
        .hint("restore keys/keystore and keys/kek together, from the same moment"));
    }
    Ok(())
}

fn encode_kek(epoch: u32, kek: &KeyBytes) -> Vec<u8> {
    let mut put = Put::default();
    put.raw(KEK_MAGIC);
    put.u16(VERSION);
    put.u32(epoch);
    put.raw(kek);
    put.u32(crc32c::crc32c(&put.0));
    put.0
}

fn decode_kek(bytes: &[u8]) -> Result<(u32, KeyBytes), Problem> {
    let mut take = Take(bytes);
    let mut read = || Some((take.array::<8>()?, take.u16()?, take.u32()?, take.array::<32>()?));
    match read() {
        Some((magic, version, ..))
            if magic == *KEK_MAGIC && version > VERSION && sum_holds(bytes) =>
        {
            Err(newer("keys/kek"))
        }
        Some((_, _, epoch, kek)) if encode_kek(epoch, &kek) == bytes => Ok((epoch, kek)),
        _ => Err(damaged("keys/kek", 0)),
    }
}

/// Whether the last four bytes are the check sum of all before.
fn sum_holds(bytes: &[u8]) -> bool {
    let parts = bytes.split_last_chunk::<4>();
    parts.is_some_and(|(body, sum)| crc32c::crc32c(body).to_le_bytes() == *sum)
}

fn aead_key(kek: &KeyBytes) -> Result<LessSafeKey, Problem> {
    UnboundKey::new(&AES_256_GCM_SIV, kek)
        .map(LessSafeKey::new)
        .map_err(|_| Problem::new(codes::INTERNAL, "the key-encryption key was refused"))
}

fn keys_path(dir: &Path) -> PathBuf {
    dir.join("keystore")
}

fn kek_path(dir: &Path) -> PathBuf {
    dir.join("kek")
}

fn next_path(dir: &Path) -> PathBuf {
    dir.join("kek.next")
}

/// The disk said no: `store.full`, `store.readonly` or `store.io`.
#[must_use]
pub fn refused(path: &Path, error: &io::Error) -> Problem {
    twinpact_model::disk::refused(path, error)
}

/// Durable bytes are not what was written.
pub(crate) fn damaged(file: &str, offset: u64) -> Problem {
    Problem::new(codes::STORE_DAMAGED, format!("{file} is damaged at offset {offset}"))
        .hint("nothing was changed; restore the directory from a copy, or ask a partner for proofs")
}

/// A file that every directory has is not there.
pub(crate) fn missing(file: &str) -> Problem {
    Problem::new(codes::STORE_DAMAGED, format!("{file} is missing"))
        .hint("nothing was changed; put it back from a copy, or restore the directory as a whole")
}

/// Written by a newer release.
pub(crate) fn newer(file: &str) -> Problem {
    Problem::new(codes::STORE_VERSION, format!("{file} was written by a newer release"))
        .hint("nothing was changed; start the release that wrote it, or a later one")
}

#[cfg(test)]
mod tests {
    use super::{Keystore, Meaning};
    use crate::vfs::{RealDisk, Vfs};
    use std::path::Path;

    const ORG: [u8; 32] = [1; 32];

    fn bucket(day: i64) -> Meaning {
        Meaning::Bucket { class: "operational".into(), day, epoch: 0 }
    }

    fn filled(dir: &Path) -> u64 {
        Keystore::create(&RealDisk, dir, &ORG).unwrap();
        let mut keys = Keystore::open(&RealDisk, dir, &ORG).unwrap();
        keys.ensure(&Meaning::Subject("urn:turbine:R80711".into())).unwrap();
        let number = keys.ensure(&bucket(3)).unwrap();
        keys.flush().unwrap();
        number
    }

    #[test]
    fn keys_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let number = filled(dir.path());
        let mut keys = Keystore::open(&RealDisk, dir.path(), &ORG).unwrap();
        assert_eq!(keys.find(&bucket(3)), Some(number));
        assert_eq!(keys.ensure(&bucket(3)).unwrap(), number);
        assert_ne!(keys.ensure(&bucket(4)).unwrap(), number);
        // Not flushed: gone after the next start, and its number is free again.
        let keys = Keystore::open(&RealDisk, dir.path(), &ORG).unwrap();
        assert_eq!(keys.find(&bucket(4)), None);
    }

    #[test]
    fn no_meaning_stands_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let bytes = RealDisk.read(&dir.path().join("keystore")).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"R80711"));
    }

    #[test]
    fn a_torn_tail_is_cut_and_damage_is_not() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let path = dir.path().join("keystore");
        let good = RealDisk.read(&path).unwrap();
        let open = |bytes: &[u8]| {
            RealDisk.replace(&path, bytes).unwrap();
            Keystore::open(&RealDisk, dir.path(), &ORG).map(|k| k.find(&bucket(3)).is_some())
        };
        assert_eq!(open(&good[..good.len() - 1]), Ok(false));
        assert_eq!(open(&good), Ok(true));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            match open(&bad) {
                Ok(found) => assert!(!found, "a flipped byte at {at} went unseen"),
                Err(problem) => assert!(problem.code.name.starts_with("store."), "{problem}"),
            }
        }
    }

    #[test]
    fn no_key_is_written_over_by_mending() {
        use std::os::unix::fs::{FileExt as _, MetadataExt as _};
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let path = dir.path().join("keystore");
        let good = RealDisk.read(&path).unwrap();
        RealDisk.replace(&path, &[&good[..], b"torn"].concat()).unwrap();
        // Whoever holds the old file sees all that happens to it.
        let old = std::fs::File::open(&path).unwrap();
        let mut keys = Keystore::open(&RealDisk, dir.path(), &ORG).unwrap();
        keys.mend(&RealDisk, dir.path()).unwrap();
        let mut seen = vec![0; good.len() + 4];
        old.read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(seen, [&good[..], b"torn"].concat(), "the old file was changed");
        assert_ne!(std::fs::metadata(&path).unwrap().ino(), old.metadata().unwrap().ino());
        assert_eq!(RealDisk.read(&path).unwrap(), good);
        // What is new goes into the new file.
        keys.ensure(&bucket(4)).unwrap();
        keys.flush().unwrap();
        let keys = Keystore::open(&RealDisk, dir.path(), &ORG).unwrap();
        assert!(keys.find(&bucket(4)).is_some());
    }

    #[test]
    fn another_organisation_or_another_time_is_refused() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        filled(a.path());
        filled(b.path());
        let code =
            |org: &[u8; 32]| Keystore::open(&RealDisk, a.path(), org).err().map(|p| p.code.name);
        assert_eq!(code(&ORG), None);
        assert_eq!(code(&[2; 32]), Some("store.foreign"));
        std::fs::copy(b.path().join("kek"), a.path().join("kek")).unwrap();
        assert_eq!(code(&ORG), Some("store.foreign"));
    }
}
