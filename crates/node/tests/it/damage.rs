//! Every file of a node's directory after every kind of harm, as one table, which stands in
//! `golden/damage.txt` so that it is reviewed when it changes.
//!
//! A harmed directory is refused by a code that says whose fault it is and what to do, and is left
//! as it is; or it opens with all that was acknowledged, or says what was cut. `check` says the
//! same as a start does, and changes nothing.

use crate::harm::{Files, Place, files, flipped, newer};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use twinpact_model::Did;
use twinpact_node::check;
use twinpact_store::bytes::Put;
use twinpact_store::frame::SEGMENT_HEAD;
use twinpact_store::redo::Redo;

const LOG: &str = "log/0000000001.seg";
const SPARE: &str = "log/newest";
const REDO: &str = "log/redo";
const KEYSTORE: &str = "keys/keystore";
const KEK: &str = "keys/kek";
const DOCUMENT_KEY: &str = "identity/document.key";
const CONFIG: &str = "twinpact.toml";
const IDENTITY: [&str; 4] =
    [DOCUMENT_KEY, "identity/issuing.pem", "identity/root.crt", "identity/root.key"];
/// Every file that there is, beside what a running node writes to say where it listens.
const FILES: [&str; 9] = [
    DOCUMENT_KEY,
    "identity/issuing.pem",
    "identity/root.crt",
    "identity/root.key",
    KEK,
    KEYSTORE,
    "lock",
    LOG,
    CONFIG,
];
/// Bits are flipped at about so many places of a file where nothing else is said: the same ones in
/// each run for a file of one length.
const FLIPS: usize = 50;
/// Rows that may have less in a run than they say, since what is at those places is random: a key,
/// a signature, or the base64 of one. A flip may make another letter of it or none, and may fall on
/// a line feed, on bits that base64 does not use, or on what nothing rests on. Which of the
/// outcomes comes is chance then; that there is no other is held. All other rows are equal in
/// every run: their bytes, or what a flip does to them, are always the same.
const CHANCE: [&str; 3] = [
    "identity/issuing.pem | a bit flipped",
    "identity/root.crt | a bit flipped",
    "identity/root.key | a bit flipped",
];

