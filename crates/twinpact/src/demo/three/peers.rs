//! The three nodes, and how they are asked: again, when one is just being started.

use super::super::stage::Node;
use crate::output::internal;
use crate::session::ADMIN_FILE;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use twinpact_gateway::AdminClient;
use twinpact_model::problem::Problem;
use twinpact_model::{Timestamp, codes};
use twinpact_node::api::AdminFile;

/// How long a node that does not answer is asked again: one that was killed starts in less.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until it is asked again, and until it is looked again for what is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// An organisation with its node.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) did: String,
    pub(crate) dir: PathBuf,
    pub(crate) node: Node,
    known: RefCell<Option<AdminClient>>,
}

impl Peer {
    pub(crate) fn new(name: &'static str, did: String, dir: PathBuf, node: Node) -> Peer {
        Peer { name, did, dir, node, known: RefCell::new(None) }
    }

    /// The way to its node; it has another port and token after each start.
    pub(crate) fn client(&self) -> Result<AdminClient, Problem> {
        if let Some(known) = self.known.borrow().as_ref() {
            return Ok(known.clone());
        }
        let path = self.dir.join(ADMIN_FILE);
        let gone = |why: String| Problem::new(codes::NODE_UNREACHABLE, why);
        let text = std::fs::read(&path).map_err(|e| gone(format!("{}: {e}", path.display())))?;
        let file: AdminFile =
            serde_json::from_slice(&text).map_err(|e| gone(format!("{}: {e}", path.display())))?;
        let client = AdminClient::new(file.url, file.token);
        *self.known.borrow_mut() = Some(client.clone());
        Ok(client)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.persistent(async |client| client.get(path).await).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Problem> {
        self.post_bytes(path, body.to_string().into_bytes()).await
    }

    /// What may be posted twice: it may have been taken by a node that did not live to say so.
    pub(crate) async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Problem> {
        let send =
            async |client: AdminClient| client.post(path, "application/json", body.clone()).await;
        self.persistent(send).await
    }

    pub(crate) async fn set_clock(&self, time: Timestamp) -> Result<(), Problem> {
        self.post::<Value>("/clock", &json!({ "policy": time })).await.map(|_| ())
    }

    /// Its node may have another door by now.
    pub(crate) fn forget(&self) {
        *self.known.borrow_mut() = None;
    }

    /// Asks until there is an answer; a node that has ended for good is not waited for.
    pub(crate) async fn persistent<T>(
        &self,
        ask: impl AsyncFn(AdminClient) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let start = Instant::now();
        loop {
            let answer = match self.client() {
                Ok(client) => ask(client).await,
                Err(problem) => Err(problem),
            };
            match answer {
                Err(problem) if problem.code == codes::NODE_UNREACHABLE => {
                    self.forget();
                    if start.elapsed() > PATIENCE {
                        return Err(problem);
                    }
                }
                answer => return answer,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until what it is asked for is as wanted; what that then is.
    pub(crate) async fn until<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<T, Problem> {
        let start = Instant::now();
        loop {
            let answer: T = self.get(path).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            if start.elapsed() > PATIENCE {
                return Err(internal(&format!("the {} waits in vain for {what}", self.name)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
