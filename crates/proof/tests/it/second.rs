//! A second opinion on every verdict: `tools/verify.py`, which was written from `docs/format.md` in
//! another language. One process answers all tests of this binary. Without Python 3.11 the tests
//! do with the first opinion and say so; that is a failure when `CI_STRICT=1`.

use std::fs::write;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use twinpact_proof::{Broken, Level, Trust, Verdict};

/// Answers each line FILE tab TRUST tab LEVEL, the last two perhaps empty, by code and word.
const ANSWERS: &str = "
import functools, sys, verify
verify.holds = functools.lru_cache(1024)(verify.holds)  # the same documents come again and again
for line in sys.stdin:
    file, trust, level = line.rstrip('\\n').split('\\t')
    print(*verify.run(file, trust or None, level or 'signed')[:2], flush=True)
";

/// The process, and the two files that it is asked about.
struct Python {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    bundle: PathBuf,
    trust: PathBuf,
    _child: Child,
}

/// As [`twinpact_proof::verify`], after both verifiers were found to be of one mind.
pub fn verify(bytes: &[u8], trust: Option<&Trust>) -> Result<Verdict, Broken> {
    check(bytes, trust, None);
    twinpact_proof::verify(bytes, trust)
}

/// Both end with the same exit code, and name the same link or level. Gives both, as text.
pub fn check(bytes: &[u8], trust: Option<&Trust>, required: Option<Level>) -> String {
    let (ours, theirs) = opinions(bytes, trust, required);
    if let Some(theirs) = theirs {
        assert_eq!(ours, theirs, "Rust and Python, {required:?}, kept: {}", kept(bytes).display());
    }
    ours
}

/// Both end with the same exit code, which this gives, and whether they name the same link too.
/// Where several links are broken at once, each may name the one that it comes to first.
pub fn check_code(bytes: &[u8], trust: Option<&Trust>) -> (String, bool) {
    let code = |opinion: &str| opinion.split(' ').next().unwrap_or_default().to_owned();
    let (ours, theirs) = opinions(bytes, trust, None);
    if let Some(theirs) = theirs {
        let same = code(&ours) == code(&theirs);
        assert!(same, "Rust: {ours}, Python: {theirs}, kept: {}", kept(bytes).display());
        return (code(&ours), ours == theirs);
    }
    (code(&ours), true)
}

/// Exit code, and link or level, of ours and of theirs.
fn opinions(
    bytes: &[u8],
    trust: Option<&Trust>,
    required: Option<Level>,
) -> (String, Option<String>) {
    let ours = match twinpact_proof::verify(bytes, trust) {
        // The command reads the trust file first, and refuses it without looking at the proof.
        _ if trust.is_some_and(|trust| trust.check().is_err()) => "11 unreadable".to_owned(),
        Err(broken) => format!("22 {}", broken.link),
        Ok(verdict) => {
            let enough = verdict.level >= required.unwrap_or(Level::Signed);
            format!("{} {}", if enough { 0 } else { 23 }, verdict.level)
        }
    };
    static PYTHON: OnceLock<Option<Mutex<Python>>> = OnceLock::new();
    let Some(python) = PYTHON.get_or_init(start) else { return (ours, None) };
    let mut python = python.lock().unwrap_or_else(PoisonError::into_inner);
    (ours, Some(python.ask(bytes, trust, required)))
}

impl Python {
    fn ask(&mut self, bytes: &[u8], trust: Option<&Trust>, required: Option<Level>) -> String {
        write(&self.bundle, bytes).unwrap();
        let file = trust.map_or(Path::new(""), |trust| {
            write(&self.trust, toml::to_string(trust).unwrap()).unwrap();
            &self.trust
        });
        let required = required.map_or("", Level::name);
        let question = format!("{}\t{}\t{required}\n", self.bundle.display(), file.display());
        self.input.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

fn start() -> Option<Mutex<Python>> {
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    if !python(&["-c", new_enough]).status().is_ok_and(|status| status.success()) {
        let strict = std::env::var("CI_STRICT").is_ok_and(|value| value == "1");
        assert!(!strict, "CI_STRICT=1 and no python3 of version 3.11");
        println!("skipped: no python3 of version 3.11");
        return None;
    }
    let mut child = python(&["-c", ANSWERS])
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Some(Mutex::new(Python {
        input: child.stdin.take().unwrap(),
        output: BufReader::new(child.stdout.take().unwrap()),
        bundle: scratch("bundle"),
        trust: scratch("trust"),
        _child: child,
    }))
}

/// A bundle that the two do not agree about, for looking into it.
fn kept(bytes: &[u8]) -> PathBuf {
    let path = scratch("disagreed");
    write(&path, bytes).unwrap();
    path
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}
