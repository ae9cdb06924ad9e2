//! Where the demo happens: a place, this binary, and what was shown so far.

use super::{Denied, Report, Step};
use crate::commands::bar;
use crate::output::{Output, internal};
use crate::session::write_file;
use indicatif::ProgressBar;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use twinpact_model::problem::Problem;

/// A place with this binary in it.
pub(crate) struct Stage {
    pub(crate) out: Output,
    pub(crate) place: PathBuf,
    pub(crate) report: Report,
    program: PathBuf,
    /// What serves the nodes.
    server: PathBuf,
    /// Whether it is shown what happens here.
    shown: bool,
}

impl Stage {
    pub(crate) fn new(out: Output, place: PathBuf) -> Result<Stage, Problem> {
        let program = std::env::current_exe();
        let program = program.map_err(|e| internal(&format!("this program: {e}")))?;
        let server = program.clone();
        Ok(Stage { out, place, report: Report::default(), program, server, shown: true })
    }

    /// Another place, of which nothing is shown.
    pub(crate) fn aside(&self, name: &str) -> Result<Stage, Problem> {
        let place = self.place.join(name);
        std::fs::create_dir_all(&place).map_err(|e| internal(&format!("no place: {e}")))?;
        let (program, server) = (self.program.clone(), self.server.clone());
        let report = Report::default();
        Ok(Stage { out: self.out, place, report, program, server, shown: false })
    }

    /// Another program serves the nodes, when there is one.
    pub(crate) fn serves_with(&mut self, program: Option<&Path>) {
        self.server = program.map_or_else(|| self.server.clone(), Path::to_owned);
    }

    /// A progress bar on stderr; hidden when nothing is shown, or stderr is no terminal.
    pub(crate) fn bar(&self) -> ProgressBar {
        match self.shown {
            true => bar(0, "rows"),
            false => ProgressBar::hidden(),
        }
    }

    pub(crate) fn say(&self, line: &str) {
        if self.shown {
            self.out.say(line);
        }
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Problem> {
        write_file(&self.place.join(name), bytes)
    }

    pub(crate) fn title(&self, title: &str) {
        self.say(&format!("\n# {title}"));
    }

    /// Runs a command line, shows it and what it printed, and holds its exit code.
    pub(crate) fn run(&mut self, name: &str, line: &str, expect: i32) -> Result<Vec<u8>, Problem> {
        self.say(&format!("$ twinpact {line}"));
        let start = Instant::now();
        let output = self.command(line).output().map_err(|e| internal(&format!("{line}: {e}")))?;
        let ms = start.elapsed().as_millis();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let shown = match output.stdout.len() {
            0..=1500 => stdout.into_owned(),
            long => format!("({long} bytes)"),
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        for part in [shown.trim_end(), stderr.trim_end()] {
            let lines = part.lines().filter(|l| !l.starts_with("next: ") && !l.is_empty());
            lines.for_each(|line| self.say(&format!("  {line}")));
        }
        let code = output.status.code();
        if code != Some(expect) {
            return Err(internal(&format!("exit code {code:?}, not {expect}: twinpact {line}")));
        }
        if expect != 0 {
            self.say(&format!("  exit code {expect}, as it must be"));
        }
        self.report.steps.push(Step { name: name.to_owned(), ms });
        Ok(output.stdout)
    }

    /// Runs a command that must be refused, and keeps its code and sentence.
    pub(crate) fn denied(&mut self, name: &str, line: &str) -> Result<(), Problem> {
        self.say(&format!("$ twinpact {line}"));
        let start = Instant::now();
        let output = self.command(line).output().map_err(|e| internal(&format!("{line}: {e}")))?;
        let ms = start.elapsed().as_millis();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let first = stderr.lines().find_map(|line| line.strip_prefix("error["));
        let (code, sentence) = first
            .and_then(|rest| rest.split_once("]: "))
            .ok_or_else(|| internal(&format!("it was not refused: twinpact {line}")))?;
        self.say(&format!("  {sentence}"));
        let (name, code, sentence) = (name.to_owned(), code.to_owned(), sentence.to_owned());
        self.report.steps.push(Step { name: name.clone(), ms });
        self.report.denied.push(Denied { name, code, sentence });
        Ok(())
    }

    /// Runs a command line that nobody needs to see; what it printed.
    pub(crate) fn quiet(&self, line: &str) -> Result<Vec<u8>, Problem> {
        let output = self.command(line).output().map_err(|e| internal(&format!("{line}: {e}")))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                Err(internal(&format!("twinpact {line}: {stderr}")))
            }
        }
    }

    /// What a command prints as JSON.
    pub(crate) fn json(&self, line: &str) -> Result<Value, Problem> {
        let output = self.command(&format!("--json {line}")).output();
        let output = output.map_err(|e| internal(&format!("{line}: {e}")))?;
        serde_json::from_slice(&output.stdout).map_err(|e| {
            let stderr = String::from_utf8_lossy(&output.stderr);
            internal(&format!("twinpact {line}: {e}: {stderr}"))
        })
    }

    /// Starts a node and returns when it has said where it listens.
    pub(crate) fn serve(&mut self, dir: &str) -> Result<Node, Problem> {
        let line = format!("serve --dir {dir} --policy-clock driven");
        self.say(&format!("$ twinpact {line} &"));
        let start = Instant::now();
        let mut command = Command::new(&self.server);
        command.args(line.split_whitespace()).current_dir(&self.place).env_remove("TWINPACT_DIR");
        let started = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.map_err(|e| internal(&format!("{line}: {e}")))?;
        let mut node = Node { child: None, admin: String::new(), federation: String::new() };
        let stdout = child.stdout.take().map(BufReader::new);
        node.child = Some(child);
        for said in stdout.into_iter().flat_map(|s| s.lines()).map_while(Result::ok) {
            match said.split_once(char::is_whitespace) {
                Some(("admin", url)) => node.admin = url.trim().to_owned(),
                Some(("federation", url)) => node.federation = url.trim().to_owned(),
                _ => continue,
            }
            self.say(&format!("  {said}"));
            if !node.admin.is_empty() && !node.federation.is_empty() {
                break;
            }
        }
        let ms = start.elapsed().as_millis();
        self.report.steps.push(Step { name: format!("serve {dir}"), ms });
        match node.federation.starts_with("https://") {
            true => Ok(node),
            false => Err(internal(&format!("the node in {dir} did not start"))),
        }
    }

    /// On a terminal the nodes stay up until somebody has looked around.
    pub(crate) fn farewell(&self) {
        if std::io::stdin().is_terminal() && !self.out.is_json() {
            self.out.say("\nthe nodes are up; press Enter to stop them");
            let mut line = String::new();
            // Whatever comes, or nothing: it goes on.
            let _ = std::io::stdin().read_line(&mut line);
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line.split_whitespace()).current_dir(&self.place).env_remove("TWINPACT_DIR");
        command
    }
}

/// A running node of the demo. It is stopped when it is dropped, whatever happens.
pub(crate) struct Node {
    child: Option<Child>,
    pub(crate) admin: String,
    pub(crate) federation: String,
}

impl Node {
    /// SIGTERM, and the clean stop that follows it.
    pub(crate) fn stop(mut self) -> Result<(), Problem> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        asked.map_err(|e| internal(&format!("kill: {e}")))?;
        let status = child.wait().map_err(|e| internal(&format!("a node: {e}")))?;
        match status.success() {
            true => Ok(()),
            false => Err(internal(&format!("a node stopped with {status}"))),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
