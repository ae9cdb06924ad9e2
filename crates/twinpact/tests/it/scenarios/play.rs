//! Plays the kit's side of a scenario against a connector, step by step.

use super::bodies::{self, FORMAT, KIT, Pids, Said, typed};
use super::http::{Answer, ask};
use super::kit::{Calls, Forms, Kit, is_at};
use super::scenario::{Area, Message, Role, Scenario, Step};
use serde_json::{Value, json};

/// Where the connector under test is found, as it said when it was ready, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// The base of the protocol's endpoints.
    pub(crate) dsp: String,
    /// The root, at which the version document lies.
    pub(crate) root: String,
    /// Where it is told to negotiate, to ask for a transfer, and to offer unasked.
    pub(crate) negotiations: String,
    pub(crate) transfers: String,
    pub(crate) offers: String,
    /// The id of its participant.
    pub(crate) organisation: String,
}

/// One scenario that is being played.
struct Play<'a> {
    row: &'a Scenario,
    connector: &'a Addresses,
    kit: &'a Kit,
    forms: &'a Forms,
    calls: Calls,
    /// Our process id, and the connector's when it is known.
    ours: String,
    theirs: Option<String>,
    /// Whether the connector has shown that it knows ours: what its first request was answered with
    /// may be on its way while we go on.
    knows_ours: bool,
    /// Where the connector takes messages of the process.
    address: String,
    sent: usize,
}

/// Plays a scenario to its end.
///
/// # Errors
/// The step that went otherwise: what was expected and what came.
pub(crate) fn play(
    row: &Scenario,
    connector: &Addresses,
    kit: &Kit,
    forms: &Forms,
) -> Result<(), String> {
    let mut play = Play {
        row,
        connector,
        kit,
        forms,
        calls: kit.expect(row),
        ours: row.pid(),
        theirs: None,
        knows_ours: false,
        address: connector.dsp.clone(),
        sent: 0,
    };
    for (n, step) in row.steps.iter().enumerate() {
        let failed = |why| format!("{}, step {}, {step:?}: {why}", row.id, n + 1);
        play.step(*step).map_err(failed)?;
    }
    match play.calls.unasked() {
        None => Ok(()),
        Some(call) => Err(format!("{}, after the last step: came {call:?}", row.id)),
    }
}

