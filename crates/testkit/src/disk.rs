//! A disk in memory that behaves as badly as disks may.
//!
//! What a program sees and what would survive are two things here, for the bytes of each file and
//! for each entry of a directory. A write reaches the durable bytes when its file is synced, a name
//! when its directory is. When power goes, any of the changes since may have happened, in any
//! order, and a write may have been torn at any byte, or of its sectors of 512 bytes each is old,
//! new or garbage, also where the new bytes are the old ones. Bytes beside the write stay as they
//! are, those in its first and last sector too ("power-safe overwrite").
//! After a failed sync the kernel takes its pages for clean: they are read as written, no later
//! sync writes them, and what of them survives is left to chance.

use crate::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twinpact_store::vfs::{Vfs, VfsFile};

/// The unit in which a disk writes.
const SECTOR: usize = 512;

/// No space left on the device.
pub const ENOSPC: i32 = 28;
/// Input/output error.
pub const EIO: i32 = 5;
/// Read-only file system.
pub const EROFS: i32 = 30;

/// A kind of step that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Bytes of a file: appended, overwritten or cut off.
    Write,
    /// The sync of a file.
    Sync,
    /// A new file or directory, or a lock file that was not there.
    Create,
    /// A file that takes another name.
    Rename,
    /// A file that goes.
    Remove,
    /// The sync of a directory.
    SyncDir,
}

/// All of them.
pub const STEPS: [Step; 6] =
    [Step::Write, Step::Sync, Step::Create, Step::Rename, Step::Remove, Step::SyncDir];

/// A disk. Clones are the same one.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Dir,
    File(usize),
}

type Names = BTreeMap<PathBuf, Entry>;

/// The bytes of a file, under whatever names.
#[derive(Default)]
struct Content {
    /// As a program reads them.
    seen: Vec<u8>,
    /// As they survive.
    durable: Vec<u8>,
    /// What was done since the last sync.
    changes: Vec<Change>,
}

