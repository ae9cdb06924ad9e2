//! What keeps a node from working, or soon will: one finding a check, each with its remedy. Nothing
//! is changed: the disk is tried with a file that has no name any more when it is written.
//!
//! Here is what the directory and the log say; ports and partners are the gateway's
//! (`gateway::doctor`). What depends on something that is wrong is skipped: one fault is one alarm.

use crate::config::{self, Config};
use crate::open::{self, Node};
use crate::ready;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use twinpact_identity::outgoing::Endpoint;
use twinpact_model::disk as disk_codes;
use twinpact_model::problem::{Code, Problem};
use twinpact_model::schedule::Schedule;
use twinpact_model::{WallTime, codes};
use twinpact_store::directory;
use twinpact_store::vfs::{RealDisk, Vfs};

/// Below so many free bytes the disk is nearly full: a few of the log's largest frames.
pub const LOW_SPACE_BYTES: u64 = 256 << 20;
/// How far the clock may be behind the log, in seconds: entries of one moment are numbered onwards.
pub const BEHIND_SECONDS: i64 = 60;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and needs to be looked after.
    Warning,
    /// It does not work.
    Fault,
    /// It cannot be told before something else is mended or started.
    Skipped,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it went.
    pub state: State,
    /// One sentence.
    pub message: String,
    /// The code of a warning or a fault.
    pub code: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &str, message: impl Into<String>) -> Finding {
        let (check, message) = (check.to_owned(), message.into());
        Finding { check, state: State::Ok, message, code: None, remedy: None }
    }

    /// Not to be told now, and why.
    pub fn skipped(check: &str, why: impl Into<String>) -> Finding {
        Finding { state: State::Skipped, ..Finding::ok(check, why) }
    }

    /// It does not work.
    #[must_use]
    pub fn fault(check: &str, problem: Problem) -> Finding {
        let page = || format!("twinpact explain {}", problem.code.name);
        Finding {
            check: check.to_owned(),
            state: State::Fault,
            remedy: Some(problem.hint.unwrap_or_else(page)),
            message: problem.message,
            code: Some(problem.code.name.to_owned()),
        }
    }

    /// It works, and needs to be looked after.
    #[must_use]
    pub fn warning(check: &str, problem: Problem) -> Finding {
        Finding { state: State::Warning, ..Finding::fault(check, problem) }
    }

    /// The code of a fault.
    #[must_use]
    pub fn fault_code(&self) -> Option<Code> {
        let name = self.code.as_deref().filter(|_| self.state == State::Fault)?;
        codes::find(name)
    }
}

/// Whether one of them is a fault.
#[must_use]
pub fn any_fault(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.state == State::Fault)
}

/// Disk, key files and configuration of the node in that directory, and the configuration if it can
/// be read.
///
/// # Errors
/// `store.missing` when no node lives there: then there is nothing to look at.
pub fn directory(path: &Path) -> Result<(Vec<Finding>, Option<Config>), Problem> {
    let disk = &RealDisk;
    if !disk.exists(&config::path(path)) {
        return Err(directory::missing(disk, path));
    }
    let free = rustix::fs::statvfs(path).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    let config = config::text(disk, path).and_then(|text| Config::parse(&text));
    let mut findings = vec![writable(disk, path, free), exposed(path)];
    match config {
        Ok(config) => {
            findings.push(addressed(&config));
            Ok((findings, Some(config)))
        }
        Err(problem) => {
            findings.push(Finding::fault("configuration", problem));
            Ok((findings, None))
        }
    }
}

/// Whether the disk takes and keeps what is written, and has room.
#[must_use]
pub fn writable(disk: &dyn Vfs, path: &Path, free: Option<u64>) -> Finding {
    let refused = match tried(disk, &path.join("doctor.new")) {
        Ok(()) => return room(path, free),
        Err(error) => error,
    };
    // Here it is known that it was about writing: who may not write has a directory to read.
    let problem = match refused.kind() {
        ErrorKind::PermissionDenied => {
            Problem::new(codes::STORE_READONLY, format!("{}: {refused}", path.display()))
                .hint(disk_codes::remedy(codes::STORE_READONLY))
        }
        _ => disk_codes::refused(path, &refused),
    };
    Finding::fault("disk", problem)
}

/// The file has no name any more when it is written: nothing of it stays, whatever happens.
fn tried(disk: &dyn Vfs, probe: &Path) -> io::Result<()> {
    if disk.exists(probe) {
        disk.remove(probe)?;
    }
    let mut file = disk.create(probe)?;
    disk.remove(probe)?;
    file.append(&[0; 4096])?;
    file.sync()
}

