//! How a command reaches a node: the one that runs in the directory, or one of its own.

use std::path::Path;
use twinpact_gateway::{AdminClient, AdminListener};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::api::{AdminFile, Version};
use twinpact_node::{NodeParts, PolicyClock, open};

/// Where a running node says how to reach it.
pub(crate) const ADMIN_FILE: &str = "admin.json";

/// A node for the duration of a command.
pub(crate) struct Session {
    /// The way to it.
    pub(crate) client: AdminClient,
    own: Option<(NodeParts, AdminListener)>,
}

impl Session {
    /// The node that runs in the directory; when none does, one in this process.
    pub(crate) async fn open(dir: &Path) -> Result<Session, Problem> {
        if let Some(client) = running(dir).await {
            return Ok(Session { client, own: None });
        }
        let parts = open::open(dir, PolicyClock::System).await?;
        let listener = AdminListener::start(parts.node.clone()).await?;
        let client = AdminClient::new(url(&listener), listener.token.clone());
        Ok(Session { client, own: Some((parts, listener)) })
    }

    /// The node that runs in the directory: for what needs a node that partners can call back.
    pub(crate) async fn running(dir: &Path) -> Result<Session, Problem> {
        match running(dir).await {
            Some(client) => Ok(Session { client, own: None }),
            None => Err(Problem::new(
                codes::NODE_UNREACHABLE,
                format!("no node runs in {}", dir.display()),
            )
            .hint(format!(
                "partners answer to a running node: twinpact serve --dir {}",
                dir.display()
            ))),
        }
    }

    /// Ends the node, if it is this command's own.
    pub(crate) async fn close(self) {
        if let Some((parts, listener)) = self.own {
            listener.stop().await;
            parts.stop();
        }
    }
}

/// A client of the node that runs in the directory, if one does and answers.
pub(crate) async fn running(dir: &Path) -> Option<AdminClient> {
    let text = std::fs::read(dir.join(ADMIN_FILE)).ok()?;
    let file: AdminFile = serde_json::from_slice(&text).ok()?;
    let client = AdminClient::new(file.url, file.token);
    client.get::<Version>("/version").await.ok().map(|_| client)
}

/// The base URL of a listener.
pub(crate) fn url(listener: &AdminListener) -> String {
    format!("http://{}", listener.address)
}

/// Reads a file that the command was given.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|e| file_problem(path, &e))
}

/// The same, as text.
pub(crate) fn read_text(path: &Path) -> Result<String, Problem> {
    String::from_utf8(read_file(path)?).map_err(|_| {
        Problem::new(codes::INPUT_MALFORMED, format!("{} is not UTF-8", path.display()))
    })
}

/// Writes a file that the command was asked for.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    std::fs::write(path, bytes).map_err(|e| file_problem(path, &e))
}

/// That a file or folder cannot be read or written.
pub(crate) fn file_problem(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(codes::FILE_UNREADABLE, format!("{}: {error}", path.display()))
}
