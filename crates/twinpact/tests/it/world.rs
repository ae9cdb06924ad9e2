//! A directory with a node in it, and this build's binary to work on it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

pub(crate) const MODEL: &str = r#"
model = "wind-turbine"
version = 1
[[attribute]]
name = "power"
datatype = "double"
[[attribute]]
name = "note"
datatype = "string"
"#;

pub(crate) const MAP: &str = r#"
source = "urn:source:test"
model = "wind-turbine@1"
twin = "urn:turbine:{name}"
time = { column = "time" }
key = ["name", "time"]
[columns]
power = "power"
note = "note"
"#;

/// Two rows that are taken and one that is not.
pub(crate) const ROWS: &str = "name,time,power,note\n\
    a,2015-05-01T00:00:00Z,1.50,x\n\
    a,2015-05-01T00:10:00Z,2,y\n\
    b,2015-05-01T00:00:00Z,much,z\n";

pub(crate) struct World {
    place: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The code of the error that it printed.
    pub(crate) fn error(&self) -> &str {
        let line = self.stderr.lines().find_map(|line| line.strip_prefix("error["));
        line.and_then(|rest| rest.split_once(']')).map_or("", |(code, _)| code)
    }
}

impl World {
    /// An empty place.
    pub(crate) fn empty() -> World {
        World { place: tempfile::tempdir().unwrap() }
    }

    /// A node in `node/` with the model applied.
    pub(crate) fn with_node() -> World {
        let world = World::empty();
        world.write("model.toml", MODEL.as_bytes());
        world.write("map.toml", MAP.as_bytes());
        assert_eq!(world.run("init --dir node --local test").code, 0);
        assert_eq!(world.run("model apply model.toml --dir node").code, 0);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn run(&self, line: &str) -> Done {
        self.words(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    /// A command whose words may have spaces in them.
    pub(crate) fn words(&self, words: &[String]) -> Done {
        done(self.command("").args(words))
    }

    /// A command with these variables in its environment.
    pub(crate) fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Done {
        done(self.command(line).envs(variables.iter().copied()))
    }

    /// A command that reads this text from its stdin.
    pub(crate) fn run_reading(&self, line: &str, text: &str) -> Done {
        let name = "stdin.txt";
        self.write(name, text.as_bytes());
        done(self.command(line).stdin(std::fs::File::open(self.path(name)).unwrap()))
    }

    /// What a command prints with `--json`; it must succeed.
    pub(crate) fn json(&self, line: &str) -> Value {
        let done = self.run(&format!("--json {line}"));
        assert_eq!(done.code, 0, "{line}: {}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// A command that runs until it is stopped or dropped.
    pub(crate) fn begin(&self, line: &str) -> Begun {
        let mut child = self.command(line).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Begun { child, stdout }
    }

    /// The node in `node/`, serving until it is dropped; it has said where it listens when this
    /// returns.
    pub(crate) fn serve(&self) -> Serving {
        Serving::start(self.command("serve --dir node"))
    }

    /// A node that is served with these words behind `--dir`.
    pub(crate) fn serve_as(&self, words: &str) -> Serving {
        Serving::start(self.command(&format!("serve --dir {words}")))
    }

    /// The node in that directory, by a policy clock that the test drives.
    pub(crate) fn serve_driven(&self, dir: &str) -> Serving {
        self.serve_driven_logging(dir, "json")
    }

    /// The same, with its log in that form.
    pub(crate) fn serve_driven_logging(&self, dir: &str, form: &str) -> Serving {
        let driven = format!("--policy-clock driven --log {form} --log-level debug");
        let mut command = self.command(&format!("serve --dir {dir} {driven}"));
        let suffix = if form == "json" { "log" } else { form };
        let log = self.path(&format!("{dir}.{suffix}"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.stderr(log);
        Serving::start(command)
    }

    /// The node in `node/`, its log written to `text.log` as these words say.
    pub(crate) fn serve_logging(&self, words: &str) -> Serving {
        let mut command = self.command(&format!("serve --dir node {words}"));
        command.stderr(std::fs::File::create(self.path("text.log")).unwrap());
        Serving::start(command)
    }

    /// The lines that nodes in that directory have logged so far, served by a driven clock.
    pub(crate) fn log(&self, dir: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(&format!("{dir}.log"))).unwrap();
        let line = |line: &str| {
            let read = serde_json::from_str(line);
            assert!(read.is_ok(), "{dir}: {line:?} is no JSON");
            read.unwrap()
        };
        text.lines().map(line).collect()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinpact"));
        command.args(line.split_whitespace()).current_dir(self.place.path());
        command.env_remove("TWINPACT_DIR").env_remove("COLUMNS");
        command
    }

    /// A directory as it is now, under another name; modes are kept.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        let mut command = Command::new("cp");
        command.arg("-a").arg(self.path(from)).arg(self.path(to));
        assert!(command.status().unwrap().success());
    }

    /// Every file below a directory.
    pub(crate) fn files(&self, name: &str) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for item in std::fs::read_dir(dir).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(name), &mut found);
        found
    }
}

impl World {
    /// What every file below a directory holds.
    pub(crate) fn bytes(&self, name: &str) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
        let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
        self.files(name).into_iter().map(read).collect()
    }
}

fn done(command: &mut Command) -> Done {
    let output: Output = command.output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `twinpact serve`.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    first: String,
}

impl Serving {
    fn start(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        // Before anything can fail: what was started is ended with it.
        let mut serving = Serving { child, stdout: BufReader::new(stdout), first: String::new() };
        serving.stdout.read_line(&mut serving.first).unwrap();
        assert!(serving.first.starts_with("admin"), "{}", serving.first);
        serving
    }

    /// SIGKILL: no chance to tidy up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and the exit code of the clean stop.
    pub(crate) fn stop(self) -> i32 {
        self.stop_and_tell().0
    }

    /// The same, and all that was on its stdout.
    pub(crate) fn stop_and_tell(mut self) -> (i32, String) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut said = std::mem::take(&mut self.first);
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs.
pub(crate) struct Begun {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Begun {
    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// SIGKILL: no chance to tidy up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
