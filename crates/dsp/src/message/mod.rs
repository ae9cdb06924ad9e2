//! The messages of the Dataspace Protocol 2025-1, typed.
//!
//! Reading is tolerant of spelling (see [`crate::terms`], and `crate::contexts` for names that a
//! sender defines itself) and strict about everything else: a member that is missing, of the wrong
//! type or beyond a bound refuses the message. Members that we do not know are ignored, as the
//! protocol's schemas allow, but never inside a policy. Writing gives exactly the form of the
//! schemas: one context, no nulls, no trailing slash on an address.

mod catalog;
mod policy;
mod read;
mod write;

pub use catalog::{
    Access, Catalog, DataService, Dataset, Distribution, MAX_DATASETS, MAX_ITEMS, MAX_NESTING,
};
pub use policy::Policy;
pub(crate) use read::address;
pub use read::{MAX_POLICY_BYTES, MAX_PROPERTIES, MAX_REASONS};

use crate::rejected::Rejected;
use crate::{MAX_CATALOG_BYTES, MAX_MESSAGE_BYTES, bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use twinpact_model::Timestamp;

/// One message, response or error of the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Message {
    /// The version document.
    Versions(Versions),
    /// An error of the version document.
    VersionsError(ErrorBody),
    /// Asks for the catalogue.
    CatalogRequest(CatalogRequest),
    /// Asks for one dataset.
    DatasetRequest(DatasetRequest),
    /// A catalogue.
    Catalog(Catalog),
    /// A dataset on its own.
    Dataset(Dataset),
    /// An error of the catalogue.
    CatalogError(ErrorBody),
    /// The consumer asks for an agreement, or answers an offer with another.
    ContractRequest(ContractRequest),
    /// The provider offers.
    ContractOffer(ContractOffer),
    /// The provider agrees.
    ContractAgreement(ContractAgreement),
    /// The consumer verifies the agreement.
    AgreementVerification(Signal),
    /// The consumer accepts or the provider finalizes.
    NegotiationEvent(NegotiationEvent),
    /// Either side ends the negotiation.
    NegotiationTermination(Notice),
    /// The state of a negotiation.
    Negotiation(NegotiationStatus),
    /// An error of a negotiation; no state changes.
    NegotiationError(Notice),
    /// The consumer asks for a transfer.
    TransferRequest(TransferRequest),
    /// A transfer starts or resumes.
    TransferStart(TransferStart),
    /// A transfer is complete.
    TransferCompletion(Signal),
    /// A transfer pauses.
    TransferSuspension(Notice),
    /// Either side ends the transfer.
    TransferTermination(Notice),
    /// The state of a transfer.
    Transfer(TransferStatus),
    /// An error of a transfer; no state changes.
    TransferError(Notice),
}

/// The process ids of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// The provider's.
    pub provider: String,
    /// The consumer's.
    pub consumer: String,
}

/// Whether a message opens a process or continues one: exactly one of the two members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Thread {
    /// It opens one; answers go to this address (`callbackAddress`).
    Opens {
        /// Without a trailing slash.
        callback: String,
    },
    /// It continues one: the receiver's process id.
    Continues {
        /// The receiver's process id.
        pid: String,
    },
}

/// An offer: who may do what with which target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Its `@id`.
    pub id: String,
    /// The dataset; absent inside a catalogue, where the dataset around it is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The provider's participant id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigner: Option<String>,
    /// The consumer's participant id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// All its other members, an object in the one spelling of [`crate::policy_form`].
    pub policy: Policy,
}

/// An agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its `@id`.
    pub id: String,
    /// The dataset.
    pub target: String,
    /// The provider's participant id.
    pub assigner: String,
    /// The consumer's participant id.
    pub assignee: String,
    /// When it was concluded, RFC 3339 as it was written; the schema lets it be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// All its other members, an object in the one spelling of [`crate::policy_form`].
    pub policy: Policy,
}

