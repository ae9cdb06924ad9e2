//! How a command reaches a node: the one that runs in the directory, or one of its own.

use crate::output::internal;
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::path::Path;
use twinpact_gateway::{AdminClient, AdminListener};
use twinpact_model::codes;
use twinpact_model::problem::Problem;
use twinpact_node::api::{AdminFile, Version};
use twinpact_node::{NodeParts, PolicyClock, open};
use twinpact_proof::bundle::MAX_BUNDLE_BYTES;
use twinpact_proof::{Envelope, Json, Record};

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

/// One answer of the node of a directory.
///
/// # Errors
/// What the node refuses, or why there is none.
pub(crate) async fn get<T: DeserializeOwned>(dir: &Path, path: &str) -> Result<T, Problem> {
    let session = Session::open(dir).await?;
    let got = session.client.get(path).await;
    session.close().await;
    got
}

/// The record of the organisation whose node that is.
///
/// # Errors
/// `internal` when it cannot be read; what the node refuses.
pub(crate) async fn own_record(client: &AdminClient) -> Result<Record, Problem> {
    let bytes = client.get_bytes("/organisation").await?;
    let envelope = Json::parse(&bytes).ok().and_then(|json| Envelope::from_json(&json));
    let record = envelope.and_then(|envelope| Record::from_envelope(&envelope).ok());
    record.ok_or_else(|| internal("our own record cannot be read"))
}

/// The base URL of a listener.
pub(crate) fn url(listener: &AdminListener) -> String {
    format!("http://{}", listener.address)
}

/// The most bytes of a file that a command is given, where what reads it has no smaller bound.
pub(crate) const MAX_GIVEN_BYTES: u64 = 1 << 30;

/// Reads a file that the command was given.
///
/// # Errors
/// `file.unreadable`; `input.too_large` beyond [`MAX_GIVEN_BYTES`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    read_within(path, MAX_GIVEN_BYTES)
}

fn read_within(path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let message = format!("{} has more than {most} bytes", path.display());
        Problem::new(codes::INPUT_TOO_LARGE, message)
            .hint("is it the right file? events can be given in several")
    };
    // One that says how large it is is not read in vain.
    if std::fs::metadata(path).is_ok_and(|it| it.len() > most) {
        return Err(too_large());
    }
    let bytes = read_front(path, most + 1)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// The first bytes of a file, at most so many: enough for who refuses it when there are as many.
///
/// # Errors
/// `file.unreadable`.
pub(crate) fn read_front(path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|e| file_problem(path, &e))
}

/// Reads the file of a proof; of one that is larger than a proof may be only so much that whoever
/// verifies it sees that.
///
/// # Errors
/// `file.unreadable`.
pub(crate) fn read_proof(path: &Path) -> Result<Vec<u8>, Problem> {
    read_front(path, MAX_BUNDLE_BYTES as u64 + 1)
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

#[cfg(test)]
mod tests {
    use super::{MAX_GIVEN_BYTES, read_file, read_front, read_within};

    #[test]
    fn no_file_is_read_beyond_its_bound() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_within(&path, 10).unwrap().len(), 10);
        let problem = read_within(&path, 9).unwrap_err();
        assert_eq!(problem.code.name, "input.too_large");
        assert!(problem.message.ends_with("file has more than 9 bytes"), "{problem}");
        assert_eq!(read_front(&path, 9).unwrap().len(), 9);
        // One that has no end, and does not say how large it is.
        let endless = std::path::Path::new("/dev/zero");
        assert_eq!(read_within(endless, 9).unwrap_err().code.name, "input.too_large");
        // One of which nothing is stored.
        std::fs::File::create(&path).unwrap().set_len(MAX_GIVEN_BYTES + 1).unwrap();
        assert_eq!(read_file(&path).unwrap_err().code.name, "input.too_large");
        assert_eq!(read_file(&place.path().join("no")).unwrap_err().code.name, "file.unreadable");
    }
}
