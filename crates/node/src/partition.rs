//! The one writer: a thread that owns the log and takes turns.
//!
//! Turns that wait at the same moment share a frame and its one `fdatasync`; nobody is answered,
//! and nobody can read, before it is durable. Its tick is made beside those who read, so that for a
//! moment there is what is durable and under no tick; who wants a proof is answered after it. A
//! turn decides on the state that the turns before it left. At most one tick per [`TICK_GAP`] while
//! somebody waits for a proof, else one a second if anything changed, none when idle.

use crate::clock::Clocks;
use crate::fold::Fold;
use crate::metrics::Histogram;
use crate::moves::{Moves, Waiters, moved_by};
use crate::trace::{self, Here, News, Step};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{oneshot, watch};
use twinpact_model::entry::{Entry, Kind};
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_proof::anchor::TreeId;
use twinpact_store::forest::{EVENTS, TreeNo};
use twinpact_store::frame::Tick;
use twinpact_store::{Committed, Draft, ItemPoint, Opens, Store, Subject};

/// The least time between two ticks while somebody waits for a proof: who comes alone has its tick
/// at once, and those who come together share one.
pub const TICK_GAP: Duration = Duration::from_millis(5);
/// The longest that they wait where a tick costs much, with many ledgers on a slow machine.
pub const SLOW_TICK_GAP: Duration = Duration::from_millis(50);
/// How many times as long as a tick takes the gap is, so that ticks never fill the writer.
const REST_PER_TICK: u32 = 8;
/// The time between ticks when nobody waits.
pub const IDLE_TICK: Duration = Duration::from_secs(1);
/// How long the next frame waits for each that is at work beyond the first few, so that those who
/// come at a time share frames: each costs a sync and wakes everybody. Who comes alone never waits.
const GAP_PER_WORK: Duration = Duration::from_micros(100);
/// How many at work make no frame wait: one exchange has a caller, a message on its way out and one
/// on its way in.
const FEW_AT_WORK: usize = 4;
/// The longest that a frame waits.
const LONGEST_GAP: Duration = Duration::from_millis(2);
/// How long a turn waits that nobody waits for, when no other brings it into a frame.
pub const SOON: Duration = Duration::from_millis(10);
/// The shortest time that the writer rests.
const SHORTEST_REST: Duration = Duration::from_micros(100);
/// How many frames a reader lets pass that finds each of them under way.
const MAX_MISSED: usize = 8;
/// The most turns that share a frame.
const MAX_TURNS: usize = 256;
/// The retention class of what is about no twin.
pub const CONTROL_CLASS: &str = "control";

/// An entry that a turn wants logged. `recorded` is filled in.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// The tree.
    pub tree: TreeNo,
    /// What happened.
    pub entry: Entry,
    /// The delivered items, for a ledger.
    pub items: Option<Vec<ItemPoint>>,
}

impl NewEntry {
    /// An entry of the tree of events.
    #[must_use]
    pub fn event(entry: Entry) -> NewEntry {
        NewEntry { tree: EVENTS, entry, items: None }
    }

    /// An entry of another tree, or a local record.
    #[must_use]
    pub fn of(tree: TreeNo, entry: Entry) -> NewEntry {
        NewEntry { tree, entry, items: None }
    }
}

struct Shared {
    store: Store,
    fold: Fold,
    /// The largest `recorded` so far: the hybrid clock rises strictly.
    recorded: i64,
    /// What is told once the frame under way is durable.
    news: Vec<News>,
    /// The processes that have moved, whose waiters are woken when that is durable.
    moved: Vec<String>,
}

impl Shared {
    fn new(store: Store, fold: Fold) -> Shared {
        let recorded = fold.last_recorded();
        Shared { store, fold, recorded, news: Vec::new(), moved: Vec::new() }
    }
}

/// One turn of the writer. It reads the state, decides, and logs at most once.
pub struct Turn<'a> {
    shared: &'a mut Shared,
    clocks: &'a Clocks,
    opens: Option<Opens>,
}

