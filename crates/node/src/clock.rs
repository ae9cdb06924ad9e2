//! The two clocks of a node. Nothing else in the project reads the time.
//!
//! The wall clock is the system's, or one that a test sets. The policy clock is the same, unless
//! the node was started with `--policy-clock=driven`: then it stands where it was put last, also
//! after a restart, and every decision says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::watch;
use twinpact_identity::tls::{Clock, system_clock};
use twinpact_model::codes;
use twinpact_model::disk::refused;
use twinpact_model::problem::Problem;
use twinpact_model::{PolicyTime, Timestamp, WallTime};
use twinpact_store::vfs::Vfs;

/// The file in a node's directory with the time at which its driven policy clock stands.
pub const DRIVEN_FILE: &str = "policy-clock";

/// Where the policy clock comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyClock {
    /// The system's clock.
    #[default]
    System,
    /// It stands until somebody sets it: tests and the demo.
    Driven,
}

/// Both clocks.
#[derive(Clone)]
pub struct Clocks {
    wall: Clock,
    /// Microseconds of the driven policy clock; `None` when it is the system's.
    driven: Option<Arc<Driven>>,
    /// Counts how often it was set.
    sets: watch::Sender<u64>,
}

/// A clock that somebody drives.
struct Driven {
    micros: AtomicI64,
    /// Whether anybody has.
    set: AtomicBool,
    /// Where its time is kept.
    kept: Option<(Arc<dyn Vfs>, PathBuf)>,
}

impl Clocks {
    /// The clocks of a node. A driven policy clock starts at the system's time, and is kept
    /// nowhere.
    #[must_use]
    pub fn new(policy: PolicyClock) -> Clocks {
        Clocks::over(system_clock(), policy)
    }

    /// The same over another wall clock.
    #[must_use]
    pub fn over(wall: Clock, policy: PolicyClock) -> Clocks {
        let driven = match policy {
            PolicyClock::System => None,
            PolicyClock::Driven => Some(Arc::new(Driven {
                micros: AtomicI64::new(wall().0.micros()),
                set: AtomicBool::new(false),
                kept: None,
            })),
        };
        Clocks { wall, driven, sets: watch::Sender::new(0) }
    }

    /// The same; a driven policy clock stands where the directory says that it stood, and is kept
    /// there.
    ///
    /// # Errors
    /// `store.io` when the file cannot be read.
    pub(crate) fn kept(
        wall: Clock,
        policy: PolicyClock,
        (disk, directory): (Arc<dyn Vfs>, &Path),
    ) -> Result<Clocks, Problem> {
        let mut clocks = Clocks::over(wall, policy);
        let path = directory.join(DRIVEN_FILE);
        if let Some(driven) = clocks.driven.as_mut().and_then(Arc::get_mut) {
            if disk.exists(&path) {
                let text = disk.read(&path).map_err(|e| refused(&path, &e))?;
                // One that nobody can read is as good as none: it is set before it tells anything.
                let text = String::from_utf8_lossy(&text);
                if let Ok(time) = Timestamp::parse(text.trim()) {
                    *driven.micros.get_mut() = time.micros();
                    *driven.set.get_mut() = true;
                }
            }
            driven.kept = Some((disk, path));
        }
        Ok(clocks)
    }

    /// What the wall clock says.
    #[must_use]
    pub fn wall(&self) -> WallTime {
        (self.wall)()
    }

    /// What the policy clock says.
    #[must_use]
    pub fn policy(&self) -> PolicyTime {
        PolicyTime(match &self.driven {
            Some(driven) => Timestamp::from_micros(driven.micros.load(Ordering::SeqCst)),
            None => self.wall().0,
        })
    }

    /// Whether the policy clock is driven, so that its decisions are no evidence.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        self.driven.is_some()
    }

    /// Whether the policy clock says by itself that a time has come: a driven one only after it was
    /// set, since nobody knows before what time it is in what is told.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.driven.as_ref().is_none_or(|driven| driven.set.load(Ordering::SeqCst))
    }

    /// It changes whenever a driven policy clock is set: whoever waits for a policy time looks
    /// again then.
    #[must_use]
    pub fn policy_set(&self) -> watch::Receiver<u64> {
        self.sets.subscribe()
    }

    /// Sets a driven policy clock.
    ///
    /// # Errors
    /// `clock.not_driven` when it is the system's; `store.io`, `store.full` when its time cannot be
    /// kept: then it stands where it stood.
    pub fn set_policy(&self, time: Timestamp) -> Result<(), Problem> {
        match &self.driven {
            Some(driven) => {
                if let Some((disk, path)) = &driven.kept {
                    keep(disk.as_ref(), path, time).map_err(|e| refused(path, &e))?;
                }
                driven.micros.store(time.micros(), Ordering::SeqCst);
                driven.set.store(true, Ordering::SeqCst);
                self.sets.send_modify(|times| *times += 1);
                Ok(())
            }
            None => Err(Problem::new(codes::CLOCK_NOT_DRIVEN, "the policy clock is the system's")
                .hint("start the node with --policy-clock=driven; its decisions are no evidence")),
        }
    }
}

/// Writes where the clock stands. It is whole or the one before, and not durable: what a power cut
/// takes of a driven clock is set again.
fn keep(disk: &dyn Vfs, path: &Path, time: Timestamp) -> std::io::Result<()> {
    let new = path.with_extension("new");
    if disk.exists(&new) {
        // Whoever was killed before it had its name left it.
        disk.remove(&new)?;
    }
    disk.create(&new)?.append(format!("{time}\n").as_bytes())?;
    disk.rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::{Clocks, DRIVEN_FILE, PolicyClock};
    use std::sync::Arc;
    use twinpact_identity::tls::system_clock;
    use twinpact_model::Timestamp;
    use twinpact_store::vfs::{RealDisk, Vfs};

    #[test]
    fn only_a_driven_clock_is_set() {
        let noon = Timestamp::from_seconds(1_437_904_800);
        let driven = Clocks::new(PolicyClock::Driven);
        assert!(!driven.tells());
        let mut told = driven.clone().policy_set();
        driven.set_policy(noon).unwrap();
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        assert!(driven.tells());
        assert_eq!(driven.policy().0, noon);
        assert_ne!(driven.wall().0, noon);
        let system = Clocks::new(PolicyClock::System);
        assert_eq!(system.set_policy(noon).unwrap_err().code.name, "clock.not_driven");
    }

    #[test]
    fn a_driven_clock_stands_where_it_stood_before_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let open = || {
            let disk: Arc<dyn Vfs> = Arc::new(RealDisk);
            let kept = (disk, place.path());
            Clocks::kept(system_clock(), PolicyClock::Driven, kept).unwrap()
        };
        let noon = Timestamp::from_seconds(1_437_904_800);
        let first = open();
        assert!(!first.tells());
        first.set_policy(noon).unwrap();
        let again = open();
        assert_eq!((again.policy().0, again.tells()), (noon, true));
        std::fs::write(place.path().join(DRIVEN_FILE).with_extension("new"), "2015").unwrap();
        open().set_policy(noon).unwrap();
        std::fs::write(place.path().join(DRIVEN_FILE), "soon").unwrap();
        assert!(!open().tells());
    }
}
