//! The two clocks of a node. Nothing else in the project reads the time.
//!
//! The wall clock is the system's, or one that a test sets. The policy clock is the same, unless
//! the node was started with `--policy-clock=driven`: then it stands where it was put last, also
//! after a restart, and every decision says so.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Where its time is kept. Who sets the clock holds the lock until both are set, so that the
    /// file never says another time than the clock.
    kept: Mutex<Option<(Arc<dyn Vfs>, PathBuf)>>,
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
                kept: Mutex::new(None),
            })),
        };
        Clocks { wall, driven, sets: watch::Sender::new(0) }
    }

    /// The same; a driven policy clock stands where the directory says that it stood, and is kept
    /// there.
    ///
    /// # Errors
    /// `store.io` when the file cannot be read, `store.damaged` when it says no time.
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
                *driven.micros.get_mut() = time_in(&text).ok_or_else(unreadable)?.micros();
                *driven.set.get_mut() = true;
            }
            driven.kept = Mutex::new(Some((disk, path)));
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
                let kept = driven.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((disk, path)) = &*kept {
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

/// The time that stands in the file of a clock.
fn time_in(text: &[u8]) -> Option<Timestamp> {
    Timestamp::parse(std::str::from_utf8(text).ok()?.trim()).ok()
}

/// Begun anew, the clock would stand at another time than that of what it has decided.
fn unreadable() -> Problem {
    let message = format!("{DRIVEN_FILE} does not say where the driven policy clock stood");
    let hint = format!(
        "write the time into it at which the clock is to stand, as 2015-07-26T14:00:00Z, or remove \
         {DRIVEN_FILE}: then set the clock before anything is decided"
    );
    Problem::new(codes::STORE_DAMAGED, message).hint(hint)
}

/// Writes where the clock stands. The file is whole or the one before, also after a power cut; then
/// it may be the one before although the clock was set, and is set again.
fn keep(disk: &dyn Vfs, path: &Path, time: Timestamp) -> std::io::Result<()> {
    let new = path.with_extension("new");
    if disk.exists(&new) {
        // Whoever was killed before it had its name left it.
        disk.remove(&new)?;
    }
    let mut file = disk.create(&new)?;
    file.append(format!("{time}\n").as_bytes())?;
    file.sync()?;
    disk.rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::{Clocks, DRIVEN_FILE, PolicyClock};
    use std::path::Path;
    use std::sync::Arc;
    use twinpact_identity::tls::system_clock;
    use twinpact_model::Timestamp;
    use twinpact_store::vfs::{RealDisk, Vfs};
    use twinpact_testkit::SimDisk;

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
        assert_eq!(open().policy().0, noon);
    }

    #[test]
    fn a_clock_whose_file_says_no_time_is_refused_and_not_begun_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(DRIVEN_FILE);
        let open = |policy| {
            let disk: Arc<dyn Vfs> = Arc::new(RealDisk);
            Clocks::kept(system_clock(), policy, (disk, place.path()))
        };
        let code = |policy| open(policy).err().map(|problem| (problem.code.name, problem.hint));
        for text in [&b""[..], b"soon\n", b"2015-07-26", b"\xff\xfe", b"\0\0\0\0"] {
            std::fs::write(&path, text).unwrap();
            let (code, hint) = code(PolicyClock::Driven).unwrap();
            assert_eq!(code, "store.damaged", "{text:?}");
            assert!(hint.unwrap().contains("remove policy-clock"));
            assert_eq!(std::fs::read(&path).unwrap(), text, "it was changed");
        }
        // Whose clock is the system's does not look at it.
        assert_eq!(code(PolicyClock::System), None);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(code(PolicyClock::Driven).map(|(code, _)| code), Some("store.io"));
    }

    #[test]
    fn power_may_go_while_the_clock_is_set() {
        let directory = Path::new("/disk");
        let (one, other) = (Timestamp::from_seconds(60), Timestamp::from_seconds(1_437_904_800));
        for seed in 0..40 {
            let cuts = (0..).take_while(|steps| {
                let disk = SimDisk::new(seed, directory);
                let open = || {
                    let kept: (Arc<dyn Vfs>, _) = (Arc::new(disk.clone()), directory);
                    Clocks::kept(system_clock(), PolicyClock::Driven, kept).unwrap()
                };
                let clocks = open();
                clocks.set_policy(one).unwrap();
                disk.sync_dir(directory).unwrap();
                disk.cut_after(*steps);
                let set = clocks.set_policy(other);
                assert_eq!(clocks.policy().0, if set.is_ok() { other } else { one });
                let done = !disk.is_off();
                disk.power_cycle();
                assert!([one, other].contains(&open().policy().0), "seed {seed}, cut {steps}");
                !done
            });
            assert!(cuts.count() >= 4);
        }
    }

    #[test]
    fn callers_that_set_the_clock_at_once_leave_the_file_as_it_stands() {
        let place = tempfile::tempdir().unwrap();
        let open = || {
            let disk: Arc<dyn Vfs> = Arc::new(RealDisk);
            Clocks::kept(system_clock(), PolicyClock::Driven, (disk, place.path())).unwrap()
        };
        let clocks = open();
        for round in 0..20 {
            std::thread::scope(|scope| {
                for caller in 0..4 {
                    let (clocks, time) = (clocks.clone(), round * 4 + caller);
                    let set = move || clocks.set_policy(Timestamp::from_seconds(time)).unwrap();
                    scope.spawn(set);
                }
            });
            assert_eq!(open().policy(), clocks.policy());
        }
    }
}
