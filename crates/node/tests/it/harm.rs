//! A node's directory after harm: each byte of the last key record and of the last frames, flipped
//! or cut off. It is opened with what it held, cut where it was torn and saying so, or refused by
//! name and left as it is; never opened with another value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use twinpact_edge::batch::IngestBatch;
use twinpact_edge::model_file;
use twinpact_model::entry::Kind;
use twinpact_model::{Did, Problem};
use twinpact_node::{Node, PolicyClock, open, read, record};
use twinpact_store::directory::Directory;
use twinpact_store::frame::{Frame, SEGMENT_HEAD};
use twinpact_store::vfs::RealDisk;
use twinpact_store::{Cut, Store};

const MODEL: &str = r#"
model = "pump"
version = 1
[[attribute]]
name = "flow"
datatype = "double"
"#;
const LOG: &str = "log/0000000001.seg";
const KEYSTORE: &str = "keys/keystore";
/// The head of the keystore (docs/format.md, "Keystore").
const KEYS_HEAD: usize = 50;

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A directory with a node that has recorded two batches, and what it is and says without harm.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    /// Its files when it was new.
    pub(crate) new: Files,
    pub(crate) good: Files,
    /// What it says, after one batch and after two.
    pub(crate) said: [String; 2],
}

fn did() -> Did {
    Did::new("did:web:operator.example").unwrap()
}

fn batch(id: u32) -> IngestBatch {
    let row = format!(
        r#"{{"id": "{id}", "twin": "urn:pump:{id}", "time": "2026-01-05T10:00:00Z",
            "values": {{"flow": "{id}.5"}}}}"#
    );
    let text =
        format!(r#"{{"source": "urn:source:test", "model": "pump@1", "observations": [{row}]}}"#);
    IngestBatch::parse(text.as_bytes()).unwrap()
}

/// All values with their times.
fn said(node: &Node) -> String {
    let twins = read::twins(node, None).unwrap();
    let history = |id: &str| read::history(node, id, read::Span::default()).unwrap();
    let histories: Vec<_> = twins.iter().map(|twin| history(&twin.id)).collect();
    serde_json::to_string(&(twins, histories)).unwrap()
}