fn room(path: &Path, free: Option<u64>) -> Finding {
    match free {
        Some(free) if free < LOW_SPACE_BYTES => Finding::warning(
            "disk",
            full(format!("{} has {} MiB left", path.display(), free >> 20)),
        ),
        Some(free) => {
            Finding::ok("disk", format!("written and synced; {} MiB are free", free >> 20))
        }
        None => Finding::ok("disk", "written and synced"),
    }
}

fn full(why: String) -> Problem {
    Problem::new(codes::STORE_FULL, why).hint(disk_codes::remedy(codes::STORE_FULL))
}

/// Files that hold secrets, for their owner alone.
fn exposed(path: &Path) -> Finding {
    let identity = std::fs::read_dir(path.join("identity")).into_iter().flatten().flatten();
    // Everything in there but certificates is secret.
    let mut secret: Vec<PathBuf> = identity
        .map(|item| item.path())
        .filter(|file| file.extension().is_none_or(|kind| kind != "crt"))
        .chain(["keys/kek", "keys/keystore", "admin.json"].map(|name| path.join(name)))
        .collect();
    secret.sort();
    let open = |file: &PathBuf| {
        let mode = std::fs::metadata(file).map(|meta| meta.permissions().mode() & 0o777);
        mode.is_ok_and(|mode| mode & 0o077 != 0)
    };
    let open: Vec<String> =
        secret.iter().filter(|file| open(file)).map(|file| file.display().to_string()).collect();
    if open.is_empty() {
        return Finding::ok("key files", "readable by their owner alone");
    }
    let why = format!("others can read {}", open.join(" and "));
    let remedy = format!(
        "chmod 600 {}; if others may have read it, make new keys too: twinpact key rotate",
        open.join(" ")
    );
    Finding::fault("key files", Problem::new(codes::IDENTITY_EXPOSED, why).hint(remedy))
}

fn addressed(config: &Config) -> Finding {
    let Some(endpoint) = &config.federation.endpoint else {
        return Finding::ok("configuration", "every key is known, every value can be used");
    };
    match Endpoint::parse(endpoint) {
        Ok(_) if endpoint.starts_with("https://") => {
            Finding::ok("configuration", "every key is known, every value can be used")
        }
        read => {
            let why = read.err().map_or("it is not https".to_owned(), |problem| problem.message);
            Finding::fault("configuration", endpoint_problem(&why))
        }
    }
}

/// The endpoint of the configuration is not ours.
#[must_use]
pub fn endpoint_problem(why: &str) -> Problem {
    let why = format!("federation.endpoint does not lead to this node: {why}");
    Problem::new(codes::CONFIG_ENDPOINT, why).hint(
        "write the https address under which partners reach federation.listen into twinpact.toml, \
         and start the node again",
    )
}

/// The log of a node that does not run: what it says, and a node to look at if it can be read.
#[must_use]
pub fn log(path: &Path) -> (Vec<Finding>, Option<Node>) {
    let (node, cut) = match open::inspect(path, |_, _| ()) {
        Ok(read) => read,
        Err(problem) => return (vec![unread(problem)], None),
    };
    let ended = cut.map(|cut| {
        let (bytes, offset, segment) = (cut.bytes, cut.offset, cut.segment);
        let why = format!("a torn tail of {bytes} bytes at offset {offset} of segment {segment}");
        Problem::new(codes::STORE_TORN, why)
            .hint("start the node: it cuts what was torn, which nobody was told is kept")
    });
    let finding = match ended {
        Some(problem) => Finding::warning("log", problem),
        None => Finding::ok("log", "every entry is whole, and opens with the keys that are here"),
    };
    // Without it the partners could not be asked; one that has run out is said below.
    let renewed = open::renew(&node).err().map(|problem| Finding::fault("certificates", problem));
    (std::iter::once(finding).chain(renewed).collect(), Some(node))
}

fn unread(problem: Problem) -> Finding {
    match problem.code.name {
        "store.locked" => Finding::warning(
            "node",
            problem.hint(
                "a command is at work, or a node that starts or hangs: wait for it; \
                 if it does not end, stop that process",
            ),
        ),
        name if name.starts_with("identity.") => Finding::fault("certificates", problem),
        name if name.starts_with("config.") => Finding::fault("configuration", problem),
        _ => Finding::fault("log", problem),
    }
}

