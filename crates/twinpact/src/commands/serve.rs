//! `serve`: a node until it is told to stop. Every port is bound before it says that it is ready.

use super::init::make_if_missing;
use crate::cli::Serve;
use crate::lines::Lines;
use crate::output::{Output, internal};
use crate::session::{ADMIN_FILE, url};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use twinpact_gateway::Running;
use twinpact_model::disk::refused;
use twinpact_model::problem::Problem;
use twinpact_node::api::AdminFile;
use twinpact_node::conformance::{NEGOTIATIONS_PATH, OFFERS_PATH, Script, TRANSFERS_PATH};
use twinpact_node::connectors::Connectors;
use twinpact_node::{PolicyClock, open, ready, trace};

pub(crate) async fn serve(arguments: &Serve, out: Output) -> Result<ExitCode, Problem> {
    let policy = match arguments.policy_clock.as_str() {
        "driven" => PolicyClock::Driven,
        _ => PolicyClock::System,
    };
    let scripted = arguments.conformance.as_deref().map(Scripted::prepare).transpose()?;
    let dir = scripted.as_ref().map_or(&*arguments.dir.dir, |scripted| scripted.place.path());
    if scripted.is_none() {
        make_if_missing(dir, &arguments.new, out)?;
    }
    let lines = Lines::start(arguments.log, arguments.log_level);
    let mut parts = open::open(dir, policy).await?;
    if let Some(scripted) = &scripted {
        parts = parts.with_script(scripted.script.clone());
    }
    trace::started(parts.node.config.organisation.as_str());
    if let Some(cut) = parts.cut {
        trace::cut(cut);
    }
    let running = Running::start(parts).await?;
    let file = AdminFile {
        url: url(&running.admin),
        token: running.admin.token.clone(),
        pid: std::process::id(),
    };
    // Before anybody is told that the node is there: who is told may stop it at once.
    let stop = told_to_stop()?;
    write_admin_file(dir, &file)?;
    let federation = running.federation.map(|address| format!("https://{address}"));
    let node = &running.parts.node;
    let warnings = ready::warnings(node, node.clocks.wall());
    let connectors = scripted.as_ref().and_then(|_| doors(&node.connectors));
    let plain = node.connectors.endpoint().ok().map(str::to_owned);
    let web = node.connectors.web.as_ref().and_then(|web| web.endpoint().ok());
    let shown = json!({
        "admin": file.url,
        "conformance": connectors,
        "connectors": plain,
        "connectors_tls": web,
        "directory": dir,
        "federation": federation,
        "pid": file.pid,
        "warnings": warnings,
    });
    out.result(&shown, |_| {
        let federation = federation.as_deref().unwrap_or("no listener");
        let doors = connectors.as_ref().map(in_lines);
        let door = doors.or(plain.map(|dsp| format!("connectors  {dsp}")));
        let web = web.map(|dsp| format!("connectors  {dsp}"));
        let connectors: String =
            door.iter().chain(&web).map(|lines| format!("\n{lines}")).collect();
        format!("admin       {}\nfederation  {federation}{connectors}", file.url)
    });
    trace::ready(&file.url, federation.as_deref());
    for warning in &warnings {
        trace::warning(&warning.code, &warning.message);
    }
    if policy == PolicyClock::Driven {
        trace::driven();
    }
    stop.await;
    let _ = std::fs::remove_file(dir.join(ADMIN_FILE));
    running.stop().await;
    trace::stopped();
    drop(lines);
    Ok(ExitCode::SUCCESS)
}

/// A node in conformance mode: its script, and a directory that goes with it.
struct Scripted {
    script: Script,
    place: TempDir,
}

impl Scripted {
    fn prepare(path: &Path) -> Result<Scripted, Problem> {
        let text = std::fs::read_to_string(path).map_err(|e| refused(path, &e))?;
        let script = Script::parse(&text)?;
        let no_place = |e| internal(&format!("there is no temporary directory: {e}"));
        let place = TempDir::with_prefix("twinpact-conformance-").map_err(no_place)?;
        open::init(place.path(), &script.organisation, "conformance")?;
        Ok(Scripted { script, place })
    }
}

/// Where a test finds the doors of a node in conformance mode.
fn doors(connectors: &Connectors) -> Option<Value> {
    let (dsp, root) = (connectors.endpoint().ok()?, connectors.root().ok()?);
    Some(json!({
        "dsp": dsp,
        "root": root,
        "negotiations": format!("{root}{NEGOTIATIONS_PATH}"),
        "offers": format!("{root}{OFFERS_PATH}"),
        "transfers": format!("{root}{TRANSFERS_PATH}"),
    }))
}

fn in_lines(doors: &Value) -> String {
    let line =
        |(name, url): (&String, &Value)| format!("{name:<12}{}", url.as_str().unwrap_or_default());
    let all = doors.as_object().into_iter().flatten();
    all.map(line).collect::<Vec<_>>().join("\n")
}

/// For its owner alone: who can read it can do everything that the admin door allows.
fn write_admin_file(dir: &Path, file: &AdminFile) -> Result<(), Problem> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = dir.join(ADMIN_FILE);
    // What a killed node left may have another mode or owner.
    let _ = std::fs::remove_file(&path);
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut open = options.write(true).create_new(true).mode(0o600).open(&path)?;
        open.write_all(&serde_json::to_vec_pretty(file)?)
    };
    write().map_err(|e| refused(&path, &e))
}

/// Listens for signals from now on; what comes back ends with the first one.
fn told_to_stop() -> Result<impl Future<Output = ()>, Problem> {
    let no_signals = |e| internal(&format!("signals cannot be received: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