/// A file with what stands in it instead; `None` when it is gone.
type Harm = Vec<(&'static str, Option<Vec<u8>>)>;
/// By file and kind of harm: what came of it.
type Table = BTreeMap<String, BTreeSet<String>>;

/// Node, another node of the same organisation, and one of another.
struct Bench {
    place: Place,
    twin: Place,
    other: Place,
    table: Table,
}

fn write_all(dir: &Path, wanted: &Files) {
    for path in files(dir).keys().filter(|path| !wanted.contains_key(*path)) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in wanted {
        std::fs::write(path, bytes).unwrap();
        // A key file that others may read would be refused for that alone.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn changed(good: &[u8], at: usize, to: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut bad = good.to_vec();
    bad[at] = to(bad[at]);
    bad
}

/// Another of the hex digits.
fn other_digit(digit: u8) -> u8 {
    if digit == b'0' { b'1' } else { b'0' }
}

impl Bench {
    async fn new() -> Bench {
        let own = Did::new("did:web:operator.example").unwrap();
        let other = Did::new("did:web:other.example").unwrap();
        let place = Place::of(&own).await;
        let relative = |path: &PathBuf| path.strip_prefix(place.path()).unwrap().to_owned();
        let found: Vec<PathBuf> = place.good.keys().map(relative).collect();
        let expect: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
        assert_eq!(found, expect, "a directory has other files than are harmed here");
        let (twin, other) = (Place::of(&own).await, Place::of(&other).await);
        Bench { place, twin, other, table: Table::new() }
    }

    /// What comes of a harm.
    async fn outcome(&self, harm: &Harm) -> String {
        let dir = self.place.path();
        let mut harmed = self.place.good.clone();
        for (file, bytes) in harm {
            let path = dir.join(file);
            match bytes {
                Some(bytes) => drop(harmed.insert(path, bytes.clone())),
                None => drop(harmed.remove(&path)),
            }
        }
        write_all(&dir, &harmed);
        let unchanged = |who: &str| {
            let mut now = files(&dir);
            // Whoever looks takes the lock.
            let lock = dir.join("lock");
            if !harmed.contains_key(&lock) {
                now.remove(&lock);
            }
            assert!(now == harmed, "{who} changed a file");
        };
        let checked = check::check(&dir, &mut |_, _, _| ());
        unchanged("check");
        match self.place.open().await {
            Err(problem) => {
                unchanged("a start that was refused");
                assert_eq!(checked.err().map(|p| p.code), Some(problem.code), "{problem}");
                assert!(problem.hint.is_some(), "{problem}");
                format!("{}, fault {}", problem.code.name, problem.code.fault)
            }
            Ok((said, cut)) => {
                let report = checked.unwrap();
                assert_eq!(report.torn.is_some(), cut.is_some());
                let opens = match (said == self.place.said[1], cut.is_some()) {
                    (true, false) => "opens".to_owned(),
                    (true, true) => "opens, what was torn is cut and on record".to_owned(),
                    (false, true) => "opens as an older log, the cut is on record".to_owned(),
                    (false, false) => "opens as an older log".to_owned(),
                };
                match report.wrong {
                    0 => opens,
                    _ => format!("{opens}, check says what is wrong"),
                }
            }
        }
    }

    async fn row(&mut self, name: &str, harms: Vec<Harm>) {
        for harm in harms {
            let outcome = self.outcome(&harm).await;
            self.table.entry(name.to_owned()).or_default().insert(outcome);
        }
    }

    /// What may happen to any file.
    async fn file(&mut self, file: &'static str) {
        let good = self.place.good(file).to_vec();
        let with = |bytes: Vec<u8>| vec![(file, Some(bytes))];
        let (twin, other) = (self.twin.good(file).to_vec(), self.other.good(file).to_vec());
        let n = good.len();
        self.row(&format!("{file} | removed"), vec![vec![(file, None)]]).await;
        self.row(&format!("{file} | emptied"), vec![with(Vec::new())]).await;
        let short = self.lengths(file).into_iter().filter(|length| (1..n).contains(length));
        let short = short.map(|length| with(good[..length].to_vec())).collect();
        self.row(&format!("{file} | truncated"), short).await;
        let longer =
            [&[0][..], b"x", &[b'\n'; 700], &good].map(|more| with([&good, more].concat()));
        self.row(&format!("{file} | extended"), longer.into()).await;
        let flips = self.flips(file).into_iter().map(with).collect();
        self.row(&format!("{file} | a bit flipped"), flips).await;
        let twin = vec![with(twin)];
        self.row(&format!("{file} | of another node of the organisation"), twin).await;
        self.row(&format!("{file} | of another organisation"), vec![with(other)]).await;
    }

    /// Lengths to which a file is cut.
    fn lengths(&self, file: &str) -> Vec<usize> {
        let n = self.place.good(file).len();
        if file != LOG {
            return vec![1, n / 4, n / 2, n * 3 / 4, n.saturating_sub(2)];
        }
        // In the head, and in each frame: how long these are differs by a few bytes.
        let frames = self.place.frames().into_iter().flat_map(|(at, _)| [at + 1, at + 40]);
        [1, SEGMENT_HEAD / 2, SEGMENT_HEAD - 1].into_iter().chain(frames).collect()
    }

    /// The bytes of a file with one bit flipped, at each of some places.
    fn flips(&self, file: &str) -> Vec<Vec<u8>> {
        let good = self.place.good(file);
        let n = good.len();
        match file {
            LOG => {
                let frames = self.place.frames().into_iter().flat_map(|(at, _)| [at, at + 40]);
                let places = [0, 20, SEGMENT_HEAD - 1].into_iter().chain(frames).chain([n - 1]);
                places.map(|at| flipped(good, at)).collect()
            }
            // Of this bit no digit becomes another digit.
            DOCUMENT_KEY => (0..n).map(|at| changed(good, at, |byte| byte ^ 0x10)).collect(),
            CONFIG => (0..n).map(|at| flipped(good, at)).collect(),
            _ => (0..n).step_by(n / FLIPS + 1).map(|at| flipped(good, at)).collect(),
        }
    }

    /// What may happen to several files together, or to what is inside them.
    async fn mixed(&mut self) {
        let twin = |file| (file, Some(self.twin.good(file).to_vec()));
        let new = |file| (file, Some(self.place.new[&self.place.path().join(file)].clone()));
        let (log, keystore) = (self.place.good(LOG), self.place.good(KEYSTORE));
        let frames = self.place.frames();
        let last = frames.last().unwrap().0;
        let behind: Vec<Harm> =
            frames[1..].iter().map(|(at, _)| vec![(LOG, Some(log[..*at].to_vec()))]).collect();
        let version = |file, bytes| vec![vec![(file, Some(bytes))]];
        let epoch = |file: &'static str, at: usize| {
            let mut bytes = self.place.good(file).to_vec();
            bytes[at] += 1;
            let sum = crc32c::crc32c(&bytes[..46]).to_le_bytes();
            bytes[46..50].copy_from_slice(&sum);
            vec![vec![(file, Some(bytes))]]
        };
        let first_line = |file: &'static str| {
            vec![vec![(file, Some(changed(self.place.good(file), 0, |byte| byte ^ 1)))]]
        };
        let key = self.place.good(DOCUMENT_KEY);
        let digits =
            [0, 20, 63].map(|at| vec![(DOCUMENT_KEY, Some(changed(key, at, other_digit)))]);
        let rows = [
            ("identity/document.key | another digit", digits.into()),
            ("identity/issuing.pem | first line harmed", first_line("identity/issuing.pem")),
            ("identity/root.crt | first line harmed", first_line("identity/root.crt")),
            ("identity/root.key | first line harmed", first_line("identity/root.key")),
            ("keys/* | of another node of the organisation", vec![vec![twin(KEK), twin(KEYSTORE)]]),
            ("identity/* | of another node of the organisation", vec![IDENTITY.map(twin).into()]),
            ("keys/* | of an older copy", vec![vec![new(KEK), new(KEYSTORE)]]),
            ("log/* | of an older copy", vec![vec![new(LOG)]]),
            ("log/* | cut off behind a frame", behind),
            (
                "log/* | cut off behind the head",
                vec![vec![(LOG, Some(log[..SEGMENT_HEAD].to_vec()))]],
            ),
            ("keys/kek | of a later epoch than the keystore", epoch(KEK, 10)),
            ("keys/keystore | of a later epoch than its key", epoch(KEYSTORE, 10)),
            (
                "keys/kek | of a newer release",
                version(KEK, newer(self.place.good(KEK), 8, 0..46, 46)),
            ),
            (
                "keys/keystore | of a newer release",
                version(KEYSTORE, newer(keystore, 8, 0..46, 46)),
            ),
            (
                "log/* | head of a newer release",
                version(LOG, newer(log, 8, 0..SEGMENT_HEAD - 4, SEGMENT_HEAD - 4)),
            ),
            (
                "log/* | last frame of a newer release",
                version(LOG, newer(log, last + 12, last + 12..log.len(), last + 8)),
            ),
        ];
        for (name, harms) in rows {
            self.row(name, harms).await;
        }
    }
}

