//! The keystore: an append-only file of keys, each sealed under the key-encryption key.
//!
//! Keys that a frame needs are appended and synced once, before it. What a key is for stands sealed
//! beside it, so that opening reads no clock and expiry knows what it destroys. The key-encryption
//! key lives alone in a small file that is overwritten in place when keys are destroyed.

use crate::bytes::{Put, Take};
use crate::seal::{KeyBytes, random};
use crate::vfs::{Vfs, VfsFile, read_all};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_proof::digest::{Digest, sha256_parts};

const KEYS_MAGIC: &[u8; 8] = b"TWINKEY\n";
const KEK_MAGIC: &[u8; 8] = b"TWINKEK\n";
const VERSION: u16 = 1;
/// The bytes before the first record.
pub const HEAD: usize = 8 + 2 + 4 + 32 + 4;
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
}

/// The keys of a directory, open.
pub struct Keystore {
    file: Box<dyn VfsFile>,
    kek: LessSafeKey,
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
        let (kek_epoch, kek) = decode_kek(&vfs.read(&kek_path(dir)).map_err(io)?)?;
        let file = vfs.open(&keys_path(dir)).map_err(io)?;
        let bytes = read_all(file.as_ref()).map_err(io)?;
        check_head(&bytes, kek_epoch, organisation)?;
        let kek = aead_key(&kek)?;
        let mut store = Keystore {
            file,
            kek,
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
        Ok(())
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
        let record = self.encode_record(number, &key, meaning)?;
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
        let digest = sha256_parts(&[&number.to_le_bytes(), &plain]);
        let nonce = digest.first_chunk::<12>().copied().unwrap_or_default();
        let aad = Aad::from(number.to_le_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.kek.seal_in_place_append_tag(unique, aad, &mut plain).map_err(bug)?;
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

    fn read_records(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let mut rest = bytes.get(HEAD..).unwrap_or_default();
        while !rest.is_empty() {
            // One write may bring several records, and of a torn one the later may have arrived.
            let Some((body, length)) = record_body(rest) else { break };
            let (number, key, meaning) = self.decode_record(body).ok_or_else(|| {
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

    fn decode_record(&self, body: &[u8]) -> Option<(u64, KeyBytes, Meaning)> {
        let mut take = Take(body);
        let (number, nonce) = (take.u64()?, take.array::<12>()?);
        let mut plain = take.0.to_vec();
        let aad = Aad::from(number.to_le_bytes());
        let opened =
            self.kek.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut plain).ok()?;
        let (key, meaning) = opened.split_first_chunk::<32>()?;
        Some((number, *key, serde_json::from_slice(meaning).ok()?))
    }
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