impl Agreement {
    /// The agreement of a document: one that stands alone, in whatever context it names (that of
    /// the protocol when it names none), or a `ContractAgreementMessage`.
    ///
    /// # Errors
    /// As [`Message::parse_bytes`], and `dsp.malformed` for another message.
    pub fn parse_bytes(document: &[u8]) -> Result<Self, Rejected> {
        read::agreement(&bytes::read(document, MAX_MESSAGE_BYTES)?)
    }

    /// The agreement that this offer becomes. Always made from **our own stored offer**: what a
    /// peer sent back may have been rewritten by its JSON-LD processor. Its time is to the second:
    /// connectors in the field keep no more of it, and would come to another identity.
    ///
    /// # Errors
    /// `dsp.malformed` when the offer names no target.
    pub fn of(
        offer: &Offer,
        id: &str,
        assigner: &str,
        assignee: &str,
        timestamp: Timestamp,
    ) -> Result<Self, Rejected> {
        let target = offer.target.clone().ok_or_else(|| crate::terms::missing("target"))?;
        Ok(Agreement {
            id: id.to_owned(),
            target,
            assigner: assigner.to_owned(),
            assignee: assignee.to_owned(),
            timestamp: Some(timestamp.floor(1).to_string()),
            policy: offer.policy.clone(),
        })
    }
}

/// `ContractRequestMessage`.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractRequest {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// The consumer's process id.
    pub consumer_pid: String,
    /// A first request, or a counter-offer with the provider's process id.
    pub thread: Thread,
    /// What is asked for.
    pub offer: Offer,
}

/// `ContractOfferMessage`.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractOffer {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// The provider's process id.
    pub provider_pid: String,
    /// A first offer, or an answer with the consumer's process id.
    pub thread: Thread,
    /// What is offered; it names its target.
    pub offer: Offer,
}

/// `ContractAgreementMessage`.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractAgreement {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// Both process ids.
    pub pids: Pids,
    /// The agreement.
    pub agreement: Agreement,
}

/// A message that is only its type: a verification or a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// Both process ids.
    pub pids: Pids,
}

/// A termination, a suspension or an error of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// Both process ids; an error may not know one, then it is empty.
    pub pids: Pids,
    /// The sender's code.
    pub code: Option<String>,
    /// Why, for people. What was no text is its JSON text here.
    pub reason: Vec<String>,
}

/// An error without a process: of the catalogue or the version document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// The sender's code.
    pub code: Option<String>,
    /// Why, for people.
    pub reason: Vec<String>,
}

/// What a `ContractNegotiationEventMessage` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The consumer accepts the offer.
    Accepted,
    /// The provider finalizes.
    Finalized,
}

/// `ContractNegotiationEventMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiationEvent {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// Both process ids.
    pub pids: Pids,
    /// What happened.
    pub event: Event,
}

/// `ContractNegotiation`: where a negotiation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiationStatus {
    /// Both process ids; one that the sender does not know yet is empty.
    pub pids: Pids,
    /// The state.
    pub state: crate::negotiation::State,
}

/// `TransferProcess`: where a transfer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferStatus {
    /// Both process ids; one that the sender does not know yet is empty.
    pub pids: Pids,
    /// The state.
    pub state: crate::transfer::State,
}

/// `TransferRequestMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// The consumer's process id.
    pub consumer_pid: String,
    /// The agreement it happens under.
    pub agreement_id: String,
    /// The distribution's format, for example `HttpData-PULL`.
    pub format: String,
    /// Where to push to; absent when the consumer pulls.
    pub data_address: Option<DataAddress>,
    /// Where answers go, without a trailing slash.
    pub callback: String,
}

/// `TransferStartMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferStart {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// Both process ids.
    pub pids: Pids,
    /// Where to pull from.
    pub data_address: Option<DataAddress>,
}

/// Where data is fetched or put, and with which token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAddress {
    /// The kind of endpoint, for example `https://w3id.org/idsa/v4.1/HTTP`.
    pub endpoint_type: String,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Names and values, for example `authorization`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<(String, String)>,
}