impl Play<'_> {
    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Versions => self.versions(),
            Step::Catalog => self.catalog(),
            Step::Dataset => self.dataset(),
            Step::NoDataset => self.no_dataset(),
            Step::Initiate => self.initiate(),
            Step::Send(message) => self.send(message),
            Step::Refused(message) => self.refused(message),
            Step::Receive(message) => self.receive(message),
            Step::State(state) => self.state(state),
        }
    }

    /// The ids of the process; one that is not known yet is empty.
    fn pids(&self) -> Pids<'_> {
        let theirs = self.theirs.as_deref().unwrap_or_default();
        match self.row.role() {
            Role::Provider => Pids { provider: theirs, consumer: &self.ours },
            Role::Consumer => Pids { provider: &self.ours, consumer: theirs },
        }
    }

    /// A body of that type with the ids of the process and these members, and of a valid form.
    fn is(&self, kind: &str, body: Option<&Value>, members: &Value) -> Result<(), String> {
        let body = body.ok_or_else(|| format!("expected {kind}, came nothing"))?;
        holds(body, &json!({ "@type": kind }))?;
        holds(body, &self.process(body))?;
        holds(body, members)?;
        self.forms.check(kind, body)
    }

    /// The ids that a body has to show.
    fn process(&self, body: &Value) -> Value {
        let Pids { mut provider, consumer } = self.pids();
        let not_yet = self.row.role() == Role::Consumer && !self.knows_ours;
        if not_yet && body["providerPid"] == "" {
            provider = "";
        }
        json!({ "providerPid": provider, "consumerPid": consumer })
    }

    fn versions(&self) -> Result<(), String> {
        let answer = ask(&format!("{}/.well-known/dspace-version", self.connector.root), None)?;
        let body = with_status(answer, 200)?.unwrap_or_default();
        self.forms.check("VersionResponse", &body)?;
        let entries = body["protocolVersions"].as_array().cloned().unwrap_or_default();
        let lies = |entry: &Value| {
            let path = entry["path"].as_str().map(|path| path.trim_end_matches('/'));
            path.map(|path| format!("{}{path}", self.connector.root))
        };
        let ours = |entry: &&Value| entry["version"] == "2025-1" && !entry["binding"].is_null();
        match entries.iter().find(ours).and_then(lies) == Some(self.connector.dsp.clone()) {
            true => Ok(()),
            false => Err(format!("expected 2025-1 at {}, came {body}", self.connector.dsp)),
        }
    }

    fn catalog(&self) -> Result<(), String> {
        let request = typed("CatalogRequestMessage", json!({ "@id": self.ours }));
        let answer = ask(&format!("{}/catalog/request", self.connector.dsp), Some(&request))?;
        let body = with_status(answer, 200)?.unwrap_or_default();
        holds(&body, &json!({ "@type": "Catalog" }))?;
        self.forms.check("Catalog", &body)?;
        let datasets = body["dataset"].as_array().cloned().unwrap_or_default();
        match datasets.iter().any(|dataset| dataset["@id"] == *self.row.subject()) {
            true => Ok(()),
            false => Err(format!("expected {} in it, came {body}", self.row.subject())),
        }
    }

    fn dataset_url(&self) -> String {
        format!("{}/catalog/datasets/{}", self.connector.dsp, self.row.subject())
    }

    fn dataset(&self) -> Result<(), String> {
        let body = with_status(ask(&self.dataset_url(), None)?, 200)?.unwrap_or_default();
        holds(&body, &json!({ "@type": "Dataset", "@id": self.row.subject() }))?;
        self.forms.check("Dataset", &body)
    }

    fn no_dataset(&self) -> Result<(), String> {
        let answer = ask(&self.dataset_url(), None)?;
        let body = with_status(answer, 404)?.unwrap_or_default();
        holds(&body, &json!({ "@type": self.row.error() }))?;
        self.forms.check(self.row.error(), &body)
    }

    fn initiate(&self) -> Result<(), String> {
        let address = self.kit.address();
        let (url, what) = match self.row.area() {
            Area::Transfer(_) => {
                let what = json!({ "agreementId": self.row.subject(), "format": FORMAT });
                (&self.connector.transfers, what)
            }
            _ => {
                let (dataset, offer) = (self.row.subject(), self.row.offer());
                let what = json!({ "datasetId": dataset, "offerId": offer });
                (&self.connector.negotiations, what)
            }
        };
        let mut body = json!({ "providerId": KIT, "connectorAddress": address });
        for (name, value) in what.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = ask(url, Some(&body))?;
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(format!("expected a status of success, came {answer:?}")),
        }
    }

    /// Our message, and what the connector answers.
    fn say(&mut self, message: Message) -> Result<Answer, String> {
        self.sent += 1;
        let (id, callback) = (format!("{}-{}", self.ours, self.sent), self.kit.address());
        let connector = &self.connector.organisation;
        let said = Said { id, callback: &callback, connector };
        let body = bodies::message(self.row, message, &self.pids(), &said);
        // A refusal has to be for what is refused, not for a fault of ours.
        self.forms.check(self.row.kind(message), &body)?;
        let theirs = self.theirs.as_deref().unwrap_or_default();
        let url = format!("{}{}", self.address, self.row.path(message, theirs));
        ask(&url, Some(&body))
    }

    fn send(&mut self, message: Message) -> Result<(), String> {
        let first = message == Message::Request;
        let answer = self.say(message)?;
        let body = with_status(answer, if first { 201 } else { 200 })?;
        if first {
            let pid = body.as_ref().and_then(|body| body["providerPid"].as_str());
            self.theirs = pid.map(str::to_owned);
            return self.is(self.row.status(), body.as_ref(), &json!({ "state": "REQUESTED" }));
        }
        self.knows_ours = true;
        // What else is answered has no meaning, but it has a form.
        body.map_or(Ok(()), |body| self.is(self.row.status(), Some(&body), &json!({})))
    }

    /// What may not be sent now is a fault of ours (4xx), and not one of a process that is unknown.
    fn refused(&mut self, message: Message) -> Result<(), String> {
        let answer = self.say(message)?;
        match answer.status {
            404 => Err(format!("expected a refusal, came {answer:?}")),
            400..=499 => self.is(self.row.error(), answer.body.as_ref(), &json!({})),
            _ => Err(format!("expected a refusal, came {answer:?}")),
        }
    }

    fn receive(&mut self, message: Message) -> Result<(), String> {
        let call = self.calls.next()?;
        is_at(self.row, message, &call)?;
        let body = &call.body;
        if message == Message::Request {
            self.theirs = body["consumerPid"].as_str().map(str::to_owned);
            let callback = body["callbackAddress"].as_str().unwrap_or_default();
            callback.clone_into(&mut self.address);
            let opened = json!({
                "@type": self.row.kind(message),
                "callbackAddress": self.connector.dsp,
            });
            holds(body, &opened)?;
            holds(body, &self.content(message))?;
            return self.forms.check(self.row.kind(message), body);
        }
        self.knows_ours = true;
        self.is(self.row.kind(message), Some(body), &self.content(message))
    }

    /// What a message of the connector has to say besides its type and the ids.
    fn content(&self, message: Message) -> Value {
        let (row, subject) = (self.row, self.row.subject());
        match message {
            Message::Request if row.folder() == "transfers" => {
                json!({ "agreementId": subject, "format": FORMAT })
            }
            Message::Request => json!({ "offer": { "@id": row.offer(), "target": subject } }),
            Message::Offer | Message::Counter => json!({ "offer": { "target": subject } }),
            Message::Agreement => json!({ "agreement": {
                "target": subject,
                "assigner": self.connector.organisation,
                "assignee": KIT,
            }}),
            Message::Accepted => json!({ "eventType": "ACCEPTED" }),
            Message::Finalized => json!({ "eventType": "FINALIZED" }),
            Message::Start if row.role() == Role::Provider => {
                json!({ "dataAddress": { "@type": "DataAddress" } })
            }
            Message::Start
            | Message::Verification
            | Message::Suspension
            | Message::Completion
            | Message::Termination => json!({}),
        }
    }

    fn state(&self, state: &str) -> Result<(), String> {
        let pid = self.theirs.as_deref().unwrap_or_default();
        let answer = ask(&format!("{}/{}/{pid}", self.address, self.row.folder()), None)?;
        let body = with_status(answer, 200)?;
        self.is(self.row.status(), body.as_ref(), &json!({ "state": state }))
    }
}

/// The body of an answer that has this status.
fn with_status(answer: Answer, status: u16) -> Result<Option<Value>, String> {
    match answer.status == status {
        true => Ok(answer.body),
        false => Err(format!("expected status {status}, came {answer:?}")),
    }
}

/// Whether all these members are there with these values, however deep.
fn holds(body: &Value, members: &Value) -> Result<(), String> {
    fn within(body: &Value, members: &Value) -> bool {
        match members.as_object() {
            None => body == members,
            Some(members) => members.iter().all(|(name, value)| within(&body[name], value)),
        }
    }
    match within(body, members) {
        true => Ok(()),
        false => Err(format!("expected {members}, came {body}")),
    }
}