/// What the state of a node says at that time: certificates, anchor, clock.
///
/// # Errors
/// `store.stopped`.
pub fn state(node: &Node, now: WallTime) -> Result<Vec<Finding>, Problem> {
    let last = node.partition.read(|fold, _| fold.last_recorded())?;
    let mut findings = Vec::new();
    for warning in ready::warnings(node, now) {
        let code = codes::find(&warning.code).unwrap_or(codes::INTERNAL);
        let problem = Problem::new(code, warning.message);
        findings.push(match code.name {
            "identity.expiring" => Finding::warning("certificates", renewing(problem)),
            "identity.expired" => Finding::fault("certificates", renewing(problem)),
            "exchange.undecided" => {
                Finding::warning("negotiations", problem.hint("twinpact negotiation list"))
            }
            // A partner may have made it up.
            "anchor.claimed" => Finding::warning(
                "anchor",
                problem.hint(
                    "if this directory was restored or cloned: stop the node, docs/restore.md",
                ),
            ),
            _ => Finding::fault("anchor", problem.hint("twinpact restore --successor")),
        });
    }
    if findings.iter().all(|finding| finding.check != "certificates") {
        let until = node.identity.current().issuing.not_after().0;
        findings.push(Finding::ok("certificates", format!("the issuing CA is good until {until}")));
    }
    findings.push(clock(last, now));
    findings.push(match Schedule::parse("Mo-Fr 07:00-19:00 [Europe/Paris]") {
        Ok(_) => Finding::ok("time zones", "they are in the program"),
        Err(problem) => Finding::fault("time zones", problem),
    });
    Ok(findings)
}

fn renewing(problem: Problem) -> Problem {
    problem.hint("twinpact ca renew --root FILE, with the key of the root; a running node goes on")
}

fn clock(last: i64, now: WallTime) -> Finding {
    let last = twinpact_model::Timestamp::from_micros(last);
    if last.seconds() - now.0.seconds() <= BEHIND_SECONDS {
        return Finding::ok("clock", format!("{} and not before the last entry", now.0));
    }
    let why = format!("it is {} here, and the log has an entry of {last}", now.0);
    let problem = Problem::new(codes::CLOCK_BEHIND, why)
        .hint("set the clock of this machine (timedatectl), and start the node again");
    Finding::fault("clock", problem)
}

#[cfg(test)]
mod tests {
    use super::{BEHIND_SECONDS, Finding, LOW_SPACE_BYTES, State, any_fault, log, state, writable};
    use crate::clock::PolicyClock;
    use crate::open::{init, open};
    use std::path::Path;
    use twinpact_model::{Did, WallTime};
    use twinpact_store::vfs::RealDisk;
    use twinpact_testkit::SimDisk;

    const PLENTY: Option<u64> = Some(LOW_SPACE_BYTES);

    fn check(finding: &Finding, state: State, code: Option<&str>) {
        assert_eq!((finding.state, finding.code.as_deref()), (state, code), "{finding:?}");
        assert_eq!(finding.remedy.as_ref().is_some_and(|text| !text.is_empty()), code.is_some());
    }

    #[test]
    fn a_disk_that_refuses_is_told_from_one_that_is_full() {
        let at = Path::new("/node");
        // ENOSPC, EDQUOT, EROFS, EACCES, EIO.
        for (errno, code) in [
            (28, "store.full"),
            (122, "store.full"),
            (30, "store.readonly"),
            (13, "store.readonly"),
            (5, "store.io"),
        ] {
            // The disk refuses to create, to remove, to write or to sync.
            for after in 0..4 {
                let disk = SimDisk::new(7, at);
                disk.fail(None, after, errno, true);
                check(&writable(&disk, at, PLENTY), State::Fault, Some(code));
            }
        }
        let disk = SimDisk::new(7, at);
        let before = disk.files();
        check(&writable(&disk, at, PLENTY), State::Ok, None);
        check(&writable(&disk, at, None), State::Ok, None);
        let low = Some(LOW_SPACE_BYTES - 1);
        check(&writable(&disk, at, low), State::Warning, Some("store.full"));
        assert_eq!(disk.files(), before, "nothing of the attempt is left");
        let real = tempfile::tempdir().unwrap();
        check(&writable(&RealDisk, real.path(), PLENTY), State::Ok, None);
        assert_eq!(std::fs::read_dir(real.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_clock_behind_the_log_is_the_only_alarm() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node");
        init(&path, &Did::new("did:web:operator.example").unwrap(), "test").unwrap();
        open(&path, PolicyClock::System).await.unwrap().stop();
        let (findings, node) = log(&path);
        assert!(!any_fault(&findings), "{findings:?}");
        let node = node.unwrap();
        let last = node.partition.read(|fold, _| fold.last_recorded()).unwrap();
        let last = twinpact_model::Timestamp::from_micros(last);
        for (seconds, code) in [(0, None), (-BEHIND_SECONDS, None), (-3600, Some("clock.behind"))] {
            let found = state(&node, WallTime(last.plus_seconds(seconds))).unwrap();
            let alarms: Vec<_> = found.iter().filter(|f| f.state != State::Ok).collect();
            let codes: Vec<_> = alarms.iter().filter_map(|f| f.code.as_deref()).collect();
            assert_eq!(codes, code.into_iter().collect::<Vec<_>>(), "{seconds}");
            assert!(alarms.iter().all(|f| f.state == State::Fault && f.remedy.is_some()));
        }
    }
}