/// The values may be tokens: they never reach a log through a debug print.
impl std::fmt::Debug for DataAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("DataAddress")
            .field("endpoint_type", &self.endpoint_type)
            .field("endpoint", &self.endpoint)
            .field("properties", &names)
            .finish()
    }
}

impl DataAddress {
    /// The value of a property under its bare name or the last step of its IRI: connectors of the
    /// EDC family name it `https://w3id.org/edc/v0.0.1/ns/authorization`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        let local = |full: &str| full == name || full.rsplit(['/', '#', ':']).next() == Some(name);
        let exact = self.properties.iter().find(|(key, _)| key == name);
        exact
            .or_else(|| self.properties.iter().find(|(key, _)| local(key)))
            .map(|(_, value)| value.as_str())
    }
}

/// `CatalogRequestMessage`.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogRequest {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// Filters, whose meaning the protocol leaves open.
    pub filter: Vec<Value>,
}

/// `DatasetRequestMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetRequest {
    /// The message's own `@id`.
    pub id: Option<String>,
    /// The dataset.
    pub dataset: String,
}

/// The version document: `GET /.well-known/dspace-version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The versions that are spoken, and where.
    pub versions: Vec<Version>,
}

/// One entry of the version document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `2025-1`.
    pub version: String,
    /// The path of its base, from the root; starts with a slash.
    pub path: String,
    /// `HTTPS`.
    pub binding: String,
    /// An identifier of the service.
    pub service_id: Option<String>,
    /// The kind of participant identifier, for example `did:web`.
    pub identifier_type: Option<String>,
    /// How callers authenticate.
    pub auth: Option<Auth>,
}

/// How callers of a version authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// For example `DCP`.
    pub protocol: String,
    /// Its version.
    pub version: String,
    /// Its profiles.
    pub profile: Vec<String>,
}

impl Versions {
    /// Our document: the one version, at that path from the root.
    #[must_use]
    pub fn ours(path: &str) -> Self {
        let version = Version {
            version: crate::VERSION.to_owned(),
            path: path.to_owned(),
            binding: "HTTPS".to_owned(),
            service_id: None,
            identifier_type: None,
            auth: None,
        };
        Versions { versions: vec![version] }
    }

    /// The entry of the version that we speak.
    #[must_use]
    pub fn common(&self) -> Option<&Version> {
        self.versions.iter().find(|v| v.version == crate::VERSION && v.binding == "HTTPS")
    }
}

impl Message {
    /// The message of a body that was sent to us or answered.
    ///
    /// # Errors
    /// `dsp.too_large` beyond [`MAX_MESSAGE_BYTES`]; else as [`parse`](Self::parse).
    pub fn parse_bytes(body: &[u8]) -> Result<Message, Rejected> {
        Message::parse(&bytes::read(body, MAX_MESSAGE_BYTES)?)
    }

    /// The same for the answer to our own catalogue request, which may be larger.
    ///
    /// # Errors
    /// `dsp.too_large` beyond [`MAX_CATALOG_BYTES`]; else as [`parse`](Self::parse).
    pub fn parse_catalog_bytes(body: &[u8]) -> Result<Message, Rejected> {
        Message::parse(&bytes::read(body, MAX_CATALOG_BYTES)?)
    }

    /// The message of this value.
    ///
    /// # Errors
    /// `dsp.malformed` with the member that is missing or wrong, `dsp.too_large` with the bound.
    pub fn parse(value: &Value) -> Result<Message, Rejected> {
        read::message(value)
    }

    /// The message as the protocol's schemas want it.
    #[must_use]
    pub fn to_text(&self) -> String {
        write::message(self)
    }

    /// The value of [`to_text`](Self::to_text).
    #[must_use]
    pub fn to_json(&self) -> Value {
        // What we have written is JSON.
        serde_json::from_str(&self.to_text()).unwrap_or_default()
    }

