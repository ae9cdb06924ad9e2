//! Log, keys, sealing and trees as one: drafts go in, one durable frame comes out.

use crate::destroy::{self, Destruction, destroyed_by};
use crate::directory::Directory;
use crate::forest::{DECISIONS, EVENTS, Forest, LOCAL, TreeNo, inconsistent};
use crate::frame::{
    ENTRY_BYTES, FRAME_BYTES, Frame, MAX_TREES, MAX_TURN_BYTES, Opens, SEGMENT_HEAD, SealedEntry,
    Tick,
};
use crate::keystore::{Keystore, Meaning, damaged, refused};
use crate::log::{Log, Place};
use crate::payload;
use crate::replay::read_ahead;
use crate::seal::{KeyPair, Sealer, random};
use crate::successor::Successor;
use std::sync::Mutex;
use twinpact_model::entry::{Attribute, Entry};
use twinpact_model::problem::Problem;
use twinpact_model::time::Timestamp;
use twinpact_model::{Did, SmolStr, codes};
use twinpact_proof::commit::{Attr, Point, Seed, payload_commitment, points_lexical};
use twinpact_proof::digest::{Digest, sha256};
use twinpact_proof::successor::Predecessor;
use twinpact_proof::tree::Tree;

pub use crate::log::Cut;

/// Whose key seals an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The twin's own key: erasing the twin makes the entry unreadable.
    Twin(SmolStr),
    /// The node's key, for what is about no twin.
    Node,
    /// A key for what a partner has delivered about one of its twins.
    Copied {
        /// The partner.
        from: SmolStr,
        /// Its twin.
        twin: SmolStr,
    },
}

impl Subject {
    fn meaning(&self) -> Meaning {
        match self {
            Subject::Twin(twin) => Meaning::Subject(twin.to_string()),
            Subject::Node => Meaning::Subject(String::new()),
            Subject::Copied { from, twin } => {
                Meaning::Copied { from: from.to_string(), twin: twin.to_string() }
            }
        }
    }
}

/// One point of the `items` attribute of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPoint {
    /// When it was true.
    pub time: String,
    /// How to read the lexical form.
    pub datatype: String,
    /// The delivered item as text.
    pub lexical: String,
}

/// An entry to append.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The tree; [`LOCAL`] for a local record.
    pub tree: TreeNo,
    /// Whose key seals it.
    pub subject: Subject,
    /// Its retention class.
    pub class: SmolStr,
    /// The day of the policy clock, in days since 1970.
    pub day: i64,
    /// What happened.
    pub entry: Entry,
    /// When given, an attribute `items` of datatype `points` over them is added.
    pub items: Option<Vec<ItemPoint>>,
}

/// An entry that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The tree.
    pub tree: TreeNo,
    /// Its index there; the sequence number for a local record.
    pub index: u64,
    /// Its leaf hash; the commitment for a local record.
    pub leaf: Digest,
    /// Its payload commitment.
    pub pc: Digest,
    /// The seed of its salts.
    pub seed: Seed,
    /// What happened, with the `items` attribute when there is one.
    pub entry: Entry,
}

/// An entry read back, with its commitment checked.
pub type Opened = Committed;

/// An entry of which only the place is left: its key was destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The tree.
    pub tree: TreeNo,
    /// Its index there; the sequence number for a local record.
    pub index: u64,
    /// Its leaf hash; the commitment for a local record.
    pub leaf: Digest,
    /// Its payload commitment.
    pub pc: Digest,
}

/// An entry as the log has it.
#[expect(clippy::large_enum_variant, reason = "nearly all are readable, and one is held at a time")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It can be read.
    Open(Opened),
    /// Its key was destroyed.
    Gone(Gone),
}

/// The store of one partition. One owner appends; anybody reads.
pub struct Store {
    directory: Directory,
    log: Log,
    keys: Keystore,
    sealer: Mutex<Sealer>,
    forest: Forest,
    destruction: Destruction,
    staged: Frame,
    staged_bytes: usize,
    /// A tick that the last frame says, and that is not made yet.
    ticking: Option<Tick>,
}

const ANCHOR_KEY: &str = "anchor";
const IDEMPOTENCY_KEY: &str = "idempotency";