enum Change {
    Bytes { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A change of a directory that is not durable yet.
enum Move {
    Link(PathBuf, Entry),
    Rename(PathBuf, PathBuf, Entry),
    Unlink(PathBuf),
}

impl Move {
    fn directory(&self) -> Option<&Path> {
        match self {
            Move::Link(path, _) | Move::Rename(_, path, _) | Move::Unlink(path) => path.parent(),
        }
    }

    fn apply(self, names: &mut Names) {
        match self {
            Move::Link(path, entry) => drop(names.insert(path, entry)),
            Move::Unlink(path) => drop(names.remove(&path)),
            Move::Rename(from, to, entry) => {
                if names.get(&from) == Some(&entry) {
                    names.remove(&from);
                }
                names.insert(to, entry);
            }
        }
    }
}

/// Steps that fail.
#[derive(Clone, Copy)]
struct Fault {
    /// Of this kind; of any when `None`.
    step: Option<Step>,
    /// So many more succeed before.
    after: u64,
    errno: i32,
    /// Every one from then on, or one alone.
    lasting: bool,
}

struct State {
    dice: Dice,
    contents: Vec<Content>,
    seen: Names,
    durable: Names,
    moves: Vec<Move>,
    locks: BTreeSet<PathBuf>,
    /// Handles of an earlier one are dead.
    boot: u64,
    off: bool,
    steps: u64,
    cut_at: Option<u64>,
    fault: Option<Fault>,
    written: Vec<(PathBuf, Vec<u8>)>,
}

/// What becomes of a step.
enum Fate {
    Done,
    /// Power goes while it is under way.
    Cut,
    Failed(i32),
}

impl SimDisk {
    /// A disk on which only `root` and the directories above it are.
    #[must_use]
    pub fn new(seed: u64, root: &Path) -> SimDisk {
        let names: Names = root.ancestors().map(|dir| (dir.to_owned(), Entry::Dir)).collect();
        SimDisk(Arc::new(Mutex::new(State {
            dice: Dice::new(seed),
            contents: Vec::new(),
            seen: names.clone(),
            durable: names,
            moves: Vec::new(),
            locks: BTreeSet::new(),
            boot: 0,
            off: false,
            steps: 0,
            cut_at: None,
            fault: None,
            written: Vec::new(),
        })))
    }

    /// Power goes in the step after so many more.
    pub fn cut_after(&self, steps: u64) {
        let mut state = self.state();
        state.cut_at = Some(state.steps + steps + 1);
    }

    /// After `after` more steps of that kind (of any, when `None`) one fails with that error; every
    /// such step from then on, when it is lasting.
    pub fn fail(&self, step: Option<Step>, after: u64, errno: i32, lasting: bool) {
        self.state().fault = Some(Fault { step, after, errno, lasting });
    }

    /// The disk is good again. Neither a cut nor a failure is planned.
    pub fn mend(&self) {
        let mut state = self.state();
        (state.fault, state.cut_at) = (None, None);
    }

    /// Whether power has gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// How many steps there were.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Power goes, if it has not gone, and comes back: what was not durable is there or not, or in
    /// part. Nothing is planned any more.
    pub fn power_cycle(&self) {
        let mut state = self.state();
        let mut contents = std::mem::take(&mut state.contents);
        // A disk that lost nothing, or everything, is as likely as one in between.
        let mood = state.dice.below(4);
        for content in &mut contents {
            content.lose(&mut state.dice, mood);
        }
        state.contents = contents;
        for change in std::mem::take(&mut state.moves) {
            if survives(&mut state.dice, mood) {
                change.apply(&mut state.durable);
            }
        }
        let durable = state.durable.clone();
        let held =
            |path: &Path| path.ancestors().skip(1).all(|dir| durable.get(dir) == Some(&Entry::Dir));
        state.durable.retain(|path, _| held(path));
        state.seen = state.durable.clone();
        state.restart();
    }

    /// The program is killed and started again, and power stays: handles and locks are gone, and
    /// the kernel still has what was not durable.
    pub fn kill(&self) {
        self.state().restart();
    }

    /// Flips these bits of a byte of a file, in what is durable and in what is read.
    pub fn rot(&self, path: &Path, offset: usize, bits: u8) {
        let mut state = self.state();
        let Some(Entry::File(number)) = state.seen.get(path).copied() else { return };
        if let Some(content) = state.contents.get_mut(number) {
            for bytes in [&mut content.seen, &mut content.durable] {
                bytes.get_mut(offset).into_iter().for_each(|byte| *byte ^= bits);
            }
        }
    }

    /// Every file as a program sees it.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        let file = |(path, entry): (&PathBuf, &Entry)| match entry {
            Entry::File(number) => {
                state.contents.get(*number).map(|content| (path.clone(), content.seen.clone()))
            }
            Entry::Dir => None,
        };
        state.seen.iter().filter_map(file).collect()
    }

    /// Everything that was ever written to any file, also what was lost.
    #[must_use]
    pub fn written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.state().written.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a change that was not durable has happened all the same.
fn survives(dice: &mut Dice, mood: usize) -> bool {
    match mood {
        0 => false,
        1 => true,
        _ => dice.one_in(2),
    }
}

impl Content {
    /// Makes of the durable bytes what is there after power has gone.
    fn lose(&mut self, dice: &mut Dice, mood: usize) {
        self.settle(dice, mood);
        self.seen.clone_from(&self.durable);
    }