pub(crate) fn files(dir: &Path) -> Files {
    let mut found = Files::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for item in std::fs::read_dir(dir).unwrap() {
            let path = item.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => drop(found.insert(path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    found
}

impl Place {
    async fn filled() -> Place {
        Place::of(&did()).await
    }

    /// The directory of that organisation.
    pub(crate) async fn of(did: &Did) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        open::init(&path, did, "test").unwrap();
        let new = files(&path);
        let parts = open::open(&path, PolicyClock::System).await.unwrap();
        record::apply_model(&parts.node, model_file::parse(MODEL).unwrap(), "x").await.unwrap();
        let mut said = [String::new(), String::new()];
        for (id, said) in (1..).zip(&mut said) {
            record::record(&parts.node, batch(id), "x").await.unwrap();
            *said = self::said(&parts.node);
        }
        parts.stop();
        let good = files(&path);
        let place = Place { dir, new, good, said };
        assert_eq!(place.open().await.unwrap(), (place.said[1].clone(), None));
        assert_eq!(files(&place.path()), place.good, "opening and closing changes nothing");
        place
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("node")
    }

    pub(crate) fn good(&self, file: &str) -> &[u8] {
        &self.good[&self.path().join(file)]
    }

    /// What the node says, and what was cut.
    pub(crate) async fn open(&self) -> Result<(String, Option<Cut>), Problem> {
        let parts = open::open(&self.path(), PolicyClock::System).await?;
        let answer = (said(&parts.node), parts.cut);
        parts.stop();
        Ok(answer)
    }

    /// Opens the directory with these bytes in that file and all others whole; who is refused has
    /// changed nothing.
    async fn with(&self, file: &str, bytes: &[u8]) -> Result<(String, Option<Cut>), Problem> {
        for (path, good) in &self.good {
            std::fs::write(path, good).unwrap();
        }
        std::fs::write(self.path().join(file), bytes).unwrap();
        let before = files(&self.path());
        let answer = self.open().await;
        assert!(answer.is_ok() || files(&self.path()) == before, "{file}: harm was changed");
        answer
    }

    /// The same, refused by one of these codes.
    async fn refused(&self, file: &str, bytes: &[u8], codes: &[&str], what: &str) {
        match self.with(file, bytes).await {
            Ok(answer) => panic!("{file} {what}: {answer:?}"),
            Err(problem) => assert!(codes.contains(&problem.code.name), "{what}: {problem}"),
        }
    }

    /// Where the records of the keystore begin.
    fn key_records(&self) -> Vec<usize> {
        let (bytes, mut at, mut found) = (self.good(KEYSTORE), KEYS_HEAD, Vec::new());
        while let Some(length) = bytes.get(at..at + 4) {
            found.push(at);
            at += 8 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        }
        assert_eq!(at, bytes.len());
        found
    }

    /// Where the frames begin, and whether they hold entries.
    pub(crate) fn frames(&self) -> Vec<(usize, bool)> {
        let (bytes, mut at, mut found) = (self.good(LOG), SEGMENT_HEAD, Vec::new());
        while let Some((frame, length)) = Frame::decode(&bytes[at..]) {
            found.push((at, !frame.entries.is_empty()));
            at += length;
        }
        assert_eq!(at, bytes.len());
        found
    }
}

pub(crate) fn flipped(good: &[u8], at: usize) -> Vec<u8> {
    let mut bad = good.to_vec();
    bad[at] ^= 1 << (at % 8);
    bad
}

#[tokio::test]
async fn a_key_record_that_the_log_needs_is_never_taken_for_torn() {
    let place = Place::filled().await;
    let (good, records) = (place.good(KEYSTORE), place.key_records());
    let last = *records.last().unwrap();
    for at in last..good.len() {
        let bad = flipped(good, at);
        place.refused(KEYSTORE, &bad, &["store.damaged"], &format!("flipped at {at}")).await;
    }
    for length in 0..good.len() {
        let codes = match records.contains(&length) {
            // Whole records went: the log needs keys that are not there.
            true => "store.foreign",
            false => "store.damaged",
        };
        place.refused(KEYSTORE, &good[..length], &[codes], &format!("cut at {length}")).await;
    }
}

#[tokio::test]
async fn a_key_record_that_was_torn_before_its_frame_is_cut() {
    let place = Place::filled().await;
    let (good, last) = (place.good(KEYSTORE), *place.key_records().last().unwrap());
    let record = &good[last..];
    // Also one of which the front is lost and a later record of the same write has arrived.
    let later = [&vec![0; record.len()][..], record].concat();
    let fronts = (1..record.len()).map(|length| record[..length].to_vec());
    for torn in fronts.chain([later]) {
        let length = torn.len();
        let torn = [good, &torn].concat();
        let (said, cut) = place.with(KEYSTORE, &torn).await.unwrap();
        assert_eq!((said, cut), (place.said[1].clone(), None), "{length}");
        assert_eq!(std::fs::read(place.path().join(KEYSTORE)).unwrap(), good, "{length}");
    }
}

#[tokio::test]
async fn a_torn_frame_is_cut_and_reported() {
    let place = Place::filled().await;
    let (good, frames) = (place.good(LOG), place.frames());
    let [.., (second, true), (tick, false)] = frames[..] else { panic!("{frames:?}") };
    let cases = (tick..good.len()).chain((second..tick).step_by(5));
    for length in cases {
        let (start, expect) =
            if length < tick { (second, &place.said[0]) } else { (tick, &place.said[1]) };
        let (said, cut) = place.with(LOG, &good[..length]).await.unwrap();
        let torn = (length > start).then(|| Cut {
            segment: 1,
            offset: start as u64,
            bytes: (length - start) as u64,
        });
        assert_eq!((&said, cut), (expect, torn), "cut at {length}");
        // What was cut is on record, and the next start finds nothing to cut.
        let mut reports = 0;
        let directory = Directory::open(std::sync::Arc::new(RealDisk), &place.path()).unwrap();
        let opened = Store::open(directory, &did(), |_, entry| {
            reports += usize::from(entry.entry.who.kind == Kind::TailCut);
            Ok(())
        });
        assert_eq!((opened.unwrap().1, reports), (None, usize::from(torn.is_some())));
    }
}

#[tokio::test]
async fn a_flipped_bit_of_the_log_is_torn_or_damage_and_never_a_value() {
    let place = Place::filled().await;
    let (good, frames) = (place.good(LOG), place.frames());
    let last = frames.last().unwrap().0;
    for at in (last..good.len()).chain((0..last).step_by(11)) {
        let bad = flipped(good, at);
        if at < last {
            place.refused(LOG, &bad, &["store.damaged"], &format!("flipped at {at}")).await;
            continue;
        }
        let (said, cut) = place.with(LOG, &bad).await.unwrap();
        assert_eq!((said, cut.map(|c| c.offset)), (place.said[1].clone(), Some(last as u64)));
    }
}

/// `bytes` with a version of 2 at `at` and the check sum over `sum` at `to` made again.
pub(crate) fn newer(bytes: &[u8], at: usize, sum: std::ops::Range<usize>, to: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    assert_eq!(bytes[at..at + 2], [1, 0]);
    bytes[at] = 3;
    let sum = crc32c::crc32c(&bytes[sum]).to_le_bytes();
    bytes[to..to + 4].copy_from_slice(&sum);
    bytes
}

#[tokio::test]
async fn a_directory_of_a_newer_release_is_refused_and_left_alone() {
    let place = Place::filled().await;
    let (log, last) = (place.good(LOG), place.frames().last().unwrap().0);
    let first = place.frames()[0].0;
    let second = place.frames()[1].0;
    for (what, file, bytes) in [
        ("segment head", LOG, newer(log, 8, 0..SEGMENT_HEAD - 4, SEGMENT_HEAD - 4)),
        ("first frame", LOG, newer(log, first + 12, first + 12..second, first + 8)),
        ("last frame", LOG, newer(log, last + 12, last + 12..log.len(), last + 8)),
        ("keystore", KEYSTORE, newer(place.good(KEYSTORE), 8, 0..46, 46)),
        ("kek", "keys/kek", newer(place.good("keys/kek"), 8, 0..46, 46)),
    ] {
        place.refused(file, &bytes, &["store.version"], what).await;
    }
}