impl Store {
    /// Makes the log and the keys of a new directory, with the trees of events and decisions open.
    ///
    /// # Errors
    /// `store.io`, `internal`.
    pub fn create(directory: Directory, org: &Did, now: Timestamp) -> Result<Store, Problem> {
        let organisation = sha256(org.as_str().as_bytes());
        Keystore::create(directory.vfs().as_ref(), &directory.keys(), &organisation)?;
        let mut keys = Keystore::open(directory.vfs().as_ref(), &directory.keys(), &organisation)?;
        let anchor = keys.ensure(&Meaning::Node(ANCHOR_KEY.to_owned()))?;
        keys.ensure(&Meaning::Node(IDEMPOTENCY_KEY.to_owned()))?;
        keys.ensure(&Meaning::Subject(String::new()))?;
        keys.flush()?;
        let log = Log::create(&directory, organisation, random_array()?)?;
        let forest = Forest::new(key_bytes(&keys, anchor)?);
        let mut store = Store::assemble(directory, log, keys, forest, Destruction::default());
        for tree in [EVENTS, DECISIONS] {
            let opens = store.new_tree()?;
            debug_assert_eq!(opens.tree, tree);
            store.stage_opening(Some(opens), Vec::new())?;
        }
        store.commit(None, now)?;
        Ok(store)
    }

    /// Opens a directory and hands every entry that can be read, in order, to `replay`, each with
    /// the key under which idempotency keys are made.
    ///
    /// # Errors
    /// `store.damaged`, `store.version`, `store.foreign`, `store.io`; what `replay` refuses.
    pub fn open(
        directory: Directory,
        org: &Did,
        mut replay: impl FnMut(&[u8; 32], Opened) -> Result<(), Problem>,
    ) -> Result<(Store, Option<Cut>), Problem> {
        let (mut store, cut) = Store::inspect(directory, org, |key, entry| match entry {
            Replayed::Open(entry) => replay(key, entry),
            Replayed::Gone(_) => Ok(()),
        })?;
        store.mend()?;
        Ok((store, cut))
    }

    /// Cuts what was torn, makes durable what is left, keys before the frames that need them, and
    /// finishes what was to be destroyed: from now on the store takes what is new.
    ///
    /// # Errors
    /// `store.io`, and it takes nothing.
    pub fn mend(&mut self) -> Result<(), Problem> {
        // The names of log, keys and configuration too.
        let path = self.directory.path();
        self.directory.vfs().sync_dir(path).map_err(|e| refused(path, &e))?;
        self.keys.mend(self.directory.vfs().as_ref(), &self.directory.keys())?;
        self.log.mend()?;
        self.finish_destruction()
    }