    /// Each change since the last sync becomes durable, or is lost, or is torn.
    fn settle(&mut self, dice: &mut Dice, mood: usize) {
        for change in std::mem::take(&mut self.changes) {
            match change {
                change if mood < 2 || dice.one_in(3) => {
                    if survives(dice, mood) {
                        change.apply(&mut self.durable);
                    }
                }
                Change::Length(length) => Change::Length(length).apply(&mut self.durable),
                Change::Bytes { at, bytes } => tear(dice, at, &bytes, &mut self.durable),
            }
        }
    }
}

/// How many bytes there are before the zeros with which they end: a log makes room with zeros, and
/// it is in its frames that something can be torn.
#[must_use]
pub(crate) fn before_room(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A write of which a front or some sectors have arrived, or sectors that were under way.
fn tear(dice: &mut Dice, at: usize, bytes: &[u8], durable: &mut Vec<u8>) {
    if dice.one_in(2) {
        let front = bytes.get(..dice.below(before_room(bytes) + 1)).unwrap_or_default();
        return put(durable, at, front);
    }
    let mut from = 0;
    while from < bytes.len() {
        // Up to where the next sector of the file begins.
        let to = (from + SECTOR - (at + from) % SECTOR).min(bytes.len());
        let sector = bytes.get(from..to).unwrap_or_default();
        match dice.below(3) {
            0 => {}
            1 => put(durable, at + from, sector),
            _ => put(durable, at + from, &garbage(dice, sector.len())),
        }
        from = to;
    }
}

fn garbage(dice: &mut Dice, length: usize) -> Vec<u8> {
    (0..length).filter_map(|_| u8::try_from(dice.below(256)).ok()).collect()
}

fn put(target: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = at + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target.iter_mut().skip(at).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
}

impl Change {
    fn apply(self, target: &mut Vec<u8>) {
        match self {
            Change::Bytes { at, bytes } => put(target, at, &bytes),
            Change::Length(length) => target.truncate(length),
        }
    }
}

impl State {
    fn restart(&mut self) {
        self.locks.clear();
        self.boot += 1;
        self.off = false;
        (self.fault, self.cut_at) = (None, None);
    }

    fn on(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn step(&mut self, step: Step) -> io::Result<Fate> {
        self.on()?;
        self.steps += 1;
        if self.cut_at == Some(self.steps) {
            self.off = true;
            return Ok(Fate::Cut);
        }
        let Some(fault) = &mut self.fault else { return Ok(Fate::Done) };
        if fault.step.is_some_and(|kind| kind != step) {
            return Ok(Fate::Done);
        }
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(Fate::Done);
        }
        let (errno, lasting) = (fault.errno, fault.lasting);
        if !lasting {
            self.fault = None;
        }
        Ok(Fate::Failed(errno))
    }

    /// A step on names: it has happened, though not durably, unless it failed.
    fn move_names(&mut self, step: Step, change: Move) -> io::Result<()> {
        let fate = self.step(step)?;
        if let Fate::Failed(errno) = fate {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let again = match &change {
            Move::Link(path, entry) => Move::Link(path.clone(), *entry),
            Move::Rename(from, to, entry) => Move::Rename(from.clone(), to.clone(), *entry),
            Move::Unlink(path) => Move::Unlink(path.clone()),
        };
        again.apply(&mut self.seen);
        self.moves.push(change);
        if matches!(fate, Fate::Cut) { self.on() } else { Ok(()) }
    }

    fn change(&mut self, number: usize, change: Change) -> io::Result<()> {
        let fate = self.step(Step::Write)?;
        let change = match (&fate, change) {
            (Fate::Failed(_), Change::Length(_)) => None,
            // A write that failed may have written a front.
            (Fate::Failed(_), Change::Bytes { at, bytes }) => {
                let front = self.dice.below(before_room(&bytes) + 1);
                Some(Change::Bytes { at, bytes: bytes.into_iter().take(front).collect() })
            }
            (_, change) => Some(change),
        };
        let content = self.content(number)?;
        if let Some(change) = change {
            match &change {
                Change::Bytes { at, bytes } => put(&mut content.seen, *at, bytes),
                Change::Length(length) => content.seen.truncate(*length),
            }
            content.changes.push(change);
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Cut => self.on(),
            Fate::Failed(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn content(&mut self, number: usize) -> io::Result<&mut Content> {
        self.contents.get_mut(number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.on()?;
        match self.seen.get(path) {
            Some(Entry::File(number)) => Ok(*number),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn new_name(&self, path: &Path) -> io::Result<()> {
        if self.seen.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match path.parent().and_then(|dir| self.seen.get(dir)) {
            Some(Entry::Dir) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.new_name(path)?;
        let number = self.contents.len();
        self.contents.push(Content::default());
        self.move_names(Step::Create, Move::Link(path.to_owned(), Entry::File(number)))?;
        Ok(number)
    }
}

impl Vfs for SimDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.new_name(path)?;
        state.move_names(Step::Create, Move::Link(path.to_owned(), Entry::Dir))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let number = self.state().create(path)?;
        Ok(self.handle(path, number))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let number = self.state().file(path)?;
        Ok(self.handle(path, number))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let number = state.file(path)?;
        state.content(number).map(|content| content.seen.clone())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let entry = Entry::File(state.file(from)?);
        state.move_names(Step::Rename, Move::Rename(from.to_owned(), to.to_owned(), entry))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.file(path)?;
        state.move_names(Step::Remove, Move::Unlink(path.to_owned()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.on()?;
        if state.seen.get(path) != Some(&Entry::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.seen.keys().filter(|name| name.parent() == Some(path));
        let names = inside.filter_map(|name| name.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.state();
        !state.off && state.seen.contains_key(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        match state.step(Step::SyncDir)? {
            // The names stay as they are: a journal that cannot be written takes no later sync.
            Fate::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
            Fate::Cut => return state.on(),
            Fate::Done => {}
        }
        let here = |change: &mut Move| change.directory() == Some(path);
        let synced: Vec<Move> = state.moves.extract_if(.., here).collect();
        synced.into_iter().for_each(|change| change.apply(&mut state.durable));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.state();
        state.on()?;
        if !state.seen.contains_key(path) {
            state.create(path)?;
        }
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { disk: self.clone(), path: path.to_owned(), boot: state.boot }))
    }
}

impl SimDisk {
    fn handle(&self, path: &Path, number: usize) -> Box<dyn VfsFile> {
        let boot = self.state().boot;
        Box::new(Handle { disk: self.clone(), path: path.to_owned(), number, boot })
    }
}

/// A lock, gone with the program that took it.
struct Lock {
    disk: SimDisk,
    path: PathBuf,
    boot: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}

/// An open file.
struct Handle {
    disk: SimDisk,
    path: PathBuf,
    number: usize,
    boot: u64,
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.boot != self.boot {
            return Err(io::Error::other("the handle is of a program that is gone"));
        }
        state.on()?;
        Ok(state)
    }
}

impl VfsFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        state.written.push((self.path.clone(), bytes.to_vec()));
        let at = state.content(self.number)?.seen.len();
        state.change(self.number, Change::Bytes { at, bytes: bytes.to_vec() })
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut state = self.state()?;
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let content = state.content(self.number)?;
        let part = content.seen.get(from..from.saturating_add(length));
        part.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut state = self.state()?;
        state.written.push((self.path.clone(), bytes.to_vec()));
        state.change(self.number, Change::Bytes { at, bytes: bytes.to_vec() })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.state()?.change(self.number, Change::Length(length))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        match state.step(Step::Sync)? {
            Fate::Done => {
                let content = state.content(self.number)?;
                std::mem::take(&mut content.changes)
                    .into_iter()
                    .for_each(|change| change.apply(&mut content.durable));
                Ok(())
            }
            Fate::Cut => state.on(),
            Fate::Failed(errno) => {
                let mut content = std::mem::take(state.content(self.number)?);
                let mood = state.dice.below(4);
                content.settle(&mut state.dice, mood);
                *state.content(self.number)? = content;
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        let length = state.content(self.number)?.seen.len();
        u64::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge.into())
    }
}

#[cfg(test)]
mod tests;