impl<'a> Turn<'a> {
    /// A turn, unless the node is behind its own anchor.
    fn begin(shared: &'a mut Shared, clocks: &'a Clocks) -> Result<Turn<'a>, Problem> {
        shared.fold.behind.check(shared.store.forest())?;
        Ok(Turn { shared, clocks, opens: None })
    }

    /// The state as the turns before left it.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.shared.fold
    }

    /// The log and its trees.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Opens a new tree, one a turn, together with what the turn logs: both or neither.
    ///
    /// # Errors
    /// `input.too_large` when there are too many trees.
    pub fn open_tree(&mut self) -> Result<(TreeNo, TreeId), Problem> {
        let opens = match self.opens {
            Some(opens) => opens,
            None => self.shared.store.new_tree()?,
        };
        self.opens = Some(opens);
        Ok((opens.tree, opens.id))
    }

    /// Logs these entries, all or none, and takes them into the state. It ends the turn, so that a
    /// refusal after something was logged cannot be written.
    ///
    /// # Errors
    /// `input.too_large`, `store.stopped`; nothing has changed.
    pub fn log(self, entries: Vec<NewEntry>) -> Result<Vec<Committed>, Problem> {
        let day = self.clocks.policy().0.day();
        let wall = self.clocks.wall().0.micros();
        let mut recorded = self.shared.recorded;
        let drafts = entries
            .into_iter()
            .map(|new| {
                recorded = wall.max(recorded + 1);
                draft(new, Timestamp::from_micros(recorded), day)
            })
            .collect();
        let logging = trace::step(Step::Log);
        let committed = self.shared.store.stage_opening(self.opens, drafts)?;
        drop(logging);
        self.shared.recorded = recorded;
        let applying = trace::step(Step::Apply);
        for one in &committed {
            // What cannot be folded could not be read again: it must never become durable.
            self.shared.fold.apply(one).inspect_err(|_| self.shared.store.stop())?;
        }
        drop(applying);
        self.shared.news.extend(News::of(&committed));
        self.shared.moved.extend(committed.iter().filter_map(moved_by));
        Ok(committed)
    }
}

/// An entry as the store takes it, with when it was recorded and the day of the policy clock.
pub(crate) fn draft(new: NewEntry, recorded: Timestamp, day: i64) -> Draft {
    let mut entry = new.entry;
    entry.when.recorded = recorded;
    let subject = match entry.who.twin.as_str() {
        "" => Subject::Node,
        // A partner's twin, which may bear the name of one of ours.
        twin if entry.who.kind == Kind::Copy => {
            Subject::Copied { from: entry.who.actor.clone(), twin: twin.into() }
        }
        twin => Subject::Twin(twin.into()),
    };
    let class = match entry.why.class.as_str() {
        "" => CONTROL_CLASS.to_owned(),
        class => class.to_owned(),
    };
    Draft { tree: new.tree, subject, class: class.into(), day, entry, items: new.items }
}

type Answer = Box<dyn FnOnce(Result<Option<u64>, Problem>) + Send>;
/// It is given why no turn may be taken, if so.
type Job = Box<dyn FnOnce(Result<Turn<'_>, Problem>) -> Answer + Send>;

enum Message {
    Job { job: Job, when: When },
    Stop,
}

/// When a turn is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// In the next frame.
    Now,
    /// With the next frame that is made for another one, or after [`SOON`].
    Soon,
    /// In the frame of the next tick.
    Proven,
}

/// A handle on the writer; clones share it.
#[derive(Clone)]
pub struct Partition {
    shared: Arc<RwLock<Result<Shared, Problem>>>,
    sender: Sender<Message>,
    changes: watch::Receiver<u64>,
    /// Whether a frame is under way.
    framing: watch::Receiver<bool>,
    syncs: Arc<Histogram>,
    at_work: Arc<AtomicUsize>,
    waiters: Arc<Waiters>,
}