    /// Destroys the keys that durable entries destroy, and what they sealed.
    fn finish_destruction(&mut self) -> Result<(), Problem> {
        if self.destruction.is_done() {
            return Ok(());
        }
        self.sealer.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).forget();
        let dir = self.directory.keys();
        let vfs = self.directory.vfs().as_ref();
        self.destruction.finish(vfs, &dir, &mut self.keys, &mut self.log)
    }

    /// The number of a subject's key, if it has one.
    #[must_use]
    pub fn subject_key(&self, subject: &Subject) -> Option<u64> {
        self.keys.find(&subject.meaning())
    }

    /// The numbers of the keys for what a partner has delivered about these of its twins.
    #[must_use]
    pub fn copied_keys(&self, partner: &str, wanted: impl Fn(&str) -> bool) -> Vec<u64> {
        let fits = |from: &str, twin: &str| from == partner && wanted(twin);
        self.keys.all(|one| matches!(one, Meaning::Copied { from, twin } if fits(from, twin)))
    }

    /// The numbers of the keys of that retention class.
    #[must_use]
    pub fn class_keys(&self, wanted: &str) -> Vec<u64> {
        self.keys.all(|one| matches!(one, Meaning::Bucket { class, .. } if class == wanted))
    }

    /// The same with all entries, and changes nothing on the disk: what was torn is left there, and
    /// the store takes nothing new before [`mend`](Self::mend).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn inspect(
        directory: Directory,
        org: &Did,
        mut replay: impl FnMut(&[u8; 32], Replayed) -> Result<(), Problem>,
    ) -> Result<(Store, Option<Cut>), Problem> {
        let organisation = sha256(org.as_str().as_bytes());
        let mut keys = Keystore::open(directory.vfs().as_ref(), &directory.keys(), &organisation)?;
        let anchor = keys
            .find(&Meaning::Node(ANCHOR_KEY.to_owned()))
            .ok_or_else(|| keys.blame_torn(foreign("the keystore has no anchor key")))?;
        let idempotency = idempotency_key(&keys).map_err(|problem| keys.blame_torn(problem))?;
        let mut forest = Forest::new(key_bytes(&keys, anchor)?);
        let (mut sealer, mut destruction) = (Sealer::default(), Destruction::default());
        let open = |frame: &Frame| {
            let entries = frame.entries.iter();
            entries
                .map(|entry| open_or_gone(&keys, &mut sealer, entry))
                .collect::<Result<Vec<_>, _>>()
        };
        let opened =
            read_ahead(&directory, organisation, random_array()?, open, |frame, place, plain| {
                let placed = grow(&mut forest, frame, place)?;
                destroy::note(&mut destruction, frame, place);
                let all = plain.into_iter().zip(frame.entries.iter().zip(placed));
                for (plain, (sealed, (index, leaf))) in all {
                    let (tree, pc) = (sealed.tree, sealed.pc);
                    replay(
                        &idempotency,
                        match plain {
                            Some((seed, entry)) => {
                                destruction.order(&destroys(&entry)?);
                                Replayed::Open(Opened { tree, index, leaf, pc, seed, entry })
                            }
                            None => {
                                destruction.gone(&keys, sealed, place);
                                Replayed::Gone(Gone { tree, index, leaf, pc })
                            }
                        },
                    )?;
                }
                Ok(())
            });
        // What does not fit together without a key is no fault of the log.
        let blamed = |problem: Problem| match destruction.explains_all() {
            false if problem.code == codes::INTERNAL => foreign(NEEDS_A_KEY),
            _ => problem,
        };
        let (log, cut) = opened.map_err(|problem| keys.blame_torn(blamed(problem)))?;
        if !destruction.explains_all() {
            return Err(keys.blame_torn(foreign(NEEDS_A_KEY)));
        }
        keys.reserve(destruction.last_key());
        if forest.next_tree() <= DECISIONS {
            // The frame that opens them was durable before there was a node, so it was not torn.
            return Err(damaged("log/0000000001.seg", SEGMENT_HEAD as u64));
        }
        Ok((Store::assemble(directory, log, keys, forest, destruction), cut))
    }

    fn assemble(
        directory: Directory,
        log: Log,
        keys: Keystore,
        forest: Forest,
        destruction: Destruction,
    ) -> Store {
        let (staged, staged_bytes, ticking) = (Frame::default(), 0, None);
        let sealer = Mutex::default();
        Store { directory, log, keys, sealer, forest, destruction, staged, staged_bytes, ticking }
    }

    /// Puts the drafts of one turn into the frame that the next [`commit`](Self::commit) makes
    /// durable, all of them or none. Until then nothing that was staged may be shown to anybody.
    /// Whoever stages commits first when [`is_full`](Self::is_full).
    ///
    /// # Errors
    /// `input.too_large` when an entry is beyond its bound or the drafts are more than
    /// [`MAX_TURN_BYTES`], whatever other turns have staged; `store.stopped`; `internal` when the
    /// frame is full. Nothing has changed.
    pub fn stage(&mut self, drafts: Vec<Draft>) -> Result<Vec<Committed>, Problem> {
        self.stage_opening(None, drafts)
    }

    /// The same, and opens a tree with them: both or neither.
    ///
    /// # Errors
    /// As [`stage`](Self::stage).
    pub fn stage_opening(
        &mut self,
        opens: Option<Opens>,
        mut drafts: Vec<Draft>,
    ) -> Result<Vec<Committed>, Problem> {
        self.log.check()?;
        if self.is_full() {
            return Err(internal("the frame is full and has to be committed first"));
        }
        self.between_ticks()?;
        let seeds = random_seeds(drafts.len())?;
        let (mut entries, mut recent) = (Vec::with_capacity(drafts.len()), None);
        for (draft, seed) in drafts.iter_mut().zip(&seeds) {
            entries.push(self.seal_draft(draft, seed, &mut recent)?);
        }
        let size: usize = entries.iter().map(|e| e.sealed.len() + ENTRY_BYTES).sum();
        if size > MAX_TURN_BYTES {
            return Err(Problem::new(
                codes::INPUT_TOO_LARGE,
                format!("one commit of {size} bytes is beyond the bound of {MAX_TURN_BYTES}"),
            )
            .hint("send smaller batches"));
        }
        self.begin_frame();
        if let Some(opens) = opens {
            self.forest.open(opens)?;
            self.staged.opens.push(opens);
        }
        let first = self.staged.entries.len();
        self.staged_bytes += size;
        let (place, seq) = (self.log.next_place(), self.staged.first_seq);
        let mut committed = Vec::with_capacity(drafts.len());
        let drafts = drafts.into_iter().zip(seeds).zip(entries);
        for (at, ((Draft { entry, .. }, seed), sealed)) in (first..).zip(drafts) {
            let (index, leaf) = grow_entry(&mut self.forest, &sealed, seq, place, at)?;
            let (tree, pc) = (sealed.tree, sealed.pc);
            self.destruction.uses(&sealed, place);
            self.destruction.order(&destroys(&entry)?);
            committed.push(Committed { tree, index, leaf, pc, seed, entry });
            self.staged.entries.push(sealed);
        }
        Ok(committed)
    }

    /// Number and id of a tree that may be opened with the entries that are staged next.
    ///
    /// # Errors
    /// `input.too_large` when there are [`MAX_TREES`].
    pub fn new_tree(&self) -> Result<Opens, Problem> {
        let opens = Opens { tree: self.forest.next_tree(), id: random_array()? };
        if opens.tree > MAX_TREES {
            let why = format!("the log has {MAX_TREES} trees, and more are not possible");
            return Err(Problem::new(codes::INPUT_TOO_LARGE, why));
        }
        Ok(opens)
    }

    /// Opens a successor of the log after these ones, the newest last, with these entries, in one
    /// frame, which is durable when this returns.
    ///
    /// # Errors
    /// `internal` when something is staged or no log is named; as [`stage`](Self::stage) and
    /// [`commit`](Self::commit).
    pub fn succeed(
        &mut self,
        predecessors: Vec<Predecessor>,
        drafts: Vec<Draft>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        self.log.check()?;
        self.between_ticks()?;
        if self.has_staged() || predecessors.is_empty() {
            return Err(internal("a successor comes after a log, and in a frame of its own"));
        }
        self.begin_frame();
        let successor = Successor { log: random_array()?, predecessors };
        self.forest.succeed(successor.clone())?;
        self.staged.successor = Some(successor);
        self.stage(drafts)?;
        self.commit(None, now).map(|_| ())
    }

    /// Closes the log as it stands, which goes on with the next frame.
    ///
    /// # Errors
    /// `store.stopped`; `store.io`, and what is in the log stands.
    pub fn close(&mut self) -> Result<(), Problem> {
        self.log.close()
    }

    /// Stops the log: what is staged is never made durable.
    pub fn stop(&mut self) {
        self.log.stop();
    }

    /// Whether the log goes on; an error once it has stopped.
    ///
    /// # Errors
    /// `store.stopped`.
    pub fn check(&self) -> Result<(), Problem> {
        self.log.check()
    }

    /// Whether anything waits to be made durable.
    #[must_use]
    pub fn has_staged(&self) -> bool {
        let staged = &self.staged;
        !staged.entries.is_empty() || !staged.opens.is_empty() || staged.successor.is_some()
    }

    /// Whether so much waits to be made durable that no other turn may be added: entries of
    /// [`FRAME_BYTES`] or more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.staged_bytes >= FRAME_BYTES
    }

    /// Makes what was staged durable as one frame, with an anchor leaf when a time for it is given,
    /// and gives the number of that tick. Keys that its entries destroy are destroyed then. When it
    /// fails, memory is ahead of the disk: the log has stopped and nothing may be shown any more.
    ///
    /// # Errors
    /// `store.io` and from then on `store.stopped`.
    pub fn commit(
        &mut self,
        tick: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<u64>, Problem> {
        let Some(tick) = self.commit_frame(tick, now)? else { return Ok(None) };
        let slots = self.forest.next_slots();
        self.finish_tick(tick, slots).map(Some)
    }

    /// The same without the anchor leaf, which the frame says when to make: the tick is to be
    /// [finished](Self::finish_tick) before anything else is staged. Until then what is durable
    /// may be read, and is under no tick yet.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_frame(
        &mut self,
        tick: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Tick>, Problem> {
        self.between_ticks()?;
        self.begin_frame();
        let mut frame = std::mem::take(&mut self.staged);
        self.staged_bytes = 0;
        frame.time = now.micros();
        frame.tick = tick.map(|time| Tick {
            number: self.forest.ticks(),
            time: u64::try_from(time.micros()).unwrap_or(0),
        });
        self.keys.flush().inspect_err(|_| self.log.stop())?;
        self.log.append(&frame)?;
        self.finish_destruction().inspect_err(|_| self.log.stop())?;
        self.ticking = frame.tick;
        Ok(frame.tick)
    }

    /// Nothing may come between a frame and its tick.
    fn between_ticks(&self) -> Result<(), Problem> {
        match self.ticking {
            None => Ok(()),
            Some(_) => Err(internal("the tick of the last frame has to be made first")),
        }
    }

    /// Makes the anchor leaf of the frame that was committed last, from the [tree over all
    /// slots](Forest::next_slots) as it has been since then, and gives the number of the tick.
    ///
    /// # Errors
    /// `internal` when it is not the tick of that frame; the log has stopped then.
    pub fn finish_tick(&mut self, tick: Tick, slots: Tree) -> Result<u64, Problem> {
        let made = match self.ticking.take() == Some(tick) {
            true => self.forest.tick_with(tick, slots),
            false => Err(internal("no frame says this tick")),
        };
        made.inspect_err(|_| self.log.stop()).map(|()| tick.number)
    }

    /// The head of the frame under way: the state of all trees is taken before the first of them
    /// grows.
    fn begin_frame(&mut self) {
        if !self.has_staged() {
            self.staged.first_seq = self.log.next_seq();
            self.staged.state = self.log.wants_state().then(|| self.forest.state());
        }
    }

    /// Reads an entry of a tree back from the log.
    ///
    /// # Errors
    /// `twin.erased` when its key was destroyed; `store.damaged` when it is not there or not what
    /// was committed to; `store.io`.
    pub fn entry(&self, tree: TreeNo, index: u64) -> Result<Opened, Problem> {
        let (place, at) = self
            .forest
            .place(tree, index)
            .ok_or_else(|| inconsistent("an entry that should be there is not"))?;
        let frame = self.log.read(place)?;
        let sealed = usize::try_from(at)
            .ok()
            .and_then(|at| frame.entries.get(at))
            .ok_or_else(|| inconsistent("an entry is not where it was written"))?;
        let mut sealer = self.sealer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (seed, entry) =
            open_or_gone(&self.keys, &mut sealer, sealed)?.ok_or_else(|| erased(index))?;
        let leaf = self.forest.leaf(tree, index).unwrap_or_default();
        Ok(Opened { tree, index, leaf, pc: sealed.pc, seed, entry })
    }

    /// The log, to be looked at.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The trees and the anchor.
    #[must_use]
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The key under which idempotency keys are made.
    ///
    /// # Errors
    /// `store.foreign` when the keystore does not have it.
    pub fn idempotency_key(&self) -> Result<[u8; 32], Problem> {
        idempotency_key(&self.keys)
    }

    /// Closes segments at this size: for tests and small disks.
    pub fn close_segments_at(&mut self, bytes: u64) {
        self.log.close_segments_at(bytes);
    }

    /// Takes payloads out in place where their frames have at most so many bytes, else by a copy of
    /// the segment: for tests.
    pub fn redo_up_to(&mut self, bytes: usize) {
        self.log.redo_up_to(bytes);
    }

    /// Adds the items to the entry, if there are any, and seals it.
    fn seal_draft(
        &mut self,
        draft: &mut Draft,
        seed: &Seed,
        recent: &mut Option<Recent>,
    ) -> Result<SealedEntry, Problem> {
        let (subject, bucket) = self.key_numbers(draft, recent)?;
        destroy::check(&self.keys, &destroys(&draft.entry)?, (subject, bucket))?;
        if let Some(items) = &draft.items {
            let points = items.iter().map(|item| Point {
                time: &item.time,
                datatype: &item.datatype,
                lexical: &item.lexical,
            });
            let points = points_lexical(seed, points);
            draft.entry.what.push(Attribute::new("items", "points", points));
        }
        let groups = draft.entry.groups();
        let attributes = payload::attrs(&groups, &draft.entry.what);
        let plain = payload::encode(seed, &attributes);
        let pc = commitment(draft.tree, seed, &attributes, &plain)?;
        let keys = KeyPair {
            subject: (subject, key_ref(&self.keys, subject)?),
            bucket: (bucket, key_ref(&self.keys, u64::from(bucket))?),
            class: &draft.class,
            epoch: 0,
        };
        let sealer = self.sealer.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sealed =
            sealer.seal(keys, &pc, plain).ok_or_else(|| internal("a payload was not sealed"))?;
        Ok(SealedEntry { tree: draft.tree, subject, bucket, pc, sealed })
    }

    /// The numbers of the two keys of a draft, which are made when there are none yet.
    fn key_numbers(
        &mut self,
        draft: &Draft,
        recent: &mut Option<Recent>,
    ) -> Result<(u64, u32), Problem> {
        let same = |one: &Recent| {
            (&one.subject, &one.class, one.day) == (&draft.subject, &draft.class, draft.day)
        };
        if let Some(one) = recent.as_ref().filter(|one| same(one)) {
            return Ok(one.numbers);
        }
        let subject = draft.subject.meaning();
        let (class, day) = (draft.class.clone(), draft.day);
        let bucket = Meaning::Bucket { class: class.to_string(), day, epoch: 0 };
        let (number, bucket) = (self.keys.ensure(&subject)?, self.keys.ensure(&bucket)?);
        let numbers = (number, u32::try_from(bucket).map_err(|_| internal("too many keys"))?);
        *recent = Some(Recent { subject: draft.subject.clone(), class, day, numbers });
        Ok(numbers)
    }
}

