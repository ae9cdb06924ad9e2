//! Who waits for what becomes of one process: a command that has sent a message and is answered by
//! what the other side does. Each is woken by its own process alone, so that many at a time do not
//! wake each other with every frame.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use twinpact_model::entry::Kind;
use twinpact_store::Committed;

/// The processes that are waited for, by our process id.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<All>);

#[derive(Default)]
struct All {
    of: HashMap<String, Vec<Arc<Notify>>>,
    /// Whether nothing will move any more.
    over: bool,
}

impl Waiters {
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what becomes of that process from now on.
    pub(crate) fn of(self: &Arc<Self>, pid: &str) -> Moves {
        let told = Arc::<Notify>::default();
        let mut all = self.all();
        if all.over {
            told.notify_one();
        }
        all.of.entry(pid.to_owned()).or_default().push(Arc::clone(&told));
        Moves { pid: pid.to_owned(), told, waiters: Arc::clone(self) }
    }

    /// Wakes those who wait for one of these processes.
    pub(crate) fn tell(&self, moved: impl Iterator<Item = String>) {
        let all = self.all();
        let told = moved.filter_map(|pid| all.of.get(&pid)).flatten();
        told.for_each(|waiter| waiter.notify_one());
    }

    /// Wakes everybody: the log takes nothing any more.
    pub(crate) fn tell_all(&self) {
        self.all().of.values().flatten().for_each(|waiter| waiter.notify_one());
    }

    /// The same, and whoever comes later is woken as well: the writer is gone.
    pub(crate) fn end(&self) {
        self.all().over = true;
        self.tell_all();
    }
}

/// The process that an entry moves, if it is the new state of one.
pub(crate) fn moved_by(one: &Committed) -> Option<String> {
    let state = one.entry.who.kind == Kind::ProcessState;
    state.then(|| one.entry.get("pid").map(str::to_owned)).flatten()
}

/// What becomes of one process.
pub(crate) struct Moves {
    pid: String,
    told: Arc<Notify>,
    waiters: Arc<Waiters>,
}

impl Moves {
    /// Waits until the process has moved since this was last waited for; `false` when nothing moves
    /// any more.
    pub(crate) async fn next(&self) -> bool {
        self.told.notified().await;
        !self.waiters.all().over
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        let mut all = self.waiters.all();
        if let Some(waiting) = all.of.get_mut(&self.pid) {
            waiting.retain(|other| !Arc::ptr_eq(other, &self.told));
            if waiting.is_empty() {
                all.of.remove(&self.pid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moves, Waiters};
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    /// What waiting comes to now: `None` when nothing has happened.
    fn now(moves: &Moves) -> Option<bool> {
        match pin!(moves.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(goes_on) => Some(goes_on),
            Poll::Pending => None,
        }
    }

    fn tell(waiters: &Waiters, pid: &str) {
        waiters.tell([pid.to_owned()].into_iter());
    }

    #[test]
    fn each_is_woken_by_its_own_process_and_everybody_at_the_end() {
        let waiters = Arc::<Waiters>::default();
        let (one, same, other) = (waiters.of("one"), waiters.of("one"), waiters.of("other"));
        let check = |expect| assert_eq!([&one, &same, &other].map(now), expect);
        check([None, None, None]);
        tell(&waiters, "one");
        tell(&waiters, "nobody's");
        check([Some(true), Some(true), None]);
        check([None, None, None]);
        waiters.tell_all();
        check([Some(true), Some(true), Some(true)]);
        waiters.end();
        check([Some(false), Some(false), Some(false)]);
        assert_eq!(now(&waiters.of("late")), Some(false));
    }

    #[test]
    fn nothing_is_kept_of_those_who_wait_no_more() {
        let waiters = Arc::<Waiters>::default();
        let (one, same) = (waiters.of("one"), waiters.of("one"));
        drop(one);
        tell(&waiters, "one");
        assert_eq!(now(&same), Some(true));
        drop(same);
        assert!(waiters.all().of.is_empty());
    }
}