impl Bench {
    /// The copy of the newest frame that a start keeps while it writes that frame again.
    async fn spare(&mut self) {
        let (log, last) = (self.place.good(LOG), self.place.frames().last().unwrap().0);
        let mut put = Put::default();
        put.raw(b"TWINNEW\n");
        put.u16(1);
        put.u64(1);
        put.u64(last as u64);
        put.u32(crc32c::crc32c(&put.0));
        put.raw(&log[last..]);
        let copy = put.0;
        let mut torn = log.to_vec();
        torn[last..].fill(0xA5);
        let later = newer(&copy, 8, 0..26, 26);
        let places = (0..copy.len()).step_by(9);
        let flips: Vec<Vec<u8>> = places.map(|at| flipped(&copy, at)).collect();
        for (what, log) in [("whole log", log.to_vec()), ("harmed newest frame", torn)] {
            for (how, copies) in [
                ("as it was written", vec![copy.clone()]),
                ("emptied", vec![Vec::new()]),
                ("a bit flipped", flips.clone()),
                ("of a newer release", vec![later.clone()]),
            ] {
                let harms = copies
                    .into_iter()
                    .map(|copy| vec![(LOG, Some(log.clone())), (SPARE, Some(copy))]);
                self.row(&format!("{SPARE} | {how}, beside a {what}"), harms.collect()).await;
            }
        }
    }
}

impl Bench {
    /// The frames that are written over while payloads are taken out of them.
    async fn redo(&mut self) {
        let (log, frames) = (self.place.good(LOG).to_vec(), self.place.frames());
        let (at, end) = (frames[1].0, frames[2].0);
        let frames = [(at as u64, log[at..end].to_vec())].into();
        let whole = Redo { segment: 1, frames }.encode();
        let mut torn = log.clone();
        torn[at..end].fill(0xA5);
        let later = newer(&whole, 12, 12..whole.len(), 8);
        let flips: Vec<Vec<u8>> =
            (0..whole.len()).step_by(9).map(|at| flipped(&whole, at)).collect();
        for (what, log) in [("whole log", log), ("harmed frame", torn)] {
            for (how, files) in [
                ("as it was written", vec![whole.clone()]),
                ("emptied", vec![Vec::new()]),
                ("a bit flipped", flips.clone()),
                ("of a newer release", vec![later.clone()]),
            ] {
                let harms = files
                    .into_iter()
                    .map(|redo| vec![(LOG, Some(log.clone())), (REDO, Some(redo))]);
                self.row(&format!("{REDO} | {how}, beside a {what}"), harms.collect()).await;
            }
        }
    }
}

#[tokio::test]
async fn every_file_is_whole_or_refused_by_name() {
    let mut bench = Bench::new().await;
    for file in FILES {
        bench.file(file).await;
    }
    bench.mixed().await;
    bench.spare().await;
    bench.redo().await;
    // What a node that was killed leaves is not read at a start.
    bench
        .row("admin.json | of a node that is gone", vec![vec![("admin.json", Some(vec![b'x']))]])
        .await;
    let golden = include_str!("golden/damage.txt");
    let mut shown = String::new();
    for (name, outcomes) in &bench.table {
        let row = golden.lines().filter(|_| CHANCE.contains(&name.as_str()));
        let known = row.filter_map(|line| line.strip_prefix(name)?.strip_prefix(" | "));
        let mut all: BTreeSet<&str> = known.flat_map(|row| row.split("; ")).collect();
        all.extend(outcomes.iter().map(String::as_str));
        let all: Vec<&str> = all.into_iter().collect();
        shown.push_str(&format!("{name} | {}\n", all.join("; ")));
    }
    assert!(shown == golden, "golden/damage.txt is to say:\n{shown}");
}