    /// The message's own `@id`, when it carries one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Message::CatalogRequest(m) => m.id.as_deref(),
            Message::DatasetRequest(m) => m.id.as_deref(),
            Message::ContractRequest(m) => m.id.as_deref(),
            Message::ContractOffer(m) => m.id.as_deref(),
            Message::ContractAgreement(m) => m.id.as_deref(),
            Message::NegotiationEvent(m) => m.id.as_deref(),
            Message::TransferRequest(m) => m.id.as_deref(),
            Message::TransferStart(m) => m.id.as_deref(),
            Message::AgreementVerification(m) | Message::TransferCompletion(m) => m.id.as_deref(),
            Message::NegotiationTermination(m)
            | Message::NegotiationError(m)
            | Message::TransferSuspension(m)
            | Message::TransferTermination(m)
            | Message::TransferError(m) => m.id.as_deref(),
            Message::Versions(_)
            | Message::VersionsError(_)
            | Message::Catalog(_)
            | Message::Dataset(_)
            | Message::CatalogError(_)
            | Message::Negotiation(_)
            | Message::Transfer(_) => None,
        }
    }

    /// The process ids it names: the provider's, the consumer's.
    #[must_use]
    pub fn pids(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Message::ContractRequest(m) => (m.thread.pid(), Some(&m.consumer_pid)),
            Message::ContractOffer(m) => (Some(&m.provider_pid), m.thread.pid()),
            Message::TransferRequest(m) => (None, Some(&m.consumer_pid)),
            Message::ContractAgreement(m) => m.pids.both(),
            Message::NegotiationEvent(m) => m.pids.both(),
            Message::TransferStart(m) => m.pids.both(),
            Message::Negotiation(m) => m.pids.both(),
            Message::Transfer(m) => m.pids.both(),
            Message::AgreementVerification(m) | Message::TransferCompletion(m) => m.pids.both(),
            Message::NegotiationTermination(m)
            | Message::NegotiationError(m)
            | Message::TransferSuspension(m)
            | Message::TransferTermination(m)
            | Message::TransferError(m) => m.pids.both(),
            _ => (None, None),
        }
    }

    /// Its `@type`, or what it is called where it has none.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Message::Versions(_) => "VersionResponse",
            Message::VersionsError(_) => "VersionsError",
            Message::CatalogRequest(_) => "CatalogRequestMessage",
            Message::DatasetRequest(_) => "DatasetRequestMessage",
            Message::Catalog(_) => "Catalog",
            Message::Dataset(_) => "Dataset",
            Message::CatalogError(_) => "CatalogError",
            Message::ContractRequest(_) => "ContractRequestMessage",
            Message::ContractOffer(_) => "ContractOfferMessage",
            Message::ContractAgreement(_) => "ContractAgreementMessage",
            Message::AgreementVerification(_) => "ContractAgreementVerificationMessage",
            Message::NegotiationEvent(_) => "ContractNegotiationEventMessage",
            Message::NegotiationTermination(_) => "ContractNegotiationTerminationMessage",
            Message::Negotiation(_) => "ContractNegotiation",
            Message::NegotiationError(_) => "ContractNegotiationError",
            Message::TransferRequest(_) => "TransferRequestMessage",
            Message::TransferStart(_) => "TransferStartMessage",
            Message::TransferCompletion(_) => "TransferCompletionMessage",
            Message::TransferSuspension(_) => "TransferSuspensionMessage",
            Message::TransferTermination(_) => "TransferTerminationMessage",
            Message::Transfer(_) => "TransferProcess",
            Message::TransferError(_) => "TransferError",
        }
    }
}

impl Pids {
    fn both(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.provider), Some(&self.consumer))
    }
}

impl Thread {
    /// The receiver's process id, when it continues one.
    #[must_use]
    pub fn pid(&self) -> Option<&str> {
        match self {
            Thread::Opens { .. } => None,
            Thread::Continues { pid } => Some(pid),
        }
    }
}

impl TryFrom<Value> for Message {
    type Error = Rejected;
    fn try_from(value: Value) -> Result<Self, Rejected> {
        Message::parse(&value)
    }
}

impl From<Message> for Value {
    fn from(message: Message) -> Value {
        message.to_json()
    }
}