/// Somebody who will want turns, from when it is taken until it is dropped.
pub struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Partition {
    /// Starts the writer over an open store and the state folded from it. The thread ends after
    /// [`stop`](Self::stop).
    #[must_use]
    pub fn start(store: Store, fold: Fold, clocks: Clocks) -> (Partition, JoinHandle<()>) {
        let shared = Arc::new(RwLock::new(Ok(Shared::new(store, fold))));
        let (sender, receiver) = channel();
        let (changed, changes) = watch::channel(0);
        let (under_way, framing) = watch::channel(false);
        let syncs = Arc::<Histogram>::default();
        let at_work = Arc::<AtomicUsize>::default();
        let waiters = Arc::<Waiters>::default();
        let mut writer = Writer {
            shared: shared.clone(),
            clocks,
            ready: VecDeque::new(),
            due: None,
            not_before: Instant::now(),
            waiting: VecDeque::new(),
            last_tick: Instant::now(),
            gap: TICK_GAP,
            changed,
            under_way,
            syncs: Arc::clone(&syncs),
            at_work: Arc::clone(&at_work),
            waiters: Arc::clone(&waiters),
        };
        let thread = std::thread::spawn(move || writer.run(&receiver));
        (Partition { shared, sender, changes, framing, syncs, at_work, waiters }, thread)
    }

    /// A state and its log that are only read: every turn is refused.
    #[must_use]
    pub fn still(store: Store, fold: Fold) -> Partition {
        let shared = Arc::new(RwLock::new(Ok(Shared::new(store, fold))));
        // Nobody receives and nobody reports a change.
        let ((sender, _), (_, changes), (_, framing)) =
            (channel(), watch::channel(0), watch::channel(false));
        let (syncs, at_work, waiters) = (Arc::default(), Arc::default(), Arc::default());
        Partition { shared, sender, changes, framing, syncs, at_work, waiters }
    }

    /// Reads the state and the log.
    ///
    /// # Errors
    /// `store.stopped` after a failed write or a turn that panicked.
    pub fn read<T>(&self, look: impl FnOnce(&Fold, &Store) -> T) -> Result<T, Problem> {
        let _alone = Reading::begin();
        let shared = self.looked_at();
        match shared.as_ref() {
            Ok(shared) => Ok(look(&shared.fold, &shared.store)),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// The state, after the frame under way: what is not durable is seen by nobody. A worker of the
    /// async runtime that waits for it hands its other work on.
    fn looked_at(&self) -> RwLockReadGuard<'_, Result<Shared, Problem>> {
        if let Ok(guard) = self.shared.try_read() {
            return guard;
        }
        let wait = || self.shared.read().unwrap_or_else(PoisonError::into_inner);
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    /// Reads the state and the log when no frame is under way, or after some: it holds up no worker
    /// of the async runtime, which would need another one in its place. Whoever reads for each
    /// request or each frame reads like this.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_between<T>(
        &self,
        look: impl FnOnce(&Fold, &Store) -> T,
    ) -> Result<T, Problem> {
        let mut framing = self.framing.clone();
        for _ in 0..MAX_MISSED {
            if let Ok(shared) = self.shared.try_read() {
                let _alone = Reading::begin();
                let shared = shared.as_ref().map_err(Problem::clone)?;
                return Ok(look(&shared.fold, &shared.store));
            }
            if framing.wait_for(|under_way| !under_way).await.is_err() {
                break;
            }
        }
        // The writer is gone, or makes one frame after the other.
        self.read(look)
    }

    /// Waits for the end of the frame that is under way, so that a [`read`](Self::read) right after
    /// it most likely holds up no worker. Whoever reads for each request or each frame waits here
    /// first, when it reads more than once or not at once.
    pub async fn between_frames(&self) {
        let mut framing = self.framing.clone();
        if *framing.borrow_and_update() {
            // Its end, also when another one has begun since. The writer is gone when it fails.
            let _ = framing.changed().await;
        }
    }

    /// Takes a turn and returns when what it logged is durable.
    ///
    /// # Errors
    /// What the turn refuses; `store.io` when the disk does and `store.stopped` from then on, or
    /// when a turn of the same round panicked. What the turn logged is then wholly there at the
    /// next start, or not at all.
    pub async fn turn<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Turn<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.send(decide, When::Now).await.map(|(value, _)| value)
    }

    /// The same for what nobody waits for and what is done again when it is lost: it shares the
    /// frame of the next turn, and has one of its own only when there is none for [`SOON`]. Turns
    /// keep their order.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub async fn turn_soon<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Turn<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.send(decide, When::Soon).await.map(|(value, _)| value)
    }

    /// Logs these entries without waiting for it; a log that takes nothing any more takes none.
    pub fn leave(&self, entries: Vec<NewEntry>) {
        let job: Job = Box::new(move |turn| {
            // Who left them is gone: nobody could be told that they were refused.
            let _ = turn.and_then(|turn| turn.log(entries));
            Box::new(|_| ())
        });
        let _ = self.sender.send(Message::Job { job, when: When::Now });
    }

    /// The same, and what it logged is under the tick that is returned.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub async fn turn_and_prove<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Turn<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(T, u64), Problem> {
        let (value, tick) = self.send(decide, When::Proven).await?;
        let tick = tick.ok_or_else(|| Problem::new(codes::INTERNAL, "no tick was made"))?;
        Ok((value, tick))
    }

    async fn send<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Turn<'_>) -> Result<T, Problem> + Send + 'static,
        when: When,
    ) -> Result<(T, Option<u64>), Problem> {
        let ((answer, answered), here) = (oneshot::channel(), Here::now());
        let job: Job = Box::new(move |turn| {
            let decided = here.within(|| turn.and_then(decide));
            Box::new(move |durable| {
                // Nobody may be waiting any more: what was decided stands all the same.
                let _ = answer.send(decided.and_then(|value| durable.map(|tick| (value, tick))));
            })
        });
        self.sender.send(Message::Job { job, when }).map_err(|_| self.gone())?;
        answered.await.map_err(|_| self.gone())?
    }

    /// Why a turn was not taken: the log has stopped, or the node is stopping.
    fn gone(&self) -> Problem {
        let stopping = || Problem::new(codes::STORE_STOPPED, "the node is stopping");
        self.read(|_, _| ()).err().unwrap_or_else(stopping)
    }

    /// Counts whoever takes this as one that will want turns, for as long as it is held: where
    /// there are many, they share frames.
    #[must_use]
    pub fn at_work(&self) -> AtWork {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.at_work))
    }

    /// Counts durable frames and ticks; it changes whenever there is something new to read.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// What becomes of one process of ours from now on: who waits for that is not woken by what is
    /// new elsewhere.
    pub(crate) fn moves(&self, pid: &str) -> Moves {
        self.waiters.of(pid)
    }

    /// How long the `fdatasync` of each frame took since the start.
    #[must_use]
    pub fn syncs(&self) -> &Histogram {
        &self.syncs
    }

    /// Lets the writer finish what waits and end.
    pub fn stop(&self) {
        // It has ended already when nobody receives.
        let _ = self.sender.send(Message::Stop);
    }
}

