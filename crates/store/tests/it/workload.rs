//! A store at work on a disk that may fail at any step, and what has to be so whenever it is opened
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use twinpact_model::entry::{Attribute, Entry, Kind, When, Who, Why};
use twinpact_model::{Did, Problem, Timestamp};
use twinpact_proof::digest::Digest;
use twinpact_store::directory::CONFIG_FILE;
use twinpact_store::forest::{EVENTS, LOCAL, TreeNo};
use twinpact_store::frame::{Frame, SEGMENT_HEAD};
use twinpact_store::redo::{REDO_BYTES, Redo};
use twinpact_store::vfs::Vfs;
use twinpact_store::{Directory, Draft, ItemPoint, Opened, Replayed, Store, Subject, destroy};
use twinpact_testkit::{Dice, SimDisk, nonces};

/// So small that a few frames fill a segment.
const SEGMENT_BYTES: u64 = 6_000;

/// What a file with a rotten bit is refused as.
const ROTTEN: [&str; 2] = ["store.damaged", "store.version"];

/// A node's store over a run, with all that it has ever said.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) dice: Dice,
    /// The same disk, or what a careless program makes of it.
    vfs: Arc<dyn Vfs>,
    /// Each attempt to make a node takes a place of its own.
    attempts: usize,
    made: bool,
    /// What was acknowledged, or shown after a start.
    known: Vec<Opened>,
    /// How many ticks were.
    ticks: u64,
    /// What was to be in the frame that failed.
    in_flight: Vec<Opened>,
    /// The twin under whose key an entry is sealed, by its commitment.
    sealed_for: BTreeMap<Digest, String>,
    /// The entries that were destroyed, and those that the frame that failed was to destroy.
    gone: BTreeSet<Digest>,
    going: BTreeSet<Digest>,
    /// The root of every checkpoint that was signed, by its size.
    signed: BTreeMap<u64, Digest>,
    clock: i64,
    torn: usize,
    /// Whether every frame destroys a key, and not one of six.
    pub(crate) always_erases: bool,
    /// How many twins the entries are about.
    pub(crate) twins: usize,
}

/// Payloads that are being taken out in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnderWay {
    /// Of the last segment, not of a closed one.
    pub(crate) last: bool,
    /// A frame is as it is to be.
    pub(crate) begun: bool,
    /// All are.
    pub(crate) done: bool,
    /// A frame is not whole.
    pub(crate) harmed: bool,
}

/// How many bytes of a segment are in front of its newest frame.
fn before_newest(segment: &[u8]) -> usize {
    segment.windows(4).rposition(|four| four == b"TwFr").unwrap_or(0)
}

/// Why a run is over.
pub(crate) enum End {
    /// The store refused; whether it may is for the caller to say.
    Refused(Problem),
    /// What must always hold does not.
    Broken(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Refused(problem) => write!(f, "{problem}"),
            End::Broken(why) => f.write_str(why),
        }
    }
}

impl From<Problem> for End {
    fn from(problem: Problem) -> End {
        End::Refused(problem)
    }
}

fn broken<T>(why: impl Into<String>) -> Result<T, End> {
    Err(End::Broken(why.into()))
}

fn did() -> Did {
    Did::new("did:web:operator.example").unwrap()
}

impl World {
    pub(crate) fn new(seed: u64, program: impl FnOnce(Arc<dyn Vfs>) -> Arc<dyn Vfs>) -> World {
        let disk = SimDisk::new(seed, Path::new("/disk"));
        World {
            vfs: program(Arc::new(disk.clone())),
            disk,
            dice: Dice::new(!seed),
            attempts: 0,
            made: false,
            known: Vec::new(),
            ticks: 0,
            in_flight: Vec::new(),
            sealed_for: BTreeMap::new(),
            gone: BTreeSet::new(),
            going: BTreeSet::new(),
            signed: BTreeMap::new(),
            clock: 1_000_000,
            torn: 0,
            always_erases: false,
            twins: 5,
        }
    }

    /// How many entries it has, how many of them are destroyed, and how many torn tails it has met.
    pub(crate) fn tally(&self) -> (usize, usize, usize) {
        (self.known.len(), self.gone.len(), self.torn)
    }