/// The keys of the draft before: rows of one twin come together.
struct Recent {
    subject: Subject,
    class: SmolStr,
    day: i64,
    numbers: (u64, u32),
}

/// What a leaf commits to; for a local record, which is in no tree, the digest of its bytes.
fn commitment(
    tree: TreeNo,
    seed: &Seed,
    attributes: &[Attr<'_>],
    plain: &[u8],
) -> Result<Digest, Problem> {
    if tree == LOCAL {
        return Ok(sha256(plain));
    }
    payload_commitment(seed, attributes).ok_or_else(|| {
        Problem::new(
            codes::INPUT_TOO_LARGE,
            format!("an entry of {} attributes is beyond the bound of 32", attributes.len()),
        )
    })
}

/// Puts a frame that was read into the forest, the way it grew when it was made.
fn grow(forest: &mut Forest, frame: &Frame, place: Place) -> Result<Vec<(u64, Digest)>, Problem> {
    if frame.state.as_ref().is_some_and(|state| *state != forest.state()) {
        return Err(inconsistent("a segment begins with another state than the one before ended"));
    }
    if let Some(successor) = &frame.successor {
        forest.succeed(successor.clone())?;
    }
    for opens in &frame.opens {
        forest.open(*opens)?;
    }
    let mut placed = Vec::with_capacity(frame.entries.len());
    for (at, entry) in frame.entries.iter().enumerate() {
        placed.push(grow_entry(forest, entry, frame.first_seq, place, at)?);
    }
    frame.tick.map_or(Ok(()), |tick| forest.tick(tick))?;
    Ok(placed)
}

/// Index and leaf of the entry at position `at` of its frame.
fn grow_entry(
    forest: &mut Forest,
    entry: &SealedEntry,
    first_seq: u64,
    place: Place,
    at: usize,
) -> Result<(u64, Digest), Problem> {
    if entry.tree == LOCAL {
        return Ok((first_seq + at as u64, entry.pc));
    }
    forest.append(entry.tree, &entry.pc, (place, u32::try_from(at).unwrap_or(u32::MAX)))
}

const NEEDS_A_KEY: &str = "the log needs a key that the keystore does not have";

/// The keys that an entry destroys.
fn destroys(entry: &Entry) -> Result<Vec<u64>, Problem> {
    destroyed_by(entry).ok_or_else(|| inconsistent("an entry destroys what is no key"))
}

/// The entry was destroyed with its key.
fn erased(index: u64) -> Problem {
    Problem::new(codes::TWIN_ERASED, format!("entry {index} was destroyed with its key"))
}

/// The entry; `None` when one of its keys is not there. Whether it may be missing is known when the
/// whole log was read.
fn open_or_gone(
    keys: &Keystore,
    sealer: &mut Sealer,
    sealed: &SealedEntry,
) -> Result<Option<(Seed, Entry)>, Problem> {
    if !destroy::opens(keys, sealed) {
        return Ok(None);
    }
    open_entry(keys, sealer, sealed).map(Some)
}

fn open_entry(
    keys: &Keystore,
    sealer: &mut Sealer,
    sealed: &SealedEntry,
) -> Result<(Seed, Entry), Problem> {
    let bucket = keys.get(u64::from(sealed.bucket));
    let (Some((subject, _)), Some((bucket, meaning))) = (keys.get(sealed.subject), bucket) else {
        return Err(foreign(NEEDS_A_KEY));
    };
    let Meaning::Bucket { class, epoch, .. } = meaning else {
        return Err(inconsistent("an entry's bucket key is no bucket key"));
    };
    let pair = KeyPair {
        subject: (sealed.subject, subject),
        bucket: (sealed.bucket, bucket),
        class,
        epoch: *epoch,
    };
    let plain = sealer
        .open(pair, &sealed.pc, &sealed.sealed)
        .ok_or_else(|| foreign("an entry does not open under its keys"))?;
    let (seed, attributes) =
        payload::decode(&plain).ok_or_else(|| inconsistent("an entry is not of its form"))?;
    if commitment(sealed.tree, &seed, &attributes, &plain)? != sealed.pc {
        return Err(inconsistent("an entry does not open its commitment"));
    }
    let texts = attributes.iter().map(|a| [a.path, a.datatype, a.lexical]);
    Ok((seed, Entry::from_attributes(texts)?))
}

fn idempotency_key(keys: &Keystore) -> Result<[u8; 32], Problem> {
    keys.find(&Meaning::Node(IDEMPOTENCY_KEY.to_owned()))
        .and_then(|number| keys.get(number))
        .map(|(key, _)| *key)
        .ok_or_else(|| foreign("the keystore has no idempotency key"))
}

fn key_ref(keys: &Keystore, number: u64) -> Result<&[u8; 32], Problem> {
    keys.get(number).map(|(key, _)| key).ok_or_else(|| internal("a key that was made is gone"))
}

fn key_bytes(keys: &Keystore, number: u64) -> Result<[u8; 32], Problem> {
    key_ref(keys, number).copied()
}

fn random_array<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0u8; N];
    if random(&mut bytes) { Ok(bytes) } else { Err(internal("no randomness")) }
}

/// So many seeds, asked for at once: one by one they cost more than what they are for.
fn random_seeds(count: usize) -> Result<Vec<Seed>, Problem> {
    let mut seeds = vec![[0; 32]; count];
    if random(seeds.as_flattened_mut()) { Ok(seeds) } else { Err(internal("no randomness")) }
}

fn internal(why: &str) -> Problem {
    Problem::new(codes::INTERNAL, why)
}

fn foreign(why: &str) -> Problem {
    Problem::new(codes::STORE_FOREIGN, why)
        .hint("restore log/ and keys/ together, from the same moment")
}

#[cfg(test)]
mod tests;