thread_local! {
    /// Whether this thread is inside of [`Partition::read`].
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// A read within a read on one thread waits for a writer that waits for the outer one, on the day
/// that one comes in between: it is a bug that tests must not have to be lucky to see.
struct Reading;

impl Reading {
    fn begin() -> Reading {
        let nested = READS.replace(true);
        debug_assert!(!nested, "the state is read while it is read");
        Reading
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READS.set(false);
    }
}

/// The state, or why there is none any more.
type Held = Result<Shared, Problem>;
type Reads<'a> = RwLockReadGuard<'a, Held>;

/// What a round of turns has made.
struct Made {
    /// To those who want no proof.
    answers: Vec<Answer>,
    /// To those who want one.
    proven: Vec<Answer>,
    /// Whether there is something new to read.
    woken: bool,
    /// The processes that have moved.
    moved: Vec<String>,
    /// The tick that is to be made.
    durable: Result<Option<Tick>, Problem>,
    /// What came too late to be run: whoever waits for it learns why.
    left: VecDeque<Job>,
}

struct Writer {
    shared: Arc<RwLock<Held>>,
    clocks: Clocks,
    /// Turns for the next frame, in the order in which they came.
    ready: VecDeque<Job>,
    /// By when they want it; `None` when there are none.
    due: Option<Instant>,
    /// When the next frame may be made.
    not_before: Instant,
    /// Turns that want a proof and wait for the next tick to be due.
    waiting: VecDeque<Job>,
    last_tick: Instant,
    /// The least time between two ticks now.
    gap: Duration,
    /// Counts durable frames and ticks: whoever waits for a change is woken by it.
    changed: watch::Sender<u64>,
    under_way: watch::Sender<bool>,
    syncs: Arc<Histogram>,
    at_work: Arc<AtomicUsize>,
    waiters: Arc<Waiters>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.waiters.end();
    }
}