    fn path(&self) -> PathBuf {
        Path::new("/disk").join(format!("node{}", self.attempts))
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp::from_micros(self.clock)
    }

    /// Starts the node, making it first when there is none yet.
    pub(crate) fn start(&mut self) -> Result<Store, End> {
        let mut store = if self.made { self.open()? } else { self.make()? };
        store.close_segments_at(SEGMENT_BYTES);
        // Few bytes in place, more by a copy of the segment; all by one of the two.
        store.redo_up_to([0, 1_200, REDO_BYTES, REDO_BYTES][self.dice.below(4)]);
        Ok(store)
    }

    /// What is being taken out in place, as a start will find it.
    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        let (log, files) = (self.path().join("log"), self.disk.files());
        let redo = Redo::decode(files.get(&log.join("redo"))?).unwrap();
        let segment = |number| files.get(&log.join(format!("{number:010}.seg")));
        let bytes = segment(redo.segment)?;
        let there = |(at, frame): (&u64, &Vec<u8>)| {
            let at = usize::try_from(*at).unwrap();
            (bytes.get(at..at + frame.len()) == Some(frame), Frame::decode(&bytes[at..]).is_some())
        };
        let there: Vec<_> = redo.frames.iter().map(there).collect();
        Some(UnderWay {
            last: segment(redo.segment + 1).is_none(),
            begun: there.iter().any(|(new, _)| *new),
            done: there.iter().all(|(new, _)| *new),
            harmed: there.iter().any(|(_, whole)| !whole),
        })
    }

    fn make(&mut self) -> Result<Store, End> {
        self.attempts += 1;
        self.signed.clear();
        let (path, now) = (self.path(), self.now());
        let directory = Directory::create(self.vfs.clone(), &path)?;
        let store = Store::create(directory, &did(), now)?;
        let written = self.vfs.replace(&path.join(CONFIG_FILE), b"a node");
        written.map_err(|e| twinpact_model::disk::refused(Path::new("node"), &e))?;
        self.made = true;
        Ok(store)
    }

    /// Opens it and holds what it says against what was said before.
    fn open(&mut self) -> Result<Store, End> {
        let directory = Directory::open(self.vfs.clone(), &self.path())?;
        let mut entries = Vec::new();
        let (mut store, cut) = Store::inspect(directory, &did(), |_, entry| {
            entries.push(entry);
            Ok(())
        })?;
        self.torn += usize::from(cut.is_some());
        let Some((before, rest)) = entries.split_at_checked(self.known.len()) else {
            return broken(format!("{} entries were acknowledged and are lost", self.known.len()));
        };
        let going = if rest.is_empty() { BTreeSet::new() } else { std::mem::take(&mut self.going) };
        // What the frame under way was to destroy may be there or gone; the rest has to be as said.
        let as_said = |(one, known): (&Replayed, &Opened)| match one {
            Replayed::Open(entry) => entry == known && !self.gone.contains(&known.pc),
            Replayed::Gone(one) => {
                let place = (one.tree, one.index, one.leaf, one.pc);
                place == (known.tree, known.index, known.leaf, known.pc)
                    && (self.gone.contains(&known.pc) || going.contains(&known.pc))
            }
        };
        if !before.iter().zip(&self.known).all(as_said) {
            return broken(
                "what was acknowledged is another, or is there although it was destroyed",
            );
        }
        let whole = rest.is_empty() || rest.len() == self.in_flight.len();
        if !whole || !rest.iter().zip(&self.in_flight).all(as_said) {
            return broken("a frame that was not acknowledged is there in part");
        }
        if store.forest().ticks() < self.ticks {
            return broken("a tick was acknowledged and is lost");
        }
        if !rest.is_empty() {
            self.known.append(&mut self.in_flight);
        }
        store.mend()?;
        self.gone.extend(going);
        self.in_flight.clear();
        self.going.clear();
        self.rises()?;
        self.sign(&store)?;
        self.is_taken_out()?;
        self.reads_back(&store)?;
        Ok(store)
    }

    /// No payload of what was destroyed is in a segment, also when its key were known.
    fn is_taken_out(&self) -> Result<(), End> {
        let log = self.path().join("log");
        for (path, bytes) in self.disk.files().iter().filter(|(path, _)| path.starts_with(&log)) {
            if path.file_stem().is_some_and(|stem| stem == "redo") {
                return broken(format!("{} is there when all is done", path.display()));
            }
            let mut rest = bytes.get(SEGMENT_HEAD..).unwrap_or_default();
            while let Some((frame, length)) = Frame::decode(rest) {
                let gone = frame.entries.iter().filter(|entry| self.gone.contains(&entry.pc));
                if !gone.into_iter().all(|entry| entry.is_taken_out()) {
                    return broken(format!("{} has what was destroyed", path.display()));
                }
                rest = &rest[length..];
            }
        }
        Ok(())
    }

    /// `recorded` rises strictly in every tree.
    fn rises(&self) -> Result<(), End> {
        let mut last: BTreeMap<TreeNo, Timestamp> = BTreeMap::new();
        for entry in &self.known {
            let recorded = entry.entry.when.recorded;
            if last.insert(entry.tree, recorded).is_some_and(|before| before >= recorded) {
                return broken("recorded does not rise");
            }
        }
        Ok(())
    }

    /// What a node signs: the checkpoint of every tick that it has.
    fn sign(&mut self, store: &Store) -> Result<(), End> {
        self.ticks = store.forest().ticks();
        for tick in 0..self.ticks {
            let made = store.forest().checkpoint("operator.example/twinpact/1", tick).unwrap();
            if self.signed.insert(made.size, made.root).is_some_and(|before| before != made.root) {
                return broken(format!("two heads of size {} were signed", made.size));
            }
        }
        Ok(())
    }

    /// One entry, by its place.
    fn reads_back(&mut self, store: &Store) -> Result<(), End> {
        let at = self.dice.below(self.known.len());
        match self.known.get(at).filter(|entry| entry.tree != LOCAL) {
            Some(entry) if self.gone.contains(&entry.pc) => {
                let read = store.entry(entry.tree, entry.index);
                match read.map_err(|problem| problem.code.name) {
                    Err("twin.erased") => Ok(()),
                    other => broken(format!("a destroyed entry reads as {other:?}")),
                }
            }
            Some(entry) if store.entry(entry.tree, entry.index)? != *entry => {
                broken("an entry reads as another")
            }
            _ => Ok(()),
        }
    }

    /// One frame of a few turns.
    pub(crate) fn frame(&mut self, store: &mut Store) -> Result<(), End> {
        let mut staged = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let opens = if self.dice.one_in(6) { Some(store.new_tree()?) } else { None };
            let trees = store.forest().next_tree() + u32::from(opens.is_some());
            let drafts: Vec<_> = (0..self.dice.below(4)).map(|_| self.draft(trees)).collect();
            let twins: Vec<_> = drafts.iter().map(|draft| draft.subject.clone()).collect();
            let committed = store.stage_opening(opens, drafts)?;
            for (entry, subject) in committed.iter().zip(twins) {
                if let Subject::Twin(twin) = subject {
                    self.sealed_for.insert(entry.pc, twin.to_string());
                }
            }
            staged.extend(committed);
        }
        if self.always_erases || self.dice.one_in(6) {
            staged.extend(self.erase(store)?);
        }
        let now = self.now();
        let tick = self.dice.one_in(2).then_some(now);
        match store.commit(tick, now) {
            Ok(_) => {
                self.known.extend(staged);
                self.gone.append(&mut self.going);
                self.is_taken_out()?;
                self.sign(store)
            }
            Err(problem) => {
                self.in_flight = staged;
                let after = store.stage(Vec::new()).err().map(|p| p.code.name);
                if after != Some("store.stopped") {
                    return broken(format!("after {problem}: {after:?}"));
                }
                Err(problem.into())
            }
        }
    }

    /// The entry that destroys the key of a twin, and so all that was sealed under it.
    fn erase(&mut self, store: &mut Store) -> Result<Vec<Opened>, End> {
        let twin = format!("urn:pump:{}", self.dice.below(self.twins));
        let Some(key) = store.subject_key(&Subject::Twin(twin.as_str().into())) else {
            return Ok(Vec::new());
        };
        let mut draft = self.draft(EVENTS + 1);
        (draft.tree, draft.subject, draft.class) = (EVENTS, Subject::Node, "control".into());
        draft.entry.what = vec![destroy::attribute(&[key])];
        let of_twin = self.sealed_for.iter().filter(|(_, of)| **of == twin);
        self.going = of_twin.map(|(pc, _)| *pc).collect();
        Ok(store.stage(vec![draft])?)
    }

    /// An entry of one of the trees below that number.
    fn draft(&mut self, trees: TreeNo) -> Draft {
        let tree = TreeNo::try_from(self.dice.below(trees as usize)).unwrap();
        let twin = format!("urn:pump:{}", self.dice.below(self.twins));
        let subject =
            if self.dice.one_in(2) { Subject::Node } else { Subject::Twin(twin.as_str().into()) };
        let point = ItemPoint { time: "t".into(), datatype: "row".into(), lexical: "1".into() };
        let who =
            Who { kind: Kind::FactsSet, twin: twin.into(), twin_seq: 1, actor: "local".into() };
        let note = "n".repeat(self.dice.below(700));
        Draft {
            tree,
            subject,
            class: "operational".into(),
            day: self.clock / 40,
            entry: Entry {
                who,
                when: When { recorded: self.now(), ..When::default() },
                why: Why::default(),
                what: vec![Attribute::new("note", "string", note)],
            },
            items: (tree > EVENTS && self.dice.one_in(3)).then(|| vec![point]),
        }
    }

    /// Starts the node until the disk, which is good again, lets it, and once more: the same.
    pub(crate) fn recover(&mut self) -> Result<(), End> {
        if !self.made {
            return Ok(());
        }
        let state = self.open()?.forest().state();
        match self.open()?.forest().state() == state {
            true => Ok(()),
            false => broken("the trees of two starts differ"),
        }
    }

    /// A bit of the log or of the keys rots between two starts, in front of the newest frame: there
    /// it is a torn tail, which is cut and reported. All that was said is still there, or the rot
    /// is named and nothing has changed: with the bit put right, all is there. Says whether it was
    /// named.
    pub(crate) fn rots(&mut self) -> Result<bool, End> {
        let (log, keys) = (self.path().join("log"), self.path().join("keys"));
        let ours = |path: &PathBuf| path.starts_with(&log) || path.starts_with(&keys);
        let files = self.disk.files();
        let segment = |path: &&PathBuf| path.extension().is_some_and(|end| end == "seg");
        let newest = files.keys().filter(|path| ours(path)).rfind(segment);
        let length = |path, bytes: &[u8]| match Some(path) == newest {
            true => before_newest(bytes),
            false => bytes.len(),
        };
        let files = files.iter().map(|(path, bytes)| (path, length(path, bytes)));
        let files: Vec<_> = files.filter(|(path, length)| ours(path) && *length > 0).collect();
        let Some((path, length)) = files.get(self.dice.below(files.len())) else {
            return Ok(false);
        };
        let (path, offset) = (path.to_path_buf(), self.dice.below(*length));
        let bit = 1 << self.dice.below(8);
        self.disk.rot(&path, offset, bit);
        let before = self.disk.files();
        match self.recover() {
            Ok(()) => Ok(false),
            Err(End::Refused(problem)) if ROTTEN.contains(&problem.code.name) => {
                if self.disk.files() != before || problem.hint.is_none() {
                    return broken(format!("{problem} has changed the disk, or has no hint"));
                }
                self.disk.rot(&path, offset, bit);
                self.recover().map(|()| true)
            }
            Err(End::Refused(problem)) => broken(format!("{}: {problem}", path.display())),
            Err(end) => Err(end),
        }
    }

    /// Over everything that was ever written.
    pub(crate) fn nonces_are_used_once(&self) -> Result<usize, End> {
        nonces::check(&self.disk.written()).map_err(End::Broken)
    }
}
