//! The kit's side of all scenarios: one address at which the connector under test calls us, and the
//! rows that are waiting for it.

use super::bodies::{self, Pids};
use super::http::{Call, PATIENCE, Server};
use super::scenario::{Message, Role, Scenario};
use crate::outside::{self, Schemas};
use jsonschema::Validator;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};

/// Whom a call is for.
#[derive(Clone)]
struct Expected {
    row: Scenario,
    calls: Sender<Call>,
}

/// By our process ids, and by the offer or the agreement that a first request names.
type Waiting = Arc<Mutex<HashMap<String, Expected>>>;

/// Where the connector under test calls us.
pub(crate) struct Kit {
    server: Server,
    waiting: Waiting,
    /// What came that no row waited for.
    strays: Arc<Mutex<Vec<String>>>,
}

/// The calls for one row, in the order in which they came.
pub(crate) struct Calls(Receiver<Call>);

impl Kit {
    pub(crate) fn start() -> Kit {
        let (waiting, strays) = (Waiting::default(), Arc::new(Mutex::new(Vec::new())));
        let (known, lost) = (waiting.clone(), strays.clone());
        let server = Server::start(move |call| {
            taken(&known, call).unwrap_or_else(|stray| {
                lost.lock().unwrap().push(stray);
                (404, None)
            })
        });
        Kit { server, waiting, strays }
    }

    /// What is told to the connector as our address.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// From now on calls for this row are taken.
    pub(crate) fn expect(&self, row: &Scenario) -> Calls {
        let (calls, mine) = channel();
        let expected = Expected { row: *row, calls };
        let mut waiting = self.waiting.lock().unwrap();
        if row.role() == Role::Consumer {
            waiting.insert(opening(row), expected.clone());
        }
        waiting.insert(row.pid(), expected);
        Calls(mine)
    }

    /// What came that no row waited for, so far.
    pub(crate) fn strays(&self) -> Vec<String> {
        self.strays.lock().unwrap().clone()
    }
}

impl Calls {
    /// The next one.
    pub(crate) fn next(&self) -> Result<Call, String> {
        self.0.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("nothing came within {} s", PATIENCE.as_secs()),
            RecvTimeoutError::Disconnected => "the kit has ended".to_owned(),
        })
    }

    /// One that has come and nobody asked for.
    pub(crate) fn unasked(&self) -> Option<Call> {
        self.0.try_recv().ok()
    }
}

/// By what a first request of the connector is known.
fn opening(row: &Scenario) -> String {
    match row.folder() {
        "transfers" => row.subject(),
        _ => row.offer(),
    }
}

/// Takes a call for the row that it is for. The answer of the kit is 200 whatever it is: a first
/// request is answered with the process that it has begun, everything else with nothing.
fn taken(waiting: &Waiting, call: Result<Call, String>) -> Result<(u16, Option<Value>), String> {
    let call = call?;
    let segments: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let first = matches!(segments[..], [_, "request"]);
    let key = match segments[..] {
        ["negotiations", "request"] => call.body["offer"]["@id"].as_str(),
        ["transfers", "request"] => call.body["agreementId"].as_str(),
        [_, pid, ..] => Some(pid),
        _ => None,
    };
    let expected = key.and_then(|key| waiting.lock().unwrap().get(key).cloned());
    let stray = || format!("{} {} {}", call.method, call.path, call.body);
    let Expected { row, calls } = expected.ok_or_else(stray)?;
    let consumer = call.body["consumerPid"].as_str().unwrap_or_default().to_owned();
    let pids = Pids { provider: &row.pid(), consumer: &consumer };
    let answer = first.then(|| bodies::status(&row, &pids));
    // The row may have failed and gone.
    let _ = calls.send(call);
    Ok((200, answer))
}

/// The protocol's JSON Schemas, each built when it is first needed.
pub(crate) struct Forms {
    schemas: Option<Schemas>,
    built: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Forms {
    /// Those of the shared folder. Without it every body is taken, and it says so.
    pub(crate) fn load() -> Forms {
        let shared = outside::shared("the schemas of what the connector says in the scenarios");
        Forms { schemas: shared.map(|path| Schemas::load(&path)), built: Mutex::default() }
    }

    /// What is wrong with the form of a body of this type.
    pub(crate) fn check(&self, kind: &str, body: &Value) -> Result<(), String> {
        let Some(schemas) = &self.schemas else { return Ok(()) };
        let mut built = self.built.lock().unwrap();
        let form = built.entry(kind.to_owned()).or_insert_with(|| Arc::new(schemas.of(kind)));
        let form = form.clone();
        drop(built);
        let wrong: Vec<String> = form.iter_errors(body).map(|e| e.to_string()).collect();
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("no valid {kind}: {}: {body}", wrong.join("; "))),
        }
    }
}

/// That a call is this message to that process of ours, at its path.
pub(crate) fn is_at(row: &Scenario, message: Message, call: &Call) -> Result<(), String> {
    let expected = ("POST", row.path(message, &row.pid()));
    let came = (&*call.method, call.path.trim_end_matches('/').to_owned());
    match came == expected {
        true => Ok(()),
        false => Err(format!(
            "expected {} {}, came {} {} {}",
            expected.0, expected.1, call.method, call.path, call.body
        )),
    }
}