impl Writer {
    fn run(&mut self, receiver: &Receiver<Message>) {
        loop {
            if let Some(gap) = self.gap_left() {
                // Whoever comes now would only wake the thread.
                std::thread::sleep(gap);
            }
            let first = match receiver.recv_timeout(self.patience()) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Message::Stop),
            };
            let mut stop = false;
            let more = std::iter::from_fn(|| receiver.try_recv().ok()).take(MAX_TURNS);
            for message in first.into_iter().chain(more) {
                match message {
                    Message::Job { job, when } => self.take(job, when),
                    Message::Stop => stop = true,
                }
            }
            self.frames(stop);
            if stop {
                self.close();
                return;
            }
        }
    }

    /// Leaves the log as it is to be found; what cannot be done now is done by the next start.
    fn close(&self) {
        let mut state = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(shared) = state.as_mut() {
            let _ = shared.store.close();
        }
    }

    fn take(&mut self, job: Job, when: When) {
        let by = match when {
            When::Now => self.not_before,
            When::Soon => Instant::now() + SOON,
            When::Proven => return self.waiting.push_back(job),
        };
        self.ready.push_back(job);
        self.due = Some(self.due.map_or(by, |due| due.min(by)));
    }

    fn frame_gap(&self) -> Duration {
        let many = self.at_work.load(Ordering::Relaxed).saturating_sub(FEW_AT_WORK);
        GAP_PER_WORK.saturating_mul(u32::try_from(many).unwrap_or(u32::MAX)).min(LONGEST_GAP)
    }

    /// How long no frame may be made yet, while turns wait for the next one.
    fn gap_left(&self) -> Option<Duration> {
        // A tick may be due before.
        if !self.waiting.is_empty() {
            return None;
        }
        let due = self.due.filter(|due| *due <= self.not_before)?;
        Some(due.saturating_duration_since(Instant::now())).filter(|gap| !gap.is_zero())
    }

    /// How long to wait for the next turn: until a frame or the next tick is due.
    fn patience(&self) -> Duration {
        let gap = if self.waiting.is_empty() { IDLE_TICK } else { self.gap };
        let tick = gap.saturating_sub(self.last_tick.elapsed());
        let frame = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        frame.map_or(tick, |frame| frame.min(tick)).max(SHORTEST_REST)
    }

    /// Runs the turns that are due and answers them when they are durable; those that want a proof
    /// when they are under a tick.
    fn frames(&mut self, stop: bool) {
        let proving = stop || self.last_tick.elapsed() >= self.gap;
        let waiting = if proving { std::mem::take(&mut self.waiting) } else { VecDeque::new() };
        let wanted = !waiting.is_empty();
        let idle_due = stop || self.last_tick.elapsed() >= IDLE_TICK;
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if !(is_due || wanted || idle_due) {
            return;
        }
        let shared = self.shared.clone();
        self.under_way.send_replace(true);
        let mut guard = shared.write().unwrap_or_else(PoisonError::into_inner);
        let made = self.round(&mut guard, waiting, wanted || idle_due);
        self.not_before = Instant::now() + self.frame_gap();
        // The state is free to be read before anybody is woken to read it, and while the tick is
        // made, which takes long where there are many trees.
        let guard = RwLockWriteGuard::downgrade(guard);
        self.under_way.send_replace(false);
        drop(made.left);
        let durable = made.durable.as_ref().map(|_| None).map_err(Problem::clone);
        made.answers.into_iter().for_each(|answer| answer(durable.clone()));
        self.waiters.tell(made.moved.into_iter());
        // Everybody is woken once a round, and before a tick only by one that takes its time.
        if made.woken && (!matches!(made.durable, Ok(Some(_))) || self.gap > TICK_GAP) {
            self.changed.send_modify(|changes| *changes += 1);
        }
        let ticks = guard.as_ref().map(|state| state.store.forest().ticks());
        let proven = match made.durable {
            Ok(Some(tick)) => self.make_tick(guard, tick).map(Some),
            Ok(None) => Ok(ticks.ok().and_then(|ticks| ticks.checked_sub(1))),
            Err(problem) => Err(problem),
        };
        made.proven.into_iter().for_each(|answer| answer(proven.clone()));
    }

    /// Runs the turns in as few frames as their size allows; the tick that the last of these says
    /// is still to be made.
    fn round(&mut self, state: &mut Held, waiting: VecDeque<Job>, ticks: bool) -> Made {
        self.due = None;
        let mut jobs = std::mem::take(&mut self.ready);
        let plain = jobs.len();
        jobs.extend(waiting);
        let mut answers: Vec<Answer> = Vec::new();
        let (mut woken, mut moved, mut durable) = (false, Vec::new(), Ok(None));
        // Once it has stopped, the turns that are left are told so, and none is run.
        while let Ok(shared) = state.as_mut() {
            while !shared.store.is_full()
                && let Some(job) = jobs.pop_front()
            {
                let turn = Turn::begin(shared, &self.clocks);
                match catch_unwind(AssertUnwindSafe(|| job(turn))) {
                    Ok(answer) => answers.push(answer),
                    // A bug. What it left in memory is unknown, so nothing of it becomes durable.
                    Err(_) => shared.store.stop(),
                }
            }
            let last = jobs.is_empty();
            woken |= shared.store.has_staged();
            let signing = shared.fold.behind.check(shared.store.forest());
            let tick = last && ticks && signing.is_ok() && shared.store.forest().changed();
            durable = self.make_durable(shared, tick);
            moved.append(&mut shared.moved);
            if durable.is_err() {
                // Memory is ahead of the disk: nobody may read it any more.
                shared.store.stop();
            }
            // Whoever shared the frame of what stops the node is told so: nothing is proven for it.
            durable = durable.and_then(|tick| signing.map(|()| tick));
            self.stop_reading(state);
            if last {
                break;
            }
        }
        let proven = answers.split_off(plain.min(answers.len()));
        Made { answers, proven, woken, moved, durable, left: jobs }
    }

    fn make_durable(&mut self, state: &mut Shared, tick: bool) -> Result<Option<Tick>, Problem> {
        state.store.check()?;
        let (now, mut made) = (self.clocks.wall().0, None);
        if tick || state.store.has_staged() {
            made = state.store.commit_frame(tick.then_some(now), now)?;
            let sync = state.store.log().last_sync();
            self.syncs.observe(sync);
            trace::frame(sync, made.map(|tick| tick.number));
            state.news.drain(..).for_each(|news| news.tell());
        }
        // When nothing has changed the next look is as far away as after a tick.
        if tick || self.last_tick.elapsed() >= IDLE_TICK {
            self.last_tick = Instant::now();
        }
        Ok(made)
    }

    /// Makes the tick that the last frame says, beside those who read, and gives its number.
    fn make_tick(&mut self, state: Reads<'_>, tick: Tick) -> Result<u64, Problem> {
        let begun = Instant::now();
        let slots = state.as_ref().map(|state| state.store.forest().next_slots());
        let slots = slots.map_err(Problem::clone);
        let took = begun.elapsed() * REST_PER_TICK;
        self.gap = took.clamp(TICK_GAP, SLOW_TICK_GAP);
        // Whoever reads for each request waits for the end, as for that of a frame.
        self.under_way.send_replace(true);
        drop(state);
        let shared = self.shared.clone();
        let mut state = shared.write().unwrap_or_else(PoisonError::into_inner);
        let made = match (state.as_mut(), slots) {
            (Ok(shared), Ok(slots)) => shared.store.finish_tick(tick, slots),
            (Err(stopped), _) => Err(stopped.clone()),
            (_, Err(stopped)) => Err(stopped),
        };
        self.stop_reading(&mut state);
        drop(state);
        self.under_way.send_replace(false);
        self.changed.send_modify(|changes| *changes += 1);
        made
    }

    /// When the log has stopped, memory may be ahead of it: nobody may read it any more.
    fn stop_reading(&self, state: &mut Held) {
        if let Ok(shared) = state
            && let Err(stopped) = shared.store.check()
        {
            trace::log_stopped(&stopped);
            *state = Err(stopped);
            self.waiters.tell_all();
        }
    }
}
